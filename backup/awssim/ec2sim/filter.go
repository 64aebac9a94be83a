package ec2sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// filter is one filter of a list: a resource passes if one of the values matches. Values are compared with case. In a value, * stands for
// any characters, ? for none or one, and a backslash takes the meaning from the character after it.
// Source: EC2 User Guide, "Find your Amazon EC2 resources", filtering.
type filter struct {
	name   string
	key    string
	values []string
	wild   bool
}

// known says which filters a list has; rest tells that AWS has others, which are not simulated.
type known struct {
	names []string
	rest  bool
}

func parseFilters(r *awssim.Request, in []ec2types.Filter, k known) ([]filter, error) {
	if len(in) == 0 {
		return nil, nil
	}
	if len(in) > 50 {
		return nil, awssim.Fail("FilterLimitExceeded", "The maximum number of filters in a request is 50.")
	}
	list := make([]filter, 0, len(in))
	for _, f := range in {
		p := filter{name: aws.ToString(f.Name), values: slices.Clone(f.Values)}
		key, tag := strings.CutPrefix(p.name, "tag:")
		switch {
		case tag:
			p.key = key
		case p.name != "tag-key" && !slices.Contains(k.names, p.name):
			if k.rest {
				return nil, fmt.Errorf("awssim: the filter %q of %s is not simulated", p.name, r.Operation)
			}
			return nil, awssim.Fail("InvalidParameterValue", "The filter '%s' is invalid", p.name)
		}
		if len(p.values) == 0 {
			return nil, awssim.Fail("InvalidParameterValue", "The filter '%s' has no values", p.name)
		}
		if len(p.values) > 200 {
			return nil, awssim.Fail("FilterLimitExceeded", "The maximum number of filter values specified on a single call is 200.")
		}
		for _, v := range p.values {
			if len(v) > 255 {
				return nil, awssim.Fail("InvalidParameterValue", "The maximum length for a filter value is 255 characters.")
			}
			p.wild = p.wild || strings.ContainsAny(v, `*?\`)
		}
		list = append(list, p)
	}
	return list, nil
}

// match reports whether a value passes.
func (f *filter) match(value string) bool {
	if !f.wild {
		return slices.Contains(f.values, value)
	}
	for _, v := range f.values {
		if wildcard(v, value) {
			return true
		}
	}
	return false
}

// tags reports whether a tag or tag-key filter lets the tags pass.
func (f *filter) tags(tags []tag) bool {
	for i := range tags {
		g := &tags[i]
		switch {
		case f.key != "":
			if g.key == f.key && f.match(g.value) {
				return true
			}
		case f.match(g.key):
			return true
		}
	}
	return false
}

// isTag reports whether the filter looks at tags.
func (f *filter) isTag() bool {
	return f.key != "" || f.name == "tag-key" || strings.HasPrefix(f.name, "tag:")
}

func yesNo(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// wildcard matches a value with a pattern by following all the places in the pattern that the value may have reached.
func wildcard(pattern, value string) bool {
	p := []rune(pattern)
	at := make([]bool, len(p)+1)
	skip := func(i int) {
		for ; !at[i]; i++ {
			at[i] = true
			if i == len(p) || p[i] != '*' && p[i] != '?' {
				return
			}
		}
	}
	skip(0)
	for _, c := range value {
		was := at
		at = make([]bool, len(p)+1)
		for i := 0; i < len(p); i++ {
			if !was[i] {
				continue
			}
			switch {
			case p[i] == '*':
				skip(i)
			case p[i] == '?':
				skip(i + 1)
			case p[i] == '\\' && i+1 < len(p):
				if p[i+1] == c {
					skip(i + 2)
				}
			case p[i] == c:
				skip(i + 1)
			}
		}
	}
	return at[len(p)]
}
