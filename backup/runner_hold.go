package backup

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// take waits for the turn on an Operation: of all callers in this process, one at a time steps it.
func (r *Runner) take(ctx context.Context, id string) (*held, error) {
	r.mu.Lock()
	h := r.held[id]
	if h == nil {
		h = &held{turn: make(chan struct{}, 1)}
		r.held[id] = h
	}
	h.users++
	r.mu.Unlock()
	select {
	case h.turn <- struct{}{}:
		return h, nil
	case <-ctx.Done():
		r.leave(id, h)
		return nil, context.Cause(ctx)
	}
}

// give ends the turn.
func (r *Runner) give(id string, h *held) {
	if h.have && !h.dirty && h.rec.Operation.Done() {
		h.have = false
	}
	<-h.turn
	r.leave(id, h)
}

func (r *Runner) leave(id string, h *held) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h.users--
	if h.users == 0 && !h.have && r.held[id] == h {
		delete(r.held, id)
	}
}

// heldError tells that another run has the Operation.
type heldError struct {
	run   string
	until time.Time
}

func (e *heldError) Error() string {
	return fmt.Sprintf("run %s holds the operation until %s", e.run, e.until.UTC().Format(time.RFC3339))
}

// acquire reads the record and makes it this run's, if no other live run has it. What was read is in h.rec in any case.
func (r *Runner) acquire(ctx context.Context, op Operation, h *held) error {
	rec, err := r.opts.Store.Load(ctx, op.ID)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			return r.fault(op, "runner", ErrNotFound, err, "give the operation to Runner.Start first")
		}
		return err
	}
	h.rec, h.dirty = rec, false
	if rec.Operation.Done() {
		return nil
	}
	if err := rec.Operation.Check(op.Kind); err != nil {
		return err
	}
	if rec.Run != "" && rec.Run != r.opts.Run {
		until, err := r.opts.Store.Lease(ctx, rec.Run)
		if err != nil {
			return err
		}
		if until = until.Add(leaseSkew); now().Before(until) {
			return r.fault(op, "runner", ErrConflict, &heldError{rec.Run, until}, "wait for the other run, or for the end of its lease")
		}
	}
	if _, err := r.renew(ctx); err != nil {
		return err
	}
	h.rec.Run = r.opts.Run
	if err := r.save(ctx, h); err != nil {
		return err
	}
	h.have = true
	r.tell(ctx, EventResumed, h.rec.Operation, nil, 0)
	return nil
}

// save writes h.rec. After a conflict the record is another's, and this run forgets it.
func (r *Runner) save(ctx context.Context, h *held) error {
	if h.rec.Operation.Done() {
		h.rec.Run = ""
	}
	err := r.opts.Store.Save(ctx, &h.rec)
	if err == nil {
		h.dirty = false
		return nil
	}
	if errors.Is(err, ErrConflict) {
		h.have, h.dirty = false, false
	}
	return err
}

// renew sees that the lease lasts for at least half its time, and with that for longer than a Step, and gives its times.
func (r *Runner) renew(ctx context.Context) (leaseTimes, error) {
	select {
	case r.renewing <- struct{}{}:
		defer func() { <-r.renewing }()
	case <-ctx.Done():
		return leaseTimes{}, context.Cause(ctx)
	}
	r.mu.Lock()
	have := r.lease
	r.mu.Unlock()
	ttl := r.opts.LeaseTTL
	if !have.until.IsZero() && time.Since(have.issued) < ttl/2 && time.Until(have.until) > ttl/2 {
		return have, nil
	}
	fresh := leaseTimes{issued: time.Now(), until: now().Add(ttl)}
	if err := r.opts.Store.Renew(ctx, r.opts.Run, fresh.until); err != nil {
		return leaseTimes{}, err
	}
	r.mu.Lock()
	r.lease = fresh
	r.mu.Unlock()
	return fresh, nil
}

// alive says whether the lease under which an intent was stored is still good, by both clocks: the wall clock may be set back, and the
// monotonic clock may stand still while a machine sleeps.
func (r *Runner) alive(op Operation, l leaseTimes) error {
	if time.Since(l.issued) < r.opts.LeaseTTL && now().Before(l.until) {
		return nil
	}
	return r.fault(op, "runner", ErrConflict, errors.New("the lease is over; another run may have taken the operation"),
		"the process was paused; the operation is read again")
}

// release gives an Operation back, so that another process need not wait for the lease's end.
func (r *Runner) release(ctx context.Context, id string) {
	if r.opts.Store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	h, err := r.take(ctx, id)
	if err != nil {
		return
	}
	defer r.give(id, h)
	r.mu.Lock()
	others := h.users > 1
	r.mu.Unlock()
	if others {
		return
	}
	if !h.have {
		// A save whose end was not learnt may have left the record with this run.
		rec, err := r.opts.Store.Load(ctx, id)
		if err != nil || rec.Run != r.opts.Run {
			return
		}
		h.rec, h.have, h.dirty = rec, true, false
	}
	h.rec.Run = ""
	if r.save(ctx, h) == nil {
		h.have = false
	} else {
		h.rec.Run = r.opts.Run
	}
}

// Cancel asks for the work of an Operation to be stopped: it stores what the Strategy's Canceler makes of it and returns that. The work ends
// when it is awaited or stepped on. A Strategy that can not cancel gives ErrUnsupported.
func (r *Runner) Cancel(ctx context.Context, op Operation) (Operation, error) {
	s, err := r.strategy(op)
	if err != nil {
		return op, err
	}
	c, ok := As[Canceler](s)
	if !ok {
		return op, r.fault(op, "cancel", ErrUnsupported, errors.New("the strategy can not cancel"), "AWS can not stop this work; it ends by itself")
	}
	if r.opts.Store == nil {
		return c.Cancel(ctx, op)
	}
	h, err := r.take(ctx, op.ID)
	if err != nil {
		return op, err
	}
	defer r.give(op.ID, h)
	if !h.have {
		if err := r.acquire(ctx, op, h); err != nil {
			return op, err
		}
	}
	next, err := c.Cancel(ctx, h.rec.Operation)
	if err != nil {
		return h.rec.Operation, err
	}
	h.rec.Operation, h.dirty = next, true
	return next, r.save(ctx, h)
}
