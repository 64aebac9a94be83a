// Package elasticacheexport exports ElastiCache snapshots to S3: one .rdb file for each shard, checked byte by byte, and a manifest that is
// written last. An export without a manifest is not a backup, and is never called one.
//
//	strategy := elasticacheexport.NewFromConfig(cfg)
//	op, err := strategy.Start(ctx, elasticache.Snapshot("111122223333", "eu-west-1", "nightly"), backup.Spec{
//		Token: token, Options: elasticacheexport.Options{Bucket: "my-exports"},
//	})
//	op, err = runner.Run(ctx, op)
//
// The recovery point that is exported may be manual or automatic; it stays as it is. The bucket must be in the snapshot's Region and belong to
// its account, and ElastiCache must be let in by the bucket's policy or, in the older way, by its ACL. What is missing ends the export
// with words that name it, and a finding with a stable ID. AWS exports no snapshot with data tiering: such a one is
// refused before anything is sent. It says the same of customer managed keys, but whether of every snapshot under one is not documented
// (UNVERIFIED): there is a warning, and AWS decides.
//
// ElastiCache says neither when an export has ended nor how it went. It is taken as ended when the snapshot is no longer being copied and
// every expected object is there, unchanged, at two looks. Then each object is read once, from S3, and checked: the header, the CRC-64 that
// Redis and Valkey write, and a SHA-256 that goes into the manifest. A read that ends in an error proves nothing and is taken again, and a file is
// called damaged only if two whole reads find the same.
//
// A snapshot of a serverless cache is exported too, and so is the cache as it is. Of that AWS documents less: it takes no name for the files, and
// tells neither how they are called nor how many there are (UNVERIFIED). They are taken to begin with the snapshot's name. Where the library made
// that name up, which it does for a cache that is exported as it is, it proves whose they are, whatever follows. Otherwise either
// name.rdb is taken, or name-0001.rdb and so on with four digits each, and none may be there before, or be being uploaded. Only a snapshot that
// is called name-0001 itself could have such a key, if AWS numbered no files. Other young objects that begin so are refused with ErrUnsupported, unless
// they read as those of a longer name: of these the finding elasticacheexport.written-beside tells. The export is taken as ended
// when for Settings.Settle, or three times as long where the snapshot's status never showed the export, the files were the same, and no upload of one
// is under way at the end of that. Numbers with a gap, and files whose snapshot failed or was deleted before that end, are refused with ErrPartial. If a
// file comes when the manifest is there already, the work ends in ErrConflict, and the manifest stays. That a last file is missing can not be seen
// otherwise: the finding elasticacheexport.counted tells how many files were found, their size, and what AWS says of the snapshot's, and
// the manifest says that they were counted. Memcached, of which AWS says both that it can be exported and that it can not, has no .rdb files and is
// refused with ErrUnsupported.
//
// AWS is told the name of the snapshot and nothing else. So what the snapshot is, its time, engine, shards and slots, is noted at the first look,
// and looked at again just before the call and until the files are there: another snapshot of the same name ends the work in ErrConflict.
//
// Source: ElastiCache User Guide, "Exporting a backup"; ElastiCache API, CopySnapshot and ExportServerlessCacheSnapshot.
package elasticacheexport

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/internal/nested"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// Kind is the kind of the Strategy.
const Kind = "elasticacheexport"

// TypeExport is the type of the Ref of a finished export. Its ID is the bucket, a slash, and the key of the manifest.
const TypeExport = s3export.TypeElastiCache

// TypeFiles is the type of the Ref of what an export, or the copy of one, has written so far. Its ID is the bucket, a slash, and what the keys begin
// with: the export's name and a hyphen, of a serverless cache the name alone. It is listed in Operation.Made from the moment at which files may appear, and of a copy from the one at which its first file is known to
// be its own, so that the files of one that failed can be found. Look at them before deleting: others may have keys that begin alike.
const TypeFiles = "s3/elasticache-export-files"

// MaxShards is the largest number of shards that one export can have: the nodes that AWS allows a cluster by default. With many shards a very long
// name, or slots that are scattered over many ranges, may be more than an Operation has room for, and are refused with ErrUnsupported before
// anything is sent. Source: ElastiCache User Guide, "Quotas".
const MaxShards = 90

// Clients are the clients of one account and Region.
type Clients struct {
	ElastiCache *awselasticache.Client
	S3          *awss3.Client
}

