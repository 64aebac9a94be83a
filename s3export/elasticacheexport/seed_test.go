package elasticacheexport_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/internal/sweep"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// caches makes a Strategy that restores in all Regions.
func (b *bed) caches(optFns ...func(*elasticache.Options)) *elasticache.Strategy {
	return elasticache.New(func(_ context.Context, account, region string) (*awselasticache.Client, error) {
		return awselasticache.NewFromConfig(b.world.Config(account, region)), nil
	}, optFns...)
}

// copied makes an export of the given snapshot, and copies it to the far Region, whose bucket lets ElastiCache read.
func (b *bed) copied(snapshot string, seed bool) (backup.Ref, s3export.Manifest) {
	b.Helper()
	b.bucket(bucket, all...)
	op := b.run(b.start(snapshot, "nightly"))
	b.ok(op.Err())
	b.s = everywhere(b.world)
	options := elasticacheexport.PrepareOptions{Create: true, Seed: seed, NoExport: seed}
	prepared, err := b.s.StartPrepare(b.Context(), elasticacheexport.Bucket(account, farRegion, farBucket), backup.Spec{Token: "far", Options: options})
	b.ok(err)
	b.ok(b.run(prepared).Err())
	copied := b.run(b.startCopy(op.Points[0]))
	b.ok(copied.Err())
	m, err := b.s.Manifest(b.Context(), copied.Points[0])
	b.ok(err)
	return copied.Points[0], m
}

func (b *bed) seed(point backup.Ref, m s3export.Manifest, o elasticache.RestoreOptions) backup.Operation {
	b.Helper()
	o.ID, o.SecurityGroups, o.NodeType = "New-One", []string{"sg-1"}, "cache.r7g.large"
	s := b.caches()
	op, err := s.StartSeed(b.Context(), point, m, backup.Spec{Token: "seed", Options: o})
	b.ok(err)
	found, err := s.Preflight(b.Context(), op)
	b.ok(err)
	if len(found) != 1 || found[0].ID != "elasticache.open-access" {
		b.Errorf("%+v", found)
	}
	runner, err := backup.NewRunner([]backup.Strategy{s})
	b.ok(err)
	op, err = runner.Run(b.Context(), op)
	if err != nil && !op.Done() {
		b.Fatal(err)
	}
	return op
}

// TestSeed fills new caches in another Region from a copied export.
func TestSeed(t *testing.T) {
	yes := true
	for name, c := range map[string]struct {
		snapshot string
		options  elasticache.RestoreOptions
		slots    []string
		role     string
	}{
		"a cluster":          {"plain", elasticache.RestoreOptions{}, nil, "node"},
		"a group":            {"plain", elasticache.RestoreOptions{As: elasticache.AsGroup}, nil, "primary"},
		"into cluster mode":  {"plain", elasticache.RestoreOptions{ClusterMode: &yes}, []string{"0-16383"}, "configuration"},
		"spread":             {"plain", elasticache.RestoreOptions{NodeGroups: 2}, []string{"0-8191", "8192-16383"}, "configuration"},
		"shards as they are": {"sharded", elasticache.RestoreOptions{ReplicasPerNodeGroup: aws.Int32(2)}, []string{"0-5460", "5461-10921", "10922-16383"}, "configuration"},
		"fewer shards":       {"sharded", elasticache.RestoreOptions{NodeGroups: 2}, []string{"0-8191", "8192-16383"}, "configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				point, m := b.copied(c.snapshot, true)
				op := b.seed(point, m, c.options)
				if op.Phase != backup.PhaseSucceeded || len(op.Endpoints) == 0 || op.Endpoints[0].Role != c.role {
					b.Fatalf("%s %v %v", op.Phase, op.Err(), op.Endpoints)
				}
				var want []string
				for _, x := range m.Shards {
					want = append(want, "arn:aws:s3:::"+farBucket+"/"+x.Key)
				}
				from, slots := "", []string(nil)
				if groups := b.cache.Groups(b.world, account, farRegion); len(groups) == 1 {
					from, slots = groups[0].From, groups[0].Slots
				} else if clusters := b.cache.Clusters(b.world, account, farRegion); len(clusters) == 1 {
					from = clusters[0].From
				}
				if d := cmp.Diff(strings.Join(want, ","), from); d != "" {
					b.Error(d)
				}
				if d := cmp.Diff(c.slots, slots); d != "" {
					b.Error(d)
				}
			})
		})
	}
}

// TestSeedFails tells why: the bucket does not let ElastiCache in, a file is damaged.
func TestSeedFails(t *testing.T) {
	bubble(t, func(b *bed) {
		point, m := b.copied("sharded", false)
		_, err := awss3.NewFromConfig(b.world.Config(account, farRegion)).DeleteBucketPolicy(b.Context(), &awss3.DeleteBucketPolicyInput{Bucket: aws.String(farBucket)})
		b.ok(err)
		op := b.seed(point, m, elasticache.RestoreOptions{})
		if !errors.Is(op.Err(), backup.ErrInvalid) || !strings.Contains(op.Failure.Hint, "PrepareOptions.Seed") || len(op.Made) != 0 {
			b.Errorf("%v %+v %v", op.Err(), op.Failure, op.Made)
		}
	})
	bubble(t, func(b *bed) {
		point, m := b.copied("sharded", true)
		b.store.Damage(b.world, farRegion, farBucket, m.Shards[1].Key)
		op := b.seed(point, m, elasticache.RestoreOptions{})
		if !errors.Is(op.Err(), backup.ErrFailed) || len(op.Made) != 1 {
			b.Errorf("%v %v", op.Err(), op.Made)
		}
	})
}

