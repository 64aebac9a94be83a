package policy

import (
	"slices"
	"strings"
)

// apart is a statement in parts: each has one principal, one action or one resource, where the statement lists them one by one. One that has
// too many combinations, or an element in its negated form, stays whole there.
type apart struct{ principals, actions, resources []part }

// part is a statement of which one element counts.
type part Statement

func takeApart(s Statement) apart {
	var x apart
	for _, p := range splitPrincipal(s.Principal) {
		x.principals = append(x.principals, part{Principal: p, NotPrincipal: s.NotPrincipal})
	}
	for _, a := range splitList(s.Action) {
		x.actions = append(x.actions, part{Action: a, NotAction: s.NotAction})
	}
	for _, r := range splitList(s.Resource) {
		x.resources = append(x.resources, part{Resource: r, NotResource: s.NotResource})
	}
	if len(x.principals)*len(x.actions)*len(x.resources) > maxCombinations {
		whole := []part{part(s)}
		return apart{whole, whole, whole}
	}
	return x
}

// describe names a combination of parts.
func (x apart) describe(p, a, r int) string {
	var all []string
	for _, names := range [][]string{x.principals[p].principals(), x.actions[a].actions(), x.resources[r].resources()} {
		switch {
		case len(names) > 3:
			all = append(all, strings.Join(names[:3], "+")+"+...")
		case len(names) > 0:
			all = append(all, strings.Join(names, "+"))
		}
	}
	return strings.Join(all, " ")
}

func (p part) principals() []string {
	if p.NotPrincipal != nil {
		return prefixed("not ", principalNames(p.NotPrincipal))
	}
	return principalNames(p.Principal)
}

func (p part) actions() []string {
	return append(prefixed("", p.Action), prefixed("not ", p.NotAction)...)
}

func (p part) resources() []string {
	return append(prefixed("", p.Resource), prefixed("not ", p.NotResource)...)
}

func prefixed(prefix string, list []string) []string {
	out := make([]string, 0, len(list))
	for _, v := range list {
		out = append(out, prefix+v)
	}
	return out
}

func splitList(list []string) [][]string {
	if len(list) == 0 {
		return [][]string{nil}
	}
	return slices.Collect(slices.Chunk(list, 1))
}

func splitPrincipal(p *Principal) (out []*Principal) {
	if p == nil || p.Everyone {
		return []*Principal{p}
	}
	for v := range slices.Chunk(p.AWS, 1) {
		out = append(out, &Principal{AWS: v})
	}
	for v := range slices.Chunk(p.Service, 1) {
		out = append(out, &Principal{Service: v})
	}
	for v := range slices.Chunk(p.Federated, 1) {
		out = append(out, &Principal{Federated: v})
	}
	for v := range slices.Chunk(p.CanonicalUser, 1) {
		out = append(out, &Principal{CanonicalUser: v})
	}
	if out == nil {
		return []*Principal{p}
	}
	return out
}
