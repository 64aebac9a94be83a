package ec2sim

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// How long moving a snapshot between the tiers takes: an assumption within AWS's limit of 72 hours for a restore.
const (
	archivalTakes  = 2 * time.Hour
	unarchiveTakes = 8 * time.Hour
	tieringSigma   = 0.4
	tieringLimit   = 72 * time.Hour
)

// SetTierTimes sets how long it takes in the median to archive a snapshot, and to bring one back, from now on: hours of polls are many calls.
func (s *EC2) SetTierTimes(w *awssim.World, archival, restore time.Duration) {
	w.Do("", "", func(*awssim.Request) { s.archival, s.unarchival = archival, restore })
}

// tiering is one move of a snapshot to the archive tier or back.
type tiering struct {
	// to is "archival", "permanent-restore" or "temporary-restore".
	to           string
	begun, ready time.Time
	failed       string
	// until is when a snapshot that was restored temporarily leaves the standard tier again.
	until time.Time
}

const (
	toArchive   = "archival"
	toStandard  = "permanent-restore"
	forDays     = "temporary-restore"
	tierFailure = "An internal error occurred while the snapshot was moved"
)

func (m tiering) status(now time.Time) ec2types.TieringOperationStatus {
	switch {
	case now.Before(m.ready):
		return ec2types.TieringOperationStatus(m.to + "-in-progress")
	case m.failed != "":
		return ec2types.TieringOperationStatus(m.to + "-failed")
	}
	return ec2types.TieringOperationStatus(m.to + "-completed")
}

// moves gives the moves that were begun by an instant.
func (p *snapshot) moves(now time.Time) []tiering {
	n := len(p.tiers)
	for n > 0 && p.tiers[n-1].begun.After(now) {
		n--
	}
	return p.tiers[:n]
}

// moving gives the move in progress.
func (p *snapshot) moving(now time.Time) *tiering {
	if ms := p.moves(now); len(ms) > 0 && now.Before(ms[len(ms)-1].ready) {
		return &ms[len(ms)-1]
	}
	return nil
}

// tier is where the snapshot is, and until when it is there if it was restored for some days only.
func (p *snapshot) tier(now time.Time) (t ec2types.StorageTier, until time.Time) {
	t = ec2types.StorageTierStandard
	for _, m := range p.moves(now) {
		if now.Before(m.ready) || m.failed != "" {
			continue
		}
		switch {
		case m.to == toArchive, m.to == forDays && !now.Before(m.until):
			t, until = ec2types.StorageTierArchive, time.Time{}
		default:
			t, until = ec2types.StorageTierStandard, m.until
		}
	}
	return t, until
}

// usable refuses what can not be done with a snapshot in the archive tier.
func (p *snapshot) usable(now time.Time) error {
	if t, _ := p.tier(now); t == ec2types.StorageTierArchive {
		return awssim.Fail("UnsupportedOperation", "The snapshot '%s' is archived. Restore it to the standard tier first.", p.id)
	}
	return nil
}

// movable finds a snapshot of the account's that can be moved now.
func (s *EC2) movable(r *awssim.Request, id *string, want ec2types.StorageTier) (*snapshot, error) {
	if err := checkSnapshotID(aws.ToString(id)); err != nil {
		return nil, err
	}
	p, ok := s.in(r.Region).snapshots.own(r, *id)
	if !ok {
		return nil, noSnapshot(*id)
	}
	if _, backup := p.tags.value(backupTag); backup {
		return nil, awssim.Fail("OperationNotPermitted", "The snapshot '%s' is managed by the AWS Backup service.", p.id)
	}
	if state := p.state(r.Now); state != ec2types.SnapshotStateCompleted {
		return nil, awssim.Fail("IncorrectState", "The snapshot '%s' is '%s'", p.id, state)
	}
	if m := p.moving(r.Now); m != nil {
		return nil, awssim.Fail("IncorrectState", "The snapshot '%s' is being moved: %s", p.id, m.status(r.Now))
	}
	t, until := p.tier(r.Now)
	if t != want && until.IsZero() || want == ec2types.StorageTierStandard && !until.IsZero() {
		return nil, awssim.Fail("IncorrectState", "The snapshot '%s' is in the tier '%s'", p.id, t)
	}
	return p, nil
}

