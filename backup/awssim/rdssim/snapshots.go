package rdssim

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// The types of snapshots. Source: RDS API, DescribeDBSnapshots, SnapshotType.
const (
	manual    = "manual"
	automated = "automated"
	awsbackup = "awsbackup"
)

// snapshot is a DB snapshot. What it is at an instant follows from the instants in it.
type snapshot struct {
	life
	id, arn, kind         string
	instance, resource    string
	engine, version, user string
	encrypted             bool
	key, vpc              string
	instanceMade          time.Time
	class                 string
	allocated, port       int32
	storageType, zone     string
	optionGroup           string
	ready                 time.Time
	// copying tells that it is a copy of from, crossed that from is in another Region, which is sourceRegion and where it has sourceARN; taken is the
	// time of the data of a copy.
	copying, crossed        bool
	from                    *snapshot
	sourceARN, sourceRegion string
	taken                   time.Time
	failed                  bool
	spans                   []span
	tags                    history[map[string]string]
}

func (p *snapshot) status(now time.Time) string {
	switch {
	case !p.deleting.IsZero() && !now.Before(p.deleting):
		return "deleting"
	case len(p.spans) > 0 && p.held(now) != "":
		return p.held(now)
	case p.cut():
		return "failed"
	case now.Before(p.ready) && p.copying:
		return "copying"
	case now.Before(p.ready):
		return "creating"
	case p.failed:
		return "failed"
	}
	return "available"
}

// cut tells that the snapshot is a copy whose source was deleted before it was complete.
func (p *snapshot) cut() bool {
	return p.from != nil && !p.from.deleting.IsZero() && p.from.deleting.Before(p.ready)
}

// held is the state in which AWS holds the snapshot, empty for none.
func (p *snapshot) held(now time.Time) string {
	for _, s := range slices.Backward(p.spans) {
		if !now.Before(s.from) && now.Before(s.to) {
			return s.status
		}
	}
	return ""
}

func (p *snapshot) percent(now time.Time) int32 {
	if !now.Before(p.ready) {
		return 100
	}
	whole := p.ready.Sub(p.made)
	return int32(max(0, 100*now.Sub(p.made)/max(whole, 1)))
}

func (p *snapshot) output(r *awssim.Request) *rdstypes.DBSnapshot {
	_, license := engineFamily(p.engine)
	o := &rdstypes.DBSnapshot{
		DBSnapshotIdentifier: aws.String(p.id), DBSnapshotArn: aws.String(p.arn), DBInstanceIdentifier: aws.String(p.instance),
		DbiResourceId: aws.String(p.resource), SnapshotType: aws.String(p.kind), Status: aws.String(p.status(r.Now)),
		PercentProgress: aws.Int32(p.percent(r.Now)), Engine: aws.String(p.engine), EngineVersion: aws.String(p.version),
		MasterUsername: optional(p.user), LicenseModel: aws.String(license), Encrypted: aws.Bool(p.encrypted), KmsKeyId: optional(p.key),
		StorageEncryptionType: encryptionType(p.encrypted), VpcId: optional(p.vpc), InstanceCreateTime: aws.Time(p.instanceMade),
		AllocatedStorage: aws.Int32(p.allocated), Port: aws.Int32(p.port), StorageType: aws.String(p.storageType), AvailabilityZone: optional(p.zone),
		OptionGroupName: optional(p.optionGroup), SnapshotTarget: aws.String("region"), TagList: tagList(p.tags.at(r.Now)),
		SourceDBSnapshotIdentifier: optional(p.sourceARN), SourceRegion: optional(p.sourceRegion),
	}
	if !r.Now.Before(p.ready) {
		o.SnapshotCreateTime = aws.Time(p.made)
		o.OriginalSnapshotCreateTime = aws.Time(p.made)
		if !p.taken.IsZero() {
			o.OriginalSnapshotCreateTime = aws.Time(p.taken)
		}
		if !p.failed {
			o.SnapshotDatabaseTime = aws.Time(p.made)
			o.FullSnapshotSizeInBytes = aws.Int64(int64(p.allocated) << 30)
		}
	}
	return o
}

