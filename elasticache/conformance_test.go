package elasticache_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/backuptest"
	"github.com/snapwarden/snapwarden/elasticache"
)

var conformanceTags = map[string]string{"team": "orders"}

// conformance makes a Subject over a simulated AWS. make creates what is backed up, with conformanceTags.
func conformance(resource, missing backup.Ref, lag time.Duration, make func(*bed), served func(*bed) backup.Strategy) func(t testing.TB) *backuptest.Subject {
	return func(t testing.TB) *backuptest.Subject {
		b := newBed(t)
		make(b)
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
			for _, operation := range []string{"CreateSnapshot", "CreateReplicationGroup", "CreateCacheCluster", "DeleteSnapshot",
				"CreateServerlessCacheSnapshot", "CreateServerlessCache", "DeleteServerlessCacheSnapshot"} {
				b.world.Inject(awssim.Fault{Service: "ElastiCache", Operation: operation, Kind: kind, Do: b.world.Heal})
			}
		}
		elsewhere, others, malformed, capital := resource, resource, resource, resource
		elsewhere.Region, others.Account, malformed.ID, capital.ID = "eu-central-1", "444455556666", "a--b", "Orders"
		return &backuptest.Subject{
			Strategy:  served(b),
			Restart:   func() backup.Strategy { return served(b) },
			Resource:  resource,
			Tags:      conformanceTags,
			Missing:   missing,
			Malformed: []backup.Ref{malformed, capital},
			Unserved:  []backup.Ref{elsewhere, others},
			Spec: func(action backup.Action, token string) backup.Spec {
				if id := "r" + backup.NewToken(resource, token)[3:20]; action == backup.ActionRestore && resource.Type == elasticache.TypeServerless {
					return backup.Spec{Options: elasticache.ServerlessOptions{Name: id, SecurityGroups: []string{"sg-1"}}}
				} else if action == backup.ActionRestore {
					return backup.Spec{Options: elasticache.RestoreOptions{SecurityGroups: []string{"sg-1"}, ID: id}}
				}
				return backup.Spec{}
			},
			BadSpecs: map[backup.Action][]backup.Spec{
				backup.ActionBackup:  {{Name: "a--b"}, {Options: &elasticache.BackupOptions{}}, {Options: elasticache.BackupOptions{KMSKeyID: "*"}}},
				backup.ActionRestore: {{}, {Options: elasticache.RestoreOptions{}}, {Options: elasticache.RestoreOptions{ID: "new"}}, {Options: elasticache.BackupOptions{}}, {Options: elasticache.ServerlessOptions{}}},
				backup.ActionDelete:  {{Name: "orders"}, {Options: &elasticache.DeleteOptions{}}},
			},
			AllowForeign: elasticache.DeleteOptions{AllowForeign: true},
			Count: func(id string) (n int) {
				for _, c := range b.sim.ServerlessCaches(b.world, account, region) {
					if c.Tags[backup.TagToken] == id && c.Status != "deleting" {
						n++
					}
				}
				for _, x := range append(b.snapshots(), b.serverlessSnapshots()...) {
					if x.Tags[backup.TagToken] == id && x.Status != "deleting" {
						n++
					}
				}
				for _, g := range b.sim.Groups(b.world, account, region) {
					if g.Tags[backup.TagToken] == id && g.Status != "deleting" {
						n++
					}
				}
				for _, c := range b.sim.Clusters(b.world, account, region) {
					if c.Tags[backup.TagToken] == id && c.Group == "" && c.Status != "deleting" {
						n++
					}
				}
				return n
			},
			Exists: func(r backup.Ref) bool {
				switch r.Type {
				case elasticache.TypeServerless:
					return b.serverlessView(r.ID) != nil
				case elasticache.TypeServerlessSnapshot:
					for _, x := range b.serverlessSnapshots() {
						if x.Name == r.ID {
							return true
						}
					}
				case elasticache.TypeSnapshot:
					for _, x := range b.snapshots() {
						if x.Name == r.ID {
							return true
						}
					}
				case elasticache.TypeCluster:
					return b.clusterView(r.ID) != nil
				case elasticache.TypeReplicationGroup:
					return b.groupView(r.ID) != nil
				}
				return false
			},
			Calls:     func() (int, int) { mu.Lock(); defer mu.Unlock(); return total, mutating },
			LoseReply: func() { fault(awssim.FaultLostReply) },
			DieAfter:  func() { fault(awssim.FaultDieAfter) },
			FailLater: func() { fault(awssim.FaultAsync) },
			Vanish:    func(point backup.Ref) { b.ok(b.sim.Vanish(b.world, account, region, point.ID)) },
		}
	}
}

func ownConfig(b *bed) backup.Strategy {
	return elasticache.NewFromConfig(b.world.Config(account, region))
}

// provided serves what its provider has a client for.
func provided(b *bed) backup.Strategy {
	return elasticache.New(func(_ context.Context, a, r string) (*awselasticache.Client, error) {
		if a != account || r != region {
			return nil, errors.New("no credentials for account " + a + " in " + r)
		}
		return awselasticache.NewFromConfig(b.world.Config(a, r)), nil
	})
}

func tagged(in *awselasticache.CreateReplicationGroupInput) {
	for k, v := range conformanceTags {
		in.Tags = append(in.Tags, ectypes.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
}

func TestConformanceGroup(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(group("sessions"), group("none"), 0, func(b *bed) { b.group("sessions", 0, 1, tagged) }, ownConfig)})
}

func TestConformanceClusterMode(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(group("orders"), group("none"), 0, func(b *bed) { b.group("orders", 2, 1, tagged) }, provided)})
}

func TestConformanceCluster(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(cluster("one"), cluster("none"), 0, func(b *bed) {
		b.cluster("one", func(in *awselasticache.CreateCacheClusterInput) {
			in.Tags = []ectypes.Tag{{Key: aws.String("team"), Value: aws.String("orders")}}
		})
	}, ownConfig)})
}

func TestConformanceServerless(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(serverless("web"), serverless("none"), 0, func(b *bed) {
		b.serverless("web", func(in *awselasticache.CreateServerlessCacheInput) {
			in.Tags = []ectypes.Tag{{Key: aws.String("team"), Value: aws.String("orders")}}
		})
	}, ownConfig)})
}

// What is new stays invisible for two minutes here.
func TestConformanceLag(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(group("orders"), group("none"), 2*time.Minute, func(b *bed) { b.group("orders", 2, 1, tagged) }, provided)})
}
