// Package rdssim simulates the part of Amazon RDS that backups of DB instances and DB clusters depend on.
//
//	db := rdssim.Service()
//	world := awssim.New(db, kmssim.Service())
//	client := rds.NewFromConfig(world.Config("111122223333", "eu-west-1"))
//
// Instances, snapshots and subnet groups are made by ordinary SDK calls; the methods of RDS make many at once, and act as AWS or as a third party.
//
// # What is simulated
//
// Identifiers
//
//   - Instance identifiers have 1 to 63, snapshot identifiers 1 to 255 letters, digits and hyphens, begin with a letter, do not end with a
//     hyphen and have no two in a row; they are stored in lower case. Source: RDS API, CreateDBInstance and CreateDBSnapshot.
//   - A snapshot or an instance is also found by its ARN; an ARN of another account or Region is not found. Source: RDS API,
//     DescribeDBInstances and DescribeDBSnapshots.
//   - An identifier is free again once what had it is gone; the DbiResourceId of the next instance is another. Source: RDS API, DBInstance.
//
// Instances
//
//   - CreateDBInstance: creating, then available, or failed where the call was doomed. Source: RDS User Guide, "Viewing DB instance status".
//   - ModifyDBInstance needs an available instance. A class is changed with ApplyImmediately only and is a pending value otherwise; security
//     groups and the other settings change at once. The instance is modifying meanwhile. Source: RDS API, ModifyDBInstance.
//   - ModifyDBInstance changes the retention of automated backups at once, but for switching them on or off without ApplyImmediately, which stays a
//     pending value; a maintenance window never comes. Switched off, the automated snapshots go. The window of half an hour at least changes at once;
//     that it must not overlap the maintenance window is not checked. Source: RDS API, ModifyDBInstance.
//   - DeleteDBInstance wants exactly one of SkipFinalSnapshot and FinalDBSnapshotIdentifier, refuses deletion protection, and removes automated
//     snapshots unless DeleteAutomatedBackups is false. An instance that is failed or incompatible can be deleted only without a final
//     snapshot. Source: RDS API, DeleteDBInstance.
//   - The DB subnet group "default", and parameter and option groups whose names begin with "default", always exist. The VPC of the group
//     "default" has an internet gateway and so an instance in it is publicly accessible unless PubliclyAccessible says otherwise; the VPC
//     of a group that was made has none. Source: RDS API, RestoreDBInstanceFromDBSnapshot and CreateDBInstance.
//   - Of subnet, parameter and option groups only what a restore can trip over is simulated: that they exist, and two subnets at least.
//   - An instance whose key is not enabled is inaccessible-encryption-credentials-recoverable. Source: RDS User Guide, "Encrypting Amazon RDS
//     resources".
//   - Snapshots of an instance that belongs to a DB cluster are refused with InvalidParameterValue (the code is UNVERIFIED).
//   - A read replica is made by MakeReplica only. Its source lists it, also for ever after its deletion, which AWS does not, and it has a StatusInfo of
//     the type "read replication". Source: RDS API, DBInstance and DBInstanceStatusInfo.
//   - 40 instances for each account and Region, InstanceQuotaExceeded. Source: RDS User Guide, "Quotas and constraints".
//
// Clusters
//
//   - The engines aurora-mysql and aurora-postgresql make Aurora clusters, mysql and postgres Multi-AZ DB clusters, which need a
//     DBClusterInstanceClass and have three instances of their own from the beginning. Source: RDS API, CreateDBCluster; RDS User Guide, "Multi-AZ DB
//     cluster deployments".
//   - The instances of an Aurora cluster are made with CreateDBInstance and DBClusterIdentifier; security groups, subnet group, storage, encryption
//     and automated backups are the cluster's, and settings of these in the call are InvalidParameterCombination. The first one writes. Source: RDS
//     API, CreateDBInstance; Aurora User Guide, "Adding Aurora Replicas to a DB cluster"; the code is UNVERIFIED.
//   - DeleteDBCluster refuses an Aurora cluster that has instances which are not being deleted (InvalidDBClusterStateFault), and deletes those of a
//     Multi-AZ DB cluster along, which can not be deleted by themselves (the code is UNVERIFIED). Members have no final snapshot. Source: RDS API,
//     DeleteDBCluster; Aurora User Guide, "Deleting Aurora DB clusters and DB instances".
//   - ModifyDBCluster changes security groups, deletion protection, the retention of 1 to 35 days and the window of automated backups. Source: RDS
//     API, ModifyDBCluster.
//   - CreateDBClusterSnapshot needs an available cluster, else InvalidDBClusterStateFault. Identifiers have 1 to 63 characters and may be those of
//     instances' snapshots. A Multi-AZ DB cluster is backing-up meanwhile, an Aurora cluster stays available (UNVERIFIED). Source: RDS API.
//   - RestoreDBClusterFromSnapshot needs the engine of the snapshot (InvalidRestoreFault otherwise: UNVERIFIED). An Aurora cluster comes without
//     instances. With a KmsKeyId the new cluster is encrypted, also where the snapshot is not. Groups are the defaults where none are named. Tags of the
//     source are not taken over: UNVERIFIED. Source: RDS API, RestoreDBClusterFromSnapshot.
//   - 40 clusters and 100 manual snapshots of them for each account and Region. Source: RDS User Guide, "Quotas and constraints".
//
// Snapshots
//
//   - CreateDBSnapshot needs an instance that is available or storage-optimization, else InvalidDBInstanceState. A name that is taken answers
//     DBSnapshotAlreadyExists even then; that order is UNVERIFIED. Source: RDS API, CreateDBSnapshot.
//   - The instance is backing-up until the snapshot is made; that it is so for the whole time is UNVERIFIED.
//   - creating, then available, or failed where the call was doomed. SnapshotCreateTime is absent while creating. PercentProgress grows
//     evenly. Durations are lognormal; median and sigma are assumptions.
//   - 100 manual snapshots for each account and Region, SnapshotQuotaExceeded "Cannot create more than 100 manual snapshots". Automated and
//     AWS Backup's snapshots do not count. Source: RDS User Guide, "Quotas and constraints". Snapshots that are being deleted do not
//     count: UNVERIFIED.
//   - Without tags in the call, the instance's tags are copied where its CopyTagsToSnapshot is set. Source: RDS User Guide, "Tagging Amazon
//     RDS resources".
//   - DeleteDBSnapshot needs an available snapshot, else InvalidDBSnapshotState, and refuses automated ones and those of AWS Backup. Source:
//     RDS API, DeleteDBSnapshot; the code for the refused types is UNVERIFIED. The snapshot is deleting for some seconds; how long is UNVERIFIED.
//   - DescribeDBSnapshots lists manual and automated ones, AWS Backup's only with their SnapshotType; an automated one is described by its
//     identifier only with the type. An unknown identifier is DBSnapshotNotFound; one in a filter is merely absent (UNVERIFIED). An unknown
//     DB instance gives an empty list (UNVERIFIED). Source: RDS API, DescribeDBSnapshots.
//   - Sharing is not simulated: the types shared and public are empty.
//
// Copies
//
//   - CopyDBSnapshot and CopyDBClusterSnapshot are called where the copy is to be, with the identifier of a snapshot of the same Region or the ARN of
//     one of another Region of the account. The source must be available. copying, then available, or failed where the call was doomed, or where the
//     source is deleted meanwhile. Snapshots of Multi-AZ DB clusters can not be copied (the code is UNVERIFIED). Source: RDS User Guide, "Copying a
//     DB snapshot".
//   - KmsKeyId: none keeps the source's key within the Region; an encrypted source needs one from another Region; with one an unencrypted snapshot
//     of an instance is encrypted, and one of a cluster is refused (the code is UNVERIFIED). A key that is not enabled is
//     KMSKeyNotAccessibleFault. Source: RDS API, CopyDBSnapshot and CopyDBClusterSnapshot.
//   - PreSignedUrl is needed in GovCloud only, for encrypted snapshots of another Region; one that is given must be for that copy. The codes are
//     UNVERIFIED. Source: RDS API, CopyDBSnapshot.
//   - From another Region, a snapshot with another than a default option group needs OptionGroupName (InvalidParameterCombination: UNVERIFIED).
//   - 20 copies of instances' snapshots and 5 of clusters' may be in progress from other Regions, for each account and Region, else
//     SnapshotQuotaExceeded "Cannot copy more than 5 snapshots across regions". Source: RDS User Guide, "Copying a DB snapshot"; the message is that
//     of public reports.
//   - SnapshotCreateTime is that of the copy, OriginalSnapshotCreateTime that of the data; clusters' snapshots have the former only (what it is after
//     a copy is UNVERIFIED). The identifier and the Region of the source appear where that is elsewhere. CopyTags is off unless set; tags in the call
//     win. Source: RDS API, DBSnapshot and DBClusterSnapshot.
//   - A copy that is in progress is cancelled by deleting it. Source: RDS API, DeleteDBSnapshot.
//
// Restores
//
//   - RestoreDBInstanceFromDBSnapshot takes an available snapshot, else InvalidDBSnapshotState, into a new instance, else
//     DBInstanceAlreadyExists. What is not given is the snapshot's (class, port, option group, Multi-AZ off), but security group and parameter
//     group are the defaults. Without tags in the call it takes over those of the source instance, if that exists. Source: RDS API.
//   - The engine must be that of the snapshot, or oracle-se2 and oracle-ee in either direction; otherwise InvalidRestoreFault (UNVERIFIED).
//   - A key that is not enabled is KMSKeyNotAccessibleFault. Source: RDS API, RestoreDBInstanceFromDBSnapshot.
//   - creating, then available, or incompatible-restore where the call was doomed. The endpoint appears when it is available; AWS may show it
//     earlier (UNVERIFIED).
//
// Automated backups and point-in-time restores
//
//   - An instance with a retention of 1 to 35 days, and each cluster, can be restored to any time of its retention period, since it was made and up to
//     LatestRestorableTime, which is five minutes old at most and is told by DescribeDBInstances and DescribeDBClusters.
//     DescribeDBInstanceAutomatedBackups and DescribeDBClusterAutomatedBackups show the whole window; active, creating while there is none yet. Source: RDS
//     User Guide, "Restoring a DB instance to a specified time".
//   - Deleted with DeleteAutomatedBackups false, they are retained until their last day is older than the retention period. Source: RDS User Guide,
//     "Retaining automated backups".
//   - RestoreDBInstanceToPointInTime and RestoreDBClusterToPointInTime take exactly one source and one of a time and UseLatestRestorableTime,
//     InvalidParameterCombination otherwise. A time outside of the window is InvalidParameterValue (the code is UNVERIFIED), and an instance without
//     automated backups is PointInTimeRestoreNotEnabled. All else is as in a restore of a snapshot. Source: RDS API.
//
// Exports
//
//   - StartExportTask takes an available snapshot of this account and Region, else InvalidExportSourceState. A World with a simulated S3 has the
//     buckets: one that does not exist, or is in another Region or of another account, is InvalidS3BucketFault. That AWS refuses other
//     accounts' buckets is an assumption. Source: RDS API, StartExportTask.
//   - STARTING, IN_PROGRESS with a PercentProgress, then COMPLETE, or FAILED with a FailureCause; CANCELING and CANCELED after CancelExportTask.
//     TaskStartTime appears with IN_PROGRESS. What was written before a failure or a cancellation stays. Source: RDS API, ExportTask; RDS User
//     Guide, "Canceling a snapshot export task".
//   - An identifier has 1 to 60 letters, digits and hyphens and is never free again (UNVERIFIED), else ExportTaskAlreadyExists. A second export
//     of a snapshot that is being exported answers that too (the code is UNVERIFIED). A prefix with a colon is refused (the code is UNVERIFIED).
//   - Five tasks may run for each account, else ExportTaskLimitReachedFault, a code that public reports show and the SDK does not model. Source:
//     RDS User Guide, "Exporting DB snapshot data to Amazon S3". That it counts over all Regions is UNVERIFIED.
//   - Snapshots of Aurora clusters are exported like those of instances; those of Multi-AZ DB clusters are refused (UNVERIFIED).
//   - MySQL, MariaDB and PostgreSQL only, and no magnetic storage; the code is UNVERIFIED. Source: RDS User Guide, "Supported Regions and DB
//     engines for exporting snapshots to S3".
//   - A role that is not of this account's form is IamRoleNotFound; see SetRole. Where the World has a simulated IAM, a role whose own policies
//     do not allow s3:PutObject, GetObject, DeleteObject, ListBucket and GetBucketLocation is IamRoleMissingPermissions; its trust policy and
//     the bucket's are not asked. The key must be enabled, else KMSKeyNotAccessibleFault. That AWS tells all of that in the answer to the
//     call, and not in a FailureCause, is UNVERIFIED.
//   - ExportOnly has names of one to three parts of letters, digits, dollar and underscore, else InvalidExportOnly. Which parts an engine has is
//     not checked. Source: RDS User Guide, "Exporting DB snapshot data to Amazon S3".
//   - Under prefix/identifier/ it writes small objects where AWS writes Parquet, and at the end export_tables_info_<id>_from_1_to_1.json and
//     export_info_<id>.json. They are there from their instant on, as everything is. Source: RDS User Guide, "File naming conventions for
//     exports to Amazon S3"; the names of the two files are those of public reports.
//   - DescribeExportTasks gives an empty list for an unknown identifier, though the SDK models ExportTaskNotFound: public reports show that.
//     The filter status wants lower case. Source: RDS API, DescribeExportTasks.
//   - CancelExportTask of a task that is neither STARTING nor IN_PROGRESS is InvalidExportTaskStateFault. Source: RDS API; for CANCELING: UNVERIFIED.
//
// All calls
//
//   - One token bucket of 300 calls, refilled with 12 a second, for each account and Region, and ThrottlingException "Rate exceeded" of status
//     400. AWS publishes no figures for RDS: UNVERIFIED.
//   - MaxRecords is 20 to 100 and InvalidParameterValue otherwise; the default is 100. Lists are sorted by identifier: UNVERIFIED. Source: RDS API.
//   - At most 50 tags; keys that begin with aws: are refused. Source: RDS API, AddTagsToResource.
package rdssim
