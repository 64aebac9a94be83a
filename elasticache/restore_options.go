package elasticache

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// What a snapshot can be restored as.
const (
	// AsGroup restores to a replication group.
	AsGroup = "group"
	// AsCluster restores to a single cluster.
	AsCluster = "cluster"
)

// RestoreOptions are the settings of a restore. ID and SecurityGroups are required. What is empty, 0 or nil is as in the snapshot where
// ElastiCache keeps it there, and otherwise AWS's default. A password (AUTH token) is never among them, because an Operation holds no secrets:
// Options.AuthToken gives it when the call is made.
type RestoreOptions struct {
	// ID is the id of the new replication group (1 to 40 characters) or cluster (1 to 50): letters, digits and hyphens.
	ID string
	// As is AsGroup or AsCluster; empty means what the snapshot is of: AsGroup for one of a replication group, AsCluster otherwise. A member
	// of a group with cluster mode disabled counts as a group only if this library made the snapshot, because AWS does not say.
	As string
	// SecurityGroups are the VPC security groups, at least one: AWS would otherwise take the VPC's default group, which may be open to more
	// than the source was.
	SecurityGroups []string
	// SubnetGroup is the cache subnet group; empty means AWS's "default". TransitEncryption needs it.
	SubnetGroup string
	// NodeType is such as "cache.r7g.large". A snapshot with data tiering (r6gd) needs an r6gd type.
	NodeType string
	// Port is 0 for the snapshot's.
	Port int32
	// Zones are the availability zones: one for a cluster, one for each node of a group with cluster mode disabled, the primary's first.
	// With cluster mode enabled AWS chooses.
	Zones []string
	// ParameterGroup is the cache parameter group. One with cluster-enabled is needed for cluster mode, if it is given.
	ParameterGroup string
	// AutoMinorVersionUpgrade is nil for AWS's default, which is on.
	AutoMinorVersionUpgrade *bool
	// Engine is "redis" or "valkey". Another than the snapshot's is refused with ErrUnsupported; it is here for programs that want to be sure.
	Engine string
	// EngineVersion may be the snapshot's or a later one. From Redis OSS 6 on only major and minor are sent, such as "7.0" for "7.0.7", because
	// AWS chooses the patch itself and refuses to be told.
	EngineVersion string
	// Description is the new group's, at most 255 bytes; empty says of which snapshot it is.
	Description string
	// ClusterMode enables cluster mode for a snapshot without it (AWS allows that), nil for as it was. False is refused for a snapshot with it.
	ClusterMode *bool
	// NodeGroups is the number of shards with cluster mode enabled, 1 to 500; 0 for as many as in the snapshot. More than 90 nodes, replicas
	// included, need a quota that AWS has raised.
	NodeGroups int32
	// ReplicasPerNodeGroup is 0 to 5 for a group; nil means 1 with cluster mode enabled and none otherwise.
	ReplicasPerNodeGroup *int32
	// MultiAZ spreads a group over zones and fails over by itself; it needs a replica. AutomaticFailover only fails over, and is on with
	// MultiAZ and with cluster mode enabled in any case.
	MultiAZ           bool
	AutomaticFailover bool
	// AtRestUnencrypted leaves the disks of a new group unencrypted; otherwise they are encrypted, for Redis OSS too, where AWS's default is
	// not to. KMSKeyID is the key's ARN, empty for AWS's own. They are settings of groups.
	AtRestUnencrypted bool
	KMSKeyID          string
	// TransitEncryption has clients connect with TLS; it needs SubnetGroup. A snapshot does not tell whether its source did. Source:
	// ElastiCache API, CreateReplicationGroup.
	TransitEncryption bool
	// TransitMode is TransitRequired or TransitPreferred, empty for AWS's default, which is the first. It is a setting of groups.
	TransitMode string
	// UserGroups are the user groups (access control) of a new group, at most one as AWS stands; they need TransitEncryption.
	UserGroups []string
	// AuthToken has clients authenticate with a password, which Options.AuthToken gives when the call is made; it needs TransitEncryption, and
	// there are no UserGroups then.
	AuthToken bool
	// MaintenanceWindow is the weekly window in UTC for what AWS does to the nodes, such as "sun:23:00-mon:01:30"; empty leaves it to AWS.
	MaintenanceWindow string
	// SnapshotRetentionDays is for how many days automatic snapshots are kept, 1 to 35; 0 for none, whatever the snapshot's source had. They are
	// made daily in SnapshotWindow, in UTC, such as "03:00-04:30"; empty leaves that to AWS.
	SnapshotRetentionDays int32
	SnapshotWindow        string
	// LogDelivery has logs delivered, each of the two at most once.
	LogDelivery []LogDelivery
}

