package s3sim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
)

func (b *bed) copy(c *awss3.Client, to, from string, edit ...func(*awss3.CopyObjectInput)) error {
	bucketName, key, _ := strings.Cut(to, "/")
	in := &awss3.CopyObjectInput{Bucket: &bucketName, Key: &key, CopySource: &from}
	for _, f := range edit {
		f(in)
	}
	_, err := c.CopyObject(b.Context(), in)
	return err
}

func TestCopyObject(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		b.ok(b.put("dir/a b+c", "hello", func(in *awss3.PutObjectInput) {
			in.Metadata, in.ContentType = map[string]string{"k": "v"}, aws.String("text/plain")
		}))
		b.ok(b.copy(b.api, "box/copy", "/box/dir/a%20b+c", func(in *awss3.CopyObjectInput) { in.IfNoneMatch = aws.String("*") }))
		got := b.head("copy")
		if *got.ContentType != "text/plain" || got.Metadata["k"] != "v" || *got.ContentLength != 5 {
			t.Errorf("%+v", got)
		}
		b.code(b.copy(b.api, "box/copy", "box/dir/a%20b+c", func(in *awss3.CopyObjectInput) { in.IfNoneMatch = aws.String("*") }), "PreconditionFailed")
		b.code(b.copy(b.api, "box/x", "box/copy", func(in *awss3.CopyObjectInput) { in.CopySourceIfMatch = aws.String(`"x"`) }), "PreconditionFailed")
		b.code(b.copy(b.api, "box/copy", "box/copy"), "InvalidRequest") // onto itself
		b.code(b.copy(b.api, "box/x", "box/nothing"), "NoSuchKey")
		b.ok(b.copy(b.api, "box/replaced", "box/copy", func(in *awss3.CopyObjectInput) {
			in.MetadataDirective, in.Metadata = s3types.MetadataDirectiveReplace, map[string]string{"other": "w"}
		}))
		if got := b.head("replaced"); got.Metadata["other"] != "w" || got.Metadata["k"] != "" {
			t.Errorf("%+v", got.Metadata)
		}
		b.sim.Generate(b.world, region, "box", "large", 5<<30+1, 1)
		b.sim.Generate(b.world, region, "box", "just", 5<<30, 1)
		b.code(b.copy(b.api, "box/x", "box/large"), "InvalidRequest")
		b.ok(b.copy(b.api, "box/x", "box/just"))
	})
}

// TestCopyAcrossAccounts needs both sides' consent, whatever the Region of the source.
func TestCopyAcrossAccounts(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		b.ok(b.put("a", "hello"))
		far := b.client(other, "eu-central-1")
		_, err := far.CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: aws.String("far"), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: "eu-central-1"}})
		b.ok(err)
		b.code(b.copy(far, "far/a", "box/a"), "AccessDenied")
		grant := func(principal string) string {
			return `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "` + principal + `"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::box/*"}]}`
		}
		b.ok(b.policy(grant("arn:aws:iam::222222222222:root")))
		b.code(b.copy(far, "far/a", "box/a"), "AccessDenied")
		b.ok(b.policy(grant("arn:aws:iam::" + other + ":root")))
		b.ok(b.copy(far, "far/a", "box/a"))
		b.code(b.copy(far, "far/b", "box/nothing"), "AccessDenied") // who may not list does not learn that it is missing
		b.code(b.copy(b.api, "box/b", "far/a"), "AccessDenied")
		_, err = b.client(other, region).PutBucketPolicy(b.Context(), &awss3.PutBucketPolicyInput{Bucket: aws.String("box"), Policy: aws.String(grant(other))})
		b.code(err, "AccessDenied")
		b.open()
		b.ok(b.policy(grant("*")))
		b.ok(b.copy(far, "far/c", "box/a"))
		_, err = b.api.PutPublicAccessBlock(b.Context(), &awss3.PutPublicAccessBlockInput{Bucket: aws.String("box"), PublicAccessBlockConfiguration: &s3types.PublicAccessBlockConfiguration{RestrictPublicBuckets: aws.Bool(true)}})
		b.ok(err)
		b.code(b.copy(far, "far/d", "box/a"), "AccessDenied")
		status, err := b.api.GetBucketPolicyStatus(b.Context(), &awss3.GetBucketPolicyStatusInput{Bucket: aws.String("box")})
		b.ok(err)
		if !*status.PolicyStatus.IsPublic {
			t.Error("a policy for everybody is not public")
		}
	})
}

func TestCustomerKeys(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		algorithm, sum := aws.String("AES256"), aws.String("md5 of the key")
		b.ok(b.put("a", "hello", func(in *awss3.PutObjectInput) {
			in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = algorithm, aws.String("k"), sum
		}))
		_, err := b.get("a")
		b.code(err, "InvalidRequest")
		_, err = b.api.HeadObject(b.Context(), &awss3.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("a")})
		b.code(err, "BadRequest")
		b.code(b.copy(b.api, "box/b", "box/a"), "InvalidRequest")
		text, err := b.get("a", func(in *awss3.GetObjectInput) { in.SSECustomerAlgorithm, in.SSECustomerKeyMD5 = algorithm, sum })
		if err != nil || text != "hello" {
			t.Errorf("%q %v", text, err)
		}
		_, err = b.get("a", func(in *awss3.GetObjectInput) {
			in.SSECustomerAlgorithm, in.SSECustomerKeyMD5 = algorithm, aws.String("another")
		})
		b.code(err, "AccessDenied")
	})
}

