package stssim_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/stssim"
)

// One account takes on a role in another, and acts there with the credentials that it was given.
func Example() {
	ctx := context.Background()
	world := awssim.New(stssim.Service())
	here := awssts.NewFromConfig(world.Config("111122223333", "eu-west-1"))
	role, err := here.AssumeRole(ctx, &awssts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::444455556666:role/backup"), RoleSessionName: aws.String("nightly")})
	if err != nil {
		log.Fatal(err)
	}
	there := awssts.NewFromConfig(world.ConfigFor("eu-west-1", aws.Credentials{
		AccessKeyID: *role.Credentials.AccessKeyId, SecretAccessKey: *role.Credentials.SecretAccessKey, SessionToken: *role.Credentials.SessionToken}))
	who, err := there.GetCallerIdentity(ctx, &awssts.GetCallerIdentityInput{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(*who.Account, *who.Arn)
	// Output: 444455556666 arn:aws:sts::444455556666:assumed-role/backup/nightly
}
