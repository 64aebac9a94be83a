package objectcopy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
)

// headSource looks at the source; once its ETag is known, at exactly that object.
func (s *Strategy) headSource(ctx context.Context, c clients, op backup.Operation, st state) (*awss3.HeadObjectOutput, error) {
	bucket, key, err := Split(op.Ref)
	if err != nil {
		return nil, err
	}
	out, err := c.source.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &bucket, Key: &key, VersionId: optional(st.Version), IfMatch: optional(st.ETag),
		ChecksumMode: s3types.ChecksumModeEnabled, ExpectedBucketOwner: &op.Ref.Account})
	if err == nil {
		return out, nil
	}
	v := classify(callHeadSource, err)
	switch v.AWSCode {
	case codeBadRequest:
		// The answer has no body. What is known to be answered like this is an object under a key of the caller's own.
		v.Code = backup.ErrUnsupported
	case codePrecondition:
		v.Hint = "the source was replaced while it was being copied: copy it again with another token"
	}
	return nil, v.Error(Kind, callHeadSource, op.Ref, err)
}

// headDest looks at the destination; nil says that there is no object.
func (s *Strategy) headDest(ctx context.Context, c clients, op backup.Operation, st state) (*awss3.HeadObjectOutput, error) {
	bucket, key := st.place()
	out, err := c.dest.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &bucket, Key: &key, ChecksumMode: s3types.ChecksumModeEnabled, ExpectedBucketOwner: &st.Account})
	if err == nil {
		return out, nil
	}
	v := classify(callHeadDest, err)
	if v.AWSCode == "NotFound" || v.AWSCode == "NoSuchKey" {
		return nil, nil
	}
	if v.AWSCode == codeBadRequest {
		// An object under a key of somebody's own is in the place.
		v.Code = backup.ErrConflict
	}
	return nil, v.Error(Kind, callHeadDest, op.Ref, err)
}

// look learns what is copied, and refuses what can not be.
func (s *Strategy) look(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	src, err := s.headSource(ctx, c, op, st)
	if err != nil {
		return s.stop(op, st, err)
	}
	if err := copyable(op, src); err != nil {
		return s.stop(op, st, err)
	}
	st.describe(src)
	dst, err := s.headDest(ctx, c, op, st)
	if err != nil {
		return s.stop(op, st, err)
	}
	if dst != nil {
		return s.found(op, st, dst)
	}
	for _, f := range st.notes(src) {
		f.Ref = op.Ref
		st.find(&op, f)
	}
	switch archived(src) {
	case frozen:
		return s.thawable(op, st, src)
	case thawing:
		op.To(stageThaw, "")
		op.PollIn(s.thawPoll(op, st))
		return op, op.SetState(st)
	}
	return s.ready(op, st)
}

// notes tells what of the source will not be compared, or does not go with the copy.
func (st state) notes(src *awss3.HeadObjectOutput) (found []backup.Finding) {
	if st.Sum == "" && !st.MD5 {
		found = append(found, backup.Finding{ID: "objectcopy.checksum-not-comparable", Severity: backup.SeverityWarning,
			Message: "the source has no checksum of the whole object, so that the copy's size is compared and not its bytes",
			Remedy:  "S3 computes a checksum of its own while it copies; to have one from end to end, upload the source with CRC64NVME"})
	}
	if n := aws.ToInt32(src.TagCount); n > 0 {
		found = append(found, backup.Finding{ID: "objectcopy.tags-not-copied", Severity: backup.SeverityInfo,
			Message: fmt.Sprintf("the source has %d tags, which do not go with the copy", n), Remedy: "give the tags that are wanted in Spec.Tags"})
	}
	if n := aws.ToInt32(src.MissingMeta); n > 0 {
		found = append(found, backup.Finding{ID: "objectcopy.metadata-not-copied", Severity: backup.SeverityWarning,
			Message: fmt.Sprintf("the source has %d entries of metadata that HTTP can not carry, which do not go with the copy", n)})
	}
	return found
}

