package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kind is what a policy is attached to. The same words mean different things in policies of different kinds: "Resource": "*" is everything
// in an identity's policy, and this one key in a key's.
type Kind string

// The kinds of policies that Lint knows.
const (
	KindKey      Kind = "key"      // the policy of a KMS key
	KindBucket   Kind = "bucket"   // the policy of an S3 bucket
	KindIdentity Kind = "identity" // a policy of a role, a user or a group
	KindTrust    Kind = "trust"    // who may assume a role
)

// LintContext is what a document does not say of itself. Only Kind is required, but what is left out can not be judged in the document's favour.
type LintContext struct {
	Kind Kind
	// Owner is the account that the key, the bucket or the role is in: 12 digits. Without it every account counts as a foreign one.
	Owner string
	// Trusted are the other accounts that the policy is meant to let in, and the organizations by their ids (o-...), the owner's own among them. With
	// at least one here, a principal of any further account or organization is an error (ACC001). What is trusted is still foreign: to be
	// declared is no reason for administering a key. An organization here trusts everybody in it, and an account here not its organization.
	Trusted []string
	// Partition is the partition of the key, the bucket or the role ("aws", "aws-cn"). Empty: not checked.
	Partition string
	// OwnerCanonicalID is the owner's canonical user id: for grants, and for principals that are written so.
	OwnerCanonicalID string
	// MayDelete says that deleting is the work of this identity (a janitor, apart from the role that makes backups): deleting what is
	// named or bounded by tags is then no finding.
	MayDelete bool
}

// Severity is how bad a finding is.
type Severity string

// The severities. A policy with an Error is not to be applied; a Warning is for a person to judge, or is about what can not be known offline.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Finding is one thing that a linter found.
type Finding struct {
	// ID is the id of the rule, stable for ever: KMS002. [LintRules] has them all.
	ID       string
	Severity Severity
	// Statement is the index of the statement; -1 where the finding is about the whole document, or about no document.
	Statement int
	// Sid is the statement's Sid, empty where it has none.
	Sid string
	// Place is the path to what was found: "Statement[1].Action".
	Place string
	// Detail says what was found. Not stable; of each value of the policy it repeats at most 80 bytes, quoted.
	Detail string
	// Remedy says what to do about it. Not stable.
	Remedy string
}

// String gives the finding in one line for people. Not stable.
func (f Finding) String() string {
	place := f.Place
	if place == "" {
		place = "the whole"
	}
	return fmt.Sprintf("%s %s at %s: %s. %s.", f.Severity, f.ID, place, f.Detail, f.Remedy)
}

// Lint says what is wrong or unsafe in a policy, offline: it knows the document and the context and asks nobody. It gives at most one finding of a
// rule for each statement, in the order of the statements, those of the whole document first; none means that nothing was found, and not
// that the policy is right.
//
// It is conservative. What it does not understand counts as allowed, as foreign and as unbounded; a Deny elsewhere in the document
// excuses no Allow, since whoever edits the one may forget the other. Wildcards are expanded: kms:Sched* and kms:*Deletion are seen as
// kms:ScheduleKeyDeletion.
//
// A document that [Document.Validate] refuses is linted as far as it goes, and what is wrong with its form is DOC001.
func Lint(d Document, c LintContext) []Finding {
	l := &linter{doc: d, c: c}
	l.document()
	for i, s := range d.Statements {
		at := lintStatement{s, i}
		l.elements(at)
		l.variables(at)
		l.conditions(at)
		l.exceptions(at)
		who := l.who(at)
		switch c.Kind {
		case KindKey:
			l.everyone(at, who)
			l.strangers(at, who)
			l.services(at, who)
			l.keyStatement(at, who)
		case KindBucket:
			l.everyone(at, who)
			l.strangers(at, who)
			l.services(at, who)
			l.bucketStatement(at, who)
		case KindTrust:
			l.everyone(at, who)
			l.strangers(at, who)
			l.services(at, who)
			l.assumers(at, who)
		case KindIdentity:
			l.identityStatement(at)
		}
	}
	switch c.Kind {
	case KindKey:
		l.lockout()
	case KindBucket:
		l.transport()
	}
	slices.SortStableFunc(l.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Statement, b.Statement), strings.Compare(a.ID, b.ID), strings.Compare(a.Place, b.Place))
	})
	return l.found
}

// LintText is Lint of a policy's text. A text that [ParseDocument] refuses is DOC001, with the place and the reason, and nothing else is said of
// it: another reader might see another policy in it.
func LintText(text []byte, c LintContext) []Finding {
	d, err := ParseDocument(text)
	if err == nil {
		return Lint(d, c)
	}
	// What was read as a document and is none by its form is looked at as a whole.
	if len(d.Statements) > 0 {
		all := Lint(d, c)
		if slices.ContainsFunc(all, func(f Finding) bool { return f.ID == "DOC001" }) {
			return all
		}
	}
	f := newFinding("DOC001", SeverityError, -1, "", "%s", err.Error())
	var de *DocumentError
	if errors.As(err, &de) {
		f.Place, f.Detail = de.Path, de.Detail
	}
	return []Finding{f}
}

// linter collects findings. It lives for one call.
type linter struct {
	doc   Document
	c     LintContext
	found []Finding
}

// lintStatement is a statement with its index.
type lintStatement struct {
	Statement
	i int
}

// path is the place of a part of the statement; that of the statement itself for no part.
func (s lintStatement) path(part string) string {
	p := fmt.Sprintf("Statement[%d]", s.i)
	if part == "" {
		return p
	}
	return p + "." + part
}

// newFinding makes a finding with the remedy that its rule has.
func newFinding(id string, severity Severity, statement int, place, format string, args ...any) Finding {
	return Finding{ID: id, Severity: severity, Statement: statement, Place: place, Detail: fmt.Sprintf(format, args...), Remedy: lintRule(id).Remedy}
}

// add reports on a statement. A second report of a rule on one statement is dropped unless it is worse: callers report the
// worst first where they can.
func (l *linter) add(id string, severity Severity, at lintStatement, part, format string, args ...any) {
	f := newFinding(id, severity, at.i, at.path(part), format, args...)
	f.Sid = at.Sid
	n := slices.IndexFunc(l.found, func(o Finding) bool { return o.ID == id && o.Statement == at.i })
	switch {
	case n < 0:
		l.found = append(l.found, f)
	case severity == SeverityError && l.found[n].Severity == SeverityWarning:
		l.found[n] = f
	}
}

// addWhole reports on the whole document.
func (l *linter) addWhole(id string, severity Severity, place, format string, args ...any) {
	l.found = append(l.found, newFinding(id, severity, -1, place, format, args...))
}

// current reports whether variables mean something: they do in the current version of the language only.
//
// Source: IAM user guide, "IAM JSON policy elements: Version".
func (l *linter) current() bool { return l.doc.Version == Version }
