package ami

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// DeleteOptions are the settings of a deletion.
type DeleteOptions struct {
	// KeepSnapshots deregisters the image only; its snapshots stay and are listed in Points.
	KeepSnapshots bool
	// AllowForeign also deletes an image whose owner tag is not Spec.Owner, or that has none, and its snapshots whatever their owner. A snapshot that
	// carries the token of other work stays all the same: it is a backup of its own, which package ebs deletes.
	AllowForeign bool
}

// OptionsFor makes DeleteOptions usable as backup.Spec.Options.
func (DeleteOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionDelete }

// The stages of a deletion, after stageLook.
const (
	stageDeregister = "deregister" // the image may be deregistered
	stageGone       = "gone"       // it is seen gone
	stageSnapshots  = "snapshots"  // its snapshots may be deleted
	stageDeleted    = "deleted"    // they are seen gone
)

type deleteState struct {
	Options DeleteOptions `json:"o,omitzero"`
	// Token is the image's: its snapshots have the same.
	Token     string   `json:"t,omitempty"`
	Snapshots []string `json:"s,omitempty"`
	// Gone are those whose deletion EC2 has accepted, or of which it has said that they do not exist.
	Gone []string `json:"g,omitempty"`
	// Kept are those that stay, Why says why; Since is when the first refusal came that may pass.
	Kept  []string  `json:"k,omitempty"`
	Why   string    `json:"w,omitempty"`
	Since time.Time `json:"si,omitzero"`
	// Lost is since when nothing was found, and Unheard since when a read that guards the deletion is not answered.
	Lost    time.Time `json:"l,omitzero"`
	Unheard time.Time `json:"u,omitzero"`
}

// StartDelete makes the Operation that deregisters an image and then deletes its snapshots, those that were made with it and that no other image uses. An
// image that AWS Backup made, that is protected against deregistration or is still pending is refused; unless DeleteOptions.KeepSnapshots is set, so is
// one with a snapshot that would have to go and is locked or has fast snapshot restore on, before anything is deregistered. Spec.Options may be
// DeleteOptions.
//
// Whether a launch template, an Auto Scaling group or another account uses the image is not looked at.
func (s *Strategy) StartDelete(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionDelete, point, spec, TypeImage)
	if err != nil {
		return backup.Operation{}, err
	}
	if spec.Name != "" {
		return backup.Operation{}, invalid(op.Action, point, "leave Spec.Name empty", "a deletion has no name, and %q was given", spec.Name)
	}
	var st deleteState
	if spec.Options != nil {
		o, ok := spec.Options.(DeleteOptions)
		if !ok {
			return backup.Operation{}, invalid(op.Action, point, "use ami.DeleteOptions, not a pointer to it", "options of type %T", spec.Options)
		}
		st.Options = o
	}
	op.Stage = stageLook
	return op, op.SetState(st)
}

