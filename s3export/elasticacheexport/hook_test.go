package elasticacheexport_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// after lets f change what an operation answers.
func after[Out any](f func(ctx context.Context, in any, out *Out)) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc(fmt.Sprintf("after %T", f),
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				out, md, err := next.HandleInitialize(ctx, in)
				if o, ok := out.Result.(*Out); ok && err == nil {
					f(ctx, in.Parameters, o)
				}
				return out, md, err
			}), middleware.Before)
	}
}

// hook makes the bed's Strategy one that sees an answer changed.
func (b *bed) hook(change func(*middleware.Stack) error, optFns ...func(*elasticacheexport.Settings)) {
	cfg := b.world.Config(account, region)
	cfg.APIOptions = append(slices.Clip(cfg.APIOptions), change)
	b.s = elasticacheexport.NewFromConfig(cfg, optFns...)
}

// described changes what ElastiCache says of the snapshots.
func described(edit func(*ectypes.Snapshot)) func(*middleware.Stack) error {
	return after(func(_ context.Context, _ any, out *awselasticache.DescribeSnapshotsOutput) {
		for i := range out.Snapshots {
			edit(&out.Snapshots[i])
		}
	})
}

// bodies changes what is read: n counts the reads of objects from 1.
func bodies(edit func(ctx context.Context, n int, in *awss3.GetObjectInput, data []byte) io.Reader) func(*middleware.Stack) error {
	n := 0
	return after(func(ctx context.Context, in any, out *awss3.GetObjectOutput) {
		get := in.(*awss3.GetObjectInput)
		if !strings.HasSuffix(*get.Key, ".rdb") {
			return
		}
		data, err := io.ReadAll(out.Body)
		if err != nil {
			panic(err)
		}
		n++
		if r := edit(ctx, n, get, data); r != nil {
			out.Body = io.NopCloser(r)
			return
		}
		out.Body = io.NopCloser(bytes.NewReader(data))
	})
}

// rdbOf makes an .rdb file of n bytes of data, with its checksum or without.
func rdbOf(header string, n int, checksum bool) []byte {
	b := append([]byte(header), bytes.Repeat([]byte{'d'}, n)...)
	b = append(b, 0xff)
	sum := uint64(0)
	if checksum {
		sum = ^crc64.Update(^uint64(0), crc64.MakeTable(0x95ac9329ac4bc9b5), b)
	}
	return binary.LittleEndian.AppendUint64(b, sum)
}

// until takes Steps until the Operation comes to a stage.
func (b *bed) until(op backup.Operation, stage string) backup.Operation {
	b.Helper()
	for op.Stage != stage {
		if op.Done() {
			b.Fatalf("ended %s before %q: %v", op.Phase, stage, op.Err())
		}
		op = b.step(op)
	}
	return op
}

// unwritten takes away what ElastiCache is writing, so that the test writes it in its place; at is when a file appears.
func (b *bed) unwritten() {
	b.Helper()
	for _, key := range b.keys() {
		b.world.Do(account, region, func(r *awssim.Request) { b.store.ServiceDrop(r, bucket, key) })
	}
}

func (b *bed) place(key string, data []byte, at time.Time) {
	b.Helper()
	b.world.Do(account, region, func(r *awssim.Request) { b.ok(b.store.ServicePut(r, bucket, key, data, at)) })
}

// exported comes to the stage "verify" with files of the given contents.
func (b *bed) exported(name string, files map[string][]byte) backup.Operation {
	b.Helper()
	snapshot := "plain"
	if len(files) > 1 {
		snapshot = "sharded"
	}
	op := b.until(b.start(snapshot, name), "wait")
	b.unwritten()
	for id, data := range files {
		b.place(name+"-"+id+".rdb", data, time.Now())
	}
	return b.until(op, "verify")
}

// count tells how many calls of an operation there were.
func (b *bed) count(operation string) (n int) {
	for _, c := range b.world.Calls() {
		if c.Operation == operation {
			n++
		}
	}
	return n
}

// want fails the test unless the Operation ended so.
func want(b *bed, op backup.Operation, code backup.Code, made int) {
	b.Helper()
	if code == "" && (op.Phase != backup.PhaseSucceeded || len(op.Points) == 0 || len(op.Made) > 0) {
		b.Errorf("%s: %v, points %v, made %v", op.Phase, op.Err(), op.Points, op.Made)
	}
	if code != "" && (backup.CodeOf(op.Err()) != code || len(op.Made) != made || backup.HintOf(op.Err()) == "") {
		b.Errorf("%s: %v, want %s; points %v, made %v", op.Phase, op.Err(), code, op.Points, op.Made)
	}
}

// subtest runs f in a bubble of its own under a name.
func subtest(t *testing.T, name string, f func(b *bed)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { bubble(t, f) })
}
