package ebs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/backuptest"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/internal/sweep"
)

// frozenFlow is the backup of a set with a freeze, on a host with a fault.
func frozenFlow(name, fault string) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		h := newFrozenHost(fault)
		s := backupFlow(name, theInstance, 3, nil).Setup(t, ctx)
		client := awsec2.NewFromConfig(s.World.Config(account, region))
		out, err := client.DescribeInstances(ctx, &awsec2.DescribeInstancesInput{})
		if err != nil {
			t.Fatal(err)
		}
		instance := ebs.Instance(account, region, *out.Reservations[0].Instances[0].InstanceId)
		s.Strategy = func(cfg aws.Config) backup.Strategy {
			return ebs.NewFromConfig(cfg, func(o *ebs.Options) { o.Quiescer = h })
		}
		s.Start = func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
			return s.Start(ctx, instance, quiesced(false))
		}
		quiet := s.Quiet
		s.Quiet = func(op backup.Operation) []string {
			n, bad := labels(s.World, h, op)
			if n != 0 && n != 3 {
				bad = append(bad, fmt.Sprintf("I10: %d of 3 snapshots are labeled", n))
			}
			said := false
			for _, f := range op.Findings {
				said = said || f.ID == "ebs.app-consistent"
			}
			if said != (n > 0) && op.Phase == backup.PhaseSucceeded {
				bad = append(bad, fmt.Sprintf("I10: the operation says %v, and %d snapshots are labeled", said, n))
			}
			return append(append(bad, h.check()...), quiet(op)...)
		}
		return s
	}}
}

func TestSweepFrozen(t *testing.T) {
	sweep.Singles(t, frozenFlow("ebs-backup-frozen", "")).Check(t)
}

// The same with a process that dies in the hooks as well.
func TestSweepFrozenKilled(t *testing.T) {
	sweep.Control(t, frozenFlow("ebs-backup-frozen-killed", "die-after freeze")).Check(t)
}

// The process is killed before and after each call of the hooks, or they fail in each way.
func TestFrozenHooks(t *testing.T) {
	for _, fault := range []string{"die-before freeze", "die-after freeze", "die-before thaw", "die-after thaw", "error freeze", "lost freeze", "error thaw", "lost thaw", "hang freeze", "hang thaw"} {
		for _, lag := range []time.Duration{0, 45 * time.Second, 4 * time.Minute} {
			t.Run(fmt.Sprint(fault, " ", lag), func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
					b.world.SetLag(lag)
					h := newFrozenHost(fault)
					killed := 0
					strategy := func() *ebs.Strategy {
						return ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Quiescer = h })
					}
					op, err := strategy().Start(t.Context(), b.instance, quiesced(false))
					if err != nil {
						t.Fatal(err)
					}
					// A durable engine keeps the Operation, and says so when it gives it to a second process.
					for !op.Done() {
						r, err := backup.NewRunner([]backup.Strategy{strategy()})
						if err != nil {
							t.Fatal(err)
						}
						func() {
							defer func() {
								if _, ok := recover().(awssim.Killed); ok {
									killed++
									op = op.Retried(op.Attempt + 1)
									time.Sleep(7 * time.Second)
								}
							}()
							if op, err = r.Step(t.Context(), op); err != nil {
								t.Error(err)
							}
						}()
						time.Sleep(max(time.Until(op.Poll), time.Millisecond))
					}
					want(t, op, backup.PhaseSucceeded, "")
					if (killed == 1) != strings.HasPrefix(fault, "die") {
						t.Errorf("killed %d times", killed)
					}
					time.Sleep(10 * time.Minute)
					if snapshots, _ := b.made(op); len(snapshots) != 3 {
						t.Errorf("I1: %d snapshots", len(snapshots))
					}
					n, bad := labels(b.world, h, op)
					for _, v := range append(bad, h.check()...) {
						t.Error(v)
					}
					// Whoever goes on thaws first, and does not leave that to the watchdog; only a host that does not answer is left to it.
					for _, s := range h.spans {
						if d := s[1].Sub(s[0]); d > 20*time.Second && fault != "hang thaw" {
							t.Errorf("I9: frozen for %v, until the watchdog", d)
						}
					}
					// What died before it asked for the set makes it anew, with its own proof; where that was asked for and the report was lost there is none.
					again := fault == "die-before freeze" || fault == "die-after freeze"
					if n != map[bool]int{true: 3}[again] {
						t.Errorf("I10: %d labels", n)
					}
				})
			})
		}
	}
}

// A backup with a freeze is held to the same contract as one without.
func TestConformanceFrozen(t *testing.T) {
	for _, lag := range []time.Duration{0, 2 * time.Minute} {
		t.Run(lag.String(), func(t *testing.T) {
			backuptest.TestStrategy(t, backuptest.Harness{New: func(t testing.TB) *backuptest.Subject {
				b := newBench(t, t.Context())
				h := newFrozenHost("")
				s := subject(t, b, b.instance, 3, lag, func(b *bench) backup.Strategy {
					return ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Quiescer = h })
				})
				plain := s.Spec
				s.Spec = func(action backup.Action, token string) backup.Spec {
					if action == backup.ActionBackup {
						return backup.Spec{Options: ebs.BackupOptions{Quiesce: ebs.Quiesce{Limit: freezeLimit}}}
					}
					return plain(action, token)
				}
				return s
			}})
		})
	}
}
