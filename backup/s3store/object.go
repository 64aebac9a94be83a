package s3store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

const (
	// callTimeout is for one request with the SDK's retries of it: a connection that hangs must not hold a Runner for ever.
	callTimeout = 30 * time.Second
	// readTries is how often an object is read whose bytes break off, which the SDK does not retry.
	readTries = 3
	// swapTries is how often a write is sent that S3 refuses because of another at the same moment. With the pauses it is 5 seconds at most.
	swapTries = 8
	// maxObject is far above backup.MaxOperationBytes, so that what a Strategy learnt about things it made is never refused for its length.
	maxObject = 1 << 20
)

// The folders below the prefix.
const (
	dirRecords = "op"
	dirOpen    = "open"
	dirRuns    = "run"
	dirProbe   = "probe"
)

func (s *Store) key(dir, name string) string { return s.opts.Prefix + "/" + dir + "/" + name }

// object is what a key has.
type object struct {
	exists bool
	// body has at most maxObject+1 bytes; whoever decodes it refuses more than maxObject.
	body []byte
	// etag is without its quotes, and empty if there is no object.
	etag string
}

// get reads an object. That there is none is no error.
func (s *Store) get(ctx context.Context, key string) (object, error) {
	for try := 1; ; try++ {
		o, broken, err := s.getOnce(ctx, key)
		if err == nil || !broken || try == readTries || ctx.Err() != nil {
			return o, err
		}
	}
}

// getOnce reports with its error whether the answer came and its bytes did not.
func (s *Store) getOnce(ctx context.Context, key string) (o object, broken bool, err error) {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := s.client.GetObject(call, &awss3.GetObjectInput{Bucket: &s.opts.Bucket, Key: &key, ExpectedBucketOwner: &s.opts.BucketOwner})
	if err != nil {
		if table.Classify(err).AWSCode == codeNoSuchKey {
			return object{}, false, nil
		}
		return object{}, false, s.fail(ctx, actionGet, key, err)
	}
	defer func() { _ = out.Body.Close() }() // it was only read
	body, err := io.ReadAll(io.LimitReader(out.Body, maxObject+1))
	if err != nil {
		return object{}, true, s.fail(ctx, actionGet, key, err)
	}
	return object{true, body, unquote(out.ETag)}, false, nil
}

// put writes an object and gives its ETag. The error is the SDK's. old is the ETag that the object must have; empty means that there must be none.
func (s *Store) put(ctx context.Context, key string, body []byte, old string) (string, error) {
	in := s.upload(key, body)
	if old == "" {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = aws.String(`"` + old + `"`)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := s.client.PutObject(ctx, in)
	if err != nil {
		return "", err
	}
	if etag := unquote(out.ETag); etag != "" {
		return etag, nil
	}
	return "", errors.New("the answer has no ETag")
}

func (s *Store) upload(key string, body []byte) *awss3.PutObjectInput {
	in := &awss3.PutObjectInput{Bucket: &s.opts.Bucket, Key: &key, ExpectedBucketOwner: &s.opts.BucketOwner, Body: bytes.NewReader(body),
		ContentType: aws.String("application/json")}
	if s.opts.KMSKeyID != "" {
		in.ServerSideEncryption, in.SSEKMSKeyId, in.BucketKeyEnabled = s3types.ServerSideEncryptionAwsKms, &s.opts.KMSKeyID, aws.Bool(true)
	}
	return in
}

// mark writes an empty object, whatever is there.
func (s *Store) mark(ctx context.Context, key string) error {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := s.client.PutObject(call, s.upload(key, nil)); err != nil {
		return s.fail(ctx, actionPut, key, err)
	}
	return nil
}

// swap writes an object if the one that is there has the ETag old, or if there is none where old is empty, and gives what is there now: the
// caller sees by the body who has won. The body must not be anyone else's, ever, so that it is known by its bytes when the answer to its
// write was lost. An error means that it is not known, or not decided, what is stored.
//
// A write that was given up may still be applied later; but then the object has the ETag that it had before, and the same bytes sent again are
// either refused because of the late ones, or refuse those.
func (s *Store) swap(ctx context.Context, key string, body []byte, old string) (object, error) {
	for try := 0; ; try++ {
		etag, err := s.put(ctx, key, body, old)
		if err == nil {
			return object{true, body, etag}, nil
		}
		v := table.Classify(err)
		decided := v.AWSCode == codePrecondition || v.AWSCode == codeNoSuchKey
		if ctx.Err() != nil || v.Class == awscall.Permanent && !decided {
			return object{}, s.fail(ctx, actionPut, key, err)
		}
		now, lookErr := s.get(ctx, key)
		switch {
		case lookErr != nil && decided:
			return object{}, lookErr
		case lookErr != nil:
			return object{}, s.fail(ctx, actionPut, key, err)
		case now.exists && bytes.Equal(now.body, body), now.etag != old:
			return now, nil
		}
		// Nothing has changed. Only a write that surely had no effect is sent again: S3 refused it because of another that has come to nothing.
		again := decided || v.AWSCode == codeConcurrent || v.AWSCode == codeAborted
		if !again || try+1 == swapTries {
			return object{}, s.undecided(ctx, key, err)
		}
		if err := pause(ctx, try); err != nil {
			return object{}, err
		}
	}
}

// undecided is the error of a write of which nothing is seen.
func (s *Store) undecided(ctx context.Context, key string, err error) error {
	failed := s.fail(ctx, actionPut, key, err)
	var e *backup.Error
	if errors.As(failed, &e) {
		if e.Code == backup.ErrConflict || e.Code == backup.ErrNotFound {
			// S3 refused it and yet nothing is in its way, again and again.
			e.Code = backup.ErrUnavailable
		}
		e.Hint = strings.TrimPrefix(e.Hint+"; it may or may not have been stored: load it", "; ")
	}
	return failed
}

// pause waits a little longer each time, with chance, so that two who are in each other's way part.
func pause(ctx context.Context, try int) error {
	most := min(20*time.Millisecond<<try, time.Second)
	t := time.NewTimer(most/2 + rand.N(most/2))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// remove deletes an object; that there is none is no error.
func (s *Store) remove(ctx context.Context, key string) error {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := s.client.DeleteObject(call, &awss3.DeleteObjectInput{Bucket: &s.opts.Bucket, Key: &key, ExpectedBucketOwner: &s.opts.BucketOwner})
	if err != nil && table.Classify(err).AWSCode != codeNoSuchKey {
		return s.fail(ctx, actionDelete, key, err)
	}
	return nil
}

// list gives a page of objects; token is empty for the first one.
func (s *Store) list(ctx context.Context, prefix, token string, size int32) (*awss3.ListObjectsV2Output, error) {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	in := &awss3.ListObjectsV2Input{Bucket: &s.opts.Bucket, Prefix: &prefix, ExpectedBucketOwner: &s.opts.BucketOwner, MaxKeys: &size}
	if token != "" {
		in.ContinuationToken = &token
	}
	out, err := s.client.ListObjectsV2(call, in)
	if err != nil {
		return nil, s.fail(ctx, actionList, prefix, err)
	}
	return out, nil
}

func unquote(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }
