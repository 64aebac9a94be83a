package elasticache

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// target is what a backup takes, and how CreateSnapshot must name it.
type target struct {
	cluster, group string // one of them
	// arn is that of what is backed up.
	arn string
	// shards are the node groups whose data the snapshot must have; empty where it has only one part.
	shards []string
	// notYet is why it can not be taken now.
	notYet   string
	findings []backup.Finding
}

// target looks at what is to be backed up. Its errors are the library's; a permanent one is the end of the backup. With primary, of a group with
// cluster mode disabled the primary is taken.
func (s *Strategy) target(ctx context.Context, c *awselasticache.Client, r backup.Ref, primary bool) (target, error) {
	switch r.Type {
	case TypeCluster:
		return s.clusterTarget(ctx, c, r)
	case TypeServerless:
		return s.serverlessTarget(ctx, c, r)
	}
	g, err := s.group(ctx, c, r, r.ID)
	if err != nil {
		return target{}, err
	}
	if g == nil {
		return target{}, refused(r, "DescribeReplicationGroups", backup.ErrNotFound, "check the id, the account and the Region", "no such replication group")
	}
	if err := snapshottable(r, aws.ToString(g.Engine), aws.ToString(g.CacheNodeType)); err != nil {
		return target{}, err
	}
	t, err := s.groupTarget(ctx, c, r, g, primary)
	t.arn = arn(g.ARN, r, "replicationgroup", r.ID)
	return t, err
}

func (s *Strategy) groupTarget(ctx context.Context, c *awselasticache.Client, r backup.Ref, g *ectypes.ReplicationGroup, primary bool) (target, error) {
	switch status := word(g.Status); status {
	case "available":
	case "deleting":
		return target{}, refused(r, "backup", backup.ErrNotFound, "ask for a final snapshot when deleting a replication group", "the replication group is being deleted")
	case "create-failed":
		return target{}, refused(r, "backup", backup.ErrUnsupported, "delete the replication group and create it again", "the replication group could not be created and has no data")
	default:
		return target{notYet: "the replication group is " + status, findings: unknownStatus(r, status, groupStatuses)}, nil
	}
	if clustered(g) {
		t := target{group: r.ID}
		for _, n := range g.NodeGroups {
			t.shards = append(t.shards, aws.ToString(n.NodeGroupId))
		}
		if len(t.shards) == 0 {
			return target{notYet: "the replication group names no node groups"}, nil
		}
		slices.Sort(t.shards)
		return t, nil
	}
	return s.memberTarget(ctx, c, r, g, primary)
}

// clustered tells whether cluster mode is enabled. Only such groups have several node groups, whatever a flag says.
func clustered(g *ectypes.ReplicationGroup) bool {
	return aws.ToBool(g.ClusterEnabled) || g.ClusterMode == ectypes.ClusterModeEnabled || len(g.NodeGroups) > 1
}

// memberTarget chooses the node of a group with cluster mode disabled: the first replica that is available. A replica that is not is waited
// for; only where there is none at all the primary is taken, or where it is asked for: a replica may lack what was written last. Source: ElastiCache User
// Guide, "Making manual backups".
func (s *Strategy) memberTarget(ctx context.Context, c *awselasticache.Client, r backup.Ref, g *ectypes.ReplicationGroup, fromPrimary bool) (target, error) {
	primary, replicas := roles(g)
	if primary == "" {
		if len(members(g)) == 0 {
			return target{notYet: "the replication group names no members"}, nil
		}
		return target{notYet: unknownRoles}, nil
	}
	var findings []backup.Finding
	if len(replicas) == 0 || fromPrimary {
		why, remedy := "the group has no replica", "add a replica"
		if fromPrimary {
			why, remedy = "a replica may lack what was written last", "do it when there is little to do"
		}
		replicas = []string{primary}
		findings = []backup.Finding{{ID: "elasticache.from-primary", Severity: backup.SeverityWarning, Ref: r,
			Message: fmt.Sprintf("%s, so the snapshot is taken of the primary %s, which may answer slower meanwhile", why, primary), Remedy: remedy}}
	}
	why := ""
	for _, id := range replicas {
		x, err := s.cluster(ctx, c, r, id)
		switch {
		case err != nil:
			return target{}, err
		case x == nil:
			why = fmt.Sprintf("the member %s is not visible", id)
		case word(x.CacheClusterStatus) != "available":
			why = fmt.Sprintf("the member %s is %s", id, word(x.CacheClusterStatus))
		default:
			return target{cluster: id, findings: findings}, nil
		}
	}
	return target{notYet: why}, nil
}

