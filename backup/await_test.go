package backup_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

func TestAwaitCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := fileStore(t)
		f := &fake{polls: 1000}
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("deploying")
		time.AfterFunc(95*time.Second, func() { cancel(cause) })
		began := time.Now()
		op, err := runner(t, f, with(store)).Run(ctx, start(t, f, "t", 0))
		if err != cause || time.Since(began) != 95*time.Second {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		if op.Phase != backup.PhaseRunning || len(op.Points) != 1 {
			t.Errorf("the newest operation was not returned: %+v", op)
		}
		f.mu.Lock()
		f.polls = 0
		f.mu.Unlock()
		// The operation was given back: the next process need not wait for the lease.
		began = time.Now()
		op, err = runner(t, f, with(store)).Await(t.Context(), op)
		if err != nil || op.Phase != backup.PhaseSucceeded || time.Since(began) > 30*time.Second {
			t.Errorf("%v %s after %v", err, op.Phase, time.Since(began))
		}
	})
}

func TestAwaitCancelledInASaveGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		inner := fileStore(t)
		store := &failing{Store: inner, fail: func(recs []*backup.Record) error {
			if recs[0].Operation.Attempt > 0 && ctx.Err() == nil {
				cancel()
				return &backup.Error{Op: "store", Code: backup.ErrUnavailable, Err: ctx.Err()}
			}
			return nil
		}}
		f := &fake{}
		op, err := runner(t, f, with(store)).Run(ctx, start(t, f, "t", 0))
		if !errors.Is(err, context.Canceled) || f.made != 0 {
			t.Fatalf("%v, made %d", err, f.made)
		}
		began := time.Now()
		if _, err := runner(t, f, with(inner)).Await(t.Context(), op); err != nil || time.Since(began) > time.Minute {
			t.Errorf("%v after %v: the operation was not given back", err, time.Since(began))
		}
	})
}

func TestSendingIgnoresTheCallersCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := &fake{}
		f.onStep = func(stepCtx context.Context, op backup.Operation) error {
			if op.Next == "" {
				return nil
			}
			cancel()
			if stepCtx.Err() != nil {
				t.Error("the caller's cancellation reached the call")
			}
			if d, ok := stepCtx.Deadline(); !ok || time.Until(d) > time.Minute {
				t.Error("the step has no limit of a minute")
			}
			return nil
		}
		op, err := runner(t, f, with(fileStore(t))).Run(ctx, start(t, f, "t", 0))
		if !errors.Is(err, context.Canceled) || f.made != 1 || len(op.Points) != 1 {
			t.Errorf("%v made %d points %v", err, f.made, op.Points)
		}
	})
}

func TestAwaitErrors(t *testing.T) {
	t.Run("passing errors are waited out", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{}
			began := time.Now()
			f.onStep = func(context.Context, backup.Operation) error {
				if time.Since(began) < 40*time.Minute {
					return &backup.Error{Code: backup.ErrThrottled}
				}
				return nil
			}
			op, err := runner(t, f, with(fileStore(t))).Run(t.Context(), start(t, f, "t", 0))
			if err != nil || op.Phase != backup.PhaseSucceeded || f.made != 1 {
				t.Errorf("%v %s", err, op.Phase)
			}
			if n := len(f.steps); n > 100 {
				t.Errorf("%d steps in 40 minutes of throttling", n)
			}
		})
	})
	t.Run("a missing permission ends the waiting and not the operation", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{}
			f.onStep = func(context.Context, backup.Operation) error {
				return &backup.Error{Code: backup.ErrDenied, Hint: "rds:DescribeDBInstances"}
			}
			op, err := runner(t, f, with(fileStore(t))).Run(t.Context(), start(t, f, "t", 0))
			if !errors.Is(err, backup.ErrDenied) || op.Done() || backup.HintOf(err) != "rds:DescribeDBInstances" {
				t.Errorf("%v %s", err, op.Phase)
			}
		})
	})
	t.Run("a stranger's error is waited out and named unavailable", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{}
			n := 0
			strange := errors.New("strange")
			f.onStep = func(context.Context, backup.Operation) error {
				if n++; n < 3 {
					return strange
				}
				return nil
			}
			var seen error
			op, err := runner(t, f, func(o *backup.RunnerOptions) {
				o.Observer = backup.ObserverFunc(func(_ context.Context, e backup.Event) {
					if e.Err != nil {
						seen = e.Err
					}
				})
			}).Run(t.Context(), start(t, f, "t", 0))
			if err != nil || op.Phase != backup.PhaseSucceeded || !errors.Is(seen, strange) || !errors.Is(seen, backup.ErrUnavailable) {
				t.Errorf("%v %s, observed %v", err, op.Phase, seen)
			}
		})
	})
}

