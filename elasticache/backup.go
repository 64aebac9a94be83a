package elasticache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/policy"
)

// BackupOptions are the settings of a backup.
type BackupOptions struct {
	// KMSKeyID is the ARN of the key that the snapshot is encrypted with. Empty keeps the source's key. A snapshot under a customer's
	// own key can not be exported to S3. Source: ElastiCache User Guide, "At-rest encryption".
	KMSKeyID string
}

// OptionsFor makes BackupOptions usable as backup.Spec.Options.
func (BackupOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionBackup }

// backupState is a backup's State.
type backupState struct {
	Name     string `json:"n"`
	KMSKeyID string `json:"k,omitempty"`
	// Cluster or Group is what CreateSnapshot is given; Shards are the node groups that the snapshot must have.
	Cluster string   `json:"c,omitempty"`
	Group   string   `json:"g,omitempty"`
	Shards  []string `json:"sh,omitempty"`
	// Primary takes the primary of a group with cluster mode disabled, as what is deleted afterwards needs.
	Primary bool `json:"p,omitempty"`
	// Taken: AWS said that the name is taken, so something has it.
	Taken bool `json:"t,omitempty"`
	// Creating: it was seen being made. Good and Short count the looks that found it available, whole or short.
	Creating bool `json:"cr,omitempty"`
	Good     int  `json:"gd,omitempty"`
	Short    int  `json:"so,omitempty"`
	// Armed: the call was ready to be sent at some time. Tried: it was perhaps sent, and what became of it was not found.
	Armed bool `json:"a,omitempty"`
	Tried bool `json:"tr,omitempty"`
	// Lost is since when the source, or later the snapshot, has not been seen.
	Lost time.Time `json:"l,omitzero"`
	// Copy is what a copy is of, nil for a backup.
	Copy *copied `json:"cp,omitempty"`
}

// source is what the data is of.
func (st backupState) source(op backup.Operation) backup.Ref {
	if st.Copy != nil {
		return st.Copy.Lineage
	}
	return op.Ref
}

// call is the one that makes the snapshot.
func (st backupState) call(op backup.Operation) string {
	switch {
	case st.Copy != nil && serverless(op.Ref):
		return "CopyServerlessCacheSnapshot"
	case st.Copy != nil:
		return "CopySnapshot"
	case serverless(op.Ref):
		return "CreateServerlessCacheSnapshot"
	}
	return "CreateSnapshot"
}

// Start makes the Operation that backs up a replication group, a single cluster or a serverless cache. Spec.Options may be BackupOptions. The snapshot is called
// Spec.Name, in lower case, or else "sw-" and a hash of the Operation's ID: 29 characters of the 40 that are surely allowed.
func (s *Strategy) Start(_ context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionBackup, r, spec, TypeReplicationGroup, TypeCluster, TypeServerless)
	if err != nil {
		return backup.Operation{}, err
	}
	st := backupState{Name: policy.CanonicalName(spec.Name)}
	if st.Name == "" {
		st.Name = ownName(strings.TrimPrefix(op.ID, "op-"))
	}
	if err := validName(op.Action, r, st.Name); err != nil {
		return backup.Operation{}, err
	}
	if spec.Options != nil {
		o, ok := spec.Options.(BackupOptions)
		if !ok {
			return backup.Operation{}, invalid(op.Action, r, "use elasticache.BackupOptions, not a pointer to it", "options of type %T", spec.Options)
		}
		if o.KMSKeyID != "" {
			if err := validKey(op.Action, r, o.KMSKeyID); err != nil {
				return backup.Operation{}, err
			}
		}
		st.KMSKeyID = o.KMSKeyID
	}
	op.Stage = stageLook
	return op, op.SetState(st)
}

// validName refuses what can not be the name of a snapshot that is made of r or copied from r.
func validName(action backup.Action, r backup.Ref, name string) error {
	check, most := policy.ValidateCacheSnapshotName, 40
	if serverless(r) {
		check, most = policy.ValidateServerlessSnapshotName, 255
	}
	if err := check(name); err != nil {
		return invalid(action, r, fmt.Sprintf("use 1 to %d letters, digits and hyphens, a letter first, or leave Spec.Name empty", most), "%w", err)
	}
	return nil
}

// ownName is the name of a snapshot whose caller gave none. token is the Operation's ID without its prefix.
func ownName(token string) string { return "sw-" + token }

// validKey refuses what can not be the key of something in r's Region. A key of another account may be used, if its policy allows that; one of
// another Region never. Source: KMS Developer Guide, "Using KMS keys with AWS services".
func validKey(action backup.Action, r backup.Ref, key string) error {
	if err := policy.ValidateKMSKeyARN(key); err != nil {
		return invalid(action, r, "give the key's ARN", "%w", err)
	}
	a, err := policy.ParseARN(key)
	if err != nil {
		return invalid(action, r, "give the key's ARN", "%w", err)
	}
	if partition, err := policy.PartitionOf(r.Region); err != nil || a.Region != r.Region || a.Partition != partition.ID {
		return invalid(action, r, "give a key of "+r.Region, "the KMS key %s is in another Region than the backup", key)
	}
	return nil
}

// patience is how long a source that must exist may be absent before that is believed.
const patience = time.Minute

func (s *Strategy) stepBackup(ctx context.Context, c *awselasticache.Client, op backup.Operation) (backup.Operation, error) {
	var st backupState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	return s.carryMaking(ctx, c, op, st, s.plan, s.create)
}

