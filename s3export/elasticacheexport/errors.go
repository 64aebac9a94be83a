package elasticacheexport

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/policy"
)

// message is one row of what CopySnapshot says where an export is refused. AWS tells these apart by words only, and documents no code. For
// ExportServerlessCacheSnapshot the API lists no words, and the User Guide gives some of them for both.
// Source: ElastiCache API, CopySnapshot; ElastiCache User Guide, "Exporting a backup", its list of errors.
type message struct {
	part string
	id   string
	code backup.Code
	// hint has {service} where the service principal stands, and {call} where the action that asks for the export does.
	hint string
	// grant is the other way to mend it, where the bucket's ACL has an effect.
	grant string
}

// remedy is the hint for a bucket in a Region, with the other way if the bucket's ACL has an effect.
func (m message) remedy(region string, acls bool) string {
	hint := m.hint
	if service, err := policy.ElastiCacheSnapshotPrincipal(region); err == nil {
		hint = strings.ReplaceAll(hint, "{service}", service)
	}
	if acls {
		hint += m.grant
	}
	return hint
}

// ofGrant tells that a row is about what ElastiCache may do with the bucket.
func (m message) ofGrant() bool { return m.grant != "" }

// of gives a finding's id.
func of(id string) string { return Kind + "." + id }

// idKeyTaken is the finding that a key of the export is taken.
const idKeyTaken = "elasticacheexport.key-taken"

// messages are in the order in which they are tried.
var messages = [...]message{
	{"granted READ_ACP permissions", "elasticacheexport.grant-read-acp", backup.ErrDenied,
		"ElastiCache may not look at the bucket's ACL: allow s3:GetBucketAcl on the bucket to {service} in the bucket policy (policy.ExportStatement)", ", or grant READ_ACP to its canonical id (in the console: view permissions)"},
	{"granted READ permissions", "elasticacheexport.grant-read", backup.ErrDenied,
		"ElastiCache may not list or read the bucket: allow s3:ListBucket on the bucket and s3:GetObject on its objects to {service} in the bucket policy (policy.ExportStatement)", ", or grant READ to its canonical id (in the console: list and read)"},
	{"granted WRITE permissions", "elasticacheexport.grant-write", backup.ErrDenied,
		"ElastiCache may not write to the bucket: allow s3:PutObject on its objects to {service} in the bucket policy (policy.ExportStatement)", ", or grant WRITE to its canonical id (in the console: upload and delete)"},
	{"unable to validate the authenticated user", "elasticacheexport.caller-list-all", backup.ErrDenied,
		"the caller's own policy must allow s3:ListAllMyBuckets on arn:aws:s3:::* ; limiting it to one bucket is what causes this", ""},
	{"does not have sufficient permissions", "elasticacheexport.caller-rights", backup.ErrDenied,
		"the caller's own policy must allow {call}, s3:GetBucketLocation and s3:ListBucket on the bucket, s3:PutObject, s3:GetObject and s3:DeleteObject on its objects, and s3:ListAllMyBuckets on arn:aws:s3:::*", ""},
	{"outside of the region", "elasticacheexport.bucket-region", backup.ErrInvalid,
		"export to a bucket in the snapshot's own Region, and copy the files from there", ""},
	{"is not owned by", "elasticacheexport.bucket-owner", backup.ErrDenied,
		"export to a bucket of the account that the snapshot belongs to, and copy the files from there", ""},
	{"already contains an object", idKeyTaken, backup.ErrConflict,
		"an export never overwrites: choose another Spec.Name, or leave it empty", ""},
	{"Customer Managed CMK", "elasticacheexport.customer-key", backup.ErrUnsupported,
		"a snapshot under a customer managed key can not be exported, and no copy brings it back under the default key: back up a cluster that uses the default key", ""},
	{"S3 bucket", "elasticacheexport.bucket-missing", backup.ErrNotFound,
		"create the bucket in the snapshot's Region, with ACLs disabled and public access blocked, and let ElastiCache in by its policy", ""},
}

// explain gives the row that an error of CopySnapshot belongs to, one without an id if there is none.
func explain(err error) message {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return message{}
	}
	for _, m := range messages {
		if strings.Contains(api.ErrorMessage(), m.part) && (m.part != "S3 bucket" || strings.Contains(api.ErrorMessage(), "does not exist")) {
			return m
		}
	}
	return message{}
}

func rule(code backup.Code, class awscall.Class, hint string) []awscall.Rule {
	return []awscall.Rule{{Code: code, Class: class, Hint: hint}}
}

