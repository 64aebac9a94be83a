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

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/internal/sweep"
)

func rebuildFlow(name string, shards int32) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := sweptBed(t, shards)
		spec := b.likewise(group("sessions"))
		spec.Token = "tonight"
		made := b.madeAt("sessions")
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
				return s.(*elasticache.Strategy).StartRebuild(ctx, group("sessions"), spec)
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				g, s := b.groupNamed("sessions"), good(op)
				if op.Phase == backup.PhaseSucceeded && (g.Status != "available" || !g.Made.After(made) || len(op.Endpoints) == 0 || s == nil || g.From != s.Name) {
					bad = append(bad, fmt.Sprintf("I3: success with %+v", g))
				}
				if b.deletions() > 0 && s == nil {
					bad = append(bad, "I4: deleted, and there is no good snapshot")
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				g, s := b.groupNamed("sessions"), good(op)
				if s == nil && (g.ID == "" || g.Status == "create-failed" || g.Made.After(made)) {
					bad = append(bad, "I4: nothing is left")
				}
				applied := 0
				for _, c := range b.world.Calls() {
					if c.Operation == "DeleteReplicationGroup" && c.Applied {
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
				if g.Made.After(made) && !slices.Contains(op.Made, group("sessions")) {
					bad = append(bad, "I17: the new group is listed nowhere")
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
		}, backup.ErrPartial},
		"AWS tells no slots": {func(result any) {
			if out, ok := result.(*awselasticache.DescribeSnapshotsOutput); ok {
				for _, s := range out.Snapshots {
					for i := range s.NodeSnapshots {
						s.NodeSnapshots[i].NodeGroupConfiguration = nil
					}
				}
			}
		}, backup.ErrPartial},
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
					b.ok(func() error {
						if backup.CodeOf(op.Err()) != c.code {
							return op.Err()
						}
						return nil
					}())
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
