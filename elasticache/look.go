package elasticache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// clockSkew is how much this machine's clock and AWS's may differ without harm.
const clockSkew = 5 * time.Minute

// snapshot gives the snapshot with a name, nil if none is visible: AWS answers a missing name with a fault or with an empty list.
func (s *Strategy) snapshot(ctx context.Context, c *awselasticache.Client, r backup.Ref, name string) (*ectypes.Snapshot, error) {
	if serverless(r) {
		return s.serverlessSnapshot(ctx, c, r, name)
	}
	out, err := c.DescribeSnapshots(ctx, &awselasticache.DescribeSnapshotsInput{SnapshotName: &name})
	if err != nil {
		if table.Classify(err).Code == backup.ErrNotFound {
			return nil, nil
		}
		return nil, table.Wrap(Kind, "DescribeSnapshots", r, err)
	}
	for i := range out.Snapshots {
		if policy.CanonicalName(aws.ToString(out.Snapshots[i].SnapshotName)) == name {
			return &out.Snapshots[i], here(r, out.Snapshots[i].ARN)
		}
	}
	return nil, nil
}

// group gives the replication group with an id, nil if none is visible.
func (s *Strategy) group(ctx context.Context, c *awselasticache.Client, r backup.Ref, id string) (*ectypes.ReplicationGroup, error) {
	out, err := c.DescribeReplicationGroups(ctx, &awselasticache.DescribeReplicationGroupsInput{ReplicationGroupId: &id})
	if err != nil {
		if table.Classify(err).Code == backup.ErrNotFound {
			return nil, nil
		}
		return nil, table.Wrap(Kind, "DescribeReplicationGroups", r, err)
	}
	for i := range out.ReplicationGroups {
		if policy.CanonicalName(aws.ToString(out.ReplicationGroups[i].ReplicationGroupId)) == id {
			return &out.ReplicationGroups[i], here(r, out.ReplicationGroups[i].ARN)
		}
	}
	return nil, nil
}

// cluster gives the cache cluster with an id and its nodes, nil if none is visible.
func (s *Strategy) cluster(ctx context.Context, c *awselasticache.Client, r backup.Ref, id string) (*ectypes.CacheCluster, error) {
	out, err := c.DescribeCacheClusters(ctx, &awselasticache.DescribeCacheClustersInput{CacheClusterId: &id, ShowCacheNodeInfo: aws.Bool(true)})
	if err != nil {
		if table.Classify(err).Code == backup.ErrNotFound {
			return nil, nil
		}
		return nil, table.Wrap(Kind, "DescribeCacheClusters", r, err)
	}
	for i := range out.CacheClusters {
		if policy.CanonicalName(aws.ToString(out.CacheClusters[i].CacheClusterId)) == id {
			return &out.CacheClusters[i], here(r, out.CacheClusters[i].ARN)
		}
	}
	return nil, nil
}

// elsewhereError is the cause of an error about something that is not where it was looked for.
type elsewhereError struct{ arn string }

func (e *elsewhereError) Error() string {
	return strconv.Quote(e.arn) + " was found, which is in another account or Region"
}

// here refuses what is in another account or Region than r: the client's credentials are not those that the caller believes them to be. A
// service that gives no ARN is believed.
func here(r backup.Ref, given *string) error {
	text := aws.ToString(given)
	if text == "" {
		return nil
	}
	if a, err := policy.ParseARN(text); err == nil && a.Account == r.Account && a.Region == r.Region {
		return nil
	}
	return &backup.Error{Op: "look", Kind: Kind, Ref: r, Code: backup.ErrInvalid, Err: &elsewhereError{text},
		Hint: "give the Strategy credentials of that account, and a client of that Region"}
}

// misplaced ends an Operation that has never been ready to send anything with an error of here. Any other error, and any other Operation, is
// left as it is: something may be in flight, and the credentials can be mended.
func misplaced(op backup.Operation, idle bool, err error) (backup.Operation, error) {
	var e *elsewhereError
	if idle && errors.As(err, &e) {
		op.Fail(err)
		return op, nil
	}
	return op, err
}

