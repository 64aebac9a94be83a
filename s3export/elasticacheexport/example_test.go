package elasticacheexport_test

import (
	"context"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// A snapshot is exported to a bucket that does not let ElastiCache in yet; the refusal says what is missing; mended, the export passes, and its
// file is streamed back.
func Example() {
	ctx := context.Background()
	cache := elasticachesim.Service()
	world := awssim.New(cache, s3sim.Service())
	world.SetSpeed(100_000) // an hour in 36 milliseconds
	cfg := world.Config("111122223333", "eu-west-1")
	if err := prepare(ctx, cfg, world, cache); err != nil {
		fmt.Println(err)
		return
	}

	strategy := elasticacheexport.NewFromConfig(cfg, func(s *elasticacheexport.Settings) { s.PollMin, s.PollMax = 1, 1 })
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		fmt.Println(err)
		return
	}
	export := func(token string) backup.Operation {
		op, err := strategy.Start(ctx, elasticache.Snapshot("111122223333", "eu-west-1", "nightly"), backup.Spec{
			Token: token, Name: "nightly", Options: elasticacheexport.Options{Bucket: "exports-111122223333"},
		})
		if err != nil {
			fmt.Println(err)
			return op
		}
		op, _ = runner.Run(ctx, op) // the Operation says how it went
		return op
	}
	first := export("first try")
	fmt.Println(first.Phase, first.Findings[0].ID)

	statement, err := policy.ExportStatement("exports-111122223333", "eu-west-1")
	if err != nil {
		fmt.Println(err)
		return
	}
	document, _, err := policy.Document{}.Merge(statement)
	if err != nil {
		fmt.Println(err)
		return
	}
	open, err := document.Encode(policy.MaxBucketPolicy)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := awss3.NewFromConfig(cfg).PutBucketPolicy(ctx, &awss3.PutBucketPolicyInput{Bucket: aws.String("exports-111122223333"), Policy: &open}); err != nil {
		fmt.Println(err)
		return
	}
	second := export("second try")
	fmt.Println(second.Phase, second.Points[0].ID)

	// Whoever does not have the Operation any more names the export by its bucket and its name.
	file, err := strategy.Open(ctx, elasticacheexport.Export("111122223333", "eu-west-1", "exports-111122223333", "nightly"), "0001")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	fmt.Printf("%.5s %v\n", data, err)
	// Output:
	// failed elasticacheexport.grant-read
	// succeeded exports-111122223333/nightly.manifest.json
	// REDIS <nil>
}

// prepare makes a cluster with a snapshot, and a bucket.
func prepare(ctx context.Context, cfg aws.Config, world *awssim.World, cache *elasticachesim.ElastiCache) error {
	_, err := awselasticache.NewFromConfig(cfg).CreateCacheCluster(ctx, &awselasticache.CreateCacheClusterInput{
		CacheClusterId: aws.String("sessions"), CacheNodeType: aws.String("cache.t4g.small"), Engine: aws.String("redis"), NumCacheNodes: aws.Int32(1),
	})
	if err != nil {
		return err
	}
	if err := cache.AddSnapshots(world, "111122223333", "eu-west-1", "sessions", nil, "nightly"); err != nil {
		return err
	}
	_, err = awss3.NewFromConfig(cfg).CreateBucket(ctx, &awss3.CreateBucketInput{
		Bucket: aws.String("exports-111122223333"), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: "eu-west-1"},
	})
	return err
}
