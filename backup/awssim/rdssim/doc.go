// Package rdssim simulates the part of Amazon RDS that backups of DB instances depend on.
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
//   - DeleteDBInstance wants exactly one of SkipFinalSnapshot and FinalDBSnapshotIdentifier, refuses deletion protection, and removes automated
//     snapshots unless DeleteAutomatedBackups is false. An instance that is failed or incompatible can be deleted only without a final
//     snapshot. Source: RDS API, DeleteDBInstance.
//   - The DB subnet group "default", and parameter and option groups whose names begin with "default", always exist. The VPC of the group
//     "default" has an internet gateway and so an instance in it is publicly accessible unless PubliclyAccessible says otherwise; the VPC
//     of a group that was made has none. Source: RDS API, RestoreDBInstanceFromDBSnapshot and CreateDBInstance.
//   - Of subnet, parameter and option groups only what a restore can trip over is simulated: that they exist, and two subnets at least.
//   - An instance whose key is not enabled is inaccessible-encryption-credentials-recoverable. Source: RDS User Guide, "Encrypting Amazon RDS
//     resources".
//   - An instance that belongs to a DB cluster is made with DBClusterIdentifier; the cluster itself is not simulated and is taken to exist.
//     Snapshots of such an instance are refused with InvalidParameterValue (the code is UNVERIFIED).
//   - 40 instances for each account and Region, InstanceQuotaExceeded. Source: RDS User Guide, "Quotas and constraints".
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
//   - Sharing and copying are not simulated: the types shared and public are empty.
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
// All calls
//
//   - One token bucket of 300 calls, refilled with 12 a second, for each account and Region, and ThrottlingException "Rate exceeded" of status
//     400. AWS publishes no figures for RDS: UNVERIFIED.
//   - MaxRecords is 20 to 100 and InvalidParameterValue otherwise; the default is 100. Lists are sorted by identifier: UNVERIFIED. Source: RDS API.
//   - At most 50 tags; keys that begin with aws: are refused. Source: RDS API, AddTagsToResource.
package rdssim
