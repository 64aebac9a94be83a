package backup_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
)

// fake is a Strategy that makes one thing, with one call that may take effect twice.
type fake struct {
	mu      sync.Mutex
	made    int                                                        // how many things exist
	steps   []backup.Operation                                         // what Step was given
	fences  []error                                                    // what CheckFence said just before the call
	onStep  func(ctx context.Context, op backup.Operation) error       // may fail the Step before it does anything
	replace func(backup.Operation) (backup.Operation, bool)            // may answer in the Step's place
	after   func(ctx context.Context, op backup.Operation) (lost bool) // called when the call was applied
	cancel  func(backup.Operation) (backup.Operation, error)           // Canceler
	polls   int                                                        // looks until it is ready
	settle  time.Duration
}

func (*fake) Kind() string { return "fake" }

var thing = backup.Ref{Type: "fake/thing", Account: "111122223333", Region: "eu-west-1", ID: "a"}

func (f *fake) Start(_ context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := backup.NewOperation("fake", backup.ActionBackup, r, spec)
	op.Stage = "look"
	return op, err
}

func (f *fake) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	f.mu.Lock()
	f.steps = append(f.steps, op)
	f.mu.Unlock()
	if err := op.Check("fake"); err != nil {
		return op, err
	}
	if f.onStep != nil {
		if err := f.onStep(ctx, op); err != nil {
			return op, err
		}
	}
	if f.replace != nil {
		if next, ok := f.replace(op); ok {
			return next, nil
		}
	}
	switch op.Stage {
	case "look":
		op.To("make", "Make")
	case "make":
		switch op.Intent() {
		case backup.Settle:
			op.Settle("settle")
			op.PollIn(time.Second)
		case backup.Send, backup.LookOnce:
			err := backup.CheckFence(ctx)
			f.mu.Lock()
			f.fences = append(f.fences, err)
			if err == nil {
				f.made++
			}
			f.mu.Unlock()
			if err != nil {
				op.Unsent()
				return op, err
			}
			if f.after != nil && f.after(ctx, op) {
				return op, &backup.Error{Code: backup.ErrUnavailable, Err: errors.New("reply lost")}
			}
			op.AddPoint(backup.Ref{Type: "fake/point", Account: op.Ref.Account, Region: op.Ref.Region, ID: "p"})
			op.To("wait", "")
			op.PollIn(10 * time.Second)
		}
	case "settle":
		f.mu.Lock()
		made := f.made
		f.mu.Unlock()
		switch {
		case made > 0:
			op.To("wait", "")
		case time.Since(op.Since) >= f.settle:
			op.To("make", "Make")
		default:
			op.PollIn(10 * time.Second)
		}
	case "wait":
		f.mu.Lock()
		f.polls--
		ready := f.polls < 0
		f.mu.Unlock()
		if ready {
			op.Succeed()
		} else {
			op.Percent++
			op.PollIn(10 * time.Second)
		}
	}
	return op, nil
}

type canceling struct{ *fake }

func (c canceling) Cancel(_ context.Context, op backup.Operation) (backup.Operation, error) {
	return c.cancel(op)
}

