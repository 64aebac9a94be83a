package rdsexport

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// Kind is the kind of the Strategy.
const Kind = "rdsexport"

// The types of Refs that the Strategy makes.
const (
	// TypeExport is a finished export. Its ID is the bucket, a slash, and the folder that the files are in, without a slash at its end.
	TypeExport = "s3/rds-export"
	// TypeFiles is what an export has written so far, with an ID like that of TypeExport. It is listed in Operation.Made from the moment at which
	// files may appear, so that those of an export that failed can be found.
	TypeFiles = "s3/rds-export-files"
	// TypeTask is an export task of RDS, by its identifier in lower case. It is listed in Operation.Made together with its files.
	TypeTask = "rds/export-task"
)

// Clients are the clients of one account and Region.
type Clients struct {
	RDS *awsrds.Client
	S3  *awss3.Client
}

// Provider gives the clients for an account and a Region. Their credentials must belong to that account. It may be called often, so it keeps
// what it makes; an error says that there is none.
type Provider func(ctx context.Context, account, region string) (Clients, error)

// Settings are the Strategy's settings; the zero value is fit for production.
type Settings struct {
	// Account is the account that NewFromConfig serves. Empty means that of the credentials, asked once when it is first needed.
	Account string
	// PollMin and PollMax limit the time between two looks; 0 means 15 seconds and a minute. Within them it is a twentieth of the time waited.
	PollMin, PollMax time.Duration
	// Settle is how long a result is looked for before a call that was perhaps sent is sent again, and how long something may be invisible
	// before that is believed; 0 means 6 minutes. AWS promises no figure.
	Settle time.Duration
	// Park is how long to wait while the snapshot is busy, or the quota of export tasks is full; 0 means a minute.
	Park time.Duration
	// RoleReady is for how long RDS may say that the role does not exist or may not do enough, because a role that was just made is not known
	// everywhere at once; 0 means 2 minutes, below 0 means that the first refusal is believed. Source: IAM User Guide, "Changes that I make
	// are not always immediately visible", which gives no figure.
	RoleReady time.Duration
}

// Strategy exports snapshots of DB instances and DB clusters. It is safe for use by several goroutines.
type Strategy struct {
	provider Provider
	own      *awscall.Own
	opts     Settings
	retryer  aws.Retryer
}

// New makes a Strategy that serves every account and Region that provider has clients for.
func New(provider Provider, optFns ...func(*Settings)) *Strategy {
	s := &Strategy{provider: provider, retryer: awscall.CreateRetryer()}
	for _, f := range optFns {
		f(&s.opts)
	}
	awscall.Default(&s.opts.PollMin, 15*time.Second)
	awscall.Default(&s.opts.PollMax, time.Minute)
	awscall.Default(&s.opts.Settle, 6*time.Minute)
	awscall.Default(&s.opts.Park, time.Minute)
	if s.opts.RoleReady == 0 {
		s.opts.RoleReady = 2 * time.Minute
	}
	s.opts.PollMax = max(s.opts.PollMax, s.opts.PollMin)
	return s
}

// NewFromConfig makes a Strategy that serves the Region of cfg and the account of its credentials, and refuses all others with ErrInvalid.
func NewFromConfig(cfg aws.Config, optFns ...func(*Settings)) *Strategy {
	c := Clients{awsrds.NewFromConfig(cfg), awss3.NewFromConfig(cfg)}
	s := New(func(context.Context, string, string) (Clients, error) { return c, nil }, optFns...)
	s.own = awscall.NewOwn(Kind, cfg, s.opts.Account)
	return s
}

// Kind is "rdsexport".
func (*Strategy) Kind() string { return Kind }

func (s *Strategy) clients(ctx context.Context, r backup.Ref) (Clients, error) {
	return awscall.From(ctx, s.own, Kind, r, s.provider, func(c Clients) string {
		if c.RDS == nil || c.S3 == nil {
			return "RDS or no S3 client"
		}
		return ""
	})
}

// Step carries on an export.
func (s *Strategy) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	if op.Done() {
		return op, nil
	}
	if op.Action != backup.ActionExport {
		return op, unknownAction(op)
	}
	var st state
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	if op.Stage == stageStop {
		op.Fail(failure(op, backup.ErrCanceled, "", "canceled before the export was asked for"))
		return op, nil
	}
	c, err := s.clients(ctx, op.Ref)
	if err != nil {
		return op, err
	}
	var next backup.Operation
	switch op.Stage {
	case stageLook:
		next, err = s.look(ctx, c, op, st)
	case stageSend:
		next, err = s.send(ctx, c, op, st)
	case stageSettle:
		next, err = s.settle(ctx, c, op, st)
	case stageWait:
		next, err = s.wait(ctx, c, op, st)
	case stageCancel:
		next, err = s.cancel(ctx, c, op, st)
	case stageList:
		next, err = s.conclude(ctx, c, op, st)
	default:
		return op, failure(op, backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
	}
	if err != nil {
		// The Operation stays as it was, but for an attempt that surely had no effect.
		if op.Attempt > 0 && next.Next == op.Next && next.Attempt == 0 {
			op.Unsent()
		}
		return op, err
	}
	return next, nil
}

// poll sets the time of the next look: a twentieth of the time that the stage has lasted, within the limits.
func (s *Strategy) poll(op *backup.Operation) {
	op.PollIn(min(max(time.Since(op.Since)/20, s.opts.PollMin), s.opts.PollMax))
}

// lost notes that something was not seen, and tells whether that has been so for the whole settle window.
func (s *Strategy) lost(since *time.Time) bool {
	if since.IsZero() {
		*since = time.Now().UTC().Round(0)
	}
	return time.Since(*since) >= s.opts.Settle
}

// sending are the client options of calls that change something: they are sent again only if they surely were not applied, and each attempt
// is checked against the lease just before it is signed.
func (s *Strategy) sending(o *awsrds.Options) {
	o.Retryer = s.retryer
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], awscall.Guard)
}
