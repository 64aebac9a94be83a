package policy

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Rule names the rule that a value broke. The constants are stable: programs may
// branch on them, and new ones may be added.
type Rule string

// The rules that the functions of this package check.
const (
	RuleEmpty          Rule = "empty"           // nothing stands where something must
	RuleLength         Rule = "length"          // too long, or not of the exact length
	RuleCharacter      Rule = "character"       // a character outside the allowed set
	RuleUTF8           Rule = "utf-8"           // bytes that are no UTF-8 text
	RuleSpace          Rule = "white-space"     // white space of any kind, also outside ASCII
	RuleWildcard       Rule = "wildcard"        // one of * ? $ { }, which policies expand
	RuleFirstLetter    Rule = "first-letter"    // does not begin with a letter
	RuleDoubleHyphen   Rule = "double-hyphen"   // two hyphens in a row
	RuleTrailingHyphen Rule = "trailing-hyphen" // ends with a hyphen
	RulePrefix         Rule = "prefix"          // does not begin as it must
	RuleReserved       Rule = "reserved-prefix" // begins with what AWS keeps for itself
	RuleForm           Rule = "form"            // the parts are not those of such a value
	RulePartition      Rule = "partition"       // of no known partition
	RuleRegion         Rule = "region"          // a Region where none may stand, or the wrong one
	RuleAlias          Rule = "alias"           // a KMS alias where a key is required
	RuleCount          Rule = "count"           // too many of them
)

// maxShown is how many bytes of a wrong value an error repeats.
const maxShown = 80

// NameError says what was checked, which rule it broke, and where.
type NameError struct {
	// What was checked, in words: "RDS snapshot identifier".
	What string

	// Value is the value, safe to print: quoted, with everything outside
	// printable ASCII escaped, and cut after its first 80 bytes. It is empty
	// where the value is not repeated (the values of tags).
	Value string

	// Rule is the rule that was broken. Where several are, it is the first one
	// that was found.
	Rule Rule

	// Offset is the place of the offence, in bytes from the start of the whole
	// value. For a value that is too short it is its length; -1 where the rule
	// is about no single place.
	Offset int

	// Detail is the rule in words, with the offending character. Not stable.
	Detail string
}

// Error describes the offence for a person. The text is not part of the API.
func (e *NameError) Error() string {
	s := e.What
	if e.Value != "" {
		s += " " + e.Value
	}
	s += ": " + e.Detail
	if e.Offset >= 0 {
		s += " at offset " + strconv.Itoa(e.Offset)
	}
	return s
}

// fault is a NameError before it is known what is being checked. Checks return
// it by value, so that a good value costs no allocation; its zero value is "no
// fault".
type fault struct {
	rule   Rule
	offset int
	detail string
}

func (f fault) bad() bool { return f.rule != "" }

// shift moves a fault that was found in a part to its place in the whole.
func (f fault) shift(n int) fault {
	f.offset += n
	return f
}

// in makes an error of f. It returns nil, not a typed nil, where there is none.
func (f fault) in(what, value string) error {
	if !f.bad() {
		return nil
	}
	return &NameError{What: what, Value: show(value), Rule: f.rule, Offset: f.offset, Detail: f.detail}
}

func faultf(rule Rule, offset int, format string, args ...any) fault {
	return fault{rule, offset, fmt.Sprintf(format, args...)}
}

// empty is the fault of an empty value.
func empty() fault { return fault{RuleEmpty, 0, "empty"} }

// badChar is the fault of the character at offset i of s.
func badChar(s string, i int, allowed string) fault {
	return faultf(RuleCharacter, i, "%s is not %s", charAt(s, i), allowed)
}

// show quotes s for an error. The cut comes before the quoting, so that no
// escape is cut in two.
func show(s string) string {
	if len(s) <= maxShown {
		return strconv.QuoteToASCII(s)
	}
	n := maxShown
	for n > maxShown-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return strconv.QuoteToASCII(s[:n]) + "..."
}

// charAt describes the character at offset i of s without letting it into the
// message as it is: look-alikes and control characters are to be seen.
func charAt(s string, i int) string {
	if !validRune(s, i) {
		return fmt.Sprintf("byte 0x%02x", s[i])
	}
	r, _ := utf8.DecodeRuneInString(s[i:])
	return strconv.QuoteRuneToASCII(r)
}

// validRune reports whether a whole character begins at offset i of s. The
// replacement character itself is one; a stray byte, which decodes to it, is not.
func validRune(s string, i int) bool {
	r, size := utf8.DecodeRuneInString(s[i:])
	return r != utf8.RuneError || size > 1
}
