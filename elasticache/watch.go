package elasticache

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
)

// watch looks at the snapshot while it is being made, and ends the backup when it is.
//
// One look that says available is enough for a snapshot that was seen being made. One that said available at the first look is looked at a
// second time, because one answer may be stale or belong to something that had the name before.
func (s *Strategy) watch(ctx context.Context, c *awselasticache.Client, op backup.Operation, st backupState) (backup.Operation, error) {
	x, err := s.snapshot(ctx, c, op.Ref, st.Name)
	if err != nil {
		return op, err
	}
	again := func() (backup.Operation, error) {
		s.wait(&op)
		return op, op.SetState(st)
	}
	if x == nil {
		if s.lost(&st.Lost) {
			op.Fail(failure(op, string(op.Action), backup.ErrFailed, "find out who deleted it, and start again with another token", "the snapshot %s has disappeared: somebody else deleted it", st.Name))
			return op, nil
		}
		st.Good = 0
		return again()
	}
	st.Lost = time.Time{}
	switch status := word(x.SnapshotStatus); status {
	case "available":
	case "failed":
		hint := "delete it and back up again with another token; too little reserved memory is the usual cause (reserved-memory-percent)"
		if st.Copy != nil {
			hint = "delete it and copy again with another token; look at the events of the Region (DescribeEvents), and whether the KMS key can be used"
		}
		op.Fail(failure(op, string(op.Action), backup.ErrFailed, hint,
			"ElastiCache could not make the snapshot %s", st.Name))
		return op, nil
	case "deleting":
		op.Fail(failure(op, string(op.Action), backup.ErrFailed, "find out who deletes it, and start again with another token", "the snapshot %s is being deleted by somebody else", st.Name))
		return op, nil
	default:
		st.Creating = st.Creating || status == "creating"
		st.Good = 0
		for _, f := range unknownStatus(pointOf(op.Ref, st.Name), status, snapshotStatuses) {
			op.Find(f)
		}
		return again()
	}
	st.Good++
	if !st.Creating && st.Good < 2 {
		return again()
	}
	tags, readable, err := s.tags(ctx, c, op.Ref, snapshotARN(x, op.Ref))
	if err != nil {
		return op, err
	}
	if !readable {
		return again()
	}
	if tags[backup.TagToken] != op.ID || s.foreign(op, st, x, tags) != "" {
		op.Fail(failure(op, string(op.Action), backup.ErrConflict, "look at the snapshot listed in Points, and start again with another token",
			"the snapshot %s is not provably the one that was made for this work: its tags were changed, or it was deleted and another has its name", st.Name))
		return op, nil
	}
	missing := missingShards(x, st.Shards)
	if len(missing) > 0 {
		st.Short++
		if st.Short < 2 {
			return again()
		}
		op.Fail(failure(op, string(op.Action), backup.ErrPartial, "start again with another token; what is there can not be restored as a whole", "the snapshot %s lacks %d of %d node groups: %s",
			st.Name, len(missing), len(st.Shards), strings.Join(missing, ", ")))
		return op, nil
	}
	point := pointOf(op.Ref, st.Name)
	switch {
	case len(x.NodeSnapshots) == 0:
		op.Find(backup.Finding{ID: "elasticache.no-parts", Severity: backup.SeverityWarning, Ref: point,
			Message: "the service does not say of which nodes the snapshot is, so that it is whole could not be checked"})
	case created(x).IsZero():
		op.Find(backup.Finding{ID: "elasticache.no-time", Severity: backup.SeverityWarning, Ref: point,
			Message: "the service does not say when the snapshot was taken; retention keeps it"})
	}
	op.Succeed()
	return op, nil
}

// missingShards gives the node groups that a snapshot should have and has not. A service that names no parts at all names nothing missing.
func missingShards(x *ectypes.Snapshot, want []string) []string {
	if len(x.NodeSnapshots) == 0 {
		return nil
	}
	have := map[string]bool{}
	for _, n := range x.NodeSnapshots {
		have[aws.ToString(n.NodeGroupId)] = true
	}
	return slices.DeleteFunc(slices.Clone(want), func(id string) bool { return have[id] })
}
