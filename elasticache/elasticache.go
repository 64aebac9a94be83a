// Package elasticache backs up ElastiCache: replication groups and single clusters of Valkey and Redis OSS, and serverless caches, as snapshots
// that AWS keeps.
//
//	strategy := elasticache.NewFromConfig(cfg)
//	op, err := strategy.Start(ctx, elasticache.ReplicationGroup("111122223333", "eu-west-1", "sessions"), backup.Spec{Token: token})
//	op, err = runner.Run(ctx, op)
//
// A snapshot of a replication group with cluster mode disabled is taken of a replica, so that the primary is left alone; only where there is
// none is it taken of the primary, and a finding says so. With cluster mode enabled all shards are taken, and the backup succeeds only if
// all are there. Memcached and cache.t1.micro have no snapshots: they are refused before anything is sent. A member of a replication group
// is not backed up by its own id, but with its group: one resource has one Ref. Serverless caches and their snapshots have operations and names of
// their own at AWS, and so have Ref types of their own; here they are backed up, copied, listed, deleted and restored like the others.
//
// Manual snapshots outlive their cluster and never expire; the automatic ones vanish with it, unless StartCopy keeps their data under another
// name. A snapshot and its copies stay in their Region and account. StartRebuild replaces a group or cluster by another of its id, and deletes nothing
// before a whole snapshot is seen; AutomaticBackups and StartAutomaticBackups read and set what ElastiCache does by itself, for serverless caches
// too.
//
// ElastiCache has no client tokens. The name of a snapshot or of a new cluster is the key instead: it is derived from the Operation's ID (or
// given by the caller), AWS refuses it a second time, and what has it already is taken over only if its tags prove that this Operation made
// it. Statuses are words that AWS may add to: one that is not known here is waited for and found, and never read as good.
package elasticache

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export"
)

// Kind is the kind of the Strategy.
const Kind = "elasticache"

// The types of Refs that the Strategy knows.
const (
	// TypeReplicationGroup is a replication group, by its id.
	TypeReplicationGroup = "elasticache/replication-group"
	// TypeCluster is a cache cluster that is in no replication group, by its id.
	TypeCluster = "elasticache/cluster"
	// TypeSnapshot is a snapshot, by its name.
	TypeSnapshot = "elasticache/snapshot"
	// TypeServerless is a serverless cache, by its name.
	TypeServerless = "elasticache/serverless-cache"
	// TypeServerlessSnapshot is a snapshot of a serverless cache, by its name.
	TypeServerlessSnapshot = "elasticache/serverless-snapshot"
)

// ReplicationGroup names a replication group. ElastiCache keeps ids in lower case, and so does the Ref.
func ReplicationGroup(account, region, id string) backup.Ref {
	return backup.Ref{Type: TypeReplicationGroup, Account: account, Region: region, ID: policy.CanonicalName(id)}
}

// Cluster names a cache cluster that is in no replication group, in lower case.
func Cluster(account, region, id string) backup.Ref {
	return backup.Ref{Type: TypeCluster, Account: account, Region: region, ID: policy.CanonicalName(id)}
}

// Snapshot names a snapshot, in lower case.
func Snapshot(account, region, name string) backup.Ref {
	return backup.Ref{Type: TypeSnapshot, Account: account, Region: region, ID: policy.CanonicalName(name)}
}

// Provider gives the ElastiCache client for an account and a Region. Its credentials must belong to that account. It may be called often, so
// it keeps what it makes; an error says that there is none.
type Provider func(ctx context.Context, account, region string) (*awselasticache.Client, error)

