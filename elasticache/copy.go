package elasticache

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// tagCopyOf names the snapshot that a copy was made of. It tells that the time in backup.TagCreated is that of the data.
const tagCopyOf = backup.TagPrefix + "copy-of"

var _ backup.Copier = (*Strategy)(nil)

// copied is what a copy knows of the snapshot that it is made of.
type copied struct {
	// From is the snapshot that was looked at: no other is copied, whatever its name.
	From identity `json:"i,omitzero"`
	// Lineage is the resource whose data it is, and Taken the time of the data.
	Lineage backup.Ref `json:"l,omitzero"`
	Taken   time.Time  `json:"t,omitzero"`
	// Key is the source's key, which a copy keeps if it is given none.
	Key string `json:"k,omitempty"`
}

// StartCopy makes the Operation that copies a snapshot within its account and Region, under another name and perhaps another KMS key. Copying
// is how an automatic snapshot is kept beyond its cluster: automatic ones go with it, and a copy is a manual snapshot, which stays until it is
// deleted. The copy is listed in Points. It counts as a recovery point of the resource that the source is of, with the age of the source's data.
//
// to.Account and to.Region may be empty for the snapshot's own. Any other is refused with ErrUnsupported: ElastiCache copies nothing out of a
// Region or an account; what goes there is an export, from which a cluster is seeded. An empty to.KMSKeyID keeps the source's key; there is no
// documented way from a customer's key back to AWS's own. The copy is called Spec.Name, or else "sw-" and a hash of the Operation's ID. There are
// no options.
//
// A source that is being made, copied or restored is waited for, since ElastiCache copies only what is available. One that failed or is short is
// refused with ErrUnsupported.
//
// Source: ElastiCache API, CopySnapshot; ElastiCache User Guide, "Copying a backup" and "Scheduling automatic backups".
func (s *Strategy) StartCopy(_ context.Context, point backup.Ref, to backup.Destination, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionCopy, point, spec, TypeSnapshot, TypeServerlessSnapshot)
	if err != nil {
		return backup.Operation{}, err
	}
	if to.Account != "" && to.Account != point.Account || to.Region != "" && to.Region != point.Region {
		if err := (backup.Ref{Type: "destination", Account: cmp.Or(to.Account, point.Account), Region: cmp.Or(to.Region, point.Region), ID: "-"}).Validate(); err != nil {
			return backup.Operation{}, err
		}
		return backup.Operation{}, failure(op, "copy", backup.ErrUnsupported,
			"export the snapshot to S3 (package elasticacheexport), copy the export there, and seed a cluster from it with StartSeed",
			"ElastiCache copies snapshots within their account and Region only, and not to account %s, Region %s", cmp.Or(to.Account, point.Account), cmp.Or(to.Region, point.Region))
	}
	if n := len(op.OwnTags(point)) + 1; n > maxTags {
		return backup.Operation{}, invalid(op.Action, point, "a resource has at most 50 tags, the library's own included: use fewer", "%d tags would be needed", n)
	}
	op.Bind(to.KMSKeyID)
	st := backupState{Name: policy.CanonicalName(spec.Name), KMSKeyID: to.KMSKeyID, Copy: &copied{}}
	if st.Name == "" {
		st.Name = ownName(strings.TrimPrefix(op.ID, "op-"))
	}
	if err := validName(op.Action, point, st.Name); err != nil {
		return backup.Operation{}, err
	}
	if st.Name == point.ID {
		return backup.Operation{}, invalid(op.Action, point, "choose another Spec.Name, or leave it empty", "the copy would have the name of its source")
	}
	if st.KMSKeyID != "" {
		if err := validKey(op.Action, point, st.KMSKeyID); err != nil {
			return backup.Operation{}, err
		}
	}
	op.Stage = stageLook
	return op, op.SetState(st)
}

