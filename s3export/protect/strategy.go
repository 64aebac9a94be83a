package protect

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// Kind is the kind of the Strategy.
const Kind = "s3protect"

// The actions.
const (
	// ActionLock holds the files of an export, or a single object, by Object Lock.
	ActionLock backup.Action = Kind + ".lock"
	// ActionLifecycle puts rules into the lifecycle of a bucket.
	ActionLifecycle backup.Action = Kind + ".lifecycle"
)

// TypeBucket is the type of the Ref of a bucket.
const TypeBucket = "s3/bucket"

// Bucket names a bucket; account owns it, and region is where it is.
func Bucket(account, region, name string) backup.Ref {
	return backup.Ref{Type: TypeBucket, Account: account, Region: region, ID: name}
}

// Provider gives an S3 client for an account and a Region. It may be called often, so it keeps what it makes; an error says that there is none.
type Provider func(ctx context.Context, account, region string) (*awss3.Client, error)

// Settings are the Strategy's settings; the zero value is fit for production.
type Settings struct {
	// Account is the account that NewFromConfig serves. Empty means that of the credentials, asked once when it is first needed.
	Account string
	// Poll is the time between the looks at lifecycle rules that were written; 0 means 5 seconds.
	Poll time.Duration
}

// Strategy protects exports. It is safe for use by several goroutines.
type Strategy struct {
	provider Provider
	own      *awscall.Own
	opts     Settings
}

var (
	_ backup.Strategy    = (*Strategy)(nil)
	_ backup.Preflighter = (*Strategy)(nil)
)

// New makes a Strategy that serves every account and Region that provider has clients for.
func New(provider Provider, optFns ...func(*Settings)) *Strategy {
	s := &Strategy{provider: provider}
	for _, f := range optFns {
		f(&s.opts)
	}
	if s.opts.Poll <= 0 {
		s.opts.Poll = 5 * time.Second
	}
	return s
}

// NewFromConfig makes a Strategy that serves the Region of cfg and the account of its credentials, and refuses all others with ErrInvalid.
func NewFromConfig(cfg aws.Config, optFns ...func(*Settings)) *Strategy {
	c := awss3.NewFromConfig(cfg)
	s := New(func(context.Context, string, string) (*awss3.Client, error) { return c, nil }, optFns...)
	s.own = awscall.NewOwn(Kind, cfg, s.opts.Account)
	return s
}

// Kind is "s3protect".
func (*Strategy) Kind() string { return Kind }

func (s *Strategy) client(ctx context.Context, r backup.Ref) (*awss3.Client, error) {
	return awscall.From(ctx, s.own, Kind, r, s.provider, awscall.None)
}

// known refuses what NewFromConfig is known not to serve, without a call.
func (s *Strategy) known(r backup.Ref) error {
	if s.own == nil {
		return nil
	}
	return s.own.Known(r)
}

// Start is StartProtect or StartLifecycle, by the type of Spec.Options: there is nothing here that is done without options.
func (s *Strategy) Start(ctx context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	switch spec.Options.(type) {
	case LockOptions:
		return s.StartProtect(ctx, r, spec)
	case LifecycleOptions:
		return s.StartLifecycle(ctx, r, spec)
	}
	return backup.Operation{}, invalid(r, "set Spec.Options to protect.LockOptions or protect.LifecycleOptions, not to a pointer", "options of type %T", spec.Options)
}

// begin makes an Operation of what both actions have in common.
func (s *Strategy) begin(action backup.Action, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := backup.NewOperation(Kind, action, r, spec)
	if err != nil {
		return backup.Operation{}, err
	}
	if len(spec.Tags) > 0 || spec.Name != "" {
		return backup.Operation{}, invalid(r, "leave Spec.Name and Spec.Tags empty", "nothing is made here that could have a name or tags")
	}
	return op, s.known(r)
}

// Step carries on what StartProtect or StartLifecycle began. It makes many calls that repeat harmlessly, for 40 seconds at most and the last of them.
func (s *Strategy) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	if op.Done() {
		return op, nil
	}
	if op.Action != ActionLock && op.Action != ActionLifecycle {
		return op, failure(op.Ref, string(op.Action), backup.ErrUnsupported, "", "this strategy locks exports and writes lifecycle rules")
	}
	c, err := s.client(ctx, op.Ref)
	if err != nil {
		return op, err
	}
	if op.Action == ActionLifecycle {
		return s.stepLifecycle(ctx, c, op)
	}
	return s.stepLock(ctx, c, op)
}

// unknown is the error of an Operation whose stage nobody here has written.
func unknown(op backup.Operation) error {
	return failure(op.Ref, "step", backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
}

// guarded is for calls that change something. They repeat harmlessly, so the SDK's own retryer stays.
func guarded(o *awss3.Options) {
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], awscall.Guard)
}
