package rdssim

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// retained are automated backups that are kept beyond what they are of. They go with their retention period.
type retained[T any] struct {
	of       T
	since    time.Time
	from, to time.Time
}

// window is what is left of the time to which what is gone can be restored; zero when its retention period of so many days is over.
func (k *retained[T]) window(now time.Time, days int32) (from, to time.Time) {
	if from = now.AddDate(0, 0, -int(days)); from.Before(k.from) {
		from = k.from
	}
	if now.Before(k.since) || k.to.Before(from) {
		return time.Time{}, time.Time{}
	}
	return from, k.to
}

// restoreTime checks the time of a point-in-time restore against the window.
func restoreTime(at *time.Time, latest *bool, from, to time.Time) error {
	switch {
	case (at != nil) == aws.ToBool(latest):
		return awssim.Fail("InvalidParameterCombination", "Exactly one of a restore time and UseLatestRestorableTime must be given.")
	case at != nil && (at.Before(from) || at.After(to)):
		return awssim.Fail("InvalidParameterValue", "The specified restore time %s is not between %s and %s.", at.UTC().Format(time.RFC3339), from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))
	}
	return nil
}

// backedUp finds the instance whose automated backups a call names, and the time to which it can be restored.
func (g *region) backedUp(r *awssim.Request, id, resource, arn *string) (i *instance, from, to time.Time, err error) {
	given := 0
	for _, p := range []*string{id, resource, arn} {
		if p != nil {
			given++
		}
	}
	if given != 1 {
		return nil, from, to, awssim.Fail("InvalidParameterCombination", "Exactly one source must be given.")
	}
	if id != nil {
		live, ok := g.instances.truth(r, named(r, "db", *id))
		if !ok {
			return nil, from, to, notFound("DBInstanceNotFound", "DBInstance %s not found.", *id)
		}
		resource = &live.resource
	}
	for _, x := range g.instanceBackups(r, g.instances.truth) {
		if resource != nil && x.of.resource == *resource || arn != nil && r.ARN("rds", x.of.backupName()) == *arn {
			if live := x.of.gone.IsZero(); live && (x.of.status(r) == "creating" || x.of.status(r) == "deleting") {
				return nil, from, to, awssim.Fail("InvalidDBInstanceState", "The instance %s is %s.", x.of.id, x.of.status(r))
			}
			return x.of, x.from, x.to, nil
		}
	}
	if id != nil {
		return nil, from, to, awssim.Fail("PointInTimeRestoreNotEnabled", "Point-in-time restore is not enabled for the DB instance %s.", *id)
	}
	return nil, from, to, notFound("DBInstanceAutomatedBackupNotFound", "No automated backups were found.")
}

func (i *instance) backupName() string { return "auto-backup:ab-" + strings.ToLower(i.resource[3:]) }

func (c *cluster) backupName() string {
	return "cluster-auto-backup:cab-" + strings.ToLower(c.resource[8:])
}

// instanceBackups are the automated backups that there are: of the instances that find shows, and those that are kept.
func (g *region) instanceBackups(r *awssim.Request, find func(*awssim.Request, string) (*instance, bool)) (all []*retained[*instance]) {
	for _, name := range g.instances.names.list() {
		if i, ok := find(r, name); ok && i.cluster == "" && i.set.at(r.Now).retention > 0 && !i.going(r.Now) {
			from, to := i.window(r.Now)
			all = append(all, &retained[*instance]{of: i, from: from, to: to})
		}
	}
	for _, k := range g.retainedInstances {
		if from, to := k.window(r.Now, k.of.set.last().retention); !to.IsZero() {
			all = append(all, &retained[*instance]{k.of, k.since, from, to})
		}
	}
	return all
}

