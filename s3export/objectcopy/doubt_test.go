package objectcopy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// begin begins an upload of somebody else's for the copy's key.
func (b *bed) begin(key string) string {
	b.Helper()
	out, err := b.far.CreateMultipartUpload(b.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String(to), Key: &key})
	b.ok(err)
	return *out.UploadId
}

func (b *bed) uploads() (ids []string) {
	for _, u := range b.store.Uploads(b.world, there, to) {
		ids = append(ids, u.ID)
	}
	slices.Sort(ids)
	return ids
}

func small(o *objectcopy.Options) { o.PartSize = 5 * mib }

// An upload whose begin was lost is found and used; one that was never begun is begun when the window is over.
func TestLostCreate(t *testing.T) {
	for _, c := range []struct {
		kind    awssim.FaultKind
		creates int
	}{{awssim.FaultLostReply, 1}, {awssim.FaultServerErrorApplied, 1}, {awssim.FaultGarbage, 1}, {awssim.FaultServerError, 2}, {awssim.FaultHang, 2}} {
		bubble(t, func(b *bed) {
			b.generate("k", 12*mib)
			b.world.Inject(awssim.Fault{Operation: "CreateMultipartUpload", Kind: c.kind})
			b.copied(b.start("k", options(small)), "k")
			if n := b.calls("CreateMultipartUpload"); n != c.creates {
				t.Errorf("%v: %d calls", c.kind, n)
			}
		})
	}
}

// Uploads of others, begun before, are neither used nor aborted, also when the own one is lost.
func TestForeignUploads(t *testing.T) {
	bubble(t, func(b *bed) {
		b.generate("k", 12*mib)
		foreign := []string{b.begin("k"), b.begin("k"), b.begin("kk")}
		slices.Sort(foreign)
		time.Sleep(time.Second)
		b.world.SetPageLimit(1)
		b.world.Inject(awssim.Fault{Operation: "CreateMultipartUpload", Kind: awssim.FaultLostReply})
		op := b.run(b.start("k", options(small)))
		if op.Err() != nil || !slices.Equal(b.uploads(), foreign) {
			t.Errorf("%v, uploads %v of %v", op.Err(), b.uploads(), foreign)
		}
	})
}

// One that somebody else begins at the very time can not be told from the own one. With both there, neither is touched, and the Operation says so.
func TestForeignUploadAtTheSameTime(t *testing.T) {
	bubble(t, func(b *bed) {
		b.generate("k", 12*mib)
		op := b.until(b.start("k", options(small)), "create")
		b.world.Inject(awssim.Fault{Operation: "CreateMultipartUpload", Kind: awssim.FaultLostReply})
		op, err := b.try(op)
		if err == nil {
			t.Fatal("no error")
		}
		b.begin("k")
		both := b.uploads()
		op = b.run(op)
		if op.Err() != nil || !slices.Equal(b.uploads(), both) || len(both) != 2 {
			t.Errorf("%v, uploads %v of %v", op.Err(), b.uploads(), both)
		}
		if !slices.ContainsFunc(op.Findings, func(f backup.Finding) bool { return f.ID == "objectcopy.uploads-unclear" }) {
			t.Errorf("findings %+v", op.Findings)
		}
	})
}

// An upload that shows itself only after the window is aborted in the end.
func TestLateUpload(t *testing.T) {
	for _, fail := range []bool{false, true} {
		bubble(t, func(b *bed) {
			b.generate("k", 12*mib)
			op := b.until(b.start("k", options(small)), "create")
			b.world.Inject(awssim.Fault{Operation: "CreateMultipartUpload", Kind: awssim.FaultServerError})
			op, err := b.try(op)
			if err == nil {
				t.Fatal("no error")
			}
			for op.Stage != "parts" { // the window passes
				op = b.step(op)
			}
			if fail {
				b.world.Inject(awssim.Fault{Operation: "UploadPartCopy", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 404, Code: "NoSuchKey"}})
			}
			late := &awss3.CreateMultipartUploadInput{Bucket: aws.String(to), Key: aws.String("k"), ChecksumAlgorithm: "CRC64NVME"}
			_, err = b.far.CreateMultipartUpload(b.Context(), late)
			b.ok(err)
			op = b.run(op)
			if fail != (op.Err() != nil) || len(op.Made) != 0 {
				t.Errorf("%s: %v, made %v", op.Phase, op.Err(), op.Made)
			}
			b.clean()
		})
	}
}

// Without a Store, an upload that a predecessor with the same Operation began is taken up, and one with parts is left to whoever copies them.
func TestWithoutStore(t *testing.T) {
	for _, with := range []bool{false, true} {
		bubble(t, func(b *bed) {
			b.generate("k", 12*mib)
			op := b.until(b.start("k", options(small)), "create")
			first := b.step(op) // its result is lost
			if with {
				b.step(first)
			}
			op.Attempt, op.Unstored = 1, true
			op, err := b.s.Step(b.Context(), op)
			b.ok(err)
			if n := len(b.uploads()); with != (n == 2) {
				t.Errorf("%d uploads", n)
			}
			op = b.run(op)
			if op.Err() != nil {
				t.Error(op.Err())
			}
			if with { // the other ends well, too, and takes its own upload away
				first = b.run(first)
				if first.Err() != nil {
					t.Error(first.Err())
				}
			}
			b.clean()
			if len(b.objects()) != 1 {
				t.Errorf("objects %+v", b.objects())
			}
		})
	}
}
