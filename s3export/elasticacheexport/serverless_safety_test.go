package elasticacheexport_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// written comes to the stage "wait" of an export of the snapshot, of which nothing is written but what the test writes. Where shown, the status
// shows the export for a minute, and otherwise never.
func (b *bed) written(shown bool) backup.Operation {
	b.Helper()
	op := b.until(b.of(daily), "wait")
	b.unwritten()
	b.ok(b.cache.Hold(b.world, account, region, "daily", "available", 24*time.Hour))
	if shown {
		b.ok(b.cache.Hold(b.world, account, region, "daily", "exporting", time.Minute))
	}
	return op
}

func (b *bed) uploading(key string) *awss3.CreateMultipartUploadOutput {
	b.Helper()
	out, err := b.s3.CreateMultipartUpload(b.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: &key})
	b.ok(err)
	return out
}

func (b *bed) manifest() bool {
	return strings.Contains(strings.Join(b.keys(), " "), ".manifest.json")
}

// TestServerlessEnd takes an export as ended only when nothing has changed for a settle window, or three where its status never showed it.
func TestServerlessEnd(t *testing.T) {
	good := rdbOf("REDIS0011", 100, true)
	for shown, window := range map[bool]time.Duration{true: 6 * time.Minute, false: 18 * time.Minute} {
		name := map[bool]string{true: "shown", false: "never shown"}[shown]
		serverless(t, name+", files one after another", func(b *bed) {
			op := b.written(shown)
			for _, id := range []string{"0001", "0002", "0003", "0004"} {
				b.place("daily-"+id+".rdb", good, time.Now())
				for at := time.Now(); time.Since(at) < window-time.Minute; {
					if op = b.step(op); op.Stage != "wait" || op.Done() {
						b.Fatalf("%v after file %s: %s %v", time.Since(at), id, op.Stage, op.Err())
					}
				}
			}
			op = b.run(op)
			if want(b, op, "", 0); len(b.shards(op)) != 4 {
				b.Errorf("%d files", len(b.shards(op)))
			}
		})
		serverless(t, name+", a file that is being uploaded", func(b *bed) {
			op := b.written(shown)
			b.place("daily-0001.rdb", good, time.Now())
			up := b.uploading("daily-0002.rdb")
			for at := time.Now(); time.Since(at) < 3*time.Hour; {
				if op = b.step(op); op.Stage != "wait" || op.Done() {
					b.Fatalf("%s %v", op.Stage, op.Err())
				}
			}
			_, err := b.s3.AbortMultipartUpload(b.Context(), &awss3.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: up.Key, UploadId: up.UploadId})
			b.ok(err)
			b.place("daily-0002.rdb", good, time.Now())
			op = b.run(op)
			if want(b, op, "", 0); len(b.shards(op)) != 2 {
				b.Errorf("%d files", len(b.shards(op)))
			}
		})
		serverless(t, name+", the same file anew", func(b *bed) {
			op := b.written(shown)
			for range 4 {
				b.place("daily-0001.rdb", good, time.Now())
				for at := time.Now(); time.Since(at) < window-time.Minute; {
					if op = b.step(op); op.Stage != "wait" {
						b.Fatal(op.Stage)
					}
				}
			}
			want(b, b.run(op), "", 0)
		})
	}
	serverless(t, "the status shows it late", func(b *bed) {
		op := b.written(false)
		b.place("daily-0001.rdb", good, time.Now())
		for at := time.Now(); time.Since(at) < 15*time.Minute; {
			op = b.step(op)
		}
		b.ok(b.cache.Hold(b.world, account, region, "daily", "exporting", 10*time.Minute))
		for at := time.Now(); time.Since(at) < 15*time.Minute; {
			if op = b.step(op); op.Stage != "wait" {
				b.Fatalf("%s after %v", op.Stage, time.Since(at))
			}
		}
		want(b, b.run(op), "", 0)
	})
	serverless(t, "uploads of others", func(b *bed) {
		b.uploading("daily-0007.rdb")
		time.Sleep(time.Hour) // before the export
		op := b.of(daily)
		b.uploading("daily-2-0001.rdb")
		b.uploading("daily-2")
		want(b, b.run(op), "", 0)
	})
	serverless(t, "many uploads of others", func(b *bed) {
		for range 60 {
			b.uploading("daily-x")
		}
		b.world.SetPageLimit(1)
		op := b.run(b.of(daily))
		if backup.CodeOf(op.Err()) != backup.ErrConflict || b.count(exportServerless) != 0 {
			b.Errorf("%s %v", op.Phase, op.Err())
		}
	})
	serverless(t, "a file that comes while others are read", func(b *bed) {
		op := b.until(b.of(daily), "manifest")
		b.place("daily-0002.rdb", good, time.Now())
		if op = b.step(op); op.Stage != "wait" || b.manifest() {
			b.Fatalf("%s %v, keys %v", op.Stage, op.Err(), b.keys())
		}
		op = b.run(op)
		if want(b, op, "", 0); len(b.shards(op)) != 2 {
			b.Errorf("%d files", len(b.shards(op)))
		}
	})
	serverless(t, "a file that comes after the manifest", func(b *bed) {
		want(b, b.run(b.of(daily)), "", 0)
		b.place("daily-0002.rdb", good, time.Now())
		op := b.run(b.of(daily))
		if want(b, op, backup.ErrConflict, 1); !strings.Contains(op.Err().Error(), "daily-0002.rdb") {
			b.Error(op.Err())
		}
	})
	serverless(t, "an empty file", func(b *bed) {
		op := b.written(true)
		b.place("daily-0001.rdb", good, time.Now())
		b.place("daily-0002.rdb", nil, time.Now())
		if want(b, b.run(op), backup.ErrPartial, 1); b.manifest() {
			b.Error("there is a manifest")
		}
	})
	serverless(t, "a damaged file", func(b *bed) {
		op := b.until(b.of(daily), "verify")
		b.store.Damage(b.world, region, bucket, "daily-0001.rdb")
		if want(b, b.run(op), backup.ErrFailed, 1); b.manifest() {
			b.Error("there is a manifest")
		}
	})
	serverless(t, "no file", func(b *bed) {
		b.world.Inject(awssim.Fault{Operation: exportServerless, Kind: awssim.FaultAsync})
		want(b, b.run(b.of(daily)), backup.ErrFailed, 1)
	})
	serverless(t, "more files than an Operation can hold", func(b *bed) {
		op := b.written(true)
		for i := range 300 {
			b.place(fmt.Sprintf("daily-%04d.rdb", i+1), good, time.Now())
		}
		want(b, b.run(op), backup.ErrUnsupported, 1)
	})
	serverless(t, "old files", func(b *bed) {
		op := b.written(true)
		b.place("daily-0001.rdb", good, time.Now().Add(-time.Hour))
		want(b, b.run(op), backup.ErrConflict, 1)
	})
	serverless(t, "another's manifest", func(b *bed) {
		op := b.written(true)
		b.place("daily-0001.rdb", good, time.Now())
		b.place("daily.manifest.json", []byte("{}"), time.Now())
		want(b, b.run(op), backup.ErrConflict, 1)
	})
}

