package elasticacheexport_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
)

// TestDoneBefore starts an export again, of which nothing is known but what lies in the bucket: it is the same work, so it has the same end.
func TestDoneBefore(t *testing.T) {
	for name, start := range map[string]func(b *bed) backup.Operation{
		"its own name":  func(b *bed) backup.Operation { return b.start("sharded", "") },
		"a name given":  func(b *bed) backup.Operation { return b.start("sharded", "out") },
		"of a group":    func(b *bed) backup.Operation { return b.live(elasticache.ReplicationGroup(account, region, "three")) },
		"of one server": func(b *bed) backup.Operation { return b.live(elasticache.Cluster(account, region, "one")) },
	} {
		subtest(t, name, func(b *bed) {
			b.bucket(bucket, all...)
			first := b.run(start(b))
			want(b, first, "", 0)
			time.Sleep(12 * time.Hour)
			again := b.run(start(b))
			want(b, again, "", 0)
			if d := cmp.Diff(first.Points, again.Points); d != "" || b.count("CopySnapshot") != 1 || b.count("CreateSnapshot") > 1 {
				b.Errorf("%s; %d exports", d, b.count("CopySnapshot"))
			}
			if first.Ref.Type != elasticache.TypeSnapshot {
				return
			}
			if d := cmp.Diff([]string{"begun"}, b.found(start(b))); d != "" {
				b.Error(d)
			}
			// It stays done when the snapshot is long gone.
			b.ok(b.cache.Vanish(b.world, account, region, "sharded"))
			if again = b.run(start(b)); again.Phase != backup.PhaseSucceeded {
				b.Error(again.Err())
			}
		})
	}
}

// TestBegunBefore starts an export again whose process died at some stage, with all that it knew.
func TestBegunBefore(t *testing.T) {
	for _, stage := range []string{"wait", "verify", "manifest"} {
		for _, pause := range []time.Duration{0, time.Minute, 12 * time.Hour} {
			subtest(t, stage+" "+pause.String(), func(b *bed) {
				b.bucket(bucket, all...)
				b.until(b.start("sharded", ""), stage)
				time.Sleep(pause)
				op := b.run(b.start("sharded", ""))
				want(b, op, "", 0)
				if n := b.count("CopySnapshot"); n != 1 {
					b.Errorf("exported %d times", n)
				}
			})
		}
	}
	subtest(t, "with another's name", func(b *bed) {
		b.bucket(bucket, all...)
		b.until(b.start("sharded", "out"), "verify")
		want(b, b.run(b.start("sharded", "out")), backup.ErrConflict, 0)
	})
	subtest(t, "two at a time", func(b *bed) {
		b.bucket(bucket, all...)
		one := b.until(b.start("sharded", ""), "manifest")
		time.Sleep(time.Minute)
		two := b.until(b.start("sharded", ""), "manifest")
		two, one = b.run(two), b.run(one)
		want(b, one, "", 0)
		want(b, two, "", 0)
		if d := cmp.Diff(one.Points, two.Points); d != "" {
			b.Error(d)
		}
	})
	subtest(t, "one waits and the other is done", func(b *bed) {
		b.bucket(bucket, all...)
		one := b.until(b.start("sharded", "out"), "wait")
		want(b, b.run(one), "", 0)
		want(b, b.run(one), "", 0)
	})
}

// TestOwnFilesAreListed lists what an earlier run left, whatever the end is.
func TestOwnFilesAreListed(t *testing.T) {
	for name, c := range map[string]struct {
		stage  string
		change func(b *bed, op backup.Operation)
		code   backup.Code
	}{
		"the snapshot is gone":  {"verify", func(b *bed, _ backup.Operation) { b.ok(b.cache.Vanish(b.world, account, region, "sharded")) }, backup.ErrNotFound},
		"it was replaced":       {"verify", func(b *bed, _ backup.Operation) { b.replaced("sharded", "three") }, backup.ErrConflict},
		"another's manifest":    {"verify", func(b *bed, op backup.Operation) { b.place(own(op, ".manifest.json"), []byte("{}"), time.Now()) }, backup.ErrConflict},
		"of another operation":  {"", func(b *bed, op backup.Operation) { b.forged(op, `"operation": "op-`, `"operation": "op-0`) }, backup.ErrConflict},
		"of another account":    {"", func(b *bed, op backup.Operation) { b.forged(op, account, "222222222222") }, backup.ErrConflict},
		"of another snapshot":   {"", func(b *bed, op backup.Operation) { b.forged(op, `"sharded"`, `"another"`) }, backup.ErrConflict},
		"a file is gone":        {"", func(b *bed, op backup.Operation) { b.remove(own(op, "-0002.rdb")) }, backup.ErrConflict},
		"a file is a byte less": {"", func(b *bed, op backup.Operation) { b.place(own(op, "-0002.rdb"), []byte("x"), time.Now()) }, backup.ErrConflict},
	} {
		subtest(t, name, func(b *bed) {
			b.bucket(bucket, all...)
			op := b.start("sharded", "")
			if c.stage == "" {
				want(b, b.run(op), "", 0)
			} else {
				b.until(op, c.stage)
			}
			c.change(b, op)
			op = b.run(b.start("sharded", ""))
			want(b, op, c.code, 1)
			if b.count("CopySnapshot") != 1 {
				b.Error("it was asked for again")
			}
		})
	}
}

