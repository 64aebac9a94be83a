package backuptest

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/snapwarden/snapwarden/backup"
)

var storeChecks = []storeCheck{
	{"create/stores", false, checkCreateStores},
	{"create/gives-what-is-stored", false, checkCreateExisting},
	{"create/one-winner", false, checkOneWinner},
	{"load/not-found", false, checkNotFound},
	{"save/replaces", false, checkSaveReplaces},
	{"save/conflict", false, checkConflict},
	{"save/many", false, checkSaveMany},
	{"save/nothing", false, checkSaveNothing},
	{"save/twice-in-one-call", false, checkSaveTwice},
	{"save/takes-over", false, checkTakeOver},
	{"save/no-lost-update", false, checkNoLostUpdate},
	{"save/rivals", false, checkRivals},
	{"unfinished/lists", false, checkUnfinished},
	{"unfinished/loop-uses-store", false, checkUnfinishedLoop},
	{"lease/times", false, checkLease},
	{"record/round-trip", false, checkRoundTrip},
	{"record/16-KiB", false, checkBig},
	{"record/deep-copies", false, checkCopies},
	{"context/over", false, checkContext},
	{"reopen/sees-everything", true, checkReopen},
	{"reopen/two-at-once", true, checkTwoAtOnce},
}

// ended are the phases in which an Operation has ended.
var ended = []backup.Phase{backup.PhaseSucceeded, backup.PhasePartial, backup.PhaseFailed, backup.PhaseCanceled}

func checkCreateStores(t tb, s storeHarness) {
	for i, run := range []string{"run-a", ""} {
		op := newOperation(t, fmt.Sprint("token-", i))
		rec := mustCreate(t, s, op, run)
		same(t, "Create", rec.Operation, op)
		got := mustLoad(t, s, op.ID)
		same(t, "Load", got.Operation, op)
		if rec.Version == "" || got.Version != rec.Version {
			t.Errorf("Create gives version %q and Load %q", rec.Version, got.Version)
		}
		if rec.Run != run || got.Run != run {
			t.Errorf("Create gives run %q and Load %q, want %q", rec.Run, got.Run, run)
		}
	}
}

func checkCreateExisting(t tb, s storeHarness) {
	for _, phase := range append([]backup.Phase{backup.PhaseRunning}, ended...) {
		op := newOperation(t, "token-"+string(phase))
		first := mustCreate(t, s, op, "run-a")
		first.Operation.Phase = phase
		mustSave(t, s, &first)

		again := op
		again.Stage = "again"
		rec, created, err := s.Create(t.Context(), again, "run-b")
		if err != nil || created {
			t.Errorf("Create where one is %s: created %v, error %v", phase, created, err)
		}
		same(t, "Create where one is "+string(phase), rec.Operation, first.Operation)
		if rec.Run != "run-a" || rec.Version != first.Version {
			t.Errorf("Create where one is gives run %q and version %q, want %q and %q", rec.Run, rec.Version, "run-a", first.Version)
		}
		same(t, "Load after it", mustLoad(t, s, op.ID).Operation, first.Operation)
	}
}

func checkOneWinner(t tb, s storeHarness) {
	for round := range 4 {
		op := newOperation(t, fmt.Sprint("token-", round))
		const n = 8
		recs, created, errs := make([]backup.Record, n), make([]bool, n), make([]error, n)
		together(n, func(i int) {
			mine := op
			mine.Stage = fmt.Sprint("stage-", i)
			recs[i], created[i], errs[i] = s.Create(t.Context(), mine, fmt.Sprint("run-", i))
		})
		winners := 0
		stored := mustLoad(t, s, op.ID)
		for i := range n {
			if errs[i] != nil {
				t.Errorf("a concurrent Create: %v", errs[i])
				continue
			}
			if created[i] {
				winners++
				if want := fmt.Sprint("run-", i); stored.Run != want {
					t.Errorf("%s was told that it created the operation, but %s holds it", want, stored.Run)
				}
			}
			if recs[i].Version != stored.Version || recs[i].Operation.Stage != stored.Operation.Stage {
				t.Errorf("a concurrent Create gives %q of %q, stored is %q of %q", recs[i].Version, recs[i].Operation.Stage, stored.Version, stored.Operation.Stage)
			}
		}
		if winners != 1 {
			t.Errorf("%d of %d concurrent callers were told that they created the operation", winners, n)
		}
	}
}

