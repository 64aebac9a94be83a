package s3sim

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

const maxGrants = 100

// groups are the predefined groups of ACLs; the first two let the public in. Source: S3 user guide, ACL overview.
var groups = []string{
	"http://acs.amazonaws.com/groups/global/AllUsers",
	"http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
	"http://acs.amazonaws.com/groups/s3/LogDelivery",
}

func isPublic(g s3types.Grant) bool {
	return g.Grantee.Type == s3types.TypeGroup && slices.Contains(groups[:2], *g.Grantee.URI)
}

// ownerID is the canonical user id of an account: 64 hexadecimal digits that are its own.
func ownerID(account string) string {
	sum := sha256.Sum256([]byte("canonical id of " + account))
	return hex.EncodeToString(sum[:])
}

// private is the ACL of a bucket that nobody was let into.
func private(owner string) []s3types.Grant {
	return []s3types.Grant{{Permission: s3types.PermissionFullControl, Grantee: &s3types.Grantee{Type: s3types.TypeCanonicalUser, ID: aws.String(ownerID(owner))}}}
}

// outside tells whether an ACL lets in anybody but the owner.
func (b *bucket) outside() bool {
	return slices.ContainsFunc(b.grants, func(g s3types.Grant) bool { return aws.ToString(g.Grantee.ID) != ownerID(b.owner) })
}

func aclsOff() error {
	return awssim.Fail("AccessControlListNotSupported", "The bucket does not allow ACLs")
}

func malformedACL() error {
	return awssim.Fail("MalformedACLError", "The ACL that you provided was not well formed or did not validate against our published schema")
}

