package ebs

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
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

// lockTimeout is the time that an irreversible lock has where Spec.Timeout is 0: the cooling-off period of a lock that is there may have to end, at most
// maxCoolOffHour, with a day to spare.
const lockTimeout = (maxCoolOffHour + 24) * time.Hour

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
// With LockOptions.Irreversible it ends well only when nobody can take a lock back any more. A lock in compliance mode that lasts as long already, but whose
// cooling-off period is not over, is left alone and waited for, up to 72 hours; a finding says that it can still be taken back. So Spec.Timeout 0 means 96
// hours with Irreversible.
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
	if o.Irreversible == Irreversible && spec.Timeout == 0 {
		op.Deadline = op.Started.Add(lockTimeout)
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
	return st.covered(l) && (!st.Irreversible || l.LockState == ec2types.LockStateCompliance)
}

// cooling reports whether a lock becomes what is asked for by itself, when its cooling-off period is over.
func (st lockState) cooling(l ec2types.LockedSnapshotsInfo) bool {
	return st.covered(l) && !st.locked(l)
}

// covered reports whether a lock needs no call to be at least what is asked for, now or when it has cooled off.
func (st lockState) covered(l ec2types.LockedSnapshotsInfo) bool {
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
