package objectcopy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

func rule(code backup.Code, class awscall.Class, hint string) []awscall.Rule {
	return []awscall.Rule{{Code: code, Class: class, Hint: hint}}
}

// The codes that the program acts on.
const (
	codeNoUpload     = "NoSuchUpload"
	codePrecondition = "PreconditionFailed"
	codeRestoring    = "RestoreAlreadyInProgress"
	codeActive       = "ObjectAlreadyInActiveTierError"
	codeBadRequest   = "BadRequest"
	codeBadDigest    = "BadDigest"
	codeInvalidPart  = "InvalidPart"
	codeConflict     = "ConditionalRequestConflict"
)

// table classifies the S3 codes of the calls in use: all that the SDK models, which a test holds against this table, and those that it does not.
// Source: S3 API, Error responses; the SDK's s3/types/errors.go.
var table = awscall.Table{
	"NoSuchBucket":  rule(backup.ErrNotFound, awscall.Permanent, "the bucket does not exist: check its name, or create it"),
	"NoSuchKey":     rule(backup.ErrNotFound, awscall.Permanent, "the object does not exist, or was deleted"),
	"NoSuchVersion": rule(backup.ErrNotFound, awscall.Permanent, "the version does not exist, or was deleted"),
	"NotFound":      rule(backup.ErrNotFound, awscall.Permanent, "the bucket or the object does not exist"),
	codeNoUpload:    rule(backup.ErrNotFound, awscall.Permanent, "the upload is gone: it was finished, aborted by somebody, or by a lifecycle rule of the bucket"),
	"MethodNotAllowed": rule(backup.ErrNotFound, awscall.Permanent,
		"what was named is a delete marker: the object was deleted; name an older version in Options.Version"),

	"Forbidden":                    rule(backup.ErrDenied, awscall.Permanent, "the caller may not look at it, or the bucket belongs to another account than was named"),
	"AccessDenied":                 rule(backup.ErrDenied, awscall.Permanent, "a policy of the caller, the bucket or the key does not allow it, or the bucket belongs to another account than was named"),
	"AllAccessDisabled":            rule(backup.ErrDenied, awscall.Permanent, "access to the object is disabled by AWS"),
	"KMS.NotFoundException":        rule(backup.ErrDenied, awscall.Permanent, "the KMS key does not exist in the Region, or its policy does not let the caller see it"),
	"KMS.DisabledException":        rule(backup.ErrDenied, awscall.Permanent, "the KMS key is disabled: enable it"),
	"KMS.KMSInvalidStateException": rule(backup.ErrDenied, awscall.Permanent, "the KMS key can not be used in its state; is it bound to be deleted?"),

	"PermanentRedirect":                  rule(backup.ErrInvalid, awscall.Permanent, hintRegion),
	"MovedPermanently":                   rule(backup.ErrInvalid, awscall.Permanent, hintRegion),
	"AuthorizationHeaderMalformed":       rule(backup.ErrInvalid, awscall.Permanent, hintRegion),
	"IllegalLocationConstraintException": rule(backup.ErrInvalid, awscall.Permanent, hintRegion),

	codePrecondition:   rule(backup.ErrConflict, awscall.Permanent, "the source was replaced, or somebody wrote to the destination"),
	codeConflict:       rule(backup.ErrUnavailable, awscall.NotApplied, "somebody else writes the object at this moment; it is looked at again"),
	"OperationAborted": rule(backup.ErrUnavailable, awscall.NotApplied, "another call for the same thing is under way; it is tried again"),

	"InvalidObjectState":         rule(backup.ErrUnsupported, awscall.Permanent, hintArchived),
	"ObjectNotInActiveTierError": rule(backup.ErrUnsupported, awscall.Permanent, hintArchived),
	codeRestoring:                rule(backup.ErrUnavailable, awscall.NotYet, "the source is being brought back already"),
	codeActive:                   rule(backup.ErrUnavailable, awscall.NotYet, "the source is not archived any more"),
	"GlacierExpeditedRetrievalNotAvailable": rule(backup.ErrUnavailable, awscall.NotYet,
		"AWS has no room for expedited retrievals now; it is tried again, or set Options.RestoreTier to Standard"),

	"BadRequest": rule(backup.ErrInvalid, awscall.Permanent, "S3 does not say why; an object that is encrypted under a key of the caller's own (SSE-C) answers like this"),
	codeBadDigest: rule(backup.ErrFailed, awscall.Permanent,
		"the parts do not give the checksum of the source, and S3 did not put them together: copy again with another token"),
	codeInvalidPart:                rule(backup.ErrUnavailable, awscall.NotApplied, "a part was replaced since it was listed; it is looked at again"),
	"InvalidPartOrder":             rule(backup.ErrFailed, awscall.Permanent, "the message names what is wrong"),
	"EntityTooSmall":               rule(backup.ErrFailed, awscall.Permanent, "a part is smaller than S3 allows"),
	"EntityTooLarge":               rule(backup.ErrUnsupported, awscall.Permanent, "the object is larger than S3 copies in one call"),
	"MetadataTooLarge":             rule(backup.ErrUnsupported, awscall.Permanent, hintMetadata),
	"InvalidArgument":              rule(backup.ErrInvalid, awscall.Permanent, "the message names the argument"),
	"InvalidRange":                 rule(backup.ErrConflict, awscall.Permanent, "the source is shorter than when it was looked at"),
	"InvalidRequest":               rule(backup.ErrInvalid, awscall.Permanent, "the message names what is wrong"),
	"InvalidTag":                   rule(backup.ErrInvalid, awscall.Permanent, "the message names what is wrong with the tags"),
	"InvalidStorageClass":          rule(backup.ErrInvalid, awscall.Permanent, "the bucket does not have the storage class"),
	"KeyTooLongError":              rule(backup.ErrInvalid, awscall.Permanent, "a key has at most 1,024 bytes"),
	"NotImplemented":               rule(backup.ErrUnsupported, awscall.Permanent, "this kind of bucket, or this store, can not do that"),
	"EncryptionTypeMismatch":       rule(backup.ErrInvalid, awscall.Permanent, "the bucket's encryption does not fit the request"),
	"TooManyParts":                 rule(backup.ErrInvalid, awscall.Permanent, "the message names what is wrong"),
	"InvalidWriteOffset":           rule(backup.ErrInvalid, awscall.Permanent, "the message names what is wrong"),
	"IdempotencyParameterMismatch": rule(backup.ErrConflict, awscall.Permanent, "the message names what is wrong"),
}

