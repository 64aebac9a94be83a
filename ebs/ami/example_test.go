package ami_test

import (
	"context"
	"fmt"
	"log"
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

// simulated is an instance in a simulated AWS that is a million times as fast as the real one.
func simulated(ctx context.Context) (*awssim.World, backup.Ref) {
	world := awssim.New(ec2sim.Service())
	world.SetSpeed(1e6)
	cfg := world.Config(account, region)
	out, err := awsec2.NewFromConfig(cfg).RunInstances(ctx, &awsec2.RunInstancesInput{
		ImageId: aws.String("ami-0123456789abcdef0"), InstanceType: ec2types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
	if err != nil {
		log.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	return world, ebs.Instance(account, region, *out.Instances[0].InstanceId)
}

// An instance is backed up as an image without a reboot, and the image is deleted with its snapshots.
func Example() {
	ctx := context.Background()
	world, instance := simulated(ctx)
	strategy := ami.NewFromConfig(world.Config(account, region), func(o *ami.Options) { o.PollMin, o.Park = 10*time.Millisecond, 10*time.Millisecond })
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		log.Fatal(err)
	}
	op, err := strategy.Start(ctx, instance, backup.Spec{Token: backup.NewToken(instance, "2026-11-20"), Name: "orders 2026-11-20"})
	if err != nil {
		log.Fatal(err)
	}
	if op, err = runner.Run(ctx, op); err != nil {
		log.Fatal(err)
	}
	findings, err := strategy.LaunchReady(ctx, op.Points[0])
	fmt.Println(op.Phase, len(findings), "findings", err)

	op, err = strategy.StartDelete(ctx, op.Points[0], backup.Spec{Token: "cleanup"})
	if err != nil {
		log.Fatal(err)
	}
	op, err = runner.Run(ctx, op)
	fmt.Println(op.Phase, err)
	// Output:
	// succeeded 0 findings <nil>
	// succeeded <nil>
}

// The making of an image can not be stopped: what is canceled ends at once, and the image that EC2 goes on to make is listed.
func ExampleStrategy_Cancel() {
	ctx := context.Background()
	world, instance := simulated(ctx)
	world.SetSpeed(1) // from now on an image takes minutes
	quick := 10 * time.Millisecond
	strategy := ami.NewFromConfig(world.Config(account, region), func(o *ami.Options) { o.PollMin, o.PollMax, o.Park = quick, quick, quick })
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		log.Fatal(err)
	}
	op, err := strategy.Start(ctx, instance, backup.Spec{Token: "tonight"})
	for err == nil && len(op.Points) == 0 {
		if op, err = runner.Step(ctx, op); err == nil {
			time.Sleep(time.Until(op.Poll))
		}
	}
	if err != nil {
		log.Fatal(err)
	}
	if op, err = runner.Cancel(ctx, op); err != nil {
		log.Fatal(err)
	}
	op, _ = runner.Run(ctx, op) // its error is that the work was canceled
	fmt.Println(op.Phase, len(op.Points), "image remains:", backup.HintOf(op.Err()))
	// Output:
	// canceled 1 image remains: delete it with StartDelete when it is complete
}
