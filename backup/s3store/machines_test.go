package s3store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/backuptest"
)

// Machines that all do the same at the same time, over a bad network: every acknowledged count is in the Operation, and one machine at most was told
// that it created it.
func TestMachinesTogether(t *testing.T) {
	kinds := []awssim.FaultKind{awssim.FaultLostReply, awssim.FaultServerErrorApplied, awssim.FaultServerError, awssim.FaultThrottle, awssim.FaultUnreachable}
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t)
			const machines, each = 4, 6
			stores := make([]backup.Store, machines)
			for i := range stores {
				stores[i] = b.open()
			}
			b.watchMarkers()
			random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test that repeats
			for range 40 {
				b.world.Inject(awssim.Fault{Operation: []string{"PutObject", "GetObject"}[random.IntN(2)], Skip: random.IntN(60), Kind: kinds[random.IntN(len(kinds))], Times: 1 + random.IntN(3)})
			}
			op := operation(t, seed)
			var mu sync.Mutex
			var created, acked, unclear int
			var wg sync.WaitGroup
			for i := range machines {
				wg.Go(func() {
					pause := rand.New(rand.NewPCG(seed, uint64(i))) //nolint:gosec // as above
					s := stores[i]
					for {
						_, made, err := s.Create(t.Context(), op, fmt.Sprint("run-", i))
						mu.Lock()
						if made {
							created++
						}
						mu.Unlock()
						if err == nil {
							break
						}
					}
					for done, tries := 0, 0; done < each; tries++ {
						if tries > 500 {
							t.Error("it comes to no end")
							return
						}
						time.Sleep(time.Duration(pause.IntN(1000)))
						rec, err := s.Load(t.Context(), op.ID)
						if err != nil {
							continue
						}
						rec.Operation.Attempt++
						rec.Run = fmt.Sprint("run-", i)
						err = s.Save(t.Context(), &rec)
						mu.Lock()
						if err == nil {
							acked++
							done++
						} else {
							unclear++ // also a conflict: this write may have been the one that another then wrote over
						}
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			b.world.Heal()
			rec, err := stores[0].Load(t.Context(), op.ID)
			b.ok(err)
			if created > 1 {
				t.Errorf("seed %d: %d machines were told that they created the operation", seed, created)
			}
			if n := rec.Operation.Attempt; n < acked || n > acked+unclear {
				t.Errorf("seed %d: %d counts are stored, %d were acknowledged and %d unclear", seed, n, acked, unclear)
			}
			b.end(stores[1], &rec)
			if ids, errs := unfinished(t.Context(), stores[2]); len(ids)+len(errs) > 0 {
				t.Errorf("seed %d: unfinished in the end: %v %v", seed, ids, errs)
			}
		})
	}
}

// Without a fault every count is there, and exactly one machine created the Operation.
func TestMachinesCountExactly(t *testing.T) {
	b := newBed(t)
	b.watchMarkers()
	const machines, each = 4, 10
	op := operation(t, 1)
	var mu sync.Mutex
	created := 0
	var wg sync.WaitGroup
	for i := range machines {
		s := b.open()
		wg.Go(func() {
			if _, made, err := s.Create(t.Context(), op, fmt.Sprint("run-", i)); err != nil {
				t.Error(err)
				return
			} else if made {
				mu.Lock()
				created++
				mu.Unlock()
			}
			for done := 0; done < each; {
				rec, err := s.Load(t.Context(), op.ID)
				if err != nil {
					t.Error(err)
					return
				}
				rec.Operation.Attempt++
				switch err := s.Save(t.Context(), &rec); {
				case err == nil:
					done++
				case !errors.Is(err, backup.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	rec, err := b.open().Load(t.Context(), op.ID)
	if err != nil || rec.Operation.Attempt != machines*each || created != 1 {
		t.Errorf("%d counts of %d, created by %d: %v", rec.Operation.Attempt, machines*each, created, err)
	}
	if n := len(b.keys("open")); n != 1 {
		t.Errorf("%d markers", n)
	}
}

// Two Runners on two machines: the one dies in the middle of the work, and the other carries it on to its end, once.
func TestRunnersOnTwoMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		script := func() *backuptest.Script {
			return backuptest.NewScript("storetest", backuptest.Progress(10, time.Second), backuptest.Make("MakeThing"), backuptest.Succeed())
		}
		runner := func(s backup.Strategy, run string) *backup.Runner {
			store := b.open()
			r, err := backup.NewRunner([]backup.Strategy{s}, func(o *backup.RunnerOptions) { o.Store, o.Run = store, run })
			b.ok(err)
			return r
		}
		service := script() // AWS, which both machines see
		first, second := runner(service, "run-a"), runner(service, "run-b")
		op, err := service.Start(t.Context(), thing, backup.Spec{Token: "token"})
		b.ok(err)
		op, err = first.Start(t.Context(), op)
		b.ok(err)
		for range 2 {
			time.Sleep(2 * time.Second)
			op, err = first.Step(t.Context(), op)
			b.ok(err)
		}
		if op.Next == "" {
			t.Fatalf("the operation is %s, and nothing is under way", op.Stage)
		}
		b.world.Inject(awssim.Fault{Operation: "PutObject", Skip: 1, Kind: awssim.FaultDieBefore}) // the intent is stored, the result is not
		if _, lived := survive(func() error { _, err := first.Step(t.Context(), op); return err }); lived {
			t.Fatal("the first machine did not die")
		}
		var left []backup.Record
		other := b.open()
		for rec, err := range other.Unfinished(t.Context()) {
			b.ok(err)
			left = append(left, rec)
		}
		if len(left) != 1 || left[0].Run != "run-a" {
			t.Fatalf("left behind is %+v", left)
		}
		if _, err := second.Step(t.Context(), left[0].Operation); !errors.Is(err, backup.ErrConflict) {
			t.Errorf("the second machine takes over while the lease lasts: %v", err)
		}
		time.Sleep(10 * time.Minute)
		op, err = second.Await(t.Context(), left[0].Operation)
		if err != nil || op.Phase != backup.PhaseSucceeded || len(op.Points) != 1 {
			t.Errorf("the second machine ends with %s, points %v, error %v", op.Phase, op.Points, err)
		}
		if n := service.Made(op.ID); n != 1 {
			t.Errorf("%d things were made", n)
		}
		if ids, errs := unfinished(t.Context(), other); len(ids)+len(errs) > 0 {
			t.Errorf("unfinished in the end: %v %v", ids, errs)
		}
	})
}
