package ec2sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// resource is what all resources have in common. What a call sees follows from the instants in it and the instant of the call.
type resource struct {
	seq   uint64
	id    string
	owner string
	// made is the instant of creation; lag is for how long reads do not see it.
	made time.Time
	lag  time.Duration
	// gone is the instant from which the resource is not there any more; zero for never. The entry stays, for reads of an earlier instant.
	gone time.Time
	tags history
}

func (x *resource) base() *resource { return x }

// there reports whether the resource exists at an instant.
func (x *resource) there(now time.Time) bool { return x.gone.IsZero() || now.Before(x.gone) }

// seen reports whether a read sees the resource.
func (x *resource) seen(r *awssim.Request) bool { return r.Visible(x.made, x.lag) && x.there(r.Now) }

// item is a pointer to a resource of some kind.
type item interface {
	comparable
	base() *resource
}

// table holds the resources of one kind in one Region, of all accounts, in the order of their creation.
type table[T item] struct {
	idFilter string
	byID     map[string]T
	index    map[indexKey][]T
	// names keeps the filter name of each tag key once.
	names map[string]string
}

// newTable makes a table whose resources are found by their ids under the filter of the given name.
func newTable[T item](idFilter string) table[T] {
	return table[T]{idFilter: idFilter, byID: map[string]T{}, index: map[indexKey][]T{}, names: map[string]string{}}
}

// indexKey is a property that can be looked up: the name and a value of a filter. What ever had the property stays under it, so that reads of
// an earlier instant find it; whoever looks must check.
type indexKey struct{ name, value string }

func (t *table[T]) add(x T) {
	b := x.base()
	t.byID[b.id] = x
	t.note(x, "owner-id", b.owner)
	t.noteTags(x)
}

// note enters x under a property, keeping the order of creation.
func (t *table[T]) note(x T, name, value string) {
	k := indexKey{name, value}
	list := t.index[k]
	seq := x.base().seq
	if n := len(list); n == 0 || list[n-1].base().seq < seq {
		t.index[k] = append(list, x)
		return
	}
	at, found := slices.BinarySearchFunc(list, seq, bySeq[T])
	if !found {
		t.index[k] = slices.Insert(list, at, x)
	}
}

// noteTags enters x under its newest tags.
func (t *table[T]) noteTags(x T) {
	for _, g := range x.base().tags.newest() {
		name, ok := t.names[g.key]
		if !ok {
			name = "tag:" + g.key
			t.names[g.key] = name
		}
		t.note(x, name, g.value)
	}
}

func bySeq[T item](x T, seq uint64) int { return cmp.Compare(x.base().seq, seq) }

// own gives the resource that a call that writes names: the truth, whether or not reads see it yet.
func (t *table[T]) own(r *awssim.Request, id string) (T, bool) {
	x, ok := t.byID[id]
	if !ok || x.base().owner != r.Account || !x.base().there(r.Now) {
		var none T
		return none, false
	}
	return x, true
}

// union merges ordered lists without copying where there is one.
func union[T item](lists ...[]T) []T {
	var all []T
	parts := 0
	for _, l := range lists {
		if len(l) == 0 {
			continue
		}
		if parts++; parts == 1 {
			all = l
			continue
		}
		if parts == 2 {
			all = slices.Clone(all)
		}
		all = append(all, l...)
	}
	if parts > 1 {
		slices.SortFunc(all, func(a, b T) int { return cmp.Compare(a.base().seq, b.base().seq) })
		all = slices.Compact(all)
	}
	return all
}

// narrow gives the shortest list that the indexes offer of what may match all the filters: tags, and the named properties, under which every
// resource of the table must have been noted. The result is not to be changed.
func (t *table[T]) narrow(from []T, filters []filter, indexed ...string) []T {
	for i := range filters {
		f := &filters[i]
		if f.wild || f.key == "" && !slices.Contains(indexed, f.name) {
			continue
		}
		if f.name == t.idFilter {
			if len(f.values) < len(from) {
				from = t.named(f.values)
			}
			continue
		}
		n := 0
		for _, v := range f.values {
			n += len(t.index[indexKey{f.name, v}])
		}
		if n >= len(from) {
			continue
		}
		lists := make([][]T, 0, len(f.values))
		for _, v := range f.values {
			lists = append(lists, t.index[indexKey{f.name, v}])
		}
		from = union(lists...)
	}
	return from
}

// named gives the resources of the given ids in the order of creation; what is not known is missing.
func (t *table[T]) named(ids []string) []T {
	list := make([]T, 0, len(ids))
	for _, id := range ids {
		if x, ok := t.byID[id]; ok {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(a.base().seq, b.base().seq) })
	return slices.Compact(list)
}

// instants is a list of instants, earliest first, for counting what is not over yet.
type instants []time.Time

// open forgets what is over and counts the rest.
func (l *instants) open(now time.Time) int {
	n := 0
	for n < len(*l) && !(*l)[n].After(now) {
		n++
	}
	*l = (*l)[n:]
	return len(*l)
}

func (l *instants) add(t time.Time) {
	at, _ := slices.BinarySearchFunc(*l, t, time.Time.Compare)
	*l = slices.Insert(*l, at, t)
}
