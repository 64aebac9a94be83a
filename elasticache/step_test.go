package elasticache_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
)

func TestStartRefusals(t *testing.T) {
	b := newBed(t)
	tags := map[string]string{}
	for i := range 47 {
		tags[fmt.Sprint("k", i)] = "v"
	}
	for _, c := range []struct {
		name string
		ref  backup.Ref
		spec backup.Spec
	}{
		{"no token", cluster("one"), backup.Spec{}},
		{"another type", snapshot("one"), backup.Spec{Token: "t"}},
		{"capital letters", backup.Ref{Type: elasticache.TypeCluster, Account: account, Region: region, ID: "One"}, backup.Spec{Token: "t"}},
		{"bad id", cluster("a--b"), backup.Spec{Token: "t"}},
		{"long group id", group(strings.Repeat("a", 41)), backup.Spec{Token: "t"}},
		{"bad Region", elasticache.Cluster(account, "moon", "one"), backup.Spec{Token: "t"}},
		{"another Region", elasticache.Cluster(account, "us-east-1", "one"), backup.Spec{Token: "t"}},
		{"long name", cluster("one"), backup.Spec{Token: "t", Name: strings.Repeat("a", 41)}},
		{"automatic name", cluster("one"), backup.Spec{Token: "t", Name: "automatic.x"}},
		{"bad key", cluster("one"), backup.Spec{Token: "t", Options: elasticache.BackupOptions{KMSKeyID: "k"}}},
		{"a key of another Region", cluster("one"), backup.Spec{Token: "t", Options: elasticache.BackupOptions{
			KMSKeyID: "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555"}}},
		{"pointer options", cluster("one"), backup.Spec{Token: "t", Options: &elasticache.BackupOptions{}}},
		{"other options", cluster("one"), backup.Spec{Token: "t", Options: elasticache.DeleteOptions{}}},
		{"too many tags", cluster("one"), backup.Spec{Token: "t", Tags: tags}},
	} {
		_, err := b.s.Start(b.Context(), c.ref, c.spec)
		if backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if n := len(b.world.Calls()); n != 0 {
		t.Errorf("Start made %d calls", n)
	}
}

func TestCancel(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one")
		op := b.start(cluster("one"), backup.Spec{})
		op, err := b.s.Cancel(b.Context(), op)
		b.ok(err)
		b.failed(b.run(op), backup.PhaseCanceled, backup.ErrCanceled)

		op = b.start(cluster("one"), backup.Spec{})
		op, err = step(b.TB, b.s, op) // looked
		b.ok(err)
		if op.Next != "CreateSnapshot" {
			t.Fatalf("next is %q", op.Next)
		}
		stopped, err := b.s.Cancel(b.Context(), op)
		b.ok(err)
		stopped, err = b.s.Cancel(b.Context(), stopped)
		b.ok(err)
		b.failed(b.run(stopped), backup.PhaseCanceled, backup.ErrCanceled)
		if n := b.sent("CreateSnapshot"); n != 0 {
			t.Errorf("sent %d times", n)
		}
		op, err = step(b.TB, b.s, op) // sent
		b.ok(err)
		_, err = b.s.Cancel(b.Context(), op)
		b.code(err, backup.ErrUnsupported)
		op = b.run(op)
		b.succeeded(op)
		_, err = b.s.Cancel(b.Context(), op)
		b.code(err, backup.ErrUnsupported)
	})
}

// What a call made that was perhaps sent may appear after the settle window: nobody may be told that nothing was changed.
func TestCancelAfterAnEmptySettleWindow(t *testing.T) {
	for _, c := range []struct {
		operation string
		start     func(b *bed) backup.Operation
	}{
		{"CreateSnapshot", func(b *bed) backup.Operation { return b.start(cluster("one"), backup.Spec{}) }},
		{"CreateCacheCluster", func(b *bed) backup.Operation {
			return b.startRestore(snapshot("s-one"), elasticache.RestoreOptions{ID: "new"})
		}},
	} {
		t.Run(c.operation, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.sources()
				b.world.SetLag(8 * time.Minute)
				before := b.sent(c.operation)
				b.world.Inject(awssim.Fault{Operation: c.operation, Kind: awssim.FaultLostReply})
				settled, refused := false, false
				op := b.run(c.start(b), func(op backup.Operation) {
					settled = settled || op.Stage == "settle"
					if settled && op.Stage == "look" {
						_, err := b.s.Cancel(b.Context(), op)
						b.code(err, backup.ErrUnsupported)
						refused = true
						time.Sleep(3 * time.Minute) // longer than the lag
					}
				})
				if !refused {
					t.Error("it was never looked for in vain")
				}
				// It has appeared, and is taken over by the look that comes first.
				b.succeeded(op)
				if n := b.sent(c.operation) - before; n != 1 {
					t.Errorf("sent %d times", n)
				}
			})
		})
	}
}

