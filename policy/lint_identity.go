package policy

import (
	"slices"
	"strings"
)

// lintBreadth is how much the resources of a statement are.
type lintBreadth int

const (
	breadthNamed lintBreadth = iota // one thing, or those whose names begin alike, with at least leastName characters
	breadthType                     // all of one type or almost, or an open name of a bucket
	breadthAll                      // everything
)

// breadth gives the widest of the statement's resources that an action of the service can be about, and that resource. Where none is of the service
// all are looked at: some services have their actions and their ARNs under different names.
func (l *linter) breadth(s lintStatement, service string) (lintBreadth, string) {
	if len(s.NotResource) > 0 || len(s.Resource) == 0 {
		return breadthAll, "NotResource"
	}
	about := slices.DeleteFunc(slices.Clone(s.Resource), func(r string) bool {
		if parts := strings.SplitN(r, ":", 6); len(parts) == 6 {
			return !MatchAction(parts[2], service) && !MatchAction(service, parts[2])
		}
		return !hasWildcard(r)
	})
	if len(about) == 0 {
		about = s.Resource
	}
	widest, which := breadthNamed, about[0]
	for _, r := range about {
		if b := l.breadthOf(r); b > widest {
			widest, which = b, r
		}
	}
	return widest, which
}

// breadthOf is how much one pattern is.
func (l *linter) breadthOf(r string) lintBreadth {
	if l.current() {
		// These are how the language writes the three characters themselves.
		r = strings.NewReplacer("${*}", "x", "${?}", "x", "${$}", "x").Replace(r)
	}
	parts := strings.SplitN(r, ":", 6)
	if len(parts) < 6 || hasWildcard(parts[2]) {
		if hasWildcard(r) {
			return breadthAll
		}
		return breadthNamed
	}
	resource := parts[5]
	if parts[2] == "s3" && !strings.HasPrefix(resource, "accesspoint/") {
		if hasWildcard(parts[3]) || hasWildcard(parts[4]) {
			return breadthAll // buckets have neither Region nor account, so the wildcard reaches into the name
		}
		bucket, _, _ := strings.Cut(resource, "/")
		switch {
		case onlyWildcards(bucket):
			return breadthAll
		case hasWildcard(bucket), l.current() && strings.Contains(bucket, "${"):
			return breadthType
		}
		return breadthNamed
	}
	if onlyWildcards(resource) {
		return breadthAll
	}
	if n := strings.IndexAny(resource, ":/"); n >= 0 {
		kind, name := resource[:n], resource[n+1:]
		if hasWildcard(kind) || openName(parts[2], kind, name) {
			return breadthType
		}
		return breadthNamed
	}
	if hasWildcard(resource) && (parts[2] != "sns" || openName(parts[2], "", resource)) {
		return breadthType
	}
	return breadthNamed
}

// leastName is how many characters of a name must stand before its first wildcard. A beginning of one or two letters, which many names share by
// chance, and what stands behind a wildcard name nothing.
const leastName = 3

// openName reports whether the pattern of a name names nothing: it begins with a wildcard or soon after, or what stands before it is what AWS
// itself puts there. Ids that AWS makes begin alike for no reason: of those a part is no name.
//
// Source: EC2 user guide, "Resource IDs"; RDS user guide, "Working with automated backups"; ElastiCache user guide, "Scheduling automatic backups".
func openName(service, kind, name string) bool {
	n := strings.IndexAny(name, "*?")
	if n < 0 {
		return false
	}
	switch service {
	case "ec2":
		switch kind {
		case "image", "instance", "network-interface", "snapshot", "volume":
			return true
		}
	case "kms":
		if kind == "key" {
			return true
		}
	case "rds":
		name = strings.TrimPrefix(name, "rds:")
	case "elasticache":
		name = strings.TrimPrefix(name, "automatic.")
	}
	return strings.IndexAny(name, "*?") < leastName
}

// onlyWildcards reports whether nothing is named at all.
func onlyWildcards(s string) bool { return strings.Trim(s, "*?:/") == "" && hasWildcard(s) }

