package rds

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
)

// pageSize is RDS's largest page. Source: RDS API, DescribeDBSnapshots and DescribeDBInstances, MaxRecords.
const pageSize = 100

const gib = 1 << 30

// place is a Ref without an id, for choosing a client.
func place(q backup.Query) backup.Ref {
	return backup.Ref{Type: "query", Account: q.Account, Region: q.Region, ID: "-"}
}

// has tells whether tags hold all that a query wants; an empty value means any.
func has(tags, want map[string]string) bool {
	for k, v := range want {
		if got, ok := tags[k]; !ok || v != "" && got != v {
			return false
		}
	}
	return true
}

// checkQuery refuses what a query can not ask. kinds are the types that there are, and points tells whether recovery points are asked for.
func checkQuery(what backup.Action, q backup.Query, points bool, kinds ...string) error {
	r := place(q)
	if err := q.Validate(); err != nil {
		return err
	}
	for _, t := range q.Types {
		if !slices.Contains(kinds, t) {
			return invalid(what, r, "the types here are "+strings.Join(kinds, " and "), "the type %q", t)
		}
	}
	for _, x := range [...]struct {
		ref   backup.Ref
		kinds []string
	}{{q.Source, []string{TypeInstance, TypeCluster}}, {q.Point, []string{TypeSnapshot, TypeClusterSnapshot, TypeAutomatedBackup, TypeClusterAutomatedBackup}}} {
		if x.ref.IsZero() {
			continue
		}
		if !points {
			return invalid(what, r, "Source and Point belong to List", "the query has a Source or a Point")
		}
		if x.ref.Account != q.Account || x.ref.Region != q.Region {
			return invalid(what, x.ref, "Query.Account and Query.Region must be those of the Ref", "the query is for account %q and Region %q", q.Account, q.Region)
		}
		if err := validRef(what, x.ref, x.kinds...); err != nil {
			return err
		}
	}
	return nil
}

// wants tells whether a query wants what is of a type: by its Types, and by the kind of its Source or Point.
func wants(q backup.Query, kind string) bool {
	if len(q.Types) > 0 && !slices.Contains(q.Types, kind) {
		return false
	}
	if !q.Source.IsZero() && ofCluster(q.Source) != ofCluster(backup.Ref{Type: kind}) {
		return false
	}
	return q.Point.IsZero() || q.Point.Type == kind
}

// List yields DB snapshots and DB cluster snapshots: the manual ones, the automated ones and those of AWS Backup. What was shared by other accounts
// is not listed.
//
// Automated backups are listed where Query.Types names TypeAutomatedBackup or TypeClusterAutomatedBackup, or Query.Point is one: a recovery point for each
// database that has them. They are no point but a window, so that the time of one is the latest to which it can be restored, which is another one
// minutes later; and they end with their database, unless they are retained.
//
// The Source of a copy is the database that it is of, which may be in another
// Region: such a copy is found without Query.Source. Only what Query.Types, Source or Point leave over is asked for, so that a caller who may not see clusters can list instances'.
func (s *Strategy) List(ctx context.Context, q backup.Query) iter.Seq2[backup.RecoveryPoint, error] {
	return func(yield func(backup.RecoveryPoint, error) bool) {
		r := place(q)
		if err := checkQuery("list", q, true, TypeSnapshot, TypeClusterSnapshot, TypeAutomatedBackup, TypeClusterAutomatedBackup); err != nil {
			yield(backup.RecoveryPoint{}, err)
			return
		}
		c, err := s.client(ctx, r)
		if err != nil {
			yield(backup.RecoveryPoint{}, err)
			return
		}
		for _, k := range [...]struct {
			kind string
			find finder
			page pager
		}{{TypeSnapshot, s.snapshot, s.snapshotPage}, {TypeClusterSnapshot, s.clusterSnapshot, s.clusterSnapshotPage}} {
			if wants(q, k.kind) && !s.list(ctx, c, q, k.find, k.page, yield) {
				return
			}
		}
		for _, k := range [...]struct {
			kind string
			read backupsPager
		}{{TypeAutomatedBackup, s.instanceBackupsPage}, {TypeClusterAutomatedBackup, s.clusterBackupsPage}} {
			asked := slices.Contains(q.Types, k.kind) || q.Point.Type == k.kind
			if asked && wants(q, k.kind) && !s.listBackups(ctx, c, q, k.read, yield) {
				return
			}
		}
	}
}

