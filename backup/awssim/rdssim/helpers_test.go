package rdssim_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
)

const (
	home   = "111122223333"
	other  = "444455556666"
	region = "eu-west-1"
)

type env struct {
	*testing.T
	ctx context.Context
	w   *awssim.World
	db  *rdssim.RDS
	c   *awsrds.Client
}

// run gives f a World of its own in a bubble of its own.
func run(t *testing.T, f func(e env)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db := rdssim.Service()
		w := awssim.New(db, kmssim.Service())
		f(env{t, t.Context(), w, db, awsrds.NewFromConfig(w.Config(home, region))})
	})
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func (e env) want(what string, err error, want string) {
	e.Helper()
	if got := code(err); got != want {
		e.Errorf("%s: error %q, want %q (%v)", what, got, want, err)
	}
}

func (e env) must(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// make makes an instance and waits for it.
func (e env) make(id string, fs ...func(*awsrds.CreateDBInstanceInput)) rdstypes.DBInstance {
	e.Helper()
	in := &awsrds.CreateDBInstanceInput{DBInstanceIdentifier: &id, DBInstanceClass: aws.String("db.t4g.medium"), Engine: aws.String("postgres"),
		AllocatedStorage: aws.Int32(100), MasterUsername: aws.String("root"), MasterUserPassword: aws.String("simulated")}
	for _, f := range fs {
		f(in)
	}
	_, err := e.c.CreateDBInstance(e.ctx, in)
	e.must(err)
	time.Sleep(2 * time.Hour)
	return e.instance(id)
}

func (e env) instance(id string) rdstypes.DBInstance {
	e.Helper()
	out, err := e.c.DescribeDBInstances(e.ctx, &awsrds.DescribeDBInstancesInput{DBInstanceIdentifier: &id})
	e.must(err)
	return out.DBInstances[0]
}

func (e env) snap(instance, id string, tags ...string) error {
	in := &awsrds.CreateDBSnapshotInput{DBInstanceIdentifier: &instance, DBSnapshotIdentifier: &id}
	for k := 0; k+1 < len(tags); k += 2 {
		in.Tags = append(in.Tags, rdstypes.Tag{Key: &tags[k], Value: &tags[k+1]})
	}
	_, err := e.c.CreateDBSnapshot(e.ctx, in)
	return err
}

func (e env) snapshot(id string) (rdstypes.DBSnapshot, error) {
	out, err := e.c.DescribeDBSnapshots(e.ctx, &awsrds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: &id})
	if err != nil {
		return rdstypes.DBSnapshot{}, err
	}
	return out.DBSnapshots[0], nil
}

func (e env) status(id string) string {
	s, err := e.snapshot(id)
	if err != nil {
		return code(err)
	}
	return *s.Status
}

func (e env) once(o *awsrds.Options) { o.RetryMaxAttempts = 1 }

// cluster makes a cluster of an engine and waits for it.
func (e env) cluster(id, engine string, fs ...func(*awsrds.CreateDBClusterInput)) rdstypes.DBCluster {
	e.Helper()
	in := &awsrds.CreateDBClusterInput{DBClusterIdentifier: &id, Engine: &engine, MasterUsername: aws.String("root"), MasterUserPassword: aws.String("simulated")}
	if engine == "postgres" || engine == "mysql" {
		in.DBClusterInstanceClass, in.AllocatedStorage, in.Iops, in.StorageType = aws.String("db.m6gd.large"), aws.Int32(100), aws.Int32(1000), aws.String("io1")
	}
	for _, f := range fs {
		f(in)
	}
	_, err := e.c.CreateDBCluster(e.ctx, in)
	e.must(err)
	time.Sleep(2 * time.Hour)
	return e.clusterNow(id)
}

func (e env) clusterNow(id string) rdstypes.DBCluster {
	e.Helper()
	out, err := e.c.DescribeDBClusters(e.ctx, &awsrds.DescribeDBClustersInput{DBClusterIdentifier: &id})
	e.must(err)
	return out.DBClusters[0]
}

// of makes what make makes a member of an Aurora PostgreSQL cluster.
func of(cluster string) func(*awsrds.CreateDBInstanceInput) {
	return func(in *awsrds.CreateDBInstanceInput) {
		in.DBClusterIdentifier, in.Engine, in.AllocatedStorage = &cluster, aws.String("aurora-postgresql"), nil
	}
}

func (e env) snapCluster(cluster, id string, tags ...string) error {
	in := &awsrds.CreateDBClusterSnapshotInput{DBClusterIdentifier: &cluster, DBClusterSnapshotIdentifier: &id}
	for k := 0; k+1 < len(tags); k += 2 {
		in.Tags = append(in.Tags, rdstypes.Tag{Key: &tags[k], Value: &tags[k+1]})
	}
	_, err := e.c.CreateDBClusterSnapshot(e.ctx, in)
	return err
}

func (e env) clusterSnapshot(id string) (rdstypes.DBClusterSnapshot, error) {
	out, err := e.c.DescribeDBClusterSnapshots(e.ctx, &awsrds.DescribeDBClusterSnapshotsInput{DBClusterSnapshotIdentifier: &id})
	if err != nil {
		return rdstypes.DBClusterSnapshot{}, err
	}
	return out.DBClusterSnapshots[0], nil
}

// must1 gives a snapshot that must be there.
func (e env) must1(p rdstypes.DBSnapshot, err error) rdstypes.DBSnapshot {
	e.Helper()
	e.must(err)
	return p
}
