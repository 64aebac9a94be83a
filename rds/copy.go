package rds

import (
	"context"
	"fmt"
	"slices"
	"time"

	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// CopyOptions are the settings of a copy.
type CopyOptions struct {
	// NoTags leaves the snapshot's own tags behind. Otherwise a copy carries them, below those of Spec.Tags.
	NoTags bool
	// OptionGroup is the option group of the copy of an instance's snapshot, in the destination; empty means that of the snapshot. An option group
	// belongs to its Region: in another one, a group of the same name and engine is taken, and the copy is refused where there is none, unless the group is
	// an engine's default. Source: RDS User Guide, "Copying a DB snapshot", "Option group considerations".
	OptionGroup string
}

// OptionsFor makes CopyOptions usable as backup.Spec.Options.
func (CopyOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionCopy }

// defaultKey is the account's own key for RDS in a Region.
const defaultKey = "alias/aws/rds"

// copyState is a copy's State.
type copyState struct {
	To backup.Destination `json:"to"`
	// Name is the copy's identifier, in lower case.
	Name   string `json:"n"`
	NoTags bool   `json:"x,omitempty"`
	// Group is the option group of the copy, as asked for and later as found; empty leaves it to RDS.
	Group string `json:"g,omitempty"`
	// Encrypted, Made and Source, its immutable id, are what the snapshot was when it was first looked at.
	Encrypted bool      `json:"e,omitempty"`
	Made      time.Time `json:"m,omitzero"`
	Source    string    `json:"s,omitempty"`
	// Armed counts the times that the call was armed, but for those that surely had no effect.
	Armed int `json:"a,omitempty"`
	// Taken tells that RDS refused the name, and that nothing was seen yet that is about to give it up.
	Taken bool `json:"t,omitempty"`
	// Lost is since when the snapshot, or later the copy, has not been seen.
	Lost time.Time `json:"l,omitzero"`
}

// target names the copy.
func (st copyState) target(r backup.Ref) backup.Ref {
	r.Account, r.Region = st.To.Account, st.To.Region
	return pointAt(r, st.Name)
}

// crossed tells whether the copy is in another Region than the snapshot.
func (st copyState) crossed(op backup.Operation) bool { return st.To.Region != op.Ref.Region }

// StartCopy makes the Operation that copies a snapshot of an instance or of an Aurora cluster to another Region of the account or under another key;
// automated ones too, which is how one is kept beyond its retention period. The copy is called for in the destination, so a Strategy of NewFromConfig
// copies within its Region only. A Region other than the recovery point's must be in Options.CopyRegions. Empty parts of to mean where the recovery
// point is. Spec.Name is the copy's identifier; empty means a derived one. Spec.Options may be CopyOptions.
//
// Within its Region a copy keeps the key unless to.KMSKeyID, an ARN of a key of the destination, names another one. In another Region an encrypted
// snapshot is encrypted under to.KMSKeyID, or else under the destination's default key for RDS, which no other account can be given. With a key, a
// copy of an unencrypted snapshot of an instance is encrypted; that of a cluster can not be, and RestoreClusterOptions.KMSKeyID is the way.
//
// The copy carries the tags of the snapshot, the database that it is of and the time of its data; parameter groups are not carried over by RDS. RDS
// makes 20 copies of instances' snapshots and 5 of clusters' at a time in a Region; what is more waits. The Operation succeeds when the copy is available
// under the key that was asked for. Where a copy is full and not incremental, the finding "rds.full-copy" says so.
//
// Snapshots of Multi-AZ DB clusters can not be copied, and no snapshot into or out of China or GovCloud. Another account is refused with
// ErrUnsupported: share the snapshot and its key with the account, and copy it there with that account's credentials. Source: RDS User Guide,
// "Copying a DB snapshot"; Aurora User Guide, "Copying a DB cluster snapshot".
func (s *Strategy) StartCopy(_ context.Context, point backup.Ref, to backup.Destination, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionCopy, point, spec, TypeSnapshot, TypeClusterSnapshot)
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
	st := copyState{To: to, Name: policy.CanonicalName(spec.Name)}
	if spec.Options != nil {
		o, ok := spec.Options.(CopyOptions)
		if !ok {
			return backup.Operation{}, invalid(op.Action, point, "use rds.CopyOptions, not a pointer to it", "options of type %T", spec.Options)
		}
		st.NoTags, st.Group = o.NoTags, policy.CanonicalName(o.OptionGroup)
	}
	if st.Group != "" && ofCluster(point) {
		return backup.Operation{}, invalid(op.Action, point, "leave CopyOptions.OptionGroup empty", "a cluster's snapshot has no option group")
	}
	if err := s.mayGo(op, st.To); err != nil {
		return backup.Operation{}, err
	}
	if st.Name == "" {
		st.Name = derivedName(point, op.ID)
	} else if err := validName(point, st.Name); err != nil {
		return backup.Operation{}, invalid(op.Action, point, "leave Spec.Name empty, or use letters, digits and single hyphens", "%w", err)
	}
	if st.target(point) == point {
		return backup.Operation{}, invalid(op.Action, point, "choose another Spec.Name", "the copy would be the snapshot itself")
	}
	if n := len(op.OwnTags(point)) + copyTagCount; n > maxTags {
		return backup.Operation{}, invalid(op.Action, point, "use fewer tags of your own", "%d tags with the library's own, more than %d", n, maxTags)
	}
	op.Stage = stageLook
	return op, op.SetState(st)
}

