package elasticacheexport_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

const (
	farRegion = "eu-central-1"
	farBucket = "my-exports-far"
)

// everywhere makes a Strategy that serves all accounts and Regions of a world.
func everywhere(w *awssim.World, optFns ...func(*elasticacheexport.Settings)) *elasticacheexport.Strategy {
	return elasticacheexport.New(func(_ context.Context, account, region string) (elasticacheexport.Clients, error) {
		cfg := w.Config(account, region)
		return elasticacheexport.Clients{ElastiCache: awselasticache.NewFromConfig(cfg), S3: awss3.NewFromConfig(cfg)}, nil
	}, optFns...)
}

// farOne makes the destination bucket.
func (b *bed) farOne() {
	b.Helper()
	_, err := awss3.NewFromConfig(b.world.Config(account, farRegion)).CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: aws.String(farBucket),
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: farRegion}})
	b.ok(err)
}

// far makes the destination bucket and a finished export of three shards.
func (b *bed) far() (export backup.Ref) {
	b.Helper()
	b.bucket(bucket, all...)
	b.farOne()
	op := b.run(b.start("sharded", "nightly"))
	b.ok(op.Err())
	b.s = everywhere(b.world)
	return op.Points[0]
}

func (b *bed) startCopy(point backup.Ref) backup.Operation {
	b.Helper()
	op, err := b.s.StartCopy(b.Context(), point, backup.Destination{Region: farRegion}, backup.Spec{Token: "copy", Options: elasticacheexport.CopyOptions{Bucket: farBucket}})
	b.ok(err)
	return op
}

func (b *bed) farKeys() (keys []string) {
	for _, o := range b.store.Objects(b.world, farRegion, farBucket) {
		keys = append(keys, o.Key)
	}
	return keys
}

// TestCopy copies an export to another Region, where it can be opened like the first.
func TestCopy(t *testing.T) {
	bubble(t, func(b *bed) {
		export := b.far()
		op := b.startCopy(export)
		if found := b.found(op); len(found) != 0 {
			b.Error(found)
		}
		op = b.run(op)
		want := elasticacheexport.Export(account, farRegion, farBucket, "nightly")
		if op.Phase != backup.PhaseSucceeded || len(op.Points) != 1 || op.Points[0] != want || len(op.Made) != 0 || len(op.Findings) != 0 {
			b.Fatalf("%s %v: points %v, made %v, findings %v", op.Phase, op.Err(), op.Points, op.Made, op.Findings)
		}
		first, err := b.s.Manifest(b.Context(), export)
		b.ok(err)
		copied, err := b.s.Manifest(b.Context(), want)
		b.ok(err)
		if d := cmp.Diff(first, copied); d != "" {
			b.Error(d)
		}
		for _, x := range copied.Shards {
			r, err := b.s.Open(b.Context(), want, x.ID)
			b.ok(err)
			_, err = io.Copy(io.Discard, r)
			b.ok(err)
		}
		// The same again, by another token: nothing is overwritten.
		again, err := b.s.StartCopy(b.Context(), export, backup.Destination{Region: farRegion}, backup.Spec{Token: "again", Options: elasticacheexport.CopyOptions{Bucket: farBucket}})
		b.ok(err)
		if again = b.run(again); !errors.Is(again.Err(), backup.ErrConflict) || len(again.Points) != 0 {
			b.Errorf("%v %v", again.Err(), again.Points)
		}
	})
}

