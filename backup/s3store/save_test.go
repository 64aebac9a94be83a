package s3store_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/s3store"
)

// What can not be stored is refused before anything is sent, by every method.
func TestInvalidInput(t *testing.T) {
	b := newBed(t)
	s := b.open()
	rec := b.create(s, 1)
	before := len(b.world.Calls())
	refused := func(what string, err error) {
		t.Helper()
		var e *backup.Error
		if !errors.Is(err, backup.ErrInvalid) || !errors.As(err, &e) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, id := range []string{"", "a/b", "..", "ABC", "a*", strings.Repeat("a", 65)} {
		_, err := s.Load(t.Context(), id)
		refused("Load of "+id, err)
		op := operation(t, 1)
		op.ID = id
		_, _, err = s.Create(t.Context(), op, "run-a")
		refused("Create of "+id, err)
		refused("Save of "+id, s.Save(t.Context(), &backup.Record{Operation: op, Version: rec.Version}))
		refused("Renew of "+id, s.Renew(t.Context(), id, time.Now()))
		_, err = s.Lease(t.Context(), id)
		refused("Lease of "+id, err)
		if id == "" {
			continue // nobody's
		}
		_, _, err = s.Create(t.Context(), operation(t, 1), id)
		refused("Create for "+id, err)
		refused("Save for "+id, s.Save(t.Context(), &backup.Record{Operation: rec.Operation, Version: rec.Version, Run: id}))
	}
	refused("Save of nil", s.Save(t.Context(), nil))
	for what, op := range map[string]func(*backup.Operation){
		"a State that is not JSON": func(op *backup.Operation) { op.State = json.RawMessage("{") },
		"a State of a megabyte":    func(op *backup.Operation) { op.State = json.RawMessage(`"` + strings.Repeat("x", 1<<20) + `"`) },
		"no version":               func(op *backup.Operation) { op.Version = 0 },
	} {
		bad := rec
		op(&bad.Operation)
		refused("Save of "+what, s.Save(t.Context(), &bad))
	}
	refused("Renew until the year 10000", s.Renew(t.Context(), "run-a", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)))
	if n := len(b.world.Calls()) - before; n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	bad := operation(t, 2)
	bad.State = json.RawMessage("{")
	_, _, err := s.Create(t.Context(), bad, "run-a")
	refused("Create of a State that is not JSON", err)
	if n := len(b.keys("op")); n != 1 {
		t.Errorf("%d records are stored", n)
	}
}

// A record that is given twice is saved once.
func TestSaveOfOneRecordTwice(t *testing.T) {
	b := newBed(t)
	s := b.open()
	rec := b.create(s, 1)
	before := rec.Version
	err := s.Save(t.Context(), &rec, &rec)
	got, loadErr := s.Load(t.Context(), rec.Operation.ID)
	if !errors.Is(err, backup.ErrConflict) || loadErr != nil || rec.Version == before || got.Version != rec.Version || !strings.HasPrefix(got.Version, "2-") {
		t.Errorf("Save gives %v and version %q, stored is %q", err, rec.Version, got.Version)
	}
}

// Of many records some are saved at a time, and no more.
func TestSaveSideBySide(t *testing.T) {
	for _, concurrency := range []int{1, 3, 0} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t)
			o := options
			o.Concurrency = concurrency
			s, err := s3store.Open(t.Context(), b.s3, o)
			b.ok(err)
			const n = 48
			var recs []*backup.Record
			for i := range n {
				rec := b.create(s, i)
				recs = append(recs, &rec)
			}
			var now, most atomic.Int64
			b.world.SetLatency(func(string, string) time.Duration {
				most.Store(max(most.Load(), now.Add(1)))
				return 50 * time.Millisecond
			})
			b.world.Watch(func(awssim.Call) { now.Add(-1) })
			start := time.Now()
			b.ok(s.Save(t.Context(), recs...))
			want := int64(concurrency)
			if want == 0 {
				want = s3store.DefaultConcurrency
			}
			if most.Load() != want {
				t.Errorf("%d requests at a time, want %d", most.Load(), want)
			}
			if d, bound := time.Since(start), n/time.Duration(want)*50*time.Millisecond; d > bound+time.Millisecond {
				t.Errorf("with %d at a time it took %v, want %v", want, d, bound)
			}
		})
	}
}

