package policy_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/snapwarden/snapwarden/policy"
)

// The same rules as in the package, written a second time and as differently as
// can be. \z and not $, which would let a line end pass.
var (
	nameForm    = regexp.MustCompile(`\A[A-Za-z](-?[A-Za-z0-9])*\z`)
	accountForm = regexp.MustCompile(`\A[0-9]{12}\z`)
	idForm      = regexp.MustCompile(`\A(snap|vol|i|ami)-([0-9a-f]{8}|[0-9a-f]{17})\z`)
	keyForm     = regexp.MustCompile(`\Akey/([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})\z`)
	zoneForm    = regexp.MustCompile(`\A([a-z]|(-[a-z0-9]+)+-[0-9]+[a-z]?)\z`)
	serviceForm = regexp.MustCompile(`\A[a-z0-9-]+\z`)
	arnForm     = regexp.MustCompile(`(?s)\Aarn:([^:]*):([^:]*):([^:]*):([^:]*):(.*)\z`)
	unsafeForm  = regexp.MustCompile(`[*?${}\s\x00-\x1f\x7f]`)
	notOurs     = regexp.MustCompile(`\A[a-z]{2}-(gov|iso.*)-[0-9]+\z`)
	regionForms = map[string]*regexp.Regexp{
		"aws":        regexp.MustCompile(`\A(us|eu|ap|sa|ca|me|af|il|mx)-[a-z0-9]+-[1-9][0-9]*\z`),
		"aws-cn":     regexp.MustCompile(`\Acn-[a-z0-9]+-[1-9][0-9]*\z`),
		"aws-us-gov": regexp.MustCompile(`\Aus-gov-[a-z0-9]+-[1-9][0-9]*\z`),
		"aws-eusc":   regexp.MustCompile(`\Aeusc-(de)-[a-z0-9]+-[1-9][0-9]*\z`),
		"aws-iso":    regexp.MustCompile(`\Aus-iso-[a-z0-9]+-[1-9][0-9]*\z`),
		"aws-iso-b":  regexp.MustCompile(`\Aus-isob-[a-z0-9]+-[1-9][0-9]*\z`),
		"aws-iso-e":  regexp.MustCompile(`\Aeu-isoe-[a-z0-9]+-[1-9][0-9]*\z`),
		"aws-iso-f":  regexp.MustCompile(`\Aus-isof-[a-z0-9]+-[1-9][0-9]*\z`),
	}
	// As published, without our tightening: what passes here must pass there.
	publishedForms = map[string]*regexp.Regexp{
		"aws":        regexp.MustCompile(`^(us|eu|ap|sa|ca|me|af|il|mx)\-\w+\-\d+$`),
		"aws-cn":     regexp.MustCompile(`^cn\-\w+\-\d+$`),
		"aws-us-gov": regexp.MustCompile(`^us\-gov\-\w+\-\d+$`),
		"aws-eusc":   regexp.MustCompile(`^eusc\-(de)\-\w+\-\d+$`),
		"aws-iso":    regexp.MustCompile(`^us\-iso\-\w+\-\d+$`),
		"aws-iso-b":  regexp.MustCompile(`^us\-isob\-\w+\-\d+$`),
		"aws-iso-e":  regexp.MustCompile(`^eu\-isoe\-\w+\-\d+$`),
		"aws-iso-f":  regexp.MustCompile(`^us\-isof\-\w+\-\d+$`),
	}
)

// regionPartition is what PartitionOf should answer, "" for an error.
func regionPartition(t *testing.T, s string) string {
	t.Helper()
	found := ""
	for id, form := range regionForms {
		if !form.MatchString(s) || len(s) > 63 || id == "aws" && notOurs.MatchString(s) {
			continue
		}
		if found != "" {
			t.Fatalf("%q is of %s and of %s", s, found, id)
		}
		found = id
	}
	return found
}

// checkFuzzed checks that an answer is the expected one and, if it is an error,
// that the error is complete, points into the value and is safe to print.
func checkFuzzed(t *testing.T, what, s string, err error, good bool) {
	t.Helper()
	if (err == nil) != good {
		t.Fatalf("%s %q: got %v, expected good = %v", what, s, err, good)
	}
	if err == nil {
		return
	}
	if o := offenceOf(t, err); o.Offset < 0 || o.Offset > len(s) {
		t.Fatalf("%s %q: offset %d", what, s, o.Offset)
	}
	for _, r := range err.Error() {
		if r < ' ' || r > '~' {
			t.Fatalf("%s %q: %q in the message", what, s, r)
		}
	}
}

