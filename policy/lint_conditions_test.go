package policy_test

import (
	"strings"

	"github.com/snapwarden/snapwarden/policy"
)

func conditionCases() []lintCase {
	const own = `"Principal": {"AWS": "arn:aws:iam::111122223333:role/admin"}, "Action": "kms:Decrypt", "Condition": `
	k := policy.KindKey
	weak := []string{"KMS009 warning"}
	return []lintCase{
		{"if it exists", k, own + `{"StringEqualsIfExists": {"kms:ViaService": "rds.eu-west-1.amazonaws.com"}}`, nil, weak},
		{"null", k, own + `{"Null": {"kms:ViaService": "false"}}`, nil, weak},
		{"for all values", k, own + `{"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": "aws:rds:db-id"}}`, nil, weak},
		{"for any value", k, own + `{"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "aws:rds:db-id"}}`, nil, nil},
		{"for all tag keys", k, own + `{"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}`, nil, nil},
		{"if it exists in a deny", k, `"Effect": "Deny", ` + own + `{"StringEqualsIfExists": {"kms:ViaService": "rds.eu-west-1.amazonaws.com"}}`, nil, nil},
		{"exact", k, own + `{"StringEquals": {"kms:ViaService": "rds.eu-west-1.amazonaws.com"}}`, nil, nil},
		{"a misspelt key", k, own + `{"StringEquals": {"kms:ViaServices": "rds.eu-west-1.amazonaws.com"}}`, nil, weak},
		{"a misspelt key in a deny", k, `"Effect": "Deny", ` + own + `{"StringEquals": {"aws:SourceAcount": "111122223333"}}`, nil, weak},
		{"a key of no service", k, own + `{"StringEquals": {"decrypt": "x"}}`, nil, weak},
		{"a key of an unknown service", k, own + `{"StringEquals": {"glacier:ArchiveAgeInDays": "x"}}`, nil, weak},
		{"a misspelt operator", k, own + `{"StringEqual": {"kms:ViaService": "rds.eu-west-1.amazonaws.com"}}`, nil, weak},
		{"an encryption context", k, own + `{"StringEquals": {"kms:EncryptionContext:aws:rds:db-id": "db-1"}}`, nil, nil},
		{"an encryption context of nothing", k, own + `{"StringEquals": {"kms:EncryptionContext:": "db-1"}}`, nil, weak},
		{"a tag of the principal", k, own + `{"StringEquals": {"aws:PrincipalTag/team": "data"}}`, nil, nil},
		{"a tag of no name", k, own + `{"StringEquals": {"aws:PrincipalTag/": "data"}}`, nil, weak},
		{"a provider's key", policy.KindTrust, `"Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"},
			"Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {"token.actions.githubusercontent.com:sub": "repo:x/y:ref:refs/heads/main"}}`, nil, nil},
		{"keys of the services", policy.KindIdentity, `"Action": "ec2:ModifySnapshotAttribute", "Resource": "arn:aws:ec2:eu-west-1::snapshot/snap-0123456789abcdef0",
			"Condition": {"StringEquals": {"ec2:Add/userId": "444455556666", "ec2:ResourceTag/snapwarden:owner": "x", "rds:snapshot-tag/a": "b", "ec2:CreateAction": "CreateSnapshot"},
			"NumericLessThan": {"s3:TlsVersion": "1.2"}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}`, nil, nil},
		{"more keys of the services", policy.KindIdentity, `"Action": "rds:DescribeDBSnapshots", "Resource": "*", "Condition": {"StringEquals": {"rds:DatabaseEngine": "mysql",
			"elasticache:KmsKeyId": "x", "secretsmanager:SecretId": "x", "iam:PassedToService": "x", "sts:ExternalId": "x", "sns:Protocol": "https", "backup:CopyTargets": "x",
			"s3:x-amz-acl": "private", "secretsmanager:resource/AllowRotationLambdaArn": "x", "kms:RecipientAttestation:PCR0": "x", "ec2:Attribute/Name": "x"}}`, nil, nil},
		{"a long key", k, own + `{"StringEquals": {"` + strings.Repeat("é", 60) + `": "x"}}`, nil, weak},
	}
}

