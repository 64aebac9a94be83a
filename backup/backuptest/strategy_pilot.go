package backuptest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// pilot carries Operations on as a Runner with a Store does: it counts the attempt before each Step that may change something, gives the
// Operation through JSON, tries again after errors that pass, and waits until the next Step is due.
type pilot struct {
	b *bench
	s backup.Strategy
	// restarts gives each Step to a new process.
	restarts bool
	// twice throws the result of each Step away and gives its input again, as a durable engine does.
	twice bool
	// impatient makes three Steps where one is due.
	impatient bool
	// lazy comes minutes late to every Step that only looks, which saves looks.
	lazy bool
	// unstored marks Operations as a Runner without a Store does.
	unstored bool
	// prepare changes what Step is given.
	prepare func(op backup.Operation) backup.Operation
	// around is called in place of Step and calls it.
	around func(op backup.Operation, step func() (backup.Operation, error)) (backup.Operation, error)
	// watch is told of each Step.
	watch func(l look)
}

// look is one Step as the pilot saw it.
type look struct {
	before, after backup.Operation
	err           error
	took          time.Duration
	mutated       bool // a call that changes something was made, or the number of things changed
}

// The most that a piece of work may take.
const (
	mostSteps   = 3000
	mostTime    = backup.DefaultTimeout
	mostTrouble = 50
	quiet       = 15 * time.Minute // after which everything is visible
)

func (b *bench) pilot() *pilot { return &pilot{b: b, s: b.Strategy} }

// finish carries op on to its end.
func (p *pilot) finish(t tb, op backup.Operation) backup.Operation {
	t.Helper()
	return p.until(t, op, backup.Operation.Done)
}

// until carries op on until it has ended, or is as wanted.
func (p *pilot) until(t tb, op backup.Operation, wanted func(backup.Operation) bool) backup.Operation {
	t.Helper()
	began, trouble := time.Now(), 0
	for n := 0; !op.Done() && !wanted(op); n++ {
		if n > mostSteps || time.Since(began) > mostTime {
			t.Fatalf("the %s did not end within %v and %d Steps; it is %s, stage %q, next %q", op.Action, mostTime, mostSteps, op.Phase, op.Stage, op.Next)
		}
		next, err := p.step(t, op)
		if err == nil && p.twice {
			again := op.Retried(1)
			p.s = p.b.process()
			next, err = p.step(t, again)
		}
		if err == nil && p.impatient && next.Next == "" && !next.Done() {
			op = next
			next, err = p.step(t, op)
		}
		if err != nil {
			if trouble++; !passes(err) || trouble > mostTrouble {
				t.Fatalf("Step of the %s in stage %q gives the error: %v", op.Action, op.Stage, err)
			}
			op = next
			time.Sleep(5 * time.Second)
			continue
		}
		still := next.Stage == op.Stage && next.Next == op.Next && next.Attempt == op.Attempt
		op = next
		switch wait := time.Until(op.Poll); {
		case op.Done():
		case p.lazy && !p.b.live && op.Next == "":
			time.Sleep(max(wait, 3*time.Minute))
		case wait > 0 && !(p.impatient && op.Next != ""):
			time.Sleep(wait)
		case still:
			time.Sleep(time.Second)
		}
	}
	return op
}

// step counts the attempt and makes one Step.
func (p *pilot) step(t tb, op backup.Operation) (backup.Operation, error) {
	t.Helper()
	return p.give(t, t.Context(), p.intend(op))
}

// intend records what the coming Step may do.
func (p *pilot) intend(op backup.Operation) backup.Operation {
	op.Unstored = p.unstored
	if op.Next != "" {
		op.Attempt++
		op.Intended = time.Now().UTC().Round(0)
	}
	return op
}

// give makes one Step with op as it is. With an error it gives op back, without the attempt if that surely had no effect.
func (p *pilot) give(t tb, ctx context.Context, op backup.Operation) (backup.Operation, error) {
	t.Helper()
	if p.restarts {
		p.s = p.b.process()
	}
	in := thaw(t, op)
	if p.prepare != nil {
		in = p.prepare(in)
	}
	p.b.remember(op)
	mutating, made, began := 0, 0, time.Now()
	if p.watch != nil {
		_, mutating = p.b.calls()
		made = p.b.made()
	}
	step := func() (backup.Operation, error) { return p.s.Step(ctx, in) }
	var next backup.Operation
	var err error
	if p.around != nil {
		next, err = p.around(op, step)
	} else {
		next, err = step()
	}
	if p.watch != nil {
		_, now := p.b.calls()
		p.watch(look{before: in, after: next, err: err, took: time.Since(began), mutated: now != mutating || p.b.made() != made})
	}
	if err != nil {
		if op.Attempt > 0 && next.ID == op.ID && next.Next == op.Next && next.Attempt == 0 {
			op.Unsent()
		}
		return op, err
	}
	if next.ID != op.ID {
		t.Fatalf("Step gives the operation %q for %q", next.ID, op.ID)
	}
	if next.Next != op.Next {
		next.Attempt, next.Intended = 0, time.Time{}
	}
	p.b.remember(next)
	return next, nil
}

// results are all things that an Operation lists.
func results(op backup.Operation) backup.Refs { return append(slices.Clone(op.Points), op.Made...) }

