package backuptest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

func checkStepRefuses(t tb, b *bench) {
	kind := b.Strategy.Kind()
	for _, f := range b.flows(t) {
		op := b.begin(t, f, "one")
		if op.Next != "" {
			op.Attempt = 1 // whatever a refusal forgets would be sent
		}
		unknown, err := backup.NewOperation(kind, "backuptest.unknown", f.ref, backup.Spec{Token: op.Token})
		if err != nil {
			t.Fatalf("NewOperation: %v", err)
		}
		with := func(change func(op *backup.Operation)) backup.Operation { o := op; change(&o); return o }
		other := backup.ActionExport
		if f.action == other {
			other = backup.ActionBackup
		}
		for name, c := range map[string]struct {
			op    backup.Operation
			codes []backup.Code
		}{
			"of another kind":         {with(func(o *backup.Operation) { o.Kind = "backuptest.other" }), []backup.Code{backup.ErrInvalid}},
			"of a newer version":      {with(func(o *backup.Operation) { o.Version = backup.OperationVersion + 1 }), []backup.Code{backup.ErrUnsupported}},
			"without a version":       {with(func(o *backup.Operation) { o.Version = 0 }), []backup.Code{backup.ErrInvalid}},
			"with another ID":         {with(func(o *backup.Operation) { o.ID = "op-aaaaaaaaaaaaaaaaaaaaaaaaaa" }), []backup.Code{backup.ErrInvalid}},
			"with another Ref":        {with(func(o *backup.Operation) { o.Ref.ID += "0" }), []backup.Code{backup.ErrInvalid}},
			"with another Token":      {with(func(o *backup.Operation) { o.Token += "0" }), []backup.Code{backup.ErrInvalid}},
			"with another Action":     {with(func(o *backup.Operation) { o.Action = other }), []backup.Code{backup.ErrInvalid}},
			"of an action it has not": {unknown, []backup.Code{backup.ErrInvalid, backup.ErrUnsupported}},
			"that is empty":           {backup.Operation{}, []backup.Code{backup.ErrInvalid}},
		} {
			before, _ := b.calls()
			next, err := b.Strategy.Step(t.Context(), c.op)
			if err == nil || !slices.Contains(c.codes, backup.CodeOf(err)) || !typed(err) {
				t.Errorf("Step of the %s %s gives the error %v, want one of %q", f.action, name, err, c.codes)
			}
			same(t, "what Step gives with its refusal of the "+string(f.action)+" "+name, next, c.op)
			if after, _ := b.calls(); after != before {
				t.Errorf("refusing the %s %s made %d calls", f.action, name, after-before)
			}
		}
	}
}

func checkStepFinished(t tb, b *bench) {
	for _, f := range b.flows(t) {
		started := b.begin(t, f, "one")
		var ends []backup.Operation
		for _, err := range []error{nil, backup.ErrPartial, backup.ErrFailed, backup.ErrCanceled} {
			op := started
			if err == nil {
				op.Succeed()
			} else {
				op.Fail(&backup.Error{Op: "conformance", Code: backup.CodeOf(err)})
			}
			ends = append(ends, op)
		}
		if !b.live {
			ends = append(ends, b.pilot().done(t, f, "two"))
		}
		for _, op := range ends {
			before, _ := b.calls()
			next, err := b.process().Step(t.Context(), thaw(t, op))
			if err != nil {
				t.Errorf("Step of the %s that is %s gives the error: %v", f.action, op.Phase, err)
			}
			same(t, fmt.Sprintf("Step of the %s that is %s", f.action, op.Phase), next, op)
			if after, _ := b.calls(); after != before {
				t.Errorf("Step of the %s that is %s made %d calls", f.action, op.Phase, after-before)
			}
		}
	}
}

// eachStep carries every action through and has watch look at each Step.
func (b *bench) eachStep(t tb, restarts bool, watch func(f flow, l look)) {
	t.Helper()
	for _, f := range b.flows(t) {
		p := b.pilot()
		p.restarts = restarts
		p.watch = func(l look) { watch(f, l) }
		p.done(t, f, "watched")
	}
}

