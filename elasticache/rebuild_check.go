package elasticache

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export"
)

func incarnationOf(m *made) incarnation {
	i := incarnation{ARN: m.arn}
	var t *time.Time
	if m.group != nil {
		t = m.group.ReplicationGroupCreateTime
	} else {
		t = m.cluster.CacheClusterCreateTime
	}
	if t != nil {
		i.Made = t.UTC().Round(0)
	}
	return i
}

// notRebuildable says why a group or cluster can never be rebuilt, or nothing.
func notRebuildable(r backup.Ref, m *made) error {
	switch m.status {
	case "deleting", "deleted":
		return refused(r, "rebuild", backup.ErrNotFound, "restore a snapshot of it with StartRestore", "the %s is being deleted", kindOf(r))
	case "create-failed", "restore-failed", "incompatible-network":
		return refused(r, "rebuild", backup.ErrUnsupported, "delete it and restore a snapshot with StartRestore", "the %s is %s and has no data to rebuild it from", kindOf(r), m.status)
	}
	if x := m.cluster; x != nil && aws.ToString(x.ReplicationGroupId) != "" {
		return refused(r, "rebuild", backup.ErrInvalid, "rebuild the replication group: elasticache.ReplicationGroup(account, region, \""+*x.ReplicationGroupId+"\")",
			"the cluster is a member of the replication group %s", *x.ReplicationGroupId)
	}
	if g := m.group; g != nil && g.GlobalReplicationGroupInfo != nil && aws.ToString(g.GlobalReplicationGroupInfo.GlobalReplicationGroupId) != "" {
		return refused(r, "rebuild", backup.ErrUnsupported, "take it out of the global datastore first", "the replication group is a member of the global datastore %s, and can not be deleted",
			*g.GlobalReplicationGroupInfo.GlobalReplicationGroupId)
	}
	if m.group != nil {
		return snapshottable(r, aws.ToString(m.group.Engine), aws.ToString(m.group.CacheNodeType))
	}
	return snapshottable(r, aws.ToString(m.cluster.Engine), aws.ToString(m.cluster.CacheNodeType))
}

// verdict is what a look before the deletion found: it may be done if all is empty.
type verdict struct {
	gone   bool   // the deletion was sent before, and has taken effect
	no     error  // it must never be done
	notYet string // it must not be done now
	// snapshot and tags are the good ones.
	snapshot *ectypes.Snapshot
	tags     map[string]string
	old      *made
}

