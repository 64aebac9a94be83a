package ami_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/ami"
)

func TestDeleteRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    func(t *testing.T, b *bench, point backup.Ref)
		spec  backup.Spec
		point *backup.Ref
		code  backup.Code
	}{
		{name: "another owner", spec: backup.Spec{Owner: "others"}, code: backup.ErrConflict},
		{name: "nobody's", do: func(t *testing.T, b *bench, p backup.Ref) { b.ec2.Retag(b.world, account, region, p.ID, nil) }, code: backup.ErrConflict},
		{name: "tags that do not fit", do: func(t *testing.T, b *bench, p backup.Ref) {
			b.ec2.Retag(b.world, account, region, p.ID, map[string]string{backup.TagOwner: "snapwarden", backup.TagToken: "op-x", backup.TagSource: ebs.Instance(account, region, "i-0123456789abcdef0").Tag()})
		}, code: backup.ErrConflict},
		{name: "AWS Backup's", do: func(t *testing.T, b *bench, p backup.Ref) {
			b.ec2.Retag(b.world, account, region, p.ID, map[string]string{"aws:backup:source-resource": "x"})
		}, spec: backup.Spec{Options: ami.DeleteOptions{AllowForeign: true}}, code: backup.ErrUnsupported},
		{name: "protected", do: func(t *testing.T, b *bench, p backup.Ref) {
			if _, err := b.client.EnableImageDeregistrationProtection(t.Context(), &awsec2.EnableImageDeregistrationProtectionInput{ImageId: &p.ID}); err != nil {
				t.Fatal(err)
			}
		}, spec: backup.Spec{Options: ami.DeleteOptions{AllowForeign: true}}, code: backup.ErrConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
				point := b.imaged(t, t.Context(), "first")
				if c.do != nil {
					c.do(t, b, point)
				}
				c.spec.Token = "d"
				op, err := s.StartDelete(t.Context(), point, c.spec)
				if err != nil {
					t.Fatal(err)
				}
				if f, err := s.Preflight(t.Context(), op); err != nil || !has(f, "ami.delete-refused") {
					t.Errorf("preflight: %v %v", f, err)
				}
				want(t, finish(t, s, op, nil), backup.PhaseFailed, c.code)
				if n := count(b, "DeregisterImage") + count(b, "DeleteSnapshot"); n > 0 {
					t.Errorf("%d calls", n)
				}
			})
		})
	}
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		out, err := b.client.CreateImage(t.Context(), &awsec2.CreateImageInput{InstanceId: &b.instance.ID, Name: aws.String("young"), NoReboot: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		op, err := s.StartDelete(t.Context(), ami.Image(account, region, *out.ImageId), backup.Spec{Token: "d", Options: ami.DeleteOptions{AllowForeign: true}})
		want(t, finish(t, s, op, err), backup.PhaseFailed, backup.ErrConflict)
		missing, err := s.StartDelete(t.Context(), ami.Image(account, region, "ami-0123456789abcdef0"), backup.Spec{Token: "d"})
		want(t, finish(t, s, missing, err), backup.PhaseFailed, backup.ErrNotFound)
	})
}

