package elasticache_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/policy"
)

// TestWorkflowsUnderTheirPolicies runs each workflow as a caller that has the policies which are made for it, and nothing more.
func TestWorkflowsUnderTheirPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		iam, sim := iamsim.Service(), elasticachesim.Service()
		world := awssim.New(iam, sim)
		cfg := world.Config(account, region)
		b := &bed{TB: t, world: world, sim: sim, api: awselasticache.NewFromConfig(cfg),
			s: elasticache.NewFromConfig(cfg, func(o *elasticache.Options) { o.Account = account })}
		scope := policy.Scope{Account: account, Region: region}
		caller := "arn:aws:iam::" + account + ":user/simulated"
		doc := func(d policy.Document, err error) policy.Document {
			b.ok(err)
			return d
		}
		// under runs work with policies; nothing is denied, and nothing changes without them.
		under := func(name string, start func() backup.Operation, docs ...policy.Document) backup.Operation {
			t.Helper()
			op := start()
			b.ok(iam.Attach(world, caller, docs...))
			if _, err := b.s.Preflight(b.Context(), op); err != nil {
				t.Errorf("%s: preflight: %v", name, err)
			}
			op = b.run(op)
			if denied := iam.Denied(world, caller); op.Phase != backup.PhaseSucceeded || denied != nil {
				t.Fatalf("%s: %s %+v, denied %v", name, op.Phase, op.Failure, denied)
			}
			b.ok(iam.Detach(world, caller))
			time.Sleep(time.Hour)
			return op
		}
		b.group("orders", 2, 1)
		b.cluster("one")
		b.group("sessions", 0, 1)
		for _, r := range []backup.Ref{group("orders"), group("sessions"), cluster("one")} {
			auto := b.automatic(r.ID)
			backups, restores := doc(policy.ElastiCacheBackupPolicy(scope, r.ID)), doc(policy.ElastiCacheRestorePolicy(scope, r.ID, "new"))
			made := under("backup", func() backup.Operation { return b.start(r, backup.Spec{}) }, backups)
			under("copy", func() backup.Operation { return b.startCopy(auto, backup.Spec{}) }, doc(policy.ElastiCacheCopyPolicy(scope, auto.ID)))
			under("automatic snapshots", func() backup.Operation { return b.startDaily(r, daily{RetentionDays: 3}) }, doc(policy.ElastiCacheDailyPolicy(scope, r.ID)))
			under("restore", func() backup.Operation {
				return b.startRestore(made.Points[0], elasticache.RestoreOptions{ID: "new", SubnetGroup: "default"})
			}, restores)
			spec := b.likewise(r)
			under("rebuild", func() backup.Operation {
				op, err := b.s.StartRebuild(b.Context(), r, spec)
				b.ok(err)
				return op
			}, backups, restores, doc(policy.ElastiCacheRebuildPolicy(scope, r.ID)))
			under("deletion", func() backup.Operation { return b.startDelete(made.Points[0], backup.Spec{}) }, doc(policy.ElastiCacheDeletePolicy(scope)))
			if r.Type == elasticache.TypeCluster {
				_, err := b.api.DeleteCacheCluster(b.Context(), &awselasticache.DeleteCacheClusterInput{CacheClusterId: aws.String("new")})
				b.ok(err)
			} else {
				_, err := b.api.DeleteReplicationGroup(b.Context(), &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String("new")})
				b.ok(err)
			}
			time.Sleep(time.Hour)
		}
		b.serverless("web")
		under("automatic snapshots of a serverless cache", func() backup.Operation {
			return b.startDaily(serverless("web"), daily{RetentionDays: 3, Time: "02:00"})
		}, doc(policy.ElastiCacheDailyPolicy(scope, "web")))
	})
}
