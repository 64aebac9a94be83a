package ebs

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/policy"
)

// RestoreOptions are the settings of a restore. Zone is required.
type RestoreOptions struct {
	// Zone is the availability zone of the new volumes, such as "eu-west-1a": that of the instance which will use them.
	Zone string
	// VolumeType, IOPS and Throughput (MiB/s) are those of every new volume; empty and 0 mean gp3 with its base performance.
	VolumeType string
	IOPS       int32
	Throughput int32
	// SizeGiB makes the volume of a single snapshot larger; 0 keeps its size. The file system must be grown by hand afterwards.
	SizeGiB int32
	// KMSKeyID is the ARN of the key to encrypt with. Empty keeps the snapshot's key, or follows the account's default for an
	// unencrypted one.
	KMSKeyID string
	// InitializationRate, 100 to 300 MiB/s, has EC2 load the data at that rate for a fee, instead of when it is first read; 0 means not.
	InitializationRate int32
	// AllowPartial restores the members that are there of a set that is short. The Operation then ends in PhasePartial.
	AllowPartial bool
}

// OptionsFor makes RestoreOptions usable as backup.Spec.Options.
func (RestoreOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionRestore }

type restoreState struct {
	Options   RestoreOptions `json:"o"`
	Snapshots []string       `json:"s,omitempty"`
	Volumes   []string       `json:"v,omitempty"` // parallel to Snapshots, "" not made yet
	// Short is how many members of the set are not restored, because they are not there.
	Short int `json:"n,omitempty"`
	// Lost is since when something that must be there has not been seen.
	Lost time.Time `json:"l,omitzero"`
	// Refused is why EC2 made no further volume; what an earlier attempt perhaps made is looked for before the restore ends with it.
	Refused *backup.Failure `json:"f,omitempty"`
}

// createBatch is how many volumes one Step makes: well below what fits into its minute, and into EC2's burst of 100 calls.
const createBatch = 25

// StartRestore makes the Operation that restores a snapshot to a new volume, or a set to new volumes, all in one zone. The volumes are listed
// in Made in the order of the set's devices; each carries TagVolume, TagDevice and TagRole, so that they can be attached as they were.
func (s *Strategy) StartRestore(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionRestore, point, spec, TypeSnapshot, TypeSet)
	if err != nil {
		return backup.Operation{}, err
	}
	o, ok := spec.Options.(RestoreOptions)
	if !ok {
		return backup.Operation{}, invalid(op.Action, point, "set Spec.Options to ebs.RestoreOptions with a Zone", "options of type %T", spec.Options)
	}
	if err := o.valid(point); err != nil {
		return backup.Operation{}, err
	}
	op.Stage = stageLook
	return op, op.SetState(restoreState{Options: o})
}

func (o RestoreOptions) valid(r backup.Ref) error {
	bad := func(hint, format string, args ...any) error {
		return invalid(backup.ActionRestore, r, hint, format, args...)
	}
	if err := policy.ValidateZone(o.Zone, r.Region); err != nil {
		return bad("name a zone of the Region, such as "+r.Region+"a", "%w", err)
	}
	if o.KMSKeyID != "" {
		if err := policy.ValidateKMSKeyARN(o.KMSKeyID); err != nil {
			return bad("give the key's ARN", "%w", err)
		}
	}
	switch {
	case o.SizeGiB < 0 || o.SizeGiB > 65536 || o.IOPS < 0 || o.Throughput < 0:
		return bad("leave them 0 for the snapshot's size and the type's base performance", "size %d GiB, %d IOPS, %d MiB/s", o.SizeGiB, o.IOPS, o.Throughput)
	case o.SizeGiB > 0 && r.Type == TypeSet:
		return bad("grow the volumes after the restore", "the volumes of a set keep their sizes")
	case o.InitializationRate != 0 && (o.InitializationRate < 100 || o.InitializationRate > 300):
		return bad("leave it 0 or choose 100 to 300", "an initialization rate of %d MiB/s", o.InitializationRate)
	case strings.ContainsAny(o.VolumeType, "*? ") || len(o.VolumeType) > 16:
		return bad("use a type such as gp3", "the volume type %q", o.VolumeType)
	}
	return nil
}

