package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

// Every Region that AWS publishes, with its partition; + marks opt-in Regions.
const regions = `
aws ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-southeast-1 ap-southeast-2
aws ca-central-1 eu-central-1 eu-north-1 eu-west-1 eu-west-2 eu-west-3 sa-east-1
aws us-east-1 us-east-2 us-west-1 us-west-2
aws +af-south-1 +ap-east-1 +ap-east-2 +ap-south-2 +ap-southeast-3 +ap-southeast-4 +ap-southeast-5
aws +ap-southeast-6 +ap-southeast-7 +ca-west-1 +eu-central-2 +eu-south-1 +eu-south-2 +il-central-1
aws +me-central-1 +me-south-1 +mx-central-1
aws +us-east-3 +eu-northwest-12 +il-x2-1
aws-cn cn-north-1 cn-northwest-1
aws-us-gov us-gov-east-1 us-gov-west-1
aws-eusc eusc-de-east-1
aws-iso us-iso-east-1 us-iso-west-1
aws-iso-b us-isob-east-1 us-isob-west-1
aws-iso-e eu-isoe-west-1
aws-iso-f us-isof-east-1 us-isof-south-1
`

var suffixes = map[string]string{
	"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn", "aws-us-gov": "amazonaws.com",
	"aws-eusc": "amazonaws.eu", "aws-iso": "c2s.ic.gov", "aws-iso-b": "sc2s.sgov.gov",
	"aws-iso-e": "cloud.adc-e.uk", "aws-iso-f": "csp.hci.ic.gov",
}

func TestPartitionOfEveryRegion(t *testing.T) {
	for line := range strings.Lines(strings.TrimSpace(regions)) {
		words := strings.Fields(line)
		want := policy.Partition{ID: words[0], DNSSuffix: suffixes[words[0]]}
		for _, word := range words[1:] {
			region, optIn := strings.CutPrefix(word, "+")
			got, err := policy.PartitionOf(region)
			if d := cmp.Diff(want, got); d != "" || err != nil {
				t.Errorf("%s: %v (-want +got)\n%s", region, err, d)
			}
			if err := policy.ValidateRegion(region); err != nil {
				t.Errorf("%s: %v", region, err)
			}
			if got := policy.OptIn(region); got != optIn {
				t.Errorf("OptIn(%s) = %v", region, got)
			}
		}
	}
}

func TestPartitionByID(t *testing.T) {
	for id, suffix := range suffixes {
		got, err := policy.PartitionByID(id)
		if d := cmp.Diff(policy.Partition{ID: id, DNSSuffix: suffix}, got); d != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", id, err, d)
		}
	}
	for _, id := range []string{"AWS", "aws-", "aws-gov", "aws-iso-a", " aws"} {
		_, err := policy.PartitionByID(id)
		checkOffence(t, id, err, offence{policy.RulePartition, 0})
	}
	_, err := policy.PartitionByID("")
	checkOffence(t, "", err, offence{policy.RuleEmpty, 0})
}

func TestNoRegion(t *testing.T) {
	for region, want := range map[string]offence{
		"":                                     {policy.RuleEmpty, 0},
		"aws-global":                           {policy.RulePartition, 0},
		"global":                               {policy.RulePartition, 0},
		"EU":                                   {policy.RuleCharacter, 0},
		"xx-east-1":                            {policy.RulePartition, 0},
		"us":                                   {policy.RulePartition, 0},
		"us-":                                  {policy.RuleForm, 3},
		"us-east":                              {policy.RuleForm, 7},
		"us-east-":                             {policy.RuleForm, 8},
		"us--1":                                {policy.RuleForm, 4},
		"us-east-0":                            {policy.RuleForm, 8},
		"us-east-01":                           {policy.RuleForm, 8},
		"us-east-1a":                           {policy.RuleForm, 9},
		"us-east-a":                            {policy.RuleForm, 8},
		"us-east-1-":                           {policy.RuleForm, 9},
		"us-east-1-2":                          {policy.RuleForm, 9},
		"us-west-2-lax-1a":                     {policy.RuleForm, 9},
		"us_east_1":                            {policy.RuleCharacter, 2},
		"US-EAST-1":                            {policy.RuleCharacter, 0},
		"us-East-1":                            {policy.RuleCharacter, 3},
		" us-east-1":                           {policy.RuleCharacter, 0},
		"us-east-1 ":                           {policy.RuleCharacter, 9},
		"us-east-1\n":                          {policy.RuleCharacter, 9},
		"us-east-1\x00":                        {policy.RuleCharacter, 9},
		"us-east-1.evil.example":               {policy.RuleCharacter, 9},
		"us-east-1/":                           {policy.RuleCharacter, 9},
		"us-east-1@evil":                       {policy.RuleCharacter, 9},
		"us-east-\u0661":                       {policy.RuleCharacter, 8},
		"us-gov-1":                             {policy.RuleForm, 8},
		"us-iso-1":                             {policy.RuleForm, 8},
		"us-isob-1":                            {policy.RuleForm, 9},
		"us-isox-1":                            {policy.RulePartition, 3},
		"us-isox-east-1":                       {policy.RulePartition, 3},
		"eu-gov-1":                             {policy.RulePartition, 3},
		"eu-isof-west-1":                       {policy.RulePartition, 3},
		"us-isoe-west-1":                       {policy.RulePartition, 3},
		"us-gov-west-1a":                       {policy.RuleForm, 13},
		"eusc-fr-east-1":                       {policy.RulePartition, 0},
		"eusc-east-1":                          {policy.RulePartition, 0},
		"cn-gov-west-1":                        {policy.RuleForm, 7},
		"us-" + strings.Repeat("a", 58) + "-1": accepted, // 63 bytes
		"us-" + strings.Repeat("a", 59) + "-1": {policy.RuleLength, 63},
	} {
		p, err := policy.PartitionOf(region)
		checkOffence(t, region, err, want)
		checkOffence(t, region, policy.ValidateRegion(region), want)
		if want != accepted && (p != policy.Partition{} || policy.OptIn(region)) {
			t.Errorf("%q: %+v, opt-in %v", region, p, policy.OptIn(region))
		}
	}
}

