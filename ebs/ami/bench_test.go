package ami_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/ami"
)

const (
	account   = "111122223333"
	region    = "eu-west-1"
	elsewhere = "eu-central-1"
)

// bench is a world with one instance of two volumes.
type bench struct {
	world    *awssim.World
	ec2      *ec2sim.EC2
	client   *awsec2.Client
	instance backup.Ref
}

func newBench(t testing.TB, ctx context.Context, more ...awssim.Service) *bench {
	t.Helper()
	b := &bench{ec2: ec2sim.Service()}
	b.world = awssim.New(append([]awssim.Service{b.ec2}, more...)...)
	// EC2's limit of one snapshot of a volume every 15 seconds would hide a second one that is sent at once.
	quotas := ec2sim.DefaultQuotas()
	quotas.VolumeInterval = 0
	b.ec2.SetQuotas(b.world, quotas)
	b.client = awsec2.NewFromConfig(b.world.Config(account, region))
	out, err := b.client.RunInstances(ctx, &awsec2.RunInstancesInput{
		ImageId: aws.String("ami-0123456789abcdef0"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1), InstanceType: ec2types.InstanceTypeT3Micro,
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{
			{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(8)}},
			{DeviceName: aws.String("/dev/sdf"), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(20)}},
		},
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeInstance, Tags: []ec2types.Tag{{Key: aws.String("team"), Value: aws.String("orders")}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.instance = ebs.Instance(account, region, *out.Instances[0].InstanceId)
	time.Sleep(2 * time.Minute)
	return b
}

// anywhere makes a strategy that serves every Region and may copy to one other.
func anywhere(cfg aws.Config) *ami.Strategy {
	return ami.New(func(_ context.Context, _, region string) (*awsec2.Client, error) {
		c := cfg.Copy()
		c.Region = region
		return awsec2.NewFromConfig(c), nil
	}, func(o *ami.Options) { o.CopyRegions = []string{elsewhere} })
}

func newStrategy(cfg aws.Config) backup.Strategy { return ami.NewFromConfig(cfg) }
func newAnywhere(cfg aws.Config) backup.Strategy { return anywhere(cfg) }

// inBubble runs f in a bubble with a fresh bench.
func inBubble(t *testing.T, f func(t *testing.T, b *bench, s *ami.Strategy), more ...func() awssim.Service) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var services []awssim.Service
		for _, m := range more {
			services = append(services, m())
		}
		b := newBench(t, t.Context(), services...)
		f(t, b, anywhere(b.world.Config(account, region)))
	})
}

func finish(t testing.TB, s backup.Strategy, op backup.Operation, err error) backup.Operation {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	r, err := backup.NewRunner([]backup.Strategy{s})
	if err != nil {
		t.Fatal(err)
	}
	op, err = r.Run(t.Context(), op)
	if !op.Done() {
		t.Fatalf("not ended: %v", err)
	}
	return op
}

// want checks how an Operation ended.
func want(t testing.TB, op backup.Operation, phase backup.Phase, code backup.Code) {
	t.Helper()
	if op.Phase != phase || code != "" && !errors.Is(op.Err(), code) {
		t.Fatalf("ended %s with %v, wanted %s with %q", op.Phase, op.Err(), phase, code)
	}
	if code != "" && backup.HintOf(op.Err()) == "" {
		t.Errorf("no hint in %v", op.Err())
	}
}

// imaged makes an image without any fault.
func (b *bench) imaged(t testing.TB, ctx context.Context, token string) backup.Ref {
	t.Helper()
	s := ami.NewFromConfig(b.world.Config(account, region))
	op, err := s.Start(ctx, b.instance, backup.Spec{Token: token})
	op = finish(t, s, op, err)
	want(t, op, backup.PhaseSucceeded, "")
	time.Sleep(10 * time.Minute)
	return op.Points[0]
}

// made gives the images and snapshots in a Region that carry the Operation's ID and still exist.
func (b *bench) made(op backup.Operation, region string) (images []ec2sim.ImageInfo, snapshots []ec2sim.SnapshotInfo) {
	for _, m := range b.ec2.Images(b.world, account, region) {
		if m.Tags[backup.TagToken] == op.ID && !m.Gone {
			images = append(images, m)
		}
	}
	for _, s := range b.ec2.Snapshots(b.world, account, region) {
		if s.Tags[backup.TagToken] == op.ID && !s.Gone {
			snapshots = append(snapshots, s)
		}
	}
	return images, snapshots
}

func count(b *bench, operation string) (n int) {
	for _, c := range b.world.Calls() {
		if c.Operation == operation {
			n++
		}
	}
	return n
}

func has(all []backup.Finding, id string) bool {
	return slices.ContainsFunc(all, func(f backup.Finding) bool { return f.ID == id })
}
