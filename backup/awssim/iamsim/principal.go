package iamsim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/snapwarden/snapwarden/policy"
)

// caller is a principal in its parts. Of service, anonymous and canonical-only callers the identity side is not ours to judge.
type caller struct {
	arn, account string
	partition    string
	role         string // the role's name, for roles and their sessions
	session      bool
	root         bool
	service      string
	canonical    string
}

// alone tells that only the resource's policy speaks for the caller.
func (c *caller) alone() bool { return c.arn == "" }

var errPrincipal = errors.New("not a principal")

// read takes a Query's principal apart.
func read(q *Query) (caller, error) {
	c := caller{account: q.PrincipalAccount, canonical: q.CanonicalID}
	who := q.Principal
	switch {
	case who == "":
		return caller{}, nil
	case strings.ContainsAny(who, "*?${}"):
		return c, fmt.Errorf("%w: %.80q has a wildcard or a variable", errPrincipal, who)
	case isCanonical(who):
		c.canonical = who
		return c, nil
	case !strings.HasPrefix(who, "arn:"):
		if !strings.Contains(who, ".amazonaws.") && !strings.Contains(who, ".amazon.") {
			return c, fmt.Errorf("%w: %.80q is no ARN, no service principal and no canonical user id", errPrincipal, who)
		}
		c.service = who
		return c, nil
	}
	parts := strings.SplitN(who, ":", arnSections)
	if len(parts) != arnSections || parts[3] != "" || !isAccount(parts[4]) {
		return c, fmt.Errorf("%w: %.80q is no ARN of IAM or STS", errPrincipal, who)
	}
	c.arn, c.partition = who, parts[1]
	if c.account != "" && c.account != parts[4] {
		return c, fmt.Errorf("%w: %.80q is not of account %.12s", errPrincipal, who, c.account)
	}
	c.account = parts[4]
	kind, name, _ := strings.Cut(parts[5], "/")
	switch {
	case parts[2] == "iam" && parts[5] == "root":
		c.root = true
	case parts[2] == "iam" && kind == "user" && name != "", parts[2] == "sts" && kind == "federated-user" && name != "":
	case parts[2] == "iam" && kind == "role" && name != "":
		c.role = lastName(name)
	case parts[2] == "sts" && kind == "assumed-role" && strings.Count(name, "/") == 1:
		c.role, _, _ = strings.Cut(name, "/")
		c.session = true
	default:
		return c, fmt.Errorf("%w: %.80q is no user, role, session or root", errPrincipal, who)
	}
	return c, nil
}

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

func isCanonical(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }

// lastName gives the name behind a path.
func lastName(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }

// grade says how directly a principal element names a caller. Higher grades are limited by fewer other policies.
type grade int

const (
	notNamed grade = iota
	byAccount
	byRole
	directly
)

// named tells how directly an element names the caller.
//
// Source: IAM user guide, "AWS JSON policy elements: Principal". That "*" also means AWS services follows, for Deny, from what the guide says of
// aws:PrincipalIsAWSService; for Allow it is UNVERIFIED.
func (c *caller) named(p *policy.Principal) (grade, error) {
	if p.Everyone || slices.Contains(p.AWS, "*") {
		return directly, nil
	}
	best := notNamed
	for _, who := range slices.Concat(p.AWS, p.Service, p.CanonicalUser, p.Federated) {
		if strings.ContainsAny(who, "*?${}") {
			return notNamed, fmt.Errorf("%w: %.80q has a wildcard or a variable, which AWS does not take there", errPrincipal, who)
		}
	}
	if c.service != "" && slices.Contains(p.Service, c.service) {
		best = directly
	}
	if c.canonical != "" && slices.Contains(p.CanonicalUser, c.canonical) {
		best = max(best, byAccount)
	}
	if c.arn != "" {
		for _, who := range p.AWS {
			best = max(best, c.namedBy(who))
		}
	}
	return best, nil
}

// namedBy compares the caller with one element of AWS's kind.
func (c *caller) namedBy(who string) grade {
	switch {
	case who == c.account, who == c.accountARN():
		return byAccount
	case c.isRole(who):
		return byRole
	case who == c.arn:
		return directly
	}
	return notNamed
}

func (c *caller) accountARN() string { return "arn:" + c.partition + ":iam::" + c.account + ":root" }

// isRole tells whether an ARN is that of the caller's role. The ARN of a session lacks the role's path, and names are unique without it.
func (c *caller) isRole(who string) bool {
	name, ok := strings.CutPrefix(who, "arn:"+c.partition+":iam::"+c.account+":role/")
	return ok && c.role != "" && lastName(name) == c.role
}

// spared tells whether a Deny with NotPrincipal leaves the caller out. AWS looks at the account first, then at the role, then at the session, so
// each of them must be named; and who has a permissions boundary is never left out.
//
// Source: IAM user guide, "AWS JSON policy elements: NotPrincipal"; "Permissions boundaries for IAM entities".
func (c *caller) spared(p *policy.Principal, bounded bool) (bool, error) {
	g, err := c.named(p)
	switch {
	case err != nil || g == notNamed:
		return false, err
	case p.Everyone || slices.Contains(p.AWS, "*") || c.alone():
		return true, nil
	case bounded:
		return false, nil
	}
	account := slices.Contains(p.AWS, c.account) || slices.Contains(p.AWS, c.accountARN())
	self := c.root || slices.Contains(p.AWS, c.arn)
	role := !c.session || slices.ContainsFunc(p.AWS, c.isRole)
	return account && self && role, nil
}
