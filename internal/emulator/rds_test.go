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
	_, err := c.CreateDBInstance(w.ctx, &awsrds.CreateDBInstanceInput{DBInstanceIdentifier: &id, DBInstanceClass: aws.String("db.t4g.medium"), Engine: aws.String("postgres"),
		AllocatedStorage: aws.Int32(20), MasterUsername: aws.String("tester"), MasterUserPassword: aws.String("not-a-secret"), BackupRetentionPeriod: aws.Int32(0),
		Tags: []rdstypes.Tag{{Key: aws.String("team"), Value: aws.String("orders")}}})
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
