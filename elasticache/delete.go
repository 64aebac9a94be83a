package elasticache

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/policy"
)

// DeleteOptions are the settings of a deletion.
type DeleteOptions struct {
	// AllowForeign also deletes a snapshot whose tags do not prove that this library made it for Spec.Owner: the owner tag is another or
	// missing, the token is missing, or the source tag does not fit what AWS says that the snapshot is of, as where tags were copied.
	// Automatic snapshots stay refused.
	AllowForeign bool
}

// OptionsFor makes DeleteOptions usable as backup.Spec.Options.
func (DeleteOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionDelete }

type deleteState struct {
	AllowForeign bool `json:"f,omitempty"`
	// Identity is that of the snapshot that was looked at: no other may be deleted, whatever its name.
	Identity identity `json:"i,omitzero"`
	// Sent: AWS accepted the deletion, or said that there was nothing left to delete.
	Sent bool `json:"s,omitempty"`
	// Tried: a deletion was perhaps sent at some time.
	Tried bool      `json:"tr,omitempty"`
	Lost  time.Time `json:"l,omitzero"`
}

// StartDelete makes the Operation that deletes a snapshot. Spec.Options may be DeleteOptions.
//
// The snapshot is looked at first, and again just before: what is deleted is the snapshot that was seen, or nothing. One that is being made,
// copied or restored is waited for. The Operation succeeds when the snapshot is gone, and fails with ErrNotFound if there never was one to see
// and with ErrConflict if another has its name before a deletion was sent.
func (s *Strategy) StartDelete(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionDelete, point, spec, TypeSnapshot, TypeServerlessSnapshot)
	if err != nil {
		return backup.Operation{}, err
	}
	if spec.Name != "" {
		return backup.Operation{}, invalid(op.Action, point, "leave Spec.Name empty", "a deletion makes nothing that could have the name %q", spec.Name)
	}
	var st deleteState
	if spec.Options != nil {
		o, ok := spec.Options.(DeleteOptions)
		if !ok {
			return backup.Operation{}, invalid(op.Action, point, "use elasticache.DeleteOptions, not a pointer to it", "options of type %T", spec.Options)
		}
		st.AllowForeign = o.AllowForeign
	}
	op.Stage = stageLook
	return op, op.SetState(st)
}

func (s *Strategy) stepDelete(ctx context.Context, c *awselasticache.Client, op backup.Operation) (backup.Operation, error) {
	var st deleteState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageLook:
		return s.lookDelete(ctx, c, op, st)
	case stageDelete:
		if op.Intent() == backup.ReadOnly {
			return op, nil
		}
		return s.delete(ctx, c, op, st)
	case stageGone:
		return s.gone(ctx, c, op, st)
	}
	return op, unknownStage(op)
}

// lookDelete finds the snapshot and refuses what must not be deleted.
func (s *Strategy) lookDelete(ctx context.Context, c *awselasticache.Client, op backup.Operation, st deleteState) (backup.Operation, error) {
	x, tags, readable, err := s.point(ctx, c, op.Ref)
	if err != nil {
		return misplaced(op, st.Identity == (identity{}), err)
	}
	if x == nil {
		if s.lost(&st.Lost) {
			if st.Identity != (identity{}) {
				// It was seen before, and a deletion was perhaps sent: it has gone.
				op.Succeed()
				return op, nil
			}
			op.Fail(failure(op, "delete", backup.ErrNotFound, "check the name, the account and the Region; it may have been deleted already", "no such snapshot"))
			return op, nil
		}
		s.wait(&op)
		return op, op.SetState(st)
	}
	if !readable {
		s.park(&op, "the snapshot's tags can not be read yet", "it is tried again")
		return op, nil
	}
	if st.Identity != (identity{}) && st.Identity.compare(identityOf(x, tags)) == other {
		return s.replaced(op, st), nil
	}
	if no := s.mayDelete(op, st, x, tags); no != nil {
		op.AddPoint(op.Ref)
		op.Fail(no)
		return op, nil
	}
	st.Lost = time.Time{}
	switch status := word(x.SnapshotStatus); status {
	case "available", "failed":
	case "deleting":
		// Somebody is at it already: it only has to be seen gone.
		st.Identity = identityOf(x, tags)
		op.To(stageGone, "")
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	default:
		for _, f := range unknownStatus(op.Ref, status, snapshotStatuses) {
			op.Find(f)
		}
		s.park(&op, "the snapshot is "+status, "it is deleted when it is finished")
		return op, nil
	}
	st.Identity = identityOf(x, tags)
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageDelete, deletionOf(op.Ref))
	return op, nil
}

// point gives a snapshot with its tags, nil if none is visible.
func (s *Strategy) point(ctx context.Context, c *awselasticache.Client, r backup.Ref) (*ectypes.Snapshot, map[string]string, bool, error) {
	x, err := s.snapshot(ctx, c, r, r.ID)
	if x == nil || err != nil {
		return nil, nil, false, err
	}
	tags, readable, err := s.tags(ctx, c, r, snapshotARN(x, r))
	return x, tags, readable, err
}

