package rdssim

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// How long AWS takes. Assumptions: AWS publishes no figures.
const (
	createTakes   = 6 * time.Minute
	modifyTakes   = 5 * time.Minute
	deleteTakes   = 3 * time.Minute
	snapshotTakes = 10 * time.Minute
	restoreTakes  = 12 * time.Minute
	goneTakes     = 5 * time.Second
)

func (s *RDS) createDBInstance(r *awssim.Request, in *awsrds.CreateDBInstanceInput) (*awsrds.CreateDBInstanceOutput, error) {
	id, err := identifier("DBInstanceIdentifier", aws.ToString(in.DBInstanceIdentifier), 63)
	if err != nil {
		return nil, err
	}
	g := s.in(r)
	if _, ok := g.instances.truth(r, id); ok {
		return nil, awssim.Fail("DBInstanceAlreadyExists", "DB instance already exists")
	}
	if g.running >= s.instanceQuota {
		return nil, awssim.Fail("InstanceQuotaExceeded", "DB Instance quota exceeded")
	}
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	port, _ := engineFamily(aws.ToString(in.Engine))
	v := settings{class: aws.ToString(in.DBInstanceClass), multiAZ: aws.ToBool(in.MultiAZ), protected: aws.ToBool(in.DeletionProtection),
		copyTags: aws.ToBool(in.CopyTagsToSnapshot), port: port, allocated: 20, retention: 1, storageType: "gp2", zone: zone(r, 0)}
	if in.AllocatedStorage != nil {
		v.allocated = *in.AllocatedStorage
	}
	if in.BackupRetentionPeriod != nil {
		v.retention = *in.BackupRetentionPeriod
	}
	if v.retention < 0 || v.retention > 35 {
		return nil, awssim.Fail("InvalidParameterValue", "Invalid backup retention period: %d", v.retention)
	}
	sub, err := g.place(r, &v, placement{in.DBSubnetGroupName, in.VpcSecurityGroupIds, in.PubliclyAccessible, in.Port, in.AvailabilityZone,
		in.DBParameterGroupName, in.OptionGroupName, in.StorageType, in.NetworkType}, aws.ToString(in.Engine))
	if err != nil {
		return nil, err
	}
	i := &instance{id: id, engine: aws.ToString(in.Engine), version: aws.ToString(in.EngineVersion), user: aws.ToString(in.MasterUsername),
		dbName: aws.ToString(in.DBName), subnets: sub,
		encrypted: aws.ToBool(in.StorageEncrypted), ready: r.Now.Add(r.Took(id, createTakes, 0.3))}
	if i.version == "" {
		i.version = "1.0"
	}
	if in.DBClusterIdentifier != nil {
		if err := i.member(r, g, &v, in); err != nil {
			return nil, err
		}
		if r.Doomed {
			i.broken = "failed"
		}
		g.newInstance(r, i, v, tags)
		return &awsrds.CreateDBInstanceOutput{DBInstance: i.output(r)}, nil
	}
	if in.KmsKeyId != nil && !i.encrypted {
		return nil, awssim.Fail("InvalidParameterCombination", "KmsKeyId can only be used with StorageEncrypted")
	}
	if i.encrypted {
		if i.key, err = key(r, aws.ToString(in.KmsKeyId)); err != nil {
			return nil, err
		}
	}
	if r.Doomed {
		i.broken = "failed"
	}
	g.newInstance(r, i, v, tags)
	return &awsrds.CreateDBInstanceOutput{DBInstance: i.output(r)}, nil
}

