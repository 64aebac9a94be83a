package s3store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/s3store"
)

// What each method costs in requests is part of the package's promise.
func TestRequests(t *testing.T) {
	b := newBed(t)
	s := b.open()
	var rec backup.Record
	for _, step := range []struct {
		what string
		do   func()
		want map[string]int
	}{
		{"Create", func() { rec = b.create(s, 1) }, map[string]int{"GetObject": 1, "PutObject": 2}},
		{"Create of what was just created", func() { _, _, _ = s.Create(t.Context(), rec.Operation, "run-b") }, map[string]int{"GetObject": 1, "PutObject": 1}},
		{"Save", func() { b.ok(s.Save(t.Context(), &rec)) }, map[string]int{"PutObject": 1}},
		{"Create of what is there", func() { _, _, _ = s.Create(t.Context(), rec.Operation, "run-b") }, map[string]int{"GetObject": 1}},
		{"Load", func() { _, _ = s.Load(t.Context(), rec.Operation.ID) }, map[string]int{"GetObject": 1}},
		{"the list of one", func() { unfinished(t.Context(), s) }, map[string]int{"ListObjectsV2": 1, "GetObject": 1}},
		{"Save of the end", func() { b.end(s, &rec) }, map[string]int{"PutObject": 1, "DeleteObject": 1}},
		{"Save after the end", func() { b.ok(s.Save(t.Context(), &rec)) }, map[string]int{"PutObject": 1}},
		{"the list of none", func() { unfinished(t.Context(), s) }, map[string]int{"ListObjectsV2": 1}},
		{"Renew", func() { b.ok(s.Renew(t.Context(), "run-a", time.Now())) }, map[string]int{"GetObject": 1, "PutObject": 1}},
		{"Lease", func() { _, _ = s.Lease(t.Context(), "run-a") }, map[string]int{"GetObject": 1}},
		{"Save of nothing", func() { b.ok(s.Save(t.Context())) }, map[string]int{}},
	} {
		before := len(b.world.Calls())
		step.do()
		if d := cmp.Diff(step.want, b.calls(before)); d != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, d)
		}
	}
}

// An Operation that was created with its end never comes into the list, and one that is brought back does.
func TestMarkersFollowTheOperation(t *testing.T) {
	b := newBed(t)
	s := b.open()
	ended := operation(t, "ended")
	ended.Succeed()
	rec, created, err := s.Create(t.Context(), ended, "")
	if err != nil || !created || len(b.keys("open")) != 0 {
		t.Fatalf("created %v, error %v, markers %v", created, err, b.keys("open"))
	}
	seen := map[string]bool{}
	for range 2 {
		rec.Operation.Phase = backup.PhaseRunning
		b.ok(s.Save(t.Context(), &rec))
		ids, _ := unfinished(t.Context(), s)
		markers := b.keys("open")
		if len(ids) != 1 || len(markers) != 1 || seen[markers[0]] {
			t.Fatalf("brought back: unfinished %v, markers %v", ids, markers)
		}
		seen[markers[0]] = true
		b.ok(s.Save(t.Context(), &rec))
		if d := cmp.Diff(markers, b.keys("open")); d != "" {
			t.Errorf("a Save in between changes the markers: %s", d)
		}
		b.end(s, &rec)
		if left := b.keys("open"); len(left) != 0 {
			t.Errorf("markers after the end: %v", left)
		}
	}
	stale := rec
	b.ok(s.Save(t.Context(), &rec))
	stale.Operation.Phase = backup.PhaseRunning
	if err := s.Save(t.Context(), &stale); !errors.Is(err, backup.ErrConflict) || len(b.keys("open")) != 0 {
		t.Errorf("bringing back what another has saved: %v, markers %v", err, b.keys("open"))
	}
}

// The loser of two Creates takes its own marker away, and not the winner's.
func TestCreateBesideAnother(t *testing.T) {
	for _, end := range []bool{false, true} {
		b := newBed(t)
		s, other := b.open(), b.open()
		theirs := operation(t, 1)
		theirs.Stage = "theirs"
		b.world.Inject(awssim.Fault{Operation: "PutObject", Skip: 1, Do: func() {
			rec, created, err := other.Create(b.Context(), theirs, "run-b")
			if err != nil || !created {
				t.Errorf("the other's Create: created %v, error %v", created, err)
			}
			if end {
				b.end(other, &rec)
			}
		}})
		rec, created, err := s.Create(t.Context(), operation(t, 1), "run-a")
		if err != nil || created || rec.Operation.Stage != "theirs" || rec.Run != "run-b" {
			t.Errorf("Create: created %v of %q by %s, error %v", created, rec.Operation.Stage, rec.Run, err)
		}
		if n, want := len(b.keys("open")), map[bool]int{false: 1, true: 0}[end]; n != want {
			t.Errorf("%d markers, want %d", n, want)
		}
	}
}

