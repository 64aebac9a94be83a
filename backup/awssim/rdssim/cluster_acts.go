package rdssim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// withCluster acts on a cluster that must exist.
func (s *RDS) withCluster(w *awssim.World, account, reg, id string, f func(*awssim.Request, *region, *cluster)) {
	w.Do(account, reg, func(r *awssim.Request) {
		g := s.in(r)
		c, ok := g.clusters.truth(r, named(r, "cluster", id))
		if !ok {
			panic(fmt.Sprintf("rdssim: there is no cluster %s in %s, %s", id, account, reg))
		}
		f(r, g, c)
	})
}

// SetClusterStatus has AWS hold an available cluster in a state, such as "maintenance" or "stopped", for a time from now.
func (s *RDS) SetClusterStatus(w *awssim.World, account, reg, name, status string, d time.Duration) {
	s.withCluster(w, account, reg, name, func(r *awssim.Request, _ *region, c *cluster) {
		c.busy(r.Now, r.Now.Add(r.Scale(d)), status)
	})
}

// ExposeCluster has somebody else change who reaches a cluster, in whatever state it is.
func (s *RDS) ExposeCluster(w *awssim.World, account, reg, name string, public bool, securityGroups ...string) {
	s.withCluster(w, account, reg, name, func(r *awssim.Request, _ *region, c *cluster) {
		v := c.set.last()
		v.public, v.groups = public, slices.Clone(securityGroups)
		c.set.set(r.Now, v)
	})
}

// AddAutomatedClusterSnapshot makes an automated snapshot of a cluster as RDS does in the backup window, complete at once. It gives its
// identifier, such as "rds:main-2026-11-20-03-10".
func (s *RDS) AddAutomatedClusterSnapshot(w *awssim.World, account, reg, name string) string {
	return s.addOtherCluster(w, account, reg, name, automated, "rds:")
}

// AddBackupServiceClusterSnapshot makes a snapshot of a cluster as the service AWS Backup does, complete at once. It gives its identifier, which
// begins with "awsbackup:job-".
func (s *RDS) AddBackupServiceClusterSnapshot(w *awssim.World, account, reg, name string) string {
	return s.addOtherCluster(w, account, reg, name, awsbackup, "awsbackup:job-")
}

func (s *RDS) addOtherCluster(w *awssim.World, account, reg, name, kind, prefix string) (id string) {
	s.withCluster(w, account, reg, name, func(r *awssim.Request, g *region, c *cluster) {
		id = prefix + c.id + "-" + r.Now.UTC().Format("2006-01-02-15-04")
		p := g.keepCluster(r, c, id, kind, nil)
		p.lag, p.ready = 0, r.Now
	})
	return id
}

// LoseClusterSnapshot has a snapshot of a cluster disappear now, whatever its type and state, as the API would not allow.
func (s *RDS) LoseClusterSnapshot(w *awssim.World, account, reg, name string) {
	s.withClusterSnapshot(w, account, reg, name, func(r *awssim.Request, g *region, p *snapshot) {
		if p.kind == manual && p.deleting.IsZero() {
			g.manualClusters--
		}
		p.deleting, p.gone = r.Now, r.Now
	})
}

// SetClusterSnapshotStatus has AWS show a snapshot of a cluster in a state for a time from now.
func (s *RDS) SetClusterSnapshotStatus(w *awssim.World, account, reg, name, status string, d time.Duration) {
	s.withClusterSnapshot(w, account, reg, name, func(r *awssim.Request, _ *region, p *snapshot) {
		p.spans = append(p.spans, span{r.Now, r.Now.Add(r.Scale(d)), status})
	})
}

func (s *RDS) withClusterSnapshot(w *awssim.World, account, reg, name string, f func(*awssim.Request, *region, *snapshot)) {
	w.Do(account, reg, func(r *awssim.Request) {
		g := s.in(r)
		if p, ok := g.clusterSnapshots.truth(r, named(r, "cluster-snapshot", name)); ok {
			f(r, g, p)
		}
	})
}

// ClusterSnapshots gives the truth about all snapshots of clusters that exist, sorted by identifier, whether calls can see them yet or not.
// Instance and DbiResourceID are the cluster's identifier and its DbClusterResourceId.
func (s *RDS) ClusterSnapshots(w *awssim.World, account, reg string) []Snapshot {
	var all []Snapshot
	w.Do(account, reg, func(r *awssim.Request) {
		g := s.in(r)
		for _, name := range g.clusterSnapshots.names.list() {
			if p, ok := g.clusterSnapshots.truth(r, name); ok {
				all = append(all, p.truth(r))
			}
		}
	})
	return all
}

// Cluster is the truth about one cluster, for invariants.
type Cluster struct {
	ID, ARN, DbClusterResourceID, Status string
	Engine, SubnetGroup                  string
	SecurityGroups                       []string
	PubliclyAccessible                   bool
	Encrypted                            bool
	KMSKeyID                             string
	// Members are the identifiers of its instances that exist, in the order in which they were made.
	Members             []string
	BackupRetentionDays int32
	BackupWindow        string
	Made, Ready         time.Time
	Tags                map[string]string
}

// Clusters gives the truth about all clusters that exist, sorted by identifier, whether calls can see them yet or not.
func (s *RDS) Clusters(w *awssim.World, account, reg string) []Cluster {
	var all []Cluster
	w.Do(account, reg, func(r *awssim.Request) {
		g := s.in(r)
		for _, name := range g.clusters.names.list() {
			c, ok := g.clusters.truth(r, name)
			if !ok {
				continue
			}
			v := c.set.at(r.Now)
			x := Cluster{ID: c.id, ARN: c.arn, DbClusterResourceID: c.resource, Status: c.status(r), Engine: c.engine, SubnetGroup: c.subnets.name,
				SecurityGroups: slices.Clone(v.groups), PubliclyAccessible: v.public, Encrypted: c.encrypted, KMSKeyID: c.key, BackupRetentionDays: v.retention, BackupWindow: v.window, Made: c.made, Ready: c.ready,
				Tags: maps.Clone(c.tags.at(r.Now))}
			for _, i := range g.members(r, c, g.instances.truth) {
				x.Members = append(x.Members, i.id)
			}
			all = append(all, x)
		}
	})
	return all
}
