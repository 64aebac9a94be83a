package ebs

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// DeleteOptions are the settings of a deletion.
type DeleteOptions struct {
	// AllowForeign also deletes a snapshot whose owner tag is not Spec.Owner, or that has none.
	AllowForeign bool
}

// OptionsFor makes DeleteOptions usable as backup.Spec.Options.
func (DeleteOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionDelete }

// The stages of a deletion.
const (
	stageLook   = "look"   // the recovery point is looked at
	stageDelete = "delete" // it may be deleted
	stageGone   = "gone"   // it is seen gone
)

type deleteState struct {
	AllowForeign bool     `json:"f,omitempty"`
	Snapshots    []string `json:"s,omitempty"`
	// Gone are those of them whose deletion EC2 has accepted, or of which it has said that they do not exist: a call that changes something
	// sees what is true.
	Gone []string `json:"g,omitempty"`
	// Lost is since when nothing was found, and Unheard since when a read that guards the deletion is not answered.
	Lost    time.Time `json:"l,omitzero"`
	Unheard time.Time `json:"u,omitzero"`
	// Begun: EC2 has accepted a deletion.
	Begun bool `json:"b,omitempty"`
}

// StartDelete makes the Operation that deletes a snapshot, or a set with all its members. What is locked, what an image is made of, also one that is
// deprecated or disabled, and what has fast snapshot restore on is refused with ErrConflict, before the first member is deleted. What a rule of the
// account's keeps in the Recycle Bin is deleted for this package; a finding says until when it is there. Spec.Options may be DeleteOptions.
func (s *Strategy) StartDelete(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionDelete, point, spec, TypeSnapshot, TypeSet)
	if err != nil {
		return backup.Operation{}, err
	}
	var st deleteState
	if spec.Options != nil {
		o, ok := spec.Options.(DeleteOptions)
		if !ok {
			return backup.Operation{}, invalid(op.Action, point, "use ebs.DeleteOptions, not a pointer to it", "options of type %T", spec.Options)
		}
		st.AllowForeign = o.AllowForeign
	}
	op.Stage = stageLook
	return op, op.SetState(st)
}

func (s *Strategy) stepDelete(ctx context.Context, c *awsec2.Client, op backup.Operation) (backup.Operation, error) {
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
		// Deleting by id repeats harmlessly: EC2 never gives an id twice. What was seen is checked again on fresh data first.
		found, err := s.byID(ctx, c, op.Ref, st.Snapshots)
		if err != nil {
			op.Unsent()
			return op, err
		}
		unseen := slices.ContainsFunc(st.Snapshots, func(id string) bool {
			_, seen := found[id]
			return !seen && !slices.Contains(st.Gone, id)
		})
		if unseen && time.Since(op.Since) < s.opts.Settle {
			// What can not be seen can not be judged: a listing may lag.
			if op.Intent() == backup.Send {
				op.Unsent()
			}
			s.wait(&op)
			return op, nil
		}
		for _, x := range found {
			if refused := s.mayDelete(op, st, x); refused != nil {
				s.remaining(&op, found)
				op.Fail(refused)
				return op, nil
			}
		}
		refused, err := s.deleteVetoes(ctx, c, op, slices.Sorted(maps.Keys(found)))
		// Once a deletion is begun the rest follows without this look: EC2 itself keeps what is locked or used by an image.
		if err != nil && !st.Begun {
			return s.unheard(op, st, found, err)
		}
		if !st.Unheard.IsZero() {
			// That it was heard again is kept before anything else can fail.
			st.Unheard = time.Time{}
			if op.Intent() == backup.Send {
				op.Unsent()
			}
			op.PollIn(s.opts.PollMin)
			return op, op.SetState(st)
		}
		if len(refused) > 0 {
			s.remaining(&op, found)
			op.Fail(refused[0])
			return op, nil
		}
		gone, err := s.deleteAll(ctx, c, &op, op.Ref, st.Snapshots, st.Gone)
		if len(gone) > len(st.Gone) {
			st.Gone, st.Begun = gone, true
			if err := op.SetState(st); err != nil {
				return op, err
			}
			if err != nil {
				// What was done is kept; the rest is tried again soon.
				op.PollIn(s.opts.PollMin)
				return op, nil //nolint:nilerr // there is progress, and the error will come again if it lasts
			}
		}
		if err != nil || op.Done() {
			return op, err
		}
		st.Begun = true
		op.To(stageGone, "")
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	case stageGone:
		found, err := s.byID(ctx, c, op.Ref, st.Snapshots)
		if err != nil {
			return op, err
		}
		for id, x := range found {
			if x.State == ec2types.SnapshotStateRecoverable || x.State == ec2types.SnapshotStateRecovering {
				delete(found, id)
			}
		}
		switch {
		case len(found) == 0:
			if err := s.binFindings(ctx, c, &op, st.Snapshots); err != nil && time.Since(op.Since) < awscall.Unanswered {
				return op, err
			}
			op.Succeed()
		case time.Since(op.Since) < s.opts.Settle:
			s.wait(&op)
		default:
			// A listing may lag; after this long the calls are made again, until the deadline.
			st.Gone, st.Begun = nil, true
			if err := op.SetState(st); err != nil {
				return op, err
			}
			op.To(stageDelete, "DeleteSnapshot")
		}
		return op, nil
	}
	return op, failure(op, "delete", backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
}

