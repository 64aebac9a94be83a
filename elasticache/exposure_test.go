package elasticache_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
)

// meddled gives a Strategy whose calls for a group reach AWS as edit leaves them.
func (b *bed) meddled(edit func(in *awselasticache.CreateReplicationGroupInput)) *elasticache.Strategy {
	cfg := b.world.Config(account, region)
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Meddle", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			if x, ok := in.Parameters.(*awselasticache.CreateReplicationGroupInput); ok {
				edit(x)
			}
			return next.HandleInitialize(ctx, in)
		}), middleware.Before)
	})
	return elasticache.NewFromConfig(cfg)
}

// A restore whose result is more exposed than asked for is a failure that says where it is.
func TestRestoreMoreExposedThanAsked(t *testing.T) {
	secure := elasticache.RestoreOptions{TransitEncryption: true, SubnetGroup: "default"}
	expose := func(id string, groups ...string) func(*bed) {
		return func(b *bed) { b.ok(b.sim.Expose(b.world, account, region, id, groups...)) }
	}
	for _, c := range []struct {
		name, snapshot string
		options        elasticache.RestoreOptions
		meddle         func(in *awselasticache.CreateReplicationGroupInput)
		act            func(b *bed)
		says           string
	}{
		{"another security group", "s-sessions", elasticache.RestoreOptions{}, nil, expose("new", "sg-open"), "sg-open"},
		{"one more security group", "s-sessions", elasticache.RestoreOptions{}, nil, expose("new", "sg-new", "sg-open"), "sg-open"},
		{"of one member of many", "s-orders", elasticache.RestoreOptions{}, nil, expose("new-0002-001", "sg-open"), "new-0002-001"},
		{"of a cluster", "s-one", elasticache.RestoreOptions{}, nil, expose("new", "sg-open"), "sg-open"},
		{"the subnet group", "s-sessions", elasticache.RestoreOptions{SubnetGroup: "inner"}, func(in *awselasticache.CreateReplicationGroupInput) { in.CacheSubnetGroupName = nil }, nil, "inner"},
		{"encryption in transit", "s-sessions", secure, func(in *awselasticache.CreateReplicationGroupInput) { in.TransitEncryptionEnabled = nil }, nil, "in transit"},
		{"encryption at rest", "s-sessions", secure, func(in *awselasticache.CreateReplicationGroupInput) { in.AtRestEncryptionEnabled = aws.Bool(false) }, nil, "at rest"},
		{"the key", "s-sessions", elasticache.RestoreOptions{KMSKeyID: "arn:aws:kms:eu-west-1:444455556666:key/11111111-2222-3333-4444-555555555555"},
			func(in *awselasticache.CreateReplicationGroupInput) { in.KmsKeyId = nil }, nil, "KMS key"},
		{"cluster mode", "s-sessions", elasticache.RestoreOptions{}, func(in *awselasticache.CreateReplicationGroupInput) {
			in.ClusterMode, in.NumCacheClusters, in.NumNodeGroups, in.AutomaticFailoverEnabled = ectypes.ClusterModeEnabled, nil, aws.Int32(1), aws.Bool(true)
		}, nil, "cluster mode"},
		{"as asked", "s-sessions", secure, nil, nil, ""},
		{"as asked, in another order", "s-sessions", elasticache.RestoreOptions{SecurityGroups: []string{"sg-2", "sg-1"}}, nil, expose("new", "sg-1", "sg-2"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.sources()
				_, err := b.api.CreateCacheSubnetGroup(b.Context(), &awselasticache.CreateCacheSubnetGroupInput{CacheSubnetGroupName: aws.String("inner"),
					CacheSubnetGroupDescription: aws.String("d"), SubnetIds: []string{"subnet-0a"}})
				b.ok(err)
				if c.meddle != nil {
					b.s = b.meddled(c.meddle)
				}
				o, acted := c.options, false
				o.ID = "new"
				op := b.run(b.startRestore(snapshot(c.snapshot), o), func(op backup.Operation) {
					if c.act != nil && !acted && op.Stage == "wait" {
						acted = true
						c.act(b)
					}
				})
				if c.says == "" {
					b.succeeded(op)
					return
				}
				b.failed(op, backup.PhaseFailed, backup.ErrFailed)
				if !strings.Contains(op.Failure.Message, c.says) || op.Failure.Hint == "" || len(op.Made) != 1 || len(op.Endpoints) == 0 {
					t.Errorf("%+v, made %v, endpoints %v", op.Failure, op.Made, op.Endpoints)
				}
			})
		})
	}
}

