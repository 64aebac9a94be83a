package objectcopy

import (
	"context"

	"github.com/snapwarden/snapwarden/backup"
)

// Step carries on a copy. A Step that copies parts lasts up to 55 seconds; all others make a few calls.
func (s *Strategy) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	if op.Done() {
		return op, nil
	}
	if op.Action != backup.ActionCopy {
		return op, failure(op, string(op.Action), backup.ErrUnsupported, "", "this strategy only copies")
	}
	st, err := s.read(op)
	if err != nil {
		return op, err
	}
	c, err := s.clients(ctx, op.Ref, st)
	if err != nil {
		return op, err
	}
	next, err := s.dispatch(ctx, c, op, st)
	if err != nil {
		// The Operation stays as it was, but for an attempt that surely had no effect.
		if op.Attempt > 0 && next.Next == op.Next && next.Attempt == 0 {
			op.Unsent()
		}
		return op, err
	}
	return next, nil
}

func (s *Strategy) dispatch(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	switch op.Stage {
	case stageLook:
		return s.look(ctx, c, op, st)
	case stageRestore:
		return s.restore(ctx, c, op, st)
	case stageThaw:
		return s.thaw(ctx, c, op, st)
	case stageCopy:
		return s.copyObject(ctx, c, op, st)
	case stageCreate:
		return s.create(ctx, c, op, st)
	case stageSettle:
		return s.settled(op, st)
	case stageParts:
		return s.copyParts(ctx, c, op, st)
	case stageComplete:
		return s.complete(ctx, c, op, st)
	case stageSeek:
		return s.seek(ctx, c, op, st)
	case stageVerify:
		return s.verify(ctx, c, op, st)
	case stageAbort:
		return s.abort(ctx, c, op, st)
	case stageGone:
		return s.gone(ctx, c, op, st)
	case stageStrays:
		return s.strays(ctx, c, op, st)
	case stageStop:
		return s.finish(op, st)
	}
	return op, failure(op, "copy", backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
}

// read gives the state of an Operation that can be stepped.
func (s *Strategy) read(op backup.Operation) (st state, err error) {
	if err := op.GetState(&st); err != nil {
		return st, err
	}
	_, _, err = Split(st.dest())
	if err == nil && (st.Part < MinPartSize || st.Part > maxS3Part || st.Size < 0 || st.Upload != "" && parts(st.Size, st.Part) > MaxParts) {
		err = invalid(op.Ref, "", "parts of %d bytes of an object of %d", st.Part, st.Size)
	}
	if err != nil {
		return st, failure(op, "step", backup.ErrInvalid, "the operation's state was changed; start it again", "%w", err)
	}
	return st, nil
}

// Cancel has the coming Steps stop a copy: what was perhaps sent is looked for first, the own upload is aborted, and the Operation ends in
// PhaseCanceled; an upload whose begin was not answered is named in a finding. Without a Store the call that Operation.Next names was perhaps sent. An object that was whole by then stays, and is listed in Points. A restore from an archive that was asked for goes on by itself, and its
// copy expires. A finished Operation is refused with ErrUnsupported.
func (s *Strategy) Cancel(_ context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	if op.Canceling {
		return op, nil
	}
	if op.Done() {
		return op, failure(op, "cancel", backup.ErrUnsupported, "delete what it made, if it is not wanted", "a copy in phase %s can not be stopped", op.Phase)
	}
	st, err := s.read(op)
	if err != nil {
		return op, err
	}
	op.Canceling = true
	st.Why, st.Anew = failed(op, failure(op, "cancel", backup.ErrCanceled, "", "canceled on request")), false
	// Without a Store, that no attempt is recorded does not prove that nothing was sent.
	perhaps := op.Next != "" && (op.Attempt > 0 || op.Unstored)
	switch op.Stage {
	case stageCreate:
		if perhaps {
			st.doubt(max(op.Attempt, 1), s.opts.Settle)
		}
	case stageCopy, stageComplete:
		if perhaps {
			op.Settle(stageSeek)
			return op, op.SetState(st)
		}
	case stageSettle, stageSeek, stageVerify, stageAbort, stageGone, stageStrays:
		return op, op.SetState(st)
	}
	if st.Upload != "" || st.Doubts > 0 {
		return s.abandon(op, st)
	}
	op.To(stageStop, "")
	return op, op.SetState(st)
}
