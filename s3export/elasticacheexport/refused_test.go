package elasticacheexport_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
)

// found runs an export that is refused, and gives the ids of what it found.
func (b *bed) refusal(code backup.Code, hint string) (ids []string) {
	b.Helper()
	op := b.run(b.start("plain", "named"))
	if op.Phase != backup.PhaseFailed || !errors.Is(op.Err(), code) || !strings.Contains(backup.HintOf(op.Err()), hint) || strings.Contains(backup.HintOf(op.Err()), "{") {
		b.Errorf("%s %v, hint %q", op.Phase, op.Err(), backup.HintOf(op.Err()))
	}
	for _, f := range op.Findings {
		if f.Message == "" || f.Remedy == "" || f.Ref.IsZero() {
			b.Errorf("%+v", f)
		}
		ids = append(ids, strings.TrimPrefix(f.ID, "elasticacheexport."))
	}
	return ids
}

// What a look finds before anything is sent ends the work with the ids that Preflight uses, and with words on the bucket.
func TestRefusedBeforeSending(t *testing.T) {
	for id, c := range map[string]struct {
		setup func(b *bed)
		code  backup.Code
		hint  string
	}{
		"bucket-missing": {func(*bed) {}, backup.ErrNotFound, "PrepareOptions.Create"},
		"bucket-owner": {func(b *bed) {
			other := awss3.NewFromConfig(b.world.Config("999988887777", region))
			_, err := other.CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: aws.String(bucket), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: region}})
			b.ok(err)
		}, backup.ErrDenied, "s3:ListBucket"},
		"bucket-region": {func(b *bed) {
			far := awss3.NewFromConfig(b.world.Config(account, "us-east-1"))
			_, err := far.CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: aws.String(bucket)})
			b.ok(err)
		}, backup.ErrInvalid, "snapshot's own Region"},
		"key-taken": {func(b *bed) {
			b.bucket(bucket, all...)
			_, err := b.s3.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("named-0001.rdb"), Body: strings.NewReader("theirs")})
			b.ok(err)
		}, backup.ErrConflict, "Spec.Name"},
		"data-tiering": {func(b *bed) {
			b.bucket(bucket, all...)
			b.hook(described(func(x *ectypes.Snapshot) { x.DataTiering = ectypes.DataTieringStatusEnabled }))
		}, backup.ErrUnsupported, "r6gd"},
	} {
		bubble(t, func(b *bed) {
			c.setup(b)
			before := b.found(b.start("plain", "named"))
			if got := b.refusal(c.code, c.hint); len(got) != 1 || got[0] != id || len(before) != 1 || before[0] != id {
				b.Errorf("%s: Preflight found %v, the export %v", id, before, got)
			}
		})
	}
}

// A right that was given and is denied again is not "not granted": the bucket is looked at, and the statement is told.
func TestRefusedByADeny(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket)
		service := &policy.Principal{Service: []string{region + ".elasticache-snapshot.amazonaws.com"}}
		whole := []string{"arn:aws:s3:::" + bucket, "arn:aws:s3:::" + bucket + "/*"}
		b.write(policy.Statement{Sid: "Export", Effect: policy.Allow, Principal: service, Action: all, Resource: whole},
			policy.Statement{Sid: "No", Effect: policy.Deny, Principal: &policy.Principal{Everyone: true}, Action: []string{"s3:PutObject"}, Resource: whole[1:]})
		if got := b.refusal(backup.ErrDenied, "from the Deny"); strings.Join(got, " ") != "grant-write policy-denies" {
			b.Error(got)
		}
	})
}

// Where ACLs have no effect, no grant is advised; where they have one, it is.
func TestRefusedWithACLs(t *testing.T) {
	for ownership, advised := range map[s3types.ObjectOwnership]bool{s3types.ObjectOwnershipBucketOwnerEnforced: false, s3types.ObjectOwnershipObjectWriter: true} {
		bubble(t, func(b *bed) {
			b.bucket(bucket)
			_, err := b.s3.PutBucketOwnershipControls(b.Context(), &awss3.PutBucketOwnershipControlsInput{Bucket: aws.String(bucket),
				OwnershipControls: &s3types.OwnershipControls{Rules: []s3types.OwnershipControlsRule{{ObjectOwnership: ownership}}}})
			b.ok(err)
			found, err := b.s.Preflight(b.Context(), b.start("plain", "named"))
			b.ok(err)
			op := b.run(b.start("plain", "named"))
			for _, remedy := range []string{found[0].Remedy, backup.HintOf(op.Err())} {
				if strings.Contains(remedy, "canonical id") != advised || !strings.Contains(remedy, "eu-west-1.elasticache-snapshot.amazonaws.com") {
					b.Errorf("%s: %q", ownership, remedy)
				}
			}
		})
	}
}

// A refusal of IAM's has an id too, and a look that fails explains nothing and changes nothing.
func TestRefusedByIAM(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Kind: awssim.FaultError, Error: awssim.Error{Code: "AccessDenied", Message: "User: x is not authorized to perform: elasticache:CopySnapshot"}})
		if got := b.refusal(backup.ErrDenied, "the message names the action"); len(got) != 1 || got[0] != "caller-rights" {
			b.Error(got)
		}
	})
	bubble(t, func(b *bed) {
		b.bucket(bucket)
		b.world.Inject(awssim.Fault{Operation: "HeadBucket", Times: 9, Kind: awssim.FaultError, Error: awssim.Error{Code: "InternalError", Message: "no"}})
		if got := b.refusal(backup.ErrDenied, "policy.ExportStatement"); len(got) != 1 || got[0] != "grant-read" {
			b.Error(got)
		}
	})
}

// A Region that is not enabled does not know the caller.
func TestPreflightOfADisabledRegion(t *testing.T) {
	for _, code := range []string{"OptInRequired", "InvalidClientTokenId", "UnrecognizedClientException"} {
		bubble(t, func(b *bed) {
			b.bucket(bucket, all...)
			b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Kind: awssim.FaultError, Error: awssim.Error{Code: code, Message: "no"}})
			if got := b.found(b.start("plain", "")); len(got) != 1 || got[0] != "region-disabled" {
				b.Errorf("%s: %v", code, got)
			}
		})
	}
}
