package ec2sim

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// How long a snapshot takes: an assumption, because AWS promises nothing.
const (
	snapshotTakes = 3 * time.Minute
	snapshotSigma = 1
)

// The StateMessage of snapshots that failed.
const (
	keyMessage    = "Given key ID is not accessible"
	doomedMessage = "An internal error occurred while the snapshot was made"
)

func (s *EC2) createSnapshot(r *awssim.Request, in *awsec2.CreateSnapshotInput) (*awsec2.CreateSnapshotOutput, error) {
	switch {
	case in.OutpostArn != nil:
		return nil, unsupported(r, "OutpostArn")
	case in.Location == ec2types.SnapshotLocationEnumLocal:
		return nil, unsupported(r, "Location")
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	}
	v, err := s.volume(r, in.VolumeId)
	if err != nil {
		return nil, err
	}
	tags, err := specified(in.TagSpecifications, ec2types.ResourceTypeSnapshot)
	if err != nil {
		return nil, err
	}
	if err := s.allowed(r, []*volume{v}); err != nil {
		return nil, err
	}
	p := s.snap(r, v, aws.ToString(in.Description), tags[ec2types.ResourceTypeSnapshot])
	switch {
	case v.encrypted && !keyUsable(r, v.key):
		p.failed = keyMessage
	case r.Doomed:
		p.failed = doomedMessage
	}
	s.enter(r, v, p)
	var o ec2types.Snapshot
	p.fill(&o, new(cells), r.Now)
	return &awsec2.CreateSnapshotOutput{Description: o.Description, Encrypted: o.Encrypted, KmsKeyId: o.KmsKeyId, OwnerId: o.OwnerId, Progress: aws.String(""),
		SnapshotId: o.SnapshotId, StartTime: o.StartTime, State: o.State, Tags: o.Tags, VolumeId: o.VolumeId, VolumeSize: o.VolumeSize}, nil
}

// maxSet is how many volumes one CreateSnapshots call takes; maxExclude how many it may leave out by id.
// Source: EBS User Guide, "Create multi-volume snapshots"; EC2 API, InstanceSpecification.
const (
	maxSet     = 128
	maxExclude = 40
)

func (s *EC2) createSnapshots(r *awssim.Request, in *awsec2.CreateSnapshotsInput) (*awsec2.CreateSnapshotsOutput, error) {
	switch {
	case in.OutpostArn != nil:
		return nil, unsupported(r, "OutpostArn")
	case in.Location == ec2types.SnapshotLocationEnumLocal:
		return nil, unsupported(r, "Location")
	case in.InstanceSpecification == nil || in.InstanceSpecification.InstanceId == nil:
		return nil, awssim.Fail("MissingParameter", "The request must contain the parameter instanceId")
	case in.CopyTagsFromSource != "" && in.CopyTagsFromSource != ec2types.CopyTagsFromSourceVolume:
		return nil, awssim.Fail("InvalidParameterValue", "Value (%s) for parameter copyTagsFromSource is invalid.", in.CopyTagsFromSource)
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	}
	volumes, err := s.members(r, in.InstanceSpecification)
	if err != nil {
		return nil, err
	}
	given, err := specified(in.TagSpecifications, ec2types.ResourceTypeSnapshot)
	if err != nil {
		return nil, err
	}
	tags := make([][]tag, len(volumes))
	for i, v := range volumes {
		tags[i] = given[ec2types.ResourceTypeSnapshot]
		if in.CopyTagsFromSource == ec2types.CopyTagsFromSourceVolume {
			users := slices.DeleteFunc(slices.Clone(v.tags.newest()), func(g tag) bool { return strings.HasPrefix(g.key, awsReserved) })
			tags[i] = merged(users, tags[i])
			if err := checkCount(tags[i]); err != nil {
				return nil, err
			}
		}
	}
	if err := s.allowed(r, volumes); err != nil {
		return nil, err
	}
	s.sets++
	set := "set-" + strconv.Itoa(s.sets)
	made := make([]*snapshot, len(volumes))
	failed := ""
	if r.Doomed {
		failed = doomedMessage
	}
	for i, v := range volumes {
		made[i] = s.snap(r, v, aws.ToString(in.Description), tags[i])
		made[i].set = set
		if v.encrypted && !keyUsable(r, v.key) {
			failed = keyMessage
		}
	}
	if failed != "" {
		// If one fails, all do, and none of them completes before.
		first := slices.MinFunc(made, func(a, b *snapshot) int { return a.ready.Compare(b.ready) }).ready
		for _, p := range made {
			p.failed, p.ready = failed, first
		}
	}
	out := &awsec2.CreateSnapshotsOutput{Snapshots: make([]ec2types.SnapshotInfo, len(made))}
	for i, p := range made {
		s.enter(r, volumes[i], p)
		var o ec2types.Snapshot
		p.fill(&o, new(cells), r.Now)
		out.Snapshots[i] = ec2types.SnapshotInfo{Description: o.Description, Encrypted: o.Encrypted, OwnerId: o.OwnerId, Progress: aws.String(""), SnapshotId: o.SnapshotId,
			StartTime: o.StartTime, State: o.State, Tags: o.Tags, VolumeId: o.VolumeId, VolumeSize: o.VolumeSize}
	}
	return out, nil
}

