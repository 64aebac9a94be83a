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

// image is an AMI. Instances are not made of it.
type image struct {
	resource
	name, description, root string
	mappings                []mapping
	// instance is what CreateImage made it of, from and fromRegion what CopyImage made it of; empty for none.
	instance, from, fromRegion string
	// ready is the instant at which it is available or, with a reason, failed.
	ready  time.Time
	failed string
	// rebooted tells that the instance was rebooted for it.
	rebooted bool
	// disabled and enabled are the newest instants of these calls, deprecation is the time that was set; zero for none.
	disabled, enabled, deprecation time.Time
	protected                      bool
}

// mapping is a device of an image with its snapshot.
type mapping struct {
	device, snapshot string
	size             int32
	encrypted        bool
}

func (m *image) state(now time.Time) ec2types.ImageState {
	switch {
	case now.Before(m.ready):
		return ec2types.ImageStatePending
	case m.failed != "":
		return ec2types.ImageStateFailed
	case m.off(now):
		return ec2types.ImageStateDisabled
	}
	return ec2types.ImageStateAvailable
}

// off reports whether the image is disabled at an instant.
func (m *image) off(now time.Time) bool {
	return !m.disabled.IsZero() && !now.Before(m.disabled) && (m.enabled.Before(m.disabled) || now.Before(m.enabled))
}

// usesSnapshot is the index of images by their snapshots.
const usesSnapshot = "block-device-mapping.snapshot-id"

func (s *EC2) registerImage(r *awssim.Request, in *awsec2.RegisterImageInput) (*awsec2.RegisterImageOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	tags, err := specified(in.TagSpecifications, ec2types.ResourceTypeImage)
	if err != nil {
		return nil, err
	}
	name, err := s.imageName(r, in.Name)
	if err != nil {
		return nil, err
	}
	g := s.in(r.Region)
	m := &image{name: name, description: strings.Clone(aws.ToString(in.Description)), root: strings.Clone(aws.ToString(in.RootDeviceName)), ready: r.Now}
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
		m.mappings = append(m.mappings, mapping{strings.Clone(aws.ToString(b.DeviceName)), p.id, p.size, p.encrypted})
	}
	s.enterImage(r, m, tags[ec2types.ResourceTypeImage])
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
	if m.protected {
		return nil, awssim.Fail("OperationNotPermitted", "The image '%s' is protected against deregistration", id)
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
		return f.match(string(m.state(now)))
	case "source-instance-id":
		return f.match(m.instance)
	case usesSnapshot:
		return slices.ContainsFunc(m.mappings, func(b mapping) bool { return f.match(b.snapshot) })
	}
	return false
}

var imageFilters = known{rest: true, names: []string{"image-id", "name", "owner-id", "source-instance-id", "state", usesSnapshot}}

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
		if m.owner != r.Account || !m.seen(r) || m.state(r.Now) == ec2types.ImageStateDisabled && !aws.ToBool(in.IncludeDisabled) || len(owners) > 0 && !slices.Contains(owners, m.owner) {
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
		out.Images[n] = m.out(r.Now)
	}
	return out, nil
}