func (s *Strategy) stepDelete(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	var st deleteState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	c, err := s.client(ctx, op.Ref)
	if err != nil {
		return op, err
	}
	switch op.Stage {
	case stageLook:
		return s.lookDelete(ctx, c, op, st)
	case stageDeregister:
		return s.deregister(ctx, c, op, st)
	case stageGone:
		return s.gone(ctx, c, op, st)
	case stageSnapshots:
		return s.deleteSnapshots(ctx, c, op, st)
	case stageDeleted:
		return s.deleted(ctx, c, op, st)
	}
	return op, failure(op, "delete", backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
}

// mayDelete says why an image must not be deregistered, or nothing.
func mayDelete(op backup.Operation, st deleteState, x ec2types.Image) error {
	tags, id := tagMap(x.Tags), aws.ToString(x.ImageId)
	switch protection := aws.ToString(x.DeregistrationProtection); {
	case tags["aws:backup:source-resource"] != "":
		return failure(op, "delete", backup.ErrUnsupported, "delete its recovery point in AWS Backup", "AWS Backup owns image %s", id)
	case aws.ToString(x.OwnerId) != op.Ref.Account:
		return failure(op, "delete", backup.ErrDenied, "only its owner can deregister it", "image %s belongs to account %s", id, aws.ToString(x.OwnerId))
	case protection != "" && protection != "disabled":
		return failure(op, "delete", backup.ErrConflict, "end its protection first, if it is really to go", "image %s is protected against deregistration: %s", id, protection)
	case x.State == ec2types.ImageStatePending:
		return failure(op, "delete", backup.ErrConflict, "wait until it is complete", "image %s is still being made", id)
	case st.Options.AllowForeign:
		return nil
	}
	if owner := tags[backup.TagOwner]; owner != op.Owner {
		return failure(op, "delete", backup.ErrConflict, "set Spec.Owner to the owner, or DeleteOptions.AllowForeign if it is really yours to delete", "image %s has the owner %q and not %q", id, owner, op.Owner)
	}
	if !made(op.Ref, tags[backup.TagToken], x) {
		return failure(op, "delete", backup.ErrConflict, "its tags were taken along by another copy: set DeleteOptions.AllowForeign if it is really yours to delete",
			"image %s carries this library's tags, but they do not fit it", id)
	}
	return nil
}

// lookDelete finds the image and refuses what must not be deleted.
func (s *Strategy) lookDelete(ctx context.Context, c *awsec2.Client, op backup.Operation, st deleteState) (backup.Operation, error) {
	x, found, err := image(ctx, c, op.Ref)
	if err != nil {
		return op, err
	}
	if !found || x.State == ec2types.ImageStateDeregistered {
		if st.Lost.IsZero() {
			st.Lost = time.Now().UTC().Round(0)
		}
		if time.Since(st.Lost) < s.opts.Settle {
			s.wait(&op)
			return op, op.SetState(st)
		}
		op.Fail(failure(op, "delete", backup.ErrNotFound, "check the id, the account and the Region; it may have been deregistered already", "no such image"))
		return op, nil
	}
	if refused := mayDelete(op, st, x); refused != nil {
		op.Fail(refused)
		return op, nil
	}
	st.Lost, st.Token, st.Snapshots = time.Time{}, tagMap(x.Tags)[backup.TagToken], snapshotsOf(x)
	refused, unseen, err := s.vetoes(ctx, c, op, st)
	if err != nil {
		return s.unheard(op, st, err)
	}
	st.Unheard = time.Time{}
	if refused != nil {
		op.Fail(refused)
		return op, nil
	}
	if len(unseen) > 0 && time.Since(op.Since) < s.opts.Settle {
		// What can not be seen can not be judged: a listing may lag.
		s.wait(&op)
		return op, op.SetState(st)
	}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageDeregister, "DeregisterImage")
	return op, nil
}

// unheard waits for the answer of a read that guards a deletion, and ends the deletion when that lasts.
func (s *Strategy) unheard(op backup.Operation, st deleteState, err error) (backup.Operation, error) {
	own, over, sent := awscall.Silence(&op, &st.Unheard, err)
	if own {
		return op, err
	}
	if !over {
		op.Find(backup.Finding{ID: "ami.unanswered", Severity: backup.SeverityInfo, Ref: op.Ref, Message: "EC2 does not answer what may keep the image or its snapshots; nothing is deleted before it does",
			Remedy: "it is asked again for a quarter of an hour"})
		s.wait(&op)
		return op, op.SetState(st)
	}
	hint := "nothing was deleted; start again with another token when EC2 answers"
	if sent {
		hint = "the deregistration was perhaps sent before: start again with another token when EC2 answers"
	}
	op.Fail(failure(op, "delete", backup.ErrUnavailable, hint, "what may keep the image or its snapshots could not be looked at: %w", err))
	return op, op.SetState(st)
}

