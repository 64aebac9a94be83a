package rds_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/sweep"
	"github.com/snapwarden/snapwarden/rds"
)

// copyFlow copies a snapshot, of an instance or of a cluster, to another Region, where every call that changes something must be.
func copyFlow(name string, cluster bool) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		var point backup.Ref
		if cluster {
			point = b.seededCluster("nightly")
		} else {
			point = b.seeded("nightly")
		}
		key := b.keyIn(far)
		return sweep.Subject{World: b.world, Account: account, Region: far, MayFail: true,
			Strategy: func(cfg aws.Config) backup.Strategy {
				return everywhere(cfg, func(o *rds.Options) { o.PollMin, o.PollMax = time.Minute, 10*time.Minute })
			},
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*rds.Strategy).StartCopy(ctx, point, backup.Destination{Region: far, KMSKeyID: key}, backup.Spec{Token: "tonight", Name: "far"})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				made := b.copies(far, op.ID)
				if op.Phase == backup.PhaseSucceeded && (len(made) != 1 || made[0].Status != "available" || made[0].KMSKeyID != key) {
					bad = append(bad, fmt.Sprintf("I3 I6: success with %+v", made))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				made := b.copies(far, op.ID)
				if len(made) != 1 || len(op.Points) != 1 || op.Points[0].Region != far || op.Points[0].ID != made[0].ID {
					bad = append(bad, fmt.Sprintf("I1 I17: %v made, %v listed", made, op.Points))
				}
				return bad
			},
		}
	}}
}
