package ebs

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
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
	planned := map[string]bool{}
	for _, v := range st.Volumes {
		planned[v] = true
	}
	groups := map[int][]ec2types.Snapshot{}
	for _, x := range found {
		tags := tagMap(x.Tags)
		if tags[backup.TagSource] != op.Ref.String() || x.VolumeId == nil {
			continue
		}
		if !op.Unstored && x.StartTime != nil && x.StartTime.Before(op.Started.Add(-clockSkew)) {
			op.Fail(failure(op, "adopt", backup.ErrConflict, "start the work with another token",
				"snapshot %s carries this operation's token but is older than the operation", aws.ToString(x.SnapshotId)))
			op.AddPoint(Snapshot(op.Ref.Account, op.Ref.Region, aws.ToString(x.SnapshotId)))
			return op, true, nil
		}
		generation := 1
		if op.Ref.Type == TypeInstance {
			n, err := strconv.Atoi(tags[TagSet][strings.LastIndexByte(tags[TagSet], '-')+1:])
			if err != nil || tags[TagSet] != setID(op, n) {
				continue
			}
			generation = n
		}
		groups[generation] = append(groups[generation], x)
	}
	best := 0
	for g, members := range groups {
		have := map[string]bool{}
		for _, x := range members {
			have[*x.VolumeId] = have[*x.VolumeId] || planned[*x.VolumeId]
		}
		whole := len(have) >= len(planned)
		for v := range planned {
			whole = whole && have[v]
		}
		if (whole || short) && (best == 0 || g < best) {
			best = g
		}
	}
	if best == 0 {
		return op, false, nil
	}
	members := groups[best]
	slices.SortFunc(members, func(a, b ec2types.Snapshot) int {
		return cmp.Or(aws.ToTime(a.StartTime).Compare(aws.ToTime(b.StartTime)), cmp.Compare(aws.ToString(a.SnapshotId), aws.ToString(b.SnapshotId)))
	})
	made := map[string]string{}
	for _, x := range members {
		if _, ok := made[*x.VolumeId]; !ok {
			made[*x.VolumeId] = aws.ToString(x.SnapshotId)
		}
	}
	st.Generation = best
	next, err := s.made(op, st, made)
	return next, err == nil, err
}

// surplus lists what carries the Operation's token and is not part of its recovery point.
func (s *Strategy) surplus(op *backup.Operation, st backupState, found []ec2types.Snapshot) {
	own := map[string]bool{}
	for _, id := range st.ids() {
		own[id] = true
	}
	for _, x := range found {
		id := aws.ToString(x.SnapshotId)
		if own[id] || tagMap(x.Tags)[backup.TagToken] != op.ID {
			continue
		}
		r := Snapshot(op.Ref.Account, op.Ref.Region, id)
		op.AddPoint(r)
		op.Find(backup.Finding{ID: "ebs.surplus", Severity: backup.SeverityWarning, Ref: r,
			Message: fmt.Sprintf("snapshot %s was made for the same work a second time", id), Remedy: "delete it"})
	}
}

// settle looks for the result of a create call that was perhaps sent, until it is found or the window has passed.
func (s *Strategy) settle(ctx context.Context, c *awsec2.Client, op backup.Operation, st backupState) (backup.Operation, error) {
	found, err := s.look(ctx, c, op)
	if err != nil {
		return op, err
	}
	over := time.Since(op.Since) >= s.opts.Settle
	if next, ok, err := s.adopt(op, st, found, over); ok || err != nil {
		return next, err
	}
	if !over {
		op.PollIn(min(max(time.Since(op.Since)/20, s.opts.PollMin), s.opts.PollMax, s.opts.Settle-time.Since(op.Since)))
		return op, nil
	}
	if op.Canceling {
		op.To(stageStop, "")
		return op, nil
	}
	// Nothing was made. What is attached may have changed meanwhile: the plan is made again.
	op.To(stageDescribe, "")
	return op, nil
}
