package rds

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
)

// StartRestoreToTime makes the Operation that restores an instance or a cluster to a time in its restore window, as a new instance or cluster beside
// it. The zero time means the latest that RDS can restore to, which is about five minutes ago. source is an Instance or a Cluster, or an
// AutomatedBackup or a ClusterAutomatedBackup where the database is deleted and its automated backups were retained.
//
// Spec.Options must be RestoreOptions for an instance and RestoreClusterOptions for a cluster, and mean what they mean in StartRestore. A time outside of
// the window ends the Operation with ErrInvalid, which names the window; nothing is made then. An instance without automated backups ends it
// with ErrUnsupported. Two Operations with the same source and Token are the same, whatever their times are.
//
// Source: RDS User Guide, "Restoring a DB instance to a specified time"; Aurora User Guide, "Restoring a DB cluster to a specified time".
func (s *Strategy) StartRestoreToTime(_ context.Context, source backup.Ref, at time.Time, spec backup.Spec) (backup.Operation, error) {
	return s.startTimeRestore(source, at, spec)
}

func (s *Strategy) startTimeRestore(source backup.Ref, at time.Time, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionRestore, source, spec, TypeInstance, TypeCluster, TypeAutomatedBackup, TypeClusterAutomatedBackup)
	if err != nil {
		return backup.Operation{}, err
	}
	if !at.IsZero() {
		at = at.UTC().Round(0).Truncate(time.Second)
		if at.After(time.Now().Add(clockSkew)) {
			return backup.Operation{}, invalid(op.Action, source, "choose a time that has passed, or the zero time for the latest", "the time %s is in the future", at.Format(time.RFC3339))
		}
	}
	op.Bind(at)
	if ofCluster(source) {
		if op, err = startClusterRestore(op, spec); err != nil {
			return backup.Operation{}, err
		}
		var st clusterRestoreState
		if err := op.GetState(&st); err != nil {
			return backup.Operation{}, err
		}
		if source.Type == TypeCluster && st.Options.ID == source.ID {
			return backup.Operation{}, invalid(op.Action, source, "choose another RestoreClusterOptions.ID: a restore always makes a new cluster", "the new cluster would have the identifier of the source")
		}
		st.At = at
		return op, op.SetState(st)
	}
	if op, err = startInstanceRestore(op, spec); err != nil {
		return backup.Operation{}, err
	}
	var st restoreState
	if err := op.GetState(&st); err != nil {
		return backup.Operation{}, err
	}
	if source.Type == TypeInstance && st.Options.ID == source.ID {
		return backup.Operation{}, invalid(op.Action, source, "choose another RestoreOptions.ID: a restore always makes a new instance", "the new instance would have the identifier of the source")
	}
	st.At = at
	return op, op.SetState(st)
}

// toTime tells whether a restore is one to a point in time.
func toTime(op backup.Operation) bool {
	return op.Ref.Type != TypeSnapshot && op.Ref.Type != TypeClusterSnapshot
}

func (s *Strategy) stepTimeRestore(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.restoringInstance(s.lookTimeRestore, s.restoreToTime).carry(ctx, s, c, op)
}

func (s *Strategy) stepClusterTimeRestore(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.carryClusterRestore(ctx, c, op, s.lookClusterTimeRestore, s.restoreClusterToTime)
}

// timeSource is what a point-in-time restore has for a source: the immutable id of the database, and its automated backups, nil if there are none.
type timeSource struct {
	resource, word string
	port           int32
	// kept tells that the database says that it has automated backups.
	kept    bool
	backups *AutomatedBackups
}

// instanceSource looks at the instance, or the automated backups, that are restored; nil if nothing is visible.
func (s *Strategy) instanceSource(ctx context.Context, c *awsrds.Client, r backup.Ref) (*timeSource, error) {
	src := &timeSource{resource: r.ID, word: "available"}
	if r.Type == TypeInstance {
		x, err := s.instance(ctx, c, r, r.ID)
		if x == nil || err != nil {
			return nil, err
		}
		src.resource, src.word, src.kept = aws.ToString(x.DbiResourceId), aws.ToString(x.DBInstanceStatus), aws.ToInt32(x.BackupRetentionPeriod) > 0
		if x.Endpoint != nil {
			src.port = aws.ToInt32(x.Endpoint.Port)
		}
	}
	return s.withBackups(ctx, c, r, src, s.instanceBackupsPage)
}

