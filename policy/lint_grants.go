package policy

import (
	"fmt"
	"strings"
)

// LintGrants is ACL001 and ACL002: what is wrong with the grants of a bucket's ACL. Of the context it uses Partition and OwnerCanonicalID. Without
// the owner's id a grantee who may change the ACL is a warning, since it may be the owner; ElastiCache never is.
//
// Place is "Grant[0]", and Statement always -1. Source: S3 user guide, "Access control list (ACL) overview".
func LintGrants(grants []Grant, c LintContext) []Finding {
	var found []Finding
	for i, g := range grants {
		add := func(id string, severity Severity, format string, args ...any) {
			found = append(found, newFinding(id, severity, -1, fmt.Sprintf("Grant[%d]", i), format, args...))
		}
		if g.Other != "" || g.CanonicalID == "" {
			switch group := publicGroup(g.Other); {
			case group != "":
				add("ACL001", SeverityError, "%s to %s", show(string(g.Permission)), group)
			case !logDelivery(g.Other):
				add("ACL001", SeverityWarning, "who %s is can not be told", show(g.Other))
			}
		}
		if g.CanonicalID == "" {
			continue
		}
		partition := elastiCacheHome(g.CanonicalID)
		if partition != "" && c.Partition != "" && partition != c.Partition {
			add("ACL002", SeverityError, "the grantee is the ElastiCache of the partition %s, and the bucket is in %s", partition, show(c.Partition))
			continue
		}
		switch g.Permission {
		case PermissionRead, PermissionWrite, PermissionReadACP:
			continue
		}
		switch {
		case c.OwnerCanonicalID != "" && strings.EqualFold(g.CanonicalID, c.OwnerCanonicalID):
		case partition != "" || c.OwnerCanonicalID != "":
			add("ACL002", SeverityError, "%s lets %s change the ACL itself", show(string(g.Permission)), show(g.CanonicalID))
		default:
			add("ACL002", SeverityWarning, "%s lets %s change the ACL itself, who may be the owner", show(string(g.Permission)), show(g.CanonicalID))
		}
	}
	return found
}

// publicGroup names the group of everybody, or of everybody with an account, whatever the writing of its URI.
func publicGroup(uri string) string {
	_, group, found := strings.Cut(strings.ToLower(uri), "/groups/global/")
	switch {
	case !found:
		return ""
	case strings.HasPrefix(group, "allusers"):
		return "everybody (AllUsers)"
	case strings.HasPrefix(group, "authenticatedusers"):
		return "everybody who has an AWS account (AuthenticatedUsers)"
	}
	return "a group of everybody"
}

// logDelivery reports whether the grantee is S3's own group for access logs.
func logDelivery(uri string) bool { return uri == "http://acs.amazonaws.com/groups/s3/LogDelivery" }

// elastiCacheHome is the partition whose ElastiCache has the canonical id; empty for others.
func elastiCacheHome(id string) string {
	for _, partition := range [...]string{"aws", "aws-us-gov", "aws-cn"} {
		if known, err := ElastiCacheCanonicalID(partition); err == nil && strings.EqualFold(known, id) {
			return partition
		}
	}
	return ""
}
