package elasticachesim_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
)

func copyOf(from, to string) *awselasticache.CopySnapshotInput {
	return &awselasticache.CopySnapshotInput{SourceSnapshotName: &from, TargetSnapshotName: &to}
}

// shards makes a group with cluster mode enabled.
func shards(n int32) func(*awselasticache.CreateReplicationGroupInput) {
	return func(in *awselasticache.CreateReplicationGroupInput) {
		in.NumNodeGroups, in.AutomaticFailoverEnabled = &n, aws.Bool(true)
		in.CacheParameterGroupName = aws.String("default.redis7.cluster.on")
	}
}

// told gives what the API tells of a snapshot.
func (b *bed) told(name string) ectypes.Snapshot {
	out, err := b.api.DescribeSnapshots(b.Context(), &awselasticache.DescribeSnapshotsInput{SnapshotName: &name, ShowNodeGroupConfig: aws.Bool(true)})
	b.ok(err)
	if len(out.Snapshots) != 1 {
		b.Fatalf("%d snapshots are called %s", len(out.Snapshots), name)
	}
	return out.Snapshots[0]
}

func TestCopyWithinTheAccount(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("sharded", shards(2))
		b.ok(b.sim.AddSnapshots(b.world, account, region, "sharded", map[string]string{"is": "the source's"}, "first"))
		in := copyOf("First", "Second")
		in.Tags = []ectypes.Tag{{Key: aws.String("team"), Value: aws.String("cache")}}
		out, err := b.api.CopySnapshot(b.Context(), in)
		b.ok(err)
		if got := aws.ToString(out.Snapshot.SnapshotName) + " " + aws.ToString(out.Snapshot.SnapshotStatus); got != "second creating" {
			t.Errorf("the answer is %q", got)
		}
		if got := aws.ToString(b.told("first").SnapshotStatus); got != "copying" {
			t.Errorf("the source is %s", got)
		}
		// One at a time.
		_, err = b.api.CopySnapshot(b.Context(), copyOf("first", "third"))
		b.code(err, "InvalidSnapshotState")
		time.Sleep(time.Hour)
		first, second := b.told("first"), b.told("second")
		if got := aws.ToString(first.SnapshotStatus) + " " + aws.ToString(second.SnapshotStatus); got != "available available" {
			t.Errorf("after an hour they are %s", got)
		}
		if first.NodeSnapshots[0].SnapshotCreateTime == nil || !first.NodeSnapshots[0].SnapshotCreateTime.Equal(*second.NodeSnapshots[0].SnapshotCreateTime) {
			t.Error("the copy's data is not as old as its source's")
		}
		if len(second.NodeSnapshots) != 2 || aws.ToString(second.ReplicationGroupId) != "sharded" {
			t.Errorf("the copy has %d parts of %s", len(second.NodeSnapshots), aws.ToString(second.ReplicationGroupId))
		}
		tags, err := b.api.ListTagsForResource(b.Context(), &awselasticache.ListTagsForResourceInput{ResourceName: second.ARN})
		b.ok(err)
		if len(tags.TagList) != 1 || aws.ToString(tags.TagList[0].Key) != "team" {
			t.Errorf("the copy's tags are not its own: %v", tags.TagList)
		}
		listed, err := b.api.DescribeSnapshots(b.Context(), &awselasticache.DescribeSnapshotsInput{ReplicationGroupId: aws.String("sharded")})
		b.ok(err)
		if len(listed.Snapshots) != 2 {
			t.Errorf("%d snapshots of the group are listed", len(listed.Snapshots))
		}
	})
}

func TestCopyRefused(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one", nil)
		b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, "first", "second"))
		for _, c := range []struct{ from, to, code string }{
			{"none", "copy", "SnapshotNotFoundFault"}, {"first", "second", "SnapshotAlreadyExistsFault"}, {"first", "-x", "InvalidParameterValue"},
		} {
			_, err := b.api.CopySnapshot(b.Context(), copyOf(c.from, c.to))
			b.code(err, c.code)
		}
		b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Kind: awssim.FaultAsync})
		_, err := b.api.CopySnapshot(b.Context(), copyOf("first", "doomed"))
		b.ok(err)
		time.Sleep(time.Hour)
		if got := aws.ToString(b.told("doomed").SnapshotStatus); got != "failed" {
			t.Errorf("a doomed copy is %s", got)
		}
	})
}

