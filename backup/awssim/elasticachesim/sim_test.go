package elasticachesim_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
)

// bed is a world with one client, made inside of a bubble.
type bed struct {
	*testing.T
	world *awssim.World
	sim   *elasticachesim.ElastiCache
	api   *awselasticache.Client
}

func bubble(t *testing.T, f func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sim := elasticachesim.Service()
		world := awssim.New(sim)
		f(&bed{T: t, world: world, sim: sim, api: awselasticache.NewFromConfig(world.Config(account, region), func(o *awselasticache.Options) { o.RetryMaxAttempts = 1 })})
	})
}

func (b *bed) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bed) code(err error, want string) {
	b.Helper()
	if got := codeOf(err); got != want {
		b.Errorf("got %q (%v), want %q", got, err, want)
	}
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func (b *bed) group(id string, edit func(*awselasticache.CreateReplicationGroupInput)) {
	b.Helper()
	in := &awselasticache.CreateReplicationGroupInput{ReplicationGroupId: &id, ReplicationGroupDescription: aws.String("test"),
		CacheNodeType: aws.String("cache.r7g.large"), Engine: aws.String("redis")}
	if edit != nil {
		edit(in)
	}
	_, err := b.api.CreateReplicationGroup(b.Context(), in)
	b.ok(err)
	time.Sleep(4 * time.Hour)
}

func sharded(n int32) func(*awselasticache.CreateReplicationGroupInput) {
	return func(in *awselasticache.CreateReplicationGroupInput) {
		in.ClusterMode = ectypes.ClusterModeEnabled
		in.NumNodeGroups, in.ReplicasPerNodeGroup, in.AutomaticFailoverEnabled = &n, aws.Int32(1), aws.Bool(true)
	}
}

func replicas(n int32) func(*awselasticache.CreateReplicationGroupInput) {
	return func(in *awselasticache.CreateReplicationGroupInput) { in.NumCacheClusters = &n }
}

func (b *bed) cluster(id string, edit func(*awselasticache.CreateCacheClusterInput)) {
	b.Helper()
	in := &awselasticache.CreateCacheClusterInput{CacheClusterId: &id, CacheNodeType: aws.String("cache.t4g.small"), Engine: aws.String("redis"), NumCacheNodes: aws.Int32(1)}
	if edit != nil {
		edit(in)
	}
	_, err := b.api.CreateCacheCluster(b.Context(), in)
	b.ok(err)
	time.Sleep(4 * time.Hour)
}

func (b *bed) snapCluster(name, cluster string) (*awselasticache.CreateSnapshotOutput, error) {
	return b.api.CreateSnapshot(b.Context(), &awselasticache.CreateSnapshotInput{SnapshotName: &name, CacheClusterId: &cluster})
}

func (b *bed) snapGroup(name, group string) (*awselasticache.CreateSnapshotOutput, error) {
	return b.api.CreateSnapshot(b.Context(), &awselasticache.CreateSnapshotInput{SnapshotName: &name, ReplicationGroupId: &group})
}

func (b *bed) snapshot(name string) ectypes.Snapshot {
	b.Helper()
	out, err := b.api.DescribeSnapshots(b.Context(), &awselasticache.DescribeSnapshotsInput{SnapshotName: &name, ShowNodeGroupConfig: aws.Bool(true)})
	b.ok(err)
	if len(out.Snapshots) != 1 {
		b.Fatalf("%d snapshots called %q", len(out.Snapshots), name)
	}
	return out.Snapshots[0]
}

func (b *bed) groupStatus(id string) string {
	b.Helper()
	out, err := b.api.DescribeReplicationGroups(b.Context(), &awselasticache.DescribeReplicationGroupsInput{ReplicationGroupId: &id})
	if err != nil {
		return codeOf(err)
	}
	return *out.ReplicationGroups[0].Status
}

func (b *bed) clusterStatus(id string) string {
	b.Helper()
	out, err := b.api.DescribeCacheClusters(b.Context(), &awselasticache.DescribeCacheClustersInput{CacheClusterId: &id})
	if err != nil {
		return codeOf(err)
	}
	return *out.CacheClusters[0].CacheClusterStatus
}

func TestGroupWithoutClusterMode(t *testing.T) {
	bubble(t, func(b *bed) {
		start := time.Now()
		out, err := b.api.CreateReplicationGroup(b.Context(), &awselasticache.CreateReplicationGroupInput{
			ReplicationGroupId: aws.String("Sessions"), ReplicationGroupDescription: aws.String("d"), CacheNodeType: aws.String("cache.r7g.large"),
			NumCacheClusters: aws.Int32(3), AutomaticFailoverEnabled: aws.Bool(true), SecurityGroupIds: []string{"sg-1"}, Port: aws.Int32(7000),
			Tags: []ectypes.Tag{{Key: aws.String("team"), Value: aws.String("a")}}})
		b.ok(err)
		if g := out.ReplicationGroup; *g.Status != "creating" || *g.ReplicationGroupId != "sessions" || len(g.NodeGroups) != 0 || *g.ClusterEnabled {
			t.Errorf("created %+v", g)
		}
		if d := cmp.Diff([]string{"sessions-001", "sessions-002", "sessions-003"}, out.ReplicationGroup.MemberClusters); d != "" {
			t.Error(d)
		}
		for b.groupStatus("SESSIONS") != "available" {
			time.Sleep(time.Second)
		}
		if d := time.Since(start); d < 3*time.Minute || d > 40*time.Minute {
			t.Errorf("available after %v", d)
		}
		b.ok(b.sim.Failover(b.world, account, region, "sessions", "sessions-002"))
		g, err := b.api.DescribeReplicationGroups(b.Context(), &awselasticache.DescribeReplicationGroupsInput{})
		b.ok(err)
		n := g.ReplicationGroups[0].NodeGroups[0]
		var roles []string
		for _, m := range n.NodeGroupMembers {
			roles = append(roles, *m.CacheClusterId+" "+*m.CurrentRole)
		}
		if d := cmp.Diff([]string{"sessions-001 replica", "sessions-002 primary", "sessions-003 replica"}, roles); d != "" {
			t.Error(d)
		}
		if !strings.HasSuffix(*n.PrimaryEndpoint.Address, ".ng.0001.euw1.cache.amazonaws.com") || *n.PrimaryEndpoint.Port != 7000 ||
			!strings.HasPrefix(*n.ReaderEndpoint.Address, "sessions-ro.") || n.Slots != nil || g.ReplicationGroups[0].ConfigurationEndpoint != nil {
			t.Errorf("endpoints %+v", n)
		}
		tags, err := b.api.ListTagsForResource(b.Context(), &awselasticache.ListTagsForResourceInput{
			ResourceName: aws.String("arn:aws:elasticache:eu-west-1:111122223333:cluster:sessions-003")})
		b.ok(err)
		if len(tags.TagList) != 1 || *tags.TagList[0].Value != "a" {
			t.Errorf("member tags %v", tags.TagList)
		}
		c, err := b.api.DescribeCacheClusters(b.Context(), &awselasticache.DescribeCacheClustersInput{CacheClusterId: aws.String("sessions-003"), ShowCacheNodeInfo: aws.Bool(true)})
		b.ok(err)
		if m := c.CacheClusters[0]; *m.ReplicationGroupId != "sessions" || *m.SecurityGroups[0].SecurityGroupId != "sg-1" || *m.CacheNodes[0].Endpoint.Port != 7000 {
			t.Errorf("member %+v", m)
		}
		one, err := b.api.DescribeCacheClusters(b.Context(), &awselasticache.DescribeCacheClustersInput{ShowCacheClustersNotInReplicationGroups: aws.Bool(true)})
		b.ok(err)
		if len(one.CacheClusters) != 0 {
			t.Error("members are listed as single clusters")
		}
	})
}

func TestGroupWithClusterMode(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("orders", sharded(3))
		g, err := b.api.DescribeReplicationGroups(b.Context(), &awselasticache.DescribeReplicationGroupsInput{ReplicationGroupId: aws.String("orders")})
		b.ok(err)
		var got []string
		for _, n := range g.ReplicationGroups[0].NodeGroups {
			for _, m := range n.NodeGroupMembers {
				got = append(got, *n.NodeGroupId+" "+*n.Slots+" "+*m.CacheClusterId)
				if m.CurrentRole != nil {
					t.Error("a role with cluster mode enabled")
				}
			}
		}
		want := []string{"0001 0-5460 orders-0001-001", "0001 0-5460 orders-0001-002", "0002 5461-10921 orders-0002-001", "0002 5461-10921 orders-0002-002",
			"0003 10922-16383 orders-0003-001", "0003 10922-16383 orders-0003-002"}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if e := g.ReplicationGroups[0].ConfigurationEndpoint; !strings.Contains(*e.Address, ".clustercfg.euw1.") || *e.Port != 6379 || !*g.ReplicationGroups[0].ClusterEnabled {
			t.Errorf("endpoint %+v", e)
		}
	})
}

func TestCreateGroupRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(in *awselasticache.CreateReplicationGroupInput)
		want string
	}{
		{"bad name", func(in *awselasticache.CreateReplicationGroupInput) { in.ReplicationGroupId = aws.String("a--b") }, "InvalidParameterValue"},
		{"long name", func(in *awselasticache.CreateReplicationGroupInput) {
			in.ReplicationGroupId = aws.String(strings.Repeat("a", 41))
		}, "InvalidParameterValue"},
		{"taken", func(in *awselasticache.CreateReplicationGroupInput) { in.ReplicationGroupId = aws.String("TAKEN") }, "ReplicationGroupAlreadyExists"},
		{"memcached", func(in *awselasticache.CreateReplicationGroupInput) { in.Engine = aws.String("memcached") }, "InvalidParameterValue"},
		{"engine", func(in *awselasticache.CreateReplicationGroupInput) { in.Engine = aws.String("mysql") }, "InvalidParameterValue"},
		{"node type", func(in *awselasticache.CreateReplicationGroupInput) { in.CacheNodeType = nil }, "InvalidParameterValue"},
		{"subnets", func(in *awselasticache.CreateReplicationGroupInput) { in.CacheSubnetGroupName = aws.String("none") }, "CacheSubnetGroupNotFoundFault"},
		{"parameters", func(in *awselasticache.CreateReplicationGroupInput) { in.CacheParameterGroupName = aws.String("none") }, "CacheParameterGroupNotFound"},
		{"no tiering on r6gd", func(in *awselasticache.CreateReplicationGroupInput) {
			in.CacheNodeType = aws.String("cache.r6gd.xlarge")
		}, "InvalidParameterCombination"},
		{"no failover", func(in *awselasticache.CreateReplicationGroupInput) { in.NumNodeGroups = aws.Int32(2) }, "InvalidParameterCombination"},
		{"mode and count", func(in *awselasticache.CreateReplicationGroupInput) {
			in.NumNodeGroups, in.ClusterMode = aws.Int32(2), ectypes.ClusterModeDisabled
		}, "InvalidParameterCombination"},
		{"too many replicas", func(in *awselasticache.CreateReplicationGroupInput) { in.NumCacheClusters = aws.Int32(7) }, "InvalidParameterValue"},
		{"zones", func(in *awselasticache.CreateReplicationGroupInput) {
			in.NumCacheClusters, in.PreferredCacheClusterAZs = aws.Int32(2), []string{"eu-west-1a"}
		}, "InvalidParameterCombination"},
		{"unknown snapshot", func(in *awselasticache.CreateReplicationGroupInput) { in.SnapshotName = aws.String("none") }, "SnapshotNotFoundFault"},
		{"too many nodes", func(in *awselasticache.CreateReplicationGroupInput) {
			in.NumNodeGroups, in.ReplicasPerNodeGroup, in.AutomaticFailoverEnabled = aws.Int32(31), aws.Int32(2), aws.Bool(true)
		}, "NodeQuotaForClusterExceeded"},
		{"quota", func(in *awselasticache.CreateReplicationGroupInput) { in.NumCacheClusters = aws.Int32(4) }, "NodeQuotaForCustomerExceeded"},
		{"tags", func(in *awselasticache.CreateReplicationGroupInput) {
			for i := range 51 {
				in.Tags = append(in.Tags, ectypes.Tag{Key: aws.String(fmt.Sprint("k", i)), Value: aws.String("")})
			}
		}, "TagQuotaPerResourceExceeded"},
		{"aws tag", func(in *awselasticache.CreateReplicationGroupInput) {
			in.Tags = []ectypes.Tag{{Key: aws.String("AWS:x"), Value: aws.String("")}}
		}, "InvalidParameterValue"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.group("taken", nil)
				b.sim.SetNodeQuota(b.world, 4)
				if c.want == "NodeQuotaForClusterExceeded" {
					b.sim.SetNodeQuota(b.world, 400)
				}
				in := &awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("fresh"), ReplicationGroupDescription: aws.String("d"), CacheNodeType: aws.String("cache.r7g.large")}
				c.edit(in)
				_, err := b.api.CreateReplicationGroup(b.Context(), in)
				b.code(err, c.want)
				if all := b.sim.Groups(b.world, account, region); len(all) != 1 {
					t.Errorf("%d groups", len(all))
				}
			})
		})
	}
}

func TestThrottling(t *testing.T) {
	bubble(t, func(b *bed) {
		for i := range 21 {
			_, err := b.api.DescribeSnapshots(b.Context(), &awselasticache.DescribeSnapshotsInput{})
			want := ""
			if i == 20 {
				want = "Throttling"
			}
			b.code(err, want)
		}
	})
}

func TestPlacesAreApart(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one", nil)
		for _, cfg := range []aws.Config{b.world.Config("444455556666", region), b.world.Config(account, "us-east-1")} {
			_, err := awselasticache.NewFromConfig(cfg).DescribeCacheClusters(b.Context(), &awselasticache.DescribeCacheClustersInput{CacheClusterId: aws.String("one")})
			b.code(err, "CacheClusterNotFound")
		}
	})
}

func TestNotSimulated(t *testing.T) {
	bubble(t, func(b *bed) {
		_, err := b.api.CreateReplicationGroup(b.Context(), &awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("g"),
			ReplicationGroupDescription: aws.String("d"), PrimaryClusterId: aws.String("one")})
		if err == nil || !strings.Contains(err.Error(), "not simulated") {
			t.Error(err)
		}
	})
}
