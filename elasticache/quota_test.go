package elasticache_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
)

// TestQuotas meets every quota of ElastiCache: the work ends at the first refusal, which says what is full and what can be done, and makes nothing.
// Where there is room again, another try succeeds. Those that the simulated service does not have are injected.
func TestQuotas(t *testing.T) {
	refuse := func(operation, code string) func(b *bed) {
		return func(b *bed) {
			b.world.Inject(awssim.Fault{Operation: operation, Kind: awssim.FaultError, Error: awssim.Error{Code: code, Message: "m"}})
		}
	}
	nodes := func(n int) func(b *bed) { return func(b *bed) { b.sim.SetNodeQuota(b.world, n) } }
	nextDay := func(*bed) { time.Sleep(25 * time.Hour) }
	healed := func(b *bed) { b.world.Heal() }
	startBackup := func(r backup.Ref) func(b *bed, token string) backup.Operation {
		return func(b *bed, token string) backup.Operation { return b.start(r, backup.Spec{Token: token}) }
	}
	startCopy := func(r backup.Ref) func(b *bed, token string) backup.Operation {
		return func(b *bed, token string) backup.Operation { return b.startCopy(r, backup.Spec{Token: token}) }
	}
	restore := func(r backup.Ref, o elasticache.RestoreOptions) func(b *bed, token string) backup.Operation {
		return func(b *bed, token string) backup.Operation {
			o := o
			o.ID, o.SecurityGroups = token, []string{"sg-new"}
			op, err := b.s.StartRestore(b.Context(), r, backup.Spec{Token: token, Options: o})
			b.ok(err)
			return op
		}
	}
	serverlessRestore := func(b *bed, token string) backup.Operation {
		op, err := b.s.StartRestore(b.Context(), serverlessSnapshot("s-web"), backup.Spec{Token: token, Options: elasticache.ServerlessOptions{Name: token, SecurityGroups: []string{"sg-1"}}})
		b.ok(err)
		return op
	}
	for _, c := range []struct {
		name string
		// code is AWS's, says what the hint must have in it, next the call that is refused.
		code, says, next string
		fill, room       func(b *bed)
		start            func(b *bed, token string) backup.Operation
	}{
		{"manual snapshots of a node", "SnapshotQuotaExceededFault", "20 manual snapshots", "CreateSnapshot",
			func(b *bed) {
				for i := range 20 {
					b.succeeded(b.run(b.start(cluster("one"), backup.Spec{Token: fmt.Sprint("t", i)})))
				}
			}, nextDay, startBackup(cluster("one"))},
		{"manual snapshots of a node of a group", "SnapshotQuotaExceededFault", "20 manual snapshots", "CreateSnapshot",
			func(b *bed) { b.sim.SetSnapshotQuota(b.world, 0) }, func(b *bed) { b.sim.SetSnapshotQuota(b.world, 20) }, startBackup(group("orders"))},
		{"copies", "SnapshotQuotaExceededFault", "wait", "CopySnapshot", refuse("CopySnapshot", "SnapshotQuotaExceededFault"), healed, startCopy(snapshot("s-orders"))},
		{"manual snapshots of a serverless cache", "ServerlessCacheSnapshotQuotaExceededFault", "24 manual snapshots", "CreateServerlessCacheSnapshot",
			func(b *bed) {
				for i := range 24 {
					b.succeeded(b.run(b.start(serverless("web"), backup.Spec{Token: fmt.Sprint("t", i)})))
				}
			}, nextDay, startBackup(serverless("web"))},
		{"copies of those", "ServerlessCacheSnapshotQuotaExceededFault", "wait", "CopyServerlessCacheSnapshot",
			refuse("CopyServerlessCacheSnapshot", "ServerlessCacheSnapshotQuotaExceededFault"), healed, startCopy(serverlessSnapshot("s-web"))},
		{"nodes, for a group", "NodeQuotaForCustomerExceeded", "300", "CreateReplicationGroup", nodes(8), nodes(300), restore(snapshot("s-orders"), elasticache.RestoreOptions{})},
		{"nodes, for a cluster", "NodeQuotaForCustomerExceeded", "300", "CreateCacheCluster", nodes(7), nodes(300), restore(snapshot("s-one"), elasticache.RestoreOptions{As: elasticache.AsCluster})},
		{"nodes of a group", "NodeQuotaForClusterExceeded", "90 nodes", "CreateReplicationGroup", func(*bed) {},
			func(b *bed) { b.sim.SetGroupQuota(b.world, 92) }, restore(snapshot("s-orders"), elasticache.RestoreOptions{NodeGroups: 46})},
		{"clusters", "ClusterQuotaForCustomerExceeded", "quota of clusters", "CreateReplicationGroup", refuse("CreateReplicationGroup", "ClusterQuotaForCustomerExceeded"), healed,
			restore(snapshot("s-orders"), elasticache.RestoreOptions{})},
		{"node groups", "NodeGroupsPerReplicationGroupQuotaExceeded", "quota of node groups", "CreateReplicationGroup",
			refuse("CreateReplicationGroup", "NodeGroupsPerReplicationGroupQuotaExceeded"), healed, restore(snapshot("s-orders"), elasticache.RestoreOptions{})},
		{"serverless caches", "ServerlessCacheQuotaForCustomerExceededFault", "40", "CreateServerlessCache",
			func(b *bed) {
				for i := range 39 {
					b.serverless(fmt.Sprint("full-", i))
				}
			},
			func(b *bed) {
				_, err := b.api.DeleteServerlessCache(b.Context(), &awselasticache.DeleteServerlessCacheInput{ServerlessCacheName: aws.String("full-0")})
				b.ok(err)
				time.Sleep(time.Hour)
			}, serverlessRestore},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(b *bed) {
				b.sources()
				b.serverless("web")
				b.ok(b.sim.AddServerlessSnapshots(b.world, account, region, "web", nil, "s-web"))
				c.fill(b)
				time.Sleep(time.Minute)
				before, changed := b.sent(c.next), b.changed()
				op := b.run(c.start(b, "full"))
				b.failed(op, backup.PhaseFailed, backup.ErrQuota)
				if f := op.Failure; f == nil || !strings.Contains(f.Message, c.code) || !strings.Contains(f.Hint, c.says) {
					t.Errorf("%+v", f)
				}
				if n := b.sent(c.next) - before; n != 1 || b.changed() != changed || len(op.Points)+len(op.Made) != 0 {
					t.Errorf("%d calls, %d took effect; points %v, made %v", n, b.changed()-changed, op.Points, op.Made)
				}
				c.room(b)
				b.succeeded(b.run(c.start(b, "again")))
			})
		})
	}
}

