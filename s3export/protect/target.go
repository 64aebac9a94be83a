package protect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// slack is how far the clocks of S3's own machines may be apart. UNVERIFIED: AWS gives no figure.
const slack = 5 * time.Second

// target is what is to be held: the files of an export and then its manifest, or one object.
type target struct {
	ref    backup.Ref
	bucket string
	files  []file
	// written is when the manifest was, zero for a single object; the files are not younger.
	written time.Time
}

// file is one object. Size is that of the manifest, below 0 where there is none. Version is empty until it is pinned.
type file struct {
	key, version string
	size         int64
}

// pin notes the versions of the files, as far as they are known.
func (t target) pin(r backup.Ref, versions []string) error {
	if len(versions) > len(t.files) {
		return failure(r, "step", backup.ErrInvalid, "the operation's state was changed; start it again", "%d versions of %d files", len(versions), len(t.files))
	}
	for i, v := range versions {
		t.files[i].version = v
	}
	return nil
}

// fileRef names a file.
func (t target) fileRef(i int) backup.Ref {
	return objectcopy.Object(t.ref.Account, t.ref.Region, t.bucket, t.files[i].key)
}

// target finds out what is to be held. version is that of the manifest, empty for the newest; asked that of a single object.
func (s *Strategy) target(ctx context.Context, c *awss3.Client, r backup.Ref, version, asked string) (target, error) {
	bucket, key, err := place(r)
	if err != nil {
		return target{}, err
	}
	t := target{ref: r, bucket: bucket}
	if r.Type == objectcopy.TypeObject {
		t.files = []file{{key, asked, -1}}
		return t, nil
	}
	in := &awss3.GetObjectInput{Bucket: &bucket, Key: &key, ExpectedBucketOwner: &r.Account}
	if version != "" {
		in.VersionId = &version
	}
	out, err := c.GetObject(ctx, in)
	if err != nil {
		return target{}, wrap("GetObject", r, err)
	}
	defer func() { _ = out.Body.Close() }() // what it holds was read
	data, err := io.ReadAll(io.LimitReader(out.Body, s3export.MaxManifestBytes+1))
	if err != nil {
		return target{}, wrap("GetObject", r, err)
	}
	m, err := s3export.ParseManifest(data)
	if err != nil {
		return target{}, err
	}
	if key != s3export.ManifestKey(m.Name) {
		return target{}, invalid(r, "do not rely on it", "the manifest %s is that of the export %s", key, m.Name)
	}
	for _, x := range m.Shards {
		t.files = append(t.files, file{x.Key, "", x.Size})
	}
	t.files = append(t.files, file{key, aws.ToString(out.VersionId), int64(len(data))})
	t.written = aws.ToTime(out.LastModified)
	return t, nil
}

// head gives the id and the size of a version of a file, the newest for an empty one, and refuses a file that is not the manifest's.
func (s *Strategy) head(ctx context.Context, c *awss3.Client, t target, i int, version string) (id string, size int64, err error) {
	f := t.files[i]
	in := &awss3.HeadObjectInput{Bucket: &t.bucket, Key: &f.key, ExpectedBucketOwner: &t.ref.Account}
	if version != "" {
		in.VersionId = &version
	}
	out, err := c.HeadObject(ctx, in)
	if err != nil {
		return "", 0, wrap("HeadObject", t.fileRef(i), err)
	}
	at := aws.ToTime(out.LastModified)
	switch id, size = aws.ToString(out.VersionId), aws.ToInt64(out.ContentLength); {
	case id == "":
		return "", 0, failure(t.fileRef(i), "HeadObject", backup.ErrUnsupported, hintLock, "%s has no version: %w", f.key, noLock)
	case f.size >= 0 && size != f.size:
		return "", 0, failure(t.fileRef(i), "HeadObject", backup.ErrConflict, hintReplaced, "%s %w: it has %d bytes instead of %d", f.key, replaced, size, f.size)
	case !t.written.IsZero() && at.After(t.written.Add(slack)):
		return "", 0, failure(t.fileRef(i), "HeadObject", backup.ErrConflict, hintReplaced, "%s %w: it was written at %s, after the manifest", f.key, replaced, at.UTC().Format(time.RFC3339))
	}
	return id, size, nil
}

const hintReplaced = "find out who writes to the bucket; an older version may be the right one. Do not restore from the export before its files were checked against the manifest"

// held is what holds a version.
type held struct {
	retention policy.Retention
	// event tells of a hold until an event, which this release does not know how to keep.
	event bool
	legal bool
}

