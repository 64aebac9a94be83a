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
	b.clean()
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
	}{
		{"copy", "CopyObject", 10, awssim.FaultServerErrorApplied, true},
		{"copy", "CopyObject", 10, awssim.FaultServerError, false},
		{"create", "CreateMultipartUpload", 12 * mib, awssim.FaultLostReply, false},
		{"create", "CreateMultipartUpload", 12 * mib, awssim.FaultServerError, false},
		{"complete", "CompleteMultipartUpload", 12 * mib, awssim.FaultServerErrorApplied, true},
		{"complete", "CompleteMultipartUpload", 12 * mib, awssim.FaultServerError, false},
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
	bubble(t, func(b *bed) {
		b.generate("k", 12*mib)
		op := b.until(b.start("k", options(func(o *objectcopy.Options) { o.PartSize = 5 * mib })), "create")
		b.world.Inject(awssim.Fault{Operation: "CreateMultipartUpload", Kind: awssim.FaultLostReply})
		op, err := b.try(op)
		if err == nil {
			t.Fatal("no error")
		}
		op = b.step(op)
		if op.Stage != "settle" {
			t.Fatal(op.Stage)
		}
		b.canceled(op)
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
	}{{"UploadPartCopy", 30 * mib}, {"CopyObject", 10}} {
		for _, timeout := range []time.Duration{30 * time.Minute, 2 * time.Minute} {
			bubble(t, func(b *bed) {
				b.generate("k", c.size)
				b.world.Inject(awssim.Fault{Operation: c.operation, Times: -1, Kind: awssim.FaultThrottle})
				op, err := b.s.Start(b.Context(), source("k"), backup.Spec{Token: "t", Timeout: timeout, Options: options(func(o *objectcopy.Options) { o.PartSize = 5 * mib })})
				b.ok(err)
				op = b.run(op)
				if op.Phase != backup.PhaseFailed || backup.CodeOf(op.Err()) != backup.ErrUnavailable || time.Now().After(op.Deadline) {
					t.Errorf("%s, %v: %s at %v of %v, %v", c.operation, timeout, op.Phase, time.Now(), op.Deadline, op.Err())
				}
				if len(op.Made) != 0 {
					t.Errorf("made %v", op.Made)
				}
				b.clean()
			})
		}
	}
}
