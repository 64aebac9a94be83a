package policy_test

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

func bucketCases() []lintCase {
	b, i := policy.KindBucket, policy.KindIdentity
	const (
		own     = `"Principal": {"AWS": "arn:aws:iam::111122223333:role/r"}, `
		cache   = `"Principal": {"Service": "eu-west-1.elasticache-snapshot.amazonaws.com"}, "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}, `
		objects = `, "Resource": "arn:aws:s3:::b/*"`
	)
	return []lintCase{
		// S3001
		{"everything for a service", b, cache + `"Action": "s3:*"`, nil, []string{"S3001 error"}},
		{"everything for the owner", b, own + `"Action": "s3:*"`, nil, []string{"S3001 warning"}},
		{"everything for everyone", b, `"Principal": "*", "Action": "*"`, nil, []string{"KMS001 error", "S3001 error"}},
		{"everything denied", b, `"Effect": "Deny", ` + own + `"Action": "s3:*"`, nil, nil},
		{"everything of one letter and more", b, cache + `"Action": "S3:?*"`, nil, []string{"S3001 error"}},
		{"all writing", b, own + `"Action": "s3:Put*"`, nil, []string{"S3001 warning"}},
		{"all writing for a service", b, cache + `"Action": "s3:PutObject*"`, nil, []string{"S3001 error"}},
		{"the policy for a service", b, cache + `"Action": "s3:PutBucketPolicy", "Resource": "arn:aws:s3:::b"`, nil, []string{"S3001 error"}},
		{"the policy for the owner", b, own + `"Action": "s3:PutBucketPolicy", "Resource": "arn:aws:s3:::b"`, nil, nil},
		{"all reading", b, cache + `"Action": ["s3:Get*", "s3:List*"]`, nil, nil},
		{"the six actions", b, cache + `"Action": ["s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:GetBucketAcl", "s3:ListMultipartUploadParts", "s3:ListBucketMultipartUploads"]`, nil, nil},
		{"everything of an identity", i, `"Action": "s3:*"` + objects, nil, []string{"IAM001 error", "S3001 error"}},
		{"all writing of an identity", i, `"Action": "s3:PutObject*"` + objects, nil, []string{"S3001 warning"}},
		{"the policy of an identity", i, `"Action": "s3:PutBucketPolicy", "Resource": "arn:aws:s3:::b"`, nil, nil},
		// S3002
		{"every bucket", i, `"Action": "s3:GetObject", "Resource": "*"`, nil, []string{"S3002 error"}},
		{"every bucket of S3", i, `"Action": "s3:GetObject", "Resource": "arn:aws:s3:::*"`, nil, []string{"S3002 error"}},
		{"every object", i, `"Action": "s3:GetObject", "Resource": "arn:aws:s3:::*/*"`, nil, []string{"S3002 error"}},
		{"every bucket of one letter and more", i, `"Action": "s3:GetObject", "Resource": "arn:aws:s3:::?*/x"`, nil, []string{"S3002 error"}},
		{"one of two is every", i, `"Action": "s3:GetObject", "Resource": ["arn:aws:s3:::b", "arn:*"]`, nil, []string{"S3002 error"}},
		{"every bucket by a part that buckets lack", i, `"Action": "s3:GetObject", "Resource": "arn:aws:s3::*:b"`, nil, []string{"S3002 error"}},
		{"an access point", i, `"Action": "s3:GetObject", "Resource": "arn:aws:s3:*:111122223333:accesspoint/p/object/*"`, nil, nil},
		{"every access point", i, `"Action": "s3:GetObject", "Resource": "arn:aws:s3:*:111122223333:accesspoint/*"`, nil, []string{"S3002 warning"}},
		{"every bucket of an account", i, `"Action": "s3:GetObject", "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceAccount": "111122223333"}}`, nil, []string{"S3002 warning"}},
		{"an open name", i, `"Action": "s3:GetObject", "Resource": "arn:aws:s3:::backup-*/x"`, nil, []string{"S3002 warning"}},
		{"a variable", i, `"Action": "s3:GetObject", "Resource": "arn:aws:s3:::${aws:username}/x"`, nil, []string{"S3002 warning"}},
		{"a star itself", i, `"Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${*}"`, nil, nil},
		{"objects of a bucket", i, `"Action": "s3:GetObject"` + objects, nil, nil},
		{"listing the buckets", i, `"Action": "s3:ListAllMyBuckets", "Resource": "*"`, nil, nil},
		{"listing the buckets of S3", i, `"Action": "s3:listallmybuckets", "Resource": "arn:aws:s3:::*"`, nil, nil},
		{"listing more", i, `"Action": ["s3:ListAllMyBuckets", "s3:ListBucket"], "Resource": "*"`, nil, []string{"S3002 error"}},
		{"listing by a wildcard", i, `"Action": "s3:ListAll*", "Resource": "*"`, nil, []string{"S3002 error"}},
		{"another service on everything", i, `"Action": "ec2:DescribeVolumes", "Resource": "*"`, nil, nil},
		{"every bucket in a bucket's policy", b, own + `"Action": "s3:GetObject", "Resource": "arn:aws:s3:::*"`, nil, []string{"-1 S3003 warning", "S3002 error"}},
		{"every bucket denied", i, `"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"`, nil, nil},
	}
}