// deregister makes the call. By id it repeats harmlessly: EC2 never gives an id twice. What was seen is checked again on fresh data first.
func (s *Strategy) deregister(ctx context.Context, c *awsec2.Client, op backup.Operation, st deleteState) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	x, found, err := image(ctx, c, op.Ref)
	if err != nil {
		op.Unsent()
		return op, err
	}
	if found && x.State != ec2types.ImageStateDeregistered {
		if refused := mayDelete(op, st, x); refused != nil {
			op.Fail(refused)
			return op, nil
		}
		refused, unseen, err := s.vetoes(ctx, c, op, st)
		if err != nil {
			return s.unheard(op, st, err)
		}
		if !st.Unheard.IsZero() && refused == nil {
			// That it was heard again is kept before anything else can fail.
			st.Unheard = time.Time{}
			if op.Intent() == backup.Send {
				op.Unsent()
			}
			op.PollIn(s.opts.PollMin)
			return op, op.SetState(st)
		}
		if refused != nil {
			op.Fail(refused)
			return op, nil
		}
		if len(unseen) > 0 && time.Since(op.Since) < s.opts.Settle {
			if op.Intent() == backup.Send {
				op.Unsent()
			}
			s.wait(&op)
			return op, nil
		}
	}
	if _, err := c.DeregisterImage(ctx, &awsec2.DeregisterImageInput{ImageId: &op.Ref.ID}, s.changing); err != nil {
		v := table.Classify(err)
		switch {
		case v.Code == backup.ErrNotFound: // it is gone already
		case v.Class == awscall.Permanent:
			op.Fail(v.Error(Kind, "DeregisterImage", op.Ref, err))
			return op, nil
		default:
			return op, v.Error(Kind, "DeregisterImage", op.Ref, err)
		}
	}
	op.To(stageGone, "")
	op.PollIn(s.opts.PollMin)
	return op, nil
}

// gone sees that the image is no longer there, and goes on to its snapshots.
func (s *Strategy) gone(ctx context.Context, c *awsec2.Client, op backup.Operation, st deleteState) (backup.Operation, error) {
	x, found, err := image(ctx, c, op.Ref)
	if err != nil {
		return op, err
	}
	if found && x.State != ec2types.ImageStateDeregistered {
		if time.Since(op.Since) < s.opts.Settle {
			s.wait(&op)
		} else {
			// A listing may lag; after this long the call is made again, until the deadline.
			op.To(stageDeregister, "DeregisterImage")
		}
		return op, nil
	}
	if st.Options.KeepSnapshots || len(st.Snapshots) == 0 {
		s.list(&op, st.Snapshots)
		op.Succeed()
		return op, nil
	}
	op.To(stageSnapshots, "DeleteSnapshot")
	return op, nil
}

// list puts snapshots that are left into Points, as package ebs names them.
func (s *Strategy) list(op *backup.Operation, ids []string) {
	op.Points = nil
	for _, id := range ids {
		op.AddPoint(ebs.Snapshot(op.Ref.Account, op.Ref.Region, id))
	}
}

