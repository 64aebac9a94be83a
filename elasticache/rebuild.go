package elasticache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/internal/nested"
	"github.com/snapwarden/snapwarden/policy"
)

// ActionRebuild is the action of StartRebuild.
const ActionRebuild backup.Action = Kind + ".rebuild"

// RebuildOptions are the settings of a rebuild.
type RebuildOptions struct {
	// Restore is how the group or cluster is to be afterwards. Strategy.Settings gives how it is now. ID and As may be empty; they can only be
	// those of what is rebuilt. SecurityGroups are required.
	Restore RestoreOptions
	// KMSKeyID is the ARN of the key that the snapshot is encrypted with, empty for the source's.
	KMSKeyID string
	// DropTags gives the new one only the tags of Spec.Tags. Otherwise it also has the old one's, except where Spec.Tags has other values;
	// those of AWS and of this library are never carried over.
	DropTags bool
}

// OptionsFor makes RebuildOptions usable as backup.Spec.Options.
func (RebuildOptions) OptionsFor() (string, backup.Action) { return Kind, ActionRebuild }

const (
	// rebuildTime is the time that must be left before the deadline when something is deleted: a small cluster takes ten minutes to be made.
	// Source: ElastiCache User Guide, "Restoring from a backup".
	rebuildTime = 2 * time.Hour
	// rebuildGap is the longest time between the last look that saw the snapshot unfinished and the deletion. What is written after the snapshot began is
	// lost.
	rebuildGap = time.Hour
	// rebuildBytes is the most that a rebuild takes as JSON when it starts: snapshot, findings and the Operations inside come on top.
	rebuildBytes = 7 << 10
)

type rebuildState struct {
	Options RestoreOptions `json:"o,omitzero"`
	KMSKey  string         `json:"k,omitempty"`
	Name    string         `json:"n,omitempty"`
	// Drop is RebuildOptions.DropTags. Tags are those of the old one that are kept beside Spec.Tags.
	Drop bool              `json:"d,omitempty"`
	Tags map[string]string `json:"tg,omitempty"`
	// Of is what is rebuilt: no other may be deleted, whatever its id.
	Of incarnation `json:"of,omitzero"`
	// Backup is the ID of the Operation that made the snapshot, Snapshot its name, Identity the snapshot itself, and Ready when it was found good.
	// Unready is the last time that it was not: how long before Ready it was finished, while nobody looked, is not known.
	Backup   string    `json:"b,omitempty"`
	Snapshot string    `json:"s,omitempty"`
	Identity identity  `json:"i,omitzero"`
	Ready    time.Time `json:"r,omitzero"`
	Unready  time.Time `json:"u,omitzero"`
	// Tried: the deletion was perhaps sent. Absent counts the looks that found nothing left.
	Tried  bool `json:"tr,omitempty"`
	Absent int  `json:"a,omitempty"`
	// Lost is since when what must be there has not been seen.
	Lost time.Time `json:"l,omitzero"`
	// Inner is the backup, and later the restore, without what the outer Operation has too.
	Inner *backup.Operation `json:"in,omitempty"`
}

// incarnation tells a group or cluster from another that has its id later.
type incarnation struct {
	ARN  string    `json:"a,omitempty"`
	Made time.Time `json:"m,omitzero"`
}

