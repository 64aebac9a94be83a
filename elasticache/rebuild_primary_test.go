package elasticache_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
)

// What is deleted is the primary's data, so what is kept is the primary's too, however far a replica lags.
func TestRebuildTakesThePrimary(t *testing.T) {
	for name, c := range map[string]struct {
		failover string
		from     string
	}{
		"as it was made":   {from: "plain-001"},
		"after a failover": {failover: "plain-003", from: "plain-003"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.group("plain", 0, 2)
				if c.failover != "" {
					b.ok(b.sim.Failover(b.world, account, region, "plain", c.failover))
				}
				op := b.startRebuild(group("plain"))
				found, err := b.s.Preflight(b.Context(), op)
				b.ok(err)
				told := false
				for _, f := range found {
					told = told || f.ID == "elasticache.from-primary" && strings.Contains(f.Message, c.from)
				}
				op = b.run(op, b.keepsData("plain", 0))
				b.succeeded(op)
				out, err := b.api.DescribeSnapshots(b.Context(), &awselasticache.DescribeSnapshotsInput{SnapshotName: aws.String(op.Points[0].ID)})
				b.ok(err)
				if from := aws.ToString(out.Snapshots[0].CacheClusterId); from != c.from || !told {
					t.Errorf("the snapshot is of %s; preflight %+v", from, found)
				}
			})
		})
	}
	// An ordinary backup still spares the primary.
	bubble(t, func(b *bed) {
		b.group("plain", 0, 2)
		op, err := b.s.Start(b.Context(), group("plain"), backup.Spec{Token: "t"})
		b.ok(err)
		b.succeeded(b.run(op))
		if all := b.snapshots(); len(all) != 1 || all[0].Cluster != "plain-002" {
			t.Errorf("%+v", all)
		}
	})
}

// When another member has become the primary since, the snapshot may lack what that one has: nothing is deleted.
func TestRebuildAfterAFailover(t *testing.T) {
	for _, stage := range []string{"verify", "delete"} {
		t.Run(stage, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.group("plain", 0, 2)
				over := false
				op := b.run(b.startRebuild(group("plain")), func(op backup.Operation) {
					if op.Stage == stage && !over {
						over = true
						b.ok(b.sim.Failover(b.world, account, region, "plain", "plain-002"))
					}
				})
				b.failed(op, backup.PhaseFailed, backup.ErrFailed)
				if b.deletions() != 0 || !over || !strings.Contains(op.Failure.Message, "plain-001") {
					t.Errorf("%d deletions, %+v", b.deletions(), op.Failure)
				}
			})
		})
	}
}

// While the roles are not told, as in a failover, nothing is deleted and nothing ends.
func TestRebuildWaitsForTheRoles(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("plain", 0, 2)
		hide, parked := 0, false
		b.s = elasticache.NewFromConfig(alter(b.world.Config(account, region), func(result any) {
			if out, ok := result.(*awselasticache.DescribeReplicationGroupsOutput); ok && hide > 0 {
				hide--
				for _, g := range out.ReplicationGroups {
					for _, n := range g.NodeGroups {
						for i := range n.NodeGroupMembers {
							n.NodeGroupMembers[i].CurrentRole = nil
						}
					}
				}
			}
		}))
		once := false
		op := b.run(b.startRebuild(group("plain")), func(op backup.Operation) {
			if op.Stage == "verify" && !once {
				once, hide = true, 3
			}
			if hide > 0 && hide < 3 && b.deletions() > 0 {
				t.Error("deleted")
			}
			parked = parked || op.Stage == "verify" && findings(op)["elasticache.not-yet"]
		})
		b.succeeded(op)
		if !parked || hide != 0 {
			t.Errorf("parked %v, %d looks left", parked, hide)
		}
	})
}
