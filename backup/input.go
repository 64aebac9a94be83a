package backup

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// inputOf hashes values after what was hashed before. It is empty where one can not be: a function, or what never ends. What is zero counts for nothing: a
// later release may add a field to some options, and its program must still find its work. A pointer that is set counts, whatever it points to.
func inputOf(before string, values ...any) string {
	parts := []string{"input", before}
	for _, v := range values {
		x := reflect.ValueOf(v)
		if unset(x) {
			parts = append(parts, "")
			continue
		}
		text, ok := canonical(nil, x, 0)
		if !ok {
			return ""
		}
		parts = append(parts, x.Type().String()+" "+string(text))
	}
	return digest(parts...)
}

// unset reports whether a value is as if nothing had been said.
func unset(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		if t, ok := timeOf(v); ok {
			return t.IsZero()
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && !unset(v.Field(i)) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}

func timeOf(v reflect.Value) (time.Time, bool) {
	if !v.CanInterface() {
		return time.Time{}, false
	}
	t, ok := v.Interface().(time.Time)
	return t, ok
}

// maxDepth ends what is made of itself.
const maxDepth = 32

// canonical appends a value in one form: members in the order of their names, the type of what an interface holds, times in UTC. Fields that are not
// exported are left out: nobody outside of the package can have set them.
func canonical(b []byte, v reflect.Value, depth int) ([]byte, bool) {
	if depth > maxDepth {
		return b, false
	}
	good := true
	put := func(x reflect.Value) {
		var ok bool
		b, ok = canonical(b, x, depth+1)
		good = good && ok
	}
	switch v.Kind() {
	case reflect.Pointer:
		if b = append(b, '&'); v.IsNil() {
			return b, true
		}
		put(v.Elem())
	case reflect.Interface:
		if b = append(b, '('); v.IsNil() {
			return append(b, ')'), true
		}
		b = append(append(b, v.Elem().Type().String()...), ')')
		put(v.Elem())
	case reflect.Struct:
		if t, ok := timeOf(v); ok {
			return t.UTC().AppendFormat(b, time.RFC3339Nano), true
		}
		var fields []int
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && !unset(v.Field(i)) {
				fields = append(fields, i)
			}
		}
		slices.SortFunc(fields, func(x, y int) int { return strings.Compare(v.Type().Field(x).Name, v.Type().Field(y).Name) })
		b = append(b, '{')
		for _, i := range fields {
			b = append(append(b, v.Type().Field(i).Name...), ':')
			put(v.Field(i))
		}
		b = append(b, '}')
	case reflect.Slice, reflect.Array:
		b = append(b, '[')
		for i := range v.Len() {
			put(v.Index(i))
			b = append(b, ',')
		}
		b = append(b, ']')
	case reflect.Map:
		var pairs []string
		for k, e := range v.Seq2() {
			pair, ok := canonical(nil, k, depth+1)
			pair, fine := canonical(append(pair, ':'), e, depth+1)
			good = good && ok && fine
			pairs = append(pairs, string(pair))
		}
		slices.Sort(pairs)
		b = append(append(append(b, '<'), strings.Join(pairs, ",")...), '>')
	case reflect.String:
		b = strconv.AppendQuote(b, v.String())
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Invalid:
		return b, false
	default:
		b = fmt.Append(b, v)
	}
	return b, good
}
