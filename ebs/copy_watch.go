package ebs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
)

// keyFailure is in the StateMessage of what EBS gave up for its key. Source: EBS user guide, "Copy an Amazon EBS snapshot".
const keyFailure = "key"

// watchCopies looks at the copies in progress and ends the work when none is.
func (s *Strategy) watchCopies(ctx context.Context, op backup.Operation, st copyState) (backup.Operation, error) {
	c, err := s.client(ctx, st.dest())
	if err != nil {
		return op, err
	}
	ids := st.made()
	found, err := s.byID(ctx, c, st.dest(), ids)
	if err != nil {
		return op, err
	}
	w := copyWatch{op: &op, st: st}
	for _, id := range ids {
		w.see(id, found)
	}
	op.Percent = min(w.percent/max(len(st.Copies), 1), 99)
	if len(w.missing) == 0 {
		st.Lost = time.Time{}
	} else if st.Lost.IsZero() {
		// Something new may stay invisible for a while, so absence means nothing at first.
		st.Lost = time.Now().UTC().Round(0)
	}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	if w.pending || len(w.missing) > 0 && time.Since(st.Lost) < s.opts.Settle {
		s.wait(&op)
		return op, nil
	}
	// A second runner may have made the same again; what it made is listed.
	all, err := s.copiesOf(ctx, op, st)
	if err != nil {
		return op, err
	}
	s.surplusCopies(&op, st, all)
	w.end()
	return op, nil
}

// copyWatch is what one look at the copies found.
type copyWatch struct {
	op            *backup.Operation
	st            copyState
	good, percent int
	pending       bool
	key           bool // one failed for its key
	bad, missing  []string
}

func (w *copyWatch) see(id string, found map[string]ec2types.Snapshot) {
	x, ok := found[id]
	if !ok {
		w.missing = append(w.missing, id)
		return
	}
	switch x.State {
	case ec2types.SnapshotStateCompleted:
		w.percent += 100
		if k := aws.ToString(x.KmsKeyId); w.st.To.KMSKeyID != "" && (!aws.ToBool(x.Encrypted) || k != w.st.To.KMSKeyID) {
			w.bad = append(w.bad, fmt.Sprintf("%s is under the key %q and not %s", id, k, w.st.To.KMSKeyID))
			return
		}
		w.good++
	case ec2types.SnapshotStateError:
		message := aws.ToString(x.StateMessage)
		w.key = w.key || strings.Contains(strings.ToLower(message), keyFailure)
		w.bad = append(w.bad, fmt.Sprintf("%s is in error: %s", id, message))
	case ec2types.SnapshotStateRecoverable, ec2types.SnapshotStateRecovering:
		w.bad = append(w.bad, id+" was deleted and lies in the Recycle Bin")
	default:
		w.pending = true
		w.percent += progress(x)
		if x.State != ec2types.SnapshotStatePending {
			w.op.Find(backup.Finding{ID: "ebs.unknown-state", Severity: backup.SeverityWarning, Ref: Snapshot(w.st.To.Account, w.st.To.Region, id),
				Message: fmt.Sprintf("the copy is in state %q, which this release does not know; it is waited for", x.State)})
		}
	}
}

// end ends the Operation.
func (w *copyWatch) end() {
	op, st := w.op, w.st
	for _, id := range w.missing {
		w.bad = append(w.bad, id+" has disappeared: somebody else deleted it")
	}
	code, hint := backup.ErrFailed, "delete what is listed in Points and copy again with another token"
	if w.key {
		key := st.To.KMSKeyID
		if key == "" {
			key = "the destination's default key for EBS"
		}
		code = backup.ErrDenied
		hint = "see that " + key + " and the source's key are enabled and allow the caller kms:DescribeKey, kms:CreateGrant, kms:Decrypt, kms:ReEncrypt* and " +
			"kms:GenerateDataKeyWithoutPlaintext; then delete what is listed in Points and copy again with another token"
	}
	if f := st.Refused; f != nil {
		w.bad = append(w.bad, fmt.Sprintf("%d were not copied: %s", len(st.Copies)-len(st.made()), f.Message))
		if len(w.bad) == 1 {
			hint = f.Hint
		}
	}
	total := max(len(st.Copies)+st.Short, 1)
	switch {
	case len(w.bad) == 0 && st.Short == 0:
		op.Succeed()
	case w.good > 0:
		if len(w.bad) == 0 {
			w.bad, hint = []string{"the set was short when it was copied"}, "what was copied can be restored"
		}
		op.Fail(failure(*op, "copy", backup.ErrPartial, hint, "%d of %d members: %s", w.good, total, strings.Join(w.bad, "; ")))
	default:
		op.Fail(failure(*op, "copy", code, hint, "%s", strings.Join(w.bad, "; ")))
	}
}

// undoCopies deletes the copies of a canceled Operation, unless all of them are complete by now: then there is nothing left to stop.
func (s *Strategy) undoCopies(ctx context.Context, op backup.Operation, st copyState) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	c, err := s.client(ctx, st.dest())
	if err != nil {
		return op, err
	}
	ids := st.made()
	found, err := s.byID(ctx, c, st.dest(), ids)
	if err != nil {
		return op, err
	}
	w := copyWatch{op: &op, st: st}
	for _, id := range ids {
		w.see(id, found)
	}
	if w.good == len(st.Copies) {
		w.end()
		return op, nil
	}
	if _, err := s.deleteAll(ctx, c, &op, st.dest(), ids, nil); err != nil || op.Done() {
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

// undoneCopies ends a canceled copy with what remains, as undone does for a backup.
func (s *Strategy) undoneCopies(ctx context.Context, op backup.Operation, st copyState) (backup.Operation, error) {
	c, err := s.client(ctx, st.dest())
	if err != nil {
		return op, err
	}
	found, err := s.byID(ctx, c, st.dest(), st.made())
	if err != nil {
		return op, err
	}
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
	op.Fail(failure(op, "cancel", backup.ErrCanceled, "", "canceled; %d of its copies remain", len(found)))
	return op, nil
}

// cancelCopy has the coming Steps stop a copy.
func (s *Strategy) cancelCopy(op backup.Operation) (backup.Operation, error) {
	var st copyState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch {
	case op.Stage == stageCreate && op.Attempt > 0:
		op.Settle(stageSettle)
	case op.Stage == stageSettle:
	case slices.ContainsFunc(st.Copies, func(id string) bool { return id != "" }):
		op.To(stageUndo, "DeleteSnapshot")
	default:
		op.To(stageStop, "")
	}
	return op, nil
}
