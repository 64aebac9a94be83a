package ebs

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/snapwarden/snapwarden/backup"
)

// The actions of moving a recovery point to the archive tier and back.
const (
	ActionArchive   backup.Action = Kind + ".archive"
	ActionUnarchive backup.Action = Kind + ".unarchive"
)

// tierTimeout is the time that a move has where Spec.Timeout is 0: a restore from the archive takes up to 72 hours. Source: EBS user guide,
// "Considerations and limitations for archiving Amazon EBS snapshots".
const tierTimeout = 96 * time.Hour

// minTierPoll and maxTierPoll limit the time between two looks at a move, which takes hours. Within them it is a tenth of the time waited.
const (
	minTierPoll = time.Minute
	maxTierPoll = 30 * time.Minute
)

// minArchived is for how long an archived snapshot is paid for at least. Source: as tierTimeout.
const minArchived = 90 * 24 * time.Hour

// ArchiveOptions are the settings of StartArchive.
type ArchiveOptions struct {
	// AllowLast also archives a snapshot when there is no other of its volume in the Region that could be restored at once.
	AllowLast bool
	// AllowForeign also archives a snapshot whose owner tag is not Spec.Owner, or that has none.
	AllowForeign bool
}

// OptionsFor makes ArchiveOptions usable as backup.Spec.Options.
func (ArchiveOptions) OptionsFor() (string, backup.Action) { return Kind, ActionArchive }

// UnarchiveOptions are the settings of StartUnarchive: Days or Permanent is required.
type UnarchiveOptions struct {
	// Days, 1 to 180, brings the snapshots back for that time, counted from when they are there; a copy stays in the archive. How long one that is
	// there already stays is not changed.
	Days int32
	// Permanent brings them back for good. What was archived for less than 90 days is paid for to the end of those.
	Permanent bool
	// AllowForeign also brings back a snapshot whose owner tag is not Spec.Owner, or that has none.
	AllowForeign bool
}

// OptionsFor makes UnarchiveOptions usable as backup.Spec.Options.
func (UnarchiveOptions) OptionsFor() (string, backup.Action) { return Kind, ActionUnarchive }

// stageMove is the stage in which snapshots may be moved between the tiers.
const stageMove = "move"

// tierState is the State of a move.
type tierState struct {
	Days         int32    `json:"d,omitempty"`
	AllowLast    bool     `json:"al,omitempty"`
	AllowForeign bool     `json:"f,omitempty"`
	Snapshots    []string `json:"s,omitempty"`
	// Refused is why EC2 moves no further snapshot; the others are waited for.
	Refused *backup.Failure `json:"x,omitempty"`
	Parks   int             `json:"p,omitempty"`
	// Lost is since when something that must be there has not been seen.
	Lost time.Time `json:"l,omitzero"`
}

// StartArchive makes the Operation that moves a snapshot, or every member of a set, to the archive tier: cheaper to keep, paid for at least 90 days,
// always whole instead of incremental, and up to 72 hours away from being used. Preflight says how large it becomes. The Operation ends
// well when all are there; it can not be canceled. Spec.Options may be ArchiveOptions; Spec.Timeout 0 means 96 hours.
//
// A snapshot is refused that is not completed or not the owner's, that AWS Backup owns, that an image uses which is not disabled, that has fast
// snapshot restore on, which archiving would turn off, that was brought back for some days, or that is the only one of its volume which can be restored at
// once, unless ArchiveOptions.AllowLast. Accounts that a snapshot is shared with lose it.
//
// Source: EBS user guide, "Considerations and limitations for archiving Amazon EBS snapshots".
func (s *Strategy) StartArchive(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.beginMove(ActionArchive, point, spec)
	if err != nil {
		return backup.Operation{}, err
	}
	var st tierState
	if spec.Options != nil {
		o, ok := spec.Options.(ArchiveOptions)
		if !ok {
			return backup.Operation{}, invalid(op.Action, point, "use ebs.ArchiveOptions, not a pointer to it", "options of type %T", spec.Options)
		}
		st.AllowLast, st.AllowForeign = o.AllowLast, o.AllowForeign
	}
	return op, op.SetState(st)
}

// StartUnarchive makes the Operation that brings an archived snapshot, or every archived member of a set, back to the standard tier, for some days or for
// good. It takes up to 72 hours, and can not be canceled. What is there already is left alone. Spec.Options must be UnarchiveOptions;
// Spec.Timeout 0 means 96 hours.
//
// Source: EBS user guide, "Restore an archived Amazon EBS snapshot".
func (s *Strategy) StartUnarchive(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.beginMove(ActionUnarchive, point, spec)
	if err != nil {
		return backup.Operation{}, err
	}
	o, ok := spec.Options.(UnarchiveOptions)
	switch {
	case !ok:
		return backup.Operation{}, invalid(op.Action, point, "set Spec.Options to ebs.UnarchiveOptions", "options of type %T", spec.Options)
	case o.Permanent && o.Days != 0, !o.Permanent && (o.Days < 1 || o.Days > 180):
		return backup.Operation{}, invalid(op.Action, point, "set Days to 1 to 180, or Permanent", "%d days, permanent %v", o.Days, o.Permanent)
	}
	return op, op.SetState(tierState{Days: o.Days, AllowForeign: o.AllowForeign})
}

// beginMove is begin for actions that make nothing.
func (s *Strategy) beginMove(action backup.Action, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(action, point, spec, TypeSnapshot, TypeSet)
	if err != nil {
		return op, err
	}
	if len(spec.Tags) > 0 {
		return op, invalid(action, point, "leave Spec.Tags empty", "nothing is made that could carry tags")
	}
	if spec.Timeout == 0 {
		op.Deadline = op.Started.Add(tierTimeout)
	}
	op.Stage = stageLook
	return op, nil
}

func (s *Strategy) stepTier(ctx context.Context, c *awsec2.Client, op backup.Operation) (backup.Operation, error) {
	var st tierState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageLook:
		return s.planTier(ctx, c, op, st)
	case stagePark:
		if left := s.park(st.Parks) - time.Since(op.Since); left > 0 {
			op.PollIn(left)
			return op, nil
		}
		op.To(stageMove, st.call(op))
		return op, nil
	case stageMove:
		if op.Intent() == backup.ReadOnly {
			return op, nil
		}
		return s.moveTier(ctx, c, op, st)
	case stageWait:
		return s.watchTier(ctx, c, op, st)
	}
	return op, failure(op, "archive", backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
}

// call is what moves a snapshot.
func (st tierState) call(op backup.Operation) string {
	if op.Action == ActionArchive {
		return "ModifySnapshotTier"
	}
	return "RestoreSnapshotTier"
}

// planTier looks at the recovery point and refuses what must not be moved.
func (s *Strategy) planTier(ctx context.Context, c *awsec2.Client, op backup.Operation, st tierState) (backup.Operation, error) {
	members, err := s.gather(ctx, c, &op, &st.Lost, "moved")
	if err != nil {
		return op, err
	}
	if len(members) == 0 {
		return op, op.SetState(st)
	}
	found, refused, err := s.tierVetoes(ctx, c, op, st, members)
	if err != nil {
		return op, err
	}
	if refused != nil {
		op.Fail(refused)
		return op, nil
	}
	for _, f := range found {
		op.Find(f)
	}
	st.Snapshots = nil
	for _, x := range members {
		st.Snapshots = append(st.Snapshots, aws.ToString(x.SnapshotId))
	}
	slices.Sort(st.Snapshots)
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageMove, st.call(op))
	return op, nil
}
