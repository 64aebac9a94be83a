package backuptest

import (
	"fmt"
	"slices"

	"github.com/snapwarden/snapwarden/backup"
)

// listed tells whether a recovery point is in a listing of everything, or, without a Lister, whether it exists.
func (b *bench) listed(t tb, r backup.Ref) bool {
	t.Helper()
	l := b.lister()
	if l == nil {
		return b.Exists == nil || b.Exists(r)
	}
	_, ok := find(t, "List", mustAll(t, "List", l.List(t.Context(), b.here())), refOfPoint, r)
	return ok
}

// canSee tells whether it can be seen that something is gone.
func (b *bench) canSee() bool { return b.lister() != nil || b.Exists != nil }

func checkDelete(t tb, b *bench) {
	made := b.backedUp(t, "one")
	p := b.pilot()
	p.restarts = true
	op := p.done(t, b.deletes(t, made.Points[0]), "delete")
	if b.Exists != nil && b.Exists(made.Points[0]) {
		t.Errorf("the deletion succeeded and %s exists", made.Points[0])
	}
	if len(op.Points) > 0 {
		t.Errorf("the deletion succeeded and lists %v", op.Points)
	}
	if b.Count != nil {
		if n := b.Count(made.ID); n > 0 {
			t.Errorf("the deletion succeeded and %d things of the backup exist", n)
		}
	}
	for range 2 {
		if b.canSee() && b.listed(t, made.Points[0]) {
			t.Errorf("the deletion succeeded and %s is listed", made.Points[0])
		}
		b.rest()
	}
	if !b.exists(b.Resource) {
		t.Errorf("the deletion of a recovery point deleted the resource %s", b.Resource)
	}
}

func checkDeleteOnly(t tb, b *bench) {
	before, one, after := b.point(t, "before"), b.point(t, "one"), b.point(t, "after")
	b.pilot().done(t, b.deletes(t, one), "delete")
	b.rest()
	for _, r := range []backup.Ref{before, after} {
		if !b.listed(t, r) {
			t.Errorf("deleting %s deleted %s too", one, r)
		}
	}
}

func checkDeleteAgain(t tb, b *bench) {
	f := b.deletes(t, b.point(t, "one"))
	other := b.point(t, "other")
	p := b.pilot()
	first := p.done(t, f, "delete")
	b.rest()
	again := b.begin(t, f, "delete")
	if again.ID != first.ID {
		t.Errorf("the same deletion started again has the ID %s, the first was %s", again.ID, first.ID)
	}
	if again = p.finish(t, again); again.Phase != backup.PhaseSucceeded && backup.CodeOf(again.Err()) != backup.ErrNotFound {
		t.Errorf("the same deletion once more ended %s: %v", again.Phase, again.Err())
	}
	if b.canSee() && !b.listed(t, other) {
		t.Errorf("the same deletion once more deleted %s", other)
	}
}

func checkDeleteMissing(t tb, b *bench) {
	f := b.deletes(t, b.point(t, "one"))
	p := b.pilot()
	p.done(t, f, "delete")
	b.rest()
	op := p.finish(t, b.begin(t, f, "another"))
	if op.Phase != backup.PhaseFailed || backup.CodeOf(op.Err()) != backup.ErrNotFound {
		t.Errorf("deleting what does not exist ended %s: %v; want %q", op.Phase, op.Err(), backup.ErrNotFound)
	}
}

func checkDeleteForeign(t tb, b *bench) {
	spec := b.spec(b.starts(), "theirs")
	spec.Owner = "somebody-else"
	op, err := b.Strategy.Start(t.Context(), b.Resource, spec)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	p := b.pilot()
	if op = p.finish(t, op); op.Phase != backup.PhaseSucceeded || len(op.Points) == 0 {
		t.Fatalf("the backup ended %s: %v", op.Phase, op.Err())
	}
	b.rest()
	f := b.deletes(t, op.Points[0])
	_, mutating := b.calls()
	del := p.finish(t, b.begin(t, f, "not-ours"))
	if del.Phase != backup.PhaseFailed || backup.CodeOf(del.Err()) != backup.ErrConflict {
		t.Errorf("deleting what another owner made ended %s: %v; want %q", del.Phase, del.Err(), backup.ErrConflict)
	}
	if _, now := b.calls(); now != mutating {
		t.Errorf("deleting what another owner made was refused after %d calls that change something", now-mutating)
	}
	if b.canSee() && !b.listed(t, op.Points[0]) || b.Count != nil && b.Count(op.ID) == 0 {
		t.Errorf("what another owner made is gone")
	}
	spec = b.spec(backup.ActionDelete, "owner")
	spec.Owner = "somebody-else"
	if b.AllowForeign != nil {
		spec = b.spec(backup.ActionDelete, "allowed")
		spec.Options = b.AllowForeign
	} else {
		b.note("Subject.AllowForeign is nil: deleting for another owner was not tried")
	}
	if del, err = f.start(b.Strategy, f.ref, spec); err != nil {
		t.Fatalf("StartDelete: %v", err)
	}
	if del = p.finish(t, del); del.Phase != backup.PhaseSucceeded {
		t.Errorf("a deletion by the owner, or one that was allowed, ended %s: %v", del.Phase, del.Err())
	}
}

