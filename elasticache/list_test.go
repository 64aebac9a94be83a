package elasticache_test

import (
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
)

func ids[T any](seq iter.Seq2[T, error], id func(T) string) ([]string, error) {
	var all []string
	for x, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, id(x))
	}
	return all, nil
}

func points(p backup.RecoveryPoint) string { return p.ID }

func query() backup.Query { return backup.Query{Account: account, Region: region} }

func TestList(t *testing.T) {
	bubble(t, func(b *bed) {
		b.world.SetPageLimit(2)
		b.sources()
		op := b.run(b.start(group("sessions"), backup.Spec{Name: "mine", Owner: "me"}))
		b.succeeded(op)
		auto, err := b.sim.AutomaticSnapshot(b.world, account, region, "one")
		b.ok(err)
		for _, c := range []struct {
			name string
			edit func(q *backup.Query)
			want []string
		}{
			{"all", func(*backup.Query) {}, []string{auto, "mine", "s-one", "s-orders", "s-sessions"}},
			{"by owner", func(q *backup.Query) { q.Tags = map[string]string{backup.TagOwner: "me"} }, []string{"mine"}},
			{"by any owner", func(q *backup.Query) { q.Tags = map[string]string{backup.TagOwner: ""} }, []string{"mine"}},
			{"of a cluster", func(q *backup.Query) { q.Source = cluster("one") }, []string{auto, "s-one"}},
			{"of a group", func(q *backup.Query) { q.Source = group("sessions") }, []string{"mine", "s-sessions"}},
			{"of a group with cluster mode", func(q *backup.Query) { q.Source = group("orders") }, []string{"s-orders"}},
			{"one", func(q *backup.Query) { q.Point = snapshot("mine") }, []string{"mine"}},
			{"none", func(q *backup.Query) { q.Point = snapshot("none") }, nil},
			{"by type", func(q *backup.Query) { q.Types = []string{elasticache.TypeSnapshot} }, []string{auto, "mine", "s-one", "s-orders", "s-sessions"}},
		} {
			q := query()
			c.edit(&q)
			got, err := ids(b.s.List(b.Context(), q), points)
			b.ok(err)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%s: %s", c.name, d)
			}
		}
	})
}

func TestListedPoints(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("orders", 2, 1)
		key := "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
		start := time.Now()
		op := b.run(b.start(group("orders"), backup.Spec{Name: "whole", Options: elasticache.BackupOptions{KMSKeyID: key}}))
		b.succeeded(op)
		b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultAsync})
		b.failed(b.run(b.start(group("orders"), backup.Spec{Token: "x", Name: "bad"})), backup.PhaseFailed, backup.ErrFailed)
		_, err := b.api.CreateSnapshot(b.Context(), &awselasticache.CreateSnapshotInput{SnapshotName: aws.String("young"), ReplicationGroupId: aws.String("orders")})
		b.ok(err)
		got := map[string]backup.RecoveryPoint{}
		for p, err := range b.s.List(b.Context(), query()) {
			b.ok(err)
			got[p.ID] = p
		}
		p := got["whole"]
		if p.CreatedAt.Before(start) || p.CreatedAt.After(start.Add(10*time.Minute)) || p.SizeBytes <= 0 {
			t.Errorf("created %v, %d bytes", p.CreatedAt, p.SizeBytes)
		}
		want := backup.RecoveryPoint{Ref: snapshot("whole"), Source: group("orders"), ARN: "arn:aws:elasticache:eu-west-1:111122223333:snapshot:whole",
			Status: backup.StatusAvailable, Percent: 100, Encrypted: true, KMSKeyID: key, Engine: "valkey", EngineVersion: "8.0.1", Tags: op.OwnTags(op.Ref),
			Members: []backup.Member{{ID: "whole/0001", Source: "orders-0001-001", Place: "0001", Status: backup.StatusAvailable},
				{ID: "whole/0002", Source: "orders-0002-001", Place: "0002", Status: backup.StatusAvailable}}}
		if d := cmp.Diff(want, p, cmpopts.IgnoreFields(backup.RecoveryPoint{}, "CreatedAt", "SizeBytes"), cmpopts.IgnoreFields(backup.Member{}, "SizeBytes")); d != "" {
			t.Error(d)
		}
		if got["bad"].Status != backup.StatusFailed || got["young"].Status != backup.StatusPending || !got["young"].CreatedAt.IsZero() {
			t.Errorf("%+v %+v", got["bad"], got["young"])
		}
		b.ok(b.sim.Hold(b.world, account, region, "whole", "restoring", time.Minute))
		for status, want := range map[string]backup.Status{"restoring": backup.StatusAvailable, "copying": backup.StatusPending, "deleting": backup.StatusDeleting, "odd": backup.StatusPending} {
			b.ok(b.sim.Hold(b.world, account, region, "whole", status, time.Minute))
			q := query()
			q.Point = snapshot("whole")
			for p, err := range b.s.List(b.Context(), q) {
				b.ok(err)
				if p.Status != want {
					t.Errorf("%s is %s", status, p.Status)
				}
			}
			time.Sleep(2 * time.Minute)
		}
	})
}

