package policy

import "strings"

// RDSBackupPolicy is what backing up DB instances needs: finding instances and snapshots, and making snapshots whose names begin with the scope's
// prefix and that carry the owner's tag. instances bound it to these; none means all of the account and Region.
//
// RDS knows no condition by which tags could be set in the create call only. That is why the names are bound as well: with this policy another
// snapshot of such a name can be given the owner's tag, but no snapshot of any other name.
//
// It finds instances and their snapshots only: a query whose Types, Source or Point do not leave clusters out looks at those too, and needs
// [RDSClusterBackupPolicy] or [RDSFindPolicy] beside it. That holds of the other policies for instances alike.
//
// Source: Service authorization reference, "Amazon RDS".
func RDSBackupPolicy(s Scope, instances ...string) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := eachValid(instances, ValidateRDSInstanceID); err != nil {
		return Document{}, err
	}
	all := append(c.rdsLook("SnapwardenRDSBackup", true),
		allow("SnapwardenRDSBackupFrom", c.arn("rds", each("db:", canonical(instances))...), nil, "rds:CreateDBSnapshot"),
		allow("SnapwardenRDSBackupMake", c.arn("rds", "snapshot:"+c.SnapshotPrefix+"*"), c.tagged(), "rds:CreateDBSnapshot", "rds:AddTagsToResource"))
	keys, err := c.keys("SnapwardenRDSBackup", "rds")
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, keys...)...)
}

// rdsLook are the statements for finding snapshots and, where asked, instances.
func (s scope) rdsLook(sid string, instances bool) []Statement {
	all := []Statement{allow(sid+"Look", s.arn("rds", "db:*", "snapshot:*"), nil, "rds:DescribeDBSnapshots")}
	if instances {
		all = append(all, allow(sid+"LookInstances", s.arn("rds", "db:*"), nil, "rds:DescribeDBInstances"))
	}
	return all
}

// RDSDeletePolicy is what deleting DB snapshots needs: finding them, and deleting those that carry the owner's tag.
//
// Source: Service authorization reference, "Amazon RDS".
func RDSDeletePolicy(s Scope) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(c.rdsLook("SnapwardenRDSDelete", false),
		allow("SnapwardenRDSDelete", c.arn("rds", "snapshot:*"), c.owned(), "rds:DeleteDBSnapshot"))...)
}

// RDSRestorePolicy is what restoring DB snapshots needs: finding them, and making instances that carry the owner's tag from them, in any subnet,
// parameter and option group. targets bound it to new instances of these identifiers; none means any.
//
// Source: Service authorization reference, "Amazon RDS".
func RDSRestorePolicy(s Scope, targets ...string) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := eachValid(targets, ValidateRDSInstanceID); err != nil {
		return Document{}, err
	}
	const restore = "rds:RestoreDBInstanceFromDBSnapshot"
	all := append(c.rdsLook("SnapwardenRDSRestore", true),
		allow("SnapwardenRDSRestoreLookNetwork", c.arn("rds", "subgrp:*"), nil, "rds:DescribeDBSubnetGroups"),
		allow("SnapwardenRDSRestoreFrom", c.arn("rds", "snapshot:*", "subgrp:*", "pg:*", "og:*"), nil, restore),
		allow("SnapwardenRDSRestoreMake", c.arn("rds", each("db:", canonical(targets))...), c.tagged(), restore, "rds:AddTagsToResource"))
	keys, err := c.keys("SnapwardenRDSRestore", "rds")
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, keys...)...)
}

// RDSExport is an export of DB snapshots and cluster snapshots to S3, for [RDSExportPolicy].
type RDSExport struct {
	// Bucket is where the export goes, and Prefix what its keys begin with; see [ExportRole].
	Bucket, Prefix string
	// Role is the ARN of the role that RDS takes on for it, in the scope's account. Required.
	Role string
	// Snapshots and ClusterSnapshots bound it to exports of these snapshots, by their identifiers; where both are empty, it holds for all of the
	// account and Region.
	Snapshots, ClusterSnapshots []string
	// Key is the ARN of the customer managed key under which RDS encrypts the files; AWS's own keys can not be used. Required.
	Key string
}

// RDSExportPolicy is what starting, watching and canceling exports of DB snapshots to S3 needs, and listing what they wrote: the role may be passed
// to RDS's exports only, and the key used by RDS only. To write is the role's right ([ExportRole]), not the caller's. The scope's Keys are not
// used.
//
// RDS tells exports by their own names and has no ARNs for them, so that looking at one and canceling one is allowed for all of the Region.
// Whether RDS asks for the right to make grants under kms:GrantIsForAWSResource is UNVERIFIED.
//
// Source: Service authorization reference, "Amazon RDS"; RDS user guide, "Exporting DB snapshot data to Amazon S3"; IAM user guide, "Grant a user
// permissions to pass a role to an AWS service".
func RDSExportPolicy(s Scope, x RDSExport) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := checkRole(x.Role, c.partition, c.Account).in("role ARN", x.Role); err != nil {
		return Document{}, err
	}
	if err := checkKeyIn(x.Key, c.partition, c.Region).in("KMS key ARN", x.Key); err != nil {
		return Document{}, err
	}
	if x.Prefix != "" {
		if err := ValidateExportPrefix(x.Prefix); err != nil {
			return Document{}, err
		}
	}
	for _, id := range x.Snapshots {
		if IsAutomatedRDSSnapshotID(id) || IsAWSBackupSnapshotID(id) {
			_, id, _ = strings.Cut(id, ":")
		}
		if err := ValidateRDSSnapshotID(id); err != nil {
			return Document{}, err
		}
	}
	for _, id := range x.ClusterSnapshots {
		check := ValidateRDSClusterSnapshotID
		if IsAutomatedRDSSnapshotID(id) || IsAWSBackupSnapshotID(id) {
			_, id, _ = strings.Cut(id, ":")
			check = ValidateRDSSnapshotID // AWS makes longer ones
		}
		if err := check(id); err != nil {
			return Document{}, err
		}
	}
	bucket, _, err := bucketAndObjects(x.Bucket, c.Region, x.Prefix)
	if err != nil {
		return Document{}, err
	}
	var sources []string
	if len(x.Snapshots) > 0 || len(x.ClusterSnapshots) == 0 {
		sources = each("snapshot:", canonical(x.Snapshots))
	}
	if len(x.ClusterSnapshots) > 0 || len(x.Snapshots) == 0 {
		sources = append(sources, each("cluster-snapshot:", canonical(x.ClusterSnapshots))...)
	}
	all := append(append(c.rdsLook("SnapwardenRDSExport", false), c.rdsLookClusters("SnapwardenRDSExportClusters", false)...),
		allow("SnapwardenRDSExportStart", c.arn("rds", sources...), nil, "rds:StartExportTask"),
		allow("SnapwardenRDSExportTasks", []string{"*"}, c.here(), "rds:DescribeExportTasks", "rds:CancelExportTask"),
		allow("SnapwardenRDSExportRole", []string{x.Role}, Condition{"StringEquals": {"iam:PassedToService": {rdsExportPrincipal}}}, "iam:PassRole"),
		allow("SnapwardenRDSExportBucket", bucket, nil, "s3:GetBucketLocation", "s3:ListBucket"))
	keys, err := keyStatements("SnapwardenRDSExport", c.partition, c.Region, []string{x.Key}, nil, true, "rds")
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, keys...)...)
}
