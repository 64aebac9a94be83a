package elasticache

import (
	"context"
	"iter"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/snapwarden/snapwarden/backup"
)

// Discover yields replication groups, serverless caches and single clusters that carry the wanted tags. Memcached nodes, cache.t1.micro, members of groups and what
// is being deleted are left out. Each resource costs a call for its tags. What is being created and whose tags AWS does not give yet is left
// out too; anything else whose tags can not be read ends the listing with an error, and so does what is in another account or Region.
func (s *Strategy) Discover(ctx context.Context, q backup.Query) iter.Seq2[backup.Resource, error] {
	return func(yield func(backup.Resource, error) bool) {
		r := place(q)
		c, err := s.discovery(ctx, q)
		if err != nil {
			yield(backup.Resource{}, err)
			return
		}
		wanted := func(t string) bool { return len(q.Types) == 0 || slices.Contains(q.Types, t) }
		// one yields a resource, and reports whether to go on.
		one := func(ref backup.Ref, resourceARN, status, engine, nodeType string) bool {
			if err := here(ref, &resourceARN); err != nil {
				yield(backup.Resource{}, err)
				return false
			}
			if status == "deleting" || status == "deleted" || status == "create-failed" || snapshottable(ref, engine, nodeType) != nil {
				return true
			}
			tags, readable, err := s.tags(ctx, c, ref, resourceARN, s.listing)
			if err == nil && !readable && status != "creating" {
				err = refused(ref, "ListTagsForResource", backup.ErrUnavailable, "list again later", "the tags of %s can not be read while it is %s", ref.ID, status)
			}
			if err != nil {
				yield(backup.Resource{}, err)
				return false
			}
			if !readable {
				return true
			}
			for k, v := range q.Tags {
				if have, ok := tags[k]; !ok || v != "" && have != v {
					return true
				}
			}
			return yield(backup.Resource{Ref: ref, ARN: resourceARN, Tags: tags}, nil)
		}
		if wanted(TypeReplicationGroup) {
			in := &awselasticache.DescribeReplicationGroupsInput{MaxRecords: aws.Int32(resourcePage)}
			for {
				out, err := c.DescribeReplicationGroups(ctx, in, s.listing)
				if err != nil {
					yield(backup.Resource{}, table.Wrap(Kind, "DescribeReplicationGroups", r, err))
					return
				}
				for _, g := range out.ReplicationGroups {
					ref := ReplicationGroup(q.Account, q.Region, aws.ToString(g.ReplicationGroupId))
					if !one(ref, arn(g.ARN, r, "replicationgroup", ref.ID), word(g.Status), word(g.Engine), word(g.CacheNodeType)) {
						return
					}
				}
				if aws.ToString(out.Marker) == "" {
					break
				}
				in.Marker = out.Marker
			}
		}
		if wanted(TypeServerless) {
			in := &awselasticache.DescribeServerlessCachesInput{MaxResults: aws.Int32(snapshotPage)}
			for {
				out, err := c.DescribeServerlessCaches(ctx, in, s.listing)
				if err != nil {
					yield(backup.Resource{}, table.Wrap(Kind, "DescribeServerlessCaches", r, err))
					return
				}
				for _, x := range out.ServerlessCaches {
					ref := Serverless(q.Account, q.Region, aws.ToString(x.ServerlessCacheName))
					if !one(ref, arn(x.ARN, r, arnServerless, ref.ID), word(x.Status), "", "") {
						return
					}
				}
				if aws.ToString(out.NextToken) == "" {
					break
				}
				in.NextToken = out.NextToken
			}
		}
		if !wanted(TypeCluster) {
			return
		}
		in := &awselasticache.DescribeCacheClustersInput{MaxRecords: aws.Int32(resourcePage), ShowCacheClustersNotInReplicationGroups: aws.Bool(true)}
		for {
			out, err := c.DescribeCacheClusters(ctx, in, s.listing)
			if err != nil {
				yield(backup.Resource{}, table.Wrap(Kind, "DescribeCacheClusters", r, err))
				return
			}
			for _, x := range out.CacheClusters {
				if aws.ToString(x.ReplicationGroupId) != "" {
					continue
				}
				ref := Cluster(q.Account, q.Region, aws.ToString(x.CacheClusterId))
				if !one(ref, arn(x.ARN, r, "cluster", ref.ID), word(x.CacheClusterStatus), word(x.Engine), word(x.CacheNodeType)) {
					return
				}
			}
			if aws.ToString(out.Marker) == "" {
				return
			}
			in.Marker = out.Marker
		}
	}
}

func (s *Strategy) discovery(ctx context.Context, q backup.Query) (*awselasticache.Client, error) {
	r := place(q)
	if err := q.Validate(); err != nil {
		return nil, err
	}
	if !q.Source.IsZero() || !q.Point.IsZero() {
		return nil, invalid("discover", r, "Source and Point belong to List", "the query has a Source or a Point")
	}
	for _, t := range q.Types {
		if t != TypeReplicationGroup && t != TypeCluster && t != TypeServerless {
			return nil, invalid("discover", r, "the types of resources are elasticache.TypeReplicationGroup, elasticache.TypeCluster and elasticache.TypeServerless", "the type %q", t)
		}
	}
	return s.client(ctx, r)
}
