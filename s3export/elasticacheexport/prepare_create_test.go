package elasticacheexport_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// TestPrepareCreatesOnce creates a bucket once, whatever S3 says of it afterwards, and lists it only if it is surely the Operation's own.
func TestPrepareCreatesOnce(t *testing.T) {
	missing := awssim.Error{Status: 404, Code: "NotFound"}
	somebody := func(b *bed, c *awss3.Client, region string) {
		in := &awss3.CreateBucketInput{Bucket: aws.String(bucket)}
		if region != "us-east-1" {
			in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}
		}
		_, err := c.CreateBucket(b.Context(), in)
		b.ok(err)
	}
	for name, c := range map[string]struct {
		region  string // "" for the bed's
		arrange func(b *bed, c *awss3.Client, region string)
		want    backup.Code
		creates int // calls of CreateBucket, also somebody else's
		made    bool
		unclear bool
	}{
		"plainly":   {creates: 1, made: true},
		"us-east-1": {region: "us-east-1", creates: 1, made: true},
		"not seen for long": {arrange: func(b *bed, _ *awss3.Client, _ string) {
			b.world.Inject(awssim.Fault{Operation: "HeadBucket", Times: 300, Kind: awssim.FaultError, Error: missing})
		}, want: backup.ErrNotFound, creates: 1, made: true},
		"not seen at first": {arrange: func(b *bed, _ *awss3.Client, _ string) {
			b.world.Inject(awssim.Fault{Operation: "HeadBucket", Times: 6, Kind: awssim.FaultError, Error: missing})
		}, creates: 1, made: true},
		"not seen when written": {arrange: func(b *bed, _ *awss3.Client, _ string) {
			b.world.Inject(awssim.Fault{Operation: "PutBucketPolicy", Times: 2, Kind: awssim.FaultError, Error: awssim.Error{Status: 404, Code: "NoSuchBucket"}})
		}, creates: 1, made: true},
		"deleted by somebody": {arrange: func(b *bed, _ *awss3.Client, _ string) {
			b.world.Inject(awssim.Fault{Operation: "HeadBucket", Skip: 4, Times: -1, Kind: awssim.FaultError, Error: missing})
		}, want: backup.ErrNotFound, creates: 1, made: true},
		"the answer lost": {arrange: func(b *bed, _ *awss3.Client, _ string) {
			b.world.Inject(awssim.Fault{Operation: "CreateBucket", Times: 1, Kind: awssim.FaultLostReply})
		}, creates: 1, unclear: true},
		// A second CreateBucket would reset the ACL, and not say that the bucket was there.
		"the answer lost in us-east-1": {region: "us-east-1", arrange: func(b *bed, _ *awss3.Client, _ string) {
			b.world.Inject(awssim.Fault{Operation: "CreateBucket", Times: 1, Kind: awssim.FaultLostReply})
		}, creates: 1, unclear: true},
		"the call lost": {arrange: func(b *bed, _ *awss3.Client, _ string) {
			b.world.Inject(awssim.Fault{Operation: "CreateBucket", Times: 1, Kind: awssim.FaultServerError})
		}, creates: 2, made: true},
		"somebody was quicker": {arrange: func(b *bed, c *awss3.Client, region string) {
			b.world.Inject(awssim.Fault{Operation: "HeadBucket", Skip: 1, Times: 1, Kind: awssim.FaultNone, Do: func() { somebody(b, c, region) }})
		}, creates: 1},
		"somebody was quicker in us-east-1": {region: "us-east-1", arrange: func(b *bed, c *awss3.Client, region string) {
			b.world.Inject(awssim.Fault{Operation: "HeadBucket", Skip: 1, Times: 1, Kind: awssim.FaultNone, Do: func() { somebody(b, c, region) }})
		}, creates: 1},
		"somebody in the same moment": {arrange: func(b *bed, c *awss3.Client, region string) {
			b.world.Inject(awssim.Fault{Operation: "CreateBucket", Times: 1, Kind: awssim.FaultNone, Do: func() { somebody(b, c, region) }})
		}, creates: 2},
		"the look fails": {arrange: func(b *bed, _ *awss3.Client, _ string) {
			b.world.Inject(awssim.Fault{Operation: "HeadBucket", Skip: 1, Times: 4, Kind: awssim.FaultError, Error: awssim.Error{Status: 503, Code: "SlowDown"}})
		}, creates: 1, made: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := bareBed(t)
				at := c.region
				if at == "" {
					at = region
				}
				cfg := b.world.Config(account, at)
				api := awss3.NewFromConfig(cfg)
				b.s = elasticacheexport.NewFromConfig(cfg)
				if c.arrange != nil {
					c.arrange(b, api, at)
				}
				store, err := backup.OpenFileStore(t.TempDir())
				b.ok(err)
				runner, err := backup.NewRunner([]backup.Strategy{b.s}, func(o *backup.RunnerOptions) { o.Store = store })
				b.ok(err)
				op, err := b.s.StartPrepare(b.Context(), elasticacheexport.Bucket(account, at, bucket), backup.Spec{Token: "t", Options: elasticacheexport.PrepareOptions{Create: true}})
				b.ok(err)
				op, err = runner.Run(b.Context(), op)
				if !op.Done() {
					b.Fatal(err)
				}
				if backup.CodeOf(op.Err()) != c.want || len(op.Made) > 0 != c.made || b.count("CreateBucket") != c.creates {
					b.Errorf("%s %v, made %v, %d creations", op.Phase, op.Err(), op.Made, b.count("CreateBucket"))
				}
				if unclear := slices.ContainsFunc(op.Findings, func(f backup.Finding) bool { return strings.HasSuffix(f.ID, ".bucket-unclear") }); unclear != c.unclear {
					b.Errorf("findings %v", op.Findings)
				}
				if c.want != "" && backup.HintOf(op.Err()) == "" {
					b.Errorf("no hint: %v", op.Err())
				}
				if d := time.Since(op.Started); d > 10*time.Minute {
					b.Errorf("it took %v", d)
				}
			})
		})
	}
}
