package swap

import (
	"fmt"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// Codes of EC2 that say where a volume is.
const (
	volumeInUse   = "VolumeInUse"                // it is attached, or being attached or detached
	notAttached   = "IncorrectState"             // DetachVolume: it is not attached
	notThere      = "InvalidAttachment.NotFound" // it is attached elsewhere
	volumeMissing = "InvalidVolume.NotFound"
)

// table classifies EC2's error codes. The SDK models no errors for EC2, so the list is made by hand.
// Source: EC2 API reference, "Error codes for the Amazon EC2 API".
var table = awscall.Table{
	volumeMissing:                 {{Code: backup.ErrNotFound, Class: awscall.Permanent, Hint: "somebody else deleted the volume"}},
	"InvalidInstanceID.NotFound":  {{Code: backup.ErrNotFound, Class: awscall.Permanent, Hint: "check the instance id, the account and the Region"}},
	"InvalidInstanceID.Malformed": {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "check the instance id"}},
	"InvalidSnapshot.NotFound":    {{Code: backup.ErrNotFound, Class: awscall.Permanent, Hint: "somebody else deleted the snapshot"}},
	notThere:                      {{Code: backup.ErrNotFound, Class: awscall.Permanent, Hint: "the volume is attached elsewhere by now"}},
	volumeInUse:                   {{Code: backup.ErrConflict, Class: awscall.NotYet, Hint: "the volume is attached; it is looked at again"}},
	"InvalidParameterValue": {
		{Message: "already in use", Code: backup.ErrConflict, Class: awscall.NotYet, Hint: "the device is in use; it is tried again"},
		{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the message names the parameter"},
	},
	"InvalidDevice.InUse":         {{Code: backup.ErrConflict, Class: awscall.NotYet, Hint: "the device is in use; it is tried again"}},
	"InvalidParameterCombination": {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the message names the parameters"}},
	"MissingParameter":            {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the message names the parameter"}},
	"UnknownVolumeType":           {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "use a volume type that the Region has, such as gp3"}},
	"InvalidVolume.ZoneMismatch":  {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the instance has moved to another zone: start the work again"}},
	"IdempotentParameterMismatch": {{Code: backup.ErrConflict, Class: awscall.Permanent, Hint: "an earlier request with this token asked for something else; start the work with another token"}},
	"OperationNotPermitted":       {{Code: backup.ErrDenied, Class: awscall.Permanent, Hint: "AWS does not allow this: a root volume is detached from a stopped instance only"}},
	"UnsupportedOperation":        {{Code: backup.ErrUnsupported, Class: awscall.Permanent, Hint: "EC2 does not support this here"}},
	"AttachmentLimitExceeded":     {{Code: backup.ErrQuota, Class: awscall.Permanent, Hint: "the instance takes no more volumes: detach some"}},
	"VolumeLimitExceeded":         {{Code: backup.ErrQuota, Class: awscall.Permanent, Hint: "the quota of volumes or storage is full: delete some or have it raised"}},
	"TagLimitExceeded":            {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "a resource has at most 50 tags, the library's own included: use fewer"}},
	"InvalidKmsKey.InvalidState":  {{Code: backup.ErrDenied, Class: awscall.Permanent, Hint: "enable the KMS key, or cancel its deletion"}},
	"InvalidKmsKeyId":             {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "give the ARN of a key in the Region"}},
	notAttached:                   {{Code: backup.ErrUnavailable, Class: awscall.NotYet, Hint: "the resource is changing its state; it is tried again"}},
	"IncorrectInstanceState":      {{Code: backup.ErrUnavailable, Class: awscall.NotYet, Hint: "the instance is changing its state; it is tried again"}},
	"InsufficientVolumeCapacity":  {{Code: backup.ErrUnavailable, Class: awscall.NotYet, Hint: "the zone has no room for this volume type now; it is tried again"}},
	"ResourceLimitExceeded":       {{Code: backup.ErrQuota, Class: awscall.NotYet, Hint: "too many requests are in progress; it is tried again"}},
}

func invalid(action backup.Action, r backup.Ref, hint, format string, args ...any) error {
	return &backup.Error{Op: string(action), Kind: Kind, Ref: r, Code: backup.ErrInvalid, Err: fmt.Errorf(format, args...), Hint: hint}
}

func failure(op backup.Operation, code backup.Code, hint, format string, args ...any) *backup.Error {
	return &backup.Error{Op: string(op.Action), Kind: Kind, Ref: op.Ref, Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
}
