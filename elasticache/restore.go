package elasticache

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

type restoreState struct {
	Options RestoreOptions `json:"o"`
	// Serverless is how a new serverless cache is to be, nil for anything else.
	Serverless *ServerlessOptions `json:"sv,omitempty"`
	// ARN is that of the snapshot of a serverless cache.
	ARN string `json:"ar,omitempty"`
	// Seed is what a new group or cluster is seeded from, nil for a restore of a snapshot.
	Seed *seed `json:"sd,omitempty"`
	// Not is what had the id before, and was deleted for this restore: an old answer that shows it shows nothing.
	Not incarnation `json:"n,omitzero"`
	// Settled: Options are what will be sent.
	Settled bool `json:"s,omitempty"`
	// Taken: AWS said that the id is taken, so something has it.
	Taken bool `json:"t,omitempty"`
	// Creating: it was seen being made. Good counts the looks that found it available.
	Creating bool `json:"c,omitempty"`
	Good     int  `json:"g,omitempty"`
	// Armed: the call was ready to be sent at some time. Tried: it was perhaps sent, and what became of it was not found.
	Armed bool `json:"a,omitempty"`
	Tried bool `json:"tr,omitempty"`
	// Lost is since when the snapshot, or later what was made, has not been seen; Unseen since when a member of the new group has not.
	Lost   time.Time `json:"l,omitzero"`
	Unseen time.Time `json:"u,omitzero"`
	// Unlike is since when it has been available and not in everything as it was asked for.
	Unlike time.Time `json:"ul,omitzero"`
}

// StartRestore makes the Operation that restores a snapshot to a new replication group or a new single cluster; never into one that exists.
// Spec.Options must be RestoreOptions; for a snapshot of a serverless cache, which is restored to a new serverless cache, ServerlessOptions. The new group or cluster is listed in Made, and where it answers in Endpoints: the configuration
// endpoint with cluster mode enabled, primary and reader without, the node's for a cluster. It succeeds when AWS says that it is available and not
// more exposed than asked for: encryption, cluster mode, security groups and subnet group, as far as the service tells them. What else is not as asked
// for then, such as a log that AWS can not deliver, is waited for a while and found.
func (s *Strategy) StartRestore(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionRestore, point, spec, TypeSnapshot, TypeServerlessSnapshot)
	if err != nil {
		return backup.Operation{}, err
	}
	if serverless(point) {
		st, err := startServerless(point, spec)
		if err != nil {
			return backup.Operation{}, err
		}
		op.Stage = stageLook
		return op, op.SetState(st)
	}
	o, ok := spec.Options.(RestoreOptions)
	if !ok {
		return backup.Operation{}, invalid(op.Action, point, "set Spec.Options to elasticache.RestoreOptions with an ID and SecurityGroups", "options of type %T", spec.Options)
	}
	o.ID, o.NodeType, o.SubnetGroup, o.Engine = policy.CanonicalName(o.ID), policy.CanonicalName(o.NodeType), policy.CanonicalName(o.SubnetGroup), policy.CanonicalName(o.Engine)
	if spec.Name != "" && policy.CanonicalName(spec.Name) != o.ID {
		return backup.Operation{}, invalid(op.Action, point, "leave Spec.Name empty", "Spec.Name %q is not RestoreOptions.ID %q", spec.Name, o.ID)
	}
	if err := s.validTarget(point, o); err != nil {
		return backup.Operation{}, err
	}
	op.Stage = stageLook
	return op, op.SetState(restoreState{Options: o})
}

// validTarget refuses options that can not be, or that this Strategy can not fulfil.
func (s *Strategy) validTarget(point backup.Ref, o RestoreOptions) error {
	if err := o.valid(point); err != nil {
		return err
	}
	if o.AuthToken && s.opts.AuthToken == nil {
		return noAuthToken(point)
	}
	return nil
}

// settle decides what the snapshot leaves open.
func (st restoreState) settle(r backup.Ref, x *ectypes.Snapshot, tags map[string]string) (RestoreOptions, error) {
	if st.Serverless != nil {
		return st.Serverless.settle(r, x)
	}
	return st.Options.settle(r, x, tags)
}

