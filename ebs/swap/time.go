package swap

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
)

// MinTimeout is the least Spec.Timeout of a swap: half an hour for making the volumes, and the hour that must be left when the disks are unmounted.
const MinTimeout = room + 30*time.Minute

// At its deadline an Operation may send nothing more, and an instance must not be left then without its disks. So there is time set aside.
const (
	// room is what must be left before the deadline for the disks to be unmounted.
	room = time.Hour
	// reserve is what is left before the deadline when a swap that is not done is taken back.
	reserve = 30 * time.Minute
	// limit is how long a swap waits for the old volumes to be detached, and again for the new ones to be attached, before it is taken back.
	// What an operating system holds may stay so for ever.
	limit = 12 * time.Minute
	// hurry is what must be left for the way back to wait for one disk when the others could go on.
	hurry = reserve / 2
	// last is what is left when the way back ends: what is attached by then is mounted.
	last = 3 * time.Minute
	// maxNamed is how many volumes an error or the findings name; Replaced gives all.
	maxNamed = 8
	// maxFindings is how many findings leave room for the one that says why a swap is taken back.
	maxFindings = 15
	// slowest is the most time between two looks while disks are off.
	slowest = time.Minute
)

// The ids of the findings that name the old volumes, that say why a swap is being taken back, and that name what an earlier run has perhaps detached.
const (
	earlierID  = "ebs-swap.earlier-run"
	replacedID = "ebs-swap.replaced"
	backID     = "ebs-swap.taken-back"
)

// left is the time before the deadline.
func left(op backup.Operation) time.Duration {
	if op.Deadline.IsZero() {
		return math.MaxInt64
	}
	return time.Until(op.Deadline)
}

// stuck reports whether the detaching or attaching has lasted too long, and the present look or call at it too: after a pause of the process what is
// due is done first.
func (s *Strategy) stuck(op backup.Operation, st state, most time.Duration) bool {
	counts := op.Action == ActionSwap || op.Action == ActionBeside && op.Stage == stageBackDetached
	return counts && !st.Began.IsZero() && time.Since(st.Began) >= most && time.Since(op.Since) >= s.settle(op)
}

// settle is how long what moves may be seen as it was. The times that a swap sets aside count on no more.
func (s *Strategy) settle(op backup.Operation) time.Duration {
	if op.Action == ActionSwap {
		return min(s.opts.Settle, limit/2)
	}
	return s.opts.Settle
}

// waited reports whether the stage has lasted as long as what EC2 does ordinarily takes, or a quarter of what is left.
func (s *Strategy) waited(op backup.Operation) bool {
	return time.Since(op.Since) >= min(patience, left(op)/4)
}

// spent reports whether the way back has no more time than for mounting what is attached.
func (s *Strategy) spent(op backup.Operation) bool {
	return left(op) < last && (time.Since(op.Since) >= patience || left(op) < patience/2)
}

// short is the error of a swap for which too little time is left.
func short(op backup.Operation, what string) *backup.Error {
	return failure(op, backup.ErrUnavailable, "start the work again with another token, and a longer Spec.Timeout", "too little time is left before the deadline %s: %s",
		op.Deadline.Format(time.RFC3339), what)
}

// inTime ends a swap, or begins to take it back, where too little time is left for its stage. It reports whether it did.
func (s *Strategy) inTime(ctx context.Context, c *awsec2.Client, op backup.Operation, st state) (backup.Operation, bool, error) {
	if op.Action != ActionSwap {
		return op, false, nil
	}
	t := left(op)
	switch op.Stage {
	case stageUnmount:
		if t > 0 && t < room {
			cause := short(op, "nothing was detached")
			if op.Intent() == backup.Send && st.Tries == 0 {
				op.Fail(cause) // nothing was unmounted
				return op, true, nil
			}
			op, err := s.fail(op, st, cause)
			return op, true, err
		}
	case stageDetach, stageDetached, stageAttach:
		if t > 0 && t < reserve {
			op, err := s.fail(op, st, short(op, "the swap was taken back"))
			return op, true, err
		}
	case stageAttached, stageMount, stageBackDetach, stageBackDetached, stageBackAttach, stageBackAttached, stageBackMount:
	default:
		return op, false, nil
	}
	if t > 0 {
		return op, false, nil
	}
	// Nothing can be sent any more. What is to be done by hand is said here; the Runner does not know it.
	where, done := "may be detached", false
	switch op.Stage {
	case stageUnmount:
		where = "are attached, and may be not mounted"
	case stageAttached:
		if s.seen(ctx, c, op, st, st.fresh()) {
			where, done = "are detached; the new ones are attached, and not mounted", s.unhooked(st)
		}
	case stageMount:
		where, done = "are detached; the new ones are attached, and may be not mounted", s.unhooked(st)
	case stageBackAttached, stageBackMount:
		if op.Stage == stageBackMount || s.seen(ctx, c, op, st, st.there()) {
			where, done = "are attached, and may be not mounted", s.unhooked(st)
			if off := notBack(st); off != "" {
				where = "may be not mounted, and not seen attached are " + off
			}
		}
	}
	switch {
	case done && st.Failure != nil:
		s.over(&op, st, "")
		return op, true, nil
	case done:
		findReplaced(&op, st, true)
		op.Succeed()
		return op, true, nil
	}
	message, code := fmt.Sprintf("not finished by the deadline %s, in stage %q", op.Deadline.Format(time.RFC3339), op.Stage), backup.ErrUnavailable
	if st.Failure != nil {
		message, code = st.Failure.Message+"; and its taking back was "+message, ended(st.Failure, true)
	}
	drop(&op, backID)
	op.Fail(failure(op, code, byHand, "%s: the old volumes %s %s", message, named(st), where))
	return op, true, nil
}

