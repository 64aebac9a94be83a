package backuptest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// memoryBugs are the ways in which a memory store can be wrong; each completes "a store that ...".
var memoryBugs = []string{
	"overwrites on create",
	"always says that it created",
	"gives back what it was given on create",
	"drops the run on create",
	"creates after looking without a lock",
	"gives nothing for an unknown id",
	"gives errors without a type",
	"does not compare versions",
	"compares without a lock",
	"compares all before it saves any",
	"saves all or nothing",
	"stops at the first conflict",
	"swallows conflicts",
	"sees conflicts everywhere",
	"gives a new version in a conflict",
	"gives no new version",
	"makes the version of the contents",
	"takes an empty version for any",
	"creates on save",
	"drops the run on save",
	"refuses to save nothing",
	"locks one record after the other",
	"lists the finished",
	"forgets the finished",
	"lists only what was saved twice",
	"lists without versions",
	"lists the last one twice",
	"freezes the list of the unfinished",
	"lets leases only grow",
	"has one lease for all",
	"keeps leases in seconds",
	"has no lease for the unknown but an error",
	"reads numbers as floats",
	"keeps times in seconds",
	"drops a long State",
	"drops the findings",
	"keeps what it was given",
	"hands out what it keeps",
	"merges old tags into new",
	"ignores the context",
	"ignores the context when it saves",
	"reopens without leases",
	"reopens without the finished",
	"reopens with other versions",
	"keeps a copy in each process",
}

// medium is what stays when a memory store is opened again.
type medium struct {
	mu     sync.Mutex
	recs   map[string]*kept
	leases map[string]time.Time
	count  int
}

type kept struct {
	json         []byte
	op           backup.Operation // as it was given, for the bugs that keep it
	version, run string
	saves        int
}

// memory is a Store in memory, with at most one bug.
type memory struct {
	*medium
	bug  string
	boot string // the process
}

func newMemory(bug string) (backup.Store, func() backup.Store) {
	m := &medium{recs: map[string]*kept{}, leases: map[string]time.Time{}}
	opened := 0
	open := func() backup.Store {
		opened++
		s := &memory{medium: m, bug: bug, boot: strconv.Itoa(opened)}
		m.mu.Lock()
		defer m.mu.Unlock()
		switch bug {
		case "reopens without leases":
			m.leases = map[string]time.Time{}
		case "reopens without the finished":
			maps.DeleteFunc(m.recs, func(_ string, k *kept) bool { return k.op.Done() })
		case "reopens with other versions":
			for _, k := range m.recs {
				k.version = s.next(k.json)
			}
		case "keeps a copy in each process":
			s.medium = &medium{recs: map[string]*kept{}, leases: maps.Clone(m.leases)}
			for id, k := range m.recs {
				c := *k
				s.recs[id] = &c
			}
		}
		return s
	}
	return open(), open
}

func (m *memory) is(bug string) bool { return m.bug == bug }

// pause lets everybody else in the bubble come between.
func (m *memory) pause() {
	m.mu.Unlock()
	time.Sleep(time.Millisecond)
	m.mu.Lock()
}

func (m *memory) over(ctx context.Context) error {
	if m.is("ignores the context") {
		return nil
	}
	return context.Cause(ctx)
}

func (m *memory) fail(code backup.Code) error {
	if m.is("gives errors without a type") {
		return fmt.Errorf("memory: %w", code)
	}
	return &backup.Error{Op: "store", Code: code}
}

func (m *memory) next(b []byte) string {
	if m.is("makes the version of the contents") {
		sum := sha256.Sum256(b)
		return hex.EncodeToString(sum[:])
	}
	m.count++
	return "v" + m.boot + "." + strconv.Itoa(m.count)
}

func (m *memory) encode(op backup.Operation) ([]byte, error) {
	switch {
	case m.is("keeps times in seconds"):
		op.Updated, op.Started = op.Updated.Truncate(time.Second), op.Started.Truncate(time.Second)
	case m.is("drops a long State") && len(op.State) > 4096:
		op.State = nil
	case m.is("drops the findings"):
		op.Findings = nil
	case m.is("reads numbers as floats"):
		var v any
		if json.Unmarshal(op.State, &v) == nil {
			op.State, _ = json.Marshal(v)
		} else {
			op.State = nil
		}
	}
	return json.Marshal(op)
}

func (m *memory) put(id string, op backup.Operation, run string) (*kept, error) {
	b, err := m.encode(op)
	if err != nil {
		return nil, err
	}
	k := &kept{json: b, op: op, version: m.next(b), run: run}
	if old := m.recs[id]; old != nil {
		k.saves = old.saves + 1
		if m.is("gives no new version") {
			k.version = old.version
		}
		if m.is("merges old tags into new") {
			k.op.Tags = maps.Clone(old.op.Tags)
			maps.Copy(k.op.Tags, op.Tags)
			k.json, _ = json.Marshal(k.op)
		}
	}
	if !m.is("keeps what it was given") {
		k.op = backup.Operation{}
		if err := json.Unmarshal(k.json, &k.op); err != nil {
			return nil, err
		}
	}
	m.recs[id] = k
	return k, nil
}

func (m *memory) get(k *kept) backup.Record {
	rec := backup.Record{Version: k.version, Run: k.run}
	if m.is("keeps what it was given") || m.is("hands out what it keeps") {
		rec.Operation = k.op
	} else if err := json.Unmarshal(k.json, &rec.Operation); err != nil {
		panic(err)
	}
	return rec
}

