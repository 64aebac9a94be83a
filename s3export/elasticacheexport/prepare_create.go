package elasticacheexport

import (
	"context"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// exists tells that the bucket was there. An older release noted that only of a bucket that was created.
func (st prepareState) exists() bool { return st.There || st.Made }

// unseen waits for a bucket that was there, and now is not: S3 does not show a new one everywhere at once. It is never created again, because
// then it was perhaps deleted on purpose.
func (s *Strategy) unseen(op backup.Operation) (backup.Operation, error) {
	if op.Stage == stageWrite {
		op.To(stageHold, "") // where the window begins
	}
	if time.Since(op.Since) >= s.opts.Settle {
		op.Fail(failure(op, "prepare", backup.ErrNotFound, "find out who deletes buckets, and prepare it again with another token", "the bucket was there, and has not been for %v", s.opts.Settle))
		return op, nil
	}
	s.poll(&op)
	return op, nil
}

// createBucket creates the bucket, unless it is there by now.
func (s *Strategy) createBucket(ctx context.Context, c Clients, op backup.Operation, st prepareState) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	// Whether this Operation has created it before, or somebody else, nothing tells.
	unclear := op.Intent() != backup.Send
	_, err := c.S3.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: &op.Ref.ID, ExpectedBucketOwner: &op.Ref.Account})
	switch f := unusable(op.Ref, op.Ref.ID, err); {
	case err == nil:
		return s.there(op, st, false, unclear)
	case f == nil:
		if !unclear {
			op.Unsent() // it was only looked for
		}
		return op, s3Table.Wrap(Kind, "HeadBucket", op.Ref, err)
	case f.ID != of("bucket-missing"):
		op.To(stageBucket, "") // where it is said what is wrong
		return op, op.SetState(st)
	}
	in := &awss3.CreateBucketInput{Bucket: &op.Ref.ID, ObjectOwnership: s3types.ObjectOwnershipBucketOwnerEnforced}
	if op.Ref.Region != "us-east-1" {
		in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(op.Ref.Region)}
	}
	// The SDK must not repeat it by itself: a bucket that its second try finds would be taken for somebody else's.
	_, err = c.S3.CreateBucket(ctx, in, guarded, func(o *awss3.Options) { o.Retryer = s.retryer })
	switch {
	case err == nil:
		return s.there(op, st, true, false)
	case has(err, "BucketAlreadyOwnedByYou"):
		return s.there(op, st, false, unclear)
	case has(err, "BucketAlreadyExists"):
		op.Fail(failure(op, "CreateBucket", backup.ErrConflict, "choose another name: the names of buckets are shared by all accounts", "the bucket belongs to somebody else"))
		return op, nil
	}
	v := s3Table.Classify(err)
	e := v.Error(Kind, "CreateBucket", op.Ref, err)
	switch v.Class {
	case awscall.Permanent:
		op.Fail(e)
		return op, nil
	case awscall.NotApplied:
		op.Unsent()
	}
	return op, e
}

// there goes on with a bucket that exists: made by this Operation, or perhaps made by it, or somebody else's of the same account.
func (s *Strategy) there(op backup.Operation, st prepareState, made, unclear bool) (backup.Operation, error) {
	st.There = true
	switch {
	case made:
		st.Made = true
		op.AddMade(op.Ref)
	case unclear:
		op.Find(backup.Finding{ID: of("bucket-unclear"), Severity: backup.SeverityWarning, Ref: op.Ref,
			Message: "the bucket was perhaps created by this Operation, whose answer was lost, and perhaps by somebody else of the account: it is not listed in Made and was not hardened",
			Remedy:  "if it is used for nothing else, prepare it again with another token and PrepareOptions.Harden"})
	}
	op.To(stageBucket, "")
	return op, op.SetState(st)
}
