package rdssim

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// clusterTakes is how long the making of a cluster takes: the storage alone for Aurora. Assumptions: AWS publishes no figures.
const clusterTakes = 8 * time.Minute

func clusterNotFound(id string) error {
	return notFound("DBClusterNotFoundFault", "DBCluster %s not found.", id)
}

func (s *RDS) createDBCluster(r *awssim.Request, in *awsrds.CreateDBClusterInput) (*awsrds.CreateDBClusterOutput, error) {
	id, err := identifier("DBClusterIdentifier", aws.ToString(in.DBClusterIdentifier), 63)
	if err != nil {
		return nil, err
	}
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	g, engine := s.in(r), aws.ToString(in.Engine)
	port, _ := engineFamily(engine)
	c := &cluster{id: id, engine: engine, version: aws.ToString(in.EngineVersion), user: aws.ToString(in.MasterUsername), dbName: aws.ToString(in.DatabaseName),
		encrypted: aws.ToBool(in.StorageEncrypted), ready: r.Now.Add(r.Took(id+"/cluster", clusterTakes, 0.3))}
	if c.version == "" {
		c.version = "1.0"
	}
	v := clusterSettings{protected: aws.ToBool(in.DeletionProtection), copyTags: aws.ToBool(in.CopyTagsToSnapshot), port: port, retention: 1}
	if err := s.placeCluster(r, g, c, &v, clusterPlacement{in.DBSubnetGroupName, in.VpcSecurityGroupIds, in.PubliclyAccessible, in.Port, in.DBClusterParameterGroupName,
		in.NetworkType, in.DBClusterInstanceClass, in.StorageType, in.AllocatedStorage, in.Iops, in.BackupRetentionPeriod, in.PreferredBackupWindow}); err != nil {
		return nil, err
	}
	if c.encrypted {
		if c.key, err = key(r, aws.ToString(in.KmsKeyId)); err != nil {
			return nil, err
		}
	}
	if r.Doomed {
		c.broken = "failed"
	}
	g.newCluster(r, c, v, tags)
	return &awsrds.CreateDBClusterOutput{DBCluster: c.output(r, g)}, nil
}

// clusterPlacement are the parameters that creating and restoring a cluster have in common.
type clusterPlacement struct {
	subnetGroup     *string
	groups          []string
	public          *bool
	port            *int32
	parameter       *string
	network         *string
	class           *string
	storageType     *string
	allocated, iops *int32
	retention       *int32
	window          *string
}

// placeCluster checks what a new cluster is to be, and fills in the defaults of RDS for what is not given.
func (s *RDS) placeCluster(r *awssim.Request, g *region, c *cluster, v *clusterSettings, p clusterPlacement) error {
	if _, taken := g.clusters.truth(r, c.id); taken {
		return awssim.Fail("DBClusterAlreadyExistsFault", "DB Cluster already exists")
	}
	if !slices.Contains([]string{"aurora-mysql", "aurora-postgresql", "mysql", "postgres"}, c.engine) {
		return awssim.Fail("InvalidParameterValue", "Invalid DB engine: %s", c.engine)
	}
	if g.runningClusters >= s.clusterQuota {
		return awssim.Fail("DBClusterQuotaExceededFault", "DB Cluster quota exceeded")
	}
	if p.retention != nil {
		v.retention = *p.retention
	}
	if v.retention < 1 || v.retention > 35 {
		return awssim.Fail("InvalidParameterValue", "Invalid backup retention period: %d", v.retention)
	}
	if v.window = aws.ToString(p.window); v.window == "" {
		v.window = "03:00-03:30"
	}
	v.class, v.storageType, v.allocated, v.iops = aws.ToString(p.class), aws.ToString(p.storageType), aws.ToInt32(p.allocated), aws.ToInt32(p.iops)
	switch {
	case aurora(c.engine) && v.class != "":
		return awssim.Fail("InvalidParameterCombination", "The parameter DBClusterInstanceClass is not valid for the engine %s.", c.engine)
	case aurora(c.engine):
		v.allocated, v.storageType = 1, "aurora"
	case !strings.HasPrefix(v.class, "db."):
		return awssim.Fail("InvalidParameterCombination", "The parameter DBClusterInstanceClass must be provided for a Multi-AZ DB cluster.")
	case len(c.id) > 52:
		return awssim.Fail("InvalidParameterValue", "The parameter DBClusterIdentifier has more than 52 characters.")
	case v.storageType == "io1" && v.iops == 0:
		return awssim.Fail("InvalidParameterCombination", "Iops must be provided for the storage type io1.")
	case v.storageType == "":
		v.storageType = "io2"
	}
	// What an instance and a cluster have in common is checked by the same rules.
	inst := settings{class: "db.any", port: v.port}
	sub, err := g.place(r, &inst, placement{p.subnetGroup, p.groups, p.public, p.port, nil, nil, nil, nil, p.network}, c.engine)
	if err != nil {
		return err
	}
	c.subnets, v.public, v.groups, v.port, v.network = sub, inst.public, inst.groups, inst.port, inst.network
	v.parameterGroup = "default." + c.engine
	if p.parameter != nil {
		v.parameterGroup = strings.ToLower(*p.parameter)
	}
	if !exists(g.clusterParameterGroups, v.parameterGroup) {
		return notFound("DBClusterParameterGroupNotFound", "DBClusterParameterGroup not found: %s", v.parameterGroup)
	}
	if !aurora(c.engine) && g.running+3 > s.instanceQuota {
		return awssim.Fail("DBClusterQuotaExceededFault", "DB Instance quota exceeded")
	}
	return nil
}

