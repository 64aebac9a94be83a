package iamsim_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/backup/awssim/stssim"
	"github.com/snapwarden/snapwarden/policy"
)

const place = "eu-west-1"

// simulated is the caller of World.Config.
const simulated = "arn:aws:iam::" + home + ":user/simulated"

// everyService makes a World of all simulated services, with a bucket called exports.
func everyService(t *testing.T) (*iamsim.IAM, *awssim.World) {
	t.Helper()
	iam := iamsim.Service()
	w := awssim.New(ec2sim.Service(), rdssim.Service(), elasticachesim.Service(), s3sim.Service(), kmssim.Service(), stssim.Service(), iam)
	if _, err := awss3.NewFromConfig(w.Config(home, place)).CreateBucket(t.Context(), bucketIn("exports", place)); err != nil {
		t.Fatal(err)
	}
	return iam, w
}

// request is a call with the action that it needs, and the code and status of a refusal; without an action it needs nothing.
type request struct {
	action, code string
	status       int
	call         func(ctx context.Context, cfg aws.Config) error
}

// requests are some of each service. Those that ask for what is not there are refused in another way.
var requests = []request{
	{"ec2:DescribeVolumes", "UnauthorizedOperation", http.StatusForbidden, func(ctx context.Context, cfg aws.Config) error {
		_, err := awsec2.NewFromConfig(cfg).DescribeVolumes(ctx, &awsec2.DescribeVolumesInput{})
		return err
	}},
	{"ec2:CreateSnapshot", "UnauthorizedOperation", http.StatusForbidden, func(ctx context.Context, cfg aws.Config) error {
		_, err := awsec2.NewFromConfig(cfg).CreateSnapshot(ctx, &awsec2.CreateSnapshotInput{VolumeId: aws.String("vol-0123456789abcdef0")})
		return err
	}},
	{"rds:DescribeDBSnapshots", "AccessDenied", http.StatusForbidden, func(ctx context.Context, cfg aws.Config) error {
		_, err := awsrds.NewFromConfig(cfg).DescribeDBSnapshots(ctx, &awsrds.DescribeDBSnapshotsInput{})
		return err
	}},
	{"rds:DeleteDBSnapshot", "AccessDenied", http.StatusForbidden, func(ctx context.Context, cfg aws.Config) error {
		_, err := awsrds.NewFromConfig(cfg).DeleteDBSnapshot(ctx, &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: aws.String("none")})
		return err
	}},
	{"elasticache:DescribeSnapshots", "AccessDenied", http.StatusForbidden, func(ctx context.Context, cfg aws.Config) error {
		_, err := awselasticache.NewFromConfig(cfg).DescribeSnapshots(ctx, &awselasticache.DescribeSnapshotsInput{})
		return err
	}},
	{"elasticache:CopySnapshot", "AccessDenied", http.StatusForbidden, func(ctx context.Context, cfg aws.Config) error {
		_, err := awselasticache.NewFromConfig(cfg).CopySnapshot(ctx, &awselasticache.CopySnapshotInput{SourceSnapshotName: aws.String("none"), TargetSnapshotName: aws.String("x")})
		return err
	}},
	{"s3:CreateBucket", "AccessDenied", http.StatusForbidden, func(ctx context.Context, cfg aws.Config) error {
		_, err := awss3.NewFromConfig(cfg).CreateBucket(ctx, bucketIn("more-exports", place))
		return err
	}},
	{"s3:PutObject", "AccessDenied", http.StatusForbidden, func(ctx context.Context, cfg aws.Config) error {
		_, err := awss3.NewFromConfig(cfg).PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String("exports"), Key: aws.String("a")})
		return err
	}},
	{"s3:GetBucketAcl", "AccessDenied", http.StatusForbidden, func(ctx context.Context, cfg aws.Config) error {
		_, err := awss3.NewFromConfig(cfg).GetBucketAcl(ctx, &awss3.GetBucketAclInput{Bucket: aws.String("exports")})
		return err
	}},
	{"kms:CreateKey", "AccessDeniedException", http.StatusBadRequest, func(ctx context.Context, cfg aws.Config) error {
		_, err := awskms.NewFromConfig(cfg).CreateKey(ctx, &awskms.CreateKeyInput{})
		return err
	}},
	{"kms:DescribeKey", "AccessDeniedException", http.StatusBadRequest, func(ctx context.Context, cfg aws.Config) error {
		_, err := awskms.NewFromConfig(cfg).DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: aws.String("alias/aws/s3")})
		return err
	}},
	{"sts:AssumeRole", "AccessDenied", http.StatusForbidden, func(ctx context.Context, cfg aws.Config) error {
		_, err := awssts.NewFromConfig(cfg).AssumeRole(ctx, &awssts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + other + ":role/far"), RoleSessionName: aws.String("me")})
		return err
	}},
	{"", "", 0, func(ctx context.Context, cfg aws.Config) error {
		_, err := awssts.NewFromConfig(cfg).GetCallerIdentity(ctx, &awssts.GetCallerIdentityInput{})
		return err
	}},
}

