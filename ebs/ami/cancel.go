package ami

import (
	"context"

	"github.com/snapwarden/snapwarden/backup"
)

// stageStop is that of work that was canceled before it asked EC2 for anything.
const stageStop = "stop"

var _ backup.Canceler = (*Strategy)(nil)

// Cancel has the coming Steps end a backup or a copy in PhaseCanceled. Where nothing was asked of EC2 yet, one look by token for what an earlier run of the
// same work made is all that follows, and mostly nothing remains. What was perhaps asked for is looked for longer. EC2 has no call that stops the making of
// an image: one that is pending goes on, stays, and is listed in Points; delete it with StartDelete when it is complete. One that is complete or has failed
// by then ends the Operation as it would have without Cancel.
//
// Nothing is deregistered here. EC2's user guide stops a pending copy by deregistering it ("Copy an Amazon EC2 AMI"), but does not say what becomes of the
// snapshots that are being copied for it; as part of an image they are at least listed.
//
// A deletion can be canceled only while it looks; after that, and when it has ended, Cancel is refused with ErrUnsupported.
func (s *Strategy) Cancel(_ context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	making := op.Action == backup.ActionBackup || op.Action == backup.ActionCopy
	switch {
	case op.Done(), !making && (op.Action != backup.ActionDelete || op.Stage != stageLook && op.Stage != stageStop):
		return op, failure(op, "cancel", backup.ErrUnsupported, "let it end; an image that was made is deleted with StartDelete", "a %s in phase %s, stage %q, can not be stopped", op.Action, op.Phase, op.Stage)
	case op.Canceling:
		return op, nil
	}
	op.Canceling = true
	// Without a Store an attempt is not recorded before it is made: what was once ready to be sent was perhaps sent by a process that died.
	unsent := op.Attempt == 0 && (!op.Unstored || op.Phase == backup.PhasePending)
	switch {
	case op.Stage == stageWait:
		op.PollIn(0)
	case op.Stage == stageSettle:
	case unsent:
		op.To(stageStop, "")
	default:
		op.Settle(stageSettle)
	}
	return op, nil
}

// stop ends canceled work that has asked EC2 for nothing. Without a Store, or with another one, the same work was perhaps begun before: what came of that is
// what this work has made.
func (s *Strategy) stop(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	why := failure(op, "cancel", backup.ErrCanceled, "", "canceled before anything was changed")
	if op.Action == backup.ActionDelete {
		op.Fail(why)
		return op, nil
	}
	var st makeState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	return s.unmade(ctx, op, st, why)
}

// remains ends canceled work with an image that is still being made.
func (s *Strategy) remains(op backup.Operation, st makeState) (backup.Operation, error) {
	op.Fail(failure(op, "cancel", backup.ErrCanceled, "delete it with StartDelete when it is complete", "canceled; EC2 can not stop making image %s, which stays", st.Image))
	return op, nil
}
