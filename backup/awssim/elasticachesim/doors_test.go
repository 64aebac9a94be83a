package elasticachesim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// doors gives the security groups of a cluster as a call shows them.
func (b *bed) doors(id string) string {
	out, err := b.api.DescribeCacheClusters(b.Context(), &awselasticache.DescribeCacheClustersInput{CacheClusterId: &id})
	b.ok(err)
	var groups []string
	for _, g := range out.CacheClusters[0].SecurityGroups {
		groups = append(groups, aws.ToString(g.SecurityGroupId))
	}
	return strings.Join(groups, " ")
}

func TestExpose(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one", nil)
		b.group("sessions", replicas(2))
		was := b.doors("one")
		b.ok(b.sim.Expose(b.world, account, region, "one", "sg-b", "sg-a"))
		b.ok(b.sim.Expose(b.world, account, region, "sessions", "sg-c"))
		b.ok(b.sim.Expose(b.world, account, region, "sessions-002", "sg-d"))
		for id, want := range map[string]string{"one": "sg-a sg-b", "sessions-001": "sg-c", "sessions-002": "sg-d"} {
			if got := b.doors(id); got != want {
				t.Errorf("%s has %q, want %q", id, got, want)
			}
		}
		for _, g := range b.sim.Groups(b.world, account, region) {
			if !slices.Equal(g.SecurityGroups, []string{"sg-c"}) {
				t.Errorf("the group has %v", g.SecurityGroups)
			}
		}
		for _, c := range b.sim.Clusters(b.world, account, region) {
			if c.ID == "sessions-002" && !slices.Equal(c.SecurityGroups, []string{"sg-d"}) {
				t.Errorf("the member has %v", c.SecurityGroups)
			}
		}
		// A stale answer shows what was.
		time.Sleep(time.Minute)
		b.ok(b.sim.Expose(b.world, account, region, "one", "sg-e"))
		b.world.Inject(awssim.Fault{Operation: "DescribeCacheClusters", Kind: awssim.FaultStale, Back: 2 * time.Minute})
		if got := b.doors("one"); got != was {
			t.Errorf("a stale answer has %q, want %q", got, was)
		}
		if got := b.doors("one"); got != "sg-e" {
			t.Errorf("got %q", got)
		}
		if b.sim.Expose(b.world, account, region, "none", "sg-e") == nil {
			t.Error("nothing was exposed without an error")
		}
	})
}

func TestVersions(t *testing.T) {
	for _, c := range []struct{ engine, asked, told string }{
		{"redis", "", "7.1.0"}, {"redis", "7.0", "7.0.7"}, {"redis", "6.x", "6.2.6"}, {"redis", "5.0.6", "5.0.6"}, {"valkey", "", "8.0.1"}, {"valkey", "8.1", "8.1.0"},
		{"memcached", "1.6.22", "1.6.22"}, {"redis", "7.0.7", ""}, {"redis", "6.2.6", ""}, {"valkey", "8.0.1", ""},
	} {
		bubble(t, func(b *bed) {
			in := &awselasticache.CreateCacheClusterInput{CacheClusterId: aws.String("one"), CacheNodeType: aws.String("cache.t4g.small"), Engine: &c.engine, NumCacheNodes: aws.Int32(1)}
			if c.asked != "" {
				in.EngineVersion = &c.asked
			}
			out, err := b.api.CreateCacheCluster(b.Context(), in)
			if c.told == "" {
				b.code(err, "InvalidParameterValue")
				if !strings.Contains(err.Error(), "Specific version selection is not allowed for '"+c.asked+"', please use '"+c.asked[:3]+"'") {
					t.Errorf("%s %s: %v", c.engine, c.asked, err)
				}
				return
			}
			b.ok(err)
			if got := aws.ToString(out.CacheCluster.EngineVersion); got != c.told {
				t.Errorf("%s %s is told as %s, want %s", c.engine, c.asked, got, c.told)
			}
		})
	}
}
