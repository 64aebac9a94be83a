package objectcopy

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// create begins an upload.
func (s *Strategy) create(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	switch op.Intent() {
	case backup.ReadOnly:
		return op, nil
	case backup.Settle:
		return s.doubt(op, st)
	case backup.LookOnce:
		// Without a Store nobody knows whether this is the first time. One upload that appeared since the look is taken for it.
		once := st
		once.Doubts, once.Until = 1, time.Now().UTC()
		begun, err := s.candidates(ctx, c, op, once)
		if err != nil {
			return s.stop(op, st, err)
		}
		if len(begun) == 1 {
			return s.upload(op, st, begun[0])
		}
	}
	src, err := s.headSource(ctx, c, op, st)
	if err != nil {
		return s.stop(op, st, err)
	}
	if next, ended, err := s.late(op, st); ended {
		return next, err
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
		return s.upload(op, st, id)
	}
	v := classify("CreateMultipartUpload", err)
	e := v.Error(Kind, "CreateMultipartUpload", op.Ref, err)
	switch v.Class {
	case awscall.Permanent:
		return s.end(op, st, e)
	case awscall.NotApplied, awscall.NotYet:
		op.Unsent()
	}
	return op, e
}

// upload moves on to the parts of an upload.
func (s *Strategy) upload(op backup.Operation, st state, id string) (backup.Operation, error) {
	st.Upload = id
	op.To(stageParts, "UploadPartCopy")
	op.AddMade(st.upload())
	return op, op.SetState(st)
}

// doubt moves on to looking for an upload that was perhaps begun.
func (s *Strategy) doubt(op backup.Operation, st state) (backup.Operation, error) {
	st.Doubts += max(op.Attempt-1, 1)
	op.Settle(stageSettle)
	st.Until = op.Since.Add(s.opts.Settle)
	return op, op.SetState(st)
}

// settle looks for an upload that was perhaps begun, until the window has passed.
func (s *Strategy) settle(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	begun, err := s.candidates(ctx, c, op, st)
	if err != nil {
		return s.stop(op, st, err)
	}
	if n := len(begun); n > 0 && n <= st.Doubts-st.Found {
		st.Found++
		if st.Why != nil { // canceled
			st.Upload = begun[0]
			op.AddMade(st.upload())
			return s.abandon(op, st)
		}
		return s.upload(op, st, begun[0])
	}
	if time.Now().Before(st.Until) {
		op.PollIn(min(15*time.Second, time.Until(st.Until)))
		return op, nil
	}
	if len(begun) > 0 {
		// More than we can have begun: some are somebody else's, and nothing tells which.
		op.Find(backup.Finding{ID: "objectcopy.uploads-unclear", Severity: backup.SeverityWarning,
			Message: "there are unfinished uploads for the copy's key that others began at the same time; one of them may be this Operation's and has no parts",
			Remedy:  "a lifecycle rule with AbortIncompleteMultipartUpload removes what nobody finishes"})
		st.Found = st.Doubts
	}
	if st.Why != nil {
		return s.abandon(op, st)
	}
	op.To(stageCreate, "CreateMultipartUpload")
	return op, op.SetState(st)
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

// maxUploads is how many uploads of one key are looked at.
const maxUploads = 5000

// candidates gives the uploads that may be ours and whose ids were never learnt, the oldest first. S3 lists nothing of an upload that could carry
// the Operation's ID, so that they are known by what they are: of this key, begun after the look that found no own one, by S3's own clock,
// and before the window was over, with the storage class and the checksum that were asked for, and without parts. Only while there are
// no more of them than calls that were perhaps sent are they taken for ours. If one were somebody else's even so, nothing would come of it but an error:
// its metadata are not ours, and S3 puts no parts together that do not give the source's checksum.
func (s *Strategy) candidates(ctx context.Context, c clients, op backup.Operation, st state) (ids []string, err error) {
	if st.Doubts <= st.Found {
		return nil, nil
	}
	all, err := s.uploads(ctx, c, op, st)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(u s3types.MultipartUpload) bool {
		at := aws.ToTime(u.Initiated)
		return aws.ToString(u.UploadId) == st.Upload || aws.ToString(u.UploadId) == "" || !st.Newest.IsZero() && !at.After(st.Newest) || at.After(st.Until.Add(clockSkew)) ||
			at.Before(op.Started.Add(-clockSkew)) || u.StorageClass != "" && u.StorageClass != st.Class || u.ChecksumAlgorithm != "" && u.ChecksumAlgorithm != st.Algo
	})
	slices.SortFunc(all, func(a, b s3types.MultipartUpload) int {
		return cmp.Or(aws.ToTime(a.Initiated).Compare(aws.ToTime(b.Initiated)), cmp.Compare(*a.UploadId, *b.UploadId))
	})
	bucket, key := st.place()
	for _, u := range all[:min(len(all), maxCandidates)] {
		out, err := c.dest.ListParts(ctx, &awss3.ListPartsInput{Bucket: &bucket, Key: &key, UploadId: u.UploadId, MaxParts: aws.Int32(1), ExpectedBucketOwner: &st.Account})
		if err != nil {
			v := classify("ListParts", err)
			if v.AWSCode == codeNoUpload {
				continue
			}
			return nil, v.Error(Kind, "ListParts", op.Ref, err)
		}
		if len(out.Parts) == 0 {
			ids = append(ids, *u.UploadId)
		}
	}
	return ids, nil
}

// maxCandidates is how many uploads are asked for their parts.
const maxCandidates = 20

// clockSkew is how far the clocks of this machine and of S3 may be apart; with more, S3 would refuse the signatures.
const clockSkew = 15 * time.Minute
