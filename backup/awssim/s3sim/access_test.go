package s3sim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

const (
	principal = region + ".elasticache-snapshot.amazonaws.com"
	canonical = "540804c33a284a299d2547575ce1010f2312ef3da9b3a053c8bc45bf233e4353"
)

func (b *bed) policy(text string) error {
	_, err := b.api.PutBucketPolicy(b.Context(), &awss3.PutBucketPolicyInput{Bucket: aws.String("box"), Policy: &text})
	return err
}

// open turns Block Public Access off.
func (b *bed) open() {
	b.Helper()
	_, err := b.api.DeletePublicAccessBlock(b.Context(), &awss3.DeletePublicAccessBlockInput{Bucket: aws.String("box")})
	b.ok(err)
}

func (b *bed) may(action string) (yes bool) {
	b.world.Do(account, region, func(r *awssim.Request) { yes = b.sim.ServiceMay(r, "box", principal, canonical, action) })
	return yes
}

func TestPolicyIsKept(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		in := &awss3.GetBucketPolicyInput{Bucket: aws.String("box")}
		_, err := b.api.GetBucketPolicy(b.Context(), in)
		b.code(err, "NoSuchBucketPolicy")
		good := `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::box/*"}}`
		for _, bad := range []string{"", "{}", good + "x", strings.Replace(good, "box", "other", 1), strings.Replace(good, `"Principal": "*", `, "", 1),
			strings.Replace(good, "Effect", "effect", 1), good + strings.Repeat(" ", 20<<10)} {
			b.code(b.policy(bad), "MalformedPolicy")
		}
		b.ok(b.policy(good))
		out, err := b.api.GetBucketPolicy(b.Context(), in)
		b.ok(err)
		if *out.Policy != good {
			t.Error(*out.Policy)
		}
		_, err = b.api.DeleteBucketPolicy(b.Context(), &awss3.DeleteBucketPolicyInput{Bucket: aws.String("box")})
		b.ok(err)
		_, err = b.api.GetBucketPolicy(b.Context(), in)
		b.code(err, "NoSuchBucketPolicy")
	})
}

