package elasticacheexport

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/nested"
	"github.com/snapwarden/snapwarden/s3export"
)

// idNotRead is the finding that a copy was not read back.
const idNotRead = "elasticacheexport.copy-not-read"

const (
	hintWriter = "find out who writes to the bucket of the export"
	hintNotIt  = "check the export with Open: perhaps it is not what its manifest describes. Delete what is listed in Made before it is copied again with another token"
)

// source is the manifest of the export that is copied, the SHA-256 of its bytes, and when it was written.
type source struct {
	m       s3export.Manifest
	sum     []byte
	written time.Time
}

// reader gives the clients that read the export: those of the destination's account, which copy.
func (s *Strategy) reader(ctx context.Context, op backup.Operation, st copyState) (Clients, error) {
	if s.own != nil {
		if err := s.own.Check(ctx, op.Ref); err != nil {
			return Clients{}, err
		}
	}
	at := op.Ref
	at.Account = st.To.Account
	return s.clients(ctx, at)
}

// source reads the manifest of the export that is copied.
func (s *Strategy) source(ctx context.Context, op backup.Operation, st copyState) (src source, err error) {
	bucket, key, _ := strings.Cut(op.Ref.ID, "/")
	c, err := s.reader(ctx, op, st)
	if err != nil {
		return src, err
	}
	body, written, err := s.load(ctx, c, op.Ref, bucket, key)
	if err != nil {
		return src, err
	}
	if src.m, err = s3export.ParseManifest(body); err != nil {
		return src, err
	}
	if key != s3export.ManifestKey(src.m.Name) {
		return src, invalid(op.Ref, "copy the export by its own manifest", "the manifest %s is that of the export %s", key, src.m.Name)
	}
	digest := sha256.Sum256(body)
	src.sum, src.written = digest[:], written
	return src, nil
}

// same refuses a manifest that is another than at the beginning.
func (st copyState) same(op backup.Operation, src source) error {
	if !bytes.Equal(src.sum, st.Sum) || st.Files != len(src.m.Shards) {
		return failure(op, "copy", backup.ErrConflict, hintWriter, "the manifest was changed while its files were being copied")
	}
	return nil
}

// unchanged refuses a source file that can not be the one that was checked when the manifest was written: of another length, or younger. A file
// that S3 put together of parts has the time at which that began. Source: S3 user guide, "Working with object metadata".
func (s *Strategy) unchanged(ctx context.Context, op backup.Operation, st copyState, src source) error {
	want := src.m.Shards[st.At]
	c, err := s.reader(ctx, op, st)
	if err != nil {
		return err
	}
	bucket, _, _ := strings.Cut(op.Ref.ID, "/")
	out, err := c.S3.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &bucket, Key: &want.Key, ExpectedBucketOwner: &op.Ref.Account})
	if err != nil {
		return s3Table.Wrap(Kind, "HeadObject", op.Ref, err)
	}
	at := aws.ToTime(out.LastModified)
	switch size := aws.ToInt64(out.ContentLength); {
	case size != want.Size:
		return failure(op, "copy", backup.ErrConflict, hintReplaced, "the file %s has %d bytes, and the manifest says %d", want.Key, size, want.Size)
	case !at.IsZero() && !src.written.IsZero() && at.After(src.written.Add(slack)):
		return failure(op, "copy", backup.ErrConflict, hintReplaced, "the file %s was written at %s, after the manifest, which is of %s: it is not the one that was checked",
			want.Key, at.UTC().Format(time.RFC3339), src.written.UTC().Format(time.RFC3339))
	}
	return nil
}

const hintReplaced = hintWriter + ". An older version of the file may be the right one: bring files and manifest back as they were, the manifest last"

// slack is how far the clocks of S3's own machines may be apart. UNVERIFIED: AWS gives no figure.
const slack = 5 * time.Second

// notRead is the finding that files of the copy were not read back.
func (st copyState) notRead(src source, why, remedy string) backup.Finding {
	return backup.Finding{ID: idNotRead, Severity: backup.SeverityWarning, Ref: st.dest(s3export.ManifestKey(src.m.Name)),
		Message: "the copy was not read back, and its bytes were not compared beyond S3's own checksums: " + why, Remedy: remedy}
}

