package policy

import (
	"slices"
	"strings"
)

// deniedOwner is KMS006 for a statement that denies the owner the key's policy: whatever the request, or on conditions that the owner's own requests
// meet. Where it is not known whether they meet them, it is a warning.
func (l *linter) deniedOwner(at lintStatement, w lintWho) {
	if !at.names("kms:PutKeyPolicy") {
		return
	}
	all := w.everyone || w.bounded || w.ownRoot
	if p := at.NotPrincipal; p != nil {
		var spared lintWho
		for _, v := range p.AWS {
			l.aws(&spared, v)
		}
		all = !spared.own && !spared.everyone
	}
	if !all {
		return
	}
	switch holds, unsure := l.meetsOwner(at); holds {
	case truthYes:
		l.add("KMS006", SeverityError, at, "Action", "the owner is denied kms:PutKeyPolicy, and can not take that back")
	case truthUnknown:
		l.add("KMS006", SeverityWarning, at, unsure, "the owner is denied kms:PutKeyPolicy where this holds, and whether it can always be avoided is not known")
	}
}

// truth is what is known of a condition.
type truth int

const (
	truthNo      truth = iota // it does not hold, or whoever calls can see to it that it does not
	truthUnknown              // that depends on what is not known here
	truthYes                  // it holds
)

// meetsOwner says whether all conditions of a statement hold for a request of the owner's own people to change the policy, and where one stands of
// which that is not known.
func (l *linter) meetsOwner(at lintStatement) (all truth, unsure string) {
	all = truthYes
	for c := range at.conditions() {
		switch l.ownerMeets(c) {
		case truthNo:
			return truthNo, ""
		case truthUnknown:
			all, unsure = truthUnknown, c.place()
		}
	}
	return all, unsure
}

// ownRequest gives the value that a condition key has where somebody of the owner's account calls PutKeyPolicy as one does: over TLS, without
// bypassing the check, and by no service. there is false for keys that such a request does not have, known for all others.
//
// Source: IAM user guide, "AWS global condition context keys"; KMS developer guide, "Condition keys for AWS KMS".
func (l *linter) ownRequest(key string) (value string, there, known bool) {
	switch key {
	case "aws:principalaccount", "kms:calleraccount":
		return l.c.Owner, true, l.c.Owner != ""
	case "aws:principalisawsservice", "aws:viaawsservice", "kms:bypasspolicylockoutsafetycheck":
		return "false", true, true
	case "aws:securetransport":
		return "true", true, true
	case "aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths", "aws:calledvia", "aws:calledviafirst", "aws:calledvialast",
		"aws:principalservicename", "aws:principalservicenameslist", "kms:viaservice", "kms:grantisforawsresource":
		return "", false, true
	}
	return "", false, false
}

// ownerMeets says whether one condition holds for such a request.
//
// Source: IAM user guide, "IAM JSON policy elements: Condition operators": a negated operator holds where the request has no such key.
func (l *linter) ownerMeets(c lintCondition) truth {
	value, there, known := l.ownRequest(c.folded)
	if !known || slices.ContainsFunc(c.values, func(v string) bool { return strings.Contains(v, "${") }) {
		return truthUnknown
	}
	if c.base == "null" {
		return truthOf(slices.ContainsFunc(c.values, func(v string) bool { return (foldASCII(v) == "true") != there }))
	}
	var match func(pattern, s string) bool
	base, negated := c.base, false
	for _, kind := range [...]string{"string", "arn"} {
		if rest, ok := strings.CutPrefix(base, kind+"not"); ok {
			base, negated = kind+rest, true
		}
	}
	switch base {
	case "stringequals":
		match = func(p, s string) bool { return p == s }
	case "stringequalsignorecase", "bool":
		match = func(p, s string) bool { return foldASCII(p) == foldASCII(s) }
	case "stringlike":
		match = matchWildcard
	case "arnequals", "arnlike":
		if there {
			return truthUnknown // an operator of ARNs on what is none
		}
	default:
		return truthUnknown
	}
	if !there {
		return truthOf(c.forAll || c.ifExists || negated && !c.any)
	}
	return truthOf(slices.ContainsFunc(c.values, func(p string) bool { return match(p, value) }) != negated)
}

func truthOf(b bool) truth {
	if b {
		return truthYes
	}
	return truthNo
}
