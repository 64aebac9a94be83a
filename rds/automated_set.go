package rds

import (
	"context"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// ActionAutomatedBackups sets the automated backups of an instance or a cluster.
const ActionAutomatedBackups backup.Action = "rds-automated-backups"

// AutomatedBackupOptions are what the automated backups of a database are to be.
type AutomatedBackupOptions struct {
	// RetentionDays is how long automated backups are kept, 1 to 35 days; 0 leaves that as it is, and switches nothing off.
	RetentionDays int32 `json:"days,omitempty"`
	// Window is the daily time in UTC in which RDS makes a snapshot, such as "03:00-03:30": at least half an hour, and not within the maintenance
	// window. Empty leaves it as it is.
	Window string `json:"window,omitempty"`
	// Off switches the automated backups of an instance off. RDS then deletes those that there are, and nothing can be restored to a point in time any
	// more. Clusters always have automated backups.
	Off bool `json:"off,omitempty"`
	// ApplyNow switches automated backups of an instance on or off at once, which interrupts it for a moment; otherwise that happens in the next
	// maintenance window. All other changes are made soon in either case.
	ApplyNow bool `json:"now,omitempty"`
	// AndPending allows ApplyNow where other changes of the database wait for the maintenance window: RDS then makes those at once too, which may
	// restart it.
	AndPending bool `json:"pending,omitempty"`
}

// OptionsFor makes AutomatedBackupOptions usable as backup.Spec.Options.
func (AutomatedBackupOptions) OptionsFor() (string, backup.Action) {
	return Kind, ActionAutomatedBackups
}

func (o AutomatedBackupOptions) valid(r backup.Ref) error {
	bad := func(hint, format string, args ...any) error {
		return invalid(ActionAutomatedBackups, r, hint, format, args...)
	}
	switch {
	case o.RetentionDays < 0 || o.RetentionDays > 35:
		return bad("use 1 to 35 days; to switch automated backups off, set Off", "a retention of %d days", o.RetentionDays)
	case o.Off && (o.RetentionDays != 0 || o.Window != ""):
		return bad("choose one of the two", "Off, and RetentionDays or Window as well")
	case o.Off && ofCluster(r):
		return bad("set RetentionDays to 1", "a cluster always has automated backups")
	case !o.Off && o.RetentionDays == 0 && o.Window == "":
		return bad("set RetentionDays, Window or Off", "nothing is to be changed")
	case o.AndPending && !o.ApplyNow:
		return bad("leave AndPending false, or set ApplyNow", "AndPending without ApplyNow")
	}
	if o.Window != "" {
		if wrong := windowFault(o.Window); wrong != "" {
			return bad("write it as hh:mm-hh:mm in UTC, such as 03:00-03:30", "the window %q %s", o.Window, wrong)
		}
	}
	return nil
}

// windowFault says what is wrong with a daily window, or nothing. Source: RDS API, ModifyDBInstance, PreferredBackupWindow.
func windowFault(w string) string {
	from, to, ok := strings.Cut(w, "-")
	a, err1 := time.Parse("15:04", from)
	b, err2 := time.Parse("15:04", to)
	if !ok || err1 != nil || err2 != nil || len(from) != 5 || len(to) != 5 {
		return "is not a time of day and another"
	}
	if d := (b.Sub(a) + 24*time.Hour) % (24 * time.Hour); d < 30*time.Minute {
		return "is shorter than half an hour"
	}
	return ""
}

// The stage of a change beside those of a backup.
const stageModify = "modify" // the call may be made

// setState is the State of a change of automated backups.
type setState struct {
	Options AutomatedBackupOptions `json:"o"`
	// Resource is the immutable id of the database that was looked at first.
	Resource string `json:"r,omitempty"`
	// Armed counts the times that the call was armed, but for those that surely had no effect.
	Armed int       `json:"a,omitempty"`
	Lost  time.Time `json:"l,omitzero"`
}

// StartSetAutomatedBackups makes the Operation that sets the automated backups of an instance or a cluster. Spec.Options must be
// AutomatedBackupOptions; Spec.Name and Spec.Tags must be empty, because nothing is made. The Operation succeeds when the settings are in force, or, where
// the maintenance window is waited for, when RDS holds them as pending, which the finding "rds.pending" then says. Settings that are there already are
// left alone. What the change does beside that (backups that go, an interruption) is a finding of Preflight, and of the Operation before the call. Source: RDS API, ModifyDBInstance and ModifyDBCluster; RDS User Guide, "Introduction to backups".
func (s *Strategy) StartSetAutomatedBackups(_ context.Context, database backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(ActionAutomatedBackups, database, spec, TypeInstance, TypeCluster)
	if err != nil {
		return backup.Operation{}, err
	}
	o, ok := spec.Options.(AutomatedBackupOptions)
	if !ok {
		return backup.Operation{}, invalid(op.Action, database, "set Spec.Options to rds.AutomatedBackupOptions", "options of type %T", spec.Options)
	}
	if spec.Name != "" || len(spec.Tags) > 0 {
		return backup.Operation{}, invalid(op.Action, database, "leave Spec.Name and Spec.Tags empty", "nothing is made that could have a name or tags")
	}
	if err := o.valid(database); err != nil {
		return backup.Operation{}, err
	}
	op.Stage = stageLook
	return op, op.SetState(setState{Options: o})
}

// settings are what a database has for automated backups.
type settings struct {
	resource, word, window string
	// cluster is the cluster that an instance belongs to.
	cluster string
	days    int32
	// later are the days that wait for the maintenance window, below 0 for none, and pending the names of the other changes that do.
	later   int32
	pending []string
}

// setCalls are the calls of a change for one kind of database.
type setCalls struct {
	call string
	look func(ctx context.Context, c *awsrds.Client, r backup.Ref) (*settings, error)
	send func(ctx context.Context, c *awsrds.Client, id string, o AutomatedBackupOptions) error
}

func (s *Strategy) stepSet(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.carrySet(ctx, c, op, setCalls{"ModifyDBInstance", s.instanceSettings, s.sendSettings})
}

func (s *Strategy) stepClusterSet(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.carrySet(ctx, c, op, setCalls{"ModifyDBCluster", s.clusterSettings, s.sendClusterSettings})
}

func (s *Strategy) instanceSettings(ctx context.Context, c *awsrds.Client, r backup.Ref) (*settings, error) {
	x, err := s.instance(ctx, c, r, r.ID)
	if x == nil || err != nil {
		return nil, err
	}
	v := &settings{resource: aws.ToString(x.DbiResourceId), word: aws.ToString(x.DBInstanceStatus), window: aws.ToString(x.PreferredBackupWindow),
		cluster: aws.ToString(x.DBClusterIdentifier), days: aws.ToInt32(x.BackupRetentionPeriod), later: -1}
	if p := x.PendingModifiedValues; p != nil {
		if p.BackupRetentionPeriod != nil {
			v.later = *p.BackupRetentionPeriod
		}
		v.pending = changes(*p)
	}
	return v, nil
}

func (s *Strategy) clusterSettings(ctx context.Context, c *awsrds.Client, r backup.Ref) (*settings, error) {
	x, err := s.lookCluster(ctx, c, r, r.ID)
	if x == nil || err != nil {
		return nil, err
	}
	v := &settings{resource: aws.ToString(x.DbClusterResourceId), word: aws.ToString(x.Status), window: aws.ToString(x.PreferredBackupWindow),
		days: aws.ToInt32(x.BackupRetentionPeriod), later: -1}
	if p := x.PendingModifiedValues; p != nil {
		if p.BackupRetentionPeriod != nil {
			v.later = *p.BackupRetentionPeriod
		}
		v.pending = changes(*p)
	}
	return v, nil
}

// changes names the fields of pending changes that are set, but for the retention.
func changes(pending any) (names []string) {
	v := reflect.ValueOf(pending)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.IsExported() && f.Name != "BackupRetentionPeriod" && !v.Field(i).IsZero() {
			names = append(names, f.Name)
		}
	}
	return names
}

