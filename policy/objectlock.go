package policy

import (
	"fmt"
	"time"
)

// The rules that retentions and lifecycles can break.
const (
	RuleRange    Rule = "range"    // a number, or a time, outside of what is allowed
	RuleConflict Rule = "conflict" // two settings that exclude each other
	RuleOrder    Rule = "order"    // an order that is not allowed: of days, of storage classes, of strictness
)

// LockMode is how firmly Object Lock holds a version of an object.
type LockMode string

// The modes. Governance is what to use unless a law asks for the other.
//
// Source: S3 user guide, "Locking objects with Object Lock".
const (
	// LockGovernance holds against everybody who has not the right to bypass it, s3:BypassGovernanceRetention, which this library never asks for.
	LockGovernance LockMode = "GOVERNANCE"
	// LockCompliance holds against everybody, the account's root user and AWS's support too, until the time has come. It can not be undone.
	LockCompliance LockMode = "COMPLIANCE"
)

// The most that S3 takes for a retention. Source: S3 user guide, "Object Lock considerations".
const (
	maxLockDays  = 36_500
	maxLockYears = 100
)

// Retention is until when a version of an object can be neither overwritten nor deleted.
type Retention struct {
	// Mode is how firmly it holds; empty means LockGovernance.
	Mode LockMode
	// Until is when it ends. Required.
	Until time.Time
	// Irreversible must be true with LockCompliance, and false without: a mistake in it costs the storage of all those years.
	Irreversible bool
}

// Validate refuses a retention that S3 refuses, or that is dangerous by an oversight: without an end, with one that is not after now or more than
// 100 years away, or in compliance mode without Irreversible. An error is a *NameError.
//
// Source: S3 user guide, "Locking objects with Object Lock"; S3 API reference, PutObjectRetention.
func (r Retention) Validate(now time.Time) error {
	return r.check(now).in("object retention", string(r.mode()))
}

func (r Retention) check(now time.Time) fault {
	if f := checkLockMode(r.Mode, r.Irreversible); f.bad() {
		return f
	}
	switch {
	case r.Until.IsZero():
		return faultf(RuleEmpty, -1, "no end: set Until")
	case !r.Until.After(now):
		return faultf(RuleRange, -1, "ends at %s, which is not in the future", r.Until.UTC().Format(time.RFC3339))
	case r.Until.After(now.AddDate(maxLockYears, 0, 0)):
		return faultf(RuleRange, -1, "ends at %s, in more than %d years", r.Until.UTC().Format(time.RFC3339), maxLockYears)
	}
	return fault{}
}

func checkLockMode(m LockMode, irreversible bool) fault {
	switch m {
	case "", LockGovernance:
		if irreversible {
			return faultf(RuleConflict, -1, "governance mode is not irreversible: leave Irreversible false, or choose the mode that is meant")
		}
	case LockCompliance:
		if !irreversible {
			return faultf(RuleConflict, -1, "nobody can end compliance mode early: set Irreversible to say that this is meant")
		}
	default:
		return faultf(RuleForm, -1, "a mode is GOVERNANCE or COMPLIANCE")
	}
	return fault{}
}

// mode is the mode that is meant.
func (r Retention) mode() LockMode {
	if r.Mode == "" {
		return LockGovernance
	}
	return r.Mode
}

// To checks that a version that is held by r may be held by next in its place: by the same or a firmer mode, and at least as long. S3 also takes
// less in governance mode from whoever may bypass it; this library never asks for that. A retention that has ended, at now, binds nothing.
//
// Source: S3 user guide, "Managing Object Lock".
func (r Retention) To(next Retention, now time.Time) error {
	if err := next.Validate(now); err != nil {
		return err
	}
	var f fault
	switch {
	case !r.Until.After(now):
	case r.mode() == LockCompliance && next.mode() == LockGovernance:
		f = faultf(RuleOrder, -1, "a version in compliance mode can not be put into governance mode")
	case next.Until.Before(r.Until):
		f = faultf(RuleOrder, -1, "ends at %s, before the %s until which the version is held already", next.Until.UTC().Format(time.RFC3339), r.Until.UTC().Format(time.RFC3339))
	}
	return f.in("object retention", string(next.mode()))
}

// DefaultRetention is the retention that a bucket gives to every new object. It says nothing of those that are there already.
type DefaultRetention struct {
	// Mode is how firmly it holds; empty means LockGovernance.
	Mode LockMode
	// Days, 1 to 36,500, or Years, 1 to 100: exactly one of them.
	Days, Years int
	// Irreversible is as in Retention.
	Irreversible bool
}

// Validate refuses what S3 refuses, and compliance mode without Irreversible. An error is a *NameError.
//
// Source: S3 API reference, PutObjectLockConfiguration; S3 user guide, "Object Lock considerations".
func (r DefaultRetention) Validate() error {
	f := checkLockMode(r.Mode, r.Irreversible)
	switch {
	case f.bad():
	case r.Days == 0 && r.Years == 0:
		f = faultf(RuleEmpty, -1, "neither Days nor Years")
	case r.Days != 0 && r.Years != 0:
		f = faultf(RuleConflict, -1, "Days and Years: S3 takes one of them")
	case r.Days < 0 || r.Days > maxLockDays:
		f = faultf(RuleRange, -1, "%d days are not within 1 and %d", r.Days, maxLockDays)
	case r.Years < 0 || r.Years > maxLockYears:
		f = faultf(RuleRange, -1, "%d years are not within 1 and %d", r.Years, maxLockYears)
	}
	return f.in("default retention", r.String())
}

// String gives the retention in words.
func (r DefaultRetention) String() string {
	mode := Retention{Mode: r.Mode}.mode()
	if r.Years != 0 {
		return fmt.Sprintf("%d years in mode %s", r.Years, mode)
	}
	return fmt.Sprintf("%d days in mode %s", r.Days, mode)
}

// LegalHold holds a version of an object until it is taken off again, whatever its retention.
type LegalHold string

// The two states of a legal hold, as S3 writes them.
const (
	LegalHoldOn  LegalHold = "ON"
	LegalHoldOff LegalHold = "OFF"
)
