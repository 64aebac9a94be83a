package ebs_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
)

// archiveTo steps the archival of a point until it is in a stage.
func archiveTo(t *testing.T, s *ebs.Strategy, point backup.Ref, token, stage string) backup.Operation {
	t.Helper()
	r, err := backup.NewRunner([]backup.Strategy{s})
	if err != nil {
		t.Fatal(err)
	}
	op, err := s.StartArchive(t.Context(), point, backup.Spec{Token: token})
	for err == nil && !op.Done() && op.Stage != stage {
		op, err = r.Step(t.Context(), op)
		if op.Stage != stage {
			time.Sleep(max(time.Until(op.Poll), time.Millisecond))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// again makes another snapshot of the volume.
func again(t *testing.T, s *ebs.Strategy, volume backup.Ref) backup.Ref {
	t.Helper()
	op, err := s.Start(t.Context(), volume, backup.Spec{Token: "newer"})
	op = finish(t, s, op, err)
	want(t, op, backup.PhaseSucceeded, "")
	return op.Points[0]
}

// A snapshot on its way to the archive is none that could be restored at once, although EC2 still says that it is in the standard tier.
func TestArchiveNotBoth(t *testing.T) {
	for name, copied := range map[string]bool{"snapshots": false, "copies": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
				one := b.backedUp(t, t.Context(), b.volume)
				two := again(t, s, b.volume)
				if copied {
					s = anywhere(b.world.Config(account, region))
					one = copyOf(t, s, one, there, backup.Spec{Token: "1"}).Points[0]
					two = copyOf(t, s, two, there, backup.Spec{Token: "2"}).Points[0]
				}
				first := archiveTo(t, s, one, "a", "wait")
				second, err := s.StartArchive(t.Context(), two, backup.Spec{Token: "b"})
				if f, ferr := s.Preflight(t.Context(), second); ferr != nil || len(f) != 1 || f[0].Severity != backup.SeverityError {
					t.Errorf("preflight: %v %v", f, ferr)
				}
				want(t, finish(t, s, second, err), backup.PhaseFailed, backup.ErrConflict)
				want(t, finish(t, s, first, nil), backup.PhaseSucceeded, "")
				want(t, archive(t, s, two, backup.Spec{Token: "c", Options: ebs.ArchiveOptions{AllowLast: true}}), backup.PhaseSucceeded, "")
			})
		})
	}
}

// Two moves that were planned while the other snapshot was there do not both take place.
func TestArchiveNotBothAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		one := b.backedUp(t, t.Context(), b.volume)
		two := again(t, s, b.volume)
		first, second := archiveTo(t, s, one, "a", "move"), archiveTo(t, s, two, "b", "move")
		first = finish(t, s, first, nil)
		want(t, first, backup.PhaseSucceeded, "")
		want(t, finish(t, s, second, nil), backup.PhaseFailed, backup.ErrConflict)
		if n := count(b, "ModifySnapshotTier"); n != 1 || b.archived() != 1 {
			t.Errorf("%d calls, %d are archived", n, b.archived())
		}
	})
}

// What somebody does between the plan and the call stops the move as it would have stopped the plan.
func TestArchiveVetoesAreFresh(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(t *testing.T, b *bench, id string) error
		code backup.Code
	}{
		"another owner": {func(_ *testing.T, b *bench, id string) error {
			b.ec2.Retag(b.world, account, region, id, map[string]string{backup.TagOwner: "others"})
			return nil
		}, backup.ErrConflict},
		"AWS Backup's": {func(_ *testing.T, b *bench, id string) error {
			b.ec2.Retag(b.world, account, region, id, map[string]string{"aws:backup:source-resource": "arn:x"})
			return nil
		}, backup.ErrUnsupported},
		"fast restores": {func(t *testing.T, b *bench, id string) error {
			_, err := b.client.EnableFastSnapshotRestores(t.Context(), &awsec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: []string{region + "a"}})
			return err
		}, backup.ErrConflict},
		"an image": {func(t *testing.T, b *bench, id string) error {
			_, err := b.client.RegisterImage(t.Context(), &awsec2.RegisterImageInput{Name: aws.String("image"), RootDeviceName: aws.String("/dev/xvda"),
				BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &id}}}})
			return err
		}, backup.ErrConflict},
		"the other is deleted": {func(_ *testing.T, b *bench, id string) error {
			for _, x := range b.ec2.Snapshots(b.world, account, region) {
				if x.ID != id {
					b.ec2.DeleteBehindBack(b.world, account, region, x.ID)
				}
			}
			return nil
		}, backup.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
				one := b.backedUp(t, t.Context(), b.volume)
				again(t, s, b.volume)
				op := archiveTo(t, s, one, "a", "move")
				if err := c.do(t, b, one.ID); err != nil {
					t.Fatal(err)
				}
				want(t, finish(t, s, op, nil), backup.PhaseFailed, c.code)
				if n := count(b, "ModifySnapshotTier"); n != 0 {
					t.Errorf("%d calls", n)
				}
			})
		})
	}
}
