package elasticache_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/elasticache"
)

// sources makes a single cluster, a group without and one with cluster mode, and finished snapshots s-one, s-sessions and s-orders of them.
func (b *bed) sources() {
	b.Helper()
	b.cluster("one")
	b.group("sessions", 0, 1)
	b.group("orders", 2, 1)
	b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, "s-one"))
	b.ok(b.sim.AddSnapshots(b.world, account, region, "sessions", map[string]string{backup.TagSource: group("sessions").String()}, "s-sessions"))
	b.ok(b.sim.AddSnapshots(b.world, account, region, "orders", nil, "s-orders"))
}

func (b *bed) groupView(id string) *elasticachesim.GroupView {
	for _, g := range b.sim.Groups(b.world, account, region) {
		if g.ID == id {
			return &g
		}
	}
	return nil
}

func (b *bed) clusterView(id string) *elasticachesim.ClusterView {
	for _, c := range b.sim.Clusters(b.world, account, region) {
		if c.ID == id {
			return &c
		}
	}
	return nil
}

func TestRestoreShapes(t *testing.T) {
	yes := true
	two := int32(2)
	for _, c := range []struct {
		name, snapshot string
		options        elasticache.RestoreOptions
		// want: shards x nodes, roles of endpoints, made
		want string
	}{
		{"a cluster", "s-one", elasticache.RestoreOptions{}, "cluster; node:6379"},
		{"a cluster with settings", "s-one", elasticache.RestoreOptions{Port: 7000, NodeType: "cache.r7g.large", Zones: []string{region + "b"}, TransitEncryption: true, SubnetGroup: "default", EngineVersion: "7.2"},
			"cluster; node:7000"},
		{"a cluster as a group", "s-one", elasticache.RestoreOptions{As: elasticache.AsGroup}, "group off 1x1; primary:6379 reader:6379"},
		{"a group by its tag", "s-sessions", elasticache.RestoreOptions{ReplicasPerNodeGroup: &two, MultiAZ: true}, "group off 1x3; primary:6379 reader:6379"},
		{"a group with zones", "s-sessions", elasticache.RestoreOptions{ReplicasPerNodeGroup: aws.Int32(1), Zones: []string{region + "c", region + "a"}}, "group off 1x2; primary:6379 reader:6379"},
		{"cluster mode", "s-orders", elasticache.RestoreOptions{}, "group on 2x2; configuration:6379"},
		{"more shards", "s-orders", elasticache.RestoreOptions{NodeGroups: 4, ReplicasPerNodeGroup: aws.Int32(0)}, "group on 4x1; configuration:6379"},
		{"into cluster mode", "s-sessions", elasticache.RestoreOptions{ClusterMode: &yes}, "group on 1x2; configuration:6379"},
		{"into data tiering", "s-sessions", elasticache.RestoreOptions{NodeType: "cache.r6gd.xlarge"}, "group off 1x1; primary:6379 reader:6379"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.sources()
				o := c.options
				o.ID, o.SecurityGroups = "New-One", []string{"sg-1", "sg-2"}
				op := b.run(b.startRestore(snapshot(c.snapshot), o))
				b.succeeded(op)
				got := ""
				var tags map[string]string
				var groups []string
				if g := b.groupView("new-one"); g != nil {
					mode := "off"
					if g.ClusterMode {
						mode = "on"
					}
					got = fmt.Sprintf("group %s %dx%d", mode, len(g.Shards), len(g.Shards[0]))
					tags, groups = g.Tags, g.SecurityGroups
					if g.Status != "available" || g.From != c.snapshot || !g.AtRest || op.Made[0] != group("new-one") {
						t.Errorf("%+v, %v", g, op.Made)
					}
				} else if x := b.clusterView("new-one"); x != nil {
					got, tags, groups = "cluster", x.Tags, x.SecurityGroups
					if x.Status != "available" || x.From != c.snapshot || op.Made[0] != cluster("new-one") || len(o.Zones) > 0 && x.Zone != o.Zones[0] {
						t.Errorf("%+v, %v", x, op.Made)
					}
				}
				got += ";"
				for _, e := range op.Endpoints {
					got += fmt.Sprintf(" %s:%d", e.Role, e.Port)
					if e.ID != "new-one" || !strings.Contains(e.Host, "new-one") {
						t.Errorf("endpoint %+v", e)
					}
				}
				if got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				if tags[backup.TagToken] != op.ID || tags[backup.TagSource] != snapshot(c.snapshot).String() {
					t.Errorf("tags %v", tags)
				}
				if d := cmp.Diff([]string{"sg-1", "sg-2"}, groups); d != "" {
					t.Error(d)
				}
				if n := b.sent("CreateCacheCluster") + b.sent("CreateReplicationGroup"); n != 4 {
					t.Errorf("%d creates", n)
				}
			})
		})
	}
}

