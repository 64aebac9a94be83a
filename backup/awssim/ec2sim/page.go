package ec2sim

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// window is which part of a list a call asks for.
type window struct {
	after uint64
	size  int
}

// pageOf checks the paging parameters of a list. Sizes below 5 are refused and those above 1,000 taken for 1,000; without a size everything
// comes at once. Sizes can not be combined with ids. Source: EC2 API Reference, the MaxResults parameters in their older wording.
func pageOf(r *awssim.Request, size *int32, token *string, ids int, idParameter string) (window, error) {
	w := window{size: math.MaxInt}
	if ids > 0 {
		if size != nil {
			return w, awssim.Fail("InvalidParameterCombination", "The parameter %s cannot be used with the parameter maxResults", idParameter)
		}
		if token != nil {
			return w, awssim.Fail("InvalidParameterCombination", "The parameter %s cannot be used with the parameter nextToken", idParameter)
		}
		return w, nil
	}
	if size != nil && *size < 5 {
		return w, awssim.Fail("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value greater than 5.", *size)
	}
	most := math.MaxInt
	if size != nil {
		most = 1000
	}
	w.size = r.Page(int(aws.ToInt32(size)), most, most)
	if token != nil {
		raw, err := base64.RawURLEncoding.DecodeString(*token)
		rest, ok := strings.CutPrefix(string(raw), r.Operation+"/")
		if err == nil && ok {
			w.after, err = strconv.ParseUint(rest, 10, 64)
		}
		if err != nil || !ok {
			return w, awssim.Fail("InvalidPaginationToken", "The specified pagination token is not valid.")
		}
	}
	return w, nil
}

// take picks the page's resources out of an ordered list, and the token of the next page.
func take[T item](r *awssim.Request, from []T, w window, match func(T) bool) ([]T, *string) {
	at := 0
	if w.after > 0 {
		var found bool
		if at, found = slices.BinarySearchFunc(from, w.after, bySeq[T]); found {
			at++
		}
	}
	var page []T
	for _, x := range from[at:] {
		if !match(x) {
			continue
		}
		if len(page) == w.size {
			return page, aws.String(token(r.Operation, page[len(page)-1].base().seq))
		}
		if page == nil {
			page = make([]T, 0, min(w.size, len(from)-at))
		}
		page = append(page, x)
	}
	return page, nil
}

// token makes the opaque mark of where a list goes on.
func token(operation string, after uint64) string {
	return base64.RawURLEncoding.EncodeToString([]byte(operation + "/" + strconv.FormatUint(after, 10)))
}
