package elasticacheexport

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// The statuses of a snapshot that are known. Source: ElastiCache API, type Snapshot; failed: User Guide, "Amazon SNS events".
const (
	statusAvailable = "available"
	statusCopying   = "copying"
	statusFailed    = "failed"
	statusDeleting  = "deleting"
)

// snapshot gives the snapshot that is exported, or nil if it can not be seen.
func (s *Strategy) snapshot(ctx context.Context, c Clients, r backup.Ref) (*ectypes.Snapshot, error) {
	out, err := c.ElastiCache.DescribeSnapshots(ctx, &awselasticache.DescribeSnapshotsInput{SnapshotName: &r.ID, ShowNodeGroupConfig: aws.Bool(true)})
	if err != nil {
		e := cacheTable.Wrap(Kind, "DescribeSnapshots", r, err)
		if errors.Is(e, backup.ErrNotFound) {
			return nil, nil
		}
		return nil, e
	}
	for i := range out.Snapshots {
		if strings.EqualFold(aws.ToString(out.Snapshots[i].SnapshotName), r.ID) {
			return &out.Snapshots[i], nil
		}
	}
	return nil, nil
}

// look waits until the snapshot can be exported, and refuses what never can.
func (s *Strategy) look(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	x, err := s.snapshot(ctx, c, st.point(op.Ref))
	if err != nil {
		return op, err
	}
	if x == nil {
		if s.lost(&st.Lost) {
			op.Fail(failure(op, "export", backup.ErrNotFound, "check the snapshot's name, the account and the Region", "there is no snapshot %s", st.point(op.Ref).ID))
			return op, nil
		}
		s.poll(&op)
		return op, op.SetState(st)
	}
	st.Lost = time.Time{}
	switch status := word(x.SnapshotStatus); status {
	case statusAvailable:
	case statusFailed, statusDeleting:
		op.Fail(failure(op, "export", backup.ErrFailed, "export another recovery point", "the snapshot %s is %s", st.point(op.Ref).ID, status))
		return op, nil
	default:
		op.PollIn(s.opts.Park)
		return op, op.SetState(st)
	}
	if err := exportable(st.point(op.Ref), x); err != nil {
		op.Fail(err)
		return op, nil
	}
	if err := st.describe(st.point(op.Ref), x); err != nil {
		op.Fail(err)
		return op, nil
	}
	if key := aws.ToString(x.KmsKeyId); key != "" {
		op.Find(backup.Finding{ID: "elasticacheexport.under-customer-key", Severity: backup.SeverityWarning, Ref: st.point(op.Ref),
			Message: "the snapshot is under the key " + key + ", and ElastiCache may refuse to export it",
			Remedy:  "if it does, back up a cluster that uses the service's default key"})
	}
	files, err := s.list(ctx, c, op.Ref, st)
	if err != nil {
		return s.stop(op, err)
	}
	if len(files) > 0 {
		op.Fail(failure(op, "export", backup.ErrConflict, "an export never overwrites: choose another Spec.Name, or leave it empty",
			"the bucket %s already has %d objects that begin with %s-, the first is %s", st.Bucket, len(files), st.Name, files[0].key))
		return op, nil
	}
	if n := st.largest(op); n > backup.MaxOperationBytes {
		op.Fail(failure(op, "export", backup.ErrUnsupported, "choose a shorter Spec.Name or leave it empty; with scattered slots, rebalance the cluster and back up again",
			"with %d shards the work would need %d bytes, and an Operation has %d", len(st.Shards), n, backup.MaxOperationBytes))
		return op, nil
	}
	op.To(stageExport, "CopySnapshot")
	return op, op.SetState(st)
}

// largest is the most that the Operation can grow to before its end.
func (st state) largest(op backup.Operation) int {
	st.Shards = slices.Clone(st.Shards)
	for i := range st.Shards {
		st.Shards[i].Size, st.Shards[i].SHA, st.Shards[i].Off = math.MaxInt64, make([]byte, sha256.Size), true
	}
	st.Lost, st.Taken = time.Now(), time.Now()
	st.Seen, st.At, st.Offset, st.ETag, st.Sums = strings.Repeat("x", 16), MaxShards, math.MaxInt64, strings.Repeat("x", 64), make([]byte, 256)
	st.Format, st.RDB = "VALKEY", 9999
	op.AddMade(st.files(op.Ref))
	if op.SetState(st) != nil {
		return math.MaxInt
	}
	b, err := json.Marshal(op)
	if err != nil {
		return math.MaxInt
	}
	// Two findings of 256 bytes of message and of remedy, and a failure, may come; stages and times are written out already.
	return len(b) + 2*(600+len(op.Ref.ID)) + 1024
}

