package rds

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// The stages of a backup; a restore has the same, with stageLook for the first.
const (
	stageDescribe = "describe" // the instance is looked at
	stageCreate   = "create"   // the create call may be made
	stageSettle   = "settle"   // the create call was perhaps made; its result is looked for
	stagePark     = "park"     // a state that passes is in the way
	stageWait     = "wait"     // what was made is not ready
	stageStop     = "stop"     // canceled before anything was changed; of all actions
)

// patience is how long an instance that must exist may be absent before that is believed.
const patience = time.Minute

// backupState is a backup's State.
type backupState struct {
	// Name is the snapshot's identifier, in lower case.
	Name string `json:"n"`
	// Resource is the DbiResourceId of the instance that was looked at: another instance may get its identifier, but never this.
	Resource string `json:"r,omitempty"`
	// Armed counts the times that the create call was armed, but for those that surely had no effect.
	Armed int `json:"a,omitempty"`
	// Taken tells that RDS refused the name, and that nothing was seen yet that is about to give it up.
	Taken bool `json:"t,omitempty"`
	// Lost is since when the instance, or later the snapshot, has not been seen.
	Lost time.Time `json:"l,omitzero"`
}

// backupCalls are the calls of a backup of one kind of database.
type backupCalls struct {
	// call is the name of the one that makes the snapshot, and taken the code with which RDS says that its name is taken.
	call, taken string
	source      func(ctx context.Context, c *awsrds.Client, r backup.Ref, id string) (*database, error)
	find        finder
	send        func(ctx context.Context, c *awsrds.Client, op backup.Operation, name string) (*snap, error)
}

// finder gives the snapshot with an identifier, nil if none is visible.
type finder func(ctx context.Context, c *awsrds.Client, r backup.Ref, id string) (*snap, error)

func (s *Strategy) stepBackup(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.carryBackup(ctx, c, op, backupCalls{"CreateDBSnapshot", "DBSnapshotAlreadyExists", s.instanceDatabase, s.snapshot, s.sendSnapshot})
}

func (s *Strategy) stepClusterBackup(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.carryBackup(ctx, c, op, backupCalls{"CreateDBClusterSnapshot", "DBClusterSnapshotAlreadyExistsFault", s.clusterDatabase, s.clusterSnapshot, s.sendClusterSnapshot})
}

func (s *Strategy) sendSnapshot(ctx context.Context, c *awsrds.Client, op backup.Operation, name string) (*snap, error) {
	out, err := c.CreateDBSnapshot(ctx, &awsrds.CreateDBSnapshotInput{DBInstanceIdentifier: &op.Ref.ID, DBSnapshotIdentifier: &name,
		Tags: tagList(op.OwnTags(op.Ref))}, s.sending)
	if err != nil || out.DBSnapshot == nil {
		return nil, err
	}
	return instanceSnap(out.DBSnapshot), nil
}

func (s *Strategy) sendClusterSnapshot(ctx context.Context, c *awsrds.Client, op backup.Operation, name string) (*snap, error) {
	out, err := c.CreateDBClusterSnapshot(ctx, &awsrds.CreateDBClusterSnapshotInput{DBClusterIdentifier: &op.Ref.ID, DBClusterSnapshotIdentifier: &name,
		Tags: tagList(op.OwnTags(op.Ref))}, s.sending)
	if err != nil || out.DBClusterSnapshot == nil {
		return nil, err
	}
	return clusterSnap(out.DBClusterSnapshot), nil
}