// making is a step of making a snapshot.
type making func(ctx context.Context, c *awselasticache.Client, op backup.Operation, st backupState) (backup.Operation, error)

// carryMaking carries on the making of a snapshot, by a backup or by a copy: look arms the call, and send makes it.
func (s *Strategy) carryMaking(ctx context.Context, c *awselasticache.Client, op backup.Operation, st backupState, look, send making) (backup.Operation, error) {
	switch op.Stage {
	case stageLook:
		return look(ctx, c, op, st)
	case stageCreate:
		switch op.Intent() {
		case backup.Send:
			return send(ctx, c, op, st)
		case backup.LookOnce:
			x, err := s.snapshot(ctx, c, op.Ref, st.Name)
			if err != nil {
				return op, err
			}
			if x == nil {
				return send(ctx, c, op, st)
			}
			return s.adopt(ctx, c, op, st, x)
		case backup.Settle:
			st.Tried = true
			op.Settle(stageSettle)
			return op, op.SetState(st)
		}
		return op, nil
	case stageSettle:
		return s.settle(ctx, c, op, st)
	case stageWait:
		return s.watch(ctx, c, op, st)
	}
	return op, unknownStage(op)
}

// plan looks at what is to be backed up and arms the create call, unless it is busy.
func (s *Strategy) plan(ctx context.Context, c *awselasticache.Client, op backup.Operation, st backupState) (backup.Operation, error) {
	if st.Armed {
		// An earlier send may have worked after all, and then the snapshot is there, whatever became of its source.
		x, err := s.snapshot(ctx, c, op.Ref, st.Name)
		if err != nil {
			return op, err
		}
		if x != nil {
			return s.adopt(ctx, c, op, st, x)
		}
	}
	t, err := s.target(ctx, c, op.Ref, st.Primary)
	if err != nil {
		if backup.CodeOf(err) == backup.ErrNotFound {
			// One look that does not find it proves nothing, however long ago the work began: it may be new, or the answer an old one.
			if st.Lost.IsZero() {
				st.Lost = time.Now().UTC().Round(0)
			}
			if time.Since(st.Lost) < min(patience, s.opts.Settle) {
				op.PollIn(s.opts.PollMin)
				return op, op.SetState(st)
			}
		}
		var e *elsewhereError
		if errors.As(err, &e) {
			return misplaced(op, !st.Armed, err)
		}
		if permanent(err) {
			op.Fail(err)
			return op, nil
		}
		return op, err
	}
	for _, f := range t.findings {
		op.Find(f)
	}
	st.Lost = time.Time{}
	if t.notYet != "" {
		s.park(&op, t.notYet, "it is tried again")
		return op, op.SetState(st)
	}
	st.Cluster, st.Group, st.Shards, st.Armed = t.cluster, t.group, t.shards, true
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageCreate, st.call(op))
	return op, nil
}

// park has the Operation look again later.
func (s *Strategy) park(op *backup.Operation, why, remedy string) {
	op.Find(backup.Finding{ID: "elasticache.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: why, Remedy: remedy})
	op.PollIn(s.opts.Park)
}

// create asks for the snapshot.
func (s *Strategy) create(ctx context.Context, c *awselasticache.Client, op backup.Operation, st backupState) (backup.Operation, error) {
	if serverless(op.Ref) {
		x, err := s.createServerlessSnapshot(ctx, c, op, st)
		return s.asked(op, st, x, err)
	}
	in := &awselasticache.CreateSnapshotInput{SnapshotName: &st.Name, Tags: tagList(op.OwnTags(op.Ref))}
	if st.Group != "" {
		in.ReplicationGroupId = &st.Group
	} else {
		in.CacheClusterId = &st.Cluster
	}
	if st.KMSKeyID != "" {
		in.KmsKeyId = &st.KMSKeyID
	}
	out, err := c.CreateSnapshot(ctx, in, s.sending)
	if err != nil {
		return s.asked(op, st, nil, err)
	}
	return s.asked(op, st, out.Snapshot, nil)
}

// asked goes on after a call that makes a snapshot. What has the name already is looked at.
func (s *Strategy) asked(op backup.Operation, st backupState, x *ectypes.Snapshot, err error) (backup.Operation, error) {
	if err == nil {
		st.Creating = x != nil && word(x.SnapshotStatus) == "creating"
		return s.made(op, st)
	}
	switch table.Classify(err).AWSCode {
	case codeSnapshotExists, codeServerlessSnapshotExists:
		st.Taken, st.Tried = true, true
		op.Settle(stageSettle)
		return op, op.SetState(st)
	}
	return s.refusedCreate(op, err)
}

// refusedCreate sorts the error of a create call.
func (s *Strategy) refusedCreate(op backup.Operation, err error) (backup.Operation, error) {
	v := table.Classify(err)
	failed := v.Error(Kind, op.Next, op.Ref, err)
	switch v.Class {
	case awscall.NotApplied:
		op.Unsent()
	case awscall.NotYet:
		op.To(stageLook, "")
		s.park(&op, v.AWSCode, v.Hint)
		return op, nil
	case awscall.Permanent:
		op.Fail(failed)
		return op, nil
	}
	return op, failed
}

// made goes on to wait for the snapshot.
func (s *Strategy) made(op backup.Operation, st backupState) (backup.Operation, error) {
	op.AddPoint(pointOf(op.Ref, st.Name))
	st.Lost, st.Good, st.Short = time.Time{}, 0, 0
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageWait, "")
	op.PollIn(s.opts.PollMin)
	return op, nil
}
