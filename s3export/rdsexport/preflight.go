package rdsexport

import (
	"cmp"
	"context"
	"slices"

	"github.com/snapwarden/snapwarden/backup"
)

// Preflight reads what op would act on and says what is in the way: a snapshot that does not exist or can not be exported, a bucket that does not
// exist, is elsewhere or is another's, a folder that is taken, another export of the snapshot. Whether RDS may use the role and the key, and
// whether the quota is full, only the call and the task show.
func (s *Strategy) Preflight(ctx context.Context, op backup.Operation) ([]backup.Finding, error) {
	if err := op.Check(Kind); err != nil {
		return nil, err
	}
	if op.Action != backup.ActionExport {
		return nil, unknownAction(op)
	}
	var st state
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	c, err := s.clients(ctx, op.Ref)
	if err != nil {
		return nil, err
	}
	var found []backup.Finding
	refuse := func(id string, err error) {
		found = append(found, backup.Finding{ID: id, Severity: backup.SeverityError, Ref: op.Ref, Message: err.Error(), Remedy: backup.HintOf(err)})
	}
	x, err := s.snapshot(ctx, c, op.Ref)
	if err != nil {
		return nil, err
	}
	if x == nil {
		refuse("rdsexport.not-found", failure(op, backup.ErrNotFound, "check the snapshot's identifier, the account and the Region", "there is no snapshot %s", op.Ref.ID))
	} else {
		switch word := x.status; stateOf(word) {
		case sourceBroken:
			refuse("rdsexport.snapshot-state", brokenSource(op, word))
		case sourceBusy:
			found = append(found, backup.Finding{ID: "rdsexport.snapshot-state", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "the snapshot is " + word,
				Remedy: "the export waits until it is available"})
		}
		if err := exportable(op, st, x); err != nil {
			refuse("rdsexport.unsupported", err)
		}
	}
	if err := s.vacant(ctx, c, op, st); err != nil {
		if transient(err) {
			return nil, err
		}
		refuse("rdsexport.bucket", err)
	}
	id, err := s.other(ctx, c, op.Ref, st.Task)
	if err != nil {
		return nil, err
	}
	if id != "" {
		f := otherExport(op, id)
		f.Severity = backup.SeverityWarning
		found = append(found, f)
	}
	rank := map[backup.Severity]int{backup.SeverityError: 0, backup.SeverityWarning: 1, backup.SeverityInfo: 2}
	slices.SortStableFunc(found, func(a, b backup.Finding) int { return cmp.Compare(rank[a.Severity], rank[b.Severity]) })
	return found, nil
}
