package rds_test

import (
	"context"
	"errors"
	"fmt"
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

// kept gives the retention and the window of an instance or a cluster.
func (b *bench) kept(r backup.Ref) (int32, string) {
	b.t.Helper()
	for _, c := range b.db.Clusters(b.world, account, region) {
		if r == rds.Cluster(account, region, c.ID) {
			return c.BackupRetentionDays, c.BackupWindow
		}
	}
	for _, i := range b.db.Instances(b.world, account, region) {
		if r == rds.Instance(account, region, i.ID) {
			return i.BackupRetentionDays, i.BackupWindow
		}
	}
	b.t.Fatalf("no %v", r)
	return 0, ""
}

func TestSetAutomatedBackups(t *testing.T) {
	off := rds.Instance(account, region, "off")
	class := func(b *bench) {
		_, err := b.client.ModifyDBInstance(b.ctx, &awsrds.ModifyDBInstanceInput{DBInstanceIdentifier: aws.String("orders"), DBInstanceClass: aws.String("db.m7g.large")})
		b.must(err)
		time.Sleep(time.Hour)
	}
	for name, tt := range map[string]struct {
		ref      backup.Ref
		options  rds.AutomatedBackupOptions
		act      func(b *bench)
		found    []string // by Preflight
		want     backup.Code
		findings []string
		days     int32
		window   string
		sends    int
	}{
		"days":          {ref: rds.Instance(account, region, "orders"), options: rds.AutomatedBackupOptions{RetentionDays: 14}, days: 14, sends: 1},
		"window":        {ref: rds.Instance(account, region, "orders"), options: rds.AutomatedBackupOptions{Window: "23:45-00:30"}, days: 1, window: "23:45-00:30", sends: 1},
		"both":          {ref: rds.Instance(account, region, "orders"), options: rds.AutomatedBackupOptions{RetentionDays: 35, Window: "01:00-02:00"}, days: 35, window: "01:00-02:00", sends: 1},
		"there already": {ref: rds.Instance(account, region, "orders"), options: rds.AutomatedBackupOptions{RetentionDays: 1, Window: "03:00-03:30"}, days: 1},
		"cluster":       {ref: mainCluster, options: rds.AutomatedBackupOptions{RetentionDays: 7, Window: "04:00-05:00"}, days: 7, window: "04:00-05:00", sends: 1},
		"off, later": {ref: rds.Instance(account, region, "orders"), options: rds.AutomatedBackupOptions{Off: true}, found: []string{"rds.backups-off"}, findings: []string{"rds.backups-off", "rds.pending"},
			days: 1, sends: 1},
		"off, now": {ref: rds.Instance(account, region, "orders"), options: rds.AutomatedBackupOptions{Off: true, ApplyNow: true}, found: []string{"rds.backups-off", "rds.interruption"},
			findings: []string{"rds.backups-off", "rds.interruption"}, sends: 1},
		"on, later": {ref: off, options: rds.AutomatedBackupOptions{RetentionDays: 7}, findings: []string{"rds.pending"}, sends: 1},
		"on, now":   {ref: off, options: rds.AutomatedBackupOptions{RetentionDays: 7, ApplyNow: true}, found: []string{"rds.interruption"}, findings: []string{"rds.interruption"}, days: 7, sends: 1},
		"other changes wait": {ref: rds.Instance(account, region, "orders"), options: rds.AutomatedBackupOptions{RetentionDays: 7, ApplyNow: true}, act: class,
			found: []string{"rds.settings-refused"}, want: backup.ErrConflict, days: 1},
		"with other changes":   {ref: rds.Instance(account, region, "orders"), options: rds.AutomatedBackupOptions{RetentionDays: 7, ApplyNow: true, AndPending: true}, act: class, days: 7, sends: 1},
		"beside other changes": {ref: rds.Instance(account, region, "orders"), options: rds.AutomatedBackupOptions{RetentionDays: 7}, act: class, days: 7, sends: 1},
		"busy": {ref: rds.Instance(account, region, "orders"), options: rds.AutomatedBackupOptions{RetentionDays: 7}, act: func(b *bench) {
			b.db.SetStatus(b.world, account, region, "orders", "maintenance", time.Hour)
		}, found: []string{"rds.instance-state"}, findings: []string{"rds.instance-state"}, days: 7, sends: 1},
		"broken": {ref: rds.Instance(account, region, "orders"), options: rds.AutomatedBackupOptions{RetentionDays: 7}, act: func(b *bench) {
			b.db.SetStatus(b.world, account, region, "orders", "storage-full", 1000*time.Hour)
		}, found: []string{"rds.settings-refused"}, want: backup.ErrUnsupported, days: 1},
		"a shorter time": {ref: mainCluster, options: rds.AutomatedBackupOptions{RetentionDays: 1}, act: func(b *bench) {
			_, err := b.client.ModifyDBCluster(b.ctx, &awsrds.ModifyDBClusterInput{DBClusterIdentifier: aws.String("main"), BackupRetentionPeriod: aws.Int32(9)})
			b.must(err)
			time.Sleep(2 * time.Hour)
		}, found: []string{"rds.shorter-retention"}, findings: []string{"rds.shorter-retention"}, days: 1, sends: 1},
		"a member of a cluster": {ref: rds.Instance(account, region, "m-1"), options: rds.AutomatedBackupOptions{RetentionDays: 7}, act: func(b *bench) { b.member("m-1", "main") },
			found: []string{"rds.settings-refused"}, want: backup.ErrUnsupported, days: 1},
		"nothing": {ref: rds.Instance(account, region, "nothing"), options: rds.AutomatedBackupOptions{RetentionDays: 7}, found: []string{"rds.not-found"}, want: backup.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.makeCluster("main", "")
				b.create("off", func(in *awsrds.CreateDBInstanceInput) { in.BackupRetentionPeriod = aws.Int32(0) })
				if tt.act != nil {
					tt.act(b)
				}
				before := b.count("ModifyDBInstance") + b.count("ModifyDBCluster")
				s := b.strategy()
				op, err := s.StartSetAutomatedBackups(b.ctx, tt.ref, backup.Spec{Token: "t", Options: tt.options})
				b.must(err)
				found, err := s.Preflight(b.ctx, op)
				if diff := cmp.Diff(tt.found, ids(found)); err != nil || diff != "" {
					t.Errorf("%v %s", err, diff)
				}
				op = b.run(s, op, nil)
				ended(t, op, tt.want)
				if diff := cmp.Diff(tt.findings, ids(op.Findings)); diff != "" {
					t.Error(diff)
				}
				if n := b.count("ModifyDBInstance") + b.count("ModifyDBCluster") - before; n != tt.sends {
					t.Errorf("%d sends", n)
				}
				if name == "nothing" {
					return
				}
				if days, window := b.kept(tt.ref); days != tt.days || tt.window != "" && window != tt.window {
					t.Errorf("%d days, %s", days, window)
				}
			})
		})
	}
}