// carryBackup carries on a backup.
func (s *Strategy) carryBackup(ctx context.Context, c *awsrds.Client, op backup.Operation, k backupCalls) (backup.Operation, error) {
	var st backupState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageDescribe:
		return s.describe(ctx, c, op, st, k)
	case stagePark:
		return s.parked(op, stageDescribe), nil
	case stageCreate:
		switch op.Intent() {
		case backup.Send:
			return s.create(ctx, c, op, st, k)
		case backup.LookOnce:
			if next, ok, err := s.adopt(ctx, c, op, &st, k.find); ok || err != nil {
				return next, err
			}
			return s.create(ctx, c, op, st, k)
		case backup.Settle:
			op.Settle(stageSettle)
		}
		return op, nil
	case stageSettle:
		next, ok, err := s.adopt(ctx, c, op, &st, k.find)
		if ok || err != nil {
			return next, err
		}
		if err := op.SetState(st); err != nil {
			return op, err
		}
		return s.unsettled(op, stageDescribe, st.Taken, pointAt(op.Ref, st.Name), "Spec.Name"), nil
	case stageWait:
		return s.watch(ctx, c, op, st, k.find)
	}
	return op, unknownStage(op)
}

// parked goes on to a stage when the time of parking is over.
func (s *Strategy) parked(op backup.Operation, to string) backup.Operation {
	if left := s.opts.Park - time.Since(op.Since); left > 0 {
		op.PollIn(left)
		return op
	}
	op.To(to, "")
	return op
}

// unsettled is where an Operation goes that has not found the result of a call that was perhaps sent: it looks again, until the window has
// passed and the work is begun anew. That ends in a conflict where RDS said that the name is taken: it would only say so again. option is what
// chooses the name.
func (s *Strategy) unsettled(op backup.Operation, to string, taken bool, name backup.Ref, option string) backup.Operation {
	waited := time.Since(op.Since)
	if left := s.opts.Settle - waited; left > 0 {
		op.PollIn(min(max(waited/20, s.opts.PollMin), s.opts.PollMax, left))
		return op
	}
	if taken {
		op.Fail(failure(op, backup.ErrConflict, "look for what has the name, and at its tag "+backup.TagToken+": with "+op.ID+" this operation made it; otherwise choose another "+option,
			"the name %s is taken by something that can not be seen", name.ID))
		return op
	}
	op.To(to, "")
	return op
}

// freed waits until what is going away has given up the name. The answer is false while the Operation looks for what it perhaps sent: that is
// looked for until the settle window is over.
func (s *Strategy) freed(op backup.Operation, name backup.Ref) (backup.Operation, bool) {
	op.Find(backup.Finding{ID: "rds.name-being-freed", Severity: backup.SeverityInfo, Ref: name, Message: "what has the name is being deleted; that is waited for"})
	if op.Settling {
		return op, false
	}
	op.To(stagePark, "")
	op.PollIn(s.opts.Park)
	return op, true
}

// describe looks at the instance and arms the create call, or waits until the instance can be backed up.
func (s *Strategy) describe(ctx context.Context, c *awsrds.Client, op backup.Operation, st backupState, k backupCalls) (backup.Operation, error) {
	if st.Armed > 0 {
		// An earlier send may have worked after all, and then the snapshot is there, whatever became of the instance.
		if next, ok, err := s.adopt(ctx, c, op, &st, k.find); ok || err != nil {
			return next, err
		}
	}
	x, err := k.source(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		return notLooked(op, st.Armed, err)
	}
	if x == nil && missedFor(&st.Lost) < min(patience, s.opts.Settle) {
		// One look that does not find it proves nothing: it may be new, or the answer an old one.
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	}
	if refused := mayBackUp(op, x); refused != nil {
		op.Fail(refused)
		return op, nil
	}
	st.Lost = time.Time{}
	if instanceStateOf(x.word) != instanceReady {
		op.Find(notYet(op.Ref, x.word))
		op.To(stagePark, "")
		op.PollIn(s.opts.Park)
		return op, op.SetState(st)
	}
	st.Resource = x.resource
	st.Armed++
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageCreate, k.call)
	return op, nil
}

