package s3store_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/s3store"
)

// What can not be right is refused before anything is sent.
func TestOptions(t *testing.T) {
	b := newBed(t)
	before := len(b.world.Calls())
	for _, c := range []struct {
		name   string
		change func(o *s3store.Options)
		code   backup.Code
		says   string
	}{
		{"no bucket", func(o *s3store.Options) { o.Bucket = "" }, backup.ErrInvalid, "Bucket is empty"},
		{"a bucket with a wildcard", func(o *s3store.Options) { o.Bucket = "my-*" }, backup.ErrInvalid, "byte 3"},
		{"the ARN of an access point", func(o *s3store.Options) { o.Bucket = "arn:aws:s3:eu-west-1:111122223333:accesspoint/x" }, backup.ErrInvalid, "byte 3"},
		{"a short bucket", func(o *s3store.Options) { o.Bucket = "ab" }, backup.ErrInvalid, "3 to 255"},
		{"a long bucket", func(o *s3store.Options) { o.Bucket = strings.Repeat("a", 256) }, backup.ErrInvalid, "3 to 255"},
		{"a directory bucket", func(o *s3store.Options) { o.Bucket = "my-ops--euw1-az1--x-s3" }, backup.ErrUnsupported, "directory bucket"},
		{"no owner", func(o *s3store.Options) { o.BucketOwner = "" }, backup.ErrInvalid, "account"},
		{"an owner that is no account", func(o *s3store.Options) { o.BucketOwner = "11112222333x" }, backup.ErrInvalid, "account"},
		{"a slash before the prefix", func(o *s3store.Options) { o.Prefix = "/a" }, backup.ErrInvalid, "empty name at byte 0"},
		{"a slash behind the prefix", func(o *s3store.Options) { o.Prefix = "a/" }, backup.ErrInvalid, "empty name at byte 2"},
		{"a prefix that climbs", func(o *s3store.Options) { o.Prefix = "a/../b" }, backup.ErrInvalid, "byte 2"},
		{"a prefix with a wildcard", func(o *s3store.Options) { o.Prefix = "a/b${x}" }, backup.ErrInvalid, "byte 3"},
		{"a prefix of two lines", func(o *s3store.Options) { o.Prefix = "a\nb" }, backup.ErrInvalid, "byte 1"},
		{"a long prefix", func(o *s3store.Options) { o.Prefix = strings.Repeat("a", 513) }, backup.ErrInvalid, "513"},
		{"a key with a wildcard", func(o *s3store.Options) { o.KMSKeyID = "alias/*" }, backup.ErrInvalid, "KMSKeyID"},
		{"a long key", func(o *s3store.Options) { o.KMSKeyID = strings.Repeat("a", 3000) }, backup.ErrInvalid, "KMSKeyID"},
		{"no request at a time", func(o *s3store.Options) { o.Concurrency = -1 }, backup.ErrInvalid, "Concurrency -1"},
		{"too many requests at a time", func(o *s3store.Options) { o.Concurrency = 257 }, backup.ErrInvalid, "Concurrency 257"},
	} {
		o := options
		c.change(&o)
		_, err := s3store.Open(t.Context(), b.s3, o)
		if !errors.Is(err, c.code) || !strings.Contains(err.Error(), c.says) || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Errorf("%s: an error of %d bytes", c.name, len(err.Error()))
		}
	}
	if _, err := s3store.Open(t.Context(), nil, options); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("without a client: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := s3store.Open(ctx, b.s3, options); err == nil || err.Error() != "enough" {
		t.Errorf("with a context that is over: %v", err)
	}
	if n := len(b.world.Calls()) - before; n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestOpenLeavesNothing(t *testing.T) {
	b := newBed(t)
	before := len(b.world.Calls())
	b.open()
	want := map[string]int{"ListObjectsV2": 1, "GetObject": 4, "PutObject": 4, "DeleteObject": 1}
	if d := cmp.Diff(want, b.calls(before)); d != "" {
		t.Errorf("the requests of Open (-want +got):\n%s", d)
	}
	if left := b.sim.Objects(b.world, region, bucket); len(left) != 0 {
		t.Errorf("Open leaves %v", left)
	}
}

func TestDefaultPrefix(t *testing.T) {
	b := newBed(t)
	o := options
	o.Prefix = ""
	s, err := s3store.Open(t.Context(), b.s3, o)
	b.ok(err)
	rec := b.create(s, 1)
	if b.content(s3store.DefaultPrefix+"/op/"+rec.Operation.ID+".json") == "" {
		t.Error("the record is not below the default prefix")
	}
}

// Every request names the owner, and every write the key.
func TestEveryRequestNamesTheOwner(t *testing.T) {
	b := newBed(t)
	before := len(b.world.Calls())
	o := options
	o.KMSKeyID = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	s, err := s3store.Open(t.Context(), b.s3, o)
	b.ok(err)
	rec := b.create(s, 1)
	b.ok(s.Renew(t.Context(), "run-a", rec.Operation.Started))
	b.end(s, &rec)
	unfinished(t.Context(), s)
	for _, c := range b.world.Calls()[before:] {
		var owner *string
		switch in := c.Input.(type) {
		case *awss3.PutObjectInput:
			owner = in.ExpectedBucketOwner
			if in.ServerSideEncryption != "aws:kms" || aws.ToString(in.SSEKMSKeyId) != o.KMSKeyID || !aws.ToBool(in.BucketKeyEnabled) {
				t.Errorf("a write is encrypted with %q %q", in.ServerSideEncryption, aws.ToString(in.SSEKMSKeyId))
			}
		case *awss3.GetObjectInput:
			owner = in.ExpectedBucketOwner
		case *awss3.DeleteObjectInput:
			owner = in.ExpectedBucketOwner
		case *awss3.ListObjectsV2Input:
			owner = in.ExpectedBucketOwner
		}
		if aws.ToString(owner) != account {
			t.Errorf("%s names the owner %q", c.Operation, aws.ToString(owner))
		}
	}
}

