package rdsexport

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/rds"
)

// Options are the settings of one export.
type Options struct {
	// Bucket is where the files go. Required. It must be in the snapshot's Region and belong to its account.
	Bucket string
	// Prefix is the folder in the bucket that the export's own folder is made in; empty means the bucket itself. At most 59 characters, without a
	// slash at either end; see policy.ValidateExportPrefix.
	Prefix string
	// RoleARN is the IAM role that RDS writes with. Required; a role of the snapshot's account.
	RoleARN string
	// KeyARN is the KMS key that the files are encrypted with. Required; a key, and no alias, of the snapshot's account and Region.
	KeyARN string
	// Only are the parts to export; none means everything. Each is a database, or "database.table" for MySQL and MariaDB, or
	// "database.schema" or "database.schema.table" for PostgreSQL. Names have letters of a-z and A-Z, digits, dollars and underscores: AWS exports
	// others only with the whole snapshot. The list must leave room in an Operation: about 6 KiB of names, and 2 KiB where all else is as long as
	// it can be. Source: RDS User Guide, "Exporting DB snapshot data to Amazon S3"; RDS API, StartExportTask.
	Only []string
}

// OptionsFor makes Options usable as backup.Spec.Options.
func (Options) OptionsFor() (string, backup.Action) { return Kind, backup.ActionExport }

// maxName leaves room in an identifier of 60 characters for a hyphen and the 26 characters of the Operation's hash.
const maxName = 60 - 27

// Start makes the Operation that exports a snapshot; r is one of rds.Snapshot, or of rds.ClusterSnapshot for an Aurora cluster. Spec.Options must be Options; Spec.Tags must be empty, because an
// export task has none. The task's identifier, and with it the folder of the files, is Spec.Name in lower case (at most 33 characters; "sw" if it
// is empty), a hyphen, and the hash of the Operation's ID.
func (s *Strategy) Start(_ context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := backup.NewOperation(Kind, backup.ActionExport, r, spec)
	if err != nil {
		return backup.Operation{}, err
	}
	if err := validSnapshot(r); err != nil {
		return backup.Operation{}, err
	}
	if len(spec.Tags) > 0 {
		return backup.Operation{}, invalid(r, "leave Spec.Tags empty", "an export task has no tags")
	}
	o, ok := spec.Options.(Options)
	if !ok {
		return backup.Operation{}, invalid(r, "set Spec.Options to rdsexport.Options", "options of type %T", spec.Options)
	}
	if err := o.validate(r); err != nil {
		return backup.Operation{}, err
	}
	name := policy.CanonicalName(spec.Name)
	if name == "" {
		name = "sw"
	}
	st := state{Bucket: o.Bucket, Prefix: o.Prefix, Role: o.RoleARN, Key: o.KeyARN, Only: slices.Clone(o.Only), Task: name + "-" + strings.TrimPrefix(op.ID, "op-")}
	const hint = "choose a Spec.Name of at most 33 letters, digits and single hyphens that begins with a letter, or leave it empty"
	if len(name) > maxName {
		return backup.Operation{}, invalid(r, hint, "the name %q has %d characters, more than %d", name, len(name), maxName)
	}
	if err := errors.Join(policy.ValidateExportTaskID(name), policy.ValidateExportTaskID(st.Task)); err != nil {
		return backup.Operation{}, invalid(r, hint, "%w", err)
	}
	if s.own != nil {
		if err := s.own.Known(r); err != nil {
			return backup.Operation{}, err
		}
	}
	if n := st.largest(op); n > backup.MaxOperationBytes {
		return backup.Operation{}, invalid(r, "name fewer or larger parts in Options.Only, or use a shorter token", "with %d parts the work could need %d bytes, and an Operation has %d",
			len(o.Only), n, backup.MaxOperationBytes)
	}
	op.Stage = stageLook
	return op, op.SetState(st)
}