// checkCopy reads a file of the copy back, or the next stretch of it, and holds it against the manifest.
func (s *Strategy) checkCopy(ctx context.Context, op backup.Operation, st copyState) (backup.Operation, error) {
	src, err := s.source(ctx, op, st)
	if err != nil {
		return s.stop(op, err)
	}
	if err := st.same(op, src); err != nil {
		op.Fail(err)
		return op, nil
	}
	if st.At >= st.Files {
		return op, failure(op, "copy", backup.ErrInvalid, "the operation's state was changed; start it again", "there is no file %d", st.At)
	}
	want := src.m.Shards[st.At]
	to := st.dest(want.Key)
	c, err := s.clients(ctx, to)
	if err != nil {
		return s.stop(op, err)
	}
	out, err := s.get(ctx, c, to, st.Opt.Bucket, want.Key, st.reading)
	if has(err, "InvalidObjectState") {
		op.Find(st.notRead(src, "they are archived already, by a rule of the bucket", "restore the copy and read it with Open before relying on it"))
		st.At, st.reading = st.At+1, reading{}
		return s.nextFile(ctx, op, st, src)
	}
	if err != nil {
		return s.stop(op, elsewhere(to, err))
	}
	defer func() { _ = out.Body.Close() }() // what was read is checked
	got, err := s.stretch(ctx, to, out, &st.reading)
	if err != nil {
		return op, err
	}
	if sum := hex.EncodeToString(got.info.SHA256[:]); got.whole && sum != want.SHA256 {
		if st.twice(defect(st.ETag, sum)) {
			op.Fail(failure(op, "verify", backup.ErrConflict, hintNotIt, "the copy %s has the SHA-256 %s, and the manifest says %s; it was read twice", to.ID, sum, want.SHA256))
			return op, nil
		}
		got.whole = false
	}
	switch {
	case got.damage != nil:
		op.Fail(failure(op, "verify", backup.ErrConflict, hintNotIt, "the copy %s is damaged, and was so when it was read twice: %w", to.ID, got.damage))
		return op, nil
	case !got.whole:
		s.carryOn(&op, got)
		return op, op.SetState(st)
	}
	st.At, st.reading = st.At+1, reading{}
	return s.nextFile(ctx, op, st, src)
}

// elsewhere has an error of the destination say so: an Operation's Ref, which its failure has, is the source.
func elsewhere(to backup.Ref, err error) error {
	var e *backup.Error
	if !errors.As(err, &e) {
		return err
	}
	x := *e
	x.Ref, x.Err = to, fmt.Errorf("the copy %s in %s: %w", to.ID, to.Region, e.Err)
	if x.Code == backup.ErrNotFound {
		x.Hint = "find out who deletes from the destination"
	}
	return &x
}

// later ends the Operation where looking again can not help. Otherwise it stays as it was before the Step: the last Step of a file's copy only
// looks, and can be taken again.
func (s *Strategy) later(before, op backup.Operation, st copyState, err error) (backup.Operation, error) {
	next, err := s.stop(op, err)
	if err != nil {
		return before, err
	}
	return next, next.SetState(st)
}

// cancelCopy hands the wish on to the copy of the file that is under way. While one is read back, there is none, and the coming Step ends the work.
func (s *Strategy) cancelCopy(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	var st copyState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	if op.Done() {
		return op, failure(op, "cancel", backup.ErrUnsupported, "delete what it made, if it is not wanted", "a copy in phase %s can not be stopped", op.Phase)
	}
	if st.Inner == nil {
		op.Canceling = true
		op.To(stageStop, "")
		return op, nil
	}
	inner := *st.Inner
	inner.Attempt, inner.Intended, inner.Unstored = op.Attempt, op.Intended, op.Unstored
	inner, err := s.copies.Cancel(ctx, inner)
	if err != nil {
		return op, err
	}
	op.Canceling, st.Inner = true, &inner
	nested.Arm(&op, inner)
	return op, op.SetState(st)
}

// preflightCopy reads the manifest and looks at the destination.
func (s *Strategy) preflightCopy(ctx context.Context, op backup.Operation) (found []backup.Finding, err error) {
	var st copyState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	src, err := s.source(ctx, op, st)
	switch backup.CodeOf(err) {
	case "":
	case backup.ErrNotFound, backup.ErrInvalid, backup.ErrDenied, backup.ErrUnsupported:
		found = append(found, backup.Finding{ID: "elasticacheexport.no-manifest", Severity: backup.SeverityError, Ref: op.Ref, Message: err.Error(), Remedy: "copy a finished export, with credentials that may read it"})
	default:
		return nil, err
	}
	to := st.dest(s3export.ManifestKey(src.m.Name))
	c, err := s.clients(ctx, to)
	if err != nil {
		return nil, err
	}
	if _, err := c.S3.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: &st.Opt.Bucket, ExpectedBucketOwner: &st.To.Account}); err != nil {
		f := unusable(to, st.Opt.Bucket, err)
		if f == nil {
			return nil, s3Table.Wrap(Kind, "HeadBucket", to, err)
		}
		found = append(found, *f)
	}
	return found, nil
}
