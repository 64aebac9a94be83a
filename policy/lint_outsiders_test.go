package policy_test

import "github.com/snapwarden/snapwarden/policy"

// organizationCases are about whole organizations, which are foreign until they are declared.
func organizationCases() []lintCase {
	k, b, tr := policy.KindKey, policy.KindBucket, policy.KindTrust
	const (
		ours    = `, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-ours"}}`
		two     = `, "Condition": {"StringEquals": {"aws:PrincipalOrgID": ["o-ours", "o-theirs"]}}`
		within  = `, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-ours", "aws:PrincipalAccount": "444455556666"}}`
		decrypt = `"Principal": "*", "Action": "kms:Decrypt"`
		read    = `"Principal": "*", "Action": "s3:GetObject"`
		assume  = `"Principal": "*", "Action": "sts:AssumeRole"`
		export  = `"Principal": {"Service": "export.rds.amazonaws.com"}, "Action": "sts:AssumeRole"`
		works   = `, "Condition": {"StringEquals": {"aws:SourceOrgID": "o-ours"}}`
		path    = `, "Condition": {"ForAnyValue:StringLike": {"aws:SourceOrgPaths": "o-ours/r-x/*"}}`
	)
	trustingOrg := func(c *policy.LintContext) { c.Trusted = []string{"o-ours"} }
	return []lintCase{
		{"an organization and a key", k, decrypt + ours, nil, nil},
		{"an organization and a key, not declared", k, decrypt + ours, trusting, []string{"ACC001 error"}},
		{"an organization and a key, declared", k, decrypt + ours, trustingOrg, nil},
		{"an organization administers a key, declared", k, `"Principal": "*", "Action": "kms:PutKeyPolicy"` + ours, trustingOrg, []string{"KMS002 error"}},
		{"no organization", k, decrypt + `, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-"}}`, nil, []string{"KMS001 error"}},
		{"two organizations, one declared", k, decrypt + two, trustingOrg, []string{"ACC001 error"}},
		{"a declared account in an organization", k, decrypt + within, trusting, []string{"KMS003 warning"}},
		{"an account in a declared organization", k, decrypt + within, trustingOrg, []string{"ACC001 error", "KMS003 warning"}},
		{"an organization and a bucket", b, read + ours, nil, []string{"ACC001 warning"}},
		{"an organization and a bucket, not declared", b, read + ours, trusting, []string{"ACC001 error"}},
		{"an organization and a bucket, declared", b, read + ours, trustingOrg, nil},
		{"an organization deletes", b, `"Principal": "*", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]` + ours, trustingOrg, []string{"S3001 error"}},
		{"an organization and a role", tr, assume + ours, nil, []string{"ACC001 warning", "CD001 error"}},
		{"an organization and a role, not declared", tr, assume + ours, trusting, []string{"ACC001 error", "CD001 error"}},
		{"an organization and a role, declared", tr, assume + ours, trustingOrg, []string{"CD001 warning"}},
		{"a service for an organization, not declared", tr, export + works, trusting, []string{"ACC001 error"}},
		{"a service for an organization, declared", tr, export + works, trustingOrg, nil},
		{"a service for a part of an organization, not declared", tr, export + path, trusting, []string{"ACC001 error"}},
		{"a service for a part of an organization, declared", tr, export + path, trustingOrg, nil},
	}
}

