package ec2sim

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// image is a registered AMI. It is there so that snapshots can be in use; instances are not made of it.
type image struct {
	resource
	name, description string
	mappings          []mapping
}

// mapping is a device of an image with its snapshot.
type mapping struct{ device, snapshot string }

// usesSnapshot is the index of images by their snapshots.
const usesSnapshot = "block-device-mapping.snapshot-id"

func (s *EC2) registerImage(r *awssim.Request, in *awsec2.RegisterImageInput) (*awsec2.RegisterImageOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	name := aws.ToString(in.Name)
	if len(name) < 3 || len(name) > 128 {
		return nil, awssim.Fail("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long")
	}
	tags, err := specified(in.TagSpecifications, ec2types.ResourceTypeImage)
	if err != nil {
		return nil, err
	}
	g := s.in(r.Region)
	for _, m := range g.images.index[indexKey{"owner-id", r.Account}] {
		if m.there(r.Now) && m.name == name {
			return nil, awssim.Fail("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, m.id)
		}
	}
	m := &image{name: strings.Clone(name), description: strings.Clone(aws.ToString(in.Description))}
	for _, b := range in.BlockDeviceMappings {
		if b.Ebs == nil || b.Ebs.SnapshotId == nil {
			continue
		}
		id := *b.Ebs.SnapshotId
		if err := checkSnapshotID(id); err != nil {
			return nil, err
		}
		p, ok := g.snapshots.own(r, id)
		if !ok {
			return nil, noSnapshot(id)
		}
		if state := p.state(r.Now); state != ec2types.SnapshotStateCompleted {
			return nil, awssim.Fail("IncorrectState", "Snapshot %s is '%s'", id, state)
		}
		m.mappings = append(m.mappings, mapping{strings.Clone(aws.ToString(b.DeviceName)), p.id})
	}
	m.resource = resource{seq: s.next(), id: r.NewID("ami"), owner: r.Account, made: r.Now, lag: r.Lag(), tags: firstTags(tags[ec2types.ResourceTypeImage])}
	g.images.add(m)
	for _, b := range m.mappings {
		g.images.note(m, usesSnapshot, b.snapshot)
	}
	return &awsec2.RegisterImageOutput{ImageId: aws.String(m.id)}, nil
}

func (s *EC2) deregisterImage(r *awssim.Request, in *awsec2.DeregisterImageInput) (*awsec2.DeregisterImageOutput, error) {
	switch {
	case aws.ToBool(in.DeleteAssociatedSnapshots):
		return nil, unsupported(r, "DeleteAssociatedSnapshots")
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	}
	id := aws.ToString(in.ImageId)
	if err := checkImageID(id); err != nil {
		return nil, err
	}
	m, ok := s.in(r.Region).images.own(r, id)
	if !ok {
		return nil, awssim.Fail("InvalidAMIID.Unavailable", "The image ID '%s' is no longer available", id)
	}
	m.gone = r.Now
	return &awsec2.DeregisterImageOutput{Return: aws.Bool(true)}, nil
}

// match reports whether a filter lets the image pass.
func (m *image) match(f *filter, now time.Time) bool {
	if f.isTag() {
		return f.tags(m.tags.at(now))
	}
	switch f.name {
	case "image-id":
		return f.match(m.id)
	case "name":
		return f.match(m.name)
	case "owner-id":
		return f.match(m.owner)
	case "state":
		return f.match(string(ec2types.ImageStateAvailable))
	case usesSnapshot:
		return slices.ContainsFunc(m.mappings, func(b mapping) bool { return f.match(b.snapshot) })
	}
	return false
}

var imageFilters = known{rest: true, names: []string{"image-id", "name", "owner-id", "state", usesSnapshot}}

func (s *EC2) describeImages(r *awssim.Request, in *awsec2.DescribeImagesInput) (*awsec2.DescribeImagesOutput, error) {
	switch {
	case len(in.ExecutableUsers) > 0:
		return nil, unsupported(r, "ExecutableUsers")
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	}
	filters, err := parseFilters(r, in.Filters, imageFilters)
	if err != nil {
		return nil, err
	}
	w, err := pageOf(r, in.MaxResults, in.NextToken, len(in.ImageIds), "imagesSet")
	if err != nil {
		return nil, err
	}
	owners, err := ownersOf(r, in.Owners)
	if err != nil {
		return nil, err
	}
	t := &s.in(r.Region).images
	for _, id := range in.ImageIds {
		if err := checkImageID(id); err != nil {
			return nil, err
		}
		if m, ok := t.byID[id]; !ok || m.owner != r.Account || !m.seen(r) {
			return nil, noImage(id)
		}
	}
	from := t.index[indexKey{"owner-id", r.Account}]
	if len(in.ImageIds) > 0 {
		from = t.named(in.ImageIds)
	} else {
		from = t.narrow(from, filters, "image-id", usesSnapshot)
	}
	page, next := take(r, from, w, func(m *image) bool {
		if m.owner != r.Account || !m.seen(r) || len(owners) > 0 && !slices.Contains(owners, m.owner) {
			return false
		}
		for n := range filters {
			if !m.match(&filters[n], r.Now) {
				return false
			}
		}
		return true
	})
	out := &awsec2.DescribeImagesOutput{Images: make([]ec2types.Image, len(page)), NextToken: next}
	for n, m := range page {
		o := ec2types.Image{Architecture: ec2types.ArchitectureValuesX8664, CreationDate: aws.String(wireTime(m.made)), Description: aws.String(m.description),
			ImageId: aws.String(m.id), Name: aws.String(m.name), OwnerId: aws.String(m.owner), Public: aws.Bool(false), State: ec2types.ImageStateAvailable,
			Tags: outTags(m.tags.at(r.Now))}
		for _, b := range m.mappings {
			o.BlockDeviceMappings = append(o.BlockDeviceMappings, ec2types.BlockDeviceMapping{DeviceName: aws.String(b.device),
				Ebs: &ec2types.EbsBlockDevice{SnapshotId: aws.String(b.snapshot)}})
		}
		out.Images[n] = o
	}
	return out, nil
}
