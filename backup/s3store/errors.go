package s3store

import (
	"context"
	"errors"
	"fmt"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// opStore is backup.Error.Op of a Store's errors.
const opStore = "store"

// The wire codes that decide what happens next.
const (
	codeNoSuchKey    = "NoSuchKey"
	codeNoSuchBucket = "NoSuchBucket"
	codePrecondition = "PreconditionFailed"
	codeConcurrent   = "ConditionalRequestConflict"
	codeAborted      = "OperationAborted"
)

func rule(code backup.Code, class awscall.Class, hint string) []awscall.Rule {
	return []awscall.Rule{{Code: code, Class: class, Hint: hint}}
}

const (
	hintRegion = "use a client of the bucket's own Region"
	hintKey    = "the KMS key that the objects are encrypted with can not be used: enable it, or give another"
	hintBusy   = "somebody else writes the same object at this moment; it is looked at again"
)

// table classifies the codes of S3. Of the codes in it that begin with KMS no public list says that S3 answers them (UNVERIFIED). Source:
// S3 API, "Error responses"; the SDK's s3/types/errors.go.
var table = awscall.Table{
	codeNoSuchKey:    rule(backup.ErrNotFound, awscall.Permanent, ""),
	codePrecondition: rule(backup.ErrConflict, awscall.Permanent, "somebody else wrote the object"),
	codeConcurrent:   rule(backup.ErrUnavailable, awscall.NotApplied, hintBusy),
	codeAborted:      rule(backup.ErrUnavailable, awscall.NotApplied, hintBusy),
	// Not ErrNotFound: what it would say of an Operation is that it was never begun.
	codeNoSuchBucket:               rule(backup.ErrUnavailable, awscall.Permanent, "there is no such bucket: was it deleted, or is the name or the endpoint wrong?"),
	"PermanentRedirect":            rule(backup.ErrInvalid, awscall.Permanent, hintRegion),
	"TemporaryRedirect":            rule(backup.ErrUnavailable, awscall.NotApplied, "the bucket is new, and its name is not known everywhere yet; it is tried again"),
	"AuthorizationHeaderMalformed": rule(backup.ErrInvalid, awscall.Permanent, hintRegion),
	"InvalidAccessKeyId":           rule(backup.ErrDenied, awscall.Permanent, "the access key does not exist in this partition"),
	"RequestTimeTooSkewed":         rule(backup.ErrUnavailable, awscall.NotApplied, "this machine's clock is wrong by more than 15 minutes"),
	"NotImplemented":               rule(backup.ErrUnsupported, awscall.Permanent, "the endpoint does not know conditional writes, or directory buckets are in use"),
	"InvalidArgument":              rule(backup.ErrInvalid, awscall.Permanent, "the message names what is wrong"),
	"InvalidRequest":               rule(backup.ErrInvalid, awscall.Permanent, "the message names what is wrong"),
	"InvalidObjectState":           rule(backup.ErrUnavailable, awscall.Permanent, "a lifecycle rule has archived the object: restore it, and end the rule"),
	"KMS.DisabledException":        rule(backup.ErrDenied, awscall.Permanent, hintKey),
	"KMS.NotFoundException":        rule(backup.ErrDenied, awscall.Permanent, hintKey),
	"KMS.KMSInvalidStateException": rule(backup.ErrDenied, awscall.Permanent, hintKey),
}

// action is a call of S3.
type action string

const (
	actionList   = action("ListObjectsV2")
	actionGet    = action("GetObject")
	actionPut    = action("PutObject")
	actionDelete = action("DeleteObject")
)

// permissions says what a call needs.
func (s *Store) permissions(a action) string {
	objects := "bucket " + s.opts.Bucket + " below " + s.opts.Prefix + "/"
	switch a {
	case actionList:
		return "allow s3:ListBucket on the bucket " + s.opts.Bucket
	case actionGet:
		return "allow s3:GetObject on the objects of " + objects + " (and kms:Decrypt on their key), and s3:ListBucket on the bucket, without which a missing object reads as denied"
	case actionPut:
		return "allow s3:PutObject and s3:GetObject on the objects of " + objects + ", and kms:GenerateDataKey and kms:Decrypt on their key"
	default:
		return "allow s3:DeleteObject on the objects of " + objects
	}
}

// fail makes the error of a call. When the caller's context has ended, that is the error.
func (s *Store) fail(ctx context.Context, a action, key string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	v := table.Classify(err)
	hint := v.Hint
	if v.Code == backup.ErrDenied && (v.AWSCode == "AccessDenied" || v.AWSCode == "Forbidden") {
		hint = s.permissions(a) + "; or the bucket does not belong to account " + s.opts.BucketOwner
	}
	return &backup.Error{Op: opStore, Code: v.Code, Err: fmt.Errorf("%s of %s: %w", a, s.place(key), err), Hint: hint}
}

// place is what people call an object.
func (s *Store) place(key string) string { return "s3://" + s.opts.Bucket + "/" + key }

// about names the Operation in an error.
func about(op backup.Operation, err error) error {
	var e *backup.Error
	if !errors.As(err, &e) || e.Op != opStore {
		return err
	}
	c := *e
	c.Kind, c.Ref = op.Kind, op.Ref
	return &c
}

// noBucket tells Open's caller of a bucket that is not there.
func noBucket(err error) error {
	var e *backup.Error
	if errors.As(err, &e) && table.Classify(e.Err).AWSCode == codeNoSuchBucket {
		c := *e
		c.Code, c.Hint = backup.ErrNotFound, "create the bucket, or check its name, the account and the partition"
		return &c
	}
	return err
}

func invalid(cause, hint string) error {
	return &backup.Error{Op: opStore, Code: backup.ErrInvalid, Err: errors.New(cause), Hint: hint}
}

// shorten keeps what a caller gave from filling an error.
func shorten(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
