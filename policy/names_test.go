package policy_test

import (
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/policy"
)

// named is a validator of the names that share one rule.
type named struct {
	what     string
	max      int
	validate func(string) error
	reserved []string
}

func nameValidators() []named {
	rds := []string{"rds:", "awsbackup:"}
	cache := []string{"automatic."}
	return []named{
		{"RDS instance identifier", 63, policy.ValidateRDSInstanceID, nil},
		{"RDS snapshot identifier", 255, policy.ValidateRDSSnapshotID, rds},
		{"RDS cluster identifier", 63, policy.ValidateRDSClusterID, nil},
		{"RDS cluster snapshot identifier", 63, policy.ValidateRDSClusterSnapshotID, rds},
		{"RDS export task identifier", 60, policy.ValidateExportTaskID, nil},
		{"ElastiCache cluster id", 50, policy.ValidateCacheClusterID, nil},
		{"ElastiCache replication group id", 40, policy.ValidateReplicationGroupID, nil},
		{"ElastiCache snapshot name", 40, policy.ValidateCacheSnapshotName, cache},
		{"ElastiCache serverless snapshot name", 255, policy.ValidateServerlessSnapshotName, cache},
	}
}

func TestNames(t *testing.T) {
	for _, v := range nameValidators() {
		t.Run(v.what, func(t *testing.T) {
			pad := strings.Repeat("a", v.max)
			for name, want := range map[string]offence{
				"a":                     accepted,
				"Z":                     accepted,
				"orders-2024-01-31":     accepted,
				"A1-b2-C3":              accepted,
				pad:                     accepted,
				pad[:v.max-2] + "-1":    accepted,
				pad + "a":               {policy.RuleLength, v.max},
				pad + "-":               {policy.RuleLength, v.max},
				pad + "\u00e9":          {policy.RuleLength, v.max},
				pad[1:] + "\u00e9":      {policy.RuleCharacter, v.max - 1},
				pad[1:] + "-":           {policy.RuleTrailingHyphen, v.max - 1},
				pad[1:] + "--":          {policy.RuleDoubleHyphen, v.max - 1},
				"":                      {policy.RuleEmpty, 0},
				"1a":                    {policy.RuleFirstLetter, 0},
				"-":                     {policy.RuleFirstLetter, 0},
				"-a":                    {policy.RuleFirstLetter, 0},
				"_a":                    {policy.RuleCharacter, 0},
				"a-":                    {policy.RuleTrailingHyphen, 1},
				"a--b":                  {policy.RuleDoubleHyphen, 1},
				"a-b--":                 {policy.RuleDoubleHyphen, 3},
				"a--b_":                 {policy.RuleDoubleHyphen, 1},
				"a_b--c":                {policy.RuleCharacter, 1},
				"a b":                   {policy.RuleCharacter, 1},
				" a":                    {policy.RuleCharacter, 0},
				"a ":                    {policy.RuleCharacter, 1},
				"a\n":                   {policy.RuleCharacter, 1},
				"a\r\nX-Amz-Acl: x":     {policy.RuleCharacter, 1},
				"a\x00":                 {policy.RuleCharacter, 1},
				"a\x7f":                 {policy.RuleCharacter, 1},
				"a\xff":                 {policy.RuleCharacter, 1},
				"\u0430bc":              {policy.RuleCharacter, 0}, // a Cyrillic look-alike
				"ab\u212a":              {policy.RuleCharacter, 2}, // the Kelvin sign folds to k
				"a\u200b":               {policy.RuleCharacter, 1},
				"a\u2010b":              {policy.RuleCharacter, 1}, // a hyphen, but not AWS's
				"a\u0661":               {policy.RuleCharacter, 1},
				"a*":                    {policy.RuleCharacter, 1},
				"a?":                    {policy.RuleCharacter, 1},
				"${aws:username}":       {policy.RuleCharacter, 0},
				"a/../b":                {policy.RuleCharacter, 1},
				"a&Action=DeleteIt":     {policy.RuleCharacter, 1},
				`a","Effect":"Allow`:    {policy.RuleCharacter, 1},
				"a:b":                   {policy.RuleCharacter, 1},
				"a.b":                   {policy.RuleCharacter, 1},
				"arn:aws:rds:us-east-1": {policy.RuleCharacter, 3},
			} {
				err := v.validate(name)
				checkOffence(t, name, err, want)
				if err != nil && !strings.HasPrefix(err.Error(), v.what+` "`) {
					t.Errorf("%v does not say that it is about a %s", err, v.what)
				}
			}
			for _, p := range v.reserved {
				for _, name := range []string{p, p + "orders-2024", strings.ToUpper(p) + "x"} {
					checkOffence(t, name, v.validate(name), offence{policy.RuleReserved, 0})
				}
			}
		})
	}
}

func TestNamesThatAWSMakes(t *testing.T) {
	type is struct{ rds, backup, cache bool }
	for name, want := range map[string]is{
		"rds:orders-2024-01-31-03-15":       {rds: true},
		"RDS:orders":                        {rds: true},
		"rds:":                              {},
		"rds":                               {},
		"rds-orders":                        {},
		"xrds:orders":                       {},
		"awsbackup:job-1a2b":                {backup: true},
		"AwsBackup:job-1a2b":                {backup: true},
		"awsbackup:":                        {},
		"awsbackup-job":                     {},
		"automatic.orders-2016-06-27-03-15": {cache: true},
		"Automatic.orders":                  {cache: true},
		"automatic.":                        {},
		"automatic-orders":                  {},
		"automaticXorders":                  {},
		"":                                  {},
	} {
		got := is{policy.IsAutomatedRDSSnapshotID(name), policy.IsAWSBackupSnapshotID(name), policy.IsAutomaticCacheSnapshotName(name)}
		if got != want {
			t.Errorf("%q: got %+v, want %+v", name, got, want)
		}
	}
}

func TestCanonicalName(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		"orders-1":                "orders-1",
		"Orders-1":                "orders-1",
		"orderS":                  "orders",
		"a-Z":                     "a-z",
		"AZaz[@`{09-":             "azaz[@`{09-",
		"\u00c9T\u00c9":           "\u00c9t\u00c9",
		"\u212aelvin":             "\u212aelvin", // strings.ToLower makes it kelvin
		"\u0130stanbul":           "\u0130stanbul",
		"A\xffB":                  "a\xffb",
		"RDS:Orders-2024-01-31-X": "rds:orders-2024-01-31-x",
	} {
		if got := policy.CanonicalName(in); got != want {
			t.Errorf("CanonicalName(%q) = %q, want %q", in, got, want)
		}
		if again := policy.CanonicalName(want); again != want {
			t.Errorf("CanonicalName(%q) = %q: not stable", want, again)
		}
	}
}
