package elasticache

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/snapwarden/snapwarden/backup"
)

type automaticState struct {
	Options AutomaticBackupOptions `json:"o"`
	// Member is what automatic snapshots are to be made of, where they are turned on and it must be said.
	Member string `json:"m,omitempty"`
	// Setting is which of the settings of a serverless cache the call is for, and Accepted are those that AWS took: it takes one a call.
	Setting  string   `json:"f,omitempty"`
	Accepted []string `json:"a,omitempty"`
	// Sent: AWS accepted the change, or said that there was none. Tried: that, or it was perhaps sent. Seen counts the looks that found all as wanted.
	Sent  bool `json:"s,omitempty"`
	Tried bool `json:"tr,omitempty"`
	Seen  int  `json:"n,omitempty"`
	// Odd is since when it is available and not as wanted, although AWS accepted the change.
	Odd time.Time `json:"d,omitzero"`
	// Lost is since when the group, cluster or serverless cache has not been seen.
	Lost time.Time `json:"l,omitzero"`
}

// StartAutomaticBackups makes the Operation that sets how ElastiCache itself makes snapshots of a replication group, a single cluster or a
// serverless cache. Spec.Options must be AutomaticBackupOptions. It waits for what is busy.
//
// With ApplyNow it succeeds when AWS tells the new settings; before, Preflight and a finding name the other changes that are applied with them.
// With ApplyAtMaintenance it also succeeds when AWS has accepted them, with a finding that says so. Where all is so already nothing is sent. A call
// that was perhaps sent is sent again: it sets the same.
//
// A serverless cache is changed at once, the retention by one call and then the time by another, because AWS takes one change of it at a time.
//
// Source: ElastiCache API, ModifyReplicationGroup, ModifyCacheCluster and ModifyServerlessCache; ElastiCache User Guide, "Scheduling automatic
// backups"; for the calls one by one hashicorp/terraform-provider-aws#37499.
func (s *Strategy) StartAutomaticBackups(_ context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(ActionAutomaticBackups, r, spec, TypeReplicationGroup, TypeCluster, TypeServerless)
	if err != nil {
		return backup.Operation{}, err
	}
	o, ok := spec.Options.(AutomaticBackupOptions)
	switch {
	case !ok:
		return backup.Operation{}, invalid(op.Action, r, "set Spec.Options to elasticache.AutomaticBackupOptions", "options of type %T", spec.Options)
	case spec.Name != "":
		return backup.Operation{}, invalid(op.Action, r, "leave Spec.Name empty", "a setting makes nothing that could have the name %q", spec.Name)
	}
	if err := o.valid(r); err != nil {
		return backup.Operation{}, err
	}
	op.Stage = stageLook
	return op, op.SetState(automaticState{Options: o})
}

func (s *Strategy) stepAutomatic(ctx context.Context, c *awselasticache.Client, op backup.Operation) (backup.Operation, error) {
	var st automaticState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageLook, stageSet, stageWait:
	default:
		return op, unknownStage(op)
	}
	if op.Stage == stageSet && op.Intent() == backup.ReadOnly {
		return op, nil
	}
	// Whatever comes of this Step, nobody may say later that nothing was sent.
	st.Tried = st.Tried || op.Stage == stageSet && op.Intent() != backup.Send
	d, err := s.daily(ctx, c, op.Ref)
	if err != nil {
		if op.Stage == stageSet {
			op.Unsent()
		}
		return s.dailyLost(op, st, err)
	}
	st.Lost = time.Time{}
	if err := d.dead(op.Ref); err != nil {
		op.Fail(err)
		return op, nil
	}
	if d.status != "available" {
		for _, f := range unknownStatus(op.Ref, d.status, d.known) {
			op.Find(f)
		}
	}
	if d.status != "available" {
		// What is busy with another change may still show the old settings, and takes no call.
		st.Seen, st.Odd = 0, time.Time{}
		if op.Stage == stageSet {
			op.To(stageLook, "")
		}
		if op.Stage == stageWait {
			s.wait(&op)
		} else {
			s.park(&op, "the "+kindOf(op.Ref)+" is "+d.status, "it is tried again")
		}
		return op, op.SetState(st)
	}
	switch op.Stage {
	case stageSet:
		return s.sendAutomatic(ctx, c, op, st, d)
	case stageWait:
		return s.waitAutomatic(op, st, d)
	}
	return s.lookAutomatic(op, st, d)
}

// dailyLost sorts the errors of looking at what is to be set.
func (s *Strategy) dailyLost(op backup.Operation, st automaticState, err error) (backup.Operation, error) {
	if backup.CodeOf(err) == backup.ErrNotFound && !s.lost(&st.Lost) {
		// It may be new, or the answer an old one.
		if op.Stage == stageSet {
			op.To(stageLook, "")
		}
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	}
	var e *elsewhereError
	if errors.As(err, &e) {
		return misplaced(op, op.Stage == stageLook, err)
	}
	if permanent(err) {
		op.Fail(err)
		return op, nil
	}
	return op, err
}