// shelf stands for the simulated S3: a bucket that lets in what it is told to, and the objects that were put into it.
type shelf struct {
	region, owner string
	allowed       []string
	objects       map[string][]byte
	at            map[string]time.Time
}

func (*shelf) Definition() awssim.Definition { return awssim.Definition{ID: "Shelf"} }

func (s *shelf) BucketPlace(_ *awssim.Request, bucket string) (region, owner string, exists bool) {
	return s.region, s.owner, bucket == "exports"
}

func (s *shelf) ServiceMay(_ *awssim.Request, _, principal, id, action string) bool {
	return principal == region+".elasticache-snapshot.amazonaws.com" && len(id) == 64 && slices.Contains(s.allowed, action)
}

func (s *shelf) HasObject(_ *awssim.Request, _, key string) bool { return s.objects[key] != nil }

func (s *shelf) ServicePut(_ *awssim.Request, _, key string, body []byte, at time.Time) error {
	s.objects[key], s.at[key] = body, at
	return nil
}

// caller stands for the simulated IAM.
type caller struct{ denied string }

func (*caller) Definition() awssim.Definition { return awssim.Definition{ID: "Caller"} }

func (c *caller) AllowsIdentity(_ *awssim.Request, action, resource string) bool {
	return action+" "+resource != c.denied
}

func newShelf() *shelf {
	return &shelf{region: region, owner: account, allowed: []string{"s3:ListBucket", "s3:PutObject", "s3:GetBucketAcl"},
		objects: map[string][]byte{}, at: map[string]time.Time{}}
}

// exporting is a world with S3 and IAM in it, and a snapshot of one shard ("plain") and of three ("sharded").
func exporting(t *testing.T, s *shelf, c *caller, f func(b *bed)) {
	t.Helper()
	bubble(t, func(b *bed) {
		b.sim = elasticachesim.Service()
		b.world = awssim.New(b.sim, s, c)
		b.api = awselasticache.NewFromConfig(b.world.Config(account, region))
		b.cluster("one", nil)
		b.group("three", shards(3))
		b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, "plain"))
		b.ok(b.sim.AddSnapshots(b.world, account, region, "three", nil, "sharded"))
		f(b)
	})
}

func exportOf(from, to, bucket string) *awselasticache.CopySnapshotInput {
	in := copyOf(from, to)
	in.TargetBucket = &bucket
	return in
}

func TestExport(t *testing.T) {
	s := newShelf()
	exporting(t, s, &caller{}, func(b *bed) {
		_, err := b.api.CopySnapshot(b.Context(), exportOf("sharded", "Out", "exports"))
		b.ok(err)
		want := []string{"out-0001.rdb", "out-0002.rdb", "out-0003.rdb"}
		if d := cmp.Diff(want, slices.Sorted(maps.Keys(s.objects))); d != "" {
			t.Error(d)
		}
		if got := aws.ToString(b.told("sharded").SnapshotStatus); got != "copying" {
			t.Errorf("the source is %s", got)
		}
		if !s.at[want[0]].After(time.Now()) {
			t.Error("the files are there at once")
		}
		time.Sleep(time.Until(s.at[want[0]]))
		if got := aws.ToString(b.told("sharded").SnapshotStatus); got != "available" {
			t.Errorf("with the files there, the source is %s", got)
		}
		if bytes.Equal(s.objects[want[0]], s.objects[want[1]]) {
			t.Error("two shards have the same data")
		}
		_, err = b.api.CopySnapshot(b.Context(), exportOf("plain", "plain", "exports"))
		b.ok(err)
		if s.objects["plain-0001.rdb"] == nil {
			t.Error("the export of a cluster has no plain-0001.rdb")
		}
		// A doomed export lacks its last file.
		b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Kind: awssim.FaultAsync})
		_, err = b.api.CopySnapshot(b.Context(), exportOf("sharded", "short", "exports"))
		b.ok(err)
		if s.objects["short-0002.rdb"] == nil || s.objects["short-0003.rdb"] != nil {
			t.Errorf("a doomed export has %v", slices.Sorted(maps.Keys(s.objects)))
		}
	})
}