// clusterSource is instanceSource for clusters.
func (s *Strategy) clusterSource(ctx context.Context, c *awsrds.Client, r backup.Ref) (*timeSource, error) {
	src := &timeSource{resource: r.ID, word: "available"}
	if r.Type == TypeCluster {
		x, err := s.lookCluster(ctx, c, r, r.ID)
		if x == nil || err != nil {
			return nil, err
		}
		src.resource, src.word, src.port, src.kept = aws.ToString(x.DbClusterResourceId), aws.ToString(x.Status), aws.ToInt32(x.Port), true
	}
	return s.withBackups(ctx, c, r, src, s.clusterBackupsPage)
}

// withBackups adds the automated backups of a source; without any, a source that is none but its automated backups is none.
func (s *Strategy) withBackups(ctx context.Context, c *awsrds.Client, r backup.Ref, src *timeSource, read backupsPager) (*timeSource, error) {
	a, err := s.backupsOf(ctx, c, r, read, src.resource)
	if err != nil || a == nil && r.ID == src.resource {
		return nil, err
	}
	if src.backups = a; a != nil && src.port == 0 {
		src.port = a.port
	}
	return src, nil
}

// mayRestore says why there is no restore to a time, or nothing. again is true where that may pass.
func (src *timeSource) mayRestore(op backup.Operation, at time.Time) (refused error, again bool) {
	a := src.backups
	switch {
	case src.word == "creating", a == nil && src.kept:
		return nil, true // the list of automated backups may lag
	case a == nil:
		return failure(op, backup.ErrUnsupported, "set the retention of its automated backups, and restore a snapshot until then", "the %s has no automated backups", noun(op.Ref)), false
	case a.Database.Region != op.Ref.Region:
		return failure(op, backup.ErrUnsupported, "restore it with RestoreDBInstanceToPointInTime itself, from the ARN of the replicated automated backups", "the automated backups are replicated from %s", a.Database.Region), false
	case a.Latest.IsZero():
		return nil, true
	case !a.has(at):
		return failure(op, backup.ErrInvalid, "choose a time in the window, or the zero time for the latest, or restore a snapshot", "the time %s is outside of the restore window: %s to %s",
			at.Format(time.RFC3339), a.Earliest.UTC().Format(time.RFC3339), a.Latest.UTC().Format(time.RFC3339)), false
	}
	return nil, false
}

// readySource looks at the source of a point-in-time restore. It gives nil where that is to be waited for, or where the Operation has ended.
func (s *Strategy) readySource(op backup.Operation, src *timeSource, err error, at time.Time, k seen) (*timeSource, backup.Operation, error) {
	if err != nil {
		next, err := notLooked(op, k.armed, err)
		return nil, next, err
	}
	if src == nil {
		if s.absent(k.lost) {
			op.Fail(failure(op, backup.ErrNotFound, "check the identifier, the account and the Region; a database that was deleted is restored from rds.AutomatedBackup or "+
				"rds.ClusterAutomatedBackup, or from a snapshot", "there is nothing to restore"))
		} else {
			s.wait(&op)
		}
		return nil, op, nil
	}
	*k.lost = time.Time{}
	if k.resource != "" && src.resource != k.resource {
		op.Fail(failure(op, backup.ErrConflict, "look at it, and start another restore if it is the one that is wanted", "another %s has the identifier now", noun(op.Ref)))
		return nil, op, nil
	}
	refused, again := src.mayRestore(op, at)
	switch {
	case again:
		op.Find(backup.Finding{ID: "rds.no-window", Severity: backup.SeverityInfo, Ref: op.Ref, Message: "there is no restore window yet; it is waited for"})
		op.To(stagePark, "")
		op.PollIn(s.opts.Park)
		return nil, op, nil
	case refused != nil:
		op.Fail(refused)
		return nil, op, nil
	}
	if at.IsZero() {
		op.Find(backup.Finding{ID: "rds.restore-time", Severity: backup.SeverityInfo, Ref: op.Ref, Message: "restored to the latest time there is, which is " +
			src.backups.Latest.UTC().Format(time.RFC3339) + " or later"})
	}
	return src, op, nil
}

