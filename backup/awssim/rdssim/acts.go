package rdssim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// SetQuotas sets the number of manual snapshots and of instances that each account may have in each Region; 0 leaves one as it is.
func (s *RDS) SetQuotas(w *awssim.World, snapshots, instances int) {
	w.Do("", "", func(*awssim.Request) {
		if snapshots > 0 {
			s.snapshotQuota = snapshots
		}
		if instances > 0 {
			s.instanceQuota = instances
		}
	})
}

// SeedInstances makes n encrypted PostgreSQL instances named prefix-00001 and so on that are available at once, with the given tags.
// No quota stops it, but the instances count afterwards: see SetQuotas. It gives their identifiers.
func (s *RDS) SeedInstances(w *awssim.World, account, reg, prefix string, n int, tags map[string]string) []string {
	ids := make([]string, 0, n)
	w.Do(account, reg, func(r *awssim.Request) {
		g := s.in(r)
		arn, err := key(r, "")
		if err != nil {
			panic(fmt.Sprintf("rdssim: SeedInstances: %v", err))
		}
		for k := range n {
			id := fmt.Sprintf("%s-%05d", prefix, k+1)
			v := settings{class: "db.t4g.medium", port: 5432, allocated: 20, retention: 1, storageType: "gp3", network: "IPV4", zone: zone(r, k),
				groups: []string{g.subnetGroups["default"].defaultGroup()}, parameterGroup: "default.postgres16", optionGroup: "default:postgres-16"}
			i := &instance{id: id, engine: "postgres", version: "16.3", user: "postgres", subnets: g.subnetGroups["default"], encrypted: true, key: arn, ready: r.Now}
			g.newInstance(r, i, v, tags)
			i.lag = 0
			ids = append(ids, id)
		}
	})
	return ids
}

// SeedSnapshots makes n available manual snapshots of an instance: the first was taken at the given time, the others follow at the given
// interval. They are named after the instance and a number. No quota stops it, but they count afterwards: see SetQuotas. It gives their
// identifiers.
func (s *RDS) SeedSnapshots(w *awssim.World, account, reg, name string, n int, first time.Time, every time.Duration, tags map[string]string) []string {
	ids := make([]string, 0, n)
	s.withInstance(w, account, reg, name, func(r *awssim.Request, g *region, i *instance) {
		for k := range n {
			id := fmt.Sprintf("%s-%s-%06d", i.id, first.UTC().Format("20060102-150405"), k+1)
			made := first.Add(time.Duration(k) * every).UTC()
			p := g.keep(r, i, id, manual, made, made, tags)
			p.lag = 0
			ids = append(ids, id)
		}
	})
	return ids
}

// AddAutomatedSnapshot makes an automated snapshot of an instance as RDS does in the backup window, taken and complete at the given time. It
// gives its identifier, such as "rds:orders-2026-11-20-03-10".
func (s *RDS) AddAutomatedSnapshot(w *awssim.World, account, reg, name string, at time.Time) string {
	return s.addOther(w, account, reg, name, at, automated, "rds:")
}

// AddBackupServiceSnapshot makes a snapshot of an instance as the service AWS Backup does. It gives its identifier, which begins with
// "awsbackup:job-".
func (s *RDS) AddBackupServiceSnapshot(w *awssim.World, account, reg, name string, at time.Time) string {
	return s.addOther(w, account, reg, name, at, awsbackup, "awsbackup:job-")
}

func (s *RDS) addOther(w *awssim.World, account, reg, name string, at time.Time, kind, prefix string) (id string) {
	s.withInstance(w, account, reg, name, func(r *awssim.Request, g *region, i *instance) {
		id = prefix + i.id + "-" + at.UTC().Format("2006-01-02-15-04")
		g.keep(r, i, id, kind, at.UTC(), at.UTC(), nil).lag = 0
	})
	return id
}

// withInstance acts on an instance that must exist.
func (s *RDS) withInstance(w *awssim.World, account, reg, id string, f func(*awssim.Request, *region, *instance)) {
	w.Do(account, reg, func(r *awssim.Request) {
		g := s.in(r)
		i, ok := g.instances.truth(r, named(r, "db", id))
		if !ok {
			panic(fmt.Sprintf("rdssim: there is no instance %s in %s, %s", id, account, reg))
		}
		f(r, g, i)
	})
}

// SetStatus has AWS hold an available instance in a state, such as "maintenance", "storage-optimization" or "stopped", for a time from now.
func (s *RDS) SetStatus(w *awssim.World, account, reg, name, status string, d time.Duration) {
	s.withInstance(w, account, reg, name, func(r *awssim.Request, _ *region, i *instance) {
		i.busy(r.Now, r.Now.Add(r.Scale(d)), status)
	})
}

// LoseSnapshot has a snapshot disappear now, whatever its type and state, as the API would not allow.
func (s *RDS) LoseSnapshot(w *awssim.World, account, reg, name string) {
	w.Do(account, reg, func(r *awssim.Request) {
		g := s.in(r)
		p, ok := g.snapshots.truth(r, named(r, "snapshot", name))
		if !ok {
			return
		}
		if p.kind == manual && p.deleting.IsZero() {
			g.manual--
		}
		p.deleting, p.gone = r.Now, r.Now
	})
}

