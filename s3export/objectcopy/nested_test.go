package objectcopy_test

import (
	"context"
	"testing"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/internal/nested"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// around is a Strategy whose work is a copy.
type around struct{ copies backup.Strategy }

func (around) Kind() string { return "around" }

func (s around) Start(ctx context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	inner, err := s.copies.Start(ctx, r, spec)
	if err != nil {
		return backup.Operation{}, err
	}
	spec.Options = nil
	op, err := backup.NewOperation("around", backup.ActionCopy, r, spec)
	if err != nil {
		return backup.Operation{}, err
	}
	nested.Arm(&op, inner)
	return op, op.SetState(inner)
}

func (s around) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	var inner backup.Operation
	if err := op.GetState(&inner); err != nil {
		return op, err
	}
	if err := nested.Step(ctx, s.copies, &op, &inner); err != nil {
		return op, err
	}
	op.Points, op.Made = inner.Points, inner.Made
	if inner.Done() {
		if err := inner.Err(); err != nil {
			op.Fail(err)
		} else {
			op.Succeed()
		}
	}
	return op, op.SetState(inner)
}

// A copy inside of another Operation keeps count of begins whose answers were lost as it does by itself, and the outer Operation tells of the uploads.
func TestNested(t *testing.T) {
	for _, operation := range []string{"CreateMultipartUpload", "UploadPartCopy", "CompleteMultipartUpload"} {
		bubble(t, func(b *bed) {
			b.generate("k", 12*mib)
			s := around{b.s}
			store, err := backup.OpenFileStore(t.TempDir())
			b.ok(err)
			r, err := backup.NewRunner([]backup.Strategy{s}, func(o *backup.RunnerOptions) { o.Store = store })
			b.ok(err)
			op, err := s.Start(b.Context(), source("k"), backup.Spec{Token: "tonight", Options: options(small)})
			b.ok(err)
			b.world.Inject(awssim.Fault{Operation: operation, Times: 2, Kind: awssim.FaultLostReply})
			op, err = r.Run(b.Context(), op)
			b.ok(err)
			if len(op.Points) != 1 || len(op.Made) != 0 || !b.store.Same(b.world, here, from, "k", there, to, "k") {
				t.Errorf("%s: points %v, made %v", operation, op.Points, op.Made)
			}
			want := 0
			if operation == "CreateMultipartUpload" {
				want = 2
			}
			b.left(op, want)
		})
	}
}

// Findings about several copies inside of one Operation are told apart by what they are about.
func TestFindingRefs(t *testing.T) {
	bubble(t, func(b *bed) {
		b.generate("k", 12*mib)
		up := b.begin("elsewhere")
		b.world.Inject(awssim.Fault{Operation: "CreateMultipartUpload", Kind: awssim.FaultLostReply})
		op := b.run(b.start("k", options(small)))
		if len(op.Findings) != 1 || op.Findings[0].Ref.Type != objectcopy.TypeUpload || op.Findings[0].Ref.Region != there || named(op, up) {
			t.Errorf("%+v", op.Findings)
		}
	})
}
