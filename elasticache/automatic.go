package elasticache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
)

// AutomaticBackups is how ElastiCache itself makes snapshots of a group or cluster every day. They vanish with it: see StartCopy.
type AutomaticBackups struct {
	// RetentionDays is for how many days they are kept, 1 to 35; 0 means that none are made.
	RetentionDays int32
	// Window is when they begin, hh:mm-hh:mm in UTC.
	Window string
	// Member is the cluster that they are made of, in a group with cluster mode disabled; empty where AWS names none.
	Member string
	// Pending are other changes that wait for the maintenance window, in words, such as "node type cache.r7g.xlarge". Whoever applies a
	// change at once applies them too.
	Pending []string
}

// AutomaticBackups reads how ElastiCache makes snapshots of a replication group or a single cluster by itself.
//
// It fails with ErrNotFound where there is none, with ErrUnsupported for what has no snapshots, and with ErrInvalid for a member of a group,
// whose group is to be asked. Source: ElastiCache API, types ReplicationGroup and CacheCluster.
func (s *Strategy) AutomaticBackups(ctx context.Context, r backup.Ref) (AutomaticBackups, error) {
	if err := r.Validate(); err != nil {
		return AutomaticBackups{}, err
	}
	if err := validRef("automatic backups", r, TypeReplicationGroup, TypeCluster); err != nil {
		return AutomaticBackups{}, err
	}
	c, err := s.client(ctx, r)
	if err != nil {
		return AutomaticBackups{}, err
	}
	d, err := s.daily(ctx, c, r)
	return d.AutomaticBackups, err
}

// daily is how a group or cluster is made snapshots of, and how it is itself.
type daily struct {
	AutomaticBackups
	status string
	known  []string
	// member is what automatic snapshots could be made of in a group with cluster mode disabled, which plain tells: a replica, the primary where
	// there is none, or nothing while the roles are not known.
	plain  bool
	member string
}

// daily looks at a group or cluster. An error of its own is permanent only for what is not there or can have none.
func (s *Strategy) daily(ctx context.Context, c *awselasticache.Client, r backup.Ref) (daily, error) {
	if r.Type == TypeCluster {
		x, err := s.cluster(ctx, c, r, r.ID)
		switch {
		case err != nil:
			return daily{}, err
		case x == nil:
			return daily{}, refused(r, "DescribeCacheClusters", backup.ErrNotFound, "check the id, the account and the Region", "no such cache cluster")
		case aws.ToString(x.ReplicationGroupId) != "":
			return daily{}, refused(r, "automatic backups", backup.ErrInvalid, "name the replication group: elasticache.ReplicationGroup(account, region, \""+*x.ReplicationGroupId+"\")",
				"the cluster is a member of the replication group %s", *x.ReplicationGroupId)
		}
		d := daily{status: word(x.CacheClusterStatus), known: clusterStatuses}
		d.RetentionDays, d.Window, d.Pending = aws.ToInt32(x.SnapshotRetentionLimit), aws.ToString(x.SnapshotWindow), pendingCluster(x)
		return d, snapshottable(r, aws.ToString(x.Engine), aws.ToString(x.CacheNodeType))
	}
	g, err := s.group(ctx, c, r, r.ID)
	if err != nil {
		return daily{}, err
	}
	if g == nil {
		return daily{}, refused(r, "DescribeReplicationGroups", backup.ErrNotFound, "check the id, the account and the Region", "no such replication group")
	}
	d := daily{status: word(g.Status), known: groupStatuses}
	d.RetentionDays, d.Window, d.Member = aws.ToInt32(g.SnapshotRetentionLimit), aws.ToString(g.SnapshotWindow), word(g.SnapshottingClusterId)
	d.Pending = pendingGroup(g)
	ids := members(g)
	all, err := s.clusters(ctx, c, r, ids)
	if err != nil {
		return daily{}, err
	}
	for _, id := range ids {
		if x := all[id]; x != nil {
			d.Pending = append(d.Pending, pendingCluster(x)...)
		}
	}
	slices.Sort(d.Pending)
	d.Pending = slices.Compact(d.Pending)
	if !clustered(g) {
		d.plain, d.member = true, dailyMember(g)
	}
	return d, snapshottable(r, aws.ToString(g.Engine), aws.ToString(g.CacheNodeType))
}

// dailyMember chooses a replica of a group with cluster mode disabled, the primary where there is none, and nothing where the roles are not known.
func dailyMember(g *ectypes.ReplicationGroup) string {
	var primary string
	var replicas []string
	for _, n := range g.NodeGroups {
		for _, m := range n.NodeGroupMembers {
			switch word(m.CurrentRole) {
			case "primary":
				primary = word(m.CacheClusterId)
			case "replica":
				replicas = append(replicas, word(m.CacheClusterId))
			}
		}
	}
	slices.Sort(replicas)
	if len(replicas) > 0 {
		return replicas[0]
	}
	return primary
}

