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

func TestAutomaticBackupsOfServerless(t *testing.T) {
	for _, c := range []struct {
		name string
		set  []daily
		want elasticache.AutomaticBackups
		// sent is the number of calls: one for each setting.
		sent int
	}{
		{"on", []daily{{RetentionDays: 3}}, elasticache.AutomaticBackups{RetentionDays: 3, Time: "05:30"}, 1},
		{"on, with a time", []daily{{RetentionDays: 35, Time: "02:00"}}, elasticache.AutomaticBackups{RetentionDays: 35, Time: "02:00"}, 2},
		{"on, with the time that AWS chooses", []daily{{RetentionDays: 1, Time: "05:30"}}, elasticache.AutomaticBackups{RetentionDays: 1, Time: "05:30"}, 1},
		{"the word that is true", []daily{{RetentionDays: 3, Apply: elasticache.ApplyNow}}, elasticache.AutomaticBackups{RetentionDays: 3, Time: "05:30"}, 1},
		{"more days", []daily{{RetentionDays: 3}, {RetentionDays: 5}}, elasticache.AutomaticBackups{RetentionDays: 5, Time: "05:30"}, 2},
		{"another time", []daily{{RetentionDays: 3}, {RetentionDays: 3, Time: "23:59"}}, elasticache.AutomaticBackups{RetentionDays: 3, Time: "23:59"}, 2},
		{"off", []daily{{RetentionDays: 3, Time: "02:00"}, {Off: true}}, elasticache.AutomaticBackups{Time: "02:00"}, 3},
		{"off already", []daily{{Off: true}}, elasticache.AutomaticBackups{}, 0},
		{"as it is", []daily{{RetentionDays: 3, Time: "02:00"}, {RetentionDays: 3}, {RetentionDays: 3, Time: "02:00"}}, elasticache.AutomaticBackups{RetentionDays: 3, Time: "02:00"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.serverless("web")
				if d := cmp.Diff(elasticache.AutomaticBackups{}, b.dailyOf(serverless("web"))); d != "" {
					t.Error(d)
				}
				for i, o := range c.set {
					op := b.startDaily(serverless("web"), o)
					found, err := b.s.Preflight(b.Context(), op)
					b.ok(err)
					op = b.run(op)
					b.succeeded(op)
					lowered := o.Off && i > 0
					if findings(op)["elasticache.retention-lowered"] != lowered || (len(found) == 1) != lowered || len(op.Points)+len(op.Made) != 0 {
						t.Errorf("%+v, preflight %+v", op, found)
					}
				}
				if d := cmp.Diff(c.want, b.dailyOf(serverless("web"))); d != "" {
					t.Error(d)
				}
				if n := b.modified(); n != c.sent {
					t.Errorf("%d calls", n)
				}
			})
		})
	}
}

// Memcached has no snapshots in a cluster, and has them in a serverless cache.
func TestAutomaticBackupsOfServerlessMemcached(t *testing.T) {
	bubble(t, func(b *bed) {
		b.serverless("web", func(in *awselasticache.CreateServerlessCacheInput) { in.Engine = aws.String("memcached") })
		b.succeeded(b.run(b.startDaily(serverless("web"), daily{RetentionDays: 3})))
	})
}