func TestRestoreRefusals(t *testing.T) {
	no := false
	for _, c := range []struct {
		name, snapshot string
		options        elasticache.RestoreOptions
		code           backup.Code
	}{
		{"another engine", "s-one", elasticache.RestoreOptions{Engine: "valkey"}, backup.ErrUnsupported},
		{"an earlier version", "s-one", elasticache.RestoreOptions{EngineVersion: "6.2"}, backup.ErrUnsupported},
		{"cluster mode off", "s-orders", elasticache.RestoreOptions{ClusterMode: &no}, backup.ErrUnsupported},
		{"cluster mode to a cluster", "s-orders", elasticache.RestoreOptions{As: elasticache.AsCluster}, backup.ErrUnsupported},
		{"tiering away", "s-tiered", elasticache.RestoreOptions{NodeType: "cache.r7g.large"}, backup.ErrUnsupported},
		{"a tiered cluster", "s-one", elasticache.RestoreOptions{NodeType: "cache.r6gd.xlarge"}, backup.ErrUnsupported},
		{"two zones for a cluster", "s-one", elasticache.RestoreOptions{Zones: []string{region + "a", region + "b"}}, backup.ErrUnsupported},
		{"zones with cluster mode", "s-orders", elasticache.RestoreOptions{Zones: []string{region + "a"}}, backup.ErrUnsupported},
		{"too few zones", "s-sessions", elasticache.RestoreOptions{ReplicasPerNodeGroup: aws.Int32(1), Zones: []string{region + "a"}}, backup.ErrUnsupported},
		{"multi-AZ without a replica", "s-sessions", elasticache.RestoreOptions{MultiAZ: true}, backup.ErrUnsupported},
		{"too many nodes", "s-orders", elasticache.RestoreOptions{NodeGroups: 251}, backup.ErrUnsupported},
		{"too long a name for a group", "s-orders", elasticache.RestoreOptions{ID: strings.Repeat("a", 45)}, backup.ErrUnsupported},
		{"a group of the name", "s-orders", elasticache.RestoreOptions{ID: "sessions"}, backup.ErrConflict},
		{"a cluster of the name", "s-one", elasticache.RestoreOptions{ID: "one"}, backup.ErrConflict},
		{"no snapshot", "s-none", elasticache.RestoreOptions{}, backup.ErrNotFound},
		{"a failed snapshot", "s-failed", elasticache.RestoreOptions{}, backup.ErrUnsupported},
		{"unknown subnets", "s-one", elasticache.RestoreOptions{SubnetGroup: "none"}, backup.ErrInvalid},
		{"unknown parameters", "s-one", elasticache.RestoreOptions{ParameterGroup: "none"}, backup.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.sources()
				b.group("tiered", 0, 0, func(in *awselasticache.CreateReplicationGroupInput) {
					in.CacheNodeType, in.DataTieringEnabled = aws.String("cache.r6gd.xlarge"), aws.Bool(true)
				})
				b.ok(b.sim.AddSnapshots(b.world, account, region, "tiered", nil, "s-tiered"))
				b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultAsync})
				_, err := b.api.CreateSnapshot(b.Context(), &awselasticache.CreateSnapshotInput{SnapshotName: aws.String("s-failed"), CacheClusterId: aws.String("one")})
				b.ok(err)
				time.Sleep(time.Hour)
				before := len(b.sim.Clusters(b.world, account, region))
				creates := b.sent("CreateCacheCluster") + b.sent("CreateReplicationGroup")
				o := c.options
				if o.ID == "" {
					o.ID = "new"
				}
				op := b.run(b.startRestore(snapshot(c.snapshot), o))
				b.failed(op, backup.PhaseFailed, c.code)
				if len(op.Made) != 0 || len(b.sim.Clusters(b.world, account, region)) != before {
					t.Errorf("made %v", op.Made)
				}
				// Only what AWS alone knows is left to AWS to refuse.
				if n := b.sent("CreateCacheCluster") + b.sent("CreateReplicationGroup") - creates; n != 0 && c.code != backup.ErrInvalid {
					t.Errorf("%d creates were sent", n)
				}
			})
		})
	}
}

