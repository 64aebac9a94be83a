package ebs_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
)

var forGood = ebs.LockOptions{Mode: ebs.LockCompliance, Days: 20, Irreversible: ebs.Irreversible}

// cooling locks a recovery point in compliance mode for longer than forGood, with a cooling-off period.
func cooling(t *testing.T, s *ebs.Strategy, point backup.Ref, hours int32) {
	t.Helper()
	want(t, lockOf(t, s, point, "first", ebs.LockOptions{Mode: ebs.LockCompliance, Days: 30, CoolOffHours: hours}), backup.PhaseSucceeded, "")
}

// A lock that can still be taken back is no irreversible one, however long it lasts: it is waited for, and not made shorter.
func TestLockForGoodWaitsUntilItIs(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.instance)
		cooling(t, s, point, 72)
		began, calls, looks := time.Now(), count(b, "LockSnapshot"), count(b, "DescribeLockedSnapshots")
		op, err := s.StartLock(t.Context(), point, backup.Spec{Token: "then", Options: forGood})
		found, ferr := s.Preflight(t.Context(), op)
		if ferr != nil || len(found) != 4 || found[0].ID != "ebs.lock-cooling" || found[3].ID != "ebs.lock-irreversible" {
			t.Errorf("preflight: %v %v", found, ferr)
		}
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseSucceeded, "")
		for _, x := range b.ec2.Snapshots(b.world, account, region) {
			if x.Lock != ec2types.LockStateCompliance || x.LockedUntil.Before(began.AddDate(0, 0, 29)) {
				t.Errorf("%s until %s", x.Lock, x.LockedUntil)
			}
		}
		if n := count(b, "LockSnapshot") - calls; n != 0 || !slices.Contains(findings(op), "ebs.lock-cooling") || op.Deadline.Sub(op.Started) != 96*time.Hour {
			t.Errorf("%d calls, %v, deadline after %v", n, op.Findings, op.Deadline.Sub(op.Started))
		}
		if took := time.Since(began); took < 71*time.Hour || took > 73*time.Hour || count(b, "DescribeLockedSnapshots")-looks > 300 {
			t.Errorf("it took %v and %d looks", took, count(b, "DescribeLockedSnapshots")-looks)
		}
	})
	// With a shorter deadline it never says that it is done.
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.volume)
		cooling(t, s, point, 72)
		op, err := s.StartLock(t.Context(), point, backup.Spec{Token: "then", Timeout: 5 * time.Hour, Options: forGood})
		op = finish(t, s, op, err)
		if op.Phase == backup.PhaseSucceeded || !slices.Contains(findings(op), "ebs.lock-cooling") {
			t.Errorf("%s: %v", op.Phase, op.Findings)
		}
	})
	// What is asked for with a cooling-off period is there while it cools.
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.volume)
		cooling(t, s, point, 72)
		began := time.Now()
		op := lockOf(t, s, point, "then", ebs.LockOptions{Mode: ebs.LockCompliance, Days: 20, CoolOffHours: 24})
		want(t, op, backup.PhaseSucceeded, "")
		if time.Since(began) > time.Hour || slices.Contains(findings(op), "ebs.lock-cooling") {
			t.Errorf("after %v: %v", time.Since(began), op.Findings)
		}
	})
}

// A lock that somebody takes back while it cools is set again, for good.
func TestLockTakenBackWhileCooling(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.volume)
		cooling(t, s, point, 48)
		op, err := s.StartLock(t.Context(), point, backup.Spec{Token: "then", Options: forGood})
		if err != nil {
			t.Fatal(err)
		}
		r, err := backup.NewRunner([]backup.Strategy{s})
		if err != nil {
			t.Fatal(err)
		}
		for !op.Done() && !slices.Contains(findings(op), "ebs.lock-cooling") {
			if op, err = r.Step(t.Context(), op); err != nil {
				t.Fatal(err)
			}
			time.Sleep(max(time.Until(op.Poll), time.Millisecond))
		}
		if _, err := b.client.UnlockSnapshot(t.Context(), &awsec2.UnlockSnapshotInput{SnapshotId: &point.ID}); err != nil {
			t.Fatal(err)
		}
		calls := count(b, "LockSnapshot")
		op = finish(t, s, op, nil)
		want(t, op, backup.PhaseSucceeded, "")
		if x := b.ec2.Snapshots(b.world, account, region)[0]; x.Lock != ec2types.LockStateCompliance || count(b, "LockSnapshot") != calls+1 {
			t.Errorf("%s, %d calls", x.Lock, count(b, "LockSnapshot")-calls)
		}
	})
}

// Where one snapshot of a set is gone, the others are not called locked for good while they cool.
func TestLockForGoodOfAShortSet(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.instance)
		cooling(t, s, point, 72)
		op, err := s.StartLock(t.Context(), point, backup.Spec{Token: "then", Options: forGood})
		if err != nil {
			t.Fatal(err)
		}
		r, err := backup.NewRunner([]backup.Strategy{s})
		if err != nil {
			t.Fatal(err)
		}
		for !op.Done() && op.Stage != "wait" {
			if op, err = r.Step(t.Context(), op); err != nil {
				t.Fatal(err)
			}
			time.Sleep(max(time.Until(op.Poll), time.Millisecond))
		}
		b.ec2.DeleteBehindBack(b.world, account, region, b.ec2.Snapshots(b.world, account, region)[0].ID)
		op = finish(t, s, op, nil)
		want(t, op, backup.PhasePartial, backup.ErrPartial)
		if !strings.Contains(op.Err().Error(), "0 of 3 snapshots are locked") || !strings.Contains(op.Err().Error(), "2 others can still be taken back") {
			t.Error(op.Err())
		}
	})
}

// What somebody sets between the look and the call is not made shorter.
func TestLockVetoesAreFresh(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.volume)
		op, err := s.StartLock(t.Context(), point, backup.Spec{Token: "then", Options: ebs.LockOptions{Mode: ebs.LockCompliance, Days: 10, CoolOffHours: 1}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := backup.NewRunner([]backup.Strategy{s})
		if err != nil {
			t.Fatal(err)
		}
		for !op.Done() && op.Stage == "look" {
			if op, err = r.Step(t.Context(), op); err != nil {
				t.Fatal(err)
			}
		}
		want(t, lockOf(t, s, point, "first", ebs.LockOptions{Days: 300}), backup.PhaseSucceeded, "")
		calls := count(b, "LockSnapshot")
		want(t, finish(t, s, op, nil), backup.PhaseFailed, backup.ErrConflict)
		if n := count(b, "LockSnapshot") - calls; n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}
