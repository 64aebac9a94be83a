package objectcopy_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// Objects of all sizes are copied whole, and in as many calls as they need.
func TestCopy(t *testing.T) {
	for _, c := range []struct {
		name   string
		size   int64
		part   int64
		copies int
		parts  int
	}{
		{"empty", 0, 0, 1, 0},
		{"one byte", 1, 0, 1, 0},
		{"just small", 64 * mib, 0, 1, 0},
		{"just large", 64*mib + 1, 0, 0, 2},
		{"even parts", 256 * mib, 0, 0, 4},
		{"small parts", 23*mib + 7, 5 * mib, 0, 5},
		{"odd part size", 13 * mib, 5*mib + 1, 0, 3}, // of 6 MiB
		{"large parts", 1 << 30, objectcopy.MaxPartSize, 0, 2},
		{"more than a page of parts", 6<<30 + 1, 5 * mib, 0, 1_229},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.generate("a/b.rdb", c.size)
				op := b.copied(b.start("a/b.rdb", options(func(o *objectcopy.Options) { o.PartSize = c.part })), "a/b.rdb")
				if n := b.calls("CopyObject"); n != c.copies {
					t.Errorf("%d calls of CopyObject, wanted %d", n, c.copies)
				}
				if n := b.calls("UploadPartCopy"); n != c.parts {
					t.Errorf("%d parts, wanted %d", n, c.parts)
				}
				if len(op.Findings) != 0 {
					t.Errorf("findings: %+v", op.Findings)
				}
			})
		})
	}
}

// What goes with a copy, and what does not, is the same for small and large objects.
func TestAttributes(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
	}{{"small", 1000}, {"large", 11 * mib}} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				data := bytes.Repeat([]byte("snapshot"), c.size/8)
				b.put("k", data, func(in *awss3.PutObjectInput) {
					in.ContentType = aws.String("application/x-rdb")
					in.Metadata = map[string]string{"made-by": "redis", "snapwarden-token": "op-of-an-earlier-copy"}
				})
				key := "arn:aws:kms:" + there + ":" + account + ":key/1234abcd-12ab-34cd-56ef-1234567890ab"
				op := b.copied(b.start("k", options(func(o *objectcopy.Options) {
					o.PartSize, o.StorageClass, o.Encryption = 5*mib, s3types.StorageClassStandardIa, objectcopy.SSEKMS{KeyARN: key, BucketKey: true}
				})), "k")
				out, err := b.far.HeadObject(b.Context(), &awss3.HeadObjectInput{Bucket: aws.String(to), Key: aws.String("k")})
				b.ok(err)
				want := map[string]string{"made-by": "redis", "snapwarden-owner": "snapwarden", "snapwarden-token": op.ID,
					"snapwarden-source": "s3/object:" + account + ":" + here + ":" + from + "/k", "snapwarden-created": op.Started.Format(time.RFC3339)}
				if d := cmp.Diff(want, out.Metadata); d != "" {
					t.Error(d)
				}
				if *out.ContentType != "application/x-rdb" || out.StorageClass != s3types.StorageClassStandardIa || out.ServerSideEncryption != s3types.ServerSideEncryptionAwsKms || *out.SSEKMSKeyId != key {
					t.Errorf("%s %s %s %s", *out.ContentType, out.StorageClass, out.ServerSideEncryption, *out.SSEKMSKeyId)
				}
				for _, call := range b.world.Calls() {
					owner, sourceOwner := account, account
					switch in := call.Input.(type) {
					case *awss3.CopyObjectInput:
						owner, sourceOwner = aws.ToString(in.ExpectedBucketOwner), aws.ToString(in.ExpectedSourceBucketOwner)
					case *awss3.UploadPartCopyInput:
						owner, sourceOwner = aws.ToString(in.ExpectedBucketOwner), aws.ToString(in.ExpectedSourceBucketOwner)
					case *awss3.CreateMultipartUploadInput:
						owner = aws.ToString(in.ExpectedBucketOwner)
					case *awss3.CompleteMultipartUploadInput:
						owner = aws.ToString(in.ExpectedBucketOwner)
					case *awss3.ListPartsInput:
						owner = aws.ToString(in.ExpectedBucketOwner)
					case *awss3.ListMultipartUploadsInput:
						owner = aws.ToString(in.ExpectedBucketOwner)
					}
					if owner != account || sourceOwner != account {
						t.Errorf("%s names the owners %q and %q", call.Operation, owner, sourceOwner)
					}
				}
			})
		})
	}
}

