package policy_test

import (
	"errors"
	"fmt"

	"github.com/snapwarden/snapwarden/policy"
)

// An error says what was checked, which rule broke and where; a program looks at
// the rule.
func ExampleNameError() {
	err := policy.ValidateRDSSnapshotID("my--snap")
	fmt.Println(err)

	var ne *policy.NameError
	if errors.As(err, &ne) {
		fmt.Println(ne.Rule == policy.RuleDoubleHyphen, ne.Offset)
	}
	// Output:
	// RDS snapshot identifier "my--snap": two hyphens in a row at offset 2
	// true 2
}

// ARNs are built with the partition of the Region, never with a fixed "aws".
func ExamplePartitionOf() {
	for _, region := range []string{"eu-west-1", "us-gov-west-1", "cn-north-1", "us-east-1a"} {
		p, err := policy.PartitionOf(region)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("arn:%s:s3:::backups, s3.%s.%s\n", p.ID, region, p.DNSSuffix)
	}
	// Output:
	// arn:aws:s3:::backups, s3.eu-west-1.amazonaws.com
	// arn:aws-us-gov:s3:::backups, s3.us-gov-west-1.amazonaws.com
	// arn:aws-cn:s3:::backups, s3.cn-north-1.amazonaws.com.cn
	// Region "us-east-1a": an Availability Zone instead of a Region: 'a' at offset 9
}

func ExampleOptIn() {
	fmt.Println(policy.OptIn("us-east-1"), policy.OptIn("ap-east-1"), policy.OptIn("us-gov-west-1"))
	// Output: false true false
}

func ExampleParseARN() {
	arn, err := policy.ParseARN("arn:aws:rds:us-east-1:123456789012:snapshot:rds:orders-2024-01-31")
	fmt.Println(arn.Region, arn.Account, arn.Resource, err)

	_, err = policy.ParseARN("arn:aws:s3:::backups/*")
	fmt.Println(err)
	_, err = policy.ParseARN("arn:aws:rds:cn-north-1:123456789012:db:orders")
	fmt.Println(err)
	// Output:
	// us-east-1 123456789012 snapshot:rds:orders-2024-01-31 <nil>
	// ARN "arn:aws:s3:::backups/*": wildcard or variable character '*' at offset 21
	// ARN "arn:aws:rds:cn-north-1:123456789012:db:orders": Region: cn-north-1 belongs to partition aws-cn instead of aws at offset 12
}

func ExampleValidateAccountID() {
	fmt.Println(policy.ValidateAccountID("123456789012"))
	fmt.Println(policy.ValidateAccountID("1234-5678-9012"))
	// Output:
	// <nil>
	// account id "1234-5678-9012": '-' is not a digit at offset 4
}

func ExampleValidateRDSSnapshotID() {
	fmt.Println(policy.ValidateRDSSnapshotID("orders-2024-01-31"))
	fmt.Println(policy.ValidateRDSSnapshotID("rds:orders-2024-01-31-03-15"))
	// Output:
	// <nil>
	// RDS snapshot identifier "rds:orders-2024-01-31-03-15": begins with the reserved prefix "rds:" at offset 0
}

func ExampleValidateCacheSnapshotName() {
	fmt.Println(policy.ValidateCacheSnapshotName("orders-of-the-whole-company-on-2024-01-31"))
	// Output:
	// ElastiCache snapshot name "orders-of-the-whole-company-on-2024-01-31": longer than 40 characters at offset 40
}

func ExampleValidateSnapshotID() {
	fmt.Println(policy.ValidateSnapshotID("snap-0123456789abcdef0"))
	fmt.Println(policy.ValidateSnapshotID("vol-0123456789abcdef0"))
	// Output:
	// <nil>
	// EBS snapshot id "vol-0123456789abcdef0": "snap-" expected at offset 0
}

// A key is named by its full ARN: an alias means another key in another account.
func ExampleValidateKMSKeyARN() {
	fmt.Println(policy.ValidateKMSKeyARN("arn:aws:kms:us-east-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"))
	fmt.Println(policy.ValidateKMSKeyARN("alias/backups"))
	// Output:
	// <nil>
	// KMS key ARN "alias/backups": "arn:" expected at offset 0
}

func ExampleValidateTags() {
	fmt.Println(policy.ValidateTags(map[string]string{"Name": "orders", "AWS:owner": "me"}))
	// Output:
	// tag key "AWS:owner": begins with the reserved prefix "aws:" at offset 0
}

func ExampleValidateZone() {
	fmt.Println(policy.ValidateZone("us-west-2a", "us-west-2"))
	fmt.Println(policy.ValidateZone("us-west-2a", "us-west-1"))
	// Output:
	// <nil>
	// zone "us-west-2a": Region us-west-1 expected at offset 0
}

// Two spellings of one database.
func ExampleCanonicalName() {
	fmt.Println(policy.CanonicalName("Orders-1") == policy.CanonicalName("orders-1"))
	// Output: true
}

func ExampleIsAutomatedRDSSnapshotID() {
	fmt.Println(policy.IsAutomatedRDSSnapshotID("rds:orders-2024-01-31-03-15"))
	fmt.Println(policy.IsAutomatedRDSSnapshotID("orders-2024-01-31"))
	// Output:
	// true
	// false
}
