package ebs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
)

// A read that only guards a deletion, or only tells more of it, and is never answered ends it soon: before the first call, or as what it is, done.
func TestDeleteUnanswered(t *testing.T) {
	for _, c := range []struct {
		name, operation string
		// after is how many members are deleted before.
		after int
		want  backup.Code
		left  int
	}{
		{"locks", "DescribeLockedSnapshots", 0, backup.ErrUnavailable, 3},
		{"fast restores", "DescribeFastSnapshotRestores", 0, backup.ErrUnavailable, 3},
		{"locks, when one is deleted", "DescribeLockedSnapshots", 1, "", 0},
		{"the Recycle Bin", "ListSnapshotsInRecycleBin", 0, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
				point := b.backedUp(t, t.Context(), b.instance)
				op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d"})
				silent := awssim.Fault{Operation: c.operation, Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 500, Code: "InternalError", Message: "no"}}
				if c.after > 0 {
					// The second member is refused for a moment, and by the time that it is tried again nothing is answered.
					b.world.Inject(awssim.Fault{Operation: "DeleteSnapshot", Skip: c.after, Times: 3, Kind: awssim.FaultError, Error: awssim.Error{Status: 500, Code: "InternalError", Message: "no"}})
					silent.Skip = 1
				}
				fired := b.world.Inject(silent)
				began := time.Now()
				op = finish(t, s, op, err)
				if backup.CodeOf(op.Err()) != c.want {
					t.Errorf("%s: %v", op.Phase, op.Err())
				}
				live := 0
				for _, x := range b.ec2.Snapshots(b.world, account, region) {
					if !x.Deleted {
						live++
					}
				}
				if took := time.Since(began); live != c.left || took > 20*time.Minute || fired.Fired() == 0 {
					t.Errorf("%d are left after %v, %d reads were not answered", live, took, fired.Fired())
				}
				if c.want != "" && backup.HintOf(op.Err()) == "" {
					t.Error("no hint")
				}
			})
		})
	}
}

// What a listing does not show at the call is not deleted unseen: it may be somebody else's since the look.
func TestDeleteWaitsAtTheCall(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.instance)
		op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d"})
		for range 100 {
			if err != nil || op.Stage == "delete" {
				break
			}
			op, err = s.Step(t.Context(), op)
		}
		if err != nil || op.Stage != "delete" {
			t.Fatalf("in stage %q: %v", op.Stage, err)
		}
		all := b.ec2.Snapshots(b.world, account, region)
		b.ec2.Retag(b.world, account, region, all[len(all)-1].ID, map[string]string{backup.TagOwner: "legal"})
		blind := b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Kind: awssim.FaultBlind, Back: 24 * time.Hour})
		op = finish(t, s, op, nil)
		if backup.CodeOf(op.Err()) != backup.ErrConflict || count(b, "DeleteSnapshot") > 0 || blind.Fired() != 1 {
			t.Errorf("%s: %v, %d calls, %d blind listings", op.Phase, op.Err(), count(b, "DeleteSnapshot"), blind.Fired())
		}
	})
}

// A process that was away takes its first read without an answer for what it is: the first one.
func TestDeleteAfterAnAbsence(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		op, err := s.StartDelete(t.Context(), b.backedUp(t, t.Context(), b.instance), backup.Spec{Token: "d"})
		for range 100 {
			if err != nil || op.Stage == "delete" {
				break
			}
			op, err = s.Step(t.Context(), op)
		}
		time.Sleep(time.Hour)
		silent := b.world.Inject(awssim.Fault{Operation: "DescribeLockedSnapshots", Times: 3, Kind: awssim.FaultError, Error: awssim.Error{Status: 500, Code: "InternalError", Message: "no"}})
		want(t, finish(t, s, op, err), backup.PhaseSucceeded, "")
		if silent.Fired() != 3 {
			t.Errorf("%d reads were not answered", silent.Fired())
		}
	})
}

// Where a deletion was perhaps applied, the end does not say that nothing was, and lists what is left.
func TestDeleteUnansweredAfterALostAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		op, err := s.StartDelete(t.Context(), b.backedUp(t, t.Context(), b.instance), backup.Spec{Token: "d"})
		b.world.Inject(awssim.Fault{Operation: "DeleteSnapshot", Kind: awssim.FaultLostReply, Times: 3})
		b.world.Inject(awssim.Fault{Operation: "DescribeLockedSnapshots", Skip: 1, Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 500, Code: "InternalError", Message: "no"}})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseFailed, backup.ErrUnavailable)
		if hint := backup.HintOf(op.Err()); !strings.Contains(hint, "perhaps") || len(op.Points) != 2 {
			t.Errorf("hint %q, points %v", hint, op.Points)
		}
	})
}

// Answers between two silences end the first one, also where the call that follows them fails.
func TestDeleteHeardAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		ill := awssim.Error{Status: 500, Code: "InternalError", Message: "no"}
		op, err := s.StartDelete(t.Context(), b.backedUp(t, t.Context(), b.instance), backup.Spec{Token: "d"})
		began := time.Now()
		b.world.Inject(awssim.Fault{Operation: "DescribeLockedSnapshots", Times: 3, Kind: awssim.FaultError, Error: ill})
		b.world.Inject(awssim.Fault{Operation: "DeleteSnapshot", Times: -1, For: 30 * time.Minute, Kind: awssim.FaultError, Error: ill})
		r, rerr := backup.NewRunner([]backup.Strategy{s})
		if err != nil || rerr != nil {
			t.Fatal(err, rerr)
		}
		again := false
		for range 10_000 {
			if op.Done() {
				break
			}
			if !again && time.Since(began) > 20*time.Minute {
				again = true
				b.world.Inject(awssim.Fault{Operation: "DescribeLockedSnapshots", Times: 3, Kind: awssim.FaultError, Error: ill})
			}
			op, _ = r.Step(t.Context(), op)
			time.Sleep(max(time.Until(op.Poll), 5*time.Second))
		}
		want(t, op, backup.PhaseSucceeded, "")
		if !again {
			t.Error("it was not silent a second time")
		}
	})
}
