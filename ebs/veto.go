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
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// usingImages gives the images of the account that are made of each of the snapshots: registered ones, deprecated and disabled ones included.
func usingImages(ctx context.Context, c *awsec2.Client, r backup.Ref, ids []string) (map[string][]ec2types.Image, error) {
	users := map[string][]ec2types.Image{}
	for part := range slices.Chunk(ids, maxFilterValues) {
		in := &awsec2.DescribeImagesInput{Owners: []string{"self"}, IncludeDisabled: aws.Bool(true), IncludeDeprecated: aws.Bool(true), MaxResults: aws.Int32(pageSize),
			Filters: []ec2types.Filter{filter("block-device-mapping.snapshot-id", part...)}}
		for {
			out, err := c.DescribeImages(ctx, in)
			if err != nil {
				return nil, table.Wrap(Kind, "DescribeImages", r, err)
			}
			for _, m := range out.Images {
				for _, b := range m.BlockDeviceMappings {
					if b.Ebs != nil && b.Ebs.SnapshotId != nil {
						users[*b.Ebs.SnapshotId] = append(users[*b.Ebs.SnapshotId], m)
					}
				}
			}
			if aws.ToString(out.NextToken) == "" {
				break
			}
			in.NextToken = out.NextToken
		}
	}
	return users, nil
}

// fastRestores gives the zones in which fast snapshot restore is on for each of the snapshots, or not quite off.
func fastRestores(ctx context.Context, c *awsec2.Client, r backup.Ref, ids []string) (map[string][]string, error) {
	zones := map[string][]string{}
	for part := range slices.Chunk(ids, maxFilterValues) {
		in := &awsec2.DescribeFastSnapshotRestoresInput{MaxResults: aws.Int32(200), Filters: []ec2types.Filter{filter("snapshot-id", part...)}}
		for {
			out, err := c.DescribeFastSnapshotRestores(ctx, in)
			if err != nil {
				return nil, table.Wrap(Kind, "DescribeFastSnapshotRestores", r, err)
			}
			for _, f := range out.FastSnapshotRestores {
				if f.State != ec2types.FastSnapshotRestoreStateCodeDisabled {
					id := aws.ToString(f.SnapshotId)
					zones[id] = append(zones[id], aws.ToString(f.AvailabilityZone)+" ("+string(f.State)+")")
				}
			}
			if aws.ToString(out.NextToken) == "" {
				break
			}
			in.NextToken = out.NextToken
		}
	}
	return zones, nil
}

// deleteVetoes says why snapshots, which must be visible, are not to be deleted: locks, images that are made of them, fast restores. EC2 refuses
// most of that by itself; it is looked at before the first of a set is deleted, so that no set is left short. Where EC2 knows no locks or no fast
// restores, as in a Region that does not have them yet, there are none.
func (s *Strategy) deleteVetoes(ctx context.Context, c *awsec2.Client, op backup.Operation, ids []string) (refused []error, err error) {
	locks, err := snapshotLocks(ctx, c, op.Ref, ids)
	if err != nil && backup.CodeOf(err) != backup.ErrUnsupported {
		return nil, err
	}
	users, err := usingImages(ctx, c, op.Ref, ids)
	if err != nil {
		return nil, err
	}
	fast, err := fastRestores(ctx, c, op.Ref, ids)
	if err != nil && backup.CodeOf(err) != backup.ErrUnsupported {
		return nil, err
	}
	no := func(hint, format string, args ...any) {
		refused = append(refused, failure(op, "delete", backup.ErrConflict, hint, format, args...))
	}
	for _, id := range ids {
		if l := locks[id]; lockHolds(l) {
			hint := "wait until the lock ends"
			if l.LockState == ec2types.LockStateGovernance || l.LockState == ec2types.LockStateComplianceCooloff {
				hint += ", or have it unlocked by whoever may"
			}
			no(hint, "snapshot %s is locked (%s) until %s", id, l.LockState, aws.ToTime(l.LockExpiresOn).UTC().Format(time.RFC3339))
		}
		for _, m := range users[id] {
			no("deregister the image first", "image %s, which is %s, is made of snapshot %s", aws.ToString(m.ImageId), m.State, id)
		}
		if len(fast[id]) > 0 {
			no("disable fast snapshot restore first, and wait until it is off", "snapshot %s has fast snapshot restore in %s", id, strings.Join(fast[id], ", "))
		}
	}
	return refused, nil
}

// maxBinPages is how many pages of the Recycle Bin are read for a word about what was deleted.
const maxBinPages = 10

// binFindings tells which deleted snapshots lie in the Recycle Bin, by a rule of the account's: they can be got back, and still cost. Whoever may not look
// there is told nothing, for the deletion is done.
func (s *Strategy) binFindings(ctx context.Context, c *awsec2.Client, op *backup.Operation, ids []string) error {
	in := &awsec2.ListSnapshotsInRecycleBinInput{MaxResults: aws.Int32(pageSize)}
	kept, until := 0, time.Time{}
	for range maxBinPages {
		out, err := c.ListSnapshotsInRecycleBin(ctx, in)
		if err != nil {
			if table.Classify(err).Class == awscall.Permanent {
				return nil
			}
			return table.Wrap(Kind, "ListSnapshotsInRecycleBin", op.Ref, err)
		}
		for _, x := range out.Snapshots {
			if slices.Contains(ids, aws.ToString(x.SnapshotId)) {
				kept++
				if t := aws.ToTime(x.RecycleBinExitTime); t.After(until) {
					until = t
				}
			}
		}
		if aws.ToString(out.NextToken) == "" {
			break
		}
		in.NextToken = out.NextToken
	}
	if kept > 0 {
		op.Find(backup.Finding{ID: "ebs.recycle-bin", Severity: backup.SeverityInfo, Ref: op.Ref,
			Message: fmt.Sprintf("%d of the deleted snapshots lie in the Recycle Bin until %s, and are paid for", kept, until.UTC().Format(time.RFC3339)),
			Remedy:  "they can be recovered from there; a retention rule of the account keeps them"})
	}
	return nil
}
