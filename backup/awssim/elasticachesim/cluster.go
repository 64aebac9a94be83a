package elasticachesim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// cluster is a cache cluster: a single one, or a member of a group.
type cluster struct {
	life
	config
	id, arn string
	group   *group
	shard   int
	nodes   int32
	zone    string
	snaps   []span
	// manual are the instants of its manual snapshots, for the quota.
	manual  []time.Time
	changes changes
	from    string
}

func (c *cluster) status(t time.Time) string {
	switch {
	case c.held(t) != "":
		return c.held(t)
	case c.isDeleting(t):
		return "deleting"
	case t.Before(c.ready):
		return "creating"
	case c.doomed && c.from != "":
		return "restore-failed"
	case c.doomed:
		return "incompatible-network"
	case within(c.snaps, t):
		return "snapshotting"
	case within(c.changes.busy, t), c.group != nil && within(c.group.changes.busy, t):
		return "modifying"
	}
	return "available"
}

func lower(s *string) string { return strings.ToLower(aws.ToString(s)) }

func (s *ElastiCache) createCacheCluster(r *awssim.Request, in *awselasticache.CreateCacheClusterInput) (*awselasticache.CreateCacheClusterOutput, error) {
	p := s.at(r)
	id := lower(in.CacheClusterId)
	if err := checkName("CacheClusterId", id, 50); err != nil {
		return nil, err
	}
	if in.ReplicationGroupId != nil {
		return nil, errors.New("awssim: CreateCacheCluster with ReplicationGroupId is not simulated")
	}
	if _, ok := p.clusters.live(id, r.Now); ok {
		return nil, awssim.Fail("CacheClusterAlreadyExists", "Cache cluster with id %s already exists.", id)
	}
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	from, err := p.restorable(r, in.SnapshotName)
	if err != nil {
		return nil, err
	}
	if len(in.SnapshotArns) > 1 {
		return nil, awssim.Fail("InvalidParameterValue", "SnapshotArns must have exactly one element.")
	}
	seeded, spoilt, err := seeds(r, in.SnapshotArns, in.SnapshotName)
	if err != nil {
		return nil, err
	}
	c := &cluster{id: id, from: seeded, arn: r.ARN("elasticache", "cluster:"+id), nodes: max(aws.ToInt32(in.NumCacheNodes), 1), zone: zone(r.Region, 0)}
	c.config, err = p.resolve(r, wanted{
		engine: in.Engine, version: in.EngineVersion, nodeType: in.CacheNodeType, subnetGroup: in.CacheSubnetGroupName,
		parameterGroup: in.CacheParameterGroupName, securityGroups: in.SecurityGroupIds, port: in.Port, transit: in.TransitEncryptionEnabled,
		minorUpgrade: in.AutoMinorVersionUpgrade, retention: in.SnapshotRetentionLimit, window: in.SnapshotWindow,
		maintenance: in.PreferredMaintenanceWindow, from: from, auth: in.AuthToken, logs: in.LogDeliveryConfigurations,
	})
	if err != nil {
		return nil, err
	}
	switch {
	case from != nil && from.group != "":
		return nil, awssim.Fail("InvalidParameterCombination", "A snapshot of a replication group with cluster mode enabled can not be restored to a cache cluster.")
	case p.clusterOn(c.parameterGroup):
		return nil, awssim.Fail("InvalidParameterCombination", "A parameter group with cluster-enabled can not be used with a cache cluster.")
	case c.engine != "memcached" && c.nodes != 1, c.nodes > 40:
		return nil, awssim.Fail("InvalidParameterValue", "Invalid value %d for NumCacheNodes.", c.nodes)
	case !p.hasRoom(int(c.nodes), s.nodeQuota, r.Now):
		return nil, awssim.Fail("NodeQuotaForCustomerExceeded", "The request would exceed the quota of %d nodes in this Region.", s.nodeQuota)
	case c.engine == "memcached" && (from != nil || seeded != ""):
		return nil, awssim.Fail("InvalidParameterCombination", "SnapshotName is not valid with the engine memcached.")
	}
	if err := fits(from, c.config); err != nil {
		return nil, err
	}
	if isTiered(c.nodeType) {
		return nil, awssim.Fail("InvalidParameterCombination", "Data tiering is supported only for replication groups.")
	}
	if in.PreferredAvailabilityZone != nil {
		c.zone = *in.PreferredAvailabilityZone
	}
	c.life = life{made: r.Now, lag: r.Lag(), ready: r.Now.Add(r.Took("cluster/"+id, creationMedian, spread)), doomed: r.Doomed || spoilt, tags: []tagging{{r.Now, tags}}}
	if from != nil {
		c.from = from.name
		from.restores = append(from.restores, span{r.Now, c.ready})
	}
	p.clusters.add(id, c)
	p.nodes += int(c.nodes)
	o := c.describe(r, false)
	return &awselasticache.CreateCacheClusterOutput{CacheCluster: &o}, nil
}

func noCluster(id *string) error {
	return awssim.FailStatus(404, "CacheClusterNotFound", "CacheCluster not found: %s", aws.ToString(id))
}

