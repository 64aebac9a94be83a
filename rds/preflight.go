package rds

import (
	"cmp"
	"context"
	"slices"

	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
)

// Preflight reads what op would act on and says what is in the way: a database that does not exist or is in a state that does not pass, an
// instance that belongs to a cluster; a name that is taken; a snapshot that can not be restored, copied or deleted; a subnet group that does not exist. Whether
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
		look := s.preflightBackup
		if ofCluster(op.Ref) {
			look = s.preflightClusterBackup
		}
		found, err = look(ctx, c, op)
	case backup.ActionRestore:
		look := s.preflightRestore
		switch {
		case toTime(op) && ofCluster(op.Ref):
			look = s.preflightClusterTimeRestore
		case toTime(op):
			look = s.preflightTimeRestore
		case ofCluster(op.Ref):
			look = s.preflightClusterRestore
		}
		found, err = look(ctx, c, op)
	case backup.ActionCopy:
		look := s.preflightCopy
		if ofCluster(op.Ref) {
			look = s.preflightClusterCopy
		}
		found, err = look(ctx, c, op)
	case ActionAutomatedBackups:
		look := s.preflightSet
		if ofCluster(op.Ref) {
			look = s.preflightClusterSet
		}
		found, err = look(ctx, c, op)
	case ActionDeleteDatabase:
		look := s.preflightRetire
		if ofCluster(op.Ref) {
			look = s.preflightClusterRetire
		}
		found, err = look(ctx, c, op)
	case backup.ActionDelete:
		find := s.snapshot
		if ofCluster(op.Ref) {
			find = s.clusterSnapshot
		}
		found, err = s.preflightDelete(ctx, c, op, find)
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

func (s *Strategy) preflightBackup(ctx context.Context, c *awsrds.Client, op backup.Operation) ([]backup.Finding, error) {
	return s.preflightAny(ctx, c, op, s.instanceDatabase, s.snapshot)
}

func (s *Strategy) preflightClusterBackup(ctx context.Context, c *awsrds.Client, op backup.Operation) ([]backup.Finding, error) {
	return s.preflightAny(ctx, c, op, s.clusterDatabase, s.clusterSnapshot)
}

// preflightAny looks at what a backup would act on.
func (s *Strategy) preflightAny(ctx context.Context, c *awsrds.Client, op backup.Operation, source func(context.Context, *awsrds.Client, backup.Ref, string) (*database, error),
	find finder) (found []backup.Finding, err error) {
	var st backupState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	x, err := source(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		return nil, err
	}
	if refused := mayBackUp(op, x); refused != nil {
		return []backup.Finding{refusal("rds.backup-refused", op.Ref, refused)}, nil
	}
	if instanceStateOf(x.word) != instanceReady {
		f := notYet(op.Ref, x.word)
		f.Severity = backup.SeverityWarning
		found = append(found, f)
	}
	if !x.spread {
		found = append(found, backup.Finding{ID: "rds.single-az", Severity: backup.SeverityInfo, Ref: op.Ref,
			Message: "the instance is in one zone: its I/O is suspended for a moment when the snapshot begins", Remedy: "choose a quiet time, or back up a read replica"})
	}
	p, err := find(ctx, c, op.Ref, st.Name)
	if err != nil {
		return nil, err
	}
	if p != nil && !ours(op, p.tags) {
		found = append(found, backup.Finding{ID: "rds.name-taken", Severity: backup.SeverityError, Ref: pointAt(op.Ref, st.Name),
			Message: "a snapshot of this name exists and was not made by this operation", Remedy: "choose another Spec.Name, or leave it empty"})
	}
	return found, nil
}

func (s *Strategy) preflightRestore(ctx context.Context, c *awsrds.Client, op backup.Operation) (found []backup.Finding, err error) {
	var st restoreState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	p, err := s.snapshot(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		return nil, err
	}
	more, err := s.preflightTarget(ctx, c, op, st.Options)
	return append(restorable(op.Ref, p), more...), err
}

