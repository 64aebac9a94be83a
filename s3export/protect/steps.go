package protect

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// walk does something to file after file from st.At on, until all are done, the Step's time is over, or something is in the way. What was done
// counts: it says whether st has changed, and gives an error only if the very first file had one, or one that waiting does not mend.
func (st *lockState) walk(n int, do func(i int) error) (moved bool, err error) {
	begin := time.Now()
	for st.At < n {
		if moved && time.Since(begin) >= stepTime {
			return true, nil
		}
		if err := do(st.At); err != nil {
			if moved && passing(err) {
				return true, nil
			}
			return moved, err
		}
		st.At++
		moved = true
	}
	return moved, nil
}

// further keeps what a walk did that is not at its end.
func further(op backup.Operation, st lockState) (backup.Operation, error) {
	op.PollIn(0)
	return op, op.SetState(st)
}

// missing says what a version lacks of what is asked for, and refuses what could only be had by making weaker what is there.
func (st lockState) missing(h held, name string, r backup.Ref) (retention, legal bool, err error) {
	legal = st.Hold && !h.legal
	want := st.retention()
	if st.Until.IsZero() || !h.retention.Until.Before(want.Until) && (want.Mode == policy.LockGovernance || h.retention.Mode == policy.LockCompliance) {
		return false, legal, nil
	}
	now := time.Now()
	if err := want.Validate(now); err != nil {
		return false, false, failure(r, "retention", backup.ErrInvalid, "ask for a later time", "%w", err)
	}
	if err := h.retention.To(want, now); err != nil {
		return false, false, failure(r, "retention", backup.ErrConflict, "ask for the same mode or a firmer one, and for a time that is not sooner", "%s %w: %w", name, heldOther, err)
	}
	if h.event {
		return false, false, failure(r, "retention", backup.ErrConflict, "set the retention by hand, together with that hold", "%s %w: until an event", name, heldOther)
	}
	return true, legal, nil
}

// needs reads what a version lacks.
func (s *Strategy) needs(ctx context.Context, c *awss3.Client, st lockState, t target, i int) (retention, legal bool, err error) {
	h, err := s.locks(ctx, c, t, i, !st.Until.IsZero(), st.Hold)
	if err != nil {
		return false, false, err
	}
	return st.missing(h, t.files[i].key, t.fileRef(i))
}

// look finds out which versions are to be held, and whether anything is in the way. Until it is through, nothing is sent that changes anything.
func (s *Strategy) look(ctx context.Context, c *awss3.Client, op backup.Operation, st lockState) (backup.Operation, error) {
	if st.At == 0 {
		if err := s.lockable(ctx, c, op.Ref); err != nil {
			return broken(op, st, err)
		}
	}
	t, err := s.target(ctx, c, op.Ref, st.Manifest, st.Asked)
	if err == nil {
		err = t.pin(op.Ref, st.Versions)
	}
	if err != nil {
		return broken(op, st, err)
	}
	last := len(t.files) - 1
	if st.Manifest == "" && st.Asked == "" {
		st.Manifest = t.files[last].version // empty for an object, or without versions, which head tells
	}
	moved, err := st.walk(len(t.files), func(i int) error {
		id := st.Asked // its locks tell whether it is there
		if id == "" {
			var err error
			if id, _, err = s.head(ctx, c, t, i, t.files[i].version); err != nil {
				return unclear(t, i, err)
			}
		}
		t.files[i].version = id
		retention, legal, err := s.needs(ctx, c, st, t, i)
		if err != nil {
			return err
		}
		st.Versions = append(st.Versions, id)
		if retention || legal {
			st.Needed++
		}
		return nil
	})
	if err == nil {
		err = st.fits(op.Ref)
	}
	switch {
	case err != nil:
		return broken(op, st, err)
	case moved && st.At <= last:
		op.Percent = percent(st, t, 0)
		return further(op, st)
	}
	st.At = 0
	if st.Needed == 0 {
		op.To(stageVerify, "")
		return op, op.SetState(st)
	}
	return s.begun(op, st, t)
}

// unclear gives the error of a first look at a file. S3 gives no reason to a HEAD request that it calls bad; with a single object it is mostly that it is
// encrypted under a key which nobody here has.
func unclear(t target, i int, err error) error {
	if len(t.files) > 1 || !has(err, "BadRequest") {
		return err
	}
	return failure(t.fileRef(i), "HeadObject", backup.ErrUnsupported, "if it is encrypted under a key of the caller's own (SSE-C), name its version in LockOptions.Version; otherwise look at the credentials",
		"S3 does not let the object be looked at: %w", err)
}

