package main

import (
	"cmp"
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/ebs"
)

// Where it all happens.
const (
	account = "111122223333"
	region  = "eu-west-1"
)

// The devices of the instance, and the groups that there are.
const (
	rootDevice    = "/dev/xvda"
	dataDevice    = "/dev/sdf"
	journalDevice = "/dev/sdg"
	freeDevice    = "/dev/sdh"

	sessions = "sessions" // one shard with a replica: what is to be rebuilt
	orders   = "orders"   // three shards: what is not rebuilt
)

// cloud is the simulated AWS with an instance and two cache groups in it.
type cloud struct {
	out    *report
	dir    string // of the Store
	world  *awssim.World
	ec2    *ec2sim.EC2
	caches *elasticachesim.ElastiCache
	host   *host

	instance backup.Ref
	// old are the volumes that the instance had in the beginning, by device.
	old map[string]string
	// set is the recovery point of the instance, and member that of the volume at dataDevice alone.
	set, member backup.Ref
	// less has AWS tell less of a cache group's snapshot than it has; nil for the truth.
	less func(*ectypes.Snapshot)
}

func newCloud(out *report, dir string) *cloud {
	c := &cloud{out: out, dir: dir, ec2: ec2sim.Service(), caches: elasticachesim.Service()}
	c.world = awssim.New(c.ec2, c.caches)
	c.world.SetSpeed(100_000) // an hour in 36 milliseconds
	c.host = newHost(out, c.world, c.ec2)
	return c
}

// config is what a program has from the SDK's package config.
func (c *cloud) config() aws.Config {
	cfg := c.world.Config(account, region)
	if c.less != nil {
		return untruthful(cfg, c.less)
	}
	return cfg
}

// attached gives the volumes at the instance by device, in truth.
func (c *cloud) attached() map[string]string {
	m := map[string]string{}
	for _, v := range c.ec2.Volumes(c.world, account, region) {
		if v.Instance == c.instance.ID {
			m[v.Device] = v.ID
		}
	}
	return m
}

// volumes prints every volume that there is, in truth.
func (c *cloud) volumes() {
	c.out.print("\n")
	for _, v := range c.ec2.Volumes(c.world, account, region) {
		c.out.print("  %s  %-9s  %-9s  %-21s %s\n", v.ID, v.State, cmp.Or(v.Device, "-"), cmp.Or(v.Snapshot, "the first"), c.host.on(v.ID))
	}
	c.out.print("\n")
}

// calls counts the calls of an operation that took effect.
func (c *cloud) calls(operation string) (n int) {
	for _, x := range c.world.Calls() {
		if x.Operation == operation && x.Applied {
			n++
		}
	}
	return n
}

// begin makes the instance with what is on its disks, and the groups.
func (c *cloud) begin(ctx context.Context) error {
	c.out.print("Restores on a simulated AWS: account %s, Region %s.\n", account, region)
	c.out.heading("1. What there is")
	disk := func(device string) ec2types.BlockDeviceMapping {
		return ec2types.BlockDeviceMapping{DeviceName: &device, Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(8)}}
	}
	api := awsec2.NewFromConfig(c.config())
	made, err := api.RunInstances(ctx, &awsec2.RunInstancesInput{ImageId: aws.String("ami-0123456789abcdef0"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		InstanceType: ec2types.InstanceTypeT3Micro, BlockDeviceMappings: []ec2types.BlockDeviceMapping{disk(rootDevice), disk(dataDevice), disk(journalDevice)}})
	if err != nil {
		return err
	}
	c.instance = ebs.Instance(account, region, *made.Instances[0].InstanceId)
	running := awsec2.NewInstanceRunningWaiter(api, func(o *awsec2.InstanceRunningWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Millisecond, 10*time.Millisecond
	})
	if err := running.Wait(ctx, &awsec2.DescribeInstancesInput{InstanceIds: []string{c.instance.ID}}, time.Minute); err != nil {
		return err
	}
	c.old = c.attached()
	c.host.write(c.old[rootDevice], files{"system": "as installed"})
	c.host.write(c.old[dataDevice], files{"customers": "311 rows", "orders": "1204 rows"})
	c.host.write(c.old[journalDevice], files{"journal": "to entry 9000"})
	for _, v := range c.old {
		c.host.mounted[v] = true
	}
	c.out.line("instance", "%s, running, with three volumes:", c.instance.ID)
	c.volumes()
	return c.makeGroups(ctx)
}

func (c *cloud) makeGroups(ctx context.Context) error {
	api := awselasticache.NewFromConfig(c.config())
	available := awselasticache.NewReplicationGroupAvailableWaiter(api, func(o *awselasticache.ReplicationGroupAvailableWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Millisecond, 10*time.Millisecond
	})
	for _, in := range []*awselasticache.CreateReplicationGroupInput{
		{ReplicationGroupId: aws.String(sessions), ReplicationGroupDescription: aws.String("one shard with a replica, disks not encrypted"),
			CacheNodeType: aws.String("cache.t4g.small"), NumCacheClusters: aws.Int32(2), AtRestEncryptionEnabled: aws.Bool(false),
			Tags: []ectypes.Tag{{Key: aws.String("team"), Value: aws.String("web")}}},
		{ReplicationGroupId: aws.String(orders), ReplicationGroupDescription: aws.String("three shards"),
			CacheNodeType: aws.String("cache.r7g.large"), ClusterMode: ectypes.ClusterModeEnabled, NumNodeGroups: aws.Int32(3), ReplicasPerNodeGroup: aws.Int32(1),
			AutomaticFailoverEnabled: aws.Bool(true)},
	} {
		in.Engine, in.SecurityGroupIds = aws.String("valkey"), []string{"sg-0123456789abcdef0"}
		if _, err := api.CreateReplicationGroup(ctx, in); err != nil {
			return err
		}
		if err := available.Wait(ctx, &awselasticache.DescribeReplicationGroupsInput{ReplicationGroupId: in.ReplicationGroupId}, time.Minute); err != nil {
			return err
		}
		c.out.line(*in.ReplicationGroupId, "a cache group of %s: %s", *in.CacheNodeType, *in.ReplicationGroupDescription)
	}
	return nil
}
