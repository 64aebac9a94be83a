package s3sim

import (
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

const (
	maxKey = 1024
	maxPut = 5 << 30 // bytes in one PutObject, part or CopyObject
)

// object is one version of what a key has. It is never changed but for its locks and its restoring.
type object struct {
	key, version, etag string
	marker             bool
	content            blob
	at                 time.Time
	contentType        string
	metadata           map[string]string
	sum                checksum
	class              s3types.StorageClass
	cipher             cipher
	parts              int32
	restoredAt, until  time.Time
	locks
}

// newest gives the object that a key has.
func (b *bucket) newest(key string) *object {
	if all := b.objects[key]; len(all) > 0 && !all[len(all)-1].marker {
		return all[len(all)-1]
	}
	return nil
}

// version gives the version of a key that a call names, or the newest.
func (b *bucket) version(key, id *string) (*object, error) {
	if id == nil || *id == "" {
		if o := b.newest(aws.ToString(key)); o != nil {
			return o, nil
		}
		return nil, noKey()
	}
	for _, o := range b.objects[aws.ToString(key)] {
		switch {
		case o.version != *id:
		case o.marker:
			return nil, awssim.FailStatus(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
		default:
			return o, nil
		}
	}
	return nil, awssim.FailStatus(404, "NoSuchVersion", "The specified version does not exist.")
}

// add makes an object the newest version of its key. Without versioning it takes the place of what was there.
func (b *bucket) add(r *awssim.Request, o *object) {
	o.version = "null"
	if b.versioning == s3types.BucketVersioningStatusEnabled {
		o.version = r.NewID("version")
	} else {
		b.objects[o.key] = slices.DeleteFunc(b.objects[o.key], func(old *object) bool { return old.version == "null" })
	}
	b.objects[o.key] = append(b.objects[o.key], o)
}

// settle adds what services have written by now, in the order of its time.
func (b *bucket) settle(r *awssim.Request) {
	now := time.Now()
	for len(b.pending) > 0 && !b.pending[0].at.After(now) {
		o := b.pending[0]
		b.pending = b.pending[1:]
		b.add(r, o)
	}
}

// versionID is what answers tell of a version: nothing while the bucket never had versions.
func (b *bucket) versionID(o *object) *string {
	if b.versioning == "" {
		return nil
	}
	return aws.String(o.version)
}

func precondition() error {
	return awssim.FailStatus(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
}

func noKey() error { return awssim.FailStatus(404, "NoSuchKey", "The specified key does not exist.") }

func same(condition *string, etag string) bool {
	return strings.Trim(*condition, `"`) == strings.Trim(etag, `"`)
}

// admits checks a write's key and its conditions.
func (b *bucket) admits(key string, ifMatch, ifNoneMatch *string) error {
	old := b.newest(key)
	switch {
	case len(key) > maxKey:
		return awssim.Fail("KeyTooLongError", "Your key is too long")
	case ifNoneMatch != nil && *ifNoneMatch != "*":
		return unsupported("If-None-Match of a write with anything but *")
	case ifNoneMatch != nil && old != nil:
		return precondition()
	case ifMatch != nil && old == nil:
		return noKey()
	case ifMatch != nil && !same(ifMatch, old.etag):
		return precondition()
	}
	return nil
}

var classes = []s3types.StorageClass{
	s3types.StorageClassStandard, s3types.StorageClassStandardIa, s3types.StorageClassOnezoneIa, s3types.StorageClassIntelligentTiering,
	s3types.StorageClassGlacierIr, s3types.StorageClassGlacier, s3types.StorageClassDeepArchive,
}

func class(c s3types.StorageClass) (s3types.StorageClass, error) {
	if c == "" {
		return s3types.StorageClassStandard, nil
	}
	if !slices.Contains(classes, c) {
		return "", awssim.Fail("InvalidStorageClass", "The storage class you specified is not valid")
	}
	return c, nil
}

func (s *S3) putObject(r *awssim.Request, in *awss3.PutObjectInput) (*awss3.PutObjectOutput, error) {
	key := aws.ToString(in.Key)
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:PutObject", key, writing(in.ServerSideEncryption, in.SSEKMSKeyId, in.StorageClass, in.ACL))
	if err != nil {
		return nil, err
	}
	if err := s.objectACL(r, b, key, in.ACL, in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWriteACP); err != nil {
		return nil, err
	}
	if err := b.admits(key, in.IfMatch, in.IfNoneMatch); err != nil {
		return nil, err
	}
	if in.Tagging != nil {
		return nil, unsupported("tags of objects")
	}
	data, ok := in.Body.(*body)
	if !ok {
		return nil, awssim.FailStatus(500, "InternalError", "the body was not read")
	}
	if err := data.is(in.ContentMD5); err != nil {
		return nil, err
	}
	o := &object{key: key, content: bytesBlob(slices.Clone(data.data)), at: r.Now, contentType: contentType(in.ContentType), metadata: maps.Clone(in.Metadata)}
	o.etag = `"` + o.content.etag() + `"`
	if o.class, err = class(in.StorageClass); err != nil {
		return nil, err
	}
	if o.cipher, err = b.seal(r, in.ServerSideEncryption, in.SSEKMSKeyId, in.SSECustomerAlgorithm, in.SSECustomerKeyMD5); err != nil {
		return nil, err
	}
	v := values{in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumCRC64NVME, in.ChecksumSHA1, in.ChecksumSHA256}
	if o.sum, err = receive(in.ChecksumAlgorithm, s3types.ChecksumAlgorithmCrc32, v, o.content); err != nil {
		return nil, err
	}
	if o.locks, err = b.locksOf(r.Now, in.ObjectLockMode, in.ObjectLockRetainUntilDate, in.ObjectLockLegalHoldStatus); err != nil {
		return nil, err
	}
	b.add(r, o)
	w := o.sum.values()
	return &awss3.PutObjectOutput{
		ETag: aws.String(o.etag), VersionId: b.versionID(o), ServerSideEncryption: o.cipher.sse, SSEKMSKeyId: optional(o.cipher.key),
		SSECustomerAlgorithm: o.cipher.algorithm(), SSECustomerKeyMD5: optional(o.cipher.customer), ChecksumType: o.sum.kind,
		ChecksumCRC32: w.CRC32, ChecksumCRC32C: w.CRC32C, ChecksumCRC64NVME: w.CRC64NVME, ChecksumSHA1: w.SHA1, ChecksumSHA256: w.SHA256,
	}, nil
}

func contentType(t *string) string {
	if t == nil {
		return "binary/octet-stream"
	}
	return *t
}

// look gives the object that a read is about. Whoever may not list the bucket does not learn that a key is missing.
func (s *S3) look(r *awssim.Request, bucketName, owner, key, version *string) (*bucket, *object, error) {
	action := "s3:GetObject"
	if version != nil {
		action = "s3:GetObjectVersion"
	}
	b, err := s.find(r, bucketName, owner, action, aws.ToString(key))
	if err != nil {
		return nil, nil, err
	}
	o, err := b.version(key, version)
	if err != nil && !s.may(r, b, "s3:ListBucket", "") {
		err = denied()
	}
	return b, o, err
}

func (s *S3) getObject(r *awssim.Request, in *awss3.GetObjectInput) (*awss3.GetObjectOutput, error) {
	b, o, err := s.look(r, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId)
	if err != nil {
		return nil, err
	}
	if in.PartNumber != nil {
		return nil, unsupported("reads of one part")
	}
	if err := o.wanted(in.IfMatch, in.IfNoneMatch, in.IfModifiedSince, in.IfUnmodifiedSince); err != nil {
		return nil, err
	}
	if err := o.readable(r, in.SSECustomerAlgorithm, in.SSECustomerKeyMD5); err != nil {
		return nil, err
	}
	content, where, w := o.content, (*string)(nil), values{}
	if in.Range != nil {
		first, last, ok := span(*in.Range, o.content.size)
		if !ok {
			return nil, awssim.FailStatus(416, "InvalidRange", "The requested range is not satisfiable")
		}
		where = aws.String("bytes " + strconv.FormatInt(first, 10) + "-" + strconv.FormatInt(last, 10) + "/" + strconv.FormatInt(o.content.size, 10))
		content = content.cut(first, last-first+1)
	} else if in.ChecksumMode == s3types.ChecksumModeEnabled {
		w = o.sum.values()
	}
	return &awss3.GetObjectOutput{
		Body: &reader{b: content}, ContentLength: aws.Int64(content.size), ContentRange: where, ETag: aws.String(o.etag), VersionId: b.versionID(o),
		LastModified: aws.Time(o.at), ContentType: aws.String(o.contentType), Metadata: maps.Clone(o.metadata), StorageClass: o.shownClass(),
		ServerSideEncryption: o.cipher.sse, SSEKMSKeyId: optional(o.cipher.key), Restore: o.restoring(),
		SSECustomerAlgorithm: o.cipher.algorithm(), SSECustomerKeyMD5: optional(o.cipher.customer),
		ChecksumCRC32: w.CRC32, ChecksumCRC32C: w.CRC32C, ChecksumCRC64NVME: w.CRC64NVME, ChecksumSHA1: w.SHA1, ChecksumSHA256: w.SHA256,
		ObjectLockMode: s3types.ObjectLockMode(o.mode), ObjectLockRetainUntilDate: o.retained(), ObjectLockLegalHoldStatus: o.hold,
	}, nil
}

// wanted tells why the conditions of a read do not let it have the object. Source: S3 user guide, Conditional requests.
func (o *object) wanted(match, noneMatch *string, since, until *time.Time) error {
	switch {
	case since != nil || until != nil:
		return unsupported("reads with conditions on times")
	case match != nil && *match != "*" && !same(match, o.etag):
		return precondition()
	case noneMatch != nil && (*noneMatch == "*" || same(noneMatch, o.etag)):
		return awssim.FailStatus(304, "NotModified", "Not Modified")
	}
	return nil
}

// readable tells why the caller cannot read the bytes of an object.
func (o *object) readable(r *awssim.Request, customerAlgorithm, customerMD5 *string) error {
	if o.archived() {
		return awssim.FailStatus(403, "InvalidObjectState", "The operation is not valid for the object's storage class")
	}
	if err := o.cipher.given(customerAlgorithm, customerMD5); err != nil {
		return err
	}
	return o.cipher.open(r)
}

// shownClass is the class as answers tell it: nothing for STANDARD.
func (o *object) shownClass() s3types.StorageClass {
	if o.class == s3types.StorageClassStandard {
		return ""
	}
	return o.class
}

// span reads a range of the forms bytes=first-last and bytes=first-.
func span(s string, size int64) (first, last int64, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes=")
	a, z, dash := strings.Cut(s, "-")
	first, err := strconv.ParseInt(a, 10, 64)
	if !ok || !dash || err != nil || first < 0 || first >= size {
		return 0, 0, false
	}
	last = size - 1
	if z != "" {
		n, err := strconv.ParseInt(z, 10, 64)
		if err != nil || n < first {
			return 0, 0, false
		}
		last = min(last, n)
	}
	return first, last, true
}

func (s *S3) headObject(r *awssim.Request, in *awss3.HeadObjectInput) (*awss3.HeadObjectOutput, error) {
	b, o, err := s.look(r, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId)
	if err != nil {
		return nil, head(err)
	}
	if err := o.wanted(in.IfMatch, in.IfNoneMatch, in.IfModifiedSince, in.IfUnmodifiedSince); err != nil {
		return nil, head(err)
	}
	if err := o.cipher.given(in.SSECustomerAlgorithm, in.SSECustomerKeyMD5); err != nil {
		return nil, head(err)
	}
	out := &awss3.HeadObjectOutput{
		ContentLength: aws.Int64(o.content.size), ETag: aws.String(o.etag), LastModified: aws.Time(o.at), VersionId: b.versionID(o),
		ContentType: aws.String(o.contentType), Metadata: maps.Clone(o.metadata), StorageClass: o.shownClass(), Restore: o.restoring(),
		ServerSideEncryption: o.cipher.sse, SSEKMSKeyId: optional(o.cipher.key), SSECustomerAlgorithm: o.cipher.algorithm(), SSECustomerKeyMD5: optional(o.cipher.customer),
		ObjectLockMode: s3types.ObjectLockMode(o.mode), ObjectLockRetainUntilDate: o.retained(), ObjectLockLegalHoldStatus: o.hold,
	}
	if in.PartNumber != nil && o.parts > 0 {
		out.PartsCount = aws.Int32(o.parts)
	}
	if in.ChecksumMode == s3types.ChecksumModeEnabled {
		w := o.sum.values()
		out.ChecksumType = o.sum.kind
		out.ChecksumCRC32, out.ChecksumCRC32C, out.ChecksumCRC64NVME, out.ChecksumSHA1, out.ChecksumSHA256 = w.CRC32, w.CRC32C, w.CRC64NVME, w.SHA1, w.SHA256
	}
	return out, nil
}

func (s *S3) deleteObject(r *awssim.Request, in *awss3.DeleteObjectInput) (*awss3.DeleteObjectOutput, error) {
	key, action := aws.ToString(in.Key), "s3:DeleteObject"
	if in.VersionId != nil {
		action = "s3:DeleteObjectVersion"
	}
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, action, key)
	if err != nil {
		return nil, err
	}
	if in.IfMatchLastModifiedTime != nil || in.IfMatchSize != nil {
		return nil, unsupported("deletes with conditions on time or size")
	}
	if in.IfMatch != nil {
		if err := b.admits(key, in.IfMatch, nil); err != nil {
			return nil, err
		}
	}
	if in.VersionId == nil && b.versioning != "" {
		m := &object{key: key, marker: true, at: r.Now}
		b.add(r, m)
		return &awss3.DeleteObjectOutput{DeleteMarker: aws.Bool(true), VersionId: aws.String(m.version)}, nil
	}
	id := "null"
	if in.VersionId != nil {
		id = *in.VersionId
	}
	at := slices.IndexFunc(b.objects[key], func(o *object) bool { return o.version == id })
	if at < 0 {
		return &awss3.DeleteObjectOutput{}, nil
	}
	o := b.objects[key][at]
	bypass := aws.ToBool(in.BypassGovernanceRetention) && s.may(r, b, "s3:BypassGovernanceRetention", key)
	if o.lockedAt(r.Now, bypass) {
		return nil, denied()
	}
	b.objects[key] = slices.Delete(b.objects[key], at, at+1)
	return &awss3.DeleteObjectOutput{VersionId: in.VersionId, DeleteMarker: marker(o)}, nil
}

func marker(o *object) *bool {
	if !o.marker {
		return nil
	}
	return aws.Bool(true)
}

var _ io.ReadCloser = (*reader)(nil)
