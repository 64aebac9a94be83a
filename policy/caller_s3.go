package policy

// ObjectPlace is one end of a copy of objects.
type ObjectPlace struct {
	// Bucket is its name, by today's rules ([ValidateBucketName]), and Region where it is. Required.
	Bucket, Region string
	// Prefix bounds the objects to those whose keys begin with it and a slash; empty means the whole bucket.
	Prefix string
	// Keys are the ARNs of the customer managed keys under which the objects are, or are to be, encrypted; none means SSE-S3.
	Keys []string
}

// ObjectCopy is a copy of objects, for [ObjectCopyPolicy].
type ObjectCopy struct {
	// From and To are the two ends, of one partition. They may be in different Regions and belong to different accounts. Required.
	From, To ObjectPlace
	// Archived lets the caller have objects restored that are in a Glacier class at the source.
	Archived bool
	// Tags lets the caller set tags at the destination: those that an Operation is given. The tags of the source are not read.
	Tags bool
}

// ObjectCopyPolicy is what copying objects from one bucket to another needs, in one policy, because S3 makes the copy as one caller: reading at the
// source, also an older version, and writing at the destination in parts, which can be listed and given up. It has no right to delete: objects
// at the destination are never overwritten, and giving up an upload deletes no object. Where a bucket is another account's, its policy must
// allow the same. Both buckets can be listed, because to whoever may not do that S3 says of an object that is missing that it is denied.
//
// Source: S3 user guide, "Copying, moving, and renaming objects" and "Uploading and copying objects using multipart upload", the permissions.
func ObjectCopyPolicy(c ObjectCopy) (Document, error) {
	from, to := c.From, c.To
	fp, err := PartitionOf(from.Region)
	if err != nil {
		return Document{}, err
	}
	tp, err := PartitionOf(to.Region)
	if err != nil {
		return Document{}, err
	}
	if fp.ID != tp.ID {
		return Document{}, faultf(RulePartition, -1, "of partition %s instead of %s: S3 copies within a partition only", tp.ID, fp.ID).in("Region", to.Region)
	}
	fromBucket, fromObjects, err := bucketAndObjects(from.Bucket, from.Region, from.Prefix)
	if err != nil {
		return Document{}, err
	}
	toBucket, toObjects, err := bucketAndObjects(to.Bucket, to.Region, to.Prefix)
	if err != nil {
		return Document{}, err
	}
	read, write := []string{"s3:GetObject", "s3:GetObjectVersion"}, []string{"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"}
	if c.Archived {
		read = append(read, "s3:RestoreObject")
	}
	if c.Tags {
		write = append(write, "s3:PutObjectTagging")
	}
	const sid = "SnapwardenObjectCopy"
	all := []Statement{
		allow(sid+"FromBucket", fromBucket, nil, "s3:ListBucket"),
		allow(sid+"Read", fromObjects, nil, read...),
		allow(sid+"ToBucket", toBucket, nil, "s3:ListBucket", "s3:ListBucketMultipartUploads"),
		allow(sid+"Write", toObjects, nil, write...),
	}
	for _, end := range []struct {
		sid   string
		place ObjectPlace
		write bool
	}{{sid + "From", from, false}, {sid + "To", to, true}} {
		keys, err := s3Keys(end.sid, fp.ID, end.place.Region, end.place.Keys, end.write)
		if err != nil {
			return Document{}, err
		}
		all = append(all, keys...)
	}
	return policyOf(all...)
}

// s3Keys let the caller use keys through S3 in a Region: to read, and to write where asked. An upload in parts reads too.
//
// Source: S3 user guide, "Using server-side encryption with AWS KMS keys (SSE-KMS)", permissions.
func s3Keys(sid, partition, region string, keys []string, write bool) ([]Statement, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	for _, k := range keys {
		if err := checkKeyIn(k, partition, region).in("KMS key ARN", k); err != nil {
			return nil, err
		}
	}
	use := []string{"kms:Decrypt"}
	if write {
		use = append(use, "kms:GenerateDataKey")
	}
	via, err := viaService(partition, []string{region}, "s3")
	if err != nil {
		return nil, err
	}
	return []Statement{allow(sid+"KeyUse", append([]string(nil), keys...), Condition{"StringEquals": {"kms:ViaService": via}}, use...)}, nil
}

// StorePolicy is what a Store of Operations in a bucket needs, below a prefix: reading and writing its own objects, and deleting those that mark an
// Operation as unfinished. The records of Operations can not be deleted with it; a lifecycle rule does that. The whole bucket can be listed,
// because to whoever may not list it S3 says of an object that is missing that it is denied; a condition on the prefix would do just that. The
// bucket should be one that holds no backups. keys are the customer managed keys of the bucket, of its Region.
//
// Source: Service authorization reference, "Amazon S3"; S3 API reference, GetObject, permissions.
func StorePolicy(bucket, region, prefix string, keys ...string) (Document, error) {
	p, err := PartitionOf(region)
	if err != nil {
		return Document{}, err
	}
	if prefix == "" {
		return Document{}, empty().in("prefix of keys", prefix)
	}
	whole, objects, err := bucketAndObjects(bucket, region, prefix)
	if err != nil {
		return Document{}, err
	}
	base := objects[0][:len(objects[0])-1]
	const sid = "SnapwardenStore"
	all := []Statement{
		allow(sid+"List", whole, nil, "s3:ListBucket"),
		allow(sid+"Records", objects, nil, "s3:GetObject", "s3:PutObject"),
		allow(sid+"Marks", []string{base + "open/*", base + "probe/*"}, nil, "s3:DeleteObject"),
	}
	use, err := s3Keys(sid, p.ID, region, keys, true)
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, use...)...)
}
