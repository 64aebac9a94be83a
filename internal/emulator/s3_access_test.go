package emulator

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/policy"
)

// owns sets who owns the objects of a bucket, and with it whether ACLs count.
func (s *store) owns(bucket string, to s3types.ObjectOwnership) error {
	_, err := s.own.PutBucketOwnershipControls(s.ctx, &awss3.PutBucketOwnershipControlsInput{Bucket: &bucket,
		OwnershipControls: &s3types.OwnershipControls{Rules: []s3types.OwnershipControlsRule{{ObjectOwnership: to}}}})
	return err
}

// canonical gives the canonical id of a client's account, as the owner of a bucket of its own is shown.
func (s *store) canonical(c *awss3.Client, bucket string) string {
	s.t.Helper()
	s.must("CreateBucket", s.create(c, bucket, s3Region))
	out, err := c.GetBucketAcl(s.ctx, &awss3.GetBucketAclInput{Bucket: &bucket})
	s.must("GetBucketAcl", err)
	return aws.ToString(out.Owner.ID)
}

// grant sets the ACL of a bucket: the owner's full control, and permissions for canonical ids.
func (s *store) grant(bucket string, ids []string, permissions ...s3types.Permission) error {
	s.t.Helper()
	now, err := s.own.GetBucketAcl(s.ctx, &awss3.GetBucketAclInput{Bucket: &bucket})
	s.must("GetBucketAcl", err)
	acl := &s3types.AccessControlPolicy{Owner: now.Owner, Grants: []s3types.Grant{
		{Permission: s3types.PermissionFullControl, Grantee: &s3types.Grantee{Type: s3types.TypeCanonicalUser, ID: now.Owner.ID}}}}
	for _, id := range ids {
		for _, p := range permissions {
			acl.Grants = append(acl.Grants, s3types.Grant{Permission: p, Grantee: &s3types.Grantee{Type: s3types.TypeCanonicalUser, ID: &id}})
		}
	}
	_, err = s.own.PutBucketAcl(s.ctx, &awss3.PutBucketAclInput{Bucket: &bucket, AccessControlPolicy: acl})
	return err
}

// granted does as ElastiCache what an export does with its bucket, and asks the simulation the same of ElastiCache itself.
func (s *store) granted(bucket string) string {
	s.t.Helper()
	_, list := s.grantee.ListObjectsV2(s.ctx, &awss3.ListObjectsV2Input{Bucket: &bucket})
	_, put := s.put(s.grantee, bucket, "snapshot.rdb", "REDIS")
	_, acl := s.grantee.GetBucketAcl(s.ctx, &awss3.GetBucketAclInput{Bucket: &bucket})
	for action, err := range map[string]error{"s3:ListBucket": list, "s3:PutObject": put, "s3:GetBucketAcl": acl} {
		if s.may != nil && s.may(bucket, action) != (err == nil) {
			s.t.Errorf("%s by ElastiCache is decided otherwise than that by an account: %v", action, err)
		}
	}
	return code(list) + " " + code(put) + " " + code(acl)
}

// allow sets a bucket's policy: the other account may do the actions.
func (s *store) allow(bucket string, actions ...string) error {
	return s.setPolicy(bucket, policy.Statement{Sid: "Other", Effect: policy.Allow, Principal: &policy.Principal{AWS: []string{s.otherID}},
		Action: actions, Resource: []string{"arn:aws:s3:::" + bucket, "arn:aws:s3:::" + bucket + "/*"}})
}

func (s *store) setPolicy(bucket string, statements ...policy.Statement) error {
	text, err := policy.Document{Version: "2012-10-17", Statements: statements}.MarshalJSON()
	s.must("policy", err)
	_, err = s.own.PutBucketPolicy(s.ctx, &awss3.PutBucketPolicyInput{Bucket: &bucket, Policy: aws.String(string(text))})
	return err
}

// others does as the other account: write, read, list, delete.
func (s *store) others(bucket string) string {
	_, put := s.put(s.other, bucket, "theirs", "text")
	text := s.get(s.other, bucket, "ours")
	_, list := s.other.ListObjectsV2(s.ctx, &awss3.ListObjectsV2Input{Bucket: &bucket})
	_, del := s.other.DeleteObject(s.ctx, &awss3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("ours")})
	return fmt.Sprint(code(put), " ", text, " ", code(list), " ", code(del))
}

