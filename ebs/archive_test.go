package ebs_test

import (
	"errors"
	"slices"
	"strings"
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

func archive(t testing.TB, s *ebs.Strategy, point backup.Ref, spec backup.Spec) backup.Operation {
	t.Helper()
	op, err := s.StartArchive(t.Context(), point, spec)
	return finish(t, s, op, err)
}

func unarchive(t testing.TB, s *ebs.Strategy, point backup.Ref, spec backup.Spec) backup.Operation {
	t.Helper()
	op, err := s.StartUnarchive(t.Context(), point, spec)
	return finish(t, s, op, err)
}

// tiers counts the snapshots in the archive.
func (b *bench) archived() (n int) {
	for _, x := range b.ec2.Snapshots(b.world, account, region) {
		if x.Tier == ec2types.StorageTierArchive && !x.Gone {
			n++
		}
	}
	return n
}

func TestArchiveAndBack(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		old := b.backedUp(t, t.Context(), b.instance)
		op, err := s.StartArchive(t.Context(), old, backup.Spec{Token: "1"})
		want(t, finish(t, s, op, err), backup.PhaseFailed, backup.ErrConflict) // the only one
		newer, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "newer"})
		want(t, finish(t, s, newer, err), backup.PhaseSucceeded, "")
		op, err = s.StartArchive(t.Context(), old, backup.Spec{Token: "2"})
		if f, ferr := s.Preflight(t.Context(), op); ferr != nil || len(f) != 2 || f[0].ID != "ebs.archive-90-days" || f[1].ID != "ebs.archive-full" || !strings.Contains(f[1].Message, "24.0 GiB") {
			t.Errorf("%v %v", f, ferr)
		}
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseSucceeded, "")
		if n := b.archived(); n != 3 || op.Deadline.Sub(op.Started) != 96*time.Hour {
			t.Errorf("%d are archived; the deadline is after %v", n, op.Deadline.Sub(op.Started))
		}
		if n := count(b, "DescribeSnapshotTierStatus"); n > 100 {
			t.Errorf("looked %d times", n)
		}
		// In the archive it makes no volumes and no copies; that is said before anything is called.
		wide := anywhere(b.world.Config(account, region))
		restore, err := s.StartRestore(t.Context(), old, backup.Spec{Token: "r", Options: ebs.RestoreOptions{Zone: region + "a"}})
		if f, err := s.Preflight(t.Context(), restore); err != nil || len(f) != 1 || f[0].Severity != backup.SeverityError {
			t.Errorf("%v %v", f, err)
		}
		want(t, finish(t, s, restore, err), backup.PhaseFailed, backup.ErrUnsupported)
		want(t, copyOf(t, wide, old, there, backup.Spec{Token: "c"}), backup.PhaseFailed, backup.ErrUnsupported)
		if all := listed(t, s, backup.Query{Region: region, Point: old}); len(all) != 1 || all[0].Status != backup.StatusAvailable {
			t.Errorf("listed %+v", all)
		}
		// To archive it again is nothing to do.
		calls := count(b, "ModifySnapshotTier")
		want(t, archive(t, s, old, backup.Spec{Token: "3"}), backup.PhaseSucceeded, "")
		if n := count(b, "ModifySnapshotTier"); n != calls {
			t.Errorf("archived again %d times", n-calls)
		}
		// Some days are for those days, and not for archiving meanwhile.
		days, err := s.StartUnarchive(t.Context(), old, backup.Spec{Token: "4", Options: ebs.UnarchiveOptions{Days: 7}})
		if f, ferr := s.Preflight(t.Context(), days); ferr != nil || len(f) != 1 || f[0].ID != "ebs.archive-72-hours" {
			t.Errorf("%v %v", f, ferr)
		}
		want(t, finish(t, s, days, err), backup.PhaseSucceeded, "")
		want(t, archive(t, s, old, backup.Spec{Token: "5"}), backup.PhaseFailed, backup.ErrConflict)
		restore, err = s.StartRestore(t.Context(), old, backup.Spec{Token: "r2", Options: ebs.RestoreOptions{Zone: region + "a"}})
		want(t, finish(t, s, restore, err), backup.PhaseSucceeded, "")
		time.Sleep(8 * 24 * time.Hour)
		if n := b.archived(); n != 3 {
			t.Errorf("after the days %d are archived", n)
		}
		forGood, err := s.StartUnarchive(t.Context(), old, backup.Spec{Token: "6", Options: ebs.UnarchiveOptions{Permanent: true}})
		if f, ferr := s.Preflight(t.Context(), forGood); ferr != nil || len(f) != 2 || f[0].ID != "ebs.archive-90-days" || f[0].Severity != backup.SeverityWarning {
			t.Errorf("%v %v", f, ferr)
		}
		want(t, finish(t, s, forGood, err), backup.PhaseSucceeded, "")
		time.Sleep(200 * 24 * time.Hour)
		if n := b.archived(); n != 0 {
			t.Errorf("for good, and %d are archived", n)
		}
		want(t, unarchive(t, s, old, backup.Spec{Token: "7", Options: ebs.UnarchiveOptions{Days: 1}}), backup.PhaseSucceeded, "")
	})
}

