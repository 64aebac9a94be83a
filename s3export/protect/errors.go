package protect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

func rule(code backup.Code, class awscall.Class, hint string) []awscall.Rule {
	return []awscall.Rule{{Code: code, Class: class, Hint: hint}}
}

// The codes that say that nothing was set yet. Source: S3 API, the operations that read these settings, and "Error responses".
const (
	codeNoLock      = "ObjectLockConfigurationNotFoundError" // the bucket has no Object Lock
	codeNoRetention = "NoSuchObjectLockConfiguration"        // the version has no retention, or no legal hold
	codeNoLifecycle = "NoSuchLifecycleConfiguration"
)

const (
	hintRegion   = "the bucket is in another Region than was named"
	hintLock     = "enable versions on the bucket, and then Object Lock (PutObjectLockConfiguration): that can not be undone, and costs nothing by itself"
	hintArchived = "the manifest is archived: a lifecycle rule moved it to a Glacier class; restore it first, and leave manifests out of such rules"
)

// table classifies the S3 codes of the calls in use. Source: S3 API, "Error responses"; the SDK's s3/types/errors.go.
var table = awscall.Table{
	"NoSuchBucket":                       rule(backup.ErrNotFound, awscall.Permanent, "the bucket does not exist: check its name"),
	"NoSuchKey":                          rule(backup.ErrNotFound, awscall.Permanent, "the object does not exist, or was deleted: an older version of it may still be there"),
	"NoSuchVersion":                      rule(backup.ErrNotFound, awscall.Permanent, "the version does not exist, or was deleted"),
	"NotFound":                           rule(backup.ErrNotFound, awscall.Permanent, "the object does not exist, or was deleted: an older version of it may still be there"),
	"MethodNotAllowed":                   rule(backup.ErrNotFound, awscall.Permanent, "what was named is a delete marker, which nothing can hold: name the version of an object"),
	"Forbidden":                          rule(backup.ErrDenied, awscall.Permanent, "the caller may not look at it, or the bucket belongs to another account than was named"),
	"AccessDenied":                       rule(backup.ErrDenied, awscall.Permanent, "a policy of the caller, the bucket or the key does not allow it, or the bucket belongs to another account than was named"),
	"AllAccessDisabled":                  rule(backup.ErrDenied, awscall.Permanent, "access to the object is disabled by AWS"),
	"KMS.NotFoundException":              rule(backup.ErrDenied, awscall.Permanent, "the manifest's KMS key does not exist in the Region, or its policy does not let the caller see it"),
	"KMS.DisabledException":              rule(backup.ErrDenied, awscall.Permanent, "the manifest's KMS key is disabled: enable it"),
	"KMS.KMSInvalidStateException":       rule(backup.ErrDenied, awscall.Permanent, "the manifest's KMS key can not be used in its state; is it bound to be deleted?"),
	"BadRequest":                         rule(backup.ErrUnavailable, awscall.NotApplied, "S3 gives no reason to a HEAD request: expired credentials are the usual one"),
	"PermanentRedirect":                  rule(backup.ErrInvalid, awscall.Permanent, hintRegion),
	"MovedPermanently":                   rule(backup.ErrInvalid, awscall.Permanent, hintRegion),
	"AuthorizationHeaderMalformed":       rule(backup.ErrInvalid, awscall.Permanent, hintRegion),
	"IllegalLocationConstraintException": rule(backup.ErrInvalid, awscall.Permanent, hintRegion),

	codeNoLock:           rule(backup.ErrUnsupported, awscall.Permanent, hintLock),
	codeNoRetention:      rule(backup.ErrNotFound, awscall.Permanent, "nothing holds the version"),
	codeNoLifecycle:      rule(backup.ErrNotFound, awscall.Permanent, "the bucket has no lifecycle rules"),
	"InvalidBucketState": rule(backup.ErrUnsupported, awscall.Permanent, hintLock),
	"InvalidRequest": {
		{Message: "Object Lock Configuration", Code: backup.ErrUnsupported, Class: awscall.Permanent, Hint: hintLock},
		{Message: "Lifecycle V2", Code: backup.ErrConflict, Class: awscall.Permanent, Hint: "the bucket has rules with a prefix of the older form beside such with a filter: write them anew in one form"},
		{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the message names what is wrong"},
	},
	"InvalidArgument":        rule(backup.ErrInvalid, awscall.Permanent, "the message names the argument"),
	"InvalidRetentionPeriod": rule(backup.ErrInvalid, awscall.Permanent, "the message names what is wrong with the time"),
	"MalformedXML":           rule(backup.ErrInvalid, awscall.Permanent, "S3 does not take the rules, or the retention, as they are"),
	"InvalidObjectState":     rule(backup.ErrUnsupported, awscall.Permanent, hintArchived),
	"NotImplemented":         rule(backup.ErrUnsupported, awscall.Permanent, "this kind of bucket, or this store, can not do that"),

	"OperationAborted":           rule(backup.ErrUnavailable, awscall.NotApplied, "another call for the same thing is under way; it is tried again"),
	"ConditionalRequestConflict": rule(backup.ErrUnavailable, awscall.NotApplied, "another call for the same thing is under way; it is tried again"),
}

// rights are what a caller needs for a call, in words.
var rights = map[string]string{
	"GetBucketLifecycleConfiguration": "the caller needs s3:GetLifecycleConfiguration on the bucket: rules that can not be read can not be written without losing them",
	"PutBucketLifecycleConfiguration": "the caller needs s3:PutLifecycleConfiguration on the bucket",
	"GetObjectLockConfiguration":      "the caller needs s3:GetBucketObjectLockConfiguration on the bucket",
	"GetBucketVersioning":             "the caller needs s3:GetBucketVersioning on the bucket",
	"GetObject":                       "the caller needs s3:GetObject and s3:GetObjectVersion on the bucket's objects, s3:ListBucket on the bucket, without which S3 answers 403 also for what does not exist, and kms:Decrypt where a KMS key encrypts the manifest",
	"HeadObject":                      "the caller needs s3:GetObject and s3:GetObjectVersion on the bucket's objects, and s3:ListBucket on the bucket, without which S3 answers 403 also for what does not exist",
	"GetObjectRetention":              "the caller needs s3:GetObjectRetention on the bucket's objects",
	"PutObjectRetention":              "the caller needs s3:PutObjectRetention on the bucket's objects, for this mode and this time; it never needs s3:BypassGovernanceRetention",
	"GetObjectLegalHold":              "the caller needs s3:GetObjectLegalHold on the bucket's objects",
	"PutObjectLegalHold":              "the caller needs s3:PutObjectLegalHold on the bucket's objects",
}

// wrap makes the library's error of a call's. Where a right is missing, its hint says which: the one that the message names, or those that the
// call needs.
func wrap(call string, r backup.Ref, err error) error {
	if err == nil {
		return nil
	}
	v := table.Classify(err)
	if v.AWSCode == "AccessDenied" || v.AWSCode == "Forbidden" {
		v.Hint = rights[call] + "; or the bucket belongs to another account than was named"
		var api smithy.APIError
		if errors.As(err, &api) {
			if _, rest, ok := strings.Cut(api.ErrorMessage(), "not authorized to perform: "); ok {
				if action, _, _ := strings.Cut(rest, " "); action != "" {
					v.Hint = "the missing right is " + action + "; " + v.Hint
				}
			}
		}
	}
	return v.Error(Kind, call, r, err)
}

// has reports the code of an error of AWS.
func has(err error, codes ...string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode())
}

