package emulator

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// locked makes a bucket in which versions can be locked.
func (s *store) locked() string {
	return s.bucket("a", func(in *awss3.CreateBucketInput) { in.ObjectLockEnabledForBucket = aws.Bool(true) })
}

// summed has the SDK send the checksum in the way that all servers take for an answer to the demand for Content-MD5.
func summed(in *awss3.PutObjectInput) { in.ChecksumAlgorithm = s3types.ChecksumAlgorithmSha256 }

// hold sets or lifts the legal hold of a version of key k.
func (s *store) hold(bucket, version string, to s3types.ObjectLockLegalHoldStatus) error {
	_, err := s.own.PutObjectLegalHold(s.ctx, &awss3.PutObjectLegalHoldInput{Bucket: &bucket, Key: aws.String("k"), VersionId: &version,
		LegalHold: &s3types.ObjectLockLegalHold{Status: to}, ChecksumAlgorithm: s3types.ChecksumAlgorithmSha256})
	return err
}

// kept writes a version of key k that is retained for a day.
func (s *store) kept(bucket string, mode s3types.ObjectLockMode) (version string, err error) {
	out, err := s.put(s.own, bucket, "k", "text", summed, func(in *awss3.PutObjectInput) {
		in.ObjectLockMode, in.ObjectLockRetainUntilDate = mode, aws.Time(time.Now().Add(24*time.Hour))
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.VersionId), nil
}

func bypass(in *awss3.DeleteObjectInput) { in.BypassGovernanceRetention = aws.Bool(true) }

func lockRows() []behaviour {
	return []behaviour{
		{id: "lock-bucket", what: "A bucket with Object Lock: GetObjectLockConfiguration, GetBucketVersioning; that of another bucket", aws: "Enabled, Enabled, ObjectLockConfigurationNotFoundError", run: func(s *store) string {
			name, plain := s.locked(), s.bucket("b")
			lock, err := s.own.GetObjectLockConfiguration(s.ctx, &awss3.GetObjectLockConfigurationInput{Bucket: &name})
			s.must("GetObjectLockConfiguration", err)
			v, err := s.own.GetBucketVersioning(s.ctx, &awss3.GetBucketVersioningInput{Bucket: &name})
			s.must("GetBucketVersioning", err)
			_, none := s.own.GetObjectLockConfiguration(s.ctx, &awss3.GetObjectLockConfigurationInput{Bucket: &plain})
			return says(lock.ObjectLockConfiguration.ObjectLockEnabled, v.Status, code(none))
		}},
		{id: "legal-hold", what: "A legal hold: the version can not be deleted, a plain delete makes a marker, without the hold it can",
			aws: "ok, ON, AccessDenied, true, text, ok, ok, NoSuchVersion", run: func(s *store) string {
				name := s.locked()
				out, err := s.put(s.own, name, "k", "text", summed)
				s.must("PutObject", err)
				id := aws.ToString(out.VersionId)
				on := s.hold(name, id, s3types.ObjectLockLegalHoldStatusOn)
				var status string
				if got, err := s.own.GetObjectLegalHold(s.ctx, &awss3.GetObjectLegalHoldInput{Bucket: &name, Key: aws.String("k"), VersionId: &id}); err != nil {
					status = code(err)
				} else if status = "none"; got.LegalHold != nil {
					status = string(got.LegalHold.Status)
				}
				_, held := s.remove(name, id)
				plain, err := s.remove(name, "")
				s.must("DeleteObject", err)
				text := s.version(name, id)
				off := s.hold(name, id, s3types.ObjectLockLegalHoldStatusOff)
				_, free := s.remove(name, id)
				return says(code(on), status, code(held), aws.ToBool(plain.DeleteMarker), text, code(off), code(free), s.version(name, id))
			}},
		{id: "legal-hold-none", what: "GetObjectLegalHold of an object without one; PutObjectLegalHold in a bucket without Object Lock", aws: "NoSuchObjectLockConfiguration, InvalidRequest", run: func(s *store) string {
			name, plain := s.locked(), s.bucket("b")
			_, err := s.put(s.own, name, "k", "text", summed)
			s.must("PutObject", err)
			_, none := s.own.GetObjectLegalHold(s.ctx, &awss3.GetObjectLegalHoldInput{Bucket: &name, Key: aws.String("k")})
			s.write(plain, "k", "text")
			_, without := s.own.PutObjectLegalHold(s.ctx, &awss3.PutObjectLegalHoldInput{Bucket: &plain, Key: aws.String("k"),
				LegalHold: &s3types.ObjectLockLegalHold{Status: s3types.ObjectLockLegalHoldStatusOn}, ChecksumAlgorithm: s3types.ChecksumAlgorithmSha256})
			return says(code(none), code(without))
		}},
		{id: "governance", what: "A version in governance: DeleteObject, with the leave to bypass it", aws: "AccessDenied, ok", run: func(s *store) string {
			name := s.locked()
			id, err := s.kept(name, s3types.ObjectLockModeGovernance)
			s.must("PutObject", err)
			_, first := s.remove(name, id)
			_, second := s.remove(name, id, bypass)
			return says(code(first), code(second))
		}},
		{id: "compliance", what: "A version in compliance: DeleteObject, also with the leave to bypass governance", aws: "AccessDenied, AccessDenied, text", run: func(s *store) string {
			name := s.locked()
			id, err := s.kept(name, s3types.ObjectLockModeCompliance)
			s.must("PutObject", err)
			_, first := s.remove(name, id)
			_, second := s.remove(name, id, bypass)
			return says(code(first), code(second), s.version(name, id))
		}},
		{id: "retention-shown", what: "GetObjectRetention, and HeadObject of a retained version", aws: "GOVERNANCE, GOVERNANCE true", run: func(s *store) string {
			name := s.locked()
			id, err := s.kept(name, s3types.ObjectLockModeGovernance)
			s.must("PutObject", err)
			var mode string
			if out, err := s.own.GetObjectRetention(s.ctx, &awss3.GetObjectRetentionInput{Bucket: &name, Key: aws.String("k"), VersionId: &id}); err != nil {
				mode = code(err)
			} else if mode = "none"; out.Retention != nil {
				mode = string(out.Retention.Mode)
			}
			head, err := s.head(s.own, name, "k")
			s.must("HeadObject", err)
			return says(mode, string(head.ObjectLockMode)+" "+map[bool]string{true: "true", false: "false"}[head.ObjectLockRetainUntilDate != nil])
		}},
		{id: "retention-shorter", what: "PutObjectRetention: governance made shorter, and so with the leave; compliance made longer, shorter", aws: "AccessDenied, ok, ok, AccessDenied", run: func(s *store) string {
			name := s.locked()
			to := func(id string, mode s3types.ObjectLockRetentionMode, hours time.Duration, leave bool) string {
				_, err := s.own.PutObjectRetention(s.ctx, &awss3.PutObjectRetentionInput{Bucket: &name, Key: aws.String("k"), VersionId: &id, ChecksumAlgorithm: s3types.ChecksumAlgorithmSha256,
					BypassGovernanceRetention: &leave, Retention: &s3types.ObjectLockRetention{Mode: mode, RetainUntilDate: aws.Time(time.Now().Add(hours * time.Hour))}})
				return code(err)
			}
			soft, err := s.kept(name, s3types.ObjectLockModeGovernance)
			s.must("PutObject", err)
			hard, err := s.kept(name, s3types.ObjectLockModeCompliance)
			s.must("PutObject", err)
			return says(to(soft, s3types.ObjectLockRetentionModeGovernance, 1, false), to(soft, s3types.ObjectLockRetentionModeGovernance, 1, true),
				to(hard, s3types.ObjectLockRetentionModeCompliance, 48, false), to(hard, s3types.ObjectLockRetentionModeCompliance, 1, true))
		}},
		{id: "retention-default", what: "A new object in a bucket with a default retention: its mode, DeleteObject of its version", aws: "ok, GOVERNANCE, AccessDenied", run: func(s *store) string {
			name := s.locked()
			_, err := s.own.PutObjectLockConfiguration(s.ctx, &awss3.PutObjectLockConfigurationInput{Bucket: &name, ChecksumAlgorithm: s3types.ChecksumAlgorithmSha256,
				ObjectLockConfiguration: &s3types.ObjectLockConfiguration{ObjectLockEnabled: s3types.ObjectLockEnabledEnabled,
					Rule: &s3types.ObjectLockRule{DefaultRetention: &s3types.DefaultRetention{Mode: s3types.ObjectLockRetentionModeGovernance, Days: aws.Int32(1)}}}})
			out, put := s.put(s.own, name, "k", "text", summed)
			s.must("PutObject", put)
			head, look := s.head(s.own, name, "k")
			s.must("HeadObject", look)
			_, del := s.remove(name, aws.ToString(out.VersionId))
			return says(code(err), head.ObjectLockMode, code(del))
		}},
		{id: "lock-refused", what: "A retention in a bucket without Object Lock, one in the past, Object Lock without versions, versions suspended under Object Lock",
			aws: "InvalidRequest, InvalidArgument, InvalidBucketState, InvalidBucketState", run: func(s *store) string {
				name, plain := s.locked(), s.bucket("b")
				_, without := s.kept(plain, s3types.ObjectLockModeGovernance)
				_, past := s.put(s.own, name, "k", "text", summed, func(in *awss3.PutObjectInput) {
					in.ObjectLockMode, in.ObjectLockRetainUntilDate = s3types.ObjectLockModeGovernance, aws.Time(time.Now().Add(-time.Hour))
				})
				_, versions := s.own.PutObjectLockConfiguration(s.ctx, &awss3.PutObjectLockConfigurationInput{Bucket: &plain, ChecksumAlgorithm: s3types.ChecksumAlgorithmSha256,
					ObjectLockConfiguration: &s3types.ObjectLockConfiguration{ObjectLockEnabled: s3types.ObjectLockEnabledEnabled}})
				_, suspend := s.own.PutBucketVersioning(s.ctx, &awss3.PutBucketVersioningInput{Bucket: &name, VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusSuspended}})
				return says(code(without), code(past), code(versions), code(suspend))
			}},
	}
}
