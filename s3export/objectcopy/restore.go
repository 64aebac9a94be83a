package objectcopy

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// frost is whether an object can be read.
type frost int

const (
	readable frost = iota
	frozen         // it must be asked for
	thawing        // it was asked for
)

// archived tells whether an object must be brought back before it can be copied. Source: S3 API, HeadObject (Restore, ArchiveStatus).
func archived(o *awss3.HeadObjectOutput) frost {
	restore := aws.ToString(o.Restore)
	switch {
	case strings.Contains(restore, `ongoing-request="true"`):
		return thawing
	case o.ArchiveStatus != "": // of INTELLIGENT_TIERING; it goes when the object is back
		return frozen
	case o.StorageClass != s3types.StorageClassGlacier && o.StorageClass != s3types.StorageClassDeepArchive:
		return readable
	case strings.Contains(restore, `ongoing-request="false"`):
		return readable
	}
	return frozen
}

// deep tells that an archived object is in the slowest of archives.
func deep(o *awss3.HeadObjectOutput) bool {
	return o.StorageClass == s3types.StorageClassDeepArchive || o.ArchiveStatus == s3types.ArchiveStatusDeepArchiveAccess
}

// restoreTime is the most that a restore takes. Source: S3 user guide, Archive retrieval options.
func restoreTime(tier s3types.Tier, deep bool) time.Duration {
	switch {
	case tier == s3types.TierExpedited:
		return 5 * time.Minute
	case tier == s3types.TierBulk && deep:
		return 48 * time.Hour
	case tier == s3types.TierBulk, deep:
		return 12 * time.Hour
	}
	return 5 * time.Hour
}

// thawable moves on to the restore of an archived source, if there is time for it.
func (s *Strategy) thawable(op backup.Operation, st state, src *awss3.HeadObjectOutput) (backup.Operation, error) {
	if st.Tier == s3types.TierExpedited && deep(src) {
		return s.end(op, st, failure(op, "RestoreObject", backup.ErrInvalid, "set Options.RestoreTier to Standard or Bulk", "a Deep Archive has no expedited retrievals"))
	}
	if need := restoreTime(st.Tier, deep(src)); !op.Deadline.IsZero() && time.Until(op.Deadline) < need+s.reserve(op) {
		return s.end(op, st, failure(op, "RestoreObject", backup.ErrInvalid, "start it again with another token and a longer Spec.Timeout, or a faster Options.RestoreTier",
			"the source is archived and may take %v to be restored, and the deadline is %s", need, op.Deadline.Format(time.RFC3339)))
	}
	op.To(stageRestore, "RestoreObject")
	return op, op.SetState(st)
}

// restore asks for an archived source. Asking again while it is being brought back changes nothing, and afterwards only how long it stays.
func (s *Strategy) restore(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	src, err := s.headSource(ctx, c, op, st)
	if err != nil {
		return s.stop(op, st, err)
	}
	if archived(src) != frozen {
		return s.thawed(op, st)
	}
	bucket, key, err := Split(op.Ref)
	if err != nil {
		return op, err
	}
	req := &s3types.RestoreRequest{GlacierJobParameters: &s3types.GlacierJobParameters{Tier: st.Tier}}
	if src.ArchiveStatus == "" {
		req.Days = &st.Days // INTELLIGENT_TIERING takes the object back for good, and no days
	}
	_, err = c.source.RestoreObject(ctx, &awss3.RestoreObjectInput{Bucket: &bucket, Key: &key, VersionId: optional(st.Version), RestoreRequest: req,
		ExpectedBucketOwner: &op.Ref.Account}, guarded)
	if err == nil {
		return s.thawed(op, st)
	}
	v := classify("RestoreObject", err)
	e := v.Error(Kind, "RestoreObject", op.Ref, err)
	switch {
	case v.AWSCode == codeRestoring, v.AWSCode == codeActive:
		return s.thawed(op, st)
	case v.Class == awscall.Permanent:
		return s.end(op, st, e)
	case v.Class == awscall.NotYet:
		op.To(stageRestore, "RestoreObject")
		op.PollIn(5 * time.Minute)
		return op, op.SetState(st)
	case v.Class == awscall.NotApplied:
		op.Unsent()
	}
	return op, e
}

// thawed moves on to the waiting.
func (s *Strategy) thawed(op backup.Operation, st state) (backup.Operation, error) {
	op.To(stageThaw, "")
	op.PollIn(s.thawPoll(op, st))
	return op, op.SetState(st)
}

// thaw waits until the source can be read.
func (s *Strategy) thaw(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	src, err := s.headSource(ctx, c, op, st)
	if err != nil {
		return s.stop(op, st, err)
	}
	switch archived(src) {
	case frozen:
		return s.thawable(op, st, src) // its restored copy expired, or the restore came to nothing
	case thawing:
		op.PollIn(s.thawPoll(op, st))
		return op, nil
	}
	return s.ready(op, st)
}

// thawPoll is the time to the next look at a source that is being restored: minutes of hours.
func (s *Strategy) thawPoll(op backup.Operation, st state) time.Duration {
	least, most := 5*time.Minute, 15*time.Minute
	if st.Tier == s3types.TierExpedited {
		least, most = 20*time.Second, 5*time.Minute
	}
	return min(max(time.Since(op.Since)/10, least), most)
}
