package elasticache

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// The largest pages. Source: ElastiCache API, DescribeSnapshots, DescribeReplicationGroups, DescribeCacheClusters.
const (
	snapshotPage = 50
	resourcePage = 100
)

// place is a Ref without an id, for choosing a client.
func place(q backup.Query) backup.Ref {
	return backup.Ref{Type: "query", Account: q.Account, Region: q.Region, ID: "-"}
}

// List yields the snapshots of the account, manual and automatic, made by whomever. ElastiCache gives no tags in a listing, so each manual
// snapshot costs a call of its own; automatic ones have no tags of ours and are read only if Query.Tags asks for some. With Query.Source the
// snapshots of a replication group include those that this library took of its members; what
// others took of a member is listed under that member, because AWS does not name the group.
//
// A snapshot whose tags can not be read ends the listing with ErrUnavailable, unless it has gone, is being made or is being deleted: those two
// are listed without tags, and left out where Query.Tags asks for some. What is in another account or Region ends it with ErrInvalid.
func (s *Strategy) List(ctx context.Context, q backup.Query) iter.Seq2[backup.RecoveryPoint, error] {
	return func(yield func(backup.RecoveryPoint, error) bool) {
		in, err := s.listInput(q)
		if err != nil {
			yield(backup.RecoveryPoint{}, err)
			return
		}
		c, err := s.client(ctx, place(q))
		if err != nil {
			yield(backup.RecoveryPoint{}, err)
			return
		}
		// one yields a snapshot if it is wanted, and reports whether to go on.
		one := func(x *ectypes.Snapshot, err error) bool {
			var p backup.RecoveryPoint
			ok := false
			if err == nil {
				err = here(place(q), x.ARN)
			}
			if err == nil {
				p, ok, err = s.listed(ctx, c, q, x)
			}
			if err != nil {
				yield(backup.RecoveryPoint{}, err)
				return false
			}
			return !ok || yield(p, nil)
		}
		if kindWanted(q, false) {
			for x, err := range s.snapshots(ctx, c, q, in) {
				if !one(x, err) {
					return
				}
			}
		}
		if !kindWanted(q, true) {
			return
		}
		if !q.Point.IsZero() {
			if x, err := s.snapshot(ctx, c, q.Point, q.Point.ID); x != nil || err != nil {
				one(x, err)
			}
			return
		}
		for x, err := range s.serverlessSnapshots(ctx, c, place(q), text(q.Source.ID)) {
			if !one(x, err) {
				return
			}
		}
	}
}

// kindWanted tells whether a query is for snapshots of serverless caches, or for the others.
func kindWanted(q backup.Query, less bool) bool {
	kind := TypeSnapshot
	if less {
		kind = TypeServerlessSnapshot
	}
	for _, r := range []backup.Ref{q.Source, q.Point} {
		if !r.IsZero() && serverless(r) != less {
			return false
		}
	}
	return len(q.Types) == 0 || slices.Contains(q.Types, kind)
}

// snapshots gives the snapshots of groups and clusters that a call finds.
func (s *Strategy) snapshots(ctx context.Context, c *awselasticache.Client, q backup.Query, in *awselasticache.DescribeSnapshotsInput) iter.Seq2[*ectypes.Snapshot, error] {
	return func(yield func(*ectypes.Snapshot, error) bool) {
		for {
			out, err := c.DescribeSnapshots(ctx, in, s.listing)
			if err != nil {
				if q.Point.IsZero() || table.Classify(err).Code != backup.ErrNotFound {
					yield(nil, table.Wrap(Kind, "DescribeSnapshots", place(q), err))
				}
				return
			}
			for i := range out.Snapshots {
				if !yield(&out.Snapshots[i], nil) {
					return
				}
			}
			if aws.ToString(out.Marker) == "" {
				return
			}
			in.Marker = out.Marker
		}
	}
}

