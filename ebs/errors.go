package ebs

import (
	"fmt"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// table classifies EC2's error codes. The SDK models no errors for EC2, so the list is made by hand.
// Source: EC2 API reference, "Error codes for the Amazon EC2 API"; EBS user guide, quotas.
var table = awscall.Table{
	"InvalidVolume.NotFound":      {{Code: backup.ErrNotFound, Class: awscall.Permanent, Hint: "check the volume id, the account and the Region"}},
	"InvalidInstanceID.NotFound":  {{Code: backup.ErrNotFound, Class: awscall.Permanent, Hint: "check the instance id, the account and the Region"}},
	"InvalidInstanceID.Malformed": {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "check the instance id"}},
	"InvalidSnapshot.NotFound":    {{Code: backup.ErrNotFound, Class: awscall.Permanent, Hint: "check the snapshot id, the account and the Region"}},
	"InvalidSnapshotID.Malformed": {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "check the snapshot id"}},
	"InvalidParameterValue": {
		{Message: "AWS Backup", Code: backup.ErrUnsupported, Class: awscall.Permanent, Hint: "AWS Backup owns it: delete its recovery point there"},
		{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the message names the parameter"},
	},
	"InvalidParameterCombination":           {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the message names the parameters"}},
	"InvalidParameter":                      {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the message names the parameter"}},
	"MissingParameter":                      {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the message names the parameter"}},
	"UnknownVolumeType":                     {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "use a volume type that the Region has, such as gp3"}},
	"InvalidZone.NotFound":                  {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "name a zone of the Region, such as eu-west-1a"}},
	"InvalidVolume.ZoneMismatch":            {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "choose the zone of the instance"}},
	"IdempotentParameterMismatch":           {{Code: backup.ErrConflict, Class: awscall.Permanent, Hint: "an earlier request with this token asked for something else; start the work with another token"}},
	"InvalidSnapshot.InUse":                 {{Code: backup.ErrConflict, Class: awscall.Permanent, Hint: "an image uses the snapshot, perhaps a disabled or deprecated one, or it has fast snapshot restore on: deregister the image, turn it off"}},
	"VolumeInUse":                           {{Code: backup.ErrConflict, Class: awscall.Permanent, Hint: "detach the volume first"}},
	"OperationNotPermitted":                 {{Code: backup.ErrDenied, Class: awscall.Permanent, Hint: "AWS does not allow this on the resource; it may be locked or belong to AWS Backup"}},
	"InvalidAction":                         {{Code: backup.ErrUnsupported, Class: awscall.Permanent, Hint: "EC2 does not know this call in this Region"}},
	"UnsupportedOperation":                  {{Code: backup.ErrUnsupported, Class: awscall.Permanent, Hint: "EC2 does not support this here"}},
	"SnapshotLimitExceeded":                 {{Code: backup.ErrQuota, Class: awscall.Permanent, Hint: "the quota of snapshots in the Region is full: delete old ones or have it raised"}},
	"VolumeLimitExceeded":                   {{Code: backup.ErrQuota, Class: awscall.Permanent, Hint: "the quota of volumes or storage is full: delete some or have it raised"}},
	"MaxIOPSLimitExceeded":                  {{Code: backup.ErrQuota, Class: awscall.Permanent, Hint: "the quota of provisioned IOPS is full"}},
	"TagLimitExceeded":                      {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "a resource has at most 50 tags, the library's own included: use fewer"}},
	"InvalidKmsKey.InvalidState":            {{Code: backup.ErrDenied, Class: awscall.Permanent, Hint: "enable the KMS key, or cancel its deletion"}},
	"InvalidKmsKeyId":                       {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "give the ARN of a key in the Region"}},
	"KmsKeyNotAccessibleFault":              {{Code: backup.ErrDenied, Class: awscall.Permanent, Hint: "allow the caller kms:DescribeKey, kms:CreateGrant, kms:Decrypt and kms:GenerateDataKeyWithoutPlaintext on the key"}},
	"IncorrectState":                        {{Code: backup.ErrUnavailable, Class: awscall.NotYet, Hint: "the resource is changing its state; it is tried again"}},
	"IncorrectInstanceState":                {{Code: backup.ErrUnavailable, Class: awscall.NotYet, Hint: "the instance is changing its state; it is tried again"}},
	"InvalidState":                          {{Code: backup.ErrUnavailable, Class: awscall.NotYet, Hint: "an identical request is still running; it is tried again"}},
	"SnapshotCreationPerVolumeRateExceeded": {{Code: backup.ErrThrottled, Class: awscall.NotYet, Hint: "EC2 makes one snapshot of a volume every 15 seconds; it is tried again"}},
	"ConcurrentSnapshotLimitExceeded":       {{Code: backup.ErrQuota, Class: awscall.NotYet, Hint: "5 snapshots of a volume (st1, sc1: 1) can be pending; it is tried again when one has completed"}},
	"PendingSnapshotLimitExceeded":          {{Code: backup.ErrQuota, Class: awscall.NotYet, Hint: "too many snapshots are pending in the Region; it is tried again when some have completed"}},
	"SnapshotCopyUnsupported.InterRegion":   {{Code: backup.ErrUnsupported, Class: awscall.Permanent, Hint: "EC2 does not copy between these Regions"}},
	"InvalidRegion":                         {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "check the Region; it may have to be enabled for the account"}},
	"InvalidParameterDependency":            {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "the message names the parameters"}},
	"ResourceLimitExceeded":                 {{Code: backup.ErrQuota, Class: awscall.NotYet, Hint: "too many copies or requests are in progress; it is tried again"}},
	"InsufficientVolumeCapacity":            {{Code: backup.ErrUnavailable, Class: awscall.NotYet, Hint: "the zone has no room for this volume type now; it is tried again, or choose another zone"}},
}

func invalid(action backup.Action, r backup.Ref, hint, format string, args ...any) error {
	return &backup.Error{Op: string(action), Kind: Kind, Ref: r, Code: backup.ErrInvalid, Err: fmt.Errorf(format, args...), Hint: hint}
}

func failure(op backup.Operation, what string, code backup.Code, hint, format string, args ...any) error {
	return &backup.Error{Op: what, Kind: Kind, Ref: op.Ref, Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
}
