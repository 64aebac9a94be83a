package ec2sim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
)

func TestSnapshotTiers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		v := s.volume()
		id := s.snapshot(v)
		in := &awsec2.ModifySnapshotTierInput{SnapshotId: &id, StorageTier: ec2types.TargetStorageTierArchive}
		status := func() ec2types.SnapshotTierStatus {
			t.Helper()
			out, err := s.c.DescribeSnapshotTierStatus(s.ctx, &awsec2.DescribeSnapshotTierStatusInput{Filters: []ec2types.Filter{by("snapshot-id", id)}})
			if err != nil || len(out.SnapshotTierStatuses) > 1 {
				t.Fatal(out, err)
			}
			if len(out.SnapshotTierStatuses) == 0 {
				return ec2types.SnapshotTierStatus{}
			}
			return out.SnapshotTierStatuses[0]
		}
		_, err := s.c.ModifySnapshotTier(s.ctx, in)
		want(t, "a pending snapshot", err, "IncorrectState")
		time.Sleep(24 * time.Hour)
		_, err = s.c.RestoreSnapshotTier(s.ctx, &awsec2.RestoreSnapshotTierInput{SnapshotId: &id, PermanentRestore: yes()})
		want(t, "a restore of what is in the standard tier", err, "IncorrectState")
		if x := status(); x.SnapshotId != nil {
			t.Errorf("never moved: %s", text(x))
		}
		if _, err := s.c.ModifySnapshotTier(s.ctx, in); err != nil {
			t.Fatal(err)
		}
		_, err = s.c.ModifySnapshotTier(s.ctx, in)
		want(t, "a second call", err, "IncorrectState")
		time.Sleep(time.Second)
		if x := status(); x.LastTieringOperationStatus != ec2types.TieringOperationStatusArchivalInProgress || *x.LastTieringProgress > 50 || s.one(id).StorageTier != "standard" {
			t.Errorf("in progress: %s", text(x))
		}
		time.Sleep(48 * time.Hour)
		if x := status(); x.LastTieringOperationStatus != ec2types.TieringOperationStatusArchivalCompleted || x.ArchivalCompleteTime == nil || s.one(id).StorageTier != "archive" {
			t.Errorf("archived: %s", text(x))
		}
		if n := len(s.ids(by("storage-tier", "archive"))); n != 1 {
			t.Errorf("%d are listed in the archive", n)
		}
		_, err = s.c.CreateVolume(s.ctx, &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), SnapshotId: &id})
		want(t, "a volume of it", err, "UnsupportedOperation")
		_, err = s.in(home, away).CopySnapshot(s.ctx, &awsec2.CopySnapshotInput{SourceRegion: aws.String(region), SourceSnapshotId: &id})
		want(t, "a copy of it", err, "UnsupportedOperation")
		_, err = s.c.RestoreSnapshotTier(s.ctx, &awsec2.RestoreSnapshotTierInput{SnapshotId: &id, TemporaryRestoreDays: aws.Int32(181)})
		want(t, "too many days", err, "InvalidParameterValue")
		_, err = s.c.RestoreSnapshotTier(s.ctx, &awsec2.RestoreSnapshotTierInput{SnapshotId: &id, TemporaryRestoreDays: aws.Int32(1), PermanentRestore: yes()})
		want(t, "days and for good", err, "InvalidParameterCombination")
		if _, err := s.c.RestoreSnapshotTier(s.ctx, &awsec2.RestoreSnapshotTierInput{SnapshotId: &id, TemporaryRestoreDays: aws.Int32(4)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(72 * time.Hour)
		if p := s.one(id); p.StorageTier != "standard" || p.RestoreExpiryTime == nil || status().LastTieringOperationStatus != ec2types.TieringOperationStatusTemporaryRestoreCompleted {
			t.Errorf("for some days: %s", text(p))
		}
		// The days can be made more.
		if _, err := s.c.RestoreSnapshotTier(s.ctx, &awsec2.RestoreSnapshotTierInput{SnapshotId: &id, TemporaryRestoreDays: aws.Int32(10)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * 24 * time.Hour)
		if p := s.one(id); p.StorageTier != "standard" {
			t.Errorf("on the ninth of ten days: %s", text(p))
		}
		time.Sleep(2 * 24 * time.Hour)
		if p := s.one(id); p.StorageTier != "archive" || p.RestoreExpiryTime != nil {
			t.Errorf("after the days: %s", text(p))
		}
		s.w.Inject(awssim.Fault{Operation: "RestoreSnapshotTier", Kind: awssim.FaultAsync})
		for _, state := range []ec2types.TieringOperationStatus{"permanent-restore-failed", "permanent-restore-completed"} {
			if _, err := s.c.RestoreSnapshotTier(s.ctx, &awsec2.RestoreSnapshotTierInput{SnapshotId: &id, PermanentRestore: yes()}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(72 * time.Hour)
			if x := status(); x.LastTieringOperationStatus != state || (x.LastTieringOperationStatusDetail != nil) != (state == "permanent-restore-failed") {
				t.Errorf("wanted %s: %s", state, text(x))
			}
		}
		if i := s.ec2.Snapshots(s.w, home, region)[0]; i.Tier != "standard" || i.Moves != 5 {
			t.Errorf("%+v", i)
		}
	})
}

func TestSnapshotTierQuotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.ec2.SetTierTimes(s.w, time.Hour, time.Hour)
		ids := s.ec2.Seed(s.w, home, region, 27, ec2sim.Seeds{Volumes: []string{"vol-12345678"}})
		call := func(n int) error {
			_, err := s.c.ModifySnapshotTier(s.ctx, &awsec2.ModifySnapshotTierInput{SnapshotId: &ids[n]})
			return err
		}
		for i := range 25 {
			if err := call(i); err != nil {
				t.Fatal(i, err)
			}
		}
		want(t, "the 26th at a time", call(25), "ResourceLimitExceeded")
		time.Sleep(72 * time.Hour)
		want(t, "the 26th of a volume", call(25), "SnapshotLimitExceeded")
		for i := range 6 {
			_, err := s.c.RestoreSnapshotTier(s.ctx, &awsec2.RestoreSnapshotTierInput{SnapshotId: &ids[i]})
			if wanted := map[bool]string{true: "ResourceLimitExceeded"}[i == 5]; code(err) != wanted {
				t.Errorf("restore %d: %v", i, err)
			}
		}
	})
}
