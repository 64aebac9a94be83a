package s3sim

import (
	"maps"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// origin is what a copy copies, as the headers x-amz-copy-source... name it.
type origin struct {
	source, ifMatch, ifNoneMatch, owner, algorithm, keyMD5 *string
}

// original gives the object that a copy reads, in whatever Region and account its bucket is.
func (s *S3) original(r *awssim.Request, from origin) (*bucket, *object, error) {
	path, query, _ := strings.Cut(aws.ToString(from.source), "?")
	path, err := url.PathUnescape(path)
	bucketName, key, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if err != nil || !ok || key == "" {
		return nil, nil, awssim.Fail("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	action, version := "s3:GetObject", (*string)(nil)
	if query != "" {
		id, ok := strings.CutPrefix(query, "versionId=")
		if !ok {
			return nil, nil, awssim.Fail("InvalidArgument", "Unsupported copy source parameter.")
		}
		action, version = "s3:GetObjectVersion", &id
	}
	b, err := s.anywhere(r, &bucketName, from.owner, action, key)
	if err != nil {
		return nil, nil, err
	}
	o, err := b.version(&key, version)
	switch {
	case err != nil && !s.may(r, b, "s3:ListBucket", ""):
		return nil, nil, denied()
	case err != nil:
		return nil, nil, err
	case from.ifMatch != nil && !same(from.ifMatch, o.etag), from.ifNoneMatch != nil && same(from.ifNoneMatch, o.etag):
		return nil, nil, precondition()
	}
	return b, o, o.readable(r, from.algorithm, from.keyMD5)
}

func (s *S3) copyObject(r *awssim.Request, in *awss3.CopyObjectInput) (*awss3.CopyObjectOutput, error) {
	key := aws.ToString(in.Key)
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:PutObject", key, writing(in.ServerSideEncryption, in.SSEKMSKeyId, in.StorageClass, in.ACL))
	if err != nil {
		return nil, err
	}
	if err := s.objectACL(r, b, key, in.ACL, in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWriteACP); err != nil {
		return nil, err
	}
	if in.CopySourceIfModifiedSince != nil || in.CopySourceIfUnmodifiedSince != nil || in.Tagging != nil {
		return nil, unsupported("copies with conditions on times, or with tags")
	}
	sb, from, err := s.original(r, origin{in.CopySource, in.CopySourceIfMatch, in.CopySourceIfNoneMatch, in.ExpectedSourceBucketOwner, in.CopySourceSSECustomerAlgorithm, in.CopySourceSSECustomerKeyMD5})
	if err != nil {
		return nil, err
	}
	if from.content.size > maxPut {
		return nil, awssim.Fail("InvalidRequest", "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	}
	if err := b.admits(key, in.IfMatch, in.IfNoneMatch); err != nil {
		return nil, err
	}
	o := &object{key: key, content: from.content, at: r.Now, contentType: from.contentType, metadata: maps.Clone(from.metadata)}
	o.etag = `"` + o.content.etag() + `"`
	if in.MetadataDirective == s3types.MetadataDirectiveReplace {
		o.contentType, o.metadata = contentType(in.ContentType), maps.Clone(in.Metadata)
	}
	if o.class, err = class(in.StorageClass); err != nil {
		return nil, err
	}
	if o.cipher, err = b.seal(r, in.ServerSideEncryption, in.SSEKMSKeyId, in.SSECustomerAlgorithm, in.SSECustomerKeyMD5); err != nil {
		return nil, err
	}
	if sb == b && from == b.newest(key) && o.class == from.class && o.cipher == from.cipher && in.MetadataDirective != s3types.MetadataDirectiveReplace {
		return nil, awssim.Fail("InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	algorithm := in.ChecksumAlgorithm
	if algorithm == "" {
		algorithm = from.sum.algorithm
	}
	if o.sum, err = sum(algorithm, o.content); err != nil {
		return nil, err
	}
	if o.locks, err = b.locksOf(r.Now, in.ObjectLockMode, in.ObjectLockRetainUntilDate, in.ObjectLockLegalHoldStatus); err != nil {
		return nil, err
	}
	b.add(r, o)
	w := o.sum.values()
	return &awss3.CopyObjectOutput{
		VersionId: b.versionID(o), CopySourceVersionId: sb.versionID(from), ServerSideEncryption: o.cipher.sse, SSEKMSKeyId: optional(o.cipher.key),
		CopyObjectResult: &s3types.CopyObjectResult{
			ETag: aws.String(o.etag), LastModified: aws.Time(o.at), ChecksumType: o.sum.kind,
			ChecksumCRC32: w.CRC32, ChecksumCRC32C: w.CRC32C, ChecksumCRC64NVME: w.CRC64NVME, ChecksumSHA1: w.SHA1, ChecksumSHA256: w.SHA256,
		},
	}, nil
}
