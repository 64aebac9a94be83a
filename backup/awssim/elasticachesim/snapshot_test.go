package elasticachesim_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/google/go-cmp/cmp"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

func TestSnapshotOfMember(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("sessions", replicas(2))
		start := time.Now()
		out, err := b.snapCluster("Nightly", "sessions-002")
		b.ok(err)
		s := out.Snapshot
		if *s.SnapshotName != "nightly" || *s.SnapshotStatus != "creating" || *s.CacheClusterId != "sessions-002" || s.ReplicationGroupId != nil || *s.SnapshotSource != "manual" {
			t.Errorf("created %+v", s)
		}
		if n := s.NodeSnapshots; len(n) != 1 || n[0].SnapshotCreateTime != nil || *n[0].CacheNodeId != "0001" {
			t.Errorf("nodes %+v", n)
		}
		if g, c, o := b.groupStatus("sessions"), b.clusterStatus("sessions-002"), b.clusterStatus("sessions-001"); g != "snapshotting" || c != "snapshotting" || o != "available" {
			t.Errorf("while it is made: %s, %s, %s", g, c, o)
		}
		for *b.snapshot("NIGHTLY").SnapshotStatus != "available" {
			time.Sleep(time.Second)
		}
		if d := time.Since(start); d < time.Minute || d > 10*time.Minute {
			t.Errorf("available after %v", d)
		}
		if at := b.snapshot("nightly").NodeSnapshots[0].SnapshotCreateTime; at == nil || at.Before(start) || at.After(time.Now()) {
			t.Errorf("created at %v", at)
		}
		if g, c := b.groupStatus("sessions"), b.clusterStatus("sessions-002"); g != "available" || c != "available" {
			t.Errorf("afterwards: %s, %s", g, c)
		}
	})
}

func TestSnapshotOfGroup(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("orders", sharded(2))
		_, err := b.snapGroup("s", "Orders")
		b.ok(err)
		time.Sleep(time.Hour)
		s := b.snapshot("s")
		var got []string
		for _, n := range s.NodeSnapshots {
			got = append(got, fmt.Sprint(*n.NodeGroupId, " ", *n.CacheClusterId, " ", *n.NodeGroupConfiguration.Slots, " ", *n.NodeGroupConfiguration.ReplicaCount))
		}
		if d := cmp.Diff([]string{"0001 orders-0001-001 0-8191 1", "0002 orders-0002-001 8192-16383 1"}, got); d != "" {
			t.Error(d)
		}
		if *s.ReplicationGroupId != "orders" || s.CacheClusterId != nil || *s.NumNodeGroups != 2 || s.AutomaticFailover != ectypes.AutomaticFailoverStatusEnabled {
			t.Errorf("%+v", s)
		}
		out, err := b.api.DescribeSnapshots(b.Context(), &awselasticache.DescribeSnapshotsInput{SnapshotName: aws.String("s")})
		b.ok(err)
		if out.Snapshots[0].NodeSnapshots[0].NodeGroupConfiguration != nil {
			t.Error("the layout is there without ShowNodeGroupConfig")
		}
	})
}