// exportable refuses what AWS never exports.
func exportable(r backup.Ref, x *ectypes.Snapshot) error {
	refuse := func(hint, format string, args ...any) error {
		return failure(backup.Operation{Ref: r}, "export", backup.ErrUnsupported, hint, format, args...)
	}
	switch {
	case x.DataTiering == ectypes.DataTieringStatusEnabled:
		return refuse("only a restore to r6gd nodes can use it", "the snapshot %s uses data tiering, which ElastiCache does not export", r.ID)
	case word(x.Engine) == "memcached":
		return refuse("", "Memcached has no .rdb files")
	}
	return nil
}

// describe notes what must be exported.
func (st *state) describe(r backup.Ref, x *ectypes.Snapshot) error {
	st.Engine, st.Version = word(x.Engine), aws.ToString(x.EngineVersion)
	st.Source = word(x.ReplicationGroupId)
	st.Cluster, st.Shards, st.Taken = st.Source != "", nil, time.Time{}
	if !st.Cluster {
		st.Source = word(x.CacheClusterId)
	}
	for _, n := range x.NodeSnapshots {
		if t := aws.ToTime(n.SnapshotCreateTime); t.After(st.Taken) {
			st.Taken = t.UTC()
		}
		if !st.Cluster {
			continue
		}
		one := shard{ID: aws.ToString(n.NodeGroupId)}
		if n.NodeGroupConfiguration != nil {
			one.Slots = aws.ToString(n.NodeGroupConfiguration.Slots)
		}
		if one.ID == "" || strings.Trim(one.ID, "0123456789") != "" {
			return failure(backup.Operation{Ref: r}, "export", backup.ErrUnsupported, "", "the snapshot %s has a node group with the id %q, whose file can not be known", r.ID, one.ID)
		}
		st.Shards = append(st.Shards, one)
	}
	if !st.Cluster {
		st.Shards = []shard{{ID: "0001"}}
	}
	slices.SortFunc(st.Shards, func(a, b shard) int { return strings.Compare(a.ID, b.ID) })
	want := int(aws.ToInt32(x.NumNodeGroups))
	switch {
	case len(st.Shards) > MaxShards:
		return failure(backup.Operation{Ref: r}, "export", backup.ErrUnsupported, "", "the snapshot %s has %d shards, more than the %d that one export can have", r.ID, len(st.Shards), MaxShards)
	case len(st.Shards) == 0, st.Cluster && want > 0 && want != len(st.Shards):
		return failure(backup.Operation{Ref: r}, "export", backup.ErrPartial, "export another recovery point", "the snapshot %s names %d of its %d node groups", r.ID, len(st.Shards), want)
	}
	return nil
}

// send asks for the export.
func (s *Strategy) send(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	switch op.Intent() {
	case backup.Settle:
		st.Tried = true
		op.Settle(stageSettle)
		op.AddMade(st.files(op.Ref))
		return op, op.SetState(st)
	case backup.LookOnce:
		begun, err := s.begun(ctx, c, op, st)
		if err != nil {
			return s.stop(op, err)
		}
		if begun {
			return s.adopt(op, st)
		}
	case backup.Send:
	default:
		return op, nil
	}
	_, err := c.ElastiCache.CopySnapshot(ctx, &awselasticache.CopySnapshotInput{
		SourceSnapshotName: aws.String(st.point(op.Ref).ID), TargetSnapshotName: &st.Name, TargetBucket: &st.Bucket,
	}, s.sending)
	if err == nil {
		return s.exporting(op, st)
	}
	v := cacheTable.Classify(err)
	if v.Class == awscall.Permanent {
		if m, ok := explain(err); ok {
			op.Find(backup.Finding{ID: m.id, Severity: backup.SeverityError, Ref: op.Ref, Message: "CopySnapshot: " + m.part, Remedy: m.hint})
			v.Code, v.Hint = m.code, m.hint
		}
		op.Fail(v.Error(Kind, "CopySnapshot", op.Ref, err))
		return op, nil
	}
	e := v.Error(Kind, "CopySnapshot", op.Ref, err)
	switch v.Class {
	case awscall.NotYet:
		// The snapshot is busy again.
		op.To(stageLook, "")
		op.PollIn(s.opts.Park)
		return op, op.SetState(st)
	case awscall.NotApplied:
		op.Unsent()
		return op, e
	}
	return op, e
}

