package elasticache_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/internal/sweep"
)

type daily = elasticache.AutomaticBackupOptions

func (b *bed) startDaily(r backup.Ref, o daily) backup.Operation {
	b.Helper()
	if o.Apply == "" && r.Type != elasticache.TypeServerless {
		o.Apply = elasticache.ApplyNow
	}
	op, err := b.s.StartAutomaticBackups(b.Context(), r, backup.Spec{Token: "daily", Options: o})
	b.ok(err)
	return op
}

func (b *bed) dailyOf(r backup.Ref) elasticache.AutomaticBackups {
	b.Helper()
	d, err := b.s.AutomaticBackups(b.Context(), r)
	b.ok(err)
	return d
}

func (b *bed) modified() int {
	return b.sent("ModifyReplicationGroup") + b.sent("ModifyCacheCluster") + b.sent("ModifyServerlessCache")
}

func TestAutomaticBackups(t *testing.T) {
	for _, c := range []struct {
		name string
		r    backup.Ref
		set  []daily
		want elasticache.AutomaticBackups
		// sent is the number of calls.
		sent int
	}{
		{"a cluster", cluster("one"), []daily{{RetentionDays: 3, Window: "01:00-02:30"}}, elasticache.AutomaticBackups{RetentionDays: 3, Window: "01:00-02:30"}, 1},
		{"a group, of its replica", group("sessions"), []daily{{RetentionDays: 35}}, elasticache.AutomaticBackups{RetentionDays: 35, Window: "03:00-04:00", Member: "sessions-002"}, 1},
		{"a group without a replica", group("lonely"), []daily{{RetentionDays: 1}}, elasticache.AutomaticBackups{RetentionDays: 1, Window: "03:00-04:00", Member: "lonely-001"}, 1},
		{"cluster mode", group("orders"), []daily{{RetentionDays: 7, Window: "23:30-00:30"}}, elasticache.AutomaticBackups{RetentionDays: 7, Window: "23:30-00:30"}, 1},
		{"more days", group("sessions"), []daily{{RetentionDays: 3}, {RetentionDays: 5}}, elasticache.AutomaticBackups{RetentionDays: 5, Window: "03:00-04:00", Member: "sessions-002"}, 2},
		{"off", group("sessions"), []daily{{RetentionDays: 3}, {Off: true}}, elasticache.AutomaticBackups{Window: "03:00-04:00"}, 2},
		{"off already", group("orders"), []daily{{Off: true}}, elasticache.AutomaticBackups{Window: "03:00-04:00"}, 0},
		{"as it is", group("orders"), []daily{{RetentionDays: 3}, {RetentionDays: 3, Window: "03:00-04:00"}}, elasticache.AutomaticBackups{RetentionDays: 3, Window: "03:00-04:00"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.sources()
				b.group("lonely", 0, 0)
				if d := cmp.Diff(elasticache.AutomaticBackups{Window: "03:00-04:00"}, b.dailyOf(c.r)); d != "" {
					t.Error(d)
				}
				for _, o := range c.set {
					op := b.run(b.startDaily(c.r, o))
					b.succeeded(op)
					if d := b.dailyOf(c.r); d.RetentionDays != o.RetentionDays {
						t.Errorf("it said that it succeeded, and it is %+v", d)
					}
					lowered := o.Off && len(c.set) > 1
					if findings(op)["elasticache.retention-lowered"] != lowered || len(op.Points)+len(op.Made) != 0 {
						t.Errorf("%+v", op)
					}
				}
				if d := cmp.Diff(c.want, b.dailyOf(c.r)); d != "" {
					t.Error(d)
				}
				if n := b.modified(); n != c.sent {
					t.Errorf("%d calls", n)
				}
			})
		})
	}
}

// What else waits for the maintenance window is told, before the call and in the Operation, and is left alone where the caller says so.
func TestAutomaticBackupsAndOtherChanges(t *testing.T) {
	for _, r := range []backup.Ref{cluster("one"), group("sessions"), group("orders")} {
		t.Run(r.ID, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.sources()
				pending := func() int { return len(b.dailyOf(r).Pending) }
				b.ok(b.sim.Upgrade(b.world, account, region, r.ID, "cache.r7g.4xlarge"))
				if d := b.dailyOf(r); !cmp.Equal(d.Pending, []string{"node type cache.r7g.4xlarge"}) {
					t.Errorf("%+v", d)
				}
				later := b.startDaily(r, daily{RetentionDays: 3, Apply: elasticache.ApplyAtMaintenance})
				found, err := b.s.Preflight(b.Context(), later)
				b.ok(err)
				if len(found) != 0 {
					t.Errorf("preflight %+v", found)
				}
				later = b.run(later)
				b.succeeded(later)
				if f := findings(later); !f["elasticache.at-maintenance"] || f["elasticache.pending-changes"] || pending() != 1 {
					t.Errorf("%+v, %d pending", later.Findings, pending())
				}
				time.Sleep(8 * 24 * time.Hour)
				if d := b.dailyOf(r); d.RetentionDays != 3 || len(d.Pending) != 1 {
					t.Errorf("after the window %+v", d)
				}

				now, err := b.s.StartAutomaticBackups(b.Context(), r, backup.Spec{Token: "now", Options: daily{RetentionDays: 2, Apply: elasticache.ApplyNow}})
				b.ok(err)
				found, err = b.s.Preflight(b.Context(), now)
				b.ok(err)
				if len(found) != 2 || found[0].ID != "elasticache.pending-changes" || !strings.Contains(found[0].Message, "4xlarge") || found[1].ID != "elasticache.retention-lowered" {
					t.Errorf("preflight %+v", found)
				}
				now = b.run(now)
				b.succeeded(now)
				if f := findings(now); !f["elasticache.pending-changes"] || !f["elasticache.retention-lowered"] || f["elasticache.at-maintenance"] || pending() != 0 {
					t.Errorf("%+v, %d pending", now.Findings, pending())
				}
			})
		})
	}
}

