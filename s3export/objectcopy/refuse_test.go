package objectcopy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// What can not be copied, or is not there, ends with its reason and without a call that changes anything.
func TestRefusesSource(t *testing.T) {
	for _, c := range []struct {
		name string
		ref  backup.Ref
		make func(in *awss3.PutObjectInput) // nil for no object
		code backup.Code
		part string // of the message or hint
	}{
		{"nothing there", source("k"), nil, backup.ErrNotFound, "does not exist"},
		{"SSE-C", source("k"), func(in *awss3.PutObjectInput) {
			in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = aws.String("AES256"), aws.String(strings.Repeat("k", 32)), aws.String("md5")
		}, backup.ErrUnsupported, "SSE-C"},
		{"encrypted by a client", source("k"), func(in *awss3.PutObjectInput) {
			in.Metadata = map[string]string{"x-amz-iv": "AAAA", "x-amz-key-v2": "BBBB"}
		}, backup.ErrUnsupported, "encrypted by a client"},
		{"encrypted by a client of the third version", source("k"), func(in *awss3.PutObjectInput) {
			in.Metadata = map[string]string{"X-Amz-C": "115"}
		}, backup.ErrUnsupported, "encrypted by a client"},
		{"much metadata", source("k"), func(in *awss3.PutObjectInput) {
			in.Metadata = map[string]string{"m": strings.Repeat("x", 1900)}
		}, backup.ErrUnsupported, "2 KB"},
		{"bucket in another Region", objectcopy.Object(account, "eu-west-3", from, "k"), nil, backup.ErrInvalid, "another Region"},
		{"bucket of another owner", objectcopy.Object(other, here, from, "k"), nil, backup.ErrDenied, "s3:GetObject"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				if c.make != nil {
					b.put("k", []byte("x"), c.make)
				}
				before := len(b.world.Calls())
				op, err := b.s.Start(b.Context(), c.ref, backup.Spec{Token: "t", Options: options(func(o *objectcopy.Options) { o.Account = account })})
				b.ok(err)
				op = b.run(op)
				if err := op.Err(); op.Phase != backup.PhaseFailed || backup.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.part) {
					t.Errorf("%s: %v", op.Phase, err)
				}
				for _, call := range b.world.Calls()[before:] {
					if call.Mutates {
						t.Error(call.Operation)
					}
				}
			})
		})
	}
}

// allow lets an account do something with a bucket and its objects.
func (b *bed) allow(c *awss3.Client, bucket, who string, actions ...string) {
	b.Helper()
	text, err := json.Marshal(policy.Document{Version: policy.Version, Statements: []policy.Statement{{Sid: "Copy", Effect: policy.Allow,
		Principal: &policy.Principal{AWS: []string{"arn:aws:iam::" + who + ":root"}},
		Action:    actions, Resource: []string{"arn:aws:s3:::" + bucket, "arn:aws:s3:::" + bucket + "/*"}}}})
	b.ok(err)
	_, err = c.PutBucketPolicy(b.Context(), &awss3.PutBucketPolicyInput{Bucket: &bucket, Policy: aws.String(string(text))})
	b.ok(err)
}

// A bucket of another account is copied from when its policy lets the caller read it, and what is missing is said in words.
func TestOtherAccount(t *testing.T) {
	bubble(t, func(b *bed) {
		theirs := b.world.Config(other, there)
		b.bucket(awss3.NewFromConfig(theirs), "theirs", there)
		b.generate("k", 12*mib)
		b.s = objectcopy.NewFromConfig(theirs)
		begin := func(token string) backup.Operation {
			op, err := b.s.Start(b.Context(), source("k"), backup.Spec{Token: token, Options: objectcopy.Options{Account: other, Region: there, Bucket: "theirs", PartSize: 5 * mib}})
			b.ok(err)
			return b.run(op)
		}
		if op := begin("1"); backup.CodeOf(op.Err()) != backup.ErrDenied || !strings.Contains(backup.HintOf(op.Err()), "s3:GetObject on the source") {
			t.Error(op.Err())
		}
		b.allow(b.near, from, other, "s3:GetObject", "s3:ListBucket")
		op := begin("2")
		if op.Err() != nil || !b.store.Same(b.world, here, from, "k", there, "theirs", "k") {
			t.Error(op.Err())
		}
		// The destination of an account that the credentials do not belong to.
		wrong, err := b.s.Start(b.Context(), source("k"), backup.Spec{Token: "3", Options: options()})
		if err == nil {
			_, err = b.s.Step(b.Context(), wrong)
		}
		if backup.CodeOf(err) != backup.ErrInvalid {
			t.Error(err)
		}
	})
}

