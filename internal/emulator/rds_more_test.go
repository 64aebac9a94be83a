package emulator

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/rds"
)

// A database is deleted only after its final snapshot, from which it can be restored; the answer of the deletion is lost.
func TestDeleteDatabase(t *testing.T) {
	for name, x := range map[string]struct {
		make      func(w *world, c *awsrds.Client)
		source    func(w *world) backup.Ref
		operation string
		restore   func(w *world) backup.Options
	}{
		"instance": {
			func(w *world, c *awsrds.Client) { w.database(c, "orders") },
			func(w *world) backup.Ref { return rds.Instance(w.account, region, "orders") }, "DeleteDBInstance",
			func(w *world) backup.Options {
				return rds.RestoreOptions{ID: "again", SubnetGroup: w.subnets, SecurityGroups: []string{w.firewall}, Class: "db.t4g.medium"}
			}},
		"cluster": {
			func(w *world, c *awsrds.Client) { w.cluster(c, "main", nil) },
			func(w *world) backup.Ref { return rds.Cluster(w.account, region, "main") }, "DeleteDBCluster",
			func(w *world) backup.Options {
				return rds.RestoreClusterOptions{ID: "again", SubnetGroup: w.subnets, SecurityGroups: []string{w.firewall}, Instances: []rds.ClusterInstance{{ID: "again-1", Class: "db.r6g.large"}}}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(w *world) {
				x.make(w, awsrds.NewFromConfig(w.config()))
				k, dir, source := kit{strategy: w.rds, service: "RDS"}, w.t.TempDir(), x.source(w)
				start := func(s strategy) (backup.Operation, error) {
					return s.(*rds.Strategy).StartDeleteDatabase(w.ctx, source, backup.Spec{Token: "no longer", Tags: tags, Options: rds.DeleteDatabaseOptions{Confirm: source.ID}})
				}
				op := w.interrupted(k, dir, x.operation, start)
				p := w.process(k, dir)
				for r, err := range p.strategy.Discover(w.ctx, backup.Query{Account: w.account, Region: region}) {
					w.must("Discover", err)
					w.t.Errorf("%s is still there", r.Ref)
				}
				if point := w.only(p.strategy, backup.Query{Account: w.account, Region: region, Source: source}, "of what is deleted"); len(op.Points) != 1 || point.Ref != op.Points[0] ||
					point.Status != backup.StatusAvailable || point.Tags["team"] != "orders" {
					w.t.Errorf("the final snapshot is %+v, listed %v", point, op.Points)
				}
				again, err := p.strategy.StartRestore(w.ctx, op.Points[0], backup.Spec{Token: "after all", Options: x.restore(w)})
				w.must("StartRestore", err)
				if again, err = p.runner.Run(w.ctx, again); err != nil || len(again.Made) == 0 {
					w.t.Errorf("restored %v, %v", again.Made, err)
				}
			})
		})
	}
}

// A database with automated backups is restored to a time in their window, as a new one beside it.
func TestPointInTime(t *testing.T) {
	both(t, func(w *world) {
		c := awsrds.NewFromConfig(w.config())
		w.databaseWith(c, "orders", func(in *awsrds.CreateDBInstanceInput) { in.BackupRetentionPeriod = aws.Int32(7) })
		k, dir, source := kit{strategy: w.rds, service: "RDS"}, w.t.TempDir(), rds.Instance(w.account, region, "orders")
		all, err := w.rds(w.config()).(*rds.Strategy).AutomatedBackups(w.ctx, source)
		if w.differs("rds-automated") {
			if !errors.Is(err, backup.ErrInvalid) {
				w.t.Errorf("automated backups of nobody's: %+v, %v", all, err)
			}
		} else if err != nil || len(all) != 1 || all[0].Database != source || all[0].Status != "active" || all[0].Latest.IsZero() {
			w.t.Errorf("automated backups: %+v, %v", all, err)
		}
		start := func(s strategy) (backup.Operation, error) {
			return s.(*rds.Strategy).StartRestoreToTime(w.ctx, source, time.Time{}, backup.Spec{Token: "back", Options: rds.RestoreOptions{ID: "orders-before", SubnetGroup: w.subnets,
				SecurityGroups: []string{w.firewall}, Class: "db.t4g.medium"}})
		}
		if w.differs("rds-automated") {
			w.fails(k, dir, backup.ErrInvalid, start)
			if out, err := c.DescribeDBInstances(w.ctx, &awsrds.DescribeDBInstancesInput{}); err != nil || len(out.DBInstances) != 1 {
				w.t.Errorf("%d instances, %v", len(out.DBInstances), err)
			}
			return
		}
		op := w.interrupted(k, dir, "RestoreDBInstanceToPointInTime", start)
		if len(op.Made) != 1 || op.Made[0].ID != "orders-before" || len(op.Endpoints) != 1 {
			w.t.Errorf("made %v with the endpoints %+v", op.Made, op.Endpoints)
		}
	})
}
