package swap_test

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
	"github.com/snapwarden/snapwarden/ebs/swap"
)

// said is the caller's way to its hosts, which only prints here.
type said struct{}

func (said) Unmount(_ context.Context, _ backup.Ref, disks []swap.Disk) error {
	fmt.Println("unmount", len(disks), "disk at", disks[0].Device)
	return nil
}

func (said) Mount(_ context.Context, _ backup.Ref, disks []swap.Disk) error {
	fmt.Println("mount", len(disks), "disk at", disks[0].Device)
	return nil
}

// quick is how often the strategies look in the examples, because their simulated AWS is a million times as fast as the real one.
const quick = 10 * time.Millisecond

// simulated is an instance with a root volume and a data volume in a simulated AWS, and a set of both.
func simulated(ctx context.Context) (cfg aws.Config, instance, set backup.Ref) {
	world := awssim.New(ec2sim.Service())
	world.SetSpeed(1e6)
	cfg = world.Config(account, region)
	disk := func(device string) ec2types.BlockDeviceMapping {
		return ec2types.BlockDeviceMapping{DeviceName: &device, Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(8)}}
	}
	out, err := awsec2.NewFromConfig(cfg).RunInstances(ctx, &awsec2.RunInstancesInput{ImageId: aws.String("ami-0123456789abcdef0"), InstanceType: ec2types.InstanceTypeT3Micro,
		MinCount: aws.Int32(1), MaxCount: aws.Int32(1), BlockDeviceMappings: []ec2types.BlockDeviceMapping{disk("/dev/xvda"), disk("/dev/sdf")}})
	if err != nil {
		log.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	instance = ebs.Instance(account, region, *out.Instances[0].InstanceId)
	backups := ebs.NewFromConfig(cfg, func(o *ebs.Options) { o.PollMin, o.Park = quick, quick })
	runner, err := backup.NewRunner([]backup.Strategy{backups})
	if err != nil {
		log.Fatal(err)
	}
	op, err := backups.Start(ctx, instance, backup.Spec{Token: "tonight"})
	if err != nil {
		log.Fatal(err)
	}
	if op, err = runner.Run(ctx, op); err != nil {
		log.Fatal(err)
	}
	return cfg, instance, op.Points[0]
}

// The data volume of a running instance is taken back to what it was when its set was made.
func Example() {
	ctx := context.Background()
	cfg, instance, set := simulated(ctx)
	swaps := swap.NewFromConfig(cfg, func(o *swap.Options) { o.PollMin, o.PollMax, o.Park, o.Hooks = quick, quick, quick, said{} })
	runner, err := backup.NewRunner([]backup.Strategy{swaps})
	if err != nil {
		log.Fatal(err)
	}
	op, err := swaps.Start(ctx, set, backup.Spec{Token: "restore", Options: swap.SwapOptions{Instance: instance.ID}})
	if err != nil {
		log.Fatal(err)
	}
	if op, err = runner.Run(ctx, op); err != nil {
		log.Fatal(err)
	}
	old, err := swap.Replaced(op)
	fmt.Println(op.Phase, len(op.Made), "new volume,", len(old), "old volume kept", err)
	// Output:
	// unmount 1 disk at /dev/sdf
	// mount 1 disk at /dev/sdf
	// succeeded 1 new volume, 1 old volume kept <nil>
}

// What is in the way of a swap is told before anything is touched: here that nobody unmounts, and that the root device would need a stopped instance.
func ExampleStrategy_Preflight() {
	ctx := context.Background()
	cfg, instance, set := simulated(ctx)
	swaps := swap.NewFromConfig(cfg)
	for _, o := range []swap.SwapOptions{{Instance: instance.ID}, {Instance: instance.ID, Root: true}} {
		op, err := swaps.Start(ctx, set, backup.Spec{Token: "restore", Options: o})
		if err != nil {
			log.Fatal(err)
		}
		findings, err := swaps.Preflight(ctx, op)
		if err != nil {
			log.Fatal(err)
		}
		for _, f := range findings {
			fmt.Println(f.Severity, f.ID)
		}
	}
	// Output:
	// warning ebs-swap.no-hooks
	// info ebs-swap.replaces
	// error ebs-swap.refused
}

// A swap is canceled when its disks are unmounted: they are mounted again, and the new volume, which is not needed, is listed.
func ExampleStrategy_Cancel() {
	ctx := context.Background()
	cfg, instance, set := simulated(ctx)
	swaps := swap.NewFromConfig(cfg, func(o *swap.Options) { o.PollMin, o.PollMax, o.Park, o.Hooks = quick, quick, quick, said{} })
	runner, err := backup.NewRunner([]backup.Strategy{swaps})
	if err != nil {
		log.Fatal(err)
	}
	op, err := swaps.Start(ctx, set, backup.Spec{Token: "restore", Options: swap.SwapOptions{Instance: instance.ID}})
	for err == nil && op.Stage != "detach" {
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
	fmt.Println(op.Phase, len(op.Made), "new volume:", backup.HintOf(op.Err()))
	// Output:
	// unmount 1 disk at /dev/sdf
	// mount 1 disk at /dev/sdf
	// canceled 1 new volume: the volumes in Made, if any, are free: delete them if they are not needed
}
