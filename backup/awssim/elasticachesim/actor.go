package elasticachesim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// AutomaticSnapshot acts as ElastiCache does in the snapshot window: it begins an automatic snapshot of a cluster, of a group with cluster
// mode enabled, of the primary of another group, or of a serverless cache, and gives its name. The source is snapshotting meanwhile. Retention is not simulated:
// the snapshot stays until its source is deleted.
func (s *ElastiCache) AutomaticSnapshot(w *awssim.World, account, region, source string) (name string, err error) {
	w.Do(account, region, func(r *awssim.Request) {
		p := s.at(r)
		if c, ok := p.serverless.live(source, r.Now); ok {
			name = fmt.Sprintf("automatic.%s-%s", source, r.Now.UTC().Format("2006-01-02"))
			if _, taken := p.serverlessSnapshots.live(name, r.Now); taken {
				err = fmt.Errorf("elasticachesim: there is a snapshot %q", name)
				return
			}
			p.takeServerless(r, c, name, r.Took("serverless-snapshot/"+name, serverlessSnapshotMedian, spread)).automated = true
			return
		}
		from, found := p.sourceNamed(source, r.Now)
		if !found {
			err = fmt.Errorf("elasticachesim: no cluster or replication group %q", source)
			return
		}
		name = fmt.Sprintf("automatic.%s-%s", source, r.Now.UTC().Format("2006-01-02-15-04"))
		if _, taken := p.snapshots.live(name, r.Now); taken {
			err = fmt.Errorf("elasticachesim: there is a snapshot %q", name)
			return
		}
		s.record(r, p, name, from, r.Took("snapshot/"+name, snapshotMedian, spread)).automated = true
	})
	return name, err
}

func (p *regional) sourceNamed(id string, t time.Time) (source, bool) {
	if g, ok := p.groups.live(id, t); ok {
		return p.sourceOfGroup(g, t), true
	}
	if c, ok := p.clusters.live(id, t); ok {
		return source{cluster: c}, true
	}
	return source{}, false
}

// AddSnapshots puts finished manual snapshots of a cluster or group into the World, without calls, quota or time: for worlds with many. Their
// data is from the time of the call. The names must be free and valid.
func (s *ElastiCache) AddSnapshots(w *awssim.World, account, region, source string, tags map[string]string, names ...string) (err error) {
	w.Do(account, region, func(r *awssim.Request) {
		p := s.at(r)
		from, found := p.sourceNamed(source, r.Now)
		if !found {
			err = fmt.Errorf("elasticachesim: no cluster or replication group %q", source)
			return
		}
		for _, name := range names {
			if _, taken := p.snapshots.live(name, r.Now); taken {
				err = fmt.Errorf("elasticachesim: there is a snapshot %q", name)
				return
			}
			snap := s.record(r, p, name, from, 0)
			snap.lag = 0
			snap.tags = []tagging{{r.Now, maps.Clone(tags)}}
		}
	})
	return err
}

// Hold keeps the cluster, group or snapshot with the given id in a status for a time (of the World, so it is divided by its speed), whatever
// it would be otherwise: "modifying", "copying", or a word that nobody has heard of. Several things of one id are all held.
func (s *ElastiCache) Hold(w *awssim.World, account, region, id, status string, d time.Duration) (err error) {
	w.Do(account, region, func(r *awssim.Request) {
		p := s.at(r)
		h := hold{span{r.Now, r.Now.Add(r.Scale(d))}, status}
		any := false
		if x, ok := p.groups.live(id, r.Now); ok {
			x.holds, any = append(x.holds, h), true
		}
		if x, ok := p.clusters.live(id, r.Now); ok {
			x.holds, any = append(x.holds, h), true
		}
		if x, ok := p.snapshots.live(id, r.Now); ok {
			x.holds, any = append(x.holds, h), true
		}
		if x, ok := p.serverless.live(id, r.Now); ok {
			x.holds, any = append(x.holds, h), true
		}
		if x, ok := p.serverlessSnapshots.live(id, r.Now); ok {
			x.holds, any = append(x.holds, h), true
		}
		if !any {
			err = fmt.Errorf("elasticachesim: nothing is called %q", id)
		}
	})
	return err
}

