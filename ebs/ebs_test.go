package ebs_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
)

func strategyOf(b *bench) *ebs.Strategy { return ebs.NewFromConfig(b.world.Config(account, region)) }

// inBubble runs f in a bubble with a fresh bench.
func inBubble(t *testing.T, f func(t *testing.T, b *bench, s *ebs.Strategy)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.Context())
		f(t, b, strategyOf(b))
	})
}

func finish(t testing.TB, s backup.Strategy, op backup.Operation, err error) backup.Operation {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	r, err := backup.NewRunner([]backup.Strategy{s})
	if err != nil {
		t.Fatal(err)
	}
	op, err = r.Run(t.Context(), op)
	if !op.Done() {
		t.Fatalf("not ended: %v", err)
	}
	return op
}

// want checks how an Operation ended.
func want(t testing.TB, op backup.Operation, phase backup.Phase, code backup.Code) {
	t.Helper()
	if op.Phase != phase || code != "" && !errors.Is(op.Err(), code) {
		t.Fatalf("ended %s with %v, wanted %s with %q", op.Phase, op.Err(), phase, code)
	}
	if code != "" && backup.HintOf(op.Err()) == "" && code != backup.ErrCanceled {
		t.Errorf("no hint in %v", op.Err())
	}
}

// An Operation of 128 volumes fits into 16 KiB at every step, with its tags, and restores.
func TestAsynchronousFailure(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		b.world.Inject(awssim.Fault{Operation: "CreateSnapshots", Kind: awssim.FaultAsync})
		op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseFailed, backup.ErrFailed)
		if len(op.Points) != 1 {
			t.Errorf("what was made is not listed: %v", op.Points)
		}
		good := b.backedUp(t, t.Context(), b.volume)
		b.world.Inject(awssim.Fault{Operation: "CreateVolume", Kind: awssim.FaultAsync})
		rop, err := s.StartRestore(t.Context(), good, backup.Spec{Token: "r", Options: ebs.RestoreOptions{Zone: "eu-west-1a"}})
		rop = finish(t, s, rop, err)
		want(t, rop, backup.PhaseFailed, backup.ErrFailed)
		if len(rop.Made) != 1 {
			t.Errorf("what was made is not listed: %v", rop.Made)
		}
		bad, err := s.StartRestore(t.Context(), op.Points[0], backup.Spec{Token: "b", Options: ebs.RestoreOptions{Zone: "eu-west-1a"}})
		want(t, finish(t, s, bad, err), backup.PhaseFailed, backup.ErrUnsupported)
	})
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		aws  string
		code backup.Code
	}{
		{"UnauthorizedOperation", backup.ErrDenied},
		{"SnapshotLimitExceeded", backup.ErrQuota},
		{"UnsupportedOperation", backup.ErrUnsupported},
		{"SomethingNobodyKnows", backup.ErrFailed},
	} {
		inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
			b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: c.aws, Message: "no"}})
			op, err := s.Start(t.Context(), b.volume, backup.Spec{Token: "t"})
			op = finish(t, s, op, err)
			want(t, op, backup.PhaseFailed, c.code)
			if n := count(b, "CreateSnapshot"); n != 1 {
				t.Errorf("%s: called %d times", c.aws, n)
			}
		})
	}
	for _, transient := range []string{"SnapshotCreationPerVolumeRateExceeded", "ConcurrentSnapshotLimitExceeded", "PendingSnapshotLimitExceeded", "IncorrectState"} {
		inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
			b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Times: 3, Kind: awssim.FaultError, Error: awssim.Error{Code: transient, Message: "later"}})
			began := time.Now()
			op, err := s.Start(t.Context(), b.volume, backup.Spec{Token: "t"})
			want(t, finish(t, s, op, err), backup.PhaseSucceeded, "")
			if d := time.Since(began); d < 90*time.Second {
				t.Errorf("%s: tried again too soon, done after %v", transient, d)
			}
			if n := count(b, "CreateSnapshot"); n != 4 {
				t.Errorf("%s: called %d times", transient, n)
			}
		})
	}
}

func count(b *bench, operation string) (n int) {
	for _, c := range b.world.Calls() {
		if c.Operation == operation {
			n++
		}
	}
	return n
}