func checkNotFound(t tb, s storeHarness) {
	known := mustCreate(t, s, newOperation(t, "known"), "run-a")
	op := newOperation(t, "unknown")
	rec, err := s.Load(t.Context(), op.ID)
	wantCode(t, "Load of an unknown id", err, backup.ErrNotFound)
	if rec.Operation.ID != "" || rec.Version != "" {
		t.Errorf("Load of an unknown id gives %+v", rec)
	}
	for _, version := range []string{"", known.Version} {
		err = s.Save(t.Context(), &backup.Record{Operation: op, Version: version, Run: "run-a"})
		wantCode(t, "Save of an unknown id", err, backup.ErrNotFound)
	}
	_, err = s.Load(t.Context(), op.ID)
	wantCode(t, "Load after Save of an unknown id", err, backup.ErrNotFound)
}

func checkSaveReplaces(t tb, s storeHarness) {
	rec := mustCreate(t, s, newOperation(t, "token"), "run-a")
	seen := []string{rec.Version}
	for _, stage := range []string{"one", "two", "two"} {
		rec.Operation.Stage = stage
		mustSave(t, s, &rec)
		if slices.Contains(seen, rec.Version) || rec.Version == "" {
			t.Errorf("Save gives the version %q, which was used before", rec.Version)
		}
		seen = append(seen, rec.Version)
		got := mustLoad(t, s, rec.Operation.ID)
		same(t, "Load after Save", got.Operation, rec.Operation)
		if got.Version != rec.Version {
			t.Errorf("Save gives version %q and Load %q", rec.Version, got.Version)
		}
	}
}

func checkConflict(t tb, s storeHarness) {
	rec := mustCreate(t, s, newOperation(t, "token"), "run-a")
	elsewhere := mustCreate(t, s, newOperation(t, "elsewhere"), "run-a")
	stale := rec
	rec.Operation.Stage = "newer"
	mustSave(t, s, &rec)
	middle := rec
	mustSave(t, s, &rec) // nothing but the version changes
	for _, version := range []string{stale.Version, middle.Version, "", elsewhere.Version, "no-such-version"} {
		if version == rec.Version {
			continue // versions of two Operations may be equal by chance
		}
		old := stale
		old.Version, old.Run = version, "run-b"
		old.Operation.Stage = "stale"
		wantCode(t, fmt.Sprintf("Save of version %q over %q", version, rec.Version), s.Save(t.Context(), &old), backup.ErrConflict)
		if old.Version != version {
			t.Errorf("a Save in conflict changes the record's version from %q to %q", version, old.Version)
		}
		got := mustLoad(t, s, rec.Operation.ID)
		same(t, "Load after a conflict", got.Operation, rec.Operation)
		if got.Version != rec.Version || got.Run != "run-a" {
			t.Errorf("a Save in conflict leaves version %q of %q, want %q of run-a", got.Version, got.Run, rec.Version)
		}
	}
	mustSave(t, s, &rec)
}

func checkSaveMany(t tb, s storeHarness) {
	var recs []*backup.Record
	for i := range 6 {
		rec := mustCreate(t, s, newOperation(t, fmt.Sprint("token-", i)), "run-a")
		recs = append(recs, &rec)
	}
	for _, i := range []int{1, 4} { // somebody else saves these first
		theirs := *recs[i]
		theirs.Operation.Stage = "theirs"
		mustSave(t, s, &theirs)
	}
	recs[3].Operation = newOperation(t, "unknown")
	before := make([]string, len(recs))
	for i, rec := range recs {
		rec.Operation.Stage = "ours"
		if i == 5 {
			rec.Operation.Phase = backup.PhaseSucceeded
		}
		before[i] = rec.Version
	}
	err := s.Save(t.Context(), recs...)
	wantCode(t, "Save of many", err, backup.ErrConflict)
	wantCode(t, "Save of many", err, backup.ErrNotFound)
	if n := countErrors(err); n != 3 {
		t.Errorf("Save of many with three that can not be saved joins %d errors", n)
	}
	for i, rec := range recs {
		switch i {
		case 1, 4:
			if got := mustLoad(t, s, rec.Operation.ID); got.Operation.Stage != "theirs" || rec.Version != before[i] {
				t.Errorf("record %d, in conflict: stored is stage %q, its version went from %q to %q", i, got.Operation.Stage, before[i], rec.Version)
			}
		case 3:
			if rec.Version != before[i] {
				t.Errorf("record %d, unknown, has a new version", i)
			}
		default:
			got := mustLoad(t, s, rec.Operation.ID)
			same(t, fmt.Sprintf("record %d of many", i), got.Operation, rec.Operation)
			if got.Version != rec.Version || rec.Version == before[i] {
				t.Errorf("record %d has version %q, stored is %q, before it was %q", i, rec.Version, got.Version, before[i])
			}
		}
	}
	for _, i := range []int{0, 2, 5} { // the new versions are good for another save
		mustSave(t, s, recs[i])
	}
}

