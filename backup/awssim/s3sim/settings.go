package s3sim

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
)

const maxPolicy = 20 << 10

func malformed() error {
	return awssim.Fail("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
}

func (b *bucket) arn(r *awssim.Request) string { return "arn:" + r.Partition() + ":s3:::" + b.name }

// owned gives the bucket of a call that only the owning account may make, whatever the policy says.
func (s *S3) owned(r *awssim.Request, bucketName, expectedOwner *string, action string) (*bucket, error) {
	b, err := s.find(r, bucketName, expectedOwner, action, "")
	if err == nil && b.owner != r.Account {
		return nil, awssim.FailStatus(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
	}
	return b, err
}

func (s *S3) putBucketPolicy(r *awssim.Request, in *awss3.PutBucketPolicyInput) (*awss3.PutBucketPolicyOutput, error) {
	b, err := s.owned(r, in.Bucket, in.ExpectedBucketOwner, "s3:PutBucketPolicy")
	if err != nil {
		return nil, err
	}
	text := aws.ToString(in.Policy)
	doc, err := policy.ParseDocument([]byte(text))
	if err != nil || len(text) > maxPolicy {
		return nil, awssim.Fail("MalformedPolicy", "This policy contains invalid Json, or is too large")
	}
	for _, st := range doc.Statements {
		if st.Principal == nil && st.NotPrincipal == nil {
			return nil, awssim.Fail("MalformedPolicy", "Missing required field Principal")
		}
		for _, x := range append(slices.Clone(st.Resource), st.NotResource...) {
			arn := b.arn(r)
			if x != arn && !strings.HasPrefix(x, arn+"/") {
				return nil, awssim.Fail("MalformedPolicy", "Policy has invalid resource")
			}
		}
	}
	if *b.block.BlockPublicPolicy && public(doc) {
		return nil, denied()
	}
	b.policy, b.policyText = &doc, text
	return &awss3.PutBucketPolicyOutput{}, nil
}

func (s *S3) getBucketPolicy(r *awssim.Request, in *awss3.GetBucketPolicyInput) (*awss3.GetBucketPolicyOutput, error) {
	b, err := s.owned(r, in.Bucket, in.ExpectedBucketOwner, "s3:GetBucketPolicy")
	if err != nil {
		return nil, err
	}
	if b.policy == nil {
		return nil, awssim.FailStatus(404, "NoSuchBucketPolicy", "The bucket policy does not exist")
	}
	return &awss3.GetBucketPolicyOutput{Policy: aws.String(b.policyText)}, nil
}

func (s *S3) getBucketPolicyStatus(r *awssim.Request, in *awss3.GetBucketPolicyStatusInput) (*awss3.GetBucketPolicyStatusOutput, error) {
	b, err := s.owned(r, in.Bucket, in.ExpectedBucketOwner, "s3:GetBucketPolicyStatus")
	if err != nil {
		return nil, err
	}
	if b.policy == nil {
		return nil, awssim.FailStatus(404, "NoSuchBucketPolicy", "The bucket policy does not exist")
	}
	return &awss3.GetBucketPolicyStatusOutput{PolicyStatus: &s3types.PolicyStatus{IsPublic: aws.Bool(public(*b.policy))}}, nil
}

func (s *S3) deleteBucketPolicy(r *awssim.Request, in *awss3.DeleteBucketPolicyInput) (*awss3.DeleteBucketPolicyOutput, error) {
	b, err := s.owned(r, in.Bucket, in.ExpectedBucketOwner, "s3:DeleteBucketPolicy")
	if err != nil {
		return nil, err
	}
	b.policy, b.policyText = nil, ""
	return &awss3.DeleteBucketPolicyOutput{}, nil
}

// blocks is a setting of Block Public Access in which all four are alike.
func blocks(on bool) s3types.PublicAccessBlockConfiguration {
	return s3types.PublicAccessBlockConfiguration{BlockPublicAcls: &on, IgnorePublicAcls: &on, BlockPublicPolicy: &on, RestrictPublicBuckets: &on}
}

func (s *S3) putPublicAccessBlock(r *awssim.Request, in *awss3.PutPublicAccessBlockInput) (*awss3.PutPublicAccessBlockOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:PutBucketPublicAccessBlock", "")
	if err != nil {
		return nil, err
	}
	c := in.PublicAccessBlockConfiguration
	b.block = s3types.PublicAccessBlockConfiguration{
		BlockPublicAcls: aws.Bool(aws.ToBool(c.BlockPublicAcls)), IgnorePublicAcls: aws.Bool(aws.ToBool(c.IgnorePublicAcls)),
		BlockPublicPolicy: aws.Bool(aws.ToBool(c.BlockPublicPolicy)), RestrictPublicBuckets: aws.Bool(aws.ToBool(c.RestrictPublicBuckets)),
	}
	return &awss3.PutPublicAccessBlockOutput{}, nil
}

func (s *S3) getPublicAccessBlock(r *awssim.Request, in *awss3.GetPublicAccessBlockInput) (*awss3.GetPublicAccessBlockOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:GetBucketPublicAccessBlock", "")
	if err != nil {
		return nil, err
	}
	c := b.block
	if !*c.BlockPublicAcls && !*c.IgnorePublicAcls && !*c.BlockPublicPolicy && !*c.RestrictPublicBuckets {
		return nil, awssim.FailStatus(404, "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
	}
	return &awss3.GetPublicAccessBlockOutput{PublicAccessBlockConfiguration: &s3types.PublicAccessBlockConfiguration{
		BlockPublicAcls: aws.Bool(*c.BlockPublicAcls), IgnorePublicAcls: aws.Bool(*c.IgnorePublicAcls),
		BlockPublicPolicy: aws.Bool(*c.BlockPublicPolicy), RestrictPublicBuckets: aws.Bool(*c.RestrictPublicBuckets),
	}}, nil
}

func (s *S3) deletePublicAccessBlock(r *awssim.Request, in *awss3.DeletePublicAccessBlockInput) (*awss3.DeletePublicAccessBlockOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:PutBucketPublicAccessBlock", "")
	if err != nil {
		return nil, err
	}
	b.block = blocks(false)
	return &awss3.DeletePublicAccessBlockOutput{}, nil
}

func (s *S3) putBucketVersioning(r *awssim.Request, in *awss3.PutBucketVersioningInput) (*awss3.PutBucketVersioningOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:PutBucketVersioning", "")
	if err != nil {
		return nil, err
	}
	switch to := in.VersioningConfiguration.Status; {
	case to != s3types.BucketVersioningStatusEnabled && to != s3types.BucketVersioningStatusSuspended:
		return nil, malformed()
	case b.lockable && to == s3types.BucketVersioningStatusSuspended:
		return nil, awssim.FailStatus(409, "InvalidBucketState", "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
	default:
		b.versioning = to
	}
	return &awss3.PutBucketVersioningOutput{}, nil
}

func (s *S3) getBucketVersioning(r *awssim.Request, in *awss3.GetBucketVersioningInput) (*awss3.GetBucketVersioningOutput, error) {
	b, err := s.find(r, in.Bucket, in.ExpectedBucketOwner, "s3:GetBucketVersioning", "")
	if err != nil {
		return nil, err
	}
	return &awss3.GetBucketVersioningOutput{Status: b.versioning}, nil
}
