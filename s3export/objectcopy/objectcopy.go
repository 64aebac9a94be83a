// Package objectcopy copies objects of any size on the side of S3, to a bucket of another Region or account. No byte passes through the program,
// nothing that exists is overwritten, and a copy that was interrupted is carried on where it stopped.
//
//	strategy := objectcopy.NewFromConfig(cfg)
//	op, err := strategy.Start(ctx, objectcopy.Object("111122223333", "eu-west-1", "exports", "nightly-0001.rdb"), backup.Spec{
//		Token: token, Options: objectcopy.Options{Region: "eu-central-1", Bucket: "exports-far"},
//	})
//	op, err = runner.Run(ctx, op)
//
// Small objects are copied with one CopyObject. Larger ones are copied in parts, many side by side. Only the id of the upload is kept in the
// Operation: which parts are there, S3 is asked. An upload that does not become an object is aborted, because its parts cost money and are
// seen in no listing of objects.
//
// Only an upload whose id S3 gave in answer to this Operation's own call is filled, completed or aborted. If that answer is lost, another upload is
// begun, and the first one stays, without parts, until a lifecycle rule (AbortIncompleteMultipartUpload) or somebody ends it: S3 lists of an
// upload its key, its times, who began it, its storage class and its checksum, but no metadata and no tags, so that nothing proves which of two
// copies to one key began it. It costs nothing. Before such a copy ends, which can take as long as Settings.Settle more, it names the
// uploads without parts that may be its own, with the time at which each was begun, in findings objectcopy.uploads-unclear: the first three,
// each as the finding's Ref unless the key is so long that the Operation has no room for it.
//
// S3 may refuse to put an upload together because somebody else writes the object at the same moment. That upload is then aborted and another one
// begun, at most three times.
//
// The source is pinned by its ETag and, where the bucket has versions, by its version: if it is replaced meanwhile, the copy ends in ErrConflict.
// The copy carries the Operation's ID in its metadata, which is the proof that it is this Operation's own. Metadata of the source, its
// content type and the like go with the copy. Its tags, ACL, lock and retention do not: the copy has Spec.Tags as its tags, and what
// the destination bucket gives it.
//
// A copy succeeds only after the new object was looked at: its size, its encryption, its storage class, and its checksum. Where the source has a CRC
// of the whole object (CRC-64/NVME, which S3 computes by default, CRC-32 or CRC-32C), the two are compared, and S3 itself refuses to put
// together parts that do not give it. Where it has not, because it was uploaded before S3 kept checksums, or in parts with a checksum of
// checksums, a finding says that they could not be compared.
//
// Objects under a key of the caller's own (SSE-C) and objects that a client encrypted are refused: nobody but the holder of the key could
// ever tell whether the copy is good. Objects in a Glacier class are restored for some days, which AWS charges for, and awaited first.
//
// The caller needs, on the source: s3:GetObject (s3:GetObjectVersion where its bucket has versions), s3:ListBucket on the bucket, s3:RestoreObject
// for archives, and kms:Decrypt with its KMS key. On the destination: s3:PutObject, s3:GetObject, s3:ListMultipartUploadParts,
// s3:AbortMultipartUpload (and s3:PutObjectTagging with tags), s3:ListBucket and s3:ListBucketMultipartUploads on the bucket, and
// kms:GenerateDataKey and kms:Decrypt with its KMS key. An error names the right that is missing.
//
// The findings of an Operation have the IDs objectcopy.checksum-not-comparable, objectcopy.tags-not-copied, objectcopy.metadata-not-copied,
// objectcopy.uploads-unclear and objectcopy.upload-left.
//
// UNVERIFIED, because no public source states it: that S3 answers a look at an SSE-C object with status 400 (any 400 is taken for that), that a
// list of uploads shows one within Settings.Settle after it was begun, and that metadata which are not ASCII survive being read and written
// again.
//
// Source: S3 API, CopyObject, UploadPartCopy, CompleteMultipartUpload; S3 user guide, Copying objects, Checking object integrity, Conditional
// requests.
package objectcopy

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// Kind is the kind of the Strategy.
const Kind = "objectcopy"

// Provider gives an S3 client for an account and a Region. It is asked for the destination's account and Region, whose client copies, and for the
// destination's account and the source's Region, whose client looks at the source: S3 wants one caller who may read the one and write the
// other. It may be called often, so it keeps what it makes; an error says that there is none.
type Provider func(ctx context.Context, account, region string) (*awss3.Client, error)