func (s *ElastiCache) describeCacheClusters(r *awssim.Request, in *awselasticache.DescribeCacheClustersInput) (*awselasticache.DescribeCacheClustersOutput, error) {
	p := s.at(r)
	show, single := aws.ToBool(in.ShowCacheNodeInfo), aws.ToBool(in.ShowCacheClustersNotInReplicationGroups)
	if in.CacheClusterId != nil {
		c, ok := p.clusters.seen(lower(in.CacheClusterId), r)
		if !ok {
			return nil, noCluster(in.CacheClusterId)
		}
		return &awselasticache.DescribeCacheClustersOutput{CacheClusters: []ectypes.CacheCluster{c.describe(r, show)}}, nil
	}
	found, marker, err := page(r, &p.clusters.names, in.Marker, in.MaxRecords, 100, func(name string) (ectypes.CacheCluster, bool) {
		c, ok := p.clusters.seen(name, r)
		if !ok || single && c.group != nil {
			return ectypes.CacheCluster{}, false
		}
		return c.describe(r, show), true
	})
	if err != nil {
		return nil, err
	}
	return &awselasticache.DescribeCacheClustersOutput{CacheClusters: found, Marker: marker}, nil
}

// describe makes what the API shows of the cluster; nothing of it points into the state.
func (c *cluster) describe(r *awssim.Request, nodes bool) ectypes.CacheCluster {
	o := ectypes.CacheCluster{
		ARN: aws.String(c.arn), CacheClusterId: aws.String(c.id), CacheClusterStatus: aws.String(c.status(r.Now)), CacheNodeType: aws.String(c.nodeType),
		Engine: aws.String(c.engine), EngineVersion: aws.String(c.version), NumCacheNodes: aws.Int32(c.nodes),
		PreferredAvailabilityZone: aws.String(c.zone), PreferredMaintenanceWindow: aws.String(c.maintenance),
		CacheSubnetGroupName: aws.String(c.subnetGroup), AutoMinorVersionUpgrade: aws.Bool(c.minorUpgrade),
		AtRestEncryptionEnabled: aws.Bool(c.atRest), TransitEncryptionEnabled: aws.Bool(c.transit), AuthTokenEnabled: aws.Bool(c.auth != ""),
		CacheParameterGroup: &ectypes.CacheParameterGroupStatus{CacheParameterGroupName: aws.String(c.parameterGroup), ParameterApplyStatus: aws.String("in-sync")},
		NetworkType:         ectypes.NetworkTypeIpv4, IpDiscovery: ectypes.IpDiscoveryIpv4, TransitEncryptionMode: c.transitMode,
		LogDeliveryConfigurations: c.describeLogs(),
	}
	for _, g := range slices.Sorted(slices.Values(c.doorsAt(r.Now, c.securityGroups))) {
		o.SecurityGroups = append(o.SecurityGroups, ectypes.SecurityGroupMembership{SecurityGroupId: aws.String(g), Status: aws.String("active")})
	}
	if c.engine != "memcached" {
		d := c.dailyNow(r.Now)
		o.SnapshotRetentionLimit, o.SnapshotWindow = aws.Int32(d.retention), aws.String(d.window)
	}
	o.PendingModifiedValues = c.changes.pending(r.Now)
	if c.group != nil {
		o.ReplicationGroupId, o.PendingModifiedValues = aws.String(c.group.id), c.group.changes.pending(r.Now)
	}
	if r.Now.Before(c.ready) {
		return o
	}
	o.CacheClusterCreateTime = aws.Time(c.made)
	if c.doomed {
		return o
	}
	if c.engine == "memcached" {
		o.ConfigurationEndpoint = &ectypes.Endpoint{Address: aws.String(host(r, c.id, "cfg")), Port: aws.Int32(c.port)}
	}
	if !nodes {
		return o
	}
	for i := range c.nodes {
		id := nodeID(int(i))
		o.CacheNodes = append(o.CacheNodes, ectypes.CacheNode{
			CacheNodeId: aws.String(id), CacheNodeStatus: aws.String("available"), CacheNodeCreateTime: aws.Time(c.made),
			CustomerAvailabilityZone: aws.String(c.zone), ParameterGroupStatus: aws.String("in-sync"),
			Endpoint: &ectypes.Endpoint{Address: aws.String(host(r, c.id, id)), Port: aws.Int32(c.port)},
		})
	}
	return o
}

func nodeID(i int) string { return fmt.Sprintf("%04d", i+1) }

func (s *ElastiCache) deleteCacheCluster(r *awssim.Request, in *awselasticache.DeleteCacheClusterInput) (*awselasticache.DeleteCacheClusterOutput, error) {
	p := s.at(r)
	c, ok := p.clusters.live(lower(in.CacheClusterId), r.Now)
	if !ok {
		return nil, noCluster(in.CacheClusterId)
	}
	if c.group != nil {
		return nil, errors.New("awssim: DeleteCacheCluster of a member of a replication group is not simulated")
	}
	switch c.status(r.Now) {
	case "available", "restore-failed", "incompatible-network":
	default:
		return nil, awssim.Fail("InvalidCacheClusterState", "Cache cluster %s is not in a valid state to be deleted: its status is %s.", c.id, c.status(r.Now))
	}
	start := r.Now
	if in.FinalSnapshotIdentifier != nil {
		snap, err := s.take(r, p, lower(in.FinalSnapshotIdentifier), source{cluster: c}, "", nil)
		if err != nil {
			return nil, err
		}
		start = snap.ready
	}
	c.deleting, c.gone = r.Now, start.Add(r.Took("delete-cluster/"+c.id, deletionMedian, spread))
	p.dropAutomatic(c.id, c.gone)
	o := c.describe(r, false)
	return &awselasticache.DeleteCacheClusterOutput{CacheCluster: &o}, nil
}
