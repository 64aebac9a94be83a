package rdsexport

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/rds"
)

// patience is how long a snapshot that must exist may be absent before that is believed.
const patience = time.Minute

// The statuses of an export task. Source: RDS API, type ExportTask.
const (
	taskStarting  = "STARTING"
	taskRunning   = "IN_PROGRESS"
	taskComplete  = "COMPLETE"
	taskFailed    = "FAILED"
	taskCanceling = "CANCELING"
	taskCanceled  = "CANCELED"
)

// source is what is exported: a snapshot of an instance or of a cluster.
type source struct{ status, engine, storage string }

// kindOf is what the API must be told for an identifier that RDS or AWS Backup chose, and nil for any other.
func kindOf(id string) *string {
	switch {
	case policy.IsAutomatedRDSSnapshotID(id):
		return aws.String("automated")
	case policy.IsAWSBackupSnapshotID(id):
		return aws.String("awsbackup")
	}
	return nil
}

// snapshot gives the snapshot that is exported, nil if it can not be seen.
func (s *Strategy) snapshot(ctx context.Context, c Clients, r backup.Ref) (*source, error) {
	if r.Type == rds.TypeClusterSnapshot {
		return s.clusterSnapshot(ctx, c, r)
	}
	out, err := c.RDS.DescribeDBSnapshots(ctx, &awsrds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: &r.ID, SnapshotType: kindOf(r.ID)})
	if err != nil {
		if v := rdsTable.Classify(err); v.AWSCode == "DBSnapshotNotFound" {
			return nil, nil
		}
		return nil, rdsTable.Wrap(Kind, "DescribeDBSnapshots", r, err)
	}
	for i := range out.DBSnapshots {
		if x := &out.DBSnapshots[i]; policy.CanonicalName(aws.ToString(x.DBSnapshotIdentifier)) == r.ID {
			return &source{aws.ToString(x.Status), aws.ToString(x.Engine), aws.ToString(x.StorageType)}, here(r, aws.ToString(x.DBSnapshotArn))
		}
	}
	return nil, nil
}