// unknownRoles is why a member can not be chosen.
const unknownRoles = "the roles of the members are not known, perhaps because of a failover"

// roles gives the primary and the replicas, sorted, of a group with cluster mode disabled; no primary where the role of a member is not known, or
// more than one has it.
func roles(g *ectypes.ReplicationGroup) (primary string, replicas []string) {
	all := 0
	for _, n := range g.NodeGroups {
		for _, m := range n.NodeGroupMembers {
			all++
			switch id := aws.ToString(m.CacheClusterId); word(m.CurrentRole) {
			case "primary":
				primary = id
			case "replica":
				replicas = append(replicas, id)
			}
		}
	}
	if len(replicas)+1 != all {
		return "", nil
	}
	slices.Sort(replicas)
	return primary, replicas
}

func (s *Strategy) clusterTarget(ctx context.Context, c *awselasticache.Client, r backup.Ref) (target, error) {
	x, err := s.cluster(ctx, c, r, r.ID)
	if err != nil {
		return target{}, err
	}
	if x == nil {
		return target{}, refused(r, "DescribeCacheClusters", backup.ErrNotFound, "check the id, the account and the Region", "no such cache cluster")
	}
	if err := snapshottable(r, aws.ToString(x.Engine), aws.ToString(x.CacheNodeType)); err != nil {
		return target{}, err
	}
	if g := aws.ToString(x.ReplicationGroupId); g != "" {
		return target{}, refused(r, "backup", backup.ErrInvalid, "back up the replication group: elasticache.ReplicationGroup(account, region, \""+g+"\")",
			"the cluster is a member of the replication group %s", g)
	}
	switch status := word(x.CacheClusterStatus); status {
	case "available":
		return target{cluster: r.ID, arn: arn(x.ARN, r, "cluster", r.ID)}, nil
	case "deleting", "deleted":
		return target{}, refused(r, "backup", backup.ErrNotFound, "ask for a final snapshot when deleting a cluster", "the cluster is being deleted")
	case "restore-failed", "incompatible-network":
		return target{}, refused(r, "backup", backup.ErrUnsupported, "mend or delete the cluster; ElastiCache makes no snapshot of it", "the cluster is %s", status)
	default:
		return target{arn: arn(x.ARN, r, "cluster", r.ID), notYet: "the cluster is " + status, findings: unknownStatus(r, status, clusterStatuses)}, nil
	}
}

// The statuses of something busy. Source: the SDK's types ReplicationGroup and CacheCluster.
var (
	groupStatuses    = []string{"creating", "modifying", "snapshotting"}
	clusterStatuses  = []string{"creating", "modifying", "snapshotting", "rebooting cluster nodes"}
	snapshotStatuses = []string{"creating", "copying", "restoring"}
)

func unknownStatus(r backup.Ref, status string, known []string) []backup.Finding {
	if slices.Contains(known, status) {
		return nil
	}
	return []backup.Finding{{ID: "elasticache.unknown-status", Severity: backup.SeverityWarning, Ref: r,
		Message: fmt.Sprintf("the status is %q, which this release does not know; it is waited for", status)}}
}

// snapshottable refuses what ElastiCache makes no snapshots of. Source: the SDK's elasticache/types/errors.go, SnapshotFeatureNotSupportedFault.
func snapshottable(r backup.Ref, engine, nodeType string) error {
	switch {
	case policy.CanonicalName(engine) == "memcached":
		return refused(r, "backup", backup.ErrUnsupported, "Memcached nodes have no snapshots: fill the cache from its source again instead", "the engine is Memcached")
	case policy.CanonicalName(nodeType) == "cache.t1.micro":
		return refused(r, "backup", backup.ErrUnsupported, "move to another node type, such as cache.t4g.micro", "cache.t1.micro nodes have no snapshots")
	}
	return nil
}
