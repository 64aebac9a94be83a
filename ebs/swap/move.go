package swap

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// hook calls the caller's function. It is called again after an error, a few times.
func (s *Strategy) hook(ctx context.Context, op backup.Operation, st state, disks []Disk, mount bool) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	if s.opts.Hooks == nil || len(disks) == 0 || st.Root {
		return op, s.next(&op, st)
	}
	// Whoever has lost the Operation to another process must not touch the instance any more.
	if err := backup.CheckFence(ctx); err != nil {
		op.Unsent()
		return op, err
	}
	call := s.opts.Hooks.Unmount
	if mount {
		call = s.opts.Hooks.Mount
	}
	err := call(ctx, ebs.Instance(op.Ref.Account, op.Ref.Region, st.Instance), disks)
	if err == nil {
		return op, s.next(&op, st)
	}
	if st.Tries++; st.Tries < maxTries {
		op.PollIn(s.opts.Park)
		return op, op.SetState(st)
	}
	switch op.Stage {
	case stageMount:
		more := ""
		if old := named(st); old != "" {
			more = "; the old volumes, now detached, are " + old
		}
		op.Fail(failure(op, backup.ErrFailed, "the volumes in Made are attached, and the old ones, which swap.Replaced gives, are as they were: mount by hand, or swap back",
			"the disks could not be mounted: %s%s", cut(err.Error()), more))
		return op, op.SetState(st)
	case stageBackMount:
		s.over(&op, st, "; and the disks, which are attached as they were, could not be mounted: "+cut(err.Error()))
		return op, op.SetState(st)
	}
	return s.fail(op, st, failure(op, backup.ErrFailed, "see what uses the disks, and start the work again with another token", "the disks could not be unmounted: %s", cut(err.Error())))
}

// detach detaches volumes from the instance. Lists may lag, and a call sees the truth; by id it repeats harmlessly.
func (s *Strategy) detach(ctx context.Context, c *awsec2.Client, op backup.Operation, st state, disks []Disk) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	st.Apart = true
	back := op.Action == ActionSwap && op.Stage == stageBackDetach
	var failed error
	for _, d := range disks {
		// The instance is named, so that a volume which somebody has moved is left where it is.
		_, err := c.DetachVolume(ctx, &awsec2.DetachVolumeInput{VolumeId: aws.String(d.Volume), InstanceId: &st.Instance}, s.changing)
		if err == nil {
			st.Apart, st.untouched = false, false
			st.leave(d.Volume, false, false)
			continue
		}
		v := table.Classify(err)
		st.untouched = st.untouched && v.Class != awscall.Ambiguous
		switch v.AWSCode {
		case notAttached, notThere, volumeMissing:
			st.leave(d.Volume, false, false)
			continue
		}
		if i := slices.IndexFunc(st.Disks, func(x disk) bool { return x.Old == d.Volume }); i >= 0 && st.Failure != nil && v.Class == awscall.Permanent {
			// It is where it was, unless EC2 took the call before.
			st.Disks[i].Stays, st.Disks[i].Busy = true, st.Off
			continue
		}
		if !back {
			return s.refused(op, st, "DetachVolume", err)
		}
		// On the way back the other devices get theirs all the same, and a new volume that can not be detached stays.
		if v.Class == awscall.Permanent {
			st.leave(d.Volume, true, false)
		} else if failed == nil {
			failed = err
		}
	}
	if failed != nil {
		if !s.stuck(op, st, limit) && !(left(op) < hurry && s.waited(op)) {
			return s.retry(op, st, "DetachVolume", failed)
		}
		st.Apart = true // no answer is to be had: what is seen must do, and AttachVolume refuses what is not free
	}
	return op, s.next(&op, st)
}

