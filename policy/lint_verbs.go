package policy

import (
	"slices"
	"strings"
)

// keyAdministration are the actions on a key that administer or destroy it, or that take away the grants by which services use it.
//
// Source: KMS developer guide, "Allows key administrators to administer the KMS key"; Service authorization reference, "AWS Key Management
// Service".
var keyAdministration = [...]string{
	"kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DeleteImportedKeyMaterial", "kms:DisableKey", "kms:DisableKeyRotation",
	"kms:EnableKey", "kms:EnableKeyRotation", "kms:ImportKeyMaterial", "kms:PutKeyPolicy", "kms:ReplicateKey", "kms:RetireGrant",
	"kms:RevokeGrant", "kms:RotateKeyOnDemand", "kms:ScheduleKeyDeletion", "kms:SynchronizeMultiRegionKey", "kms:TagResource", "kms:UntagResource",
	"kms:UpdateAlias", "kms:UpdateKeyDescription", "kms:UpdatePrimaryRegion",
}

// worksAcrossAccounts reports whether KMS lets a principal of another account do what an administrative action says, where the key's policy
// allows it. Of those above those are two; what is refused today is flagged all the same, as it says what was meant.
//
// Source: KMS developer guide, "Allowing users in other accounts to use a KMS key": cryptographic operations, CreateGrant, DescribeKey,
// GetKeyRotationStatus, GetPublicKey, ListGrants, RetireGrant, RevokeGrant.
func worksAcrossAccounts(action string) bool {
	return action == "kms:RevokeGrant" || action == "kms:RetireGrant"
}

// bucketAdministration are the actions that decide who gets at a bucket, for how long things are kept in it, what is told of it to whom, or that
// destroy what is in it.
//
// Source: S3 user guide, "Policy actions for Amazon S3"; Service authorization reference, "Amazon S3".
var bucketAdministration = [...]string{
	"s3:BypassGovernanceRetention", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:DeleteBucketWebsite", "s3:DeleteObject", "s3:DeleteObjectVersion",
	"s3:ObjectOwnerOverrideToBucketOwner", "s3:PutAnalyticsConfiguration", "s3:PutBucketAcl", "s3:PutBucketCORS", "s3:PutBucketLogging",
	"s3:PutBucketNotification", "s3:PutBucketObjectLockConfiguration", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy",
	"s3:PutBucketPublicAccessBlock", "s3:PutBucketVersioning", "s3:PutBucketWebsite", "s3:PutEncryptionConfiguration",
	"s3:PutIntelligentTieringConfiguration", "s3:PutInventoryConfiguration", "s3:PutLifecycleConfiguration", "s3:PutObjectAcl", "s3:PutObjectLegalHold", "s3:PutObjectRetention", "s3:PutObjectVersionAcl", "s3:PutReplicationConfiguration",
}

// wholeAccountS3 are actions of S3 that are about the account and know no bucket.
//
// Source: Service authorization reference, "Amazon S3".
var wholeAccountS3 = [...]string{"s3:GetAccountPublicAccessBlock", "s3:ListAccessPoints", "s3:ListAllMyBuckets", "s3:PutAccountPublicAccessBlock"}

// deletions are the deleting actions of the services that this library works with, so that a wildcard is seen to cover them. An action that
// is written out and whose name begins with Delete is a deletion without being here.
var deletions = [...]string{
	"backup:DeleteBackupVault", "backup:DeleteRecoveryPoint", "ec2:DeleteSnapshot", "ec2:DeleteTags", "ec2:DeleteVolume", "ec2:DeregisterImage",
	"ec2:TerminateInstances", "elasticache:DeleteCacheCluster", "elasticache:DeleteReplicationGroup", "elasticache:DeleteServerlessCache",
	"elasticache:DeleteServerlessCacheSnapshot", "elasticache:DeleteSnapshot", "iam:DeleteRole", "kms:DeleteAlias", "rds:DeleteDBCluster",
	"rds:DeleteDBClusterAutomatedBackup", "rds:DeleteDBClusterSnapshot", "rds:DeleteDBInstance", "rds:DeleteDBInstanceAutomatedBackup",
	"rds:DeleteDBSnapshot", "s3:DeleteObject", "s3:DeleteObjectTagging", "s3:DeleteObjectVersion", "secretsmanager:DeleteSecret", "sns:DeleteTopic",
}

// destructions are never needed to make, keep or retire a backup, and cannot be undone, or undo what protects one.
var destructions = [...]string{
	"backup:DeleteBackupVault", "backup:DeleteBackupVaultAccessPolicy", "backup:DeleteBackupVaultLockConfiguration", "ec2:UnlockSnapshot",
	"kms:DeleteImportedKeyMaterial", "kms:DisableKey", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "s3:BypassGovernanceRetention",
	"s3:DeleteBucket",
}

// carriers carry data out of the account or to others: who may export a snapshot can export it to any bucket of his own.
//
// Source: ElastiCache user guide, "Exporting a backup".
var carriers = [...]string{
	"ebs:GetSnapshotBlock", "ec2:CreateStoreImageTask", "ec2:ExportImage", "ec2:ModifyImageAttribute", "ec2:ModifySnapshotAttribute",
	"elasticache:CopyServerlessCacheSnapshot", "elasticache:CopySnapshot", "elasticache:ExportServerlessCacheSnapshot",
	"rds:ModifyDBClusterSnapshotAttribute", "rds:ModifyDBSnapshotAttribute", "rds:StartExportTask",
}

