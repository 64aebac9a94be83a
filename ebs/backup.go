package ebs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/policy"
)

// BackupOptions are the settings of a backup.
type BackupOptions struct {
	// ExcludeBoot leaves the instance's root volume out of the set.
	ExcludeBoot bool
	// ExcludeVolumes leaves data volumes out of the set: at most 40 ids, as EC2 allows. The root volume is left out by ExcludeBoot only.
	ExcludeVolumes []string
	// Description is kept with each snapshot, at most 255 characters.
	Description string
	// Quiesce brings the instance to rest while its set is made.
	Quiesce Quiesce
}

// OptionsFor makes BackupOptions usable as backup.Spec.Options.
func (BackupOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionBackup }

func (o BackupOptions) valid(r backup.Ref) error {
	if r.Type == TypeVolume && (o.ExcludeBoot || len(o.ExcludeVolumes) > 0) {
		return invalid(backup.ActionBackup, r, "volumes are left out of an instance's set only", "a single volume has nothing to exclude")
	}
	if len(o.ExcludeVolumes) > 40 {
		return invalid(backup.ActionBackup, r, "EC2 takes at most 40", "%d volumes to exclude", len(o.ExcludeVolumes))
	}
	for _, v := range o.ExcludeVolumes {
		if err := policy.ValidateVolumeID(v); err != nil {
			return &backup.Error{Op: "backup", Kind: Kind, Ref: r, Code: backup.ErrInvalid, Err: err, Hint: "ExcludeVolumes takes volume ids"}
		}
	}
	if len(o.Description) > 255 {
		return invalid(backup.ActionBackup, r, "shorten it", "the description has %d bytes, more than 255", len(o.Description))
	}
	return o.Quiesce.valid(r)
}

// The stages of a backup.
const (
	stageDescribe = "describe" // what is to be backed up is looked at
	stageCreate   = "create"   // the create call may be made
	stageSettle   = "settle"   // the create call was perhaps made; its result is looked for
	stagePark     = "park"     // EC2 refused for a reason that passes
	stageWait     = "wait"     // the snapshots are pending
	stageUndo     = "undo"     // a canceled backup's snapshots may be deleted
	stageUndone   = "undone"   // and are seen gone
	stageStop     = "stop"     // canceled before anything was made
)

// patience is how long something that must exist may be absent before that is believed. Source: EC2 developer guide, "Eventual consistency".
const patience = time.Minute

// maxMembers is the most volumes of one CreateSnapshots call. Source: EBS user guide, "Create multi-volume snapshots".
const maxMembers = 128

// backupState is a backup's State. The lists are parallel; they take about 60 bytes a volume.
type backupState struct {
	ExcludeBoot bool     `json:"xb,omitempty"`
	Exclude     []string `json:"x,omitempty"`
	Description string   `json:"d,omitempty"`
	Volumes     []string `json:"v,omitempty"`
	Devices     []string `json:"dev,omitempty"`
	Root        int      `json:"r"` // index of the root volume, -1 if it is not among them
	Snapshots   []string `json:"s,omitempty"`
	// Extra are snapshots of volumes that were attached after the plan was made; they are of this set too.
	Extra []string `json:"e,omitempty"`
	// Generation counts the times that the create call was armed; it tells apart the sets of two sends.
	Generation int `json:"g,omitempty"`
	// Set is the id of the set that the armed call makes, later that of the one that was made.
	Set string `json:"set,omitempty"`
	// Looks counts the looks of the present settling.
	Looks int `json:"k,omitempty"`
	// Undone counts the times that a canceled backup's snapshots were deleted.
	Undone int `json:"u,omitempty"`
	// Lost is since when a member has not been seen.
	Lost time.Time `json:"l,omitzero"`
	// Quiesce is nil where nothing is to be frozen.
	Quiesce *quiesceState `json:"q,omitempty"`
}

func (st backupState) ids() []string {
	ids := slices.DeleteFunc(slices.Clone(st.Snapshots), func(s string) bool { return s == "" })
	return append(ids, st.Extra...)
}

