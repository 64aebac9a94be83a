package ec2sim

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// instance is an EC2 instance.
type instance struct {
	resource
	image, kind, zone, rootDevice, reservation string
	index                                      int32
	running                                    time.Time
	// stopping is the request to terminate, ended when it is done; zero for neither.
	stopping, ended time.Time
	// volumes is every volume that was ever attached.
	volumes []*volume
}

func (i *instance) state(now time.Time) ec2types.InstanceStateName {
	switch {
	case !i.ended.IsZero() && !now.Before(i.ended):
		return ec2types.InstanceStateNameTerminated
	case !i.stopping.IsZero() && !now.Before(i.stopping):
		return ec2types.InstanceStateNameShuttingDown
	case now.Before(i.running):
		return ec2types.InstanceStateNamePending
	}
	return ec2types.InstanceStateNameRunning
}

// stateOf gives a state with its code. Source: EC2 API, InstanceState.
func stateOf(name ec2types.InstanceStateName) *ec2types.InstanceState {
	code := map[ec2types.InstanceStateName]int32{ec2types.InstanceStateNamePending: 0, ec2types.InstanceStateNameRunning: 16,
		ec2types.InstanceStateNameShuttingDown: 32, ec2types.InstanceStateNameTerminated: 48}[name]
	return &ec2types.InstanceState{Code: aws.Int32(code), Name: name}
}

func (i *instance) out(now time.Time) ec2types.Instance {
	o := ec2types.Instance{
		AmiLaunchIndex: aws.Int32(i.index),
		Architecture:   ec2types.ArchitectureValuesX8664,
		ImageId:        aws.String(i.image),
		InstanceId:     aws.String(i.id),
		InstanceType:   ec2types.InstanceType(i.kind),
		LaunchTime:     aws.Time(i.made.UTC().Truncate(time.Second)),
		Placement:      &ec2types.Placement{AvailabilityZone: aws.String(i.zone), Tenancy: ec2types.TenancyDefault},
		RootDeviceName: aws.String(i.rootDevice),
		RootDeviceType: ec2types.DeviceTypeEbs,
		State:          stateOf(i.state(now)),
		Tags:           outTags(i.tags.at(now)),
	}
	for _, v := range i.volumes {
		a := v.attachment(now)
		if a == nil || a.instance != i {
			continue
		}
		o.BlockDeviceMappings = append(o.BlockDeviceMappings, ec2types.InstanceBlockDeviceMapping{
			DeviceName: aws.String(a.device),
			Ebs: &ec2types.EbsInstanceBlockDevice{AttachTime: aws.Time(stamp(a.from)), DeleteOnTermination: aws.Bool(a.goes),
				Status: ec2types.AttachmentStatus(a.state(now)), VolumeId: aws.String(v.id)},
		})
	}
	return o
}

// match reports whether a filter lets the instance pass.
func (i *instance) match(f *filter, now time.Time) bool {
	if f.isTag() {
		return f.tags(i.tags.at(now))
	}
	switch f.name {
	case "instance-id":
		return f.match(i.id)
	case "instance-state-name":
		return f.match(string(i.state(now)))
	case "instance-state-code":
		return f.match(number(*stateOf(i.state(now)).Code))
	case "instance-type":
		return f.match(i.kind)
	case "availability-zone":
		return f.match(i.zone)
	case "image-id":
		return f.match(i.image)
	case "reservation-id":
		return f.match(i.reservation)
	case "owner-id":
		return f.match(i.owner)
	case "root-device-name":
		return f.match(i.rootDevice)
	}
	for _, v := range i.volumes {
		a := v.attachment(now)
		if a == nil || a.instance != i {
			continue
		}
		switch name, _ := strings.CutPrefix(f.name, "block-device-mapping."); name {
		case "volume-id":
			if f.match(v.id) {
				return true
			}
		case "device-name":
			if f.match(a.device) {
				return true
			}
		}
	}
	return false
}

var instanceFilters = known{rest: true, names: []string{"instance-id", "instance-state-name", "instance-state-code", "instance-type", "availability-zone", "image-id",
	"reservation-id", "owner-id", "root-device-name", "block-device-mapping.volume-id", "block-device-mapping.device-name"}}