func TestCreateSnapshotRefusals(t *testing.T) {
	in := func(name, cluster, group string) *awselasticache.CreateSnapshotInput {
		i := &awselasticache.CreateSnapshotInput{SnapshotName: &name}
		if cluster != "" {
			i.CacheClusterId = &cluster
		}
		if group != "" {
			i.ReplicationGroupId = &group
		}
		return i
	}
	for _, c := range []struct {
		name string
		in   *awselasticache.CreateSnapshotInput
		want string
	}{
		{"neither", in("s", "", ""), "InvalidParameterCombination"},
		{"both", in("s", "one", "orders"), "InvalidParameterCombination"},
		{"group without cluster mode", in("s", "", "sessions"), "InvalidParameterCombination"},
		{"member with cluster mode", in("s", "orders-0001-001", ""), "InvalidParameterCombination"},
		{"no cluster", in("s", "none", ""), "CacheClusterNotFound"},
		{"no group", in("s", "", "none"), "ReplicationGroupNotFoundFault"},
		{"memcached", in("s", "mem", ""), "SnapshotFeatureNotSupportedFault"},
		{"t1.micro", in("s", "tiny", ""), "SnapshotFeatureNotSupportedFault"},
		{"name", in("1s", "one", ""), "InvalidParameterValue"},
		{"taken name", in("Taken", "one", ""), "SnapshotAlreadyExistsFault"},
		{"busy cluster", in("s", "busy", ""), "InvalidCacheClusterState"},
		{"busy group", in("s", "", "busygroup"), "InvalidReplicationGroupState"},
		{"fine cluster", in("s", "one", ""), ""},
		{"fine group", in("s", "", "orders"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.group("sessions", replicas(2))
				b.group("orders", sharded(1))
				b.group("busygroup", sharded(1))
				b.cluster("one", nil)
				b.cluster("busy", nil)
				b.cluster("tiny", func(in *awselasticache.CreateCacheClusterInput) { in.CacheNodeType = aws.String("cache.t1.micro") })
				b.cluster("mem", func(in *awselasticache.CreateCacheClusterInput) {
					in.Engine, in.NumCacheNodes = aws.String("memcached"), aws.Int32(3)
				})
				_, err := b.snapCluster("taken", "one")
				b.ok(err)
				time.Sleep(time.Hour)
				b.ok(b.sim.Hold(b.world, account, region, "busy", "modifying", time.Hour))
				b.ok(b.sim.Hold(b.world, account, region, "busygroup", "modifying", time.Hour))
				_, err = b.api.CreateSnapshot(b.Context(), c.in)
				b.code(err, c.want)
				n := 1
				if c.want == "" {
					n = 2
				}
				if all := b.sim.Snapshots(b.world, account, region); len(all) != n {
					t.Errorf("%d snapshots", len(all))
				}
			})
		})
	}
}

func TestModelledErrors(t *testing.T) {
	bubble(t, func(b *bed) {
		_, err := b.snapCluster("s", "none")
		var notFound *ectypes.CacheClusterNotFoundFault
		if !errors.As(err, &notFound) {
			t.Errorf("%T", err)
		}
		b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Kind: awssim.FaultError, Error: awssim.Error{Code: "APICallRateForCustomerExceeded", Message: "m"}})
		_, err = b.api.DescribeSnapshots(b.Context(), &awselasticache.DescribeSnapshotsInput{})
		b.code(err, "APICallRateForCustomerExceeded")
	})
}

func TestSnapshotQuota(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("orders", sharded(2))
		first := time.Now()
		for i := range 20 {
			_, err := b.snapGroup(fmt.Sprintf("s%d", i), "orders")
			b.ok(err)
			time.Sleep(time.Hour)
		}
		_, err := b.api.DeleteSnapshot(b.Context(), &awselasticache.DeleteSnapshotInput{SnapshotName: aws.String("s3")})
		b.ok(err)
		_, err = b.snapGroup("more", "orders")
		b.code(err, "SnapshotQuotaExceededFault")
		time.Sleep(time.Until(first.Add(24 * time.Hour)))
		_, err = b.snapGroup("more", "orders")
		b.code(err, "")
	})
}

func TestDoomedSnapshot(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one", nil)
		f := b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultAsync})
		_, err := b.snapCluster("s", "one")
		b.ok(err)
		time.Sleep(time.Hour)
		if s := b.snapshot("s"); *s.SnapshotStatus != "failed" || s.NodeSnapshots[0].SnapshotCreateTime != nil || f.Fired() != 1 {
			t.Errorf("%+v", s)
		}
		if c := b.clusterStatus("one"); c != "available" {
			t.Error(c)
		}
	})
}

