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

// tierStatus gives the newest move of each snapshot that was ever moved.
func tierStatus(ctx context.Context, c *awsec2.Client, r backup.Ref, ids []string) (map[string]ec2types.SnapshotTierStatus, error) {
	found := map[string]ec2types.SnapshotTierStatus{}
	for part := range slices.Chunk(ids, maxFilterValues) {
		in := &awsec2.DescribeSnapshotTierStatusInput{MaxResults: aws.Int32(pageSize), Filters: []ec2types.Filter{filter("snapshot-id", part...)}}
		for {
			out, err := c.DescribeSnapshotTierStatus(ctx, in)
			if err != nil {
				return nil, table.Wrap(Kind, "DescribeSnapshotTierStatus", r, err)
			}
			for _, x := range out.SnapshotTierStatuses {
				found[aws.ToString(x.SnapshotId)] = x
			}
			if aws.ToString(out.NextToken) == "" {
				break
			}
			in.NextToken = out.NextToken
		}
	}
	return found, nil
}

// tierDone reports whether a snapshot is where it is to go, and tierBusy whether it is being moved there.
func (st tierState) tierDone(op backup.Operation, x ec2types.Snapshot) bool {
	if op.Action == ActionArchive {
		return x.StorageTier == ec2types.StorageTierArchive
	}
	return x.StorageTier != ec2types.StorageTierArchive && (st.Days > 0 || x.RestoreExpiryTime == nil)
}

func tierBusy(x ec2types.SnapshotTierStatus) bool {
	return strings.HasSuffix(string(x.LastTieringOperationStatus), "-in-progress")
}

// tierFailed reports whether the newest move is one of the Operation's own that failed.
func tierFailed(op backup.Operation, x ec2types.SnapshotTierStatus) bool {
	archival := x.LastTieringOperationStatus == ec2types.TieringOperationStatusArchivalFailed
	return strings.HasSuffix(string(x.LastTieringOperationStatus), "-failed") && archival == (op.Action == ActionArchive) &&
		x.LastTieringStartTime != nil && !x.LastTieringStartTime.Before(op.Started.Add(-clockSkew))
}

