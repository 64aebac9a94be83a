package protect_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
	"github.com/snapwarden/snapwarden/s3export/protect"
)

// What elasticacheexport lists in Points is protected as it stands: the export, and its copy in another Region.
func TestOfElastiCacheExport(t *testing.T) {
	const far, farBucket = "eu-central-1", "my-exports-far"
	synctest.Test(t, func(t *testing.T) {
		cache := elasticachesim.Service()
		b := &bed{TB: t, store: s3sim.Service()}
		b.world = awssim.New(cache, b.store)
		cfg := b.world.Config(account, region)
		b.s3, b.s = awss3.NewFromConfig(cfg), protect.NewFromConfig(cfg)
		b.bucket(bucket, true)
		_, err := awss3.NewFromConfig(b.world.Config(account, far)).CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String(farBucket), ObjectLockEnabledForBucket: aws.Bool(true),
			CreateBucketConfiguration: bucketIn(far)})
		b.ok(err)
		st, err := policy.ExportStatement(bucket, region)
		b.ok(err)
		text, err := json.Marshal(policy.Document{Version: policy.Version, Statements: []policy.Statement{st}})
		b.ok(err)
		_, err = b.s3.PutBucketPolicy(t.Context(), &awss3.PutBucketPolicyInput{Bucket: aws.String(bucket), Policy: aws.String(string(text))})
		b.ok(err)
		_, err = awselasticache.NewFromConfig(cfg).CreateReplicationGroup(t.Context(), &awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("three"), ReplicationGroupDescription: aws.String("three shards"),
			CacheNodeType: aws.String("cache.r6g.large"), Engine: aws.String("redis"), NumNodeGroups: aws.Int32(3), AutomaticFailoverEnabled: aws.Bool(true), CacheParameterGroupName: aws.String("default.redis7.cluster.on")})
		b.ok(err)
		time.Sleep(4 * time.Hour)
		b.ok(cache.AddSnapshots(b.world, account, region, "three", nil, "sharded"))
		time.Sleep(time.Hour)

		exports := elasticacheexport.New(func(_ context.Context, account, region string) (elasticacheexport.Clients, error) {
			cfg := b.world.Config(account, region)
			return elasticacheexport.Clients{ElastiCache: awselasticache.NewFromConfig(cfg), S3: awss3.NewFromConfig(cfg)}, nil
		})
		b.s = protect.New(func(_ context.Context, account, region string) (*awss3.Client, error) {
			return awss3.NewFromConfig(b.world.Config(account, region)), nil
		})
		runner, err := backup.NewRunner([]backup.Strategy{exports, b.s})
		b.ok(err)
		op, err := exports.Start(t.Context(), elasticache.Snapshot(account, region, "sharded"), backup.Spec{Token: "export", Options: elasticacheexport.Options{Bucket: bucket}})
		b.ok(err)
		op, err = runner.Run(t.Context(), op)
		b.ok(err)
		copied, err := exports.StartCopy(t.Context(), op.Points[0], backup.Destination{Region: far}, backup.Spec{Token: "copy", Options: elasticacheexport.CopyOptions{Bucket: farBucket}})
		b.ok(err)
		copied, err = runner.Run(t.Context(), copied)
		b.ok(err)
		for _, point := range slices.Concat(op.Points, copied.Points) {
			lock, err := b.s.StartProtect(t.Context(), point, backup.Spec{Token: "lock", Options: protect.LockOptions{Retention: year(), LegalHold: policy.LegalHoldOn}})
			b.ok(err)
			lock, err = runner.Run(t.Context(), lock)
			b.ok(err)
			b.ended(lock, "")
			files, err := b.s.Files(t.Context(), point)
			b.ok(err)
			for _, f := range files {
				if f.LegalHold != policy.LegalHoldOn || f.Retention.Until.IsZero() {
					t.Errorf("%v: %+v", point, f)
				}
			}
			if len(files) != 4 {
				t.Errorf("%v has %d files", point, len(files))
			}
		}
	})
}
