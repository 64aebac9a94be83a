package swap_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs/swap"
	"github.com/snapwarden/snapwarden/internal/sweep"
)

// storedUntil steps to a stage as a Runner with a Store does it: an attempt is recorded before each Step that may send.
func storedUntil(t *testing.T, s *swap.Strategy, op backup.Operation, err error, stage string) backup.Operation {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for op.Stage != stage {
		if op.Done() {
			t.Fatalf("ended before %q: %v", stage, op.Err())
		}
		op = once(t, s, op)
	}
	return op
}

// once makes one Step, as the first attempt at its call.
func once(t *testing.T, s *swap.Strategy, op backup.Operation) backup.Operation {
	t.Helper()
	if op.Next != "" {
		op.Attempt++
	}
	op, err := s.Step(t.Context(), op)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(max(time.Until(op.Poll), time.Millisecond))
	return op
}

func (b *bench) begin(t *testing.T, s *swap.Strategy, action backup.Action) (backup.Operation, error) {
	t.Helper()
	switch action {
	case swap.ActionSwap:
		return s.Start(t.Context(), b.set, backup.Spec{Token: "c", Options: swap.SwapOptions{Instance: b.instance.ID}})
	case swap.ActionBeside:
		return s.StartBeside(t.Context(), b.snapshot("/dev/sdf"), backup.Spec{Token: "c", Options: swap.BesideOptions{Instance: b.instance.ID, Device: "/dev/sdz"}})
	}
	made, err := s.StartBeside(t.Context(), b.snapshot("/dev/sdf"), backup.Spec{Token: "before", Options: swap.BesideOptions{Instance: b.instance.ID, Device: "/dev/sdz"}})
	made = finish(t, s, made, err)
	want(t, made, backup.PhaseSucceeded, "")
	b.host.calls = nil
	return s.StartDetach(t.Context(), made.Made[0], backup.Spec{Token: "c"})
}

// Whenever it is canceled the instance ends as it was, or the Cancel is refused and the work ends well.
func TestCancel(t *testing.T) {
	type how struct {
		action backup.Action
		stage  string
		// sent tells that the stage's call was made, and its answer lost.
		sent bool
		made int
		// hooks are the calls of hooks, empty also where none is made; refused tells that Cancel is.
		hooks   string
		refused bool
	}
	for _, c := range []how{
		{swap.ActionSwap, "look", false, 0, "", false},
		{swap.ActionSwap, "create", false, 0, "", false},
		{swap.ActionSwap, "create", true, 2, "", false},
		{swap.ActionSwap, "made", false, 2, "", false},
		{swap.ActionSwap, "unmount", false, 2, "", false},
		{swap.ActionSwap, "unmount", true, 2, "unmount mount", false},
		{swap.ActionSwap, "detach", false, 2, "unmount mount", false},
		{swap.ActionSwap, "detach", true, 2, "unmount mount", false},
		{swap.ActionSwap, "detached", false, 2, "unmount mount", false},
		{swap.ActionSwap, "attach", false, 2, "unmount mount", false},
		{swap.ActionSwap, "attach", true, 2, "unmount mount", false},
		{swap.ActionSwap, "attached", false, 2, "unmount mount", false},
		{swap.ActionSwap, "mount", false, 2, "unmount mount", true},
		{swap.ActionSwap, "mount", true, 2, "unmount mount mount", true},
		{swap.ActionBeside, "look", false, 0, "", false},
		{swap.ActionBeside, "create", true, 1, "", false},
		{swap.ActionBeside, "made", false, 1, "", false},
		{swap.ActionBeside, "attach", false, 1, "", false},
		{swap.ActionBeside, "attach", true, 1, "", false},
		{swap.ActionBeside, "attached", false, 1, "", false},
		{swap.ActionBeside, "mount", false, 1, "mount", true},
		{swap.ActionDetach, "look", false, 0, "", false},
		{swap.ActionDetach, "unmount", false, 0, "", false},
		{swap.ActionDetach, "unmount", true, 0, "unmount mount", false},
		{swap.ActionDetach, "detach", false, 0, "unmount mount", false},
		{swap.ActionDetach, "detach", true, 0, "unmount", true},
		{swap.ActionDetach, "detached", false, 0, "unmount", true},
	} {
		name := string(c.action) + " " + c.stage
		if c.sent {
			name += " sent"
		}
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				op, err := b.begin(t, s, c.action)
				before := b.attached()
				op = storedUntil(t, s, op, err, c.stage)
				if c.sent {
					after := once(t, s, op)
					if after.Stage == op.Stage && !after.Done() {
						t.Fatal("the call was not made")
					}
					op = op.Retried(1) // the process died before it could say so
				}
				calls := len(b.world.Calls())
				next, err := s.Cancel(t.Context(), op)
				if len(b.world.Calls()) != calls {
					t.Error("Cancel made a call")
				}
				if c.refused != (err != nil) || err != nil && (backup.CodeOf(err) != backup.ErrUnsupported || backup.HintOf(err) == "") {
					t.Fatalf("Cancel: %v", err)
				}
				if err == nil {
					if next.Done() || !next.Canceling {
						t.Errorf("phase %s, canceling %v", next.Phase, next.Canceling)
					}
					if again, err := s.Cancel(t.Context(), next); err != nil || again.Stage != next.Stage {
						t.Errorf("canceled again: %s %v", again.Stage, err)
					}
				}
				op = finish(t, s, next, nil)
				if _, err := s.Cancel(t.Context(), op); backup.CodeOf(err) != backup.ErrUnsupported {
					t.Errorf("canceling what has ended: %v", err)
				}
				if c.refused {
					want(t, op, backup.PhaseSucceeded, "")
				} else {
					want(t, op, backup.PhaseCanceled, backup.ErrCanceled)
					time.Sleep(10 * time.Minute)
					if d := cmp.Diff(before, b.attached()); d != "" || len(replaced(op)) > 0 {
						t.Errorf("attached (-before +now):\n%s%v", d, op.Findings)
					}
					for _, v := range before {
						if v != b.old["/dev/xvda"] && !b.host.mounted[v] {
							t.Errorf("%s is not mounted", v)
						}
					}
				}
				if d := cmp.Diff(c.hooks, strings.Join(b.host.calls, " ")); d != "" {
					t.Errorf("hooks: %s", d)
				}
				if made := b.made(op); len(made) != c.made || len(op.Made) != c.made {
					t.Errorf("%d volumes were made, and listed are %v", len(made), op.Made)
				}
				for _, v := range b.kept() {
					t.Error(v)
				}
			})
		})
	}
}

