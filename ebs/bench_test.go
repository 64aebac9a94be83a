package ebs_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/ebs"
)

// BenchmarkStep gives what Runner and Strategy add to the SDK call of a Step that waits for a snapshot, without a Store: the time of a Step
// less that of the same call made by hand, in one run and in turns.
func BenchmarkStep(b *testing.B) {
	ctx := context.Background()
	world := awssim.New(ec2sim.Service())
	world.SetThrottling(false)
	world.KeepCalls(false)
	world.SetLatency(func(string, string) time.Duration { return 0 })
	cfg := world.Config(account, region)
	client := awsec2.NewFromConfig(cfg)
	s := ebs.NewFromConfig(cfg)
	v, err := client.CreateVolume(ctx, &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(8)})
	if err != nil {
		b.Fatal(err)
	}
	r, err := backup.NewRunner([]backup.Strategy{s})
	if err != nil {
		b.Fatal(err)
	}
	op, err := s.Start(ctx, ebs.Volume(account, region, *v.VolumeId), backup.Spec{Token: "t"})
	if err != nil {
		b.Fatal(err)
	}
	world.SetSpeed(1e6) // the volume is there at once, and the snapshot is then pending for the length of the benchmark
	for op.Stage != "wait" {
		if op.Stage == "create" {
			world.SetSpeed(1e-3)
		}
		if op, err = r.Step(ctx, op); err != nil {
			b.Fatal(err)
		}
	}
	id := op.Points[0].ID
	in := &awsec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, MaxResults: aws.Int32(1000), Filters: []ec2types.Filter{
		{Name: aws.String("snapshot-id"), Values: []string{id}}, {Name: aws.String("owner-id"), Values: []string{account}}}}
	var raw, whole time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		t := time.Now()
		if _, err := client.DescribeSnapshots(ctx, in); err != nil {
			b.Fatal(err)
		}
		u := time.Now()
		if _, err := r.Step(ctx, op); err != nil {
			b.Fatal(err)
		}
		raw += u.Sub(t)
		whole += time.Since(u)
	}
	b.ReportMetric(float64((whole-raw).Nanoseconds())/float64(b.N), "overhead-ns/step")
	b.ReportMetric(float64(raw.Nanoseconds())/float64(b.N), "raw-ns/call")
	b.ReportMetric(float64(whole)/float64(raw), "step/raw")
}