// SetSnapshotStatus has AWS show a snapshot in a state, such as "copying" or one that nobody knows, for a time from now.
func (s *RDS) SetSnapshotStatus(w *awssim.World, account, reg, name, status string, d time.Duration) {
	w.Do(account, reg, func(r *awssim.Request) {
		if p, ok := s.in(r).snapshots.truth(r, named(r, "snapshot", name)); ok {
			p.spans = append(p.spans, span{r.Now, r.Now.Add(r.Scale(d)), status})
		}
	})
}

// Expose has somebody else change who reaches an instance, in whatever state it is.
func (s *RDS) Expose(w *awssim.World, account, reg, name string, public bool, securityGroups ...string) {
	s.withInstance(w, account, reg, name, func(r *awssim.Request, _ *region, i *instance) {
		v := i.set.last()
		v.public, v.groups = public, slices.Clone(securityGroups)
		i.set.set(r.Now, v)
	})
}

// FailSnapshot has AWS fail a snapshot now, whatever its state.
func (s *RDS) FailSnapshot(w *awssim.World, account, reg, name string) {
	w.Do(account, reg, func(r *awssim.Request) {
		if p, ok := s.in(r).snapshots.truth(r, named(r, "snapshot", name)); ok {
			p.failed = true
			if r.Now.Before(p.ready) {
				p.ready = r.Now
			}
		}
	})
}

// Snapshot is the truth about one snapshot, for invariants.
type Snapshot struct {
	ID, ARN, Type, Status   string
	Instance, DbiResourceID string
	// Made is when the snapshot, or the copy, was begun, and Taken the time of a copy's data.
	Made, Ready, Taken    time.Time
	Encrypted             bool
	KMSKeyID, OptionGroup string
	Tags                  map[string]string
}

// Snapshots gives the truth about all snapshots that exist, sorted by identifier, whether calls can see them yet or not.
func (s *RDS) Snapshots(w *awssim.World, account, reg string) []Snapshot {
	var all []Snapshot
	w.Do(account, reg, func(r *awssim.Request) {
		g := s.in(r)
		for _, name := range g.snapshots.names.list() {
			if p, ok := g.snapshots.truth(r, name); ok {
				all = append(all, p.truth(r))
			}
		}
	})
	return all
}

func (p *snapshot) truth(r *awssim.Request) Snapshot {
	return Snapshot{ID: p.id, ARN: p.arn, Type: p.kind, Status: p.status(r.Now), Instance: p.instance, DbiResourceID: p.resource,
		Made: p.made, Ready: p.ready, Taken: p.taken, OptionGroup: p.optionGroup, Encrypted: p.encrypted, KMSKeyID: p.key, Tags: maps.Clone(p.tags.at(r.Now))}
}

// Instance is the truth about one instance, for invariants.
type Instance struct {
	ID, ARN, DbiResourceID, Status string
	Class, Engine                  string
	// Cluster is the identifier of the DB cluster that it belongs to.
	Cluster             string
	SubnetGroup         string
	SecurityGroups      []string
	PubliclyAccessible  bool
	Encrypted           bool
	KMSKeyID            string
	BackupRetentionDays int32
	BackupWindow        string
	Made, Ready         time.Time
	Tags                map[string]string
}

// Instances gives the truth about all instances that exist, sorted by identifier, whether calls can see them yet or not.
func (s *RDS) Instances(w *awssim.World, account, reg string) []Instance {
	var all []Instance
	w.Do(account, reg, func(r *awssim.Request) {
		g := s.in(r)
		for _, name := range g.instances.names.list() {
			if i, ok := g.instances.truth(r, name); ok {
				v := i.set.at(r.Now)
				all = append(all, Instance{ID: i.id, ARN: i.arn, DbiResourceID: i.resource, Status: i.status(r), Class: v.class, Engine: i.engine, Cluster: i.cluster,
					SubnetGroup: i.subnets.name, SecurityGroups: slices.Clone(v.groups), PubliclyAccessible: v.public, Encrypted: i.encrypted, KMSKeyID: i.key,
					BackupRetentionDays: v.retention, BackupWindow: v.window, Made: i.made, Ready: i.ready, Tags: maps.Clone(i.tags.at(r.Now))})
			}
		}
	})
	return all
}

// Rekey has a snapshot of an instance be encrypted under another key than it was made with, as the API would not allow; an empty key means that it is
// not encrypted.
func (s *RDS) Rekey(w *awssim.World, account, reg, name, keyARN string) {
	w.Do(account, reg, func(r *awssim.Request) {
		if p, ok := s.in(r).snapshots.truth(r, named(r, "snapshot", name)); ok {
			p.key, p.encrypted = keyARN, keyARN != ""
		}
	})
}

// MakeReplica makes an instance a read replica of another one in the same Region. (CreateDBInstanceReadReplica is not simulated.)
func (s *RDS) MakeReplica(w *awssim.World, account, reg, name, source string) {
	s.withInstance(w, account, reg, source, func(r *awssim.Request, g *region, from *instance) {
		if i, ok := g.instances.truth(r, named(r, "db", name)); ok && i != from {
			i.replicaOf = from.id
			from.replicas = append(from.replicas, i.id)
		}
	})
}

// StopReplication has a read replica replicate no more, as after an error.
func (s *RDS) StopReplication(w *awssim.World, account, reg, name string) {
	s.withInstance(w, account, reg, name, func(_ *awssim.Request, _ *region, i *instance) { i.stopped = true })
}
