package ebs

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs/quiesce"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// Quiesce has an instance brought to rest, by Options.Quiescer, for the moment at which its set is made. The zero value does nothing.
//
// The freeze, CreateSnapshots and the thaw are one Step: how long the host is frozen depends on these calls only, and not on how soon a store, a
// fleet or a durable engine comes to the next Step. Whoever finds the Operation after a crash thaws first, and makes sure of it.
type Quiesce struct {
	// Limit is how long the host is frozen at most, whatever happens; quiesce.DefaultLimit is a good one. 0 means no freeze.
	Limit time.Duration
	// Required fails a backup that is not proved to be consistent for the application, with its set in Points, and one for which the host was frozen
	// three times while EC2 refused the call for reasons that pass. Otherwise a host that can not be
	// frozen is backed up all the same, and a finding says that the set is consistent as after a crash only.
	Required bool
}

func (q Quiesce) valid(r backup.Ref) error {
	switch {
	case q.Limit == 0 && !q.Required:
		return nil
	case q.Limit == 0:
		return invalid(backup.ActionBackup, r, "set Quiesce.Limit, for example to quiesce.DefaultLimit", "a freeze is required and has no limit")
	case r.Type != TypeInstance:
		return invalid(backup.ActionBackup, r, "back up the instance, without the volumes that are not wanted", "a single volume can not be brought to rest")
	}
	return quiesce.ValidateLimit(q.Limit)
}

// TagConsistency is set on the members of a set that was proved to be consistent for the application: all of them started while the host was frozen.
// Its value is ConsistencyApplication. A set without it is consistent as after a crash.
const TagConsistency = "snapwarden:consistency"

// ConsistencyApplication is the value of TagConsistency.
const ConsistencyApplication = "application"

// The stages of a backup with a freeze, beside those of any backup.
const (
	stageThaw  = "thaw"  // the host is perhaps frozen: it is thawed before anything else
	stageLabel = "label" // the set is complete and proved to be consistent: it may be tagged
)

// maxFreezes is how often a host is frozen for one backup, when EC2 refuses the call each time for a reason that passes. After that a backup is made
// without a freeze, and one that requires it has failed: a host must not be frozen every few minutes until a deadline that may be days away.
const maxFreezes = 3

// quiesceState is what a backup's State keeps of its freeze.
type quiesceState struct {
	Limit    time.Duration `json:"l"`
	Required bool          `json:"r,omitempty"`
	Freezes  int           `json:"n,omitempty"`
	// From, To and Held are those of the Report of the freeze in which the set was perhaps made.
	From time.Time `json:"f,omitzero"`
	To   time.Time `json:"t,omitzero"`
	Held bool      `json:"h,omitempty"`
	// Why says why there is no proof.
	Why string `json:"w,omitempty"`
	// After is the stage that follows the thaw, Failure the end that does.
	After   string          `json:"a,omitempty"`
	Failure *backup.Failure `json:"x,omitempty"`
}

// forget drops what an earlier freeze has shown: it proves nothing for a set that is made later.
func (q *quiesceState) forget() {
	*q = quiesceState{Limit: q.Limit, Required: q.Required, Freezes: q.Freezes}
}

// tooOften is the end of a backup that requires a freeze, when the host was frozen as often as it may be.
func (q *quiesceState) tooOften() *backup.Failure {
	return &backup.Failure{Code: backup.ErrFailed, Op: "freeze", Message: fmt.Sprintf("the host was frozen %d times and EC2 made no set", q.Freezes),
		Hint: "look at the findings for what EC2 said, and start the backup with another token when that is over; or leave out Quiesce.Required"}
}

// nextCreate names what the create stage may do: with a freeze all three of its calls, of which only the one in the middle must not be made twice.
func nextCreate(st backupState, call string) string {
	if st.Quiesce == nil {
		return call
	}
	return "Freeze, " + call + ", Thaw"
}

// lease is the freeze of the present generation. Its id is that of the set, which no other send has.
func (st backupState) lease() quiesce.Lease {
	return quiesce.Lease{ID: st.Set, Limit: st.Quiesce.Limit}
}

