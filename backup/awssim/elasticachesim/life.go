package elasticachesim

import (
	"iter"
	"slices"
	"sort"
	"time"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// life is what groups, clusters and snapshots have in common: the instants from which their state follows.
type life struct {
	made  time.Time
	lag   time.Duration
	ready time.Time
	// doomed tells that at ready it failed.
	doomed bool
	// deleting and gone are zero until it is deleted.
	deleting, gone time.Time
	holds          []hold
	// doors are the changes of who reaches it, in the order of time.
	doors []door
	tags  []tagging
}

// hold is a status that AWS or somebody else keeps it in for a while.
type hold struct {
	span
	status string
}

// door is the security groups from an instant on.
type door struct {
	at     time.Time
	groups []string
}

// doorsAt gives the security groups at t; made are those that it was created with.
func (l *life) doorsAt(t time.Time, made []string) []string {
	for i := len(l.doors) - 1; i >= 0; i-- {
		if !l.doors[i].at.After(t) {
			return l.doors[i].groups
		}
	}
	return made
}

// span is a time from which on, inclusive, and until which, exclusive, something is so.
type span struct{ from, until time.Time }

func (s span) has(t time.Time) bool { return !t.Before(s.from) && t.Before(s.until) }

// within reports whether t lies in one of the spans, which are in the order of their beginning and do not overlap.
func within(spans []span, t time.Time) bool {
	for i := len(spans) - 1; i >= 0; i-- {
		if spans[i].has(t) {
			return true
		}
		if spans[i].from.Before(t) {
			return false
		}
	}
	return false
}

func (l *life) base() *life { return l }

// lives reports whether it is there at t, in truth.
func (l *life) lives(t time.Time) bool { return l.gone.IsZero() || t.Before(l.gone) }

// seen reports whether a call that reads can see it.
func (l *life) seen(r *awssim.Request) bool { return r.Visible(l.made, l.lag) && l.lives(r.Now) }

// held gives the status that it is kept in at t, or nothing.
func (l *life) held(t time.Time) string {
	for i := len(l.holds) - 1; i >= 0; i-- {
		if l.holds[i].has(t) {
			return l.holds[i].status
		}
	}
	return ""
}

func (l *life) isDeleting(t time.Time) bool { return !l.deleting.IsZero() && !t.Before(l.deleting) }

type living interface{ base() *life }

// history keeps everything that ever had a name, in the order in which it was made.
type history[T living] struct {
	byName map[string][]T
	names  index
}

func newHistory[T living]() *history[T] { return &history[T]{byName: map[string][]T{}} }

func (h *history[T]) add(name string, v T) {
	if len(h.byName[name]) == 0 {
		h.names.add(name)
	}
	h.byName[name] = append(h.byName[name], v)
}

// live gives what has the name at t, in truth.
func (h *history[T]) live(name string, t time.Time) (T, bool) {
	if all := h.byName[name]; len(all) > 0 && all[len(all)-1].base().lives(t) {
		return all[len(all)-1], true
	}
	var zero T
	return zero, false
}

// seen gives what has the name in the eyes of a call that reads.
func (h *history[T]) seen(name string, r *awssim.Request) (T, bool) {
	all := h.byName[name]
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].base().seen(r) {
			return all[i], true
		}
	}
	var zero T
	return zero, false
}

// index is a sorted set of names that is cheap to add to.
type index struct{ sorted, fresh []string }

func (x *index) add(name string) { x.fresh = append(x.fresh, name) }

// after yields the names that come after the given one.
func (x *index) after(name string) iter.Seq[string] {
	if len(x.fresh) > 0 {
		slices.Sort(x.fresh)
		merged := make([]string, 0, len(x.sorted)+len(x.fresh))
		a, b := x.sorted, x.fresh
		for len(a) > 0 && len(b) > 0 {
			if a[0] <= b[0] {
				merged, a = append(merged, a[0]), a[1:]
			} else {
				merged, b = append(merged, b[0]), b[1:]
			}
		}
		x.sorted, x.fresh = slices.Compact(append(append(merged, a...), b...)), nil
	}
	i := sort.SearchStrings(x.sorted, name)
	if i < len(x.sorted) && x.sorted[i] == name {
		i++
	}
	return slices.Values(x.sorted[i:])
}
