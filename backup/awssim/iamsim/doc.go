// Package iamsim is the simulated IAM of awssim: it evaluates the policies of identities, of resources and of keys.
//
//	iam := iamsim.Service()
//	world := awssim.New(iam, s3sim.Service(), rdssim.Service())
//	err := iam.Attach(world, "arn:aws:iam::111122223333:role/backup", doc)
//
// Evaluate is the pure part: one Query in, one Decision out, with the statement that decided or the permission that is missing in words. IAM is
// the simulated service around it, which remembers what is attached to whom, and what each principal used and was denied: a role has the least
// privilege for a workflow where a whole run leaves both Denied and Unused empty.
//
// An IAM in the World holds every caller to what is attached to it, in each call of each service, and answers with the service's own code:
// UnauthorizedOperation of EC2, AccessDeniedException of KMS, AccessDenied of the others. What a service does with the caller's rights in another
// service, as S3 with a key, is not asked, except where the package of that service says so.
//
// Without policies nothing changes: a principal to whom nothing is attached may do everything, as if it were an administrator, until Strict is
// called. Policies of resources count in any case.
//
// # What it is not
//
// IAM's own operations (CreateRole, PutRolePolicy and so on) are not simulated: attach from Go. There are no groups, session policies, resource
// control policies, grants of KMS, web identities and organisations. It is a model made from documentation; do not ask it whether a real policy is safe.
//
// # How a Query is decided
//
// The pages are of the IAM user guide where nothing else is said.
//
//	rule                                                                  source
//	A Deny that matches wins over every Allow, in whatever policy it      Policy evaluation logic
//	stands.
//	Without an Allow that matches the answer is no. The root user of an   Policy evaluation logic
//	account needs none for its own side.
//	Same account: the identity's policies or the resource's must allow.   Policy evaluation logic
//	Another account: both must. A resource's policy that names the        Cross-account policy evaluation logic
//	caller is not enough.
//	A resource's policy that names an account leaves it to that           AWS JSON policy elements: Principal
//	account's own policies. One that names a user, a session or everyone
//	suffices in its own account.
//	One that names a role suffices too, but not beyond the role's         Policy evaluation logic
//	permissions boundary; a boundary does not limit what is given to a
//	user, to a session or to everyone.
//	A key's policy, or a role's trust policy, must allow in any case:     KMS developer guide, "Key policies"; Policy
//	by naming the caller, or by naming the account whose own policies     evaluation logic
//	allow it.
//	Another account's key can be used, looked at and granted, but not     KMS developer guide, "Allowing users in other
//	administered.                                                         accounts to use a KMS key"
//	Service control policies must allow on each level; they do not give.  Policy evaluation logic
//	A permissions boundary limits the identity's policies; it does not    Permissions boundaries for IAM entities
//	give.
//	AWS services, callers without credentials and canonical user ids      AWS JSON policy elements: Principal
//	have the resource's policy alone.
//	A role's session is its role, too. The session's ARN lacks the        IAM identifiers; AWS JSON policy elements:
//	role's path; names of roles are unique without it.                    Principal
//	"*" and {"AWS":"*"} are everybody, also callers without               AWS JSON policy elements: Principal; services
//	credentials and AWS services.                                         under Allow: UNVERIFIED
//	Wildcards in part of a principal are not taken: no match, and a       AWS JSON policy elements: Principal
//	Deny with one is undecidable.
//	NotPrincipal with Deny spares only whom it names together with the    AWS JSON policy elements: NotPrincipal;
//	account and, of a session, the role; and nobody with a boundary.      Permissions boundaries for IAM entities
//	NotPrincipal with Allow is everybody who is not named in any way.
//
// # How a statement is matched
//
//	rule                                                                  source
//	Actions: letter case does not matter; * and ? are wildcards.          IAM JSON policy elements: Action
//	Resources: letter case matters; wildcards stay within one of the six  IAM JSON policy elements: Resource; over a
//	parts of an ARN; parts that lack at the end are anything. For a Deny  colon: UNVERIFIED, hence the stricter answer
//	a wildcard that reaches over a colon counts too.
//	Variables (${aws:PrincipalAccount}, ${aws:username, 'nobody'}, ${*})  IAM policy elements: Variables and tags
//	are replaced in resources and in text, ARN and Bool conditions, where
//	the document's Version is 2012-10-17; else they are plain text. What
//	they stand for holds no wildcards.
//	All operators and keys of a condition must hold; of several values    IAM JSON policy elements: Condition operators
//	one. Negated operators: none of the values.
//	A missing key fails; it passes negated operators and IfExists.        IAM JSON policy elements: Condition operators
//	ForAllValues passes without values, ForAnyValue does not.             Single-valued vs. multivalued context keys
//	Null: "true" is a key that is absent.                                 IAM JSON policy elements: Condition operators
//	ArnEquals is ArnLike. Both compare part by part.                      IAM JSON policy elements: Condition operators
//
// What cannot be decided never helps anybody: an operator that is not known (BinaryEquals is not simulated), a value that is no number, date,
// address or truth where one must stand, a variable without a value. An Allow that has one does not match. A Deny that has one, and that nothing
// else keeps from matching, makes the Decision Undecidable. AWS refuses to store most of these; of a variable without a value it says that the
// statement may be invalid.
//
// # What a request has
//
// Decide fills in aws:PrincipalArn (of a session the role's), aws:PrincipalAccount, aws:PrincipalType, aws:PrincipalIsAWSService, aws:username (of
// users), aws:RequestedRegion, aws:ResourceAccount, aws:SecureTransport (true), aws:ViaAWSService, aws:CurrentTime, aws:EpochTime and, for KMS,
// kms:CallerAccount and kms:GrantIsForAWSResource. kms:ViaService and the keys of S3 are for the asking service to give; with kms:ViaService
// aws:ViaAWSService becomes true. DecideService adds aws:SourceAccount and leaves out what is about principals. Authorize adds aws:RequestTag,
// aws:TagKeys, ec2:CreateAction and iam:PassedToService from the call, and aws:ResourceTag, of which the simulated EC2, RDS and ElastiCache tell the
// tags, or ResourceTags does.
//
// # What a call needs
//
// Actions tells it for each operation, Authorize asks for it; the World calls that before each call. A call that makes something with tags also
// needs ec2:CreateTags, rds:AddTagsToResource or elasticache:AddTagsToResource on what it makes. Describe calls of EC2 need "*"; lists of RDS and
// ElastiCache without a name need the right to every resource of their kind.
package iamsim
