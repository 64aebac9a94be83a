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

// finalGap is the longest time between the look before the one that found the final snapshot finished, and the call that deletes. What is written after the
// snapshot began is not in it. The last look counts, and not the time at which RDS finished the snapshot, because RDS does not tell that.
const finalGap = time.Hour

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
	// Unready is when the final snapshot was last not yet seen finished: what was written after it began is at most as old as that, and the time that its
	// making takes. Where it was made before the Operation was started, it is its time of creation.
	Unready time.Time `json:"n,omitzero"`
	// Armed counts the times that a deletion was armed, but for those that surely were not sent.
	Armed int `json:"k,omitempty"`
	// Empty is when a cluster was last seen without an instance that could write to it, after RDS had accepted the deletion of its last one.
	Empty time.Time `json:"y,omitzero"`
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
// protection is respected. A final snapshot serves for an hour: where nobody carried the Operation on for so long, or RDS did not accept the deletion, it ends
// with ErrUnavailable, and another token makes another snapshot. Options.PollMin has to be well below that.
//
// A cluster of a global cluster, and one that replicates to or from another, ends with ErrConflict before its first instance is deleted. The read
// replicas of an instance become databases of their own, which the finding "rds.replicas" says. A database that was renamed meanwhile is
// not deleted, and ErrConflict as well.
//
// The Operation can be canceled as long as no deletion was sent. The final snapshot, if there is one, stays and is in Points.
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
	look func(ctx context.Context, c *awsrds.Client, r backup.Ref, resource string) (*doomed, error)
	send func(ctx context.Context, c *awsrds.Client, r backup.Ref, st retireState) error
}

func (s *Strategy) stepRetire(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.carryRetire(ctx, c, op, retireCalls{"DeleteDBInstance", s.snapshot, s.doomedInstance, s.dropInstance})
}

func (s *Strategy) stepClusterRetire(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.carryRetire(ctx, c, op, retireCalls{"DeleteDBCluster", s.clusterSnapshot, s.doomedCluster, s.dropCluster})
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
		st.Unready = time.Now().UTC().Round(0)
		return op, op.SetState(st)
	case st.Final.Phase != backup.PhaseSucceeded:
		cause := st.Final.Err()
		op.Fail(failure(op, backup.CodeOf(cause), backup.HintOf(cause), "nothing was deleted, because there is no final snapshot: %w", cause))
		return op, op.SetState(st)
	}
	st.Snapshot = st.Final.Points[0].ID
	if op.Canceling {
		op.Fail(canceled(op))
		return op, op.SetState(st)
	}
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
	if st.Unready.IsZero() || x.made.Before(op.Started.Add(-clockSkew)) {
		st.Unready = x.made // of an earlier Operation with this token: when that saw it finished is not known
	}
	op.To(stageRetire, "")
	return op, op.SetState(st)
}

// noFinal is the error of a final snapshot that is not there, or not available, any more.
func noFinal(op backup.Operation, st retireState) error {
	return failure(op, backup.ErrFailed, "look who deletes snapshots; start again with another token to make another one", "nothing more was deleted, because the final snapshot %s is not available any more", st.Snapshot)
}

