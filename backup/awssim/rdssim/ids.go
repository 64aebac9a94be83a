package rdssim

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// identifier checks a name by the rules of RDS and gives it in lower case.
func identifier(parameter, id string, most int) (string, error) {
	low := strings.ToLower(id)
	bad := len(low) < 1 || len(low) > most || low[0] < 'a' || low[0] > 'z' || strings.HasSuffix(low, "-") || strings.Contains(low, "--")
	for i := range len(low) {
		if c := low[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			bad = true
		}
	}
	if bad {
		return "", awssim.Fail("InvalidParameterValue", "The parameter %s is not a valid identifier. Identifiers must begin with a letter; "+
			"must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens.", parameter)
	}
	return low, nil
}

// named reads an identifier or an ARN of the given kind ("db", "snapshot"). An ARN of elsewhere is given as an identifier that nothing has.
func named(r *awssim.Request, kind, id string) string {
	if !strings.HasPrefix(id, "arn:") {
		return strings.ToLower(id)
	}
	prefix := r.ARN("rds", kind+":")
	if !strings.HasPrefix(id, prefix) {
		return "\x00" + id
	}
	return strings.ToLower(id[len(prefix):])
}

// page cuts a sorted list of names to one page.
func page(r *awssim.Request, all []string, maxRecords *int32, marker *string, seen func(string) bool) (names []string, next *string, err error) {
	if maxRecords != nil && (*maxRecords < 20 || *maxRecords > 100) {
		return nil, nil, awssim.Fail("InvalidParameterValue", "Invalid value %d for MaxRecords. Must be between 20 and 100", *maxRecords)
	}
	n := r.Page(int(aws.ToInt32(maxRecords)), 100, 100)
	start := 0
	if aws.ToString(marker) != "" {
		b, err := base64.RawURLEncoding.DecodeString(*marker)
		if err != nil || len(b) < 2 || b[0] != 1 {
			return nil, nil, awssim.Fail("InvalidParameterValue", "Invalid marker")
		}
		var last bool
		if start, last = slices.BinarySearch(all, string(b[1:])); last {
			start++
		}
	}
	for _, name := range all[start:] {
		if !seen(name) {
			continue
		}
		if len(names) == n {
			return names, aws.String(base64.RawURLEncoding.EncodeToString(append([]byte{1}, names[n-1]...))), nil
		}
		names = append(names, name)
	}
	return names, nil, nil
}

// filters reads filters by name; one that is not known is refused.
func filters(in []rdstypes.Filter, known ...string) (map[string][]string, error) {
	m := map[string][]string{}
	for _, f := range in {
		name := aws.ToString(f.Name)
		ok := false
		for _, k := range known {
			ok = ok || k == name
		}
		if !ok {
			return nil, awssim.Fail("InvalidParameterValue", "Unrecognized filter name: %s", name)
		}
		if len(f.Values) == 0 {
			return nil, awssim.Fail("InvalidParameterCombination", "The filter %s has no values", name)
		}
		m[name] = append(m[name], f.Values...)
	}
	return m, nil
}
