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

// The stages of a restore of a cluster, beside those of a backup: a look at the snapshot, the cluster, then its instances one after the other.
const (
	stageMembers      = "members"       // the next instance is armed, or all are waited for
	stageMember       = "member"        // the call that makes an instance may be made
	stageMemberSettle = "member-settle" // that call was perhaps made; its result is looked for
	stageMemberPark   = "member-park"   // a state that passes is in the way of it
)

// clusterRestoreState is the State of a restore of a cluster.
type clusterRestoreState struct {
	Options RestoreClusterOptions `json:"o"`
	// Port is the one that the call names. Encrypted, Engine, Created and Source, its DbClusterResourceId, are what the snapshot was when it was
	// first looked at.
	Port      int32     `json:"p,omitempty"`
	Encrypted bool      `json:"e,omitempty"`
	Engine    string    `json:"g,omitempty"`
	Created   time.Time `json:"c,omitzero"`
	Source    string    `json:"s,omitempty"`
	// At is the time of a point-in-time restore; zero means the latest.
	At time.Time `json:"at,omitzero"`
	// Resource is the DbClusterResourceId of the new cluster.
	Resource string `json:"r,omitempty"`
	// Armed counts the times that the call which makes the cluster was armed, but for those that surely had no effect.
	Armed int `json:"a,omitempty"`
	// Made is how many of the instances were made, and MemberArmed is Armed of the next one.
	Made        int `json:"m,omitempty"`
	MemberArmed int `json:"b,omitempty"`
	// Taken tells that RDS refused the identifier, and that nothing was seen yet that is about to give it up.
	Taken bool `json:"t,omitempty"`
	// Lost is since when the snapshot, or later the cluster or an instance, has not been seen.
	Lost time.Time `json:"l,omitzero"`
}

// startClusterRestore makes the Operation that restores a snapshot of a cluster.
func startClusterRestore(op backup.Operation, spec backup.Spec) (backup.Operation, error) {
	o, ok := spec.Options.(RestoreClusterOptions)
	if !ok {
		return backup.Operation{}, invalid(op.Action, op.Ref, "set Spec.Options to rds.RestoreClusterOptions with ID, SubnetGroup, SecurityGroups, and Instances or Class",
			"options of type %T", spec.Options)
	}
	o = o.canonical()
	if err := o.valid(op.Ref); err != nil {
		return backup.Operation{}, err
	}
	if spec.Name != "" && policy.CanonicalName(spec.Name) != o.ID {
		return backup.Operation{}, invalid(op.Action, op.Ref, "leave Spec.Name empty: RestoreClusterOptions.ID is the name", "two names were given: %q and %q", spec.Name, o.ID)
	}
	op.Stage = stageLook
	return op, op.SetState(clusterRestoreState{Options: o})
}

// canonical gives the options with names as RDS stores them, sharing nothing with o.
func (o RestoreClusterOptions) canonical() RestoreClusterOptions {
	o.ID, o.SubnetGroup = policy.CanonicalName(o.ID), policy.CanonicalName(o.SubnetGroup)
	o.SecurityGroups, o.Instances = slices.Clone(o.SecurityGroups), slices.Clone(o.Instances)
	for i := range o.Instances {
		o.Instances[i].ID = policy.CanonicalName(o.Instances[i].ID)
	}
	return o
}

func (o RestoreClusterOptions) network() string {
	return RestoreOptions{NetworkType: o.NetworkType}.network()
}

func (s *Strategy) stepClusterRestore(ctx context.Context, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	return s.carryClusterRestore(ctx, c, op, s.lookClusterRestore, s.restoreCluster)
}

// carryClusterRestore carries on a restore of a cluster, from what look looks at and by the call that send makes, and then its instances.
func (s *Strategy) carryClusterRestore(ctx context.Context, c *awsrds.Client, op backup.Operation, look, send func(context.Context, *awsrds.Client, backup.Operation, clusterRestoreState) (backup.Operation, error)) (backup.Operation, error) {
	switch op.Stage {
	case stageMembers, stageMember, stageMemberSettle, stageMemberPark:
		var st clusterRestoreState
		if err := op.GetState(&st); err != nil {
			return op, err
		}
		return s.stepMembers(ctx, c, op, st)
	}
	return restoring[clusterRestoreState]{look: look, send: send, watch: s.watchCluster, adopt: s.adoptCluster, option: "RestoreClusterOptions.ID",
		target: func(op backup.Operation, st clusterRestoreState) (backup.Ref, bool) {
			return st.cluster(op.Ref), st.Taken
		}}.carry(ctx, s, c, op)
}

// cluster names the new cluster.
func (st clusterRestoreState) cluster(r backup.Ref) backup.Ref {
	return Cluster(r.Account, r.Region, st.Options.ID)
}

