package objectcopy

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// stop ends the Operation with an error that looking again will not mend, and returns any other as it is. That a look is denied, or answered with
// a code that nobody knows, ends only what has not begun: afterwards it says nothing of the copy, and rights can come back.
func (s *Strategy) stop(op backup.Operation, st state, err error) (backup.Operation, error) {
	if passing(err) {
		return op, err
	}
	switch backup.CodeOf(err) {
	case backup.ErrDenied, backup.ErrFailed:
		if st.Upload != "" || st.Doubts > 0 || op.Attempt > 1 || op.Settling || len(op.Made) > 0 {
			return op, err
		}
	}
	return s.end(op, st, err)
}

// end ends the Operation with an error, after the result of a call that was perhaps sent was looked for and the own uploads are gone.
func (s *Strategy) end(op backup.Operation, st state, err error) (backup.Operation, error) {
	if (op.Stage == stageCopy || op.Stage == stageComplete) && op.Attempt > 1 {
		return s.seekFor(op, st, err)
	}
	st.Why = failed(op, err)
	return s.abandon(op, st)
}

// failed gives the Failure that an error is.
func failed(op backup.Operation, err error) *backup.Failure {
	op.Fail(err)
	return op.Failure
}

// abandon ends the Operation as Why says, after the uploads that are or may be its own were aborted.
func (s *Strategy) abandon(op backup.Operation, st state) (backup.Operation, error) {
	if st.Upload == "" && st.Doubts <= st.Found {
		return s.finish(op, st)
	}
	op.To(stageAbort, "AbortMultipartUpload")
	return op, op.SetState(st)
}

// finish ends the Operation as Why says.
func (s *Strategy) finish(op backup.Operation, st state) (backup.Operation, error) {
	why := st.Why
	st.Why = nil
	if err := op.SetState(st); err != nil {
		return op, err
	}
	if why == nil {
		op.Succeed()
		return op, nil
	}
	e := &backup.Error{Op: why.Op, Kind: Kind, Ref: op.Ref, Code: why.Code, Hint: why.Hint}
	if why.Message != "" {
		e.Err = errors.New(why.Message)
	}
	op.Fail(e)
	return op, nil
}

// abort aborts the own upload, and those without parts that were perhaps begun and never learnt of. Both are calls by id, which harm nothing
// when they are repeated.
func (s *Strategy) abort(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	lost, err := s.candidates(ctx, c, op, st)
	if err != nil {
		return s.leave(op, st, err)
	}
	if len(lost) > st.Doubts-st.Found {
		lost = nil // some are somebody else's, and nothing tells which
	}
	bucket, key := st.place()
	ids := lost
	if st.Upload != "" {
		ids = append([]string{st.Upload}, lost...)
	}
	for _, id := range ids {
		_, err := c.dest.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: &id, ExpectedBucketOwner: &st.Account}, guarded)
		if err == nil {
			continue
		}
		v := classify("AbortMultipartUpload", err)
		if v.AWSCode == codeNoUpload {
			continue
		}
		if v.Class != awscall.Ambiguous && v.Class != awscall.Permanent {
			op.Unsent()
		}
		return s.leave(op, st, v.Error(Kind, "AbortMultipartUpload", op.Ref, err))
	}
	st.Found = st.Doubts
	op.To(stageGone, "")
	return op, op.SetState(st)
}

// gone checks that the own upload is gone. A part that was being copied while its upload was aborted may have stayed, and is then aborted again.
// Source: S3 API, AbortMultipartUpload.
func (s *Strategy) gone(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	if st.Upload != "" {
		bucket, key := st.place()
		_, err := c.dest.ListParts(ctx, &awss3.ListPartsInput{Bucket: &bucket, Key: &key, UploadId: &st.Upload, MaxParts: aws.Int32(1), ExpectedBucketOwner: &st.Account})
		if err == nil {
			op.To(stageAbort, "AbortMultipartUpload")
			op.PollIn(5 * time.Second)
			return op, op.SetState(st)
		}
		if v := classify("ListParts", err); v.AWSCode != codeNoUpload {
			return s.leave(op, st, v.Error(Kind, "ListParts", op.Ref, err))
		}
		op.Made = without(op.Made, st.upload())
		st.Upload = ""
	}
	return s.finish(op, st)
}

// leave ends an Operation whose uploads can not be aborted, with a finding that names the right that is missing; the own upload stays listed in
// Made. An error that passes is returned instead, and so is one of the fence: another process has the work then.
func (s *Strategy) leave(op backup.Operation, st state, err error) (backup.Operation, error) {
	var fenced *awscall.FenceError
	if passing(err) || errors.As(err, &fenced) {
		return op, err
	}
	op.Find(backup.Finding{ID: "objectcopy.upload-left", Severity: backup.SeverityError, Message: "an unfinished upload, whose parts cost money, could not be aborted: " + err.Error(),
		Remedy: backup.HintOf(err)})
	return s.finish(op, st)
}

func without(rs backup.Refs, r backup.Ref) backup.Refs {
	i := slices.Index(rs, r)
	if i < 0 {
		return rs
	}
	rs = slices.Delete(slices.Clone(rs), i, i+1)
	if len(rs) == 0 {
		return nil
	}
	return rs
}
