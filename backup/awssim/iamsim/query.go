package iamsim

import "github.com/snapwarden/snapwarden/policy"

// Query is one question: may this principal do this to that?
type Query struct {
	// Principal is who asks: the ARN of a user, a role, a role's session or an account's root; a service principal such as
	// export.rds.amazonaws.com; a canonical user id of 64 hexadecimal digits; or "" for a caller without credentials.
	Principal string
	// PrincipalAccount is the caller's account, 12 digits. Empty means the account in the Principal's ARN.
	PrincipalAccount string
	// CanonicalID is the canonical user id of the caller's account, where S3 knows the caller by one; it may be empty.
	CanonicalID string
	// Action is a single action, "s3:PutObject". Letter case does not matter.
	Action string
	// Resource is the ARN of what the action is done to, or "*" for actions that know no resources.
	Resource string
	// ResourceAccount is the account that owns the resource. Empty means the caller's own.
	ResourceAccount string
	// Context holds the values of the request's condition keys. Letter case of the keys does not matter.
	Context map[string][]string
	// Identity are the policies that are attached to the caller.
	Identity []policy.Document
	// ResourcePolicy is the policy of the resource, nil for none.
	ResourcePolicy *policy.Document
	// KeyPolicy tells that ResourcePolicy is a KMS key's, or the trust policy of a role: then the caller's own policies count only as far as it
	// lets them.
	KeyPolicy bool
	// Boundary is the caller's permissions boundary, nil for none.
	Boundary *policy.Document
	// SCP are the service control policies above the caller's account, one Document for each level. All of them must allow.
	SCP []policy.Document
}

// Reason says why a Decision is what it is. The values are stable.
type Reason string

// The reasons.
const (
	// AllowedByIdentity: the caller's own policies allow it, and nothing else is needed.
	AllowedByIdentity Reason = "allowed by identity policy"
	// AllowedByResource: the policy of the resource allows it, and nothing else is needed.
	AllowedByResource Reason = "allowed by resource policy"
	// AllowedByBoth: both are needed, and both allow it.
	AllowedByBoth Reason = "allowed by identity and resource policy"
	// AllowedByDefault: nothing is attached to the caller, and the simulated IAM is not strict. Evaluate never gives it.
	AllowedByDefault Reason = "allowed by default"
	// DeniedExplicitly: a statement with the effect Deny matches.
	DeniedExplicitly Reason = "explicit deny"
	// DeniedByIdentity: no statement of the caller's own policies allows it, where one is needed.
	DeniedByIdentity Reason = "implicit deny by identity policy"
	// DeniedByResource: no statement of the resource's policy allows it, where one is needed.
	DeniedByResource Reason = "implicit deny by resource policy"
	// DeniedByBoundary: no statement of the permissions boundary allows it.
	DeniedByBoundary Reason = "implicit deny by permissions boundary"
	// DeniedBySCP: no statement of one of the service control policies allows it.
	DeniedBySCP Reason = "implicit deny by service control policy"
	// Undecidable: a Deny cannot be understood, or the Query is malformed. It never allows.
	Undecidable Reason = "undecidable"
)

// Decision is the answer to a Query.
type Decision struct {
	Allowed bool
	Reason  Reason
	// Statement is the statement that decided, with its policy: `identity policy 0, statement "Export"`, or its number where it has no Sid.
	// Empty for an implicit deny.
	Statement string
	// Missing says in words which permission is missing, or what is in its way; empty where Allowed.
	Missing string
}
