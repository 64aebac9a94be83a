package ebs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
)

// tierVetoes gives what should be known of a move before it is made, and why it must not be made.
func (s *Strategy) tierVetoes(ctx context.Context, c *awsec2.Client, op backup.Operation, st tierState, members []ec2types.Snapshot) (found []backup.Finding, refused, err error) {
	for _, x := range members {
		if refused := s.mayChange(op, st.AllowForeign, x); refused != nil {
			return nil, refused, nil
		}
		if x.State != ec2types.SnapshotStateCompleted {
			return nil, failure(op, string(op.Action), backup.ErrConflict, "wait until it is completed, and start with another token", "snapshot %s is %s", aws.ToString(x.SnapshotId), x.State), nil
		}
	}
	if op.Action == ActionUnarchive {
		found, err := s.unarchiveFindings(ctx, c, op, st, members)
		return found, nil, err
	}
	var ids []string
	size := int64(0)
	for _, x := range members {
		id := aws.ToString(x.SnapshotId)
		if x.RestoreExpiryTime != nil {
			return nil, failure(op, "archive", backup.ErrConflict, "wait for it", "snapshot %s was brought back for some days and goes back by itself at %s", id, x.RestoreExpiryTime.UTC().Format(time.RFC3339)), nil
		}
		if x.StorageTier != ec2types.StorageTierArchive {
			ids = append(ids, id)
			size += aws.ToInt64(x.FullSnapshotSizeInBytes)
		}
	}
	users, err := usingImages(ctx, c, op.Ref, ids)
	if err != nil {
		return nil, nil, err
	}
	fast, err := fastRestores(ctx, c, op.Ref, ids)
	if err != nil {
		return nil, nil, err
	}
	for _, id := range ids {
		for _, m := range users[id] {
			if m.State != ec2types.ImageStateDisabled {
				return nil, failure(op, "archive", backup.ErrConflict, "disable the image, or deregister it", "image %s, which is %s, uses snapshot %s", aws.ToString(m.ImageId), m.State, id), nil
			}
		}
		if len(fast[id]) > 0 {
			return nil, failure(op, "archive", backup.ErrConflict, "disable fast snapshot restore if it is not wanted any more", "snapshot %s has fast snapshot restore in %s", id, strings.Join(fast[id], ", ")), nil
		}
	}
	if !st.AllowLast {
		last, err := s.lastOnes(ctx, c, op, members)
		if err != nil {
			return nil, nil, err
		}
		if len(last) > 0 {
			return nil, failure(op, "archive", backup.ErrConflict, "back up again first, or set ArchiveOptions.AllowLast", "no other snapshot of %s could be restored at once", strings.Join(last, ", ")), nil
		}
	}
	if len(ids) > 0 {
		found = append(found,
			backup.Finding{ID: "ebs.archive-90-days", Severity: backup.SeverityInfo, Ref: op.Ref, Message: "an archived snapshot is paid for at least 90 days, and takes up to 72 hours to be used again",
				Remedy: "archive what is kept for long and rarely needed"},
			backup.Finding{ID: "ebs.archive-full", Severity: backup.SeverityInfo, Ref: op.Ref,
				Message: fmt.Sprintf("in the archive the snapshots are whole and not incremental: %.1f GiB in all", float64(size)/gib), Remedy: "compare with what the incremental ones cost"})
	}
	return found, nil, nil
}

// lastOnes gives the volumes of which no snapshot would be left in the Region that can be restored at once, of those that members are made of.
func (s *Strategy) lastOnes(ctx context.Context, c *awsec2.Client, op backup.Operation, members []ec2types.Snapshot) ([]string, error) {
	moved := map[string]bool{}
	var plain, copies []string
	for _, x := range members {
		moved[aws.ToString(x.SnapshotId)] = true
		if tags := tagMap(x.Tags); isCopy(x, tags) {
			copies = append(copies, tags[TagVolume])
		} else {
			plain = append(plain, aws.ToString(x.VolumeId))
		}
	}
	var others []ec2types.Snapshot
	var ids []string
	for name, volumes := range map[string][]string{"volume-id": plain, "tag:" + TagVolume: copies} {
		for part := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(volumes))), maxFilterValues) {
			all, err := collect(snapshots(ctx, c, op.Ref, filter(name, part...)))
			if err != nil {
				return nil, err
			}
			for _, x := range all {
				if !moved[aws.ToString(x.SnapshotId)] && x.State == ec2types.SnapshotStateCompleted && x.StorageTier != ec2types.StorageTierArchive && x.RestoreExpiryTime == nil {
					others, ids = append(others, x), append(ids, aws.ToString(x.SnapshotId))
				}
			}
		}
	}
	status, err := tierStatus(ctx, c, op.Ref, ids)
	if err != nil {
		return nil, err
	}
	left := map[string]bool{}
	for _, x := range others {
		if !tierBusy(status[aws.ToString(x.SnapshotId)]) { // while it goes to the archive it is still said to be where it was
			left[volumeOf(x, tagMap(x.Tags))] = true
		}
	}
	var last []string
	for _, v := range slices.Compact(slices.Sorted(slices.Values(append(plain, copies...)))) {
		if !left[v] {
			last = append(last, v)
		}
	}
	return last, nil
}

// unarchiveFindings says what a restore from the archive costs.
func (s *Strategy) unarchiveFindings(ctx context.Context, c *awsec2.Client, op backup.Operation, st tierState, members []ec2types.Snapshot) ([]backup.Finding, error) {
	var ids []string
	for _, x := range members {
		ids = append(ids, aws.ToString(x.SnapshotId))
	}
	status, err := tierStatus(ctx, c, op.Ref, ids)
	if err != nil {
		return nil, err
	}
	archived, early := 0, 0
	for _, x := range status {
		if x.StorageTier == ec2types.StorageTierArchive {
			archived++
		}
		if st.Days == 0 && x.ArchivalCompleteTime != nil && time.Since(*x.ArchivalCompleteTime) < minArchived {
			early++
		}
	}
	var found []backup.Finding
	if early > 0 {
		found = append(found, backup.Finding{ID: "ebs.archive-90-days", Severity: backup.SeverityWarning, Ref: op.Ref,
			Message: fmt.Sprintf("%d snapshots were archived for less than 90 days, which are paid for to the end", early), Remedy: "bring them back for some days instead"})
	}
	if archived > 0 {
		found = append(found, backup.Finding{ID: "ebs.archive-72-hours", Severity: backup.SeverityInfo, Ref: op.Ref,
			Message: fmt.Sprintf("%d snapshots are in the archive; it takes up to 72 hours until they can be used", archived)})
	}
	return found, nil
}