func TestValidateZone(t *testing.T) {
	for _, tt := range []struct {
		zone, region string
		want         offence
	}{
		{"us-east-1a", "us-east-1", accepted},
		{"us-east-1z", "us-east-1", accepted},
		{"us-gov-west-1b", "us-gov-west-1", accepted},
		{"us-west-2-lax-1a", "us-west-2", accepted},
		{"us-west-2-lax-1", "us-west-2", accepted}, // the group, which some calls take
		{"us-east-1-wl1-bos-wlz-1", "us-east-1", accepted},
		{"us-west-2-wl1-den-wlz-12", "us-west-2", accepted},

		{"", "us-east-1", offence{policy.RuleEmpty, 0}},
		{"us-east-1", "us-east-1", offence{policy.RuleForm, 9}},
		{"us-east-1a", "us-east-2", offence{policy.RuleRegion, 0}},
		{"us-east-10a", "us-east-1", offence{policy.RuleCharacter, 9}},
		{"us-east-1a", "us-east-10", offence{policy.RuleRegion, 0}},
		{"use1-az1", "us-east-1", offence{policy.RuleRegion, 0}},
		{"us-east-1A", "us-east-1", offence{policy.RuleCharacter, 9}},
		{"us-east-1*", "us-east-1", offence{policy.RuleCharacter, 9}},
		{"us-east-1ab", "us-east-1", offence{policy.RuleForm, 10}},
		{"us-east-1a\n", "us-east-1", offence{policy.RuleForm, 10}},
		{"us-east-1\u00e9", "us-east-1", offence{policy.RuleCharacter, 9}},
		{"us-east-1-", "us-east-1", offence{policy.RuleForm, 10}},
		{"us-east-1-2", "us-east-1", offence{policy.RuleForm, 11}},
		{"us-east-1-lax", "us-east-1", offence{policy.RuleForm, 13}},
		{"us-east-1-lax-", "us-east-1", offence{policy.RuleForm, 14}},
		{"us-east-1--1a", "us-east-1", offence{policy.RuleForm, 10}},
		{"us-east-1-lax--1a", "us-east-1", offence{policy.RuleForm, 14}},
		{"us-east-1-lax-a", "us-east-1", offence{policy.RuleForm, 14}},
		{"us-east-1-lax-1ab", "us-east-1", offence{policy.RuleForm, 15}},
		{"us-east-1-lax-1A", "us-east-1", offence{policy.RuleCharacter, 15}},
		{"us-east-1-lax-?", "us-east-1", offence{policy.RuleCharacter, 14}},

		{"us-east-1a", "", offence{policy.RuleEmpty, 0}},
		{"a", "", offence{policy.RuleEmpty, 0}},
		{"us-west-1bc", "us-west-1b", offence{policy.RuleForm, 9}}, // a zone given as the Region
	} {
		checkOffence(t, tt.zone+" in "+tt.region, policy.ValidateZone(tt.zone, tt.region), tt.want)
	}
}

func TestValidateAccountID(t *testing.T) {
	for id, want := range map[string]offence{
		"123456789012":       accepted,
		"000000000000":       accepted,
		"":                   {policy.RuleEmpty, 0},
		"12345678901":        {policy.RuleLength, 11},
		"1234567890123":      {policy.RuleLength, 12},
		"123456789012\n":     {policy.RuleLength, 12},
		"1234-5678-9012":     {policy.RuleCharacter, 4},
		" 12345678901":       {policy.RuleCharacter, 0},
		"12345678901a":       {policy.RuleCharacter, 11},
		"12345678901*":       {policy.RuleCharacter, 11},
		"+12345678901":       {policy.RuleCharacter, 0},
		"\uff11\uff12345678": {policy.RuleCharacter, 0},
		"1234567890\u0661":   {policy.RuleCharacter, 10}, // 12 bytes, 11 characters
		"all":                {policy.RuleCharacter, 0},
		"self":               {policy.RuleCharacter, 0},
	} {
		checkOffence(t, id, policy.ValidateAccountID(id), want)
	}
}
