package ec2sim

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// lock is the lock of a snapshot as it was from an instant on; without a mode it is none.
type lock struct {
	at             time.Time
	mode           ec2types.LockMode
	created, start time.Time
	expires        time.Time
	hours          int32
	coolOff        time.Time
}

// The limits of LockSnapshot. Source: EC2 API, LockSnapshot.
const (
	maxLockDays = 36_500
	maxCoolOff  = 72
)

// locked gives the lock at an instant; false where there is none, or where the snapshot failed, which cancels it.
func (p *snapshot) locked(now time.Time) (lock, bool) {
	for _, l := range slices.Backward(p.locks) {
		if !l.at.After(now) {
			return l, l.mode != "" && p.state(now) != ec2types.SnapshotStateError
		}
	}
	return lock{}, false
}

func (l lock) state(now time.Time) ec2types.LockState {
	switch {
	case !now.Before(l.expires):
		return ec2types.LockStateExpired
	case l.mode == ec2types.LockModeGovernance:
		return ec2types.LockStateGovernance
	case now.Before(l.coolOff):
		return ec2types.LockStateComplianceCooloff
	}
	return ec2types.LockStateCompliance
}

// holds reports whether a lock keeps the snapshot from being deleted, and whether for good.
func (p *snapshot) holds(now time.Time) (state ec2types.LockState, held bool) {
	l, ok := p.locked(now)
	if !ok {
		return "", false
	}
	state = l.state(now)
	return state, state != ec2types.LockStateExpired
}

func (s *EC2) lockSnapshot(r *awssim.Request, in *awsec2.LockSnapshotInput) (*awsec2.LockSnapshotOutput, error) {
	compliance := in.LockMode == ec2types.LockModeCompliance
	switch {
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	case !compliance && in.LockMode != ec2types.LockModeGovernance:
		return nil, awssim.Fail("InvalidParameterValue", "Value (%s) for parameter lockMode is invalid.", in.LockMode)
	case (in.LockDuration == nil) == (in.ExpirationDate == nil):
		return nil, awssim.Fail("InvalidParameterCombination", "Specify either lockDuration or expirationDate.")
	case in.LockDuration != nil && (*in.LockDuration < 1 || *in.LockDuration > maxLockDays):
		return nil, awssim.Fail("InvalidParameterValue", "Value (%d) for parameter lockDuration is invalid.", *in.LockDuration)
	case in.CoolOffPeriod != nil && !compliance:
		return nil, awssim.Fail("InvalidParameterCombination", "The parameter coolOffPeriod can only be used with the compliance mode.")
	case in.CoolOffPeriod != nil && (*in.CoolOffPeriod < 1 || *in.CoolOffPeriod > maxCoolOff):
		return nil, awssim.Fail("InvalidParameterValue", "Value (%d) for parameter coolOffPeriod is invalid.", *in.CoolOffPeriod)
	}
	p, err := s.lockable(r, in.SnapshotId)
	if err != nil {
		return nil, err
	}
	old, had := p.locked(r.Now)
	had = had && old.state(r.Now) != ec2types.LockStateExpired
	l := lock{at: r.Now, mode: in.LockMode, created: r.Now, start: r.Now}
	if p.ready.After(r.Now) {
		l.start = p.ready
	}
	if had {
		l.created, l.start = old.created, old.start
	}
	if in.ExpirationDate != nil {
		l.expires = in.ExpirationDate.UTC()
	} else {
		l.expires = l.start.Add(time.Duration(*in.LockDuration) * 24 * time.Hour)
	}
	if !l.expires.After(r.Now) {
		return nil, awssim.Fail("InvalidParameterValue", "The lock would expire in the past.")
	}
	switch {
	case had && old.state(r.Now) == ec2types.LockStateCompliance:
		if !compliance || in.CoolOffPeriod != nil || l.expires.Before(old.expires) {
			return nil, awssim.Fail("OperationNotPermitted", "The snapshot '%s' is locked in compliance mode. You can only extend the lock.", p.id)
		}
		l.hours, l.coolOff = old.hours, old.coolOff
	case in.CoolOffPeriod != nil:
		l.hours, l.coolOff = *in.CoolOffPeriod, r.Now.Add(time.Duration(*in.CoolOffPeriod)*time.Hour)
	}
	p.locks = append(p.locks, l)
	i := p.lockInfo(l, r.Now)
	return &awsec2.LockSnapshotOutput{SnapshotId: i.SnapshotId, LockState: i.LockState, LockCreatedOn: i.LockCreatedOn, LockDuration: i.LockDuration,
		LockDurationStartTime: i.LockDurationStartTime, LockExpiresOn: i.LockExpiresOn, CoolOffPeriod: i.CoolOffPeriod, CoolOffPeriodExpiresOn: i.CoolOffPeriodExpiresOn}, nil
}