// ready moves on to the copying.
func (s *Strategy) ready(op backup.Operation, st state) (backup.Operation, error) {
	if st.single() {
		op.To(stageCopy, "CopyObject")
		return op, op.SetState(st)
	}
	st.Part = PartSize(st.Size, st.Part)
	op.To(stageCreate, "CreateMultipartUpload")
	st.Begin = op.Since
	return op, op.SetState(st)
}

// encryptedByClient are the metadata keys that the S3 encryption clients write. Source: Amazon S3 Encryption Client developer guide, message
// format; the short ones belong to its third version.
var encryptedByClient = []string{"x-amz-key", "x-amz-key-v2", "x-amz-iv", "x-amz-cek-alg", "x-amz-wrap-alg", "x-amz-unencrypted-content-length",
	"x-amz-c", "x-amz-d", "x-amz-i", "x-amz-w", "x-amz-3"}

// copyable refuses a source of which a copy would be worth nothing, or can not be made.
func copyable(op backup.Operation, src *awss3.HeadObjectOutput) error {
	refuse := func(hint, format string, args ...any) error {
		return failure(op, "copy", backup.ErrUnsupported, hint, format, args...)
	}
	if src.SSECustomerAlgorithm != nil {
		return refuse("copy it with a program that has the key", "the source is encrypted under a key of the caller's own (SSE-C), which this library never holds")
	}
	size := 0
	for k, v := range src.Metadata {
		if slices.Contains(encryptedByClient, strings.ToLower(k)) {
			return refuse("copy it with the program that encrypted it, which can check the copy",
				"the source was encrypted by a client (its metadata has %s): nobody but the holder of the key can tell whether a copy is good", k)
		}
		if !isOwned(k) {
			size += len(k) + len(v)
		}
	}
	for k, v := range marks(op) {
		size += len(k) + len(v)
	}
	if size > maxMetadata {
		return refuse(hintMetadata, "the metadata of the copy would have %d bytes, more than %d", size, maxMetadata)
	}
	if aws.ToString(src.ETag) == "" {
		return refuse("", "the source has no ETag by which it could be pinned")
	}
	return nil
}

// maxMetadata is how many bytes the user's metadata of an object has. Source: S3 user guide, Working with object metadata.
const maxMetadata = 2 << 10

// The metadata that makes a copy provably our own. Tags would need a right more, and can be changed afterwards; metadata can not.
const (
	metaOwner   = "snapwarden-owner"
	metaToken   = "snapwarden-token"
	metaSource  = "snapwarden-source"
	metaCreated = "snapwarden-created"
)

// marks are the metadata entries of the library.
func marks(op backup.Operation) map[string]string {
	source := op.Ref
	source.ID = ascii(source.ID)
	own := op.OwnTags(source)
	return map[string]string{metaOwner: own[backup.TagOwner], metaToken: own[backup.TagToken], metaSource: own[backup.TagSource], metaCreated: own[backup.TagCreated]}
}

// metadata is that of the new object: the source's, and the library's.
func metadata(op backup.Operation, src *awss3.HeadObjectOutput) map[string]string {
	m := maps.Clone(src.Metadata)
	if m == nil {
		m = map[string]string{}
	}
	maps.DeleteFunc(m, func(k, _ string) bool { return isOwned(k) })
	maps.Copy(m, marks(op))
	return m
}

// describe notes what the source is.
func (st *state) describe(src *awss3.HeadObjectOutput) {
	st.ETag, st.Size = aws.ToString(src.ETag), aws.ToInt64(src.ContentLength)
	if st.Version == "" {
		st.Version = aws.ToString(src.VersionId)
	}
	st.Algo, st.Sum = s3types.ChecksumAlgorithmCrc64nvme, ""
	for _, algo := range wholeSums {
		if sum := checksum(src, algo); sum != "" && src.ChecksumType != s3types.ChecksumTypeComposite && !strings.Contains(sum, "-") {
			st.Algo, st.Sum = algo, sum
			break
		}
	}
	st.MD5 = isMD5(src)
}

