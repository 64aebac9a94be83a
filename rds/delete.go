package rds

import (
	"context"
	"time"

	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// DeleteOptions are the settings of a deletion.
type DeleteOptions struct {
	// AllowForeign also deletes a snapshot that the library can not have made for Spec.Owner: one whose tags name another owner, or none, or
	// were copied from somewhere else.
	AllowForeign bool
}

// OptionsFor makes DeleteOptions usable as backup.Spec.Options.
func (DeleteOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionDelete }

// The stages of a deletion.
const (
	stageLook   = "look"   // the snapshot is looked at
	stageDelete = "delete" // it may be deleted
	stageGone   = "gone"   // it is seen gone
)

// deleteState is a deletion's State.
type deleteState struct {
	AllowForeign bool `json:"f,omitempty"`
	// Seen tells that the snapshot was looked at; Created and Resource are what it was then. An identifier can be given again, to
	// another snapshot: these can not.
	Seen     bool      `json:"s,omitempty"`
	Created  time.Time `json:"c,omitzero"`
	Resource string    `json:"r,omitempty"`
	// Armed counts the times that the call was armed, but for those that surely had no effect.
	Armed int `json:"n,omitempty"`
	// Accepted tells that RDS has accepted the deletion, or has said that there is nothing to delete.
	Accepted bool `json:"a,omitempty"`
	// Lost is since when nothing was found.
	Lost time.Time `json:"l,omitzero"`
}

// StartDelete makes the Operation that deletes a manual snapshot of an instance or of a cluster. Spec.Options may be DeleteOptions. Automated snapshots and those of AWS
// Backup are refused with ErrUnsupported.
func (s *Strategy) StartDelete(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionDelete, point, spec, TypeSnapshot, TypeClusterSnapshot, TypeAutomatedBackup, TypeClusterAutomatedBackup)
	if err != nil {
		return backup.Operation{}, err
	}
	if point.Type == TypeAutomatedBackup || point.Type == TypeClusterAutomatedBackup {
		return backup.Operation{}, failure(op, backup.ErrUnsupported, "they go with their retention period, or with their database if it is deleted so", "automated backups can not be deleted by hand")
	}
	var st deleteState
	if spec.Options != nil {
		o, ok := spec.Options.(DeleteOptions)
		if !ok {
			return backup.Operation{}, invalid(op.Action, point, "use rds.DeleteOptions, not a pointer to it", "options of type %T", spec.Options)
		}
		st.AllowForeign = o.AllowForeign
	}
	if spec.Name != "" {
		return backup.Operation{}, invalid(op.Action, point, "leave Spec.Name empty", "a deletion has no name, but one was given: %q", spec.Name)
	}
	if kind := snapshotType(point.ID); kind != nil {
		return backup.Operation{}, notManual(op, *kind)
	}
	op.Stage = stageLook
	return op, op.SetState(st)
}

func notManual(op backup.Operation, kind string) error {
	hint := "automated snapshots go with their retention period, or with their instance"
	if kind == typeAWSBackup {
		hint = "delete its recovery point in AWS Backup"
	}
	return failure(op, backup.ErrUnsupported, hint, "the snapshot is of type %s; only manual ones can be deleted", kind)
}

