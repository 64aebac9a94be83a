package ebs_test

import (
	"testing"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
)

func TestRestoreRefusesAndKeepsSizes(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		restore := func(p backup.Ref, token string, o ebs.RestoreOptions) backup.Operation {
			op, err := s.StartRestore(t.Context(), p, backup.Spec{Token: token, Options: o})
			return finish(t, s, op, err)
		}
		want(t, restore(ebs.Snapshot(account, region, "snap-0123456789abcdef0"), "1", ebs.RestoreOptions{Zone: "eu-west-1a"}), backup.PhaseFailed, backup.ErrNotFound)
		pending, err := b.client.CreateSnapshot(t.Context(), &awsec2.CreateSnapshotInput{VolumeId: &b.volume.ID})
		if err != nil {
			t.Fatal(err)
		}
		want(t, restore(ebs.Snapshot(account, region, *pending.SnapshotId), "2", ebs.RestoreOptions{Zone: "eu-west-1a"}), backup.PhaseFailed, backup.ErrConflict)
		time.Sleep(2 * time.Hour)
		op := restore(ebs.Snapshot(account, region, *pending.SnapshotId), "3", ebs.RestoreOptions{Zone: "eu-west-1c", SizeGiB: 100, Throughput: 250, InitializationRate: 200,
			KMSKeyID: "arn:aws:kms:eu-west-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"})
		want(t, op, backup.PhaseSucceeded, "")
		_, volumes := b.made(op)
		if len(volumes) != 1 || volumes[0].SizeGiB != 100 || !volumes[0].Encrypted || volumes[0].Type != "gp3" {
			t.Errorf("%+v", volumes)
		}
		small := restore(ebs.Snapshot(account, region, *pending.SnapshotId), "4", ebs.RestoreOptions{Zone: "eu-west-1c", SizeGiB: 1})
		want(t, small, backup.PhaseFailed, backup.ErrInvalid)
	})
}

func TestRestoreGoesOnInTheMiddle(t *testing.T) {
	for _, kind := range []string{"InsufficientVolumeCapacity", "RequestLimitExceeded"} {
		inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
			point := b.backedUp(t, t.Context(), b.instance)
			b.world.Inject(awssim.Fault{Operation: "CreateVolume", Skip: 1, Times: 4, Kind: awssim.FaultError, Error: awssim.Error{Code: kind, Message: "later"}})
			op, err := s.StartRestore(t.Context(), point, backup.Spec{Token: "r", Options: ebs.RestoreOptions{Zone: "eu-west-1a"}})
			op = finish(t, s, op, err)
			want(t, op, backup.PhaseSucceeded, "")
			if _, volumes := b.made(op); len(volumes) != 3 || len(op.Made) != 3 {
				t.Errorf("%s: %d volumes, %v listed", kind, len(volumes), op.Made)
			}
		})
	}
}
