package elasticache

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// exposure lists in what the new group or cluster is not as it was asked to be, in a way that may expose its data. What the service does not
// tell is not judged, and what is safer than asked for is no fault. unseen is a member that was named but is not visible, if there is one.
func (s *Strategy) exposure(ctx context.Context, c *awselasticache.Client, r backup.Ref, o RestoreOptions, m *made) (bad []string, unseen string, err error) {
	if o.TransitEncryption && m.transit != nil && !*m.transit {
		bad = append(bad, "it is not encrypted in transit")
	}
	if o.TransitEncryption && o.TransitMode != TransitPreferred && m.mode == ectypes.TransitEncryptionModePreferred {
		bad = append(bad, "it also lets in clients that do not use TLS")
	}
	if o.AuthToken && m.auth != nil && !*m.auth {
		bad = append(bad, "it can be used without an AUTH token")
	}
	if o.As == AsCluster {
		return append(bad, o.reach(m.cluster)...), "", nil
	}
	g := m.group
	known := g.AtRestEncryptionEnabled != nil || g.StorageEncryptionType != ""
	encrypted := aws.ToBool(g.AtRestEncryptionEnabled) || strings.HasPrefix(string(g.StorageEncryptionType), "sse-")
	key := aws.ToString(g.KmsKeyId)
	switch {
	case !o.AtRestUnencrypted && known && !encrypted:
		bad = append(bad, "it is not encrypted at rest")
	case o.KMSKeyID != "" && key != "" && key != o.KMSKeyID:
		bad = append(bad, "its KMS key is "+key+" and not "+o.KMSKeyID)
	case o.KMSKeyID != "" && key == "" && g.StorageEncryptionType != "" && g.StorageEncryptionType != ectypes.StorageEncryptionTypeSseKms:
		bad = append(bad, "it is not encrypted with the KMS key "+o.KMSKeyID)
	}
	if (g.ClusterEnabled != nil || g.ClusterMode != "") && clustered(g) != aws.ToBool(o.ClusterMode) {
		bad = append(bad, "its cluster mode is not as wanted")
	}
	if len(g.UserGroupIds) > 0 && len(o.UserGroups) > 0 && !sameNames(g.UserGroupIds, o.UserGroups) {
		bad = append(bad, "its user groups are "+strings.Join(g.UserGroupIds, ", ")+" and not "+strings.Join(o.UserGroups, ", "))
	}
	ids := members(g)
	found, err := s.clusters(ctx, c, r, ids)
	if err != nil {
		return nil, "", err
	}
	for _, id := range ids {
		x := found[id]
		if x == nil {
			unseen = id
			continue
		}
		if more := o.reach(x); len(more) > 0 {
			// One member says enough; there may be 500.
			return append(bad, "of its member "+id+": "+strings.Join(more, "; ")), unseen, nil
		}
	}
	return bad, unseen, nil
}

// fewMembers is how many clusters are asked for one by one; for more it takes fewer calls to read all of the Region, a hundred to a page.
const fewMembers = 3

// clusters gives those of the wanted clusters that are visible.
func (s *Strategy) clusters(ctx context.Context, c *awselasticache.Client, r backup.Ref, ids []string) (map[string]*ectypes.CacheCluster, error) {
	found := make(map[string]*ectypes.CacheCluster, len(ids))
	if len(ids) <= fewMembers {
		for _, id := range ids {
			x, err := s.cluster(ctx, c, r, id)
			if err != nil {
				return nil, err
			}
			if x != nil {
				found[id] = x
			}
		}
		return found, nil
	}
	in := &awselasticache.DescribeCacheClustersInput{MaxRecords: aws.Int32(resourcePage)}
	for {
		out, err := c.DescribeCacheClusters(ctx, in, s.listing)
		if err != nil {
			return nil, table.Wrap(Kind, "DescribeCacheClusters", r, err)
		}
		for i := range out.CacheClusters {
			x := &out.CacheClusters[i]
			if err := here(r, x.ARN); err != nil {
				return nil, err
			}
			if id := policy.CanonicalName(aws.ToString(x.CacheClusterId)); slices.Contains(ids, id) {
				found[id] = x
			}
		}
		if aws.ToString(out.Marker) == "" {
			return found, nil
		}
		in.Marker = out.Marker
	}
}

// members gives the ids of a group's clusters, each once. AWS names them in two places.
func members(g *ectypes.ReplicationGroup) []string {
	ids := slices.Clone(g.MemberClusters)
	for _, n := range g.NodeGroups {
		for _, m := range n.NodeGroupMembers {
			ids = append(ids, aws.ToString(m.CacheClusterId))
		}
	}
	for i := range ids {
		ids[i] = policy.CanonicalName(ids[i])
	}
	slices.Sort(ids)
	return slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "" })
}

// reach lists in what a cluster can be reached by others than was asked for.
func (o RestoreOptions) reach(x *ectypes.CacheCluster) (bad []string) {
	var groups []string
	for _, g := range x.SecurityGroups {
		groups = append(groups, aws.ToString(g.SecurityGroupId))
	}
	if len(groups) > 0 && !sameNames(groups, o.SecurityGroups) {
		bad = append(bad, "the security groups are "+strings.Join(groups, ", ")+" and not "+strings.Join(o.SecurityGroups, ", "))
	}
	if have := policy.CanonicalName(aws.ToString(x.CacheSubnetGroupName)); have != "" && o.SubnetGroup != "" && have != o.SubnetGroup {
		bad = append(bad, "the subnet group is "+have+" and not "+o.SubnetGroup)
	}
	return bad
}

func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
