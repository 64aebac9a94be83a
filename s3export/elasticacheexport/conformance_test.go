package elasticacheexport_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/backuptest"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// conformance makes a Subject over a simulated AWS in which what is new stays invisible for lag. what, a snapshot or a group, has so many shards.
func conformance(what backup.Ref, shards int, lag time.Duration) func(t testing.TB) *backuptest.Subject {
	return func(t testing.TB) *backuptest.Subject {
		b := newBed(t.(*testing.T))
		// Of a serverless cache the files are called after the snapshot, and the snapshots are others.
		serverless, snapshots, typ := what.Type == elasticache.TypeServerless, b.cache.Snapshots, elasticache.TypeSnapshot
		if serverless {
			b.web()
			snapshots, typ = b.cache.ServerlessSnapshots, elasticache.TypeServerlessSnapshot
		}
		b.bucket(bucket, all...)
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
			for _, operation := range []string{"CreateSnapshot", "DeleteSnapshot", "CopySnapshot", "CreateServerlessCacheSnapshot", exportServerless, "PutObject"} {
				b.world.Inject(awssim.Fault{Operation: operation, Kind: kind, Do: b.world.Heal})
			}
		}
		// objects are those of one export by its name, also such as are still being written.
		objects := func(name string) (keys []string) {
			for _, k := range b.keys() {
				if strings.HasPrefix(k, name) {
					keys = append(keys, k)
				}
			}
			return keys
		}
		live := what.Type != elasticache.TypeSnapshot
		missing, malformed, elsewhere, others := what, what, what, what
		missing.ID, malformed.ID, elsewhere.Region, others.Account = "none", "Sharded", "eu-central-1", "444455556666"
		good := elasticacheexport.Options{Bucket: bucket}
		s := &backuptest.Subject{
			Strategy:  b.s,
			Restart:   func() backup.Strategy { return elasticacheexport.NewFromConfig(b.world.Config(account, region)) },
			Starts:    backup.ActionExport,
			MaxTags:   -1,
			Resource:  what,
			Missing:   missing,
			Malformed: []backup.Ref{malformed, elasticacheexport.Export(account, region, bucket, "nightly")},
			Unserved:  []backup.Ref{elsewhere, others},
			Spec:      func(backup.Action, string) backup.Spec { return backup.Spec{Options: good} },
			BadSpecs: map[backup.Action][]backup.Spec{backup.ActionExport: {{}, {Options: &good}, {Options: elasticacheexport.Options{}},
				{Options: elasticacheexport.Options{Bucket: "my-*"}}, {Options: good, Name: "night/ly"}, {Options: good, Name: strings.Repeat("x", 1100)}}},
			Count: func(id string) int {
				n := len(objects(policy.ElastiCacheExportPrefix + strings.TrimPrefix(id, "op-")))
				if live {
					inner, err := backup.NewOperation(elasticache.Kind, backup.ActionBackup, what, backup.Spec{Token: id})
					b.ok(err)
					for _, x := range snapshots(b.world, account, region) {
						if x.Tags[backup.TagToken] == inner.ID && x.Status != "deleting" {
							n++
							if serverless {
								n += len(objects(x.Name))
							}
						}
					}
				}
				return n
			},
			Parts: map[backup.Action]int{backup.ActionExport: shards + 1}, // the manifest
			Exists: func(r backup.Ref) bool {
				switch r.Type {
				case elasticacheexport.TypeExport:
					m, err := s3export.ParseManifest(b.store.Content(b.world, region, bucket, strings.TrimPrefix(r.ID, bucket+"/")))
					return err == nil && len(m.Shards) == shards && !slices.ContainsFunc(m.Shards, func(x s3export.Shard) bool {
						return int64(len(b.store.Content(b.world, region, bucket, x.Key))) != x.Size
					})
				case typ:
					for _, x := range snapshots(b.world, account, region) {
						if x.Name == r.ID {
							return true
						}
					}
					return false
				}
				return r == what
			},
			Calls:     func() (int, int) { mu.Lock(); defer mu.Unlock(); return total, mutating },
			LoseReply: func() { fault(awssim.FaultLostReply) },
			DieAfter:  func() { fault(awssim.FaultDieAfter) },
			FailLater: func() { fault(awssim.FaultAsync) },
			Vanish: func(made backup.Ref) {
				if made.Type == typ {
					b.ok(b.cache.Vanish(b.world, account, region, made.ID))
					return
				}
				keys := objects(strings.TrimPrefix(made.ID, bucket+"/"))
				b.world.Do(account, region, func(r *awssim.Request) {
					for _, k := range keys {
						b.store.ServiceDrop(r, bucket, k)
					}
				})
			},
		}
		if live {
			s.MaxTags = 0                  // they go to the snapshot
			s.Parts[backup.ActionExport]++ // and that is one thing more
		}
		return s
	}
}

func TestConformance(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(elasticache.Snapshot(account, region, "sharded"), 3, 0)})
}

// What is new stays invisible for two minutes here.
func TestConformanceLag(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(elasticache.Snapshot(account, region, "sharded"), 3, 2*time.Minute)})
}

// A group is exported as it is: a snapshot is made first.
func TestConformanceGroup(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(elasticache.ReplicationGroup(account, region, "three"), 3, 0)})
}

func TestConformanceGroupLag(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(elasticache.ReplicationGroup(account, region, "three"), 3, 2*time.Minute)})
}

// A serverless cache is exported as it is, and its files are counted.
func TestConformanceServerless(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(web, 1, 0)})
}

func TestConformanceServerlessLag(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(web, 1, 2*time.Minute)})
}