// member makes a new instance one of an Aurora cluster.
func (i *instance) member(r *awssim.Request, g *region, v *settings, in *awsrds.CreateDBInstanceInput) error {
	c, ok := g.clusters.truth(r, named(r, "cluster", *in.DBClusterIdentifier))
	switch {
	case !ok:
		return clusterNotFound(*in.DBClusterIdentifier)
	case !aurora(c.engine) || i.engine != c.engine:
		return awssim.Fail("InvalidParameterCombination", "The engine %s of the instance can't be used in the cluster %s of the engine %s.", i.engine, c.id, c.engine)
	case len(in.VpcSecurityGroupIds) > 0 || in.StorageEncrypted != nil || in.KmsKeyId != nil || in.BackupRetentionPeriod != nil || in.AllocatedStorage != nil:
		return awssim.Fail("InvalidParameterCombination", "Security groups, storage, encryption and backup retention are managed by the DB cluster.")
	case in.DBSubnetGroupName != nil && strings.ToLower(*in.DBSubnetGroupName) != c.subnets.name:
		return awssim.Fail("InvalidParameterCombination", "The subnet group must be that of the cluster.")
	case !slices.Contains([]string{"available", "creating", "modifying", "backing-up"}, c.status(r)):
		return awssim.Fail("InvalidDBClusterStateFault", "The DB cluster %s is %s.", c.id, c.status(r))
	}
	i.subnets, i.encrypted, i.key, i.version, i.user = c.subnets, c.encrypted, c.key, c.version, c.user
	if i.ready.Before(c.ready) {
		i.ready = c.ready
	}
	v.port, v.storageType, v.allocated, v.network = c.set.last().port, "aurora", 1, c.set.last().network
	if in.PubliclyAccessible == nil {
		v.public = c.subnets.gateway
	}
	i.join(g, c, *v)
	*v = i.joined
	return nil
}

// placement are the parameters that creating and restoring have in common.
type placement struct {
	subnetGroup     *string
	groups          []string
	public          *bool
	port            *int32
	zone            *string
	parameter, opts *string
	storageType     *string
	network         *string
}

// place fills in where an instance stands and who reaches it, with the defaults of RDS for what is not given.
func (g *region) place(r *awssim.Request, v *settings, p placement, engine string) (*subnetGroup, error) {
	if !strings.HasPrefix(v.class, "db.") {
		return nil, awssim.Fail("InvalidParameterValue", "Invalid DB Instance class: %s", v.class)
	}
	if v.multiAZ && p.zone != nil {
		return nil, awssim.Fail("InvalidParameterCombination", "Requesting a specific availability zone is not valid for Multi-AZ instances.")
	}
	name := "default"
	if p.subnetGroup != nil {
		name = strings.ToLower(*p.subnetGroup)
	}
	sub := g.subnetGroups[name]
	if sub == nil {
		return nil, notFound("DBSubnetGroupNotFoundFault", "DB subnet group '%s' does not exist.", name)
	}
	v.public = sub.gateway
	if p.public != nil {
		v.public = *p.public
	}
	v.groups = []string{sub.defaultGroup()}
	if len(p.groups) > 0 {
		v.groups = slices.Clone(p.groups)
	}
	for _, id := range v.groups {
		if !strings.HasPrefix(id, "sg-") {
			return nil, awssim.Fail("InvalidParameterValue", "Invalid security group , groupId= %s, groupName=.", id)
		}
	}
	if p.port != nil {
		if *p.port < 1150 || *p.port > 65535 {
			return nil, awssim.Fail("InvalidParameterValue", "Invalid endpoint port %d, valid range is 1150-65535", *p.port)
		}
		v.port = *p.port
	}
	if p.zone != nil {
		if !strings.HasPrefix(*p.zone, r.Region) || len(*p.zone) != len(r.Region)+1 {
			return nil, awssim.Fail("InvalidVPCNetworkStateFault", "Availability zone '%s' is unavailable in this region, please choose another zone set.", *p.zone)
		}
		v.zone = *p.zone
	}
	if p.storageType != nil {
		if !slices.Contains([]string{"gp2", "gp3", "io1", "io2", "standard"}, *p.storageType) {
			return nil, awssim.Fail("StorageTypeNotSupported", "The storage type %s isn't supported.", *p.storageType)
		}
		v.storageType = *p.storageType
	}
	v.network = "IPV4"
	if p.network != nil {
		v.network = *p.network
	}
	if v.network != "IPV4" && v.network != "DUAL" {
		return nil, awssim.Fail("InvalidParameterValue", "Invalid network type: %s", v.network)
	}
	v.parameterGroup = "default." + engine
	if p.parameter != nil {
		v.parameterGroup = strings.ToLower(*p.parameter)
	}
	if !exists(g.parameterGroups, v.parameterGroup) {
		return nil, notFound("DBParameterGroupNotFound", "DBParameterGroup not found: %s", v.parameterGroup)
	}
	if v.optionGroup == "" {
		v.optionGroup = "default:" + engine
	}
	if p.opts != nil {
		v.optionGroup = strings.ToLower(*p.opts)
	}
	if !exists(g.optionGroups, v.optionGroup) {
		return nil, notFound("OptionGroupNotFoundFault", "Specified OptionGroupName: %s not found.", v.optionGroup)
	}
	return sub, nil
}