func start(t testing.TB, s backup.Strategy, token string, timeout time.Duration) backup.Operation {
	t.Helper()
	op, err := s.Start(t.Context(), thing, backup.Spec{Token: token, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func runner(t testing.TB, s backup.Strategy, f ...func(*backup.RunnerOptions)) *backup.Runner {
	t.Helper()
	r, err := backup.NewRunner([]backup.Strategy{s}, f...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func with(store backup.Store) func(*backup.RunnerOptions) {
	return func(o *backup.RunnerOptions) { o.Store = store }
}

func fileStore(t testing.TB) *backup.FileStore {
	t.Helper()
	s, err := backup.OpenFileStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRunnerRunsToTheEnd(t *testing.T) {
	for _, stored := range []bool{true, false} {
		t.Run(fmt.Sprintf("stored=%v", stored), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{polls: 3}
				var types []backup.EventType
				options := func(o *backup.RunnerOptions) {
					o.Observer = backup.ObserverFunc(func(_ context.Context, e backup.Event) { types = append(types, e.Type) })
					if stored {
						o.Store = fileStore(t)
					}
				}
				began := time.Now()
				op, err := runner(t, f, options).Run(t.Context(), start(t, f, "t", 0))
				if err != nil || op.Phase != backup.PhaseSucceeded || f.made != 1 || op.Percent != 100 || op.Next != "" {
					t.Fatalf("%v, %+v, made %d", err, op, f.made)
				}
				if d := time.Since(began); d < 40*time.Second || d > 41*time.Second {
					t.Errorf("took %v, wanted the 40 s that the strategy asked for", d)
				}
				want := []backup.EventType{"started", "progress", "sending", "progress", "progress", "progress", "progress", "finished"}
				if diff := cmp.Diff(want, types); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// The intent is in the Store before the Strategy may send, and a Runner without a Store says so.
func TestRunnerStoresTheIntentFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := fileStore(t)
		f := &fake{}
		f.onStep = func(ctx context.Context, op backup.Operation) error {
			rec, err := store.Load(ctx, op.ID)
			if err != nil {
				return err
			}
			if rec.Operation.Attempt != op.Attempt || rec.Operation.Next != op.Next || rec.Run == "" {
				t.Errorf("in the step with attempt %d of %q the store has attempt %d of %q, run %q", op.Attempt, op.Next, rec.Operation.Attempt, rec.Operation.Next, rec.Run)
			}
			return nil
		}
		if _, err := runner(t, f, with(store)).Run(t.Context(), start(t, f, "t", 0)); err != nil {
			t.Fatal(err)
		}
		var intents []string
		for _, op := range f.steps {
			intents = append(intents, fmt.Sprint(op.Stage, op.Intent()))
		}
		if diff := cmp.Diff([]string{"look0", "make1", "wait0"}, intents); diff != "" {
			t.Error(diff)
		}

		bare := &fake{}
		if _, err := runner(t, bare).Run(t.Context(), start(t, bare, "t", 0)); err != nil {
			t.Fatal(err)
		}
		if got := bare.steps[1].Intent(); got != backup.LookOnce {
			t.Errorf("without a store the first attempt has the intent %v, wanted LookOnce", got)
		}
	})
}

// failing is a Store whose Save fails while told to.
type failing struct {
	backup.Store
	fail func(recs []*backup.Record) error
}

func (s *failing) Save(ctx context.Context, recs ...*backup.Record) error {
	if err := s.fail(recs); err != nil {
		return err
	}
	return s.Store.Save(ctx, recs...)
}

func TestRunnerDoesNotSendWhatItCannotStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := &backup.Error{Op: "store", Code: backup.ErrUnavailable, Err: errors.New("disk full")}
		broken := true
		store := &failing{Store: fileStore(t), fail: func(recs []*backup.Record) error {
			if broken && recs[0].Operation.Attempt > 0 {
				return full
			}
			return nil
		}}
		f := &fake{}
		r := runner(t, f, with(store))
		op, err := r.Start(t.Context(), start(t, f, "t", 0))
		if err != nil {
			t.Fatal(err)
		}
		if op, err = r.Step(t.Context(), op); err != nil || op.Next != "Make" {
			t.Fatal(op.Next, err)
		}
		for range 3 {
			if _, err = r.Step(t.Context(), op); !errors.Is(err, backup.ErrUnavailable) {
				t.Fatalf("step with a full disk: %v", err)
			}
		}
		if len(f.steps) != 1 || f.made != 0 {
			t.Fatalf("the strategy was stepped %d times and made %d things although the intent could not be stored", len(f.steps), f.made)
		}
		broken = false
		op, err = r.Await(t.Context(), op)
		if err != nil || op.Phase != backup.PhaseSucceeded || f.made != 1 {
			t.Errorf("%v %s made %d", err, op.Phase, f.made)
		}
	})
}

// What a Step learnt stays in the process when it can not be stored, and is stored before the next Step.
func TestRunnerKeepsWhatItCouldNotStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		inner := fileStore(t)
		store := &failing{Store: inner, fail: func([]*backup.Record) error {
			if broken.Load() {
				return &backup.Error{Op: "store", Code: backup.ErrUnavailable, Err: errors.New("disk full")}
			}
			return nil
		}}
		f := &fake{}
		f.after = func(context.Context, backup.Operation) bool {
			broken.Store(true)
			time.AfterFunc(5*time.Minute, func() { broken.Store(false) })
			return false
		}
		r := runner(t, f, with(store))
		op, err := r.Run(t.Context(), start(t, f, "t", 0))
		if err != nil || op.Phase != backup.PhaseSucceeded || f.made != 1 || len(op.Points) != 1 {
			t.Fatalf("%v %s made %d points %v", err, op.Phase, f.made, op.Points)
		}
		if rec, err := inner.Load(t.Context(), op.ID); err != nil || rec.Operation.Phase != backup.PhaseSucceeded {
			t.Errorf("stored: %v %v", rec.Operation.Phase, err)
		}
	})
}