func FuzzRegion(f *testing.F) {
	for _, word := range strings.Fields(strings.ReplaceAll(regions, "+", "")) {
		f.Add(word)
		f.Add(word + "a")
	}
	for _, s := range []string{"", "us-gov-1", "us-isox-1", "us-east-01", "us--1", "aws-global", "us-east-1-lax-1a", "us-east-1\n", "us-\u0435ast-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := regionPartition(t, s)
		p, err := policy.PartitionOf(s)
		checkFuzzed(t, "Region", s, err, want != "")
		if p.ID != want {
			t.Fatalf("%q: partition %q, want %q", s, p.ID, want)
		}
		if (policy.ValidateRegion(s) == nil) != (want != "") {
			t.Fatalf("%q: ValidateRegion and PartitionOf differ", s)
		}
		if want != "" && !publishedForms[want].MatchString(s) {
			t.Fatalf("%q is of %s here and not for AWS", s, want)
		}
		if policy.OptIn(s) && want != "aws" {
			t.Fatalf("%q has no opt-in", s)
		}
		for _, region := range []string{"us-east-1", "us-gov-west-1"} {
			tail, found := strings.CutPrefix(s, region)
			checkFuzzed(t, "zone", s, policy.ValidateZone(s, region), found && zoneForm.MatchString(tail))
			checkFuzzed(t, "zone", region+s, policy.ValidateZone(region+s, region), zoneForm.MatchString(s))
		}
	})
}

func FuzzName(f *testing.F) {
	for _, s := range []string{
		"", "a", "orders-2024-01-31", "my--snap", "a-", "-a", "1a", "rds:orders-1", "awsbackup:job-1", "automatic.orders-1",
		"RDS:x", "a\n", "a\x00", "\u0430bc", "ab\u212a", "${x}", "snap-01234567", "vol-0123456789abcdef0", "i-0123456g",
		"ami-0123456789abcdef", "123456789012", strings.Repeat("a", 40), strings.Repeat("a", 64), strings.Repeat("a-", 127) + "a",
		strings.Repeat("a", 256), "aws:x", "Aws:", "k\xff",
	} {
		f.Add(s)
	}
	validators := nameValidators()
	f.Fuzz(func(t *testing.T, s string) {
		for _, v := range validators {
			good := nameForm.MatchString(s) && len(s) <= v.max
			checkFuzzed(t, v.what, s, v.validate(s), good)
			if good && unsafeForm.MatchString(s) {
				t.Fatalf("%q is good and unsafe", s)
			}
			if good && v.validate(policy.CanonicalName(s)) != nil {
				t.Fatalf("%q is good and its canonical name is not", s)
			}
		}
		checkFuzzed(t, "account", s, policy.ValidateAccountID(s), accountForm.MatchString(s))
		for prefix, validate := range map[string]func(string) error{
			"snap-": policy.ValidateSnapshotID, "vol-": policy.ValidateVolumeID,
			"i-": policy.ValidateInstanceID, "ami-": policy.ValidateImageID,
		} {
			checkFuzzed(t, prefix, s, validate(s), strings.HasPrefix(s, prefix) && idForm.MatchString(s))
			checkFuzzed(t, prefix, prefix+s, validate(prefix+s), idForm.MatchString(prefix+s))
		}

		c := policy.CanonicalName(s)
		if len(c) != len(s) || policy.CanonicalName(c) != c || strings.ContainsAny(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
			t.Fatalf("canonical name %q of %q", c, s)
		}
		if isASCII(s) && c != strings.ToLower(s) {
			t.Fatalf("canonical name %q of %q", c, s)
		}

		n := utf8.RuneCountInString(s)
		reserved := len(s) >= 4 && c[:4] == "aws:"
		good := utf8.ValidString(s) && n >= 1 && n <= 128 && !reserved
		if err := policy.ValidateTags(map[string]string{s: ""}); (err == nil) != good {
			t.Fatalf("tag key %q: %v", s, err)
		}
		good = utf8.ValidString(s) && n <= 256
		if err := policy.ValidateTags(map[string]string{"k": s}); (err == nil) != good {
			t.Fatalf("tag value %q: %v", s, err)
		}
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) < 0
}

func FuzzARN(f *testing.F) {
	for _, s := range []string{
		"", "arn:", "arn:aws:s3:::b", "arn:aws:s3:::b/*", "arn:aws:s3:us-east-1:123456789012:accesspoint/x",
		"arn:aws:rds:us-east-1:123456789012:snapshot:rds:x", "arn:aws-cn:rds:us-east-1:123456789012:db:x",
		"arn:aws:rds::123456789012:global-cluster:x", "arn:aws:ec2:us-east-1::snapshot/snap-01234567",
		"arn:aws:iam::123456789012:root", "arn:aws:iam::aws:policy/x", "arn:aws:iam:us-east-1:123456789012:root",
		"arn:aws:kms:us-east-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
		"arn:aws:kms:us-east-2:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
		"arn:aws:kms:us-east-2:111122223333:alias/x", "arn:aws:elasticache::123456789012:globalreplicationgroup:x",
		"arn:aws:s3:::b\u00a0", "arn:aws:s3:::b\xff", "arn:aws:s3:::\ufffd", "arn:aws:s3:::${x}", "arn:aws:sts::123456789012:x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := policy.ParseARN(s)
		want, good := arnParts(t, s)
		checkFuzzed(t, "ARN", s, err, good)
		if a != want {
			t.Fatalf("%q: got %+v, want %+v", s, a, want)
		}
		if good {
			if a.String() != s {
				t.Fatalf("%q came back as %q", s, a.String())
			}
			if unsafeForm.MatchString(s) {
				t.Fatalf("%q is good and unsafe", s)
			}
		}
		key := good && a.Service == "kms" && keyForm.MatchString(a.Resource)
		checkFuzzed(t, "key", s, policy.ValidateKMSKeyARN(s), key)

		// And the other way: any parts that make an ARN make this ARN, unless a
		// colon moved from one part into another.
		parts := policy.ARN{Partition: "aws", Service: "rds", Region: "us-east-1", Account: "123456789012", Resource: s}
		if back, err := policy.ParseARN(parts.String()); err == nil && back != parts {
			t.Fatalf("%+v came back as %+v", parts, back)
		}
	})
}

