package objectcopy_test

import (
	"slices"
	"testing"
	"time"

	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// canceled cancels op and carries it on to its end.
func (b *bed) canceled(op backup.Operation) backup.Operation {
	b.Helper()
	before := len(b.world.Calls())
	op, err := b.s.Cancel(b.Context(), op)
	b.ok(err)
	if n := len(b.world.Calls()) - before; n != 0 {
		b.Errorf("Cancel made %d calls", n)
	}
	again, err := b.s.Cancel(b.Context(), op)
	if err != nil || again.Stage != op.Stage {
		b.Errorf("a second Cancel: %v, stage %s", err, again.Stage)
	}
	op = b.run(op)
	if op.Phase != backup.PhaseCanceled || backup.CodeOf(op.Err()) != backup.ErrCanceled {
		b.Errorf("%s: %v", op.Phase, op.Err())
	}
	if _, err := b.s.Cancel(b.Context(), op); err != nil {
		b.Error(err) // it is canceled
	}
	return op
}

// A copy is canceled in every stage before its end: nothing is left.
func TestCancel(t *testing.T) {
	for _, c := range []struct {
		stage string
		size  int
		class s3types.StorageClass
	}{
		{"look", 10, ""}, {"restore", 10, s3types.StorageClassGlacier}, {"thaw", 10, s3types.StorageClassGlacier}, {"copy", 10, ""},
		{"create", 12 * mib, ""}, {"parts", 12 * mib, ""}, {"complete", 12 * mib, ""},
	} {
		t.Run(c.stage, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.archive(c.class, c.size)
				op := b.until(b.start("k", options(func(o *objectcopy.Options) { o.PartSize = 5 * mib })), c.stage)
				op = b.canceled(op)
				b.clean()
				if len(op.Points)+len(op.Made)+len(b.objects()) != 0 {
					t.Errorf("points %v, made %v, objects %v", op.Points, op.Made, b.objects())
				}
			})
		})
	}
}

// What was perhaps sent is looked for before a canceled copy ends: an object that is there is listed, an upload is aborted.
func TestCancelPerhapsSent(t *testing.T) {
	for _, c := range []struct {
		stage, operation string
		size             int64
		kind             awssim.FaultKind
		made             bool
		left             int
	}{
		{"copy", "CopyObject", 10, awssim.FaultServerErrorApplied, true, 0},
		{"copy", "CopyObject", 10, awssim.FaultServerError, false, 0},
		{"create", "CreateMultipartUpload", 12 * mib, awssim.FaultLostReply, false, 1},
		{"create", "CreateMultipartUpload", 12 * mib, awssim.FaultServerError, false, 0},
		{"complete", "CompleteMultipartUpload", 12 * mib, awssim.FaultServerErrorApplied, true, 0},
		{"complete", "CompleteMultipartUpload", 12 * mib, awssim.FaultServerError, false, 0},
	} {
		bubble(t, func(b *bed) {
			b.generate("k", c.size)
			op := b.until(b.start("k", options(func(o *objectcopy.Options) { o.PartSize = 5 * mib })), c.stage)
			b.world.Inject(awssim.Fault{Operation: c.operation, Times: -1, Kind: c.kind})
			op, err := b.try(op)
			if err == nil || op.Attempt != 1 {
				t.Fatalf("%s: attempt %d, %v", c.operation, op.Attempt, err)
			}
			b.world.Heal()
			op = b.canceled(op)
			b.left(op, c.left)
			if made := slices.Contains(op.Points, destination("k")); made != c.made || len(b.objects()) > 0 != c.made || len(op.Made) != 0 {
				t.Errorf("%s %v: points %v, made %v, objects %+v", c.operation, c.kind, op.Points, op.Made, b.objects())
			}
		})
	}
}

// A copy that is settling, seeking, verifying or aborting goes on with that, and then ends.
func TestCancelLater(t *testing.T) {
	bubble(t, func(b *bed) {
		b.generate("k", 12*mib)
		op := b.until(b.start("k", options(func(o *objectcopy.Options) { o.PartSize = 5 * mib })), "verify")
		op = b.canceled(op)
		if !slices.Contains(op.Points, destination("k")) {
			t.Errorf("points %v", op.Points)
		}
	})
	bubble(t, func(b *bed) { // while it tells of an upload that it never learnt of
		b.generate("k", 12*mib)
		b.world.Inject(awssim.Fault{Operation: "CreateMultipartUpload", Kind: awssim.FaultLostReply})
		op := b.until(b.start("k", options(small)), "create")
		op, err := b.try(op)
		if err == nil {
			t.Fatal("no error")
		}
		op = b.canceled(b.until(op, "strays"))
		b.left(op, 1)
		if !slices.Contains(op.Points, destination("k")) {
			t.Errorf("points %v", op.Points)
		}
	})
	bubble(t, func(b *bed) {
		b.generate("k", 10)
		op := b.copied(b.start("k", options()), "k")
		if _, err := b.s.Cancel(b.Context(), op); backup.CodeOf(err) != backup.ErrUnsupported {
			t.Error(err)
		}
	})
}

// A copy that comes near its deadline is given up in time for its upload to be aborted.
func TestDeadline(t *testing.T) {
	for _, c := range []struct {
		operation string
		size      int64
		kind      awssim.FaultKind
	}{
		{"UploadPartCopy", 30 * mib, awssim.FaultThrottle}, {"CopyObject", 10, awssim.FaultThrottle}, {"CopyObject", 10, awssim.FaultServerError},
		{"CompleteMultipartUpload", 12 * mib, awssim.FaultThrottle}, {"CompleteMultipartUpload", 12 * mib, awssim.FaultServerError},
		{"CompleteMultipartUpload", 12 * mib, awssim.FaultHang}, {"CreateMultipartUpload", 12 * mib, awssim.FaultServerError}, {"ListParts", 12 * mib, awssim.FaultServerError},
	} {
		for _, timeout := range []time.Duration{30 * time.Minute, 6 * time.Minute, 2 * time.Minute} {
			bubble(t, func(b *bed) {
				b.generate("k", c.size)
				b.world.Inject(awssim.Fault{Operation: c.operation, Times: -1, Kind: c.kind})
				op, err := b.s.Start(b.Context(), source("k"), backup.Spec{Token: "t", Timeout: timeout, Options: options(func(o *objectcopy.Options) { o.PartSize = 5 * mib })})
				b.ok(err)
				op = b.run(op)
				if op.Phase != backup.PhaseFailed || backup.CodeOf(op.Err()) != backup.ErrUnavailable {
					t.Errorf("%s, %v, %v: %s, %v", c.operation, c.kind, timeout, op.Phase, op.Err())
				}
				if d := time.Since(op.Deadline); d > 0 && c.operation != "ListParts" && c.operation != "CreateMultipartUpload" {
					t.Errorf("%s, %v, %v: %v late, %v", c.operation, c.kind, timeout, d, op.Err())
				}
				if len(op.Made) != 0 && c.operation != "ListParts" { // without it nobody knows that the upload is gone
					t.Errorf("%s, %v, %v: made %v", c.operation, c.kind, timeout, op.Made)
				}
				b.clean()
			})
		}
	}
}
