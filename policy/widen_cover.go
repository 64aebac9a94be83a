package policy

import (
	"slices"
	"strings"
)

// coversActions reports whether a applies to every action that b applies to.
func coversActions(a, b Statement) bool {
	return coversList(a.Action, a.NotAction, b.Action, b.NotAction, CoversAction, MatchAction)
}

// coversResources reports the same of resources. In the policies of roles' trust there is no resource: both have none.
func coversResources(a, b Statement) bool {
	if len(a.Resource)+len(a.NotResource) == 0 && len(b.Resource)+len(b.NotResource) == 0 {
		return true
	}
	return coversList(a.Resource, a.NotResource, b.Resource, b.NotResource, CoversResource, MatchResource)
}

func coversList(in, notIn, other, notOther []string, covers, match func(pattern, s string) bool) bool {
	switch {
	case len(in) > 0 && len(other) > 0:
		return eachOf(other, func(o string) bool { return slices.ContainsFunc(in, func(p string) bool { return covers(p, o) }) })
	case len(in) > 0 && len(notOther) > 0:
		return slices.Contains(in, "*")
	case len(notIn) > 0 && len(notOther) > 0:
		// The more is left out, the less is meant: what is left out here must be left out there.
		return eachOf(notIn, func(x string) bool { return slices.ContainsFunc(notOther, func(p string) bool { return covers(p, x) }) })
	case len(notIn) > 0 && len(other) > 0:
		// Only of plain names is it known that no pattern matches them.
		return eachOf(other, func(o string) bool {
			return !strings.ContainsAny(o, "*?$") && !slices.ContainsFunc(notIn, func(x string) bool { return strings.Contains(x, "${") || match(x, o) })
		})
	}
	return false
}

func eachOf(list []string, ok func(string) bool) bool {
	return !slices.ContainsFunc(list, func(v string) bool { return !ok(v) })
}

// coversPrincipals reports whether a applies to every principal that b applies to. That everybody includes the services of AWS is not certain
// and so not taken for granted.
func coversPrincipals(a, b Statement) bool {
	if a.NotPrincipal != nil || b.NotPrincipal != nil {
		return a.Principal == nil && b.Principal == nil && a.NotPrincipal != nil && b.NotPrincipal != nil &&
			eachOf(principalNames(a.NotPrincipal), func(v string) bool { return slices.Contains(principalNames(b.NotPrincipal), v) })
	}
	if a.Principal == nil || b.Principal == nil {
		return a.Principal == nil && b.Principal == nil
	}
	mine := principalNames(a.Principal)
	all := slices.Contains(mine, everyone)
	return eachOf(principalNames(b.Principal), func(v string) bool {
		return slices.Contains(mine, v) || all && !strings.HasPrefix(v, serviceName)
	})
}

// How principals are called where they are compared and listed.
const (
	everyone      = "*"
	serviceName   = "Service:"
	federatedName = "Federated:"
	canonicalName = "CanonicalUser:"
)

func principalNames(p *Principal) []string {
	if p == nil {
		return nil
	}
	if p.Everyone {
		return []string{everyone}
	}
	var out []string
	for _, v := range p.AWS {
		out = append(out, accountName(v))
	}
	out = append(out, prefixed(serviceName, p.Service)...)
	out = append(out, prefixed(federatedName, p.Federated)...)
	return append(out, prefixed(canonicalName, p.CanonicalUser)...)
}

// accountName gives the id of an account for the ARN of its root. A document belongs to one partition, so that nothing is lost.
func accountName(v string) string {
	parts := strings.Split(v, ":")
	if len(parts) == 6 && parts[0] == "arn" && parts[2] == "iam" && parts[3] == "" && parts[5] == "root" && ValidateAccountID(parts[4]) == nil {
		return parts[4]
	}
	return v
}

// impliedBy reports whether one condition holds wherever all of by hold: it stands there too, as it is or in a narrower form.
func impliedBy(operator, key string, values []string, by Condition) bool {
	for o, keys := range by {
		if !strings.EqualFold(o, operator) {
			continue
		}
		for k, theirs := range keys {
			if !strings.EqualFold(k, key) {
				continue
			}
			if sameValues(values, theirs) || anyOf(operator) && len(theirs) > 0 && eachOf(theirs, func(v string) bool { return slices.Contains(values, v) }) {
				return true
			}
		}
	}
	return false
}

// anyOf reports whether an operator holds as soon as one of its values does, so that fewer values are a narrower condition. Of the negated ones
// and those over sets that is not so.
//
// Source: IAM user guide, "Conditions with multiple context keys or values".
func anyOf(operator string) bool {
	switch strings.ToLower(operator) {
	case "stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "bool", "ipaddress", "numericequals", "dateequals", "binaryequals":
		return true
	}
	return false
}

func sameValues(a, b []string) bool {
	in := func(list []string) func(string) bool {
		return func(v string) bool { return slices.Contains(list, v) }
	}
	return eachOf(a, in(b)) && eachOf(b, in(a))
}