// Settings are the Strategy's settings; the zero value is fit for production.
type Settings struct {
	// Account is the account that NewFromConfig serves. Empty means that of the credentials, asked once when it is first needed.
	Account string
	// Concurrency is how many parts are copied at a time, over all objects that this Strategy copies; 0 means DefaultConcurrency, and at
	// most MaxConcurrency. The HTTP client of an SDK configuration keeps 10 idle connections to a host unless it is told to keep more
	// (MaxIdleConnsPerHost): with fewer than Concurrency, connections are made anew.
	Concurrency int
	// Settle is how long the result of a call that was perhaps sent is looked for; 0 means 2 minutes. A request can reach S3 until the
	// minute of its Step is over. A copy that is not done Settle and 3 minutes before its deadline, or half of its time if that is less, is
	// given up, so that its upload can still be aborted.
	Settle time.Duration
}

const (
	// DefaultConcurrency is the number of parts that are copied at a time. With the default part size a server that takes 50 ms and then
	// moves 90 MB/s for each request copies about 5 GB/s. Source: S3 user guide, Performance guidelines.
	DefaultConcurrency = 64
	// MaxConcurrency is the largest Settings.Concurrency. S3 takes 3,500 copies a second for each prefix. Source: S3 user guide,
	// Best practices design patterns.
	MaxConcurrency = 1024
)

// Strategy copies objects. It is safe for use by several goroutines.
type Strategy struct {
	provider Provider
	own      *awscall.Own
	home     string // the Region of own
	opts     Settings
	retryer  aws.Retryer
	slots    chan struct{} // one for each part that is being copied
}

var (
	_ backup.Strategy = (*Strategy)(nil)
	_ backup.Copier   = (*Strategy)(nil)
	_ backup.Canceler = (*Strategy)(nil)
)

// New makes a Strategy that serves every account and Region that provider has clients for.
func New(provider Provider, optFns ...func(*Settings)) *Strategy {
	s := &Strategy{provider: provider, retryer: awscall.CreateRetryer()}
	for _, f := range optFns {
		f(&s.opts)
	}
	if s.opts.Concurrency <= 0 {
		s.opts.Concurrency = DefaultConcurrency
	}
	s.opts.Concurrency = min(s.opts.Concurrency, MaxConcurrency)
	if s.opts.Settle <= 0 {
		s.opts.Settle = 2 * time.Minute
	}
	s.slots = make(chan struct{}, s.opts.Concurrency)
	return s
}

// NewFromConfig makes a Strategy that copies to buckets of the account of cfg's credentials, in every Region that they are good for, and refuses
// other destinations with ErrInvalid. The source may belong to any account that lets them read it.
func NewFromConfig(cfg aws.Config, optFns ...func(*Settings)) *Strategy {
	var mu sync.Mutex // guards clients
	clients := map[string]*awss3.Client{}
	s := New(func(_ context.Context, _, region string) (*awss3.Client, error) {
		mu.Lock()
		defer mu.Unlock()
		c, ok := clients[region]
		if !ok {
			c = awss3.NewFromConfig(cfg, func(o *awss3.Options) { o.Region = region })
			clients[region] = c
		}
		return c, nil
	}, optFns...)
	s.own, s.home = awscall.NewOwn(Kind, cfg, s.opts.Account), cfg.Region
	return s
}

// served gives what Own is asked about a destination: it knows one account and one Region, and here only the account counts.
func (s *Strategy) served(to backup.Ref) backup.Ref {
	to.Region = s.home
	return to
}

// Kind is "objectcopy".
func (*Strategy) Kind() string { return Kind }

// clients are those of one Operation.
type clients struct{ source, dest *awss3.Client }

func (s *Strategy) clients(ctx context.Context, r backup.Ref, st state) (c clients, err error) {
	to := st.dest()
	if s.own != nil {
		if err := s.own.Check(ctx, s.served(to)); err != nil {
			return c, err
		}
	}
	get := func(region string) (*awss3.Client, error) {
		client, err := s.provider(ctx, to.Account, region)
		if err == nil && client == nil {
			err = fmt.Errorf("the provider gave no client")
		}
		if err != nil {
			at := to
			at.Region = region
			return nil, awscall.Client(Kind, at, err)
		}
		return client, nil
	}
	if c.source, err = get(r.Region); err != nil {
		return c, err
	}
	c.dest, err = get(to.Region)
	return c, err
}