// validSnapshot refuses what is no snapshot of a DB instance or a DB cluster. The identifiers of automated snapshots begin with "rds:", those of AWS Backup with
// "awsbackup:".
func validSnapshot(r backup.Ref) error {
	if r.Type != rds.TypeSnapshot && r.Type != rds.TypeClusterSnapshot {
		return invalid(r, "use rds.Snapshot or rds.ClusterSnapshot; a database is backed up first, with package rds", "the type %q can not be exported", r.Type)
	}
	if err := policy.ValidateRegion(r.Region); err != nil {
		return invalid(r, "name the Region as AWS does, such as eu-west-1", "%w", err)
	}
	if r.ID != policy.CanonicalName(r.ID) {
		return invalid(r, "use rds.Snapshot or rds.ClusterSnapshot", "the identifier %q is not in lower case, in which RDS stores it", r.ID)
	}
	id, check := r.ID, policy.ValidateRDSSnapshotID
	if policy.IsAutomatedRDSSnapshotID(id) || policy.IsAWSBackupSnapshotID(id) {
		_, id, _ = strings.Cut(id, ":") // longer than any that can be chosen
	} else if r.Type == rds.TypeClusterSnapshot {
		check = policy.ValidateRDSClusterSnapshotID
	}
	if err := check(id); err != nil {
		return invalid(r, "copy the identifier from AWS, without the rest of the ARN", "%w", err)
	}
	return nil
}

// validate refuses what can not be right for a snapshot.
func (o Options) validate(r backup.Ref) error {
	if err := policy.ValidateBucketName(o.Bucket); err != nil {
		return invalid(r, "name a bucket of this account and Region in Options.Bucket", "%w", err)
	}
	if o.Prefix != "" {
		if err := policy.ValidateExportPrefix(o.Prefix); err != nil {
			return invalid(r, "use parts of letters, digits and !-_.'() with single slashes between them in Options.Prefix", "%w", err)
		}
	}
	partition, err := policy.PartitionOf(r.Region)
	if err != nil {
		return invalid(r, "name the Region as AWS does, such as eu-west-1", "%w", err)
	}
	role, err := policy.ParseARN(o.RoleARN)
	if err != nil {
		return invalid(r, "give the whole ARN of a role in Options.RoleARN", "%w", err)
	}
	name, isRole := strings.CutPrefix(role.Resource, "role/")
	switch {
	case role.Service != "iam" || !isRole || name == "" || strings.HasSuffix(name, "/"):
		return invalid(r, "give the ARN of a role in Options.RoleARN, such as arn:aws:iam::111122223333:role/rds-export", "%q is not the ARN of a role", o.RoleARN)
	case role.Partition != partition.ID || role.Account != r.Account:
		return invalid(r, "use a role of the snapshot's account: RDS is handed no other", "the role %s is not one of account %s in partition %s", o.RoleARN, r.Account, partition.ID)
	case len(o.RoleARN) > maxRole:
		return invalid(r, "copy the ARN from AWS", "the ARN of the role has %d characters, more than a role can have", len(o.RoleARN))
	}
	if err := policy.ValidateKMSKeyARN(o.KeyARN); err != nil {
		return invalid(r, "give the whole ARN of a key in Options.KeyARN", "%w", err)
	}
	key, err := policy.ParseARN(o.KeyARN)
	if err != nil {
		return invalid(r, "give the whole ARN of a key in Options.KeyARN", "%w", err)
	}
	if key.Partition != partition.ID || key.Account != r.Account || key.Region != r.Region {
		return invalid(r, "use a key of the snapshot's account and Region", "the key %s is not one of account %s in %s", o.KeyARN, r.Account, r.Region)
	}
	return validOnly(r, o.Only)
}

// maxRole is the longest ARN of a role: a path of 512 characters and a name of 64. Source: IAM API, type Role.
const maxRole = 640

func validOnly(r backup.Ref, only []string) error {
	const hint = "each of Options.Only is database, database.table, database.schema or database.schema.table, of letters, digits, dollars and underscores"
	seen := map[string]bool{}
	for i, x := range only {
		parts := strings.Split(x, ".")
		if len(parts) > 3 {
			return invalid(r, hint, "number %d of the parts, %.80q, has %d names, more than 3", i+1, x, len(parts))
		}
		for _, p := range parts {
			if p == "" || strings.IndexFunc(p, func(c rune) bool { return !letterOrDigit(c) && c != '$' && c != '_' }) >= 0 {
				return invalid(r, hint, "number %d of the parts, %.80q, has the name %.80q", i+1, x, p)
			}
		}
		if seen[x] {
			return invalid(r, "name each part once", "number %d of the parts, %.80q, was named before", i+1, x)
		}
		seen[x] = true
	}
	return nil
}

func letterOrDigit(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
