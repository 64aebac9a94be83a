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

// ActionLock is the action of locking a recovery point.
const ActionLock backup.Action = Kind + ".lock"

// The modes of a lock.
const (
	// LockGovernance keeps a snapshot from being deleted until the lock ends or somebody with the right to unlocks it.
	LockGovernance = "governance"
	// LockCompliance keeps it from being deleted by anybody, AWS and the root user included, until the lock ends.
	LockCompliance = "compliance"
)

// Irreversible is what LockOptions.Irreversible must be for a lock in compliance mode that takes effect at once.
const Irreversible = "irreversible"

// The limits of a lock. Source: EC2 API, LockSnapshot.
const (
	maxLockDays    = 36_500
	maxCoolOffHour = 72
)

// LockOptions are the settings of StartLock: Days or Until is required.
type LockOptions struct {
	// Mode is LockGovernance, which is also meant by empty, or LockCompliance.
	Mode string
	// Days, 1 to 36,500, is how long the lock lasts from the start of the Operation; Until is when it ends.
	Days  int32
	Until time.Time
	// CoolOffHours, 1 to 72, is how long a lock in compliance mode can still be taken back. Compliance mode needs it, or Irreversible: EC2 takes a call
	// without it for a lock that nobody can ever take back.
	CoolOffHours int32
	// Irreversible must be the constant Irreversible for a lock in compliance mode without a cooling-off period, or to extend one whose cooling-off
	// period is over. Nothing undoes it: the data is kept, and paid for, until the lock ends, and only closing the account ends that.
	Irreversible string
	// AllowForeign also locks a snapshot whose owner tag is not Spec.Owner, or that has none.
	AllowForeign bool
}

// OptionsFor makes LockOptions usable as backup.Spec.Options.
func (LockOptions) OptionsFor() (string, backup.Action) { return Kind, ActionLock }

func (o LockOptions) valid(r backup.Ref, now time.Time) error {
	bad := func(hint, format string, args ...any) error { return invalid(ActionLock, r, hint, format, args...) }
	switch {
	case o.Mode != LockGovernance && o.Mode != LockCompliance:
		return bad("use ebs.LockGovernance or ebs.LockCompliance", "the mode %q", o.Mode)
	case o.Irreversible != "" && o.Irreversible != Irreversible:
		return bad("leave it empty, or set it to ebs.Irreversible if nobody shall ever be able to undo the lock", "Irreversible is %q", o.Irreversible)
	case o.Mode == LockGovernance && (o.CoolOffHours != 0 || o.Irreversible != ""):
		return bad("leave them empty, or choose compliance mode", "a cooling-off period, or an irreversible lock, belong to compliance mode")
	case o.Mode == LockCompliance && o.Irreversible == "" && (o.CoolOffHours < 1 || o.CoolOffHours > maxCoolOffHour):
		return bad("set CoolOffHours to 1 to 72: without it EC2 locks at once and for good", "a cooling-off period of %d hours", o.CoolOffHours)
	case o.Irreversible != "" && o.CoolOffHours != 0:
		return bad("choose one of the two", "a cooling-off period and Irreversible")
	case o.Days != 0 && !o.Until.IsZero(), o.Days == 0 && o.Until.IsZero():
		return bad("set one of the two", "either Days or Until is needed")
	case o.Days < 0 || o.Days > maxLockDays:
		return bad("set 1 to 36500", "%d days", o.Days)
	case !o.Until.IsZero() && o.Until.Before(now.Add(24*time.Hour)), o.Until.After(now.AddDate(0, 0, maxLockDays)):
		return bad("name a time at least a day and at most 36,500 days ahead", "the lock would end at %s", o.Until.UTC().Format(time.RFC3339))
	}
	return nil
}

// stageLock is the stage in which snapshots may be locked.
const stageLock = "lock"

// maxLockRounds is how often a lock that was not there a while later is set again.
const maxLockRounds = 3

// lockState is the State of locking.
type lockState struct {
	Mode         string    `json:"m"`
	Until        time.Time `json:"u"`
	CoolOff      int32     `json:"c,omitempty"`
	Irreversible bool      `json:"i,omitempty"`
	AllowForeign bool      `json:"f,omitempty"`
	Snapshots    []string  `json:"s,omitempty"`
	Rounds       int       `json:"r,omitempty"`
	// Refused is why EC2 locks no further snapshot.
	Refused *backup.Failure `json:"x,omitempty"`
	// Lost is since when something that must be there has not been seen.
	Lost time.Time `json:"l,omitzero"`
}

