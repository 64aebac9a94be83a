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
func Point(r backup.Ref, x *rdstypes.DBSnapshot) backup.RecoveryPoint {
	return point(r, instanceSnap(x))
}

// MayDelete says why a snapshot must not be deleted.
func MayDelete(op backup.Operation, x *rdstypes.DBSnapshot) error {
	return mayDelete(op, deleteState{}, instanceSnap(x))
}

// Foreign says why a snapshot of the instance with the given DbiResourceId is not the Operation's.
func Foreign(op backup.Operation, resource string, x *rdstypes.DBSnapshot) string {
	return foreign(op, backupState{Resource: resource}, instanceSnap(x))
}

// MayBackUp says why a database of an engine and in a state can not be backed up.
func MayBackUp(r backup.Ref, engine, word string) error {
	return mayBackUp(backup.Operation{Ref: r}, &database{engine: engine, word: word})
}

// Explained says what a state means.
var Explained = explained

// InstanceBackups reads the automated backups of an instance that were found in the place of r, and makes their recovery point.
func InstanceBackups(r backup.Ref, x *rdstypes.DBInstanceAutomatedBackup) (AutomatedBackups, backup.RecoveryPoint, error) {
	a := instanceBackups(r, x)
	return *a, a.point(r), here(r, a.arn)
}
