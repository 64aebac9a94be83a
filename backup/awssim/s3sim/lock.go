package s3sim

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// locks are what keeps a version from being deleted.
type locks struct {
	mode   s3types.ObjectLockRetentionMode
	keepTo time.Time
	hold   s3types.ObjectLockLegalHoldStatus
}

func (l *locks) retained() *time.Time {
	if l.mode == "" {
		return nil
	}
	return aws.Time(l.keepTo)
}

// lockedAt tells whether the version must stay; bypass opens governance.
func (l *locks) lockedAt(now time.Time, bypass bool) bool {
	kept := l.mode != "" && now.Before(l.keepTo) && (l.mode == s3types.ObjectLockRetentionModeCompliance || !bypass)
	return kept || l.hold == s3types.ObjectLockLegalHoldStatusOn
}

func noLock() error {
	return awssim.Fail("InvalidRequest", "Bucket is missing Object Lock Configuration")
}

// locksOf gives the locks of a version that is new at an instant: those of the call, or the bucket's default.
func (b *bucket) locksOf(at time.Time, mode s3types.ObjectLockMode, until *time.Time, hold s3types.ObjectLockLegalHoldStatus) (l locks, err error) {
	switch {
	case (mode != "" || until != nil || hold != "") && !b.lockable:
		return l, noLock()
	case (mode == "") != (until == nil):
		return l, awssim.Fail("InvalidArgument", "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
	case mode != "" && !until.After(at):
		return l, awssim.Fail("InvalidArgument", "The retain until date must be in the future!")
	}
	l.hold = hold
	if mode != "" {
		l.mode, l.keepTo = s3types.ObjectLockRetentionMode(mode), *until
	} else if b.lock != nil {
		d := b.lock.DefaultRetention
		l.mode, l.keepTo = d.Mode, at.AddDate(int(aws.ToInt32(d.Years)), 0, int(aws.ToInt32(d.Days)))
	}
	return l, nil
}

func (s *S3) putLockConfiguration(r *awssim.Request, in *awss3.PutObjectLockConfigurationInput) (*awss3.PutObjectLockConfigurationOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:PutBucketObjectLockConfiguration", "")
	if err != nil {
		return nil, err
	}
	c := in.ObjectLockConfiguration
	switch {
	case c == nil || c.ObjectLockEnabled != s3types.ObjectLockEnabledEnabled:
		return nil, malformed()
	case b.versioning != s3types.BucketVersioningStatusEnabled:
		return nil, awssim.FailStatus(409, "InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
	}
	var rule *s3types.ObjectLockRule
	if c.Rule != nil {
		d := c.Rule.DefaultRetention
		if d == nil || d.Mode == "" || (d.Days == nil) == (d.Years == nil) || aws.ToInt32(d.Days)+aws.ToInt32(d.Years) <= 0 {
			return nil, malformed()
		}
		rule = &s3types.ObjectLockRule{DefaultRetention: &s3types.DefaultRetention{Mode: d.Mode, Days: number(d.Days), Years: number(d.Years)}}
	}
	b.lockable, b.lock = true, rule
	return &awss3.PutObjectLockConfigurationOutput{}, nil
}

func number(n *int32) *int32 {
	if n == nil {
		return nil
	}
	return aws.Int32(*n)
}

func (s *S3) getLockConfiguration(r *awssim.Request, in *awss3.GetObjectLockConfigurationInput) (*awss3.GetObjectLockConfigurationOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:GetBucketObjectLockConfiguration", "")
	if err != nil {
		return nil, err
	}
	if !b.lockable {
		return nil, awssim.FailStatus(404, "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
	}
	c := &s3types.ObjectLockConfiguration{ObjectLockEnabled: s3types.ObjectLockEnabledEnabled}
	if b.lock != nil {
		d := b.lock.DefaultRetention
		c.Rule = &s3types.ObjectLockRule{DefaultRetention: &s3types.DefaultRetention{Mode: d.Mode, Days: number(d.Days), Years: number(d.Years)}}
	}
	return &awss3.GetObjectLockConfigurationOutput{ObjectLockConfiguration: c}, nil
}

// lockable gives the version whose locks a call is about.
func (s *S3) lockable(r *awssim.Request, bucketName, owner, key, version *string, action string, told ...facts) (*bucket, *object, error) {
	b, err := s.find(r, bucketName, owner, action, aws.ToString(key), told...)
	if err != nil {
		return nil, nil, err
	}
	if !b.lockable {
		return nil, nil, noLock()
	}
	o, err := b.version(key, version)
	return b, o, err
}

// retaining is what S3 tells conditions of a retention that is asked for. Source: Service authorization reference, Amazon S3.
func retaining(to *s3types.ObjectLockRetention) facts {
	f := facts{}
	if to != nil && to.Mode != "" {
		f["s3:object-lock-mode"] = []string{string(to.Mode)}
	}
	if to != nil && to.RetainUntilDate != nil {
		f["s3:object-lock-retain-until-date"] = []string{to.RetainUntilDate.UTC().Format(time.RFC3339)}
	}
	return f
}

func (s *S3) putRetention(r *awssim.Request, in *awss3.PutObjectRetentionInput) (*awss3.PutObjectRetentionOutput, error) {
	b, o, err := s.lockable(r, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, "s3:PutObjectRetention", retaining(in.Retention))
	if err != nil {
		return nil, err
	}
	to := in.Retention
	if to == nil {
		to = &s3types.ObjectLockRetention{}
	}
	if to.Mode != "" && (to.RetainUntilDate == nil || !to.RetainUntilDate.After(r.Now)) {
		return nil, awssim.Fail("InvalidArgument", "The retain until date must be in the future!")
	}
	weaker := to.Mode == "" || to.RetainUntilDate.Before(o.keepTo) || o.mode == s3types.ObjectLockRetentionModeCompliance && to.Mode != o.mode
	if o.mode != "" && r.Now.Before(o.keepTo) && weaker {
		bypass := aws.ToBool(in.BypassGovernanceRetention) && s.may(r, b, "s3:BypassGovernanceRetention", o.key)
		if o.mode == s3types.ObjectLockRetentionModeCompliance || !bypass {
			return nil, denied()
		}
	}
	o.mode, o.keepTo = to.Mode, aws.ToTime(to.RetainUntilDate)
	return &awss3.PutObjectRetentionOutput{}, nil
}

func (s *S3) getRetention(r *awssim.Request, in *awss3.GetObjectRetentionInput) (*awss3.GetObjectRetentionOutput, error) {
	_, o, err := s.lockable(r, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, "s3:GetObjectRetention")
	if err != nil {
		return nil, err
	}
	if o.mode == "" {
		return nil, awssim.FailStatus(404, "NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration")
	}
	return &awss3.GetObjectRetentionOutput{Retention: &s3types.ObjectLockRetention{Mode: o.mode, RetainUntilDate: o.retained()}}, nil
}

func (s *S3) putLegalHold(r *awssim.Request, in *awss3.PutObjectLegalHoldInput) (*awss3.PutObjectLegalHoldOutput, error) {
	asked := facts{}
	if in.LegalHold != nil {
		asked["s3:object-lock-legal-hold"] = []string{string(in.LegalHold.Status)}
	}
	_, o, err := s.lockable(r, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, "s3:PutObjectLegalHold", asked)
	if err != nil {
		return nil, err
	}
	if in.LegalHold == nil || in.LegalHold.Status != s3types.ObjectLockLegalHoldStatusOn && in.LegalHold.Status != s3types.ObjectLockLegalHoldStatusOff {
		return nil, malformed()
	}
	o.hold = in.LegalHold.Status
	return &awss3.PutObjectLegalHoldOutput{}, nil
}

func (s *S3) getLegalHold(r *awssim.Request, in *awss3.GetObjectLegalHoldInput) (*awss3.GetObjectLegalHoldOutput, error) {
	_, o, err := s.lockable(r, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, "s3:GetObjectLegalHold")
	if err != nil {
		return nil, err
	}
	if o.hold == "" {
		return nil, awssim.FailStatus(404, "NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration")
	}
	return &awss3.GetObjectLegalHoldOutput{LegalHold: &s3types.ObjectLockLegalHold{Status: o.hold}}, nil
}