func TestAutomaticBackupsOfServerlessRefused(t *testing.T) {
	b := newBed(t)
	for name, o := range map[string]backup.Options{
		"no options":               nil,
		"zero days":                daily{},
		"zero days, a time":        daily{Time: "03:00"},
		"off with a time":          daily{Off: true, Time: "03:00"},
		"off and days":             daily{Off: true, RetentionDays: 1},
		"36 days":                  daily{RetentionDays: 36},
		"negative days":            daily{RetentionDays: -1},
		"a window":                 daily{RetentionDays: 1, Window: "03:00-04:00"},
		"a window for a time":      daily{RetentionDays: 1, Time: "03:00-04:00"},
		"no time of day":           daily{RetentionDays: 1, Time: "24:00"},
		"a short time":             daily{RetentionDays: 1, Time: "3:00"},
		"a maintenance window":     daily{RetentionDays: 1, Apply: elasticache.ApplyAtMaintenance},
		"another word":             daily{RetentionDays: 1, Apply: "soon"},
		"the options of a restore": elasticache.ServerlessOptions{},
	} {
		_, err := b.s.StartAutomaticBackups(b.Context(), serverless("web"), backup.Spec{Token: "t", Options: o})
		if backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, r := range []backup.Ref{serverlessSnapshot("s"), elasticache.Serverless(account, "us-east-1", "web"), {Type: elasticache.TypeServerless, Account: account, Region: region, ID: "*"}} {
		if _, err := b.s.StartAutomaticBackups(b.Context(), r, backup.Spec{Token: "t", Options: daily{RetentionDays: 1}}); backup.CodeOf(err) != backup.ErrInvalid {
			t.Errorf("%v: %v", r, err)
		}
		if _, err := b.s.AutomaticBackups(b.Context(), r); backup.CodeOf(err) != backup.ErrInvalid {
			t.Errorf("%v: %v", r, err)
		}
	}
	for _, c := range b.world.Calls() {
		if c.Service == "ElastiCache" {
			t.Errorf("called %s", c.Operation)
		}
	}
}

func TestAutomaticBackupsOfNoServerless(t *testing.T) {
	bubble(t, func(b *bed) {
		_, err := b.s.AutomaticBackups(b.Context(), serverless("none"))
		b.code(err, backup.ErrNotFound)
		op := b.startDaily(serverless("none"), daily{RetentionDays: 1})
		found, err := b.s.Preflight(b.Context(), op)
		b.ok(err)
		if len(found) != 1 || found[0].Severity != backup.SeverityError {
			t.Errorf("%+v", found)
		}
		b.failed(b.run(op), backup.PhaseFailed, backup.ErrNotFound)
	})
}

// What is not available is waited for, and what can not be set is told; nothing is sent before.
func TestAutomaticBackupsOfServerlessStatuses(t *testing.T) {
	const hold = 40 * time.Minute
	for status, means := range map[string]backup.Code{"available": goesOn, "CREATING": waits, "MODIFYING": waits, "never-heard-of": waits, "DELETING": backup.ErrNotFound, "CREATE-FAILED": backup.ErrUnsupported} {
		t.Run(status, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.serverless("web")
				d := hold
				if means != goesOn && means != waits {
					d = 40 * time.Hour
				}
				b.ok(b.sim.Hold(b.world, account, region, "web", status, d))
				began, early := time.Now(), false
				op := b.startDaily(serverless("web"), daily{RetentionDays: 2})
				found, err := b.s.Preflight(b.Context(), op)
				b.ok(err)
				if (len(found) == 0) != (means == goesOn) {
					t.Errorf("preflight %+v", found)
				}
				op = b.run(op, func(backup.Operation) { early = early || b.modified() > 0 && time.Since(began) < hold-time.Minute })
				if means != goesOn && means != waits {
					b.failed(op, backup.PhaseFailed, means)
					if b.modified() != 0 || op.Failure.Hint == "" {
						t.Errorf("%d calls, %+v", b.modified(), op.Failure)
					}
					return
				}
				b.succeeded(op)
				if early == (means == waits) || findings(op)["elasticache.unknown-status"] != (status == "never-heard-of") {
					t.Errorf("sent before it was over: %v; %+v", early, op.Findings)
				}
			})
		})
	}
}

// A snapshot that is being made does not show in the status of the cache, and lets no change through.
func TestAutomaticBackupsOfServerlessDuringASnapshot(t *testing.T) {
	bubble(t, func(b *bed) {
		b.serverless("web")
		_, err := b.sim.AutomaticSnapshot(b.world, account, region, "web")
		b.ok(err)
		op := b.run(b.startDaily(serverless("web"), daily{RetentionDays: 2}))
		b.succeeded(op)
		if n := b.modified(); n < 2 || !findings(op)["elasticache.not-yet"] {
			t.Errorf("%d calls, %+v", n, op.Findings)
		}
	})
}

// AWS accepted both settings, and somebody else set one of them back.
func TestAutomaticBackupsOfServerlessChangedBySomebodyElse(t *testing.T) {
	for _, c := range []struct {
		name, says string
		days       int32
		at         string
	}{{"the days", "2 days and the time 01:00", 2, "01:00"}, {"the time", "9 days and the time 05:00", 9, "05:00"}} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.serverless("web")
				changed := false
				op := b.run(b.startDaily(serverless("web"), daily{RetentionDays: 9, Time: "01:00"}), func(op backup.Operation) {
					if v := b.serverlessView("web"); op.Stage == "wait" && !changed && v.Retention == 9 && v.Daily == "01:00" {
						changed = true
						b.ok(b.sim.SetDaily(b.world, account, region, "web", c.days, c.at))
					}
				})
				b.failed(op, backup.PhaseFailed, backup.ErrConflict)
				if n := b.modified(); !changed || n != 2 || !strings.Contains(op.Failure.Message, c.says) {
					t.Errorf("%d calls, %+v", n, op.Failure)
				}
			})
		})
	}
}

// Between the two calls somebody undoes the first: that is a conflict, and no fight over it.
func TestAutomaticBackupsOfServerlessUndoneBetween(t *testing.T) {
	bubble(t, func(b *bed) {
		b.serverless("web")
		changed := false
		op := b.run(b.startDaily(serverless("web"), daily{RetentionDays: 9, Time: "01:00"}), func(op backup.Operation) {
			if op.Stage == "look" && b.modified() == 1 && !changed {
				changed = true
				b.ok(b.sim.SetDaily(b.world, account, region, "web", 2, "05:30"))
			}
		})
		b.failed(op, backup.PhaseFailed, backup.ErrConflict)
		if n := b.modified(); !changed || n != 2 {
			t.Errorf("%d calls", n)
		}
	})
}