// TestServerlessStatus waits while the snapshot is busy, in whatever words, and calls no export whole that ended with its snapshot.
func TestServerlessStatus(t *testing.T) {
	for status, code := range map[string]backup.Code{"creating": "", "COPYING": "", "a-new-word": "", "failed": backup.ErrFailed, "Deleting": backup.ErrFailed} {
		serverless(t, "before, "+status, func(b *bed) {
			b.ok(b.cache.Hold(b.world, account, region, "daily", status, 2*time.Hour))
			want(b, b.run(b.of(daily)), code, 0)
		})
		serverless(t, "meanwhile, "+status, func(b *bed) {
			op := b.until(b.of(daily), "wait")
			b.ok(b.cache.Hold(b.world, account, region, "daily", status, 2*time.Hour))
			began := time.Now()
			op = b.run(op)
			if code != "" { // that there is one file does not tell that it is all
				want(b, op, backup.ErrPartial, 1)
			} else if want(b, op, "", 0); time.Since(began) < 2*time.Hour {
				b.Errorf("it did not wait: %v", time.Since(began))
			}
		})
	}
	serverless(t, "gone meanwhile", func(b *bed) {
		op := b.until(b.of(daily), "wait")
		b.ok(b.cache.Vanish(b.world, account, region, "daily"))
		want(b, b.run(op), backup.ErrPartial, 1)
	})
	serverless(t, "gone before", func(b *bed) {
		op := b.until(b.of(daily), "export")
		b.ok(b.cache.Vanish(b.world, account, region, "daily"))
		want(b, b.run(op), backup.ErrNotFound, 0)
	})
	for name, c := range map[string]struct {
		edit func(*ectypes.ServerlessCacheSnapshot)
		code backup.Code
	}{
		"the engine": {func(x *ectypes.ServerlessCacheSnapshot) { x.ServerlessCacheConfiguration.Engine = aws.String("redis") }, backup.ErrConflict},
		"the version": {func(x *ectypes.ServerlessCacheSnapshot) {
			x.ServerlessCacheConfiguration.MajorEngineVersion = aws.String("7")
		}, backup.ErrConflict},
		"the cache": {func(x *ectypes.ServerlessCacheSnapshot) {
			x.ServerlessCacheConfiguration.ServerlessCacheName = aws.String("other")
		}, backup.ErrConflict},
		"the time":  {func(x *ectypes.ServerlessCacheSnapshot) { x.CreateTime = aws.Time(x.CreateTime.Add(time.Minute)) }, backup.ErrConflict},
		"all of it": {func(x *ectypes.ServerlessCacheSnapshot) { x.ServerlessCacheConfiguration = nil }, backup.ErrConflict},
		"no time":   {func(x *ectypes.ServerlessCacheSnapshot) { x.CreateTime = nil }, ""},
	} {
		serverless(t, "another of its name: "+name, func(b *bed) {
			op := b.until(b.of(daily), "export")
			b.hook(told(c.edit))
			want(b, b.run(op), c.code, 0)
			if sent := b.count(exportServerless); sent > 0 != (c.code == "") {
				b.Errorf("sent %d times", sent)
			}
		})
		serverless(t, "another of its name while it is exported: "+name, func(b *bed) {
			op := b.until(b.of(daily), "wait")
			b.hook(told(c.edit))
			want(b, b.run(op), c.code, min(1, len(c.code)))
		})
	}
	serverless(t, "another of its name while it was busy", func(b *bed) {
		op := b.until(b.of(daily), "export")
		b.ok(b.cache.Hold(b.world, account, region, "daily", "restoring", 30*time.Minute))
		if op = b.step(op); op.Stage != "look" {
			b.Fatal(op.Stage)
		}
		b.ok(b.cache.Vanish(b.world, account, region, "daily"))
		time.Sleep(time.Minute)
		b.ok(b.cache.AddServerlessSnapshots(b.world, account, region, "web", nil, "daily"))
		if want(b, b.run(op), backup.ErrConflict, 0); b.count(exportServerless) != 0 {
			b.Error("it was asked for")
		}
	})
	serverless(t, "nothing is told of it", func(b *bed) {
		b.hook(told(func(x *ectypes.ServerlessCacheSnapshot) { x.ServerlessCacheConfiguration = nil }))
		want(b, b.run(b.of(daily)), backup.ErrUnsupported, 0)
	})
	serverless(t, "an empty list for what is not there", func(b *bed) {
		b.cache.EmptyWhenMissing(b.world, true)
		want(b, b.run(b.of(elasticache.ServerlessSnapshot(account, region, "none"))), backup.ErrNotFound, 0)
	})
}

// TestServerlessAgain asks for no second export, whatever was lost of the first.
func TestServerlessAgain(t *testing.T) {
	for name, c := range map[string]struct {
		r    backup.Ref
		lost backup.Code // of an answer
		anew backup.Code // of one who knows nothing of the first
	}{
		"a snapshot": {daily, backup.ErrConflict, backup.ErrConflict}, "a cache": {web, "", ""}, "a name of the library's": {night, "", backup.ErrConflict},
	} {
		serverless(t, name+", done before", func(b *bed) {
			first := b.run(b.of(c.r))
			want(b, first, "", 0)
			time.Sleep(12 * time.Hour)
			again := b.run(b.of(c.r))
			want(b, again, "", 0)
			if d := cmp.Diff(first.Points, again.Points); d != "" || b.count(exportServerless) != 1 || b.count("CreateServerlessCacheSnapshot") > 1 {
				b.Errorf("%s; %d exports", d, b.count(exportServerless))
			}
			if d := cmp.Diff([]string{"counted"}, ids(again)); d != "" {
				b.Error(d)
			}
		})
		for _, stage := range []string{"wait", "verify", "manifest"} {
			for _, pause := range []time.Duration{0, 12 * time.Hour} {
				serverless(t, name+", begun before, "+stage+" "+pause.String(), func(b *bed) {
					b.until(b.of(c.r), stage)
					time.Sleep(pause)
					op := b.run(b.of(c.r))
					// What is written by then is not known to be its own, unless the name says so; before that AWS refuses the second call.
					if want(b, op, c.anew, len(op.Made)); b.count(exportServerless) > 1 && (c.r == web || pause > 0) {
						b.Errorf("exported %d times", b.count(exportServerless))
					}
				})
			}
		}
		serverless(t, name+", an answer lost", func(b *bed) {
			op := b.until(b.of(c.r), "export")
			b.world.Inject(awssim.Fault{Operation: exportServerless, Kind: awssim.FaultLostReply})
			op.Attempt = 1
			if _, err := b.s.Step(b.Context(), op); err == nil {
				b.Fatal("nothing was lost")
			}
			b.s = elasticacheexport.NewFromConfig(b.world.Config(account, region))
			op = b.run(op)
			if want(b, op, c.lost, len(op.Made)); b.count(exportServerless) != 1 || len(op.Made)+len(op.Points) == 0 {
				b.Errorf("sent %d times; %v", b.count(exportServerless), op.Made)
			}
		})
		serverless(t, name+", an answer lost, and no sign for long", func(b *bed) {
			op := b.until(b.of(c.r), "export")
			b.world.Inject(awssim.Fault{Operation: exportServerless, Kind: awssim.FaultLostReply})
			b.world.SetSpeed(0.01) // the export takes longer than the window
			point := c.r.ID
			if c.r == web {
				point = op.Points[0].ID
			}
			b.ok(b.cache.Hold(b.world, account, region, point, "available", 48*time.Hour))
			op.Attempt = 1
			if _, err := b.s.Step(b.Context(), op); err == nil {
				b.Fatal("nothing was lost")
			}
			b.s = elasticacheexport.NewFromConfig(b.world.Config(account, region))
			op = b.run(op)
			if want(b, op, c.lost, len(op.Made)); b.count(exportServerless) != 2 || len(op.Made)+len(op.Points) == 0 {
				b.Errorf("sent %d times; %v", b.count(exportServerless), op.Made)
			}
		})
	}
	serverless(t, "two of one snapshot", func(b *bed) {
		b.until(b.of(daily), "wait")
		other, err := b.s.Start(b.Context(), daily, backup.Spec{Token: "other", Options: elasticacheexport.Options{Bucket: bucket}})
		b.ok(err)
		want(b, b.run(other), backup.ErrConflict, 0)
	})
}

// TestServerlessCancel stops it before anything was sent, and not after.
func TestServerlessCancel(t *testing.T) {
	serverless(t, "it", func(b *bed) {
		for _, r := range []backup.Ref{daily, web} {
			op, err := b.s.Cancel(b.Context(), b.of(r))
			b.ok(err)
			if op = b.run(op); op.Phase != backup.PhaseCanceled || len(b.keys()) != 0 || b.count("CreateServerlessCacheSnapshot") != 0 {
				b.Errorf("%s %v %v", op.Phase, op.Err(), b.keys())
			}
		}
		if _, err := b.s.Cancel(b.Context(), b.until(b.of(daily), "wait")); backup.CodeOf(err) != backup.ErrUnsupported {
			b.Error(err)
		}
	})
}

// TestServerlessCopyAndSeed copies an export to another Region and seeds a cluster and a group from it there, as long as one file holds all.
func TestServerlessCopyAndSeed(t *testing.T) {
	for name, c := range map[string]struct {
		options elasticache.RestoreOptions
		role    string
	}{
		"a cluster": {elasticache.RestoreOptions{EngineVersion: "8.0"}, "node"},
		"a group":   {elasticache.RestoreOptions{EngineVersion: "8.0", NodeGroups: 2}, "configuration"},
		// Whether AWS takes a major alone is not known, so that it is not refused beforehand.
		"the major alone":  {elasticache.RestoreOptions{EngineVersion: "8"}, "node"},
		"the export's own": {elasticache.RestoreOptions{}, "node"},
	} {
		serverless(t, name, func(b *bed) {
			export := b.run(b.of(daily))
			want(b, export, "", 0)
			b.s = everywhere(b.world)
			prepared, err := b.s.StartPrepare(b.Context(), elasticacheexport.Bucket(account, farRegion, farBucket),
				backup.Spec{Token: "far", Options: elasticacheexport.PrepareOptions{Create: true, Seed: true, NoExport: true}})
			b.ok(err)
			b.ok(b.run(prepared).Err())
			copied := b.run(b.startCopy(export.Points[0]))
			want(b, copied, "", 0)
			m, err := b.s.Manifest(b.Context(), copied.Points[0])
			b.ok(err)
			op := b.seed(copied.Points[0], m, c.options)
			if op.Phase != backup.PhaseSucceeded || len(op.Endpoints) == 0 || op.Endpoints[0].Role != c.role {
				b.Errorf("%s %v %v", op.Phase, op.Err(), op.Endpoints)
			}
		})
	}
	serverless(t, "what it made is listed", func(b *bed) {
		export := b.run(b.of(daily))
		b.farOne()
		b.s = everywhere(b.world)
		op := b.startCopy(export.Points[0])
		listed := func() bool {
			return slices.Contains(op.Made, backup.Ref{Type: elasticacheexport.TypeFiles, Account: account, Region: farRegion, ID: farBucket + "/daily"})
		}
		for !listed() && !op.Done() {
			op = b.step(op)
		}
		if op.Done() {
			b.Error("the files were never listed")
		}
		want(b, b.run(op), "", 0)
	})
}
