package ec2sim_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
)

// refusedWith checks the code of an error.
func refusedWith(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Errorf("%v, wanted %s", err, code)
	}
}

func (s *scene) image(id string, change ...func(*awsec2.DescribeImagesInput)) (ec2types.Image, bool) {
	s.t.Helper()
	in := &awsec2.DescribeImagesInput{Filters: []ec2types.Filter{{Name: aws.String("image-id"), Values: []string{id}}}}
	for _, f := range change {
		f(in)
	}
	out, err := s.c.DescribeImages(s.ctx, in)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(out.Images) == 0 {
		return ec2types.Image{}, false
	}
	return out.Images[0], true
}

func TestCreateImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		i := s.instance("/dev/sdf")
		tags := []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeImage, Tags: []ec2types.Tag{{Key: aws.String("a"), Value: aws.String("1")}}},
			{ResourceType: ec2types.ResourceTypeSnapshot, Tags: []ec2types.Tag{{Key: aws.String("b"), Value: aws.String("2")}}}}
		in := &awsec2.CreateImageInput{InstanceId: i.InstanceId, Name: aws.String("web (1)"), NoReboot: aws.Bool(true), TagSpecifications: tags}
		out, err := s.c.CreateImage(s.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		if x, _ := s.image(*out.ImageId); x.State != ec2types.ImageStatePending || len(x.BlockDeviceMappings) != 2 || *x.SourceInstanceId != *i.InstanceId || *x.RootDeviceName != "/dev/xvda" || *x.Tags[0].Key != "a" {
			t.Errorf("%+v", x)
		}
		_, err = s.c.CreateImage(s.ctx, in)
		refusedWith(t, err, "InvalidAMIName.Duplicate")
		for _, name := range []string{"ab", "a*b", ""} {
			_, err = s.c.CreateImage(s.ctx, &awsec2.CreateImageInput{InstanceId: i.InstanceId, Name: &name})
			refusedWith(t, err, "InvalidAMIName.Malformed")
		}
		_, err = s.c.CreateImage(s.ctx, &awsec2.CreateImageInput{InstanceId: aws.String("i-0123456789abcdef0"), Name: aws.String("web 2")})
		refusedWith(t, err, "InvalidInstanceID.NotFound")
		_, err = s.c.CreateImage(s.ctx, &awsec2.CreateImageInput{InstanceId: i.InstanceId, Name: aws.String("web 2"), DryRun: aws.Bool(true)})
		refusedWith(t, err, "DryRunOperation")
		// Its snapshots are in use from the beginning.
		infos := s.ec2.Images(s.w, home, region)
		if len(infos) != 1 || infos[0].Rebooted || len(infos[0].Snapshots) != 2 {
			t.Fatalf("%+v", infos)
		}
		_, err = s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: &infos[0].Snapshots[0]})
		refusedWith(t, err, "InvalidSnapshot.InUse")
		time.Sleep(3 * time.Hour)
		if x, _ := s.image(*out.ImageId); x.State != ec2types.ImageStateAvailable {
			t.Errorf("%s after three hours", x.State)
		}
		for _, p := range s.ec2.Snapshots(s.w, home, region) {
			if p.State != ec2types.SnapshotStateCompleted || p.Tags["b"] != "2" {
				t.Errorf("%+v", p)
			}
		}
		// With a reboot, which is EC2's default, and a failure later.
		s.w.Inject(awssim.Fault{Operation: "CreateImage", Kind: awssim.FaultAsync})
		out, err = s.c.CreateImage(s.ctx, &awsec2.CreateImageInput{InstanceId: i.InstanceId, Name: aws.String("web 2")})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		if x, _ := s.image(*out.ImageId); x.State != ec2types.ImageStateFailed || x.StateReason == nil || *x.StateReason.Code != "Client.InvalidSnapshot" {
			t.Errorf("%+v", x)
		}
		if infos = s.ec2.Images(s.w, home, region); !infos[1].Rebooted {
			t.Error("not rebooted")
		}
		if found, err := s.c.DescribeImages(s.ctx, &awsec2.DescribeImagesInput{Filters: []ec2types.Filter{{Name: aws.String("source-instance-id"), Values: []string{*i.InstanceId}}, {Name: aws.String("state"), Values: []string{"available"}}}}); err != nil || len(found.Images) != 1 {
			t.Errorf("%v %v", found, err)
		}
		if _, err := s.c.TerminateInstances(s.ctx, &awsec2.TerminateInstancesInput{InstanceIds: []string{*i.InstanceId}}); err != nil {
			t.Fatal(err)
		}
		_, err = s.c.CreateImage(s.ctx, &awsec2.CreateImageInput{InstanceId: i.InstanceId, Name: aws.String("web 3")})
		refusedWith(t, err, "IncorrectInstanceState")
	})
}