func TestStartRestoreRefusals(t *testing.T) {
	b := newBed(t)
	no, yes := false, true
	good := func(edit func(o *elasticache.RestoreOptions)) backup.Options {
		o := elasticache.RestoreOptions{ID: "new", SecurityGroups: []string{"sg-1"}}
		edit(&o)
		return o
	}
	for _, c := range []struct {
		name    string
		options backup.Options
	}{
		{"none", nil},
		{"others", elasticache.DeleteOptions{}},
		{"no id", good(func(o *elasticache.RestoreOptions) { o.ID = "" })},
		{"bad id", good(func(o *elasticache.RestoreOptions) { o.ID = "a--b" })},
		{"long id", good(func(o *elasticache.RestoreOptions) { o.ID = strings.Repeat("a", 51) })},
		{"as", good(func(o *elasticache.RestoreOptions) { o.As = "cache" })},
		{"no security groups", good(func(o *elasticache.RestoreOptions) { o.SecurityGroups = nil })},
		{"a security group of no name", good(func(o *elasticache.RestoreOptions) { o.SecurityGroups = []string{"sg-"} })},
		{"a security group of hyphens", good(func(o *elasticache.RestoreOptions) { o.SecurityGroups = []string{"sg--1"} })},
		{"long security group", good(func(o *elasticache.RestoreOptions) { o.SecurityGroups = []string{"sg-" + strings.Repeat("1", 253)} })},
		{"a security group twice", good(func(o *elasticache.RestoreOptions) { o.SecurityGroups = []string{"sg-1", "sg-2", "sg-1"} })},
		{"multi-AZ without a replica", good(func(o *elasticache.RestoreOptions) {
			o.MultiAZ, o.ClusterMode, o.ReplicasPerNodeGroup = true, &yes, aws.Int32(0)
		})},
		{"TLS without subnets", good(func(o *elasticache.RestoreOptions) { o.TransitEncryption = true })},
		{"a key of another Region", good(func(o *elasticache.RestoreOptions) {
			o.KMSKeyID = "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555"
		})},
		{"bad security group", good(func(o *elasticache.RestoreOptions) { o.SecurityGroups = []string{"default"} })},
		{"zone", good(func(o *elasticache.RestoreOptions) { o.Zones = []string{"us-east-1a"} })},
		{"key", good(func(o *elasticache.RestoreOptions) { o.KMSKeyID = "k" })},
		{"port", good(func(o *elasticache.RestoreOptions) { o.Port = 70000 })},
		{"node groups", good(func(o *elasticache.RestoreOptions) { o.NodeGroups = 501 })},
		{"replicas", good(func(o *elasticache.RestoreOptions) { o.ReplicasPerNodeGroup = aws.Int32(6) })},
		{"shards without mode", good(func(o *elasticache.RestoreOptions) { o.NodeGroups, o.ClusterMode = 2, &no })},
		{"key and no encryption", good(func(o *elasticache.RestoreOptions) {
			o.KMSKeyID, o.AtRestUnencrypted = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555", true
		})},
		{"users without TLS", good(func(o *elasticache.RestoreOptions) { o.UserGroups = []string{"u"} })},
		{"a group's settings for a cluster", good(func(o *elasticache.RestoreOptions) { o.As, o.MultiAZ = elasticache.AsCluster, true })},
		{"node type", good(func(o *elasticache.RestoreOptions) { o.NodeType = "r7g.large" })},
		{"version", good(func(o *elasticache.RestoreOptions) { o.EngineVersion = "new" })},
		{"engine", good(func(o *elasticache.RestoreOptions) { o.Engine = "memcached" })},
		{"description", good(func(o *elasticache.RestoreOptions) { o.Description = strings.Repeat("a", 256) })},
	} {
		_, err := b.s.StartRestore(t.Context(), snapshot("s"), backup.Spec{Token: "t", Options: c.options})
		if backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := b.s.StartRestore(t.Context(), snapshot("s"), backup.Spec{Token: "t", Name: "x", Options: good(func(*elasticache.RestoreOptions) {})}); backup.CodeOf(err) != backup.ErrInvalid {
		t.Error(err)
	}
}

func TestRestoreFails(t *testing.T) {
	for _, c := range []struct{ name, snapshot, status string }{{"a cluster", "s-one", "restore-failed"}, {"a group", "s-orders", "create-failed"}} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.sources()
				b.world.Inject(awssim.Fault{Operation: "CreateCacheCluster", Kind: awssim.FaultAsync})
				b.world.Inject(awssim.Fault{Operation: "CreateReplicationGroup", Kind: awssim.FaultAsync})
				op := b.run(b.startRestore(snapshot(c.snapshot), elasticache.RestoreOptions{ID: "new"}))
				b.failed(op, backup.PhaseFailed, backup.ErrFailed)
				if !strings.Contains(op.Failure.Message, c.status) || len(op.Made) != 1 || op.Made[0].ID != "new" {
					t.Errorf("%+v, %v", op.Failure, op.Made)
				}
			})
		})
	}
}