func TestRunnerSettlesAfterALostReplyAndAfterDeath(t *testing.T) {
	for _, how := range []string{"lost reply", "panic", "not applied"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := fileStore(t)
				f := &fake{settle: 6 * time.Minute}
				once := true
				switch how {
				case "lost reply":
					f.after = func(context.Context, backup.Operation) bool { defer func() { once = false }(); return once }
				case "panic":
					f.after = func(context.Context, backup.Operation) bool {
						if once {
							once = false
							panic("killed")
						}
						return false
					}
				case "not applied":
					f.onStep = func(_ context.Context, op backup.Operation) error {
						if once && op.Next != "" {
							once = false
							return &backup.Error{Code: backup.ErrUnavailable, Err: errors.New("no answer")}
						}
						return nil
					}
				}
				life := func() (op backup.Operation, err error) {
					defer func() {
						if p := recover(); p != nil {
							err = fmt.Errorf("died: %v", p)
						}
					}()
					return runner(t, f, with(store)).Run(t.Context(), start(t, f, "t", 0))
				}
				began := time.Now()
				op, err := life()
				if how == "panic" {
					if err == nil {
						t.Fatal("did not die")
					}
					op, err = life()
				}
				if err != nil || op.Phase != backup.PhaseSucceeded || f.made != 1 {
					t.Fatalf("%v %s made %d", err, op.Phase, f.made)
				}
				if how == "not applied" && time.Since(began) < f.settle {
					t.Errorf("sent again after %v, before the settle window was over", time.Since(began))
				}
				for i, s := range f.steps {
					if s.Next != "" && s.Attempt > 1 && s.Intent() != backup.Settle {
						t.Errorf("step %d: attempt %d has intent %v", i, s.Attempt, s.Intent())
					}
				}
			})
		})
	}
}

// Two Runners on one Store: the second watches, and takes over when the first has died and its lease is over.
func TestRunnerTakesOverOnlyAfterTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := fileStore(t)
		f := &fake{polls: 1}
		a, b := runner(t, f, with(store)), runner(t, f, with(store))
		op, err := a.Start(t.Context(), start(t, f, "t", 0))
		if err != nil {
			t.Fatal(err)
		}
		if op, err = a.Step(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		if _, err = b.Step(t.Context(), op); !errors.Is(err, backup.ErrConflict) {
			t.Fatalf("b stepped while a holds it: %v", err)
		}
		began := time.Now()
		op, err = b.Await(t.Context(), op)
		if err != nil || op.Phase != backup.PhaseSucceeded || f.made != 1 {
			t.Fatalf("%v %s made %d", err, op.Phase, f.made)
		}
		if d := time.Since(began); d < 3*time.Minute || d > 5*time.Minute {
			t.Errorf("took over and ended after %v, wanted soon after the lease of 3 minutes", d)
		}
		if _, err = a.Step(t.Context(), op); err != nil && !errors.Is(err, backup.ErrConflict) || f.made != 1 {
			t.Errorf("the first runner came back: %v, made %d", err, f.made)
		}
	})
}

// A run that was paused between the intent and the request does not send.
func TestRunnerFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{settle: time.Minute}
		paused := false
		f.onStep = func(_ context.Context, op backup.Operation) error {
			if op.Next != "" && !paused {
				paused = true
				time.Sleep(4 * time.Minute) // longer than the lease, and deaf to the context
			}
			return nil
		}
		op, err := runner(t, f, with(fileStore(t))).Run(t.Context(), start(t, f, "t", 0))
		if err != nil || f.made != 1 {
			t.Fatalf("%v made %d", err, f.made)
		}
		if len(f.fences) != 2 || !errors.Is(f.fences[0], backup.ErrConflict) || f.fences[1] != nil {
			t.Errorf("the fence said %v", f.fences)
		}
		if op.Phase != backup.PhaseSucceeded {
			t.Error(op.Phase)
		}
	})
}

// In a Step that may only read, the fence refuses every call that changes something.
func TestRunnerFenceRefusesInAReadingStep(t *testing.T) {
	f := &fake{}
	f.onStep = func(ctx context.Context, op backup.Operation) error {
		if err := backup.CheckFence(ctx); (err == nil) != (op.Next != "") {
			t.Errorf("stage %s, next %q: the fence says %v", op.Stage, op.Next, err)
		}
		return nil
	}
	r := runner(t, f)
	op := start(t, f, "t", 0)
	for range 2 {
		var err error
		if op, err = r.Step(t.Context(), op); err != nil {
			t.Fatal(err)
		}
	}
}