func checkRestore(t tb, b *bench) {
	point := b.point(t, "one")
	p := b.pilot()
	p.restarts = true
	op := p.done(t, b.restores(t, point), "restore")
	if len(op.Made) == 0 {
		t.Errorf("the restore succeeded and lists nothing in Made")
	}
	for _, r := range op.Made {
		if err := r.Validate(); err != nil {
			t.Errorf("Made has %s: %v", r, err)
		}
		if r == b.Resource || r == point {
			t.Errorf("Made has %s, which was there before", r)
		}
		if !b.exists(r) {
			t.Errorf("the restore succeeded and %s does not exist", r)
		}
	}
	if !b.exists(b.Resource) || b.canSee() && !b.listed(t, point) {
		t.Errorf("after the restore the resource or the recovery point is gone")
	}
	if b.Count != nil {
		b.once(t, op)
	}
}

func checkRestoreAgain(t tb, b *bench) {
	f := b.restores(t, b.point(t, "one"))
	p := b.pilot()
	first := p.done(t, f, "restore")
	b.rest()
	p.s, p.unstored = b.process(), true
	again := p.finish(t, b.begin(t, f, "restore"))
	if again.ID != first.ID {
		t.Errorf("the same restore started again has the ID %s, the first was %s", again.ID, first.ID)
	}
	b.once(t, again)
	for _, r := range first.Made {
		if !slices.Contains(again.Made, r) {
			t.Errorf("the same restore started again lists %v and not %s", again.Made, r)
		}
	}
}

func checkRestoreOver(t tb, b *bench) {
	f := b.restores(t, b.point(t, "one"))
	p := b.pilot()
	first := p.done(t, f, "restore")
	b.rest()
	// The names of the first restore, and another token: what the first one made must stay as it is.
	spec := b.spec(f.action, "restore")
	spec.Token = b.prefix + "another"
	op, err := f.start(b.Strategy, f.ref, spec)
	if err != nil {
		t.Fatalf("StartRestore: %v", err)
	}
	op = p.finish(t, op)
	switch {
	case op.Phase == backup.PhaseSucceeded:
		for _, r := range op.Made {
			if slices.Contains(first.Made, r) {
				t.Errorf("a second restore took over %s, which another restore had made", r)
			}
		}
	case backup.CodeOf(op.Err()) != backup.ErrConflict:
		t.Errorf("a restore to a name that is taken ended %s: %v; want %q", op.Phase, op.Err(), backup.ErrConflict)
	}
	for _, r := range first.Made {
		if !b.exists(r) {
			t.Errorf("a second restore removed %s", r)
		}
	}
	if b.Count != nil {
		b.once(t, first)
	}
}

func checkRestoreMissing(t tb, b *bench) {
	point := b.point(t, "one")
	p := b.pilot()
	p.done(t, b.deletes(t, point), "delete")
	b.rest()
	op := p.finish(t, b.begin(t, b.restores(t, point), "restore"))
	if op.Phase != backup.PhaseFailed || backup.CodeOf(op.Err()) != backup.ErrNotFound {
		t.Errorf("restoring what does not exist ended %s: %v; want %q", op.Phase, op.Err(), backup.ErrNotFound)
	}
	if len(op.Made) > 0 {
		t.Errorf("restoring what does not exist lists %v", op.Made)
	}
	b.orphan(t, op)
}

