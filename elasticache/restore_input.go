package elasticache

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
)

// defaultParameters names AWS's parameter group with cluster mode for a version of Redis OSS before 7. Source: ElastiCache User Guide,
// "Parameter management"; ElastiCache API, CreateReplicationGroup.
func defaultParameters(version string) string {
	parts := strings.SplitN(version, ".", 3)
	if parts[0] == "6" || len(parts) < 2 {
		return "default.redis" + parts[0] + ".x.cluster.on"
	}
	return "default.redis" + parts[0] + "." + parts[1] + ".cluster.on"
}

// descriptionBytes is the longest description of a group. UNVERIFIED: AWS documents none; it is the limit of most of its texts.
const descriptionBytes = 255

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func number(n int32) *int32 {
	if n == 0 {
		return nil
	}
	return &n
}

// groupInput makes the call for a new replication group. The options are settled.
func (o RestoreOptions) groupInput(op backup.Operation) *awselasticache.CreateReplicationGroupInput {
	in := &awselasticache.CreateReplicationGroupInput{
		ReplicationGroupId: &o.ID, ReplicationGroupDescription: &o.Description, SnapshotName: &op.Ref.ID, Engine: text(o.Engine),
		EngineVersion: text(o.EngineVersion), CacheNodeType: text(o.NodeType), CacheSubnetGroupName: text(o.SubnetGroup),
		CacheParameterGroupName: text(o.ParameterGroup), SecurityGroupIds: o.SecurityGroups, Port: number(o.Port),
		AutoMinorVersionUpgrade: o.AutoMinorVersionUpgrade, AtRestEncryptionEnabled: aws.Bool(!o.AtRestUnencrypted), KmsKeyId: text(o.KMSKeyID),
		TransitEncryptionEnabled: aws.Bool(o.TransitEncryption), UserGroupIds: o.UserGroups, PreferredCacheClusterAZs: o.Zones,
		TransitEncryptionMode: ectypes.TransitEncryptionMode(o.TransitMode), PreferredMaintenanceWindow: text(o.MaintenanceWindow),
		SnapshotRetentionLimit: number(o.SnapshotRetentionDays), SnapshotWindow: text(o.SnapshotWindow), LogDeliveryConfigurations: o.logs(),
		Tags: tagList(op.OwnTags(op.Ref)),
	}
	if o.Description == "" {
		// The name of a snapshot is ASCII, so that no character is cut.
		text := "restored from " + op.Ref.ID
		in.ReplicationGroupDescription = aws.String(text[:min(len(text), descriptionBytes)])
	}
	replicas := aws.ToInt32(o.ReplicasPerNodeGroup)
	if aws.ToBool(o.ClusterMode) {
		if older(o.EngineVersion, "7.0") {
			// The parameter ClusterMode is of version 7; before, the parameter group decides alone.
			if o.ParameterGroup == "" {
				in.CacheParameterGroupName = aws.String(defaultParameters(o.EngineVersion))
			}
		} else {
			in.ClusterMode = ectypes.ClusterModeEnabled
		}
		in.NumNodeGroups, in.ReplicasPerNodeGroup, in.AutomaticFailoverEnabled = &o.NodeGroups, &replicas, aws.Bool(true)
	} else {
		in.NumCacheClusters = aws.Int32(replicas + 1)
		in.AutomaticFailoverEnabled = aws.Bool(o.MultiAZ || o.AutomaticFailover)
	}
	if o.MultiAZ {
		in.MultiAZEnabled = aws.Bool(true)
	}
	if isTiered(o.NodeType) {
		in.DataTieringEnabled = aws.Bool(true)
	}
	return in
}

// clusterInput makes the call for a new single cluster. The options are settled.
func (o RestoreOptions) clusterInput(op backup.Operation) *awselasticache.CreateCacheClusterInput {
	in := &awselasticache.CreateCacheClusterInput{
		CacheClusterId: &o.ID, SnapshotName: &op.Ref.ID, NumCacheNodes: aws.Int32(1), Engine: text(o.Engine), EngineVersion: text(o.EngineVersion),
		CacheNodeType: text(o.NodeType), CacheSubnetGroupName: text(o.SubnetGroup), CacheParameterGroupName: text(o.ParameterGroup),
		SecurityGroupIds: o.SecurityGroups, Port: number(o.Port), AutoMinorVersionUpgrade: o.AutoMinorVersionUpgrade,
		PreferredMaintenanceWindow: text(o.MaintenanceWindow), SnapshotRetentionLimit: number(o.SnapshotRetentionDays), SnapshotWindow: text(o.SnapshotWindow),
		LogDeliveryConfigurations: o.logs(), Tags: tagList(op.OwnTags(op.Ref)),
	}
	if len(o.Zones) == 1 {
		in.PreferredAvailabilityZone = &o.Zones[0]
	}
	if o.TransitEncryption {
		in.TransitEncryptionEnabled = aws.Bool(true)
	}
	return in
}