// A member that is not visible is waited for, and then the restore says that it was not compared.
func TestRestoreWithMembersThatCanNotBeSeen(t *testing.T) {
	for _, name := range []string{"s-sessions", "s-orders"} {
		for _, times := range []int{2, -1} {
			bubble(t, func(b *bed) {
				b.sources()
				b.world.Inject(awssim.Fault{Operation: "DescribeCacheClusters", Kind: awssim.FaultBlind, Back: 500 * time.Hour, Times: times})
				op := b.run(b.startRestore(snapshot(name), elasticache.RestoreOptions{ID: "new"}))
				b.succeeded(op)
				if findings(op)["elasticache.unseen-member"] != (times < 0) {
					t.Errorf("%s, %d blind looks: %+v", name, times, op.Findings)
				}
			})
		}
	}
}

// AWS tells versions with their patch, and takes them without.
func TestRestoreVersions(t *testing.T) {
	for _, c := range []struct{ engine, version, told, sent string }{
		{"redis", "7.0", "7.0.7", "7.0"}, {"redis", "6.2", "6.2.6", "6.2"}, {"redis", "5.0.6", "5.0.6", "5.0.6"}, {"valkey", "8.0", "8.0.1", "8.0"},
	} {
		bubble(t, func(b *bed) {
			b.group("old", 0, 1, func(in *awselasticache.CreateReplicationGroupInput) {
				in.Engine, in.EngineVersion = &c.engine, &c.version
			})
			op := b.run(b.start(group("old"), backup.Spec{Name: "mine"}))
			b.succeeded(op)
			for p, err := range b.s.List(b.Context(), query()) {
				b.ok(err)
				if p.EngineVersion != c.told {
					t.Errorf("the snapshot has %s, want %s", p.EngineVersion, c.told)
				}
			}
			b.succeeded(b.run(b.startRestore(op.Points[0], elasticache.RestoreOptions{ID: "new"})))
			calls := b.world.Calls()
			b.succeeded(b.run(b.startRestore(op.Points[0], elasticache.RestoreOptions{ID: "again", As: elasticache.AsCluster, EngineVersion: c.told})))
			for _, call := range append(calls, b.world.Calls()[len(calls):]...) {
				switch in := call.Input.(type) {
				case *awselasticache.CreateReplicationGroupInput:
					if v := aws.ToString(in.EngineVersion); *in.ReplicationGroupId == "new" && v != c.sent {
						t.Errorf("%s %s: %q was sent", c.engine, c.version, v)
					}
				case *awselasticache.CreateCacheClusterInput:
					if v := aws.ToString(in.EngineVersion); v != c.sent {
						t.Errorf("%s %s: %q was sent for a cluster", c.engine, c.version, v)
					}
				}
			}
		})
	}
}

// A long name makes no call that AWS must refuse.
func TestRestoreOfALongName(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one")
		name := strings.Repeat("a", 250)
		b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, name))
		b.succeeded(b.run(b.startRestore(snapshot(name), elasticache.RestoreOptions{ID: "new", As: elasticache.AsGroup})))
		for _, call := range b.world.Calls() {
			if in, ok := call.Input.(*awselasticache.CreateReplicationGroupInput); ok {
				if d := aws.ToString(in.ReplicationGroupDescription); len(d) != 255 || !strings.HasPrefix(d, "restored from aaa") {
					t.Errorf("a description of %d bytes: %s", len(d), d)
				}
			}
		}
	})
}
