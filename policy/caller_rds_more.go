package policy

// RDSFindPolicy is what finding all that package rds knows needs: instances and clusters, their snapshots and their automated backups. A job that only
// discovers and lists needs this policy and no other; beside [RDSBackupPolicy] and [RDSClusterBackupPolicy] it adds only the two rights to look at
// automated backups, which are asked for where a query names rds.TypeAutomatedBackup, rds.TypeClusterAutomatedBackup or a point of these, and by
// AutomatedBackups.
//
// Source: Service authorization reference, "Amazon RDS".
func RDSFindPolicy(s Scope) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(append(c.rdsLook("SnapwardenRDSFind", true), c.rdsLookClusters("SnapwardenRDSFindClusters", true)...),
		allow("SnapwardenRDSFindAutomated", c.arn("rds", "auto-backup:*"), nil, "rds:DescribeDBInstanceAutomatedBackups"),
		allow("SnapwardenRDSFindClustersAutomated", c.arn("rds", "cluster-auto-backup:*"), nil, "rds:DescribeDBClusterAutomatedBackups"))...)
}

// RDSTimeRestorePolicy is what restoring DB instances to a point in time needs: finding instances and their automated backups, and making instances that
// carry the owner's tag, in any subnet, parameter and option group. targets bound it to new instances of these identifiers; none means any. Which
// instance is restored is told by its resource id, and is not bound.
//
// Source: Service authorization reference, "Amazon RDS".
func RDSTimeRestorePolicy(s Scope, targets ...string) (Document, error) {
	const sid, restore = "SnapwardenRDSTimeRestore", "rds:RestoreDBInstanceToPointInTime"
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := eachValid(targets, ValidateRDSInstanceID); err != nil {
		return Document{}, err
	}
	all := []Statement{
		allow(sid+"LookInstances", c.arn("rds", "db:*"), nil, "rds:DescribeDBInstances"),
		allow(sid+"Look", c.arn("rds", "auto-backup:*"), nil, "rds:DescribeDBInstanceAutomatedBackups"),
		allow(sid+"LookNetwork", c.arn("rds", "subgrp:*"), nil, "rds:DescribeDBSubnetGroups"),
		allow(sid+"From", c.arn("rds", "db:*", "auto-backup:*", "subgrp:*", "pg:*", "og:*"), nil, restore),
		allow(sid+"Make", c.arn("rds", each("db:", canonical(targets))...), c.tagged(), restore, "rds:AddTagsToResource"),
	}
	keys, err := c.keys(sid, "rds")
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, keys...)...)
}

// RDSCopyPolicy is what copying DB snapshots to another Region of the account, or under another key, needs: finding snapshots where they are and where
// the copies go, and making copies there whose names begin with the prefix of to and that carry its owner's tag. The keys of from are those of the
// snapshots, and the keys of to those of the copies. from and to may be the same.
//
// RDS presigns nothing for the caller but the copy itself: the right to copy is asked for on the snapshot and on the copy. Which Region's service uses the
// snapshot's key is UNVERIFIED; both are allowed.
//
// Source: Service authorization reference, "Amazon RDS"; RDS user guide, "Copying a DB snapshot".
func RDSCopyPolicy(from, to Scope) (Document, error) {
	return rdsCopy(from, to, "SnapwardenRDSCopy", "snapshot:", "rds:CopyDBSnapshot", "rds:DescribeDBSnapshots", "db:*", true)
}

// RDSClusterCopyPolicy is what copying snapshots of Aurora clusters needs, as [RDSCopyPolicy] for those of instances.
//
// Source: Service authorization reference, "Amazon RDS"; Aurora user guide, "Copying a DB cluster snapshot".
func RDSClusterCopyPolicy(from, to Scope) (Document, error) {
	return rdsCopy(from, to, "SnapwardenRDSClusterCopy", "cluster-snapshot:", "rds:CopyDBClusterSnapshot", "rds:DescribeDBClusterSnapshots", "cluster:*", false)
}