func TestArchiveRefusals(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := ebs.Snapshot(account, region, "snap-0123456789abcdef0")
		for _, spec := range []backup.Spec{{}, {Options: ebs.UnarchiveOptions{}}, {Options: ebs.UnarchiveOptions{Days: 181}}, {Options: ebs.UnarchiveOptions{Days: 1, Permanent: true}},
			{Options: &ebs.UnarchiveOptions{Days: 1}}, {Options: ebs.ArchiveOptions{}}, {Options: ebs.UnarchiveOptions{Days: 1}, Tags: map[string]string{"a": "b"}}} {
			spec.Token = "t"
			if _, err := s.StartUnarchive(t.Context(), point, spec); !errors.Is(err, backup.ErrInvalid) {
				t.Errorf("%+v: %v", spec, err)
			}
		}
		for _, spec := range []backup.Spec{{Name: "x"}, {Options: &ebs.ArchiveOptions{}}, {Options: ebs.DeleteOptions{}}, {Tags: map[string]string{"a": "b"}}} {
			spec.Token = "t"
			if _, err := s.StartArchive(t.Context(), point, spec); !errors.Is(err, backup.ErrInvalid) {
				t.Errorf("%+v: %v", spec, err)
			}
		}
		want(t, archive(t, s, point, backup.Spec{Token: "t"}), backup.PhaseFailed, backup.ErrNotFound)
		out, err := b.client.CreateSnapshot(t.Context(), &awsec2.CreateSnapshotInput{VolumeId: &b.volume.ID})
		if err != nil {
			t.Fatal(err)
		}
		point.ID = *out.SnapshotId
		refused := func(why string, foreign bool, code backup.Code) {
			t.Helper()
			op, err := s.StartArchive(t.Context(), point, backup.Spec{Token: why, Options: ebs.ArchiveOptions{AllowLast: true, AllowForeign: foreign}})
			if f, ferr := s.Preflight(t.Context(), op); ferr != nil || len(f) != 1 || f[0].Severity != backup.SeverityError {
				t.Errorf("%s: %v %v", why, f, ferr)
			}
			want(t, finish(t, s, op, err), backup.PhaseFailed, code)
		}
		refused("pending", true, backup.ErrConflict)
		time.Sleep(5 * time.Hour)
		refused("foreign", false, backup.ErrConflict)
		b.ec2.Retag(b.world, account, region, point.ID, map[string]string{"aws:backup:source-resource": "arn:x"})
		refused("AWS Backup's", true, backup.ErrUnsupported)
		b.ec2.Retag(b.world, account, region, point.ID, nil)
		image, err := b.client.RegisterImage(t.Context(), &awsec2.RegisterImageInput{Name: aws.String("image"), RootDeviceName: aws.String("/dev/xvda"),
			BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &point.ID}}}})
		if err != nil {
			t.Fatal(err)
		}
		refused("an image", true, backup.ErrConflict)
		if _, err := b.client.DeregisterImage(t.Context(), &awsec2.DeregisterImageInput{ImageId: image.ImageId}); err != nil {
			t.Fatal(err)
		}
		fast := &awsec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: []string{point.ID}, AvailabilityZones: []string{region + "a"}}
		if _, err := b.client.EnableFastSnapshotRestores(t.Context(), fast); err != nil {
			t.Fatal(err)
		}
		refused("fast restores", true, backup.ErrConflict)
		if _, err := b.client.DisableFastSnapshotRestores(t.Context(), &awsec2.DisableFastSnapshotRestoresInput{SourceSnapshotIds: []string{point.ID}, AvailabilityZones: []string{region + "a"}}); err != nil {
			t.Fatal(err)
		}
		refused("fast restores going off", true, backup.ErrConflict)
		if n := count(b, "ModifySnapshotTier"); n != 0 {
			t.Errorf("%d moves were sent", n)
		}
		time.Sleep(time.Hour)
		want(t, archive(t, s, point, backup.Spec{Token: "now", Options: ebs.ArchiveOptions{AllowLast: true, AllowForeign: true}}), backup.PhaseSucceeded, "")
	})
}