// Without a Store a call that is ready to be sent was perhaps sent by a process that died.
func TestCancelWithoutAStore(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		for name, start := range map[string]func() backup.Operation{
			"backup":   func() backup.Operation { return b.start(cluster("one"), backup.Spec{}) },
			"copy":     func() backup.Operation { return b.startCopy(snapshot("s-one"), backup.Spec{}) },
			"settings": func() backup.Operation { return b.startDaily(cluster("one"), daily{RetentionDays: 1}) },
			"rebuild":  func() backup.Operation { return b.startRebuild(cluster("one")) },
		} {
			op := start()
			op.Unstored = true
			_, err := b.s.Cancel(b.Context(), op)
			b.ok(err) // nothing is ready yet
			for op.Next == "" {
				op, err = step(b.TB, b.s, op)
				b.ok(err)
				time.Sleep(time.Until(op.Poll))
			}
			if _, err := b.s.Cancel(b.Context(), op); backup.CodeOf(err) != backup.ErrUnsupported {
				t.Errorf("%s: %v", name, err)
			}
			op.Unstored = false
			if _, err := b.s.Cancel(b.Context(), op); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A call that AWS refused for now changed nothing, and may be canceled.
func TestCancelWhileParked(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one")
		b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultError, Times: -1, Error: awssim.Error{Code: "InvalidCacheClusterState", Message: "m"}})
		op := b.start(cluster("one"), backup.Spec{})
		for b.sent("CreateSnapshot") == 0 {
			var err error
			op, err = step(b.TB, b.s, op)
			b.ok(err)
		}
		op, err := b.s.Cancel(b.Context(), op)
		b.ok(err)
		b.failed(b.run(op), backup.PhaseCanceled, backup.ErrCanceled)
	})
}

// The credentials are those of another account than the Ref's.
func TestElsewhere(t *testing.T) {
	const other = "444455556666"
	bubble(t, func(b *bed) {
		b.sources()
		b.succeeded(b.run(b.start(cluster("one"), backup.Spec{Name: "mine"})))
		before := len(b.snapshots())
		s := elasticache.New(func(context.Context, string, string) (*awselasticache.Client, error) { return b.api, nil })
		b.s = s
		point := elasticache.Snapshot(other, region, "mine")
		restore, err := s.StartRestore(b.Context(), point, backup.Spec{Token: "t", Options: elasticache.RestoreOptions{ID: "new", SecurityGroups: []string{"sg-1"}}})
		b.ok(err)
		ops := []backup.Operation{b.start(elasticache.Cluster(other, region, "one"), backup.Spec{}), b.start(elasticache.ReplicationGroup(other, region, "sessions"), backup.Spec{}),
			b.startDelete(point, backup.Spec{}), restore}
		for _, op := range ops {
			found, err := s.Preflight(b.Context(), op)
			b.ok(err)
			if len(found) != 1 || found[0].Severity != backup.SeverityError || found[0].Remedy == "" {
				t.Errorf("%s of %s: %+v", op.Action, op.Ref, found)
			}
			b.failed(b.run(op), backup.PhaseFailed, backup.ErrInvalid)
		}
		q := backup.Query{Account: other, Region: region}
		_, err = ids(s.List(b.Context(), q), points)
		b.code(err, backup.ErrInvalid)
		_, err = ids(s.Discover(b.Context(), q), func(r backup.Resource) string { return r.ID })
		b.code(err, backup.ErrInvalid)
		q.Types = []string{elasticache.TypeCluster}
		_, err = ids(s.Discover(b.Context(), q), func(r backup.Resource) string { return r.ID })
		b.code(err, backup.ErrInvalid)
		if n := len(b.snapshots()); n != before {
			t.Errorf("%d snapshots, there were %d", n, before)
		}
	})
}