func TestLintTransport(t *testing.T) {
	const allow = `{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}, `
	deny := func(principal, action, resource, condition string) string {
		return allow + `{"Effect": "Deny", "Principal": ` + principal + `, "Action": ` + action + `, "Resource": ` + resource + `, "Condition": {` + condition + `}}`
	}
	const (
		all   = `"*"`
		s3    = `"s3:*"`
		both  = `["arn:aws:s3:::b", "arn:aws:s3:::b/*"]`
		plain = `"Bool": {"aws:SecureTransport": "false"}`
	)
	for _, c := range []struct {
		name, statements string
		covered          bool
	}{
		{"none", allow[:len(allow)-2], false},
		{"whole", deny(all, s3, both, plain), true},
		{"everyone of AWS", deny(`{"AWS": "*"}`, `"*"`, both, plain), true},
		{"in other letters", deny(all, `"S3:*"`, both, `"BoolIfExists": {"AWS:securetransport": false}`), true},
		{"a wider pattern", deny(all, s3, `"arn:aws:s3:::b*"`, plain), true},
		{"objects only", deny(all, s3, `"arn:aws:s3:::b/*"`, plain), false},
		{"the bucket only", deny(all, s3, `"arn:aws:s3:::b"`, plain), false},
		{"another bucket", deny(all, s3, `["arn:aws:s3:::c", "arn:aws:s3:::c/*"]`, plain), false},
		{"somebody", deny(`{"AWS": "111122223333"}`, s3, both, plain), false},
		{"some actions", deny(all, `"s3:Get*"`, both, plain), false},
		{"only with TLS", deny(all, s3, both, `"Bool": {"aws:SecureTransport": "true"}`), false},
		{"for all values", deny(all, s3, both, `"ForAllValues:Bool": {"aws:SecureTransport": "false"}`), false},
		{"one condition more", deny(all, s3, both, plain+`, "StringEquals": {"aws:PrincipalAccount": "111122223333"}`), false},
		{"one condition before", deny(all, s3, both, `"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/r"}, `+plain), false},
		{"old TLS only", deny(all, s3, both, `"NumericLessThan": {"s3:TlsVersion": "1.2"}`), false},
		{"allowed", allow + `{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "s3:GetObject", "Resource": ` + both + `, "Condition": {` + plain + `}}`, false},
	} {
		var want []string
		if !c.covered {
			want = []string{"S3003 warning"}
		}
		found := policy.LintText([]byte(`{"Version": "2012-10-17", "Statement": [`+c.statements+`]}`), policy.LintContext{Kind: policy.KindBucket, Owner: lintOwner})
		if d := gocmp.Diff(want, lintLines(found, -1)); d != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, d)
		}
	}
}

