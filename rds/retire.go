package rds

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/internal/nested"
	"github.com/snapwarden/snapwarden/policy"
)

// ActionDeleteDatabase deletes an instance or a cluster, after a final snapshot of it.
const ActionDeleteDatabase backup.Action = "rds-delete-database"

// DeleteDatabaseOptions are the settings of the deletion of an instance or a cluster.
type DeleteDatabaseOptions struct {
	// Confirm is the identifier of the instance or the cluster once more. Required.
	Confirm string
	// DeleteAutomatedBackups has RDS delete the automated backups along. Otherwise they are kept for their retention period, and the database can be
	// restored from rds.AutomatedBackup or rds.ClusterAutomatedBackup until then. RDS's own default is to delete them. Source: RDS API, DeleteDBInstance.
	DeleteAutomatedBackups bool
}

// OptionsFor makes DeleteDatabaseOptions usable as backup.Spec.Options.
func (DeleteDatabaseOptions) OptionsFor() (string, backup.Action) { return Kind, ActionDeleteDatabase }

// The stages of the deletion of a database.
const (
	stageFinal  = "final"  // the final snapshot is made
	stageRetire = "retire" // the database is looked at
	stageDrop   = "drop"   // it, or one of its instances, may be deleted
)

// retireState is the State of the deletion of a database.
type retireState struct {
	DeleteAutomated bool `json:"d,omitempty"`
	// Final is the backup that makes the final snapshot, and Snapshot what it has made: its identifier, and its time of creation.
	Final    backup.Operation `json:"f"`
	Snapshot string           `json:"s,omitempty"`
	Created  time.Time        `json:"c,omitzero"`
	// Resource is the immutable id of the database: the snapshot's, and that of what is deleted.
	Resource string `json:"r,omitempty"`
	// Member is the instance of a cluster that the armed call deletes, empty for the cluster, or the instance, itself.
	Member string `json:"m,omitempty"`
	// Accepted tells that RDS has accepted the deletion of the database itself, or that it was seen going.
	Accepted bool `json:"a,omitempty"`
	// Lost is since when the database has not been seen, and Unfit since when the final snapshot was not seen available.
	Lost  time.Time `json:"l,omitzero"`
	Unfit time.Time `json:"u,omitzero"`
}

// StartDeleteDatabase makes the Operation that deletes an instance or a cluster in this order: a final snapshot, which is a backup as Start makes it
// and is listed in Points; that seen available; the deletion of what the snapshot is of, with the instances of a cluster first; that seen gone.
// Nothing is deleted before, and the snapshot is looked at again just before each call. Automated backups are kept, unless told otherwise. Spec.Options must be
// DeleteDatabaseOptions; Spec.Name is the snapshot's identifier, empty for a derived one.
//
// What is written between the snapshot and the deletion is in the automated backups only, and lost where there are none: end the writes first. A database
// that RDS makes no snapshot of (it is stopped, broken, or being changed) is not deleted: what passes is waited for until the deadline. Deletion
// protection is respected. The Operation can be canceled as long as no call was sent.
//
// Source: RDS User Guide, "Deleting a DB instance"; Aurora User Guide, "Deleting Aurora DB clusters and DB instances".
func (s *Strategy) StartDeleteDatabase(ctx context.Context, database backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(ActionDeleteDatabase, database, spec, TypeInstance, TypeCluster)
	if err != nil {
		return backup.Operation{}, err
	}
	o, ok := spec.Options.(DeleteDatabaseOptions)
	if !ok {
		return backup.Operation{}, invalid(op.Action, database, "set Spec.Options to rds.DeleteDatabaseOptions with Confirm", "options of type %T", spec.Options)
	}
	if policy.CanonicalName(o.Confirm) != database.ID {
		return backup.Operation{}, invalid(op.Action, database, "set DeleteDatabaseOptions.Confirm to the identifier of what is to be deleted", "it is confirmed for %q", o.Confirm)
	}
	inner := spec
	inner.Options = nil
	inner.Token = "final/" + op.ID // no other backup makes this snapshot
	final, err := s.Start(ctx, database, inner)
	if err != nil {
		return backup.Operation{}, err
	}
	op.Stage, op.Tags = stageFinal, nil // the tags are the snapshot's
	if err := op.SetState(retireState{DeleteAutomated: o.DeleteAutomatedBackups, Final: final}); err != nil {
		return backup.Operation{}, err
	}
	nested.Arm(&op, final)
	return op, nil
}