// AWS raises the quota of nodes in a group to 500: such a group is backed up, restored and rebuilt like another, and one that would have more nodes
// than it may is not deleted for a rebuild.
func TestManyNodes(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sim.SetNodeQuota(b.world, 2000)
		b.sim.SetGroupQuota(b.world, 500)
		b.group("large", 240, 1)
		op := b.run(b.start(group("large"), backup.Spec{Name: "all"}))
		b.succeeded(op)
		if n := len(b.snapshots()[0].Shards); n != 240 {
			t.Fatalf("%d shards", n)
		}
		restore := b.startRestore(snapshot("all"), elasticache.RestoreOptions{ID: "again"})
		found, err := b.s.Preflight(b.Context(), restore)
		b.ok(err)
		if len(found) != 2 || found[1].ID != "elasticache.node-quota" || !strings.Contains(found[1].Message, "480 nodes") {
			t.Errorf("%+v", found)
		}
		b.succeeded(b.run(restore))
		rebuild, err := b.s.StartRebuild(b.Context(), group("large"), b.likewise(group("large")))
		b.ok(err)
		b.succeeded(b.run(rebuild))

		spec := b.likewise(group("large"))
		o := spec.Options.(elasticache.RebuildOptions)
		o.Restore.NodeGroups = 250
		spec.Options, spec.Token = o, "more"
		rebuild, err = b.s.StartRebuild(b.Context(), group("large"), spec)
		b.ok(err)
		rebuild = b.run(rebuild)
		b.failed(rebuild, backup.PhaseFailed, backup.ErrUnsupported)
		if n := b.sent("DeleteReplicationGroup"); n != 1 || len(rebuild.Points) != 1 {
			t.Errorf("%d deletions, points %v", n, rebuild.Points)
		}
		_, err = b.s.StartRestore(b.Context(), snapshot("all"), backup.Spec{Token: "t", Options: elasticache.RestoreOptions{ID: "huge", NodeGroups: 501, SecurityGroups: []string{"sg-1"}}})
		b.code(err, backup.ErrInvalid)
		b.failed(b.run(b.startRestore(snapshot("all"), elasticache.RestoreOptions{ID: "huge", NodeGroups: 251})), backup.PhaseFailed, backup.ErrUnsupported)
	})
}
