package ec2sim

import (
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// How long work takes. They are assumptions: AWS promises no durations.
const (
	volumeTakes = 5 * time.Second
	attachTakes = 2 * time.Second
	detachTakes = 3 * time.Second
	deleteTakes = 2 * time.Second
	sigma       = 0.5
)

// form is what a volume is to be, from CreateVolume or a block device mapping.
type form struct {
	zone             string
	kind             ec2types.VolumeType
	size             *int32
	iops, throughput *int32
	encrypted        *bool
	key, snapshot    *string
}

// sizes are the limits of a volume type in GiB. Source: EC2 API, CreateVolume, the Size parameter.
var sizes = map[ec2types.VolumeType][2]int32{
	ec2types.VolumeTypeGp2: {1, 16_384}, ec2types.VolumeTypeGp3: {1, 65_536}, ec2types.VolumeTypeIo1: {4, 16_384}, ec2types.VolumeTypeIo2: {4, 65_536},
	ec2types.VolumeTypeSt1: {125, 16_384}, ec2types.VolumeTypeSc1: {125, 16_384}, ec2types.VolumeTypeStandard: {1, 1024},
}

// shape checks a form and makes a volume of it that is in no table yet and has no id.
func (s *EC2) shape(r *awssim.Request, f form) (*volume, error) {
	v := &volume{zone: f.zone, kind: f.kind, encrypted: aws.ToBool(f.encrypted)}
	if v.kind == "" {
		v.kind = ec2types.VolumeTypeGp2
	}
	limits, ok := sizes[v.kind]
	if !ok {
		return nil, awssim.Fail("UnknownVolumeType", "Unsupported volume type '%s' for volume creation.", v.kind)
	}
	if f.key != nil && !v.encrypted {
		return nil, awssim.Fail("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
	}
	usable := true
	if id := aws.ToString(f.snapshot); id != "" {
		if err := checkSnapshotID(id); err != nil {
			return nil, err
		}
		p, ok := s.in(r.Region).snapshots.byID[id]
		if !ok || !p.there(r.Now) || !p.open(r.Account) {
			return nil, noSnapshot(id)
		}
		if state := p.state(r.Now); state != ec2types.SnapshotStateCompleted {
			return nil, awssim.Fail("IncorrectState", "Snapshot is in invalid state - %s", state)
		}
		if err := p.usable(r.Now); err != nil {
			return nil, err
		}
		v.from, v.size = p.id, p.size
		if p.encrypted {
			v.encrypted, v.key = true, p.key
			usable = keyUsable(r, p.key)
		}
		if f.size != nil && *f.size < p.size {
			return nil, awssim.Fail("InvalidParameterValue", "The size of the volume (%d GiB) is smaller than that of snapshot '%s' (%d GiB).", *f.size, id, p.size)
		}
	} else if f.size == nil {
		return nil, awssim.Fail("MissingParameter", "The request must contain the parameter size or snapshotId")
	}
	if f.size != nil {
		v.size = *f.size
	}
	if v.size < limits[0] || v.size > limits[1] {
		return nil, awssim.Fail("InvalidParameterValue", "Volume of %dGiB is not within the limits of type %s: %d to %d GiB.", v.size, v.kind, limits[0], limits[1])
	}
	if f.key != nil {
		v.key = keyARN(r, *f.key)
	} else if v.encrypted && v.key == "" {
		v.key = keyARN(r, defaultAlias)
	}
	if v.encrypted {
		v.failed = !usable || !keyUsable(r, v.key)
	}
	return v, v.perform(f.iops, f.throughput)
}

// perform sets the performance, with AWS's defaults. Source: EC2 API, CreateVolume, the Iops and Throughput parameters.
func (v *volume) perform(iops, throughput *int32) error {
	if throughput != nil && v.kind != ec2types.VolumeTypeGp3 {
		return awssim.Fail("InvalidParameterCombination", "The parameter throughput is not supported for %s volumes.", v.kind)
	}
	bounds := map[ec2types.VolumeType][2]int32{ec2types.VolumeTypeGp3: {3000, 80_000}, ec2types.VolumeTypeIo1: {100, 64_000}, ec2types.VolumeTypeIo2: {100, 256_000}}
	b, provisioned := bounds[v.kind]
	switch {
	case iops != nil && !provisioned:
		return awssim.Fail("InvalidParameterCombination", "The parameter iops is not supported for %s volumes.", v.kind)
	case iops != nil && (*iops < b[0] || *iops > b[1]):
		return awssim.Fail("InvalidParameterValue", "Volume iops of %d is not within the limits of type %s: %d to %d.", *iops, v.kind, b[0], b[1])
	case iops != nil:
		v.iops = *iops
	case v.kind == ec2types.VolumeTypeIo1 || v.kind == ec2types.VolumeTypeIo2:
		return awssim.Fail("MissingParameter", "The request must contain the parameter iops")
	case v.kind == ec2types.VolumeTypeGp3:
		v.iops = 3000
	case v.kind == ec2types.VolumeTypeGp2:
		v.iops = min(max(100, 3*v.size), 16_000)
	}
	if v.kind == ec2types.VolumeTypeGp3 {
		v.throughput = 125
		if throughput != nil {
			if *throughput < 125 || *throughput > 2000 {
				return awssim.Fail("InvalidParameterValue", "Volume throughput of %d MiB/s is not within the limits of type gp3: 125 to 2000.", *throughput)
			}
			v.throughput = *throughput
		}
	}
	return nil
}

// place gives a shaped volume its id and enters it.
func (s *EC2) place(r *awssim.Request, v *volume, tags []tag) {
	v.resource = resource{seq: s.next(), id: r.NewID("vol"), owner: r.Account, made: r.Now, lag: r.Lag(), tags: firstTags(tags)}
	v.ready = r.Now.Add(r.Took(v.id, volumeTakes, sigma))
	v.failed = v.failed || r.Doomed
	g := s.in(r.Region)
	g.volumes.add(v)
	g.volumes.note(v, "snapshot-id", v.from)
}

// tokenKey is a client token, which is kept per account, Region and operation.
type tokenKey struct{ account, region, operation, token string }

// tokenUse is what a client token was used for.
type tokenUse struct {
	parameters string
	id         string
}

// used looks a client token up: the id that it made, empty for a new token. Source: EC2 Developer Guide, "Ensuring idempotency".
func (s *EC2) used(k tokenKey, parameters string) (string, error) {
	u, ok := s.tokens[k]
	if ok && u.parameters != parameters {
		return "", awssim.Fail("IdempotentParameterMismatch", "The request uses the same client token as a previous, but non-identical request.")
	}
	return u.id, nil
}

func (s *EC2) createVolume(r *awssim.Request, in *awsec2.CreateVolumeInput) (*awsec2.CreateVolumeOutput, error) {
	switch {
	case in.OutpostArn != nil:
		return nil, unsupported(r, "OutpostArn")
	case in.Operator != nil:
		return nil, unsupported(r, "Operator")
	case aws.ToBool(in.MultiAttachEnabled):
		return nil, unsupported(r, "MultiAttachEnabled")
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	}
	tags, err := specified(in.TagSpecifications, ec2types.ResourceTypeVolume)
	if err != nil {
		return nil, err
	}
	zone, err := zoneOf(r, in.AvailabilityZone, in.AvailabilityZoneId)
	if err != nil {
		return nil, err
	}
	k := tokenKey{r.Account, r.Region, r.Operation, aws.ToString(in.ClientToken)}
	parameters := fmt.Sprint(zone, in.VolumeType, text(in.Size), text(in.Iops), text(in.Throughput), text(in.Encrypted), text(in.KmsKeyId), text(in.SnapshotId),
		text(in.VolumeInitializationRate), tags)
	if k.token != "" {
		id, err := s.used(k, parameters)
		if err != nil {
			return nil, err
		}
		if id != "" {
			return madeVolume(s.in(r.Region).volumes.byID[id], r.Now), nil
		}
	}
	if rate := in.VolumeInitializationRate; rate != nil && (*rate < 100 || *rate > 300 || aws.ToString(in.SnapshotId) == "") {
		return nil, awssim.Fail("InvalidParameterValue", "The volume initialization rate is 100 to 300 MiB/s, for volumes made from snapshots.")
	}
	v, err := s.shape(r, form{zone, in.VolumeType, in.Size, in.Iops, in.Throughput, in.Encrypted, in.KmsKeyId, in.SnapshotId})
	if err != nil {
		return nil, err
	}
	s.place(r, v, tags[ec2types.ResourceTypeVolume])
	if k.token != "" {
		s.tokens[k] = tokenUse{parameters, v.id}
	}
	return madeVolume(v, r.Now), nil
}

// text writes an optional parameter so that absent and zero differ.
func text[T any](p *T) string {
	if p == nil {
		return "-|"
	}
	return fmt.Sprintf("%q|", fmt.Sprint(*p))
}

func madeVolume(v *volume, now time.Time) *awsec2.CreateVolumeOutput {
	o := v.out(now)
	return &awsec2.CreateVolumeOutput{Attachments: o.Attachments, AvailabilityZone: o.AvailabilityZone, AvailabilityZoneId: o.AvailabilityZoneId, CreateTime: o.CreateTime,
		Encrypted: o.Encrypted, Iops: o.Iops, KmsKeyId: o.KmsKeyId, MultiAttachEnabled: o.MultiAttachEnabled, Size: o.Size, SnapshotId: o.SnapshotId, State: o.State,
		Tags: o.Tags, Throughput: o.Throughput, VolumeId: o.VolumeId, VolumeType: o.VolumeType}
}

// own gives a volume of the caller's for a call that writes.
func (s *EC2) volume(r *awssim.Request, id *string) (*volume, error) {
	if id == nil {
		return nil, awssim.Fail("MissingParameter", "The request must contain the parameter volume")
	}
	if err := checkVolumeID(*id); err != nil {
		return nil, err
	}
	v, ok := s.in(r.Region).volumes.own(r, *id)
	if !ok {
		return nil, noVolume(*id)
	}
	return v, nil
}

func (s *EC2) deleteVolume(r *awssim.Request, in *awsec2.DeleteVolumeInput) (*awsec2.DeleteVolumeOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	v, err := s.volume(r, in.VolumeId)
	if err != nil {
		return nil, err
	}
	if a := v.attachment(r.Now); a != nil {
		return nil, awssim.Fail("VolumeInUse", "Volume %s is currently attached to %s", v.id, a.instance.id)
	}
	switch v.state(r.Now) {
	case ec2types.VolumeStateCreating:
		return nil, awssim.Fail("IncorrectState", "The volume '%s' is 'creating'", v.id)
	case ec2types.VolumeStateAvailable, ec2types.VolumeStateError:
		v.deleted = r.Now
		v.gone = r.Now.Add(r.Took(v.id+"/delete", deleteTakes, sigma))
	}
	return &awsec2.DeleteVolumeOutput{}, nil
}

func (s *EC2) describeVolumes(r *awssim.Request, in *awsec2.DescribeVolumesInput) (*awsec2.DescribeVolumesOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	filters, err := parseFilters(r, in.Filters, volumeFilters)
	if err != nil {
		return nil, err
	}
	w, err := pageOf(r, in.MaxResults, in.NextToken, len(in.VolumeIds), "volumesSet")
	if err != nil {
		return nil, err
	}
	t := &s.in(r.Region).volumes
	for _, id := range in.VolumeIds {
		if err := checkVolumeID(id); err != nil {
			return nil, err
		}
		if v, ok := t.byID[id]; !ok || v.owner != r.Account || !v.seen(r) {
			return nil, noVolume(id)
		}
	}
	from := t.index[indexKey{"owner-id", r.Account}]
	if len(in.VolumeIds) > 0 {
		from = t.named(in.VolumeIds)
	} else {
		from = t.narrow(from, filters, "volume-id", "snapshot-id", "attachment.instance-id")
	}
	page, next := take(r, from, w, func(v *volume) bool {
		if v.owner != r.Account || !v.seen(r) {
			return false
		}
		for i := range filters {
			if !v.match(&filters[i], r.Now) {
				return false
			}
		}
		return true
	})
	out := &awsec2.DescribeVolumesOutput{Volumes: make([]ec2types.Volume, len(page)), NextToken: next}
	for i, v := range page {
		out.Volumes[i] = v.out(r.Now)
	}
	return out, nil
}