// mayReplace looks at everything on which it depends that nothing is lost: the snapshot, then what is to be deleted.
func (s *Strategy) mayReplace(ctx context.Context, c *awselasticache.Client, op backup.Operation, st *rebuildState) (v verdict, err error) {
	stop := func(err error) (verdict, error) {
		if st.Tried {
			err = st.afterwards(op, err)
		}
		return verdict{no: err}, nil
	}
	no := func(code backup.Code, hint, format string, args ...any) (verdict, error) {
		return stop(failure(op, "rebuild", code, hint, format, args...))
	}
	x, err := s.snapshotWithSlots(ctx, c, op.Ref, st.Snapshot)
	if err != nil {
		return v, err
	}
	old, err := s.existing(ctx, c, op.Ref)
	if err != nil {
		return v, err
	}
	if old != nil && old.status != "deleting" {
		if i := incarnationOf(old); i != st.Of {
			return no(backup.ErrConflict, "look at what has the id now; nothing of it was deleted", "another %s has the id %s now", kindOf(op.Ref), op.Ref.ID)
		}
	}
	if st.Tried && (old == nil || old.status == "deleting") {
		return verdict{gone: true}, nil
	}
	switch {
	case old == nil && !s.lost(&st.Lost):
		return verdict{notYet: "the " + kindOf(op.Ref) + " is not visible"}, nil
	case old == nil, old.status == "deleting":
		return no(backup.ErrConflict, "the snapshot listed in Points has the data: restore it with StartRestore", "somebody else deletes the %s", kindOf(op.Ref))
	}
	if x == nil {
		if !s.lost(&st.Lost) {
			return verdict{notYet: "the snapshot is not visible"}, nil
		}
		return no(backup.ErrFailed, "find out who deleted it, and start again with another token", "the snapshot %s has disappeared; nothing was deleted by this work", st.Snapshot)
	}
	st.Lost = time.Time{}
	// What no waiting mends comes before what is waited for.
	if time.Since(st.writtenUntil(op, x)) > rebuildGap {
		return no(backup.ErrUnavailable, "start again with another token; nothing was deleted", "the snapshot %s was perhaps finished more than %v ago, and what was written since would be lost", st.Snapshot, rebuildGap)
	}
	if time.Until(op.Deadline) < rebuildTime {
		return no(backup.ErrUnavailable, "start again with a longer Spec.Timeout; nothing was deleted", "less than %v is left before the deadline", rebuildTime)
	}
	tags, readable, err := s.tags(ctx, c, op.Ref, snapshotARN(x, op.Ref))
	if err != nil {
		return v, err
	}
	if !readable {
		return verdict{notYet: "the snapshot's tags can not be read"}, nil
	}
	likeness := same
	if st.Identity != (identity{}) {
		likeness = st.Identity.compare(identityOf(x, tags))
	}
	if tags[backup.TagToken] != st.Backup || likeness == other {
		return no(backup.ErrConflict, "look at the snapshot, and start again with another token", "the snapshot %s is not provably the one that was made for this work", st.Snapshot)
	}
	switch status := word(x.SnapshotStatus); status {
	case "available":
	case "failed", "deleting":
		return no(backup.ErrFailed, "start again with another token", "the snapshot %s is %s", st.Snapshot, status)
	default:
		return verdict{notYet: "the snapshot is " + status}, nil
	}
	if likeness == unsure {
		return verdict{notYet: "AWS does not tell the snapshot's times"}, nil
	}
	if err := notRebuildable(op.Ref, old); err != nil {
		return stop(err)
	}
	if old.status != "available" {
		return verdict{notYet: "the " + kindOf(op.Ref) + " is " + old.status}, nil
	}
	if g := old.group; g != nil && !clustered(g) {
		if primary, _ := roles(g); primary == "" {
			return verdict{notYet: unknownRoles}, nil
		}
	}
	if why := whole(x, old); why != "" {
		return no(backup.ErrFailed, "start again with another token; nothing was deleted", "the snapshot %s is not known to have all data: %s", st.Snapshot, why)
	}
	return verdict{snapshot: x, tags: tags, old: old}, nil
}

// writtenUntil is the last time at which the snapshot was not finished, as far as is known: the last look that saw it so or, if an earlier Operation with
// this token made it, when it was begun. An old answer tells no times; nothing is deleted on it.
func (st rebuildState) writtenUntil(op backup.Operation, x *ectypes.Snapshot) time.Time {
	if t := created(x); !t.IsZero() && (st.Unready.IsZero() || t.Before(op.Started.Add(-clockSkew))) {
		return t
	}
	if st.Unready.IsZero() {
		return st.Ready
	}
	return st.Unready
}

// snapshotWithSlots gives a snapshot with the slots of its node groups, nil if none is visible.
func (s *Strategy) snapshotWithSlots(ctx context.Context, c *awselasticache.Client, r backup.Ref, name string) (*ectypes.Snapshot, error) {
	out, err := c.DescribeSnapshots(ctx, &awselasticache.DescribeSnapshotsInput{SnapshotName: &name, ShowNodeGroupConfig: aws.Bool(true)})
	if err != nil {
		if table.Classify(err).Code == backup.ErrNotFound {
			return nil, nil
		}
		return nil, table.Wrap(Kind, "DescribeSnapshots", r, err)
	}
	for i := range out.Snapshots {
		if policy.CanonicalName(aws.ToString(out.Snapshots[i].SnapshotName)) == name {
			return &out.Snapshots[i], here(r, out.Snapshots[i].ARN)
		}
	}
	return nil, nil
}