func TestDeadline(t *testing.T) {
	always := &backup.Error{Code: backup.ErrUnavailable, Err: errors.New("no answer")}
	for _, c := range []struct {
		name string
		f    *fake
		want string
		late time.Duration
	}{
		{"AWS never finishes", &fake{polls: 1 << 30}, "not finished by its deadline", 30 * time.Second},
		{"nothing answers", &fake{onStep: func(context.Context, backup.Operation) error { return always }}, "no answer", time.Minute},
		{"the call was perhaps sent", &fake{settle: time.Minute, onStep: func(_ context.Context, op backup.Operation) error {
			if op.Next != "" || op.Settling {
				return always
			}
			return nil
		}}, "whether the last call took effect was not learnt", 16 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				op, err := runner(t, c.f, with(fileStore(t))).Run(t.Context(), start(t, c.f, "t", time.Hour))
				if op.Phase != backup.PhaseFailed || !errors.Is(err, backup.ErrUnavailable) || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("%s: %v", op.Phase, err)
				}
				if d := time.Since(began); d < time.Hour || d > time.Hour+c.late {
					t.Errorf("ended after %v", d)
				}
				if len(op.Points) != c.f.made {
					t.Errorf("%d points listed of %d", len(op.Points), c.f.made)
				}
			})
		})
	}
}

func TestUnfinishedAndCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := fileStore(t)
		f := &fake{polls: 1000}
		c := canceling{f}
		f.cancel = func(op backup.Operation) (backup.Operation, error) {
			op.Canceling = true
			op.To("stop", "")
			return op, nil
		}
		f.replace = func(op backup.Operation) (backup.Operation, bool) {
			if op.Stage == "stop" {
				op.Fail(&backup.Error{Code: backup.ErrCanceled, Err: errors.New("as asked")})
				return op, true
			}
			return op, false
		}
		r := runner(t, c, with(store))
		op, err := r.Start(t.Context(), start(t, c, "t", 0))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if op, err = r.Step(t.Context(), op); err != nil {
				t.Fatal(err)
			}
		}
		var ids []string
		for u, err := range r.Unfinished(t.Context()) {
			if err != nil {
				t.Error(err)
			}
			ids = append(ids, u.ID)
		}
		if !slices.Equal(ids, []string{op.ID}) {
			t.Errorf("unfinished: %v", ids)
		}
		if op, err = r.Cancel(t.Context(), op); err != nil || !op.Canceling {
			t.Fatal(op.Canceling, err)
		}
		op, err = r.Await(t.Context(), op)
		if op.Phase != backup.PhaseCanceled || !errors.Is(err, backup.ErrCanceled) || len(op.Points) != 1 {
			t.Errorf("%s %v %v", op.Phase, err, op.Points)
		}
		for u := range r.Unfinished(t.Context()) {
			t.Errorf("unfinished after the end: %s", u.ID)
		}
		if _, err := runner(t, f).Cancel(t.Context(), op); !errors.Is(err, backup.ErrUnsupported) {
			t.Errorf("a strategy that can not cancel: %v", err)
		}
	})
}

func TestRetried(t *testing.T) {
	f := &fake{settle: time.Hour}
	r := runner(t, f)
	op, err := r.Step(t.Context(), start(t, f, "t", 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Step(t.Context(), op); err != nil || f.made != 1 {
		t.Fatal(err, f.made)
	}
	again, err := r.Step(t.Context(), op.Retried(1))
	if err != nil || f.made != 1 || !again.Settling {
		t.Errorf("%v: the second delivery made %d in all, settling %v", err, f.made, again.Settling)
	}
}

// When even the Store does not answer until the deadline and beyond, Await comes back with that, and not never.
func TestAwaitEndsWithoutAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := &backup.Error{Op: "store", Code: backup.ErrUnavailable, Err: errors.New("gone")}
		broken := false
		store := &failing{Store: fileStore(t), fail: func([]*backup.Record) error {
			if broken {
				return down
			}
			return nil
		}}
		f := &fake{polls: 1 << 30}
		r := runner(t, f, with(store))
		op, err := r.Start(t.Context(), start(t, f, "t", time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		broken = true
		began := time.Now()
		if _, err = r.Await(t.Context(), op); !errors.Is(err, backup.ErrUnavailable) || time.Since(began) > 2*time.Hour {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// Past the deadline nothing more is sent, also where an attempt was recorded before.
func TestNothingIsSentPastTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		late := 0
		f.replace = func(op backup.Operation) (backup.Operation, bool) { return op, false }
		f.onStep = func(ctx context.Context, op backup.Operation) error {
			if op.Next == "" {
				return nil
			}
			// A strategy whose call repeats harmlessly asks no more than the fence.
			if err := backup.CheckFence(ctx); err != nil {
				return err
			}
			if time.Now().After(op.Deadline) {
				late++
			}
			return &backup.Error{Code: backup.ErrUnavailable, Err: errors.New("no answer")}
		}
		op, err := runner(t, f, with(fileStore(t))).Run(t.Context(), start(t, f, "t", time.Hour))
		if late > 0 || op.Phase != backup.PhaseFailed || !errors.Is(err, backup.ErrUnavailable) {
			t.Errorf("sent %d times past the deadline, ended %s: %v", late, op.Phase, err)
		}
	})
}
