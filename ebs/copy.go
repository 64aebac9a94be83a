package ebs

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// CopyOptions are the settings of a copy.
type CopyOptions struct {
	// AllowPartial copies the members that are there of a set that is short. The Operation then ends in PhasePartial.
	AllowPartial bool
	// NoTags leaves the snapshot's own tags behind. Otherwise a copy carries them, below those of Spec.Tags; EC2 by itself carries none.
	NoTags bool
	// Description is kept with each copy, at most 255 characters; empty keeps the snapshot's own.
	Description string
}

// OptionsFor makes CopyOptions usable as backup.Spec.Options.
func (CopyOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionCopy }

// copyState is a copy's State. The lists are parallel; they take about 50 bytes a member.
type copyState struct {
	To      backup.Destination `json:"to"`
	Options CopyOptions        `json:"o"`
	// Set is the id of the copy of a set. It follows from the Operation's ID alone, because copies of one snapshot are all the same.
	Set     string   `json:"set,omitempty"`
	Sources []string `json:"s,omitempty"`
	Copies  []string `json:"c,omitempty"` // "" not made yet
	// Members is how many members the set was made with, Short how many of them are not there to be copied.
	Members int `json:"m,omitempty"`
	Short   int `json:"n,omitempty"`
	// Refused is why EC2 takes no further member; those that are being copied are waited for.
	Refused *backup.Failure `json:"f,omitempty"`
	// Parks counts the refusals since the last copy was begun, Looks the looks of the present settling, Undone the deletions of a cancel.
	Parks  int `json:"p,omitempty"`
	Looks  int `json:"k,omitempty"`
	Undone int `json:"u,omitempty"`
	// Lost is since when something that must be there has not been seen.
	Lost time.Time `json:"l,omitzero"`
}

// made gives the ids of the copies that were begun.
func (st copyState) made() []string {
	return slices.DeleteFunc(slices.Clone(st.Copies), func(s string) bool { return s == "" })
}

// dest is the place that the copies are made in: a Ref without an id.
func (st copyState) dest() backup.Ref {
	return backup.Ref{Account: st.To.Account, Region: st.To.Region}
}

// point is the recovery point that a copy makes.
func (st copyState) point() backup.Ref {
	if st.Set != "" {
		return Set(st.To.Account, st.To.Region, st.Set)
	}
	return Snapshot(st.To.Account, st.To.Region, st.Copies[0])
}

// StartCopy makes the Operation that copies a snapshot, or a set member by member, to another Region of the account or under another key. Each
// copy is called for in the destination, so a Strategy of NewFromConfig copies within its Region only. A Region other than the recovery point's must
// be in Options.CopyRegions. Empty parts of to mean where the recovery point is. Spec.Options may be CopyOptions.
//
// A copy of an encrypted snapshot is encrypted: under to.KMSKeyID, an ARN of a key of the destination, or else under the destination's default key for
// EBS, which no other account can be given. With a key, a copy of an unencrypted snapshot is encrypted too. EBS looks at keys only after the call;
// a copy that fails for its key ends with ErrDenied and says so. Options.DescribeKey has the key looked at before.
//
// The Operation ends well only when all copies are completed under the key that was asked for. EC2 copies 20 snapshots at a time to a Region; what is
// more waits, so give large sets a Spec.Timeout of days. A copy is incremental only where the Region has the last copy of the same volume under the
// same key; otherwise the finding "ebs.full-copy" says that it is whole, as far as copies of this package tell.
//
// Another account is refused with ErrUnsupported: share the snapshot and its key with the account, and copy it there with that account's credentials.
func (s *Strategy) StartCopy(_ context.Context, point backup.Ref, to backup.Destination, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionCopy, point, spec, TypeSnapshot, TypeSet)
	if err != nil {
		return backup.Operation{}, err
	}
	if to.Account == "" {
		to.Account = point.Account
	}
	if to.Region == "" {
		to.Region = point.Region
	}
	op.Bind(to)
	st := copyState{To: to}
	if spec.Options != nil {
		o, ok := spec.Options.(CopyOptions)
		if !ok {
			return backup.Operation{}, invalid(op.Action, point, "use ebs.CopyOptions, not a pointer to it", "options of type %T", spec.Options)
		}
		if len(o.Description) > 255 {
			return backup.Operation{}, invalid(op.Action, point, "shorten it", "the description has %d bytes, more than 255", len(o.Description))
		}
		st.Options = o
	}
	if err := s.checkDestination(op, st.To); err != nil {
		return backup.Operation{}, err
	}
	if point.Type == TypeSet {
		st.Set = setPrefix(op.ID) + "copy"
	}
	op.Stage = stageLook
	return op, op.SetState(st)
}