// lookTimeRestore looks at the source and arms the call, or waits until there is a window.
func (s *Strategy) lookTimeRestore(ctx context.Context, c *awsrds.Client, op backup.Operation, st restoreState) (backup.Operation, error) {
	if st.Armed > 0 {
		// An earlier send may have worked after all.
		if next, ok, err := s.adoptInstance(ctx, c, op, &st); ok || err != nil {
			return next, err
		}
	}
	src, err := s.instanceSource(ctx, c, op.Ref)
	src, next, err := s.readySource(op, src, err, st.At, seen{armed: st.Armed, resource: st.Source, lost: &st.Lost})
	if err != nil || next.Done() {
		return next, err
	}
	if src == nil {
		return next, next.SetState(st)
	}
	st.Source, st.Encrypted = src.resource, src.backups.Encrypted
	if st.Port = st.Options.Port; st.Port == 0 {
		st.Port = src.port
	}
	st.Armed++
	next.To(stageCreate, "RestoreDBInstanceToPointInTime")
	return next, next.SetState(st)
}

// restoreToTime makes the new instance. The source is named by what no other instance ever has, so that it need not be looked at again.
func (s *Strategy) restoreToTime(ctx context.Context, c *awsrds.Client, op backup.Operation, st restoreState) (backup.Operation, error) {
	o := st.Options
	in := &awsrds.RestoreDBInstanceToPointInTimeInput{
		SourceDbiResourceId: &st.Source, TargetDBInstanceIdentifier: &o.ID, DBSubnetGroupName: &o.SubnetGroup, VpcSecurityGroupIds: o.SecurityGroups,
		PubliclyAccessible: &o.PubliclyAccessible, NetworkType: aws.String(o.network()), MultiAZ: &o.MultiAZ, AvailabilityZone: optional(o.Zone),
		DBInstanceClass: optional(o.Class), DBParameterGroupName: optional(o.ParameterGroup), OptionGroupName: optional(o.OptionGroup),
		StorageType: optional(o.StorageType), DeletionProtection: &o.DeletionProtection, CopyTagsToSnapshot: &o.CopyTagsToSnapshot,
		Tags: tagList(op.OwnTags(op.Ref)),
	}
	in.Port, in.Iops, in.BackupRetentionPeriod = positive(st.Port), positive(o.IOPS), positive(o.BackupRetentionDays)
	in.RestoreTime, in.UseLatestRestorableTime = restoreTime(st.At)
	out, err := c.RestoreDBInstanceToPointInTime(ctx, in, s.sending)
	if err != nil {
		next, err := s.refused(op, err, "DBInstanceAlreadyExists", &st.Armed, &st.Taken)
		if err != nil {
			return next, err
		}
		return next, next.SetState(st)
	}
	return s.tookInstance(op, st, out.DBInstance)
}

// restoreTime gives a time as the calls want it: one of the two, or the other.
func restoreTime(at time.Time) (*time.Time, *bool) {
	if at.IsZero() {
		return nil, aws.Bool(true)
	}
	return &at, nil
}

func (s *Strategy) lookClusterTimeRestore(ctx context.Context, c *awsrds.Client, op backup.Operation, st clusterRestoreState) (backup.Operation, error) {
	if st.Armed > 0 {
		// An earlier send may have worked after all.
		if next, ok, err := s.adoptCluster(ctx, c, op, &st); ok || err != nil {
			return next, err
		}
	}
	src, err := s.clusterSource(ctx, c, op.Ref)
	src, next, err := s.readySource(op, src, err, st.At, seen{armed: st.Armed, resource: st.Source, lost: &st.Lost})
	if err != nil || next.Done() {
		return next, err
	}
	if src == nil {
		return next, next.SetState(st)
	}
	if refused := st.Options.fits(op, src.backups.Engine, src.backups.mode); refused != nil {
		next.Fail(refused)
		return next, nil
	}
	st.Source, st.Engine, st.Encrypted = src.resource, src.backups.Engine, src.backups.Encrypted || st.Options.KMSKeyID != ""
	if st.Port = st.Options.Port; st.Port == 0 {
		st.Port = src.port
	}
	st.Armed++
	next.To(stageCreate, "RestoreDBClusterToPointInTime")
	return next, next.SetState(st)
}

