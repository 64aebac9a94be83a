package elasticacheexport_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// TestPreflightOfPrepare finds an error where the work fails, and nowhere else: a program that stops on errors prepares what can be prepared.
func TestPreflightOfPrepare(t *testing.T) {
	everybody := policy.Statement{Sid: "Open", Effect: policy.Allow, Principal: &policy.Principal{Everyone: true}, Action: []string{"s3:GetObject"}, Resource: []string{"arn:aws:s3:::" + bucket + "/*"}}
	bare := func(b *bed) { b.bucket(bucket) }
	unblocked := func(b *bed) {
		b.bucket(bucket)
		_, err := b.s3.DeletePublicAccessBlock(b.Context(), &awss3.DeletePublicAccessBlockInput{Bucket: aws.String(bucket)})
		b.ok(err)
	}
	withACLs := func(b *bed) {
		b.bucket(bucket)
		_, err := b.s3.PutBucketOwnershipControls(b.Context(), &awss3.PutBucketOwnershipControlsInput{Bucket: aws.String(bucket),
			OwnershipControls: &s3types.OwnershipControls{Rules: []s3types.OwnershipControlsRule{{ObjectOwnership: s3types.ObjectOwnershipObjectWriter}}}})
		b.ok(err)
	}
	open := func(b *bed) { unblocked(b); b.write(everybody) }
	const mends = "info grant-read,info grant-read-acp,info grant-write"
	for name, c := range map[string]struct {
		arrange func(b *bed)
		o       elasticacheexport.PrepareOptions
		want    string
	}{
		"created": {nil, elasticacheexport.PrepareOptions{Create: true}, "info bucket-missing"},
		"missing": {nil, elasticacheexport.PrepareOptions{}, "error bucket-missing"},
		"created, others": {func(b *bed) {
			_, err := awss3.NewFromConfig(b.world.Config("999988887777", region)).CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: aws.String(bucket),
				CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: region}})
			b.ok(err)
		}, elasticacheexport.PrepareOptions{Create: true}, "error bucket-owner"},
		"rights":              {bare, elasticacheexport.PrepareOptions{}, mends},
		"rights to a seed":    {bare, elasticacheexport.PrepareOptions{Seed: true, NoExport: true}, mends},
		"rights by grants":    {withACLs, elasticacheexport.PrepareOptions{ByGrants: true}, mends},
		"grants without ACLs": {bare, elasticacheexport.PrepareOptions{ByGrants: true}, "error prepare-refused,warning grant-read,warning grant-read-acp,warning grant-write"},
		"hardened":            {unblocked, elasticacheexport.PrepareOptions{Harden: true}, mends + ",info public-access"},
		"not hardened":        {unblocked, elasticacheexport.PrepareOptions{}, mends + ",warning public-access"},
		"everybody":           {open, elasticacheexport.PrepareOptions{}, mends + ",warning public-access,warning reader"},
		"everybody, hardened": {open, elasticacheexport.PrepareOptions{Harden: true}, "error prepare-refused,warning grant-read,warning grant-read-acp,warning grant-write,warning public-access,warning reader"},
		"denied": {func(b *bed) {
			b.bucket(bucket, all...)
			b.write(policy.Statement{Sid: "Export", Effect: policy.Allow, Principal: &policy.Principal{Service: []string{region + ".elasticache-snapshot.amazonaws.com"}}, Action: all,
				Resource: []string{"arn:aws:s3:::" + bucket, "arn:aws:s3:::" + bucket + "/*"}},
				policy.Statement{Sid: "No", Effect: policy.Deny, Principal: &policy.Principal{Service: []string{region + ".elasticache-snapshot.amazonaws.com"}}, Action: []string{"s3:PutObject"}, Resource: []string{"arn:aws:s3:::" + bucket + "/*"}})
		}, elasticacheexport.PrepareOptions{}, "warning policy-denies"},
		"unseen": {func(b *bed) {
			b.bucket(bucket, all...)
			b.world.Inject(awssim.Fault{Operation: "GetBucketAcl", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied"}})
		}, elasticacheexport.PrepareOptions{Harden: true}, "error unseen"},
		"ready": {func(b *bed) { b.bucket(bucket, all...) }, elasticacheexport.PrepareOptions{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := bareBed(t)
				if c.arrange != nil {
					c.arrange(b)
				}
				op, err := b.s.StartPrepare(b.Context(), elasticacheexport.Bucket(account, region, bucket), backup.Spec{Token: "t", Options: c.o})
				b.ok(err)
				found, err := b.s.Preflight(b.Context(), op)
				b.ok(err)
				var got []string
				for _, f := range found {
					got = append(got, string(f.Severity)+" "+strings.TrimPrefix(f.ID, "elasticacheexport."))
					if f.Message == "" || f.Remedy == "" || f.Ref.IsZero() {
						b.Errorf("%+v", f)
					}
				}
				if !slices.IsSortedFunc(found, func(x, y backup.Finding) int { return cmp.Compare(rank(x), rank(y)) }) {
					b.Errorf("the worst is not first: %v", got)
				}
				slices.Sort(got)
				if s := strings.Join(got, ","); s != c.want {
					b.Errorf("found %q, want %q", s, c.want)
				}
				// The promise that the severity makes.
				stops := slices.ContainsFunc(found, func(f backup.Finding) bool { return f.Severity == backup.SeverityError })
				if op = b.run(op); stops == (op.Phase == backup.PhaseSucceeded) {
					b.Errorf("errors found: %t, and it is %s, %v", stops, op.Phase, op.Err())
				}
			})
		})
	}
}

func rank(f backup.Finding) int {
	return slices.Index([]backup.Severity{backup.SeverityError, backup.SeverityWarning, backup.SeverityInfo}, f.Severity)
}
