package policy

import (
	"maps"
	"reflect"
	"slices"
)

// Merged says what Merge did, by Sid.
type Merged struct {
	// Added are new; Replaced stood there with another meaning; Same stood there already, perhaps with the elements of its lists in another order.
	Added, Replaced, Same []string
}

// Changed reports whether anything must be written.
func (m Merged) Changed() bool { return len(m.Added)+len(m.Replaced) > 0 }

// Merge puts statements into a document by their Sids: one of the same Sid is replaced in its place, a new one comes last, and everything that
// others wrote is kept as it is. S3 and KMS replace a policy as a whole, so what is written must hold what others allowed and denied. Merging
// twice is the same as merging once. A statement that says the same in another order stays as it stands. An empty Document gets the current
// Version; one without a Version keeps that, because the Version decides what the other statements mean.
//
// The result shares nothing with d or mine. Each statement must have a Sid, and only one each. Whoever must not replace what others named so
// looks at Merged.Replaced before writing, and whoever wants to know what the change allows asks [Widens].
func (d Document) Merge(mine ...Statement) (Document, Merged, error) {
	var m Merged
	out := Document{Version: d.Version, ID: d.ID, Statements: cloneAll(d.Statements)}
	if len(out.Statements) == 0 {
		out.Version = Version
	}
	seen := map[string]bool{}
	for _, s := range mine {
		if s.Sid == "" || seen[s.Sid] {
			return Document{}, Merged{}, docErr("", "statements are merged by their Sids, and %.80q is empty or given twice", s.Sid)
		}
		seen[s.Sid] = true
		n := slices.IndexFunc(out.Statements, func(x Statement) bool { return x.Sid == s.Sid })
		switch {
		case n < 0:
			out.Statements, m.Added = append(out.Statements, s.clone()), append(m.Added, s.Sid)
		case out.Statements[n].means(s):
			m.Same = append(m.Same, s.Sid)
		default:
			out.Statements[n] = s.clone()
			m.Replaced = append(m.Replaced, s.Sid)
		}
	}
	return out, m, out.Validate()
}

// clone gives a statement that shares nothing with s.
func (s Statement) clone() Statement {
	for _, list := range []*[]string{&s.Action, &s.NotAction, &s.Resource, &s.NotResource} {
		*list = slices.Clone(*list)
	}
	s.Principal, s.NotPrincipal = s.Principal.clone(), s.NotPrincipal.clone()
	s.Condition = maps.Clone(s.Condition)
	for operator, keys := range s.Condition {
		keys = maps.Clone(keys)
		for key, values := range keys {
			keys[key] = slices.Clone(values)
		}
		s.Condition[operator] = keys
	}
	return s
}

func (p *Principal) clone() *Principal {
	if p == nil {
		return nil
	}
	return &Principal{p.Everyone, slices.Clone(p.AWS), slices.Clone(p.Service), slices.Clone(p.Federated), slices.Clone(p.CanonicalUser)}
}

func cloneAll(all []Statement) []Statement {
	out := slices.Clone(all)
	for i, s := range out {
		out[i] = s.clone()
	}
	return out
}

// means reports whether two statements say the same: the order of the elements of a list has no meaning, nor has one that stands twice.
//
// Source: IAM user guide, "IAM JSON policy elements reference".
func (s Statement) means(o Statement) bool {
	return reflect.DeepEqual(s.ordered(), o.ordered())
}

// ordered gives a copy whose lists are sorted and hold each element once.
func (s Statement) ordered() Statement {
	order := func(list []string) []string {
		slices.Sort(list)
		return slices.Compact(list)
	}
	s = s.clone()
	for _, list := range []*[]string{&s.Action, &s.NotAction, &s.Resource, &s.NotResource} {
		*list = order(*list)
	}
	for _, p := range []*Principal{s.Principal, s.NotPrincipal} {
		if p != nil {
			p.AWS, p.Service, p.Federated, p.CanonicalUser = order(p.AWS), order(p.Service), order(p.Federated), order(p.CanonicalUser)
		}
	}
	for _, keys := range s.Condition {
		for key, values := range keys {
			keys[key] = order(values)
		}
	}
	return s
}
