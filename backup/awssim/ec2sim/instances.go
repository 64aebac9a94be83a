package ec2sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// How long work takes, assumed. A terminated instance is listed for an hour.
const (
	bootTakes     = 20 * time.Second
	shutdownTakes = 10 * time.Second
	endedListed   = time.Hour
)

func (s *EC2) runInstances(r *awssim.Request, in *awsec2.RunInstancesInput) (*awsec2.RunInstancesOutput, error) {
	switch {
	case in.LaunchTemplate != nil:
		return nil, unsupported(r, "LaunchTemplate")
	case in.Operator != nil:
		return nil, unsupported(r, "Operator")
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	}
	least, most := aws.ToInt32(in.MinCount), aws.ToInt32(in.MaxCount)
	if least < 1 || most < least || most > 1000 {
		return nil, awssim.Fail("InvalidParameterValue", "Invalid value for minCount (%d) or maxCount (%d).", least, most)
	}
	image := aws.ToString(in.ImageId)
	if image == "" {
		return nil, awssim.Fail("MissingParameter", "The request must contain the parameter ImageId")
	}
	if err := checkImageID(image); err != nil {
		return nil, err
	}
	tags, err := specified(in.TagSpecifications, ec2types.ResourceTypeInstance, ec2types.ResourceTypeVolume, ec2types.ResourceTypeNetworkInterface)
	if err != nil {
		return nil, err
	}
	var zone *string
	if in.Placement != nil {
		zone = in.Placement.AvailabilityZone
	}
	if zone == nil {
		zone = aws.String(r.Region + "a")
	}
	where, err := zoneOf(r, zone, nil)
	if err != nil {
		return nil, err
	}
	devices, err := devicesOf(r, in.BlockDeviceMappings)
	if err != nil {
		return nil, err
	}
	kind := string(in.InstanceType)
	if kind == "" {
		kind = "m1.small"
	}
	k := tokenKey{r.Account, r.Region, r.Operation, aws.ToString(in.ClientToken)}
	parameters := fmt.Sprint(least, most, image, where, kind, tags, devices)
	if k.token != "" {
		reservation, err := s.used(k, parameters)
		if err != nil {
			return nil, err
		}
		if reservation != "" {
			return s.launched(r, reservation), nil
		}
	}
	// All the volumes are checked before any of them is made.
	shaped := make([]*volume, 0, int(most)*len(devices))
	for range most {
		for _, d := range devices {
			v, err := s.shape(r, d.form(where))
			if err != nil {
				return nil, err
			}
			shaped = append(shaped, v)
		}
	}
	reservation := r.NewID("r")
	for n := range most {
		i := &instance{image: image, kind: kind, zone: where, rootDevice: rootDevice, reservation: reservation, index: n}
		i.resource = resource{seq: s.next(), id: r.NewID("i"), owner: r.Account, made: r.Now, lag: r.Lag(), tags: firstTags(tags[ec2types.ResourceTypeInstance])}
		i.running = r.Now.Add(r.Took(i.id, bootTakes, sigma))
		t := &s.in(r.Region).instances
		t.add(i)
		t.note(i, "reservation-id", reservation)
		for at, d := range devices {
			v := shaped[int(n)*len(devices)+at]
			s.place(r, v, tags[ec2types.ResourceTypeVolume])
			if v.ready.After(i.running) {
				v.ready = i.running
			}
			s.bind(r, i, v, &attachment{instance: i, device: d.name, root: d.name == rootDevice, goes: d.goes, from: r.Now, until: v.ready})
		}
	}
	if k.token != "" {
		s.tokens[k] = tokenUse{parameters, reservation}
	}
	return s.launched(r, reservation), nil
}

// launched gives what RunInstances answers.
func (s *EC2) launched(r *awssim.Request, reservation string) *awsec2.RunInstancesOutput {
	out := &awsec2.RunInstancesOutput{OwnerId: aws.String(r.Account), ReservationId: aws.String(reservation)}
	for _, i := range s.in(r.Region).instances.index[indexKey{"reservation-id", reservation}] {
		o := i.out(r.Now)
		o.BlockDeviceMappings = nil
		out.Instances = append(out.Instances, o)
	}
	return out
}

// bind notes an attachment at the volume and at the instance.
func (s *EC2) bind(r *awssim.Request, i *instance, v *volume, a *attachment) {
	v.attached = append(v.attached, a)
	if !slices.Contains(i.volumes, v) {
		i.volumes = append(i.volumes, v)
	}
	s.in(r.Region).volumes.note(v, "attachment.instance-id", i.id)
}

// rootDevice is the root device of every simulated instance.
const rootDevice = "/dev/xvda"

// device is a block device mapping in a form of our own.
type device struct {
	name string
	goes bool
	ebs  string
	form func(zone string) form
}

// String makes two lists of devices comparable, for client tokens.
func (d device) String() string { return fmt.Sprintf("%s %v %s", d.name, d.goes, d.ebs) }