// lookClusterRestore looks at the snapshot and arms the call, or waits until the snapshot is available.
func (s *Strategy) lookClusterRestore(ctx context.Context, c *awsrds.Client, op backup.Operation, st clusterRestoreState) (backup.Operation, error) {
	if st.Armed > 0 {
		// An earlier send may have worked after all.
		if next, ok, err := s.adoptCluster(ctx, c, op, &st); ok || err != nil {
			return next, err
		}
	}
	x, next, err := s.readyPoint(ctx, c, op, s.clusterSnapshot, seen{st.Armed, st.Created, st.Source, &st.Lost})
	if err != nil || next.Done() {
		return next, err
	}
	if x == nil {
		return next, next.SetState(st)
	}
	if refused := st.Options.fits(op, x.engine, x.mode); refused != nil {
		op.Fail(refused)
		return op, nil
	}
	st.Port, st.Encrypted, st.Engine = st.Options.Port, x.encrypted || st.Options.KMSKeyID != "", x.engine
	st.Created, st.Source = x.made, x.resource
	if st.Port == 0 {
		st.Port = x.port
	}
	st.Armed++
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageCreate, "RestoreDBClusterFromSnapshot")
	return op, nil
}

// fits says why a cluster of an engine can not be restored with the options, or nothing.
func (o RestoreClusterOptions) fits(op backup.Operation, engine, mode string) error {
	aurora := isAurora(engine)
	switch {
	case !clusterEngine(engine):
		return failure(op, backup.ErrUnsupported, "use the API of that service: Neptune and DocumentDB have their own", "the engine is %s", engine)
	case mode != "" && mode != "provisioned":
		return failure(op, backup.ErrUnsupported, "restore it with RDS itself, with the settings that its mode needs", "the engine mode is %s; only provisioned clusters are restored", mode)
	case aurora && len(o.Instances) == 0:
		return failure(op, backup.ErrInvalid, "set RestoreClusterOptions.Instances and leave Class empty", "the engine is %s: an Aurora cluster has no instances but those that are made for it", engine)
	case !aurora && len(o.Instances) > 0:
		return failure(op, backup.ErrInvalid, "set RestoreClusterOptions.Class and leave Instances empty", "the engine is %s: a Multi-AZ DB cluster makes its three instances itself", engine)
	}
	return nil
}

// isAurora tells Aurora clusters from Multi-AZ DB clusters.
func isAurora(engine string) bool { return strings.HasPrefix(engine, "aurora") }

// restoreCluster looks again at the snapshot and makes the new cluster. Whatever decides who reaches it stands in the call.
func (s *Strategy) restoreCluster(ctx context.Context, c *awsrds.Client, op backup.Operation, st clusterRestoreState) (backup.Operation, error) {
	if same, err := s.stillThat(ctx, c, &op, s.clusterSnapshot, seen{made: st.Created, resource: st.Source}, &st.Armed); err != nil || !same {
		if err == nil {
			err = op.SetState(st)
		}
		return op, err
	}
	o := st.Options
	in := &awsrds.RestoreDBClusterFromSnapshotInput{
		DBClusterIdentifier: &o.ID, SnapshotIdentifier: &op.Ref.ID, Engine: &st.Engine, DBSubnetGroupName: &o.SubnetGroup, VpcSecurityGroupIds: o.SecurityGroups,
		PubliclyAccessible: &o.PubliclyAccessible, NetworkType: aws.String(o.network()), DBClusterParameterGroupName: optional(o.ParameterGroup),
		KmsKeyId: optional(o.KMSKeyID), DeletionProtection: &o.DeletionProtection, CopyTagsToSnapshot: &o.CopyTagsToSnapshot, DBClusterInstanceClass: optional(o.Class),
		StorageType: optional(o.StorageType), Tags: tagList(op.OwnTags(op.Ref)),
	}
	in.Port, in.Iops, in.BackupRetentionPeriod = positive(st.Port), positive(o.IOPS), positive(o.BackupRetentionDays)
	in.ServerlessV2ScalingConfiguration = o.capacity()
	out, err := c.RestoreDBClusterFromSnapshot(ctx, in, s.sending)
	if err != nil {
		next, err := s.refused(op, err, "DBClusterAlreadyExistsFault", &st.Armed, &st.Taken)
		if err != nil {
			return next, err
		}
		return next, next.SetState(st)
	}
	return s.tookCluster(op, st, out.DBCluster)
}

func (o RestoreClusterOptions) capacity() *rdstypes.ServerlessV2ScalingConfiguration {
	if o.ServerlessMax == 0 {
		return nil
	}
	return &rdstypes.ServerlessV2ScalingConfiguration{MinCapacity: &o.ServerlessMin, MaxCapacity: &o.ServerlessMax}
}

func positive(n int32) *int32 {
	if n <= 0 {
		return nil
	}
	return &n
}