// mayGo refuses what can be known to be wrong with a destination without AWS. It is asked again before anything is sent, because the process that
// carries an Operation on may allow less than the one that started it.
func (s *Strategy) mayGo(op backup.Operation, to backup.Destination) error {
	point := op.Ref
	if to.Account != point.Account {
		return failure(op, backup.ErrUnsupported, "share the snapshot and its key with that account, and copy it there with that account's credentials",
			"the destination is account %q, and the recovery point belongs to %s", to.Account, point.Account)
	}
	there, err := policy.PartitionOf(to.Region)
	if err != nil {
		return invalid(op.Action, point, "name the Region as AWS does, such as eu-west-1", "the destination: %w", err)
	}
	if here, err := policy.PartitionOf(point.Region); err != nil || here.ID != there.ID {
		return failure(op, backup.ErrUnsupported, "choose a Region of the same partition", "no snapshot can be copied from %s to %s", point.Region, to.Region)
	}
	if to.Region != point.Region && !slices.Contains(s.opts.CopyRegions, to.Region) {
		return invalid(op.Action, point, "add the Region to Options.CopyRegions, if data may leave for it", "copies to %s are not allowed", to.Region)
	}
	if err := validKey(to.KMSKeyID, to.Account, to.Region); err != nil {
		return invalid(op.Action, point, "give the ARN of a key of the destination, or leave it empty", "the destination's key: %w", err)
	}
	if s.own != nil {
		return s.own.Known(backup.Ref{Type: point.Type, Account: to.Account, Region: to.Region, ID: point.ID})
	}
	return nil
}

// copyCalls are the calls of a copy of one kind of snapshot.
type copyCalls struct {
	call, taken string
	find        finder
	page        pager
	send        func(ctx context.Context, c *awsrds.Client, op backup.Operation, st copyState, x *snap) (*snap, error)
	// group finds the option group of the copy; nil for clusters, which have none.
	group groupFinder
}

func (s *Strategy) stepCopy(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.carryCopy(ctx, c, op, copyCalls{"CopyDBSnapshot", "DBSnapshotAlreadyExists", s.snapshot, s.snapshotPage, s.sendCopy, s.optionGroup})
}

func (s *Strategy) stepClusterCopy(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.carryCopy(ctx, c, op, copyCalls{"CopyDBClusterSnapshot", "DBClusterSnapshotAlreadyExistsFault", s.clusterSnapshot, s.clusterSnapshotPage, s.sendClusterCopy, nil})
}