func TestDescribeSnapshotsFilters(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one", nil)
		b.group("orders", sharded(1))
		b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, "a", "b"))
		b.ok(b.sim.AddSnapshots(b.world, account, region, "orders", nil, "c"))
		auto, err := b.sim.AutomaticSnapshot(b.world, account, region, "one")
		b.ok(err)
		for _, c := range []struct {
			in   awselasticache.DescribeSnapshotsInput
			want []string
			code string
		}{
			{awselasticache.DescribeSnapshotsInput{}, []string{"a", auto, "b", "c"}, ""},
			{awselasticache.DescribeSnapshotsInput{CacheClusterId: aws.String("One")}, []string{"a", auto, "b"}, ""},
			{awselasticache.DescribeSnapshotsInput{ReplicationGroupId: aws.String("orders")}, []string{"c"}, ""},
			{awselasticache.DescribeSnapshotsInput{SnapshotSource: aws.String("user")}, []string{"a", "b", "c"}, ""},
			{awselasticache.DescribeSnapshotsInput{SnapshotSource: aws.String("system")}, []string{auto}, ""},
			{awselasticache.DescribeSnapshotsInput{SnapshotName: aws.String("A")}, []string{"a"}, ""},
			{awselasticache.DescribeSnapshotsInput{SnapshotName: aws.String("a"), CacheClusterId: aws.String("two")}, nil, ""},
			{awselasticache.DescribeSnapshotsInput{CacheClusterId: aws.String("two")}, nil, ""},
			{awselasticache.DescribeSnapshotsInput{SnapshotName: aws.String("none")}, nil, "SnapshotNotFoundFault"},
			{awselasticache.DescribeSnapshotsInput{SnapshotSource: aws.String("manual")}, nil, "InvalidParameterValue"},
			{awselasticache.DescribeSnapshotsInput{MaxRecords: aws.Int32(19)}, nil, "InvalidParameterValue"},
			{awselasticache.DescribeSnapshotsInput{MaxRecords: aws.Int32(51)}, nil, "InvalidParameterValue"},
			{awselasticache.DescribeSnapshotsInput{Marker: aws.String("zzz")}, nil, "InvalidParameterValue"},
		} {
			out, err := b.api.DescribeSnapshots(b.Context(), &c.in)
			b.code(err, c.code)
			if err != nil {
				continue
			}
			var got []string
			for _, s := range out.Snapshots {
				got = append(got, *s.SnapshotName)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%+v: %s", c.in, d)
			}
			time.Sleep(time.Second)
		}
		b.sim.EmptyWhenMissing(b.world, true)
		out, err := b.api.DescribeSnapshots(b.Context(), &awselasticache.DescribeSnapshotsInput{SnapshotName: aws.String("none")})
		b.ok(err)
		if len(out.Snapshots) != 0 {
			t.Error("not empty")
		}
	})
}

func TestPaging(t *testing.T) {
	bubble(t, func(b *bed) {
		b.world.SetThrottling(false)
		b.cluster("one", nil)
		var names []string
		for i := range 120 {
			names = append(names, fmt.Sprintf("s%03d", i))
		}
		b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, names...))
		for _, size := range []int32{20, 50} {
			var got []string
			pages := 0
			p := awselasticache.NewDescribeSnapshotsPaginator(b.api, &awselasticache.DescribeSnapshotsInput{MaxRecords: aws.Int32(size)})
			for p.HasMorePages() {
				out, err := p.NextPage(b.Context())
				b.ok(err)
				pages++
				for _, s := range out.Snapshots {
					got = append(got, *s.SnapshotName)
				}
			}
			if d := cmp.Diff(names, got); d != "" || pages != (120+int(size)-1)/int(size) {
				t.Errorf("%d pages of %d: %s", pages, size, d)
			}
		}
	})
}