func (s *S3) putBucketOwnershipControls(r *awssim.Request, in *awss3.PutBucketOwnershipControlsInput) (*awss3.PutBucketOwnershipControlsOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:PutBucketOwnershipControls", "")
	if err != nil {
		return nil, err
	}
	if in.OwnershipControls == nil || len(in.OwnershipControls.Rules) != 1 {
		return nil, malformed()
	}
	to := in.OwnershipControls.Rules[0].ObjectOwnership
	switch {
	case !slices.Contains(to.Values(), to):
		return nil, malformed()
	case to != s3types.ObjectOwnershipBucketOwnerEnforced:
	case b.outside():
		return nil, awssim.Fail("InvalidBucketAclWithObjectOwnership", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
	default:
		b.grants = private(b.owner)
	}
	b.ownership = to
	return &awss3.PutBucketOwnershipControlsOutput{}, nil
}

func (s *S3) getBucketOwnershipControls(r *awssim.Request, in *awss3.GetBucketOwnershipControlsInput) (*awss3.GetBucketOwnershipControlsOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:GetBucketOwnershipControls", "")
	if err != nil {
		return nil, err
	}
	if b.ownership == "" {
		return nil, awssim.FailStatus(404, "OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
	}
	return &awss3.GetBucketOwnershipControlsOutput{OwnershipControls: &s3types.OwnershipControls{Rules: []s3types.OwnershipControlsRule{{ObjectOwnership: b.ownership}}}}, nil
}

// deleteBucketOwnershipControls leaves a bucket as those are that were made before April 2023: with ACLs, and without the setting.
func (s *S3) deleteBucketOwnershipControls(r *awssim.Request, in *awss3.DeleteBucketOwnershipControlsInput) (*awss3.DeleteBucketOwnershipControlsOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:PutBucketOwnershipControls", "")
	if err != nil {
		return nil, err
	}
	b.ownership = ""
	return &awss3.DeleteBucketOwnershipControlsOutput{}, nil
}

func (s *S3) putBucketACL(r *awssim.Request, in *awss3.PutBucketAclInput) (*awss3.PutBucketAclOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:PutBucketAcl", "")
	if err != nil {
		return nil, err
	}
	if b.ownership == s3types.ObjectOwnershipBucketOwnerEnforced {
		return nil, aclsOff()
	}
	if headers := given(in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWrite, in.GrantWriteACP); in.ACL != "" || headers {
		return nil, unsupported("canned ACLs and headers of grants for a bucket: give an AccessControlPolicy")
	}
	p := in.AccessControlPolicy
	if p == nil || p.Owner == nil || aws.ToString(p.Owner.ID) != ownerID(b.owner) || len(p.Grants) > maxGrants {
		return nil, malformedACL()
	}
	var grants []s3types.Grant
	for _, g := range p.Grants {
		g, err := b.grant(g)
		if err != nil {
			return nil, err
		}
		grants = append(grants, g)
	}
	b.grants = grants
	return &awss3.PutBucketAclOutput{}, nil
}

// grant gives a copy of a grant that may be set.
func (b *bucket) grant(g s3types.Grant) (s3types.Grant, error) {
	if permissions[g.Permission] == nil || g.Grantee == nil {
		return g, malformedACL()
	}
	to := s3types.Grantee{Type: g.Grantee.Type}
	switch to.Type {
	case s3types.TypeCanonicalUser:
		id := aws.ToString(g.Grantee.ID)
		if len(id) != 64 || strings.Trim(id, "0123456789abcdef") != "" {
			return g, awssim.Fail("InvalidArgument", "Invalid id")
		}
		to.ID = &id
	case s3types.TypeGroup:
		uri := aws.ToString(g.Grantee.URI)
		if !slices.Contains(groups, uri) {
			return g, awssim.Fail("InvalidArgument", "Invalid group uri")
		}
		to.URI = &uri
	case s3types.TypeAmazonCustomerByEmail:
		return g, awssim.FailStatus(405, "MethodNotAllowed", "Grantees are no longer named by e-mail addresses")
	default:
		return g, malformedACL()
	}
	out := s3types.Grant{Permission: g.Permission, Grantee: &to}
	if isPublic(out) && *b.block.BlockPublicAcls {
		return out, denied()
	}
	return out, nil
}

func (s *S3) getBucketACL(r *awssim.Request, in *awss3.GetBucketAclInput) (*awss3.GetBucketAclOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:GetBucketAcl", "")
	if err != nil {
		return nil, err
	}
	out := &awss3.GetBucketAclOutput{Owner: &s3types.Owner{ID: aws.String(ownerID(b.owner))}}
	for _, g := range b.grants {
		to := *g.Grantee
		if to.ID != nil {
			to.ID = aws.String(*to.ID)
		} else {
			to.URI = aws.String(*to.URI)
		}
		out.Grants = append(out.Grants, s3types.Grant{Permission: g.Permission, Grantee: &to})
	}
	return out, nil
}

// given tells whether any of the headers of a call is there.
func given(headers ...*string) bool {
	return slices.ContainsFunc(headers, func(h *string) bool { return h != nil })
}

// objectACL judges the ACL in a call that writes an object. ACLs of objects are not kept: those that say no more than that the bucket's owner has
// control are let through.
//
// Source: S3 user guide, Controlling ownership of objects, "Disabling ACLs for all new buckets"; Blocking public access, BlockPublicAcls.
func (s *S3) objectACL(r *awssim.Request, b *bucket, key string, acl s3types.ObjectCannedACL, headers ...*string) error {
	if acl == "" && !given(headers...) {
		return nil
	}
	public := acl == s3types.ObjectCannedACLPublicRead || acl == s3types.ObjectCannedACLPublicReadWrite || acl == s3types.ObjectCannedACLAuthenticatedRead
	switch {
	case !s.may(r, b, "s3:PutObjectAcl", key):
		return denied()
	case acl != "" && !slices.Contains(acl.Values(), acl):
		return awssim.Fail("InvalidArgument", "")
	case acl != "" && given(headers...):
		return awssim.Fail("InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
	case acl == s3types.ObjectCannedACLBucketOwnerFullControl:
		return nil
	case b.ownership == s3types.ObjectOwnershipBucketOwnerEnforced:
		return aclsOff()
	case public && *b.block.BlockPublicAcls:
		return denied()
	case acl == s3types.ObjectCannedACLPrivate && b.owner == r.Account:
		return nil
	}
	return unsupported("ACLs of objects")
}