// adoptCluster takes over the cluster of the wanted identifier if it is provably this Operation's. Any other of that identifier ends the
// Operation, but one that is going away, which is waited for. The answer is false while none is visible.
func (s *Strategy) adoptCluster(ctx context.Context, c *awsrds.Client, op backup.Operation, st *clusterRestoreState) (backup.Operation, bool, error) {
	x, err := s.lookCluster(ctx, c, op.Ref, st.Options.ID)
	if x == nil || err != nil {
		return op, false, err
	}
	if !ours(op, x.TagList) && aws.ToString(x.Status) == "deleting" {
		st.Taken = false
		next, ok := s.freed(op, st.cluster(op.Ref))
		return next, ok, nil
	}
	if !ours(op, x.TagList) {
		op.Fail(failure(op, backup.ErrConflict, "choose another RestoreClusterOptions.ID: nothing that exists is ever overwritten", "the cluster %s was not made by this operation", st.Options.ID))
		return op, true, nil
	}
	next, err := s.tookCluster(op, *st, x)
	return next, err == nil, err
}

// tookCluster lists the cluster and goes on to wait for it.
func (s *Strategy) tookCluster(op backup.Operation, st clusterRestoreState, x *rdstypes.DBCluster) (backup.Operation, error) {
	op.AddMade(st.cluster(op.Ref))
	if x != nil {
		st.Resource = aws.ToString(x.DbClusterResourceId)
	}
	st.Lost, st.Taken = time.Time{}, false
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageWait, "")
	s.wait(&op)
	return op, nil
}

// readyCluster looks at the new cluster. It gives nil where that is to be waited for, or where the Operation has ended.
func (s *Strategy) readyCluster(ctx context.Context, c *awsrds.Client, op backup.Operation, st *clusterRestoreState) (*rdstypes.DBCluster, backup.Operation, error) {
	id := st.Options.ID
	x, err := s.lookCluster(ctx, c, op.Ref, id)
	if err != nil {
		return nil, op, err
	}
	s.wait(&op)
	if x == nil || st.Resource != "" && aws.ToString(x.DbClusterResourceId) != st.Resource {
		if !s.absent(&st.Lost) {
			return nil, op, op.SetState(*st)
		}
		if x == nil {
			op.Fail(failure(op, backup.ErrFailed, "restore again with another token", "the cluster %s has disappeared: somebody else deleted it", id))
		} else {
			op.Fail(failure(op, backup.ErrConflict, "restore again with another token and another RestoreClusterOptions.ID", "another cluster has the identifier %s now", id))
		}
		return nil, op, nil
	}
	word := aws.ToString(x.Status)
	switch instanceStateOf(word) {
	case instanceReady:
		return x, op, nil
	case instanceBroken:
		op.Fail(failure(op, backup.ErrFailed, explained(word)+"; delete what is listed in Made before you restore again", "the cluster %s is %s", id, word))
	default:
		if word != "creating" {
			op.Find(waitedFor(st.cluster(op.Ref), word))
		}
	}
	return nil, op, nil
}

// watchCluster goes on to the instances when the cluster is available and as it was asked for.
func (s *Strategy) watchCluster(ctx context.Context, c *awsrds.Client, op backup.Operation, st clusterRestoreState) (backup.Operation, error) {
	x, next, err := s.readyCluster(ctx, c, op, &st)
	if x == nil || err != nil {
		return next, err
	}
	if bad := st.exposure(x); len(bad) > 0 {
		op.Fail(exposed(op, st.Options.ID, bad))
		return op, nil
	}
	st.Lost = time.Time{}
	if st.Resource == "" {
		st.Resource = aws.ToString(x.DbClusterResourceId)
	}
	op.To(stageMembers, "")
	return op, op.SetState(st)
}

// exposed is the error of a cluster that is more exposed than it was asked to be.
func exposed(op backup.Operation, id string, bad []string) error {
	return failure(op, backup.ErrFailed, "somebody changed it, or RDS did: modify or delete what is listed in Made before it is used",
		"%s is not as it was asked for: %s", id, strings.Join(bad, "; "))
}

// exposure lists in what a cluster is more exposed than it was asked to be.
func (st clusterRestoreState) exposure(x *rdstypes.DBCluster) []string {
	o := st.Options
	bad := reached(x.PubliclyAccessible, o.PubliclyAccessible, x.VpcSecurityGroups, o.SecurityGroups, policy.CanonicalName(aws.ToString(x.DBSubnetGroup)), o.SubnetGroup,
		aws.ToString(x.NetworkType), o.network())
	if st.Encrypted && !encrypted(x.StorageEncrypted, x.StorageEncryptionType) {
		bad = append(bad, "it is not encrypted, while the source is, or a key was named")
	}
	if o.KMSKeyID != "" && aws.ToString(x.KmsKeyId) != o.KMSKeyID {
		bad = append(bad, "it is encrypted under "+aws.ToString(x.KmsKeyId)+" and not under "+o.KMSKeyID)
	}
	return bad
}
