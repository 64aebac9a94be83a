package iamsim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/snapwarden/snapwarden/policy"
)

// env is what a statement is read against.
type env struct {
	context   map[string][]string // keys in small letters
	variables bool                // the document's version has policy variables
}

// lower makes the context's keys comparable.
func lower(context map[string][]string) map[string][]string {
	out := make(map[string][]string, len(context))
	for key, values := range context {
		key = strings.ToLower(key)
		out[key] = append(out[key], values...)
	}
	return out
}

// quantifier is the set operator before a condition operator.
type quantifier byte

const (
	plain quantifier = iota
	forAny
	forAll
)

// holds tells whether all conditions of a statement hold. Where one does not, it does not matter that another cannot be understood.
func (e *env) holds(c policy.Condition) (bool, error) {
	var undecided error
	for _, operator := range slices.Sorted(maps.Keys(c)) {
		for _, key := range slices.Sorted(maps.Keys(c[operator])) {
			ok, err := e.one(operator, key, c[operator][key])
			if err != nil {
				undecided = fmt.Errorf("condition %.80q on %.80q: %w", operator, key, err)
			} else if !ok {
				return false, nil
			}
		}
	}
	return undecided == nil, undecided
}

// one tells whether one operator holds for one key.
//
// Source: IAM user guide, "IAM JSON policy elements: Condition operators": a key that is missing fails a comparison, passes a negated one and
// passes everything that ends in IfExists; "Set operators for multivalued context keys": without values ForAllValues passes and ForAnyValue fails.
func (e *env) one(operator, key string, want []string) (bool, error) {
	has := e.context[strings.ToLower(key)]
	if operator == "Null" {
		return null(has, want)
	}
	base, q := operator, plain
	if s, ok := strings.CutPrefix(base, "ForAllValues:"); ok {
		base, q = s, forAll
	} else if s, ok := strings.CutPrefix(base, "ForAnyValue:"); ok {
		base, q = s, forAny
	}
	base, ifExists := strings.CutSuffix(base, "IfExists")
	op, ok := operators[base]
	if !ok {
		return false, fmt.Errorf("%w: name one that IAM has", errOperator)
	}
	compare, err := op.prepare(want, e)
	if err != nil {
		return false, err
	}
	if q == forAll && !slices.ContainsFunc(has, func(s string) bool { return s != "" }) {
		return true, nil // an empty text counts as no value
	}
	if len(has) == 0 {
		return ifExists || op.negated && q == plain, nil
	}
	for _, v := range has {
		fits, err := compare(v)
		if err != nil {
			return false, err
		}
		switch fits = fits != op.negated; {
		case fits && (q == forAny || q == plain && !op.negated):
			return true, nil
		case !fits && (q == forAll || q == plain && op.negated):
			return false, nil
		}
	}
	return q == forAll || q == plain && op.negated, nil
}

// null is the operator Null: "true" asks that the key is absent, "false" that it is there with a value.
func null(has, want []string) (bool, error) {
	there := slices.ContainsFunc(has, func(s string) bool { return s != "" })
	match := false
	for _, v := range want {
		switch strings.ToLower(v) {
		case "true":
			match = match || !there
		case "false":
			match = match || there
		default:
			return false, fmt.Errorf("%w: %.80q is neither true nor false", errValue, v)
		}
	}
	return match, nil
}