func (s *Strategy) stepRestore(ctx context.Context, c *awsec2.Client, op backup.Operation) (backup.Operation, error) {
	var st restoreState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageLook:
		return s.lookRestore(ctx, c, op, st)
	case stageCreate:
		if op.Intent() == backup.ReadOnly {
			return op, nil
		}
		return s.createVolumes(ctx, c, op, st)
	case stageSettle:
		return s.settleVolumes(ctx, c, op, st)
	case stageWait:
		return s.watchVolumes(ctx, c, op, st)
	}
	return op, failure(op, "restore", backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
}

func (s *Strategy) lookRestore(ctx context.Context, c *awsec2.Client, op backup.Operation, st restoreState) (backup.Operation, error) {
	members, err := s.gather(ctx, c, &op, &st.Lost, "")
	if err != nil {
		return op, err
	}
	if len(members) == 0 {
		return op, op.SetState(st)
	}
	p := single(op.Ref, members[0])
	if op.Ref.Type == TypeSet {
		p = setPoint(op.Ref, op.Ref.ID, members)
	}
	switch p.Status {
	case backup.StatusAvailable:
	case backup.StatusPartial:
		if !st.Options.AllowPartial {
			op.Fail(failure(op, "restore", backup.ErrUnsupported, "set RestoreOptions.AllowPartial to restore what there is, or choose another recovery point",
				"the set is short of some members"))
			return op, nil
		}
	case backup.StatusPending:
		op.Fail(failure(op, "restore", backup.ErrConflict, "wait for the backup to complete, then restore with another token", "the recovery point is not complete yet"))
		return op, nil
	default:
		op.Fail(failure(op, "restore", backup.ErrUnsupported, "choose another recovery point", "the recovery point is %s", p.Status))
		return op, nil
	}
	for _, x := range members {
		if refused := archived(op, "restore", x); refused != nil && x.State == ec2types.SnapshotStateCompleted {
			op.Fail(refused)
			return op, nil
		}
	}
	st.Snapshots = nil
	if len(p.Members) == 0 {
		st.Snapshots = []string{p.ID}
	}
	for _, m := range p.Members {
		if m.Status == backup.StatusAvailable {
			st.Snapshots = append(st.Snapshots, m.ID)
		}
	}
	st.Short = max(planned(members), len(p.Members)) - len(p.Members)
	for _, m := range p.Members {
		if m.Status != backup.StatusAvailable {
			st.Short++
		}
	}
	st.Volumes, st.Lost = make([]string, len(st.Snapshots)), time.Time{}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageCreate, "CreateVolume")
	return op, nil
}

// createVolumes makes the next volumes. CreateVolume has a client token, here a deterministic one: the same call again gives the same volume.
// What an earlier attempt made is looked for all the same, so that the safety does not rest on one mechanism.
func (s *Strategy) createVolumes(ctx context.Context, c *awsec2.Client, op backup.Operation, st restoreState) (backup.Operation, error) {
	if op.Intent() != backup.Send {
		if err := s.lookVolumes(ctx, c, op, &st); err != nil {
			return op, err
		}
	}
	found, err := s.byID(ctx, c, op.Ref, st.Snapshots)
	if err != nil {
		return op, err
	}
	n := 0
	for i, id := range st.Snapshots {
		if st.Volumes[i] != "" {
			continue
		}
		if n == createBatch {
			break
		}
		x, ok := found[id]
		if !ok {
			// The volume's tags come from its snapshot, and a token goes with the same tags always: what can not be seen is not used.
			return s.unseen(op, st, id)
		}
		out, err := c.CreateVolume(ctx, s.volumeInput(op, st, i, x), s.sending)
		if err == nil && aws.ToString(out.VolumeId) == "" {
			err = errText("the answer names no volume")
		}
		if err != nil {
			return s.refusedVolume(op, st, n, err)
		}
		st.Volumes[i] = *out.VolumeId
		n++
	}
	st.Lost = time.Time{}
	if err := s.keep(&op, st); err != nil {
		return op, err
	}
	if slices.Contains(st.Volumes, "") {
		op.To(stageCreate, "CreateVolume")
		return op, nil
	}
	op.To(stageWait, "")
	op.PollIn(s.opts.PollMin)
	return op, nil
}

