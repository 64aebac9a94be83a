package rds_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/internal/sweep"
	"github.com/snapwarden/snapwarden/rds"
)

// databases names the instances and the clusters that exist.
func (b *bench) databases() (ids []string) {
	for _, c := range b.db.Clusters(b.world, account, region) {
		ids = append(ids, c.ID)
	}
	for _, i := range b.db.Instances(b.world, account, region) {
		ids = append(ids, i.ID)
	}
	slices.Sort(ids)
	return ids
}

// finals gives the available snapshots of a database, and whether all are.
func (b *bench) finals(of backup.Ref) (n int) {
	for _, p := range append(b.db.Snapshots(b.world, account, region), b.db.ClusterSnapshots(b.world, account, region)...) {
		if p.Instance == of.ID && p.Status == "available" {
			n++
		}
	}
	return n
}

func confirmed(r backup.Ref) rds.DeleteDatabaseOptions {
	return rds.DeleteDatabaseOptions{Confirm: r.ID}
}

func TestDeleteDatabase(t *testing.T) {
	for name, tt := range map[string]struct {
		ref    backup.Ref
		all    bool
		make   func(b *bench)
		left   []string
		kept   int
		notice backup.Severity
	}{
		"instance":                 {ref: rds.Instance(account, region, "orders"), kept: 1, notice: backup.SeverityInfo},
		"instance and its backups": {ref: rds.Instance(account, region, "orders"), all: true, notice: backup.SeverityWarning},
		"Aurora": {ref: mainCluster, make: func(b *bench) { b.member("m-1", "main"); b.member("m-2", "main") }, left: []string{"orders"}, kept: 1,
			notice: backup.SeverityInfo},
		"Aurora without instances": {ref: mainCluster, make: func(b *bench) { b.makeCluster("main", "") }, left: []string{"orders"}, kept: 1, notice: backup.SeverityInfo},
		"Multi-AZ":                 {ref: mainCluster, all: true, make: func(b *bench) { b.makeCluster("main", "postgres") }, left: []string{"orders"}, notice: backup.SeverityWarning},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				if tt.make != nil {
					tt.make(b)
				}
				s := b.strategy()
				op, err := s.StartDeleteDatabase(b.ctx, tt.ref, backup.Spec{Token: "t", Name: "Last", Owner: "platform", Tags: map[string]string{"team": "billing"},
					Options: rds.DeleteDatabaseOptions{Confirm: strings.ToUpper(tt.ref.ID), DeleteAutomatedBackups: tt.all}})
				b.must(err)
				found, err := s.Preflight(b.ctx, op)
				if err != nil || !slices.Contains(ids(found), "rds.after-final") || found[0].Severity == backup.SeverityError {
					t.Errorf("%v %v", found, err)
				}
				op = b.run(s, op, nil)
				ended(t, op, "")
				if len(op.Points) != 1 || op.Points[0].ID != "last" || b.finals(tt.ref) != 1 {
					t.Errorf("%v, %d available", op.Points, b.finals(tt.ref))
				}
				if diff := cmp.Diff(tt.left, b.databases()); diff != "" {
					t.Error(diff)
				}
				kept, err := s.AutomatedBackups(b.ctx, tt.ref)
				if err != nil || len(kept) != tt.kept {
					t.Errorf("%+v %v", kept, err)
				}
				for _, f := range op.Findings {
					if f.ID == "rds.after-final" && f.Severity != tt.notice {
						t.Errorf("%+v", f)
					}
				}
				if p := point1(t, b, s, op.Points[0]); p.Tags["team"] != "billing" || p.Tags[backup.TagOwner] != "platform" {
					t.Errorf("%+v", p)
				}
				del, err := s.StartDelete(b.ctx, op.Points[0], backup.Spec{Token: "t", Owner: "platform"})
				ended(t, b.run(s, del, err), "")
			})
		})
	}
}