func TestLintPublicAccessBlock(t *testing.T) {
	on := policy.PublicAccessBlock{BlockPublicAcls: true, IgnorePublicAcls: true, BlockPublicPolicy: true, RestrictPublicBuckets: true}
	if found := policy.LintPublicAccessBlock(on); len(found) > 0 {
		t.Errorf("all on: %v", found)
	}
	off := on
	off.BlockPublicPolicy = false
	found := policy.LintPublicAccessBlock(off)
	if d := gocmp.Diff([]string{"S3004 error"}, lintLines(found, -1)); d != "" || found[0].Detail != "off: BlockPublicPolicy" {
		t.Errorf("one off: %v", found)
	}
	checkFindings(t, found, 0)
	if found := policy.LintPublicAccessBlock(policy.PublicAccessBlock{}); len(found) != 1 ||
		found[0].Detail != "off: BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets" {
		t.Errorf("all off: %v", found)
	}
}

type grantCase struct {
	name    string
	grants  []policy.Grant
	context policy.LintContext
	want    []string
}

func grantCases() []grantCase {
	const (
		cache   = "540804c33a284a299d2547575ce1010f2312ef3da9b3a053c8bc45bf233e4353"
		gov     = "40fa568277ad703bd160f66ae4f83fc9dfdfd06c2f1b5060ca22442ac3ef8be6"
		mine    = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
		theirs  = "89a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
		groups  = "http://acs.amazonaws.com/groups/"
		full    = policy.PermissionFullControl
		read    = policy.PermissionRead
		readACP = policy.PermissionReadACP
		write   = policy.PermissionWrite
		acp     = policy.PermissionWriteACP
	)
	context := policy.LintContext{Partition: "aws", OwnerCanonicalID: mine}
	to := func(id string, p ...policy.Permission) (all []policy.Grant) {
		for _, p := range p {
			all = append(all, policy.Grant{CanonicalID: id, Permission: p})
		}
		return all
	}
	other := func(uri string) []policy.Grant { return []policy.Grant{{Other: uri, Permission: read}} }
	return []grantCase{
		{"none", nil, context, nil},
		{"the owner and the three", append(to(mine, full), to(cache, read, write, readACP)...), context, nil},
		{"the published four", to(cache, read, write, readACP, acp), context, []string{"ACL002 error"}},
		{"full control", to(cache, full), context, []string{"ACL002 error"}},
		{"somebody else", to(theirs, full), context, []string{"ACL002 error"}},
		{"somebody else reads", to(theirs, read), context, nil},
		{"an unknown permission", to(theirs, "EVERYTHING"), context, []string{"ACL002 error"}},
		{"the owner not known", to(theirs, full), policy.LintContext{Partition: "aws"}, []string{"ACL002 warning"}},
		{"the owner not known, and ElastiCache", to(cache, acp), policy.LintContext{Partition: "aws"}, []string{"ACL002 error"}},
		{"of another partition", to(gov, read), context, []string{"ACL002 error"}},
		{"of its partition", to(gov, read), policy.LintContext{Partition: "aws-us-gov"}, nil},
		{"of any partition", to(gov, read), policy.LintContext{}, nil},
		{"everybody", other(groups + "global/AllUsers"), context, []string{"ACL001 error"}},
		{"everybody with an account", other(groups + "global/AuthenticatedUsers"), context, []string{"ACL001 error"}},
		{"everybody in other letters", other("https://ACS.amazonaws.com/Groups/Global/allusers"), context, []string{"ACL001 error"}},
		{"a new global group", other(groups + "global/Neighbours"), context, []string{"ACL001 error"}},
		{"logs", other(groups + "s3/LogDelivery"), context, nil},
		{"an address", other("someone@example.com"), context, []string{"ACL001 warning"}},
		{"nobody", []policy.Grant{{Permission: read}}, context, []string{"ACL001 warning"}},
		{"both", []policy.Grant{{CanonicalID: cache, Other: groups + "global/AllUsers", Permission: acp}}, context, []string{"ACL001 error", "ACL002 error"}},
	}
}

func TestLintGrants(t *testing.T) {
	for _, c := range grantCases() {
		found := policy.LintGrants(c.grants, c.context)
		if d := gocmp.Diff(c.want, lintLines(found, -1)); d != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, d)
		}
		for _, f := range found {
			if f.Place == "" || f.Statement != -1 {
				t.Errorf("%s: %#v", c.name, f)
			}
		}
	}
}
