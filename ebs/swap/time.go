package swap

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

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
	// maxNamed is how many volumes an error or the findings name; Replaced gives all.
	maxNamed = 8
)

// replacedID is the id of the findings that name the old volumes.
const replacedID = "ebs-swap.replaced"

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
	return op.Action == ActionSwap && !st.Began.IsZero() && time.Since(st.Began) >= most && time.Since(op.Since) >= s.opts.Settle
}

// short is the error of a swap for which too little time is left.
func short(op backup.Operation, what string) *backup.Error {
	return failure(op, backup.ErrUnavailable, "start the work again with another token, and a longer Spec.Timeout", "too little time is left before the deadline %s: %s",
		op.Deadline.Format(time.RFC3339), what)
}

// inTime ends a swap, or begins to take it back, where too little time is left for its stage. It reports whether it did.
func (s *Strategy) inTime(op backup.Operation, st state) (backup.Operation, bool, error) {
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
	where := "may be detached"
	switch op.Stage {
	case stageUnmount, stageBackMount:
		where = "are attached, and may be not mounted"
	case stageMount:
		where = "are detached; the new ones are attached, and may be not mounted"
	}
	message, code := fmt.Sprintf("not finished by the deadline %s, in stage %q", op.Deadline.Format(time.RFC3339), op.Stage), backup.ErrUnavailable
	if st.Failure != nil {
		message, code = st.Failure.Message+"; and its taking back was "+message, ended(st.Failure, true)
	}
	op.Fail(failure(op, code, byHand, "%s: the old volumes %s %s", message, named(st), where))
	return op, true, nil
}

// byHand is the hint of what can not be taken back.
const byHand = "swap.Replaced gives the old volumes and their devices: see which are attached, attach the others by hand and mount them"

// named lists the old volumes with their devices.
func named(st state) string {
	var all []string
	for _, d := range st.Disks {
		if d.Old != "" {
			all = append(all, d.Old+" at "+d.Device)
		}
	}
	if n := len(all) - maxNamed; n > 0 {
		all = append(all[:maxNamed], fmt.Sprintf("and %d more", n))
	}
	return strings.Join(all, ", ")
}

// findReplaced names the old volumes in findings, before the first of them is detached: so they are known wherever the work ends.
func findReplaced(op *backup.Operation, st state) {
	if op.Action != ActionSwap {
		return
	}
	const remedy = "it is kept as it was; swap.Replaced gives all such volumes. Delete it when it is not needed any more"
	n := 0
	for _, d := range st.Disks {
		if d.Old == "" {
			continue
		}
		if n++; n <= maxNamed {
			op.Find(backup.Finding{ID: replacedID, Severity: backup.SeverityInfo, Ref: ebs.Volume(op.Ref.Account, op.Ref.Region, d.Old),
				Message: fmt.Sprintf("%s is replaced by %s at %s", d.Old, d.New, d.Device), Remedy: remedy})
		}
	}
	if n > maxNamed {
		op.Find(backup.Finding{ID: replacedID, Severity: backup.SeverityInfo, Ref: op.Ref, Message: fmt.Sprintf("%d more volumes are replaced", n-maxNamed), Remedy: remedy})
	}
}

// notReplaced takes the findings back: the old volumes are where they were.
func notReplaced(op *backup.Operation) {
	op.Findings = slices.DeleteFunc(slices.Clone(op.Findings), func(f backup.Finding) bool { return f.ID == replacedID })
}

// notAsWas says what is not as it was although the work was taken back.
func notAsWas(st state) string {
	there := 0
	for _, d := range st.Disks {
		if d.There {
			there++
		}
	}
	if there == 0 {
		return stillBusy(st)
	}
	return fmt.Sprintf("%s; %d volumes in Made were attached by an earlier run of the work, and still are", stillBusy(st), there)
}

// stillBusy says of which volumes the detaching is not over although the work was taken back.
func stillBusy(st state) string {
	var all []string
	for _, d := range st.Disks {
		if d.Busy {
			all = append(all, d.Old+" at "+d.Device)
		}
	}
	if len(all) == 0 {
		return ""
	}
	if n := len(all) - maxNamed; n > 0 {
		all = append(all[:maxNamed], fmt.Sprintf("and %d more", n))
	}
	return "; EC2 may still detach, once the operating system lets go: " + strings.Join(all, ", ")
}