// providerCases are about those who come with a token or an assertion.
func providerCases() []lintCase {
	tr := policy.KindTrust
	const (
		github = `"Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"}, "Action": "sts:AssumeRoleWithWebIdentity"`
		other  = `"Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/id.example.com/Tenant"}, "Action": "sts:AssumeRoleWithWebIdentity"`
		aud    = `"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"`
		saml   = `"Action": "sts:AssumeRoleWithSAML", "Condition": {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}}`
	)
	when := func(c string) string { return `, "Condition": {` + c + `}` }
	return []lintCase{
		{"only an audience", tr, github + when(`"StringEquals": {`+aud+`}`), nil, []string{"CD001 error"}},
		{"no condition", tr, github, nil, []string{"CD001 error"}},
		{"a subject", tr, github + when(`"StringEquals": {`+aud+`, "token.actions.githubusercontent.com:sub": "repo:a/b:ref:refs/heads/main"}`), nil, nil},
		{"a subject in other letters", tr, github + when(`"StringEquals": {"Token.Actions.GitHubUserContent.com:Sub": "repo:a/b:ref:refs/heads/main"}`), nil, nil},
		{"subjects that begin alike", tr, github + when(`"StringLike": {"token.actions.githubusercontent.com:sub": "repo:a/b:*"}`), nil, nil},
		{"any subject", tr, github + when(`"StringLike": {"token.actions.githubusercontent.com:sub": ["repo:a/b:*", "*"]}`), nil, []string{"CD001 error"}},
		{"a subject, if there is one", tr, github + when(`"StringEqualsIfExists": {"token.actions.githubusercontent.com:sub": "repo:a/b:x"}`), nil, []string{"CD001 error", "KMS009 warning"}},
		{"not a subject", tr, github + when(`"StringNotEquals": {"token.actions.githubusercontent.com:sub": "repo:a/b:x"}`), nil, []string{"CD001 error"}},
		{"another provider's subject", tr, github + when(`"StringEquals": {"gitlab.com:sub": "x"}`), nil, []string{"CD001 error"}},
		{"a provider of one's own", tr, other + when(`"StringEquals": {"id.example.com/Tenant:aud": "x"}`), nil, []string{"CD001 warning"}},
		{"a group at a provider of one's own", tr, other + when(`"StringEquals": {"id.example.com/tenant:groups": "x"}`), nil, nil},
		{"an audience of SAML", tr, `"Principal": {"Federated": "arn:aws:iam::111122223333:saml-provider/x"}, ` + saml, nil, nil},
		{"a provider of another account", tr, `"Principal": {"Federated": "arn:aws:iam::999999999999:saml-provider/x"}, ` + saml, nil, []string{"ACC001 warning"}},
		{"a provider of another account, not declared", tr, `"Principal": {"Federated": "arn:aws:iam::999999999999:saml-provider/x"}, ` + saml, trusting, []string{"ACC001 error"}},
		{"a provider of a declared account", tr, `"Principal": {"Federated": "arn:aws:iam::444455556666:saml-provider/x"}, ` + saml, trusting, nil},
		{"no key of SAML", tr, `"Principal": {"Federated": "arn:aws:iam::111122223333:saml-provider/x"}, "Action": "sts:AssumeRoleWithSAML", "Condition": {"StringEquals": {"SAML:audience": "x"}}`, nil, []string{"KMS009 warning"}},
	}
}