// StartRebuild makes the Operation that replaces a replication group or a single cluster by one of the same id with the same data: a snapshot is
// taken and seen finished, then what there is is deleted, seen gone, and restored from the snapshot with other settings. Spec.Options must be
// RebuildOptions. The snapshot is called Spec.Name, or a name of its own; it is listed in Points and stays, whatever happens.
//
// What is written between the snapshot and the deletion is lost: stop the writers first. The snapshot of a group with cluster mode disabled is
// taken of its primary, which may answer slower meanwhile, and never of a replica, which may lack what was written last; after a failover it must be made
// again. Of which nodes AWS makes the snapshot of a group with cluster mode enabled it does not tell (UNVERIFIED: of replicas, where there are any), so
// let those catch up before. The new one has the old one's tags beside Spec.Tags, unless RebuildOptions say otherwise; the topic
// of its notifications has to be set again. Automatic snapshots go with the old group; copy
// (StartCopy) those that are to stay. Clients are without a cache for ten minutes and more, and their connections end.
//
// Nothing is deleted before the snapshot is seen available with the data of all node groups and all hash slots, before the options are found
// fit for it, and before the AUTH token (if one is asked for) was given once. Only the very group or cluster that was looked at first is
// deleted. The snapshot must not have been finished for more than an hour by then, and two hours must be left before the deadline; otherwise
// the Operation fails and has deleted nothing. If it fails later, Points names the snapshot and Failure.Hint says how to restore it; a
// finding does so too from the deletion on. It succeeds when the new one is available as asked.
//
// Source: ElastiCache User Guide, "Backing up and restoring"; ElastiCache API, DeleteReplicationGroup, DeleteCacheCluster.
func (s *Strategy) StartRebuild(_ context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(ActionRebuild, r, spec, TypeReplicationGroup, TypeCluster)
	if err != nil {
		return backup.Operation{}, err
	}
	bad := func(hint, format string, args ...any) (backup.Operation, error) {
		return backup.Operation{}, invalid(op.Action, r, hint, format, args...)
	}
	given, ok := spec.Options.(RebuildOptions)
	if !ok {
		return bad("set Spec.Options to elasticache.RebuildOptions", "options of type %T", spec.Options)
	}
	o := given.Restore
	as := AsGroup
	if r.Type == TypeCluster {
		as = AsCluster
	}
	if o.ID != "" && policy.CanonicalName(o.ID) != r.ID || o.As != "" && o.As != as {
		return bad("leave ID and As empty; to make another beside it use StartRestore", "the %s %s would become the %s %s", kindOf(r), r.ID, o.As, o.ID)
	}
	o.ID, o.As = r.ID, as
	o.NodeType, o.SubnetGroup, o.Engine = policy.CanonicalName(o.NodeType), policy.CanonicalName(o.SubnetGroup), policy.CanonicalName(o.Engine)
	if err := s.validTarget(r, o); err != nil {
		return backup.Operation{}, err
	}
	if spec.Timeout > 0 && spec.Timeout < rebuildTime+rebuildGap {
		return bad("leave Spec.Timeout 0, or give it three hours at least", "a rebuild takes longer than %v", spec.Timeout)
	}
	st := rebuildState{Options: o, KMSKey: given.KMSKeyID, Name: spec.Name, Drop: given.DropTags}
	// That the backup can be started is seen now.
	if _, err := s.innerBackup(op, st); err != nil {
		return backup.Operation{}, err
	}
	op.Stage = stageLook
	if err := op.SetState(st); err != nil {
		return backup.Operation{}, err
	}
	if b, err := json.Marshal(op); err != nil || len(b) > rebuildBytes {
		return bad("use fewer or shorter tags, security groups and logs", "tags and options have %d bytes, more than %d", len(b), rebuildBytes)
	}
	return op, nil
}

// innerBackup makes the Operation of the snapshot.
func (s *Strategy) innerBackup(op backup.Operation, st rebuildState) (backup.Operation, error) {
	spec := backup.Spec{Token: op.ID, Name: st.Name, Owner: op.Owner, Tags: op.Tags}
	if st.KMSKey != "" {
		spec.Options = BackupOptions{KMSKeyID: st.KMSKey}
	}
	inner, err := s.Start(context.Background(), op.Ref, spec)
	if err != nil {
		return inner, err
	}
	var in backupState
	if err := inner.GetState(&in); err != nil {
		return inner, err
	}
	// What a replica lacks would be lost with the group.
	in.Primary = op.Ref.Type == TypeReplicationGroup
	return inner, inner.SetState(in)
}

// innerRestore makes the Operation of the restore.
func (s *Strategy) innerRestore(op backup.Operation, st rebuildState) (backup.Operation, error) {
	inner, err := s.StartRestore(context.Background(), st.point(op), backup.Spec{Token: op.ID, Owner: op.Owner, Tags: st.allTags(op), Options: st.Options})
	if err != nil {
		return inner, err
	}
	var in restoreState
	if err := inner.GetState(&in); err != nil {
		return inner, err
	}
	in.Not = st.Of
	return inner, inner.SetState(in)
}

// allTags are those of the new group or cluster.
func (st rebuildState) allTags(op backup.Operation) map[string]string {
	m := maps.Clone(st.Tags)
	if m == nil {
		return op.Tags
	}
	maps.Copy(m, op.Tags)
	return m
}

