package elasticacheexport_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

func (b *bed) live(r backup.Ref) backup.Operation {
	b.Helper()
	op, err := b.s.Start(b.Context(), r, backup.Spec{Token: "token", Tags: map[string]string{"team": "cache"}, Options: elasticacheexport.Options{Bucket: bucket}})
	b.ok(err)
	return op
}

// TestExportLive exports a group and a cluster as they are: a snapshot is made, and listed beside the export.
func TestExportLive(t *testing.T) {
	for r, shards := range map[backup.Ref]int{elasticache.ReplicationGroup(account, region, "three"): 3, elasticache.Cluster(account, region, "one"): 1} {
		t.Run(r.ID, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.bucket(bucket, all...)
				op := b.run(b.live(r))
				made := b.snapshots()
				if op.Phase != backup.PhaseSucceeded || len(made) != 1 || len(op.Made) != 0 {
					b.Fatalf("%s %v; snapshots %v, made %v", op.Phase, op.Err(), made, op.Made)
				}
				point := elasticache.Snapshot(account, region, made[0])
				want := backup.Refs{point, elasticacheexport.Export(account, region, bucket, policy.ElastiCacheExportPrefix+strings.TrimPrefix(op.ID, "op-"))}
				if d := cmp.Diff(want, op.Points); d != "" {
					b.Error(d)
				}
				m, err := b.s.Manifest(b.Context(), op.Points[1])
				b.ok(err)
				if m.Source != point || len(m.Shards) != shards || m.Of != r.ID {
					b.Errorf("%+v", m)
				}
				for _, x := range b.cache.Snapshots(b.world, account, region) {
					if x.Name == made[0] && (x.Tags["team"] != "cache" || x.Tags[backup.TagOwner] == "") {
						b.Errorf("the snapshot's tags are %v", x.Tags)
					}
				}
			})
		})
	}
}

// TestExportLiveFails ends with what the backup ended with, and lists what was made.
func TestExportLiveFails(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		b.world.Inject(awssim.Fault{Kind: awssim.FaultAsync, Operation: "CreateSnapshot", Times: 1})
		op := b.run(b.live(elasticache.ReplicationGroup(account, region, "three")))
		if !errors.Is(op.Err(), backup.ErrFailed) || len(op.Points) != 1 || strings.Contains(backup.HintOf(op.Err()), "exported by itself") {
			b.Errorf("%s %v %v", op.Phase, op.Err(), op.Points)
		}
	})
	bubble(t, func(b *bed) {
		b.bucket(bucket) // nothing is granted: the snapshot stays, and is listed
		op := b.run(b.live(elasticache.ReplicationGroup(account, region, "three")))
		hint := backup.HintOf(op.Err())
		if !errors.Is(op.Err(), backup.ErrDenied) || len(op.Points) != 1 || len(b.snapshots()) != 1 || !strings.Contains(hint, "policy.ExportStatement") ||
			!strings.Contains(hint, "the snapshot "+op.Points[0].ID+" in Points stays") {
			b.Errorf("%s %v %v", op.Phase, op.Err(), op.Points)
		}
	})
}

// TestCancel stops before anything was sent, and is refused after.
func TestCancel(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		for _, op := range []backup.Operation{b.start("plain", ""), b.live(elasticache.ReplicationGroup(account, region, "three"))} {
			op, err := b.s.Cancel(b.Context(), op)
			b.ok(err)
			again, err := b.s.Cancel(b.Context(), op)
			b.ok(err)
			if d := cmp.Diff(op, again); d != "" {
				b.Error(d)
			}
			op = b.run(op)
			if op.Phase != backup.PhaseCanceled || len(b.keys()) != 0 || len(b.snapshots()) != 0 {
				b.Errorf("%s %v %v %v", op.Phase, op.Err(), b.keys(), b.snapshots())
			}
			if _, err := b.s.Cancel(b.Context(), op); !errors.Is(err, backup.ErrUnsupported) {
				b.Errorf("a canceled one can be canceled: %v", err)
			}
		}
		op := b.start("plain", "")
		for op.Stage != "wait" {
			if op.Next != "" {
				op.Attempt++
			}
			var err error
			op, err = b.s.Step(b.Context(), op)
			b.ok(err)
		}
		if _, err := b.s.Cancel(b.Context(), op); !errors.Is(err, backup.ErrUnsupported) || backup.HintOf(err) == "" {
			b.Errorf("an export that AWS writes can be canceled: %v", err)
		}
	})
}

// TestCancelUnstored refuses, without a Store, what was perhaps sent in a Step whose result was lost: what AWS goes on writing would be listed
// nowhere.
func TestCancelUnstored(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		runner, err := backup.NewRunner([]backup.Strategy{b.s})
		b.ok(err)
		op, err := runner.Start(b.Context(), b.start("plain", ""))
		b.ok(err)
		early, err := runner.Cancel(b.Context(), op)
		b.ok(err)
		if early = b.run(early); early.Phase != backup.PhaseCanceled || b.count("CopySnapshot") != 0 {
			b.Errorf("%s, %d calls", early.Phase, b.count("CopySnapshot"))
		}
		for op.Stage != "export" {
			op, err = runner.Step(b.Context(), op)
			b.ok(err)
		}
		_, err = runner.Step(b.Context(), op)
		b.ok(err)
		op, err = runner.Cancel(b.Context(), op)
		if !errors.Is(err, backup.ErrUnsupported) || backup.HintOf(err) == "" {
			b.Errorf("canceled: %v", err)
		}
		want(b, b.run(op), "", 0)
	})
}
