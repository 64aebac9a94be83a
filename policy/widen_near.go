package policy

import (
	"maps"
	"slices"
	"strings"
)

// coverage says of the parts of a statement which of them another statement covers.
type coverage struct {
	principals, actions, resources []bool
	// gone and changed are the keys of the other's conditions that the statement does not ask for, or asks for in another way.
	gone, changed []string
	// sameSid says that both have one name, and other is the statement that covers.
	sameSid bool
	other   Statement
}

func (x apart) coveredBy(o, s Statement) coverage {
	test := func(parts []part, covers func(a, b Statement) bool) (out []bool) {
		for _, p := range parts {
			out = append(out, covers(o, Statement(p)))
		}
		return out
	}
	c := coverage{principals: test(x.principals, coversPrincipals), actions: test(x.actions, coversActions), resources: test(x.resources, coversResources),
		sameSid: s.Sid != "" && o.Sid == s.Sid, other: o}
	c.gone, c.changed = unmetKeys(o.Condition, s.Condition)
	return c
}

// nearest is what the statement that is most like a combination of parts lacks, and that statement's coverage.
type nearest struct {
	missing []Element
	by      coverage
}

// The ranks of the statements that do not cover a combination: the lower one is nearer. That it was allowed under a condition is said before
// anything else, because every other word hides that the condition was there. Then the statement of the same name counts, even where it lacks
// a condition beside another element.
const (
	rankConditionSid = iota
	rankConditionNamed
	rankCondition
	rankOneSid
	rankTwoSid
	rankOne
	rankNone
)

// lacking tells for want of which elements no statement covers a combination of parts, and false where one does. Which of several is the nearest decides
// on the words only; where none is like it, ElementStatement is missing.
func (x apart) lacking(by []coverage, p, a, r int) (nearest, bool) {
	near, rank := nearest{missing: []Element{ElementStatement}}, rankNone
	for _, c := range by {
		missing := c.missing(p, a, r)
		if len(missing) == 0 {
			return nearest{}, false
		}
		if n := x.rank(c, missing, a, r); n < rank {
			near, rank = nearest{missing, c}, n
		}
	}
	return near, true
}

func (c coverage) missing(p, a, r int) (out []Element) {
	if !c.principals[p] {
		out = append(out, ElementPrincipal)
	}
	if !c.actions[a] {
		out = append(out, ElementAction)
	}
	if !c.resources[r] {
		out = append(out, ElementResource)
	}
	if len(c.gone)+len(c.changed) > 0 {
		out = append(out, ElementCondition)
	}
	return out
}

func (x apart) rank(c coverage, missing []Element, a, r int) int {
	last := missing[len(missing)-1]
	switch {
	case len(missing) == 1 && last == ElementCondition && c.sameSid:
		return rankConditionSid
	case len(missing) == 1 && last == ElementCondition && c.names(x.actions[a], x.resources[r]):
		return rankConditionNamed
	case len(missing) == 1 && last == ElementCondition:
		return rankCondition
	case len(missing) == 1 && c.sameSid:
		return rankOneSid
	case len(missing) == 2 && last == ElementCondition && c.sameSid:
		return rankTwoSid
	case len(missing) == 1:
		return rankOne
	}
	return rankNone
}

// names reports whether the covering statement has the action and the resource as they are written, and not by a wildcard.
func (c coverage) names(action, resource part) bool {
	return eachOf(action.actions(), func(v string) bool {
		return slices.ContainsFunc(part(c.other).actions(), func(o string) bool { return strings.EqualFold(o, v) })
	}) && eachOf(resource.resources(), func(v string) bool { return slices.Contains(part(c.other).resources(), v) })
}

// unmetKeys gives the keys of the conditions of a that b does not ask for too, sorted: those that b does not know at all, and those of which it asks
// for something else. There are none where a holds wherever b holds.
func unmetKeys(a, b Condition) (gone, changed []string) {
	for _, operator := range slices.Sorted(maps.Keys(a)) {
		for _, key := range slices.Sorted(maps.Keys(a[operator])) {
			switch {
			case impliedBy(operator, key, a[operator][key], b):
			case hasKey(b, key):
				changed = append(changed, key)
			default:
				gone = append(gone, key)
			}
		}
	}
	return gone, changed
}

func hasKey(c Condition, key string) bool {
	for _, keys := range c {
		for k := range keys {
			if strings.EqualFold(k, key) {
				return true
			}
		}
	}
	return false
}