// keepTags notes the tags of the old group or cluster that the new one is to have. It fails where there are more than an Operation or a resource
// holds.
func (st *rebuildState) keepTags(op backup.Operation, old map[string]string) error {
	st.Tags = nil
	for k, v := range old {
		lower := strings.ToLower(k)
		if _, other := op.Tags[k]; !st.Drop && !other && !strings.HasPrefix(lower, "aws:") && !strings.HasPrefix(lower, backup.TagPrefix) {
			if st.Tags == nil {
				st.Tags = map[string]string{}
			}
			st.Tags[k] = v
		}
	}
	trial, err := backup.NewOperation(Kind, backup.ActionRestore, op.Ref, backup.Spec{Token: op.ID, Owner: op.Owner, Tags: st.allTags(op)})
	if err == nil && len(trial.OwnTags(op.Ref)) > maxTags {
		err = fmt.Errorf("%d tags are more than the %d of a resource", len(trial.OwnTags(op.Ref)), maxTags)
	}
	if err != nil {
		return failure(op, "rebuild", backup.ErrInvalid, "set RebuildOptions.DropTags, and in Spec.Tags the tags that are to be kept; nothing was changed", "the old tags can not be carried over: %w", err)
	}
	return nil
}

func (st rebuildState) point(op backup.Operation) backup.Ref {
	return Snapshot(op.Ref.Account, op.Ref.Region, st.Snapshot)
}

// keep stores the state with its inner Operation, without what would be in it twice and what changes with each look.
func (st rebuildState) keep(op *backup.Operation) error {
	if st.Inner != nil {
		in := *st.Inner
		in.Tags, in.Findings, in.Poll, in.Updated = nil, nil, time.Time{}, time.Time{}
		st.Inner = &in
	}
	return op.SetState(st)
}

func (s *Strategy) stepRebuild(ctx context.Context, c *awselasticache.Client, op backup.Operation) (backup.Operation, error) {
	var st rebuildState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	if st.Inner != nil {
		st.Inner.Tags = op.Tags
		if op.Stage == stageRestore {
			st.Inner.Tags = st.allTags(op)
		}
	}
	switch op.Stage {
	case stageLook:
		return s.lookRebuild(ctx, c, op, st)
	case stageBackup:
		return s.backUpFirst(ctx, op, st)
	case stageVerify:
		return s.verifyRebuild(ctx, c, op, st)
	case stageDelete:
		if op.Intent() == backup.ReadOnly {
			return op, nil
		}
		return s.deleteOld(ctx, c, op, st)
	case stageGone:
		return s.oldGone(ctx, c, op, st)
	case stageRestore:
		return s.restoreSame(ctx, c, op, st)
	}
	return op, unknownStage(op)
}

// lookRebuild notes which group or cluster it is, and begins the backup.
func (s *Strategy) lookRebuild(ctx context.Context, c *awselasticache.Client, op backup.Operation, st rebuildState) (backup.Operation, error) {
	x, err := s.existing(ctx, c, op.Ref)
	if err != nil {
		return misplaced(op, true, err)
	}
	if x == nil {
		if s.lost(&st.Lost) {
			op.Fail(failure(op, "rebuild", backup.ErrNotFound, "check the id, the account and the Region", "no such %s", kindOf(op.Ref)))
			return op, nil
		}
		s.wait(&op)
		return op, op.SetState(st)
	}
	if no := notRebuildable(op.Ref, x); no != nil {
		op.Fail(no)
		return op, nil
	}
	st.Lost, st.Of = time.Time{}, incarnationOf(x)
	if st.Of.Made.IsZero() {
		s.park(&op, "AWS does not tell yet when the "+kindOf(op.Ref)+" was made", "it is tried again")
		return op, op.SetState(st)
	}
	tags, readable, err := s.tags(ctx, c, op.Ref, x.arn)
	if err != nil {
		return op, err
	}
	if !readable {
		s.park(&op, "the tags of the "+kindOf(op.Ref)+" can not be read yet", "it is tried again")
		return op, op.SetState(st)
	}
	if err := st.keepTags(op, tags); err != nil {
		op.Fail(err)
		return op, nil
	}
	inner, err := s.innerBackup(op, st)
	if err != nil {
		op.Fail(err)
		return op, nil
	}
	st.Backup, st.Inner = inner.ID, &inner
	op.To(stageBackup, "")
	nested.Arm(&op, inner)
	return op, st.keep(&op)
}

