package elasticacheexport_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// still has the snapshot show no export, whatever is written.
func (b *bed) still(name string) {
	b.Helper()
	b.ok(b.cache.Hold(b.world, account, region, name, "available", 48*time.Hour))
}

// refusedOnce asks for the export and gets an error that does not tell whether it was begun. It was not.
func (b *bed) refusedOnce(op backup.Operation) backup.Operation {
	b.Helper()
	b.world.Inject(awssim.Fault{Operation: exportServerless, Kind: awssim.FaultError, Error: awssim.Error{Status: 500, Code: "InternalFailure", Message: "x"}})
	op.Attempt = 1
	if _, err := b.s.Step(b.Context(), op); err == nil {
		b.Fatal("nothing was lost")
	}
	return op
}

// TestServerlessSecondRun runs an Operation again of which nothing is known any more, while a large file of the first run is being uploaded.
func TestServerlessSecondRun(t *testing.T) {
	good := rdbOf("REDIS0011", 100, true)
	serverless(t, "an upload that is older than the second run", func(b *bed) {
		name := b.until(b.of(web), "wait").Points[0].ID
		b.unwritten()
		b.still(name)
		b.place(name+"-0001.rdb", good, time.Now())
		b.uploading(name + "-0002.rdb")
		time.Sleep(20 * time.Minute)
		op := b.of(web)
		op.Unstored = true
		for began := time.Now(); time.Since(began) < 3*time.Hour && !op.Done(); {
			op = b.step(op)
		}
		if op.Stage != "wait" || op.Done() || b.manifest() {
			b.Fatalf("%s %s %v, keys %v", op.Phase, op.Stage, op.Err(), b.keys())
		}
	})
	serverless(t, "no file yet", func(b *bed) {
		name := b.until(b.of(web), "wait").Points[0].ID
		b.unwritten()
		b.still(name)
		up := b.uploading(name + "-0001.rdb")
		time.Sleep(20 * time.Minute)
		op := b.of(web)
		op.Unstored = true
		for began := time.Now(); time.Since(began) < time.Hour && !op.Done(); {
			op = b.step(op)
		}
		if op.Stage != "settle" || op.Done() || b.count(exportServerless) != 1 || len(op.Made) != 1 {
			b.Fatalf("%s %s %v, made %v, asked for %d times", op.Phase, op.Stage, op.Err(), op.Made, b.count(exportServerless))
		}
		_, err := b.s3.AbortMultipartUpload(b.Context(), &awss3.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: up.Key, UploadId: up.UploadId})
		b.ok(err)
		b.place(name+"-0001.rdb", good, time.Now())
		if want(b, b.run(op), "", 0); b.count(exportServerless) != 1 {
			b.Errorf("asked for %d times", b.count(exportServerless))
		}
	})
	serverless(t, "a file that is older than the data", func(b *bed) {
		op := b.until(b.of(web), "wait")
		b.unwritten()
		b.place(op.Points[0].ID+"-0001.rdb", good, time.Now().Add(-2*time.Hour))
		want(b, b.run(op), backup.ErrConflict, 1)
	})
}