// An intent whose save failed because the context ended does not keep the operation from the next process.
// A call that changes something is not given up half-way, and ends within the Step's time.
func TestStartTwiceFindsTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := fileStore(t)
		f := &fake{polls: 2}
		r := runner(t, f, with(store))
		var ops [4]backup.Operation
		var wg sync.WaitGroup
		for i := range ops {
			wg.Go(func() {
				var err error
				if ops[i], err = r.Run(t.Context(), start(t, f, "t", 0)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if f.made != 1 {
			t.Errorf("made %d", f.made)
		}
		again, err := runner(t, f, with(store)).Start(t.Context(), start(t, f, "t", 0))
		if diff := cmp.Diff(ops[0], again); err != nil || diff != "" {
			t.Errorf("a start after the end gave something else: %v %s", err, diff)
		}
	})
}

func TestRunnerRefuses(t *testing.T) {
	f := &fake{}
	for _, c := range []struct {
		name string
		s    []backup.Strategy
		o    func(*backup.RunnerOptions)
	}{
		{"none", nil, nil},
		{"nil", []backup.Strategy{nil}, nil},
		{"two of a kind", []backup.Strategy{f, f}, nil},
		{"a step over a minute", []backup.Strategy{f}, func(o *backup.RunnerOptions) { o.StepTimeout = 2 * time.Minute }},
		{"a run with a slash", []backup.Strategy{f}, func(o *backup.RunnerOptions) { o.Run = "../x" }},
		{"a short lease", []backup.Strategy{f}, func(o *backup.RunnerOptions) { o.LeaseTTL = time.Second }},
	} {
		if c.o == nil {
			c.o = func(*backup.RunnerOptions) {}
		}
		if _, err := backup.NewRunner(c.s, c.o); !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	r := runner(t, f, with(fileStore(t)))
	op := start(t, f, "t", 0)
	other := op
	other.Kind = "other"
	if _, err := r.Step(t.Context(), other); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("an unknown kind: %v", err)
	}
	if _, err := r.Step(t.Context(), op); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("an operation that was never given to Start: %v", err)
	}
	newer := op
	newer.Version++
	if _, err := r.Start(t.Context(), newer); !errors.Is(err, backup.ErrUnsupported) {
		t.Errorf("a newer version: %v", err)
	}
	big := op
	if err := big.SetState(strings.Repeat("x", backup.MaxOperationBytes)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Start(t.Context(), big); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("an operation of more than 16 KiB: %v", err)
	}
	f.replace = func(op backup.Operation) (backup.Operation, bool) { op.Ref.ID = "b"; return op, true }
	if _, err := runner(t, f).Step(t.Context(), op); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("a strategy that changes the identity: %v", err)
	}
}

// A durable engine that delivers the same input again says so, and nothing is sent at once.

// What a caller does with the Operation that it got changes nothing that the Runner holds.
func TestRunnerSharesNothing(t *testing.T) {
	f := &fake{}
	store := fileStore(t)
	var seen []backup.Operation
	r := runner(t, f, with(store), func(o *backup.RunnerOptions) {
		o.Observer = backup.ObserverFunc(func(_ context.Context, e backup.Event) { seen = append(seen, e.Operation) })
	})
	tags := map[string]string{"team": "orders"}
	op, err := f.Start(t.Context(), thing, backup.Spec{Token: "t", Tags: tags})
	if err != nil {
		t.Fatal(err)
	}
	given := op
	spoil := func(op backup.Operation) {
		for k := range op.Tags {
			op.Tags[k] = "spoilt"
		}
		for i := range op.Points {
			op.Points[i].ID = "spoilt"
		}
	}
	if op, err = r.Start(t.Context(), op); err != nil {
		t.Fatal(err)
	}
	spoil(given)
	spoil(op)
	for range 2 {
		if op, err = r.Step(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		spoil(op)
		for _, o := range seen {
			spoil(o)
		}
	}
	op, err = r.Step(t.Context(), op)
	if err != nil || op.Phase != backup.PhaseSucceeded || op.Tags["team"] != "orders" || op.Points[0].ID != "p" {
		t.Errorf("%v %s %v %v", err, op.Phase, op.Tags, op.Points)
	}
	rec, err := store.Load(t.Context(), op.ID)
	if err != nil || rec.Operation.Tags["team"] != "orders" || rec.Operation.Points[0].ID != "p" {
		t.Errorf("stored: %v %v %v", err, rec.Operation.Tags, rec.Operation.Points)
	}
}

// A run that has lost its lease to another does not answer from memory.
func TestStartLooksAtTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := fileStore(t)
		f := &fake{}
		a, b := runner(t, f, with(store)), runner(t, f, with(store))
		op, err := a.Start(t.Context(), start(t, f, "t", 0))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Await(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		if again, err := a.Start(t.Context(), op); err != nil || again.Phase != backup.PhaseSucceeded {
			t.Errorf("%v: it says %s", err, again.Phase)
		}
	})
}