// resourceful are actions that write, or that read what is secret, and that know resources.
//
// Source: Service authorization reference, "Amazon EC2", "Amazon RDS", "Amazon ElastiCache", "AWS Key Management Service", "AWS Secrets Manager",
// "AWS Security Token Service", "Amazon SNS".
var resourceful = [...]string{
	"ec2:AttachVolume", "ec2:CopySnapshot", "ec2:CreateSnapshot", "ec2:CreateSnapshots", "ec2:CreateTags", "ec2:CreateVolume", "ec2:LockSnapshot",
	"ec2:ModifySnapshotTier", "ec2:StartInstances", "ec2:StopInstances", "elasticache:AddTagsToResource", "elasticache:CreateCacheCluster",
	"elasticache:CreateReplicationGroup", "elasticache:CreateServerlessCache", "elasticache:CreateSnapshot", "kms:CreateGrant", "kms:Decrypt",
	"kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:RevokeGrant",
	"rds:AddTagsToResource", "rds:CopyDBClusterSnapshot", "rds:CopyDBSnapshot", "rds:CreateDBClusterSnapshot", "rds:CreateDBSnapshot",
	"rds:ModifyDBCluster", "rds:ModifyDBInstance", "rds:RestoreDBClusterFromSnapshot", "rds:RestoreDBInstanceFromDBSnapshot",
	"secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue", "secretsmanager:UpdateSecret", "secretsmanager:UpdateSecretVersionStage",
	"sns:Publish", "sts:AssumeRole",
}

// resourceless are patterns of actions for which everything is the only resource, or the only one that lets a list be read. A few actions that
// Describe one thing know resources; they are let pass with the others, since none of them reads what is stored.
//
// Source: Service authorization reference, the same pages, "Amazon CloudWatch", "AWS Organizations" and "AWS Resource Groups Tagging API".
var resourceless = [...]string{
	"cloudwatch:GetMetricData", "cloudwatch:GetMetricStatistics", "cloudwatch:ListMetrics", "cloudwatch:PutMetricData",
	"ec2:Describe*", "ec2:GetEbsDefaultKmsKeyId", "ec2:GetEbsEncryptionByDefault", "ec2:GetSnapshotBlockPublicAccessState",
	"elasticache:Describe*", "kms:CreateKey", "kms:GenerateRandom", "kms:ListAliases", "kms:ListKeys", "organizations:DescribeOrganization",
	"organizations:ListAccounts", "rds:CancelExportTask", "rds:Describe*", "secretsmanager:GetRandomPassword", "secretsmanager:ListSecrets",
	"sns:ListTopics", "sts:DecodeAuthorizationMessage", "sts:GetCallerIdentity", "tag:GetResources", "tag:GetTagKeys", "tag:GetTagValues",
}

// names reports whether the statement is about an action, which is given without wildcards. A statement with NotAction is about all others.
func (s lintStatement) names(action string) bool {
	if len(s.NotAction) > 0 && !slices.ContainsFunc(s.NotAction, func(p string) bool { return MatchAction(p, action) }) {
		return true
	}
	return slices.ContainsFunc(s.Action, func(p string) bool { return MatchAction(p, action) })
}

// namesOf gives those of the actions that the statement is about.
func (s lintStatement) namesOf(actions []string) []string {
	return slices.DeleteFunc(slices.Clone(actions), func(a string) bool { return !s.names(a) })
}

// wholeService reports whether the pattern of an action names everything of a service: what there is, and what will be. No action has a # in it.
func wholeService(pattern, service string) bool {
	return MatchAction(pattern, service+":#") && MatchAction(pattern, service+":###############################")
}

// namesWhole reports whether the statement is about everything of a service.
func (s lintStatement) namesWhole(service string) bool {
	return len(s.NotAction) > 0 || slices.ContainsFunc(s.Action, func(p string) bool { return wholeService(p, service) })
}

// hasWildcard reports whether s is a pattern.
func hasWildcard(s string) bool { return strings.ContainsAny(s, "*?") }

// deletes reports whether the pattern of an action names a deletion: one that is known, one that is written out, or one of a service that
// is not known here and that the pattern leaves room for.
func deletes(pattern string) bool {
	if slices.ContainsFunc(deletions[:], func(a string) bool { return MatchAction(pattern, a) }) {
		return true
	}
	service, verb, found := strings.Cut(foldASCII(pattern), ":")
	if !found {
		return false
	}
	if strings.HasPrefix(verb, "delete") {
		return true
	}
	n := strings.IndexAny(verb, "*?")
	known := slices.ContainsFunc(deletions[:], func(a string) bool { return strings.HasPrefix(a, service+":") })
	return n >= 0 && !known && strings.HasPrefix("delete", verb[:n])
}

// some lists at most five of the names, for people.
func lintSome(all []string) string {
	const most = 5
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return strings.Join(all[:most], ", ") + " and others"
}

// shown lists values of the policy as errors show them.
func lintShown(all []string) string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = show(v)
	}
	return lintSome(out)
}

// lintAction is a statement about one pattern of actions.
func lintAction(pattern string) lintStatement {
	return lintStatement{Statement: Statement{Action: []string{pattern}}}
}
