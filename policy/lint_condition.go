package policy

import (
	"iter"
	"maps"
	"slices"
	"strings"
)

// lintCondition is one key of a condition, with its operator taken apart.
type lintCondition struct {
	operator, key string // as they are written
	folded        string // the key in small letters, since its letters have no meaning
	base          string // the operator without quantifier and IfExists
	forAll, any   bool   // the quantifiers ForAllValues and ForAnyValue
	ifExists      bool
	values        []string
}

// place is the path within the statement. Keys are other people's text: of a long one the beginning stands for it.
func (c lintCondition) place() string {
	return "Condition." + lintCut(c.operator) + "." + lintCut(c.key)
}

func lintCut(s string) string {
	if len(s) > maxShown {
		return strings.ToValidUTF8(s[:maxShown], "")
	}
	return s
}

// conditions gives all keys of all operators, in an order that is always the same.
func (s lintStatement) conditions() iter.Seq[lintCondition] {
	return func(yield func(lintCondition) bool) {
		for _, operator := range slices.Sorted(maps.Keys(s.Condition)) {
			for _, key := range slices.Sorted(maps.Keys(s.Condition[operator])) {
				c := lintCondition{operator: operator, key: key, folded: foldASCII(key), values: s.Condition[operator][key]}
				c.base = foldASCII(operator)
				c.base, c.forAll = strings.CutPrefix(c.base, "forallvalues:")
				if !c.forAll {
					c.base, c.any = strings.CutPrefix(c.base, "foranyvalue:")
				}
				c.base, c.ifExists = strings.CutSuffix(c.base, "ifexists")
				if !yield(c) {
					return
				}
			}
		}
	}
}

// holdsWithout reports whether the condition may also hold where the request has no such key.
//
// Source: IAM user guide, "IAM JSON policy elements: Condition operators", "Set operators for multi-valued context keys".
func (c lintCondition) holdsWithout() bool { return c.forAll || c.ifExists || c.base == "null" }

// exact reports whether the condition holds for its values and for nothing else, and never without the key. A value with a wildcard or a variable
// is not exact: the variable may be the very key that it is compared with.
func (c lintCondition) exact() bool {
	switch c.base {
	case "stringequals", "arnequals":
	default:
		return false
	}
	return !c.holdsWithout() && len(c.values) > 0 && !slices.ContainsFunc(c.values, func(v string) bool {
		return v == "" || strings.ContainsAny(v, "*?$")
	})
}

// exactly gives the values that the request's key must have one of; nil where no exact condition says so.
func (s lintStatement) exactly(key string) []string {
	for c := range s.conditions() {
		if c.folded == key && c.exact() {
			return c.values
		}
	}
	return nil
}

// forAWSResource reports whether the statement is bounded to grants that a service of AWS asks for. It then matches CreateGrant, ListGrants and
// RevokeGrant only.
//
// Source: KMS developer guide, "kms:GrantIsForAWSResource".
func (s lintStatement) forAWSResource() bool {
	for c := range s.conditions() {
		if c.folded == "kms:grantisforawsresource" && c.base == "bool" && !c.holdsWithout() && len(c.values) > 0 &&
			!slices.ContainsFunc(c.values, func(v string) bool { return foldASCII(v) != "true" }) {
			return true
		}
	}
	return false
}

// knownOperator reports whether a condition operator, in small letters and without quantifier and IfExists, is one that IAM has.
//
// Source: IAM user guide, "IAM JSON policy elements: Condition operators".
func knownOperator(base string) bool {
	switch base {
	case "stringequals", "stringnotequals", "stringequalsignorecase", "stringnotequalsignorecase", "stringlike", "stringnotlike",
		"numericequals", "numericnotequals", "numericlessthan", "numericlessthanequals", "numericgreaterthan", "numericgreaterthanequals",
		"dateequals", "datenotequals", "datelessthan", "datelessthanequals", "dategreaterthan", "dategreaterthanequals",
		"bool", "binaryequals", "ipaddress", "notipaddress", "arnequals", "arnlike", "arnnotequals", "arnnotlike", "null":
		return true
	}
	return false
}

// conditions is KMS009. In a Deny a condition that holds without its key denies more, which is what it is used for.
func (l *linter) conditions(at lintStatement) {
	for c := range at.conditions() {
		switch {
		case !knownOperator(c.base):
			l.add("KMS009", SeverityWarning, at, c.place(), "%s is no condition operator that is known here", show(c.operator))
		case !knownKey(c.folded):
			l.add("KMS009", SeverityWarning, at, c.place(), "%s is no condition key that is known here; a condition on a misspelt key never holds, or always", show(c.key))
		case at.Effect == Allow && c.holdsWithout() && securityKey(c.folded):
			l.add("KMS009", SeverityWarning, at, c.place(), "%s also lets requests pass that have no %s", show(c.operator), show(c.key))
		}
	}
}

// securityKey reports whether a condition on the key is there to keep somebody out. aws:TagKeys is not: ForAllValues is how it is meant to be used.
func securityKey(key string) bool {
	switch key {
	case "aws:tagkeys", "aws:currenttime", "aws:epochtime", "aws:useragent", "aws:referer":
		return false
	}
	return true
}