// restoreClusterToTime makes the new cluster, with a full copy of the data: a clone would share it with the source.
func (s *Strategy) restoreClusterToTime(ctx context.Context, c *awsrds.Client, op backup.Operation, st clusterRestoreState) (backup.Operation, error) {
	o := st.Options
	in := &awsrds.RestoreDBClusterToPointInTimeInput{
		SourceDbClusterResourceId: &st.Source, DBClusterIdentifier: &o.ID, RestoreType: aws.String("full-copy"), DBSubnetGroupName: &o.SubnetGroup,
		VpcSecurityGroupIds: o.SecurityGroups, PubliclyAccessible: &o.PubliclyAccessible, NetworkType: aws.String(o.network()), DBClusterParameterGroupName: optional(o.ParameterGroup),
		KmsKeyId: optional(o.KMSKeyID), DeletionProtection: &o.DeletionProtection, CopyTagsToSnapshot: &o.CopyTagsToSnapshot, DBClusterInstanceClass: optional(o.Class),
		StorageType: optional(o.StorageType), Tags: tagList(op.OwnTags(op.Ref)),
	}
	in.Port, in.Iops, in.BackupRetentionPeriod = positive(st.Port), positive(o.IOPS), positive(o.BackupRetentionDays)
	in.RestoreToTime, in.UseLatestRestorableTime = restoreTime(st.At)
	in.ServerlessV2ScalingConfiguration = o.capacity()
	out, err := c.RestoreDBClusterToPointInTime(ctx, in, s.sending)
	if err != nil {
		next, err := s.refused(op, err, "DBClusterAlreadyExistsFault", &st.Armed, &st.Taken)
		if err != nil {
			return next, err
		}
		return next, next.SetState(st)
	}
	return s.tookCluster(op, st, out.DBCluster)
}

// preflightTime says what is in the way of a point-in-time restore of a source.
func preflightTime(op backup.Operation, src *timeSource, at time.Time) []backup.Finding {
	if src == nil {
		return []backup.Finding{{ID: "rds.not-found", Severity: backup.SeverityError, Ref: op.Ref, Message: "there is nothing to restore",
			Remedy: "check the identifier, the account and the Region; a deleted database is restored from rds.AutomatedBackup or rds.ClusterAutomatedBackup"}}
	}
	refused, again := src.mayRestore(op, at)
	switch {
	case refused != nil:
		return []backup.Finding{refusal("rds.restore-window", op.Ref, refused)}
	case again:
		return []backup.Finding{{ID: "rds.no-window", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "there is no restore window yet", Remedy: "the restore waits for it"}}
	}
	return nil
}

func (s *Strategy) preflightTimeRestore(ctx context.Context, c *awsrds.Client, op backup.Operation) ([]backup.Finding, error) {
	var st restoreState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	src, err := s.instanceSource(ctx, c, op.Ref)
	if err != nil {
		return nil, err
	}
	more, err := s.preflightTarget(ctx, c, op, st.Options)
	return slices.Concat(preflightTime(op, src, st.At), more), err
}

func (s *Strategy) preflightClusterTimeRestore(ctx context.Context, c *awsrds.Client, op backup.Operation) ([]backup.Finding, error) {
	var st clusterRestoreState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	src, err := s.clusterSource(ctx, c, op.Ref)
	if err != nil {
		return nil, err
	}
	found := preflightTime(op, src, st.At)
	if src != nil && src.backups != nil {
		if refused := st.Options.fits(op, src.backups.Engine, src.backups.mode); refused != nil {
			found = append(found, refusal("rds.restore-refused", op.Ref, refused))
		}
	}
	more, err := s.preflightClusterTarget(ctx, c, op, st)
	return slices.Concat(found, more), err
}

// validResource checks the immutable id of a database, such as db-ABCDEFGHIJKLMNOPQRSTUVWXYZ or cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ.
func validResource(r backup.Ref) error {
	prefix := "db-"
	if ofCluster(r) {
		prefix = "cluster-"
	}
	return validResourceID(r, prefix)
}

func validResourceID(r backup.Ref, prefix string) error {
	bad := len(r.ID) <= len(prefix) || len(r.ID) > 63 || r.ID[:len(prefix)] != prefix
	for i := range len(r.ID) {
		c := r.ID[i]
		bad = bad || !(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if bad {
		return invalid("ref", r, "copy the DbiResourceId or DbClusterResourceId from AWS", "the resource id %q does not begin with %s, or has characters that none has", r.ID, prefix)
	}
	return nil
}
