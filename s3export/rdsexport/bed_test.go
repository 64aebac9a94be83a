package rdsexport_test

import (
	"context"
	"os"
	"runtime/debug"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/backup/awssim/stssim"
	"github.com/snapwarden/snapwarden/rds"
	"github.com/snapwarden/snapwarden/s3export/rdsexport"
)

const (
	account = "111122223333"
	foreign = "444455556666"
	region  = "eu-west-1"
	bucket  = "my-exports"
	role    = "arn:aws:iam::111122223333:role/service/rds-export"
)

// The sweep makes thousands of small worlds; collecting them less often saves a third of the time.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}

// bed is a world with the snapshot "nightly" of a PostgreSQL instance, a bucket and a key.
type bed struct {
	testing.TB
	ctx   context.Context
	world *awssim.World
	db    *rdssim.RDS
	store *s3sim.S3
	api   *awsrds.Client
	s3    *awss3.Client
	kms   *awskms.Client
	s     *rdsexport.Strategy
	key   string
	point backup.Ref
}

// newBed makes a bed; more are further services of its World.
func newBed(t testing.TB, more ...awssim.Service) *bed {
	b := &bed{TB: t, ctx: t.Context(), db: rdssim.Service(), store: s3sim.Service()}
	b.world = awssim.New(append(more, b.db, b.store, kmssim.Service(), stssim.Service())...)
	cfg := b.world.Config(account, region)
	b.api, b.s3, b.kms, b.s = awsrds.NewFromConfig(cfg), awss3.NewFromConfig(cfg), awskms.NewFromConfig(cfg), rdsexport.NewFromConfig(cfg)
	b.bucket(cfg, bucket)
	key, err := b.kms.CreateKey(b.ctx, &awskms.CreateKeyInput{})
	b.ok(err)
	b.key = *key.KeyMetadata.Arn
	b.db.SeedInstances(b.world, account, region, "orders", 1, nil)
	b.point = b.snapshot("nightly", "orders-00001")
	return b
}

func (b *bed) bucket(cfg aws.Config, name string) {
	b.Helper()
	_, err := awss3.NewFromConfig(cfg).CreateBucket(b.ctx, &awss3.CreateBucketInput{Bucket: &name,
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(cfg.Region)}})
	b.ok(err)
}

// instance makes an instance of an engine and waits for it.
func (b *bed) instance(id, engine, storage string) {
	b.Helper()
	_, err := b.api.CreateDBInstance(b.ctx, &awsrds.CreateDBInstanceInput{DBInstanceIdentifier: &id, DBInstanceClass: aws.String("db.m6g.large"), Engine: &engine,
		AllocatedStorage: aws.Int32(20), StorageType: &storage})
	b.ok(err)
	time.Sleep(4 * time.Hour)
}

// snapshot makes a snapshot and waits for it.
func (b *bed) snapshot(id, of string) backup.Ref {
	b.Helper()
	_, err := b.api.CreateDBSnapshot(b.ctx, &awsrds.CreateDBSnapshotInput{DBInstanceIdentifier: &of, DBSnapshotIdentifier: &id})
	b.ok(err)
	time.Sleep(4 * time.Hour)
	return rds.Snapshot(account, region, id)
}

func bubble(t *testing.T, f func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newBed(t)) })
}

func (b *bed) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bed) options() rdsexport.Options {
	return rdsexport.Options{Bucket: bucket, Prefix: "rds/daily", RoleARN: role, KeyARN: b.key}
}

func (b *bed) start(fs ...func(*rdsexport.Options)) backup.Operation {
	b.Helper()
	o := b.options()
	for _, f := range fs {
		f(&o)
	}
	op, err := b.s.Start(b.ctx, b.point, backup.Spec{Token: "token", Options: o})
	b.ok(err)
	return op
}

// run carries an Operation to its end, without a Store.
func (b *bed) run(op backup.Operation) backup.Operation {
	b.Helper()
	runner, err := backup.NewRunner([]backup.Strategy{b.s})
	b.ok(err)
	op, err = runner.Run(b.ctx, op)
	if !op.Done() {
		b.Fatal(err)
	}
	return op
}

// step takes one Step when it is due, as a Runner with a Store would.
func (b *bed) step(op backup.Operation) (backup.Operation, error) {
	time.Sleep(time.Until(op.Poll))
	if op.Next != "" {
		op.Attempt++
	}
	return b.s.Step(b.ctx, op)
}

// until steps to a stage, and no further than the end; errors are looked at again later.
func (b *bed) until(op backup.Operation, stages ...string) backup.Operation {
	b.Helper()
	for range 5000 {
		for _, s := range stages {
			if op.Stage == s {
				return op
			}
		}
		if op.Done() {
			return op
		}
		var err error
		if op.Next != "" {
			op.Attempt++
		}
		time.Sleep(time.Until(op.Poll))
		if op, err = b.s.Step(b.ctx, op); err != nil {
			time.Sleep(time.Minute)
		}
	}
	b.Fatalf("no end: %+v", op)
	return op
}

// count tells how often an operation reached AWS.
func (b *bed) count(operation string) (n int) {
	for _, c := range b.world.Calls() {
		if c.Operation == operation {
			n++
		}
	}
	return n
}

// task gives the only export task that there is.
func (b *bed) task() rdssim.Export {
	b.Helper()
	all := b.db.Exports(b.world, account, region)
	if len(all) != 1 {
		b.Fatalf("there are %d export tasks", len(all))
	}
	return all[0]
}

func (b *bed) ids(op backup.Operation) (ids []string) {
	for _, f := range op.Findings {
		ids = append(ids, f.ID)
	}
	return ids
}

func (b *bed) ref(typ, id string) backup.Ref {
	return backup.Ref{Type: typ, Account: account, Region: region, ID: id}
}

// sorted compares lists without regard to their order.
var sorted = cmp.Transformer("sorted", func(in []string) []string { return slices.Sorted(slices.Values(in)) })
