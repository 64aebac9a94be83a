// Package rds backs up Amazon RDS DB instances and DB clusters (Aurora and Multi-AZ) as manual snapshots, restores them to new instances and clusters,
// and deletes them.
//
//	strategy := rds.NewFromConfig(cfg)
//	op, err := strategy.Start(ctx, rds.Instance("111122223333", "eu-west-1", "orders"), backup.Spec{Token: token})
//	op, err = runner.Run(ctx, op)
//
// The calls that make snapshots, instances and clusters take no client token. The name of what they make is the key instead: it is given, or
// derived from the Operation's ID, and what has that name already is adopted only if its tags prove that this Operation made it. A call whose
// answer was lost is not sent again before its result was looked for.
//
// Snapshots of a Single-AZ instance suspend its I/O for a moment. An instance that is not available (it is being backed up, modified, or in
// maintenance) is waited for until the Operation's deadline, or until it is canceled; a snapshot that RDS makes can not be stopped any more.
// Members of Aurora and Multi-AZ DB clusters are refused: AWS makes snapshots of the whole cluster only, and so does this package, of rds.Cluster.
//
// # Clusters
//
// A snapshot of an Aurora cluster is the storage alone: restored, it has no instance, and nobody could connect. A restore therefore makes the instances
// too, as RestoreClusterOptions.Instances says, and succeeds when all of them are available. A Multi-AZ DB cluster has its three instances at once.
//
// # Copies
//
// StartCopy copies a snapshot under another key, or to a Region that Options.CopyRegions allows. The copy is called for in the destination, keeps the tags, the
// database that it is of and the time of its data, and counts as done only under the key that was asked for.
//
// # Points in time
//
// RDS keeps automated backups by itself, for 1 to 35 days. AutomatedBackups reads them, StartSetAutomatedBackups sets them, and StartRestoreToTime restores
// a database to a time in their window, also one that is deleted and whose automated backups were retained. They end with their retention period:
// what must stay is backed up, or copied.
//
// # Deleting a database
//
// StartDeleteDatabase makes a final snapshot, sees it available, and deletes the instance or the cluster only then. It keeps the automated backups unless
// it is told otherwise.
package rds

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/policy"
)

// Kind is the kind of the Strategy.
const Kind = "rds"

// The types of Refs that the Strategy knows.
const (
	// TypeInstance is a DB instance, by its identifier in lower case.
	TypeInstance = "rds/instance"
	// TypeSnapshot is a DB snapshot, by its identifier in lower case; those of automated ones begin with "rds:", those of AWS Backup with
	// "awsbackup:".
	TypeSnapshot = "rds/snapshot"
	// TypeCluster is a DB cluster, Aurora or Multi-AZ, by its identifier in lower case.
	TypeCluster = "rds/cluster"
	// TypeClusterSnapshot is a DB cluster snapshot, by its identifier in lower case. It may be the same as that of a DB snapshot.
	TypeClusterSnapshot = "rds/cluster-snapshot"
	// TypeAutomatedBackup is the automated backups of a DB instance, by its DbiResourceId.
	TypeAutomatedBackup = "rds/automated-backup"
	// TypeClusterAutomatedBackup is the automated backups of a DB cluster, by its DbClusterResourceId.
	TypeClusterAutomatedBackup = "rds/cluster-automated-backup"
)

// Instance names a DB instance. RDS stores identifiers in lower case, and so does the Ref, so that one instance has one Ref.
func Instance(account, region, id string) backup.Ref {
	return backup.Ref{Type: TypeInstance, Account: account, Region: region, ID: policy.CanonicalName(id)}
}

// Snapshot names a DB snapshot, in lower case like Instance.
func Snapshot(account, region, id string) backup.Ref {
	return backup.Ref{Type: TypeSnapshot, Account: account, Region: region, ID: policy.CanonicalName(id)}
}

// Cluster names a DB cluster, in lower case like Instance.
func Cluster(account, region, id string) backup.Ref {
	return backup.Ref{Type: TypeCluster, Account: account, Region: region, ID: policy.CanonicalName(id)}
}

// ClusterSnapshot names a DB cluster snapshot, in lower case like Instance.
func ClusterSnapshot(account, region, id string) backup.Ref {
	return backup.Ref{Type: TypeClusterSnapshot, Account: account, Region: region, ID: policy.CanonicalName(id)}
}

// AutomatedBackup names the automated backups of a DB instance, also of one that is deleted, by its DbiResourceId, such as
// "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ", as AWS writes it.
func AutomatedBackup(account, region, resourceID string) backup.Ref {
	return backup.Ref{Type: TypeAutomatedBackup, Account: account, Region: region, ID: resourceID}
}

// ClusterAutomatedBackup names the automated backups of a DB cluster, also of one that is deleted, by its DbClusterResourceId, such as
// "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ", as AWS writes it.
func ClusterAutomatedBackup(account, region, resourceID string) backup.Ref {
	return backup.Ref{Type: TypeClusterAutomatedBackup, Account: account, Region: region, ID: resourceID}
}

