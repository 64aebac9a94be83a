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

// Without a Store a call that the Operation names was perhaps sent, though no attempt is recorded: it is looked for before a canceled copy ends.
func TestCancelUnstored(t *testing.T) {
	for _, c := range []struct {
		stage string
		size  int64
		made  bool
		left  int
	}{{"create", 12 * mib, false, 1}, {"copy", 10, true, 0}, {"parts", 12 * mib, false, 0}, {"complete", 12 * mib, true, 0}} {
		bubble(t, func(b *bed) {
			b.generate("k", c.size)
			r := b.runner()
			op := b.start("k", options(small))
			var err error
			for op.Stage != c.stage {
				op, err = r.Step(b.Context(), op)
				b.ok(err)
			}
			_, err = r.Step(b.Context(), op) // its result is lost
			b.ok(err)
			end, err := r.Cancel(b.Context(), op)
			b.ok(err)
			end = b.run(end)
			if end.Phase != backup.PhaseCanceled || len(end.Made) != 0 || (len(end.Points) == 1) != c.made || (len(b.objects()) == 1) != c.made {
				t.Errorf("%s: %s, points %v, made %v, objects %+v", c.stage, end.Phase, end.Points, end.Made, b.objects())
			}
			b.left(end, c.left)
		})
	}
}

