package policy

// rdsLookClusters are the statements for finding cluster snapshots and, where asked, clusters.
func (s scope) rdsLookClusters(sid string, clusters bool) []Statement {
	all := []Statement{allow(sid+"Look", s.arn("rds", "cluster:*", "cluster-snapshot:*"), nil, "rds:DescribeDBClusterSnapshots")}
	if clusters {
		all = append(all, allow(sid+"LookClusters", s.arn("rds", "cluster:*"), nil, "rds:DescribeDBClusters"))
	}
	return all
}

// RDSClusterBackupPolicy is what backing up Aurora and Multi-AZ DB clusters needs: finding clusters and their snapshots, and making snapshots whose
// names begin with the scope's prefix and that carry the owner's tag; as [RDSBackupPolicy] for instances. clusters bound it to these; none means all of
// the account and Region.
//
// It finds clusters and their snapshots only: beside RDSBackupPolicy nothing is missing for discovering and listing all databases and snapshots, and
// only automated backups need [RDSFindPolicy] too.
//
// Source: Service authorization reference, "Amazon RDS".
func RDSClusterBackupPolicy(s Scope, clusters ...string) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := eachValid(clusters, ValidateRDSClusterID); err != nil {
		return Document{}, err
	}
	all := append(c.rdsLookClusters("SnapwardenRDSClusterBackup", true),
		allow("SnapwardenRDSClusterBackupFrom", c.arn("rds", each("cluster:", canonical(clusters))...), nil, "rds:CreateDBClusterSnapshot"),
		allow("SnapwardenRDSClusterBackupMake", c.arn("rds", "cluster-snapshot:"+c.SnapshotPrefix+"*"), c.tagged(), "rds:CreateDBClusterSnapshot", "rds:AddTagsToResource"))
	keys, err := c.keys("SnapwardenRDSClusterBackup", "rds")
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, keys...)...)
}

// RDSClusterDeletePolicy is what deleting snapshots of clusters needs: finding them, and deleting those that carry the owner's tag.
//
// Source: Service authorization reference, "Amazon RDS".
func RDSClusterDeletePolicy(s Scope) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(c.rdsLookClusters("SnapwardenRDSClusterDelete", false),
		allow("SnapwardenRDSClusterDelete", c.arn("rds", "cluster-snapshot:*"), c.owned(), "rds:DeleteDBClusterSnapshot"))...)
}

// RDSClusterRestorePolicy is what restoring snapshots of clusters needs: finding them, and making clusters, and instances in clusters, that carry the
// owner's tag, in any subnet and parameter group. targets bound it to new clusters of these identifiers; none means any. What an instance may be called
// is not bound.
//
// Source: Service authorization reference, "Amazon RDS".
func RDSClusterRestorePolicy(s Scope, targets ...string) (Document, error) {
	const restore = "rds:RestoreDBClusterFromSnapshot"
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := eachValid(targets, ValidateRDSClusterID); err != nil {
		return Document{}, err
	}
	all := append(c.rdsLookClusters("SnapwardenRDSClusterRestore", true),
		allow("SnapwardenRDSClusterRestoreFrom", c.arn("rds", "cluster-snapshot:*", "subgrp:*", "cluster-pg:*"), nil, restore))
	return c.rdsMakeCluster(all, "SnapwardenRDSClusterRestore", restore, targets)
}

// rdsMakeCluster adds what a new cluster and its instances need to what they are made from.
func (s scope) rdsMakeCluster(all []Statement, sid, restore string, targets []string) (Document, error) {
	clusters := s.arn("rds", each("cluster:", canonical(targets))...)
	all = append(all,
		allow(sid+"LookInstances", s.arn("rds", "db:*"), nil, "rds:DescribeDBInstances"),
		allow(sid+"LookNetwork", s.arn("rds", "subgrp:*"), nil, "rds:DescribeDBSubnetGroups"),
		allow(sid+"Make", clusters, s.tagged(), restore, "rds:AddTagsToResource"),
		allow(sid+"Instances", s.arn("rds", "db:*"), s.tagged(), "rds:CreateDBInstance", "rds:AddTagsToResource"),
		allow(sid+"InstancesIn", append(s.arn("rds", each("cluster:", canonical(targets))...), s.arn("rds", "pg:*", "subgrp:*", "og:*")...), nil, "rds:CreateDBInstance"))
	keys, err := s.keys(sid, "rds")
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, keys...)...)
}

// RDSClusterTimeRestorePolicy is what restoring clusters to a point in time needs: finding clusters and their automated backups, and making clusters as
// [RDSClusterRestorePolicy] does. Which cluster is restored is told by its resource id, and is not bound.
//
// Source: Service authorization reference, "Amazon RDS".
func RDSClusterTimeRestorePolicy(s Scope, targets ...string) (Document, error) {
	const sid, restore = "SnapwardenRDSClusterTimeRestore", "rds:RestoreDBClusterToPointInTime"
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := eachValid(targets, ValidateRDSClusterID); err != nil {
		return Document{}, err
	}
	return c.rdsMakeCluster([]Statement{
		allow(sid+"LookClusters", c.arn("rds", "cluster:*"), nil, "rds:DescribeDBClusters"),
		allow(sid+"Look", c.arn("rds", "cluster-auto-backup:*"), nil, "rds:DescribeDBClusterAutomatedBackups"),
		allow(sid+"From", c.arn("rds", "cluster:*", "cluster-auto-backup:*", "subgrp:*", "cluster-pg:*"), nil, restore),
	}, sid, restore, targets)
}
