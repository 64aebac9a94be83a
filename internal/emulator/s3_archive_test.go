package emulator

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// archives writes an object of a class.
func (s *store) archives(bucket, key string, class s3types.StorageClass) error {
	_, err := s.put(s.own, bucket, key, "text", func(in *awss3.PutObjectInput) { in.StorageClass = class })
	return err
}

// restores asks for an archived object.
func (s *store) restores(bucket, key string, tier s3types.Tier) string {
	_, err := s.own.RestoreObject(s.ctx, &awss3.RestoreObjectInput{Bucket: &bucket, Key: &key,
		RestoreRequest: &s3types.RestoreRequest{Days: aws.Int32(2), GlacierJobParameters: &s3types.GlacierJobParameters{Tier: tier}}})
	return code(err)
}

// restoring tells the state of a restore.
func (s *store) restoring(bucket, key string) string {
	s.t.Helper()
	out, err := s.head(s.own, bucket, key)
	s.must("HeadObject", err)
	state, _, _ := strings.Cut(aws.ToString(out.Restore), ",")
	return state
}

func archiveRows() []behaviour {
	return []behaviour{
		{id: "glacier", what: "An object in GLACIER: its class, GetObject, CopyObject, UploadPartCopy", aws: "ok, GLACIER, InvalidObjectState, InvalidObjectState, InvalidObjectState", run: func(s *store) string {
			name := s.bucket("a")
			if err := s.archives(name, "k", s3types.StorageClassGlacier); err != nil {
				return code(err)
			}
			head, err := s.head(s.own, name, "k")
			s.must("HeadObject", err)
			_, copied := s.copies(name, "k", "c")
			_, part := s.partCopy(name, "p", s.begin(name, "p"), "k", "", 1)
			return says("ok", head.StorageClass, s.get(s.own, name, "k"), code(copied), code(part))
		}},
		{id: "glacier-restore", what: "RestoreObject: before, its answer, in the end, GetObject, CopyObject", aws: ", ok, ongoing-request=\"false\", text, ok", run: func(s *store) string {
			name := s.bucket("a")
			if err := s.archives(name, "k", s3types.StorageClassGlacier); err != nil {
				return code(err)
			}
			before, asked := s.restoring(name, "k"), s.restores(name, "k", s3types.TierStandard)
			s.wait(5*time.Hour + time.Minute)
			_, copied := s.copies(name, "k", "c")
			return says(before, asked, s.restoring(name, "k"), s.get(s.own, name, "k"), code(copied))
		}},
		{id: "glacier-twice", what: "RestoreObject while one is under way", aws: "ok, ongoing-request=\"true\", RestoreAlreadyInProgress, InvalidObjectState", run: func(s *store) string {
			name := s.bucket("a")
			if err := s.archives(name, "k", s3types.StorageClassGlacier); err != nil {
				return code(err)
			}
			return says(s.restores(name, "k", s3types.TierBulk), s.restoring(name, "k"), s.restores(name, "k", s3types.TierBulk), s.get(s.own, name, "k"))
		}},
		{id: "glacier-refused", what: "RestoreObject of an object in STANDARD, of a missing key, of one in DEEP_ARCHIVE at once", aws: "InvalidObjectState, NoSuchKey, InvalidArgument", run: func(s *store) string {
			name := s.bucket("a")
			s.write(name, "k", "text")
			if err := s.archives(name, "deep", s3types.StorageClassDeepArchive); err != nil {
				return code(err)
			}
			return says(s.restores(name, "k", s3types.TierStandard), s.restores(name, "none", s3types.TierStandard), s.restores(name, "deep", s3types.TierExpedited))
		}},
		{id: "lifecycle", what: "Lifecycle rules: none, put and read, deleted", aws: "NoSuchLifecycleConfiguration, ok, old Enabled dumps/ 30 7, ok, NoSuchLifecycleConfiguration", run: func(s *store) string {
			name := s.bucket("a")
			get := func() string {
				out, err := s.own.GetBucketLifecycleConfiguration(s.ctx, &awss3.GetBucketLifecycleConfigurationInput{Bucket: &name})
				if err != nil {
					return code(err)
				}
				r := out.Rules[0]
				if r.Expiration == nil || r.Filter == nil || r.AbortIncompleteMultipartUpload == nil {
					return "parts of the rule are lost"
				}
				return says(strings.Join([]string{aws.ToString(r.ID), string(r.Status), aws.ToString(r.Filter.Prefix)}, " ")) +
					" " + says(aws.ToInt32(r.Expiration.Days)) + " " + says(aws.ToInt32(r.AbortIncompleteMultipartUpload.DaysAfterInitiation))
			}
			before := get()
			_, put := s.own.PutBucketLifecycleConfiguration(s.ctx, &awss3.PutBucketLifecycleConfigurationInput{Bucket: &name, LifecycleConfiguration: &s3types.BucketLifecycleConfiguration{
				Rules: []s3types.LifecycleRule{{ID: aws.String("old"), Status: s3types.ExpirationStatusEnabled, Filter: &s3types.LifecycleRuleFilter{Prefix: aws.String("dumps/")},
					Expiration: &s3types.LifecycleExpiration{Days: aws.Int32(30)}, AbortIncompleteMultipartUpload: &s3types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(7)}}}}})
			kept := get()
			_, del := s.own.DeleteBucketLifecycle(s.ctx, &awss3.DeleteBucketLifecycleInput{Bucket: &name})
			return says(before, code(put), kept, code(del), get())
		}},
		{id: "encryption", what: "GetBucketEncryption of a new bucket", aws: "AES256", run: func(s *store) string {
			out, err := s.own.GetBucketEncryption(s.ctx, &awss3.GetBucketEncryptionInput{Bucket: aws.String(s.bucket("a"))})
			if err != nil {
				return code(err)
			}
			return string(out.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm)
		}},
		{id: "public-block", what: "GetPublicAccessBlock of a new bucket, and after DeletePublicAccessBlock", aws: "true true true true, NoSuchPublicAccessBlockConfiguration", run: func(s *store) string {
			name := s.bucket("a")
			get := func() string {
				out, err := s.own.GetPublicAccessBlock(s.ctx, &awss3.GetPublicAccessBlockInput{Bucket: &name})
				if err != nil {
					return code(err)
				}
				c, all := out.PublicAccessBlockConfiguration, []string{}
				for _, on := range []*bool{c.BlockPublicAcls, c.IgnorePublicAcls, c.BlockPublicPolicy, c.RestrictPublicBuckets} {
					all = append(all, map[bool]string{true: "true", false: "false"}[aws.ToBool(on)])
				}
				return strings.Join(all, " ")
			}
			first := get()
			_, err := s.own.DeletePublicAccessBlock(s.ctx, &awss3.DeletePublicAccessBlockInput{Bucket: &name})
			if err != nil {
				return says(first, code(err))
			}
			return says(first, get())
		}},
	}
}
