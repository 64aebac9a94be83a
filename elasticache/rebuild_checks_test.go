package elasticache_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
)

// An answer without the snapshot's times can not show that it is the one that was looked at, nor that it is another: nothing is deleted, and nothing
// ends.
func TestRebuildWaitsForTheSnapshotsTimes(t *testing.T) {
	for name, hide := range map[string]func(s *ectypes.Snapshot){
		"no times": func(s *ectypes.Snapshot) {
			for i := range s.NodeSnapshots {
				s.NodeSnapshots[i].SnapshotCreateTime = nil
			}
		},
		"no parts": func(s *ectypes.Snapshot) { s.NodeSnapshots = nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.group("orders", 2, 1)
				left, parked, once := 0, false, false
				b.s = elasticache.NewFromConfig(alter(b.world.Config(account, region), func(result any) {
					if out, ok := result.(*awselasticache.DescribeSnapshotsOutput); ok && left > 0 {
						left--
						for i := range out.Snapshots {
							hide(&out.Snapshots[i])
						}
					}
				}))
				op := b.run(b.startRebuild(group("orders")), b.keepsData("orders", 2), func(op backup.Operation) {
					if op.Stage == "delete" && !once {
						once, left = true, 3
					}
					if once && left > 0 && b.deletions() > 0 {
						t.Error("deleted")
					}
					parked = parked || once && op.Stage == "verify" && findings(op)["elasticache.not-yet"]
				})
				b.succeeded(op)
				if !parked || left != 0 || b.deletions() != 1 {
					t.Errorf("parked %v, %d answers left, %d deletions", parked, left, b.deletions())
				}
			})
		})
	}
}

// What it has become part of since it was first looked at keeps it from being deleted.
func TestRebuildOfWhatCanNotBeAnyMore(t *testing.T) {
	for name, c := range map[string]struct {
		r      backup.Ref
		joined func(result any)
		code   backup.Code
	}{
		"a global datastore": {group("orders"), func(result any) {
			if out, ok := result.(*awselasticache.DescribeReplicationGroupsOutput); ok {
				for i := range out.ReplicationGroups {
					out.ReplicationGroups[i].GlobalReplicationGroupInfo = &ectypes.GlobalReplicationGroupInfo{GlobalReplicationGroupId: aws.String("world")}
				}
			}
		}, backup.ErrUnsupported},
		"a replication group": {cluster("one"), func(result any) {
			if out, ok := result.(*awselasticache.DescribeCacheClustersOutput); ok {
				for i := range out.CacheClusters {
					out.CacheClusters[i].ReplicationGroupId = aws.String("grown")
				}
			}
		}, backup.ErrInvalid},
	} {
		for _, stage := range []string{"verify", "delete", "sent"} {
			t.Run(name+", "+stage, func(t *testing.T) {
				bubble(t, func(b *bed) {
					fired := func() bool { return false }
					if stage == "sent" {
						// Whether the deletion was applied is not known: the error must tell where the data is.
						ill := awssim.Fault{Operation: "DeleteReplicationGroup", Kind: awssim.FaultError, Error: awssim.Error{Status: 500, Code: "InternalFailure", Message: "no"}}
						if c.r.Type == elasticache.TypeCluster {
							ill.Operation = "DeleteCacheCluster"
						}
						deletion := b.world.Inject(ill)
						fired = func() bool { return deletion.Fired() > 0 }
					}
					if c.r.Type == elasticache.TypeCluster {
						b.cluster(c.r.ID)
					} else {
						b.group(c.r.ID, 2, 1)
					}
					joined := false
					b.s = elasticache.NewFromConfig(alter(b.world.Config(account, region), func(result any) {
						if joined {
							c.joined(result)
						}
					}))
					op := b.run(b.startRebuild(c.r), func(op backup.Operation) {
						joined = joined || op.Stage == stage || fired()
					})
					b.failed(op, backup.PhaseFailed, c.code)
					if told := strings.Contains(op.Failure.Hint, "restore it with StartRestore"); told != (stage == "sent") {
						b.Errorf("hint %q", op.Failure.Hint)
					}
					if n := b.deletions(); n > 0 && stage != "sent" || !joined || len(op.Points) != 1 || op.Failure.Hint == "" {
						t.Errorf("%d deletions, points %v, %+v", n, op.Points, op.Failure)
					}
				})
			})
		}
	}
}

// One look that finds nothing is no proof that the old group is gone, nor are two that had another between them: nothing is restored under its id
// before.
func TestRebuildLooksTwiceForTheOld(t *testing.T) {
	for name, blind := range map[string][]bool{"once": {true}, "twice, and seen between": {true, false, true}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.group("orders", 2, 1)
				hide, hidden, looks := false, 0, 0
				b.s = elasticache.NewFromConfig(alter(b.world.Config(account, region), func(result any) {
					if !hide {
						return
					}
					switch out := result.(type) {
					case *awselasticache.DescribeReplicationGroupsOutput:
						hidden += len(out.ReplicationGroups)
						out.ReplicationGroups = nil
					case *awselasticache.DescribeCacheClustersOutput:
						out.CacheClusters = nil
					}
				}))
				op := b.run(b.startRebuild(group("orders")), b.keepsData("orders", 2), func(op backup.Operation) {
					if hide = false; op.Stage == "gone" {
						hide = looks < len(blind) && blind[looks]
						looks++
					}
					if old := b.groupView("orders"); op.Stage == "restore" && old != nil && old.Status == "deleting" {
						t.Errorf("it is restored while the old one is %s", old.Status)
					}
				})
				b.succeeded(op)
				want := 0
				for _, h := range blind {
					if h {
						want++
					}
				}
				if hidden != want || looks < len(blind)+2 || b.sent("CreateReplicationGroup") != 2 {
					t.Errorf("hidden %d times in %d looks, %d creations", hidden, looks, b.sent("CreateReplicationGroup"))
				}
			})
		})
	}
}

// Without a Store a first attempt may be the second: the process before it died when it had sent the deletion. That one is its own, and not
// somebody else's.
func TestRebuildAfterADeathWithoutAStore(t *testing.T) {
	for name, c := range map[string]struct {
		r    backup.Ref
		away time.Duration
	}{
		"a group, while it goes":   {r: group("orders")},
		"a group, when it is gone": {r: group("orders"), away: 40 * time.Minute},
		"a cluster":                {r: cluster("one")},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				if c.r.Type == elasticache.TypeCluster {
					b.cluster(c.r.ID)
				} else {
					b.group(c.r.ID, 2, 1)
				}
				op := b.startRebuild(c.r)
				op.Unstored = true
				for op.Stage != "delete" {
					var err error
					op, err = step(b.TB, b.s, op)
					b.ok(err)
					time.Sleep(time.Until(op.Poll))
				}
				if _, err := step(b.TB, b.s, op); err != nil || b.deletions() != 1 {
					t.Fatalf("%d deletions: %v", b.deletions(), err)
				}
				time.Sleep(c.away)
				op = b.run(op) // from what it was before
				b.succeeded(op)
				if b.deletions() != 1 || len(op.Points) != 1 {
					t.Errorf("%d deletions, points %v", b.deletions(), op.Points)
				}
			})
		})
	}
}
