package objectcopy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

func (b *bed) archive(class s3types.StorageClass, size int) {
	b.Helper()
	b.put("k", make([]byte, size), func(in *awss3.PutObjectInput) { in.StorageClass = class })
}

// An archived source is restored, awaited with few looks, and copied; the copy does not become archived by that.
func TestRestore(t *testing.T) {
	for _, c := range []struct {
		name  string
		class s3types.StorageClass
		tier  s3types.Tier
		takes time.Duration
		late  time.Duration // the most that the end may be seen too late
	}{
		{"flexible", s3types.StorageClassGlacier, "", 5 * time.Hour, 15 * time.Minute},
		{"flexible, expedited", s3types.StorageClassGlacier, s3types.TierExpedited, 5 * time.Minute, 30 * time.Second},
		{"flexible, bulk", s3types.StorageClassGlacier, s3types.TierBulk, 12 * time.Hour, 15 * time.Minute},
		{"deep", s3types.StorageClassDeepArchive, "", 12 * time.Hour, 15 * time.Minute},
		{"deep, bulk", s3types.StorageClassDeepArchive, s3types.TierBulk, 48 * time.Hour, 15 * time.Minute},
	} {
		for _, size := range []int{10, 12 * mib} {
			t.Run(c.name, func(t *testing.T) {
				bubble(t, func(b *bed) {
					b.archive(c.class, size)
					began := time.Now()
					b.copied(b.start("k", options(func(o *objectcopy.Options) { o.PartSize, o.RestoreTier, o.RestoreDays = 5*mib, c.tier, 1 })), "k")
					if took := time.Since(began); took < c.takes || took > c.takes+c.late+time.Second {
						t.Errorf("it took %v", took)
					}
					if b.calls("RestoreObject") != 1 || b.calls("HeadObject") > 260 {
						t.Errorf("%d restores, %d looks", b.calls("RestoreObject"), b.calls("HeadObject"))
					}
					if o := b.objects()[0]; o.Class != s3types.StorageClassStandard {
						t.Errorf("the copy is in class %s", o.Class)
					}
				})
			})
		}
	}
}

// A restore that somebody has asked for already, or that is done, is used.
func TestRestoreOfOthers(t *testing.T) {
	for _, wait := range []time.Duration{time.Minute, 6 * time.Hour} {
		bubble(t, func(b *bed) {
			b.archive(s3types.StorageClassGlacier, 10)
			_, err := b.near.RestoreObject(b.Context(), &awss3.RestoreObjectInput{Bucket: aws.String(from), Key: aws.String("k"),
				RestoreRequest: &s3types.RestoreRequest{Days: aws.Int32(3), GlacierJobParameters: &s3types.GlacierJobParameters{Tier: s3types.TierStandard}}})
			b.ok(err)
			time.Sleep(wait)
			b.copied(b.start("k", options()), "k")
			if n := b.calls("RestoreObject"); n != 1 {
				t.Errorf("after %v: %d restores", wait, n)
			}
		})
	}
}

// A restore that fails, is asked for twice or can not be had in time.
func TestRestoreTrouble(t *testing.T) {
	bubble(t, func(b *bed) { // no room for expedited retrievals, for a while
		b.archive(s3types.StorageClassGlacier, 10)
		b.world.Inject(awssim.Fault{Operation: "RestoreObject", For: 20 * time.Minute, Kind: awssim.FaultError,
			Error: awssim.Error{Status: 503, Code: "GlacierExpeditedRetrievalNotAvailable", Message: "later"}})
		b.copied(b.start("k", options(func(o *objectcopy.Options) { o.RestoreTier = s3types.TierExpedited })), "k")
	})
	for _, code := range []string{"RestoreAlreadyInProgress", "ObjectAlreadyInActiveTierError"} {
		bubble(t, func(b *bed) { // somebody else asked in between: it is looked at again
			b.archive(s3types.StorageClassGlacier, 10)
			b.world.Inject(awssim.Fault{Operation: "RestoreObject", Kind: awssim.FaultError, Error: awssim.Error{Status: 409, Code: code}})
			b.copied(b.start("k", options()), "k")
		})
	}
	for _, kind := range []awssim.FaultKind{awssim.FaultLostReply, awssim.FaultServerError, awssim.FaultServerErrorApplied, awssim.FaultThrottle, awssim.FaultUnreachable} {
		bubble(t, func(b *bed) {
			b.archive(s3types.StorageClassGlacier, 10)
			b.world.Inject(awssim.Fault{Operation: "RestoreObject", Times: 5, Kind: kind})
			b.copied(b.start("k", options()), "k")
		})
	}
	for _, c := range []struct {
		name    string
		class   s3types.StorageClass
		tier    s3types.Tier
		timeout time.Duration
		code    backup.Code
		part    string
	}{
		{"too slow", s3types.StorageClassDeepArchive, s3types.TierBulk, 24 * time.Hour, backup.ErrInvalid, "Spec.Timeout"},
		{"no such tier", s3types.StorageClassDeepArchive, s3types.TierExpedited, 24 * time.Hour, backup.ErrInvalid, "no expedited"},
		{"denied", s3types.StorageClassGlacier, "", 24 * time.Hour, backup.ErrDenied, "s3:RestoreObject"},
	} {
		bubble(t, func(b *bed) {
			b.archive(c.class, 10)
			if c.name == "denied" {
				b.world.Inject(awssim.Fault{Operation: "RestoreObject", Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied", Message: "Access Denied"}})
			}
			op, err := b.s.Start(b.Context(), source("k"), backup.Spec{Token: "t", Timeout: c.timeout, Options: options(func(o *objectcopy.Options) { o.RestoreTier = c.tier })})
			b.ok(err)
			op = b.run(op)
			if backup.CodeOf(op.Err()) != c.code || !strings.Contains(op.Err().Error(), c.part) {
				t.Errorf("%s: %v", c.name, op.Err())
			}
		})
	}
	bubble(t, func(b *bed) { // the restored copy expires before it is copied: it is restored once more
		b.archive(s3types.StorageClassGlacier, 10)
		op := b.until(b.start("k", options(func(o *objectcopy.Options) { o.RestoreDays = 1 })), "thaw")
		time.Sleep(40 * time.Hour)
		op = b.step(op)
		if op.Stage != "restore" {
			t.Errorf("stage %s", op.Stage)
		}
		b.copied(op, "k")
	})
	bubble(t, func(b *bed) { // and in the middle of the copying
		b.archive(s3types.StorageClassGlacier, 12*mib)
		op := b.until(b.start("k", options(func(o *objectcopy.Options) { o.PartSize, o.RestoreDays = 5*mib, 1 })), "parts")
		time.Sleep(30 * time.Hour)
		op = b.run(op)
		if backup.CodeOf(op.Err()) != backup.ErrUnsupported || !strings.Contains(op.Err().Error(), "RestoreDays") {
			t.Error(op.Err())
		}
		b.clean()
	})
}