// lockable finds a snapshot of the account's that can be locked.
func (s *EC2) lockable(r *awssim.Request, id *string) (*snapshot, error) {
	if err := checkSnapshotID(aws.ToString(id)); err != nil {
		return nil, err
	}
	p, ok := s.in(r.Region).snapshots.own(r, *id)
	if !ok {
		return nil, noSnapshot(*id)
	}
	if state := p.state(r.Now); state == ec2types.SnapshotStateError {
		return nil, awssim.Fail("IncorrectState", "The snapshot '%s' is '%s'", p.id, state)
	}
	return p, nil
}

func (p *snapshot) lockInfo(l lock, now time.Time) ec2types.LockedSnapshotsInfo {
	i := ec2types.LockedSnapshotsInfo{SnapshotId: aws.String(p.id), OwnerId: aws.String(p.owner), LockState: l.state(now), LockCreatedOn: aws.Time(stamp(l.created)),
		LockDurationStartTime: aws.Time(stamp(l.start)), LockExpiresOn: aws.Time(stamp(l.expires)), LockDuration: aws.Int32(int32(l.expires.Sub(l.start) / (24 * time.Hour)))}
	if l.hours > 0 {
		i.CoolOffPeriod, i.CoolOffPeriodExpiresOn = aws.Int32(l.hours), aws.Time(stamp(l.coolOff))
	}
	return i
}

func (s *EC2) unlockSnapshot(r *awssim.Request, in *awsec2.UnlockSnapshotInput) (*awsec2.UnlockSnapshotOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	p, err := s.lockable(r, in.SnapshotId)
	if err != nil {
		return nil, err
	}
	switch state, held := p.holds(r.Now); {
	case !held:
		return nil, awssim.Fail("IncorrectState", "The snapshot '%s' is not locked.", p.id)
	case state == ec2types.LockStateCompliance:
		return nil, awssim.Fail("OperationNotPermitted", "The snapshot '%s' is locked in compliance mode.", p.id)
	}
	p.locks = append(p.locks, lock{at: r.Now})
	return &awsec2.UnlockSnapshotOutput{SnapshotId: aws.String(p.id)}, nil
}

var lockFilters = known{names: []string{"lock-state"}}

// describeLockedSnapshots lists what is or was locked; snapshots that never were are left out.
func (s *EC2) describeLockedSnapshots(r *awssim.Request, in *awsec2.DescribeLockedSnapshotsInput) (*awsec2.DescribeLockedSnapshotsOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	filters, err := parseFilters(r, in.Filters, lockFilters)
	if err != nil {
		return nil, err
	}
	w, err := pageOf(r, in.MaxResults, in.NextToken, len(in.SnapshotIds), "snapshotSet")
	if err != nil {
		return nil, err
	}
	t := &s.in(r.Region).snapshots
	for _, id := range in.SnapshotIds {
		if err := checkSnapshotID(id); err != nil {
			return nil, err
		}
		if p, ok := t.byID[id]; !ok || p.owner != r.Account || !p.seen(r) {
			return nil, noSnapshot(id)
		}
	}
	from := t.index[indexKey{"owner-id", r.Account}]
	if len(in.SnapshotIds) > 0 {
		from = t.named(in.SnapshotIds)
	}
	page, next := take(r, from, w, func(p *snapshot) bool {
		l, ok := p.locked(r.Now)
		if !ok || !p.seen(r) {
			return false
		}
		return !slices.ContainsFunc(filters, func(f filter) bool { return !f.match(string(l.state(r.Now))) })
	})
	out := &awsec2.DescribeLockedSnapshotsOutput{NextToken: next}
	for _, p := range page {
		l, _ := p.locked(r.Now)
		out.Snapshots = append(out.Snapshots, p.lockInfo(l, r.Now))
	}
	return out, nil
}