// Provider gives the RDS client for an account and a Region. Its credentials must belong to that account. It may be called often, so it
// keeps what it makes; an error says that there is none.
type Provider func(ctx context.Context, account, region string) (*awsrds.Client, error)

// Options are the Strategy's settings; the zero value is fit for production.
type Options struct {
	// Account is the account that NewFromConfig serves. Empty means that of the credentials, asked once when it is first needed.
	Account string
	// PollMin and PollMax limit the time between two looks; 0 means 10 seconds and a minute. Within them it is a twentieth of the time
	// waited.
	PollMin, PollMax time.Duration
	// Settle is how long a result is looked for before a call that was perhaps sent is sent again, and how long something new may stay
	// invisible; 0 means 6 minutes: the minute that a call may take, and 5 more. AWS promises no figure for RDS.
	Settle time.Duration
	// Park is how long to wait before looking again at an instance or a snapshot whose state does not allow the work yet; 0 means a
	// minute.
	Park time.Duration
	// CopyRegions are the Regions that copies may go to, beside that of the recovery point. Empty means that nothing is copied out of its Region:
	// where data may lie is for whoever makes the Strategy to say, and not for whoever starts a copy.
	CopyRegions []string
	// DescribeKey gives the state of a key, "Enabled" for one that can be used, with the credentials for the account and the Region; it is asked for
	// the destination's key before anything is copied. With the SDK's KMS client it is
	//
	//	out, err := client.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &keyARN})
	//	if err != nil {
	//		return "", err
	//	}
	//	return string(out.KeyMetadata.KeyState), nil
	//
	// nil means that keys are not looked at, and only the copy shows what is wrong with one.
	DescribeKey func(ctx context.Context, account, region, keyARN string) (state string, err error)
}

// Strategy backs up DB instances and DB clusters. It is safe for use by several goroutines.
type Strategy struct {
	provider Provider
	own      *awscall.Own
	opts     Options
	retryer  aws.Retryer
}

// New makes a Strategy that serves every account and Region that provider has clients for.
func New(provider Provider, optFns ...func(*Options)) *Strategy {
	s := &Strategy{provider: provider, retryer: awscall.CreateRetryer()}
	for _, f := range optFns {
		f(&s.opts)
	}
	awscall.Default(&s.opts.PollMin, 10*time.Second)
	awscall.Default(&s.opts.PollMax, time.Minute)
	awscall.Default(&s.opts.Settle, 6*time.Minute)
	awscall.Default(&s.opts.Park, time.Minute)
	s.opts.PollMax = max(s.opts.PollMax, s.opts.PollMin)
	return s
}

// NewFromConfig makes a Strategy that serves the Region of cfg and the account of its credentials, and refuses all others with ErrInvalid.
func NewFromConfig(cfg aws.Config, optFns ...func(*Options)) *Strategy {
	client := awsrds.NewFromConfig(cfg)
	s := New(func(context.Context, string, string) (*awsrds.Client, error) { return client, nil }, optFns...)
	s.own = awscall.NewOwn(Kind, cfg, s.opts.Account)
	return s
}

// Kind is "rds".
func (*Strategy) Kind() string { return Kind }

// client gives the client for a Ref.
func (s *Strategy) client(ctx context.Context, r backup.Ref) (*awsrds.Client, error) {
	return awscall.From(ctx, s.own, Kind, r, s.provider, awscall.None)
}

// maxTags is the most tags of an RDS resource. Source: RDS User Guide, "Tagging Amazon RDS resources".
const maxTags = 50

// begin makes an Operation and refuses what can be known to be wrong without AWS.
func (s *Strategy) begin(action backup.Action, r backup.Ref, spec backup.Spec, kinds ...string) (backup.Operation, error) {
	op, err := backup.NewOperation(Kind, action, r, spec)
	if err != nil {
		return op, err
	}
	if err := validRef(action, r, kinds...); err != nil {
		return op, err
	}
	if n := len(op.OwnTags(r)); n > maxTags {
		return op, invalid(action, r, "use fewer tags of your own", "%d tags with the library's own, more than %d", n, maxTags)
	}
	if s.own != nil {
		if err := s.own.Known(r); err != nil {
			return op, err
		}
	}
	return op, nil
}

func validRef(action backup.Action, r backup.Ref, kinds ...string) error {
	if !slices.Contains(kinds, r.Type) {
		return invalid(action, r, "use the constructors of package rds", "the type %q can not be used here", r.Type)
	}
	if err := policy.ValidateRegion(r.Region); err != nil {
		return invalid(action, r, "name the Region as AWS does, such as eu-west-1", "%w", err)
	}
	if r.Type == TypeAutomatedBackup || r.Type == TypeClusterAutomatedBackup {
		return validResource(r)
	}
	if r.ID != policy.CanonicalName(r.ID) {
		return invalid(action, r, "use the constructors of package rds", "the identifier %q is not in lower case, in which RDS stores it", r.ID)
	}
	id, check := r.ID, policy.ValidateRDSInstanceID
	switch r.Type {
	case TypeCluster:
		check = policy.ValidateRDSClusterID
	case TypeSnapshot, TypeClusterSnapshot:
		if check = policy.ValidateRDSSnapshotID; r.Type == TypeClusterSnapshot && snapshotType(id) == nil {
			check = policy.ValidateRDSClusterSnapshotID
		}
		if _, rest, ok := strings.Cut(id, ":"); ok && snapshotType(id) != nil {
			id = rest
		}
	}
	if err := check(id); err != nil {
		return invalid(action, r, "copy the identifier from AWS, without the rest of the ARN", "%w", err)
	}
	return nil
}