// deleteSnapshots deletes by id what was made with the image and what no other image uses.
func (s *Strategy) deleteSnapshots(ctx context.Context, c *awsec2.Client, op backup.Operation, st deleteState) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	found, err := snapshots(ctx, c, op.Ref, st.Snapshots)
	if err != nil {
		return op, err
	}
	users, err := s.users(ctx, c, op.Ref, st.Snapshots)
	if err != nil {
		return op, err
	}
	keep := func(id, why string) {
		st.Kept = append(st.Kept, id)
		st.Why = id + ": " + why
	}
	for _, id := range st.Snapshots {
		if slices.Contains(st.Gone, id) || slices.Contains(st.Kept, id) {
			continue
		}
		x, visible := found[id]
		switch {
		case users[id] != "" || visible && st.stays(op, x, "") != "":
			keep(id, st.stays(op, x, users[id]))
			continue
		case !visible && time.Since(op.Since) < s.opts.Settle:
			// What can not be seen can not be judged: a listing may lag.
			op.PollIn(s.opts.PollMin)
			return op, op.SetState(st)
		case !visible:
			// It was there when the image was, so it is gone by now.
			st.Gone = append(st.Gone, id)
			continue
		}
		_, err := c.DeleteSnapshot(ctx, &awsec2.DeleteSnapshotInput{SnapshotId: &id}, s.changing)
		if err != nil {
			v := table.Classify(err)
			switch {
			case v.Code == backup.ErrNotFound:
			case v.AWSCode == inUse:
				// EC2 may take a while to see that the image is gone. Source: Terraform's AWS provider waits for the same.
				if st.Since.IsZero() {
					st.Since = time.Now().UTC().Round(0)
				}
				if time.Since(st.Since) < s.opts.Settle {
					if err := op.SetState(st); err != nil {
						return op, err
					}
					op.PollIn(s.opts.Park)
					return op, nil
				}
				keep(id, "EC2 says that it is in use")
				continue
			case v.Class == awscall.Permanent:
				keep(id, cut(err.Error()))
				continue
			default:
				// What was done is kept, and counts for the next Step: deleting by id repeats harmlessly.
				if len(st.Gone) == 0 {
					return op, v.Error(Kind, "DeleteSnapshot", op.Ref, err)
				}
				op.PollIn(s.opts.PollMin)
				return op, op.SetState(st)
			}
		}
		st.Gone = append(st.Gone, id)
	}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageDeleted, "")
	op.PollIn(s.opts.PollMin)
	return op, nil
}

// users gives, for each snapshot, an image of the account that uses it, disabled and deprecated ones among them.
func (s *Strategy) users(ctx context.Context, c *awsec2.Client, r backup.Ref, ids []string) (map[string]string, error) {
	users := map[string]string{}
	for part := range slices.Chunk(ids, maxFilterValues) {
		for x, err := range images(ctx, c, r, filter("block-device-mapping.snapshot-id", part...)) {
			if err != nil {
				return nil, err
			}
			if id := aws.ToString(x.ImageId); id != r.ID && x.State != ec2types.ImageStateDeregistered {
				for _, snapshot := range snapshotsOf(x) {
					users[snapshot] = id
				}
			}
		}
	}
	return users, nil
}

// deleted sees that the snapshots are gone and ends the deletion.
func (s *Strategy) deleted(ctx context.Context, c *awsec2.Client, op backup.Operation, st deleteState) (backup.Operation, error) {
	found, err := snapshots(ctx, c, op.Ref, st.Gone)
	if err != nil {
		return op, err
	}
	for id, x := range found {
		if x.State == ec2types.SnapshotStateRecoverable || x.State == ec2types.SnapshotStateRecovering {
			delete(found, id)
		}
	}
	if len(found) > 0 {
		if time.Since(op.Since) < s.opts.Settle {
			s.wait(&op)
			return op, nil
		}
		st.Gone = nil
		if err := op.SetState(st); err != nil {
			return op, err
		}
		op.To(stageSnapshots, "DeleteSnapshot")
		return op, nil
	}
	s.list(&op, st.Kept)
	if len(st.Kept) > 0 {
		op.Fail(failure(op, "delete", backup.ErrPartial, "what is listed in Points is left; delete it with package ebs where it is really to go",
			"the image is deregistered, and %d of its %d snapshots remain; %s", len(st.Kept), len(st.Snapshots), st.Why))
		return op, nil
	}
	op.Succeed()
	return op, nil
}

func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), 200)], "") }

// finding makes a finding of an error.
func finding(op backup.Operation, err error) backup.Finding {
	message := err.Error()
	var e *backup.Error
	if errors.As(err, &e) && e.Err != nil {
		message = e.Err.Error()
	}
	return backup.Finding{ID: "ami." + string(op.Action) + "-refused", Severity: backup.SeverityError, Ref: op.Ref, Message: message, Remedy: backup.HintOf(err)}
}
