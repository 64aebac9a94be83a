package elasticache_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/backup/awssim/stssim"
	"github.com/snapwarden/snapwarden/elasticache"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
)

func group(id string) backup.Ref    { return elasticache.ReplicationGroup(account, region, id) }
func cluster(id string) backup.Ref  { return elasticache.Cluster(account, region, id) }
func snapshot(id string) backup.Ref { return elasticache.Snapshot(account, region, id) }

// bed is a world with a strategy, made inside of a bubble.
type bed struct {
	testing.TB
	world *awssim.World
	sim   *elasticachesim.ElastiCache
	api   *awselasticache.Client
	s     *elasticache.Strategy
}

func bubble(t *testing.T, f func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newBed(t)) })
}

func newBed(t testing.TB) *bed {
	sim := elasticachesim.Service()
	world := awssim.New(sim, stssim.Service())
	cfg := world.Config(account, region)
	return &bed{TB: t, world: world, sim: sim, api: awselasticache.NewFromConfig(cfg), s: elasticache.NewFromConfig(cfg)}
}

func (b *bed) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bed) code(err error, want backup.Code) {
	b.Helper()
	if got := backup.CodeOf(err); got != want {
		b.Errorf("got code %q, want %q: %v", got, want, err)
	}
}

// group makes a replication group and waits until it is available. shards 0 means cluster mode disabled.
func (b *bed) group(id string, shards, replicas int32, edit ...func(*awselasticache.CreateReplicationGroupInput)) {
	b.Helper()
	in := &awselasticache.CreateReplicationGroupInput{ReplicationGroupId: &id, ReplicationGroupDescription: aws.String("test"),
		CacheNodeType: aws.String("cache.r7g.large"), Engine: aws.String("valkey"), SecurityGroupIds: []string{"sg-source"}}
	if shards > 0 {
		in.ClusterMode, in.NumNodeGroups, in.ReplicasPerNodeGroup, in.AutomaticFailoverEnabled = ectypes.ClusterModeEnabled, &shards, &replicas, aws.Bool(true)
	} else {
		in.NumCacheClusters = aws.Int32(replicas + 1)
	}
	for _, f := range edit {
		f(in)
	}
	_, err := b.api.CreateReplicationGroup(b.Context(), in)
	b.ok(err)
	time.Sleep(4 * time.Hour)
}

func (b *bed) cluster(id string, edit ...func(*awselasticache.CreateCacheClusterInput)) {
	b.Helper()
	in := &awselasticache.CreateCacheClusterInput{CacheClusterId: &id, CacheNodeType: aws.String("cache.t4g.small"), Engine: aws.String("redis"), NumCacheNodes: aws.Int32(1)}
	for _, f := range edit {
		f(in)
	}
	_, err := b.api.CreateCacheCluster(b.Context(), in)
	b.ok(err)
	time.Sleep(4 * time.Hour)
}

func (b *bed) snapshots() []elasticachesim.SnapshotView {
	return b.sim.Snapshots(b.world, account, region)
}

func (b *bed) start(r backup.Ref, spec backup.Spec) backup.Operation {
	b.Helper()
	if spec.Token == "" {
		spec.Token = "tk"
	}
	op, err := b.s.Start(b.Context(), r, spec)
	b.ok(err)
	return op
}

func (b *bed) startDelete(r backup.Ref, spec backup.Spec) backup.Operation {
	b.Helper()
	if spec.Token == "" {
		spec.Token = "del"
	}
	op, err := b.s.StartDelete(b.Context(), r, spec)
	b.ok(err)
	return op
}

func (b *bed) startRestore(r backup.Ref, o elasticache.RestoreOptions) backup.Operation {
	b.Helper()
	if o.SecurityGroups == nil {
		o.SecurityGroups = []string{"sg-new"}
	}
	op, err := b.s.StartRestore(b.Context(), r, backup.Spec{Token: "res", Options: o})
	b.ok(err)
	return op
}

// step makes one Step as a Runner with a Store does: the intent is recorded first, the Operation goes through JSON, and a Step without an
// intent must not change anything. What is returned after a death is what was stored.
func step(t testing.TB, s backup.Strategy, op backup.Operation) (out backup.Operation, err error) {
	ctx := backup.WithFence(t.Context(), func() error { return errors.New("a Step without Next changed something") })
	if op.Next != "" {
		op.Attempt++
		op.Intended = time.Now()
		ctx = backup.WithFence(context.WithoutCancel(t.Context()), func() error { return nil })
	}
	stored, err := json.Marshal(op)
	if err != nil {
		t.Fatal(err)
	}
	if len(stored) > backup.MaxOperationBytes {
		t.Fatalf("the operation has %d bytes", len(stored))
	}
	out = decode(t, stored)
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(awssim.Killed); !ok {
				panic(r)
			}
			out, err = decode(t, stored), context.DeadlineExceeded
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	next, err := s.Step(ctx, out)
	if err != nil {
		if out.Attempt > 0 && next.Next == out.Next && next.Attempt == 0 {
			out.Unsent()
		}
		return out, err
	}
	return next, nil
}

func decode(t testing.TB, b []byte) backup.Operation {
	var op backup.Operation
	if err := json.Unmarshal(b, &op); err != nil {
		t.Fatal(err)
	}
	return op
}

// run steps an Operation until it ends; before, if any, is called before each Step.
func (b *bed) run(op backup.Operation, before ...func(op backup.Operation)) backup.Operation {
	b.Helper()
	for range 20_000 {
		if op.Done() {
			return op
		}
		if time.Now().After(op.Deadline.Add(time.Hour)) {
			b.Fatalf("not ended by its deadline: stage %s, %+v", op.Stage, op.Findings)
		}
		for _, f := range before {
			f(op)
		}
		next, err := step(b.TB, b.s, op)
		op = next
		if err != nil {
			switch backup.CodeOf(err) {
			case backup.ErrThrottled, backup.ErrUnavailable:
			default:
				if !errors.Is(err, context.DeadlineExceeded) {
					b.Fatalf("step in stage %q: %v", op.Stage, err)
				}
			}
			time.Sleep(7 * time.Second)
			continue
		}
		if d := time.Until(op.Poll); d > 0 && !op.Done() {
			time.Sleep(d)
		}
	}
	b.Fatalf("does not end: stage %s", op.Stage)
	return op
}

// failed checks that an Operation ended in a phase with a code.
func (b *bed) failed(op backup.Operation, phase backup.Phase, code backup.Code) {
	b.Helper()
	if op.Phase != phase || op.Failure == nil || op.Failure.Code != code {
		b.Errorf("phase %s, failure %+v; want %s with %q", op.Phase, op.Failure, phase, code)
		return
	}
	if op.Failure.Message == "" {
		b.Error("a failure without a message")
	}
}

func (b *bed) succeeded(op backup.Operation) {
	b.Helper()
	if op.Phase != backup.PhaseSucceeded {
		b.Fatalf("phase %s, failure %+v", op.Phase, op.Failure)
	}
}

// mutations gives the calls that changed something, by operation.
func (b *bed) sent(operation string) (n int) {
	for _, c := range b.world.Calls() {
		if c.Operation == operation {
			n++
		}
	}
	return n
}

func findings(op backup.Operation) map[string]bool {
	m := map[string]bool{}
	for _, f := range op.Findings {
		m[f.ID] = true
	}
	return m
}

func withTimeout(b *bed) (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.Context(), time.Minute)
}
