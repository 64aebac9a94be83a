package rdssim

import (
	"slices"
	"time"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// life holds the instants of a thing's existence.
type life struct {
	made time.Time
	lag  time.Duration
	// deleting is when the deletion began, gone when it ended; both zero for what is to stay.
	deleting, gone time.Time
}

func (l *life) lifetime() *life { return l }

func (l *life) exists(now time.Time) bool { return l.gone.IsZero() || now.Before(l.gone) }

type mortal interface{ lifetime() *life }

// shelf keeps things by name, with those that had the name before: a stale read still sees what was deleted since.
type shelf[T mortal] struct {
	byName map[string][]T
	names  names
}

func (s *shelf[T]) add(name string, t T) {
	if s.byName == nil {
		s.byName = map[string][]T{}
	}
	if len(s.byName[name]) == 0 {
		s.names.add(name)
	}
	s.byName[name] = append(s.byName[name], t)
}

// truth gives what has the name at present, whether reads can see it or not.
func (s *shelf[T]) truth(r *awssim.Request, name string) (T, bool) {
	if all := s.byName[name]; len(all) > 0 {
		if t := all[len(all)-1]; t.lifetime().exists(r.Now) {
			return t, true
		}
	}
	var zero T
	return zero, false
}

// seen gives what the call, a read, sees under the name.
func (s *shelf[T]) seen(r *awssim.Request, name string) (T, bool) {
	for _, t := range slices.Backward(s.byName[name]) {
		if l := t.lifetime(); l.exists(r.Now) && r.Visible(l.made, l.lag) {
			return t, true
		}
	}
	var zero T
	return zero, false
}

// names is a sorted set of names that takes many additions between two lists without sorting each time.
type names struct {
	sorted, fresh []string
}

func (n *names) add(name string) { n.fresh = append(n.fresh, name) }

// list gives the names in order. It must not be changed.
func (n *names) list() []string {
	if len(n.fresh) > 0 {
		slices.Sort(n.fresh)
		all := make([]string, 0, len(n.sorted)+len(n.fresh))
		a, b := n.sorted, n.fresh
		for len(a) > 0 && len(b) > 0 {
			if a[0] <= b[0] {
				all, a = append(all, a[0]), a[1:]
			} else {
				all, b = append(all, b[0]), b[1:]
			}
		}
		all = append(append(all, a...), b...)
		n.sorted, n.fresh = slices.Compact(all), nil
	}
	return n.sorted
}

// history is a value that changes: what it is depends on the instant at which one looks.
type history[T any] []version[T]

type version[T any] struct {
	from  time.Time
	value T
}

func (h history[T]) at(now time.Time) T {
	for _, v := range slices.Backward(h[1:]) {
		if !v.from.After(now) {
			return v.value
		}
	}
	return h[0].value
}

// last gives the newest value, including one that is to hold only later.
func (h history[T]) last() T { return h[len(h)-1].value }

func (h *history[T]) set(from time.Time, value T) { *h = append(*h, version[T]{from, value}) }