// keep puts a snapshot of an instance on its shelf.
func (g *region) keep(r *awssim.Request, i *instance, id, kind string, made, ready time.Time, tags map[string]string) *snapshot {
	v := i.set.at(made)
	p := &snapshot{life: life{made: made, lag: r.Lag()}, id: id, arn: r.ARN("rds", "snapshot:"+id), kind: kind, instance: i.id, resource: i.resource,
		engine: i.engine, version: i.version, user: i.user, encrypted: i.encrypted, key: i.key, vpc: i.subnets.vpc, instanceMade: i.ready,
		class: v.class, allocated: v.allocated, port: v.port, storageType: v.storageType, zone: v.zone, optionGroup: v.optionGroup,
		ready: ready, tags: history[map[string]string]{{made, copied(tags)}}}
	g.shelve(p)
	return p
}

func (g *region) shelve(p *snapshot) {
	g.snapshots.add(p.id, p)
	index(g.byInstance, p.instance, p.id)
	index(g.byResource, p.resource, p.id)
	if p.kind == manual {
		g.manual++
	}
}

func index(m map[string]*names, key, name string) {
	if m[key] == nil {
		m[key] = &names{}
	}
	m[key].add(name)
}

// snap makes a manual snapshot after the checks that creating one and a final one have in common.
func (s *RDS) snap(r *awssim.Request, g *region, i *instance, id string, tags map[string]string) (*snapshot, error) {
	if _, taken := g.snapshots.truth(r, id); taken {
		return nil, awssim.Fail("DBSnapshotAlreadyExists", "Cannot create the snapshot because a snapshot with the identifier %s already exists.", id)
	}
	if st := i.status(r); st != "available" && st != "storage-optimization" {
		return nil, awssim.Fail("InvalidDBInstanceState", "Cannot create a snapshot because the database instance %s is not currently in the available state.", i.id)
	}
	if g.manual >= s.snapshotQuota {
		return nil, awssim.Fail("SnapshotQuotaExceeded", "Cannot create more than %d manual snapshots", s.snapshotQuota)
	}
	p := g.keep(r, i, id, manual, r.Now, r.Now.Add(r.Took(id, snapshotTakes, 0.8)), tags)
	p.failed = r.Doomed
	i.busy(r.Now, p.ready, "backing-up")
	return p, nil
}

func (s *RDS) createDBSnapshot(r *awssim.Request, in *awsrds.CreateDBSnapshotInput) (*awsrds.CreateDBSnapshotOutput, error) {
	id, err := identifier("DBSnapshotIdentifier", aws.ToString(in.DBSnapshotIdentifier), 255)
	if err != nil {
		return nil, err
	}
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	g := s.in(r)
	i, ok := g.instances.truth(r, named(r, "db", aws.ToString(in.DBInstanceIdentifier)))
	if !ok {
		return nil, notFound("DBInstanceNotFound", "DBInstance %s not found.", aws.ToString(in.DBInstanceIdentifier))
	}
	if i.cluster != "" {
		return nil, awssim.Fail("InvalidParameterValue", "The specified instance is a member of a cluster and a snapshot cannot be created directly. Please use the CreateDBClusterSnapshot API instead.")
	}
	if len(tags) == 0 && i.set.last().copyTags {
		tags = i.tags.last()
	}
	p, err := s.snap(r, g, i, id, tags)
	if err != nil {
		return nil, err
	}
	return &awsrds.CreateDBSnapshotOutput{DBSnapshot: p.output(r)}, nil
}

