package elasticachesim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/google/go-cmp/cmp"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

func TestRestoreRules(t *testing.T) {
	type group = awselasticache.CreateReplicationGroupInput
	on := func(snapshot string, edit func(*group)) func(*bed) error {
		return func(b *bed) error {
			in := &group{ReplicationGroupId: aws.String("new"), ReplicationGroupDescription: aws.String("d"), SnapshotName: &snapshot}
			if edit != nil {
				edit(in)
			}
			_, err := b.api.CreateReplicationGroup(b.Context(), in)
			return err
		}
	}
	single := func(snapshot string, edit func(*awselasticache.CreateCacheClusterInput)) func(*bed) error {
		return func(b *bed) error {
			in := &awselasticache.CreateCacheClusterInput{CacheClusterId: aws.String("new"), SnapshotName: &snapshot}
			if edit != nil {
				edit(in)
			}
			_, err := b.api.CreateCacheCluster(b.Context(), in)
			return err
		}
	}
	for _, c := range []struct {
		name string
		do   func(*bed) error
		want string
		// members and mode of the new group.
		members int
		mode    bool
	}{
		{"a cluster to a cluster", single("s-one", nil), "", 0, false},
		{"a cluster to a group", on("s-one", nil), "", 1, false},
		{"a cluster to cluster mode", on("s-one", func(in *group) {
			in.NumNodeGroups, in.AutomaticFailoverEnabled = aws.Int32(2), aws.Bool(true)
		}), "", 2, true},
		{"cluster mode to the same", on("s-orders", func(in *group) { in.AutomaticFailoverEnabled = aws.Bool(true) }), "", 2, true},
		{"cluster mode to more shards", on("s-orders", func(in *group) {
			in.AutomaticFailoverEnabled, in.NumNodeGroups = aws.Bool(true), aws.Int32(4)
		}), "", 4, true},
		{"cluster mode to none", on("s-orders", func(in *group) { in.ClusterMode = ectypes.ClusterModeDisabled }), "InvalidParameterCombination", 0, false},
		{"cluster mode to none by parameter group", on("s-orders", func(in *group) { in.CacheParameterGroupName = aws.String("default.redis7") }), "InvalidParameterCombination", 0, false},
		{"cluster mode to a cluster", single("s-orders", nil), "InvalidParameterCombination", 0, false},
		{"another engine", on("s-one", func(in *group) { in.Engine = aws.String("valkey") }), "InvalidParameterCombination", 0, false},
		{"an older version", on("s-one", func(in *group) { in.EngineVersion = aws.String("6.2") }), "InvalidParameterCombination", 0, false},
		{"a newer version", on("s-one", func(in *group) { in.EngineVersion = aws.String("7.10") }), "", 1, false},
		{"tiering to another family", on("s-tiered", func(in *group) { in.CacheNodeType = aws.String("cache.r7g.large") }), "InvalidParameterCombination", 0, false},
		{"tiering kept", on("s-tiered", func(in *group) { in.DataTieringEnabled = aws.Bool(true) }), "", 1, false},
		{"into tiering", on("s-one", func(in *group) {
			in.DataTieringEnabled, in.CacheNodeType = aws.Bool(true), aws.String("cache.r6gd.xlarge")
		}), "", 1, false},
		{"a tiered cluster", single("s-one", func(in *awselasticache.CreateCacheClusterInput) { in.CacheNodeType = aws.String("cache.r6gd.xlarge") }), "InvalidParameterCombination", 0, false},
		{"not available", on("s-young", nil), "InvalidParameterValue", 0, false},
		{"memcached", single("s-one", func(in *awselasticache.CreateCacheClusterInput) { in.Engine = aws.String("memcached") }), "InvalidParameterCombination", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.cluster("one", nil)
				b.group("orders", sharded(2))
				b.group("tiered", func(in *group) {
					in.CacheNodeType, in.DataTieringEnabled = aws.String("cache.r6gd.xlarge"), aws.Bool(true)
				})
				b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, "s-one"))
				b.ok(b.sim.AddSnapshots(b.world, account, region, "orders", nil, "s-orders"))
				b.ok(b.sim.AddSnapshots(b.world, account, region, "tiered", nil, "s-tiered"))
				_, err := b.snapCluster("s-young", "one")
				b.ok(err)
				b.code(c.do(b), c.want)
				n := 0
				for _, g := range b.sim.Groups(b.world, account, region) {
					if g.ID != "new" {
						continue
					}
					for _, s := range g.Shards {
						n += len(s)
					}
					if g.ClusterMode != c.mode {
						t.Errorf("cluster mode %v", g.ClusterMode)
					}
				}
				if n != c.members {
					t.Errorf("%d members", n)
				}
			})
		})
	}
}

