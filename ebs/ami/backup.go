package ami

import (
	"context"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
)

// BackupOptions are the settings of a backup.
type BackupOptions struct {
	// Reboot has EC2 reboot the instance before it takes the snapshots, so that what programs hold in memory is written. Otherwise the image is consistent
	// as after a crash. Source: EC2 API, CreateImage, NoReboot; EC2's own default is to reboot.
	Reboot bool
	// Description is kept with the image, at most 255 characters.
	Description string
}

// OptionsFor makes BackupOptions usable as backup.Spec.Options.
func (BackupOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionBackup }

// Start makes the Operation that makes an image of an instance, an ebs.Instance. Spec.Options may be BackupOptions. Spec.Name is the image's name, unique
// in the account and Region; empty means one that follows from the Operation.
//
// The Operation ends well only when the image is available and all its snapshots are complete. If somebody deregisters the image before that, Points also
// lists the snapshots that are left of it, each an ebs.Snapshot.
func (s *Strategy) Start(_ context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionBackup, r, spec, ebs.TypeInstance)
	if err != nil {
		return backup.Operation{}, err
	}
	var st makeState
	if st.Name, err = imageName(op, spec); err != nil {
		return backup.Operation{}, err
	}
	if spec.Options != nil {
		o, ok := spec.Options.(BackupOptions)
		if !ok {
			return backup.Operation{}, invalid(op.Action, r, "use ami.BackupOptions, not a pointer to it", "options of type %T", spec.Options)
		}
		if len(o.Description) > 255 {
			return backup.Operation{}, invalid(op.Action, r, "shorten it", "the description has %d bytes, more than 255", len(o.Description))
		}
		st.Reboot, st.Description = o.Reboot, o.Description
	}
	if n := len(s.tags(op, st)); n > 50 {
		return backup.Operation{}, invalid(op.Action, r, "an image has at most 50 tags: use fewer of your own", "%d tags would be needed", n)
	}
	op.Stage = stageLook
	return op, op.SetState(st)
}

// lookBackup looks at the instance and arms the call.
func (s *Strategy) lookBackup(ctx context.Context, c *awsec2.Client, op backup.Operation, st makeState) (backup.Operation, error) {
	x, err := s.instance(ctx, c, op.Ref)
	if err != nil {
		switch backup.CodeOf(err) {
		case backup.ErrNotFound:
			// One look that does not find it proves nothing: it may be new. The time counts from the first such look.
			if st.Lost.IsZero() {
				st.Lost = time.Now().UTC().Round(0)
			}
			if time.Since(st.Lost) < min(patience, s.opts.Settle) {
				op.PollIn(s.opts.PollMin)
				return op, op.SetState(st)
			}
		case backup.ErrInvalid:
		default:
			return op, err
		}
		return s.unmade(ctx, op, st, err)
	}
	st.Lost = time.Time{}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	why, gone := unfit(x)
	switch {
	case gone:
		return s.unmade(ctx, op, st, failure(op, "backup", backup.ErrNotFound, "its volumes may still exist: back them up with package ebs", "%s", why))
	case why != "":
		op.To(stagePark, "")
		op.PollIn(s.opts.Park)
		op.Find(backup.Finding{ID: "ami.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: why})
	default:
		op.To(stageMake, call(op))
	}
	return op, nil
}

// unfit says why no image can be made of an instance now, and whether that will never change.
func unfit(x ec2types.Instance) (why string, gone bool) {
	if x.State == nil {
		return "", false
	}
	switch x.State.Name {
	case ec2types.InstanceStateNameRunning, ec2types.InstanceStateNameStopped:
		return "", false
	case ec2types.InstanceStateNameTerminated, ec2types.InstanceStateNameShuttingDown:
		return "the instance is " + string(x.State.Name), true
	}
	return "the instance is " + string(x.State.Name), false
}
