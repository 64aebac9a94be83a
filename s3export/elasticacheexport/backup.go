package elasticacheexport

import (
	"context"
	"slices"

	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/internal/nested"
)

// backUp carries on the backup that an export of a group or a cluster begins with.
func (s *Strategy) backUp(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	if st.Inner == nil {
		return op, failure(op, "backup", backup.ErrInvalid, "the operation's state was changed; start it again", "the backup is missing")
	}
	if st.Inner.Phase == backup.PhasePending && !op.Canceling {
		// Before a snapshot is made for nothing.
		if end, err := s.inVain(ctx, c, &op, st); end || err != nil {
			return op, err
		}
	}
	st.Inner.Tags = op.Tags
	if err := nested.Step(ctx, s.caches, &op, st.Inner); err != nil {
		return op, err
	}
	st.Inner.Tags = nil
	for _, r := range st.Inner.Points {
		op.AddPoint(r)
	}
	for _, r := range st.Inner.Made {
		op.AddMade(r)
	}
	if !st.Inner.Done() {
		return op, op.SetState(st)
	}
	if err := st.Inner.Err(); err != nil {
		op.Fail(err)
		return op, op.SetState(st)
	}
	for _, p := range st.Inner.Points {
		if (p.Type == elasticache.TypeSnapshot || p.Type == elasticache.TypeServerlessSnapshot) && st.Snapshot == "" {
			st.Snapshot = p.ID
		}
	}
	if st.Snapshot == "" {
		return op, failure(op, "backup", backup.ErrInvalid, "the operation's state was changed; start it again", "the backup names no snapshot")
	}
	if st.Less {
		// The snapshot's name is made of the inner Operation's ID, and that of this one's.
		st.Name, st.Own = st.Snapshot, true
	}
	st.Inner = nil
	op.To(stageLook, "")
	return op, op.SetState(st)
}

// inVain ends an Operation for which a snapshot would be made for nothing: its engine is never exported, or the bucket is not there, not of the
// account, or elsewhere. What the bucket lets ElastiCache do ends nothing here: that can still be mended while the snapshot is being made.
func (s *Strategy) inVain(ctx context.Context, c Clients, op *backup.Operation, st state) (bool, error) {
	if st.Less {
		never, err := s.neverExported(ctx, c, op.Ref)
		if err != nil {
			return false, err
		}
		if never != nil {
			op.Find(unexportable(op.Ref, &ectypes.Snapshot{}, never))
			op.Fail(never)
			return true, nil
		}
	}
	wrong, err := s.unusable(ctx, c, op.Ref, st.Bucket)
	if err != nil || wrong == nil {
		return false, err
	}
	op.Find(*wrong)
	op.Fail(failure(*op, "export", codeOf(*wrong), wrong.Remedy, "%s; no snapshot was made", wrong.Message))
	return true, nil
}

// The hints of failures whose cause is the snapshot itself.
const (
	hintNoSnapshot    = "check the snapshot's name, the account and the Region"
	hintOtherPoint    = "export another recovery point"
	hintOtherSnapshot = "find out who made another snapshot of the same name, and export again with another token"
)

// keptHint says that the snapshot which was made for an export outlives it; it is empty where none was made.
func (st state) keptHint() string {
	if st.Snapshot == "" {
		return ""
	}
	return "the snapshot " + st.Snapshot + " in Points stays, and can be exported by itself: Start with its Ref"
}

// keeps adds keptHint to a failure, unless the snapshot itself is its cause: then another export of it would fail too.
func (st state) keeps(op backup.Operation) backup.Operation {
	if st.Snapshot == "" || op.Failure == nil || op.Failure.Code == backup.ErrUnsupported ||
		slices.Contains([]string{hintNoSnapshot, hintOtherPoint, hintOtherSnapshot}, op.Failure.Hint) {
		return op
	}
	f := *op.Failure // Operations share what they point to
	if f.Hint != "" {
		f.Hint += "; "
	}
	f.Hint += st.keptHint()
	op.Failure = &f
	return op
}

// Cancel stops a copy of an export as package objectcopy stops that of an object; the files that are there by then stay, and are listed in Made.
// Of an export it has the coming Step end an Operation that has not asked AWS for it yet, in PhaseCanceled; a backup that it begins with is stopped as
// package elasticache stops one. Once the call was perhaps sent it is refused with ErrUnsupported: ElastiCache can not stop an export, and
// files that it will still write would be listed nowhere. Without a Store it was perhaps sent as soon as Operation.Next names it.
func (s *Strategy) Cancel(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	if op.Canceling && !op.Done() {
		return op, nil
	}
	switch op.Action {
	case backup.ActionExport:
	case backup.ActionCopy:
		return s.cancelCopy(ctx, op)
	default:
		return op, failure(op, "cancel", backup.ErrUnsupported, "let it finish: it takes seconds", "a %s can not be stopped", op.Action)
	}
	var st state
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	// Without a Store, that no attempt is recorded of a call that is armed does not prove that it was not sent.
	idle := op.Stage == stageLook || op.Stage == stageExport && op.Attempt == 0 && !op.Unstored
	switch {
	case op.Done() || !idle && op.Stage != stageBackup || st.Tried:
		return op, failure(op, "cancel", backup.ErrUnsupported, "let it finish, then delete what it made", "an export in phase %s, stage %q, can not be stopped", op.Phase, op.Stage)
	case op.Stage == stageBackup && st.Inner != nil:
		// What the outer Operation knows of attempts is newer than what it keeps of the inner one.
		inner := *st.Inner
		inner.Attempt, inner.Intended, inner.Unstored = op.Attempt, op.Intended, op.Unstored
		inner, err := s.caches.Cancel(ctx, inner)
		if err != nil {
			return op, err
		}
		op.Canceling, st.Inner = true, &inner
		nested.Arm(&op, inner)
		return op, op.SetState(st)
	}
	op.Canceling = true
	op.To(stageStop, "")
	return op, nil
}

// stopped ends a canceled Operation of which nothing was sent.
func (s *Strategy) stopped(op backup.Operation) backup.Operation {
	op.Fail(failure(op, "export", backup.ErrCanceled, "", "canceled before the export was asked for"))
	return op
}
