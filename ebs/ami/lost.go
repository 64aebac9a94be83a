package ami

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
)

// absent counts a look that did not find what must be there, and tells whether that is to be believed: when it was not seen for the settle window, in as many
// looks as that takes at their longest distance. Whoever sees it sets since back to zero, so that two lone misses far apart do not count as one long absence.
func (s *Strategy) absent(since *time.Time, looks *int) bool {
	if since.IsZero() {
		*since, *looks = time.Now().UTC().Round(0), 0
	}
	*looks++
	return time.Since(*since) >= s.opts.Settle && *looks > int(s.opts.Settle/s.opts.PollMax)
}

// unmade ends work that has asked EC2 for nothing, and never can or is not to any more. The same work was perhaps begun before, by a program without a Store
// that then crashed, so it is looked for once by its token: what is provably its image is waited for as if this run had made it.
func (s *Strategy) unmade(ctx context.Context, op backup.Operation, st makeState, why error) (backup.Operation, error) {
	c, err := s.client(ctx, st.place(op))
	if err != nil {
		return op, err
	}
	found, err := s.look(ctx, c, op, st)
	if err != nil {
		return op, err
	}
	if next, ok, err := s.adopt(op, st, found); ok || err != nil {
		return next, err
	}
	op.Fail(why)
	return op, nil
}

// vanished ends the work of which the image is gone. EC2 keeps the snapshots of an image that is deregistered, so they are listed beside it.
func (s *Strategy) vanished(ctx context.Context, c *awsec2.Client, op backup.Operation, st makeState) (backup.Operation, error) {
	place := st.place(op)
	left := map[string]ec2types.Snapshot{}
	if err := snapshotsBy(ctx, c, place, filter("tag:"+backup.TagToken, op.ID), left); err != nil {
		return op, err
	}
	// The tag that names what the image was made of, a copy's the image that was copied.
	key := backup.TagSource
	if op.Action == backup.ActionCopy {
		key = TagCopyOf
	}
	for _, id := range slices.Sorted(maps.Keys(left)) {
		x, tags := left[id], tagMap(left[id].Tags)
		v := aws.ToString(x.VolumeId)
		switch {
		case x.State == ec2types.SnapshotStateRecoverable || x.State == ec2types.SnapshotStateRecovering:
		case aws.ToString(x.OwnerId) != place.Account || tags[key] != op.Ref.Tag():
		case op.Action == backup.ActionBackup && (v == "vol-ffffffff" || v == "vol-ffff"):
			// Somebody's copy, which took the tags along: the volume of a copy is a dummy. Source: EBS user guide, "Copy an Amazon EBS snapshot".
		default:
			op.AddPoint(ebs.Snapshot(place.Account, place.Region, id))
		}
	}
	hint := "what is left of it are snapshots, listed in Points or tagged " + backup.TagToken + "=" + op.ID + ": where they are not needed, delete them with package ebs and its DeleteOptions.AllowForeign"
	if op.Canceling {
		op.Fail(failure(op, "cancel", backup.ErrCanceled, hint, "canceled; image %s is not there any more", st.Image))
		return op, nil
	}
	op.Fail(failure(op, string(op.Action), backup.ErrFailed, hint+"; then start the work again with another token", "image %s has disappeared: somebody else deregistered it", st.Image))
	return op, nil
}
