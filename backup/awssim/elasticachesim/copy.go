package elasticachesim

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

const copyMedian = 90 * time.Second

// copySnapshot copies within the account and Region, or, with a TargetBucket, exports to S3.
func (s *ElastiCache) copySnapshot(r *awssim.Request, in *awselasticache.CopySnapshotInput) (*awselasticache.CopySnapshotOutput, error) {
	p := s.at(r)
	from, ok := p.snapshots.live(lower(in.SourceSnapshotName), r.Now)
	if !ok {
		return nil, noSnapshot(in.SourceSnapshotName)
	}
	if aws.ToString(in.TargetBucket) != "" {
		return s.export(r, from, in)
	}
	name := lower(in.TargetSnapshotName)
	if err := checkName("TargetSnapshotName", name, 40); err != nil {
		return nil, err
	}
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	if err := checkKey(r, aws.ToString(in.KmsKeyId)); err != nil {
		return nil, err
	}
	if _, taken := p.snapshots.live(name, r.Now); taken {
		return nil, awssim.Fail("SnapshotAlreadyExistsFault", "Snapshot with specified name already exists: %s", name)
	}
	if err := from.copyable(r); err != nil {
		return nil, err
	}
	took := r.Took("copy-snapshot/"+r.Account+"/"+r.Region+"/"+name, copyMedian, spread)
	to := &snapshot{
		life:   life{made: r.Now, lag: r.Lag(), ready: r.Now.Add(took), doomed: r.Doomed, tags: []tagging{{r.Now, tags}}},
		config: from.config, name: name, arn: r.ARN("elasticache", "snapshot:"+name), kms: from.kms,
		cluster: from.cluster, group: from.group, description: from.description, failover: from.failover,
		sourceMade: from.sourceMade, zone: from.zone, parts: slices.Clone(from.parts), taken: from.taken,
	}
	if key := aws.ToString(in.KmsKeyId); key != "" {
		to.kms = key
	}
	from.copies = append(from.copies, span{r.Now, to.ready})
	if to.cluster != "" {
		p.byCluster[to.cluster] = listed(p.byCluster[to.cluster], name)
	} else {
		p.byGroup[to.group] = listed(p.byGroup[to.group], name)
	}
	p.snapshots.add(name, to)
	o := to.describe(r, true)
	return &awselasticache.CopySnapshotOutput{Snapshot: &o}, nil
}

// copyable refuses what is not available: one copy or export of a snapshot at a time.
func (s *snapshot) copyable(r *awssim.Request) error {
	if status := s.status(r.Now); status != "available" {
		return awssim.Fail("InvalidSnapshotState", "Snapshot %s is not in a state in which it can be copied: its status is %s.", s.name, status)
	}
	return nil
}