func serviceCases() []lintCase {
	t, b := policy.KindTrust, policy.KindBucket
	const (
		export  = `"Principal": {"Service": "export.rds.amazonaws.com"}, "Action": "sts:AssumeRole"`
		cache   = `"Principal": {"Service": "eu-west-1.elasticache-snapshot.amazonaws.com"}, "Action": "s3:PutObject"`
		foreign = `"Principal": {"AWS": "arn:aws:iam::444455556666:role/janitor"}, "Action": "sts:AssumeRole"`
		oidc    = `"Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/example.com"}, "Action": "sts:AssumeRoleWithWebIdentity"`
	)
	when := func(c string) string { return `, "Condition": {` + c + `}` }
	return []lintCase{
		// CD001 of services
		{"a service that sends its source", t, export, nil, []string{"CD001 error"}},
		{"a service in other letters", t, `"Principal": {"Service": "Export.RDS.amazonaws.com"}, "Action": "sts:AssumeRole"`, nil, []string{"CD001 error"}},
		{"a service that may not", b, cache, nil, []string{"CD001 warning"}},
		{"both", b, `"Principal": {"Service": ["elasticache.amazonaws.com", "logging.s3.amazonaws.com"]}, "Action": "s3:PutObject"`, nil, []string{"CD001 error"}},
		{"with the account", t, export + when(`"StringEquals": {"aws:SourceAccount": "111122223333"}`), nil, nil},
		{"with a resource", t, export + when(`"ArnLike": {"aws:SourceArn": "arn:aws:rds:*:111122223333:snapshot:*"}`), nil, nil},
		{"with a bucket", b, `"Principal": {"Service": "s3.amazonaws.com"}, "Action": "s3:PutObject"` + when(`"ArnLike": {"aws:SourceArn": "arn:aws:s3:::source"}`), nil, nil},
		{"with any bucket", b, `"Principal": {"Service": "s3.amazonaws.com"}, "Action": "s3:PutObject"` + when(`"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}`), nil, []string{"CD001 error"}},
		{"with any resource", t, export + when(`"ArnLike": {"aws:SourceArn": "*"}`), nil, []string{"CD001 error"}},
		{"with a variable", t, export + when(`"ArnLike": {"aws:SourceArn": "arn:aws:rds:eu-west-1:111122223333:${aws:SourceArn}"}`), nil, []string{"CD001 error"}},
		{"with any account", t, export + when(`"StringLike": {"aws:SourceAccount": "*"}`), nil, []string{"CD001 error"}},
		{"with one of two", t, export + when(`"StringLike": {"aws:SourceAccount": ["111122223333", "*"]}`), nil, []string{"CD001 error"}},
		{"with the account if it is sent", t, export + when(`"StringEqualsIfExists": {"aws:SourceAccount": "111122223333"}`), nil, []string{"CD001 error", "KMS009 warning"}},
		{"with not this account", t, export + when(`"StringNotEquals": {"aws:SourceAccount": "444455556666"}`), nil, []string{"CD001 error"}},
		{"with the organization", t, export + when(`"StringEquals": {"aws:SourceOrgID": "o-abc"}`), nil, nil},
		{"with the organization's path", t, export + when(`"ForAnyValue:StringLike": {"aws:SourceOrgPaths": "o-abc/r-x/*"}`), nil, nil},
		{"with any organization", t, export + when(`"ForAnyValue:StringLike": {"aws:SourceOrgPaths": "o-*/r-x/*"}`), nil, []string{"CD001 error"}},
		{"with something else", t, export + when(`"StringEquals": {"aws:RequestedRegion": "eu-west-1"}`), nil, []string{"CD001 error"}},
		{"with a stranger's account", t, export + when(`"StringEquals": {"aws:SourceAccount": "444455556666"}`), nil, []string{"ACC001 warning"}},
		{"with a stranger's resource", t, export + when(`"ArnLike": {"aws:SourceArn": "arn:aws:rds:*:444455556666:snapshot:*"}`), nil, []string{"ACC001 warning"}},
		{"with the account, and not a stranger's", t, export + when(`"StringLike": {"aws:SourceAccount": "111122223333"}, "StringNotEquals": {"aws:SourceAccount": "444455556666"}`), nil, nil},
		{"with a trusted account", t, export + when(`"StringEquals": {"aws:SourceAccount": "444455556666"}`), trusting, nil},
		{"a service denied", b, `"Effect": "Deny", ` + cache, nil, nil},
		// CD001 of others
		{"another account without an id", t, foreign, nil, []string{"ACC001 warning", "CD001 error"}},
		{"another account with an id", t, foreign + when(`"StringEquals": {"sts:ExternalId": "x-1"}`), nil, []string{"ACC001 warning"}},
		{"another account with any id", t, foreign + when(`"StringLike": {"sts:ExternalId": "*"}`), nil, []string{"ACC001 warning", "CD001 error"}},
		{"another account with its own word", t, foreign + when(`"StringEquals": {"sts:ExternalId": "${aws:PrincipalTag/id}"}`), nil, []string{"ACC001 warning", "CD001 error"}},
		{"a trusted account without an id", t, foreign, trusting, []string{"CD001 warning"}},
		{"a trusted account with an id", t, foreign + when(`"StringEquals": {"sts:ExternalId": "x-1"}`), trusting, nil},
		{"the own account", t, `"Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"`, nil, nil},
		{"tagging a session", t, `"Principal": {"AWS": "444455556666"}, "Action": "sts:TagSession"`, trusting, nil},
		{"a provider without a condition", t, oidc, nil, []string{"CD001 warning"}},
		{"a provider denied", t, `"Effect": "Deny", ` + oidc, nil, nil},
		{"everyone with an id", t, `"Principal": "*", "Action": "sts:AssumeRole"` + when(`"StringEquals": {"sts:ExternalId": "x-1"}`), nil, []string{"KMS001 error"}},
		// ACC001
		{"another account in a bucket", b, `"Principal": {"AWS": "444455556666"}, "Action": "s3:GetObject"`, nil, []string{"ACC001 warning"}},
		{"a trusted account in a bucket", b, `"Principal": {"AWS": "444455556666"}, "Action": "s3:GetObject"`, trusting, nil},
		{"neither", b, `"Principal": {"AWS": "777788889999"}, "Action": "s3:GetObject"`, trusting, []string{"ACC001 error"}},
		{"neither, for a key", policy.KindKey, `"Principal": {"AWS": "arn:aws:iam::777788889999:role/r"}, "Action": "kms:Decrypt"`, trusting, []string{"ACC001 error"}},
		{"neither is denied", b, `"Effect": "Deny", "Principal": {"AWS": "777788889999"}, "Action": "s3:GetObject"`, trusting, nil},
		{"a deleted role", policy.KindKey, `"Principal": {"AWS": "AROAEXAMPLEEXAMPLE"}, "Action": "kms:Decrypt"`, nil, []string{"ACC001 warning"}},
		{"a placeholder", policy.KindKey, `"Principal": {"AWS": "arn:aws:iam::<DestinationAccount>:root"}, "Action": "kms:Decrypt"`, nil, []string{"ACC001 warning"}},
		{"of another partition", policy.KindKey, `"Principal": {"AWS": "arn:aws-cn:iam::111122223333:role/r"}, "Action": "kms:Decrypt"`, nil, []string{"ACC001 warning"}},
		{"of any partition", policy.KindKey, `"Principal": {"AWS": "arn:aws-cn:iam::111122223333:role/r"}, "Action": "kms:Decrypt"`,
			func(c *policy.LintContext) { c.Partition = "" }, nil},
		{"a canonical id", b, `"Principal": {"CanonicalUser": "79a5"}, "Action": "s3:GetObject"`, nil, []string{"ACC001 warning"}},
		{"the owner's canonical id", b, `"Principal": {"CanonicalUser": "79a5"}, "Action": "s3:GetObject"`,
			func(c *policy.LintContext) { c.OwnerCanonicalID = "79a5" }, nil},
	}
}