// mayDelete says why a snapshot must not be deleted, or nothing. The owner's tag alone proves nothing, because RDS copies tags: from a snapshot
// that is restored or copied, and from an instance with CopyTagsToSnapshot to the snapshots that anybody makes of it. What the library made names
// its own instance as the source.
func mayDelete(op backup.Operation, st deleteState, x *snap) error {
	if x.kind != typeManual {
		return notManual(op, x.kind)
	}
	if st.AllowForeign {
		return nil
	}
	tags := tagMap(x.tags)
	if owner := tags[backup.TagOwner]; owner != op.Owner {
		return failure(op, backup.ErrConflict, "set Spec.Owner to the owner, or DeleteOptions.AllowForeign if it is really yours to delete",
			"the snapshot has the owner %q and not %q", owner, op.Owner)
	}
	if tags[TagCopy] != "" && !ownCopy(op.Ref, x) {
		return failure(op, backup.ErrConflict, "its tags were copied from another snapshot: set DeleteOptions.AllowForeign if it is really yours to delete",
			"the snapshot carries the tags of the copy %s", tags[TagCopy])
	}
	source := sourceOf(op.Ref, x)
	if tags[backup.TagToken] == "" || tags[backup.TagSource] != source.Tag() {
		return failure(op, backup.ErrConflict, "its tags were copied, from an instance or another snapshot: set DeleteOptions.AllowForeign if it is really yours to delete",
			"the snapshot carries tags of this library that do not fit it: its %s is %s, its tag %s is %q", noun(source), source.ID, backup.TagSource, tags[backup.TagSource])
	}
	return nil
}

// same tells whether a snapshot is the one that was looked at first.
func (st deleteState) same(x *snap) bool {
	return sameSnapshot(x, st.Created, st.Resource)
}

// deleteCalls are the calls of a deletion of one kind of snapshot.
type deleteCalls struct {
	call string
	find finder
	send func(ctx context.Context, c *awsrds.Client, id string) error
}

func (s *Strategy) stepDelete(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.carryDelete(ctx, c, op, deleteCalls{"DeleteDBSnapshot", s.snapshot, s.sendDelete})
}

func (s *Strategy) stepClusterDelete(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.carryDelete(ctx, c, op, deleteCalls{"DeleteDBClusterSnapshot", s.clusterSnapshot, s.sendClusterDelete})
}

func (s *Strategy) sendDelete(ctx context.Context, c *awsrds.Client, id string) error {
	_, err := c.DeleteDBSnapshot(ctx, &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: &id}, s.sending)
	return err
}

func (s *Strategy) sendClusterDelete(ctx context.Context, c *awsrds.Client, id string) error {
	_, err := c.DeleteDBClusterSnapshot(ctx, &awsrds.DeleteDBClusterSnapshotInput{DBClusterSnapshotIdentifier: &id}, s.sending)
	return err
}

// carryDelete carries on a deletion.
func (s *Strategy) carryDelete(ctx context.Context, c *awsrds.Client, op backup.Operation, k deleteCalls) (backup.Operation, error) {
	var st deleteState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageLook:
		return s.lookDelete(ctx, c, op, st, k)
	case stagePark:
		return s.parked(op, stageLook), nil
	case stageDelete:
		if op.Intent() == backup.ReadOnly {
			return op, nil
		}
		return s.delete(ctx, c, op, st, k)
	case stageGone:
		return s.gone(ctx, c, op, st, k)
	}
	return op, unknownStage(op)
}

// lookDelete looks at the snapshot, refuses what must not be deleted, remembers what it is, and arms the call.
func (s *Strategy) lookDelete(ctx context.Context, c *awsrds.Client, op backup.Operation, st deleteState, k deleteCalls) (backup.Operation, error) {
	x, err := k.find(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		return notLooked(op, st.Armed, err)
	}
	if x == nil {
		return s.missing(op, st)
	}
	if st.Seen && !st.same(x) {
		return s.replaced(op), nil
	}
	if refused := mayDelete(op, st, x); refused != nil {
		op.AddPoint(op.Ref)
		op.Fail(refused)
		return op, nil
	}
	good, _ := status(x.word)
	if good == backup.StatusPending {
		// Only what is complete has a time of creation to know it by, and only that does RDS delete.
		op.Find(backup.Finding{ID: "rds.snapshot-state", Severity: backup.SeverityInfo, Ref: op.Ref,
			Message: "the snapshot is " + x.word + "; it is waited for, because RDS deletes only what is complete"})
		op.To(stagePark, "")
		op.PollIn(s.opts.Park)
		return op, nil
	}
	st.Seen, st.Created, st.Resource, st.Lost = true, x.made, x.resource, time.Time{}
	if good == backup.StatusDeleting {
		op.To(stageGone, "")
		s.wait(&op)
		return op, op.SetState(st)
	}
	return st.arm(op, k.call)
}

