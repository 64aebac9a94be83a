package objectcopy

import (
	"context"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// create begins an upload. Begun again after an answer that was lost, it leaves one without parts behind, which costs nothing. That one is not looked
// for and taken: S3 lists nothing of an upload that would prove whose it is.
func (s *Strategy) create(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	if next, ended, err := s.late(op, st); ended {
		return next, err
	}
	src, err := s.headSource(ctx, c, op, st)
	if err != nil {
		return s.stop(op, st, err)
	}
	bucket, key := st.place()
	out, err := c.dest.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{
		Bucket: &bucket, Key: &key, ExpectedBucketOwner: &st.Account, Metadata: metadata(op, src), Tagging: tagging(op.Tags),
		StorageClass: st.Class, ServerSideEncryption: st.SSE, SSEKMSKeyId: optional(st.Key), BucketKeyEnabled: st.bucketKey(),
		ChecksumAlgorithm: st.Algo, ChecksumType: s3types.ChecksumTypeFullObject,
		CacheControl: src.CacheControl, ContentDisposition: src.ContentDisposition, ContentEncoding: src.ContentEncoding,
		ContentLanguage: src.ContentLanguage, ContentType: src.ContentType, Expires: expires(src), WebsiteRedirectLocation: src.WebsiteRedirectLocation,
	}, s.sending)
	if err == nil {
		id := aws.ToString(out.UploadId)
		if id == "" || len(id) > maxUploadID {
			return op, failure(op, "CreateMultipartUpload", backup.ErrUnavailable, "", "S3 gave an upload id of %d bytes", len(id))
		}
		st.lose(op, s.opts.Settle)
		st.Upload = id
		op.To(stageParts, "UploadPartCopy")
		op.AddMade(st.upload())
		return op, op.SetState(st)
	}
	v := classify("CreateMultipartUpload", err)
	e := v.Error(Kind, "CreateMultipartUpload", op.Ref, err)
	switch v.Class {
	case awscall.Permanent:
		return s.end(op, st, e)
	case awscall.NotApplied, awscall.NotYet:
		if op.Attempt == 1 { // earlier ones stay in doubt
			op.Unsent()
		}
	}
	return op, e
}

// uploads lists the unfinished uploads of the destination's key.
func (s *Strategy) uploads(ctx context.Context, c clients, op backup.Operation, st state) (all []s3types.MultipartUpload, err error) {
	bucket, key := st.place()
	in := &awss3.ListMultipartUploadsInput{Bucket: &bucket, Prefix: &key, EncodingType: s3types.EncodingTypeUrl, ExpectedBucketOwner: &st.Account}
	for {
		out, err := c.dest.ListMultipartUploads(ctx, in)
		if err != nil {
			return nil, wrap("ListMultipartUploads", op.Ref, err)
		}
		plain := func(k *string) *string {
			if out.EncodingType == s3types.EncodingTypeUrl {
				if d, err := url.QueryUnescape(aws.ToString(k)); err == nil {
					return &d
				}
			}
			return k
		}
		past := false
		for _, u := range out.Uploads {
			if *plain(aws.String(aws.ToString(u.Key))) == key {
				all = append(all, u)
			} else {
				past = true // keys come in order, and what the prefix is of comes after it
			}
		}
		if past || !aws.ToBool(out.IsTruncated) || len(all) > maxUploads {
			return all, nil
		}
		in.KeyMarker, in.UploadIdMarker = plain(out.NextKeyMarker), out.NextUploadIdMarker
	}
}