// tags gives the tags of what an ARN names, and whether they could be read. ElastiCache also answers "not found" for something that is there
// but not available yet, so that no tags is an answer and not found is none.
func (s *Strategy) tags(ctx context.Context, c *awselasticache.Client, r backup.Ref, arn string, optFns ...func(*awselasticache.Options)) (map[string]string, bool, error) {
	out, err := c.ListTagsForResource(ctx, &awselasticache.ListTagsForResourceInput{ResourceName: &arn}, optFns...)
	if err != nil {
		v := table.Classify(err)
		switch v.AWSCode {
		case "InvalidReplicationGroupState", "SnapshotNotFoundFault", "CacheClusterNotFound", "ReplicationGroupNotFoundFault",
			"InvalidServerlessCacheStateFault", "InvalidServerlessCacheSnapshotStateFault", "ServerlessCacheNotFoundFault", "ServerlessCacheSnapshotNotFoundFault":
			return nil, false, nil
		}
		failed := v.Error(Kind, "ListTagsForResource", r, err)
		if v.Code == backup.ErrDenied {
			failed.Hint = "allow elasticache:ListTagsForResource: whose something is only its tags tell; " + v.Hint
		}
		return nil, false, failed
	}
	m := make(map[string]string, len(out.TagList))
	for _, t := range out.TagList {
		m[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return m, true, nil
}

// arn gives the ARN that AWS named, or the one that it must be.
func arn(given *string, r backup.Ref, kind, id string) string {
	if a := aws.ToString(given); a != "" {
		return a
	}
	partition, err := policy.PartitionOf(r.Region)
	if err != nil {
		partition.ID = "aws"
	}
	return "arn:" + partition.ID + ":elasticache:" + r.Region + ":" + r.Account + ":" + kind + ":" + id
}

func snapshotARN(x *ectypes.Snapshot, r backup.Ref) string {
	kind := "snapshot"
	if serverless(r) {
		kind = arnServerlessSnapshot
	}
	return arn(x.ARN, r, kind, aws.ToString(x.SnapshotName))
}

func word(s *string) string { return strings.ToLower(aws.ToString(s)) }

// created is the time of a snapshot's data: that of its youngest part. It is zero while AWS does not tell.
func created(x *ectypes.Snapshot) time.Time {
	var t time.Time
	for _, n := range x.NodeSnapshots {
		if n.SnapshotCreateTime != nil && n.SnapshotCreateTime.After(t) {
			t = *n.SnapshotCreateTime
		}
	}
	return t
}

// identity is what tells a snapshot from another that has the same name later. Names can be used again, and ElastiCache has no other id. Source
// and times never change; the token is in a tag, which somebody may change, and counts only where there are no times.
type identity struct {
	Source string `json:"s,omitempty"`
	Times  string `json:"t,omitempty"`
	Token  string `json:"k,omitempty"`
}

func identityOf(x *ectypes.Snapshot, tags map[string]string) identity {
	id := identity{Source: word(x.CacheClusterId) + "/" + word(x.ReplicationGroupId), Token: tags[backup.TagToken]}
	var times []string
	for _, n := range x.NodeSnapshots {
		if n.SnapshotCreateTime != nil {
			times = append(times, aws.ToString(n.NodeGroupId)+"@"+strconv.FormatInt(n.SnapshotCreateTime.UnixMilli(), 36))
		}
	}
	// AWS promises no order of the parts.
	slices.Sort(times)
	id.Times = strings.Join(times, " ")
	if len(id.Times) > 1024 {
		// A large group: the hash of the times does as well, and keeps the Operation small.
		id.Times = fmt.Sprintf("%x", sha256.Sum256([]byte(id.Times)))
	}
	return id
}

type likeness int

const (
	unsure likeness = iota // an older view of the same, or another that is not finished
	same
	other
)

func (id identity) compare(now identity) likeness {
	switch {
	case id.Source != now.Source:
		return other
	case id.Times != "" && now.Times != "":
		if id.Times == now.Times {
			return same
		}
		return other
	case id.Times == now.Times && id.Token == now.Token:
		return same
	}
	return unsure
}

func tagList(m map[string]string) []ectypes.Tag {
	list := make([]ectypes.Tag, 0, len(m))
	for _, k := range sortedKeys(m) {
		list = append(list, ectypes.Tag{Key: aws.String(k), Value: aws.String(m[k])})
	}
	return list
}