// Expose has somebody else change who reaches a replication group with all its members, a single cluster or one member, in whatever state it is.
func (s *ElastiCache) Expose(w *awssim.World, account, region, id string, securityGroups ...string) (err error) {
	w.Do(account, region, func(r *awssim.Request) {
		p := s.at(r)
		d := door{r.Now, slices.Clone(securityGroups)}
		if g, ok := p.groups.live(id, r.Now); ok {
			g.doors = append(g.doors, d)
			for _, m := range g.members() {
				m.doors = append(m.doors, d)
			}
			return
		}
		if x, ok := p.serverless.live(id, r.Now); ok {
			x.doors = append(x.doors, d)
			return
		}
		c, ok := p.clusters.live(id, r.Now)
		if !ok {
			err = fmt.Errorf("elasticachesim: no cluster, serverless cache or replication group %q", id)
			return
		}
		c.doors = append(c.doors, d)
	})
	return err
}

// FailLogs has AWS find out that it can not deliver a log (slow-log or engine-log) of a replication group or single cluster, as where the
// destination is missing: it stays available and tells why. An empty why has it deliver the log again.
func (s *ElastiCache) FailLogs(w *awssim.World, account, region, id, log, why string) (err error) {
	w.Do(account, region, func(r *awssim.Request) {
		var c *config
		if g, ok := s.at(r).groups.live(id, r.Now); ok {
			c = &g.config
		} else if x, ok := s.at(r).clusters.live(id, r.Now); ok {
			c = &x.config
		} else {
			err = fmt.Errorf("elasticachesim: no cluster or replication group %q", id)
			return
		}
		if c.undelivered = maps.Clone(c.undelivered); c.undelivered == nil {
			c.undelivered = map[ectypes.LogType]string{}
		}
		if c.undelivered[ectypes.LogType(log)] = why; why == "" {
			delete(c.undelivered, ectypes.LogType(log))
		}
	})
	return err
}

// Failover makes another member the primary of a group with cluster mode disabled, as AWS does when a primary fails.
func (s *ElastiCache) Failover(w *awssim.World, account, region, group, member string) (err error) {
	w.Do(account, region, func(r *awssim.Request) {
		g, ok := s.at(r).groups.live(group, r.Now)
		if !ok || g.clusterMode {
			err = fmt.Errorf("elasticachesim: no replication group %q with cluster mode disabled", group)
			return
		}
		for i, c := range g.shards[0].members {
			if c.id == member {
				g.roles = append(g.roles, role{r.Now, i})
				return
			}
		}
		err = fmt.Errorf("elasticachesim: %q has no member %q", group, member)
	})
	return err
}

// AddParameterGroup makes a cache parameter group known; those whose names begin with "default." always are. clusterEnabled tells whether it
// switches cluster mode on.
func (s *ElastiCache) AddParameterGroup(w *awssim.World, account, region, name string, clusterEnabled bool) {
	w.Do(account, region, func(r *awssim.Request) { s.at(r).parameterGroups[name] = clusterEnabled })
}

// Vanish takes a snapshot away at once, whatever its status, as no call can: an accident of AWS's, or a deletion that nobody saw.
func (s *ElastiCache) Vanish(w *awssim.World, account, region, snapshot string) (err error) {
	w.Do(account, region, func(r *awssim.Request) {
		if x, ok := s.at(r).serverlessSnapshots.live(snapshot, r.Now); ok {
			x.deleting, x.gone = r.Now, r.Now
			return
		}
		x, ok := s.at(r).snapshots.live(snapshot, r.Now)
		if !ok {
			err = fmt.Errorf("elasticachesim: no snapshot %q", snapshot)
			return
		}
		x.deleting, x.gone = r.Now, r.Now
	})
	return err
}
