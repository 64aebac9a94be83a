package policy

// Protect is what a caller may do to hold the files of exports, for [ProtectLockPolicy].
type Protect struct {
	// Bucket is its name, by today's rules ([ValidateBucketName]), and Region where it is. Required.
	Bucket, Region string
	// Prefix bounds the objects to those whose keys begin with it and a slash; empty means the whole bucket.
	Prefix string
	// Retention lets the caller set retentions in governance mode, and LegalHold lets it put legal holds on. One of them is required.
	Retention, LegalHold bool
	// Compliance lets the caller set retentions in compliance mode too, which nobody can end before their time. It needs Retention.
	Compliance bool
	// Keys are the ARNs of the customer managed keys under which the manifests are encrypted; none means SSE-S3.
	Keys []string
}

// ProtectLockPolicy is what holding the files of an export, or single objects, by Object Lock needs: looking at the bucket's settings, reading the
// manifest and what holds each file, and setting retentions or legal holds. It has no right to make any of them weaker: governance mode can not be
// bypassed with it, so that a retention only becomes longer; a legal hold can be put on and not taken off, by a condition on the status that is
// asked for; and compliance mode only where that is asked for, by a condition on the mode. A bucket of another account must allow the same in
// its policy.
//
// Source: S3 user guide, "Object Lock considerations", permissions, and "Managing Object Lock"; Service authorization reference, "Amazon S3",
// condition keys s3:object-lock-mode and s3:object-lock-legal-hold.
func ProtectLockPolicy(p Protect) (Document, error) {
	part, err := PartitionOf(p.Region)
	if err != nil {
		return Document{}, err
	}
	whole, objects, err := bucketAndObjects(p.Bucket, p.Region, p.Prefix)
	if err != nil {
		return Document{}, err
	}
	switch {
	case !p.Retention && !p.LegalHold:
		return Document{}, faultf(RuleEmpty, -1, "neither Retention nor LegalHold").in("protection of bucket", p.Bucket)
	case p.Compliance && !p.Retention:
		return Document{}, faultf(RuleConflict, -1, "Compliance is a mode of retentions, and Retention is not set").in("protection of bucket", p.Bucket)
	}
	const sid = "SnapwardenProtectLock"
	on := func() []string { return append([]string(nil), objects...) }
	all := []Statement{
		allow(sid+"Bucket", whole, nil, "s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning", "s3:ListBucket"),
		allow(sid+"Read", on(), nil, "s3:GetObject", "s3:GetObjectVersion"),
	}
	if p.Retention {
		modes := []string{string(LockGovernance)}
		if p.Compliance {
			modes = []string{string(LockCompliance), string(LockGovernance)}
		}
		all = append(all, allow(sid+"RetentionLook", on(), nil, "s3:GetObjectRetention"),
			allow(sid+"Retention", on(), Condition{"StringEquals": {"s3:object-lock-mode": modes}}, "s3:PutObjectRetention"))
	}
	if p.LegalHold {
		all = append(all, allow(sid+"HoldLook", on(), nil, "s3:GetObjectLegalHold"),
			allow(sid+"Hold", on(), Condition{"StringEquals": {"s3:object-lock-legal-hold": {string(LegalHoldOn)}}}, "s3:PutObjectLegalHold"))
	}
	keys, err := s3Keys(sid, part.ID, p.Region, p.Keys, false)
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, keys...)...)
}

// ProtectLifecyclePolicy is what putting rules into the lifecycle of a bucket needs. It is for whoever sets up backups, and not for the role that
// makes them: whoever writes the lifecycle of a bucket can have everything in it deleted that Object Lock does not hold.
//
// Source: S3 API reference, GetBucketLifecycleConfiguration and PutBucketLifecycleConfiguration, permissions.
func ProtectLifecyclePolicy(bucket, region string) (Document, error) {
	whole, _, err := bucketAndObjects(bucket, region, "")
	if err != nil {
		return Document{}, err
	}
	return policyOf(allow("SnapwardenProtectLifecycle", whole, nil, "s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration"))
}
