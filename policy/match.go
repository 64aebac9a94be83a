package policy

import "strings"

// MatchAction reports whether an action, such as s3:GetObject, is one that the pattern of a policy names. The wildcards are * for any
// characters, also none, and ? for exactly one. Letter case has no meaning.
//
// Source: IAM user guide, "IAM JSON policy elements: Action".
func MatchAction(pattern, action string) bool {
	return matchWildcard(foldASCII(pattern), foldASCII(action))
}

// MatchResource reports whether a resource, by its ARN, is one that the pattern of a policy names. Letter case counts. A * matches slashes and
// colons too: AWS says that of one at the end of a part, and advises against the others. Policy variables must have been replaced before.
//
// Source: IAM user guide, "IAM JSON policy elements: Resource".
func MatchResource(pattern, arn string) bool { return matchWildcard(pattern, arn) }

// matchWildcard takes at most len(pattern) times len(s) steps: where something does not fit, only the last * takes more.
func matchWildcard(pattern, s string) bool {
	p, star, from := 0, -1, 0
	for i := 0; i < len(s); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			i += runeLen(s, i)
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			// The * must take a whole character, or a ? after it would begin in the middle of one.
			from += runeLen(s, from)
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// CoversAction reports whether every action that other names is one that pattern names too. Both may have wildcards. A false may be a true that
// was not seen: it is for questions of safety, where what is not known to be covered is not covered.
func CoversAction(pattern, other string) bool {
	return coversText(foldASCII(pattern), foldASCII(other))
}

// CoversResource reports the same of the patterns of resources. The first five parts of an ARN are compared one by one, so that a * in the middle
// covers no more than the part in which it stands, which is the least that AWS may take it for.
func CoversResource(pattern, other string) bool {
	if pattern == other {
		return true
	}
	const parts = 6
	mine := strings.SplitN(pattern, ":", parts)
	theirs := strings.SplitN(other, ":", len(mine))
	if len(theirs) != len(mine) {
		return false
	}
	for i := range mine {
		if !coversText(mine[i], theirs[i]) {
			return false
		}
	}
	return true
}

// coversText compares patterns. A * of other is covered by a * only, and a ? by a wildcard only.
func coversText(pattern, other string) bool {
	if pattern == other {
		return true
	}
	if strings.Contains(pattern, "${") {
		return false // what a variable stands for is known at the request
	}
	other, known := anyVariable(other)
	if !known {
		return false
	}
	pattern, other = normalWildcards(pattern), normalWildcards(other)
	p, star, from := 0, -1, 0
	for i := 0; i < len(other); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && pattern[p] == '?' && other[i] != '*':
			p++
			i += runeLen(other, i)
		case p < len(pattern) && pattern[p] == other[i]:
			p++
			i++
		case star >= 0:
			from += runeLen(other, from)
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// anyVariable puts a * in the place of every policy variable, whose value may be any text. It reports false for one that does not end.
func anyVariable(s string) (string, bool) {
	for {
		at := strings.Index(s, "${")
		if at < 0 {
			return s, true
		}
		n := strings.IndexByte(s[at:], '}')
		if n < 0 {
			return "", false
		}
		s = s[:at] + "*" + s[at+n+1:]
	}
}

// normalWildcards puts every ? of a run of wildcards before its *, and makes one * of several: the same names, written in one way.
func normalWildcards(s string) string {
	if !strings.Contains(s, "*") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '*' && s[i] != '?' {
			b.WriteByte(s[i])
			i++
			continue
		}
		star := false
		for ; i < len(s) && (s[i] == '*' || s[i] == '?'); i++ {
			if s[i] == '*' {
				star = true
			} else {
				b.WriteByte('?')
			}
		}
		if star {
			b.WriteByte('*')
		}
	}
	return b.String()
}

// runeLen is how many bytes the character at offset i has; a stray byte counts as one.
func runeLen(s string, i int) int {
	n := 1
	if s[i] >= 0xc0 {
		for n < 4 && i+n < len(s) && s[i+n]&0xc0 == 0x80 {
			n++
		}
	}
	return n
}

// foldASCII gives s with small ASCII letters; the names of actions and of condition keys have no others.
func foldASCII(s string) string { return CanonicalName(s) }
