package protect_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export"
	"github.com/snapwarden/snapwarden/s3export/protect"
)

// An export is held for a year, and the bucket is to move exports to a cheaper class and delete them after that year.
func Example() {
	ctx := context.Background()
	world := awssim.New(s3sim.Service())
	world.SetSpeed(100_000)
	cfg := world.Config("111122223333", "eu-west-1")
	export, err := exported(ctx, awss3.NewFromConfig(cfg))
	if err != nil {
		fmt.Println(err)
		return
	}

	strategy := protect.NewFromConfig(cfg, func(s *protect.Settings) { s.Poll = time.Millisecond })
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		fmt.Println(err)
		return
	}
	night := time.Now().UTC().Truncate(24 * time.Hour) // and not the moment: a restart must ask for the same
	lock, err := strategy.StartProtect(ctx, export, backup.Spec{Token: backup.NewToken(export, night.String()), Options: protect.LockOptions{
		Retention: policy.Retention{Until: night.AddDate(1, 0, 0)},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	lock, err = runner.Run(ctx, lock)
	fmt.Println(lock.Phase, err)

	files, err := strategy.Files(ctx, export)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range files {
		fmt.Println(f.Key, f.Retention.Mode, f.Retention.Until.After(time.Now().AddDate(0, 11, 0)))
	}

	rules, err := strategy.StartLifecycle(ctx, protect.Bucket("111122223333", "eu-west-1", "exports-111122223333"), backup.Spec{
		Token: "rules of 2026", Options: protect.LifecycleOptions{Rules: []policy.LifecycleRule{{
			ID: "snapwarden-exports", Prefix: "nightly-", ExpireDays: 366, ExpireOlderDays: 7,
			Transitions: []policy.Transition{{Days: 1, Class: policy.ClassGlacierIR}},
		}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	rules, err = runner.Run(ctx, rules)
	fmt.Println(rules.Phase, err)
	// Output:
	// succeeded <nil>
	// nightly-0001.rdb GOVERNANCE true
	// nightly.manifest.json GOVERNANCE true
	// succeeded <nil>
}

// exported makes a bucket with Object Lock and an export in it, as package elasticacheexport does.
func exported(ctx context.Context, client *awss3.Client) (export backup.Ref, err error) {
	export = backup.Ref{Type: s3export.TypeElastiCache, Account: "111122223333", Region: "eu-west-1", ID: "exports-111122223333/nightly.manifest.json"}
	if _, err := client.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String("exports-111122223333"), ObjectLockEnabledForBucket: aws.Bool(true),
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: "eu-west-1"}}); err != nil {
		return export, err
	}
	manifest, err := s3export.Manifest{Version: s3export.ManifestVersion, Operation: "op-1", Name: "nightly", Bucket: "exports-111122223333", Account: "111122223333", Region: "eu-west-1",
		Engine: "valkey", EngineVersion: "8.0.1", Source: backup.Ref{Type: "elasticache/snapshot", Account: "111122223333", Region: "eu-west-1", ID: "daily"}, Exported: time.Now().UTC(),
		Shards: []s3export.Shard{{ID: "0001", Key: "nightly-0001.rdb", Size: 9, SHA256: strings.Repeat("0a", 32), Format: "VALKEY", RDBVersion: 80}}}.Encode()
	if err != nil {
		return export, err
	}
	for _, f := range []struct {
		key  string
		data []byte
	}{{"nightly-0001.rdb", []byte("VALKEY080")}, {"nightly.manifest.json", manifest}} {
		if _, err := client.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String("exports-111122223333"), Key: &f.key, Body: bytes.NewReader(f.data)}); err != nil {
			return export, err
		}
	}
	return export, nil
}
