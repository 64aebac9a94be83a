package elasticache

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// Settings reads how a replication group or a single cluster is set up, as the options that restore a snapshot of it alike: a snapshot keeps
// little of that. The ID is its own, and has to be changed but for a rebuild. The zones of the nodes are left to AWS, and of node groups that
// have different numbers of replicas the largest counts.
//
// It fails with ErrNotFound where there is none, and with ErrUnavailable while AWS does not tell all, as while it is created.
func (s *Strategy) Settings(ctx context.Context, r backup.Ref) (RestoreOptions, error) {
	if err := r.Validate(); err != nil {
		return RestoreOptions{}, err
	}
	if err := validRef("settings", r, TypeReplicationGroup, TypeCluster); err != nil {
		return RestoreOptions{}, err
	}
	c, err := s.client(ctx, r)
	if err != nil {
		return RestoreOptions{}, err
	}
	x, err := s.existing(ctx, c, r)
	if err != nil {
		return RestoreOptions{}, err
	}
	if x == nil {
		return RestoreOptions{}, refused(r, "settings", backup.ErrNotFound, "check the id, the account and the Region", "no such %s", kindOf(r))
	}
	return s.settings(ctx, c, r, x)
}

// existing gives the group or cluster that a Ref names, nil if none is visible.
func (s *Strategy) existing(ctx context.Context, c *awselasticache.Client, r backup.Ref) (*made, error) {
	as := AsGroup
	if r.Type == TypeCluster {
		as = AsCluster
	}
	return s.restored(ctx, c, r, RestoreOptions{ID: r.ID, As: as})
}

func (s *Strategy) settings(ctx context.Context, c *awselasticache.Client, r backup.Ref, m *made) (RestoreOptions, error) {
	o := RestoreOptions{ID: r.ID, As: AsCluster, TransitEncryption: m.transit != nil && *m.transit, AuthToken: m.auth != nil && *m.auth}
	unknown := func() (RestoreOptions, error) {
		return RestoreOptions{}, refused(r, "settings", backup.ErrUnavailable, "ask again when it is available", "AWS does not tell all of the %s, whose status is %s", kindOf(r), m.status)
	}
	x := m.cluster
	if g := m.group; g != nil {
		o.As, o.NodeType, o.Description, o.UserGroups = AsGroup, word(g.CacheNodeType), aws.ToString(g.Description), g.UserGroupIds
		mode := clustered(g)
		o.ClusterMode = &mode
		o.TransitMode = string(m.mode)
		o.KMSKeyID = aws.ToString(g.KmsKeyId)
		o.AtRestUnencrypted = !aws.ToBool(g.AtRestEncryptionEnabled) && !strings.HasPrefix(string(g.StorageEncryptionType), "sse-")
		o.MultiAZ = g.MultiAZ == ectypes.MultiAZStatusEnabled
		o.AutomaticFailover = !mode && (o.MultiAZ || g.AutomaticFailover == ectypes.AutomaticFailoverStatusEnabled || g.AutomaticFailover == ectypes.AutomaticFailoverStatusEnabling)
		o.SnapshotRetentionDays, o.SnapshotWindow = aws.ToInt32(g.SnapshotRetentionLimit), aws.ToString(g.SnapshotWindow)
		o.AutoMinorVersionUpgrade, o.LogDelivery = g.AutoMinorVersionUpgrade, deliveries(g.LogDeliveryConfigurations)
		replicas := int32(0)
		for _, n := range g.NodeGroups {
			replicas = max(replicas, int32(len(n.NodeGroupMembers))-1)
		}
		o.ReplicasPerNodeGroup = &replicas
		if mode {
			o.NodeGroups = int32(len(g.NodeGroups))
		}
		ids := members(g)
		if len(ids) == 0 || len(g.NodeGroups) == 0 {
			return unknown()
		}
		var err error
		if x, err = s.cluster(ctx, c, r, ids[0]); err != nil {
			return RestoreOptions{}, err
		}
		if x == nil {
			return unknown()
		}
	} else {
		o.NodeType, o.AutoMinorVersionUpgrade, o.LogDelivery = word(x.CacheNodeType), x.AutoMinorVersionUpgrade, deliveries(x.LogDeliveryConfigurations)
		o.SnapshotRetentionDays, o.SnapshotWindow = aws.ToInt32(x.SnapshotRetentionLimit), aws.ToString(x.SnapshotWindow)
	}
	if o.SnapshotRetentionDays == 0 {
		o.SnapshotWindow = ""
	}
	o.SubnetGroup, o.MaintenanceWindow = policy.CanonicalName(aws.ToString(x.CacheSubnetGroupName)), aws.ToString(x.PreferredMaintenanceWindow)
	if x.CacheParameterGroup != nil {
		o.ParameterGroup = aws.ToString(x.CacheParameterGroup.CacheParameterGroupName)
	}
	for _, g := range x.SecurityGroups {
		o.SecurityGroups = append(o.SecurityGroups, aws.ToString(g.SecurityGroupId))
	}
	if len(m.endpoints) > 0 {
		o.Port = m.endpoints[0].Port
	}
	if o.SubnetGroup == "" || len(o.SecurityGroups) == 0 || o.Port == 0 {
		return unknown()
	}
	return o, nil
}