func (s *RDS) deleteDBSnapshot(r *awssim.Request, in *awsrds.DeleteDBSnapshotInput) (*awsrds.DeleteDBSnapshotOutput, error) {
	g := s.in(r)
	// The colon of automated identifiers is no ordinary identifier: they are found and then refused.
	p, ok := g.snapshots.truth(r, named(r, "snapshot", aws.ToString(in.DBSnapshotIdentifier)))
	if !ok {
		return nil, notFound("DBSnapshotNotFound", "DBSnapshot %s not found.", aws.ToString(in.DBSnapshotIdentifier))
	}
	if p.kind != manual {
		return nil, awssim.Fail("InvalidDBSnapshotState", "Only manual snapshots may be deleted; %s is %s.", p.id, p.kind)
	}
	if st := p.status(r.Now); st != "available" && !(p.copying && st == "copying") {
		return nil, awssim.Fail("InvalidDBSnapshotState", "Cannot delete the snapshot because it is not currently in the available state.")
	}
	p.deleting = r.Now
	p.gone = r.Now.Add(r.Took(p.id+"/delete", goneTakes, 0.3))
	g.manual--
	return &awsrds.DeleteDBSnapshotOutput{DBSnapshot: p.output(r)}, nil
}

func (s *RDS) describeDBSnapshots(r *awssim.Request, in *awsrds.DescribeDBSnapshotsInput) (*awsrds.DescribeDBSnapshotsOutput, error) {
	g := s.in(r)
	f, err := filters(in.Filters, "db-instance-id", "db-snapshot-id", "dbi-resource-id", "snapshot-type", "engine")
	if err != nil {
		return nil, err
	}
	kind := aws.ToString(in.SnapshotType)
	if kind != "" && !slices.Contains([]string{automated, manual, "shared", "public", awsbackup}, kind) {
		return nil, awssim.Fail("InvalidParameterValue", "Invalid snapshot type: %s", kind)
	}
	var all []string
	list := func(m map[string]*names, keys []string, f func(string) string) {
		for _, k := range keys {
			if n := m[f(k)]; n != nil {
				all = append(all, n.list()...)
			}
		}
		slices.Sort(all)
		all = slices.Compact(all)
	}
	plain := func(x string) string { return x }
	instanceName := func(x string) string { return named(r, "db", x) }
	switch {
	case in.DBSnapshotIdentifier != nil:
		name := named(r, "snapshot", *in.DBSnapshotIdentifier)
		p, ok := g.snapshots.seen(r, name)
		if !ok || p.kind != manual && kind != p.kind || kind != "" && kind != p.kind {
			return nil, notFound("DBSnapshotNotFound", "DBSnapshot %s not found.", *in.DBSnapshotIdentifier)
		}
		all = []string{name}
	case f["db-snapshot-id"] != nil:
		all = sorted(f["db-snapshot-id"], func(x string) string { return named(r, "snapshot", x) })
	case in.DBInstanceIdentifier != nil:
		list(g.byInstance, []string{*in.DBInstanceIdentifier}, instanceName)
	case f["db-instance-id"] != nil:
		list(g.byInstance, f["db-instance-id"], instanceName)
	case in.DbiResourceId != nil:
		list(g.byResource, []string{*in.DbiResourceId}, plain)
	case f["dbi-resource-id"] != nil:
		list(g.byResource, f["dbi-resource-id"], plain)
	default:
		all = g.snapshots.names.list()
	}
	match := func(name string) bool {
		p, ok := g.snapshots.seen(r, name)
		switch {
		case !ok, kind != "" && p.kind != kind, kind == "" && p.kind == awsbackup && len(f["snapshot-type"]) == 0,
			in.DBInstanceIdentifier != nil && instanceName(*in.DBInstanceIdentifier) != p.instance,
			in.DbiResourceId != nil && *in.DbiResourceId != p.resource:
			return false
		}
		return has(f, "db-instance-id", func(x string) bool { return instanceName(x) == p.instance }) &&
			has(f, "db-snapshot-id", func(x string) bool { return named(r, "snapshot", x) == p.id }) &&
			has(f, "dbi-resource-id", is(p.resource)) && has(f, "snapshot-type", is(p.kind)) && has(f, "engine", is(strings.ToLower(p.engine)))
	}
	found, next, err := page(r, all, in.MaxRecords, in.Marker, match)
	if err != nil {
		return nil, err
	}
	out := &awsrds.DescribeDBSnapshotsOutput{Marker: next}
	for _, name := range found {
		p, _ := g.snapshots.seen(r, name)
		out.DBSnapshots = append(out.DBSnapshots, *p.output(r))
	}
	return out, nil
}
