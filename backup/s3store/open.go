package s3store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strings"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// DefaultPrefix is what the keys begin with where Options.Prefix is empty.
const DefaultPrefix = "snapwarden"

// DefaultConcurrency is how many requests one method sends at a time where Options.Concurrency is 0.
const DefaultConcurrency = 16

// Limits of the options.
const (
	maxConcurrency = 256
	maxPrefix      = 512
	maxKeyID       = 2048
)

// Options say where a Store is. Bucket and BucketOwner are required.
type Options struct {
	// Bucket is the name of a general purpose bucket in the client's Region: 3 to 255 letters, digits, dots, hyphens and underscores.
	// ARNs of access points are refused.
	Bucket string
	// BucketOwner is the account that the bucket must belong to, 12 digits. It is sent with every request, so that nothing is ever written
	// to a stranger who has taken the name of a bucket that was deleted. Source: S3 user guide, "Verifying bucket ownership".
	BucketOwner string
	// Prefix is what all keys begin with: names of letters, digits, dots, hyphens and underscores with slashes between them, at most 512 bytes.
	// Empty means DefaultPrefix. Programs that share a prefix share their Operations.
	Prefix string
	// KMSKeyID is the id, the ARN or the alias of the KMS key to encrypt with, with a bucket key to save calls of KMS. Empty means the
	// bucket's own default encryption.
	KMSKeyID string
	// Concurrency is the number of requests that Save and Unfinished send at a time, 1 to 256; 0 means DefaultConcurrency.
	Concurrency int
}

// Store is the backup.Store in an S3 bucket. It keeps nothing open and needs no closing. Its methods may be called from several goroutines, and
// any number of Stores on any number of machines may be open on one prefix.
//
// A single request, with the SDK's retries of it, has 30 seconds, or less if the context ends sooner.
type Store struct {
	client *awss3.Client
	opts   Options
}

var _ backup.Store = (*Store)(nil)

