package objectcopy_test

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// An object of 20 GiB is copied to another Region, under a KMS key of that Region. A second copy to the same place is refused.
func Example() {
	ctx := context.Background()
	store := s3sim.Service()
	world := awssim.New(store)
	cfg := world.Config("111122223333", "eu-central-1")
	for region, bucket := range map[string]string{"eu-west-1": "exports", "eu-central-1": "exports-far"} {
		_, err := awss3.NewFromConfig(world.Config("111122223333", region)).CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String(bucket),
			CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}})
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	store.Generate(world, "eu-west-1", "exports", "nightly-0001.rdb", 20<<30, 1)

	strategy := objectcopy.NewFromConfig(cfg)
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, token := range []string{"2026-11-20", "2026-11-21"} {
		op, err := strategy.Start(ctx, objectcopy.Object("111122223333", "eu-west-1", "exports", "nightly-0001.rdb"), backup.Spec{
			Token: token,
			Options: objectcopy.Options{
				Region: "eu-central-1", Bucket: "exports-far", StorageClass: s3types.StorageClassStandardIa,
				Encryption: objectcopy.SSEKMS{KeyARN: "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"},
			},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		op, err = runner.Run(ctx, op)
		fmt.Println(op.Phase, op.Points)
		if err != nil {
			fmt.Println(backup.CodeOf(err), "-", backup.HintOf(err))
		}
	}
	fmt.Println("the same bytes:", store.Same(world, "eu-west-1", "exports", "nightly-0001.rdb", "eu-central-1", "exports-far", "nightly-0001.rdb"))
	// Output:
	// succeeded [s3/object:111122223333:eu-central-1:exports-far/nightly-0001.rdb]
	// failed []
	// conflict - a copy never overwrites: choose another Options.Key, or remove the object
	// the same bytes: true
}
