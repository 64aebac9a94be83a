package policy

import (
	"slices"
	"strings"
)

// sendsSource reports whether a service is known to say for whom it works when it uses what a policy lets it use. Of the others that is not
// known here: of ElastiCache, for one, no page says it (UNVERIFIED).
//
// Source: RDS user guide, "Preventing cross-service confused deputy problems"; IAM user guide, "AWS global condition context keys", aws:SourceAccount
// (S3); S3 user guide, "Permissions for log delivery"; CloudTrail user guide, "Amazon S3 bucket policy for CloudTrail"; CloudWatch Logs user guide,
// "Logs sent to Amazon S3".
func sendsSource(service string) bool {
	switch foldASCII(service) {
	case "export.rds.amazonaws.com", "s3.amazonaws.com", "logging.s3.amazonaws.com", "cloudtrail.amazonaws.com",
		"delivery.logs.amazonaws.com":
		return true
	}
	return false
}

// fromSource reports whether the statement is bounded to work for somebody: an account, an organization, or a resource whose ARN has an account
// or is named in full.
//
// Source: IAM user guide, "The confused deputy problem".
func (s lintStatement) fromSource() bool {
	for c := range s.conditions() {
		if c.holdsWithout() || len(c.values) == 0 {
			continue
		}
		var good func(v string) bool
		switch c.folded {
		case "aws:sourceaccount":
			good = func(v string) bool { return !checkAccount(v).bad() }
		case "aws:sourceorgid":
			good = organization
		case "aws:sourceorgpaths":
			good = func(v string) bool {
				id, _, ok := strings.Cut(v, "/")
				return ok && organization(id)
			}
		case "aws:sourcearn":
			good = sourceNamed
		default:
			continue
		}
		switch c.base {
		case "stringequals", "stringlike", "arnequals", "arnlike":
			if !slices.ContainsFunc(c.values, func(v string) bool { return !good(v) }) {
				return true
			}
		}
	}
	return false
}

// organization reports whether v is the id of an organization, and no pattern of one. Source: Organizations API, type Organization.
func organization(v string) bool {
	id, ok := strings.CutPrefix(v, "o-")
	return ok && id != "" && !strings.ContainsAny(id, "*?$")
}

// sourceAccounts gives the accounts that a service may work for, as far as the conditions name any.
func (s lintStatement) sourceAccounts() []string {
	var all []string
	for c := range s.conditions() {
		switch c.base {
		case "stringequals", "stringlike", "arnequals", "arnlike":
		default:
			continue
		}
		for _, v := range c.values {
			if parts := strings.SplitN(v, ":", 6); c.folded == "aws:sourcearn" && len(parts) == 6 {
				v = parts[4]
			} else if c.folded != "aws:sourceaccount" {
				continue
			}
			if !checkAccount(v).bad() && !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
	}
	return all
}

// sourceOrganizations gives the organizations that a service may work for, as far as the conditions name any.
func (s lintStatement) sourceOrganizations() (all []string) {
	for c := range s.conditions() {
		switch c.base {
		case "stringequals", "stringlike":
		default:
			continue
		}
		if c.folded != "aws:sourceorgid" && c.folded != "aws:sourceorgpaths" {
			continue
		}
		for _, v := range c.values {
			if id, _, _ := strings.Cut(v, "/"); !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
	}
	return all
}

// sourceNamed reports whether the pattern of an ARN is about one account, or one resource.
func sourceNamed(v string) bool {
	parts := strings.SplitN(v, ":", 6)
	if len(parts) != 6 || strings.Contains(v, "${") {
		return false
	}
	return !checkAccount(parts[4]).bad() || !hasWildcard(v)
}

// services is CD001 for the services that a policy lets in.
func (l *linter) services(at lintStatement, w lintWho) {
	if at.Effect != Allow || at.fromSource() {
		return
	}
	if len(w.services) > 0 {
		severity, why := SeverityWarning, "whether it sends the source is not known here"
		if slices.ContainsFunc(w.services, sendsSource) {
			severity, why = SeverityError, "it sends the source, which must be asked for"
		}
		l.add("CD001", severity, at, "Principal.Service", "%s is let in whoever it works for: no condition on aws:SourceAccount or aws:SourceArn; %s", lintShown(w.services), why)
	}
}

// assumers is CD001 for those who assume a role from elsewhere: another account without an external id, an identity provider without any condition.
//
// Source: IAM user guide, "Access to AWS accounts owned by third parties" and "Create a role for OpenID Connect federation".
func (l *linter) assumers(at lintStatement, w lintWho) {
	if at.Effect != Allow {
		return
	}
	if at.names("sts:AssumeRole") && at.exactly("sts:externalid") == nil {
		if w.everyone {
			l.add("CD001", SeverityError, at, "Principal", "everyone may assume the role, and without an sts:ExternalId")
		} else if len(w.undeclared) > 0 {
			l.add("CD001", SeverityError, at, "Principal.AWS", "%s may assume the role without an sts:ExternalId", lintShown(w.undeclared))
		} else if len(w.declared) > 0 {
			l.add("CD001", SeverityWarning, at, "Principal.AWS", "%s may assume the role without an sts:ExternalId", lintShown(w.declared))
		}
	}
	if len(w.federated) == 0 {
		return
	}
	if len(at.Condition) == 0 {
		l.add("CD001", SeverityWarning, at, "Principal.Federated", "everybody whom %s knows may assume the role: there is no condition", lintShown(w.federated))
	}
	for _, v := range w.federated {
		host, token := tokenProvider(v)
		if !token || at.bySubject(host) {
			continue
		}
		severity, who := SeverityWarning, "everybody"
		if sharedProvider(host) {
			severity, who = SeverityError, "every stranger"
		}
		l.add("CD001", severity, at, "Principal.Federated", "%s whom %s knows may assume the role: no condition says of whom the token must speak (%s)", who, show(v), show(host+":sub"))
	}
}

// tokenProvider gives the host, and the path behind it, of an OIDC provider of the account: the beginning of its condition keys.
func tokenProvider(v string) (host string, ok bool) {
	parts := strings.SplitN(v, ":", 6)
	if len(parts) != 6 {
		return "", false
	}
	host, ok = strings.CutPrefix(parts[5], "oidc-provider/")
	return foldASCII(host), ok && host != ""
}

// sharedProvider reports whether an OIDC provider signs tokens for everybody, whatever the audience that they ask for.
//
// Source: IAM user guide, "Identity-provider controls for shared OIDC providers".
func sharedProvider(host string) bool {
	switch host {
	case "token.actions.githubusercontent.com", "gitlab.com", "app.terraform.io", "agent.buildkite.com":
		return true
	}
	return false
}

// bySubject reports whether a condition bounds of whom the provider's tokens speak, by another claim than the audience: for whom a token is made
// is what its holder asked for.
//
// Source: IAM user guide, "Create a role for OpenID Connect federation".
func (s lintStatement) bySubject(host string) bool {
	for c := range s.conditions() {
		claim, ours := strings.CutPrefix(c.folded, host+":")
		if !ours || claim == "aud" || c.holdsWithout() || len(c.values) == 0 {
			continue
		}
		switch c.base {
		case "stringequals", "stringequalsignorecase", "stringlike":
		default:
			continue
		}
		if !slices.ContainsFunc(c.values, func(v string) bool { return v == "" || c.base == "stringlike" && strings.ContainsAny(v[:1], "*?") }) {
			return true
		}
	}
	return false
}