// deniedCases are about what a Deny makes of the owner's own right to change the policy.
func deniedCases() []lintCase {
	const all = `"Effect": "Deny", "Principal": "*", "Action": "kms:*"`
	var cases []lintCase
	for _, c := range []struct{ name, condition, want string }{
		{"the owner by its account", `"StringEquals": {"aws:PrincipalAccount": "111122223333"}`, "KMS006 error"},
		{"the owner as the caller", `"StringEquals": {"kms:CallerAccount": ["444455556666", "111122223333"]}`, "KMS006 error"},
		{"the owner by a pattern", `"StringLike": {"aws:PrincipalAccount": "1111*"}`, "KMS006 error"},
		{"the owner, if it says so", `"StringEqualsIfExists": {"aws:PrincipalAccount": "111122223333"}`, "KMS006 error"},
		{"all but a pattern of the owner", `"StringNotLike": {"aws:PrincipalAccount": "1111*"}`, ""},
		{"all but another pattern", `"StringNotLike": {"aws:PrincipalAccount": "4444*"}`, "KMS006 error"},
		{"whoever has an account", `"Null": {"aws:PrincipalAccount": "false"}`, "KMS006 error"},
		{"whoever has no account", `"Null": {"aws:PrincipalAccount": "true"}`, ""},
		{"an account by itself", `"StringEquals": {"aws:PrincipalAccount": "${aws:PrincipalAccount}"}`, "KMS006 warning"},
		{"whoever uses TLS", `"Bool": {"aws:SecureTransport": "true"}`, "KMS006 error"},
		{"whoever uses TLS or not", `"Bool": {"aws:SecureTransport": ["false", "true"]}`, "KMS006 error"},
		{"whoever uses no TLS, for the owner", `"Bool": {"aws:SecureTransport": "false"}, "StringEquals": {"aws:PrincipalAccount": "111122223333"}`, ""},
		{"whoever bypasses the check", `"Bool": {"kms:BypassPolicyLockoutSafetyCheck": "true"}`, ""},
		{"all who come by no service", `"StringNotEquals": {"kms:ViaService": "ec2.eu-west-1.amazonaws.com"}`, "KMS006 error"},
		{"all who come by a service", `"StringEquals": {"kms:ViaService": "ec2.eu-west-1.amazonaws.com"}`, ""},
		{"all who come by a service, or by none", `"StringEqualsIfExists": {"kms:ViaService": "ec2.eu-west-1.amazonaws.com"}`, "KMS006 error"},
		{"services that work for others, and all that are none", `"StringNotEquals": {"aws:SourceAccount": "111122223333"}`, "KMS006 error"},
		{"services that work for others", `"StringNotEquals": {"aws:SourceAccount": "111122223333"}, "Bool": {"aws:PrincipalIsAWSService": "true"}`, ""},
		{"sources that are not these", `"ArnNotLike": {"aws:SourceArn": "arn:aws:rds:*:111122223333:*"}`, "KMS006 error"},
		{"some value that is not there", `"ForAnyValue:StringNotEquals": {"aws:CalledVia": "ec2.amazonaws.com"}`, ""},
		{"all values, of which there is none", `"ForAllValues:StringEquals": {"aws:CalledVia": "ec2.amazonaws.com"}`, "KMS006 error"},
		{"all but a role", `"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/admin"}`, "KMS006 warning"},
		{"all outside of an organization", `"StringNotEquals": {"aws:PrincipalOrgID": "o-ours"}`, "KMS006 warning"},
		{"all in an organization", `"StringEquals": {"aws:PrincipalOrgID": "o-ours"}`, "KMS006 warning"},
		{"all at an address", `"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}`, "KMS006 warning"},
		{"an operator of ARNs", `"ArnEquals": {"aws:PrincipalAccount": "111122223333"}`, "KMS006 warning"},
		{"an operator of numbers", `"NumericEquals": {"aws:PrincipalAccount": "111122223333"}`, "KMS006 warning"},
		{"an account at an address", `"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}, "StringEquals": {"aws:PrincipalAccount": "444455556666"}`, ""},
	} {
		var want []string
		if c.want != "" {
			want = []string{c.want}
		}
		cases = append(cases, lintCase{"denied: " + c.name, policy.KindKey, all + `, "Condition": {` + c.condition + `}`, nil, want})
	}
	return append(cases,
		lintCase{"denied: one role of the owner, on what is not known", policy.KindKey, `"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::111122223333:role/r"}, "Action": "kms:*", "Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}`, nil, nil},
		lintCase{"denied: something else, on what is not known", policy.KindKey, `"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}`, nil, nil},
		lintCase{"denied: the owner is not known", policy.KindKey, all + `, "Condition": {"StringNotEquals": {"aws:PrincipalAccount": "444455556666"}}`,
			func(c *policy.LintContext) { c.Owner = "" }, []string{"-1 KMS006 error", "0 KMS002 error", "0 KMS003 warning", "0 KMS004 error", "0 KMS005 error", "KMS006 warning"}})
}

