package ebs

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// Discover yields instances, then volumes, that carry the wanted tags. Terminated instances and deleted volumes are left out; volumes that
// are attached to a yielded instance are yielded too, unless Types says instances only.
func (s *Strategy) Discover(ctx context.Context, q backup.Query) iter.Seq2[backup.Resource, error] {
	return func(yield func(backup.Resource, error) bool) {
		r := place(q)
		c, filters, err := s.discovery(ctx, q)
		if err != nil {
			yield(backup.Resource{}, err)
			return
		}
		partition, err := policy.PartitionOf(q.Region)
		if err != nil {
			yield(backup.Resource{}, invalid("discover", r, "name the Region as AWS does", "%w", err))
			return
		}
		arn := func(resource string) string {
			return "arn:" + partition.ID + ":ec2:" + q.Region + ":" + q.Account + ":" + resource
		}
		if len(q.Types) == 0 || slices.Contains(q.Types, TypeInstance) {
			in := &awsec2.DescribeInstancesInput{Filters: filters, MaxResults: aws.Int32(pageSize)}
			for {
				out, err := c.DescribeInstances(ctx, in)
				if err != nil {
					yield(backup.Resource{}, table.Wrap(Kind, "DescribeInstances", r, err))
					return
				}
				for _, res := range out.Reservations {
					for _, x := range res.Instances {
						if x.State != nil && (x.State.Name == ec2types.InstanceStateNameTerminated || x.State.Name == ec2types.InstanceStateNameShuttingDown) {
							continue
						}
						id := aws.ToString(x.InstanceId)
						if !yield(backup.Resource{Ref: Instance(q.Account, q.Region, id), ARN: arn("instance/" + id), Tags: tagMap(x.Tags)}, nil) {
							return
						}
					}
				}
				if aws.ToString(out.NextToken) == "" {
					break
				}
				in.NextToken = out.NextToken
			}
		}
		if len(q.Types) > 0 && !slices.Contains(q.Types, TypeVolume) {
			return
		}
		in := &awsec2.DescribeVolumesInput{Filters: filters, MaxResults: aws.Int32(500)}
		for {
			out, err := c.DescribeVolumes(ctx, in)
			if err != nil {
				yield(backup.Resource{}, table.Wrap(Kind, "DescribeVolumes", r, err))
				return
			}
			for _, v := range out.Volumes {
				if v.State == ec2types.VolumeStateDeleting || v.State == ec2types.VolumeStateDeleted {
					continue
				}
				id := aws.ToString(v.VolumeId)
				if !yield(backup.Resource{Ref: Volume(q.Account, q.Region, id), ARN: arn("volume/" + id), Tags: tagMap(v.Tags)}, nil) {
					return
				}
			}
			if aws.ToString(out.NextToken) == "" {
				return
			}
			in.NextToken = out.NextToken
		}
	}
}

func (s *Strategy) discovery(ctx context.Context, q backup.Query) (*awsec2.Client, []ec2types.Filter, error) {
	r := place(q)
	if err := q.Validate(); err != nil {
		return nil, nil, err
	}
	if !q.Source.IsZero() || !q.Point.IsZero() {
		return nil, nil, invalid("discover", r, "Source and Point belong to List", "the query has a Source or a Point")
	}
	for _, t := range q.Types {
		if t != TypeInstance && t != TypeVolume {
			return nil, nil, invalid("discover", r, "the types of resources are ebs.TypeInstance and ebs.TypeVolume", "the type %q", t)
		}
	}
	var filters []ec2types.Filter
	for k, v := range q.Tags {
		if v == "" {
			filters = append(filters, filter("tag-key", k))
		} else {
			filters = append(filters, filter("tag:"+k, v))
		}
	}
	slices.SortFunc(filters, func(a, b ec2types.Filter) int { return strings.Compare(*a.Name, *b.Name) })
	c, err := s.client(ctx, r)
	return c, filters, err
}