// Whichever call is refused, the error names the right that is missing, and nothing is left behind.
func TestDenied(t *testing.T) {
	for _, c := range []struct {
		operation string
		size      int64
		right     string
	}{
		{"CopyObject", 10, "s3:PutObject"}, {"CreateMultipartUpload", 12 * mib, "s3:PutObject"},
		{"UploadPartCopy", 12 * mib, "kms:Decrypt"},
	} {
		bubble(t, func(b *bed) {
			b.generate("k", c.size)
			b.world.Inject(awssim.Fault{Operation: c.operation, Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied", Message: "Access Denied"}})
			op := b.run(b.start("k", options(func(o *objectcopy.Options) { o.PartSize = 5 * mib })))
			if op.Phase != backup.PhaseFailed || backup.CodeOf(op.Err()) != backup.ErrDenied || !strings.Contains(backup.HintOf(op.Err()), c.right) {
				t.Errorf("%s: %s, %v", c.operation, op.Phase, op.Err())
			}
			if len(op.Points)+len(op.Made)+len(b.objects()) != 0 {
				t.Errorf("%s: points %v, made %v", c.operation, op.Points, op.Made)
			}
			b.clean()
		})
	}
}

// The right that AWS's message names is named first.
func TestDeniedByName(t *testing.T) {
	bubble(t, func(b *bed) {
		b.generate("k", 10)
		b.world.Inject(awssim.Fault{Operation: "CopyObject", Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied",
			Message: "User: arn:aws:iam::111122223333:user/x is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:... because no identity-based policy allows it"}})
		op := b.run(b.start("k", options()))
		if !strings.HasPrefix(backup.HintOf(op.Err()), "the missing right is kms:GenerateDataKey;") {
			t.Error(op.Err())
		}
	})
}

// A right that is lost in the middle does not throw away what was done: the copy goes on when it is back. A right to look that was lost after the
// copy is no failure of it either.
func TestDeniedInTheMiddle(t *testing.T) {
	for _, c := range []struct {
		operation string
		skip      int
	}{{"UploadPartCopy", 2}, {"ListParts", 1}, {"CompleteMultipartUpload", 0}, {"HeadObject", 3}} {
		bubble(t, func(b *bed) {
			b.s = objectcopy.NewFromConfig(b.world.Config(account, there), func(s *objectcopy.Settings) { s.Concurrency = 1 })
			b.generate("k", 30*mib)
			b.world.Inject(awssim.Fault{Operation: c.operation, Skip: c.skip, Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied", Message: "Access Denied"}})
			op := b.start("k", options(func(o *objectcopy.Options) { o.PartSize = 5 * mib }))
			op, err := b.runner().Run(b.Context(), op)
			if op.Done() || backup.CodeOf(err) != backup.ErrDenied {
				t.Fatalf("%s: %s, %v", c.operation, op.Phase, err)
			}
			parts := b.calls("UploadPartCopy")
			b.world.Heal()
			b.succeeded(b.run(op), "k")
			if n := b.calls("UploadPartCopy"); c.operation == "UploadPartCopy" && n != parts+4 || c.operation != "UploadPartCopy" && n != 6 {
				t.Errorf("%s: %d parts were sent, %d of them before", c.operation, n, parts)
			}
		})
	}
}

// Storage classes and tags are sent as they were asked for. The simulation keeps no tags and refuses them.
func TestTags(t *testing.T) {
	for _, size := range []int64{10, 12 * mib} {
		bubble(t, func(b *bed) {
			b.generate("k", size)
			op, err := b.s.Start(b.Context(), source("k"), backup.Spec{Token: "t", Tags: map[string]string{"team": "a b", "x": "1+1=2"}, Options: options(func(o *objectcopy.Options) {
				o.PartSize, o.StorageClass, o.Encryption = 5*mib, s3types.StorageClassDeepArchive, objectcopy.SSES3{}
			})})
			b.ok(err)
			op = b.run(op)
			if backup.CodeOf(op.Err()) != backup.ErrUnsupported {
				t.Error(op.Err())
			}
			found := false
			for _, c := range b.world.Calls() {
				switch in := c.Input.(type) {
				case *awss3.CopyObjectInput:
					found = aws.ToString(in.Tagging) == "team=a+b&x=1%2B1%3D2" && in.TaggingDirective == s3types.TaggingDirectiveReplace && in.ServerSideEncryption == s3types.ServerSideEncryptionAes256
				case *awss3.CreateMultipartUploadInput:
					found = aws.ToString(in.Tagging) == "team=a+b&x=1%2B1%3D2" && in.StorageClass == s3types.StorageClassDeepArchive
				}
			}
			if !found {
				t.Error("the tags were not sent")
			}
		})
	}
}