// refusedIn makes all requests, and gives the actions of those that were refused for want of rights.
func refusedIn(t *testing.T, cfg aws.Config) (refused []string) {
	t.Helper()
	for _, r := range requests {
		err := r.call(t.Context(), cfg)
		var api smithy.APIError
		if !errors.As(err, &api) {
			if err != nil {
				t.Errorf("%s: %v", r.action, err)
			}
			continue
		}
		switch api.ErrorCode() {
		case "UnauthorizedOperation", "AccessDenied", "AccessDeniedException":
			var answer *awshttp.ResponseError
			if api.ErrorCode() != r.code || !errors.As(err, &answer) || answer.HTTPStatusCode() != r.status {
				t.Errorf("%s: %v", r.action, err)
			}
			refused = append(refused, r.action)
		}
	}
	return refused
}

// A caller with a policy that lacks one action is refused the calls that need it, and only those, in whatever service.
func TestWorldHoldsCallers(t *testing.T) {
	for _, r := range requests {
		if r.action == "" {
			continue
		}
		t.Run(r.action, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				iam, w := everyService(t)
				lacks := policy.Statement{Effect: policy.Allow, NotAction: []string{r.action}, Resource: []string{"*"}}
				if err := iam.Attach(w, simulated, statements(lacks)); err != nil {
					t.Fatal(err)
				}
				if got := refusedIn(t, w.Config(home, place)); len(got) != 1 || got[0] != r.action {
					t.Errorf("refused were %v", got)
				}
				if got := iam.Denied(w, simulated); len(got) == 0 {
					t.Error("nothing was written down")
				}
				if got := refusedIn(t, w.Config(other, place)); !slices.Equal(got, []string{"s3:PutObject", "s3:GetBucketAcl"}) { // of another's bucket
					t.Errorf("another account was refused %v", got)
				}
			})
		})
	}
}

// Nobody is held to anything where nothing is attached to him; the sessions of a role are held to the role's.
func TestWorldWithoutPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		iam, w := everyService(t)
		if got := refusedIn(t, w.Config(home, place)); got != nil {
			t.Errorf("refused were %v", got)
		}
		if err := iam.Attach(w, "arn:aws:iam::"+home+":role/backup", statements(allow("*", "rds:*", "ec2:DescribeVolumes"))); err != nil {
			t.Fatal(err)
		}
		out, err := awssts.NewFromConfig(w.Config(home, place)).AssumeRole(t.Context(), &awssts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + home + ":role/backup"), RoleSessionName: aws.String("nightly")})
		if err != nil {
			t.Fatal(err)
		}
		c := out.Credentials
		got := refusedIn(t, w.ConfigFor(place, aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken}))
		if len(got) != len(requests)-4 { // three that it may, and one that needs nothing
			t.Errorf("refused were %v", got)
		}
		iam.Strict(w)
		if got := refusedIn(t, w.Config(home, place)); len(got) != len(requests)-1 {
			t.Errorf("strictly, refused were %v", got)
		}
	})
}

// A call that is refused changes nothing, and the record of calls tells so.
func TestWorldRefusesBeforeItActs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		iam, w := everyService(t)
		if err := iam.Attach(w, simulated, statements(allow("*", "s3:*", "kms:*"), deny("*", "kms:CreateKey"))); err != nil {
			t.Fatal(err)
		}
		_, err := awskms.NewFromConfig(w.Config(home, place)).CreateKey(t.Context(), &awskms.CreateKeyInput{})
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "AccessDeniedException" {
			t.Fatal(err)
		}
		calls := w.Calls()
		last := calls[len(calls)-1]
		if last.Operation != "CreateKey" || last.Applied || last.Code != "AccessDeniedException" {
			t.Errorf("%+v", last)
		}
	})
}