// whole says why a snapshot is not known to hold all data of a group or cluster, or nothing. What AWS does not tell counts as missing: something
// is about to be deleted.
func whole(x *ectypes.Snapshot, of *made) string {
	if len(x.NodeSnapshots) == 0 {
		return "AWS does not tell what parts it has"
	}
	for _, n := range x.NodeSnapshots {
		if n.SnapshotCreateTime == nil {
			return "AWS does not tell when one of its parts was taken"
		}
	}
	from := word(x.CacheClusterId)
	if of.cluster != nil {
		if from != word(of.cluster.CacheClusterId) {
			return "it is of the cluster " + from
		}
		return ""
	}
	g := of.group
	if !clustered(g) {
		// A replica may lack what was written last. After a failover AWS does not tell what the old primary was at that time.
		if primary, _ := roles(g); primary == "" || from != policy.CanonicalName(primary) {
			return "it is of " + from + ", which is not the primary of the group now"
		}
		return ""
	}
	if word(x.ReplicationGroupId) != word(g.ReplicationGroupId) {
		return "it is of the group " + word(x.ReplicationGroupId)
	}
	var shards []string
	for _, n := range g.NodeGroups {
		shards = append(shards, aws.ToString(n.NodeGroupId))
	}
	if missing := missingShards(x, shards); len(missing) > 0 {
		return "the node groups " + strings.Join(missing, ", ") + " are missing"
	}
	if n := aws.ToInt32(x.NumNodeGroups); int(n) != len(x.NodeSnapshots) {
		return "AWS does not tell of as many parts as it has"
	}
	var slots []s3export.Slots
	for _, n := range x.NodeSnapshots {
		if n.NodeGroupConfiguration == nil || aws.ToString(n.NodeGroupConfiguration.Slots) == "" {
			return "AWS does not tell the slots of the node group " + aws.ToString(n.NodeGroupId)
		}
		slots = append(slots, s3export.Slots(*n.NodeGroupConfiguration.Slots))
	}
	if err := s3export.Cover(slots...); err != nil {
		return err.Error()
	}
	return ""
}

// verifyRebuild checks everything that can be known before something is deleted, also whether the restore will be accepted, and arms the deletion.
func (s *Strategy) verifyRebuild(ctx context.Context, c *awselasticache.Client, op backup.Operation, st rebuildState) (backup.Operation, error) {
	v, err := s.mayReplace(ctx, c, op, &st)
	switch {
	case err != nil:
		return op, err
	case v.gone:
		op.To(stageGone, "")
		op.PollIn(s.opts.PollMin)
		return op, st.keep(&op)
	case v.no != nil:
		op.Fail(v.no)
		return op, nil //nolint:nilerr // the Operation has it
	case v.notYet != "":
		s.park(&op, v.notYet, "nothing is deleted before")
		return op, st.keep(&op)
	}
	stop := func(err error) (backup.Operation, error) {
		if st.Tried {
			err = st.afterwards(op, err)
		}
		op.Fail(err)
		return op, nil
	}
	o, err := st.Options.settle(st.point(op), v.snapshot, v.tags)
	if err != nil {
		return stop(err)
	}
	if g := v.old.group; g != nil && o.nodes() > max(usualNodes, len(members(g))) {
		return stop(failure(op, "rebuild", backup.ErrUnsupported, "rebuild it with as many nodes as it has, or restore under another id; nothing was deleted",
			"whether AWS's quota allows %d nodes would show only after the deletion", o.nodes()))
	}
	if o.SubnetGroup != "" {
		if _, err := c.DescribeCacheSubnetGroups(ctx, &awselasticache.DescribeCacheSubnetGroupsInput{CacheSubnetGroupName: &o.SubnetGroup}); err != nil {
			if d := table.Classify(err); d.Code == backup.ErrInvalid || d.Code == backup.ErrDenied {
				return stop(d.Error(Kind, "DescribeCacheSubnetGroups", op.Ref, err))
			}
			return op, table.Wrap(Kind, "DescribeCacheSubnetGroups", op.Ref, err)
		}
	}
	// The function is asked once before the deletion, so that one that can not give a token shows now.
	if _, end, err := s.authToken(ctx, op.Ref, o); err != nil {
		if end {
			return stop(err)
		}
		return op, err
	}
	st.Identity = identityOf(v.snapshot, v.tags)
	op.To(stageDelete, "DeleteReplicationGroup")
	if op.Ref.Type == TypeCluster {
		op.Next = "DeleteCacheCluster"
	}
	return op, st.keep(&op)
}

