package ec2sim

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// fastRestore is that fast snapshot restore was on for a snapshot in a zone.
type fastRestore struct {
	zone    string
	on, off time.Time // off is zero while it is on
}

// How long turning it on and off takes: enabling and disabling are assumed, optimizing is AWS's hour for a TiB. Source: EBS User Guide, "Amazon EBS fast
// snapshot restore".
const (
	fsrSwitch   = time.Minute
	fsrOptimize = time.Hour
)

// maxFastRestores is how many snapshots of a Region an account has fast restores of; maxFastIDs how many one call names.
const (
	maxFastRestores = 5
	maxFastIDs      = 10
)

func (f fastRestore) state(now time.Time, size int32, scale func(time.Duration) time.Duration) ec2types.FastSnapshotRestoreStateCode {
	if !f.off.IsZero() && !now.Before(f.off) {
		if now.Before(f.off.Add(scale(fsrSwitch))) {
			return ec2types.FastSnapshotRestoreStateCodeDisabling
		}
		return ec2types.FastSnapshotRestoreStateCodeDisabled
	}
	enabling := f.on.Add(scale(fsrSwitch))
	switch {
	case now.Before(enabling):
		return ec2types.FastSnapshotRestoreStateCodeEnabling
	case now.Before(enabling.Add(scale(fsrOptimize * time.Duration(size) / 1024))):
		return ec2types.FastSnapshotRestoreStateCodeOptimizing
	}
	return ec2types.FastSnapshotRestoreStateCodeEnabled
}

// fast reports whether fast restores are on, or not quite off, in any zone.
func (p *snapshot) fast(r *awssim.Request) bool {
	return slices.ContainsFunc(p.restores, func(f fastRestore) bool {
		return f.state(r.Now, p.size, r.Scale) != ec2types.FastSnapshotRestoreStateCodeDisabled
	})
}

// fastTargets gives the snapshots and zones that a call names.
func (s *EC2) fastTargets(r *awssim.Request, ids, zones []string) ([]*snapshot, error) {
	if len(ids) == 0 || len(ids) > maxFastIDs || len(zones) == 0 {
		return nil, awssim.Fail("InvalidParameterValue", "Name 1 to %d snapshots and at least one zone.", maxFastIDs)
	}
	for _, z := range zones {
		if _, err := zoneOf(r, &z, nil); err != nil {
			return nil, err
		}
	}
	var all []*snapshot
	for _, id := range ids {
		if err := checkSnapshotID(id); err != nil {
			return nil, err
		}
		p, ok := s.in(r.Region).snapshots.own(r, id)
		if !ok {
			return nil, noSnapshot(id)
		}
		all = append(all, p)
	}
	return all, nil
}

func (s *EC2) enableFastSnapshotRestores(r *awssim.Request, in *awsec2.EnableFastSnapshotRestoresInput) (*awsec2.EnableFastSnapshotRestoresOutput, error) {
	switch {
	case len(in.AvailabilityZoneIds) > 0:
		return nil, unsupported(r, "AvailabilityZoneIds")
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	}
	all, err := s.fastTargets(r, in.SourceSnapshotIds, in.AvailabilityZones)
	if err != nil {
		return nil, err
	}
	on := 0
	for _, p := range s.in(r.Region).snapshots.index[indexKey{"owner-id", r.Account}] {
		if len(p.restores) > 0 && p.there(r.Now) && p.fast(r) && !slices.Contains(all, p) {
			on++
		}
	}
	if on+len(all) > maxFastRestores {
		return nil, awssim.Fail("FastSnapshotRestoreLimitExceeded", "You have reached your limit of snapshots with fast snapshot restore: %d.", maxFastRestores)
	}
	out := &awsec2.EnableFastSnapshotRestoresOutput{}
	for _, p := range all {
		if err := p.usable(r.Now); err != nil {
			return nil, err
		}
		for _, z := range in.AvailabilityZones {
			if !slices.ContainsFunc(p.restores, func(f fastRestore) bool { return f.zone == z && f.off.IsZero() }) {
				p.restores = append(p.restores, fastRestore{zone: strings.Clone(z), on: r.Now})
			}
			out.Successful = append(out.Successful, ec2types.EnableFastSnapshotRestoreSuccessItem{SnapshotId: aws.String(p.id), AvailabilityZone: aws.String(strings.Clone(z)),
				OwnerId: aws.String(p.owner), State: ec2types.FastSnapshotRestoreStateCodeEnabling, EnablingTime: aws.Time(stamp(r.Now))})
		}
	}
	return out, nil
}

