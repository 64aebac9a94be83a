package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// lintTrustRaised is the most characters that the trust of a role may have when its quota was raised as far as it goes. Source: IAM user guide, "IAM
// and AWS STS quotas".
const lintTrustRaised = 4096

// document is DOC001 for what is wrong with the whole: its form, its Version, its size.
func (l *linter) document() {
	switch l.c.Kind {
	case KindKey, KindBucket, KindIdentity, KindTrust:
	default:
		l.addWhole("DOC001", SeverityError, "", "what the policy is for was not said: %s is no kind of policy", show(string(l.c.Kind)))
	}
	switch l.doc.Version {
	case Version, "2008-10-17":
	case "":
		l.addWhole("DOC001", SeverityError, "Version", "there is none, so the policy is read as one of 2008-10-17, in which variables are plain text")
	default:
		l.addWhole("DOC001", SeverityError, "Version", "%s is no version of the policy language", show(l.doc.Version))
	}
	if err := checkText("Id", l.doc.ID); err != nil {
		l.addWhole("DOC001", SeverityError, "Id", "a character that is none")
	}
	if len(l.doc.Statements) == 0 {
		l.addWhole("DOC001", SeverityError, "Statement", "there is none")
		return
	}
	l.sids()
	l.size()
}

// sids is DOC001 for a Sid that stands twice.
func (l *linter) sids() {
	first := map[string]int{}
	for i, s := range l.doc.Statements {
		if n, twice := first[s.Sid]; twice && s.Sid != "" {
			l.add("DOC001", SeverityError, lintStatement{s, i}, "Sid", "Statement[%d] has the Sid %s too", n, show(s.Sid))
			continue
		}
		first[s.Sid] = i
	}
}

// size is DOC001 for a document that AWS takes no more. A document that can not be written has no size.
func (l *linter) size() {
	text, err := l.doc.print()
	if err != nil {
		return
	}
	if len(text) > MaxDocumentBytes {
		l.addWhole("DOC001", SeverityError, "", "%d bytes, and no policy has more than %d", len(text), MaxDocumentBytes)
		return
	}
	n, warn, unit := len(text), 0, "bytes"
	var most int
	switch l.c.Kind {
	case KindKey:
		most = MaxKeyPolicy
	case KindBucket:
		most = MaxBucketPolicy
	case KindIdentity:
		most, warn, unit = MaxRolePolicy, MaxManagedPolicy, "characters"
	case KindTrust:
		most, warn, unit = lintTrustRaised, MaxTrustPolicy, "characters"
	default:
		return
	}
	if unit == "characters" {
		n = 0
		for _, r := range string(text) {
			if !unicode.IsSpace(r) {
				n++
			}
		}
	}
	switch {
	case n > most:
		l.addWhole("DOC001", SeverityError, "", "%d %s, and a policy of the kind %s may have %d", n, unit, l.c.Kind, most)
	case warn > 0 && n > warn:
		l.addWhole("DOC001", SeverityWarning, "", "%d %s, and without a raised quota or as a managed policy it may have %d", n, unit, warn)
	}
}

// elements is DOC001 for a statement whose elements do not make one, and for those that a policy of the kind must or can not have.
func (l *linter) elements(at lintStatement) {
	bad := func(part, format string, args ...any) { l.add("DOC001", SeverityError, at, part, format, args...) }
	var e *DocumentError
	if errors.As(at.validate(""), &e) {
		bad(strings.TrimPrefix(e.Path, "."), "%s", e.Detail)
	}
	l.belonging(at, bad)
}

// belonging says which elements a policy of the kind must have and can not have.
//
// Source: IAM user guide, "IAM JSON policy elements reference".
func (l *linter) belonging(at lintStatement, bad func(part, format string, args ...any)) {
	principal, resource := at.Principal != nil || at.NotPrincipal != nil, at.Resource != nil || at.NotResource != nil
	switch l.c.Kind {
	case KindIdentity:
		if principal {
			bad("Principal", "the policy of an identity is about that identity and can name no other")
		}
		if !resource {
			bad("Resource", "there is none")
		}
	case KindTrust:
		if !principal {
			bad("Principal", "there is none")
		}
		if resource {
			bad("Resource", "the trust of a role is about that role and can name nothing else")
		}
	case KindKey, KindBucket:
		if !principal {
			bad("Principal", "there is none")
		}
		if !resource {
			bad("Resource", "there is none")
		}
	}
}

// lintElement is one list of a statement, with its name.
type lintElement struct {
	name   string
	values []string
}

// lintPrincipals is a principal element, with its name.
type lintPrincipals struct {
	name string
	*Principal
}

func (s lintStatement) principals() []lintPrincipals {
	return []lintPrincipals{{"Principal", s.Principal}, {"NotPrincipal", s.NotPrincipal}}
}

// lists gives the lists of a statement in the order of the language's reference.
func (s lintStatement) lists() []lintElement {
	var all []lintElement
	for _, p := range s.principals() {
		if p.Principal != nil {
			all = append(all, lintElement{p.name + ".AWS", p.AWS}, lintElement{p.name + ".Service", p.Service},
				lintElement{p.name + ".Federated", p.Federated}, lintElement{p.name + ".CanonicalUser", p.CanonicalUser})
		}
	}
	return append(all, lintElement{"Action", s.Action}, lintElement{"NotAction", s.NotAction},
		lintElement{"Resource", s.Resource}, lintElement{"NotResource", s.NotResource})
}

// variables is DOC001 for variables in a document whose version has none: the statement then is about resources with a dollar in their names.
//
// Source: IAM user guide, "IAM policy elements: Variables and tags".
func (l *linter) variables(at lintStatement) {
	if l.current() {
		return
	}
	for _, e := range []lintElement{{"Resource", at.Resource}, {"NotResource", at.NotResource}} {
		for n, v := range e.values {
			if strings.Contains(v, "${") {
				l.add("DOC001", SeverityError, at, fmt.Sprintf("%s[%d]", e.name, n), "the variable in %s is plain text without Version %s", show(v), Version)
			}
		}
	}
	for c := range at.conditions() {
		if slices.ContainsFunc(c.values, func(v string) bool { return strings.Contains(v, "${") }) {
			l.add("DOC001", SeverityError, at, c.place(), "the variable in %s is plain text without Version %s", lintShown(c.values), Version)
		}
	}
}

// exceptions is KMS007: Allow with an element that says what is not meant.
func (l *linter) exceptions(at lintStatement) {
	if at.Effect != Allow {
		return
	}
	var not []string
	if at.NotPrincipal != nil {
		not = append(not, "NotPrincipal")
	}
	if at.NotAction != nil {
		not = append(not, "NotAction")
	}
	if at.NotResource != nil {
		not = append(not, "NotResource")
	}
	if len(not) > 0 {
		l.add("KMS007", SeverityError, at, not[0], "Allow with %s", strings.Join(not, ", "))
	}
}
