package rdssim

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

func clusterSnapshotNotFound(id string) error {
	return notFound("DBClusterSnapshotNotFoundFault", "DBClusterSnapshot %s not found.", id)
}

// clusterOutput gives a snapshot as one of a cluster.
func (p *snapshot) clusterOutput(r *awssim.Request) *rdstypes.DBClusterSnapshot {
	_, license := engineFamily(p.engine)
	o := &rdstypes.DBClusterSnapshot{
		DBClusterSnapshotIdentifier: aws.String(p.id), DBClusterSnapshotArn: aws.String(p.arn), DBClusterIdentifier: aws.String(p.instance),
		DbClusterResourceId: aws.String(p.resource), SnapshotType: aws.String(p.kind), Status: aws.String(p.status(r.Now)), PercentProgress: aws.Int32(p.percent(r.Now)),
		Engine: aws.String(p.engine), EngineVersion: aws.String(p.version), MasterUsername: optional(p.user), LicenseModel: aws.String(license),
		StorageEncrypted: aws.Bool(p.encrypted), StorageEncryptionType: encryptionType(p.encrypted), KmsKeyId: optional(p.key), VpcId: optional(p.vpc),
		ClusterCreateTime: aws.Time(p.instanceMade), AllocatedStorage: aws.Int32(p.allocated), Port: aws.Int32(p.port), StorageType: optional(p.storageType),
		TagList: tagList(p.tags.at(r.Now)), SourceDBClusterSnapshotArn: optional(p.sourceARN),
	}
	if aurora(p.engine) {
		o.EngineMode = aws.String("provisioned")
	}
	if !r.Now.Before(p.ready) {
		o.SnapshotCreateTime = aws.Time(p.made)
	}
	return o
}

// snapCluster makes a manual snapshot after the checks that creating one and a final one have in common.
func (s *RDS) snapCluster(r *awssim.Request, g *region, c *cluster, id string, tags map[string]string) (*snapshot, error) {
	if _, taken := g.clusterSnapshots.truth(r, id); taken {
		return nil, awssim.Fail("DBClusterSnapshotAlreadyExistsFault", "DB Cluster Snapshot already exists")
	}
	if st := c.status(r); st != "available" {
		return nil, awssim.Fail("InvalidDBClusterStateFault", "Cannot create a snapshot because the cluster %s is not currently in the available state.", c.id)
	}
	if g.manualClusters >= s.clusterSnapshotQuota {
		return nil, awssim.Fail("SnapshotQuotaExceeded", "Cannot create more than %d manual snapshots", s.clusterSnapshotQuota)
	}
	p := g.keepCluster(r, c, id, manual, tags)
	p.failed = r.Doomed
	if !aurora(c.engine) {
		c.busy(r.Now, p.ready, "backing-up")
	}
	return p, nil
}

// keepCluster puts a snapshot of a cluster on its shelf. It is made now and ready after its time.
func (g *region) keepCluster(r *awssim.Request, c *cluster, id, kind string, tags map[string]string) *snapshot {
	v := c.set.at(r.Now)
	p := &snapshot{life: life{made: r.Now, lag: r.Lag()}, id: id, arn: r.ARN("rds", "cluster-snapshot:"+id), kind: kind, instance: c.id, resource: c.resource,
		engine: c.engine, version: c.version, user: c.user, encrypted: c.encrypted, key: c.key, vpc: c.subnets.vpc, instanceMade: c.ready,
		class: v.class, allocated: v.allocated, port: v.port, storageType: v.storageType,
		ready: r.Now.Add(r.Took(id+"/cluster-snapshot", snapshotTakes, 0.8)), tags: history[map[string]string]{{r.Now, copied(tags)}}}
	g.shelveCluster(p)
	return p
}

func (g *region) shelveCluster(p *snapshot) {
	g.clusterSnapshots.add(p.id, p)
	index(g.byClusterName, p.instance, p.id)
	index(g.byClusterResource, p.resource, p.id)
	if p.kind == manual {
		g.manualClusters++
	}
}

