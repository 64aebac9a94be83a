package rds

import (
	"context"

	"github.com/snapwarden/snapwarden/backup"
)

// Cancel has the coming Step end an Operation that has not sent its call yet, in PhaseCanceled: one that looks, that waits for an instance or a
// snapshot to be ready, or whose call is armed. Once a call was perhaps sent, it is
// refused with ErrUnsupported: RDS deletes a snapshot only when it is complete, can not take a deletion back, and a new instance is not for a
// Cancel to delete. The deletion of a database is canceled as long as no deletion was perhaps sent: a final snapshot that is being made is waited for, stays,
// and is listed. A Runner without a Store can not tell a call that is armed from one that was sent, so there an armed one is refused too.
func (s *Strategy) Cancel(_ context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	armed, inFinal, err := canceling(op)
	if err != nil {
		return op, err
	}
	// An Operation whose call is armed for the first time, and whose first attempt is not recorded, has sent nothing.
	idle := op.Next == "" && armed == 0 || op.Next != "" && armed == 1 && op.Attempt == 0 && !op.Unstored
	switch {
	case op.Canceling && !op.Done():
		return op, nil
	case !op.Done() && !idle && inFinal:
		op.Canceling = true // nothing is deleted before the snapshot is made, and then the Operation ends
		return op, nil
	case op.Done(), !idle:
		return op, failure(op, backup.ErrUnsupported, "let it finish, then delete what it made", "a %s in phase %s, stage %q, can not be stopped", op.Action, op.Phase, op.Stage)
	}
	op.Canceling = true
	op.To(stageStop, "")
	return op, nil
}

// canceled is the error of an Operation that was canceled before it changed anything but for a final snapshot.
func canceled(op backup.Operation) error {
	if op.Action == ActionDeleteDatabase && len(op.Points) > 0 {
		return failure(op, backup.ErrCanceled, "delete the final snapshot if it is not needed", "canceled before anything was deleted; the final snapshot %s stays", op.Points[0].ID)
	}
	return failure(op, backup.ErrCanceled, "", "canceled before anything was changed")
}

// canceling tells how often the call of an Operation was armed, and whether that is the one of the final snapshot of a database which is to be deleted.
func canceling(op backup.Operation) (armed int, inFinal bool, err error) {
	var st retireState
	if op.Action == ActionDeleteDatabase {
		if err := op.GetState(&st); err != nil {
			return 0, false, err
		}
		if inFinal = op.Stage == stageFinal; inFinal && !st.Final.Done() {
			armed, err = timesArmed(st.Final)
			return armed, true, err
		}
	}
	armed, err = timesArmed(op)
	return armed, inFinal, err
}

// timesArmed tells how often the call of an Operation was armed and perhaps sent.
func timesArmed(op backup.Operation) (int, error) {
	switch op.Action {
	case backup.ActionBackup:
		var st backupState
		err := op.GetState(&st)
		return st.Armed, err
	case backup.ActionRestore:
		if ofCluster(op.Ref) {
			var st clusterRestoreState
			err := op.GetState(&st)
			return st.Armed, err
		}
		var st restoreState
		err := op.GetState(&st)
		return st.Armed, err
	case backup.ActionCopy:
		var st copyState
		err := op.GetState(&st)
		return st.Armed, err
	case ActionAutomatedBackups:
		var st setState
		err := op.GetState(&st)
		return st.Armed, err
	case ActionDeleteDatabase:
		var st retireState
		err := op.GetState(&st)
		return st.Armed, err
	case backup.ActionDelete:
		var st deleteState
		err := op.GetState(&st)
		return st.Armed, err
	}
	return 0, unknownAction(op)
}