// OptionsFor makes RestoreOptions usable as backup.Spec.Options.
func (RestoreOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionRestore }

func (o RestoreOptions) valid(r backup.Ref) error {
	bad := func(hint, format string, args ...any) error {
		return invalid(backup.ActionRestore, r, hint, format, args...)
	}
	check := policy.ValidateReplicationGroupID
	switch o.As {
	case AsCluster:
		check = policy.ValidateCacheClusterID
	case "", AsGroup:
	default:
		return bad("use elasticache.AsGroup or elasticache.AsCluster", "As is %q", o.As)
	}
	if o.As == "" && len(o.ID) > 40 {
		check = policy.ValidateCacheClusterID
	}
	if err := check(o.ID); err != nil {
		return bad("set RestoreOptions.ID to a new id: letters, digits and hyphens, a letter first", "%w", err)
	}
	if len(o.SecurityGroups) == 0 {
		return bad("name at least one security group; AWS would take the VPC's default group", "no security groups")
	}
	for i, g := range o.SecurityGroups {
		if !securityGroup(g) {
			return bad("use ids such as sg-0123456789abcdef0", "%.300q is not the id of a security group", g)
		}
		if slices.Contains(o.SecurityGroups[:i], g) {
			return bad("name each security group once", "the security group %s is named twice", g)
		}
	}
	for _, z := range o.Zones {
		if err := policy.ValidateZone(z, r.Region); err != nil {
			return bad("name zones of the Region, such as "+r.Region+"a", "%w", err)
		}
	}
	if o.KMSKeyID != "" {
		if err := validKey(backup.ActionRestore, r, o.KMSKeyID); err != nil {
			return err
		}
	}
	switch {
	case o.As == AsCluster && o.groupOnly():
		return bad("use AsGroup, or leave the settings of groups out", "a single cluster has no node groups, replicas, failover, cluster mode, KMS key, transit mode or user groups to set")
	case o.Port < 0 || o.Port > 65535:
		return bad("leave it 0 or choose 1 to 65535", "port %d", o.Port)
	case o.NodeGroups < 0 || o.NodeGroups > mostNodes:
		return bad("leave it 0 or choose 1 to 500", "%d node groups", o.NodeGroups)
	case o.ReplicasPerNodeGroup != nil && (*o.ReplicasPerNodeGroup < 0 || *o.ReplicasPerNodeGroup > 5):
		return bad("choose 0 to 5", "%d replicas in each node group", *o.ReplicasPerNodeGroup)
	case o.ClusterMode != nil && !*o.ClusterMode && o.NodeGroups > 1:
		return bad("enable cluster mode, or leave NodeGroups out", "%d node groups without cluster mode", o.NodeGroups)
	case o.KMSKeyID != "" && o.AtRestUnencrypted:
		return bad("leave one of them out", "a KMS key for disks that are not to be encrypted")
	case o.MultiAZ && o.ReplicasPerNodeGroup != nil && *o.ReplicasPerNodeGroup == 0:
		return bad("set ReplicasPerNodeGroup to at least 1", "MultiAZ without a replica")
	case o.TransitEncryption && o.SubnetGroup == "":
		return bad("set SubnetGroup; AWS asks for it with encryption in transit", "TransitEncryption without a SubnetGroup")
	case len(o.UserGroups) > 0 && !o.TransitEncryption:
		return bad("set TransitEncryption", "user groups without encryption in transit")
	case o.NodeType != "" && !strings.HasPrefix(o.NodeType, "cache."):
		return bad("use a type such as cache.r7g.large", "the node type %q", o.NodeType)
	case o.EngineVersion != "" && strings.Trim(o.EngineVersion, "0123456789.x") != "":
		return bad("use a version such as 7.1", "the engine version %q", o.EngineVersion)
	case o.Engine != "" && o.Engine != "redis" && o.Engine != "valkey":
		return bad("use redis or valkey, or leave it empty", "the engine %q", o.Engine)
	case len(o.Description) > 255 || len(o.SubnetGroup) > 255 || len(o.ParameterGroup) > 255 || len(o.NodeType) > 64 || len(o.SecurityGroups) > 50 || len(o.UserGroups) > 10 || len(o.Zones) > 6:
		return bad("shorten it", "a setting is longer than AWS takes")
	}
	return o.validSettings(bad)
}

