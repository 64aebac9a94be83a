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

// How long a copy takes: an assumption, because AWS promises nothing.
const (
	copyTakes = 5 * time.Minute
	copySigma = 0.8
)

// noVolumeID is the volume of every copy. Source: EBS User Guide, "Copy an Amazon EBS snapshot"; EC2 API, CopySnapshot: it means nothing.
const noVolumeID = "vol-ffffffff"

// origin is where a copy comes from.
type origin struct {
	// volume is the volume that the first snapshot of the chain was made of, region and snapshot what was copied.
	volume, region, snapshot string
	// full tells that all blocks were copied, not only those that changed since the last copy.
	full bool
}

func (s *EC2) copySnapshot(r *awssim.Request, in *awsec2.CopySnapshotInput) (*awsec2.CopySnapshotOutput, error) {
	switch {
	case in.CompletionDurationMinutes != nil:
		return nil, unsupported(r, "CompletionDurationMinutes")
	case in.DestinationAvailabilityZone != nil:
		return nil, unsupported(r, "DestinationAvailabilityZone")
	case in.DestinationOutpostArn != nil:
		return nil, unsupported(r, "DestinationOutpostArn")
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	}
	id, from := aws.ToString(in.SourceSnapshotId), aws.ToString(in.SourceRegion)
	if err := checkSnapshotID(id); err != nil {
		return nil, err
	}
	if awssim.PartitionOf(from) != r.Partition() {
		return nil, awssim.Fail("SnapshotCopyUnsupported.InterRegion", "Inter-region snapshot copy is not supported for this region.")
	}
	src, ok := s.in(from).snapshots.byID[id]
	if !ok || !src.there(r.Now) || !src.open(r.Account) {
		return nil, noSnapshot(id)
	}
	tags, err := specified(in.TagSpecifications, ec2types.ResourceTypeSnapshot)
	if err != nil {
		return nil, err
	}
	encrypted := src.encrypted || aws.ToBool(in.Encrypted)
	switch {
	case in.Encrypted != nil && !*in.Encrypted:
		return nil, awssim.Fail("InvalidParameterValue", "Value (false) for parameter encrypted is invalid.")
	case in.KmsKeyId != nil && !encrypted:
		return nil, awssim.Fail("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	if state := src.state(r.Now); state != ec2types.SnapshotStateCompleted {
		return nil, awssim.Fail("IncorrectState", "Snapshot %s is in invalid state '%s'", id, state)
	}
	if err := src.usable(r.Now); err != nil {
		return nil, err
	}
	g := s.in(r.Region)
	a := g.account(r.Account)
	if q := s.quotas.CopiesPerRegion; q > 0 && a.copies.open(r.Now) >= q {
		return nil, awssim.Fail("ResourceLimitExceeded", "Too many snapshot copies in progress. The limit is %d for this destination region.", q)
	}
	if q := s.quotas.SnapshotsPerRegion; q > 0 && a.live >= q {
		return nil, awssim.Fail("SnapshotLimitExceeded", "You have reached your limit of snapshots: %d.", q)
	}
	p := &snapshot{volume: noVolumeID, size: src.size, description: strings.Clone(aws.ToString(in.Description)), encrypted: encrypted, start: r.Now}
	if encrypted {
		key := defaultAlias
		if in.KmsKeyId != nil {
			key = *in.KmsKeyId
		}
		p.key = keyARN(r, key)
	}
	p.origin = &origin{volume: src.volume, region: strings.Clone(from), snapshot: src.id}
	if src.origin != nil {
		p.origin.volume = src.origin.volume
	}
	p.origin.full = !slices.ContainsFunc(g.snapshots.index[indexKey{"owner-id", r.Account}], func(o *snapshot) bool { return o.there(r.Now) && p.builds(o, r) })
	p.resource = resource{seq: s.next(), id: r.NewID("snap"), owner: r.Account, made: r.Now, lag: r.Lag(), tags: firstTags(tags[ec2types.ResourceTypeSnapshot])}
	p.ready = r.Now.Add(r.Took(src.id+"/"+r.Region+"/"+number(int32(src.copies)), copyTakes, copySigma))
	src.copies++
	switch {
	case src.encrypted && !keyUsable(r, src.key), encrypted && !(keyIn(p.key, r.Region) && keyUsable(r, p.key)):
		p.failed = keyMessage
	case r.Doomed:
		p.failed = doomedMessage
	}
	g.snapshots.add(p)
	g.snapshots.note(p, "volume-id", p.volume)
	a.live++
	a.copies.add(p.ready)
	return &awsec2.CopySnapshotOutput{SnapshotId: aws.String(p.id), Tags: outTags(p.tags.newest())}, nil
}

// builds reports whether a copy can leave out what another snapshot of the Region holds already: of the same volume, under the same key.
func (p *snapshot) builds(o *snapshot, r *awssim.Request) bool {
	volume := o.volume
	if o.origin != nil {
		volume = o.origin.volume
	} else if p.origin.region != r.Region {
		return false
	}
	return volume == p.origin.volume && o.encrypted == p.encrypted && o.key == p.key && o.failed == ""
}

// keyIn reports whether a key belongs to a Region: EBS uses no other.
func keyIn(arn, region string) bool {
	f := strings.SplitN(arn, ":", 5)
	return len(f) == 5 && f[3] == region
}
