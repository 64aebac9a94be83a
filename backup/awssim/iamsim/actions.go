package iamsim

import "slices"

// target is an action that an operation needs, and the resource that it needs it on.
type target struct {
	// action is empty where it is named like the operation.
	action string
	// kind is what stands before the name in the resource's ARN, "snapshot:"; whole for a field that holds an ARN, key for one of KMS's, and tagged
	// for EC2's ids, which tell their kind. Empty for actions that know no resources.
	kind string
	// field is the field of the SDK's input that names the resource; with none, or none given, every resource of the kind is meant.
	field string
	// given limits it to requests that have the field.
	given bool
	// made tells that the operation makes the resource, so that tags in the request are for it.
	made bool
	// passedTo is the service that a role is passed to.
	passedTo string
}

const (
	whole  = "arn"
	keyARN = "key"
	tagged = "id"
)

// everything is for actions that know no resources.
var everything = []target{{}}

// prefixes are the services' names in actions, by the SDK's service ids. Source: Service authorization reference.
var prefixes = map[string]string{
	"EBS": "ebs", "EC2": "ec2", "ElastiCache": "elasticache", "IAM": "iam", "KMS": "kms", "RDS": "rds", "S3": "s3",
	"Secrets Manager": "secretsmanager", "SFN": "states", "SNS": "sns", "STS": "sts",
}

// Actions gives the actions that a call of an operation needs in any case, by the SDK's names: Actions("S3", "UploadPartCopy") is s3:PutObject and
// s3:GetObject, the latter on the source. Tags in a request need one more, of which the package comment tells. It is empty where no permission
// is needed, as for sts:GetCallerIdentity, and nil for services and operations of S3 that it does not know; of other services an operation that is
// not in the tables needs the action of its own name.
//
// Source: Service authorization reference; S3 user guide, "Required permissions for Amazon S3 API operations".
func Actions(service, operation string) []string {
	if service == "S3" {
		return slices.Clone(s3Actions[operation])
	}
	prefix, ok := prefixes[service]
	if !ok {
		return nil
	}
	out := []string{}
	for _, t := range targets(service, operation) {
		if a := t.name(prefix, operation); !slices.Contains(out, a) && !t.given {
			out = append(out, a)
		}
	}
	return out
}

func (t *target) name(prefix, operation string) string {
	if t.action != "" {
		return t.action
	}
	return prefix + ":" + operation
}

// targets gives what an operation needs.
func targets(service, operation string) []target {
	if all, ok := operations[service][operation]; ok {
		return all
	}
	return everything
}

