package backuptest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

func checkUnfinished(t tb, s storeHarness) {
	want := map[string]string{}
	for i := range 5 {
		op := newOperation(t, fmt.Sprint("running-", i))
		rec := mustCreate(t, s, op, "run-a")
		if i%2 == 0 {
			rec.Operation.Phase = backup.PhaseRunning
			mustSave(t, s, &rec)
		}
		want[op.ID] = rec.Version
	}
	var done []backup.Record
	for _, phase := range ended {
		rec := mustCreate(t, s, newOperation(t, string(phase)), "run-a")
		rec.Operation.Phase = phase
		mustSave(t, s, &rec)
		mustSave(t, s, &rec)
		done = append(done, rec)
	}
	op := newOperation(t, "ended at once")
	op.Phase = backup.PhaseFailed
	done = append(done, mustCreate(t, s, op, ""))

	found := unfinished(t, s)
	for id, version := range want {
		if rec, ok := found[id]; !ok {
			t.Errorf("Unfinished does not yield %s", id)
		} else if rec.Version != version || rec.Run != "run-a" {
			t.Errorf("Unfinished yields version %q of run %q, want %q of run-a", rec.Version, rec.Run, version)
		}
	}
	for _, rec := range done {
		if _, ok := found[rec.Operation.ID]; ok {
			t.Errorf("Unfinished yields an operation that is %s", rec.Operation.Phase)
		}
		got := mustLoad(t, s, rec.Operation.ID)
		same(t, "Load of a finished operation", got.Operation, rec.Operation)
	}
	if len(found) != len(want) {
		t.Errorf("Unfinished yields %d records, want %d", len(found), len(want))
	}
}

func checkUnfinishedLoop(t tb, s storeHarness) {
	for i := range 4 {
		mustCreate(t, s, newOperation(t, fmt.Sprint("token-", i)), "run-a")
	}
	for range s.Unfinished(t.Context()) {
		break
	}
	n := 0
	for rec, err := range s.Unfinished(t.Context()) {
		if err != nil {
			t.Fatalf("Unfinished: %v", err)
		}
		n++
		rec.Operation.Phase = backup.PhaseSucceeded
		mustSave(t, s, &rec)
		mustCreate(t, s, func() backup.Operation {
			op := newOperation(t, fmt.Sprint("later-", n))
			op.Phase = backup.PhaseSucceeded
			return op
		}(), "")
	}
	if n != 4 {
		t.Errorf("Unfinished yields %d of 4 records while they are saved", n)
	}
	if left := unfinished(t, s); len(left) != 0 {
		t.Errorf("%d operations are unfinished after all were finished", len(left))
	}
}

func checkLease(t tb, s storeHarness) {
	base := time.Now().UTC().Truncate(time.Millisecond)
	want := map[string]time.Time{"run-never": {}}
	check := func(what string) {
		t.Helper()
		for run, until := range want {
			got, err := s.Lease(t.Context(), run)
			if err != nil || !got.Equal(until) {
				t.Errorf("%s: the lease of %s is until %v (error %v), want %v", what, run, got, err, until)
			}
		}
	}
	check("at first")
	for _, step := range []struct {
		what, run string
		until     time.Time
	}{
		{"a new run", "run-a", base.Add(time.Minute)},
		{"another run", "run-b", base.Add(2*time.Minute + 789*time.Millisecond)},
		{"renewed", "run-a", base.Add(5 * time.Minute)},
		{"shortened", "run-a", base.Add(time.Second)},
		{"ended", "run-a", base.Add(-time.Second)},
		{"alive again", "run-a", base.Add(time.Hour)},
		{"in another time zone", "run-b", base.Add(time.Hour).In(time.FixedZone("elsewhere", 5*3600+1800))},
	} {
		if err := s.Renew(t.Context(), step.run, step.until); err != nil {
			t.Errorf("%s: Renew: %v", step.what, err)
		}
		want[step.run] = step.until
		check(step.what)
	}
}

func checkRoundTrip(t tb, s storeHarness) {
	op := fullOperation(t, "full")
	rec := mustCreate(t, s, op, "run-a")
	same(t, "Create", rec.Operation, op)
	same(t, "Load", mustLoad(t, s, op.ID).Operation, op)
	same(t, "Unfinished", unfinished(t, s)[op.ID].Operation, op)
	mustSave(t, s, &rec)
	same(t, "Load after Save", mustLoad(t, s, op.ID).Operation, op)

	rec.Operation = newOperation(t, "full") // all that can be empty is empty again
	rec.Operation.Tags = nil
	mustSave(t, s, &rec)
	same(t, "Load after all was emptied", mustLoad(t, s, op.ID).Operation, rec.Operation)
}

func checkBig(t tb, s storeHarness) {
	created := bigOperation(t, "created")
	mustCreate(t, s, created, "run-a")
	same(t, "Load of a long operation", mustLoad(t, s, created.ID).Operation, created)
	var recs []*backup.Record
	for i := range 4 {
		rec := mustCreate(t, s, newOperation(t, fmt.Sprint("grows-", i)), "run-a")
		rec.Operation = bigOperation(t, fmt.Sprint("grows-", i))
		recs = append(recs, &rec)
	}
	if err := s.Save(t.Context(), recs...); err != nil {
		t.Fatalf("Save of long operations: %v", err)
	}
	for _, rec := range recs {
		same(t, "Load of a grown operation", mustLoad(t, s, rec.Operation.ID).Operation, rec.Operation)
	}
}

