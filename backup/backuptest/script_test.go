package backuptest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/backuptest"
)

var database = backup.Ref{Type: "dump/database", Account: "111122223333", Region: "eu-west-1", ID: "orders"}

// A program's own orchestration runs against a script of what may happen: here a service that is throttled once and then too slow.
func ExampleNewScript() {
	script := backuptest.NewScript("dump",
		backuptest.Make("CreateDump"),
		backuptest.Error(backup.ErrThrottled),
		backuptest.Progress(50, 20*time.Millisecond),
		backuptest.Fail(&backup.Error{Op: "DescribeDump", Code: backup.ErrFailed, Err: errors.New("the disk is full")}),
	)
	runner, err := backup.NewRunner([]backup.Strategy{script}, func(o *backup.RunnerOptions) {
		o.Observer = backup.ObserverFunc(func(_ context.Context, e backup.Event) {
			fmt.Println(e.Type, e.Operation.Stage, e.Operation.Percent)
		})
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	op, err := script.Start(context.Background(), database, backup.Spec{Token: "tonight"})
	if err != nil {
		fmt.Println(err)
		return
	}
	op, err = runner.Run(context.Background(), op)
	fmt.Println(op.Phase, errors.Is(err, backup.ErrFailed), op.Points[0] == script.Point(op), script.Made(op.ID))
	// Output:
	// started script 0
	// progress make 0
	// sending make 0
	// progress script 0
	// step-failed script 0
	// progress script 0
	// progress script 50
	// finished script 50
	// failed true true 1
}

// The suite is run on a Strategy in the test of the package that has it.
func ExampleTestStrategy() {
	_ = func(t *testing.T) {
		backuptest.TestStrategy(t, backuptest.Harness{New: func(testing.TB) *backuptest.Subject {
			return &backuptest.Subject{
				Strategy: backuptest.NewScript("dump", backuptest.Make("CreateDump"), backuptest.Progress(50, time.Hour)),
				Resource: database,
			}
		}})
	}
}

func TestScriptConforms(t *testing.T) {
	for name, outcomes := range map[string][]backuptest.Outcome{
		"Short": {backuptest.Make("CreateDump")},
		"Long": {backuptest.Progress(0, time.Minute), backuptest.Make("CreateDump"), backuptest.Error(backup.ErrThrottled), backuptest.Progress(60, time.Hour),
			backuptest.Progress(90, 0), backuptest.Succeed()},
	} {
		t.Run(name, func(t *testing.T) {
			backuptest.TestStrategy(t, backuptest.Harness{New: func(testing.TB) *backuptest.Subject {
				s := backuptest.NewScript("dump", outcomes...)
				return &backuptest.Subject{Strategy: s, Resource: database, Count: s.Made}
			}})
		})
	}
}

func TestScriptPlays(t *testing.T) {
	type state struct {
		Phase   backup.Phase
		Next    string
		Percent int
		Points  int
		Err     error
	}
	for name, c := range map[string]struct {
		outcomes []backuptest.Outcome
		want     []state
	}{
		"nothing": {nil, []state{{backup.PhaseSucceeded, "", 100, 0, nil}}},
		"progress": {
			[]backuptest.Outcome{backuptest.Progress(10, time.Second), backuptest.Progress(20, time.Second), backuptest.Succeed(), backuptest.Fail(backup.ErrFailed)},
			[]state{{backup.PhasePending, "", 10, 0, nil}, {backup.PhasePending, "", 20, 0, nil}, {backup.PhaseSucceeded, "", 100, 0, nil}, {backup.PhaseSucceeded, "", 100, 0, nil}},
		},
		"an error is played once": {
			[]backuptest.Outcome{backuptest.Error(backup.ErrDenied)},
			[]state{{backup.PhasePending, "", 0, 0, backup.ErrDenied}, {backup.PhasePending, "", 0, 0, nil}, {backup.PhaseSucceeded, "", 100, 0, nil}},
		},
		"two points": {
			[]backuptest.Outcome{backuptest.Make("A"), backuptest.Make("B"), backuptest.Fail(backup.ErrPartial)},
			[]state{{backup.PhaseRunning, "A", 0, 0, nil}, {backup.PhaseRunning, "", 0, 1, nil}, {backup.PhaseRunning, "B", 0, 1, nil},
				{backup.PhaseRunning, "", 0, 2, nil}, {backup.PhasePartial, "", 0, 2, nil}},
		},
		"canceled": {[]backuptest.Outcome{backuptest.Fail(backup.ErrCanceled)}, []state{{backup.PhaseCanceled, "", 0, 0, nil}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := backuptest.NewScript("dump", c.outcomes...)
				op, err := s.Start(t.Context(), database, backup.Spec{Token: "tonight"})
				if err != nil {
					t.Fatal(err)
				}
				var got []state
				for range c.want {
					if op.Next != "" {
						op.Attempt++
					}
					op, err = s.Step(t.Context(), op)
					got = append(got, state{op.Phase, op.Next, op.Percent, len(op.Points), err})
				}
				if d := cmp.Diff(c.want, got, cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) })); d != "" {
					t.Error(d)
				}
				if n := len(s.Given()); n != len(c.want) {
					t.Errorf("%d operations were recorded, want %d", n, len(c.want))
				}
			})
		})
	}
}