// mayDelete says why a snapshot must not be deleted, or nothing.
func (s *Strategy) mayDelete(op backup.Operation, st deleteState, x *ectypes.Snapshot, tags map[string]string) error {
	name := aws.ToString(x.SnapshotName)
	if automated(x) {
		return failure(op, "delete", backup.ErrUnsupported, "lower the cluster's SnapshotRetentionLimit; AWS deletes automatic snapshots itself", "%s is an automatic snapshot", name)
	}
	if tags["aws:backup:source-resource"] != "" {
		return failure(op, "delete", backup.ErrUnsupported, "delete its recovery point in AWS Backup", "AWS Backup owns snapshot %s", name)
	}
	if st.AllowForeign {
		return nil
	}
	if owner := tags[backup.TagOwner]; owner != op.Owner {
		return failure(op, "delete", backup.ErrConflict, "set Spec.Owner to the owner, or DeleteOptions.AllowForeign if it is really yours to delete",
			"snapshot %s has the owner %q and not %q", name, owner, op.Owner)
	}
	// The owner tag alone proves nothing: tags can be copied from one resource to another.
	if tags[backup.TagToken] == "" || !fits(op.Ref, x, tags) {
		return failure(op, "delete", backup.ErrConflict, "somebody copied or changed its tags; set DeleteOptions.AllowForeign if it is really yours to delete",
			"the tags of snapshot %s do not prove that it was made as a backup: the token is %q and the source %q", name, tags[backup.TagToken], tags[backup.TagSource])
	}
	return nil
}

func automated(x *ectypes.Snapshot) bool {
	return word(x.SnapshotSource) == "automated" || policy.IsAutomaticCacheSnapshotName(aws.ToString(x.SnapshotName))
}

// delete deletes the snapshot that was looked at. The call repeats harmlessly because it is checked each time that the name still belongs to it.
func (s *Strategy) delete(ctx context.Context, c *awselasticache.Client, op backup.Operation, st deleteState) (backup.Operation, error) {
	x, tags, readable, err := s.point(ctx, c, op.Ref)
	if err != nil {
		return op, err
	}
	// Only the first attempt of the first time is certain to be the first deletion.
	st.Tried = st.Tried || op.Attempt > 1
	toGone := func() (backup.Operation, error) {
		op.To(stageGone, "")
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	}
	if x == nil || word(x.SnapshotStatus) == "deleting" {
		return toGone()
	}
	if !readable {
		op.To(stageLook, "")
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	}
	switch st.Identity.compare(identityOf(x, tags)) {
	case other:
		return s.replaced(op, st), nil
	case unsure:
		if time.Since(op.Since) >= s.opts.Settle {
			op.AddPoint(op.Ref)
			op.Fail(unclear(op))
			return op, nil
		}
		s.wait(&op)
		return op, nil
	}
	if no := s.mayDelete(op, st, x, tags); no != nil {
		op.AddPoint(op.Ref)
		op.Fail(no)
		return op, nil
	}
	if serverless(op.Ref) {
		_, err = c.DeleteServerlessCacheSnapshot(ctx, &awselasticache.DeleteServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: &op.Ref.ID}, s.sending)
	} else {
		_, err = c.DeleteSnapshot(ctx, &awselasticache.DeleteSnapshotInput{SnapshotName: &op.Ref.ID}, s.sending)
	}
	if err != nil {
		v := table.Classify(err)
		failed := v.Error(Kind, deletionOf(op.Ref), op.Ref, err)
		switch {
		case v.Code == backup.ErrNotFound:
		case v.Class == awscall.NotYet:
			op.To(stageLook, "")
			s.park(&op, v.AWSCode, v.Hint)
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
	st.Sent, st.Tried = true, true
	return toGone()
}

// deletionOf names the call that deletes a snapshot.
func deletionOf(r backup.Ref) string {
	if serverless(r) {
		return "DeleteServerlessCacheSnapshot"
	}
	return "DeleteSnapshot"
}

func unclear(op backup.Operation) error {
	return failure(op, "delete", backup.ErrConflict, "look at the snapshot; start the deletion again with another token if it is the right one",
		"whether the snapshot that has the name now is the one that was looked at can not be told")
}

// replaced ends a deletion whose snapshot is gone while another has its name now, which is left alone. That is success only if a deletion was
// perhaps sent; otherwise nothing was deleted by this work, and the caller must look at what is there now.
func (s *Strategy) replaced(op backup.Operation, st deleteState) backup.Operation {
	if !st.Tried {
		op.AddPoint(op.Ref)
		op.Fail(failure(op, "delete", backup.ErrConflict, "nothing was deleted; look at it, and start another deletion if it is to go too",
			"another snapshot has the name now"))
		return op
	}
	op.Find(backup.Finding{ID: "elasticache.name-reused", Severity: backup.SeverityWarning, Ref: op.Ref,
		Message: "the snapshot that was to be deleted is gone, and another has its name now; that one was left alone"})
	op.Succeed()
	return op
}

// gone waits until the snapshot is not there any more. Absence proves it at once where AWS accepted the deletion, and otherwise only when it
// has lasted for the settle window.
func (s *Strategy) gone(ctx context.Context, c *awselasticache.Client, op backup.Operation, st deleteState) (backup.Operation, error) {
	x, tags, readable, err := s.point(ctx, c, op.Ref)
	if err != nil {
		return op, err
	}
	if x == nil {
		if st.Sent || s.lost(&st.Lost) {
			op.Succeed()
			return op, nil
		}
		s.wait(&op)
		return op, op.SetState(st)
	}
	st.Lost = time.Time{}
	long := time.Since(op.Since) >= s.opts.Settle
	likeness := st.Identity.compare(identityOf(x, tags))
	switch {
	case likeness == other, likeness == unsure && long && st.Sent && readable:
		return s.replaced(op, st), nil
	case word(x.SnapshotStatus) == "deleting", !readable, !long:
	case likeness == unsure:
		op.AddPoint(op.Ref)
		op.Fail(unclear(op))
		return op, nil
	default:
		// The deletion did not take effect after all. It is looked at and asked for again, until the deadline.
		st.Sent = false
		if err := op.SetState(st); err != nil {
			return op, err
		}
		op.To(stageLook, "")
		return op, nil
	}
	s.wait(&op)
	return op, op.SetState(st)
}