// remains gives what has the id, and the first cluster that is left of a group.
func (s *Strategy) remains(ctx context.Context, c *awselasticache.Client, r backup.Ref) (*made, string, error) {
	x, err := s.existing(ctx, c, r)
	if x != nil || err != nil || r.Type == TypeCluster {
		return x, "", err
	}
	in := &awselasticache.DescribeCacheClustersInput{MaxRecords: aws.Int32(resourcePage)}
	for {
		out, err := c.DescribeCacheClusters(ctx, in, s.listing)
		if err != nil {
			return nil, "", table.Wrap(Kind, "DescribeCacheClusters", r, err)
		}
		for _, m := range out.CacheClusters {
			if word(m.ReplicationGroupId) == r.ID {
				return nil, word(m.CacheClusterId), here(r, m.ARN)
			}
		}
		if aws.ToString(out.Marker) == "" {
			return nil, "", nil
		}
		in.Marker = out.Marker
	}
}

func (s *Strategy) preflightRebuild(ctx context.Context, c *awselasticache.Client, op backup.Operation, st rebuildState) ([]backup.Finding, error) {
	x, err := s.existing(ctx, c, op.Ref)
	if err != nil {
		return nil, err
	}
	if x == nil {
		return nil, failure(op, "rebuild", backup.ErrNotFound, "check the id, the account and the Region", "no such %s", kindOf(op.Ref))
	}
	if err := notRebuildable(op.Ref, x); err != nil {
		return nil, err
	}
	inner, err := s.innerBackup(op, st)
	if err != nil {
		return nil, err
	}
	found, err := s.Preflight(ctx, inner)
	if err != nil {
		return nil, err
	}
	warn := func(id, message, remedy string) {
		found = append(found, backup.Finding{ID: "elasticache." + id, Severity: backup.SeverityWarning, Ref: op.Ref, Message: message, Remedy: remedy})
	}
	tags, readable, err := s.tags(ctx, c, op.Ref, x.arn)
	if err != nil {
		return found, err
	}
	if err := st.keepTags(op, tags); readable && err != nil {
		return found, err
	}
	if name := st.Options.SubnetGroup; name != "" {
		// The work looks at it too, and fails before anything is deleted; here it is told before a snapshot is made.
		if _, err := c.DescribeCacheSubnetGroups(ctx, &awselasticache.DescribeCacheSubnetGroupsInput{CacheSubnetGroupName: &name}); err != nil {
			return found, table.Wrap(Kind, "DescribeCacheSubnetGroups", op.Ref, err)
		}
	}
	warn("writes-lost", "what is written after the snapshot began is lost, and clients have no cache until it is made anew", "stop the writers first")
	d, err := s.daily(ctx, c, op.Ref)
	if err != nil {
		return found, err
	}
	if d.RetentionDays > 0 {
		warn("automatic-lost", "its automatic snapshots go with it", "copy those that are to stay (StartCopy)")
	}
	is, err := s.settings(ctx, c, op.Ref, x)
	if err != nil {
		return found, err
	}
	var differs, unchecked []string
	for _, d := range st.Options.differences(is) {
		differs = append(differs, d.what)
		if d.risky {
			unchecked = append(unchecked, d.what)
		}
	}
	if len(differs) > 0 {
		warn("rebuild-differs", "it will not be as it is in: "+strings.Join(differs, ", "), "see Strategy.Settings for how it is")
	}
	if len(unchecked) > 0 {
		warn("rebuild-unchecked", "whether AWS takes these settings shows only after the deletion: "+strings.Join(unchecked, ", "), "restore a snapshot under another id first")
	}
	return append(found, openAccess(op, st.Options)...), nil
}
