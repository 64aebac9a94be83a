package s3sim

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// keyRing and keyNames are what a simulated KMS tells of keys. Without one, every key is there and usable.
type keyRing interface {
	KeyUsable(keyARN, account string) (state string, exists bool)
}

type keyNames interface {
	ResolveKey(r *awssim.Request, id string) (keyARN string, ok bool)
}

// cipher is how an object is encrypted.
type cipher struct {
	sse      s3types.ServerSideEncryption
	key      string // ARN, of SSE-KMS
	customer string // MD5 of the key, of SSE-C
}

// seal decides how a new object is encrypted: as the call says, or else as the bucket's default does.
func (b *bucket) seal(r *awssim.Request, sse s3types.ServerSideEncryption, key, customerAlgorithm, customerMD5 *string) (cipher, error) {
	if customerAlgorithm != nil {
		if *customerAlgorithm != "AES256" || customerMD5 == nil {
			return cipher{}, awssim.Fail("InvalidArgument", "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption algorithm and key.")
		}
		return cipher{customer: *customerMD5}, nil
	}
	if sse == "" {
		sse, key = b.encryption.SSEAlgorithm, b.encryption.KMSMasterKeyID
	}
	switch sse {
	case s3types.ServerSideEncryptionAes256:
		if key != nil {
			return cipher{}, awssim.Fail("InvalidArgument", "Server Side Encryption with KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
		}
		return cipher{sse: sse}, nil
	case s3types.ServerSideEncryptionAwsKms:
	default:
		return cipher{}, unsupported("encryption %q", sse)
	}
	id := aws.ToString(key)
	if id == "" {
		id = "alias/aws/s3"
	}
	arn, ok := id, true
	if names, found := awssim.Find[keyNames](r.World); found {
		arn, ok = names.ResolveKey(r, id)
	}
	if !ok {
		return cipher{}, awssim.Fail("KMS.NotFoundException", "Key '%s' does not exist", id)
	}
	c := cipher{sse: sse, key: arn}
	return c, c.open(r)
}

// open tells why the caller cannot use the object's key.
func (c cipher) open(r *awssim.Request) error {
	ring, ok := awssim.Find[keyRing](r.World)
	if c.key == "" || !ok {
		return nil
	}
	switch state, exists := ring.KeyUsable(c.key, r.Account); {
	case !exists:
		return denied()
	case state == "Disabled":
		return awssim.Fail("KMS.DisabledException", "%s is disabled.", c.key)
	case state != "Enabled":
		return awssim.Fail("KMS.KMSInvalidStateException", "%s is %s.", c.key, state)
	}
	return nil
}

// given tells why the customer's key of a call does not open the object.
func (c cipher) given(algorithm, customerMD5 *string) error {
	switch {
	case c.customer == "" && algorithm != nil:
		return awssim.Fail("InvalidRequest", "The encryption parameters are not applicable to this object.")
	case c.customer != "" && algorithm == nil:
		return awssim.Fail("InvalidRequest", "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.")
	case c.customer != aws.ToString(customerMD5):
		return denied()
	}
	return nil
}

func (c cipher) algorithm() *string {
	if c.customer == "" {
		return nil
	}
	return aws.String("AES256")
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (s *S3) putBucketEncryption(r *awssim.Request, in *awss3.PutBucketEncryptionInput) (*awss3.PutBucketEncryptionOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:PutEncryptionConfiguration", "")
	if err != nil {
		return nil, err
	}
	rules := in.ServerSideEncryptionConfiguration.Rules
	if len(rules) != 1 || rules[0].ApplyServerSideEncryptionByDefault == nil {
		return nil, malformed()
	}
	to := *rules[0].ApplyServerSideEncryptionByDefault
	if to.SSEAlgorithm != s3types.ServerSideEncryptionAes256 && to.SSEAlgorithm != s3types.ServerSideEncryptionAwsKms {
		return nil, unsupported("encryption %q", to.SSEAlgorithm)
	}
	b.encryption = s3types.ServerSideEncryptionByDefault{SSEAlgorithm: to.SSEAlgorithm, KMSMasterKeyID: optional(aws.ToString(to.KMSMasterKeyID))}
	return &awss3.PutBucketEncryptionOutput{}, nil
}

func (s *S3) getBucketEncryption(r *awssim.Request, in *awss3.GetBucketEncryptionInput) (*awss3.GetBucketEncryptionOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:GetEncryptionConfiguration", "")
	if err != nil {
		return nil, err
	}
	now := s3types.ServerSideEncryptionByDefault{SSEAlgorithm: b.encryption.SSEAlgorithm, KMSMasterKeyID: optional(aws.ToString(b.encryption.KMSMasterKeyID))}
	return &awss3.GetBucketEncryptionOutput{ServerSideEncryptionConfiguration: &s3types.ServerSideEncryptionConfiguration{
		Rules: []s3types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &now}}}}, nil
}
