package elasticache

import (
	"context"

	"github.com/snapwarden/snapwarden/backup"
)

// Cancel has the coming Step end an Operation that has not sent its call yet, in PhaseCanceled. Once CreateSnapshot, CopySnapshot, CreateReplicationGroup,
// CreateCacheCluster or DeleteSnapshot was perhaps sent, it is refused with ErrUnsupported: ElastiCache can neither stop a snapshot that it
// makes (deleting one is refused until it is finished) nor take a deletion back, and a new cluster is not for a Cancel to delete. It stays so
// where the result of the call was looked for in vain: what it made may appear yet, and would be listed nowhere. A rebuild can be canceled until it
// deletes, but not while its snapshot is made; the snapshot stays. How automatic snapshots are made can be set again, and not canceled once it was
// perhaps set.
func (s *Strategy) Cancel(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	if op.Canceling && !op.Done() {
		return op, nil
	}
	var st struct {
		Tried bool `json:"tr"`
	}
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	if op.Action == ActionRebuild && op.Stage == stageBackup && !op.Done() {
		return s.cancelBackup(ctx, op)
	}
	// Without a Store an attempt is not recorded before it is made: what is ready to be sent was perhaps sent by a process that died.
	unsent := op.Attempt == 0 && !op.Unstored
	idle := op.Stage == stageLook || op.Stage == stageVerify || (op.Stage == stageCreate || op.Stage == stageDelete || op.Stage == stageSet) && unsent
	if op.Done() || !idle || st.Tried {
		hint := "let it finish, then delete what it made"
		if op.Action == ActionAutomaticBackups {
			hint = "let it finish, then set what is wanted under another token"
		}
		return op, failure(op, "cancel", backup.ErrUnsupported, hint, "a %s in phase %s, stage %q, can not be stopped", op.Action, op.Phase, op.Stage)
	}
	op.Canceling = true
	op.To(stageStop, "")
	return op, nil
}
