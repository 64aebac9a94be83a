package backup

import (
	"errors"
	"strings"
)

// Code says what kind of error an Error is. Programs branch on it with errors.Is; messages are for people and may change.
// Codes are constants, so that no program can assign to one.
type Code string

// Error makes a Code usable as an error, for errors.Is.
func (c Code) Error() string { return string(c) }

// The codes. Every error that the library returns has one, except for context errors, which pass through as they are.
const (
	// ErrInvalid: the input can not be right; nothing was sent.
	ErrInvalid = Code("invalid")
	// ErrNotFound: what was named does not exist, or is not visible to these credentials.
	ErrNotFound = Code("not found")
	// ErrConflict: something else has the name, holds the lease, or changed it first.
	ErrConflict = Code("conflict")
	// ErrDenied: AWS refused for lack of a permission, or a key does not allow its use.
	ErrDenied = Code("denied")
	// ErrQuota: a quota of the account is full.
	ErrQuota = Code("quota")
	// ErrThrottled: too many calls; later it will work.
	ErrThrottled = Code("throttled")
	// ErrUnavailable: the service, the network or the resource is not able to answer now; later it may.
	ErrUnavailable = Code("unavailable")
	// ErrUnsupported: AWS or this library can not do that, now or later.
	ErrUnsupported = Code("unsupported")
	// ErrPartial: a set is short of some of its members.
	ErrPartial = Code("partial")
	// ErrFailed: AWS said that the work failed.
	ErrFailed = Code("failed")
	// ErrCanceled: the work was canceled on request.
	ErrCanceled = Code("canceled")
)

// Error is the library's error. It unwraps to its Code and to its cause, so that both errors.Is(err, backup.ErrQuota) and
// errors.As(err, &awsFault) hold on one value.
type Error struct {
	// Op is what was being done: "backup", "restore", an AWS operation's name, "store".
	Op string
	// Kind is the Strategy's kind, empty outside of one.
	Kind string
	// Ref is what it was done to; it may be zero.
	Ref Ref
	// Code is never empty.
	Code Code
	// Err is the cause; it may be nil.
	Err error
	// Hint says what to do about it. Which permission is missing stands in the message, where AWS says it.
	Hint string
}

// Error gives kind, action, subject, code, cause and hint in one line. Its wording is not part of the API.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Kind != "" {
		b.WriteString(e.Kind)
		b.WriteByte(' ')
	}
	if e.Op != "" {
		b.WriteString(e.Op)
		b.WriteByte(' ')
	}
	if !e.Ref.IsZero() {
		b.WriteString(e.Ref.String())
		b.WriteByte(' ')
	}
	s := strings.TrimRight(b.String(), " ")
	if s != "" {
		s += ": "
	}
	s += string(e.Code)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Unwrap gives the code and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

// CodeOf gives the Code of an error: that of the first *Error in its chain, the Code itself, or ErrFailed for a stranger.
// It is empty for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	var c Code
	if errors.As(err, &c) {
		return c
	}
	return ErrFailed
}

// HintOf gives the first hint in an error's chain, or nothing.
func HintOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		if e.Hint == "" && e.Err != nil {
			return HintOf(e.Err)
		}
		return e.Hint
	}
	return ""
}
