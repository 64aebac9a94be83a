package iamsim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a part of a pattern: a letter of the policy's text, one that a variable stands for, or a wildcard.
type token struct {
	letter rune
	kind   kind
}

type kind byte

const (
	text  kind = iota // a letter of the policy
	value             // a letter that a variable gave; it is never a wildcard nor a separator
	star              // any text
	one               // any single character
)

// pattern is a text of a policy, made ready for comparison.
type pattern []token

var errVariable = errors.New("a policy variable has no value in this request")

// compile reads a text of a policy. Variables are replaced only where the document's version has them. Wildcards are read as such where wild
// is set.
//
// Source: IAM user guide, "IAM policy elements: Variables and tags". What a variable stands for is compared letter by letter.
func compile(s string, e *env, wild bool) (pattern, error) {
	p := make(pattern, 0, len(s))
	for i := 0; i < len(s); {
		rest := s[i:]
		if e.variables && strings.HasPrefix(rest, "${") {
			end := strings.IndexByte(rest, '}')
			if end < 0 {
				return nil, fmt.Errorf("%w: %.80q does not end", errVariable, rest)
			}
			v, err := e.variable(rest[2:end])
			if err != nil {
				return nil, err
			}
			for _, r := range v {
				p = append(p, token{r, value})
			}
			i += end + 1
			continue
		}
		switch {
		case wild && rest[0] == '*':
			p = append(p, token{0, star})
			i++
		case wild && rest[0] == '?':
			p = append(p, token{0, one})
			i++
		default:
			r, size := utf8.DecodeRuneInString(rest)
			p = append(p, token{r, text})
			i += size
		}
	}
	return p, nil
}

// variable gives the value of what stands between the braces.
func (e *env) variable(name string) (string, error) {
	switch name {
	case "*", "?", "$":
		return name, nil
	}
	key, fallback, has := strings.Cut(name, ",")
	values := e.context[strings.ToLower(strings.TrimSpace(key))]
	switch len(values) {
	case 1:
		return values[0], nil
	case 0:
		fallback = strings.TrimSpace(fallback)
		if has && len(fallback) >= 2 && fallback[0] == '\'' && fallback[len(fallback)-1] == '\'' {
			return fallback[1 : len(fallback)-1], nil
		}
	}
	return "", fmt.Errorf("%w: ${%.80s}", errVariable, name) // a key with several values is no variable either
}

// matches tells whether the whole of s fits.
func (p pattern) matches(s []rune) bool {
	back, mark := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(p) && p[i].kind == star:
			back, mark = i, j
			i++
		case i < len(p) && (p[i].kind == one || p[i].kind != star && p[i].letter == s[j]):
			i++
			j++
		case back >= 0:
			mark++
			i, j = back+1, mark
		default:
			return false
		}
	}
	return !slices.ContainsFunc(p[i:], func(t token) bool { return t.kind != star })
}

// String gives a pattern's letters; wildcards are left out.
func (p pattern) String() string {
	var b strings.Builder
	for _, t := range p {
		if t.kind == text || t.kind == value {
			b.WriteRune(t.letter)
		}
	}
	return b.String()
}

// fold makes a pattern small, for names whose letter case does not matter.
func (p pattern) fold() pattern {
	for i := range p {
		p[i].letter = unicode.ToLower(p[i].letter)
	}
	return p
}

// sections cuts a pattern at the first five colons of its own text.
func (p pattern) sections() []pattern {
	var all []pattern
	from := 0
	for i, t := range p {
		if t.kind == text && t.letter == ':' && len(all) < arnSections-1 {
			all = append(all, p[from:i])
			from = i + 1
		}
	}
	return append(all, p[from:])
}

// arnSections are the parts of an ARN: arn, partition, service, Region, account, resource. A pattern must have the first three.
const arnSections, fewestSections = 6, 3

// matchesARN compares an ARN part by part, so that a wildcard does not reach over a colon. Parts that the pattern lacks at its end match
// everything.
//
// Source: IAM user guide, "IAM JSON policy elements: Resource"; "IAM JSON policy elements: Condition operators", ARN operators.
func (p pattern) matchesARN(arn string) bool {
	mine, parts := p.sections(), strings.SplitN(arn, ":", arnSections)
	if len(mine) > len(parts) || len(mine) < fewestSections {
		return false
	}
	for i, part := range parts {
		if i < len(mine) && !mine[i].matches([]rune(part)) {
			return false
		}
	}
	return true
}

// everything tells whether the pattern is nothing but stars.
func (p pattern) everything() bool {
	return len(p) > 0 && !slices.ContainsFunc(p, func(t token) bool { return t.kind != star })
}

// matchesAction compares actions: without regard to letter case. Source: IAM user guide, "IAM JSON policy elements: Action".
func matchesAction(patterns []string, action string) (which string, ok bool) {
	want := []rune(strings.ToLower(action))
	for _, s := range patterns {
		p, err := compile(s, &env{}, true) // actions know no variables
		if err == nil && p.fold().matches(want) {
			return s, true
		}
	}
	return "", false
}

// matchesResource compares resources. The documentation tells of wildcards within the parts of an ARN, and nothing of one that reaches over a
// colon (UNVERIFIED): where generous is set such a match counts too. A caller asks for what makes it allow less.
func matchesResource(patterns []string, resource string, e *env, generous bool) (bool, error) {
	var undecided error
	for _, s := range patterns {
		p, err := compile(s, e, true)
		if err != nil {
			undecided = err
			continue
		}
		if p.everything() || p.matchesARN(resource) || generous && p.matches([]rune(resource)) {
			return true, nil
		}
	}
	return false, undecided
}