// lookAutomatic arms the call, unless all is as wanted, which two looks must find.
func (s *Strategy) lookAutomatic(op backup.Operation, st automaticState, d daily) (backup.Operation, error) {
	if st.Options.is(d) {
		if st.Seen++; st.Seen >= 2 {
			op.Succeed()
			return op, nil
		}
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	}
	st.Seen = 0
	for _, f := range st.Options.warnings(op.Ref, d) {
		op.Find(f)
	}
	if op.Ref.Type == TypeServerless {
		return s.armServerless(op, st, d)
	}
	if st.Member = ""; d.plain && st.Options.RetentionDays > 0 && (d.RetentionDays == 0 || d.Member == "") {
		if st.Member = d.member; st.Member == "" {
			s.park(&op, "the roles of the members are not known, perhaps because of a failover", "it is tried again")
			return op, op.SetState(st)
		}
	}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageSet, "ModifyReplicationGroup")
	if op.Ref.Type == TypeCluster {
		op.Next = "ModifyCacheCluster"
	}
	return op, nil
}

// sendAutomatic sends the change. Sent twice it sets the same, so that a call that was perhaps sent is only looked for where it shows.
func (s *Strategy) sendAutomatic(ctx context.Context, c *awselasticache.Client, op backup.Operation, st automaticState, d daily) (backup.Operation, error) {
	accepted := func() (backup.Operation, error) {
		st.Sent, st.Tried, st.Seen = true, true, 0
		if st.Setting != "" {
			st.Accepted = append(st.Accepted, st.Setting)
		}
		op.To(stageWait, "")
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	}
	if op.Intent() != backup.Send && st.shows(d) {
		return accepted()
	}
	for _, f := range st.Options.warnings(op.Ref, d) {
		op.Find(f)
	}
	now := aws.Bool(st.Options.Apply == ApplyNow)
	var err error
	switch op.Ref.Type {
	case TypeServerless:
		err = s.setServerless(ctx, c, op, st)
	case TypeCluster:
		_, err = c.ModifyCacheCluster(ctx, &awselasticache.ModifyCacheClusterInput{CacheClusterId: &op.Ref.ID, ApplyImmediately: now,
			SnapshotRetentionLimit: &st.Options.RetentionDays, SnapshotWindow: text(st.Options.Window)}, s.sending)
	default:
		_, err = c.ModifyReplicationGroup(ctx, &awselasticache.ModifyReplicationGroupInput{ReplicationGroupId: &op.Ref.ID, ApplyImmediately: now,
			SnapshotRetentionLimit: &st.Options.RetentionDays, SnapshotWindow: text(st.Options.Window), SnapshottingClusterId: text(st.Member)}, s.sending)
	}
	if err == nil || strings.Contains(err.Error(), nothingToModify) {
		return accepted()
	}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	next, err := s.refusedCreate(op, err)
	if next.Done() {
		st.leftOver(&next)
	}
	return next, err
}

// nothingToModify is what AWS says where all is so already, with the code InvalidParameterCombination. Source:
// hashicorp/terraform-provider-aws, elasticache/replication_group.go; for serverless caches #44746 there.
const nothingToModify = "No modifications were requested"

// waitAutomatic looks until the change shows.
func (s *Strategy) waitAutomatic(op backup.Operation, st automaticState, d daily) (backup.Operation, error) {
	further := st.shows(d) && st.open(d) != ""
	if further || st.Options.is(d) {
		st.Odd = time.Time{}
	}
	switch {
	case further:
		// One setting of a serverless cache is as wanted, and another has its turn.
		st.Seen = 0
		op.To(stageLook, "")
		return op, op.SetState(st)
	case st.Options.is(d):
		if st.Seen++; st.Seen >= 2 {
			op.Succeed()
			return op, nil
		}
	case !s.lost(&st.Odd):
		st.Seen = 0
	case st.Options.Apply == ApplyAtMaintenance:
		op.Find(backup.Finding{ID: "elasticache.at-maintenance", Severity: backup.SeverityInfo, Ref: op.Ref,
			Message: "AWS has accepted the change and applies it in the next maintenance window", Remedy: "look then (AutomaticBackups)"})
		op.Succeed()
		return op, nil
	default:
		op.Fail(failure(op, "automatic backups", backup.ErrConflict, "find out who changes it, and start again with another token",
			"AWS accepted the change and tells %d days and the %s: somebody else changed it", d.RetentionDays, d.when()))
		return op, nil
	}
	s.wait(&op)
	return op, op.SetState(st)
}

func (s *Strategy) preflightAutomatic(ctx context.Context, c *awselasticache.Client, op backup.Operation, st automaticState) ([]backup.Finding, error) {
	d, err := s.daily(ctx, c, op.Ref)
	if err == nil {
		err = d.dead(op.Ref)
	}
	if err != nil {
		return nil, err
	}
	found := st.Options.warnings(op.Ref, d)
	if d.status != "available" {
		found = append(found, backup.Finding{ID: "elasticache.not-yet", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "the " + kindOf(op.Ref) + " is " + d.status, Remedy: "the change waits for it"})
	}
	return found, nil
}
