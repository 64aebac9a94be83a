package ec2sim

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

func (s *EC2) attachVolume(r *awssim.Request, in *awsec2.AttachVolumeInput) (*awsec2.AttachVolumeOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	v, err := s.volume(r, in.VolumeId)
	if err != nil {
		return nil, err
	}
	i, err := s.instance(r, in.InstanceId)
	if err != nil {
		return nil, err
	}
	name := aws.ToString(in.Device)
	if name == "" {
		return nil, awssim.Fail("MissingParameter", "The request must contain the parameter device")
	}
	if a := v.attachment(r.Now); a != nil {
		return nil, awssim.Fail("VolumeInUse", "%s is already attached to an instance", v.id)
	}
	if v.state(r.Now) != ec2types.VolumeStateAvailable {
		return nil, awssim.Fail("IncorrectState", "%s is not 'available'.", v.id)
	}
	if state := i.state(r.Now); state != ec2types.InstanceStateNameRunning && state != ec2types.InstanceStateNameStopped {
		return nil, awssim.Fail("IncorrectState", "Instance '%s' is not 'running'.", i.id)
	}
	if v.zone != i.zone {
		return nil, awssim.Fail("InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", v.id, i.id)
	}
	there := 0
	for _, other := range i.volumes {
		a := other.attachment(r.Now)
		if a == nil || a.instance != i {
			continue
		}
		if there++; a.device == name {
			return nil, awssim.Fail("InvalidParameterValue", "Invalid value '%s' for unixDevice. Attachment point %s is already in use", name, name)
		}
	}
	if there >= mostVolumes {
		return nil, awssim.Fail("AttachmentLimitExceeded", "Volume attachment limit exceeded")
	}
	a := &attachment{instance: i, device: name, root: name == i.rootDevice, from: r.Now, until: r.Now.Add(r.Took(v.id+"/attach", attachTakes, sigma))}
	s.bind(r, i, v, a)
	return &awsec2.AttachVolumeOutput{AttachTime: aws.Time(stamp(a.from)), DeleteOnTermination: aws.Bool(a.goes), Device: aws.String(a.device),
		InstanceId: aws.String(i.id), State: a.state(r.Now), VolumeId: aws.String(v.id)}, nil
}

func (s *EC2) detachVolume(r *awssim.Request, in *awsec2.DetachVolumeInput) (*awsec2.DetachVolumeOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	v, err := s.volume(r, in.VolumeId)
	if err != nil {
		return nil, err
	}
	a := v.attachment(r.Now)
	if a == nil {
		return nil, awssim.Fail("IncorrectState", "Volume '%s' is in the '%s' state.", v.id, v.state(r.Now))
	}
	if in.InstanceId != nil && *in.InstanceId != a.instance.id || in.Device != nil && *in.Device != a.device {
		return nil, awssim.Fail("InvalidAttachment.NotFound", "The volume '%s' is not attached to instance '%s' as device '%s'", v.id, aws.ToString(in.InstanceId), aws.ToString(in.Device))
	}
	if a.root && a.instance.state(r.Now) != ec2types.InstanceStateNameStopped {
		return nil, awssim.Fail("OperationNotPermitted", "Unable to detach root volume '%s' from instance '%s'", a.device, a.instance.id)
	}
	if a.to.IsZero() {
		a.to, a.done = r.Now, r.Now.Add(r.Took(v.id+"/detach", detachTakes, sigma))
	}
	return &awsec2.DetachVolumeOutput{AttachTime: aws.Time(stamp(a.from)), DeleteOnTermination: aws.Bool(a.goes), Device: aws.String(a.device),
		InstanceId: aws.String(a.instance.id), State: a.state(r.Now), VolumeId: aws.String(v.id)}, nil
}