// detached waits until no volume is at the instance.
func (s *Strategy) detached(ctx context.Context, c *awsec2.Client, op backup.Operation, st state, disks []Disk) (backup.Operation, error) {
	found, err := s.disks(ctx, c, op.Ref, disks)
	if err != nil {
		return op, err
	}
	held, holder, asked := false, "", true
	settle := s.settle(op)
	for _, d := range disks {
		v := found[d.Volume] // one that is not there is not attached
		a, there := at(v, st.Instance)
		if there {
			held, holder = true, d.Volume
			asked = asked && (a.State == ec2types.VolumeAttachmentStateDetaching || a.State == ec2types.VolumeAttachmentStateBusy)
		}
		if (a.State == ec2types.VolumeAttachmentStateBusy || there && time.Since(op.Since) >= settle) && len(op.Findings) < maxFindings {
			op.Find(backup.Finding{ID: "ebs-swap.busy", Severity: backup.SeverityWarning, Ref: ebs.Volume(op.Ref.Account, op.Ref.Region, d.Volume),
				Message: "the operating system holds the volume", Remedy: "unmount it on the instance; it is waited for"})
		}
	}
	switch {
	case !held && st.Apart:
		return op, s.next(&op, st)
	case held && st.Failure == nil && s.stuck(op, st, limit):
		return s.fail(op, st, failure(op, backup.ErrConflict, "see what on the instance uses the volume, and start the work again with another token", "%s is not detached after %v: the operating system holds it",
			holder, time.Since(st.Began).Round(time.Second)))
	case st.Failure != nil && (s.stuck(op, st, limit) || op.Action == ActionSwap && held && (asked || left(op) < hurry) && s.waited(op)):
		// What is held is where it was, as far as it is an old one, and is waited for when the others are back.
		for _, d := range st.old() {
			if _, there := at(found[d.Volume], st.Instance); there {
				st.stay(d.Volume)
			}
		}
		for _, d := range st.came() {
			if _, there := at(found[d.Volume], st.Instance); there && !st.left(d.Volume) {
				st.leave(d.Volume, true, true)
			}
		}
		return op, s.next(&op, st)
	case !held, time.Since(op.Since) >= settle:
		// What was read may be old: the call is made again, which sees the truth.
		to := map[string]string{stageDetached: stageDetach, stageBackDetached: stageBackDetach}[op.Stage]
		op.To(to, "DetachVolume")
		if held {
			op.PollIn(s.opts.PollMax)
		}
		return op, nil
	}
	s.wait(&op)
	return op, nil
}

// attach attaches volumes at their devices. Attaching the same volume twice is refused by EC2, and what is attached is looked at afterwards.
func (s *Strategy) attach(ctx context.Context, c *awsec2.Client, op backup.Operation, st state, disks []Disk) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	back := op.Action == ActionSwap && op.Stage == stageBackAttach
	var failed error
	gone, first := map[string]error{}, st.Lost // the refusals that last, and when the others began
	for _, d := range disks {
		_, err := c.AttachVolume(ctx, &awsec2.AttachVolumeInput{VolumeId: aws.String(d.Volume), InstanceId: &st.Instance, Device: aws.String(d.Device)}, s.changing)
		if err == nil {
			continue
		}
		v := table.Classify(err)
		switch {
		case v.AWSCode == volumeInUse:
		case !back:
			return s.refused(op, st, "AttachVolume", err)
		case v.Class == awscall.Permanent, v.Class == awscall.NotYet && !first.IsZero() && time.Since(first) >= max(s.opts.Settle, reserve):
			gone[d.Volume] = err
		default:
			failed = cmp.Or(failed, err)
			if st.Lost.IsZero() {
				st.Lost = time.Now().UTC().Round(0)
			}
		}
	}
	// What may pass is tried again before what does not is the end: there is nothing else to be tried. But those that are back must be mounted in time.
	if failed != nil && left(op) >= last {
		return s.retry(op, st, "AttachVolume", failed)
	}
	for _, d := range disks {
		if err := gone[d.Volume]; err != nil {
			st.giveUp(d.Volume, err)
		}
	}
	if failed != nil && st.Why == "" {
		st.Why = cut(failed.Error())
	}
	return op, s.next(&op, st)
}

