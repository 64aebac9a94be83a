package ebs

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
)

// pageSize is EC2's largest page. Asking for pages also draws from the larger of EC2's two token buckets for lists.
const pageSize = 1000

// maxFilterValues is the most values of one filter. Source: EC2 user guide, "List and filter using the CLI and API".
const maxFilterValues = 200

// clockSkew is how much this machine's clock and EC2's may differ without harm.
const clockSkew = 5 * time.Minute

// literal makes a filter value that matches only itself.
var literal = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

func filter(name string, values ...string) ec2types.Filter {
	escaped := make([]string, len(values))
	for i, v := range values {
		escaped[i] = literal.Replace(v)
	}
	return ec2types.Filter{Name: &name, Values: escaped}
}

// pages yields the account's own snapshots that match, page by page. Snapshots are found by filters and never by the SnapshotIds parameter,
// which fails as a whole if one of them is not visible yet.
func snapshots(ctx context.Context, c *awsec2.Client, r backup.Ref, filters ...ec2types.Filter) iter.Seq2[ec2types.Snapshot, error] {
	return func(yield func(ec2types.Snapshot, error) bool) {
		in := &awsec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, MaxResults: aws.Int32(pageSize),
			Filters: append(slices.Clip(filters), filter("owner-id", r.Account))}
		for {
			out, err := c.DescribeSnapshots(ctx, in)
			if err != nil {
				yield(ec2types.Snapshot{}, table.Wrap(Kind, "DescribeSnapshots", r, err))
				return
			}
			for _, s := range out.Snapshots {
				if !yield(s, nil) {
					return
				}
			}
			if aws.ToString(out.NextToken) == "" {
				return
			}
			in.NextToken = out.NextToken
		}
	}
}