// serverlessSnapshots gives the snapshots of all serverless caches, or of one.
func (s *Strategy) serverlessSnapshots(ctx context.Context, c *awselasticache.Client, r backup.Ref, cache *string) iter.Seq2[*ectypes.Snapshot, error] {
	return func(yield func(*ectypes.Snapshot, error) bool) {
		in := &awselasticache.DescribeServerlessCacheSnapshotsInput{MaxResults: aws.Int32(snapshotPage), ServerlessCacheName: cache}
		for {
			out, err := c.DescribeServerlessCacheSnapshots(ctx, in, s.listing)
			if err != nil && in.ServerlessCacheName != nil && in.NextToken == nil && table.Classify(err).Code == backup.ErrNotFound {
				// The cache is gone, and its snapshots are found among all.
				in.ServerlessCacheName = nil
				continue
			}
			if err != nil {
				yield(nil, table.Wrap(Kind, "DescribeServerlessCacheSnapshots", r, err))
				return
			}
			for i := range out.ServerlessCacheSnapshots {
				x := common(r, &out.ServerlessCacheSnapshots[i])
				if cache != nil && word(x.CacheClusterId) != *cache {
					continue
				}
				if !yield(x, nil) {
					return
				}
			}
			if aws.ToString(out.NextToken) == "" {
				return
			}
			in.NextToken = out.NextToken
		}
	}
}

func (s *Strategy) listInput(q backup.Query) (*awselasticache.DescribeSnapshotsInput, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	for _, t := range q.Types {
		if t != TypeSnapshot && t != TypeServerlessSnapshot {
			return nil, invalid("list", place(q), "the types of recovery points are elasticache.TypeSnapshot and elasticache.TypeServerlessSnapshot", "the type %q", t)
		}
	}
	in := &awselasticache.DescribeSnapshotsInput{MaxRecords: aws.Int32(snapshotPage)}
	for _, x := range [...]struct {
		ref   backup.Ref
		types []string
	}{{q.Source, []string{TypeReplicationGroup, TypeCluster, TypeServerless}}, {q.Point, []string{TypeSnapshot, TypeServerlessSnapshot}}} {
		if x.ref.IsZero() {
			continue
		}
		if x.ref.Account != q.Account || x.ref.Region != q.Region {
			return nil, invalid("list", x.ref, "Query.Account and Query.Region must be those of the Ref", "the query is for account %q and Region %q", q.Account, q.Region)
		}
		if err := validRef("list", x.ref, x.types...); err != nil {
			return nil, err
		}
	}
	if q.Source.Type == TypeCluster {
		in.CacheClusterId = &q.Source.ID
	}
	if !q.Point.IsZero() {
		in.SnapshotName, in.MaxRecords = &q.Point.ID, nil
	}
	return in, nil
}

// listed makes the recovery point of a snapshot, and tells whether the query wants it.
func (s *Strategy) listed(ctx context.Context, c *awselasticache.Client, q backup.Query, x *ectypes.Snapshot) (backup.RecoveryPoint, bool, error) {
	r := place(q)
	var tags map[string]string
	if !automated(x) || len(q.Tags) > 0 {
		m, readable, err := s.tags(ctx, c, r, snapshotARN(x, r), s.listing)
		if err != nil {
			return backup.RecoveryPoint{}, false, err
		}
		if status := word(x.SnapshotStatus); !readable && status != "creating" && status != "deleting" {
			// It has gone since the page was read, or its tags are late: without them nobody may judge whose it is.
			again, err := s.snapshot(ctx, c, named(r, x), named(r, x).ID)
			if err != nil || again == nil {
				return backup.RecoveryPoint{}, false, err
			}
			return backup.RecoveryPoint{}, false, refused(named(r, x), "ListTagsForResource",
				backup.ErrUnavailable, "list again later", "the snapshot is there, but its tags can not be read")
		}
		tags = m
	}
	for k, v := range q.Tags {
		if have, ok := tags[k]; !ok || v != "" && have != v {
			return backup.RecoveryPoint{}, false, nil
		}
	}
	p := recoveryPoint(r, x, tags)
	return p, q.Source.IsZero() || p.Source == q.Source, nil
}

// recoveryPoint makes the library's view of a snapshot. tags is nil where they were not read.
func recoveryPoint(r backup.Ref, x *ectypes.Snapshot, tags map[string]string) backup.RecoveryPoint {
	p := backup.RecoveryPoint{
		Ref: named(r, x), Source: source(r, x, tags), ARN: snapshotARN(x, r), CreatedAt: dataTime(x, tags),
		Status: status(x), Encrypted: aws.ToString(x.KmsKeyId) != "", KMSKeyID: aws.ToString(x.KmsKeyId), Automated: automated(x) || tags["aws:backup:source-resource"] != "",
		Engine: aws.ToString(x.Engine), EngineVersion: aws.ToString(x.EngineVersion), Tags: tags,
	}
	if p.Status == backup.StatusAvailable {
		p.Percent = 100
	}
	for _, n := range x.NodeSnapshots {
		size := sizeOf(aws.ToString(n.CacheSize))
		p.SizeBytes += size
		if n.NodeGroupId == nil {
			continue
		}
		p.Members = append(p.Members, backup.Member{ID: p.ID + "/" + *n.NodeGroupId, Source: aws.ToString(n.CacheClusterId), Place: *n.NodeGroupId,
			Status: p.Status, SizeBytes: size})
	}
	slices.SortFunc(p.Members, func(a, b backup.Member) int { return strings.Compare(a.Place, b.Place) })
	if n := int(aws.ToInt32(x.NumNodeGroups)); p.Status == backup.StatusAvailable && len(p.Members) > 0 && len(p.Members) < n {
		p.Status = backup.StatusPartial
		for i := range p.Members {
			p.Members[i].Status = backup.StatusAvailable
		}
	}
	return p
}