// Keys of every kind reach S3 as they are.
func TestKeys(t *testing.T) {
	for _, key := range []string{"plain.rdb", "a b", "ü/日本.rdb", "50%", "a+b", "q?v=*", "${x}", "#", "/lead", "two//slashes", "tab\tand\nline", "a%20b", "~!'()"} {
		for _, size := range []int64{10, 12 * mib} {
			bubble(t, func(b *bed) {
				b.generate(key, size)
				op := b.start(key, options(func(o *objectcopy.Options) { o.PartSize = 5 * mib }))
				b.copied(op, key)
				if _, got, err := objectcopy.Split(op.Ref); err != nil || got != key {
					t.Errorf("%q became %q: %v", key, got, err)
				}
			})
		}
	}
}

// An object that is in the place stays as it is, whenever it appears, and no upload is left.
func TestNeverOverwrites(t *testing.T) {
	for _, c := range []struct {
		name  string
		size  int64
		stage string
	}{
		{"small, there before", 10, "look"}, {"small, just in time", 10, "copy"},
		{"large, there before", 20 * mib, "look"}, {"large, at the begin", 20 * mib, "create"}, {"large, meanwhile", 20 * mib, "parts"}, {"large, just in time", 20 * mib, "complete"},
		{"small, between look and call", 10, "CopyObject"}, {"large, between look and call", 20 * mib, "CompleteMultipartUpload"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.generate("k", c.size)
				op := b.start("k", options(small))
				if strings.HasSuffix(c.name, "call") {
					b.world.Inject(awssim.Fault{Operation: c.stage, Kind: awssim.FaultNone, Do: func() { b.puts("k", nil) }})
				} else {
					op = b.until(op, c.stage)
					b.puts("k", nil)
				}
				op = b.run(op)
				if op.Phase != backup.PhaseFailed || backup.CodeOf(op.Err()) != backup.ErrConflict || len(op.Points)+len(op.Made) != 0 {
					t.Errorf("%s: %v, points %v, made %v", op.Phase, op.Err(), op.Points, op.Made)
				}
				if got := b.store.Content(b.world, there, to, "k"); string(got) != "mine" {
					t.Errorf("the object is now %d bytes", len(got))
				}
				b.clean()
			})
		})
	}
}

// A source that is replaced while it is being copied ends the copy, and a source with versions is copied as it was.
func TestSourceChanges(t *testing.T) {
	for _, size := range []int{10, 20 * mib} {
		for _, stage := range []string{"copy", "create", "parts"} {
			if (size == 10) != (stage == "copy") {
				continue
			}
			bubble(t, func(b *bed) {
				b.put("k", make([]byte, size))
				op := b.until(b.start("k", options(func(o *objectcopy.Options) { o.PartSize = 5 * mib })), stage)
				b.put("k", bytes.Repeat([]byte{1}, size))
				op = b.run(op)
				if backup.CodeOf(op.Err()) != backup.ErrConflict || len(b.objects()) != 0 {
					t.Errorf("%s, %d bytes: %v, objects %+v", stage, size, op.Err(), b.objects())
				}
				b.clean()
			})
			bubble(t, func(b *bed) {
				_, err := b.near.PutBucketVersioning(b.Context(), &awss3.PutBucketVersioningInput{Bucket: aws.String(from),
					VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled}})
				b.ok(err)
				was := bytes.Repeat([]byte{2}, size)
				b.put("k", was)
				op := b.until(b.start("k", options(func(o *objectcopy.Options) { o.PartSize = 5 * mib })), stage)
				b.put("k", make([]byte, size))
				op = b.run(op)
				if op.Err() != nil || !bytes.Equal(b.store.Content(b.world, there, to, "k"), was) {
					t.Errorf("%s, %d bytes: %v", stage, size, op.Err())
				}
			})
		}
	}
}
