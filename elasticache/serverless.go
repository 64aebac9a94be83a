package elasticache

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// Serverless names a serverless cache, in lower case.
func Serverless(account, region, name string) backup.Ref {
	return backup.Ref{Type: TypeServerless, Account: account, Region: region, ID: policy.CanonicalName(name)}
}

// ServerlessSnapshot names a snapshot of a serverless cache, in lower case. Such snapshots have names of their own: a snapshot of a cluster may have
// the same.
func ServerlessSnapshot(account, region, name string) backup.Ref {
	return backup.Ref{Type: TypeServerlessSnapshot, Account: account, Region: region, ID: policy.CanonicalName(name)}
}

// serverless tells whether a Ref is of the serverless kind.
func serverless(r backup.Ref) bool {
	return r.Type == TypeServerless || r.Type == TypeServerlessSnapshot
}

// pointOf is the snapshot of a name that work on r makes or concerns.
func pointOf(r backup.Ref, name string) backup.Ref {
	if serverless(r) {
		return ServerlessSnapshot(r.Account, r.Region, name)
	}
	return Snapshot(r.Account, r.Region, name)
}

// In ARNs. Source: Service authorization reference, "Amazon ElastiCache", resource types.
const (
	arnServerless         = "serverlesscache"
	arnServerlessSnapshot = "serverlesscachesnapshot"
)

// ofServerless tells by its ARN whether a snapshot is one of a serverless cache.
func ofServerless(x *ectypes.Snapshot) bool {
	return strings.Contains(aws.ToString(x.ARN), ":serverless")
}

// common makes what the package knows of a snapshot of that of a serverless cache: the cache stands where the cluster does, and there is one part.
func common(r backup.Ref, s *ectypes.ServerlessCacheSnapshot) *ectypes.Snapshot {
	x := &ectypes.Snapshot{ARN: aws.String(arn(s.ARN, r, arnServerlessSnapshot, aws.ToString(s.ServerlessCacheSnapshotName))), SnapshotName: s.ServerlessCacheSnapshotName,
		SnapshotStatus: s.Status, SnapshotSource: s.SnapshotType, KmsKeyId: s.KmsKeyId}
	if c := s.ServerlessCacheConfiguration; c != nil {
		x.CacheClusterId, x.Engine, x.EngineVersion = c.ServerlessCacheName, c.Engine, c.MajorEngineVersion
	}
	part := ectypes.NodeSnapshot{SnapshotCreateTime: s.CreateTime}
	if n := aws.ToString(s.BytesUsedForCache); n != "" {
		part.CacheSize = aws.String(n + " bytes")
	}
	x.NodeSnapshots = []ectypes.NodeSnapshot{part}
	return x
}

// serverlessSnapshot gives the snapshot of a serverless cache with a name, nil if none is visible.
func (s *Strategy) serverlessSnapshot(ctx context.Context, c *awselasticache.Client, r backup.Ref, name string) (*ectypes.Snapshot, error) {
	out, err := c.DescribeServerlessCacheSnapshots(ctx, &awselasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheSnapshotName: &name})
	if err != nil {
		if table.Classify(err).Code == backup.ErrNotFound {
			return nil, nil
		}
		return nil, table.Wrap(Kind, "DescribeServerlessCacheSnapshots", r, err)
	}
	for i := range out.ServerlessCacheSnapshots {
		if x := &out.ServerlessCacheSnapshots[i]; policy.CanonicalName(aws.ToString(x.ServerlessCacheSnapshotName)) == name {
			return common(r, x), here(r, x.ARN)
		}
	}
	return nil, nil
}

// serverlessCache gives the serverless cache with a name, nil if none is visible.
func (s *Strategy) serverlessCache(ctx context.Context, c *awselasticache.Client, r backup.Ref, name string) (*ectypes.ServerlessCache, error) {
	out, err := c.DescribeServerlessCaches(ctx, &awselasticache.DescribeServerlessCachesInput{ServerlessCacheName: &name})
	if err != nil {
		if table.Classify(err).Code == backup.ErrNotFound {
			return nil, nil
		}
		return nil, table.Wrap(Kind, "DescribeServerlessCaches", r, err)
	}
	for i := range out.ServerlessCaches {
		if x := &out.ServerlessCaches[i]; policy.CanonicalName(aws.ToString(x.ServerlessCacheName)) == name {
			return x, here(r, x.ARN)
		}
	}
	return nil, nil
}

// serverlessTarget looks at a serverless cache that is to be backed up.
func (s *Strategy) serverlessTarget(ctx context.Context, c *awselasticache.Client, r backup.Ref) (target, error) {
	x, err := s.serverlessCache(ctx, c, r, r.ID)
	if err != nil {
		return target{}, err
	}
	if x == nil {
		return target{}, refused(r, "DescribeServerlessCaches", backup.ErrNotFound, "check the name, the account and the Region", "no such serverless cache")
	}
	t := target{cluster: r.ID, arn: arn(x.ARN, r, arnServerless, r.ID)}
	switch status := word(x.Status); status {
	case "available":
	case "deleting":
		return target{}, refused(r, "backup", backup.ErrNotFound, "ask for a final snapshot when deleting a serverless cache", "the serverless cache is being deleted")
	case "create-failed":
		return target{}, refused(r, "backup", backup.ErrUnsupported, "delete the serverless cache and create it again", "the serverless cache could not be created and has no data")
	default:
		t.notYet, t.findings = "the serverless cache is "+status, unknownStatus(r, status, serverlessStatuses)
	}
	return t, nil
}

// serverlessStatuses are those of something busy. Source: the SDK's type ServerlessCache, which writes them in capital letters.
var serverlessStatuses = []string{"creating", "modifying"}

// createServerlessSnapshot asks for the snapshot.
func (s *Strategy) createServerlessSnapshot(ctx context.Context, c *awselasticache.Client, op backup.Operation, st backupState) (*ectypes.Snapshot, error) {
	out, err := c.CreateServerlessCacheSnapshot(ctx, &awselasticache.CreateServerlessCacheSnapshotInput{ServerlessCacheName: &st.Cluster, ServerlessCacheSnapshotName: &st.Name,
		KmsKeyId: text(st.KMSKeyID), Tags: tagList(op.OwnTags(op.Ref))}, s.sending)
	if err != nil || out.ServerlessCacheSnapshot == nil {
		return nil, err
	}
	return common(op.Ref, out.ServerlessCacheSnapshot), nil
}

// copyServerlessSnapshot asks for the copy.
func (s *Strategy) copyServerlessSnapshot(ctx context.Context, c *awselasticache.Client, op backup.Operation, st backupState) (*ectypes.Snapshot, error) {
	out, err := c.CopyServerlessCacheSnapshot(ctx, &awselasticache.CopyServerlessCacheSnapshotInput{SourceServerlessCacheSnapshotName: &op.Ref.ID,
		TargetServerlessCacheSnapshotName: &st.Name, KmsKeyId: text(st.KMSKeyID), Tags: tagList(st.copyTags(op))}, s.sending)
	if err != nil || out.ServerlessCacheSnapshot == nil {
		return nil, err
	}
	return common(op.Ref, out.ServerlessCacheSnapshot), nil
}
