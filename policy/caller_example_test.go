package policy_test

import (
	"fmt"

	"github.com/snapwarden/snapwarden/policy"
)

// A role that only deletes snapshots which the team's own backups made.
func ExampleRDSDeletePolicy() {
	d, err := policy.RDSDeletePolicy(policy.Scope{Account: "111122223333", Region: "eu-west-1", Owner: "team-a"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(d.Text())
	// Output:
	// {
	//   "Version": "2012-10-17",
	//   "Statement": [
	//     {
	//       "Sid": "SnapwardenRDSDeleteLook",
	//       "Effect": "Allow",
	//       "Action": "rds:DescribeDBSnapshots",
	//       "Resource": [
	//         "arn:aws:rds:eu-west-1:111122223333:db:*",
	//         "arn:aws:rds:eu-west-1:111122223333:snapshot:*"
	//       ]
	//     },
	//     {
	//       "Sid": "SnapwardenRDSDelete",
	//       "Effect": "Allow",
	//       "Action": "rds:DeleteDBSnapshot",
	//       "Resource": "arn:aws:rds:eu-west-1:111122223333:snapshot:*",
	//       "Condition": {
	//         "StringEquals": {
	//           "aws:ResourceTag/snapwarden:owner": "team-a"
	//         }
	//       }
	//     }
	//   ]
	// }
}

// Before a policy is replaced: what would the new one allow that the old one does not?
func ExampleWidens() {
	old, err := policy.ParseDocument([]byte(`{"Version":"2012-10-17","Statement":[
		{"Sid":"Read","Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::exports/*"},
		{"Sid":"OnlyTLS","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::exports/*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	now, err := policy.ParseDocument([]byte(`{"Version":"2012-10-17","Statement":[
		{"Sid":"Read","Effect":"Allow","Principal":{"AWS":["111122223333","444455556666"]},"Action":"s3:Get*","Resource":"arn:aws:s3:::exports/public/*"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, w := range policy.Widens(old, now) {
		fmt.Println(w)
	}
	// Output:
	// Allow statement 0 (Read): nothing like it was allowed before: 444455556666 s3:Get* arn:aws:s3:::exports/public/*
	// Allow statement 0 (Read): it was not allowed before for the action s3:Get*
	// Deny statement 1 (OnlyTLS): no such denial is left: * s3:* arn:aws:s3:::exports/*
}

// A key of account 111122223333, under which another account copies snapshots away.
func ExampleKeyPolicy() {
	d, err := policy.KeyPolicy("aws", "111122223333", policy.KeyShare{
		Service: policy.KeyRDS, Account: "444455556666", Roles: []string{"arn:aws:iam::444455556666:role/copier"}, Regions: []string{"eu-west-1"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range d.Statements {
		fmt.Println(s.Effect, s.Sid, s.Action)
	}
	_, err = policy.KeyPolicy("aws", "111122223333", policy.KeyShare{
		Service: policy.KeyRDS, Account: "444455556666", Roles: []string{"arn:aws:iam::444455556666:root"}, Regions: []string{"eu-west-1"},
	})
	fmt.Println(err)
	// Output:
	// Allow SnapwardenKeyOwner [kms:*]
	// Allow SnapwardenKeyShareRDS444455556666Look [kms:DescribeKey]
	// Allow SnapwardenKeyShareRDS444455556666Use [kms:Decrypt kms:ReEncryptFrom kms:GenerateDataKeyWithoutPlaintext]
	// Allow SnapwardenKeyShareRDS444455556666Grant [kms:CreateGrant]
	// Deny SnapwardenKeyNoOutsideAdministration [kms:PutKeyPolicy kms:ScheduleKeyDeletion kms:DisableKey kms:RevokeGrant kms:DeleteImportedKeyMaterial]
	// role ARN "arn:aws:iam::444455556666:root": the ARN of a role has the form arn:aws:iam::444455556666:role/name
}
