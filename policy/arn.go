package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxARN is the longest ARN that IAM takes. Source: IAM API reference, type
// arnType.
const maxARN = 2048

// ARN is an Amazon Resource Name in its parts. It names one thing: patterns are
// not ARNs.
type ARN struct {
	Partition string // "aws"
	Service   string // "rds"
	Region    string // "" where the service has none in its ARNs
	Account   string // 12 digits, "" where the service has none in its ARNs
	Resource  string // "snapshot:orders-1"; may contain colons and slashes
}

// String returns the ARN as AWS writes it. It does not check the parts: to check
// an ARN that was put together by hand, give the result to [ParseARN] and see
// that the same ARN comes back.
func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// ParseARN takes an ARN apart. For every s that it accepts, String of the result
// is s again.
//
// It is strict, because what it accepts ends up in policies and in decisions
// about who may read a backup. It refuses
//
//   - the characters * ? $ { } in every part: in a policy they would match more
//     than one thing. An S3 object whose key contains one cannot be named;
//   - white space, control and invisible characters, and what is not UTF-8;
//   - a partition that AWS does not have, and a Region of another partition;
//   - an account that is not 12 digits. That includes the ARNs of AWS's own
//     managed policies, whose account is the word aws;
//   - an empty Region or account, except where the format has none: Region in
//     iam, sts, organizations, RDS global clusters and ElastiCache global
//     datastores (there it must be empty), both in s3, the account in EC2
//     snapshots and images. ARNs of other global services are refused;
//   - an empty service or resource, and more than 2,048 bytes.
//
// Source: IAM user guide, "Identify AWS resources with Amazon Resource Names
// (ARNs)"; Service authorization reference; RDS user guide, "Constructing an ARN".
func ParseARN(s string) (ARN, error) {
	a, f := parseARN(s)
	return a, f.in("ARN", s)
}

func parseARN(s string) (ARN, fault) {
	if f := checkARNText(s); f.bad() {
		return ARN{}, f
	}
	if !strings.HasPrefix(s, "arn:") {
		return ARN{}, faultf(RulePrefix, 0, `"arn:" expected`)
	}
	var part, at [5]int // end and start of the parts after "arn:"
	for i, from := 0, len("arn:"); i < len(part); i++ {
		at[i], part[i] = from, len(s)
		if i == len(part)-1 {
			break // the resource keeps its colons
		}
		n := strings.IndexByte(s[from:], ':')
		if n < 0 {
			return ARN{}, faultf(RuleForm, len(s), "%d parts instead of 6", i+2)
		}
		part[i] = from + n
		from = part[i] + 1
	}
	a := ARN{
		Partition: s[at[0]:part[0]],
		Service:   s[at[1]:part[1]],
		Region:    s[at[2]:part[2]],
		Account:   s[at[3]:part[3]],
		Resource:  s[at[4]:part[4]],
	}
	if _, f := partitionByID(a.Partition); f.bad() {
		return ARN{}, named("partition", f).shift(at[0])
	}
	if f := checkService(a.Service); f.bad() {
		return ARN{}, named("service", f).shift(at[1])
	}
	region, account := a.needs()
	if f := checkARNRegion(a, region); f.bad() {
		return ARN{}, named("Region", f).shift(at[2])
	}
	if a.Account != "" || account == required {
		if f := checkAccount(a.Account); f.bad() {
			return ARN{}, named("account", f).shift(at[3])
		}
	}
	if a.Resource == "" {
		return ARN{}, named("resource", empty()).shift(at[4])
	}
	return a, fault{}
}

// named puts the name of the part before the words of its fault.
func named(part string, f fault) fault {
	f.detail = part + ": " + f.detail
	return f
}

// checkARNText refuses the characters that no part may have.
func checkARNText(s string) fault {
	switch {
	case s == "":
		return empty()
	case len(s) > maxARN:
		return faultf(RuleLength, maxARN, "longer than %d bytes", maxARN)
	}
	for i, r := range s {
		switch {
		case r == '*' || r == '?' || r == '$' || r == '{' || r == '}':
			return faultf(RuleWildcard, i, "wildcard or variable character %s", charAt(s, i))
		case unicode.IsSpace(r):
			return faultf(RuleSpace, i, "white space %s", charAt(s, i))
		case r == utf8.RuneError && !validRune(s, i):
			return faultf(RuleUTF8, i, "%s is not UTF-8", charAt(s, i))
		case !unicode.IsPrint(r):
			return badChar(s, i, "a visible character")
		}
	}
	return fault{}
}

// checkService checks the second part: AWS uses small letters, digits and
// hyphens in all of them.
func checkService(s string) fault {
	if s == "" {
		return empty()
	}
	for i := range len(s) {
		if c := s[i]; !isLower(c) && !isDigit(c) && c != '-' {
			return badChar(s, i, "a small letter, a digit or a hyphen")
		}
	}
	return fault{}
}

func checkARNRegion(a ARN, need need) fault {
	switch {
	case a.Region == "" && need == required:
		return empty()
	case a.Region == "":
		return fault{}
	case need == absent:
		return faultf(RuleRegion, 0, "must be empty in ARNs of %s", a.Service)
	}
	p, f := partitionOf(a.Region)
	if !f.bad() && p.ID != a.Partition {
		return faultf(RuleRegion, 0, "%s belongs to partition %s instead of %s", a.Region, p.ID, a.Partition)
	}
	return f
}

// need says whether a part must, may or must not be there.
type need int

const (
	required need = iota
	optional
	absent
)

// needs tells what the format of the service says of the Region and the account.
func (a ARN) needs() (region, account need) {
	switch {
	case a.Service == "iam", a.Service == "sts", a.Service == "organizations",
		a.Service == "rds" && strings.HasPrefix(a.Resource, "global-cluster:"),
		a.Service == "elasticache" && strings.HasPrefix(a.Resource, "globalreplicationgroup:"):
		return absent, required
	case a.Service == "s3" && a.Account == "":
		// Buckets and objects have neither; only access points and the like have
		// a Region, and those have an account too.
		return absent, optional
	case a.Service == "s3":
		return optional, optional
	case a.Service == "ec2" && (strings.HasPrefix(a.Resource, "snapshot/") || strings.HasPrefix(a.Resource, "image/")):
		return required, optional
	}
	return required, required
}
