package ebs

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
)

// watch looks at the pending snapshots and ends the backup when they are.
func (s *Strategy) watch(ctx context.Context, c *awsec2.Client, op backup.Operation, st backupState) (backup.Operation, error) {
	ids := st.ids()
	found, err := s.byID(ctx, c, op.Ref, ids)
	if err != nil {
		return op, err
	}
	var good, percent int
	var bad, missing, pending []string
	for _, id := range ids {
		x, ok := found[id]
		if !ok {
			missing = append(missing, id)
			continue
		}
		switch x.State {
		case ec2types.SnapshotStateCompleted:
			good++
			percent += 100
		case ec2types.SnapshotStateError:
			bad = append(bad, fmt.Sprintf("%s of %s is in error: %s", id, aws.ToString(x.VolumeId), aws.ToString(x.StateMessage)))
		case ec2types.SnapshotStateRecoverable, ec2types.SnapshotStateRecovering:
			bad = append(bad, fmt.Sprintf("%s of %s was deleted and lies in the Recycle Bin", id, aws.ToString(x.VolumeId)))
		default:
			pending = append(pending, id)
			percent += progress(x)
			if x.State != ec2types.SnapshotStatePending {
				op.Find(backup.Finding{ID: "ebs.unknown-state", Severity: backup.SeverityWarning, Ref: Snapshot(op.Ref.Account, op.Ref.Region, id),
					Message: fmt.Sprintf("the snapshot is in state %q, which this release does not know; it is waited for", x.State)})
			}
		}
	}
	if len(ids) > 0 {
		op.Percent = min(percent/len(ids), 99)
	}
	if len(missing) > 0 {
		// Something new may stay invisible for a while, so absence means nothing at first.
		if st.Lost.IsZero() {
			st.Lost = time.Now().UTC().Round(0)
		}
		if err := op.SetState(st); err != nil {
			return op, err
		}
		if time.Since(st.Lost) < s.opts.Settle {
			s.wait(&op)
			return op, nil
		}
	} else if !st.Lost.IsZero() {
		st.Lost = time.Time{}
		if err := op.SetState(st); err != nil {
			return op, err
		}
	}
	if len(pending) > 0 {
		s.wait(&op)
		return op, nil
	}
	// Where a second runner or an earlier send may have made the same again, what it made is listed.
	if op.Unstored || st.Generation > 1 {
		all, err := s.look(ctx, c, op)
		if err != nil {
			return op, err
		}
		s.surplus(&op, st, all)
	}
	for _, id := range missing {
		bad = append(bad, id+" has disappeared: somebody else deleted it")
	}
	for i, id := range st.Snapshots {
		if id == "" {
			bad = append(bad, "no snapshot was made of "+st.Volumes[i])
		}
	}
	switch {
	case len(bad) == 0 && st.Quiesce != nil:
		return s.judge(op, st, found), nil
	case len(bad) == 0:
		op.Succeed()
	case good > 0:
		op.Fail(failure(op, "backup", backup.ErrPartial, "the members that are there can be restored one by one; back up again for a whole set",
			"%d of %d volumes: %s", good, len(st.Volumes), strings.Join(bad, "; ")))
	default:
		op.Fail(failure(op, "backup", backup.ErrFailed, "delete what is listed in Points and back up again with another token; a key that is disabled or not accessible fails this late",
			"%s", strings.Join(bad, "; ")))
	}
	return op, nil
}

// progress reads "80%"; it may be empty.
func progress(x ec2types.Snapshot) int {
	n, err := strconv.Atoi(strings.TrimSuffix(aws.ToString(x.Progress), "%"))
	if err != nil {
		return 0
	}
	return min(max(n, 0), 100)
}

// Cancel has the coming Steps stop a backup or a copy: what it has made and what is not complete yet is deleted. EC2 deletes a pending snapshot
// when it completes; until then it keeps its slot. Deletions and restores are refused with ErrUnsupported: they are quick, or harmless.
func (s *Strategy) Cancel(_ context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	if op.Done() || op.Action != backup.ActionBackup && op.Action != backup.ActionCopy {
		return op, failure(op, "cancel", backup.ErrUnsupported, "only a backup or a copy that has not ended can be canceled", "phase %s of a %s", op.Phase, op.Action)
	}
	if op.Canceling {
		return op, nil
	}
	op.Canceling = true
	if op.Action == backup.ActionCopy {
		return s.cancelCopy(op)
	}
	switch {
	case op.Stage == stageWait:
		op.To(stageUndo, "DeleteSnapshot")
	case op.Stage == stageCreate && op.Attempt > 0:
		return s.cancelCreate(op)
	case op.Stage == stageSettle, op.Stage == stageThaw, op.Stage == stageLabel:
	default:
		op.To(stageStop, "")
	}
	return op, nil
}

// undo deletes the snapshots of a canceled backup, unless all of them are complete by now: then there is nothing left to stop.
func (s *Strategy) undo(ctx context.Context, c *awsec2.Client, op backup.Operation, st backupState) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	found, err := s.byID(ctx, c, op.Ref, st.ids())
	if err != nil {
		return op, err
	}
	complete := len(found) == len(st.Volumes)+len(st.Extra)
	for _, x := range found {
		complete = complete && x.State == ec2types.SnapshotStateCompleted
	}
	if complete && st.Quiesce != nil {
		return s.judge(op, st, found), nil // complete is not yet proved
	}
	if complete {
		op.Succeed()
		return op, nil
	}
	// What an earlier Step has deleted is not listed, or still pending; deleting it again is harmless.
	if _, err := s.deleteAll(ctx, c, &op, op.Ref, st.ids(), nil); err != nil || op.Done() {
		return op, err
	}
	st.Undone++
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageUndone, "")
	s.wait(&op)
	return op, nil
}

// undone ends a canceled backup with what remains.
func (s *Strategy) undone(ctx context.Context, c *awsec2.Client, op backup.Operation, st backupState) (backup.Operation, error) {
	found, err := s.byID(ctx, c, op.Ref, st.ids())
	if err != nil {
		return op, err
	}
	// What is new may be invisible, and EC2 may say of it that it does not exist. So absence is believed only when it could be seen, and what
	// is there by then is deleted once more.
	if time.Since(op.Since) < s.opts.Settle {
		s.wait(&op)
		return op, nil
	}
	if len(found) > 0 && st.Undone < 2 {
		op.To(stageUndo, "DeleteSnapshot")
		return op, nil
	}
	if len(found) == 0 {
		op.Points = nil
	}
	op.Fail(failure(op, "cancel", backup.ErrCanceled, "", "canceled; %d of its snapshots remain", len(found)))
	return op, nil
}