// Options are the Strategy's settings; the zero value is fit for production.
type Options struct {
	// Account is the account that NewFromConfig serves. Empty means that of the credentials, asked once when it is first needed.
	Account string
	// PollMin and PollMax limit the time between two looks; 0 means 5 and 30 seconds. Within them it is a twentieth of the time waited.
	PollMin, PollMax time.Duration
	// Settle is how long a result is looked for before a create call that was perhaps sent is sent again, and how long something new may
	// stay invisible; 0 means 6 minutes: the minute that a call may take, and 5 for what AWS shows late, of which it promises no figure.
	Settle time.Duration
	// AuthToken gives the AUTH token (the password) of a group or cluster that a restore or a seeding is about to make, for those whose
	// RestoreOptions.AuthToken asks for one; target is the new group's or cluster's Ref. It is called just before each create call, perhaps more than
	// once, and must give the same each time: 16 to 128 letters, digits and characters of !&#$^<>-. The token goes into that call and nowhere
	// else: not into the Operation, an event, a log of the SDK or an error; nor does the text of an error that the function gives.
	AuthToken func(ctx context.Context, target backup.Ref) (string, error)
	// Park is how long to wait when a cluster or group is busy with another snapshot or a change; 0 means a minute.
	Park time.Duration
}

// Strategy backs up ElastiCache. It is safe for use by several goroutines.
type Strategy struct {
	provider Provider
	own      *awscall.Own
	opts     Options
	// retryer is for calls that change something; patient is for the many calls of a listing.
	retryer, patient aws.Retryer
}

// New makes a Strategy that serves every account and Region that provider has clients for.
func New(provider Provider, optFns ...func(*Options)) *Strategy {
	s := &Strategy{provider: provider, retryer: awscall.CreateRetryer(), patient: patientRetryer()}
	for _, f := range optFns {
		f(&s.opts)
	}
	awscall.Default(&s.opts.PollMin, 5*time.Second)
	awscall.Default(&s.opts.PollMax, 30*time.Second)
	awscall.Default(&s.opts.Settle, 6*time.Minute)
	awscall.Default(&s.opts.Park, time.Minute)
	s.opts.PollMax = max(s.opts.PollMax, s.opts.PollMin)
	return s
}

// patientRetryer gives the retryer for listings. They read the tags of each resource with a call of its own, because ElastiCache has no
// other way, and so run into its request rate: they wait for it, and do not use up the retries of the client's other calls. It also knows
// the throttling code that the SDK does not.
func patientRetryer() aws.Retryer {
	r := retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.RateLimiter = 10, ratelimit.None
	})
	return retry.AddWithErrorCodes(r, codeCallRate)
}

// NewFromConfig makes a Strategy that serves the Region of cfg and the account of its credentials, and refuses all others with ErrInvalid.
func NewFromConfig(cfg aws.Config, optFns ...func(*Options)) *Strategy {
	client := awselasticache.NewFromConfig(cfg)
	s := New(func(context.Context, string, string) (*awselasticache.Client, error) { return client, nil }, optFns...)
	s.own = awscall.NewOwn(Kind, cfg, s.opts.Account)
	return s
}

// Kind is "elasticache".
func (*Strategy) Kind() string { return Kind }

// client gives the client for a Ref.
func (s *Strategy) client(ctx context.Context, r backup.Ref) (*awselasticache.Client, error) {
	return awscall.From(ctx, s.own, Kind, r, s.provider, awscall.None)
}

// begin makes an Operation and refuses what can be known to be wrong without AWS.
func (s *Strategy) begin(action backup.Action, r backup.Ref, spec backup.Spec, types ...string) (backup.Operation, error) {
	op, err := backup.NewOperation(Kind, action, r, spec)
	if err != nil {
		return op, err
	}
	if err := validRef(action, r, types...); err != nil {
		return op, err
	}
	if n := len(op.OwnTags(r)); n > maxTags {
		return op, invalid(action, r, "a resource has at most 50 tags, the library's own included: use fewer", "%d tags would be needed", n)
	}
	if s.own != nil {
		if err := s.own.Known(r); err != nil {
			return op, err
		}
	}
	return op, nil
}

// maxTags is how many tags a resource has. Source: ElastiCache API, AddTagsToResource.
const maxTags = 50

