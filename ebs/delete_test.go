package ebs_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
)

func TestDelete(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		foreign, err := b.client.CreateSnapshot(t.Context(), &awsec2.CreateSnapshotInput{VolumeId: &b.volume.ID})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		point := ebs.Snapshot(account, region, *foreign.SnapshotId)
		del := func(p backup.Ref, spec backup.Spec) backup.Operation {
			op, err := s.StartDelete(t.Context(), p, spec)
			return finish(t, s, op, err)
		}
		op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "p"})
		findings, perr := s.Preflight(t.Context(), op)
		if err != nil || perr != nil || len(findings) != 1 || findings[0].Severity != backup.SeverityError {
			t.Errorf("%v %v %v", err, perr, findings)
		}
		want(t, del(point, backup.Spec{Token: "1"}), backup.PhaseFailed, backup.ErrConflict)
		b.ec2.Retag(b.world, account, region, point.ID, map[string]string{"aws:backup:source-resource": "arn:x"})
		want(t, del(point, backup.Spec{Token: "2", Options: ebs.DeleteOptions{AllowForeign: true}}), backup.PhaseFailed, backup.ErrUnsupported)
		b.ec2.Retag(b.world, account, region, point.ID, nil)
		image, err := b.client.RegisterImage(t.Context(), &awsec2.RegisterImageInput{Name: aws.String("image"), RootDeviceName: aws.String("/dev/xvda"),
			BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &point.ID}}}})
		if err != nil {
			t.Fatal(err)
		}
		inUse := del(point, backup.Spec{Token: "3", Options: ebs.DeleteOptions{AllowForeign: true}})
		want(t, inUse, backup.PhaseFailed, backup.ErrConflict)
		if len(inUse.Points) != 1 {
			t.Errorf("what remains is not listed: %v", inUse.Points)
		}
		if _, err := b.client.DeregisterImage(t.Context(), &awsec2.DeregisterImageInput{ImageId: image.ImageId}); err != nil {
			t.Fatal(err)
		}
		want(t, del(point, backup.Spec{Token: "4", Options: ebs.DeleteOptions{AllowForeign: true}}), backup.PhaseSucceeded, "")
		began := time.Now()
		want(t, del(point, backup.Spec{Token: "5"}), backup.PhaseFailed, backup.ErrNotFound)
		if d := time.Since(began); d < 6*time.Minute {
			t.Errorf("absence was believed after %v", d)
		}
		// Somebody else's owner name is not ours.
		ours := b.backedUp(t, t.Context(), b.volume)
		want(t, del(ours, backup.Spec{Token: "6", Owner: "somebody-else"}), backup.PhaseFailed, backup.ErrConflict)
		want(t, del(ours, backup.Spec{Token: "7"}), backup.PhaseSucceeded, "")
	})
}

func TestDeleteLooksAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.volume)
		b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Skip: 1, Do: func() {
			b.ec2.Retag(b.world, account, region, point.ID, map[string]string{backup.TagOwner: "legal"})
		}})
		op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "t"})
		want(t, finish(t, s, op, err), backup.PhaseFailed, backup.ErrConflict)
		if n := count(b, "DeleteSnapshot"); n != 0 {
			t.Errorf("deleted %d times", n)
		}
	})
}