// retireCalls are the calls of a deletion of one kind of database, beside those of its instances.
type retireCalls struct {
	call string
	find finder
	// look gives the database, and the instances of a cluster that are not being deleted.
	look func(ctx context.Context, c *awsrds.Client, r backup.Ref) (*doomed, error)
	send func(ctx context.Context, c *awsrds.Client, r backup.Ref, st retireState) error
}

// doomed is a database that is to be deleted.
type doomed struct {
	resource, word string
	protected      bool
	days           int32
	members        []string
}

func (s *Strategy) stepRetire(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.carryRetire(ctx, c, op, retireCalls{"DeleteDBInstance", s.snapshot, s.doomedInstance, s.dropInstance})
}

func (s *Strategy) stepClusterRetire(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.carryRetire(ctx, c, op, retireCalls{"DeleteDBCluster", s.clusterSnapshot, s.doomedCluster, s.dropCluster})
}

func (s *Strategy) doomedInstance(ctx context.Context, c *awsrds.Client, r backup.Ref) (*doomed, error) {
	x, err := s.instance(ctx, c, r, r.ID)
	if x == nil || err != nil {
		return nil, err
	}
	return &doomed{resource: aws.ToString(x.DbiResourceId), word: aws.ToString(x.DBInstanceStatus), protected: aws.ToBool(x.DeletionProtection), days: aws.ToInt32(x.BackupRetentionPeriod)}, nil
}

func (s *Strategy) doomedCluster(ctx context.Context, c *awsrds.Client, r backup.Ref) (*doomed, error) {
	x, err := s.lookCluster(ctx, c, r, r.ID)
	if x == nil || err != nil {
		return nil, err
	}
	d := &doomed{resource: aws.ToString(x.DbClusterResourceId), word: aws.ToString(x.Status), protected: aws.ToBool(x.DeletionProtection), days: aws.ToInt32(x.BackupRetentionPeriod)}
	if !isAurora(aws.ToString(x.Engine)) {
		return d, nil // the instances of a Multi-AZ DB cluster go with it
	}
	all, err := s.membersOf(ctx, c, r, r.ID)
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if !leaving(aws.ToString(i.DBInstanceStatus)) {
			d.members = append(d.members, policy.CanonicalName(aws.ToString(i.DBInstanceIdentifier)))
		}
	}
	return d, nil
}

func (s *Strategy) dropInstance(ctx context.Context, c *awsrds.Client, r backup.Ref, st retireState) error {
	_, err := c.DeleteDBInstance(ctx, &awsrds.DeleteDBInstanceInput{DBInstanceIdentifier: &r.ID, SkipFinalSnapshot: aws.Bool(true), DeleteAutomatedBackups: &st.DeleteAutomated}, s.sending)
	return err
}

// dropCluster deletes the instance of a cluster that is armed, or the cluster itself.
func (s *Strategy) dropCluster(ctx context.Context, c *awsrds.Client, r backup.Ref, st retireState) error {
	if st.Member != "" {
		_, err := c.DeleteDBInstance(ctx, &awsrds.DeleteDBInstanceInput{DBInstanceIdentifier: &st.Member, SkipFinalSnapshot: aws.Bool(true)}, s.sending)
		return err
	}
	_, err := c.DeleteDBCluster(ctx, &awsrds.DeleteDBClusterInput{DBClusterIdentifier: &r.ID, SkipFinalSnapshot: aws.Bool(true), DeleteAutomatedBackups: &st.DeleteAutomated}, s.sending)
	return err
}

