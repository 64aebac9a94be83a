package objectcopy_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// The number of parts at a time is bounded over all objects of a Strategy, and used up.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(s *objectcopy.Settings) { s.Concurrency = 7 })
		var mu sync.Mutex // guards what follows
		at := map[time.Time]int{}
		b.world.SetTransfer(func(_, operation string, _ any) time.Duration {
			if operation != "UploadPartCopy" {
				return 0
			}
			mu.Lock()
			defer mu.Unlock()
			at[time.Now().Truncate(time.Second)]++
			return time.Second
		})
		var wg sync.WaitGroup
		for i := range 3 {
			key := fmt.Sprint(i)
			b.generate(key, 100*mib)
			op := b.start(key, options(small))
			wg.Go(func() {
				if op := b.run(op); op.Err() != nil || !b.store.Same(b.world, here, from, key, there, to, key) {
					t.Error(op.Err())
				}
			})
		}
		wg.Wait()
		b.clean()
		most, full := 0, 0
		for _, n := range at {
			most = max(most, n)
			if n == 7 {
				full++
			}
		}
		if most > 7 || full < 7 { // 60 parts
			t.Errorf("at most %d at a time, %d times all 7: %v", most, full, at)
		}
	})
}

// A copy that needs many Steps is carried on from what S3 says is there, by any process, and sends no part twice.
func TestManySteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(s *objectcopy.Settings) { s.Concurrency = 2 })
		b.world.SetPageLimit(3)
		b.world.SetTransfer(func(_, operation string, _ any) time.Duration {
			if operation == "UploadPartCopy" {
				return 9 * time.Second
			}
			return 0
		})
		b.generate("k", 150*mib) // 30 parts: 135 s
		op := b.until(b.start("k", options(small)), "parts")
		steps, percent := 0, 0
		for op.Stage == "parts" {
			began := time.Now()
			b.s = objectcopy.NewFromConfig(b.world.Config(account, there), func(s *objectcopy.Settings) { s.Concurrency = 2 })
			op = b.step(op)
			if d := time.Since(began); d > 56*time.Second {
				t.Errorf("a Step of %v", d)
			}
			if op.Stage == "parts" && (op.Percent <= percent || op.Percent > 99) {
				t.Errorf("from %d to %d percent", percent, op.Percent)
			}
			percent = op.Percent
			steps++
		}
		b.succeeded(b.run(op), "k")
		if n := b.calls("UploadPartCopy"); n != 30 || steps != 3 {
			t.Errorf("%d parts in %d Steps", n, steps)
		}
	})
}

// Parts that take longer than a Step are given up, and counted when S3 has them all the same.
func TestSlowParts(t *testing.T) {
	bubble(t, func(b *bed) {
		b.generate("k", 12*mib)
		began := time.Now()
		b.world.SetTransfer(func(_, operation string, _ any) time.Duration {
			if operation == "UploadPartCopy" && time.Since(began) < 10*time.Minute {
				return 2 * time.Minute
			}
			return 0
		})
		b.copied(b.start("k", options(small)), "k")
	})
}

// A few calls that fail cost a few calls more.
func TestPartsFail(t *testing.T) {
	for _, kind := range []awssim.FaultKind{awssim.FaultServerError, awssim.FaultServerErrorApplied, awssim.FaultLostReply, awssim.FaultThrottle, awssim.FaultGarbage, awssim.FaultExpired} {
		bubble(t, func(b *bed) {
			b.generate("k", 300*mib)
			b.world.Inject(awssim.Fault{Operation: "UploadPartCopy", Skip: 5, Times: 20, Kind: kind})
			b.copied(b.start("k", options(small)), "k")
			if n := b.calls("UploadPartCopy"); n > 60+3*20 {
				t.Errorf("%v: %d calls for 60 parts", kind, n)
			}
		})
	}
}

// Whoever aborts the upload behind the copy's back ends it, and nothing is left.
func TestUploadVanishes(t *testing.T) {
	for _, stage := range []string{"parts", "complete"} {
		bubble(t, func(b *bed) {
			b.generate("k", 30*mib)
			op := b.until(b.start("k", options(small)), stage)
			_, err := b.far.AbortMultipartUpload(b.Context(), &awss3.AbortMultipartUploadInput{Bucket: aws.String(to), Key: aws.String("k"), UploadId: aws.String(b.uploads()[0])})
			b.ok(err)
			op = b.run(op)
			if backup.CodeOf(op.Err()) != backup.ErrConflict || !strings.Contains(backup.HintOf(op.Err()), "lifecycle") || len(op.Made)+len(b.objects()) != 0 {
				t.Errorf("%s: %v, made %v", stage, op.Err(), op.Made)
			}
		})
	}
	bubble(t, func(b *bed) { // while parts are being sent
		b.generate("k", 30*mib)
		b.world.Inject(awssim.Fault{Operation: "UploadPartCopy", Skip: 2, Kind: awssim.FaultNone, Do: func() {
			for _, id := range b.uploads() {
				_, err := b.far.AbortMultipartUpload(b.Context(), &awss3.AbortMultipartUploadInput{Bucket: aws.String(to), Key: aws.String("k"), UploadId: &id})
				b.ok(err)
			}
		}})
		op := b.run(b.start("k", options(small)))
		if backup.CodeOf(op.Err()) != backup.ErrConflict || len(op.Made)+len(b.objects()) != 0 {
			t.Errorf("%v, made %v", op.Err(), op.Made)
		}
		b.clean()
	})
}

