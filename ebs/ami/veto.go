package ami

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
)

// stays says why a snapshot of the image is not deleted with it, or nothing. user is another image that uses it.
func (st deleteState) stays(op backup.Operation, x ec2types.Snapshot, user string) string {
	tags := tagMap(x.Tags)
	switch token := tags[backup.TagToken]; {
	case user != "":
		return "image " + user + " uses it too"
	case token == st.Token && (tags[backup.TagOwner] == op.Owner || st.Options.AllowForeign):
		return ""
	case token != "":
		// Also with AllowForeign: it is a backup of its own, and the image was only registered from it.
		return "it was not made with the image, but for other work"
	case st.Options.AllowForeign:
		return ""
	}
	return "it was not made with the image"
}

// vetoes says why an image must not be deregistered because of a snapshot that is to go with it: what is locked or has fast snapshot restore on EC2
// does not delete, and then an image would be gone of which all data is kept. unseen are snapshots that are not visible, of which nothing can be said.
// Where EC2 knows no locks or no fast restores, as in a Region that does not have them yet, there are none.
func (s *Strategy) vetoes(ctx context.Context, c *awsec2.Client, op backup.Operation, st deleteState) (refused error, unseen []string, err error) {
	if st.Options.KeepSnapshots || len(st.Snapshots) == 0 {
		return nil, nil, nil
	}
	found, err := snapshots(ctx, c, op.Ref, st.Snapshots)
	if err != nil {
		return nil, nil, err
	}
	users, err := s.users(ctx, c, op.Ref, st.Snapshots)
	if err != nil {
		return nil, nil, err
	}
	var ids []string
	for _, id := range st.Snapshots {
		if x, ok := found[id]; !ok {
			unseen = append(unseen, id)
		} else if st.stays(op, x, users[id]) == "" {
			ids = append(ids, id)
		}
	}
	locks, err := locks(ctx, c, op.Ref, ids)
	if err != nil && backup.CodeOf(err) != backup.ErrUnsupported {
		return nil, nil, err
	}
	fast, err := fastRestores(ctx, c, op.Ref, ids)
	if err != nil && backup.CodeOf(err) != backup.ErrUnsupported {
		return nil, nil, err
	}
	for _, id := range ids {
		if l, ok := locks[id]; ok && l.LockState != ec2types.LockStateExpired {
			return failure(op, "delete", backup.ErrConflict, "wait until the lock ends, or set DeleteOptions.KeepSnapshots to deregister the image only",
				"snapshot %s of the image is locked (%s) until %s", id, l.LockState, aws.ToTime(l.LockExpiresOn).UTC().Format(time.RFC3339)), unseen, nil
		}
		if len(fast[id]) > 0 {
			return failure(op, "delete", backup.ErrConflict, "disable fast snapshot restore first, and wait until it is off, or set DeleteOptions.KeepSnapshots to deregister the image only",
				"snapshot %s of the image has fast snapshot restore in %s", id, strings.Join(fast[id], ", ")), unseen, nil
		}
	}
	return nil, unseen, nil
}

// locks gives the locks of snapshots, ended ones included. All of the ids must be visible.
func locks(ctx context.Context, c *awsec2.Client, r backup.Ref, ids []string) (map[string]ec2types.LockedSnapshotsInfo, error) {
	found := map[string]ec2types.LockedSnapshotsInfo{}
	for part := range slices.Chunk(ids, maxFilterValues) {
		in := &awsec2.DescribeLockedSnapshotsInput{SnapshotIds: part}
		for {
			out, err := c.DescribeLockedSnapshots(ctx, in)
			if err != nil {
				err = table.Wrap(Kind, "DescribeLockedSnapshots", r, err)
				if backup.CodeOf(err) == backup.ErrNotFound {
					// Another call saw them a moment ago: to look again will tell.
					err = &backup.Error{Op: "DescribeLockedSnapshots", Kind: Kind, Ref: r, Code: backup.ErrUnavailable, Err: err, Hint: "it is looked at again"}
				}
				return nil, err
			}
			for _, l := range out.Snapshots {
				found[aws.ToString(l.SnapshotId)] = l
			}
			if aws.ToString(out.NextToken) == "" {
				break
			}
			in = &awsec2.DescribeLockedSnapshotsInput{NextToken: out.NextToken}
		}
	}
	return found, nil
}

// fastRestores gives the zones in which fast snapshot restore is on for each of the snapshots, or not quite off.
func fastRestores(ctx context.Context, c *awsec2.Client, r backup.Ref, ids []string) (map[string][]string, error) {
	zones := map[string][]string{}
	for part := range slices.Chunk(ids, maxFilterValues) {
		in := &awsec2.DescribeFastSnapshotRestoresInput{MaxResults: aws.Int32(maxFilterValues), Filters: []ec2types.Filter{filter("snapshot-id", part...)}}
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