func (s *Strategy) clusterSnapshot(ctx context.Context, c Clients, r backup.Ref) (*source, error) {
	out, err := c.RDS.DescribeDBClusterSnapshots(ctx, &awsrds.DescribeDBClusterSnapshotsInput{DBClusterSnapshotIdentifier: &r.ID, SnapshotType: kindOf(r.ID)})
	if err != nil {
		if v := rdsTable.Classify(err); v.AWSCode == "DBClusterSnapshotNotFoundFault" {
			return nil, nil
		}
		return nil, rdsTable.Wrap(Kind, "DescribeDBClusterSnapshots", r, err)
	}
	for i := range out.DBClusterSnapshots {
		if x := &out.DBClusterSnapshots[i]; policy.CanonicalName(aws.ToString(x.DBClusterSnapshotIdentifier)) == r.ID {
			return &source{aws.ToString(x.Status), aws.ToString(x.Engine), aws.ToString(x.StorageType)}, here(r, aws.ToString(x.DBClusterSnapshotArn))
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
	return invalid(r, "give the Strategy credentials of that account, and clients of that Region", "%q was found in its place", arn)
}

// task gives the Operation's task, nil if it can not be seen. RDS answers an identifier that it does not know with an empty list, although the
// API has an error for that.
func (s *Strategy) task(ctx context.Context, c Clients, r backup.Ref, id string) (*rdstypes.ExportTask, error) {
	out, err := c.RDS.DescribeExportTasks(ctx, &awsrds.DescribeExportTasksInput{ExportTaskIdentifier: &id})
	if err != nil {
		if v := rdsTable.Classify(err); v.AWSCode == "ExportTaskNotFound" {
			return nil, nil
		}
		return nil, rdsTable.Wrap(Kind, "DescribeExportTasks", r, err)
	}
	for i := range out.ExportTasks {
		if x := &out.ExportTasks[i]; policy.CanonicalName(aws.ToString(x.ExportTaskIdentifier)) == id {
			return x, here(r, aws.ToString(x.SourceArn))
		}
	}
	return nil, nil
}

// other gives the identifier of another task that exports the snapshot now, empty for none.
func (s *Strategy) other(ctx context.Context, c Clients, r backup.Ref, own string) (string, error) {
	pages := awsrds.NewDescribeExportTasksPaginator(c.RDS, &awsrds.DescribeExportTasksInput{SourceArn: aws.String(sourceARN(r))})
	for pages.HasMorePages() {
		p, err := pages.NextPage(ctx)
		if err != nil {
			if v := rdsTable.Classify(err); v.AWSCode == "ExportTaskNotFound" {
				return "", nil
			}
			return "", rdsTable.Wrap(Kind, "DescribeExportTasks", r, err)
		}
		for _, x := range p.ExportTasks {
			id := policy.CanonicalName(aws.ToString(x.ExportTaskIdentifier))
			if id != own && slices.Contains([]string{taskStarting, taskRunning, taskCanceling}, strings.ToUpper(aws.ToString(x.Status))) {
				return id, nil
			}
		}
	}
	return "", nil
}

// look waits until the snapshot can be exported, refuses what never can, and arms the call.
func (s *Strategy) look(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	if st.Armed > 0 || op.Unstored {
		// An earlier send may have worked after all, whatever became of the snapshot.
		if next, ok, err := s.adopt(ctx, c, op, st); ok || err != nil {
			return next, err
		}
	}
	x, err := s.snapshot(ctx, c, op.Ref)
	if err != nil {
		return stop(op, st, err)
	}
	if x == nil {
		if since := s.missed(&st.Lost); since >= min(patience, s.opts.Settle) {
			op.Fail(failure(op, backup.ErrNotFound, "check the snapshot's identifier, the account and the Region", "there is no snapshot %s", op.Ref.ID))
			return op, nil
		}
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	}
	st.Lost = time.Time{}
	switch stateOf(x.status) {
	case sourceBroken:
		op.Fail(brokenSource(op, x.status))
		return op, nil
	case sourceBusy:
		op.Find(backup.Finding{ID: "rdsexport.snapshot-state", Severity: backup.SeverityInfo, Ref: op.Ref, Message: "the snapshot is not available yet; it is waited for"})
		op.PollIn(s.opts.Park)
		return op, op.SetState(st)
	}
	if err := exportable(op, st, x); err != nil {
		op.Fail(err)
		return op, nil
	}
	if err := s.vacant(ctx, c, op, st); err != nil {
		return stop(op, st, err)
	}
	id, err := s.other(ctx, c, op.Ref, st.Task)
	if err != nil {
		return stop(op, st, err)
	}
	if id != "" {
		op.Find(otherExport(op, id))
		st.Taken = 0
		op.PollIn(s.opts.Park)
		return op, op.SetState(st)
	}
	st.Armed++
	op.To(stageSend, callStart)
	return op, op.SetState(st)
}

// missed notes that something was not seen, and tells for how long that has been so.
func (s *Strategy) missed(since *time.Time) time.Duration {
	if since.IsZero() {
		*since = time.Now().UTC().Round(0)
	}
	return time.Since(*since)
}

// otherExport is the finding of another export of the snapshot.
func otherExport(op backup.Operation, id string) backup.Finding {
	return backup.Finding{ID: "rdsexport.other-export", Severity: backup.SeverityInfo, Ref: op.Ref,
		Message: "the task " + id + " exports the snapshot now, and RDS exports a snapshot once at a time; it is waited for", Remedy: "cancel it if it is not wanted"}
}

// sourceState says what a status of a snapshot means for its export. A word that is not known is one of a snapshot that is busy.
type sourceState int

const (
	sourceBusy sourceState = iota
	sourceReady
	sourceBroken
)

func stateOf(word string) sourceState {
	switch word {
	case "available":
		return sourceReady
	case "failed", "deleting", "deleted", "incompatible-restore", "incompatible-parameters":
		return sourceBroken
	}
	return sourceBusy
}

func brokenSource(op backup.Operation, word string) error {
	return failure(op, backup.ErrFailed, "export another recovery point", "the snapshot %s is %s", op.Ref.ID, word)
}

// exportable refuses what AWS never exports. Source: RDS User Guide, "Supported Regions and DB engines for exporting snapshots to S3" and
// "Exporting DB snapshot data to Amazon S3", its limitations; Aurora User Guide, "Exporting DB cluster snapshot data to Amazon S3". That snapshots of
// Multi-AZ DB clusters can not be exported is UNVERIFIED.
func exportable(op backup.Operation, st state, x *source) error {
	engine := x.engine
	switch {
	case op.Ref.Type == rds.TypeClusterSnapshot && !slices.Contains([]string{"aurora-postgresql", "aurora-mysql", "aurora"}, engine):
		return failure(op, backup.ErrUnsupported, "restore it, and use the engine's own tools", "RDS exports snapshots of Aurora clusters, and not of a cluster of the engine %s", engine)
	case op.Ref.Type != rds.TypeClusterSnapshot && !slices.Contains([]string{"postgres", "mysql", "mariadb"}, engine):
		return failure(op, backup.ErrUnsupported, "restore it to an instance, and use the engine's own tools", "RDS exports snapshots of MySQL, MariaDB and PostgreSQL, and not of %s", engine)
	}
	if x.storage == "standard" {
		return failure(op, backup.ErrUnsupported, "restore it to an instance with other storage, and back that up", "RDS exports no snapshots of magnetic storage")
	}
	if engine == "postgres" || engine == "aurora-postgresql" {
		return nil
	}
	for _, part := range st.Only {
		if strings.Count(part, ".") > 1 {
			return failure(op, backup.ErrInvalid, "name parts of "+engine+" as database or database.table in Options.Only", "%q has a schema, which %s does not have", part, engine)
		}
	}
	return nil
}

// vacant refuses a bucket that does not exist, is in another Region or belongs to another account, and a folder that something is in. RDS writes
// with rights that are handed over, so whose bucket it is must be known before.
func (s *Strategy) vacant(ctx context.Context, c Clients, op backup.Operation, st state) error {
	out, err := c.S3.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: &st.Bucket, Prefix: aws.String(st.folder() + "/"), MaxKeys: aws.Int32(1), ExpectedBucketOwner: &op.Ref.Account})
	if err != nil {
		return s3Table.Wrap(Kind, "ListObjectsV2", op.Ref, err)
	}
	if len(out.Contents) > 0 && st.Armed == 0 {
		return failure(op, backup.ErrConflict, "look at what is in the folder; another token gives the export another one", "the bucket %s has objects under %s/ already", st.Bucket, st.folder())
	}
	return nil
}

// stop ends an Operation that has sent nothing with an error that looking again will not mend, and gives any other back: what was perhaps sent is
// there whatever a look says, and rights can come back.
func stop(op backup.Operation, st state, err error) (backup.Operation, error) {
	if st.Armed > 0 || transient(err) {
		return op, err
	}
	op.Fail(err)
	return op, nil
}

// transient tells whether looking again can mend an error.
func transient(err error) bool {
	code := backup.CodeOf(err)
	return code == backup.ErrThrottled || code == backup.ErrUnavailable || code == backup.ErrQuota
}
