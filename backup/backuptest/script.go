package backuptest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// Script is a backup.Strategy that plays what it is told to, for tests of one's own orchestration: of a scheduler, a Store, an Observer, a
// durable engine. It backs up anything in any account (but for the Ref types of this package, which begin with "backuptest/"), calls nothing,
// and keeps to the whole contract of a Strategy, also to that of never making a thing twice: it passes TestStrategy.
//
// Where an Operation stands in its script is kept in the Operation, so it goes through JSON and can be carried on by another Script with the
// same outcomes. What was made, which errors were played and what Step was given are kept in the Script, which plays the service. It is safe
// for use by several goroutines.
type Script struct {
	kind     string
	outcomes []Outcome

	mu     sync.Mutex
	given  []backup.Operation
	made   map[string]int  // by Operation ID and outcome
	played map[string]bool // the errors
}

// Outcome is what comes of a Step: make it with Progress, Make, Error, Fail or Succeed.
type Outcome struct {
	verb    string
	call    string
	percent int
	wait    time.Duration
	err     error
}

// Progress has a Step find that the work is going on: at so many percent, to be looked at again after wait.
func Progress(percent int, wait time.Duration) Outcome {
	return Outcome{verb: "progress", percent: percent, wait: wait}
}

// Make has the Operation make a recovery point, for which it needs an intent: one Step names call in Next, and the next one that is allowed
// to makes the point, or finds the one that was made before. The point's Ref is what Script.Point gives.
func Make(call string) Outcome { return Outcome{verb: "make", call: call} }

// Error has a Step fail to learn the state: it returns err and the Operation as it was, once. The Step after it goes on with the script.
func Error(err error) Outcome { return Outcome{verb: "error", err: err} }

// Fail ends the Operation with err; its code says how: with backup.ErrPartial it ends partial, with backup.ErrCanceled canceled, and failed
// with any other.
func Fail(err error) Outcome { return Outcome{verb: "fail", err: err} }

// Succeed ends the Operation well. A script that is played to its end succeeds without it.
func Succeed() Outcome { return Outcome{verb: "succeed"} }

// NewScript makes a Script. Each Operation plays the outcomes from the first; one that has ended plays no more.
func NewScript(kind string, outcomes ...Outcome) *Script {
	return &Script{kind: kind, outcomes: slices.Clone(outcomes), made: map[string]int{}, played: map[string]bool{}}
}

// Kind is the kind that NewScript was given.
func (s *Script) Kind() string { return s.kind }

// Start makes an Operation that backs up r. The Script has no options.
func (s *Script) Start(_ context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := backup.NewOperation(s.kind, backup.ActionBackup, r, spec)
	if err != nil {
		return backup.Operation{}, err
	}
	if spec.Options != nil {
		return backup.Operation{}, s.fault(op, backup.ErrInvalid, fmt.Errorf("a script has no options, not of type %T", spec.Options))
	}
	if r.Type == s.pointType() || r.Type == unknownType {
		return backup.Operation{}, s.fault(op, backup.ErrInvalid, fmt.Errorf("the type %q can not be backed up", r.Type))
	}
	op.Stage = "script"
	return op, op.SetState(0)
}

// Step plays the next outcome.
func (s *Script) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(s.kind); err != nil {
		return op, err
	}
	if op.Action != backup.ActionBackup {
		return op, s.fault(op, backup.ErrUnsupported, fmt.Errorf("a script can not %s", op.Action))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.given = append(s.given, clone(op))
	if op.Done() {
		return op, nil
	}
	if err := context.Cause(ctx); err != nil {
		return op, err
	}
	var n int
	if err := op.GetState(&n); err != nil {
		return op, err
	}
	if n < 0 || n >= len(s.outcomes) {
		op.Succeed()
		return op, nil
	}
	switch o := s.outcomes[n]; o.verb {
	case "make":
		return s.make(ctx, op, o, n)
	case "error":
		if key := fmt.Sprint(op.ID, " ", n); !s.played[key] {
			s.played[key] = true
			return op, o.err
		}
		return s.next(op, n, true)
	case "fail":
		op.Fail(o.err)
	case "succeed":
		op.Succeed()
	case "progress":
		op.Percent = min(max(o.percent, 0), 100)
		op.PollIn(o.wait)
		return s.next(op, n, false)
	}
	return op, nil
}

// next goes on in the script; at once means that the coming Step is due now.
func (s *Script) next(op backup.Operation, n int, atOnce bool) (backup.Operation, error) {
	if atOnce {
		op.To("script", "")
	}
	return op, op.SetState(n + 1)
}

// make makes the recovery point of an Operation, once in the Script's life.
func (s *Script) make(ctx context.Context, op backup.Operation, o Outcome, n int) (backup.Operation, error) {
	if op.Next != o.call || op.Stage != "make" {
		op.To("make", o.call)
		return op, nil
	}
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	if err := backup.CheckFence(ctx); err != nil {
		op.Unsent()
		return op, err
	}
	// The Script knows at once and for certain what it has made, so it need not settle.
	key := fmt.Sprint(op.ID, " ", n)
	if op.Intent() == backup.Send || s.made[key] == 0 {
		s.made[key]++
	}
	op.AddPoint(s.point(op, n))
	return s.next(op, n, true)
}

func (s *Script) pointType() string { return s.kind + "/point" }

func (s *Script) point(op backup.Operation, n int) backup.Ref {
	r := backup.Ref{Type: s.pointType(), Account: op.Ref.Account, Region: op.Ref.Region, ID: op.ID}
	for _, o := range s.outcomes[:n] {
		if o.verb == "make" {
			r.ID += "." + fmt.Sprint(n)
			break
		}
	}
	return r
}

// Point gives the Ref of the recovery point that op's first Make makes. The points of further ones have a dot and the place of the outcome
// in the script behind the ID.
func (s *Script) Point(op backup.Operation) backup.Ref { return s.point(op, 0) }

// Made tells how many recovery points were made for an Operation's ID: more than the script has Makes only if a Step was given Attempt 1
// twice, which is a mistake of whoever carries the Operation on.
func (s *Script) Made(operationID string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.outcomes {
		n += s.made[fmt.Sprint(operationID, " ", i)]
	}
	return n
}

// Given gives what Step was given, in the order of the calls. It may be changed.
func (s *Script) Given() []backup.Operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]backup.Operation, len(s.given))
	for i, op := range s.given {
		out[i] = clone(op)
	}
	return out
}

// clone gives an Operation that shares no memory with op.
func clone(op backup.Operation) (out backup.Operation) {
	b, err := json.Marshal(op)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		return op // it could not have been stored either
	}
	return out
}

func (s *Script) fault(op backup.Operation, code backup.Code, err error) error {
	return &backup.Error{Op: string(op.Action), Kind: s.kind, Ref: op.Ref, Code: code, Err: err}
}
