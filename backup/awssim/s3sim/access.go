package s3sim

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
)

const (
	maxPolicy = 20 << 10
	maxGrants = 100
)

func (s *S3) putBucketPolicy(r *awssim.Request, in *awss3.PutBucketPolicyInput) (*awss3.PutBucketPolicyOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	text := aws.ToString(in.Policy)
	doc, err := policy.ParseDocument([]byte(text))
	if err != nil || len(text) > maxPolicy {
		return nil, awssim.Fail("MalformedPolicy", "This policy contains invalid Json, or is too large")
	}
	for _, st := range doc.Statements {
		if st.Principal == nil && st.NotPrincipal == nil {
			return nil, awssim.Fail("MalformedPolicy", "Missing required field Principal")
		}
		for _, x := range append(slices.Clone(st.Resource), st.NotResource...) {
			arn := b.arn(r)
			if x != arn && !strings.HasPrefix(x, arn+"/") {
				return nil, awssim.Fail("MalformedPolicy", "Policy has invalid resource")
			}
		}
	}
	b.policy, b.policyText = &doc, text
	return &awss3.PutBucketPolicyOutput{}, nil
}

func (b *bucket) arn(r *awssim.Request) string { return "arn:" + r.Partition() + ":s3:::" + b.name }

func (s *S3) getBucketPolicy(r *awssim.Request, in *awss3.GetBucketPolicyInput) (*awss3.GetBucketPolicyOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.policy == nil {
		return nil, awssim.FailStatus(404, "NoSuchBucketPolicy", "The bucket policy does not exist")
	}
	return &awss3.GetBucketPolicyOutput{Policy: aws.String(b.policyText)}, nil
}

func (s *S3) deleteBucketPolicy(r *awssim.Request, in *awss3.DeleteBucketPolicyInput) (*awss3.DeleteBucketPolicyOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	b.policy, b.policyText = nil, ""
	return &awss3.DeleteBucketPolicyOutput{}, nil
}

