package policy

import (
	"strings"
	"unicode/utf8"
)

// ValidateObjectKey checks the key of an S3 object by S3's own limits: 1 to 1,024 bytes of UTF-8. It is for objects that exist already, whose
// keys may hold anything: spaces, control characters, and the * and ? that policies expand. A key that fails names no object.
//
// Source: S3 user guide, "Naming Amazon S3 objects".
func ValidateObjectKey(key string) error { return checkObjectKey(key).in("S3 object key", key) }

func checkObjectKey(s string) fault {
	switch {
	case s == "":
		return empty()
	case len(s) > maxKey:
		return faultf(RuleLength, maxKey, "longer than %d bytes", maxKey)
	}
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			return faultf(RuleUTF8, i, "%s is not UTF-8", charAt(s, i))
		}
		i += size
	}
	return fault{}
}

// maxExportPrefix is the longest prefix of an RDS export. UNVERIFIED: AWS documents no length; others were refused 60 characters.
const maxExportPrefix = 59

// ValidateExportPrefix checks the prefix under which an RDS export to S3 writes: 1 to 59 letters, digits and the signs ! - _ . ' ( ) =, in parts
// between single slashes, without a slash at either end. An export may also have no prefix; that is not the same as an empty one here.
//
// UNVERIFIED: AWS documents neither the length nor the characters. That it must be shorter than 60 characters and have no colon is what others
// ran into; the characters are those that S3 calls safe, without the * that policies expand, and the = of folders such as dt=2026-11-20.
//
// Source: RDS API reference, StartExportTask (the parameter, without a rule); S3 user guide, "Naming Amazon S3 objects".
func ValidateExportPrefix(prefix string) error {
	return checkKeyPrefix(prefix, maxExportPrefix).in("RDS export prefix", prefix)
}

// checkKeyPrefix checks a prefix that a program chose, which policies are to name: only characters that mean themselves everywhere.
func checkKeyPrefix(s string, most int) fault {
	if s == "" {
		return empty()
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case i == most:
			return faultf(RuleLength, i, "longer than %d characters", most)
		case strings.IndexByte("*?${}", c) >= 0:
			return faultf(RuleWildcard, i, "%s has a meaning in policies", charAt(s, i))
		case c == '/' && (i == 0 || i+1 == len(s) || s[i-1] == '/'):
			return faultf(RuleForm, i, "a slash stands between two parts, once")
		case !isLetter(c) && !isDigit(c) && strings.IndexByte("!-_.'()=/", c) < 0:
			return badChar(s, i, "a letter, a digit or one of ! - _ . ' ( ) = /")
		}
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "." || part == ".." {
			return faultf(RuleForm, -1, "a part of dots alone means another place to some programs")
		}
	}
	return fault{}
}