// StartLock makes the Operation that locks a snapshot, or every member of a set, so that it can not be deleted. A lock that is there is never made shorter
// or weaker: where it lasts as long already it is left alone, and where the wish would weaken it the Operation is refused with ErrConflict. Nothing in this
// package takes a lock back. The Operation ends well when EC2 says of every snapshot that it is locked. Spec.Options must be LockOptions.
//
// A lock keeps the snapshot and not its key: whoever can delete the KMS key can still make it useless.
//
// Source: EBS user guide, "Considerations for Amazon EBS snapshot lock"; EC2 API, LockSnapshot.
func (s *Strategy) StartLock(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(ActionLock, point, spec, TypeSnapshot, TypeSet)
	if err != nil {
		return backup.Operation{}, err
	}
	if len(spec.Tags) > 0 {
		return backup.Operation{}, invalid(ActionLock, point, "leave Spec.Tags empty", "nothing is made that could carry tags")
	}
	o, ok := spec.Options.(LockOptions)
	if !ok {
		return backup.Operation{}, invalid(ActionLock, point, "set Spec.Options to ebs.LockOptions", "options of type %T", spec.Options)
	}
	if o.Mode == "" {
		o.Mode = LockGovernance
	}
	if err := o.valid(point, op.Started); err != nil {
		return backup.Operation{}, err
	}
	// The end is an instant and not a number of days from a call, so that a call that is made again asks for the same.
	until := o.Until
	if until.IsZero() {
		until = op.Started.Add(time.Duration(o.Days) * 24 * time.Hour)
	}
	op.Stage = stageLook
	return op, op.SetState(lockState{Mode: o.Mode, Until: until.UTC().Round(0).Truncate(time.Second), CoolOff: o.CoolOffHours, Irreversible: o.Irreversible == Irreversible, AllowForeign: o.AllowForeign})
}

// snapshotLocks gives the locks of snapshots, ended ones included. All of the ids must be visible.
func snapshotLocks(ctx context.Context, c *awsec2.Client, r backup.Ref, ids []string) (map[string]ec2types.LockedSnapshotsInfo, error) {
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

// lockHolds reports whether a lock keeps its snapshot from being deleted. A state that this release does not know counts as one.
func lockHolds(l ec2types.LockedSnapshotsInfo) bool {
	return l.SnapshotId != nil && l.LockState != ec2types.LockStateExpired
}

// lockRounding is how much earlier than asked for EC2 may say that a lock ends.
const lockRounding = time.Minute

// locked reports whether a lock is at least what is asked for.
func (st lockState) locked(l ec2types.LockedSnapshotsInfo) bool {
	if !lockHolds(l) || aws.ToTime(l.LockExpiresOn).Before(st.Until.Add(-lockRounding)) {
		return false
	}
	return st.Mode == LockGovernance || l.LockState == ec2types.LockStateCompliance || l.LockState == ec2types.LockStateComplianceCooloff
}

// mayLock says why a lock must not be set over the one that is there, or nothing.
func (st lockState) mayLock(op backup.Operation, l ec2types.LockedSnapshotsInfo) error {
	if !lockHolds(l) {
		return nil
	}
	id, ends := aws.ToString(l.SnapshotId), aws.ToTime(l.LockExpiresOn)
	switch {
	case ends.After(st.Until):
		return failure(op, "lock", backup.ErrConflict, "name a time that is not before that", "the lock of snapshot %s lasts until %s, and it would be made shorter", id, ends.UTC().Format(time.RFC3339))
	case l.LockState != ec2types.LockStateGovernance && st.Mode == LockGovernance:
		return failure(op, "lock", backup.ErrConflict, "ask for compliance mode to make it last longer", "snapshot %s is locked in compliance mode, and the lock would be made weaker", id)
	case l.LockState == ec2types.LockStateCompliance && !st.Irreversible:
		return failure(op, "lock", backup.ErrConflict, "set LockOptions.Irreversible instead of a cooling-off period if it shall be extended for good",
			"the cooling-off period of the lock of snapshot %s is over: to extend it can not be taken back", id)
	}
	return nil
}

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
	members, err := s.members(ctx, c, op.Ref)
	if err != nil {
		return op, err
	}
	if len(members) == 0 || short(op.Ref, members) {
		if st.Lost.IsZero() {
			st.Lost = time.Now().UTC().Round(0)
			if err := op.SetState(st); err != nil {
				return op, err
			}
		}
		if time.Since(st.Lost) < s.opts.Settle {
			s.wait(&op)
			return op, nil
		}
		if len(members) == 0 {
			op.Fail(failure(op, "lock", backup.ErrNotFound, "check the id, the account and the Region", "no such recovery point"))
			return op, nil
		}
		op.Find(backup.Finding{ID: "ebs.short-set", Severity: backup.SeverityWarning, Ref: op.Ref,
			Message: fmt.Sprintf("%d members of the set were found, fewer than it was made with; those are locked", len(members))})
	}
	st.Lost = time.Time{}
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
		if l := locks[id]; !st.locked(l) {
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
		if st.locked(locks[id]) {
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
	good := 0
	for _, id := range ids {
		if st.locked(locks[id]) {
			good++
		} else {
			bad = append(bad, id+" is not locked")
		}
	}
	op.Percent = 100 * good / max(len(st.Snapshots), 1)
	if good == len(st.Snapshots) {
		op.Succeed()
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
	if good > 0 {
		code = backup.ErrPartial
	}
	op.Fail(failure(op, "lock", code, hint, "%d of %d snapshots are locked: %s", good, len(st.Snapshots), strings.Join(bad, "; ")))
	return op, nil
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
	when := fmt.Sprintf("%d hours after it is set", st.CoolOff)
	if st.Irreversible {
		when = "from the moment that it is set"
	}
	return []backup.Finding{{ID: "ebs.lock-irreversible", Severity: backup.SeverityWarning, Ref: op.Ref,
		Message: "nobody can take the lock back " + when + ": the snapshots are kept, and paid for, until " + st.Until.Format(time.RFC3339), Remedy: "governance mode can be taken back"}}, nil
}
