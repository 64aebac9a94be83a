package elasticache_test

import (
	"testing"
	"time"

	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
)

// When a snapshot was finished that nobody looked at is not known. What was written since must not be deleted.
func TestRebuildGap(t *testing.T) {
	for _, c := range []struct {
		name string
		away time.Duration
		want bool
	}{{"for most of an hour", 50 * time.Minute, true}, {"for longer", 62 * time.Minute, false}, {"until the next day", 15 * time.Hour, false}} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.group("plain", 0, 2)
				away := false
				op := b.run(b.startRebuild(group("plain")), func(op backup.Operation) {
					if s := b.snapshots(); op.Stage == "back up" && !away && len(s) == 1 && s[0].Status != "available" {
						away = true
						time.Sleep(c.away)
					}
				})
				if !away {
					t.Fatal("the snapshot was never unfinished")
				}
				if c.want {
					b.succeeded(op)
					return
				}
				b.failed(op, backup.PhaseFailed, backup.ErrUnavailable)
				if b.deletions() != 0 || len(op.Points) != 1 {
					t.Errorf("%d deletions, points %v", b.deletions(), op.Points)
				}
			})
		})
	}
}

// A process without a Store begins anew, and finds the snapshot that the one before it made: that counts from when it was begun.
func TestRebuildGapOfAnEarlierProcess(t *testing.T) {
	for away, want := range map[time.Duration]bool{20 * time.Minute: true, 7 * 24 * time.Hour: false} {
		t.Run(away.String(), func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.group("plain", 0, 2)
				op := b.startRebuild(group("plain"))
				op.Unstored = true
				for op.Stage != "verify" {
					var err error
					op, err = step(b.TB, b.s, op)
					b.ok(err)
					time.Sleep(time.Until(op.Poll))
				}
				time.Sleep(away)
				op = b.startRebuild(group("plain"))
				op.Unstored = true
				op = b.run(op)
				if b.sent("CreateSnapshot") != 1 {
					t.Fatalf("%d snapshots were asked for", b.sent("CreateSnapshot"))
				}
				if want {
					b.succeeded(op)
					return
				}
				b.failed(op, backup.PhaseFailed, backup.ErrUnavailable)
				if b.deletions() != 0 {
					t.Errorf("%d deletions", b.deletions())
				}
			})
		})
	}
}

// What is never told is not waited for longer than it could help.
func TestRebuildRolesNeverTold(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("plain", 0, 2)
		hide := false
		b.s = elasticache.NewFromConfig(alter(b.world.Config(account, region), func(result any) {
			if out, ok := result.(*awselasticache.DescribeReplicationGroupsOutput); ok && hide {
				for _, g := range out.ReplicationGroups {
					for _, n := range g.NodeGroups {
						for i := range n.NodeGroupMembers {
							n.NodeGroupMembers[i].CurrentRole = nil
						}
					}
				}
			}
		}))
		var began time.Time
		op := b.run(b.startRebuild(group("plain")), func(op backup.Operation) {
			if op.Stage == "verify" && !hide {
				hide, began = true, time.Now()
			}
		})
		b.failed(op, backup.PhaseFailed, backup.ErrUnavailable)
		if took := time.Since(began); took > 2*time.Hour || b.deletions() != 0 {
			t.Errorf("it took %v, with %d deletions", took, b.deletions())
		}
	})
}
