package emulator

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/rds"
)

// A backup is for the day on which its source is gone: its recovery points must be found by the source's Ref still, and restored.
func TestSourceGone(t *testing.T) {
	for name, prepare := range map[string]func(w *world) (k kit, remove func()){
		"set": func(w *world) (kit, func()) {
			c := awsec2.NewFromConfig(w.config())
			instance, _ := w.server(c)
			return kit{strategy: w.ebs, source: instance, options: ebs.RestoreOptions{Zone: region + "b"}}, func() {
				_, err := c.TerminateInstances(w.ctx, &awsec2.TerminateInstancesInput{InstanceIds: []string{instance.ID}})
				w.must("TerminateInstances", err)
			}
		},
		"database": func(w *world) (kit, func()) {
			c := w.orders()
			return kit{strategy: w.rds, source: rds.Instance(w.account, region, "orders"),
					options: rds.RestoreOptions{ID: "again", SubnetGroup: w.subnets, SecurityGroups: []string{w.firewall}, Class: "db.t4g.medium"}}, func() {
					_, err := c.DeleteDBInstance(w.ctx, &awsrds.DeleteDBInstanceInput{DBInstanceIdentifier: aws.String("orders"), SkipFinalSnapshot: aws.Bool(true)})
					w.must("DeleteDBInstance", err)
				}
		},
		"group": func(w *world) (kit, func()) {
			c := w.carts(nil)
			return kit{strategy: w.elasticache, source: elasticache.ReplicationGroup(w.account, region, "carts"),
					options: elasticache.RestoreOptions{ID: "again", SecurityGroups: []string{w.firewall}}}, func() {
					_, err := c.DeleteReplicationGroup(w.ctx, &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String("carts")})
					w.must("DeleteReplicationGroup", err)
				}
		},
		"cluster": func(w *world) (kit, func()) {
			c := w.sessions("redis")
			return kit{strategy: w.elasticache, source: elasticache.Cluster(w.account, region, "sessions"), endless: w.differs("elasticache-nodes"),
					options: elasticache.RestoreOptions{ID: "again", SecurityGroups: []string{w.firewall}}}, func() {
					_, err := c.DeleteCacheCluster(w.ctx, &awselasticache.DeleteCacheClusterInput{CacheClusterId: aws.String("sessions")})
					w.must("DeleteCacheCluster", err)
				}
		},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(w *world) {
				k, remove := prepare(w)
				p := w.process(k, w.t.TempDir())
				op, err := p.strategy.Start(w.ctx, k.source, backup.Spec{Token: "the last"})
				w.must("Start", err)
				op, err = p.runner.Run(w.ctx, op)
				w.must("backup", err)
				remove()
				w.settle()
				point := w.only(p.strategy, backup.Query{Account: w.account, Region: region, Source: k.source}, "of what is gone")
				if point.Ref != op.Points[0] || point.Status != backup.StatusAvailable {
					w.t.Errorf("listed %+v, wanted %v", point, op.Points[0])
				}
				if k.endless {
					return
				}
				op, err = p.strategy.StartRestore(w.ctx, point.Ref, backup.Spec{Token: "disaster", Options: k.options})
				w.must("StartRestore", err)
				if op, err = p.runner.Run(w.ctx, op); err != nil || len(op.Made) == 0 {
					w.t.Errorf("restored: %v, %v", op.Made, err)
				}
			})
		})
	}
}
