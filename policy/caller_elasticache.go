package policy

import (
	"slices"
	"strings"
)

// ElastiCacheBackupPolicy is what backing up ElastiCache needs: finding replication groups, clusters, serverless caches and snapshots with their
// tags, and making snapshots whose names begin with the scope's prefix and that carry the owner's tag. ids bound it to these groups, clusters and
// serverless caches, with the members that ElastiCache named after a group (orders-001, orders-0001-001); members that were called otherwise are to be named too. None
// means all of the account and Region.
//
// IAM has a sign for any character and none for a digit. So orders also lets in a cluster whose own id is orders-0 and any two characters more, and
// members of a group whose id is orders-0 and any three more: ids of one another's form are better not given to what is to be kept apart.
//
// As with RDS, tags can not be bound to the create call; see [RDSBackupPolicy].
//
// Source: ElastiCache user guide, "ElastiCache API permissions"; Service authorization reference, "Amazon ElastiCache".
func ElastiCacheBackupPolicy(s Scope, ids ...string) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := eachValid(ids, ValidateCacheClusterID); err != nil {
		return Document{}, err
	}
	all := append(c.cacheLook("SnapwardenElastiCacheBackup", true),
		allow("SnapwardenElastiCacheBackupFrom", c.arn("elasticache", append(cacheNames(ids, true), serverlessNames(ids)...)...), nil,
			"elasticache:CreateServerlessCacheSnapshot", "elasticache:CreateSnapshot"),
		allow("SnapwardenElastiCacheBackupMake", c.arn("elasticache", "serverlesscachesnapshot:"+c.SnapshotPrefix+"*", "snapshot:"+c.SnapshotPrefix+"*"), c.tagged(),
			"elasticache:AddTagsToResource", "elasticache:CreateServerlessCacheSnapshot", "elasticache:CreateSnapshot"))
	keys, err := c.cacheKeys("SnapwardenElastiCacheBackup")
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, keys...)...)
}

// cacheNames are groups and clusters of these ids, and the members of such groups: orders-001 is one of a group without cluster mode, and
// orders-0001-001 one of a group with it.
func cacheNames(ids []string, members bool) (all []string) {
	if len(ids) == 0 {
		return []string{"cluster:*", "replicationgroup:*"}
	}
	for _, id := range canonical(ids) {
		all = append(all, "cluster:"+id)
		if members {
			all = append(all, "cluster:"+id+"-0??", "cluster:"+id+"-0???-0??")
		}
		all = append(all, "replicationgroup:"+id)
	}
	return all
}

// serverlessNames are serverless caches of these names.
func serverlessNames(names []string) []string { return each("serverlesscache:", canonical(names)) }

func (s scope) cacheKeys(sid string) ([]Statement, error) { return s.keys(sid, "elasticache", "dax") }

// cacheLook are the statements for finding groups, clusters and snapshots, and those of the serverless kind too. Tags are not in ElastiCache's lists
// and are read one by one.
func (s scope) cacheLook(sid string, serverless bool) []Statement {
	kinds := []string{"cluster:*", "replicationgroup:*", "snapshot:*"}
	actions := []string{"elasticache:DescribeCacheClusters", "elasticache:DescribeReplicationGroups", "elasticache:DescribeSnapshots", "elasticache:ListTagsForResource"}
	if serverless {
		kinds = append(kinds, "serverlesscache:*", "serverlesscachesnapshot:*")
		actions = append(actions, "elasticache:DescribeServerlessCaches", "elasticache:DescribeServerlessCacheSnapshots")
	}
	return []Statement{allow(sid+"Look", s.arn("elasticache", kinds...), nil, actions...)}
}