// A copy is the only one of its volume in its Region as a snapshot is in the other.
func TestArchiveTheLastCopy(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		s := anywhere(b.world.Config(account, region))
		first := copyOf(t, s, b.backedUp(t, t.Context(), b.volume), there, backup.Spec{Token: "1"}).Points[0]
		want(t, archive(t, s, first, backup.Spec{Token: "1"}), backup.PhaseFailed, backup.ErrConflict)
		again, err := s.Start(t.Context(), b.volume, backup.Spec{Token: "2"})
		again = finish(t, s, again, err)
		second := copyOf(t, s, again.Points[0], there, backup.Spec{Token: "2"}).Points[0]
		want(t, archive(t, s, first, backup.Spec{Token: "2"}), backup.PhaseSucceeded, "")
		want(t, archive(t, s, second, backup.Spec{Token: "3"}), backup.PhaseFailed, backup.ErrConflict)
		// The archived copy is none that a further one builds on, but the second is.
		op := copyOf(t, s, again.Points[0], there, backup.Spec{Token: "4"})
		if slices.Contains(findings(op), "ebs.full-copy") {
			t.Error(op.Findings)
		}
	})
}

func TestArchiveTrouble(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault func(b *bench)
		phase backup.Phase
		code  backup.Code
		moved int
	}{
		{"one fails", func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "ModifySnapshotTier", Kind: awssim.FaultAsync})
		}, backup.PhasePartial, backup.ErrPartial, 2},
		{"all fail", func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "ModifySnapshotTier", Times: -1, Kind: awssim.FaultAsync})
		}, backup.PhaseFailed, backup.ErrFailed, 0},
		{"not allowed", func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "ModifySnapshotTier", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: "UnauthorizedOperation", Message: "no"}})
		}, backup.PhaseFailed, backup.ErrDenied, 0},
		{"the second is refused", func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "ModifySnapshotTier", Skip: 1, Kind: awssim.FaultError, Error: awssim.Error{Code: "UnsupportedOperation", Message: "no"}})
		}, backup.PhasePartial, backup.ErrPartial, 1},
		{"one at a time", func(b *bench) {
			q := ec2sim.DefaultQuotas()
			q.Archivals = 1
			b.ec2.SetQuotas(b.world, q)
		}, backup.PhaseSucceeded, "", 3},
		{"one is deleted meanwhile", func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "ModifySnapshotTier", Skip: 2, Kind: awssim.FaultThrottle, Do: func() {
				b.ec2.DeleteBehindBack(b.world, account, region, b.ec2.Snapshots(b.world, account, region)[0].ID)
			}})
		}, backup.PhasePartial, backup.ErrPartial, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
				point := b.backedUp(t, t.Context(), b.instance)
				c.fault(b)
				op := archive(t, s, point, backup.Spec{Token: "t", Options: ebs.ArchiveOptions{AllowLast: true}})
				want(t, op, c.phase, c.code)
				if n := b.archived(); n != c.moved {
					t.Errorf("%d were moved", n)
				}
				if _, err := s.Cancel(t.Context(), op); !errors.Is(err, backup.ErrUnsupported) {
					t.Errorf("cancel: %v", err)
				}
			})
		})
	}
}
