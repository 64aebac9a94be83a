package protect

import (
	"context"
	"errors"
	"fmt"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
)

// broken ends a lock that can not go on. If nothing was sent, that is all; otherwise it is read first what is protected. An error that passes is
// given back, as long as there is time for waiting.
func broken(op backup.Operation, st lockState, err error) (backup.Operation, error) {
	if passing(err) {
		if !st.late(op) {
			return op, err
		}
		err = notInTime(op)
	}
	if st.Rounds == 0 {
		op.Find(backup.Finding{ID: findingID(err), Severity: backup.SeverityError, Ref: refOf(err, op.Ref), Message: message(err), Remedy: backup.HintOf(err)})
		op.Fail(err)
		return op, nil
	}
	end := op
	end.Fail(err)
	st.Why, st.At, st.Lacks = end.Failure, 0, nil
	op.Settle(stageReport) // the deadline waits for what is read now
	op.Find(backup.Finding{ID: findingID(err), Severity: backup.SeverityError, Ref: refOf(err, op.Ref), Message: message(err), Remedy: backup.HintOf(err)})
	return op, op.SetState(st)
}

// refOf is what an error is about.
func refOf(err error, otherwise backup.Ref) backup.Ref {
	if e, ok := errors.AsType[*backup.Error](err); ok && !e.Ref.IsZero() {
		return e.Ref
	}
	return otherwise
}

// message is what an error says, without the code and the hint that stand beside it.
func message(err error) string {
	if e, ok := errors.AsType[*backup.Error](err); ok && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}

// unreadable ends an Operation that perhaps protected something, where the manifest can not be read any more.
func unreadable(op backup.Operation, st lockState, err error) (backup.Operation, error) {
	if st.Why == nil {
		return op, unknown(op)
	}
	op.Fail(failure(op.Ref, st.Why.Op, backup.ErrPartial, st.Why.Hint, "which files are protected can not be told, because what they are can not be read: %s; before that: %s", message(err), st.Why.Message))
	return op, nil
}

// overdue reports whether there is no time left to wait for an answer.
func overdue(op backup.Operation) bool {
	return !op.Deadline.IsZero() && !time.Now().Before(op.Deadline)
}

// report reads what is protected after all, file by file, and ends the Operation with it.
func (s *Strategy) report(ctx context.Context, c *awss3.Client, op backup.Operation, st lockState, t target) (backup.Operation, error) {
	if st.Why == nil {
		return op, unknown(op)
	}
	moved, err := st.walk(len(t.files), func(i int) error {
		retention, legal, err := s.needs(ctx, c, st, t, i)
		if passing(err) && !overdue(op) {
			return err
		}
		if err != nil || retention || legal { // what can not be read counts as not protected
			st.Lacks = append(st.Lacks, i)
		}
		return nil
	})
	switch {
	case err != nil:
		return op, err
	case moved && st.At < len(t.files):
		return further(op, st)
	}
	var holds []int
	for i, lacks := 0, st.Lacks; i < len(t.files); i++ {
		if len(lacks) > 0 && lacks[0] == i {
			lacks = lacks[1:]
			continue
		}
		holds = append(holds, i)
	}
	op.Findings = withoutUnderWay(op.Findings)
	if len(holds) > 0 {
		op.Find(backup.Finding{ID: Kind + ".protected", Severity: backup.SeverityInfo, Ref: op.Ref,
			Message: fmt.Sprintf("%d of %d files are protected: %s", len(holds), len(t.files), t.names(holds)), Remedy: "Strategy.Files tells of each"})
	}
	if len(st.Lacks) > 0 {
		op.Find(backup.Finding{ID: Kind + ".unprotected", Severity: backup.SeverityError, Ref: op.Ref,
			Message: fmt.Sprintf("%d of %d files are not protected as asked for, or can not be looked at: %s", len(st.Lacks), len(t.files), t.names(st.Lacks)),
			Remedy:  "mend the cause and start it again with another token"})
	}
	why := failure(op.Ref, st.Why.Op, st.Why.Code, st.Why.Hint, "%s", st.Why.Message)
	if len(holds) > 0 && len(st.Lacks) > 0 {
		why = failure(op.Ref, st.Why.Op, backup.ErrPartial, st.Why.Hint, "%d of %d files are protected: %s", len(holds), len(t.files), st.Why.Message)
	}
	st.Why = nil
	op.Fail(why)
	return op, op.SetState(st)
}
