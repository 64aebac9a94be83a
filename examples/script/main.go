// Command script backs up one EBS volume, or all volumes of one EC2 instance as one crash-consistent set, and prints the recovery point.
//
//	go run ./examples/script -simulated                 on an AWS that is simulated in the process
//	go run ./examples/script -account 111122223333 -region eu-west-1 -id i-0123456789abcdef0     with the credentials of the AWS CLI
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/ebs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt) // ends the waiting, not the backup
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "script:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("script", flag.ContinueOnError)
	flags.SetOutput(stderr)
	account := flags.String("account", "", "the account `id`, twelve digits")
	region := flags.String("region", "", "the Region's `name`, such as eu-west-1")
	id := flags.String("id", "", "the `id` of a volume (vol-...) or an instance (i-...)")
	slot := flags.String("slot", time.Now().UTC().Format(time.DateOnly), "the `name` of the occasion: there is one backup of a resource for each")
	simulated := flags.Bool("simulated", false, "use a simulated AWS and a volume in it, instead of -account, -region and -id")
	if err := flags.Parse(args); err != nil {
		return err
	}
	source := ebs.Volume(*account, *region, *id)
	if strings.HasPrefix(*id, "i-") {
		source = ebs.Instance(*account, *region, *id)
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(*region))
	if *simulated {
		cfg, source, err = simulation(ctx)
	}
	if err != nil {
		return err
	}
	return backUp(ctx, cfg, source, *slot, stdout, backup.NewSlogObserver(slog.New(slog.NewTextHandler(stderr, nil))))
}

// backUp is the part to copy. There is no Store: a script that was interrupted is run again with the same slot, finds by the token what it had
// begun, and waits for that instead of making a second one.
func backUp(ctx context.Context, cfg aws.Config, source backup.Ref, slot string, out io.Writer, watch backup.Observer) error {
	strategy := ebs.NewFromConfig(cfg)
	runner, err := backup.NewRunner([]backup.Strategy{strategy}, func(o *backup.RunnerOptions) { o.Observer = watch })
	if err != nil {
		return err
	}
	op, err := strategy.Start(ctx, source, backup.Spec{Token: backup.NewToken(source, slot)})
	if err != nil {
		return err
	}
	op, err = runner.Run(ctx, op)
	for _, point := range op.Points {
		fmt.Fprintln(out, op.Phase, point) // also when it failed: what exists must not be lost sight of
	}
	if err != nil && !op.Done() {
		return fmt.Errorf("%w; the backup has not ended, and the same command with -slot %s carries it on", err, slot)
	}
	return err
}

// simulation gives a simulated AWS that is a hundred times as fast, and a volume in it.
func simulation(ctx context.Context) (cfg aws.Config, source backup.Ref, err error) {
	const account, region = "111122223333", "eu-west-1"
	world := awssim.New(ec2sim.Service())
	world.SetSpeed(100)
	cfg = world.Config(account, region)
	client := awsec2.NewFromConfig(cfg)
	v, err := client.CreateVolume(ctx, &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(8)})
	if err != nil {
		return cfg, source, err
	}
	err = awsec2.NewVolumeAvailableWaiter(client, func(o *awsec2.VolumeAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = time.Second, time.Second }).
		Wait(ctx, &awsec2.DescribeVolumesInput{VolumeIds: []string{*v.VolumeId}}, time.Minute)
	return cfg, ebs.Volume(account, region, *v.VolumeId), err
}