func (s *S3) putBucketOwnershipControls(r *awssim.Request, in *awss3.PutBucketOwnershipControlsInput) (*awss3.PutBucketOwnershipControlsOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if in.OwnershipControls == nil || len(in.OwnershipControls.Rules) != 1 {
		return nil, awssim.Fail("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	to := in.OwnershipControls.Rules[0].ObjectOwnership
	if to == s3types.ObjectOwnershipBucketOwnerEnforced && len(b.grants) > 0 {
		return nil, awssim.Fail("InvalidBucketAclWithObjectOwnership", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
	}
	b.ownership = to
	return &awss3.PutBucketOwnershipControlsOutput{}, nil
}

func (s *S3) getBucketOwnershipControls(r *awssim.Request, in *awss3.GetBucketOwnershipControlsInput) (*awss3.GetBucketOwnershipControlsOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	return &awss3.GetBucketOwnershipControlsOutput{OwnershipControls: &s3types.OwnershipControls{Rules: []s3types.OwnershipControlsRule{{ObjectOwnership: b.ownership}}}}, nil
}

// ownerID is the canonical user id of an account: 64 hexadecimal digits that are its own.
func ownerID(account string) string {
	sum := sha256.Sum256([]byte("canonical id of " + account))
	return hex.EncodeToString(sum[:])
}

func (s *S3) putBucketACL(r *awssim.Request, in *awss3.PutBucketAclInput) (*awss3.PutBucketAclOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.ownership == s3types.ObjectOwnershipBucketOwnerEnforced {
		return nil, awssim.Fail("AccessControlListNotSupported", "The bucket does not allow ACLs")
	}
	p := in.AccessControlPolicy
	if p == nil || p.Owner == nil || aws.ToString(p.Owner.ID) != ownerID(b.owner) || len(p.Grants) > maxGrants {
		return nil, awssim.Fail("MalformedACLError", "The ACL that you provided was not well formed or did not validate against our published schema")
	}
	var grants []s3types.Grant
	for _, g := range p.Grants {
		if g.Grantee == nil || g.Grantee.Type != s3types.TypeCanonicalUser || len(aws.ToString(g.Grantee.ID)) != 64 {
			return nil, awssim.Fail("InvalidArgument", "Invalid id")
		}
		if id := *g.Grantee.ID; id != ownerID(b.owner) {
			grants = append(grants, s3types.Grant{Permission: g.Permission, Grantee: &s3types.Grantee{Type: s3types.TypeCanonicalUser, ID: &id}})
		}
	}
	b.grants = grants
	return &awss3.PutBucketAclOutput{}, nil
}

func (s *S3) getBucketACL(r *awssim.Request, in *awss3.GetBucketAclInput) (*awss3.GetBucketAclOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	grant := func(id string, p s3types.Permission) s3types.Grant {
		return s3types.Grant{Permission: p, Grantee: &s3types.Grantee{Type: s3types.TypeCanonicalUser, ID: &id}}
	}
	out := &awss3.GetBucketAclOutput{Owner: &s3types.Owner{ID: aws.String(ownerID(b.owner))}, Grants: []s3types.Grant{grant(ownerID(b.owner), s3types.PermissionFullControl)}}
	for _, g := range b.grants {
		out.Grants = append(out.Grants, grant(*g.Grantee.ID, g.Permission))
	}
	return out, nil
}

// BucketPlace gives a bucket's Region and owner. Other simulated services call it, under the World's lock.
func (s *S3) BucketPlace(r *awssim.Request, bucket string) (region, owner string, exists bool) {
	b, ok := s.buckets[name{r.Partition(), bucket}]
	if !ok {
		return "", "", false
	}
	return b.region, b.owner, true
}

// HasObject tells whether a key is taken, also by an object that a service is writing. Other simulated services call it, under the World's lock.
func (s *S3) HasObject(r *awssim.Request, bucket, key string) bool {
	b, ok := s.buckets[name{r.Partition(), bucket}]
	return ok && b.objects[key] != nil
}

// ServicePut writes an object for a service; it is there from the given instant on. It does not ask whether the service may: ServiceMay does.
// Other simulated services call it, under the World's lock.
func (s *S3) ServicePut(r *awssim.Request, bucket, key string, data []byte, at time.Time) error {
	b, ok := s.buckets[name{r.Partition(), bucket}]
	if !ok {
		return awssim.FailStatus(404, "NoSuchBucket", "The specified bucket does not exist")
	}
	b.objects[key] = &object{key: key, body: data, etag: etag(data), at: at, contentType: "binary/octet-stream"}
	return nil
}

// permissions are the S3 actions that a grant of a bucket's ACL gives. Source: S3 user guide, ACL overview.
var permissions = map[s3types.Permission][]string{
	s3types.PermissionRead:    {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"},
	s3types.PermissionWrite:   {"s3:PutObject"},
	s3types.PermissionReadAcp: {"s3:GetBucketAcl"},
}

// ServiceMay tells whether a bucket lets a service do something: its principal by the policy, or its canonical id by the ACL. Actions on objects
// are asked for an object with any key. Other simulated services call it, under the World's lock.
func (s *S3) ServiceMay(r *awssim.Request, bucket, principal, canonicalID, action string) bool {
	b, ok := s.buckets[name{r.Partition(), bucket}]
	if !ok {
		return false
	}
	resource := b.arn(r)
	if strings.HasSuffix(action, "Object") {
		resource += "/any key"
	}
	allowed := false
	if b.policy != nil {
		for _, st := range b.policy.Statements {
			if !matches(r, st, principal, action, resource) {
				continue
			}
			if st.Effect == policy.Deny {
				return false
			}
			allowed = true
		}
	}
	if b.ownership != s3types.ObjectOwnershipBucketOwnerEnforced {
		for _, g := range b.grants {
			if *g.Grantee.ID == canonicalID && (g.Permission == s3types.PermissionFullControl || slices.Contains(permissions[g.Permission], action)) {
				allowed = true
			}
		}
	}
	return allowed
}

// matches tells whether a statement is about a service's call.
func matches(r *awssim.Request, st policy.Statement, principal, action, resource string) bool {
	who := func(p *policy.Principal) bool {
		return p.Everyone || slices.Contains(p.AWS, "*") || slices.Contains(p.Service, principal)
	}
	anyOf := func(patterns []string, s string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return like(p, s) })
	}
	lower := func(list []string) (out []string) {
		for _, s := range list {
			out = append(out, strings.ToLower(s))
		}
		return out
	}
	action = strings.ToLower(action)
	switch {
	case st.Principal != nil && !who(st.Principal), st.NotPrincipal != nil && who(st.NotPrincipal),
		st.Action != nil && !anyOf(lower(st.Action), action), st.NotAction != nil && anyOf(lower(st.NotAction), action),
		st.Resource != nil && !anyOf(st.Resource, resource), st.NotResource != nil && anyOf(st.NotResource, resource):
		return false
	}
	for operator, keys := range st.Condition {
		for key, values := range keys {
			var holds bool
			switch operator + " " + strings.ToLower(key) {
			case "StringEquals aws:sourceaccount":
				holds = slices.Contains(values, r.Account)
			case "Bool aws:securetransport":
				holds = slices.Contains(values, "true")
			default:
				holds = st.Effect == policy.Deny
			}
			if !holds {
				return false
			}
		}
	}
	return true
}

// like tells whether s fits a pattern of policies: * for any text, ? for one character.
func like(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
