package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// markerAge is the age from which a marker that nothing refers to is removed. No Create takes half as long, or else it writes its marker again.
const markerAge = 24 * time.Hour

// Create is as backup.Store says. If the object of an Operation with op's ID can not be read, the error is that of Load and the object is left
// alone. After ErrUnavailable, ErrThrottled and ErrDenied the Operation may or may not have been stored: the answer to a write can be lost, and then
// what is there could not be read. Calling Create again tells, once that is allowed.
func (s *Store) Create(ctx context.Context, op backup.Operation, run string) (backup.Record, bool, error) {
	if err := check(ctx, op.ID, run); err != nil {
		return backup.Record{}, false, err
	}
	// A repeated Start is the usual case and writes nothing.
	switch st, found, err := s.load(ctx, op.ID); {
	case err != nil:
		return backup.Record{}, false, about(op, err)
	case found:
		return s.existing(ctx, st)
	}
	v := version{count: 1, nonce: newNonce()}
	if !op.Done() {
		v.marker = newNonce()
	}
	body, st, err := encodeRecord(op, run, v)
	if err != nil {
		return backup.Record{}, false, err
	}
	now, err := s.write(ctx, op.ID, body, "", v.marker)
	if err != nil {
		return backup.Record{}, false, about(op, err)
	}
	if bytes.Equal(now.body, body) {
		return st.with(now.etag).rec, true, nil
	}
	theirs, err := decodeRecord(s.place(s.recordKey(op.ID)), op.ID, now)
	if err != nil {
		return backup.Record{}, false, about(op, err)
	}
	return s.existing(ctx, theirs)
}

// existing gives Create's answer for an Operation that is there. Where nobody has saved it since it was created, its creator may have died before
// it came to write an aged marker again; that is made good here, because this caller now relies on the Operation being found.
func (s *Store) existing(ctx context.Context, st stored) (backup.Record, bool, error) {
	if st.ver.count == 1 && !st.ver.ended {
		if err := s.mark(ctx, s.markerKey(st.rec.Operation.ID, st.ver.marker)); err != nil {
			return backup.Record{}, false, about(st.rec.Operation, err)
		}
	}
	return st.rec, false, nil
}

// write writes a record, and before it its marker, if it has a new one. It gives what is there now. The marker is removed where the record does not
// rely on it; where that is not known it stays, and is removed when it is old.
func (s *Store) write(ctx context.Context, id string, body []byte, old, marker string) (object, error) {
	if marker == "" {
		return s.swap(ctx, s.recordKey(id), body, old)
	}
	key, start := s.markerKey(id, marker), time.Now().Round(0) // the clock on the wall goes on while a machine sleeps
	if err := s.mark(ctx, key); err != nil {
		return object{}, err
	}
	now, err := s.swap(ctx, s.recordKey(id), body, old)
	if err != nil {
		return now, err
	}
	relies := bytes.Equal(now.body, body)
	if !relies {
		// If its answer was lost, this write may have been the first of two: the record of the second then relies on the marker of the first.
		theirs, err := decodeRecord(s.place(s.recordKey(id)), id, now)
		if now.exists && err != nil {
			return now, nil //nolint:nilerr // the caller decodes it again
		}
		relies = theirs.ver.marker == marker
	}
	if !relies {
		_ = s.remove(ctx, key) // it is swept when it is old
	} else if aged(start) {
		return now, s.mark(ctx, key)
	}
	return now, nil
}

// aged reports whether a marker that was written at start may have been removed since then, for its age.
func aged(start time.Time) bool {
	d := time.Now().Round(0).Sub(start)
	return d < 0 || d > markerAge/2
}

// Load is as backup.Store says.
func (s *Store) Load(ctx context.Context, id string) (backup.Record, error) {
	if err := check(ctx, id, ""); err != nil {
		return backup.Record{}, err
	}
	st, found, err := s.load(ctx, id)
	if err == nil && !found {
		err = s.notFound(id)
	}
	return st.rec, err
}

func (s *Store) load(ctx context.Context, id string) (stored, bool, error) {
	key := s.recordKey(id)
	o, err := s.get(ctx, key)
	if err != nil || !o.exists {
		return stored{}, false, err
	}
	st, err := decodeRecord(s.place(key), id, o)
	return st, err == nil, err
}

