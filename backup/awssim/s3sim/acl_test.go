package s3sim_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
)

const (
	everybody  = "http://acs.amazonaws.com/groups/global/AllUsers"
	authorized = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
	delivery   = "http://acs.amazonaws.com/groups/s3/LogDelivery"
)

// acls has ACLs count in the bucket, and gives its owner.
func (b *bed) acls(to s3types.ObjectOwnership) *s3types.Owner {
	b.Helper()
	b.ok(b.owns(to))
	out, err := b.api.GetBucketAcl(b.Context(), &awss3.GetBucketAclInput{Bucket: aws.String("box")})
	b.ok(err)
	return out.Owner
}

func (b *bed) owns(to s3types.ObjectOwnership) error {
	_, err := b.api.PutBucketOwnershipControls(b.Context(), &awss3.PutBucketOwnershipControlsInput{Bucket: aws.String("box"),
		OwnershipControls: &s3types.OwnershipControls{Rules: []s3types.OwnershipControlsRule{{ObjectOwnership: to}}}})
	return err
}

func (b *bed) grants(owner *s3types.Owner, all ...s3types.Grant) error {
	_, err := b.api.PutBucketAcl(b.Context(), &awss3.PutBucketAclInput{Bucket: aws.String("box"), AccessControlPolicy: &s3types.AccessControlPolicy{Owner: owner, Grants: all}})
	return err
}

// shown gives the ACL as "READ <id or URI>".
func (b *bed) shown() (all []string) {
	b.Helper()
	out, err := b.api.GetBucketAcl(b.Context(), &awss3.GetBucketAclInput{Bucket: aws.String("box")})
	b.ok(err)
	for _, g := range out.Grants {
		who := aws.ToString(g.Grantee.ID) + aws.ToString(g.Grantee.URI)
		if who == *out.Owner.ID {
			who = "owner"
		}
		all = append(all, string(g.Permission)+" "+who)
	}
	return all
}

func grantID(id string, p s3types.Permission) s3types.Grant {
	return s3types.Grant{Permission: p, Grantee: &s3types.Grantee{Type: s3types.TypeCanonicalUser, ID: &id}}
}

func grantGroup(uri string, p s3types.Permission) s3types.Grant {
	return s3types.Grant{Permission: p, Grantee: &s3types.Grantee{Type: s3types.TypeGroup, URI: &uri}}
}

// An ACL is what was put, also where the owner's own grant is missing from it.
func TestACLIsReplacedAsAWhole(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		if d := cmp.Diff([]string{"FULL_CONTROL owner"}, b.shown()); d != "" {
			t.Error(d)
		}
		owner := b.acls(s3types.ObjectOwnershipBucketOwnerPreferred)
		b.ok(b.grants(owner, grantID(canonical, s3types.PermissionRead), grantGroup(delivery, s3types.PermissionWrite)))
		if d := cmp.Diff([]string{"READ " + canonical, "WRITE " + delivery}, b.shown()); d != "" {
			t.Error(d)
		}
		b.code(b.owns(s3types.ObjectOwnershipBucketOwnerEnforced), "InvalidBucketAclWithObjectOwnership")
		b.ok(b.grants(owner))
		if got := b.shown(); got != nil {
			t.Error(got)
		}
		b.ok(b.owns(s3types.ObjectOwnershipBucketOwnerEnforced)) // nobody outside, so it may be
		if d := cmp.Diff([]string{"FULL_CONTROL owner"}, b.shown()); d != "" {
			t.Error(d)
		}
		b.code(b.owns("Nobody"), "MalformedXML")
	})
}

func TestACLRefused(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		owner := b.acls(s3types.ObjectOwnershipObjectWriter)
		for name, c := range map[string]struct {
			grant s3types.Grant
			code  string
		}{
			"permission":        {grantID(canonical, "NONSENSE"), "MalformedACLError"},
			"no permission":     {grantID(canonical, ""), "MalformedACLError"},
			"letters":           {grantID(strings.Repeat("z", 64), "READ"), "InvalidArgument"},
			"capitals":          {grantID(strings.ToUpper(canonical), "READ"), "InvalidArgument"},
			"short":             {grantID(canonical[1:], "READ"), "InvalidArgument"},
			"group":             {grantGroup("http://acs.amazonaws.com/groups/global/Nobody", "READ"), "InvalidArgument"},
			"e-mail":            {s3types.Grant{Permission: "READ", Grantee: &s3types.Grantee{Type: s3types.TypeAmazonCustomerByEmail, EmailAddress: aws.String("a@b.c")}}, "MethodNotAllowed"},
			"type":              {s3types.Grant{Permission: "READ", Grantee: &s3types.Grantee{Type: "Nobody"}}, "MalformedACLError"},
			"the public":        {grantGroup(everybody, "READ"), "AccessDenied"}, // BlockPublicAcls
			"every account too": {grantGroup(authorized, "READ"), "AccessDenied"},
		} {
			t.Run(name, func(t *testing.T) { b := *b; b.T = t; b.code(b.grants(owner, c.grant), c.code) })
		}
		_, err := b.api.PutBucketAcl(b.Context(), &awss3.PutBucketAclInput{Bucket: aws.String("box"), ACL: s3types.BucketCannedACLPrivate})
		b.code(err, "NotImplemented")
		_, err = b.api.PutBucketAcl(b.Context(), &awss3.PutBucketAclInput{Bucket: aws.String("box"), GrantRead: aws.String(`id="` + canonical + `"`)})
		b.code(err, "NotImplemented")
		if d := cmp.Diff([]string{"FULL_CONTROL owner"}, b.shown()); d != "" {
			t.Error(d)
		}
	})
}

