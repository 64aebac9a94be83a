package s3sim

import (
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
)

// S3 is a simulated Amazon S3 for one World. Make it with Service.
type S3 struct {
	buckets map[name]*bucket
}

// name is where a bucket's name is unique.
type name struct{ partition, bucket string }

type bucket struct {
	name, region, owner string
	made                time.Time
	// objects holds the versions of each key, the oldest first.
	objects map[string][]*object
	// pending are the objects that services are writing, by the time at which each will be there.
	pending    []*object
	uploads    map[string]*upload
	ownership  s3types.ObjectOwnership // empty where it is not set: then ACLs count
	grants     []s3types.Grant
	policy     *policy.Document
	policyText string
	block      s3types.PublicAccessBlockConfiguration
	versioning s3types.BucketVersioningStatus
	encryption s3types.ServerSideEncryptionByDefault
	lock       *s3types.ObjectLockRule
	lockable   bool
	lifecycle  []s3types.LifecycleRule
}

// Service makes a simulated S3 without buckets.
func Service() *S3 { return &S3{buckets: map[name]*bucket{}} }

// Definition describes the service to its World; awssim.New calls it.
func (s *S3) Definition() awssim.Definition {
	return awssim.Definition{
		ID: "S3",
		Handlers: map[string]awssim.Handler{
			"CreateBucket":                    awssim.Write(s.createBucket),
			"HeadBucket":                      awssim.Read(s.headBucket),
			"GetBucketLocation":               awssim.Read(s.getBucketLocation),
			"PutBucketPolicy":                 awssim.Write(s.putBucketPolicy),
			"GetBucketPolicy":                 awssim.Read(s.getBucketPolicy),
			"GetBucketPolicyStatus":           awssim.Read(s.getBucketPolicyStatus),
			"DeleteBucketPolicy":              awssim.Write(s.deleteBucketPolicy),
			"PutBucketOwnershipControls":      awssim.Write(s.putBucketOwnershipControls),
			"GetBucketOwnershipControls":      awssim.Read(s.getBucketOwnershipControls),
			"DeleteBucketOwnershipControls":   awssim.Write(s.deleteBucketOwnershipControls),
			"PutBucketAcl":                    awssim.Write(s.putBucketACL),
			"GetBucketAcl":                    awssim.Read(s.getBucketACL),
			"PutPublicAccessBlock":            awssim.Write(s.putPublicAccessBlock),
			"GetPublicAccessBlock":            awssim.Read(s.getPublicAccessBlock),
			"DeletePublicAccessBlock":         awssim.Write(s.deletePublicAccessBlock),
			"PutBucketVersioning":             awssim.Write(s.putBucketVersioning),
			"GetBucketVersioning":             awssim.Read(s.getBucketVersioning),
			"PutBucketEncryption":             awssim.Write(s.putBucketEncryption),
			"GetBucketEncryption":             awssim.Read(s.getBucketEncryption),
			"PutBucketLifecycleConfiguration": awssim.Write(s.putLifecycle),
			"GetBucketLifecycleConfiguration": awssim.Read(s.getLifecycle),
			"DeleteBucketLifecycle":           awssim.Write(s.deleteLifecycle),
			"PutObjectLockConfiguration":      awssim.Write(s.putLockConfiguration),
			"GetObjectLockConfiguration":      awssim.Read(s.getLockConfiguration),
			"PutObject":                       awssim.Write(s.putObject),
			"GetObject":                       awssim.Read(s.getObject),
			"HeadObject":                      awssim.Read(s.headObject),
			"DeleteObject":                    awssim.Write(s.deleteObject),
			"CopyObject":                      awssim.Write(s.copyObject),
			"ListObjectsV2":                   awssim.Read(s.listObjects),
			"ListObjectVersions":              awssim.Read(s.listVersions),
			"RestoreObject":                   awssim.Write(s.restoreObject),
			"PutObjectRetention":              awssim.Write(s.putRetention),
			"GetObjectRetention":              awssim.Read(s.getRetention),
			"PutObjectLegalHold":              awssim.Write(s.putLegalHold),
			"GetObjectLegalHold":              awssim.Read(s.getLegalHold),
			"CreateMultipartUpload":           awssim.Write(s.createUpload),
			"UploadPart":                      awssim.Write(s.uploadPart),
			"UploadPartCopy":                  awssim.Write(s.uploadPartCopy),
			"ListParts":                       awssim.Read(s.listParts),
			"ListMultipartUploads":            awssim.Read(s.listUploads),
			"CompleteMultipartUpload":         awssim.Write(s.completeUpload),
			"AbortMultipartUpload":            awssim.Write(s.abortUpload),
		},
		Prepare:   prepare,
		Throttled: awssim.Error{Status: 503, Code: "SlowDown", Message: "Please reduce your request rate."},
		Typed:     typed,
	}
}