func TestSetRefused(t *testing.T) {
	s := rds.New(nil)
	instance := rds.Instance(account, region, "orders")
	for name, tt := range map[string]struct {
		ref  backup.Ref
		spec backup.Spec
	}{
		"none":             {instance, backup.Spec{}},
		"nothing":          {instance, backup.Spec{Options: rds.AutomatedBackupOptions{}}},
		"only now":         {instance, backup.Spec{Options: rds.AutomatedBackupOptions{ApplyNow: true}}},
		"36 days":          {instance, backup.Spec{Options: rds.AutomatedBackupOptions{RetentionDays: 36}}},
		"-1 days":          {instance, backup.Spec{Options: rds.AutomatedBackupOptions{RetentionDays: -1}}},
		"off and on":       {instance, backup.Spec{Options: rds.AutomatedBackupOptions{RetentionDays: 1, Off: true}}},
		"off and a window": {instance, backup.Spec{Options: rds.AutomatedBackupOptions{Window: "03:00-04:00", Off: true}}},
		"off, a cluster":   {mainCluster, backup.Spec{Options: rds.AutomatedBackupOptions{Off: true}}},
		"pending":          {instance, backup.Spec{Options: rds.AutomatedBackupOptions{RetentionDays: 1, AndPending: true}}},
		"short window":     {instance, backup.Spec{Options: rds.AutomatedBackupOptions{Window: "03:00-03:29"}}},
		"no window":        {instance, backup.Spec{Options: rds.AutomatedBackupOptions{Window: "03:00"}}},
		"odd window":       {instance, backup.Spec{Options: rds.AutomatedBackupOptions{Window: "3:00-04:00"}}},
		"late window":      {instance, backup.Spec{Options: rds.AutomatedBackupOptions{Window: "23:00-24:00"}}},
		"a pointer":        {instance, backup.Spec{Options: &rds.AutomatedBackupOptions{RetentionDays: 1}}},
		"others":           {instance, backup.Spec{Options: options()}},
		"a name":           {instance, backup.Spec{Name: "x", Options: rds.AutomatedBackupOptions{RetentionDays: 1}}},
		"tags":             {instance, backup.Spec{Tags: map[string]string{"a": "b"}, Options: rds.AutomatedBackupOptions{RetentionDays: 1}}},
		"a snapshot":       {rds.Snapshot(account, region, "x"), backup.Spec{Options: rds.AutomatedBackupOptions{RetentionDays: 1}}},
	} {
		tt.spec.Token = "t"
		if _, err := s.StartSetAutomatedBackups(t.Context(), tt.ref, tt.spec); !errors.Is(err, backup.ErrInvalid) || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The identifier is given to another instance while the change waits.
func TestSetReplaced(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		s := b.strategy()
		op, err := s.StartSetAutomatedBackups(b.ctx, b.orders, backup.Spec{Token: "t", Options: rds.AutomatedBackupOptions{RetentionDays: 7}})
		r, op := b.begun(s, op, err)
		op = b.until(r, op, stage("modify"))
		b.drop("orders")
		time.Sleep(time.Hour)
		b.create("orders")
		op = b.until(r, op, never)
		ended(t, op, backup.ErrConflict)
		if b.count("ModifyDBInstance") != 0 {
			t.Errorf("%d sends", b.count("ModifyDBInstance"))
		}
	})
	// RDS says that it is busy, although it did not look so.
	bubble(t, func(t *testing.T, b *bench) {
		b.world.Inject(awssim.Fault{Operation: "ModifyDBInstance", Kind: awssim.FaultError, Error: awssim.Error{Code: "InvalidDBInstanceState", Message: "m"}})
		s := b.strategy()
		op, err := s.StartSetAutomatedBackups(b.ctx, b.orders, backup.Spec{Token: "t", Options: rds.AutomatedBackupOptions{RetentionDays: 7}})
		ended(t, b.run(s, op, err), "")
		b.world.Inject(awssim.Fault{Operation: "ModifyDBInstance", Kind: awssim.FaultError, Error: awssim.Error{Code: "InvalidParameterCombination", Message: "overlap"}})
		op, err = s.StartSetAutomatedBackups(b.ctx, b.orders, backup.Spec{Token: "u", Options: rds.AutomatedBackupOptions{RetentionDays: 8}})
		ended(t, b.run(s, op, err), backup.ErrInvalid)
	})
}

func setFlow() sweep.Workflow {
	return sweep.Workflow{Name: "rds-automated-backups", Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		check := func(op backup.Operation) (bad []string) {
			if days, window := b.kept(b.orders); op.Phase == backup.PhaseSucceeded && (days != 7 || window != "04:00-05:00") {
				bad = append(bad, fmt.Sprintf("I3: success with %d days and %s", days, window))
			}
			return bad
		}
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*rds.Strategy).StartSetAutomatedBackups(ctx, b.orders, backup.Spec{Token: "tonight", Options: rds.AutomatedBackupOptions{RetentionDays: 7, Window: "04:00-05:00"}})
			},
			AtEnd: func(backup.Operation) []string { return nil },
			Quiet: check,
		}
	}}
}
