package s3sim

import (
	"slices"

	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/policy"
)

// judge is what a simulated IAM decides. Without one in the World nothing is attached to anybody, and a caller may do everything in its own account.
type judge interface {
	Decide(r *awssim.Request, action, resource, resourceAccount string, resourcePolicy *policy.Document, extra map[string][]string) iamsim.Decision
}

// facts are condition keys that only S3 knows, "s3:prefix", with their values.
type facts map[string][]string

// may tells whether the caller of r may do something with the bucket, or with the key in it where key is not empty.
func (s *S3) may(r *awssim.Request, b *bucket, action, key string, told ...facts) bool {
	iam, ok := awssim.Find[judge](r.World)
	if !ok {
		iam = iamsim.Service()
	}
	var extra facts
	if len(told) > 0 {
		extra = told[0]
	}
	resource := b.resource(r, key)
	d := iam.Decide(r, action, resource, b.owner, b.rules(&policy.Principal{AWS: []string{r.Account}}, ownerID(r.Account), action, resource), extra)
	return d.Allowed && (b.owner == r.Account || !b.publicOnly())
}

// serviceMay tells whether a service may do something for the account of r.
func (b *bucket) serviceMay(r *awssim.Request, service, canonicalID, action, key string) bool {
	resource := b.resource(r, key)
	rules := b.rules(&policy.Principal{Service: []string{service}}, canonicalID, action, resource)
	return iamsim.Service().DecideService(r, service, action, resource, b.owner, rules, nil).Allowed
}

func (b *bucket) resource(r *awssim.Request, key string) string {
	if key == "" {
		return b.arn(r)
	}
	return b.arn(r) + "/" + key
}

// rules give the bucket's policy, with what its ACL lets the caller do as one statement more: a grant to an account's canonical id leaves it to that
// account whom it lets use it, as a policy that names the account does. Source: S3 user guide, "How Amazon S3 authorizes a request".
func (b *bucket) rules(who *policy.Principal, canonicalID, action, resource string) *policy.Document {
	granted := (*policy.Principal)(nil)
	for _, g := range b.grants {
		switch {
		case b.ownership == s3types.ObjectOwnershipBucketOwnerEnforced, !slices.Contains(permissions[g.Permission], action):
		case g.Grantee.Type == s3types.TypeCanonicalUser && *g.Grantee.ID == canonicalID:
			granted = who
		case isPublic(g) && !*b.block.IgnorePublicAcls: // everybody signs requests here
			granted = who
		}
	}
	if granted == nil {
		return b.policy
	}
	d := policy.Document{Version: policy.Version}
	if b.policy != nil {
		d = *b.policy
	}
	d.Statements = append(slices.Clip(d.Statements), policy.Statement{Effect: policy.Allow, Principal: granted, Action: []string{action}, Resource: []string{resource}})
	return &d
}

// permissions are the S3 actions that a grant of a bucket's ACL gives. Source: S3 user guide, ACL overview.
var permissions = map[s3types.Permission][]string{
	s3types.PermissionRead:     {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"},
	s3types.PermissionWrite:    {"s3:PutObject"},
	s3types.PermissionReadAcp:  {"s3:GetBucketAcl"},
	s3types.PermissionWriteAcp: {"s3:PutBucketAcl"},
	s3types.PermissionFullControl: {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads", "s3:PutObject", "s3:GetBucketAcl",
		"s3:PutBucketAcl"},
}

// publicOnly tells that RestrictPublicBuckets keeps other accounts out, because the policy is public.
func (b *bucket) publicOnly() bool {
	return *b.block.RestrictPublicBuckets && b.policy != nil && public(*b.policy)
}

// public tells whether a policy lets everybody in: an Allow to everyone without a condition.
func public(d policy.Document) bool {
	return slices.ContainsFunc(d.Statements, func(st policy.Statement) bool {
		everyone := st.Principal != nil && (st.Principal.Everyone || slices.Contains(st.Principal.AWS, "*"))
		return st.Effect == policy.Allow && len(st.Condition) == 0 && (everyone || st.NotPrincipal != nil)
	})
}