// backUpFirst carries the backup on.
func (s *Strategy) backUpFirst(ctx context.Context, op backup.Operation, st rebuildState) (backup.Operation, error) {
	if st.Inner == nil {
		return op, unknownStage(op)
	}
	if err := nested.Step(ctx, s, &op, st.Inner); err != nil {
		return op, err
	}
	for _, p := range st.Inner.Points {
		op.AddPoint(p)
	}
	if !st.Inner.Done() {
		st.Unready = time.Now().UTC().Round(0)
		return op, st.keep(&op)
	}
	if err := st.Inner.Err(); err != nil {
		if backup.CodeOf(err) == backup.ErrPartial {
			// A short backup is no rebuild that is short: nothing was rebuilt.
			err = failure(op, "rebuild", backup.ErrFailed, "start again with another token; nothing was deleted", "%w", err)
		}
		op.Fail(err)
		return op, nil
	}
	if len(st.Inner.Points) != 1 {
		op.Fail(failure(op, "rebuild", backup.ErrFailed, "report this", "the backup lists %d snapshots", len(st.Inner.Points)))
		return op, nil
	}
	st.Snapshot, st.Ready, st.Inner = st.Inner.Points[0].ID, time.Now().UTC().Round(0), nil
	op.To(stageVerify, "")
	return op, st.keep(&op)
}

// deleteOld deletes the group or cluster that was looked at, if everything is still as it was found good. The look just before makes sure that the id
// still belongs to it.
func (s *Strategy) deleteOld(ctx context.Context, c *awselasticache.Client, op backup.Operation, st rebuildState) (backup.Operation, error) {
	st.Tried = st.Tried || op.Attempt > 1 || op.Unstored
	check, err := s.mayReplace(ctx, c, op, &st)
	switch {
	case err != nil:
		op.Unsent()
		return op, err
	case check.gone:
		op.To(stageGone, "")
		op.PollIn(s.opts.PollMin)
		return op, st.keep(&op)
	case check.no != nil:
		op.Fail(check.no)
		return op, nil //nolint:nilerr // the Operation has it
	case check.notYet != "":
		op.To(stageVerify, "")
		s.park(&op, check.notYet, "nothing is deleted before")
		return op, st.keep(&op)
	}
	op.Find(backup.Finding{ID: "elasticache.rebuild-snapshot", Severity: backup.SeverityWarning, Ref: st.point(op),
		Message: "the " + kindOf(op.Ref) + " " + op.Ref.ID + " is deleted and made anew; its data is in the snapshot " + st.Snapshot,
		Remedy:  "if the work does not end well, restore the snapshot with StartRestore"})
	if op.Ref.Type == TypeCluster {
		_, err = c.DeleteCacheCluster(ctx, &awselasticache.DeleteCacheClusterInput{CacheClusterId: &op.Ref.ID}, s.sending)
	} else {
		_, err = c.DeleteReplicationGroup(ctx, &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: &op.Ref.ID}, s.sending)
	}
	if err != nil {
		v := table.Classify(err)
		switch failed := v.Error(Kind, op.Next, op.Ref, err); {
		case v.Code == backup.ErrNotFound:
		case v.Class == awscall.NotYet:
			op.To(stageVerify, "")
			s.park(&op, v.AWSCode, v.Hint)
			return op, st.keep(&op)
		case v.Class == awscall.Permanent && !st.Tried:
			op.Fail(failed)
			return op, nil
		case v.Class == awscall.Permanent:
			// An earlier call may have worked, whatever AWS says of this one.
			op.To(stageVerify, "")
			s.park(&op, v.AWSCode, v.Hint)
			return op, st.keep(&op)
		default:
			if v.Class == awscall.NotApplied {
				op.Unsent()
			}
			return op, failed
		}
	}
	st.Tried = true
	op.To(stageGone, "")
	op.PollIn(s.opts.PollMin)
	return op, st.keep(&op)
}

// oldGone waits until nothing is left of the old group or cluster, which two looks must find.
func (s *Strategy) oldGone(ctx context.Context, c *awselasticache.Client, op backup.Operation, st rebuildState) (backup.Operation, error) {
	x, left, err := s.remains(ctx, c, op.Ref)
	if err != nil {
		return op, err
	}
	switch {
	case x == nil && left == "":
		st.Lost = time.Time{}
		if st.Absent++; st.Absent >= 2 {
			return s.beginRestore(op, st)
		}
	case x != nil && incarnationOf(x) != st.Of && x.status != "deleting":
		op.Fail(st.afterwards(op, failure(op, "rebuild", backup.ErrConflict, "", "somebody else made another %s %s meanwhile", kindOf(op.Ref), op.Ref.ID)))
		return op, nil
	case x != nil && x.status == "available":
		st.Absent = 0
		if s.lost(&st.Lost) {
			// The deletion did not take effect after all. All is checked again, and it is asked for again.
			st.Lost = time.Time{}
			op.To(stageVerify, "")
			return op, st.keep(&op)
		}
	default:
		st.Absent, st.Lost = 0, time.Time{}
	}
	s.wait(&op)
	return op, st.keep(&op)
}