// Without a Store what is ready to be sent was perhaps sent: then it is looked for, or taken back.
func TestCancelUnstored(t *testing.T) {
	for stage, hooks := range map[string]string{"create": "", "unmount": "mount", "detach": "unmount mount"} {
		t.Run(stage, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				op := b.until(t, s, stage)
				op, err := s.Cancel(t.Context(), op)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				op = finish(t, s, op, nil)
				want(t, op, backup.PhaseCanceled, backup.ErrCanceled)
				if d := cmp.Diff(hooks, strings.Join(b.host.calls, " ")); d != "" {
					t.Errorf("hooks: %s", d)
				}
				if stage == "create" && time.Since(began) < 6*time.Minute {
					t.Error("what was perhaps made was not looked for")
				}
				for _, v := range append(b.asWas(), b.kept()...) {
					t.Error(v)
				}
			})
		})
	}
}

// A detachment that had to be repeated was begun, also where the repetition is not sent yet.
func TestCancelDetachRepeated(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
		held := b.old["/dev/sdg"]
		s := b.through(func(in any) any {
			if in, ok := in.(*awsec2.DetachVolumeInput); ok && *in.VolumeId == held {
				return &awsec2.DetachVolumeOutput{}
			}
			return nil
		}, nil)
		op, err := b.begin(t, s, swap.ActionSwap)
		op = storedUntil(t, s, op, err, "detached")
		op = storedUntil(t, s, op, nil, "detach")
		if b.attached()["/dev/sdf"] != "" {
			t.Fatal("nothing is detached")
		}
		if op, err = s.Cancel(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		// The volume that is held stays so, which the end must tell: it is not as it was.
		op = finish(t, s, op, nil)
		want(t, op, backup.PhaseFailed, backup.ErrFailed)
		if said := op.Err().Error(); !strings.Contains(said, "canceled") || !strings.Contains(said, "EC2 may still detach") || !strings.Contains(backup.HintOf(op.Err()), "swap.Replaced") {
			t.Errorf("%s; %s", said, backup.HintOf(op.Err()))
		}
		for _, v := range append(b.asWas(), b.kept()...) {
			t.Error(v)
		}
	})
}

// What can not be taken back is no clean end.
func TestCancelNotTakenBack(t *testing.T) {
	for _, c := range []struct {
		name, stage string
		change      func(b *bench)
		says        string
	}{
		{"nothing may be attached", "detached", func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "AttachVolume", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: "UnauthorizedOperation", Message: "no"}})
		}, "could not be taken back"},
		{"not mounted again", "detach", func(b *bench) { b.host.fail["mount"] = 3 }, "could not be mounted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				op, err := b.begin(t, s, swap.ActionSwap)
				op = storedUntil(t, s, op, err, c.stage)
				c.change(b)
				if op, err = s.Cancel(t.Context(), op); err != nil {
					t.Fatal(err)
				}
				op = finish(t, s, op, nil)
				want(t, op, backup.PhaseFailed, backup.ErrFailed)
				if !strings.Contains(op.Err().Error(), c.says) || !strings.Contains(backup.HintOf(op.Err()), "by hand") {
					t.Errorf("%v; %s", op.Err(), backup.HintOf(op.Err()))
				}
			})
		})
	}
	// Nor where the deadline comes first.
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		op, err := b.begin(t, s, swap.ActionSwap)
		op = storedUntil(t, s, op, err, "detached")
		if op, err = s.Cancel(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(op.Deadline) + time.Second)
		op = finish(t, s, op.Retried(1), nil)
		want(t, op, backup.PhaseFailed, backup.ErrFailed)
		if !strings.Contains(op.Err().Error(), "its taking back was not finished") {
			t.Error(op.Err())
		}
	})
}

