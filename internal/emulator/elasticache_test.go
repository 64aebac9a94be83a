package emulator

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
)

func (w *world) elasticache(cfg aws.Config) strategy {
	return elasticache.NewFromConfig(cfg, func(o *elasticache.Options) { w.pace(&o.PollMin, &o.PollMax, &o.Settle, &o.Park) })
}

var cacheTags = []ectypes.Tag{{Key: aws.String("team"), Value: aws.String("orders")}}

// cacheTypes are the types of resources and of recovery points that the tests look for: moto has no serverless caches.
func (w *world) cacheTypes() (resources, points []string) {
	if w.differs("elasticache-serverless") {
		return []string{elasticache.TypeReplicationGroup, elasticache.TypeCluster}, []string{elasticache.TypeSnapshot}
	}
	return nil, nil
}

func (w *world) cacheSnapshots(c *awselasticache.Client) func() int {
	return func() int {
		w.t.Helper()
		out, err := c.DescribeSnapshots(w.ctx, &awselasticache.DescribeSnapshotsInput{})
		w.must("DescribeSnapshots", err)
		return len(out.Snapshots)
	}
}

func TestCacheCluster(t *testing.T) {
	both(t, func(w *world) {
		c := w.sessions("redis")
		source := elasticache.Cluster(w.account, region, "sessions")
		resources, points := w.cacheTypes()
		w.life(kit{
			strategy: w.elasticache, source: source, missing: elasticache.Cluster(w.account, region, "nobody"), discovered: []backup.Ref{source}, resources: resources, points: points,
			service: "ElastiCache", create: "CreateSnapshot", restore: "CreateCacheCluster",
			options:          elasticache.RestoreOptions{ID: "sessions-drill", SecurityGroups: []string{w.firewall}},
			preflightRestore: []string{"elasticache.open-access"},
			endless:          w.differs("elasticache-nodes"),
			count:            w.cacheSnapshots(c), members: 1,
			point: func(p backup.RecoveryPoint) {
				if p.Engine != "redis" || p.ARN == "" || p.CreatedAt.IsZero() != w.differs("elasticache-parts") {
					w.t.Errorf("the recovery point is %+v", p)
				}
			},
			restored: func(op backup.Operation) {
				if len(op.Made) != 1 || op.Made[0] != elasticache.Cluster(w.account, region, "sessions-drill") {
					w.t.Errorf("made: %v", op.Made)
				}
				out, err := c.DescribeCacheClusters(w.ctx, &awselasticache.DescribeCacheClustersInput{CacheClusterId: aws.String("sessions-drill")})
				w.must("DescribeCacheClusters", err)
				if x := out.CacheClusters[0]; aws.ToString(x.CacheNodeType) != "cache.t4g.small" || aws.ToString(x.Engine) != "redis" {
					w.t.Errorf("the new cluster is %+v", x)
				}
				if w.differs("elasticache-nodes") {
					return
				}
				if len(op.Endpoints) != 1 || op.Endpoints[0].Host == "" || op.Endpoints[0].Port != 6379 {
					w.t.Errorf("endpoints: %+v", op.Endpoints)
				}
			},
		})
	})
}

func TestReplicationGroup(t *testing.T) {
	both(t, func(w *world) {
		c := w.carts(nil)
		source := elasticache.ReplicationGroup(w.account, region, "carts")
		resources, points := w.cacheTypes()
		w.life(kit{
			strategy: w.elasticache, source: source, missing: elasticache.ReplicationGroup(w.account, region, "nobody"), discovered: []backup.Ref{source}, resources: resources, points: points,
			service: "ElastiCache", create: "CreateSnapshot", restore: "CreateReplicationGroup",
			options:          elasticache.RestoreOptions{ID: "carts-drill", SecurityGroups: []string{w.firewall}},
			preflightRestore: []string{"elasticache.open-access"},
			count:            w.cacheSnapshots(c), members: 1,
			point: func(p backup.RecoveryPoint) {
				parts := 3
				if w.differs("elasticache-parts") {
					parts = 0
				}
				if len(p.Members) != parts || p.Engine != "valkey" {
					w.t.Errorf("the recovery point is %+v", p)
				}
			},
			restored: func(op backup.Operation) {
				if x := w.group(c, "carts-drill"); len(x.NodeGroups) != 3 || aws.ToString(x.CacheNodeType) != "cache.t4g.small" {
					w.t.Errorf("the new group has %d node groups of %s", len(x.NodeGroups), aws.ToString(x.CacheNodeType))
				}
				if len(op.Endpoints) != 1 || op.Endpoints[0].Host == "" || op.Endpoints[0].Role != "configuration" || op.Endpoints[0].Port != 6379 {
					w.t.Errorf("endpoints: %+v", op.Endpoints)
				}
			},
		})
	})
}

// A group with cluster mode disabled is backed up by one of its members.
func TestGroupWithoutClusterMode(t *testing.T) {
	both(t, func(w *world) {
		w.carts(func(in *awselasticache.CreateReplicationGroupInput) { in.NumCacheClusters = aws.Int32(2) })
		p := w.process(kit{strategy: w.elasticache}, w.t.TempDir())
		spec := backup.Spec{Token: "tonight"}
		if w.emulated {
			spec.Timeout = time.Second
		}
		op, err := p.strategy.Start(w.ctx, elasticache.ReplicationGroup(w.account, region, "carts"), spec)
		w.must("Start", err)
		op, err = p.runner.Run(w.ctx, op)
		if w.differs("elasticache-members") {
			if !errors.Is(err, backup.ErrUnavailable) || op.Phase != backup.PhaseFailed || len(op.Points) != 0 || len(op.Findings) == 0 || op.Findings[0].ID != "elasticache.not-yet" {
				w.t.Errorf("phase %s, points %v, findings %v, %v", op.Phase, op.Points, op.Findings, err)
			}
			return
		}
		if err != nil || len(op.Points) != 1 {
			w.t.Errorf("phase %s, points %v, %v", op.Phase, op.Points, err)
		}
	})
}
