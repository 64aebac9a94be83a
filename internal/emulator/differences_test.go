package emulator

import (
	"errors"
	"sync"
	"testing"

	"github.com/aws/smithy-go"
)

// difference is something that moto 5.2.1 does not do as AWS does.
type difference struct {
	// id is what scenarios ask for with world.differs.
	id string
	// operation is the call, moto and aws what each of them does, in the words that probe observes.
	operation, moto, aws string
	// test is what the tests therefore do, where they do anything.
	test string
	// probe does it and says what it saw: aws's words on the simulation, moto's on the emulator.
	probe func(w *world) string
}

// differences is the table of what moto lacks or does wrong, as far as the strategies meet it. Everything else is expected to be equal.
var differences = []difference{
	{"ec2-states", "EC2 CreateSnapshot", "completed in the answer", "pending in the answer",
		"waiting is tested on the simulation only", probeEC2States},
	{"ec2-token", "EC2 CreateVolume with a client token, twice", "two volumes", "one volume",
		"nothing: a restore looks for its volumes by tag before it makes more, and so makes three of three on moto too", probeEC2Token},
	{"ec2-pages", "EC2 DescribeSnapshots with MaxResults", "one page of 6", "a page of 5 and a token",
		"paging is tested on the simulation only", probeEC2Pages},
	{"ec2-owner", "EC2 DescribeSnapshots with OwnerIds self", "snapshots of others too", "own snapshots only",
		"nothing: the strategy asks by the filter owner-id as well", probeEC2Owner},
	{"ec2-key", "EC2 CreateSnapshot of an encrypted volume", "the snapshot names no key", "the snapshot names the volume's key",
		"keys are tested on the simulation only", probeEC2Key},
	{"ec2-malformed", "EC2 DescribeSnapshots of a malformed id", "InvalidSnapshot.NotFound", "InvalidSnapshotID.Malformed",
		"nothing: the strategy refuses malformed ids itself, and asks by filters", probeEC2Malformed},
	{"ec2-exclude", "EC2 CreateSnapshots with ExcludeDataVolumeIds", "3 snapshots of 3 volumes", "2 snapshots of 3 volumes",
		"a third member and a warning are expected on moto", probeEC2Exclude},
	{"ec2-keeps", "EC2 DescribeLockedSnapshots, DescribeFastSnapshotRestores, ListSnapshotsInRecycleBin", "0 of 3 are known", "3 of 3 are known",
		"the tests refuse on moto's behalf what it does not know, as EC2 does; a deletion takes that for no locks and no fast restores", probeEC2Keeps},
	{"ec2-copy", "EC2 CopySnapshot, the volume and the transfer type of the copy", "the volume, \"\"", "vol-ffffffff, \"standard\"",
		"on moto a copy has the time of the copying, and deleting one in another Region needs AllowForeign, for its tags do not fit its volume", probeEC2Copy},
	{"ec2-image", "EC2 CreateImage with tags for the snapshots", "InvalidAction", "accepted",
		"moto breaks in it: images are made and copied on the simulation only; on moto one that was made without is listed, looked at and deleted", probeEC2Image},
	{"ec2-image-copy", "EC2 CopyImage with tags for the image", "0 tags", "1 tags",
		"see ec2-image", probeEC2ImageCopy},
	{"rds-cluster-id", "RDS DescribeDBClusterSnapshots, DbClusterResourceId", "not told", "that of the cluster",
		"the transport writes it into moto's answers: a strategy takes no snapshot for its own that may be of another cluster", probeRDSClusterID},
	{"rds-cluster-filter", "RDS DescribeDBClusters with the filter db-cluster-resource-id", "InvalidParameterValue", "1 of 2 clusters",
		"the transport asks moto for all clusters; the strategy takes from the answer what has the id", probeRDSClusterFilter},
	{"rds-automated", "RDS DescribeDBInstanceAutomatedBackups", "no ARN, no resource id, no window", "an ARN, a resource id, a window",
		"automated backups are not believed on moto, and nothing is restored to a time: that is tested on the simulation only", probeRDSAutomated},
	{"rds-cluster-automated", "RDS DescribeDBClusterAutomatedBackups", "0 of 1 are known", "1 of 1 are known",
		"automated backups of clusters are tested on the simulation only", probeRDSClusterAutomated},
	{"rds-states", "RDS CreateDBSnapshot", "available in the answer", "creating in the answer",
		"waiting is tested on the simulation only", probeRDSStates},
	{"rds-percent", "RDS DescribeDBSnapshots, PercentProgress when available", "0 %", "100 %",
		"nothing: a finished operation is at 100 % by itself", probeRDSPercent},
	{"rds-arn", "RDS DescribeDBSnapshots by the snapshot's own ARN", "DBSnapshotNotFound", "found",
		"nothing: the strategy asks by identifier", probeRDSARN},
	{"rds-pages", "RDS DescribeDBSnapshots with MaxRecords", "one page of 21", "a page of 20 and a marker",
		"paging is tested on the simulation only", probeRDSPages},
	{"rds-retention", "RDS CreateDBInstance with a BackupRetentionPeriod of 0", "1 automated snapshots", "0 automated snapshots",
		"automated snapshots are left out of what is compared", probeRDSRetention},
	{"rds-delete", "RDS DeleteDBInstance without a decision on the final snapshot", "accepted", "InvalidParameterCombination",
		"the tests always decide", probeRDSDelete},
	{"elasticache-states", "ElastiCache CreateSnapshot", "available in the answer", "creating in the answer",
		"waiting is tested on the simulation only", probeCacheStates},
	{"elasticache-parts", "ElastiCache DescribeSnapshots of a group of three shards", "no parts", "3 parts",
		"no members and no time are expected on moto; the strategy warns that it could not check that the snapshot is whole", probeCacheParts},
	{"elasticache-mode", "ElastiCache DescribeReplicationGroups of a group of three shards", "cluster mode disabled", "cluster mode enabled",
		"nothing: the strategy counts the node groups as well", probeCacheMode},
	{"elasticache-members", "ElastiCache DescribeCacheClusters of a group's member", "CacheClusterNotFound", "found",
		"a group with cluster mode disabled can not be backed up on moto: the backup waits for the member, says so, and ends at its deadline", probeCacheMembers},
	{"elasticache-nodes", "ElastiCache DescribeCacheClusters with ShowCacheNodeInfo", "no nodes", "1 node with an endpoint",
		"a restore to a single cluster can not succeed on moto, because it never has an endpoint: it ends at its deadline and lists the cluster", probeCacheNodes},
	{"elasticache-unknown", "ElastiCache CreateReplicationGroup from an unknown snapshot", "accepted", "SnapshotNotFoundFault",
		"nothing: the strategy looks at the snapshot first", probeCacheUnknown},
	{"elasticache-serverless", "ElastiCache DescribeServerlessCaches, DescribeServerlessCacheSnapshots", "0 of 2 are known", "2 of 2 are known",
		"serverless caches are tested on the simulation only; the tests name the types that they look for", probeCacheServerless},
	{"elasticache-changes", "ElastiCache CopySnapshot, ModifyReplicationGroup, ModifyCacheCluster", "0 of 3 are known", "3 of 3 are known",
		"copies, settings of automatic backups and what follows from them are tested on the simulation only", probeCacheChanges},
	{"elasticache-case", "ElastiCache CreateSnapshot with capital letters in its name", "Mixed-Case", "mixed-case",
		"nothing: the strategy writes names in lower case", probeCacheCase},
	{"elasticache-memcached", "ElastiCache CreateSnapshot of a Memcached cluster", "accepted", "SnapshotFeatureNotSupportedFault",
		"nothing: the strategy refuses Memcached itself", probeCacheMemcached},
	{"elasticache-final", "ElastiCache DeleteReplicationGroup with a final snapshot", "no snapshot", "a snapshot",
		"the tests use none", probeCacheFinal},
	{"elasticache-pages", "ElastiCache DescribeSnapshots with MaxRecords", "one page of 21", "a page of 20 and a marker",
		"paging is tested on the simulation only", probeCachePages},
}