func (s *Strategy) sendCopy(ctx context.Context, c *awsrds.Client, op backup.Operation, st copyState, x *snap) (*snap, error) {
	from, region, key := st.from(op, x)
	out, err := c.CopyDBSnapshot(ctx, &awsrds.CopyDBSnapshotInput{SourceDBSnapshotIdentifier: from, SourceRegion: region, TargetDBSnapshotIdentifier: &st.Name,
		KmsKeyId: key, OptionGroupName: optional(st.Group), CopyTags: aws.Bool(false), Tags: tagList(st.copyTags(op, x))}, s.sending)
	if err != nil || out.DBSnapshot == nil {
		return nil, err
	}
	return instanceSnap(out.DBSnapshot), nil
}

func (s *Strategy) sendClusterCopy(ctx context.Context, c *awsrds.Client, op backup.Operation, st copyState, x *snap) (*snap, error) {
	from, region, key := st.from(op, x)
	out, err := c.CopyDBClusterSnapshot(ctx, &awsrds.CopyDBClusterSnapshotInput{SourceDBClusterSnapshotIdentifier: from, SourceRegion: region,
		TargetDBClusterSnapshotIdentifier: &st.Name, KmsKeyId: key, CopyTags: aws.Bool(false), Tags: tagList(st.copyTags(op, x))}, s.sending)
	if err != nil || out.DBClusterSnapshot == nil {
		return nil, err
	}
	return clusterSnap(out.DBClusterSnapshot), nil
}

// from gives the source as the call names it, the Region for which the SDK signs a URL, and the key. From another Region the ARN is required.
func (st copyState) from(op backup.Operation, x *snap) (id, region, key *string) {
	id, key = &op.Ref.ID, optional(st.To.KMSKeyID)
	if st.crossed(op) {
		id, region = &x.arn, &op.Ref.Region
		if x.encrypted && key == nil {
			key = aws.String(defaultKey)
		}
	}
	return id, region, key
}

// carryCopy carries on a copy. c is the client of the place where the snapshot is.
func (s *Strategy) carryCopy(ctx context.Context, c *awsrds.Client, op backup.Operation, k copyCalls) (backup.Operation, error) {
	var st copyState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	to, err := s.client(ctx, st.target(op.Ref))
	if err != nil {
		return op, err
	}
	switch op.Stage {
	case stageLook:
		return s.lookCopy(ctx, c, to, op, st, k)
	case stagePark:
		return s.parked(op, stageLook), nil
	case stageCreate:
		switch op.Intent() {
		case backup.Send:
			return s.makeCopy(ctx, c, to, op, st, k)
		case backup.LookOnce:
			if next, ok, err := s.adoptCopy(ctx, to, op, &st, k); ok || err != nil {
				return next, err
			}
			return s.makeCopy(ctx, c, to, op, st, k)
		case backup.Settle:
			op.Settle(stageSettle)
		}
		return op, nil
	case stageSettle:
		next, ok, err := s.adoptCopy(ctx, to, op, &st, k)
		if ok || err != nil {
			return next, err
		}
		if err := op.SetState(st); err != nil {
			return op, err
		}
		return s.unsettled(op, stageLook, st.Taken, st.target(op.Ref), "Spec.Name"), nil
	case stageWait:
		return s.watchCopy(ctx, to, op, st, k)
	}
	return op, unknownStage(op)
}

// lookCopy looks at the snapshot and the destination and arms the call, or waits until the snapshot is available.
func (s *Strategy) lookCopy(ctx context.Context, c, to *awsrds.Client, op backup.Operation, st copyState, k copyCalls) (backup.Operation, error) {
	if st.Armed > 0 {
		// An earlier send may have worked after all.
		if next, ok, err := s.adoptCopy(ctx, to, op, &st, k); ok || err != nil {
			return next, err
		}
	}
	x, next, err := s.readyPoint(ctx, c, op, k.find, seen{st.Armed, st.Made, st.Source, &st.Lost})
	if err != nil || next.Done() {
		return next, err
	}
	if x == nil {
		return next, next.SetState(st)
	}
	if refused := st.mayCopy(op, x); refused != nil {
		op.Fail(refused)
		return op, nil
	}
	if err := s.keyUsable(ctx, op, st); err != nil {
		if code := backup.CodeOf(err); code == backup.ErrDenied || code == backup.ErrNotFound || code == backup.ErrInvalid {
			op.Fail(err)
			return op, nil
		}
		return op, err
	}
	if k.group != nil {
		var refused error
		if st.Group, refused, err = k.group(ctx, to, op, st, x); err != nil {
			return notLooked(op, st.Armed, err)
		}
		if refused != nil {
			op.Fail(refused)
			return op, nil
		}
	}
	full, err := s.fullCopy(ctx, to, op, st, x, k.page)
	if err != nil {
		return notLooked(op, st.Armed, err)
	}
	for _, f := range append(full, st.notes(op, x)...) {
		op.Find(f)
	}
	st.Encrypted, st.Made, st.Source = x.encrypted || st.To.KMSKeyID != "", x.made, x.resource
	st.Armed++
	op.To(stageCreate, k.call)
	return op, op.SetState(st)
}

