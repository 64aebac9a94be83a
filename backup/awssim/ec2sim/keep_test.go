package ec2sim_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
)

// What the calls about keeping snapshots refuse.
func TestKeepingRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		c := s.c
		id := s.ec2.Seed(s.w, home, region, 1, ec2sim.Seeds{})[0]
		owned := s.ec2.Seed(s.w, home, region, 1, ec2sim.Seeds{Tags: func(int) map[string]string {
			return map[string]string{"aws:backup:source-resource": "arn:x"}
		}})[0]
		zones, none, odd := []string{region + "a"}, "snap-00000000", "snap-x"
		day := aws.Int32(1)
		filters := []ec2types.Filter{by("nonsense", "x")}
		for _, x := range []struct {
			what string
			call func(ctx context.Context) error
			code string
		}{
			{"dry tier", func(ctx context.Context) error {
				_, err := c.ModifySnapshotTier(ctx, &awsec2.ModifySnapshotTierInput{SnapshotId: &id, DryRun: yes()})
				return err
			}, "DryRunOperation"},
			{"another tier", func(ctx context.Context) error {
				_, err := c.ModifySnapshotTier(ctx, &awsec2.ModifySnapshotTierInput{SnapshotId: &id, StorageTier: "standard"})
				return err
			}, "InvalidParameterValue"},
			{"tier of nothing", func(ctx context.Context) error {
				_, err := c.ModifySnapshotTier(ctx, &awsec2.ModifySnapshotTierInput{SnapshotId: &none})
				return err
			}, "InvalidSnapshot.NotFound"},
			{"tier of nonsense", func(ctx context.Context) error {
				_, err := c.ModifySnapshotTier(ctx, &awsec2.ModifySnapshotTierInput{SnapshotId: &odd})
				return err
			}, "InvalidSnapshotID.Malformed"},
			{"tier of AWS Backup's", func(ctx context.Context) error {
				_, err := c.ModifySnapshotTier(ctx, &awsec2.ModifySnapshotTierInput{SnapshotId: &owned})
				return err
			}, "OperationNotPermitted"},
			{"dry restore", func(ctx context.Context) error {
				_, err := c.RestoreSnapshotTier(ctx, &awsec2.RestoreSnapshotTierInput{SnapshotId: &id, DryRun: yes()})
				return err
			}, "DryRunOperation"},
			{"dry status", func(ctx context.Context) error {
				_, err := c.DescribeSnapshotTierStatus(ctx, &awsec2.DescribeSnapshotTierStatusInput{DryRun: yes()})
				return err
			}, "DryRunOperation"},
			{"status by nonsense", func(ctx context.Context) error {
				_, err := c.DescribeSnapshotTierStatus(ctx, &awsec2.DescribeSnapshotTierStatusInput{Filters: filters})
				return err
			}, "InvalidParameterValue"},
			{"status in pages of one", func(ctx context.Context) error {
				_, err := c.DescribeSnapshotTierStatus(ctx, &awsec2.DescribeSnapshotTierStatusInput{MaxResults: day})
				return err
			}, "InvalidParameterValue"},
			{"dry lock", func(ctx context.Context) error {
				_, err := c.LockSnapshot(ctx, &awsec2.LockSnapshotInput{SnapshotId: &id, LockMode: "governance", LockDuration: day, DryRun: yes()})
				return err
			}, "DryRunOperation"},
			{"lock of nothing", func(ctx context.Context) error {
				_, err := c.LockSnapshot(ctx, &awsec2.LockSnapshotInput{SnapshotId: &none, LockMode: "governance", LockDuration: day})
				return err
			}, "InvalidSnapshot.NotFound"},
			{"lock of nonsense", func(ctx context.Context) error {
				_, err := c.LockSnapshot(ctx, &awsec2.LockSnapshotInput{SnapshotId: &odd, LockMode: "governance", LockDuration: day})
				return err
			}, "InvalidSnapshotID.Malformed"},
			{"too long a cool-off", func(ctx context.Context) error {
				_, err := c.LockSnapshot(ctx, &awsec2.LockSnapshotInput{SnapshotId: &id, LockMode: "compliance", LockDuration: day, CoolOffPeriod: aws.Int32(73)})
				return err
			}, "InvalidParameterValue"},
			{"dry unlock", func(ctx context.Context) error {
				_, err := c.UnlockSnapshot(ctx, &awsec2.UnlockSnapshotInput{SnapshotId: &id, DryRun: yes()})
				return err
			}, "DryRunOperation"},
			{"dry locks", func(ctx context.Context) error {
				_, err := c.DescribeLockedSnapshots(ctx, &awsec2.DescribeLockedSnapshotsInput{DryRun: yes()})
				return err
			}, "DryRunOperation"},
			{"locks by nonsense", func(ctx context.Context) error {
				_, err := c.DescribeLockedSnapshots(ctx, &awsec2.DescribeLockedSnapshotsInput{Filters: filters})
				return err
			}, "InvalidParameterValue"},
			{"locks of nothing", func(ctx context.Context) error {
				_, err := c.DescribeLockedSnapshots(ctx, &awsec2.DescribeLockedSnapshotsInput{SnapshotIds: []string{none}})
				return err
			}, "InvalidSnapshot.NotFound"},
			{"locks by id in pages", func(ctx context.Context) error {
				_, err := c.DescribeLockedSnapshots(ctx, &awsec2.DescribeLockedSnapshotsInput{SnapshotIds: []string{id}, MaxResults: aws.Int32(5)})
				return err
			}, "InvalidParameterCombination"},
			{"dry fast restores", func(ctx context.Context) error {
				_, err := c.EnableFastSnapshotRestores(ctx, &awsec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: zones, DryRun: yes()})
				return err
			}, "DryRunOperation"},
			{"fast restores nowhere", func(ctx context.Context) error {
				_, err := c.EnableFastSnapshotRestores(ctx, &awsec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}})
				return err
			}, "InvalidParameterValue"},
			{"fast restores elsewhere", func(ctx context.Context) error {
				_, err := c.EnableFastSnapshotRestores(ctx, &awsec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: []string{"us-east-1a"}})
				return err
			}, "InvalidZone.NotFound"},
			{"fast restores of nonsense", func(ctx context.Context) error {
				_, err := c.DisableFastSnapshotRestores(ctx, &awsec2.DisableFastSnapshotRestoresInput{SourceSnapshotIds: []string{odd}, AvailabilityZones: zones})
				return err
			}, "InvalidSnapshotID.Malformed"},
			{"dry fast restores off", func(ctx context.Context) error {
				_, err := c.DisableFastSnapshotRestores(ctx, &awsec2.DisableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: zones, DryRun: yes()})
				return err
			}, "DryRunOperation"},
			{"dry fast restores listed", func(ctx context.Context) error {
				_, err := c.DescribeFastSnapshotRestores(ctx, &awsec2.DescribeFastSnapshotRestoresInput{DryRun: yes()})
				return err
			}, "DryRunOperation"},
			{"fast restores by nonsense", func(ctx context.Context) error {
				_, err := c.DescribeFastSnapshotRestores(ctx, &awsec2.DescribeFastSnapshotRestoresInput{Filters: filters})
				return err
			}, "InvalidParameterValue"},
			{"dry bin", func(ctx context.Context) error {
				_, err := c.ListSnapshotsInRecycleBin(ctx, &awsec2.ListSnapshotsInRecycleBinInput{DryRun: yes()})
				return err
			}, "DryRunOperation"},
			{"bin by id in pages", func(ctx context.Context) error {
				_, err := c.ListSnapshotsInRecycleBin(ctx, &awsec2.ListSnapshotsInRecycleBinInput{SnapshotIds: []string{id}, MaxResults: aws.Int32(5)})
				return err
			}, "InvalidParameterCombination"},
		} {
			want(t, x.what, x.call(s.ctx), x.code)
		}
		// Five snapshots of a Region have fast restores.
		ids := s.ec2.Seed(s.w, home, region, 6, ec2sim.Seeds{})
		on := func(ids []string) error {
			_, err := c.EnableFastSnapshotRestores(s.ctx, &awsec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: ids, AvailabilityZones: zones})
			return err
		}
		want(t, "five", on(ids[:5]), "")
		want(t, "five again", on(ids[:5]), "")
		want(t, "the sixth", on(ids[5:]), "FastSnapshotRestoreLimitExceeded")
	})
}
