package main

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// Where it all happens.
const (
	account  = "111122223333"
	stranger = "444455556666" // somebody else's account
	region   = "eu-west-1"
	far      = "eu-central-1"
)

// cloud is the simulated AWS, and what works on it.
type cloud struct {
	world *awssim.World
	iam   *iamsim.IAM
	// admin is a caller who may do everything in the account.
	admin *caller
}

// caller is whoever asks: the library's strategies with somebody's credentials, in all Regions.
type caller struct {
	config  func(region string) aws.Config
	exports *elasticacheexport.Strategy
	caches  *elasticache.Strategy
	runner  *backup.Runner
}

func newCloud() *cloud {
	c := &cloud{iam: iamsim.Service()}
	c.world = awssim.New(elasticachesim.Service(), s3sim.Service(), c.iam)
	c.world.SetSpeed(100_000) // an hour in 36 milliseconds
	c.admin = newCaller(func(region string) aws.Config { return c.world.Config(account, region) })
	return c
}

// newCaller makes the strategies. In production config is what gives the credentials of a role for a Region, and there are no settings: those
// below are for an AWS that is 100,000 times as fast.
func newCaller(config func(region string) aws.Config) *caller {
	const soon, settle = time.Millisecond, 5 * time.Second
	k := &caller{config: config}
	k.exports = elasticacheexport.New(func(_ context.Context, _, region string) (elasticacheexport.Clients, error) {
		cfg := config(region)
		return elasticacheexport.Clients{ElastiCache: awselasticache.NewFromConfig(cfg), S3: awss3.NewFromConfig(cfg)}, nil
	}, func(s *elasticacheexport.Settings) { s.PollMin, s.PollMax, s.Park, s.Settle = soon, soon, soon, settle })
	k.caches = elasticache.New(func(_ context.Context, _, region string) (*awselasticache.Client, error) {
		return awselasticache.NewFromConfig(config(region)), nil
	}, func(o *elasticache.Options) { o.PollMin, o.PollMax, o.Park, o.Settle = soon, soon, soon, settle })
	var err error
	if k.runner, err = backup.NewRunner([]backup.Strategy{k.exports, k.caches}); err != nil {
		panic(err) // two strategies of one kind would be a mistake in this program
	}
	return k
}

// s3 is for what this program does by hand: above all what is wrong.
func (k *caller) s3(region string) *awss3.Client { return awss3.NewFromConfig(k.config(region)) }

// run carries an Operation to its end. How the work went is in the Operation; the error is for work that has no end.
func (k *caller) run(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	op, err := k.runner.Run(ctx, op)
	if err != nil && !op.Done() {
		return op, err
	}
	return op, nil
}

// finish is run for work that must succeed.
func (k *caller) finish(ctx context.Context, op backup.Operation, err error) (backup.Operation, error) {
	if err != nil {
		return op, err
	}
	if op, err = k.run(ctx, op); err != nil {
		return op, err
	}
	return op, op.Err()
}

// The groups that there are, and the snapshots that begin makes of them.
const (
	orders, ordersSnapshot     = "orders", "orders-nightly"     // three shards: what is to be exported
	sessions, sessionsSnapshot = "sessions", "sessions-nightly" // one shard
	ledger, ledgerSnapshot     = "ledger", "ledger-nightly"     // under a customer managed key
	archive, archiveSnapshot   = "archive", "archive-nightly"   // with data tiering
	customerKey                = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
)

// begin makes the groups, and backs each of them up.
func (c *cloud) begin(ctx context.Context, out *report) error {
	out.print("ElastiCache exports to S3, on a simulated AWS: account %s, Region %s.\n", account, region)
	out.heading("1. What there is")
	for _, g := range []struct {
		in       awselasticache.CreateReplicationGroupInput
		snapshot string
	}{
		{awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String(orders), ReplicationGroupDescription: aws.String("three shards"),
			CacheNodeType: aws.String("cache.r7g.large"), NumNodeGroups: aws.Int32(3), ReplicasPerNodeGroup: aws.Int32(1),
			AutomaticFailoverEnabled: aws.Bool(true), CacheParameterGroupName: aws.String("default.redis7.cluster.on")}, ordersSnapshot},
		{awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String(sessions), ReplicationGroupDescription: aws.String("one shard"),
			CacheNodeType: aws.String("cache.t4g.small"), NumCacheClusters: aws.Int32(1)}, sessionsSnapshot},
		{awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String(ledger), ReplicationGroupDescription: aws.String("under a customer managed key"),
			CacheNodeType: aws.String("cache.r7g.large"), NumCacheClusters: aws.Int32(1), AtRestEncryptionEnabled: aws.Bool(true),
			KmsKeyId: aws.String(customerKey)}, ledgerSnapshot},
		{awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String(archive), ReplicationGroupDescription: aws.String("with data tiering"),
			CacheNodeType: aws.String("cache.r6gd.xlarge"), NumCacheClusters: aws.Int32(1), DataTieringEnabled: aws.Bool(true)}, archiveSnapshot},
	} {
		g.in.Engine = aws.String("redis")
		api := awselasticache.NewFromConfig(c.admin.config(region))
		if _, err := api.CreateReplicationGroup(ctx, &g.in); err != nil {
			return err
		}
		// A group that is still being made is waited for by the backup itself.
		op, err := c.admin.caches.Start(ctx, elasticache.ReplicationGroup(account, region, *g.in.ReplicationGroupId),
			backup.Spec{Token: g.snapshot, Name: g.snapshot})
		if _, err = c.admin.finish(ctx, op, err); err != nil {
			return fmt.Errorf("backing up %s: %w", *g.in.ReplicationGroupId, err)
		}
		out.line(*g.in.ReplicationGroupId, "%s; its snapshot is %s", *g.in.ReplicationGroupDescription, g.snapshot)
	}
	return nil
}
