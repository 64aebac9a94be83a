package s3store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/s3store"
)

// watchMarkers has every moment checked: no Operation that has not ended is without its marker.
func (b *bed) watchMarkers() {
	b.world.Watch(func(c awssim.Call) {
		open := b.keys("open")
		for _, name := range b.keys("op") {
			var o struct {
				Marker    string           `json:"marker"`
				Operation backup.Operation `json:"operation"`
			}
			if json.Unmarshal([]byte(b.content(options.Prefix+"/op/"+name)), &o) != nil || o.Operation.Done() {
				continue
			}
			if !slices.Contains(open, strings.TrimSuffix(name, ".json")+"."+o.Marker) {
				b.Errorf("after %s the unfinished operation %s is not in the list", c.Operation, o.Operation.ID)
			}
		}
	})
}

// stages are what the job's Operation goes through.
var stages = []string{"one", "two"}

// job is a caller that keeps to the contract of a Store: what it was told is what it relies on, and after an error it looks again.
type job struct {
	*bed
	op backup.Operation
	// acked is how many stages were acknowledged as saved; created how often Create was told true.
	acked, created int
}

// run carries the Operation on to its end or to the first error.
func (j *job) run(s backup.Store) error {
	ctx := j.Context()
	rec, created, err := s.Create(ctx, j.op, "run-a")
	if err != nil {
		return err
	}
	if created {
		j.created++
	}
	at := slices.Index(stages, rec.Operation.Stage) + 1
	if at < j.acked {
		j.Errorf("stage %d was acknowledged, and %d is stored", j.acked, at)
	}
	for ; at < len(stages); at++ {
		rec.Operation.Stage = stages[at]
		if at == len(stages)-1 {
			rec.Operation.Succeed()
		}
		before := rec.Version
		err := s.Save(ctx, &rec)
		if (err == nil) == (rec.Version == before) {
			j.Errorf("Save gives %v and the version %q after %q", err, rec.Version, before)
		}
		if errors.Is(err, backup.ErrNotFound) || errors.Is(err, backup.ErrConflict) {
			j.Errorf("the only writer's Save gives %v", err)
		}
		if err != nil {
			return err
		}
		j.acked = at + 1
		got, err := s.Load(ctx, j.op.ID)
		if err != nil {
			return err
		}
		if got.Version != rec.Version || got.Operation.Stage != rec.Operation.Stage {
			j.Errorf("saved was %s of %s, loaded is %s of %s", rec.Operation.Stage, rec.Version, got.Operation.Stage, got.Version)
		}
		until := time.Now().UTC()
		if err := s.Renew(ctx, "run-a", until); err != nil {
			return err
		}
		if lease, err := s.Lease(ctx, "run-a"); err != nil {
			return err
		} else if !lease.Equal(until) {
			j.Errorf("the lease is until %v, renewed was %v", lease, until)
		}
		ids, errs := unfinished(ctx, s)
		if len(errs) > 0 {
			return errs[0]
		}
		if wanted := !rec.Operation.Done(); slices.Contains(ids, j.op.ID) != wanted {
			j.Errorf("in stage %s the list of the unfinished is %v", rec.Operation.Stage, ids)
		}
	}
	return nil
}

// survive runs f, and reports whether the process lived on.
func survive(f func() error) (err error, lived bool) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case awssim.Killed:
			err = r
		default:
			panic(r)
		}
	}()
	return f(), true
}

// Every call of a whole life is hit by every fault: once, so that the SDK's own retries meet it, and often enough that they give up.
func TestFaults(t *testing.T) {
	var lives map[string]int // the requests of a life without faults
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		s := b.open()
		before := len(b.world.Calls())
		b.ok((&job{bed: b, op: operation(t, 1)}).run(s))
		lives = b.calls(before)
	})
	if len(lives) != 4 {
		t.Fatalf("the life makes %v", lives)
	}
	kinds := []awssim.FaultKind{awssim.FaultDieBefore, awssim.FaultDieAfter, awssim.FaultUnreachable, awssim.FaultLostReply, awssim.FaultServerError,
		awssim.FaultServerErrorApplied, awssim.FaultThrottle, awssim.FaultHang, awssim.FaultExpired, awssim.FaultGarbage}
	// A single one of these is nothing that the caller hears of.
	hidden := []awssim.FaultKind{awssim.FaultUnreachable, awssim.FaultLostReply, awssim.FaultServerError, awssim.FaultServerErrorApplied, awssim.FaultThrottle}
	points, runs := 0, 0
	for operation, n := range lives {
		points += n
		for _, kind := range kinds {
			for _, times := range []int{1, 3} {
				if times > 1 && !slices.Contains(hidden, kind) {
					continue // the SDK does not try again, so that the caller meets the same fault once more
				}
				t.Run(fmt.Sprintf("%s/%v/%d", operation, kind, times), func(t *testing.T) {
					for skip := range n {
						runs++
						synctest.Test(t, func(t *testing.T) {
							life(t, awssim.Fault{Operation: operation, Skip: skip, Times: times, Kind: kind}, times == 1 && slices.Contains(hidden, kind))
						})
					}
				})
			}
		}
	}
	if !t.Failed() {
		fmt.Printf("sweep workflow=s3store points=%d runs=%d fired=%d violations=0 unfired=0\n", points, runs, runs)
	}
}

