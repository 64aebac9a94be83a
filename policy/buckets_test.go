package policy_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export"
)

func TestValidateBucketName(t *testing.T) {
	long := strings.Repeat("a", 63)
	for name, want := range map[string]offence{
		"abc": accepted, "my-exports": accepted, "a.b.c": accepted, "1st": accepted, "123": accepted, "a--b": accepted, "192.168.5.4.example": accepted,
		"192.168.5": accepted, "a92.168.5.4": accepted, "1.2.3.4.5": accepted, "1921.168.5.4": accepted, "xn-a": accepted, "sthre-x": accepted,
		"amzn-s3-demo": accepted, "x-s3alias-x": accepted, "plan": accepted, "ol-s3": accepted, long: accepted,
		"exports-123456789012-eu-west-1-an": accepted, "a-b-123456789012-us-gov-west-1-an": accepted,

		"": {policy.RuleEmpty, 0}, "ab": {policy.RuleLength, 2}, long + "a": {policy.RuleLength, 63}, "a": {policy.RuleLength, 1},
		"My-exports": {policy.RuleCharacter, 0}, "my_exports": {policy.RuleCharacter, 2}, "my exports": {policy.RuleCharacter, 2}, "b\u00fccher": {policy.RuleCharacter, 1},
		"exports*": {policy.RuleCharacter, 7}, "${aws}": {policy.RuleCharacter, 0}, "a/b": {policy.RuleCharacter, 1}, "arn:aws:s3:::b": {policy.RuleCharacter, 3},
		"-abc": {policy.RuleLabel, 0}, "abc-": {policy.RuleLabel, 3}, ".abc": {policy.RuleLabel, 0}, "abc.": {policy.RuleLabel, 3},
		"a..b": {policy.RuleLabel, 2}, "a-.b": {policy.RuleLabel, 2}, "a.-b": {policy.RuleLabel, 2},
		"192.168.5.4": {policy.RuleAddress, 0}, "999.999.999.999": {policy.RuleAddress, 0}, "1.2.3.4": {policy.RuleAddress, 0},
		"xn--bcher-kva": {policy.RuleReserved, 0}, "sthree-x": {policy.RuleReserved, 0}, "amzn-s3-demo-bucket": {policy.RuleReserved, 0},
		"a-s3alias": {policy.RuleReservedSuffix, 1}, "x--ol-s3": {policy.RuleReservedSuffix, 1}, "ab.mrap": {policy.RuleReservedSuffix, 2},
		"x--x-s3": {policy.RuleReservedSuffix, 1}, "x--table-s3": {policy.RuleReservedSuffix, 1},
		"foo-an": {policy.RuleReservedSuffix, 3}, "a-12345678901-eu-west-1-an": {policy.RuleReservedSuffix, 23}, "a-123456789012-nowhere-an": {policy.RuleReservedSuffix, 22},
		"123456789012-eu-west-1-an": {policy.RuleReservedSuffix, 22},
	} {
		checkOffence(t, name, policy.ValidateBucketName(name), want)
	}
}

func TestValidateExportName(t *testing.T) {
	for name, want := range map[string]offence{
		"nightly": accepted, "my-exported-backup": accepted, "a": accepted, "2026-11-20.orders": accepted, "b\u00fccher": accepted, "a_b(c)": accepted,
		strings.Repeat("a", 1000): accepted, strings.Repeat("\u00fc", 505): accepted, "stra\u00dfe-\u4e2d-\U0001d400": accepted,

		"": {policy.RuleEmpty, 0}, strings.Repeat("a", 1001): {policy.RuleLength, 1000}, strings.Repeat("\u00fc", 506): {policy.RuleLength, 1010}, strings.Repeat("\u00fc", 504) + "\u20ac": {policy.RuleLength, 1008},
		"\u00e9t\u00c9": {policy.RuleCharacter, 3}, "a\u0130": {policy.RuleCharacter, 1}, "\u01c5": {policy.RuleCharacter, 0}, "\u042f": {policy.RuleCharacter, 0}, "a\ufffdb": {policy.RuleCharacter, 1},
		"Nightly": {policy.RuleCharacter, 0}, "a/b": {policy.RuleCharacter, 1}, "a,b": {policy.RuleCharacter, 1}, "a\\b": {policy.RuleCharacter, 1},
		"a b": {policy.RuleSpace, 1}, "a\u2003b": {policy.RuleSpace, 1}, "a\x00": {policy.RuleCharacter, 1}, "a\u0085": {policy.RuleSpace, 1}, "a\u009f": {policy.RuleCharacter, 1},
		"a*": {policy.RuleWildcard, 1}, "a?": {policy.RuleWildcard, 1}, "${a": {policy.RuleWildcard, 0}, "a}": {policy.RuleWildcard, 1},
		"a\xff": {policy.RuleUTF8, 1}, ".a": {policy.RuleCharacter, 0}, "-a": {policy.RuleCharacter, 0},
	} {
		checkOffence(t, name, policy.ValidateExportName(name), want)
	}
}

