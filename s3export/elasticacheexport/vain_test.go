package elasticacheexport_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// TestExportLiveInVain makes no snapshot for a bucket that can not be used at all.
func TestExportLiveInVain(t *testing.T) {
	for id, c := range map[string]struct {
		arrange func(b *bed)
		code    backup.Code
	}{
		"bucket-missing": {func(*bed) {}, backup.ErrNotFound},
		"bucket-owner": {func(b *bed) {
			_, err := awss3.NewFromConfig(b.world.Config("999988887777", region)).CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: aws.String(bucket),
				CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: region}})
			b.ok(err)
		}, backup.ErrDenied},
		"bucket-region": {func(b *bed) {
			_, err := awss3.NewFromConfig(b.world.Config(account, "us-east-1")).CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: aws.String(bucket)})
			b.ok(err)
		}, backup.ErrInvalid},
	} {
		t.Run(id, func(t *testing.T) {
			bubble(t, func(b *bed) {
				api := awselasticache.NewFromConfig(b.world.Config(account, region))
				_, err := api.CreateServerlessCache(b.Context(), &awselasticache.CreateServerlessCacheInput{ServerlessCacheName: aws.String("web"), Engine: aws.String("valkey"), MajorEngineVersion: aws.String("8")})
				b.ok(err)
				time.Sleep(time.Hour)
				c.arrange(b)
				for _, r := range []backup.Ref{elasticache.ReplicationGroup(account, region, "three"), elasticache.Cluster(account, region, "one"), elasticache.Serverless(account, region, "web")} {
					begin := time.Now()
					op := b.run(b.live(r))
					if op.Phase != backup.PhaseFailed || !errors.Is(op.Err(), c.code) || backup.HintOf(op.Err()) == "" || strings.Contains(backup.HintOf(op.Err()), "in Points") {
						b.Errorf("%s: %s %v, hint %q", r.Type, op.Phase, op.Err(), backup.HintOf(op.Err()))
					}
					if b.count("CreateSnapshot")+b.count("CreateServerlessCacheSnapshot") != 0 || len(op.Points)+len(op.Made) != 0 || time.Since(begin) > time.Minute {
						b.Errorf("%s: a snapshot was asked for, points %v, made %v, after %v", r.Type, op.Points, op.Made, time.Since(begin))
					}
					if len(op.Findings) != 1 || op.Findings[0].ID != "elasticacheexport."+id {
						b.Errorf("%s: %+v", r.Type, op.Findings)
					}
				}
			})
		})
	}
}

// TestExportLiveWaits goes on where S3 does not answer the look for a moment, and cancels where that was asked for, bucket or not.
func TestExportLiveWaits(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		b.world.Inject(awssim.Fault{Operation: "HeadBucket", Times: 6, Kind: awssim.FaultError, Error: awssim.Error{Status: 503, Code: "ServiceUnavailable"}})
		if op := b.run(b.live(elasticache.Cluster(account, region, "one"))); op.Phase != backup.PhaseSucceeded {
			b.Error(op.Err())
		}
	})
	bubble(t, func(b *bed) {
		op, err := b.s.Cancel(b.Context(), b.live(elasticache.Cluster(account, region, "one")))
		b.ok(err)
		if op = b.run(op); op.Phase != backup.PhaseCanceled || len(b.snapshots()) != 0 {
			b.Errorf("%s %v", op.Phase, op.Err())
		}
	})
}

// TestExportLiveKeeps tells that the snapshot outlives a bucket that is lost while it is made, and exports it by itself; it does not tell so where the
// snapshot is what is lost.
func TestExportLiveKeeps(t *testing.T) {
	until := func(b *bed, stage string) backup.Operation {
		op := b.live(elasticache.ReplicationGroup(account, region, "three"))
		for op.Stage != stage && !op.Done() {
			op = b.step(op)
			if wait := time.Until(op.Poll); wait > 0 {
				time.Sleep(wait)
			}
		}
		return op
	}
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		op := until(b, "look")
		// Somebody deletes the bucket, and makes it anew afterwards.
		b.world.Inject(awssim.Fault{Operation: "ListObjectsV2", Times: 1, Kind: awssim.FaultError, Error: awssim.Error{Status: 404, Code: "NoSuchBucket"}})
		op = b.run(op)
		if !errors.Is(op.Err(), backup.ErrNotFound) || len(op.Points) != 1 || !strings.Contains(backup.HintOf(op.Err()), op.Points[0].ID+" in Points stays") {
			b.Fatalf("%s %v, hint %q", op.Phase, op.Err(), backup.HintOf(op.Err()))
		}
		again, err := b.s.Start(b.Context(), op.Points[0], backup.Spec{Token: "again", Options: elasticacheexport.Options{Bucket: bucket}})
		b.ok(err)
		if again = b.run(again); again.Phase != backup.PhaseSucceeded {
			b.Error(again.Err())
		}
	})
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		op := until(b, "look")
		_, err := awselasticache.NewFromConfig(b.world.Config(account, region)).DeleteSnapshot(b.Context(), &awselasticache.DeleteSnapshotInput{SnapshotName: &op.Points[0].ID})
		b.ok(err)
		time.Sleep(time.Hour)
		if op = b.run(op); op.Phase != backup.PhaseFailed || strings.Contains(backup.HintOf(op.Err()), "in Points") {
			b.Errorf("%s %v, hint %q", op.Phase, op.Err(), backup.HintOf(op.Err()))
		}
	})
}

// TestExportRef finds an export again without its Operation, and says of another Ref which one is meant.
func TestExportRef(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		op := b.run(b.start("plain", "Nightly"))
		r := elasticacheexport.Export(account, region, bucket, "Nightly")
		if !slices.Contains(op.Points, r) || r.Validate() != nil {
			b.Errorf("%v %v, %v", op.Err(), r, op.Points)
		}
		_, err := b.s.Manifest(b.Context(), r)
		b.ok(err)
		snapshot := elasticache.Snapshot(account, region, "plain")
		_, copied := b.s.StartCopy(b.Context(), snapshot, backup.Destination{}, backup.Spec{Token: "t", Options: elasticacheexport.CopyOptions{Bucket: bucket}})
		_, opened := b.s.Open(b.Context(), snapshot, "0001")
		for _, err := range []error{copied, opened} {
			if !errors.Is(err, backup.ErrInvalid) || !strings.Contains(backup.HintOf(err), elasticacheexport.TypeExport) || !strings.Contains(backup.HintOf(err), "snapshot") {
				b.Errorf("%v, hint %q", err, backup.HintOf(err))
			}
		}
	})
}
