package elasticache_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/internal/sweep"
)

// standing is what is there under an id, a group or a cluster.
type standing struct {
	status, from string
	made         time.Time
}

func (b *bed) standing(r backup.Ref) (v standing) {
	if r.Type == elasticache.TypeCluster {
		if c := b.clusterView(r.ID); c != nil {
			v = standing{c.Status, c.From, c.Made}
		}
	} else if g := b.groupView(r.ID); g != nil {
		v = standing{g.Status, g.From, g.Made}
	}
	return v
}

func rebuildFlow(name string, r backup.Ref, shards int32) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		var b *bed
		if r.Type == elasticache.TypeCluster {
			b = sweptCluster(t)
		} else {
			b = sweptBed(t, shards)
		}
		spec := b.likewise(r)
		spec.Token = "tonight"
		made := b.standing(r).made
		good := func(op backup.Operation) *elasticachesim.SnapshotView {
			for _, s := range b.snapshots() {
				if slices.Contains(op.Points, snapshot(s.Name)) && (s.Status == "available" || s.Status == "restoring") && len(s.Shards) == int(shards) {
					return &s
				}
			}
			return nil
		}
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newPatientStrategy, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*elasticache.Strategy).StartRebuild(ctx, r, spec)
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				v, s := b.standing(r), good(op)
				if op.Phase == backup.PhaseSucceeded && (v.status != "available" || !v.made.After(made) || len(op.Endpoints) == 0 || s == nil || v.from != s.Name) {
					bad = append(bad, fmt.Sprintf("I3: success with %+v", v))
				}
				if b.deletions() > 0 && s == nil {
					bad = append(bad, "I4: deleted, and there is no good snapshot")
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				v, s := b.standing(r), good(op)
				if s == nil && (v.status != "available" || v.made.After(made)) {
					bad = append(bad, "I4: nothing is left")
				}
				applied := 0
				for _, c := range b.world.Calls() {
					if (c.Operation == "DeleteReplicationGroup" || c.Operation == "DeleteCacheCluster") && c.Applied {
						applied++
						if s == nil || c.Time.Before(s.Ready) {
							bad = append(bad, "I14: it was deleted before the snapshot was good")
						}
					}
				}
				if applied > 1 {
					bad = append(bad, fmt.Sprintf("I8: %d deletions took effect", applied))
				}
				if all := b.snapshots(); len(all) > 1 {
					bad = append(bad, fmt.Sprintf("I1: %d snapshots", len(all)))
				}
				for _, s := range b.snapshots() {
					if !slices.Contains(op.Points, snapshot(s.Name)) {
						bad = append(bad, "I17: "+s.Name+" is listed nowhere")
					}
				}
				if v.made.After(made) && !slices.Contains(op.Made, r) {
					bad = append(bad, "I17: the new one is listed nowhere")
				}
				return bad
			},
		}
	}}
}

// alter has every answer to a call changed before the strategy sees it.
func alter(cfg aws.Config, change func(result any)) aws.Config {
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Alter", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, md, err := next.HandleInitialize(ctx, in)
			if err == nil {
				change(out.Result)
			}
			return out, md, err
		}), middleware.Before)
	})
	return cfg
}

// A snapshot that AWS calls available, and whose hash slots are not all there, is no reason to delete anything; nor is a group without a time.
func TestRebuildOfAShortSnapshot(t *testing.T) {
	for name, c := range map[string]struct {
		change func(result any)
		code   backup.Code
	}{
		"slots are missing": {func(result any) {
			if out, ok := result.(*awselasticache.DescribeSnapshotsOutput); ok {
				for _, s := range out.Snapshots {
					for i := range s.NodeSnapshots {
						if n := s.NodeSnapshots[i].NodeGroupConfiguration; n != nil && *n.Slots == "8192-16383" {
							n.Slots = aws.String("8192-16000")
						}
					}
				}
			}
		}, backup.ErrFailed},
		"AWS tells no slots": {func(result any) {
			if out, ok := result.(*awselasticache.DescribeSnapshotsOutput); ok {
				for _, s := range out.Snapshots {
					for i := range s.NodeSnapshots {
						s.NodeSnapshots[i].NodeGroupConfiguration = nil
					}
				}
			}
		}, backup.ErrFailed},
		"a global datastore": {func(result any) {
			if out, ok := result.(*awselasticache.DescribeReplicationGroupsOutput); ok {
				for i := range out.ReplicationGroups {
					out.ReplicationGroups[i].GlobalReplicationGroupInfo = &ectypes.GlobalReplicationGroupInfo{GlobalReplicationGroupId: aws.String("world")}
				}
			}
		}, backup.ErrUnsupported},
		"no time of creation": {func(result any) {
			if out, ok := result.(*awselasticache.DescribeReplicationGroupsOutput); ok {
				for i := range out.ReplicationGroups {
					out.ReplicationGroups[i].ReplicationGroupCreateTime = nil
				}
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.group("orders", 2, 1)
				b.s = elasticache.NewFromConfig(alter(b.world.Config(account, region), c.change))
				op := b.startRebuild(group("orders"))
				if c.code == "" {
					for range 20 {
						var err error
						op, err = step(b.TB, b.s, op)
						b.ok(err)
						time.Sleep(time.Until(op.Poll))
					}
					if op.Stage != "look" || !findings(op)["elasticache.not-yet"] {
						t.Errorf("%+v", op)
					}
				} else {
					op = b.run(op)
					b.failed(op, backup.PhaseFailed, c.code)
				}
				if b.deletions() != 0 {
					t.Error("deleted")
				}
			})
		})
	}
}