func life(t *testing.T, f awssim.Fault, hidden bool) {
	b := newBed(t)
	s := b.open()
	b.watchMarkers()
	fault := b.world.Inject(f)
	j := &job{bed: b, op: operation(t, 1)}
	failures := 0
	for {
		err, lived := survive(func() error { return j.run(s) })
		if err == nil {
			break
		}
		if failures++; failures > 5 {
			t.Fatalf("at %s %d: %d failures, the last: %v", f.Operation, f.Skip, failures, err)
		}
		if hidden {
			t.Errorf("at %s %d: %v", f.Operation, f.Skip, err)
		}
		if !lived {
			s = reopen(b)
			continue
		}
		var e *backup.Error
		if !errors.As(err, &e) || e.Hint == "" {
			t.Errorf("at %s %d: %v is no *backup.Error with a hint", f.Operation, f.Skip, err)
		}
	}
	if fault.Fired() == 0 {
		t.Errorf("the fault at %s %d was never met", f.Operation, f.Skip)
	}
	b.world.Heal()
	if j.created > 1 || hidden && j.created != 1 {
		t.Errorf("at %s %d: Create was told true %d times", f.Operation, f.Skip, j.created)
	}
	// What is left of markers is swept by lists, at the latest after a day.
	time.Sleep(day + time.Minute)
	s = b.open()
	if ids, errs := unfinished(t.Context(), s); len(ids) > 0 || len(errs) > 0 {
		t.Errorf("at %s %d: unfinished in the end: %v %v", f.Operation, f.Skip, ids, errs)
	}
	if left := b.keys("open"); len(left) > 0 {
		t.Errorf("at %s %d: markers in the end: %v", f.Operation, f.Skip, left)
	}
	if n := len(b.keys("op")); n != 1 {
		t.Errorf("at %s %d: %d records", f.Operation, f.Skip, n)
	}
}

// reopen opens a Store after a death, which the fault may hit again.
func reopen(b *bed) *s3store.Store {
	for range 5 {
		var s *s3store.Store
		if err, _ := survive(func() error { s = b.open(); return nil }); err == nil {
			return s
		}
	}
	b.Fatal("no Store can be opened")
	return nil
}

// A canceled request may have been applied, and a Store says neither that it was nor that it was not.
func TestCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		s := b.open()
		rec := b.create(s, 1)
		ctx, cancel := withCause(t)
		b.world.Inject(awssim.Fault{Operation: "PutObject", Kind: awssim.FaultCancel, Do: func() { cancel(errors.New("enough")) }})
		before := rec.Version
		rec.Operation.Stage = "one"
		if err := s.Save(ctx, &rec); err == nil || err.Error() != "enough" || rec.Version != before {
			t.Errorf("Save gives %v and the version %q, before it %q", err, rec.Version, before)
		}
		got, err := s.Load(t.Context(), rec.Operation.ID)
		if err != nil || got.Operation.Stage != "one" {
			t.Errorf("Load gives stage %q and %v", got.Operation.Stage, err)
		}
	})
}

// S3 refuses a write beside another with 409; it is sent again as long as nothing has changed.
func TestConcurrentRefusals(t *testing.T) {
	for _, code := range []string{"ConditionalRequestConflict", "OperationAborted"} {
		for _, times := range []int{1, 7, -1} {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t)
				s := b.open()
				rec := b.create(s, 1)
				b.world.Inject(awssim.Fault{Operation: "PutObject", Times: times, Kind: awssim.FaultError, Error: awssim.Error{Status: 409, Code: code}})
				start := time.Now()
				err := s.Save(t.Context(), &rec)
				if times < 0 && !errors.Is(err, backup.ErrUnavailable) || times > 0 && err != nil {
					t.Errorf("after %d refusals with %s: %v", times, code, err)
				}
				if d := time.Since(start); d > 5*time.Second {
					t.Errorf("after %d refusals with %s it took %v", times, code, d)
				}
			})
		}
	}
	t.Run("another wins", func(t *testing.T) {
		b := newBed(t)
		s := b.open()
		rec := b.create(s, 1)
		theirs := rec
		theirs.Operation.Stage = "theirs"
		b.world.Inject(awssim.Fault{Operation: "PutObject", Kind: awssim.FaultError, Error: awssim.Error{Status: 409, Code: "ConditionalRequestConflict"},
			Do: func() { b.ok(s.Save(b.Context(), &theirs)) }})
		if err := s.Save(t.Context(), &rec); !errors.Is(err, backup.ErrConflict) {
			t.Errorf("Save gives %v", err)
		}
	})
	t.Run("canceled in between", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t)
			s := b.open()
			rec := b.create(s, 1)
			ctx, cancel := withCause(t)
			b.world.Inject(awssim.Fault{Operation: "PutObject", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 409, Code: "OperationAborted"},
				Do: func() { time.AfterFunc(time.Millisecond, func() { cancel(errors.New("enough")) }) }})
			if err := s.Save(ctx, &rec); err == nil || err.Error() != "enough" {
				t.Errorf("Save gives %v", err)
			}
		})
	})
}
