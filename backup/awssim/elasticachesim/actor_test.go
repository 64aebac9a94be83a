package elasticachesim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
)

// Whoever acts on what is not there is told so.
func TestActorsOnNothing(t *testing.T) {
	bubble(t, func(b *bed) {
		b.ok(b.serverless("web"))
		b.group("sharded", shards(2))
		time.Sleep(time.Hour)
		ok := func(name string, err error) {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		_, err := b.sim.AutomaticSnapshot(b.world, account, region, "none")
		ok("automatic", err)
		_, err = b.sim.AutomaticSnapshot(b.world, account, region, "web")
		b.ok(err)
		_, err = b.sim.AutomaticSnapshot(b.world, account, region, "web")
		ok("automatic twice a day", err)
		ok("add", b.sim.AddSnapshots(b.world, account, region, "none", nil, "s"))
		b.ok(b.sim.AddSnapshots(b.world, account, region, "sharded", nil, "s"))
		ok("add twice", b.sim.AddSnapshots(b.world, account, region, "sharded", nil, "s"))
		ok("add serverless", b.sim.AddServerlessSnapshots(b.world, account, region, "none", nil, "s"))
		ok("hold", b.sim.Hold(b.world, account, region, "none", "x", time.Hour))
		ok("expose", b.sim.Expose(b.world, account, region, "none"))
		b.ok(b.sim.Expose(b.world, account, region, "web", "sg-1"))
		ok("fail over", b.sim.Failover(b.world, account, region, "sharded", "sharded-0001-001"))
		ok("vanish", b.sim.Vanish(b.world, account, region, "none"))
		b.ok(b.sim.Vanish(b.world, account, region, "s"))
		ok("upgrade", b.sim.Upgrade(b.world, account, region, "none", "x"))
		ok("daily", b.sim.SetDaily(b.world, account, region, "none", 1, ""))
		b.ok(b.sim.SetDaily(b.world, account, region, "sharded", 1, "01:00-02:00"))
		if g := b.groupNamed("sharded"); *g.SnapshotRetentionLimit != 1 || g.SnapshottingClusterId != nil {
			t.Errorf("%+v", g)
		}
		if v := b.sim.ServerlessCaches(b.world, account, region); v[0].SecurityGroups[0] != "sg-1" {
			t.Errorf("%+v", v)
		}
		b.sim.SetSnapshotQuota(b.world, 0)
		_, err = b.snapGroup("more", "sharded")
		b.code(err, "SnapshotQuotaExceededFault")
	})
}

// A serverless cache tells its settings, and its tags by its own ARN.
func TestServerlessSettings(t *testing.T) {
	bubble(t, func(b *bed) {
		const key = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
		b.ok(b.serverless("web", func(in *awselasticache.CreateServerlessCacheInput) {
			in.KmsKeyId, in.UserGroupId, in.DailySnapshotTime, in.SnapshotRetentionLimit = aws.String(key), aws.String("u"), aws.String("03:00"), aws.Int32(2)
		}))
		b.code(b.serverless("other", func(in *awselasticache.CreateServerlessCacheInput) { in.DailySnapshotTime = aws.String("3") }), "InvalidParameterValue")
		time.Sleep(time.Hour)
		out, err := b.api.DescribeServerlessCaches(b.Context(), &awselasticache.DescribeServerlessCachesInput{ServerlessCacheName: aws.String("web")})
		b.ok(err)
		if c := out.ServerlessCaches[0]; *c.KmsKeyId != key || *c.UserGroupId != "u" || *c.DailySnapshotTime != "03:00" || c.StorageEncryptionType != "sse-kms" {
			t.Errorf("%+v", c)
		}
		_, err = b.api.DescribeServerlessCaches(b.Context(), &awselasticache.DescribeServerlessCachesInput{ServerlessCacheName: aws.String("none")})
		b.code(err, "ServerlessCacheNotFoundFault")
		_, err = b.api.DescribeServerlessCacheSnapshots(b.Context(), &awselasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheName: aws.String("none")})
		b.code(err, "ServerlessCacheNotFoundFault")
		arn := "arn:aws:elasticache:" + region + ":" + account + ":"
		for name, code := range map[string]string{"serverlesscache:none": "ServerlessCacheNotFoundFault", "serverlesscachesnapshot:none": "ServerlessCacheSnapshotNotFoundFault"} {
			_, err = b.api.ListTagsForResource(b.Context(), &awselasticache.ListTagsForResourceInput{ResourceName: aws.String(arn + name)})
			b.code(err, code)
		}
		_, err = b.api.ListTagsForResource(b.Context(), &awselasticache.ListTagsForResourceInput{ResourceName: aws.String(arn + "serverlesscache:web")})
		b.ok(err)
		_, err = b.api.CreateServerlessCacheSnapshot(b.Context(), &awselasticache.CreateServerlessCacheSnapshotInput{ServerlessCacheName: aws.String("web"), ServerlessCacheSnapshotName: aws.String("s"), KmsKeyId: aws.String(key)})
		b.ok(err)
		_, err = b.api.DeleteServerlessCacheSnapshot(b.Context(), &awselasticache.DeleteServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: aws.String("none")})
		b.code(err, "ServerlessCacheSnapshotNotFoundFault")
		_, err = b.api.DeleteServerlessCache(b.Context(), &awselasticache.DeleteServerlessCacheInput{ServerlessCacheName: aws.String("none")})
		b.code(err, "ServerlessCacheNotFoundFault")
	})
}
