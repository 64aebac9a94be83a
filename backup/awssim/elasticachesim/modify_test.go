package elasticachesim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
)

func TestModifyDaily(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("g", func(in *awselasticache.CreateReplicationGroupInput) {
			in.NumCacheClusters, in.PreferredMaintenanceWindow = aws.Int32(2), aws.String("tue:05:00-tue:06:00")
		})
		b.group("sharded", shards(2))
		b.cluster("one", nil)
		modify := func(id string, days int32, edit ...func(*awselasticache.ModifyReplicationGroupInput)) error {
			in := &awselasticache.ModifyReplicationGroupInput{ReplicationGroupId: &id, SnapshotRetentionLimit: &days, ApplyImmediately: aws.Bool(true)}
			for _, f := range edit {
				f(in)
			}
			_, err := b.api.ModifyReplicationGroup(b.Context(), in)
			return err
		}
		from := func(id string) func(*awselasticache.ModifyReplicationGroupInput) {
			return func(in *awselasticache.ModifyReplicationGroupInput) { in.SnapshottingClusterId = &id }
		}
		later := func(in *awselasticache.ModifyReplicationGroupInput) { in.ApplyImmediately = nil }
		b.code(modify("none", 3), "ReplicationGroupNotFoundFault")
		b.code(modify("g", 36), "InvalidParameterValue")
		b.code(modify("g", 3), "InvalidParameterCombination")
		b.code(modify("g", 3, from("one")), "InvalidParameterCombination")
		b.code(modify("sharded", 3, from("sharded-0001-001")), "InvalidParameterCombination")
		b.code(modify("g", 0), "InvalidParameterCombination") // nothing to change
		if err := modify("g", 3, from("g-002"), func(in *awselasticache.ModifyReplicationGroupInput) { in.MultiAZEnabled = aws.Bool(true) }); err == nil {
			t.Error("MultiAZ was modified")
		}

		b.ok(b.sim.Upgrade(b.world, account, region, "g", "cache.r7g.xlarge"))
		b.ok(modify("g", 3, from("g-002")))
		if g, c := b.groupStatus("g"), b.clusterStatus("g-001"); g != "modifying" || c != "modifying" {
			t.Errorf("they are %s and %s", g, c)
		}
		b.code(modify("g", 4), "InvalidReplicationGroupState")
		b.code2(b.snapCluster("s", "g-001"))
		if v := b.sim.Groups(b.world, account, region)[0]; v.Retention != 0 || v.Pending == "" {
			t.Errorf("applied before it is ready: %+v", v)
		}
		time.Sleep(time.Hour)
		if v := b.sim.Groups(b.world, account, region)[0]; v.Retention != 3 || v.Daily != "g-002" || v.Pending != "" || aws.ToString(b.groupNamed("g").SnapshottingClusterId) != "g-002" {
			t.Errorf("%+v", v)
		}

		// At the next maintenance.
		b.ok(modify("g", 5, later))
		if got := b.groupStatus("g"); got != "available" {
			t.Errorf("it is %s", got)
		}
		for range 9 * 24 {
			now := time.Now().UTC()
			time.Sleep(time.Hour)
			if *b.groupNamed("g").SnapshotRetentionLimit == 5 {
				if next := now.Add(time.Hour); next.Weekday() != time.Tuesday || next.Hour() < 5 || next.Hour() > 6 {
					t.Errorf("applied at %v", next)
				}
				break
			}
		}
		if *b.groupNamed("g").SnapshotRetentionLimit != 5 {
			t.Error("never applied")
		}

		b.ok(modify("sharded", 3))
		days := int32(7)
		one := &awselasticache.ModifyCacheClusterInput{CacheClusterId: aws.String("one"), SnapshotRetentionLimit: &days, SnapshotWindow: aws.String("01:00-03:00"), ApplyImmediately: aws.Bool(true)}
		_, err := b.api.ModifyCacheCluster(b.Context(), one)
		b.ok(err)
		if got := b.clusterStatus("one"); got != "modifying" {
			t.Errorf("it is %s", got)
		}
		_, err = b.api.ModifyCacheCluster(b.Context(), one)
		b.code(err, "InvalidCacheClusterState")
		time.Sleep(time.Hour)
		_, err = b.api.ModifyCacheCluster(b.Context(), one)
		b.code(err, "InvalidParameterCombination")
		one.SnapshotWindow = aws.String("soon")
		_, err = b.api.ModifyCacheCluster(b.Context(), one)
		b.code(err, "InvalidParameterValue")
		one.CacheClusterId = aws.String("none")
		_, err = b.api.ModifyCacheCluster(b.Context(), one)
		b.code(err, "CacheClusterNotFound")
		b.ok(b.sim.SetDaily(b.world, account, region, "one", 1, "02:00-03:00"))
		if v := b.sim.Clusters(b.world, account, region); v[len(v)-1].ID == "one" && (v[len(v)-1].Retention != 1 || v[len(v)-1].Window != "02:00-03:00") {
			t.Errorf("%+v", v[len(v)-1])
		}
	})
}

// code2 wants that a snapshot is refused because its source is busy.
func (b *bed) code2(_ *awselasticache.CreateSnapshotOutput, err error) {
	b.Helper()
	b.code(err, "InvalidCacheClusterState")
}