// begun moves on to locking. Until all is well, a finding says that it is not.
func (s *Strategy) begun(op backup.Operation, st lockState, t target) (backup.Operation, error) {
	st.At = 0
	if st.Rounds++; st.Rounds > maxRounds {
		return broken(op, st, failure(op.Ref, "verify", backup.ErrConflict, "find out who takes retentions or legal holds away: it needs the right to bypass them, or to put holds",
			"a file %w, %d times", notHeld, maxRounds))
	}
	if !st.Until.IsZero() {
		op.To(stageLock, "PutObjectRetention")
	} else {
		op.To(stageLock, "PutObjectLegalHold")
	}
	op.Find(backup.Finding{ID: Kind + ".under-way", Severity: backup.SeverityWarning, Ref: op.Ref,
		Message: fmt.Sprintf("locks are being set on %d files, and the export is not protected as a whole before the end", len(t.files)), Remedy: "Strategy.Files tells which files are held"})
	return op, op.SetState(st)
}

// lock holds file after file, the manifest last.
func (s *Strategy) lock(ctx context.Context, c *awss3.Client, op backup.Operation, st lockState, t target) (backup.Operation, error) {
	_, err := st.walk(len(t.files), func(i int) error {
		retention, legal, err := s.needs(ctx, c, st, t, i)
		if err != nil {
			return err
		}
		f := t.files[i]
		if retention {
			_, err := c.PutObjectRetention(ctx, &awss3.PutObjectRetentionInput{Bucket: &t.bucket, Key: &f.key, VersionId: &f.version, ExpectedBucketOwner: &t.ref.Account,
				Retention: &s3types.ObjectLockRetention{Mode: s3types.ObjectLockRetentionMode(st.Mode), RetainUntilDate: aws.Time(st.Until)}}, guarded)
			if err = s.settled(ctx, c, st, t, i, wrap("PutObjectRetention", t.fileRef(i), err)); err != nil {
				return err
			}
		}
		if legal {
			_, err := c.PutObjectLegalHold(ctx, &awss3.PutObjectLegalHoldInput{Bucket: &t.bucket, Key: &f.key, VersionId: &f.version, ExpectedBucketOwner: &t.ref.Account,
				LegalHold: &s3types.ObjectLockLegalHold{Status: s3types.ObjectLockLegalHoldStatusOn}}, guarded)
			if err != nil {
				return wrap("PutObjectLegalHold", t.fileRef(i), err)
			}
		}
		return nil
	})
	op.Percent = percent(st, t, 1)
	switch {
	case err != nil:
		return broken(op, st, err)
	case st.At < len(t.files):
		return further(op, st)
	}
	st.At = 0
	op.To(stageVerify, "")
	return op, op.SetState(st)
}

// settled gives the error of a retention that was refused. Denied is also what S3 says if somebody else has set a longer or firmer one since it was
// looked at: then there is nothing more to set.
func (s *Strategy) settled(ctx context.Context, c *awss3.Client, st lockState, t target, i int, refused error) error {
	if backup.CodeOf(refused) != backup.ErrDenied {
		return refused
	}
	switch retention, _, err := s.needs(ctx, c, st, t, i); {
	case backup.CodeOf(err) == backup.ErrConflict:
		return err
	case err == nil && !retention:
		return nil
	}
	return refused
}

// verify reads every lock back. The files must be held in the versions that were noted, and these must still be the newest: what was put over them
// is not the export.
func (s *Strategy) verify(ctx context.Context, c *awss3.Client, op backup.Operation, st lockState, t target) (backup.Operation, error) {
	again := false
	_, err := st.walk(len(t.files), func(i int) error {
		if st.Asked == "" {
			id, _, err := s.head(ctx, c, t, i, "")
			if err != nil {
				return err
			}
			if id != t.files[i].version {
				return failure(t.fileRef(i), "verify", backup.ErrConflict, hintReplaced, "%s %w: it has a newer version", t.files[i].key, replaced)
			}
		}
		retention, legal, err := s.needs(ctx, c, st, t, i)
		again = again || retention || legal
		return err
	})
	op.Percent = percent(st, t, 2)
	switch {
	case err != nil:
		return broken(op, st, err)
	case again:
		return s.begun(op, st, t)
	case st.At < len(t.files):
		return further(op, st)
	}
	op.Findings = withoutUnderWay(op.Findings)
	op.Succeed()
	return op, op.SetState(st)
}

// withoutUnderWay gives findings without the one that begun made. It copies them, because an Operation is a value.
func withoutUnderWay(all []backup.Finding) []backup.Finding {
	return slices.DeleteFunc(slices.Clone(all), func(f backup.Finding) bool { return f.ID == Kind+".under-way" })
}

// percent is how far a walk is: the first of three that are alike, the second or the last.
func percent(st lockState, t target, before int) int {
	return min(100*(before*len(t.files)+st.At)/(3*len(t.files)), 99)
}
