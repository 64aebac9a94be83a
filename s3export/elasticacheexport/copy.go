package elasticacheexport

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/nested"
	"github.com/snapwarden/snapwarden/s3export"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// CopyOptions are the settings of a copy of an export.
type CopyOptions struct {
	// Bucket is where the copy goes, in the destination's Region and account. Required. The files keep their keys.
	Bucket string
	// StorageClass is that of the copies; empty means STANDARD. ElastiCache can not seed from a class that must be restored first.
	StorageClass s3types.StorageClass
	// PartSize is as in objectcopy.Options.
	PartSize int64
}

// OptionsFor makes CopyOptions usable as backup.Spec.Options.
func (CopyOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionCopy }

// The stages of a copy.
const (
	stageCopyRead  = "read"  // the manifest is read
	stageCopyFiles = "files" // the files are copied one after the other, and the manifest last
)

// copyState is the State of a copy.
type copyState struct {
	To  backup.Destination `json:"to"`
	Opt CopyOptions        `json:"o"`
	// Sum is the SHA-256 of the manifest, which must stay what it was; Files the number of files without it.
	Sum   []byte `json:"s,omitempty"`
	Files int    `json:"f,omitempty"`
	// At is the file that is being copied, and Inner its copy.
	At    int               `json:"a,omitempty"`
	Inner *backup.Operation `json:"in,omitempty"`
}

// dest is the copy's point.
func (st copyState) dest(key string) backup.Ref {
	return backup.Ref{Type: TypeExport, Account: st.To.Account, Region: st.To.Region, ID: st.Opt.Bucket + "/" + key}
}

// StartCopy makes the Operation that copies a finished export to a bucket of another Region or account, file by file on the side of S3, and the
// manifest last: a copy without it is no backup. point is what Points of the export lists. Spec.Options must be CopyOptions with a bucket. Files
// are encrypted under to.KMSKeyID, or else as the destination bucket does by itself; ElastiCache seeds best from SSE-S3. Every file's checksum
// is compared where S3 keeps one of the whole, which it does for files that ElastiCache wrote; its size is held against the manifest.
//
// The destination account's credentials copy, and must be allowed to read the source. A Strategy of NewFromConfig serves one Region only.
func (s *Strategy) StartCopy(ctx context.Context, point backup.Ref, to backup.Destination, spec backup.Spec) (backup.Operation, error) {
	op, err := backup.NewOperation(Kind, backup.ActionCopy, point, spec)
	if err != nil {
		return backup.Operation{}, err
	}
	bucket, key, ok := strings.Cut(point.ID, "/")
	o, fits := spec.Options.(CopyOptions)
	switch {
	case point.Type != TypeExport || !ok || key == "":
		return backup.Operation{}, invalid(point, "use what Operation.Points of an export lists", "this is no export")
	case !fits:
		return backup.Operation{}, invalid(point, "set Spec.Options to elasticacheexport.CopyOptions with a bucket", "options of type %T", spec.Options)
	case spec.Name != "" || len(spec.Tags) > 0:
		return backup.Operation{}, invalid(point, "leave Spec.Name and Spec.Tags empty", "the files of a copy keep their names and have no tags")
	}
	if to.Account == "" {
		to.Account = point.Account
	}
	if to.Region == "" {
		to.Region = point.Region
	}
	st := copyState{To: to, Opt: o}
	// What a copy of one file refuses, the copy of all would.
	if _, err := s.one(ctx, op, st, bucket, key); err != nil {
		return backup.Operation{}, err
	}
	if s.own != nil {
		for _, r := range []backup.Ref{point, st.dest(key)} {
			if err := s.own.Known(r); err != nil {
				return backup.Operation{}, err
			}
		}
	}
	op.Stage = stageCopyRead
	return op, op.SetState(st)
}

// one starts the copy of one object.
func (s *Strategy) one(ctx context.Context, op backup.Operation, st copyState, bucket, key string) (backup.Operation, error) {
	// The token is this Operation's own, so that no other copy shares the object.
	return s.copies.StartCopy(ctx, objectcopy.Object(op.Ref.Account, op.Ref.Region, bucket, key), st.To, backup.Spec{
		Token: op.ID, Owner: op.Owner, Options: objectcopy.Options{Bucket: st.Opt.Bucket, StorageClass: st.Opt.StorageClass, PartSize: st.Opt.PartSize},
	})
}

func (s *Strategy) stepCopy(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	var st copyState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageCopyRead:
		return s.readSource(ctx, op, st)
	case stageCopyFiles:
		return s.copyFiles(ctx, op, st)
	case stageStop:
		op.Fail(failure(op, "copy", backup.ErrCanceled, "", "canceled before anything was copied"))
		return op, nil
	}
	return op, failure(op, "copy", backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
}

// source reads the manifest of the export that is copied, with the credentials that copy.
func (s *Strategy) source(ctx context.Context, op backup.Operation, st copyState) (m s3export.Manifest, sum []byte, err error) {
	bucket, key, _ := strings.Cut(op.Ref.ID, "/")
	if s.own != nil {
		if err := s.own.Check(ctx, op.Ref); err != nil {
			return m, nil, err
		}
	}
	at := op.Ref
	at.Account = st.To.Account
	c, err := s.clients(ctx, at)
	if err != nil {
		return m, nil, err
	}
	body, err := s.load(ctx, c, op.Ref, bucket, key)
	if err != nil {
		return m, nil, err
	}
	if m, err = s3export.ParseManifest(body); err != nil {
		return m, nil, err
	}
	if key != s3export.ManifestKey(m.Name) {
		return m, nil, invalid(op.Ref, "copy the export by its own manifest", "the manifest %s is that of the export %s", key, m.Name)
	}
	digest := sha256.Sum256(body)
	return m, digest[:], nil
}