func checkStepReadOnly(t tb, b *bench) {
	for _, f := range b.flows(t) {
		p := b.pilot()
		p.watch = func(l look) {
			if l.before.Intent() == backup.ReadOnly && l.mutated {
				t.Errorf("Step of the %s in stage %q changed something with Next %q and Attempt %d", f.action, l.before.Stage, l.before.Next, l.before.Attempt)
			}
		}
		op := b.begin(t, f, "watched")
		for n := 0; !op.Done() && n < mostSteps; n++ {
			op = p.until(t, op, func(op backup.Operation) bool { return op.Next != "" })
			if op.Done() {
				break
			}
			// No attempt is recorded: the call that Next names must not be made, however often.
			for range 2 {
				o := op
				o.Attempt = 0
				if next, err := p.give(t, t.Context(), o); err == nil && next.Done() {
					t.Errorf("the %s in stage %q ended %s although the call %q was not allowed: %v", f.action, op.Stage, next.Phase, op.Next, next.Err())
				}
			}
			next, err := p.step(t, op)
			if err != nil && !passes(err) {
				t.Fatalf("Step of the %s: %v", f.action, err)
			}
			if op = next; err != nil {
				time.Sleep(5 * time.Second)
			}
		}
		if op.Phase != backup.PhaseSucceeded {
			t.Errorf("the %s ended %s: %v", f.action, op.Phase, op.Err())
		}
	}
}

// padded gives s with room behind it that is not the caller's to write into.
func padded[E any](s []E, guard E) []E {
	out := append(make([]E, 0, len(s)+4), s...)
	for i := len(s); i < cap(out); i++ {
		out[:cap(out)][i] = guard
	}
	return out
}

func guarded[E comparable](s []E, guard E) bool {
	for _, e := range s[len(s):cap(s)] {
		if e != guard {
			return false
		}
	}
	return true
}

func checkStepInput(t tb, b *bench) {
	ref := backup.Ref{Type: "guard"}
	find, end := backup.Finding{ID: "guard"}, backup.Endpoint{ID: "guard"}
	for _, f := range b.flows(t) {
		p := b.pilot()
		var was string
		p.prepare = func(op backup.Operation) backup.Operation {
			op.Points, op.Made = padded(op.Points, ref), padded(op.Made, ref)
			op.Findings, op.Endpoints, op.State = padded(op.Findings, find), padded(op.Endpoints, end), padded(op.State, '#')
			if op.Tags == nil {
				op.Tags = map[string]string{}
			}
			was = string(encode(t, op))
			return op
		}
		p.watch = func(l look) {
			in := l.before
			if now := string(encode(t, in)); now != was {
				t.Errorf("Step of the %s changed the operation that it was given from\n%s\nto\n%s", f.action, was, now)
			}
			if !guarded(in.Points, ref) || !guarded(in.Made, ref) || !guarded(in.Findings, find) || !guarded(in.Endpoints, end) || !guarded(in.State, '#') {
				t.Errorf("Step of the %s in stage %q wrote behind the end of a list of the operation that it was given", f.action, in.Stage)
			}
		}
		p.done(t, f, "watched")
	}
}

func checkStepIdentity(t tb, b *bench) {
	b.eachStep(t, true, func(f flow, l look) {
		if l.err != nil {
			return
		}
		// All of this was settled when the work was started.
		want := l.after
		o := l.before
		want.Version, want.ID, want.Kind, want.Action, want.Ref, want.Token = o.Version, o.ID, o.Kind, o.Action, o.Ref, o.Token
		want.Owner, want.Tags, want.Started, want.Deadline, want.Unstored, want.Canceling = o.Owner, o.Tags, o.Started, o.Deadline, o.Unstored, o.Canceling
		same(t, "what Step made of the "+string(f.action)+" (identity, owner, tags, start and deadline never change)", l.after, want)
	})
}

func checkStepProgress(t tb, b *bench) {
	rank := func(p backup.Phase) int {
		return slices.Index([]backup.Phase{backup.PhasePending, backup.PhaseRunning, backup.PhaseSucceeded}, p)
	}
	changed := map[string]bool{}
	b.eachStep(t, true, func(f flow, l look) {
		if l.err != nil {
			return
		}
		was, op := l.before, l.after
		changed[op.ID] = changed[op.ID] || l.mutated
		if rank(op.Phase) < rank(was.Phase) {
			t.Errorf("the %s went from %s to %s without any fault", f.action, was.Phase, op.Phase)
		}
		if op.Phase == backup.PhasePending && changed[op.ID] {
			t.Errorf("the %s in stage %q is pending although something was changed", f.action, op.Stage)
		}
		if op.Percent < 0 || op.Percent > 100 {
			t.Errorf("the %s is at %d percent", f.action, op.Percent)
		}
		if op.Failure != nil || op.Err() != nil {
			t.Errorf("the %s that is %s has the failure %v", f.action, op.Phase, op.Err())
		}
		for _, r := range was.Points {
			if !slices.Contains(op.Points, r) {
				t.Errorf("the %s in stage %q has forgotten the recovery point %s", f.action, was.Stage, r)
			}
		}
		// Where the work is no backup, what it listed in Made may become a point, or go when something new is listed that stands for it.
		export := f.action == b.starts() && f.action != backup.ActionBackup
		if export && b.Count != nil && b.Count(op.ID) > 0 && len(results(op)) == 0 {
			t.Errorf("the %s in stage %q has made something and lists nothing", f.action, op.Stage)
		}
		stands := export && slices.ContainsFunc(results(op), func(r backup.Ref) bool { return !slices.Contains(results(was), r) })
		for _, r := range was.Made {
			if !slices.Contains(op.Made, r) && !stands && !(export && slices.Contains(op.Points, r)) {
				t.Errorf("the %s in stage %q has forgotten what it made: %s", f.action, was.Stage, r)
			}
		}
	})
}