// cancel cancels op and checks what Cancel itself must hold to. What the service can not stop may be refused; then op is as it was, and the
// answer is false.
func (b *bench) cancel(t tb, op backup.Operation) (backup.Operation, bool) {
	t.Helper()
	x, _ := backup.As[backup.Canceler](b.process())
	total, _ := b.calls()
	in := thaw(t, op)
	next, err := x.Cancel(t.Context(), in)
	same(t, "what Cancel was given, afterwards", in, op)
	if now, _ := b.calls(); now != total {
		t.Errorf("Cancel made %d calls; it must make none", now-total)
	}
	if err != nil {
		wantCode(t, fmt.Sprintf("Cancel of the %s in stage %q", op.Action, op.Stage), err, backup.ErrUnsupported)
		same(t, "what Cancel gives with its refusal", next, op)
		return op, false
	}
	again, err := x.Cancel(t.Context(), thaw(t, next))
	if err != nil && !next.Done() {
		t.Errorf("Cancel of what is being canceled: %v", err)
	}
	if err == nil && (again.Phase != next.Phase || again.ID != next.ID) {
		t.Errorf("Cancel of what is being canceled gives phase %s, it was %s", again.Phase, next.Phase)
	}
	return next, true
}

// canceled cancels an Operation and checks how it ends: nothing that remains is unlisted. It may succeed if it was done before it could be
// stopped, and must if Cancel was refused.
func (b *bench) canceled(t tb, p *pilot, op backup.Operation) {
	t.Helper()
	op, ok := b.cancel(t, op)
	if op = p.finish(t, op); !ok {
		b.note("Cancel was refused with ErrUnsupported after something was perhaps made")
		b.once(t, op)
		return
	}
	if op.Phase != backup.PhaseCanceled && op.Phase != backup.PhaseSucceeded {
		t.Errorf("a canceled %s ended %s: %v", op.Action, op.Phase, op.Err())
	}
	b.rest()
	b.orphan(t, op)
	if op.Phase == backup.PhaseSucceeded && b.Count != nil && b.Count(op.ID) != b.parts(op.Action) {
		t.Errorf("the %s was canceled too late, succeeded, and %d things carry its ID, want %d", op.Action, b.Count(op.ID), b.parts(op.Action))
	}
}

func checkCancelPending(t tb, b *bench) {
	_, mutating := b.calls()
	op, ok := b.cancel(t, b.begin(t, b.backups(t), "one"))
	if !ok {
		t.Fatalf("the %s that has made nothing can not be canceled", op.Action)
	}
	op = b.pilot().finish(t, op)
	if op.Phase != backup.PhaseCanceled || backup.CodeOf(op.Err()) != backup.ErrCanceled {
		t.Errorf("the %s that was canceled before anything was made ended %s: %v", op.Action, op.Phase, op.Err())
	}
	if _, now := b.calls(); now != mutating {
		t.Errorf("the %s that was canceled before anything was made made %d calls that change something", op.Action, now-mutating)
	}
	if len(op.Points)+len(op.Made) > 0 || b.Count != nil && b.Count(op.ID) > 0 {
		t.Errorf("the %s that was canceled before anything was made has made something; it lists %v and %v", op.Action, op.Points, op.Made)
	}
}

func checkCancelMidway(t tb, b *bench) {
	// The state after each Step is one in which somebody may cancel.
	for n := 1; n < 8; n++ {
		p := b.pilot()
		op := b.begin(t, b.backups(t), "steps-"+string(rune('0'+n)))
		steps := 0
		op = p.until(t, op, func(backup.Operation) bool { steps++; return steps > n })
		if op.Done() {
			return
		}
		b.canceled(t, p, op)
	}
}

func checkCancelSent(t tb, b *bench) {
	p := b.pilot()
	op := p.until(t, b.begin(t, b.backups(t), "one"), func(op backup.Operation) bool { return op.Next != "" })
	if op.Done() {
		t.Fatalf("the %s ended without ever naming the call that it makes in Next", op.Action)
	}
	b.LoseReply()
	op, err := p.step(t, op)
	if err == nil && !op.Done() {
		b.note("the reply was lost and Step gave no error")
	}
	if op.Done() {
		return
	}
	b.canceled(t, p, op)
}

func checkCancelFinished(t tb, b *bench) {
	x, _ := backup.As[backup.Canceler](b.Strategy)
	for _, f := range b.flows(t) {
		op := b.pilot().done(t, f, "one")
		next, err := x.Cancel(t.Context(), thaw(t, op))
		wantCode(t, "Cancel of the "+string(f.action)+" that has succeeded", err, backup.ErrUnsupported)
		same(t, "what Cancel gives with its refusal", next, op)
	}
}