// locks reads what holds a version, of what is asked for.
func (s *Strategy) locks(ctx context.Context, c *awss3.Client, t target, i int, retention, legal bool) (h held, err error) {
	f := t.files[i]
	var version *string
	if f.version != "" {
		version = &f.version
	}
	if retention {
		out, err := c.GetObjectRetention(ctx, &awss3.GetObjectRetentionInput{Bucket: &t.bucket, Key: &f.key, VersionId: version, ExpectedBucketOwner: &t.ref.Account})
		switch {
		case has(err, codeNoRetention):
		case err != nil:
			return h, wrap("GetObjectRetention", t.fileRef(i), err)
		case out.Retention != nil:
			h.retention = policy.Retention{Mode: policy.LockMode(out.Retention.Mode), Until: aws.ToTime(out.Retention.RetainUntilDate),
				Irreversible: out.Retention.Mode == s3types.ObjectLockRetentionModeCompliance}
			h.event = out.Retention.EventHold == s3types.ObjectLockEventHoldOn || out.Retention.EventHoldDuration != nil
		}
	}
	if legal {
		out, err := c.GetObjectLegalHold(ctx, &awss3.GetObjectLegalHoldInput{Bucket: &t.bucket, Key: &f.key, VersionId: version, ExpectedBucketOwner: &t.ref.Account})
		switch {
		case has(err, codeNoRetention):
		case err != nil:
			return h, wrap("GetObjectLegalHold", t.fileRef(i), err)
		case out.LegalHold != nil:
			h.legal = out.LegalHold.Status == s3types.ObjectLockLegalHoldStatusOn
		}
	}
	return h, nil
}

// lockable refuses a bucket without Object Lock.
func (s *Strategy) lockable(ctx context.Context, c *awss3.Client, r backup.Ref) error {
	bucket, _, err := place(r)
	if err != nil {
		return err
	}
	out, err := c.GetObjectLockConfiguration(ctx, &awss3.GetObjectLockConfigurationInput{Bucket: &bucket, ExpectedBucketOwner: &r.Account})
	switch {
	case has(err, codeNoLock), err == nil && (out.ObjectLockConfiguration == nil || out.ObjectLockConfiguration.ObjectLockEnabled != s3types.ObjectLockEnabledEnabled):
		return failure(r, "GetObjectLockConfiguration", backup.ErrUnsupported, hintLock, "%w", errors.Join(noLock, err))
	}
	return wrap("GetObjectLockConfiguration", r, err)
}

// File is an object of an export, or a single one, and what holds it.
type File struct {
	// Key and Version name it; it is the newest version.
	Key, Version string
	// Size is in bytes.
	Size int64
	// Retention is what holds it until a time, zero for none. One whose time is over holds nothing.
	Retention policy.Retention
	// LegalHold is policy.LegalHoldOn, or policy.LegalHoldOff also where none was ever set.
	LegalHold policy.LegalHold
}

// Files tells what holds the files of an export and, last, its manifest; or a single object. point is as in StartProtect. It looks at the newest
// versions, makes three calls for each file, and refuses with ErrConflict files that are not those of the manifest; ErrNotFound names one that is
// missing, ErrUnsupported tells that the bucket has no Object Lock.
func (s *Strategy) Files(ctx context.Context, point backup.Ref) ([]File, error) {
	if err := point.Validate(); err != nil {
		return nil, err
	}
	if _, _, err := place(point); err != nil {
		return nil, err
	}
	c, err := s.client(ctx, point)
	if err != nil {
		return nil, err
	}
	if err := s.lockable(ctx, c, point); err != nil {
		return nil, err
	}
	t, err := s.target(ctx, c, point, "", "")
	if err != nil {
		return nil, err
	}
	all := make([]File, 0, len(t.files))
	for i := range t.files {
		f := &t.files[i]
		if f.version, f.size, err = s.head(ctx, c, t, i, f.version); err != nil {
			return nil, err
		}
		h, err := s.locks(ctx, c, t, i, true, true)
		if err != nil {
			return nil, err
		}
		x := File{f.key, f.version, f.size, h.retention, policy.LegalHoldOff}
		if h.legal {
			x.LegalHold = policy.LegalHoldOn
		}
		all = append(all, x)
	}
	return all, nil
}

// names lists the keys of some of the files, and how many more there are.
func (t target) names(some []int) string {
	const most = 4
	s := ""
	for n, i := range slices.Clip(some) {
		if n == most {
			return s + fmt.Sprintf(" and %d more", len(some)-most)
		}
		if n > 0 {
			s += ", "
		}
		s += t.files[i].key
	}
	return s
}