func TestStartSeedRefuses(t *testing.T) {
	bubble(t, func(b *bed) {
		point, good := b.copied("sharded", true)
		options := elasticache.RestoreOptions{ID: "new", SecurityGroups: []string{"sg-1"}, NodeType: "cache.r7g.large"}
		no := false
		with := func(f func(*elasticache.RestoreOptions)) elasticache.RestoreOptions {
			o := options
			f(&o)
			return o
		}
		for name, c := range map[string]struct {
			point backup.Ref
			edit  func(*s3export.Manifest)
			o     backup.Options
			code  backup.Code
		}{
			"a snapshot":       {elasticache.Snapshot(account, region, "plain"), nil, options, backup.ErrInvalid},
			"another manifest": {point, func(m *s3export.Manifest) { m.Name = "other" }, options, backup.ErrInvalid},
			"a shard less":     {point, func(m *s3export.Manifest) { m.Shards = m.Shards[1:] }, options, backup.ErrInvalid},
			"no options":       {point, nil, nil, backup.ErrInvalid},
			"no node type":     {point, nil, with(func(o *elasticache.RestoreOptions) { o.NodeType = "" }), backup.ErrInvalid},
			"no door":          {point, nil, with(func(o *elasticache.RestoreOptions) { o.SecurityGroups = nil }), backup.ErrInvalid},
			"a cluster":        {point, nil, with(func(o *elasticache.RestoreOptions) { o.As = elasticache.AsCluster }), backup.ErrUnsupported},
			"mode off":         {point, nil, with(func(o *elasticache.RestoreOptions) { o.ClusterMode = &no }), backup.ErrUnsupported},
			"another engine":   {point, nil, with(func(o *elasticache.RestoreOptions) { o.Engine = "valkey" }), backup.ErrUnsupported},
			"an older one":     {point, nil, with(func(o *elasticache.RestoreOptions) { o.EngineVersion = "6.2" }), backup.ErrUnsupported},
			"serverless, several files": {point, func(m *s3export.Manifest) {
				m.Serverless, m.ClusterMode, m.Shards = true, false, slices.Clone(m.Shards)
				for i := range m.Shards {
					m.Shards[i].Slots = ""
				}
			}, options, backup.ErrUnsupported},
			"too many nodes": {point, nil, with(func(o *elasticache.RestoreOptions) { o.NodeGroups = 300 }), backup.ErrUnsupported},
		} {
			m := good
			if c.edit != nil {
				c.edit(&m)
			}
			if _, err := b.caches().StartSeed(b.Context(), c.point, m, backup.Spec{Token: "t", Options: c.o}); backup.CodeOf(err) != c.code {
				b.Errorf("%s: %v, want %v", name, err, c.code)
			}
		}
	})
}

// seedFlow seeds a group of three shards in another Region.
func seedFlow(objects map[string][]byte) sweep.Workflow {
	return sweep.Workflow{Name: "seed", Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := bareBed(t.(*testing.T))
		b.farOne()
		st, err := policy.SeedStatement(farBucket, farRegion)
		b.ok(err)
		doc, _, err := policy.Document{}.Merge(st)
		b.ok(err)
		text, err := doc.Encode(policy.MaxBucketPolicy)
		b.ok(err)
		_, err = awss3.NewFromConfig(b.world.Config(account, farRegion)).PutBucketPolicy(b.Context(), &awss3.PutBucketPolicyInput{Bucket: aws.String(farBucket), Policy: &text})
		b.ok(err)
		point := b.put(farRegion, farBucket, objects)
		m, err := s3export.ParseManifest(objects["nightly.manifest.json"])
		b.ok(err)
		return sweep.Subject{World: b.world, Account: account, Region: farRegion, MayFail: true,
			Strategy: func(aws.Config) backup.Strategy {
				return b.caches(func(o *elasticache.Options) { o.PollMin, o.PollMax = 20*time.Second, time.Minute })
			},
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*elasticache.Strategy).StartSeed(ctx, point, m, backup.Spec{Token: "once",
					Options: elasticache.RestoreOptions{ID: "new", SecurityGroups: []string{"sg-1"}, NodeType: "cache.r7g.large"}})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				groups := b.cache.Groups(b.world, account, farRegion)
				if op.Phase == backup.PhaseSucceeded && (len(groups) != 1 || len(groups[0].Shards) != 3 || groups[0].Status != "available") {
					bad = append(bad, fmt.Sprintf("I5: success with %+v", groups))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				groups := b.cache.Groups(b.world, account, farRegion)
				if len(groups) > 1 {
					bad = append(bad, fmt.Sprintf("I1: %d groups", len(groups)))
				}
				if len(groups) == 1 && len(op.Made) == 0 {
					bad = append(bad, "I17: the group is listed nowhere")
				}
				return bad
			},
		}
	}}
}