// named is the Ref of a snapshot of either kind.
func named(r backup.Ref, x *ectypes.Snapshot) backup.Ref {
	if ofServerless(x) {
		return ServerlessSnapshot(r.Account, r.Region, aws.ToString(x.SnapshotName))
	}
	return Snapshot(r.Account, r.Region, aws.ToString(x.SnapshotName))
}

// status gives the library's word. A snapshot that is being restored is complete; one that is being copied may be the copy, which is not.
// Source: ElastiCache API, CreateReplicationGroup: "The snapshot status changes to restoring while the new replication group is being created".
func status(x *ectypes.Snapshot) backup.Status {
	switch word(x.SnapshotStatus) {
	case "available", "restoring":
		return backup.StatusAvailable
	case "failed":
		return backup.StatusFailed
	case "deleting":
		return backup.StatusDeleting
	}
	return backup.StatusPending
}

// source tells what the snapshot is of. AWS names the node that it was taken of; that this node stood for its group is in our tag.
func source(r backup.Ref, x *ectypes.Snapshot, tags map[string]string) backup.Ref {
	if id, ok := groupTag(r, tags); ok && fits(r, x, tags) {
		return ReplicationGroup(r.Account, r.Region, id)
	}
	if id := aws.ToString(x.CacheClusterId); ofServerless(x) {
		return Serverless(r.Account, r.Region, id)
	} else if id != "" {
		return Cluster(r.Account, r.Region, id)
	}
	return ReplicationGroup(r.Account, r.Region, aws.ToString(x.ReplicationGroupId))
}

// groupTag gives the id of the replication group that the source tag names, if it names one of r's account and Region.
func groupTag(r backup.Ref, tags map[string]string) (string, bool) {
	id, ok := strings.CutPrefix(tags[backup.TagSource], ReplicationGroup(r.Account, r.Region, "").String())
	return id, ok && policy.ValidateReplicationGroupID(id) == nil
}

// fits tells whether the source tag agrees with what AWS says that the snapshot is of: its cluster, its group, or a group of which its cluster
// is a member. AWS does not name the group of a member and the group may be gone, so that members are known by their ids, which are the
// group's with three digits or more. The first member of a group that was made from a cluster may have any id; for it the snapshot's name
// speaks, if it is the one that this library makes of the token. Source: ElastiCache User Guide, "Backups".
func fits(r backup.Ref, x *ectypes.Snapshot, tags map[string]string) bool {
	cluster, inGroup := word(x.CacheClusterId), word(x.ReplicationGroupId)
	if ofServerless(x) {
		return cluster != "" && tags[backup.TagSource] == Serverless(r.Account, r.Region, cluster).Tag()
	}
	if cluster != "" && inGroup == "" && tags[backup.TagSource] == Cluster(r.Account, r.Region, cluster).Tag() {
		return true
	}
	id, ok := groupTag(r, tags)
	switch {
	case !ok:
		return false
	case inGroup != "":
		return inGroup == id
	}
	digits, ok := strings.CutPrefix(cluster, id+"-")
	if ok && len(digits) >= 3 && strings.Trim(digits, "0123456789") == "" {
		return true
	}
	token, ok := strings.CutPrefix(tags[backup.TagToken], "op-")
	return ok && cluster != "" && word(x.SnapshotName) == ownName(token)
}

var units = map[string]float64{"b": 1, "bytes": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40}

// sizeOf reads a CacheSize such as "5 MB"; it is 0 for what it can not read.
func sizeOf(s string) int64 {
	n, unit, _ := strings.Cut(strings.TrimSpace(s), " ")
	f, err := strconv.ParseFloat(n, 64)
	u, ok := units[strings.ToLower(strings.TrimSpace(unit))]
	if err != nil || !ok || f < 0 {
		return 0
	}
	return int64(f * u)
}
