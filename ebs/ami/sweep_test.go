package ami_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs/ami"
	"github.com/snapwarden/snapwarden/internal/sweep"
)

// makeFlow is a workflow that makes one image of two snapshots in a Region.
func makeFlow(name, at string, strategy func(aws.Config) backup.Strategy, start func(t testing.TB, ctx context.Context, b *bench) func(context.Context, backup.Strategy) (backup.Operation, error)) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		return sweep.Subject{World: b.world, Account: account, Region: at, Strategy: strategy, MayFail: true, Start: start(t, ctx, b),
			AtEnd: func(op backup.Operation) (bad []string) {
				if op.Phase != backup.PhaseSucceeded {
					return nil
				}
				images, snapshots := b.made(op, at)
				if len(images) == 0 || images[0].State != "available" {
					bad = append(bad, fmt.Sprintf("I3: success with %v", images))
				}
				for _, s := range snapshots {
					if s.State != "completed" {
						bad = append(bad, "I3: success with "+s.ID+" "+string(s.State))
					}
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				images, snapshots := b.made(op, at)
				if len(images) != 1 || len(snapshots) != 2 {
					return []string{fmt.Sprintf("I1: %d images and %d snapshots carry the token, wanted 1 and 2", len(images), len(snapshots))}
				}
				if !slices.Contains(op.Points, ami.Image(account, at, images[0].ID)) {
					bad = append(bad, "I17: "+images[0].ID+" is listed nowhere")
				}
				if images[0].Rebooted {
					bad = append(bad, "the instance was rebooted and nobody asked for it")
				}
				return bad
			},
		}
	}}
}

func backupFlow() sweep.Workflow {
	return makeFlow("ami-backup", region, newStrategy, func(_ testing.TB, _ context.Context, b *bench) func(context.Context, backup.Strategy) (backup.Operation, error) {
		return func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
			return s.Start(ctx, b.instance, backup.Spec{Token: "tonight", Tags: map[string]string{"team": "orders"}})
		}
	})
}

func copyFlow() sweep.Workflow {
	return makeFlow("ami-copy", elsewhere, newAnywhere, func(t testing.TB, ctx context.Context, b *bench) func(context.Context, backup.Strategy) (backup.Operation, error) {
		point := b.imaged(t, ctx, "before")
		return func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
			return s.(*ami.Strategy).StartCopy(ctx, point, backup.Destination{Region: elsewhere}, backup.Spec{Token: "tonight"})
		}
	})
}

func deleteFlow() sweep.Workflow {
	return sweep.Workflow{Name: "ami-delete", Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		point := b.imaged(t, ctx, "before")
		other := b.imaged(t, ctx, "other")
		alone, err := b.client.CreateSnapshot(ctx, &awsec2.CreateSnapshotInput{VolumeId: &b.ec2.Volumes(b.world, account, region)[0].ID})
		if err != nil {
			t.Fatal(err)
		}
		live := func() (images, snapshots []string) {
			for _, m := range b.ec2.Images(b.world, account, region) {
				if !m.Gone {
					images = append(images, m.ID)
				}
			}
			for _, s := range b.ec2.Snapshots(b.world, account, region) {
				if !s.Gone && s.ID != *alone.SnapshotId {
					snapshots = append(snapshots, s.ID)
				}
			}
			return images, snapshots
		}
		check := func() []string {
			if images, snapshots := live(); len(images) != 1 || images[0] != other.ID || len(snapshots) != 2 {
				return []string{fmt.Sprintf("I4 I8: %v and %v exist, wanted only %s and its two snapshots", images, snapshots, other.ID)}
			}
			return nil
		}
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*ami.Strategy).StartDelete(ctx, point, backup.Spec{Token: "tonight"})
			},
			AtEnd: func(op backup.Operation) []string {
				if op.Phase != backup.PhaseSucceeded {
					return nil
				}
				return check()
			},
			Quiet: func(backup.Operation) []string { return check() },
		}
	}}
}

func TestSweepSingles(t *testing.T) {
	for _, w := range []sweep.Workflow{backupFlow(), copyFlow(), deleteFlow(), cancelFlow()} {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel() // each run is in a bubble of its own
			sweep.Singles(t, w).Check(t)
		})
	}
}

func TestSweepReplay(t *testing.T) { sweep.Replay(t, backupFlow()) }