// ElastiCacheCopyPolicy is what copying snapshots within the Region needs: finding them, and copying them to names that begin with the scope's prefix,
// with the owner's tag. snapshots bound it to copies of these, which may be automatic ones; none means all of the account and Region.
//
// The right to copy a snapshot of a cluster is also one to export it, to any bucket of the account that lets ElastiCache in; see
// [ElastiCacheExportPolicy].
//
// Source: ElastiCache user guide, "ElastiCache API permissions"; Service authorization reference, "Amazon ElastiCache".
func ElastiCacheCopyPolicy(s Scope, snapshots ...string) (Document, error) {
	const sid = "SnapwardenElastiCacheCopy"
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := eachValid(snapshots, checkCacheSnapshot); err != nil {
		return Document{}, err
	}
	from := append(each("serverlesscachesnapshot:", canonical(snapshots)), each("snapshot:", canonical(snapshots))...)
	all := []Statement{
		allow(sid+"Look", c.arn("elasticache", "cluster:*", "serverlesscachesnapshot:*", "snapshot:*"), nil,
			"elasticache:DescribeCacheClusters", "elasticache:DescribeServerlessCacheSnapshots", "elasticache:DescribeSnapshots", "elasticache:ListTagsForResource"),
		allow(sid+"From", c.arn("elasticache", from...), nil, "elasticache:CopyServerlessCacheSnapshot", "elasticache:CopySnapshot"),
		allow(sid+"Make", c.arn("elasticache", "serverlesscachesnapshot:"+c.SnapshotPrefix+"*", "snapshot:"+c.SnapshotPrefix+"*"), c.tagged(),
			"elasticache:AddTagsToResource", "elasticache:CopyServerlessCacheSnapshot", "elasticache:CopySnapshot"),
	}
	keys, err := c.cacheKeys(sid)
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, keys...)...)
}

// checkCacheSnapshot takes the names of automatic snapshots too.
func checkCacheSnapshot(name string) error {
	rest := name
	if IsAutomaticCacheSnapshotName(name) {
		rest = name[len(prefixCache):]
	}
	return checkName(rest, 255).in("ElastiCache snapshot name", name)
}

// ElastiCacheDailyPolicy is what reading and setting the automatic snapshots of groups, clusters and serverless caches needs. ids bound it to these;
// none means all of the account and Region. No narrower action than modifying them exists: its holder can change their other settings too, and should be whoever
// sets up backups, not the role that makes them.
//
// Source: ElastiCache API, ModifyReplicationGroup, ModifyCacheCluster and ModifyServerlessCache; Service authorization reference, "Amazon ElastiCache".
func ElastiCacheDailyPolicy(s Scope, ids ...string) (Document, error) {
	const sid = "SnapwardenElastiCacheDaily"
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := eachValid(ids, ValidateCacheClusterID); err != nil {
		return Document{}, err
	}
	return policyOf(
		allow(sid+"Look", c.arn("elasticache", "cluster:*", "replicationgroup:*", "serverlesscache:*"), nil,
			"elasticache:DescribeCacheClusters", "elasticache:DescribeReplicationGroups", "elasticache:DescribeServerlessCaches"),
		allow(sid+"Set", c.arn("elasticache", append(cacheNames(ids, false), serverlessNames(ids)...)...), nil,
			"elasticache:ModifyCacheCluster", "elasticache:ModifyReplicationGroup", "elasticache:ModifyServerlessCache"))
}

// ElastiCacheRebuildPolicy lets its holder delete the groups and clusters of these ids, of which at least one must be given: what a rebuild needs
// beside [ElastiCacheBackupPolicy] and [ElastiCacheRestorePolicy] for the same ids. It is for the time of the rebuild: whoever backs up should
// not be able to delete what is backed up.
//
// Source: ElastiCache API, DeleteReplicationGroup and DeleteCacheCluster; Service authorization reference, "Amazon ElastiCache".
func ElastiCacheRebuildPolicy(s Scope, id string, ids ...string) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	ids = append([]string{id}, ids...)
	if err := eachValid(ids, ValidateCacheClusterID); err != nil {
		return Document{}, err
	}
	return policyOf(allow("SnapwardenElastiCacheRebuildDelete", c.arn("elasticache", cacheNames(ids, false)...), nil,
		"elasticache:DeleteCacheCluster", "elasticache:DeleteReplicationGroup"))
}

// ElastiCacheDeletePolicy is what deleting ElastiCache snapshots needs: finding them, and deleting those that carry the owner's tag.
//
// Source: ElastiCache user guide, "ElastiCache API permissions"; Service authorization reference, "Amazon ElastiCache".
func ElastiCacheDeletePolicy(s Scope) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	both := func() []string { return c.arn("elasticache", "serverlesscachesnapshot:*", "snapshot:*") }
	return policyOf(
		allow("SnapwardenElastiCacheDeleteLook", both(), nil,
			"elasticache:DescribeServerlessCacheSnapshots", "elasticache:DescribeSnapshots", "elasticache:ListTagsForResource"),
		allow("SnapwardenElastiCacheDelete", both(), c.owned(), "elasticache:DeleteServerlessCacheSnapshot", "elasticache:DeleteSnapshot"))
}

