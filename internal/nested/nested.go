// Package nested carries an Operation on inside of another, so that a Strategy whose work begins with another Strategy's work needs no second
// copy of it.
//
// The outer Operation keeps the inner one in its State, and lends it what the Runner does for the outer: the intent that was stored before the
// Step, and the time of the next look. So all that makes a call safe to repeat is the inner Strategy's, unchanged.
package nested

import (
	"context"
	"encoding/json"

	"github.com/snapwarden/snapwarden/backup"
)

// Arm makes the outer Operation wait for what the inner one is about to do. It is called once, after both have been made, and the outer has
// come to the stage in which the inner is carried on.
func Arm(outer *backup.Operation, inner backup.Operation) {
	if outer.Phase == backup.PhasePending && inner.Next != "" {
		outer.Phase = backup.PhaseRunning
	}
	outer.Next, outer.Attempt, outer.Intended, outer.Settling = inner.Next, inner.Attempt, inner.Intended, inner.Settling
	outer.Poll = inner.Poll
}

// Step carries the inner Operation on by one Step and lets the outer follow: its next call, its next look and its findings. What the inner has
// made, in Points and in Made, the caller lists in the outer as it sees fit, and must, so that nothing is orphaned. The end of the inner is not
// the end of the outer: the caller asks inner.Done. An error is the inner Step's, and leaves both as they were, but for an attempt of the outer
// that surely was not sent: it is taken back there.
func Step(ctx context.Context, s backup.Strategy, outer, inner *backup.Operation) error {
	now := *inner
	now.Unstored, now.Canceling, now.Deadline = outer.Unstored, outer.Canceling || inner.Canceling, outer.Deadline
	if inner.Next != "" && inner.Next == outer.Next {
		now.Attempt, now.Intended = outer.Attempt, outer.Intended
	}
	next, err := s.Step(ctx, now)
	if err != nil {
		if outer.Attempt > 0 && next.Next == inner.Next && next.Attempt == 0 {
			outer.Unsent()
		}
		return err
	}
	*inner = next
	Arm(outer, next)
	for _, f := range next.Findings {
		find(outer, f)
	}
	return nil
}

// maxFindings is how many bytes of findings the outer Operation takes over, so that those of many inner ones do not make it larger than
// backup.MaxOperationBytes together.
const maxFindings = backup.MaxOperationBytes / 4

// find adds a finding while there is room for it.
func find(outer *backup.Operation, f backup.Finding) {
	before := outer.Findings
	outer.Find(f)
	if len(outer.Findings) == len(before) {
		return
	}
	if b, err := json.Marshal(outer.Findings); err != nil || len(b) > maxFindings {
		outer.Findings = before
	}
}