func TestAutomaticBackupsRefused(t *testing.T) {
	b := newBed(t)
	for name, o := range map[string]backup.Options{
		"no options":            nil,
		"a pointer":             &daily{RetentionDays: 1, Apply: elasticache.ApplyNow},
		"zero days":             daily{Apply: elasticache.ApplyNow},
		"zero days, a window":   daily{Apply: elasticache.ApplyNow, Window: "03:00-04:00"},
		"off with a window":     daily{Off: true, Apply: elasticache.ApplyNow, Window: "03:00-04:00"},
		"off and days":          daily{Off: true, RetentionDays: 1, Apply: elasticache.ApplyNow},
		"36 days":               daily{RetentionDays: 36, Apply: elasticache.ApplyNow},
		"negative days":         daily{RetentionDays: -1, Apply: elasticache.ApplyNow},
		"a short window":        daily{RetentionDays: 1, Apply: elasticache.ApplyNow, Window: "03:00-03:59"},
		"no word of when":       daily{RetentionDays: 1},
		"another word":          daily{RetentionDays: 1, Apply: "soon"},
		"a time":                daily{RetentionDays: 1, Apply: elasticache.ApplyNow, Time: "03:00"},
		"the options of others": elasticache.DeleteOptions{},
	} {
		_, err := b.s.StartAutomaticBackups(b.Context(), group("g"), backup.Spec{Token: "t", Options: o})
		if backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := daily{RetentionDays: 1, Apply: elasticache.ApplyNow}
	for _, r := range []backup.Ref{snapshot("s"), elasticache.Cluster(account, "us-east-1", "one"), {Type: elasticache.TypeCluster, Account: account, Region: region, ID: "*"}} {
		if _, err := b.s.StartAutomaticBackups(b.Context(), r, backup.Spec{Token: "t", Options: good}); backup.CodeOf(err) != backup.ErrInvalid {
			t.Errorf("%v: %v", r, err)
		}
		if _, err := b.s.AutomaticBackups(b.Context(), r); backup.CodeOf(err) != backup.ErrInvalid {
			t.Errorf("%v: %v", r, err)
		}
	}
	if _, err := b.s.StartAutomaticBackups(b.Context(), group("g"), backup.Spec{Token: "t", Options: good, Name: "x"}); backup.CodeOf(err) != backup.ErrInvalid {
		t.Error(err)
	}
	for _, c := range b.world.Calls() {
		if c.Service == "ElastiCache" {
			t.Errorf("called %s", c.Operation)
		}
	}
}

func TestAutomaticBackupsOfWhatCanHaveNone(t *testing.T) {
	for _, c := range []struct {
		name string
		r    backup.Ref
		code backup.Code
	}{
		{"nothing", group("none"), backup.ErrNotFound},
		{"no cluster", cluster("none"), backup.ErrNotFound},
		{"a member", cluster("sessions-001"), backup.ErrInvalid},
		{"memcached", cluster("plain"), backup.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.sources()
				b.cluster("plain", func(in *awselasticache.CreateCacheClusterInput) { in.Engine = aws.String("memcached") })
				_, err := b.s.AutomaticBackups(b.Context(), c.r)
				b.code(err, c.code)
				op := b.startDaily(c.r, daily{RetentionDays: 1})
				found, err := b.s.Preflight(b.Context(), op)
				b.ok(err)
				if len(found) != 1 || found[0].Severity != backup.SeverityError {
					t.Errorf("%+v", found)
				}
				b.failed(b.run(op), backup.PhaseFailed, c.code)
			})
		})
	}
}

// The member is chosen anew after a refusal: meanwhile another may have become the primary.
func TestAutomaticBackupsAfterAFailover(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("sessions", 0, 1)
		b.world.Inject(awssim.Fault{Operation: "ModifyReplicationGroup", Kind: awssim.FaultError, Error: awssim.Error{Code: "InvalidReplicationGroupState", Message: "m"}})
		op := b.run(b.startDaily(group("sessions"), daily{RetentionDays: 1}), func(op backup.Operation) {
			if b.sent("ModifyReplicationGroup") == 1 && op.Stage == "look" {
				b.ok(b.sim.Failover(b.world, account, region, "sessions", "sessions-002"))
			}
		})
		b.succeeded(op)
		if d := b.dailyOf(group("sessions")); d.Member != "sessions-001" {
			t.Errorf("%+v", d)
		}
	})
}

