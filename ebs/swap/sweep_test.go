package swap_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/swap"
	"github.com/snapwarden/snapwarden/internal/sweep"
)

func flow(name string, volumes int, start func(t testing.TB, ctx context.Context, b *bench) func(context.Context, *swap.Strategy) (backup.Operation, error), right func(b *bench, op backup.Operation) []string) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		begin := start(t, ctx, b)
		return sweep.Subject{World: b.world, Account: account, Region: region, MayFail: true,
			Strategy: func(cfg aws.Config) backup.Strategy { return b.strategy(cfg) },
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return begin(ctx, s.(*swap.Strategy))
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if op.Phase == backup.PhaseSucceeded {
					bad = right(b, op)
				}
				return append(bad, b.kept()...)
			},
			Quiet: func(op backup.Operation) (bad []string) {
				made := b.made(op)
				if len(made) > volumes || op.Phase == backup.PhaseSucceeded && len(made) != volumes {
					bad = append(bad, fmt.Sprintf("I1: %d volumes carry the token, wanted %d", len(made), volumes))
				}
				for _, v := range made {
					if !slices.Contains(op.Made, ebs.Volume(account, region, v.ID)) {
						bad = append(bad, "I17: "+v.ID+" is listed nowhere")
					}
				}
				if op.Phase == backup.PhaseSucceeded {
					bad = append(bad, right(b, op)...)
				} else {
					bad = append(bad, b.asWas()...)
				}
				return append(bad, b.kept()...)
			},
		}
	}}
}

func swapFlow() sweep.Workflow {
	return flow("ebs-swap", 2, func(_ testing.TB, _ context.Context, b *bench) func(context.Context, *swap.Strategy) (backup.Operation, error) {
		return func(ctx context.Context, s *swap.Strategy) (backup.Operation, error) {
			return s.Start(ctx, b.set, backup.Spec{Token: "tonight", Options: swap.SwapOptions{Instance: b.instance.ID}})
		}
	}, func(b *bench, op backup.Operation) []string { return b.swapped(op) })
}

func besideFlow() sweep.Workflow {
	return flow("ebs-beside", 1, func(_ testing.TB, _ context.Context, b *bench) func(context.Context, *swap.Strategy) (backup.Operation, error) {
		return func(ctx context.Context, s *swap.Strategy) (backup.Operation, error) {
			return s.StartBeside(ctx, b.snapshot("/dev/sdf"), backup.Spec{Token: "tonight", Options: swap.BesideOptions{Instance: b.instance.ID, Device: "/dev/sdz"}})
		}
	}, func(b *bench, op backup.Operation) (bad []string) {
		now := b.attached()
		if made := b.made(op); len(made) == 0 || now["/dev/sdz"] != made[0].ID || !b.host.mounted[made[0].ID] {
			bad = append(bad, fmt.Sprintf("I3: attached %v", now))
		}
		for device, v := range b.old {
			if now[device] != v {
				bad = append(bad, "the volume at "+device+" is gone")
			}
		}
		return bad
	})
}

func detachFlow() sweep.Workflow {
	return flow("ebs-beside-detach", 0, func(t testing.TB, ctx context.Context, b *bench) func(context.Context, *swap.Strategy) (backup.Operation, error) {
		s := b.strategy(b.world.Config(account, region))
		op, err := s.StartBeside(ctx, b.snapshot("/dev/sdf"), backup.Spec{Token: "before", Options: swap.BesideOptions{Instance: b.instance.ID, Device: "/dev/sdz"}})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseSucceeded, "")
		return func(ctx context.Context, s *swap.Strategy) (backup.Operation, error) {
			return s.StartDetach(ctx, op.Made[0], backup.Spec{Token: "tonight"})
		}
	}, func(b *bench, _ backup.Operation) []string { return b.asWas() })
}

func TestSweepSingles(t *testing.T) {
	for _, w := range []sweep.Workflow{swapFlow(), besideFlow(), detachFlow(), rootFlow(), cancelFlow("unmount"), cancelFlow("attached")} {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel() // each run is in a bubble of its own
			sweep.Singles(t, w).Check(t)
		})
	}
}

// A swap that has to be taken back is interrupted at each of its calls, and ends as the instance was.
func TestTakenBackInterrupted(t *testing.T) {
	runs := 0
	for _, kind := range []awssim.FaultKind{awssim.FaultDieBefore, awssim.FaultDieAfter, awssim.FaultLostReply, awssim.FaultServerError, awssim.FaultServerErrorApplied, awssim.FaultThrottle, awssim.FaultStale, awssim.FaultBlind} {
		for operation, calls := range map[string]int{"AttachVolume": 3, "DetachVolume": 10, "DescribeVolumes": 9, "CreateVolume": 2} {
			reads := operation == "DescribeVolumes"
			if (kind == awssim.FaultStale || kind == awssim.FaultBlind) != reads && kind != awssim.FaultDieBefore {
				continue
			}
			for skip := range calls {
				inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
					runs++
					b.world.Inject(awssim.Fault{Operation: "AttachVolume", Skip: 1, Kind: awssim.FaultError, Error: awssim.Error{Code: "AttachmentLimitExceeded", Message: "no"}})
					in := b.world.Inject(awssim.Fault{Operation: operation, Skip: skip, Kind: kind, Back: time.Minute})
					op, err := b.strategy(b.world.Config(account, region)).Start(t.Context(), b.set, backup.Spec{Token: "t", Options: swap.SwapOptions{Instance: b.instance.ID}})
					if err != nil {
						t.Fatal(err)
					}
					for !op.Done() {
						r, err := backup.NewRunner([]backup.Strategy{b.strategy(b.world.Config(account, region))})
						if err != nil {
							t.Fatal(err)
						}
						func() {
							defer func() {
								if _, ok := recover().(awssim.Killed); ok {
									op = op.Retried(op.Attempt + 1)
									time.Sleep(7 * time.Second)
								}
							}()
							before := op
							if op, err = r.Step(t.Context(), op); err != nil {
								op = before.Retried(before.Attempt + 1)
								time.Sleep(time.Second)
							}
						}()
						time.Sleep(max(time.Until(op.Poll), time.Millisecond))
					}
					if in.Fired() == 0 {
						t.Errorf("%s at %s+%d did not fire", kind, operation, skip)
					}
					time.Sleep(10 * time.Minute)
					for _, v := range append(b.asWas(), b.kept()...) {
						t.Errorf("%s at %s+%d: %s; %v", kind, operation, skip, v, op.Err())
					}
					if op.Phase != backup.PhaseFailed || len(op.Made) != 2 || len(b.made(op)) != 2 {
						t.Errorf("%s at %s+%d: %s %v %v", kind, operation, skip, op.Phase, op.Made, op.Err())
					}
				})
			}
		}
	}
	t.Logf("%d runs", runs)
}