// Of two settings one was set when AWS refused the other: that is told, and the Operation can not be canceled as if nothing had been changed.
func TestAutomaticBackupsOfServerlessHalfRefused(t *testing.T) {
	bubble(t, func(b *bed) {
		b.serverless("web")
		armed := false
		op := b.run(b.startDaily(serverless("web"), daily{RetentionDays: 9, Time: "01:00"}), func(op backup.Operation) {
			if op.Stage == "look" && b.modified() == 1 && !armed {
				armed = true
				_, err := b.s.Cancel(b.Context(), op)
				b.code(err, backup.ErrUnsupported)
				b.world.Inject(awssim.Fault{Operation: "ModifyServerlessCache", Kind: awssim.FaultError, Error: awssim.Error{Code: "InvalidParameterValue", Message: "m"}})
			}
		})
		b.failed(op, backup.PhaseFailed, backup.ErrInvalid)
		if d := b.dailyOf(serverless("web")); d.RetentionDays != 9 || d.Time != "05:30" || !findings(op)["elasticache.partly-set"] {
			t.Errorf("%+v, %+v", d, op.Findings)
		}
	})
}

// A call whose answer was lost was perhaps sent: the Operation can not be canceled as if it had not been, also while it waits for AWS again.
func TestAutomaticBackupsPerhapsSent(t *testing.T) {
	for _, r := range []backup.Ref{serverless("web"), cluster("one")} {
		t.Run(r.ID, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.serverless("web")
				b.cluster("one")
				for _, operation := range []string{"ModifyServerlessCache", "ModifyCacheCluster"} {
					b.world.Inject(awssim.Fault{Operation: operation, Kind: awssim.FaultLostReply})
				}
				again := false
				op := b.run(b.startDaily(r, daily{RetentionDays: 9}), func(op backup.Operation) {
					if op.Stage == "look" && b.modified() == 1 {
						again = true
						_, err := b.s.Cancel(b.Context(), op)
						b.code(err, backup.ErrUnsupported)
						if !strings.Contains(backup.HintOf(err), "set what is wanted") {
							t.Errorf("hint %q", backup.HintOf(err))
						}
					}
				})
				b.succeeded(op)
				if n := b.modified(); !again || n != 1 {
					t.Errorf("%v, %d calls", again, n)
				}
			})
		})
	}
}

// Between the look and the call somebody set what was wanted.
func TestAutomaticBackupsOfServerlessSetMeanwhile(t *testing.T) {
	bubble(t, func(b *bed) {
		b.serverless("web")
		op, err := step(b.TB, b.s, b.startDaily(serverless("web"), daily{RetentionDays: 9}))
		b.ok(err)
		if op.Next != "ModifyServerlessCache" {
			t.Fatalf("%+v", op)
		}
		b.ok(b.sim.SetDaily(b.world, account, region, "web", 9, "05:30"))
		b.succeeded(b.run(op))
		if b.modified() != 1 {
			t.Error("not sent once")
		}
	})
}

func serverlessDailyFlow() sweep.Workflow {
	return sweep.Workflow{Name: "elasticache-serverless-automatic-backups", Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := newBed(t.(*testing.T))
		b.serverless("web")
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newPatientStrategy,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*elasticache.Strategy).StartAutomaticBackups(ctx, serverless("web"), backup.Spec{Token: "tonight", Options: daily{RetentionDays: 7, Time: "01:00"}})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if v := b.serverlessView("web"); op.Phase != backup.PhaseSucceeded || v.Retention != 7 || v.Daily != "01:00" {
					bad = append(bad, fmt.Sprintf("I3: %s with %+v", op.Phase, v))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				if n := len(b.serverlessSnapshots()) + b.sent("CreateServerlessCache"); n != 1 {
					bad = append(bad, fmt.Sprintf("I1: %d things were made", n-1))
				}
				return bad
			},
		}
	}}
}

// The answer to the first setting is lost, and AWS refuses the second: that the first was perhaps made is said.
func TestServerlessPerhapsHalfSet(t *testing.T) {
	bubble(t, func(b *bed) {
		b.serverless("web")
		b.world.Inject(awssim.Fault{Operation: "ModifyServerlessCache", Kind: awssim.FaultLostReply})
		armed := false
		op := b.run(b.startDaily(serverless("web"), daily{RetentionDays: 9, Time: "01:00"}), func(op backup.Operation) {
			if op.Stage == "look" && b.modified() == 1 && !armed {
				armed = true
				b.world.Inject(awssim.Fault{Operation: "ModifyServerlessCache", Kind: awssim.FaultError, Error: awssim.Error{Code: "InvalidParameterValue", Message: "m"}})
			}
		})
		b.failed(op, backup.PhaseFailed, backup.ErrInvalid)
		if d := b.dailyOf(serverless("web")); d.RetentionDays != 9 || !findings(op)["elasticache.partly-set"] {
			t.Errorf("%+v, findings %+v", d, op.Findings)
		}
	})
}
