package ec2sim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// power stops or starts an instance, waits, and gives it.
func (s *scene) power(id, what string) ec2types.Instance {
	s.t.Helper()
	var err error
	switch what {
	case "start":
		_, err = s.c.StartInstances(s.ctx, &awsec2.StartInstancesInput{InstanceIds: []string{id}})
	default:
		_, err = s.c.StopInstances(s.ctx, &awsec2.StopInstancesInput{InstanceIds: []string{id}, Hibernate: aws.Bool(what == "hibernate")})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(2 * time.Minute)
	return s.described(id)
}

func (s *scene) described(id string) ec2types.Instance {
	s.t.Helper()
	out, err := s.c.DescribeInstances(s.ctx, &awsec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.Reservations[0].Instances[0]
}

func TestStopAndStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		i := s.instance("/dev/sdf")
		id := *i.InstanceId
		reason := func(x ec2types.Instance) string {
			if x.StateReason == nil {
				return ""
			}
			return *x.StateReason.Code
		}
		for _, c := range []struct {
			what, during, after, reason string
		}{
			{"start", "running", "running", ""},
			{"stop", "stopping", "stopped", "Client.UserInitiatedShutdown"},
			{"stop", "stopped", "stopped", "Client.UserInitiatedShutdown"},
			{"start", "pending", "running", ""},
			{"hibernate", "stopping", "stopped", "Client.UserInitiatedHibernate"},
			{"start", "pending", "running", ""},
			{"stop", "stopping", "stopped", "Client.UserInitiatedShutdown"},
		} {
			var change ec2types.InstanceStateChange
			if c.what == "start" {
				out, err := s.c.StartInstances(s.ctx, &awsec2.StartInstancesInput{InstanceIds: []string{id}})
				if err != nil {
					t.Fatal(err)
				}
				change = out.StartingInstances[0]
			} else {
				out, err := s.c.StopInstances(s.ctx, &awsec2.StopInstancesInput{InstanceIds: []string{id}, Hibernate: aws.Bool(c.what == "hibernate")})
				if err != nil {
					t.Fatal(err)
				}
				change = out.StoppingInstances[0]
			}
			during := s.described(id)
			if got := string(change.CurrentState.Name); got != c.during || during.State.Name != change.CurrentState.Name || *during.State.Code != *change.CurrentState.Code {
				t.Errorf("%s: %s, then %s", c.what, got, during.State.Name)
			}
			time.Sleep(2 * time.Minute)
			if x := s.described(id); string(x.State.Name) != c.after || reason(x) != c.reason || len(x.BlockDeviceMappings) != 2 {
				t.Errorf("%s: %s %q with %d volumes", c.what, x.State.Name, reason(x), len(x.BlockDeviceMappings))
			}
		}
		// Only now its root volume goes, and it does not start without one.
		root := *i.BlockDeviceMappings[0].Ebs.VolumeId
		if _, err := s.c.DetachVolume(s.ctx, &awsec2.DetachVolumeInput{VolumeId: &root}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		_, err := s.c.StartInstances(s.ctx, &awsec2.StartInstancesInput{InstanceIds: []string{id}})
		if code(err) != "IncorrectState" {
			t.Errorf("without a root volume: %v", err)
		}
		if _, err := s.c.AttachVolume(s.ctx, &awsec2.AttachVolumeInput{VolumeId: aws.String(s.volume()), InstanceId: &id, Device: i.RootDeviceName}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		x := s.power(id, "start")
		if x.State.Name != ec2types.InstanceStateNameRunning {
			t.Errorf("it is %s", x.State.Name)
		}
		for _, m := range x.BlockDeviceMappings {
			if *m.DeviceName == *x.RootDeviceName {
				_, err := s.c.DetachVolume(s.ctx, &awsec2.DetachVolumeInput{VolumeId: m.Ebs.VolumeId})
				if code(err) != "OperationNotPermitted" || *m.Ebs.VolumeId == root {
					t.Errorf("the root volume of a running instance: %v", err)
				}
			}
		}
		// An image of a stopped instance reboots nothing; what is being stopped or is gone can not be started.
		s.power(id, "stop")
		if _, err := s.c.CreateImage(s.ctx, &awsec2.CreateImageInput{InstanceId: &id, Name: aws.String("stopped")}); err != nil {
			t.Error(err)
		}
		if images := s.ec2.Images(s.w, home, region); len(images) != 1 || images[0].Rebooted {
			t.Errorf("images %+v", images)
		}
		s.power(id, "start")
		if _, err := s.c.StopInstances(s.ctx, &awsec2.StopInstancesInput{InstanceIds: []string{id}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.c.StartInstances(s.ctx, &awsec2.StartInstancesInput{InstanceIds: []string{id}}); code(err) != "IncorrectInstanceState" {
			t.Errorf("starting while it stops: %v", err)
		}
		for _, id := range []string{"i-0123456789abcdef0", "i-1"} {
			if _, err := s.c.StopInstances(s.ctx, &awsec2.StopInstancesInput{InstanceIds: []string{id}}); err == nil {
				t.Errorf("%s was stopped", id)
			}
		}
		if _, err := s.c.StartInstances(s.ctx, &awsec2.StartInstancesInput{InstanceIds: []string{id}, DryRun: aws.Bool(true)}); code(err) != "DryRunOperation" {
			t.Errorf("a dry run: %v", err)
		}
	})
}

func TestMostVolumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		var data []string
		for i := range 25 {
			data = append(data, "/dev/xvdb"+string(rune('a'+i)))
		}
		i := s.instance(data...) // with its root volume it has 26
		out, err := s.c.DescribeInstanceTypes(s.ctx, &awsec2.DescribeInstanceTypesInput{InstanceTypes: []ec2types.InstanceType{i.InstanceType}})
		if err != nil || len(out.InstanceTypes) != 1 || out.InstanceTypes[0].InstanceType != i.InstanceType || *out.InstanceTypes[0].EbsInfo.MaximumEbsAttachments != 27 {
			t.Errorf("%+v %v", out, err)
		}
		for n, want := range []string{"", "AttachmentLimitExceeded"} {
			_, err := s.c.AttachVolume(s.ctx, &awsec2.AttachVolumeInput{VolumeId: aws.String(s.volume()), InstanceId: i.InstanceId, Device: aws.String("/dev/sd" + string(rune('f'+n)))})
			if code(err) != want {
				t.Errorf("volume %d: %v", 27+n, err)
			}
		}
		for name, in := range map[string]awsec2.DescribeInstanceTypesInput{
			"all":     {},
			"filters": {InstanceTypes: []ec2types.InstanceType{i.InstanceType}, Filters: []ec2types.Filter{{}}},
			"dry run": {InstanceTypes: []ec2types.InstanceType{i.InstanceType}, DryRun: aws.Bool(true)},
		} {
			if _, err := s.c.DescribeInstanceTypes(s.ctx, &in); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	})
}
