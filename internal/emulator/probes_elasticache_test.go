package emulator

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
)

// carts makes a replication group, by default of three shards with a replica each.
func (w *world) carts(edit func(in *awselasticache.CreateReplicationGroupInput)) *awselasticache.Client {
	w.t.Helper()
	c := awselasticache.NewFromConfig(w.config())
	in := &awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("carts"), ReplicationGroupDescription: aws.String("test"),
		Engine: aws.String("valkey"), CacheNodeType: aws.String("cache.t4g.small"), Tags: cacheTags, AutomaticFailoverEnabled: aws.Bool(true)}
	if edit == nil {
		in.NumNodeGroups, in.ReplicasPerNodeGroup = aws.Int32(3), aws.Int32(1)
	} else {
		edit(in)
	}
	_, err := c.CreateReplicationGroup(w.ctx, in)
	w.must("CreateReplicationGroup", err)
	w.settle()
	return c
}

// sessions makes a single cluster.
func (w *world) sessions(engine string) *awselasticache.Client {
	w.t.Helper()
	c := awselasticache.NewFromConfig(w.config())
	_, err := c.CreateCacheCluster(w.ctx, &awselasticache.CreateCacheClusterInput{CacheClusterId: aws.String("sessions"), Engine: &engine,
		CacheNodeType: aws.String("cache.t4g.small"), NumCacheNodes: aws.Int32(1), Tags: cacheTags})
	w.must("CreateCacheCluster", err)
	w.settle()
	return c
}

func (w *world) group(c *awselasticache.Client, id string) ectypes.ReplicationGroup {
	w.t.Helper()
	out, err := c.DescribeReplicationGroups(w.ctx, &awselasticache.DescribeReplicationGroupsInput{ReplicationGroupId: &id})
	w.must("DescribeReplicationGroups", err)
	return out.ReplicationGroups[0]
}

func probeCacheStates(w *world) string {
	out, err := w.sessions("redis").CreateSnapshot(w.ctx, &awselasticache.CreateSnapshotInput{CacheClusterId: aws.String("sessions"), SnapshotName: aws.String("one")})
	w.must("CreateSnapshot", err)
	return aws.ToString(out.Snapshot.SnapshotStatus) + " in the answer"
}

func probeCacheParts(w *world) string {
	c := w.carts(nil)
	_, err := c.CreateSnapshot(w.ctx, &awselasticache.CreateSnapshotInput{ReplicationGroupId: aws.String("carts"), SnapshotName: aws.String("one")})
	w.must("CreateSnapshot", err)
	w.settle()
	out, err := c.DescribeSnapshots(w.ctx, &awselasticache.DescribeSnapshotsInput{SnapshotName: aws.String("one"), ShowNodeGroupConfig: aws.Bool(true)})
	w.must("DescribeSnapshots", err)
	if n := len(out.Snapshots[0].NodeSnapshots); n > 0 {
		return fmt.Sprintf("%d parts", n)
	}
	return "no parts"
}

func probeCacheMode(w *world) string {
	if aws.ToBool(w.group(w.carts(nil), "carts").ClusterEnabled) {
		return "cluster mode enabled"
	}
	return "cluster mode disabled"
}

func probeCacheMembers(w *world) string {
	c := w.carts(nil)
	member := w.group(c, "carts").NodeGroups[0].NodeGroupMembers[0].CacheClusterId
	_, err := c.DescribeCacheClusters(w.ctx, &awselasticache.DescribeCacheClustersInput{CacheClusterId: member})
	return w.code(err, "found")
}

func probeCacheNodes(w *world) string {
	out, err := w.sessions("redis").DescribeCacheClusters(w.ctx, &awselasticache.DescribeCacheClustersInput{CacheClusterId: aws.String("sessions"), ShowCacheNodeInfo: aws.Bool(true)})
	w.must("DescribeCacheClusters", err)
	n := 0
	for _, x := range out.CacheClusters[0].CacheNodes {
		if x.Endpoint != nil {
			n++
		}
	}
	if n == 0 {
		return "no nodes"
	}
	return fmt.Sprintf("%d node with an endpoint", n)
}

