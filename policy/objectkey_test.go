package policy_test

import (
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/policy"
)

func TestValidateObjectKey(t *testing.T) {
	long := strings.Repeat("k", 1024)
	for _, c := range []struct {
		key  string
		want offence
	}{
		{"a", accepted}, {"a b/*?${}\x00é", accepted}, {"/", accepted}, {long, accepted}, {strings.Repeat("é", 512), accepted}, {"\ufffd", accepted},
		{"", offence{policy.RuleEmpty, 0}}, {long + "k", offence{policy.RuleLength, 1024}}, {strings.Repeat("é", 513), offence{policy.RuleLength, 1024}},
		{"ab\xff", offence{policy.RuleUTF8, 2}}, {"é\xc3", offence{policy.RuleUTF8, 2}},
	} {
		checkOffence(t, c.key, policy.ValidateObjectKey(c.key), c.want)
	}
}

func TestValidateExportPrefix(t *testing.T) {
	long := strings.Repeat("p", 59)
	for _, c := range []struct {
		prefix string
		want   offence
	}{
		{"exports", accepted}, {"a/b-c/d.e_(f)'!", accepted}, {long, accepted},
		{"", offence{policy.RuleEmpty, 0}}, {long + "p", offence{policy.RuleLength, 59}},
		{"a:b", offence{policy.RuleCharacter, 1}}, {"a b", offence{policy.RuleCharacter, 1}}, {"é", offence{policy.RuleCharacter, 0}},
		{"a*", offence{policy.RuleWildcard, 1}}, {"a?", offence{policy.RuleWildcard, 1}}, {"${aws:username}", offence{policy.RuleWildcard, 0}},
		{"/a", offence{policy.RuleForm, 0}}, {"a/", offence{policy.RuleForm, 1}}, {"a//b", offence{policy.RuleForm, 2}},
		{"a/../b", offence{policy.RuleForm, -1}}, {"./a", offence{policy.RuleForm, -1}},
	} {
		checkOffence(t, c.prefix, policy.ValidateExportPrefix(c.prefix), c.want)
	}
}