// liar is an endpoint that takes some headers for nothing, as some stores do.
func liar(ignore func(*awss3.PutObjectInput)) func(*awss3.Options) {
	return func(o *awss3.Options) {
		o.APIOptions = append(slices.Clone(o.APIOptions), func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Liar",
				func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
					if put, ok := in.Parameters.(*awss3.PutObjectInput); ok {
						c := *put
						ignore(&c)
						in.Parameters = &c
					}
					return next.HandleInitialize(ctx, in)
				}), middleware.Before)
		})
	}
}

func TestOpenFindsEndpointsWithoutConditions(t *testing.T) {
	for _, c := range []struct {
		name   string
		ignore func(*awss3.PutObjectInput)
		code   backup.Code
	}{
		{"If-None-Match is not honoured", func(in *awss3.PutObjectInput) { in.IfNoneMatch = nil }, backup.ErrUnsupported},
		{"If-Match is not honoured", func(in *awss3.PutObjectInput) { in.IfMatch = nil }, backup.ErrUnsupported},
		{"nothing is honoured", func(in *awss3.PutObjectInput) { in.IfMatch, in.IfNoneMatch = nil, nil }, backup.ErrUnsupported},
		{"If-Match is refused", func(in *awss3.PutObjectInput) {
			if in.IfMatch != nil {
				in.IfMatch = aws.String("never")
			}
		}, backup.ErrUnavailable},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t)
			_, err := s3store.Open(t.Context(), awss3.NewFromConfig(b.world.Config(account, region), liar(c.ignore)), options)
			if !errors.Is(err, c.code) {
				t.Errorf("%s: %v", c.name, err)
			}
			if left := b.sim.Objects(b.world, region, bucket); len(left) != 0 {
				t.Errorf("%s: Open leaves %v", c.name, left)
			}
		})
	}
}

func TestOpenElsewhere(t *testing.T) {
	b := newBed(t)
	other := options
	other.Bucket = "no-such-bucket"
	stranger := options
	stranger.BucketOwner = "999988887777"
	for _, c := range []struct {
		name   string
		client *awss3.Client
		opts   s3store.Options
		code   backup.Code
		hint   string
	}{
		{"a bucket that is not there", b.s3, other, backup.ErrNotFound, "create the bucket"},
		{"a bucket of another owner than expected", b.s3, stranger, backup.ErrDenied, "999988887777"},
		{"another account's client", awss3.NewFromConfig(b.world.Config("999988887777", region)), options, backup.ErrDenied, account},
		{"another Region's client", awss3.NewFromConfig(b.world.Config(account, "us-east-1")), options, backup.ErrInvalid, "Region"},
	} {
		_, err := s3store.Open(t.Context(), c.client, c.opts)
		if !errors.Is(err, c.code) || !strings.Contains(backup.HintOf(err), c.hint) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Open finds every missing permission and names it.
func TestOpenNamesThePermission(t *testing.T) {
	for operation, permission := range map[string]string{
		"ListObjectsV2": "s3:ListBucket", "GetObject": "s3:GetObject", "PutObject": "s3:PutObject", "DeleteObject": "s3:DeleteObject",
	} {
		b := newBed(t)
		fault := b.world.Inject(awssim.Fault{Operation: operation, Times: -1, Kind: awssim.FaultError,
			Error: awssim.Error{Status: 403, Code: "AccessDenied", Message: "Access Denied"}})
		_, err := s3store.Open(t.Context(), b.s3, options)
		if !errors.Is(err, backup.ErrDenied) || !strings.Contains(backup.HintOf(err), permission) || fault.Fired() == 0 {
			t.Errorf("%s: %v", operation, err)
		}
	}
}

// An answer that is lost does not let an honest endpoint look like a liar, nor a liar like an honest one.
func TestOpenSurvivesLostAnswers(t *testing.T) {
	kinds := []awssim.FaultKind{awssim.FaultLostReply, awssim.FaultServerErrorApplied, awssim.FaultServerError, awssim.FaultThrottle}
	for operation, calls := range maps.All(map[string]int{"ListObjectsV2": 1, "GetObject": 4, "PutObject": 4, "DeleteObject": 1}) {
		for skip := range calls {
			for _, kind := range kinds {
				synctest.Test(t, func(t *testing.T) {
					b := newBed(t)
					fault := b.world.Inject(awssim.Fault{Operation: operation, Skip: skip, Kind: kind})
					if _, err := s3store.Open(t.Context(), b.s3, options); err != nil || fault.Fired() != 1 {
						t.Errorf("%v at %s %d: %v", kind, operation, skip, err)
					}
					lying := awss3.NewFromConfig(b.world.Config(account, region), liar(func(in *awss3.PutObjectInput) { in.IfNoneMatch = nil }))
					b.world.Inject(awssim.Fault{Operation: operation, Skip: skip, Kind: kind})
					if _, err := s3store.Open(t.Context(), lying, options); !errors.Is(err, backup.ErrUnsupported) {
						t.Errorf("%v at %s %d of a liar: %v", kind, operation, skip, err)
					}
				})
			}
		}
	}
}