// body is an upload that was read.
type body struct{ data []byte }

func (b *body) Read([]byte) (int, error) { return 0, io.EOF }

// prepare reads an upload's body. A body that can be rewound is read from its start, because the SDK has read it for its checksum, or sent it
// before.
func prepare(_ string, in any) (any, error) {
	switch in := in.(type) {
	case *awss3.PutObjectInput:
		c := *in
		data, err := drain(c.Body)
		c.Body = data
		return &c, err
	case *awss3.UploadPartInput:
		c := *in
		data, err := drain(c.Body)
		c.Body = data
		return &c, err
	}
	return in, nil
}

func drain(from io.Reader) (*body, error) {
	if from == nil {
		return &body{}, nil
	}
	at, rewinds := from.(io.Seeker)
	if rewinds {
		if _, err := at.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
	}
	data, err := io.ReadAll(from)
	if err != nil {
		return nil, err
	}
	if rewinds { // for the World, which reads it as if it were sent
		if _, err := at.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
	}
	return &body{data}, nil
}

// typed turns an error into the type that the SDK models for its code; others stay a *smithy.GenericAPIError.
func typed(e *awssim.Error) error {
	m := &e.Message
	switch e.Code {
	case "NoSuchBucket":
		return &s3types.NoSuchBucket{Message: m}
	case "NoSuchKey":
		return &s3types.NoSuchKey{Message: m}
	case "NoSuchUpload":
		return &s3types.NoSuchUpload{Message: m}
	case "NotFound":
		return &s3types.NotFound{Message: m}
	case "AccessDenied":
		return &s3types.AccessDenied{Message: m}
	case "InvalidRequest":
		return &s3types.InvalidRequest{Message: m}
	case "InvalidObjectState":
		return &s3types.InvalidObjectState{Message: m}
	case "BucketAlreadyExists":
		return &s3types.BucketAlreadyExists{Message: m}
	case "BucketAlreadyOwnedByYou":
		return &s3types.BucketAlreadyOwnedByYou{Message: m}
	}
	return nil
}

func denied() error { return awssim.FailStatus(403, "AccessDenied", "Access Denied") }

func unsupported(format string, args ...any) error {
	return awssim.FailStatus(501, "NotImplemented", "s3sim: "+format, args...)
}

// bucket gives a bucket as it is now.
func (s *S3) bucket(r *awssim.Request, bucketName string) (*bucket, bool) {
	b, ok := s.buckets[name{r.Partition(), bucketName}]
	if ok {
		b.settle(r)
	}
	return b, ok
}

func noBucket() error {
	return awssim.FailStatus(404, "NoSuchBucket", "The specified bucket does not exist")
}