// pendingGroup says in words what waits for the maintenance window of a group. Source: the SDK's types ReplicationGroupPendingModifiedValues.
func pendingGroup(g *ectypes.ReplicationGroup) (all []string) {
	p := g.PendingModifiedValues
	if p == nil {
		return nil
	}
	add := func(is bool, what string) {
		if is {
			all = append(all, what)
		}
	}
	add(p.AuthTokenStatus != "", "AUTH token "+string(p.AuthTokenStatus))
	add(p.AutomaticFailoverStatus != "", "automatic failover "+string(p.AutomaticFailoverStatus))
	add(p.ClusterMode != "", "cluster mode "+string(p.ClusterMode))
	add(len(p.LogDeliveryConfigurations) > 0, "log delivery")
	add(aws.ToString(p.PrimaryClusterId) != "", "primary "+aws.ToString(p.PrimaryClusterId))
	add(p.Resharding != nil, "resharding")
	add(p.TransitEncryptionEnabled != nil || p.TransitEncryptionMode != "", "encryption in transit")
	add(p.UserGroups != nil, "user groups")
	return all
}

// pendingCluster does the same for a cluster. Source: the SDK's types PendingModifiedValues.
func pendingCluster(x *ectypes.CacheCluster) (all []string) {
	p := x.PendingModifiedValues
	if p == nil {
		return nil
	}
	add := func(is bool, what string) {
		if is {
			all = append(all, what)
		}
	}
	add(p.AuthTokenStatus != "", "AUTH token "+string(p.AuthTokenStatus))
	add(len(p.CacheNodeIdsToRemove) > 0 || p.NumCacheNodes != nil, "number of nodes")
	add(aws.ToString(p.CacheNodeType) != "", "node type "+aws.ToString(p.CacheNodeType))
	add(aws.ToString(p.EngineVersion) != "", "engine version "+aws.ToString(p.EngineVersion))
	add(len(p.LogDeliveryConfigurations) > 0, "log delivery")
	add(p.ScaleConfig != nil, "scaling")
	add(p.TransitEncryptionEnabled != nil || p.TransitEncryptionMode != "", "encryption in transit")
	return all
}

// ActionAutomaticBackups is the action of StartAutomaticBackups.
const ActionAutomaticBackups backup.Action = Kind + ".automatic-backups"

// When a change is applied.
const (
	// ApplyNow applies it as soon as possible, and with it every other change that waits for the maintenance window.
	ApplyNow = "now"
	// ApplyAtMaintenance leaves it to AWS to apply it in the next maintenance window, or earlier.
	ApplyAtMaintenance = "at maintenance"
)

// AutomaticBackupOptions are how automatic snapshots are to be made.
type AutomaticBackupOptions struct {
	// RetentionDays is for how many days they are kept, 1 to 35. AWS may delete those that are older than a shorter retention.
	RetentionDays int32
	// Off turns them off, with RetentionDays 0. RetentionDays 0 alone is refused.
	Off bool
	// Window is when they begin, hh:mm-hh:mm in UTC and at least an hour; empty leaves it as it is. With Off it is refused.
	Window string
	// Apply is ApplyNow or ApplyAtMaintenance. It has no default.
	Apply string
}

// OptionsFor makes AutomaticBackupOptions usable as backup.Spec.Options.
func (AutomaticBackupOptions) OptionsFor() (string, backup.Action) {
	return Kind, ActionAutomaticBackups
}

type automaticState struct {
	Options AutomaticBackupOptions `json:"o"`
	// Member is what automatic snapshots are to be made of, where they are turned on and it must be said.
	Member string `json:"m,omitempty"`
	// Sent: AWS accepted the change, or said that there was none. Seen counts the looks that found all as wanted.
	Sent bool `json:"s,omitempty"`
	Seen int  `json:"n,omitempty"`
	// Odd is since when it is available and not as wanted, although AWS accepted the change.
	Odd time.Time `json:"d,omitzero"`
	// Lost is since when the group or cluster has not been seen.
	Lost time.Time `json:"l,omitzero"`
}

