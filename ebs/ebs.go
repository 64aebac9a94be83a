// Package ebs backs up EBS volumes: one volume as a snapshot, or the volumes of an EC2 instance as one crash-consistent set.
//
//	strategy := ebs.NewFromConfig(cfg)
//	op, err := strategy.Start(ctx, ebs.Instance("111122223333", "eu-west-1", "i-0123456789abcdef0"), backup.Spec{Token: token})
//	op, err = runner.Run(ctx, op)
//
// A set is one recovery point: complete, partial (and said so) or failed. Every member carries, as tags, the map from volumes to devices
// and which of them is the root, so that a RAID or LVM set can be put together again when the instance is gone. The volumes stay in use
// meanwhile; the point in time of the data is the moment of the call, and what a program had not written by then is not in it.
//
// StartCopy copies a snapshot or a set to another Region of the account or under another key. A copy carries, as tags, what it is a copy of, the
// time of its data and its volume, all of which EC2 forgets; it is listed, restored and deleted like what it was made of.
//
// StartArchive and StartUnarchive move recovery points to the archive tier and back, StartLock locks them. A deletion looks first at what keeps a
// snapshot: locks, images, fast restores.
//
// EC2's CreateSnapshot, CreateSnapshots and CopySnapshot take no client token and the SDK's default retryer sends them again after a lost answer. This
// package sends them again only when they surely were not applied, and otherwise looks for the result by a tag that the create call set.
package ebs

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs/quiesce"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/policy"
)

// Kind is the kind of the Strategy.
const Kind = "ebs"

// The types of Refs that the Strategy knows.
const (
	// TypeVolume is an EBS volume, by its id.
	TypeVolume = "ec2/volume"
	// TypeInstance is an EC2 instance, by its id: all its EBS volumes.
	TypeInstance = "ec2/instance"
	// TypeSnapshot is one snapshot, by its id.
	TypeSnapshot = "ec2/snapshot"
	// TypeSet is a set of snapshots that this package made of an instance; its id is the value of the tag TagSet.
	TypeSet = "ec2/snapshot-set"
)

// Volume names a volume.
func Volume(account, region, id string) backup.Ref {
	return backup.Ref{Type: TypeVolume, Account: account, Region: region, ID: id}
}

// Instance names an instance.
func Instance(account, region, id string) backup.Ref {
	return backup.Ref{Type: TypeInstance, Account: account, Region: region, ID: id}
}

// Snapshot names a snapshot.
func Snapshot(account, region, id string) backup.Ref {
	return backup.Ref{Type: TypeSnapshot, Account: account, Region: region, ID: id}
}

// Set names a set of snapshots.
func Set(account, region, id string) backup.Ref {
	return backup.Ref{Type: TypeSet, Account: account, Region: region, ID: id}
}

// Provider gives the EC2 client for an account and a Region. Its credentials must belong to that account. It may be called often, so it
// keeps what it makes; an error says that there is none.
type Provider func(ctx context.Context, account, region string) (*awsec2.Client, error)

// Options are the Strategy's settings; the zero value is fit for production.
type Options struct {
	// Account is the account that NewFromConfig serves. Empty means that of the credentials, asked once when it is first needed.
	Account string
	// PollMin and PollMax limit the time between two looks; 0 means 5 and 30 seconds. Within them it is a twentieth of the time waited.
	PollMin, PollMax time.Duration
	// Settle is how long a result is looked for before a create call that was perhaps sent is sent again, and how long something new may
	// stay invisible; 0 means 6 minutes: the minute that a call may take, and 5 for EC2's eventual consistency. AWS promises no figure;
	// visibility of up to 2 minutes was reported.
	Settle time.Duration
	// Park is how long to wait after EC2 refused for a reason that passes, such as the limit of one snapshot of a volume every 15
	// seconds; 0 means 30 seconds.
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
	// nil means that keys are not looked at: EBS then finds out minutes after the call, and the copy fails.
	DescribeKey func(ctx context.Context, account, region, keyARN string) (state string, err error)
	// Quiescer freezes and thaws instances for backups that want it; see BackupOptions.Quiesce. nil means that there are none.
	Quiescer quiesce.Quiescer
}

// Strategy backs up EBS volumes. It is safe for use by several goroutines.
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
	awscall.Default(&s.opts.PollMin, 5*time.Second)
	awscall.Default(&s.opts.PollMax, 30*time.Second)
	awscall.Default(&s.opts.Settle, 6*time.Minute)
	awscall.Default(&s.opts.Park, 30*time.Second)
	s.opts.PollMax = max(s.opts.PollMax, s.opts.PollMin)
	return s
}

// NewFromConfig makes a Strategy that serves the Region of cfg and the account of its credentials, and refuses all others with ErrInvalid.
func NewFromConfig(cfg aws.Config, optFns ...func(*Options)) *Strategy {
	client := awsec2.NewFromConfig(cfg)
	s := New(func(context.Context, string, string) (*awsec2.Client, error) { return client, nil }, optFns...)
	s.own = awscall.NewOwn(Kind, cfg, s.opts.Account)
	return s
}

// Kind is "ebs".
func (*Strategy) Kind() string { return Kind }