// unheard waits for the answer of a read that guards the deletion, and ends the deletion when that lasts. found is what is there.
func (s *Strategy) unheard(op backup.Operation, st deleteState, found map[string]ec2types.Snapshot, err error) (backup.Operation, error) {
	own, over, sent := awscall.Silence(&op, &st.Unheard, err)
	if own {
		return op, err
	}
	if !over {
		op.Find(backup.Finding{ID: "ebs.unanswered", Severity: backup.SeverityInfo, Ref: op.Ref, Message: "EC2 does not answer what may keep the snapshots; nothing is deleted before it does",
			Remedy: "it is asked again for a quarter of an hour"})
		s.wait(&op)
		return op, op.SetState(st)
	}
	hint := "nothing was deleted; start again with another token when EC2 answers"
	if sent {
		hint = "a deletion was perhaps sent before; what is left is listed in Points: start again with another token when EC2 answers"
		s.remaining(&op, found)
	}
	op.Fail(failure(op, "delete", backup.ErrUnavailable, hint, "what may keep the snapshots could not be looked at: %w", err))
	return op, op.SetState(st)
}

// lookDelete finds the members and refuses what must not be deleted.
func (s *Strategy) lookDelete(ctx context.Context, c *awsec2.Client, op backup.Operation, st deleteState) (backup.Operation, error) {
	members, err := s.gather(ctx, c, &op, &st.Lost, "deleted")
	if err != nil {
		return op, err
	}
	if len(members) == 0 {
		return op, op.SetState(st)
	}
	st.Snapshots = nil
	for _, x := range members {
		if refused := s.mayDelete(op, st, x); refused != nil {
			op.Fail(refused)
			return op, nil
		}
		st.Snapshots = append(st.Snapshots, aws.ToString(x.SnapshotId))
	}
	slices.Sort(st.Snapshots)
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageDelete, "DeleteSnapshot")
	return op, nil
}

// mayDelete says why a snapshot must not be deleted, or nothing.
func (s *Strategy) mayDelete(op backup.Operation, st deleteState, x ec2types.Snapshot) error {
	return s.mayChange(op, st.AllowForeign, x)
}

// mayChange says why a snapshot is not the Operation's to delete, to move or to lock, or nothing.
func (s *Strategy) mayChange(op backup.Operation, foreign bool, x ec2types.Snapshot) error {
	tags := tagMap(x.Tags)
	id := aws.ToString(x.SnapshotId)
	what := string(op.Action)
	if tags["aws:backup:source-resource"] != "" {
		return failure(op, what, backup.ErrUnsupported, "use AWS Backup for its recovery point", "AWS Backup owns snapshot %s", id)
	}
	if o := aws.ToString(x.OwnerId); o != op.Ref.Account {
		return failure(op, what, backup.ErrDenied, "only its owner can do that", "snapshot %s belongs to account %s", id, o)
	}
	if foreign {
		return nil
	}
	if owner := tags[backup.TagOwner]; owner != op.Owner {
		return failure(op, what, backup.ErrConflict, "set Spec.Owner to the owner, or AllowForeign of the options if it is really yours",
			"snapshot %s has the owner %q and not %q", id, owner, op.Owner)
	}
	if isCopy(x, tags) {
		if !copyMade(op.Ref, tags[backup.TagToken], x) {
			return failure(op, what, backup.ErrConflict, "its tags were taken along by another copy: set AllowForeign of the options if it is really yours",
				"the copy %s carries this library's tags, but they do not fit it", id)
		}
		return nil
	}
	source, ok := parseSource(tags[backup.TagSource])
	if !ok || source.Account != op.Ref.Account || source.Region != op.Ref.Region || !made(source, tags[backup.TagToken], x) {
		return failure(op, what, backup.ErrConflict, "its tags were copied, from a restored volume or another snapshot: set AllowForeign of the options if it is really yours",
			"snapshot %s carries this library's tags, but they do not fit it", id)
	}
	return nil
}

func (s *Strategy) remaining(op *backup.Operation, found map[string]ec2types.Snapshot) {
	for id := range found {
		op.AddPoint(Snapshot(op.Ref.Account, op.Ref.Region, id))
	}
	slices.SortFunc(op.Points, func(a, b backup.Ref) int { return cmpRef(a, b) })
}

// deleteAll deletes by id in the place of at, one after the other, what is not in gone, and gives gone with what has gone now, also with an error. A
// refusal that will not pass fails the Operation, with what remains in Points.
func (s *Strategy) deleteAll(ctx context.Context, c *awsec2.Client, op *backup.Operation, at backup.Ref, ids, gone []string) ([]string, error) {
	gone = slices.Clone(gone)
	for i, id := range ids {
		if slices.Contains(gone, id) {
			continue
		}
		_, err := c.DeleteSnapshot(ctx, &awsec2.DeleteSnapshotInput{SnapshotId: &id}, s.changing)
		if err != nil {
			v := table.Classify(err)
			if v.Code != backup.ErrNotFound {
				failed := v.Error(Kind, "DeleteSnapshot", op.Ref, err)
				if v.Class != awscall.Permanent {
					return gone, failed
				}
				op.Points = nil
				for _, left := range ids[i:] {
					if !slices.Contains(gone, left) {
						op.AddPoint(Snapshot(at.Account, at.Region, left))
					}
				}
				op.Fail(failed)
				return gone, nil
			}
		}
		gone = append(gone, id)
	}
	return gone, nil
}