// nameCases are about what names something, and what only seems to.
func nameCases() []lintCase {
	i, b := policy.KindIdentity, policy.KindBucket
	janitor := func(c *policy.LintContext) { c.MayDelete = true }
	requested := `, "Condition": {"StringEquals": {"aws:RequestTag/snapwarden:owner": "team"}}`
	var cases []lintCase
	for _, c := range []struct{ action, resource, want string }{
		{"rds:DeleteDBSnapshot", "arn:aws:rds:eu-west-1:111122223333:snapshot:*-*", "IAM001 error"},
		{"rds:DeleteDBInstance", "arn:aws:rds:eu-west-1:111122223333:db:*o*", "IAM001 error"},
		{"rds:DeleteDBInstance", "arn:aws:rds:eu-west-1:111122223333:db:?rders", "IAM001 error"},
		{"rds:DeleteDBInstance", "arn:aws:rds:eu-west-1:111122223333:db:or*", "IAM001 error"},
		{"rds:DeleteDBInstance", "arn:aws:rds:eu-west-1:111122223333:db:ord*", ""},
		{"rds:DeleteDBInstance", "arn:aws:rds:eu-west-1:111122223333:db:o", ""},
		{"rds:DeleteDBSnapshot", "arn:aws:rds:eu-west-1:111122223333:snapshot:rds:*", "IAM001 error"},
		{"rds:DeleteDBSnapshot", "arn:aws:rds:eu-west-1:111122223333:snapshot:rds:orders-*", ""},
		{"elasticache:DeleteSnapshot", "arn:aws:elasticache:eu-west-1:111122223333:snapshot:automatic.*", "IAM001 error"},
		{"elasticache:DeleteSnapshot", "arn:aws:elasticache:eu-west-1:111122223333:snapshot:automatic.sessions-*", ""},
		{"ec2:DeleteSnapshot", "arn:aws:ec2:eu-west-1::snapshot/snap-0*", "IAM001 error"},
		{"ec2:DeleteSnapshot", "arn:aws:ec2:eu-west-1::snapshot/snap-0123456789abcdef0", ""},
		{"sns:DeleteTopic", "arn:aws:sns:eu-west-1:111122223333:*t", "IAM001 error"},
		{"sns:DeleteTopic", "arn:aws:sns:eu-west-1:111122223333:night-*", ""},
	} {
		var want []string
		if c.want != "" {
			want = []string{c.want}
		}
		cases = append(cases, lintCase{"named: " + c.action + " " + c.resource, i, `"Action": "` + c.action + `", "Resource": "` + c.resource + `"`, janitor, want})
	}
	foreign := func(action string) string {
		return `"Principal": {"AWS": "arn:aws:iam::444455556666:role/r"}, "Action": "` + action + `", "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]`
	}
	for _, a := range []string{"s3:DeleteObject", "s3:PutBucketNotification", "s3:PutBucketWebsite", "s3:PutInventoryConfiguration", "s3:PutBucketCORS", "s3:PutBucketLogging"} {
		cases = append(cases, lintCase{"a foreign account has " + a, b, foreign(a), trusting, []string{"S3001 error"}})
	}
	return append(cases,
		lintCase{"a key by a part of its id", i, `"Action": "kms:Decrypt", "Resource": "arn:aws:kms:eu-west-1:111122223333:key/mrk-*"`, nil, nil},
		lintCase{"carrying out by the tag of the request", i, `"Action": "elasticache:CopySnapshot", "Resource": "*"` + requested, nil, []string{"IAM004 error"}},
		lintCase{"carrying out what only seems to be named", i, `"Action": "elasticache:CopySnapshot", "Resource": "arn:aws:elasticache:*:*:snapshot:*-*"`, nil, []string{"IAM004 warning"}},
		lintCase{"deleting by the tag of the request", i, `"Action": "ec2:DeleteTags", "Resource": "*"` + requested, janitor, []string{"IAM001 error"}},
		lintCase{"deleting by the tag of RDS's request", i, `"Action": "rds:DeleteDBSnapshot", "Resource": "*", "Condition": {"StringEquals": {"rds:req-tag/owner": "team"}}`, janitor, []string{"IAM001 error"}},
		lintCase{"deleting by RDS's tag", i, `"Action": "rds:DeleteDBSnapshot", "Resource": "arn:aws:rds:eu-west-1:111122223333:snapshot:*", "Condition": {"StringEquals": {"rds:snapshot-tag/owner": "team"}}`, janitor, nil},
		lintCase{"writing by the tag of the request", i, `"Action": "rds:CreateDBSnapshot", "Resource": "*"` + requested, nil, []string{"IAM002 error"}},
	)
}
