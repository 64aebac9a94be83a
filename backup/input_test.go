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
	// Ask may be a function, which can not be compared.
	Ask any
}

// A field that is added to some options, and is not set, changes nothing; no options are those that set nothing.
func TestInput(t *testing.T) {
	type options = struct {
		Days  int
		At    time.Time
		Ask   any
		New   string
		Deep  struct{ On bool }
		Often []int
		Count *int
		Tags  map[string]string
	}
	type one struct{}
	type other struct{}
	zero, five := 0, 5
	at := time.Date(2026, 11, 20, 1, 0, 0, 0, time.UTC)
	op := asked(t, backup.Spec{})
	input := func(v any) string {
		o := op
		o.Bind(v)
		return o.Input
	}
	for name, c := range map[string]struct {
		a, b any
		same bool
	}{
		"one that is set":         {options{Days: 7}, options{Days: 7, New: "x"}, false},
		"set deep inside":         {options{}, options{Deep: struct{ On bool }{true}}, false},
		"none and all unset":      {nil, options{}, true},
		"empty and none":          {options{Often: []int{}, Tags: map[string]string{}}, options{}, true},
		"a list with a zero":      {options{Often: []int{0}}, options{Often: []int{0, 0}}, false},
		"moved":                   {options{Often: []int{1, 0}}, options{Often: []int{0, 1}}, false},
		"a pointer to zero":       {options{Count: &zero}, options{}, false},
		"a pointer to the same":   {options{Count: &five}, options{Count: func() *int { n := 5; return &n }()}, true},
		"an empty type":           {options{Ask: one{}}, options{}, false},
		"another empty type":      {options{Ask: one{}}, options{Ask: other{}}, false},
		"one moment in two zones": {options{At: at}, options{At: at.In(time.FixedZone("x", 3600))}, true},
		"two moments":             {options{At: at}, options{At: at.Add(1)}, false},
		"large numbers":           {uint64(1<<63 + 1), uint64(1<<63 + 2), false},
		"a map":                   {map[string]string{"a": "1", "b": "2"}, map[string]string{"b": "2", "a": "1"}, true},
		"another map":             {map[string]string{"a": "1", "b": "2"}, map[string]string{"a": "2", "b": "1"}, false},
		"quotes":                  {[]string{`a","b`}, []string{"a", "b"}, false},
	} {
		if got := input(c.a) == input(c.b); got != c.same || input(c.a) == "" {
			t.Errorf("%s: the same %v", name, got)
		}
	}
	if input(options{Ask: func() {}}) != "" {
		t.Error("a function was hashed")
	}
	type ring struct{ Next any }
	r := &ring{}
	r.Next = r
	if input(r) != "" {
		t.Error("a ring was hashed")
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
