package elasticacheexport_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// replaced has somebody delete a snapshot and make another of its name.
func (b *bed) replaced(snapshot, of string) {
	b.Helper()
	b.ok(b.cache.Vanish(b.world, account, region, snapshot))
	time.Sleep(time.Minute)
	b.ok(b.cache.AddSnapshots(b.world, account, region, of, nil, snapshot))
}

// TestAnotherSnapshotOfTheName exports nothing but the snapshot that was looked at.
func TestAnotherSnapshotOfTheName(t *testing.T) {
	subtest(t, "before it is asked for", func(b *bed) {
		b.bucket(bucket, all...)
		op := b.until(b.start("plain", ""), "export")
		b.replaced("plain", "one")
		want(b, b.run(op), backup.ErrConflict, 0)
		if b.count("CopySnapshot") != 0 {
			b.Error("it was asked for")
		}
	})
	subtest(t, "while the snapshot was busy", func(b *bed) {
		b.bucket(bucket, all...)
		op := b.until(b.start("plain", ""), "export")
		b.ok(b.cache.Hold(b.world, account, region, "plain", "restoring", 30*time.Minute))
		op = b.step(op)
		if op.Stage != "look" {
			b.Fatal(op.Stage)
		}
		b.replaced("plain", "one")
		want(b, b.run(op), backup.ErrConflict, 0)
		if b.count("CopySnapshot") != 0 {
			b.Error("it was asked for")
		}
	})
	subtest(t, "while it is exported", func(b *bed) {
		b.bucket(bucket, all...)
		op := b.until(b.start("plain", ""), "wait")
		b.replaced("plain", "one")
		want(b, b.run(op), backup.ErrConflict, 1)
	})
	subtest(t, "while it is exported, and still being made", func(b *bed) {
		b.bucket(bucket, all...)
		op := b.until(b.start("plain", ""), "wait")
		b.replaced("plain", "one")
		b.ok(b.cache.Hold(b.world, account, region, "plain", "creating", 30*time.Minute))
		want(b, b.run(op), backup.ErrConflict, 1)
	})
	subtest(t, "gone before it is asked for", func(b *bed) {
		b.bucket(bucket, all...)
		op := b.until(b.start("plain", ""), "export")
		b.ok(b.cache.Vanish(b.world, account, region, "plain"))
		want(b, b.run(op), backup.ErrNotFound, 0)
		if b.count("CopySnapshot") != 0 {
			b.Error("it was asked for")
		}
	})
	edits := map[string]struct {
		edit func(*ectypes.Snapshot)
		code backup.Code
	}{
		"the engine":  {func(x *ectypes.Snapshot) { x.Engine = aws.String("valkey") }, backup.ErrConflict},
		"the version": {func(x *ectypes.Snapshot) { x.EngineVersion = aws.String("6.2") }, backup.ErrConflict},
		"the group":   {func(x *ectypes.Snapshot) { x.ReplicationGroupId = aws.String("four") }, backup.ErrConflict},
		"the mode":    {func(x *ectypes.Snapshot) { x.ReplicationGroupId, x.CacheClusterId = nil, aws.String("three") }, backup.ErrConflict},
		"a shard":     {func(x *ectypes.Snapshot) { x.NodeSnapshots[2].NodeGroupId = aws.String("0004") }, backup.ErrConflict},
		"a shard less": {func(x *ectypes.Snapshot) {
			x.NodeSnapshots, x.NumNodeGroups = x.NodeSnapshots[:2], aws.Int32(2)
		}, backup.ErrConflict},
		"the slots": {func(x *ectypes.Snapshot) {
			x.NodeSnapshots[0].NodeGroupConfiguration.Slots = aws.String("0-5461")
		}, backup.ErrConflict},
		"half of it": {func(x *ectypes.Snapshot) { x.NodeSnapshots = x.NodeSnapshots[:2] }, backup.ErrConflict},
		"one time": {func(x *ectypes.Snapshot) {
			x.NodeSnapshots[1].SnapshotCreateTime = aws.Time(x.NodeSnapshots[1].SnapshotCreateTime.Add(time.Hour))
		}, backup.ErrConflict},
		"no time": {func(x *ectypes.Snapshot) { noTimes(x) }, ""},
		"another order": {func(x *ectypes.Snapshot) {
			x.NodeSnapshots[0], x.NodeSnapshots[2] = x.NodeSnapshots[2], x.NodeSnapshots[0]
		}, ""},
	}
	for name, c := range edits {
		subtest(t, name, func(b *bed) {
			b.bucket(bucket, all...)
			op := b.until(b.start("sharded", ""), "export")
			b.hook(described(c.edit))
			op = b.run(op)
			want(b, op, c.code, 0)
			if sent := b.count("CopySnapshot"); sent > 0 != (c.code == "") {
				b.Errorf("sent %d times", sent)
			}
		})
	}
}

