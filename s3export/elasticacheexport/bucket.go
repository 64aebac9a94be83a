package elasticacheexport

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// box is what is known of a bucket.
type box struct {
	// wrong is why the bucket can not be used at all: it is not there, not ours, or elsewhere.
	wrong *backup.Finding
	// unseen are the settings that the caller may not look at, as the permissions that are missing.
	unseen []string
	// acls tells that the bucket's ACL has an effect; grants are those of others than the owner.
	acls   bool
	grants []policy.Grant
	// owner is the canonical id of the bucket's owner, which an ACL must name when it is written.
	owner string
	// doc is the policy; without one it has no statements. opaque tells that there is one which this library refuses to read.
	doc    policy.Document
	opaque error
	// open are the settings of Block Public Access that are off.
	open []string
}

// has reports the code of an error of AWS.
func has(err error, codes ...string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode())
}

// bucket reads what decides whether ElastiCache can use a bucket, and who else can.
func (s *Strategy) bucket(ctx context.Context, c Clients, r backup.Ref, name string) (b box, err error) {
	owner := &r.Account
	if b.wrong, err = s.unusable(ctx, c, r, name); err != nil || b.wrong != nil {
		return b, err
	}
	// look notes what may not be looked at, and gives the other errors.
	look := func(operation, permission string, err error, none ...string) (bool, error) {
		switch {
		case err == nil:
			return true, nil
		case has(err, none...):
			return false, nil
		case has(err, "AccessDenied", "Forbidden", "MethodNotAllowed"):
			b.unseen = append(b.unseen, permission)
			return false, nil
		}
		return false, s3Table.Wrap(Kind, operation, r, err)
	}
	ownership, err := c.S3.GetBucketOwnershipControls(ctx, &awss3.GetBucketOwnershipControlsInput{Bucket: &name, ExpectedBucketOwner: owner})
	ok, err := look("GetBucketOwnershipControls", "s3:GetBucketOwnershipControls", err, "OwnershipControlsNotFoundError")
	if err != nil {
		return b, err
	}
	// A bucket in which it was never set has ACLs. Source: S3 user guide, "Controlling ownership of objects".
	b.acls = !slices.Contains(b.unseen, "s3:GetBucketOwnershipControls")
	if ok && ownership.OwnershipControls != nil {
		for _, rule := range ownership.OwnershipControls.Rules {
			b.acls = rule.ObjectOwnership != s3types.ObjectOwnershipBucketOwnerEnforced
		}
	}
	acl, err := c.S3.GetBucketAcl(ctx, &awss3.GetBucketAclInput{Bucket: &name, ExpectedBucketOwner: owner})
	if ok, err = look("GetBucketAcl", "s3:GetBucketAcl", err); err != nil {
		return b, err
	}
	if ok {
		b.owner, b.grants = grantsOf(acl)
	}
	text, err := c.S3.GetBucketPolicy(ctx, &awss3.GetBucketPolicyInput{Bucket: &name, ExpectedBucketOwner: owner})
	if ok, err = look("GetBucketPolicy", "s3:GetBucketPolicy", err, "NoSuchBucketPolicy"); err != nil {
		return b, err
	}
	if ok {
		b.doc, b.opaque = policy.ParseDocument([]byte(aws.ToString(text.Policy)))
	}
	block, err := c.S3.GetPublicAccessBlock(ctx, &awss3.GetPublicAccessBlockInput{Bucket: &name, ExpectedBucketOwner: owner})
	if ok, err = look("GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock", err, "NoSuchPublicAccessBlockConfiguration"); err != nil {
		return b, err
	}
	var set s3types.PublicAccessBlockConfiguration
	if ok && block.PublicAccessBlockConfiguration != nil {
		set = *block.PublicAccessBlockConfiguration
	}
	if !slices.Contains(b.unseen, "s3:GetBucketPublicAccessBlock") {
		for _, x := range []struct {
			name string
			on   *bool
		}{{"BlockPublicAcls", set.BlockPublicAcls}, {"IgnorePublicAcls", set.IgnorePublicAcls}, {"BlockPublicPolicy", set.BlockPublicPolicy}, {"RestrictPublicBuckets", set.RestrictPublicBuckets}} {
			if !aws.ToBool(x.on) {
				b.open = append(b.open, x.name)
			}
		}
	}
	return b, nil
}

// unusable looks whether a bucket can be used at all, and gives the finding that it can not.
func (s *Strategy) unusable(ctx context.Context, c Clients, r backup.Ref, name string) (*backup.Finding, error) {
	_, err := c.S3.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: &name, ExpectedBucketOwner: &r.Account})
	if err == nil {
		return nil, nil
	}
	if wrong := unusable(r, name, err); wrong != nil {
		return wrong, nil
	}
	return nil, s3Table.Wrap(Kind, "HeadBucket", r, err)
}

