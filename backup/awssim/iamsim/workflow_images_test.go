package iamsim_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/ami"
	"github.com/snapwarden/snapwarden/ebs/quiesce"
	"github.com/snapwarden/snapwarden/ebs/swap"
	"github.com/snapwarden/snapwarden/policy"
)

// Images, swaps and backups with a freeze do what their policies allow.
func TestInstanceWorkflowsWithTheirPolicies(t *testing.T) {
	onSite(t, func(s *site, _ *rdssim.RDS) {
		disk := func(device string) ec2types.BlockDeviceMapping {
			return ec2types.BlockDeviceMapping{DeviceName: &device, Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(8)}}
		}
		out, err := awsec2.NewFromConfig(s.config()).RunInstances(s.Context(), &awsec2.RunInstancesInput{ImageId: aws.String("ami-0123456789abcdef0"),
			InstanceType: ec2types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), BlockDeviceMappings: []ec2types.BlockDeviceMapping{disk("/dev/xvda"), disk("/dev/sdf")}})
		s.must(err)
		time.Sleep(time.Hour)
		instance := ebs.Instance(home, place, *out.Instances[0].InstanceId)
		far := policy.Scope{Account: home, Region: "us-east-1"}

		images := ami.New(func(_ context.Context, account, region string) (*awsec2.Client, error) {
			return awsec2.NewFromConfig(s.world.Config(account, region)), nil
		}, func(o *ami.Options) { o.CopyRegions = []string{far.Region} })
		op := s.work(images, func() (policy.Document, error) { return policy.AMIBackupPolicy(s.scope, instance.ID) },
			func() (backup.Operation, error) { return images.Start(s.Context(), instance, backup.Spec{Token: "t"}) })
		image := op.Points[0]
		both := func() (policy.Document, error) {
			from, err := policy.AMIBackupPolicy(s.scope)
			if err != nil {
				return from, err
			}
			to, err := policy.AMICopyPolicy(far)
			from.Statements = append(from.Statements[:1:1], to.Statements...)
			return from, err
		}
		s.work(images, both, func() (backup.Operation, error) {
			return images.StartCopy(s.Context(), image, backup.Destination{Region: far.Region}, backup.Spec{Token: "far"})
		})
		s.work(images, func() (policy.Document, error) { return policy.AMIDeletePolicy(s.scope) }, func() (backup.Operation, error) {
			return images.StartDelete(s.Context(), image, backup.Spec{Token: "gone"})
		})

		sets := ebs.NewFromConfig(s.config(), func(o *ebs.Options) {
			o.Quiescer = quiesce.Funcs{
				FreezeFunc: func(context.Context, backup.Ref, quiesce.Lease) error { return nil },
				ThawFunc: func(context.Context, backup.Ref, quiesce.Lease) (bool, error) {
					time.Sleep(time.Second)
					return true, nil
				},
			}
		})
		frozen := func() (policy.Document, error) {
			d, err := policy.EBSBackupPolicy(s.scope, instance.ID)
			if err != nil {
				return d, err
			}
			label, err := policy.EBSQuiescePolicy(s.scope)
			d.Statements = append(d.Statements, label.Statements...)
			return d, err
		}
		op = s.work(sets, frozen, func() (backup.Operation, error) {
			return sets.Start(s.Context(), instance, backup.Spec{Token: "t", Options: ebs.BackupOptions{Quiesce: ebs.Quiesce{Limit: quiesce.DefaultLimit, Required: true}}})
		})
		set := op.Points[0]

		swaps := swap.NewFromConfig(s.config())
		allowed := func() (policy.Document, error) { return policy.EBSSwapPolicy(s.scope, instance.ID) }
		s.work(swaps, allowed, func() (backup.Operation, error) {
			return swaps.Start(s.Context(), set, backup.Spec{Token: "t", Options: swap.SwapOptions{Instance: instance.ID}})
		})
		var member string
		for p, err := range sets.List(s.Context(), backup.Query{Account: home, Region: place, Point: set}) {
			s.must(err)
			member = p.Members[0].ID
		}
		op = s.work(swaps, allowed, func() (backup.Operation, error) {
			return swaps.StartBeside(s.Context(), ebs.Snapshot(home, place, member), backup.Spec{Token: "t", Options: swap.BesideOptions{Instance: instance.ID, Device: "/dev/sdz"}})
		})
		s.work(swaps, allowed, func() (backup.Operation, error) {
			return swaps.StartDetach(s.Context(), op.Made[0], backup.Spec{Token: "t"})
		})
	})
}