// listBackups yields the automated backups of one kind of database and tells whether to go on.
func (s *Strategy) listBackups(ctx context.Context, c *awsrds.Client, q backup.Query, read backupsPager, yield func(backup.RecoveryPoint, error) bool) bool {
	all, err := s.allBackups(ctx, c, place(q), read, q.Source.ID, q.Point.ID)
	if err != nil {
		yield(backup.RecoveryPoint{}, err)
		return false
	}
	for _, a := range all {
		p := a.point(place(q))
		if has(p.Tags, q.Tags) && (q.Source.IsZero() || p.Source == q.Source) && (q.Point.IsZero() || p.Ref == q.Point) && !yield(p, nil) {
			return false
		}
	}
	return true
}

// point makes the recovery point of automated backups: its time is the latest to which they can be restored.
func (a *AutomatedBackups) point(at backup.Ref) backup.RecoveryPoint {
	r := AutomatedBackup(a.Database.Account, at.Region, a.ResourceID)
	if ofCluster(a.Database) {
		r.Type = TypeClusterAutomatedBackup
	}
	st := backup.StatusPending
	if !a.Latest.IsZero() {
		st = backup.StatusAvailable
	}
	return backup.RecoveryPoint{Ref: r, Source: a.Database, ARN: a.arn, CreatedAt: a.Latest, Status: st, Encrypted: a.Encrypted, KMSKeyID: a.KMSKeyID,
		SizeBytes: int64(a.gigabytes) * gib, Automated: true, Engine: a.Engine, EngineVersion: a.version, Tags: tagMap(a.tags)}
}

// pager gives a page of snapshots of a type, nil for the manual and the automated ones, of one database, empty for all.
type pager func(ctx context.Context, c *awsrds.Client, r backup.Ref, kind *string, of string, marker *string) (page []*snap, next *string, err error)

// list yields the snapshots of one kind of database and tells whether to go on.
func (s *Strategy) list(ctx context.Context, c *awsrds.Client, q backup.Query, find finder, page pager, yield func(backup.RecoveryPoint, error) bool) bool {
	r := place(q)
	give := func(x *snap) bool {
		p := point(r, x)
		if !has(p.Tags, q.Tags) || !q.Source.IsZero() && p.Source != q.Source || !q.Point.IsZero() && p.Ref != q.Point {
			return true
		}
		return yield(p, nil)
	}
	if !q.Point.IsZero() {
		x, err := find(ctx, c, r, q.Point.ID)
		if err != nil {
			yield(backup.RecoveryPoint{}, err)
			return false
		}
		return x == nil || give(x)
	}
	// A list without a type has the manual and the automated ones only.
	for _, kind := range [...]*string{nil, aws.String(typeAWSBackup)} {
		var marker *string
		for {
			all, next, err := page(ctx, c, r, kind, q.Source.ID, marker)
			if err != nil {
				yield(backup.RecoveryPoint{}, err)
				return false
			}
			for _, x := range all {
				if err := here(r, x.arn); err != nil {
					yield(backup.RecoveryPoint{}, err)
					return false
				}
				if kind == nil && x.kind == typeAWSBackup {
					continue
				}
				if !give(x) {
					return false
				}
			}
			if aws.ToString(next) == "" {
				break
			}
			marker = next
		}
	}
	return true
}

func (s *Strategy) snapshotPage(ctx context.Context, c *awsrds.Client, r backup.Ref, kind *string, of string, marker *string) (page []*snap, next *string, err error) {
	out, err := c.DescribeDBSnapshots(ctx, &awsrds.DescribeDBSnapshotsInput{SnapshotType: kind, DBInstanceIdentifier: optional(of), MaxRecords: aws.Int32(pageSize), Marker: marker})
	if err != nil {
		return nil, nil, table.Wrap(Kind, "DescribeDBSnapshots", r, err)
	}
	for i := range out.DBSnapshots {
		page = append(page, instanceSnap(&out.DBSnapshots[i]))
	}
	return page, out.Marker, nil
}

func (s *Strategy) clusterSnapshotPage(ctx context.Context, c *awsrds.Client, r backup.Ref, kind *string, of string, marker *string) (page []*snap, next *string, err error) {
	out, err := c.DescribeDBClusterSnapshots(ctx, &awsrds.DescribeDBClusterSnapshotsInput{SnapshotType: kind, DBClusterIdentifier: optional(of), MaxRecords: aws.Int32(pageSize),
		Marker: marker})
	if err != nil {
		return nil, nil, table.Wrap(Kind, "DescribeDBClusterSnapshots", r, err)
	}
	for i := range out.DBClusterSnapshots {
		page = append(page, clusterSnap(&out.DBClusterSnapshots[i]))
	}
	return page, out.Marker, nil
}

