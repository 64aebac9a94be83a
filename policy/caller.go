package policy

import (
	"slices"
	"strings"
)

// Scope is where a caller's policy holds. The policies are those of identities, to be attached to the role that runs a workflow: they name what
// that workflow calls and nothing else, in one account and Region. A role for several Regions has several of them.
//
// Backup, restore and deletion each have a policy of their own, so that whoever backs up can delete nothing. A canceled backup of EBS
// volumes deletes the snapshots that it made: a role that cancels such backups needs EBSDeletePolicy too.
//
// No policy here lets anybody change a key's policy, unlock a snapshot or an object, or make a snapshot public.
type Scope struct {
	// Account and Region are those of what is backed up, restored or deleted. Required.
	Account, Region string
	// Owner is the value of the tag snapwarden:owner that what is made must have, and that what is deleted must have got: 1 to 64 letters,
	// digits and . _ -. Empty means "snapwarden", the owner of whoever names none.
	Owner string
	// SnapshotPrefix is what the names of RDS and ElastiCache snapshots that are made must begin with. Empty means "sw-", with which all names
	// begin that the library makes up; whoever gives names to snapshots lets them begin alike.
	SnapshotPrefix string
	// Keys are the ARNs of the customer managed keys that are used meanwhile, of that Region; they may be another account's. Each
	// key's policy must allow the same. None means that there is none, or only such as AWS manages.
	Keys []string
}

// The tag that binds what is made and deleted to an owner, as the library writes it.
const (
	tagOwner     = "snapwarden:owner"
	defaultOwner = "snapwarden"
)

// scope is a Scope that was checked and completed.
type scope struct {
	Scope
	partition string
}

func (s Scope) checked() (scope, error) {
	if err := ValidateAccountID(s.Account); err != nil {
		return scope{}, err
	}
	p, err := PartitionOf(s.Region)
	if err != nil {
		return scope{}, err
	}
	if s.Owner == "" {
		s.Owner = defaultOwner
	}
	if err := checkOwner(s.Owner).in("owner", s.Owner); err != nil {
		return scope{}, err
	}
	if s.SnapshotPrefix == "" {
		s.SnapshotPrefix = "sw-"
	}
	// A prefix may end in a hyphen; with a letter after it, it must be a name.
	if err := checkName(s.SnapshotPrefix+"x", 40).in("prefix of snapshots' names", s.SnapshotPrefix); err != nil {
		return scope{}, err
	}
	s.SnapshotPrefix = CanonicalName(s.SnapshotPrefix)
	for _, k := range s.Keys {
		if err := checkKeyIn(k, p.ID, s.Region).in("KMS key ARN", k); err != nil {
			return scope{}, err
		}
	}
	return scope{s, p.ID}, nil
}

func checkOwner(s string) fault {
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && !isDigit(c) && strings.IndexByte("._-", c) < 0 {
			return badChar(s, i, "a letter, a digit or one of . _ -")
		}
	}
	if len(s) > 64 {
		return faultf(RuleLength, 64, "longer than 64 characters")
	}
	return fault{}
}

// checkKeyIn checks the ARN of a key that is used in a Region.
func checkKeyIn(arn, partition, region string) fault {
	if f := checkKey(arn); f.bad() {
		return f
	}
	a, _ := parseARN(arn)
	if a.Partition != partition || a.Region != region {
		return faultf(RuleRegion, -1, "of Region %s instead of %s: a service uses keys of its own Region", a.Region, region)
	}
	return fault{}
}

// arn names resources of the account and the Region. What stands in them was checked, or is a * that is meant.
func (s scope) arn(service string, resources ...string) (all []string) {
	for _, r := range resources {
		all = append(all, "arn:"+s.partition+":"+service+":"+s.Region+":"+s.Account+":"+r)
	}
	return all
}

// each puts a prefix before each name, or before * where there is none.
func each(prefix string, names []string) (all []string) {
	if len(names) == 0 {
		return []string{prefix + "*"}
	}
	for _, n := range names {
		all = append(all, prefix+n)
	}
	return all
}

// tagged holds for calls that set the owner's tag in the call itself.
func (s scope) tagged() Condition {
	return Condition{"StringEquals": {"aws:RequestTag/" + tagOwner: {s.Owner}}}
}

// owned holds for what has the owner's tag.
func (s scope) owned() Condition {
	return Condition{"StringEquals": {"aws:ResourceTag/" + tagOwner: {s.Owner}}}
}

// here holds for calls to the Region: for actions that know no resources.
func (s scope) here() Condition {
	return Condition{"StringEquals": {"aws:RequestedRegion": {s.Region}}}
}

// keys let the caller use the scope's keys through services: look at them, use them, and let the service make grants. Without keys there are none.
// ElastiCache is seen as two services.
//
// Source: KMS developer guide, "AWS KMS condition keys"; EBS user guide, "Requirements for Amazon EBS encryption"; RDS user guide, "Encrypting
// Amazon RDS resources".
func (s scope) keys(sid string, services ...string) ([]Statement, error) {
	if len(s.Keys) == 0 {
		return nil, nil
	}
	return keyStatements(sid, s.partition, s.Region, s.Keys, []string{"kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"}, true, services...)
}

func keyStatements(sid, partition, region string, keys, use []string, grants bool, services ...string) ([]Statement, error) {
	via, err := viaService(partition, []string{region}, services...)
	if err != nil {
		return nil, err
	}
	on := func() []string { return slices.Clone(keys) }
	through := Condition{"StringEquals": {"kms:ViaService": via}}
	all := []Statement{allow(sid+"KeyLook", on(), nil, "kms:DescribeKey")}
	if len(use) > 0 {
		all = append(all, allow(sid+"KeyUse", on(), through, use...))
	}
	if grants {
		all = append(all, allow(sid+"KeyGrant", on(), Condition{"StringEquals": {"kms:ViaService": slices.Clone(via)}, "Bool": {"kms:GrantIsForAWSResource": {"true"}}}, "kms:CreateGrant"))
	}
	return all, nil
}

// allow is a statement of an identity's policy.
func allow(sid string, resources []string, c Condition, actions ...string) Statement {
	return Statement{Sid: sid, Effect: Allow, Action: actions, Resource: resources, Condition: c}
}

// eachValid checks names one by one.
func eachValid(names []string, check func(string) error) error {
	for _, n := range names {
		if err := check(n); err != nil {
			return err
		}
	}
	return nil
}

// canonical gives names as the service stores them and as its ARNs have them.
func canonical(names []string) (all []string) {
	for _, n := range names {
		all = append(all, CanonicalName(n))
	}
	return all
}