func TestKMS(t *testing.T) {
	bubble(t, func(b *bed) {
		keys := kmssim.Service()
		b.world = awssim.New(b.sim, keys)
		b.api = b.client(account, region)
		kms := awskms.NewFromConfig(b.world.Config(account, region))
		b.make("box")
		made, err := kms.CreateKey(b.Context(), &awskms.CreateKeyInput{})
		b.ok(err)
		under := func(in *awss3.PutObjectInput) {
			in.ServerSideEncryption, in.SSEKMSKeyId = "aws:kms", made.KeyMetadata.KeyId
		}
		b.ok(b.put("a", "hello", under))
		if got := b.head("a"); aws.ToString(got.SSEKMSKeyId) != *made.KeyMetadata.Arn || got.ServerSideEncryption != "aws:kms" {
			t.Errorf("%v %v", got.ServerSideEncryption, aws.ToString(got.SSEKMSKeyId))
		}
		b.code(b.put("b", "x", func(in *awss3.PutObjectInput) {
			in.ServerSideEncryption, in.SSEKMSKeyId = "aws:kms", aws.String("00000000-0000-0000-0000-000000000000")
		}), "KMS.NotFoundException")
		b.code(b.put("b", "x", func(in *awss3.PutObjectInput) {
			in.ServerSideEncryption, in.SSEKMSKeyId = "AES256", made.KeyMetadata.KeyId
		}), "InvalidArgument")
		_, err = b.api.PutBucketEncryption(b.Context(), &awss3.PutBucketEncryptionInput{Bucket: aws.String("box"), ServerSideEncryptionConfiguration: &s3types.ServerSideEncryptionConfiguration{
			Rules: []s3types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &s3types.ServerSideEncryptionByDefault{SSEAlgorithm: "aws:kms", KMSMasterKeyID: made.KeyMetadata.Arn}}}}})
		b.ok(err)
		b.ok(b.put("c", "default"))
		if got := b.head("c"); aws.ToString(got.SSEKMSKeyId) != *made.KeyMetadata.Arn {
			t.Errorf("the bucket's default was not taken: %v", aws.ToString(got.SSEKMSKeyId))
		}
		_, err = kms.DisableKey(b.Context(), &awskms.DisableKeyInput{KeyId: made.KeyMetadata.KeyId})
		b.ok(err)
		_, err = b.get("a")
		b.code(err, "KMS.DisabledException")
		b.code(b.put("d", "x", under), "KMS.DisabledException")
		b.ok(b.put("e", "x", func(in *awss3.PutObjectInput) { in.ServerSideEncryption = "AES256" }))
	})
}

// TestGlacier restores archived objects: the tiers take their time, and the restored copy goes again.
func TestGlacier(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		restore := func(key string, tier s3types.Tier, days int32) error {
			_, err := b.api.RestoreObject(b.Context(), &awss3.RestoreObjectInput{Bucket: aws.String("box"), Key: &key,
				RestoreRequest: &s3types.RestoreRequest{Days: &days, GlacierJobParameters: &s3types.GlacierJobParameters{Tier: tier}}})
			return err
		}
		for _, c := range []struct {
			class s3types.StorageClass
			tier  s3types.Tier
			takes time.Duration
		}{
			{"GLACIER", "Expedited", 5 * time.Minute}, {"GLACIER", "Standard", 5 * time.Hour}, {"GLACIER", "Bulk", 12 * time.Hour},
			{"DEEP_ARCHIVE", "Standard", 12 * time.Hour}, {"DEEP_ARCHIVE", "Bulk", 48 * time.Hour},
		} {
			b.ok(b.put("a", "cold", func(in *awss3.PutObjectInput) { in.StorageClass = c.class }))
			_, err := b.get("a")
			b.code(err, "InvalidObjectState")
			b.code(b.copy(b.api, "box/b", "box/a"), "InvalidObjectState")
			b.ok(restore("a", c.tier, 1))
			b.code(restore("a", c.tier, 1), "RestoreAlreadyInProgress")
			time.Sleep(c.takes - time.Second)
			if got := aws.ToString(b.head("a").Restore); got != `ongoing-request="true"` {
				t.Errorf("%s %s: %q", c.class, c.tier, got)
			}
			time.Sleep(time.Second)
			if got := aws.ToString(b.head("a").Restore); !strings.HasPrefix(got, `ongoing-request="false", expiry-date="`) {
				t.Errorf("%s %s: %q", c.class, c.tier, got)
			}
			if text, err := b.get("a"); text != "cold" {
				t.Error(err)
			}
			time.Sleep(24 * time.Hour)
			_, err = b.get("a")
			b.code(err, "InvalidObjectState")
		}
		b.code(restore("a", "Expedited", 1), "InvalidArgument") // of DEEP_ARCHIVE
		b.code(restore("a", "Bulk", 0), "MalformedXML")
		b.ok(b.put("warm", "x"))
		b.code(restore("warm", "Bulk", 1), "InvalidObjectState")
		b.code(b.put("x", "x", func(in *awss3.PutObjectInput) { in.StorageClass = "COLD" }), "InvalidStorageClass")
	})
}
