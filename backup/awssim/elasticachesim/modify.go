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

const modifyMedian = 45 * time.Second

// daily is how automatic snapshots are made from an instant on.
type daily struct {
	at        time.Time
	retention int32
	// window is when they are made; of a serverless cache the time of day.
	window string
	// source is the member that they are made of, in a group with cluster mode disabled.
	source string
}

// upgrade is a change of the node type that waits for the maintenance window, from an instant on; empty when it was applied.
type upgrade struct {
	at       time.Time
	nodeType string
}

// changes are what was modified since something was made, in the order of time.
type changes struct {
	daily    []daily
	upgrades []upgrade
	busy     []span
}

// dailyAt gives the settings of automatic snapshots at t; made are those that it was created with.
func (c *changes) dailyAt(t time.Time, made daily) daily {
	for _, d := range slices.Backward(c.daily) {
		if !d.at.After(t) {
			return d
		}
	}
	return made
}

// pendingAt gives the node type that waits at t, empty for none.
func (c *changes) pendingAt(t time.Time) string {
	for _, u := range slices.Backward(c.upgrades) {
		if !u.at.After(t) {
			return u.nodeType
		}
	}
	return ""
}

// set changes the settings of automatic snapshots, now or at the next maintenance. Now, it applies what else waits.
func (c *changes) set(r *awssim.Request, id, maintenance string, to daily, now bool) {
	if now {
		c.apply(r, id, to)
		return
	}
	to.at = nextMaintenance(r.Now, maintenance)
	c.replace(r.Now, to)
}

// apply changes the settings of automatic snapshots now, with what else waits. It is busy with that for a while.
func (c *changes) apply(r *awssim.Request, id string, to daily) {
	to.at = r.Now.Add(r.Took("modify/"+r.Account+"/"+r.Region+"/"+id, modifyMedian, spread))
	c.busy = append(c.busy, span{r.Now, to.at})
	if c.pendingAt(r.Now) != "" {
		c.upgrades = append(c.upgrades, upgrade{at: to.at})
	}
	c.replace(r.Now, to)
}

// replace puts the settings in the place of those that were still to come.
func (c *changes) replace(now time.Time, to daily) {
	c.daily = slices.DeleteFunc(c.daily, func(d daily) bool { return d.at.After(now) })
	c.daily = append(c.daily, to)
}

// nextMaintenance is when a weekly window begins next after t.
func nextMaintenance(t time.Time, window string) time.Time {
	begin, _, _ := strings.Cut(window, "-")
	day, clock, _ := strings.Cut(begin, ":")
	t = t.UTC()
	d := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Add(time.Duration(max(minutes(clock), 0)) * time.Minute)
	for d = d.AddDate(0, 0, slices.Index(weekdays, strings.ToLower(day))-int(d.Weekday())); !d.After(t); d = d.AddDate(0, 0, 7) {
	}
	return d
}

// wish is what a call asks for of automatic snapshots.
type wish struct {
	retention      *int32
	window, source *string
}

// resolve holds ElastiCache's rules. nothing tells that all is so already.
func (w wish) resolve(is daily, memberless bool) (to daily, nothing bool, err error) {
	to = is
	if w.retention != nil {
		to.retention = *w.retention
	}
	if w.window != nil {
		to.window = *w.window
	}
	if w.source != nil {
		to.source = *w.source
	}
	switch {
	case to.retention < 0 || to.retention > 35:
		return to, false, awssim.Fail("InvalidParameterValue", "Invalid value for SnapshotRetentionLimit: %d", to.retention)
	case !memberless && to.retention > 0 && is.retention == 0 && w.source == nil:
		return to, false, awssim.Fail("InvalidParameterCombination", "SnapshottingClusterId must be given to enable automatic snapshots of a replication group with cluster mode disabled.")
	}
	return to, to == is, checkDaily("SnapshotWindow", to.window)
}

func noModification() error {
	return awssim.Fail("InvalidParameterCombination", "No modifications were requested")
}

func (s *ElastiCache) modifyReplicationGroup(r *awssim.Request, in *awselasticache.ModifyReplicationGroupInput) (*awselasticache.ModifyReplicationGroupOutput, error) {
	g, ok := s.at(r).groups.live(lower(in.ReplicationGroupId), r.Now)
	if !ok {
		return nil, noGroup(in.ReplicationGroupId)
	}
	known := awselasticache.ModifyReplicationGroupInput{ReplicationGroupId: in.ReplicationGroupId, ApplyImmediately: in.ApplyImmediately,
		SnapshotRetentionLimit: in.SnapshotRetentionLimit, SnapshotWindow: in.SnapshotWindow, SnapshottingClusterId: in.SnapshottingClusterId}
	if fmt.Sprintf("%+v", known) != fmt.Sprintf("%+v", *in) {
		return nil, errors.New("awssim: ModifyReplicationGroup is simulated for SnapshotRetentionLimit, SnapshotWindow and SnapshottingClusterId only")
	}
	if status := g.status(r.Now); status != "available" {
		return nil, awssim.Fail("InvalidReplicationGroupState", "Replication group %s must be in the available state: its status is %s.", g.id, status)
	}
	w := wish{in.SnapshotRetentionLimit, in.SnapshotWindow, nil}
	if in.SnapshottingClusterId != nil {
		source := lower(in.SnapshottingClusterId)
		if g.clusterMode || !slices.ContainsFunc(g.members(), func(c *cluster) bool { return c.id == source }) {
			return nil, awssim.Fail("InvalidParameterCombination", "SnapshottingClusterId %s can not be used with replication group %s.", source, g.id)
		}
		w.source = &source
	}
	to, nothing, err := w.resolve(g.dailyNow(r.Now), g.clusterMode)
	if err != nil {
		return nil, err
	}
	if nothing {
		return nil, noModification()
	}
	g.changes.set(r, g.id, g.maintenance, to, aws.ToBool(in.ApplyImmediately))
	o := g.describe(r)
	return &awselasticache.ModifyReplicationGroupOutput{ReplicationGroup: &o}, nil
}

