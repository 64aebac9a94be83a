package backup

import (
	"context"
	"errors"
	"time"
)

// Waiting between Steps.
const (
	minWait     = 10 * time.Millisecond
	firstRetry  = time.Second
	longestWait = 30 * time.Second
)

// Run is Start and then Await.
func (r *Runner) Run(ctx context.Context, op Operation) (Operation, error) {
	op, err := r.Start(ctx, op)
	if err != nil {
		return op, err
	}
	return r.Await(ctx, op)
}

// Await steps an Operation until it has ended and returns it in its newest form, always. The error is nil if it succeeded, Operation.Err if
// it ended otherwise, and the context's cause if ctx ended: that stops the waiting and not the work, which any Runner can carry on.
//
// Steps that fail because AWS, the network or the Store does not answer, or because AWS throttles, are made again, less and less often, until
// the Operation's deadline; if even that can not be stored, Await returns the error soon after it. Steps that can not look for a reason which
// waiting does not mend, such as a missing permission to describe something, end the waiting with that error; the Operation has not ended then and can
// be awaited again. A call that makes or deletes something and is refused for good ends the Operation. While another live run holds it, Await
// watches the Store.
func (r *Runner) Await(ctx context.Context, op Operation) (Operation, error) {
	retry := firstRetry
	for {
		if err := context.Cause(ctx); err != nil {
			r.release(ctx, op.ID)
			return op, err
		}
		before := op
		next, err := r.Step(ctx, op)
		if next.ID == op.ID {
			op = next
		}
		if op.Done() && err == nil {
			return op, op.Err()
		}
		var wait time.Duration
		var other *heldError
		switch {
		case err == nil:
			retry = firstRetry
			wait = time.Until(op.Poll)
			if wait <= 0 && before.Stage == op.Stage && before.Next == op.Next && before.Attempt == op.Attempt {
				wait = firstRetry // a Strategy that asks for nothing and moves nowhere must not spin
			}
		case context.Cause(ctx) != nil:
			continue
		case errors.As(err, &other):
			wait = min(max(time.Until(other.until), minWait), retry)
			retry = min(2*retry, longestWait)
			r.tell(ctx, EventWaiting, op, err, wait)
		case passing(err) && !now().After(op.Deadline.Add(settleGrace)):
			wait = retry
			retry = min(2*retry, longestWait)
		default:
			r.release(ctx, op.ID)
			return op, err
		}
		if err := r.sleep(ctx, max(wait, minWait)); err != nil {
			r.release(ctx, op.ID)
			return op, err
		}
	}
}

// passing tells errors that waiting may mend. A conflict is one: the record is read again, and the next Step sees who has it.
func passing(err error) bool {
	switch CodeOf(err) {
	case ErrThrottled, ErrUnavailable, ErrConflict:
		return true
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// sleep waits, and keeps the lease alive meanwhile.
func (r *Runner) sleep(ctx context.Context, d time.Duration) error {
	for d > 0 {
		part := d
		if r.opts.Store != nil {
			part = min(d, r.opts.LeaseTTL/3)
		}
		t := time.NewTimer(part)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
		if d -= part; d > 0 {
			// If the lease can not be renewed now, the next Step tries again and makes nothing until it can.
			_, _ = r.renew(ctx)
		}
	}
	return nil
}
