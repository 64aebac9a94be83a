package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/policy"
)

func TestValidateTags(t *testing.T) {
	const emoji = "\U0001f600"
	for key, want := range map[string]offence{
		"k":                               accepted,
		"snapwarden:owner":                accepted,
		"Kosten Stelle/\u00e4\u65e5":      accepted,
		"aws":                             accepted,
		"awsome:x":                        accepted,
		"x-aws:":                          accepted,
		"aw\u017f:x":                      accepted, // the long s is no s
		strings.Repeat("a", 128):          accepted,
		strings.Repeat(emoji, 128):        accepted,
		"\ufffd":                          accepted,
		"":                                {policy.RuleEmpty, 0},
		"aws:":                            {policy.RuleReserved, 0},
		"aws:cloudformation:stack-name":   {policy.RuleReserved, 0},
		"AWS:x":                           {policy.RuleReserved, 0},
		"aWs:x":                           {policy.RuleReserved, 0},
		strings.Repeat("a", 129):          {policy.RuleLength, 128},
		strings.Repeat(emoji, 129):        {policy.RuleLength, 512},
		"a\xff":                           {policy.RuleUTF8, 1},
		"a\xed\xa0\x80":                   {policy.RuleUTF8, 1}, // half a surrogate pair
		strings.Repeat("a", 128) + "\xff": {policy.RuleLength, 128},
	} {
		checkOffence(t, key, policy.ValidateTags(map[string]string{key: "v", "z": ""}), want)
	}
	for value, want := range map[string]offence{
		"":                            accepted,
		"aws:not-a-key":               accepted,
		strings.Repeat("a", 256):      accepted,
		strings.Repeat(emoji, 256):    accepted,
		strings.Repeat("a", 257):      {policy.RuleLength, 256},
		strings.Repeat("\u00e9", 257): {policy.RuleLength, 512},
		"secret\xff":                  {policy.RuleUTF8, 6},
	} {
		err := policy.ValidateTags(map[string]string{"k": value, "a": "v"})
		checkOffence(t, value, err, want)
		if err == nil {
			continue
		}
		if msg := err.Error(); strings.Contains(msg, "secret") || !strings.Contains(msg, `value of tag "k": `) {
			t.Errorf("%s: not the key alone", msg)
		}
	}
}

func TestValidateTagsCounts(t *testing.T) {
	checkOffence(t, "nil", policy.ValidateTags(nil), accepted)
	tags := make(map[string]string)
	for i := range 50 {
		tags[fmt.Sprint("k", i)] = ""
	}
	checkOffence(t, "50 tags", policy.ValidateTags(tags), accepted)
	tags["one more"] = ""
	err := policy.ValidateTags(tags)
	checkError(t, err, &policy.NameError{What: "tags", Rule: policy.RuleCount, Offset: -1})
	if got, want := err.Error(), "tags: 51 of them, at most 50 are allowed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Of several wrong tags it is always the same one that is reported.
func TestValidateTagsIsDeterministic(t *testing.T) {
	for range 200 {
		tags := map[string]string{"aws:b": "", "aws:a": "", "b\xff": "", "a": "v", "ab": "\xff", "z": "v"}
		checkError(t, policy.ValidateTags(tags), &policy.NameError{What: `value of tag "ab"`, Rule: policy.RuleUTF8})
		tags[""] = "v"
		checkError(t, policy.ValidateTags(tags), &policy.NameError{What: "tag key", Value: `""`, Rule: policy.RuleEmpty})
	}
}
