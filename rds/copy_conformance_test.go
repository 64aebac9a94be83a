package rds_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/backuptest"
	"github.com/snapwarden/snapwarden/rds"
)

// copying is a Strategy whose Start copies within the Region.
type copying struct{ s *rds.Strategy }

func (c copying) Kind() string { return c.s.Kind() }

func (c copying) Start(ctx context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	return c.s.StartCopy(ctx, r, backup.Destination{}, spec)
}

func (c copying) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	return c.s.Step(ctx, op)
}

func (c copying) Preflight(ctx context.Context, op backup.Operation) ([]backup.Finding, error) {
	return c.s.Preflight(ctx, op)
}

func (c copying) Cancel(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	return c.s.Cancel(ctx, op)
}

// copyConformance holds a copy to what a backup is held to.
func copyConformance(cluster bool, lag time.Duration) func(t testing.TB) *backuptest.Subject {
	return func(t testing.TB) *backuptest.Subject {
		b := newBench(t, t.Context())
		point, missing, long := b.seeded("nightly"), rds.Snapshot(account, region, "none"), 256
		if cluster {
			point, missing, long = b.seededCluster("nightly"), rds.ClusterSnapshot(account, region, "none"), 64
		}
		x := b.subject(lag)
		open := func() backup.Strategy { return copying{b.strategy()} }
		x.Strategy, x.Restart, x.Starts = open(), open, backup.ActionCopy
		x.Resource, x.Missing, x.Tags, x.Spec = point, missing, nil, nil
		elsewhere, others := point, point
		elsewhere.Region, others.Account = far, foreign
		x.Unserved = []backup.Ref{elsewhere, others}
		x.Malformed = []backup.Ref{rds.Instance(account, region, "orders"), rds.Snapshot(account, region, "or--ders"), rds.ClusterSnapshot(account, region, "0rders")}
		x.BadSpecs = map[backup.Action][]backup.Spec{backup.ActionCopy: {{Name: "nightly"}, {Name: "a--b"}, {Name: strings.Repeat("a", long)}, {Options: &rds.CopyOptions{}}, {Options: options()}}}
		x.MaxTags = 43 // the library's own are seven
		x.Count = func(id string) int { return len(b.copies(region, id)) }
		return x
	}
}

func TestConformanceCopy(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: copyConformance(false, 0)})
}

func TestConformanceClusterCopy(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: copyConformance(true, 2*time.Minute)})
}
