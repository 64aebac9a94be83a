package s3store_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/s3store"
)

// What S3 says becomes a code and a remedy, and AWS's own error stays in the chain.
func TestCodes(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   backup.Code
		hint   string
	}{
		{403, "AccessDenied", backup.ErrDenied, "s3:ListBucket on the bucket, without which a missing object reads as denied"},
		{403, "InvalidAccessKeyId", backup.ErrDenied, "partition"},
		{403, "SignatureDoesNotMatch", backup.ErrDenied, "secret key"},
		{403, "ExpiredToken", backup.ErrUnavailable, "renewed"},
		{403, "RequestTimeTooSkewed", backup.ErrUnavailable, "clock"},
		{301, "PermanentRedirect", backup.ErrInvalid, "Region"},
		{400, "AuthorizationHeaderMalformed", backup.ErrInvalid, "Region"},
		{307, "TemporaryRedirect", backup.ErrUnavailable, "new"},
		{404, "NoSuchBucket", backup.ErrUnavailable, "no such bucket"},
		{403, "InvalidObjectState", backup.ErrUnavailable, "archived"},
		{400, "KMS.DisabledException", backup.ErrDenied, "KMS key"},
		{400, "InvalidRequest", backup.ErrInvalid, "message"},
		{501, "NotImplemented", backup.ErrUnsupported, "conditional writes"},
		{503, "SlowDown", backup.ErrThrottled, "later"},
		{500, "InternalError", backup.ErrUnavailable, "later"},
		{400, "NeverHeardOf", backup.ErrFailed, "release"},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t)
			s := b.open()
			b.world.Inject(awssim.Fault{Operation: "GetObject", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: c.status, Code: c.code, Message: "said S3"}})
			_, err := s.Load(t.Context(), "abc")
			var e *backup.Error
			var api smithy.APIError
			if !errors.As(err, &e) || e.Code != c.want || !strings.Contains(e.Hint, c.hint) || !errors.As(err, &api) || api.ErrorCode() != c.code {
				t.Errorf("%s: %v", c.code, err)
			}
			if err != nil && !strings.Contains(err.Error(), "s3://my-operations/team/prod/op/abc.json") {
				t.Errorf("%s: the error does not say where: %v", c.code, err)
			}
		})
	}
}

// Each call names its own permission.
func TestDenied(t *testing.T) {
	b := newBed(t)
	s := b.open()
	rec := b.create(s, 1)
	b.world.Inject(awssim.Fault{Operation: "PutObject", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied"}})
	_, _, create := s.Create(t.Context(), operation(t, 2), "run-a")
	for method, err := range map[string]error{"Save": s.Save(t.Context(), &rec), "Create": create, "Renew": s.Renew(t.Context(), "run-a", time.Now())} {
		if !errors.Is(err, backup.ErrDenied) || !strings.Contains(backup.HintOf(err), "s3:PutObject") || !strings.Contains(backup.HintOf(err), "kms:GenerateDataKey") {
			t.Errorf("%s: %v", method, err)
		}
	}
	var e *backup.Error
	if !errors.As(create, &e) || e.Ref != thing || e.Kind != "storetest" {
		t.Errorf("the error %+v does not say of what", e)
	}
	b.world.Heal()
	b.world.Inject(awssim.Fault{Operation: "ListObjectsV2", Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied"}})
	if _, errs := unfinished(t.Context(), s); len(errs) != 1 || !strings.Contains(backup.HintOf(errs[0]), "s3:ListBucket") {
		t.Errorf("Unfinished: %v", errs)
	}
}

// An end that could not be taken out of the list is an end all the same.
func TestEndWithoutDelete(t *testing.T) {
	b := newBed(t)
	s := b.open()
	rec := b.create(s, 1)
	b.world.Inject(awssim.Fault{Operation: "DeleteObject", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied"}})
	b.end(s, &rec)
	for range 2 {
		if ids, errs := unfinished(t.Context(), s); len(ids)+len(errs) > 0 {
			t.Errorf("unfinished: %v %v", ids, errs)
		}
		b.world.Heal()
	}
	if left := b.keys("open"); len(left) > 0 {
		t.Errorf("markers: %v", left)
	}
}

// torn breaks off the bodies of the next *n objects that are read.
func torn(n *int) func(*awss3.Options) {
	return func(o *awss3.Options) {
		o.APIOptions = append(slices.Clone(o.APIOptions), func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Torn",
				func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
					out, md, err := next.HandleInitialize(ctx, in)
					if got, ok := out.Result.(*awss3.GetObjectOutput); ok && err == nil && *n > 0 {
						*n--
						c := *got
						c.Body = io.NopCloser(io.MultiReader(io.LimitReader(got.Body, 10), iotest.ErrReader(io.ErrUnexpectedEOF)))
						out.Result = &c
					}
					return out, md, err
				}), middleware.Before)
		})
	}
}

// Bytes that break off are read again, which the SDK does not do, and are never taken for an object.
func TestTornBodies(t *testing.T) {
	for n, good := range map[int]bool{1: true, 2: true, 3: false} {
		b := newBed(t)
		left := 0
		s, err := s3store.Open(t.Context(), awss3.NewFromConfig(b.world.Config(account, region), torn(&left)), options)
		b.ok(err)
		rec := b.create(s, 1)
		left = n
		got, err := s.Load(t.Context(), rec.Operation.ID)
		if good && (err != nil || got.Version != rec.Version) || !good && !errors.Is(err, backup.ErrUnavailable) {
			t.Errorf("torn %d times: version %q, error %v", n, got.Version, err)
		}
	}
}