func (s *Strategy) sendSettings(ctx context.Context, c *awsrds.Client, id string, o AutomatedBackupOptions) error {
	_, err := c.ModifyDBInstance(ctx, &awsrds.ModifyDBInstanceInput{DBInstanceIdentifier: &id, BackupRetentionPeriod: o.retention(), PreferredBackupWindow: optional(o.Window),
		ApplyImmediately: &o.ApplyNow}, s.sending)
	return err
}

func (s *Strategy) sendClusterSettings(ctx context.Context, c *awsrds.Client, id string, o AutomatedBackupOptions) error {
	_, err := c.ModifyDBCluster(ctx, &awsrds.ModifyDBClusterInput{DBClusterIdentifier: &id, BackupRetentionPeriod: o.retention(), PreferredBackupWindow: optional(o.Window),
		ApplyImmediately: &o.ApplyNow}, s.sending)
	return err
}

func (o AutomatedBackupOptions) retention() *int32 {
	if o.Off {
		return aws.Int32(0)
	}
	return positive(o.RetentionDays)
}

// met tells whether settings are as they are wanted; later tells that they will be, after the maintenance window.
func (o AutomatedBackupOptions) met(v *settings) (now, later bool) {
	want := o.retention()
	window := o.Window == "" || v.window == o.Window
	days := want == nil || v.days == *want && v.later < 0
	return window && days, window && !o.ApplyNow && want != nil && v.later == *want
}

