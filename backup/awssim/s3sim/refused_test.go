package s3sim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// Content-MD5 is held against the bytes.
func TestContentMD5(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		up, err := b.api.CreateMultipartUpload(b.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String("box"), Key: aws.String("p")})
		b.ok(err)
		for md5, code := range map[string]string{
			"XUFAKrxLKna5cZ2REBfFkg==": "", // of "hello"
			"AAAAAAAAAAAAAAAAAAAAAA==": "BadDigest",
			"AAAA":                     "InvalidDigest",
			"no base64":                "InvalidDigest",
		} {
			_, part := b.api.UploadPart(b.Context(), &awss3.UploadPartInput{Bucket: aws.String("box"), Key: aws.String("p"), UploadId: up.UploadId,
				PartNumber: aws.Int32(1), ContentMD5: &md5, Body: strings.NewReader("hello")})
			for _, err := range []error{b.put("a", "hello", func(in *awss3.PutObjectInput) { in.ContentMD5 = &md5 }), part} {
				if code == "" {
					b.ok(err)
				} else {
					b.code(err, code)
				}
			}
		}
	})
}

// What a read asks for is done or refused, and never left out of account.
func TestReadConditions(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		b.ok(b.put("a", "x"))
		head, err := b.api.HeadObject(b.Context(), &awss3.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("a")})
		b.ok(err)
		for name, c := range map[string]struct {
			get  awss3.GetObjectInput
			code string
		}{
			"another":   {awss3.GetObjectInput{IfNoneMatch: aws.String(`"x"`)}, ""},
			"this one":  {awss3.GetObjectInput{IfNoneMatch: head.ETag}, "NotModified"},
			"any":       {awss3.GetObjectInput{IfNoneMatch: aws.String("*")}, "NotModified"},
			"match any": {awss3.GetObjectInput{IfMatch: aws.String("*")}, ""},
			"match no":  {awss3.GetObjectInput{IfMatch: aws.String(`"x"`), IfNoneMatch: head.ETag}, "PreconditionFailed"},
			"since":     {awss3.GetObjectInput{IfModifiedSince: aws.Time(time.Now())}, "NotImplemented"},
			"not since": {awss3.GetObjectInput{IfUnmodifiedSince: aws.Time(time.Now())}, "NotImplemented"},
			"a part":    {awss3.GetObjectInput{PartNumber: aws.Int32(1)}, "NotImplemented"},
		} {
			t.Run(name, func(t *testing.T) {
				b := *b
				b.T = t
				in := c.get
				in.Bucket, in.Key = aws.String("box"), aws.String("a")
				_, get := b.api.GetObject(b.Context(), &in)
				_, head := b.api.HeadObject(b.Context(), &awss3.HeadObjectInput{Bucket: in.Bucket, Key: in.Key, IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch,
					IfModifiedSince: in.IfModifiedSince, IfUnmodifiedSince: in.IfUnmodifiedSince})
				all := []error{get, head}
				if in.PartNumber != nil {
					all = all[:1] // a HEAD of a part tells how many there are
				}
				for _, err := range all {
					if c.code == "" {
						b.ok(err)
					} else {
						b.code(err, c.code)
					}
				}
			})
		}
		_, err = b.api.DeleteObject(b.Context(), &awss3.DeleteObjectInput{Bucket: aws.String("box"), Key: aws.String("a"), IfMatchSize: aws.Int64(7)})
		b.code(err, "NotImplemented")
		_, err = b.get("a")
		b.ok(err)
	})
}

// Whoever comes to the wrong Region is sent on, whatever he may do there.
func TestRegionBeforeRights(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		far := b.client(other, "eu-west-2")
		_, err := far.HeadBucket(b.Context(), &awss3.HeadBucketInput{Bucket: aws.String("box")})
		b.code(err, "MovedPermanently")
		_, err = far.ListObjectsV2(b.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("box")})
		b.code(err, "PermanentRedirect")
		_, err = b.client(account, "eu-west-2").GetBucketAcl(b.Context(), &awss3.GetBucketAclInput{Bucket: aws.String("box"), ExpectedBucketOwner: aws.String(other)})
		b.code(err, "PermanentRedirect")
	})
}

// Asking again for a restored copy lets it stay from now on, and no look at it is stale.
func TestRestoreAgain(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		b.ok(b.put("a", "x", func(in *awss3.PutObjectInput) { in.StorageClass = "GLACIER" }))
		restore := func() {
			t.Helper()
			_, err := b.api.RestoreObject(b.Context(), &awss3.RestoreObjectInput{Bucket: aws.String("box"), Key: aws.String("a"),
				RestoreRequest: &s3types.RestoreRequest{Days: aws.Int32(1), GlacierJobParameters: &s3types.GlacierJobParameters{Tier: s3types.TierExpedited}}})
			b.ok(err)
		}
		restore()
		time.Sleep(20 * time.Hour)
		restore()
		time.Sleep(5 * time.Hour) // past the end of the first
		b.reads("a", "x")
		b.world.Inject(awssim.Fault{Operation: "HeadObject", Kind: awssim.FaultStale, Back: 24*time.Hour + 59*time.Minute})
		out, err := b.api.HeadObject(b.Context(), &awss3.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("a")})
		b.ok(err)
		if got := aws.ToString(out.Restore); !strings.HasPrefix(got, `ongoing-request="false"`) {
			t.Error(got)
		}
		time.Sleep(20 * time.Hour)
		_, err = b.get("a")
		b.code(err, "InvalidObjectState")
	})
}
