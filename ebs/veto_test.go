package ebs_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
)

// What keeps one member of a set from being deleted keeps all of them, and is found before.
func TestDeleteVetoes(t *testing.T) {
	register := func(t *testing.T, b *bench, id string) *string {
		out, err := b.client.RegisterImage(t.Context(), &awsec2.RegisterImageInput{Name: aws.String("image"), RootDeviceName: aws.String("/dev/xvda"),
			BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &id}}}})
		if err != nil {
			t.Fatal(err)
		}
		return out.ImageId
	}
	for _, c := range []struct {
		name  string
		keep  func(t *testing.T, b *bench, id string) error
		says  string
		allow bool
	}{
		{"a lock", func(t *testing.T, b *bench, id string) error {
			_, err := b.client.LockSnapshot(t.Context(), &awsec2.LockSnapshotInput{SnapshotId: &id, LockMode: ec2types.LockModeGovernance, LockDuration: aws.Int32(30)})
			return err
		}, "locked (governance) until 2000-01-31", false},
		{"a lock for good", func(t *testing.T, b *bench, id string) error {
			_, err := b.client.LockSnapshot(t.Context(), &awsec2.LockSnapshotInput{SnapshotId: &id, LockMode: ec2types.LockModeCompliance, LockDuration: aws.Int32(30)})
			return err
		}, "locked (compliance) until 2000-01-31", false},
		{"a lock that has ended", func(t *testing.T, b *bench, id string) error {
			_, err := b.client.LockSnapshot(t.Context(), &awsec2.LockSnapshotInput{SnapshotId: &id, LockMode: ec2types.LockModeGovernance, LockDuration: aws.Int32(1)})
			time.Sleep(25 * time.Hour)
			return err
		}, "", true},
		{"an image", func(t *testing.T, b *bench, id string) error { register(t, b, id); return nil }, "which is available", false},
		{"a disabled image", func(t *testing.T, b *bench, id string) error {
			_, err := b.client.DisableImage(t.Context(), &awsec2.DisableImageInput{ImageId: register(t, b, id)})
			return err
		}, "which is disabled", false},
		{"a deprecated image", func(t *testing.T, b *bench, id string) error {
			_, err := b.client.EnableImageDeprecation(t.Context(), &awsec2.EnableImageDeprecationInput{ImageId: register(t, b, id), DeprecateAt: aws.Time(time.Now().Add(time.Hour))})
			time.Sleep(2 * time.Hour)
			return err
		}, "which is available", false},
		{"an image that was deregistered", func(t *testing.T, b *bench, id string) error {
			_, err := b.client.DeregisterImage(t.Context(), &awsec2.DeregisterImageInput{ImageId: register(t, b, id)})
			return err
		}, "", true},
		{"fast restores", func(t *testing.T, b *bench, id string) error {
			_, err := b.client.EnableFastSnapshotRestores(t.Context(), &awsec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: []string{region + "a", region + "b"}})
			return err
		}, "fast snapshot restore in " + region + "b (enabling), " + region + "a (enabling)", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
				set := b.backedUp(t, t.Context(), b.instance)
				if err := c.keep(t, b, b.ec2.Snapshots(b.world, account, region)[2].ID); err != nil {
					t.Fatal(err)
				}
				op, err := s.StartDelete(t.Context(), set, backup.Spec{Token: "t"})
				found, ferr := s.Preflight(t.Context(), op)
				op = finish(t, s, op, err)
				if c.allow {
					want(t, op, backup.PhaseSucceeded, "")
					if ferr != nil || len(found) != 0 {
						t.Errorf("%v %v", found, ferr)
					}
					return
				}
				want(t, op, backup.PhaseFailed, backup.ErrConflict)
				if ferr != nil || len(found) != 1 || found[0].Severity != backup.SeverityError || !strings.Contains(found[0].Message, c.says) || !strings.Contains(op.Err().Error(), c.says) {
					t.Errorf("%v %v; %v", found, ferr, op.Err())
				}
				if n := count(b, "DeleteSnapshot"); n != 0 || len(op.Points) != 3 {
					t.Errorf("%d were deleted, listed %v", n, op.Points)
				}
			})
		})
	}
}

// A lock that somebody sets between the look and the deletion stops it.
func TestDeleteVetoesAreFresh(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.volume)
		b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Skip: 1, Do: func() {
			if _, err := b.client.LockSnapshot(t.Context(), &awsec2.LockSnapshotInput{SnapshotId: &point.ID, LockMode: ec2types.LockModeGovernance, LockDuration: aws.Int32(1)}); err != nil {
				t.Error(err)
			}
		}})
		op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "t"})
		want(t, finish(t, s, op, err), backup.PhaseFailed, backup.ErrConflict)
	})
}

func TestDeletedIntoTheRecycleBin(t *testing.T) {
	for _, denied := range []bool{false, true} {
		inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
			set := b.backedUp(t, t.Context(), b.instance)
			b.ec2.SetRecycleBin(b.world, account, region, 7*24*time.Hour)
			if denied {
				b.world.Inject(awssim.Fault{Operation: "ListSnapshotsInRecycleBin", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: "UnauthorizedOperation", Message: "no"}})
			}
			op, err := s.StartDelete(t.Context(), set, backup.Spec{Token: "t"})
			op = finish(t, s, op, err)
			want(t, op, backup.PhaseSucceeded, "")
			if got := slices.Contains(findings(op), "ebs.recycle-bin"); got == denied {
				t.Errorf("denied %v: %v", denied, op.Findings)
			}
		})
	}
}

// Where EC2 knows no locks and no fast restores there are none; where it can not say, nothing is deleted.
func TestDeleteWhereVetoesAreUnknown(t *testing.T) {
	for code, phase := range map[string]backup.Phase{"InvalidAction": backup.PhaseSucceeded, "UnauthorizedOperation": ""} {
		for _, operation := range []string{"DescribeLockedSnapshots", "DescribeFastSnapshotRestores"} {
			inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
				point := b.backedUp(t, t.Context(), b.volume)
				b.world.Inject(awssim.Fault{Operation: operation, Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: code, Message: "no"}})
				op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "t"})
				r, rerr := backup.NewRunner([]backup.Strategy{s})
				if err != nil || rerr != nil {
					t.Fatal(err, rerr)
				}
				op, err = r.Run(t.Context(), op)
				if phase == "" {
					if n := count(b, "DeleteSnapshot"); n != 0 || backup.CodeOf(err) != backup.ErrDenied {
						t.Errorf("%s %s: %d were deleted, %v", operation, code, n, err)
					}
					return
				}
				want(t, op, phase, "")
			})
		}
	}
}
