package s3store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/backup/s3store"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
	bucket  = "my-operations"
)

var options = s3store.Options{Bucket: bucket, BucketOwner: account, Prefix: "team/prod"}

// bed is a simulated S3 with a bucket.
type bed struct {
	testing.TB
	world *awssim.World
	sim   *s3sim.S3
	s3    *awss3.Client
}

func newBed(t testing.TB) *bed {
	b := &bed{TB: t, sim: s3sim.Service()}
	b.world = awssim.New(b.sim)
	b.s3 = awss3.NewFromConfig(b.world.Config(account, region))
	_, err := b.s3.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String(bucket),
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}})
	b.ok(err)
	return b
}

func (b *bed) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// open opens a Store as another machine would: with a client of its own.
func (b *bed) open() *s3store.Store {
	b.Helper()
	s, err := s3store.Open(b.Context(), awss3.NewFromConfig(b.world.Config(account, region)), options)
	b.ok(err)
	return s
}

// put writes an object as somebody who is not a Store.
func (b *bed) put(key, body string) {
	b.Helper()
	_, err := b.s3.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: reader(body)})
	b.ok(err)
}

func (b *bed) content(key string) string { return string(b.sim.Content(b.world, region, bucket, key)) }

// keys lists the objects below a folder of the Store.
func (b *bed) keys(dir string) (keys []string) {
	prefix := options.Prefix + "/" + dir + "/"
	for _, o := range b.sim.Objects(b.world, region, bucket) {
		if len(o.Key) > len(prefix) && o.Key[:len(prefix)] == prefix {
			keys = append(keys, o.Key[len(prefix):])
		}
	}
	return keys
}

// calls counts the requests since the given number of them, by operation.
func (b *bed) calls(since int) map[string]int {
	n := map[string]int{}
	for _, c := range b.world.Calls()[since:] {
		n[c.Operation]++
	}
	return n
}

var thing = backup.Ref{Type: "storetest/thing", Account: "123456789012", Region: "eu-west-1", ID: "thing-1"}

func operation(t testing.TB, token any) backup.Operation {
	t.Helper()
	op, err := backup.NewOperation("storetest", backup.ActionBackup, thing, backup.Spec{Token: fmt.Sprint("token-", token)})
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func (b *bed) create(s backup.Store, token any) backup.Record {
	b.Helper()
	rec, created, err := s.Create(b.Context(), operation(b, token), "run-a")
	if err != nil || !created {
		b.Fatalf("Create: created %v, error %v", created, err)
	}
	return rec
}

// end saves a record's Operation as succeeded.
func (b *bed) end(s backup.Store, rec *backup.Record) {
	b.Helper()
	rec.Operation.Succeed()
	b.ok(s.Save(b.Context(), rec))
}

// unfinished gives the ids and errors of the list.
func unfinished(ctx context.Context, s backup.Store) (ids []string, errs []error) {
	for rec, err := range s.Unfinished(ctx) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ids = append(ids, rec.Operation.ID)
	}
	return ids, errs
}

const day = 24 * time.Hour

func withCause(t *testing.T) (context.Context, context.CancelCauseFunc) {
	return context.WithCancelCause(t.Context())
}

// remove deletes an object of the Store.
func (b *bed) remove(name string) {
	b.Helper()
	_, err := b.s3.DeleteObject(b.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(options.Prefix + "/" + name)})
	b.ok(err)
}
