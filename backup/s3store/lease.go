package s3store

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// renewTries is how often Renew begins again because somebody else renews the same lease at the same moment.
const renewTries = 8

// Renew is as backup.Store says. The lease is replaced as it was read, conditionally like all else: a request that was given up and
// arrives late can not set a lease back that was renewed since then. A lease that can not be read is replaced: it is the run's own, and the
// new one says all that it said.
func (s *Store) Renew(ctx context.Context, run string, until time.Time) error {
	if err := checkRun(ctx, run); err != nil {
		return err
	}
	body, err := encodeLease(run, until)
	if err != nil {
		return err
	}
	key := s.key(dirRuns, run+".json")
	now, err := s.get(ctx, key)
	for range renewTries {
		if err != nil {
			return err
		}
		if now, err = s.swap(ctx, key, body, now.etag); err == nil && bytes.Equal(now.body, body) {
			return nil
		}
	}
	if err != nil {
		return err
	}
	return &backup.Error{Op: opStore, Code: backup.ErrUnavailable, Err: errors.New(s.place(key) + " was changed by another at each try"),
		Hint: "give each process a run of its own"}
}

// Lease is as backup.Store says. A lease that can not be read is ErrInvalid, and one of a newer release ErrUnsupported, never the zero time:
// that would say that the run is dead.
func (s *Store) Lease(ctx context.Context, run string) (time.Time, error) {
	if err := checkRun(ctx, run); err != nil {
		return time.Time{}, err
	}
	key := s.key(dirRuns, run+".json")
	o, err := s.get(ctx, key)
	if err != nil || !o.exists {
		return time.Time{}, err
	}
	return decodeLease(s.place(key), run, o.body)
}

func checkRun(ctx context.Context, run string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return checkName("run", run)
}
