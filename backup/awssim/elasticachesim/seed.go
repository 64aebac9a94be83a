package elasticachesim

import (
	"encoding/binary"
	"strings"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// objects is what a simulated S3 tells ElastiCache of the files that a cluster is seeded from.
type objects interface {
	BucketPlace(r *awssim.Request, bucket string) (region, owner string, exists bool)
	ServiceMayObject(r *awssim.Request, bucket, key, principal, canonicalID, action string) bool
	ServiceGet(r *awssim.Request, bucket, key string) (data []byte, exists bool)
}

// seeds checks the files that a new cluster or group is to be filled from. spoilt tells that one of them is no whole .rdb file, which AWS finds
// only while it reads them.
func seeds(r *awssim.Request, arns []string, snapshot *string) (from string, spoilt bool, err error) {
	if len(arns) == 0 {
		return "", false, nil
	}
	if snapshot != nil {
		return "", false, awssim.Fail("InvalidParameterCombination", "SnapshotName and SnapshotArns can not be given together.")
	}
	store, ok := awssim.Find[objects](r.World)
	for _, arn := range arns {
		path, isS3 := strings.CutPrefix(arn, "arn:"+r.Partition()+":s3:::")
		bucket, key, whole := strings.Cut(path, "/")
		if !isS3 || !whole || key == "" || strings.Contains(key, ",") {
			return "", false, awssim.Fail("InvalidParameterValue", "Invalid S3 object ARN: %s", arn)
		}
		if !ok {
			return "", false, noSeed(path)
		}
		region, _, exists := store.BucketPlace(r, bucket)
		if !exists {
			return "", false, noSeed(path)
		}
		if region != r.Region {
			return "", false, awssim.Fail("InvalidParameterValue", "The S3 bucket %s is outside of the region.", bucket)
		}
		principal, id := r.Region+".elasticache-snapshot.amazonaws.com", canonicalIDs[r.Partition()]
		for _, action := range []string{"s3:GetBucketAcl", "s3:ListBucket", "s3:GetObject"} {
			if !store.ServiceMayObject(r, bucket, key, principal, id, action) {
				return "", false, noSeed(path)
			}
		}
		data, exists := store.ServiceGet(r, bucket, key)
		if !exists {
			return "", false, noSeed(path)
		}
		spoilt = spoilt || !isRDB(data)
	}
	return strings.Join(arns, ","), spoilt, nil
}

// noSeed is what AWS says of a file that it can not read, for whatever reason. The words are those of public reports; UNVERIFIED.
func noSeed(path string) error {
	return awssim.Fail("InvalidParameterValue", "No permission to access S3 object: %s", path)
}

func isRDB(data []byte) bool {
	n := len(data) - 8
	if n < 10 || string(data[:5]) != "REDIS" && string(data[:6]) != "VALKEY" || data[n-1] != 0xff {
		return false
	}
	sum := binary.LittleEndian.Uint64(data[n:])
	return sum == 0 || sum == crc64(data[:n])
}