func checkCopies(t tb, s storeHarness) {
	want := fullOperation(t, "token")
	id := want.ID
	given := fullOperation(t, "token")
	rec := mustCreate(t, s, given, "run-a")
	scramble(given)
	same(t, "what was created, after the caller changed what it gave", mustLoad(t, s, id).Operation, want)
	same(t, "what Create returned, after the caller changed what it gave", rec.Operation, want)
	scramble(rec.Operation)
	same(t, "what was created, after the caller changed what it got", mustLoad(t, s, id).Operation, want)

	existing, _, err := s.Create(t.Context(), want, "run-b")
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	scramble(existing.Operation)
	same(t, "after the caller changed what a second Create gave", mustLoad(t, s, id).Operation, want)
	scramble(mustLoad(t, s, id).Operation)
	same(t, "after the caller changed what Load gave", mustLoad(t, s, id).Operation, want)
	scramble(unfinished(t, s)[id].Operation)
	same(t, "after the caller changed what Unfinished gave", mustLoad(t, s, id).Operation, want)

	rec.Operation = fullOperation(t, "token")
	mustSave(t, s, &rec)
	scramble(rec.Operation)
	same(t, "what was saved, after the caller changed what it gave", mustLoad(t, s, id).Operation, want)
}

func checkContext(t tb, s storeHarness) {
	rec := mustCreate(t, s, newOperation(t, "token"), "run-a")
	until := time.Now().UTC().Truncate(time.Second)
	if err := s.Renew(t.Context(), "run-a", until); err != nil {
		t.Fatalf("Renew: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	over := func(method string, err error) {
		t.Helper()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a context that is over gives %v", method, err)
		}
	}
	fresh := newOperation(t, "fresh")
	_, created, err := s.Create(ctx, fresh, "run-a")
	over("Create", err)
	if created {
		t.Errorf("Create with a context that is over says that it created")
	}
	_, err = s.Load(ctx, rec.Operation.ID)
	over("Load", err)
	changed := rec
	changed.Operation.Stage = "changed"
	over("Save", s.Save(ctx, &changed))
	if changed.Version != rec.Version {
		t.Errorf("Save with a context that is over gives a new version")
	}
	over("Renew", s.Renew(ctx, "run-a", until.Add(time.Hour)))
	_, err = s.Lease(ctx, "run-a")
	over("Lease", err)
	var last error
	for _, err := range s.Unfinished(ctx) {
		last = err
	}
	over("Unfinished", last)

	_, err = s.Load(t.Context(), fresh.ID)
	wantCode(t, "Load of what was created with a context that is over", err, backup.ErrNotFound)
	same(t, "after a Save with a context that is over", mustLoad(t, s, rec.Operation.ID).Operation, rec.Operation)
	if got, err := s.Lease(t.Context(), "run-a"); err != nil || !got.Equal(until) {
		t.Errorf("after a Renew with a context that is over the lease is until %v (error %v), want %v", got, err, until)
	}
}

func checkReopen(t tb, s storeHarness) {
	running := mustCreate(t, s, fullOperation(t, "running"), "run-a")
	running.Operation.Stage = "later"
	mustSave(t, s, &running)
	ended := mustCreate(t, s, newOperation(t, "ended"), "run-a")
	ended.Operation.Phase = backup.PhaseSucceeded
	mustSave(t, s, &ended)
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	if err := s.Renew(t.Context(), "run-a", until); err != nil {
		t.Fatalf("Renew: %v", err)
	}

	again := s.reopen()
	for _, rec := range []backup.Record{running, ended} {
		got := mustLoad(t, again, rec.Operation.ID)
		same(t, "Load by the reopened store", got.Operation, rec.Operation)
		if got.Version != rec.Version || got.Run != rec.Run {
			t.Errorf("reopened, the record is version %q of run %q, want %q of %q", got.Version, got.Run, rec.Version, rec.Run)
		}
		if _, created, err := again.Create(t.Context(), rec.Operation, "run-b"); err != nil || created {
			t.Errorf("Create in the reopened store of what is there: created %v, error %v", created, err)
		}
	}
	if found := unfinished(t, again); len(found) != 1 || found[running.Operation.ID].Version != running.Version {
		t.Errorf("reopened, %d operations are unfinished, want the one that was", len(found))
	}
	if got, err := again.Lease(t.Context(), "run-a"); err != nil || !got.Equal(until) {
		t.Errorf("reopened, the lease is until %v (error %v), want %v", got, err, until)
	}
	stale := running
	mustSave(t, again, &running) // a version outlives the process that it was given to
	wantCode(t, "Save by the first store after the second", s.Save(t.Context(), &stale), backup.ErrConflict)
}

func checkTwoAtOnce(t tb, s storeHarness) {
	noLostUpdate(t, []backup.Store{s, s.reopen(), s.reopen()})
}