// preflightTarget says what is in the way of the new instance.
func (s *Strategy) preflightTarget(ctx context.Context, c *awsrds.Client, op backup.Operation, o RestoreOptions) (found []backup.Finding, err error) {
	target := Instance(op.Ref.Account, op.Ref.Region, o.ID)
	x, err := s.instance(ctx, c, op.Ref, o.ID)
	if err != nil {
		return nil, err
	}
	if x != nil && !ours(op, x.TagList) {
		found = append(found, backup.Finding{ID: "rds.name-taken", Severity: backup.SeverityError, Ref: target,
			Message: "an instance of this identifier exists and was not made by this operation", Remedy: "choose another RestoreOptions.ID"})
	}
	missing, err := s.subnetGroup(ctx, c, target, o.SubnetGroup)
	if err != nil {
		return nil, err
	}
	found = append(found, missing...)
	if o.PubliclyAccessible {
		found = append(found, backup.Finding{ID: "rds.public", Severity: backup.SeverityWarning, Ref: target, Message: "the new instance will have a public address", Remedy: "leave RestoreOptions.PubliclyAccessible false"})
	}
	if o.ParameterGroup == "" {
		found = append(found, backup.Finding{ID: "rds.default-parameters", Severity: backup.SeverityInfo, Ref: target,
			Message: "the new instance will have the engine's default parameter group, and not that of the source instance", Remedy: "set RestoreOptions.ParameterGroup"})
	}
	return found, nil
}

// restorable says what keeps a snapshot from being restored now.
func restorable(r backup.Ref, p *snap) []backup.Finding {
	if p == nil {
		return []backup.Finding{notFound(r)}
	}
	f := backup.Finding{ID: "rds.snapshot-state", Severity: backup.SeverityError, Ref: r, Message: "the snapshot is " + p.word, Remedy: "choose another recovery point"}
	switch good, _ := status(p.word); good {
	case backup.StatusAvailable:
		return nil
	case backup.StatusPending:
		f.Severity, f.Remedy = backup.SeverityWarning, "it is waited for until it is available"
	}
	return []backup.Finding{f}
}

// subnetGroup says that a DB subnet group does not exist.
func (s *Strategy) subnetGroup(ctx context.Context, c *awsrds.Client, target backup.Ref, name string) ([]backup.Finding, error) {
	_, err := c.DescribeDBSubnetGroups(ctx, &awsrds.DescribeDBSubnetGroupsInput{DBSubnetGroupName: &name})
	if err == nil {
		return nil, nil
	}
	v := table.Classify(err)
	if v.AWSCode != "DBSubnetGroupNotFoundFault" {
		return nil, v.Error(Kind, "DescribeDBSubnetGroups", target, err)
	}
	return []backup.Finding{{ID: "rds.subnet-group", Severity: backup.SeverityError, Ref: target, Message: "the DB subnet group " + name + " does not exist", Remedy: v.Hint}}, nil
}

func notFound(r backup.Ref) backup.Finding {
	return backup.Finding{ID: "rds.not-found", Severity: backup.SeverityError, Ref: r, Message: "no such snapshot is visible",
		Remedy: "check the identifier, the account and the Region; something new may take minutes to be visible"}
}

func (s *Strategy) preflightDelete(ctx context.Context, c *awsrds.Client, op backup.Operation, find finder) ([]backup.Finding, error) {
	var st deleteState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	p, err := find(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return []backup.Finding{notFound(op.Ref)}, nil
	}
	if refused := mayDelete(op, st, p); refused != nil {
		return []backup.Finding{refusal("rds.delete-refused", op.Ref, refused)}, nil
	}
	f := backup.Finding{ID: "rds.snapshot-state", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "the snapshot is " + p.word}
	switch good, _ := status(p.word); good {
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
