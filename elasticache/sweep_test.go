package elasticache_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/internal/sweep"
)

var pairs = flag.Int("pairs", 0, "run one in so many pairs of faults, 0 for none")

func newStrategy(cfg aws.Config) backup.Strategy { return elasticache.NewFromConfig(cfg) }

// newPatientStrategy looks less often: for workflows that take AWS long, whose looks while they wait are all alike.
func newPatientStrategy(cfg aws.Config) backup.Strategy {
	return elasticache.NewFromConfig(cfg, func(o *elasticache.Options) { o.PollMin, o.PollMax = 100*time.Second, 5*time.Minute })
}

// snapshotsOf gives the snapshots that an Operation made and that exist.
func (b *bed) snapshotsOf(op backup.Operation) (made []elasticachesim.SnapshotView) {
	for _, s := range b.sim.Snapshots(b.world, account, region) {
		if s.Tags[backup.TagToken] == op.ID {
			made = append(made, s)
		}
	}
	return made
}

// groupsOf gives the replication groups that an Operation made and that exist.
func (b *bed) groupsOf(op backup.Operation) (made []elasticachesim.GroupView) {
	for _, g := range b.sim.Groups(b.world, account, region) {
		if g.Tags[backup.TagToken] == op.ID {
			made = append(made, g)
		}
	}
	return made
}

// backedUpBy makes a backup without any fault, for the workflows that need one.
func (b *bed) backedUpBy(token string, r backup.Ref) backup.Ref {
	b.Helper()
	op, err := b.s.Start(b.Context(), r, backup.Spec{Token: token})
	b.ok(err)
	runner, err := backup.NewRunner([]backup.Strategy{b.s})
	b.ok(err)
	op, err = runner.Run(b.Context(), op)
	b.ok(err)
	time.Sleep(10 * time.Minute)
	return op.Points[0]
}

// sweptBed has a group of the given shards (0 for cluster mode disabled), made long ago.
func sweptBed(t testing.TB, shards int32) *bed {
	b := newBed(t.(*testing.T))
	b.group("sessions", shards, 1)
	time.Sleep(4 * time.Hour)
	return b
}

func backupFlow(name string, shards int32) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := sweptBed(t, shards)
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.Start(ctx, group("sessions"), backup.Spec{Token: "tonight", Tags: map[string]string{"team": "orders"}})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if op.Phase != backup.PhaseSucceeded {
					return nil
				}
				made := b.snapshotsOf(op)
				if len(made) != 1 || made[0].Status != "available" {
					return []string{fmt.Sprintf("I3: success with %+v", made)}
				}
				if n := len(made[0].Shards); shards > 0 && n != int(shards) {
					bad = append(bad, fmt.Sprintf("I5: success with %d of %d shards", n, shards))
				}
				if primary := b.groupNamed("sessions").Primary; shards == 0 && (made[0].Cluster == "" || made[0].Cluster == primary) {
					bad = append(bad, "the snapshot was taken of "+made[0].Cluster+", and the primary is "+primary)
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				made := b.snapshotsOf(op)
				if len(made) != 1 {
					bad = append(bad, fmt.Sprintf("I1: %d snapshots carry the token", len(made)))
				}
				for _, s := range made {
					if !slices.Contains(op.Points, snapshot(s.Name)) {
						bad = append(bad, "I17: "+s.Name+" is listed nowhere")
					}
				}
				return bad
			},
		}
	}}
}

// clustersOf gives the single clusters that an Operation made and that exist.
func (b *bed) clustersOf(op backup.Operation) (made []elasticachesim.ClusterView) {
	for _, c := range b.sim.Clusters(b.world, account, region) {
		if c.Tags[backup.TagToken] == op.ID && c.Group == "" {
			made = append(made, c)
		}
	}
	return made
}

// sweptCluster has a single cluster, made long ago.
func sweptCluster(t testing.TB) *bed {
	b := newBed(t.(*testing.T))
	b.cluster("one")
	time.Sleep(4 * time.Hour)
	return b
}

func backupClusterFlow() sweep.Workflow {
	return sweep.Workflow{Name: "elasticache-backup-cluster", Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := sweptCluster(t)
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newPatientStrategy, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.Start(ctx, cluster("one"), backup.Spec{Token: "tonight", Name: "nightly"})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if made := b.snapshotsOf(op); op.Phase == backup.PhaseSucceeded && (len(made) != 1 || made[0].Status != "available" || made[0].Cluster != "one") {
					bad = append(bad, fmt.Sprintf("I3: success with %+v", made))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				made := b.snapshotsOf(op)
				if len(made) != 1 {
					bad = append(bad, fmt.Sprintf("I1: %d snapshots carry the token", len(made)))
				}
				for _, s := range made {
					if !slices.Contains(op.Points, snapshot(s.Name)) {
						bad = append(bad, "I17: "+s.Name+" is listed nowhere")
					}
				}
				return bad
			},
		}
	}}
}

func restoreClusterFlow() sweep.Workflow {
	return sweep.Workflow{Name: "elasticache-restore-cluster", Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := sweptCluster(t)
		point := b.backedUpBy("nightly", cluster("one"))
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newPatientStrategy, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*elasticache.Strategy).StartRestore(ctx, point, backup.Spec{Token: "tonight",
					Options: elasticache.RestoreOptions{ID: "one-2", As: elasticache.AsCluster, SubnetGroup: "default", SecurityGroups: []string{"sg-restored"}}})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if op.Phase != backup.PhaseSucceeded {
					return nil
				}
				made := b.clustersOf(op)
				if len(made) != 1 || made[0].Status != "available" || len(op.Endpoints) != 1 {
					return []string{fmt.Sprintf("I3: success with %+v and endpoints %v", made, op.Endpoints)}
				}
				if !slices.Equal(made[0].SecurityGroups, []string{"sg-restored"}) {
					bad = append(bad, fmt.Sprintf("I13: success with the security groups %v", made[0].SecurityGroups))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				made := b.clustersOf(op)
				if len(made) != 1 {
					bad = append(bad, fmt.Sprintf("I1: %d clusters carry the token", len(made)))
				}
				for _, c := range made {
					if !slices.Contains(op.Made, cluster(c.ID)) {
						bad = append(bad, "I17: "+c.ID+" is listed nowhere")
					}
				}
				return bad
			},
		}
	}}
}