// What an ACL gives to the public counts until IgnorePublicAcls, and what it gives is about the bucket only.
func TestPublicACL(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		b.open()
		owner := b.acls(s3types.ObjectOwnershipObjectWriter)
		far := b.client(other, region)
		list := func() error {
			_, err := far.ListObjectsV2(b.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("box")})
			return err
		}
		b.code(list(), "AccessDenied")
		for _, uri := range []string{everybody, authorized} {
			b.ok(b.grants(owner, grantGroup(uri, s3types.PermissionRead)))
			b.ok(list())
		}
		b.ok(b.grants(owner, grantGroup(delivery, s3types.PermissionRead)))
		b.code(list(), "AccessDenied")
		b.ok(b.grants(owner, grantGroup(everybody, s3types.PermissionFullControl)))
		b.ok(list())
		_, err := far.GetBucketVersioning(b.Context(), &awss3.GetBucketVersioningInput{Bucket: aws.String("box")})
		b.code(err, "AccessDenied") // no permission of an ACL is about that
		_, err = b.api.PutPublicAccessBlock(b.Context(), &awss3.PutPublicAccessBlockInput{Bucket: aws.String("box"),
			PublicAccessBlockConfiguration: &s3types.PublicAccessBlockConfiguration{IgnorePublicAcls: aws.Bool(true)}})
		b.ok(err)
		b.code(list(), "AccessDenied")
	})
}

// ACLs of objects are refused where S3 refuses them, and where the simulation would lose them.
func TestObjectACL(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		put := func(acl s3types.ObjectCannedACL, edit ...func(*awss3.PutObjectInput)) error {
			return b.put("a", "x", append(edit, func(in *awss3.PutObjectInput) { in.ACL = acl })...)
		}
		read := func(in *awss3.PutObjectInput) { in.GrantRead = aws.String(`id="` + canonical + `"`) }
		b.ok(put(s3types.ObjectCannedACLBucketOwnerFullControl))
		b.code(put(s3types.ObjectCannedACLPublicRead), "AccessControlListNotSupported")
		b.code(put("", read), "AccessControlListNotSupported")
		b.code(put("nonsense"), "InvalidArgument")
		_, err := b.api.CopyObject(b.Context(), &awss3.CopyObjectInput{Bucket: aws.String("box"), Key: aws.String("c"), CopySource: aws.String("box/a"), ACL: s3types.ObjectCannedACLPublicRead})
		b.code(err, "AccessControlListNotSupported")
		_, err = b.api.CreateMultipartUpload(b.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String("box"), Key: aws.String("c"), ACL: s3types.ObjectCannedACLPublicRead})
		b.code(err, "AccessControlListNotSupported")
		b.acls(s3types.ObjectOwnershipObjectWriter)
		b.code(put(s3types.ObjectCannedACLPublicRead), "AccessDenied") // BlockPublicAcls
		b.ok(put(s3types.ObjectCannedACLPrivate))
		b.code(put(s3types.ObjectCannedACLPrivate, read), "InvalidRequest")
		b.code(put("", read), "NotImplemented")
		b.open()
		b.code(put(s3types.ObjectCannedACLPublicRead), "NotImplemented")
		_, err = b.api.CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: aws.String("box2"), ACL: s3types.BucketCannedACLPublicRead,
			CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: region}})
		b.code(err, "NotImplemented")
	})
	attached(t, map[string]string{user: `{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}`}, "", func(b *bed) {
		b.ok(b.put("a", "x"))
		b.code(b.put("a", "x", func(in *awss3.PutObjectInput) { in.ACL = s3types.ObjectCannedACLBucketOwnerFullControl }), "AccessDenied")
	})
}

// A bucket without the setting is as those that were made before it was there.
func TestOwnershipNotSet(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		_, err := b.api.DeleteBucketOwnershipControls(b.Context(), &awss3.DeleteBucketOwnershipControlsInput{Bucket: aws.String("box")})
		b.ok(err)
		_, err = b.api.GetBucketOwnershipControls(b.Context(), &awss3.GetBucketOwnershipControlsInput{Bucket: aws.String("box")})
		b.code(err, "OwnershipControlsNotFoundError")
		out, err := b.api.GetBucketAcl(b.Context(), &awss3.GetBucketAclInput{Bucket: aws.String("box")})
		b.ok(err)
		b.ok(b.grants(out.Owner, append(out.Grants, grantID(canonical, s3types.PermissionWrite))...))
		if !b.may("s3:PutObject") {
			t.Error("ACLs do not count")
		}
	})
}

// In us-east-1 one's own bucket is made again, and loses what its ACL granted.
func TestCreateAgainInTheEast(t *testing.T) {
	bubble(t, func(b *bed) {
		b.api = b.client(account, "us-east-1")
		create := func() error {
			_, err := b.api.CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: aws.String("box")})
			return err
		}
		b.ok(create())
		owner := b.acls(s3types.ObjectOwnershipObjectWriter)
		b.ok(b.put("a", "x"))
		b.ok(b.grants(owner, grantID(canonical, s3types.PermissionWrite)))
		b.ok(create())
		if d := cmp.Diff([]string{"FULL_CONTROL owner"}, b.shown()); d != "" {
			t.Error(d)
		}
		if got, err := b.get("a"); err != nil || got != "x" {
			t.Errorf("%q %v", got, err)
		}
		b.api = b.client(other, "us-east-1")
		b.code(create(), "BucketAlreadyExists")
		// Of a bucket elsewhere it is refused there too.
		b.api = b.client(account, region)
		b.make("box2")
		_, err := b.client(account, "us-east-1").CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: aws.String("box2")})
		b.code(err, "BucketAlreadyOwnedByYou")
	})
}
