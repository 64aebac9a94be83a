package rds_test

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
)

// makeCluster makes a cluster of an engine, Aurora PostgreSQL for empty, and waits for it.
func (b *bench) makeCluster(id, engine string, fs ...func(*awsrds.CreateDBClusterInput)) {
	b.t.Helper()
	in := &awsrds.CreateDBClusterInput{DBClusterIdentifier: &id, Engine: aws.String("aurora-postgresql"), StorageEncrypted: aws.Bool(true), Port: aws.Int32(6543),
		Tags: []rdstypes.Tag{{Key: aws.String("backup"), Value: aws.String("daily")}}}
	if engine != "" {
		in.Engine = &engine
	}
	if engine == "postgres" || engine == "mysql" {
		in.DBClusterInstanceClass, in.AllocatedStorage, in.Iops, in.StorageType = aws.String("db.m6gd.large"), aws.Int32(100), aws.Int32(1000), aws.String("io1")
	}
	for _, f := range fs {
		f(in)
	}
	_, err := b.client.CreateDBCluster(b.ctx, in)
	b.must(err)
	time.Sleep(2 * time.Hour)
}

// member makes an instance of an Aurora PostgreSQL cluster, which is made if there is none.
func (b *bench) member(id, cluster string) {
	b.t.Helper()
	if len(b.db.Clusters(b.world, account, region)) == 0 {
		b.makeCluster(cluster, "")
	}
	_, err := b.client.CreateDBInstance(b.ctx, &awsrds.CreateDBInstanceInput{DBInstanceIdentifier: &id, DBInstanceClass: aws.String("db.r6g.large"), Engine: aws.String("aurora-postgresql"),
		DBClusterIdentifier: &cluster})
	b.must(err)
	time.Sleep(time.Hour)
}
