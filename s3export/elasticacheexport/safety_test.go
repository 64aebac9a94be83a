package elasticacheexport_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// TestFilesAppearOneAfterAnother waits until all files are there, with bytes in them, and stay as they are.
func TestFilesAppearOneAfterAnother(t *testing.T) {
	first, last := rdbOf("REDIS0011", 100, true), rdbOf("REDIS0011", 101, true)
	sum := sha256.Sum256(last)
	type files map[string][]byte
	for name, c := range map[string][]files{ // what is written before each look; none of them may be the last
		"each in its time":   {{}, {"0001": last}, {}, {"0002": last}, {}, {"0003": last}},
		"empty at first":     {{"0001": {}, "0002": last, "0003": last}, {}, {}, {"0001": last}},
		"all empty":          {{"0001": {}, "0002": {}, "0003": {}}, {}, {}, {"0001": last, "0002": last, "0003": last}},
		"written again":      {{"0001": first, "0002": last, "0003": last}, {"0001": last}},
		"the same, anew":     {{"0001": last, "0002": last, "0003": last}, {"0002": last}, {"0003": last}},
		"gone, and there":    {{"0001": last, "0002": last, "0003": last}, {"0002": nil}, {"0002": last}},
		"one look at it all": {{"0001": last, "0002": last, "0003": last}},
	} {
		subtest(t, name, func(b *bed) {
			b.bucket(bucket, all...)
			op := b.until(b.start("sharded", "out"), "wait")
			b.unwritten()
			b.ok(b.cache.Hold(b.world, account, region, "sharded", "available", time.Hour))
			for i, look := range c {
				time.Sleep(time.Until(op.Poll.Add(-2 * time.Second)))
				for id, data := range look {
					if key := "out-" + id + ".rdb"; data == nil {
						b.remove(key)
					} else {
						b.place(key, data, time.Now())
					}
				}
				if op = b.step(op); op.Stage != "wait" {
					b.Fatalf("after look %d: %s %v", i, op.Stage, op.Err())
				}
			}
			op = b.run(op)
			want(b, op, "", 0)
			for _, s := range b.shards(op) {
				if s.SHA256 != hex.EncodeToString(sum[:]) {
					b.Errorf("the manifest has the file %s as it was", s.ID)
				}
			}
		})
	}
}

// TestWhatIsNotOfTheExport refuses files that somebody else has, or put, under the export's name.
func TestWhatIsNotOfTheExport(t *testing.T) {
	good := rdbOf("REDIS0011", 100, true)
	for name, c := range map[string]struct {
		stage  string
		change func(b *bed)
		op     string // that says so
	}{
		"a file older than the export": {"wait", func(b *bed) { b.place("out-0002.rdb", good, time.Now().Add(-2*time.Hour)) }, "export"},
		"a file too many":              {"wait", func(b *bed) { b.place("out-0009.rdb", good, time.Now()) }, "export"},
		"a manifest":                   {"wait", func(b *bed) { b.place("out.manifest.json", []byte("{}"), time.Now()) }, "export"},
		"a file after it was read":     {"manifest", func(b *bed) { b.place("out-0002.rdb", good, time.Now()) }, "verify"},
		"a file less":                  {"manifest", func(b *bed) { b.remove("out-0002.rdb") }, "verify"},
		"a manifest at the end":        {"manifest", func(b *bed) { b.place("out.manifest.json", []byte("{}"), time.Now()) }, "PutObject"},
		"one like ours at the end": {"manifest", func(b *bed) {
			// One that describes the same snapshot, whole, and is another Operation's.
			other, err := b.s.Start(b.Context(), elasticache.Snapshot(account, region, "sharded"), backup.Spec{Token: "other", Name: "out2", Options: elasticacheexport.Options{Bucket: bucket}})
			b.ok(err)
			want(b, b.run(other), "", 0)
			data := b.store.Content(b.world, region, bucket, "out2.manifest.json")
			b.place("out.manifest.json", bytes.ReplaceAll(data, []byte("out2"), []byte("out")), time.Now())
		}, "PutObject"},
	} {
		subtest(t, name, func(b *bed) {
			b.bucket(bucket, all...)
			op := b.until(b.start("sharded", "out"), c.stage)
			if c.stage == "wait" {
				time.Sleep(time.Hour) // it is written
			}
			c.change(b)
			theirs := b.store.Content(b.world, region, bucket, "out.manifest.json")
			op = b.run(op)
			want(b, op, backup.ErrConflict, 1)
			if op.Failure == nil || op.Failure.Op != c.op {
				b.Errorf("it ended otherwise: %+v", op.Failure)
			}
			if now := b.store.Content(b.world, region, bucket, "out.manifest.json"); !bytes.Equal(theirs, now) {
				b.Errorf("the manifest was written: %s", now)
			}
		})
	}
}