func TestDeleteDatabaseRefused(t *testing.T) {
	s := rds.New(nil)
	instance := rds.Instance(account, region, "orders")
	for name, tt := range map[string]struct {
		ref  backup.Ref
		spec backup.Spec
	}{
		"nothing confirmed":    {instance, backup.Spec{Token: "t", Options: rds.DeleteDatabaseOptions{}}},
		"another is confirmed": {instance, backup.Spec{Token: "t", Options: rds.DeleteDatabaseOptions{Confirm: "invoices"}}},
		"no options":           {instance, backup.Spec{Token: "t"}},
		"a deletion's options": {instance, backup.Spec{Token: "t", Options: rds.DeleteOptions{}}},
		"a bad name":           {instance, backup.Spec{Token: "t", Name: "a--b", Options: confirmed(instance)}},
		"a snapshot":           {rds.Snapshot(account, region, "orders"), backup.Spec{Token: "t", Options: confirmed(instance)}},
		"no token":             {instance, backup.Spec{Options: confirmed(instance)}},
	} {
		if _, err := s.StartDeleteDatabase(t.Context(), tt.ref, tt.spec); !errors.Is(err, backup.ErrInvalid) || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDeleteDatabaseTroubles has things happen on the way. What is deleted has a snapshot in every case.
func TestDeleteDatabaseTroubles(t *testing.T) {
	at := func(s string) func(backup.Operation) bool { return stage(s) }
	for name, tt := range map[string]struct {
		when func(backup.Operation) bool
		act  func(b *bench, op backup.Operation)
		want backup.Code
		left bool
	}{
		"no instance": {at("final"), func(b *bench, _ backup.Operation) { b.drop("orders"); time.Sleep(time.Hour) }, backup.ErrNotFound, false},
		"the snapshot fails": {at("final"), func(b *bench, _ backup.Operation) {
			b.world.Inject(awssim.Fault{Operation: "CreateDBSnapshot", Kind: awssim.FaultAsync})
		}, backup.ErrFailed, true},
		"the snapshot's quota": {at("final"), func(b *bench, _ backup.Operation) {
			b.world.Inject(awssim.Fault{Operation: "CreateDBSnapshot", Kind: awssim.FaultError, Error: awssim.Error{Code: "SnapshotQuotaExceeded", Message: "Cannot create more than 100 manual snapshots"}})
		}, backup.ErrQuota, true},
		"the snapshot goes": {at("drop"), func(b *bench, op backup.Operation) { b.db.LoseSnapshot(b.world, account, region, op.Points[0].ID) }, backup.ErrFailed, true},
		"protected": {at("retire"), func(b *bench, _ backup.Operation) {
			_, err := b.client.ModifyDBInstance(b.ctx, &awsrds.ModifyDBInstanceInput{DBInstanceIdentifier: aws.String("orders"), DeletionProtection: aws.Bool(true)})
			b.must(err)
		}, backup.ErrConflict, true},
		"somebody else deletes it": {at("retire"), func(b *bench, _ backup.Operation) { b.drop("orders") }, "", false},
		"another has the identifier": {at("drop"), func(b *bench, _ backup.Operation) {
			b.drop("orders")
			time.Sleep(time.Hour)
			b.create("orders")
		}, "", true},
		"busy": {at("drop"), func(b *bench, _ backup.Operation) {
			b.world.Inject(awssim.Fault{Operation: "DeleteDBInstance", Kind: awssim.FaultError, Error: awssim.Error{Code: "InvalidDBInstanceState", Message: "m"}})
		}, "", false},
		"the quota of retained backups": {at("drop"), func(b *bench, _ backup.Operation) {
			b.world.Inject(awssim.Fault{Operation: "DeleteDBInstance", Kind: awssim.FaultError, Error: awssim.Error{Code: "DBInstanceAutomatedBackupQuotaExceeded", Message: "m"}})
		}, backup.ErrQuota, true},
		"an old listing": {at("gone"), func(b *bench, _ backup.Operation) {
			b.world.Inject(awssim.Fault{Operation: "DescribeDBInstances", Kind: awssim.FaultStale, Back: 10 * time.Minute, Times: 3})
		}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				s := b.strategy()
				op, err := s.StartDeleteDatabase(b.ctx, b.orders, backup.Spec{Token: "t", Options: confirmed(b.orders)})
				r, op := b.begun(s, op, err)
				op = b.until(r, op, tt.when)
				tt.act(b, op)
				op = b.until(r, op, never)
				ended(t, op, tt.want)
				left := slices.Contains(b.databases(), "orders")
				if left != tt.left {
					t.Errorf("exists: %v", left)
				}
				if !left && tt.want == "" && b.finals(b.orders) != 1 {
					t.Errorf("%d final snapshots", b.finals(b.orders))
				}
			})
		})
	}
}