const (
	hintRegion   = "the bucket is in another Region than was named"
	hintArchived = "the object is archived, or its restored copy has expired: copy again with another token and more Options.RestoreDays"
	hintMetadata = "an object has at most 2 KB of metadata of the user's, and the library adds four entries: copy the source under less metadata first"
)

// rights say what a caller needs for a call, in words.
var rights = map[string]string{
	callHeadSource: "the caller needs s3:GetObject on the source (s3:GetObjectVersion where a version is named), s3:ListBucket on its bucket, without which S3 answers 403 also for what does not exist, and kms:Decrypt where a KMS key encrypts it; in another account both its policy and the bucket's must allow that",
	callHeadDest:   "the caller needs s3:GetObject on the destination's objects and s3:ListBucket on its bucket, without which S3 answers 403 also for what does not exist, and kms:Decrypt where a KMS key encrypts it",
	"CopyObject":   hintCopy, "UploadPartCopy": hintCopy,
	"CreateMultipartUpload":   "the caller needs s3:PutObject on the destination (s3:PutObjectTagging with tags), and kms:GenerateDataKey and kms:Decrypt with its KMS key",
	"CompleteMultipartUpload": "the caller needs s3:PutObject on the destination, and kms:Decrypt with its KMS key",
	"ListParts":               "the caller needs s3:ListMultipartUploadParts on the destination's objects",
	"ListMultipartUploads":    "the caller needs s3:ListBucketMultipartUploads on the destination bucket, to tell of an upload whose begin was lost",
	"AbortMultipartUpload":    "the caller needs s3:AbortMultipartUpload on the destination's objects",
	"RestoreObject":           "the caller needs s3:RestoreObject on the source, which is archived",
}

const hintCopy = "the caller needs s3:GetObject on the source (s3:GetObjectVersion where its bucket has versions) and kms:Decrypt with its KMS key, s3:PutObject on the destination (s3:PutObjectTagging with tags), and kms:GenerateDataKey and kms:Decrypt with the destination's KMS key"

// Two calls of one operation that need different rights.
const (
	callHeadSource = "HeadObject of the source"
	callHeadDest   = "HeadObject of the destination"
)

// classify gives the verdict on the error of a call. Where a right is missing, its hint says which: the one that the message names, or those
// that the call needs.
func classify(call string, err error) awscall.Verdict {
	v := table.Classify(err)
	if v.Code != backup.ErrDenied || v.AWSCode != "AccessDenied" && v.AWSCode != "Forbidden" {
		return v
	}
	if h := rights[call]; h != "" {
		v.Hint = h
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if _, rest, ok := strings.Cut(api.ErrorMessage(), "not authorized to perform: "); ok {
			if action, _, _ := strings.Cut(rest, " "); action != "" {
				v.Hint = "the missing right is " + action + "; " + v.Hint
			}
		}
	}
	return v
}

// wrap makes the library's error of a call's.
func wrap(call string, r backup.Ref, err error) error {
	if err == nil {
		return nil
	}
	return classify(call, err).Error(Kind, call, r, err)
}

// passing reports whether trying again, or looking, can mend an error.
func passing(err error) bool {
	switch backup.CodeOf(err) {
	case backup.ErrThrottled, backup.ErrUnavailable:
		return true
	}
	return false
}

func invalid(r backup.Ref, hint, format string, args ...any) error {
	return &backup.Error{Op: "copy", Kind: Kind, Ref: r, Code: backup.ErrInvalid, Err: fmt.Errorf(format, args...), Hint: hint}
}

func failure(op backup.Operation, what string, code backup.Code, hint, format string, args ...any) error {
	return &backup.Error{Op: what, Kind: Kind, Ref: op.Ref, Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
}