// A conflict has the upload aborted and another begun, as S3 asks for, a few times.
func TestConflict(t *testing.T) {
	conflict := awssim.Fault{Operation: "CompleteMultipartUpload", Kind: awssim.FaultError, Error: awssim.Error{Status: 409, Code: "ConditionalRequestConflict"}}
	for _, c := range []struct {
		name    string
		times   int
		do      func(b *bed)
		creates int
		code    backup.Code
	}{
		{"once", 1, nil, 2, ""}, {"three times", 3, nil, 4, ""}, {"for ever", -1, nil, 4, backup.ErrConflict},
		{"another wins", 1, func(b *bed) { b.puts("k", nil) }, 1, backup.ErrConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.generate("k", 12*mib)
				f := conflict
				f.Times = c.times
				if c.do != nil {
					f.Do = func() { c.do(b) }
				}
				b.world.Inject(f)
				op := b.run(b.start("k", options(small)))
				if backup.CodeOf(op.Err()) != c.code || len(op.Made) != 0 || c.code == "" != (len(op.Points) == 1) {
					t.Errorf("%s: %v, points %v, made %v", op.Phase, op.Err(), op.Points, op.Made)
				}
				if n := b.calls("CreateMultipartUpload"); n != c.creates || b.calls("UploadPartCopy") != 3*n {
					t.Errorf("%d uploads, %d parts", n, b.calls("UploadPartCopy"))
				}
				if c.code == "" && !b.store.Same(b.world, here, from, "k", there, to, "k") {
					t.Error("the copy is not the source")
				}
				b.clean()
			})
		})
	}
	for _, cancel := range []bool{false, true} { // the abort of the upload in conflict is denied, or the copy is canceled before it
		bubble(t, func(b *bed) {
			b.generate("k", 12*mib)
			b.world.Inject(conflict)
			op := b.until(b.start("k", options(small)), "abort")
			if cancel {
				if op = b.canceled(op); len(op.Points) != 0 {
					t.Errorf("points %v", op.Points)
				}
				b.clean()
				return
			}
			b.world.Inject(awssim.Fault{Operation: "AbortMultipartUpload", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied"}})
			op = b.run(op)
			if op.Phase != backup.PhaseFailed || len(op.Made) != 1 || len(op.Findings) != 1 || op.Findings[0].Ref != op.Made[0] {
				t.Errorf("%s: made %v, findings %+v", op.Phase, op.Made, op.Findings)
			}
		})
	}
}

// The own upload is aborted by its id, whatever can be listed.
func TestAbortUnlisted(t *testing.T) {
	bubble(t, func(b *bed) {
		b.generate("k", 12*mib)
		op := b.until(b.start("k", options(small)), "create")
		b.world.Inject(awssim.Fault{Operation: "CreateMultipartUpload", Kind: awssim.FaultServerError})
		op, err := b.try(op)
		if err == nil {
			t.Fatal("no error")
		}
		op = b.until(op, "parts")
		b.world.Inject(awssim.Fault{Operation: "ListMultipartUploads", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied"}})
		if op = b.canceled(op); len(op.Made) != 0 {
			t.Errorf("made %v", op.Made)
		}
		b.clean()
	})
}

// An object that S3 put together although the answer was an error, and that shows itself only while the upload is being aborted, is found.
func TestCompletedMeanwhile(t *testing.T) {
	for _, cancel := range []bool{false, true} {
		bubble(t, func(b *bed) {
			b.generate("k", 12*mib)
			op := b.until(b.start("k", options(small)), "complete")
			before := op
			if cancel {
				var err error
				op, err = b.s.Cancel(b.Context(), op)
				b.ok(err)
			} else {
				b.world.Inject(awssim.Fault{Operation: "CompleteMultipartUpload", Kind: awssim.FaultError, Error: awssim.Error{Status: 409, Code: "ConditionalRequestConflict"}})
				op = b.step(op)
			}
			if op.Stage != "abort" {
				t.Fatal(op.Stage)
			}
			b.step(before) // another process, whose request was under way
			op = b.run(op)
			if (op.Phase == backup.PhaseCanceled) != cancel || len(op.Points) != 1 || len(op.Made) != 0 || b.calls("CreateMultipartUpload") != 1 {
				t.Errorf("%s: %v, points %v, made %v", op.Phase, op.Err(), op.Points, op.Made)
			}
			b.clean()
		})
	}
}

// S3 is told the size of the whole, and refuses another one.
func TestSizeIsSent(t *testing.T) {
	bubble(t, func(b *bed) {
		const size = 12*mib + 3
		b.generate("k", size)
		op := b.until(b.start("k", options(small)), "complete")
		var sent []*awss3.CompleteMultipartUploadInput
		b.world.Watch(func(c awssim.Call) {
			if in, ok := c.Input.(*awss3.CompleteMultipartUploadInput); ok {
				sent = append(sent, in)
			}
		})
		id := uploadID(op)
		list, err := b.far.ListParts(b.Context(), &awss3.ListPartsInput{Bucket: aws.String(to), Key: aws.String("k"), UploadId: &id})
		b.ok(err)
		wrong := &awss3.CompleteMultipartUploadInput{Bucket: aws.String(to), Key: aws.String("k"), UploadId: &id, MpuObjectSize: aws.Int64(size - 1), MultipartUpload: &s3types.CompletedMultipartUpload{}}
		for _, p := range list.Parts {
			wrong.MultipartUpload.Parts = append(wrong.MultipartUpload.Parts, s3types.CompletedPart{PartNumber: p.PartNumber, ETag: p.ETag})
		}
		if _, err := b.far.CompleteMultipartUpload(b.Context(), wrong); err == nil {
			t.Error("a wrong size was taken")
		}
		b.copied(op, "k")
		if len(sent) != 2 || aws.ToInt64(sent[1].MpuObjectSize) != size || aws.ToString(sent[1].IfNoneMatch) != "*" {
			t.Errorf("%d calls, the last one with the size %d", len(sent), aws.ToInt64(sent[len(sent)-1].MpuObjectSize))
		}
	})
}

// Parts that are never done within a Step end the copy by its deadline with a failure that names the size of the parts, and so does every error before.
func TestPartsTooSlow(t *testing.T) {
	bubble(t, func(b *bed) {
		b.generate("k", 2<<30)
		b.world.SetTransfer(func(_, operation string, _ any) time.Duration {
			if operation == "UploadPartCopy" {
				return 70 * time.Second
			}
			return 0
		})
		op, err := b.s.Start(b.Context(), source("k"), backup.Spec{Token: "t", Timeout: 30 * time.Minute, Options: options(func(o *objectcopy.Options) { o.PartSize = objectcopy.MaxPartSize })})
		b.ok(err)
		b.world.Inject(awssim.Fault{Operation: "UploadPartCopy", Times: -1, Kind: awssim.FaultHang}) // S3 does not do them later either
		if _, err := b.try(b.until(op, "parts")); !strings.Contains(backup.HintOf(err), "smaller Options.PartSize") {
			t.Errorf("%v, hint %q", err, backup.HintOf(err))
		}
		op = b.run(op)
		if op.Phase != backup.PhaseFailed || time.Now().After(op.Deadline) || !strings.Contains(op.Failure.Hint, "smaller Options.PartSize") || !strings.Contains(op.Failure.Message, "parts of 512 MiB") {
			t.Errorf("%s: %v", op.Phase, op.Err())
		}
		b.left(op, 1) // that of the Step whose result was thrown away
	})
}