// members gives the volumes that an instance specification names, in the order of their devices.
func (s *EC2) members(r *awssim.Request, spec *ec2types.InstanceSpecification) ([]*volume, error) {
	if len(spec.ExcludeDataVolumeIds) > maxExclude {
		return nil, awssim.Fail("InvalidParameterValue", "You can exclude at most %d data volumes.", maxExclude)
	}
	i, err := s.instance(r, spec.InstanceId)
	if err != nil {
		return nil, err
	}
	switch state := i.state(r.Now); state {
	case ec2types.InstanceStateNameShuttingDown, ec2types.InstanceStateNameTerminated:
		return nil, awssim.Fail("IncorrectInstanceState", "The instance '%s' is '%s'", i.id, state)
	}
	out := slices.Clone(spec.ExcludeDataVolumeIds)
	var list []*volume
	var devices []string
	for _, v := range i.volumes {
		a := v.attachment(r.Now)
		if a == nil || a.instance != i {
			continue
		}
		at := slices.Index(out, v.id)
		switch {
		case at >= 0 && a.root:
			return nil, awssim.Fail("InvalidParameterValue", "The volume '%s' is the root volume. Use ExcludeBootVolume to exclude it.", v.id)
		case at >= 0:
			out = slices.DeleteFunc(out, func(id string) bool { return id == v.id })
			continue
		case a.root && aws.ToBool(spec.ExcludeBootVolume):
			continue
		}
		list, devices = append(list, v), append(devices, a.device)
	}
	if len(out) > 0 {
		return nil, awssim.Fail("InvalidParameterValue", "The volume '%s' is not attached to instance '%s'.", out[0], i.id)
	}
	if len(list) == 0 {
		return nil, awssim.Fail("InvalidParameterValue", "There are no volumes to make snapshots of.")
	}
	if len(list) > maxSet {
		return nil, awssim.Fail("InvalidParameterValue", "At most %d volumes can be in one set of snapshots.", maxSet)
	}
	order := make([]int, len(list))
	for n := range order {
		order[n] = n
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(devices[a], devices[b]) })
	sorted := make([]*volume, len(list))
	for n, at := range order {
		sorted[n] = list[at]
	}
	return sorted, nil
}

// allowed checks the volumes' states and all quotas for one snapshot of each volume, before anything is made.
func (s *EC2) allowed(r *awssim.Request, volumes []*volume) error {
	for _, v := range volumes {
		if state := v.state(r.Now); state != ec2types.VolumeStateAvailable && state != ec2types.VolumeStateInUse {
			return awssim.Fail("IncorrectState", "The volume '%s' is '%s'", v.id, state)
		}
		if q := r.Scale(s.quotas.VolumeInterval); q > 0 && !v.snapped.IsZero() && r.Now.Sub(v.snapped) < q {
			return awssim.Fail("SnapshotCreationPerVolumeRateExceeded", "The maximum per volume CreateSnapshot request rate has been exceeded. Use an increasing or variable sleep interval between requests.")
		}
		limit := s.quotas.ConcurrentPerVolume
		if v.kind == ec2types.VolumeTypeSt1 || v.kind == ec2types.VolumeTypeSc1 {
			limit = s.quotas.ConcurrentPerHDD
		}
		if limit > 0 && v.pending.open(r.Now) >= limit {
			return awssim.Fail("ConcurrentSnapshotLimitExceeded", "Maximum allowed in-progress snapshots for a single volume exceeded.")
		}
	}
	a := s.in(r.Region).account(r.Account)
	if q := s.quotas.PendingSnapshots; q > 0 && a.pending.open(r.Now)+len(volumes) > q {
		return awssim.Fail("PendingSnapshotLimitExceeded", "You have reached your limit of pending snapshots: %d.", q)
	}
	if q := s.quotas.SnapshotsPerRegion; q > 0 && a.live+len(volumes) > q {
		return awssim.Fail("SnapshotLimitExceeded", "You have reached your limit of snapshots: %d.", q)
	}
	return nil
}

// snap makes a snapshot of a volume that is in no table yet. How long it takes depends on the volume and on how many there were of it.
func (s *EC2) snap(r *awssim.Request, v *volume, description string, tags []tag) *snapshot {
	p := &snapshot{volume: v.id, size: v.size, description: strings.Clone(description), encrypted: v.encrypted, key: v.key, start: r.Now}
	p.resource = resource{seq: s.next(), id: r.NewID("snap"), owner: r.Account, made: r.Now, lag: r.Lag(), tags: firstTags(tags)}
	p.ready = r.Now.Add(r.Took(v.id+"/"+strconv.Itoa(v.count), snapshotTakes, snapshotSigma))
	v.count++
	return p
}

// enter puts a snapshot into the tables and counts it against the quotas.
func (s *EC2) enter(r *awssim.Request, v *volume, p *snapshot) {
	g := s.in(r.Region)
	g.snapshots.add(p)
	g.snapshots.note(p, "volume-id", p.volume)
	v.snapped = r.Now
	v.pending.open(r.Now)
	v.pending.add(p.ready)
	a := g.account(r.Account)
	a.live++
	a.pending.open(r.Now)
	a.pending.add(p.ready)
}
