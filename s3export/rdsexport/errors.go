package rdsexport

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/policy"
)

// message is one row of what RDS says of an export that failed. It tells these apart by words only.
type message struct {
	part string
	id   string
	code backup.Code
	hint string
}

// Hints with names in braces are filled in by state.fill.
const (
	hintTrust  = "let the service export.rds.amazonaws.com assume the role {role} in its trust policy (sts:AssumeRole), and check that the role exists"
	hintRole   = "allow the role {role} s3:PutObject*, s3:GetObject*, s3:ListBucket, s3:DeleteObject* and s3:GetBucketLocation on {bucket} and {bucket}/*, and look for a Deny in the bucket's policy"
	hintKey    = "enable the key {key} and allow its use: kms:CreateGrant and kms:DescribeKey to the caller, and let no Deny be without an exception for export.rds.amazonaws.com"
	hintBucket = "create the bucket {bucket} in the snapshot's Region and account, or name another in Options.Bucket"
)

// causes are in the order in which they are tried. Source: RDS User Guide, "Failure messages for Amazon S3 export tasks".
var causes = [...]message{
	{"can't assume the iam role", "rdsexport.role-trust", backup.ErrDenied, hintTrust},
	{"isn't authorized to call", "rdsexport.role-rights", backup.ErrDenied, hintRole},
	{"kms.disabledexception", "rdsexport.key", backup.ErrDenied, hintKey},
	{"kms.kmsinvalidstateexception", "rdsexport.key", backup.ErrDenied, hintKey},
	{"nosuchbucket", "rdsexport.bucket", backup.ErrNotFound, hintBucket},
	{"using the iam role", "rdsexport.access", backup.ErrDenied, hintRole + "; or " + hintKey},
	{"kms key check failed", "rdsexport.key", backup.ErrDenied, hintKey},
	{"s3 credential check failed", "rdsexport.role-rights", backup.ErrDenied, hintRole},
	{"doesn't exist", "rdsexport.bucket", backup.ErrNotFound, hintBucket},
	{"isn't located in the current", "rdsexport.bucket-region", backup.ErrInvalid, "export to a bucket in the snapshot's own Region, and copy the files from there"},
}

// explain gives the row that a FailureCause belongs to; one that nobody wrote down is a failure of AWS's.
func explain(cause string) message {
	text := strings.ToLower(strings.ReplaceAll(cause, "\u2019", "'"))
	for _, m := range causes {
		if strings.Contains(text, m.part) {
			return m
		}
	}
	return message{"", "rdsexport.task-failed", backup.ErrFailed, "look at the cause that RDS gives; export again with another token, and delete what this task has written at the place listed in Made"}
}

// fill puts the names of this export into a hint.
func (st state) fill(r backup.Ref, hint string) string {
	partition := "aws"
	if p, err := policy.PartitionOf(r.Region); err == nil {
		partition = p.ID
	}
	return strings.NewReplacer("{role}", st.Role, "{key}", st.Key, "{bucket}", "arn:"+partition+":s3:::"+st.Bucket).Replace(hint)
}

func rule(code backup.Code, class awscall.Class, hint string) []awscall.Rule {
	return []awscall.Rule{{Code: code, Class: class, Hint: hint}}
}

const hintParameter = "the message names the parameter"

