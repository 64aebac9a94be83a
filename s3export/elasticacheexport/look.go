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
	"github.com/snapwarden/snapwarden/s3export"
)

// The statuses of a snapshot that are known. Source: ElastiCache API, type Snapshot; failed: User Guide, "Amazon SNS events".
const (
	statusAvailable = "available"
	statusCreating  = "creating"
	statusCopying   = "copying"
	statusFailed    = "failed"
	statusDeleting  = "deleting"
)

// snapshot gives the snapshot that is exported, or nil if it can not be seen.
func (s *Strategy) snapshot(ctx context.Context, c Clients, r backup.Ref) (*ectypes.Snapshot, error) {
	if serverless(r) {
		return s.serverlessSnapshot(ctx, c, r)
	}
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

// look waits until the snapshot can be exported, and refuses what never can. What is there of this very export already, from a process that
// knew more, is carried on.
func (s *Strategy) look(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	op, files, err := s.survey(ctx, c, op, st)
	if err != nil {
		return s.unlisted(ctx, c, op, st, err)
	}
	if op.Done() {
		return op, nil
	}
	x, err := s.snapshot(ctx, c, st.point(op.Ref))
	if err != nil {
		return op, err
	}
	if x == nil {
		if s.lost(&st.Lost) {
			op.Fail(failure(op, "export", backup.ErrNotFound, hintNoSnapshot, "there is no snapshot %s", st.point(op.Ref).ID))
			return op, nil
		}
		s.poll(&op)
		return op, op.SetState(st)
	}
	st.Lost = time.Time{}
	switch status := word(x.SnapshotStatus); status {
	case statusAvailable:
	case statusFailed, statusDeleting:
		op.Fail(failure(op, "export", backup.ErrFailed, hintOtherPoint, "the snapshot %s is %s", st.point(op.Ref).ID, status))
		return op, nil
	default:
		op.PollIn(s.opts.Park)
		return op, op.SetState(st)
	}
	if err := exportable(st.point(op.Ref), x); err != nil {
		op.Find(unexportable(st.point(op.Ref), x, err))
		op.Fail(err)
		return op, nil
	}
	if st.pinned() {
		if err := st.differs(st.point(op.Ref), x); err != nil {
			op.Fail(err)
			return op, nil
		}
	} else if err := st.describe(st.point(op.Ref), x); err != nil {
		op.Fail(err)
		return op, nil
	}
	if key := aws.ToString(x.KmsKeyId); key != "" {
		op.Find(backup.Finding{ID: "elasticacheexport.under-customer-key", Severity: backup.SeverityWarning, Ref: st.point(op.Ref),
			Message: "the snapshot is under the key " + key + ", and ElastiCache may refuse to export it",
			Remedy:  "if it does, back up a cluster that uses the service's default key"})
	}
	if n := st.largest(op); n > backup.MaxOperationBytes {
		op.Fail(failure(op, "export", backup.ErrUnsupported, "choose a shorter Spec.Name or leave it empty; with scattered slots, rebalance the cluster and back up again",
			"with %d shards the work would need %d bytes, and an Operation has %d", len(st.Shards), n, backup.MaxOperationBytes))
		return op, nil
	}
	if err := st.foresee(op); err != nil {
		op.Fail(err)
		return op, nil
	}
	if st.Less {
		// Asked for now also because without the right to it nothing could tell the end later.
		busy, err := s.unfinished(ctx, c, op, st)
		switch {
		case err != nil:
			return s.stop(op, err)
		case busy && len(files) == 0 && (st.Own || st.Tried):
			return s.perhaps(op, st)
		case busy && len(files) == 0:
			op.Fail(failure(op, "export", backup.ErrConflict, "an export never overwrites: wait for the end of the other, or "+st.another(),
				"a file that begins with %s is being uploaded to the bucket %s already", st.Name, st.Bucket))
			return op, nil
		}
	}
	switch {
	case len(files) == 0:
		op.To(stageExport, st.call())
		return op, op.SetState(st)
	case (st.Own || st.Tried) && st.named(files[len(files)-1].key): // the last would be the manifest, which is not ours
		return s.adopt(op, st)
	}
	op.Find(st.taken(op.Ref, files))
	op.Fail(failure(op, "export", backup.ErrConflict, "an export never overwrites: "+st.another(), "the bucket %s already has %d objects that begin with %s, the first is %s", st.Bucket, len(files), st.Name, files[0].key))
	return op, nil
}

// largest is the most that the Operation can grow to before its end.
func (st state) largest(op backup.Operation) int {
	st.Shards = st.foreseen()
	for i := range st.Shards {
		st.Shards[i].Size, st.Shards[i].SHA, st.Shards[i].Off = math.MaxInt64, make([]byte, sha256.Size), true
	}
	st.Lost, st.Taken = time.Now(), time.Now()
	st.Seen, st.At, st.Offset, st.ETag, st.Sums = strings.Repeat("x", 16), MaxShards, math.MaxInt64, strings.Repeat("x", 64), make([]byte, 256)
	st.Defect = strings.Repeat("x", 16)
	st.Format, st.RDB = "VALKEY", 9999
	op.AddMade(st.files(op.Ref))
	if op.SetState(st) != nil {
		return math.MaxInt
	}
	b, err := json.Marshal(op)
	if err != nil {
		return math.MaxInt
	}
	// Two findings of 256 bytes of message and of remedy, of a serverless cache three, and a failure, may come; stages and times are written out already.
	findings := 2
	if st.Less {
		findings = 3
	}
	return len(b) + findings*(600+len(op.Ref.ID)) + 1024 + len(st.keptHint())
}

// foreseen are the shards as far as they are known: of a serverless cache, before its files were counted, one.
func (st state) foreseen() []shard {
	if st.Less && len(st.Shards) == 0 {
		return []shard{{ID: "0001"}}
	}
	return slices.Clone(st.Shards)
}

// foresee refuses, before anything is sent, an export that no manifest can describe at its end: shards whose slots have gaps, for example.
func (st state) foresee(op backup.Operation) error {
	var found []file
	st.Shards = st.foreseen()
	for i := range st.Shards {
		// What only the files can tell stands at its longest.
		st.Shards[i].Size, st.Shards[i].SHA, st.Shards[i].Off = math.MaxInt64, make([]byte, sha256.Size), true
		found = append(found, file{key: st.key(i)})
	}
	st.Format, st.RDB = "VALKEY", 9999
	op.Since = time.Now().UTC().Round(0)
	body, err := st.manifest(op, found).Encode()
	if err == nil {
		_, err = s3export.ParseManifest(body)
	}
	if err != nil {
		if e := (*backup.Error)(nil); errors.As(err, &e) {
			err = e.Err // without the hint, which is for those who read one
		}
		return failure(op, "export", backup.ErrUnsupported, "export another recovery point, or choose a plainer Spec.Name", "what would be exported can not be described: %w", err)
	}
	return nil
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
