package policy_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

func TestErrorSaysWhatWhichAndWhere(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{policy.ValidateRDSSnapshotID("my--snap"), `RDS snapshot identifier "my--snap": two hyphens in a row at offset 2`},
		{policy.ValidateRDSSnapshotID("my_snap"), `RDS snapshot identifier "my_snap": '_' is not a letter, a digit or a hyphen at offset 2`},
		{policy.ValidateCacheSnapshotName("m\u0430in"), `ElastiCache snapshot name "m\u0430in": '\u0430' is not a letter, a digit or a hyphen at offset 1`},
		{policy.ValidateCacheSnapshotName("m\xffin"), `ElastiCache snapshot name "m\xffin": byte 0xff is not a letter, a digit or a hyphen at offset 1`},
		{policy.ValidateCacheClusterID("a\nerror: all is well"), `ElastiCache cluster id "a\nerror: all is well": '\n' is not a letter, a digit or a hyphen at offset 1`},
		{policy.ValidateAccountID(""), `account id "": empty at offset 0`},
		{policy.ValidateRegion("us-east-1a"), `Region "us-east-1a": an Availability Zone instead of a Region: 'a' at offset 9`},
	} {
		if d := cmp.Diff(tt.want, tt.err.Error()); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
	}
}

// A long value is cut, and never inside a character.
func TestErrorCutsLongValues(t *testing.T) {
	for _, long := range []string{
		strings.Repeat("a", 300),
		strings.Repeat("\u00e9", 300),
		"a" + strings.Repeat("\u00e9", 300),
		"ab" + strings.Repeat("\U0001f600", 300),
		strings.Repeat("\x80", 300),
	} {
		msg := policy.ValidateRDSClusterID(long).Error()
		if len(msg) > 500 {
			t.Errorf("%d bytes of message", len(msg))
		}
		if utf8.ValidString(long) && strings.Contains(msg, `\x`) {
			t.Errorf("cut inside a character: %s", msg)
		}
	}
	exact := strings.Repeat("-", 80)
	checkError(t, policy.ValidateRDSClusterID(exact), &policy.NameError{
		What: "RDS cluster identifier", Value: `"` + exact + `"`, Rule: policy.RuleFirstLetter,
	})
	checkError(t, policy.ValidateRDSClusterID(exact+"x"), &policy.NameError{
		What: "RDS cluster identifier", Value: `"` + exact + `"...`, Rule: policy.RuleFirstLetter,
	})
}

// The spelling of a rule is part of the API.
func TestRulesAreStable(t *testing.T) {
	got := []policy.Rule{
		policy.RuleEmpty, policy.RuleLength, policy.RuleCharacter, policy.RuleUTF8,
		policy.RuleSpace, policy.RuleWildcard, policy.RuleFirstLetter, policy.RuleDoubleHyphen,
		policy.RuleTrailingHyphen, policy.RulePrefix, policy.RuleReserved, policy.RuleForm,
		policy.RulePartition, policy.RuleRegion, policy.RuleAlias, policy.RuleCount,
	}
	want := []policy.Rule{
		"empty", "length", "character", "utf-8", "white-space", "wildcard", "first-letter",
		"double-hyphen", "trailing-hyphen", "prefix", "reserved-prefix", "form", "partition",
		"region", "alias", "count",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}