func TestDeleteDatabaseCancel(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.db.SetStatus(b.world, account, region, "orders", "stopped", 10*time.Hour)
		s := b.strategy()
		op, err := s.StartDeleteDatabase(b.ctx, b.orders, backup.Spec{Token: "t", Options: confirmed(b.orders)})
		r, op := b.begun(s, op, err)
		for range 3 {
			time.Sleep(time.Until(op.Poll))
			op, err = r.Step(b.ctx, op)
			b.must(err)
		}
		op, err = r.Cancel(b.ctx, op)
		b.must(err)
		op = b.until(r, op, never)
		if op.Phase != backup.PhaseCanceled || len(b.databases()) != 1 || b.count("CreateDBSnapshot")+b.count("DeleteDBInstance") != 0 {
			t.Errorf("%s: %v", op.Phase, b.databases())
		}
	})
	lose := func(b *bench) {
		b.world.Inject(awssim.Fault{Operation: "DeleteDBInstance", Kind: awssim.FaultLostReply})
	}
	for name, tt := range map[string]struct {
		act   func(b *bench)
		until func(op backup.Operation) bool
		want  backup.Phase
		finals,
		sends int
	}{
		"before the snapshot": {until: stage("final"), want: backup.PhaseCanceled},
		"while it is made":    {until: func(op backup.Operation) bool { return len(op.Points) > 0 }, want: backup.PhaseCanceled, finals: 1},
		"before the deletion": {until: stage("retire"), want: backup.PhaseCanceled, finals: 1},
		"armed":               {until: stage("drop"), want: backup.PhaseCanceled, finals: 1},
		"perhaps sent":        {act: lose, until: func(op backup.Operation) bool { return op.Stage == "drop" && op.Attempt > 0 }, want: backup.PhaseSucceeded, finals: 1, sends: 1},
		"sent":                {until: func(op backup.Operation) bool { return op.Stage == "gone" }, want: backup.PhaseSucceeded, finals: 1, sends: 1},
		"the snapshot's lost call": {act: func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "CreateDBSnapshot", Kind: awssim.FaultLostReply})
		}, until: func(op backup.Operation) bool { return op.Attempt > 0 }, want: backup.PhaseCanceled, finals: 1},
		"the deletion refused for now": {act: func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "DeleteDBInstance", Kind: awssim.FaultError, Error: awssim.Error{Code: "InvalidDBInstanceState", Message: "m"}})
		}, until: stage("park"), want: backup.PhaseCanceled, finals: 1, sends: 1},
		"armed, and the snapshot was not seen": {act: func(b *bench) {
			b.alter = func(in, out any) error {
				if x, ok := out.(*awsrds.DescribeDBSnapshotsOutput); ok && b.blind > 0 {
					b.blind--
					x.DBSnapshots = nil
				}
				return nil
			}
		}, until: func() func(op backup.Operation) bool {
			armed := false
			return func(op backup.Operation) bool {
				armed = armed || op.Stage == "drop"
				return armed && op.Stage == "retire"
			}
		}(), want: backup.PhaseCanceled, finals: 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				if tt.act != nil {
					tt.act(b)
				}
				s := b.altered()
				op, err := s.StartDeleteDatabase(b.ctx, b.orders, backup.Spec{Token: "t", Options: confirmed(b.orders)})
				r, op := b.begun(s, op, err)
				op = b.until(r, op, func(op backup.Operation) bool {
					if op.Stage == "drop" {
						b.blind = 1
					}
					return tt.until(op)
				})
				next, err := r.Cancel(b.ctx, op)
				if tt.want != backup.PhaseCanceled && (!errors.Is(err, backup.ErrUnsupported) || backup.HintOf(err) == "") || tt.want == backup.PhaseCanceled && err != nil {
					t.Error(err)
				}
				op = b.until(r, next, never)
				if op.Phase != tt.want || len(op.Points) != tt.finals || b.finals(b.orders) != tt.finals || b.count("DeleteDBInstance") != tt.sends {
					t.Errorf("%s: %v, %v, %d available, %d sends", op.Phase, op.Err(), op.Points, b.finals(b.orders), b.count("DeleteDBInstance"))
				}
				if left := slices.Contains(b.databases(), "orders"); left != (tt.want == backup.PhaseCanceled) {
					t.Errorf("exists: %v", left)
				}
			})
		})
	}
}

// An Operation with all the tags that there may be fits.
func TestDeleteDatabaseSize(t *testing.T) {
	tags := map[string]string{}
	for i := range 15 {
		tags[fmt.Sprintf("%0100d", i)] = strings.Repeat("v", 150)
	}
	r := rds.Cluster(account, region, strings.Repeat("x", 63))
	op, err := rds.New(nil).StartDeleteDatabase(t.Context(), r, backup.Spec{Token: strings.Repeat("t", 256), Tags: tags, Options: confirmed(r)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		op.Find(backup.Finding{ID: fmt.Sprint(i), Ref: r, Message: strings.Repeat("m", 300), Remedy: strings.Repeat("r", 300)})
	}
	if b, err := jsonOf(op); err != nil || len(b) > backup.MaxOperationBytes {
		t.Errorf("%d bytes: %v", len(b), err)
	}
}

func retireFlow(name string, cluster bool) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		r := b.orders
		if cluster {
			b.member("m-1", "main")
			r = mainCluster
		}
		exists := func() bool { return slices.Contains(b.databases(), r.ID) }
		safe := func() (bad []string) {
			if !exists() && b.finals(r) != 1 {
				bad = append(bad, fmt.Sprintf("I4: it is gone, and %d final snapshots are available", b.finals(r)))
			}
			return bad
		}
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: patient, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*rds.Strategy).StartDeleteDatabase(ctx, r, backup.Spec{Token: "tonight", Options: confirmed(r)})
			},
			AtEnd: func(op backup.Operation) []string {
				bad := safe()
				if op.Phase == backup.PhaseSucceeded && exists() {
					bad = append(bad, "I3: success, and it exists")
				}
				return bad
			},
			Quiet: func(op backup.Operation) []string {
				bad := safe()
				n := 0
				for _, p := range append(b.db.Snapshots(b.world, account, region), b.db.ClusterSnapshots(b.world, account, region)...) {
					if n++; len(op.Points) != 1 || op.Points[0].ID != p.ID {
						bad = append(bad, "I17: "+p.ID+" is listed nowhere")
					}
				}
				if n != 1 {
					bad = append(bad, fmt.Sprintf("I1: %d snapshots", n))
				}
				return bad
			},
		}
	}}
}
