package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Element is the part of a statement that a Widening is about.
type Element string

// The elements.
const (
	ElementPrincipal Element = "Principal"
	ElementAction    Element = "Action"
	ElementResource  Element = "Resource"
	ElementCondition Element = "Condition"
	// ElementStatement is the statement as a whole: nothing like it was there before, or is there any more.
	ElementStatement Element = "Statement"
)

// Widening is one way in which a new document may allow more than an old one.
type Widening struct {
	// Sid and Statement name the statement; Statement is its index in the new document, or where Effect is Deny in the old one.
	Sid       string
	Statement int
	// Effect is Allow for a statement of the new document that allows more, Deny for one of the old document that denied more.
	Effect Effect
	// Element is the part that makes the difference.
	Element Element
	// Values are the principals, actions or resources that are concerned, or for ElementStatement the combinations of them, sorted, and at most
	// 20; nil for ElementCondition.
	Values []string
	// Detail says it in words, and for ElementCondition names the keys of the conditions. Not stable.
	Detail string
}

// String describes the Widening.
func (w Widening) String() string {
	name := fmt.Sprintf("%s statement %d", w.Effect, w.Statement)
	if w.Sid != "" {
		name += " (" + w.Sid + ")"
	}
	return name + ": " + w.Detail
}

// maxValues is how many values a Widening lists, and maxCombinations up to how many combinations of principal, action and resource of one
// statement are looked at one by one.
const (
	maxValues       = 20
	maxCombinations = 20_000
)

// Widens tells what the new document may allow that the old one did not: every Allow of the new one that the Allows of the old one do not
// cover, and every Deny of the old one that the Denies of the new one do not cover. It is to be asked before a policy is replaced, and what it
// lists is to be confirmed by a person.
//
// It is conservative: what is not known to be covered is listed, so that an empty answer means something and a long one need not. A statement
// covers another if it names at least the same principals, actions and resources, wildcards understood, and asks for no condition that the
// other does not ask for too. Each combination of principal, action and resource may be covered by a statement of its own. Whether a principal,
// such as an account, includes another, such as a role of it, is not judged; nor is the effect of a Deny on an Allow beside it. Order, Sids and
// the splitting of statements make no difference to what is listed as wider. An account's id and the ARN of its root are the same principal.
//
// The Element and the words come from the statement that is nearest. That is one that lacks nothing but the condition: first of the same Sid, then of
// the same action and resource, then any. Else it is the one of the same Sid, if it lacks one element, or one and the condition; else any that
// lacks one. A condition that was dropped together with another element gives two Widenings.
//
// Widens(d, d) is empty. To take away an Allow or to add a Deny never widens. A document without statements stands for no policy. A statement that
// Document.Validate refuses covers nothing, and nothing covers it.
//
// Source: IAM user guide, "Policy evaluation logic".
func Widens(old, new Document) []Widening {
	// A variable means itself in the older version of the language, and its value in the newer one.
	inert := (old.Version == Version) != (new.Version == Version)
	var out []Widening
	for i, s := range new.Statements {
		if s.Effect != Deny {
			out = append(out, uncovered(s, i, Allow, old.Statements, inert)...)
		}
	}
	for i, s := range old.Statements {
		if s.Effect == Deny {
			out = append(out, uncovered(s, i, Deny, new.Statements, inert)...)
		}
	}
	return out
}

// uncovered lists what of a statement none of the others, of the same effect, covers.
func uncovered(s Statement, at int, effect Effect, others []Statement, inert bool) []Widening {
	if s.validate("") != nil {
		return []Widening{{Sid: s.Sid, Statement: at, Effect: effect, Element: ElementStatement, Detail: "it can not be judged: it is no statement of a policy"}}
	}
	parts := takeApart(s)
	var by []coverage
	for _, o := range others {
		if o.Effect == effect && o.validate("") == nil && !(inert && (hasVariable(o) || hasVariable(s))) {
			by = append(by, parts.coveredBy(o, s))
		}
	}
	found, keys := map[Element]map[string]bool{}, unmet{map[string]bool{}, map[string]bool{}}
	note := func(e Element, names []string) {
		if found[e] == nil {
			found[e] = map[string]bool{}
		}
		for _, v := range names {
			found[e][v] = true
		}
	}
	for p := range parts.principals {
		for a := range parts.actions {
			for r := range parts.resources {
				near, wider := parts.lacking(by, p, a, r)
				if !wider {
					continue
				}
				for _, e := range near.missing {
					switch e {
					case ElementPrincipal:
						note(e, parts.principals[p].principals())
					case ElementAction:
						note(e, parts.actions[a].actions())
					case ElementResource:
						note(e, parts.resources[r].resources())
					case ElementCondition:
						note(e, nil)
						keys.add(near.by)
					default:
						note(e, []string{parts.describe(p, a, r)})
					}
				}
			}
		}
	}
	var out []Widening
	for _, e := range []Element{ElementStatement, ElementPrincipal, ElementAction, ElementResource, ElementCondition} {
		if found[e] == nil {
			continue
		}
		values := slices.Sorted(maps.Keys(found[e]))
		w := Widening{Sid: s.Sid, Statement: at, Effect: effect, Element: e, Values: values[:min(len(values), maxValues):min(len(values), maxValues)]}
		if e == ElementCondition {
			w.Detail = keys.text(effect)
		} else {
			w.Detail = widenText(effect, e, values)
		}
		out = append(out, w)
	}
	return out
}

// hasVariable reports whether a statement uses a policy variable.
func hasVariable(s Statement) bool {
	has := func(v string) bool { return strings.Contains(v, "${") }
	if slices.ContainsFunc(s.Resource, has) || slices.ContainsFunc(s.NotResource, has) {
		return true
	}
	for _, keys := range s.Condition {
		for _, values := range keys {
			if slices.ContainsFunc(values, has) {
				return true
			}
		}
	}
	return false
}