func (s *RDS) describeDBClusters(r *awssim.Request, in *awsrds.DescribeDBClustersInput) (*awsrds.DescribeDBClustersOutput, error) {
	g := s.in(r)
	f, err := filters(in.Filters, "clone-group-id", "db-cluster-id", "db-cluster-resource-id", "domain", "engine")
	if err != nil {
		return nil, err
	}
	all := g.clusters.names.list()
	if in.DBClusterIdentifier != nil {
		name := named(r, "cluster", *in.DBClusterIdentifier)
		if _, ok := g.clusters.seen(r, name); !ok {
			return nil, clusterNotFound(*in.DBClusterIdentifier)
		}
		all = []string{name}
	}
	match := func(name string) bool {
		c, ok := g.clusters.seen(r, name)
		return ok && has(f, "db-cluster-id", func(x string) bool { return named(r, "cluster", x) == c.id }) && has(f, "db-cluster-resource-id", is(c.resource)) &&
			has(f, "engine", is(c.engine)) && len(f["domain"])+len(f["clone-group-id"]) == 0
	}
	names, next, err := page(r, all, in.MaxRecords, in.Marker, match)
	if err != nil {
		return nil, err
	}
	out := &awsrds.DescribeDBClustersOutput{Marker: next}
	for _, name := range names {
		c, _ := g.clusters.seen(r, name)
		out.DBClusters = append(out.DBClusters, *c.output(r, g))
	}
	return out, nil
}

func (s *RDS) modifyDBCluster(r *awssim.Request, in *awsrds.ModifyDBClusterInput) (*awsrds.ModifyDBClusterOutput, error) {
	g := s.in(r)
	c, ok := g.clusters.truth(r, named(r, "cluster", aws.ToString(in.DBClusterIdentifier)))
	if !ok {
		return nil, clusterNotFound(aws.ToString(in.DBClusterIdentifier))
	}
	if st := c.status(r); st != "available" {
		return nil, awssim.Fail("InvalidDBClusterStateFault", "DB cluster is not in available state.")
	}
	v := c.set.last()
	if in.VpcSecurityGroupIds != nil {
		v.groups = slices.Clone(in.VpcSecurityGroupIds)
	}
	if in.DeletionProtection != nil {
		v.protected = *in.DeletionProtection
	}
	if in.CopyTagsToSnapshot != nil {
		v.copyTags = *in.CopyTagsToSnapshot
	}
	if in.BackupRetentionPeriod != nil {
		if *in.BackupRetentionPeriod < 1 || *in.BackupRetentionPeriod > 35 {
			return nil, awssim.Fail("InvalidParameterValue", "Invalid backup retention period: %d", *in.BackupRetentionPeriod)
		}
		v.retention = *in.BackupRetentionPeriod
	}
	if in.PreferredBackupWindow != nil {
		if err := backupWindow(*in.PreferredBackupWindow); err != nil {
			return nil, err
		}
		v.window = *in.PreferredBackupWindow
	}
	c.set.set(r.Now, v)
	c.busy(r.Now, r.Now.Add(r.Took(c.id+"/cluster-modify", modifyTakes, 0.3)), "modifying")
	return &awsrds.ModifyDBClusterOutput{DBCluster: c.output(r, g)}, nil
}