// Provider gives the clients for an account and a Region. Their credentials must belong to that account. It may be called often, so it keeps
// what it makes; an error says that there is none.
type Provider func(ctx context.Context, account, region string) (Clients, error)

// Settings are the Strategy's settings; the zero value is fit for production.
type Settings struct {
	// Account is the account that NewFromConfig serves. Empty means that of the credentials, asked once when it is first needed.
	Account string
	// PollMin and PollMax limit the time between two looks; 0 means 5 and 30 seconds. Within them it is a twentieth of the time waited.
	PollMin, PollMax time.Duration
	// Settle is how long a result is looked for before a call that was perhaps sent is sent again, how long files may be missing after
	// the export has ended, and how long nothing may change before one of a serverless cache is taken as ended; 0 means 6 minutes.
	Settle time.Duration
	// Park is how long to wait while the snapshot is busy; 0 means a minute.
	Park time.Duration
	// Concurrency is how many parts of files are copied at a time, over all copies of this Strategy; 0 means objectcopy.DefaultConcurrency.
	Concurrency int
	// Reading is how long one Step reads a file before the next Step carries on; 0 means 40 seconds, which is also the most. A Step that has
	// less time stops 5 seconds before its end.
	Reading time.Duration
}

// Options are the settings of one export.
type Options struct {
	// Bucket is where the files go. Required. It must be in the snapshot's Region, belong to its account, and have a name that S3 and
	// ElastiCache both accept (policy.ValidateBucketName).
	Bucket string
}

// OptionsFor makes Options usable as backup.Spec.Options.
func (Options) OptionsFor() (string, backup.Action) { return Kind, backup.ActionExport }

// Strategy exports ElastiCache snapshots. It is safe for use by several goroutines.
type Strategy struct {
	provider Provider
	own      *awscall.Own
	opts     Settings
	retryer  aws.Retryer
	caches   *elasticache.Strategy
	copies   *objectcopy.Strategy
}

// New makes a Strategy that serves every account and Region that provider has clients for.
func New(provider Provider, optFns ...func(*Settings)) *Strategy {
	s := &Strategy{provider: provider, retryer: awscall.CreateRetryer()}
	for _, f := range optFns {
		f(&s.opts)
	}
	awscall.Default(&s.opts.PollMin, 5*time.Second)
	awscall.Default(&s.opts.PollMax, 30*time.Second)
	awscall.Default(&s.opts.Settle, 6*time.Minute)
	awscall.Default(&s.opts.Park, time.Minute)
	awscall.Default(&s.opts.Reading, maxReading)
	s.opts.Reading = min(s.opts.Reading, maxReading)
	s.opts.PollMax = max(s.opts.PollMax, s.opts.PollMin)
	s.caches = elasticache.New(func(ctx context.Context, account, region string) (*awselasticache.Client, error) {
		c, err := s.provider(ctx, account, region)
		return c.ElastiCache, err
	}, func(o *elasticache.Options) {
		o.PollMin, o.PollMax, o.Settle, o.Park = s.opts.PollMin, s.opts.PollMax, s.opts.Settle, s.opts.Park
	})
	s.copies = objectcopy.New(func(ctx context.Context, account, region string) (*awss3.Client, error) {
		c, err := s.provider(ctx, account, region)
		return c.S3, err
	}, func(o *objectcopy.Settings) { o.Concurrency = s.opts.Concurrency })
	return s
}

// maxReading leaves a Step, which has a minute, time for its other calls.
const maxReading = 40 * time.Second

// NewFromConfig makes a Strategy that serves the Region of cfg and the account of its credentials, and refuses all others with ErrInvalid.
func NewFromConfig(cfg aws.Config, optFns ...func(*Settings)) *Strategy {
	c := Clients{awselasticache.NewFromConfig(cfg), awss3.NewFromConfig(cfg)}
	s := New(func(context.Context, string, string) (Clients, error) { return c, nil }, optFns...)
	s.own = awscall.NewOwn(Kind, cfg, s.opts.Account)
	return s
}

// Kind is "elasticacheexport".
func (*Strategy) Kind() string { return Kind }

func (s *Strategy) clients(ctx context.Context, r backup.Ref) (Clients, error) {
	return awscall.From(ctx, s.own, Kind, r, s.provider, func(c Clients) string {
		if c.ElastiCache == nil || c.S3 == nil {
			return "ElastiCache or no S3 client"
		}
		return ""
	})
}

