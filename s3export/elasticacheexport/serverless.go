package elasticacheexport

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export"
)

// serverless tells whether a Ref is of a serverless cache or of a snapshot of one.
func serverless(r backup.Ref) bool {
	return r.Type == elasticache.TypeServerless || r.Type == elasticache.TypeServerlessSnapshot
}

// serverlessSnapshot gives the snapshot of a serverless cache that is exported, or nil if it can not be seen, as what this package knows of others:
// the cache stands where the cluster does.
func (s *Strategy) serverlessSnapshot(ctx context.Context, c Clients, r backup.Ref) (*ectypes.Snapshot, error) {
	out, err := c.ElastiCache.DescribeServerlessCacheSnapshots(ctx, &awselasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheSnapshotName: &r.ID})
	if err != nil {
		e := cacheTable.Wrap(Kind, "DescribeServerlessCacheSnapshots", r, err)
		if errors.Is(e, backup.ErrNotFound) {
			return nil, nil
		}
		return nil, e
	}
	for _, x := range out.ServerlessCacheSnapshots {
		if !strings.EqualFold(aws.ToString(x.ServerlessCacheSnapshotName), r.ID) {
			continue
		}
		y := &ectypes.Snapshot{SnapshotName: x.ServerlessCacheSnapshotName, SnapshotStatus: x.Status, KmsKeyId: x.KmsKeyId,
			NodeSnapshots: []ectypes.NodeSnapshot{{SnapshotCreateTime: x.CreateTime, CacheSize: x.BytesUsedForCache}}}
		if of := x.ServerlessCacheConfiguration; of != nil {
			y.CacheClusterId, y.Engine, y.EngineVersion = of.ServerlessCacheName, of.Engine, of.MajorEngineVersion
		}
		return y, nil
	}
	return nil, nil
}

// neverExported tells why no snapshot of a serverless cache can be exported; nil where nothing is known against it. One that is not there is for the
// backup to tell of.
func (s *Strategy) neverExported(ctx context.Context, c Clients, r backup.Ref) (never, err error) {
	out, err := c.ElastiCache.DescribeServerlessCaches(ctx, &awselasticache.DescribeServerlessCachesInput{ServerlessCacheName: &r.ID})
	if err != nil {
		e := cacheTable.Wrap(Kind, "DescribeServerlessCaches", r, err)
		if errors.Is(e, backup.ErrNotFound) {
			return nil, nil
		}
		return nil, e
	}
	for _, x := range out.ServerlessCaches {
		if strings.EqualFold(aws.ToString(x.ServerlessCacheName), r.ID) {
			return exportable(r, &ectypes.Snapshot{Engine: x.Engine}), nil
		}
	}
	return nil, nil
}

// call is the one that asks for the export.
func (st state) call() string {
	if st.Less {
		return "ExportServerlessCacheSnapshot"
	}
	return "CopySnapshot"
}

// ask asks for the export. Of a serverless cache AWS takes no name for the files.
func (s *Strategy) ask(ctx context.Context, c Clients, r backup.Ref, st state) (err error) {
	if st.Less {
		_, err = c.ElastiCache.ExportServerlessCacheSnapshot(ctx, &awselasticache.ExportServerlessCacheSnapshotInput{
			ServerlessCacheSnapshotName: aws.String(st.point(r).ID), S3BucketName: &st.Bucket,
		}, s.sending)
		return err
	}
	_, err = c.ElastiCache.CopySnapshot(ctx, &awselasticache.CopySnapshotInput{
		SourceSnapshotName: aws.String(st.point(r).ID), TargetSnapshotName: &st.Name, TargetBucket: &st.Bucket,
	}, s.sending)
	return err
}

// listServerless is list for the files of a serverless cache, whose keys are not documented. Where the name proves that what begins with it is of
// this snapshot, all of it is listed. Otherwise it is what no snapshot of a longer name can have: nightly-0001.rdb and nightly.rdb, but not
// nightly-2-0001.rdb.
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

// strangers are objects that begin with the name of the snapshot and are younger than the Operation, in a form that proves nothing.
func (s *Strategy) strangers(ctx context.Context, c Clients, op backup.Operation, st state) (keys []string, err error) {
	out, err := c.S3.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: &st.Bucket, Prefix: &st.Name, ExpectedBucketOwner: &op.Ref.Account})
	if err != nil {
		return nil, s3Table.Wrap(Kind, "ListObjectsV2", op.Ref, err)
	}
	for _, o := range out.Contents {
		if key := aws.ToString(o.Key); key != s3export.ManifestKey(st.Name) && !aws.ToTime(o.LastModified).Before(op.Started.Add(-clockSkew)) {
			keys = append(keys, key)
		}
	}
	return keys, nil
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
			if st.named(aws.ToString(u.Key)) && !aws.ToTime(u.Initiated).Before(op.Started.Add(-clockSkew)) {
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

// namedServerless is named for the files of a serverless cache.
func (st state) namedServerless(key string) bool {
	n := len(st.Name)
	if len(key) <= n || !strings.EqualFold(key[:n], st.Name) || key == s3export.ManifestKey(st.Name) {
		return false
	}
	_, numbered := number(key[n:])
	return st.unique() || numbered || strings.EqualFold(key[n:], ".rdb")
}

// unique tells that nothing else has a name that begins so: this Operation made it up, or package elasticache did for the snapshot.
func (st state) unique() bool {
	rest, made := strings.CutPrefix(st.Name, "sw-")
	return st.Own || st.Less && made && len(rest) == 26 && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// known tells that files of the name are of this snapshot, whoever asked for them: nobody chose the name. It is so for automatic snapshots too, the
// names of which no caller can give to a snapshot.
func (st state) known() bool {
	return st.unique() || st.Less && policy.IsAutomaticCacheSnapshotName(st.Name)
}

// number gives the digits of "-0001.rdb".
func number(rest string) (string, bool) {
	id, ok := strings.CutSuffix(strings.ToLower(rest), ".rdb")
	if !ok || len(id) < 2 || id[0] != '-' || strings.Trim(id[1:], "0123456789") != "" {
		return "", false
	}
	return id[1:], true
}