// A source tag that does not fit what AWS says was copied, and makes no snapshot one of a group.
func TestListWithCopiedTags(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		b.ok(b.sim.AddSnapshots(b.world, account, region, "one", map[string]string{backup.TagSource: group("sessions").String()}, "copied"))
		q := query()
		q.Point = snapshot("copied")
		for p, err := range b.s.List(b.Context(), q) {
			b.ok(err)
			if p.Source != cluster("one") {
				t.Errorf("the source is %s", p.Source)
			}
		}
	})
}

func TestListErrors(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		for _, c := range []struct {
			name string
			edit func(q *backup.Query)
		}{
			{"type", func(q *backup.Query) { q.Types = []string{elasticache.TypeCluster} }},
			{"source of another account", func(q *backup.Query) { q.Source = elasticache.Cluster("444455556666", region, "one") }},
			{"source type", func(q *backup.Query) { q.Source = snapshot("x") }},
			{"point type", func(q *backup.Query) { q.Point = cluster("x") }},
			{"Region", func(q *backup.Query) { q.Region = "us-east-1" }},
		} {
			q := query()
			c.edit(&q)
			_, err := ids(b.s.List(b.Context(), q), points)
			if backup.CodeOf(err) != backup.ErrInvalid {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		b.world.Inject(awssim.Fault{Operation: "ListTagsForResource", Skip: 1, Kind: awssim.FaultError, Error: awssim.Error{Code: "AccessDenied", Message: "m", Status: 403}})
		got, err := ids(b.s.List(b.Context(), query()), points)
		b.code(err, backup.ErrDenied)
		if len(got) != 1 {
			t.Errorf("%v", got)
		}
		b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Kind: awssim.FaultError, Error: awssim.Error{Code: "AccessDenied", Message: "m", Status: 403}})
		_, err = ids(b.s.List(b.Context(), query()), points)
		b.code(err, backup.ErrDenied)
		// A snapshot whose tags are not there is no snapshot without tags, whatever its status; but one that is coming or going is.
		owned := query()
		owned.Tags = map[string]string{backup.TagOwner: ""}
		from := query()
		from.Source = cluster("one")
		for _, status := range []string{"available", "restoring", "copying", "odd", "creating", "deleting"} {
			b.ok(b.sim.Hold(b.world, account, region, "s-one", status, time.Minute))
			for i, q := range []backup.Query{query(), owned, from} {
				b.world.Inject(awssim.Fault{Operation: "ListTagsForResource", Kind: awssim.FaultError, Error: awssim.Error{Code: "SnapshotNotFoundFault", Message: "m", Status: 404}})
				got, err := ids(b.s.List(b.Context(), q), points)
				if status != "creating" && status != "deleting" {
					b.code(err, backup.ErrUnavailable)
					continue
				}
				b.ok(err)
				if want := [...]int{3, 0, 1}[i]; len(got) != want {
					t.Errorf("%s, query %d: %v", status, i, got)
				}
			}
			time.Sleep(2 * time.Minute)
		}
		// One that has gone since is left out.
		b.world.Inject(awssim.Fault{Operation: "ListTagsForResource", Kind: awssim.FaultNone, Do: func() {
			b.deleteByHand("s-one")
			time.Sleep(time.Hour)
		}})
		got, err = ids(b.s.List(b.Context(), query()), points)
		b.ok(err)
		if d := cmp.Diff([]string{"s-orders", "s-sessions"}, got); d != "" {
			t.Error(d)
		}
	})
}

func TestListManyUnderTheRequestRate(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one")
		var names []string
		for i := range 600 {
			names = append(names, fmt.Sprintf("s%03d", i))
		}
		b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, names...))
		start := time.Now()
		got, err := ids(b.s.List(b.Context(), query()), points)
		b.ok(err)
		if d := cmp.Diff(names, got); d != "" {
			t.Error(d)
		}
		t.Logf("%d snapshots in %v", len(got), time.Since(start))
		for _, code := range []string{"Throttling", "APICallRateForCustomerExceeded"} {
			b.world.Inject(awssim.Fault{Kind: awssim.FaultError, For: 20 * time.Second, Error: awssim.Error{Code: code, Message: "m"}})
		}
		got, err = ids(b.s.List(b.Context(), query()), points)
		b.ok(err)
		if len(got) != len(names) {
			t.Errorf("%d snapshots", len(got))
		}
	})
}

