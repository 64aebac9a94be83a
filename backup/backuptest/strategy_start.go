package backuptest

import (
	"fmt"
	"strings"

	"github.com/snapwarden/snapwarden/backup"
)

func checkKind(t tb, b *bench) {
	kind := b.Strategy.Kind()
	if kind == "" || strings.ContainsAny(kind, " \t\r\n") {
		t.Errorf("the kind is %q; it must not be empty or have white space", kind)
	}
	for range 3 {
		if k := b.Strategy.Kind(); k != kind {
			t.Errorf("the kind is %q and then %q", kind, k)
		}
		if k := b.process().Kind(); k != kind {
			t.Errorf("the kind is %q and in another process %q: nobody could carry its Operations on", kind, k)
		}
	}
}

func checkStartOperation(t tb, b *bench) {
	kind := b.Strategy.Kind()
	for _, f := range b.flows(t) {
		spec := b.spec(f.action, "one")
		spec.Owner, spec.Timeout = "conformance", 5*backup.DefaultTimeout
		b.tagged(f.action, &spec, map[string]string{"team": "orders"})
		op, err := f.start(b.Strategy, f.ref, spec)
		if err != nil {
			t.Fatalf("starting the %s: %v", f.action, err)
		}
		// The core's own Operation for the same arguments says what the common parts must be.
		want, err := backup.NewOperation(kind, f.action, f.ref, spec)
		if err != nil {
			t.Fatalf("the Spec can not be used: %v", err)
		}
		if err := op.Check(kind); err != nil {
			t.Errorf("the Operation of a started %s is not one of its own Strategy: %v", f.action, err)
		}
		got := op
		got.Stage, got.Next, got.State, got.Poll, got.Findings = want.Stage, want.Next, want.State, want.Poll, want.Findings
		got.Input = want.Input // the Strategy binds what its Start takes beside the Spec
		if b.live {            // two calls at one instant are for bubbles
			got.Since, got.Started, got.Updated, got.Deadline = want.Since, want.Started, want.Updated, want.Deadline
		}
		same(t, "starting the "+string(f.action)+" (Stage, Next, State, Poll, Findings and Input are the Strategy's)", got, want)

		again, err := f.start(b.process(), f.ref, spec)
		if err != nil || again.ID != op.ID {
			t.Errorf("starting the %s again gives the ID %q and the error %v, the first was %q", f.action, again.ID, err, op.ID)
		}
		if again.Input != op.Input {
			t.Errorf("starting the %s again with the same arguments gives another Input: a Runner would refuse what it began before", f.action)
		}
		spec.Token = b.prefix + "two"
		if other, err := f.start(b.Strategy, f.ref, spec); err != nil || other.ID == op.ID {
			t.Errorf("another token gives the %s the ID %q and the error %v", f.action, other.ID, err)
		}
		thaw(t, op)
	}
}

func checkStartCalls(t tb, b *bench) {
	for _, f := range b.flows(t) {
		before, _ := b.Calls()
		b.begin(t, f, "one")
		b.begin(t, f, "one")
		if after, _ := b.Calls(); after != before {
			t.Errorf("starting the %s twice made %d calls; it must make none", f.action, after-before)
		}
	}
}

// unknownType is a type of Ref that no Strategy has.
const unknownType = "backuptest/unknown"

// badRefs are Refs that nobody takes, made of one that is good.
func badRefs(good backup.Ref) []backup.Ref {
	bad := []backup.Ref{{}}
	for _, s := range []string{"", "*", "?", " ", "\n", "a b", "${x}", "x\x00"} {
		for i := range 4 {
			r := good
			*[]*string{&r.Type, &r.Account, &r.Region, &r.ID}[i] = s
			bad = append(bad, r)
		}
	}
	change := func(f func(r *backup.Ref)) { r := good; f(&r); bad = append(bad, r) }
	change(func(r *backup.Ref) { r.Type = unknownType })
	change(func(r *backup.Ref) { r.Account = "1234" })
	change(func(r *backup.Ref) { r.Account = "12345678901x" })
	change(func(r *backup.Ref) { r.ID += "*" })
	change(func(r *backup.Ref) { r.ID = "*" + r.ID })
	change(func(r *backup.Ref) { r.Region += " " })
	return bad
}

func checkStartRefs(t tb, b *bench) {
	for _, f := range b.flows(t) {
		bad := badRefs(f.ref)
		if f.action == b.starts() {
			bad = append(bad, b.Malformed...)
		} else {
			// A resource is no recovery point: who mixes them up must not delete a database.
			bad = append(bad, b.Resource)
		}
		before, _ := b.calls()
		for _, r := range bad {
			_, err := f.start(b.Strategy, r, b.spec(f.action, "one"))
			wantCode(t, fmt.Sprintf("starting the %s of %q", f.action, r), err, backup.ErrInvalid)
		}
		if after, _ := b.calls(); after != before {
			t.Errorf("refusing the %s made %d calls", f.action, after-before)
		}
	}
	if len(b.Malformed) == 0 {
		b.note("Subject.Malformed is empty: identifiers that the service can not have were not tried")
	}
}

