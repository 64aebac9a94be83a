package elasticachesim

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// checkName holds ElastiCache's rule for names against an already lower-cased one.
func checkName(what, name string, most int) error {
	ok := len(name) >= 1 && len(name) <= most && name[0] >= 'a' && name[0] <= 'z' && !strings.HasSuffix(name, "-") && !strings.Contains(name, "--")
	for i := range len(name) {
		c := name[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if !ok {
		return awssim.Fail("InvalidParameterValue", "The parameter %s is not a valid identifier. Identifiers must begin with a letter; "+
			"must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens.", what)
	}
	return nil
}

// older reports whether engine version a is lower than b; they are compared number by number.
func older(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		var x, y int
		if i < len(as) {
			x, _ = strconv.Atoi(as[i])
		}
		if i < len(bs) {
			y, _ = strconv.Atoi(bs[i])
		}
		if x != y {
			return x < y
		}
	}
	return false
}

// host makes the domain of a resource's endpoints: six characters that are the resource's own, and the Region's short name.
func host(r *awssim.Request, front, middle string) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%s", r.Account, r.Region)
	dns := "amazonaws.com"
	if r.Partition() == "aws-cn" {
		dns = "amazonaws.com.cn"
	}
	own := fmt.Sprintf("%06x", h.Sum32()&0xffffff)
	if middle != "" {
		middle += "."
	}
	return front + "." + own + "." + middle + shortRegion(r.Region) + ".cache." + dns
}

var directions = [...][2]string{{"northeast", "ne"}, {"northwest", "nw"}, {"southeast", "se"}, {"southwest", "sw"},
	{"north", "n"}, {"south", "s"}, {"east", "e"}, {"west", "w"}, {"central", "c"}, {"gov", "g"}}

// shortRegion makes "euw1" of "eu-west-1", as it stands in endpoints.
func shortRegion(region string) string {
	s := region
	for _, d := range directions {
		s = strings.Replace(s, d[0], d[1], 1)
	}
	return strings.ReplaceAll(s, "-", "")
}

func zone(region string, i int) string { return region + string(rune('a'+i%3)) }

func isTiered(nodeType string) bool { return strings.HasPrefix(nodeType, "cache.r6gd.") }
