package policy

import "fmt"

// Limits of tags, in Unicode characters and per resource.
const (
	maxTagKey   = 128
	maxTagValue = 256
	maxTags     = 50
)

// prefixAWS begins the keys of tags that only AWS may set, in any case.
const prefixAWS = "aws:"

// ValidateTags checks a set of tags for a snapshot: at most 50, keys of 1 to 128
// and values of 0 to 256 Unicode characters of UTF-8, and no key that begins with
// aws: in whatever case. Tags copied from an existing resource may well have such
// keys and must lose them first.
//
// The error names the offending key; where several are wrong, it is the first of
// them in byte order. Values are never part of an error.
//
// These are the rules that all snapshot services share. Each has more: RDS takes
// only letters, digits, white space and _ . : / = + - @ and reserves rds: as well,
// ElastiCache the same within ASCII, while EC2 takes any character. One page of
// EC2's API reference gives 127 for keys, all others 128.
//
// Source: EC2 user guide, "Tag your Amazon EC2 resources"; RDS user guide,
// "Tagging Amazon RDS resources"; ElastiCache user guide, "Tagging your
// ElastiCache resources".
func ValidateTags(tags map[string]string) error {
	if n := len(tags); n > maxTags {
		return &NameError{
			What: "tags", Rule: RuleCount, Offset: -1,
			Detail: fmt.Sprintf("%d of them, at most %d are allowed", n, maxTags),
		}
	}
	bad, found := "", false
	for k, v := range tags {
		// Maps have no order, and an error that changes from run to run would be
		// hard to work with.
		if (!found || k < bad) && (checkTagKey(k).bad() || checkTagValue(v).bad()) {
			bad, found = k, true
		}
	}
	if !found {
		return nil
	}
	if f := checkTagKey(bad); f.bad() {
		return f.in("tag key", bad)
	}
	f := checkTagValue(tags[bad])
	return &NameError{What: "value of tag " + show(bad), Rule: f.rule, Offset: f.offset, Detail: f.detail}
}

func checkTagKey(key string) fault {
	switch {
	case key == "":
		return empty()
	case hasPrefixFold(key, prefixAWS):
		return faultf(RuleReserved, 0, "begins with the reserved prefix %q", prefixAWS)
	}
	return checkTagText(key, maxTagKey)
}

func checkTagValue(value string) fault { return checkTagText(value, maxTagValue) }

// checkTagText checks that s is UTF-8 of at most max characters.
func checkTagText(s string, max int) fault {
	n := 0
	for i := range s {
		if n == max {
			return faultf(RuleLength, i, "longer than %d characters", max)
		}
		if !validRune(s, i) {
			return faultf(RuleUTF8, i, "%s is not UTF-8", charAt(s, i))
		}
		n++
	}
	return fault{}
}
