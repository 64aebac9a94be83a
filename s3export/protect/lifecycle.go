package protect

import (
	"context"
	"math"
	"slices"
	"strings"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// LifecycleOptions say which rules a bucket is to have.
type LifecycleOptions struct {
	// Rules are put into those that the bucket has, by their IDs. Required: 1 or more, each with an ID of its own, and all of them together as
	// JSON at most 10 KiB, which are some 35 plain rules; more go into several Operations.
	Rules []policy.LifecycleRule
}

// OptionsFor makes LifecycleOptions usable as backup.Spec.Options.
func (LifecycleOptions) OptionsFor() (string, backup.Action) { return Kind, ActionLifecycle }

// The stages of a lifecycle.
const (
	stageRules = "rules" // the bucket's rules are looked at
	stageWrite = "write" // they may be written
	stageHold  = "hold"  // what was written is read back until it holds
)

// lifecycleState is the State of an Operation that puts rules into a bucket's lifecycle.
type lifecycleState struct {
	Rules []policy.LifecycleRule `json:"r"`
	// Looks counts those in a row that found every rule in place, Writes the times at which they were not.
	Looks  int `json:"l,omitempty"`
	Writes int `json:"w,omitempty"`
}

const (
	maxWrites = 5
	holdLooks = 2
	// maxRulesBytes leaves room in an Operation for its findings and its failure.
	maxRulesBytes = 10 << 10
)

// StartLifecycle makes the Operation that puts rules into the lifecycle of a bucket; r is one of Bucket, and Spec.Options are LifecycleOptions. A
// rule of the bucket with the ID of one of them is replaced, which a finding tells; all others stay word for word as they are, also such as
// package policy has no words for, and so does the smallest size of objects that are moved by default. Then the rules are read back, until
// all of them are in place at two looks.
//
// S3 has no conditional write for a lifecycle: two who write at the same moment can lose one another's change. Of the rules given here that is
// seen, and they are written again. No rule is ever taken away; Disabled puts one out of effect.
//
// What can be known to be refused is ErrInvalid: a bucket that can not be one, no rules, a rule that policy.LifecycleRule.Validate refuses.
// Rules that delete do so within a day, and what is held by Object Lock stays: hold backups before a rule deletes them.
//
// Source: S3 API, PutBucketLifecycleConfiguration; S3 user guide, "Setting a lifecycle configuration on a bucket".
func (s *Strategy) StartLifecycle(_ context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(ActionLifecycle, r, spec)
	if err != nil {
		return backup.Operation{}, err
	}
	bad := func(hint, format string, args ...any) (backup.Operation, error) {
		return backup.Operation{}, invalid(r, hint, format, args...)
	}
	if r.Type != TypeBucket {
		return bad("use protect.Bucket", "the type %q is not that of a bucket", r.Type)
	}
	if err := policy.ValidateBucketName(r.ID); err != nil {
		return bad("name one bucket", "%w", err)
	}
	if err := policy.ValidateRegion(r.Region); err != nil {
		return bad("name the Region as AWS does, such as eu-west-1", "%w", err)
	}
	o, ok := spec.Options.(LifecycleOptions)
	if !ok {
		return bad("set Spec.Options to protect.LifecycleOptions, not to a pointer", "options of type %T", spec.Options)
	}
	if len(o.Rules) == 0 {
		return bad("set LifecycleOptions.Rules", "no rules")
	}
	// What is wrong with the rules themselves shows when they are merged into none.
	if _, _, err := policy.MergeLifecycle(nil, o.Rules); err != nil {
		return bad("mend the rule", "%w", err)
	}
	for _, rule := range o.Rules {
		if n := longest(rule); n > math.MaxInt32 {
			return bad("Disabled puts a rule out of effect", "the rule %q has a time of %d days, and S3 counts to %d", rule.ID, n, math.MaxInt32)
		}
	}
	op.Stage = stageRules
	if err := op.SetState(lifecycleState{Rules: o.Rules}); err != nil {
		return backup.Operation{}, err
	}
	if len(op.State) > maxRulesBytes {
		return bad("put them into several Operations", "the rules have %d bytes as JSON, and an Operation has room for %d", len(op.State), maxRulesBytes)
	}
	return op, nil
}

// longest is the longest time in a rule, in days.
func longest(r policy.LifecycleRule) int {
	n := max(r.ExpireDays, r.ExpireOlderDays, r.AbortUploadsDays)
	for _, t := range slices.Concat(r.Transitions, r.OlderTransitions) {
		n = max(n, t.Days)
	}
	return n
}

// lifecycle is what a bucket has.
type lifecycle struct {
	rules   []s3types.LifecycleRule
	minimum s3types.TransitionDefaultMinimumObjectSize
}

func (s *Strategy) lifecycle(ctx context.Context, c *awss3.Client, r backup.Ref) (lifecycle, error) {
	out, err := c.GetBucketLifecycleConfiguration(ctx, &awss3.GetBucketLifecycleConfigurationInput{Bucket: &r.ID, ExpectedBucketOwner: &r.Account})
	switch {
	case has(err, codeNoLifecycle):
		return lifecycle{}, nil
	case err != nil:
		return lifecycle{}, wrap("GetBucketLifecycleConfiguration", r, err)
	}
	return lifecycle{out.Rules, out.TransitionDefaultMinimumObjectSize}, nil
}

func (s *Strategy) stepLifecycle(ctx context.Context, c *awss3.Client, op backup.Operation) (backup.Operation, error) {
	var st lifecycleState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageRules, stageWrite, stageHold:
	default:
		return op, unknown(op)
	}
	now, err := s.lifecycle(ctx, c, op.Ref)
	if err != nil {
		return endRules(op, st, err)
	}
	rules, how, err := merge(now.rules, st.Rules)
	if err != nil {
		return endRules(op, st, failure(op.Ref, "merge", backup.ErrInvalid, "take rules away that are not needed any more", "%w", err))
	}
	switch {
	case !how.Changed():
		if st.Looks++; st.Looks >= holdLooks {
			op.Succeed()
			return op, nil
		}
		if op.Stage != stageHold {
			op.To(stageHold, "")
		}
		op.PollIn(s.opts.Poll)
		return op, op.SetState(st)
	case op.Stage != stageWrite:
		if st.Writes++; st.Writes > maxWrites {
			return endRules(op, st, failure(op.Ref, "lifecycle", backup.ErrConflict, "find out who else writes the bucket's lifecycle: another program that replaces it as a whole, perhaps",
				"what was written %d times was not there a moment later", maxWrites))
		}
		if len(how.Replaced) > 0 {
			op.Find(rulesReplaced(op.Ref, how.Replaced))
		}
		st.Looks = 0
		op.To(stageWrite, "PutBucketLifecycleConfiguration")
		return op, op.SetState(st)
	case op.Intent() == backup.ReadOnly:
		return op, nil
	}
	// Written twice it is the same, as long as nobody else writes in between; that is why it is read just before.
	_, err = c.PutBucketLifecycleConfiguration(ctx, &awss3.PutBucketLifecycleConfigurationInput{Bucket: &op.Ref.ID, ExpectedBucketOwner: &op.Ref.Account,
		LifecycleConfiguration: &s3types.BucketLifecycleConfiguration{Rules: rules}, TransitionDefaultMinimumObjectSize: now.minimum}, guarded)
	if err != nil {
		if op.Attempt == 1 {
			st.Writes-- // if it was refused, nothing was written by it
		}
		return endRules(op, st, wrap("PutBucketLifecycleConfiguration", op.Ref, err))
	}
	op.To(stageHold, "")
	op.PollIn(s.opts.Poll)
	return op, op.SetState(st)
}

// endRules ends an Operation that can not go on, and gives back an error that passes.
func endRules(op backup.Operation, st lifecycleState, err error) (backup.Operation, error) {
	if passing(err) {
		return op, err
	}
	op.Fail(err)
	if st.Writes > 0 {
		op.Find(backup.Finding{ID: Kind + ".rules-written", Severity: backup.SeverityWarning, Ref: op.Ref,
			Message: "rules were written before, and may be in effect", Remedy: "look at the bucket's lifecycle"})
	}
	return op, nil
}

func rulesReplaced(r backup.Ref, ids []string) backup.Finding {
	return backup.Finding{ID: Kind + ".rule-replaced", Severity: backup.SeverityWarning, Ref: r,
		Message: "the bucket had other rules of these IDs, which are replaced: " + strings.Join(ids, ", "), Remedy: "give rules of your own an ID that nobody else uses"}
}
