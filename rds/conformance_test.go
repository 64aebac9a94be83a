package rds_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/backuptest"
	"github.com/snapwarden/snapwarden/rds"
)

// conformance makes a Subject over a simulated AWS in which what is new stays invisible for lag.
func conformance(lag time.Duration) func(t testing.TB) *backuptest.Subject {
	return func(t testing.TB) *backuptest.Subject {
		b := newBench(t, t.Context())
		return b.subject(lag)
	}
}

// clusterConformance is conformance with an Aurora cluster.
func clusterConformance(lag time.Duration) func(t testing.TB) *backuptest.Subject {
	return func(t testing.TB) *backuptest.Subject {
		b := newBench(t, t.Context())
		b.makeCluster("main", "")
		s := b.subject(lag)
		s.Resource, s.Missing = rds.Cluster(account, region, "main"), rds.Cluster(account, region, "no-such-cluster")
		elsewhere, others := s.Resource, s.Resource
		elsewhere.Region, others.Account = "eu-central-1", foreign
		s.Unserved = []backup.Ref{elsewhere, others}
		s.Malformed = []backup.Ref{rds.Cluster(account, region, "0rders"), rds.Cluster(account, region, "main-"), rds.Cluster(account, region, strings.Repeat("a", 64))}
		s.Spec = func(action backup.Action, token string) backup.Spec {
			if action != backup.ActionRestore {
				return backup.Spec{}
			}
			o := clusterOptions()
			o.ID = "from-" + strings.Trim(token[:min(len(token), 20)], "-")
			o.Instances[0].ID, o.Instances[1].ID = o.ID+"-a", o.ID+"-b"
			return backup.Spec{Options: o}
		}
		o := clusterOptions()
		s.BadSpecs = map[backup.Action][]backup.Spec{
			backup.ActionBackup:  {{Name: "no--name"}, {Name: "*"}, {Name: strings.Repeat("a", 64)}},
			backup.ActionRestore: {{}, {Options: rds.RestoreClusterOptions{}}, {Options: rds.RestoreClusterOptions{ID: "x"}}, {Options: &o}, {Options: options()}},
			backup.ActionDelete:  {{Options: &rds.DeleteOptions{}}},
		}
		s.Count = func(id string) int { return len(b.madeOfClusters(id)) }
		s.Parts = map[backup.Action]int{backup.ActionRestore: 3}
		return s
	}
}

func (b *bench) subject(lag time.Duration) *backuptest.Subject {
	b.world.SetLag(lag)
	b.world.SetPageLimit(2)
	b.world.KeepCalls(false)
	var mu sync.Mutex // guards the two
	total, mutating := 0, 0
	b.world.Watch(func(c awssim.Call) {
		mu.Lock()
		defer mu.Unlock()
		total++
		if c.Mutates {
			mutating++
		}
	})
	// fault hits the next call that changes something.
	fault := func(kind awssim.FaultKind) {
		for _, operation := range []string{"CreateDBSnapshot", "DeleteDBSnapshot", "RestoreDBInstanceFromDBSnapshot", "CreateDBClusterSnapshot",
			"DeleteDBClusterSnapshot", "RestoreDBClusterFromSnapshot", "CreateDBInstance", "CopyDBSnapshot", "CopyDBClusterSnapshot"} {
			b.world.Inject(awssim.Fault{Service: "RDS", Operation: operation, Kind: kind, Do: b.world.Heal})
		}
	}
	elsewhere, others := b.orders, b.orders
	elsewhere.Region, others.Account = "eu-central-1", foreign
	open := func() backup.Strategy { return b.strategy() }
	o := options()
	return &backuptest.Subject{
		Strategy:  open(),
		Restart:   open,
		Resource:  b.orders,
		Tags:      map[string]string{"backup": "daily"},
		Missing:   rds.Instance(account, region, "no-such-instance"),
		Malformed: []backup.Ref{rds.Instance(account, region, "0rders"), rds.Instance(account, region, "orders-"), rds.Instance(account, region, "or--ders")},
		Unserved:  []backup.Ref{elsewhere, others},
		Spec: func(action backup.Action, token string) backup.Spec {
			if action != backup.ActionRestore {
				return backup.Spec{}
			}
			o := o
			o.ID = "from-" + strings.Trim(token[:min(len(token), 20)], "-")
			return backup.Spec{Options: o}
		},
		BadSpecs: map[backup.Action][]backup.Spec{
			backup.ActionBackup:  {{Name: "no--name"}, {Name: "*"}},
			backup.ActionRestore: {{}, {Options: rds.RestoreOptions{}}, {Options: rds.RestoreOptions{ID: "x"}}, {Options: &o}},
			backup.ActionDelete:  {{Options: &rds.DeleteOptions{}}},
		},
		AllowForeign: rds.DeleteOptions{AllowForeign: true},
		Count: func(id string) int {
			snapshots, instances := b.made(backup.Operation{ID: id})
			return len(snapshots) + len(instances)
		},
		Exists: func(r backup.Ref) bool {
			for _, s := range b.db.Snapshots(b.world, account, region) {
				if r.Type == rds.TypeSnapshot && s.ID == r.ID {
					return true
				}
			}
			for _, s := range b.db.ClusterSnapshots(b.world, account, region) {
				if r.Type == rds.TypeClusterSnapshot && s.ID == r.ID {
					return true
				}
			}
			for _, c := range b.db.Clusters(b.world, account, region) {
				if r.Type == rds.TypeCluster && c.ID == r.ID {
					return true
				}
			}
			for _, i := range b.db.Instances(b.world, account, region) {
				if r.Type == rds.TypeInstance && i.ID == r.ID {
					return true
				}
			}
			return false
		},
		Calls:     func() (int, int) { mu.Lock(); defer mu.Unlock(); return total, mutating },
		LoseReply: func() { fault(awssim.FaultLostReply) },
		DieAfter:  func() { fault(awssim.FaultDieAfter) },
		FailLater: func() { fault(awssim.FaultAsync) },
		Vanish: func(point backup.Ref) {
			if point.Type == rds.TypeClusterSnapshot {
				b.db.LoseClusterSnapshot(b.world, account, region, point.ID)
			} else {
				b.db.LoseSnapshot(b.world, account, region, point.ID)
			}
		},
	}
}

func TestConformance(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(0)})
}

// What is new stays invisible for two minutes here.
func TestConformanceLag(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(2 * time.Minute)})
}

func TestConformanceCluster(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: clusterConformance(0)})
}

func TestConformanceClusterLag(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: clusterConformance(2 * time.Minute)})
}