func (g *region) clusterBackups(r *awssim.Request, find func(*awssim.Request, string) (*cluster, bool)) (all []*retained[*cluster]) {
	for _, name := range g.clusters.names.list() {
		if c, ok := find(r, name); ok && !c.going(r.Now) {
			from, to := c.window(r.Now)
			all = append(all, &retained[*cluster]{of: c, from: from, to: to})
		}
	}
	for _, k := range g.retainedClusters {
		if from, to := k.window(r.Now, k.of.set.last().retention); !to.IsZero() {
			all = append(all, &retained[*cluster]{k.of, k.since, from, to})
		}
	}
	return all
}

// going tells whether the deletion has begun.
func (l *life) going(now time.Time) bool { return !l.deleting.IsZero() && !now.Before(l.deleting) }

// state is the Status of automated backups and their window.
func (k *retained[T]) state() (string, *rdstypes.RestoreWindow) {
	switch {
	case !k.since.IsZero():
		return "retained", &rdstypes.RestoreWindow{EarliestTime: aws.Time(k.from), LatestTime: aws.Time(k.to)}
	case k.to.IsZero():
		return "creating", nil
	}
	return "active", &rdstypes.RestoreWindow{EarliestTime: aws.Time(k.from), LatestTime: aws.Time(k.to)}
}

