package backuptest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// here is a Query for everything in the Resource's place.
func (b *bench) here() backup.Query {
	return backup.Query{Account: b.Resource.Account, Region: b.Resource.Region}
}

func (b *bench) lister() backup.Lister {
	l, _ := backup.As[backup.Lister](b.process())
	return l
}

func (b *bench) discoverer() backup.Discoverer {
	d, _ := backup.As[backup.Discoverer](b.process())
	return d
}

// all gives what a sequence yields, and its error.
func all[T any](seq iter.Seq2[T, error]) (out []T, err error) {
	for x, err := range seq {
		if err != nil {
			return out, err
		}
		out = append(out, x)
	}
	return out, nil
}

func mustAll[T any](t tb, what string, seq iter.Seq2[T, error]) []T {
	t.Helper()
	out, err := all(seq)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return out
}

// find gives the one with the given Ref; one that is yielded twice is an error.
func find[T any](t tb, what string, xs []T, ref func(T) backup.Ref, want backup.Ref) (x T, ok bool) {
	t.Helper()
	for _, y := range xs {
		if ref(y) == want {
			if ok {
				t.Errorf("%s yields %s twice", what, want)
			}
			x, ok = y, true
		}
	}
	return x, ok
}

func refOfPoint(p backup.RecoveryPoint) backup.Ref { return p.Ref }
func refOfResource(r backup.Resource) backup.Ref   { return r.Ref }

func checkDiscover(t tb, b *bench) {
	typed := b.here()
	typed.Types = []string{b.Resource.Type}
	for what, q := range map[string]backup.Query{"Discover of everything": b.here(), "Discover of the Resource's type": typed} {
		found := mustAll(t, what, b.discoverer().Discover(t.Context(), q))
		r, ok := find(t, what, found, refOfResource, b.Resource)
		if !ok {
			t.Errorf("%s does not yield %s", what, b.Resource)
			continue
		}
		for k, v := range b.Tags {
			if r.Tags[k] != v {
				t.Errorf("%s gives the tag %q of %s as %q, want %q", what, k, b.Resource, r.Tags[k], v)
			}
		}
		for _, x := range found {
			if x.Account != q.Account || x.Region != q.Region || len(q.Types) > 0 && x.Type != b.Resource.Type {
				t.Errorf("%s yields %s", what, x.Ref)
			}
		}
	}
}

func checkDiscoverTags(t tb, b *bench) {
	key := slices.Sorted(maps.Keys(b.Tags))[0]
	for _, c := range []struct {
		what string
		tags map[string]string
		want bool
	}{
		{"all of its tags", maps.Clone(b.Tags), true},
		{"one of its tags", map[string]string{key: b.Tags[key]}, true},
		{"the key of one of its tags", map[string]string{key: ""}, true},
		{"another value", map[string]string{key: b.Tags[key] + "x"}, false},
		{"a pattern", map[string]string{key: "*"}, false},
		{"a key that it has not", map[string]string{"conformance-no-such-key": ""}, false},
		{"one tag that it has and one that it has not", map[string]string{key: b.Tags[key], "conformance-no-such-key": "x"}, false},
	} {
		q := b.here()
		q.Tags = c.tags
		what := "Discover by " + c.what
		if _, ok := find(t, what, mustAll(t, what, b.discoverer().Discover(t.Context(), q)), refOfResource, b.Resource); ok != c.want {
			t.Errorf("%s finds %s: %v, want %v", what, b.Resource, ok, c.want)
		}
	}
}

// refuses wants a sequence to yield one error with ErrInvalid and nothing else.
func refuses[T any](t tb, what string, seq iter.Seq2[T, error]) {
	t.Helper()
	xs, err := all(seq)
	wantCode(t, what, err, backup.ErrInvalid)
	if len(xs) > 0 {
		t.Errorf("%s yields %d before it refuses", what, len(xs))
	}
}

func checkDiscoverRefuses(t tb, b *bench) {
	before, _ := b.calls()
	for what, change := range map[string]func(q *backup.Query){
		"no account": func(q *backup.Query) { q.Account = "" },
		"no Region":  func(q *backup.Query) { q.Region = "" },
		"a Source":   func(q *backup.Query) { q.Source = b.Resource },
		"a Point":    func(q *backup.Query) { q.Point = b.Resource },
	} {
		q := b.here()
		change(&q)
		refuses(t, "Discover with "+what, b.discoverer().Discover(t.Context(), q))
	}
	if after, _ := b.calls(); after != before {
		t.Errorf("refusing to discover made %d calls", after-before)
	}
}