// attached waits until every volume is attached to the instance at its device.
func (s *Strategy) attached(ctx context.Context, c *awsec2.Client, op backup.Operation, st state, disks []Disk) (backup.Operation, error) {
	found, err := s.disks(ctx, c, op.Ref, disks)
	if err != nil {
		return op, err
	}
	back := op.Stage == stageBackAttached
	settle, since := s.settle(op), time.Since(op.Since)
	// On the way back, where nothing else can be tried, it is tried for longer, and after a pause once more.
	over := back && op.Since.Sub(st.Began) >= reserve
	missing := false
	for _, d := range disks {
		v, seen := found[d.Volume]
		a, there := at(v, st.Instance)
		elsewhere := len(v.Attachments) > 0 && (!there || aws.ToString(a.Device) != d.Device)
		var cause *backup.Error
		switch {
		case there && aws.ToString(a.Device) == d.Device && a.State == ec2types.VolumeAttachmentStateAttached:
			continue
		case back && s.spent(op):
			cause = short(op, d.Volume+" is not seen attached")
		case since < settle && !(back && !over && seen && len(v.Attachments) == 0 && s.waited(op) && left(op) >= last):
			missing = true
			continue
		case st.Failure == nil && op.Action == ActionSwap && left(op) < reserve:
			cause = short(op, "the swap was taken back")
		case elsewhere:
			cause = failure(op, backup.ErrConflict, "somebody else has attached it: see who, and start the work again with another token", "%s is attached elsewhere", d.Volume)
		case over, !back && s.stuck(op, st, limit):
			cause = failure(op, backup.ErrUnavailable, "see the volume's state in EC2, and start the work again with another token", "%s is not attached after %v",
				d.Volume, time.Since(st.Began).Round(time.Second))
		default:
			to := map[string]string{stageAttached: stageAttach, stageBackAttached: stageBackAttach}[op.Stage]
			op.To(to, "AttachVolume")
			if seen && len(v.Attachments) > 0 {
				op.PollIn(s.opts.PollMax)
			}
			return op, nil
		}
		switch {
		case !back:
			return s.fail(op, st, cause)
		case !elsewhere && (a.State == ec2types.VolumeAttachmentStateDetaching || a.State == ec2types.VolumeAttachmentStateBusy):
			st.stay(d.Volume)
		default:
			st.giveUp(d.Volume, cause.Err)
		}
	}
	if missing {
		s.wait(&op)
		return op, nil
	}
	if back {
		return s.backAttached(ctx, c, op, st)
	}
	return op, s.next(&op, st)
}

// backAttached sees to the volumes that were left where they were: one that is not there, because it was let go in the meantime or was detached before
// EC2 refused to, is attached again too. What the operating system holds is waited for, if there is time.
func (s *Strategy) backAttached(ctx context.Context, c *awsec2.Client, op backup.Operation, st state) (backup.Operation, error) {
	var stays []Disk
	for _, d := range st.Disks {
		switch {
		case d.Stays:
			stays = append(stays, Disk{d.Old, d.Device})
		case d.Left:
			stays = append(stays, Disk{d.New, d.Device})
		}
	}
	found, err := s.disks(ctx, c, op.Ref, stays)
	if err != nil {
		return op, err
	}
	again, held := false, false
	for i, d := range st.Disks {
		_, there := at(found[cmp.Or(d.Old, d.New)], st.Instance)
		switch {
		case d.Left && d.Busy && !there:
			st.Disks[i].Left, st.Disks[i].Busy = false, false
		case d.Stays && !there:
			st.Disks[i].Stays, st.Disks[i].Busy, again = false, false, true
		case d.Busy:
			held = true
		}
	}
	switch {
	case again:
		op.To(stageBackAttach, "AttachVolume")
		return op, op.SetState(st)
	case held && time.Since(st.Began) < limit && left(op) >= hurry:
		s.wait(&op)
		return op, op.SetState(st)
	}
	return op, s.next(&op, st)
}

func tagList(m map[string]string) []ec2types.Tag {
	out := make([]ec2types.Tag, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		v := m[k]
		out = append(out, ec2types.Tag{Key: &k, Value: &v})
	}
	return out
}