// mayCopy says why a snapshot can not be copied so, or nothing.
func (st copyState) mayCopy(op backup.Operation, x *snap) error {
	switch {
	case x.cluster && !isAurora(x.engine):
		return failure(op, backup.ErrUnsupported, "restore it in its Region, or export it to S3", "snapshots of Multi-AZ DB clusters can not be copied, and the engine is %s", x.engine)
	case x.cluster && !x.encrypted && st.To.KMSKeyID != "":
		return failure(op, backup.ErrUnsupported, "copy it without a key, and encrypt it when it is restored, with RestoreClusterOptions.KMSKeyID",
			"an unencrypted snapshot of a cluster can not be encrypted by copying it")
	}
	if n := len(st.copyTags(op, x)); n > maxTags {
		return failure(op, backup.ErrInvalid, "use fewer tags of your own, or CopyOptions.NoTags", "%d tags with those of the snapshot, more than %d", n, maxTags)
	}
	return nil
}

// keyUsable asks for the state of the destination's key, where that can be asked.
func (s *Strategy) keyUsable(ctx context.Context, op backup.Operation, st copyState) error {
	if s.opts.DescribeKey == nil || st.To.KMSKeyID == "" {
		return nil
	}
	state, err := s.opts.DescribeKey(ctx, st.To.Account, st.To.Region, st.To.KMSKeyID)
	if err != nil {
		v := table.Classify(err)
		if v.AWSCode == "NotFoundException" {
			return failure(op, backup.ErrDenied, "check the key's ARN", "the key %s does not exist: %w", st.To.KMSKeyID, err)
		}
		return v.Error(Kind, "DescribeKey", op.Ref, err)
	}
	if state != "Enabled" {
		return failure(op, backup.ErrDenied, "enable the key, or cancel its deletion, or choose another one", "the key %s is in the state %s", st.To.KMSKeyID, state)
	}
	return nil
}

// makeCopy looks again at the snapshot and makes the copy.
func (s *Strategy) makeCopy(ctx context.Context, c, to *awsrds.Client, op backup.Operation, st copyState, k copyCalls) (backup.Operation, error) {
	if err := s.mayGo(op, st.To); err != nil {
		op.Unsent()
		return op, err
	}
	x, err := k.find(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		op.Unsent()
		return op, err
	}
	if x == nil || !sameSnapshot(x, st.Made, st.Source) {
		// The look that follows waits for what is not visible, and ends the Operation if the identifier was given to another snapshot.
		if op.Intent() == backup.LookOnce {
			op.Settle(stageSettle) // an earlier process has perhaps sent the call
			return op, nil
		}
		st.Armed--
		op.To(stageLook, "")
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	}
	_, err = k.send(ctx, to, op, st, x)
	if err != nil {
		next, err := s.refused(op, err, k.taken, &st.Armed, &st.Taken)
		if err != nil {
			return next, err
		}
		return next, next.SetState(st)
	}
	return s.tookCopy(op, st)
}

