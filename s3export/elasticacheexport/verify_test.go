package elasticacheexport_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/s3export"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

var errVerdict = errors.New("checksum did not match: algorithm CRC64NVME")

func flipped(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[at] ^= 1
	return data
}

// ending gives data and then an error in place of the end.
func ending(data []byte, err error) io.Reader {
	return io.MultiReader(bytes.NewReader(data), iotest.ErrReader(err))
}

// shards reads the manifest of the export that an Operation made.
func (b *bed) shards(op backup.Operation) []s3export.Shard {
	b.Helper()
	m, err := b.s.Manifest(b.Context(), op.Points[len(op.Points)-1])
	b.ok(err)
	return m.Shards
}

// reads are the ranges of the reads of .rdb files, "" for a whole one.
func (b *bed) reads() (ranges []string) {
	for _, c := range b.world.Calls() {
		if in, ok := c.Input.(*awss3.GetObjectInput); ok && strings.HasSuffix(*in.Key, ".rdb") {
			ranges = append(ranges, aws.ToString(in.Range))
		}
	}
	return ranges
}

// TestReadIsDoubted reads files whose bytes come changed, or whose end is an error. A file is called damaged only if two whole reads find the
// same, and what goes into the manifest is the SHA-256 of what is stored.
func TestReadIsDoubted(t *testing.T) {
	whole := rdbOf("REDIS0011", 1000, true)
	plain := rdbOf("REDIS0011", 1000, false) // nothing in it tells that it was changed
	type edit = func(_ context.Context, n int, in *awss3.GetObjectInput, data []byte) io.Reader
	for name, c := range map[string]struct {
		stored []byte
		edit   edit
		errs   int // Steps that end in an error
		ranges []string
		failed bool
	}{
		"an error behind the last byte": {whole, func(_ context.Context, n int, _ *awss3.GetObjectInput, data []byte) io.Reader {
			if n > 2 {
				return nil
			}
			return ending(data, errVerdict)
		}, 2, []string{"", "", ""}, false},
		"changed, and the SDK says so": {plain, func(_ context.Context, n int, _ *awss3.GetObjectInput, data []byte) io.Reader {
			if n > 1 {
				return nil
			}
			return ending(flipped(data, 500), errVerdict)
		}, 1, []string{"", ""}, false},
		"damaged on the way, and the SDK says so twice": {whole, func(_ context.Context, n int, _ *awss3.GetObjectInput, data []byte) io.Reader {
			if n > 2 {
				return nil
			}
			return ending(flipped(data, 500), errVerdict)
		}, 2, []string{"", "", ""}, false},
		"the error ends what was resumed": {whole, func(_ context.Context, n int, _ *awss3.GetObjectInput, data []byte) io.Reader {
			switch n {
			case 1:
				return ending(data[:700], io.ErrUnexpectedEOF)
			case 2:
				return ending(data, errVerdict)
			}
			return nil
		}, 0, []string{"", "bytes=640-", ""}, false},
		"an end that comes early": {whole, func(_ context.Context, n int, _ *awss3.GetObjectInput, data []byte) io.Reader {
			if n > 1 {
				return nil
			}
			return bytes.NewReader(data[:700])
		}, 0, []string{"", "bytes=640-"}, false},
		"nothing comes": {whole, func(_ context.Context, n int, _ *awss3.GetObjectInput, data []byte) io.Reader {
			if n > 2 {
				return nil
			}
			return ending(data[:20*(n-1)], io.ErrUnexpectedEOF)
		}, 2, []string{"", "", ""}, false},
		"damaged once": {whole, func(_ context.Context, n int, _ *awss3.GetObjectInput, data []byte) io.Reader {
			if n > 1 {
				return nil
			}
			return bytes.NewReader(flipped(data, 500))
		}, 0, []string{"", ""}, false},
		"damaged in two ways": {whole, func(_ context.Context, n int, _ *awss3.GetObjectInput, data []byte) io.Reader {
			if n > 3 {
				return nil
			}
			return bytes.NewReader(flipped(data, 500+n))
		}, 0, []string{"", "", "", ""}, false},
		"damaged where it lies": {flipped(whole, 500), nil, 0, []string{"", ""}, true},
		"no file of the kind":   {[]byte("this is no file of an export, but long enough for one"), nil, 0, []string{"", ""}, true},
	} {
		subtest(t, name, func(b *bed) {
			b.bucket(bucket, all...)
			op := b.exported("out", map[string][]byte{"0001": c.stored})
			if c.edit != nil {
				b.hook(bodies(c.edit))
			}
			errs := 0
			for op.Stage == "verify" && !op.Done() {
				time.Sleep(time.Until(op.Poll))
				next, err := b.s.Step(b.Context(), op)
				if op = next; err != nil {
					if errs++; errs > c.errs || backup.CodeOf(err) != backup.ErrUnavailable {
						b.Fatalf("error %d: %v", errs, err)
					}
				}
			}
			if !slices.Equal(b.reads(), c.ranges) || errs != c.errs {
				b.Errorf("read %q, want %q; %d errors", b.reads(), c.ranges, errs)
			}
			if c.failed {
				want(b, op, backup.ErrFailed, 1)
				return
			}
			if op = b.run(op); op.Phase != backup.PhaseSucceeded {
				b.Fatalf("%s %v", op.Phase, op.Err())
			}
			if sum := sha256.Sum256(c.stored); b.shards(op)[0].SHA256 != hex.EncodeToString(sum[:]) || len(op.Findings) > 0 != bytes.Equal(c.stored, plain) {
				b.Errorf("the manifest has another SHA-256 than the file: %+v; findings %v", b.shards(op), op.Findings)
			}
		})
	}
}

