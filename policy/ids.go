package policy

import "strings"

// Hexadecimal digits in the ids of EC2: 8 in old resources, which keep their ids,
// and 17 in all others.
const (
	shortID = 8
	longID  = 17
)

// ValidateSnapshotID checks the id of an EBS snapshot: snap- and 8 or 17
// hexadecimal digits in lower case.
//
// Source: EC2 user guide, "Resource IDs".
func ValidateSnapshotID(id string) error { return checkID(id, "snap-").in("EBS snapshot id", id) }

// ValidateVolumeID checks the id of an EBS volume: vol- and 8 or 17 hexadecimal
// digits in lower case. The dummy that copied snapshots name as their volume,
// vol-ffffffff, is well formed.
//
// Source: EC2 user guide, "Resource IDs".
func ValidateVolumeID(id string) error { return checkID(id, "vol-").in("EBS volume id", id) }

// ValidateInstanceID checks the id of an EC2 instance: i- and 8 or 17 hexadecimal
// digits in lower case. Managed instances of Systems Manager (mi-) are others.
//
// Source: EC2 user guide, "Resource IDs".
func ValidateInstanceID(id string) error { return checkID(id, "i-").in("EC2 instance id", id) }

// ValidateImageID checks the id of an Amazon Machine Image: ami- and 8 or 17
// hexadecimal digits in lower case.
//
// Source: EC2 user guide, "Resource IDs".
func ValidateImageID(id string) error { return checkID(id, "ami-").in("AMI id", id) }

func checkID(id, prefix string) fault {
	switch {
	case id == "":
		return empty()
	case !strings.HasPrefix(id, prefix):
		return faultf(RulePrefix, 0, "%q expected", prefix)
	}
	hex := id[len(prefix):]
	if n := hexPrefix(hex, longID); n < len(hex) {
		if n == longID {
			return faultf(RuleLength, len(prefix)+n, "more than %d digits", longID)
		}
		return badChar(id, len(prefix)+n, "a hexadecimal digit in lower case")
	}
	if len(hex) != shortID && len(hex) != longID {
		return faultf(RuleLength, len(id), "%d digits instead of %d or %d", len(hex), shortID, longID)
	}
	return fault{}
}

// hexPrefix returns how many bytes of s, at most max, are lower-case hexadecimal
// digits before the first that is not.
func hexPrefix(s string, max int) int {
	n := 0
	for n < len(s) && n < max && isHex(s[n]) {
		n++
	}
	return n
}

// ValidateKMSKeyARN checks the ARN of a KMS key:
// arn:aws:kms:us-east-1:111122223333:key/ and a UUID in lower case, or mrk- and 32
// hexadecimal digits for a multi-Region key.
//
// Nothing shorter passes, although most calls would take it: a bare id or alias
// is looked up in the caller's own account and Region, so it means another key,
// or none, when a snapshot goes to another account. Alias ARNs are refused for a
// related reason: an alias can be pointed at another key later.
//
// Source: KMS developer guide, "Key identifiers (KeyId)" and "Allowing users in
// other accounts to use a KMS key".
func ValidateKMSKeyARN(arn string) error { return checkKey(arn).in("KMS key ARN", arn) }

func checkKey(arn string) fault {
	a, f := parseARN(arn)
	if f.bad() {
		return f
	}
	at := len(arn) - len(a.Resource)
	id, found := strings.CutPrefix(a.Resource, "key/")
	switch {
	case a.Service != "kms":
		return faultf(RuleForm, len("arn:")+len(a.Partition)+1, "an ARN of %s instead of kms", a.Service)
	case strings.HasPrefix(a.Resource, "alias/"):
		return faultf(RuleAlias, at, "an alias instead of a key")
	case !found:
		return faultf(RulePrefix, at, `"key/" expected`)
	}
	at += len("key/")
	if hex, multiRegion := strings.CutPrefix(id, "mrk-"); multiRegion {
		return checkHexGroups(hex, 32).shift(at + len("mrk-"))
	}
	return checkHexGroups(id, 8, 4, 4, 4, 12).shift(at)
}

// checkHexGroups checks groups of lower-case hexadecimal digits, of these
// lengths, with a hyphen between them.
func checkHexGroups(s string, groups ...int) fault {
	if s == "" {
		return empty()
	}
	at := 0
	for i, n := range groups {
		if i > 0 {
			if at == len(s) || s[at] != '-' {
				return faultf(RuleForm, at, "hyphen of the key id expected")
			}
			at++
		}
		got := hexPrefix(s[at:], n)
		at += got
		switch {
		case got == n:
		case at == len(s) || s[at] == '-':
			return faultf(RuleForm, at, "%d digits instead of %d in the key id", got, n)
		default:
			return badChar(s, at, "a hexadecimal digit in lower case")
		}
	}
	if at < len(s) {
		return faultf(RuleForm, at, "%s follows the key id", charAt(s, at))
	}
	return fault{}
}
