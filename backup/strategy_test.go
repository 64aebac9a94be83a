package backup

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// plain is a Strategy without abilities.
type plain struct{ name string }

func (plain) Kind() string { return "plain" }
func (plain) Start(_ context.Context, r Ref, spec Spec) (Operation, error) {
	return NewOperation("plain", ActionBackup, r, spec)
}
func (plain) Step(_ context.Context, op Operation) (Operation, error) { return op, nil }

// wrapper adds nothing.
type wrapper struct{ Strategy }

func (w wrapper) Unwrap() Strategy { return w.Strategy }

// opaque hides what it wraps.
type opaque struct{ Strategy }

// lister can list.
type lister struct {
	Strategy
	name string
}

func (l lister) Unwrap() Strategy { return l.Strategy }

func (l lister) List(context.Context, Query) iter.Seq2[RecoveryPoint, error] { return nil }

func TestAs(t *testing.T) {
	inner := lister{plain{"p"}, "inner"}
	for name, c := range map[string]struct {
		s    Strategy
		want string
	}{
		"nil":                   {nil, ""},
		"none":                  {plain{"p"}, ""},
		"itself":                {inner, "inner"},
		"wrapped":               {wrapper{inner}, "inner"},
		"wrapped twice":         {wrapper{wrapper{inner}}, "inner"},
		"the outermost counts":  {wrapper{lister{wrapper{inner}, "outer"}}, "outer"},
		"hidden":                {opaque{inner}, ""},
		"none in a wrapper":     {wrapper{wrapper{plain{"p"}}}, ""},
		"a wrapper of nothing":  {wrapper{nil}, ""},
		"below one without any": {wrapper{lister{plain{"p"}, "lone"}}, "lone"},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := As[Lister](c.s)
			if ok != (c.want != "") || ok && got.(lister).name != c.want {
				t.Errorf("%v, %v, want %q", got, ok, c.want)
			}
		})
	}
	if p, ok := As[plain](wrapper{inner}); !ok || p.name != "p" {
		t.Error("As does not find a concrete type")
	}
	if _, ok := As[Restorer](wrapper{inner}); ok {
		t.Error("As finds an ability that nobody has")
	}
}

func TestObservers(t *testing.T) {
	var got []string
	note := func(name string) Observer {
		return ObserverFunc(func(_ context.Context, e Event) { got = append(got, fmt.Sprint(name, " ", e.Type)) })
	}
	o := Observers(note("a"), Observers(), Observers(note("b"), note("c")))
	o.Observe(t.Context(), Event{Type: EventStarted})
	o.Observe(t.Context(), Event{Type: EventFinished})
	want := []string{"a started", "b started", "c started", "a finished", "b finished", "c finished"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("observed (-want +got):\n%s", d)
	}
}
