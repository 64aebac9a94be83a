package rdsexport

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// The calls that change something.
const (
	callStart  = "StartExportTask"
	callCancel = "CancelExportTask"
)

// send asks for the export.
func (s *Strategy) send(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	switch op.Intent() {
	case backup.Settle:
		st.begun(&op)
		op.Settle(stageSettle)
		return op, op.SetState(st)
	case backup.LookOnce:
		if next, ok, err := s.adopt(ctx, c, op, st); ok || err != nil {
			return next, err
		}
	case backup.Send:
	default:
		return op, nil
	}
	in := &awsrds.StartExportTaskInput{ExportTaskIdentifier: &st.Task, SourceArn: aws.String(sourceARN(op.Ref)), S3BucketName: &st.Bucket,
		IamRoleArn: &st.Role, KmsKeyId: &st.Key, ExportOnly: st.Only}
	if st.Prefix != "" {
		in.S3Prefix = &st.Prefix
	}
	if _, err := c.RDS.StartExportTask(ctx, in, s.sending); err != nil {
		return s.refused(op, st, err)
	}
	return s.took(op, st)
}

// refused handles an error of StartExportTask.
func (s *Strategy) refused(op backup.Operation, st state, err error) (backup.Operation, error) {
	v := rdsTable.Classify(err)
	e := v.Error(Kind, callStart, op.Ref, err)
	e.Hint = st.fill(op.Ref, e.Hint)
	first := op.Intent() == backup.Send
	switch {
	case v.AWSCode == "ExportTaskAlreadyExists":
		// Perhaps it is ours, from an answer that was lost, or it is another one of the same snapshot: a look tells.
		st.Taken++
		st.begun(&op)
		op.Settle(stageSettle)
		return op, op.SetState(st)
	case v.AWSCode == "IamRoleNotFound", v.AWSCode == "IamRoleMissingPermissions":
		if s.opts.RoleReady > 0 && s.missed(&st.Refused) < s.opts.RoleReady {
			return s.again(op, st, first, min(s.opts.Park, roleAgain), backup.Finding{ID: "rdsexport.role-not-ready", Severity: backup.SeverityInfo, Ref: op.Ref,
				Message: "RDS refused the role with " + v.AWSCode + "; one that was just made is not known everywhere at once, so it is tried again"})
		}
		op.Fail(e)
		return op, nil
	case v.Class == awscall.NotApplied:
		op.Unsent()
		return op, e
	case v.Class == awscall.NotYet:
		st.Refused = time.Time{} // it was not the role
		return s.again(op, st, first, s.opts.Park, backup.Finding{ID: "rdsexport.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: v.AWSCode, Remedy: e.Hint})
	case v.Class == awscall.Permanent:
		op.Fail(e)
		return op, nil
	}
	return op, e
}

// mostTaken is how often RDS may say that there is such a task, with a settle window after each, before an end is made. It says so too of a task
// of another identifier that exports the same snapshot, and that one may have ended by the time that it is looked for.
const mostTaken = 3

// roleAgain is how long to wait before a role is tried again.
const roleAgain = 20 * time.Second

// again goes back to look, because the call was refused for something that passes. first tells that it was the only one since it was armed.
func (s *Strategy) again(op backup.Operation, st state, first bool, in time.Duration, f backup.Finding) (backup.Operation, error) {
	if first {
		st.Armed--
	}
	op.Find(f)
	op.To(stageLook, "")
	op.PollIn(in)
	return op, op.SetState(st)
}

// adopt takes the task of the Operation's identifier over if it does what this Operation asks for, and ends the Operation with a conflict
// otherwise. The answer is false while none is visible.
func (s *Strategy) adopt(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, bool, error) {
	x, err := s.task(ctx, c, op.Ref, st.Task)
	if x == nil || err != nil {
		return op, false, err
	}
	if why := st.foreign(op, x); why != "" {
		op.Made = nil // what has the name is not ours, and so ours is not there
		op.Fail(failure(op, backup.ErrConflict, "look at that task; another token gives the export another identifier",
			"the export task %s %s", st.Task, why))
		return op, true, nil
	}
	next, err := s.took(op, st)
	return next, err == nil, err
}

// took notes that the task exists, and goes on to wait for it, or to cancel it.
func (s *Strategy) took(op backup.Operation, st state) (backup.Operation, error) {
	st.Lost, st.Refused, st.Taken = time.Time{}, time.Time{}, 0
	st.begun(&op)
	op.To(stageWait, "")
	op.PollIn(s.opts.PollMin)
	return op, op.SetState(st)
}

// settle looks for a task that was perhaps asked for, until the window has passed.
func (s *Strategy) settle(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	next, ok, err := s.adopt(ctx, c, op, st)
	if ok || err != nil {
		return next, err
	}
	if left := s.opts.Settle - time.Since(op.Since); left > 0 {
		op.PollIn(min(max(time.Since(op.Since)/20, s.opts.PollMin), s.opts.PollMax, left))
		return op, nil
	}
	if st.Taken >= mostTaken {
		op.Fail(failure(op, backup.ErrConflict, "look for the task in the console; another token gives the export another identifier",
			"RDS says that the export task %s exists, or that the snapshot is being exported, and shows no such task", st.Task))
		return op, nil
	}
	op.Made = nil // nothing was made
	if op.Canceling {
		op.Fail(failure(op, backup.ErrCanceled, "", "canceled; no export task of the identifier %s was seen", st.Task))
		return op, nil
	}
	op.To(stageLook, "")
	return op, op.SetState(st)
}