// createFrozen freezes, makes the set and thaws. What it learns is in the Operation also where the call's result is not known: it is looked for when
// the host is thawed, and is then judged by this freeze.
func (s *Strategy) createFrozen(ctx context.Context, c *awsec2.Client, op backup.Operation, st backupState) (backup.Operation, error) {
	q := st.Quiesce
	if s.opts.Quiescer == nil {
		op.Unsent()
		return op, invalid(op.Action, op.Ref, "give the Strategy the Options.Quiescer that the backup was started with", "the backup wants a freeze and there is no Quiescer")
	}
	q.forget()
	if q.Freezes >= maxFreezes && q.Required {
		op.Unsent() // nor did an earlier attempt at this stage come farther than this
		q.Failure = q.tooOften()
		return s.afterThaw(op, st)
	}
	if q.Freezes >= maxFreezes {
		q.Why = "EC2 refused the call too often while the host was frozen"
		return s.create(ctx, c, op, st)
	}
	q.Freezes++
	next, created, called := op, error(nil), false
	report, err := quiesce.Around(ctx, s.opts.Quiescer, op.Ref, st.lease(), func(ctx context.Context, frozen bool) error {
		if frozen || !q.Required {
			called = true
			next, created = s.create(ctx, c, op, st, func(o *awsec2.Options) { o.Retryer = retry.AddWithMaxAttempts(s.retryer, 1) })
		}
		return nil
	})
	if err != nil {
		op.Unsent() // nothing was called
		return op, err
	}
	q.From, q.To, q.Held = report.From, report.To, report.Held
	switch {
	case report.Freeze != nil:
		q.Why = "the host was not frozen: " + cut(report.Freeze)
	case report.Thaw != nil:
		q.Why = "the thaw had no answer: " + cut(report.Thaw)
	case !report.Held:
		q.Why = "the host did not stay frozen until the thaw"
	}
	switch {
	case !called:
		q.Failure = &backup.Failure{Code: backup.ErrFailed, Op: "freeze", Message: q.Why, Hint: "mend the host or the plan of the freeze and start the backup with another token, or leave out Quiesce.Required"}
	case created == nil && next.Done():
		q.Failure = next.Failure
	case created == nil:
		q.After = next.Stage
	case next.Attempt == 0:
		// It was surely not applied. The same is not tried again at once: that would freeze the host again and again.
		q.After = stagePark
		op.Find(backup.Finding{ID: "ebs.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: cut(created), Remedy: backup.HintOf(created)})
	default:
		q.After = stageSettle
		// A call that is still on its way may be served when the host is long thawed, and only EC2's clock would tell.
		if q.Held = false; q.Why == "" {
			q.Why = "EC2 gave no answer before the thaw"
		}
	}
	if created == nil && called && !next.Done() {
		// What was made is in next, with its own State.
		op, st = next, backupState{}
		if err := op.GetState(&st); err != nil {
			return op, err
		}
		st.Quiesce = q // this one knows how the freeze ended
	}
	if report.Thaw == nil {
		return s.afterThaw(op, st)
	}
	op.To(stageThaw, "Thaw")
	return op, op.SetState(st)
}

// thawFirst goes on to thaw what an earlier attempt perhaps left frozen, before the result of that attempt is looked for.
func (s *Strategy) thawFirst(op backup.Operation, st backupState) (backup.Operation, error) {
	q := st.Quiesce
	q.forget()
	q.Why, q.After = "the process that froze the host did not live to tell", stageSettle
	op.To(stageThaw, "Thaw")
	return op, op.SetState(st)
}

// thaw thaws until the host says that it is, or until its watchdog has surely done so.
func (s *Strategy) thaw(ctx context.Context, op backup.Operation, st backupState) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	if s.opts.Quiescer == nil {
		return op, invalid(op.Action, op.Ref, "give the Strategy the Options.Quiescer that the backup was started with", "the backup wants a thaw and there is no Quiescer")
	}
	if _, err := quiesce.Thaw(ctx, s.opts.Quiescer, op.Ref, st.lease()); err != nil {
		if time.Since(op.Since) < st.Quiesce.Limit+time.Minute {
			op.PollIn(s.opts.PollMin)
			return op, nil //nolint:nilerr // it is tried again, and the host thaws itself meanwhile
		}
		op.Find(backup.Finding{ID: "ebs.thaw-unconfirmed", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "the host did not confirm its thaw: " + cut(err),
			Remedy: "look at the host; its watchdog thaws it when the limit of the freeze is over"})
	}
	return s.afterThaw(op, st)
}

// afterThaw goes on with what the freeze was for.
func (s *Strategy) afterThaw(op backup.Operation, st backupState) (backup.Operation, error) {
	q := st.Quiesce
	if err := op.SetState(st); err != nil {
		return op, err
	}
	switch {
	case q.Failure != nil:
		op.Fail(&backup.Error{Op: q.Failure.Op, Kind: Kind, Ref: op.Ref, Code: q.Failure.Code, Err: errText(q.Failure.Message), Hint: q.Failure.Hint})
	case q.After == stageSettle:
		op.Settle(stageSettle)
	case op.Canceling && q.After == stagePark:
		op.To(stageStop, "")
	case q.After == stagePark:
		op.To(stagePark, "")
		op.PollIn(s.opts.Park)
	case op.Canceling:
		op.To(stageUndo, "DeleteSnapshot")
	default:
		op.To(stageWait, "")
		s.wait(&op)
	}
	return op, nil
}

// judge ends a backup whose set is complete: where the freeze covers the start of every member it goes on to say so on them.
func (s *Strategy) judge(op backup.Operation, st backupState, found map[string]ec2types.Snapshot) backup.Operation {
	q := st.Quiesce
	var starts []time.Time
	for _, x := range found {
		starts = append(starts, aws.ToTime(x.StartTime))
	}
	if (quiesce.Report{From: q.From, To: q.To, Held: q.Held}).Covers(starts...) {
		op.To(stageLabel, "CreateTags")
		return op
	}
	why := q.Why
	if why == "" {
		why = "not all of its snapshots started while the host was frozen, by the clock of this machine"
	}
	if q.Required {
		op.Fail(failure(op, "freeze", backup.ErrFailed, "what is listed in Points is consistent as after a crash: keep or delete it, and back up again with another token", "%s", why))
		return op
	}
	op.Find(backup.Finding{ID: "ebs.crash-consistent", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "the set is consistent as after a crash: " + why,
		Remedy: "mend the host, the plan of the freeze or the clock"})
	op.Succeed()
	return op
}

// label says on the members of a set that they are consistent for the application. The same tag again does no harm.
func (s *Strategy) label(ctx context.Context, c *awsec2.Client, op backup.Operation, st backupState) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	_, err := c.CreateTags(ctx, &awsec2.CreateTagsInput{Resources: st.ids(), Tags: tagList(map[string]string{TagConsistency: ConsistencyApplication})}, s.changing)
	if err != nil {
		v := table.Classify(err)
		if v.Class != awscall.Permanent {
			return op, v.Error(Kind, "CreateTags", op.Ref, err)
		}
		op.Find(backup.Finding{ID: "ebs.not-labeled", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "the set is consistent for the application, and its snapshots could not be tagged so: " + cut(err), Remedy: v.Hint})
		op.Succeed()
		return op, nil
	}
	op.Find(backup.Finding{ID: "ebs.app-consistent", Severity: backup.SeverityInfo, Ref: op.Ref,
		Message: fmt.Sprintf("the host was frozen from %s to %s, and every snapshot started in between", st.Quiesce.From.Format(time.RFC3339Nano), st.Quiesce.To.Format(time.RFC3339Nano))})
	op.Succeed()
	return op, nil
}

// cut keeps an error short enough for a State.
func cut(err error) string {
	s := err.Error()
	return strings.ToValidUTF8(s[:min(len(s), 200)], "")
}

// cancelCreate stops a backup whose set was perhaps asked for: that is looked for, after a thaw where there was a freeze.
func (s *Strategy) cancelCreate(op backup.Operation) (backup.Operation, error) {
	var st backupState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	if st.Quiesce != nil {
		return s.thawFirst(op, st)
	}
	op.Settle(stageSettle)
	return op, nil
}
