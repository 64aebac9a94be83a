package policy

import "slices"

// LintRule is one rule of the linters.
type LintRule struct {
	// ID is stable for ever. The prefix says where the rule came from; KMS001, KMS007 and KMS009 hold in policies of every kind.
	ID string
	// Severity is the worst that the rule is reported with. What is bounded in part, or can not be known offline, is a Warning.
	Severity Severity
	// Meaning says what the rule is about, Remedy what to do about it.
	Meaning, Remedy string
}

// LintRules gives all rules of all linters of this package, in the order of their ids.
func LintRules() []LintRule { return slices.Clone(lintTable[:]) }

// lintRule gives one rule; the table holds every id that is used, which a test looks after.
func lintRule(id string) LintRule {
	for _, r := range lintTable {
		if r.ID == id {
			return r
		}
	}
	return LintRule{ID: id}
}

// lintTable is read and never written.
var lintTable = [...]LintRule{
	{"ACC001", SeverityError, "a principal of an account or an organization that was not declared, or whose account can not be told: a deleted role's unique id, a canonical id, " +
		"a principal of another partition; an error where trusted accounts are declared",
		"Remove the principal, or declare its account, or the organization, as a trusted one"},
	{"ACL001", SeverityError, "a grant to everybody or to everybody who has an AWS account; a warning for a grantee that can not be told",
		"Remove the grant, and disable ACLs where nothing needs them"},
	{"ACL002", SeverityError, "a grant that lets its grantee change the ACL itself, or one to the ElastiCache of another partition",
		"Grant READ, WRITE and READ_ACP to the canonical id of this partition and no more, or use the bucket's policy"},
	{"CD001", SeverityError, "a service, another account or an identity provider is let in without a condition on whose work it does, so that " +
		"strangers can send it (the confused deputy), or whose token it takes; a warning where the service is not known to send the source, or the provider is not known to serve everybody",
		"Add StringEquals on aws:SourceAccount (and ArnLike on aws:SourceArn) for a service, on sts:ExternalId for another account, on the subject (sub) for an identity provider"},
	{"DOC001", SeverityError, "the document is no policy, is ambiguous, lacks its Version so that variables mean nothing, lacks what a policy of its kind must have, or is too long",
		"Mend the document at the place named; without a Version, set 2012-10-17 after reading what then becomes a variable"},
	{"IAM001", SeverityError, "a right to delete or to destroy in the policy of an identity; a warning where it is bounded to names or tags",
		"Move deletion into a role of its own, bounded to names or owner tags; never give the destruction of keys, vaults or locks"},
	{"IAM002", SeverityError, "everything as the resource of an action that knows resources; a warning for reading, for unknown actions, and where tags bound it",
		"Name the resources by their ARNs"},
	{"IAM003", SeverityError, "the right to pass any role, or a role to any service; a warning for a named role without a named service",
		"Name the role's ARN, and bound the service by StringEquals on iam:PassedToService"},
	{"IAM004", SeverityError, "a right to carry data out of the account or to share it, on everything; a warning where tags or a type of resource bound it",
		"Name the snapshots by their ARNs, and give the right only to the role that exports"},
	{"KMS001", SeverityError, "everyone is allowed, without a bound on an exact operator",
		"Name the principals, or bound the statement by StringEquals on aws:PrincipalOrgID, kms:CallerAccount or aws:SourceAccount"},
	{"KMS002", SeverityError, "a foreign principal may administer or destroy a key, or revoke its grants",
		"Remove these actions: only the key's own account administers it"},
	{"KMS003", SeverityWarning, "a whole foreign account is trusted, whose administrators then decide who uses the key",
		"Name the role that uses the key"},
	{"KMS004", SeverityError, "a foreign principal may create grants that are not for a service of AWS; such grants outlive the policy",
		"Put kms:CreateGrant into a statement of its own with Bool kms:GrantIsForAWSResource true"},
	{"KMS005", SeverityError, "a wildcard gives a foreign principal all actions on a key, or covers administrative ones",
		"List the actions one by one"},
	{"KMS006", SeverityError, "the owner of a key is locked out or can be: no statement lets its account change the policy, one denies it, or the check of KMS is bypassed; " +
		"a warning where a role or a condition stands between",
		"Keep the statement that allows kms:* to the root of the owner account, without conditions"},
	{"KMS007", SeverityError, "Allow with NotAction, NotPrincipal or NotResource, which allows what nobody has thought of",
		"List what is allowed"},
	{"KMS008", SeverityError, "a key that AWS manages can not be shared, since its policy can not be changed; a warning where the manager is not known",
		"Copy the data under a customer managed key first"},
	{"KMS009", SeverityWarning, "a condition that also holds where its key is missing (IfExists, Null, ForAllValues) in an Allow, or a key or operator that is not known",
		"Use the exact operator without a prefix or suffix, and check the key's spelling"},
	{"KMS010", SeverityWarning, "a statement that somebody else wrote would be dropped or changed",
		"Merge by Sid, and keep what others wrote"},
	{"S3001", SeverityError, "all actions of S3, or administrative ones through a wildcard or for somebody else than the owner",
		"List the actions one by one"},
	{"S3002", SeverityError, "every bucket, also other people's; a warning where a part of the bucket's name is open. Only s3:ListAllMyBuckets needs it",
		"Name the bucket, and put s3:ListAllMyBuckets into a statement of its own"},
	{"S3003", SeverityWarning, "nothing refuses requests without TLS to a bucket that the policy is about",
		"Add the statement that DenyInsecureTransport builds, for the bucket and all that is in it"},
	{"S3004", SeverityError, "Block Public Access is off, whole or in part",
		"Turn all four settings on, for the account where possible"},
}
