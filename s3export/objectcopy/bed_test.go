package objectcopy_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

const (
	account = "111122223333"
	other   = "444455556666"
	here    = "eu-west-1"
	there   = "eu-central-1"
	from    = "exports"
	to      = "exports-far"
	mib     = 1 << 20
)

// bed is a world with a bucket in each of two Regions, of one account.
type bed struct {
	testing.TB
	world *awssim.World
	store *s3sim.S3
	near  *awss3.Client
	far   *awss3.Client
	s     *objectcopy.Strategy
}

func newBed(t testing.TB, optFns ...func(*objectcopy.Settings)) *bed {
	b := &bed{TB: t, store: s3sim.Service()}
	b.world = awssim.New(b.store)
	b.near, b.far = awss3.NewFromConfig(b.world.Config(account, here)), awss3.NewFromConfig(b.world.Config(account, there))
	b.s = objectcopy.NewFromConfig(b.world.Config(account, there), optFns...)
	b.bucket(b.near, from, here)
	b.bucket(b.far, to, there)
	return b
}

// bubble runs f with a bed in virtual time.
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

func (b *bed) bucket(c *awss3.Client, name, region string) {
	b.Helper()
	_, err := c.CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: &name,
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}})
	b.ok(err)
}

// put writes a small source.
func (b *bed) put(key string, data []byte, set ...func(*awss3.PutObjectInput)) {
	b.Helper()
	in := &awss3.PutObjectInput{Bucket: aws.String(from), Key: &key, Body: bytes.NewReader(data)}
	for _, f := range set {
		f(in)
	}
	_, err := b.near.PutObject(b.Context(), in)
	b.ok(err)
}

// generate makes a source of any size.
func (b *bed) generate(key string, size int64) {
	b.Helper()
	if !b.store.Generate(b.world, here, from, key, size, 1) {
		b.Fatal("no object was generated")
	}
}

func source(key string) backup.Ref { return objectcopy.Object(account, here, from, key) }

func destination(key string) backup.Ref { return objectcopy.Object(account, there, to, key) }

// options are those of a copy to the far bucket.
func options(set ...func(*objectcopy.Options)) objectcopy.Options {
	o := objectcopy.Options{Region: there, Bucket: to}
	for _, f := range set {
		f(&o)
	}
	return o
}

func (b *bed) start(key string, o objectcopy.Options) backup.Operation {
	b.Helper()
	op, err := b.s.Start(b.Context(), source(key), backup.Spec{Token: "tonight", Options: o, Timeout: 72 * time.Hour})
	b.ok(err)
	return op
}

// run carries an Operation to its end.
func (b *bed) run(op backup.Operation) backup.Operation {
	b.Helper()
	op, err := b.runner().Run(b.Context(), op)
	if err != nil && !op.Done() {
		b.Fatal(err)
	}
	return op
}

func (b *bed) runner() *backup.Runner {
	b.Helper()
	r, err := backup.NewRunner([]backup.Strategy{b.s})
	b.ok(err)
	return r
}

// copied carries an Operation to its end, and fails unless the destination is then the source.
func (b *bed) copied(op backup.Operation, key string) backup.Operation {
	b.Helper()
	op = b.run(op)
	b.succeeded(op, key)
	return op
}

func (b *bed) succeeded(op backup.Operation, key string) {
	b.Helper()
	if err := op.Err(); err != nil || op.Phase != backup.PhaseSucceeded {
		b.Fatalf("%s: %v", op.Phase, err)
	}
	if len(op.Points) != 1 || op.Points[0] != destination(key) || len(op.Made) != 0 {
		b.Errorf("points %v, made %v", op.Points, op.Made)
	}
	if !b.store.Same(b.world, here, from, key, there, to, key) {
		b.Error("the copy is not the source")
	}
	b.clean()
}

// clean fails if there is an unfinished upload.
func (b *bed) clean() {
	b.Helper()
	if u := b.store.Uploads(b.world, there, to); len(u) != 0 {
		b.Errorf("unfinished uploads: %+v", u)
	}
}

func (b *bed) objects() []s3sim.ObjectView { return b.store.Objects(b.world, there, to) }

// calls counts the calls of an operation.
func (b *bed) calls(operation string) (n int) {
	for _, c := range b.world.Calls() {
		if c.Operation == operation {
			n++
		}
	}
	return n
}

// until steps as a Runner with a Store does, until the Operation is in a stage, or has ended.
func (b *bed) until(op backup.Operation, stage string) backup.Operation {
	b.Helper()
	for n := 0; op.Stage != stage && !op.Done(); n++ {
		if n > 500 {
			b.Fatalf("stage %s does not come, it is %s", stage, op.Stage)
		}
		op = b.step(op)
	}
	return op
}

// step makes one Step, when it is due.
func (b *bed) step(op backup.Operation) backup.Operation {
	b.Helper()
	next, err := b.try(op)
	b.ok(err)
	return next
}

// try makes one Step, when it is due, and gives its error.
func (b *bed) try(op backup.Operation) (backup.Operation, error) {
	time.Sleep(time.Until(op.Poll))
	if op.Next != "" {
		op.Attempt++
		op.Intended = time.Now().UTC()
	}
	return b.s.Step(context.WithoutCancel(b.Context()), op)
}
