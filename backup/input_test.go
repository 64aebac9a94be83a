package backup_test

import (
	"strings"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

type inputOptions struct {
	Days int
	At   time.Time
	// Ask may be a function, which has no JSON form.
	Ask any `json:",omitempty"`
}

// laterOptions are the same in a later release.
type laterOptions = struct {
	Days  int
	At    time.Time
	Ask   any `json:",omitempty"`
	New   string
	Deep  struct{ On bool }
	Often []int
}

// A field that is added to some options, and is not set, changes nothing; no options are those that set nothing.
func TestInputWithoutZeros(t *testing.T) {
	op := asked(t, backup.Spec{})
	input := func(v any) string {
		o := op
		o.Bind(v)
		return o.Input
	}
	type options = struct {
		Days int
		At   time.Time
		Ask  any `json:",omitempty"`
	}
	named := func(v any) any { return map[string]any{"it": v} } // of one type, as in two releases
	for name, c := range map[string]struct {
		a, b any
		same bool
	}{
		"a new field":        {named(options{Days: 7}), named(laterOptions{Days: 7}), true},
		"one that is set":    {named(options{Days: 7}), named(laterOptions{Days: 7, New: "x"}), false},
		"set deep inside":    {named(options{Days: 7}), named(laterOptions{Days: 7, Deep: struct{ On bool }{true}}), false},
		"a list with a zero": {named(laterOptions{Often: []int{0}}), named(laterOptions{Often: []int{0, 0}}), false},
		"none and all zero":  {nil, inputOptions{}, true},
		"zero and not":       {inputOptions{}, inputOptions{Days: 1}, false},
		"moved":              {named(laterOptions{Often: []int{1, 0}}), named(laterOptions{Often: []int{0, 1}}), false},
		"large numbers":      {named(map[string]any{"n": uint64(1<<63 + 1)}), named(map[string]any{"n": uint64(1<<63 + 2)}), false},
	} {
		if got := input(c.a) == input(c.b); got != c.same || input(c.a) == "" {
			t.Errorf("%s: the same %v", name, got)
		}
	}
}

func (inputOptions) OptionsFor() (string, backup.Action) { return "fake", backup.ActionBackup }

// asked makes an Operation as a Strategy would that takes more than a Spec.
func asked(t *testing.T, spec backup.Spec, bind ...any) backup.Operation {
	t.Helper()
	spec.Token = "tonight"
	op, err := backup.NewOperation("fake", backup.ActionBackup, thing, spec)
	if err != nil {
		t.Fatal(err)
	}
	if len(bind) > 0 {
		op.Bind(bind...)
	}
	return op
}

// One token is for one thing: what is stored is not given for something else that is asked for.
func TestRunnerStartOtherOptions(t *testing.T) {
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	seven := backup.Spec{Options: inputOptions{Days: 7}}
	for name, c := range map[string]struct {
		first, second func(t *testing.T) backup.Operation
		conflict      bool
	}{
		"the same": {func(t *testing.T) backup.Operation { return asked(t, seven) }, func(t *testing.T) backup.Operation { return asked(t, seven) }, false},
		"other options": {func(t *testing.T) backup.Operation { return asked(t, seven) },
			func(t *testing.T) backup.Operation { return asked(t, backup.Spec{Options: inputOptions{Days: 14}}) }, true},
		"none any more": {func(t *testing.T) backup.Operation { return asked(t, seven) }, func(t *testing.T) backup.Operation { return asked(t, backup.Spec{}) }, true},
		"another name": {func(t *testing.T) backup.Operation { return asked(t, backup.Spec{Name: "a"}) },
			func(t *testing.T) backup.Operation { return asked(t, backup.Spec{Name: "b"}) }, true},
		"the same moment": {func(t *testing.T) backup.Operation { return asked(t, seven, at) },
			func(t *testing.T) backup.Operation { return asked(t, seven, at) }, false},
		"another moment": {func(t *testing.T) backup.Operation { return asked(t, seven, at) },
			func(t *testing.T) backup.Operation { return asked(t, seven, at.Add(time.Second)) }, true},
		"another order": {func(t *testing.T) backup.Operation { return asked(t, seven, "ab", "c") },
			func(t *testing.T) backup.Operation { return asked(t, seven, "a", "bc") }, true},
		"what can not be compared": {func(t *testing.T) backup.Operation {
			return asked(t, backup.Spec{Options: inputOptions{Days: 7, Ask: func() {}}}, at)
		},
			func(t *testing.T) backup.Operation { return asked(t, seven) }, false},
		"other tags": {func(t *testing.T) backup.Operation { return asked(t, backup.Spec{Tags: map[string]string{"run": "1"}}) },
			func(t *testing.T) backup.Operation { return asked(t, backup.Spec{Tags: map[string]string{"run": "2"}}) }, false},
		"an older release": {func(t *testing.T) backup.Operation {
			op := asked(t, seven)
			op.Input = ""
			return op
		}, func(t *testing.T) backup.Operation { return asked(t, backup.Spec{}) }, false},
	} {
		for _, restarted := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				store := fileStore(t)
				r := runner(t, &fake{}, with(store), func(o *backup.RunnerOptions) { o.Run = "one" })
				first, err := r.Start(t.Context(), c.first(t))
				if err != nil {
					t.Fatal(err)
				}
				if restarted {
					r = runner(t, &fake{}, with(store), func(o *backup.RunnerOptions) { o.Run = "two" })
				}
				got, err := r.Start(t.Context(), c.second(t))
				if got.ID != first.ID || got.Input != first.Input {
					t.Errorf("given was %+v", got)
				}
				if !c.conflict {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if backup.CodeOf(err) != backup.ErrConflict || !strings.Contains(backup.HintOf(err), "another token") {
					t.Errorf("%v", err)
				}
				if again, err := r.Start(t.Context(), c.second(t)); backup.CodeOf(err) != backup.ErrConflict || again.Input != first.Input {
					t.Errorf("once more: %+v, %v", again, err)
				}
			})
		}
	}
}
