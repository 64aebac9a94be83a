package protect

import (
	"context"
	"strings"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// LockOptions say how files are to be held: by a retention, a legal hold, or both.
type LockOptions struct {
	// Retention holds the files until a time, which is rounded up to a whole second. Its zero value means none. Governance mode holds against
	// everybody who may not bypass it; compliance mode against everybody, and is taken only with Irreversible.
	Retention policy.Retention
	// LegalHold is policy.LegalHoldOn, or empty for none. Off is refused: to let go is for a person to decide, and not done here.
	LegalHold policy.LegalHold
	// Version is the version of a single object that is to be held; empty means the newest. It must be empty for an export. An object that is
	// encrypted under a key of the caller's own (SSE-C) needs it, because its newest version can not be asked for without that key.
	Version string
}

// OptionsFor makes LockOptions usable as backup.Spec.Options.
func (LockOptions) OptionsFor() (string, backup.Action) { return Kind, ActionLock }

// The stages of a lock.
const (
	stageLook   = "look"   // the bucket and the files are looked at, and their versions noted
	stageLock   = "lock"   // they may be locked
	stageVerify = "verify" // their locks are read back
	stageReport = "report" // something was refused; what is protected is read, file by file
)

const (
	// stepTime leaves a Step, which has a minute, time for the last of its calls.
	stepTime = 40 * time.Second
	// reportTime is how long before its deadline a lock that has begun is ended, so that what is protected can be read and told. It is longer than the
	// Runner waits after an error, by the time of a Step.
	reportTime = 5 * time.Minute
	// maxRounds is how often files that are not held as they should be are locked again.
	maxRounds = 3
	// maxVersions is how many bytes the ids of all versions may have: some 200, of the 32 characters that S3's have.
	maxVersions = 7 << 10
	// maxVersion is the longest id of a version. Source: S3 user guide, "How S3 Versioning works".
	maxVersion = 1024
)

// lockState is the State of an Operation that locks files. The files themselves are in the manifest, which is read in every Step, in its version.
type lockState struct {
	Mode         policy.LockMode `json:"m,omitempty"`
	Until        time.Time       `json:"u,omitzero"`
	Irreversible bool            `json:"i,omitempty"`
	Hold         bool            `json:"h,omitempty"`
	// Asked is the version that the caller named.
	Asked string `json:"a,omitempty"`

	// Manifest is the manifest's version, and Versions those of the files that were looked at, in the order of the manifest.
	Manifest string   `json:"mv,omitempty"`
	Versions []string `json:"v,omitempty"`
	// Needed counts the files that are not held yet as is asked for.
	Needed int `json:"n,omitempty"`
	// At is the file that is next, and Rounds how often all of them were locked.
	At     int `json:"at,omitempty"`
	Rounds int `json:"r,omitempty"`

	// Why is how the Operation ends once it was read what is protected, and Lacks the files that are not.
	Why   *backup.Failure `json:"w,omitempty"`
	Lacks []int           `json:"l,omitempty"`
}

// retention is what is asked for.
func (st lockState) retention() policy.Retention {
	return policy.Retention{Mode: st.Mode, Until: st.Until, Irreversible: st.Irreversible}
}

// StartProtect makes the Operation that holds a finished export by Object Lock, or a single object; Spec.Options are LockOptions. point is the
// Ref of an ElastiCache export (s3export.TypeElastiCache, what elasticacheexport lists in Points), also of one that was copied to another
// Region, or of an object (objectcopy.Object).
//
// The manifest says what the files of an export are. Each is held in the version that was its newest at the first look, and the manifest last: one
// that is held speaks for files that are held. What is there already is never made weaker: what holds longer or more firmly stays, and what can
// only be replaced by bypassing it ends the work in ErrConflict, before anything is sent. So does a file that is not the one of the
// manifest any more. In the end every version is read again, and must be held, and still be the newest.
//
// What is refused after something was held ends in ErrPartial, with findings that say which files are protected and which are not; Files tells
// it at any time. So does what is not finished in time: the last five minutes before the deadline, or the last quarter of a shorter time, are
// for reading that. To go on, start it again with another token: nothing is held twice.
//
// The bucket must have Object Lock, and so versions; here it is not turned on. What can be known to be refused is ErrInvalid: a Ref of
// another type, a retention that policy.Retention.Validate refuses, neither retention nor hold.
//
// Source: S3 user guide, "Locking objects with Object Lock", "Managing Object Lock"; S3 API, PutObjectRetention, PutObjectLegalHold.
func (s *Strategy) StartProtect(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(ActionLock, point, spec)
	if err != nil {
		return backup.Operation{}, err
	}
	bad := func(hint, format string, args ...any) (backup.Operation, error) {
		return backup.Operation{}, invalid(point, hint, format, args...)
	}
	if _, _, err := place(point); err != nil {
		return backup.Operation{}, err
	}
	if err := policy.ValidateRegion(point.Region); err != nil {
		return bad("name the Region as AWS does, such as eu-west-1", "%w", err)
	}
	o, ok := spec.Options.(LockOptions)
	if !ok {
		return bad("set Spec.Options to protect.LockOptions, not to a pointer", "options of type %T", spec.Options)
	}
	retains := o.Retention != policy.Retention{}
	switch {
	case o.LegalHold != "" && o.LegalHold != policy.LegalHoldOn:
		return bad("leave LegalHold empty to let it be as it is; a hold is taken off by hand (PutObjectLegalHold)", "the legal hold %.20q, and only ON is set here", o.LegalHold)
	case !retains && o.LegalHold == "":
		return bad("set LockOptions.Retention, LegalHold or both", "nothing to do")
	case o.Version != "" && point.Type != objectcopy.TypeObject:
		return bad("leave LockOptions.Version empty", "an export's files are held in the versions that they have")
	case len(o.Version) > maxVersion || strings.ContainsFunc(o.Version, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune("*?${}", c) }):
		return bad("copy the version's id from S3", "%.40q is not the id of a version", o.Version)
	}
	st := lockState{Hold: o.LegalHold == policy.LegalHoldOn, Asked: o.Version}
	if retains {
		if err := o.Retention.Validate(time.Now()); err != nil {
			return bad("mend LockOptions.Retention", "%w", err)
		}
		// S3 keeps times to the millisecond at best (UNVERIFIED). A whole second can be compared with what is read back.
		st.Until = o.Retention.Until.UTC().Round(0)
		if whole := st.Until.Truncate(time.Second); whole.Before(st.Until) {
			st.Until = whole.Add(time.Second)
		}
		st.Mode, st.Irreversible = o.Retention.Mode, o.Retention.Irreversible
		if st.Mode == "" {
			st.Mode = policy.LockGovernance
		}
	}
	op.Stage = stageLook
	return op, op.SetState(st)
}

