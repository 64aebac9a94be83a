package policy

// Version is the only version of the policy language that this package writes. The older one, 2008-10-17, lacks policy variables.
//
// Source: IAM user guide, "IAM JSON policy elements: Version".
const Version = "2012-10-17"

// Effect is what a statement does with the requests that it matches.
type Effect string

// The two effects.
const (
	Allow Effect = "Allow"
	Deny  Effect = "Deny"
)

// Document is a policy of IAM, S3 or KMS as a value. Build it from its parts, or read one with ParseDocument; its JSON is written by
// json.Marshal and never by putting strings together, so that no value can become a second statement.
//
// A Document may hold patterns (* and ?) and variables, since policies that others wrote do. The builders of this package refuse them in
// the identifiers that they are given.
type Document struct {
	// Version is the version of the policy language; empty where the document has none.
	Version string
	// ID is the document's optional Id.
	ID string
	// Statements are the statements in their order. Order has no meaning to AWS; it is kept for the reader's sake.
	Statements []Statement
}

// Statement is one statement of a Document. Of Principal and NotPrincipal, Action and NotAction, Resource and NotResource at most one of
// each pair is set.
type Statement struct {
	// Sid names the statement within its document; empty where it has no name. Where there is one it is unique.
	Sid    string
	Effect Effect
	// Principal is whom the statement is about, nil in a policy that is attached to an identity.
	Principal, NotPrincipal *Principal
	// Action and Resource hold at least one element where they are set. A single one is written as a string, several as a list.
	Action, NotAction     []string
	Resource, NotResource []string
	// Condition holds the values by operator and key: Condition["StringEquals"]["aws:SourceAccount"].
	Condition Condition
}

// Principal is the principal element of a statement.
type Principal struct {
	// Everyone is the element written as "*", which is not the same text as {"AWS":"*"} but means the same.
	Everyone bool
	// AWS holds account ids, ARNs of accounts, roles and users, and the unique ids that AWS puts where a deleted one stood.
	AWS []string
	// Service holds service principals such as export.rds.amazonaws.com.
	Service []string
	// Federated and CanonicalUser hold identity providers and canonical user ids.
	Federated, CanonicalUser []string
}

// Condition is the condition element: operator, then key, then values. All operators and keys must hold; of the values of one key any.
type Condition map[string]map[string][]string
