package rds

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// AutomatedBackups are the automated backups of an instance or a cluster: what RDS keeps by itself, so that the database can be restored to any time
// in a window.
type AutomatedBackups struct {
	// Database is the instance or the cluster; one of the identifier may not exist any more, or be another one. It is in another Region where the
	// automated backups were replicated from there.
	Database backup.Ref
	// ResourceID is the DbiResourceId or DbClusterResourceId of the database, which no other ever has.
	ResourceID string
	// Status is "active", "creating" while there is no window yet, or "retained" where the database is deleted.
	Status string
	// Earliest and Latest are the window; zero while there is none. Latest is about five minutes old while the database runs.
	Earliest, Latest time.Time
	// RetentionDays is 1 to 35, and Window the daily time in UTC in which RDS makes a snapshot, such as "03:00-03:30".
	RetentionDays int32
	Window        string
	Encrypted     bool
	KMSKeyID      string
	Engine        string

	arn, version    string
	gigabytes, port int32
	mode            string
	tags            []rdstypes.Tag
}

// window says whether a time is in the restore window; the zero time means the latest.
func (a *AutomatedBackups) has(at time.Time) bool {
	return !a.Latest.IsZero() && (at.IsZero() || !at.Before(a.Earliest) && !at.After(a.Latest))
}

func instanceBackups(r backup.Ref, x *rdstypes.DBInstanceAutomatedBackup) *AutomatedBackups {
	a := &AutomatedBackups{Database: Instance(r.Account, r.Region, aws.ToString(x.DBInstanceIdentifier)), ResourceID: aws.ToString(x.DbiResourceId), Status: aws.ToString(x.Status),
		RetentionDays: aws.ToInt32(x.BackupRetentionPeriod), Window: aws.ToString(x.PreferredBackupWindow), Encrypted: encrypted(x.Encrypted, x.StorageEncryptionType),
		KMSKeyID: aws.ToString(x.KmsKeyId), Engine: aws.ToString(x.Engine), arn: aws.ToString(x.DBInstanceAutomatedBackupsArn), version: aws.ToString(x.EngineVersion),
		gigabytes: aws.ToInt32(x.AllocatedStorage), port: aws.ToInt32(x.Port), tags: x.TagList}
	a.between(x.RestoreWindow)
	a.within(aws.ToString(x.DBInstanceArn))
	return a
}

func clusterBackups(r backup.Ref, x *rdstypes.DBClusterAutomatedBackup) *AutomatedBackups {
	a := &AutomatedBackups{Database: Cluster(r.Account, r.Region, aws.ToString(x.DBClusterIdentifier)), ResourceID: aws.ToString(x.DbClusterResourceId), Status: aws.ToString(x.Status),
		RetentionDays: aws.ToInt32(x.BackupRetentionPeriod), Window: aws.ToString(x.PreferredBackupWindow), Encrypted: encrypted(x.StorageEncrypted, x.StorageEncryptionType),
		KMSKeyID: aws.ToString(x.KmsKeyId), Engine: aws.ToString(x.Engine), arn: aws.ToString(x.DBClusterAutomatedBackupsArn), version: aws.ToString(x.EngineVersion),
		gigabytes: aws.ToInt32(x.AllocatedStorage), port: aws.ToInt32(x.Port), mode: aws.ToString(x.EngineMode), tags: x.TagList}
	a.between(x.RestoreWindow)
	a.within(aws.ToString(x.DBClusterArn))
	return a
}

// within notes the ARN of the database. Of automated backups that are not replicated RDS need not tell another one.
func (a *AutomatedBackups) within(arn string) {
	if a.arn == "" {
		a.arn = arn
	}
	if d, err := policy.ParseARN(arn); err == nil && d.Account == a.Database.Account {
		a.Database.Region = d.Region
	}
}

func (a *AutomatedBackups) between(w *rdstypes.RestoreWindow) {
	if w != nil {
		a.Earliest, a.Latest = aws.ToTime(w.EarliestTime), aws.ToTime(w.LatestTime)
	}
}