// live gives the snapshots that exist.
func live(b *bench) (ids []string) {
	for _, s := range b.ec2.Snapshots(b.world, account, region) {
		if !s.Gone {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func TestDeleteKeeps(t *testing.T) {
	// Only the image.
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		point := b.imaged(t, t.Context(), "first")
		op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d", Options: ami.DeleteOptions{KeepSnapshots: true}})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseSucceeded, "")
		if len(live(b)) != 2 || len(op.Points) != 2 || op.Points[0].Type != ebs.TypeSnapshot || !b.ec2.Images(b.world, account, region)[0].Gone {
			t.Errorf("live %v, points %v", live(b), op.Points)
		}
	})
	// A snapshot that another image uses, although that one is disabled, and one that was not made with the image.
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		point := b.imaged(t, t.Context(), "first")
		used := b.ec2.Images(b.world, account, region)[0].Snapshots
		out, err := b.client.RegisterImage(t.Context(), &awsec2.RegisterImageInput{Name: aws.String("other"), RootDeviceName: aws.String("/dev/xvda"),
			BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &used[0]}}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.client.DisableImage(t.Context(), &awsec2.DisableImageInput{ImageId: out.ImageId}); err != nil {
			t.Fatal(err)
		}
		op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d"})
		op = finish(t, s, op, err)
		want(t, op, backup.PhasePartial, backup.ErrPartial)
		if n := count(b, "DeleteSnapshot"); n != 1 {
			t.Errorf("%d deletions were tried", n)
		}
		if l := live(b); len(l) != 1 || l[0] != used[0] || len(op.Points) != 1 || op.Points[0].ID != used[0] {
			t.Errorf("live %v, points %v", l, op.Points)
		}
	})
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		point := b.imaged(t, t.Context(), "first")
		used := b.ec2.Images(b.world, account, region)[0].Snapshots
		// The same owner's, of other work.
		b.ec2.Retag(b.world, account, region, used[1], map[string]string{backup.TagOwner: "snapwarden", backup.TagToken: "op-other"})
		op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d"})
		op = finish(t, s, op, err)
		want(t, op, backup.PhasePartial, backup.ErrPartial)
		if l := live(b); !slices.Equal(l, []string{used[1]}) {
			t.Errorf("live %v", l)
		}
	})
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		point := b.imaged(t, t.Context(), "first")
		for _, id := range b.ec2.Images(b.world, account, region)[0].Snapshots {
			b.ec2.Retag(b.world, account, region, id, nil)
		}
		b.ec2.Retag(b.world, account, region, point.ID, nil)
		op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d", Options: ami.DeleteOptions{AllowForeign: true}})
		want(t, finish(t, s, op, err), backup.PhaseSucceeded, "")
		if l := live(b); len(l) > 0 {
			t.Errorf("live %v", l)
		}
	})
}

// EC2 may take a while to see that the image is gone, or refuse for good.
func TestDeleteSnapshotRefused(t *testing.T) {
	for _, c := range []struct {
		code  string
		times int
		phase backup.Phase
		err   backup.Code
	}{
		{"InvalidSnapshot.InUse", 3, backup.PhaseSucceeded, ""},
		{"InvalidSnapshot.InUse", -1, backup.PhasePartial, backup.ErrPartial},
		{"OperationNotPermitted", -1, backup.PhasePartial, backup.ErrPartial},
		{"InvalidSnapshot.NotFound", 1, backup.PhaseSucceeded, ""},
		{"InternalError", 2, backup.PhaseSucceeded, ""},
	} {
		inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
			point := b.imaged(t, t.Context(), "first")
			status := 400
			if c.code == "InternalError" {
				status = 500
			}
			b.world.Inject(awssim.Fault{Operation: "DeleteSnapshot", Skip: 1, Times: c.times, Kind: awssim.FaultError, Error: awssim.Error{Status: status, Code: c.code, Message: "no"}})
			began := time.Now()
			op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d"})
			op = finish(t, s, op, err)
			want(t, op, c.phase, c.err)
			if left := len(live(b)); c.err != "" && (left != 1 || len(op.Points) != 1) || c.err == "" && left != 0 {
				t.Errorf("%s: %d left, points %v, after %v", c.code, left, op.Points, time.Since(began))
			}
		})
	}
	for code, c := range map[string]backup.Code{"OperationNotPermitted": backup.ErrDenied, "UnauthorizedOperation": backup.ErrDenied} {
		inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
			point := b.imaged(t, t.Context(), "first")
			b.world.Inject(awssim.Fault{Operation: "DeregisterImage", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: code, Message: "no"}})
			op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d"})
			want(t, finish(t, s, op, err), backup.PhaseFailed, c)
		})
	}
}
