package policy

import (
	"slices"
	"strings"
)

// lintWho is whom a statement is about, as far as it can be told.
type lintWho struct {
	// everyone: anybody at all. bounded: the statement says everybody and a condition bounds it, to the accounts in roots and foreign
	// or to an organization.
	everyone, bounded bool
	// foreign are all principals that are not the owner's, as they are written, and roots those of them that are a whole account.
	foreign, roots []string
	// declared and undeclared are the foreign ones by whether their account is a trusted one; unreadable have none that can be told,
	// and elsewhere are of another partition.
	declared, undeclared, unreadable, elsewhere []string
	// ownRoot: the owner's account as a whole. own: somebody in it.
	ownRoot, own        bool
	services, federated []string
}

// outsider reports whether somebody else than the owner is meant.
func (w lintWho) outsider() bool { return w.everyone || len(w.foreign) > 0 }

// outsiders names them for people.
func (w lintWho) outsiders() string {
	if w.everyone {
		return "everyone"
	}
	return lintShown(w.foreign)
}

// who reads the principals of a statement.
func (l *linter) who(s lintStatement) lintWho {
	var w lintWho
	if s.NotPrincipal != nil {
		w.everyone = true
	}
	if p := s.Principal; p != nil {
		w.everyone = w.everyone || p.Everyone || slices.ContainsFunc(slices.Concat(p.Service, p.Federated, p.CanonicalUser), hasWildcard)
		for _, v := range p.AWS {
			l.aws(&w, v)
		}
		w.services, w.federated = p.Service, p.Federated
		for _, v := range p.Federated {
			l.provider(&w, v)
		}
		for _, id := range p.CanonicalUser {
			if id == l.c.OwnerCanonicalID && id != "" {
				w.own = true
				continue
			}
			w.foreign, w.unreadable = append(w.foreign, id), append(w.unreadable, id)
		}
	}
	if w.everyone {
		l.bound(&w, s)
	}
	return w
}

// aws reads one principal of AWS: an account's id, the ARN of an account, a role, a user or a session, or what AWS puts where one was deleted.
//
// Source: IAM user guide, "AWS JSON policy elements: Principal".
func (l *linter) aws(w *lintWho, v string) {
	partition, account, whole := "", v, true
	if parts := strings.SplitN(v, ":", 6); len(parts) == 6 && parts[0] == "arn" {
		partition, account = parts[1], parts[4]
		whole = strings.EqualFold(parts[5], "root") || hasWildcard(parts[5])
	}
	switch {
	case checkAccount(account).bad() && hasWildcard(v):
		w.everyone = true
	case checkAccount(account).bad():
		w.foreign, w.unreadable = append(w.foreign, v), append(w.unreadable, v)
	default:
		l.account(w, account, v, whole)
		if partition != "" && l.c.Partition != "" && partition != l.c.Partition {
			w.elsewhere = append(w.elsewhere, v)
		}
	}
}

// provider reads an identity provider. Its users are foreign whoever's it is; one of another account is that account's too.
func (l *linter) provider(w *lintWho, v string) {
	w.foreign = append(w.foreign, v)
	parts := strings.SplitN(v, ":", 6)
	if len(parts) != 6 || checkAccount(parts[4]).bad() || parts[4] == l.c.Owner {
		return
	}
	l.declare(w, parts[4], v)
}

// declare sorts what is foreign by whether its account, or organization, is a trusted one.
func (l *linter) declare(w *lintWho, of, v string) {
	if slices.Contains(l.c.Trusted, of) {
		w.declared = append(w.declared, v)
		return
	}
	w.undeclared = append(w.undeclared, v)
}

// account sorts a principal by its account.
func (l *linter) account(w *lintWho, account, v string, whole bool) {
	if account == l.c.Owner {
		w.own, w.ownRoot = true, w.ownRoot || whole
		return
	}
	w.foreign = append(w.foreign, v)
	if whole {
		w.roots = append(w.roots, v)
	}
	l.declare(w, account, v)
}

// bound looks for what bounds everyone: the account or the organization of the caller, or the account that a service works for, on an exact operator.
func (l *linter) bound(w *lintWho, s lintStatement) {
	if s.NotPrincipal != nil {
		return
	}
	var accounts []string
	for _, key := range [...]string{"kms:calleraccount", "aws:principalaccount", "aws:sourceaccount"} {
		v := s.exactly(key)
		if len(v) > 0 && !slices.ContainsFunc(v, func(a string) bool { return checkAccount(a).bad() }) {
			accounts = append(accounts, v...)
		}
	}
	for _, a := range accounts {
		l.account(w, a, a, true)
	}
	var organizations []string
	for _, key := range [...]string{"aws:principalorgid", "aws:sourceorgid"} {
		v := s.exactly(key)
		if len(organizations) == 0 && !slices.ContainsFunc(v, func(o string) bool { return !organization(o) }) {
			organizations = v
		}
	}
	// Whoever must be in certain accounts is no wider for having to be in an organization too.
	if len(accounts) == 0 {
		for _, o := range organizations {
			whole := "everybody in the organization " + o
			w.foreign = append(w.foreign, whole)
			l.declare(w, o, whole)
		}
	}
	if len(accounts) > 0 || len(organizations) > 0 {
		w.everyone, w.bounded = false, true
	}
}

// everyone is KMS001.
func (l *linter) everyone(at lintStatement, w lintWho) {
	if at.Effect == Allow && w.everyone {
		part := "Principal"
		if at.NotPrincipal != nil {
			part = "NotPrincipal"
		}
		l.add("KMS001", SeverityError, at, part, "everyone is allowed %s, and no exact condition bounds it to accounts or an organization", actionsOf(at))
	}
}

// strangers is ACC001. In a key's policy foreign principals have rules of their own, so without declared accounts nothing is said there of those
// whose account can be told.
func (l *linter) strangers(at lintStatement, w lintWho) {
	if at.Effect != Allow {
		return
	}
	severity := SeverityWarning
	if len(l.c.Trusted) > 0 {
		severity = SeverityError
	}
	found := slices.Concat(w.unreadable, w.elsewhere)
	if l.c.Kind != KindKey || len(l.c.Trusted) > 0 {
		found = append(found, w.undeclared...)
	}
	if len(w.services) > 0 && len(l.c.Trusted) > 0 && len(at.sourceAccounts()) == 0 {
		for _, o := range at.sourceOrganizations() {
			if !slices.Contains(l.c.Trusted, o) {
				found = append(found, "everybody in the organization "+o)
			}
		}
	}
	for _, account := range at.sourceAccounts() {
		if len(w.services) > 0 && l.c.Owner != "" && account != l.c.Owner && !slices.Contains(l.c.Trusted, account) {
			found = append(found, account)
		}
	}
	if len(found) > 0 {
		l.add("ACC001", severity, at, "Principal", "not declared, or not to be told whose: %s", lintShown(found))
	}
}

// actionsOf names what a statement is about, for people.
func actionsOf(s lintStatement) string {
	if len(s.NotAction) > 0 {
		return "everything but " + lintShown(s.NotAction)
	}
	return lintShown(s.Action)
}