func checkStartPlaces(t tb, b *bench) {
	for _, f := range b.flows(t) {
		for _, r := range b.Unserved {
			if f.action != b.starts() {
				r = backup.Ref{Type: f.ref.Type, Account: r.Account, Region: r.Region, ID: f.ref.ID}
			}
			_, before := b.calls()
			s := b.process()
			op, err := f.start(s, r, b.spec(f.action, "one"))
			if err == nil {
				if op.Next != "" {
					op.Attempt = 1
				}
				_, err = s.Step(t.Context(), thaw(t, op))
			}
			wantCode(t, fmt.Sprintf("the %s of %q, which is not served", f.action, r), err, backup.ErrInvalid)
			if _, after := b.calls(); after != before {
				t.Errorf("the %s of %q, which is not served, changed something", f.action, r)
			}
		}
	}
}

// strange are options that nobody knows, whatever they say.
type strange struct {
	kind   string
	action backup.Action
}

func (o strange) OptionsFor() (string, backup.Action) { return o.kind, o.action }

func checkStartSpecs(t tb, b *bench) {
	kind := b.Strategy.Kind()
	for _, f := range b.flows(t) {
		bad := map[string]func(s *backup.Spec){
			"no token":                 func(s *backup.Spec) { s.Token = "" },
			"a long token":             func(s *backup.Spec) { s.Token = strings.Repeat("x", 257) },
			"an owner with a space":    func(s *backup.Spec) { s.Owner = "two words" },
			"an owner with a wildcard": func(s *backup.Spec) { s.Owner = "*" },
			"a negative timeout":       func(s *backup.Spec) { s.Timeout = -1 },
			"a tag of AWS":             func(s *backup.Spec) { s.Tags = map[string]string{"aws:x": "y"} },
			"a tag of the library":     func(s *backup.Spec) { s.Tags = map[string]string{backup.TagOwner: "me"} },
			"a tag of the library in capitals": func(s *backup.Spec) {
				s.Tags = map[string]string{strings.ToUpper(backup.TagToken): "me"}
			},
			"options of another kind":   func(s *backup.Spec) { s.Options = strange{"backuptest.other", f.action} },
			"options of another action": func(s *backup.Spec) { s.Options = strange{kind, "backuptest.other"} },
			"options of a type that is not the Strategy's": func(s *backup.Spec) {
				s.Options = strange{kind, f.action}
			},
		}
		if b.MaxTags != 0 && f.action == b.starts() {
			bad["more tags than can be carried"] = func(s *backup.Spec) { s.Tags = manyTags(b.mostTags(f.action) + 1) }
		}
		for i, s := range b.BadSpecs[f.action] {
			bad[fmt.Sprintf("BadSpecs[%q][%d]", f.action, i)] = func(to *backup.Spec) { token := to.Token; *to = s; to.Token = token }
		}
		before, _ := b.calls()
		for name, change := range bad {
			spec := b.spec(f.action, "one")
			change(&spec)
			_, err := f.start(b.Strategy, f.ref, spec)
			wantCode(t, fmt.Sprintf("starting the %s with %s", f.action, name), err, backup.ErrInvalid)
		}
		if after, _ := b.calls(); after != before {
			t.Errorf("refusing the %s made %d calls", f.action, after-before)
		}
	}
}

func checkStartMemory(t tb, b *bench) {
	for _, f := range b.flows(t) {
		spec := b.spec(f.action, "one")
		tags := map[string]string{"team": "orders"}
		b.tagged(f.action, &spec, tags)
		op, err := f.start(b.Strategy, f.ref, spec)
		if err != nil {
			t.Fatalf("starting the %s: %v", f.action, err)
		}
		if len(tags) != 1 || tags["team"] != "orders" {
			t.Errorf("starting the %s changed the caller's tags to %v", f.action, tags)
		}
		was := string(encode(t, op))
		tags["team"], tags["more"] = "changed", "x"
		if now := string(encode(t, op)); now != was {
			t.Errorf("the Operation of the %s changes with the caller's tags: it was\n%s\nand is\n%s", f.action, was, now)
		}
		second, err := f.start(b.Strategy, f.ref, b.spec(f.action, "two"))
		if err != nil {
			t.Fatalf("starting the %s: %v", f.action, err)
		}
		was = string(encode(t, second))
		scramble(op)
		if now := string(encode(t, second)); now != was {
			t.Errorf("two Operations share memory: one was\n%s\nand is, after the other was changed,\n%s", was, now)
		}
	}
}

// manyTags gives n tags that are together about as large as those of a Spec can be, or each as large as any can be.
func manyTags(n int) map[string]string {
	tags := map[string]string{}
	for i := range n {
		key := 48
		if n < 16 {
			key = 126
		}
		tags[fmt.Sprintf("%02d%s", i, strings.Repeat("k", key))] = strings.Repeat("v", max(min(4000/n-key-2, 256), 0))
	}
	return tags
}

func checkStartSize(t tb, b *bench) {
	for _, f := range b.flows(t) {
		spec := b.spec(f.action, strings.Repeat("t", 200))
		if n := min(b.mostTags(f.action), 16); n > 0 {
			spec.Tags = manyTags(n)
		}
		op, err := f.start(b.Strategy, f.ref, spec)
		if err != nil {
			t.Errorf("the %s with a long token and %d large tags is refused: %v", f.action, len(spec.Tags), err)
			continue
		}
		if n := len(encode(t, op)); n > backup.MaxOperationBytes {
			t.Errorf("the Operation of the %s with a long token and %d large tags has %d bytes, more than %d", f.action, len(spec.Tags), n, backup.MaxOperationBytes)
		}
	}
}
