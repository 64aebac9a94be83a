package policy

import (
	"slices"
	"strings"
)

// keyStatement is KMS002 to KMS006 for one statement of a key's policy.
func (l *linter) keyStatement(at lintStatement, w lintWho) {
	if at.Effect == Deny {
		l.deniedOwner(at, w)
		return
	}
	if len(w.roots) > 0 {
		l.add("KMS003", SeverityWarning, at, "Principal", "%s: the administrators of that account decide who uses the key", lintShown(w.roots))
	}
	if !w.outsider() && len(w.services) == 0 {
		return
	}
	whom := w.outsiders()
	if !w.outsider() {
		whom = lintShown(w.services)
	}
	l.administration(at, whom)
	if at.names("kms:CreateGrant") && !at.forAWSResource() {
		severity := SeverityError
		if !w.outsider() {
			severity = SeverityWarning // of a service's own call it is not known whether the key of the condition is there
		}
		l.add("KMS004", severity, at, "Action", "%s may create grants for anybody: Bool kms:GrantIsForAWSResource true is missing", whom)
	}
}

// administration is KMS002 and KMS005. Revoking grants is let pass where it is for a service of AWS: that is how a service cleans up.
func (l *linter) administration(at lintStatement, whom string) {
	found := at.namesOf(keyAdministration[:])
	if at.forAWSResource() {
		found = slices.DeleteFunc(found, func(a string) bool { return a == "kms:RevokeGrant" })
	}
	if len(found) > 0 {
		works := slices.DeleteFunc(slices.Clone(found), func(a string) bool { return !worksAcrossAccounts(a) })
		refused := slices.DeleteFunc(slices.Clone(found), worksAcrossAccounts)
		var effect []string
		if len(works) > 0 {
			effect = append(effect, "effective across accounts: yes for "+lintSome(works))
		}
		if len(refused) > 0 {
			effect = append(effect, "effective across accounts: no, today, for "+lintSome(refused))
		}
		l.add("KMS002", SeverityError, at, "Action", "%s may administer the key (%s)", whom, strings.Join(effect, "; "))
	}
	wide := slices.DeleteFunc(slices.Clone(at.Action), func(p string) bool {
		return !hasWildcard(p) || !wholeService(p, "kms") && !slices.ContainsFunc(found, func(a string) bool { return MatchAction(p, a) })
	})
	if len(at.NotAction) > 0 {
		wide = append(wide, "NotAction")
	}
	if len(wide) > 0 {
		l.add("KMS005", SeverityError, at, "Action", "%s gives %s administrative actions, those that KMS will have too", lintShown(wide), whom)
	}
}

// lockout is KMS006 for the whole document: somebody in the owner's account must be able to change the policy.
//
// Source: KMS developer guide, "Default key policy".
func (l *linter) lockout() {
	partly := false
	for i, one := range l.doc.Statements {
		s := lintStatement{one, i}
		if s.Effect != Allow || !s.names("kms:PutKeyPolicy") {
			continue
		}
		w := l.who(s)
		if (w.ownRoot || w.everyone) && len(s.Condition) == 0 {
			return
		}
		partly = partly || w.own || w.everyone
	}
	if partly {
		l.addWhole("KMS006", SeverityWarning, "Statement", "only a role, a user or a condition stands between the owner and the loss of the key")
		return
	}
	l.addWhole("KMS006", SeverityError, "Statement", "no statement lets the owner account %s change the policy", show(l.c.Owner))
}

// LintKeyManager is KMS008: who manages a key, as DescribeKey says it in KeyManager. The policy of a key that AWS manages can not be changed, so what
// is encrypted under it can be shared with nobody.
//
// Source: KMS developer guide, "AWS managed keys".
func LintKeyManager(manager string) []Finding {
	switch manager {
	case "CUSTOMER":
		return nil
	case "AWS":
		return []Finding{newFinding("KMS008", SeverityError, -1, "", "the key is managed by AWS and can not be shared")}
	}
	return []Finding{newFinding("KMS008", SeverityWarning, -1, "", "who manages the key is not known: %s", show(manager))}
}

// PolicyChange is a policy that is about to be put in the place of another, since S3 and KMS replace a policy as a whole.
type PolicyChange struct {
	// Before is what stands there, After what is to stand there.
	Before, After Document
	// Mine are the Sids of the statements that the caller wrote and may drop and change.
	Mine []string
	// BypassLockoutCheck is the option BypassPolicyLockoutSafetyCheck of PutKeyPolicy.
	BypassLockoutCheck bool
}

// LintChange says what a change would lose: KMS010 for each statement of Before, by its index there, that somebody else wrote and that After
// has not with the same meaning, whatever the order of its lists; and KMS006 where the check that keeps the owner from being locked out is bypassed. It does not lint After.
func LintChange(c PolicyChange) []Finding {
	var found []Finding
	if c.BypassLockoutCheck {
		found = append(found, newFinding("KMS006", SeverityError, -1, "", "BypassPolicyLockoutSafetyCheck is set: KMS would take a policy that nobody can change again"))
	}
	if len(c.Before.Statements) > 0 && c.Before.Version != c.After.Version {
		found = append(found, newFinding("KMS010", SeverityWarning, -1, "Version", "it changes from %s to %s, which decides what the other statements mean",
			show(c.Before.Version), show(c.After.Version)))
	}
	for i, s := range c.Before.Statements {
		if s.Sid != "" && slices.Contains(c.Mine, s.Sid) || slices.ContainsFunc(c.After.Statements, func(x Statement) bool { return s.means(x) }) {
			continue
		}
		at, what := lintStatement{s, i}, "dropped"
		if s.Sid != "" && slices.ContainsFunc(c.After.Statements, func(x Statement) bool { return x.Sid == s.Sid }) {
			what = "changed"
		}
		f := newFinding("KMS010", SeverityWarning, i, at.path(""), "the statement %s, which somebody else wrote, would be %s", show(s.Sid), what)
		f.Sid = s.Sid
		found = append(found, f)
	}
	return found
}
