package elasticache

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
)

func TestWhole(t *testing.T) {
	now := time.Now()
	part := func(id, slots string) ectypes.NodeSnapshot {
		n := ectypes.NodeSnapshot{NodeGroupId: text(id), SnapshotCreateTime: &now}
		if slots != "" {
			n.NodeGroupConfiguration = &ectypes.NodeGroupConfiguration{Slots: &slots}
		}
		return n
	}
	one := &made{cluster: &ectypes.CacheCluster{CacheClusterId: aws.String("One")}}
	member := func(id, role string) ectypes.NodeGroupMember {
		return ectypes.NodeGroupMember{CacheClusterId: &id, CurrentRole: text(role)}
	}
	group := func(all ...ectypes.NodeGroupMember) *made {
		return &made{group: &ectypes.ReplicationGroup{ReplicationGroupId: aws.String("g"), MemberClusters: []string{"g-001", "g-002"}, NodeGroups: []ectypes.NodeGroup{{NodeGroupMembers: all}}}}
	}
	plain := group(member("g-001", "replica"), member("G-002", "Primary"))
	sharded := &made{group: &ectypes.ReplicationGroup{ReplicationGroupId: aws.String("g"), ClusterEnabled: aws.Bool(true),
		NodeGroups: []ectypes.NodeGroup{{NodeGroupId: aws.String("0001")}, {NodeGroupId: aws.String("0002")}}}}
	of := func(cluster, group string, n int32, parts ...ectypes.NodeSnapshot) *ectypes.Snapshot {
		return &ectypes.Snapshot{CacheClusterId: text(cluster), ReplicationGroupId: text(group), NumNodeGroups: number(n), NodeSnapshots: parts}
	}
	for _, c := range []struct {
		name string
		x    *ectypes.Snapshot
		m    *made
		ok   bool
	}{
		{"a cluster", of("one", "", 0, part("", "")), one, true},
		{"another cluster", of("two", "", 0, part("", "")), one, false},
		{"no parts", of("one", "", 0), one, false},
		{"no time", of("one", "", 0, ectypes.NodeSnapshot{}), one, false},
		{"the primary", of("g-002", "", 0, part("", "")), plain, true},
		{"a replica", of("g-001", "", 0, part("", "")), plain, false},
		{"roles not told", of("g-002", "", 0, part("", "")), group(member("g-001", ""), member("g-002", "")), false},
		{"one role not told", of("g-002", "", 0, part("", "")), group(member("g-001", ""), member("g-002", "primary")), false},
		{"two primaries", of("g-002", "", 0, part("", "")), group(member("g-001", "primary"), member("g-002", "primary")), false},
		{"no member", of("h-002", "", 0, part("", "")), plain, false},
		{"all shards", of("", "g", 2, part("0001", "0-8191"), part("0002", "8192-16383")), sharded, true},
		{"in another order", of("", "g", 2, part("0002", "8192-16383"), part("0001", "0-8191")), sharded, true},
		{"another group", of("", "h", 2, part("0001", "0-8191"), part("0002", "8192-16383")), sharded, false},
		{"a shard is missing", of("", "g", 1, part("0001", "0-16383")), sharded, false},
		{"fewer parts than AWS says", of("", "g", 3, part("0001", "0-8191"), part("0002", "8192-16383")), sharded, false},
		{"AWS does not say how many", of("", "g", 0, part("0001", "0-8191"), part("0002", "8192-16383")), sharded, false},
		{"slots are missing", of("", "g", 2, part("0001", "0-8190"), part("0002", "8192-16383")), sharded, false},
		{"slots twice", of("", "g", 2, part("0001", "0-8192"), part("0002", "8192-16383")), sharded, false},
		{"slots not told", of("", "g", 2, part("0001", "0-8191"), part("0002", "")), sharded, false},
		{"slots that are none", of("", "g", 2, part("0001", "0-8191"), part("0002", "all")), sharded, false},
		{"a shard more, as before a scaling in", of("", "g", 3, part("0001", "0-99"), part("0002", "100-8191"), part("0003", "8192-16383")), sharded, true},
	} {
		if why := whole(c.x, c.m); (why == "") != c.ok {
			t.Errorf("%s: %q", c.name, why)
		}
	}
}