func (s *Strategy) beginRestore(op backup.Operation, st rebuildState) (backup.Operation, error) {
	inner, err := s.innerRestore(op, st)
	if err != nil {
		op.Fail(st.afterwards(op, err))
		return op, nil
	}
	st.Inner, st.Options, st.Lost, st.Absent = &inner, RestoreOptions{}, time.Time{}, 0
	op.To(stageRestore, "")
	nested.Arm(&op, inner)
	return op, st.keep(&op)
}

// restoreSame carries the restore on.
func (s *Strategy) restoreSame(ctx context.Context, c *awselasticache.Client, op backup.Operation, st rebuildState) (backup.Operation, error) {
	if st.Inner == nil {
		return op, unknownStage(op)
	}
	before, was := op, *st.Inner
	if err := nested.Step(ctx, s, &op, st.Inner); err != nil {
		return op, err
	}
	for _, m := range st.Inner.Made {
		op.AddMade(m)
	}
	if !st.Inner.Done() {
		return op, st.keep(&op)
	}
	err := st.Inner.Err()
	if err == nil {
		op.Endpoints = st.Inner.Endpoints
		op.Succeed()
		return op, nil
	}
	if backup.CodeOf(err) == backup.ErrConflict && len(st.Inner.Made) == 0 {
		// AWS said that the id is taken, and nobody has it: AWS may hold it for a while, and the restore has not failed then.
		x, _, look := s.remains(ctx, c, op.Ref)
		if look != nil {
			return before, look
		}
		if x == nil || incarnationOf(x) == st.Of {
			return s.retryRestore(before, st, was)
		}
	}
	op.Fail(st.afterwards(op, err))
	return op, nil
}

// retryRestore takes the restore back to where it looks: it looks for its own result first, and tries again until the deadline.
func (s *Strategy) retryRestore(op backup.Operation, st rebuildState, was backup.Operation) (backup.Operation, error) {
	var inner restoreState
	if err := was.GetState(&inner); err != nil {
		return op, err
	}
	inner.Taken, inner.Armed = false, true
	was.To(stageLook, "")
	if err := was.SetState(inner); err != nil {
		return op, err
	}
	st.Inner = &was
	op.To(stageRestore, "")
	s.park(&op, "AWS still holds the id "+op.Ref.ID, "it is restored when the id is free")
	return op, st.keep(&op)
}

// afterwards is the end of a rebuild that has deleted what there was, or perhaps: it says where the data is.
func (st rebuildState) afterwards(op backup.Operation, err error) error {
	hint := "the deletion of the " + kindOf(op.Ref) + " was sent, and its data is in the snapshot " + st.Snapshot + ", which is listed in Points: restore it with StartRestore"
	if len(op.Made) > 0 {
		hint += ", under another id or when what is listed in Made was deleted"
	}
	if h := backup.HintOf(err); h != "" {
		hint += "; " + h
	}
	cause := err
	what := "rebuild"
	var e *backup.Error
	if errors.As(err, &e) {
		what = e.Op
		if e.Err != nil {
			cause = e.Err
		}
	}
	return failure(op, what, backup.CodeOf(err), hint, "%s", strings.TrimSpace(cause.Error()))
}

// cancelBackup stops a rebuild whose snapshot is not asked for yet.
func (s *Strategy) cancelBackup(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	var st rebuildState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	if st.Inner == nil {
		return op, unknownStage(op)
	}
	inner := *st.Inner
	inner.Tags, inner.Unstored = op.Tags, op.Unstored
	if inner.Next != "" && inner.Next == op.Next {
		inner.Attempt, inner.Intended = op.Attempt, op.Intended
	}
	inner, err := s.Cancel(ctx, inner)
	if err != nil {
		return op, err
	}
	st.Inner, op.Canceling = &inner, true
	nested.Arm(&op, inner)
	return op, st.keep(&op)
}
