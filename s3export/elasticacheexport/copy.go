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
	// The manifest is always STANDARD: it is small, and must be readable at any moment to tell what the files are.
	StorageClass s3types.StorageClass
	// PartSize is as in objectcopy.Options.
	PartSize int64
	// SkipCheck leaves out reading the files of the copy back. That the copy is the source is then S3's word alone, and that the source is
	// what its manifest describes is known of its size and its age only; the finding elasticacheexport.copy-not-read says so.
	SkipCheck bool
}

// OptionsFor makes CopyOptions usable as backup.Spec.Options.
func (CopyOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionCopy }

// The stages of a copy.
const (
	stageCopyRead  = "read"  // the manifest is read
	stageCopyFiles = "files" // the files are copied one after the other, and the manifest last
	stageCopyCheck = "check" // a file that was copied is read back
)

// copyState is the State of a copy.
type copyState struct {
	To  backup.Destination `json:"to"`
	Opt CopyOptions        `json:"o"`
	// Sum is the SHA-256 of the manifest, which must stay what it was; Files the number of files without it.
	Sum   []byte `json:"s,omitempty"`
	Files int    `json:"f,omitempty"`
	// Less: the export is of a serverless cache.
	Less bool `json:"sl,omitempty"`
	// At is the file that is being copied, and Inner its copy, until it is there and is read back.
	At    int               `json:"a,omitempty"`
	Inner *backup.Operation `json:"in,omitempty"`
	reading
}

// archived tells that what is copied can not be read before it is restored.
func (o CopyOptions) archived() bool {
	return o.StorageClass == s3types.StorageClassGlacier || o.StorageClass == s3types.StorageClassDeepArchive
}

// files names the files of the copy.
func (st copyState) files(name string) backup.Ref {
	return filesRef(st.To.Account, st.To.Region, st.Opt.Bucket, name, st.Less)
}

// dest is the copy's point.
func (st copyState) dest(key string) backup.Ref {
	return backup.Ref{Type: TypeExport, Account: st.To.Account, Region: st.To.Region, ID: st.Opt.Bucket + "/" + key}
}

