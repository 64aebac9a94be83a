package backuptest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

func checkWhole(t tb, b *bench) {
	p := b.pilot()
	p.restarts = true
	if b.Restart == nil {
		b.note("Subject.Restart is nil: the process never changed")
	}
	op := p.done(t, b.backups(t), "one")
	if op.Percent != 100 || op.Next != "" || op.Attempt != 0 || op.Settling || op.Failure != nil {
		t.Errorf("the %s that succeeded is at %d percent with Next %q, Attempt %d, Settling %v, Failure %v", op.Action, op.Percent, op.Next, op.Attempt, op.Settling, op.Failure)
	}
	if len(op.Points) == 0 {
		t.Errorf("the %s that succeeded lists no recovery point", op.Action)
	}
	if len(op.Made) > 0 {
		t.Errorf("the %s that succeeded lists in Made %v; what it has made are points", op.Action, op.Made)
	}
	seen := map[backup.Ref]bool{}
	for _, r := range op.Points {
		if err := r.Validate(); err != nil {
			t.Errorf("the recovery point %s: %v", r, err)
		}
		if seen[r] {
			t.Errorf("the recovery point %s is listed twice", r)
		}
		seen[r] = true
		if r == b.Resource || r.Type == b.Resource.Type && op.Action != backup.ActionCopy {
			t.Errorf("the recovery point %s is the resource, or has the type of one", r)
		}
		if !b.exists(r) {
			t.Errorf("the %s succeeded and its recovery point %s does not exist", op.Action, r)
		}
	}
	if b.Count == nil {
		b.note("Subject.Count is nil: that one thing was made was not checked")
		return
	}
	b.once(t, op)
}

func checkWholeOver(t tb, b *bench) {
	f := b.backups(t)
	p := b.pilot()
	first := p.done(t, f, "one")
	b.rest()
	// The names of the first, and another token: what the first has made must stay as it is, and its own.
	spec := b.spec(f.action, "one")
	spec.Token = b.prefix + "another"
	op, err := f.start(b.Strategy, f.ref, spec)
	if err != nil {
		t.Fatalf("starting the %s: %v", f.action, err)
	}
	b.remember(op)
	op = p.finish(t, op)
	for _, r := range first.Points {
		switch {
		case slices.Contains(op.Points, r) || slices.Contains(op.Made, r):
			t.Errorf("a second %s, which ended %s, lists %s, which the first has made", f.action, op.Phase, r)
		case !b.exists(r):
			t.Errorf("a second %s, which ended %s, removed %s, which the first has made", f.action, op.Phase, r)
		}
	}
	if op.Phase != backup.PhaseSucceeded && backup.CodeOf(op.Err()) != backup.ErrConflict {
		t.Errorf("the %s to a name that is taken ended %s: %v; want %q", f.action, op.Phase, op.Err(), backup.ErrConflict)
	}
	if b.Count != nil {
		b.once(t, first)
		b.orphan(t, op)
	}
}

func checkRunner(t tb, b *bench) {
	for _, f := range b.flows(t) {
		r, err := backup.NewRunner([]backup.Strategy{b.Strategy})
		if err != nil {
			t.Fatalf("NewRunner: %v", err)
		}
		op, err := r.Run(t.Context(), b.begin(t, f, "one"))
		if err != nil || op.Phase != backup.PhaseSucceeded {
			t.Errorf("a Runner's %s ended %s, stage %q: %v", f.action, op.Phase, op.Stage, err)
		}
		if b.Count != nil {
			b.once(t, op)
		}
	}
}

func checkDeadline(t tb, b *bench) {
	for _, f := range b.flows(t) {
		for i, timeout := range []time.Duration{time.Millisecond, 2 * time.Second, time.Minute} {
			if f.action == backup.ActionDelete {
				f.ref = b.point(t, fmt.Sprint("late-", i))
			}
			spec := b.spec(f.action, fmt.Sprint("timeout-", i))
			spec.Timeout = timeout
			op, err := f.start(b.Strategy, f.ref, spec)
			if err != nil {
				t.Fatalf("starting the %s: %v", f.action, err)
			}
			r, err := backup.NewRunner([]backup.Strategy{b.Strategy})
			if err != nil {
				t.Fatalf("NewRunner: %v", err)
			}
			began := time.Now()
			op, err = r.Run(t.Context(), op)
			if took := time.Since(began); !op.Done() || took > timeout+20*time.Minute {
				t.Errorf("the %s with a timeout of %v is %s after %v: %v", f.action, timeout, op.Phase, took, err)
			}
			b.orphan(t, op)
		}
	}
}

