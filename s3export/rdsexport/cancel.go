package rdsexport

import (
	"context"

	"github.com/snapwarden/snapwarden/backup"
)

// Cancel has the coming Steps stop an export. One that was not asked for yet ends at once; one that was perhaps asked for is looked for first; the
// task is canceled, and the Operation ends in PhaseCanceled when RDS says so, with what was written listed in Made. A task that is complete by then
// ends as it would have, and one that RDS refuses to cancel goes on. What is complete already is refused with ErrUnsupported.
func (s *Strategy) Cancel(_ context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	if op.Action != backup.ActionExport {
		return op, unknownAction(op)
	}
	var st state
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch {
	case op.Done(), op.Stage == stageList:
		return op, failure(op, backup.ErrUnsupported, "delete what it has made instead", "an export in phase %s, stage %q, can not be stopped", op.Phase, op.Stage)
	case op.Canceling:
		return op, nil
	}
	op.Canceling = true
	// A call that is armed for the first time, and whose first attempt is not recorded, was not sent. Without a Store it perhaps was.
	idle := st.Armed == 0 || st.Armed == 1 && op.Stage == stageSend && op.Attempt == 0 && !op.Unstored
	switch {
	case op.Stage == stageWait, op.Stage == stageSettle:
		op.PollIn(0)
	case idle:
		op.To(stageStop, "")
	default:
		st.begun(&op)
		op.Settle(stageSettle)
	}
	return op, nil
}
