package rdssim

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

func (s *RDS) restoreDBClusterFromSnapshot(r *awssim.Request, in *awsrds.RestoreDBClusterFromSnapshotInput) (*awsrds.RestoreDBClusterFromSnapshotOutput, error) {
	id, err := identifier("DBClusterIdentifier", aws.ToString(in.DBClusterIdentifier), 63)
	if err != nil {
		return nil, err
	}
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	g := s.in(r)
	p, ok := g.clusterSnapshots.truth(r, named(r, "cluster-snapshot", aws.ToString(in.SnapshotIdentifier)))
	if !ok {
		return nil, clusterSnapshotNotFound(aws.ToString(in.SnapshotIdentifier))
	}
	if _, taken := g.clusters.truth(r, id); taken {
		return nil, awssim.Fail("DBClusterAlreadyExistsFault", "DB Cluster already exists")
	}
	if st := p.status(r.Now); st != "available" {
		return nil, awssim.Fail("InvalidDBClusterSnapshotStateFault", "Cannot restore from the snapshot because it is currently in the %s state.", st)
	}
	if e := aws.ToString(in.Engine); e != p.engine {
		return nil, awssim.Fail("InvalidRestoreFault", "Cannot restore a snapshot of engine %s as %s.", p.engine, e)
	}
	c := &cluster{id: id, engine: p.engine, version: p.version, user: p.user, encrypted: p.encrypted, key: p.key}
	if c.encrypted && !usable(r, c.key) {
		return nil, keyFault(c.key)
	}
	v := clusterSettings{protected: aws.ToBool(in.DeletionProtection), copyTags: aws.ToBool(in.CopyTagsToSnapshot), port: p.port, retention: 1}
	allocated := p.allocated
	err = s.remake(r, g, c, v, in.KmsKeyId, clusterPlacement{in.DBSubnetGroupName, in.VpcSecurityGroupIds, in.PubliclyAccessible, in.Port, in.DBClusterParameterGroupName,
		in.NetworkType, in.DBClusterInstanceClass, in.StorageType, &allocated, in.Iops, in.BackupRetentionPeriod, in.PreferredBackupWindow}, tags)
	if err != nil {
		return nil, err
	}
	return &awsrds.RestoreDBClusterFromSnapshotOutput{DBCluster: c.output(r, g)}, nil
}

// remake makes a cluster of data that exists.
func (s *RDS) remake(r *awssim.Request, g *region, c *cluster, v clusterSettings, keyID *string, p clusterPlacement, tags map[string]string) error {
	if err := s.placeCluster(r, g, c, &v, p); err != nil {
		return err
	}
	if keyID != nil {
		arn, err := key(r, *keyID)
		if err != nil {
			return err
		}
		c.encrypted, c.key = true, arn
	}
	c.ready = r.Now.Add(r.Took(c.id+"/cluster", restoreTakes, 0.4))
	if r.Doomed {
		c.broken = "failed"
	}
	g.newCluster(r, c, v, tags)
	return nil
}
