package policy_test

import (
	"fmt"

	"github.com/snapwarden/snapwarden/policy"
)

// A bucket's policy gets the statement that lets ElastiCache in, and keeps what others wrote.
func ExampleDocument_Merge() {
	theirs, err := policy.ParseDocument([]byte(`{"Version": "2012-10-17", "Statement": [{"Sid": "Theirs", "Effect": "Deny", "Principal": "*",
		"Action": "s3:DeleteBucket", "Resource": "arn:aws:s3:::exports"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	export, err := policy.ExportStatement("exports", "eu-west-1")
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		var done policy.Merged
		theirs, done, err = theirs.Merge(export)
		fmt.Println(len(theirs.Statements), "statements, added:", done.Added, "changed:", done.Changed(), err)
	}
	_, err = policy.ExportStatement("*", "eu-west-1")
	fmt.Println(err)
	// Output:
	// 2 statements, added: [SnapwardenElastiCacheExport] changed: true <nil>
	// 2 statements, added: [] changed: false <nil>
	// S3 bucket name "*": '*' is not a small letter, a digit, a hyphen or a dot at offset 0
}
