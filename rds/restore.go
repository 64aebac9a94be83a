package rds

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// restoreState is a restore's State.
type restoreState struct {
	Options RestoreOptions `json:"o"`
	// Port is the one that the call names. Encrypted, Created and Source, its DbiResourceId, are what the snapshot was when it was first
	// looked at, or the instance of a point-in-time restore, but for Created.
	Port      int32     `json:"p,omitempty"`
	Encrypted bool      `json:"e,omitempty"`
	Created   time.Time `json:"c,omitzero"`
	Source    string    `json:"s,omitempty"`
	// At is the time of a point-in-time restore; zero means the latest.
	At time.Time `json:"at,omitzero"`
	// Resource is the DbiResourceId of the new instance.
	Resource string `json:"r,omitempty"`
	// Armed counts the times that the create call was armed, but for those that surely had no effect.
	Armed int `json:"a,omitempty"`
	// Taken tells that RDS refused the identifier, and that nothing was seen yet that is about to give it up.
	Taken bool `json:"t,omitempty"`
	// Lost is since when the snapshot, or later the instance, has not been seen.
	Lost time.Time `json:"l,omitzero"`
}

// StartRestore makes the Operation that restores a snapshot to a new instance or a new cluster. Spec.Options must be RestoreOptions for a DB
// snapshot, and RestoreClusterOptions for a DB cluster snapshot; what is new is listed in Made and its endpoints in Endpoints. The Operation succeeds
// when all of it is available and not more exposed than asked for. Automated backups are restored to their latest time; see StartRestoreToTime.
func (s *Strategy) StartRestore(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	if point.Type == TypeAutomatedBackup || point.Type == TypeClusterAutomatedBackup {
		return s.startTimeRestore(point, time.Time{}, spec)
	}
	op, err := s.begin(backup.ActionRestore, point, spec, TypeSnapshot, TypeClusterSnapshot)
	if err != nil {
		return backup.Operation{}, err
	}
	if ofCluster(point) {
		return startClusterRestore(op, spec)
	}
	return startInstanceRestore(op, spec)
}

// startInstanceRestore makes the Operation that restores an instance.
func startInstanceRestore(op backup.Operation, spec backup.Spec) (backup.Operation, error) {
	point := op.Ref
	o, ok := spec.Options.(RestoreOptions)
	if !ok {
		return backup.Operation{}, invalid(op.Action, point, "set Spec.Options to rds.RestoreOptions with ID, SubnetGroup and SecurityGroups", "options of type %T", spec.Options)
	}
	o.ID, o.SubnetGroup = policy.CanonicalName(o.ID), policy.CanonicalName(o.SubnetGroup)
	o.SecurityGroups = slices.Clone(o.SecurityGroups)
	if err := o.valid(point); err != nil {
		return backup.Operation{}, err
	}
	if spec.Name != "" && policy.CanonicalName(spec.Name) != o.ID {
		return backup.Operation{}, invalid(op.Action, point, "leave Spec.Name empty: RestoreOptions.ID is the name", "two names were given: %q and %q", spec.Name, o.ID)
	}
	op.Stage = stageLook
	return op, op.SetState(restoreState{Options: o})
}

func (s *Strategy) stepRestore(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.restoringInstance(s.lookRestore, s.restore).carry(ctx, s, c, op)
}

// restoringInstance is a restore of an instance, from what look looks at and by the call that send makes.
func (s *Strategy) restoringInstance(look, send func(context.Context, *awsrds.Client, backup.Operation, restoreState) (backup.Operation, error)) restoring[restoreState] {
	return restoring[restoreState]{look: look, send: send, watch: s.watchInstance, adopt: s.adoptInstance, option: "RestoreOptions.ID",
		target: func(op backup.Operation, st restoreState) (backup.Ref, bool) {
			return Instance(op.Ref.Account, op.Ref.Region, st.Options.ID), st.Taken
		}}
}

