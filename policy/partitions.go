package policy

import "strings"

// Partition is a part of AWS with Regions, accounts and identities of its own.
// Trust, keys and snapshots never cross from one into another.
type Partition struct {
	ID        string // the second part of every ARN: "aws", "aws-cn"
	DNSSuffix string // "amazonaws.com"
}

// maxRegion bounds the name of a Region: it is a label of the host name of every
// endpoint, and a label has at most 63 bytes (RFC 1035).
const maxRegion = 63

// PartitionOf returns the partition of a Region, by the form of its name.
//
// The forms are those of the partitions file of the AWS SDKs, tightened where
// no Region ever used the freedom: small letters, digits and hyphens only, a
// number without leading zeros, and no commercial Region whose place is called
// gov or iso-something. A well-formed Region that is newer than this package is
// accepted. What is of no partition is a *NameError, and so are the
// pseudo-Regions (aws-global) and the names of zones (us-east-1a).
//
// Source: botocore and AWS SDK for Go, partitions.json.
func PartitionOf(region string) (Partition, error) {
	p, f := partitionOf(region)
	return p, f.in("Region", region)
}

// ValidateRegion reports whether region is the name of a Region of some
// partition, as [PartitionOf] decides it.
func ValidateRegion(region string) error {
	_, f := partitionOf(region)
	return f.in("Region", region)
}

// PartitionByID returns the partition with this id, as it stands in ARNs.
//
// Source: botocore and AWS SDK for Go, partitions.json.
func PartitionByID(id string) (Partition, error) {
	p, f := partitionByID(id)
	return p, f.in("partition", id)
}

// OptIn reports whether an account must enable region before it can be used.
// Regions opened after 20 March 2019 are like that, so a Region of partition aws
// that this package does not know counts as one. The other partitions have no
// opt-in, and what is not the name of a Region reports false.
//
// Source: Account Management reference guide, "Enable or disable AWS Regions in
// your account".
func OptIn(region string) bool {
	p, f := partitionOf(region)
	return !f.bad() && p.ID == "aws" && !enabledByDefault(region)
}

// enabledByDefault lists the Regions of partition aws that need no opt-in. The
// list is closed: every new Region is an opt-in Region.
func enabledByDefault(region string) bool {
	switch region {
	case "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
		"ap-south-1", "ap-southeast-1", "ap-southeast-2",
		"ca-central-1",
		"eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3",
		"sa-east-1",
		"us-east-1", "us-east-2", "us-west-1", "us-west-2":
		return true
	}
	return false
}

func partitionByID(id string) (Partition, fault) {
	var suffix string
	switch id {
	case "aws", "aws-us-gov":
		suffix = "amazonaws.com"
	case "aws-cn":
		suffix = "amazonaws.com.cn"
	case "aws-eusc":
		suffix = "amazonaws.eu"
	case "aws-iso":
		suffix = "c2s.ic.gov"
	case "aws-iso-b":
		suffix = "sc2s.sgov.gov"
	case "aws-iso-e":
		suffix = "cloud.adc-e.uk"
	case "aws-iso-f":
		suffix = "csp.hci.ic.gov"
	case "":
		return Partition{}, empty()
	default:
		return Partition{}, faultf(RulePartition, 0, "no known partition")
	}
	return Partition{ID: id, DNSSuffix: suffix}, fault{}
}

func partitionOf(region string) (Partition, fault) {
	if region == "" {
		return Partition{}, empty()
	}
	for i := range len(region) {
		if i == maxRegion {
			return Partition{}, faultf(RuleLength, i, "longer than %d characters", maxRegion)
		}
		if c := region[i]; !isLower(c) && !isDigit(c) && c != '-' {
			return Partition{}, badChar(region, i, "a small letter, a digit or a hyphen")
		}
	}
	id, n := partitionPrefix(region)
	if id == "" {
		return Partition{}, faultf(RulePartition, 0, "of no known partition")
	}
	if f := checkPlace(region, n, id); f.bad() {
		return Partition{}, f
	}
	return partitionByID(id)
}

// partitionPrefix returns the partition that the beginning of region tells, and
// how long that beginning is. The longer beginnings are tried first: us- alone
// would also catch GovCloud and the isolated Regions.
func partitionPrefix(region string) (id string, n int) {
	switch {
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov", len("us-gov-")
	case strings.HasPrefix(region, "us-iso-"):
		return "aws-iso", len("us-iso-")
	case strings.HasPrefix(region, "us-isob-"):
		return "aws-iso-b", len("us-isob-")
	case strings.HasPrefix(region, "eu-isoe-"):
		return "aws-iso-e", len("eu-isoe-")
	case strings.HasPrefix(region, "us-isof-"):
		return "aws-iso-f", len("us-isof-")
	case strings.HasPrefix(region, "eusc-de-"):
		return "aws-eusc", len("eusc-de-")
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn", len("cn-")
	case len(region) < 3 || region[2] != '-':
		return "", 0
	}
	switch region[:2] {
	case "us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx":
		return "aws", len("us-")
	}
	return "", 0
}

// checkPlace checks what follows the first n bytes of region: a place, a hyphen
// and a number.
func checkPlace(region string, n int, partition string) fault {
	place, number, found := strings.Cut(region[n:], "-")
	at := n + len(place) + 1
	switch {
	case place == "" || !found || number == "":
		return faultf(RuleForm, min(at, len(region)), "place, hyphen and number of the Region expected")
	case partition == "aws" && (place == "gov" || strings.HasPrefix(place, "iso")):
		// The published pattern of the commercial partition would take us-gov-1
		// and us-isox-1. Whatever they will be, they will not be commercial.
		return faultf(RulePartition, n, "%q is no place of partition aws", place)
	case number[0] == '0':
		return faultf(RuleForm, at, "the number of the Region begins with 0")
	}
	for i := range len(number) {
		switch {
		case isDigit(number[i]):
		case i > 0 && isLower(number[i]) && i == len(number)-1:
			return faultf(RuleForm, at+i, "an Availability Zone instead of a Region: %s", charAt(number, i))
		default:
			return faultf(RuleForm, at+i, "%s in the number of the Region", charAt(number, i))
		}
	}
	return fault{}
}

func isLower(c byte) bool  { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool  { return 'A' <= c && c <= 'Z' }
func isLetter(c byte) bool { return isLower(c) || isUpper(c) }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isHex(c byte) bool    { return isDigit(c) || 'a' <= c && c <= 'f' }
