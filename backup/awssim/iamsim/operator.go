package iamsim

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

var (
	errOperator = errors.New("unknown operator")
	errValue    = errors.New("a value that the operator cannot compare")
)

// operator is a condition operator without its set operator and IfExists.
type operator struct {
	negated bool
	// prepare reads the policy's values and gives what tells whether one of them fits a value of the request.
	prepare func(want []string, e *env) (func(has string) (bool, error), error)
}

// operators are the condition operators by name. Source: IAM user guide, "IAM JSON policy elements: Condition operators". BinaryEquals is not
// simulated.
var operators = map[string]operator{
	"StringEquals":              {false, exact},
	"StringNotEquals":           {true, exact},
	"StringEqualsIgnoreCase":    {false, ignoringCase},
	"StringNotEqualsIgnoreCase": {true, ignoringCase},
	"StringLike":                {false, like},
	"StringNotLike":             {true, like},
	"ArnEquals":                 {false, arnLike},
	"ArnLike":                   {false, arnLike},
	"ArnNotEquals":              {true, arnLike},
	"ArnNotLike":                {true, arnLike},
	"Bool":                      {false, boolean},
	"NumericEquals":             {false, ordered(number, func(c int) bool { return c == 0 })},
	"NumericNotEquals":          {true, ordered(number, func(c int) bool { return c == 0 })},
	"NumericLessThan":           {false, ordered(number, func(c int) bool { return c < 0 })},
	"NumericLessThanEquals":     {false, ordered(number, func(c int) bool { return c <= 0 })},
	"NumericGreaterThan":        {false, ordered(number, func(c int) bool { return c > 0 })},
	"NumericGreaterThanEquals":  {false, ordered(number, func(c int) bool { return c >= 0 })},
	"DateEquals":                {false, ordered(date, func(c int) bool { return c == 0 })},
	"DateNotEquals":             {true, ordered(date, func(c int) bool { return c == 0 })},
	"DateLessThan":              {false, ordered(date, func(c int) bool { return c < 0 })},
	"DateLessThanEquals":        {false, ordered(date, func(c int) bool { return c <= 0 })},
	"DateGreaterThan":           {false, ordered(date, func(c int) bool { return c > 0 })},
	"DateGreaterThanEquals":     {false, ordered(date, func(c int) bool { return c >= 0 })},
	"IpAddress":                 {false, address},
	"NotIpAddress":              {true, address},
}

// patterns makes the prepare function of an operator that compares texts.
func patterns(wild bool, change func(pattern) pattern, fits func(p pattern, has string) bool) func([]string, *env) (func(string) (bool, error), error) {
	return func(want []string, e *env) (func(string) (bool, error), error) {
		all := make([]pattern, 0, len(want))
		for _, s := range want {
			p, err := compile(s, e, wild)
			if err != nil {
				return nil, err
			}
			all = append(all, change(p))
		}
		return func(has string) (bool, error) {
			for _, p := range all {
				if fits(p, has) {
					return true, nil
				}
			}
			return false, nil
		}, nil
	}
}

func same(p pattern) pattern { return p }

func exact(want []string, e *env) (func(string) (bool, error), error) {
	return patterns(false, same, func(p pattern, has string) bool { return p.matches([]rune(has)) })(want, e)
}

func ignoringCase(want []string, e *env) (func(string) (bool, error), error) {
	return patterns(false, pattern.fold, func(p pattern, has string) bool { return p.matches([]rune(strings.ToLower(has))) })(want, e)
}

func like(want []string, e *env) (func(string) (bool, error), error) {
	return patterns(true, same, func(p pattern, has string) bool { return p.matches([]rune(has)) })(want, e)
}

// arnLike compares ARNs part by part. A pattern that is no whole ARN cannot be compared: AWS does not say what it means.
func arnLike(want []string, e *env) (func(string) (bool, error), error) {
	compare, err := patterns(true, same, pattern.matchesARN)(want, e)
	if err != nil {
		return nil, err
	}
	for _, s := range want {
		if p, err := compile(s, e, true); err == nil && len(p.sections()) != arnSections {
			return nil, fmt.Errorf("%w: %.80q is no ARN of %d parts", errValue, s, arnSections)
		}
	}
	return compare, nil
}

func boolean(want []string, e *env) (func(string) (bool, error), error) {
	for _, s := range want {
		p, err := compile(s, e, false)
		if err != nil {
			return nil, err
		}
		if v := p.String(); !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") {
			return nil, fmt.Errorf("%w: %.80q is neither true nor false", errValue, v)
		}
	}
	return ignoringCase(want, e)
}

// ordered makes the prepare function of an operator that compares what has an order. These know no variables and no wildcards.
func ordered[T any](read func(string) (T, func(T) int, error), fits func(int) bool) func([]string, *env) (func(string) (bool, error), error) {
	return func(want []string, _ *env) (func(string) (bool, error), error) {
		all := make([]T, 0, len(want))
		for _, s := range want {
			v, _, err := read(s)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		return func(has string) (bool, error) {
			_, compare, err := read(has)
			if err != nil {
				return false, err
			}
			for _, v := range all {
				if fits(compare(v)) {
					return true, nil
				}
			}
			return false, nil
		}, nil
	}
}

// number reads an integer or a decimal number, and gives what compares it with another.
func number(s string) (float64, func(float64) int, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.Trim(s, "+-.0123456789") != "" { // no exponents, hexadecimal digits, infinities
		return 0, nil, fmt.Errorf("%w: %.80q is no number", errValue, s)
	}
	return v, func(other float64) int {
		switch {
		case v < other:
			return -1
		case v > other:
			return 1
		}
		return 0
	}, nil
}

// dateForms are the forms of dates that policies have, beside the seconds since 1970.
func dateForms() []string {
	return []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", time.DateOnly, "2006-01"}
}

// date reads a date, and gives what compares it with another.
func date(s string) (time.Time, func(time.Time) int, error) {
	if seconds, err := strconv.ParseInt(s, 10, 64); err == nil {
		t := time.Unix(seconds, 0)
		return t, t.Compare, nil
	}
	for _, form := range dateForms() {
		if t, err := time.Parse(form, s); err == nil {
			return t, t.Compare, nil
		}
	}
	return time.Time{}, nil, fmt.Errorf("%w: %.80q is no date", errValue, s)
}

// address reads the policy's ranges of addresses; one without a length is a single address.
func address(want []string, _ *env) (func(string) (bool, error), error) {
	var all []netip.Prefix
	for _, s := range want {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return nil, fmt.Errorf("%w: %.80q is no range of addresses", errValue, s)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		all = append(all, p)
	}
	return func(has string) (bool, error) {
		a, err := netip.ParseAddr(has)
		if err != nil {
			return false, fmt.Errorf("%w: %.80q is no address", errValue, has)
		}
		for _, p := range all {
			if p.Contains(a) {
				return true, nil
			}
		}
		return false, nil
	}, nil
}