// deliveries are the logs that are delivered, in the order of their names.
func deliveries(given []ectypes.LogDeliveryConfiguration) (all []LogDelivery) {
	for _, l := range given {
		if l.DestinationDetails == nil || l.Status == ectypes.LogDeliveryConfigurationStatusDisabling {
			continue
		}
		d := LogDelivery{Log: string(l.LogType), To: string(l.DestinationType), Format: strings.ToLower(string(l.LogFormat))}
		if w := l.DestinationDetails.CloudWatchLogsDetails; w != nil {
			d.Name = aws.ToString(w.LogGroup)
		} else if k := l.DestinationDetails.KinesisFirehoseDetails; k != nil {
			d.Name = aws.ToString(k.DeliveryStream)
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b LogDelivery) int { return strings.Compare(a.Log, b.Log) })
	return all
}

// difference is a setting that options have otherwise than what exists. risky ones are such that only the create call shows whether they are good.
type difference struct {
	what  string
	risky bool
}

// differences lists what would not be as it is, if it were restored with the options.
func (o RestoreOptions) differences(is RestoreOptions) (all []difference) {
	check := func(what string, same, risky bool) {
		if !same {
			all = append(all, difference{what, risky})
		}
	}
	mode := func(o RestoreOptions) bool { return aws.ToBool(o.ClusterMode) || o.NodeGroups > 1 }
	// What snapshots keep is as it was where it is left out.
	on := mode(o) || o.ClusterMode == nil && mode(is)
	replicas := int32(0)
	if on {
		replicas = 1
	}
	if o.ReplicasPerNodeGroup != nil {
		replicas = *o.ReplicasPerNodeGroup
	}
	logs := slices.SortedFunc(slices.Values(o.LogDelivery), func(a, b LogDelivery) int { return strings.Compare(a.Log, b.Log) })
	orDefault := func(s, or string) string {
		if s == "" {
			return or
		}
		return s
	}
	check("node type", o.NodeType == "" || o.NodeType == is.NodeType, true)
	check("port", o.Port == 0 || o.Port == is.Port, false)
	check("security groups", sameNames(o.SecurityGroups, is.SecurityGroups), true)
	check("subnet group", orDefault(o.SubnetGroup, "default") == is.SubnetGroup, true)
	check("parameter group", o.ParameterGroup == is.ParameterGroup || o.ParameterGroup == "" && strings.HasPrefix(is.ParameterGroup, "default."), o.ParameterGroup != "")
	check("engine version", o.EngineVersion == "", true)
	check("zones", len(o.Zones) == 0, true)
	check("encryption in transit", o.TransitEncryption == is.TransitEncryption && (!o.TransitEncryption || orDefault(o.TransitMode, TransitRequired) == orDefault(is.TransitMode, TransitRequired)), false)
	check("AUTH token", o.AuthToken == is.AuthToken, false)
	check("minor upgrades", o.AutoMinorVersionUpgrade == nil || is.AutoMinorVersionUpgrade == nil || *o.AutoMinorVersionUpgrade == *is.AutoMinorVersionUpgrade, false)
	check("maintenance window", o.MaintenanceWindow == is.MaintenanceWindow, false)
	check("automatic snapshots", o.SnapshotRetentionDays == is.SnapshotRetentionDays && o.SnapshotWindow == is.SnapshotWindow, false)
	check("log delivery", slices.Equal(logs, is.LogDelivery), len(o.LogDelivery) > 0)
	if is.As == AsCluster {
		return all
	}
	check("cluster mode", on == mode(is), false)
	check("number of node groups", o.NodeGroups == 0 && on == mode(is) || o.NodeGroups == is.NodeGroups, true)
	check("replicas", replicas == aws.ToInt32(is.ReplicasPerNodeGroup), true)
	check("failover", o.MultiAZ == is.MultiAZ && (on || o.MultiAZ || o.AutomaticFailover == is.AutomaticFailover), false)
	check("encryption at rest", o.AtRestUnencrypted == is.AtRestUnencrypted && o.KMSKeyID == is.KMSKeyID, o.KMSKeyID != "")
	check("user groups", sameNames(o.UserGroups, is.UserGroups), len(o.UserGroups) > 0)
	return all
}