func (s *RDS) describeDBInstances(r *awssim.Request, in *awsrds.DescribeDBInstancesInput) (*awsrds.DescribeDBInstancesOutput, error) {
	g := s.in(r)
	f, err := filters(in.Filters, "db-cluster-id", "db-instance-id", "dbi-resource-id", "domain", "engine")
	if err != nil {
		return nil, err
	}
	var all []string
	if in.DBInstanceIdentifier != nil {
		name := named(r, "db", *in.DBInstanceIdentifier)
		if _, ok := g.instances.seen(r, name); !ok {
			return nil, notFound("DBInstanceNotFound", "DBInstance %s not found.", *in.DBInstanceIdentifier)
		}
		all = []string{name}
	} else if ids, ok := f["db-instance-id"]; ok {
		all = sorted(ids, func(id string) string { return named(r, "db", id) })
	} else if ids, ok := f["dbi-resource-id"]; ok {
		all = sorted(ids, func(id string) string { return g.instanceIDs[id] })
	} else {
		all = g.instances.names.list()
	}
	match := func(name string) bool {
		i, ok := g.instances.seen(r, name)
		return ok && has(f, "db-instance-id", func(x string) bool { return named(r, "db", x) == i.id }) && has(f, "dbi-resource-id", is(i.resource)) &&
			has(f, "db-cluster-id", func(x string) bool { return named(r, "cluster", x) == i.cluster }) && has(f, "engine", is(i.engine)) && len(f["domain"]) == 0
	}
	names, next, err := page(r, all, in.MaxRecords, in.Marker, match)
	if err != nil {
		return nil, err
	}
	out := &awsrds.DescribeDBInstancesOutput{Marker: next}
	for _, name := range names {
		i, _ := g.instances.seen(r, name)
		out.DBInstances = append(out.DBInstances, *i.output(r))
	}
	return out, nil
}

