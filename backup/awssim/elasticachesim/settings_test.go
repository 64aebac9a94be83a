package elasticachesim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
)

func cloudwatch(log string) ectypes.LogDeliveryConfigurationRequest {
	return ectypes.LogDeliveryConfigurationRequest{LogType: ectypes.LogType(log), LogFormat: ectypes.LogFormatJson, DestinationType: ectypes.DestinationTypeCloudWatchLogs,
		DestinationDetails: &ectypes.DestinationDetails{CloudWatchLogsDetails: &ectypes.CloudWatchLogsDestinationDetails{LogGroup: aws.String("/logs")}}}
}

func TestFailLogs(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("g", func(in *awselasticache.CreateReplicationGroupInput) {
			in.LogDeliveryConfigurations = []ectypes.LogDeliveryConfigurationRequest{cloudwatch("slow-log"), cloudwatch("engine-log")}
		})
		is := func(want string) {
			b.Helper()
			got := ""
			for _, l := range b.groupNamed("g").LogDeliveryConfigurations {
				got += string(l.LogType) + " " + string(l.Status) + " " + aws.ToString(l.Message) + ";"
			}
			if got != want {
				b.Errorf("%s, want %s", got, want)
			}
		}
		b.ok(b.sim.FailLogs(b.world, account, region, "g", "slow-log", "no group"))
		is("slow-log error no group;engine-log active ;")
		b.ok(b.sim.FailLogs(b.world, account, region, "g", "slow-log", ""))
		is("slow-log active ;engine-log active ;")
		if err := b.sim.FailLogs(b.world, account, region, "none", "slow-log", "x"); err == nil {
			t.Error("logs of nothing failed")
		}
	})
}

func TestSettings(t *testing.T) {
	const token = "0123456789abcdef!&#$^<>-"
	tls := func(f func(in *awselasticache.CreateReplicationGroupInput)) func(in *awselasticache.CreateReplicationGroupInput) {
		return func(in *awselasticache.CreateReplicationGroupInput) {
			in.TransitEncryptionEnabled = aws.Bool(true)
			f(in)
		}
	}
	for name, c := range map[string]struct {
		edit func(in *awselasticache.CreateReplicationGroupInput)
		code string
	}{
		"a token":     {tls(func(in *awselasticache.CreateReplicationGroupInput) { in.AuthToken = aws.String(token) }), ""},
		"without TLS": {func(in *awselasticache.CreateReplicationGroupInput) { in.AuthToken = aws.String(token) }, "InvalidParameterCombination"},
		"short":       {tls(func(in *awselasticache.CreateReplicationGroupInput) { in.AuthToken = aws.String(token[:15]) }), "InvalidParameterValue"},
		"long": {tls(func(in *awselasticache.CreateReplicationGroupInput) {
			in.AuthToken = aws.String(strings.Repeat("a", 129))
		}), "InvalidParameterValue"},
		"with a slash":      {tls(func(in *awselasticache.CreateReplicationGroupInput) { in.AuthToken = aws.String(token + "/") }), "InvalidParameterValue"},
		"users":             {tls(func(in *awselasticache.CreateReplicationGroupInput) { in.UserGroupIds = []string{"u"} }), ""},
		"users without TLS": {func(in *awselasticache.CreateReplicationGroupInput) { in.UserGroupIds = []string{"u"} }, "InvalidParameterCombination"},
		"users and a token": {tls(func(in *awselasticache.CreateReplicationGroupInput) {
			in.UserGroupIds, in.AuthToken = []string{"u"}, aws.String(token)
		}), "InvalidParameterCombination"},
		"two user groups":    {tls(func(in *awselasticache.CreateReplicationGroupInput) { in.UserGroupIds = []string{"u", "v"} }), "InvalidParameterValue"},
		"a mode without TLS": {func(in *awselasticache.CreateReplicationGroupInput) { in.TransitEncryptionMode = "preferred" }, "InvalidParameterCombination"},
		"a window":           {func(in *awselasticache.CreateReplicationGroupInput) { in.SnapshotWindow = aws.String("23:30-00:30") }, ""},
		"a short window":     {func(in *awselasticache.CreateReplicationGroupInput) { in.SnapshotWindow = aws.String("23:30-00:29") }, "InvalidParameterValue"},
		"a week": {func(in *awselasticache.CreateReplicationGroupInput) {
			in.PreferredMaintenanceWindow = aws.String("sat:23:30-sun:00:30")
		}, ""},
		"a week's nothing": {func(in *awselasticache.CreateReplicationGroupInput) {
			in.PreferredMaintenanceWindow = aws.String("sat-sun")
		}, "InvalidParameterValue"},
		"logs": {func(in *awselasticache.CreateReplicationGroupInput) {
			in.LogDeliveryConfigurations = []ectypes.LogDeliveryConfigurationRequest{cloudwatch("slow-log"), cloudwatch("engine-log")}
		}, ""},
		"a log twice": {func(in *awselasticache.CreateReplicationGroupInput) {
			in.LogDeliveryConfigurations = []ectypes.LogDeliveryConfigurationRequest{cloudwatch("slow-log"), cloudwatch("slow-log")}
		}, "InvalidParameterValue"},
		"no such log": {func(in *awselasticache.CreateReplicationGroupInput) {
			in.LogDeliveryConfigurations = []ectypes.LogDeliveryConfigurationRequest{cloudwatch("fast-log")}
		}, "InvalidParameterValue"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				in := &awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("g"), ReplicationGroupDescription: aws.String("g"), CacheNodeType: aws.String("cache.r7g.large")}
				c.edit(in)
				_, err := b.api.CreateReplicationGroup(b.Context(), in)
				if c.code != "" {
					b.code(err, c.code)
					return
				}
				b.ok(err)
				time.Sleep(time.Hour)
				g := b.groupNamed("g")
				if aws.ToBool(g.AuthTokenEnabled) != (in.AuthToken != nil) || len(g.UserGroupIds) != len(in.UserGroupIds) || len(g.LogDeliveryConfigurations) != len(in.LogDeliveryConfigurations) {
					t.Errorf("%+v", g)
				}
				if want := aws.ToString(in.AuthToken); b.sim.Groups(b.world, account, region)[0].AuthToken != want {
					t.Errorf("the token is not %q", want)
				}
				// A snapshot tells nothing of them.
				_, err = b.api.CreateSnapshot(b.Context(), &awselasticache.CreateSnapshotInput{SnapshotName: aws.String("s"), CacheClusterId: aws.String("g-001")})
				b.ok(err)
				time.Sleep(time.Hour)
				_, err = b.api.CreateReplicationGroup(b.Context(), &awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("h"), ReplicationGroupDescription: aws.String("h"), SnapshotName: aws.String("s")})
				b.ok(err)
				time.Sleep(time.Hour)
				if h := b.groupNamed("h"); aws.ToBool(h.AuthTokenEnabled) || len(h.UserGroupIds)+len(h.LogDeliveryConfigurations) > 0 {
					t.Errorf("%+v", h)
				}
			})
		})
	}
}

func (b *bed) groupNamed(id string) ectypes.ReplicationGroup {
	out, err := b.api.DescribeReplicationGroups(b.Context(), &awselasticache.DescribeReplicationGroupsInput{ReplicationGroupId: &id})
	b.ok(err)
	return out.ReplicationGroups[0]
}
