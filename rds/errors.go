package rds

import (
	"fmt"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// perm, quota and later make the rows of the table.
func perm(code backup.Code, hint string) []awscall.Rule {
	return []awscall.Rule{{Code: code, Class: awscall.Permanent, Hint: hint}}
}

func later(hint string) []awscall.Rule {
	return []awscall.Rule{{Code: backup.ErrUnavailable, Class: awscall.NotYet, Hint: hint}}
}

const (
	hintParameter = "the message names the parameter"
	hintVPC       = "check the subnet group, the security groups and the VPC that they belong to"
	hintRestore   = "correct the restore options"
)

// table classifies the error codes of the operations that the package calls: all that the SDK models for them, and those that RDS answers
// to every operation. Source: RDS API reference, "Common Errors" and the operations' own lists; [rds: deserializers.go] of the SDK.
var table = awscall.Table{
	// What is named does not exist.
	"DBInstanceNotFound":                         perm(backup.ErrNotFound, "check the instance's identifier, the account and the Region"),
	"DBSnapshotNotFound":                         perm(backup.ErrNotFound, "check the snapshot's identifier, the account and the Region"),
	"DBClusterNotFoundFault":                     perm(backup.ErrNotFound, "check the cluster's identifier, the account and the Region"),
	"DBClusterSnapshotNotFoundFault":             perm(backup.ErrNotFound, "check the snapshot's identifier, the account and the Region"),
	"DBClusterParameterGroupNotFound":            perm(backup.ErrInvalid, "name a DB cluster parameter group of this account and Region in RestoreClusterOptions.ParameterGroup"),
	"DBSubnetGroupNotFoundFault":                 perm(backup.ErrInvalid, "name a DB subnet group of this account and Region in RestoreOptions.SubnetGroup"),
	"DBParameterGroupNotFound":                   perm(backup.ErrInvalid, "name a DB parameter group of this account and Region in RestoreOptions.ParameterGroup"),
	"OptionGroupNotFoundFault":                   perm(backup.ErrInvalid, "name an option group of this account and Region in the options"),
	"DBSecurityGroupNotFound":                    perm(backup.ErrInvalid, "use VPC security groups in RestoreOptions.SecurityGroups"),
	"CertificateNotFound":                        perm(backup.ErrInvalid, hintRestore),
	"DomainNotFoundFault":                        perm(backup.ErrInvalid, hintRestore),
	"CustomAvailabilityZoneNotFound":             perm(backup.ErrInvalid, "the copy would go to a custom zone that does not exist"),
	"AuthorizationNotFound":                      perm(backup.ErrDenied, "RDS lacks an authorization that the instance needs"),
	"DBUpgradeDependencyFailure":                 perm(backup.ErrUnsupported, "the engine's version depends on another database; the message says on which"),
	"InvalidDBSecurityGroupState":                later("a security group is not available now; it is tried again"),
	"InvalidDBSubnetGroupStateFault":             later("the subnet group is not available now; it is tried again"),
	"InvalidGlobalClusterStateFault":             later("the global cluster is not available now; it is tried again"),
	"StorageTypeNotAvailableFault":               perm(backup.ErrInvalid, "choose another storage type"),
	"DBInstanceAutomatedBackupQuotaExceeded":     perm(backup.ErrQuota, "the quota of retained automated backups in the Region is full: have it raised, or let them be deleted"),
	"DBClusterAutomatedBackupQuotaExceededFault": perm(backup.ErrQuota, "the quota of retained automated backups in the Region is full: have it raised, or let them be deleted"),
	"BackupPolicyNotFoundFault":                  perm(backup.ErrInvalid, hintRestore),
	"DBCapacityReservationNotFound":              perm(backup.ErrInvalid, hintRestore),
	// The name is taken.
	"DBSnapshotAlreadyExists":               perm(backup.ErrConflict, "choose another Spec.Name, or leave it empty"),
	"DBInstanceAlreadyExists":               perm(backup.ErrConflict, "choose another RestoreOptions.ID: nothing that exists is ever overwritten"),
	"DBInstanceAutomatedBackupNotFound":     perm(backup.ErrNotFound, "look at what there is with Strategy.AutomatedBackups"),
	"DBClusterAutomatedBackupNotFoundFault": perm(backup.ErrNotFound, "look at what there is with Strategy.AutomatedBackups"),
	"PointInTimeRestoreNotEnabled":          perm(backup.ErrUnsupported, "the instance has no automated backups: set their retention, and restore a snapshot until then"),
	"DBClusterSnapshotAlreadyExistsFault":   perm(backup.ErrConflict, "choose another Spec.Name, or leave it empty"),
	"DBClusterAlreadyExistsFault":           perm(backup.ErrConflict, "choose another RestoreClusterOptions.ID: nothing that exists is ever overwritten"),
	// A state that passes.
	"InvalidDBClusterStateFault":         later("the cluster is not available now; it is tried again"),
	"InvalidDBClusterSnapshotStateFault": later("the snapshot is not available now; it is tried again"),
	"InsufficientDBClusterCapacityFault": later("the Region has no room for the cluster now; it is tried again"),
	"InsufficientStorageClusterCapacity": later("the subnet group's zones have no room for the storage now; it is tried again, or choose a group with more zones"),
	"InvalidDBInstanceState":             later("the instance is not available now; it is tried again"),
	"InvalidDBSnapshotState":             later("the snapshot is not available now; it is tried again"),
	"InsufficientDBInstanceCapacity":     later("the zone has no room for this class now; it is tried again, or choose another class or zone"),
	// Quotas. One code has two meanings.
	"SnapshotQuotaExceeded": {
		{Message: "Cannot copy more than", Code: backup.ErrQuota, Class: awscall.NotYet, Hint: "too many copies are in progress; it is tried again"},
		{Code: backup.ErrQuota, Class: awscall.Permanent, Hint: "the quota of manual snapshots in the Region is full (100 unless it was raised): delete old ones or have it raised"},
	},
	"InstanceQuotaExceeded":       perm(backup.ErrQuota, "the quota of DB instances in the Region is full: delete some or have it raised"),
	"StorageQuotaExceeded":        perm(backup.ErrQuota, "the quota of storage of all DB instances is full: delete some or have it raised"),
	"DBClusterQuotaExceededFault": perm(backup.ErrQuota, "the quota of DB clusters in the Region is full: delete some or have it raised"),
	"DBClusterRoleQuotaExceeded":  perm(backup.ErrQuota, "the cluster has as many roles as it may have"),
	"TenantDatabaseQuotaExceeded": perm(backup.ErrQuota, "the quota of tenant databases is full"),
	// What can not be right.
	"InvalidDBCapacityReservationState":      perm(backup.ErrInvalid, hintRestore),
	"InvalidRestoreFault":                    perm(backup.ErrUnsupported, "RDS can not restore this snapshot so; the message says why"),
	"InvalidSubnet":                          perm(backup.ErrInvalid, hintVPC),
	"InvalidVPCNetworkStateFault":            perm(backup.ErrInvalid, hintVPC),
	"DBSubnetGroupDoesNotCoverEnoughAZs":     perm(backup.ErrInvalid, "the subnet group needs subnets in at least two zones"),
	"NetworkTypeNotSupported":                perm(backup.ErrInvalid, "the subnet group does not support the network type"),
	"ProvisionedIopsNotAvailableInAZFault":   perm(backup.ErrInvalid, "choose another zone or storage type"),
	"StorageTypeNotSupported":                perm(backup.ErrInvalid, "choose another RestoreOptions.StorageType"),
	"VpcEncryptionControlViolationException": perm(backup.ErrInvalid, "the VPC enforces encryption that this instance class does not have: choose another class or VPC"),
	"KMSKeyNotAccessibleFault":               perm(backup.ErrDenied, "the KMS key is disabled, pending deletion or not allowed: enable it, and allow the caller kms:DescribeKey and kms:CreateGrant on it"),
	"InvalidParameterValue":                  perm(backup.ErrInvalid, hintParameter),
	"InvalidParameterCombination":            perm(backup.ErrInvalid, hintParameter),
	"InvalidParameter":                       perm(backup.ErrInvalid, hintParameter),
	"MissingParameter":                       perm(backup.ErrInvalid, hintParameter),
	"ValidationError":                        perm(backup.ErrInvalid, hintParameter),
	"InvalidQueryParameter":                  perm(backup.ErrInvalid, hintParameter),
	"MalformedQueryString":                   perm(backup.ErrInvalid, hintParameter),
	"NotAuthorized":                          perm(backup.ErrDenied, "the caller's policy does not allow this action; the message names it"),
	"IncompleteSignature":                    perm(backup.ErrDenied, "the request was not signed as AWS wants it; check the endpoint"),
	"ServiceUnavailable":                     {{Code: backup.ErrUnavailable, Class: awscall.Ambiguous, Hint: "RDS is not able to answer now; it is looked at again later"}},
	"InternalFailure":                        {{Code: backup.ErrUnavailable, Class: awscall.Ambiguous, Hint: "RDS had an internal error; it is looked at again later"}},
}

func invalid(action backup.Action, r backup.Ref, hint, format string, args ...any) error {
	return &backup.Error{Op: string(action), Kind: Kind, Ref: r, Code: backup.ErrInvalid, Err: fmt.Errorf(format, args...), Hint: hint}
}

func failure(op backup.Operation, code backup.Code, hint, format string, args ...any) error {
	return &backup.Error{Op: string(op.Action), Kind: Kind, Ref: op.Ref, Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
}

// unknownAction is the error of an Operation of an action that the Strategy does not have.
func unknownAction(op backup.Operation) error {
	return failure(op, backup.ErrUnsupported, "package rds backs up, copies, restores and deletes", "this strategy has no action %q", op.Action)
}

// unknownStage is the error of an Operation that this release can not carry on.
func unknownStage(op backup.Operation) error {
	return failure(op, backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
}