// byTag reports whether the statement is bounded to resources that carry a tag of one value. The tags of a request bound nothing: whoever calls
// chooses them.
func (s lintStatement) byTag() bool {
	for c := range s.conditions() {
		name, _, _ := strings.Cut(c.folded, "/")
		if c.exact() && (strings.HasSuffix(name, ":resourcetag") || strings.HasPrefix(name, "rds:") && name != "rds:req-tag" && strings.HasSuffix(name, "-tag")) {
			return true
		}
	}
	return false
}

// identityStatement is S3001, S3002 and IAM001 to IAM004 for one statement of an identity's policy.
func (l *linter) identityStatement(at lintStatement) {
	if at.Effect != Allow {
		return
	}
	l.allOfS3(at, false)
	l.anyBucket(at)
	l.deletion(at)
	l.passRole(at)
	l.onEverything(at)
}

// patterns are the statement's actions one by one. NotAction is everything, for that is what it becomes.
func (s lintStatement) patterns() []string {
	if len(s.NotAction) > 0 {
		return []string{"*"}
	}
	return s.Action
}

// deletion is IAM001.
func (l *linter) deletion(at lintStatement) {
	if found := at.namesOf(destructions[:]); len(found) > 0 {
		l.add("IAM001", SeverityError, at, "Action", "no role that works with backups needs %s", lintSome(found))
		return
	}
	var wide, bounded []string
	for _, p := range at.patterns() {
		if !deletes(p) {
			continue
		}
		if b, _ := l.breadth(at, serviceOf(p)); b == breadthNamed || at.byTag() {
			bounded = append(bounded, p)
		} else {
			wide = append(wide, p)
		}
	}
	switch {
	case len(wide) > 0:
		l.add("IAM001", SeverityError, at, "Action", "%s deletes, and neither names nor tags bound it", lintShown(wide))
	case len(bounded) > 0 && !l.c.MayDelete:
		l.add("IAM001", SeverityWarning, at, "Action", "%s deletes", lintShown(bounded))
	}
}

// serviceOf is the service of an action, in small letters.
func serviceOf(action string) string {
	service, _, _ := strings.Cut(foldASCII(action), ":")
	return service
}

// passRole is IAM003.
//
// Source: IAM user guide, "Grant a user permissions to pass a role to an AWS service".
func (l *linter) passRole(at lintStatement) {
	if !at.names("iam:PassRole") {
		return
	}
	breadth, which := l.breadth(at, "iam")
	switch {
	case breadth != breadthNamed:
		l.add("IAM003", SeverityError, at, "Resource", "any role may be passed: %s", show(which))
	case at.exactly("iam:passedtoservice") == nil:
		l.add("IAM003", SeverityWarning, at, "Condition", "%s may be passed to any service that trusts it", show(which))
	case slices.ContainsFunc(at.Resource, hasWildcard):
		l.add("IAM003", SeverityWarning, at, "Resource", "several roles may be passed: %s", lintShown(at.Resource))
	}
}

// onEverything is IAM002 and IAM004. S3 has S3002 in their place.
func (l *linter) onEverything(at lintStatement) {
	var out, unsure []string
	for _, p := range at.patterns() {
		one := lintAction(p)
		breadth, _ := l.breadth(at, serviceOf(p))
		if found := one.namesOf(carriers[:]); len(found) > 0 && breadth != breadthNamed {
			severity, bound := SeverityError, "nothing bounds it"
			if breadth == breadthType || at.byTag() {
				severity, bound = SeverityWarning, "it is bounded, but not by names"
			}
			l.add("IAM004", severity, at, "Action", "%s carries data out (%s), and %s", show(p), lintSome(found), bound)
			if !hasWildcard(p) {
				continue
			}
		}
		if breadth != breadthAll || serviceOf(p) == "s3" || slices.ContainsFunc(resourceless[:], func(r string) bool { return CoversAction(r, p) }) {
			continue
		}
		if len(one.namesOf(resourceful[:])) > 0 && !at.byTag() {
			out = append(out, p)
		} else if !deletes(p) || hasWildcard(p) {
			unsure = append(unsure, p)
		}
	}
	switch {
	case len(out) > 0:
		l.add("IAM002", SeverityError, at, "Resource", "%s on everything", lintShown(out))
	case len(unsure) > 0:
		l.add("IAM002", SeverityWarning, at, "Resource", "%s on everything", lintShown(unsure))
	}
}
