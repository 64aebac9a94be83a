// Package elasticachesim simulates the part of Amazon ElastiCache that backups need: replication groups and cache clusters of Redis OSS and
// Valkey, Memcached clusters (which can not be snapshotted), snapshots, restores, tags and subnet groups.
//
//	cache := elasticachesim.Service()
//	world := awssim.New(cache)
//	client := elasticache.NewFromConfig(world.Config("111122223333", "eu-west-1"))
//
// What is simulated, and where it comes from. UNVERIFIED marks what no public source states; the simulation then takes the stricter way, so
// that what works on it does not depend on it.
//
// Names and identifiers
//   - Identifiers and snapshot names are stored in lower case and compared without regard to case. Source: ElastiCache API, CreateSnapshot,
//     CreateReplicationGroup, CreateCacheCluster.
//   - A name has 1 to 40 letters, digits and hyphens (a cluster's 50), begins with a letter, does not end in a hyphen and has no two
//     hyphens in a row; otherwise InvalidParameterValue. For snapshot names the user guide says so (Making manual backups) and the API
//     states no pattern: whether longer names pass is UNVERIFIED, and they are refused here.
//   - Member clusters are <group>-001 and so on, or <group>-0001-001 with cluster mode enabled. Source: ElastiCache User Guide, Backups.
//   - A name is free again only when what had it is gone, not while it is being deleted. UNVERIFIED.
//
// Snapshots
//   - CreateSnapshot takes exactly one of CacheClusterId and ReplicationGroupId, otherwise InvalidParameterCombination. CacheClusterId is
//     for single clusters and members of groups with cluster mode disabled, ReplicationGroupId for groups with cluster mode enabled.
//     Source: User Guide, Making manual backups. Whether ReplicationGroupId is accepted for a group with cluster mode disabled is
//     UNVERIFIED, and it is refused here with InvalidParameterCombination, as is a member of a group with cluster mode enabled.
//   - Memcached and cache.t1.micro: SnapshotFeatureNotSupportedFault. Source: the SDK's elasticache/types/errors.go.
//   - A taken name: SnapshotAlreadyExistsFault. A cluster or group that is not available: InvalidCacheClusterState or
//     InvalidReplicationGroupState. Source: ElastiCache API, CreateSnapshot. The order of the checks is UNVERIFIED.
//   - 20 manual snapshots per node in any 24 hours, then SnapshotQuotaExceededFault. Source: User Guide, Backups. That failed and deleted
//     snapshots count, and that a snapshot of a group counts on one node of each shard, is UNVERIFIED.
//   - While a snapshot is made its status is creating, and the cluster's and group's status is snapshotting; then it is available, or
//     failed. Source: API, types Snapshot, CacheCluster, ReplicationGroup; failed: User Guide, Amazon SNS events. The median is 150 s.
//   - A snapshot of a member of a group with cluster mode disabled names CacheClusterId and no ReplicationGroupId, with one NodeSnapshot
//     that has a CacheNodeId; one of a group with cluster mode enabled names ReplicationGroupId and NumNodeGroups, with a NodeSnapshot for
//     each shard. SnapshotCreateTime and CacheSize are there only once the snapshot is available. Source: AWS CLI Reference, the examples of
//     describe-snapshots and create-snapshot; that no time is given earlier is UNVERIFIED.
//   - DescribeSnapshots filters by name, cluster, group and source (user, system), in pages of 20 to 50. A missing name gives
//     SnapshotNotFoundFault, or an empty list after EmptyWhenMissing. Node groups' configuration only with ShowNodeGroupConfig.
//   - DeleteSnapshot works on available and failed snapshots, otherwise InvalidSnapshotState; automatic snapshots are refused with the same
//     code (UNVERIFIED). The status is deleting for a while, then the snapshot is gone.
//   - Automatic snapshots are called automatic.<cluster>-2006-01-02-15-04 and go with their cluster; manual ones stay. Source: User Guide,
//     Scheduling automatic backups.
//
// Copies and exports
//   - CopySnapshot without a bucket makes a manual snapshot with the source's data, time and source, and with its own tags only; that it does
//     not take over the source's tags is UNVERIFIED. The source must be available, otherwise InvalidSnapshotState, and is copying meanwhile.
//     A copy does not count against the quota of snapshots (UNVERIFIED).
//   - With TargetBucket it exports: one <name>-<shard>.rdb for each shard, <name>-0001.rdb where there is only one. All files are there at the
//     instant at which the source is available again (UNVERIFIED: AWS documents no sign of the end), and keys are in lower case
//     (UNVERIFIED). What the answer's Snapshot looks like for an export is UNVERIFIED. Source: User Guide, Exporting a backup.
//   - The refusals are CopySnapshot's documented messages. Their code, InvalidParameterValue, and the order of the checks are UNVERIFIED.
//     READ is asked as s3:ListBucket, WRITE as s3:PutObject, READ_ACP as s3:GetBucketAcl, by the bucket's policy or ACL.
//   - A customer managed key, of the source or for the export, is refused with InvalidParameterCombination and the message that a public
//     report gives (Gruntwork, redis_copy_snapshot); whether each such source is refused is UNVERIFIED. Data tiering is refused with the
//     same code (UNVERIFIED). Source: User Guide, At-rest encryption, and Data tiering.
//   - A file is a real .rdb file with a few keys, which redis-check-rdb accepts.
//   - An export that FaultAsync dooms leaves the last shard's file out and says nothing.
//
// Restores
//   - CreateReplicationGroup and CreateCacheCluster with SnapshotName make a new group or cluster; the snapshot's status is restoring
//     meanwhile. Source: API, CreateReplicationGroup. A snapshot that is not available is refused with InvalidParameterValue, an unknown one
//     with SnapshotNotFoundFault (both codes UNVERIFIED).
//   - Another engine, a lower engine version, cluster mode enabled to disabled, and a data tiering snapshot (r6gd) to another family of nodes
//     are refused with InvalidParameterCombination. Source for the rules: User Guide, Restoring from a backup, and Data tiering; the code is
//     UNVERIFIED, and so is whether Redis OSS may become Valkey, which is refused here.
//   - SnapshotArns seed from .rdb files in a simulated S3: the bucket must be in the Region, and let <region>.elasticache-snapshot.amazonaws.com
//     do s3:GetObject, s3:ListBucket and s3:GetBucketAcl. A group with cluster mode enabled needs the slots of all node groups. A file that is
//     not whole dooms what is made. Source: User Guide, Seeding a new cluster; API, CreateReplicationGroup. The codes and words of the
//     refusals are UNVERIFIED; "No permission to access S3 object" is from public reports.
//   - r6gd nodes need DataTieringEnabled, and only replication groups have it. Source: API, CreateReplicationGroup.
//   - What fails to be created is create-failed (a group) or restore-failed (a cluster). The median of a creation is 10 minutes.
//   - Without SecurityGroupIds a cluster is in its VPC's default security group; without a subnet group in "default". UNVERIFIED.
//
// Groups and clusters
//   - From Redis OSS 6 on a create call names a version by major and minor, and one with a patch is refused with InvalidParameterValue,
//     "Specific version selection is not allowed for '7.0.7', please use '7.0'"; clusters and snapshots are told with the patch. Source: User
//     Guide, Engine versions; public reports, such as hashicorp/terraform-provider-aws#32252. That Valkey is treated alike is inferred.
//   - Node groups, endpoints and roles are given once the group is available; CurrentRole only with cluster mode disabled. Endpoints:
//     configuration with cluster mode enabled, primary and reader otherwise, and one for each node. Source: API, types ReplicationGroup and
//     NodeGroupMember. That none is given while creating is UNVERIFIED.
//   - ModifyReplicationGroup and ModifyCacheCluster change how automatic snapshots are made, and nothing else here. Turning them on in a group
//     with cluster mode disabled needs SnapshottingClusterId, which one with cluster mode enabled refuses; nothing to change is refused with
//     InvalidParameterCombination, "No modifications were requested". Source: API, ModifyReplicationGroup; hashicorp/terraform-provider-aws,
//     elasticache/replication_group.go. With ApplyImmediately it is modifying for a while, and what else waits is applied too; without, the
//     change comes with the next maintenance window. That these settings wait at all is UNVERIFIED. Automatic snapshots that are kept for
//     fewer days from then on are not deleted here.
//   - Deleting needs the status available (or a failed one); otherwise InvalidReplicationGroupState or InvalidCacheClusterState. A final
//     snapshot is taken of the primary, and the deletion follows it. Source: API, DeleteReplicationGroup.
//   - AuthToken needs encryption in transit, 16 to 128 letters, digits and characters of !&#$^<>-, and no user groups; a user group, of which
//     there may be one, needs encryption in transit. Any user group is taken for existing. Source: API, CreateReplicationGroup; the codes are
//     UNVERIFIED. Windows have an hour at least. Each log is delivered once, and FailLogs
//     is one that can not be. A snapshot keeps none of these.
//   - 300 nodes in a Region and 90 in a group, then NodeQuotaForCustomerExceeded and NodeQuotaForClusterExceeded; AWS raises the second to 500 at
//     most. Source: User Guide, Quotas, and Working with shards. SetNodeQuota and SetGroupQuota are a quota that was raised, or one that is full.
//
// Serverless caches
//   - They and their snapshots have names, operations and ARNs (serverlesscache, serverlesscachesnapshot) of their own. A cache's status is told
//     in capital letters, as documented; a snapshot's is not documented, and the words are those of other snapshots (UNVERIFIED).
//   - While a snapshot is made another, and a deletion, are refused with InvalidServerlessCacheStateFault. Source: User Guide, Backup constraints;
//     the code is UNVERIFIED. 24 manual snapshots of a cache in any 24 hours, 40 caches in a Region. Source: the same, and Quotas.
//   - A copy has the time and key of its source and its own tags. A snapshot that is not available is refused with
//     InvalidServerlessCacheSnapshotStateFault; an automatic one can be copied and not deleted (code UNVERIFIED).
//   - A snapshot is restored by its ARN, to the same engine and no earlier version. Anything else that AWS may take there is not simulated. Source:
//     API, CreateServerlessCache. A snapshot that is not there or not available is refused with InvalidParameterValue (UNVERIFIED).
//   - ModifyServerlessCache changes how automatic snapshots are made, and nothing else here: one setting a call, another being refused with
//     InvalidParameterCombination, "Serverless Cache modifications only support modifying one field per request." Nothing to change is refused with
//     the same code, "No modifications were requested". Source: hashicorp/terraform-provider-aws#37499 and #44746; that the retention and the time are
//     two settings is UNVERIFIED. It is modifying for a while; during a snapshot the call is refused with InvalidServerlessCacheStateFault (Backup
//     constraints; the code is UNVERIFIED). A retention without a time gets one chosen (User Guide, Scheduling automatic backups), and a time
//     while the retention is 0 is refused with InvalidParameterCombination (UNVERIFIED).
//   - ExportServerlessCacheSnapshot writes one file, <snapshot>-0001.rdb, with the refusals of exports of other snapshots. The key, the number of
//     files, the status copying meanwhile and the codes are UNVERIFIED. One that FaultAsync dooms writes nothing.
//   - Automatic snapshots are called automatic.<cache>-2006-01-02 and go with the cache. Listing the snapshots of a cache that is gone is refused
//     with ServerlessCacheNotFoundFault (UNVERIFIED).
//
// Everything
//   - Tags: at most 50, keys that begin with aws: are refused. Tags of a group are given to its members. Source: API, AddTagsToResource,
//     CreateReplicationGroup.
//   - AWS publishes no request rate; here it is a burst of 20 and 5 a second for all operations together, then Throttling with "Rate
//     exceeded" and status 400. UNVERIFIED.
//   - Not simulated: adding replicas or primaries to groups, RetainPrimaryCluster, final snapshots of serverless caches, global datastores.
package elasticachesim