// groupOnly tells whether a setting is there that only replication groups have.
func (o RestoreOptions) groupOnly() bool {
	return o.NodeGroups != 0 || o.ReplicasPerNodeGroup != nil || o.ClusterMode != nil || o.MultiAZ || o.AutomaticFailover || o.KMSKeyID != "" || o.AtRestUnencrypted ||
		len(o.UserGroups) > 0 || o.TransitMode != ""
}

// settle decides what the snapshot leaves open, and refuses what AWS does not allow. It returns the options as they will be used.
func (o RestoreOptions) settle(r backup.Ref, x *ectypes.Snapshot, tags map[string]string) (RestoreOptions, error) {
	no := func(hint, format string, args ...any) (RestoreOptions, error) {
		return o, refused(r, "restore", backup.ErrUnsupported, hint, format, args...)
	}
	withMode := aws.ToString(x.ReplicationGroupId) != "" && aws.ToString(x.CacheClusterId) == ""
	if o.As == "" {
		o.As = AsCluster
		if withMode || strings.HasPrefix(tags[backup.TagSource], TypeReplicationGroup+":") || o.groupOnly() {
			o.As = AsGroup
		}
	}
	engine := policy.CanonicalName(aws.ToString(x.Engine))
	switch {
	case engine != "redis" && engine != "valkey" && engine != "":
		return no("", "the snapshot's engine is %q", engine)
	case o.Engine != "" && o.Engine != engine:
		return no("restore to the same engine; Redis OSS can be upgraded to Valkey afterwards, in place", "a snapshot of %s can not be restored to %s", engine, o.Engine)
	case o.EngineVersion != "" && older(o.EngineVersion, aws.ToString(x.EngineVersion)):
		return no("choose the snapshot's version or a later one", "the version %s is earlier than the snapshot's %s", o.EngineVersion, aws.ToString(x.EngineVersion))
	case withMode && o.As == AsCluster, withMode && o.ClusterMode != nil && !*o.ClusterMode:
		return no("restore to a replication group with cluster mode enabled", "the snapshot is of a replication group with cluster mode enabled, and AWS does not restore it to anything without")
	case len(o.ID) > 40 && o.As == AsGroup:
		return no("use at most 40 characters for a replication group", "the id %s has %d characters", o.ID, len(o.ID))
	}
	o.Engine = engine
	if o.NodeType == "" {
		o.NodeType = aws.ToString(x.CacheNodeType)
	}
	if o.EngineVersion == "" {
		o.EngineVersion = aws.ToString(x.EngineVersion)
	}
	o.EngineVersion = withoutPatch(engine, o.EngineVersion)
	tiered := x.DataTiering == ectypes.DataTieringStatusEnabled
	switch {
	case tiered && !isTiered(o.NodeType):
		return no("choose an r6gd node type", "a snapshot with data tiering can not be restored to %s", o.NodeType)
	case isTiered(o.NodeType) && o.As == AsCluster:
		return no("use AsGroup", "only replication groups have r6gd nodes")
	}
	if o.As == AsCluster {
		if len(o.Zones) > 1 {
			return no("name one zone", "a single cluster has one zone, not %d", len(o.Zones))
		}
		return o, nil
	}
	mode := withMode || o.NodeGroups > 1 || o.ClusterMode != nil && *o.ClusterMode
	o.ClusterMode = &mode
	if o.ReplicasPerNodeGroup == nil {
		n := int32(0)
		if mode {
			n = 1
		}
		o.ReplicasPerNodeGroup = &n
	}
	if mode && o.NodeGroups == 0 {
		o.NodeGroups = max(aws.ToInt32(x.NumNodeGroups), 1)
	}
	switch {
	case mode && len(o.Zones) > 0:
		return no("leave Zones out", "with cluster mode enabled AWS chooses the zones")
	case !mode && len(o.Zones) > 0 && len(o.Zones) != int(*o.ReplicasPerNodeGroup)+1:
		return no("name one zone for each node", "%d zones for %d nodes", len(o.Zones), *o.ReplicasPerNodeGroup+1)
	case !mode && (o.MultiAZ || o.AutomaticFailover) && *o.ReplicasPerNodeGroup == 0:
		return no("set ReplicasPerNodeGroup to at least 1", "MultiAZ and AutomaticFailover need a replica")
	case o.nodes() > mostNodes:
		return no("restore to fewer node groups or replicas", "%d nodes are more than the %d of a group", o.nodes(), mostNodes)
	}
	return o, nil
}

