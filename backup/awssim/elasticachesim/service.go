package elasticachesim

import (
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// ElastiCache is the simulated service. Make it with Service; one value belongs to one World.
type ElastiCache struct {
	places        map[place]*regional
	snapshotQuota int
	nodeQuota     int
	groupQuota    int
	empty         bool
}

// Service makes a simulated ElastiCache for awssim.New.
func Service() *ElastiCache {
	return &ElastiCache{places: map[place]*regional{}, snapshotQuota: 20, nodeQuota: 300, groupQuota: 90}
}

// Definition describes the service to its World; awssim.New calls it.
func (s *ElastiCache) Definition() awssim.Definition {
	return awssim.Definition{
		ID: "ElastiCache",
		Handlers: map[string]awssim.Handler{
			"CreateReplicationGroup":           awssim.Write(s.createReplicationGroup),
			"DescribeReplicationGroups":        awssim.Read(s.describeReplicationGroups),
			"ModifyReplicationGroup":           awssim.Write(s.modifyReplicationGroup),
			"ModifyCacheCluster":               awssim.Write(s.modifyCacheCluster),
			"DeleteReplicationGroup":           awssim.Write(s.deleteReplicationGroup),
			"CreateCacheCluster":               awssim.Write(s.createCacheCluster),
			"DescribeCacheClusters":            awssim.Read(s.describeCacheClusters),
			"DeleteCacheCluster":               awssim.Write(s.deleteCacheCluster),
			"CreateSnapshot":                   awssim.Write(s.createSnapshot),
			"DescribeSnapshots":                awssim.Read(s.describeSnapshots),
			"CopySnapshot":                     awssim.Write(s.copySnapshot),
			"DeleteSnapshot":                   awssim.Write(s.deleteSnapshot),
			"AddTagsToResource":                awssim.Write(s.addTagsToResource),
			"ListTagsForResource":              awssim.Read(s.listTagsForResource),
			"CreateServerlessCache":            awssim.Write(s.createServerlessCache),
			"DescribeServerlessCaches":         awssim.Read(s.describeServerlessCaches),
			"ModifyServerlessCache":            awssim.Write(s.modifyServerlessCache),
			"DeleteServerlessCache":            awssim.Write(s.deleteServerlessCache),
			"CreateServerlessCacheSnapshot":    awssim.Write(s.createServerlessCacheSnapshot),
			"DescribeServerlessCacheSnapshots": awssim.Read(s.describeServerlessCacheSnapshots),
			"CopyServerlessCacheSnapshot":      awssim.Write(s.copyServerlessCacheSnapshot),
			"DeleteServerlessCacheSnapshot":    awssim.Write(s.deleteServerlessCacheSnapshot),
			"ExportServerlessCacheSnapshot":    awssim.Write(s.exportServerlessCacheSnapshot),
			"CreateCacheSubnetGroup":           awssim.Write(s.createCacheSubnetGroup),
			"DescribeCacheSubnetGroups":        awssim.Read(s.describeCacheSubnetGroups),
		},
		Bucket:    func(string, any) awssim.Bucket { return awssim.Bucket{Name: "requests", Capacity: 20, Refill: 5} },
		Throttled: awssim.Error{Code: "Throttling", Message: "Rate exceeded"},
		Typed:     typed,
	}
}

// place is where state lives: nothing of one account or Region is seen in another.
type place struct{ account, region string }

// regional is the state of one place. What has gone stays, as a tombstone that stale reads still see.
type regional struct {
	groups    *history[*group]
	clusters  *history[*cluster]
	snapshots *history[*snapshot]
	// byCluster and byGroup hold the names of the snapshots that were ever taken of a source.
	byCluster, byGroup  map[string]*index
	subnetGroups        *history[*subnetGroup]
	parameterGroups     map[string]bool
	nodes               int
	serverless          *history[*serverless]
	serverlessSnapshots *history[*serverlessSnapshot]
}

func (s *ElastiCache) at(r *awssim.Request) *regional {
	k := place{r.Account, r.Region}
	p, ok := s.places[k]
	if !ok {
		p = &regional{
			groups: newHistory[*group](), clusters: newHistory[*cluster](), snapshots: newHistory[*snapshot](),
			byCluster: map[string]*index{}, byGroup: map[string]*index{},
			subnetGroups: newHistory[*subnetGroup](), parameterGroups: map[string]bool{},
			serverless: newHistory[*serverless](), serverlessSnapshots: newHistory[*serverlessSnapshot](),
		}
		p.subnetGroups.add("default", &subnetGroup{name: "default", description: "Default CacheSubnetGroup",
			vpc: "vpc-0default", subnets: []string{"subnet-0a", "subnet-0b", "subnet-0c"}})
		s.places[k] = p
	}
	return p
}

// SetSnapshotQuota sets how many manual snapshots a node may have in 24 hours; AWS's figure and the default is 20.
func (s *ElastiCache) SetSnapshotQuota(w *awssim.World, n int) {
	w.Do("", "", func(*awssim.Request) { s.snapshotQuota = n })
}

// SetNodeQuota sets how many nodes an account may have in a Region; AWS's figure and the default is 300.
func (s *ElastiCache) SetNodeQuota(w *awssim.World, n int) {
	w.Do("", "", func(*awssim.Request) { s.nodeQuota = n })
}

// SetGroupQuota sets how many nodes a replication group may have; AWS's figure and the default is 90, and it raises it to 500 at most.
func (s *ElastiCache) SetGroupQuota(w *awssim.World, n int) {
	w.Do("", "", func(*awssim.Request) { s.groupQuota = n })
}

// EmptyWhenMissing makes DescribeSnapshots answer a name that does not exist with an empty list instead of SnapshotNotFoundFault. Both were
// reported of AWS, so whoever calls it must be ready for both.
func (s *ElastiCache) EmptyWhenMissing(w *awssim.World, on bool) {
	w.Do("", "", func(*awssim.Request) { s.empty = on })
}
