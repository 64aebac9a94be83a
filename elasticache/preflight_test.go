package elasticache_test

import (
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

func TestPreflight(t *testing.T) {
	restore := func(name string, o elasticache.RestoreOptions) func(*bed) backup.Operation {
		return func(b *bed) backup.Operation {
			if o.ID == "" {
				o.ID = "new"
			}
			return b.startRestore(snapshot(name), o)
		}
	}
	for _, c := range []struct {
		name string
		op   func(b *bed) backup.Operation
		want []string
	}{
		{"a fine backup", func(b *bed) backup.Operation { return b.start(group("sessions"), backup.Spec{}) }, nil},
		{"of the primary", func(b *bed) backup.Operation {
			b.group("alone", 0, 0)
			return b.start(group("alone"), backup.Spec{})
		}, []string{"warning elasticache.from-primary"}},
		{"a busy source", func(b *bed) backup.Operation {
			b.ok(b.sim.Hold(b.world, account, region, "one", "modifying", time.Hour))
			return b.start(cluster("one"), backup.Spec{})
		}, []string{"warning elasticache.not-yet"}},
		{"no source", func(b *bed) backup.Operation { return b.start(cluster("none"), backup.Spec{}) }, []string{"error elasticache.backup-refused"}},
		{"a taken name on a primary", func(b *bed) backup.Operation {
			b.group("alone", 0, 0)
			return b.start(group("alone"), backup.Spec{Name: "s-one"})
		}, []string{"error elasticache.name-taken", "warning elasticache.from-primary"}},
		{"the quota", func(b *bed) backup.Operation {
			for i := range 20 {
				b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, fmt.Sprintf("q%d", i)))
			}
			return b.start(cluster("one"), backup.Spec{})
		}, []string{"error elasticache.quota"}},
		{"a fine restore", restore("s-orders", elasticache.RestoreOptions{SubnetGroup: "default", TransitEncryption: true}), nil},
		{"a restore that everybody can read", restore("s-orders", elasticache.RestoreOptions{}), []string{"warning elasticache.open-access"}},
		{"a taken id", restore("s-orders", elasticache.RestoreOptions{ID: "sessions"}), []string{"error elasticache.id-taken", "warning elasticache.open-access"}},
		{"no snapshot", restore("s-none", elasticache.RestoreOptions{}), []string{"error elasticache.not-found"}},
		{"not as asked", restore("s-orders", elasticache.RestoreOptions{As: elasticache.AsCluster}), []string{"error elasticache.restore-refused", "warning elasticache.open-access"}},
		{"no subnets", restore("s-orders", elasticache.RestoreOptions{SubnetGroup: "none"}), []string{"error elasticache.restore-refused", "warning elasticache.open-access"}},
		{"a busy snapshot", func(b *bed) backup.Operation {
			b.ok(b.sim.Hold(b.world, account, region, "s-one", "copying", time.Hour))
			return restore("s-one", elasticache.RestoreOptions{})(b)
		}, []string{"warning elasticache.not-yet", "warning elasticache.open-access"}},
		{"a deleted snapshot", func(b *bed) backup.Operation {
			b.deleteByHand("s-one")
			return restore("s-one", elasticache.RestoreOptions{})(b)
		}, []string{"error elasticache.restore-refused"}},
		{"a deletion of nobody's", func(b *bed) backup.Operation { return b.startDelete(snapshot("s-one"), backup.Spec{}) }, []string{"error elasticache.delete-refused"}},
		{"a fine deletion", func(b *bed) backup.Operation {
			return b.startDelete(snapshot("s-one"), backup.Spec{Options: elasticache.DeleteOptions{AllowForeign: true}})
		}, nil},
		{"a busy deletion", func(b *bed) backup.Operation {
			b.ok(b.sim.Hold(b.world, account, region, "s-one", "copying", time.Hour))
			return b.startDelete(snapshot("s-one"), backup.Spec{Options: elasticache.DeleteOptions{AllowForeign: true}})
		}, []string{"warning elasticache.not-yet"}},
		{"a deletion of nothing", func(b *bed) backup.Operation { return b.startDelete(snapshot("s-none"), backup.Spec{}) }, []string{"error elasticache.not-found"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.sources()
				op := c.op(b)
				before := len(b.world.Calls())
				found, err := b.s.Preflight(b.Context(), op)
				b.ok(err)
				var got []string
				for _, f := range found {
					got = append(got, string(f.Severity)+" "+f.ID)
					if f.Message == "" || f.Remedy == "" {
						t.Errorf("%+v", f)
					}
				}
				if d := cmp.Diff(c.want, got); d != "" {
					t.Error(d)
				}
				for _, call := range b.world.Calls()[before:] {
					if call.Mutates {
						t.Errorf("%s was called", call.Operation)
					}
				}
			})
		})
	}
}

func TestPreflightErrors(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		ops := []backup.Operation{b.start(cluster("one"), backup.Spec{}), b.startRestore(snapshot("s-one"), elasticache.RestoreOptions{ID: "new"}), b.startDelete(snapshot("s-one"), backup.Spec{})}
		for _, op := range ops {
			for _, kind := range []awssim.FaultKind{awssim.FaultHang, awssim.FaultLostReply} {
				b.world.Inject(awssim.Fault{Kind: kind, Times: 3})
				ctx, cancel := withTimeout(b)
				_, err := b.s.Preflight(ctx, op)
				cancel()
				b.code(err, backup.ErrUnavailable)
				b.world.Heal()
			}
			broken := op
			broken.State = []byte(`[]`)
			_, err := b.s.Preflight(b.Context(), broken)
			if err == nil {
				t.Error("broken state")
			}
		}
		b.world.Inject(awssim.Fault{Operation: "DescribeCacheClusters", Kind: awssim.FaultError, Error: awssim.Error{Code: "AccessDenied", Message: "m", Status: 403}})
		found, err := b.s.Preflight(b.Context(), ops[0])
		b.ok(err)
		if len(found) != 1 || found[0].ID != "elasticache.backup-refused" {
			t.Errorf("%+v", found)
		}
		b.world.Inject(awssim.Fault{Operation: "ListTagsForResource", Kind: awssim.FaultError, Error: awssim.Error{Code: "AccessDenied", Message: "m", Status: 403}})
		found, err = b.s.Preflight(b.Context(), ops[0])
		if len(found) == 1 && !strings.Contains(found[0].Remedy, "elasticache:ListTagsForResource") {
			t.Errorf("the remedy is %q", found[0].Remedy)
		}
		b.ok(err)
		if len(found) != 1 || found[0].ID != "elasticache.backup-refused" {
			t.Errorf("%+v", found)
		}
		_, err = b.api.CreateSnapshot(b.Context(), &awselasticache.CreateSnapshotInput{SnapshotName: aws.String("x"), CacheClusterId: aws.String("one")})
		b.ok(err)
	})
}
