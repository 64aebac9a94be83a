package s3sim

import (
	"cmp"
	"crypto/md5" //nolint:gosec // an ETag is an MD5
	"encoding/hex"
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
	minPart  = 5 << 20
	maxParts = 10_000
)

// upload is a multipart upload that is not finished.
type upload struct {
	id    string
	begun time.Time
	plan  object // all but the content
	parts map[int32]*part
}

type part struct {
	number  int32
	etag    string
	content blob
	sum     checksum
	at      time.Time
}

func (s *S3) createUpload(r *awssim.Request, in *awss3.CreateMultipartUploadInput) (*awss3.CreateMultipartUploadOutput, error) {
	key := aws.ToString(in.Key)
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:PutObject", key, writing(in.ServerSideEncryption, in.SSEKMSKeyId, in.StorageClass, in.ACL))
	if err != nil {
		return nil, err
	}
	if err := s.objectACL(r, b, key, in.ACL, in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWriteACP); err != nil {
		return nil, err
	}
	if in.Tagging != nil || in.SSECustomerAlgorithm != nil {
		return nil, unsupported("multipart uploads with tags or with keys of the customer")
	}
	if len(key) > maxKey {
		return nil, awssim.Fail("KeyTooLongError", "Your key is too long")
	}
	o := object{key: key, contentType: contentType(in.ContentType), metadata: maps.Clone(in.Metadata)}
	if o.class, err = class(in.StorageClass); err != nil {
		return nil, err
	}
	if o.cipher, err = b.seal(r, in.ServerSideEncryption, in.SSEKMSKeyId, nil, nil); err != nil {
		return nil, err
	}
	if o.locks, err = b.locksOf(r.Now, in.ObjectLockMode, in.ObjectLockRetainUntilDate, in.ObjectLockLegalHoldStatus); err != nil {
		return nil, err
	}
	if o.sum.algorithm, o.sum.kind, err = kindOf(in.ChecksumAlgorithm, in.ChecksumType); err != nil {
		return nil, err
	}
	u := &upload{id: r.NewID("upload"), begun: r.Now, plan: o, parts: map[int32]*part{}}
	b.uploads[u.id] = u
	return &awss3.CreateMultipartUploadOutput{
		Bucket: in.Bucket, Key: in.Key, UploadId: aws.String(u.id), ServerSideEncryption: o.cipher.sse, SSEKMSKeyId: optional(o.cipher.key),
		ChecksumAlgorithm: o.sum.algorithm, ChecksumType: o.sum.kind,
	}, nil
}

// kindOf gives algorithm and type of the checksum of an object in parts.
func kindOf(a s3types.ChecksumAlgorithm, t s3types.ChecksumType) (s3types.ChecksumAlgorithm, s3types.ChecksumType, error) {
	if a == "" {
		a = s3types.ChecksumAlgorithmCrc64nvme
	}
	sha := a == s3types.ChecksumAlgorithmSha1 || a == s3types.ChecksumAlgorithmSha256
	nvme := a == s3types.ChecksumAlgorithmCrc64nvme
	switch {
	case t == "" && nvme:
		t = s3types.ChecksumTypeFullObject
	case t == "":
		t = s3types.ChecksumTypeComposite
	case nvme && t == s3types.ChecksumTypeComposite, sha && t == s3types.ChecksumTypeFullObject:
		return a, t, awssim.Fail("InvalidRequest", "The %s checksum type cannot be used with the %s checksum algorithm.", t, a)
	}
	return a, t, nil
}