// arm names the call for the coming Step.
func (st deleteState) arm(op backup.Operation, call string) (backup.Operation, error) {
	st.Armed++
	op.To(stageDelete, call)
	return op, op.SetState(st)
}

// missing is what a snapshot that is not visible means: nothing at first. When that has lasted, it is gone if it was seen before, and was
// never there otherwise.
func (s *Strategy) missing(op backup.Operation, st deleteState) (backup.Operation, error) {
	over := s.absent(&st.Lost)
	if err := op.SetState(st); err != nil {
		return op, err
	}
	switch {
	case st.Accepted, over && st.Seen:
		op.Succeed()
	case over:
		op.Fail(failure(op, backup.ErrNotFound, "check the identifier, the account and the Region; it may have been deleted already", "no such snapshot"))
	default:
		s.wait(&op)
	}
	return op, nil
}

// replaced ends a deletion whose snapshot is gone and whose identifier another one has now.
func (s *Strategy) replaced(op backup.Operation) backup.Operation {
	op.Fail(failure(op, backup.ErrConflict, "nothing of it was deleted; look at it, and start another deletion if it is to go too",
		"another snapshot has the identifier now"))
	return op
}

// delete looks again and deletes what is still the same.
func (s *Strategy) delete(ctx context.Context, c *awsrds.Client, op backup.Operation, st deleteState, k deleteCalls) (backup.Operation, error) {
	x, err := k.find(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		return op, err
	}
	if x == nil {
		return s.lost(op, st)
	}
	if !st.same(x) {
		return s.replaced(op), nil
	}
	if refused := mayDelete(op, st, x); refused != nil {
		op.AddPoint(op.Ref)
		op.Fail(refused)
		return op, nil
	}
	if going(x) {
		return s.lost(op, st)
	}
	if err := k.send(ctx, c, op.Ref.ID); err != nil {
		v := table.Classify(err)
		failed := v.Error(Kind, k.call, op.Ref, err)
		switch {
		case v.Code == backup.ErrNotFound:
			// Calls that change something see what is true: it is gone.
		case v.Class == awscall.NotYet:
			if good, _ := status(x.word); good == backup.StatusFailed {
				op.AddPoint(op.Ref)
				op.Fail(failure(op, backup.ErrUnsupported, "RDS does not delete it in this state; ask AWS Support", "the snapshot is %s: %w", x.word, err))
				return op, nil
			}
			if op.Intent() == backup.Send {
				st.Armed--
			}
			op.To(stagePark, "")
			op.PollIn(s.opts.Park)
			return op, op.SetState(st)
		case v.Class == awscall.Permanent:
			op.AddPoint(op.Ref)
			op.Fail(failed)
			return op, nil
		default:
			if v.Class == awscall.NotApplied {
				op.Unsent()
			}
			return op, failed
		}
	}
	st.Accepted = true
	return s.lost(op, st)
}

// lost goes on to see the snapshot gone.
func (s *Strategy) lost(op backup.Operation, st deleteState) (backup.Operation, error) {
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageGone, "")
	op.PollIn(s.opts.PollMin)
	return op, nil
}

// gone ends the deletion when the snapshot is not visible any more.
func (s *Strategy) gone(ctx context.Context, c *awsrds.Client, op backup.Operation, st deleteState, k deleteCalls) (backup.Operation, error) {
	x, err := k.find(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		return op, err
	}
	switch {
	case x == nil, !st.same(x):
		// Another one with the identifier is as good as none: that which was to go is not there.
		return s.missing(op, st)
	case !st.Accepted && !going(x), time.Since(op.Since) >= s.opts.Settle:
		// It is there after all: a listing may lag, but not for so long.
		st.Lost, st.Accepted = time.Time{}, false
		return st.arm(op, k.call)
	default:
		s.wait(&op)
	}
	return op, nil
}