func (s *ElastiCache) modifyCacheCluster(r *awssim.Request, in *awselasticache.ModifyCacheClusterInput) (*awselasticache.ModifyCacheClusterOutput, error) {
	c, ok := s.at(r).clusters.live(lower(in.CacheClusterId), r.Now)
	if !ok {
		return nil, noCluster(in.CacheClusterId)
	}
	known := awselasticache.ModifyCacheClusterInput{CacheClusterId: in.CacheClusterId, ApplyImmediately: in.ApplyImmediately,
		SnapshotRetentionLimit: in.SnapshotRetentionLimit, SnapshotWindow: in.SnapshotWindow}
	if fmt.Sprintf("%+v", known) != fmt.Sprintf("%+v", *in) || c.group != nil || c.engine == "memcached" {
		return nil, errors.New("awssim: ModifyCacheCluster is simulated for SnapshotRetentionLimit and SnapshotWindow of single clusters only")
	}
	if status := c.status(r.Now); status != "available" {
		return nil, awssim.Fail("InvalidCacheClusterState", "Cache cluster %s is not in the available state: its status is %s.", c.id, status)
	}
	to, nothing, err := wish{in.SnapshotRetentionLimit, in.SnapshotWindow, nil}.resolve(c.dailyNow(r.Now), true)
	if err != nil {
		return nil, err
	}
	if nothing {
		return nil, noModification()
	}
	c.changes.set(r, c.id, c.maintenance, to, aws.ToBool(in.ApplyImmediately))
	o := c.describe(r, false)
	return &awselasticache.ModifyCacheClusterOutput{CacheCluster: &o}, nil
}

func (g *group) dailyNow(t time.Time) daily {
	made := daily{retention: g.retention, window: g.window}
	if !g.clusterMode && g.retention > 0 {
		made.source = g.shards[0].members[len(g.shards[0].members)-1].id
	}
	d := g.changes.dailyAt(t, made)
	d.at = time.Time{}
	return d
}

func (c *cluster) dailyNow(t time.Time) daily {
	d := c.changes.dailyAt(t, daily{retention: c.retention, window: c.window})
	d.at = time.Time{}
	return d
}

// pending makes what the API shows of a change that waits.
func (c *changes) pending(t time.Time) *ectypes.PendingModifiedValues {
	if n := c.pendingAt(t); n != "" {
		return &ectypes.PendingModifiedValues{CacheNodeType: &n}
	}
	return nil
}

// Upgrade has somebody ask for another node type of a cluster or of all members of a group at the next maintenance: a change that waits, and that
// whoever applies a change at once applies too.
func (s *ElastiCache) Upgrade(w *awssim.World, account, region, id, nodeType string) (err error) {
	w.Do(account, region, func(r *awssim.Request) {
		p := s.at(r)
		if g, ok := p.groups.live(id, r.Now); ok {
			g.changes.upgrades = append(g.changes.upgrades, upgrade{r.Now, nodeType})
			return
		}
		c, ok := p.clusters.live(id, r.Now)
		if !ok {
			err = fmt.Errorf("elasticachesim: no cluster or replication group %q", id)
			return
		}
		c.changes.upgrades = append(c.changes.upgrades, upgrade{r.Now, nodeType})
	})
	return err
}

// SetDaily has somebody else set the automatic snapshots of a cluster, group or serverless cache, at once and without a call. The window is
// the time of day for a serverless cache.
func (s *ElastiCache) SetDaily(w *awssim.World, account, region, id string, retention int32, window string) (err error) {
	w.Do(account, region, func(r *awssim.Request) {
		p := s.at(r)
		if g, ok := p.groups.live(id, r.Now); ok {
			d := g.dailyNow(r.Now)
			g.changes.daily = append(g.changes.daily, daily{r.Now, retention, window, d.source})
			return
		}
		if x, ok := p.serverless.live(id, r.Now); ok {
			x.changes.daily = append(x.changes.daily, daily{r.Now, retention, window, ""})
			return
		}
		c, ok := p.clusters.live(id, r.Now)
		if !ok {
			err = fmt.Errorf("elasticachesim: no cluster, serverless cache or replication group %q", id)
			return
		}
		c.changes.daily = append(c.changes.daily, daily{r.Now, retention, window, ""})
	})
	return err
}
