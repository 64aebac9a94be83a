package rds

import (
	"strings"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// The tags of a copy, beside those of package backup: TagSource holds the database that the data is of, wherever that is, and TagCreated the time of
// the data.
const (
	// TagCopy holds the Ref of the copy itself: tags that RDS copied on to another snapshot are known by it.
	TagCopy = "snapwarden:copy"
	// TagCopyOf holds the Ref of the snapshot that was copied.
	TagCopyOf = "snapwarden:copy-of"
	// TagOrigin holds the Ref of the snapshot that a chain of copies began with.
	TagOrigin = "snapwarden:origin"
)

// copyTagCount is how many tags a copy has beside those of every snapshot.
const copyTagCount = 3

// ownCopy tells whether the tags of a snapshot, which is in the place of r, say that this library made it as a copy.
func ownCopy(r backup.Ref, x *snap) bool {
	return tagMap(x.tags)[TagCopy] == pointOf(r, x).Tag()
}

// pointOf names a snapshot that was found in the place of r.
func pointOf(r backup.Ref, x *snap) backup.Ref {
	if x.cluster {
		return ClusterSnapshot(r.Account, r.Region, x.id)
	}
	return Snapshot(r.Account, r.Region, x.id)
}

// sourceOf names the database that the data of a snapshot is of. That of a copy from another Region is there, and not where the copy is.
func sourceOf(r backup.Ref, x *snap) backup.Ref {
	source := databaseAt(pointOf(r, x), policy.CanonicalName(x.of))
	if ownCopy(r, x) {
		// What is not known of the Ref in the tag is its Region only.
		rest, _ := strings.CutPrefix(tagMap(x.tags)[backup.TagSource], source.Type+":"+source.Account+":")
		if region, ok := strings.CutSuffix(rest, ":"+source.ID); ok && policy.ValidateRegion(region) == nil {
			source.Region = region
		}
		return source
	}
	if a, err := policy.ParseARN(x.origin); err == nil && a.Account == r.Account {
		source.Region = a.Region
	}
	return source
}

// takenAt is the time of the data. RDS tells it of copies of instances' snapshots, and the tags of those of clusters that this library made.
func takenAt(r backup.Ref, x *snap) time.Time {
	if x.cluster && ownCopy(r, x) {
		if at, err := time.Parse(time.RFC3339Nano, tagMap(x.tags)[backup.TagCreated]); err == nil {
			return at
		}
	}
	return x.taken
}

// copyTags are those of the copy of a snapshot: the snapshot's own, if they are wanted, below those of the Operation.
func (st copyState) copyTags(op backup.Operation, x *snap) map[string]string {
	m := map[string]string{}
	theirs := tagMap(x.tags)
	if !st.NoTags {
		for k, v := range theirs {
			if !strings.HasPrefix(strings.ToLower(k), "aws:") && !strings.HasPrefix(k, backup.TagPrefix) {
				m[k] = v
			}
		}
	}
	for k, v := range op.OwnTags(sourceOf(op.Ref, x)) {
		m[k] = v
	}
	m[backup.TagCreated] = takenAt(op.Ref, x).UTC().Format(time.RFC3339Nano)
	m[TagCopy], m[TagCopyOf], m[TagOrigin] = st.target(op.Ref).Tag(), op.Ref.Tag(), op.Ref.Tag()
	if ownCopy(op.Ref, x) && theirs[TagOrigin] != "" {
		m[TagOrigin] = theirs[TagOrigin]
	}
	return m
}
