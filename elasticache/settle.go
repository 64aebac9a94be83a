package elasticache

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
)

// settle looks for the result of a create call that was perhaps sent, until it is found or the window has passed.
func (s *Strategy) settle(ctx context.Context, c *awselasticache.Client, op backup.Operation, st backupState) (backup.Operation, error) {
	x, err := s.snapshot(ctx, c, op.Ref, st.Name)
	if err != nil {
		return op, err
	}
	if x != nil {
		return s.adopt(ctx, c, op, st, x)
	}
	if time.Since(op.Since) < s.opts.Settle {
		s.waitSettling(&op)
		return op, nil
	}
	if st.Taken {
		op.Fail(failure(op, st.call(op), backup.ErrConflict, "choose another Spec.Name, or start the work with another token",
			"the name %s is taken by something that can not be seen", st.Name))
		return op, nil
	}
	// Nothing was made: it is looked at and asked for again.
	op.To(stageLook, "")
	return op, nil
}

func (s *Strategy) waitSettling(op *backup.Operation) {
	left := s.opts.Settle - time.Since(op.Since)
	d := min(max(time.Since(op.Since)/20, s.opts.PollMin), s.opts.PollMax)
	if left > 0 {
		d = min(d, left)
	}
	op.PollIn(d)
}

// adopt takes over the snapshot that has the name if this Operation made it, and otherwise ends in a conflict.
func (s *Strategy) adopt(ctx context.Context, c *awselasticache.Client, op backup.Operation, st backupState, x *ectypes.Snapshot) (backup.Operation, error) {
	tags, readable, err := s.tags(ctx, c, op.Ref, snapshotARN(x, op.Ref))
	if err != nil {
		return op, err
	}
	if !readable {
		// It is there, but whose it is can not be told yet. Nothing is sent before that is known.
		if op.Stage != stageSettle {
			op.Settle(stageSettle)
		}
		s.waitSettling(&op)
		return op, nil
	}
	if tags[backup.TagToken] != op.ID {
		op.Fail(failure(op, st.call(op), backup.ErrConflict, "choose another Spec.Name, or leave it empty",
			"the name %s is taken by a snapshot that this work did not make", st.Name))
		return op, nil
	}
	if why := s.foreign(op, st, x, tags); why != "" {
		op.AddPoint(pointOf(op.Ref, st.Name))
		op.Fail(failure(op, st.call(op), backup.ErrConflict, "look at the snapshot listed in Points, then start the work with another token", "%s", why))
		return op, nil
	}
	since := op.Started
	if st.Copy != nil {
		// The data of a copy is as old as its source's.
		since = st.Copy.Taken
	}
	if t := created(x); !op.Unstored && !t.IsZero() && t.Before(since.Add(-clockSkew)) {
		op.AddPoint(pointOf(op.Ref, st.Name))
		op.Fail(failure(op, st.call(op), backup.ErrConflict, "start the work with another token", "the snapshot %s carries this operation's token but is older than it could be", st.Name))
		return op, nil
	}
	st.Creating = word(x.SnapshotStatus) == "creating"
	return s.made(op, st)
}

// foreign says what does not fit of a snapshot that carries this Operation's token, or nothing.
func (s *Strategy) foreign(op backup.Operation, st backupState, x *ectypes.Snapshot, tags map[string]string) string {
	cluster, group := word(x.CacheClusterId), word(x.ReplicationGroupId)
	switch {
	case tags[backup.TagSource] != st.source(op).Tag():
		return "the snapshot " + st.Name + " has the source " + tags[backup.TagSource]
	case st.Copy != nil && cluster+"/"+group != st.Copy.From.Source:
		return "the snapshot " + st.Name + " is a copy of something else: " + strings.Join([]string{cluster, group}, " ")
	case (op.Ref.Type == TypeCluster || op.Ref.Type == TypeServerless) && cluster != op.Ref.ID, op.Ref.Type == TypeReplicationGroup && group != "" && group != op.Ref.ID, cluster+group == "":
		return "the snapshot " + st.Name + " was taken of something else: " + strings.Join([]string{cluster, group}, " ")
	case st.key() != "" && aws.ToString(x.KmsKeyId) != st.key():
		return "the snapshot " + st.Name + " is not encrypted with the wanted key"
	}
	return ""
}

// key is the one that the snapshot must have, empty where any will do.
func (st backupState) key() string {
	if st.KMSKeyID == "" && st.Copy != nil {
		return st.Copy.Key
	}
	return st.KMSKeyID
}