// lookRestore looks at the snapshot and arms the call, or waits until the snapshot is available.
func (s *Strategy) lookRestore(ctx context.Context, c *awsrds.Client, op backup.Operation, st restoreState) (backup.Operation, error) {
	if st.Armed > 0 {
		// An earlier send may have worked after all.
		if next, ok, err := s.adoptInstance(ctx, c, op, &st); ok || err != nil {
			return next, err
		}
	}
	x, next, err := s.readyPoint(ctx, c, op, s.snapshot, seen{st.Armed, st.Created, st.Source, &st.Lost})
	if err != nil || next.Done() {
		return next, err
	}
	if x == nil {
		return next, next.SetState(st)
	}
	st.Port, st.Encrypted = st.Options.Port, x.encrypted
	st.Created, st.Source = x.made, x.resource
	if st.Port == 0 {
		st.Port = x.port
	}
	st.Armed++
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageCreate, "RestoreDBInstanceFromDBSnapshot")
	return op, nil
}

// seen is what a restore knows of its snapshot: how often its call was armed, the time of creation and the immutable id when it was first looked at,
// and since when it is missed.
type seen struct {
	armed    int
	made     time.Time
	resource string
	lost     *time.Time
}

// readyPoint looks at the snapshot that is restored. It gives nil where that is to be waited for, or where the Operation has ended.
func (s *Strategy) readyPoint(ctx context.Context, c *awsrds.Client, op backup.Operation, find finder, k seen) (*snap, backup.Operation, error) {
	x, err := find(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		next, err := notLooked(op, k.armed, err)
		return nil, next, err
	}
	if x == nil {
		if s.absent(k.lost) {
			op.Fail(failure(op, backup.ErrNotFound, "check the identifier, the account and the Region", "no such snapshot"))
		} else {
			s.wait(&op)
		}
		return nil, op, nil
	}
	*k.lost = time.Time{}
	switch good, _ := status(x.word); good {
	case backup.StatusAvailable:
	case backup.StatusPending:
		op.Find(backup.Finding{ID: "rds.snapshot-state", Severity: backup.SeverityInfo, Ref: op.Ref, Message: "the snapshot is " + x.word + "; it is waited for until it is available"})
		op.To(stagePark, "")
		op.PollIn(s.opts.Park)
		return nil, op, nil
	default:
		op.Fail(failure(op, backup.ErrUnsupported, "choose another recovery point", "the snapshot is %s", x.word))
		return nil, op, nil
	}
	if !k.made.IsZero() && !sameSnapshot(x, k.made, k.resource) {
		op.Fail(failure(op, backup.ErrConflict, "look at the snapshot, and start another restore if it is the one that is wanted", "another snapshot has the identifier now"))
		return nil, op, nil
	}
	return x, op, nil
}

// stillThat looks at the snapshot once more, right before the call that restores it. It is false where the call is not made: the look that follows waits
// for what is not visible, and ends the Operation if the identifier was given to another snapshot.
func (s *Strategy) stillThat(ctx context.Context, c *awsrds.Client, op *backup.Operation, find finder, k seen, armed *int) (bool, error) {
	x, err := find(ctx, c, op.Ref, op.Ref.ID)
	switch {
	case err != nil:
		op.Unsent()
		return false, err
	case x != nil && sameSnapshot(x, k.made, k.resource):
		return true, nil
	case op.Intent() == backup.LookOnce:
		op.Settle(stageSettle) // an earlier process has perhaps sent the call
	default:
		*armed--
		op.To(stageLook, "")
		op.PollIn(s.opts.PollMin)
	}
	return false, nil
}

