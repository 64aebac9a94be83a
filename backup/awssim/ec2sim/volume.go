package ec2sim

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// volume is an EBS volume.
type volume struct {
	resource
	zone       string
	kind       ec2types.VolumeType
	size       int32
	iops       int32
	throughput int32
	encrypted  bool
	key        string
	// from is the snapshot it was made of, empty for none.
	from string
	// ready is the instant at which it is made, or, if failed, at which it is found to be in error.
	ready  time.Time
	failed bool
	// deleted is the instant from which it is being deleted; zero for not.
	deleted time.Time
	// attached is every attachment there ever was, the newest last. There is at most one at a time.
	attached []*attachment
	// snapped is the instant of its newest snapshot, count how many there were, and pending when the pending ones end.
	snapped time.Time
	count   int
	pending instants
}

// attachment is a volume at an instance.
type attachment struct {
	instance *instance
	device   string
	root     bool
	// goes tells that the volume is deleted when the instance terminates.
	goes bool
	// from is the request, until which it is attaching; to is the request to detach, until done it is detaching.
	from, until, to, done time.Time
}

// held reports whether the attachment is there at an instant.
func (a *attachment) held(now time.Time) bool {
	return !a.from.After(now) && (a.done.IsZero() || now.Before(a.done))
}

func (a *attachment) state(now time.Time) ec2types.VolumeAttachmentState {
	switch {
	case !a.to.IsZero() && !now.Before(a.to):
		return ec2types.VolumeAttachmentStateDetaching
	case now.Before(a.until):
		return ec2types.VolumeAttachmentStateAttaching
	}
	return ec2types.VolumeAttachmentStateAttached
}

// attachment gives the attachment at an instant, nil for none.
func (v *volume) attachment(now time.Time) *attachment {
	for i := len(v.attached) - 1; i >= 0; i-- {
		if v.attached[i].held(now) {
			return v.attached[i]
		}
	}
	return nil
}

func (v *volume) state(now time.Time) ec2types.VolumeState {
	switch {
	case !v.gone.IsZero() && !now.Before(v.gone):
		return ec2types.VolumeStateDeleted
	case !v.deleted.IsZero() && !now.Before(v.deleted):
		return ec2types.VolumeStateDeleting
	case now.Before(v.ready):
		return ec2types.VolumeStateCreating
	case v.failed:
		return ec2types.VolumeStateError
	case v.attachment(now) != nil:
		return ec2types.VolumeStateInUse
	}
	return ec2types.VolumeStateAvailable
}

func (v *volume) out(now time.Time) ec2types.Volume {
	o := ec2types.Volume{
		AvailabilityZone:   aws.String(v.zone),
		AvailabilityZoneId: aws.String(zoneID(v.zone)),
		CreateTime:         aws.Time(stamp(v.made)),
		Encrypted:          aws.Bool(v.encrypted),
		MultiAttachEnabled: aws.Bool(false),
		Size:               aws.Int32(v.size),
		SnapshotId:         aws.String(v.from),
		State:              v.state(now),
		Tags:               outTags(v.tags.at(now)),
		VolumeId:           aws.String(v.id),
		VolumeType:         v.kind,
	}
	if v.key != "" {
		o.KmsKeyId = aws.String(v.key)
	}
	if v.iops > 0 {
		o.Iops = aws.Int32(v.iops)
	}
	if v.throughput > 0 {
		o.Throughput = aws.Int32(v.throughput)
	}
	if a := v.attachment(now); a != nil {
		o.Attachments = []ec2types.VolumeAttachment{{
			AttachTime:          aws.Time(stamp(a.from)),
			DeleteOnTermination: aws.Bool(a.goes),
			Device:              aws.String(a.device),
			InstanceId:          aws.String(a.instance.id),
			State:               a.state(now),
			VolumeId:            aws.String(v.id),
		}}
	}
	return o
}

// match reports whether a filter lets the volume pass.
func (v *volume) match(f *filter, now time.Time) bool {
	if f.isTag() {
		return f.tags(v.tags.at(now))
	}
	switch f.name {
	case "volume-id":
		return f.match(v.id)
	case "snapshot-id":
		return f.match(v.from)
	case "status":
		return f.match(string(v.state(now)))
	case "availability-zone":
		return f.match(v.zone)
	case "availability-zone-id":
		return f.match(zoneID(v.zone))
	case "create-time":
		return f.match(wireTime(v.made))
	case "encrypted":
		return f.match(yesNo(v.encrypted))
	case "multi-attach-enabled", "fast-restored":
		return f.match("false")
	case "size":
		return f.match(number(v.size))
	case "volume-type":
		return f.match(string(v.kind))
	}
	a := v.attachment(now)
	if a == nil {
		return false
	}
	switch f.name {
	case "attachment.instance-id":
		return f.match(a.instance.id)
	case "attachment.device":
		return f.match(a.device)
	case "attachment.status":
		return f.match(string(a.state(now)))
	case "attachment.delete-on-termination":
		return f.match(yesNo(a.goes))
	case "attachment.attach-time":
		return f.match(wireTime(a.from))
	}
	return false
}

var volumeFilters = known{rest: true, names: []string{"volume-id", "snapshot-id", "status", "availability-zone", "availability-zone-id", "create-time",
	"encrypted", "multi-attach-enabled", "fast-restored", "size", "volume-type", "attachment.instance-id", "attachment.device", "attachment.status",
	"attachment.delete-on-termination", "attachment.attach-time"}}