func validRef(action backup.Action, r backup.Ref, types ...string) error {
	if !slices.Contains(types, r.Type) {
		return invalid(action, r, "use the constructors of package elasticache", "the type %q can not be used here", r.Type)
	}
	if err := policy.ValidateRegion(r.Region); err != nil {
		return invalid(action, r, "name the Region as AWS does, such as eu-west-1", "%w", err)
	}
	if r.Type != s3export.TypeElastiCache && r.ID != policy.CanonicalName(r.ID) {
		return invalid(action, r, "ElastiCache keeps ids in lower case; use the constructors of package elasticache", "the id %q has capital letters", r.ID)
	}
	var err error
	switch r.Type {
	case TypeReplicationGroup:
		err = policy.ValidateReplicationGroupID(r.ID)
	case TypeCluster:
		err = policy.ValidateCacheClusterID(r.ID)
	case TypeServerless:
		// The API states no rule for the names of serverless caches; the console's is that of groups. UNVERIFIED.
		err = policy.ValidateReplicationGroupID(r.ID)
	case TypeSnapshot, TypeServerlessSnapshot:
		// What exists may have a longer name than may be given: the automatic ones have a prefix, and AWS documents no length.
		if len(r.ID) > 255 || strings.Trim(r.ID, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
			return invalid(action, r, "copy the snapshot's name from AWS", "%q is not the name of a snapshot", r.ID)
		}
	}
	if err != nil {
		return invalid(action, r, "copy the id from AWS", "%w", err)
	}
	return nil
}

// Step carries on an Operation of this Strategy.
func (s *Strategy) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	if op.Done() {
		return op, nil
	}
	var step func(context.Context, *awselasticache.Client, backup.Operation) (backup.Operation, error)
	switch op.Action {
	case backup.ActionBackup:
		step = s.stepBackup
	case backup.ActionRestore:
		step = s.stepRestore
	case backup.ActionDelete:
		step = s.stepDelete
	case backup.ActionCopy:
		step = s.stepCopy
	case ActionAutomaticBackups:
		step = s.stepAutomatic
	case ActionRebuild:
		step = s.stepRebuild
	default:
		return op, failure(op, string(op.Action), backup.ErrUnsupported, "", "this strategy has no such action")
	}
	if op.Stage == stageStop {
		why := "canceled before anything was changed"
		if len(op.Points) > 0 {
			why = "canceled; what was made is listed in Points, and nothing else was changed"
		}
		op.Fail(failure(op, "cancel", backup.ErrCanceled, "", "%s", why))
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

// lost notes that something was not there, and reports whether that has been so for the whole settle window; until then absence means
// nothing, because what is new may stay invisible for a while.
func (s *Strategy) lost(since *time.Time) bool {
	if since.IsZero() {
		*since = time.Now().UTC().Round(0)
	}
	return time.Since(*since) >= s.opts.Settle
}

// sending are the client options of all calls that change something. ElastiCache has no client tokens, so the SDK must not repeat such a call
// where it may have been applied: a deletion that is sent again by name may hit what somebody else has made under that name meanwhile.
func (s *Strategy) sending(o *awselasticache.Options) {
	o.Retryer = s.retryer
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], awscall.Guard)
}

// listing are the client options of calls that a listing makes in large numbers.
func (s *Strategy) listing(o *awselasticache.Options) { o.Retryer = s.patient }

// The stages of all actions.
const (
	stageLook   = "look"   // what is acted on is looked at, and waited for while it is busy
	stageCreate = "create" // the create call may be made
	stageSettle = "settle" // it was perhaps made; its result is looked for
	stageWait   = "wait"   // what it made is being made
	stageDelete = "delete" // the snapshot may be deleted
	stageGone   = "gone"   // and is seen gone
	stageSet    = "set"    // the settings may be changed

	// Of a rebuild.
	stageBackup  = "back up" // the snapshot is being made
	stageVerify  = "verify"  // all is looked at before something is deleted
	stageRestore = "restore" // what was deleted is being made anew
	stageStop    = "stop"    // canceled before anything was changed
)

func unknownStage(op backup.Operation) error {
	return failure(op, string(op.Action), backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
}
