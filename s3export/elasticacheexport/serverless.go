package elasticacheexport

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
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
