package policy

import (
	"slices"
	"strings"
)

// bucketStatement is S3001 and S3002 for one statement of a bucket's policy.
func (l *linter) bucketStatement(at lintStatement, w lintWho) {
	if at.Effect != Allow {
		return
	}
	l.allOfS3(at, !w.outsider() && len(w.services) == 0 && w.own)
	if found := at.namesOf(bucketAdministration[:]); len(found) > 0 && (w.outsider() || len(w.services) > 0) {
		l.add("S3001", SeverityError, at, "Action", "somebody else than the owner may administer the bucket: %s", lintSome(found))
	}
	l.anyBucket(at)
}

// allOfS3 is S3001 for wildcards. To the owner's own principals alone everything is no more than what their account can give them anyway.
func (l *linter) allOfS3(at lintStatement, own bool) {
	severity := SeverityError
	if own {
		severity = SeverityWarning
	}
	if at.namesWhole("s3") {
		l.add("S3001", severity, at, "Action", "%s is every action of S3, those that it will have too", actionsOf(at))
		return
	}
	for _, p := range at.Action {
		if !hasWildcard(p) {
			continue
		}
		if found := lintAction(p).namesOf(bucketAdministration[:]); len(found) > 0 {
			l.add("S3001", SeverityWarning, at, "Action", "the wildcard in %s covers %s", show(p), lintSome(found))
			return
		}
	}
}

// anyBucket is S3002: actions on buckets or objects whose resource is not one bucket.
func (l *linter) anyBucket(at lintStatement) {
	found := slices.DeleteFunc(slices.Clone(at.Action), func(p string) bool {
		return !couldBe(p, "s3") || slices.ContainsFunc(wholeAccountS3[:], func(a string) bool { return foldASCII(a) == foldASCII(p) })
	})
	if len(at.NotAction) > 0 {
		found = []string{"NotAction"}
	}
	if len(found) == 0 {
		return
	}
	breadth, which := l.breadth(at, "s3")
	bounded := at.exactly("aws:resourceaccount") != nil || at.exactly("s3:resourceaccount") != nil
	switch {
	case breadth == breadthAll && !bounded:
		l.add("S3002", SeverityError, at, "Resource", "%s on %s: every bucket, also other people's", lintShown(found), show(which))
	case breadth != breadthNamed:
		l.add("S3002", SeverityWarning, at, "Resource", "%s on %s: not one bucket", lintShown(found), show(which))
	}
}

// couldBe reports whether the pattern of an action can name an action of the service.
func couldBe(pattern, service string) bool {
	prefix, _, _ := strings.Cut(foldASCII(pattern), ":")
	return MatchAction(prefix, service)
}

// transport is S3003: every bucket that the policy speaks of must refuse everybody who does not use TLS, for itself and for all that is in it.
//
// Source: S3 user guide, "Security best practices for Amazon S3".
func (l *linter) transport() {
	var buckets, refused []string
	for i, s := range l.doc.Statements {
		for _, r := range s.Resource {
			bucket, _, _ := strings.Cut(r, "/")
			if !slices.Contains(buckets, bucket) {
				buckets = append(buckets, bucket)
			}
		}
		if refusesPlain(lintStatement{s, i}) {
			refused = append(refused, s.Resource...)
		}
	}
	covered := func(r string) bool {
		return slices.ContainsFunc(refused, func(p string) bool { return CoversResource(p, r) })
	}
	open := slices.DeleteFunc(buckets, func(b string) bool { return covered(b) && covered(b+"/*") })
	if len(open) > 0 || len(refused) == 0 {
		l.addWhole("S3003", SeverityWarning, "Statement", "no statement refuses everybody who does not use TLS%s", lintOn(open))
	}
}

func lintOn(buckets []string) string {
	if len(buckets) == 0 {
		return ""
	}
	return " on " + lintShown(buckets)
}

// refusesPlain reports whether the statement refuses everything to everybody without TLS, with no way around.
func refusesPlain(s lintStatement) bool {
	everyone := s.Principal != nil && (s.Principal.Everyone || slices.Contains(s.Principal.AWS, "*"))
	if s.Effect != Deny || !everyone || len(s.NotAction) > 0 || !s.namesWhole("s3") {
		return false
	}
	n, right := 0, false
	for c := range s.conditions() {
		n++
		right = c.folded == "aws:securetransport" && c.base == "bool" && !c.forAll && len(c.values) == 1 && c.values[0] == "false"
	}
	return n == 1 && right
}

// PublicAccessBlock are the four settings of Block Public Access, of a bucket or an account. True is the safe side.
//
// Source: S3 user guide, "Blocking public access to your Amazon S3 storage".
type PublicAccessBlock struct {
	BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets bool
}

// LintPublicAccessBlock is S3004, which names the settings that are off. What holds is the stricter of the bucket's and the account's settings: give it
// those. Where S3 has none (NoSuchPublicAccessBlockConfiguration) all are off.
func LintPublicAccessBlock(b PublicAccessBlock) []Finding {
	var off []string
	for _, s := range []struct {
		name string
		on   bool
	}{
		{"BlockPublicAcls", b.BlockPublicAcls}, {"IgnorePublicAcls", b.IgnorePublicAcls},
		{"BlockPublicPolicy", b.BlockPublicPolicy}, {"RestrictPublicBuckets", b.RestrictPublicBuckets},
	} {
		if !s.on {
			off = append(off, s.name)
		}
	}
	if len(off) == 0 {
		return nil
	}
	return []Finding{newFinding("S3004", SeverityError, -1, "", "off: %s", strings.Join(off, ", "))}
}