// ElastiCacheRestorePolicy is what restoring ElastiCache snapshots needs: finding them, and making groups, clusters and serverless caches that carry
// the owner's tag from them, with any subnet, parameter, security and user group. targets bound it to new ones of these ids; none means any.
// Of whoever makes a serverless cache AWS also asks rights of EC2 to its VPC endpoint, and of whoever has logs delivered rights of CloudWatch Logs
// or Firehose; they are not here, because which ones is UNVERIFIED.
//
// Source: ElastiCache user guide, "ElastiCache API permissions"; Service authorization reference, "Amazon ElastiCache".
func ElastiCacheRestorePolicy(s Scope, targets ...string) (Document, error) {
	return cacheCreatePolicy("SnapwardenElastiCacheRestore", s, targets, true)
}

// cacheCreatePolicy is for making groups and clusters, from snapshots, as serverless caches can be too, or from files.
func cacheCreatePolicy(sid string, s Scope, targets []string, snapshots bool) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := eachValid(targets, ValidateCacheClusterID); err != nil {
		return Document{}, err
	}
	create := []string{"elasticache:CreateCacheCluster", "elasticache:CreateReplicationGroup"}
	from, made := []string{"parametergroup:*", "subnetgroup:*", "securitygroup:*", "usergroup:*"}, cacheNames(targets, false)
	if snapshots {
		create = append(create, "elasticache:CreateServerlessCache")
		from, made = append([]string{"snapshot:*", "serverlesscachesnapshot:*"}, from...), append(made, serverlessNames(targets)...)
	}
	all := append(c.cacheLook(sid, snapshots),
		allow(sid+"LookNetwork", c.arn("elasticache", "subnetgroup:*"), nil, "elasticache:DescribeCacheSubnetGroups"),
		allow(sid+"From", c.arn("elasticache", from...), nil, create...),
		allow(sid+"Make", c.arn("elasticache", made...), c.tagged(), append(create, "elasticache:AddTagsToResource")...))
	keys, err := c.cacheKeys(sid)
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, keys...)...)
}

// ElastiCacheSeedPolicy is what seeding a new group or cluster from the .rdb files of an export needs, in the Region of the bucket: reading the
// manifest and the files, and making groups and clusters that carry the owner's tag. ElastiCache reads the files itself, by the bucket's
// policy ([SeedStatement]), and asks that the caller could too. The bucket is of the scope's Region; prefix bounds the files to those whose keys
// begin with it and a slash, empty means all. targets are as in [ElastiCacheRestorePolicy].
//
// Source: ElastiCache user guide, "ElastiCache API permissions", CreateReplicationGroup with SnapshotArns; "Seeding a cluster with an externally
// created backup".
func ElastiCacheSeedPolicy(s Scope, bucket, prefix string, targets ...string) (Document, error) {
	d, err := cacheCreatePolicy("SnapwardenElastiCacheSeed", s, targets, false)
	if err != nil {
		return Document{}, err
	}
	whole, objects, err := bucketAndObjects(bucket, s.Region, prefix)
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(d.Statements, allow("SnapwardenElastiCacheSeedBucket", whole, nil, "s3:GetBucketLocation", "s3:ListBucket"),
		allow("SnapwardenElastiCacheSeedRead", objects, nil, "s3:GetObject"))...)
}

// ElastiCacheExportPrefix is what the names begin with that the library makes up for ElastiCache exports. Those that it makes up for backups begin
// otherwise ("sw-"), so that a policy can tell the two apart.
const ElastiCacheExportPrefix = "swx-"