func checkConcurrent(t tb, b *bench) {
	const n = 3
	s := b.Strategy
	_, deletes := backup.As[backup.Deleter](s)
	ops := make([]backup.Operation, n)
	var wg sync.WaitGroup
	for i := range n {
		op := b.begin(t, b.backups(t), fmt.Sprint("at-once-", i))
		wg.Go(func() {
			r, err := backup.NewRunner([]backup.Strategy{s})
			if err != nil {
				t.Errorf("NewRunner: %v", err)
				return
			}
			if ops[i], err = r.Run(t.Context(), op); err != nil {
				t.Errorf("one of %d backups at once ended %s: %v", n, ops[i].Phase, err)
			}
		})
	}
	for range n {
		wg.Go(func() {
			if l, ok := backup.As[backup.Lister](s); ok {
				for _, err := range l.List(t.Context(), b.here()) {
					if err != nil {
						t.Errorf("listing beside backups: %v", err)
					}
				}
			}
			if d, ok := backup.As[backup.Discoverer](s); ok {
				for _, err := range d.Discover(t.Context(), b.here()) {
					if err != nil {
						t.Errorf("discovering beside backups: %v", err)
					}
				}
			}
			_ = s.Kind()
			if _, err := s.Start(t.Context(), b.Resource, b.spec(b.starts(), "beside")); err != nil {
				t.Errorf("starting beside backups: %v", err)
			}
		})
	}
	wg.Wait()
	seen := map[backup.Ref]bool{}
	for _, op := range ops {
		b.remember(op)
		for _, r := range op.Points {
			if seen[r] {
				t.Errorf("two backups at once list the same recovery point %s", r)
			}
			seen[r] = true
		}
		if b.Count != nil {
			b.once(t, op)
		}
	}
	// Two may look at one Operation at the same time; under -race this finds who writes into what was given.
	op := b.begin(t, b.backups(t), "shared")
	op.Attempt = 0
	for range n {
		wg.Go(func() { _, _ = s.Step(t.Context(), op) })
	}
	wg.Wait()
	if !deletes {
		b.note("the Strategy is no Deleter: deleting at once was not tried")
		return
	}
	for i, op := range ops {
		if len(op.Points) == 0 {
			continue
		}
		del := b.begin(t, b.deletes(t, op.Points[0]), fmt.Sprint("delete-", i))
		wg.Go(func() {
			r, err := backup.NewRunner([]backup.Strategy{s})
			if err == nil {
				_, err = r.Run(t.Context(), del)
			}
			if err != nil {
				t.Errorf("one of %d deletions at once: %v", n, err)
			}
		})
	}
	wg.Wait()
}

// goroutineLabel marks the goroutines that the Strategy starts: they inherit it.
const goroutineLabel = "backuptest-conformance"

func checkGoroutines(t tb, b *bench) {
	flows := b.flows(t)
	mark := fmt.Sprintf("%p", b)
	pprof.Do(t.Context(), pprof.Labels(goroutineLabel, mark), func(ctx context.Context) {
		over, cancel := context.WithCancel(ctx)
		for _, f := range flows {
			p := b.pilot()
			op := b.begin(t, f, "one")
			if op.Next == "" {
				_, _ = p.s.Step(over, op)
			}
			p.done(t, f, "one")
		}
		if l, ok := backup.As[backup.Lister](b.Strategy); ok {
			l.List(over, b.here())(func(backup.RecoveryPoint, error) bool { return false })
			l.List(ctx, b.here())(func(backup.RecoveryPoint, error) bool { return false })
		}
		if d, ok := backup.As[backup.Discoverer](b.Strategy); ok {
			d.Discover(over, b.here())(func(backup.Resource, error) bool { return false })
			d.Discover(ctx, b.here())(func(backup.Resource, error) bool { return false })
		}
		cancel()
	})
	time.Sleep(time.Second) // what is on its way out may go
	var buf bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&buf, 1); err != nil {
		t.Fatalf("the goroutines can not be listed: %v", err)
	}
	for _, block := range strings.Split(buf.String(), "\n\n") {
		if strings.Contains(block, goroutineLabel) && strings.Contains(block, mark) {
			t.Errorf("a goroutine was left behind:\n%s", block)
		}
	}
}
