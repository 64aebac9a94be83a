package elasticacheexport_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
	bucket  = "my-exports"
)

// bed is a world with the snapshots "plain", of a cluster, and "sharded", of three shards, and an S3.
type bed struct {
	*testing.T
	world *awssim.World
	cache *elasticachesim.ElastiCache
	store *s3sim.S3
	s3    *awss3.Client
	s     *elasticacheexport.Strategy
}

// bareBed is a world with nothing in it.
func bareBed(t *testing.T) *bed {
	b := &bed{T: t, cache: elasticachesim.Service(), store: s3sim.Service()}
	b.world = awssim.New(b.cache, b.store)
	cfg := b.world.Config(account, region)
	b.s3, b.s = awss3.NewFromConfig(cfg), elasticacheexport.NewFromConfig(cfg)
	return b
}

func newBed(t *testing.T) *bed {
	b := bareBed(t)
	cfg := b.world.Config(account, region)
	api := awselasticache.NewFromConfig(cfg)
	_, err := api.CreateCacheCluster(t.Context(), &awselasticache.CreateCacheClusterInput{CacheClusterId: aws.String("one"),
		CacheNodeType: aws.String("cache.t4g.small"), Engine: aws.String("redis"), NumCacheNodes: aws.Int32(1)})
	b.ok(err)
	_, err = api.CreateReplicationGroup(t.Context(), &awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("three"), ReplicationGroupDescription: aws.String("three shards"),
		CacheNodeType: aws.String("cache.r6g.large"), Engine: aws.String("redis"), NumNodeGroups: aws.Int32(3), AutomaticFailoverEnabled: aws.Bool(true),
		CacheParameterGroupName: aws.String("default.redis7.cluster.on")})
	b.ok(err)
	time.Sleep(4 * time.Hour)
	b.ok(b.cache.AddSnapshots(b.world, account, region, "one", nil, "plain"))
	b.ok(b.cache.AddSnapshots(b.world, account, region, "three", nil, "sharded"))
	time.Sleep(time.Hour)
	return b
}

func bubble(t *testing.T, f func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newBed(t)) })
}

func (b *bed) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// bucket makes a bucket that lets ElastiCache do what is given.
func (b *bed) bucket(name string, actions ...string) {
	b.Helper()
	_, err := b.s3.CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: &name,
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}})
	b.ok(err)
	if len(actions) > 0 {
		b.allow(name, actions...)
	}
}

func (b *bed) allow(name string, actions ...string) {
	b.Helper()
	text, err := json.Marshal(policy.Document{Version: policy.Version, Statements: []policy.Statement{{Sid: "Export", Effect: policy.Allow,
		Principal: &policy.Principal{Service: []string{region + ".elasticache-snapshot.amazonaws.com"}},
		Action:    actions, Resource: []string{"arn:aws:s3:::" + name, "arn:aws:s3:::" + name + "/*"}}}})
	b.ok(err)
	_, err = b.s3.PutBucketPolicy(b.Context(), &awss3.PutBucketPolicyInput{Bucket: &name, Policy: aws.String(string(text))})
	b.ok(err)
}

// all are the actions that the ElastiCache user guide asks for.
var all = []string{"s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:GetBucketAcl", "s3:ListMultipartUploadParts", "s3:ListBucketMultipartUploads"}

func (b *bed) start(snapshot, name string) backup.Operation {
	b.Helper()
	op, err := b.s.Start(b.Context(), elasticache.Snapshot(account, region, snapshot), backup.Spec{Token: "token", Name: name, Options: elasticacheexport.Options{Bucket: bucket}})
	b.ok(err)
	return op
}

func (b *bed) run(op backup.Operation) backup.Operation {
	b.Helper()
	runner, err := backup.NewRunner([]backup.Strategy{b.s})
	b.ok(err)
	op, err = runner.Run(b.Context(), op)
	if err != nil && !op.Done() {
		b.Fatal(err)
	}
	return op
}

func (b *bed) keys() (keys []string) {
	for _, o := range b.store.Objects(b.world, region, bucket) {
		keys = append(keys, o.Key)
	}
	return keys
}

// snapshots are the names of those that are there besides the two of newBed.
func (b *bed) snapshots() (names []string) {
	for _, x := range b.cache.Snapshots(b.world, account, region) {
		if x.Name != "plain" && x.Name != "sharded" && !x.Automated {
			names = append(names, x.Name)
		}
	}
	return names
}
