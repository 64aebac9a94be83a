package elasticache

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
)

// AutomaticBackups is how ElastiCache itself makes snapshots of a group, cluster or serverless cache every day. They vanish with it: see StartCopy.
type AutomaticBackups struct {
	// RetentionDays is for how many days they are kept, 1 to 35; 0 means that none are made.
	RetentionDays int32
	// Window is when they begin, hh:mm-hh:mm in UTC; empty for a serverless cache.
	Window string
	// Time is when that of a serverless cache is made, hh:mm in UTC; empty where AWS tells none, as where none was ever made.
	Time string
	// Member is the cluster that they are made of, in a group with cluster mode disabled; empty where AWS names none.
	Member string
	// Pending are other changes that wait for the maintenance window, in words, such as "node type cache.r7g.xlarge". Whoever applies a
	// change at once applies them too.
	Pending []string
}

// AutomaticBackups reads how ElastiCache makes snapshots of a replication group, a single cluster or a serverless cache by itself.
//
// It fails with ErrNotFound where there is none, with ErrUnsupported for what has no snapshots, and with ErrInvalid for a member of a group,
// whose group is to be asked. Source: ElastiCache API, types ReplicationGroup, CacheCluster and ServerlessCache.
func (s *Strategy) AutomaticBackups(ctx context.Context, r backup.Ref) (AutomaticBackups, error) {
	if err := r.Validate(); err != nil {
		return AutomaticBackups{}, err
	}
	if err := validRef("automatic backups", r, TypeReplicationGroup, TypeCluster, TypeServerless); err != nil {
		return AutomaticBackups{}, err
	}
	c, err := s.client(ctx, r)
	if err != nil {
		return AutomaticBackups{}, err
	}
	d, err := s.daily(ctx, c, r)
	return d.AutomaticBackups, err
}

// daily is how a group, cluster or serverless cache is made snapshots of, and how it is itself.
type daily struct {
	AutomaticBackups
	status string
	known  []string
	// member is what automatic snapshots could be made of in a group with cluster mode disabled, which plain tells: a replica, the primary where
	// there is none, or nothing while the roles are not known.
	plain  bool
	member string
}

// daily looks at a group, cluster or serverless cache. An error of its own is permanent only for what is not there or can have none.
func (s *Strategy) daily(ctx context.Context, c *awselasticache.Client, r backup.Ref) (daily, error) {
	if r.Type == TypeServerless {
		return s.dailyServerless(ctx, c, r)
	}
	if r.Type == TypeCluster {
		x, err := s.cluster(ctx, c, r, r.ID)
		switch {
		case err != nil:
			return daily{}, err
		case x == nil:
			return daily{}, refused(r, "DescribeCacheClusters", backup.ErrNotFound, "check the id, the account and the Region", "no such cache cluster")
		case aws.ToString(x.ReplicationGroupId) != "":
			return daily{}, refused(r, "automatic backups", backup.ErrInvalid, "name the replication group: elasticache.ReplicationGroup(account, region, \""+*x.ReplicationGroupId+"\")",
				"the cluster is a member of the replication group %s", *x.ReplicationGroupId)
		}
		d := daily{status: word(x.CacheClusterStatus), known: clusterStatuses}
		d.RetentionDays, d.Window, d.Pending = aws.ToInt32(x.SnapshotRetentionLimit), aws.ToString(x.SnapshotWindow), pendingCluster(x)
		return d, snapshottable(r, aws.ToString(x.Engine), aws.ToString(x.CacheNodeType))
	}
	g, err := s.group(ctx, c, r, r.ID)
	if err != nil {
		return daily{}, err
	}
	if g == nil {
		return daily{}, refused(r, "DescribeReplicationGroups", backup.ErrNotFound, "check the id, the account and the Region", "no such replication group")
	}
	d := daily{status: word(g.Status), known: groupStatuses}
	d.RetentionDays, d.Window, d.Member = aws.ToInt32(g.SnapshotRetentionLimit), aws.ToString(g.SnapshotWindow), word(g.SnapshottingClusterId)
	d.Pending = pendingGroup(g)
	ids := members(g)
	all, err := s.clusters(ctx, c, r, ids)
	if err != nil {
		return daily{}, err
	}
	for _, id := range ids {
		if x := all[id]; x != nil {
			d.Pending = append(d.Pending, pendingCluster(x)...)
		}
	}
	slices.Sort(d.Pending)
	d.Pending = slices.Compact(d.Pending)
	if !clustered(g) {
		d.plain, d.member = true, dailyMember(g)
	}
	return d, snapshottable(r, aws.ToString(g.Engine), aws.ToString(g.CacheNodeType))
}