func rdsCopy(from, to Scope, sid, kind, action, look, of string, groups bool) (Document, error) {
	a, err := from.checked()
	if err != nil {
		return Document{}, err
	}
	b, err := to.checked()
	if err != nil {
		return Document{}, err
	}
	if a.Account != b.Account {
		return Document{}, faultf(RuleForm, -1, "not the account %s of the snapshots", a.Account).in("account of the copies", b.Account)
	}
	if a.partition != b.partition {
		return Document{}, faultf(RulePartition, -1, "in partition %s, while the snapshots are in %s", b.partition, a.partition).in("Region of the copies", b.Region)
	}
	all := []Statement{
		allow(sid+"Look", append(a.arn("rds", of, kind+"*"), b.arn("rds", of, kind+"*")...), nil, look),
		allow(sid+"From", a.arn("rds", kind+"*"), nil, action),
		allow(sid+"Make", b.arn("rds", kind+b.SnapshotPrefix+"*"), b.tagged(), action, "rds:AddTagsToResource"),
	}
	if a.Region == b.Region {
		all[0].Resource = a.arn("rds", of, kind+"*")
	}
	if groups {
		all = append(all, allow(sid+"Groups", b.arn("rds", "og:*"), nil, "rds:DescribeOptionGroups", action))
	}
	for _, k := range [...]struct {
		sid     string
		at      scope
		regions []string
	}{{sid + "From", a, []string{a.Region, b.Region}}, {sid + "To", b, []string{b.Region}}} {
		if len(k.at.Keys) == 0 {
			continue
		}
		keys, err := keyStatements(k.sid, k.at.partition, k.regions[0], k.at.Keys, []string{"kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"}, true, "rds")
		if err != nil {
			return Document{}, err
		}
		if k.regions[0] != k.regions[len(k.regions)-1] {
			via, err := viaService(k.at.partition, k.regions, "rds")
			if err != nil {
				return Document{}, err
			}
			for _, s := range keys {
				if s.Condition != nil {
					s.Condition["StringEquals"]["kms:ViaService"] = via
				}
			}
		}
		all = append(all, keys...)
	}
	return policyOf(all...)
}

// RDSAutomatedBackupsPolicy is what setting the automated backups of instances and clusters needs. instances and clusters bound it to these; where both
// are empty, it holds for all of the account and Region. RDS knows no smaller right than to modify a database: with this policy everything about these
// can be modified, the master password included. Give it to nobody who needs it only now and then.
//
// Source: Service authorization reference, "Amazon RDS".
func RDSAutomatedBackupsPolicy(s Scope, instances, clusters []string) (Document, error) {
	return rdsDatabases(s, instances, clusters, "SnapwardenRDSAutomatedBackups", nil, "rds:ModifyDBInstance", "rds:ModifyDBCluster")
}

// RDSDeleteDatabasePolicy is what deleting instances and clusters after a final snapshot needs, beside [RDSBackupPolicy] for instances and
// [RDSClusterBackupPolicy] for clusters, with which the snapshot is made. instances and clusters bound it to these; at least one is required. The
// instances of a cluster are named among the instances.
//
// Source: Service authorization reference, "Amazon RDS".
func RDSDeleteDatabasePolicy(s Scope, instances, clusters []string) (Document, error) {
	if len(instances)+len(clusters) == 0 {
		return Document{}, faultf(RuleEmpty, -1, "no database is named").in("databases", "")
	}
	return rdsDatabases(s, instances, clusters, "SnapwardenRDSDeleteDatabase", []string{"rds:DescribeDBSnapshots", "rds:DescribeDBClusterSnapshots"}, "rds:DeleteDBInstance", "rds:DeleteDBCluster")
}

// rdsDatabases is a policy of one action on instances and one on clusters, which are looked at, and their snapshots where that is asked.
func rdsDatabases(s Scope, instances, clusters []string, sid string, snapshots []string, onInstance, onCluster string) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := eachValid(instances, ValidateRDSInstanceID); err != nil {
		return Document{}, err
	}
	if err := eachValid(clusters, ValidateRDSClusterID); err != nil {
		return Document{}, err
	}
	all := []Statement{
		allow(sid+"Look", c.arn("rds", "db:*"), nil, "rds:DescribeDBInstances"),
		allow(sid+"LookClusters", c.arn("rds", "cluster:*"), nil, "rds:DescribeDBClusters"),
	}
	if len(snapshots) > 0 {
		all = append(all,
			allow(sid+"LookFinal", c.arn("rds", "db:*", "snapshot:*"), nil, snapshots[0]),
			allow(sid+"LookFinalClusters", c.arn("rds", "cluster:*", "cluster-snapshot:*"), nil, snapshots[1]))
	}
	both := len(instances)+len(clusters) == 0
	if both || len(instances) > 0 {
		all = append(all, allow(sid+"Instances", c.arn("rds", each("db:", canonical(instances))...), nil, onInstance))
	}
	if both || len(clusters) > 0 {
		all = append(all, allow(sid+"Clusters", c.arn("rds", each("cluster:", canonical(clusters))...), nil, onCluster))
	}
	return policyOf(all...)
}
