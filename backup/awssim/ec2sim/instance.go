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
	// powers are the stops and starts, in their order.
	powers []power
	// volumes is every volume that was ever attached.
	volumes []*volume
}

// power is one stop or start of an instance.
type power struct {
	on, hibernated bool
	// from is the request, done when it is over.
	from, done time.Time
}

// power gives the stop or start that counts at an instant, nil for none.
func (i *instance) power(now time.Time) *power {
	for n := len(i.powers) - 1; n >= 0; n-- {
		if !i.powers[n].from.After(now) {
			return &i.powers[n]
		}
	}
	return nil
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
	switch p := i.power(now); {
	case p == nil:
	case p.on && now.Before(p.done):
		return ec2types.InstanceStateNamePending
	case !p.on && now.Before(p.done):
		return ec2types.InstanceStateNameStopping
	case !p.on:
		return ec2types.InstanceStateNameStopped
	}
	return ec2types.InstanceStateNameRunning
}

// stateOf gives a state with its code. Source: EC2 API, InstanceState.
func stateOf(name ec2types.InstanceStateName) *ec2types.InstanceState {
	code := map[ec2types.InstanceStateName]int32{ec2types.InstanceStateNamePending: 0, ec2types.InstanceStateNameRunning: 16,
		ec2types.InstanceStateNameShuttingDown: 32, ec2types.InstanceStateNameTerminated: 48, ec2types.InstanceStateNameStopping: 64,
		ec2types.InstanceStateNameStopped: 80}[name]
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
	if p := i.power(now); p != nil && !p.on {
		code := "Client.UserInitiatedShutdown"
		if p.hibernated {
			code = "Client.UserInitiatedHibernate"
		}
		o.StateReason = &ec2types.StateReason{Code: aws.String(code), Message: aws.String(code + ": User initiated (" + wireTime(p.from) + ")")}
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
