package swap_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs/swap"
)

// through gives a Strategy whose calls are seen by before, which may answer them itself, and whose answers by after.
func (b *bench) through(before func(in any) (out any), after func(out any)) *swap.Strategy {
	cfg := b.world.Config(account, region)
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("through", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			if before != nil {
				if out := before(in.Parameters); out != nil {
					return middleware.InitializeOutput{Result: out}, middleware.Metadata{}, nil
				}
			}
			out, m, err := next.HandleInitialize(ctx, in)
			if err == nil && after != nil {
				after(out.Result)
			}
			return out, m, err
		}), middleware.Before)
	})
	return b.strategy(cfg)
}

// until steps to a stage.
func (b *bench) until(t *testing.T, s *swap.Strategy, stage string) backup.Operation {
	t.Helper()
	op, err := s.Start(t.Context(), b.set, backup.Spec{Token: "t", Options: swap.SwapOptions{Instance: b.instance.ID}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := backup.NewRunner([]backup.Strategy{s})
	if err != nil {
		t.Fatal(err)
	}
	for op.Stage != stage {
		if op.Done() {
			t.Fatalf("ended before %q: %v", stage, op.Err())
		}
		if op, err = r.Step(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		time.Sleep(max(time.Until(op.Poll), time.Millisecond))
	}
	return op
}

// replaced gives the volumes of the findings.
func replaced(op backup.Operation) (all []string) {
	for _, f := range op.Findings {
		if f.ID == "ebs-swap.replaced" {
			all = append(all, f.Ref.ID)
		}
	}
	return all
}

// No disk is off at the deadline, whenever the process was away.
func TestLittleTime(t *testing.T) {
	for _, c := range []struct {
		stage string
		left  time.Duration
		phase backup.Phase
		hooks string
		says  string
	}{
		{"create", 61 * time.Minute, backup.PhaseSucceeded, "unmount mount", ""},
		{"made", 59 * time.Minute, backup.PhaseFailed, "", "nothing was unmounted"},
		{"made", 5 * time.Second, backup.PhaseFailed, "", "nothing was unmounted"},
		{"unmount", 61 * time.Minute, backup.PhaseSucceeded, "unmount mount", ""},
		// The Runner keeps nothing here, so that the hook was perhaps called.
		{"unmount", 59 * time.Minute, backup.PhaseFailed, "mount", "nothing was detached"},
		{"detach", 31 * time.Minute, backup.PhaseSucceeded, "unmount mount", ""},
		{"detach", 29 * time.Minute, backup.PhaseFailed, "unmount mount", "taken back"},
		{"detached", 29 * time.Minute, backup.PhaseFailed, "unmount mount", "taken back"},
		{"attach", 29 * time.Minute, backup.PhaseFailed, "unmount mount", "taken back"},
		{"attached", 29 * time.Minute, backup.PhaseSucceeded, "unmount mount", ""},
		{"mount", time.Minute, backup.PhaseSucceeded, "unmount mount", ""},
	} {
		t.Run(c.stage+" "+c.left.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				op := b.until(t, s, c.stage)
				deadline := op.Deadline
				time.Sleep(time.Until(deadline) - c.left)
				op = finish(t, s, op, nil)
				if c.phase == backup.PhaseSucceeded {
					want(t, op, c.phase, "")
					for _, v := range b.swapped(op) {
						t.Error(v)
					}
					if d := cmp.Diff([]string{b.old["/dev/sdf"], b.old["/dev/sdg"]}, replaced(op)); d != "" {
						t.Errorf("findings: %s", d)
					}
				} else {
					want(t, op, c.phase, backup.ErrUnavailable)
					for _, v := range b.asWas() {
						t.Error(v)
					}
					if !strings.Contains(op.Err().Error(), c.says) || len(replaced(op)) > 0 {
						t.Errorf("%v; findings %v", op.Err(), op.Findings)
					}
				}
				if d := cmp.Diff(c.hooks, strings.Join(b.host.calls, " ")); d != "" {
					t.Errorf("hooks: %s", d)
				}
				if !time.Now().Before(deadline) || len(op.Made) != 2 {
					t.Errorf("ended at %v, deadline %v; made %v", time.Now(), deadline, op.Made)
				}
				for _, v := range b.kept() {
					t.Error(v)
				}
			})
		})
	}
	// A volume that is attached no more in time is not waited for until the deadline.
	inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
		var op backup.Operation
		s := b.through(func(in any) any {
			if in, ok := in.(*awsec2.AttachVolumeInput); ok && *in.VolumeId != b.old["/dev/sdf"] && *in.VolumeId != b.old["/dev/sdg"] {
				return &awsec2.AttachVolumeOutput{}
			}
			return nil
		}, nil)
		op = b.until(t, s, "attached")
		began := time.Now()
		op = finish(t, s, op, nil)
		want(t, op, backup.PhaseFailed, backup.ErrUnavailable)
		if d := time.Since(began); d > 30*time.Minute || !strings.Contains(op.Err().Error(), "is not attached after") {
			t.Errorf("after %v: %v", d, op.Err())
		}
		for _, v := range append(b.asWas(), b.kept()...) {
			t.Error(v)
		}
		// The same, with the deadline near.
		op = b.until(t, s, "attached")
		time.Sleep(time.Until(op.Deadline) - 29*time.Minute)
		op.Since = time.Now().UTC().Round(0)
		op = finish(t, s, op, nil)
		want(t, op, backup.PhaseFailed, backup.ErrUnavailable)
		if !strings.Contains(op.Err().Error(), "too little time is left") {
			t.Error(op.Err())
		}
		for _, v := range append(b.asWas(), b.kept()...) {
			t.Error(v)
		}
	})
}