// slow gives n bytes at a time, with a pause before, until the context ends.
type slow struct {
	ctx   context.Context
	r     io.Reader
	n     int
	pause time.Duration
}

func (s slow) Read(p []byte) (int, error) {
	select {
	case <-time.After(s.pause):
		return s.r.Read(p[:min(len(p), s.n)])
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
}

// TestReadingEndsBeforeTheStep leaves the time to keep what was read, also where a Step has less time than Settings.Reading.
func TestReadingEndsBeforeTheStep(t *testing.T) {
	stored := rdbOf("VALKEY080", 30_000, true)
	for timeout, most := range map[time.Duration]time.Duration{time.Minute: 40 * time.Second, 30 * time.Second: 25 * time.Second, 4 * time.Second: 2 * time.Second} {
		subtest(t, fmt.Sprint(timeout), func(b *bed) {
			b.bucket(bucket, all...)
			op := b.exported("out", map[string][]byte{"0001": stored})
			b.hook(bodies(func(ctx context.Context, _ int, _ *awss3.GetObjectInput, data []byte) io.Reader {
				return slow{ctx, bytes.NewReader(data), 100, 200 * time.Millisecond} // a minute in all
			}))
			steps := 0
			for ; op.Stage == "verify"; steps++ {
				ctx, cancel := context.WithTimeout(b.Context(), timeout)
				began := time.Now()
				next, err := b.s.Step(ctx, op)
				cancel()
				if d := time.Since(began); err != nil || d > most+time.Second || time.Since(op.Since) > 3*time.Minute {
					b.Fatalf("a Step of %v: %v", d, err)
				}
				op = next
			}
			if steps > int(time.Minute/most)+3 {
				b.Errorf("%d Steps", steps)
			}
			want(b, b.run(op), "", 0)
		})
	}
	t.Run("a connection that stands still", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.bucket(bucket, all...)
			op := b.exported("out", map[string][]byte{"0001": stored})
			b.hook(bodies(func(ctx context.Context, n int, _ *awss3.GetObjectInput, data []byte) io.Reader {
				if n > 1 {
					return nil
				}
				return io.MultiReader(bytes.NewReader(data[:20_000]), slow{ctx, nil, 0, time.Hour})
			}))
			op = b.run(op) // with Steps of a minute
			want(b, op, "", 0)
			if d := []string{"", "bytes=19968-"}; !slices.Equal(b.reads(), d) {
				b.Errorf("read %q, want %q", b.reads(), d)
			}
		})
	})
	t.Run("the verdict comes late", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.bucket(bucket, all...)
			op := b.exported("out", map[string][]byte{"0001": stored})
			b.hook(bodies(func(ctx context.Context, _ int, _ *awss3.GetObjectInput, data []byte) io.Reader {
				return io.MultiReader(slow{ctx, bytes.NewReader(data), len(data), 45 * time.Second}, slow{ctx, iotest.ErrReader(errVerdict), 1, time.Second})
			}))
			if next, err := b.s.Step(b.Context(), op); !errors.Is(err, backup.ErrUnavailable) || next.Stage != "verify" || next.Percent > 0 {
				b.Errorf("%s %d %v", next.Stage, next.Percent, err)
			}
		})
	})
}

// TestReadingIsResumed reads files in many short stretches, each in a Step and a process of its own.
func TestReadingIsResumed(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		stored := map[string][]byte{"0001": rdbOf("VALKEY080", 1000, true), "0002": rdbOf("VALKEY080", 2000, false), "0003": rdbOf("VALKEY080", 64, true)}
		op := b.exported("out", stored)
		percent := 0
		for op.Stage == "verify" {
			b.hook(bodies(func(ctx context.Context, _ int, _ *awss3.GetObjectInput, data []byte) io.Reader {
				return slow{ctx, bytes.NewReader(data), 100, time.Second}
			}), func(s *elasticacheexport.Settings) { s.Reading = 3 * time.Second })
			if op = b.step(op); op.Percent < percent {
				b.Errorf("%d%% after %d%%", op.Percent, percent)
			}
			percent = op.Percent
		}
		op = b.run(op)
		want(b, op, "", 0)
		for _, s := range b.shards(op) {
			if sum := sha256.Sum256(stored[s.ID]); s.SHA256 != hex.EncodeToString(sum[:]) || s.ChecksumOff != (s.ID == "0002") {
				b.Errorf("%+v", s)
			}
		}
		if n := len(b.reads()); n < 10 {
			b.Errorf("only %d reads", n)
		}
	})
}

// TestResumedReadIsOfTheSameObject refuses an object that was replaced between two stretches of its read.
func TestResumedReadIsOfTheSameObject(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		op := b.exported("out", map[string][]byte{"0001": rdbOf("REDIS0011", 1000, true)})
		b.hook(bodies(func(_ context.Context, n int, _ *awss3.GetObjectInput, data []byte) io.Reader {
			if n > 1 {
				return nil
			}
			return ending(data[:700], io.ErrUnexpectedEOF)
		}))
		op = b.step(op)
		b.place("out-0001.rdb", rdbOf("REDIS0012", 1000, true), time.Now())
		op = b.run(op)
		want(b, op, backup.ErrConflict, 1)
		if op.Failure.Op != "GetObject" || b.reads()[1] != "bytes=640-" {
			b.Errorf("ended by %s after %q", op.Failure.Op, b.reads())
		}
	})
}