// Start makes the Operation that exports: a snapshot (elasticache.Snapshot, elasticache.ServerlessSnapshot), or the data of a replication group, a single
// cluster or a serverless cache as it is now (elasticache.ReplicationGroup, elasticache.Cluster, elasticache.Serverless). Of these a snapshot is made first, as package elasticache does it; it stays, and is
// listed in Points beside the export, also where the export fails after it. A bucket that is not there, not of the account or in another Region ends the
// work before it is made. Spec.Options must be Options with a bucket. Spec.Tags go to the snapshot that is made, and must be
// empty where none is: ElastiCache writes the files and gives them none.
//
// The files are called Spec.Name, in lower case, or else policy.ElastiCacheExportPrefix and a hash of the Operation's ID, followed by a hyphen,
// the shard and ".rdb". A name of the caller's own has a price: if the answer to the call is lost, nothing tells whether the files of that name are of this export or
// of another that chose the name at the same time, and the work ends in ErrConflict.
//
// Of a serverless cache Spec.Name must be empty, because ElastiCache calls the files after the snapshot. The same price is paid for a snapshot
// with a name of somebody's choice, and for automatic ones, whose name an export of nodes can have; none for those that the library named, and for the cache as it is. A second export of one
// snapshot goes to another bucket.
func (s *Strategy) Start(ctx context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := backup.NewOperation(Kind, backup.ActionExport, r, spec)
	if err != nil {
		return backup.Operation{}, err
	}
	live := r.Type == elasticache.TypeReplicationGroup || r.Type == elasticache.TypeCluster || r.Type == elasticache.TypeServerless
	if r.Type != elasticache.TypeSnapshot && r.Type != elasticache.TypeServerlessSnapshot && !live {
		return backup.Operation{}, invalid(r, "use elasticache.Snapshot, ReplicationGroup, Cluster, ServerlessSnapshot or Serverless", "the type %q can not be exported", r.Type)
	}
	if err := policy.ValidateRegion(r.Region); err != nil {
		return backup.Operation{}, invalid(r, "name the Region as AWS does, such as eu-west-1", "%w", err)
	}
	if len(r.ID) > 255 || strings.Trim(r.ID, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		return backup.Operation{}, invalid(r, "copy the snapshot's name from AWS; elasticache.Snapshot puts it in lower case", "%q is not the name of a snapshot", r.ID)
	}
	if len(spec.Tags) > 0 && !live {
		return backup.Operation{}, invalid(r, "leave Spec.Tags empty", "the files of an export are written by ElastiCache, which sets no tags")
	}
	o, ok := spec.Options.(Options)
	if !ok {
		return backup.Operation{}, invalid(r, "set Spec.Options to elasticacheexport.Options with a bucket", "options of type %T", spec.Options)
	}
	if err := policy.ValidateBucketName(o.Bucket); err != nil {
		return backup.Operation{}, invalid(r, "name a bucket that S3 and ElastiCache both accept", "%w", err)
	}
	st, err := naming(op, spec, o)
	if err != nil {
		return backup.Operation{}, err
	}
	if s.own != nil {
		if err := s.own.Known(r); err != nil {
			return backup.Operation{}, err
		}
	}
	op.Stage = stageLook
	if live {
		// The token is this Operation's ID, so that no other backup of the same resource shares its snapshot.
		inner, err := s.caches.Start(ctx, r, backup.Spec{Token: op.ID, Owner: spec.Owner, Tags: spec.Tags, Timeout: spec.Timeout})
		if err != nil {
			return backup.Operation{}, err
		}
		inner.Tags = nil // the outer Operation keeps them
		op.Stage, st.Inner = stageBackup, &inner
		nested.Arm(&op, inner)
	}
	return op, op.SetState(st)
}

