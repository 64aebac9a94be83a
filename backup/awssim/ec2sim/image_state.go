package ec2sim

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// changing gives an image of the caller's for a call that changes its state.
func (s *EC2) changing(r *awssim.Request, id *string, dry *bool) (*image, error) {
	if aws.ToBool(dry) {
		return nil, dryRun()
	}
	if err := checkImageID(aws.ToString(id)); err != nil {
		return nil, err
	}
	m, ok := s.in(r.Region).images.own(r, *id)
	if !ok {
		return nil, noImage(*id)
	}
	return m, nil
}

func (s *EC2) disableImage(r *awssim.Request, in *awsec2.DisableImageInput) (*awsec2.DisableImageOutput, error) {
	m, err := s.changing(r, in.ImageId, in.DryRun)
	if err != nil {
		return nil, err
	}
	if state := m.state(r.Now); state != ec2types.ImageStateAvailable && state != ec2types.ImageStateDisabled {
		return nil, awssim.Fail("InvalidAMIID.Unavailable", "The image '%s' is '%s'", m.id, state)
	}
	if !m.off(r.Now) {
		m.disabled = r.Now
	}
	return &awsec2.DisableImageOutput{Return: aws.Bool(true)}, nil
}

func (s *EC2) enableImage(r *awssim.Request, in *awsec2.EnableImageInput) (*awsec2.EnableImageOutput, error) {
	m, err := s.changing(r, in.ImageId, in.DryRun)
	if err != nil {
		return nil, err
	}
	if m.off(r.Now) {
		m.enabled = r.Now
	}
	return &awsec2.EnableImageOutput{Return: aws.Bool(true)}, nil
}

func (s *EC2) enableImageDeprecation(r *awssim.Request, in *awsec2.EnableImageDeprecationInput) (*awsec2.EnableImageDeprecationOutput, error) {
	m, err := s.changing(r, in.ImageId, in.DryRun)
	if err != nil {
		return nil, err
	}
	if in.DeprecateAt == nil || in.DeprecateAt.Before(r.Now.Add(-time.Minute)) {
		return nil, awssim.Fail("InvalidParameterValue", "The deprecation time must be in the future.")
	}
	m.deprecation = in.DeprecateAt.UTC().Round(time.Minute)
	return &awsec2.EnableImageDeprecationOutput{Return: aws.Bool(true)}, nil
}

func (s *EC2) enableImageProtection(r *awssim.Request, in *awsec2.EnableImageDeregistrationProtectionInput) (*awsec2.EnableImageDeregistrationProtectionOutput, error) {
	if aws.ToBool(in.WithCooldown) {
		return nil, unsupported(r, "WithCooldown")
	}
	m, err := s.changing(r, in.ImageId, in.DryRun)
	if err != nil {
		return nil, err
	}
	m.protected = true
	return &awsec2.EnableImageDeregistrationProtectionOutput{Return: aws.String("true")}, nil
}

func (s *EC2) disableImageProtection(r *awssim.Request, in *awsec2.DisableImageDeregistrationProtectionInput) (*awsec2.DisableImageDeregistrationProtectionOutput, error) {
	m, err := s.changing(r, in.ImageId, in.DryRun)
	if err != nil {
		return nil, err
	}
	m.protected = false
	return &awsec2.DisableImageDeregistrationProtectionOutput{Return: aws.String("true")}, nil
}

// ImageInfo is the truth of one image.
type ImageInfo struct {
	ID, Name string
	State    ec2types.ImageState
	Tags     map[string]string
	// Snapshots are those that it uses, in the order of its devices. Instance is what it was made of, CopyOf the image that it is a copy of; empty for none.
	Snapshots        []string
	Instance, CopyOf string
	// Rebooted tells that the instance was rebooted for it.
	Rebooted bool
	// Gone tells that it was deregistered.
	Gone bool
}

// Images gives every image that an account ever had in a Region, in the order of creation.
func (s *EC2) Images(w *awssim.World, account, region string) []ImageInfo {
	var list []ImageInfo
	w.Do(account, region, func(r *awssim.Request) {
		for _, m := range s.in(region).images.index[indexKey{"owner-id", account}] {
			i := ImageInfo{ID: m.id, Name: m.name, State: m.state(r.Now), Tags: mapOf(m.tags.newest()), Instance: m.instance, CopyOf: m.from, Rebooted: m.rebooted, Gone: !m.there(r.Now)}
			for _, b := range m.mappings {
				i.Snapshots = append(i.Snapshots, b.snapshot)
			}
			list = append(list, i)
		}
	})
	return list
}
