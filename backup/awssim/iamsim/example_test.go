package iamsim_test

import (
	"fmt"
	"log"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/policy"
)

// A role of another account wants to read an export. Its own policies allow it, and that is not enough.
func ExampleEvaluate() {
	reader, err := policy.ParseDocument([]byte(`{"Version":"2012-10-17","Statement":{"Sid":"Read","Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::exports/*"}}`))
	if err != nil {
		log.Fatal(err)
	}
	bucket, err := policy.ParseDocument([]byte(`{"Version":"2012-10-17","Statement":{"Sid":"Partner","Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::exports/*",
		"Principal":{"AWS":"arn:aws:iam::444455556666:role/reader"}}}`))
	if err != nil {
		log.Fatal(err)
	}
	q := iamsim.Query{
		Principal: "arn:aws:sts::444455556666:assumed-role/reader/nightly", Identity: []policy.Document{reader},
		Action: "s3:GetObject", Resource: "arn:aws:s3:::exports/orders-0001.rdb", ResourceAccount: "111122223333",
	}
	d := iamsim.Evaluate(q)
	fmt.Println(d.Allowed, d.Reason)
	fmt.Println(d.Missing)
	q.ResourcePolicy = &bucket
	d = iamsim.Evaluate(q)
	fmt.Println(d.Allowed, d.Reason)
	fmt.Println(d.Statement)
	// Output:
	// false implicit deny by resource policy
	// s3:GetObject on arn:aws:s3:::exports/orders-0001.rdb for arn:aws:sts::444455556666:assumed-role/reader/nightly: no statement of the resource's policy allows it to this caller of another account
	// true allowed by identity and resource policy
	// identity policy, statement "Read" and resource policy, statement "Partner"
}

// What a role is denied, and what it has and does not need, after it has done its work.
func ExampleIAM_Unused() {
	const role = "arn:aws:iam::111122223333:role/backup"
	iam := iamsim.Service()
	world := awssim.New(iam)
	iam.Strict(world)
	doc := policy.Document{Version: policy.Version, Statements: []policy.Statement{
		{Sid: "Look", Effect: policy.Allow, Action: []string{"ec2:DescribeVolumes"}, Resource: []string{"*"}},
		{Sid: "Make", Effect: policy.Allow, Action: []string{"ec2:CreateSnapshot", "ec2:DeleteSnapshot"}, Resource: []string{"arn:aws:ec2:eu-west-1::snapshot/*"}},
	}}
	if err := iam.Attach(world, role, doc); err != nil {
		log.Fatal(err)
	}
	// The simulated services ask like this, under the World's lock.
	world.Do("111122223333", "eu-west-1", func(r *awssim.Request) {
		r.Principal = "arn:aws:sts::111122223333:assumed-role/backup/nightly"
		iam.AllowsIdentity(r, "ec2:DescribeVolumes", "*")
		iam.AllowsIdentity(r, "ec2:CreateSnapshot", "arn:aws:ec2:eu-west-1::snapshot/*")
		iam.AllowsIdentity(r, "ec2:CreateTags", "arn:aws:ec2:eu-west-1::snapshot/*")
	})
	fmt.Println("used:", iam.Used(world, role))
	fmt.Println("denied:", iam.Denied(world, role))
	fmt.Println("unused:", iam.Unused(world, role))
	// Output:
	// used: [ec2:CreateSnapshot ec2:DescribeVolumes]
	// denied: [ec2:CreateTags arn:aws:ec2:eu-west-1::snapshot/*]
	// unused: [Make: ec2:DeleteSnapshot]
}