// passes tells the errors after which a Runner tries again.
func passes(err error) bool {
	switch backup.CodeOf(err) {
	case backup.ErrThrottled, backup.ErrUnavailable, backup.ErrConflict:
		return true
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// typed tells whether an error is one that the library may give.
func typed(err error) bool {
	var e *backup.Error
	return errors.As(err, &e) && e.Code != "" || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// thaw gives what another process reads of an Operation.
func thaw(t tb, op backup.Operation) (out backup.Operation) {
	t.Helper()
	if err := json.Unmarshal(encode(t, op), &out); err != nil {
		t.Fatalf("the operation can not be read back: %v", err)
	}
	return out
}

// flow is one thing that the Strategy does.
type flow struct {
	action backup.Action
	ref    backup.Ref
	start  func(s backup.Strategy, r backup.Ref, spec backup.Spec) (backup.Operation, error)
}

// flows are the things that the Strategy does, each with something to do it to. What Start starts comes first.
func (b *bench) flows(t tb) []flow {
	t.Helper()
	fs := []flow{b.backups(t)}
	_, restores := backup.As[backup.Restorer](b.Strategy)
	_, deletes := backup.As[backup.Deleter](b.Strategy)
	if !restores && !deletes {
		return fs
	}
	point := b.lookedAt(t)
	if restores {
		fs = append(fs, b.restores(t, point))
	}
	if deletes {
		fs = append(fs, b.deletes(t, point)) // last: what was restored from is deleted
	}
	return fs
}

// lookedAt gives a recovery point for the flows. In a live service all checks have the same one, because none that is live carries a flow but
// a backup to its end.
func (b *bench) lookedAt(t tb) backup.Ref {
	t.Helper()
	if !b.live {
		return b.point(t, "a-point")
	}
	if b.common.ID == "" {
		*b.common = b.backedUp(t, "a-point")
		b.known = slices.DeleteFunc(b.known, func(op backup.Operation) bool { return op.ID == b.common.ID })
	}
	return b.common.Points[0]
}

// backups is what Start starts.
func (b *bench) backups(t tb) flow {
	return flow{b.starts(), b.Resource, func(s backup.Strategy, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
		return s.Start(t.Context(), r, spec)
	}}
}

func (b *bench) restores(t tb, point backup.Ref) flow {
	return flow{backup.ActionRestore, point, func(s backup.Strategy, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
		x, ok := backup.As[backup.Restorer](s)
		if !ok {
			t.Fatalf("the Strategy of another process is no Restorer")
		}
		return x.StartRestore(t.Context(), r, spec)
	}}
}

func (b *bench) deletes(t tb, point backup.Ref) flow {
	return flow{backup.ActionDelete, point, func(s backup.Strategy, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
		x, ok := backup.As[backup.Deleter](s)
		if !ok {
			t.Fatalf("the Strategy of another process is no Deleter")
		}
		return x.StartDelete(t.Context(), r, spec)
	}}
}

// begin starts f with a token.
func (b *bench) begin(t tb, f flow, token string) backup.Operation {
	t.Helper()
	op, err := f.start(b.Strategy, f.ref, b.spec(f.action, token))
	if err != nil {
		t.Fatalf("starting the %s of %s: %v", f.action, f.ref, err)
	}
	b.remember(op)
	return op
}

// done carries f through to success.
func (p *pilot) done(t tb, f flow, token string) backup.Operation {
	t.Helper()
	op := p.finish(t, p.b.begin(t, f, token))
	if op.Phase != backup.PhaseSucceeded {
		t.Fatalf("the %s of %s ended %s: %v", f.action, f.ref, op.Phase, op.Err())
	}
	return op
}

// backedUp makes a backup for a check that is about something else, and waits until everybody sees it.
func (b *bench) backedUp(t tb, token string) backup.Operation {
	t.Helper()
	p := b.pilot()
	p.lazy = true
	op := p.done(t, b.backups(t), token)
	if len(op.Points) == 0 {
		t.Fatalf("the %s succeeded and lists no recovery point", op.Action)
	}
	b.rest()
	return op
}

// point is the recovery point of a new backup.
func (b *bench) point(t tb, token string) backup.Ref {
	t.Helper()
	return b.backedUp(t, token).Points[0]
}

// rest waits until everything has become visible. In a live service the backups before were looked at for long enough.
func (b *bench) rest() {
	if !b.live {
		time.Sleep(quiet)
	}
}

// once checks that a piece of work succeeded and made what it should exactly once, and that it lists it.
func (b *bench) once(t tb, op backup.Operation) {
	t.Helper()
	if op.Phase != backup.PhaseSucceeded {
		t.Errorf("the %s ended %s: %v", op.Action, op.Phase, op.Err())
		return
	}
	if op.Action == backup.ActionDelete {
		return
	}
	b.rest()
	if n, want := b.Count(op.ID), b.parts(op.Action); n != want {
		t.Errorf("%d things carry the ID of one %s, want %d", n, op.Action, want)
	}
	if len(op.Points)+len(op.Made) == 0 {
		t.Errorf("the %s succeeded and lists nothing", op.Action)
	}
	for _, other := range b.known {
		for _, r := range results(op) {
			if other.ID != op.ID && (slices.Contains(other.Points, r) || slices.Contains(other.Made, r)) {
				t.Errorf("the %s lists %s, which another piece of work has made", op.Action, r)
			}
		}
	}
}

// orphan reports things that exist and are listed nowhere.
func (b *bench) orphan(t tb, op backup.Operation) {
	t.Helper()
	if b.Count == nil {
		b.note("Subject.Count is nil: that nothing exists unlisted was not checked")
		return
	}
	if n := b.Count(op.ID); n > 0 && len(op.Points)+len(op.Made) == 0 {
		t.Errorf("the %s ended %s and lists nothing, but %d things carry its ID", op.Action, op.Phase, n)
	}
}
