package ebs_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/quiesce"
)

// quick makes the strategy look again soon, because the simulated AWS of these examples is a million times as fast as the real one.
func quick(o *ebs.Options) { o.PollMin, o.Park = 10*time.Millisecond, 10*time.Millisecond }

// simulatedInstance is an instance with a root volume and two data volumes in a simulated AWS.
func simulatedInstance(ctx context.Context) (aws.Config, backup.Ref) {
	world := awssim.New(ec2sim.Service())
	world.SetSpeed(1e6)
	cfg := world.Config(account, region)
	disk := func(device string, size int32) ec2types.BlockDeviceMapping {
		return ec2types.BlockDeviceMapping{DeviceName: &device, Ebs: &ec2types.EbsBlockDevice{VolumeSize: &size}}
	}
	out, err := awsec2.NewFromConfig(cfg).RunInstances(ctx, &awsec2.RunInstancesInput{
		ImageId: aws.String("ami-0123456789abcdef0"), InstanceType: ec2types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{disk("/dev/xvda", 8), disk("/dev/sdf", 100), disk("/dev/sdg", 100)},
	})
	if err != nil {
		log.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	return cfg, ebs.Instance(account, region, *out.Instances[0].InstanceId)
}

// All volumes of an instance are backed up at one moment, listed with their devices, and restored together.
func Example() {
	ctx := context.Background()
	cfg, instance := simulatedInstance(ctx)

	strategy := ebs.NewFromConfig(cfg, quick)
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		log.Fatal(err)
	}
	op, err := strategy.Start(ctx, instance, backup.Spec{Token: backup.NewToken(instance, "2026-11-20")})
	if err != nil {
		log.Fatal(err)
	}
	if op, err = runner.Run(ctx, op); err != nil {
		log.Fatal(err)
	}
	for point, err := range strategy.List(ctx, backup.Query{Account: account, Region: region, Source: instance}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(point.Status, len(point.Members), "volumes")
		for _, m := range point.Members {
			fmt.Println(" ", m.Place, m.Role, m.SizeBytes>>30, "GiB")
		}
	}
	op, err = strategy.StartRestore(ctx, op.Points[0], backup.Spec{Token: "drill", Options: ebs.RestoreOptions{Zone: "eu-west-1b"}})
	if err != nil {
		log.Fatal(err)
	}
	if op, err = runner.Run(ctx, op); err != nil {
		log.Fatal(err)
	}
	fmt.Println(op.Phase, len(op.Made), "new volumes")
	// Output:
	// available 3 volumes
	//   /dev/sdf data 100 GiB
	//   /dev/sdg data 100 GiB
	//   /dev/xvda root 8 GiB
	// succeeded 3 new volumes
}

// A set is copied to another Region, which the strategy must be allowed to copy to, and kept from being deleted there.
func ExampleStrategy_StartCopy() {
	ctx := context.Background()
	cfg, instance := simulatedInstance(ctx)

	strategy := ebs.New(func(_ context.Context, _, region string) (*awsec2.Client, error) {
		c := cfg.Copy()
		c.Region = region
		return awsec2.NewFromConfig(c), nil
	}, quick, func(o *ebs.Options) { o.CopyRegions = []string{"eu-central-1"} })
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		log.Fatal(err)
	}
	run := func(op backup.Operation, err error) backup.Operation {
		if err != nil {
			log.Fatal(err)
		}
		if op, err = runner.Run(ctx, op); err != nil {
			log.Fatal(err)
		}
		return op
	}
	made := run(strategy.Start(ctx, instance, backup.Spec{Token: "tonight"}))
	op := run(strategy.StartCopy(ctx, made.Points[0], backup.Destination{Region: "eu-central-1"}, backup.Spec{Token: "tonight"}))
	for _, f := range op.Findings {
		fmt.Println(f.ID)
	}
	far := op.Points[0]
	for point, err := range strategy.List(ctx, backup.Query{Account: account, Region: "eu-central-1", Point: far}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(point.Status, len(point.Members), "volumes of", point.Source.Region, point.Source == instance)
	}
	fmt.Println(run(strategy.StartLock(ctx, far, backup.Spec{Token: "tonight", Options: ebs.LockOptions{Days: 30}})).Phase)
	_, err = strategy.StartCopy(ctx, far, backup.Destination{Region: "us-east-1"}, backup.Spec{Token: "tonight"})
	fmt.Println(backup.CodeOf(err))
	// Output:
	// ebs.full-copy
	// available 3 volumes of eu-west-1 true
	// succeeded
	// invalid
}

// A mistake in the input is refused before anything is sent, and the error says how to mend it.
func ExampleStrategy_Start_refused() {
	_, err := ebs.NewFromConfig(aws.Config{Region: region}).Start(context.Background(),
		ebs.Volume(account, "eu-west-2", "vol-0123456789abcdef0"), backup.Spec{Token: "t"})
	fmt.Println(backup.CodeOf(err))
	fmt.Println(backup.HintOf(err))
	// Output:
	// invalid
	// use a configuration of that Region, or New with a provider that serves several
}

// The file systems of an instance are frozen for the moment at which its set is made. Here a model of a host answers; Run is the caller's SSH or SSM.
func ExampleQuiesce() {
	ctx := context.Background()
	cfg, instance := simulatedInstance(ctx)
	run := func(_ context.Context, _, script string) (string, error) {
		// A real host prints this last line when it has run the script.
		lease := script[strings.Index(script, "lease='")+7:]
		lease = lease[:strings.Index(lease, "'")]
		if strings.Contains(script, "fsfreeze") {
			return "snapwarden-quiesce-1 " + lease + " frozen", nil
		}
		return "snapwarden-quiesce-1 " + lease + " held", nil
	}
	host, err := quiesce.NewHost(run, quiesce.Plan{FileSystems: []string{"/data"}})
	if err != nil {
		log.Fatal(err)
	}
	strategy := ebs.NewFromConfig(cfg, quick, func(o *ebs.Options) { o.Quiescer = host })
	op, err := strategy.Start(ctx, instance, backup.Spec{Token: "tonight", Options: ebs.BackupOptions{Quiesce: ebs.Quiesce{Limit: quiesce.DefaultLimit}}})
	if err != nil {
		log.Fatal(err)
	}
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		log.Fatal(err)
	}
	if op, err = runner.Run(ctx, op); err != nil {
		log.Fatal(err)
	}
	fmt.Println(op.Phase, op.Findings[0].ID)
	// Output:
	// succeeded ebs.app-consistent
}
