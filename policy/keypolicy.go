package policy

import (
	"slices"
	"strings"
)

// KeyService is a service through which another account may use a key.
type KeyService string

// The services.
const (
	KeyRDS KeyService = "rds" // DB snapshots
	KeyEBS KeyService = "ec2" // EBS snapshots and volumes
	KeyS3  KeyService = "s3"  // objects
)

// KeyShare lets roles of one other account use a key through one service.
type KeyShare struct {
	// Service is the service. Required.
	Service KeyService
	// Account is the other account. Required.
	Account string
	// Name tells this share from others of the same service and account, such as that of the role that reads from that of the role that
	// writes: 1 to 32 ASCII letters and digits. Empty is for the only one. Service, Account and Name are what the share is known by, and make its
	// Sids: a share that comes with the same three, and other roles or rights, takes the place of the one that stands there.
	Name string
	// Roles are the ARNs of the roles of that account that make the calls: at least one, and not the account as a whole, because then its
	// administrators would decide who uses the key. They must exist before KMS is given the policy.
	Roles []string
	// Regions are those in which the service is called: at least one. Whether a copy from Region to Region in one call is seen as a call of the
	// source or the destination Region is UNVERIFIED: name both.
	Regions []string
	// Write lets the roles encrypt under the key too. Without it they can only read what is encrypted under it, which is all that a copy to a
	// key of their own needs.
	Write bool
}

// The Sids of the statements of a key policy that this package builds; those of a KeyShare begin with SidKeyShare.
const (
	SidKeyOwner   = "SnapwardenKeyOwner"
	SidKeyShare   = "SnapwardenKeyShare"
	SidKeyOutside = "SnapwardenKeyNoOutsideAdministration"
)

// KeyPolicy is the whole policy of a customer managed key of the owner's, in a partition, that other accounts use for copies: the owner
// manages the key by IAM, each share is let in as [KeyShareStatements] does, and administration from outside is denied.
//
// A key that has a policy already keeps what stands there: use [KeyShareStatements] and Document.Merge, ask [Widens], and read the policy back,
// for PutKeyPolicy replaces it as a whole. To end a share, take its statements out by Document.Without, and revoke the grants that were made:
// grants outlive the statements by which they were made.
//
// Source: KMS developer guide, "Default key policy" and "Allowing users in other accounts to use a KMS key".
func KeyPolicy(partition, owner string, shares ...KeyShare) (Document, error) {
	first, err := KeyOwnerStatement(partition, owner)
	if err != nil {
		return Document{}, err
	}
	all := []Statement{first}
	for i, share := range shares {
		if share.Account == owner {
			return Document{}, faultf(RuleForm, -1, "is the owner, who lets its own roles use the key by IAM").in("account", share.Account)
		}
		if slices.ContainsFunc(shares[:i], share.same) {
			return Document{}, faultf(RuleConflict, -1, "is shared with twice through %.20q under the name %.40q: give each KeyShare a Name of its own, or put the roles into one", share.Service, share.Name).in("account", share.Account)
		}
		s, err := KeyShareStatements(partition, share)
		if err != nil {
			return Document{}, err
		}
		all = append(all, s...)
	}
	last, err := DenyOutsideAdministration(owner)
	if err != nil {
		return Document{}, err
	}
	doc, _, err := Document{}.Merge(append(all, last)...)
	return doc, err
}

// KeyOwnerStatement lets the account that owns a key manage it by IAM. A key without it can become one that nobody can manage.
//
// Source: KMS developer guide, "Default key policy".
func KeyOwnerStatement(partition, owner string) (Statement, error) {
	if _, err := PartitionByID(partition); err != nil {
		return Statement{}, err
	}
	if err := ValidateAccountID(owner); err != nil {
		return Statement{}, err
	}
	return Statement{Sid: SidKeyOwner, Effect: Allow, Principal: &Principal{AWS: []string{rootARN(partition, owner)}},
		Action: []string{"kms:*"}, Resource: []string{"*"}}, nil
}

// KeyShareStatements let the roles of a share use the key on which they stand ("*" is this key):
//
//   - look at the key, which the roles do themselves;
//   - use it, through the service only (kms:ViaService) and as that account only;
//   - for RDS and EBS, make grants, through the service and only such as a service of AWS uses (kms:GrantIsForAWSResource). That condition
//     holds for no other action than those about grants, so it stands in a statement of its own. S3 makes no grants.
//
// None of them can change the key or who uses it, nor list and revoke the grants that the owner's resources rely on.
//
// Their Sids are made of the service, the account and KeyShare.Name, and of nothing else: what is merged under them replaces what the share allowed
// before, so that a role which was taken out, or Write that was, leaves nothing behind. Two shares of one service and account need Names, or the
// one replaces the other; Merged.Replaced tells.
//
// The other account must allow the same to its roles by IAM, for the ARN of the key; see [Scope].
//
// Source: KMS developer guide, "AWS KMS condition keys" and "Allowing users in other accounts to use a KMS key"; RDS user guide, "Sharing
// encrypted snapshots"; EBS user guide, "Share the KMS key used to encrypt a shared Amazon EBS snapshot".
func KeyShareStatements(partition string, share KeyShare) ([]Statement, error) {
	if _, err := PartitionByID(partition); err != nil {
		return nil, err
	}
	name, use, err := share.use()
	if err != nil {
		return nil, err
	}
	if err := share.check(partition); err != nil {
		return nil, err
	}
	via, err := viaService(partition, share.Regions, string(share.Service))
	if err != nil {
		return nil, err
	}
	who := func() *Principal { return &Principal{AWS: slices.Clone(share.Roles)} }
	sid := SidKeyShare + name + share.Account + share.Name
	through := func() Condition {
		return Condition{"StringEquals": {"kms:ViaService": slices.Clone(via), "kms:CallerAccount": {share.Account}}}
	}
	all := []Statement{
		{Sid: sid + "Look", Effect: Allow, Principal: who(), Action: []string{"kms:DescribeKey"}, Resource: []string{"*"}},
		{Sid: sid + "Use", Effect: Allow, Principal: who(), Action: use, Resource: []string{"*"}, Condition: through()},
	}
	if share.Service != KeyS3 {
		c := through()
		c["Bool"] = map[string][]string{"kms:GrantIsForAWSResource": {"true"}}
		all = append(all, Statement{Sid: sid + "Grant", Effect: Allow, Principal: who(), Action: []string{"kms:CreateGrant"}, Resource: []string{"*"}, Condition: c})
	}
	return all, nil
}

