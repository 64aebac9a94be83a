package rdssim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
)

func TestPointInTime(t *testing.T) {
	run(t, func(e env) {
		made := time.Now()
		e.make("orders", func(in *awsrds.CreateDBInstanceInput) { in.BackupRetentionPeriod = aws.Int32(2) })
		e.make("off", func(in *awsrds.CreateDBInstanceInput) { in.BackupRetentionPeriod = aws.Int32(0) })
		time.Sleep(72 * time.Hour)
		orders := e.instance("orders")
		type in = awsrds.RestoreDBInstanceToPointInTimeInput
		try := func(fs ...func(*in)) error {
			i := &in{TargetDBInstanceIdentifier: aws.String("copy"), SourceDBInstanceIdentifier: aws.String("orders"), UseLatestRestorableTime: aws.Bool(true)}
			for _, f := range fs {
				f(i)
			}
			_, err := e.c.RestoreDBInstanceToPointInTime(e.ctx, i)
			return err
		}
		at := func(x time.Time) func(*in) { return func(i *in) { i.UseLatestRestorableTime, i.RestoreTime = nil, &x } }
		resource := func(i *in) { i.SourceDBInstanceIdentifier, i.SourceDbiResourceId = nil, orders.DbiResourceId }
		e.want("two sources", try(func(i *in) { i.SourceDbiResourceId = orders.DbiResourceId }), "InvalidParameterCombination")
		e.want("two times", try(func(i *in) { i.RestoreTime = aws.Time(time.Now()) }), "InvalidParameterCombination")
		e.want("no time", try(func(i *in) { i.UseLatestRestorableTime = nil }), "InvalidParameterCombination")
		e.want("too early", try(at(made)), "InvalidParameterValue")
		e.want("too late", try(at(time.Now())), "InvalidParameterValue")
		e.want("taken", try(func(i *in) { i.TargetDBInstanceIdentifier = aws.String("orders") }), "DBInstanceAlreadyExists")
		e.want("nothing", try(func(i *in) { i.SourceDBInstanceIdentifier = aws.String("nothing") }), "DBInstanceNotFound")
		e.want("off", try(func(i *in) { i.SourceDBInstanceIdentifier = aws.String("off") }), "PointInTimeRestoreNotEnabled")
		e.want("subnets", try(func(i *in) { i.DBSubnetGroupName = aws.String("nothing") }), "DBSubnetGroupNotFoundFault")
		e.must(try(at(time.Now().Add(-time.Hour)), resource))
		time.Sleep(4 * time.Hour)
		if c := e.instance("copy"); *c.DBInstanceStatus != "available" || *c.BackupRetentionPeriod != 2 {
			t.Errorf("%+v", c)
		}
		_, err := e.c.DeleteDBInstance(e.ctx, &awsrds.DeleteDBInstanceInput{DBInstanceIdentifier: aws.String("orders"), SkipFinalSnapshot: aws.Bool(true), DeleteAutomatedBackups: aws.Bool(false)})
		e.must(err)
		time.Sleep(time.Hour)
		e.want("gone", try(), "DBInstanceNotFound")
		e.must(try(resource, func(i *in) { i.TargetDBInstanceIdentifier = aws.String("second") }))
		list, err := e.c.DescribeDBInstanceAutomatedBackups(e.ctx, &awsrds.DescribeDBInstanceAutomatedBackupsInput{DbiResourceId: orders.DbiResourceId})
		e.must(err)
		if b := list.DBInstanceAutomatedBackups; len(b) != 1 || *b[0].Status != "retained" {
			t.Errorf("%+v", b)
		}
		e.must(try(func(i *in) {
			i.SourceDBInstanceIdentifier, i.SourceDBInstanceAutomatedBackupsArn = nil, list.DBInstanceAutomatedBackups[0].DBInstanceAutomatedBackupsArn
			i.TargetDBInstanceIdentifier = aws.String("third")
		}))
		time.Sleep(72 * time.Hour)
		_, err = e.c.DescribeDBInstanceAutomatedBackups(e.ctx, &awsrds.DescribeDBInstanceAutomatedBackupsInput{DbiResourceId: orders.DbiResourceId})
		e.want("over", err, "DBInstanceAutomatedBackupNotFound")
	})
}

func TestPointInTimeCluster(t *testing.T) {
	run(t, func(e env) {
		main := e.cluster("main", "aurora-mysql")
		type in = awsrds.RestoreDBClusterToPointInTimeInput
		try := func(fs ...func(*in)) error {
			i := &in{DBClusterIdentifier: aws.String("copy"), SourceDBClusterIdentifier: aws.String("main"), UseLatestRestorableTime: aws.Bool(true)}
			for _, f := range fs {
				f(i)
			}
			_, err := e.c.RestoreDBClusterToPointInTime(e.ctx, i)
			return err
		}
		resource := func(i *in) { i.SourceDBClusterIdentifier, i.SourceDbClusterResourceId = nil, main.DbClusterResourceId }
		e.want("type", try(func(i *in) { i.RestoreType = aws.String("clone") }), "InvalidParameterValue")
		e.want("two sources", try(func(i *in) { i.SourceDbClusterResourceId = main.DbClusterResourceId }), "InvalidParameterCombination")
		e.want("nothing", try(func(i *in) { i.SourceDBClusterIdentifier = aws.String("nothing") }), "DBClusterNotFoundFault")
		e.want("taken", try(func(i *in) { i.DBClusterIdentifier = aws.String("main") }), "DBClusterAlreadyExistsFault")
		e.want("too late", try(func(i *in) { i.UseLatestRestorableTime, i.RestoreToTime = nil, aws.Time(time.Now().Add(time.Hour)) }), "InvalidParameterValue")
		e.must(try(resource, func(i *in) { i.RestoreType = aws.String("full-copy") }))
		_, err := e.c.DeleteDBCluster(e.ctx, &awsrds.DeleteDBClusterInput{DBClusterIdentifier: aws.String("main"), SkipFinalSnapshot: aws.Bool(true)})
		e.must(err)
		time.Sleep(time.Hour)
		e.want("gone", try(resource, func(i *in) { i.DBClusterIdentifier = aws.String("second") }), "DBClusterAutomatedBackupNotFoundFault")
		_, err = e.c.DescribeDBClusterAutomatedBackups(e.ctx, &awsrds.DescribeDBClusterAutomatedBackupsInput{DbClusterResourceId: main.DbClusterResourceId})
		e.want("gone", err, "DBClusterAutomatedBackupNotFoundFault")
		list, err := e.c.DescribeDBClusterAutomatedBackups(e.ctx, &awsrds.DescribeDBClusterAutomatedBackupsInput{})
		if err != nil || len(list.DBClusterAutomatedBackups) != 1 || *list.DBClusterAutomatedBackups[0].DBClusterIdentifier != "copy" {
			t.Errorf("%+v %v", list, err)
		}
	})
}
