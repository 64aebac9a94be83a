package iamsim_test

import (
	"testing"

	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/policy"
)

// TestDocumented decides the examples that the documentation explains, each as allowed and as denied.
func TestDocumented(t *testing.T) {
	const (
		carlos = "arn:aws:iam::123456789012:user/carlossalazar"
		bob    = "arn:aws:iam::444455556666:user/Bob"
		logs   = `{"Version":"2012-10-17","Statement":[
			{"Sid":"AllowS3ListRead","Effect":"Allow","Action":["s3:GetBucketLocation","s3:ListAllMyBuckets"],"Resource":"arn:aws:s3:::*"},
			{"Sid":"AllowS3Self","Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::carlossalazar/*","arn:aws:s3:::carlossalazar"]},
			{"Sid":"DenyS3Logs","Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::*log*"}]}`
		bucket = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/carlossalazar"},"Action":"s3:*",
			"Resource":["arn:aws:s3:::carlossalazar/*","arn:aws:s3:::carlossalazar"]}}`
		reports = `{"Version":"2012-10-17","Statement":[{"Sid":"AllowGetList","Effect":"Allow","Action":["iam:Get*","iam:List*"],"Resource":"*"},
			{"Sid":"DenyReports","Effect":"Deny","Action":"iam:*Report","Resource":"*"}]}`
		attributes = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"dynamodb:GetItem","Resource":"arn:aws:dynamodb:*:*:table/Thread",
			"Condition":{"ForAllValues:StringLike":{"dynamodb:requestedAttributes":["PostDateTime","Message","Tags"]}}},
			{"Effect":"Allow","Action":"dynamodb:PutItem","Resource":"*"},
			{"Effect":"Deny","Action":"dynamodb:PutItem","Resource":"arn:aws:dynamodb:*:*:table/Thread",
			"Condition":{"ForAnyValue:StringLike":{"dynamodb:requestedAttributes":["ID","PostDateTime"]}}}]}`
		table = "arn:aws:dynamodb:eu-west-1:123456789012:table/Thread"
		types = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*",
			"Condition":{"StringLikeIfExists":{"ec2:InstanceType":["t1.*","t2.*","m3.*"]}}}}`
		typesOnly = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*",
			"Condition":{"StringLike":{"ec2:InstanceType":["t1.*","t2.*","m3.*"]}}}}`
		ownKeys   = `{"Version":"2012-10-17","Statement":{"Action":"ec2:*","Effect":"Allow","Resource":"*","Condition":{"Null":{"aws:TokenIssueTime":"true"}}}}`
		exceptBob = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","NotPrincipal":{"AWS":["arn:aws:iam::444455556666:user/Bob","arn:aws:iam::444455556666:root"]},
			"Action":"s3:*","Resource":["arn:aws:s3:::shared","arn:aws:s3:::shared/*"]},{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}`
		exceptARN = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::shared","arn:aws:s3:::shared/*"],
			"Condition":{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::444455556666:user/Bob"}}},{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}`
		topic = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"SQS:SendMessage","Resource":"arn:aws:sqs:eu-west-1:123456789012:q",
			"Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:sns:eu-west-1:123456789012:topic"}}}}`
		send   = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sqs:*","Resource":"*"}}`
		prefix = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::homes",
			"Condition":{"StringLike":{"s3:prefix":["","home/","home/${aws:username}/"]}}}}`
		insecure = `{"Version":"2012-10-17","Statement":[{"Sid":"BooleanExample","Action":"s3:*","Effect":"Deny","Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"],
			"Condition":{"Bool":{"aws:SecureTransport":"false"}}},{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
		tagged = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:*AccessKey*","Resource":"arn:aws:iam::123456789012:user/*",
			"Condition":{"StringEquals":{"aws:PrincipalTag/job-category":"iamuser-admin"}}}}`
	)
	asked := func(names ...string) values { return values{"dynamodb:requestedAttributes": names} }
	for _, tt := range []struct {
		name             string
		principal        string
		identity         string
		resource         string // policy
		action           string
		on               string
		owner            string
		context          values
		want             iamsim.Reason
		statementOfPlace string
	}{
		{"Carlos saves to a bucket for logs", carlos, logs, "", "s3:PutObject", "arn:aws:s3:::carlossalazar-logs/a", "", nil, iamsim.DeniedExplicitly, `identity policy, statement "DenyS3Logs"`},
		{"Carlos saves to his own", carlos, logs, bucket, "s3:PutObject", "arn:aws:s3:::carlossalazar/a", "", nil, iamsim.AllowedByIdentity, `identity policy, statement "AllowS3Self"`},
		{"Carlos with the bucket's policy alone", carlos, "", bucket, "s3:PutObject", "arn:aws:s3:::carlossalazar/a", "", nil, iamsim.AllowedByResource, "resource policy, statement 0"},
		{"another with the bucket's policy alone", "arn:aws:iam::123456789012:user/dora", "", bucket, "s3:PutObject", "arn:aws:s3:::carlossalazar/a", "", nil, iamsim.DeniedByIdentity, ""},
		{"Carlos lists buckets", carlos, logs, "", "s3:ListAllMyBuckets", "arn:aws:s3:::*", "", nil, iamsim.AllowedByIdentity, `identity policy, statement "AllowS3ListRead"`},
		{"reading a policy", carlos, reports, "", "iam:GetPolicy", "*", "", nil, iamsim.AllowedByIdentity, `identity policy, statement "AllowGetList"`},
		{"making one", carlos, reports, "", "iam:CreatePolicy", "*", "", nil, iamsim.DeniedByIdentity, ""},
		{"a report", carlos, reports, "", "iam:GetOrganizationsAccessReport", "*", "", nil, iamsim.DeniedExplicitly, `identity policy, statement "DenyReports"`},
		{"some attributes", carlos, attributes, "", "dynamodb:GetItem", table, "", asked("PostDateTime", "Message"), iamsim.AllowedByIdentity, "identity policy, statement 0"},
		{"an attribute too many", carlos, attributes, "", "dynamodb:GetItem", table, "", asked("PostDateTime", "UserName"), iamsim.DeniedByIdentity, ""},
		{"a forbidden attribute", carlos, attributes, "", "dynamodb:PutItem", table, "", asked("UserName", "Message", "PostDateTime"), iamsim.DeniedExplicitly, "identity policy, statement 2"},
		{"no forbidden attribute", carlos, attributes, "", "dynamodb:PutItem", table, "", asked("UserName"), iamsim.AllowedByIdentity, "identity policy, statement 1"},
		{"an image has no type", carlos, types, "", "ec2:RunInstances", "arn:aws:ec2:eu-west-1::image/ami-1", "", nil, iamsim.AllowedByIdentity, "identity policy, statement 0"},
		{"a small instance", carlos, types, "", "ec2:RunInstances", "arn:aws:ec2:eu-west-1:123456789012:instance/*", "", values{"ec2:InstanceType": {"t2.nano"}}, iamsim.AllowedByIdentity, "identity policy, statement 0"},
		{"a large instance", carlos, types, "", "ec2:RunInstances", "arn:aws:ec2:eu-west-1:123456789012:instance/*", "", values{"ec2:InstanceType": {"c5.24xlarge"}}, iamsim.DeniedByIdentity, ""},
		{"the policy that does not work", carlos, typesOnly, "", "ec2:RunInstances", "arn:aws:ec2:eu-west-1::image/ami-1", "", nil, iamsim.DeniedByIdentity, ""},
		{"long-lived keys", carlos, ownKeys, "", "ec2:DescribeVolumes", "*", "", nil, iamsim.AllowedByIdentity, "identity policy, statement 0"},
		{"temporary keys", carlos, ownKeys, "", "ec2:DescribeVolumes", "*", "", values{"aws:TokenIssueTime": {"2026-01-01T00:00:00Z"}}, iamsim.DeniedByIdentity, ""},
		{"Bob", bob, send, exceptBob, "s3:GetObject", "arn:aws:s3:::shared/a", "444455556666", nil, iamsim.AllowedByResource, "resource policy, statement 1"},
		{"not Bob", carlos, "", exceptBob, "s3:GetObject", "arn:aws:s3:::shared/a", "", nil, iamsim.DeniedExplicitly, "resource policy, statement 0"},
		{"Bob by condition", bob, "", exceptARN, "s3:GetObject", "arn:aws:s3:::shared/a", "", values{"aws:PrincipalArn": {bob}}, iamsim.AllowedByResource, "resource policy, statement 1"},
		{"not Bob by condition", carlos, "", exceptARN, "s3:GetObject", "arn:aws:s3:::shared/a", "", values{"aws:PrincipalArn": {carlos}}, iamsim.DeniedExplicitly, "resource policy, statement 0"},
		{"a topic of the account", carlos, send, topic, "sqs:SendMessage", "arn:aws:sqs:eu-west-1:123456789012:q", "", values{"aws:SourceArn": {"arn:aws:sns:eu-west-1:123456789012:topic"}}, iamsim.AllowedByIdentity, "identity policy, statement 0"},
		{"no topic, a user directly", carlos, "", topic, "sqs:SendMessage", "arn:aws:sqs:eu-west-1:123456789012:q", "", nil, iamsim.DeniedByIdentity, ""},
		{"one's own folder", carlos, prefix, "", "s3:ListBucket", "arn:aws:s3:::homes", "", values{"s3:prefix": {"home/carlos/"}, "aws:username": {"carlos"}}, iamsim.AllowedByIdentity, "identity policy, statement 0"},
		{"the top", carlos, prefix, "", "s3:ListBucket", "arn:aws:s3:::homes", "", values{"s3:prefix": {""}, "aws:username": {"carlos"}}, iamsim.AllowedByIdentity, "identity policy, statement 0"},
		{"another's folder", carlos, prefix, "", "s3:ListBucket", "arn:aws:s3:::homes", "", values{"s3:prefix": {"home/dora/"}, "aws:username": {"carlos"}}, iamsim.DeniedByIdentity, ""},
		{"without TLS", carlos, insecure, "", "s3:GetObject", "arn:aws:s3:::b/a", "", values{"aws:SecureTransport": {"false"}}, iamsim.DeniedExplicitly, `identity policy, statement "BooleanExample"`},
		{"with TLS", carlos, insecure, "", "s3:GetObject", "arn:aws:s3:::b/a", "", values{"aws:SecureTransport": {"true"}}, iamsim.AllowedByIdentity, "identity policy, statement 1"},
		{"with the tag", carlos, tagged, "", "iam:UpdateAccessKey", carlos, "", values{"aws:PrincipalTag/job-category": {"iamuser-admin"}}, iamsim.AllowedByIdentity, "identity policy, statement 0"},
		{"without the tag", carlos, tagged, "", "iam:UpdateAccessKey", carlos, "", nil, iamsim.DeniedByIdentity, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := iamsim.Query{Principal: tt.principal, Action: tt.action, Resource: tt.on, ResourceAccount: tt.owner, Context: tt.context, ResourcePolicy: parsed(t, tt.resource)}
			if d := parsed(t, tt.identity); d != nil {
				q.Identity = []policy.Document{*d}
			}
			if d := check(t, q, tt.want); d.Statement != tt.statementOfPlace {
				t.Errorf("decided by %q, want %q", d.Statement, tt.statementOfPlace)
			}
		})
	}
}

// TestBackupKey decides what the other account may do with the key of a backup that is copied between accounts: with the policy that is often
// published for it, and with a narrow one.
func TestBackupKey(t *testing.T) {
	const copier = "arn:aws:sts::444455556666:assumed-role/backup-copier/nightly"
	wide := parse(t, `{"Version":"2012-10-17","Statement":[
		{"Sid":"Owner","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"},
		{"Sid":"Administration","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":["kms:Create*","kms:Describe*","kms:Enable*","kms:List*","kms:Put*",
			"kms:Update*","kms:Revoke*","kms:Disable*","kms:Get*","kms:Delete*","kms:ScheduleKeyDeletion","kms:CancelKeyDeletion"],"Resource":"*"}]}`)
	narrow := parse(t, `{"Version":"2012-10-17","Statement":[
		{"Sid":"Owner","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"},
		{"Sid":"Look","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:role/backup-copier"},"Action":"kms:DescribeKey","Resource":"*"},
		{"Sid":"Use","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:role/backup-copier"},"Action":["kms:Decrypt","kms:ReEncryptFrom"],"Resource":"*",
			"Condition":{"StringEquals":{"kms:ViaService":"rds.eu-west-1.amazonaws.com","kms:CallerAccount":"444455556666"}}},
		{"Sid":"Grant","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:role/backup-copier"},"Action":"kms:CreateGrant","Resource":"*",
			"Condition":{"Bool":{"kms:GrantIsForAWSResource":"true"}}},
		{"Sid":"NoOutsideAdmin","Effect":"Deny","Principal":"*","Action":["kms:PutKeyPolicy","kms:ScheduleKeyDeletion","kms:RevokeGrant"],"Resource":"*",
			"Condition":{"StringNotEquals":{"aws:PrincipalAccount":"111122223333"},"Bool":{"aws:PrincipalIsAWSService":"false"}}}]}`)
	direct := values{"aws:PrincipalAccount": {other}, "aws:PrincipalIsAWSService": {"false"}, "kms:CallerAccount": {other}, "kms:GrantIsForAWSResource": {"false"}}
	through := values{"aws:PrincipalAccount": {other}, "aws:PrincipalIsAWSService": {"false"}, "kms:CallerAccount": {other}, "kms:GrantIsForAWSResource": {"true"},
		"kms:ViaService": {"rds.eu-west-1.amazonaws.com"}}
	service := values{"aws:PrincipalIsAWSService": {"true"}}
	const both, noRes, no = iamsim.AllowedByBoth, iamsim.DeniedByResource, iamsim.DeniedExplicitly
	for _, tt := range []struct {
		name      string
		key       policy.Document
		principal string
		action    string
		context   values
		want      iamsim.Reason
	}{
		{"alive", wide, copier, "kms:CreateGrant", direct, both},
		{"alive", wide, copier, "kms:RevokeGrant", direct, both},
		{"alive", wide, copier, "kms:ListGrants", direct, both},
		{"alive", wide, copier, "kms:DescribeKey", direct, both},
		{"a dead letter", wide, copier, "kms:PutKeyPolicy", direct, noRes},
		{"a dead letter", wide, copier, "kms:ScheduleKeyDeletion", direct, noRes},
		{"a dead letter", wide, copier, "kms:DisableKey", direct, noRes},
		{"a dead letter", wide, copier, "kms:GetKeyPolicy", direct, noRes},
		{"not for use", wide, copier, "kms:Decrypt", direct, noRes},
		{"look", narrow, copier, "kms:DescribeKey", direct, both},
		{"use through RDS", narrow, copier, "kms:Decrypt", through, both},
		{"use directly", narrow, copier, "kms:Decrypt", direct, noRes},
		{"grant through RDS", narrow, copier, "kms:CreateGrant", through, both},
		{"grant directly", narrow, copier, "kms:CreateGrant", direct, noRes},
		{"revoke", narrow, copier, "kms:RevokeGrant", through, no},
		{"revoke as a service", narrow, "rds.amazonaws.com", "kms:RevokeGrant", service, noRes},
		{"another role", narrow, "arn:aws:sts::444455556666:assumed-role/another/x", "kms:DescribeKey", direct, noRes},
		{"the owner", narrow, user, "kms:ScheduleKeyDeletion", values{"aws:PrincipalAccount": {home}, "aws:PrincipalIsAWSService": {"false"}}, both},
	} {
		t.Run(tt.name+" "+tt.action, func(t *testing.T) {
			check(t, iamsim.Query{Principal: tt.principal, Action: tt.action, Resource: keyARN, ResourceAccount: home, KeyPolicy: true, Context: tt.context,
				Identity: documents(allow("*", "kms:*")), ResourcePolicy: &tt.key}, tt.want)
		})
	}
}