// use gives the name of the service for Sids, and the actions that its use of a key needs. RDS's guide lists more than a copy away from the key
// needs by its direction; Write gives the rest.
func (s KeyShare) use() (name string, actions []string, err error) {
	switch s.Service {
	case KeyRDS, KeyEBS:
		name, actions = map[KeyService]string{KeyRDS: "RDS", KeyEBS: "EBS"}[s.Service], []string{"kms:Decrypt", "kms:ReEncryptFrom", "kms:GenerateDataKeyWithoutPlaintext"}
		if s.Write {
			actions = append(actions, "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptTo")
		}
		return name, actions, nil
	case KeyS3:
		actions = []string{"kms:Decrypt"}
		if s.Write {
			actions = append(actions, "kms:GenerateDataKey")
		}
		return "S3", actions, nil
	}
	return "", nil, faultf(RuleForm, -1, "is none of KeyRDS, KeyEBS and KeyS3").in("service of a key", string(s.Service))
}

// maxShareName is the longest Name of a share.
const maxShareName = 32

// same reports whether both are known by the same, and so have the same Sids.
func (s KeyShare) same(o KeyShare) bool {
	return s.Service == o.Service && s.Account == o.Account && s.Name == o.Name
}

func (s KeyShare) check(partition string) error {
	if err := ValidateAccountID(s.Account); err != nil {
		return err
	}
	if len(s.Name) > maxShareName || strings.ContainsFunc(s.Name, func(c rune) bool { return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') }) {
		return faultf(RuleForm, -1, "is no name of up to %d ASCII letters and digits", maxShareName).in("name of a KeyShare", s.Name)
	}
	if len(s.Roles) == 0 {
		return faultf(RuleEmpty, -1, "no role: name the roles that use the key").in("roles of account", s.Account)
	}
	for _, arn := range s.Roles {
		if err := checkRole(arn, partition, s.Account).in("role ARN", arn); err != nil {
			return err
		}
	}
	return nil
}

// checkRole checks the ARN of a role of an account.
func checkRole(arn, partition, account string) fault {
	a, f := parseARN(arn)
	switch {
	case f.bad():
		return f
	case a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/") || strings.HasSuffix(a.Resource, "/"):
		return faultf(RuleForm, -1, "the ARN of a role has the form arn:%s:iam::%s:role/name", partition, account)
	case a.Partition != partition:
		return faultf(RulePartition, len("arn:"), "of partition %s instead of %s", a.Partition, partition)
	case a.Account != account:
		return faultf(RuleForm, -1, "of account %s instead of %s", a.Account, account)
	}
	return fault{}
}

// viaService gives the values of kms:ViaService. They end in .amazonaws.com in all partitions.
//
// Source: KMS developer guide, "AWS KMS condition keys", kms:ViaService.
func viaService(partition string, regions []string, services ...string) (all []string, err error) {
	if len(regions) == 0 {
		return nil, faultf(RuleEmpty, -1, "no Region: name those in which the service is called").in("Regions of", strings.Join(services, ", "))
	}
	for _, r := range regions {
		p, err := PartitionOf(r)
		if err != nil {
			return nil, err
		}
		if p.ID != partition {
			return nil, faultf(RulePartition, -1, "of partition %s instead of %s", p.ID, partition).in("Region", r)
		}
		for _, s := range services {
			all = append(all, s+"."+r+".amazonaws.com")
		}
	}
	return all, nil
}

// DenyOutsideAdministration denies everybody outside of the owner's account what can take the key away from its owner: most of it does not work
// across accounts today, but the revoking of grants does. Services of AWS that act on their own are left out, because they end grants that are
// no longer needed.
//
// Source: KMS developer guide, "Allowing users in other accounts to use a KMS key"; IAM user guide, "AWS global condition context keys".
func DenyOutsideAdministration(owner string) (Statement, error) {
	if err := ValidateAccountID(owner); err != nil {
		return Statement{}, err
	}
	return Statement{Sid: SidKeyOutside, Effect: Deny, Principal: &Principal{Everyone: true},
		Action:    []string{"kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:RevokeGrant", "kms:DeleteImportedKeyMaterial"},
		Resource:  []string{"*"},
		Condition: Condition{"StringNotEquals": {"aws:PrincipalAccount": {owner}}, "Bool": {"aws:PrincipalIsAWSService": {"false"}}}}, nil
}

// The most bytes that policies of IAM may have. IAM does not count white space, and Document.Encode writes none between the values.
//
// Source: IAM user guide, "IAM and AWS STS quotas".
const (
	MaxManagedPolicy = 6_144  // a managed policy
	MaxRolePolicy    = 10_240 // the inline policies of a role, together
	MaxTrustPolicy   = 2_048  // the trust policy of a role, unless the quota was raised
)