// carryRetire carries on the deletion of a database.
func (s *Strategy) carryRetire(ctx context.Context, c *awsrds.Client, op backup.Operation, k retireCalls) (backup.Operation, error) {
	var st retireState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageFinal:
		return s.final(ctx, c, op, st, k)
	case stagePark:
		return s.parked(op, stageRetire), nil
	case stageDrop:
		if op.Intent() == backup.ReadOnly {
			return op, nil
		}
		return s.retire(ctx, c, op, st, k)
	case stageRetire, stageGone:
		return s.retire(ctx, c, op, st, k)
	}
	return op, unknownStage(op)
}

// final carries on the backup that makes the final snapshot, and remembers what it made.
func (s *Strategy) final(ctx context.Context, c *awsrds.Client, op backup.Operation, st retireState, k retireCalls) (backup.Operation, error) {
	if !st.Final.Done() {
		if err := nested.Step(ctx, s, &op, &st.Final); err != nil {
			return op, err
		}
		for _, p := range st.Final.Points {
			op.AddPoint(p)
		}
		st.Final.Findings = nil // the outer has them
	}
	switch {
	case !st.Final.Done():
		return op, op.SetState(st)
	case st.Final.Phase != backup.PhaseSucceeded:
		cause := st.Final.Err()
		op.Fail(failure(op, backup.CodeOf(cause), backup.HintOf(cause), "nothing was deleted, because there is no final snapshot: %w", cause))
		return op, op.SetState(st)
	}
	st.Snapshot = st.Final.Points[0].ID
	x, err := k.find(ctx, c, op.Ref, st.Snapshot)
	if err != nil {
		return op, err
	}
	if x == nil || !ours(st.Final, x.tags) {
		if s.absent(&st.Lost) {
			op.Fail(noFinal(op, st))
			return op, nil
		}
		s.wait(&op)
		return op, op.SetState(st)
	}
	st.Created, st.Resource, st.Lost = x.made, x.resource, time.Time{}
	op.To(stageRetire, "")
	return op, op.SetState(st)
}

// noFinal is the error of a final snapshot that is not there, or not available, any more.
func noFinal(op backup.Operation, st retireState) error {
	return failure(op, backup.ErrFailed, "look who deletes snapshots; start again with another token to make another one", "nothing more was deleted, because the final snapshot %s is not available any more", st.Snapshot)
}

// retire looks at the final snapshot and at the database, and deletes that, or says what comes next.
func (s *Strategy) retire(ctx context.Context, c *awsrds.Client, op backup.Operation, st retireState, k retireCalls) (backup.Operation, error) {
	d, err := k.look(ctx, c, op.Ref)
	if err != nil {
		return op, err
	}
	if d == nil || d.resource != st.Resource {
		// It was there when the snapshot was made: what is not to be seen for so long is gone. Another one of the identifier is not touched.
		if over := s.absent(&st.Lost); over || st.Accepted && time.Since(st.Lost) >= min(patience, s.opts.Settle) {
			op.Succeed()
			return op, op.SetState(st)
		}
		if op.Stage != stageGone {
			op.To(stageGone, "")
		}
		s.wait(&op)
		return op, op.SetState(st)
	}
	st.Lost = time.Time{}
	if leaving(d.word) {
		st.Accepted = true
		if op.Stage != stageGone {
			op.To(stageGone, "")
		}
		s.wait(&op)
		return op, op.SetState(st)
	}
	if op.Stage == stageGone && st.Accepted && time.Since(op.Since) < s.opts.Settle {
		s.wait(&op) // the listing may lag
		return op, op.SetState(st)
	}
	x, err := k.find(ctx, c, op.Ref, st.Snapshot)
	if err != nil {
		return op, err
	}
	if x == nil || x.word != "available" || !sameSnapshot(x, st.Created, st.Resource) {
		if s.absent(&st.Unfit) {
			op.Fail(noFinal(op, st))
			return op, nil
		}
		// One look that does not find it proves nothing; but nothing is deleted before one has.
		op.To(stageRetire, "")
		s.wait(&op)
		return op, op.SetState(st)
	}
	st.Unfit = time.Time{}
	if d.protected {
		op.Fail(failure(op, backup.ErrConflict, "switch its deletion protection off if it is really to go; the final snapshot stays", "the %s is protected against deletion", noun(op.Ref)))
		return op, nil
	}
	st.Member = ""
	call := k.call
	if len(d.members) > 0 {
		st.Member, call = d.members[0], "DeleteDBInstance"
	}
	if op.Stage != stageDrop || op.Next != call {
		if st.Member == "" {
			op.Find(afterwards(op, d, st))
		}
		op.To(stageDrop, call)
		return op, op.SetState(st)
	}
	return s.drop(ctx, c, op, st, k)
}