// arnParts is what ParseARN should answer.
func arnParts(t *testing.T, s string) (policy.ARN, bool) {
	t.Helper()
	m := arnForm.FindStringSubmatch(s)
	if m == nil || len(s) > 2048 || !utf8.ValidString(s) || unsafeForm.MatchString(s) ||
		strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return policy.ARN{}, false
	}
	a := policy.ARN{Partition: m[1], Service: m[2], Region: m[3], Account: m[4], Resource: m[5]}
	if suffixes[a.Partition] == "" || !serviceForm.MatchString(a.Service) || a.Resource == "" {
		return policy.ARN{}, false
	}
	if a.Region != "" && regionPartition(t, a.Region) != a.Partition {
		return policy.ARN{}, false
	}
	if a.Account != "" && !accountForm.MatchString(a.Account) {
		return policy.ARN{}, false
	}
	// Which of Region and account are there: R, A, both or neither.
	there := ""
	if a.Region != "" {
		there += "R"
	}
	if a.Account != "" {
		there += "A"
	}
	kind, _, _ := strings.Cut(strings.ReplaceAll(a.Resource, ":", "/")+"/", "/")
	allowed := []string{"RA"}
	switch a.Service + " " + kind {
	case "rds global-cluster":
		if strings.HasPrefix(a.Resource, "global-cluster:") {
			allowed = []string{"A"}
		}
	case "elasticache globalreplicationgroup":
		if strings.HasPrefix(a.Resource, "globalreplicationgroup:") {
			allowed = []string{"A"}
		}
	case "ec2 snapshot", "ec2 image":
		if strings.HasPrefix(a.Resource, kind+"/") {
			allowed = []string{"RA", "R"}
		}
	}
	switch a.Service {
	case "s3":
		allowed = []string{"", "A", "RA"}
	case "iam", "sts", "organizations":
		allowed = []string{"A"}
	}
	for _, ok := range allowed {
		if there == ok {
			return a, true
		}
	}
	return policy.ARN{}, false
}
