package objectcopy

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
)

// lose notes in a state that leaves stageCreate how many uploads were perhaps begun whose ids were never learnt: one for each attempt but the
// present one, of which the outcome is known, and without a Store perhaps one of an attempt that nobody recorded.
func (st *state) lose(op backup.Operation, settle time.Duration) {
	if op.Attempt > 1 {
		st.doubt(op.Attempt-1, settle)
	} else if op.Unstored {
		st.Doubts++ // whoever sent it is gone, so that it is not waited for
	}
}

// doubt notes uploads that were perhaps begun; a request can reach S3 until the settle window is over.
func (st *state) doubt(n int, settle time.Duration) {
	st.Doubts += n
	st.Until = time.Now().UTC().Round(0).Add(settle)
}

// settled carries on what an earlier release stored, which took an upload that it found for its own: none is taken any more.
func (s *Strategy) settled(op backup.Operation, st state) (backup.Operation, error) {
	if st.Why != nil {
		return s.abandon(op, st)
	}
	op.To(stageCreate, "CreateMultipartUpload")
	if st.Begin.IsZero() {
		st.Begin = op.Started
	}
	return op, op.SetState(st)
}

// unclear ends the Operation as Why says, after it told of uploads that were perhaps begun and never learnt of.
func (s *Strategy) unclear(op backup.Operation, st state) (backup.Operation, error) {
	if st.Doubts == 0 {
		return s.finish(op, st)
	}
	op.Settle(stageStrays)
	return op, op.SetState(st)
}

const (
	// maxUploads is how many uploads of one key are looked at.
	maxUploads = 5000
	// maxCandidates is how many of them are asked for their parts.
	maxCandidates = 20
	// maxStrays is how many of those are named.
	maxStrays = 3
	// clockSkew is how far the clocks of this machine and of S3 may be apart; with more, S3 would refuse the signatures.
	clockSkew = 15 * time.Minute
	// strayPatience is how long a list of uploads that fails for now is tried again.
	strayPatience = 10 * time.Minute
)

// The ID and the remedy of what is found about strays.
const (
	findUnclear  = "objectcopy.uploads-unclear"
	hintLeftover = "a lifecycle rule with AbortIncompleteMultipartUpload ends it, or abort it by hand if nobody else uses it; without parts it costs nothing"
)

// strays tells of the uploads without parts that perhaps are this Operation's: the answer to their begin was lost. They are left alone, because
// they may as well be those of somebody else, who is about to send parts.
func (s *Strategy) strays(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	found, more, err := s.partless(ctx, c, op, st)
	if err != nil {
		if passing(err) && time.Since(op.Since) < strayPatience && (op.Deadline.IsZero() || time.Now().Before(op.Deadline)) {
			return op, err
		}
		st.find(&op, backup.Finding{ID: findUnclear, Severity: backup.SeverityWarning, Ref: st.dest(),
			Message: "an upload without parts was perhaps begun, of which the answer was lost, and the uploads could not be listed: " + err.Error(), Remedy: backup.HintOf(err) + "; " + hintLeftover})
		return s.finish(op, st)
	}
	for _, u := range found {
		st.find(&op, backup.Finding{ID: findUnclear, Severity: backup.SeverityWarning, Ref: st.uploadRef(aws.ToString(u.UploadId)),
			Message: fmt.Sprintf("upload %s, begun %s, has no parts: it is this Operation's, of which the answer was lost, or somebody else's",
				aws.ToString(u.UploadId), aws.ToTime(u.Initiated).UTC().Format(time.RFC3339)), Remedy: hintLeftover})
	}
	if more {
		st.find(&op, backup.Finding{ID: findUnclear, Severity: backup.SeverityWarning, Ref: st.dest(), Message: "there are more unfinished uploads without parts for the copy's key than are named", Remedy: hintLeftover})
	}
	if left := time.Until(st.Until); left > 0 {
		op.PollIn(min(15*time.Second, left))
		return op, nil
	}
	return s.finish(op, st)
}

// partless lists the uploads without parts that may be this Operation's: of the destination's key, with the storage class and the checksum
// that were asked for, and not begun before. more says that they are not all.
func (s *Strategy) partless(ctx context.Context, c clients, op backup.Operation, st state) (found []s3types.MultipartUpload, more bool, err error) {
	all, err := s.uploads(ctx, c, op, st)
	if err != nil {
		return nil, false, err
	}
	bucket, key := st.place()
	asked := 0
	for _, u := range all {
		if id := aws.ToString(u.UploadId); id == "" || id == st.Upload || aws.ToTime(u.Initiated).Before(st.Begin.Add(-clockSkew)) ||
			u.StorageClass != "" && u.StorageClass != st.Class || u.ChecksumAlgorithm != "" && u.ChecksumAlgorithm != st.Algo {
			continue
		}
		if asked++; len(found) == maxStrays || asked > maxCandidates {
			return found, true, nil
		}
		out, err := c.dest.ListParts(ctx, &awss3.ListPartsInput{Bucket: &bucket, Key: &key, UploadId: u.UploadId, MaxParts: aws.Int32(1), ExpectedBucketOwner: &st.Account})
		if err != nil {
			if err := wrap("ListParts", op.Ref, err); classify("ListParts", err).AWSCode != codeNoUpload {
				return nil, false, err
			}
			continue
		}
		if len(out.Parts) == 0 {
			found = append(found, u)
		}
	}
	return found, false, nil
}