// dailyMember chooses a replica of a group with cluster mode disabled, the primary where there is none, and nothing where the roles are not known.
func dailyMember(g *ectypes.ReplicationGroup) string {
	var primary string
	var replicas []string
	for _, n := range g.NodeGroups {
		for _, m := range n.NodeGroupMembers {
			switch word(m.CurrentRole) {
			case "primary":
				primary = word(m.CacheClusterId)
			case "replica":
				replicas = append(replicas, word(m.CacheClusterId))
			}
		}
	}
	slices.Sort(replicas)
	if len(replicas) > 0 {
		return replicas[0]
	}
	return primary
}

// pendingGroup says in words what waits for the maintenance window of a group. Source: the SDK's types ReplicationGroupPendingModifiedValues.
func pendingGroup(g *ectypes.ReplicationGroup) (all []string) {
	p := g.PendingModifiedValues
	if p == nil {
		return nil
	}
	add := func(is bool, what string) {
		if is {
			all = append(all, what)
		}
	}
	add(p.AuthTokenStatus != "", "AUTH token "+string(p.AuthTokenStatus))
	add(p.AutomaticFailoverStatus != "", "automatic failover "+string(p.AutomaticFailoverStatus))
	add(p.ClusterMode != "", "cluster mode "+string(p.ClusterMode))
	add(len(p.LogDeliveryConfigurations) > 0, "log delivery")
	add(aws.ToString(p.PrimaryClusterId) != "", "primary "+aws.ToString(p.PrimaryClusterId))
	add(p.Resharding != nil, "resharding")
	add(p.TransitEncryptionEnabled != nil || p.TransitEncryptionMode != "", "encryption in transit")
	add(p.UserGroups != nil, "user groups")
	return all
}

// pendingCluster does the same for a cluster. Source: the SDK's types PendingModifiedValues.
func pendingCluster(x *ectypes.CacheCluster) (all []string) {
	p := x.PendingModifiedValues
	if p == nil {
		return nil
	}
	add := func(is bool, what string) {
		if is {
			all = append(all, what)
		}
	}
	add(p.AuthTokenStatus != "", "AUTH token "+string(p.AuthTokenStatus))
	add(len(p.CacheNodeIdsToRemove) > 0 || p.NumCacheNodes != nil, "number of nodes")
	add(aws.ToString(p.CacheNodeType) != "", "node type "+aws.ToString(p.CacheNodeType))
	add(aws.ToString(p.EngineVersion) != "", "engine version "+aws.ToString(p.EngineVersion))
	add(len(p.LogDeliveryConfigurations) > 0, "log delivery")
	add(p.ScaleConfig != nil, "scaling")
	add(p.TransitEncryptionEnabled != nil || p.TransitEncryptionMode != "", "encryption in transit")
	return all
}

func kindOf(r backup.Ref) string {
	switch r.Type {
	case TypeCluster:
		return "cluster"
	case TypeServerless:
		return "serverless cache"
	}
	return "replication group"
}

// dead says why what is as it is can never be set, or nothing.
func (d daily) dead(r backup.Ref) error {
	switch d.status {
	case "deleting", "deleted":
		return refused(r, "automatic backups", backup.ErrNotFound, "there is nothing left to set", "the %s is being deleted", kindOf(r))
	case "create-failed", "restore-failed", "incompatible-network":
		return refused(r, "automatic backups", backup.ErrUnsupported, "mend or delete it", "the %s is %s", kindOf(r), d.status)
	}
	return nil
}
