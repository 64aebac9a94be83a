package ebs

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
)

// The tags that every copy carries, beside those of package backup, TagVolume and, for a member of a set, those of the set. EC2 gives a copy a
// volume id that means nothing and a start time of its own; with the tags its lineage is known: backup.TagSource is that of the first
// snapshot, backup.TagCreated the time of the data.
const (
	// TagCopyOf holds the Ref of the snapshot that was copied.
	TagCopyOf = "snapwarden:copy-of"
	// TagOrigin holds the Ref of the recovery point that a chain of copies began with: a snapshot or a set.
	TagOrigin = "snapwarden:origin"
	// TagRegion holds the Region that a copy was made in. Tags that somebody else's copy took along to another Region prove nothing there.
	TagRegion = "snapwarden:region"
)

// dummyVolume reports whether a volume id is one of those that copies have. Source: EBS user guide, "Copy an Amazon EBS snapshot".
func dummyVolume(id string) bool { return id == "vol-ffffffff" || id == "vol-ffff" }

// copied reports whether EC2 says that a snapshot is a copy, by anyone. The transfer type is set for copies only. Source: EC2 API, Snapshot.
func copied(x ec2types.Snapshot) bool {
	return x.TransferType != "" || dummyVolume(aws.ToString(x.VolumeId))
}

// isCopy reports whether a snapshot is a copy that this package made, as far as EC2 and the tags tell.
func isCopy(x ec2types.Snapshot, tags map[string]string) bool {
	return copied(x) && tags[TagCopyOf] != "" && tags[TagVolume] != ""
}

// volumeOf is the volume that a snapshot was taken of: for a copy that of the first snapshot, as its tag tells.
func volumeOf(x ec2types.Snapshot, tags map[string]string) string {
	if isCopy(x, tags) {
		return tags[TagVolume]
	}
	return aws.ToString(x.VolumeId)
}

// copyMade tells whether tags prove that a copy in the Region of place was made by the Operation with the given ID.
func copyMade(place backup.Ref, operationID string, x ec2types.Snapshot) bool {
	tags := tagMap(x.Tags)
	from, ok := parseSource(tags[TagCopyOf])
	if !ok || from.Type != TypeSnapshot || from.Account != place.Account || !isCopy(x, tags) {
		return false
	}
	return tags[backup.TagToken] == operationID && tags[TagRegion] == place.Region && (tags[TagSet] == "" || strings.HasPrefix(tags[TagSet], setPrefix(operationID)))
}

// lineage gives what a copy of x carries on: the source, the time of the data, and the recovery point that the chain began with. point is what
// is copied.
func lineage(point backup.Ref, x ec2types.Snapshot) (source backup.Ref, volume string, data time.Time, origin string) {
	tags := tagMap(x.Tags)
	volume, data, origin = volumeOf(x, tags), created(tags, x), point.Tag()
	first, known := parseSource(tags[backup.TagSource])
	first.Account = point.Account
	if isCopy(x, tags) {
		// Whoever made it, a copy has the data of what it is a copy of, and so the tags that went along are true of it.
		if known && tags[TagOrigin] != "" {
			origin = tags[TagOrigin]
		}
	} else {
		known = known && made(first, tags[backup.TagToken], x)
	}
	switch {
	case known && (point.Type == TypeSet || first.Type != TypeInstance):
		source = first
	case known:
		// A member of a set that is copied alone is a snapshot of its volume.
		source = Volume(point.Account, first.Region, volume)
	case dummyVolume(volume) || volume == "":
		source = Snapshot(point.Account, point.Region, aws.ToString(x.SnapshotId))
	default:
		source = Volume(point.Account, point.Region, volume)
	}
	return source, volume, data, origin
}

// uniqueCopies leaves one copy of each volume in a set of copies: two of the same snapshot hold the same data, and the second is only in the
// way. The best is kept: the completed one, the older one.
func uniqueCopies(xs []ec2types.Snapshot) []ec2types.Snapshot {
	rank := func(x ec2types.Snapshot) int {
		return slices.Index([]backup.Status{backup.StatusAvailable, backup.StatusPending, backup.StatusFailed, backup.StatusDeleting}, status(x))
	}
	sorted := slices.Clone(xs)
	slices.SortStableFunc(sorted, func(a, b ec2types.Snapshot) int {
		return cmp.Or(rank(a)-rank(b), aws.ToTime(a.StartTime).Compare(aws.ToTime(b.StartTime)), strings.Compare(aws.ToString(a.SnapshotId), aws.ToString(b.SnapshotId)))
	})
	seen := map[string]bool{}
	return slices.DeleteFunc(sorted, func(x ec2types.Snapshot) bool {
		tags := tagMap(x.Tags)
		if !isCopy(x, tags) {
			return false
		}
		again := seen[tags[TagCopyOf]]
		seen[tags[TagCopyOf]] = true
		return again
	})
}
