package emulator

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/rds"
)

func (w *world) rds(cfg aws.Config) strategy {
	return rds.NewFromConfig(cfg, func(o *rds.Options) { w.pace(&o.PollMin, &o.PollMax, &o.Settle, &o.Park) })
}

// database makes an instance without automated backups.
func (w *world) database(c *awsrds.Client, id string) {
	w.t.Helper()
	w.databaseWith(c, id, nil)
}

func (w *world) databaseWith(c *awsrds.Client, id string, edit func(in *awsrds.CreateDBInstanceInput)) {
	w.t.Helper()
	in := &awsrds.CreateDBInstanceInput{DBInstanceIdentifier: &id, DBInstanceClass: aws.String("db.t4g.medium"), Engine: aws.String("postgres"),
		AllocatedStorage: aws.Int32(20), MasterUsername: aws.String("tester"), MasterUserPassword: aws.String("not-a-secret"), BackupRetentionPeriod: aws.Int32(0),
		Tags: []rdstypes.Tag{{Key: aws.String("team"), Value: aws.String("orders")}}}
	if edit != nil {
		edit(in)
	}
	_, err := c.CreateDBInstance(w.ctx, in)
	w.must("CreateDBInstance", err)
	w.settle()
}

func TestDatabase(t *testing.T) {
	both(t, func(w *world) {
		c := awsrds.NewFromConfig(w.config())
		w.database(c, "orders")
		source := rds.Instance(w.account, region, "orders")
		w.life(kit{
			strategy: w.rds, source: source, missing: rds.Instance(w.account, region, "nobody"), discovered: []backup.Ref{source},
			service: "RDS", create: "CreateDBSnapshot", restore: "RestoreDBInstanceFromDBSnapshot",
			options:   rds.RestoreOptions{ID: "orders-drill", SubnetGroup: w.subnets, SecurityGroups: []string{w.firewall}, Class: "db.t4g.large"},
			preflight: []string{"rds.single-az"}, preflightRestore: []string{"rds.default-parameters"},
			count: func() int {
				out, err := c.DescribeDBSnapshots(w.ctx, &awsrds.DescribeDBSnapshotsInput{SnapshotType: aws.String("manual")})
				w.must("DescribeDBSnapshots", err)
				return len(out.DBSnapshots)
			},
			members: 1,
			point: func(p backup.RecoveryPoint) {
				if p.Engine != "postgres" || p.SizeBytes != 20<<30 || p.CreatedAt.IsZero() || p.ARN == "" {
					w.t.Errorf("the recovery point is %+v", p)
				}
			},
			restored: func(op backup.Operation) {
				out, err := c.DescribeDBInstances(w.ctx, &awsrds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String("orders-drill")})
				w.must("DescribeDBInstances", err)
				x := out.DBInstances[0]
				if len(op.Endpoints) != 1 || op.Endpoints[0].Host == "" || op.Endpoints[0].Host != aws.ToString(x.Endpoint.Address) || op.Endpoints[0].Port != 5432 {
					w.t.Errorf("endpoints %+v, the instance has %+v", op.Endpoints, x.Endpoint)
				}
				if aws.ToBool(x.PubliclyAccessible) || aws.ToString(x.DBInstanceClass) != "db.t4g.large" || aws.ToString(x.DBSubnetGroup.DBSubnetGroupName) != w.subnets {
					w.t.Errorf("the new instance is %v %v %v", aws.ToBool(x.PubliclyAccessible), aws.ToString(x.DBInstanceClass), aws.ToString(x.DBSubnetGroup.DBSubnetGroupName))
				}
				if len(x.VpcSecurityGroups) != 1 || aws.ToString(x.VpcSecurityGroups[0].VpcSecurityGroupId) != w.firewall {
					w.t.Errorf("the new instance has the security groups %+v", x.VpcSecurityGroups)
				}
			},
		})
	})
}

func TestDatabaseCluster(t *testing.T) {
	both(t, func(w *world) {
		c := awsrds.NewFromConfig(w.config())
		w.cluster(c, "main", nil)
		source := rds.Cluster(w.account, region, "main")
		w.life(kit{
			strategy: w.rds, source: source, missing: rds.Cluster(w.account, region, "nobody"), discovered: []backup.Ref{source},
			service: "RDS", create: "CreateDBClusterSnapshot", restore: "RestoreDBClusterFromSnapshot",
			options: rds.RestoreClusterOptions{ID: "main-drill", SubnetGroup: w.subnets, SecurityGroups: []string{w.firewall},
				Instances: []rds.ClusterInstance{{ID: "main-drill-1", Class: "db.r6g.large"}, {ID: "main-drill-2", Class: "db.r6g.large"}}},
			preflightRestore: []string{"rds.unencrypted", "rds.default-parameters"},
			count: func() int {
				out, err := c.DescribeDBClusterSnapshots(w.ctx, &awsrds.DescribeDBClusterSnapshotsInput{SnapshotType: aws.String("manual")})
				w.must("DescribeDBClusterSnapshots", err)
				return len(out.DBClusterSnapshots)
			},
			members: 1,
			point: func(p backup.RecoveryPoint) {
				if p.Engine != "aurora-postgresql" || p.CreatedAt.IsZero() || p.ARN == "" {
					w.t.Errorf("the recovery point is %+v", p)
				}
			},
			restored: func(op backup.Operation) {
				out, err := c.DescribeDBClusters(w.ctx, &awsrds.DescribeDBClustersInput{DBClusterIdentifier: aws.String("main-drill")})
				w.must("DescribeDBClusters", err)
				x := out.DBClusters[0]
				if len(op.Made) != 3 || len(x.DBClusterMembers) != 2 || aws.ToString(x.DBSubnetGroup) != w.subnets || len(op.Endpoints) == 0 || op.Endpoints[0].Host != aws.ToString(x.Endpoint) {
					w.t.Errorf("made %v with the endpoints %+v, the cluster is %+v", op.Made, op.Endpoints, x)
				}
			},
		})
	})
}