func (b *bed) groupNamed(id string) elasticachesim.GroupView {
	for _, g := range b.sim.Groups(b.world, account, region) {
		if g.ID == id {
			return g
		}
	}
	return elasticachesim.GroupView{}
}

func restoreFlow() sweep.Workflow {
	return sweep.Workflow{Name: "elasticache-restore-group", Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := sweptBed(t, 3)
		point := b.backedUpBy("nightly", group("sessions"))
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newPatientStrategy, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*elasticache.Strategy).StartRestore(ctx, point, backup.Spec{Token: "tonight",
					Options: elasticache.RestoreOptions{ID: "sessions-2", SubnetGroup: "default", SecurityGroups: []string{"sg-restored"}}})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if op.Phase != backup.PhaseSucceeded {
					return nil
				}
				made := b.groupsOf(op)
				if len(made) != 1 || made[0].Status != "available" || len(op.Endpoints) == 0 {
					return []string{fmt.Sprintf("I3: success with %+v and endpoints %v", made, op.Endpoints)}
				}
				if !slices.Equal(made[0].SecurityGroups, []string{"sg-restored"}) {
					bad = append(bad, fmt.Sprintf("I13: success with the security groups %v", made[0].SecurityGroups))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				made := b.groupsOf(op)
				if len(made) != 1 {
					bad = append(bad, fmt.Sprintf("I1: %d groups carry the token", len(made)))
				}
				for _, g := range made {
					if !slices.Contains(op.Made, group(g.ID)) {
						bad = append(bad, "I17: "+g.ID+" is listed nowhere")
					}
				}
				return bad
			},
		}
	}}
}

func deleteFlow() sweep.Workflow {
	return sweep.Workflow{Name: "elasticache-delete", Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := sweptBed(t, 3)
		point, other := b.backedUpBy("nightly", group("sessions")), b.backedUpBy("monthly", group("sessions"))
		live := func() (names []string) {
			for _, s := range b.sim.Snapshots(b.world, account, region) {
				names = append(names, s.Name)
			}
			return names
		}
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newPatientStrategy,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*elasticache.Strategy).StartDelete(ctx, point, backup.Spec{Token: "tonight"})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if names := live(); op.Phase == backup.PhaseSucceeded && slices.Contains(names, point.ID) {
					bad = append(bad, fmt.Sprintf("I3: success, and %v exist", names))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				if names := live(); !slices.Equal(names, []string{other.ID}) {
					bad = append(bad, fmt.Sprintf("I4 I8: %v exist, wanted only %s", names, other.ID))
				}
				return bad
			},
		}
	}}
}

func copyFlow() sweep.Workflow {
	return sweep.Workflow{Name: "elasticache-copy", Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := sweptBed(t, 3)
		auto := b.automatic("sessions")
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newPatientStrategy, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*elasticache.Strategy).StartCopy(ctx, auto, backup.Destination{}, backup.Spec{Token: "tonight"})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				made := b.snapshotsOf(op)
				if op.Phase == backup.PhaseSucceeded && (len(made) != 1 || made[0].Status != "available" || len(made[0].Shards) != 3 || made[0].Automated) {
					bad = append(bad, fmt.Sprintf("I3: success with %+v", made))
				}
				return bad
			},
			Quiet: func(op backup.Operation) []string {
				_, bad := b.onlyOne(op, "copies")
				return bad
			},
		}
	}}
}

func workflows() []sweep.Workflow { return append(nodeFlows(), serverlessFlows()...) }

func nodeFlows() []sweep.Workflow {
	return []sweep.Workflow{
		backupFlow("elasticache-backup-replica", 0),
		backupFlow("elasticache-backup-group", 3),
		backupClusterFlow(),
		restoreFlow(),
		restoreClusterFlow(),
		deleteFlow(),
		copyFlow(),
		dailyFlow(),
		rebuildFlow("elasticache-rebuild-group", group("sessions"), 2),
		rebuildFlow("elasticache-rebuild-replica", group("sessions"), 0),
		rebuildFlow("elasticache-rebuild-cluster", cluster("one"), 0),
	}
}

func TestSweepSingles(t *testing.T) {
	for _, w := range workflows() {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel() // each run is in a bubble of its own
			sweep.Singles(t, w).Check(t)
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
// (With the SDK's default retryer, the control of other services, ElastiCache makes nothing twice: the names are unique.)
func TestSweepControlNoSettling(t *testing.T) {
	w := backupClusterFlow()
	w.Name = "elasticache-backup-control"
	setup := w.Setup
	w.Setup = func(t testing.TB, ctx context.Context) sweep.Subject {
		s := setup(t, ctx)
		s.Strategy = func(cfg aws.Config) backup.Strategy {
			return elasticache.NewFromConfig(cfg, func(o *elasticache.Options) { o.Settle = 1 })
		}
		return s
	}
	if res := sweep.Control(t, w); len(res.Violations) == 0 {
		t.Error("a strategy that does not settle passed every run")
	} else {
		t.Logf("found, as it must: %s", res.Violations[0])
	}
}

func TestSweepReplay(t *testing.T) {
	sweep.Replay(t, backupFlow("elasticache-backup-group", 3))
}
