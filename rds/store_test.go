package rds_test

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// store is a Store in memory for one goroutine.
type store struct {
	recs   map[string]backup.Record
	leases map[string]time.Time
}

func newStore() *store {
	return &store{recs: map[string]backup.Record{}, leases: map[string]time.Time{}}
}

func (s *store) Create(_ context.Context, op backup.Operation, run string) (backup.Record, bool, error) {
	if r, ok := s.recs[op.ID]; ok {
		return r, false, nil
	}
	r := backup.Record{Operation: op, Version: "1", Run: run}
	s.recs[op.ID] = r
	return r, true, nil
}

func (s *store) Load(_ context.Context, id string) (backup.Record, error) {
	r, ok := s.recs[id]
	if !ok {
		return r, &backup.Error{Op: "store", Code: backup.ErrNotFound}
	}
	return r, nil
}

func (s *store) Save(_ context.Context, recs ...*backup.Record) error {
	for _, r := range recs {
		old := s.recs[r.Operation.ID]
		if old.Version != r.Version {
			return &backup.Error{Op: "store", Code: backup.ErrConflict, Err: errors.New(old.Version)}
		}
		n, _ := strconv.Atoi(r.Version)
		r.Version = strconv.Itoa(n + 1)
		s.recs[r.Operation.ID] = *r
	}
	return nil
}

func (s *store) Unfinished(context.Context) iter.Seq2[backup.Record, error] {
	return func(func(backup.Record, error) bool) {}
}

func (s *store) Renew(_ context.Context, run string, until time.Time) error {
	s.leases[run] = until
	return nil
}

func (s *store) Lease(_ context.Context, run string) (time.Time, error) { return s.leases[run], nil }