// checkDestination refuses what can be known to be wrong with a destination without AWS. It is asked again before anything is sent, because the process
// that carries an Operation on may allow less than the one that started it.
func (s *Strategy) checkDestination(op backup.Operation, to backup.Destination) error {
	point := op.Ref
	if to.Account != point.Account {
		return failure(op, "copy", backup.ErrUnsupported, "share the snapshot and its key with that account, and copy it there with that account's credentials",
			"the destination is account %s, and the recovery point belongs to %s", to.Account, point.Account)
	}
	there, err := policy.PartitionOf(to.Region)
	if err != nil {
		return invalid(op.Action, point, "name the Region as AWS does, such as eu-west-1", "the destination: %w", err)
	}
	if here, err := policy.PartitionOf(point.Region); err != nil || here.ID != there.ID {
		return failure(op, "copy", backup.ErrUnsupported, "choose a Region of the same partition", "no snapshot can be copied from %s to %s", point.Region, to.Region)
	}
	if to.Region != point.Region && !slices.Contains(s.opts.CopyRegions, to.Region) {
		return invalid(op.Action, point, "add the Region to Options.CopyRegions, if data may leave for it", "copies to %s are not allowed", to.Region)
	}
	if to.KMSKeyID != "" {
		if err := policy.ValidateKMSKeyARN(to.KMSKeyID); err != nil {
			return invalid(op.Action, point, "give the key's ARN, not an alias", "the destination's key: %w", err)
		}
		if arn, err := policy.ParseARN(to.KMSKeyID); err != nil || arn.Region != to.Region {
			return invalid(op.Action, point, "give the ARN of a key in the destination, for example the replica of a multi-Region key", "the key %s is not in %s", to.KMSKeyID, to.Region)
		}
	}
	if s.own != nil {
		return s.own.Known(backup.Ref{Type: point.Type, Account: to.Account, Region: to.Region, ID: point.ID})
	}
	return nil
}

func (s *Strategy) stepCopy(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	var st copyState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageLook:
		return s.planCopy(ctx, op, st)
	case stagePark:
		if left := s.park(st.Parks) - time.Since(op.Since); left > 0 {
			op.PollIn(left)
			return op, nil
		}
		op.To(stageCreate, "CopySnapshot")
		return op, nil
	case stageCreate:
		switch op.Intent() {
		case backup.Send:
			return s.sendCopy(ctx, op, st)
		case backup.LookOnce:
			next, found, err := s.lookCopies(ctx, op, &st)
			if err != nil || found {
				return next, err
			}
			return s.sendCopy(ctx, op, st)
		case backup.Settle:
			st.Looks = 0
			op.Settle(stageSettle)
			return op, op.SetState(st)
		}
		return op, nil
	case stageSettle:
		return s.settleCopy(ctx, op, st)
	case stageWait:
		return s.watchCopies(ctx, op, st)
	case stageUndo:
		return s.undoCopies(ctx, op, st)
	case stageUndone:
		return s.undoneCopies(ctx, op, st)
	case stageStop:
		op.Fail(failure(op, "cancel", backup.ErrCanceled, "", "canceled before anything was made"))
		return op, nil
	}
	return op, failure(op, "copy", backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
}

// park is how long to wait after so many refusals in a row, of which each is a call that was in vain.
func (s *Strategy) park(refusals int) time.Duration { return s.opts.Park << min(max(refusals-1, 0), 3) }

// planCopy looks at what is to be copied and arms the first call.
func (s *Strategy) planCopy(ctx context.Context, op backup.Operation, st copyState) (backup.Operation, error) {
	members, err := s.copySource(ctx, op)
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
	}
	st.Lost = time.Time{}
	whole, refused := copyable(op, st, members)
	if refused != nil {
		op.Fail(refused)
		return op, nil
	}
	if whole == nil {
		op.Find(backup.Finding{ID: "ebs.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: "the recovery point is not complete yet", Remedy: "the copy waits for it"})
		s.wait(&op)
		return op, op.SetState(st)
	}
	if err := s.copyKey(ctx, op, st); err != nil {
		if permanent(err) || backup.CodeOf(err) == backup.ErrDenied {
			op.Fail(err)
			return op, nil
		}
		return op, err
	}
	full, err := s.fullCopies(ctx, op, st, whole)
	if err != nil {
		return op, err
	}
	for _, f := range full {
		op.Find(f)
	}
	st.Sources = nil
	for _, x := range whole {
		st.Sources = append(st.Sources, aws.ToString(x.SnapshotId))
		if n := len(s.copyTags(op, st, len(whole), x)); n > 50 {
			op.Fail(failure(op, "copy", backup.ErrInvalid, "a snapshot has at most 50 tags: use fewer of your own, or CopyOptions.NoTags", "%d tags would be needed", n))
			return op, nil
		}
	}
	if op.Ref.Type == TypeSet {
		st.Members = max(planned(members), len(whole))
		st.Short = st.Members - len(whole)
	}
	st.Copies = make([]string, len(st.Sources))
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageCreate, "CopySnapshot")
	return op, nil
}