// own is a key of an export that has no name given.
func own(op backup.Operation, rest string) string {
	return "swx-" + strings.TrimPrefix(op.ID, "op-") + rest
}

// forged changes the manifest.
func (b *bed) forged(op backup.Operation, old, new string) {
	b.Helper()
	key := own(op, ".manifest.json")
	data := b.store.Content(b.world, region, bucket, key)
	other := bytes.ReplaceAll(data, []byte(old), []byte(new))
	if bytes.Equal(data, other) {
		b.Fatal("nothing was changed")
	}
	b.place(key, other, time.Now())
}

// TestFoundLate sends a call again whose result is not to be seen for longer than the settle window, and learns from the refusal that there is
// one.
func TestFoundLate(t *testing.T) {
	for name, code := range map[string]backup.Code{"": "", "out": backup.ErrConflict} {
		subtest(t, "named "+name, func(b *bed) {
			b.bucket(bucket, all...)
			op := b.until(b.start("sharded", name), "export")
			b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Kind: awssim.FaultLostReply})
			b.world.SetSpeed(0.05) // the export takes longer than the window
			b.ok(b.cache.Hold(b.world, account, region, "sharded", "available", 48*time.Hour))
			op.Attempt = 1
			if _, err := b.s.Step(b.Context(), op); backup.CodeOf(err) != backup.ErrUnavailable {
				b.Fatal(err)
			}
			began := time.Now()
			op = b.run(op)
			want(b, op, code, 1)
			if n := b.count("CopySnapshot"); n != 2 || time.Since(began) < 6*time.Minute || len(op.Findings) != 0 {
				b.Errorf("sent %d times, after %v, findings %v", n, time.Since(began), op.Findings)
			}
		})
	}
	subtest(t, "the key of another export", func(b *bed) {
		b.bucket(bucket, all...)
		b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Kind: awssim.FaultError,
			Error: awssim.Error{Code: "InvalidParameterValue", Message: "The S3 bucket my-exports already contains an object with key out-0001.rdb."}})
		want(b, b.run(b.start("plain", "")), backup.ErrConflict, 0)
	})
}

// TestOldFilesOfItsName refuses files of its own name that are older than the snapshot: that had its name once, and so had the work.
func TestOldFilesOfItsName(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		op := b.start("plain", "")
		b.place(own(op, "-0001.rdb"), rdbOf("REDIS0011", 100, true), time.Now().Add(-90*time.Minute))
		op = b.run(op)
		want(b, op, backup.ErrConflict, 1)
		if b.count("CopySnapshot") != 0 || b.count("GetObject") != 0 {
			b.Error("it was asked for, or read")
		}
	})
}

// TestManifestIsRefused ends an export whose manifest S3 will never take, and waits where rights are missing, which can come back.
func TestManifestIsRefused(t *testing.T) {
	refused := func(code string, times int) awssim.Fault {
		return awssim.Fault{Operation: "PutObject", Kind: awssim.FaultError, Times: times, Error: awssim.Error{Status: 400, Code: code, Message: "no"}}
	}
	for code, ends := range map[string]backup.Code{"NobodyKnows": backup.ErrFailed, "EncryptionTypeMismatch": backup.ErrInvalid, "NoSuchBucket": backup.ErrNotFound} {
		subtest(t, code, func(b *bed) {
			b.bucket(bucket, all...)
			op := b.until(b.start("plain", ""), "manifest")
			b.world.Inject(refused(code, -1))
			op = b.step(op)
			want(b, op, ends, 1)
		})
	}
	subtest(t, "AccessDenied", func(b *bed) {
		b.bucket(bucket, all...)
		op := b.until(b.start("plain", ""), "manifest")
		b.world.Inject(refused("AccessDenied", 1))
		op.Attempt = 1
		next, err := b.s.Step(b.Context(), op)
		if backup.CodeOf(err) != backup.ErrDenied || next.Done() {
			b.Errorf("%s %v", next.Phase, err)
		}
		want(b, b.run(next), "", 0)
	})
}

// TestManyKeys looks for the files of an export among many keys that begin alike, in few calls, and refuses where the files themselves can not
// be told from others.
func TestManyKeys(t *testing.T) {
	put := func(b *bed, format string, n int) {
		for i := range n {
			_, err := b.s3.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(strings.ReplaceAll(format, "#", strings.Repeat("1", i+1))), Body: strings.NewReader("x")})
			b.ok(err)
		}
	}
	for name, c := range map[string]struct {
		format string
		code   backup.Code
	}{"others": {"app-log-#", ""}, "a folder": {"app-/#", ""}, "signs": {"app-!#", ""}, "of the manifest": {"app.manifest.json#", ""}, "digits": {"app-1#.log", backup.ErrConflict}} {
		subtest(t, name, func(b *bed) {
			b.bucket(bucket, all...)
			put(b, c.format, 60)
			b.world.SetPageLimit(1)
			op := b.start("sharded", "app")
			if found := b.found(op); len(found) > 0 != (c.code != "") {
				b.Error(found)
			}
			before := b.count("ListObjectsV2")
			op = b.step(op)
			if calls := b.count("ListObjectsV2") - before; c.code == "" && calls > 3 || calls > 50 {
				b.Errorf("%d calls", calls)
			}
			want(b, b.run(op), c.code, 0)
		})
	}
}
