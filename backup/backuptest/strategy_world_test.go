package backuptest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// vault is a service in memory, as careless as real ones: what is new is invisible for a while, work takes minutes, answers get lost.
type vault struct {
	mu              sync.Mutex
	things          []*item
	total, mutating int
	opened          int
	lose, die, doom bool
	stop            chan struct{} // ends what a mutant left behind
}

// item is a resource or a recovery point of the vault.
type item struct {
	ref, source  backup.Ref
	tags         map[string]string
	made         time.Time
	doomed, gone bool
}

const (
	invisible = 90 * time.Second
	takes     = 3 * time.Minute
	settles   = 3 * time.Minute
	polls     = 20 * time.Second
)

func (i *item) status(now time.Time) backup.Status {
	switch {
	case now.Before(i.made.Add(takes)):
		return backup.StatusPending
	case i.doomed:
		return backup.StatusFailed
	}
	return backup.StatusAvailable
}

var errReset = &backup.Error{Op: "vault", Code: backup.ErrUnavailable, Err: errors.New("connection reset")}

// enter counts a call. Nothing is done for a context that is over.
func (v *vault) enter(ctx context.Context, mutates bool) error {
	time.Sleep(time.Nanosecond) // a call takes time, in which others have their turn
	if err := context.Cause(ctx); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.total++
	if mutates {
		v.mutating++
	}
	return nil
}

// leave loses the answer of a call that changed something, if that was asked for.
func (v *vault) leave() error {
	v.mu.Lock()
	lose, die := v.lose, v.die
	v.lose, v.die = false, false
	v.mu.Unlock()
	if die {
		panic("the process died")
	}
	if lose {
		return errReset
	}
	return nil
}

func (v *vault) create(ctx context.Context, kind string, source backup.Ref, tags map[string]string) (backup.Ref, error) {
	if err := v.enter(ctx, true); err != nil {
		return backup.Ref{}, err
	}
	v.mu.Lock()
	r := backup.Ref{Type: "vault/" + kind, Account: source.Account, Region: source.Region, ID: fmt.Sprintf("%s-%03d", kind, len(v.things))}
	v.things = append(v.things, &item{ref: r, source: source, tags: maps.Clone(tags), made: time.Now(), doomed: v.doom})
	v.doom = false
	v.mu.Unlock()
	return r, v.leave()
}

func (v *vault) remove(ctx context.Context, r backup.Ref) error {
	if err := v.enter(ctx, true); err != nil {
		return err
	}
	v.mu.Lock()
	for _, i := range v.things {
		i.gone = i.gone || i.ref == r
	}
	v.mu.Unlock()
	return v.leave()
}

// list gives one page of the things of a kind that are visible.
func (v *vault) list(ctx context.Context, kind string, page int) (found []item, more bool, err error) {
	if err := v.enter(ctx, false); err != nil {
		return nil, false, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, i := range v.things {
		if i.ref.Type == "vault/"+kind && !i.gone && !time.Now().Before(i.made.Add(invisible)) {
			c := *i
			c.tags = maps.Clone(i.tags)
			found = append(found, c)
		}
	}
	const size = 2
	from := min(page*size, len(found))
	to := min(from+size, len(found))
	return found[from:to], to < len(found), nil
}

// each calls f for everything of a kind until it says that it has enough.
func (v *vault) each(ctx context.Context, kind string, f func(item) bool) error {
	for page := 0; ; page++ {
		found, more, err := v.list(ctx, kind, page)
		if err != nil {
			return err
		}
		for _, i := range found {
			if !f(i) {
				return nil
			}
		}
		if !more {
			return nil
		}
	}
}

// get gives a thing by its Ref, which works at once.
func (v *vault) get(ctx context.Context, r backup.Ref) (item, bool, error) {
	if err := v.enter(ctx, false); err != nil {
		return item{}, false, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, i := range v.things {
		if i.ref == r && !i.gone {
			return *i, true, nil
		}
	}
	return item{}, false, nil
}

// count tells how many things carry an Operation's ID.
func (v *vault) count(id string) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, i := range v.things {
		if !i.gone && i.tags[backup.TagToken] == id {
			n++
		}
	}
	return n
}

func (v *vault) has(r backup.Ref) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.ContainsFunc(v.things, func(i *item) bool { return i.ref == r && !i.gone })
}

// allow are the options of a vault's deletions.
type allow struct{ foreign bool }

func (allow) OptionsFor() (string, backup.Action) { return "vault", backup.ActionDelete }

// copyTags is how many tags a copy of the vault can carry.
const copyTags = 10

// vaultHarness gives the suite a vault and its Strategy with at most one bug. Where starts is another action than a backup, the Strategy takes few
// tags or none, and lists what it makes in Made until it is done.
func vaultHarness(bug string, starts backup.Action) Harness {
	return Harness{New: func(t testing.TB) *Subject {
		v := &vault{stop: make(chan struct{})}
		t.Cleanup(func() { close(v.stop) })
		resource := backup.Ref{Type: "vault/database", Account: "111122223333", Region: "eu-west-1", ID: "database-000"}
		for n := range 3 {
			r := resource
			r.ID = fmt.Sprintf("database-%03d", n)
			v.things = append(v.things, &item{ref: r, tags: map[string]string{"team": "orders", "n": fmt.Sprint(n)}, made: time.Now().Add(-time.Hour)})
		}
		missing, malformed, elsewhere, others := resource, resource, resource, resource
		missing.ID, malformed.ID, elsewhere.Region, others.Account = "database-999", "Database", "eu-central-1", "444455556666"
		open := func() backup.Strategy { return mutant(v, bug, starts) }
		s := &Subject{
			Strategy: open(), Restart: open, Resource: resource, Tags: map[string]string{"team": "orders", "n": "0"}, Missing: missing,
			Malformed: []backup.Ref{malformed}, Unserved: []backup.Ref{elsewhere, others},
			BadSpecs:     map[backup.Action][]backup.Spec{backup.ActionBackup: {{Name: "a-name"}}},
			AllowForeign: allow{true},
			Count:        v.count,
			Exists:       v.has,
			Calls:        func() (int, int) { v.mu.Lock(); defer v.mu.Unlock(); return v.total, v.mutating },
			LoseReply:    func() { v.lose = true },
			DieAfter:     func() { v.die = true },
			FailLater:    func() { v.doom = true },
			Vanish: func(r backup.Ref) {
				for _, i := range v.things {
					i.gone = i.gone || i.ref == r
				}
			},
		}
		if starts != backup.ActionBackup {
			s.Starts, s.MaxTags = starts, -1
			if starts == backup.ActionCopy {
				s.MaxTags = copyTags
			}
			s.BadSpecs = map[backup.Action][]backup.Spec{starts: {{Name: "a-name"}}}
		}
		return s
	}}
}

// mutant gives a Strategy of a vault with a bug, empty for none.
func mutant(v *vault, bug string, starts backup.Action) backup.Strategy {
	s := &vaultStrategy{v: v, bug: bug, starts: starts, ids: map[string]backup.Ref{}}
	v.mu.Lock()
	v.opened++
	s.boot = v.opened
	v.mu.Unlock()
	if bug == "wraps a Strategy of another kind" {
		return renaming{wrapping{s}}
	}
	return s
}

// renaming is a wrapper that is wrong: its kind is not that of what it wraps.
type renaming struct{ wrapping }

func (renaming) Kind() string { return "audited-vault" }