func TestDifferences(t *testing.T) {
	yes := true
	is := RestoreOptions{As: AsGroup, NodeType: "cache.r7g.large", Port: 6379, SecurityGroups: []string{"sg-1", "sg-2"}, SubnetGroup: "default", ParameterGroup: "default.redis7",
		ClusterMode: new(bool), ReplicasPerNodeGroup: aws.Int32(1), TransitEncryption: true, TransitMode: "required", MaintenanceWindow: "sun:05:00-sun:06:00",
		SnapshotRetentionDays: 3, SnapshotWindow: "01:00-02:00", UserGroups: []string{"u"}, KMSKeyID: "k", AutoMinorVersionUpgrade: &yes}
	for _, c := range []struct {
		name, want string
		risky      bool
		edit       func(o *RestoreOptions)
	}{
		{"nothing", "", false, func(*RestoreOptions) {}},
		{"what the snapshot keeps", "", false, func(o *RestoreOptions) {
			o.NodeType, o.Port, o.ClusterMode, o.AutoMinorVersionUpgrade = "", 0, nil, nil
		}},
		{"defaults by name", "", false, func(o *RestoreOptions) { o.SubnetGroup, o.ParameterGroup, o.TransitMode = "", "", "" }},
		{"the order of names", "", false, func(o *RestoreOptions) { o.SecurityGroups = []string{"sg-2", "sg-1"} }},
		{"type", "node type", true, func(o *RestoreOptions) { o.NodeType = "cache.t4g.small" }},
		{"port", "port", false, func(o *RestoreOptions) { o.Port = 1 }},
		{"groups", "security groups", true, func(o *RestoreOptions) { o.SecurityGroups = []string{"sg-1"} }},
		{"subnets", "subnet group", true, func(o *RestoreOptions) { o.SubnetGroup = "x" }},
		{"parameters", "parameter group", true, func(o *RestoreOptions) { o.ParameterGroup = "x" }},
		{"version", "engine version", true, func(o *RestoreOptions) { o.EngineVersion = "8.0" }},
		{"zones", "zones", true, func(o *RestoreOptions) { o.Zones = []string{"a"} }},
		{"TLS", "encryption in transit", false, func(o *RestoreOptions) { o.TransitEncryption = false }},
		{"TLS mode", "encryption in transit", false, func(o *RestoreOptions) { o.TransitMode = "preferred" }},
		{"token", "AUTH token", false, func(o *RestoreOptions) { o.AuthToken = true }},
		{"upgrades", "minor upgrades", false, func(o *RestoreOptions) { o.AutoMinorVersionUpgrade = new(bool) }},
		{"maintenance", "maintenance window", false, func(o *RestoreOptions) { o.MaintenanceWindow = "" }},
		{"daily", "automatic snapshots", false, func(o *RestoreOptions) { o.SnapshotRetentionDays = 0 }},
		{"logs", "log delivery", true, func(o *RestoreOptions) { o.LogDelivery = []LogDelivery{{}} }},
		{"failover", "failover", false, func(o *RestoreOptions) { o.AutomaticFailover = true }},
		{"replicas", "replicas", true, func(o *RestoreOptions) { o.ReplicasPerNodeGroup = nil }},
		{"key", "encryption at rest", true, func(o *RestoreOptions) { o.KMSKeyID = "l" }},
		{"no key", "encryption at rest", false, func(o *RestoreOptions) { o.KMSKeyID = "" }},
		{"users", "user groups", false, func(o *RestoreOptions) { o.UserGroups = nil }},
		{"mode", "cluster mode", false, func(o *RestoreOptions) { o.ClusterMode = &yes }},
		{"shards", "number of node groups", true, func(o *RestoreOptions) { o.NodeGroups = 1 }},
	} {
		o := is
		c.edit(&o)
		found := false
		all := o.differences(is)
		for _, d := range all {
			found = found || d == difference{c.want, c.risky}
		}
		if found != (c.want != "") || c.want == "" && len(all) > 0 {
			t.Errorf("%s: %+v", c.name, all)
		}
	}
	if d := (RestoreOptions{As: AsCluster, SecurityGroups: []string{"sg"}, SubnetGroup: "s", MultiAZ: true}).differences(RestoreOptions{As: AsCluster, SecurityGroups: []string{"sg"}, SubnetGroup: "s"}); len(d) != 0 {
		t.Errorf("%+v", d)
	}
}
