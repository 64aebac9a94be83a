package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func widenText(effect Effect, e Element, values []string) string {
	list := listText(values)
	switch {
	case effect == Deny && e == ElementStatement:
		return "no such denial is left: " + list
	case effect == Deny:
		return fmt.Sprintf("the denial no longer covers the %s %s", strings.ToLower(string(e)), list)
	case e == ElementStatement:
		return "nothing like it was allowed before: " + list
	}
	return fmt.Sprintf("it was not allowed before for the %s %s", strings.ToLower(string(e)), list)
}

// listText lists at most maxValues values.
func listText(values []string) string {
	shown := values[:min(len(values), maxValues)]
	list := strings.Join(shown, ", ")
	if n := len(values) - len(shown); n > 0 {
		list += fmt.Sprintf(" and %d more", n)
	}
	return list
}

// unmet are the keys of conditions that make a difference.
type unmet struct{ gone, changed map[string]bool }

func (u unmet) add(c coverage) {
	for _, k := range c.gone {
		u.gone[k] = true
	}
	for _, k := range c.changed {
		u.changed[k] = true
	}
}

func (u unmet) text(effect Effect) string {
	gone, changed := slices.Sorted(maps.Keys(u.gone)), slices.Sorted(maps.Keys(u.changed))
	if effect == Deny {
		all := slices.Compact(slices.Sorted(slices.Values(append(gone, changed...))))
		return "the denial now asks for another condition, on " + listText(all) + ", and may not hold where it did"
	}
	switch {
	case len(changed) == 0:
		return "it was allowed under a condition that is gone: " + listText(gone)
	case len(gone) == 0:
		return "it was allowed under a condition that has changed: " + listText(changed)
	}
	return "it was allowed under conditions that are gone: " + listText(gone) + ", or have changed: " + listText(changed)
}
