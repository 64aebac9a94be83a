// Package protect holds what was exported to S3: by Object Lock, which keeps files from being deleted or overwritten, and by lifecycle rules, which say
// what becomes of them with time.
//
//	strategy := protect.NewFromConfig(cfg)
//	night := time.Now().UTC().Truncate(24 * time.Hour) // and not the moment: a restart must ask for the same
//	op, err := strategy.StartProtect(ctx, export, backup.Spec{Token: backup.NewToken(export, night.String()), Options: protect.LockOptions{
//		Retention: policy.Retention{Until: night.AddDate(1, 0, 0)},
//	}})
//	op, err = runner.Run(ctx, op)
//
// An export is protected only as a whole. The manifest says which files there are; each is held in the version that it had when the manifest
// was read, the manifest itself last, and all are read back. What ends short of that is ErrPartial and says which files are held and which are not.
// So does what is not finished in time: the last five minutes before the deadline, or the last quarter of a shorter time, are for reading that.
// Nothing is ever made weaker: no retention is shortened, none is bypassed, no legal hold is taken off, no lifecycle rule of others is changed or lost.
// Compliance mode, which nobody can end, is set only where the caller says that it is irreversible.
//
// That a file is the one of the manifest is seen by its size, and by its not being younger than the manifest: S3 keeps no SHA-256 of what ElastiCache
// writes, and to read every file is the work of elasticacheexport. Whoever doubts the files reads them with elasticacheexport.Strategy.Open
// before they are held.
//
// Exports of RDS (package rdsexport) can not be held by this package: they have no manifest, and up to hundreds of thousands of objects, whose
// versions no Operation has room for. A default retention of the bucket (PutObjectLockConfiguration) holds them from the moment at which they are
// written. Whether ElastiCache and RDS can write into a bucket with a default retention is UNVERIFIED.
//
// A lock holds a version. It does not keep anybody from putting a newer version, or a delete marker, over it: the older one is then still there,
// and is named by its version. Removing the marker brings it back.
//
// What the caller must be allowed is what policy.ProtectLockPolicy and policy.ProtectLifecyclePolicy allow, and an error names the right that is missing.
//
// The findings have the IDs s3protect.lock-disabled, .versions-disabled, .missing, .replaced, .held-otherwise, .not-held, .denied and .refused, which
// are errors; .protected, .unprotected and .under-way, which tell how far a lock came; .compliance, .more, .rule-replaced, .rule-deletes-all and
// .rules-written.
//
// UNVERIFIED, because no public source states it: that the version "null" of an object, which is older than its bucket's versions, can be held; how
// exactly S3 keeps the time of a retention.
//
// Source: S3 user guide, "Locking objects with Object Lock" and "Managing the lifecycle of objects"; S3 API, PutObjectRetention, PutObjectLegalHold,
// PutBucketLifecycleConfiguration.
package protect