// moveTier begins the moves that are not begun yet. All that could forbid a move is looked at again on fresh data: since the plan another move may have
// taken the only other snapshot of a volume. A second call for one snapshot moves it once.
func (s *Strategy) moveTier(ctx context.Context, c *awsec2.Client, op backup.Operation, st tierState) (backup.Operation, error) {
	found, err := s.byID(ctx, c, op.Ref, st.Snapshots)
	if err != nil {
		return op, err
	}
	status, err := tierStatus(ctx, c, op.Ref, st.Snapshots)
	if err != nil {
		return op, err
	}
	var members []ec2types.Snapshot
	var unmoved []string
	for _, id := range st.Snapshots {
		x, ok := found[id]
		if !ok {
			continue // what can not be seen is for watchTier to judge
		}
		members = append(members, x)
		if !st.tierDone(op, x) && !tierBusy(status[id]) && !tierFailed(op, status[id]) {
			unmoved = append(unmoved, id)
		}
	}
	if len(unmoved) > 0 {
		_, refused, err := s.tierVetoes(ctx, c, op, st, members)
		if err != nil {
			return op, err
		}
		if refused != nil {
			return s.refuseTier(op, st, refused)
		}
	}
	for _, id := range unmoved {
		if op.Action == ActionArchive {
			_, err = c.ModifySnapshotTier(ctx, &awsec2.ModifySnapshotTierInput{SnapshotId: &id, StorageTier: ec2types.TargetStorageTierArchive}, s.changing)
		} else {
			in := &awsec2.RestoreSnapshotTierInput{SnapshotId: &id}
			if st.Days > 0 {
				in.TemporaryRestoreDays = &st.Days
			} else {
				in.PermanentRestore = aws.Bool(true)
			}
			_, err = c.RestoreSnapshotTier(ctx, in, s.changing)
		}
		if err == nil {
			st.Parks = 0
			continue
		}
		v := table.Classify(err)
		failed := v.Error(Kind, op.Next, op.Ref, err)
		switch v.Class {
		case awscall.NotYet:
			st.Parks++
			op.To(stagePark, "")
			op.PollIn(s.park(st.Parks))
			op.Find(backup.Finding{ID: "ebs.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: v.AWSCode, Remedy: v.Hint})
			return op, op.SetState(st)
		case awscall.Permanent:
			return s.refuseTier(op, st, failed)
		}
		return op, failed
	}
	op.To(stageWait, "")
	s.waitTier(&op)
	return op, op.SetState(st)
}

// refuseTier goes on to see what was moved all the same, by an earlier attempt or before the refusal.
func (s *Strategy) refuseTier(op backup.Operation, st tierState, err error) (backup.Operation, error) {
	x := op
	x.Fail(err)
	st.Refused = x.Failure
	op.To(stageWait, "")
	op.PollIn(s.opts.PollMin)
	return op, op.SetState(st)
}

// waitTier sets the time of the next look at moves, which take hours.
func (s *Strategy) waitTier(op *backup.Operation) {
	op.PollIn(min(max(time.Since(op.Since)/10, minTierPoll, s.opts.PollMin), max(maxTierPoll, s.opts.PollMax)))
}

// watchTier ends the Operation when nothing is being moved.
func (s *Strategy) watchTier(ctx context.Context, c *awsec2.Client, op backup.Operation, st tierState) (backup.Operation, error) {
	found, err := s.byID(ctx, c, op.Ref, st.Snapshots)
	if err != nil {
		return op, err
	}
	status, err := tierStatus(ctx, c, op.Ref, st.Snapshots)
	if err != nil {
		return op, err
	}
	good, percent, busy := 0, 0, false
	var bad, idle []string
	for _, id := range st.Snapshots {
		x, ok := found[id]
		switch m := status[id]; {
		case ok && st.tierDone(op, x) && !tierBusy(m):
			good++
			percent += 100
		case tierBusy(m):
			busy = true
			percent += int(aws.ToInt32(m.LastTieringProgress))
		case tierFailed(op, m):
			bad = append(bad, fmt.Sprintf("%s: %s, %s", id, m.LastTieringOperationStatus, aws.ToString(m.LastTieringOperationStatusDetail)))
		default:
			idle = append(idle, id)
		}
	}
	op.Percent = min(percent/max(len(st.Snapshots), 1), 99)
	if len(idle) == 0 {
		st.Lost = time.Time{}
	} else if st.Lost.IsZero() {
		st.Lost = time.Now().UTC().Round(0)
	}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	switch {
	case len(idle) > 0 && time.Since(st.Lost) < s.opts.Settle:
		s.wait(&op)
		return op, nil
	case len(idle) > 0 && st.Refused == nil && len(found) == len(st.Snapshots):
		// It is there and nobody moves it: the call is made again, until the deadline.
		st.Lost = time.Time{}
		op.To(stageMove, st.call(op))
		return op, op.SetState(st)
	case busy:
		s.waitTier(&op)
		return op, nil
	}
	code, hint := backup.ErrFailed, "what was not moved is where it was; start again with another token"
	if f := st.Refused; f != nil && len(idle) > 0 {
		bad, code, hint = append(bad, f.Message), f.Code, f.Hint
	}
	for _, id := range idle {
		if _, ok := found[id]; !ok {
			bad = append(bad, id+" has disappeared: somebody else deleted it")
		}
	}
	switch {
	case good == len(st.Snapshots):
		op.Succeed()
	case good > 0:
		op.Fail(failure(op, string(op.Action), backup.ErrPartial, hint, "%d of %d snapshots: %s", good, len(st.Snapshots), strings.Join(bad, "; ")))
	default:
		op.Fail(failure(op, string(op.Action), code, hint, "%s", strings.Join(bad, "; ")))
	}
	return op, nil
}

// preflightTier says what is in the way of a move and what it costs.
func (s *Strategy) preflightTier(ctx context.Context, c *awsec2.Client, op backup.Operation, members []ec2types.Snapshot) ([]backup.Finding, error) {
	var st tierState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	found, refused, err := s.tierVetoes(ctx, c, op, st, members)
	if err != nil {
		return nil, err
	}
	if refused != nil {
		return finding(op, refused)
	}
	return found, nil
}