func (s *EC2) disableFastSnapshotRestores(r *awssim.Request, in *awsec2.DisableFastSnapshotRestoresInput) (*awsec2.DisableFastSnapshotRestoresOutput, error) {
	switch {
	case len(in.AvailabilityZoneIds) > 0:
		return nil, unsupported(r, "AvailabilityZoneIds")
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	}
	all, err := s.fastTargets(r, in.SourceSnapshotIds, in.AvailabilityZones)
	if err != nil {
		return nil, err
	}
	out := &awsec2.DisableFastSnapshotRestoresOutput{}
	for _, p := range all {
		for i := range p.restores {
			if f := &p.restores[i]; f.off.IsZero() && slices.Contains(in.AvailabilityZones, f.zone) {
				f.off = r.Now
				out.Successful = append(out.Successful, ec2types.DisableFastSnapshotRestoreSuccessItem{SnapshotId: aws.String(p.id), AvailabilityZone: aws.String(f.zone),
					OwnerId: aws.String(p.owner), State: ec2types.FastSnapshotRestoreStateCodeDisabling, DisablingTime: aws.Time(stamp(r.Now))})
			}
		}
	}
	return out, nil
}

var fastFilters = known{names: []string{"snapshot-id", "owner-id", "state", "availability-zone"}}

// describeFastSnapshotRestores lists a zone's state for each snapshot that it was ever on for, the newest of each. Pages count snapshots.
func (s *EC2) describeFastSnapshotRestores(r *awssim.Request, in *awsec2.DescribeFastSnapshotRestoresInput) (*awsec2.DescribeFastSnapshotRestoresOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	filters, err := parseFilters(r, in.Filters, fastFilters)
	if err != nil {
		return nil, err
	}
	w, err := pageOf(r, in.MaxResults, in.NextToken, 0, "fastSnapshotRestoreSet")
	if err != nil {
		return nil, err
	}
	t := &s.in(r.Region).snapshots
	rows := func(p *snapshot) (items []ec2types.DescribeFastSnapshotRestoreSuccessItem) {
		seen := map[string]bool{}
		for _, f := range slices.Backward(p.restores) {
			if f.on.After(r.Now) || seen[f.zone] {
				continue
			}
			seen[f.zone] = true
			state := f.state(r.Now, p.size, r.Scale)
			value := map[string]string{"snapshot-id": p.id, "owner-id": p.owner, "state": string(state), "availability-zone": f.zone}
			if !slices.ContainsFunc(filters, func(x filter) bool { return !x.match(value[x.name]) }) {
				items = append(items, ec2types.DescribeFastSnapshotRestoreSuccessItem{SnapshotId: aws.String(p.id), OwnerId: aws.String(p.owner),
					AvailabilityZone: aws.String(f.zone), State: state, EnablingTime: aws.Time(stamp(f.on))})
			}
		}
		return items
	}
	page, next := take(r, t.narrow(t.index[indexKey{"owner-id", r.Account}], filters, "snapshot-id", "owner-id"), w, func(p *snapshot) bool {
		return p.owner == r.Account && p.seen(r) && len(rows(p)) > 0
	})
	out := &awsec2.DescribeFastSnapshotRestoresOutput{NextToken: next}
	for _, p := range page {
		out.FastSnapshotRestores = append(out.FastSnapshotRestores, rows(p)...)
	}
	return out, nil
}