// retire looks at the final snapshot and at the database, and deletes that, or says what comes next.
func (s *Strategy) retire(ctx context.Context, c *awsrds.Client, op backup.Operation, st retireState, k retireCalls) (backup.Operation, error) {
	d, err := k.look(ctx, c, op.Ref, st.Resource)
	if err != nil {
		op.Unsent()
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
	if d.id != op.Ref.ID {
		op.Fail(failure(op, backup.ErrConflict, "look who renamed it, and start again with its new identifier if it is to go; the final snapshot stays", "the %s is named %s now, and was not deleted", noun(op.Ref), d.id))
		return op, nil
	}
	if op.Stage == stageGone && st.Accepted && time.Since(op.Since) < s.opts.Settle {
		s.wait(&op) // the listing may lag
		return op, op.SetState(st)
	}
	x, err := k.find(ctx, c, op.Ref, st.Snapshot)
	if err != nil {
		op.Unsent()
		return op, err
	}
	if x == nil || x.word != "available" || !sameSnapshot(x, st.Created, st.Resource) {
		if s.absent(&st.Unfit) {
			op.Fail(noFinal(op, st))
			return op, nil
		}
		// One look that does not find it proves nothing; but nothing is deleted before one has.
		st.unarm(op)
		op.To(stageRetire, "")
		s.wait(&op)
		return op, op.SetState(st)
	}
	st.Unfit = time.Time{}
	if refused := st.mayRetire(op, d); refused != nil {
		op.Fail(refused)
		return op, nil
	}
	st.Member = ""
	call := k.call
	if len(d.members) > 0 {
		st.Member, call, st.Empty = d.members[0], "DeleteDBInstance", time.Time{}
	} else if !st.Empty.IsZero() {
		st.Empty = time.Now().UTC().Round(0)
	}
	if op.Stage != stageDrop || op.Next != call {
		if st.Member == "" {
			op.Find(afterwards(op, d, st))
		}
		for _, f := range replicated(op, d) {
			op.Find(f)
		}
		st.unarm(op)
		st.Armed++
		op.To(stageDrop, call)
		return op, op.SetState(st)
	}
	return s.drop(ctx, c, op, st, k, len(d.members) == 1)
}

// mayRetire says why a database must not be deleted, or nothing.
func (st retireState) mayRetire(op backup.Operation, d *doomed) error {
	switch {
	case d.protected:
		return failure(op, backup.ErrConflict, "switch its deletion protection off if it is really to go; the final snapshot stays", "the %s is protected against deletion", noun(op.Ref))
	case d.tied != "":
		return failure(op, backup.ErrConflict, d.untie+"; the final snapshot stays", "the cluster %s", d.tied)
	case time.Since(st.writtenUntil(d)) > finalGap:
		return failure(op, backup.ErrUnavailable, "start again with another token to make another one; the final snapshot stays",
			"nothing more was deleted, because what was written since %s is perhaps in no snapshot: that is longer than %v, and the final one is %s",
			st.writtenUntil(d).Format(time.RFC3339), finalGap, st.Snapshot)
	}
	return nil
}

// writtenUntil is the last time of which is known that the final snapshot has all that was written until then: nothing writes to a cluster that has no
// instance, as long as it is seen to have none.
func (st retireState) writtenUntil(d *doomed) time.Time {
	if len(d.members) == 0 && st.Empty.After(st.Unready) {
		return st.Empty
	}
	return st.Unready
}

// unarm takes back a call that was armed, recorded for the first time, and not sent in this Step.
func (st *retireState) unarm(op backup.Operation) {
	if op.Stage == stageDrop && op.Intent() == backup.Send {
		st.Armed--
	}
}

// drop makes the call; last tells that it is for the last instance of a cluster.
func (s *Strategy) drop(ctx context.Context, c *awsrds.Client, op backup.Operation, st retireState, k retireCalls, last bool) (backup.Operation, error) {
	gone := false
	if err := k.send(ctx, c, op.Ref, st); err != nil {
		v := table.Classify(err)
		failed := v.Error(Kind, op.Next, op.Ref, err)
		switch {
		case v.Code == backup.ErrNotFound:
			// Calls that change something see what is true: nothing has the identifier. But it may have been renamed.
			gone = true
		case v.Class == awscall.NotYet:
			st.unarm(op)
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
		if last && !gone {
			st.Empty = time.Now().UTC().Round(0)
		}
		op.To(stageRetire, "")
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	}
	st.Accepted = st.Accepted || !gone
	op.To(stageGone, "")
	op.PollIn(s.opts.PollMin)
	return op, op.SetState(st)
}
