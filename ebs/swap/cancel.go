package swap

import (
	"context"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// deleteMade is the hint of what was canceled.
const deleteMade = "the volumes in Made, if any, are free: delete them if they are not needed"

// Cancel has the coming Steps stop a swap, a volume beside or a detachment. No volume is deleted: the Operation ends in PhaseCanceled with the new volumes
// in Made, also those that an unfinished call made.
//
//   - Before anything is unmounted it ends at once.
//   - What is unmounted is mounted again.
//   - Once the old volumes are being detached, or the new ones attached, the work is taken back as after an error: the old volumes are attached where they
//     were and mounted. If that does not succeed the Operation ends in PhaseFailed, with what is to be done by hand.
//
// What is being mounted, or taken back already, is refused with ErrUnsupported: a swap is then taken back by swapping once more, and a volume beside is
// given back with StartDetach. So is a detachment that was perhaps sent, which ends soon, and the taking back of a swap within half an hour of the
// deadline when its new volumes are being attached.
func (s *Strategy) Cancel(_ context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	var st state
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	if op.Canceling && !op.Done() {
		return op, nil
	}
	refuse := func() (backup.Operation, error) {
		return op, failure(op, backup.ErrUnsupported, "let it end; a swap that has ended is taken back by a swap, and a volume beside is given back with StartDetach",
			"a %s in phase %s, stage %q, can not be stopped", op.Action, op.Phase, op.Stage)
	}
	// Without a Store an attempt is not recorded before it is made: what is ready to be sent was perhaps sent by a process that died.
	unsent := op.Attempt == 0 && !op.Unstored
	to := op
	to.Canceling = true
	stop := func() (backup.Operation, error) {
		to.To(stageStop, "")
		return to, nil
	}
	cause := func(when string) *backup.Error {
		return &backup.Error{Op: "cancel", Kind: Kind, Ref: op.Ref, Code: backup.ErrCanceled, Err: errText("canceled " + when), Hint: deleteMade}
	}
	if op.Done() {
		return refuse()
	}
	switch op.Stage {
	case stageLook, stageMade:
		return stop()
	case stageCreate:
		if unsent && len(st.fresh()) == 0 {
			return stop()
		}
		st.Failure = &backup.Failure{Code: backup.ErrCanceled, Op: "cancel", Message: "canceled before anything was unmounted", Hint: deleteMade}
		to.Settle(stageGive)
		return to, to.SetState(st)
	case stageUnmount:
		if unsent && st.Tries == 0 {
			return stop()
		}
		return s.fail(to, st, cause("before anything was detached"))
	case stageDetach:
		if unsent && !st.Off {
			return s.mountAgain(to, st, cause("before anything was detached"))
		}
		if op.Action != ActionDetach {
			return s.fail(to, st, cause("when volumes were being detached"))
		}
	case stageDetached:
		if op.Action != ActionDetach {
			return s.fail(to, st, cause("when volumes were being detached"))
		}
	case stageAttach:
		return s.fail(to, st, cause("when volumes were being attached"))
	case stageAttached:
		if op.Action != ActionSwap || left(op) >= reserve {
			return s.fail(to, st, cause("when volumes were being attached"))
		}
	}
	return refuse()
}

// mountAgain takes back what was unmounted and no more.
func (s *Strategy) mountAgain(op backup.Operation, st state, cause *backup.Error) (backup.Operation, error) {
	st.Failure = &backup.Failure{Code: cause.Code, Op: cause.Op, Message: cut(cause.Err.Error()), Hint: cause.Hint}
	st.Tries, st.Lost, st.Began = 0, time.Time{}, time.Now().UTC().Round(0)
	op.To(stageBackMount, "Mount")
	findBack(&op, st)
	return op, op.SetState(st)
}

// ended is the code that the work ends with. What was canceled is canceled only where all is as it was; otherwise somebody has to see to it.
func ended(f *backup.Failure, notAsWas bool) backup.Code {
	if f.Code == backup.ErrCanceled && notAsWas {
		return backup.ErrFailed
	}
	return f.Code
}
