package backuptest

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/snapwarden/snapwarden/backup"
)

// TestStoreItself holds the suite's own good store to the suite: what it demands can be done, in a bubble and out of it.
func TestStoreItself(t *testing.T) {
	TestStore(t, func(*testing.T) (backup.Store, func() backup.Store) { return newMemory("") })
}

// TestStoreFindsMutants gives the suite stores that are wrong in one way each.
func TestStoreFindsMutants(t *testing.T) {
	killers := map[string]int{}
	for _, bug := range memoryBugs {
		t.Run(strings.ReplaceAll(bug, " ", "-"), func(t *testing.T) {
			failed := failedChecks(t, bug)
			if len(failed) == 0 {
				t.Errorf("a store that %s conforms", bug)
			}
			for _, name := range failed {
				killers[name]++
			}
			t.Logf("found by %s", strings.Join(failed, ", "))
		})
	}
	for _, c := range storeChecks {
		if killers[c.name] == 0 {
			t.Errorf("the check %s has found no mutant: can it fail?", c.name)
		}
	}
}

func TestStoreAcceptsTheGoodOne(t *testing.T) {
	if failed := failedChecks(t, ""); len(failed) > 0 {
		t.Errorf("the good store fails %v", failed)
	}
}

// failedChecks runs the suite over a store with a bug and gives the names of the checks that failed. Every check has a bubble, in which the
// wait between the two halves of a race is long enough for all the others to come in between.
func failedChecks(t *testing.T, bug string) []string {
	var failed []string
	for _, c := range storeChecks {
		synctest.Test(t, func(t *testing.T) {
			s, reopen := newMemory(bug)
			r := &recorder{ctx: t.Context()}
			r.do(func() { c.run(r, storeHarness{s, reopen}) })
			if len(r.messages) > 0 {
				failed = append(failed, c.name)
			}
		})
	}
	return failed
}

// recorder is a tb that keeps what it is told.
type recorder struct {
	ctx      context.Context
	mu       sync.Mutex
	messages []string
}

func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Helper()                  {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// do runs f to its end or to its Fatalf.
func (r *recorder) do(f func()) {
	var wg sync.WaitGroup
	wg.Go(f)
	wg.Wait()
}

func TestRecorderStopsAtFatalf(t *testing.T) {
	r := &recorder{}
	r.do(func() {
		r.Errorf("%d", 1)
		r.Fatalf("%d", 2)
		r.Errorf("%d", 3)
	})
	if !slices.Equal(r.messages, []string{"1", "2"}) {
		t.Errorf("recorded %q", r.messages)
	}
}

// TestFullOperationIsFull fails when an Operation gets a field that the suite does not set.
func TestFullOperationIsFull(t *testing.T) {
	op := reflect.ValueOf(fullOperation(t, "token"))
	for i := range op.NumField() {
		if op.Field(i).IsZero() {
			t.Errorf("fullOperation does not set %s", op.Type().Field(i).Name)
		}
	}
}

func TestScrambleReachesEverything(t *testing.T) {
	op, want := fullOperation(t, "token"), fullOperation(t, "token")
	scramble(op)
	got, was := reflect.ValueOf(op), reflect.ValueOf(want)
	for i := range got.NumField() {
		switch got.Field(i).Kind() {
		case reflect.Map, reflect.Slice, reflect.Pointer:
			if reflect.DeepEqual(got.Field(i).Interface(), was.Field(i).Interface()) {
				t.Errorf("scramble does not change %s", got.Type().Field(i).Name)
			}
		}
	}
}
