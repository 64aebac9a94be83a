package rds_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
	"github.com/snapwarden/snapwarden/backup/awssim/stssim"
	"github.com/snapwarden/snapwarden/rds"
)

const (
	account = "111122223333"
	foreign = "444455556666"
	region  = "eu-west-1"
)

// bench is a world with one instance.
type bench struct {
	t      testing.TB
	ctx    context.Context
	world  *awssim.World
	db     *rdssim.RDS
	client *awsrds.Client
	orders backup.Ref
	key    string
	// alter changes the answers of the clients of altered, or has the call fail; blind counts down what it hides.
	alter func(in, out any) error
	blind int
}

type instanceInfo = rdssim.Instance

func newBench(t testing.TB, ctx context.Context) *bench {
	t.Helper()
	b := &bench{t: t, ctx: ctx, db: rdssim.Service()}
	b.world = awssim.New(b.db, kmssim.Service(), stssim.Service())
	b.client = awsrds.NewFromConfig(b.world.Config(account, region))
	b.orders = b.create("orders")
	_, err := b.client.CreateDBSubnetGroup(ctx, &awsrds.CreateDBSubnetGroupInput{DBSubnetGroupName: aws.String("private"), DBSubnetGroupDescription: aws.String("d"),
		SubnetIds: []string{"subnet-1", "subnet-2"}})
	b.must(err)
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) create(id string, fs ...func(*awsrds.CreateDBInstanceInput)) backup.Ref {
	b.t.Helper()
	in := &awsrds.CreateDBInstanceInput{DBInstanceIdentifier: &id, DBInstanceClass: aws.String("db.t4g.medium"), Engine: aws.String("postgres"), Port: aws.Int32(6543),
		AllocatedStorage: aws.Int32(100), StorageEncrypted: aws.Bool(true), Tags: []rdstypes.Tag{{Key: aws.String("backup"), Value: aws.String("daily")}}}
	for _, f := range fs {
		f(in)
	}
	_, err := b.client.CreateDBInstance(b.ctx, in)
	b.must(err)
	time.Sleep(time.Hour)
	return rds.Instance(account, region, id)
}

func (b *bench) strategy(fs ...func(*rds.Options)) *rds.Strategy {
	return rds.NewFromConfig(b.world.Config(account, region), fs...)
}

// stored makes a Runner with a Store.
func (b *bench) stored(s backup.Strategy) *backup.Runner {
	b.t.Helper()
	r, err := backup.NewRunner([]backup.Strategy{s}, func(o *backup.RunnerOptions) { o.Store = newStore() })
	b.must(err)
	return r
}

// run carries an Operation to its end, without a Store.
func (b *bench) run(s backup.Strategy, op backup.Operation, err error) backup.Operation {
	b.t.Helper()
	b.must(err)
	r, err := backup.NewRunner([]backup.Strategy{s})
	b.must(err)
	op, _ = r.Run(b.ctx, op)
	if !op.Done() {
		b.t.Fatalf("not ended: %+v", op)
	}
	return op
}

// backedUp makes a backup without any fault, for what needs one.
func (b *bench) backedUp(name string) backup.Ref {
	b.t.Helper()
	s := b.strategy()
	op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "before-" + name, Name: name})
	op = b.run(s, op, err)
	b.must(op.Err())
	time.Sleep(10 * time.Minute)
	return op.Points[0]
}

func (b *bench) snap(instance, id string, tags map[string]string) error {
	in := &awsrds.CreateDBSnapshotInput{DBInstanceIdentifier: &instance, DBSnapshotIdentifier: &id}
	for k, v := range tags {
		in.Tags = append(in.Tags, rdstypes.Tag{Key: &k, Value: &v})
	}
	_, err := b.client.CreateDBSnapshot(b.ctx, in)
	return err
}

// proof are the tags that a snapshot of "orders" made for an owner has.
func (b *bench) proof(owner string) map[string]string {
	return map[string]string{backup.TagOwner: owner, backup.TagToken: "op-other", backup.TagSource: b.orders.String()}
}

func (b *bench) remove(id string) {
	b.t.Helper()
	_, err := b.client.DeleteDBSnapshot(b.ctx, &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: &id})
	b.must(err)
}

// made gives the snapshots and instances that the Operation made and that still exist.
func (b *bench) made(op backup.Operation) (snapshots []rdssim.Snapshot, instances []rdssim.Instance) {
	for _, s := range b.db.Snapshots(b.world, account, region) {
		if s.Tags[backup.TagToken] == op.ID {
			snapshots = append(snapshots, s)
		}
	}
	for _, i := range b.db.Instances(b.world, account, region) {
		if i.Tags[backup.TagToken] == op.ID {
			instances = append(instances, i)
		}
	}
	return snapshots, instances
}

// count tells how often an operation reached AWS.
func (b *bench) count(operation string) (n int) {
	for _, c := range b.world.Calls() {
		if c.Operation == operation {
			n++
		}
	}
	return n
}

func options() rds.RestoreOptions {
	return rds.RestoreOptions{ID: "Orders-Copy", SubnetGroup: "private", SecurityGroups: []string{"sg-0b", "sg-0a"}}
}

func isAvailable(s rdssim.Snapshot) bool { return s.Status == "available" }