func (s *Strategy) stepRestore(ctx context.Context, c *awselasticache.Client, op backup.Operation) (backup.Operation, error) {
	var st restoreState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageLook:
		if st.Seed != nil {
			return s.arm(ctx, c, op, st)
		}
		return s.lookRestore(ctx, c, op, st)
	case stageCreate:
		switch op.Intent() {
		case backup.Send:
			return s.createTarget(ctx, c, op, st)
		case backup.LookOnce:
			x, err := s.newTarget(ctx, c, op.Ref, st)
			if err != nil {
				return op, err
			}
			if x == nil {
				return s.createTarget(ctx, c, op, st)
			}
			return s.adoptTarget(ctx, c, op, st, x)
		case backup.Settle:
			st.Tried = true
			op.Settle(stageSettle)
			return op, op.SetState(st)
		}
		return op, nil
	case stageSettle:
		return s.settleTarget(ctx, c, op, st)
	case stageWait:
		return s.watchTarget(ctx, c, op, st)
	}
	return op, unknownStage(op)
}

// lookRestore looks at the snapshot and at the id, and arms the create call.
func (s *Strategy) lookRestore(ctx context.Context, c *awselasticache.Client, op backup.Operation, st restoreState) (backup.Operation, error) {
	if st.Armed {
		// An earlier send may have worked after all, and then what it made is there, whatever became of the snapshot.
		x, err := s.newTarget(ctx, c, op.Ref, st)
		if err != nil {
			return op, err
		}
		if x != nil {
			return s.adoptTarget(ctx, c, op, st, x)
		}
	}
	x, tags, readable, err := s.point(ctx, c, op.Ref)
	if err != nil {
		return misplaced(op, !st.Armed, err)
	}
	if x == nil {
		if s.lost(&st.Lost) {
			op.Fail(failure(op, "restore", backup.ErrNotFound, "check the name, the account and the Region", "no such snapshot"))
			return op, nil
		}
		s.wait(&op)
		return op, op.SetState(st)
	}
	st.Lost = time.Time{}
	if no := notRestorable(op.Ref, x); no != nil {
		op.Fail(no)
		return op, nil
	}
	if status := word(x.SnapshotStatus); status != "available" || !readable {
		for _, f := range unknownStatus(op.Ref, status, append(snapshotStatuses, "available")) {
			op.Find(f)
		}
		why := "the snapshot is " + status
		if status == "available" {
			why = "the snapshot's tags can not be read yet"
		}
		s.park(&op, why, "it is tried again")
		return op, op.SetState(st)
	}
	if !st.Settled {
		o, err := st.settle(op.Ref, x, tags)
		if err != nil {
			op.Fail(err)
			return op, nil
		}
		st.Options, st.Settled = o, true
		if st.Serverless != nil {
			st.ARN = snapshotARN(x, op.Ref)
		}
	}
	return s.arm(ctx, c, op, st)
}

// arm looks at the id and makes the create call ready.
func (s *Strategy) arm(ctx context.Context, c *awselasticache.Client, op backup.Operation, st restoreState) (backup.Operation, error) {
	taken, err := s.newTarget(ctx, c, op.Ref, st)
	if err != nil {
		return op, err
	}
	if taken != nil {
		return s.adoptTarget(ctx, c, op, st, taken)
	}
	st.Armed = true
	if err := op.SetState(st); err != nil {
		return op, err
	}
	next := "CreateReplicationGroup"
	switch st.Options.As {
	case AsCluster:
		next = "CreateCacheCluster"
	case asServerless:
		next = "CreateServerlessCache"
	}
	op.To(stageCreate, next)
	return op, nil
}

// notRestorable says why a snapshot can never be restored, or nothing.
func notRestorable(r backup.Ref, x *ectypes.Snapshot) error { return unusable(r, "restore", x) }

// unusable says why a snapshot can never be restored or copied, or nothing.
func unusable(r backup.Ref, what string, x *ectypes.Snapshot) error {
	switch word(x.SnapshotStatus) {
	case "failed":
		return refused(r, what, backup.ErrUnsupported, "choose another recovery point", "ElastiCache could not make the snapshot")
	case "deleting":
		return refused(r, what, backup.ErrNotFound, "choose another recovery point", "the snapshot is being deleted")
	}
	if n := int(aws.ToInt32(x.NumNodeGroups)); word(x.SnapshotStatus) == "available" && len(x.NodeSnapshots) > 0 && len(x.NodeSnapshots) < n {
		return refused(r, what, backup.ErrUnsupported, "choose another recovery point", "the snapshot has the data of %d of its %d node groups", len(x.NodeSnapshots), n)
	}
	return nil
}

