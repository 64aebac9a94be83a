package nested_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/nested"
)

// inner is a Strategy whose Step is a function.
type inner func(backup.Operation) (backup.Operation, error)

func (inner) Kind() string { return "inner" }

func (inner) Start(context.Context, backup.Ref, backup.Spec) (backup.Operation, error) {
	return backup.Operation{}, errors.ErrUnsupported
}

func (f inner) Step(_ context.Context, op backup.Operation) (backup.Operation, error) { return f(op) }

var at = time.Date(2026, 11, 20, 1, 2, 3, 0, time.UTC)

// What the Runner recorded for the outer Operation is what the inner Strategy is told, whichever attempt it is.
func TestStepLends(t *testing.T) {
	for _, c := range []struct {
		name         string
		outer, inner backup.Operation
		want         backup.Operation // as the inner Step gets it
		intent       backup.Intent
	}{
		{"nothing sent", backup.Operation{}, backup.Operation{}, backup.Operation{}, backup.ReadOnly},
		{"not recorded", backup.Operation{Next: "C"}, backup.Operation{Next: "C"}, backup.Operation{Next: "C"}, backup.ReadOnly},
		{"first attempt", backup.Operation{Next: "C", Attempt: 1, Intended: at}, backup.Operation{Next: "C"}, backup.Operation{Next: "C", Attempt: 1, Intended: at}, backup.Send},
		{"third attempt", backup.Operation{Next: "C", Attempt: 3, Intended: at}, backup.Operation{Next: "C", Attempt: 1}, backup.Operation{Next: "C", Attempt: 3, Intended: at}, backup.Settle},
		{"without a Store", backup.Operation{Next: "C", Attempt: 1, Unstored: true}, backup.Operation{Next: "C"}, backup.Operation{Next: "C", Attempt: 1, Unstored: true}, backup.LookOnce},
		{"with a Store again", backup.Operation{Next: "C", Attempt: 1}, backup.Operation{Next: "C", Unstored: true}, backup.Operation{Next: "C", Attempt: 1}, backup.Send},
		{"another call of the outer", backup.Operation{Next: "O", Attempt: 1}, backup.Operation{Next: "C"}, backup.Operation{Next: "C"}, backup.ReadOnly},
		{"deadline", backup.Operation{Deadline: at}, backup.Operation{Deadline: at.Add(time.Hour)}, backup.Operation{Deadline: at}, backup.ReadOnly},
		{"canceled", backup.Operation{Canceling: true}, backup.Operation{}, backup.Operation{Canceling: true}, backup.ReadOnly},
		{"canceled itself", backup.Operation{}, backup.Operation{Canceling: true}, backup.Operation{Canceling: true}, backup.ReadOnly},
	} {
		var got backup.Operation
		err := nested.Step(t.Context(), inner(func(op backup.Operation) (backup.Operation, error) {
			got = op
			return op, nil
		}), &c.outer, &c.inner)
		if d := cmp.Diff(c.want, got); err != nil || d != "" || got.Intent() != c.intent {
			t.Errorf("%s: %v, intent %v, want %v (-want +got):\n%s", c.name, err, got.Intent(), c.intent, d)
		}
	}
}

// The outer Operation follows the inner one: its call, its attempts, its time, its findings.
func TestStepFollows(t *testing.T) {
	next := backup.Operation{Next: "D", Settling: true, Poll: at, Stage: "b", Findings: []backup.Finding{{ID: "a"}, {ID: "b", Ref: backup.Ref{ID: "x"}}}}
	outer := backup.Operation{Phase: backup.PhasePending, Stage: "o", Next: "C", Attempt: 2, Intended: at, Findings: []backup.Finding{{ID: "a"}}}
	old := backup.Operation{Next: "C", Stage: "a"}
	err := nested.Step(t.Context(), inner(func(backup.Operation) (backup.Operation, error) { return next, nil }), &outer, &old)
	want := backup.Operation{Phase: backup.PhaseRunning, Stage: "o", Next: "D", Settling: true, Poll: at, Findings: []backup.Finding{{ID: "a"}, {ID: "b", Ref: backup.Ref{ID: "x"}}}}
	if d := cmp.Diff(want, outer); err != nil || d != "" {
		t.Errorf("the outer: %v (-want +got):\n%s", err, d)
	}
	if d := cmp.Diff(next, old); d != "" {
		t.Errorf("the inner (-want +got):\n%s", d)
	}
}

// An error leaves both as they were, but for an attempt of the outer that was surely not sent.
func TestStepError(t *testing.T) {
	no := errors.New("no")
	for _, unsent := range []bool{false, true} {
		outer := backup.Operation{Next: "C", Attempt: 1, Intended: at, Canceling: true, Unstored: true, Deadline: at}
		old := backup.Operation{Next: "C", Deadline: at.Add(time.Hour)}
		wantOuter, wantInner := outer, old
		if unsent {
			wantOuter.Unsent()
		}
		err := nested.Step(t.Context(), inner(func(op backup.Operation) (backup.Operation, error) {
			if unsent {
				op.Unsent()
			}
			return op, no
		}), &outer, &old)
		if d := cmp.Diff(wantOuter, outer) + cmp.Diff(wantInner, old); !errors.Is(err, no) || d != "" {
			t.Errorf("unsent %v: %v (-want +got):\n%s", unsent, err, d)
		}
	}
}

// The findings of many inner Operations leave the outer one within its size.
func TestStepFindings(t *testing.T) {
	var outer backup.Operation
	for i := range 40 {
		old := backup.Operation{}
		err := nested.Step(t.Context(), inner(func(op backup.Operation) (backup.Operation, error) {
			op.Find(backup.Finding{ID: "a", Ref: backup.Ref{ID: strings.Repeat("k", 200+i)}, Message: strings.Repeat("m", 256), Remedy: strings.Repeat("r", 256)})
			return op, nil
		}), &outer, &old)
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(outer)
	if err != nil || len(b) > backup.MaxOperationBytes/2 || len(outer.Findings) < 4 {
		t.Errorf("%d findings, %d bytes: %v", len(outer.Findings), len(b), err)
	}
}