func TestDiscover(t *testing.T) {
	bubble(t, func(b *bed) {
		b.world.SetPageLimit(2)
		tag := []ectypes.Tag{{Key: aws.String("backup"), Value: aws.String("daily")}}
		b.group("orders", 2, 1, func(in *awselasticache.CreateReplicationGroupInput) { in.Tags = tag })
		b.group("sessions", 0, 1)
		b.group("going", 0, 0, func(in *awselasticache.CreateReplicationGroupInput) { in.Tags = tag })
		b.cluster("one", func(in *awselasticache.CreateCacheClusterInput) { in.Tags = tag })
		b.cluster("two")
		b.cluster("mem", func(in *awselasticache.CreateCacheClusterInput) { in.Engine, in.Tags = aws.String("memcached"), tag })
		b.cluster("tiny", func(in *awselasticache.CreateCacheClusterInput) { in.CacheNodeType = aws.String("cache.t1.micro") })
		_, err := b.api.DeleteReplicationGroup(b.Context(), &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String("going")})
		b.ok(err)
		show := func(r backup.Resource) string {
			return r.Type + " " + r.ID + " " + r.Tags["backup"] + " " + r.ARN[len(r.ARN)-4:]
		}
		for _, c := range []struct {
			edit func(q *backup.Query)
			want []string
		}{
			{func(*backup.Query) {}, []string{"elasticache/replication-group orders daily ders", "elasticache/replication-group sessions  ions", "elasticache/cluster one daily :one", "elasticache/cluster two  :two"}},
			{func(q *backup.Query) { q.Tags = map[string]string{"backup": "daily"} }, []string{"elasticache/replication-group orders daily ders", "elasticache/cluster one daily :one"}},
			{func(q *backup.Query) { q.Tags = map[string]string{"backup": "weekly"} }, nil},
			{func(q *backup.Query) {
				q.Tags, q.Types = map[string]string{"backup": ""}, []string{elasticache.TypeCluster}
			}, []string{"elasticache/cluster one daily :one"}},
			{func(q *backup.Query) { q.Types = []string{elasticache.TypeReplicationGroup} }, []string{"elasticache/replication-group orders daily ders", "elasticache/replication-group sessions  ions"}},
		} {
			q := query()
			c.edit(&q)
			got, err := ids(b.s.Discover(b.Context(), q), show)
			b.ok(err)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			time.Sleep(time.Minute)
		}
		for range b.s.Discover(b.Context(), query()) {
			break // whoever stops is left alone
		}
		notFound := awssim.Error{Code: "CacheClusterNotFound", Message: "m", Status: 404}
		b.world.Inject(awssim.Fault{Operation: "ListTagsForResource", Kind: awssim.FaultError, Error: notFound})
		_, err = ids(b.s.Discover(b.Context(), query()), show)
		b.code(err, backup.ErrUnavailable)
		b.ok(b.sim.Hold(b.world, account, region, "orders", "creating", time.Hour))
		b.world.Inject(awssim.Fault{Operation: "ListTagsForResource", Kind: awssim.FaultError, Error: notFound})
		got, err := ids(b.s.Discover(b.Context(), query()), show)
		b.ok(err)
		if len(got) != 3 {
			t.Errorf("%v", got)
		}
		for _, operation := range []string{"DescribeReplicationGroups", "DescribeCacheClusters", "ListTagsForResource"} {
			b.world.Inject(awssim.Fault{Operation: operation, Kind: awssim.FaultError, Error: awssim.Error{Code: "AccessDenied", Message: "m", Status: 403}})
			_, err = ids(b.s.Discover(b.Context(), query()), show)
			b.code(err, backup.ErrDenied)
		}
		for _, edit := range []func(q *backup.Query){
			func(q *backup.Query) { q.Types = []string{elasticache.TypeSnapshot} },
			func(q *backup.Query) { q.Source = cluster("one") },
			func(q *backup.Query) { q.Region = "us-east-1" },
		} {
			q := query()
			edit(&q)
			_, err := ids(b.s.Discover(b.Context(), q), show)
			b.code(err, backup.ErrInvalid)
		}
	})
}