// Save is as backup.Store says. Records are saved side by side, Options.Concurrency at a time, and all requests have ended when it returns; of
// several records of one Operation the first one comes first. When ctx ends in between, its cause is joined to the errors, once, and the records
// that are not known to be saved keep their Version.
//
// Whoever saves an Operation that has ended as one that has not brings it back into the list of the unfinished.
func (s *Store) Save(ctx context.Context, recs ...*backup.Record) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	type job struct {
		rec *backup.Record
		// old is read before anything is saved: a record that is given twice is in conflict with itself.
		old string
		err error
	}
	jobs := make([]job, len(recs))
	var groups [][]*job
	group := map[string]int{}
	for i, rec := range recs {
		j := &jobs[i]
		if rec == nil {
			j.err = invalid("a record to save is nil", "leave it out")
			continue
		}
		j.rec, j.old = rec, rec.Version
		n, ok := group[rec.Operation.ID]
		if !ok {
			n = len(groups)
			group[rec.Operation.ID] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], j)
	}
	s.each(len(groups), func(i int) {
		for _, j := range groups[i] {
			j.err = s.saveOne(ctx, j.rec, j.old)
		}
	})
	var errs []error
	cause, over := context.Cause(ctx), error(nil)
	for _, j := range jobs {
		if cause != nil && errors.Is(j.err, cause) {
			over = cause
		} else {
			errs = append(errs, j.err)
		}
	}
	return errors.Join(append(errs, over)...)
}

// each calls f(0) to f(n-1), some at a time, and waits for all. What needs no goroutine gets none.
func (s *Store) each(n int, f func(i int)) {
	if min(n, s.opts.Concurrency) <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, s.opts.Concurrency) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// saveOne saves rec if old is still what is stored, and gives rec its new version.
func (s *Store) saveOne(ctx context.Context, rec *backup.Record, old string) error {
	op := rec.Operation
	if err := check(ctx, op.ID, rec.Run); err != nil {
		return about(op, err)
	}
	v, ok := parseVersion(old)
	if !ok {
		// No such version was ever stored; what there is instead decides between two errors.
		if _, found, err := s.load(ctx, op.ID); err != nil {
			return about(op, err)
		} else if !found {
			return about(op, s.notFound(op.ID))
		}
		return s.conflict(op, old)
	}
	next, opens := version{count: v.count + 1, nonce: newNonce(), marker: v.marker}, ""
	if v.ended && !op.Done() {
		opens = newNonce()
		next.marker = opens
	}
	body, st, err := encodeRecord(op, rec.Run, next)
	if err != nil {
		return err
	}
	now, err := s.write(ctx, op.ID, body, v.etag, opens)
	switch {
	case err != nil:
		return about(op, err)
	case !now.exists:
		return about(op, s.notFound(op.ID))
	case !bytes.Equal(now.body, body):
		if _, err := decodeRecord(s.place(s.recordKey(op.ID)), op.ID, now); err != nil {
			return about(op, err)
		}
		return s.conflict(op, old)
	}
	rec.Version = st.with(now.etag).rec.Version
	if op.Done() && !v.ended {
		_ = s.remove(ctx, s.markerKey(op.ID, v.marker)) // what is left is swept by the next list of the unfinished
	}
	return nil
}

func (s *Store) recordKey(id string) string         { return s.key(dirRecords, id+".json") }
func (s *Store) markerKey(id, marker string) string { return s.key(dirOpen, id+"."+marker) }

func (s *Store) notFound(id string) error {
	return &backup.Error{Op: opStore, Code: backup.ErrNotFound, Err: fmt.Errorf("no operation at %s", s.place(s.recordKey(id))),
		Hint: "check the id, the bucket and the prefix"}
}

func (s *Store) conflict(op backup.Operation, old string) error {
	return &backup.Error{Op: opStore, Kind: op.Kind, Ref: op.Ref, Code: backup.ErrConflict,
		Err: fmt.Errorf("version %q of operation %s is no longer stored", shorten(old), op.ID), Hint: "load the operation again and decide on what it has become"}
}

// check looks at what every method is given; an empty run is nobody.
func check(ctx context.Context, id, run string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := checkName("operation id", id); err != nil {
		return err
	}
	if run == "" {
		return nil
	}
	return checkName("run", run)
}
