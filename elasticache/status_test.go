package elasticache_test

import (
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
)

// What a status means for a piece of work that meets it: it goes on at once, it waits until the status has passed, or it ends with a code.
const (
	goesOn backup.Code = "goes on"
	waits  backup.Code = "waits"
)

// The documented statuses, and a word that AWS may add. Source: the SDK's elasticache/types; "failed": ElastiCache User Guide, "Amazon SNS events".
var (
	groupMeans = map[string]backup.Code{"available": goesOn, "creating": waits, "modifying": waits, "snapshotting": waits, "never-heard-of": waits,
		"deleting": backup.ErrNotFound, "create-failed": backup.ErrUnsupported}
	clusterMeans = map[string]backup.Code{"available": goesOn, "creating": waits, "modifying": waits, "snapshotting": waits, "rebooting cluster nodes": waits, "never-heard-of": waits,
		"deleting": backup.ErrNotFound, "deleted": backup.ErrNotFound, "restore-failed": backup.ErrUnsupported, "incompatible-network": backup.ErrUnsupported}
	sourceMeans = map[string]backup.Code{"available": goesOn, "creating": waits, "copying": waits, "restoring": waits, "never-heard-of": waits,
		"failed": backup.ErrUnsupported, "deleting": backup.ErrNotFound}
	deletionMeans = map[string]backup.Code{"available": goesOn, "failed": goesOn, "creating": waits, "copying": waits, "restoring": waits, "never-heard-of": waits, "deleting": waits}
)

// TestStatusesBefore meets every status of what is acted upon.
func TestStatusesBefore(t *testing.T) {
	const hold = 40 * time.Minute
	for _, c := range []struct {
		name, held string
		means      map[string]backup.Code
		start      func(b *bed) backup.Operation
	}{
		{"backup of a group", "orders", groupMeans, func(b *bed) backup.Operation { return b.start(group("orders"), backup.Spec{}) }},
		{"backup of a cluster", "one", clusterMeans, func(b *bed) backup.Operation { return b.start(cluster("one"), backup.Spec{}) }},
		{"settings of a group", "orders", groupMeans, func(b *bed) backup.Operation { return b.startDaily(group("orders"), daily{RetentionDays: 2}) }},
		{"settings of a cluster", "one", clusterMeans, func(b *bed) backup.Operation { return b.startDaily(cluster("one"), daily{RetentionDays: 2}) }},
		{"rebuild of a group", "orders", groupMeans, func(b *bed) backup.Operation { return b.startRebuild(group("orders")) }},
		{"rebuild of a cluster", "one", clusterMeans, func(b *bed) backup.Operation { return b.startRebuild(cluster("one")) }},
		{"copy", "s-orders", sourceMeans, func(b *bed) backup.Operation { return b.startCopy(snapshot("s-orders"), backup.Spec{}) }},
		{"restore to a group", "s-orders", sourceMeans, func(b *bed) backup.Operation {
			return b.startRestore(snapshot("s-orders"), elasticache.RestoreOptions{ID: "new"})
		}},
		{"restore to a cluster", "s-one", sourceMeans, func(b *bed) backup.Operation {
			return b.startRestore(snapshot("s-one"), elasticache.RestoreOptions{ID: "new"})
		}},
		{"deletion", "s-one", deletionMeans, func(b *bed) backup.Operation {
			return b.startDelete(snapshot("s-one"), backup.Spec{Options: elasticache.DeleteOptions{AllowForeign: true}})
		}},
	} {
		for status, means := range c.means {
			t.Run(c.name+" "+status, func(t *testing.T) {
				t.Parallel()
				bubble(t, func(b *bed) {
					b.sources()
					op := c.start(b)
					b.ok(b.sim.Hold(b.world, account, region, c.held, status, hold))
					if means != goesOn && means != waits {
						b.ok(b.sim.Hold(b.world, account, region, c.held, status, 40*time.Hour))
					}
					began := time.Now()
					before := b.changed()
					early := false
					op = b.run(op, func(backup.Operation) { early = early || b.changed() > before && time.Since(began) < hold-time.Minute })
					switch means {
					case goesOn, waits:
						b.succeeded(op)
						if waiting := means == waits; early == waiting {
							t.Errorf("something was sent before it was over: %v", early)
						}
					default:
						b.failed(op, backup.PhaseFailed, means)
						if b.changed() != before || op.Failure.Hint == "" {
							t.Errorf("%d calls were sent; %+v", b.changed()-before, op.Failure)
						}
					}
					if unknown := findings(op)["elasticache.unknown-status"]; unknown != (status == "never-heard-of") {
						t.Errorf("findings %+v", op.Findings)
					}
				})
			})
		}
	}
}

// changed counts the calls that took effect.
func (b *bed) changed() (n int) {
	for _, c := range b.world.Calls() {
		if c.Mutates && c.Applied {
			n++
		}
	}
	return n
}

// TestStatusesWhileMaking meets every status of what a piece of work makes.
func TestStatusesWhileMaking(t *testing.T) {
	snapshotMeans := map[string]backup.Code{"creating": waits, "copying": waits, "restoring": waits, "never-heard-of": waits, "failed": backup.ErrFailed, "deleting": backup.ErrFailed}
	newGroup := map[string]backup.Code{"creating": waits, "modifying": waits, "snapshotting": waits, "never-heard-of": waits, "create-failed": backup.ErrFailed, "deleting": backup.ErrFailed}
	newCluster := map[string]backup.Code{"creating": waits, "modifying": waits, "snapshotting": waits, "rebooting cluster nodes": waits, "never-heard-of": waits,
		"restore-failed": backup.ErrFailed, "incompatible-network": backup.ErrFailed, "deleting": backup.ErrFailed, "deleted": backup.ErrFailed}
	for _, c := range []struct {
		name  string
		means map[string]backup.Code
		start func(b *bed) backup.Operation
	}{
		{"backup", snapshotMeans, func(b *bed) backup.Operation { return b.start(group("orders"), backup.Spec{Name: "new"}) }},
		{"copy", snapshotMeans, func(b *bed) backup.Operation { return b.startCopy(snapshot("s-one"), backup.Spec{Name: "new"}) }},
		{"restore to a group", newGroup, func(b *bed) backup.Operation {
			return b.startRestore(snapshot("s-orders"), elasticache.RestoreOptions{ID: "new"})
		}},
		{"restore to a cluster", newCluster, func(b *bed) backup.Operation {
			return b.startRestore(snapshot("s-one"), elasticache.RestoreOptions{ID: "new"})
		}},
	} {
		for status, means := range c.means {
			t.Run(c.name+" "+status, func(t *testing.T) {
				t.Parallel()
				bubble(t, func(b *bed) {
					b.sources()
					held := false
					began := time.Now()
					op := b.run(c.start(b), func(op backup.Operation) {
						if op.Stage == "wait" && !held {
							held = true
							b.ok(b.sim.Hold(b.world, account, region, "new", status, time.Hour))
						}
					})
					if len(op.Points)+len(op.Made) != 1 {
						t.Errorf("points %v, made %v", op.Points, op.Made)
					}
					if means != waits {
						b.failed(op, backup.PhaseFailed, means)
						return
					}
					b.succeeded(op)
					if d := time.Since(began); d < time.Hour {
						t.Errorf("success after %v", d)
					}
				})
			})
		}
	}
}
