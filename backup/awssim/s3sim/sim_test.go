package s3sim_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
)

const (
	account = "111122223333"
	other   = "444455556666"
	region  = "eu-west-1"
)

type bed struct {
	*testing.T
	sim   *s3sim.S3
	world *awssim.World
	api   *awss3.Client
}

func bubble(t *testing.T, f func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bed{T: t, sim: s3sim.Service()}
		b.world = awssim.New(b.sim)
		b.api = b.client(account, region)
		f(b)
	})
}

func (b *bed) client(account, region string) *awss3.Client {
	return awss3.NewFromConfig(b.world.Config(account, region), func(o *awss3.Options) { o.RetryMaxAttempts = 1 })
}

func (b *bed) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bed) code(err error, want string) {
	b.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != want {
		b.Errorf("got %v, want %s", err, want)
	}
}

func (b *bed) make(name string) {
	b.Helper()
	_, err := b.api.CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: &name, CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: region}})
	b.ok(err)
}

func (b *bed) put(key, text string, edit ...func(*awss3.PutObjectInput)) error {
	in := &awss3.PutObjectInput{Bucket: aws.String("box"), Key: &key, Body: strings.NewReader(text)}
	for _, f := range edit {
		f(in)
	}
	_, err := b.api.PutObject(b.Context(), in)
	return err
}

func (b *bed) get(key string, edit ...func(*awss3.GetObjectInput)) (string, error) {
	in := &awss3.GetObjectInput{Bucket: aws.String("box"), Key: &key}
	for _, f := range edit {
		f(in)
	}
	out, err := b.api.GetObject(b.Context(), in)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(out.Body)
	b.ok(err)
	return string(data), nil
}

func TestCreateBucket(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		create := func(c *awss3.Client, name, place string) error {
			in := &awss3.CreateBucketInput{Bucket: &name}
			if place != "" {
				in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(place)}
			}
			_, err := c.CreateBucket(b.Context(), in)
			return err
		}
		b.code(create(b.api, "box", region), "BucketAlreadyOwnedByYou")
		b.code(create(b.client(other, "us-east-1"), "box", ""), "BucketAlreadyExists")
		b.code(create(b.api, "box2", ""), "IllegalLocationConstraintException")
		b.code(create(b.api, "box2", "eu-west-2"), "IllegalLocationConstraintException")
		b.code(create(b.api, "My_Bucket", region), "InvalidBucketName")
		b.ok(create(b.api, "a-.b", region))
		b.ok(create(b.client(account, "us-east-1"), "east", ""))
		b.ok(create(b.client(other, "us-gov-west-1"), "box", "us-gov-west-1")) // another partition
		for name, want := range map[string]string{"box": region, "a-.b": region} {
			out, err := b.api.GetBucketLocation(b.Context(), &awss3.GetBucketLocationInput{Bucket: &name})
			b.ok(err)
			if string(out.LocationConstraint) != want {
				t.Errorf("%s is in %q", name, out.LocationConstraint)
			}
		}
		out, err := b.client(account, "us-east-1").GetBucketLocation(b.Context(), &awss3.GetBucketLocationInput{Bucket: aws.String("east")})
		b.ok(err)
		if out.LocationConstraint != "" {
			t.Errorf("east is in %q", out.LocationConstraint)
		}
	})
}

func TestWhoseBucket(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		in := &awss3.HeadBucketInput{Bucket: aws.String("box")}
		_, err := b.api.HeadBucket(b.Context(), in)
		b.ok(err)
		_, err = b.client(other, region).HeadBucket(b.Context(), in)
		b.code(err, "Forbidden")
		_, err = b.client(account, "eu-west-2").HeadBucket(b.Context(), in)
		b.code(err, "MovedPermanently")
		_, err = b.api.HeadBucket(b.Context(), &awss3.HeadBucketInput{Bucket: aws.String("box"), ExpectedBucketOwner: aws.String(other)})
		b.code(err, "Forbidden")
		_, err = b.api.HeadBucket(b.Context(), &awss3.HeadBucketInput{Bucket: aws.String("none")})
		b.code(err, "NotFound")
		_, err = b.api.ListObjectsV2(b.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("none")})
		var none *s3types.NoSuchBucket
		if !errors.As(err, &none) {
			t.Error(err)
		}
		_, err = b.client(other, region).ListObjectsV2(b.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("box")})
		b.code(err, "AccessDenied")
		_, err = b.client(account, "eu-west-2").ListObjectsV2(b.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("box")})
		b.code(err, "PermanentRedirect")
	})
}

