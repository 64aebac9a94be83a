package elasticacheexport

import (
	"context"
	"errors"
	"strings"
	"time"

	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// send asks for the export.
func (s *Strategy) send(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	switch op.Intent() {
	case backup.Settle:
		return s.perhaps(op, st)
	case backup.LookOnce:
		next, files, err := s.survey(ctx, c, op, st)
		busy := false
		if err == nil && st.Less && !next.Done() && len(files) == 0 {
			busy, err = s.unfinished(ctx, c, next, st)
		}
		if err != nil {
			op.Unsent() // it was only looked at
			if code := backup.CodeOf(err); code == backup.ErrDenied || code == backup.ErrFailed {
				return op, err // it was perhaps sent before, and rights can come back
			}
			return s.stop(op, err)
		}
		if op = next; op.Done() {
			return op, nil
		}
		if len(files) > 0 {
			return s.adopt(op, st)
		}
		if busy {
			return s.perhaps(op, st)
		}
	case backup.Send:
	default:
		return op, nil
	}
	// AWS takes the snapshot by its name alone, so that it must be seen once more, as late as can be, that the name still means what it did.
	x, err := s.snapshot(ctx, c, st.point(op.Ref))
	if err != nil {
		op.Unsent()
		return op, err
	}
	if x == nil || word(x.SnapshotStatus) != statusAvailable {
		op.To(stageLook, "")
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	}
	if err := st.differs(st.point(op.Ref), x); err != nil {
		op.Fail(err)
		return op, nil
	}
	err = s.ask(ctx, c, op.Ref, st)
	if err == nil {
		return s.exporting(op, st)
	}
	v := cacheTable.Classify(err)
	if v.Class == awscall.Permanent {
		m := explain(err)
		if m.id == idKeyTaken && (st.Own || st.Tried) && st.mentioned(err) {
			// It is there, or being written, for an earlier call of this Operation, or at least that is possible.
			return s.adopt(op, st)
		}
		return s.refused(ctx, c, op, st, v, m, err)
	}
	e := v.Error(Kind, st.call(), op.Ref, err)
	switch v.Class {
	case awscall.NotYet:
		// The snapshot is busy again.
		op.To(stageLook, "")
		op.PollIn(s.opts.Park)
		return op, op.SetState(st)
	case awscall.NotApplied:
		op.Unsent()
		return op, e
	}
	return op, e
}

// perhaps has the signs looked for of an export that was perhaps asked for.
func (s *Strategy) perhaps(op backup.Operation, st state) (backup.Operation, error) {
	st.Tried = true
	op.Settle(stageSettle)
	op.AddMade(st.files(op.Ref))
	return op, op.SetState(st)
}

// mentioned reports whether a message of AWS names a key that begins as those of this export do.
func (st state) mentioned(err error) bool {
	var api smithy.APIError
	begins := " " + strings.ToLower(st.Name)
	if !st.Less {
		begins += "-"
	}
	return errors.As(err, &api) && strings.Contains(strings.ToLower(api.ErrorMessage()), begins)
}

// exporting notes that the export was asked for.
func (s *Strategy) exporting(op backup.Operation, st state) (backup.Operation, error) {
	st.Lost, st.Seen = time.Time{}, ""
	op.AddMade(st.files(op.Ref))
	op.To(stageWait, "")
	op.PollIn(s.opts.PollMin)
	return op, op.SetState(st)
}

// adopt takes files that are there, or being written, for those of an earlier call of this Operation, if their name proves that, or, of a serverless
// cache, that they are of the very snapshot: then it does not matter who asked. What is in an
// .rdb file does not say of which snapshot it is. Files of an export that broke off are waited for until the deadline.
func (s *Strategy) adopt(op backup.Operation, st state) (backup.Operation, error) {
	if st.unique() {
		return s.exporting(op, st)
	}
	op.AddMade(st.files(op.Ref))
	hint := "look at the files that are listed in Made; leave Spec.Name empty, and the name itself will tell"
	if st.Less {
		hint = "look at the files that are listed in Made; export the cache itself or a snapshot that the library named, and the name will tell"
	}
	op.Fail(failure(op, st.call(), backup.ErrConflict, hint,
		"the answer to the call was lost, and the files that begin with %s may be of this export or of another of the same name", st.Name))
	return op, nil
}

// settle looks for the files of an export that was perhaps asked for, until the window has passed with the snapshot available.
func (s *Strategy) settle(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	op, files, err := s.survey(ctx, c, op, st)
	if err != nil {
		return s.stop(op, err)
	}
	if op.Done() {
		return op, nil
	}
	if len(files) > 0 {
		return s.adopt(op, st)
	}
	x, err := s.snapshot(ctx, c, st.point(op.Ref))
	if err != nil {
		return op, err
	}
	busy := x != nil && word(x.SnapshotStatus) != statusAvailable
	if st.Less && !busy {
		// A file that is being uploaded is not in the list.
		if busy, err = s.unfinished(ctx, c, op, st); err != nil {
			return s.stop(op, err)
		}
	}
	if busy {
		// Perhaps it is ours that makes it busy. The window begins when it is over.
		op.Settle(stageSettle)
		op.PollIn(s.opts.PollMax)
		return op, nil
	}
	if time.Since(op.Since) < s.opts.Settle {
		op.PollIn(min(s.opts.PollMax, s.opts.Settle-time.Since(op.Since)))
		return op, nil
	}
	op.To(stageLook, "")
	return op, op.SetState(st)
}

func (s *Strategy) sending(o *awselasticache.Options) {
	o.Retryer = s.retryer
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], awscall.Guard)
}
