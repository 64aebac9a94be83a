package ec2sim

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

func (s *EC2) copyImage(r *awssim.Request, in *awsec2.CopyImageInput) (*awsec2.CopyImageOutput, error) {
	switch {
	case in.DestinationOutpostArn != nil:
		return nil, unsupported(r, "DestinationOutpostArn")
	case in.DestinationAvailabilityZone != nil || in.DestinationAvailabilityZoneId != nil:
		return nil, unsupported(r, "DestinationAvailabilityZone")
	case in.SnapshotCopyCompletionDurationMinutes != nil:
		return nil, unsupported(r, "SnapshotCopyCompletionDurationMinutes")
	case aws.ToBool(in.CopyImageTags):
		return nil, unsupported(r, "CopyImageTags")
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	}
	tags, err := specified(in.TagSpecifications, ec2types.ResourceTypeImage, ec2types.ResourceTypeSnapshot)
	if err != nil {
		return nil, err
	}
	id, from := aws.ToString(in.SourceImageId), aws.ToString(in.SourceRegion)
	if err := checkImageID(id); err != nil {
		return nil, err
	}
	k := tokenKey{r.Account, r.Region, r.Operation, aws.ToString(in.ClientToken)}
	parameters := fmt.Sprint(id, from, text(in.Name), text(in.Description), text(in.Encrypted), text(in.KmsKeyId), tags)
	if k.token != "" {
		made, err := s.used(k, parameters)
		if err != nil {
			return nil, err
		}
		if made != "" {
			return &awsec2.CopyImageOutput{ImageId: aws.String(made)}, nil
		}
	}
	if awssim.PartitionOf(from) != r.Partition() {
		return nil, awssim.Fail("InvalidRequest", "Images can not be copied from %s to %s", from, r.Region)
	}
	src, ok := s.in(from).images.own(r, id)
	if !ok {
		return nil, noImage(id)
	}
	if state := src.state(r.Now); state != ec2types.ImageStateAvailable {
		return nil, awssim.Fail("InvalidAMIID.Unavailable", "The image '%s' is '%s'", id, state)
	}
	name, err := s.imageName(r, in.Name)
	if err != nil {
		return nil, err
	}
	if in.KmsKeyId != nil && !aws.ToBool(in.Encrypted) {
		return nil, awssim.Fail("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	g := s.in(r.Region)
	m := &image{name: name, description: strings.Clone(aws.ToString(in.Description)), root: src.root, from: src.id, fromRegion: strings.Clone(from)}
	made := make([]*snapshot, len(src.mappings))
	for n, b := range src.mappings {
		o, ok := s.in(from).snapshots.own(r, b.snapshot)
		if !ok {
			return nil, noSnapshot(b.snapshot)
		}
		p := &snapshot{volume: noVolumeID, size: o.size, description: "Copied for DestinationAmi from SourceAmi " + src.id, encrypted: o.encrypted || aws.ToBool(in.Encrypted), start: r.Now}
		if p.encrypted {
			key := defaultAlias
			if in.KmsKeyId != nil {
				key = *in.KmsKeyId
			}
			p.key = keyARN(r, key)
		}
		p.origin = &origin{volume: o.volume, region: m.fromRegion, snapshot: o.id, full: true}
		if o.origin != nil {
			p.origin.volume = o.origin.volume
		}
		p.resource = resource{seq: s.next(), id: r.NewID("snap"), owner: r.Account, made: r.Now, lag: r.Lag(), tags: firstTags(tags[ec2types.ResourceTypeSnapshot])}
		p.ready = r.Now.Add(r.Took(o.id+"/image/"+r.Region+"/"+number(int32(o.copies)), copyTakes, copySigma))
		o.copies++
		switch {
		case o.encrypted && !keyUsable(r, o.key), p.encrypted && !(keyIn(p.key, r.Region) && keyUsable(r, p.key)):
			p.failed = keyMessage
		case r.Doomed:
			p.failed = doomedMessage
		}
		g.snapshots.add(p)
		g.snapshots.note(p, "volume-id", p.volume)
		g.account(r.Account).live++
		made[n] = p
		m.mappings = append(m.mappings, mapping{b.device, p.id, p.size, p.encrypted})
	}
	m.settle(r.Now, made)
	s.enterImage(r, m, tags[ec2types.ResourceTypeImage])
	if k.token != "" {
		s.tokens[k] = tokenUse{parameters, m.id}
	}
	return &awsec2.CopyImageOutput{ImageId: aws.String(m.id)}, nil
}