// inTiers counts moves of the account's snapshots in the Region.
func (s *EC2) inTiers(r *awssim.Request, count func(p *snapshot) bool) (n int) {
	for _, p := range s.in(r.Region).snapshots.index[indexKey{"owner-id", r.Account}] {
		if len(p.tiers) > 0 && p.there(r.Now) && count(p) {
			n++
		}
	}
	return n
}

func (s *EC2) modifySnapshotTier(r *awssim.Request, in *awsec2.ModifySnapshotTierInput) (*awsec2.ModifySnapshotTierOutput, error) {
	switch {
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	case in.StorageTier != "" && in.StorageTier != ec2types.TargetStorageTierArchive:
		return nil, awssim.Fail("InvalidParameterValue", "Value (%s) for parameter storageTier is invalid.", in.StorageTier)
	}
	p, err := s.movable(r, in.SnapshotId, ec2types.StorageTierStandard)
	if err != nil {
		return nil, err
	}
	for _, m := range s.in(r.Region).images.index[indexKey{usesSnapshot, p.id}] {
		if m.there(r.Now) && !m.off(r.Now) {
			return nil, awssim.Fail("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", p.id, m.id)
		}
	}
	moving := s.inTiers(r, func(o *snapshot) bool { m := o.moving(r.Now); return m != nil && m.to == toArchive })
	kept := s.inTiers(r, func(o *snapshot) bool {
		t, until := o.tier(r.Now)
		return o.volume == p.volume && (t == ec2types.StorageTierArchive || !until.IsZero())
	})
	if q := s.quotas.Archivals; q > 0 && moving >= q {
		return nil, awssim.Fail("ResourceLimitExceeded", "You have reached your limit of snapshot archives in progress: %d.", q)
	}
	if q := s.quotas.ArchivedPerVolume; q > 0 && kept >= q {
		return nil, awssim.Fail("SnapshotLimitExceeded", "You have reached your limit of archived snapshots of a volume: %d.", q)
	}
	s.move(r, p, tiering{to: toArchive, begun: r.Now}, s.archival)
	return &awsec2.ModifySnapshotTierOutput{SnapshotId: aws.String(p.id), TieringStartTime: aws.Time(stamp(r.Now))}, nil
}

// move begins a move; what has a time in m.until has that much time from when it is ready.
func (s *EC2) move(r *awssim.Request, p *snapshot, m tiering, median time.Duration) {
	m.ready = r.Now.Add(min(r.Took(p.id+"/tier/"+number(int32(len(p.tiers))), median, tieringSigma), r.Scale(tieringLimit)))
	if r.Doomed {
		m.failed = tierFailure
	}
	p.tiers = append(p.tiers, m)
}