// backupWindow checks the form hh24:mi-hh24:mi and the length of half an hour.
func backupWindow(w string) error {
	from, to, ok := strings.Cut(w, "-")
	a, err1 := time.Parse("15:04", from)
	b, err2 := time.Parse("15:04", to)
	if !ok || err1 != nil || err2 != nil {
		return awssim.Fail("InvalidParameterValue", "Invalid backup window format: %s", w)
	}
	if d := (b.Sub(a) + 24*time.Hour) % (24 * time.Hour); d < 30*time.Minute {
		return awssim.Fail("InvalidParameterValue", "The backup window must be at least 30 minutes.")
	}
	return nil
}

func (s *RDS) deleteDBCluster(r *awssim.Request, in *awsrds.DeleteDBClusterInput) (*awsrds.DeleteDBClusterOutput, error) {
	g := s.in(r)
	c, ok := g.clusters.truth(r, named(r, "cluster", aws.ToString(in.DBClusterIdentifier)))
	if !ok {
		return nil, clusterNotFound(aws.ToString(in.DBClusterIdentifier))
	}
	skip, final := aws.ToBool(in.SkipFinalSnapshot), aws.ToString(in.FinalDBSnapshotIdentifier)
	members := g.members(r, c, g.instances.truth)
	left := slices.DeleteFunc(slices.Clone(members), func(i *instance) bool { return i.status(r) == "deleting" })
	status := c.status(r)
	switch {
	case status == "deleting":
		return nil, awssim.Fail("InvalidDBClusterStateFault", "DB cluster %s is already being deleted.", c.id)
	case c.set.last().protected:
		return nil, awssim.Fail("InvalidParameterCombination", "Cannot delete protected Cluster, please disable deletion protection and try again.")
	case skip && final != "":
		return nil, awssim.Fail("InvalidParameterCombination", "FinalDBSnapshotIdentifier can not be specified when SkipFinalSnapshot is set.")
	case !skip && final == "":
		return nil, awssim.Fail("InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
	case aurora(c.engine) && len(left) > 0:
		return nil, awssim.Fail("InvalidDBClusterStateFault", "Cluster cannot be deleted, it still contains DB instances in non-deleting state.")
	case !skip && status != "available":
		return nil, awssim.Fail("InvalidDBClusterStateFault", "Cannot create a snapshot of the cluster %s because it is %s.", c.id, status)
	}
	from := r.Now
	if !skip {
		name, err := identifier("FinalDBSnapshotIdentifier", final, 63)
		if err != nil {
			return nil, err
		}
		var tags map[string]string
		if c.set.last().copyTags {
			tags = c.tags.last()
		}
		p, err := s.snapCluster(r, g, c, name, tags)
		if err != nil {
			return nil, err
		}
		from = p.ready
	}
	c.deleting = r.Now
	c.gone = from.Add(r.Took(c.id+"/cluster-delete", deleteTakes, 0.3))
	g.runningClusters--
	for _, i := range left {
		i.deleting, i.gone = r.Now, c.gone
		g.running--
	}
	if in.DeleteAutomatedBackups == nil || *in.DeleteAutomatedBackups {
		g.dropAutomated(r, &g.clusterSnapshots, g.byClusterResource[c.resource], c.resource, c.gone)
	} else if from, to := c.window(r.Now); !to.IsZero() {
		g.retainedClusters = append(g.retainedClusters, &retained[*cluster]{c, r.Now, from, to})
	}
	return &awsrds.DeleteDBClusterOutput{DBCluster: c.output(r, g)}, nil
}

// dropAutomated has the automated snapshots of something go with it.
func (g *region) dropAutomated(r *awssim.Request, on *shelf[*snapshot], list *names, resource string, gone time.Time) {
	if list == nil {
		return
	}
	for _, name := range list.list() {
		if p, ok := on.truth(r, name); ok && p.kind == automated && p.resource == resource {
			p.deleting, p.gone = r.Now, gone
		}
	}
}

func (s *RDS) createDBClusterParameterGroup(r *awssim.Request, in *awsrds.CreateDBClusterParameterGroupInput) (*awsrds.CreateDBClusterParameterGroupOutput, error) {
	name, err := identifier("DBClusterParameterGroupName", aws.ToString(in.DBClusterParameterGroupName), 255)
	if err != nil {
		return nil, err
	}
	if s.in(r).clusterParameterGroups[name] != nil {
		return nil, awssim.Fail("DBParameterGroupAlreadyExists", "Parameter group %s already exists", name)
	}
	s.in(r).clusterParameterGroups[name] = &group{name: name}
	return &awsrds.CreateDBClusterParameterGroupOutput{}, nil
}