// What may not be looked at is no clean end, and is the end all the same; what can not be answered now is asked again.
func TestCancelNotSeen(t *testing.T) {
	for _, code := range []string{"UnauthorizedOperation", "InternalError"} {
		inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
			op, err := b.begin(t, s, swap.ActionSwap)
			op, err = s.Cancel(t.Context(), storedUntil(t, s, op, err, "look"))
			no := refuse("DescribeVolumes", code)
			no.Error.Status, no.Times = 500, 5
			b.world.Inject(no)
			op = finish(t, s, op, err)
			if code == "InternalError" {
				want(t, op, backup.PhaseCanceled, backup.ErrCanceled)
				return
			}
			want(t, op, backup.PhaseFailed, backup.ErrFailed)
			if said := op.Err().Error(); !strings.Contains(said, "canceled") || !strings.Contains(said, "could not be looked at") || !strings.Contains(backup.HintOf(op.Err()), op.ID) {
				t.Errorf("%s; %s", said, backup.HintOf(op.Err()))
			}
		})
	}
}

// What is being taken back already, and what there is no time left for, is not canceled.
func TestCancelRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		b.world.Inject(awssim.Fault{Operation: "AttachVolume", Kind: awssim.FaultError, Error: awssim.Error{Code: "AttachmentLimitExceeded", Message: "no"}})
		op, err := b.begin(t, s, swap.ActionSwap)
		for _, stage := range []string{"back-detach", "back-detached", "back-attach", "back-attached", "back-mount"} {
			op = storedUntil(t, s, op, err, stage)
			if _, err := s.Cancel(t.Context(), op); backup.CodeOf(err) != backup.ErrUnsupported {
				t.Errorf("%s: %v", stage, err)
			}
		}
		want(t, finish(t, s, op, nil), backup.PhaseFailed, backup.ErrQuota)
		other := op
		other.Kind = "ebs"
		if _, err := s.Cancel(t.Context(), other); backup.CodeOf(err) != backup.ErrInvalid {
			t.Error(err)
		}
		op.State = []byte(`{"i":7}`)
		if _, err := s.Cancel(t.Context(), op); backup.CodeOf(err) != backup.ErrInvalid {
			t.Error(err)
		}
	})
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		op, err := b.begin(t, s, swap.ActionSwap)
		op = storedUntil(t, s, op, err, "attached")
		time.Sleep(time.Until(op.Deadline) - 29*time.Minute)
		if _, err := s.Cancel(t.Context(), op); backup.CodeOf(err) != backup.ErrUnsupported {
			t.Error(err)
		}
		want(t, finish(t, s, op, nil), backup.PhaseSucceeded, "")
	})
}

// canceling is a Strategy whose work is canceled as soon as it comes to a stage: a clean end of that counts as its success.
type canceling struct {
	*swap.Strategy
	at string
}

func (c canceling) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if op.Stage == c.at && !op.Canceling {
		return c.Cancel(ctx, op)
	}
	op, err := c.Strategy.Step(ctx, op)
	if op.Phase == backup.PhaseCanceled {
		op.Succeed()
	}
	return op, err
}

// cancelFlow is a swap that is canceled at a stage, after which the instance is as it was.
func cancelFlow(stage string) sweep.Workflow {
	w := flow("ebs-swap-canceled-"+stage, 2, func(_ testing.TB, _ context.Context, b *bench) func(context.Context, *swap.Strategy) (backup.Operation, error) {
		return func(ctx context.Context, s *swap.Strategy) (backup.Operation, error) {
			return s.Start(ctx, b.set, backup.Spec{Token: "tonight", Options: swap.SwapOptions{Instance: b.instance.ID}})
		}
	}, func(b *bench, _ backup.Operation) []string { return b.asWas() })
	setup := w.Setup
	w.Setup = func(t testing.TB, ctx context.Context) sweep.Subject {
		s := setup(t, ctx)
		strategy, start := s.Strategy, s.Start
		s.Strategy = func(cfg aws.Config) backup.Strategy { return canceling{strategy(cfg).(*swap.Strategy), stage} }
		s.Start = func(ctx context.Context, x backup.Strategy) (backup.Operation, error) {
			return start(ctx, x.(canceling).Strategy)
		}
		return s
	}
	return w
}