// codeOf is the code with which a bucket ends the work that can not be used at all.
func codeOf(wrong backup.Finding) backup.Code {
	switch wrong.ID {
	case of("bucket-missing"):
		return backup.ErrNotFound
	case of("bucket-owner"):
		return backup.ErrDenied
	}
	return backup.ErrInvalid
}

// unusable is the finding for a bucket that does not answer as one's own in this Region does, nil where the error says nothing of the bucket.
func unusable(r backup.Ref, name string, err error) *backup.Finding {
	f := func(id, message, remedy string) *backup.Finding {
		return &backup.Finding{ID: "elasticacheexport." + id, Severity: backup.SeverityError, Ref: bucketRef(r, name), Message: message, Remedy: remedy}
	}
	switch {
	case has(err, "NotFound", "NoSuchBucket"):
		return f("bucket-missing", "the bucket "+name+" does not exist", "create it in "+r.Region+": StartPrepare with PrepareOptions.Create does so, with ACLs disabled and public access blocked")
	case has(err, "MovedPermanently", "PermanentRedirect", "AuthorizationHeaderMalformed"):
		return f("bucket-region", "the bucket "+name+" is not in "+r.Region, "export to a bucket in the snapshot's own Region, and copy the files from there")
	case has(err, "Forbidden", "AccessDenied"):
		return f("bucket-owner", "the bucket "+name+" belongs to another account than "+r.Account+", or the caller lacks s3:ListBucket on it",
			"export to a bucket of the account that the snapshot belongs to, and allow the caller s3:ListBucket on it")
	}
	return nil
}

// grantsOf gives the owner of an ACL and the grants that it gives to others.
func grantsOf(acl *awss3.GetBucketAclOutput) (owner string, grants []policy.Grant) {
	if acl.Owner != nil {
		owner = aws.ToString(acl.Owner.ID)
	}
	for _, g := range acl.Grants {
		if g.Grantee == nil {
			continue
		}
		x := policy.Grant{CanonicalID: aws.ToString(g.Grantee.ID), Permission: policy.Permission(g.Permission)}
		if g.Grantee.Type != s3types.TypeCanonicalUser {
			x.Other = aws.ToString(g.Grantee.URI)
		}
		if x.CanonicalID != owner || x.Other != "" {
			grants = append(grants, x)
		}
	}
	return owner, grants
}

// answer is what a policy says of one call.
type answer int

const (
	silent answer = iota // nothing allows it
	allows
	denies
	unsure // a condition decides that can not be judged here
)

// says reads the policy for a call of the service principal on behalf of the account. A condition that is not understood makes the answer unsure.
func says(d policy.Document, service, account, action, resource string) answer {
	out := silent
	for _, st := range d.Statements {
		if !concerns(st, service, action, resource) {
			continue
		}
		met, known := conditions(st.Condition, account)
		switch {
		case known && !met:
		case !known:
			if out != denies {
				out = unsure
			}
		case st.Effect == policy.Deny:
			return denies
		case out == silent:
			out = allows
		}
	}
	return out
}

func concerns(st policy.Statement, service, action, resource string) bool {
	who := func(p *policy.Principal) bool {
		return p.Everyone || slices.Contains(p.AWS, "*") || slices.Contains(p.Service, service) || slices.Contains(p.Service, "*")
	}
	one := func(patterns []string, match func(string, string) bool, s string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return match(p, s) })
	}
	switch {
	case st.Principal != nil && !who(st.Principal), st.NotPrincipal != nil && who(st.NotPrincipal):
		return false
	case st.Action != nil && !one(st.Action, policy.MatchAction, action), st.NotAction != nil && one(st.NotAction, policy.MatchAction, action):
		return false
	case st.Resource != nil && !one(st.Resource, policy.MatchResource, resource), st.NotResource != nil && one(st.NotResource, policy.MatchResource, resource):
		return false
	}
	return true
}

// conditions judges those that are understood: on TLS, which ElastiCache uses, and on the source account, which it may send.
func conditions(c policy.Condition, account string) (met, known bool) {
	met, known = true, true
	for operator, keys := range c {
		for key, values := range keys {
			switch {
			case operator == "Bool" && policy.MatchAction(key, "aws:SecureTransport"):
				met = met && slices.Contains(values, "true")
			case operator == "StringEquals" && policy.MatchAction(key, "aws:SourceAccount"):
				if !slices.Contains(values, account) {
					met = false
				} else {
					known = false // whether ElastiCache sends it is not documented
				}
			default:
				known = false
			}
		}
	}
	return met, known || !met
}