// iterates checks how a sequence behaves when it is left early, used again, and when its context ends in the middle.
func iterates[T any](t tb, what string, open func(ctx context.Context) iter.Seq2[T, error], want int) {
	t.Helper()
	whole := mustAll(t, what, open(t.Context()))
	if len(whole) < want {
		t.Errorf("%s yields %d, want at least %d", what, len(whole), want)
	}
	seq := open(t.Context())
	for range 2 {
		if again := mustAll(t, what+", ranged over twice", seq); len(again) != len(whole) {
			t.Errorf("%s yields %d, and then %d", what, len(whole), len(again))
		}
	}
	for stop := 1; stop <= len(whole); stop++ {
		n := 0
		open(t.Context())(func(T, error) bool { n++; return n < stop })
		if n != stop {
			t.Errorf("%s goes on after it was left: %d were yielded to a loop that ended after %d", what, n, stop)
		}
	}
	for after := 0; after <= len(whole); after++ {
		ctx, cancel := context.WithCancel(t.Context())
		if after == 0 {
			cancel()
		}
		n, errs := 0, 0
		for _, err := range open(ctx) {
			if errs > 0 {
				t.Errorf("%s goes on after an error", what)
			}
			if err != nil {
				errs++
				if !typed(err) {
					t.Errorf("%s yields %v, which is no *backup.Error", what, err)
				}
				continue
			}
			if n++; n == after {
				cancel()
			}
		}
		cancel()
		if errs == 0 && n != len(whole) {
			t.Errorf("%s whose context ended after %d yields %d of %d and no error: who deletes by it deletes too much", what, after, n, len(whole))
		}
	}
}

func checkDiscoverIteration(t tb, b *bench) {
	iterates(t, "Discover", func(ctx context.Context) iter.Seq2[backup.Resource, error] {
		return b.discoverer().Discover(ctx, b.here())
	}, 1)
}

func checkListIteration(t tb, b *bench) {
	for i := range 3 {
		b.backedUp(t, fmt.Sprint("point-", i))
	}
	iterates(t, "List", func(ctx context.Context) iter.Seq2[backup.RecoveryPoint, error] {
		return b.lister().List(ctx, b.here())
	}, 3)
}

func checkList(t tb, b *bench) {
	began := time.Now()
	spec := b.spec(b.starts(), "one")
	b.tagged(b.starts(), &spec, map[string]string{"conformance": "yes"})
	op, err := b.Strategy.Start(t.Context(), b.Resource, spec)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	if op = b.pilot().finish(t, op); op.Phase != backup.PhaseSucceeded || len(op.Points) == 0 {
		t.Fatalf("the backup ended %s with the points %v: %v", op.Phase, op.Points, op.Err())
	}
	b.rest()
	for what, limit := range map[string]func(q *backup.Query){
		"List of everything": func(*backup.Query) {},
		"List by type":       func(q *backup.Query) { q.Types = []string{op.Points[0].Type} },
		"List by Source":     func(q *backup.Query) { q.Source = b.Resource },
		"List by Point":      func(q *backup.Query) { q.Point = op.Points[0] },
	} {
		q := b.here()
		limit(&q)
		points := mustAll(t, what, b.lister().List(t.Context(), q))
		p, ok := find(t, what, points, refOfPoint, op.Points[0])
		if !ok {
			t.Errorf("%s does not yield the new recovery point %s", what, op.Points[0])
			continue
		}
		if p.Status != backup.StatusAvailable {
			t.Errorf("%s gives the new recovery point the status %q", what, p.Status)
		}
		if p.Source != b.Resource {
			t.Errorf("%s gives the source as %q, want %q", what, p.Source, b.Resource)
		}
		if p.CreatedAt.Before(began.Add(-5*time.Minute)) || p.CreatedAt.After(time.Now().Add(5*time.Minute)) {
			t.Errorf("%s gives the time of the data as %v; it was backed up after %v", what, p.CreatedAt, began)
		}
		if p.Automated {
			t.Errorf("%s calls a backup automated that was asked for", what)
		}
		if p.Tags == nil {
			b.note(what + " gives no tags; whose a recovery point is can not be seen in it")
			continue
		}
		want := map[string]string{backup.TagOwner: op.Owner, backup.TagToken: op.ID}
		maps.Copy(want, spec.Tags)
		for k, v := range want {
			if p.Tags[k] != v {
				t.Errorf("%s gives the tag %q as %q, want %q", what, k, p.Tags[k], v)
			}
		}
	}
}

