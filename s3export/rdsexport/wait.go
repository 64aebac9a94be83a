package rdsexport

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// wait looks at the task until it has ended.
func (s *Strategy) wait(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	x, err := s.task(ctx, c, op.Ref, st.Task)
	if err != nil {
		return op, err
	}
	s.poll(&op)
	// What is not visible, or is another of the same name, means nothing at first: the answer may be an old one.
	var lost error
	if x == nil {
		lost = failure(op, backup.ErrFailed, "look at the bucket, and export again with another token", "the export task %s has disappeared", st.Task)
	} else if why := st.foreign(op, x); why != "" {
		lost = failure(op, backup.ErrConflict, "look at that task, and export again with another token", "the export task %s %s", st.Task, why)
	}
	if lost != nil {
		if s.lost(&st.Lost) {
			op.Fail(lost)
			return op, nil
		}
		return op, op.SetState(st)
	}
	st.Lost = time.Time{}
	switch status := strings.ToUpper(aws.ToString(x.Status)); status {
	case taskComplete:
		st.Left = leftOut(aws.ToString(x.WarningMessage))
		op.To(stageList, "")
		return op, op.SetState(st)
	case taskFailed:
		return s.failed(op, st, x), nil
	case taskCanceled:
		if op.Canceling {
			op.Fail(failure(op, backup.ErrCanceled, "what the task has written stays in the bucket, at the place listed in Made; delete it there", "canceled at %d percent", progress(x)))
			return op, nil
		}
		op.Fail(failure(op, backup.ErrFailed, "export again with another token; what the task has written stays in the bucket", "somebody else canceled the export task %s", st.Task))
		return op, nil
	case taskStarting, taskRunning:
		op.Percent = progress(x)
		if op.Canceling {
			op.To(stageCancel, callCancel)
		}
	case taskCanceling:
	default:
		op.Find(backup.Finding{ID: "rdsexport.unknown-status", Severity: backup.SeverityWarning, Ref: op.Ref,
			Message: fmt.Sprintf("the status of the export task is %.80q, which this release does not know; it is waited for", status)})
	}
	return op, op.SetState(st)
}

func progress(x *rdstypes.ExportTask) int {
	return min(max(int(aws.ToInt32(x.PercentProgress)), 0), 99)
}

// failed ends an Operation whose task failed, with the cause that RDS gives and what to do about it.
func (s *Strategy) failed(op backup.Operation, st state, x *rdstypes.ExportTask) backup.Operation {
	text := aws.ToString(x.FailureCause)
	if strings.TrimSpace(text) == "" {
		text = "RDS gave no cause"
	}
	m := explain(text)
	hint := st.fill(op.Ref, m.hint)
	op.Find(backup.Finding{ID: m.id, Severity: backup.SeverityError, Ref: op.Ref, Message: text, Remedy: hint})
	op.Fail(failure(op, m.code, hint, "the export task %s failed: %s", st.Task, text))
	return op
}

// cancel asks RDS to cancel the task. The call names the task, so that repeating it does no harm.
func (s *Strategy) cancel(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	_, err := c.RDS.CancelExportTask(ctx, &awsrds.CancelExportTaskInput{ExportTaskIdentifier: &st.Task}, s.sending)
	if err != nil {
		v := rdsTable.Classify(err)
		switch {
		case v.AWSCode == "InvalidExportTaskStateFault", v.AWSCode == "ExportTaskNotFound":
			// It has ended, or is being canceled, or can not be seen: a look tells.
		case v.Class == awscall.NotApplied:
			op.Unsent()
			return op, v.Error(Kind, callCancel, op.Ref, err)
		case v.Class == awscall.Permanent:
			// It can not be stopped, so it is waited for: what it makes must not be lost sight of.
			op.Canceling = false
			op.Find(backup.Finding{ID: "rdsexport.not-canceled", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "RDS refused to cancel the export with " + v.AWSCode + "; it goes on",
				Remedy: v.Hint})
		default:
			return op, v.Error(Kind, callCancel, op.Ref, err)
		}
	}
	op.To(stageWait, "")
	op.PollIn(s.opts.PollMin)
	return op, op.SetState(st)
}

// conclude looks in S3 for the file that describes the export, and lists the export as a recovery point.
func (s *Strategy) conclude(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	out, err := c.S3.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: &st.Bucket, Prefix: aws.String(st.mark()), ExpectedBucketOwner: &op.Ref.Account})
	if err != nil {
		return op, s3Table.Wrap(Kind, "ListObjectsV2", op.Ref, err)
	}
	n := slices.IndexFunc(out.Contents, func(o s3types.Object) bool {
		return strings.HasSuffix(aws.ToString(o.Key), ".json") && aws.ToInt64(o.Size) > 0
	})
	if n < 0 {
		if s.lost(&st.Lost) {
			op.Fail(failure(op, backup.ErrPartial, "find out who deletes from the bucket, and export again with another token",
				"RDS says that the export is complete, and the bucket %s has no object %s*.json", st.Bucket, st.mark()))
			return op, nil
		}
		s.poll(&op)
		return op, op.SetState(st)
	}
	if !op.Unstored && aws.ToTime(out.Contents[n].LastModified).Before(op.Started.Add(-clockSkew)) {
		op.Fail(failure(op, backup.ErrConflict, "export again with another token", "the object %s is older than this export", aws.ToString(out.Contents[n].Key)))
		return op, nil
	}
	op.AddPoint(st.ref(op.Ref, TypeExport))
	op.Made = nil // the point stands for the files
	if st.Left != "" {
		op.Fail(failure(op, backup.ErrPartial, "look at export_tables_info in the export's folder: it lists each table; a table that the master user may not read is skipped, "+
			"and so is one with a row of about 2 GB", "the export is complete but for what RDS left out: %s", st.Left))
		return op, nil
	}
	op.Succeed()
	return op, nil
}

// leftBytes is the most that is kept of what RDS left out.
const leftBytes = 400

// leftOut gives the warning of a complete task if it tells of something that is not in the export. RDS writes lists as JSON, which may all be
// empty. Source: RDS User Guide, "Monitoring snapshot exports".
func leftOut(warning string) string {
	warning = strings.TrimSpace(warning)
	var lists map[string][]any
	if json.Unmarshal([]byte(warning), &lists) == nil {
		n := 0
		for _, l := range lists {
			n += len(l)
		}
		if n == 0 {
			return ""
		}
	}
	return cut(warning, leftBytes)
}