// uploadOf gives the unfinished upload of a call.
func (s *S3) uploadOf(r *awssim.Request, bucketName, owner, key, id *string, action string) (*bucket, *upload, error) {
	b, err := s.find(r, bucketName, owner, action, aws.ToString(key))
	if err != nil {
		return nil, nil, err
	}
	u := b.uploads[aws.ToString(id)]
	if u == nil || u.plan.key != aws.ToString(key) {
		return nil, nil, awssim.FailStatus(404, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
	}
	return b, u, nil
}

// put keeps a part; one of the same number is replaced.
func (u *upload) put(r *awssim.Request, number *int32, content blob, v values) (*part, error) {
	n := aws.ToInt32(number)
	switch {
	case n < 1 || n > maxParts:
		return nil, awssim.Fail("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
	case content.size > maxPut:
		return nil, awssim.Fail("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
	}
	c, err := receive(u.plan.sum.algorithm, "", v, content)
	if err != nil {
		return nil, err
	}
	p := &part{number: n, etag: content.etag(), content: content, sum: c, at: r.Now}
	u.parts[n] = p
	return p, nil
}

func (s *S3) uploadPart(r *awssim.Request, in *awss3.UploadPartInput) (*awss3.UploadPartOutput, error) {
	_, u, err := s.uploadOf(r, in.Bucket, in.ExpectedBucketOwner, in.Key, in.UploadId, "s3:PutObject")
	if err != nil {
		return nil, err
	}
	data, ok := in.Body.(*body)
	if !ok {
		return nil, awssim.FailStatus(500, "InternalError", "the body was not read")
	}
	if err := data.is(in.ContentMD5); err != nil {
		return nil, err
	}
	p, err := u.put(r, in.PartNumber, bytesBlob(slices.Clone(data.data)), values{in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumCRC64NVME, in.ChecksumSHA1, in.ChecksumSHA256})
	if err != nil {
		return nil, err
	}
	w := p.sum.values()
	return &awss3.UploadPartOutput{
		ETag: aws.String(`"` + p.etag + `"`), ServerSideEncryption: u.plan.cipher.sse,
		ChecksumCRC32: w.CRC32, ChecksumCRC32C: w.CRC32C, ChecksumCRC64NVME: w.CRC64NVME, ChecksumSHA1: w.SHA1, ChecksumSHA256: w.SHA256,
	}, nil
}

func (s *S3) uploadPartCopy(r *awssim.Request, in *awss3.UploadPartCopyInput) (*awss3.UploadPartCopyOutput, error) {
	_, u, err := s.uploadOf(r, in.Bucket, in.ExpectedBucketOwner, in.Key, in.UploadId, "s3:PutObject")
	if err != nil {
		return nil, err
	}
	if in.CopySourceIfModifiedSince != nil || in.CopySourceIfUnmodifiedSince != nil {
		return nil, unsupported("copies with conditions on times")
	}
	sb, from, err := s.original(r, origin{in.CopySource, in.CopySourceIfMatch, in.CopySourceIfNoneMatch, in.ExpectedSourceBucketOwner, in.CopySourceSSECustomerAlgorithm, in.CopySourceSSECustomerKeyMD5})
	if err != nil {
		return nil, err
	}
	content := from.content
	if in.CopySourceRange != nil {
		first, last, ok := span(*in.CopySourceRange, content.size)
		if !ok || !strings.HasSuffix(*in.CopySourceRange, "-"+strconv.FormatInt(last, 10)) || content.size <= minPart {
			return nil, awssim.Fail("InvalidArgument", "Range specified is not valid for source object of size: %d", content.size)
		}
		content = content.cut(first, last-first+1)
	}
	p, err := u.put(r, in.PartNumber, content, values{})
	if err != nil {
		return nil, err
	}
	w := p.sum.values()
	return &awss3.UploadPartCopyOutput{
		CopySourceVersionId: sb.versionID(from), ServerSideEncryption: u.plan.cipher.sse,
		CopyPartResult: &s3types.CopyPartResult{
			ETag: aws.String(`"` + p.etag + `"`), LastModified: aws.Time(p.at),
			ChecksumCRC32: w.CRC32, ChecksumCRC32C: w.CRC32C, ChecksumCRC64NVME: w.CRC64NVME, ChecksumSHA1: w.SHA1, ChecksumSHA256: w.SHA256,
		},
	}, nil
}

func (s *S3) listParts(r *awssim.Request, in *awss3.ListPartsInput) (*awss3.ListPartsOutput, error) {
	_, u, err := s.uploadOf(r, in.Bucket, in.ExpectedBucketOwner, in.Key, in.UploadId, "s3:ListMultipartUploadParts")
	if err != nil {
		return nil, err
	}
	after := 0
	if in.PartNumberMarker != nil {
		if after, err = strconv.Atoi(*in.PartNumberMarker); err != nil {
			return nil, awssim.Fail("InvalidArgument", "Provided part-number-marker not an integer or within integer range")
		}
	}
	size := r.Page(int(aws.ToInt32(in.MaxParts)), 1000, 1000)
	out := &awss3.ListPartsOutput{
		Bucket: in.Bucket, Key: in.Key, UploadId: in.UploadId, IsTruncated: aws.Bool(false), MaxParts: aws.Int32(int32(size)),
		ChecksumAlgorithm: u.plan.sum.algorithm, ChecksumType: u.plan.sum.kind, StorageClass: u.plan.class,
	}
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		if int(n) <= after {
			continue
		}
		if len(out.Parts) == size {
			out.IsTruncated, out.NextPartNumberMarker = aws.Bool(true), aws.String(strconv.Itoa(int(*out.Parts[size-1].PartNumber)))
			break
		}
		p := u.parts[n]
		w := p.sum.values()
		out.Parts = append(out.Parts, s3types.Part{
			PartNumber: aws.Int32(n), ETag: aws.String(`"` + p.etag + `"`), Size: aws.Int64(p.content.size), LastModified: aws.Time(p.at),
			ChecksumCRC32: w.CRC32, ChecksumCRC32C: w.CRC32C, ChecksumCRC64NVME: w.CRC64NVME, ChecksumSHA1: w.SHA1, ChecksumSHA256: w.SHA256,
		})
	}
	return out, nil
}

// byKey puts uploads in the order of lists: by key, and those of a key by the time when they began.
func byKey(a, b *upload) int {
	return cmp.Or(cmp.Compare(a.plan.key, b.plan.key), a.begun.Compare(b.begun), cmp.Compare(a.id, b.id))
}

func (s *S3) listUploads(r *awssim.Request, in *awss3.ListMultipartUploadsInput) (*awss3.ListMultipartUploadsOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:ListBucketMultipartUploads", "")
	if err != nil {
		return nil, err
	}
	if in.Delimiter != nil {
		return nil, unsupported("lists with delimiters")
	}
	size := r.Page(int(aws.ToInt32(in.MaxUploads)), 1000, 1000)
	out := &awss3.ListMultipartUploadsOutput{Bucket: in.Bucket, Prefix: in.Prefix, IsTruncated: aws.Bool(false), MaxUploads: aws.Int32(int32(size))}
	begun := in.KeyMarker == nil
	for _, u := range slices.SortedFunc(maps.Values(b.uploads), byKey) {
		if !strings.HasPrefix(u.plan.key, aws.ToString(in.Prefix)) {
			continue
		}
		if !begun {
			switch {
			case u.plan.key > *in.KeyMarker:
				begun = true
			case u.plan.key == *in.KeyMarker && in.UploadIdMarker != nil:
				begun = u.id == *in.UploadIdMarker
				continue
			default:
				continue
			}
		}
		if len(out.Uploads) == size {
			last := out.Uploads[size-1]
			out.IsTruncated, out.NextKeyMarker, out.NextUploadIdMarker = aws.Bool(true), last.Key, last.UploadId
			break
		}
		out.Uploads = append(out.Uploads, s3types.MultipartUpload{
			Key: aws.String(u.plan.key), UploadId: aws.String(u.id), Initiated: aws.Time(u.begun), StorageClass: u.plan.class,
			ChecksumAlgorithm: u.plan.sum.algorithm, ChecksumType: u.plan.sum.kind,
		})
	}
	return out, nil
}

func (s *S3) abortUpload(r *awssim.Request, in *awss3.AbortMultipartUploadInput) (*awss3.AbortMultipartUploadOutput, error) {
	b, u, err := s.uploadOf(r, in.Bucket, in.ExpectedBucketOwner, in.Key, in.UploadId, "s3:AbortMultipartUpload")
	if err != nil {
		return nil, err
	}
	delete(b.uploads, u.id)
	return &awss3.AbortMultipartUploadOutput{}, nil
}

func (s *S3) completeUpload(r *awssim.Request, in *awss3.CompleteMultipartUploadInput) (*awss3.CompleteMultipartUploadOutput, error) {
	b, u, err := s.uploadOf(r, in.Bucket, in.ExpectedBucketOwner, in.Key, in.UploadId, "s3:PutObject")
	if err != nil {
		return nil, err
	}
	if err := b.admits(u.plan.key, in.IfMatch, in.IfNoneMatch); err != nil {
		return nil, err
	}
	if in.MultipartUpload == nil {
		return nil, malformed()
	}
	parts, err := u.chosen(in.MultipartUpload.Parts)
	if err != nil {
		return nil, err
	}
	o := u.plan
	o.metadata, o.at, o.parts = maps.Clone(o.metadata), r.Now, int32(len(parts))
	all := md5.New() //nolint:gosec // as above
	for _, p := range parts {
		raw, err := hex.DecodeString(p.etag)
		if err != nil {
			return nil, err
		}
		all.Write(raw) //nolint:errcheck // a hash never fails
		for _, x := range p.content.pieces {
			o.content = o.content.and(x)
		}
	}
	o.etag = `"` + hex.EncodeToString(all.Sum(nil)) + "-" + strconv.Itoa(len(parts)) + `"`
	if in.MpuObjectSize != nil && *in.MpuObjectSize != o.content.size {
		return nil, awssim.Fail("InvalidRequest", "The provided 'x-amz-mp-object-size' header value %d does not match what was computed: %d", *in.MpuObjectSize, o.content.size)
	}
	if o.sum.kind == s3types.ChecksumTypeComposite {
		o.sum, err = composite(o.sum.algorithm, parts)
	} else {
		o.sum, err = sum(o.sum.algorithm, o.content)
	}
	if err != nil {
		return nil, err
	}
	given := values{in.ChecksumCRC32, in.ChecksumCRC32C, in.ChecksumCRC64NVME, in.ChecksumSHA1, in.ChecksumSHA256}
	if algorithm, value := given.given(); value != "" && (algorithm != o.sum.algorithm || value != o.sum.value) {
		return nil, badDigest(algorithm)
	}
	delete(b.uploads, u.id)
	b.add(r, &o)
	w := o.sum.values()
	return &awss3.CompleteMultipartUploadOutput{
		Bucket: in.Bucket, Key: in.Key, ETag: aws.String(o.etag), VersionId: b.versionID(&o), ServerSideEncryption: o.cipher.sse, SSEKMSKeyId: optional(o.cipher.key),
		ChecksumType: o.sum.kind, ChecksumCRC32: w.CRC32, ChecksumCRC32C: w.CRC32C, ChecksumCRC64NVME: w.CRC64NVME, ChecksumSHA1: w.SHA1, ChecksumSHA256: w.SHA256,
	}, nil
}

// chosen gives the parts that a completion names.
func (u *upload) chosen(list []s3types.CompletedPart) (parts []*part, err error) {
	if len(list) == 0 {
		return nil, malformed()
	}
	for i, c := range list {
		n := aws.ToInt32(c.PartNumber)
		p := u.parts[n]
		switch {
		case i > 0 && n <= parts[i-1].number:
			return nil, awssim.Fail("InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.")
		case p == nil || strings.Trim(aws.ToString(c.ETag), `"`) != p.etag:
			return nil, awssim.Fail("InvalidPart", "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
		case i < len(list)-1 && p.content.size < minPart:
			return nil, awssim.Fail("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
		}
		algorithm, value := values{c.ChecksumCRC32, c.ChecksumCRC32C, c.ChecksumCRC64NVME, c.ChecksumSHA1, c.ChecksumSHA256}.given()
		switch {
		case value == "" && u.plan.sum.kind == s3types.ChecksumTypeComposite:
			return nil, awssim.Fail("InvalidRequest", "The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.", u.plan.sum.algorithm, n)
		case value != "" && (algorithm != p.sum.algorithm || value != p.sum.value):
			return nil, awssim.Fail("InvalidPart", "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
		}
		parts = append(parts, p)
	}
	return parts, nil
}