func TestServiceMay(t *testing.T) {
	allow := func(who, action, resource, condition string) string {
		return `{"Effect": "Allow", "Principal": ` + who + `, "Action": "` + action + `", "Resource": "` + resource + `"` + condition + `}`
	}
	const (
		svc     = `{"Service": "` + principal + `"}`
		objects = "arn:aws:s3:::box/*"
		whole   = "arn:aws:s3:::box"
	)
	deny := func(s string) string { return strings.Replace(s, "Allow", "Deny", 1) }
	for name, c := range map[string]struct {
		statements string
		action     string
		want       bool
	}{
		"nothing":            {deny(allow(`"*"`, "s3:DeleteBucket", whole, "")), "s3:PutObject", false},
		"the action":         {allow(svc, "s3:PutObject", objects, ""), "s3:PutObject", true},
		"another action":     {allow(svc, "s3:GetObject", objects, ""), "s3:PutObject", false},
		"on the bucket":      {allow(svc, "s3:PutObject", whole, ""), "s3:PutObject", false},
		"list on objects":    {allow(svc, "s3:ListBucket", objects, ""), "s3:ListBucket", false},
		"list":               {allow(svc, "s3:ListBucket", whole, ""), "s3:ListBucket", true},
		"wildcard":           {allow(svc, "s3:*", objects, ""), "s3:PutObject", true},
		"letters":            {allow(svc, "S3:putobject", objects, ""), "s3:PutObject", true},
		"question":           {allow(svc, "s3:?utObject", objects, ""), "s3:PutObject", true},
		"middle":             {allow(svc, "s3:P*t*ct", objects, ""), "s3:PutObject", true},
		"short":              {allow(svc, "s3:Put", objects, ""), "s3:PutObject", false},
		"everyone":           {allow(`"*"`, "s3:PutObject", objects, ""), "s3:PutObject", true},
		"every account":      {allow(`{"AWS": "*"}`, "s3:PutObject", objects, ""), "s3:PutObject", true},
		"another Region":     {allow(`{"Service": "eu-west-2.elasticache-snapshot.amazonaws.com"}`, "s3:PutObject", objects, ""), "s3:PutObject", false},
		"elasticache itself": {allow(`{"Service": "elasticache.amazonaws.com"}`, "s3:PutObject", objects, ""), "s3:PutObject", false},
		"deny wins":          {allow(svc, "s3:*", objects, "") + "," + deny(allow(`"*"`, "s3:Put*", objects, "")), "s3:PutObject", false},
		"not principal":      {`{"Effect": "Allow", "NotPrincipal": ` + svc + `, "Action": "s3:*", "Resource": "` + objects + `"}`, "s3:PutObject", false},
		"not action":         {`{"Effect": "Allow", "Principal": "*", "NotAction": "s3:Put*", "Resource": "` + objects + `"}`, "s3:PutObject", false},
		"not resource":       {`{"Effect": "Allow", "Principal": "*", "Action": "s3:*", "NotResource": "` + objects + `"}`, "s3:PutObject", false},
		"own account":        {allow(svc, "s3:*", objects, `, "Condition": {"StringEquals": {"aws:SourceAccount": "`+account+`"}}`), "s3:PutObject", true},
		"other account":      {allow(svc, "s3:*", objects, `, "Condition": {"StringEquals": {"AWS:SourceAccount": "`+other+`"}}`), "s3:PutObject", false},
		"not told":           {allow(svc, "s3:*", objects, `, "Condition": {"StringLike": {"aws:SourceArn": "*"}}`), "s3:PutObject", false},
		"not told, deny":     {allow(svc, "s3:*", objects, "") + "," + deny(allow(`"*"`, "s3:*", objects, `, "Condition": {"StringNotLike": {"aws:SourceArn": "x"}}`)), "s3:PutObject", false},
		"unknown deny":       {allow(svc, "s3:*", objects, "") + "," + deny(allow(`"*"`, "s3:*", objects, `, "Condition": {"Unheard": {"aws:SourceAccount": "x"}}`)), "s3:PutObject", false},
		"tls deny":           {allow(svc, "s3:*", objects, "") + "," + deny(allow(`"*"`, "s3:*", objects, `, "Condition": {"Bool": {"aws:SecureTransport": "false"}}`)), "s3:PutObject", true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.make("box")
				b.open()
				b.ok(b.policy(`{"Version": "2012-10-17", "Statement": [` + c.statements + `]}`))
				if got := b.may(c.action); got != c.want {
					t.Errorf("%v", got)
				}
			})
		})
	}
}

