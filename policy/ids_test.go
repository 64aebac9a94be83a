package policy_test

import (
	"testing"

	"github.com/snapwarden/snapwarden/policy"
)

func TestEC2IDs(t *testing.T) {
	for prefix, validate := range map[string]func(string) error{
		"snap-": policy.ValidateSnapshotID,
		"vol-":  policy.ValidateVolumeID,
		"i-":    policy.ValidateInstanceID,
		"ami-":  policy.ValidateImageID,
	} {
		n := len(prefix)
		for digits, want := range map[string]offence{
			"0a1b2c3d":           accepted,
			"ffffffff":           accepted,
			"0123456789abcdef0":  accepted,
			"":                   {policy.RuleLength, n},
			"1234567":            {policy.RuleLength, n + 7},
			"123456789":          {policy.RuleLength, n + 9},
			"0123456789abcdef":   {policy.RuleLength, n + 16},
			"0123456789abcdef01": {policy.RuleLength, n + 17},
			"0A1b2c3d":           {policy.RuleCharacter, n + 1},
			"0123456g":           {policy.RuleCharacter, n + 7},
			"01234567\n":         {policy.RuleCharacter, n + 8},
			"0123456*":           {policy.RuleCharacter, n + 7},
			"0123-567":           {policy.RuleCharacter, n + 4},
			"012345\u0661":       {policy.RuleCharacter, n + 6},
			"-1234567":           {policy.RuleCharacter, n},
		} {
			checkOffence(t, prefix+digits, validate(prefix+digits), want)
		}
		for _, other := range []string{"snap-01234567", "vol-01234567", "i-01234567", "ami-01234567", "mi-01234567", "SNAP-01234567", " i-01234567", "01234567"} {
			want := offence{policy.RulePrefix, 0}
			if other == prefix+"01234567" {
				want = accepted
			}
			checkOffence(t, other, validate(other), want)
		}
		checkOffence(t, "", validate(""), offence{policy.RuleEmpty, 0})
	}
}

func TestValidateKMSKeyARN(t *testing.T) {
	const (
		head = "arn:aws:kms:us-east-2:111122223333:"
		uuid = "1234abcd-12ab-34cd-56ef-1234567890ab"
		key  = head + "key/" + uuid
		n    = len(head + "key/")
	)
	for arn, want := range map[string]offence{
		key: accepted,
		"arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/" + uuid: accepted,
		head + "key/mrk-1234abcd12ab34cd56ef1234567890ab":           accepted,
		"":                     {policy.RuleEmpty, 0},
		"None":                 {policy.RulePrefix, 0},
		uuid:                   {policy.RulePrefix, 0},
		"alias/aws/rds":        {policy.RulePrefix, 0},
		head + "alias/aws/rds": {policy.RuleAlias, len(head)},
		head + uuid:            {policy.RulePrefix, len(head)},
		head + "key":           {policy.RulePrefix, len(head)},
		head + "key/":          {policy.RuleEmpty, n},
		head + "key:" + uuid:   {policy.RulePrefix, len(head)},
		head + "key/*":         {policy.RuleWildcard, n},
		key + "0":              {policy.RuleForm, n + 36},
		key + "/x":             {policy.RuleForm, n + 36},
		key + ":x":             {policy.RuleForm, n + 36},
		key[:len(key)-1]:       {policy.RuleForm, n + 35},
		head + "key/1234ABCD-12ab-34cd-56ef-1234567890ab":       {policy.RuleCharacter, n + 4},
		head + "key/1234abc-12ab-34cd-56ef-1234567890ab":        {policy.RuleForm, n + 7},
		head + "key/1234abcd012ab-34cd-56ef-1234567890ab":       {policy.RuleForm, n + 8},
		head + "key/1234abcd":                                   {policy.RuleForm, n + 8},
		head + "key/mrk-":                                       {policy.RuleEmpty, n + 4},
		head + "key/mrk-" + uuid:                                {policy.RuleForm, n + 4 + 8},
		head + "key/mrk-1234abcd12ab34cd56ef1234567890a":        {policy.RuleForm, n + 4 + 31},
		head + "key/mrk-1234abcd12ab34cd56ef1234567890ab0":      {policy.RuleForm, n + 4 + 32},
		"arn:aws:kms:us-east-2::key/" + uuid:                    {policy.RuleEmpty, 22},
		"arn:aws:kms::111122223333:key/" + uuid:                 {policy.RuleEmpty, 12},
		"arn:aws:rds:us-east-2:111122223333:key/" + uuid:        {policy.RuleForm, 8},
		"arn:aws:kms:cn-north-1:111122223333:key/" + uuid:       {policy.RuleRegion, 12},
		"arn:aws:kms:us-east-2:111122223333:key/" + uuid + "\n": {policy.RuleSpace, n + 36},
	} {
		checkOffence(t, arn, policy.ValidateKMSKeyARN(arn), want)
	}
}