// AWS accepted the change, and somebody else set it back.
func TestAutomaticBackupsChangedBySomebodyElse(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		changed := false
		op := b.run(b.startDaily(group("orders"), daily{RetentionDays: 9}), func(op backup.Operation) {
			if op.Stage == "wait" && !changed && b.groupView("orders").Retention == 9 {
				changed = true
				b.ok(b.sim.SetDaily(b.world, account, region, "orders", 2, "05:00-06:00"))
			}
		})
		b.failed(op, backup.PhaseFailed, backup.ErrConflict)
		if !changed || !strings.Contains(op.Failure.Message, "2 days") {
			t.Errorf("%+v", op.Failure)
		}
	})
}

// A change that takes AWS longer than the settle window is waited for.
func TestAutomaticBackupsTakeLong(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		b.ok(b.sim.Hold(b.world, account, region, "orders", "snapshotting", 20*time.Minute))
		held := false
		op := b.run(b.startDaily(group("orders"), daily{RetentionDays: 9}), func(op backup.Operation) {
			if op.Stage == "wait" && !held {
				held = true
				b.ok(b.sim.Hold(b.world, account, region, "orders", "modifying", time.Hour))
				b.ok(b.sim.SetDaily(b.world, account, region, "orders", 0, "03:00-04:00"))
			}
		})
		// Somebody set it back while it was modifying: that is told, but not before it was seen for the settle window.
		b.failed(op, backup.PhaseFailed, backup.ErrConflict)
		if n := b.modified(); n != 1 {
			t.Errorf("%d calls", n)
		}
		if d := op.Since.Sub(op.Started); d < time.Hour+26*time.Minute {
			t.Errorf("given up after %v", d)
		}
	})
}

func TestAutomaticBackupsCancel(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		op := b.startDaily(group("orders"), daily{RetentionDays: 9})
		op, err := step(b.TB, b.s, op)
		b.ok(err)
		if op.Next != "ModifyReplicationGroup" {
			t.Fatalf("%+v", op)
		}
		stopped, err := b.s.Cancel(b.Context(), op)
		b.ok(err)
		b.failed(b.run(stopped), backup.PhaseCanceled, backup.ErrCanceled)
		op, err = step(b.TB, b.s, op)
		b.ok(err)
		_, err = b.s.Cancel(b.Context(), op)
		b.code(err, backup.ErrUnsupported)
		if b.modified() != 1 {
			t.Error("not sent once")
		}
	})
}

func dailyFlow() sweep.Workflow {
	return sweep.Workflow{Name: "elasticache-automatic-backups", Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := sweptBed(t, 0)
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newPatientStrategy,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*elasticache.Strategy).StartAutomaticBackups(ctx, group("sessions"), backup.Spec{Token: "tonight", Options: daily{RetentionDays: 7, Window: "01:00-02:00", Apply: elasticache.ApplyNow}})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if g := b.groupNamed("sessions"); op.Phase != backup.PhaseSucceeded || g.Retention != 7 || g.Window != "01:00-02:00" || g.Daily != "sessions-002" {
					bad = append(bad, fmt.Sprintf("I3: %s with %+v", op.Phase, g))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				if n := b.sent("CreateSnapshot") + b.sent("CreateReplicationGroup"); n != 1 {
					bad = append(bad, fmt.Sprintf("I1: %d things were made", n-1))
				}
				return bad
			},
		}
	}}
}

// Between the look and the call somebody set what was wanted: AWS has nothing to modify, and that is no failure.
func TestAutomaticBackupsSetMeanwhile(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		op, err := step(b.TB, b.s, b.startDaily(group("orders"), daily{RetentionDays: 9}))
		b.ok(err)
		b.ok(b.sim.SetDaily(b.world, account, region, "orders", 9, "03:00-04:00"))
		b.succeeded(b.run(op))
		if b.modified() != 1 {
			t.Error("not sent once")
		}
	})
}

// What is seen old, then busy for long, then old for a moment, has not been old for the settle window.
func TestAutomaticBackupsOldForAMoment(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		set := func(days int32) { b.ok(b.sim.SetDaily(b.world, account, region, "orders", days, "03:00-04:00")) }
		looks := 0
		op := b.run(b.startDaily(group("orders"), daily{RetentionDays: 9}), func(op backup.Operation) {
			if op.Stage != "wait" || b.groupView("orders").Status != "available" {
				return
			}
			switch looks++; looks {
			case 1:
				set(0)
			case 2:
				b.ok(b.sim.Hold(b.world, account, region, "orders", "modifying", time.Hour))
			case 4:
				set(9)
			}
		})
		b.succeeded(op)
		if looks < 5 {
			t.Errorf("%d looks", looks)
		}
	})
}