// notLooked ends an Operation that never armed a call with an error of looking that looking again will not mend, and gives any other back. Where
// a call was armed, what it made is perhaps there: a wrong configuration can be mended, and then it is found.
func notLooked(op backup.Operation, armed int, err error) (backup.Operation, error) {
	if armed == 0 && backup.CodeOf(err) == backup.ErrInvalid {
		op.Fail(err)
		return op, nil
	}
	return op, err
}

// notYet is the finding of an instance that is waited for. Its ID differs for a status that nobody knows.
func notYet(r backup.Ref, word string) backup.Finding {
	if instanceStateOf(word) == instanceUnknown {
		return backup.Finding{ID: "rds.unknown-status", Severity: backup.SeverityWarning, Ref: r,
			Message: "the status is " + word + ", which this release does not know; it is waited for"}
	}
	return backup.Finding{ID: "rds.instance-state", Severity: backup.SeverityInfo, Ref: r, Message: "the " + noun(r) + " is " + word + "; it is waited for until it is available"}
}

// mayBackUp says why a database can not be backed up, or nothing.
func mayBackUp(op backup.Operation, x *database) error {
	if x == nil {
		return failure(op, backup.ErrNotFound, "check the "+noun(op.Ref)+"'s identifier, the account and the Region", "no such DB %s", noun(op.Ref))
	}
	if x.cluster != "" {
		return failure(op, backup.ErrUnsupported, "back up rds.Cluster: AWS makes no snapshots of its members", "the instance belongs to the DB cluster %s", x.cluster)
	}
	if ofCluster(op.Ref) && !clusterEngine(x.engine) {
		return failure(op, backup.ErrUnsupported, "use the API of that service: Neptune and DocumentDB have their own", "the cluster has the engine %s", x.engine)
	}
	if instanceStateOf(x.word) == instanceBroken {
		return failure(op, backup.ErrUnsupported, "RDS makes snapshots of available databases only, and this one will not become available by itself: mend it first, or restore its last snapshot",
			"the %s is %s", noun(op.Ref), x.word)
	}
	return nil
}

// create makes the snapshot.
func (s *Strategy) create(ctx context.Context, c *awsrds.Client, op backup.Operation, st backupState, k backupCalls) (backup.Operation, error) {
	x, err := k.send(ctx, c, op, st.Name)
	if err != nil {
		next, err := s.refused(op, err, k.taken, &st.Armed, &st.Taken)
		if err != nil {
			return next, err
		}
		return next, next.SetState(st)
	}
	return s.took(op, st, x)
}

