package rds

import (
	"cmp"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
)

// Preflight reads what op would act on and says what is in the way: an instance that does not exist, is in a state that does not pass, or
// belongs to a cluster; a name that is taken; a snapshot that can not be restored or deleted; a subnet group that does not exist. Whether
// the caller may make the call itself, whether a key can be used and whether a quota is full, only the call shows.
func (s *Strategy) Preflight(ctx context.Context, op backup.Operation) ([]backup.Finding, error) {
	if err := op.Check(Kind); err != nil {
		return nil, err
	}
	c, err := s.client(ctx, op.Ref)
	if err != nil {
		return nil, err
	}
	var found []backup.Finding
	switch op.Action {
	case backup.ActionBackup:
		found, err = s.preflightBackup(ctx, c, op)
	case backup.ActionRestore:
		found, err = s.preflightRestore(ctx, c, op)
	case backup.ActionDelete:
		found, err = s.preflightDelete(ctx, c, op)
	default:
		return nil, unknownAction(op)
	}
	if err != nil {
		return nil, err
	}
	rank := map[backup.Severity]int{backup.SeverityError: 0, backup.SeverityWarning: 1, backup.SeverityInfo: 2}
	slices.SortStableFunc(found, func(a, b backup.Finding) int { return cmp.Compare(rank[a.Severity], rank[b.Severity]) })
	return found, nil
}

// refusal makes a finding of an error that the work would end with.
func refusal(id string, r backup.Ref, err error) backup.Finding {
	return backup.Finding{ID: id, Severity: backup.SeverityError, Ref: r, Message: err.Error(), Remedy: backup.HintOf(err)}
}

func (s *Strategy) preflightBackup(ctx context.Context, c *awsrds.Client, op backup.Operation) (found []backup.Finding, err error) {
	var st backupState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	x, err := s.instance(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		return nil, err
	}
	if refused := mayBackUp(op, x); refused != nil {
		return []backup.Finding{refusal("rds.backup-refused", op.Ref, refused)}, nil
	}
	if word := aws.ToString(x.DBInstanceStatus); instanceStateOf(word) != instanceReady {
		f := notYet(op.Ref, word)
		f.Severity = backup.SeverityWarning
		found = append(found, f)
	}
	if !aws.ToBool(x.MultiAZ) {
		found = append(found, backup.Finding{ID: "rds.single-az", Severity: backup.SeverityInfo, Ref: op.Ref,
			Message: "the instance is in one zone: its I/O is suspended for a moment when the snapshot begins", Remedy: "choose a quiet time, or back up a read replica"})
	}
	p, err := s.snapshot(ctx, c, op.Ref, st.Name)
	if err != nil {
		return nil, err
	}
	if p != nil && !ours(op, p.TagList) {
		found = append(found, backup.Finding{ID: "rds.name-taken", Severity: backup.SeverityError, Ref: Snapshot(op.Ref.Account, op.Ref.Region, st.Name),
			Message: "a snapshot of this name exists and was not made by this operation", Remedy: "choose another Spec.Name, or leave it empty"})
	}
	return found, nil
}

func (s *Strategy) preflightRestore(ctx context.Context, c *awsrds.Client, op backup.Operation) (found []backup.Finding, err error) {
	var st restoreState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	o := st.Options
	target := Instance(op.Ref.Account, op.Ref.Region, o.ID)
	p, err := s.snapshot(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		return nil, err
	}
	if p == nil {
		found = append(found, notFound(op.Ref))
	} else if good, _ := status(aws.ToString(p.Status)); good != backup.StatusAvailable {
		f := backup.Finding{ID: "rds.snapshot-state", Severity: backup.SeverityError, Ref: op.Ref, Message: "the snapshot is " + aws.ToString(p.Status), Remedy: "choose another recovery point"}
		if good == backup.StatusPending {
			f.Severity, f.Remedy = backup.SeverityWarning, "the restore waits until it is available"
		}
		found = append(found, f)
	}
	x, err := s.instance(ctx, c, op.Ref, o.ID)
	if err != nil {
		return nil, err
	}
	if x != nil && !ours(op, x.TagList) {
		found = append(found, backup.Finding{ID: "rds.name-taken", Severity: backup.SeverityError, Ref: target,
			Message: "an instance of this identifier exists and was not made by this operation", Remedy: "choose another RestoreOptions.ID"})
	}
	if _, err := c.DescribeDBSubnetGroups(ctx, &awsrds.DescribeDBSubnetGroupsInput{DBSubnetGroupName: &o.SubnetGroup}); err != nil {
		v := table.Classify(err)
		if v.AWSCode != "DBSubnetGroupNotFoundFault" {
			return nil, v.Error(Kind, "DescribeDBSubnetGroups", op.Ref, err)
		}
		found = append(found, backup.Finding{ID: "rds.subnet-group", Severity: backup.SeverityError, Ref: target, Message: "the DB subnet group " + o.SubnetGroup + " does not exist", Remedy: v.Hint})
	}
	if o.PubliclyAccessible {
		found = append(found, backup.Finding{ID: "rds.public", Severity: backup.SeverityWarning, Ref: target, Message: "the new instance will have a public address", Remedy: "leave RestoreOptions.PubliclyAccessible false"})
	}
	if o.ParameterGroup == "" {
		found = append(found, backup.Finding{ID: "rds.default-parameters", Severity: backup.SeverityInfo, Ref: target,
			Message: "the new instance will have the engine's default parameter group, and not that of the source instance", Remedy: "set RestoreOptions.ParameterGroup"})
	}
	return found, nil
}

func notFound(r backup.Ref) backup.Finding {
	return backup.Finding{ID: "rds.not-found", Severity: backup.SeverityError, Ref: r, Message: "no such snapshot is visible",
		Remedy: "check the identifier, the account and the Region; something new may take minutes to be visible"}
}

func (s *Strategy) preflightDelete(ctx context.Context, c *awsrds.Client, op backup.Operation) ([]backup.Finding, error) {
	var st deleteState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	p, err := s.snapshot(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return []backup.Finding{notFound(op.Ref)}, nil
	}
	if refused := mayDelete(op, st, p); refused != nil {
		return []backup.Finding{refusal("rds.delete-refused", op.Ref, refused)}, nil
	}
	f := backup.Finding{ID: "rds.snapshot-state", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "the snapshot is " + aws.ToString(p.Status)}
	switch good, _ := status(aws.ToString(p.Status)); good {
	case backup.StatusAvailable:
		return nil, nil
	case backup.StatusFailed:
		f.Remedy = "RDS is known to delete available ones; this one is tried at once, and may be refused"
	case backup.StatusDeleting:
		f.Severity, f.Remedy = backup.SeverityInfo, "somebody deletes it already; it is only seen gone"
	default:
		f.Remedy = "RDS deletes only what is complete; the deletion waits"
	}
	return []backup.Finding{f}, nil
}
