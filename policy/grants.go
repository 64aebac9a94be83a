package policy

import (
	"fmt"
	"slices"
)

// Permission is what a grant of a bucket's ACL gives.
type Permission string

// The permissions. Source: S3 user guide, "Access control list (ACL) overview".
const (
	PermissionRead        Permission = "READ"
	PermissionWrite       Permission = "WRITE"
	PermissionReadACP     Permission = "READ_ACP"
	PermissionWriteACP    Permission = "WRITE_ACP"
	PermissionFullControl Permission = "FULL_CONTROL"
)

// Grant is one grant of a bucket's ACL. There is none here to a group: nothing that this package makes opens a bucket to everybody.
type Grant struct {
	// CanonicalID is the grantee's canonical user id, 64 hexadecimal digits; empty for a grantee of another kind.
	CanonicalID string
	// Other is a grantee of another kind as S3 tells it, a group's URI or an e-mail address. It is kept when grants are merged and never made.
	Other      string
	Permission Permission
}

// maxGrants is how many grants an ACL holds. Source: S3 user guide, "Access control list (ACL) overview".
const maxGrants = 100

// ElastiCacheCanonicalID gives the canonical user id that ElastiCache has in a partition: the older way of letting it into a bucket, which works
// in Regions that need no opt-in, and on buckets whose ACLs are not disabled. New buckets have them disabled: use [ExportStatement]. One
// id stands for ElastiCache's work for all of its customers.
//
// The id of aws-cn is from an older edition of the guide and is gone from today's (UNVERIFIED); of the other partitions none is known, and the
// error is a *[NameError].
//
// Source: ElastiCache user guide, "Exporting a backup", in the edition with canonical ids.
func ElastiCacheCanonicalID(partition string) (string, error) {
	switch partition {
	case "aws":
		return "540804c33a284a299d2547575ce1010f2312ef3da9b3a053c8bc45bf233e4353", nil
	case "aws-us-gov":
		return "40fa568277ad703bd160f66ae4f83fc9dfdfd06c2f1b5060ca22442ac3ef8be6", nil
	case "aws-cn":
		return "b14d6a125bdf69854ed8ef2e71d8a20b7c490f252229b806e514966e490b8d83", nil
	}
	return "", faultf(RulePartition, -1, "no canonical id of ElastiCache is known here").in("partition", partition)
}

// ExportGrants gives the three grants that an export needs: READ, WRITE and READ_ACP.
//
// Source: ElastiCache API reference, CopySnapshot, its error messages; S3 user guide, "Prerequisites for disabling ACLs".
func ExportGrants(canonicalID string) ([]Grant, error) {
	return grants(canonicalID, PermissionRead, PermissionWrite, PermissionReadACP)
}

// PublishedExportGrants gives the four grants that the export page of the ElastiCache user guide asked for in its older edition. The fourth,
// WRITE_ACP, lets the grantee give the bucket to anybody, and no export needs it: use [ExportGrants].
func PublishedExportGrants(canonicalID string) ([]Grant, error) {
	return grants(canonicalID, PermissionRead, PermissionWrite, PermissionReadACP, PermissionWriteACP)
}

func grants(id string, permissions ...Permission) (all []Grant, err error) {
	if err := checkCanonicalID(id).in("canonical user id", id); err != nil {
		return nil, err
	}
	for _, p := range permissions {
		all = append(all, Grant{CanonicalID: id, Permission: p})
	}
	return all, nil
}

func checkCanonicalID(id string) fault {
	if id == "" {
		return empty()
	}
	for i := range len(id) {
		if c := id[i]; !isDigit(c) && (c < 'a' || c > 'f') {
			return badChar(id, i, "a small hexadecimal digit")
		}
	}
	if len(id) != 64 {
		return faultf(RuleLength, min(len(id), 64), "%d digits instead of 64", len(id))
	}
	return fault{}
}

// MergeGrants adds to the grants that a bucket has those that it lacks, and loses none. S3 replaces an ACL as a whole, so what is written must hold
// what others granted. added is what was missing, in the order of wanted; with nothing added nothing needs to be written. A grantee with
// FULL_CONTROL lacks nothing. S3 has no conditional write for ACLs: read it again afterwards.
//
// Each wanted grant must be to a canonical user id, to nobody beside it, and of one of the five permissions; existing ones are kept whatever they are.
func MergeGrants(existing, wanted []Grant) (merged, added []Grant, err error) {
	merged = slices.Clone(existing)
	for _, w := range wanted {
		if err := w.check(); err != nil {
			return nil, nil, err
		}
		if slices.ContainsFunc(merged, func(g Grant) bool {
			return g.CanonicalID == w.CanonicalID && (g.Permission == w.Permission || g.Permission == PermissionFullControl)
		}) {
			continue
		}
		merged, added = append(merged, w), append(added, w)
	}
	if len(merged) > maxGrants {
		return nil, nil, fmt.Errorf("policy: the ACL would have %d grants, and %d are allowed", len(merged), maxGrants)
	}
	return merged, added, nil
}

// check refuses a grant that this package does not make.
func (g Grant) check() error {
	switch g.Permission {
	case PermissionRead, PermissionWrite, PermissionReadACP, PermissionWriteACP, PermissionFullControl:
	default:
		return faultf(RuleForm, -1, "is none of READ, WRITE, READ_ACP, WRITE_ACP and FULL_CONTROL").in("permission of a grant", string(g.Permission))
	}
	if g.Other != "" {
		return faultf(RuleForm, -1, "a grant is made to a canonical user id, and to no grantee of another kind").in("grantee", g.Other)
	}
	return checkCanonicalID(g.CanonicalID).in("canonical user id", g.CanonicalID)
}
