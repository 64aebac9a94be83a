package s3sim_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
)

// The real client runs on the simulation; a conditional write refuses to overwrite.
func Example() {
	ctx := context.Background()
	store := s3sim.Service()
	world := awssim.New(store)
	client := awss3.NewFromConfig(world.Config("111122223333", "eu-west-1"))

	_, err := client.CreateBucket(ctx, &awss3.CreateBucketInput{
		Bucket: aws.String("exports"), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: "eu-west-1"},
	})
	fmt.Println("bucket:", err)
	for range 2 {
		_, err = client.PutObject(ctx, &awss3.PutObjectInput{
			Bucket: aws.String("exports"), Key: aws.String("nightly.manifest.json"), Body: strings.NewReader("{}"), IfNoneMatch: aws.String("*"),
		})
		var refused smithy.APIError
		if errors.As(err, &refused) {
			fmt.Println("object:", refused.ErrorCode())
			continue
		}
		fmt.Println("object:", err)
	}
	fmt.Println(len(store.Objects(world, "eu-west-1", "exports")), "object")
	// Output:
	// bucket: <nil>
	// object: <nil>
	// object: PreconditionFailed
	// 1 object
}