// A context that ends in the middle leaves records that are saved and records that are not, and each tells which it is.
func TestSaveCanceledInTheMiddle(t *testing.T) {
	b := newBed(t)
	o := options
	o.Concurrency = 2
	s, err := s3store.Open(t.Context(), b.s3, o)
	b.ok(err)
	var recs []*backup.Record
	versions := map[string]string{}
	for i := range 10 {
		rec := b.create(s, i)
		rec.Operation.Stage = "new"
		versions[rec.Operation.ID] = rec.Version
		recs = append(recs, &rec)
	}
	recs = append(recs, nil)
	ctx, cancel := withCause(t)
	enough := errors.New("enough")
	b.world.Inject(awssim.Fault{Operation: "PutObject", Skip: 4, Do: func() { cancel(enough) }})
	err = s.Save(ctx, recs...)
	if !errors.Is(err, enough) || strings.Count(err.Error(), "enough") != 1 || !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("Save gives %v", err)
	}
	saved := 0
	for _, rec := range recs[:10] {
		got, err := s.Load(t.Context(), rec.Operation.ID)
		b.ok(err)
		if rec.Version != versions[rec.Operation.ID] {
			saved++
			if got.Version != rec.Version || got.Operation.Stage != "new" {
				t.Errorf("a saved record has version %q, stored is %q", rec.Version, got.Version)
			}
		}
	}
	if saved < 4 || saved > 6 {
		t.Errorf("%d records say that they are saved", saved)
	}
}

// A version that no Store has made is in conflict, or of no Operation.
func TestForgedVersions(t *testing.T) {
	b := newBed(t)
	s := b.open()
	rec := b.create(s, 1)
	part := strings.SplitN(rec.Version, "-", 5)
	join := func(i int, s string) string {
		p := append([]string{}, part...)
		p[i] = s
		return strings.Join(p, "-")
	}
	for _, version := range []string{"1", join(0, "0"), join(0, "-1"), join(0, "x"), join(0, "01"), join(1, "x"), join(1, "0123456789ABCDEF"), join(2, ""), join(2, "../../op/x"),
		join(3, "closed"), join(4, ""), join(4, "a\r\nX-Evil: 1"), join(4, `"*"`), join(4, "*"), join(4, "no-such-etag"), strings.Repeat("x", 5000)} {
		bad := rec
		bad.Version = version
		bad.Operation.Succeed()
		if err := s.Save(t.Context(), &bad); !errors.Is(err, backup.ErrConflict) || len(err.Error()) > 1000 {
			t.Errorf("version %.80q: %v", version, err)
		}
		other := backup.Record{Operation: operation(t, 2), Version: version}
		if err := s.Save(t.Context(), &other); !errors.Is(err, backup.ErrNotFound) {
			t.Errorf("version %.80q of an unknown operation: %v", version, err)
		}
	}
	got, err := s.Load(t.Context(), rec.Operation.ID)
	if err != nil || got.Version != rec.Version || len(b.keys("open")) != 1 {
		t.Errorf("Load gives version %q and %v, was %q", got.Version, err, rec.Version)
	}
}

// A bucket that is gone must not read as "there is no such Operation".
func TestBucketIsGone(t *testing.T) {
	b := newBed(t)
	s := b.open()
	rec := b.create(s, 1)
	b.world.Inject(awssim.Fault{Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 404, Code: "NoSuchBucket"}})
	_, err := s.Load(t.Context(), rec.Operation.ID)
	_, leaseErr := s.Lease(t.Context(), "run-a")
	_, _, createErr := s.Create(t.Context(), operation(t, 2), "run-a")
	_, errs := unfinished(t.Context(), s)
	for method, err := range map[string]error{"Load": err, "Lease": leaseErr, "Create": createErr, "Save": s.Save(t.Context(), &rec),
		"Renew": s.Renew(t.Context(), "run-a", time.Now()), "Unfinished": errors.Join(errs...)} {
		if !errors.Is(err, backup.ErrUnavailable) || errors.Is(err, backup.ErrNotFound) {
			t.Errorf("%s gives %v", method, err)
		}
	}
}

// An object that is replaced in between by hand is nobody's success.
func TestSaveOfWhatWasDeleted(t *testing.T) {
	b := newBed(t)
	s := b.open()
	rec := b.create(s, 1)
	b.remove("op/" + rec.Operation.ID + ".json")
	if err := s.Save(t.Context(), &rec); !errors.Is(err, backup.ErrNotFound) {
		t.Errorf("Save gives %v", err)
	}
	var e *backup.Error
	if err := s.Save(t.Context(), &rec); !errors.As(err, &e) || e.Ref != rec.Operation.Ref || e.Kind != "storetest" {
		t.Errorf("the error %+v does not say of what", e)
	}
	ids, errs := unfinished(t.Context(), s)
	if len(ids)+len(errs) != 0 {
		t.Errorf("unfinished: %v %v", ids, errs)
	}
}
