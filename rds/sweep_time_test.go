package rds_test

import (
	"context"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/sweep"
	"github.com/snapwarden/snapwarden/rds"
)

// timeFlow restores an instance to an hour ago.
func timeFlow() sweep.Workflow {
	w := restoreFlow()
	setup := w.Setup
	w.Name = "rds-time-restore"
	w.Setup = func(t testing.TB, ctx context.Context) sweep.Subject {
		s := setup(t, ctx)
		s.Strategy = patient
		time.Sleep(3 * time.Hour)
		at := time.Now().Add(-time.Hour)
		s.Start = func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
			return s.(*rds.Strategy).StartRestoreToTime(ctx, rds.Instance(account, region, "orders"), at, backup.Spec{Token: "tonight", Options: options()})
		}
		return s
	}
	return w
}

// clusterTimeFlow restores a cluster to its latest time.
func clusterTimeFlow() sweep.Workflow {
	w := clusterRestoreFlow()
	setup := w.Setup
	w.Name = "rds-cluster-time-restore"
	w.Setup = func(t testing.TB, ctx context.Context) sweep.Subject {
		s := setup(t, ctx)
		s.Start = func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
			return s.(*rds.Strategy).StartRestoreToTime(ctx, mainCluster, time.Time{}, backup.Spec{Token: "tonight", Options: clusterOptions()})
		}
		return s
	}
	return w
}
