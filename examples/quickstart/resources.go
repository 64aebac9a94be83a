package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
)

// What follows makes something to back up, with the SDK's own clients, on a simulated or emulated AWS. It is never used on AWS itself. Each
// function may be called again with the same prefix, and then finds what it made.

// makeLimit is how long making the resources may take.
const makeLimit = time.Minute

// makeResources makes an instance with three volumes, a database, and a cache of three shards, and waits until they are ready.
func makeResources(ctx context.Context, cfg aws.Config, prefix, image string, poll time.Duration) (resources, error) {
	what := resources{Database: prefix + "-orders", Cache: prefix + "-sessions"}
	var err error
	if what.Instance, err = makeInstance(ctx, awsec2.NewFromConfig(cfg), prefix+"-server", image, poll); err != nil {
		return what, err
	}
	if err := makeDatabase(ctx, awsrds.NewFromConfig(cfg), what.Database, poll); err != nil {
		return what, err
	}
	return what, makeCache(ctx, awselasticache.NewFromConfig(cfg), what.Cache, poll)
}

// rootDevice is where the instances' root volumes are.
const rootDevice = "/dev/xvda"

func makeInstance(ctx context.Context, c *awsec2.Client, name, image string, poll time.Duration) (string, error) {
	tags := []ec2types.Tag{{Key: aws.String("Name"), Value: &name}}
	there, err := c.DescribeInstances(ctx, &awsec2.DescribeInstancesInput{Filters: []ec2types.Filter{{Name: aws.String("tag:Name"), Values: []string{name}}}})
	if err != nil {
		return "", fmt.Errorf("looking for the instance: %w", err)
	}
	var id string
	for _, r := range there.Reservations {
		for _, i := range r.Instances {
			id = aws.ToString(i.InstanceId)
		}
	}
	if id == "" {
		disk := func(device string, gib int32) ec2types.BlockDeviceMapping {
			return ec2types.BlockDeviceMapping{DeviceName: &device, Ebs: &ec2types.EbsBlockDevice{VolumeSize: &gib, VolumeType: ec2types.VolumeTypeGp3}}
		}
		out, err := c.RunInstances(ctx, &awsec2.RunInstancesInput{
			ImageId: &image, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), InstanceType: ec2types.InstanceTypeT3Micro, ClientToken: &name,
			BlockDeviceMappings: []ec2types.BlockDeviceMapping{disk(rootDevice, 8), disk("/dev/sdf", 20), disk("/dev/sdg", 20)},
			TagSpecifications:   []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeInstance, Tags: tags}},
		})
		if err != nil {
			return "", fmt.Errorf("making the instance: %w", err)
		}
		id = aws.ToString(out.Instances[0].InstanceId)
	}
	err = awsec2.NewInstanceRunningWaiter(c, func(o *awsec2.InstanceRunningWaiterOptions) { o.MinDelay, o.MaxDelay = poll, poll }).
		Wait(ctx, &awsec2.DescribeInstancesInput{InstanceIds: []string{id}}, makeLimit)
	if err != nil {
		return "", fmt.Errorf("waiting for the instance: %w", err)
	}
	return id, nil
}

func makeDatabase(ctx context.Context, c *awsrds.Client, id string, poll time.Duration) error {
	_, err := c.CreateDBInstance(ctx, &awsrds.CreateDBInstanceInput{
		DBInstanceIdentifier: &id, DBInstanceClass: aws.String("db.t4g.medium"), Engine: aws.String("postgres"), AllocatedStorage: aws.Int32(20),
		MasterUsername: aws.String("quickstart"), MasterUserPassword: aws.String("not-a-secret"),
	})
	var exists *rdstypes.DBInstanceAlreadyExistsFault
	if err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("making the database: %w", err)
	}
	err = awsrds.NewDBInstanceAvailableWaiter(c, func(o *awsrds.DBInstanceAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = poll, poll }).
		Wait(ctx, &awsrds.DescribeDBInstancesInput{DBInstanceIdentifier: &id}, makeLimit)
	if err != nil {
		return fmt.Errorf("waiting for the database: %w", err)
	}
	return nil
}

func makeCache(ctx context.Context, c *awselasticache.Client, id string, poll time.Duration) error {
	_, err := c.CreateReplicationGroup(ctx, &awselasticache.CreateReplicationGroupInput{
		ReplicationGroupId: &id, ReplicationGroupDescription: aws.String("quickstart"), Engine: aws.String("valkey"), CacheNodeType: aws.String("cache.t4g.small"),
		NumNodeGroups: aws.Int32(3), ReplicasPerNodeGroup: aws.Int32(1), AutomaticFailoverEnabled: aws.Bool(true), TransitEncryptionEnabled: aws.Bool(true),
	})
	var exists *ectypes.ReplicationGroupAlreadyExistsFault
	if err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("making the cache: %w", err)
	}
	err = awselasticache.NewReplicationGroupAvailableWaiter(c, func(o *awselasticache.ReplicationGroupAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = poll, poll }).
		Wait(ctx, &awselasticache.DescribeReplicationGroupsInput{ReplicationGroupId: &id}, makeLimit)
	if err != nil {
		return fmt.Errorf("waiting for the cache: %w", err)
	}
	return nil
}

// makeSubnetGroup makes a DB subnet group of all subnets of the emulator's default VPC.
func makeSubnetGroup(ctx context.Context, cfg aws.Config, ec2 *awsec2.Client, name string) (string, error) {
	subnets, err := ec2.DescribeSubnets(ctx, &awsec2.DescribeSubnetsInput{Filters: []ec2types.Filter{{Name: aws.String("default-for-az"), Values: []string{"true"}}}})
	if err != nil {
		return "", fmt.Errorf("looking for subnets: %w", err)
	}
	in := &awsrds.CreateDBSubnetGroupInput{DBSubnetGroupName: &name, DBSubnetGroupDescription: aws.String("quickstart")}
	for _, s := range subnets.Subnets {
		in.SubnetIds = append(in.SubnetIds, aws.ToString(s.SubnetId))
	}
	_, err = awsrds.NewFromConfig(cfg).CreateDBSubnetGroup(ctx, in)
	var exists *rdstypes.DBSubnetGroupAlreadyExistsFault
	if err != nil && !errors.As(err, &exists) {
		return "", fmt.Errorf("making the DB subnet group: %w", err)
	}
	return name, nil
}
