package elasticachesim

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// snapshot is a snapshot of a cluster, or of a group with cluster mode enabled.
type snapshot struct {
	life
	config
	name, arn, kms string
	automated      bool
	// cluster or group is the source's id.
	cluster, group, description string
	failover                    bool
	sourceMade                  time.Time
	zone                        string
	parts                       []part
	// taken is the instant of the data.
	taken time.Time
	// restores and copies are when it is read for something new.
	restores, copies []span
}

// part is the snapshot of one node.
type part struct {
	cluster, shard, slots string
	nodeMade              time.Time
	replicas              int32
	zones                 []string
}

func (s *snapshot) status(t time.Time) string {
	switch {
	case s.held(t) != "":
		return s.held(t)
	case s.isDeleting(t):
		return "deleting"
	case t.Before(s.ready):
		return "creating"
	case s.doomed:
		return "failed"
	case within(s.restores, t):
		return "restoring"
	case within(s.copies, t):
		return "copying"
	}
	return "available"
}

// source is what a snapshot is taken of: a cluster, or a whole group.
type source struct {
	cluster *cluster
	group   *group
}

// sourceOfGroup gives what a final snapshot of the group is taken of.
func (p *regional) sourceOfGroup(g *group, t time.Time) source {
	if g.clusterMode {
		return source{group: g}
	}
	return source{cluster: g.shards[0].members[g.primary(t)]}
}

// nodes gives the clusters whose data is taken, one of each shard.
func (x source) nodes(t time.Time) []*cluster {
	if x.cluster != nil {
		return []*cluster{x.cluster}
	}
	var all []*cluster
	for i, sh := range x.group.shards {
		n := 0
		if i == 0 {
			n = x.group.primary(t)
		}
		all = append(all, sh.members[n])
	}
	return all
}

func (s *ElastiCache) createSnapshot(r *awssim.Request, in *awselasticache.CreateSnapshotInput) (*awselasticache.CreateSnapshotOutput, error) {
	p := s.at(r)
	if (in.CacheClusterId == nil) == (in.ReplicationGroupId == nil) {
		return nil, awssim.Fail("InvalidParameterCombination", "Exactly one of ReplicationGroupId and CacheClusterId must be given.")
	}
	var from source
	if in.CacheClusterId != nil {
		c, ok := p.clusters.live(lower(in.CacheClusterId), r.Now)
		if !ok {
			return nil, noCluster(in.CacheClusterId)
		}
		if c.group != nil && c.group.clusterMode {
			return nil, awssim.Fail("InvalidParameterCombination", "Cache cluster %s is a member of a replication group with cluster mode enabled: give its ReplicationGroupId.", c.id)
		}
		from = source{cluster: c}
	} else {
		g, ok := p.groups.live(lower(in.ReplicationGroupId), r.Now)
		if !ok {
			return nil, noGroup(in.ReplicationGroupId)
		}
		if !g.clusterMode {
			return nil, awssim.Fail("InvalidParameterCombination", "Replication group %s has cluster mode disabled: give the CacheClusterId of one of its nodes.", g.id)
		}
		from = source{group: g}
	}
	snap, err := s.take(r, p, lower(in.SnapshotName), from, aws.ToString(in.KmsKeyId), in.Tags)
	if err != nil {
		return nil, err
	}
	o := snap.describe(r, true)
	return &awselasticache.CreateSnapshotOutput{Snapshot: &o}, nil
}

// take makes a manual snapshot: on request, or as the final one.
func (s *ElastiCache) take(r *awssim.Request, p *regional, name string, from source, key string, given []ectypes.Tag) (*snapshot, error) {
	if err := checkName("SnapshotName", name, 40); err != nil {
		return nil, err
	}
	tags, err := newTags(given)
	if err != nil {
		return nil, err
	}
	nodes := from.nodes(r.Now)
	for _, c := range nodes {
		if c.engine == "memcached" || c.nodeType == "cache.t1.micro" {
			return nil, awssim.Fail("SnapshotFeatureNotSupportedFault", "Snapshots are not supported for %s on %s.", c.engine, c.nodeType)
		}
	}
	if err := checkKey(r, key); err != nil {
		return nil, err
	}
	if _, ok := p.snapshots.live(name, r.Now); ok {
		return nil, awssim.Fail("SnapshotAlreadyExistsFault", "Snapshot with specified name already exists: %s", name)
	}
	if g := from.group; g != nil && g.status(r.Now) != "available" {
		return nil, awssim.Fail("InvalidReplicationGroupState", "Replication group %s must be in the available state: its status is %s.", g.id, g.status(r.Now))
	}
	for _, c := range nodes {
		if c.group != nil && c.group.status(r.Now) != "available" || c.status(r.Now) != "available" {
			return nil, awssim.Fail("InvalidCacheClusterState", "Cache cluster %s is not in the available state: its status is %s.", c.id, c.status(r.Now))
		}
	}
	day := r.Now.Add(-r.Scale(24 * time.Hour))
	for _, c := range nodes {
		for len(c.manual) > 0 && !c.manual[0].After(day) {
			c.manual = c.manual[1:]
		}
		if len(c.manual) >= s.snapshotQuota {
			return nil, awssim.Fail("SnapshotQuotaExceededFault", "The maximum number of manual snapshots for this cluster taken within 24 hours has been reached or the user has reached their quota.")
		}
	}
	snap := s.record(r, p, name, from, r.Took("snapshot/"+r.Account+"/"+r.Region+"/"+name, snapshotMedian, spread))
	snap.tags = []tagging{{r.Now, tags}}
	if key != "" {
		snap.kms = key
	}
	for _, c := range nodes {
		c.manual = append(c.manual, r.Now)
	}
	return snap, nil
}