// unseen waits for a snapshot that was seen before, and fails the restore when it has not been seen for long.
func (s *Strategy) unseen(op backup.Operation, st restoreState, id string) (backup.Operation, error) {
	if st.Lost.IsZero() {
		st.Lost = time.Now().UTC().Round(0)
	}
	if err := s.keep(&op, st); err != nil {
		return op, err
	}
	if time.Since(st.Lost) < s.opts.Settle {
		op.PollIn(s.opts.PollMin)
		return op, nil
	}
	return s.give(op, st, &backup.Failure{Code: backup.ErrFailed, Op: "restore", Message: "snapshot " + id + " has disappeared: somebody else deleted it",
		Hint: "choose another recovery point; delete the volumes that are listed in Made"})
}

// lookVolumes adds to st what carries the Operation's token.
func (s *Strategy) lookVolumes(ctx context.Context, c *awsec2.Client, op backup.Operation, st *restoreState) error {
	all, err := s.volumes(ctx, c, op.Ref, filter("tag:"+backup.TagToken, op.ID))
	if err != nil {
		return err
	}
	for _, v := range all {
		if i := slices.Index(st.Snapshots, aws.ToString(v.SnapshotId)); i >= 0 && st.Volumes[i] == "" {
			st.Volumes[i] = aws.ToString(v.VolumeId)
		}
	}
	return nil
}

// keep writes the volumes that were made into the Operation.
func (s *Strategy) keep(op *backup.Operation, st restoreState) error {
	for _, v := range st.Volumes {
		if v != "" {
			op.AddMade(Volume(op.Ref.Account, op.Ref.Region, v))
		}
	}
	return op.SetState(st)
}

// give goes on to end the restore with a failure, after what an earlier attempt perhaps made was looked for.
func (s *Strategy) give(op backup.Operation, st restoreState, f *backup.Failure) (backup.Operation, error) {
	st.Refused = f
	if err := s.keep(&op, st); err != nil {
		return op, err
	}
	op.Settle(stageSettle)
	return op, nil
}

// settleVolumes looks for volumes that an earlier attempt perhaps made, and ends the restore.
func (s *Strategy) settleVolumes(ctx context.Context, c *awsec2.Client, op backup.Operation, st restoreState) (backup.Operation, error) {
	if err := s.lookVolumes(ctx, c, op, &st); err != nil {
		return op, err
	}
	if err := s.keep(&op, st); err != nil {
		return op, err
	}
	if time.Since(op.Since) < s.opts.Settle && slices.Contains(st.Volumes, "") {
		s.wait(&op)
		return op, nil
	}
	f := st.Refused
	op.Fail(&backup.Error{Op: f.Op, Kind: Kind, Ref: op.Ref, Code: f.Code, Err: errText(f.Message), Hint: f.Hint})
	return op, nil
}

func (s *Strategy) refusedVolume(op backup.Operation, st restoreState, n int, err error) (backup.Operation, error) {
	v := table.Classify(err)
	failed := v.Error(Kind, "CreateVolume", op.Ref, err)
	if v.Class == awscall.Permanent {
		if op.Intent() == backup.Send {
			if err := s.keep(&op, st); err != nil {
				return op, err
			}
			op.Fail(failed)
			return op, nil
		}
		// This call was refused, but an earlier one was perhaps not.
		return s.give(op, st, &backup.Failure{Code: v.Code, Op: "CreateVolume", Message: err.Error(), Hint: v.Hint})
	}
	if v.Class == awscall.NotYet {
		op.PollIn(s.opts.Park)
		op.Find(backup.Finding{ID: "ebs.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: v.AWSCode, Remedy: v.Hint})
		return op, s.keep(&op, st)
	}
	if n > 0 {
		// What was made in this Step must not be forgotten; the attempt stays counted, so that the next Step looks first.
		op.PollIn(s.opts.PollMin)
		return op, s.keep(&op, st)
	}
	if v.Class == awscall.NotApplied {
		op.Unsent()
	}
	return op, failed
}

func (s *Strategy) volumeInput(op backup.Operation, st restoreState, i int, x ec2types.Snapshot) *awsec2.CreateVolumeInput {
	o := st.Options
	tags := tagMap(x.Tags)
	m := op.OwnTags(op.Ref)
	volume := volumeOf(x, tags)
	m[TagVolume] = volume
	if d := Devices(tags)[volume]; d != "" {
		m[TagDevice] = d
	}
	m[TagRole] = "data"
	if tags[TagRoot] == volume {
		m[TagRole] = "root"
	}
	in := &awsec2.CreateVolumeInput{
		AvailabilityZone: &o.Zone, SnapshotId: &st.Snapshots[i], ClientToken: aws.String(op.ID + "-" + strconv.Itoa(i)),
		VolumeType:        ec2types.VolumeTypeGp3,
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeVolume, Tags: tagList(m)}},
	}
	if o.VolumeType != "" {
		in.VolumeType = ec2types.VolumeType(o.VolumeType)
	}
	if o.IOPS > 0 {
		in.Iops = &o.IOPS
	}
	if o.Throughput > 0 {
		in.Throughput = &o.Throughput
	}
	if o.SizeGiB > 0 {
		in.Size = &o.SizeGiB
	}
	if o.InitializationRate > 0 {
		in.VolumeInitializationRate = &o.InitializationRate
	}
	if o.KMSKeyID != "" {
		in.Encrypted, in.KmsKeyId = aws.Bool(true), &o.KMSKeyID
	}
	return in
}

