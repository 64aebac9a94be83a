package ec2sim

import (
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

const imageNameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789()[] ./-'@_"

// imageName checks a new image's name, which is unique in the account and Region. Source: EC2 API, CreateImage; EC2 API, "Error codes".
func (s *EC2) imageName(r *awssim.Request, given *string) (string, error) {
	name := aws.ToString(given)
	if len(name) < 3 || len(name) > 128 || strings.ContainsFunc(name, func(c rune) bool { return !strings.ContainsRune(imageNameLetters, c) }) {
		return "", awssim.Fail("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, and only the following characters: ( ) . - / _ [ ] @ '")
	}
	for _, m := range s.in(r.Region).images.index[indexKey{"owner-id", r.Account}] {
		if m.there(r.Now) && m.name == name {
			return "", awssim.Fail("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, m.id)
		}
	}
	return strings.Clone(name), nil
}

// enterImage gives an image its id and puts it into the tables.
func (s *EC2) enterImage(r *awssim.Request, m *image, tags []tag) {
	m.resource = resource{seq: s.next(), id: r.NewID("ami"), owner: r.Account, made: r.Now, lag: r.Lag(), tags: firstTags(tags)}
	t := &s.in(r.Region).images
	t.add(m)
	for _, b := range m.mappings {
		t.note(m, usesSnapshot, b.snapshot)
	}
}

// imageFailed is the reason of an image one of whose snapshots failed.
const imageFailed = "Client.InvalidSnapshot: a snapshot of the image is in error"

// settleImage sets when an image is ready: when its last snapshot is, or failed when the first one is in error.
func (m *image) settle(now time.Time, made []*snapshot) {
	m.ready = now
	for _, p := range made {
		if p.failed != "" {
			m.failed, m.ready = imageFailed, p.ready
			return
		}
		if p.ready.After(m.ready) {
			m.ready = p.ready
		}
	}
}

func (s *EC2) createImage(r *awssim.Request, in *awsec2.CreateImageInput) (*awsec2.CreateImageOutput, error) {
	switch {
	case len(in.BlockDeviceMappings) > 0:
		return nil, unsupported(r, "BlockDeviceMappings")
	case in.SnapshotLocation == ec2types.SnapshotLocationEnumLocal:
		return nil, unsupported(r, "SnapshotLocation")
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	}
	tags, err := specified(in.TagSpecifications, ec2types.ResourceTypeImage, ec2types.ResourceTypeSnapshot)
	if err != nil {
		return nil, err
	}
	i, err := s.instance(r, in.InstanceId)
	if err != nil {
		return nil, err
	}
	name, err := s.imageName(r, in.Name)
	if err != nil {
		return nil, err
	}
	state := i.state(r.Now)
	if state != ec2types.InstanceStateNameRunning && state != ec2types.InstanceStateNameStopped {
		return nil, awssim.Fail("IncorrectInstanceState", "Instance '%s' is not in the state 'running' or 'stopped', but '%s'", i.id, state)
	}
	volumes, err := s.members(r, &ec2types.InstanceSpecification{InstanceId: in.InstanceId})
	if err != nil {
		return nil, err
	}
	if err := s.allowed(r, volumes); err != nil {
		return nil, err
	}
	m := &image{name: name, description: strings.Clone(aws.ToString(in.Description)), root: i.rootDevice, instance: i.id, rebooted: !aws.ToBool(in.NoReboot) && state == ec2types.InstanceStateNameRunning}
	s.sets++
	made := make([]*snapshot, len(volumes))
	for n, v := range volumes {
		p := s.snap(r, v, "Created by CreateImage("+i.id+")", tags[ec2types.ResourceTypeSnapshot])
		p.set = "set-" + strconv.Itoa(s.sets)
		switch {
		case v.encrypted && !keyUsable(r, v.key):
			p.failed = keyMessage
		case r.Doomed:
			p.failed = doomedMessage
		}
		s.enter(r, v, p)
		made[n] = p
		m.mappings = append(m.mappings, mapping{v.attachment(r.Now).device, p.id, p.size, p.encrypted})
	}
	m.settle(r.Now, made)
	s.enterImage(r, m, tags[ec2types.ResourceTypeImage])
	return &awsec2.CreateImageOutput{ImageId: aws.String(m.id)}, nil
}

// out is the image as DescribeImages answers it.
func (m *image) out(now time.Time) ec2types.Image {
	o := ec2types.Image{Architecture: ec2types.ArchitectureValuesX8664, CreationDate: aws.String(wireTime(m.made)), Description: aws.String(m.description),
		DeregistrationProtection: aws.String("disabled"), ImageId: aws.String(m.id), Name: aws.String(m.name), OwnerId: aws.String(m.owner), Public: aws.Bool(false),
		RootDeviceType: ec2types.DeviceTypeEbs, State: m.state(now), Tags: outTags(m.tags.at(now))}
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return aws.String(s)
	}
	o.RootDeviceName, o.SourceInstanceId, o.SourceImageId, o.SourceImageRegion = text(m.root), text(m.instance), text(m.from), text(m.fromRegion)
	if m.protected {
		o.DeregistrationProtection = aws.String("enabled-without-cooldown")
	}
	if !m.deprecation.IsZero() {
		o.DeprecationTime = aws.String(wireTime(m.deprecation))
	}
	if o.State == ec2types.ImageStateFailed {
		code, message, _ := strings.Cut(m.failed, ": ")
		o.StateReason = &ec2types.StateReason{Code: aws.String(code), Message: aws.String(message)}
	}
	for _, b := range m.mappings {
		o.BlockDeviceMappings = append(o.BlockDeviceMappings, ec2types.BlockDeviceMapping{DeviceName: aws.String(b.device),
			Ebs: &ec2types.EbsBlockDevice{SnapshotId: aws.String(b.snapshot), VolumeSize: aws.Int32(b.size), Encrypted: aws.Bool(b.encrypted)}})
	}
	return o
}
