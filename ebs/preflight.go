package ebs

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
)

// Preflight reads what op would act on and says what is in the way: a resource that does not exist, is in the wrong state or has too many
// volumes; a recovery point that can not be restored or deleted. Whether the caller may make the call itself, and whether a key can be used,
// only the call shows.
func (s *Strategy) Preflight(ctx context.Context, op backup.Operation) ([]backup.Finding, error) {
	if err := op.Check(Kind); err != nil {
		return nil, err
	}
	c, err := s.client(ctx, op.Ref)
	if err != nil {
		return nil, err
	}
	if op.Action == backup.ActionBackup {
		var st backupState
		if err := op.GetState(&st); err != nil {
			return nil, err
		}
		p, err := s.targets(ctx, c, op.Ref, st)
		if err != nil {
			return finding(op, err)
		}
		if p.notYet != "" {
			return []backup.Finding{{ID: "ebs.not-yet", Severity: backup.SeverityWarning, Ref: op.Ref, Message: p.notYet, Remedy: "the backup waits for it"}}, nil
		}
		st.Volumes, st.Devices, st.Root = p.volumes, p.devices, p.root
		if n := len(s.tags(op, st)); n > 50 {
			return []backup.Finding{{ID: "ebs.tags", Severity: backup.SeverityError, Ref: op.Ref,
				Message: "more than 50 tags would be needed", Remedy: "use fewer tags of your own"}}, nil
		}
		return nil, nil
	}
	if op.Action == backup.ActionCopy {
		return s.preflightCopy(ctx, op)
	}
	members, err := s.members(ctx, c, op.Ref)
	if err != nil {
		return nil, err
	}
	if len(members) == 0 {
		return []backup.Finding{{ID: "ebs.not-found", Severity: backup.SeverityError, Ref: op.Ref, Message: "no such recovery point is visible",
			Remedy: "check the id, the account and the Region; something new may take minutes to be visible"}}, nil
	}
	var found []backup.Finding
	switch op.Action {
	case ActionArchive, ActionUnarchive:
		return s.preflightTier(ctx, c, op, members)
	case ActionLock:
		return s.preflightLock(ctx, c, op, members)
	}
	if op.Action == backup.ActionDelete {
		var st deleteState
		if err := op.GetState(&st); err != nil {
			return nil, err
		}
		for _, x := range members {
			if refused := s.mayDelete(op, st, x); refused != nil {
				f, _ := finding(op, refused)
				found = append(found, f...)
			}
		}
		var ids []string
		for _, x := range members {
			ids = append(ids, aws.ToString(x.SnapshotId))
		}
		vetoes, err := s.deleteVetoes(ctx, c, op, ids)
		if err != nil {
			return nil, err
		}
		for _, refused := range vetoes {
			f, _ := finding(op, refused)
			found = append(found, f...)
		}
		return found, nil
	}
	p := single(op.Ref, members[0])
	if op.Ref.Type == TypeSet {
		p = setPoint(op.Ref, op.Ref.ID, members)
	}
	if p.Status != backup.StatusAvailable {
		severity := backup.SeverityError
		found = append(found, backup.Finding{ID: "ebs.point-" + string(p.Status), Severity: severity, Ref: op.Ref,
			Message: "the recovery point is " + string(p.Status), Remedy: "choose another, or wait for this one"})
	}
	for _, x := range members {
		if refused := archived(op, "restore", x); refused != nil && x.State == ec2types.SnapshotStateCompleted {
			f, _ := finding(op, refused)
			return append(found, f...), nil
		}
	}
	return found, nil
}

// finding makes a finding of an error that looking again will not mend, and gives back any other.
func finding(op backup.Operation, err error) ([]backup.Finding, error) {
	if !permanent(err) && backup.CodeOf(err) != backup.ErrDenied {
		return nil, err
	}
	message := err.Error()
	var e *backup.Error
	if errors.As(err, &e) && e.Err != nil {
		message = e.Err.Error()
	}
	return []backup.Finding{{ID: "ebs." + string(op.Action) + "-refused", Severity: backup.SeverityError, Ref: op.Ref, Message: message, Remedy: backup.HintOf(err)}}, nil
}
