package ami_test

import (
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs/ami"
)

// A read that guards a deletion and is never answered ends it soon, with everything left as it was.
func TestDeleteUnanswered(t *testing.T) {
	for _, operation := range []string{"DescribeLockedSnapshots", "DescribeFastSnapshotRestores"} {
		for skip, when := range []string{"at the look", "at the call"} {
			t.Run(operation+" "+when, func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
					point := b.imaged(t, t.Context(), "first")
					b.world.Inject(awssim.Fault{Operation: operation, Skip: skip, Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 500, Code: "InternalError", Message: "no"}})
					op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d"})
					began := time.Now()
					op = finish(t, s, op, err)
					if took := time.Since(began); backup.CodeOf(op.Err()) != backup.ErrUnavailable || took > 20*time.Minute {
						t.Errorf("%s after %v: %v", op.Phase, took, op.Err())
					}
					if n := count(b, "DeregisterImage") + count(b, "DeleteSnapshot"); n != 0 {
						t.Errorf("%d deletions", n)
					}
				})
			})
		}
	}
}