// Two processes without a Store may make the same twice; the surplus is found and listed, and never hidden.
func TestUnstoredSurplusIsListed(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		b.world.SetLag(time.Minute)
		ops := make(chan backup.Operation, 2)
		for range 2 {
			go func() {
				s := strategyOf(b)
				op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
				ops <- finish(t, s, op, err)
			}()
		}
		first, second := <-ops, <-ops
		want(t, first, backup.PhaseSucceeded, "")
		want(t, second, backup.PhaseSucceeded, "")
		snapshots, _ := b.made(first)
		if len(snapshots) != 6 {
			t.Fatalf("%d snapshots: the race that this test is about did not happen", len(snapshots))
		}
		for _, op := range []backup.Operation{first, second} {
			if len(op.Points) != 2 || !slices.ContainsFunc(op.Findings, func(f backup.Finding) bool { return f.ID == "ebs.surplus" }) {
				t.Errorf("points %v, findings %v", op.Points, op.Findings)
			}
		}
		// They are listed as two sets, whose members do not mix.
		for _, point := range first.Points {
			n := 0
			for p, err := range s.List(t.Context(), backup.Query{Account: account, Region: region, Point: point}) {
				if n++; err != nil || len(p.Members) != 3 || p.Status != backup.StatusAvailable {
					t.Errorf("listed %+v, %v", p, err)
				}
			}
			if n != 1 {
				t.Errorf("%s is listed %d times", point, n)
			}
		}
		// A third start of the same work finds what there is.
		third, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
		want(t, finish(t, s, third, err), backup.PhaseSucceeded, "")
		if snapshots, _ := b.made(first); len(snapshots) != 6 {
			t.Errorf("a third set was made: %d", len(snapshots))
		}
	})
}

func TestCancel(t *testing.T) {
	steps := func(t *testing.T, s *ebs.Strategy, op backup.Operation, n int) backup.Operation {
		r, err := backup.NewRunner([]backup.Strategy{s})
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			if op, err = r.Step(t.Context(), op); err != nil {
				t.Fatal(err)
			}
		}
		return op
	}
	for _, c := range []struct {
		name  string
		steps int
		sleep time.Duration
		phase backup.Phase
		left  int
	}{
		{"before anything", 0, 0, backup.PhaseCanceled, 0},
		{"planned", 1, 0, backup.PhaseCanceled, 0},
		{"pending", 2, 0, backup.PhaseCanceled, 0},
		{"complete meanwhile", 2, 5 * time.Hour, backup.PhaseSucceeded, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
				op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
				if err != nil {
					t.Fatal(err)
				}
				op = steps(t, s, op, c.steps)
				time.Sleep(c.sleep)
				if op, err = s.Cancel(t.Context(), op); err != nil {
					t.Fatal(err)
				}
				if again, err := s.Cancel(t.Context(), op); err != nil || again.Stage != op.Stage {
					t.Errorf("a second cancel: %v", err)
				}
				op = finish(t, s, op, nil)
				want(t, op, c.phase, "")
				time.Sleep(5 * time.Hour)
				// A deleted snapshot that is pending stays until it completes, so it may still be listed at the end of the cancel.
				if snapshots, _ := b.made(op); len(snapshots) != c.left || c.steps < 2 && len(op.Points) > 0 || c.steps == 2 && len(op.Points) != 1 {
					t.Errorf("%d snapshots are left, listed %v", len(snapshots), op.Points)
				}
				if _, err := s.Cancel(t.Context(), op); !errors.Is(err, backup.ErrUnsupported) {
					t.Errorf("cancel after the end: %v", err)
				}
			})
		})
	}
	// A cancel while the create call was perhaps sent settles first.
	for _, sent := range []bool{true, false} {
		t.Run(fmt.Sprintf("perhaps sent, %v", sent), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
				kind := awssim.FaultServerError
				if sent {
					kind = awssim.FaultLostReply
				}
				b.world.SetLag(3 * time.Minute)
				b.world.Inject(awssim.Fault{Operation: "CreateSnapshots", Kind: kind})
				op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
				if err != nil {
					t.Fatal(err)
				}
				op = steps(t, s, op, 1)
				r, err := backup.NewRunner([]backup.Strategy{s})
				if err != nil {
					t.Fatal(err)
				}
				if op, err = r.Step(t.Context(), op); err == nil {
					t.Fatal("the reply was not lost")
				}
				if op, err = s.Cancel(t.Context(), op); err != nil || !op.Settling {
					t.Fatalf("%v, settling %v", err, op.Settling)
				}
				op = finish(t, s, op, nil)
				want(t, op, backup.PhaseCanceled, backup.ErrCanceled)
				time.Sleep(5 * time.Hour)
				if snapshots, _ := b.made(op); len(snapshots) != 0 {
					t.Errorf("%d snapshots are left", len(snapshots))
				}
				if n := count(b, "CreateSnapshots"); n != 1 {
					t.Errorf("created %d times", n)
				}
			})
		})
	}
}

// An owner tag that changes between the look and the deletion stops it: the second look is on fresh data.