// AutomatedBackups reads the automated backups of an instance or a cluster by its identifier; that includes those which are retained of databases that
// are deleted and had the same identifier. None means that there are none: the retention is 0, or there is no such database. Source: RDS API,
// DescribeDBInstanceAutomatedBackups and DescribeDBClusterAutomatedBackups.
func (s *Strategy) AutomatedBackups(ctx context.Context, database backup.Ref) ([]AutomatedBackups, error) {
	if err := validRef("automated-backups", database, TypeInstance, TypeCluster); err != nil {
		return nil, err
	}
	if err := database.Validate(); err != nil {
		return nil, err
	}
	c, err := s.client(ctx, database)
	if err != nil {
		return nil, err
	}
	read := s.instanceBackupsPage
	if ofCluster(database) {
		read = s.clusterBackupsPage
	}
	var list []AutomatedBackups
	all, err := s.allBackups(ctx, c, database, read, database.ID, "")
	for _, a := range all {
		list = append(list, *a)
	}
	return list, err
}

// backupsPager gives a page of automated backups, of an identifier or an immutable id where one is given.
type backupsPager func(ctx context.Context, c *awsrds.Client, r backup.Ref, id, resource string, marker *string) (page []*AutomatedBackups, next *string, err error)

// allBackups gives all automated backups of an identifier or an immutable id.
func (s *Strategy) allBackups(ctx context.Context, c *awsrds.Client, r backup.Ref, read backupsPager, id, resource string) (all []*AutomatedBackups, err error) {
	var marker *string
	for {
		page, next, err := read(ctx, c, r, id, resource, marker)
		if err != nil {
			return nil, err
		}
		for _, a := range page {
			if err := here(r, a.arn); err != nil {
				return nil, err
			}
		}
		all = append(all, page...)
		if marker = next; aws.ToString(marker) == "" {
			return all, nil
		}
	}
}

// backupsOf gives the automated backups of an immutable id, nil if there are none.
func (s *Strategy) backupsOf(ctx context.Context, c *awsrds.Client, r backup.Ref, read backupsPager, resource string) (*AutomatedBackups, error) {
	all, err := s.allBackups(ctx, c, r, read, "", resource)
	k := slices.IndexFunc(all, func(a *AutomatedBackups) bool { return a.ResourceID == resource })
	if err != nil || k < 0 {
		return nil, err
	}
	return all[k], nil
}

func (s *Strategy) instanceBackupsPage(ctx context.Context, c *awsrds.Client, r backup.Ref, id, resource string, marker *string) (page []*AutomatedBackups, next *string, err error) {
	out, err := c.DescribeDBInstanceAutomatedBackups(ctx, &awsrds.DescribeDBInstanceAutomatedBackupsInput{DBInstanceIdentifier: optional(id), DbiResourceId: optional(resource),
		MaxRecords: aws.Int32(pageSize), Marker: marker})
	if err != nil {
		if v := table.Classify(err); v.AWSCode == "DBInstanceAutomatedBackupNotFound" {
			return nil, nil, nil
		}
		return nil, nil, table.Wrap(Kind, "DescribeDBInstanceAutomatedBackups", r, err)
	}
	for i := range out.DBInstanceAutomatedBackups {
		page = append(page, instanceBackups(r, &out.DBInstanceAutomatedBackups[i]))
	}
	return page, out.Marker, nil
}

func (s *Strategy) clusterBackupsPage(ctx context.Context, c *awsrds.Client, r backup.Ref, id, resource string, marker *string) (page []*AutomatedBackups, next *string, err error) {
	out, err := c.DescribeDBClusterAutomatedBackups(ctx, &awsrds.DescribeDBClusterAutomatedBackupsInput{DBClusterIdentifier: optional(id), DbClusterResourceId: optional(resource),
		MaxRecords: aws.Int32(pageSize), Marker: marker})
	if err != nil {
		if v := table.Classify(err); v.AWSCode == "DBClusterAutomatedBackupNotFoundFault" {
			return nil, nil, nil
		}
		return nil, nil, table.Wrap(Kind, "DescribeDBClusterAutomatedBackups", r, err)
	}
	for i := range out.DBClusterAutomatedBackups {
		page = append(page, clusterBackups(r, &out.DBClusterAutomatedBackups[i]))
	}
	return page, out.Marker, nil
}