// StartCopy makes the Operation that copies a finished export to a bucket of another Region or account, file by file on the side of S3, and the
// manifest last: a copy without it is no backup. point is what Points of the export lists. Spec.Options must be CopyOptions with a bucket. Files
// are encrypted under to.KMSKeyID, or else as the destination bucket does by itself; ElastiCache seeds best from SSE-S3.
//
// A source file that is not as long as the manifest says, or was written after the manifest, ends the work in ErrConflict. Of every file S3
// compares the checksum that it keeps of the whole, which it does for files that ElastiCache wrote. Then the copy is read back, in as many Steps
// as that takes, and its bytes are held against the SHA-256 of the manifest: only that shows that it is the file which was checked
// when it was exported. All bytes pass through the program for that, and out of the destination's Region if it runs elsewhere; CopyOptions.SkipCheck
// leaves it out. Copies in GLACIER and DEEP_ARCHIVE can not be read, and are not. The finding elasticacheexport.copy-not-read tells of both.
//
// What was copied is listed in Made from the moment at which the first file is known to be this copy's: each file carries the Operation of its copy
// in its metadata (package objectcopy), and where one is in the way that does not, the work ends in ErrConflict and the failure names it.
//
// The destination account's credentials copy and read, and must be allowed to read the source. A Strategy of NewFromConfig serves one Region only.
func (s *Strategy) StartCopy(ctx context.Context, point backup.Ref, to backup.Destination, spec backup.Spec) (backup.Operation, error) {
	op, err := backup.NewOperation(Kind, backup.ActionCopy, point, spec)
	if err != nil {
		return backup.Operation{}, err
	}
	bucket, key, ok := strings.Cut(point.ID, "/")
	o, fits := spec.Options.(CopyOptions)
	switch {
	case point.Type != TypeExport || !ok || key == "":
		return backup.Operation{}, invalid(point, hintPoint, "this is no export")
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
	op.Bind(to)
	st := copyState{To: to, Opt: o}
	// What a copy of one file refuses, the copy of all would.
	if _, err := s.one(ctx, op, st, bucket, key, o.StorageClass); err != nil {
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
func (s *Strategy) one(ctx context.Context, op backup.Operation, st copyState, bucket, key string, class s3types.StorageClass) (backup.Operation, error) {
	// The token is this Operation's own, so that no other copy shares the object.
	return s.copies.StartCopy(ctx, objectcopy.Object(op.Ref.Account, op.Ref.Region, bucket, key), st.To, backup.Spec{
		Token: op.ID, Owner: op.Owner, Options: objectcopy.Options{Bucket: st.Opt.Bucket, StorageClass: class, PartSize: st.Opt.PartSize},
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
	case stageCopyCheck:
		return s.checkCopy(ctx, op, st)
	case stageStop:
		op.Fail(failure(op, "copy", backup.ErrCanceled, "", "canceled on request, with %d of %d files copied", st.At, st.Files))
		return op, nil
	}
	return op, failure(op, "copy", backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
}

func (s *Strategy) readSource(ctx context.Context, op backup.Operation, st copyState) (backup.Operation, error) {
	src, err := s.source(ctx, op, st)
	if err != nil {
		return s.stop(op, err)
	}
	st.Sum, st.Files, st.Less = src.sum, len(src.m.Shards), src.m.Serverless
	return s.nextFile(ctx, op, st, src)
}

// nextFile begins the copy of file st.At, the manifest being the last.
func (s *Strategy) nextFile(ctx context.Context, op backup.Operation, st copyState, src source) (backup.Operation, error) {
	bucket, key, _ := strings.Cut(op.Ref.ID, "/")
	class := s3types.StorageClassStandard
	if st.At < st.Files {
		if err := s.unchanged(ctx, op, st, src); err != nil {
			return s.stop(op, err)
		}
		key, class = src.m.Shards[st.At].Key, st.Opt.StorageClass
	}
	inner, err := s.one(ctx, op, st, bucket, key, class)
	if err != nil {
		op.Fail(err)
		return op, nil
	}
	op.To(stageCopyFiles, "")
	st.Inner = &inner
	nested.Arm(&op, inner)
	op.Percent = 100 * st.At / (st.Files + 1)
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
	// What the copy of a file has made is listed beside the files, and for as long as it lists it itself.
	op.Made = slices.DeleteFunc(slices.Clone(op.Made), func(r backup.Ref) bool { return slices.Contains(was, r) })
	for _, r := range st.Inner.Made {
		op.AddMade(r)
	}
	if !st.Inner.Done() {
		return op, op.SetState(st)
	}
	// Its point is the object, which it has found to be its own, also where it was stopped in vain.
	ours := len(st.Inner.Points) > 0
	if ours && st.At < st.Files {
		_, key, _ := strings.Cut(op.Ref.ID, "/")
		op.AddMade(st.files(strings.TrimSuffix(key, s3export.ManifestKey(""))))
	}
	if err := st.Inner.Err(); err != nil && (!ours || st.At < st.Files) {
		op.Fail(err)
		return op, op.SetState(st)
	}
	src, err := s.source(ctx, op, st)
	if err != nil {
		return s.later(before, op, st, err)
	}
	if err := st.same(op, src); err != nil {
		op.Fail(err)
		return op, op.SetState(st)
	}
	if st.At < st.Files {
		return s.copied(ctx, before, op, st, src)
	}
	to := st.dest(s3export.ManifestKey(src.m.Name))
	c, err := s.clients(ctx, to)
	if err != nil {
		return s.later(before, op, st, err)
	}
	body, _, err := s.load(ctx, c, to, st.Opt.Bucket, s3export.ManifestKey(src.m.Name))
	if err != nil {
		return s.later(before, op, st, elsewhere(to, err))
	}
	if digest := sha256.Sum256(body); !bytes.Equal(digest[:], st.Sum) {
		op.Fail(failure(op, "copy", backup.ErrConflict, hintWriter, "the manifest was changed before it was copied"))
		return op, op.SetState(st)
	}
	op.Made = slices.DeleteFunc(op.Made, func(r backup.Ref) bool { return r.Type != objectcopy.TypeUpload })
	op.AddPoint(to)
	op.Succeed()
	return op, nil
}

// copied looks at a file that was copied, and has it read back, or goes on to the next.
func (s *Strategy) copied(ctx context.Context, before, op backup.Operation, st copyState, src source) (backup.Operation, error) {
	want := src.m.Shards[st.At]
	// What was copied is what the manifest describes only if it was still there when it had been copied.
	if err := s.unchanged(ctx, op, st, src); err != nil {
		return s.later(before, op, st, err)
	}
	to := st.dest(want.Key)
	c, err := s.clients(ctx, to)
	if err != nil {
		return s.later(before, op, st, err)
	}
	out, err := c.S3.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &st.Opt.Bucket, Key: &want.Key, ExpectedBucketOwner: &st.To.Account})
	if err != nil {
		return s.later(before, op, st, elsewhere(to, s3Table.Wrap(Kind, "HeadObject", to, err)))
	}
	if got := aws.ToInt64(out.ContentLength); got != want.Size {
		op.Fail(failure(op, "copy", backup.ErrConflict, hintNotIt, "the copy of %s has %d bytes, and the manifest says %d", want.Key, got, want.Size))
		return op, op.SetState(st)
	}
	if st.Opt.SkipCheck || st.Opt.archived() {
		why, remedy := "CopyOptions.SkipCheck is set", "read the copy with Open before relying on it"
		if st.Opt.archived() {
			why, remedy = "what is "+string(st.Opt.StorageClass)+" can not be read", "restore the copy and read it with Open before relying on it"
		}
		op.Find(st.notRead(src, why, remedy))
		st.At++
		next, err := s.nextFile(ctx, op, st, src)
		if err != nil {
			return before, err
		}
		return next, nil
	}
	st.Inner, st.reading = nil, reading{}
	op.To(stageCopyCheck, "")
	return op, op.SetState(st)
}
