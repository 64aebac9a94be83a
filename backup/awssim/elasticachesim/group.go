package elasticachesim

import (
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// group is a replication group.
type group struct {
	life
	config
	id, arn, description string
	clusterMode          bool
	failover, multiAZ    bool
	shards               []shard
	// roles are the changes of the primary of the first shard, in the order of time; the first is at creation.
	roles []role
	// snaps are the times at which a snapshot of it or of a member was being made.
	snaps   []span
	changes changes
	from    string
}

// shard is a node group.
type shard struct {
	id, slots string
	members   []*cluster
}

type role struct {
	at      time.Time
	primary int
}

func (g *group) status(t time.Time) string {
	switch {
	case g.held(t) != "":
		return g.held(t)
	case g.isDeleting(t):
		return "deleting"
	case t.Before(g.ready):
		return "creating"
	case g.doomed:
		return "create-failed"
	case within(g.snaps, t):
		return "snapshotting"
	case within(g.changes.busy, t):
		return "modifying"
	}
	return "available"
}

// primary gives the index of the primary in the first shard at t.
func (g *group) primary(t time.Time) int {
	n := 0
	for _, c := range g.roles {
		if !c.at.After(t) {
			n = c.primary
		}
	}
	return n
}

func (g *group) members() []*cluster {
	var all []*cluster
	for _, s := range g.shards {
		all = append(all, s.members...)
	}
	return all
}

func (s *ElastiCache) describeReplicationGroups(r *awssim.Request, in *awselasticache.DescribeReplicationGroupsInput) (*awselasticache.DescribeReplicationGroupsOutput, error) {
	p := s.at(r)
	if in.ReplicationGroupId != nil {
		g, ok := p.groups.seen(lower(in.ReplicationGroupId), r)
		if !ok {
			return nil, noGroup(in.ReplicationGroupId)
		}
		return &awselasticache.DescribeReplicationGroupsOutput{ReplicationGroups: []ectypes.ReplicationGroup{g.describe(r)}}, nil
	}
	found, marker, err := page(r, &p.groups.names, in.Marker, in.MaxRecords, 100, func(name string) (ectypes.ReplicationGroup, bool) {
		g, ok := p.groups.seen(name, r)
		if !ok {
			return ectypes.ReplicationGroup{}, false
		}
		return g.describe(r), true
	})
	if err != nil {
		return nil, err
	}
	return &awselasticache.DescribeReplicationGroupsOutput{ReplicationGroups: found, Marker: marker}, nil
}

func noGroup(id *string) error {
	return awssim.FailStatus(404, "ReplicationGroupNotFoundFault", "ReplicationGroup %s not found.", aws.ToString(id))
}

// describe makes what the API shows of the group; nothing of it points into the state.
func (g *group) describe(r *awssim.Request) ectypes.ReplicationGroup {
	status, d := g.status(r.Now), g.dailyNow(r.Now)
	o := ectypes.ReplicationGroup{
		ARN: aws.String(g.arn), ReplicationGroupId: aws.String(g.id), Description: aws.String(g.description), Status: aws.String(status),
		ClusterEnabled: aws.Bool(g.clusterMode), ClusterMode: ectypes.ClusterModeDisabled, Engine: aws.String(g.engine),
		CacheNodeType: aws.String(g.nodeType), AtRestEncryptionEnabled: aws.Bool(g.atRest), TransitEncryptionEnabled: aws.Bool(g.transit),
		AuthTokenEnabled: aws.Bool(g.auth != ""), AutoMinorVersionUpgrade: aws.Bool(g.minorUpgrade), SnapshotRetentionLimit: aws.Int32(d.retention),
		SnapshotWindow: aws.String(d.window), ReplicationGroupCreateTime: aws.Time(g.made), DataTiering: ectypes.DataTieringStatusDisabled,
		AutomaticFailover: ectypes.AutomaticFailoverStatusDisabled, MultiAZ: ectypes.MultiAZStatusDisabled,
		StorageEncryptionType: ectypes.StorageEncryptionTypeNone, NetworkType: ectypes.NetworkTypeIpv4, IpDiscovery: ectypes.IpDiscoveryIpv4,
	}
	if g.clusterMode {
		o.ClusterMode = ectypes.ClusterModeEnabled
	}
	if g.tiering {
		o.DataTiering = ectypes.DataTieringStatusEnabled
	}
	if g.failover {
		o.AutomaticFailover = ectypes.AutomaticFailoverStatusEnabled
	}
	if g.multiAZ {
		o.MultiAZ = ectypes.MultiAZStatusEnabled
	}
	o.TransitEncryptionMode, o.UserGroupIds, o.LogDeliveryConfigurations = g.transitMode, slices.Clone(g.userGroups), g.describeLogs()
	if g.atRest {
		o.StorageEncryptionType = ectypes.StorageEncryptionTypeSseElasticache
	}
	if g.kms != "" {
		o.KmsKeyId, o.StorageEncryptionType = aws.String(g.kms), ectypes.StorageEncryptionTypeSseKms
	}
	for _, m := range g.members() {
		o.MemberClusters = append(o.MemberClusters, m.id)
	}
	if r.Now.Before(g.ready) || g.doomed {
		return o
	}
	for _, s := range g.shards {
		o.NodeGroups = append(o.NodeGroups, g.nodeGroup(r, s))
	}
	if g.clusterMode {
		front, middle := g.id, "clustercfg"
		if g.transit {
			front, middle = "clustercfg."+g.id, ""
		}
		o.ConfigurationEndpoint = g.endpoint(host(r, front, middle))
	} else if d.retention > 0 {
		o.SnapshottingClusterId = aws.String(d.source)
	}
	return o
}

func (g *group) endpoint(address string) *ectypes.Endpoint {
	return &ectypes.Endpoint{Address: aws.String(address), Port: aws.Int32(g.port)}
}

func (g *group) nodeGroup(r *awssim.Request, s shard) ectypes.NodeGroup {
	n := ectypes.NodeGroup{NodeGroupId: aws.String(s.id), Status: aws.String("available"), Slots: aws.String(s.slots)}
	primary := g.primary(r.Now)
	for i, c := range s.members {
		m := ectypes.NodeGroupMember{CacheClusterId: aws.String(c.id), CacheNodeId: aws.String("0001"), PreferredAvailabilityZone: aws.String(c.zone)}
		if !g.clusterMode {
			m.CurrentRole = aws.String("replica")
			if i == primary {
				m.CurrentRole = aws.String("primary")
			}
			m.ReadEndpoint = g.endpoint(host(r, c.id, s.id))
		}
		n.NodeGroupMembers = append(n.NodeGroupMembers, m)
	}
	if !g.clusterMode {
		n.Slots = nil
		if g.transit {
			n.PrimaryEndpoint = g.endpoint(host(r, "master."+g.id, ""))
			n.ReaderEndpoint = g.endpoint(host(r, "replica."+g.id, ""))
		} else {
			n.PrimaryEndpoint = g.endpoint(host(r, g.id, "ng."+s.id))
			n.ReaderEndpoint = g.endpoint(host(r, g.id+"-ro", "ng."+s.id))
		}
	}
	return n
}

func (s *ElastiCache) deleteReplicationGroup(r *awssim.Request, in *awselasticache.DeleteReplicationGroupInput) (*awselasticache.DeleteReplicationGroupOutput, error) {
	p := s.at(r)
	g, ok := p.groups.live(lower(in.ReplicationGroupId), r.Now)
	if !ok {
		return nil, noGroup(in.ReplicationGroupId)
	}
	if aws.ToBool(in.RetainPrimaryCluster) {
		return nil, errors.New("awssim: DeleteReplicationGroup with RetainPrimaryCluster is not simulated")
	}
	switch g.status(r.Now) {
	case "available", "create-failed":
	default:
		return nil, awssim.Fail("InvalidReplicationGroupState", "Replication group %s is not in a valid state to be deleted: its status is %s.", g.id, g.status(r.Now))
	}
	start := r.Now
	if in.FinalSnapshotIdentifier != nil {
		snap, err := s.take(r, p, lower(in.FinalSnapshotIdentifier), p.sourceOfGroup(g, r.Now), "", nil)
		if err != nil {
			return nil, err
		}
		start = snap.ready
	}
	gone := start.Add(r.Took("delete-group/"+g.id, deletionMedian, spread))
	g.deleting, g.gone = r.Now, gone
	for _, m := range g.members() {
		m.deleting, m.gone = r.Now, gone
		p.dropAutomatic(m.id, gone)
	}
	p.dropAutomaticOfGroup(g.id, gone)
	o := g.describe(r)
	return &awselasticache.DeleteReplicationGroupOutput{ReplicationGroup: &o}, nil
}

// dropAutomatic lets the automatic snapshots of a cluster go with it.
func (p *regional) dropAutomatic(cluster string, gone time.Time) { p.drop(p.byCluster[cluster], gone) }

func (p *regional) dropAutomaticOfGroup(group string, gone time.Time) {
	p.drop(p.byGroup[group], gone)
}

func (p *regional) drop(x *index, gone time.Time) {
	if x == nil {
		return
	}
	for name := range x.after("") {
		for _, s := range slices.Backward(p.snapshots.byName[name]) {
			if s.automated && s.gone.IsZero() {
				s.deleting, s.gone = gone, gone
			}
		}
	}
}