// point makes the recovery point of a snapshot.
func point(r backup.Ref, x *snap) backup.RecoveryPoint {
	st, _ := status(x.word)
	return backup.RecoveryPoint{
		Ref: pointOf(r, x), Source: sourceOf(r, x), ARN: x.arn, CreatedAt: takenAt(r, x), Status: st, Percent: int(x.percent), Encrypted: x.encrypted, KMSKeyID: x.key,
		SizeBytes: int64(x.gigabytes) * gib, Automated: x.kind != typeManual, Engine: x.engine, EngineVersion: x.version, Tags: tagMap(x.tags),
	}
}

// Discover yields the DB instances and the DB clusters that carry the wanted tags. Members of DB clusters, which can not be backed up one by one,
// clusters of Neptune and DocumentDB, and what is being deleted are left out. RDS has no filter for tags: everything is read.
func (s *Strategy) Discover(ctx context.Context, q backup.Query) iter.Seq2[backup.Resource, error] {
	return func(yield func(backup.Resource, error) bool) {
		r := place(q)
		if err := checkQuery("discover", q, false, TypeInstance, TypeCluster); err != nil {
			yield(backup.Resource{}, err)
			return
		}
		c, err := s.client(ctx, r)
		if err != nil {
			yield(backup.Resource{}, err)
			return
		}
		for _, k := range [...]struct {
			kind string
			page resourcePager
		}{{TypeInstance, s.instancePage}, {TypeCluster, s.clusterPage}} {
			var marker *string
			for more := wants(q, k.kind); more; more = aws.ToString(marker) != "" {
				var all []backup.Resource
				if all, marker, err = k.page(ctx, c, r, marker); err != nil {
					yield(backup.Resource{}, err)
					return
				}
				for _, x := range all {
					if err := here(r, x.ARN); err != nil {
						yield(backup.Resource{}, err)
						return
					}
					if has(x.Tags, q.Tags) && !yield(x, nil) {
						return
					}
				}
			}
		}
	}
}

// resourcePager gives what can be backed up of a page of databases.
type resourcePager func(ctx context.Context, c *awsrds.Client, r backup.Ref, marker *string) (page []backup.Resource, next *string, err error)

// leaving are the states of what is being deleted.
func leaving(word string) bool { return word == "deleting" || word == "delete-precheck" }

func (s *Strategy) instancePage(ctx context.Context, c *awsrds.Client, r backup.Ref, marker *string) (page []backup.Resource, next *string, err error) {
	out, err := c.DescribeDBInstances(ctx, &awsrds.DescribeDBInstancesInput{MaxRecords: aws.Int32(pageSize), Marker: marker})
	if err != nil {
		return nil, nil, table.Wrap(Kind, "DescribeDBInstances", r, err)
	}
	for i := range out.DBInstances {
		if x := &out.DBInstances[i]; aws.ToString(x.DBClusterIdentifier) == "" && !leaving(aws.ToString(x.DBInstanceStatus)) {
			page = append(page, backup.Resource{Ref: Instance(r.Account, r.Region, aws.ToString(x.DBInstanceIdentifier)), ARN: aws.ToString(x.DBInstanceArn), Tags: tagMap(x.TagList)})
		}
	}
	return page, out.Marker, nil
}

func (s *Strategy) clusterPage(ctx context.Context, c *awsrds.Client, r backup.Ref, marker *string) (page []backup.Resource, next *string, err error) {
	out, err := c.DescribeDBClusters(ctx, &awsrds.DescribeDBClustersInput{MaxRecords: aws.Int32(pageSize), Marker: marker})
	if err != nil {
		return nil, nil, table.Wrap(Kind, "DescribeDBClusters", r, err)
	}
	for i := range out.DBClusters {
		if x := &out.DBClusters[i]; clusterEngine(aws.ToString(x.Engine)) && !leaving(aws.ToString(x.Status)) {
			page = append(page, backup.Resource{Ref: Cluster(r.Account, r.Region, aws.ToString(x.DBClusterIdentifier)), ARN: aws.ToString(x.DBClusterArn), Tags: tagMap(x.TagList)})
		}
	}
	return page, out.Marker, nil
}
