package policy_test

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

func trusting(c *policy.LintContext) { c.Trusted = []string{lintForeign} }

func keyCases() []lintCase {
	k := policy.KindKey
	const (
		role    = `"Principal": {"AWS": "arn:aws:iam::444455556666:role/copier"}, `
		root    = `"Principal": {"AWS": "arn:aws:iam::444455556666:root"}, `
		own     = `"Principal": {"AWS": "arn:aws:iam::111122223333:role/admin"}, `
		all     = `"Principal": "*", `
		decrypt = `"Action": "kms:Decrypt"`
		forAWS  = `, "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}`
	)
	when := func(c string) string { return `, "Condition": {` + c + `}` }
	return []lintCase{
		// KMS001
		{"everyone", k, all + decrypt, nil, []string{"KMS001 error"}},
		{"everyone of AWS", k, `"Principal": {"AWS": "*"}, ` + decrypt, nil, []string{"KMS001 error"}},
		{"every account's root", k, `"Principal": {"AWS": "arn:aws:iam::*:root"}, ` + decrypt, nil, []string{"KMS001 error"}},
		{"everyone among others", k, `"Principal": {"AWS": ["111122223333", "*"]}, ` + decrypt, nil, []string{"KMS001 error"}},
		{"some accounts", k, `"Principal": {"AWS": "11112222333?"}, ` + decrypt, nil, []string{"KMS001 error"}},
		{"every service", k, `"Principal": {"Service": "*"}, ` + decrypt, nil, []string{"CD001 warning", "KMS001 error"}},
		{"everyone but one", k, `"NotPrincipal": {"AWS": "arn:aws:iam::111122223333:root"}, ` + decrypt, nil, []string{"KMS001 error", "KMS007 error"}},
		{"everyone but one, bounded", k, `"NotPrincipal": {"AWS": "111122223333"}, ` + decrypt + when(`"StringEquals": {"aws:PrincipalOrgID": "o-abc"}`), nil, []string{"KMS001 error", "KMS007 error"}},
		{"bounded to the owner", k, all + decrypt + when(`"StringEquals": {"kms:CallerAccount": "111122223333", "kms:ViaService": "ec2.eu-west-1.amazonaws.com"}`), nil, nil},
		{"bounded in other letters", k, all + decrypt + when(`"StringEquals": {"KMS:calleraccount": "111122223333"}`), nil, nil},
		{"bounded to an organization", k, all + decrypt + when(`"StringEquals": {"aws:PrincipalOrgID": "o-abc123"}`), nil, nil},
		{"bounded to a source", k, all + decrypt + when(`"StringEquals": {"aws:SourceAccount": "111122223333"}`), nil, nil},
		{"bounded to another account", k, all + decrypt + when(`"StringEquals": {"kms:CallerAccount": ["111122223333", "444455556666"]}`), nil, []string{"KMS003 warning"}},
		{"bounded by a pattern", k, all + decrypt + when(`"StringLike": {"aws:PrincipalOrgID": "o-*"}`), nil, []string{"KMS001 error"}},
		{"bounded by like", k, all + decrypt + when(`"StringLike": {"kms:CallerAccount": "111122223333"}`), nil, []string{"KMS001 error"}},
		{"bounded by a variable", k, all + decrypt + when(`"StringEquals": {"kms:CallerAccount": "${aws:PrincipalAccount}"}`), nil, []string{"KMS001 error"}},
		{"bounded by what is no account", k, all + decrypt + when(`"StringEquals": {"kms:CallerAccount": "me"}`), nil, []string{"KMS001 error"}},
		{"bounded by a star", k, all + decrypt + when(`"StringEquals": {"aws:PrincipalOrgID": "*"}`), nil, []string{"KMS001 error"}},
		{"bounded if it exists", k, all + decrypt + when(`"StringEqualsIfExists": {"kms:CallerAccount": "111122223333"}`), nil, []string{"KMS001 error", "KMS009 warning"}},
		{"bounded for all values", k, all + decrypt + when(`"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-abc"}`), nil, []string{"KMS001 error", "KMS009 warning"}},
		{"bounded the other way", k, all + decrypt + when(`"StringNotEquals": {"kms:CallerAccount": "444455556666"}`), nil, []string{"KMS001 error"}},
		{"bounded by the service only", k, all + decrypt + when(`"StringEquals": {"kms:ViaService": "rds.eu-west-1.amazonaws.com"}`), nil, []string{"KMS001 error"}},
		{"everyone denied", k, `"Effect": "Deny", ` + all + `"Action": "kms:ScheduleKeyDeletion"`, nil, nil},

		// KMS002, KMS005
		{"a foreign role uses", k, role + `"Action": ["kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]`, nil, nil},
		{"a foreign role deletes", k, role + `"Action": "kms:ScheduleKeyDeletion"`, nil, []string{"KMS002 error"}},
		{"a foreign role deletes, in other letters", k, role + `"Action": "KMS:schedulekeydeletion"`, nil, []string{"KMS002 error"}},
		{"a trusted role deletes", k, role + `"Action": "kms:ScheduleKeyDeletion"`, trusting, []string{"KMS002 error"}},
		{"an own role deletes", k, own + `"Action": "kms:*"`, nil, nil},
		{"own by its id", k, `"Principal": {"AWS": "111122223333"}, "Action": "kms:*"`, nil, nil},
		{"a wildcard in the middle", k, role + `"Action": "kms:*Deletion"`, nil, []string{"KMS002 error", "KMS005 error"}},
		{"a wildcard at the end", k, role + `"Action": "kms:Sched*"`, nil, []string{"KMS002 error", "KMS005 error"}},
		{"one character", k, role + `"Action": "kms:DisableKe?"`, nil, []string{"KMS002 error", "KMS005 error"}},
		{"everything", k, role + `"Action": "kms:*"`, nil, []string{"KMS002 error", "KMS004 error", "KMS005 error"}},
		{"everything at all", k, role + `"Action": "*"`, nil, []string{"KMS002 error", "KMS004 error", "KMS005 error"}},
		{"everything of one letter and more", k, role + `"Action": "k?s:?*"`, nil, []string{"KMS002 error", "KMS004 error", "KMS005 error"}},
		{"everything but one", k, role + `"NotAction": "kms:Decrypt"`, nil, []string{"KMS002 error", "KMS004 error", "KMS005 error", "KMS007 error"}},
		{"everything for services", k, role + `"Action": "kms:*"` + forAWS, nil, []string{"KMS002 error", "KMS005 error"}},
		{"everyone everything", k, all + `"Action": "kms:*"`, nil, []string{"KMS001 error", "KMS002 error", "KMS004 error", "KMS005 error"}},
		{"revoking", k, role + `"Action": "kms:RevokeGrant"`, nil, []string{"KMS002 error"}},
		{"retiring", k, role + `"Action": "kms:Retire*"`, nil, []string{"KMS002 error", "KMS005 error"}},
		{"revoking for services", k, role + `"Action": ["kms:RevokeGrant", "kms:ListGrants"]` + forAWS, nil, nil},
		{"reading", k, role + `"Action": ["kms:Get*", "kms:List*", "kms:Describe*"]`, nil, nil},
		{"a service administers", k, `"Principal": {"Service": "rds.amazonaws.com"}, "Action": "kms:PutKeyPolicy"` + when(`"StringEquals": {"aws:SourceAccount": "111122223333"}`), nil, []string{"KMS002 error"}},
		{"a federated user administers", k, `"Principal": {"Federated": "cognito-identity.amazonaws.com"}, "Action": "kms:PutKeyPolicy"`, nil, []string{"KMS002 error"}},
		{"without an owner all are foreign", k, own + `"Action": "kms:PutKeyPolicy"`, func(c *policy.LintContext) { c.Owner = "" },
			[]string{"-1 KMS006 error", "0 KMS002 error", "0 KMS003 warning", "0 KMS004 error", "0 KMS005 error", "KMS002 error"}},

		// KMS003
		{"a foreign root", k, root + decrypt, nil, []string{"KMS003 warning"}},
		{"a foreign account", k, `"Principal": {"AWS": "444455556666"}, ` + decrypt, trusting, []string{"KMS003 warning"}},
		{"all of a foreign account", k, `"Principal": {"AWS": "arn:aws:iam::444455556666:role/*"}, ` + decrypt, nil, []string{"KMS003 warning"}},
		{"a foreign root and its role", k, root + decrypt + when(`"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::444455556666:role/copier"}`), nil, []string{"KMS003 warning"}},
		{"a foreign session", k, `"Principal": {"AWS": "arn:aws:sts::444455556666:assumed-role/copier/night"}, ` + decrypt, nil, nil},
		{"a foreign root denied", k, `"Effect": "Deny", ` + root + decrypt, nil, nil},

		// KMS004
		{"a grant for anybody", k, role + `"Action": "kms:CreateGrant"`, nil, []string{"KMS004 error"}},
		{"a grant for a service", k, role + `"Action": "kms:CreateGrant"` + forAWS, nil, nil},
		{"a grant for a service, as a boolean", k, role + `"Action": "kms:CreateGrant", "Condition": {"Bool": {"kms:GrantIsForAWSResource": true}}`, nil, nil},
		{"a grant for a service or not", k, role + `"Action": "kms:CreateGrant", "Condition": {"Bool": {"kms:GrantIsForAWSResource": ["true", "false"]}}`, nil, []string{"KMS004 error"}},
		{"a grant for no service", k, role + `"Action": "kms:CreateGrant", "Condition": {"Bool": {"kms:GrantIsForAWSResource": "false"}}`, nil, []string{"KMS004 error"}},
		{"a grant for a service, if it says so", k, role + `"Action": "kms:CreateGrant", "Condition": {"BoolIfExists": {"kms:GrantIsForAWSResource": "true"}}`, nil, []string{"KMS004 error", "KMS009 warning"}},
		{"a grant by a wildcard", k, role + `"Action": "kms:CreateG*"` + forAWS, nil, nil},
		{"all of grants by a wildcard", k, role + `"Action": "kms:*Grant"` + forAWS, nil, []string{"KMS002 error", "KMS005 error"}},
		{"a grant by a wildcard for anybody", k, role + `"Action": "kms:CreateG*"`, nil, []string{"KMS004 error"}},
		{"a grant through a service", k, role + `"Action": "kms:CreateGrant"` + when(`"StringEquals": {"kms:ViaService": "rds.eu-west-1.amazonaws.com"}`), nil, []string{"KMS004 error"}},
		{"a grant by a service", k, `"Principal": {"Service": "rds.amazonaws.com"}, "Action": "kms:CreateGrant"` + when(`"StringEquals": {"aws:SourceAccount": "111122223333"}`), nil, []string{"KMS004 warning"}},
		{"a grant by an own role", k, own + `"Action": "kms:CreateGrant"`, nil, nil},

		// KMS006 of one statement
		{"the owner denied", k, `"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*"`, nil, []string{"KMS006 error"}},
		{"all denied", k, `"Effect": "Deny", ` + all + `"Action": "kms:Put*"`, nil, []string{"KMS006 error"}},
		{"all but a foreign one denied", k, `"Effect": "Deny", "NotPrincipal": {"AWS": "444455556666"}, "Action": "kms:*"`, nil, []string{"KMS006 error"}},
		{"all but the owner denied", k, `"Effect": "Deny", "NotPrincipal": {"AWS": "111122223333"}, "Action": "kms:*"`, nil, nil},
		{"all denied on a condition", k, `"Effect": "Deny", ` + all + `"Action": "kms:*"` + when(`"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}`), nil, nil},
		{"all but a foreign account denied", k, `"Effect": "Deny", ` + all + `"Action": "kms:*"` + when(`"StringNotEquals": {"aws:PrincipalAccount": ["444455556666", "111122223334"]}`), nil, []string{"KMS006 error"}},
		{"all but a foreign account and services denied", k, `"Effect": "Deny", ` + all + `"Action": "kms:*"` +
			when(`"StringNotEquals": {"aws:PrincipalAccount": "444455556666"}, "Bool": {"aws:PrincipalIsAWSService": "false"}`), nil, []string{"KMS006 error"}},
		{"all but the owner and services denied", k, `"Effect": "Deny", ` + all + `"Action": "kms:*"` +
			when(`"StringNotEquals": {"kms:CallerAccount": "111122223333"}, "Bool": {"aws:PrincipalIsAWSService": "false"}`), nil, nil},
		{"services denied", k, `"Effect": "Deny", ` + all + `"Action": "kms:*"` + when(`"Bool": {"aws:PrincipalIsAWSService": "true"}`), nil, nil},
		{"a foreign account denied", k, `"Effect": "Deny", ` + all + `"Action": "kms:*"` + when(`"StringEquals": {"aws:PrincipalAccount": "444455556666"}`), nil, nil},
		{"all but two accounts denied", k, `"Effect": "Deny", ` + all + `"Action": "kms:*"` + when(`"StringNotEquals": {"aws:PrincipalAccount": ["444455556666", "111122223333"]}`), nil, nil},
		{"all without TLS denied", k, `"Effect": "Deny", ` + all + `"Action": "kms:*"` + when(`"Bool": {"aws:SecureTransport": "false"}`), nil, nil},
		{"all denied something else", k, `"Effect": "Deny", ` + all + `"Action": "kms:ScheduleKeyDeletion"`, nil, nil},

		// KMS007
		{"not these resources", k, own + decrypt + `, "NotResource": "arn:aws:kms:eu-west-1:111122223333:key/x"`, nil, []string{"KMS007 error"}},
		{"deny all but these", k, `"Effect": "Deny", ` + own + `"NotAction": "kms:PutKeyPolicy"`, nil, nil},
	}
}