// adoptCopy takes over the snapshot of the copy's name if it is provably this Operation's. Anything else of the name ends the Operation, but what is
// going away, which is waited for. The answer is false while none is visible.
func (s *Strategy) adoptCopy(ctx context.Context, to *awsrds.Client, op backup.Operation, st *copyState, k copyCalls) (backup.Operation, bool, error) {
	target := st.target(op.Ref)
	x, err := k.find(ctx, to, target, target.ID)
	if x == nil || err != nil {
		return op, false, err
	}
	why := st.foreign(op, x)
	if going(x) && why != "" {
		st.Taken = false
		next, ok := s.freed(op, target)
		return next, ok, nil
	}
	if why != "" {
		op.Fail(failure(op, backup.ErrConflict, "choose another Spec.Name, or leave it empty; a snapshot is adopted only if its tags prove that this operation made it",
			"the snapshot %s %s", st.Name, why))
		return op, true, nil
	}
	next, err := s.tookCopy(op, *st)
	return next, err == nil, err
}

// foreign says why a snapshot is not the copy that the Operation makes, or nothing.
func (st copyState) foreign(op backup.Operation, x *snap) string {
	m := tagMap(x.tags)
	switch {
	case m[backup.TagToken] != op.ID || m[TagCopy] != st.target(op.Ref).Tag() || m[TagCopyOf] != op.Ref.Tag():
		return "was not made by this operation"
	case x.kind != typeManual:
		return "is not a manual one"
	}
	return ""
}

// tookCopy lists the copy and goes on to wait for it.
func (s *Strategy) tookCopy(op backup.Operation, st copyState) (backup.Operation, error) {
	op.AddPoint(st.target(op.Ref))
	st.Lost = time.Time{}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageWait, "")
	s.wait(&op)
	return op, nil
}

// watchCopy looks at the copy and ends the Operation when it is complete.
func (s *Strategy) watchCopy(ctx context.Context, to *awsrds.Client, op backup.Operation, st copyState, k copyCalls) (backup.Operation, error) {
	target := st.target(op.Ref)
	x, err := k.find(ctx, to, target, target.ID)
	if err != nil {
		return op, err
	}
	var lost error
	if x == nil {
		lost = failure(op, backup.ErrFailed, "copy again with another token", "the copy %s has disappeared: somebody else deleted it, or canceled it", st.Name)
	} else if why := st.foreign(op, x); why != "" {
		lost = failure(op, backup.ErrConflict, "somebody replaced or retagged it: look at it, and copy again with another token", "the snapshot %s %s", st.Name, why)
	}
	s.wait(&op)
	if lost != nil {
		if s.absent(&st.Lost) {
			op.Fail(lost)
			return op, nil
		}
		return op, op.SetState(st)
	}
	if !st.Lost.IsZero() {
		st.Lost = time.Time{}
		if err := op.SetState(st); err != nil {
			return op, err
		}
	}
	good, known := status(x.word)
	switch good {
	case backup.StatusAvailable:
		if bad := st.wrong(x); bad != "" {
			op.Fail(failure(op, backup.ErrFailed, "delete the copy listed in Points, and copy again with another token", "the copy %s %s", st.Name, bad))
			return op, nil
		}
		op.Succeed()
	case backup.StatusFailed:
		op.Fail(failure(op, backup.ErrFailed, "look whether the snapshot was deleted meanwhile, and whether the destination's key is enabled and allows the caller kms:CreateGrant; "+
			"delete the copy listed in Points and copy again with another token", "the copy %s is %s", st.Name, x.word))
	case backup.StatusDeleting:
		op.Fail(failure(op, backup.ErrFailed, "copy again with another token", "the copy %s is %s: somebody else deletes it", st.Name, x.word))
	default:
		if !known {
			op.Find(backup.Finding{ID: "rds.unknown-status", Severity: backup.SeverityWarning, Ref: target, Message: "the status is " + x.word + ", which this release does not know; it is waited for"})
		}
		op.Percent = min(max(int(x.percent), 0), 99)
	}
	return op, nil
}

// wrong says in what a copy is not encrypted as it was asked for, or nothing.
func (st copyState) wrong(x *snap) string {
	switch {
	case st.Encrypted && !x.encrypted:
		return "is not encrypted, while the snapshot is, or a key was named"
	case st.To.KMSKeyID != "" && x.key != st.To.KMSKeyID:
		return fmt.Sprintf("is encrypted under %s and not under %s", x.key, st.To.KMSKeyID)
	}
	return ""
}