// carrySet carries on a change of automated backups.
func (s *Strategy) carrySet(ctx context.Context, c *awsrds.Client, op backup.Operation, k setCalls) (backup.Operation, error) {
	var st setState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stagePark:
		return s.parked(op, stageLook), nil
	case stageLook, stageWait:
	case stageModify:
		if op.Intent() == backup.ReadOnly {
			return op, nil
		}
	default:
		return op, unknownStage(op)
	}
	v, err := k.look(ctx, c, op.Ref)
	if err != nil {
		return notLooked(op, st.Armed, err)
	}
	if v == nil || st.Resource != "" && v.resource != st.Resource {
		return s.setLost(op, st, v != nil)
	}
	st.Lost, st.Resource = time.Time{}, v.resource
	if now, later := st.Options.met(v); now || later {
		if later && !now {
			op.Find(backup.Finding{ID: "rds.pending", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "the settings wait for the next maintenance window",
				Remedy: "set AutomatedBackupOptions.ApplyNow to have them at once"})
		}
		op.Succeed()
		return op, op.SetState(st)
	}
	if refused := st.maySet(op, v); refused != nil {
		op.Fail(refused)
		return op, nil
	}
	switch {
	case op.Stage == stageWait && time.Since(op.Since) < s.opts.Settle:
		s.wait(&op)
	case op.Stage == stageModify:
		return s.sendSet(ctx, c, op, st, k)
	case instanceStateOf(v.word) != instanceReady:
		op.Find(notYet(op.Ref, v.word))
		op.To(stagePark, "")
		op.PollIn(s.opts.Park)
	default:
		for _, f := range st.risks(op.Ref, v) {
			op.Find(f)
		}
		st.Armed++
		op.To(stageModify, k.call)
	}
	return op, op.SetState(st)
}

// maySet says why settings can not be changed, or nothing.
func (st setState) maySet(op backup.Operation, v *settings) error {
	if v.cluster != "" {
		return failure(op, backup.ErrUnsupported, "set those of rds.Cluster: its instances have none of their own", "the instance belongs to the DB cluster %s", v.cluster)
	}
	if instanceStateOf(v.word) == instanceBroken {
		return failure(op, backup.ErrUnsupported, explained(v.word), "the %s is %s", noun(op.Ref), v.word)
	}
	if st.Options.ApplyNow && !st.Options.AndPending && len(v.pending) > 0 {
		return failure(op, backup.ErrConflict, "leave ApplyNow false, or set AndPending if these may be made at once too", "changes that wait for the maintenance window would be made with it: %s",
			strings.Join(v.pending, ", "))
	}
	return nil
}

