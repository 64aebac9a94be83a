package rds_test

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/rds"
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

// clusterOptions are those of a restore of an Aurora cluster.
func clusterOptions() rds.RestoreClusterOptions {
	return rds.RestoreClusterOptions{ID: "Main-Copy", SubnetGroup: "private", SecurityGroups: []string{"sg-0b", "sg-0a"},
		Instances: []rds.ClusterInstance{{ID: "Main-Copy-1", Class: "db.r7g.large"}, {ID: "main-copy-2", Class: "db.r7g.large"}}}
}

// madeOfClusters names the clusters, their snapshots and their instances that an Operation made and that still exist.
func (b *bench) madeOfClusters(id string) (made []backup.Ref) {
	for _, c := range b.db.Clusters(b.world, account, region) {
		if c.Tags[backup.TagToken] == id {
			made = append(made, rds.Cluster(account, region, c.ID))
		}
	}
	for _, i := range b.db.Instances(b.world, account, region) {
		if i.Tags[backup.TagToken] == id {
			made = append(made, rds.Instance(account, region, i.ID))
		}
	}
	for _, s := range b.db.ClusterSnapshots(b.world, account, region) {
		if s.Tags[backup.TagToken] == id {
			made = append(made, rds.ClusterSnapshot(account, region, s.ID))
		}
	}
	return made
}

// clusterPoint makes the Aurora cluster "main" and a backup of it.
func (b *bench) clusterPoint(name string) backup.Ref {
	b.t.Helper()
	if len(b.db.Clusters(b.world, account, region)) == 0 {
		b.makeCluster("main", "")
	}
	s := b.strategy()
	op, err := s.Start(b.ctx, rds.Cluster(account, region, "main"), backup.Spec{Token: "before-" + name, Name: name})
	op = b.run(s, op, err)
	b.must(op.Err())
	time.Sleep(10 * time.Minute)
	return op.Points[0]
}