func TestObjects(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		b.ok(b.put("a", "first"))
		b.ok(b.put("a", "second"))
		if got, err := b.get("a"); err != nil || got != "second" {
			t.Errorf("%q %v", got, err)
		}
		for r, want := range map[string]string{"bytes=0-2": "sec", "bytes=3-": "ond", "bytes=5-99": "d"} {
			if got, err := b.get("a", func(in *awss3.GetObjectInput) { in.Range = &r }); err != nil || got != want {
				t.Errorf("%s: %q %v", r, got, err)
			}
		}
		for _, r := range []string{"bytes=6-", "bytes=x-", "0-1", "bytes=3-2"} {
			_, err := b.get("a", func(in *awss3.GetObjectInput) { in.Range = &r })
			b.code(err, "InvalidRange")
		}
		_, err := b.get("none")
		b.code(err, "NoSuchKey")
		head, err := b.api.HeadObject(b.Context(), &awss3.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("a")})
		b.ok(err)
		if aws.ToInt64(head.ContentLength) != 6 || aws.ToString(head.ETag) != `"a9f0e61a137d86aa9db53465e0801612"` {
			t.Errorf("%v %v", aws.ToInt64(head.ContentLength), aws.ToString(head.ETag))
		}
		_, err = b.api.HeadObject(b.Context(), &awss3.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("none")})
		b.code(err, "NotFound")
		_, err = b.api.HeadObject(b.Context(), &awss3.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("a"), IfMatch: aws.String("x")})
		b.code(err, "PreconditionFailed")
		b.code(b.put(strings.Repeat("k", 1025), ""), "KeyTooLongError")
		for range 2 { // deleting what is not there is no error
			_, err = b.api.DeleteObject(b.Context(), &awss3.DeleteObjectInput{Bucket: aws.String("box"), Key: aws.String("a")})
			b.ok(err)
		}
		if got := b.sim.Objects(b.world, region, "box"); len(got) != 0 {
			t.Errorf("%v", got)
		}
	})
}

func TestConditions(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		fresh := func(in *awss3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }
		match := func(etag string) func(*awss3.PutObjectInput) {
			return func(in *awss3.PutObjectInput) { in.IfMatch = &etag }
		}
		b.ok(b.put("a", "first", fresh))
		b.code(b.put("a", "again", fresh), "PreconditionFailed")
		b.code(b.put("a", "again", match(`"x"`)), "PreconditionFailed")
		b.code(b.put("b", "again", match(`"x"`)), "NoSuchKey")
		head, err := b.api.HeadObject(b.Context(), &awss3.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("a")})
		b.ok(err)
		_, err = b.get("a", func(in *awss3.GetObjectInput) { in.IfMatch = aws.String(`"x"`) })
		b.code(err, "PreconditionFailed")
		b.ok(b.put("a", "second", match(*head.ETag)))
		if got, err := b.get("a"); err != nil || got != "second" {
			t.Errorf("%q %v", got, err)
		}
	})
}

// A body that can not be rewound arrives too, and one that can is whole after a retry.
func TestBodies(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		b.ok(b.put("stream", "", func(in *awss3.PutObjectInput) {
			in.Body, in.ContentLength = io.MultiReader(strings.NewReader("a st"), strings.NewReader("ream")), aws.Int64(8)
		}))
		b.api = awss3.NewFromConfig(b.world.Config(account, region))
		b.world.Inject(awssim.Fault{Operation: "PutObject", Kind: awssim.FaultServerError})
		b.ok(b.put("again", "twice sent"))
		b.ok(b.put("empty", "", func(in *awss3.PutObjectInput) { in.Body = nil }))
		for key, want := range map[string]string{"stream": "a stream", "again": "twice sent", "empty": ""} {
			if got, err := b.get(key); err != nil || got != want {
				t.Errorf("%s: %q %v", key, got, err)
			}
		}
		// What was given is the caller's again.
		text := []byte("mine")
		_, err := b.api.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String("box"), Key: aws.String("mine"), Body: bytes.NewReader(text)})
		b.ok(err)
		text[0] = 'x'
		if got, err := b.get("mine"); err != nil || got != "mine" {
			t.Errorf("%q %v", got, err)
		}
	})
}

func TestLists(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		for _, k := range []string{"b/2", "a", "b/1", "c", "b/3"} {
			b.ok(b.put(k, k))
		}
		b.world.SetPageLimit(2)
		list := func(in *awss3.ListObjectsV2Input) (keys []string) {
			in.Bucket = aws.String("box")
			pages := awss3.NewListObjectsV2Paginator(b.api, in)
			for pages.HasMorePages() {
				p, err := pages.NextPage(b.Context())
				b.ok(err)
				if len(p.Contents) > 2 || int(aws.ToInt32(p.KeyCount)) != len(p.Contents) {
					t.Errorf("a page of %d", len(p.Contents))
				}
				for _, o := range p.Contents {
					keys = append(keys, *o.Key)
				}
			}
			return keys
		}
		for _, c := range []struct {
			in   awss3.ListObjectsV2Input
			want []string
		}{
			{awss3.ListObjectsV2Input{}, []string{"a", "b/1", "b/2", "b/3", "c"}},
			{awss3.ListObjectsV2Input{Prefix: aws.String("b/")}, []string{"b/1", "b/2", "b/3"}},
			{awss3.ListObjectsV2Input{StartAfter: aws.String("b/1")}, []string{"b/2", "b/3", "c"}},
			{awss3.ListObjectsV2Input{Prefix: aws.String("x")}, nil},
		} {
			if d := cmp.Diff(c.want, list(&c.in)); d != "" {
				t.Error(d)
			}
		}
		_, err := b.api.ListObjectsV2(b.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("box"), Delimiter: aws.String("/")})
		b.code(err, "NotImplemented")
	})
}

// Reads are never stale, and nothing new is hidden for a while.
func TestReadsAreConsistent(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		b.world.SetLag(time.Hour)
		b.world.Inject(awssim.Fault{Operation: "GetObject", Kind: awssim.FaultStale, Back: time.Hour})
		b.ok(b.put("a", "now"))
		if got, err := b.get("a"); err != nil || got != "now" {
			t.Errorf("%q %v", got, err)
		}
	})
}
