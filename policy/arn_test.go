package policy_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

func TestParseARN(t *testing.T) {
	for s, want := range map[string]policy.ARN{
		"arn:aws:rds:us-east-1:123456789012:db:orders":                    {"aws", "rds", "us-east-1", "123456789012", "db:orders"},
		"arn:aws:rds:us-east-1:123456789012:snapshot:rds:orders-2024":     {"aws", "rds", "us-east-1", "123456789012", "snapshot:rds:orders-2024"},
		"arn:aws-cn:rds:cn-north-1:123456789012:cluster-snapshot:x":       {"aws-cn", "rds", "cn-north-1", "123456789012", "cluster-snapshot:x"},
		"arn:aws:rds::123456789012:global-cluster:orders":                 {"aws", "rds", "", "123456789012", "global-cluster:orders"},
		"arn:aws:elasticache:eu-west-1:123456789012:snapshot:x":           {"aws", "elasticache", "eu-west-1", "123456789012", "snapshot:x"},
		"arn:aws:elasticache:eu-west-1:123456789012:serverlesssnapshot:x": {"aws", "elasticache", "eu-west-1", "123456789012", "serverlesssnapshot:x"},
		"arn:aws:elasticache::123456789012:globalreplicationgroup:x":      {"aws", "elasticache", "", "123456789012", "globalreplicationgroup:x"},
		"arn:aws:ec2:us-east-1::snapshot/snap-01234567":                   {"aws", "ec2", "us-east-1", "", "snapshot/snap-01234567"},
		"arn:aws:ec2:us-east-1:123456789012:snapshot/snap-01234567":       {"aws", "ec2", "us-east-1", "123456789012", "snapshot/snap-01234567"},
		"arn:aws:ec2:us-east-1::image/ami-01234567":                       {"aws", "ec2", "us-east-1", "", "image/ami-01234567"},
		"arn:aws:ec2:us-east-1:123456789012:volume/vol-01234567":          {"aws", "ec2", "us-east-1", "123456789012", "volume/vol-01234567"},
		"arn:aws:s3:::bucket":                                            {"aws", "s3", "", "", "bucket"},
		"arn:aws-us-gov:s3:::bucket/a/b:c/\u65e5.rdb":                    {"aws-us-gov", "s3", "", "", "bucket/a/b:c/\u65e5.rdb"},
		"arn:aws:s3:us-east-1:123456789012:accesspoint/x":                {"aws", "s3", "us-east-1", "123456789012", "accesspoint/x"},
		"arn:aws:s3::123456789012:accesspoint/x.mrap":                    {"aws", "s3", "", "123456789012", "accesspoint/x.mrap"},
		"arn:aws:iam::123456789012:root":                                 {"aws", "iam", "", "123456789012", "root"},
		"arn:aws-iso-b:iam::123456789012:role/path/name":                 {"aws-iso-b", "iam", "", "123456789012", "role/path/name"},
		"arn:aws:sts::123456789012:assumed-role/r/s":                     {"aws", "sts", "", "123456789012", "assumed-role/r/s"},
		"arn:aws:states:us-east-1:123456789012:stateMachine:x":           {"aws", "states", "us-east-1", "123456789012", "stateMachine:x"},
		"arn:aws:s3:::" + strings.Repeat("k", 2048-len("arn:aws:s3:::")): {"aws", "s3", "", "", strings.Repeat("k", 2048-len("arn:aws:s3:::"))},
	} {
		got, err := policy.ParseARN(s)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", s, err, d)
		}
		if back := got.String(); back != s {
			t.Errorf("%s came back as %s", s, back)
		}
	}
}

