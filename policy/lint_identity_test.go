package policy_test

import (
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

func identityCases() []lintCase {
	i := policy.KindIdentity
	const (
		snapshots = `, "Resource": "arn:aws:rds:eu-west-1:111122223333:snapshot:snapwarden-*"`
		anything  = `, "Resource": "arn:aws:rds:eu-west-1:111122223333:snapshot:*"`
		all       = `, "Resource": "*"`
		tagged    = `, "Condition": {"StringEquals": {"aws:ResourceTag/snapwarden:owner": "team"}}`
		role      = `, "Resource": "arn:aws:iam::111122223333:role/export"`
		passedTo  = `, "Condition": {"StringEquals": {"iam:PassedToService": "export.rds.amazonaws.com"}}`
	)
	janitor := func(c *policy.LintContext) { c.MayDelete = true }
	return []lintCase{
		// IAM001
		{"deleting what is named", i, `"Action": "rds:DeleteDBSnapshot"` + snapshots, nil, []string{"IAM001 warning"}},
		{"deleting what is named, by a janitor", i, `"Action": "rds:DeleteDBSnapshot"` + snapshots, janitor, nil},
		{"deleting everything", i, `"Action": "rds:DeleteDBSnapshot"` + all, nil, []string{"IAM001 error"}},
		{"deleting everything, by a janitor", i, `"Action": "rds:DeleteDBSnapshot"` + all, janitor, []string{"IAM001 error"}},
		{"deleting all of a type", i, `"Action": "rds:DeleteDBSnapshot"` + anything, nil, []string{"IAM001 error"}},
		{"deleting all of a type with a tag", i, `"Action": "rds:DeleteDBSnapshot"` + anything + tagged, nil, []string{"IAM001 warning"}},
		{"deleting with a tag if there is one", i, `"Action": "rds:DeleteDBSnapshot"` + anything + strings.Replace(tagged, "StringEquals", "StringEqualsIfExists", 1), nil, []string{"IAM001 error", "KMS009 warning"}},
		{"deleting with a tag, by a janitor", i, `"Action": "rds:DeleteDBSnapshot"` + anything + tagged, janitor, nil},
		{"deleting by a wildcard", i, `"Action": "rds:*DBSnapshot"` + snapshots, nil, []string{"IAM001 warning"}},
		{"deleting by a short wildcard", i, `"Action": "rds:D*"` + snapshots, nil, []string{"IAM001 warning"}},
		{"deleting in a service not known", i, `"Action": "dynamodb:DeleteTable", "Resource": "arn:aws:dynamodb:eu-west-1:111122223333:table/t"`, nil, []string{"IAM001 warning"}},
		{"everything of a service not known", i, `"Action": "dynamodb:*", "Resource": "arn:aws:dynamodb:eu-west-1:111122223333:table/t"`, nil, []string{"IAM001 warning"}},
		{"describing in a service not known", i, `"Action": "dynamodb:Describe*", "Resource": "arn:aws:dynamodb:eu-west-1:111122223333:table/t"`, nil, nil},
		{"destroying a key", i, `"Action": "kms:ScheduleKeyDeletion", "Resource": "arn:aws:kms:eu-west-1:111122223333:key/k"`, janitor, []string{"IAM001 error"}},
		{"destroying by a wildcard", i, `"Action": "kms:*Deletion", "Resource": "arn:aws:kms:eu-west-1:111122223333:key/k"`, nil, []string{"IAM001 error"}},
		{"unlocking", i, `"Action": "ec2:UnlockSnapshot", "Resource": "arn:aws:ec2:eu-west-1::snapshot/snap-0123456789abcdef0"`, janitor, []string{"IAM001 error"}},
		{"deregistering", i, `"Action": "ec2:DeregisterImage", "Resource": "arn:aws:ec2:eu-west-1::image/*"`, nil, []string{"IAM001 error"}},
		{"describing", i, `"Action": "rds:DescribeDBSnapshots"` + all, nil, nil},
		{"deleting denied", i, `"Effect": "Deny", "Action": "rds:DeleteDBSnapshot"` + all, nil, nil},
		{"objects of a bucket", i, `"Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::b/*"`, nil, []string{"IAM001 warning"}},
		{"objects of another service's resource", i, `"Action": ["rds:DeleteDBSnapshot", "s3:GetObject"], "Resource": ["arn:aws:rds:eu-west-1:111122223333:snapshot:s-1", "arn:aws:s3:::*"]`, nil, []string{"IAM001 warning", "S3002 error"}},
		// IAM002
		{"writing on everything", i, `"Action": "rds:CreateDBSnapshot"` + all, nil, []string{"IAM002 error"}},
		{"writing on everything with a tag", i, `"Action": "rds:CreateDBSnapshot"` + all + tagged, nil, []string{"IAM002 warning"}},
		{"writing on what is named", i, `"Action": "rds:CreateDBSnapshot"` + snapshots, nil, nil},
		{"a secret", i, `"Action": "secretsmanager:GetSecretValue"` + all, nil, []string{"IAM002 error"}},
		{"everything of a service on everything", i, `"Action": "secretsmanager:Get*"` + all, nil, []string{"IAM002 error"}},
		{"an action not known", i, `"Action": "dynamodb:DescribeTable"` + all, nil, []string{"IAM002 warning"}},
		{"lists", i, `"Action": ["ec2:DescribeSnapshots", "ec2:Describe*", "elasticache:DescribeSnapshots", "kms:ListAliases", "sts:GetCallerIdentity"]` + all, nil, nil},
		{"all keys", i, `"Action": "kms:Decrypt", "Resource": "arn:aws:kms:*:111122223333:key/*"`, nil, nil},
		{"everything in an ARN", i, `"Action": "kms:Decrypt", "Resource": "arn:aws:kms:*:*:*"`, nil, []string{"IAM002 error"}},
		{"everything in an ARN of any service", i, `"Action": "kms:Decrypt", "Resource": "arn:aws:*:*:111122223333:key/k"`, nil, []string{"IAM002 error"}},
		{"not this", i, `"Action": "kms:Decrypt", "NotResource": "arn:aws:kms:eu-west-1:111122223333:key/k"`, nil, []string{"IAM002 error", "KMS007 error"}},
		{"an action of a service with others' ARNs", i, `"Action": "ebs:ListSnapshotBlocks", "Resource": "arn:aws:ec2:eu-west-1::snapshot/*"`, nil, nil},
		{"a topic", i, `"Action": "sns:Publish", "Resource": "arn:aws:sns:eu-west-1:111122223333:night-*"`, nil, nil},
		{"everything", i, `"Action": "*"` + all, nil, []string{"IAM001 error", "IAM002 error", "IAM003 error", "IAM004 error", "S3001 error", "S3002 error"}},
		{"everything but one", i, `"NotAction": "s3:GetObject"` + all, nil, []string{"IAM001 error", "IAM002 error", "IAM003 error", "IAM004 error", "KMS007 error", "S3001 error", "S3002 error"}},
		// IAM003
		{"any role", i, `"Action": "iam:PassRole"` + all, nil, []string{"IAM002 warning", "IAM003 error"}},
		{"any role of the account", i, `"Action": "iam:PassRole", "Resource": "arn:aws:iam::111122223333:role/*"` + passedTo, nil, []string{"IAM003 error"}},
		{"a role by a wildcard", i, `"Action": "iam:Pass*"` + role, nil, []string{"IAM003 warning"}},
		{"a role to any service", i, `"Action": "iam:PassRole"` + role, nil, []string{"IAM003 warning"}},
		{"a role to some services", i, `"Action": "iam:PassRole"` + role + `, "Condition": {"StringLike": {"iam:PassedToService": "*.amazonaws.com"}}`, nil, []string{"IAM003 warning"}},
		{"a role to its service", i, `"Action": "iam:PassRole"` + role + passedTo, nil, nil},
		{"some roles to their service", i, `"Action": "iam:PassRole", "Resource": "arn:aws:iam::111122223333:role/export-*"` + passedTo, nil, []string{"IAM003 warning"}},
		// IAM004
		{"carrying out anything", i, `"Action": "elasticache:CopySnapshot"` + all, nil, []string{"IAM004 error"}},
		{"carrying out anything with a tag", i, `"Action": "elasticache:CopySnapshot"` + all + tagged, nil, []string{"IAM004 warning"}},
		{"carrying out any snapshot", i, `"Action": "elasticache:CopySnapshot", "Resource": "arn:aws:elasticache:eu-west-1:111122223333:snapshot:*"`, nil, []string{"IAM004 warning"}},
		{"carrying out what is named", i, `"Action": "elasticache:CopySnapshot", "Resource": "arn:aws:elasticache:eu-west-1:111122223333:snapshot:night-*"`, nil, nil},
		{"carrying out by a wildcard", i, `"Action": "elasticache:C*"` + all, nil, []string{"IAM002 error", "IAM004 error"}},
		{"sharing", i, `"Action": "ec2:ModifySnapshotAttribute"` + all, nil, []string{"IAM004 error"}},
	}
}

func documentCases() []lintCase {
	k, i, tr, b := policy.KindKey, policy.KindIdentity, policy.KindTrust, policy.KindBucket
	bad := []string{"DOC001 error"}
	return []lintCase{
		{"an identity has no principal", i, `"Principal": {"AWS": "111122223333"}, "Action": "rds:CreateDBSnapshot", "Resource": "arn:aws:rds:eu-west-1:111122223333:snapshot:a"`, nil, bad},
		{"an identity has a resource", i, `"Action": "rds:DescribeDBSnapshots"`, nil, bad},
		{"a key has a principal", k, `"Action": "kms:Decrypt"`, nil, bad},
		{"a bucket has a principal", b, `"Action": "s3:GetObject"`, nil, bad},
		{"a trust has a principal", tr, `"Action": "sts:AssumeRole"`, nil, bad},
		{"a trust has no resource", tr, `"Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole", "Resource": "*"`, nil, bad},
		{"an empty list", tr, `"Principal": {"AWS": []}, "Action": "sts:AssumeRole"`, nil, bad},
		{"an empty value", tr, `"Principal": {"AWS": "111122223333"}, "Action": ["sts:AssumeRole", ""]`, nil, bad},
		{"no action", tr, `"Principal": {"AWS": "111122223333"}`, nil, bad},
		{"two of a pair", tr, `"Principal": {"AWS": "111122223333"}, "NotPrincipal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"`, nil, []string{"CD001 error", "DOC001 error", "KMS001 error", "KMS007 error"}},
		{"two resources", i, `"Action": "rds:DescribeDBSnapshots", "Resource": "*", "NotResource": "x"`, nil, []string{"DOC001 error", "KMS007 error"}},
		{"an effect of its own", tr, `"Effect": "allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"`, nil, bad},
		{"an empty condition", tr, `"Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole", "Condition": {"StringEquals": {}}`, nil, bad},
		{"a condition on nothing", tr, `"Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"": "x"}}`, nil, []string{"DOC001 error", "KMS009 warning"}},
		{"a condition without values", tr, `"Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"aws:PrincipalArn": []}}`, nil, bad},
		{"no kind", "", `"Principal": {"AWS": "111122223333"}, "Action": "kms:Decrypt", "Resource": "*"`, nil, []string{"-1 DOC001 error"}},
	}
}

// lintWhole are documents in which something is wrong with the whole. It gives the worst of each rule.
func lintWhole(t *testing.T) map[string]policy.Severity {
	t.Helper()
	const one = `{"Effect": "Allow", "Action": "rds:DescribeDBSnapshots", "Resource": "*"}`
	const inert = `{"Effect": "Allow", "Action": "rds:CreateDBSnapshot", "Resource": "arn:aws:rds:eu-west-1:111122223333:snapshot:${aws:username}"}`
	const inertWhen = `{"Effect": "Allow", "Action": "rds:DescribeDBSnapshots", "Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalTag/a": "${aws:username}"}}}`
	const star = `{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::${*}/x"}`
	long := func(n int) string {
		return `{"Effect": "Allow", "Action": "rds:CreateDBSnapshot", "Resource": "arn:aws:rds:eu-west-1:111122223333:snapshot:` + strings.Repeat("a", n) + `"}`
	}
	trust := func(n int) string {
		return `{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"sts:ExternalId": "` + strings.Repeat("a", n) + `"}}}`
	}
	key := func(n int) string {
		return `{"Sid": "` + strings.Repeat("a", n) + `", "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"}`
	}
	version := func(v, statements string) string {
		return `{"Version": "` + v + `", "Statement": [` + statements + `]}`
	}
	current := func(statements string) string { return version("2012-10-17", statements) }
	worst := map[string]policy.Severity{}
	for _, c := range []struct {
		name, text string
		kind       policy.Kind
		want       []string
	}{
		{"good", current(one), policy.KindIdentity, nil},
		{"no version", `{"Statement": [` + one + `]}`, policy.KindIdentity, []string{"-1 DOC001 error"}},
		{"no version and a variable", `{"Statement": [` + inert + `]}`, policy.KindIdentity, []string{"-1 DOC001 error", "0 DOC001 error"}},
		{"an old version", version("2008-10-17", one), policy.KindIdentity, nil},
		{"an old version and a variable", version("2008-10-17", inert), policy.KindIdentity, []string{"0 DOC001 error"}},
		{"an old version and a variable in a condition", version("2008-10-17", inertWhen), policy.KindIdentity, []string{"0 DOC001 error"}},
		{"an old version, and what is a star today", version("2008-10-17", star), policy.KindIdentity, []string{"0 DOC001 error", "0 S3002 warning"}},
		{"a variable", current(inert), policy.KindIdentity, nil},
		{"a variable in a condition", current(inertWhen), policy.KindIdentity, nil},
		{"no such version", version("2020-01-01", one), policy.KindIdentity, []string{"-1 DOC001 error"}},
		{"a Sid twice", current(key(1) + "," + key(1)), policy.KindKey, []string{"1 DOC001 error"}},
		{"not as a managed policy", current(long(6200)), policy.KindIdentity, []string{"-1 DOC001 warning"}},
		{"too long for an identity", current(long(10300)), policy.KindIdentity, []string{"-1 DOC001 error"}},
		{"blanks do not count", current(one + strings.Repeat(" ", 20000)), policy.KindIdentity, nil},
		{"long for a trust", current(trust(2048)), policy.KindTrust, []string{"-1 DOC001 warning"}},
		{"too long for a trust", current(trust(4096)), policy.KindTrust, []string{"-1 DOC001 error"}},
		{"too long for a key", current(key(32768)), policy.KindKey, []string{"-1 DOC001 error"}},
		{"not too long for a key", current(key(32500)), policy.KindKey, nil},
		{"too long at all", current(one + strings.Repeat(" ", 70000)), policy.KindIdentity, []string{"-1 DOC001 error"}},
		{"no statement", current(""), policy.KindIdentity, []string{"-1 DOC001 error"}},
		{"a key twice", `{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Effect": "Allow"}]}`, policy.KindIdentity, []string{"-1 DOC001 error"}},
		{"a key in two spellings", `{"Version": "2012-10-17", "version": "2008-10-17", "Statement": [` + one + `]}`, policy.KindIdentity, []string{"-1 DOC001 error"}},
		{"an unknown key", `{"Version": "2012-10-17", "Statements": [` + one + `]}`, policy.KindIdentity, []string{"-1 DOC001 error"}},
		{"something behind", current(one) + "{}", policy.KindIdentity, []string{"-1 DOC001 error"}},
		{"nothing", "", policy.KindIdentity, []string{"-1 DOC001 error"}},
	} {
		found := policy.LintText([]byte(c.text), policy.LintContext{Kind: c.kind, Owner: lintOwner})
		if d := gocmp.Diff(c.want, lintLines(found, 99)); d != "" {
			t.Errorf("%s (-want +got)\n%s%v", c.name, d, found)
		}
		checkFindings(t, found, 2)
		for _, f := range found {
			if len(f.Detail) > 1000 || len(f.Place) > 400 {
				t.Errorf("%s: %d and %d bytes of text", c.name, len(f.Detail), len(f.Place))
			}
			if worst[f.ID] != policy.SeverityError {
				worst[f.ID] = f.Severity
			}
		}
	}
	return worst
}

func TestLintWhole(t *testing.T) { lintWhole(t) }

// A document that was put together by hand may be none at all.
func TestLintNoDocument(t *testing.T) {
	for _, kind := range []policy.Kind{policy.KindKey, policy.KindBucket, policy.KindIdentity, policy.KindTrust, "role"} {
		for n, d := range []policy.Document{
			{},
			{Statements: []policy.Statement{{}}},
			{Statements: []policy.Statement{{Effect: policy.Allow, Principal: &policy.Principal{}, NotPrincipal: &policy.Principal{}}}},
			{Statements: []policy.Statement{{Effect: policy.Allow, Principal: &policy.Principal{Everyone: true, AWS: []string{""}}, Action: []string{"", ":", "*"}, Resource: []string{"", ":::::"}}}},
			{Statements: []policy.Statement{{Effect: policy.Allow, Condition: policy.Condition{"": nil, "Bool": {"": nil}}, NotResource: []string{}}}},
		} {
			found := policy.Lint(d, policy.LintContext{Kind: kind})
			if len(found) == 0 || found[0].ID != "DOC001" && found[0].Statement < 0 && kind != policy.KindBucket && kind != policy.KindKey {
				t.Errorf("%s %d: %v", kind, n, found)
			}
			checkFindings(t, found, len(d.Statements))
		}
	}
}

func TestFindingString(t *testing.T) {
	f := policy.Finding{ID: "KMS002", Severity: policy.SeverityError, Place: "Statement[1].Action", Detail: "it destroys", Remedy: "Remove it"}
	if got, want := f.String(), "error KMS002 at Statement[1].Action: it destroys. Remove it."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	f.Place = ""
	if got := fmt.Sprint(f); !strings.Contains(got, "the whole") {
		t.Errorf("got %q", got)
	}
}
