package elasticache_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
)

// without gives a Strategy whose service answers DescribeSnapshots as edit leaves it.
func (b *bed) without(edit func(x *ectypes.Snapshot)) *elasticache.Strategy {
	cfg := b.world.Config(account, region)
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("Edit", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, md, err := next.HandleInitialize(ctx, in)
			if o, ok := out.Result.(*awselasticache.DescribeSnapshotsOutput); ok && err == nil {
				for i := range o.Snapshots {
					edit(&o.Snapshots[i])
				}
			}
			return out, md, err
		}), middleware.Before)
	})
	return elasticache.NewFromConfig(cfg)
}

func TestBackupFromAServiceThatTellsLess(t *testing.T) {
	for _, c := range []struct {
		name    string
		edit    func(x *ectypes.Snapshot)
		phase   backup.Phase
		finding string
	}{
		{"no parts", func(x *ectypes.Snapshot) { x.NodeSnapshots = nil }, backup.PhaseSucceeded, "elasticache.no-parts"},
		{"no times", func(x *ectypes.Snapshot) {
			for i := range x.NodeSnapshots {
				x.NodeSnapshots[i].SnapshotCreateTime = nil
			}
		}, backup.PhaseSucceeded, "elasticache.no-time"},
		{"a part less", func(x *ectypes.Snapshot) { x.NodeSnapshots = x.NodeSnapshots[1:] }, backup.PhasePartial, ""},
		{"no ARN", func(x *ectypes.Snapshot) { x.ARN = nil }, backup.PhaseSucceeded, ""},
		{"capital letters", func(x *ectypes.Snapshot) {
			x.SnapshotStatus, x.SnapshotName = aws.String(strings.ToUpper(*x.SnapshotStatus)), aws.String(strings.ToUpper(*x.SnapshotName))
		}, backup.PhaseSucceeded, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.group("orders", 2, 1)
				b.s = b.without(c.edit)
				op := b.run(b.start(group("orders"), backup.Spec{Name: "mine"}))
				if op.Phase != c.phase || len(op.Points) != 1 {
					t.Errorf("phase %s, %+v", op.Phase, op.Failure)
				}
				if len(op.Findings) > 1 || c.finding != "" && !findings(op)[c.finding] {
					t.Errorf("%+v", op.Findings)
				}
				if c.name != "a part less" {
					return
				}
				for p, err := range b.s.List(b.Context(), query()) {
					b.ok(err)
					if p.Status != backup.StatusPartial || len(p.Members) != 1 || p.Members[0].Place != "0002" {
						t.Errorf("%+v", p)
					}
				}
				b.failed(b.run(b.startRestore(op.Points[0], elasticache.RestoreOptions{ID: "new"})), backup.PhaseFailed, backup.ErrUnsupported)
			})
		})
	}
}

func TestDeleteOfWhatCanNotBeToldApart(t *testing.T) {
	// The service tells no times, and somebody changes the tag that would tell the snapshot apart.
	bubble(t, func(b *bed) {
		b.cluster("one")
		op := b.run(b.start(cluster("one"), backup.Spec{Name: "mine"}))
		b.succeeded(op)
		b.s = b.without(func(x *ectypes.Snapshot) { x.NodeSnapshots = nil })
		changed := false
		op = b.run(b.startDelete(snapshot("mine"), backup.Spec{}), func(op backup.Operation) {
			if op.Stage == "delete" && !changed {
				changed = true
				_, err := b.api.AddTagsToResource(b.Context(), &awselasticache.AddTagsToResourceInput{ResourceName: aws.String(b.snapshots()[0].ARN),
					Tags: []ectypes.Tag{{Key: aws.String(backup.TagToken), Value: aws.String("other")}}})
				b.ok(err)
			}
		})
		b.failed(op, backup.PhaseFailed, backup.ErrConflict)
		b.left("mine")
		if len(op.Points) != 1 {
			t.Errorf("points %v", op.Points)
		}
	})
}
