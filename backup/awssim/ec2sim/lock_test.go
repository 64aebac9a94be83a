package ec2sim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

func TestSnapshotLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		id := s.snapshot(s.volume())
		gov := func(days int32) *awsec2.LockSnapshotInput {
			return &awsec2.LockSnapshotInput{SnapshotId: &id, LockMode: ec2types.LockModeGovernance, LockDuration: &days}
		}
		lock := func(in *awsec2.LockSnapshotInput) error { _, err := s.c.LockSnapshot(s.ctx, in); return err }
		state := func() string {
			t.Helper()
			out, err := s.c.DescribeLockedSnapshots(s.ctx, &awsec2.DescribeLockedSnapshotsInput{SnapshotIds: []string{id}})
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Snapshots) == 0 {
				return ""
			}
			return string(out.Snapshots[0].LockState)
		}
		remove := func() error {
			_, err := s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: &id})
			return err
		}
		unlock := func() error {
			_, err := s.c.UnlockSnapshot(s.ctx, &awsec2.UnlockSnapshotInput{SnapshotId: &id})
			return err
		}
		both, none, zero, cool, wide := gov(1), gov(1), gov(0), gov(1), gov(1)
		both.ExpirationDate, none.LockDuration, cool.CoolOffPeriod, wide.LockMode = aws.Time(time.Now().Add(time.Hour)), nil, aws.Int32(1), "open"
		late := gov(1)
		late.LockDuration, late.ExpirationDate = nil, aws.Time(time.Now())
		for what, c := range map[string]struct {
			in   *awsec2.LockSnapshotInput
			code string
		}{"both": {both, "InvalidParameterCombination"}, "none": {none, "InvalidParameterCombination"}, "zero": {zero, "InvalidParameterValue"},
			"cool-off in governance": {cool, "InvalidParameterCombination"}, "no mode": {wide, "InvalidParameterValue"}, "past": {late, "InvalidParameterValue"}} {
			want(t, what, lock(c.in), c.code)
		}
		want(t, "unlocking what is not locked", unlock(), "IncorrectState")
		// The days of a pending snapshot's lock count from when it is completed.
		if err := lock(gov(1)); err != nil || state() != "governance" {
			t.Fatal(err, state())
		}
		want(t, "deleting what is locked", remove(), "OperationNotPermitted")
		if err := unlock(); err != nil || state() != "" {
			t.Fatal(err, state())
		}
		if err := lock(gov(2)); err != nil {
			t.Fatal(err)
		}
		if err := lock(gov(1)); err != nil {
			t.Errorf("governance can be made shorter: %v", err)
		}
		comp := &awsec2.LockSnapshotInput{SnapshotId: &id, LockMode: ec2types.LockModeCompliance, LockDuration: aws.Int32(10), CoolOffPeriod: aws.Int32(3)}
		if err := lock(comp); err != nil || state() != "compliance-cooloff" {
			t.Fatal(err, state())
		}
		time.Sleep(4 * time.Hour)
		if got := state(); got != "compliance" {
			t.Error(got)
		}
		want(t, "unlocking compliance", unlock(), "OperationNotPermitted")
		want(t, "another cool-off", lock(comp), "OperationNotPermitted")
		want(t, "less", lock(&awsec2.LockSnapshotInput{SnapshotId: &id, LockMode: ec2types.LockModeCompliance, LockDuration: aws.Int32(9)}), "OperationNotPermitted")
		want(t, "governance again", lock(gov(100)), "OperationNotPermitted")
		if err := lock(&awsec2.LockSnapshotInput{SnapshotId: &id, LockMode: ec2types.LockModeCompliance, LockDuration: aws.Int32(11)}); err != nil {
			t.Error(err)
		}
		if i := s.ec2.Snapshots(s.w, home, region)[0]; i.Lock != "compliance" || time.Until(i.LockedUntil) < 10*24*time.Hour {
			t.Errorf("%+v", i)
		}
		time.Sleep(12 * 24 * time.Hour)
		if got := state(); got != "expired" {
			t.Error(got)
		}
		if out, err := s.c.DescribeLockedSnapshots(s.ctx, &awsec2.DescribeLockedSnapshotsInput{Filters: []ec2types.Filter{by("lock-state", "governance", "compliance")}}); err != nil || len(out.Snapshots) != 0 {
			t.Error(out, err)
		}
		want(t, "deleting what was locked", remove(), "")
		// What fails loses its lock.
		s.w.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultAsync})
		id = s.snapshot(s.volume())
		if err := lock(gov(30)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		want(t, "deleting what failed", remove(), "")
	})
}

func TestFastRestores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		id := s.snapshot(s.volume())
		time.Sleep(24 * time.Hour)
		zones := []string{region + "a", region + "b"}
		on := &awsec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: zones}
		states := func(filters ...ec2types.Filter) (all []string) {
			t.Helper()
			out, err := s.c.DescribeFastSnapshotRestores(s.ctx, &awsec2.DescribeFastSnapshotRestoresInput{Filters: append(filters, by("snapshot-id", id))})
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range out.FastSnapshotRestores {
				all = append(all, *x.AvailabilityZone+" "+string(x.State))
			}
			return all
		}
		if all := states(); all != nil {
			t.Error(all)
		}
		if out, err := s.c.EnableFastSnapshotRestores(s.ctx, on); err != nil || len(out.Successful) != 2 {
			t.Fatal(out, err)
		}
		for _, c := range []struct {
			after time.Duration
			state string
		}{{0, "enabling"}, {90 * time.Second, "optimizing"}, {2 * time.Hour, "enabled"}} {
			time.Sleep(c.after)
			if all := states(by("state", c.state)); len(all) != 2 {
				t.Errorf("not %s: %v", c.state, states())
			}
		}
		_, err := s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: &id})
		want(t, "deleting", err, "InvalidSnapshot.InUse")
		if _, err := s.c.DisableFastSnapshotRestores(s.ctx, &awsec2.DisableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: zones[:1]}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if all := states(by("state", "disabling")); len(all) != 1 {
			t.Error(states())
		}
		time.Sleep(time.Hour)
		if all := states(by("state", "disabled")); len(all) != 1 {
			t.Error(states())
		}
		if _, err := s.c.DisableFastSnapshotRestores(s.ctx, &awsec2.DisableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: zones}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		_, err = s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: &id})
		want(t, "deleting when it is off", err, "")
		_, err = s.c.EnableFastSnapshotRestores(s.ctx, on)
		want(t, "what is gone", err, "InvalidSnapshot.NotFound")
	})
}

func TestRecycleBin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		bin := func() int {
			out, err := s.c.ListSnapshotsInRecycleBin(s.ctx, &awsec2.ListSnapshotsInRecycleBinInput{MaxResults: aws.Int32(100)})
			if err != nil {
				t.Fatal(err)
			}
			return len(out.Snapshots)
		}
		v := s.volume()
		for _, keep := range []time.Duration{0, 7 * 24 * time.Hour} {
			s.ec2.SetRecycleBin(s.w, home, region, keep)
			id := s.snapshot(v)
			time.Sleep(24 * time.Hour)
			if _, err := s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: &id}); err != nil {
				t.Fatal(err)
			}
			if n, l := bin(), len(s.ids(by("snapshot-id", id))); n != min(int(keep), 1) || l != 0 {
				t.Errorf("%d in the bin, %d listed", n, l)
			}
		}
		time.Sleep(8 * 24 * time.Hour)
		if n := bin(); n != 0 {
			t.Errorf("%d in the bin after the time", n)
		}
	})
}