func (s *Strategy) stepCopy(ctx context.Context, c *awselasticache.Client, op backup.Operation) (backup.Operation, error) {
	var st backupState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	if st.Copy == nil {
		return op, failure(op, "copy", backup.ErrInvalid, "the operation was changed; start it again", "the operation does not say what is copied")
	}
	return s.carryMaking(ctx, c, op, st, s.lookCopy, s.sendCopy)
}

// lookCopy looks at the source and arms the call.
func (s *Strategy) lookCopy(ctx context.Context, c *awselasticache.Client, op backup.Operation, st backupState) (backup.Operation, error) {
	if st.Armed {
		// An earlier send may have worked after all, and then the copy is there, whatever became of its source.
		x, err := s.snapshot(ctx, c, op.Ref, st.Name)
		if err != nil {
			return op, err
		}
		if x != nil {
			return s.adopt(ctx, c, op, st, x)
		}
	}
	x, tags, readable, err := s.copySource(ctx, c, op.Ref)
	if err != nil {
		return misplaced(op, !st.Armed, err)
	}
	if x == nil {
		if s.lost(&st.Lost) {
			op.Fail(failure(op, "copy", backup.ErrNotFound, "check the name, the account and the Region; AWS deletes automatic snapshots after their retention, and with their cluster", "no such snapshot"))
			return op, nil
		}
		s.wait(&op)
		return op, op.SetState(st)
	}
	st.Lost = time.Time{}
	now := identityOf(x, tags)
	if st.Copy.From != (identity{}) && st.Copy.From.compare(now) == other {
		op.Fail(replacedSource(op))
		return op, nil
	}
	if no := unusable(op.Ref, "copy", x); no != nil {
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
	lineage, err := s.lineage(ctx, c, op, st.Name, x, tags)
	if err != nil {
		return op, err
	}
	st.Copy = &copied{From: now, Lineage: lineage, Taken: recoveryPoint(op.Ref, x, tags).CreatedAt, Key: aws.ToString(x.KmsKeyId)}
	st.Shards, st.Armed = shardsIn(x), true
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageCreate, st.call(op))
	return op, nil
}

// copySource gives the source and its tags. Automatic snapshots have none of ours, and theirs are not asked for.
func (s *Strategy) copySource(ctx context.Context, c *awselasticache.Client, r backup.Ref) (*ectypes.Snapshot, map[string]string, bool, error) {
	x, err := s.snapshot(ctx, c, r, r.ID)
	if x == nil || err != nil {
		return nil, nil, false, err
	}
	if automated(x) {
		return x, nil, true, nil
	}
	tags, readable, err := s.tags(ctx, c, r, snapshotARN(x, r))
	return x, tags, readable, err
}

// replacedSource is the end of a copy whose source is another snapshot now.
func replacedSource(op backup.Operation) error {
	return failure(op, "copy", backup.ErrConflict, "look at the snapshot, and copy it with another token if it is the right one", "another snapshot has the name of the source now")
}