// What the deadline has overtaken all the same is said with the volumes' names.
func TestDeadlineOver(t *testing.T) {
	for _, c := range []struct{ stage, says string }{
		{"unmount", "may be not mounted"}, {"detach", "may be detached"}, {"detached", "may be detached"}, {"attached", "the new ones are attached, and not mounted"}, {"mount", "the new ones are attached"},
	} {
		t.Run(c.stage, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				op := b.until(t, s, c.stage)
				time.Sleep(time.Until(op.Deadline) + time.Second)
				if op.Next != "" {
					op = op.Retried(1) // its call was perhaps sent
				}
				calls := len(b.world.Calls())
				if c.stage == "attached" {
					calls++ // the last look
				}
				op = finish(t, s, op, nil)
				want(t, op, backup.PhaseFailed, backup.ErrUnavailable)
				said := op.Err().Error()
				for _, w := range []string{c.says, b.old["/dev/sdf"] + " at /dev/sdf", b.old["/dev/sdg"] + " at /dev/sdg", "swap.Replaced"} {
					if !strings.Contains(said, w) {
						t.Errorf("%q is not in %s", w, said)
					}
				}
				if n := len(b.world.Calls()); n != calls {
					t.Errorf("%d calls after the deadline", n-calls)
				}
			})
		})
	}
}

