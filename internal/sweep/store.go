package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// memory is a Store in memory that outlives the processes of a run. What it holds went through JSON, as in every real one. Its calls can be
// made to fail like those of AWS.
type memory struct {
	mu     sync.Mutex
	recs   map[string][]byte
	vers   map[string]int
	runs   map[string]string
	leases map[string]time.Time
	calls  map[string]int
	fault  *storeFault
}

// storeFault hits one call of the store.
type storeFault struct {
	op    string // "Create", "Save", "Load", "Renew"
	skip  int
	kind  string // "die-before", "die-after", "error-before", "error-after"
	fired int
}

type storeKilled struct{ what string }

var errStore = errors.New("the disk is full")

func newMemory() *memory {
	return &memory{recs: map[string][]byte{}, vers: map[string]int{}, runs: map[string]string{}, leases: map[string]time.Time{}, calls: map[string]int{}}
}

// do runs f as the call named op, under its fault. Panics happen outside of the lock.
func (m *memory) do(op string, f func() error) error {
	m.mu.Lock()
	n := m.calls[op]
	m.calls[op]++
	kind := ""
	if x := m.fault; x != nil && x.op == op && n == x.skip {
		x.fired++
		kind = x.kind
	}
	var err error
	if kind == "" || kind == "die-after" || kind == "error-after" {
		err = f()
	}
	m.mu.Unlock()
	switch kind {
	case "die-before", "die-after":
		panic(storeKilled{op + " " + kind})
	case "error-before", "error-after":
		return &backup.Error{Op: "store", Code: backup.ErrUnavailable, Err: errStore}
	}
	return err
}

func (m *memory) record(id string) (backup.Record, error) {
	var r backup.Record
	b, ok := m.recs[id]
	if !ok {
		return r, &backup.Error{Op: "store", Code: backup.ErrNotFound, Err: errors.New(id)}
	}
	err := json.Unmarshal(b, &r.Operation)
	r.Version, r.Run = strconv.Itoa(m.vers[id]), m.runs[id]
	return r, err
}

func (m *memory) put(op backup.Operation, run string) error {
	b, err := json.Marshal(op)
	if err != nil {
		return err
	}
	if len(b) > backup.MaxOperationBytes {
		return fmt.Errorf("operation of %d bytes", len(b))
	}
	m.recs[op.ID] = b
	m.vers[op.ID]++
	m.runs[op.ID] = run
	return nil
}

func (m *memory) Create(_ context.Context, op backup.Operation, run string) (rec backup.Record, created bool, err error) {
	err = m.do("Create", func() error {
		if _, ok := m.recs[op.ID]; !ok {
			created = true
			if err := m.put(op, run); err != nil {
				return err
			}
		}
		rec, err = m.record(op.ID)
		return err
	})
	return rec, created, err
}

func (m *memory) Load(_ context.Context, id string) (rec backup.Record, err error) {
	err = m.do("Load", func() error { rec, err = m.record(id); return err })
	return rec, err
}

func (m *memory) Save(_ context.Context, recs ...*backup.Record) error {
	return m.do("Save", func() error {
		var errs []error
		for _, r := range recs {
			id := r.Operation.ID
			if strconv.Itoa(m.vers[id]) != r.Version {
				errs = append(errs, &backup.Error{Op: "store", Code: backup.ErrConflict, Err: fmt.Errorf("version %s is now %d", r.Version, m.vers[id])})
				continue
			}
			if err := m.put(r.Operation, r.Run); err != nil {
				errs = append(errs, err)
				continue
			}
			r.Version = strconv.Itoa(m.vers[id])
		}
		return errors.Join(errs...)
	})
}

func (m *memory) Unfinished(context.Context) iter.Seq2[backup.Record, error] {
	return func(yield func(backup.Record, error) bool) {
		m.mu.Lock()
		ids := slices.Sorted(maps.Keys(m.recs))
		m.mu.Unlock()
		for _, id := range ids {
			m.mu.Lock()
			r, err := m.record(id)
			m.mu.Unlock()
			if (err != nil || !r.Operation.Done()) && !yield(r, err) {
				return
			}
		}
	}
}

func (m *memory) Renew(_ context.Context, run string, until time.Time) error {
	return m.do("Renew", func() error { m.leases[run] = until; return nil })
}

func (m *memory) Lease(_ context.Context, run string) (until time.Time, err error) {
	err = m.do("Lease", func() error { until = m.leases[run]; return nil })
	return until, err
}

// stored gives the Operation as it is stored, the zero Operation if it is not.
func (m *memory) stored(id string) backup.Operation {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, _ := m.record(id)
	return r.Operation
}

// holder tells which run has the Operation now.
func (m *memory) holder(id string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.runs[id]
}
