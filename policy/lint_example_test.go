package policy_test

import (
	"fmt"

	"github.com/snapwarden/snapwarden/policy"
)

// A key's policy is looked at before it is applied. The first statement is the usual one and right; the second gives another account too much.
func ExampleLintText() {
	text := []byte(`{"Version": "2012-10-17", "Statement": [
		{"Sid": "Owner", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
		{"Sid": "Copies", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
		 "Action": ["kms:Decrypt", "kms:Sched*", "kms:CreateGrant"], "Resource": "*"}]}`)
	for _, f := range policy.LintText(text, policy.LintContext{Kind: policy.KindKey, Owner: "111122223333"}) {
		fmt.Println(f.ID, f.Severity, f.Sid, f.Place)
		fmt.Println("   ", f.Remedy)
	}
	// Output:
	// KMS002 error Copies Statement[1].Action
	//     Remove these actions: only the key's own account administers it
	// KMS003 warning Copies Statement[1].Principal
	//     Name the role that uses the key
	// KMS004 error Copies Statement[1].Action
	//     Put kms:CreateGrant into a statement of its own with Bool kms:GrantIsForAWSResource true
	// KMS005 error Copies Statement[1].Action
	//     List the actions one by one
}

// A policy is refused where it has an error; warnings are shown to a person.
func ExampleLint() {
	findings := policy.Lint(policy.PublishedExportCallerPolicy(), policy.LintContext{Kind: policy.KindIdentity, Owner: "111122223333"})
	for _, f := range findings {
		fmt.Println(f)
	}
	// Output:
	// error IAM001 at Statement[0].Action: "s3:DeleteObject" deletes, and neither names nor tags bound it. Move deletion into a role of its own, bounded to names or owner tags; never give the destruction of keys, vaults or locks.
	// error S3002 at Statement[0].Resource: "s3:GetBucketLocation", "s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket" on "arn:aws:s3:::*": every bucket, also other people's. Name the bucket, and put s3:ListAllMyBuckets into a statement of its own.
}
