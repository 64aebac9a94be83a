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
	if op.Stage == stageCreate {
		st.lose(op, s.opts.Settle)
	}
	st.Why = failed(op, err)
	return s.abandon(op, st)
}

// failed gives the Failure that an error is.
func failed(op backup.Operation, err error) *backup.Failure {
	op.Fail(err)
	return op.Failure
}

// abandon ends the Operation as Why says, after its own upload was aborted.
func (s *Strategy) abandon(op backup.Operation, st state) (backup.Operation, error) {
	if st.Upload == "" {
		return s.unclear(op, st)
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

// abort aborts the own upload. It is a call by id, which harms nothing when it is repeated.
func (s *Strategy) abort(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	if st.Upload != "" {
		bucket, key := st.place()
		_, err := c.dest.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: &st.Upload, ExpectedBucketOwner: &st.Account}, guarded)
		if err != nil {
			if v := classify("AbortMultipartUpload", err); v.AWSCode != codeNoUpload {
				if v.Class != awscall.Ambiguous && v.Class != awscall.Permanent {
					op.Unsent()
				}
				return s.leave(op, st, v.Error(Kind, "AbortMultipartUpload", op.Ref, err))
			}
		}
	}
	op.To(stageGone, "")
	return op, op.SetState(st)
}

// gone checks that the own upload is gone. A part that was being copied while its upload was aborted may have stayed, and is then aborted again.
// Source: S3 API, AbortMultipartUpload. An upload that is gone without having been aborted became the object, which is looked for: after
// this nothing can make it any more.
func (s *Strategy) gone(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	if st.Upload == "" {
		return s.unclear(op, st)
	}
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
	if st.Why != nil {
		dst, err := s.headDest(ctx, c, op, st)
		switch {
		case err != nil && passing(err):
			return op, err
		case err == nil && dst != nil && ours(op, dst):
			op.Made = without(op.Made, st.upload())
			st.Upload, st.Anew = "", false
			if !op.Canceling {
				st.Why = nil
			}
			return s.found(op, st, dst)
		case err == nil && dst != nil && st.Anew:
			st.Why = failed(op, s.taken(op, st))
			st.Anew = false
		}
	}
	op.Made = without(op.Made, st.upload())
	st.Upload = ""
	if !st.Anew {
		return s.unclear(op, st)
	}
	st.Why, st.Anew = nil, false
	op.To(stageCreate, "CreateMultipartUpload")
	op.PollIn(time.Duration(st.Conflicts) * 10 * time.Second) // somebody else is at work
	return op, op.SetState(st)
}

// leave ends an Operation whose upload can not be aborted, with a finding that names the right that is missing; the own upload stays listed in
// Made. An error that passes is returned instead, and so is one of the fence: another process has the work then.
func (s *Strategy) leave(op backup.Operation, st state, err error) (backup.Operation, error) {
	var fenced *awscall.FenceError
	if passing(err) || errors.As(err, &fenced) {
		return op, err
	}
	st.find(&op, backup.Finding{ID: "objectcopy.upload-left", Severity: backup.SeverityError, Ref: st.upload(), Message: "an unfinished upload, whose parts cost money, could not be aborted: " + err.Error(),
		Remedy: backup.HintOf(err)})
	return s.unclear(op, st)
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