// setLost is what a database that is not visible, or is another one, means: nothing at first.
func (s *Strategy) setLost(op backup.Operation, st setState, other bool) (backup.Operation, error) {
	if !s.absent(&st.Lost) {
		if op.Next != "" {
			op.To(stageLook, "")
		}
		s.wait(&op)
		return op, op.SetState(st)
	}
	if other {
		op.Fail(failure(op, backup.ErrConflict, "look at it, and start again if it is the one that is meant", "another %s has the identifier now", noun(op.Ref)))
	} else {
		op.Fail(failure(op, backup.ErrNotFound, "check the identifier, the account and the Region", "no such DB %s", noun(op.Ref)))
	}
	return op, nil
}

// sendSet makes the call. The same settings twice are the same settings, so that a call that was perhaps made may be made again.
func (s *Strategy) sendSet(ctx context.Context, c *awsrds.Client, op backup.Operation, st setState, k setCalls) (backup.Operation, error) {
	if err := k.send(ctx, c, op.Ref.ID, st.Options); err != nil {
		v := table.Classify(err)
		failed := v.Error(Kind, k.call, op.Ref, err)
		switch v.Class {
		case awscall.NotYet:
			if op.Intent() == backup.Send {
				st.Armed--
			}
			op.To(stagePark, "")
			op.PollIn(s.opts.Park)
			return op, op.SetState(st)
		case awscall.Permanent:
			op.Fail(failed)
			return op, nil
		case awscall.NotApplied:
			op.Unsent()
		}
		return op, failed
	}
	op.To(stageWait, "")
	op.PollIn(s.opts.PollMin)
	return op, op.SetState(st)
}

// preflightSet looks at what a change would act on.
func (s *Strategy) preflightSet(ctx context.Context, c *awsrds.Client, op backup.Operation) ([]backup.Finding, error) {
	return s.preflightSets(ctx, c, op, s.instanceSettings)
}

func (s *Strategy) preflightClusterSet(ctx context.Context, c *awsrds.Client, op backup.Operation) ([]backup.Finding, error) {
	return s.preflightSets(ctx, c, op, s.clusterSettings)
}

func (s *Strategy) preflightSets(ctx context.Context, c *awsrds.Client, op backup.Operation, look func(context.Context, *awsrds.Client, backup.Ref) (*settings, error)) (found []backup.Finding, err error) {
	var st setState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	v, err := look(ctx, c, op.Ref)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return []backup.Finding{{ID: "rds.not-found", Severity: backup.SeverityError, Ref: op.Ref, Message: "no such DB " + noun(op.Ref) + " is visible",
			Remedy: "check the identifier, the account and the Region"}}, nil
	}
	if refused := st.maySet(op, v); refused != nil {
		found = append(found, refusal("rds.settings-refused", op.Ref, refused))
	} else if instanceStateOf(v.word) != instanceReady {
		f := notYet(op.Ref, v.word)
		f.Severity = backup.SeverityWarning
		found = append(found, f)
	}
	return append(found, st.risks(op.Ref, v)...), nil
}

// risks says what a change does beside what it is for.
func (st setState) risks(r backup.Ref, v *settings) (found []backup.Finding) {
	want := st.Options.retention()
	if want == nil {
		return nil
	}
	note := func(id, message, remedy string) {
		found = append(found, backup.Finding{ID: id, Severity: backup.SeverityWarning, Ref: r, Message: message, Remedy: remedy})
	}
	if *want == 0 && v.days > 0 {
		note("rds.backups-off", "RDS will delete the automated backups, and nothing can be restored to a point in time any more", "back up first, or set RetentionDays instead")
	}
	if st.Options.ApplyNow && (*want == 0) != (v.days == 0) {
		note("rds.interruption", "the instance will be interrupted for a moment", "leave ApplyNow false, and it happens in the maintenance window")
	}
	if *want > 0 && *want < v.days {
		note("rds.shorter-retention", "automated backups that are older than the new retention will go", "copy the automated snapshots that are to stay")
	}
	return found
}
