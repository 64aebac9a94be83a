package rds_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/rds"
)

// begun starts an Operation with a Runner that has a Store.
func (b *bench) begun(s backup.Strategy, op backup.Operation, err error) (*backup.Runner, backup.Operation) {
	b.t.Helper()
	b.must(err)
	r := b.stored(s)
	op, err = r.Start(b.ctx, op)
	b.must(err)
	return r, op
}

var refusedRead = awssim.Error{Code: "InvalidParameterValue", Message: "m"}

// TestInFlightIsNotGivenUp refuses reads while the result of a lost answer is looked for: the configuration can be mended, and then it is found.
func TestInFlightIsNotGivenUp(t *testing.T) {
	for name, tt := range map[string]struct{ call, read string }{
		"backup, settling":  {"CreateDBSnapshot", "DescribeDBSnapshots"},
		"backup, again":     {"CreateDBSnapshot", "DescribeDBInstances"},
		"restore, settling": {"RestoreDBInstanceFromDBSnapshot", "DescribeDBInstances"},
		"restore, again":    {"RestoreDBInstanceFromDBSnapshot", "DescribeDBSnapshots"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				point := b.backedUp("nightly")
				b.world.SetLag(10 * time.Minute)
				lost := b.world.Inject(awssim.Fault{Operation: tt.call, Kind: awssim.FaultLostReply})
				s := b.strategy()
				op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t"})
				if tt.call != "CreateDBSnapshot" {
					op, err = s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: options()})
				}
				r, op := b.begun(s, op, err)
				op = b.until(r, op, stage("settle"))
				hit := b.world.Inject(awssim.Fault{Operation: tt.read, Kind: awssim.FaultError, Times: 2, Error: refusedRead})
				op = b.until(r, op, never)
				ended(t, op, "")
				snapshots, instances := b.made(op)
				if len(snapshots)+len(instances) != 1 || len(op.Points)+len(op.Made) != 1 || lost.Fired() != 1 || hit.Fired() != 2 {
					t.Errorf("made %v %v, listed %v %v; fired %d and %d", snapshots, instances, op.Points, op.Made, lost.Fired(), hit.Fired())
				}
			})
		})
	}
	t.Run("nothing in flight", func(t *testing.T) {
		bubble(t, func(t *testing.T, b *bench) {
			point := b.backedUp("nightly")
			s := b.strategy()
			created, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t"})
			b.must(err)
			restored, err := s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: options()})
			b.must(err)
			deleted, err := s.StartDelete(b.ctx, point, backup.Spec{Token: "t"})
			b.must(err)
			for _, op := range []backup.Operation{created, restored, deleted} {
				b.world.Inject(awssim.Fault{Operation: "DescribeDBInstances", Kind: awssim.FaultError, Error: refusedRead})
				b.world.Inject(awssim.Fault{Operation: "DescribeDBSnapshots", Kind: awssim.FaultError, Error: refusedRead})
				op = b.run(s, op, nil)
				ended(t, op, backup.ErrInvalid)
				b.world.Heal()
			}
		})
	})
}

// TestWrongAccountInFlight carries on, with the credentials of another account, an Operation whose answer was lost, and then with the right ones.
func TestWrongAccountInFlight(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		other := awsrds.NewFromConfig(b.world.Config(foreign, region))
		_, err := other.CreateDBInstance(b.ctx, &awsrds.CreateDBInstanceInput{DBInstanceIdentifier: aws.String("orders"), DBInstanceClass: aws.String("db.t4g.medium"),
			Engine: aws.String("postgres"), AllocatedStorage: aws.Int32(20)})
		b.must(err)
		time.Sleep(time.Hour)
		_, err = other.CreateDBSnapshot(b.ctx, &awsrds.CreateDBSnapshotInput{DBInstanceIdentifier: aws.String("orders"), DBSnapshotIdentifier: aws.String("nightly")})
		b.must(err)
		time.Sleep(time.Hour)
		b.world.Inject(awssim.Fault{Operation: "CreateDBSnapshot", Kind: awssim.FaultLostReply})
		s := b.strategy()
		op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t", Name: "nightly"})
		r, op := b.begun(s, op, err)
		op = b.until(r, op, stage("settle"))
		wrong := rds.NewFromConfig(b.world.Config(foreign, region), func(o *rds.Options) { o.Account = account })
		same, err := wrong.Step(b.ctx, op)
		if !errors.Is(err, backup.ErrInvalid) || same.Done() {
			t.Fatalf("with credentials of another account: %s, %v", same.Phase, err)
		}
		op = b.until(r, op, never)
		ended(t, op, "")
		if len(op.Points) != 1 || b.count("CreateDBSnapshot") != 2 {
			t.Errorf("points %v, %d sends", op.Points, b.count("CreateDBSnapshot"))
		}
	})
}

