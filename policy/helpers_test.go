package policy_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/snapwarden/snapwarden/policy"
)

// offence is what a test expects of an error: what it promises, not its words.
type offence struct {
	Rule   policy.Rule
	Offset int
}

// accepted is the offence of a good value.
var accepted = offence{}

func offenceOf(t testing.TB, err error) offence {
	t.Helper()
	if err == nil {
		return accepted
	}
	var ne *policy.NameError
	if !errors.As(err, &ne) {
		t.Fatalf("%T %v is no *NameError", err, err)
	}
	if ne == nil || ne.What == "" || ne.Rule == "" || ne.Detail == "" {
		t.Fatalf("incomplete error %#v", ne)
	}
	return offence{ne.Rule, ne.Offset}
}

func checkOffence(t *testing.T, value string, err error, want offence) {
	t.Helper()
	if d := cmp.Diff(want, offenceOf(t, err)); d != "" {
		t.Errorf("%q: %v (-want +got)\n%s", value, err, d)
	}
}

// checkError compares a whole error, but for the words of its rule.
func checkError(t *testing.T, err error, want *policy.NameError) {
	t.Helper()
	var got *policy.NameError
	if !errors.As(err, &got) {
		t.Fatalf("got %v, want a *NameError", err)
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(policy.NameError{}, "Detail")); d != "" {
		t.Errorf("%v (-want +got)\n%s", err, d)
	}
}