func probeCacheUnknown(w *world) string {
	_, err := awselasticache.NewFromConfig(w.config()).CreateReplicationGroup(w.ctx, &awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("new"),
		ReplicationGroupDescription: aws.String("test"), CacheNodeType: aws.String("cache.t4g.small"), Engine: aws.String("redis"), SnapshotName: aws.String("nobody")})
	return w.code(err, "accepted")
}

func probeCacheCase(w *world) string {
	out, err := w.sessions("redis").CreateSnapshot(w.ctx, &awselasticache.CreateSnapshotInput{CacheClusterId: aws.String("sessions"), SnapshotName: aws.String("Mixed-Case")})
	w.must("CreateSnapshot", err)
	return aws.ToString(out.Snapshot.SnapshotName)
}

func probeCacheMemcached(w *world) string {
	_, err := w.sessions("memcached").CreateSnapshot(w.ctx, &awselasticache.CreateSnapshotInput{CacheClusterId: aws.String("sessions"), SnapshotName: aws.String("one")})
	return w.code(err, "accepted")
}

func probeCacheFinal(w *world) string {
	c := w.carts(nil)
	_, err := c.DeleteReplicationGroup(w.ctx, &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String("carts"), FinalSnapshotIdentifier: aws.String("last")})
	w.must("DeleteReplicationGroup", err)
	w.settle()
	if w.cacheSnapshots(c)() == 0 {
		return "no snapshot"
	}
	return "a snapshot"
}

func probeCachePages(w *world) string {
	c := w.sessions("redis")
	for i := range 21 {
		_, err := c.CreateSnapshot(w.ctx, &awselasticache.CreateSnapshotInput{CacheClusterId: aws.String("sessions"), SnapshotName: aws.String(fmt.Sprintf("s-%d", i))})
		w.must("CreateSnapshot", err)
		w.settle()
	}
	out, err := c.DescribeSnapshots(w.ctx, &awselasticache.DescribeSnapshotsInput{MaxRecords: aws.Int32(20)})
	w.must("DescribeSnapshots", err)
	return pages(len(out.Snapshots), "marker", out.Marker)
}

// known counts the calls that the service knows, whatever else it thinks of them.
func (w *world) known(errs ...error) string {
	w.t.Helper()
	n := 0
	for _, err := range errs {
		if w.code(err, "") != "InvalidAction" {
			n++
		}
	}
	return fmt.Sprintf("%d of %d are known", n, len(errs))
}

func probeCacheServerless(w *world) string {
	c := awselasticache.NewFromConfig(w.config())
	_, caches := c.DescribeServerlessCaches(w.ctx, &awselasticache.DescribeServerlessCachesInput{})
	_, snapshots := c.DescribeServerlessCacheSnapshots(w.ctx, &awselasticache.DescribeServerlessCacheSnapshotsInput{})
	return w.known(caches, snapshots)
}

func probeCacheChanges(w *world) string {
	c := w.sessions("redis")
	_, copied := c.CopySnapshot(w.ctx, &awselasticache.CopySnapshotInput{SourceSnapshotName: aws.String("one"), TargetSnapshotName: aws.String("two")})
	_, group := c.ModifyReplicationGroup(w.ctx, &awselasticache.ModifyReplicationGroupInput{ReplicationGroupId: aws.String("carts"), SnapshotRetentionLimit: aws.Int32(1)})
	_, cluster := c.ModifyCacheCluster(w.ctx, &awselasticache.ModifyCacheClusterInput{CacheClusterId: aws.String("sessions"), SnapshotRetentionLimit: aws.Int32(1)})
	return w.known(copied, group, cluster)
}