func TestACL(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		get := func() *awss3.GetBucketAclOutput {
			out, err := b.api.GetBucketAcl(b.Context(), &awss3.GetBucketAclInput{Bucket: aws.String("box")})
			b.ok(err)
			return out
		}
		put := func(p *s3types.AccessControlPolicy) error {
			_, err := b.api.PutBucketAcl(b.Context(), &awss3.PutBucketAclInput{Bucket: aws.String("box"), AccessControlPolicy: p})
			return err
		}
		own := func(o s3types.ObjectOwnership) error {
			_, err := b.api.PutBucketOwnershipControls(b.Context(), &awss3.PutBucketOwnershipControlsInput{Bucket: aws.String("box"),
				OwnershipControls: &s3types.OwnershipControls{Rules: []s3types.OwnershipControlsRule{{ObjectOwnership: o}}}})
			return err
		}
		grant := func(id string, p s3types.Permission) s3types.Grant {
			return s3types.Grant{Permission: p, Grantee: &s3types.Grantee{Type: s3types.TypeCanonicalUser, ID: &id}}
		}
		was := get()
		with := func(g ...s3types.Grant) *s3types.AccessControlPolicy {
			return &s3types.AccessControlPolicy{Owner: was.Owner, Grants: append(was.Grants[:1:1], g...)}
		}
		three := with(grant(canonical, s3types.PermissionRead), grant(canonical, s3types.PermissionWrite), grant(canonical, s3types.PermissionReadAcp))
		b.code(put(three), "AccessControlListNotSupported")
		b.ok(own(s3types.ObjectOwnershipObjectWriter))
		out, err := b.api.GetBucketOwnershipControls(b.Context(), &awss3.GetBucketOwnershipControlsInput{Bucket: aws.String("box")})
		b.ok(err)
		if got := out.OwnershipControls.Rules[0].ObjectOwnership; got != s3types.ObjectOwnershipObjectWriter {
			t.Error(got)
		}
		b.code(put(&s3types.AccessControlPolicy{Grants: three.Grants}), "MalformedACLError")
		b.code(put(with(grant("short", s3types.PermissionRead))), "InvalidArgument")
		if b.may("s3:PutObject") {
			t.Error("let in before")
		}
		b.ok(put(three))
		for action, want := range map[string]bool{"s3:ListBucket": true, "s3:PutObject": true, "s3:GetBucketAcl": true, "s3:PutBucketAcl": false, "s3:GetObject": false} {
			if got := b.may(action); got != want {
				t.Errorf("%s: %v", action, got)
			}
		}
		if n := len(get().Grants); n != 4 {
			t.Errorf("%d grants", n)
		}
		b.code(own(s3types.ObjectOwnershipBucketOwnerEnforced), "InvalidBucketAclWithObjectOwnership")
		b.ok(put(with(grant(canonical, s3types.PermissionFullControl))))
		if !b.may("s3:PutObject") {
			t.Error("full control is not enough")
		}
		b.ok(put(with()))
		b.ok(own(s3types.ObjectOwnershipBucketOwnerEnforced))
		two := []s3types.OwnershipControlsRule{{ObjectOwnership: s3types.ObjectOwnershipObjectWriter}, {ObjectOwnership: s3types.ObjectOwnershipObjectWriter}}
		_, err = b.api.PutBucketOwnershipControls(b.Context(), &awss3.PutBucketOwnershipControlsInput{Bucket: aws.String("box"), OwnershipControls: &s3types.OwnershipControls{Rules: two}})
		b.code(err, "MalformedXML")
	})
}

// What a service writes is there at its instant, and taken before.
func TestServicePut(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		at := time.Now().Add(time.Minute)
		b.world.Do(account, region, func(r *awssim.Request) {
			if place, owner, ok := b.sim.BucketPlace(r, "box"); place != region || owner != account || !ok {
				t.Errorf("%s %s %v", place, owner, ok)
			}
			if _, _, ok := b.sim.BucketPlace(r, "none"); ok || b.sim.ServicePut(r, "none", "k", nil, at) == nil || b.sim.ServiceMay(r, "none", principal, canonical, "s3:PutObject") {
				t.Error("there is a bucket none")
			}
			b.ok(b.sim.ServicePut(r, "box", "k", []byte("data"), at))
			if !b.sim.HasObject(r, "box", "k") || b.sim.HasObject(r, "box", "x") || b.sim.HasObject(r, "none", "k") {
				t.Error("HasObject")
			}
		})
		_, err := b.get("k")
		b.code(err, "NoSuchKey")
		time.Sleep(time.Minute)
		if got, err := b.get("k"); err != nil || got != "data" || string(b.sim.Content(b.world, region, "box", "k")) != "data" {
			t.Errorf("%q %v", got, err)
		}
		if !b.sim.Damage(b.world, region, "box", "k") || b.sim.Damage(b.world, region, "box", "x") || b.sim.Damage(b.world, region, "none", "k") {
			t.Error("Damage")
		}
		if got, err := b.get("k"); err != nil || got == "data" {
			t.Errorf("%q %v", got, err)
		}
		if b.sim.Objects(b.world, region, "none") != nil || b.sim.Content(b.world, region, "none", "k") != nil {
			t.Error("there is a bucket none")
		}
	})
}