// place is where an object, or the manifest of an export, is.
func place(r backup.Ref) (bucket, key string, err error) {
	if r.Type == objectcopy.TypeObject {
		return objectcopy.Split(r)
	}
	bucket, key, ok := strings.Cut(r.ID, "/")
	if r.Type != s3export.TypeElastiCache {
		return "", "", invalid(r, "use the Ref of type "+s3export.TypeElastiCache+" in Operation.Points (Points of a live export also lists its snapshot) or of elasticacheexport.Export, or objectcopy.Object; an export of RDS has no manifest that says what belongs to it: give its bucket a default retention before it is made",
			"the type %q can not be locked", r.Type)
	}
	if err := policy.ValidateBucketName(bucket); err != nil {
		return "", "", invalid(r, "use the Ref of type "+s3export.TypeElastiCache+" in Operation.Points, or make it with elasticacheexport.Export", "%w", err)
	}
	name, manifest := strings.CutSuffix(key, s3export.ManifestKey(""))
	if !ok || !manifest || policy.ValidateExportName(name) != nil {
		return "", "", invalid(r, "use the Ref of type "+s3export.TypeElastiCache+" in Operation.Points, or make it with elasticacheexport.Export", "%.80q is not the manifest of an export", key)
	}
	return bucket, key, nil
}

func (s *Strategy) stepLock(ctx context.Context, c *awss3.Client, op backup.Operation) (backup.Operation, error) {
	st, err := readLock(op)
	if err != nil {
		return op, err
	}
	switch op.Stage {
	case stageLook:
		return s.look(ctx, c, op, st)
	case stageLock, stageVerify, stageReport:
	default:
		return op, unknown(op)
	}
	if op.Stage != stageReport && st.late(op) {
		return broken(op, st, notInTime(op))
	}
	if op.Stage == stageLock && op.Intent() == backup.ReadOnly {
		return op, nil
	}
	t, err := s.target(ctx, c, op.Ref, st.Manifest, st.Asked)
	if err == nil {
		err = t.pin(op.Ref, st.Versions)
	}
	switch {
	case err != nil && op.Stage == stageReport && (!passing(err) || overdue(op)):
		return unreadable(op, st, err)
	case err != nil:
		return broken(op, st, err)
	case op.Stage == stageLock:
		return s.lock(ctx, c, op, st, t)
	case op.Stage == stageVerify:
		return s.verify(ctx, c, op, st, t)
	}
	return s.report(ctx, c, op, st, t)
}

// late reports whether so little is left of the Operation's time that it must be told now what is protected: of a short time a quarter, of a long one
// reportTime.
func (st lockState) late(op backup.Operation) bool {
	if st.Rounds == 0 || op.Deadline.IsZero() {
		return false
	}
	return time.Until(op.Deadline) < min(reportTime, op.Deadline.Sub(op.Started)/4)
}

// notInTime is the error of an Operation that is late.
func notInTime(op backup.Operation) error {
	return failure(op.Ref, op.Stage, backup.ErrUnavailable, "start it again with another token, and with a longer Spec.Timeout: nothing is held twice",
		"not finished in time: the deadline is %s", op.Deadline.UTC().Format(time.RFC3339))
}

// readLock gives the state of an Operation that can be stepped.
func readLock(op backup.Operation) (st lockState, err error) {
	if err := op.GetState(&st); err != nil {
		return st, err
	}
	_, _, err = place(op.Ref)
	if err == nil && (st.Until.IsZero() && !st.Hold || st.Mode == policy.LockCompliance && !st.Irreversible || st.At < 0) {
		err = invalid(op.Ref, "", "neither retention nor hold, or another retention than was asked for")
	}
	if err != nil {
		return st, failure(op.Ref, "step", backup.ErrInvalid, "the operation's state was changed; start it again", "%w", err)
	}
	return st, nil
}

// fits refuses more versions than an Operation has room for, beside its findings and its failure.
func (st lockState) fits(r backup.Ref) error {
	n := 0
	for _, v := range st.Versions {
		n += len(v) + len(`"",`)
	}
	if n > maxVersions {
		return failure(r, "look", backup.ErrUnsupported, "hold the files one by one, with their versions, and the manifest last", "the ids of the files' versions have %d bytes, and an Operation has room for %d", n, maxVersions)
	}
	return nil
}