// TestServerlessLongerNames takes no file that another snapshot's export can have written, and counts none of theirs as a sign of its own end.
func TestServerlessLongerNames(t *testing.T) {
	good := rdbOf("REDIS0011", 100, true)
	for name, c := range map[string]struct {
		shown bool
		keys  string
		code  backup.Code
		files int
		found []string
	}{
		"a date beside its own":           {true, "daily.rdb daily-20261120.rdb", "", 1, []string{"written-beside", "counted"}},
		"a date beside its numbered one":  {true, "daily-0001.rdb daily-20261120.rdb", "", 1, []string{"written-beside", "counted"}},
		"a date alone":                    {true, "daily-20261120.rdb", backup.ErrUnsupported, 0, nil},
		"a year alone":                    {true, "daily-2026.rdb", backup.ErrPartial, 0, nil},
		"a year beside its own":           {true, "daily.rdb daily-2026.rdb", backup.ErrPartial, 0, nil},
		"a number beside its own":         {true, "daily.rdb daily-0001.rdb", backup.ErrUnsupported, 0, nil},
		"parts of a file":                 {true, "daily-0001.rdb daily-0001-part-0002.rdb", backup.ErrUnsupported, 0, nil},
		"a form of no export":             {true, "daily-0001.rdb daily-0002.rdb.tmp", backup.ErrUnsupported, 0, nil},
		"a folder":                        {true, "daily-0001.rdb daily/0002.rdb", backup.ErrUnsupported, 0, nil},
		"others' export and manifest":     {true, "daily-0001.rdb daily-2-0001.rdb daily-2.manifest.json", "", 1, []string{"written-beside", "counted"}},
		"others' where it is never shown": {false, "daily-0001.rdb daily-2-0001.rdb", "", 1, []string{"written-beside", "counted"}},
	} {
		serverless(t, name, func(b *bed) {
			op := b.written(c.shown)
			for key := range strings.FieldsSeq(c.keys) {
				b.place(key, good, time.Now())
			}
			op = b.run(op)
			if c.code != "" {
				if want(b, op, c.code, 1); strings.Contains(strings.Join(b.keys(), " "), "daily.manifest.json") {
					b.Errorf("there is a manifest: %v", b.keys())
				}
				return
			}
			if want(b, op, "", 0); len(b.shards(op)) != c.files {
				b.Errorf("%+v", b.shards(op))
			}
			if d := cmp.Diff(c.found, ids(op)); d != "" || strings.HasSuffix(op.Findings[0].Message, "…") {
				b.Errorf("%s%+v", d, op.Findings)
			}
		})
	}
	serverless(t, "others' come first", func(b *bed) {
		op := b.written(false)
		b.place("daily-2-0001.rdb", good, time.Now())
		b.place("daily/other", good, time.Now())
		for began := time.Now(); time.Since(began) < 40*time.Minute; {
			if op = b.step(op); op.Done() {
				b.Fatalf("ended after %v: %v", time.Since(began), op.Err())
			}
		}
		_, err := b.s3.DeleteObject(b.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("daily/other")})
		b.ok(err)
		b.place("daily-0001.rdb", good, time.Now())
		want(b, b.run(op), "", 0)
	})
	serverless(t, "very many others'", func(b *bed) {
		op := b.written(true)
		b.place("daily-0001.rdb", good, time.Now())
		for i := range 60 {
			b.place(fmt.Sprintf("daily-x%04d.rdb", i), good, time.Now().Add(-time.Hour))
		}
		b.world.SetPageLimit(1)
		op = b.run(op)
		if want(b, op, "", 0); op.Findings[0].ID != "elasticacheexport.written-beside" || !strings.Contains(op.Findings[0].Message, "too many to look at all") {
			b.Errorf("%+v", op.Findings)
		}
	})
	// The name of an automatic snapshot is no proof: an export of nodes can be called so.
	serverless(t, "an automatic name", func(b *bed) {
		const name = "automatic.web-2026-11-20-03-00"
		b.ok(b.cache.AddServerlessSnapshots(b.world, account, region, "web", nil, name))
		time.Sleep(time.Hour)
		op := b.refusedOnce(b.until(b.of(elasticache.ServerlessSnapshot(account, region, name)), "export"))
		node, err := b.s.Start(b.Context(), elasticache.Snapshot(account, region, "plain"), backup.Spec{Token: "n", Name: name, Options: elasticacheexport.Options{Bucket: bucket}})
		b.ok(err)
		b.until(node, "verify")
		if op = b.run(op); backup.CodeOf(op.Err()) != backup.ErrConflict || b.count(exportServerless) != 1 {
			b.Errorf("%s %v; asked for %d times", op.Phase, op.Err(), b.count(exportServerless))
		}
	})
}