// client gives the client for a Ref.
func (s *Strategy) client(ctx context.Context, r backup.Ref) (*awsec2.Client, error) {
	return awscall.From(ctx, s.own, Kind, r, s.provider, awscall.None)
}

// begin makes an Operation and refuses what can be known to be wrong without AWS.
func (s *Strategy) begin(action backup.Action, r backup.Ref, spec backup.Spec, types ...string) (backup.Operation, error) {
	op, err := backup.NewOperation(Kind, action, r, spec)
	if err != nil {
		return op, err
	}
	if spec.Name != "" {
		return op, invalid(action, r, "EBS snapshots and volumes have no names; leave Spec.Name empty and use a tag", "a name was given: %q", spec.Name)
	}
	if err := validRef(action, r, types...); err != nil {
		return op, err
	}
	if s.own != nil {
		if err := s.own.Known(r); err != nil {
			return op, err
		}
	}
	return op, nil
}

func validRef(action backup.Action, r backup.Ref, types ...string) error {
	known := false
	for _, t := range types {
		known = known || t == r.Type
	}
	if !known {
		return invalid(action, r, "use the constructors of package ebs", "the type %q can not be used here", r.Type)
	}
	if err := policy.ValidateRegion(r.Region); err != nil {
		return &backup.Error{Op: string(action), Kind: Kind, Ref: r, Code: backup.ErrInvalid, Err: err, Hint: "name the Region as AWS does, such as eu-west-1"}
	}
	var err error
	switch r.Type {
	case TypeVolume:
		err = policy.ValidateVolumeID(r.ID)
	case TypeInstance:
		err = policy.ValidateInstanceID(r.ID)
	case TypeSnapshot:
		err = policy.ValidateSnapshotID(r.ID)
	case TypeSet:
		if len(r.ID) < 5 || r.ID[:4] != "set-" {
			return invalid(action, r, "the id of a set is the value of the tag "+TagSet, "%q is not the id of a set", r.ID)
		}
	}
	if err != nil {
		return &backup.Error{Op: string(action), Kind: Kind, Ref: r, Code: backup.ErrInvalid, Err: err, Hint: "copy the id from AWS; EC2 names have a prefix and 8 or 17 hexadecimal digits"}
	}
	return nil
}

// Start makes the Operation that backs up a volume or an instance. Spec.Options may be BackupOptions.
func (s *Strategy) Start(_ context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionBackup, r, spec, TypeVolume, TypeInstance)
	if err != nil {
		return backup.Operation{}, err
	}
	st := backupState{Root: -1}
	if spec.Options != nil {
		o, ok := spec.Options.(BackupOptions)
		if !ok {
			return backup.Operation{}, invalid(op.Action, r, "use ebs.BackupOptions, not a pointer to it", "options of type %T", spec.Options)
		}
		if err := o.valid(r); err != nil {
			return backup.Operation{}, err
		}
		st.ExcludeBoot, st.Exclude, st.Description = o.ExcludeBoot, o.ExcludeVolumes, o.Description
		if q := o.Quiesce; q.Limit > 0 {
			if s.opts.Quiescer == nil {
				return backup.Operation{}, invalid(op.Action, r, "set Options.Quiescer, for example to a quiesce.Host", "there is nobody who could freeze the instance")
			}
			st.Quiesce = &quiesceState{Limit: q.Limit, Required: q.Required}
		}
	}
	op.Stage = stageDescribe
	if err := op.SetState(st); err != nil {
		return backup.Operation{}, err
	}
	return op, nil
}

// Step carries on what a Start of this package began.
func (s *Strategy) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	if op.Done() {
		return op, nil
	}
	next, err := s.step(ctx, op)
	if err != nil {
		// The Operation stays as it was, but for an attempt that surely had no effect.
		if op.Attempt > 0 && next.Next == op.Next && next.Attempt == 0 {
			op.Unsent()
		}
		return op, err
	}
	return next, nil
}

func (s *Strategy) step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	c, err := s.client(ctx, op.Ref)
	if err != nil {
		return op, err
	}
	switch op.Action {
	case backup.ActionBackup:
		return s.stepBackup(ctx, c, op)
	case backup.ActionRestore:
		return s.stepRestore(ctx, c, op)
	case backup.ActionDelete:
		return s.stepDelete(ctx, c, op)
	case backup.ActionCopy:
		return s.stepCopy(ctx, op)
	case ActionArchive, ActionUnarchive:
		return s.stepTier(ctx, c, op)
	case ActionLock:
		return s.stepLock(ctx, c, op)
	}
	return op, &backup.Error{Op: string(op.Action), Kind: Kind, Ref: op.Ref, Code: backup.ErrUnsupported}
}

// wait sets the time of the next look: a twentieth of the time that the stage has lasted, within the limits.
func (s *Strategy) wait(op *backup.Operation) {
	op.PollIn(min(max(time.Since(op.Since)/20, s.opts.PollMin), s.opts.PollMax))
}

// sending are the client options of calls that make something and have no client token.
func (s *Strategy) sending(o *awsec2.Options) {
	o.Retryer = s.retryer
	s.changing(o)
}

// changing are the client options of all calls that change something.
func (*Strategy) changing(o *awsec2.Options) {
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], awscall.Guard)
}