// operations are the targets of each operation, by the SDK's names. What is not here needs an action of its own name and knows no resources; so do
// the Describe operations of EC2. An operation with an empty list needs nothing.
//
// Source: Service authorization reference, the pages of Amazon EC2, RDS, ElastiCache, KMS and STS. Optional resources are asked for where the
// request names them. That ElastiCache's CopySnapshot asks for the target as well as the source, also where that is a file in a bucket, is UNVERIFIED, as
// is that RDS's StartExportTask asks for its source. CreateSnapshots asks for every volume, and not only for those of the instance.
var operations = map[string]map[string][]target{
	"EC2": {
		"RunInstances": {{kind: "image/", field: "ImageId"}, {kind: "instance/", made: true}, {kind: "network-interface/"}, {kind: "security-group/"},
			{kind: "subnet/"}, {kind: "volume/"}},
		"TerminateInstances":                   {{kind: "instance/", field: "InstanceIds"}},
		"CreateVolume":                         {{kind: "volume/", made: true}, {kind: "snapshot/", field: "SnapshotId", given: true}},
		"AttachVolume":                         {{kind: "instance/", field: "InstanceId"}, {kind: "volume/", field: "VolumeId"}},
		"DetachVolume":                         {{kind: "volume/", field: "VolumeId"}, {kind: "instance/", field: "InstanceId", given: true}},
		"DeleteVolume":                         {{kind: "volume/", field: "VolumeId"}},
		"CreateSnapshot":                       {{kind: "volume/", field: "VolumeId"}, {kind: "snapshot/", made: true}},
		"CreateSnapshots":                      {{kind: "instance/", field: "InstanceSpecification.InstanceId"}, {kind: "volume/"}, {kind: "snapshot/", made: true}},
		"CopySnapshot":                         {{kind: "snapshot/", made: true}},
		"DeleteSnapshot":                       {{kind: "snapshot/", field: "SnapshotId"}},
		"ModifySnapshotAttribute":              {{kind: "snapshot/", field: "SnapshotId"}},
		"CreateTags":                           {{kind: tagged, field: "Resources"}},
		"DeleteTags":                           {{kind: tagged, field: "Resources"}},
		"RegisterImage":                        {{kind: "image/", made: true}},
		"DeregisterImage":                      {{kind: "image/", field: "ImageId"}},
		"CreateImage":                          {{kind: "image/", made: true}, {kind: "instance/", field: "InstanceId"}, {kind: "snapshot/", made: true}},
		"CopyImage":                            {{kind: "image/", made: true}},
		"ModifyImageAttribute":                 {{kind: "image/", field: "ImageId"}},
		"StartInstances":                       {{kind: "instance/", field: "InstanceIds"}},
		"StopInstances":                        {{kind: "instance/", field: "InstanceIds"}},
		"ModifyInstanceAttribute":              {{kind: "instance/", field: "InstanceId"}},
		"ModifyVolume":                         {{kind: "volume/", field: "VolumeId"}},
		"ModifySnapshotTier":                   {{kind: "snapshot/", field: "SnapshotId"}},
		"RestoreSnapshotTier":                  {{kind: "snapshot/", field: "SnapshotId"}},
		"LockSnapshot":                         {{kind: "snapshot/", field: "SnapshotId"}},
		"UnlockSnapshot":                       {{kind: "snapshot/", field: "SnapshotId"}},
		"ListSnapshotsInRecycleBin":            {{kind: "snapshot/", field: "SnapshotIds"}},
		"RestoreSnapshotFromRecycleBin":        {{kind: "snapshot/", field: "SnapshotId"}},
		"EnableFastSnapshotRestores":           {{kind: "snapshot/", field: "SourceSnapshotIds"}},
		"DisableFastSnapshotRestores":          {{kind: "snapshot/", field: "SourceSnapshotIds"}},
		"EnableImage":                          {{kind: "image/", field: "ImageId"}},
		"DisableImage":                         {{kind: "image/", field: "ImageId"}},
		"EnableImageDeprecation":               {{kind: "image/", field: "ImageId"}},
		"DisableImageDeprecation":              {{kind: "image/", field: "ImageId"}},
		"EnableImageDeregistrationProtection":  {{kind: "image/", field: "ImageId"}},
		"DisableImageDeregistrationProtection": {{kind: "image/", field: "ImageId"}},
		"ListImagesInRecycleBin":               {{kind: "image/", field: "ImageIds"}},
	},
	"RDS": {
		"CreateDBInstance": {{kind: "db:", field: "DBInstanceIdentifier", made: true}, {kind: "og:", field: "OptionGroupName", given: true},
			{kind: "pg:", field: "DBParameterGroupName", given: true}, {kind: "subgrp:", field: "DBSubnetGroupName", given: true}},
		"DescribeDBInstances": {{kind: "db:", field: "DBInstanceIdentifier"}},
		"ModifyDBInstance": {{kind: "db:", field: "DBInstanceIdentifier"}, {kind: "og:", field: "OptionGroupName", given: true},
			{kind: "pg:", field: "DBParameterGroupName", given: true}},
		"DeleteDBInstance":             {{kind: "db:", field: "DBInstanceIdentifier"}},
		"CreateDBSnapshot":             {{kind: "db:", field: "DBInstanceIdentifier"}, {kind: "snapshot:", field: "DBSnapshotIdentifier", made: true}},
		"CopyDBSnapshot":               {{kind: "snapshot:", field: "SourceDBSnapshotIdentifier"}, {kind: "snapshot:", field: "TargetDBSnapshotIdentifier", made: true}},
		"DescribeDBSnapshots":          {{kind: "snapshot:", field: "DBSnapshotIdentifier"}, {kind: "db:", field: "DBInstanceIdentifier", given: true}},
		"DeleteDBSnapshot":             {{kind: "snapshot:", field: "DBSnapshotIdentifier"}},
		"ModifyDBSnapshotAttribute":    {{kind: "snapshot:", field: "DBSnapshotIdentifier"}},
		"DescribeDBSnapshotAttributes": {{kind: "snapshot:", field: "DBSnapshotIdentifier"}},
		"RestoreDBInstanceFromDBSnapshot": {{kind: "db:", field: "DBInstanceIdentifier", made: true}, {kind: "snapshot:", field: "DBSnapshotIdentifier"},
			{kind: "og:", field: "OptionGroupName", given: true}, {kind: "pg:", field: "DBParameterGroupName", given: true},
			{kind: "subgrp:", field: "DBSubnetGroupName", given: true}},
		"StartExportTask":        {{kind: whole, field: "SourceArn"}, {action: "iam:PassRole", kind: whole, field: "IamRoleArn", passedTo: "export.rds.amazonaws.com"}},
		"AddTagsToResource":      {{kind: whole, field: "ResourceName"}},
		"RemoveTagsFromResource": {{kind: whole, field: "ResourceName"}},
		"ListTagsForResource":    {{kind: whole, field: "ResourceName"}},
		"CreateDBSubnetGroup":    {{kind: "subgrp:", field: "DBSubnetGroupName", made: true}},
		"DescribeDBSubnetGroups": {{kind: "subgrp:", field: "DBSubnetGroupName"}},
		"CreateDBParameterGroup": {{kind: "pg:", field: "DBParameterGroupName", made: true}},
		"CreateOptionGroup":      {{kind: "og:", field: "OptionGroupName", made: true}},
		"CreateDBCluster": {{kind: "cluster:", field: "DBClusterIdentifier", made: true}, {kind: "cluster-pg:", field: "DBClusterParameterGroupName", given: true},
			{kind: "subgrp:", field: "DBSubnetGroupName", given: true}},
		"DescribeDBClusters":      {{kind: "cluster:", field: "DBClusterIdentifier"}},
		"ModifyDBCluster":         {{kind: "cluster:", field: "DBClusterIdentifier"}, {kind: "cluster-pg:", field: "DBClusterParameterGroupName", given: true}},
		"DeleteDBCluster":         {{kind: "cluster:", field: "DBClusterIdentifier"}, {kind: "cluster-snapshot:", field: "FinalDBSnapshotIdentifier", given: true}},
		"CreateDBClusterSnapshot": {{kind: "cluster:", field: "DBClusterIdentifier"}, {kind: "cluster-snapshot:", field: "DBClusterSnapshotIdentifier", made: true}},
		"CopyDBClusterSnapshot": {{kind: "cluster-snapshot:", field: "SourceDBClusterSnapshotIdentifier"},
			{kind: "cluster-snapshot:", field: "TargetDBClusterSnapshotIdentifier", made: true}},
		"DescribeDBClusterSnapshots": {{kind: "cluster-snapshot:", field: "DBClusterSnapshotIdentifier"},
			{kind: "cluster:", field: "DBClusterIdentifier", given: true}},
		"DeleteDBClusterSnapshot":             {{kind: "cluster-snapshot:", field: "DBClusterSnapshotIdentifier"}},
		"ModifyDBClusterSnapshotAttribute":    {{kind: "cluster-snapshot:", field: "DBClusterSnapshotIdentifier"}},
		"DescribeDBClusterSnapshotAttributes": {{kind: "cluster-snapshot:", field: "DBClusterSnapshotIdentifier"}},
		"RestoreDBClusterFromSnapshot": {{kind: "cluster:", field: "DBClusterIdentifier", made: true}, {kind: "cluster-snapshot:", field: "SnapshotIdentifier"},
			{kind: "cluster-pg:", field: "DBClusterParameterGroupName", given: true}, {kind: "subgrp:", field: "DBSubnetGroupName", given: true}},
		"RestoreDBInstanceToPointInTime": {{kind: "db:", field: "TargetDBInstanceIdentifier", made: true}, {kind: "db:", field: "SourceDBInstanceIdentifier"},
			{kind: "og:", field: "OptionGroupName", given: true}, {kind: "pg:", field: "DBParameterGroupName", given: true},
			{kind: "subgrp:", field: "DBSubnetGroupName", given: true}},
		"RestoreDBClusterToPointInTime": {{kind: "cluster:", field: "DBClusterIdentifier", made: true}, {kind: "cluster:", field: "SourceDBClusterIdentifier"},
			{kind: "cluster-pg:", field: "DBClusterParameterGroupName", given: true}, {kind: "subgrp:", field: "DBSubnetGroupName", given: true}},
		"DescribeDBInstanceAutomatedBackups": {{kind: "auto-backup:", field: "DbiResourceId"}},
		"DescribeDBClusterAutomatedBackups":  {{kind: "cluster-auto-backup:", field: "DbClusterResourceId"}},
		"DescribeDBClusterParameterGroups":   {{kind: "cluster-pg:", field: "DBClusterParameterGroupName"}},
		"DescribeOptionGroups":               {{kind: "og:", field: "OptionGroupName"}},
		"CreateDBClusterParameterGroup":      {{kind: "cluster-pg:", field: "DBClusterParameterGroupName", made: true}},
	},
	"ElastiCache": {
		"CreateReplicationGroup": {{kind: "replicationgroup:", field: "ReplicationGroupId", made: true},
			{kind: "parametergroup:", field: "CacheParameterGroupName", given: true}, {kind: "subnetgroup:", field: "CacheSubnetGroupName", given: true},
			{kind: "snapshot:", field: "SnapshotName", given: true}, {kind: "cluster:", field: "PrimaryClusterId", given: true}},
		"ModifyReplicationGroup": {{kind: "replicationgroup:", field: "ReplicationGroupId"},
			{kind: "parametergroup:", field: "CacheParameterGroupName", given: true}},
		"ModifyCacheCluster":        {{kind: "cluster:", field: "CacheClusterId"}, {kind: "parametergroup:", field: "CacheParameterGroupName", given: true}},
		"DescribeReplicationGroups": {{kind: "replicationgroup:", field: "ReplicationGroupId"}},
		"DeleteReplicationGroup":    {{kind: "replicationgroup:", field: "ReplicationGroupId"}, {kind: "snapshot:", field: "FinalSnapshotIdentifier", given: true}},
		"CreateCacheCluster": {{kind: "cluster:", field: "CacheClusterId", made: true},
			{kind: "parametergroup:", field: "CacheParameterGroupName", given: true}, {kind: "subnetgroup:", field: "CacheSubnetGroupName", given: true},
			{kind: "snapshot:", field: "SnapshotName", given: true}, {kind: "replicationgroup:", field: "ReplicationGroupId", given: true}},
		"DescribeCacheClusters": {{kind: "cluster:", field: "CacheClusterId"}},
		"DeleteCacheCluster":    {{kind: "cluster:", field: "CacheClusterId"}, {kind: "snapshot:", field: "FinalSnapshotIdentifier", given: true}},
		"CreateSnapshot": {{kind: "snapshot:", field: "SnapshotName", made: true}, {kind: "cluster:", field: "CacheClusterId", given: true},
			{kind: "replicationgroup:", field: "ReplicationGroupId", given: true}},
		"DescribeSnapshots":                {{kind: "snapshot:", field: "SnapshotName"}},
		"CopySnapshot":                     {{kind: "snapshot:", field: "SourceSnapshotName"}, {kind: "snapshot:", field: "TargetSnapshotName", made: true}},
		"DeleteSnapshot":                   {{kind: "snapshot:", field: "SnapshotName"}},
		"AddTagsToResource":                {{kind: whole, field: "ResourceName"}},
		"RemoveTagsFromResource":           {{kind: whole, field: "ResourceName"}},
		"ListTagsForResource":              {{kind: whole, field: "ResourceName"}},
		"CreateCacheSubnetGroup":           {{kind: "subnetgroup:", field: "CacheSubnetGroupName", made: true}},
		"DescribeCacheSubnetGroups":        {{kind: "subnetgroup:", field: "CacheSubnetGroupName"}},
		"CreateServerlessCache":            {{kind: "serverlesscache:", field: "ServerlessCacheName", made: true}, {kind: whole, field: "SnapshotArnsToRestore", given: true}},
		"ModifyServerlessCache":            {{kind: "serverlesscache:", field: "ServerlessCacheName"}},
		"DescribeServerlessCaches":         {{kind: "serverlesscache:", field: "ServerlessCacheName"}},
		"DeleteServerlessCache":            {{kind: "serverlesscache:", field: "ServerlessCacheName"}, {kind: "serverlesscachesnapshot:", field: "FinalSnapshotName", given: true}},
		"CreateServerlessCacheSnapshot":    {{kind: "serverlesscache:", field: "ServerlessCacheName"}, {kind: "serverlesscachesnapshot:", field: "ServerlessCacheSnapshotName", made: true}},
		"CopyServerlessCacheSnapshot":      {{kind: "serverlesscachesnapshot:", field: "SourceServerlessCacheSnapshotName"}, {kind: "serverlesscachesnapshot:", field: "TargetServerlessCacheSnapshotName", made: true}},
		"DescribeServerlessCacheSnapshots": {{kind: "serverlesscachesnapshot:", field: "ServerlessCacheSnapshotName"}},
		"DeleteServerlessCacheSnapshot":    {{kind: "serverlesscachesnapshot:", field: "ServerlessCacheSnapshotName"}},
		"ExportServerlessCacheSnapshot":    {{kind: "serverlesscachesnapshot:", field: "ServerlessCacheSnapshotName"}},
	},
	"KMS": {
		"CreateAlias":         {{kind: "alias/", field: "AliasName"}, {kind: keyARN, field: "TargetKeyId"}},
		"DescribeKey":         {{kind: keyARN, field: "KeyId"}},
		"DisableKey":          {{kind: keyARN, field: "KeyId"}},
		"EnableKey":           {{kind: keyARN, field: "KeyId"}},
		"ScheduleKeyDeletion": {{kind: keyARN, field: "KeyId"}},
		"CancelKeyDeletion":   {{kind: keyARN, field: "KeyId"}},
		"PutKeyPolicy":        {{kind: keyARN, field: "KeyId"}},
		"GetKeyPolicy":        {{kind: keyARN, field: "KeyId"}},
		"CreateGrant":         {{kind: keyARN, field: "KeyId"}},
		"ListGrants":          {{kind: keyARN, field: "KeyId"}},
		"RevokeGrant":         {{kind: keyARN, field: "KeyId"}},
	},
	"STS": {
		"AssumeRole":        {{kind: whole, field: "RoleArn"}},
		"GetCallerIdentity": {},
	},
	"S3": { // what is about a bucket or an object the simulated S3 asks itself, for it knows their policies
		"CreateBucket": {{kind: "bucket", field: "Bucket"}},
		"ListBuckets":  {{action: "s3:ListAllMyBuckets"}},
	},
}