// cacheTable classifies the ElastiCache codes of the calls in use. Source: the SDK's elasticache/deserializers.go.
var cacheTable = awscall.Table{
	"APICallRateForCustomerExceeded":           rule(backup.ErrThrottled, awscall.NotApplied, "too many calls; it is tried again later"),
	"SnapshotNotFoundFault":                    rule(backup.ErrNotFound, awscall.Permanent, "check the snapshot's name, the account and the Region"),
	"CacheClusterNotFound":                     rule(backup.ErrNotFound, awscall.Permanent, "check the snapshot's name, the account and the Region"),
	"InvalidSnapshotState":                     rule(backup.ErrUnavailable, awscall.NotYet, "the snapshot is being made, copied or restored; it is tried again"),
	"ServerlessCacheSnapshotNotFoundFault":     rule(backup.ErrNotFound, awscall.Permanent, "check the snapshot's name, the account and the Region"),
	"ServerlessCacheNotFoundFault":             rule(backup.ErrNotFound, awscall.Permanent, "check the snapshot's name, the account and the Region"),
	"InvalidServerlessCacheSnapshotStateFault": rule(backup.ErrUnavailable, awscall.NotYet, "the serverless snapshot is being made, copied, exported or restored; it is tried again"),
	"ServiceLinkedRoleNotFoundFault":           rule(backup.ErrDenied, awscall.Permanent, "the role AWSServiceRoleForElastiCache is missing: allow iam:CreateServiceLinkedRole, or create it"),
	"SnapshotAlreadyExistsFault":               rule(backup.ErrConflict, awscall.Permanent, "the name is taken: choose another Spec.Name, or leave it empty"),
	"SnapshotQuotaExceededFault":               rule(backup.ErrQuota, awscall.Permanent, "the quota of manual snapshots is full; whether an export counts is not documented"),
	"TagQuotaPerResourceExceeded":              rule(backup.ErrInvalid, awscall.Permanent, "too many tags"),
	"InvalidParameterValue":                    rule(backup.ErrInvalid, awscall.Permanent, "the message names the parameter"),
	"InvalidParameterCombination":              rule(backup.ErrInvalid, awscall.Permanent, "the message names the parameters; data tiering and customer managed keys can not be exported"),
}

// s3Table classifies the S3 codes of the calls in use. Source: S3 API, "Error responses"; the SDK's s3/types/errors.go.
var s3Table = awscall.Table{
	"NoSuchBucket":                       rule(backup.ErrNotFound, awscall.Permanent, "the bucket does not exist: create it in the snapshot's Region"),
	"NoSuchKey":                          rule(backup.ErrNotFound, awscall.Permanent, "the object does not exist, or was deleted"),
	"NotFound":                           rule(backup.ErrNotFound, awscall.Permanent, "the bucket or object does not exist"),
	"Forbidden":                          rule(backup.ErrDenied, awscall.Permanent, "the caller may not look at it, or the bucket belongs to another account"),
	"BadRequest":                         rule(backup.ErrUnavailable, awscall.NotApplied, "S3 gives no reason to a HEAD request: expired credentials are the usual one"),
	"PermanentRedirect":                  rule(backup.ErrInvalid, awscall.Permanent, "the bucket is in another Region than the snapshot"),
	"MovedPermanently":                   rule(backup.ErrInvalid, awscall.Permanent, "the bucket is in another Region than the snapshot"),
	"AuthorizationHeaderMalformed":       rule(backup.ErrInvalid, awscall.Permanent, "the bucket is in another Region than the snapshot"),
	"PreconditionFailed":                 rule(backup.ErrConflict, awscall.Permanent, "somebody else wrote or changed the object"),
	"ConditionalRequestConflict":         rule(backup.ErrUnavailable, awscall.NotApplied, "somebody else writes the object at this moment; it is looked at again"),
	"EncryptionTypeMismatch":             rule(backup.ErrInvalid, awscall.Permanent, "the bucket's encryption does not fit the request"),
	"MalformedPolicy":                    rule(backup.ErrInvalid, awscall.Permanent, "S3 does not take the policy: the message says why"),
	"AccessControlListNotSupported":      rule(backup.ErrUnsupported, awscall.Permanent, "the bucket's ACLs are disabled: use its policy"),
	"IllegalLocationConstraintException": rule(backup.ErrInvalid, awscall.Permanent, "use a client of the bucket's Region"),
	"InvalidLocationConstraint":          rule(backup.ErrInvalid, awscall.Permanent, "the Region does not exist, or is not enabled for the account"),
	"InvalidBucketName":                  rule(backup.ErrInvalid, awscall.Permanent, "choose a name that S3 accepts"),
	"TooManyBuckets":                     rule(backup.ErrQuota, awscall.Permanent, "the account has as many buckets as its quota allows"),
	"BucketAlreadyExists":                rule(backup.ErrConflict, awscall.Permanent, "choose another name: the names of buckets are shared by all accounts"),
	"OperationAborted":                   rule(backup.ErrUnavailable, awscall.NotApplied, "S3 is still busy with the bucket; it is tried again"),
	"InvalidRequest":                     rule(backup.ErrInvalid, awscall.Permanent, "the message names what is wrong"),
	"InvalidWriteOffset":                 rule(backup.ErrInvalid, awscall.Permanent, "the message names what is wrong"),
	"TooManyParts":                       rule(backup.ErrInvalid, awscall.Permanent, "the message names what is wrong"),
	"InvalidObjectState":                 rule(backup.ErrUnsupported, awscall.Permanent, "the object is archived: a lifecycle rule moved it to a Glacier class; restore it first"),
}

func invalid(r backup.Ref, hint, format string, args ...any) error {
	return &backup.Error{Op: "export", Kind: Kind, Ref: r, Code: backup.ErrInvalid, Err: fmt.Errorf(format, args...), Hint: hint}
}

func failure(op backup.Operation, what string, code backup.Code, hint, format string, args ...any) error {
	return &backup.Error{Op: what, Kind: Kind, Ref: op.Ref, Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
}
