package elasticachesim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

func (b *bed) serverless(name string, edit ...func(*awselasticache.CreateServerlessCacheInput)) error {
	in := &awselasticache.CreateServerlessCacheInput{ServerlessCacheName: &name, Engine: aws.String("valkey")}
	for _, f := range edit {
		f(in)
	}
	_, err := b.api.CreateServerlessCache(b.Context(), in)
	return err
}

func (b *bed) serverlessSnap(name, cache string) error {
	_, err := b.api.CreateServerlessCacheSnapshot(b.Context(), &awselasticache.CreateServerlessCacheSnapshotInput{ServerlessCacheName: &cache, ServerlessCacheSnapshotName: &name,
		Tags: []ectypes.Tag{{Key: aws.String("is"), Value: aws.String(name)}}})
	return err
}

func (b *bed) serverlessStatus(name string) string {
	out, err := b.api.DescribeServerlessCacheSnapshots(b.Context(), &awselasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheSnapshotName: &name})
	if err != nil {
		return codeOf(err)
	}
	return *out.ServerlessCacheSnapshots[0].Status
}

func TestServerless(t *testing.T) {
	bubble(t, func(b *bed) {
		b.ok(b.serverless("Web"))
		b.code(b.serverless("web"), "ServerlessCacheAlreadyExistsFault")
		b.code(b.serverless("a--b"), "InvalidParameterValue")
		b.code(b.serverless("x", func(in *awselasticache.CreateServerlessCacheInput) { in.Engine = aws.String("mongo") }), "InvalidParameterValue")
		b.code(b.serverless("x", func(in *awselasticache.CreateServerlessCacheInput) { in.SnapshotRetentionLimit = aws.Int32(36) }), "InvalidParameterValue")
		b.code(b.serverless("x", func(in *awselasticache.CreateServerlessCacheInput) { in.DailySnapshotTime = aws.String("noon") }), "InvalidParameterValue")
		b.code(b.serverlessSnap("early", "web"), "InvalidServerlessCacheStateFault")
		out, err := b.api.DescribeServerlessCaches(b.Context(), &awselasticache.DescribeServerlessCachesInput{ServerlessCacheName: aws.String("WEB")})
		b.ok(err)
		if c := out.ServerlessCaches[0]; *c.Status != "CREATING" || c.Endpoint != nil {
			t.Errorf("%+v", c)
		}
		time.Sleep(time.Hour)
		b.code(b.serverlessSnap("s", "none"), "ServerlessCacheNotFoundFault")
		b.code(b.serverlessSnap("-s", "web"), "InvalidParameterValue")
		b.ok(b.serverlessSnap("First", "Web"))
		b.code(b.serverlessSnap("first", "web"), "ServerlessCacheSnapshotAlreadyExistsFault")
		b.code(b.serverlessSnap("second", "web"), "InvalidServerlessCacheStateFault")
		_, err = b.api.DeleteServerlessCache(b.Context(), &awselasticache.DeleteServerlessCacheInput{ServerlessCacheName: aws.String("web")})
		b.code(err, "InvalidServerlessCacheStateFault")
		if got := b.serverlessStatus("first"); got != "creating" {
			t.Errorf("it is %s", got)
		}
		time.Sleep(time.Hour)
		tags, err := b.api.ListTagsForResource(b.Context(), &awselasticache.ListTagsForResourceInput{ResourceName: aws.String("arn:aws:elasticache:" + region + ":" + account + ":serverlesscachesnapshot:first")})
		b.ok(err)
		if len(tags.TagList) != 1 || *tags.TagList[0].Value != "First" {
			t.Errorf("%v", tags.TagList)
		}

		auto, err := b.sim.AutomaticSnapshot(b.world, account, region, "web")
		b.ok(err)
		time.Sleep(time.Hour)
		_, err = b.api.DeleteServerlessCacheSnapshot(b.Context(), &awselasticache.DeleteServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: &auto})
		b.code(err, "InvalidServerlessCacheSnapshotStateFault")
		copyTo := func(from, to string) error {
			_, err := b.api.CopyServerlessCacheSnapshot(b.Context(), &awselasticache.CopyServerlessCacheSnapshotInput{SourceServerlessCacheSnapshotName: &from, TargetServerlessCacheSnapshotName: &to})
			return err
		}
		b.code(copyTo("none", "x"), "ServerlessCacheSnapshotNotFoundFault")
		b.code(copyTo(auto, "first"), "ServerlessCacheSnapshotAlreadyExistsFault")
		b.ok(copyTo(auto, "kept"))
		b.code(copyTo(auto, "again"), "InvalidServerlessCacheSnapshotStateFault")
		time.Sleep(time.Hour)

		from := func(arn string) func(*awselasticache.CreateServerlessCacheInput) {
			return func(in *awselasticache.CreateServerlessCacheInput) { in.SnapshotArnsToRestore = []string{arn} }
		}
		arn := "arn:aws:elasticache:" + region + ":" + account + ":serverlesscachesnapshot:"
		b.code(b.serverless("new", from(arn+"none")), "InvalidParameterValue")
		b.code(b.serverless("new", from(arn+"kept"), func(in *awselasticache.CreateServerlessCacheInput) { in.Engine = aws.String("redis") }), "InvalidParameterCombination")
		b.code(b.serverless("new", from(arn+"kept"), func(in *awselasticache.CreateServerlessCacheInput) { in.MajorEngineVersion = aws.String("7") }), "InvalidParameterCombination")
		b.ok(b.serverless("new", from(arn+"kept")))
		if got := b.serverlessStatus("kept"); got != "restoring" {
			t.Errorf("it is %s", got)
		}
		b.code(b.serverless("newer", from(arn+"kept")), "InvalidParameterValue")
		time.Sleep(time.Hour)
		if v := b.sim.ServerlessCaches(b.world, account, region); len(v) != 2 || v[0].Name != "new" || v[0].From != "kept" || v[0].Status != "available" {
			t.Errorf("%+v", v)
		}

		_, err = b.api.DeleteServerlessCache(b.Context(), &awselasticache.DeleteServerlessCacheInput{ServerlessCacheName: aws.String("web")})
		b.ok(err)
		time.Sleep(time.Hour)
		_, err = b.api.DeleteServerlessCacheSnapshot(b.Context(), &awselasticache.DeleteServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: aws.String("first")})
		b.ok(err)
		if got := b.serverlessStatus("first"); got != "deleting" {
			t.Errorf("it is %s", got)
		}
		time.Sleep(time.Hour)
		if v := b.sim.ServerlessSnapshots(b.world, account, region); len(v) != 1 || v[0].Name != "kept" || v[0].Cluster != "web" || v[0].Automated {
			t.Errorf("%+v", v)
		}
	})
}