func (s *Strategy) createTarget(ctx context.Context, c *awselasticache.Client, op backup.Operation, st restoreState) (backup.Operation, error) {
	token, end, err := s.authToken(ctx, op.Ref, st.Options)
	if err != nil {
		op.Unsent()
		if !end {
			return op, err
		}
		op.Fail(err)
		return op, nil
	}
	status := ""
	if st.Serverless != nil {
		status, err = s.createServerless(ctx, c, op, st)
	} else if st.Options.As == AsCluster {
		var out *awselasticache.CreateCacheClusterOutput
		in := st.Seed.cluster(st.Options.clusterInput(op))
		in.AuthToken = token.value
		if out, err = c.CreateCacheCluster(ctx, in, s.sending, token.unlogged); err == nil && out.CacheCluster != nil {
			status = word(out.CacheCluster.CacheClusterStatus)
		}
	} else {
		var out *awselasticache.CreateReplicationGroupOutput
		in := st.Seed.group(st.Options.groupInput(op))
		in.AuthToken = token.value
		if out, err = c.CreateReplicationGroup(ctx, in, s.sending, token.unlogged); err == nil && out.ReplicationGroup != nil {
			status = word(out.ReplicationGroup.Status)
		}
	}
	if err != nil {
		err = token.hide(err)
		switch table.Classify(err).AWSCode {
		case codeGroupExists, codeClusterExists, codeServerlessExists:
			st.Taken, st.Tried = true, true
			op.Settle(stageSettle)
			return op, op.SetState(st)
		}
		next, err := s.refusedCreate(op, err)
		if st.Seed != nil && next.Failure != nil && next.Failure.Code == backup.ErrInvalid {
			next.Failure.Hint = seedHint
		}
		return next, err
	}
	st.Creating = status == "creating"
	return s.madeTarget(op, st)
}

func (s *Strategy) madeTarget(op backup.Operation, st restoreState) (backup.Operation, error) {
	op.AddMade(st.Options.ref(op.Ref))
	st.Lost, st.Good = time.Time{}, 0
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageWait, "")
	if op.Phase == backup.PhasePending {
		op.Phase = backup.PhaseRunning
	}
	op.PollIn(s.opts.PollMin)
	return op, nil
}

func (s *Strategy) settleTarget(ctx context.Context, c *awselasticache.Client, op backup.Operation, st restoreState) (backup.Operation, error) {
	x, err := s.newTarget(ctx, c, op.Ref, st)
	if err != nil {
		return op, err
	}
	if x != nil {
		return s.adoptTarget(ctx, c, op, st, x)
	}
	if time.Since(op.Since) < s.opts.Settle {
		s.waitSettling(&op)
		return op, nil
	}
	if st.Taken {
		op.Fail(failure(op, "restore", backup.ErrConflict, "choose another id for it", "the id %s is taken by something that can not be seen", st.Options.ID))
		return op, nil
	}
	op.To(stageLook, "")
	return op, nil
}

// adoptTarget takes over what has the id if this Operation made it, and otherwise ends in a conflict: nothing that exists is touched.
func (s *Strategy) adoptTarget(ctx context.Context, c *awselasticache.Client, op backup.Operation, st restoreState, x *made) (backup.Operation, error) {
	tags, readable, err := s.tags(ctx, c, op.Ref, x.arn)
	if err != nil {
		return op, err
	}
	if !readable {
		// AWS may not tell the tags of something that is not available yet. Nothing is sent before they are known.
		if op.Stage != stageSettle {
			st.Taken = true
			op.Settle(stageSettle)
			if err := op.SetState(st); err != nil {
				return op, err
			}
		}
		s.waitSettling(&op)
		return op, nil
	}
	if tags[backup.TagToken] != op.ID || tags[backup.TagSource] != op.Ref.Tag() {
		op.Fail(failure(op, "restore", backup.ErrConflict, "choose another id for it; nothing that exists is ever overwritten",
			"%s exists and was not made by this work", st.Options.ref(op.Ref)))
		return op, nil
	}
	st.Creating = x.status == "creating"
	return s.madeTarget(op, st)
}