// refused handles the error of a create call. code is the one that says that the name is taken, perhaps by what an earlier send made; armed and
// taken are the State's.
func (s *Strategy) refused(op backup.Operation, err error, code string, armed *int, taken *bool) (backup.Operation, error) {
	v := table.Classify(err)
	failed := v.Error(Kind, op.Next, op.Ref, err)
	if v.AWSCode == code {
		*taken = true
		op.Find(backup.Finding{ID: "rds.name-taken", Severity: backup.SeverityInfo, Ref: op.Ref, Message: failed.Error(),
			Remedy: "what has the name is looked for, and adopted if this operation made it"})
		op.Settle(stageSettle)
		return op, nil
	}
	switch v.Class {
	case awscall.NotApplied:
		op.Unsent()
	case awscall.NotYet:
		if op.Intent() == backup.Send {
			*armed-- // this was the only call since it was armed, and it had no effect
		}
		op.Find(backup.Finding{ID: "rds.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: v.AWSCode, Remedy: v.Hint})
		op.To(stagePark, "")
		op.PollIn(s.opts.Park)
		return op, nil
	case awscall.Permanent:
		op.Fail(failed)
		return op, nil
	}
	return op, failed
}

// adopt takes over the snapshot of the Operation's name if it is provably this Operation's. Anything else of the name ends the Operation:
// nothing is made over it; one that is going away is waited for. The answer is false while none is visible.
func (s *Strategy) adopt(ctx context.Context, c *awsrds.Client, op backup.Operation, st *backupState, find finder) (backup.Operation, bool, error) {
	x, err := find(ctx, c, op.Ref, st.Name)
	if x == nil || err != nil {
		return op, false, err
	}
	if going(x) && !ours(op, x.tags) {
		st.Taken = false
		next, ok := s.freed(op, pointAt(op.Ref, st.Name))
		return next, ok, nil
	}
	if why := foreign(op, *st, x); why != "" {
		op.Fail(failure(op, backup.ErrConflict, "choose another Spec.Name, or leave it empty; a snapshot is adopted only if its tags prove that this operation made it",
			"the snapshot %s %s", st.Name, why))
		return op, true, nil
	}
	next, err := s.took(op, *st, x)
	return next, err == nil, err
}

// foreign says why a snapshot is not the Operation's, or nothing. A time of creation that is not told yet is no reason; and without a Store
// the Operation may be a younger one for the same work.
func foreign(op backup.Operation, st backupState, x *snap) string {
	switch {
	case !ours(op, x.tags):
		return "was not made by this operation"
	case x.kind != typeManual:
		return "is not a manual one"
	case x.of != op.Ref.ID:
		return "is one of the " + noun(op.Ref) + " " + x.of
	case st.Resource != "" && x.resource != st.Resource:
		return "is one of another " + noun(op.Ref) + " that had the same identifier"
	case !op.Unstored && !x.made.IsZero() && x.made.Before(op.Started.Add(-clockSkew)):
		return "is older than this operation"
	}
	return ""
}

func going(x *snap) bool {
	st, _ := status(x.word)
	return st == backup.StatusDeleting
}

// took lists the snapshot and goes on to wait for it.
func (s *Strategy) took(op backup.Operation, st backupState, x *snap) (backup.Operation, error) {
	op.AddPoint(pointAt(op.Ref, st.Name))
	if x != nil && st.Resource == "" {
		st.Resource = x.resource
	}
	st.Lost = time.Time{}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageWait, "")
	s.wait(&op)
	return op, nil
}

// watch looks at the snapshot and ends the backup when it is complete.
func (s *Strategy) watch(ctx context.Context, c *awsrds.Client, op backup.Operation, st backupState, find finder) (backup.Operation, error) {
	x, err := find(ctx, c, op.Ref, st.Name)
	if err != nil {
		return op, err
	}
	// What is not visible, or is another of the same name, means nothing at first: the answer may be an old one.
	var lost error
	if x == nil {
		lost = failure(op, backup.ErrFailed, "back up again with another token", "the snapshot %s has disappeared: somebody else deleted it", st.Name)
	} else if why := foreign(op, st, x); why != "" {
		lost = failure(op, backup.ErrConflict, "somebody replaced or retagged it: look at it, and back up again with another token", "the snapshot %s %s", st.Name, why)
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
		op.Succeed()
	case backup.StatusFailed:
		op.Fail(failure(op, backup.ErrFailed, "look at the database's events and at its KMS key; delete the snapshot listed in Points and back up again with another token",
			"the snapshot %s is %s", st.Name, x.word))
	case backup.StatusDeleting:
		op.Fail(failure(op, backup.ErrFailed, "back up again with another token", "the snapshot %s is %s: somebody else deletes it", st.Name, x.word))
	default:
		if !known {
			op.Find(backup.Finding{ID: "rds.unknown-status", Severity: backup.SeverityWarning, Ref: pointAt(op.Ref, st.Name),
				Message: "the status is " + x.word + ", which this release does not know; it is waited for"})
		}
		op.Percent = min(max(int(x.percent), 0), 99)
	}
	return op, nil
}

func tagList(m map[string]string) []rdstypes.Tag {
	out := make([]rdstypes.Tag, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, rdstypes.Tag{Key: aws.String(k), Value: aws.String(m[k])})
	}
	return out
}