// Open opens the Store in a bucket that exists. It lists, reads, writes and deletes once, and with that finds a missing permission before
// there is any work to lose. It finds an endpoint that ignores conditions, but not one that looks and writes in two steps: between those, two
// machines can overwrite each other. Amazon S3 does both in one.
//
// The code is ErrInvalid for options that can not be right, for a nil client and for a bucket in another Region than the client's; ErrNotFound if
// there is no such bucket; ErrDenied for a missing permission, which the hint names, and for a bucket of another account; ErrUnsupported if the
// endpoint does not honour conditional writes; ErrUnavailable or ErrThrottled if S3 could not be asked.
func Open(ctx context.Context, client *awss3.Client, opts Options) (*Store, error) {
	if client == nil {
		return nil, invalid("the client is nil", "make one with s3.NewFromConfig")
	}
	if opts.Prefix == "" {
		opts.Prefix = DefaultPrefix
	}
	if opts.Concurrency == 0 {
		opts.Concurrency = DefaultConcurrency
	}
	if err := opts.check(); err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	s := &Store{client: client, opts: opts}
	if err := s.probe(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func (o Options) check() error {
	if err := checkBucket(o.Bucket); err != nil {
		return err
	}
	if err := policy.ValidateAccountID(o.BucketOwner); err != nil {
		return &backup.Error{Op: opStore, Code: backup.ErrInvalid, Err: err, Hint: "BucketOwner is the account that owns the bucket"}
	}
	if err := checkPrefix(o.Prefix); err != nil {
		return err
	}
	if i := strings.IndexFunc(o.KMSKeyID, func(r rune) bool { return !plain(r) && r != ':' && r != '/' }); i >= 0 || len(o.KMSKeyID) > maxKeyID {
		return invalid(fmt.Sprintf("KMSKeyID %q is not the id, the ARN or the alias of a key", shorten(o.KMSKeyID)), "give the key's ARN, or leave it empty")
	}
	if o.Concurrency < 1 || o.Concurrency > maxConcurrency {
		return invalid(fmt.Sprintf("Concurrency %d is not 1 to %d", o.Concurrency, maxConcurrency), "leave it 0")
	}
	return nil
}

// checkBucket is wider than today's rules for new buckets, because a bucket that exists may be older than they are.
func checkBucket(name string) error {
	switch i := strings.IndexFunc(name, func(r rune) bool { return !plain(r) }); {
	case name == "":
		return invalid("Bucket is empty", "name the bucket that is to keep the operations")
	case i >= 0:
		return invalid(fmt.Sprintf("Bucket %q: the character at byte %d is no letter, digit, dot, hyphen or underscore", shorten(name), i),
			"give the name of a bucket, not an ARN")
	case len(name) < 3 || len(name) > 255:
		return invalid(fmt.Sprintf("Bucket %q has not 3 to 255 characters", shorten(name)), "give the name of a bucket")
	case strings.HasSuffix(name, "--x-s3"):
		return &backup.Error{Op: opStore, Code: backup.ErrUnsupported, Err: fmt.Errorf("%s is a directory bucket, which lists in no order", name),
			Hint: "use a general purpose bucket"}
	}
	return nil
}

func checkPrefix(prefix string) error {
	if len(prefix) > maxPrefix {
		return invalid(fmt.Sprintf("Prefix has %d bytes, more than %d", len(prefix), maxPrefix), "choose a shorter one")
	}
	at := 0
	for part := range strings.SplitSeq(prefix, "/") {
		i := strings.IndexFunc(part, func(r rune) bool { return !plain(r) })
		switch {
		case part == "":
			return invalid(fmt.Sprintf("Prefix %q has an empty name at byte %d", shorten(prefix), at), "no slash at the beginning or end, and no two together")
		case part == ".", part == "..":
			return invalid(fmt.Sprintf("Prefix %q has the name %q at byte %d", shorten(prefix), part, at), "tools take it for a folder: choose another")
		case i >= 0:
			return invalid(fmt.Sprintf("Prefix %q: the character at byte %d is no letter, digit, dot, hyphen or underscore", shorten(prefix), at+i), "leave it out")
		}
		at += len(part) + 1
	}
	return nil
}

// plain tells the characters that mean nothing special to S3, to policies and to URLs.
func plain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_'
}

// probe tries what all the rest relies on, on an object that nobody else has.
func (s *Store) probe(ctx context.Context) error {
	if _, err := s.list(ctx, s.key(dirOpen, ""), "", 1); err != nil {
		return noBucket(err)
	}
	key := s.key(dirProbe, newNonce())
	if o, err := s.get(ctx, key); err != nil {
		return err
	} else if o.exists {
		return broken("%s is there before it was written", key)
	}
	first, second := []byte(newNonce()), []byte(newNonce())
	var etag string
	for _, step := range []struct {
		body, want []byte
		old        func() string
		wrong      string
	}{
		{first, first, func() string { return "" }, "a write to a key that has no object is refused"},
		{second, first, func() string { return "" }, "PutObject does not honour If-None-Match"},
		{second, first, func() string { return newNonce() + newNonce() }, "PutObject does not honour If-Match"},
		{second, second, func() string { return etag }, "PutObject refuses If-Match with the object's own ETag"},
	} {
		o, err := s.swap(ctx, key, step.body, step.old())
		if err == nil && !bytes.Equal(o.body, step.want) {
			err = broken("%s", step.wrong)
		}
		if err != nil {
			_ = s.remove(ctx, key) // it may have been written
			return err
		}
		etag = o.etag
	}
	o, err := s.get(ctx, key)
	if err == nil && (!bytes.Equal(o.body, second) || o.etag != etag) {
		err = broken("GetObject does not give what PutObject wrote, with its ETag")
	}
	return cmp.Or(err, s.remove(ctx, key))
}

func broken(format string, args ...any) error {
	return &backup.Error{Op: opStore, Code: backup.ErrUnsupported, Err: fmt.Errorf("the endpoint is no store for operations: "+format, args...),
		Hint: "use Amazon S3, or a store that honours If-Match and If-None-Match on PutObject; elsewhere two machines would overwrite each other"}
}