// rdsTable classifies the RDS codes of the calls in use. Source: RDS API, the operations' own lists and "Common Errors"; the SDK's
// rds/deserializers.go. ExportTaskLimitReachedFault is in none of them: public reports show it.
var rdsTable = awscall.Table{
	"DBSnapshotNotFound":             rule(backup.ErrNotFound, awscall.Permanent, "check the snapshot's identifier, the account and the Region"),
	"DBClusterSnapshotNotFoundFault": rule(backup.ErrNotFound, awscall.Permanent, "check the snapshot's identifier, the account and the Region"),
	"DBClusterNotFoundFault":         rule(backup.ErrNotFound, awscall.Permanent, "check the snapshot's identifier, the account and the Region"),
	"ExportTaskNotFound":             rule(backup.ErrNotFound, awscall.Permanent, "the export task does not exist"),
	"ExportTaskAlreadyExists":        rule(backup.ErrConflict, awscall.Permanent, "another token gives the export another identifier"),
	"ExportTaskLimitReachedFault":    rule(backup.ErrQuota, awscall.NotYet, "as many exports run as the account may have (five unless it was raised); it is tried again"),
	"InvalidExportSourceState":       rule(backup.ErrUnavailable, awscall.NotYet, "the snapshot is not available now; it is tried again"),
	"InvalidExportTaskStateFault":    rule(backup.ErrUnsupported, awscall.Permanent, "the export has ended"),
	"InvalidExportOnly":              rule(backup.ErrInvalid, awscall.Permanent, "check the names in Options.Only: MySQL and MariaDB have database.table, PostgreSQL database.schema.table"),
	"IamRoleNotFound":                rule(backup.ErrDenied, awscall.Permanent, hintTrust),
	"IamRoleMissingPermissions":      rule(backup.ErrDenied, awscall.Permanent, hintRole),
	"InvalidS3BucketFault":           rule(backup.ErrDenied, awscall.Permanent, hintRole+"; the bucket must be in the snapshot's Region"),
	"KMSKeyNotAccessibleFault":       rule(backup.ErrDenied, awscall.Permanent, hintKey),
	"InvalidParameterValue":          rule(backup.ErrInvalid, awscall.Permanent, hintParameter),
	"InvalidParameterCombination":    rule(backup.ErrInvalid, awscall.Permanent, hintParameter),
	"InvalidParameter":               rule(backup.ErrInvalid, awscall.Permanent, hintParameter),
	"MissingParameter":               rule(backup.ErrInvalid, awscall.Permanent, hintParameter),
	"ValidationError":                rule(backup.ErrInvalid, awscall.Permanent, hintParameter),
	"NotAuthorized":                  rule(backup.ErrDenied, awscall.Permanent, "the caller's policy does not allow this action; the message names it"),
	"ServiceUnavailable":             rule(backup.ErrUnavailable, awscall.Ambiguous, "RDS is not able to answer now; it is looked at again later"),
	"InternalFailure":                rule(backup.ErrUnavailable, awscall.Ambiguous, "RDS had an internal error; it is looked at again later"),
}

// s3Table classifies the S3 codes of the calls in use. Source: S3 API, "Error responses"; the SDK's s3/types/errors.go.
var s3Table = awscall.Table{
	"NoSuchBucket":                 rule(backup.ErrNotFound, awscall.Permanent, "the bucket does not exist: create it in the snapshot's Region"),
	"AccessDenied":                 rule(backup.ErrDenied, awscall.Permanent, "the caller needs s3:ListBucket on the bucket, and the bucket must belong to the snapshot's account"),
	"PermanentRedirect":            rule(backup.ErrInvalid, awscall.Permanent, "the bucket is in another Region than the snapshot: export to one in its own Region"),
	"AuthorizationHeaderMalformed": rule(backup.ErrInvalid, awscall.Permanent, "the bucket is in another Region than the snapshot: export to one in its own Region"),
	"IllegalLocationConstraintException": rule(backup.ErrInvalid, awscall.Permanent,
		"the bucket is in another Region than the snapshot: export to one in its own Region"),
}

func invalid(r backup.Ref, hint, format string, args ...any) error {
	return &backup.Error{Op: "export", Kind: Kind, Ref: r, Code: backup.ErrInvalid, Err: fmt.Errorf(format, args...), Hint: hint}
}

func failure(op backup.Operation, code backup.Code, hint, format string, args ...any) error {
	return &backup.Error{Op: "export", Kind: Kind, Ref: op.Ref, Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
}

// unknownAction is the error of an Operation of an action that the Strategy does not have.
func unknownAction(op backup.Operation) error {
	return failure(op, backup.ErrUnsupported, "", "this strategy only exports, and has no action %q", op.Action)
}

// cut keeps at most n bytes of a text.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("...")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}
