package s3sim

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// listing is what conditions may ask of a list. Source: Service authorization reference, Amazon S3.
func listing(prefix *string, most *int32) facts {
	f := facts{}
	if prefix != nil {
		f["s3:prefix"] = []string{*prefix}
	}
	if most != nil {
		f["s3:max-keys"] = []string{strconv.Itoa(int(*most))}
	}
	return f
}

// writing is what conditions may ask of a write.
func writing(sse s3types.ServerSideEncryption, key *string, class s3types.StorageClass, acl s3types.ObjectCannedACL) facts {
	f := facts{}
	for name, value := range map[string]string{"server-side-encryption": string(sse), "server-side-encryption-aws-kms-key-id": aws.ToString(key),
		"storage-class": string(class), "acl": string(acl)} {
		if value != "" {
			f["s3:x-amz-"+name] = []string{value}
		}
	}
	return f
}

func (s *S3) listObjects(r *awssim.Request, in *awss3.ListObjectsV2Input) (*awss3.ListObjectsV2Output, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:ListBucket", "", listing(in.Prefix, in.MaxKeys))
	if err != nil {
		return nil, err
	}
	if in.Delimiter != nil {
		return nil, unsupported("lists with delimiters")
	}
	after := max(aws.ToString(in.StartAfter), aws.ToString(in.ContinuationToken))
	size := r.Page(int(aws.ToInt32(in.MaxKeys)), 1000, 1000)
	out := &awss3.ListObjectsV2Output{Name: in.Bucket, Prefix: in.Prefix, IsTruncated: aws.Bool(false), MaxKeys: aws.Int32(int32(size))}
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		o := b.newest(key)
		if o == nil || key <= after || !strings.HasPrefix(key, aws.ToString(in.Prefix)) {
			continue
		}
		if len(out.Contents) == size {
			out.IsTruncated, out.NextContinuationToken = aws.Bool(true), out.Contents[size-1].Key
			break
		}
		out.Contents = append(out.Contents, s3types.Object{
			Key: aws.String(key), ETag: aws.String(o.etag), Size: aws.Int64(o.content.size), LastModified: aws.Time(o.at),
			StorageClass: s3types.ObjectStorageClass(o.class), ChecksumAlgorithm: []s3types.ChecksumAlgorithm{o.sum.algorithm}, ChecksumType: o.sum.kind,
		})
	}
	out.KeyCount = aws.Int32(int32(len(out.Contents)))
	return out, nil
}

func (s *S3) listVersions(r *awssim.Request, in *awss3.ListObjectVersionsInput) (*awss3.ListObjectVersionsOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:ListBucketVersions", "", listing(in.Prefix, in.MaxKeys))
	if err != nil {
		return nil, err
	}
	if in.Delimiter != nil {
		return nil, unsupported("lists with delimiters")
	}
	size := r.Page(int(aws.ToInt32(in.MaxKeys)), 1000, 1000)
	out := &awss3.ListObjectVersionsOutput{Name: in.Bucket, Prefix: in.Prefix, IsTruncated: aws.Bool(false), MaxKeys: aws.Int32(int32(size))}
	var last *object
	begun := in.KeyMarker == nil
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		if !strings.HasPrefix(key, aws.ToString(in.Prefix)) || in.KeyMarker != nil && key < *in.KeyMarker {
			continue
		}
		if in.KeyMarker != nil && key > *in.KeyMarker {
			begun = true
		}
		newest := true
		for _, o := range slices.Backward(b.objects[key]) {
			current := newest
			newest = false
			if !begun {
				begun = in.VersionIdMarker != nil && o.version == *in.VersionIdMarker
				continue
			}
			if len(out.Versions)+len(out.DeleteMarkers) == size {
				out.IsTruncated, out.NextKeyMarker, out.NextVersionIdMarker = aws.Bool(true), aws.String(last.key), aws.String(last.version)
				return out, nil
			}
			last = o
			if o.marker {
				out.DeleteMarkers = append(out.DeleteMarkers, s3types.DeleteMarkerEntry{Key: aws.String(key), VersionId: aws.String(o.version), IsLatest: &current, LastModified: aws.Time(o.at)})
				continue
			}
			out.Versions = append(out.Versions, s3types.ObjectVersion{
				Key: aws.String(key), VersionId: aws.String(o.version), IsLatest: &current, LastModified: aws.Time(o.at), ETag: aws.String(o.etag),
				Size: aws.Int64(o.content.size), StorageClass: s3types.ObjectVersionStorageClass(o.class),
			})
		}
	}
	return out, nil
}
