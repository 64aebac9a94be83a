package rdsexport_test

import (
	"context"
	"fmt"
	"path"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/rds"
	"github.com/snapwarden/snapwarden/s3export/rdsexport"
)

// One table of a snapshot is exported. The first task fails, and the Operation says why; mended, the second passes, and its files are listed.
func Example() {
	ctx := context.Background()
	db := rdssim.Service()
	world := awssim.New(db, s3sim.Service(), kmssim.Service())
	world.SetSpeed(1e6) // an hour in 3.6 milliseconds
	cfg := world.Config("111122223333", "eu-west-1")
	key, snapshot, err := prepare(ctx, cfg, world, db)
	if err != nil {
		fmt.Println(err)
		return
	}

	strategy := rdsexport.NewFromConfig(cfg, func(s *rdsexport.Settings) { s.PollMin, s.PollMax = 1, 1 })
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		fmt.Println(err)
		return
	}
	export := func(token string) backup.Operation {
		op, err := strategy.Start(ctx, snapshot, backup.Spec{Token: token, Name: "audit", Options: rdsexport.Options{
			Bucket: "exports-111122223333", Prefix: "rds/orders", RoleARN: "arn:aws:iam::111122223333:role/rds-export", KeyARN: key,
			Only: []string{"shop.public.orders"},
		}})
		if err != nil {
			fmt.Println(err)
			return op
		}
		op, _ = runner.Run(ctx, op) // the Operation says how it went
		return op
	}

	db.FailExports(world, "The RDS export failed to write the export task's metadata because it can't assume the IAM role [rds-export].")
	first := export("first try")
	fmt.Println(first.Phase, first.Findings[0].ID)
	fmt.Println(first.Failure.Hint)

	db.FailExports(world, "")
	second := export("second try")
	fmt.Println(second.Phase)
	for f, err := range strategy.Files(ctx, second.Points[0]) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(path.Ext(f.Key), f.Size > 0)
	}
	// Output:
	// failed rdsexport.role-trust
	// let the service export.rds.amazonaws.com assume the role arn:aws:iam::111122223333:role/rds-export in its trust policy (sts:AssumeRole), and check that the role exists
	// succeeded
	// .json true
	// .json true
	//  false
	// .parquet true
}

// prepare makes a bucket, a key, and an instance with a snapshot.
func prepare(ctx context.Context, cfg aws.Config, world *awssim.World, db *rdssim.RDS) (key string, snapshot backup.Ref, err error) {
	if _, err := awss3.NewFromConfig(cfg).CreateBucket(ctx, &awss3.CreateBucketInput{
		Bucket: aws.String("exports-111122223333"), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: "eu-west-1"},
	}); err != nil {
		return "", snapshot, err
	}
	made, err := awskms.NewFromConfig(cfg).CreateKey(ctx, &awskms.CreateKeyInput{})
	if err != nil {
		return "", snapshot, err
	}
	db.SeedInstances(world, "111122223333", "eu-west-1", "orders", 1, nil)
	strategy := rds.NewFromConfig(cfg, func(o *rds.Options) { o.PollMin, o.PollMax = 1, 1 })
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		return "", snapshot, err
	}
	op, err := strategy.Start(ctx, rds.Instance("111122223333", "eu-west-1", "orders-00001"), backup.Spec{Token: "tonight"})
	if err == nil {
		op, err = runner.Run(ctx, op)
	}
	if err != nil {
		return "", snapshot, err
	}
	return *made.KeyMetadata.Arn, op.Points[0], nil
}
