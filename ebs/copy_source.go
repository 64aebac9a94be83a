package ebs

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
)

// copySource gives the members of the recovery point that is copied.
func (s *Strategy) copySource(ctx context.Context, op backup.Operation) ([]ec2types.Snapshot, error) {
	c, err := s.client(ctx, op.Ref)
	if err != nil {
		return nil, err
	}
	members, err := s.members(ctx, c, op.Ref)
	slices.SortFunc(members, func(a, b ec2types.Snapshot) int { return cmpID(a, b) })
	return members, err
}

// copyable gives the members that can be copied, in the order of their ids; none and no error where some are pending.
func copyable(op backup.Operation, st copyState, members []ec2types.Snapshot) ([]ec2types.Snapshot, error) {
	if len(members) == 0 {
		return nil, failure(op, "copy", backup.ErrNotFound, "check the id, the account and the Region; a snapshot that another account shares is copied with CopySnapshot itself", "no such recovery point")
	}
	p := single(op.Ref, members[0])
	if op.Ref.Type == TypeSet {
		p = setPoint(op.Ref, op.Ref.ID, members)
		members = uniqueCopies(members)
		slices.SortFunc(members, func(a, b ec2types.Snapshot) int { return cmpID(a, b) })
	}
	switch p.Status {
	case backup.StatusAvailable:
	case backup.StatusPartial:
		if !st.Options.AllowPartial {
			return nil, failure(op, "copy", backup.ErrUnsupported, "set CopyOptions.AllowPartial to copy what there is, or choose another recovery point", "the set is short of some members")
		}
	case backup.StatusPending:
		return nil, nil
	default:
		return nil, failure(op, "copy", backup.ErrUnsupported, "choose another recovery point", "the recovery point is %s", p.Status)
	}
	var good []ec2types.Snapshot
	for _, x := range members {
		if x.State != ec2types.SnapshotStateCompleted {
			continue
		}
		if refused := archived(op, "copy", x); refused != nil {
			return nil, refused
		}
		good = append(good, x)
	}
	return good, nil
}

// archived refuses a snapshot in the archive tier. Source: EBS user guide, "Archive Amazon EBS snapshots": it can be neither copied nor restored from.
func archived(op backup.Operation, what string, x ec2types.Snapshot) error {
	if x.StorageTier != ec2types.StorageTierArchive {
		return nil
	}
	return failure(op, what, backup.ErrUnsupported, "restore it from the archive tier first; that takes up to 72 hours", "snapshot %s is in the archive tier", aws.ToString(x.SnapshotId))
}

// copyTags are those of the copy of x, which is one of so many.
func (s *Strategy) copyTags(op backup.Operation, st copyState, members int, x ec2types.Snapshot) map[string]string {
	theirs := tagMap(x.Tags)
	source, volume, data, origin := lineage(op.Ref, x)
	m := map[string]string{}
	if !st.Options.NoTags {
		for k, v := range theirs {
			if !reserved(k) {
				m[k] = v
			}
		}
	}
	for k, v := range op.OwnTags(source) {
		m[k] = v
	}
	m[backup.TagCreated] = data.UTC().Format(time.RFC3339Nano)
	m[TagVolume], m[TagOrigin], m[TagRegion] = volume, origin, st.To.Region
	m[TagCopyOf] = Snapshot(op.Ref.Account, op.Ref.Region, aws.ToString(x.SnapshotId)).Tag()
	if st.Set != "" {
		m[TagSet], m[TagMembers] = st.Set, strconv.Itoa(max(st.Members, members))
	}
	if r := theirs[TagRoot]; r != "" && (st.Set != "" || r == volume) {
		m[TagRoot] = r
	}
	for i := 0; ; i++ {
		v, ok := theirs[devicesKey(i)]
		if !ok {
			break
		}
		if st.Set != "" {
			m[devicesKey(i)] = v
		}
	}
	if d := Devices(theirs)[volume]; d != "" && st.Set == "" {
		m[TagDevices] = volume + "=" + d
	}
	return m
}
