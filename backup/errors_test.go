package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
)

// awsFault stands for an SDK's typed error.
type awsFault struct{ code string }

func (e *awsFault) Error() string { return e.code }

func TestErrorIsAndAs(t *testing.T) {
	fault := &awsFault{"SnapshotLimitExceeded"}
	var err error = &Error{Op: "CreateSnapshot", Kind: "ebs", Ref: testRef, Code: ErrQuota, Err: fmt.Errorf("call: %w", fault), Hint: "ask for more"}
	err = fmt.Errorf("nightly: %w", err)
	if !errors.Is(err, ErrQuota) || errors.Is(err, ErrDenied) {
		t.Errorf("errors.Is does not tell the code of %v", err)
	}
	var f *awsFault
	if !errors.As(err, &f) || f != fault {
		t.Errorf("errors.As does not give the cause of %v", err)
	}
	var e *Error
	if !errors.As(err, &e) || e.Op != "CreateSnapshot" {
		t.Errorf("errors.As does not give the *Error of %v", err)
	}
	if got := (&Error{Code: ErrQuota}).Unwrap(); len(got) != 1 || got[0] != error(ErrQuota) {
		t.Errorf("without a cause, Unwrap gives %v", got)
	}
	if !errors.Is(&Error{Code: ErrUnavailable, Err: context.DeadlineExceeded}, context.DeadlineExceeded) {
		t.Error("a context's error is lost as a cause")
	}
}

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err  Error
		want string
	}{
		{Error{Code: ErrFailed}, "failed"},
		{Error{Op: "store", Code: ErrConflict}, "store: conflict"},
		{Error{Kind: "ebs", Code: ErrConflict}, "ebs: conflict"},
		{Error{Code: ErrConflict, Err: io.EOF}, "conflict: EOF"},
		{Error{Op: "backup", Kind: "ebs", Ref: testRef, Code: ErrQuota, Err: io.EOF, Hint: "wait"},
			"ebs backup test/thing:123456789012:eu-west-1:thing-1: quota: EOF (wait)"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestCodeAndHint(t *testing.T) {
	inner := &Error{Code: ErrDenied, Hint: "allow ec2:CreateSnapshot"}
	for name, c := range map[string]struct {
		err  error
		code Code
		hint string
	}{
		"nil":                     {nil, "", ""},
		"a stranger":              {io.EOF, ErrFailed, ""},
		"a code":                  {ErrQuota, ErrQuota, ""},
		"a wrapped code":          {fmt.Errorf("x: %w", ErrQuota), ErrQuota, ""},
		"an error":                {inner, ErrDenied, "allow ec2:CreateSnapshot"},
		"a wrapped error":         {fmt.Errorf("x: %w", inner), ErrDenied, "allow ec2:CreateSnapshot"},
		"the outer code counts":   {&Error{Code: ErrPartial, Err: inner, Hint: "look"}, ErrPartial, "look"},
		"the inner hint is found": {&Error{Code: ErrPartial, Err: fmt.Errorf("x: %w", inner)}, ErrPartial, "allow ec2:CreateSnapshot"},
		"joined":                  {errors.Join(io.EOF, inner), ErrDenied, "allow ec2:CreateSnapshot"},
		"a context's":             {context.Canceled, ErrFailed, ""},
	} {
		if got := CodeOf(c.err); got != c.code {
			t.Errorf("%s: the code is %q, want %q", name, got, c.code)
		}
		if got := HintOf(c.err); got != c.hint {
			t.Errorf("%s: the hint is %q, want %q", name, got, c.hint)
		}
	}
}