// ElastiCacheExportPolicy is what exporting snapshots to a bucket, those of serverless caches too, needs: finding the snapshot, looking at who is let
// into the bucket, having the snapshot copied or exported, and writing and reading the files and the manifest. Unfinished uploads are looked at, because
// nothing else tells that a file of a serverless cache is still to come. ElastiCache asks what the caller may do with the bucket, and that the caller
// may list all buckets, which no narrower resource than * allows. snapshots bound it to exports of these snapshots; none means all of the account and
// Region.
//
// The right to copy or export a snapshot is a right to carry its data out: to any bucket of the account that lets ElastiCache in. An export that begins with
// a backup needs [ElastiCacheBackupPolicy] too, one that is copied on [ObjectCopyPolicy].
//
// AWS lists s3:DeleteObject as well. The library deletes nothing of an export, and whoever backs up should not be able to delete backups:
// it has a policy of its own, [ElastiCacheExportDeletePolicy]. Whether ElastiCache refuses an export without it is UNVERIFIED.
//
// Source: ElastiCache user guide, "Exporting a backup" and "ElastiCache API permissions"; Service authorization reference, "Amazon ElastiCache".
func ElastiCacheExportPolicy(s Scope, bucket string, snapshots ...string) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := eachValid(snapshots, checkCacheSnapshot); err != nil {
		return Document{}, err
	}
	whole, objects, err := bucketAndObjects(bucket, c.Region, "")
	if err != nil {
		return Document{}, err
	}
	if strings.HasPrefix(c.SnapshotPrefix, ElastiCacheExportPrefix) {
		return Document{}, faultf(RulePrefix, 0, "it begins with %s, as the names of exports do", ElastiCacheExportPrefix).in("prefix of snapshots' names", c.SnapshotPrefix)
	}
	from := c.arn("elasticache", each("snapshot:", canonical(snapshots))...)
	if len(snapshots) > 0 {
		from = append(from, c.arn("elasticache", "snapshot:"+ElastiCacheExportPrefix+"*")...)
	}
	all := []Statement{
		allow("SnapwardenElastiCacheExportLook", c.arn("elasticache", "serverlesscachesnapshot:*", "snapshot:*"), nil,
			"elasticache:DescribeServerlessCacheSnapshots", "elasticache:DescribeSnapshots"),
		allow("SnapwardenElastiCacheExportCopy", from, nil, "elasticache:CopySnapshot"),
		allow("SnapwardenElastiCacheExportServerless", c.arn("elasticache", each("serverlesscachesnapshot:", canonical(snapshots))...), nil,
			"elasticache:ExportServerlessCacheSnapshot"),
		allow("SnapwardenElastiCacheExportBuckets", []string{"*"}, nil, "s3:ListAllMyBuckets"),
		allow("SnapwardenElastiCacheExportBucket", whole, nil, append([]string{"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"}, lookAtBucket...)...),
		allow("SnapwardenElastiCacheExportFiles", objects, nil, "s3:GetObject", "s3:PutObject"),
	}
	if len(c.Keys) > 0 {
		keys, err := s3Keys("SnapwardenElastiCacheExport", c.partition, c.Region, c.Keys, true)
		if err != nil {
			return Document{}, err
		}
		all = append(all, keys...)
	}
	return policyOf(all...)
}

// ElastiCachePreparePolicy is what making a bucket ready for exports and for seeding needs: creating it with its ACLs disabled, blocking public
// access, and writing its policy or ACL. It is for whoever sets up backups, and not for the role that makes them: whoever writes the policy of a
// bucket decides who reads what is in it.
//
// Source: S3 API reference, CreateBucket, PutBucketPolicy, PutBucketAcl and PutPublicAccessBlock, their permissions.
func ElastiCachePreparePolicy(s Scope, bucket string) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	whole, _, err := bucketAndObjects(bucket, c.Region, "")
	if err != nil {
		return Document{}, err
	}
	const sid = "SnapwardenElastiCachePrepare"
	return policyOf(
		allow(sid+"Look", whole, nil, append([]string{"s3:ListBucket"}, lookAtBucket...)...),
		allow(sid+"Write", slices.Clone(whole), nil, "s3:CreateBucket", "s3:PutBucketAcl", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock"))
}

// lookAtBucket are the actions that tell who is let into a bucket.
var lookAtBucket = []string{"s3:GetBucketAcl", "s3:GetBucketOwnershipControls", "s3:GetBucketPolicy", "s3:GetBucketPublicAccessBlock"}

// ElastiCacheExportDeletePolicy lets its holder delete objects of the bucket of an export: for whoever removes exports that are no longer wanted,
// and for exports where ElastiCache insists that the caller could. Object Lock and versions hold against it.
//
// Source: ElastiCache user guide, "Exporting a backup", step 2.
func ElastiCacheExportDeletePolicy(s Scope, bucket string) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	_, objects, err := bucketAndObjects(bucket, c.Region, "")
	if err != nil {
		return Document{}, err
	}
	return policyOf(allow("SnapwardenElastiCacheExportDelete", objects, nil, "s3:DeleteObject"))
}