func noTimes(x *ectypes.Snapshot) {
	for i := range x.NodeSnapshots {
		x.NodeSnapshots[i].SnapshotCreateTime = nil
	}
}

// TestLookBeforeSending takes the attempt back if the last look before the call fails, so that the next Step may send at once.
func TestLookBeforeSending(t *testing.T) {
	for _, unstored := range []bool{false, true} {
		for _, operation := range []string{"DescribeSnapshots", "ListObjectsV2"} {
			if operation == "ListObjectsV2" && !unstored {
				continue // there is no such look
			}
			bubble(t, func(b *bed) {
				b.bucket(bucket, all...)
				op := b.until(b.start("plain", ""), "export")
				b.world.Inject(awssim.Fault{Operation: operation, Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied", Message: "no"}})
				op.Attempt, op.Unstored = 1, unstored
				next, err := b.s.Step(b.Context(), op)
				if backup.CodeOf(err) != backup.ErrDenied || next.Stage != "export" || next.Attempt != 0 || b.count("CopySnapshot") != 0 {
					b.Errorf("%s: %s, attempt %d: %v", operation, next.Stage, next.Attempt, err)
				}
				next.Unstored = unstored
				if op = b.step(next); op.Stage != "wait" || b.count("CopySnapshot") != 1 {
					b.Errorf("%s: the next Step did not send: %s", operation, op.Stage)
				}
			})
		}
	}
}

// TestForeseesTheManifest asks for no export of which no manifest can be written in the end.
func TestForeseesTheManifest(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*ectypes.Snapshot)
		code backup.Code
	}{
		"no slots": {func(x *ectypes.Snapshot) {
			for i := range x.NodeSnapshots {
				x.NodeSnapshots[i].NodeGroupConfiguration = nil
			}
		}, backup.ErrUnsupported},
		"a gap": {func(x *ectypes.Snapshot) {
			x.NodeSnapshots[0].NodeGroupConfiguration.Slots = aws.String("0-5459")
		}, backup.ErrUnsupported},
		"slots twice": {func(x *ectypes.Snapshot) {
			x.NodeSnapshots[0].NodeGroupConfiguration.Slots = aws.String("0-5461")
		}, backup.ErrUnsupported},
		"a long id":         {func(x *ectypes.Snapshot) { x.NodeSnapshots[0].NodeGroupId = aws.String("000000001") }, backup.ErrUnsupported},
		"one id twice":      {func(x *ectypes.Snapshot) { x.NodeSnapshots[0].NodeGroupId = aws.String("0002") }, backup.ErrUnsupported},
		"no version":        {func(x *ectypes.Snapshot) { x.EngineVersion = nil }, backup.ErrUnsupported},
		"another engine":    {func(x *ectypes.Snapshot) { x.Engine = aws.String("dragon") }, backup.ErrUnsupported},
		"a long source":     {func(x *ectypes.Snapshot) { x.ReplicationGroupId = aws.String(strings.Repeat("x", 256)) }, backup.ErrUnsupported},
		"a word for an id":  {func(x *ectypes.Snapshot) { x.NodeSnapshots[0].NodeGroupId = aws.String("first") }, backup.ErrUnsupported},
		"a group is short":  {func(x *ectypes.Snapshot) { x.NumNodeGroups = aws.Int32(4) }, backup.ErrPartial},
		"a group too many":  {func(x *ectypes.Snapshot) { x.NumNodeGroups = aws.Int32(2) }, backup.ErrPartial},
		"no times":          {noTimes, ""},
		"no count of nodes": {func(x *ectypes.Snapshot) { x.NumNodeGroups = nil }, ""},
	} {
		subtest(t, name, func(b *bed) {
			b.bucket(bucket, all...)
			b.hook(described(c.edit))
			op := b.run(b.start("sharded", ""))
			want(b, op, c.code, 0)
			if sent := b.count("CopySnapshot"); sent > 0 != (c.code == "") {
				b.Errorf("sent %d times", sent)
			}
		})
	}
}

// TestClockBehind finishes an export on a machine whose clock is behind that of AWS.
func TestClockBehind(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		b.hook(described(func(x *ectypes.Snapshot) {
			for i := range x.NodeSnapshots {
				x.NodeSnapshots[i].SnapshotCreateTime = aws.Time(x.NodeSnapshots[i].SnapshotCreateTime.Add(70 * time.Minute))
			}
		}))
		op := b.run(b.start("sharded", "out"))
		want(b, op, "", 0)
		if m, err := b.s.Manifest(b.Context(), op.Points[0]); err != nil || !m.Exported.Equal(m.Taken) {
			b.Errorf("taken %v, exported %v: %v", m.Taken, m.Exported, err)
		}
	})
}
