package elasticacheexport_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// copyWith starts a copy of an export with options, to the far bucket.
func (b *bed) copyWith(point backup.Ref, token string, o elasticacheexport.CopyOptions) backup.Operation {
	b.Helper()
	o.Bucket = farBucket
	op, err := b.s.StartCopy(b.Context(), point, backup.Destination{Region: farRegion}, backup.Spec{Token: token, Options: o})
	b.ok(err)
	return op
}

// hookAll is hook for a Strategy that serves all accounts and Regions.
func (b *bed) hookAll(change func(*middleware.Stack) error, optFns ...func(*elasticacheexport.Settings)) {
	b.s = elasticacheexport.New(func(_ context.Context, account, region string) (elasticacheexport.Clients, error) {
		cfg := b.world.Config(account, region)
		cfg.APIOptions = append(slices.Clip(cfg.APIOptions), change)
		return elasticacheexport.Clients{ElastiCache: awselasticache.NewFromConfig(cfg), S3: awss3.NewFromConfig(cfg)}, nil
	}, optFns...)
}

// forge puts another file of the same length in the place of one of the export's, as if it had been there from the beginning.
func (b *bed) forge(key string, edit func([]byte) []byte) {
	b.Helper()
	for _, o := range b.store.Objects(b.world, region, bucket) {
		if o.Key == key {
			data := edit(b.store.Content(b.world, region, bucket, key))
			if int64(len(data)) != o.Size {
				b.Fatalf("%d bytes in the place of %d", len(data), o.Size)
			}
			b.place(key, data, o.At)
		}
	}
}

func ids(op backup.Operation) (all []string) {
	for _, f := range op.Findings {
		all = append(all, strings.TrimPrefix(f.ID, "elasticacheexport."))
	}
	return all
}

// TestCopyIsReadBack finds a file that is as long and as old as that of the manifest, and another: S3's checksums say that the copy is its source,
// and only reading tells that the source is not what was exported.
func TestCopyIsReadBack(t *testing.T) {
	const key = "nightly-0002.rdb"
	damaged := func(data []byte) []byte { return flipped(data, len(data)/2) }
	another := func(data []byte) []byte { return rdbOf("REDIS0011", len(data)-18, true) }
	for name, c := range map[string]struct {
		edit   func([]byte) []byte
		o      elasticacheexport.CopyOptions
		want   backup.Code
		ids    []string
		copies int
	}{
		"damaged":      {edit: damaged, want: backup.ErrConflict, copies: 2},
		"another":      {edit: another, want: backup.ErrConflict, copies: 2},
		"not looked":   {edit: another, o: elasticacheexport.CopyOptions{SkipCheck: true}, ids: []string{"copy-not-read"}, copies: 4},
		"archived":     {edit: another, o: elasticacheexport.CopyOptions{StorageClass: s3types.StorageClassDeepArchive}, ids: []string{"copy-not-read"}, copies: 4},
		"at hand":      {edit: another, o: elasticacheexport.CopyOptions{StorageClass: s3types.StorageClassGlacierIr}, want: backup.ErrConflict, copies: 2},
		"as it was":    {edit: bytes.Clone, copies: 4},
		"in the cold":  {edit: bytes.Clone, o: elasticacheexport.CopyOptions{StorageClass: s3types.StorageClassGlacier}, ids: []string{"copy-not-read"}, copies: 4},
		"in few zones": {edit: bytes.Clone, o: elasticacheexport.CopyOptions{StorageClass: s3types.StorageClassOnezoneIa}, copies: 4},
	} {
		subtest(t, name, func(b *bed) {
			export := b.far()
			b.forge(key, c.edit)
			before := len(b.reads())
			op := b.run(b.copyWith(export, "copy", c.o))
			made := 0
			if c.want != "" {
				made = 1
			}
			want(b, op, c.want, made)
			if !slices.Equal(ids(op), c.ids) || len(b.farKeys()) != c.copies {
				b.Errorf("findings %v, keys %v", ids(op), b.farKeys())
			}
			reads := 3 // one of each file, or one of the first and two of the second
			if c.ids != nil {
				reads = 0
			}
			if n := len(b.reads()) - before; n != reads {
				b.Errorf("%d reads, want %d", n, reads)
			}
			for _, o := range b.store.Objects(b.world, farRegion, farBucket) {
				class := c.o.StorageClass
				if class == "" || strings.HasSuffix(o.Key, ".json") {
					class = s3types.StorageClassStandard
				}
				if o.Class != class {
					b.Errorf("%s is %s", o.Key, o.Class)
				}
			}
		})
	}
}