func TestLintLockout(t *testing.T) {
	decrypt := `{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/r"}, "Action": "kms:Decrypt", "Resource": "*"}`
	for _, c := range []struct {
		name, statement string
		want            []string
	}{
		{"nobody", decrypt, []string{"KMS006 error"}},
		{"a role", `{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/r"}, "Action": "kms:*", "Resource": "*"}`, []string{"KMS006 warning"}},
		{"the account on a condition", `{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*",
			"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}`, []string{"KMS006 warning"}},
		{"the account, bounded", `{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*",
			"Condition": {"StringEquals": {"kms:CallerAccount": "111122223333"}}}`, []string{"KMS006 warning"}},
		{"the account may only decrypt", `{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:Decrypt", "Resource": "*"}`, []string{"KMS006 error"}},
		{"the account denied", `{"Effect": "Deny", "Principal": {"AWS": "111122223333"}, "Action": "kms:GetKeyPolicy", "Resource": "*"}`, []string{"KMS006 error"}},
		{"the account", `{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:Put*", "Resource": "*"}`, nil},
	} {
		found := policy.LintText([]byte(`{"Version": "2012-10-17", "Statement": [`+c.statement+`]}`), policy.LintContext{Kind: policy.KindKey, Owner: lintOwner})
		if d := gocmp.Diff(c.want, lintLines(found, -1)); d != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, d)
		}
	}
}

