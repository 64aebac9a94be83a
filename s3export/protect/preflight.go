package protect

import (
	"context"
	"fmt"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// named is how many files are named one by one by Preflight.
const named = 8

// Preflight reads what op would act on, and says what is in the way of it: that the bucket has no versions or no Object Lock, that a file is
// missing or was replaced, that it is held in a way which does not give way, which right to look is missing; and of rules, which would be
// replaced, and which delete in the whole bucket. Findings have the ids with which a refused Operation would end.
//
// It can not see whether the caller may set locks or write rules: only the call shows that.
func (s *Strategy) Preflight(ctx context.Context, op backup.Operation) ([]backup.Finding, error) {
	if err := op.Check(Kind); err != nil {
		return nil, err
	}
	c, err := s.client(ctx, op.Ref)
	if err != nil {
		return nil, err
	}
	switch op.Action {
	case ActionLock:
		return s.preflightLock(ctx, c, op)
	case ActionLifecycle:
		return s.preflightLifecycle(ctx, c, op)
	}
	return nil, failure(op.Ref, string(op.Action), backup.ErrUnsupported, "", "this strategy locks exports and writes lifecycle rules")
}

// found makes a finding of an error that waiting does not mend.
func found(r backup.Ref, err error) ([]backup.Finding, error) {
	if passing(err) {
		return nil, err
	}
	return []backup.Finding{{ID: findingID(err), Severity: backup.SeverityError, Ref: refOf(err, r), Message: message(err), Remedy: backup.HintOf(err)}}, nil
}

func (s *Strategy) preflightLifecycle(ctx context.Context, c *awss3.Client, op backup.Operation) ([]backup.Finding, error) {
	var st lifecycleState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	now, err := s.lifecycle(ctx, c, op.Ref)
	if err != nil {
		return found(op.Ref, err)
	}
	_, how, err := merge(now.rules, st.Rules)
	if err != nil {
		return found(op.Ref, failure(op.Ref, "merge", backup.ErrInvalid, "take rules away that are not needed any more", "%w", err))
	}
	var all []backup.Finding
	if len(how.Replaced) > 0 {
		all = append(all, rulesReplaced(op.Ref, how.Replaced))
	}
	for _, r := range st.Rules {
		if r.Prefix == "" && !r.Disabled && r.ExpireDays+r.ExpireOlderDays > 0 {
			all = append(all, backup.Finding{ID: Kind + ".rule-deletes-all", Severity: backup.SeverityWarning, Ref: op.Ref,
				Message: "the rule " + r.ID + " has no prefix, and deletes everything in the bucket that is old enough", Remedy: "give it the prefix of what it is to delete"})
		}
	}
	return all, nil
}

func (s *Strategy) preflightLock(ctx context.Context, c *awss3.Client, op backup.Operation) ([]backup.Finding, error) {
	st, err := readLock(op)
	if err != nil {
		return nil, err
	}
	if err := s.lockable(ctx, c, op.Ref); err != nil {
		all, err := found(op.Ref, err)
		if err == nil && all[0].ID == Kind+".lock-disabled" {
			all, err = s.preflightVersions(ctx, c, op.Ref, all)
		}
		return all, err
	}
	t, err := s.target(ctx, c, op.Ref, "", st.Asked)
	if err != nil {
		return found(op.Ref, err)
	}
	var all []backup.Finding
	more := 0
	for i := range t.files {
		f, err := &t.files[i], error(nil)
		if st.Asked == "" {
			f.version, _, err = s.head(ctx, c, t, i, f.version)
			err = unclear(t, i, err)
		}
		if err == nil {
			_, _, err = s.needs(ctx, c, st, t, i)
		}
		switch {
		case err == nil:
		case passing(err):
			return nil, err
		case len(all) == named:
			more++
		default:
			one, _ := found(op.Ref, err)
			all = append(all, one...)
		}
	}
	if more > 0 {
		all = append(all, backup.Finding{ID: Kind + ".more", Severity: backup.SeverityError, Ref: op.Ref, Message: fmt.Sprintf("of %d files more something is wrong", more),
			Remedy: "mend what is named first"})
	}
	if st.Mode == policy.LockCompliance {
		all = append(all, backup.Finding{ID: Kind + ".compliance", Severity: backup.SeverityWarning, Ref: op.Ref,
			Message: fmt.Sprintf("%d files can be deleted by nobody before %s, and are paid for until then", len(t.files), st.Until.Format("2006-01-02")), Remedy: "use governance mode unless a law asks for compliance"})
	}
	return all, nil
}

// preflightVersions adds what is missing before Object Lock can be enabled.
func (s *Strategy) preflightVersions(ctx context.Context, c *awss3.Client, r backup.Ref, all []backup.Finding) ([]backup.Finding, error) {
	bucket, _, err := place(r)
	if err != nil {
		return nil, err
	}
	out, err := c.GetBucketVersioning(ctx, &awss3.GetBucketVersioningInput{Bucket: &bucket, ExpectedBucketOwner: &r.Account})
	if err != nil {
		more, err := found(r, wrap("GetBucketVersioning", r, err))
		return append(all, more...), err
	}
	if out.Status != s3types.BucketVersioningStatusEnabled {
		all = append(all, backup.Finding{ID: Kind + ".versions-disabled", Severity: backup.SeverityError, Ref: r, Message: "the bucket does not keep versions, which Object Lock needs",
			Remedy: "enable versions on the bucket (PutBucketVersioning); what is overwritten or deleted is kept from then on, and paid for"})
	}
	return all, nil
}