// Every documented refusal is met, in AWS's words.
func TestExportRefused(t *testing.T) {
	const arn = "arn:aws:s3:::"
	for _, c := range []struct {
		name     string
		with     func(*shelf, *caller)
		from, to string
		bucket   string
		message  string
	}{
		{name: "no bucket", bucket: "none", message: "The S3 bucket none does not exist."},
		{name: "region", with: func(s *shelf, _ *caller) { s.region = "eu-west-2" }, message: "The S3 bucket exports is outside of the region."},
		{name: "owner", with: func(s *shelf, _ *caller) { s.owner = "444455556666" }, message: "The S3 bucket exports is not owned by the authenticated user."},
		{name: "read", with: func(s *shelf, _ *caller) { s.allowed = s.allowed[1:] }, message: "ElastiCache has not been granted READ permissions exports on the S3 Bucket."},
		{name: "write", with: func(s *shelf, _ *caller) { s.allowed = s.allowed[:1] }, message: "ElastiCache has not been granted WRITE permissions exports on the S3 Bucket."},
		{name: "acp", with: func(s *shelf, _ *caller) { s.allowed = s.allowed[:2] }, message: "ElastiCache has not been granted READ_ACP permissions exports on the S3 Bucket."},
		{name: "list all", with: func(_ *shelf, c *caller) { c.denied = "s3:ListAllMyBuckets " + arn + "*" },
			message: "Elasticache was unable to validate the authenticated user has access on the S3 bucket."},
		{name: "caller", with: func(_ *shelf, c *caller) { c.denied = "s3:DeleteObject " + arn + "exports/*" },
			message: "The authenticated user does not have sufficient permissions to perform the desired activity."},
		{name: "taken", with: func(s *shelf, _ *caller) { s.objects["out-0001.rdb"] = []byte{1} }, message: "The S3 bucket exports already contains an object with key out-0001.rdb."},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, who := newShelf(), &caller{}
			if c.with != nil {
				c.with(s, who)
			}
			exporting(t, s, who, func(b *bed) {
				if c.bucket == "" {
					c.bucket = "exports"
				}
				had := len(s.objects)
				_, err := b.api.CopySnapshot(b.Context(), exportOf("plain", "out", c.bucket))
				b.code(err, "InvalidParameterValue")
				if !bytes.Contains([]byte(err.Error()), []byte(c.message)) {
					t.Errorf("got %v, want %s", err, c.message)
				}
				if len(s.objects) != had || aws.ToString(b.told("plain").SnapshotStatus) != "available" {
					t.Error("what was refused was begun")
				}
			})
		})
	}
}

func TestExportOfACustomerKey(t *testing.T) {
	exporting(t, newShelf(), &caller{}, func(b *bed) {
		in := exportOf("plain", "out", "exports")
		in.KmsKeyId = aws.String("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")
		_, err := b.api.CopySnapshot(b.Context(), in)
		b.code(err, "InvalidParameterCombination")
	})
}

// A real server loads what the simulation writes.
func TestRealServerChecksTheFile(t *testing.T) {
	check, err := exec.LookPath("redis-check-rdb")
	if err != nil {
		t.Skip("redis-check-rdb is not installed")
	}
	s := newShelf()
	exporting(t, s, &caller{}, func(b *bed) {
		_, err := b.api.CopySnapshot(b.Context(), exportOf("plain", "out", "exports"))
		b.ok(err)
	})
	for _, flip := range []bool{false, true} {
		data := bytes.Clone(s.objects["out-0001.rdb"])
		if version := string(data[5:9]); version > "0010" {
			copy(data[5:], "0010") // a header that older servers read too
			data = elasticachesim.Reseal(data)
		}
		if flip {
			data[len(data)/2] ^= 1
		}
		file := filepath.Join(t.TempDir(), "dump.rdb")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(check, file).CombinedOutput()
		if (err != nil) != flip {
			t.Errorf("with a flipped bit: %v; %v\n%s", flip, err, out)
		}
	}
}
