package rds

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
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

// checkQuery refuses what a query can not ask.
func checkQuery(what backup.Action, q backup.Query, kind string) error {
	r := place(q)
	if err := q.Validate(); err != nil {
		return err
	}
	for _, t := range q.Types {
		if t != kind {
			return invalid(what, r, "the type here is "+kind, "the type %q", t)
		}
	}
	for _, x := range [...]struct {
		ref  backup.Ref
		kind string
	}{{q.Source, TypeInstance}, {q.Point, TypeSnapshot}} {
		if x.ref.IsZero() {
			continue
		}
		if kind == TypeInstance {
			return invalid(what, r, "Source and Point belong to List", "the query has a Source or a Point")
		}
		if x.ref.Account != q.Account || x.ref.Region != q.Region {
			return invalid(what, x.ref, "Query.Account and Query.Region must be those of the Ref", "the query is for account %q and Region %q", q.Account, q.Region)
		}
		if err := validRef(what, x.ref, x.kind); err != nil {
			return err
		}
	}
	return nil
}

// List yields DB snapshots: the manual ones, the automated ones and those of AWS Backup. What was shared by other accounts is not listed.
func (s *Strategy) List(ctx context.Context, q backup.Query) iter.Seq2[backup.RecoveryPoint, error] {
	return func(yield func(backup.RecoveryPoint, error) bool) {
		r := place(q)
		if err := checkQuery("list", q, TypeSnapshot); err != nil {
			yield(backup.RecoveryPoint{}, err)
			return
		}
		c, err := s.client(ctx, r)
		if err != nil {
			yield(backup.RecoveryPoint{}, err)
			return
		}
		give := func(x *rdstypes.DBSnapshot) bool {
			p := point(r, x)
			if !has(p.Tags, q.Tags) || !q.Source.IsZero() && p.Source != q.Source || !q.Point.IsZero() && p.Ref != q.Point {
				return true
			}
			return yield(p, nil)
		}
		if !q.Point.IsZero() {
			x, err := s.snapshot(ctx, c, r, q.Point.ID)
			if err != nil {
				yield(backup.RecoveryPoint{}, err)
			} else if x != nil {
				give(x)
			}
			return
		}
		// A list without a type has the manual and the automated ones only.
		for _, kind := range [...]*string{nil, aws.String(typeAWSBackup)} {
			in := &awsrds.DescribeDBSnapshotsInput{SnapshotType: kind, MaxRecords: aws.Int32(pageSize)}
			if !q.Source.IsZero() {
				in.DBInstanceIdentifier = &q.Source.ID
			}
			for {
				out, err := c.DescribeDBSnapshots(ctx, in)
				if err != nil {
					yield(backup.RecoveryPoint{}, table.Wrap(Kind, "DescribeDBSnapshots", r, err))
					return
				}
				for i := range out.DBSnapshots {
					x := &out.DBSnapshots[i]
					if err := here(r, aws.ToString(x.DBSnapshotArn)); err != nil {
						yield(backup.RecoveryPoint{}, err)
						return
					}
					if kind == nil && aws.ToString(x.SnapshotType) == typeAWSBackup {
						continue
					}
					if !give(x) {
						return
					}
				}
				if aws.ToString(out.Marker) == "" {
					break
				}
				in.Marker = out.Marker
			}
		}
	}
}

// point makes the recovery point of a snapshot.
func point(r backup.Ref, x *rdstypes.DBSnapshot) backup.RecoveryPoint {
	st, _ := status(aws.ToString(x.Status))
	return backup.RecoveryPoint{
		Ref: Snapshot(r.Account, r.Region, aws.ToString(x.DBSnapshotIdentifier)), Source: Instance(r.Account, r.Region, aws.ToString(x.DBInstanceIdentifier)),
		ARN: aws.ToString(x.DBSnapshotArn), CreatedAt: created(x), Status: st, Percent: int(aws.ToInt32(x.PercentProgress)),
		Encrypted: encrypted(x.Encrypted, x.StorageEncryptionType), KMSKeyID: aws.ToString(x.KmsKeyId), SizeBytes: int64(aws.ToInt32(x.AllocatedStorage)) * gib,
		Automated: aws.ToString(x.SnapshotType) != typeManual, Engine: aws.ToString(x.Engine), EngineVersion: aws.ToString(x.EngineVersion), Tags: tagMap(x.TagList),
	}
}

// created is the time of the data: a copy keeps that of its source in OriginalSnapshotCreateTime.
func created(x *rdstypes.DBSnapshot) time.Time {
	if x.OriginalSnapshotCreateTime != nil {
		return *x.OriginalSnapshotCreateTime
	}
	return aws.ToTime(x.SnapshotCreateTime)
}

// Discover yields the DB instances that carry the wanted tags. Members of DB clusters, which can not be backed up one by one, and instances
// that are being deleted are left out. RDS has no filter for tags: every instance is read.
func (s *Strategy) Discover(ctx context.Context, q backup.Query) iter.Seq2[backup.Resource, error] {
	return func(yield func(backup.Resource, error) bool) {
		r := place(q)
		if err := checkQuery("discover", q, TypeInstance); err != nil {
			yield(backup.Resource{}, err)
			return
		}
		c, err := s.client(ctx, r)
		if err != nil {
			yield(backup.Resource{}, err)
			return
		}
		in := &awsrds.DescribeDBInstancesInput{MaxRecords: aws.Int32(pageSize)}
		for {
			out, err := c.DescribeDBInstances(ctx, in)
			if err != nil {
				yield(backup.Resource{}, table.Wrap(Kind, "DescribeDBInstances", r, err))
				return
			}
			for i := range out.DBInstances {
				x := &out.DBInstances[i]
				if err := here(r, aws.ToString(x.DBInstanceArn)); err != nil {
					yield(backup.Resource{}, err)
					return
				}
				tags := tagMap(x.TagList)
				gone := slices.Contains([]string{"deleting", "delete-precheck"}, aws.ToString(x.DBInstanceStatus))
				if gone || aws.ToString(x.DBClusterIdentifier) != "" || !has(tags, q.Tags) {
					continue
				}
				if !yield(backup.Resource{Ref: Instance(q.Account, q.Region, policy.CanonicalName(aws.ToString(x.DBInstanceIdentifier))), ARN: aws.ToString(x.DBInstanceArn), Tags: tags}, nil) {
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