// find gives the bucket that a call is about, and refuses the call where S3 would. Who comes to the wrong Region is sent on before it is asked who
// that is.
func (s *S3) find(r *awssim.Request, bucketName, expectedOwner *string, action, key string, told ...facts) (*bucket, error) {
	if b, ok := s.bucket(r, aws.ToString(bucketName)); ok && b.region != r.Region {
		return nil, awssim.FailStatus(301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.")
	}
	return s.anywhere(r, bucketName, expectedOwner, action, key, told...)
}

// anywhere is find for a bucket in any Region, as the source of a copy may be.
func (s *S3) anywhere(r *awssim.Request, bucketName, expectedOwner *string, action, key string, told ...facts) (*bucket, error) {
	r.Now = time.Now() // no call of S3 looks into the past
	b, ok := s.bucket(r, aws.ToString(bucketName))
	switch {
	case !ok:
		return nil, noBucket()
	case expectedOwner != nil && *expectedOwner != b.owner, !s.may(r, b, action, key, told...):
		return nil, denied()
	}
	return b, nil
}

func (s *S3) createBucket(r *awssim.Request, in *awss3.CreateBucketInput) (*awss3.CreateBucketOutput, error) {
	n := aws.ToString(in.Bucket)
	r.Now = time.Now()
	if headers := given(in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWrite, in.GrantWriteACP); headers || in.ACL != "" && in.ACL != s3types.BucketCannedACLPrivate {
		return nil, unsupported("ACLs in CreateBucket")
	}
	if err := policy.ValidateBucketName(n); err != nil {
		var why *policy.NameError
		if !errors.As(err, &why) || why.Rule != policy.RuleLabel { // S3 itself takes a hyphen beside a dot
			return nil, awssim.Fail("InvalidBucketName", "The specified bucket is not valid.")
		}
	}
	place := ""
	if in.CreateBucketConfiguration != nil {
		place = string(in.CreateBucketConfiguration.LocationConstraint)
	}
	if place != r.Region && (place != "" || r.Region != "us-east-1") || place == "us-east-1" {
		return nil, awssim.Fail("IllegalLocationConstraintException", "The %s location constraint is incompatible for the region specific endpoint this request was sent to.", place)
	}
	if old, ok := s.buckets[name{r.Partition(), n}]; ok {
		switch {
		case old.owner == r.Account && old.region == r.Region && r.Region == "us-east-1": // for old programs
			old.grants = private(old.owner)
			return &awss3.CreateBucketOutput{Location: aws.String("/" + n)}, nil
		case old.owner == r.Account:
			return nil, awssim.FailStatus(409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
		}
		return nil, awssim.FailStatus(409, "BucketAlreadyExists", "The requested bucket name is not available.")
	}
	b := &bucket{
		name: n, region: r.Region, owner: r.Account, made: r.Now, objects: map[string][]*object{}, uploads: map[string]*upload{},
		ownership: s3types.ObjectOwnershipBucketOwnerEnforced, grants: private(r.Account), block: blocks(true),
		encryption: s3types.ServerSideEncryptionByDefault{SSEAlgorithm: s3types.ServerSideEncryptionAes256},
	}
	if in.ObjectOwnership != "" {
		b.ownership = in.ObjectOwnership
	}
	if aws.ToBool(in.ObjectLockEnabledForBucket) {
		b.lockable, b.versioning = true, s3types.BucketVersioningStatusEnabled
	}
	s.buckets[name{r.Partition(), n}] = b
	return &awss3.CreateBucketOutput{Location: aws.String("/" + n)}, nil
}

func (s *S3) headBucket(r *awssim.Request, in *awss3.HeadBucketInput) (*awss3.HeadBucketOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:ListBucket", "")
	if err != nil {
		return nil, head(err)
	}
	return &awss3.HeadBucketOutput{BucketRegion: &b.region}, nil
}

// head makes of an error what a HEAD request tells of it, whose answer has no body.
func head(err error) error {
	var e *awssim.Error
	if !errors.As(err, &e) {
		return err
	}
	code := map[int]string{404: "NotFound", 403: "Forbidden", 301: "MovedPermanently", 304: "NotModified", 412: "PreconditionFailed", 405: "MethodNotAllowed",
		501: "NotImplemented"}[e.Status]
	if code == "" {
		code = "BadRequest"
	}
	return &awssim.Error{Status: e.Status, Code: code, Message: code}
}

func (s *S3) getBucketLocation(r *awssim.Request, in *awss3.GetBucketLocationInput) (*awss3.GetBucketLocationOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:GetBucketLocation", "")
	if err != nil {
		return nil, err
	}
	o := &awss3.GetBucketLocationOutput{}
	if b.region != "us-east-1" {
		o.LocationConstraint = s3types.BucketLocationConstraint(b.region)
	}
	return o, nil
}