// TestCopyIsReadInStretches carries the reading on from Step to Step, doubts what it reads, and stops when it is told to.
func TestCopyIsReadInStretches(t *testing.T) {
	slowly := func(ctx context.Context, _ int, _ *awss3.GetObjectInput, data []byte) io.Reader {
		return slow{ctx, bytes.NewReader(data), 100, time.Second}
	}
	brief := func(s *elasticacheexport.Settings) { s.Reading = 3 * time.Second }
	begin := func(b *bed, n int) backup.Operation {
		b.bucket(bucket, all...)
		b.farOne()
		op := b.run(b.exported("nightly", map[string][]byte{"0001": rdbOf("REDIS0011", n, false)}))
		b.ok(op.Err())
		return b.copyTo(op.Points[0])
	}
	subtest(t, "resumed", func(b *bed) {
		op := begin(b, 1000)
		before := len(b.reads())
		b.hookAll(bodies(slowly), brief)
		want(b, b.run(op), "", 0)
		ranges := b.reads()[before:]
		if !slices.Equal(ranges, []string{"", "bytes=256-", "bytes=512-", "bytes=768-"}) {
			b.Errorf("read %q", ranges)
		}
	})
	subtest(t, "changed on the way", func(b *bed) {
		op := begin(b, 1000)
		b.hookAll(bodies(func(_ context.Context, n int, _ *awss3.GetObjectInput, data []byte) io.Reader {
			if n > 1 {
				return nil
			}
			return bytes.NewReader(flipped(data, 500)) // nothing in the file tells, but the manifest does
		}))
		want(b, b.run(op), "", 0)
	})
	subtest(t, "replaced meanwhile", func(b *bed) {
		op := b.until(begin(b, 1000), "check")
		b.hookAll(bodies(slowly), brief)
		op = b.step(op)
		_, err := awss3.NewFromConfig(b.world.Config(account, farRegion)).PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String(farBucket), Key: aws.String("nightly-0001.rdb"), Body: strings.NewReader("x")})
		b.ok(err)
		op = b.run(op)
		want(b, op, backup.ErrConflict, 1)
		if !strings.Contains(op.Failure.Message, farBucket+"/nightly-0001.rdb in "+farRegion) {
			b.Errorf("the failure does not name the destination: %v", op.Err())
		}
	})
	subtest(t, "deleted meanwhile", func(b *bed) {
		op := b.until(begin(b, 1000), "check")
		_, err := awss3.NewFromConfig(b.world.Config(account, farRegion)).DeleteObject(b.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(farBucket), Key: aws.String("nightly-0001.rdb")})
		b.ok(err)
		op = b.run(op)
		want(b, op, backup.ErrNotFound, 1)
		if !strings.Contains(op.Failure.Message, farBucket) || !strings.Contains(op.Failure.Hint, "destination") {
			b.Errorf("the failure does not name the destination: %v", op.Err())
		}
	})
	subtest(t, "archived meanwhile", func(b *bed) {
		op := b.until(begin(b, 1000), "check")
		b.world.Inject(awssim.Fault{Operation: "GetObject", Skip: 1, Times: 1, Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "InvalidObjectState"}})
		op = b.run(op)
		want(b, op, "", 0)
		if !slices.Equal(ids(op), []string{"copy-not-read"}) {
			b.Error(op.Findings)
		}
	})
	subtest(t, "the manifest is another", func(b *bed) {
		op := b.until(begin(b, 1000), "check")
		b.otherManifest()
		want(b, b.run(op), backup.ErrConflict, 1)
	})
	subtest(t, "canceled", func(b *bed) {
		op := b.until(begin(b, 1000), "check")
		b.hookAll(bodies(slowly), brief)
		op, err := b.s.Cancel(b.Context(), b.step(op))
		b.ok(err)
		if op = b.run(op); op.Phase != backup.PhaseCanceled || len(op.Made) != 1 || len(op.Points) != 0 || len(b.farKeys()) != 1 {
			b.Errorf("%s %v, made %v, keys %v", op.Phase, op.Err(), op.Made, b.farKeys())
		}
	})
}

func (b *bed) copyTo(export backup.Ref) backup.Operation {
	b.Helper()
	b.s = everywhere(b.world)
	return b.startCopy(export)
}

// otherManifest puts a manifest of another export of the same snapshot in the place of the manifest: valid, and of other bytes.
func (b *bed) otherManifest() {
	b.Helper()
	const key = "nightly.manifest.json"
	data := b.store.Content(b.world, region, bucket, key)
	other := bytes.Replace(data, []byte(`"operation": "op-`), []byte(`"operation": "op-2`), 1)
	if bytes.Equal(data, other) {
		b.Fatalf("nothing to change in %s", data)
	}
	_, err := b.s3.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: bytes.NewReader(other)})
	b.ok(err)
}