func (s *Strategy) stepBackup(ctx context.Context, c *awsec2.Client, op backup.Operation) (backup.Operation, error) {
	var st backupState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageDescribe:
		return s.plan(ctx, c, op, st)
	case stagePark:
		if left := s.opts.Park - time.Since(op.Since); left > 0 {
			op.PollIn(min(left, s.opts.Park))
			return op, nil
		}
		// What is attached may have changed while waiting: the plan is made again.
		op.To(stageDescribe, "")
		return op, nil
	case stageCreate:
		create := s.createFrozen
		if st.Quiesce == nil {
			create = s.createOnce
		}
		switch op.Intent() {
		case backup.Send:
			return create(ctx, c, op, st)
		case backup.LookOnce:
			found, err := s.look(ctx, c, op)
			if err != nil {
				return op, err
			}
			if next, ok, err := s.adopt(op, st, found, false); ok || err != nil {
				return next, err
			}
			return create(ctx, c, op, st)
		case backup.Settle:
			if st.Quiesce != nil {
				return s.thawFirst(op, st)
			}
			op.Settle(stageSettle)
			return op, nil
		}
		return op, nil
	case stageSettle:
		return s.settle(ctx, c, op, st)
	case stageThaw:
		return s.thaw(ctx, op, st)
	case stageLabel:
		return s.label(ctx, c, op, st)
	case stageWait:
		return s.watch(ctx, c, op, st)
	case stageUndo:
		return s.undo(ctx, c, op, st)
	case stageUndone:
		return s.undone(ctx, c, op, st)
	case stageStop:
		op.Fail(failure(op, "cancel", backup.ErrCanceled, "", "canceled before anything was made"))
		return op, nil
	}
	return op, failure(op, "backup", backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
}

