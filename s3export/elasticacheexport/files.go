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
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/s3export"
)

// file is an object of an export.
type file struct {
	key, tag string
	size     int64
	at       time.Time
}

// maxPages is how many pages of a list are read for the files of one export, which has half a page of them at most.
const maxPages = 50

// numbered asks for the keys of a name that go on with a hyphen and a digit.
//
// Others may have any number of keys that begin with the same name and a hyphen. What follows the hyphen of a file is a digit, and S3 gives keys
// in the order of their bytes, so that the list can begin behind "/", which is the sign before 0, and end at ":", the one after 9. Source: S3
// API, ListObjectsV2.
func (st state) numbered() *awss3.ListObjectsV2Input {
	prefix := st.Name + "-"
	return &awss3.ListObjectsV2Input{Prefix: &prefix, StartAfter: aws.String(prefix + "/~")}
}

// list gives the objects whose keys are those of this export's files, the manifest among them, in the order of their keys. S3 answers with what is
// true at that moment. Source: S3 User Guide, "Amazon S3 data consistency model".
func (s *Strategy) list(ctx context.Context, c Clients, r backup.Ref, st state) (files []file, err error) {
	if st.Less {
		files, err = s.listServerless(ctx, c, r, st)
	} else {
		files, err = s.listed(ctx, c, r, st, st.numbered(), st.Name+"-:")
	}
	if err != nil {
		return nil, err
	}
	// Of the keys that begin as the manifest's does, its own is the first.
	manifest := s3export.ManifestKey(st.Name)
	p, err := c.S3.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: &st.Bucket, Prefix: &manifest, MaxKeys: aws.Int32(1), ExpectedBucketOwner: &r.Account})
	if err != nil {
		return nil, s3Table.Wrap(Kind, "ListObjectsV2", r, err)
	}
	for _, o := range p.Contents {
		if aws.ToString(o.Key) == manifest {
			files = append(files, fileOf(o))
		}
	}
	return files, nil
}

func fileOf(o s3types.Object) file {
	return file{aws.ToString(o.Key), tag(o.ETag), aws.ToInt64(o.Size), aws.ToTime(o.LastModified)}
}

// listed gives the objects of a list that are named as this export's, until a key that is not before end; an empty end is none.
func (s *Strategy) listed(ctx context.Context, c Clients, r backup.Ref, st state, in *awss3.ListObjectsV2Input, end string) (files []file, err error) {
	in.Bucket, in.ExpectedBucketOwner = &st.Bucket, &r.Account
	pages := awss3.NewListObjectsV2Paginator(c.S3, in)
	for n, over := 0, false; pages.HasMorePages() && !over; n++ {
		if n == maxPages {
			return nil, failure(backup.Operation{Ref: r}, "ListObjectsV2", backup.ErrConflict, st.another(),
				"the bucket %s has more objects that begin with %s and a digit than any export makes", st.Bucket, aws.ToString(in.Prefix))
		}
		p, err := pages.NextPage(ctx)
		if err != nil {
			return nil, s3Table.Wrap(Kind, "ListObjectsV2", r, err)
		}
		for _, o := range p.Contents {
			if over = end != "" && aws.ToString(o.Key) >= end; over {
				break
			}
			if st.named(aws.ToString(o.Key)) {
				files = append(files, fileOf(o))
			}
		}
	}
	return files, nil
}

// named reports whether a key is one of those that an export of this name makes. One of a longer name is not: nightly-2-0001.rdb does not
// belong to nightly.
func (st state) named(key string) bool {
	if st.Less {
		return st.namedServerless(key)
	}
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

// unlisted are the files of an export that its shards do not name, without the manifest.
func (st state) unlisted(files []file) []file {
	return slices.DeleteFunc(slices.Clone(files), func(f file) bool {
		for i := range st.Shards {
			if strings.EqualFold(f.key, st.key(i)) {
				return true
			}
		}
		return f.key == s3export.ManifestKey(st.Name)
	})
}

// digest tells two listings of the same files apart.
func digest(files []file) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%q %q %d %d\n", f.key, f.tag, f.size, f.at.UnixNano())
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