// An old volume that the operating system holds for ever ends the swap soon, with all disks back.
func TestBusy(t *testing.T) {
	for _, name := range []string{"for ever", "let go at the end", "no answers"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				var back atomic.Bool
				held := b.old["/dev/sdg"]
				switch name {
				case "no answers":
					b.world.Inject(awssim.Fault{Operation: "DetachVolume", Skip: 1, Times: -1, Kind: awssim.FaultLostReply})
				default:
					s = b.through(func(in any) any {
						switch in := in.(type) {
						case *awsec2.DetachVolumeInput:
							if *in.VolumeId == held {
								return &awsec2.DetachVolumeOutput{}
							}
						case *awsec2.AttachVolumeInput:
							if *in.VolumeId == b.old["/dev/sdf"] && name == "let go at the end" && !back.Swap(true) {
								if _, err := b.client.DetachVolume(t.Context(), &awsec2.DetachVolumeInput{VolumeId: &held}); err != nil {
									t.Error(err)
								}
							}
						}
						return nil
					}, nil)
				}
				began := time.Now()
				op := b.start(t, s, b.set)
				want(t, op, backup.PhaseFailed, "")
				if d := time.Since(began); d > 45*time.Minute {
					t.Errorf("it took %v", d)
				}
				for _, v := range append(b.asWas(), b.kept()...) {
					t.Error(v)
				}
				if d := cmp.Diff([]string{"unmount", "mount"}, b.host.calls); d != "" || len(replaced(op)) > 0 {
					t.Errorf("hooks %s, findings %v", d, op.Findings)
				}
				if said := op.Err().Error(); name == "for ever" != strings.Contains(said, "EC2 may still detach, once the operating system lets go: "+held+" at /dev/sdg") {
					t.Error(said)
				}
				if name != "no answers" && backup.CodeOf(op.Err()) != backup.ErrConflict {
					t.Error(op.Err())
				}
			})
		})
	}
}

// Each disk goes back that can, and the error names where the others belong.
func TestPartlyTakenBack(t *testing.T) {
	for _, call := range []string{"AttachVolume", "DetachVolume"} {
		t.Run(call, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				no := awssim.Fault{Operation: call, Kind: awssim.FaultError, Error: awssim.Error{Code: "UnauthorizedOperation", Message: "no"}}
				if call == "AttachVolume" {
					no.Times = 2 // the first new one, and the first old one
					b.world.Inject(no)
				} else {
					// The new volume at /dev/sdf can not be detached again, after that at /dev/sdg was refused: nothing may be detached any more.
					no.Times = -1
					b.world.Inject(awssim.Fault{Operation: "AttachVolume", Skip: 1, Kind: awssim.FaultError, Do: func() { b.world.Inject(no) },
						Error: awssim.Error{Code: "AttachmentLimitExceeded", Message: "no"}})
				}
				op := b.start(t, s, b.set)
				want(t, op, backup.PhaseFailed, "")
				time.Sleep(time.Minute)
				if b.attached()["/dev/sdg"] != b.old["/dev/sdg"] {
					t.Errorf("attached %v: %v", b.attached(), op.Err())
				}
				if said := op.Err().Error(); !strings.Contains(said, "could not be taken back") || !strings.Contains(said, b.old["/dev/sdf"]+" at /dev/sdf") || !strings.Contains(said, "swap.Replaced") {
					t.Error(said)
				}
				if d := cmp.Diff([]string{b.old["/dev/sdf"]}, replaced(op)); d != "" {
					t.Errorf("findings: %s", d)
				}
				if !b.host.mounted[b.old["/dev/sdg"]] {
					t.Errorf("hooks %v", b.host.calls)
				}
			})
		})
	}
}

func TestTimeoutRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		spec := backup.Spec{Token: "t", Timeout: swap.MinTimeout - time.Second, Options: swap.SwapOptions{Instance: b.instance.ID}}
		if _, err := s.Start(t.Context(), b.set, spec); backup.CodeOf(err) != backup.ErrInvalid || !strings.Contains(backup.HintOf(err), "swap.MinTimeout") {
			t.Error(err)
		}
		spec.Timeout = swap.MinTimeout
		op, err := s.Start(t.Context(), b.set, spec)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * time.Minute)
		want(t, finish(t, s, op, nil), backup.PhaseFailed, backup.ErrUnavailable)
		if n := len(b.made(op)); n > 0 {
			t.Errorf("%d volumes made, for which there is no time", n)
		}
		// A volume beside takes nothing away.
		beside, err := s.StartBeside(t.Context(), b.snapshot("/dev/sdf"), backup.Spec{Token: "b", Timeout: 10 * time.Minute, Options: swap.BesideOptions{Instance: b.instance.ID, Device: "/dev/sdz"}})
		want(t, finish(t, s, beside, err), backup.PhaseSucceeded, "")
	})
}
