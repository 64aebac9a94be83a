package rds

import (
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
)

// Table is the package's table of errors.
var Table = table

// Status and InstanceState say what a word of RDS means.
var Status = status

// InstanceState names what a status of an instance means.
func InstanceState(word string) string {
	return [...]string{"ready", "busy", "broken", "unknown"}[instanceStateOf(word)]
}

// Exposure lists in what an instance is more exposed than it was asked to be.
func Exposure(o RestoreOptions, encrypted bool, x *rdstypes.DBInstance) []string {
	return exposure(restoreState{Options: o, Encrypted: encrypted}, x)
}

// Point makes the recovery point of a snapshot.
func Point(r backup.Ref, x *rdstypes.DBSnapshot) backup.RecoveryPoint { return point(r, x) }

// MayDelete says why a snapshot must not be deleted.
func MayDelete(op backup.Operation, x *rdstypes.DBSnapshot) error {
	return mayDelete(op, deleteState{}, x)
}

// Foreign says why a snapshot of the instance with the given DbiResourceId is not the Operation's.
func Foreign(op backup.Operation, resource string, x *rdstypes.DBSnapshot) string {
	return foreign(op, backupState{Resource: resource}, x)
}
