package policy_test

import (
	"fmt"
	"time"

	"github.com/snapwarden/snapwarden/policy"
)

// The tour of the package's comment: a bucket for exports gets its policy, its lifecycle and its retention, and whoever exports gets a role.
func Example() {
	failed := func(err error) bool {
		if err != nil {
			fmt.Println(err)
		}
		return err != nil
	}
	failed(policy.ValidateBucketName("my_exports"))
	if p, err := policy.PartitionOf("cn-north-1"); !failed(err) {
		fmt.Println(p.ID)
	}

	theirs, err := policy.ParseDocument([]byte(`{"Version": "2012-10-17", "Statement": {"Sid": "Theirs", "Effect": "Deny", "Principal": "*",
		"Action": "s3:DeleteBucket", "Resource": "arn:aws:s3:::exports"}}`))
	if failed(err) {
		return
	}
	export, err := policy.ExportStatement("exports", "eu-west-1")
	if failed(err) {
		return
	}
	tls, err := policy.DenyInsecureTransport("exports", "eu-west-1")
	if failed(err) {
		return
	}
	mine, done, err := theirs.Merge(export, tls)
	if failed(err) {
		return
	}
	text, err := mine.Encode(policy.MaxBucketPolicy)
	if failed(err) {
		return
	}
	fmt.Println(done.Added, len(text) > 0)
	for _, w := range policy.Widens(theirs, mine) {
		fmt.Println(w.Effect, w.Sid, w.Element)
	}
	for _, f := range policy.Lint(mine, policy.LintContext{Kind: policy.KindBucket, Owner: "111122223333"}) {
		fmt.Println(f.ID, f.Severity, f.Place)
	}

	caller, err := policy.RDSDeletePolicy(policy.Scope{Account: "111122223333", Region: "eu-west-1", Owner: "team-a"})
	if failed(err) {
		return
	}
	fmt.Println(caller.Statements[1].Action, caller.Statements[1].Condition)
	trust, err := policy.ExportRole{Account: "111122223333", Region: "eu-west-1", Bucket: "exports"}.Trust()
	if failed(err) {
		return
	}
	fmt.Println(trust.Statements[0].Principal.Service)

	theirRules := []policy.LifecycleRule{{ID: "logs", Prefix: "logs/", ExpireDays: 30}}
	rules, done, err := policy.MergeLifecycle(theirRules, []policy.LifecycleRule{{ID: "exports", Prefix: "nightly-", ExpireDays: 90, AbortUploadsDays: 7}})
	if failed(err) {
		return
	}
	fmt.Println(len(rules), done.Added)
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	kept := policy.Retention{Until: now.AddDate(0, 0, 90)}
	if failed(kept.Validate(now)) {
		return
	}
	fmt.Println(kept.To(policy.Retention{Until: now.AddDate(0, 0, 30)}, now) != nil)
	// Output:
	// S3 bucket name "my_exports": '_' is not a small letter, a digit, a hyphen or a dot at offset 2
	// aws-cn
	// [SnapwardenElastiCacheExport SnapwardenDenyInsecureTransport] true
	// Allow SnapwardenElastiCacheExport Statement
	// CD001 warning Statement[1].Principal.Service
	// [rds:DeleteDBSnapshot] map[StringEquals:map[aws:ResourceTag/snapwarden:owner:[team-a]]]
	// [export.rds.amazonaws.com]
	// 2 [exports]
	// true
}
