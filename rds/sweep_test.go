package rds_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/sweep"
	"github.com/snapwarden/snapwarden/rds"
)

var pairs = flag.Int("pairs", 0, "run one in so many pairs of faults, 0 for none")

func newStrategy(cfg aws.Config) backup.Strategy { return rds.NewFromConfig(cfg) }

// patient makes a Strategy that looks seldom, for workflows that take an hour: which call a fault hits is the same, and there are fewer between.
func patient(cfg aws.Config) backup.Strategy {
	return rds.NewFromConfig(cfg, func(o *rds.Options) { o.PollMin, o.PollMax = time.Minute, 10*time.Minute })
}

// seeded makes a snapshot of "orders" without any Strategy.
func (b *bench) seeded(name string) backup.Ref {
	b.t.Helper()
	b.must(b.snap("orders", name, nil))
	time.Sleep(4 * time.Hour)
	return rds.Snapshot(account, region, name)
}

func backupFlow() sweep.Workflow {
	return sweep.Workflow{Name: "rds-backup", Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.Start(ctx, b.orders, backup.Spec{Token: "tonight", Tags: map[string]string{"team": "orders"}})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				made, _ := b.made(op)
				if op.Phase == backup.PhaseSucceeded && !slices.ContainsFunc(made, isAvailable) {
					bad = append(bad, "I3: success without an available snapshot")
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				made, _ := b.made(op)
				if len(made) != 1 {
					bad = append(bad, fmt.Sprintf("I1: %d snapshots carry the token", len(made)))
				}
				for _, s := range made {
					if !slices.Contains(op.Points, rds.Snapshot(account, region, s.ID)) {
						bad = append(bad, "I17: "+s.ID+" is listed nowhere")
					}
				}
				return bad
			},
		}
	}}
}

func restoreFlow() sweep.Workflow {
	return sweep.Workflow{Name: "rds-restore", Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		point := b.seeded("nightly")
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: patient, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*rds.Strategy).StartRestore(ctx, point, backup.Spec{Token: "tonight", Options: options()})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				_, made := b.made(op)
				for _, i := range made {
					if op.Phase == backup.PhaseSucceeded && (i.PubliclyAccessible || !slices.Equal(slices.Sorted(slices.Values(i.SecurityGroups)), []string{"sg-0a", "sg-0b"})) {
						bad = append(bad, fmt.Sprintf("I13: success, and the instance is %+v", i))
					}
				}
				if op.Phase == backup.PhaseSucceeded && (len(made) != 1 || made[0].Status != "available" || len(op.Endpoints) != 1) {
					bad = append(bad, fmt.Sprintf("I3: success with %+v and endpoints %v", made, op.Endpoints))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				_, made := b.made(op)
				if len(made) != 1 {
					bad = append(bad, fmt.Sprintf("I1: %d instances carry the token", len(made)))
				}
				for _, i := range made {
					if !slices.Contains(op.Made, rds.Instance(account, region, i.ID)) {
						bad = append(bad, "I17: "+i.ID+" is listed nowhere")
					}
				}
				return bad
			},
		}
	}}
}

func deleteFlow() sweep.Workflow {
	return sweep.Workflow{Name: "rds-delete", Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		point, other := b.backedUp("nightly"), b.backedUp("monthly")
		live := func() (ids []string) {
			for _, s := range b.db.Snapshots(b.world, account, region) {
				ids = append(ids, s.ID)
			}
			return ids
		}
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*rds.Strategy).StartDelete(ctx, point, backup.Spec{Token: "tonight"})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if ids := live(); op.Phase == backup.PhaseSucceeded && slices.Contains(ids, point.ID) {
					bad = append(bad, fmt.Sprintf("I3: success, and %v exist", ids))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				if ids := live(); !slices.Equal(ids, []string{other.ID}) {
					bad = append(bad, fmt.Sprintf("I4 I8: %v exist, wanted only %s", ids, other.ID))
				}
				return bad
			},
		}
	}}
}

func workflows() []sweep.Workflow {
	return []sweep.Workflow{backupFlow(), restoreFlow(), deleteFlow(), clusterRestoreFlow(), copyFlow("rds-copy", false), timeFlow(), setFlow(), retireFlow("rds-delete-database", false)}
}

// twins are workflows whose steps are those of another one with other calls: of them only the calls that change something are hit.
func twins() []sweep.Workflow {
	return []sweep.Workflow{clusterBackupFlow(), clusterDeleteFlow(), copyFlow("rds-cluster-copy", true), clusterTimeFlow(), retireFlow("rds-delete-cluster", true)}
}

func TestSweepSingles(t *testing.T) {
	for _, w := range workflows() {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel() // each run is in a bubble of its own
			sweep.Singles(t, w).Check(t)
		})
	}
}

func TestSweepTwins(t *testing.T) {
	for _, w := range twins() {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel()
			sweep.Control(t, w).Check(t)
		})
	}
}

func TestSweepPairs(t *testing.T) {
	if *pairs <= 0 {
		t.Skip("pairs of faults take minutes: run with -pairs 10 for one in ten")
	}
	for _, w := range workflows() {
		t.Run(w.Name, func(t *testing.T) { sweep.Pairs(t, w, *pairs).Check(t) })
	}
}

// The control: a Strategy that takes the first glance at something new for the truth is found out. If it were not, the sweep would be blind.
// (With the SDK's default retryer, the control of other services, RDS makes nothing twice: the names are unique.)
func TestSweepControlNoSettling(t *testing.T) {
	w := backupFlow()
	w.Name = "rds-backup-control"
	setup := w.Setup
	w.Setup = func(t testing.TB, ctx context.Context) sweep.Subject {
		s := setup(t, ctx)
		s.Strategy = func(cfg aws.Config) backup.Strategy {
			return rds.NewFromConfig(cfg, func(o *rds.Options) { o.Settle = 1 })
		}
		return s
	}
	if res := sweep.Control(t, w); len(res.Violations) == 0 {
		t.Error("a strategy that does not settle passed every run")
	} else {
		t.Logf("found, as it must: %s", res.Violations[0])
	}
}

func TestSweepReplay(t *testing.T) { sweep.Replay(t, backupFlow()) }
