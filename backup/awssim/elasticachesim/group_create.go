package elasticachesim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// The medians of how long work takes, from the User Guide's examples for small caches.
const (
	creationMedian = 10 * time.Minute
	snapshotMedian = 150 * time.Second
	deletionMedian = 5 * time.Minute
	spread         = 0.3
)

func (s *ElastiCache) createReplicationGroup(r *awssim.Request, in *awselasticache.CreateReplicationGroupInput) (*awselasticache.CreateReplicationGroupOutput, error) {
	p := s.at(r)
	id := lower(in.ReplicationGroupId)
	if err := checkName("ReplicationGroupId", id, 40); err != nil {
		return nil, err
	}
	if in.ServerlessCacheSnapshotName != nil || in.PrimaryClusterId != nil || in.GlobalReplicationGroupId != nil {
		return nil, errors.New("awssim: CreateReplicationGroup with ServerlessCacheSnapshotName, PrimaryClusterId or GlobalReplicationGroupId is not simulated")
	}
	if _, ok := p.groups.live(id, r.Now); ok {
		return nil, awssim.Fail("ReplicationGroupAlreadyExists", "Replication group with id %s already exists.", id)
	}
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	from, err := p.restorable(r, in.SnapshotName)
	if err != nil {
		return nil, err
	}
	seeded, spoilt, err := seeds(r, in.SnapshotArns, in.SnapshotName)
	if err != nil {
		return nil, err
	}
	g := &group{id: id, from: seeded, arn: r.ARN("elasticache", "replicationgroup:"+id), description: aws.ToString(in.ReplicationGroupDescription),
		failover: aws.ToBool(in.AutomaticFailoverEnabled), multiAZ: aws.ToBool(in.MultiAZEnabled)}
	g.clusterMode, err = p.clusterMode(in, from)
	if err != nil {
		return nil, err
	}
	g.config, err = p.resolve(r, wanted{
		engine: in.Engine, version: in.EngineVersion, nodeType: in.CacheNodeType, subnetGroup: in.CacheSubnetGroupName,
		parameterGroup: in.CacheParameterGroupName, securityGroups: in.SecurityGroupIds, port: in.Port, transit: in.TransitEncryptionEnabled,
		atRest: in.AtRestEncryptionEnabled, minorUpgrade: in.AutoMinorVersionUpgrade, kms: in.KmsKeyId, retention: in.SnapshotRetentionLimit,
		window: in.SnapshotWindow, maintenance: in.PreferredMaintenanceWindow, clusterMode: g.clusterMode, from: from,
		auth: in.AuthToken, transitMode: in.TransitEncryptionMode, userGroups: in.UserGroupIds, logs: in.LogDeliveryConfigurations,
	})
	if err != nil {
		return nil, err
	}
	if g.engine == "memcached" {
		return nil, awssim.Fail("InvalidParameterValue", "Invalid value for Engine: a replication group runs valkey or redis.")
	}
	g.tiering = aws.ToBool(in.DataTieringEnabled)
	if g.tiering != isTiered(g.nodeType) {
		return nil, awssim.Fail("InvalidParameterCombination", "Data tiering must be enabled for r6gd node types and is supported for no other.")
	}
	if err := fits(from, g.config); err != nil {
		return nil, err
	}
	plan, err := shardsOf(r, in, g.clusterMode, from)
	if err != nil {
		return nil, err
	}
	switch {
	case seeded != "" && g.clusterMode && (len(in.NodeGroupConfiguration) == 0 || in.NodeGroupConfiguration[0].Slots == nil):
		return nil, awssim.Fail("InvalidParameterCombination", "The slots of every node group must be given to seed a group with cluster mode enabled.")
	case len(in.SnapshotArns) > 1 && !g.clusterMode:
		return nil, awssim.Fail("InvalidParameterCombination", "A group with cluster mode disabled can be seeded from one file only.")
	}
	nodes := 0
	for _, one := range plan {
		nodes += len(one.zones)
	}
	switch {
	case g.clusterMode && !g.failover:
		return nil, awssim.Fail("InvalidParameterCombination", "Redis with cluster mode enabled cannot be created with auto failover turned off.")
	case g.failover && !g.clusterMode && nodes < 2:
		return nil, awssim.Fail("InvalidParameterCombination", "Automatic failover needs at least one replica.")
	case nodes > s.groupQuota:
		return nil, awssim.Fail("NodeQuotaForClusterExceeded", "A replication group may have %d nodes.", s.groupQuota)
	case !p.hasRoom(nodes, s.nodeQuota, r.Now):
		return nil, awssim.Fail("NodeQuotaForCustomerExceeded", "The request would exceed the quota of %d nodes in this Region.", s.nodeQuota)
	}
	g.life = life{made: r.Now, lag: r.Lag(), ready: r.Now.Add(r.Took("group/"+id, creationMedian, spread)), doomed: r.Doomed || spoilt, tags: []tagging{{r.Now, tags}}}
	g.roles = []role{{r.Now, 0}}
	for i, one := range plan {
		sh := shard{id: one.id, slots: one.slots}
		for j, z := range one.zones {
			name := fmt.Sprintf("%s-%03d", id, j+1)
			if g.clusterMode {
				name = fmt.Sprintf("%s-%s-%03d", id, one.id, j+1)
			}
			if _, taken := p.clusters.live(name, r.Now); taken {
				return nil, awssim.Fail("InvalidParameterValue", "Cache cluster %s already exists.", name)
			}
			c := &cluster{life: g.life, config: g.config, id: name, arn: r.ARN("elasticache", "cluster:"+name), group: g, shard: i, nodes: 1, zone: z}
			c.securityGroups = slices.Clone(g.securityGroups)
			c.from = seeded
			if from != nil {
				c.from = from.name
			}
			sh.members = append(sh.members, c)
		}
		g.shards = append(g.shards, sh)
	}
	if from != nil {
		g.from = from.name
		from.restores = append(from.restores, span{r.Now, g.ready})
	}
	p.groups.add(id, g)
	for _, m := range g.members() {
		p.clusters.add(m.id, m)
	}
	p.nodes += nodes
	o := g.describe(r)
	return &awselasticache.CreateReplicationGroupOutput{ReplicationGroup: &o}, nil
}