// unhooked reports whether there is nothing to be mounted.
func (s *Strategy) unhooked(st state) bool { return s.opts.Hooks == nil || st.Root }

// seen reports whether all disks are attached where they belong, as far as one look tells.
func (s *Strategy) seen(ctx context.Context, c *awsec2.Client, op backup.Operation, st state, disks []Disk) bool {
	found, err := s.disks(ctx, c, op.Ref, disks)
	if err != nil {
		return false
	}
	for _, d := range disks {
		a, there := at(found[d.Volume], st.Instance)
		if !there || aws.ToString(a.Device) != d.Device || a.State != ec2types.VolumeAttachmentStateAttached {
			return false
		}
	}
	return true
}

// byHand is the hint of what can not be taken back.
const byHand = "swap.Replaced gives the old volumes and their devices: see which are attached, attach the others by hand and mount them"

// named lists the old volumes with their devices.
func named(st state) string {
	return listed(st, oldOf(func(disk) bool { return true }))
}

// oldOf picks the old volumes of some disks.
func oldOf(which func(disk) bool) func(disk) string {
	return func(d disk) string {
		if which(d) {
			return d.Old
		}
		return ""
	}
}

// listed lists volumes, those that pick gives, with their devices.
func listed(st state, pick func(disk) string) string {
	var all []string
	for _, d := range st.Disks {
		if v := pick(d); v != "" {
			all = append(all, v+" at "+d.Device)
		}
	}
	if n := len(all) - maxNamed; n > 0 {
		all = append(all[:maxNamed], fmt.Sprintf("and %d more", n))
	}
	return strings.Join(all, ", ")
}

// notBack lists the old volumes that could not be attached again.
func notBack(st state) string {
	return listed(st, oldOf(func(d disk) bool { return d.Out }))
}

// findReplaced names the old volumes in findings. It is called before the first of them is detached, so that they are known wherever the work ends, also
// without a Step; that they are replaced, and can be deleted, is said only when that is so.
func findReplaced(op *backup.Operation, st state, done bool) {
	drop(op, replacedID)
	remedy := "keep it: see where it is; swap.Replaced gives all such volumes"
	if done {
		remedy = "it is kept as it was; swap.Replaced gives all such volumes. Delete it when it is not needed any more"
	}
	n := 0
	for _, d := range st.Disks {
		if d.Old == "" {
			continue
		}
		if n++; n <= maxNamed {
			message := fmt.Sprintf("%s was at %s before the swap", d.Old, d.Device)
			if done {
				message = fmt.Sprintf("%s is replaced by %s at %s", d.Old, d.New, d.Device)
			}
			op.Find(backup.Finding{ID: replacedID, Severity: backup.SeverityInfo, Ref: ebs.Volume(op.Ref.Account, op.Ref.Region, d.Old), Message: message, Remedy: remedy})
		}
	}
	if n > maxNamed {
		message := fmt.Sprintf("%d more volumes were attached before the swap", n-maxNamed)
		if done {
			message = fmt.Sprintf("%d more volumes are replaced", n-maxNamed)
		}
		op.Find(backup.Finding{ID: replacedID, Severity: backup.SeverityInfo, Ref: op.Ref, Message: message, Remedy: remedy})
	}
}

// findBack says why a swap is being taken back, for where it ends without a Step.
func findBack(op *backup.Operation, st state) {
	if op.Action == ActionSwap {
		op.Find(backup.Finding{ID: backID, Severity: backup.SeverityWarning, Ref: op.Ref, Message: "the swap is being taken back: " + st.Failure.Message, Remedy: byHand})
	}
}

// drop takes findings back that are not true any more, or are said otherwise.
func drop(op *backup.Operation, id string) {
	op.Findings = slices.DeleteFunc(slices.Clone(op.Findings), func(f backup.Finding) bool { return f.ID == id })
}

// notAsWas says what is not as it was although the work was taken back.
func notAsWas(st state) string {
	more, there := stillBusy(st), 0
	if all := newLeft(st); all != "" {
		more += "; of the new volumes these are not seen detached again, where there was none before: " + all
	}
	if all := beforeRun(st); all != "" {
		more += "; an earlier run of the work had made its volumes when this one began, and has perhaps detached what was at the devices that were empty then; " +
			"the snapshots for them were taken of " + all
	}
	for _, d := range st.Disks {
		if d.There {
			there++
		}
	}
	if there > 0 {
		more += fmt.Sprintf("; %d volumes in Made were attached by an earlier run of the work, and still are", there)
	}
	return more
}

// newLeft lists the new volumes that are left where none was.
func newLeft(st state) string {
	return listed(st, func(d disk) string {
		if d.Left {
			return d.New
		}
		return ""
	})
}

// beforeRun lists what an earlier run has perhaps detached. What that was is not known any more, but mostly it is what the snapshot was taken of.
func beforeRun(st state) string {
	return listed(st, func(d disk) string {
		if d.Before {
			return cmp.Or(d.Source, "an unknown volume")
		}
		return ""
	})
}

// stillBusy says of which volumes the detaching is not over although the work was taken back.
func stillBusy(st state) string {
	if all := listed(st, oldOf(func(d disk) bool { return d.Busy })); all != "" {
		return "; EC2 may still detach, once the operating system lets go: " + all
	}
	return ""
}