// restore looks again at the snapshot and makes the new instance. Whatever decides who reaches it stands in the call.
func (s *Strategy) restore(ctx context.Context, c *awsrds.Client, op backup.Operation, st restoreState) (backup.Operation, error) {
	if same, err := s.stillThat(ctx, c, &op, s.snapshot, seen{made: st.Created, resource: st.Source}, &st.Armed); err != nil || !same {
		if err == nil {
			err = op.SetState(st)
		}
		return op, err
	}
	o := st.Options
	in := &awsrds.RestoreDBInstanceFromDBSnapshotInput{
		DBInstanceIdentifier: &o.ID, DBSnapshotIdentifier: &op.Ref.ID, DBSubnetGroupName: &o.SubnetGroup, VpcSecurityGroupIds: o.SecurityGroups,
		PubliclyAccessible: &o.PubliclyAccessible, NetworkType: aws.String(o.network()), MultiAZ: &o.MultiAZ, AvailabilityZone: optional(o.Zone),
		DBInstanceClass: optional(o.Class), DBParameterGroupName: optional(o.ParameterGroup), OptionGroupName: optional(o.OptionGroup),
		StorageType: optional(o.StorageType), DeletionProtection: &o.DeletionProtection, CopyTagsToSnapshot: &o.CopyTagsToSnapshot,
		Tags: tagList(op.OwnTags(op.Ref)),
	}
	if st.Port > 0 {
		in.Port = &st.Port
	}
	if o.IOPS > 0 {
		in.Iops = &o.IOPS
	}
	if o.BackupRetentionDays > 0 {
		in.BackupRetentionPeriod = &o.BackupRetentionDays
	}
	out, err := c.RestoreDBInstanceFromDBSnapshot(ctx, in, s.sending)
	if err != nil {
		next, err := s.refused(op, err, "DBInstanceAlreadyExists", &st.Armed, &st.Taken)
		if err != nil {
			return next, err
		}
		return next, next.SetState(st)
	}
	return s.tookInstance(op, st, out.DBInstance)
}

func (o RestoreOptions) network() string {
	if o.NetworkType == "" {
		return "IPV4"
	}
	return o.NetworkType
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// adoptInstance takes over the instance of the wanted identifier if it is provably this Operation's. Any other of that identifier ends the
// Operation, but one that is going away, which is waited for. The answer is false while none is visible.
func (s *Strategy) adoptInstance(ctx context.Context, c *awsrds.Client, op backup.Operation, st *restoreState) (backup.Operation, bool, error) {
	x, err := s.instance(ctx, c, op.Ref, st.Options.ID)
	if x == nil || err != nil {
		return op, false, err
	}
	if !ours(op, x.TagList) && aws.ToString(x.DBInstanceStatus) == "deleting" {
		st.Taken = false
		next, ok := s.freed(op, Instance(op.Ref.Account, op.Ref.Region, st.Options.ID))
		return next, ok, nil
	}
	if !ours(op, x.TagList) {
		op.Fail(failure(op, backup.ErrConflict, "choose another RestoreOptions.ID: nothing that exists is ever overwritten", "the instance %s was not made by this operation", st.Options.ID))
		return op, true, nil
	}
	next, err := s.tookInstance(op, *st, x)
	return next, err == nil, err
}

// tookInstance lists the instance and goes on to wait for it.
func (s *Strategy) tookInstance(op backup.Operation, st restoreState, x *rdstypes.DBInstance) (backup.Operation, error) {
	op.AddMade(Instance(op.Ref.Account, op.Ref.Region, st.Options.ID))
	if x != nil {
		st.Resource = aws.ToString(x.DbiResourceId)
	}
	st.Lost = time.Time{}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageWait, "")
	s.wait(&op)
	return op, nil
}

