package emulator

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
)

// freshDBSnapshot makes a snapshot of the database "orders", and gives it as it was answered.
func (w *world) freshDBSnapshot(c *awsrds.Client, name string) *rdstypes.DBSnapshot {
	w.t.Helper()
	out, err := c.CreateDBSnapshot(w.ctx, &awsrds.CreateDBSnapshotInput{DBInstanceIdentifier: aws.String("orders"), DBSnapshotIdentifier: &name})
	w.must("CreateDBSnapshot", err)
	w.settle()
	return out.DBSnapshot
}

func (w *world) orders() *awsrds.Client {
	c := awsrds.NewFromConfig(w.config())
	w.database(c, "orders")
	return c
}

func probeRDSStates(w *world) string {
	return aws.ToString(w.freshDBSnapshot(w.orders(), "one").Status) + " in the answer"
}

func probeRDSPercent(w *world) string {
	c := w.orders()
	w.freshDBSnapshot(c, "one")
	out, err := c.DescribeDBSnapshots(w.ctx, &awsrds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: aws.String("one")})
	w.must("DescribeDBSnapshots", err)
	return fmt.Sprintf("%d %%", aws.ToInt32(out.DBSnapshots[0].PercentProgress))
}

func probeRDSARN(w *world) string {
	c := w.orders()
	made := w.freshDBSnapshot(c, "one")
	_, err := c.DescribeDBSnapshots(w.ctx, &awsrds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: made.DBSnapshotArn})
	return w.code(err, "found")
}

func probeRDSPages(w *world) string {
	c := w.orders()
	for i := range 21 {
		w.freshDBSnapshot(c, fmt.Sprintf("s-%d", i))
	}
	out, err := c.DescribeDBSnapshots(w.ctx, &awsrds.DescribeDBSnapshotsInput{MaxRecords: aws.Int32(20), SnapshotType: aws.String("manual")})
	w.must("DescribeDBSnapshots", err)
	return pages(len(out.DBSnapshots), "marker", out.Marker)
}

func probeRDSRetention(w *world) string {
	out, err := w.orders().DescribeDBSnapshots(w.ctx, &awsrds.DescribeDBSnapshotsInput{SnapshotType: aws.String("automated")})
	w.must("DescribeDBSnapshots", err)
	return fmt.Sprintf("%d automated snapshots", len(out.DBSnapshots))
}

func probeRDSDelete(w *world) string {
	_, err := w.orders().DeleteDBInstance(w.ctx, &awsrds.DeleteDBInstanceInput{DBInstanceIdentifier: aws.String("orders")})
	return w.code(err, "accepted")
}

func probeRDSClusterID(w *world) string {
	cfg := w.config()
	if w.emulated {
		cfg.HTTPClient = nil // the transport of the tests would write it into the answer
	}
	c := awsrds.NewFromConfig(cfg)
	w.cluster(c, "main", nil)
	_, err := c.CreateDBClusterSnapshot(w.ctx, &awsrds.CreateDBClusterSnapshotInput{DBClusterIdentifier: aws.String("main"), DBClusterSnapshotIdentifier: aws.String("one")})
	w.must("CreateDBClusterSnapshot", err)
	w.settle()
	of, err := c.DescribeDBClusters(w.ctx, &awsrds.DescribeDBClustersInput{DBClusterIdentifier: aws.String("main")})
	w.must("DescribeDBClusters", err)
	out, err := c.DescribeDBClusterSnapshots(w.ctx, &awsrds.DescribeDBClusterSnapshotsInput{DBClusterSnapshotIdentifier: aws.String("one")})
	w.must("DescribeDBClusterSnapshots", err)
	switch got := aws.ToString(out.DBClusterSnapshots[0].DbClusterResourceId); got {
	case "":
		return "not told"
	case aws.ToString(of.DBClusters[0].DbClusterResourceId):
		return "that of the cluster"
	default:
		return got
	}
}

func probeRDSClusterFilter(w *world) string {
	cfg := w.config()
	if w.emulated {
		cfg.HTTPClient = nil // the transport of the tests would leave the filter out
	}
	c := awsrds.NewFromConfig(cfg)
	w.cluster(c, "main", nil)
	w.cluster(c, "other", nil)
	of, err := c.DescribeDBClusters(w.ctx, &awsrds.DescribeDBClustersInput{DBClusterIdentifier: aws.String("main")})
	w.must("DescribeDBClusters", err)
	out, err := c.DescribeDBClusters(w.ctx, &awsrds.DescribeDBClustersInput{
		Filters: []rdstypes.Filter{{Name: aws.String("db-cluster-resource-id"), Values: []string{aws.ToString(of.DBClusters[0].DbClusterResourceId)}}}})
	if err != nil {
		return w.code(err, "")
	}
	return fmt.Sprintf("%d of 2 clusters", len(out.DBClusters))
}

func probeRDSAutomated(w *world) string {
	c := awsrds.NewFromConfig(w.config())
	w.databaseWith(c, "orders", func(in *awsrds.CreateDBInstanceInput) { in.BackupRetentionPeriod = aws.Int32(7) })
	out, err := c.DescribeDBInstanceAutomatedBackups(w.ctx, &awsrds.DescribeDBInstanceAutomatedBackupsInput{DBInstanceIdentifier: aws.String("orders")})
	w.must("DescribeDBInstanceAutomatedBackups", err)
	for _, b := range out.DBInstanceAutomatedBackups {
		if b.DBInstanceArn == nil && b.DbiResourceId == nil && b.RestoreWindow == nil {
			return "no ARN, no resource id, no window"
		}
		if b.DBInstanceArn != nil && b.DbiResourceId != nil && b.RestoreWindow != nil {
			return "an ARN, a resource id, a window"
		}
	}
	return fmt.Sprintf("%+v", out.DBInstanceAutomatedBackups)
}

func probeRDSClusterAutomated(w *world) string {
	_, err := awsrds.NewFromConfig(w.config()).DescribeDBClusterAutomatedBackups(w.ctx, &awsrds.DescribeDBClusterAutomatedBackupsInput{})
	return w.known(err)
}
