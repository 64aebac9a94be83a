package elasticachesim

import (
	"encoding/base64"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

const markerPrefix = "elasticache:"

// page collects one page of what find gives for the names after the marker, and the marker of the next page.
func page[T any](r *awssim.Request, x *index, marker *string, asked *int32, most int, find func(name string) (T, bool)) ([]T, *string, error) {
	return pageOf(r, x, marker, asked, 20, most, find)
}

// pageOf is page for operations that give pages of less than 20, too.
func pageOf[T any](r *awssim.Request, x *index, marker *string, asked *int32, least, most int, find func(name string) (T, bool)) ([]T, *string, error) {
	after := ""
	if m := aws.ToString(marker); m != "" {
		b, err := base64.RawURLEncoding.DecodeString(m)
		rest, ok := strings.CutPrefix(string(b), markerPrefix)
		if err != nil || !ok {
			return nil, nil, awssim.Fail("InvalidParameterValue", "The marker %s is invalid.", m)
		}
		after = rest
	}
	if n := int(aws.ToInt32(asked)); asked != nil && (n < least || n > most) {
		return nil, nil, awssim.Fail("InvalidParameterValue", "Invalid value %d for MaxRecords. Must be between %d and %d", n, least, most)
	}
	size := r.Page(int(aws.ToInt32(asked)), most, most)
	out := make([]T, 0, min(size, len(x.sorted)+len(x.fresh)))
	last := ""
	for name := range x.after(after) {
		v, ok := find(name)
		if !ok {
			continue
		}
		if len(out) == size {
			return out, aws.String(base64.RawURLEncoding.EncodeToString([]byte(markerPrefix + last))), nil
		}
		out, last = append(out, v), name
	}
	return out, nil, nil
}