func TestDeleteSnapshot(t *testing.T) {
	bubble(t, func(b *bed) {
		remove := func(name string) error {
			_, err := b.api.DeleteSnapshot(b.Context(), &awselasticache.DeleteSnapshotInput{SnapshotName: &name})
			return err
		}
		b.cluster("one", nil)
		_, err := b.snapCluster("s", "one")
		b.ok(err)
		b.code(remove("s"), "InvalidSnapshotState")
		b.code(remove("none"), "SnapshotNotFoundFault")
		time.Sleep(time.Hour)
		auto, err := b.sim.AutomaticSnapshot(b.world, account, region, "one")
		b.ok(err)
		time.Sleep(time.Hour)
		b.code(remove(auto), "InvalidSnapshotState")
		b.ok(remove("S"))
		if s := *b.snapshot("s").SnapshotStatus; s != "deleting" {
			t.Error(s)
		}
		b.code(remove("s"), "InvalidSnapshotState")
		_, err = b.snapCluster("s", "one")
		b.code(err, "SnapshotAlreadyExistsFault")
		time.Sleep(10 * time.Minute)
		_, err = b.api.DescribeSnapshots(b.Context(), &awselasticache.DescribeSnapshotsInput{SnapshotName: aws.String("s")})
		b.code(err, "SnapshotNotFoundFault")
		_, err = b.snapCluster("s", "one")
		b.ok(err)
	})
}

func TestFinalSnapshot(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("sessions", replicas(2))
		auto, err := b.sim.AutomaticSnapshot(b.world, account, region, "sessions")
		b.ok(err)
		_, err = b.api.DeleteReplicationGroup(b.Context(), &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String("sessions")})
		b.code(err, "InvalidReplicationGroupState")
		time.Sleep(time.Hour)
		_, err = b.api.DeleteReplicationGroup(b.Context(), &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String("sessions"), FinalSnapshotIdentifier: aws.String("last")})
		b.ok(err)
		if g, c := b.groupStatus("sessions"), b.clusterStatus("sessions-001"); g != "deleting" || c != "deleting" {
			t.Error(g, c)
		}
		b.cluster("one", nil)
		_, err = b.api.DeleteCacheCluster(b.Context(), &awselasticache.DeleteCacheClusterInput{CacheClusterId: aws.String("one"), FinalSnapshotIdentifier: aws.String("last-one")})
		b.ok(err)
		time.Sleep(time.Hour)
		if g, c := b.groupStatus("sessions"), b.clusterStatus("one"); g != "ReplicationGroupNotFoundFault" || c != "CacheClusterNotFound" {
			t.Error(g, c)
		}
		var left []string
		for _, s := range b.sim.Snapshots(b.world, account, region) {
			left = append(left, s.Name+" "+s.Cluster+" "+s.Status)
		}
		if d := cmp.Diff([]string{"last sessions-001 available", "last-one one available"}, left); d != "" {
			t.Errorf("%s (automatic: %s)", d, auto)
		}
	})
}

func TestLagAndStaleReads(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one", nil)
		b.world.SetLag(30 * time.Second)
		see := func() string {
			out, err := b.api.DescribeSnapshots(b.Context(), &awselasticache.DescribeSnapshotsInput{SnapshotName: aws.String("s")})
			if err != nil {
				return codeOf(err)
			}
			return *out.Snapshots[0].SnapshotStatus
		}
		_, err := b.snapCluster("s", "one")
		b.ok(err)
		if got := see(); got != "SnapshotNotFoundFault" {
			t.Error(got)
		}
		_, err = b.snapCluster("s", "one")
		b.code(err, "SnapshotAlreadyExistsFault")
		time.Sleep(31 * time.Second)
		if got := see(); got != "creating" {
			t.Error(got)
		}
		time.Sleep(time.Hour)
		_, err = b.api.DeleteSnapshot(b.Context(), &awselasticache.DeleteSnapshotInput{SnapshotName: aws.String("s")})
		b.ok(err)
		time.Sleep(10 * time.Minute)
		b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Kind: awssim.FaultStale, Back: 15 * time.Minute})
		if got := see(); got != "available" {
			t.Errorf("a stale read shows %q", got)
		}
		if got := see(); got != "SnapshotNotFoundFault" {
			t.Error(got)
		}
		// Another takes the name; a stale read still shows the first.
		_, err = b.snapCluster("s", "one")
		b.ok(err)
		time.Sleep(time.Minute)
		b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Kind: awssim.FaultStale, Back: 16 * time.Minute})
		if got, now := see(), see(); got != "available" || now != "creating" {
			t.Errorf("a stale read shows %q, a fresh one %q", got, now)
		}
	})
}