// volumes gives the volumes that match.
func (s *Strategy) volumes(ctx context.Context, c *awsec2.Client, r backup.Ref, filters ...ec2types.Filter) ([]ec2types.Volume, error) {
	in := &awsec2.DescribeVolumesInput{Filters: filters, MaxResults: aws.Int32(500)}
	var all []ec2types.Volume
	for {
		out, err := c.DescribeVolumes(ctx, in)
		if err != nil {
			return nil, table.Wrap(Kind, "DescribeVolumes", r, err)
		}
		all = append(all, out.Volumes...)
		if aws.ToString(out.NextToken) == "" {
			return all, nil
		}
		in.NextToken = out.NextToken
	}
}

// watchVolumes ends the restore when every volume can be used. A key that may not be used shows only here, as a volume in error or gone.
func (s *Strategy) watchVolumes(ctx context.Context, c *awsec2.Client, op backup.Operation, st restoreState) (backup.Operation, error) {
	seen := map[string]ec2types.Volume{}
	for part := range slices.Chunk(st.Volumes, maxFilterValues) {
		all, err := s.volumes(ctx, c, op.Ref, filter("volume-id", part...))
		if err != nil {
			return op, err
		}
		for _, v := range all {
			seen[aws.ToString(v.VolumeId)] = v
		}
	}
	good, missing := 0, false
	var bad []string
	for _, id := range st.Volumes {
		v, ok := seen[id]
		switch {
		case !ok:
			missing = true
		case v.State == ec2types.VolumeStateAvailable || v.State == ec2types.VolumeStateInUse:
			good++
		case v.State == ec2types.VolumeStateError:
			bad = append(bad, id+" is in error")
		case v.State == ec2types.VolumeStateDeleting || v.State == ec2types.VolumeStateDeleted:
			bad = append(bad, id+" was deleted")
		}
	}
	op.Percent = 100 * good / len(st.Volumes)
	if !missing {
		st.Lost = time.Time{}
	} else if st.Lost.IsZero() {
		st.Lost = time.Now().UTC().Round(0)
	}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	if missing && time.Since(st.Lost) >= s.opts.Settle {
		for _, id := range st.Volumes {
			if _, ok := seen[id]; !ok {
				bad = append(bad, id+" does not exist")
			}
		}
	}
	switch {
	case len(bad) > 0 && good+len(bad) == len(st.Volumes):
		op.Fail(failure(op, "restore", backup.ErrFailed, "a volume under a key that is disabled or not accessible fails this late; delete the volumes listed in Made",
			"%d of %d volumes: %s", len(bad), len(st.Volumes), strings.Join(bad, "; ")))
	case good == len(st.Volumes) && st.Short > 0:
		op.Fail(failure(op, "restore", backup.ErrPartial, "the set was short when it was restored; what is listed in Made can be used",
			"%d of %d volumes were restored", good, good+st.Short))
	case good == len(st.Volumes):
		op.Succeed()
	default:
		s.wait(&op)
	}
	return op, nil
}