// The token of a rebuild is given when the calls are made, and is in no Operation on the way.
func TestRebuildWithAnAuthToken(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("orders", 2, 0, func(in *awselasticache.CreateReplicationGroupInput) {
			in.TransitEncryptionEnabled, in.AuthToken = aws.Bool(true), aws.String(canary)
		})
		b.withAuth(b.world.Config(account, region), giveCanary)
		op := b.run(b.startRebuild(group("orders")), func(op backup.Operation) {
			if text, err := json.Marshal(op); err != nil || strings.Contains(string(text), canary[:6]) {
				t.Errorf("stage %s: %v, %s", op.Stage, err, text)
			}
		})
		b.succeeded(op)
		if b.groupView("orders").AuthToken != canary {
			t.Error("it was not set")
		}
	})
}

// A backup that is short is the end of the rebuild, and not a rebuild that is partly done.
func TestRebuildAfterAShortBackup(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("orders", 2, 1)
		b.s = elasticache.NewFromConfig(alter(b.world.Config(account, region), func(result any) {
			if out, ok := result.(*awselasticache.DescribeSnapshotsOutput); ok {
				for i := range out.Snapshots {
					out.Snapshots[i].NodeSnapshots = out.Snapshots[i].NodeSnapshots[:1]
				}
			}
		}))
		op := b.run(b.startRebuild(group("orders")))
		b.failed(op, backup.PhaseFailed, backup.ErrFailed)
		if len(op.Points) != 1 || b.deletions() != 0 || !strings.Contains(op.Failure.Message, "0002") {
			t.Errorf("%v, %+v", op.Points, op.Failure)
		}
	})
}

// The new group has the tags of the old one; what the caller says counts more, and what is AWS's or the library's is not carried over.
func TestRebuildKeepsTags(t *testing.T) {
	tags := func(m map[string]string) func(*awselasticache.CreateReplicationGroupInput) {
		return func(in *awselasticache.CreateReplicationGroupInput) {
			for k, v := range m {
				in.Tags = append(in.Tags, ectypes.Tag{Key: &k, Value: &v})
			}
		}
	}
	many, long := map[string]string{}, map[string]string{}
	for i := range 47 {
		many[fmt.Sprint("k", i)] = "v"
	}
	for i := range 20 {
		long[fmt.Sprint("k", i)] = strings.Repeat("v", 250)
	}
	for _, c := range []struct {
		name string
		old  map[string]string
		drop bool
		want map[string]string
	}{
		{"kept", map[string]string{"team": "old", "cost": "7", "snapwarden:owner": "nobody"}, false, map[string]string{"team": "new", "cost": "7", "snapwarden:owner": "snapwarden"}},
		{"dropped", map[string]string{"team": "old", "cost": "7"}, true, map[string]string{"team": "new", "snapwarden:owner": "snapwarden"}},
		{"too many", many, false, nil},
		{"too many, dropped", many, true, map[string]string{"team": "new", "snapwarden:owner": "snapwarden"}},
		{"too long", long, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.group("orders", 2, 0, tags(c.old))
				spec := b.likewise(group("orders"))
				o := spec.Options.(elasticache.RebuildOptions)
				o.DropTags = c.drop
				spec.Options, spec.Tags = o, map[string]string{"team": "new"}
				op, err := b.s.StartRebuild(b.Context(), group("orders"), spec)
				b.ok(err)
				found, err := b.s.Preflight(b.Context(), op)
				b.ok(err)
				if bad := found[0].Severity == backup.SeverityError; bad != (c.want == nil) {
					t.Errorf("preflight %+v", found)
				}
				op = b.run(op)
				if c.want == nil {
					b.failed(op, backup.PhaseFailed, backup.ErrInvalid)
					if b.deletions() != 0 || len(op.Points) != 0 {
						t.Errorf("%d deletions, points %v", b.deletions(), op.Points)
					}
					return
				}
				b.succeeded(op)
				got := b.groupView("orders").Tags
				for _, k := range []string{backup.TagToken, backup.TagSource, backup.TagCreated} {
					if got[k] == "" {
						t.Errorf("no tag %s", k)
					}
					delete(got, k)
				}
				if d := cmp.Diff(c.want, got); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// An old answer that shows the snapshot while it was made, or not at all, delays the deletion and ends nothing.
func TestRebuildUnderAnOldSnapshot(t *testing.T) {
	for _, back := range []time.Duration{20 * time.Second, time.Minute, 2 * time.Minute, 10 * time.Minute} {
		for _, stage := range []string{"verify", "delete"} {
			t.Run(stage+" "+back.String(), func(t *testing.T) {
				bubble(t, func(b *bed) {
					b.group("orders", 2, 1)
					var old *awssim.Injected
					op := b.run(b.startRebuild(group("orders")), b.keepsData("orders", 2), func(op backup.Operation) {
						if op.Stage == stage && old == nil {
							old = b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Kind: awssim.FaultStale, Back: back})
						}
					})
					b.succeeded(op)
					if b.deletions() != 1 || old.Fired() != 1 {
						t.Errorf("%d deletions", b.deletions())
					}
				})
			})
		}
	}
}
