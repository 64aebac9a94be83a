package objectcopy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// complete has S3 put the parts together, unless there is an object by now. S3 is told the size and, where it is known, the checksum of the whole,
// and refuses parts that do not give them. The call can be repeated: an upload is put together once.
func (s *Strategy) complete(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
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
	tags, missing, err := s.listed(ctx, c, op, st)
	if err != nil {
		return s.lostUpload(ctx, c, op, st, err)
	}
	if len(missing) > 0 {
		op.To(stageParts, "UploadPartCopy")
		return op, nil
	}
	bucket, key := st.place()
	in := &awss3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: &st.Upload, IfNoneMatch: aws.String("*"), ExpectedBucketOwner: &st.Account,
		MpuObjectSize: &st.Size, MultipartUpload: &s3types.CompletedMultipartUpload{Parts: make([]s3types.CompletedPart, 0, len(tags)-1)}}
	for i, tag := range tags[1:] {
		in.MultipartUpload.Parts = append(in.MultipartUpload.Parts, s3types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: aws.String(tag)})
	}
	if st.Sum != "" {
		in.ChecksumType = s3types.ChecksumTypeFullObject
		switch st.Algo {
		case s3types.ChecksumAlgorithmCrc64nvme:
			in.ChecksumCRC64NVME = &st.Sum
		case s3types.ChecksumAlgorithmCrc32c:
			in.ChecksumCRC32C = &st.Sum
		case s3types.ChecksumAlgorithmCrc32:
			in.ChecksumCRC32 = &st.Sum
		}
	}
	_, err = c.dest.CompleteMultipartUpload(ctx, in, guarded)
	if err == nil {
		op.Made = without(op.Made, st.upload())
		st.Upload = ""
		op.To(stageVerify, "")
		op.AddMade(st.dest())
		return op, op.SetState(st)
	}
	v := classify("CompleteMultipartUpload", err)
	e := v.Error(Kind, "CompleteMultipartUpload", op.Ref, err)
	switch {
	case v.AWSCode == codeNoUpload:
		return s.lostUpload(ctx, c, op, st, e)
	case v.AWSCode == codePrecondition:
		return s.refused(ctx, c, op, st, e)
	case v.AWSCode == codeConflict:
		return s.anew(op, st, e)
	case v.AWSCode == codeInvalidPart:
		op.To(stageParts, "UploadPartCopy") // which are there is asked again
		op.PollIn(5 * time.Second)
		return op, nil
	case v.AWSCode == codeBadDigest:
		return s.end(op, st, e)
	case v.Class == awscall.Permanent && v.Code != backup.ErrDenied:
		return s.end(op, st, e)
	case v.Class != awscall.Ambiguous:
		op.Unsent()
	}
	return op, e
}

// maxConflicts is how many uploads may end in a conflict; one more ends the copy.
const maxConflicts = 3

// anew has the upload aborted, and another one begun, because S3 asks for that after a conflict. Source: S3 API, CompleteMultipartUpload,
// If-None-Match.
func (s *Strategy) anew(op backup.Operation, st state, err error) (backup.Operation, error) {
	if st.Conflicts++; st.Conflicts > maxConflicts {
		return s.end(op, st, failure(op, "CompleteMultipartUpload", backup.ErrConflict, "find out who writes to the destination, and copy again with another token or to another key",
			"%d uploads met somebody else who wrote the object at the same moment: %w", st.Conflicts, err))
	}
	st.Why, st.Anew = failed(op, err), true
	op.To(stageAbort, "AbortMultipartUpload")
	return op, op.SetState(st)
}

// seekFor moves on to looking for an object that was perhaps made. If it does not appear within the settle window, the Operation ends with err.
func (s *Strategy) seekFor(op backup.Operation, st state, err error) (backup.Operation, error) {
	st.Why = failed(op, err)
	op.Settle(stageSeek)
	return op, op.SetState(st)
}

// seek looks for an object that was perhaps made, until the window has passed.
func (s *Strategy) seek(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	dst, err := s.headDest(ctx, c, op, st)
	if err != nil {
		return s.stop(op, st, err)
	}
	if dst != nil && ours(op, dst) {
		if !op.Canceling {
			st.Why = nil
		}
		return s.found(op, st, dst)
	}
	left := s.opts.Settle - time.Since(op.Since)
	if !op.Deadline.IsZero() {
		left = min(left, time.Until(op.Deadline)-s.reserve(op)/2) // the upload must be aborted before the deadline
	}
	if left > 0 {
		op.PollIn(min(15*time.Second, left))
		return op, nil
	}
	if dst != nil && !op.Canceling {
		st.Why = failed(op, s.taken(op, st))
	}
	return s.abandon(op, st)
}

// verify looks at the new object and ends the Operation: well, if it is whole and as it was asked for.
func (s *Strategy) verify(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	dst, err := s.headDest(ctx, c, op, st)
	if err != nil {
		return s.stop(op, st, err)
	}
	switch {
	case dst == nil:
		op.Made = without(op.Made, st.dest())
		return s.end(op, st, failure(op, "verify", backup.ErrNotFound, "find out who removes objects, and copy again with another token", "the new object was deleted before it could be checked"))
	case !ours(op, dst):
		op.Made = without(op.Made, st.dest())
		return s.end(op, st, failure(op, "verify", backup.ErrConflict, "find out who writes to the destination, and copy again to another key", "the new object was replaced before it could be checked"))
	}
	bad, compared := st.differs(dst)
	if len(bad) > 0 {
		return s.end(op, st, failure(op, "verify", backup.ErrFailed, "delete the object that is listed in Made, and copy again with another token",
			"the new object is not as it should be: %s", strings.Join(bad, ", ")))
	}
	if !compared && (st.Sum != "" || st.MD5) {
		st.find(&op, backup.Finding{ID: "objectcopy.checksum-not-comparable", Severity: backup.SeverityWarning, Ref: st.dest(),
			Message: "the new object shows no checksum that could be compared with the source's, so that its size was compared and not its bytes",
			Remedy:  "AWS shows one to a caller who may read the object and use its KMS key; other stores may keep none"})
	}
	op.Made = without(op.Made, st.dest())
	op.AddPoint(st.dest())
	return s.abandon(op, st)
}

// differs compares the new object with what it should be. compared tells whether its bytes were, by a checksum.
func (st state) differs(dst *awss3.HeadObjectOutput) (bad []string, compared bool) {
	note := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if n := aws.ToInt64(dst.ContentLength); n != st.Size {
		note("it has %d bytes and the source %d", n, st.Size)
	}
	switch sum := checksum(dst, st.Algo); {
	case st.Sum != "" && sum != "":
		compared = true
		if sum != st.Sum {
			note("its %s is %s and the source's %s", st.Algo, sum, st.Sum)
		}
	case st.MD5 && isMD5(dst):
		compared = true
		if strings.Trim(aws.ToString(dst.ETag), `"`) != strings.Trim(st.ETag, `"`) {
			note("its MD5 is %s and the source's %s", aws.ToString(dst.ETag), st.ETag)
		}
	}
	if st.SSE != "" && dst.ServerSideEncryption != st.SSE {
		note("its encryption is %q and not %q", dst.ServerSideEncryption, st.SSE)
	}
	if st.Key != "" && aws.ToString(dst.SSEKMSKeyId) != st.Key {
		note("its key is %s and not %s", aws.ToString(dst.SSEKMSKeyId), st.Key)
	}
	if class := dst.StorageClass; class != st.Class && (class != "" || st.Class != s3types.StorageClassStandard) {
		note("its storage class is %s and not %s", class, st.Class)
	}
	return bad, compared
}