// Step carries on an export.
func (s *Strategy) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	if op.Done() {
		return op, nil
	}
	switch op.Action {
	case backup.ActionExport:
	case ActionPrepare:
		c, err := s.clients(ctx, op.Ref)
		if err != nil {
			return op, err
		}
		return s.stepPrepare(ctx, c, op)
	case backup.ActionCopy:
		return s.stepCopy(ctx, op)
	default:
		return op, failure(op, string(op.Action), backup.ErrUnsupported, "", "this strategy exports, copies exports, and prepares buckets")
	}
	var st state
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	c, err := s.clients(ctx, op.Ref)
	if err != nil {
		return op, err
	}
	var next backup.Operation
	switch op.Stage {
	case stageBackup:
		return s.backUp(ctx, c, op, st)
	case stageLook:
		next, err = s.look(ctx, c, op, st)
	case stageExport:
		next, err = s.send(ctx, c, op, st)
	case stageSettle:
		next, err = s.settle(ctx, c, op, st)
	case stageWait:
		next, err = s.wait(ctx, c, op, st)
	case stageVerify:
		next, err = s.verify(ctx, c, op, st)
	case stageManifest:
		next, err = s.conclude(ctx, c, op, st)
	case stageStop:
		return st.keeps(s.stopped(op)), nil
	default:
		return op, failure(op, "export", backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
	}
	if err != nil {
		// The Operation stays as it was, but for an attempt that surely had no effect.
		if op.Attempt > 0 && next.Next == op.Next && next.Attempt == 0 {
			op.Unsent()
		}
		return op, err
	}
	return st.keeps(next), nil
}

// The stages.
const (
	stageBackup   = "backup"   // the snapshot to export is being made
	stageLook     = "look"     // snapshot and bucket are looked at, and a busy snapshot is waited for
	stageExport   = "export"   // the export may be asked for
	stageSettle   = "settle"   // it was perhaps asked for; its signs are looked for
	stageWait     = "wait"     // the files are being written
	stageVerify   = "verify"   // they are read and checked, one after the other
	stageManifest = "manifest" // the manifest may be written
	stageStop     = "stop"     // it was canceled before anything was sent
)

// state is an export's State.
type state struct {
	Bucket string `json:"b"`
	Name   string `json:"n"`
	// Inner is the backup that an export of a group or a cluster begins with, and Snapshot its result.
	Inner    *backup.Operation `json:"in,omitempty"`
	Snapshot string            `json:"sn,omitempty"`
	// Own: the name is made of the Operation's ID, so that nobody else's export has it.
	Own bool `json:"w,omitempty"`
	// Less: it is of a serverless cache. Bytes is what AWS says of the size of its snapshot.
	Less  bool   `json:"sl,omitempty"`
	Bytes string `json:"by,omitempty"`

	// What the snapshot was when it was looked at.
	Engine  string    `json:"e,omitempty"`
	Version string    `json:"v,omitempty"`
	Source  string    `json:"o,omitempty"` // the cluster or group that it was taken of
	Cluster bool      `json:"cm,omitempty"`
	Taken   time.Time `json:"t,omitzero"`
	Shards  []shard   `json:"s,omitempty"`
	// Format and RDB are what the headers of the files say, the same in all.
	Format string `json:"f,omitempty"`
	RDB    int    `json:"r,omitempty"`

	// Tried: the export was perhaps asked for, and no sign of it was found.
	Tried bool `json:"tr,omitempty"`
	// Copying: the snapshot was seen being copied after the export had been asked for.
	Copying bool `json:"c,omitempty"`
	// Lost is since when the snapshot, or some file, has not been seen; of a serverless cache, since when nothing has changed.
	Lost time.Time `json:"l,omitzero"`
	// Seen is a digest of the files at the last look.
	Seen string `json:"se,omitempty"`

	// At is the shard that is being read.
	At int `json:"at,omitempty"`
	reading
}

// shard is one file. Size and the rest are there once it was read.
type shard struct {
	ID    string `json:"i"`
	Slots string `json:"s,omitempty"`
	// Rest is what follows the name in the key, where that is not a hyphen, the ID and ".rdb".
	Rest string `json:"k,omitempty"`
	Size int64  `json:"z,omitempty"`
	SHA  []byte `json:"h,omitempty"`
	// Off tells that the file carries no checksum. The CRC-64 itself is not kept, because the SHA-256 covers it.
	Off bool `json:"x,omitempty"`
}

// point is the snapshot that is exported.
func (st state) point(r backup.Ref) backup.Ref {
	if st.Snapshot == "" {
		return r
	}
	if st.Less {
		return elasticache.ServerlessSnapshot(r.Account, r.Region, st.Snapshot)
	}
	return elasticache.Snapshot(r.Account, r.Region, st.Snapshot)
}