func TestRestoreWaitsForTheSnapshot(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		_, err := b.api.CreateCacheCluster(b.Context(), &awselasticache.CreateCacheClusterInput{CacheClusterId: aws.String("other"), SnapshotName: aws.String("s-one")})
		b.ok(err)
		op := b.run(b.startRestore(snapshot("s-one"), elasticache.RestoreOptions{ID: "new"}))
		b.succeeded(op)
		if !findings(op)["elasticache.not-yet"] {
			t.Errorf("%+v", op.Findings)
		}
	})
}

func TestRestoreParksOnCapacity(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		b.world.Inject(awssim.Fault{Operation: "CreateReplicationGroup", Kind: awssim.FaultError, For: time.Hour,
			Error: awssim.Error{Code: "InsufficientCacheClusterCapacity", Message: "m"}})
		start := time.Now()
		b.succeeded(b.run(b.startRestore(snapshot("s-orders"), elasticache.RestoreOptions{ID: "new"})))
		if d := time.Since(start); d < time.Hour || d > 3*time.Hour {
			t.Errorf("took %v", d)
		}
	})
}

func TestRestoreOlderVersionsByParameterGroup(t *testing.T) {
	for version, want := range map[string]string{"6.2": "default.redis6.x.cluster.on", "5.0.6": "default.redis5.0.cluster.on", "7.1": "default.redis7.cluster.on"} {
		bubble(t, func(b *bed) {
			b.group("old", 1, 1, func(in *awselasticache.CreateReplicationGroupInput) {
				in.Engine, in.EngineVersion = aws.String("redis"), &version
			})
			b.ok(b.sim.AddSnapshots(b.world, account, region, "old", nil, "s"))
			b.succeeded(b.run(b.startRestore(snapshot("s"), elasticache.RestoreOptions{ID: "new"})))
			if g := b.groupView("new"); g.ParameterGroup != want || !g.ClusterMode {
				t.Errorf("version %s: %+v", version, g)
			}
		})
	}
}

func TestRestoreAdopts(t *testing.T) {
	t.Run("what it made itself", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.sources()
			first := b.run(b.startRestore(snapshot("s-orders"), elasticache.RestoreOptions{ID: "new"}))
			b.succeeded(first)
			op := b.startRestore(snapshot("s-orders"), elasticache.RestoreOptions{ID: "new"})
			op.Unstored = true
			op = b.run(op)
			b.succeeded(op)
			if n := b.sent("CreateReplicationGroup"); n != 3 || op.Made[0] != first.Made[0] || len(op.Endpoints) != 1 {
				t.Errorf("sent %d times; %v", n, op.Made)
			}
		})
	})
	t.Run("when AWS tells its tags only when it is available", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.sources()
			b.world.Inject(awssim.Fault{Operation: "CreateReplicationGroup", Kind: awssim.FaultLostReply})
			late := b.world.Inject(awssim.Fault{Operation: "ListTagsForResource", Skip: 1, Kind: awssim.FaultError, For: 12 * time.Minute,
				Error: awssim.Error{Code: "ReplicationGroupNotFoundFault", Message: "m", Status: 404}})
			b.succeeded(b.run(b.startRestore(snapshot("s-orders"), elasticache.RestoreOptions{ID: "new"})))
			if n := b.sent("CreateReplicationGroup"); n != 3 || late.Fired() < 3 {
				t.Errorf("sent %d times, late %d times", n, late.Fired())
			}
		})
	})
	t.Run("not what took the id meanwhile", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.sources()
			for _, name := range []string{"s-one", "s-orders"} {
				op := b.startRestore(snapshot(name), elasticache.RestoreOptions{ID: "new"})
				op, err := step(b.TB, b.s, op)
				b.ok(err)
				if name == "s-one" {
					b.cluster("new")
				} else {
					b.group("new", 0, 0)
				}
				op = b.run(op)
				b.failed(op, backup.PhaseFailed, backup.ErrConflict)
				if len(op.Made) != 0 {
					t.Errorf("made %v", op.Made)
				}
				if name == "s-one" {
					_, err = b.api.DeleteCacheCluster(b.Context(), &awselasticache.DeleteCacheClusterInput{CacheClusterId: aws.String("new")})
					b.ok(err)
					time.Sleep(time.Hour)
				}
			}
		})
	})
	t.Run("not what can not be seen", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.sources()
			b.group("new", 0, 0)
			b.world.Inject(awssim.Fault{Operation: "DescribeReplicationGroups", Kind: awssim.FaultBlind, Back: 1000 * time.Hour, Times: -1})
			b.failed(b.run(b.startRestore(snapshot("s-orders"), elasticache.RestoreOptions{ID: "new"})), backup.PhaseFailed, backup.ErrConflict)
		})
	})
}

