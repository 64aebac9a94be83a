package backuptest

import (
	"errors"
	"slices"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

func checkTwice(t tb, b *bench) {
	for _, f := range b.flows(t) {
		p := b.pilot()
		p.twice = true
		b.once(t, p.finish(t, b.begin(t, f, "one")))
	}
}

func checkLate(t tb, b *bench) {
	for _, f := range b.flows(t) {
		var intents []backup.Operation
		p := b.pilot()
		p.watch = func(l look) {
			if l.before.Intent() != backup.ReadOnly {
				intents = append(intents, l.before)
			}
		}
		op := p.done(t, f, "one")
		b.rest()
		p.watch = nil
		for _, old := range intents {
			// A queue delivers the input of a Step again after all is done.
			again := p.finish(t, thaw(t, old.Retried(1)))
			switch {
			case f.action == backup.ActionDelete:
				if again.Phase != backup.PhaseSucceeded && backup.CodeOf(again.Err()) != backup.ErrNotFound {
					t.Errorf("a deletion that is delivered again ended %s: %v", again.Phase, again.Err())
				}
			default:
				b.once(t, again)
				for _, r := range append(slices.Clone(op.Points), op.Made...) {
					if !slices.Contains(again.Points, r) && !slices.Contains(again.Made, r) {
						t.Errorf("the %s that is delivered again does not list %s, which it made", f.action, r)
					}
				}
			}
		}
	}
}

func checkUnstored(t tb, b *bench) {
	for _, f := range b.flows(t) {
		if f.action == backup.ActionDelete {
			continue
		}
		p := b.pilot()
		p.unstored = true
		first := p.done(t, f, "one")
		b.rest()
		// Nothing was kept; the same work is started by a program that knows nothing of it.
		p.s = b.process()
		again := p.finish(t, b.begin(t, f, "one"))
		b.once(t, again)
		for _, r := range append(slices.Clone(first.Points), first.Made...) {
			if !slices.Contains(again.Points, r) && !slices.Contains(again.Made, r) {
				t.Errorf("the same %s started again does not list %s, which it made", f.action, r)
			}
		}
	}
}

func checkLost(t tb, b *bench) {
	for _, f := range b.flows(t) {
		p := b.pilot()
		armed := false
		p.prepare = func(op backup.Operation) backup.Operation {
			if op.Next != "" && !armed {
				armed = true
				b.LoseReply()
			}
			return op
		}
		p.watch = func(l look) {
			if l.err != nil && !typed(l.err) {
				t.Errorf("Step of the %s gives %v, which is no *backup.Error", f.action, l.err)
			}
		}
		p.restarts = true
		b.once(t, p.finish(t, b.begin(t, f, "one")))
		if !armed {
			t.Errorf("the %s ended without ever naming the call that it makes in Next", f.action)
		}
	}
}

// errDied stands for a Step whose process died.
var errDied = &backup.Error{Op: "conformance", Code: backup.ErrUnavailable, Err: errors.New("the process died")}

func checkDied(t tb, b *bench) {
	for _, f := range b.flows(t) {
		p := b.pilot()
		armed, died := false, false
		p.prepare = func(op backup.Operation) backup.Operation {
			if op.Next != "" && !armed {
				armed = true
				b.DieAfter()
			}
			return op
		}
		p.around = func(op backup.Operation, step func() (backup.Operation, error)) (next backup.Operation, err error) {
			if !armed || died {
				return step()
			}
			defer func() {
				if recover() != nil {
					died = true
					next, err = op, errDied
				}
			}()
			return step()
		}
		p.restarts = true
		b.once(t, p.finish(t, b.begin(t, f, "one")))
		if !died {
			t.Errorf("the %s ended without a death, although Subject.DieAfter was called", f.action)
		}
	}
}

func checkFence(t tb, b *bench) {
	lost := &backup.Error{Op: "conformance", Code: backup.ErrConflict, Err: errors.New("the lease is over")}
	for _, f := range b.flows(t) {
		p := b.pilot()
		op := b.begin(t, f, "one")
		for n := 0; !op.Done() && n < mostSteps; n++ {
			op = p.until(t, op, func(op backup.Operation) bool { return op.Next != "" })
			if op.Done() {
				break
			}
			p.watch = func(l look) {
				if l.mutated {
					t.Errorf("Step of the %s made the call %q although its lease was over; see backup.CheckFence", f.action, op.Next)
				}
				if l.err == nil && l.after.Done() {
					t.Errorf("the %s ended %s because a lease was over: %v", f.action, l.after.Phase, l.after.Err())
				}
			}
			next, err := p.give(t, backup.WithFence(t.Context(), func() error { return lost }), p.intend(op))
			p.watch = nil
			if op = next; err == nil && op.Next == "" {
				continue // it only looked
			}
			next, err = p.step(t, op)
			if err != nil && !passes(err) {
				t.Fatalf("Step of the %s: %v", f.action, err)
			}
			if op = next; err != nil {
				time.Sleep(5 * time.Second)
			}
		}
		if b.Count != nil {
			b.once(t, op)
		}
	}
}