func TestRestoring(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one", nil)
		b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, "s"))
		restore := func(id string) error {
			_, err := b.api.CreateCacheCluster(b.Context(), &awselasticache.CreateCacheClusterInput{CacheClusterId: &id, SnapshotName: aws.String("s"), SecurityGroupIds: []string{"sg-9"}})
			return err
		}
		b.ok(restore("two"))
		if s := *b.snapshot("s").SnapshotStatus; s != "restoring" {
			t.Error(s)
		}
		b.code(restore("three"), "InvalidParameterValue")
		for b.clusterStatus("two") == "creating" {
			time.Sleep(time.Second)
		}
		if s, c := *b.snapshot("s").SnapshotStatus, b.clusterStatus("two"); s != "available" || c != "available" {
			t.Error(s, c)
		}
		f := b.world.Inject(awssim.Fault{Operation: "CreateCacheCluster", Kind: awssim.FaultAsync})
		b.ok(restore("three"))
		time.Sleep(time.Hour)
		if c := b.clusterStatus("three"); c != "restore-failed" || f.Fired() != 1 {
			t.Error(c)
		}
		b.world.Inject(awssim.Fault{Operation: "CreateReplicationGroup", Kind: awssim.FaultAsync})
		b.group("four", func(in *awselasticache.CreateReplicationGroupInput) { in.SnapshotName = aws.String("s") })
		if g, c := b.groupStatus("four"), b.clusterStatus("four-001"); g != "create-failed" || c != "restore-failed" {
			t.Error(g, c)
		}
		var got []string
		for _, c := range b.sim.Clusters(b.world, account, region) {
			got = append(got, c.ID+" "+c.From+" "+c.SecurityGroups[0]+" "+c.Group)
		}
		if d := cmp.Diff([]string{"four-001 s sg-default four", "one  sg-default ", "three s sg-9 ", "two s sg-9 "}, got); d != "" {
			t.Error(d)
		}
	})
}

// keys is a simulated KMS with one key that works.
type keys struct{}

func (keys) Definition() awssim.Definition { return awssim.Definition{ID: "KMS"} }
func (keys) KeyUsable(arn, _ string) (string, bool) {
	switch arn {
	case "good":
		return "Enabled", true
	case "dying":
		return "PendingDeletion", true
	}
	return "", false
}

func TestKeys(t *testing.T) {
	for key, want := range map[string]string{"good": "", "dying": "InvalidParameterValue", "none": "InvalidParameterValue"} {
		bubble(t, func(b *bed) {
			world := awssim.New(b.sim, keys{})
			api := awselasticache.NewFromConfig(world.Config(account, region))
			_, err := api.CreateCacheCluster(b.Context(), &awselasticache.CreateCacheClusterInput{CacheClusterId: aws.String("c"), CacheNodeType: aws.String("cache.t4g.small")})
			b.ok(err)
			time.Sleep(time.Hour)
			_, err = api.CreateSnapshot(b.Context(), &awselasticache.CreateSnapshotInput{SnapshotName: aws.String("s"), CacheClusterId: aws.String("c"), KmsKeyId: &key})
			b.code(err, want)
		})
	}
}

