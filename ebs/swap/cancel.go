package swap

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
)

// deleteMade is the hint of what was canceled.
const deleteMade = "the volumes in Made, if any, are free: delete them if they are not needed"

// Cancel has the coming Steps stop a swap, a volume beside or a detachment. No volume is deleted: the Operation ends in PhaseCanceled with the new volumes
// in Made, also those that an unfinished call made.
//
//   - Before anything is unmounted it ends with one more look. Where an earlier run of the same work, such as one without a Store, has perhaps detached
//     old volumes, which only that run would know, it ends in PhaseFailed with what was at the devices, as far as that can be told.
//   - What is unmounted is mounted again.
//   - Once the old volumes are being detached, or the new ones attached, the work is taken back as after an error: the old volumes are attached where they
//     were and mounted. If that does not succeed the Operation ends in PhaseFailed, with what is to be done by hand.
//
// What is being mounted, or taken back already, is refused with ErrUnsupported: a swap is then taken back by swapping once more, and a volume beside is
// given back with StartDetach. So is a detachment that was perhaps sent, which ends soon, and the taking back of a swap within half an hour of the
// deadline when its new volumes are being attached.
func (s *Strategy) Cancel(_ context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	var st state
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	if op.Canceling && !op.Done() {
		return op, nil
	}
	refuse := func() (backup.Operation, error) {
		return op, failure(op, backup.ErrUnsupported, "let it end; a swap that has ended is taken back by a swap, and a volume beside is given back with StartDetach",
			"a %s in phase %s, stage %q, can not be stopped", op.Action, op.Phase, op.Stage)
	}
	// Without a Store an attempt is not recorded before it is made: what is ready to be sent was perhaps sent by a process that died.
	unsent := op.Attempt == 0 && !op.Unstored
	to := op
	to.Canceling = true
	stop := func() (backup.Operation, error) {
		to.To(stageStop, "")
		return to, nil
	}
	cause := func(when string) *backup.Error {
		return &backup.Error{Op: "cancel", Kind: Kind, Ref: op.Ref, Code: backup.ErrCanceled, Err: errText("canceled " + when), Hint: deleteMade}
	}
	if op.Done() {
		return refuse()
	}
	switch op.Stage {
	case stageLook:
		st.Disks = nil // what was planned is perhaps not looked at to the end
		if err := to.SetState(st); err != nil {
			return op, err
		}
		return stop()
	case stageMade:
		return stop()
	case stageCreate:
		if unsent && len(st.fresh()) == 0 {
			return stop()
		}
		st.Failure = beforeAll()
		to.Settle(stageGive)
		return to, to.SetState(st)
	case stageUnmount:
		if unsent && st.Tries == 0 {
			return stop()
		}
		return s.fail(to, st, cause("before anything was detached"))
	case stageDetach:
		if unsent && !st.Off {
			return s.mountAgain(to, st, cause("before anything was detached"))
		}
		if op.Action != ActionDetach {
			return s.fail(to, st, cause("when volumes were being detached"))
		}
	case stageDetached:
		if op.Action != ActionDetach {
			return s.fail(to, st, cause("when volumes were being detached"))
		}
	case stageAttach:
		return s.fail(to, st, cause("when volumes were being attached"))
	case stageAttached:
		if op.Action != ActionSwap || left(op) >= reserve {
			return s.fail(to, st, cause("when volumes were being attached"))
		}
	}
	return refuse()
}

// beforeAll is why what was canceled before anything was unmounted ends.
func beforeAll() *backup.Failure {
	return &backup.Failure{Code: backup.ErrCanceled, Op: "cancel", Message: "canceled before anything was unmounted", Hint: deleteMade}
}

// stop ends what was canceled before anything was unmounted. An earlier run, of which nothing is remembered, has perhaps gone further.
func (s *Strategy) stop(ctx context.Context, c *awsec2.Client, op backup.Operation, st state) (backup.Operation, error) {
	st.Failure = beforeAll()
	if op.Action != ActionDetach {
		look := s.lookMade
		if len(st.Disks) == 0 {
			look = s.lookEarlier
		}
		err := look(ctx, c, op, &st)
		if backup.CodeOf(err) == backup.ErrDenied { // which is no reason to go on until the deadline
			op.Fail(failure(op, backup.ErrFailed, "see which volumes have the tag "+backup.TagToken+"="+op.ID+": if there are some, an earlier run has made them, and perhaps detached others",
				"%s; and what an earlier run has perhaps done could not be looked at: %s", st.Failure.Message, cut(err.Error())))
			return op, nil
		}
		if err != nil {
			return op, err
		}
		s.keep(&op, st)
	}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.Fail(s.end(op, st, notAsWas(st)))
	return op, nil
}

// lookEarlier puts into st, where nothing is planned, what an earlier run has made, as the tags of the volumes tell it.
func (s *Strategy) lookEarlier(ctx context.Context, c *awsec2.Client, op backup.Operation, st *state) error {
	found, err := s.byToken(ctx, c, op)
	if err != nil || len(found) == 0 {
		return err
	}
	x, err := s.instance(ctx, c, op, st.Instance)
	gone := backup.CodeOf(err) == backup.ErrNotFound
	if err != nil && !gone {
		return err
	}
	used := map[string]bool{}
	for _, m := range x.BlockDeviceMappings {
		// What is just being detached was perhaps so by that run.
		used[aws.ToString(m.DeviceName)] = m.Ebs == nil || m.Ebs.Status != ec2types.AttachmentStatusDetaching
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		v := found[id]
		tags := tagMap(v.Tags)
		d := disk{Snapshot: aws.ToString(v.SnapshotId), Source: tags[ebs.TagVolume], Device: tags[ebs.TagDevice], New: id}
		_, d.There = at(v, st.Instance)
		d.Before = op.Action == ActionSwap && !gone && !d.There && !used[d.Device]
		st.Disks = append(st.Disks, d)
	}
	return nil
}

// mountAgain takes back what was unmounted and no more.
func (s *Strategy) mountAgain(op backup.Operation, st state, cause *backup.Error) (backup.Operation, error) {
	st.Failure = &backup.Failure{Code: cause.Code, Op: cause.Op, Message: cut(cause.Err.Error()), Hint: cause.Hint}
	st.Tries, st.Lost, st.Began = 0, time.Time{}, time.Now().UTC().Round(0)
	op.To(stageBackMount, "Mount")
	findBack(&op, st)
	return op, op.SetState(st)
}

// ended is the code that the work ends with. What was canceled is canceled only where all is as it was; otherwise somebody has to see to it.
func ended(f *backup.Failure, notAsWas bool) backup.Code {
	if f.Code == backup.ErrCanceled && notAsWas {
		return backup.ErrFailed
	}
	return f.Code
}