func TestRestoreAdoptsWhatItDidNotSee(t *testing.T) {
	for _, name := range []string{"s-one", "s-orders"} {
		bubble(t, func(b *bed) {
			b.sources()
			op := b.startRestore(snapshot(name), elasticache.RestoreOptions{ID: "new"})
			op.Unstored = true
			op, err := step(b.TB, b.s, op)
			b.ok(err)
			twin := op
			b.succeeded(b.run(op))
			// The twin's look before it sends sees nothing, and AWS says that the id is taken.
			operation := map[string]string{"s-one": "DescribeCacheClusters", "s-orders": "DescribeReplicationGroups"}[name]
			b.world.Inject(awssim.Fault{Operation: operation, Kind: awssim.FaultBlind, Back: 100 * time.Hour})
			looks := 0
			twin = b.run(twin, func(op backup.Operation) {
				if op.Stage == "wait" {
					looks++
				}
			})
			b.succeeded(twin)
			if len(twin.Made) != 1 || len(twin.Endpoints) != 1 || looks != 2 {
				t.Errorf("made %v, endpoints %v, %d looks", twin.Made, twin.Endpoints, looks)
			}
		})
	}
}

func TestRestoreWithSomebodyElse(t *testing.T) {
	for _, c := range []struct {
		name string
		act  func(b *bed)
		code backup.Code
	}{
		{"deletes it", func(b *bed) {
			time.Sleep(4 * time.Hour)
			_, err := b.api.DeleteReplicationGroup(b.Context(), &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String("new")})
			b.ok(err)
		}, backup.ErrFailed},
		{"has deleted it", func(b *bed) {
			time.Sleep(4 * time.Hour)
			_, err := b.api.DeleteReplicationGroup(b.Context(), &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String("new")})
			b.ok(err)
			time.Sleep(4 * time.Hour)
		}, backup.ErrFailed},
		{"takes its tags", func(b *bed) {
			_, err := b.api.AddTagsToResource(b.Context(), &awselasticache.AddTagsToResourceInput{ResourceName: aws.String(b.groupView("new").ARN),
				Tags: []ectypes.Tag{{Key: aws.String(backup.TagToken), Value: aws.String("stolen")}}})
			b.ok(err)
		}, backup.ErrConflict},
		{"holds it", func(b *bed) {
			b.ok(b.sim.Hold(b.world, account, region, "new", "levitating", time.Hour))
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.sources()
				acted := false
				op := b.run(b.startRestore(snapshot("s-orders"), elasticache.RestoreOptions{ID: "new"}), func(op backup.Operation) {
					if !acted && op.Stage == "wait" {
						acted = true
						c.act(b)
					}
				})
				if c.code == "" {
					b.succeeded(op)
					if !findings(op)["elasticache.unknown-status"] {
						t.Errorf("%+v", op.Findings)
					}
					return
				}
				b.failed(op, backup.PhaseFailed, c.code)
				if len(op.Made) != 1 {
					t.Errorf("made %v", op.Made)
				}
			})
		})
	}
}

// What a call made that was perhaps sent appears after the settle window, and the snapshot is gone by then.
func TestRestoreLooksForWhatItMadeFirst(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		b.world.SetLag(8 * time.Minute)
		b.world.Inject(awssim.Fault{Operation: "CreateCacheCluster", Kind: awssim.FaultLostReply})
		settled, gone := false, false
		op := b.run(b.startRestore(snapshot("s-one"), elasticache.RestoreOptions{ID: "new"}), func(op backup.Operation) {
			settled = settled || op.Stage == "settle"
			if settled && !gone && op.Stage == "look" {
				gone = true
				b.ok(b.sim.Vanish(b.world, account, region, "s-one"))
				time.Sleep(3 * time.Minute)
			}
		})
		b.succeeded(op)
		if !gone || len(op.Made) != 1 {
			t.Errorf("gone %v, made %v", gone, op.Made)
		}
	})
}

func TestRestoreLooksOnceWithoutAStore(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		op := b.startRestore(snapshot("s-one"), elasticache.RestoreOptions{ID: "new"})
		op.Unstored = true
		twin := op
		op, err := step(b.TB, b.s, op)
		b.ok(err)
		b.succeeded(b.run(twin))
		b.succeeded(b.run(op))
		if n := b.sent("CreateCacheCluster"); n != 2 { // the source and the restore
			t.Errorf("%d creates", n)
		}
	})
}