func (m *memory) Create(ctx context.Context, op backup.Operation, run string) (backup.Record, bool, error) {
	if err := m.over(ctx); err != nil {
		return backup.Record{}, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.recs[op.ID]; k != nil && !m.is("overwrites on create") {
		rec := m.get(k)
		if m.is("gives back what it was given on create") {
			rec.Operation = op
		}
		return rec, m.is("always says that it created"), nil
	}
	if m.is("creates after looking without a lock") {
		m.pause()
	}
	if m.is("drops the run on create") {
		run = ""
	}
	k, err := m.put(op.ID, op, run)
	if err != nil {
		return backup.Record{}, false, m.fail(backup.ErrInvalid)
	}
	return m.get(k), true, nil
}

func (m *memory) Load(ctx context.Context, id string) (backup.Record, error) {
	if err := m.over(ctx); err != nil {
		return backup.Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.recs[id]
	if k == nil {
		if m.is("gives nothing for an unknown id") {
			return backup.Record{}, nil
		}
		return backup.Record{}, m.fail(backup.ErrNotFound)
	}
	return m.get(k), nil
}

func (m *memory) compare(rec *backup.Record) error {
	k := m.recs[rec.Operation.ID]
	switch {
	case k == nil && !m.is("creates on save"):
		return m.fail(backup.ErrNotFound)
	case k == nil, m.is("does not compare versions"), k.version == rec.Version && !m.is("sees conflicts everywhere"):
		return nil
	case m.is("sees conflicts everywhere"):
		return m.fail(backup.ErrConflict)
	case rec.Version == "" && m.is("takes an empty version for any"):
		return nil
	}
	return m.fail(backup.ErrConflict)
}

func (m *memory) Save(ctx context.Context, recs ...*backup.Record) error {
	if err := m.over(ctx); err != nil && !m.is("ignores the context when it saves") {
		return err
	}
	if len(recs) == 0 && m.is("refuses to save nothing") {
		return m.fail(backup.ErrInvalid)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	before := make([]error, len(recs))
	for i, rec := range recs {
		before[i] = m.compare(rec)
	}
	if m.is("saves all or nothing") {
		if err := errors.Join(before...); err != nil {
			return err
		}
	}
	if m.is("compares without a lock") {
		m.pause()
	}
	var errs []error
	for i, rec := range recs {
		if m.is("locks one record after the other") {
			m.pause() // and so the records of one call are not compared with the same state
		}
		err := m.compare(rec)
		if m.is("compares without a lock") || m.is("compares all before it saves any") || m.is("locks one record after the other") {
			err = before[i]
		}
		if err != nil {
			if m.is("gives a new version in a conflict") {
				rec.Version = "new"
			}
			if errors.Is(err, backup.ErrConflict) && m.is("swallows conflicts") {
				continue
			}
			errs = append(errs, err)
			if m.is("stops at the first conflict") {
				break
			}
			continue
		}
		run := rec.Run
		if old := m.recs[rec.Operation.ID]; old != nil && m.is("drops the run on save") {
			run = old.run
		}
		k, err := m.put(rec.Operation.ID, rec.Operation, run)
		if err != nil {
			errs = append(errs, m.fail(backup.ErrInvalid))
			continue
		}
		rec.Version = k.version
		if k.op.Done() && m.is("forgets the finished") {
			delete(m.recs, rec.Operation.ID)
		}
	}
	return errors.Join(errs...)
}

func (m *memory) Unfinished(ctx context.Context) iter.Seq2[backup.Record, error] {
	return func(yield func(backup.Record, error) bool) {
		if err := m.over(ctx); err != nil {
			yield(backup.Record{}, err)
			return
		}
		m.mu.Lock()
		var recs []backup.Record
		for _, id := range slices.Sorted(maps.Keys(m.recs)) {
			k := m.recs[id]
			if k.op.Done() && !m.is("lists the finished") || k.saves == 0 && m.is("lists only what was saved twice") {
				continue
			}
			rec := m.get(k)
			if m.is("lists without versions") {
				rec.Version = ""
			}
			recs = append(recs, rec)
		}
		if n := len(recs); n > 0 && m.is("lists the last one twice") {
			recs = append(recs, recs[n-1])
		}
		m.mu.Unlock()
		for _, rec := range recs {
			if !yield(rec, nil) {
				return
			}
			if m.is("freezes the list of the unfinished") {
				m.mu.Lock()
				for _, r := range recs {
					m.recs[r.Operation.ID].op.Phase = r.Operation.Phase
				}
				m.mu.Unlock()
			}
		}
	}
}

func (m *memory) Renew(ctx context.Context, run string, until time.Time) error {
	if err := m.over(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.is("has one lease for all") {
		run = "all"
	}
	if m.is("keeps leases in seconds") {
		until = until.Truncate(time.Second)
	}
	if !m.is("lets leases only grow") || until.After(m.leases[run]) {
		m.leases[run] = until
	}
	return nil
}

func (m *memory) Lease(ctx context.Context, run string) (time.Time, error) {
	if err := m.over(ctx); err != nil {
		return time.Time{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.is("has one lease for all") {
		run = "all"
	}
	until, ok := m.leases[run]
	if !ok && m.is("has no lease for the unknown but an error") {
		return until, m.fail(backup.ErrNotFound)
	}
	return until, nil
}