// hasRoom reports whether more nodes fit into the quota. p.nodes is never too low, and all are counted only when it matters.
func (p *regional) hasRoom(more, quota int, t time.Time) bool {
	if p.nodes+more <= quota {
		return true
	}
	p.nodes = 0
	for _, all := range p.clusters.byName {
		for _, c := range all {
			if c.lives(t) {
				p.nodes += int(c.nodes)
			}
		}
	}
	return p.nodes+more <= quota
}

// clusterMode decides whether cluster mode is enabled: by what was asked for, by the parameter group, by the number of shards, by the snapshot.
func (p *regional) clusterMode(in *awselasticache.CreateReplicationGroupInput, from *snapshot) (bool, error) {
	groups := max(int(aws.ToInt32(in.NumNodeGroups)), len(in.NodeGroupConfiguration))
	asked := in.ClusterMode == ectypes.ClusterModeEnabled
	parameterGroup := aws.ToString(in.CacheParameterGroupName)
	on := asked || p.clusterOn(parameterGroup) || groups > 1
	off := in.ClusterMode == ectypes.ClusterModeDisabled || parameterGroup != "" && !p.clusterOn(parameterGroup) || in.NumCacheClusters != nil
	switch {
	case on && off:
		return false, awssim.Fail("InvalidParameterCombination", "Cluster mode, the cache parameter group and the number of node groups do not agree.")
	case on:
		return true, nil
	case from != nil && from.group != "" && off:
		return false, awssim.Fail("InvalidParameterCombination", "A snapshot of a replication group with cluster mode enabled can not be restored to one with cluster mode disabled.")
	}
	return from != nil && from.group != "", nil
}

// restorable finds the snapshot that a create call names, and checks that it can be restored now.
func (p *regional) restorable(r *awssim.Request, name *string) (*snapshot, error) {
	if name == nil {
		return nil, nil
	}
	s, ok := p.snapshots.live(lower(name), r.Now)
	if !ok {
		return nil, awssim.FailStatus(404, "SnapshotNotFoundFault", "Snapshot %s not found.", lower(name))
	}
	if status := s.status(r.Now); status != "available" {
		return nil, awssim.Fail("InvalidParameterValue", "Snapshot %s is not in the available state: its status is %s.", s.name, status)
	}
	if err := checkKey(r, s.kms); err != nil {
		return nil, err
	}
	return s, nil
}