// record writes a new snapshot down and lets its source be busy until it is ready.
func (s *ElastiCache) record(r *awssim.Request, p *regional, name string, from source, took time.Duration) *snapshot {
	nodes := from.nodes(r.Now)
	first := nodes[0]
	snap := &snapshot{
		life:   life{made: r.Now, lag: r.Lag(), ready: r.Now.Add(took), doomed: r.Doomed, tags: []tagging{{at: r.Now}}},
		config: first.config, name: name, arn: r.ARN("elasticache", "snapshot:"+name), kms: first.kms,
		sourceMade: first.made, zone: first.zone, taken: r.Now.Add(min(took/2, r.Scale(20*time.Second))).Truncate(time.Millisecond),
	}
	snap.securityGroups = slices.Clone(first.securityGroups)
	snap.settings = settings{} // a snapshot does not tell them
	d := first.dailyNow(r.Now)
	if first.group != nil {
		d = first.group.dailyNow(r.Now)
	}
	snap.retention, snap.window = d.retention, d.window
	busy := span{r.Now, snap.ready}
	owner := from.group
	if from.cluster != nil {
		owner, snap.cluster = from.cluster.group, first.id
		p.byCluster[first.id] = listed(p.byCluster[first.id], name)
		snap.parts = []part{{nodeMade: first.made}}
	} else {
		snap.group, snap.description, snap.failover = owner.id, owner.description, owner.failover
		snap.sourceMade = owner.made
		p.byGroup[owner.id] = listed(p.byGroup[owner.id], name)
		for i, c := range nodes {
			sh := owner.shards[i]
			one := part{cluster: c.id, shard: sh.id, slots: sh.slots, nodeMade: c.made, replicas: int32(len(sh.members) - 1)}
			for _, m := range sh.members {
				one.zones = append(one.zones, m.zone)
			}
			snap.parts = append(snap.parts, one)
		}
	}
	if took > 0 {
		for _, c := range nodes {
			c.snaps = append(c.snaps, busy)
		}
		if owner != nil {
			owner.snaps = append(owner.snaps, busy)
		}
	}
	p.snapshots.add(name, snap)
	return snap
}

func listed(x *index, name string) *index {
	if x == nil {
		x = &index{}
	}
	x.add(name)
	return x
}

// describe makes what the API shows of the snapshot; nothing of it points into the state.
func (s *snapshot) describe(r *awssim.Request, layout bool) ectypes.Snapshot {
	status := s.status(r.Now)
	o := ectypes.Snapshot{
		ARN: aws.String(s.arn), SnapshotName: aws.String(s.name), SnapshotStatus: aws.String(status), SnapshotSource: aws.String("manual"),
		Engine: aws.String(s.engine), EngineVersion: aws.String(s.version), CacheNodeType: aws.String(s.nodeType), Port: aws.Int32(s.port),
		CacheParameterGroupName: aws.String(s.parameterGroup), CacheSubnetGroupName: aws.String(s.subnetGroup), VpcId: aws.String("vpc-0default"),
		AutoMinorVersionUpgrade: aws.Bool(s.minorUpgrade), SnapshotRetentionLimit: aws.Int32(s.retention), SnapshotWindow: aws.String(s.window),
		PreferredMaintenanceWindow: aws.String(s.maintenance), DataTiering: ectypes.DataTieringStatusDisabled,
	}
	if s.automated {
		o.SnapshotSource = aws.String("automated")
	}
	if s.tiering {
		o.DataTiering = ectypes.DataTieringStatusEnabled
	}
	if s.kms != "" {
		o.KmsKeyId = aws.String(s.kms)
	}
	if s.cluster != "" {
		o.CacheClusterId, o.CacheClusterCreateTime = aws.String(s.cluster), aws.Time(s.sourceMade)
		o.NumCacheNodes, o.PreferredAvailabilityZone = aws.Int32(1), aws.String(s.zone)
	} else {
		o.ReplicationGroupId, o.ReplicationGroupDescription = aws.String(s.group), aws.String(s.description)
		o.NumNodeGroups, o.AutomaticFailover = aws.Int32(int32(len(s.parts))), ectypes.AutomaticFailoverStatusDisabled
		if s.failover {
			o.AutomaticFailover = ectypes.AutomaticFailoverStatusEnabled
		}
	}
	for _, x := range s.parts {
		n := ectypes.NodeSnapshot{CacheNodeCreateTime: aws.Time(x.nodeMade), CacheSize: aws.String("")}
		if x.shard == "" {
			n.CacheNodeId = aws.String("0001")
		} else {
			n.CacheClusterId, n.NodeGroupId = aws.String(x.cluster), aws.String(x.shard)
			if layout {
				n.NodeGroupConfiguration = &ectypes.NodeGroupConfiguration{NodeGroupId: aws.String(x.shard), Slots: aws.String(x.slots),
					ReplicaCount: aws.Int32(x.replicas), PrimaryAvailabilityZone: aws.String(x.zones[0]), ReplicaAvailabilityZones: slices.Clone(x.zones[1:])}
			}
		}
		if !r.Now.Before(s.ready) && !s.doomed {
			n.SnapshotCreateTime, n.CacheSize = aws.Time(s.taken), aws.String(fmt.Sprintf("%d MB", 5+len(s.name)%7))
		}
		o.NodeSnapshots = append(o.NodeSnapshots, n)
	}
	return o
}

