package ebs

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
)

// usingImages gives the images of the account that are made of each of the snapshots: registered ones, deprecated and disabled ones included.
func usingImages(ctx context.Context, c *awsec2.Client, r backup.Ref, ids []string) (map[string][]ec2types.Image, error) {
	users := map[string][]ec2types.Image{}
	for part := range slices.Chunk(ids, maxFilterValues) {
		in := &awsec2.DescribeImagesInput{Owners: []string{"self"}, IncludeDisabled: aws.Bool(true), IncludeDeprecated: aws.Bool(true), MaxResults: aws.Int32(pageSize),
			Filters: []ec2types.Filter{filter("block-device-mapping.snapshot-id", part...)}}
		for {
			out, err := c.DescribeImages(ctx, in)
			if err != nil {
				return nil, table.Wrap(Kind, "DescribeImages", r, err)
			}
			for _, m := range out.Images {
				for _, b := range m.BlockDeviceMappings {
					if b.Ebs != nil && b.Ebs.SnapshotId != nil {
						users[*b.Ebs.SnapshotId] = append(users[*b.Ebs.SnapshotId], m)
					}
				}
			}
			if aws.ToString(out.NextToken) == "" {
				break
			}
			in.NextToken = out.NextToken
		}
	}
	return users, nil
}

// fastRestores gives the zones in which fast snapshot restore is on for each of the snapshots, or not quite off.
func fastRestores(ctx context.Context, c *awsec2.Client, r backup.Ref, ids []string) (map[string][]string, error) {
	zones := map[string][]string{}
	for part := range slices.Chunk(ids, maxFilterValues) {
		in := &awsec2.DescribeFastSnapshotRestoresInput{MaxResults: aws.Int32(200), Filters: []ec2types.Filter{filter("snapshot-id", part...)}}
		for {
			out, err := c.DescribeFastSnapshotRestores(ctx, in)
			if err != nil {
				return nil, table.Wrap(Kind, "DescribeFastSnapshotRestores", r, err)
			}
			for _, f := range out.FastSnapshotRestores {
				if f.State != ec2types.FastSnapshotRestoreStateCodeDisabled {
					id := aws.ToString(f.SnapshotId)
					zones[id] = append(zones[id], aws.ToString(f.AvailabilityZone)+" ("+string(f.State)+")")
				}
			}
			if aws.ToString(out.NextToken) == "" {
				break
			}
			in.NextToken = out.NextToken
		}
	}
	return zones, nil
}