// TestCopyListsItsOwn lists no file as made before one is known to be the copy's own.
func TestCopyListsItsOwn(t *testing.T) {
	bubble(t, func(b *bed) {
		export := b.far()
		op := b.startCopy(export)
		for !op.Done() {
			op = b.step(op)
			if files := slices.ContainsFunc(op.Made, func(r backup.Ref) bool { return r.Type == elasticacheexport.TypeFiles }); files && len(b.farKeys()) == 0 {
				b.Fatalf("%v is listed, and there is nothing", op.Made)
			}
		}
		want(b, op, "", 0)
		again := b.run(b.copyWith(export, "again", elasticacheexport.CopyOptions{}))
		want(b, again, backup.ErrConflict, 0)
	})
	subtest(t, "one in the way", func(b *bed) {
		export := b.far()
		_, err := awss3.NewFromConfig(b.world.Config(account, farRegion)).PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String(farBucket), Key: aws.String("nightly-0002.rdb"), Body: strings.NewReader("theirs")})
		b.ok(err)
		op := b.run(b.startCopy(export))
		want(b, op, backup.ErrConflict, 1)
		if !strings.Contains(op.Failure.Message, "nightly-0002.rdb") {
			b.Errorf("the failure does not name the file that is not the copy's: %v", op.Err())
		}
	})
}

// TestCopyCanceledTooLate ends well: when the manifest is there, so is the copy.
func TestCopyCanceledTooLate(t *testing.T) {
	bubble(t, func(b *bed) {
		op := b.startCopy(b.far())
		for len(b.farKeys()) < 4 {
			op = b.step(op)
		}
		op, err := b.s.Cancel(b.Context(), op)
		b.ok(err)
		want(b, b.run(op), "", 0)
	})
}

// TestCopyInParts copies a file in parts, with the answers to the calls lost.
func TestCopyInParts(t *testing.T) {
	data := rdbOf("REDIS0011", 11<<20, true)
	for name, operation := range map[string]string{"plainly": "", "begin lost": "CreateMultipartUpload", "part lost": "UploadPartCopy", "end lost": "CompleteMultipartUpload"} {
		subtest(t, name, func(b *bed) {
			b.bucket(bucket, all...)
			b.farOne()
			op := b.run(b.exported("nightly", map[string][]byte{"0001": data}))
			b.ok(op.Err())
			b.s = everywhere(b.world)
			if operation != "" {
				b.world.Inject(awssim.Fault{Operation: operation, Kind: awssim.FaultLostReply, Times: 1})
			}
			op = b.run(b.copyWith(op.Points[0], "copy", elasticacheexport.CopyOptions{PartSize: 5 << 20}))
			if op.Phase != backup.PhaseSucceeded || b.count("UploadPartCopy") < 3 || !b.store.Same(b.world, region, bucket, "nightly-0001.rdb", farRegion, farBucket, "nightly-0001.rdb") {
				b.Errorf("%s %v, %d parts", op.Phase, op.Err(), b.count("UploadPartCopy"))
			}
			// An upload whose begin was lost may stay, without parts, if a finding tells of it.
			for _, u := range b.store.Uploads(b.world, farRegion, farBucket) {
				if u.Parts > 0 || !slices.ContainsFunc(op.Findings, func(f backup.Finding) bool { return f.ID == "objectcopy.uploads-unclear" }) {
					b.Errorf("the upload %+v is left; findings %v", u, op.Findings)
				}
			}
		})
	}
	subtest(t, "canceled", func(b *bed) {
		b.bucket(bucket, all...)
		b.farOne()
		op := b.run(b.exported("nightly", map[string][]byte{"0001": data}))
		b.ok(op.Err())
		b.s = everywhere(b.world)
		op = b.copyWith(op.Points[0], "copy", elasticacheexport.CopyOptions{PartSize: 5 << 20})
		for len(b.store.Uploads(b.world, farRegion, farBucket)) == 0 {
			op = b.step(op)
		}
		if len(op.Made) != 1 || op.Made[0].Type == elasticacheexport.TypeFiles {
			b.Errorf("made %v, and there is only an upload", op.Made)
		}
		op, err := b.s.Cancel(b.Context(), op)
		b.ok(err)
		if op = b.run(op); !errors.Is(op.Err(), backup.ErrCanceled) || len(op.Made) != 0 || len(b.store.Uploads(b.world, farRegion, farBucket)) != 0 {
			b.Errorf("%v, made %v, uploads %v", op.Err(), op.Made, b.store.Uploads(b.world, farRegion, farBucket))
		}
	})
}