// TestServerlessBroken calls nothing whole of which the source broke, or was deleted, before its end was seen.
func TestServerlessBroken(t *testing.T) {
	good := rdbOf("REDIS0011", 100, true)
	for _, status := range []string{"failed", "deleting", "gone"} {
		for files, code := range map[int]backup.Code{0: backup.ErrFailed, 1: backup.ErrPartial} {
			serverless(t, fmt.Sprintf("%s, %d files", status, files), func(b *bed) {
				op := b.written(true)
				if files > 0 {
					b.place("daily-0001.rdb", good, time.Now())
				}
				op = b.step(op)
				if status == "gone" {
					b.ok(b.cache.Vanish(b.world, account, region, "daily"))
				} else {
					b.ok(b.cache.Hold(b.world, account, region, "daily", status, 48*time.Hour))
				}
				op = b.run(op)
				if want(b, op, code, 1); b.manifest() || !strings.Contains(op.Err().Error(), "was "+status) {
					b.Errorf("%v, keys %v", op.Err(), b.keys())
				}
			})
		}
	}
	serverless(t, "an old view", func(b *bed) {
		op := b.written(false)
		b.place("daily-0001.rdb", good, time.Now())
		for at := time.Now(); time.Since(at) < 10*time.Minute; {
			op = b.step(op)
		}
		b.ok(b.cache.Hold(b.world, account, region, "daily", "creating", time.Minute))
		began := time.Now()
		if want(b, b.run(op), "", 0); time.Since(began) < 18*time.Minute {
			b.Errorf("ended after %v", time.Since(began))
		}
	})
	serverless(t, "for a moment", func(b *bed) {
		op := b.written(true)
		b.place("daily-0001.rdb", good, time.Now())
		for range 4 {
			op = b.step(op)
		}
		b.ok(b.cache.Hold(b.world, account, region, "daily", "failed", time.Minute))
		began := time.Now()
		if want(b, b.run(op), "", 0); time.Since(began) < 7*time.Minute {
			b.Errorf("the wait did not begin again: %v", time.Since(began))
		}
	})
}

// TestServerlessTwice asks for no second export while a file of the first is being uploaded.
func TestServerlessTwice(t *testing.T) {
	for name, r := range map[string]backup.Ref{"snapshot": daily, "cache": web} {
		serverless(t, name, func(b *bed) {
			op := b.until(b.of(r), "export")
			point := "daily"
			if r == web {
				point = op.Points[0].ID
			}
			op = b.refusedOnce(op)
			up := b.uploading(point + "-0001.rdb")
			for began := time.Now(); time.Since(began) < time.Hour; {
				if op = b.step(op); op.Done() || b.count(exportServerless) > 1 {
					b.Fatalf("%s %s %v after %v: asked for %d times", op.Stage, op.Phase, op.Err(), time.Since(began), b.count(exportServerless))
				}
			}
			// It was for nothing: so it is asked for again.
			_, err := b.s3.AbortMultipartUpload(b.Context(), &awss3.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: up.Key, UploadId: up.UploadId})
			b.ok(err)
			if want(b, b.run(op), "", 0); b.count(exportServerless) != 2 {
				b.Errorf("asked for %d times", b.count(exportServerless))
			}
		})
		serverless(t, name+", without a Store", func(b *bed) {
			op := b.until(b.of(r), "export")
			point := "daily"
			if r == web {
				point = op.Points[0].ID
			}
			op.Unstored = true
			b.uploading(point + "-0001.rdb")
			if op = b.step(op); op.Stage != "settle" || b.count(exportServerless) != 0 || len(op.Made) == 0 {
				b.Errorf("%s %v, made %v: asked for %d times", op.Stage, op.Err(), op.Made, b.count(exportServerless))
			}
		})
	}
	serverless(t, "begun after the window", func(b *bed) {
		op := b.refusedOnce(b.until(b.of(daily), "export"))
		b.still("daily")
		op = b.until(b.until(op, "settle"), "look")
		b.uploading("daily-0001.rdb")
		if op = b.step(op); op.Stage != "settle" || op.Done() || b.count(exportServerless) != 1 {
			b.Errorf("%s %v: asked for %d times", op.Stage, op.Err(), b.count(exportServerless))
		}
	})
	serverless(t, "another's, at the first look", func(b *bed) {
		b.uploading("daily-0001.rdb")
		if want(b, b.run(b.of(daily)), backup.ErrConflict, 0); b.count(exportServerless) != 0 {
			b.Error("it was asked for")
		}
	})
}