func TestTags(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one", nil)
		out, err := b.snapCluster("s", "one")
		b.ok(err)
		arn := out.Snapshot.ARN
		tag := func(k, v string) []ectypes.Tag { return []ectypes.Tag{{Key: &k, Value: &v}} }
		_, err = b.api.AddTagsToResource(b.Context(), &awselasticache.AddTagsToResourceInput{ResourceName: arn, Tags: tag("a", "1")})
		b.ok(err)
		_, err = b.api.AddTagsToResource(b.Context(), &awselasticache.AddTagsToResourceInput{ResourceName: arn, Tags: tag("a", "2")})
		b.ok(err)
		list, err := b.api.ListTagsForResource(b.Context(), &awselasticache.ListTagsForResourceInput{ResourceName: arn})
		b.ok(err)
		if len(list.TagList) != 1 || *list.TagList[0].Value != "2" {
			t.Errorf("%v", list.TagList)
		}
		for arn, want := range map[string]string{
			"arn:aws:elasticache:eu-west-1:111122223333:snapshot:none":         "SnapshotNotFoundFault",
			"arn:aws:elasticache:eu-west-1:111122223333:cluster:none":          "CacheClusterNotFound",
			"arn:aws:elasticache:eu-west-1:111122223333:replicationgroup:none": "ReplicationGroupNotFoundFault",
			"arn:aws:elasticache:eu-west-1:111122223333:subnetgroup:none":      "CacheSubnetGroupNotFoundFault",
			"arn:aws:elasticache:eu-west-1:111122223333:subnetgroup:default":   "",
			"arn:aws:elasticache:eu-west-1:111122223333:other:none":            "InvalidARN",
			"arn:aws:elasticache:us-east-1:111122223333:snapshot:s":            "InvalidARN",
			"s": "InvalidARN",
		} {
			_, err := b.api.ListTagsForResource(b.Context(), &awselasticache.ListTagsForResourceInput{ResourceName: &arn})
			b.code(err, want)
		}
	})
}

func TestSubnetGroups(t *testing.T) {
	bubble(t, func(b *bed) {
		create := func(name string, subnets ...string) error {
			_, err := b.api.CreateCacheSubnetGroup(b.Context(), &awselasticache.CreateCacheSubnetGroupInput{CacheSubnetGroupName: &name, CacheSubnetGroupDescription: aws.String("d"), SubnetIds: subnets})
			return err
		}
		b.ok(create("Private", "subnet-1", "subnet-2"))
		b.code(create("private", "subnet-1"), "CacheSubnetGroupAlreadyExists")
		b.code(create("empty", []string{}...), "InvalidParameterValue")
		out, err := b.api.DescribeCacheSubnetGroups(b.Context(), &awselasticache.DescribeCacheSubnetGroupsInput{})
		b.ok(err)
		if len(out.CacheSubnetGroups) != 2 || *out.CacheSubnetGroups[1].Subnets[1].SubnetIdentifier != "subnet-2" {
			t.Errorf("%+v", out.CacheSubnetGroups)
		}
		_, err = b.api.DescribeCacheSubnetGroups(b.Context(), &awselasticache.DescribeCacheSubnetGroupsInput{CacheSubnetGroupName: aws.String("none")})
		b.code(err, "CacheSubnetGroupNotFoundFault")
		b.sim.AddParameterGroup(b.world, account, region, "mine", true)
		b.group("g", func(in *awselasticache.CreateReplicationGroupInput) {
			in.CacheSubnetGroupName, in.CacheParameterGroupName, in.AutomaticFailoverEnabled = aws.String("PRIVATE"), aws.String("mine"), aws.Bool(true)
		})
		if g := b.sim.Groups(b.world, account, region)[0]; g.SubnetGroup != "private" || !g.ClusterMode || g.Shards[0][0] != "g-0001-001" {
			t.Errorf("%+v", g)
		}
	})
}