func (s *EC2) restoreSnapshotTier(r *awssim.Request, in *awsec2.RestoreSnapshotTierInput) (*awsec2.RestoreSnapshotTierOutput, error) {
	days, permanent := aws.ToInt32(in.TemporaryRestoreDays), aws.ToBool(in.PermanentRestore)
	switch {
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	case permanent && in.TemporaryRestoreDays != nil:
		return nil, awssim.Fail("InvalidParameterCombination", "Specify either permanentRestore or temporaryRestoreDays, not both.")
	case !permanent && in.TemporaryRestoreDays == nil:
		days = 1
	}
	if !permanent && (days < 1 || days > 180) {
		return nil, awssim.Fail("InvalidParameterValue", "Value (%d) for parameter temporaryRestoreDays is invalid.", days)
	}
	p, err := s.movable(r, in.SnapshotId, ec2types.StorageTierArchive)
	if err != nil {
		return nil, err
	}
	out := &awsec2.RestoreSnapshotTierOutput{SnapshotId: aws.String(p.id), IsPermanentRestore: &permanent, RestoreStartTime: aws.Time(stamp(r.Now))}
	m := tiering{to: toStandard, begun: r.Now}
	if !permanent {
		m.to, out.RestoreDuration = forDays, &days
	}
	period := time.Duration(days) * 24 * time.Hour
	if _, until := p.tier(r.Now); !until.IsZero() {
		// It is there already: only for how long is changed.
		m.ready = r.Now
		if !permanent {
			m.until = r.Now.Add(period)
		}
		p.tiers = append(p.tiers, m)
		return out, nil
	}
	if q := s.quotas.Unarchivals; q > 0 && s.inTiers(r, func(o *snapshot) bool { m := o.moving(r.Now); return m != nil && m.to != toArchive }) >= q {
		return nil, awssim.Fail("ResourceLimitExceeded", "You have reached your limit of snapshot restores in progress: %d.", q)
	}
	s.move(r, p, m, s.unarchival)
	if last := &p.tiers[len(p.tiers)-1]; !permanent {
		last.until = last.ready.Add(period)
	}
	return out, nil
}

var tierFilters = known{names: []string{"snapshot-id", "volume-id", "last-tiering-operation"}}

// describeSnapshotTierStatus lists the snapshots that were ever moved.
func (s *EC2) describeSnapshotTierStatus(r *awssim.Request, in *awsec2.DescribeSnapshotTierStatusInput) (*awsec2.DescribeSnapshotTierStatusOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	filters, err := parseFilters(r, in.Filters, tierFilters)
	if err != nil {
		return nil, err
	}
	w, err := pageOf(r, in.MaxResults, in.NextToken, 0, "snapshotTierStatusSet")
	if err != nil {
		return nil, err
	}
	t := &s.in(r.Region).snapshots
	page, next := take(r, t.narrow(t.index[indexKey{"owner-id", r.Account}], filters, "snapshot-id", "volume-id"), w, func(p *snapshot) bool {
		ms := p.moves(r.Now)
		if p.owner != r.Account || len(ms) == 0 || !p.seen(r) {
			return false
		}
		for i := range filters {
			f := &filters[i]
			if f.name == "last-tiering-operation" && !f.match(string(ms[len(ms)-1].status(r.Now))) || f.name != "last-tiering-operation" && !p.match(f, r.Now) {
				return false
			}
		}
		return true
	})
	out := &awsec2.DescribeSnapshotTierStatusOutput{NextToken: next}
	for _, p := range page {
		out.SnapshotTierStatuses = append(out.SnapshotTierStatuses, p.tierStatus(r.Now))
	}
	return out, nil
}

func (p *snapshot) tierStatus(now time.Time) ec2types.SnapshotTierStatus {
	ms := p.moves(now)
	last := ms[len(ms)-1]
	t, until := p.tier(now)
	progress := int32(100)
	if now.Before(last.ready) {
		progress = int32(100 * now.Sub(last.begun) / last.ready.Sub(last.begun))
	}
	o := ec2types.SnapshotTierStatus{SnapshotId: aws.String(p.id), VolumeId: aws.String(p.volume), OwnerId: aws.String(p.owner), Status: p.state(now), StorageTier: t,
		LastTieringOperationStatus: last.status(now), LastTieringProgress: &progress, LastTieringStartTime: aws.Time(stamp(last.begun)), Tags: outTags(p.tags.at(now))}
	if last.failed != "" && !now.Before(last.ready) {
		o.LastTieringOperationStatusDetail = aws.String(last.failed)
	}
	if !until.IsZero() {
		o.RestoreExpiryTime = aws.Time(stamp(until))
	}
	for _, m := range ms {
		if m.to == toArchive && m.failed == "" && !now.Before(m.ready) {
			o.ArchivalCompleteTime = aws.Time(stamp(m.ready))
		}
	}
	return o
}
