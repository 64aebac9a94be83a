package elasticacheexport

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/s3export"
)

// conclude writes the manifest, and reads it back. The write is conditional on there being none, so that repeating it is harmless: what is
// found instead is either this Operation's own, or a conflict.
func (s *Strategy) conclude(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	files, err := s.list(ctx, c, op.Ref, st)
	if err != nil {
		return s.stop(op, err)
	}
	found, missing := st.match(files)
	if len(missing) > 0 || digest(found) != st.Seen {
		op.Fail(failure(op, "verify", backup.ErrConflict, "find out who writes to the bucket, and export again with another token",
			"the files that begin with %s were changed while they were being checked", st.Name))
		return op, nil
	}
	more := len(st.unlisted(files)) > 0
	if st.Less && !more {
		if more, err = s.unfinished(ctx, c, op, st); err != nil {
			return s.stop(op, err)
		}
	}
	if st.Less && more {
		// It was not all: the end was inferred, and wrongly.
		st.Shards, st.At, st.Seen, st.reading = nil, 0, "", reading{}
		op.To(stageWait, "")
		return op, op.SetState(st)
	}
	m := st.manifest(op, found)
	body, err := m.Encode()
	if err != nil {
		op.Fail(err)
		return op, nil
	}
	key := s3export.ManifestKey(st.Name)
	_, err = c.S3.PutObject(ctx, &awss3.PutObjectInput{
		Bucket: &st.Bucket, Key: &key, Body: bytes.NewReader(body), IfNoneMatch: aws.String("*"),
		ContentType: aws.String("application/json"), ExpectedBucketOwner: &op.Ref.Account,
	}, guarded)
	if err != nil {
		v := s3Table.Classify(err)
		e := v.Error(Kind, "PutObject", op.Ref, err)
		switch {
		case v.Code == backup.ErrConflict && v.AWSCode != "": // an error of the fence has no code of AWS's
			// Perhaps it is ours, from an answer that was lost.
		case v.Class == awscall.Permanent && v.Code != backup.ErrDenied:
			// What S3 refuses for good, also for a reason that nobody knows, ends the work; rights can come back.
			op.Fail(e)
			return op, nil //nolint:nilerr // the Operation has it
		default:
			return op, e
		}
	}
	got, _, err := s.load(ctx, c, op.Ref, st.Bucket, key)
	if err != nil {
		return s.stop(op, err)
	}
	if !describes(got, m) {
		op.Fail(failure(op, "PutObject", backup.ErrConflict, st.another(), "the manifest %s was written by somebody else", key))
		return op, nil
	}
	if st.Less {
		// A file may have come since the list, of which nothing else would tell.
		if files, err = s.list(ctx, c, op.Ref, st); err != nil {
			return s.stop(op, err)
		}
		if err := st.late(op, m, files); err != nil {
			op.Fail(err)
			return op, nil
		}
		s.counted(&op, st, m, false)
	}
	s.succeed(&op, st)
	return op, nil
}

// describes reports whether the bytes are the manifest m, but for the time at which the export was found whole: another run of the same
// Operation found that at another moment.
func describes(data []byte, m s3export.Manifest) bool {
	got, err := s3export.ParseManifest(data)
	if err != nil {
		return false
	}
	m.Exported = got.Exported
	a, err := m.Encode()
	if err != nil {
		return false
	}
	b, err := got.Encode()
	return err == nil && bytes.Equal(a, b)
}

// manifest describes the export.
func (st state) manifest(op backup.Operation, found []file) s3export.Manifest {
	m := s3export.Manifest{
		Version: s3export.ManifestVersion, Operation: op.ID, Name: st.Name, Bucket: st.Bucket, Account: op.Ref.Account, Region: op.Ref.Region,
		Source: st.point(op.Ref), Of: st.Source, Engine: st.Engine, EngineVersion: st.Version, ClusterMode: st.Cluster, Serverless: st.Less,
		// The beginning of the stage, and not of the attempt: written again, the manifest is the same.
		Taken: st.Taken, Exported: op.Since,
	}
	if m.Exported.Before(m.Taken) {
		m.Exported = m.Taken // the one time is of this machine's clock, the other of AWS's
	}
	for i, x := range st.Shards {
		m.Shards = append(m.Shards, s3export.Shard{ID: x.ID, Key: found[i].key, Slots: s3export.Slots(x.Slots), Size: x.Size, SHA256: hex.EncodeToString(x.SHA),
			Format: st.Format, RDBVersion: st.RDB, ChecksumOff: x.Off})
	}
	return m
}

// load reads a manifest, and tells when it was written.
func (s *Strategy) load(ctx context.Context, c Clients, r backup.Ref, bucket, key string) (body []byte, written time.Time, err error) {
	out, err := c.S3.GetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: &key, ExpectedBucketOwner: &r.Account})
	if err != nil {
		return nil, written, s3Table.Wrap(Kind, "GetObject", r, err)
	}
	defer func() { _ = out.Body.Close() }() // what was read is checked
	b, err := io.ReadAll(io.LimitReader(out.Body, s3export.MaxManifestBytes+1))
	if err != nil {
		return nil, written, s3Table.Wrap(Kind, "GetObject", r, err)
	}
	if len(b) > s3export.MaxManifestBytes {
		return nil, written, &backup.Error{Op: "GetObject", Kind: Kind, Ref: r, Code: backup.ErrInvalid, Err: errors.New("the manifest is larger than any manifest")}
	}
	return b, aws.ToTime(out.LastModified), nil
}

// guarded is for calls that change something. A conditional write that the SDK repeats does no harm, so its own retryer stays.
func guarded(o *awss3.Options) {
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], awscall.Guard)
}