// TestEveryCallNamesTheOwner has S3 refuse a bucket that is another account's by now: its name was deleted, and taken by somebody.
func TestEveryCallNamesTheOwner(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		before := len(b.world.Calls())
		op := b.start("sharded", "out")
		b.found(op)
		want(b, b.run(op), "", 0)
		_, err := b.s.Manifest(b.Context(), backup.Ref{Type: "s3/elasticache-export", Account: account, Region: region, ID: bucket + "/out.manifest.json"})
		b.ok(err)
		seen := map[string]bool{}
		for _, c := range b.world.Calls()[before:] {
			if c.Service != "S3" {
				continue
			}
			seen[c.Operation] = true
			owner := reflect.ValueOf(c.Input).Elem().FieldByName("ExpectedBucketOwner")
			if !owner.IsValid() || aws.ToString(owner.Interface().(*string)) != account {
				b.Errorf("%s names no owner: %+v", c.Operation, c.Input)
			}
		}
		for _, operation := range []string{"HeadBucket", "ListObjectsV2", "GetObject", "PutObject", "GetBucketPolicy", "GetBucketAcl", "GetPublicAccessBlock", "GetBucketOwnershipControls"} {
			if !seen[operation] {
				b.Errorf("%s was not called", operation)
			}
		}
	})
}

// TestFilesOfOneServer refuses files of which one is of another format: one engine writes all files of an export.
func TestFilesOfOneServer(t *testing.T) {
	for _, header := range []string{"REDIS0010", "VALKEY011"} {
		subtest(t, header, func(b *bed) {
			b.bucket(bucket, all...)
			op := b.run(b.exported("out", map[string][]byte{"0001": rdbOf("REDIS0011", 100, true), "0002": rdbOf("REDIS0011", 100, true), "0003": rdbOf(header, 100, true)}))
			want(b, op, backup.ErrConflict, 1)
		})
	}
}

// TestFence sends nothing that changes something when the lease is over, and takes the attempt back where that is allowed.
func TestFence(t *testing.T) {
	over := func() error { return &backup.Error{Op: "lease", Code: backup.ErrUnavailable} }
	for stage, operation := range map[string]string{"export": "CopySnapshot", "manifest": "PutObject"} {
		subtest(t, operation, func(b *bed) {
			b.bucket(bucket, all...)
			op := b.until(b.start("plain", ""), stage)
			op.Attempt = 1
			next, err := b.s.Step(backup.WithFence(b.Context(), over), op)
			if backup.CodeOf(err) != backup.ErrUnavailable || next.Stage != stage || b.count(operation) != 0 {
				b.Errorf("%s: %v; sent %d times", next.Stage, err, b.count(operation))
			}
			want(b, b.run(next), "", 0)
		})
	}
	subtest(t, "a bucket", func(b *bed) {
		op, err := b.s.StartPrepare(b.Context(), elasticacheexport.Bucket(account, region, bucket), backup.Spec{Token: "t", Options: elasticacheexport.PrepareOptions{Create: true}})
		b.ok(err)
		for range 2 { // the bucket, and its settings
			for op.Next == "" {
				op = b.step(op)
			}
			op.Attempt = 1
			writes := len(b.writes())
			if _, err := b.s.Step(backup.WithFence(b.Context(), over), op); backup.CodeOf(err) != backup.ErrUnavailable || len(b.writes()) != writes {
				b.Errorf("%s: %v; sent %v", op.Next, err, b.writes()[writes:])
			}
			op.Attempt = 0
			op = b.step(op)
		}
	})
}
