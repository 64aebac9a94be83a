package elasticacheexport

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/s3export"
)

// listServerless is list for the files of a serverless cache, whose keys are not documented. Where the name proves that what begins with it is of
// this snapshot, all of it is listed. Otherwise it is nightly-0001.rdb and nightly.rdb, but not nightly-2-0001.rdb or nightly-20261120.rdb, which
// may be of snapshots with a longer name.
func (s *Strategy) listServerless(ctx context.Context, c Clients, r backup.Ref, st state) ([]file, error) {
	if st.unique() {
		return s.listed(ctx, c, r, st, &awss3.ListObjectsV2Input{Prefix: &st.Name}, "")
	}
	numbered, err := s.listed(ctx, c, r, st, st.numbered(), st.Name+"-:")
	if err != nil {
		return nil, err
	}
	// Of the keys that begin with it, it is the first itself.
	plain, err := s.listed(ctx, c, r, st, &awss3.ListObjectsV2Input{Prefix: aws.String(st.Name + ".rdb"), MaxKeys: aws.Int32(1)}, st.Name+".rdb\x00")
	return append(numbered, plain...), err
}

// strangers are objects that begin with the name of the snapshot and are as young as the export, in a form that proves nothing. Where the name
// itself proves whose they are, there are none. Of a bucket with very many such objects not all are looked at, which more tells.
func (s *Strategy) strangers(ctx context.Context, c Clients, op backup.Operation, st state) (keys []string, more bool, err error) {
	if st.unique() {
		return nil, false, nil
	}
	pages := awss3.NewListObjectsV2Paginator(c.S3, &awss3.ListObjectsV2Input{Bucket: &st.Bucket, Prefix: &st.Name, ExpectedBucketOwner: &op.Ref.Account})
	for n := 0; pages.HasMorePages(); n++ {
		if n == maxPages {
			return keys, true, nil
		}
		p, err := pages.NextPage(ctx)
		if err != nil {
			return nil, false, s3Table.Wrap(Kind, "ListObjectsV2", op.Ref, err)
		}
		for _, o := range p.Contents {
			key := aws.ToString(o.Key)
			if key != s3export.ManifestKey(st.Name) && !st.named(key) && !aws.ToTime(o.LastModified).Before(st.first(op)) {
				keys = append(keys, key)
			}
		}
	}
	return keys, false, nil
}

// unfinished tells whether an upload is under way whose key would be a file of this export. ElastiCache asks for the rights of such uploads, so that
// it makes large files by them. Older ones, that were left by somebody, do not count. Source: ElastiCache User Guide, "Exporting a backup", the
// bucket's policy.
func (s *Strategy) unfinished(ctx context.Context, c Clients, op backup.Operation, st state) (bool, error) {
	in := &awss3.ListMultipartUploadsInput{Bucket: &st.Bucket, Prefix: &st.Name, ExpectedBucketOwner: &op.Ref.Account}
	for range maxPages {
		out, err := c.S3.ListMultipartUploads(ctx, in)
		if err != nil {
			v := s3Table.Classify(err)
			if v.Code == backup.ErrDenied {
				v.Hint = "allow the caller s3:ListBucketMultipartUploads on the bucket: of a serverless cache nothing else tells a file that is still being written"
			}
			return false, v.Error(Kind, "ListMultipartUploads", op.Ref, err)
		}
		for _, u := range out.Uploads {
			if st.named(aws.ToString(u.Key)) && !aws.ToTime(u.Initiated).Before(st.first(op)) {
				return true, nil
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			return false, nil
		}
		in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
	}
	return false, failure(op, "ListMultipartUploads", backup.ErrConflict, "end the uploads that nobody carries on", "the bucket %s has more unfinished uploads that begin with %s than any export makes", st.Bucket, st.Name)
}

// first is the earliest time that a file of this export can have, or an upload of one. A name of somebody's choice may have been in use before. One
// that is made of the Operation's ID proves that what has it is of this Operation, perhaps of an earlier run, and it need only be as young as the data.
func (st state) first(op backup.Operation) time.Time {
	if st.Own {
		return st.Taken
	}
	return op.Started.Add(-clockSkew)
}

// namedServerless is named for the files of a serverless cache.
func (st state) namedServerless(key string) bool {
	n := len(st.Name)
	if len(key) <= n || !strings.EqualFold(key[:n], st.Name) || key == s3export.ManifestKey(st.Name) {
		return false
	}
	if st.unique() {
		return true
	}
	id, _ := number(key[n:])
	return len(id) == 4 || strings.EqualFold(key[n:], ".rdb")
}

// elsewhere reports whether a key that begins with the name reads as one of an export of a longer name: nightly-2-0001.rdb, nightly-20261120.rdb or
// nightly-2.manifest.json. What goes on behind the number of a file that is there, as nightly-0001-part-2.rdb, does not.
func (st state) elsewhere(key string, files []file) bool {
	key = strings.ToLower(key)
	longer, ok := strings.CutSuffix(key, ".rdb")
	if !ok {
		longer, ok = strings.CutSuffix(key, s3export.ManifestKey(""))
	}
	longer = longer[min(len(st.Name), len(longer)):]
	if !ok || longer == "" || strings.Trim(longer, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return false
	}
	return !slices.ContainsFunc(files, func(f file) bool {
		rest := f.key[len(st.Name):]
		id, numbered := number(rest)
		return numbered && strings.HasPrefix(longer, "-"+id)
	})
}

// unique tells that nothing else has a name that begins so: this Operation made it up, or package elasticache did for the snapshot. Then files of the
// name are of this snapshot, whoever asked for them. An automatic snapshot's name is chosen by nobody, but an export of nodes can have it.
func (st state) unique() bool {
	rest, made := strings.CutPrefix(st.Name, "sw-")
	return st.Own || st.Less && made && len(rest) == 26 && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// number gives the digits of "-0001.rdb".
func number(rest string) (string, bool) {
	id, ok := strings.CutSuffix(strings.ToLower(rest), ".rdb")
	if !ok || len(id) < 2 || id[0] != '-' || strings.Trim(id[1:], "0123456789") != "" {
		return "", false
	}
	return id[1:], true
}
