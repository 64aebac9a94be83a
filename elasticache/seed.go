package elasticache

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export"
)

// seed is what a new group or cluster is filled from: the files of an export. Keys and slots are kept short, because an Operation is small.
type seed struct {
	// ARN is what the ARNs of all files begin with, and Ends how each goes on.
	ARN  string   `json:"a"`
	Ends []string `json:"e"`
	// Slots are the ranges of the new node groups, empty without cluster mode.
	Slots []string `json:"s,omitempty"`
}

// seedHint says what is usually missing where AWS refuses to seed: it tells the reasons apart by words that are not documented.
const seedHint = "check that ElastiCache may read the bucket (elasticacheexport.PrepareOptions.Seed lets it in), that the bucket is in the new cluster's Region, and that the files are encrypted with SSE-S3"

// StartSeed makes the Operation that creates a new replication group or single cluster in point's Region and fills it from the files of an
// export: what StartRestore does with a snapshot. point is the export, or its copy in another Region, as Points listed it; m is its manifest,
// which says what files there are and which slots each holds. Spec.Options must be RestoreOptions, with a NodeType beside what StartRestore
// needs, because an export does not tell the source's.
//
// An export with cluster mode enabled becomes a group of as many node groups, with the slots that the files have; RestoreOptions.NodeGroups may
// ask for another number, over which the slots are then spread evenly. One without becomes a single cluster or a group, and with cluster mode only
// if the data is all in database 0, which neither the manifest nor AWS tells beforehand. ElastiCache must be let into the bucket: see
// policy.SeedStatement.
//
// That the files are still those of the manifest is not looked at: package elasticache has no S3 client. Open of package elasticacheexport reads and
// checks each; a copy was checked when it was made.
//
// An export of a serverless cache seeds as long as it is one file; which slots each of several holds is not known, and they are refused with
// ErrUnsupported (s3export.Manifest.Seedable). Such an export tells the major version alone, "8", and that is what is sent if
// RestoreOptions.EngineVersion is empty. AWS takes the versions that DescribeCacheEngineVersions lists; whether it takes a major alone is not documented
// (UNVERIFIED; awssim takes any), so that one with a minor, such as "8.0", is the safer choice.
//
// What ElastiCache finds wrong with a file while it reads shows as the status restore-failed, and ends the work in PhaseFailed.
//
// Source: ElastiCache User Guide, "Seeding a new cluster with an externally created backup"; ElastiCache API, CreateReplicationGroup.
func (s *Strategy) StartSeed(_ context.Context, point backup.Ref, m s3export.Manifest, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionRestore, point, spec, s3export.TypeElastiCache)
	if err != nil {
		return backup.Operation{}, err
	}
	bad := func(hint, format string, args ...any) (backup.Operation, error) {
		return backup.Operation{}, invalid(op.Action, point, hint, format, args...)
	}
	if err := m.Validate(); err != nil {
		return backup.Operation{}, err
	}
	if err := m.Seedable(); err != nil {
		return backup.Operation{}, err
	}
	op.Bind(m)
	bucket, key, _ := strings.Cut(point.ID, "/")
	if key != s3export.ManifestKey(m.Name) || policy.ValidateBucketName(bucket) != nil {
		return bad("take point and manifest of the same export", "the manifest is that of the export %s, and the point is %s", m.Name, point)
	}
	if strings.Contains(m.Name, ",") {
		return bad("copy the files to keys without one", "ElastiCache seeds from no object with a comma in its key")
	}
	o, ok := spec.Options.(RestoreOptions)
	if !ok {
		return bad("set Spec.Options to elasticache.RestoreOptions with an ID, SecurityGroups and a NodeType", "options of type %T", spec.Options)
	}
	o.ID, o.NodeType, o.SubnetGroup, o.Engine = policy.CanonicalName(o.ID), policy.CanonicalName(o.NodeType), policy.CanonicalName(o.SubnetGroup), policy.CanonicalName(o.Engine)
	if o.NodeType == "" {
		return bad("set RestoreOptions.NodeType", "an export does not tell what nodes its source had")
	}
	if spec.Name != "" && policy.CanonicalName(spec.Name) != o.ID {
		return bad("leave Spec.Name empty", "Spec.Name %q is not RestoreOptions.ID %q", spec.Name, o.ID)
	}
	if err := s.validTarget(point, o); err != nil {
		return backup.Operation{}, err
	}
	if o, err = o.settle(point, exported(m), nil); err != nil {
		return backup.Operation{}, err
	}
	if o.Description == "" {
		o.Description = "seeded from the export in " + bucket
	}
	files, err := seedOf(point, m, o)
	if err != nil {
		return backup.Operation{}, err
	}
	op.Stage = stageLook
	return op, op.SetState(restoreState{Options: o, Settled: true, Seed: files})
}