// StartAutomaticBackups makes the Operation that sets how ElastiCache itself makes snapshots of a replication group or a single cluster.
// Spec.Options must be AutomaticBackupOptions. It waits for a group or cluster that is busy.
//
// With ApplyNow it succeeds when AWS tells the new settings; before, Preflight and a finding name the other changes that are applied with them.
// With ApplyAtMaintenance it also succeeds when AWS has accepted them, with a finding that says so. Where all is so already nothing is sent. A call
// that was perhaps sent is sent again: it sets the same.
//
// Source: ElastiCache API, ModifyReplicationGroup and ModifyCacheCluster; ElastiCache User Guide, "Scheduling automatic backups".
func (s *Strategy) StartAutomaticBackups(_ context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(ActionAutomaticBackups, r, spec, TypeReplicationGroup, TypeCluster)
	if err != nil {
		return backup.Operation{}, err
	}
	bad := func(hint, format string, args ...any) (backup.Operation, error) {
		return backup.Operation{}, invalid(op.Action, r, hint, format, args...)
	}
	o, ok := spec.Options.(AutomaticBackupOptions)
	switch {
	case !ok:
		return bad("set Spec.Options to elasticache.AutomaticBackupOptions", "options of type %T", spec.Options)
	case spec.Name != "":
		return bad("leave Spec.Name empty", "a setting makes nothing that could have the name %q", spec.Name)
	case o.Off && o.RetentionDays != 0:
		return bad("leave one of them out", "automatic snapshots are to be off and kept for %d days", o.RetentionDays)
	case !o.Off && o.RetentionDays == 0:
		return bad("set RetentionDays to 1 to 35, or Off to turn automatic snapshots off", "RetentionDays is 0, which turns them off")
	case o.RetentionDays < 0 || o.RetentionDays > maxRetention:
		return bad("choose 1 to 35 days", "RetentionDays is %d", o.RetentionDays)
	case o.Off && o.Window != "":
		return bad("leave Window out", "a window for automatic snapshots that are not to be made")
	case o.Window != "" && !dailyWindow(o.Window):
		return bad("use hh:mm-hh:mm in UTC, at least an hour, such as 03:00-04:30", "the window %.40q", o.Window)
	case o.Apply != ApplyNow && o.Apply != ApplyAtMaintenance:
		return bad("use elasticache.ApplyNow, which also applies other changes that wait, or elasticache.ApplyAtMaintenance", "Apply is %.40q", o.Apply)
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

func kindOf(r backup.Ref) string {
	if r.Type == TypeCluster {
		return "cluster"
	}
	return "replication group"
}

// dead says why a group or cluster that is as it is can never be set, or nothing.
func (d daily) dead(r backup.Ref) error {
	switch d.status {
	case "deleting", "deleted":
		return refused(r, "automatic backups", backup.ErrNotFound, "there is nothing left to set", "the %s is being deleted", kindOf(r))
	case "create-failed", "restore-failed", "incompatible-network":
		return refused(r, "automatic backups", backup.ErrUnsupported, "mend or delete it", "the %s is %s", kindOf(r), d.status)
	}
	return nil
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

// is tells whether the settings are as wanted.
func (o AutomaticBackupOptions) is(d daily) bool {
	return d.RetentionDays == o.RetentionDays && (o.Window == "" || d.Window == o.Window)
}

// warnings say what a change does beside itself.
func (o AutomaticBackupOptions) warnings(r backup.Ref, d daily) (all []backup.Finding) {
	if o.Apply == ApplyNow && len(d.Pending) > 0 {
		all = append(all, backup.Finding{ID: "elasticache.pending-changes", Severity: backup.SeverityWarning, Ref: r,
			Message: "other changes wait for the maintenance window and are applied at once too: " + strings.Join(d.Pending, ", "), Remedy: "use ApplyAtMaintenance, or be ready for them"})
	}
	if d.RetentionDays > o.RetentionDays {
		all = append(all, backup.Finding{ID: "elasticache.retention-lowered", Severity: backup.SeverityWarning, Ref: r,
			Message: fmt.Sprintf("automatic snapshots were kept for %d days and will be for %d: AWS may delete the older ones", d.RetentionDays, o.RetentionDays),
			Remedy:  "copy those that are to stay (StartCopy)"})
	}
	return all
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
		st.Sent, st.Seen = true, 0
		op.To(stageWait, "")
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	}
	if op.Intent() != backup.Send && st.Options.is(d) {
		return accepted()
	}
	for _, f := range st.Options.warnings(op.Ref, d) {
		op.Find(f)
	}
	now := aws.Bool(st.Options.Apply == ApplyNow)
	var err error
	if op.Ref.Type == TypeCluster {
		_, err = c.ModifyCacheCluster(ctx, &awselasticache.ModifyCacheClusterInput{CacheClusterId: &op.Ref.ID, ApplyImmediately: now,
			SnapshotRetentionLimit: &st.Options.RetentionDays, SnapshotWindow: text(st.Options.Window)}, s.sending)
	} else {
		_, err = c.ModifyReplicationGroup(ctx, &awselasticache.ModifyReplicationGroupInput{ReplicationGroupId: &op.Ref.ID, ApplyImmediately: now,
			SnapshotRetentionLimit: &st.Options.RetentionDays, SnapshotWindow: text(st.Options.Window), SnapshottingClusterId: text(st.Member)}, s.sending)
	}
	if err == nil || strings.Contains(err.Error(), nothingToModify) {
		return accepted()
	}
	return s.refusedCreate(op, err)
}

// nothingToModify is what AWS says where all is so already, with the code InvalidParameterCombination. Source:
// hashicorp/terraform-provider-aws, elasticache/replication_group.go.
const nothingToModify = "No modifications were requested"

// waitAutomatic looks until the change shows.
func (s *Strategy) waitAutomatic(op backup.Operation, st automaticState, d daily) (backup.Operation, error) {
	if st.Options.is(d) {
		st.Odd = time.Time{}
	}
	switch {
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
			"AWS accepted the change and tells %d days and the window %s: somebody else changed it", d.RetentionDays, cmp.Or(d.Window, "of AWS")))
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