// sorted makes a sorted list without repetitions.
func sorted(in []string, f func(string) string) []string {
	out := make([]string, 0, len(in))
	for _, x := range in {
		out = append(out, f(x))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func is(want string) func(string) bool { return func(x string) bool { return x == want } }

// has tells whether a filter is absent or has a value that matches.
func has(f map[string][]string, name string, match func(string) bool) bool {
	values, ok := f[name]
	return !ok || slices.ContainsFunc(values, match)
}

func (s *RDS) modifyDBInstance(r *awssim.Request, in *awsrds.ModifyDBInstanceInput) (*awsrds.ModifyDBInstanceOutput, error) {
	g := s.in(r)
	i, ok := g.instances.truth(r, named(r, "db", aws.ToString(in.DBInstanceIdentifier)))
	if !ok {
		return nil, notFound("DBInstanceNotFound", "DBInstance %s not found.", aws.ToString(in.DBInstanceIdentifier))
	}
	if st := i.status(r); st != "available" {
		return nil, awssim.Fail("InvalidDBInstanceState", "Database instance is not in available state.")
	}
	now := i.set.last()
	if in.PubliclyAccessible != nil {
		now.public = *in.PubliclyAccessible
	}
	if in.VpcSecurityGroupIds != nil {
		now.groups = slices.Clone(in.VpcSecurityGroupIds)
	}
	if in.DeletionProtection != nil {
		now.protected = *in.DeletionProtection
	}
	if in.CopyTagsToSnapshot != nil {
		now.copyTags = *in.CopyTagsToSnapshot
	}
	if in.BackupRetentionPeriod != nil || in.PreferredBackupWindow != nil {
		if err := now.backups(i, in.BackupRetentionPeriod, in.PreferredBackupWindow, aws.ToBool(in.ApplyImmediately)); err != nil {
			return nil, err
		}
		if now.retention == 0 {
			g.dropAutomated(r, &g.snapshots, g.byResource[i.resource], i.resource, r.Now)
		}
	}
	until := r.Now.Add(r.Took(i.id+"/modify", modifyTakes, 0.3))
	if class := aws.ToString(in.DBInstanceClass); class != "" {
		if !strings.HasPrefix(class, "db.") {
			return nil, awssim.Fail("InvalidParameterValue", "Invalid DB Instance class: %s", class)
		}
		now.pendingClass = class
	}
	i.set.set(r.Now, now)
	if now.pendingClass != "" && aws.ToBool(in.ApplyImmediately) {
		now.class, now.pendingClass = now.pendingClass, ""
		i.set.set(until, now)
	}
	i.busy(r.Now, until, "modifying")
	return &awsrds.ModifyDBInstanceOutput{DBInstance: i.output(r)}, nil
}

// backups changes the automated backups of an instance.
func (v *settings) backups(i *instance, days *int32, window *string, atOnce bool) error {
	if i.cluster != "" {
		return awssim.Fail("InvalidParameterCombination", "Automated backups are managed by the DB cluster %s.", i.cluster)
	}
	if days != nil {
		if *days < 0 || *days > 35 {
			return awssim.Fail("InvalidParameterValue", "Invalid backup retention period: %d", *days)
		}
		if v.waiting = (*days == 0) != (v.retention == 0) && !atOnce; v.waiting {
			v.pendingRetention = *days
		} else {
			v.retention = *days
		}
	}
	if window != nil {
		if err := backupWindow(*window); err != nil {
			return err
		}
		v.window = *window
	}
	return nil
}

func (s *RDS) deleteDBInstance(r *awssim.Request, in *awsrds.DeleteDBInstanceInput) (*awsrds.DeleteDBInstanceOutput, error) {
	g := s.in(r)
	i, ok := g.instances.truth(r, named(r, "db", aws.ToString(in.DBInstanceIdentifier)))
	if !ok {
		return nil, notFound("DBInstanceNotFound", "DBInstance %s not found.", aws.ToString(in.DBInstanceIdentifier))
	}
	skip, final := aws.ToBool(in.SkipFinalSnapshot), aws.ToString(in.FinalDBSnapshotIdentifier)
	status := i.status(r)
	switch {
	case status == "deleting":
		return nil, awssim.Fail("InvalidDBInstanceState", "Instance %s is already being deleted.", i.id)
	case i.set.last().protected:
		return nil, awssim.Fail("InvalidParameterCombination", "Cannot delete protected DB Instance, please disable deletion protection and try again.")
	case skip && final != "":
		return nil, awssim.Fail("InvalidParameterCombination", "FinalDBSnapshotIdentifier can not be specified when SkipFinalSnapshot is set.")
	case i.cluster != "" && final != "":
		return nil, awssim.Fail("InvalidParameterCombination", "FinalDBSnapshotIdentifier can not be specified when deleting a cluster instance.")
	case i.cluster != "" && !aurora(i.engine):
		return nil, awssim.Fail("InvalidParameterCombination", "The instance %s can't be deleted: it belongs to a Multi-AZ DB cluster.", i.id)
	case i.cluster != "":
		skip = true
	case !skip && final == "":
		return nil, awssim.Fail("InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
	case !skip && (strings.HasPrefix(status, "incompatible") || status == "failed" || status == "creating"):
		return nil, awssim.Fail("InvalidDBInstanceState", "Cannot create a snapshot of instance %s because it is %s.", i.id, status)
	}
	from := r.Now
	if !skip {
		name, err := identifier("FinalDBSnapshotIdentifier", final, 255)
		if err != nil {
			return nil, err
		}
		var tags map[string]string
		if i.set.last().copyTags {
			tags = i.tags.last()
		}
		p, err := s.snap(r, g, i, name, tags)
		if err != nil {
			return nil, err
		}
		from = p.ready
	}
	i.deleting = r.Now
	i.gone = from.Add(r.Took(i.id+"/delete", deleteTakes, 0.3))
	g.running--
	if in.DeleteAutomatedBackups == nil || *in.DeleteAutomatedBackups {
		g.dropAutomated(r, &g.snapshots, g.byResource[i.resource], i.resource, i.gone)
	} else if from, to := i.window(r.Now); !to.IsZero() {
		g.retainedInstances = append(g.retainedInstances, &retained[*instance]{i, r.Now, from, to})
	}
	return &awsrds.DeleteDBInstanceOutput{DBInstance: i.output(r)}, nil
}