// A part in the upload that the copy did not put there ends it.
func TestForeignParts(t *testing.T) {
	bubble(t, func(b *bed) {
		b.generate("k", 12*mib)
		op := b.until(b.start("k", options(small)), "complete")
		_, err := b.far.UploadPart(b.Context(), &awss3.UploadPartInput{Bucket: aws.String(to), Key: aws.String("k"), UploadId: aws.String(b.uploads()[0]), PartNumber: aws.Int32(4), Body: strings.NewReader("x")})
		b.ok(err)
		op = b.run(op)
		if backup.CodeOf(op.Err()) != backup.ErrConflict {
			t.Error(op.Err())
		}
		b.clean()
	})
	bubble(t, func(b *bed) { // one of the right number and the wrong size is copied anew
		b.generate("k", 12*mib)
		op := b.until(b.start("k", options(small)), "complete")
		_, err := b.far.UploadPart(b.Context(), &awss3.UploadPartInput{Bucket: aws.String(to), Key: aws.String("k"), UploadId: aws.String(b.uploads()[0]), PartNumber: aws.Int32(2), Body: strings.NewReader("x")})
		b.ok(err)
		b.copied(op, "k")
	})
}

// An upload that can not be aborted stays listed, with the right that is missing.
func TestAbortDenied(t *testing.T) {
	for _, operation := range []string{"AbortMultipartUpload", "ListParts"} {
		bubble(t, func(b *bed) {
			b.generate("k", 12*mib)
			op, err := b.s.Cancel(b.Context(), b.until(b.start("k", options(small)), "complete"))
			b.ok(err)
			b.world.Inject(awssim.Fault{Operation: operation, Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied"}})
			op = b.run(op)
			if op.Phase != backup.PhaseCanceled || len(op.Made) != 1 || op.Made[0].Type != objectcopy.TypeUpload {
				t.Errorf("%s: %v", op.Phase, op.Made)
			}
			if !slices.ContainsFunc(op.Findings, func(f backup.Finding) bool {
				return f.ID == "objectcopy.upload-left" && strings.Contains(f.Remedy, "the caller needs s3:")
			}) {
				t.Errorf("findings %+v", op.Findings)
			}
		})
	}
}

// A part that was being copied while the upload was aborted keeps it alive: it is aborted again.
func TestAbortAgain(t *testing.T) {
	for _, kind := range []awssim.FaultKind{awssim.FaultServerError, awssim.FaultLostReply, awssim.FaultThrottle} {
		bubble(t, func(b *bed) {
			b.generate("k", 12*mib)
			op, err := b.s.Cancel(b.Context(), b.until(b.start("k", options(small)), "complete"))
			b.ok(err)
			b.world.Inject(awssim.Fault{Operation: "AbortMultipartUpload", Times: 4, Kind: kind})
			if op = b.run(op); len(op.Made) != 0 {
				t.Errorf("made %v", op.Made)
			}
			b.clean()
		})
	}
	bubble(t, func(b *bed) {
		b.generate("k", 12*mib)
		op, err := b.s.Cancel(b.Context(), b.until(b.start("k", options(small)), "complete"))
		b.ok(err)
		op = b.until(op, "gone")
		// The simulation has no such uploads: another one plays it.
		op.State = []byte(strings.Replace(string(op.State), `"u":"`+uploadID(op), `"u":"`+b.begin("k"), 1))
		if op = b.step(op); op.Stage != "abort" {
			t.Errorf("stage %s", op.Stage)
		}
		if op = b.run(op); op.Phase != backup.PhaseCanceled {
			t.Errorf("%s", op.Phase)
		}
		b.clean()
	})
}

// uploadID is the id of the upload that is listed in Made.
func uploadID(op backup.Operation) string {
	_, id, _ := strings.Cut(op.Made[0].ID, "#")
	return id
}

// The fence stops every call that changes something.
func TestFence(t *testing.T) {
	for stage, size := range map[string]int64{"copy": 10, "create": 12 * mib, "parts": 12 * mib, "complete": 12 * mib, "abort": 12 * mib} {
		bubble(t, func(b *bed) {
			b.generate("k", size)
			op := b.start("k", options(small))
			if stage == "abort" {
				var err error
				op, err = b.s.Cancel(b.Context(), b.until(op, "parts"))
				b.ok(err)
			}
			op = b.until(op, stage)
			op.Attempt = 1
			before := len(b.world.Calls())
			over := &backup.Error{Code: backup.ErrConflict}
			next, err := b.s.Step(backup.WithFence(b.Context(), func() error { return over }), op)
			if backup.CodeOf(err) != backup.ErrConflict || next.Done() || next.Stage != stage {
				t.Errorf("%s: %v, stage %s", stage, err, next.Stage)
			}
			for _, c := range b.world.Calls()[before:] {
				if c.Mutates {
					t.Errorf("%s in stage %s", c.Operation, stage)
				}
			}
		})
	}
}

// A panic in a call, such as the simulated death of the process, reaches whoever called Step.
func TestPanic(t *testing.T) {
	bubble(t, func(b *bed) {
		b.generate("k", 30*mib)
		op := b.until(b.start("k", options(small)), "parts")
		b.world.Inject(awssim.Fault{Operation: "UploadPartCopy", Skip: 1, Kind: awssim.FaultDieAfter})
		func() {
			defer func() {
				if k, ok := recover().(awssim.Killed); !ok || k.Operation != "UploadPartCopy" {
					t.Errorf("recovered %v", k)
				}
			}()
			b.step(op)
		}()
		b.copied(op, "k")
	})
}
