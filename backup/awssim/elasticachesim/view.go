package elasticachesim

import (
	"maps"
	"slices"
	"time"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// SnapshotView is the truth about a snapshot, whatever calls that read can see of it.
type SnapshotView struct {
	Name, ARN, Status string
	// Cluster or Group is the source's id; the other is empty.
	Cluster, Group string
	Automated      bool
	// Shards are the node groups whose data it has; empty for a snapshot of a cluster.
	Shards []string
	// Made is when it was asked for, Taken the instant of its data, Ready when it is finished or failed.
	Made, Taken, Ready time.Time
	KMSKeyID           string
	Tags               map[string]string
}

// Snapshots gives all snapshots of an account in a Region that are not gone, by name.
func (s *ElastiCache) Snapshots(w *awssim.World, account, region string) []SnapshotView {
	var all []SnapshotView
	w.Do(account, region, func(r *awssim.Request) {
		p := s.at(r)
		for name := range p.snapshots.names.after("") {
			x, ok := p.snapshots.live(name, r.Now)
			if !ok {
				continue
			}
			v := SnapshotView{Name: x.name, ARN: x.arn, Status: x.status(r.Now), Cluster: x.cluster, Group: x.group, Automated: x.automated,
				Made: x.made, Taken: x.taken, Ready: x.ready, KMSKeyID: x.kms, Tags: maps.Clone(x.tagsAt(r.Now))}
			for _, y := range x.parts {
				if y.shard != "" {
					v.Shards = append(v.Shards, y.shard)
				}
			}
			all = append(all, v)
		}
	})
	return all
}

// GroupView is the truth about a replication group.
type GroupView struct {
	ID, ARN, Status, Engine, EngineVersion, NodeType string
	ClusterMode                                      bool
	// Shards holds the members of each node group.
	Shards                      [][]string
	Primary                     string
	SecurityGroups              []string
	SubnetGroup, ParameterGroup string
	Port                        int32
	MinorUpgrade                bool
	Transit, AtRest             bool
	TransitMode, KMSKeyID       string
	Failover, MultiAZ           bool
	// AuthToken is the password that it was made with, if any.
	AuthToken  string
	UserGroups []string
	// Logs are what is delivered where and how, in words.
	Logs []string
	// Retention is for how many days automatic snapshots are kept, 0 for none; Window is when they are made, Maintenance the weekly window.
	Retention           int32
	Window, Maintenance string
	// Daily is the member that automatic snapshots are made of, with cluster mode disabled. Pending is the node type that waits for the window.
	Daily, Pending string
	// From is the snapshot that it was restored from, or the ARNs of the files that it was seeded from with commas between, if any.
	From string
	// Slots are those of each node group, with cluster mode.
	Slots []string
	Made  time.Time
	Tags  map[string]string
}

// Groups gives all replication groups of an account in a Region that are not gone, by id.
func (s *ElastiCache) Groups(w *awssim.World, account, region string) []GroupView {
	var all []GroupView
	w.Do(account, region, func(r *awssim.Request) {
		p := s.at(r)
		for name := range p.groups.names.after("") {
			g, ok := p.groups.live(name, r.Now)
			if !ok {
				continue
			}
			v := GroupView{ID: g.id, ARN: g.arn, Status: g.status(r.Now), Engine: g.engine, EngineVersion: g.version, NodeType: g.nodeType,
				ClusterMode: g.clusterMode, SecurityGroups: slices.Clone(g.doorsAt(r.Now, g.securityGroups)), SubnetGroup: g.subnetGroup,
				ParameterGroup: g.parameterGroup, Port: g.port, MinorUpgrade: g.minorUpgrade, Transit: g.transit, AtRest: g.atRest,
				TransitMode: string(g.transitMode), KMSKeyID: g.kms, Failover: g.failover, MultiAZ: g.multiAZ, AuthToken: g.auth,
				UserGroups: slices.Clone(g.userGroups), Logs: g.logText(), Retention: g.dailyNow(r.Now).retention, Window: g.dailyNow(r.Now).window, Maintenance: g.maintenance,
				Daily: g.dailyNow(r.Now).source, Pending: g.changes.pendingAt(r.Now),
				From: g.from, Made: g.made, Tags: maps.Clone(g.tagsAt(r.Now))}
			for _, sh := range g.shards {
				var ids []string
				for _, m := range sh.members {
					ids = append(ids, m.id)
				}
				v.Shards = append(v.Shards, ids)
				if g.clusterMode {
					v.Slots = append(v.Slots, sh.slots)
				}
			}
			v.Primary = v.Shards[0][g.primary(r.Now)]
			all = append(all, v)
		}
	})
	return all
}

// ClusterView is the truth about a cache cluster.
type ClusterView struct {
	ID, ARN, Status, Engine, EngineVersion, NodeType string
	// Group is the replication group that it is a member of, if any.
	Group                       string
	SecurityGroups              []string
	SubnetGroup, ParameterGroup string
	Zone                        string
	Port                        int32
	MinorUpgrade                bool
	Transit                     bool
	// AuthToken is the password that it was made with, if any.
	AuthToken string
	// Logs are what is delivered where and how, in words.
	Logs []string
	// Retention, Window and Maintenance are as in GroupView.
	Retention           int32
	Window, Maintenance string
	// Pending is as in GroupView.
	Pending string
	// From is the snapshot that it was restored from, if any.
	From string
	Made time.Time
	Tags map[string]string
}

// Clusters gives all cache clusters of an account in a Region that are not gone, by id.
func (s *ElastiCache) Clusters(w *awssim.World, account, region string) []ClusterView {
	var all []ClusterView
	w.Do(account, region, func(r *awssim.Request) {
		p := s.at(r)
		for name := range p.clusters.names.after("") {
			c, ok := p.clusters.live(name, r.Now)
			if !ok {
				continue
			}
			v := ClusterView{ID: c.id, ARN: c.arn, Status: c.status(r.Now), Engine: c.engine, EngineVersion: c.version, NodeType: c.nodeType,
				SecurityGroups: slices.Clone(c.doorsAt(r.Now, c.securityGroups)), SubnetGroup: c.subnetGroup, ParameterGroup: c.parameterGroup, Zone: c.zone,
				Port: c.port, MinorUpgrade: c.minorUpgrade, Transit: c.transit, AuthToken: c.auth, Logs: c.logText(), Retention: c.dailyNow(r.Now).retention,
				Window: c.dailyNow(r.Now).window, Maintenance: c.maintenance, Pending: c.changes.pendingAt(r.Now), From: c.from, Made: c.made, Tags: maps.Clone(c.tagsAt(r.Now))}
			if c.group != nil {
				v.Group = c.group.id
			}
			all = append(all, v)
		}
	})
	return all
}
