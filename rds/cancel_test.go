package rds_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// TestCancel cancels Operations in the states in which they may be, with a Store.
func TestCancel(t *testing.T) {
	backups := func(b *bench) (backup.Operation, error) {
		return b.strategy().Start(b.ctx, b.orders, backup.Spec{Token: "t"})
	}
	restores := func(b *bench) (backup.Operation, error) {
		return b.strategy().StartRestore(b.ctx, b.backedUp("nightly"), backup.Spec{Token: "t", Options: options()})
	}
	deletions := func(b *bench) (backup.Operation, error) {
		return b.strategy().StartDelete(b.ctx, b.backedUp("nightly"), backup.Spec{Token: "t"})
	}
	copying := func(b *bench) { b.db.SetSnapshotStatus(b.world, account, region, "nightly", "copying", 20*time.Hour) }
	lose := func(call string) func(b *bench) {
		return func(b *bench) { b.world.Inject(awssim.Fault{Operation: call, Kind: awssim.FaultLostReply}) }
	}
	after := func(first, then string) func(backup.Operation) bool {
		seen := false
		return func(op backup.Operation) bool { seen = seen || op.Stage == first; return seen && op.Stage == then }
	}
	sent := func(op backup.Operation) bool { return op.Attempt > 0 }
	for name, tt := range map[string]struct {
		start    func(*bench) (backup.Operation, error)
		act      func(*bench)
		until    func(backup.Operation) bool
		canceled bool
	}{
		"a backup that has not begun": {backups, nil, stage("describe"), true},
		"a backup that waits for a stopped instance": {backups, func(b *bench) {
			b.db.SetStatus(b.world, account, region, "orders", "stopped", 1000*time.Hour)
		}, stage("park"), true},
		"a backup that RDS has refused for now": {backups, func(b *bench) {
			b.db.SetStatus(b.world, account, region, "orders", "maintenance", 1000*time.Hour)
			b.world.Inject(awssim.Fault{Operation: "DescribeDBInstances", Kind: awssim.FaultStale})
		}, after("create", "park"), true},
		"a backup that is armed":         {backups, nil, stage("create"), true},
		"a backup that was perhaps sent": {backups, lose("CreateDBSnapshot"), sent, false},
		"a backup that settles":          {backups, lose("CreateDBSnapshot"), stage("settle"), false},
		"a backup that looks again": {backups, func(b *bench) {
			b.world.SetLag(10 * time.Minute)
			lose("CreateDBSnapshot")(b)
		}, after("settle", "describe"), false},
		"a backup that runs":                   {backups, nil, stage("wait"), false},
		"a restore that has not begun":         {restores, nil, stage("look"), true},
		"a restore that waits for a snapshot":  {restores, copying, stage("park"), true},
		"a restore that is armed":              {restores, nil, stage("create"), true},
		"a restore that was perhaps sent":      {restores, lose("RestoreDBInstanceFromDBSnapshot"), sent, false},
		"a restore that settles":               {restores, lose("RestoreDBInstanceFromDBSnapshot"), stage("settle"), false},
		"a restore that runs":                  {restores, nil, stage("wait"), false},
		"a deletion that waits for a snapshot": {deletions, copying, stage("park"), true},
		"a deletion that is armed":             {deletions, nil, stage("delete"), true},
		"a deletion that was sent":             {deletions, nil, stage("gone"), false},
		"a deletion that was perhaps sent":     {deletions, lose("DeleteDBSnapshot"), sent, false},
		"a restore that is armed another time": {restores, func(b *bench) {
			b.world.SetLag(10 * time.Minute)
			lose("RestoreDBInstanceFromDBSnapshot")(b)
		}, after("settle", "create"), false},
		"a restore that looks again before the call": {restores, func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "DescribeDBSnapshots", Skip: 1, Kind: awssim.FaultBlind, Back: 1000 * time.Hour})
		}, after("create", "look"), true},
		"a deletion that RDS has refused for now": {deletions, func(b *bench) {
			copying(b)
			b.world.Inject(awssim.Fault{Operation: "DescribeDBSnapshots", Times: 2, Kind: awssim.FaultStale})
		}, after("delete", "park"), true},
		"a backup that has ended": {backups, nil, never, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				op, err := tt.start(b)
				s := b.strategy()
				if tt.act != nil {
					tt.act(b)
				}
				r, op := b.begun(s, op, err)
				op = b.until(r, op, tt.until)
				changed := func() (n int) {
					for _, c := range b.world.Calls() {
						if c.Mutates {
							n++
						}
					}
					return n
				}
				before := changed()
				next, err := r.Cancel(b.ctx, op)
				if !tt.canceled {
					if !errors.Is(err, backup.ErrUnsupported) || backup.HintOf(err) == "" {
						t.Fatalf("canceled in stage %s: %v", op.Stage, err)
					}
					b.world.Heal()
					ended(t, b.until(r, op, never), "")
					return
				}
				b.must(err)
				again, err := r.Cancel(b.ctx, next)
				if diff := cmp.Diff(next.Stage, again.Stage); err != nil || diff != "" {
					t.Error(err, diff)
				}
				op = b.until(r, next, never)
				if op.Phase != backup.PhaseCanceled || !errors.Is(op.Err(), backup.ErrCanceled) || len(op.Points)+len(op.Made) != 0 || changed() != before {
					t.Errorf("%s: %v; points %v, made %v, %d calls", op.Phase, op.Err(), op.Points, op.Made, changed()-before)
				}
			})
		})
	}
}

// TestCancelWithoutStore holds that a call which another process has perhaps sent is not said to be canceled.
func TestCancelWithoutStore(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		s := b.strategy()
		op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t"})
		b.must(err)
		r := b.runner(s)
		op = b.until(r, op, stage("create"))
		lost, err := r.Step(b.ctx, op)
		b.must(err)
		if lost.Stage != "wait" {
			t.Fatalf("in stage %s", lost.Stage)
		}
		// The engine has lost the answer and holds what it gave.
		if _, err := r.Cancel(b.ctx, op); !errors.Is(err, backup.ErrUnsupported) {
			t.Errorf("canceled, and %d calls were sent: %v", b.count("CreateDBSnapshot"), err)
		}
	})
}