func (s *RDS) describeDBInstanceAutomatedBackups(r *awssim.Request, in *awsrds.DescribeDBInstanceAutomatedBackupsInput) (*awsrds.DescribeDBInstanceAutomatedBackupsOutput, error) {
	g := s.in(r)
	byName := map[string]*retained[*instance]{}
	var all []string
	for _, k := range g.instanceBackups(r, g.instances.seen) {
		if in.DBInstanceIdentifier != nil && named(r, "db", *in.DBInstanceIdentifier) != k.of.id || in.DbiResourceId != nil && *in.DbiResourceId != k.of.resource ||
			in.DBInstanceAutomatedBackupsArn != nil && *in.DBInstanceAutomatedBackupsArn != r.ARN("rds", k.of.backupName()) {
			continue
		}
		byName[k.of.resource] = k
		all = append(all, k.of.resource)
	}
	if len(all) == 0 && in.DbiResourceId != nil {
		return nil, notFound("DBInstanceAutomatedBackupNotFound", "No automated backups of %s were found.", *in.DbiResourceId)
	}
	found, next, err := page(r, sorted(all, func(x string) string { return x }), in.MaxRecords, in.Marker, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	out := &awsrds.DescribeDBInstanceAutomatedBackupsOutput{Marker: next}
	for _, name := range found {
		k := byName[name]
		i, v := k.of, k.of.set.at(r.Now)
		word, window := k.state()
		out.DBInstanceAutomatedBackups = append(out.DBInstanceAutomatedBackups, rdstypes.DBInstanceAutomatedBackup{
			DBInstanceIdentifier: aws.String(i.id), DbiResourceId: aws.String(i.resource), DBInstanceArn: aws.String(i.arn), Status: aws.String(word), RestoreWindow: window,
			DBInstanceAutomatedBackupsArn: aws.String(r.ARN("rds", i.backupName())), Region: aws.String(r.Region), Engine: aws.String(i.engine), EngineVersion: aws.String(i.version),
			Encrypted: aws.Bool(i.encrypted), KmsKeyId: optional(i.key), AllocatedStorage: aws.Int32(v.allocated), Port: aws.Int32(v.port), BackupRetentionPeriod: aws.Int32(v.retention),
			PreferredBackupWindow: aws.String(v.window), StorageType: aws.String(v.storageType), InstanceCreateTime: aws.Time(i.ready), OptionGroupName: aws.String(v.optionGroup),
			TagList: tagList(i.tags.at(r.Now)),
		})
	}
	return out, nil
}

func (s *RDS) describeDBClusterAutomatedBackups(r *awssim.Request, in *awsrds.DescribeDBClusterAutomatedBackupsInput) (*awsrds.DescribeDBClusterAutomatedBackupsOutput, error) {
	g := s.in(r)
	byName := map[string]*retained[*cluster]{}
	var all []string
	for _, k := range g.clusterBackups(r, g.clusters.seen) {
		if in.DBClusterIdentifier != nil && named(r, "cluster", *in.DBClusterIdentifier) != k.of.id || in.DbClusterResourceId != nil && *in.DbClusterResourceId != k.of.resource {
			continue
		}
		byName[k.of.resource] = k
		all = append(all, k.of.resource)
	}
	if len(all) == 0 && in.DbClusterResourceId != nil {
		return nil, notFound("DBClusterAutomatedBackupNotFoundFault", "No automated backups of %s were found.", *in.DbClusterResourceId)
	}
	found, next, err := page(r, sorted(all, func(x string) string { return x }), in.MaxRecords, in.Marker, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	out := &awsrds.DescribeDBClusterAutomatedBackupsOutput{Marker: next}
	for _, name := range found {
		k := byName[name]
		c, v := k.of, k.of.set.at(r.Now)
		word, window := k.state()
		o := rdstypes.DBClusterAutomatedBackup{
			DBClusterIdentifier: aws.String(c.id), DbClusterResourceId: aws.String(c.resource), DBClusterArn: aws.String(c.arn), Status: aws.String(word), RestoreWindow: window,
			DBClusterAutomatedBackupsArn: aws.String(r.ARN("rds", c.backupName())), Region: aws.String(r.Region), Engine: aws.String(c.engine), EngineVersion: aws.String(c.version),
			StorageEncrypted: aws.Bool(c.encrypted), KmsKeyId: optional(c.key), AllocatedStorage: aws.Int32(v.allocated), Port: aws.Int32(v.port),
			BackupRetentionPeriod: aws.Int32(v.retention), PreferredBackupWindow: aws.String(v.window), ClusterCreateTime: aws.Time(c.ready), TagList: tagList(c.tags.at(r.Now)),
		}
		if aurora(c.engine) {
			o.EngineMode = aws.String("provisioned")
		}
		out.DBClusterAutomatedBackups = append(out.DBClusterAutomatedBackups, o)
	}
	return out, nil
}

func (s *RDS) restoreDBInstanceToPointInTime(r *awssim.Request, in *awsrds.RestoreDBInstanceToPointInTimeInput) (*awsrds.RestoreDBInstanceToPointInTimeOutput, error) {
	id, err := identifier("TargetDBInstanceIdentifier", aws.ToString(in.TargetDBInstanceIdentifier), 63)
	if err != nil {
		return nil, err
	}
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	g := s.in(r)
	from, begin, end, err := g.backedUp(r, in.SourceDBInstanceIdentifier, in.SourceDbiResourceId, in.SourceDBInstanceAutomatedBackupsArn)
	if err != nil {
		return nil, err
	}
	if _, taken := g.instances.truth(r, id); taken {
		return nil, awssim.Fail("DBInstanceAlreadyExists", "DB instance already exists")
	}
	if err := restoreTime(in.RestoreTime, in.UseLatestRestorableTime, begin, end); err != nil {
		return nil, err
	}
	if g.running >= s.instanceQuota {
		return nil, awssim.Fail("InstanceQuotaExceeded", "DB Instance quota exceeded")
	}
	if from.encrypted && !usable(r, from.key) {
		return nil, keyFault(from.key)
	}
	old := from.set.last()
	v := settings{class: old.class, multiAZ: aws.ToBool(in.MultiAZ), protected: aws.ToBool(in.DeletionProtection), copyTags: aws.ToBool(in.CopyTagsToSnapshot), port: old.port,
		allocated: old.allocated, retention: old.retention, storageType: "gp3", zone: zone(r, 0), optionGroup: old.optionGroup}
	if c := aws.ToString(in.DBInstanceClass); c != "" {
		v.class = c
	}
	if in.BackupRetentionPeriod != nil {
		v.retention = *in.BackupRetentionPeriod
	}
	sub, err := g.place(r, &v, placement{in.DBSubnetGroupName, in.VpcSecurityGroupIds, in.PubliclyAccessible, in.Port, in.AvailabilityZone, in.DBParameterGroupName, in.OptionGroupName,
		in.StorageType, in.NetworkType}, from.engine)
	if err != nil {
		return nil, err
	}
	i := &instance{id: id, engine: from.engine, version: from.version, user: from.user, dbName: from.dbName, subnets: sub, encrypted: from.encrypted, key: from.key,
		ready: r.Now.Add(r.Took(id, restoreTakes, 0.4))}
	if r.Doomed {
		i.broken = "incompatible-restore"
	}
	g.newInstance(r, i, v, tags)
	return &awsrds.RestoreDBInstanceToPointInTimeOutput{DBInstance: i.output(r)}, nil
}

func (s *RDS) restoreDBClusterToPointInTime(r *awssim.Request, in *awsrds.RestoreDBClusterToPointInTimeInput) (*awsrds.RestoreDBClusterToPointInTimeOutput, error) {
	id, err := identifier("DBClusterIdentifier", aws.ToString(in.DBClusterIdentifier), 63)
	if err != nil {
		return nil, err
	}
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	if t := aws.ToString(in.RestoreType); t != "" && t != "full-copy" && t != "copy-on-write" {
		return nil, awssim.Fail("InvalidParameterValue", "Invalid restore type: %s", t)
	}
	if (in.SourceDBClusterIdentifier == nil) == (in.SourceDbClusterResourceId == nil) {
		return nil, awssim.Fail("InvalidParameterCombination", "Exactly one source must be given.")
	}
	g := s.in(r)
	var from *retained[*cluster]
	for _, k := range g.clusterBackups(r, g.clusters.truth) {
		if in.SourceDbClusterResourceId != nil && k.of.resource == *in.SourceDbClusterResourceId ||
			in.SourceDBClusterIdentifier != nil && k.since.IsZero() && k.of.id == named(r, "cluster", *in.SourceDBClusterIdentifier) {
			from = k
		}
	}
	switch {
	case from == nil && in.SourceDBClusterIdentifier != nil:
		return nil, clusterNotFound(*in.SourceDBClusterIdentifier)
	case from == nil:
		return nil, notFound("DBClusterAutomatedBackupNotFoundFault", "No automated backups were found.")
	case from.since.IsZero() && from.of.status(r) == "creating":
		return nil, awssim.Fail("InvalidDBClusterStateFault", "The cluster %s is creating.", from.of.id)
	}
	if _, taken := g.clusters.truth(r, id); taken {
		return nil, awssim.Fail("DBClusterAlreadyExistsFault", "DB Cluster already exists")
	}
	if err := restoreTime(in.RestoreToTime, in.UseLatestRestorableTime, from.from, from.to); err != nil {
		return nil, err
	}
	old := from.of.set.last()
	c := &cluster{id: id, engine: from.of.engine, version: from.of.version, user: from.of.user, dbName: from.of.dbName, encrypted: from.of.encrypted, key: from.of.key}
	if c.encrypted && !usable(r, c.key) {
		return nil, keyFault(c.key)
	}
	v := clusterSettings{protected: aws.ToBool(in.DeletionProtection), copyTags: aws.ToBool(in.CopyTagsToSnapshot), port: old.port, retention: old.retention}
	err = s.remake(r, g, c, v, in.KmsKeyId, clusterPlacement{in.DBSubnetGroupName, in.VpcSecurityGroupIds, in.PubliclyAccessible, in.Port, in.DBClusterParameterGroupName,
		in.NetworkType, in.DBClusterInstanceClass, in.StorageType, &old.allocated, in.Iops, in.BackupRetentionPeriod, in.PreferredBackupWindow}, tags)
	if err != nil {
		return nil, err
	}
	return &awsrds.RestoreDBClusterToPointInTimeOutput{DBCluster: c.output(r, g)}, nil
}