// usualNodes is AWS's quota of nodes in a group, and mostNodes the most that it raises it to. Source: ElastiCache User Guide, "Working with shards".
const (
	usualNodes = 90
	mostNodes  = 500
)

// nodes is how many there will be, of settled options of a group.
func (o RestoreOptions) nodes() int {
	if o.As != AsGroup || o.ReplicasPerNodeGroup == nil {
		return 1
	}
	return int(max(o.NodeGroups, 1) * (*o.ReplicasPerNodeGroup + 1))
}

// nodeQuota warns of more nodes than AWS's usual quota.
func nodeQuota(op backup.Operation, o RestoreOptions) []backup.Finding {
	n := o.nodes()
	if n <= usualNodes {
		return nil
	}
	return []backup.Finding{{ID: "elasticache.node-quota", Severity: backup.SeverityWarning, Ref: op.Ref,
		Message: fmt.Sprintf("%d nodes are more than the %d of AWS's quota of a group; whether it was raised only the call shows", n, usualNodes), Remedy: "have the quota raised, or restore to fewer nodes"}}
}

// securityGroup tells whether an id can be that of a security group. Source: EC2 API, SecurityGroup; those of EC2 are sg- and 8 or 17
// hexadecimal digits, but nothing promises that.
func securityGroup(id string) bool {
	rest, ok := strings.CutPrefix(id, "sg-")
	return ok && len(id) <= 255 && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && strings.Trim(rest, "-") == rest && rest != ""
}

// withoutPatch gives the version as a create call takes it: from Redis OSS 6 on only major and minor, although AWS tells a snapshot's version
// with its patch. AWS refuses others with "Specific version selection is not allowed for '7.0.7', please use '7.0'". That it does so for Valkey,
// whose versions follow on, is inferred. Source: ElastiCache User Guide, "Engine versions and upgrading"; public reports, such as
// hashicorp/terraform-provider-aws#32252 and crossplane-contrib/provider-aws#1617.
func withoutPatch(engine, version string) string {
	parts := strings.Split(version, ".")
	major, err := strconv.Atoi(parts[0])
	if len(parts) < 3 || err != nil || engine != "valkey" && major < 6 {
		return version
	}
	return parts[0] + "." + parts[1]
}

func isTiered(nodeType string) bool { return strings.HasPrefix(nodeType, "cache.r6gd.") }

// older reports whether version a is lower than b. "6.x" is any 6.
func older(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, errA := strconv.Atoi(as[i])
		y, errB := strconv.Atoi(bs[i])
		if errA != nil || errB != nil {
			return false
		}
		if x != y {
			return x < y
		}
	}
	return false
}
