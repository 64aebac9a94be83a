package rds

import (
	"strings"

	"github.com/snapwarden/snapwarden/backup"
)

// explanations say what a state that a restored database does not leave by itself means, and what mends it. Source: RDS User Guide, "Viewing Amazon
// RDS DB instance status"; Aurora User Guide, "Viewing DB cluster status".
var explanations = map[string]string{
	"failed":                              "RDS could not make it: look at its events",
	"restore-error":                       "RDS met an error while it restored: look at its events",
	"incompatible-create":                 "its settings do not fit each other: look at its events",
	"incompatible-network":                "the subnet group has no room or no zone for it, or its VPC lacks DNS: look at the subnets' free addresses",
	"incompatible-option-group":           "an option of its option group could not be added, or removed: name another option group",
	"incompatible-parameters":             "a parameter of its parameter group does not fit the class, usually memory: name another parameter group, or a larger class",
	"incompatible-restore":                "RDS can not restore this data so: a system table, an engine version or a time zone does not fit; look at its events",
	"insufficient-capacity":               "the zone has no room for the class now: choose another class or zone, or try again later",
	"storage-full":                        "its storage is full: give it more",
	"upgrade-failed":                      "an upgrade of its engine failed: look at its events",
	"inaccessible-encryption-credentials": "its KMS key can not be used any more: RDS has given it up, and only another restore brings the data back",
	"inaccessible-encryption-credentials-recoverable": "its KMS key is disabled, pending deletion or not allowed: enable the key within 7 days, then start it",
	"deleting":         "somebody deletes it",
	"delete-precheck":  "somebody deletes it",
	"cloning-failed":   "RDS could not clone it: look at its events",
	"migration-failed": "RDS could not migrate it: look at its events",
	"stopped":          "somebody stopped it: start it, and the restore goes on",
	"stopping":         "somebody stops it: start it again, and the restore goes on",
}

// explained says what a state means.
func explained(word string) string {
	if s, ok := explanations[word]; ok {
		return s
	}
	if strings.HasPrefix(word, "incompatible-") {
		return "something that it was given does not fit it: look at its events"
	}
	return "look at its events"
}

// waitedFor is the finding of a new database that is in a state other than those on the way to being available.
func waitedFor(r backup.Ref, word string) backup.Finding {
	f := notYet(r, word)
	if _, ok := explanations[word]; ok {
		f.ID, f.Severity, f.Remedy = "rds.restored-state", backup.SeverityWarning, explained(word)
	}
	return f
}