// passing reports whether waiting can mend an error.
func passing(err error) bool {
	switch backup.CodeOf(err) {
	case backup.ErrThrottled, backup.ErrUnavailable:
		return true
	}
	return false
}

// cause is why something can not be protected, for the ID of a finding.
type cause string

// Error gives the cause as a part of a sentence.
func (c cause) Error() string { return string(c) }

// The causes that are no answers of AWS.
const (
	noLock    = cause("the bucket has no Object Lock")
	replaced  = cause("is not the file any more that the manifest describes")
	heldOther = cause("is held in another way, which does not give way to what is asked for")
	notHeld   = cause("was protected, and is not held as it was asked for")
)

// findingID is the ID of the finding that tells of an error.
func findingID(err error) string {
	for c, id := range map[cause]string{noLock: "lock-disabled", replaced: "replaced", heldOther: "held-otherwise", notHeld: "not-held"} {
		if errors.Is(err, c) {
			return Kind + "." + id
		}
	}
	switch backup.CodeOf(err) {
	case backup.ErrDenied:
		return Kind + ".denied"
	case backup.ErrNotFound:
		return Kind + ".missing"
	}
	return Kind + ".refused"
}

func invalid(r backup.Ref, hint, format string, args ...any) error {
	return &backup.Error{Op: "protect", Kind: Kind, Ref: r, Code: backup.ErrInvalid, Err: fmt.Errorf(format, args...), Hint: hint}
}

func failure(r backup.Ref, what string, code backup.Code, hint, format string, args ...any) error {
	return &backup.Error{Op: what, Kind: Kind, Ref: r, Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
}
