package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The rules that only the names of buckets and of what is in them can break.
const (
	RuleLabel          Rule = "label"           // a label, between dots, that does not begin and end with a letter or digit
	RuleAddress        Rule = "ip-address"      // has the form of an IPv4 address
	RuleReservedSuffix Rule = "reserved-suffix" // ends with what AWS keeps for itself
)

// ValidateBucketName checks the name of a general purpose bucket that is to be made, or that ElastiCache is to write to: 3 to 63 small letters,
// digits, hyphens and dots; labels between the dots that begin and end with a letter or digit; not an IPv4 address; without the prefixes and
// suffixes that S3 keeps for itself. The suffix -an is good only in the form that S3 gives it in an account's regional namespace:
// <prefix>-<account>-<region>-an.
//
// This is what S3 and ElastiCache both accept. S3 alone takes a hyphen beside a dot (a-.b), and ElastiCache names no reserved prefixes. Do not
// check existing buckets with it that ElastiCache has nothing to do with: those made in us-east-1 before March 2018 may have up to 255
// characters, capital letters and underscores. A name with dots is good here, but Transfer Acceleration refuses it, and so does the
// certificate of virtual-hosted requests.
//
// Source: S3 user guide, "General purpose bucket naming rules" and "Namespaces for general purpose buckets"; ElastiCache user guide,
// "Exporting a backup", step 1.
func ValidateBucketName(name string) error {
	return checkBucket(name).in("S3 bucket name", name)
}

const (
	minBucket = 3
	maxBucket = 63
)

func checkBucket(s string) fault {
	if s == "" {
		return empty()
	}
	dots, others := 0, false
	// The differences of bytes wrap around, so that one comparison does for both ends of a range.
	for i := range len(s[:min(len(s), maxBucket)]) {
		c := s[i]
		switch {
		case c-'a' < 26:
			others = true
		case c-'0' < 10:
		case c != '-' && c != '.':
			return badChar(s, i, "a small letter, a digit, a hyphen or a dot")
		case i == 0 || i+1 == len(s) || s[i-1] == '.' || c == '.' && s[i-1] == '-':
			return faultf(RuleLabel, i, "a label begins and ends with a letter or digit, and is not empty")
		case c == '.':
			dots++
		default:
			others = true
		}
	}
	switch {
	case len(s) > maxBucket:
		return faultf(RuleLength, maxBucket, "longer than %d characters", maxBucket)
	case len(s) < minBucket:
		return faultf(RuleLength, len(s), "shorter than %d characters", minBucket)
	case dots == 3 && !others && isIPv4(s):
		return faultf(RuleAddress, 0, "has the form of an IPv4 address")
	}
	return checkReservedBucket(s)
}

// isIPv4 reports whether four numbers of digits only, with dots between them, are an address: at most three digits each. Larger numbers than
// 255 are refused as well, because S3 says "formatted as an IP address".
func isIPv4(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if len(part) > 3 {
			return false
		}
	}
	return true
}

// checkReservedBucket looks for what S3 keeps for itself. It tells by the first and last letters most names apart from those.
func checkReservedBucket(s string) fault {
	switch s[0] {
	case 'x', 's', 'a':
		for _, p := range [...]string{"xn--", "sthree-", "amzn-s3-demo-"} {
			if strings.HasPrefix(s, p) {
				return faultf(RuleReserved, 0, "begins with the reserved prefix %q", p)
			}
		}
	}
	switch s[len(s)-1] {
	case 's', '3', 'p':
		for _, p := range [...]string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
			if strings.HasSuffix(s, p) {
				return faultf(RuleReservedSuffix, len(s)-len(p), "ends with the reserved suffix %q", p)
			}
		}
	case 'n':
		if strings.HasSuffix(s, "-an") && !inRegionalNamespace(s) {
			return faultf(RuleReservedSuffix, len(s)-3, `ends with "-an", which belongs to names of the form <prefix>-<account>-<region>-an`)
		}
	}
	return fault{}
}

// inRegionalNamespace reports whether s is <prefix>-<account>-<region>-an.
func inRegionalNamespace(s string) bool {
	s = strings.TrimSuffix(s, "-an")
	for i := 1; i+accountDigits+2 < len(s); i++ {
		if s[i] == '-' && s[i+accountDigits+1] == '-' && !checkAccount(s[i+1:i+accountDigits+1]).bad() && ValidateRegion(s[i+accountDigits+2:]) == nil {
			return true
		}
	}
	return false
}

// Limits of an export's name.
const (
	maxExportName = 1000
	maxKey        = 1024
	// exportSuffix is the longest that is put behind a name to make a key: ElastiCache's -0001.rdb is shorter than what the library's manifest has.
	exportSuffix = len(".manifest.json")
)

// ValidateExportName checks the name that an ElastiCache export to S3 is to have: 1 to 1,000 characters of UTF-8 text, in at most 1,010 bytes.
// ElastiCache makes one object of each shard and calls them by [ExportKey], and the library writes a manifest beside them, whose key is the name with
// .manifest.json: it must fit into the 1,024 bytes of a key.
//
// More is refused than AWS refuses: control characters, white space and the wildcards of policies, because nothing good is named so; capital
// letters of any alphabet, because ElastiCache keeps names in lower case and the keys would not be those that were asked for (whether they are, and
// which letters it changes, is UNVERIFIED); the replacement character, which stands where text was damaged; a comma, because a cluster can not be
// seeded from an object with a comma in its key; a slash, because what ElastiCache makes of it is not documented (UNVERIFIED).
//
// Source: ElastiCache user guide, "Exporting a backup", step 3; S3 user guide, "Naming Amazon S3 objects"; ElastiCache API reference,
// CreateReplicationGroup, SnapshotArns.
func ValidateExportName(name string) error {
	return checkExportName(name).in("ElastiCache export name", name)
}

func checkExportName(s string) fault {
	if s == "" {
		return empty()
	}
	chars := 0
	for i := 0; i < len(s); chars++ {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case chars == maxExportName:
			return faultf(RuleLength, i, "longer than %d characters", maxExportName)
		case i+size > maxKey-exportSuffix:
			return faultf(RuleLength, i, "with .manifest.json it would be longer than the %d bytes of a key", maxKey)
		case r == utf8.RuneError && size == 1:
			return faultf(RuleUTF8, i, "%s is not UTF-8", charAt(s, i))
		case strings.IndexByte("*?${}", s[i]) >= 0:
			return faultf(RuleWildcard, i, "%s has a meaning in policies", charAt(s, i))
		case unicode.IsSpace(r):
			return faultf(RuleSpace, i, "white space")
		case unicode.ToLower(r) != r:
			return faultf(RuleCharacter, i, "%s is a capital letter, and ElastiCache keeps small ones", charAt(s, i))
		case unicode.IsControl(r), r == utf8.RuneError, r == ',' || r == '/' || r == '\\':
			return faultf(RuleCharacter, i, "%s is not a small letter, a digit or a plain sign", charAt(s, i))
		}
		i += size
	}
	if c := s[0]; c == '.' || c == '-' {
		return faultf(RuleCharacter, 0, "begins with %s", charAt(s, 0))
	}
	return fault{}
}

// ExportKey gives the key of the object that an export called name makes of a shard: nightly-0001.rdb for shard "0001". Shards are named by
// their node groups, four digits; a cluster without shards has "0001".
//
// Source: ElastiCache user guide, "Exporting a backup" (which shows -0001 only; the numbers of further shards are inferred from the ids of
// node groups).
func ExportKey(name, shard string) string { return name + "-" + shard + ".rdb" }