func checkListFilters(t tb, b *bench) {
	one, two := b.backedUp(t, "one"), b.backedUp(t, "two")
	p := one.Points[0]
	other := b.Missing
	if other.IsZero() {
		b.note("Subject.Missing is empty: that a listing keeps to its source was checked with the points' own sources alone")
	}
	for _, c := range []struct {
		what         string
		limit        func(q *backup.Query)
		first, secnd bool
		skip         bool
	}{
		{what: "Point", limit: func(q *backup.Query) { q.Point = p }, first: true},
		{what: "a tag of the first", limit: func(q *backup.Query) { q.Tags = map[string]string{backup.TagToken: one.ID} }, first: true},
		{what: "the key of a tag of both", limit: func(q *backup.Query) { q.Tags = map[string]string{backup.TagToken: ""} }, first: true, secnd: true},
		{what: "a pattern of a tag", limit: func(q *backup.Query) { q.Tags = map[string]string{backup.TagToken: "op-*"} }},
		{what: "another value of a tag", limit: func(q *backup.Query) { q.Tags = map[string]string{backup.TagToken: one.ID + "x"} }},
		{what: "two tags of which it has one", limit: func(q *backup.Query) {
			q.Tags = map[string]string{backup.TagToken: one.ID, backup.TagOwner: "somebody-else"}
		}},
		{what: "the source", limit: func(q *backup.Query) { q.Source = b.Resource }, first: true, secnd: true},
		{what: "another source", limit: func(q *backup.Query) { q.Source = other }, skip: other.IsZero()},
	} {
		if c.skip {
			continue
		}
		q := b.here()
		c.limit(&q)
		what := "List by " + c.what
		points := mustAll(t, what, b.lister().List(t.Context(), q))
		if _, ok := find(t, what, points, refOfPoint, p); ok != c.first {
			t.Errorf("%s yields the first of two points: %v, want %v", what, ok, c.first)
		}
		if _, ok := find(t, what, points, refOfPoint, two.Points[0]); ok != c.secnd {
			t.Errorf("%s yields the second of two points: %v, want %v", what, ok, c.secnd)
		}
		for _, x := range points {
			if !q.Source.IsZero() && x.Source != q.Source {
				t.Errorf("%s yields a point of %s", what, x.Source)
			}
		}
	}
}

func checkListRefuses(t tb, b *bench) {
	before, _ := b.calls()
	for what, change := range map[string]func(q *backup.Query){
		"no account":                func(q *backup.Query) { q.Account = "" },
		"no Region":                 func(q *backup.Query) { q.Region = "" },
		"a Source of an account":    func(q *backup.Query) { q.Source = b.Resource; q.Source.Account = "000000000000" },
		"a Source of a Region":      func(q *backup.Query) { q.Source = b.Resource; q.Source.Region = "eu-central-2" },
		"a Source with a wildcard":  func(q *backup.Query) { q.Source = b.Resource; q.Source.ID = "*" },
		"a resource as the Point":   func(q *backup.Query) { q.Point = b.Resource },
		"a Source of unknown type":  func(q *backup.Query) { q.Source = b.Resource; q.Source.Type = unknownType },
		"a Source without its type": func(q *backup.Query) { q.Source = b.Resource; q.Source.Type = "" },
	} {
		q := b.here()
		change(&q)
		refuses(t, "List with "+what, b.lister().List(t.Context(), q))
	}
	if after, _ := b.calls(); after != before {
		t.Errorf("refusing to list made %d calls", after-before)
	}
}

func checkPreflight(t tb, b *bench) {
	for _, f := range b.flows(t) {
		for _, x := range b.preflight(t, b.begin(t, f, "one")) {
			if x.Severity == backup.SeverityError {
				t.Errorf("Preflight of the %s that will succeed finds the error %s: %s", f.action, x.ID, x.Message)
			}
		}
	}
}

// preflight gives the findings and checks their form.
func (b *bench) preflight(t tb, op backup.Operation) []backup.Finding {
	t.Helper()
	x, _ := backup.As[backup.Preflighter](b.process())
	found, err := x.Preflight(t.Context(), thaw(t, op))
	if err != nil {
		t.Fatalf("Preflight of the %s: %v", op.Action, err)
	}
	worst := []backup.Severity{backup.SeverityError, backup.SeverityWarning, backup.SeverityInfo}
	last := 0
	for _, f := range found {
		n := slices.Index(worst, f.Severity)
		switch {
		case f.ID == "" || f.Message == "" || n < 0:
			t.Errorf("Preflight gives a finding without id, message or known severity: %+v", f)
		case n < last:
			t.Errorf("Preflight gives a finding of severity %s after a lesser one; the worst come first", f.Severity)
		}
		last = max(last, n)
	}
	return found
}

func checkPreflightMissing(t tb, b *bench) {
	f := b.backups(t)
	f.ref = b.Missing
	for _, x := range b.preflight(t, b.begin(t, f, "one")) {
		if x.Severity == backup.SeverityError {
			return
		}
	}
	t.Errorf("Preflight of the %s of %s, which does not exist, finds no error", f.action, f.ref)
}

func checkPreflightCalls(t tb, b *bench) {
	for _, f := range b.flows(t) {
		op := b.begin(t, f, "one")
		_, before := b.calls()
		made := b.made()
		b.preflight(t, op)
		if _, after := b.calls(); after != before || b.made() != made {
			t.Errorf("Preflight of the %s changed something", f.action)
		}
	}
}