// devicesOf reads block device mappings. There is always a root device; unless it is mapped it has 8 GiB.
func devicesOf(r *awssim.Request, in []ec2types.BlockDeviceMapping) ([]device, error) {
	var list []device
	seen := map[string]bool{}
	for _, m := range in {
		name := aws.ToString(m.DeviceName)
		switch {
		case name == "":
			return nil, awssim.Fail("MissingParameter", "The request must contain the parameter deviceName")
		case seen[name]:
			return nil, awssim.Fail("InvalidBlockDeviceMapping", "The device '%s' is used in more than one block-device mapping", name)
		case m.Ebs == nil:
			return nil, unsupported(r, "BlockDeviceMappings without Ebs")
		}
		seen[name] = true
		e := *m.Ebs
		if e.VolumeSize == nil && e.SnapshotId == nil {
			if name != rootDevice {
				return nil, awssim.Fail("MissingParameter", "The request must contain the parameter size or snapshotId")
			}
			e.VolumeSize = aws.Int32(8)
		}
		list = append(list, mapped(name, e))
	}
	if !seen[rootDevice] {
		list = append([]device{mapped(rootDevice, ec2types.EbsBlockDevice{VolumeSize: aws.Int32(8)})}, list...)
	}
	return list, nil
}

func mapped(name string, e ec2types.EbsBlockDevice) device {
	f := form{kind: e.VolumeType, size: e.VolumeSize, iops: e.Iops, throughput: e.Throughput, encrypted: e.Encrypted, key: e.KmsKeyId, snapshot: e.SnapshotId}
	return device{
		name: name, goes: e.DeleteOnTermination == nil || *e.DeleteOnTermination,
		ebs: fmt.Sprint(e.VolumeType, text(e.VolumeSize), text(e.Iops), text(e.Throughput), text(e.Encrypted), text(e.KmsKeyId), text(e.SnapshotId)),
		form: func(zone string) form {
			f.zone = zone
			return f
		},
	}
}

// instance gives an instance of the caller's for a call that writes.
func (s *EC2) instance(r *awssim.Request, id *string) (*instance, error) {
	if id == nil {
		return nil, awssim.Fail("MissingParameter", "The request must contain the parameter instanceId")
	}
	if err := checkInstanceID(*id); err != nil {
		return nil, err
	}
	i, ok := s.in(r.Region).instances.own(r, *id)
	if !ok {
		return nil, noInstance(*id)
	}
	return i, nil
}

func (s *EC2) terminateInstances(r *awssim.Request, in *awsec2.TerminateInstancesInput) (*awsec2.TerminateInstancesOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	list := make([]*instance, 0, len(in.InstanceIds))
	for _, id := range in.InstanceIds {
		i, err := s.instance(r, &id)
		if err != nil {
			return nil, err
		}
		list = append(list, i)
	}
	out := &awsec2.TerminateInstancesOutput{}
	for _, i := range list {
		before := i.state(r.Now)
		if i.stopping.IsZero() {
			i.stopping = r.Now
			i.ended = r.Now.Add(r.Took(i.id+"/terminate", shutdownTakes, sigma))
			i.gone = i.ended.Add(r.Scale(endedListed))
			for _, v := range i.volumes {
				a := v.attachment(r.Now)
				if a == nil || a.instance != i {
					continue
				}
				if a.done.IsZero() || a.done.After(i.ended) {
					a.to, a.done = i.ended, i.ended
				}
				if a.goes {
					v.deleted, v.gone = i.ended, i.ended
				}
			}
		}
		out.TerminatingInstances = append(out.TerminatingInstances, ec2types.InstanceStateChange{
			InstanceId: aws.String(i.id), PreviousState: stateOf(before), CurrentState: stateOf(i.state(r.Now))})
	}
	return out, nil
}

func (s *EC2) describeInstances(r *awssim.Request, in *awsec2.DescribeInstancesInput) (*awsec2.DescribeInstancesOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	filters, err := parseFilters(r, in.Filters, instanceFilters)
	if err != nil {
		return nil, err
	}
	w, err := pageOf(r, in.MaxResults, in.NextToken, len(in.InstanceIds), "instancesSet")
	if err != nil {
		return nil, err
	}
	t := &s.in(r.Region).instances
	for _, id := range in.InstanceIds {
		if err := checkInstanceID(id); err != nil {
			return nil, err
		}
		if i, ok := t.byID[id]; !ok || i.owner != r.Account || !i.seen(r) {
			return nil, noInstance(id)
		}
	}
	from := t.index[indexKey{"owner-id", r.Account}]
	if len(in.InstanceIds) > 0 {
		from = t.named(in.InstanceIds)
	} else {
		from = t.narrow(from, filters, "instance-id", "reservation-id")
	}
	page, next := take(r, from, w, func(i *instance) bool {
		if i.owner != r.Account || !i.seen(r) {
			return false
		}
		for n := range filters {
			if !i.match(&filters[n], r.Now) {
				return false
			}
		}
		return true
	})
	out := &awsec2.DescribeInstancesOutput{NextToken: next}
	for _, i := range page {
		n := len(out.Reservations)
		if n == 0 || *out.Reservations[n-1].ReservationId != i.reservation {
			out.Reservations = append(out.Reservations, ec2types.Reservation{OwnerId: aws.String(i.owner), ReservationId: aws.String(i.reservation)})
			n++
		}
		out.Reservations[n-1].Instances = append(out.Reservations[n-1].Instances, i.out(r.Now))
	}
	return out, nil
}
