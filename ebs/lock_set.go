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

func (s *Strategy) stepLock(ctx context.Context, c *awsec2.Client, op backup.Operation) (backup.Operation, error) {
	var st lockState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageLook:
		return s.planLock(ctx, c, op, st)
	case stagePark:
		if left := s.opts.Park - time.Since(op.Since); left > 0 {
			op.PollIn(left)
			return op, nil
		}
		op.To(stageLock, "LockSnapshot")
		return op, nil
	case stageLock:
		if op.Intent() == backup.ReadOnly {
			return op, nil
		}
		return s.setLocks(ctx, c, op, st)
	case stageWait:
		return s.watchLocks(ctx, c, op, st)
	}
	return op, failure(op, "lock", backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
}

// planLock looks at the recovery point and refuses what must not be locked.
func (s *Strategy) planLock(ctx context.Context, c *awsec2.Client, op backup.Operation, st lockState) (backup.Operation, error) {
	members, err := s.gather(ctx, c, &op, &st.Lost, "locked")
	if err != nil {
		return op, err
	}
	if len(members) == 0 {
		return op, op.SetState(st)
	}
	refused, err := s.lockVetoes(ctx, c, op, st, members)
	if err != nil {
		return op, err
	}
	if refused != nil {
		op.Fail(refused)
		return op, nil
	}
	st.Snapshots = nil
	for _, x := range members {
		st.Snapshots = append(st.Snapshots, aws.ToString(x.SnapshotId))
	}
	slices.Sort(st.Snapshots)
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageLock, "LockSnapshot")
	return op, nil
}

// lockVetoes says why the members must not be locked.
func (s *Strategy) lockVetoes(ctx context.Context, c *awsec2.Client, op backup.Operation, st lockState, members []ec2types.Snapshot) (refused, err error) {
	var ids []string
	for _, x := range members {
		id := aws.ToString(x.SnapshotId)
		if refused := s.mayChange(op, st.AllowForeign, x); refused != nil {
			return refused, nil
		}
		if x.State != ec2types.SnapshotStatePending && x.State != ec2types.SnapshotStateCompleted {
			return failure(op, "lock", backup.ErrUnsupported, "lock another recovery point", "snapshot %s is in state %s", id, x.State), nil
		}
		ids = append(ids, id)
	}
	locks, err := snapshotLocks(ctx, c, op.Ref, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if l := locks[id]; !st.covered(l) {
			if refused := st.mayLock(op, l); refused != nil {
				return refused, nil
			}
		}
	}
	return nil, nil
}