func TestScriptRecordsCopies(t *testing.T) {
	s := backuptest.NewScript("dump", backuptest.Make("CreateDump"))
	op, err := s.Start(t.Context(), database, backup.Spec{Token: "tonight", Tags: map[string]string{"team": "orders"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Step(t.Context(), op); err != nil {
		t.Fatal(err)
	}
	op.Tags["team"] = "changed"
	s.Given()[0].Tags["team"] = "changed too"
	if got := s.Given()[0].Tags["team"]; got != "orders" {
		t.Errorf("the record changed to %q", got)
	}
}

// A Step that is given twice as if it were the first is a mistake of its caller, and the Script shows it.
func TestScriptShowsDuplicates(t *testing.T) {
	s := backuptest.NewScript("dump", backuptest.Make("CreateDump"))
	op, err := s.Start(t.Context(), database, backup.Spec{Token: "tonight"})
	if err != nil {
		t.Fatal(err)
	}
	if op, err = s.Step(t.Context(), op); err != nil {
		t.Fatal(err)
	}
	op.Attempt = 1
	for range 2 {
		if _, err := s.Step(t.Context(), op); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Made(op.ID); n != 2 {
		t.Errorf("%d points were made, want 2", n)
	}
	op.Attempt = 2
	if _, err := s.Step(t.Context(), op); err != nil {
		t.Fatal(err)
	}
	if n := s.Made(op.ID); n != 2 {
		t.Errorf("an attempt that was marked as repeated made another point")
	}
}

// Against a live service the checks run in real time, with tokens that no other run has, and clean up after themselves.
func TestLive(t *testing.T) {
	var mu sync.Mutex
	worlds, cleaned := 0, map[string]bool{}
	ran := t.Run("Suite", func(t *testing.T) {
		backuptest.TestStrategy(t, backuptest.Harness{Live: true, New: func(testing.TB) *backuptest.Subject {
			worlds++
			if time.Now().Year() < 2020 {
				t.Error("a live check runs in a bubble")
			}
			s := backuptest.NewScript("dump", backuptest.Make("CreateDump"))
			return &backuptest.Subject{Strategy: s, Resource: database, Count: s.Made, Clean: func(op backup.Operation) {
				mu.Lock()
				defer mu.Unlock()
				if cleaned[op.ID] {
					t.Errorf("%s was cleaned up twice, or its token was used twice", op.ID)
				}
				cleaned[op.ID] = true
			}}
		}})
	})
	if !ran || worlds == 0 || len(cleaned) == 0 {
		t.Errorf("%d worlds, %d operations cleaned up", worlds, len(cleaned))
	}
}
