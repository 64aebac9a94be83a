package rds

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// clockSkew is how much this machine's clock and AWS's may differ without harm.
const clockSkew = 5 * time.Minute

// The types of snapshots. Source: RDS API, DescribeDBSnapshots, SnapshotType.
const (
	typeManual    = "manual"
	typeAutomated = "automated"
	typeAWSBackup = "awsbackup"
)

// snapshotType is what DescribeDBSnapshots must be told for an identifier that RDS or AWS Backup chose, and nil for any other.
func snapshotType(id string) *string {
	switch {
	case policy.IsAutomatedRDSSnapshotID(id):
		return aws.String(typeAutomated)
	case policy.IsAWSBackupSnapshotID(id):
		return aws.String(typeAWSBackup)
	}
	return nil
}

// snapshot gives the snapshot of an instance with an identifier, nil if none is visible. r is the place, and the subject of errors.
func (s *Strategy) snapshot(ctx context.Context, c *awsrds.Client, r backup.Ref, id string) (*snap, error) {
	out, err := c.DescribeDBSnapshots(ctx, &awsrds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: &id, SnapshotType: snapshotType(id)})
	if err != nil {
		if v := table.Classify(err); v.AWSCode == "DBSnapshotNotFound" {
			return nil, nil
		}
		return nil, table.Wrap(Kind, "DescribeDBSnapshots", r, err)
	}
	for i := range out.DBSnapshots {
		if x := instanceSnap(&out.DBSnapshots[i]); policy.CanonicalName(x.id) == id {
			return x, here(r, x.arn)
		}
	}
	return nil, nil
}

// instance gives the instance with an identifier, nil if none is visible.
func (s *Strategy) instance(ctx context.Context, c *awsrds.Client, r backup.Ref, id string) (*rdstypes.DBInstance, error) {
	out, err := c.DescribeDBInstances(ctx, &awsrds.DescribeDBInstancesInput{DBInstanceIdentifier: &id})
	if err != nil {
		if v := table.Classify(err); v.AWSCode == "DBInstanceNotFound" {
			return nil, nil
		}
		return nil, table.Wrap(Kind, "DescribeDBInstances", r, err)
	}
	for i := range out.DBInstances {
		if x := &out.DBInstances[i]; policy.CanonicalName(aws.ToString(x.DBInstanceIdentifier)) == id {
			return x, here(r, aws.ToString(x.DBInstanceArn))
		}
	}
	return nil, nil
}

// here refuses what is in another account or Region than r: the client's credentials are not those that the caller believes them to be.
func here(r backup.Ref, arn string) error {
	a, err := policy.ParseARN(arn)
	if err == nil && a.Account == r.Account && a.Region == r.Region {
		return nil
	}
	return invalid("look", r, "give the Strategy credentials of that account, and a client of that Region", "%q was found in its place", arn)
}

func tagMap(tags []rdstypes.Tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return m
}

// ours tells whether tags prove that an Operation made what carries them.
func ours(op backup.Operation, tags []rdstypes.Tag) bool {
	m := tagMap(tags)
	return m[backup.TagToken] == op.ID && m[backup.TagSource] == op.Ref.Tag()
}

// absent notes that something which may merely be invisible was not seen, and tells whether that has lasted long enough to mean something.
func (s *Strategy) absent(lost *time.Time) bool { return missedFor(lost) >= s.opts.Settle }

// missedFor notes that something was not seen, and tells for how long that has been so. It counts from the first look that missed it: time that
// passed before, with waiting or with calls that failed, says nothing.
func missedFor(lost *time.Time) time.Duration {
	if lost.IsZero() {
		*lost = time.Now().UTC().Round(0)
	}
	return time.Since(*lost)
}

// sameSnapshot tells whether x is the snapshot that was looked at before. An identifier can be given again, to another snapshot: the time of
// creation and the DbiResourceId can not.
func sameSnapshot(x *snap, made time.Time, resource string) bool {
	return x.made.Equal(made) && x.resource == resource
}

// encrypted tells whether what has the flag and the type is encrypted: under a key that AWS owns (sse-rds) the flag may be false. Source: RDS
// API, DBSnapshot and DBInstance, StorageEncryptionType.
func encrypted(flag *bool, kind rdstypes.StorageEncryptionType) bool {
	return aws.ToBool(flag) || kind == rdstypes.StorageEncryptionTypeSse || kind == rdstypes.StorageEncryptionTypeCmk
}

// status is a snapshot's state in the words of package backup; known is false for a word that RDS is not known to use. AWS publishes no closed
// list. Source: RDS API, DBSnapshot; the waiters of the SDK.
func status(word string) (st backup.Status, known bool) {
	switch word {
	case "available":
		return backup.StatusAvailable, true
	case "creating", "copying", "pending":
		return backup.StatusPending, true
	case "failed", "incompatible-restore", "incompatible-parameters":
		return backup.StatusFailed, true
	case "deleting", "deleted":
		return backup.StatusDeleting, true
	}
	return backup.StatusPending, false
}

// instanceState says what a status of an instance means for the work on it. Source: RDS User Guide, "Viewing Amazon RDS DB instance status"; for
// clusters Aurora User Guide, "Viewing DB cluster status".
type instanceState int

const (
	instanceReady   instanceState = iota // it can be backed up, or was restored
	instanceBusy                         // it is changing, or somebody must start it
	instanceBroken                       // it will not become available by itself
	instanceUnknown                      // a word that is not known; treated as busy
)

func instanceStateOf(word string) instanceState {
	switch word {
	case "available", "storage-optimization":
		return instanceReady
	case "failed", "restore-error", "insufficient-capacity", "inaccessible-encryption-credentials", "inaccessible-encryption-credentials-recoverable",
		"deleting", "delete-precheck", "storage-full", "upgrade-failed", "cloning-failed", "migration-failed":
		return instanceBroken
	case "backing-up", "backtracking", "converting-to-vpc", "creating", "failing-over", "maintenance", "migrating", "modifying", "moving-to-vpc",
		"preparing-data-migration", "promoting", "rebooting", "renaming", "update-iam-db-auth", "resetting-master-credentials", "starting", "stopped", "stopping", "storage-config-upgrade", "storage-initialization", "upgrading":
		return instanceBusy
	}
	switch {
	case strings.HasPrefix(word, "configuring-"):
		return instanceBusy
	case strings.HasPrefix(word, "incompatible-"):
		return instanceBroken
	}
	return instanceUnknown
}