func accessRows() []behaviour {
	return []behaviour{
		{id: "ownership-new", what: "GetBucketOwnershipControls of a new bucket", aws: "BucketOwnerEnforced", run: func(s *store) string {
			out, err := s.own.GetBucketOwnershipControls(s.ctx, &awss3.GetBucketOwnershipControlsInput{Bucket: aws.String(s.bucket("a"))})
			if err != nil {
				return code(err)
			}
			return string(out.OwnershipControls.Rules[0].ObjectOwnership)
		}},
		{id: "ownership-set", what: "PutBucketOwnershipControls", aws: "BucketOwnerPreferred", run: func(s *store) string {
			name := s.bucket("a")
			s.must("PutBucketOwnershipControls", s.owns(name, s3types.ObjectOwnershipBucketOwnerPreferred))
			out, err := s.own.GetBucketOwnershipControls(s.ctx, &awss3.GetBucketOwnershipControlsInput{Bucket: &name})
			s.must("GetBucketOwnershipControls", err)
			return string(out.OwnershipControls.Rules[0].ObjectOwnership)
		}},
		{id: "acl-enforced", what: "PutBucketAcl where ACLs are disabled, and GetBucketAcl", aws: "AccessControlListNotSupported, owner FULL_CONTROL", run: func(s *store) string {
			name := s.bucket("a")
			s.must("PutBucketOwnershipControls", s.owns(name, s3types.ObjectOwnershipBucketOwnerEnforced))
			err := s.grant(name, []string{s.canonical(s.grantee, s.name("b"))}, s3types.PermissionRead)
			out, look := s.own.GetBucketAcl(s.ctx, &awss3.GetBucketAclInput{Bucket: &name})
			s.must("GetBucketAcl", look)
			return says(code(err), grants(out))
		}},
		{id: "acl-grants", what: "What ElastiCache may (ListObjectsV2, PutObject, GetBucketAcl) by no grant, READ, READ and WRITE, and READ, WRITE and READ_ACP",
			aws: "AccessDenied AccessDenied AccessDenied, ok AccessDenied AccessDenied, ok ok AccessDenied, ok ok ok", run: func(s *store) string {
				name, ids := s.bucket("a"), []string{s.canonical(s.grantee, s.name("b"))}
				if s.may != nil {
					ids = append(ids, elastiCacheID)
				}
				s.must("PutBucketOwnershipControls", s.owns(name, s3types.ObjectOwnershipBucketOwnerPreferred))
				all := []s3types.Permission{s3types.PermissionRead, s3types.PermissionWrite, s3types.PermissionReadAcp}
				saw := []any{s.granted(name)}
				for n := range all {
					s.must("PutBucketAcl", s.grant(name, ids, all[:n+1]...))
					saw = append(saw, s.granted(name))
				}
				return says(saw...)
			}},
		{id: "acl-shown", what: "GetBucketAcl with grants", aws: "owner FULL_CONTROL, READ, WRITE", run: func(s *store) string {
			name := s.bucket("a")
			s.must("PutBucketOwnershipControls", s.owns(name, s3types.ObjectOwnershipObjectWriter))
			s.must("PutBucketAcl", s.grant(name, []string{s.canonical(s.grantee, s.name("b"))}, s3types.PermissionRead, s3types.PermissionWrite))
			out, err := s.own.GetBucketAcl(s.ctx, &awss3.GetBucketAclInput{Bucket: &name})
			s.must("GetBucketAcl", err)
			return grants(out)
		}},
		{id: "acl-ignored", what: "A grant to another account after ACLs were disabled", aws: "InvalidBucketAclWithObjectOwnership", run: func(s *store) string {
			name := s.bucket("a")
			s.must("PutBucketOwnershipControls", s.owns(name, s3types.ObjectOwnershipObjectWriter))
			s.must("PutBucketAcl", s.grant(name, []string{s.canonical(s.grantee, s.name("b"))}, s3types.PermissionRead))
			return code(s.owns(name, s3types.ObjectOwnershipBucketOwnerEnforced))
		}},
		{id: "policy-none", what: "GetBucketPolicy of a new bucket, and after DeleteBucketPolicy", aws: "NoSuchBucketPolicy, ok, NoSuchBucketPolicy", run: func(s *store) string {
			name := s.bucket("a")
			get := func() string {
				_, err := s.own.GetBucketPolicy(s.ctx, &awss3.GetBucketPolicyInput{Bucket: &name})
				return code(err)
			}
			before := get()
			s.must("PutBucketPolicy", s.allow(name, "s3:GetObject"))
			with := get()
			_, err := s.own.DeleteBucketPolicy(s.ctx, &awss3.DeleteBucketPolicyInput{Bucket: &name})
			s.must("DeleteBucketPolicy", err)
			return says(before, with, get())
		}},
		{id: "policy-bad", what: "PutBucketPolicy of no JSON, of another bucket's, without a principal, with an unknown action of S3",
			aws: "MalformedPolicy, MalformedPolicy, MalformedPolicy, MalformedPolicy", run: func(s *store) string {
				name := s.bucket("a")
				_, text := s.own.PutBucketPolicy(s.ctx, &awss3.PutBucketPolicyInput{Bucket: &name, Policy: aws.String("{")})
				st := policy.Statement{Effect: policy.Allow, Principal: &policy.Principal{AWS: []string{s.otherID}}, Action: []string{"s3:GetObject"}}
				foreign, nobody, unknown := st, st, st
				foreign.Resource, nobody.Resource, unknown.Resource = []string{"arn:aws:s3:::" + name + "x/*"}, []string{"arn:aws:s3:::" + name + "/*"}, []string{"arn:aws:s3:::" + name + "/*"}
				nobody.Principal = nil
				unknown.Action = []string{"s3:FetchObject"}
				return says(code(text), code(s.setPolicy(name, foreign)), code(s.setPolicy(name, nobody)), code(s.setPolicy(name, unknown)))
			}},
		{id: "policy-others", what: "What another account may (PutObject, GetObject, ListObjectsV2, DeleteObject) by no policy, PutObject, GetObject and ListBucket, and all",
			aws: "AccessDenied AccessDenied AccessDenied AccessDenied, ok AccessDenied AccessDenied AccessDenied, AccessDenied text ok AccessDenied, ok text ok ok", run: func(s *store) string {
				name := s.bucket("a")
				s.write(name, "ours", "text")
				saw := []any{s.others(name)}
				for _, actions := range []string{"s3:PutObject", "s3:GetObject s3:ListBucket", "s3:*"} {
					s.must("PutBucketPolicy", s.allow(name, strings.Fields(actions)...))
					saw = append(saw, s.others(name))
				}
				return says(saw...)
			}},
		{id: "policy-deny", what: "What the owner and another account may read by an Allow and a Deny of one key", aws: "text text, AccessDenied AccessDenied", run: func(s *store) string {
			name := s.bucket("a")
			s.write(name, "open", "text")
			s.write(name, "shut", "text")
			all := policy.Statement{Sid: "All", Effect: policy.Allow, Principal: &policy.Principal{AWS: []string{s.otherID}}, Action: []string{"s3:GetObject"}, Resource: []string{"arn:aws:s3:::" + name + "/*"}}
			but := policy.Statement{Sid: "But", Effect: policy.Deny, Principal: &policy.Principal{Everyone: true}, Action: []string{"s3:GetObject"}, Resource: []string{"arn:aws:s3:::" + name + "/shut"}}
			s.must("PutBucketPolicy", s.setPolicy(name, all, but))
			return says(s.get(s.own, name, "open")+" "+s.get(s.other, name, "open"), s.get(s.own, name, "shut")+" "+s.get(s.other, name, "shut"))
		}},
		{id: "policy-missing", what: "GetObject of a missing key by another account that may read, and that may list too", aws: "AccessDenied, NoSuchKey", run: func(s *store) string {
			name := s.bucket("a")
			s.must("PutBucketPolicy", s.allow(name, "s3:GetObject"))
			first := s.get(s.other, name, "none")
			s.must("PutBucketPolicy", s.allow(name, "s3:GetObject", "s3:ListBucket"))
			return says(first, s.get(s.other, name, "none"))
		}},
		{id: "policy-owner-only", what: "GetBucketPolicy by another account that the policy allows everything", aws: "MethodNotAllowed", run: func(s *store) string {
			name := s.bucket("a")
			s.must("PutBucketPolicy", s.allow(name, "s3:*"))
			_, err := s.other.GetBucketPolicy(s.ctx, &awss3.GetBucketPolicyInput{Bucket: &name})
			return code(err)
		}},
		{id: "copy-others", what: "CopyObject by another account to its own bucket: not allowed to read, and allowed", aws: "AccessDenied, ok, text", run: func(s *store) string {
			name, theirs := s.bucket("a"), s.name("b")
			s.must("CreateBucket", s.create(s.other, theirs, s3Region))
			s.write(name, "k", "text")
			copied := func() string {
				_, err := s.other.CopyObject(s.ctx, &awss3.CopyObjectInput{Bucket: &theirs, Key: aws.String("k"), CopySource: aws.String(name + "/k")})
				return code(err)
			}
			before := copied()
			s.must("PutBucketPolicy", s.allow(name, "s3:GetObject"))
			return says(before, copied(), s.get(s.other, theirs, "k"))
		}},
		{id: "secret", what: "A request signed with a wrong secret", aws: "SignatureDoesNotMatch", run: func(s *store) string {
			name := s.bucket("a")
			c, err := s.own.Options().Credentials.Retrieve(s.ctx)
			s.must("Retrieve", err)
			c.SecretAccessKey = "wrong"
			_, err = awss3.New(s.own.Options(), func(o *awss3.Options) {
				// A signer keeps the keys that it made of a secret, and the schemes keep the signer.
				o.Credentials, o.HTTPSignerV4, o.AuthSchemes = fixed(c), v4.NewSigner(), nil
			}).ListObjectsV2(s.ctx, &awss3.ListObjectsV2Input{Bucket: &name})
			return code(err)
		}},
	}
}

// grants tells the permissions of an ACL in its order.
func grants(acl *awss3.GetBucketAclOutput) string {
	var all []any
	for _, g := range acl.Grants {
		if aws.ToString(g.Grantee.ID) == aws.ToString(acl.Owner.ID) {
			all = append(all, "owner "+string(g.Permission))
			continue
		}
		all = append(all, g.Permission)
	}
	return says(all...)
}
