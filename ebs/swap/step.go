package swap

import (
	"context"
	"fmt"
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

// The stages, in their order; those that take the work back follow.
const (
	stageLook     = "look"     // the recovery point and the instance are looked at
	stageCreate   = "create"   // the new volumes may be made
	stageGive     = "give"     // no more is made; what an earlier call perhaps made is looked for
	stageMade     = "made"     // they are seen available
	stageUnmount  = "unmount"  // the disks are unmounted
	stageDetach   = "detach"   // their volumes may be detached
	stageDetached = "detached" // and are seen detached
	stageAttach   = "attach"   // the new volumes may be attached
	stageAttached = "attached" // and are seen attached
	stageMount    = "mount"    // the disks are mounted

	stageBackDetach   = "back-detach"   // what was attached is detached again
	stageBackDetached = "back-detached" // and is seen detached
	stageBackAttach   = "back-attach"   // what was detached is attached again
	stageBackAttached = "back-attached" // and is seen attached
	stageBackMount    = "back-mount"    // and is mounted

	stageStop = "stop" // canceled before anything was unmounted
)

// maxTries is how often a hook is called before its error is the end.
const maxTries = 3

func (s *Strategy) step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	switch op.Action {
	case ActionSwap, ActionBeside, ActionDetach:
	default:
		return op, &backup.Error{Op: string(op.Action), Kind: Kind, Ref: op.Ref, Code: backup.ErrUnsupported}
	}
	var st state
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	c, err := s.client(ctx, op.Ref)
	if err != nil {
		return op, err
	}
	// What goes, and what comes.
	leaving, coming := st.old(), st.fresh()
	if op.Action == ActionDetach {
		leaving, coming = st.fresh(), nil
	}
	// What is taken back: what came, and what left too, because what is still being detached can not be attached.
	back := leaving
	if st.Came {
		back = append(st.came(), leaving...)
	}
	// What was not sent by a process that could still say so was not sent. Without a Store an attempt is not recorded before it is made.
	st.untouched = op.Stage == stageDetach && !st.Off && (op.Intent() == backup.Send || op.Attempt == 0 && !op.Unstored)
	if op, over, err := s.inTime(ctx, c, op, st); over || err != nil {
		return op, err
	}
	switch op.Stage {
	case stageStop:
		return s.stop(ctx, c, op, st)
	case stageLook:
		if op.Action == ActionDetach {
			return s.lookDetach(ctx, c, op, st)
		}
		return s.look(ctx, c, op, st)
	case stageCreate:
		return s.create(ctx, c, op, st)
	case stageGive:
		return s.give(ctx, c, op, st)
	case stageMade:
		return s.made(ctx, c, op, st)
	case stageUnmount:
		return s.hook(ctx, op, st, leaving, false)
	case stageDetach, stageBackDetach:
		if op.Stage == stageBackDetach {
			leaving = back
		}
		return s.detach(ctx, c, op, st, leaving)
	case stageDetached, stageBackDetached:
		if op.Stage == stageBackDetached {
			leaving = back
		}
		return s.detached(ctx, c, op, st, leaving)
	case stageAttach, stageBackAttach:
		if op.Stage == stageBackAttach {
			coming = leaving
		}
		return s.attach(ctx, c, op, st, coming)
	case stageAttached, stageBackAttached:
		if op.Stage == stageBackAttached {
			coming = leaving
		}
		return s.attached(ctx, c, op, st, coming)
	case stageMount:
		return s.hook(ctx, op, st, coming, true)
	case stageBackMount:
		if op.Action == ActionSwap {
			leaving = st.there() // also those that were never detached
		}
		return s.hook(ctx, op, st, leaving, true)
	}
	return op, failure(op, backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
}

// next is the stage that follows when the present one is done, with its call.
func (s *Strategy) next(op *backup.Operation, st state) error {
	st.Tries, st.Lost = 0, time.Time{}
	switch op.Stage {
	case stageDetach:
		st.Off = true
	case stageUnmount, stageDetached, stageBackDetached:
		if !slices.ContainsFunc(st.Disks, func(d disk) bool { return d.Busy }) { // what is held has been waited for since then
			st.Began = time.Now().UTC().Round(0)
		}
	}
	if err := op.SetState(st); err != nil {
		return err
	}
	to := map[string][2]string{
		stageCreate: {stageMade, ""}, stageMade: {stageUnmount, "Unmount"}, stageUnmount: {stageDetach, "DetachVolume"}, stageDetach: {stageDetached, ""},
		stageDetached: {stageAttach, "AttachVolume"}, stageAttach: {stageAttached, ""}, stageAttached: {stageMount, "Mount"},
		stageBackDetach: {stageBackDetached, ""}, stageBackDetached: {stageBackAttach, "AttachVolume"}, stageBackAttach: {stageBackAttached, ""},
		stageBackAttached: {stageBackMount, "Mount"},
	}[op.Stage]
	switch {
	case op.Action == ActionBeside && op.Stage == stageMade:
		to = [2]string{stageAttach, "AttachVolume"}
	case op.Action == ActionBeside && op.Stage == stageBackDetached, op.Stage == stageBackMount:
		s.over(op, st, "")
		return nil
	case op.Action == ActionDetach && op.Stage == stageDetached, op.Stage == stageMount:
		if op.Action == ActionSwap {
			findReplaced(op, st, true)
		}
		op.Succeed()
		return nil
	}
	if op.Action == ActionSwap && op.Stage == stageUnmount {
		findReplaced(op, st, false)
	}
	op.To(to[0], to[1])
	if to[1] == "" {
		op.PollIn(s.opts.PollMin)
	}
	return nil
}

// end is the error that the work ends with; more is what is not as it was.
func (s *Strategy) end(op backup.Operation, st state, more string) error {
	f := st.Failure
	e := &backup.Error{Op: f.Op, Kind: Kind, Ref: op.Ref, Code: ended(f, more != ""), Err: errText(f.Message + more), Hint: f.Hint}
	switch {
	case e.Code == f.Code:
	case beforeRun(st) != "":
		e.Hint = "see what was at the devices that the message names, attach it by hand and mount it; the new volumes are in Made"
	case op.Action == ActionSwap && newLeft(st) != "" && stillBusy(st) == "":
		e.Hint = "see whether the new volumes that the message names are attached, and detach them by hand; " + byHand
	case op.Action == ActionSwap:
		e.Hint = byHand
	default:
		e.Hint = "see which volumes are attached and mounted; what StartBeside has attached is given back with StartDetach"
	}
	return e
}

// over ends the work that was taken back, as far as it could be; more is what is not as it was.
func (s *Strategy) over(op *backup.Operation, st state, more string) {
	drop(op, backID)
	more += notAsWas(st)
	if off := notBack(st); off != "" {
		findReplaced(op, state{Disks: slices.DeleteFunc(slices.Clone(st.Disks), func(d disk) bool { return !d.Out })}, false)
		op.Fail(failure(*op, ended(st.Failure, true), byHand, "%s; and it could not be taken back: %s. The old volumes that are not seen attached again are %s%s", st.Failure.Message, st.Why, off, more))
		return
	}
	drop(op, replacedID) // the old volumes are where they were
	op.Fail(s.end(*op, st, more))
}

// fail begins to take the work back because of an error that will not pass, from wherever it stands; or ends it where that is being done already, which a
// swap does disk by disk.
func (s *Strategy) fail(op backup.Operation, st state, cause *backup.Error) (backup.Operation, error) {
	if st.Failure != nil {
		op.Fail(s.end(op, st, fmt.Sprintf("; and it could not be taken back: %v", cause.Err)))
		return op, nil
	}
	st.Failure = &backup.Failure{Code: cause.Code, Op: cause.Op, Message: cut(cause.Err.Error()), Hint: cause.Hint}
	st.Tries, st.Lost, st.Began = 0, time.Time{}, time.Now().UTC().Round(0)
	st.Came = op.Stage == stageAttach || op.Stage == stageAttached
	if err := op.SetState(st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageUnmount:
		op.To(stageBackMount, "Mount")
	case stageDetach, stageDetached, stageAttach, stageAttached:
		switch {
		case op.Action == ActionDetach, op.Action == ActionSwap && st.untouched:
			op.To(stageBackMount, "Mount") // it is where it was
		case op.Action == ActionSwap && op.Stage == stageDetach && !st.Off && left(op) < hurry:
			// Perhaps nothing was detached, and then DetachVolume would begin it now. AttachVolume is refused for what is there. If it was sent, then long
			// ago, before the reserve was touched: what is seen now is true.
			op.To(stageBackAttach, "AttachVolume")
		default:
			if op.Canceling && op.Stage == stageDetach && !st.Off {
				st.Off = true // perhaps: the answer is not known
				if err := op.SetState(st); err != nil {
					return op, err
				}
			}
			op.To(stageBackDetach, "DetachVolume")
		}
	default:
		op.Fail(cause)
		return op, nil
	}
	findBack(&op, st)
	return op, nil
}

// refused goes on after an error of a call on one disk. What may pass is tried again for a while.
func (s *Strategy) refused(op backup.Operation, st state, call string, err error) (backup.Operation, error) {
	v := table.Classify(err)
	passes := v.Class != awscall.Permanent && (v.Class != awscall.NotYet || time.Since(op.Since) < s.settle(op))
	if passes && (v.Class == awscall.NotYet || st.Failure != nil || !s.stuck(op, st, limit)) {
		return s.retry(op, st, call, err)
	}
	return s.fail(op, st, v.Error(Kind, call, op.Ref, err))
}

// retry makes the same call again after an error that may pass.
func (s *Strategy) retry(op backup.Operation, st state, call string, err error) (backup.Operation, error) {
	v := table.Classify(err)
	if st.untouched && (v.Class == awscall.NotYet || v.Class == awscall.NotApplied) {
		op.Unsent() // so that the next attempt still knows it
	}
	if v.Class == awscall.NotYet {
		op.Find(backup.Finding{ID: "ebs-swap.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: v.AWSCode, Remedy: v.Hint})
		s.wait(&op)
		return op, op.SetState(st)
	}
	// Calls on a volume by its id repeat harmlessly; what one of them did is seen at the next look.
	return op, v.Error(Kind, call, op.Ref, err)
}

// create makes the volumes. CreateVolume has a client token, here a deterministic one: the same call again gives the same volume. What an earlier attempt
// made is looked for all the same, so that the safety does not rest on one mechanism.
func (s *Strategy) create(ctx context.Context, c *awsec2.Client, op backup.Operation, st state) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	if op.Intent() != backup.Send {
		if err := s.lookMade(ctx, c, op, &st); err != nil {
			return op, err
		}
	}
	var failed error
	n := 0
	for i := range st.Disks {
		if st.Disks[i].New != "" {
			continue
		}
		out, err := c.CreateVolume(ctx, s.volumeInput(op, st, i), s.changing)
		if err == nil && aws.ToString(out.VolumeId) == "" {
			err = errText("the answer names no volume")
		}
		if err != nil {
			failed = err
			break
		}
		st.Disks[i].New = *out.VolumeId
		n++
	}
	s.keep(&op, st)
	if failed == nil {
		return op, s.next(&op, st)
	}
	v := table.Classify(failed)
	cause := v.Error(Kind, "CreateVolume", op.Ref, failed)
	switch {
	case v.Class == awscall.Permanent:
		// An earlier call was perhaps not refused.
		st.Failure = &backup.Failure{Code: cause.Code, Op: cause.Op, Message: cut(failed.Error()), Hint: cause.Hint}
		if op.Intent() != backup.Send {
			op.Settle(stageGive)
			return op, op.SetState(st)
		}
		op.Fail(cause)
		return op, op.SetState(st)
	case v.Class == awscall.NotYet:
		op.Find(backup.Finding{ID: "ebs-swap.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: v.AWSCode, Remedy: v.Hint})
		op.PollIn(s.opts.Park)
		return op, op.SetState(st)
	case n > 0:
		// What was made in this Step must not be forgotten; the attempt stays counted, so that the next Step looks first.
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	case v.Class == awscall.NotApplied:
		op.Unsent()
	}
	return op, cause
}

// tagsOf are those of a new volume.
func tagsOf(op backup.Operation, st state, d disk) map[string]string {
	m := op.OwnTags(op.Ref)
	m[ebs.TagDevice], m[ebs.TagRole] = d.Device, "data"
	if st.Root {
		m[ebs.TagRole] = "root"
	}
	if d.Source != "" {
		m[ebs.TagVolume] = d.Source
	}
	if op.Action == ActionBeside {
		m[TagBeside] = st.Instance
	}
	return m
}

func (s *Strategy) volumeInput(op backup.Operation, st state, i int) *awsec2.CreateVolumeInput {
	d := st.Disks[i]
	in := &awsec2.CreateVolumeInput{AvailabilityZone: &st.Zone, SnapshotId: &d.Snapshot, ClientToken: aws.String(fmt.Sprintf("%s-%d", op.ID, i)), VolumeType: st.kind(),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeVolume, Tags: tagList(tagsOf(op, st, d))}}}
	if st.Key != "" {
		in.Encrypted, in.KmsKeyId = aws.Bool(true), &st.Key
	}
	return in
}

// lookMade adds to st what carries the Operation's token.
func (s *Strategy) lookMade(ctx context.Context, c *awsec2.Client, op backup.Operation, st *state) error {
	found, err := s.volumes(ctx, c, op.Ref, filter("tag:"+backup.TagToken, op.ID))
	if err != nil {
		return err
	}
	for id, v := range found {
		for i, d := range st.Disks {
			if d.New == "" && d.Snapshot == aws.ToString(v.SnapshotId) {
				st.Disks[i].New = id
			}
		}
	}
	return nil
}

// keep lists the volumes that were made.
func (s *Strategy) keep(op *backup.Operation, st state) {
	for _, d := range st.fresh() {
		op.AddMade(ebs.Volume(op.Ref.Account, op.Ref.Region, d.Volume))
	}
}

// give looks for volumes that an earlier attempt perhaps made, and ends the work.
func (s *Strategy) give(ctx context.Context, c *awsec2.Client, op backup.Operation, st state) (backup.Operation, error) {
	if err := s.lookMade(ctx, c, op, &st); err != nil {
		return op, err
	}
	s.keep(&op, st)
	if len(st.fresh()) < len(st.Disks) && time.Since(op.Since) < s.opts.Settle {
		s.wait(&op)
		return op, op.SetState(st)
	}
	op.Fail(s.end(op, st, notAsWas(st)))
	return op, op.SetState(st)
}

// made waits until every new volume is available. A key that may not be used shows only here, as a volume in error or gone.
func (s *Strategy) made(ctx context.Context, c *awsec2.Client, op backup.Operation, st state) (backup.Operation, error) {
	found, err := s.disks(ctx, c, op.Ref, st.fresh())
	if err != nil {
		return op, err
	}
	pending := false
	for _, d := range st.fresh() {
		v, ok := found[d.Volume]
		switch {
		case !ok:
			if over, err := s.lost(&op, &st, s.opts.Settle); !over {
				return op, err
			}
			op.Fail(failure(op, backup.ErrFailed, "start the work again with another token; nothing was detached", "%s does not exist", d.Volume))
			return op, nil
		case v.State == ec2types.VolumeStateError, v.State == ec2types.VolumeStateDeleting, v.State == ec2types.VolumeStateDeleted:
			op.Fail(failure(op, backup.ErrFailed, "a volume under a key that is disabled or not accessible fails this late; nothing was detached", "%s is %s", d.Volume, v.State))
			return op, nil
		case v.State == ec2types.VolumeStateInUse:
			// By an earlier run of the same work, perhaps; the later stages find it there.
			if a, there := at(v, st.Instance); !there || aws.ToString(a.Device) != d.Device {
				op.Fail(failure(op, backup.ErrConflict, "see who has attached it, and start the work again with another token; nothing was detached", "%s is attached elsewhere", d.Volume))
				return op, nil
			}
		case v.State != ec2types.VolumeStateAvailable:
			pending = true
		}
	}
	if pending {
		s.wait(&op)
		return op, nil
	}
	if op.Action == ActionSwap && left(op) < room {
		op.Fail(short(op, "nothing was unmounted or detached, and the volumes in Made are free"))
		return op, nil
	}
	return op, s.next(&op, st)
}

func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), 300)], "") }

type errText string

func (e errText) Error() string { return string(e) }
