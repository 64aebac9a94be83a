package ami

import (
	"fmt"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// nameTaken is EC2's code for a name that an image of the account in the Region has already.
const nameTaken = "InvalidAMIName.Duplicate"

// inUse is EC2's code for a snapshot that an image uses.
const inUse = "InvalidSnapshot.InUse"

// table classifies EC2's error codes. The SDK models no errors for EC2, so the list is made by hand.
// Source: EC2 API reference, "Error codes for the Amazon EC2 API"; EBS user guide, quotas.
var table = awscall.Table{
	"InvalidInstanceID.NotFound":  {{Code: backup.ErrNotFound, Class: awscall.Permanent, Hint: "check the instance id, the account and the Region"}},
	"InvalidInstanceID.Malformed": {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "check the instance id"}},
	"InvalidAMIID.NotFound":       {{Code: backup.ErrNotFound, Class: awscall.Permanent, Hint: "check the image id, the account and the Region"}},
	"InvalidAMIID.Malformed":      {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "check the image id"}},
	"InvalidAMIID.Unavailable":    {{Code: backup.ErrNotFound, Class: awscall.Permanent, Hint: "the image was deregistered, is disabled or is not ready"}},
	"InvalidAMIName.Malformed":    {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "use 3 to 128 letters, digits and ()[] ./-'@_"}},
	nameTaken:                     {{Code: backup.ErrConflict, Class: awscall.Permanent, Hint: "another image has the name: choose another, or leave Spec.Name empty"}},
	"InvalidSnapshot.NotFound":    {{Code: backup.ErrNotFound, Class: awscall.Permanent, Hint: "a snapshot of the image was deleted"}},
	inUse:                         {{Code: backup.ErrConflict, Class: awscall.Permanent, Hint: "an image uses the snapshot, perhaps a disabled or deprecated one"}},
	"InvalidParameterValue": {
		{Message: "AWS Backup", Code: backup.ErrUnsupported, Class: awscall.Permanent, Hint: "AWS Backup owns it: delete its recovery point there"},
		{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the message names the parameter"},
	},
	"InvalidParameterCombination":                {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the message names the parameters"}},
	"InvalidParameterDependency":                 {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the message names the parameters"}},
	"InvalidParameter":                           {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the message names the parameter"}},
	"MissingParameter":                           {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the message names the parameter"}},
	"InvalidRequest":                             {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the message says what EC2 does not take"}},
	"InvalidRegion":                              {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "check the Region; it may have to be enabled for the account"}},
	"IdempotentParameterMismatch":                {{Code: backup.ErrConflict, Class: awscall.Permanent, Hint: "an earlier request with this token asked for something else; start the work with another token"}},
	"OperationNotPermitted":                      {{Code: backup.ErrDenied, Class: awscall.Permanent, Hint: "AWS does not allow this on the resource: it may be locked, protected, or belong to AWS Backup"}},
	"InvalidAction":                              {{Code: backup.ErrUnsupported, Class: awscall.Permanent, Hint: "EC2 does not know this call in this Region"}},
	"UnsupportedOperation":                       {{Code: backup.ErrUnsupported, Class: awscall.Permanent, Hint: "EC2 does not support this here"}},
	"SnapshotLimitExceeded":                      {{Code: backup.ErrQuota, Class: awscall.Permanent, Hint: "the quota of snapshots in the Region is full: delete old ones or have it raised"}},
	"AMIQuotaExceeded":                           {{Code: backup.ErrQuota, Class: awscall.Permanent, Hint: "the quota of images in the Region is full: deregister old ones or have it raised"}},
	"TagLimitExceeded":                           {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "a resource has at most 50 tags, the library's own included: use fewer"}},
	"InvalidKmsKey.InvalidState":                 {{Code: backup.ErrDenied, Class: awscall.Permanent, Hint: "enable the KMS key, or cancel its deletion"}},
	"InvalidKmsKeyId":                            {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "give the ARN of a key in the Region"}},
	"IncorrectState":                             {{Code: backup.ErrUnavailable, Class: awscall.NotYet, Hint: "the resource is changing its state; it is tried again"}},
	"IncorrectInstanceState":                     {{Code: backup.ErrUnavailable, Class: awscall.NotYet, Hint: "the instance is changing its state; it is tried again"}},
	"SnapshotCreationPerVolumeRateExceeded":      {{Code: backup.ErrThrottled, Class: awscall.NotYet, Hint: "EC2 makes one snapshot of a volume every 15 seconds; it is tried again"}},
	"ConcurrentSnapshotLimitExceeded":            {{Code: backup.ErrQuota, Class: awscall.NotYet, Hint: "5 snapshots of a volume (st1, sc1: 1) can be pending; it is tried again when one has completed"}},
	"ConcurrentCreateImageNoRebootLimitExceeded": {{Code: backup.ErrQuota, Class: awscall.NotYet, Hint: "too many images are being made without a reboot; it is tried again"}},
	"PendingSnapshotLimitExceeded":               {{Code: backup.ErrQuota, Class: awscall.NotYet, Hint: "too many snapshots are pending in the Region; it is tried again when some have completed"}},
	"ResourceLimitExceeded":                      {{Code: backup.ErrQuota, Class: awscall.NotYet, Hint: "too many copies or requests are in progress; it is tried again"}},
}

func invalid(action backup.Action, r backup.Ref, hint, format string, args ...any) error {
	return &backup.Error{Op: string(action), Kind: Kind, Ref: r, Code: backup.ErrInvalid, Err: fmt.Errorf(format, args...), Hint: hint}
}

func failure(op backup.Operation, what string, code backup.Code, hint, format string, args ...any) error {
	return &backup.Error{Op: what, Kind: Kind, Ref: op.Ref, Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
}
