package objectcopy

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// copyObject copies a small object in one call. The call is conditional on there being no object, so that repeating it is harmless: what is found
// in the place afterwards is either this Operation's own, or a conflict.
func (s *Strategy) copyObject(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	if next, ended, err := s.late(op, st); ended {
		return next, err
	}
	if op.Intent() != backup.Send {
		dst, err := s.headDest(ctx, c, op, st)
		if err != nil {
			return s.stop(op, st, err)
		}
		if dst != nil {
			return s.found(op, st, dst)
		}
	}
	src, err := s.headSource(ctx, c, op, st)
	if err != nil {
		return s.stop(op, st, err)
	}
	bucket, key := st.place()
	from, fromKey, err := Split(op.Ref)
	if err != nil {
		return op, err
	}
	in := &awss3.CopyObjectInput{
		Bucket: &bucket, Key: &key, IfNoneMatch: aws.String("*"), ExpectedBucketOwner: &st.Account,
		CopySource: aws.String(copySource(from, fromKey, st.Version)), CopySourceIfMatch: &st.ETag, ExpectedSourceBucketOwner: &op.Ref.Account,
		MetadataDirective: s3types.MetadataDirectiveReplace, Metadata: metadata(op, src),
		TaggingDirective: s3types.TaggingDirectiveReplace, Tagging: tagging(op.Tags),
		StorageClass: st.Class, ServerSideEncryption: st.SSE, SSEKMSKeyId: optional(st.Key), BucketKeyEnabled: st.bucketKey(),
		ChecksumAlgorithm: st.Algo,
		CacheControl:      src.CacheControl, ContentDisposition: src.ContentDisposition, ContentEncoding: src.ContentEncoding,
		ContentLanguage: src.ContentLanguage, ContentType: src.ContentType, Expires: expires(src), WebsiteRedirectLocation: src.WebsiteRedirectLocation,
	}
	_, err = c.dest.CopyObject(ctx, in, guarded)
	if err == nil {
		op.To(stageVerify, "")
		op.AddMade(st.dest())
		return op, op.SetState(st)
	}
	v := classify("CopyObject", err)
	e := v.Error(Kind, "CopyObject", op.Ref, err)
	switch {
	case v.AWSCode == codePrecondition:
		return s.refused(ctx, c, op, st, e)
	case v.Class == awscall.Permanent:
		return s.end(op, st, e)
	case v.Class != awscall.Ambiguous:
		op.Unsent()
	}
	return op, e
}

// refused finds out why a conditional call was refused: an object is in the place, or the source is another one.
func (s *Strategy) refused(ctx context.Context, c clients, op backup.Operation, st state, cause error) (backup.Operation, error) {
	dst, err := s.headDest(ctx, c, op, st)
	if err != nil {
		return s.stop(op, st, err)
	}
	if dst != nil {
		return s.found(op, st, dst)
	}
	if _, err := s.headSource(ctx, c, op, st); err != nil {
		return s.stop(op, st, err)
	}
	// Both are as they should be: something came and went. It is tried again.
	return op, failure(op, "copy", backup.ErrUnavailable, "", "the condition of the call did not hold, and now it would: %w", cause)
}

// bucketKey asks for a bucket key where the caller did, and leaves it to the bucket otherwise.
func (st state) bucketKey() *bool {
	if !st.BucketKey {
		return nil
	}
	return &st.BucketKey
}

// expires is the Expires header of the source, where it is a time.
func expires(src *awss3.HeadObjectOutput) *time.Time {
	t, err := http.ParseTime(aws.ToString(src.ExpiresString))
	if err != nil {
		return nil
	}
	return &t
}

// guarded is for calls that change something and may be repeated.
func guarded(o *awss3.Options) {
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], awscall.Guard)
}

// sending is for the call that makes something and must not be repeated blindly.
func (s *Strategy) sending(o *awss3.Options) {
	guarded(o)
	o.Retryer = s.retryer
}