// TestDifferences holds every row against both worlds: a row that is not true any more must go, and what the tests do because of it.
func TestDifferences(t *testing.T) {
	for _, d := range differences {
		t.Run(d.id, func(t *testing.T) {
			both(t, func(w *world) {
				want := d.aws
				if w.emulated {
					want = d.moto
				}
				got := d.probe(w)
				if got != want {
					w.t.Fatalf("%s: observed %q, the table says %q", d.operation, got, want)
				}
				if w.emulated {
					noted.add(d.id)
					w.t.Logf("%s: moto: %s; AWS: %s; %s", d.operation, d.moto, d.aws, d.test)
				}
			})
		})
	}
}

// differs tells whether the world does not do what AWS does. The row must exist.
func (w *world) differs(id string) bool {
	w.t.Helper()
	for _, d := range differences {
		if d.id == id {
			return w.emulated
		}
	}
	w.t.Fatalf("there is no difference %q in the table", id)
	return false
}

// notes are the differences that were observed.
type notes struct {
	mu   sync.Mutex
	seen map[string]bool
}

func newNotes() *notes { return &notes{seen: map[string]bool{}} }

func (n *notes) add(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen[id] = true
}

func (n *notes) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.seen)
}

// code gives the error code that a service answered, or otherwise for success.
func (w *world) code(err error, otherwise string) string {
	w.t.Helper()
	if err == nil {
		return otherwise
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		w.t.Fatalf("not supported here: %v", err)
	}
	return api.ErrorCode()
}