// The longest name that passes leaves room for every key that is made of it, and none for more.
func TestExportNameFitsKeys(t *testing.T) {
	for _, name := range []string{strings.Repeat("a", 1000), strings.Repeat("\u00e9", 505), strings.Repeat("\u00e9", 10) + strings.Repeat("a", 990)} {
		if err := policy.ValidateExportName(name); err != nil {
			t.Error(err)
		}
		for _, key := range []string{policy.ExportKey(name, "0001"), s3export.ManifestKey(name)} {
			if len(key) > 1024 {
				t.Errorf("a key of %d bytes", len(key))
			}
		}
	}
	if n := len(s3export.ManifestKey(strings.Repeat("\u00e9", 505))); n != 1024 {
		t.Errorf("%d bytes", n)
	}
}

func TestExportKey(t *testing.T) {
	if got := policy.ExportKey("my-exported-backup", "0001"); got != "my-exported-backup-0001.rdb" {
		t.Error(got)
	}
}

// The rules of bucket names once more, as they stand in the guides and without regard to speed.
var (
	bucketForm    = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\z`)
	addressForm   = regexp.MustCompile(`\A\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\z`)
	reservedForm  = regexp.MustCompile(`\A(xn--|sthree-|amzn-s3-demo-)|(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)\z`)
	namespaceForm = regexp.MustCompile(`\A.+-[0-9]{12}-([a-z]+(-[a-z0-9]+)+)-an\z`)
)

func bucketIsGood(t *testing.T, s string) bool {
	if len(s) < 3 || len(s) > 63 || !bucketForm.MatchString(s) || addressForm.MatchString(s) || reservedForm.MatchString(s) {
		return false
	}
	if !strings.HasSuffix(s, "-an") {
		return true
	}
	// Any split will do that leaves a Region.
	for i := range s {
		if m := namespaceForm.FindStringSubmatch(s[i:]); i > 0 && s[i-1] != 0 && m != nil && regionPartition(t, m[1]) != "" {
			return true
		}
	}
	m := namespaceForm.FindStringSubmatch(s)
	return m != nil && regionPartition(t, m[1]) != ""
}

func FuzzBucketName(f *testing.F) {
	for _, s := range []string{"my-exports", "a..b", "192.168.5.4", "xn--a", "x--x-s3", "exports-123456789012-eu-west-1-an", "A", "a-.b", ".mrap"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := policy.ValidateBucketName(s)
		if good := bucketIsGood(t, s); good != (err == nil) {
			t.Fatalf("%q: %v, but the plain rules say %v", s, err, good)
		}
		if _, ip := netip.ParseAddr(s); ip == nil && err == nil && strings.Contains(s, ".") {
			t.Fatalf("%q is an address", s)
		}
		if o := offenceOf(t, err); o.Offset < 0 || o.Offset > len(s) {
			t.Fatalf("%q: offset %d", s, o.Offset)
		}
	})
}

func FuzzExportName(f *testing.F) {
	for _, s := range []string{"nightly", "a/b", "b\u00fccher", "a\xff", "${a}", strings.Repeat("a", 1001), "\u00c9", "a\ufffd", "\u0130", strings.Repeat("\u00e9", 506)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		good := s != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= 1000 && len(s3export.ManifestKey(s)) <= 1024 &&
			!strings.ContainsAny(s, "*?${},/\\\ufffd") && strings.ToLower(s) == s && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) &&
			s[0] != '.' && s[0] != '-'
		if err := policy.ValidateExportName(s); good != (err == nil) {
			t.Fatalf("%q: %v", s, err)
		}
	})
}
