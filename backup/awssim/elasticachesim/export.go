package elasticachesim

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// buckets is what a simulated S3 tells ElastiCache of buckets, and does for it.
type buckets interface {
	// BucketPlace gives a bucket's Region and owner.
	BucketPlace(r *awssim.Request, bucket string) (region, owner string, exists bool)
	// ServiceMay tells whether the bucket's policy or ACL lets a service do something; resource is the bucket's ARN or an object's.
	ServiceMay(r *awssim.Request, bucket, principal, canonicalID, action string) bool
	// ServicePut writes an object that is there from the given instant on.
	ServicePut(r *awssim.Request, bucket, key string, body []byte, at time.Time) error
	// HasObject tells whether there is an object, also one that is being written.
	HasObject(r *awssim.Request, bucket, key string) bool
}

// identities is what a simulated IAM tells of what a caller's own policies allow.
type identities interface {
	AllowsIdentity(r *awssim.Request, action, resource string) bool
}

// canonicalIDs are ElastiCache's canonical user ids by partition. Source: ElastiCache User Guide, Exporting a backup, in an older edition.
var canonicalIDs = map[string]string{
	"aws":        "540804c33a284a299d2547575ce1010f2312ef3da9b3a053c8bc45bf233e4353",
	"aws-us-gov": "40fa568277ad703bd160f66ae4f83fc9dfdfd06c2f1b5060ca22442ac3ef8be6",
}

// customerKeyRefusal is what AWS says of a customer managed key.
const customerKeyRefusal = "Customer Managed CMK cannot be used for encrypting exported snapshots in S3. Please encrypt the exported snapshot file in S3 if necessary."

// export writes one .rdb file for each shard into a bucket. All of them are there at the end and none before; until then the snapshot is
// copying. An export that is doomed leaves the last shard out and says nothing, as a service that was interrupted would.
func (s *ElastiCache) export(r *awssim.Request, from *snapshot, in *awselasticache.CopySnapshotInput) (*awselasticache.CopySnapshotOutput, error) {
	bucket, name := aws.ToString(in.TargetBucket), lower(in.TargetSnapshotName)
	if n := utf8.RuneCountInString(name); n < 1 || n > 1000 || !utf8.ValidString(name) {
		return nil, awssim.Fail("InvalidParameterValue", "The target snapshot name must have 1 to 1000 characters that can be encoded in UTF-8.")
	}
	if aws.ToString(in.KmsKeyId) != "" || from.kms != "" {
		return nil, awssim.Fail("InvalidParameterCombination", customerKeyRefusal)
	}
	if from.tiering {
		return nil, awssim.Fail("InvalidParameterCombination", "Snapshot %s uses data tiering and can not be exported to S3.", from.name)
	}
	store, err := admitted(r, bucket)
	if err != nil {
		return nil, err
	}
	keys := from.exportKeys(name)
	for _, key := range keys {
		if store.HasObject(r, bucket, key) {
			return nil, refuse("The S3 bucket %s already contains an object with key %s.", bucket, key)
		}
	}
	if err := from.copyable(r); err != nil {
		return nil, err
	}
	end := r.Now.Add(r.Took("export/"+r.Account+"/"+r.Region+"/"+bucket+"/"+name, copyMedian, spread))
	for i, key := range keys {
		if r.Doomed && i == len(keys)-1 {
			break
		}
		if err := store.ServicePut(r, bucket, key, rdbFile(from.engine, from.version, from.name, strings.TrimSuffix(key, ".rdb")), end); err != nil {
			return nil, err
		}
	}
	from.copies = append(from.copies, span{r.Now, end})
	o := from.describe(r, true)
	o.SnapshotName, o.ARN, o.SnapshotStatus = aws.String(name), nil, aws.String("creating")
	o.NodeSnapshots = slices.Clone(o.NodeSnapshots)
	for i := range o.NodeSnapshots {
		o.NodeSnapshots[i].SnapshotCreateTime, o.NodeSnapshots[i].CacheSize = nil, aws.String("")
	}
	return &awselasticache.CopySnapshotOutput{Snapshot: &o}, nil
}

// exportKeys gives the keys of the objects that an export makes.
func (s *snapshot) exportKeys(name string) (keys []string) {
	for _, x := range s.parts {
		shard := x.shard
		if shard == "" {
			shard = "0001"
		}
		keys = append(keys, name+"-"+shard+".rdb")
	}
	return keys
}

// admitted checks the bucket as ElastiCache does, the caller's rights first and its own after.
func admitted(r *awssim.Request, bucket string) (buckets, error) {
	store, ok := awssim.Find[buckets](r.World)
	if !ok {
		return nil, refuse("The S3 bucket %s does not exist.", bucket)
	}
	region, owner, exists := store.BucketPlace(r, bucket)
	arn := "arn:" + r.Partition() + ":s3:::"
	if iam, ok := awssim.Find[identities](r.World); ok {
		if !iam.AllowsIdentity(r, "s3:ListAllMyBuckets", arn+"*") {
			return nil, refuse("Elasticache was unable to validate the authenticated user has access on the S3 bucket.")
		}
		for _, need := range [][2]string{
			{"s3:GetBucketLocation", bucket}, {"s3:ListBucket", bucket},
			{"s3:PutObject", bucket + "/*"}, {"s3:GetObject", bucket + "/*"}, {"s3:DeleteObject", bucket + "/*"},
		} {
			if exists && !iam.AllowsIdentity(r, need[0], arn+need[1]) {
				return nil, refuse("The authenticated user does not have sufficient permissions to perform the desired activity.")
			}
		}
	}
	switch {
	case !exists:
		return nil, refuse("The S3 bucket %s does not exist.", bucket)
	case owner != r.Account:
		return nil, refuse("The S3 bucket %s is not owned by the authenticated user.", bucket)
	case region != r.Region:
		return nil, refuse("The S3 bucket %s is outside of the region.", bucket)
	}
	principal, id := r.Region+".elasticache-snapshot.amazonaws.com", canonicalIDs[r.Partition()]
	for _, need := range []struct {
		permission string
		actions    []string
	}{
		{"READ", []string{"s3:ListBucket"}},
		{"WRITE", []string{"s3:PutObject"}},
		{"READ_ACP", []string{"s3:GetBucketAcl"}},
	} {
		for _, action := range need.actions {
			if !store.ServiceMay(r, bucket, principal, id, action) {
				return nil, refuse("ElastiCache has not been granted %s permissions %s on the S3 Bucket.", need.permission, bucket)
			}
		}
	}
	return store, nil
}

// refuse answers as CopySnapshot does where a bucket is wrong. The messages are documented, their code is not (UNVERIFIED).
func refuse(format string, args ...any) *awssim.Error {
	return awssim.Fail("InvalidParameterValue", format, args...)
}
