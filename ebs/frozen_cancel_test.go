package ebs_test

import (
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
)

// A backup that is canceled when its set is complete is judged like any other: it must not pass for one that was proved.
func TestFrozenCanceledComplete(t *testing.T) {
	for _, c := range []struct {
		fault    string
		required bool
		phase    backup.Phase
		code     backup.Code
		labels   int
	}{
		{"lost thaw", true, backup.PhaseFailed, backup.ErrFailed, 0},
		{"lost thaw", false, backup.PhaseSucceeded, "", 0},
		{"", true, backup.PhaseSucceeded, "", 3},
	} {
		inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
			h := newFrozenHost(c.fault)
			s := ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Quiescer = h })
			op, err := s.Start(t.Context(), b.instance, quiesced(c.required))
			r, _ := backup.NewRunner([]backup.Strategy{s})
			for err == nil && op.Stage != "wait" {
				op, err = r.Step(t.Context(), op)
				time.Sleep(max(time.Until(op.Poll), time.Millisecond))
			}
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Hour) // all are complete by now
			if op, err = r.Cancel(t.Context(), op); err != nil {
				t.Fatal(err)
			}
			op = finish(t, s, op, nil)
			want(t, op, c.phase, c.code)
			if n, _ := labels(b.world, h, op); n != c.labels || len(op.Points) != 1 {
				t.Errorf("%+v: %d labels, points %v", c, n, op.Points)
			}
			if c.labels == 0 && !c.required && found(op, "ebs.crash-consistent") == "" {
				t.Errorf("%+v: findings %v", c, op.Findings)
			}
		})
	}
}

// A backup that is canceled while its call is out is thawed, looked for and undone.
func TestFrozenCanceled(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		h := newFrozenHost("die-after freeze")
		s := ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Quiescer = h })
		op, err := s.Start(t.Context(), b.instance, quiesced(false))
		if err != nil {
			t.Fatal(err)
		}
		for op.Stage != "create" {
			if op, err = s.Step(t.Context(), op); err != nil {
				t.Fatal(err)
			}
		}
		if op.Next != "Freeze, CreateSnapshots, Thaw" {
			t.Errorf("next %q", op.Next)
		}
		op.Attempt = 1
		func() {
			defer func() { _ = recover() }()
			_, _ = s.Step(t.Context(), op)
		}()
		if h.since.IsZero() {
			t.Fatal("the host is not frozen")
		}
		if op, err = s.Cancel(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		op = finish(t, s, op, nil)
		want(t, op, backup.PhaseCanceled, backup.ErrCanceled)
		if snapshots, _ := b.made(op); len(snapshots) > 0 || len(h.spans) != 1 || h.spans[0][1].Sub(h.spans[0][0]) > 10*time.Second {
			t.Errorf("%d snapshots, frozen %v", len(snapshots), h.spans)
		}
	})
}