func TestParseARNRefuses(t *testing.T) {
	const good = "arn:aws:rds:us-east-1:123456789012:db:orders"
	for s, want := range map[string]offence{
		"":                        {policy.RuleEmpty, 0},
		"orders":                  {policy.RulePrefix, 0},
		"ARN:aws:s3:::b":          {policy.RulePrefix, 0},
		"xarn:aws:s3:::b":         {policy.RulePrefix, 0},
		"arn":                     {policy.RulePrefix, 0},
		"arn:":                    {policy.RuleForm, 4},
		"arn:aws":                 {policy.RuleForm, 7},
		"arn:aws:s3::":            {policy.RuleForm, 12},
		"arn:aws:s3:::":           {policy.RuleEmpty, 13},
		"arn::s3:::b":             {policy.RuleEmpty, 4},
		"arn:aws::::b":            {policy.RuleEmpty, 8},
		"arn:aws:S3:::b":          {policy.RuleCharacter, 8},
		"arn:aws:s_3:::b":         {policy.RuleCharacter, 9},
		"arn:amazon:s3:::b":       {policy.RulePartition, 4},
		"arn:aws-gov:s3:::b":      {policy.RulePartition, 4},
		"arn:aws:s3:us-east-1::b": {policy.RuleRegion, 11},
		"arn:aws:s3:us-east-1a:123456789012:accesspoint/x": {policy.RuleForm, 20},

		"arn:aws:rds::123456789012:db:orders":                      {policy.RuleEmpty, 12},
		"arn:aws:rds:us-east-1::db:orders":                         {policy.RuleEmpty, 22},
		"arn:aws:rds:us-east-1:123456789012:":                      {policy.RuleEmpty, 35},
		"arn:aws:rds:us-east-1:12345678901:db:orders":              {policy.RuleLength, 33},
		"arn:aws:rds:us-east-1:1234567890123:db:orders":            {policy.RuleLength, 34},
		"arn:aws:rds:us-east-1:12345678901x:db:orders":             {policy.RuleCharacter, 33},
		"arn:aws:rds:aws-global:123456789012:db:orders":            {policy.RulePartition, 12},
		"arn:aws:rds:us-gov-west-1:123456789012:db:orders":         {policy.RuleRegion, 12},
		"arn:aws:rds:us-iso-east-1:123456789012:db:orders":         {policy.RuleRegion, 12},
		"arn:aws-us-gov:rds:us-east-1:123456789012:db:orders":      {policy.RuleRegion, 19},
		"arn:aws:rds:us-east-1:123456789012:global-cluster:orders": {policy.RuleRegion, 12},
		"arn:aws:elasticache::123456789012:snapshot:x":             {policy.RuleEmpty, 20},
		"arn:aws:ec2:us-east-1::volume/vol-01234567":               {policy.RuleEmpty, 22},
		"arn:aws:ec2::123456789012:snapshot/snap-01234567":         {policy.RuleEmpty, 12},
		"arn:aws:iam:us-east-1:123456789012:root":                  {policy.RuleRegion, 12},
		"arn:aws:iam::aws:policy/AdministratorAccess":              {policy.RuleCharacter, 13},
		"arn:aws:iam:::root":                                       {policy.RuleEmpty, 13},

		"arn:*:s3:::b":                      {policy.RuleWildcard, 4},
		"arn:aws:*:::b":                     {policy.RuleWildcard, 8},
		"arn:aws:s3:::b/*":                  {policy.RuleWildcard, 15},
		"arn:aws:s3:::b?":                   {policy.RuleWildcard, 14},
		"arn:aws:rds:*:123456789012:db:o":   {policy.RuleWildcard, 12},
		"arn:aws:rds:us-east-1:*:db:o":      {policy.RuleWildcard, 22},
		"arn:aws:s3:::home/${aws:username}": {policy.RuleWildcard, 18},
		"arn:aws:s3:::home/}":               {policy.RuleWildcard, 18},
		"arn:aws:s3:::home/{":               {policy.RuleWildcard, 18},
		" " + good:                          {policy.RuleSpace, 0},
		good + " ":                          {policy.RuleSpace, len(good)},
		good + "\n":                         {policy.RuleSpace, len(good)},
		good + "\u00a0":                     {policy.RuleSpace, len(good)},
		good + "\u2028":                     {policy.RuleSpace, len(good)},
		good + "\x00":                       {policy.RuleCharacter, len(good)},
		good + "\u200b":                     {policy.RuleCharacter, len(good)},
		good + "\u202e":                     {policy.RuleCharacter, len(good)}, // turns the text around
		good + "\xff":                       {policy.RuleUTF8, len(good)},
		good + "\xef\xbf":                   {policy.RuleUTF8, len(good)},
		"arn:aws:s3:::" + strings.Repeat("k", 2048-12): {policy.RuleLength, 2048},
	} {
		a, err := policy.ParseARN(s)
		checkOffence(t, s, err, want)
		if a != (policy.ARN{}) {
			t.Errorf("%q is refused and yet gives %+v", s, a)
		}
	}
}

// Whatever is put together from good parts comes back the same.
func TestARNRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	const alphabet = "abzAZ09-_.:/=+,@\u00e9\u65e5"
	letters := []rune(alphabet)
	for range 20000 {
		region := pick("us-east-1", "ap-southeast-7", "us-gov-west-1", "cn-north-1", "eusc-de-east-1", "us-isof-south-1", "eu-isoe-west-1")
		p, err := policy.PartitionOf(region)
		if err != nil {
			t.Fatal(err)
		}
		var resource strings.Builder
		for range 1 + rnd.IntN(20) {
			resource.WriteRune(letters[rnd.IntN(len(letters))])
		}
		a := policy.ARN{Partition: p.ID, Region: region, Account: "123456789012", Resource: resource.String()}
		switch a.Service = pick("rds", "kms", "s3", "iam"); a.Service {
		case "iam":
			a.Region = ""
		case "s3":
			a.Region, a.Account = "", pick("", a.Account)
		}
		got, err := policy.ParseARN(a.String())
		if d := cmp.Diff(a, got); d != "" || err != nil {
			t.Fatalf("%s: %v (-want +got)\n%s", a, err, d)
		}
	}
}
