package s3sim

import (
	"bytes"
	"crypto/md5" //nolint:gosec // an ETag is an MD5
	"encoding/hex"
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

const maxKey = 1024

func etag(b []byte) string {
	sum := md5.Sum(b) //nolint:gosec // as above
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// seen gives the object that a key has. The time is that of the call itself and not Request.Now: no read of S3 is stale.
func (b *bucket) seen(key *string) *object {
	o := b.objects[aws.ToString(key)]
	if o == nil || o.at.After(time.Now()) {
		return nil
	}
	return o
}

func precondition() error {
	return awssim.FailStatus(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
}

func noKey() error { return awssim.FailStatus(404, "NoSuchKey", "The specified key does not exist.") }

func same(condition *string, etag string) bool {
	return strings.Trim(*condition, `"`) == strings.Trim(etag, `"`)
}

func (s *S3) putObject(r *awssim.Request, in *awss3.PutObjectInput) (*awss3.PutObjectOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	key, old := aws.ToString(in.Key), b.seen(in.Key)
	switch {
	case len(key) > maxKey:
		return nil, awssim.Fail("KeyTooLongError", "Your key is too long")
	case in.IfNoneMatch != nil && *in.IfNoneMatch != "*":
		return nil, awssim.FailStatus(501, "NotImplemented", "A header you provided implies functionality that is not implemented")
	case in.IfNoneMatch != nil && old != nil:
		return nil, precondition()
	case in.IfMatch != nil && old == nil:
		return nil, noKey()
	case in.IfMatch != nil && !same(in.IfMatch, old.etag):
		return nil, precondition()
	}
	data, ok := in.Body.(*body)
	if !ok {
		return nil, awssim.FailStatus(500, "InternalError", "the body was not read")
	}
	o := &object{key: key, body: bytes.Clone(data.data), etag: etag(data.data), at: r.Now, contentType: aws.ToString(in.ContentType), metadata: maps.Clone(in.Metadata)}
	b.objects[key] = o
	return &awss3.PutObjectOutput{ETag: aws.String(o.etag), Size: aws.Int64(int64(len(o.body)))}, nil
}

func (s *S3) getObject(r *awssim.Request, in *awss3.GetObjectInput) (*awss3.GetObjectOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	o := b.seen(in.Key)
	switch {
	case o == nil:
		return nil, noKey()
	case in.IfMatch != nil && !same(in.IfMatch, o.etag):
		return nil, precondition()
	}
	data, content := o.body, (*string)(nil)
	if in.Range != nil {
		first, last, ok := span(*in.Range, len(data))
		if !ok {
			return nil, awssim.FailStatus(416, "InvalidRange", "The requested range is not satisfiable")
		}
		content = aws.String("bytes " + strconv.Itoa(first) + "-" + strconv.Itoa(last) + "/" + strconv.Itoa(len(data)))
		data = data[first : last+1]
	}
	// The bytes of an object are never changed, only replaced, so that the reader needs no copy.
	return &awss3.GetObjectOutput{
		Body: io.NopCloser(bytes.NewReader(data)), ContentLength: aws.Int64(int64(len(data))), ContentRange: content, ETag: aws.String(o.etag),
		LastModified: aws.Time(o.at), ContentType: aws.String(o.contentType), Metadata: maps.Clone(o.metadata),
	}, nil
}

// span reads a range of the forms bytes=first-last and bytes=first-.
func span(s string, size int) (first, last int, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes=")
	a, z, dash := strings.Cut(s, "-")
	first, err := strconv.Atoi(a)
	if !ok || !dash || err != nil || first < 0 || first >= size {
		return 0, 0, false
	}
	last = size - 1
	if z != "" {
		n, err := strconv.Atoi(z)
		if err != nil || n < first {
			return 0, 0, false
		}
		last = min(last, n)
	}
	return first, last, true
}

func (s *S3) headObject(r *awssim.Request, in *awss3.HeadObjectInput) (*awss3.HeadObjectOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, head(err)
	}
	o := b.seen(in.Key)
	switch {
	case o == nil:
		return nil, head(noKey())
	case in.IfMatch != nil && !same(in.IfMatch, o.etag):
		return nil, head(precondition())
	}
	return &awss3.HeadObjectOutput{ContentLength: aws.Int64(int64(len(o.body))), ETag: aws.String(o.etag), LastModified: aws.Time(o.at),
		ContentType: aws.String(o.contentType), Metadata: maps.Clone(o.metadata)}, nil
}

func (s *S3) deleteObject(r *awssim.Request, in *awss3.DeleteObjectInput) (*awss3.DeleteObjectOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.seen(in.Key) != nil {
		delete(b.objects, *in.Key)
	}
	return &awss3.DeleteObjectOutput{}, nil
}

func (s *S3) listObjects(r *awssim.Request, in *awss3.ListObjectsV2Input) (*awss3.ListObjectsV2Output, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if in.Delimiter != nil {
		return nil, awssim.FailStatus(501, "NotImplemented", "s3sim lists without delimiters only")
	}
	after := max(aws.ToString(in.StartAfter), aws.ToString(in.ContinuationToken))
	size := r.Page(int(aws.ToInt32(in.MaxKeys)), 1000, 1000)
	out := &awss3.ListObjectsV2Output{Name: in.Bucket, Prefix: in.Prefix, IsTruncated: aws.Bool(false), MaxKeys: aws.Int32(int32(size))}
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		o := b.seen(&key)
		if o == nil || key <= after || !strings.HasPrefix(key, aws.ToString(in.Prefix)) {
			continue
		}
		if len(out.Contents) == size {
			out.IsTruncated, out.NextContinuationToken = aws.Bool(true), out.Contents[size-1].Key
			break
		}
		out.Contents = append(out.Contents, s3types.Object{Key: aws.String(key), ETag: aws.String(o.etag), Size: aws.Int64(int64(len(o.body))),
			LastModified: aws.Time(o.at), StorageClass: s3types.ObjectStorageClassStandard})
	}
	out.KeyCount = aws.Int32(int32(len(out.Contents)))
	return out, nil
}