func TestServerlessPagesQuotasAndFaults(t *testing.T) {
	bubble(t, func(b *bed) {
		b.ok(b.serverless("web"))
		time.Sleep(time.Hour)
		for i := range 24 {
			b.ok(b.serverlessSnap("s"+string(rune('a'+i)), "web"))
			time.Sleep(20 * time.Minute)
		}
		b.code(b.serverlessSnap("more", "web"), "ServerlessCacheSnapshotQuotaExceededFault")
		n, next := 0, (*string)(nil)
		for {
			out, err := b.api.DescribeServerlessCacheSnapshots(b.Context(), &awselasticache.DescribeServerlessCacheSnapshotsInput{MaxResults: aws.Int32(10), NextToken: next, ServerlessCacheName: aws.String("web")})
			b.ok(err)
			n += len(out.ServerlessCacheSnapshots)
			if next = out.NextToken; next == nil {
				break
			}
		}
		if n != 24 {
			t.Errorf("%d are listed", n)
		}
		_, err := b.api.DescribeServerlessCacheSnapshots(b.Context(), &awselasticache.DescribeServerlessCacheSnapshotsInput{MaxResults: aws.Int32(51)})
		b.code(err, "InvalidParameterValue")
		time.Sleep(25 * time.Hour)
		b.world.Inject(awssim.Fault{Operation: "CreateServerlessCacheSnapshot", Kind: awssim.FaultAsync})
		b.ok(b.serverlessSnap("doomed", "web"))
		b.world.Inject(awssim.Fault{Operation: "CreateServerlessCache", Kind: awssim.FaultAsync})
		b.ok(b.serverless("broken"))
		time.Sleep(time.Hour)
		if got := b.serverlessStatus("doomed"); got != "failed" {
			t.Errorf("it is %s", got)
		}
		out, err := b.api.DescribeServerlessCaches(b.Context(), &awselasticache.DescribeServerlessCachesInput{})
		b.ok(err)
		if len(out.ServerlessCaches) != 2 || *out.ServerlessCaches[0].Status != "CREATE-FAILED" {
			t.Errorf("%+v", out.ServerlessCaches)
		}
		b.ok(b.sim.AddServerlessSnapshots(b.world, account, region, "web", map[string]string{"a": "b"}, "added"))
		b.ok(b.sim.Hold(b.world, account, region, "added", "copying", time.Minute))
		if got := b.serverlessStatus("added"); got != "copying" {
			t.Errorf("it is %s", got)
		}
		b.ok(b.sim.Vanish(b.world, account, region, "added"))
		b.sim.EmptyWhenMissing(b.world, true)
		gone, err := b.api.DescribeServerlessCacheSnapshots(b.Context(), &awselasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheSnapshotName: aws.String("added")})
		b.ok(err)
		if len(gone.ServerlessCacheSnapshots) != 0 {
			t.Errorf("%+v", gone)
		}
		for i := range 38 {
			b.ok(b.serverless("c" + string(rune('a'+i%26)) + string(rune('a'+i/26))))
			time.Sleep(time.Second)
		}
		b.code(b.serverless("one-more"), "ServerlessCacheQuotaForCustomerExceededFault")
	})
}