// shardsIn names the node groups whose data a snapshot has.
func shardsIn(x *ectypes.Snapshot) (all []string) {
	for _, n := range x.NodeSnapshots {
		if id := aws.ToString(n.NodeGroupId); id != "" {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// lineage gives the resource that a snapshot's data is of. An automatic snapshot of a group with cluster mode disabled names only the member
// that it was taken of; while that member is there, it tells its group, and the copy is a recovery point of the group. The group is claimed
// only where the copy's tag will be believed later.
func (s *Strategy) lineage(ctx context.Context, c *awselasticache.Client, op backup.Operation, name string, x *ectypes.Snapshot, tags map[string]string) (backup.Ref, error) {
	of := source(op.Ref, x, tags)
	if of.Type != TypeCluster {
		return of, nil
	}
	m, err := s.cluster(ctx, c, op.Ref, of.ID)
	if err != nil || m == nil || aws.ToString(m.ReplicationGroupId) == "" {
		return of, err
	}
	if x.CacheClusterCreateTime != nil && m.CacheClusterCreateTime != nil && !x.CacheClusterCreateTime.Equal(*m.CacheClusterCreateTime) {
		return of, nil // another cluster, which has the id now
	}
	g := ReplicationGroup(op.Ref.Account, op.Ref.Region, aws.ToString(m.ReplicationGroupId))
	made := &ectypes.Snapshot{SnapshotName: &name, CacheClusterId: x.CacheClusterId, ReplicationGroupId: x.ReplicationGroupId}
	if fits(op.Ref, made, op.OwnTags(g)) {
		return g, nil
	}
	return of, nil
}

// sendCopy looks at the source once more and asks for the copy.
func (s *Strategy) sendCopy(ctx context.Context, c *awselasticache.Client, op backup.Operation, st backupState) (backup.Operation, error) {
	x, tags, readable, err := s.copySource(ctx, c, op.Ref)
	if err != nil {
		op.Unsent()
		return op, err
	}
	if x == nil || !readable || word(x.SnapshotStatus) != "available" {
		op.To(stageLook, "")
		op.PollIn(s.opts.PollMin)
		return op, nil
	}
	switch st.Copy.From.compare(identityOf(x, tags)) {
	case other:
		op.Fail(replacedSource(op))
		return op, nil
	case unsure:
		op.To(stageLook, "")
		op.PollIn(s.opts.PollMin)
		return op, nil
	}
	if serverless(op.Ref) {
		x, err := s.copyServerlessSnapshot(ctx, c, op, st)
		return s.asked(op, st, x, err)
	}
	in := &awselasticache.CopySnapshotInput{SourceSnapshotName: &op.Ref.ID, TargetSnapshotName: &st.Name, KmsKeyId: text(st.KMSKeyID), Tags: tagList(st.copyTags(op))}
	out, err := c.CopySnapshot(ctx, in, s.sending)
	if err != nil {
		return s.asked(op, st, nil, err)
	}
	return s.asked(op, st, out.Snapshot, nil)
}

// copyTags are the tags of a copy: those of a backup of what the data is of, with the time of the data and the name of the source.
func (st backupState) copyTags(op backup.Operation) map[string]string {
	m := op.OwnTags(st.Copy.Lineage)
	if !st.Copy.Taken.IsZero() {
		m[backup.TagCreated] = st.Copy.Taken.UTC().Format(time.RFC3339)
	}
	m[tagCopyOf] = op.Ref.ID
	return m
}

// dataTime is the time of a snapshot's data. Whether AWS gives a copy the time of its source is UNVERIFIED; the copy's tags have it.
func dataTime(x *ectypes.Snapshot, tags map[string]string) time.Time {
	t := created(x)
	if t.IsZero() || tags[tagCopyOf] == "" {
		return t
	}
	if d, err := time.Parse(time.RFC3339, tags[backup.TagCreated]); err == nil && d.Before(t.Add(-time.Second)) {
		return d
	}
	return t
}

func (s *Strategy) preflightCopy(ctx context.Context, c *awselasticache.Client, op backup.Operation, st backupState) ([]backup.Finding, error) {
	x, _, _, err := s.copySource(ctx, c, op.Ref)
	if err != nil {
		return nil, err
	}
	if x == nil {
		return []backup.Finding{notVisible(op)}, nil
	}
	if err := unusable(op.Ref, "copy", x); err != nil {
		return nil, err
	}
	var found []backup.Finding
	if status := word(x.SnapshotStatus); status != "available" {
		found = append(found, backup.Finding{ID: "elasticache.not-yet", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "the snapshot is " + status, Remedy: "the copy waits for it"})
	}
	if key := cmp.Or(st.KMSKeyID, aws.ToString(x.KmsKeyId)); key != "" {
		found = append(found, backup.Finding{ID: "elasticache.copy-key", Severity: backup.SeverityInfo, Ref: op.Ref,
			Message: "the copy is encrypted with the customer's key " + key + ", and can not be exported to S3", Remedy: "export the source first, if its own key allows that"})
	}
	return s.nameTaken(ctx, c, op, st.Name, found)
}