// setLocks locks what is not locked yet. What is locked is looked at again on fresh data; a second call asks for the same end.
func (s *Strategy) setLocks(ctx context.Context, c *awsec2.Client, op backup.Operation, st lockState) (backup.Operation, error) {
	found, err := s.byID(ctx, c, op.Ref, st.Snapshots)
	if err != nil {
		return op, err
	}
	var members []ec2types.Snapshot
	var ids []string
	for _, id := range st.Snapshots {
		if x, ok := found[id]; ok {
			members, ids = append(members, x), append(ids, id)
		}
	}
	refused, err := s.lockVetoes(ctx, c, op, st, members)
	if err != nil {
		return op, err
	}
	if refused != nil {
		return s.refuseLock(op, st, refused)
	}
	locks, err := snapshotLocks(ctx, c, op.Ref, ids)
	if err != nil {
		return op, err
	}
	for _, id := range ids {
		if st.covered(locks[id]) {
			continue
		}
		in := &awsec2.LockSnapshotInput{SnapshotId: &id, LockMode: ec2types.LockMode(st.Mode), ExpirationDate: &st.Until}
		if st.Mode == LockCompliance && !st.Irreversible {
			// Without it the lock would be for good at once.
			in.CoolOffPeriod = &st.CoolOff
		}
		_, err := c.LockSnapshot(ctx, in, s.changing)
		if err == nil {
			continue
		}
		v := table.Classify(err)
		failed := v.Error(Kind, op.Next, op.Ref, err)
		switch v.Class {
		case awscall.NotYet:
			op.To(stagePark, "")
			op.PollIn(s.opts.Park)
			op.Find(backup.Finding{ID: "ebs.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: v.AWSCode, Remedy: v.Hint})
			return op, op.SetState(st)
		case awscall.Permanent:
			return s.refuseLock(op, st, failed)
		}
		return op, failed
	}
	st.Rounds++
	op.To(stageWait, "")
	op.PollIn(s.opts.PollMin)
	return op, op.SetState(st)
}

// refuseLock goes on to see what is locked all the same.
func (s *Strategy) refuseLock(op backup.Operation, st lockState, err error) (backup.Operation, error) {
	x := op
	x.Fail(err)
	st.Refused = x.Failure
	op.To(stageWait, "")
	op.PollIn(s.opts.PollMin)
	return op, op.SetState(st)
}

// watchLocks ends the Operation when EC2 says that everything is locked.
func (s *Strategy) watchLocks(ctx context.Context, c *awsec2.Client, op backup.Operation, st lockState) (backup.Operation, error) {
	found, err := s.byID(ctx, c, op.Ref, st.Snapshots)
	if err != nil {
		return op, err
	}
	var ids, bad []string
	for _, id := range st.Snapshots {
		if _, ok := found[id]; ok {
			ids = append(ids, id)
		} else {
			bad = append(bad, id+" has disappeared: somebody else deleted it")
		}
	}
	locks, err := snapshotLocks(ctx, c, op.Ref, ids)
	if err != nil {
		return op, err
	}
	good, cool := 0, 0
	var cold time.Time
	for _, id := range ids {
		switch l := locks[id]; {
		case st.locked(l):
			good++
		case st.cooling(l):
			cool++
			f, end := coolingFinding(op, l)
			op.Find(f)
			if cold.IsZero() || end.Before(cold) {
				cold = end
			}
		default:
			bad = append(bad, id+" is not locked")
		}
	}
	op.Percent = 100 * good / max(len(st.Snapshots), 1)
	if good == len(st.Snapshots) {
		op.Succeed()
		return op, nil
	}
	if good+cool == len(st.Snapshots) {
		// It becomes what was asked for by itself, or the deadline says that it did not.
		if left := time.Until(cold); left > s.opts.PollMin {
			op.PollIn(min(left, max(maxTierPoll, s.opts.PollMax)))
		} else {
			s.wait(&op)
		}
		return op, nil
	}
	if time.Since(op.Since) < s.opts.Settle {
		s.wait(&op)
		return op, nil
	}
	if st.Refused == nil && st.Rounds < maxLockRounds && len(ids) == len(st.Snapshots) {
		op.To(stageLock, "LockSnapshot")
		return op, nil
	}
	code, hint := backup.ErrConflict, "find out who deletes or unlocks the snapshots"
	if f := st.Refused; f != nil {
		bad, code, hint = append([]string{f.Message}, bad...), f.Code, f.Hint
	}
	if good+cool > 0 {
		code = backup.ErrPartial
	}
	if cool > 0 {
		bad = append(bad, fmt.Sprintf("the locks of %d others can still be taken back", cool))
	}
	op.Fail(failure(op, "lock", code, hint, "%d of %d snapshots are locked: %s", good, len(st.Snapshots), strings.Join(bad, "; ")))
	return op, nil
}

// coolingFinding says that a lock can still be taken back, and until when: zero where EC2 does not say.
func coolingFinding(op backup.Operation, l ec2types.LockedSnapshotsInfo) (backup.Finding, time.Time) {
	end, until := aws.ToTime(l.CoolOffPeriodExpiresOn), "its cooling-off period is over"
	if !end.IsZero() {
		until = end.UTC().Format(time.RFC3339)
	}
	return backup.Finding{ID: "ebs.lock-cooling", Severity: backup.SeverityWarning, Ref: Snapshot(op.Ref.Account, op.Ref.Region, aws.ToString(l.SnapshotId)),
		Message: "the lock of snapshot " + aws.ToString(l.SnapshotId) + " can still be taken back until " + until + ", and is waited for", Remedy: "keep those away from it who may unlock snapshots"}, end
}

// preflightLock says what is in the way of a lock and what can not be undone.
func (s *Strategy) preflightLock(ctx context.Context, c *awsec2.Client, op backup.Operation, members []ec2types.Snapshot) ([]backup.Finding, error) {
	var st lockState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	refused, err := s.lockVetoes(ctx, c, op, st, members)
	if err != nil {
		return nil, err
	}
	if refused != nil {
		return finding(op, refused)
	}
	if st.Mode != LockCompliance {
		return nil, nil
	}
	var found []backup.Finding
	if st.Irreversible {
		var ids []string
		for _, x := range members {
			ids = append(ids, aws.ToString(x.SnapshotId))
		}
		locks, err := snapshotLocks(ctx, c, op.Ref, ids)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if l := locks[id]; st.cooling(l) {
				f, _ := coolingFinding(op, l)
				found = append(found, f)
			}
		}
	}
	when := fmt.Sprintf("%d hours after it is set", st.CoolOff)
	if st.Irreversible {
		when = "from the moment that it is set"
	}
	return append(found, backup.Finding{ID: "ebs.lock-irreversible", Severity: backup.SeverityWarning, Ref: op.Ref,
		Message: "nobody can take the lock back " + when + ": the snapshots are kept, and paid for, until " + st.Until.Format(time.RFC3339), Remedy: "governance mode can be taken back"}), nil
}
