package rdssim

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// instance is a DB instance. What it is at an instant follows from the instants in it.
type instance struct {
	life
	id, arn, resource             string
	engine, version, user, dbName string
	// cluster and clusterResource are those of the cluster that it belongs to, and joined are the settings that it got there.
	cluster, clusterResource string
	joined                   settings
	encrypted                bool
	key                      string
	subnets                  *subnetGroup
	// replicaOf is the identifier of the instance that this is a read replica of, and stopped tells that it replicates no more.
	replicaOf string
	stopped   bool
	// replicas are the identifiers of its read replicas; one that is deleted stays listed for some time.
	replicas []string
	// ready is when creating ends, in the state broken if that is set.
	ready  time.Time
	broken string
	spans  []span
	set    history[settings]
	tags   history[map[string]string]
}

// settings are what can be modified.
type settings struct {
	class, pendingClass        string
	public, multiAZ            bool
	protected, copyTags        bool
	groups                     []string
	port, allocated, retention int32
	zone, storageType, network string
	window                     string
	// pendingRetention waits for the maintenance window if waiting is set.
	pendingRetention            int32
	waiting                     bool
	parameterGroup, optionGroup string
}

func (i *instance) status(r *awssim.Request) string {
	now := r.Now
	switch {
	case !i.deleting.IsZero() && !now.Before(i.deleting):
		return "deleting"
	case now.Before(i.ready):
		return "creating"
	case i.broken != "":
		return i.broken
	}
	for _, s := range slices.Backward(i.spans) {
		if !now.Before(s.from) && now.Before(s.to) {
			return s.status
		}
	}
	if i.encrypted && !usable(r, i.key) {
		return "inaccessible-encryption-credentials-recoverable"
	}
	return "available"
}

// busy gives the instance a state until an instant, and forgets states that are over so long that no stale read asks for them.
func (i *instance) busy(from, to time.Time, status string) {
	i.spans = slices.DeleteFunc(i.spans, func(s span) bool { return from.Sub(s.to) > 24*time.Hour })
	i.spans = append(i.spans, span{from, to, status})
}

// defaultGroup is the default security group of the VPC.
func (g *subnetGroup) defaultGroup() string { return "sg-" + short(g.vpc, "default") }

func engineFamily(engine string) (port int32, license string) {
	switch {
	case strings.HasPrefix(engine, "postgres"), engine == "aurora-postgresql":
		return 5432, "postgresql-license"
	case strings.HasPrefix(engine, "oracle"):
		return 1521, "bring-your-own-license"
	case strings.HasPrefix(engine, "sqlserver"):
		return 1433, "license-included"
	case strings.HasPrefix(engine, "db2"):
		return 50000, "bring-your-own-license"
	}
	return 3306, "general-public-license"
}

func encryptionType(encrypted bool) rdstypes.StorageEncryptionType {
	if encrypted {
		return rdstypes.StorageEncryptionTypeCmk
	}
	return rdstypes.StorageEncryptionTypeUnencrypted
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return aws.String(s)
}

func (i *instance) output(r *awssim.Request) *rdstypes.DBInstance {
	v := i.set.at(r.Now)
	status := i.status(r)
	_, license := engineFamily(i.engine)
	o := &rdstypes.DBInstance{
		DBInstanceIdentifier: aws.String(i.id), DBInstanceArn: aws.String(i.arn), DbiResourceId: aws.String(i.resource),
		DBInstanceStatus: aws.String(status), DBInstanceClass: aws.String(v.class), Engine: aws.String(i.engine), EngineVersion: aws.String(i.version),
		LicenseModel: aws.String(license), MasterUsername: optional(i.user), DBName: optional(i.dbName), DBClusterIdentifier: optional(i.cluster),
		AllocatedStorage: aws.Int32(v.allocated), StorageType: aws.String(v.storageType), AvailabilityZone: optional(v.zone), NetworkType: aws.String(v.network),
		MultiAZ: aws.Bool(v.multiAZ), PubliclyAccessible: aws.Bool(v.public), DeletionProtection: aws.Bool(v.protected),
		CopyTagsToSnapshot: aws.Bool(v.copyTags), BackupRetentionPeriod: aws.Int32(v.retention), PreferredBackupWindow: aws.String(v.window),
		StorageEncrypted: aws.Bool(i.encrypted), StorageEncryptionType: encryptionType(i.encrypted), KmsKeyId: optional(i.key),
		DBSubnetGroup: i.subnets.output(r), TagList: tagList(i.tags.at(r.Now)), PendingModifiedValues: &rdstypes.PendingModifiedValues{DBInstanceClass: optional(v.pendingClass)},
		DBParameterGroups:      []rdstypes.DBParameterGroupStatus{{DBParameterGroupName: aws.String(v.parameterGroup), ParameterApplyStatus: aws.String("in-sync")}},
		OptionGroupMemberships: []rdstypes.OptionGroupMembership{{OptionGroupName: aws.String(v.optionGroup), Status: aws.String("in-sync")}},
	}
	if v.waiting {
		o.PendingModifiedValues.BackupRetentionPeriod = aws.Int32(v.pendingRetention)
	}
	if i.replicaOf != "" {
		o.ReadReplicaSourceDBInstanceIdentifier = aws.String(i.replicaOf)
		info := rdstypes.DBInstanceStatusInfo{StatusType: aws.String("read replication"), Normal: aws.Bool(!i.stopped), Status: aws.String("replicating")}
		if i.stopped {
			info.Status, info.Message = aws.String("stopped"), aws.String("Replication was stopped.")
		}
		o.StatusInfos = append(o.StatusInfos, info)
	}
	o.ReadReplicaDBInstanceIdentifiers = slices.Clone(i.replicas)
	for _, id := range v.groups {
		o.VpcSecurityGroups = append(o.VpcSecurityGroups, rdstypes.VpcSecurityGroupMembership{VpcSecurityGroupId: aws.String(id), Status: aws.String("active")})
	}
	if !r.Now.Before(i.ready) {
		o.InstanceCreateTime = aws.Time(i.ready)
		if i.broken == "" {
			o.Endpoint = &rdstypes.Endpoint{Address: aws.String(i.id + "." + short(r.Account)[:12] + "." + r.Region + ".rds.amazonaws.com"), Port: aws.Int32(v.port),
				HostedZoneId: aws.String("Z" + strings.ToUpper(short(r.Region)))}
			if _, to := i.window(r.Now); !to.IsZero() {
				o.LatestRestorableTime = aws.Time(to)
			}
		}
	}
	return o
}

// window is the time to which the instance can be restored. The members of a cluster have none of their own.
func (i *instance) window(now time.Time) (from, to time.Time) {
	if i.cluster != "" {
		return time.Time{}, time.Time{}
	}
	return restorable(i.ready, now, i.set.at(now).retention)
}

// newInstance fills in what is the same for every way to make an instance and puts it on its shelf.
func (g *region) newInstance(r *awssim.Request, i *instance, v settings, tags map[string]string) {
	i.life = life{made: r.Now, lag: r.Lag()}
	i.arn = r.ARN("rds", "db:"+i.id)
	i.resource = "db-" + strings.ToUpper(r.NewID("db")[3:])
	if v.window == "" {
		v.window = "03:00-03:30"
	}
	i.set = history[settings]{{r.Now, v}}
	i.tags = history[map[string]string]{{r.Now, copied(tags)}}
	g.instances.add(i.id, i)
	g.instanceIDs[i.resource] = i.id
	g.running++
}