// The answer to a Create is lost, and before it is sent again another machine saves what it created: the list keeps the Operation.
func TestCreateIsSavedOverBeforeItIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		s, other := b.open(), b.open()
		op := operation(t, 1)
		save := func() {
			rec, err := other.Load(t.Context(), op.ID)
			b.ok(err)
			rec.Operation.Stage, rec.Run = "theirs", "run-b"
			b.ok(other.Save(t.Context(), &rec))
		}
		lost := b.world.Inject(awssim.Fault{Operation: "PutObject", Skip: 1, Kind: awssim.FaultLostReply})
		b.world.Inject(awssim.Fault{Operation: "PutObject", Skip: 1, Do: save})
		rec, created, err := s.Create(t.Context(), op, "run-a")
		if err != nil || created || rec.Run != "run-b" || rec.Operation.Stage != "theirs" || lost.Fired() != 1 {
			t.Errorf("Create: created %v, run %s, stage %s, error %v", created, rec.Run, rec.Operation.Stage, err)
		}
		if ids, errs := unfinished(t.Context(), other); len(ids) != 1 || len(errs) != 0 {
			t.Errorf("unfinished: %v %v", ids, errs)
		}
	})
}

// A process that is paused for a day between its marker and its record finds its marker gone, and writes it again.
func TestCreateAfterALongPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		s, other := b.open(), b.open()
		b.world.Inject(awssim.Fault{Operation: "PutObject", Skip: 1, Do: func() {
			time.Sleep(day + time.Hour)
			unfinished(t.Context(), other)
			if left := b.keys("open"); len(left) != 0 {
				t.Errorf("an old marker without a record is left: %v", left)
			}
		}})
		rec := b.create(s, 1)
		if ids, errs := unfinished(t.Context(), other); len(ids) != 1 || ids[0] != rec.Operation.ID || len(errs) != 0 {
			t.Errorf("unfinished: %v %v", ids, errs)
		}
	})
}

// If it dies after that pause, whoever starts the Operation again mends it.
func TestCreateAfterAPauseAndADeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		s, other := b.open(), b.open()
		b.world.Inject(awssim.Fault{Operation: "PutObject", Skip: 1, Kind: awssim.FaultDieAfter, Do: func() {
			time.Sleep(day + time.Hour)
			unfinished(t.Context(), other)
		}})
		if _, lived := survive(func() error { b.create(s, 1); return nil }); lived {
			t.Fatal("it did not die")
		}
		op := operation(t, 1)
		if _, created, err := other.Create(t.Context(), op, "run-b"); created || err != nil {
			t.Fatalf("created %v, error %v", created, err)
		}
		if ids, errs := unfinished(t.Context(), other); len(ids) != 1 || len(errs) != 0 {
			t.Errorf("unfinished: %v %v", ids, errs)
		}
		b.world.Inject(awssim.Fault{Operation: "PutObject", Times: -1, Kind: awssim.FaultServerError})
		if _, _, err := other.Create(t.Context(), op, "run-b"); !errors.Is(err, backup.ErrUnavailable) {
			t.Errorf("a marker that can not be written again: %v", err)
		}
	})
}