func checkStepSize(t tb, b *bench) {
	b.eachStep(t, true, func(f flow, l look) {
		if n := len(encode(t, l.after)); n > backup.MaxOperationBytes {
			t.Errorf("the Operation of the %s in stage %q has %d bytes, more than %d", f.action, l.after.Stage, n, backup.MaxOperationBytes)
		}
		if n := len(l.after.Findings); n > 16 {
			t.Errorf("the Operation of the %s has %d findings, more than 16", f.action, n)
		}
	})
}

func checkStepQuick(t tb, b *bench) {
	b.eachStep(t, false, func(f flow, l look) {
		if l.took >= 10*time.Second {
			t.Errorf("a Step of the %s in stage %q took %v; waiting is the Runner's work", f.action, l.before.Stage, l.took)
		}
	})
}

func checkStepEarly(t tb, b *bench) {
	for _, f := range b.flows(t) {
		p := b.pilot()
		p.impatient, p.restarts = true, true
		op := p.finish(t, b.begin(t, f, "one"))
		if op.Phase != backup.PhaseSucceeded {
			t.Errorf("the %s whose Steps came early ended %s: %v", f.action, op.Phase, op.Err())
		}
		if b.Count != nil {
			b.once(t, op)
		}
	}
}

func checkStepLate(t tb, b *bench) {
	for _, f := range b.flows(t) {
		for n, token := range []string{"after-0", "after-1", "after-2", "after-3"} {
			if f.action == backup.ActionDelete {
				f.ref = b.point(t, "for-"+token)
			}
			op, p := b.begin(t, f, token), b.pilot()
			for range n {
				if !op.Done() {
					next, err := p.step(t, op)
					if err != nil {
						t.Fatalf("Step of the %s: %v", f.action, err)
					}
					op = next
				}
			}
			time.Sleep(time.Until(op.Deadline) + time.Hour)
			op = p.finish(t, op)
			b.orphan(t, op)
			if op.Phase == backup.PhaseSucceeded && b.Count != nil {
				b.once(t, op)
			}
		}
	}
}

func checkStepContext(t tb, b *bench) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, f := range b.flows(t) {
		tried := map[string]bool{}
		p := b.pilot()
		// Every stage is met once with a context that is over; what was given up is carried on.
		op := p.until(t, b.begin(t, f, "one"), func(op backup.Operation) bool { return !tried[op.Stage+" "+op.Next] })
		for !op.Done() {
			tried[op.Stage+" "+op.Next] = true
			op = b.overStep(t, over, p, op)
			op = p.until(t, op, func(op backup.Operation) bool { return !tried[op.Stage+" "+op.Next] })
		}
		if op.Phase != backup.PhaseSucceeded {
			t.Errorf("the %s ended %s: %v", f.action, op.Phase, op.Err())
		}
		if b.Count != nil {
			b.once(t, op)
		}
	}
}

// overStep makes a Step under a context that is over, which does nothing or gives an error and leaves the Operation as it is.
func (b *bench) overStep(t tb, over context.Context, p *pilot, op backup.Operation) backup.Operation {
	t.Helper()
	in := p.intend(op)
	_, mutating := b.calls()
	next, err := p.s.Step(over, thaw(t, in))
	if err != nil {
		if !typed(err) {
			t.Errorf("Step of the %s under a context that is over gives %v, which is no *backup.Error", op.Action, err)
		}
		if in.Attempt > 0 && next.Attempt == 0 {
			in.Unsent()
		}
		same(t, fmt.Sprintf("what Step of the %s in stage %q gives with the error %v", op.Action, op.Stage, err), next, in)
		return in
	}
	if _, now := b.calls(); now != mutating {
		t.Errorf("Step of the %s in stage %q changed something under a context that was over", op.Action, op.Stage)
	}
	if next.Done() && next.Phase != backup.PhaseSucceeded {
		t.Errorf("the %s ended %s because a context was over: %v", op.Action, next.Phase, next.Err())
	}
	if next.Next != in.Next {
		next.Attempt, next.Intended = 0, time.Time{}
	}
	b.remember(next)
	return next
}