// TestNameTakenUnseen has RDS say that a name is taken, by something that nobody can see.
func TestNameTakenUnseen(t *testing.T) {
	for call, code := range map[string]string{"CreateDBSnapshot": "DBSnapshotAlreadyExists", "RestoreDBInstanceFromDBSnapshot": "DBInstanceAlreadyExists"} {
		t.Run(call, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				point := b.backedUp("nightly")
				before := b.count(call)
				b.world.Inject(awssim.Fault{Operation: call, Kind: awssim.FaultError, Times: -1, Error: awssim.Error{Code: code, Message: "m"}})
				s := b.strategy()
				op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t"})
				if call != "CreateDBSnapshot" {
					op, err = s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: options()})
				}
				start := time.Now()
				r, op := b.begun(s, op, err)
				op = b.until(r, op, never)
				ended(t, op, backup.ErrConflict)
				if d := time.Since(start); b.count(call)-before != 1 || d < 6*time.Minute || d > 8*time.Minute || !strings.Contains(backup.HintOf(op.Err()), op.ID) {
					t.Errorf("%d sends, ended after %v: %v", b.count(call)-before, d, op.Err())
				}
			})
		})
	}
}

// TestNameFreedLate gives a name that something has which takes an hour to go: RDS is not asked again and again.
func TestNameFreedLate(t *testing.T) {
	t.Run("snapshot", func(t *testing.T) {
		bubble(t, func(t *testing.T, b *bench) {
			b.backedUp("nightly")
			b.db.SetSnapshotStatus(b.world, account, region, "nightly", "deleting", time.Hour)
			time.AfterFunc(time.Hour, func() { b.remove("nightly") })
			before := b.count("CreateDBSnapshot")
			s := b.strategy()
			op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t", Name: "nightly"})
			r, op := b.begun(s, op, err)
			op = b.until(r, op, never)
			ended(t, op, "")
			if made, _ := b.made(op); len(made) != 1 || !finding(op, "rds.name-being-freed") || b.count("CreateDBSnapshot")-before > 2 {
				t.Errorf("%d sends, made %v, findings %v", b.count("CreateDBSnapshot")-before, made, op.Findings)
			}
		})
	})
	t.Run("instance", func(t *testing.T) {
		bubble(t, func(t *testing.T, b *bench) {
			point := b.backedUp("nightly")
			b.create("orders-copy")
			b.db.SetStatus(b.world, account, region, "orders-copy", "deleting", time.Hour)
			time.AfterFunc(time.Hour, func() { b.drop("orders-copy") })
			s := b.strategy()
			op, err := s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: options()})
			r, op := b.begun(s, op, err)
			op = b.until(r, op, never)
			ended(t, op, "")
			if n := b.count("RestoreDBInstanceFromDBSnapshot"); n > 2 || !finding(op, "rds.name-being-freed") {
				t.Errorf("%d sends, findings %v", n, op.Findings)
			}
		})
	})
}

// TestOneMissIsNone has a single look miss the instance, after minutes in which looks failed, or in which nobody looked.
func TestOneMissIsNone(t *testing.T) {
	for name, prepare := range map[string]func(b *bench){
		"throttled": func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "DescribeDBInstances", Kind: awssim.FaultThrottle, Times: 200})
		},
		"down":   func(*bench) { time.Sleep(3 * time.Hour) },
		"parked": func(b *bench) { b.db.SetStatus(b.world, account, region, "orders", "maintenance", 10*time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				s := b.strategy()
				op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t"})
				r, op := b.begun(s, op, err)
				prepare(b)
				if name == "parked" {
					op = b.until(r, op, stage("park"))
				}
				hit := b.world.Inject(awssim.Fault{Operation: "DescribeDBInstances", Kind: awssim.FaultStale, Back: 20 * time.Hour})
				start := time.Now()
				op = b.until(r, op, stage("wait"))
				if hit.Fired() != 1 || len(op.Points) != 1 {
					t.Errorf("fired %d times; %s after %v: %v", hit.Fired(), op.Phase, time.Since(start), op.Err())
				}
			})
		})
	}
}