// plan looks at what is to be backed up and arms the create call.
func (s *Strategy) plan(ctx context.Context, c *awsec2.Client, op backup.Operation, st backupState) (backup.Operation, error) {
	p, err := s.targets(ctx, c, op.Ref, st)
	if err != nil {
		if backup.CodeOf(err) == backup.ErrNotFound {
			// One look that does not find it proves nothing: it may be new. The time counts from the first such look.
			if st.Lost.IsZero() {
				st.Lost = time.Now().UTC().Round(0)
			}
			if time.Since(st.Lost) < min(patience, s.opts.Settle) {
				op.PollIn(s.opts.PollMin)
				return op, op.SetState(st)
			}
		}
		if permanent(err) {
			op.Fail(err)
			return op, nil
		}
		return op, err
	}
	st.Lost = time.Time{}
	if p.notYet != "" {
		if err := op.SetState(st); err != nil {
			return op, err
		}
		op.To(stagePark, "")
		op.PollIn(s.opts.Park)
		op.Find(backup.Finding{ID: "ebs.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: p.notYet})
		return op, nil
	}
	st.Volumes, st.Devices, st.Root, st.Snapshots, st.Extra = p.volumes, p.devices, p.root, nil, nil
	st.Generation++
	st.Looks = 0
	if op.Ref.Type == TypeInstance {
		st.Set = setID(op, st.Generation)
	}
	n := len(s.tags(op, st))
	if st.Quiesce != nil {
		n++ // TagConsistency
	}
	if n > 50 {
		op.Fail(failure(op, "backup", backup.ErrInvalid, "a snapshot has at most 50 tags: use fewer of your own",
			"%d tags would be needed, for %d volumes", n, len(st.Volumes)))
		return op, nil
	}
	next := "CreateSnapshots"
	if op.Ref.Type == TypeVolume {
		next = "CreateSnapshot"
	}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageCreate, nextCreate(st, next))
	return op, nil
}

func (s *Strategy) createOnce(ctx context.Context, c *awsec2.Client, op backup.Operation, st backupState) (backup.Operation, error) {
	return s.create(ctx, c, op, st)
}

// create makes the one call that must never be made twice.
func (s *Strategy) create(ctx context.Context, c *awsec2.Client, op backup.Operation, st backupState, more ...func(*awsec2.Options)) (backup.Operation, error) {
	with := append([]func(*awsec2.Options){s.sending}, more...)
	spec := []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSnapshot, Tags: tagList(s.tags(op, st))}}
	var description *string
	if st.Description != "" {
		description = &st.Description
	}
	made := map[string]string{}
	var err error
	if op.Ref.Type == TypeVolume {
		var out *awsec2.CreateSnapshotOutput
		out, err = c.CreateSnapshot(ctx, &awsec2.CreateSnapshotInput{VolumeId: &op.Ref.ID, Description: description, TagSpecifications: spec}, with...)
		if err == nil {
			made[op.Ref.ID] = aws.ToString(out.SnapshotId)
		}
	} else {
		in := &awsec2.CreateSnapshotsInput{Description: description, TagSpecifications: spec,
			InstanceSpecification: &ec2types.InstanceSpecification{InstanceId: &op.Ref.ID, ExcludeDataVolumeIds: st.Exclude}}
		if st.ExcludeBoot {
			in.InstanceSpecification.ExcludeBootVolume = aws.Bool(true)
		}
		var out *awsec2.CreateSnapshotsOutput
		out, err = c.CreateSnapshots(ctx, in, with...)
		if err == nil {
			for _, x := range out.Snapshots {
				made[aws.ToString(x.VolumeId)] = aws.ToString(x.SnapshotId)
			}
		}
	}
	for v, id := range made {
		if v == "" || id == "" {
			clear(made)
			break
		}
	}
	if err == nil && len(made) == 0 {
		// Something was made, but what? It is looked for.
		return op, &backup.Error{Op: op.Next, Kind: Kind, Ref: op.Ref, Code: backup.ErrUnavailable, Err: errText("the answer names no snapshot"),
			Hint: "it is looked for by its tags"}
	}
	if err != nil {
		v := table.Classify(err)
		failed := v.Error(Kind, op.Next, op.Ref, err)
		switch v.Class {
		case awscall.NotApplied:
			op.Unsent()
		case awscall.NotYet:
			op.To(stagePark, "")
			op.PollIn(s.opts.Park)
			op.Find(backup.Finding{ID: "ebs.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: v.AWSCode, Remedy: v.Hint})
			return op, nil
		case awscall.Permanent:
			op.Fail(failed)
			return op, nil
		}
		return op, failed
	}
	return s.made(op, st, made)
}

// made takes over the snapshots of the planned volumes and goes on to wait for them.
func (s *Strategy) made(op backup.Operation, st backupState, made map[string]string) (backup.Operation, error) {
	st.Snapshots = make([]string, len(st.Volumes))
	for i, v := range st.Volumes {
		st.Snapshots[i] = made[v]
		delete(made, v)
	}
	st.Extra = nil
	for v, id := range made {
		st.Extra = append(st.Extra, id)
		op.Find(backup.Finding{ID: "ebs.extra-volume", Severity: backup.SeverityWarning, Ref: Volume(op.Ref.Account, op.Ref.Region, v),
			Message: fmt.Sprintf("volume %s was attached after the plan was made; its snapshot %s is in the set, without a device", v, id)})
	}
	slices.Sort(st.Extra)
	if op.Ref.Type == TypeVolume {
		op.AddPoint(Snapshot(op.Ref.Account, op.Ref.Region, st.Snapshots[0]))
	} else {
		op.AddPoint(Set(op.Ref.Account, op.Ref.Region, st.Set))
	}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	if op.Canceling {
		op.To(stageUndo, "DeleteSnapshot")
		return op, nil
	}
	op.To(stageWait, "")
	s.wait(&op)
	return op, nil
}

// permanent tells errors of looking that looking again will not mend.
func permanent(err error) bool {
	switch backup.CodeOf(err) {
	case backup.ErrNotFound, backup.ErrInvalid, backup.ErrUnsupported, backup.ErrConflict, backup.ErrPartial:
		return true
	}
	return false
}