// Which markers a list removes, young and old.
func TestSweep(t *testing.T) {
	const nonce = "0123456789abcdef"
	for _, c := range []struct {
		name       string
		make       func(b *bed, s *s3store.Store) string // gives the id
		young, old int                                   // markers that are left
		listed     int
	}{
		{"nothing refers to it", func(b *bed, s *s3store.Store) string {
			b.put(options.Prefix+"/open/abc."+nonce, "")
			return "abc"
		}, 1, 0, 0},
		{"of an ended operation, by a crash", func(b *bed, s *s3store.Store) string {
			b.world.Inject(awssim.Fault{Operation: "DeleteObject", Times: 3, Kind: awssim.FaultServerError})
			rec := b.create(s, 1)
			b.end(s, &rec)
			return rec.Operation.ID
		}, 0, 0, 0},
		{"of an ended operation, of another attempt", func(b *bed, s *s3store.Store) string {
			rec := b.create(s, 1)
			b.end(s, &rec)
			b.put(options.Prefix+"/open/"+rec.Operation.ID+"."+nonce, "")
			return rec.Operation.ID
		}, 1, 0, 0},
		{"of an unfinished operation", func(b *bed, s *s3store.Store) string { return b.create(s, 1).Operation.ID }, 1, 1, 1},
		{"of an unfinished operation, with another", func(b *bed, s *s3store.Store) string {
			rec := b.create(s, 1)
			b.put(options.Prefix+"/open/"+rec.Operation.ID+"."+nonce, "")
			return rec.Operation.ID
		}, 2, 1, 1},
		{"the only one of an unfinished operation, not its own", func(b *bed, s *s3store.Store) string {
			rec := b.create(s, 1)
			b.remove("open/" + b.keys("open")[0])
			b.put(options.Prefix+"/open/"+rec.Operation.ID+"."+nonce, "")
			return rec.Operation.ID
		}, 1, 1, 1},
		{"of a damaged operation", func(b *bed, s *s3store.Store) string {
			rec := b.create(s, 1)
			b.sim.Damage(b.world, region, bucket, options.Prefix+"/op/"+rec.Operation.ID+".json")
			return ""
		}, 1, 1, 0},
		{"of somebody else", func(b *bed, s *s3store.Store) string {
			b.put(options.Prefix+"/open/README", "")
			b.put(options.Prefix+"/open/abc.short", "")
			b.put(options.Prefix+"/open/ABC."+nonce, "")
			return "abc"
		}, 3, 3, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t)
			s := b.open()
			c.make(b, s)
			for _, round := range []struct {
				name string
				want int
			}{{"young", c.young}, {"old", c.old}} {
				ids, _ := unfinished(t.Context(), s)
				if left := b.keys("open"); len(left) != round.want || len(ids) != c.listed {
					t.Errorf("%s, %s: %d operations are listed, left are %v, want %d and %d", c.name, round.name, len(ids), left, c.listed, round.want)
				}
				time.Sleep(day + time.Minute)
			}
		})
	}
}

// Many pages, many markers of one Operation over them, ids that begin alike: each Operation comes once.
func TestUnfinishedInPages(t *testing.T) {
	b := newBed(t)
	b.world.SetPageLimit(3)
	s := b.open()
	want := map[string]bool{}
	for i := range 10 {
		rec := b.create(s, i)
		want[rec.Operation.ID] = true
		for j := range i % 4 {
			b.put(fmt.Sprintf("%s/open/%s.%016x", options.Prefix, rec.Operation.ID, j), "")
			b.put(fmt.Sprintf("%s/open/%s.%016x", options.Prefix, rec.Operation.ID+"-x", j), "")
		}
	}
	ids, errs := unfinished(t.Context(), s)
	got := map[string]bool{}
	for _, id := range ids {
		if got[id] {
			t.Errorf("%s comes twice", id)
		}
		got[id] = true
	}
	if d := cmp.Diff(want, got); d != "" || len(errs) > 0 {
		t.Errorf("errors %v, ids (-want +got):\n%s", errs, d)
	}
}

// A list that breaks off says so, and a loop that ends early sends nothing more.
func TestUnfinishedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.world.SetPageLimit(2)
		s := b.open()
		for i := range 5 {
			b.create(s, i)
		}
		before := len(b.world.Calls())
		for range s.Unfinished(t.Context()) {
			break
		}
		if d := cmp.Diff(map[string]int{"ListObjectsV2": 1, "GetObject": 2}, b.calls(before)); d != "" {
			t.Errorf("requests of a loop that ends at once (-want +got):\n%s", d)
		}
		b.world.Inject(awssim.Fault{Operation: "ListObjectsV2", Skip: 1, Times: -1, Kind: awssim.FaultThrottle})
		ids, errs := unfinished(t.Context(), s)
		if len(ids) != 2 || len(errs) != 1 || !errors.Is(errs[0], backup.ErrThrottled) {
			t.Errorf("a list that breaks off gives %v and %v", ids, errs)
		}
		b.world.Heal()
		ctx, cancel := withCause(t)
		n := 0
		var last error
		for _, err := range s.Unfinished(ctx) {
			n++
			last = err
			cancel(errors.New("enough"))
		}
		if n != 2 || last == nil || last.Error() != "enough" {
			t.Errorf("a list whose context ends yields %d times, at last %v", n, last)
		}
		b.world.Inject(awssim.Fault{Operation: "GetObject", Skip: 1, Times: 3, Kind: awssim.FaultServerError})
		ids, errs = unfinished(t.Context(), s)
		if len(ids)+len(errs) != 5 || len(errs) > 1 || len(errs) == 1 && !strings.Contains(errs[0].Error(), "/op/") {
			t.Errorf("a record that can not be read: %v and %v", ids, errs)
		}
	})
}