// An Operation that may have something in flight is not ended by credentials that change under it.
func TestElsewhereLater(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one")
		name := "mine"
		other := awselasticache.NewFromConfig(b.world.Config("444455556666", region))
		_, err := other.CreateCacheCluster(b.Context(), &awselasticache.CreateCacheClusterInput{CacheClusterId: aws.String("one"), CacheNodeType: aws.String("cache.t4g.small"), Engine: aws.String("redis")})
		b.ok(err)
		time.Sleep(time.Hour)
		_, err = other.CreateSnapshot(b.Context(), &awselasticache.CreateSnapshotInput{SnapshotName: &name, CacheClusterId: aws.String("one")})
		b.ok(err)
		c := b.api
		b.s = elasticache.New(func(context.Context, string, string) (*awselasticache.Client, error) { return c, nil })
		op := b.start(cluster("one"), backup.Spec{Name: name})
		for op.Stage != "wait" {
			op, err = step(b.TB, b.s, op)
			b.ok(err)
		}
		c = other
		for range 3 {
			op, err = step(b.TB, b.s, op)
			b.code(err, backup.ErrInvalid)
		}
		c = b.api
		b.succeeded(b.run(op))

		// The same while it is parked, after a call that was armed.
		b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultError, Error: awssim.Error{Code: "InvalidCacheClusterState", Message: "m"}})
		op = b.start(cluster("one"), backup.Spec{Name: "second", Token: "second"})
		for range 2 {
			op, err = step(b.TB, b.s, op)
			b.ok(err)
		}
		c = other
		if op.Stage != "look" {
			t.Fatalf("stage %s", op.Stage)
		}
		op, err = step(b.TB, b.s, op)
		b.code(err, backup.ErrInvalid)
		c = b.api
		b.succeeded(b.run(op))
	})
}

func TestStepIsCareful(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one")
		op := b.start(cluster("one"), backup.Spec{})
		other := op
		other.Kind = "ebs"
		_, err := b.s.Step(b.Context(), other)
		b.code(err, backup.ErrInvalid)
		lost := op
		lost.Stage = "nowhere"
		_, err = b.s.Step(b.Context(), lost)
		b.code(err, backup.ErrInvalid)
		broken := op
		broken.State = []byte(`[]`)
		_, err = b.s.Step(b.Context(), broken)
		b.code(err, backup.ErrInvalid)
		// Without a recorded attempt nothing is sent.
		op, err = b.s.Step(b.Context(), op)
		b.ok(err)
		for range 3 {
			op, err = b.s.Step(b.Context(), op)
			b.ok(err)
		}
		if n := b.sent("CreateSnapshot"); n != 0 || op.Stage != "create" {
			t.Errorf("sent %d times in stage %s", n, op.Stage)
		}
		done := b.run(op)
		same, err := b.s.Step(b.Context(), done)
		b.ok(err)
		if d := cmp.Diff(done, same); d != "" {
			t.Error(d)
		}
	})
}

func TestOtherAccount(t *testing.T) {
	bubble(t, func(b *bed) {
		op, err := b.s.Start(b.Context(), elasticache.Cluster("444455556666", region, "one"), backup.Spec{Token: "t"})
		b.ok(err) // the account is not known before the first call
		_, err = b.s.Step(b.Context(), op)
		b.code(err, backup.ErrInvalid)
		_, err = b.s.Start(b.Context(), elasticache.Cluster("444455556666", region, "one"), backup.Spec{Token: "t"})
		b.code(err, backup.ErrInvalid)
	})
}

func TestPartialBackup(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("orders", 2, 1)
		op := b.start(group("orders"), backup.Spec{})
		op, err := step(b.TB, b.s, op)
		b.ok(err)
		// Between the look and the call the group lost a shard: the plan says three.
		op.State = []byte(strings.Replace(string(op.State), `"0002"]`, `"0002","0003"]`, 1))
		op = b.run(op)
		b.failed(op, backup.PhasePartial, backup.ErrPartial)
		if !strings.Contains(op.Failure.Message, "0003") || len(op.Points) != 1 {
			t.Errorf("%+v, %v", op.Failure, op.Points)
		}
	})
}