func TestAnswersAreCopies(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("orders", sharded(2))
		tags := []ectypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}}
		in := &awselasticache.CreateSnapshotInput{SnapshotName: aws.String("s"), ReplicationGroupId: aws.String("orders"), Tags: tags}
		out, err := b.api.CreateSnapshot(b.Context(), in)
		b.ok(err)
		want := b.snapshot("s")
		*in.SnapshotName, *tags[0].Value, *tags[0].Key = "x", "x", "x"
		*out.Snapshot.SnapshotName, *out.Snapshot.SnapshotStatus, *out.Snapshot.ReplicationGroupId = "x", "x", "x"
		out.Snapshot.NodeSnapshots[0].NodeGroupConfiguration.ReplicaAvailabilityZones[0] = "x"
		*out.Snapshot.NodeSnapshots[1].NodeGroupId = "x"
		if d := cmp.Diff(want, b.snapshot("s"), cmp.Comparer(func(a, b *string) bool { return aws.ToString(a) == aws.ToString(b) }), ignoreUnexported); d != "" {
			t.Error(d)
		}
		if z := b.snapshot("s").NodeSnapshots[0].NodeGroupConfiguration.ReplicaAvailabilityZones; z[0] != "eu-west-1b" {
			t.Errorf("zones %v", z)
		}
		if d := cmp.Diff(map[string]string{"k": "v"}, b.sim.Snapshots(b.world, account, region)[0].Tags); d != "" {
			t.Error(d)
		}
		describe := func() ectypes.ReplicationGroup {
			o, err := b.api.DescribeReplicationGroups(b.Context(), &awselasticache.DescribeReplicationGroupsInput{ReplicationGroupId: aws.String("orders")})
			b.ok(err)
			return o.ReplicationGroups[0]
		}
		before, spoilt := describe(), describe()
		*spoilt.Status, spoilt.MemberClusters[0], *spoilt.NodeGroups[0].Slots, *spoilt.ConfigurationEndpoint.Port = "x", "x", "x", 1
		if d := cmp.Diff(before, describe(), ignoreUnexported); d != "" {
			t.Error(d)
		}
	})
}

var ignoreUnexported = cmp.FilterPath(func(p cmp.Path) bool {
	f, ok := p.Last().(cmp.StructField)
	return ok && f.Name() == "noSmithyDocumentSerde"
}, cmp.Ignore())

func TestManySnapshots(t *testing.T) {
	bubble(t, func(b *bed) {
		b.world.SetThrottling(false)
		b.world.KeepCalls(false)
		b.cluster("one", nil)
		names := make([]string, 100_000)
		for i := range names {
			names[i] = fmt.Sprintf("s%06d", (i*7919)%len(names))
		}
		b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, names...))
		n := 0
		p := awselasticache.NewDescribeSnapshotsPaginator(b.api, &awselasticache.DescribeSnapshotsInput{})
		for p.HasMorePages() && n < 20_000 {
			out, err := p.NextPage(b.Context())
			b.ok(err)
			n += len(out.Snapshots)
		}
		if n != 20_000 {
			t.Errorf("%d snapshots", n)
		}
		if s := b.snapshot("s099999"); *s.SnapshotStatus != "available" {
			t.Errorf("%+v", s)
		}
	})
}