// TestServerlessLate tells of a file that comes when it is too late for the manifest, and of an upload that is begun before it.
func TestServerlessLate(t *testing.T) {
	good := rdbOf("REDIS0011", 100, true)
	serverless(t, "between the list and the manifest", func(b *bed) {
		op := b.until(b.of(daily), "manifest")
		b.hook(after(func(_ context.Context, _ any, _ *awss3.PutObjectOutput) { b.place("daily-0002.rdb", good, time.Now()) }))
		op = b.run(op)
		if want(b, op, backup.ErrConflict, 1); !strings.Contains(op.Err().Error(), "daily-0002.rdb") || !b.manifest() {
			b.Errorf("%v, keys %v", op.Err(), b.keys())
		}
	})
	serverless(t, "an upload", func(b *bed) {
		op := b.until(b.of(daily), "manifest")
		b.uploading("daily-0002.rdb")
		if op = b.step(op); op.Stage != "wait" || b.manifest() {
			b.Errorf("%s %v, keys %v", op.Stage, op.Err(), b.keys())
		}
	})
	serverless(t, "an upload that ended without a file", func(b *bed) {
		op := b.written(true)
		b.place("daily-0001.rdb", good, time.Now())
		up := b.uploading("daily-0002.rdb")
		for at := time.Now(); time.Since(at) < time.Hour; {
			op = b.step(op)
		}
		// To the look that sees it under way, after which the whole time begins anew.
		for n := b.count("ListMultipartUploads"); b.count("ListMultipartUploads") == n; {
			op = b.step(op)
		}
		_, err := b.s3.AbortMultipartUpload(b.Context(), &awss3.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: up.Key, UploadId: up.UploadId})
		b.ok(err)
		began := time.Now()
		b.until(op, "verify")
		if time.Since(began) < 6*time.Minute {
			b.Errorf("ended %v after the last sign", time.Since(began))
		}
	})
}

// TestServerlessCounted tells how long nothing had changed, and of a run before only what its manifest says.
func TestServerlessCounted(t *testing.T) {
	for shown, figure := range map[bool]string{true: "nothing had changed for 6m0s", false: "nothing had changed for 18m0s"} {
		serverless(t, figure, func(b *bed) {
			op := b.written(shown)
			b.place("daily-0001.rdb", rdbOf("REDIS0011", 100, true), time.Now())
			if op = b.run(op); !strings.Contains(op.Findings[0].Message, figure) {
				b.Error(op.Findings[0].Message)
			}
			if op = b.run(b.of(daily)); op.Phase != backup.PhaseSucceeded || strings.Contains(op.Findings[0].Message, "changed") || !strings.Contains(op.Findings[0].Message, "lists 1, of ") {
				b.Errorf("%s %v", op.Phase, op.Findings)
			}
		})
	}
}

// TestServerlessOwner looks at no bucket of another account.
func TestServerlessOwner(t *testing.T) {
	serverless(t, "it", func(b *bed) {
		uploads, lists := 0, 0
		b.hook(after(func(_ context.Context, in any, _ *awss3.ListMultipartUploadsOutput) {
			if uploads++; aws.ToString(in.(*awss3.ListMultipartUploadsInput).ExpectedBucketOwner) != account {
				b.Error("the uploads of anybody's bucket are listed")
			}
		}))
		op := b.until(b.of(daily), "wait")
		b.hook(after(func(_ context.Context, in any, _ *awss3.ListObjectsV2Output) {
			if lists++; aws.ToString(in.(*awss3.ListObjectsV2Input).ExpectedBucketOwner) != account {
				b.Error("anybody's bucket is listed")
			}
		}))
		want(b, b.run(op), "", 0)
		if uploads == 0 || lists == 0 {
			b.Errorf("%d and %d", uploads, lists)
		}
	})
}