// countErrors counts the *backup.Error in a tree of joined errors, not looking into one for its causes.
func countErrors(err error) int {
	if _, ok := err.(*backup.Error); ok {
		return 1
	}
	n := 0
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			n += countErrors(part)
		}
	case interface{ Unwrap() error }:
		n = countErrors(e.Unwrap())
	}
	return n
}

func checkSaveNothing(t tb, s storeHarness) {
	if err := s.Save(t.Context()); err != nil {
		t.Errorf("Save of no records: %v", err)
	}
}

func checkSaveTwice(t tb, s storeHarness) {
	rec := mustCreate(t, s, newOperation(t, "token"), "run-a")
	a, b := rec, rec
	a.Operation.Stage, b.Operation.Stage = "a", "b"
	wantCode(t, "Save of two records of one operation", s.Save(t.Context(), &a, &b), backup.ErrConflict)
	winner := a
	if a.Version == rec.Version {
		winner = b
	}
	if (a.Version == rec.Version) == (b.Version == rec.Version) {
		t.Errorf("of two records of one operation not exactly one has a new version: %q, %q, before %q", a.Version, b.Version, rec.Version)
	}
	got := mustLoad(t, s, rec.Operation.ID)
	if got.Operation.Stage != winner.Operation.Stage || got.Version != winner.Version {
		t.Errorf("stored is %q of %q, saved was %q of %q", got.Version, got.Operation.Stage, winner.Version, winner.Operation.Stage)
	}
}

func checkTakeOver(t tb, s storeHarness) {
	rec := mustCreate(t, s, newOperation(t, "token"), "run-a")
	dead := rec
	for _, run := range []string{"run-b", "", "run-c"} {
		rec.Run = run
		mustSave(t, s, &rec)
		if got := mustLoad(t, s, rec.Operation.ID); got.Run != run {
			t.Errorf("after a Save with run %q, Load gives run %q", run, got.Run)
		}
		if got := unfinished(t, s)[rec.Operation.ID]; got.Run != run || got.Version != rec.Version {
			t.Errorf("after a Save with run %q, Unfinished gives run %q and version %q, want %q", run, got.Run, got.Version, rec.Version)
		}
	}
	wantCode(t, "Save by the run that it was taken from", s.Save(t.Context(), &dead), backup.ErrConflict)
}

func checkNoLostUpdate(t tb, s storeHarness) {
	noLostUpdate(t, []backup.Store{s, s, s, s})
}

// noLostUpdate lets each Store count up the same Operation, and wants every count in it.
func noLostUpdate(t tb, stores []backup.Store) {
	const each = 5
	id := mustCreate(t, stores[0], newOperation(t, "token"), "").Operation.ID
	errs := make([]error, len(stores))
	together(len(stores), func(i int) {
		for done, tries := 0, 0; done < each; tries++ {
			if tries > 1000 {
				errs[i] = fmt.Errorf("%d tries gave nothing but conflicts", tries)
				return
			}
			rec, err := stores[i].Load(t.Context(), id)
			if err == nil {
				rec.Operation.Attempt++
				rec.Run = fmt.Sprint("run-", i)
				err = stores[i].Save(t.Context(), &rec)
			}
			switch {
			case err == nil:
				done++
			case !errors.Is(err, backup.ErrConflict):
				errs[i] = err
				return
			}
		}
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("concurrent saves: %v", err)
	}
	if got, want := mustLoad(t, stores[0], id).Operation.Attempt, each*len(stores); got != want {
		t.Errorf("of %d acknowledged concurrent updates %d are stored", want, got)
	}
}

func checkRivals(t tb, s storeHarness) {
	const records, rivals = 6, 3
	ours := make([][]*backup.Record, rivals)
	for i := range records {
		rec := mustCreate(t, s, newOperation(t, fmt.Sprint("token-", i)), "")
		for r := range ours {
			mine := rec
			mine.Run = fmt.Sprint("run-", r)
			ours[r] = append(ours[r], &mine)
		}
	}
	slices.Reverse(ours[1]) // whoever locks one record after the other stops here
	before := map[string]string{}
	for _, rec := range ours[0] {
		before[rec.Operation.ID] = rec.Version
	}
	together(rivals, func(r int) {
		_ = s.Save(t.Context(), ours[r]...) // the versions tell who won
	})
	won := map[string]string{}
	for _, recs := range ours {
		for _, rec := range recs {
			id := rec.Operation.ID
			if rec.Version == before[id] {
				continue
			}
			if won[id] != "" {
				t.Errorf("%s and %s were both told that they saved version %q", won[id], rec.Run, before[id])
			}
			won[id] = rec.Run
		}
	}
	for id := range before {
		if got := mustLoad(t, s, id).Run; won[id] == "" || got != won[id] {
			t.Errorf("the record is %q's, but %q was told that it saved it", got, won[id])
		}
	}
}

// together calls f(0) to f(n-1) at the same time and waits for all.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}