// TestCopyRefusesWhatChanged calls no copy whole whose source is not what its manifest says.
func TestCopyRefusesWhatChanged(t *testing.T) {
	put := func(b *bed, key, text string) {
		_, err := b.s3.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(text)})
		b.ok(err)
	}
	for name, c := range map[string]struct {
		before, during func(b *bed)
		want           backup.Code
	}{
		"no manifest":       {before: func(b *bed) { put(b, "nightly.manifest.json", "{}") }, want: backup.ErrInvalid},
		"a file is gone":    {before: func(b *bed) { b.remove("nightly-0002.rdb") }, want: backup.ErrNotFound},
		"a file is shorter": {before: func(b *bed) { put(b, "nightly-0002.rdb", "short") }, want: backup.ErrConflict},
		"a file is younger": {before: func(b *bed) {
			data := b.store.Content(b.world, region, bucket, "nightly-0002.rdb")
			time.Sleep(time.Hour)
			put(b, "nightly-0002.rdb", string(data)) // be it the same
		}, want: backup.ErrConflict},
		"a file is replaced": {during: func(b *bed) {
			data := b.store.Content(b.world, region, bucket, "nightly-0001.rdb")
			time.Sleep(time.Hour)
			put(b, "nightly-0001.rdb", string(data))
		}, want: backup.ErrConflict},
		"another manifest":    {during: (*bed).otherManifest, want: backup.ErrConflict},
		"the manifest":        {during: func(b *bed) { put(b, "nightly.manifest.json", "{}") }, want: backup.ErrInvalid},
		"the manifest is off": {during: func(b *bed) { b.remove("nightly.manifest.json") }, want: backup.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				export := b.far()
				if c.before != nil {
					c.before(b)
				}
				if c.during != nil {
					b.world.Inject(awssim.Fault{Kind: awssim.FaultNone, Operation: "CopyObject", Times: 1, Do: func() { c.during(b) }})
				}
				op := b.run(b.startCopy(export))
				if backup.CodeOf(op.Err()) != c.want || len(op.Points) != 0 {
					b.Errorf("%s %v, points %v", op.Phase, op.Err(), op.Points)
				}
				if keys := b.farKeys(); len(keys) > 0 && len(op.Made) == 0 {
					b.Errorf("%v are listed nowhere", keys)
				}
				for _, k := range b.farKeys() {
					if strings.HasSuffix(k, ".json") {
						b.Errorf("there is a manifest: %s", k)
					}
				}
			})
		})
	}
}

func (b *bed) remove(key string) {
	b.Helper()
	_, err := b.s3.DeleteObject(b.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key})
	b.ok(err)
}

func TestCopyCanceled(t *testing.T) {
	bubble(t, func(b *bed) {
		export := b.far()
		op := b.startCopy(export)
		for len(b.farKeys()) < 2 {
			if op.Next != "" {
				op.Attempt++
			}
			var err error
			op, err = b.s.Step(b.Context(), op)
			b.ok(err)
		}
		op, err := b.s.Cancel(b.Context(), op)
		b.ok(err)
		if op = b.run(op); op.Phase != backup.PhaseCanceled || len(op.Points) != 0 || len(op.Made) == 0 || len(b.farKeys()) != 2 {
			b.Errorf("%s %v, points %v, made %v, keys %v", op.Phase, op.Err(), op.Points, op.Made, b.farKeys())
		}
		op, err = b.s.Cancel(b.Context(), b.startCopy(export))
		b.ok(err)
		if op = b.run(op); op.Phase != backup.PhaseCanceled {
			b.Error(op.Err())
		}
	})
}

func TestStartCopyRefuses(t *testing.T) {
	bubble(t, func(b *bed) {
		one := b.s // of one Region
		b.s = everywhere(b.world)
		good := elasticacheexport.Export(account, region, bucket, "nightly")
		for name, c := range map[string]struct {
			s    *elasticacheexport.Strategy
			r    backup.Ref
			to   backup.Destination
			spec backup.Spec
		}{
			"no export":   {b.s, elasticacheexport.Bucket(account, region, bucket), backup.Destination{}, backup.Spec{Options: elasticacheexport.CopyOptions{Bucket: farBucket}}},
			"no options":  {b.s, good, backup.Destination{}, backup.Spec{}},
			"a name":      {b.s, good, backup.Destination{}, backup.Spec{Name: "x", Options: elasticacheexport.CopyOptions{Bucket: farBucket}}},
			"onto itself": {b.s, good, backup.Destination{}, backup.Spec{Options: elasticacheexport.CopyOptions{Bucket: bucket}}},
			"wildcard":    {b.s, good, backup.Destination{}, backup.Spec{Options: elasticacheexport.CopyOptions{Bucket: "my-*"}}},
			"partition":   {b.s, good, backup.Destination{Region: "us-gov-west-1"}, backup.Spec{Options: elasticacheexport.CopyOptions{Bucket: farBucket}}},
			"the key":     {b.s, good, backup.Destination{KMSKeyID: "alias/x"}, backup.Spec{Options: elasticacheexport.CopyOptions{Bucket: farBucket}}},
			"elsewhere":   {one, good, backup.Destination{Region: farRegion}, backup.Spec{Options: elasticacheexport.CopyOptions{Bucket: farBucket}}},
		} {
			c.spec.Token = "t"
			if _, err := c.s.StartCopy(b.Context(), c.r, c.to, c.spec); !errors.Is(err, backup.ErrInvalid) || backup.HintOf(err) == "" {
				b.Errorf("%s: %v", name, err)
			}
		}
	})
}