// exporting notes that the export was asked for.
func (s *Strategy) exporting(op backup.Operation, st state) (backup.Operation, error) {
	st.Lost, st.Seen = time.Time{}, ""
	op.AddMade(st.files(op.Ref))
	op.To(stageWait, "")
	op.PollIn(s.opts.PollMin)
	return op, op.SetState(st)
}

// adopt takes files that are there after a call that was perhaps sent for its result, if their name proves that. What is in an .rdb file does not
// say of which snapshot it is.
func (s *Strategy) adopt(op backup.Operation, st state) (backup.Operation, error) {
	if st.Own {
		return s.exporting(op, st)
	}
	op.AddMade(st.files(op.Ref))
	op.Fail(failure(op, "CopySnapshot", backup.ErrConflict, "look at the files that are listed in Made; leave Spec.Name empty, and the name itself will tell",
		"the answer to the call was lost, and the files that begin with %s- may be of this export or of another that chose the same name", st.Name))
	return op, nil
}

// begun looks for the files of an export that was perhaps asked for.
func (s *Strategy) begun(ctx context.Context, c Clients, op backup.Operation, st state) (bool, error) {
	files, err := s.list(ctx, c, op.Ref, st)
	if err != nil {
		return false, err
	}
	return len(files) > 0, nil
}

// settle looks for the files of an export that was perhaps asked for, until the window has passed with the snapshot available.
func (s *Strategy) settle(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	begun, err := s.begun(ctx, c, op, st)
	if err != nil {
		return s.stop(op, err)
	}
	if begun {
		return s.adopt(op, st)
	}
	x, err := s.snapshot(ctx, c, st.point(op.Ref))
	if err != nil {
		return op, err
	}
	if x != nil && word(x.SnapshotStatus) != statusAvailable {
		// Perhaps it is ours that makes it busy. The window begins when it is over.
		op.Settle(stageSettle)
		op.PollIn(s.opts.PollMax)
		return op, nil
	}
	if time.Since(op.Since) < s.opts.Settle {
		op.PollIn(min(s.opts.PollMax, s.opts.Settle-time.Since(op.Since)))
		return op, nil
	}
	op.To(stageLook, "")
	return op, op.SetState(st)
}

// stop ends the Operation with an error that looking again will not mend, and returns any other as it is. That a look is denied, or answered with
// a code that nobody knows, ends only what has not begun: afterwards it says nothing of the export, and rights can come back.
func (s *Strategy) stop(op backup.Operation, err error) (backup.Operation, error) {
	switch backup.CodeOf(err) {
	case backup.ErrDenied, backup.ErrFailed:
		if len(op.Made) > 0 {
			return op, err
		}
	case backup.ErrNotFound, backup.ErrInvalid, backup.ErrUnsupported, backup.ErrConflict, backup.ErrPartial:
	default:
		return op, err
	}
	op.Fail(err)
	return op, nil
}

func (s *Strategy) sending(o *awselasticache.Options) {
	o.Retryer = s.retryer
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], awscall.Guard)
}

// poll sets the time of the next look: a twentieth of the time that the stage has lasted, within the limits.
func (s *Strategy) poll(op *backup.Operation) {
	op.PollIn(min(max(time.Since(op.Since)/20, s.opts.PollMin), s.opts.PollMax))
}

// lost notes that something was not there, and reports whether that has been so for the whole settle window.
func (s *Strategy) lost(since *time.Time) bool {
	if since.IsZero() {
		*since = time.Now().UTC().Round(0)
	}
	return time.Since(*since) >= s.opts.Settle
}

func word(s *string) string { return strings.ToLower(aws.ToString(s)) }