func noSnapshot(name *string) error {
	return awssim.FailStatus(404, "SnapshotNotFoundFault", "Snapshot %s not found.", aws.ToString(name))
}

func (s *ElastiCache) describeSnapshots(r *awssim.Request, in *awselasticache.DescribeSnapshotsInput) (*awselasticache.DescribeSnapshotsOutput, error) {
	p := s.at(r)
	layout := aws.ToBool(in.ShowNodeGroupConfig)
	if f := aws.ToString(in.SnapshotSource); f != "" && f != "user" && f != "system" {
		return nil, awssim.Fail("InvalidParameterValue", "Invalid value %s for SnapshotSource.", f)
	}
	wanted := func(snap *snapshot) bool {
		return (in.CacheClusterId == nil || snap.cluster == lower(in.CacheClusterId)) &&
			(in.ReplicationGroupId == nil || snap.group == lower(in.ReplicationGroupId)) &&
			(in.SnapshotSource == nil || snap.automated == (*in.SnapshotSource == "system"))
	}
	if in.SnapshotName != nil {
		snap, ok := p.snapshots.seen(lower(in.SnapshotName), r)
		if !ok && !s.empty {
			return nil, noSnapshot(in.SnapshotName)
		}
		o := &awselasticache.DescribeSnapshotsOutput{}
		if ok && wanted(snap) {
			o.Snapshots = []ectypes.Snapshot{snap.describe(r, layout)}
		}
		return o, nil
	}
	x := &p.snapshots.names
	switch {
	case in.CacheClusterId != nil:
		x = p.byCluster[lower(in.CacheClusterId)]
	case in.ReplicationGroupId != nil:
		x = p.byGroup[lower(in.ReplicationGroupId)]
	}
	if x == nil {
		x = &index{}
	}
	found, marker, err := page(r, x, in.Marker, in.MaxRecords, 50, func(name string) (ectypes.Snapshot, bool) {
		snap, ok := p.snapshots.seen(name, r)
		if !ok || !wanted(snap) {
			return ectypes.Snapshot{}, false
		}
		return snap.describe(r, layout), true
	})
	if err != nil {
		return nil, err
	}
	return &awselasticache.DescribeSnapshotsOutput{Snapshots: found, Marker: marker}, nil
}

func (s *ElastiCache) deleteSnapshot(r *awssim.Request, in *awselasticache.DeleteSnapshotInput) (*awselasticache.DeleteSnapshotOutput, error) {
	snap, ok := s.at(r).snapshots.live(lower(in.SnapshotName), r.Now)
	if !ok {
		return nil, noSnapshot(in.SnapshotName)
	}
	if snap.automated {
		return nil, awssim.Fail("InvalidSnapshotState", "Automatic snapshot %s can not be deleted.", snap.name)
	}
	if status := snap.status(r.Now); status != "available" && status != "failed" {
		return nil, awssim.Fail("InvalidSnapshotState", "Snapshot %s is not in a state in which it can be deleted: its status is %s.", snap.name, status)
	}
	snap.deleting, snap.gone = r.Now, r.Now.Add(r.Took("delete-snapshot/"+snap.name, 20*time.Second, spread))
	o := snap.describe(r, false)
	return &awselasticache.DeleteSnapshotOutput{Snapshot: &o}, nil
}