// afterwards says where what is written after the final snapshot is.
func afterwards(op backup.Operation, d *doomed, st retireState) backup.Finding {
	f := backup.Finding{ID: "rds.after-final", Severity: backup.SeverityInfo, Ref: op.Ref, Message: "what was written after the final snapshot is in the automated backups, which are kept",
		Remedy: "look at them with Strategy.AutomatedBackups"}
	if d.days == 0 || st.DeleteAutomated {
		f.Severity, f.Message, f.Remedy = backup.SeverityWarning, "what was written after the final snapshot is lost", "end all writes before a database is deleted"
	}
	return f
}

// drop makes the call.
func (s *Strategy) drop(ctx context.Context, c *awsrds.Client, op backup.Operation, st retireState, k retireCalls) (backup.Operation, error) {
	if err := k.send(ctx, c, op.Ref, st); err != nil {
		v := table.Classify(err)
		failed := v.Error(Kind, op.Next, op.Ref, err)
		switch {
		case v.Code == backup.ErrNotFound:
			// Calls that change something see what is true: it is gone.
		case v.Class == awscall.NotYet:
			op.To(stagePark, "")
			op.PollIn(s.opts.Park)
			return op, op.SetState(st)
		case v.Class == awscall.Permanent:
			op.Fail(failed)
			return op, nil
		default:
			if v.Class == awscall.NotApplied {
				op.Unsent()
			}
			return op, failed
		}
	}
	if st.Member != "" {
		op.To(stageRetire, "")
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	}
	st.Accepted = true
	op.To(stageGone, "")
	op.PollIn(s.opts.PollMin)
	return op, op.SetState(st)
}

// preflightRetire looks at what the deletion of a database would act on.
func (s *Strategy) preflightRetire(ctx context.Context, c *awsrds.Client, op backup.Operation) ([]backup.Finding, error) {
	return s.preflightRetires(ctx, c, op, s.doomedInstance, s.preflightBackup)
}

func (s *Strategy) preflightClusterRetire(ctx context.Context, c *awsrds.Client, op backup.Operation) ([]backup.Finding, error) {
	return s.preflightRetires(ctx, c, op, s.doomedCluster, s.preflightClusterBackup)
}

func (s *Strategy) preflightRetires(ctx context.Context, c *awsrds.Client, op backup.Operation, look func(context.Context, *awsrds.Client, backup.Ref) (*doomed, error),
	final func(context.Context, *awsrds.Client, backup.Operation) ([]backup.Finding, error)) (found []backup.Finding, err error) {
	var st retireState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	d, err := look(ctx, c, op.Ref)
	if err != nil {
		return nil, err
	}
	if d != nil && d.protected {
		found = append(found, backup.Finding{ID: "rds.protected", Severity: backup.SeverityError, Ref: op.Ref, Message: "the " + noun(op.Ref) + " is protected against deletion",
			Remedy: "switch its deletion protection off if it is really to go"})
	}
	if d != nil {
		found = append(found, afterwards(op, d, st))
	}
	more, err := final(ctx, c, st.Final)
	return append(found, more...), err
}