// watchInstance ends the restore when the instance is available and as it was asked for.
func (s *Strategy) watchInstance(ctx context.Context, c *awsrds.Client, op backup.Operation, st restoreState) (backup.Operation, error) {
	id := st.Options.ID
	x, err := s.instance(ctx, c, op.Ref, id)
	if err != nil {
		return op, err
	}
	s.wait(&op)
	if x == nil || st.Resource != "" && aws.ToString(x.DbiResourceId) != st.Resource {
		if !s.absent(&st.Lost) {
			return op, op.SetState(st)
		}
		if x == nil {
			op.Fail(failure(op, backup.ErrFailed, "restore again with another token", "the instance %s has disappeared: somebody else deleted it", id))
		} else {
			op.Fail(failure(op, backup.ErrConflict, "restore again with another token and another RestoreOptions.ID", "another instance has the identifier %s now", id))
		}
		return op, nil
	}
	if !st.Lost.IsZero() {
		st.Lost = time.Time{}
		if err := op.SetState(st); err != nil {
			return op, err
		}
	}
	word := aws.ToString(x.DBInstanceStatus)
	switch instanceStateOf(word) {
	case instanceBroken:
		op.Fail(failure(op, backup.ErrFailed, explained(word)+"; delete the instance listed in Made (without a final snapshot) before you restore again",
			"the instance %s is %s", id, word))
	case instanceReady:
		return s.verify(op, st, x), nil
	case instanceUnknown, instanceBusy:
		if word != "creating" {
			op.Find(waitedFor(Instance(op.Ref.Account, op.Ref.Region, id), word))
		}
	}
	return op, nil
}

// verify ends the restore, well if the instance is not more exposed than it was asked to be.
func (s *Strategy) verify(op backup.Operation, st restoreState, x *rdstypes.DBInstance) backup.Operation {
	if x.Endpoint == nil || aws.ToString(x.Endpoint.Address) == "" {
		op.Find(backup.Finding{ID: "rds.no-endpoint", Severity: backup.SeverityInfo, Ref: Instance(op.Ref.Account, op.Ref.Region, st.Options.ID),
			Message: "the instance is available but has no endpoint yet; it is waited for"})
		return op
	}
	op.Endpoints = []backup.Endpoint{{ID: st.Options.ID, Host: aws.ToString(x.Endpoint.Address), Port: aws.ToInt32(x.Endpoint.Port), Role: "primary"}}
	if bad := exposure(st, x); len(bad) > 0 {
		op.Fail(failure(op, backup.ErrFailed, "somebody changed it, or RDS did: modify or delete the instance listed in Made before it is used",
			"the instance %s is not as it was asked for: %s", st.Options.ID, strings.Join(bad, "; ")))
		return op
	}
	op.Succeed()
	return op
}

// exposure lists in what an instance is more exposed than it was asked to be.
func exposure(st restoreState, x *rdstypes.DBInstance) []string {
	o := st.Options
	subnets := o.SubnetGroup
	if x.DBSubnetGroup != nil {
		subnets = policy.CanonicalName(aws.ToString(x.DBSubnetGroup.DBSubnetGroupName))
	}
	bad := reached(x.PubliclyAccessible, o.PubliclyAccessible, x.VpcSecurityGroups, o.SecurityGroups, subnets, o.SubnetGroup, aws.ToString(x.NetworkType), o.network())
	if st.Encrypted && !encrypted(x.StorageEncrypted, x.StorageEncryptionType) {
		bad = append(bad, "it is not encrypted, while the snapshot is")
	}
	return bad
}

// reached lists in what a database can be reached by more than was asked for.
func reached(public *bool, mayPublic bool, has []rdstypes.VpcSecurityGroupMembership, want []string, subnets, wantSubnets, network, wantNetwork string) (bad []string) {
	if aws.ToBool(public) && !mayPublic {
		bad = append(bad, "it is publicly accessible")
	}
	var groups []string
	for _, g := range has {
		groups = append(groups, aws.ToString(g.VpcSecurityGroupId))
	}
	slices.Sort(groups)
	if want := slices.Sorted(slices.Values(want)); !slices.Equal(groups, want) {
		bad = append(bad, "its security groups are "+strings.Join(groups, ", ")+" and not "+strings.Join(want, ", "))
	}
	if subnets != wantSubnets {
		bad = append(bad, "its subnet group is "+subnets+" and not "+wantSubnets)
	}
	if network == "DUAL" && wantNetwork != network {
		bad = append(bad, "it has IPv6 addresses")
	}
	return bad
}