func TestLintKeyManager(t *testing.T) {
	for manager, want := range map[string][]string{"CUSTOMER": nil, "AWS": {"KMS008 error"}, "": {"KMS008 warning"}, "aws": {"KMS008 warning"}} {
		found := policy.LintKeyManager(manager)
		if d := gocmp.Diff(want, lintLines(found, -1)); d != "" {
			t.Errorf("%q (-want +got)\n%s", manager, d)
		}
		checkFindings(t, found, 0)
	}
}

func TestLintChange(t *testing.T) {
	statement := func(sid, action string) policy.Statement {
		return policy.Statement{Sid: sid, Effect: policy.Allow, Principal: &policy.Principal{AWS: []string{lintOwner}}, Action: []string{action}, Resource: []string{"*"}}
	}
	doc := func(all ...policy.Statement) policy.Document {
		return policy.Document{Version: policy.Version, Statements: all}
	}
	theirs, mine, unnamed := statement("Theirs", "kms:Decrypt"), statement("Mine", "kms:Encrypt"), statement("", "kms:Sign")
	for _, c := range []struct {
		name   string
		change policy.PolicyChange
		want   []string
	}{
		{"nothing", policy.PolicyChange{}, nil},
		{"the first policy", policy.PolicyChange{After: doc(mine)}, nil},
		{"the same", policy.PolicyChange{Before: doc(theirs, mine, unnamed), After: doc(unnamed, mine, theirs)}, nil},
		{"one more", policy.PolicyChange{Before: doc(theirs), After: doc(theirs, mine)}, nil},
		{"dropped", policy.PolicyChange{Before: doc(mine, theirs), After: doc(mine)}, []string{"1 KMS010 warning"}},
		{"unnamed dropped", policy.PolicyChange{Before: doc(unnamed, mine), After: doc(mine), Mine: []string{""}}, []string{"0 KMS010 warning"}},
		{"changed", policy.PolicyChange{Before: doc(theirs), After: doc(statement("Theirs", "kms:*"))}, []string{"0 KMS010 warning"}},
		{"mine dropped", policy.PolicyChange{Before: doc(theirs, mine), After: doc(theirs), Mine: []string{"Mine"}}, nil},
		{"all dropped", policy.PolicyChange{Before: doc(theirs, mine), Mine: []string{"Mine"}}, []string{"-1 KMS010 warning", "0 KMS010 warning"}},
		{"another version", policy.PolicyChange{Before: policy.Document{Statements: doc(theirs).Statements}, After: doc(theirs)}, []string{"-1 KMS010 warning"}},
		{"bypass", policy.PolicyChange{Before: doc(theirs), After: doc(theirs), BypassLockoutCheck: true}, []string{"-1 KMS006 error"}},
	} {
		found := policy.LintChange(c.change)
		if d := gocmp.Diff(c.want, lintLines(found, 99)); d != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, d)
		}
		checkFindings(t, found, len(c.change.Before.Statements))
	}
	// What Merge does loses nothing.
	before := doc(theirs, mine, unnamed)
	after, _, err := before.Merge(statement("Mine", "kms:Decrypt"), statement("New", "kms:Decrypt"))
	if err != nil {
		t.Fatal(err)
	}
	if found := policy.LintChange(policy.PolicyChange{Before: before, After: after, Mine: []string{"Mine", "New"}}); len(found) > 0 {
		t.Errorf("merging loses: %v", found)
	}
}