func TestCopyImage(t *testing.T) {
	const there = "eu-central-1"
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, kmssim.Service())
		i := s.instance()
		out, err := s.c.CreateImage(s.ctx, &awsec2.CreateImageInput{InstanceId: i.InstanceId, Name: aws.String("web")})
		if err != nil {
			t.Fatal(err)
		}
		c := s.in(home, there)
		in := func() *awsec2.CopyImageInput {
			return &awsec2.CopyImageInput{Name: aws.String("web"), SourceImageId: out.ImageId, SourceRegion: aws.String(region), ClientToken: aws.String("t")}
		}
		_, err = c.CopyImage(s.ctx, in())
		refusedWith(t, err, "InvalidAMIID.Unavailable")
		time.Sleep(3 * time.Hour)
		first, err := c.CopyImage(s.ctx, in())
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.CopyImage(s.ctx, in())
		if err != nil || *again.ImageId != *first.ImageId {
			t.Errorf("the same token: %v %v", again, err)
		}
		other := in()
		other.Description = aws.String("another")
		_, err = c.CopyImage(s.ctx, other)
		refusedWith(t, err, "IdempotentParameterMismatch")
		other.ClientToken = nil
		_, err = c.CopyImage(s.ctx, other)
		refusedWith(t, err, "InvalidAMIName.Duplicate")
		other.Name, other.KmsKeyId = aws.String("web 2"), aws.String("alias/x")
		_, err = c.CopyImage(s.ctx, other)
		refusedWith(t, err, "InvalidParameterDependency")
		other.SourceImageId = aws.String("ami-0123456789abcdef0")
		_, err = c.CopyImage(s.ctx, other)
		refusedWith(t, err, "InvalidAMIID.NotFound")
		other.SourceRegion = aws.String("cn-north-1")
		_, err = c.CopyImage(s.ctx, other)
		refusedWith(t, err, "InvalidRequest")
		// A key that does not exist is found out later.
		bad := in()
		bad.Name, bad.ClientToken, bad.Encrypted, bad.KmsKeyId = aws.String("web 2"), nil, aws.Bool(true), aws.String("arn:aws:kms:"+there+":"+home+":key/01234567-89ab-cdef-0123-456789abcdef")
		if _, err := c.CopyImage(s.ctx, bad); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		infos := s.ec2.Images(s.w, home, there)
		if len(infos) != 2 || infos[0].State != ec2types.ImageStateAvailable || infos[0].CopyOf != *out.ImageId || infos[1].State != ec2types.ImageStateFailed {
			t.Errorf("%+v", infos)
		}
		snapshots := s.ec2.Snapshots(s.w, home, there)
		if len(snapshots) != 2 || snapshots[0].State != ec2types.SnapshotStateCompleted || snapshots[1].State != ec2types.SnapshotStateError || snapshots[0].Volume != "vol-ffffffff" {
			t.Errorf("%+v", snapshots)
		}
	})
}

func TestImageStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		i := s.instance()
		out, err := s.c.CreateImage(s.ctx, &awsec2.CreateImageInput{InstanceId: i.InstanceId, Name: aws.String("web"), NoReboot: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		id := out.ImageId
		_, err = s.c.DisableImage(s.ctx, &awsec2.DisableImageInput{ImageId: id})
		refusedWith(t, err, "InvalidAMIID.Unavailable")
		time.Sleep(3 * time.Hour)
		if _, err := s.c.DisableImage(s.ctx, &awsec2.DisableImageInput{ImageId: id}); err != nil {
			t.Fatal(err)
		}
		if _, found := s.image(*id); found {
			t.Error("a disabled image is listed")
		}
		x, found := s.image(*id, func(in *awsec2.DescribeImagesInput) { in.IncludeDisabled = aws.Bool(true) })
		if !found || x.State != ec2types.ImageStateDisabled {
			t.Errorf("%v %s", found, x.State)
		}
		_, err = s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: x.BlockDeviceMappings[0].Ebs.SnapshotId})
		refusedWith(t, err, "InvalidSnapshot.InUse")
		if _, err := s.c.EnableImage(s.ctx, &awsec2.EnableImageInput{ImageId: id}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.c.EnableImageDeprecation(s.ctx, &awsec2.EnableImageDeprecationInput{ImageId: id, DeprecateAt: aws.Time(time.Now().Add(time.Hour))}); err != nil {
			t.Fatal(err)
		}
		_, err = s.c.EnableImageDeprecation(s.ctx, &awsec2.EnableImageDeprecationInput{ImageId: id, DeprecateAt: aws.Time(time.Now().Add(-time.Hour))})
		refusedWith(t, err, "InvalidParameterValue")
		time.Sleep(2 * time.Hour)
		// Its owner sees a deprecated image.
		if x, found = s.image(*id); !found || x.State != ec2types.ImageStateAvailable || x.DeprecationTime == nil {
			t.Errorf("%v %+v", found, x)
		}
		if _, err := s.c.EnableImageDeregistrationProtection(s.ctx, &awsec2.EnableImageDeregistrationProtectionInput{ImageId: id}); err != nil {
			t.Fatal(err)
		}
		if x, _ = s.image(*id); *x.DeregistrationProtection == "disabled" {
			t.Error("not protected")
		}
		_, err = s.c.DeregisterImage(s.ctx, &awsec2.DeregisterImageInput{ImageId: id})
		refusedWith(t, err, "OperationNotPermitted")
		if _, err := s.c.DisableImageDeregistrationProtection(s.ctx, &awsec2.DisableImageDeregistrationProtectionInput{ImageId: id}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.c.DeregisterImage(s.ctx, &awsec2.DeregisterImageInput{ImageId: id}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: x.BlockDeviceMappings[0].Ebs.SnapshotId}); err != nil {
			t.Error(err)
		}
		for _, bad := range []string{"ami-*", "ami-0123456789abcdef0"} {
			if _, err := s.c.EnableImage(s.ctx, &awsec2.EnableImageInput{ImageId: &bad}); err == nil {
				t.Errorf("%s was taken", bad)
			}
		}
		if !s.ec2.Images(s.w, home, region)[0].Gone {
			t.Error("still there")
		}
	})
}