// exported describes an export as if it were a snapshot, as far as the options of a restore depend on it.
func exported(m s3export.Manifest) *ectypes.Snapshot {
	x := &ectypes.Snapshot{Engine: &m.Engine, EngineVersion: &m.EngineVersion, NumNodeGroups: aws.Int32(int32(len(m.Shards)))}
	if m.ClusterMode {
		// Which group it was may not be known any more; that it was one decides.
		x.ReplicationGroupId = aws.String("group")
	} else {
		x.CacheClusterId = aws.String("cluster")
	}
	return x
}

func seedOf(point backup.Ref, m s3export.Manifest, o RestoreOptions) (*seed, error) {
	p, err := policy.PartitionOf(point.Region)
	if err != nil {
		return nil, invalid(backup.ActionRestore, point, "name the Region as AWS does", "%w", err)
	}
	bucket, _, _ := strings.Cut(point.ID, "/")
	common := m.Shards[0].Key
	for _, x := range m.Shards {
		for !strings.HasPrefix(x.Key, common) {
			common = common[:len(common)-1]
		}
	}
	f := &seed{ARN: "arn:" + p.ID + ":s3:::" + bucket + "/" + common}
	for _, x := range m.Shards {
		f.Ends = append(f.Ends, x.Key[len(common):])
	}
	if o.As == AsCluster || !aws.ToBool(o.ClusterMode) {
		return f, nil
	}
	if n := int(o.NodeGroups); m.ClusterMode && n == len(m.Shards) {
		for _, x := range m.Shards {
			f.Slots = append(f.Slots, string(x.Slots))
		}
	} else {
		for i := range n {
			f.Slots = append(f.Slots, fmt.Sprintf("%d-%d", i*s3export.SlotCount/n, (i+1)*s3export.SlotCount/n-1))
		}
	}
	return f, nil
}

func (f *seed) arns() (all []string) {
	for _, end := range f.Ends {
		all = append(all, f.ARN+end)
	}
	return all
}

// cluster makes the call for a new cluster one that seeds it; a nil seed leaves it as it is.
func (f *seed) cluster(in *awselasticache.CreateCacheClusterInput) *awselasticache.CreateCacheClusterInput {
	if f != nil {
		in.SnapshotName, in.SnapshotArns = nil, f.arns()
	}
	return in
}

// group does the same for a new group. With cluster mode, AWS wants the slots of every node group. Source: ElastiCache API, CreateReplicationGroup.
func (f *seed) group(in *awselasticache.CreateReplicationGroupInput) *awselasticache.CreateReplicationGroupInput {
	if f == nil {
		return in
	}
	in.SnapshotName, in.SnapshotArns = nil, f.arns()
	for _, s := range f.Slots {
		in.NodeGroupConfiguration = append(in.NodeGroupConfiguration, ectypes.NodeGroupConfiguration{Slots: &s, ReplicaCount: in.ReplicasPerNodeGroup})
	}
	if len(f.Slots) > 0 {
		in.ReplicasPerNodeGroup = nil
	}
	return in
}
