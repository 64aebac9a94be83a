package elasticacheexport

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/s3export"
)

// file is an object of an export.
type file struct {
	key, tag string
	size     int64
	at       time.Time
}

// list gives the objects whose keys begin as this export's do, the manifest among them, in the order of their keys. S3 answers with what is
// true at that moment. Source: S3 User Guide, "Amazon S3 data consistency model".
func (s *Strategy) list(ctx context.Context, c Clients, r backup.Ref, st state) ([]file, error) {
	var files []file
	manifest := s3export.ManifestKey(st.Name)
	for _, prefix := range []string{st.Name + "-", manifest} {
		pages := awss3.NewListObjectsV2Paginator(c.S3, &awss3.ListObjectsV2Input{Bucket: &st.Bucket, Prefix: &prefix, ExpectedBucketOwner: &r.Account})
		for pages.HasMorePages() {
			p, err := pages.NextPage(ctx)
			if err != nil {
				return nil, s3Table.Wrap(Kind, "ListObjectsV2", r, err)
			}
			for _, o := range p.Contents {
				key := aws.ToString(o.Key)
				if key != manifest && !st.named(key) {
					continue
				}
				files = append(files, file{key, tag(o.ETag), aws.ToInt64(o.Size), aws.ToTime(o.LastModified)})
			}
			if len(files) > 10*MaxShards {
				return nil, failure(backup.Operation{Ref: r}, "ListObjectsV2", backup.ErrConflict, "choose another Spec.Name, or leave it empty",
					"the bucket %s has more objects that begin with %s- than any export makes", st.Bucket, st.Name)
			}
		}
	}
	return files, nil
}

// named reports whether a key is one of those that an export of this name makes. One of a longer name is not: nightly-2-0001.rdb does not
// belong to nightly.
func (st state) named(key string) bool {
	n := len(st.Name) + 1
	if len(key) <= n || !strings.EqualFold(key[:n], st.Name+"-") {
		return false
	}
	id, ok := strings.CutSuffix(strings.ToLower(key[n:]), ".rdb")
	return ok && id != "" && strings.Trim(id, "0123456789") == ""
}

// tag is the beginning of an ETag: enough to see that an object was replaced, and short enough for an Operation to hold many.
func tag(etag *string) string {
	t := strings.Trim(aws.ToString(etag), `"`)
	return t[:min(len(t), 12)]
}

// match finds the file of each shard. Keys are compared without regard to case: ElastiCache keeps snapshot names in lower case, and whether it
// does so with keys is not documented.
func (st state) match(files []file) (found []file, missing []string) {
	for i := range st.Shards {
		n := slices.IndexFunc(files, func(f file) bool { return strings.EqualFold(f.key, st.key(i)) })
		if n < 0 {
			missing = append(missing, st.key(i))
			continue
		}
		found = append(found, files[n])
	}
	return found, missing
}

// digest tells two listings of the same files apart.
func digest(files []file) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%q %q %d %d\n", f.key, f.tag, f.size, f.at.UnixNano())
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// wait looks until the export has ended: the snapshot is not being copied, and all files are there and were the same at the look before.
func (s *Strategy) wait(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	x, err := s.snapshot(ctx, c, st.point(op.Ref))
	if err != nil {
		return op, err
	}
	// A snapshot that was deleted meanwhile does not undo its export: the files decide.
	if x != nil && word(x.SnapshotStatus) == statusCopying {
		st.Copying, st.Lost, st.Seen = true, time.Time{}, ""
		s.poll(&op)
		return op, op.SetState(st)
	}
	files, err := s.list(ctx, c, op.Ref, st)
	if err != nil {
		return s.stop(op, err)
	}
	found, missing := st.match(files)
	for _, f := range found {
		if f.at.Before(op.Started.Add(-clockSkew)) {
			op.Fail(failure(op, "export", backup.ErrConflict, "choose another Spec.Name, or leave it empty", "the object %s is older than this export", f.key))
			return op, nil
		}
		if f.size == 0 {
			missing = append(missing, f.key)
		}
	}
	if len(missing) > 0 {
		st.Seen = ""
		// That AWS shows an export by the status of its source is not documented. If it was never seen, files that are missing are no
		// sign of an end: they are waited for until the deadline.
		if !s.lost(&st.Lost) || !st.Copying {
			s.poll(&op)
			return op, op.SetState(st)
		}
		code, what := backup.ErrPartial, fmt.Sprintf("lacks %d of %d files", len(missing), len(st.Shards))
		if len(missing) == len(st.Shards) {
			code, what = backup.ErrFailed, "wrote no file"
		}
		op.Fail(failure(op, "export", code, "look at the cluster's events, delete what is listed in Made, and export again with another token",
			"the export ended and %s: %s", what, strings.Join(missing[:min(3, len(missing))], ", ")))
		return op, nil
	}
	if len(files) > len(found) {
		op.Fail(failure(op, "export", backup.ErrConflict, "look at what else is in the bucket under this name", "there are %d files where the snapshot has %d shards", len(files), len(found)))
		return op, nil
	}
	st.Lost = time.Time{}
	if d := digest(found); d != st.Seen {
		st.Seen = d
		s.poll(&op)
		return op, op.SetState(st)
	}
	op.To(stageVerify, "")
	return op, op.SetState(st)
}

// clockSkew is how far the clocks of this machine and of AWS may be apart.
const clockSkew = 10 * time.Minute