// fits holds the rules of what a snapshot may be restored to.
func fits(from *snapshot, to config) error {
	if from == nil {
		return nil
	}
	switch {
	case from.engine != to.engine:
		return awssim.Fail("InvalidParameterCombination", "A snapshot of %s can not be restored to %s.", from.engine, to.engine)
	case older(to.version, from.version):
		return awssim.Fail("InvalidParameterCombination", "A snapshot of version %s can not be restored to the earlier version %s.", from.version, to.version)
	case from.tiering && !isTiered(to.nodeType):
		return awssim.Fail("InvalidParameterCombination", "A snapshot of a cluster with data tiering can only be restored to r6gd node types.")
	}
	return nil
}

type shardPlan struct {
	id, slots string
	zones     []string
}

// shardsOf lays out node groups and nodes.
func shardsOf(r *awssim.Request, in *awselasticache.CreateReplicationGroupInput, clusterMode bool, from *snapshot) ([]shardPlan, error) {
	n := 1
	if clusterMode && from != nil && len(from.parts) > 0 && from.group != "" {
		n = len(from.parts)
	}
	conf := in.NodeGroupConfiguration
	switch {
	case in.NumNodeGroups != nil:
		n = int(*in.NumNodeGroups)
		if len(conf) > 0 && len(conf) != n {
			return nil, awssim.Fail("InvalidParameterCombination", "NodeGroupConfiguration has %d entries, NumNodeGroups is %d.", len(conf), n)
		}
	case len(conf) > 0:
		n = len(conf)
	}
	replicas := int(aws.ToInt32(in.ReplicasPerNodeGroup))
	if in.NumCacheClusters != nil {
		if in.ReplicasPerNodeGroup != nil && replicas+1 != int(*in.NumCacheClusters) {
			return nil, awssim.Fail("InvalidParameterCombination", "NumCacheClusters and ReplicasPerNodeGroup do not agree.")
		}
		replicas = int(*in.NumCacheClusters) - 1
	}
	if n < 1 || replicas < 0 || replicas > 5 {
		return nil, awssim.Fail("InvalidParameterValue", "%d node groups with %d replicas each are not possible.", n, replicas)
	}
	if z := in.PreferredCacheClusterAZs; len(z) > 0 && (n > 1 || len(z) != replicas+1) {
		return nil, awssim.Fail("InvalidParameterCombination", "PreferredCacheClusterAZs must name one zone for each of the cache clusters.")
	}
	plan := make([]shardPlan, n)
	given := 0
	for i := range plan {
		one := shardPlan{id: fmt.Sprintf("%04d", i+1), slots: fmt.Sprintf("%d-%d", i*16384/n, (i+1)*16384/n-1)}
		count := replicas
		var c ectypes.NodeGroupConfiguration
		if len(conf) > 0 {
			c = conf[i]
			if c.ReplicaCount != nil {
				count = int(*c.ReplicaCount)
			}
			if c.NodeGroupId != nil {
				one.id = *c.NodeGroupId
			}
			if c.Slots != nil {
				given++
				one.slots = *c.Slots
			}
			if count < 0 || count > 5 || len(c.ReplicaAvailabilityZones) > 0 && len(c.ReplicaAvailabilityZones) != count {
				return nil, awssim.Fail("InvalidParameterCombination", "Node group %s has not as many zones as replicas, or too many replicas.", one.id)
			}
		}
		for j := range count + 1 {
			z := zone(r.Region, i+j)
			switch {
			case j == 0 && c.PrimaryAvailabilityZone != nil:
				z = *c.PrimaryAvailabilityZone
			case j > 0 && len(c.ReplicaAvailabilityZones) > 0:
				z = c.ReplicaAvailabilityZones[j-1]
			case len(in.PreferredCacheClusterAZs) > 0:
				z = in.PreferredCacheClusterAZs[j]
			}
			one.zones = append(one.zones, z)
		}
		plan[i] = one
	}
	if given != 0 && given != n {
		return nil, awssim.Fail("InvalidParameterCombination", "Slots must be given for all node groups or for none.")
	}
	return plan, nil
}