// wholeSums are the checksums that an object has of its whole, however it was put together. Source: S3 user guide, Checking object integrity,
// "Full object and composite checksum types".
var wholeSums = [...]s3types.ChecksumAlgorithm{s3types.ChecksumAlgorithmCrc64nvme, s3types.ChecksumAlgorithmCrc32c, s3types.ChecksumAlgorithmCrc32}

func checksum(o *awss3.HeadObjectOutput, algo s3types.ChecksumAlgorithm) string {
	switch algo {
	case s3types.ChecksumAlgorithmCrc64nvme:
		return aws.ToString(o.ChecksumCRC64NVME)
	case s3types.ChecksumAlgorithmCrc32c:
		return aws.ToString(o.ChecksumCRC32C)
	case s3types.ChecksumAlgorithmCrc32:
		return aws.ToString(o.ChecksumCRC32)
	}
	return ""
}

// isMD5 tells that an object's ETag is the MD5 of its bytes: it was written in one piece and no KMS key encrypts it. Source: S3 API, Object.
func isMD5(o *awss3.HeadObjectOutput) bool {
	tag := strings.Trim(aws.ToString(o.ETag), `"`)
	return len(tag) == 32 && strings.Trim(tag, "0123456789abcdef") == "" && (o.ServerSideEncryption == "" || o.ServerSideEncryption == s3types.ServerSideEncryptionAes256)
}

// found decides about an object that is in the place: our own is taken, and any other is a conflict.
func (s *Strategy) found(op backup.Operation, st state, dst *awss3.HeadObjectOutput) (backup.Operation, error) {
	if !ours(op, dst) {
		return s.end(op, st, s.taken(op, st))
	}
	op.To(stageVerify, "")
	op.AddMade(st.dest())
	return op, op.SetState(st)
}

func (s *Strategy) taken(op backup.Operation, st state) error {
	return failure(op, "copy", backup.ErrConflict, "a copy never overwrites: choose another Options.Key, or remove the object", "%s has an object already, which this Operation did not make", st.To)
}

// ours tells whether an object carries the Operation's ID.
func ours(op backup.Operation, o *awss3.HeadObjectOutput) bool { return o.Metadata[metaToken] == op.ID }

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// reserve is how long before the deadline a copy that is not done is given up: afterwards nothing may be sent, and until then an object that was
// perhaps made is looked for, and the upload aborted. Beside the looking it has room for a Step, the abort, and the waiting after Steps that
// failed.
func (s *Strategy) reserve(op backup.Operation) time.Duration {
	return min(s.opts.Settle+3*time.Minute, op.Deadline.Sub(op.Started)/2)
}

// late ends a copy that will not be done by its deadline. It is asked before any call that may fail.
func (s *Strategy) late(op backup.Operation, st state) (next backup.Operation, ended bool, err error) {
	if op.Deadline.IsZero() || time.Until(op.Deadline) > s.reserve(op) {
		return op, false, nil
	}
	hint, parts := "start it again with another token and a longer Spec.Timeout", ""
	if op.Stage == stageParts {
		hint += "; if single parts take nearly a minute, with a smaller Options.PartSize"
		parts = fmt.Sprintf("; %d percent of it were copied, in parts of %d MiB", op.Percent, st.Part/mib)
	}
	err = failure(op, "copy", backup.ErrUnavailable, hint, "not finished by its deadline %s%s", op.Deadline.Format(time.RFC3339), parts)
	if op.Unstored && (op.Stage == stageCopy || op.Stage == stageComplete) {
		next, err = s.seekFor(op, st, err) // this attempt need not be the first
	} else {
		next, err = s.end(op, st, err)
	}
	return next, true, err
}