func (s *Strategy) readSource(ctx context.Context, op backup.Operation, st copyState) (backup.Operation, error) {
	m, sum, err := s.source(ctx, op, st)
	if err != nil {
		return s.stop(op, err)
	}
	st.Sum, st.Files = sum, len(m.Shards)
	return s.nextFile(ctx, op, st, m)
}

// nextFile begins the copy of file st.At, the manifest being the last.
func (s *Strategy) nextFile(ctx context.Context, op backup.Operation, st copyState, m s3export.Manifest) (backup.Operation, error) {
	bucket, key, _ := strings.Cut(op.Ref.ID, "/")
	if st.At < st.Files {
		key = m.Shards[st.At].Key
	}
	inner, err := s.one(ctx, op, st, bucket, key)
	if err != nil {
		op.Fail(err)
		return op, nil
	}
	op.To(stageCopyFiles, "")
	st.Inner = &inner
	nested.Arm(&op, inner)
	op.Percent = 100 * st.At / (st.Files + 1)
	op.Made = backup.Refs{{Type: TypeFiles, Account: st.To.Account, Region: st.To.Region, ID: st.Opt.Bucket + "/" + m.Name + "-"}}
	return op, op.SetState(st)
}

func (s *Strategy) copyFiles(ctx context.Context, op backup.Operation, st copyState) (backup.Operation, error) {
	if st.Inner == nil {
		return op, failure(op, "copy", backup.ErrInvalid, "the operation's state was changed; start it again", "the copy of a file is missing")
	}
	before, was := op, st.Inner.Made
	if err := nested.Step(ctx, s.copies, &op, st.Inner); err != nil {
		return op, err
	}
	// An upload that is not finished is listed beside the files, and for as long as there is one.
	op.Made = slices.DeleteFunc(slices.Clone(op.Made), func(r backup.Ref) bool { return slices.Contains(was, r) })
	for _, r := range st.Inner.Made {
		op.AddMade(r)
	}
	if !st.Inner.Done() {
		return op, op.SetState(st)
	}
	if err := st.Inner.Err(); err != nil {
		op.Fail(err)
		return op, op.SetState(st)
	}
	m, sum, err := s.source(ctx, op, st)
	if err != nil {
		return s.later(before, op, st, err)
	}
	if !bytes.Equal(sum, st.Sum) || st.Files != len(m.Shards) {
		op.Fail(failure(op, "copy", backup.ErrConflict, "find out who writes to the bucket of the export", "the manifest was changed while its files were being copied"))
		return op, op.SetState(st)
	}
	to := st.dest(s3export.ManifestKey(m.Name))
	c, err := s.clients(ctx, to)
	if err != nil {
		return s.later(before, op, st, err)
	}
	if st.At < st.Files {
		return s.copied(ctx, c, before, op, st, m)
	}
	body, err := s.load(ctx, c, to, st.Opt.Bucket, s3export.ManifestKey(m.Name))
	if err != nil {
		return s.later(before, op, st, err)
	}
	if digest := sha256.Sum256(body); !bytes.Equal(digest[:], st.Sum) {
		op.Fail(failure(op, "copy", backup.ErrConflict, "find out who writes to the bucket of the export", "the manifest was changed before it was copied"))
		return op, op.SetState(st)
	}
	op.Made = nil
	op.AddPoint(to)
	op.Succeed()
	return op, nil
}

// copied holds a copied file against the manifest and goes on to the next.
func (s *Strategy) copied(ctx context.Context, c Clients, before, op backup.Operation, st copyState, m s3export.Manifest) (backup.Operation, error) {
	want := m.Shards[st.At]
	out, err := c.S3.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &st.Opt.Bucket, Key: &want.Key, ExpectedBucketOwner: &st.To.Account})
	if err != nil {
		return s.later(before, op, st, s3Table.Wrap(Kind, "HeadObject", st.dest(want.Key), err))
	}
	if got := aws.ToInt64(out.ContentLength); got != want.Size {
		op.Fail(failure(op, "copy", backup.ErrConflict, "check the export with Open: it is not what its manifest describes", "the file %s has %d bytes, and the manifest says %d", want.Key, got, want.Size))
		return op, op.SetState(st)
	}
	st.At++
	return s.nextFile(ctx, op, st, m)
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

// cancelCopy hands the wish on to the copy of the file that is under way.
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
	inner.Attempt, inner.Intended = op.Attempt, op.Intended
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
	m, _, err := s.source(ctx, op, st)
	switch backup.CodeOf(err) {
	case "":
	case backup.ErrNotFound, backup.ErrInvalid, backup.ErrDenied, backup.ErrUnsupported:
		found = append(found, backup.Finding{ID: "elasticacheexport.no-manifest", Severity: backup.SeverityError, Ref: op.Ref, Message: err.Error(), Remedy: "copy a finished export, with credentials that may read it"})
	default:
		return nil, err
	}
	to := st.dest(s3export.ManifestKey(m.Name))
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
