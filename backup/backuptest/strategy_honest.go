package backuptest

import (
	"context"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

func checkSuccess(t tb, b *bench) {
	op := b.pilot().done(t, b.backups(t), "one")
	for _, r := range op.Points {
		if !b.exists(r) {
			t.Errorf("the %s succeeded and its recovery point %s does not exist", op.Action, r)
		}
		// It may stay invisible for a while; when it is first seen, it is complete.
		for began := time.Now(); ; time.Sleep(5 * time.Second) {
			p, ok := find(t, "List", mustAll(t, "List", b.lister().List(t.Context(), b.here())), refOfPoint, r)
			if ok && p.Status != backup.StatusAvailable {
				t.Errorf("the backup succeeded while its recovery point %s was %s", r, p.Status)
			}
			if ok {
				break
			}
			if time.Since(began) > quiet {
				t.Errorf("the backup succeeded and its recovery point %s is not listed", r)
				break
			}
		}
	}
}

// failed checks that an Operation which can not have succeeded says so.
func (b *bench) failed(t tb, op backup.Operation, why string) {
	t.Helper()
	if op.Phase != backup.PhaseFailed && op.Phase != backup.PhasePartial {
		t.Errorf("the %s ended %s although %s", op.Action, op.Phase, why)
		return
	}
	if op.Failure == nil || op.Failure.Code == "" || op.Failure.Message == "" {
		t.Errorf("the %s ended %s without a Failure that has a code and says why: %+v", op.Action, op.Phase, op.Failure)
	}
	if op.Percent == 100 {
		t.Errorf("the %s ended %s at 100 percent", op.Action, op.Phase)
	}
	b.orphan(t, op)
}

func checkFailure(t tb, b *bench) {
	for _, f := range b.flows(t) {
		if f.action == backup.ActionDelete {
			continue
		}
		p := b.pilot()
		armed := false
		p.prepare = func(op backup.Operation) backup.Operation {
			if op.Next != "" && !armed {
				armed = true
				b.FailLater()
			}
			return op
		}
		p.restarts = true
		b.failed(t, p.finish(t, b.begin(t, f, "one")), "the service failed the work")
	}
}

func checkVanished(t tb, b *bench) {
	p := b.pilot()
	listed := func(op backup.Operation) backup.Refs {
		if op.Action == backup.ActionBackup {
			return op.Points
		}
		return results(op)
	}
	op := p.until(t, b.begin(t, b.backups(t), "one"), func(op backup.Operation) bool { return len(listed(op)) > 0 })
	if op.Done() {
		b.note("the work was complete when it first listed what it made: nobody can delete it before")
		return
	}
	gone := listed(op)[0]
	b.Vanish(gone)
	b.failed(t, p.finish(t, op), "somebody deleted "+gone.String())
}

func checkMissing(t tb, b *bench) {
	f := b.backups(t)
	f.ref = b.Missing
	op := b.pilot().finish(t, b.begin(t, f, "one"))
	if op.Phase != backup.PhaseFailed || backup.CodeOf(op.Err()) != backup.ErrNotFound {
		t.Errorf("the %s of what does not exist ended %s: %v; want %q", f.action, op.Phase, op.Err(), backup.ErrNotFound)
	}
	if len(op.Points)+len(op.Made) > 0 {
		t.Errorf("the %s of what does not exist lists %v and %v", f.action, op.Points, op.Made)
	}
}

// wrapping is a Strategy that wraps another, as an audit or a limit does.
type wrapping struct{ inner backup.Strategy }

func (w wrapping) Kind() string { return w.inner.Kind() }

func (w wrapping) Start(ctx context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	return w.inner.Start(ctx, r, spec)
}

func (w wrapping) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	return w.inner.Step(ctx, op)
}

func (w wrapping) Unwrap() backup.Strategy { return w.inner }

func checkWrapper(t tb, b *bench) {
	kind := b.Strategy.Kind()
	// A Strategy may itself be a wrapper; what it wraps must be of the same kind, for its abilities start Operations of that kind.
	s := b.Strategy
	for n := 0; ; n++ {
		u, ok := s.(backup.Unwrapper)
		if !ok {
			break
		}
		if s = u.Unwrap(); s == nil || n > 16 {
			t.Fatalf("Unwrap gives nil, or goes round in a circle")
		}
		if s.Kind() != kind {
			t.Errorf("the Strategy is of kind %q and wraps one of kind %q", kind, s.Kind())
		}
	}
	whole := *b
	subject := *b.Subject
	whole.Subject = &subject
	subject.Strategy = wrapping{b.Strategy}
	if b.Restart != nil {
		subject.Restart = func() backup.Strategy { return wrapping{b.Restart()} }
	}
	for _, f := range whole.flows(t) {
		p := whole.pilot()
		p.restarts = true
		p.done(t, f, "wrapped")
	}
	b.known, b.notes = whole.known, whole.notes
}
