package ec2sim

import (
	"slices"
	"strconv"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// snapshot is an EBS snapshot.
type snapshot struct {
	resource
	volume      string
	size        int32
	description string
	encrypted   bool
	key         string
	// start is the point in time that AWS names, common to a set.
	start time.Time
	// ready is the instant at which it is completed or, if failed, in error.
	ready  time.Time
	failed string
	// origin is nil for a snapshot that is no copy; copies counts the copies that were made of this one.
	origin *origin
	copies int
	// tiers are the moves to the archive tier and back, oldest first.
	tiers []tiering
	// locks are the locks that it had, oldest first; restores the zones that fast restores were ever on in.
	locks    []lock
	restores []fastRestore
	// binned is until when it lies in the Recycle Bin, once it is gone; zero for not at all.
	binned time.Time
	// set numbers the CreateSnapshots call that made it, empty for a snapshot that was made alone.
	set string
	// deleted is the instant of the request to delete it; it is gone from then on or, if it was pending, when it is no more.
	deleted time.Time
	// shared is the accounts in createVolumePermission; "all" is everybody.
	shared []string
}

// everybody is the group of createVolumePermission that makes a snapshot public.
const everybody = "all"

// open reports whether an account may see the snapshot and make volumes of it.
func (p *snapshot) open(account string) bool {
	return p.owner == account || slices.Contains(p.shared, account) || slices.Contains(p.shared, everybody)
}

func (p *snapshot) state(now time.Time) ec2types.SnapshotState {
	switch {
	case now.Before(p.ready):
		return ec2types.SnapshotStatePending
	case p.failed != "":
		return ec2types.SnapshotStateError
	}
	return ec2types.SnapshotStateCompleted
}

// progress is how far a snapshot is, as AWS writes it: evenly from 0% to 99% while it is pending, and 100% in the end.
func (p *snapshot) progress(now time.Time) string {
	switch {
	case !now.Before(p.ready) && p.failed == "":
		return "100%"
	case !now.Before(p.ready):
		return "0%"
	}
	part := float64(now.Sub(p.made)) / float64(p.ready.Sub(p.made))
	return strconv.Itoa(min(max(int(part*100), 0), 99)) + "%"
}

// stamp is an instant as AWS gives it: in UTC, to the millisecond. It may therefore lie up to a millisecond before the call that it stands for.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// wireTime is an instant as filters compare it.
func wireTime(t time.Time) string { return stamp(t).Format("2006-01-02T15:04:05.000Z") }

func number(n int32) string { return strconv.Itoa(int(n)) }

// cells hold what the pointers of one answered snapshot point at, so that a page costs few allocations.
type cells struct {
	id, volume, owner, progress, description, key, message string
	start, done, until                                     time.Time
	size                                                   int32
	bytes                                                  int64
	encrypted                                              bool
}

// fill writes the snapshot as DescribeSnapshots answers it.
func (p *snapshot) fill(o *ec2types.Snapshot, c *cells, now time.Time) {
	*c = cells{id: p.id, volume: p.volume, owner: p.owner, progress: p.progress(now), description: p.description, start: stamp(p.start), size: p.size, encrypted: p.encrypted}
	*o = ec2types.Snapshot{Description: &c.description, Encrypted: &c.encrypted, OwnerId: &c.owner, Progress: &c.progress, SnapshotId: &c.id, StartTime: &c.start,
		State: p.state(now), StorageTier: ec2types.StorageTierStandard, Tags: outTags(p.tags.at(now)),
		VolumeId: &c.volume, VolumeSize: &c.size}
	if len(p.tiers) > 0 {
		var until time.Time
		if o.StorageTier, until = p.tier(now); !until.IsZero() {
			c.until = stamp(until)
			o.RestoreExpiryTime = &c.until
		}
	}
	if p.origin != nil {
		o.TransferType = ec2types.TransferTypeStandard
	}
	if p.key != "" {
		c.key = p.key
		o.KmsKeyId = &c.key
	}
	switch o.State {
	case ec2types.SnapshotStateCompleted:
		c.done, c.bytes = stamp(p.ready), p.bytes()
		o.CompletionTime, o.FullSnapshotSizeInBytes = &c.done, &c.bytes
	case ec2types.SnapshotStateError:
		c.message = p.failed
		o.StateMessage = &c.message
	}
}

// bytes is the full size: simulated volumes are half full.
func (p *snapshot) bytes() int64 { return int64(p.size) << 29 }

// match reports whether a filter lets the snapshot pass.
func (p *snapshot) match(f *filter, now time.Time) bool {
	if f.isTag() {
		return f.tags(p.tags.at(now))
	}
	switch f.name {
	case "snapshot-id":
		return f.match(p.id)
	case "volume-id":
		return f.match(p.volume)
	case "status":
		return f.match(string(p.state(now)))
	case "owner-id":
		return f.match(p.owner)
	case "start-time":
		return f.match(wireTime(p.start))
	case "description":
		return f.match(p.description)
	case "encrypted":
		return f.match(yesNo(p.encrypted))
	case "progress":
		return f.match(p.progress(now))
	case "storage-tier":
		t, _ := p.tier(now)
		return f.match(string(t))
	case "transfer-type":
		return p.origin != nil && f.match("standard")
	case "volume-size":
		return f.match(number(p.size))
	}
	return false
}

// snapshotFilters are all that AWS has; owner-alias never matches, because nothing here is Amazon's.
// Source: EC2 API, DescribeSnapshots, the Filters parameter.
var snapshotFilters = known{names: []string{"description", "encrypted", "owner-alias", "owner-id", "progress", "snapshot-id", "start-time", "status", "storage-tier",
	"transfer-type", "volume-id", "volume-size"}}
