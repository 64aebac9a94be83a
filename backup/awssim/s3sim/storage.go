package s3sim

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

const (
	maxRules  = 1000
	maxRuleID = 255
)

// frozen tells whether a class must be restored before it can be read.
func frozen(c s3types.StorageClass) bool {
	return c == s3types.StorageClassGlacier || c == s3types.StorageClassDeepArchive
}

// archived tells whether the object cannot be read now.
func (o *object) archived() bool {
	now := time.Now()
	return frozen(o.class) && (o.restoredAt.IsZero() || now.Before(o.restoredAt) || !now.Before(o.until))
}

// restoring is the object's header x-amz-restore.
func (o *object) restoring() *string {
	now := time.Now()
	switch {
	case o.restoredAt.IsZero(), !now.Before(o.until):
		return nil
	case now.Before(o.restoredAt):
		return aws.String(`ongoing-request="true"`)
	}
	return aws.String(`ongoing-request="false", expiry-date="` + o.until.UTC().Format(http.TimeFormat) + `"`)
}

// thaw is how long a restore takes: the longest that AWS documents.
var thaw = map[s3types.StorageClass]map[s3types.Tier]time.Duration{
	s3types.StorageClassGlacier:     {s3types.TierExpedited: 5 * time.Minute, s3types.TierStandard: 5 * time.Hour, s3types.TierBulk: 12 * time.Hour},
	s3types.StorageClassDeepArchive: {s3types.TierStandard: 12 * time.Hour, s3types.TierBulk: 48 * time.Hour},
}

func (s *S3) restoreObject(r *awssim.Request, in *awss3.RestoreObjectInput) (*awss3.RestoreObjectOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:RestoreObject", aws.ToString(in.Key))
	if err != nil {
		return nil, err
	}
	o, err := b.version(in.Key, in.VersionId)
	if err != nil {
		return nil, err
	}
	req := in.RestoreRequest
	if req == nil || aws.ToInt32(req.Days) < 1 {
		return nil, malformed()
	}
	tier := s3types.TierStandard
	if req.GlacierJobParameters != nil {
		tier = req.GlacierJobParameters.Tier
	}
	takes, ok := thaw[o.class][tier]
	switch {
	case !frozen(o.class):
		return nil, awssim.FailStatus(403, "InvalidObjectState", "Restore is not allowed for the object's current storage class")
	case !ok:
		return nil, awssim.Fail("InvalidArgument", "The retrieval tier %s is not valid for the storage class %s", tier, o.class)
	case !o.restoredAt.IsZero() && r.Now.Before(o.restoredAt):
		return nil, awssim.FailStatus(409, "RestoreAlreadyInProgress", "Object restore is already in progress")
	}
	from := r.Now // of a copy that is there, the time it stays is counted anew
	if o.archived() {
		o.restoredAt = r.Now.Add(r.Scale(takes))
		from = o.restoredAt
	}
	o.until = from.AddDate(0, 0, int(*req.Days))
	return &awss3.RestoreObjectOutput{}, nil
}

func (s *S3) putLifecycle(r *awssim.Request, in *awss3.PutBucketLifecycleConfigurationInput) (*awss3.PutBucketLifecycleConfigurationOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:PutLifecycleConfiguration", "")
	if err != nil {
		return nil, err
	}
	if in.LifecycleConfiguration == nil || len(in.LifecycleConfiguration.Rules) == 0 || len(in.LifecycleConfiguration.Rules) > maxRules {
		return nil, malformed()
	}
	seen := map[string]bool{}
	for _, rule := range in.LifecycleConfiguration.Rules {
		id := aws.ToString(rule.ID)
		switch {
		case len(id) > maxRuleID:
			return nil, awssim.Fail("InvalidArgument", "ID length should not exceed allowed limit of 255")
		case id != "" && seen[id]:
			return nil, awssim.Fail("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
		case rule.Status != s3types.ExpirationStatusEnabled && rule.Status != s3types.ExpirationStatusDisabled:
			return nil, malformed()
		case rule.Expiration == nil && rule.Transitions == nil && rule.AbortIncompleteMultipartUpload == nil && rule.NoncurrentVersionExpiration == nil && rule.NoncurrentVersionTransitions == nil:
			return nil, awssim.Fail("InvalidRequest", "At least one action needs to be specified in a rule")
		}
		seen[id] = true
	}
	if b.lifecycle, err = copied(in.LifecycleConfiguration.Rules); err != nil {
		return nil, err
	}
	for i := range b.lifecycle {
		if aws.ToString(b.lifecycle[i].ID) == "" {
			b.lifecycle[i].ID = aws.String(r.NewID("rule"))
		}
	}
	return &awss3.PutBucketLifecycleConfigurationOutput{}, nil
}

// copied gives rules that share nothing with the given ones.
func copied(rules []s3types.LifecycleRule) (out []s3types.LifecycleRule, err error) {
	text, err := json.Marshal(rules)
	if err != nil {
		return nil, err
	}
	return out, json.Unmarshal(text, &out)
}

func (s *S3) getLifecycle(r *awssim.Request, in *awss3.GetBucketLifecycleConfigurationInput) (*awss3.GetBucketLifecycleConfigurationOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:GetLifecycleConfiguration", "")
	if err != nil {
		return nil, err
	}
	if len(b.lifecycle) == 0 {
		return nil, awssim.FailStatus(404, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
	}
	rules, err := copied(b.lifecycle)
	return &awss3.GetBucketLifecycleConfigurationOutput{Rules: rules}, err
}

func (s *S3) deleteLifecycle(r *awssim.Request, in *awss3.DeleteBucketLifecycleInput) (*awss3.DeleteBucketLifecycleOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:PutLifecycleConfiguration", "")
	if err != nil {
		return nil, err
	}
	b.lifecycle = nil
	return &awss3.DeleteBucketLifecycleOutput{}, nil
}
