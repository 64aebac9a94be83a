package elasticachesim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
)

func (b *bed) serverlessCache(name string) ectypes.ServerlessCache {
	b.Helper()
	out, err := b.api.DescribeServerlessCaches(b.Context(), &awselasticache.DescribeServerlessCachesInput{ServerlessCacheName: &name})
	b.ok(err)
	return out.ServerlessCaches[0]
}

func TestModifyServerless(t *testing.T) {
	bubble(t, func(b *bed) {
		days := func(n int32) func(*awselasticache.ModifyServerlessCacheInput) {
			return func(in *awselasticache.ModifyServerlessCacheInput) { in.SnapshotRetentionLimit = &n }
		}
		at := func(s string) func(*awselasticache.ModifyServerlessCacheInput) {
			return func(in *awselasticache.ModifyServerlessCacheInput) { in.DailySnapshotTime = &s }
		}
		modify := func(name string, edit ...func(*awselasticache.ModifyServerlessCacheInput)) error {
			in := &awselasticache.ModifyServerlessCacheInput{ServerlessCacheName: &name}
			for _, f := range edit {
				f(in)
			}
			_, err := b.api.ModifyServerlessCache(b.Context(), in)
			return err
		}
		is := func(status string, retention int32, when string) {
			b.Helper()
			c := b.serverlessCache("web")
			if *c.Status != status || *c.SnapshotRetentionLimit != retention || aws.ToString(c.DailySnapshotTime) != when {
				b.Errorf("%s, %d days at %q; want %s, %d at %q", *c.Status, *c.SnapshotRetentionLimit, aws.ToString(c.DailySnapshotTime), status, retention, when)
			}
		}
		b.ok(b.serverless("web"))
		b.code(modify("web", days(3)), "InvalidServerlessCacheStateFault") // it is being created
		time.Sleep(time.Hour)
		is("AVAILABLE", 0, "")
		b.code(modify("none", days(3)), "ServerlessCacheNotFoundFault")
		b.code(modify("web", days(36)), "InvalidParameterValue")
		b.code(modify("web", days(-1)), "InvalidParameterValue")
		b.code(modify("web", days(3), at("02:00")), "InvalidParameterCombination") // one setting a call
		b.code(modify("web", at("02:00")), "InvalidParameterCombination")          // none are made
		b.code(modify("web", days(0)), "InvalidParameterCombination")              // nothing to change
		b.code(modify("web"), "InvalidParameterCombination")
		if err := modify("web", days(3), func(in *awselasticache.ModifyServerlessCacheInput) { in.Description = aws.String("d") }); err == nil {
			t.Error("the description was modified")
		}

		b.ok(modify("Web", days(3)))
		is("MODIFYING", 0, "")
		b.code(modify("web", days(4)), "InvalidServerlessCacheStateFault")
		b.code(b.serverlessSnap("s", "web"), "InvalidServerlessCacheStateFault")
		_, err := b.api.DeleteServerlessCache(b.Context(), &awselasticache.DeleteServerlessCacheInput{ServerlessCacheName: aws.String("web")})
		b.code(err, "InvalidServerlessCacheStateFault")
		time.Sleep(time.Hour)
		is("AVAILABLE", 3, "05:30")
		b.code(modify("web", at("noon")), "InvalidParameterValue")
		b.ok(modify("web", at("02:00")))
		time.Sleep(time.Hour)
		is("AVAILABLE", 3, "02:00")

		b.ok(b.serverlessSnap("s", "web"))
		b.code(modify("web", days(0)), "InvalidServerlessCacheStateFault") // a snapshot is being made
		time.Sleep(time.Hour)
		b.ok(modify("web", days(0)))
		time.Sleep(time.Hour)
		is("AVAILABLE", 0, "02:00")
		b.ok(b.sim.SetDaily(b.world, account, region, "web", 9, "04:00"))
		is("AVAILABLE", 9, "04:00")
		if v := b.sim.ServerlessCaches(b.world, account, region)[0]; v.Retention != 9 || v.Daily != "04:00" {
			t.Errorf("%+v", v)
		}
		if err := b.sim.SetDaily(b.world, account, region, "none", 9, "04:00"); err == nil {
			t.Error("what does not exist was set")
		}

		b.ok(b.serverless("nightly", func(in *awselasticache.CreateServerlessCacheInput) { in.SnapshotRetentionLimit = aws.Int32(1) }))
		if c := b.serverlessCache("nightly"); *c.SnapshotRetentionLimit != 1 || aws.ToString(c.DailySnapshotTime) != "05:30" {
			t.Errorf("%+v", c)
		}
	})
}