func collect(seq iter.Seq2[ec2types.Snapshot, error]) ([]ec2types.Snapshot, error) {
	var all []ec2types.Snapshot
	for s, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// byID gives the snapshots with the given ids as far as they are visible.
func (s *Strategy) byID(ctx context.Context, c *awsec2.Client, r backup.Ref, ids []string) (map[string]ec2types.Snapshot, error) {
	found := make(map[string]ec2types.Snapshot, len(ids))
	for part := range slices.Chunk(ids, maxFilterValues) {
		all, err := collect(snapshots(ctx, c, r, filter("snapshot-id", part...)))
		if err != nil {
			return nil, err
		}
		for _, x := range all {
			found[aws.ToString(x.SnapshotId)] = x
		}
	}
	return found, nil
}

// look gives all snapshots that carry the Operation's token.
func (s *Strategy) look(ctx context.Context, c *awsec2.Client, op backup.Operation) ([]ec2types.Snapshot, error) {
	return collect(snapshots(ctx, c, op.Ref, filter("tag:"+backup.TagToken, op.ID)))
}

// adopt takes over what an earlier send made, if it is there, whole and provably ours. With short it also takes what is not whole. Whatever
// else carries the token is listed, so that nothing is orphaned.
func (s *Strategy) adopt(op backup.Operation, st backupState, found []ec2types.Snapshot, short bool) (backup.Operation, bool, error) {
	groups := map[string][]ec2types.Snapshot{}
	for _, x := range found {
		if !made(op.Ref, op.ID, x) {
			continue
		}
		if !op.Unstored && x.StartTime != nil && x.StartTime.Before(op.Started.Add(-clockSkew)) {
			s.surplus(&op, backupState{}, found)
			op.Fail(failure(op, "adopt", backup.ErrConflict, "look at what is listed in Points, check this machine's clock, and start the work with another token",
				"snapshot %s carries this operation's token but is older than the operation", aws.ToString(x.SnapshotId)))
			return op, true, nil
		}
		// Snapshots of a volume are adopted one by one; those of an instance as the set of one send.
		id := aws.ToString(x.SnapshotId)
		if op.Ref.Type == TypeInstance {
			id = tagMap(x.Tags)[TagSet]
		}
		groups[id] = append(groups[id], x)
	}
	best, bestWhole, bestStart := "", false, time.Time{}
	for id, members := range groups {
		w, began := whole(st.Volumes, members), start(members)
		switch {
		case !w && !short, bestWhole && !w:
		case best == "", w && !bestWhole, began.Before(bestStart), began.Equal(bestStart) && id < best:
			best, bestWhole, bestStart = id, w, began
		}
	}
	if best == "" {
		return op, false, nil
	}
	taken := map[string]string{}
	for _, x := range groups[best] {
		if _, ok := taken[*x.VolumeId]; ok {
			// One send was delivered twice with one intent: which members are of one moment can not be told.
			s.surplus(&op, backupState{}, found)
			op.Fail(failure(op, "adopt", backup.ErrConflict, "delete what is listed in Points and back up again with another token; raise Attempt when an engine delivers an operation again",
				"the set %s was made twice", best))
			return op, true, nil
		}
		taken[*x.VolumeId] = aws.ToString(x.SnapshotId)
	}
	if op.Ref.Type == TypeInstance {
		st.Set = best
	}
	next, err := s.made(op, st, taken)
	return next, err == nil, err
}

// made tells whether tags and source prove that the Operation with the given ID and source made a snapshot. A snapshot whose tags were copied,
// from a restored volume or from another snapshot, was not: its volume or its set do not fit.
func made(source backup.Ref, operationID string, x ec2types.Snapshot) bool {
	tags := tagMap(x.Tags)
	if tags[backup.TagToken] != operationID || tags[backup.TagSource] != source.Tag() || x.VolumeId == nil || dummyVolume(*x.VolumeId) {
		return false
	}
	if source.Type == TypeInstance {
		return strings.HasPrefix(tags[TagSet], setPrefix(operationID))
	}
	return tags[TagSet] == "" && source.Type == TypeVolume && *x.VolumeId == source.ID
}

// whole tells whether there is a member of each volume.
func whole(volumes []string, members []ec2types.Snapshot) bool {
	have := map[string]bool{}
	for _, x := range members {
		have[*x.VolumeId] = true
	}
	for _, v := range volumes {
		if !have[v] {
			return false
		}
	}
	return true
}

// start is the earliest start of the members.
func start(members []ec2types.Snapshot) (t time.Time) {
	for _, x := range members {
		if b := aws.ToTime(x.StartTime); t.IsZero() || b.Before(t) {
			t = b
		}
	}
	return t
}

// surplus lists what carries the Operation's token and is not part of its recovery point, sets as sets.
func (s *Strategy) surplus(op *backup.Operation, st backupState, found []ec2types.Snapshot) {
	own := map[string]bool{}
	for _, id := range st.ids() {
		own[id] = true
	}
	for _, x := range found {
		id := aws.ToString(x.SnapshotId)
		tags := tagMap(x.Tags)
		if own[id] || tags[backup.TagToken] != op.ID || tags[backup.TagSource] != op.Ref.Tag() {
			continue
		}
		r := Snapshot(op.Ref.Account, op.Ref.Region, id)
		if set := tags[TagSet]; strings.HasPrefix(set, setPrefix(op.ID)) && set != st.Set {
			r = Set(op.Ref.Account, op.Ref.Region, set)
		}
		op.AddPoint(r)
		op.Find(backup.Finding{ID: "ebs.surplus", Severity: backup.SeverityWarning, Ref: r,
			Message: fmt.Sprintf("%s was made for the same work beside the recovery point", r.ID), Remedy: "delete it"})
	}
}

// settle looks for the result of a create call that was perhaps sent, until it is found or the window has passed.
func (s *Strategy) settle(ctx context.Context, c *awsec2.Client, op backup.Operation, st backupState) (backup.Operation, error) {
	found, err := s.look(ctx, c, op)
	if err != nil {
		return op, err
	}
	// The window is over when its time is, and when as many looks were made as it takes at their longest distance: a clock that is set
	// forward must not cut it short.
	st.Looks++
	over := time.Since(op.Since) >= s.opts.Settle && st.Looks > int(s.opts.Settle/s.opts.PollMax)
	if next, ok, err := s.adopt(op, st, found, over); ok || err != nil {
		return next, err
	}
	if !over {
		op.PollIn(min(max(time.Since(op.Since)/20, s.opts.PollMin), s.opts.PollMax))
		return op, op.SetState(st)
	}
	if op.Canceling {
		op.To(stageStop, "")
		return op, nil
	}
	// Nothing was made. What is attached may have changed meanwhile: the plan is made again.
	op.To(stageDescribe, "")
	return op, nil
}