// Start makes the Operation that backs up a DB instance or a DB cluster. Spec.Name is the snapshot's identifier; empty means one that is derived from the
// instance's and the Operation's. There are no options.
func (s *Strategy) Start(_ context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionBackup, r, spec, TypeInstance, TypeCluster)
	if err != nil {
		return backup.Operation{}, err
	}
	if spec.Options != nil {
		return backup.Operation{}, invalid(op.Action, r, "leave Spec.Options nil", "a backup has no options, but there are some of type %T", spec.Options)
	}
	st := backupState{Name: policy.CanonicalName(spec.Name)}
	if st.Name == "" {
		st.Name = derivedName(r, op.ID)
	} else if err := validName(r, st.Name); err != nil {
		return backup.Operation{}, invalid(op.Action, r, "leave Spec.Name empty, or use letters, digits and single hyphens", "%w", err)
	}
	op.Stage = stageDescribe
	if err := op.SetState(st); err != nil {
		return backup.Operation{}, err
	}
	return op, nil
}

// validName checks the identifier of a new snapshot. Those of clusters may have 63 characters only.
func validName(r backup.Ref, name string) error {
	if ofCluster(r) {
		return policy.ValidateRDSClusterSnapshotID(name)
	}
	return policy.ValidateRDSSnapshotID(name)
}

// derivedName is the identifier of a snapshot that nobody named: at most 70 characters, and 63 for a cluster's, of which the last 26 are the
// Operation's.
func derivedName(r backup.Ref, opID string) string {
	id, most := r.ID, 40
	if _, rest, ok := strings.Cut(id, ":"); ok {
		id = rest // of an automated snapshot
	}
	if ofCluster(r) {
		most = 33
	}
	if len(id) > most {
		id = id[:most]
	}
	return "sw-" + strings.TrimRight(id, "-") + "-" + strings.TrimPrefix(opID, "op-")
}

// Step carries on a backup, a restore or a deletion.
func (s *Strategy) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	if op.Done() {
		return op, nil
	}
	var step func(context.Context, *awsrds.Client, backup.Operation) (backup.Operation, error)
	switch op.Action {
	case backup.ActionBackup:
		if step = s.stepBackup; ofCluster(op.Ref) {
			step = s.stepClusterBackup
		}
	case backup.ActionRestore:
		switch {
		case toTime(op) && ofCluster(op.Ref):
			step = s.stepClusterTimeRestore
		case toTime(op):
			step = s.stepTimeRestore
		case ofCluster(op.Ref):
			step = s.stepClusterRestore
		default:
			step = s.stepRestore
		}
	case backup.ActionCopy:
		if step = s.stepCopy; ofCluster(op.Ref) {
			step = s.stepClusterCopy
		}
	case ActionAutomatedBackups:
		if step = s.stepSet; ofCluster(op.Ref) {
			step = s.stepClusterSet
		}
	case ActionDeleteDatabase:
		if step = s.stepRetire; ofCluster(op.Ref) {
			step = s.stepClusterRetire
		}
	case backup.ActionDelete:
		if step = s.stepDelete; ofCluster(op.Ref) {
			step = s.stepClusterDelete
		}
	default:
		return op, unknownAction(op)
	}
	if op.Stage == stageStop {
		op.Fail(canceled(op))
		return op, nil
	}
	c, err := s.client(ctx, op.Ref)
	if err != nil {
		return op, err
	}
	next, err := step(ctx, c, op)
	if err != nil {
		// The Operation stays as it was, but for an attempt that surely had no effect.
		if op.Attempt > 0 && next.Next == op.Next && next.Attempt == 0 {
			op.Unsent()
		}
		return op, err
	}
	return next, nil
}

// wait sets the time of the next look: a twentieth of the time that the stage has lasted, within the limits.
func (s *Strategy) wait(op *backup.Operation) {
	op.PollIn(min(max(time.Since(op.Since)/20, s.opts.PollMin), s.opts.PollMax))
}

// sending are the client options of calls that change something. They are sent again only if they surely were not applied, and each
// attempt is checked against the lease just before it is signed. That holds for a deletion too: the identifier could belong to another
// snapshot by the time that the SDK's default retryer sends it again.
func (s *Strategy) sending(o *awsrds.Options) {
	o.Retryer = s.retryer
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], awscall.Guard)
}