func (s *RDS) createDBClusterSnapshot(r *awssim.Request, in *awsrds.CreateDBClusterSnapshotInput) (*awsrds.CreateDBClusterSnapshotOutput, error) {
	id, err := identifier("DBClusterSnapshotIdentifier", aws.ToString(in.DBClusterSnapshotIdentifier), 63)
	if err != nil {
		return nil, err
	}
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	g := s.in(r)
	c, ok := g.clusters.truth(r, named(r, "cluster", aws.ToString(in.DBClusterIdentifier)))
	if !ok {
		return nil, clusterNotFound(aws.ToString(in.DBClusterIdentifier))
	}
	if len(tags) == 0 && c.set.last().copyTags {
		tags = c.tags.last()
	}
	p, err := s.snapCluster(r, g, c, id, tags)
	if err != nil {
		return nil, err
	}
	return &awsrds.CreateDBClusterSnapshotOutput{DBClusterSnapshot: p.clusterOutput(r)}, nil
}

func (s *RDS) deleteDBClusterSnapshot(r *awssim.Request, in *awsrds.DeleteDBClusterSnapshotInput) (*awsrds.DeleteDBClusterSnapshotOutput, error) {
	g := s.in(r)
	p, ok := g.clusterSnapshots.truth(r, named(r, "cluster-snapshot", aws.ToString(in.DBClusterSnapshotIdentifier)))
	if !ok {
		return nil, clusterSnapshotNotFound(aws.ToString(in.DBClusterSnapshotIdentifier))
	}
	if p.kind != manual {
		return nil, awssim.Fail("InvalidDBClusterSnapshotStateFault", "Only manual snapshots may be deleted; %s is %s.", p.id, p.kind)
	}
	if st := p.status(r.Now); st != "available" && !(p.copying && st == "copying") {
		return nil, awssim.Fail("InvalidDBClusterSnapshotStateFault", "Cannot delete the snapshot because it is not currently in the available state.")
	}
	p.deleting = r.Now
	p.gone = r.Now.Add(r.Took(p.id+"/delete", goneTakes, 0.3))
	g.manualClusters--
	return &awsrds.DeleteDBClusterSnapshotOutput{DBClusterSnapshot: p.clusterOutput(r)}, nil
}

func (s *RDS) describeDBClusterSnapshots(r *awssim.Request, in *awsrds.DescribeDBClusterSnapshotsInput) (*awsrds.DescribeDBClusterSnapshotsOutput, error) {
	g := s.in(r)
	f, err := filters(in.Filters, "db-cluster-id", "db-cluster-snapshot-id", "snapshot-type", "engine")
	if err != nil {
		return nil, err
	}
	kind := aws.ToString(in.SnapshotType)
	if kind != "" && !slices.Contains([]string{automated, manual, "shared", "public", awsbackup}, kind) {
		return nil, awssim.Fail("InvalidParameterValue", "Invalid snapshot type: %s", kind)
	}
	var all []string
	switch {
	case in.DBClusterSnapshotIdentifier != nil:
		name := named(r, "cluster-snapshot", *in.DBClusterSnapshotIdentifier)
		p, ok := g.clusterSnapshots.seen(r, name)
		if !ok || p.kind != manual && kind != p.kind || kind != "" && kind != p.kind {
			return nil, clusterSnapshotNotFound(*in.DBClusterSnapshotIdentifier)
		}
		all = []string{name}
	case in.DBClusterIdentifier != nil:
		if n := g.byClusterName[named(r, "cluster", *in.DBClusterIdentifier)]; n != nil {
			all = n.list()
		}
	default:
		all = g.clusterSnapshots.names.list()
	}
	match := func(name string) bool {
		p, ok := g.clusterSnapshots.seen(r, name)
		if !ok || kind != "" && p.kind != kind || kind == "" && p.kind == awsbackup && len(f["snapshot-type"]) == 0 ||
			in.DBClusterIdentifier != nil && named(r, "cluster", *in.DBClusterIdentifier) != p.instance || in.DbClusterResourceId != nil && *in.DbClusterResourceId != p.resource {
			return false
		}
		return has(f, "db-cluster-id", func(x string) bool { return named(r, "cluster", x) == p.instance }) &&
			has(f, "db-cluster-snapshot-id", func(x string) bool { return named(r, "cluster-snapshot", x) == p.id }) &&
			has(f, "snapshot-type", is(p.kind)) && has(f, "engine", is(p.engine))
	}
	found, next, err := page(r, all, in.MaxRecords, in.Marker, match)
	if err != nil {
		return nil, err
	}
	out := &awsrds.DescribeDBClusterSnapshotsOutput{Marker: next}
	for _, name := range found {
		p, _ := g.clusterSnapshots.seen(r, name)
		out.DBClusterSnapshots = append(out.DBClusterSnapshots, *p.clusterOutput(r))
	}
	return out, nil
}
