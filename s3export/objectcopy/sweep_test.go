package objectcopy_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/sweep"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// copyFlow is a copy of an object of the given size, in parts of 5 MiB.
func copyFlow(name string, size int64) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := newBed(t)
		b.generate("k", size)
		whole := func() bool { return b.store.Same(b.world, here, from, "k", there, to, "k") }
		return sweep.Subject{World: b.world, Account: account, Region: there,
			Strategy: func(cfg aws.Config) backup.Strategy {
				return objectcopy.NewFromConfig(cfg, func(s *objectcopy.Settings) { s.Concurrency = 2 })
			},
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.Start(ctx, source("k"), backup.Spec{Token: "tonight", Options: options(func(o *objectcopy.Options) { o.PartSize = 5 * mib })})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if op.Phase == backup.PhaseSucceeded && !whole() {
					bad = append(bad, "I5: success, and the copy is not the source")
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				objects := b.objects()
				if len(objects) > 1 || len(objects) == 1 && !whole() {
					bad = append(bad, fmt.Sprintf("I1: %+v", objects))
				}
				if len(objects) == 1 && !slices.Contains(op.Points, destination("k")) {
					bad = append(bad, fmt.Sprintf("I17: the object is not listed: points %v, made %v", op.Points, op.Made))
				}
				// An upload whose begin was not answered can stay: without parts, and if a finding names it.
				for _, u := range b.store.Uploads(b.world, there, to) {
					if u.Parts > 0 || !named(op, u.ID) {
						bad = append(bad, fmt.Sprintf("I17: unfinished upload %+v, findings %+v", u, op.Findings))
					}
				}
				return bad
			},
		}
	}}
}

func TestSweepSingles(t *testing.T) {
	for _, w := range []sweep.Workflow{copyFlow("copy-small", 1000), copyFlow("copy-parts", 13*mib)} {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel() // each run is in a bubble of its own
			sweep.Singles(t, w).Check(t)
		})
	}
}

func TestSweepPairs(t *testing.T) {
	stride := 37
	if testing.Short() {
		stride = 500
	}
	sweep.Pairs(t, copyFlow("copy-parts", 13*mib), stride).Check(t)
}
