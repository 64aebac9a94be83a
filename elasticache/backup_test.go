package elasticache_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
)

func TestBackupSources(t *testing.T) {
	for _, c := range []struct {
		name            string
		source          backup.Ref
		cluster, group  string
		shards          []string
		finding         string
		callsPerMinutes int
	}{
		{"a replica", group("sessions"), "sessions-002", "", nil, "", 0},
		{"a primary alone", group("alone"), "alone-001", "", nil, "elasticache.from-primary", 0},
		{"a group with cluster mode", group("orders"), "", "orders", []string{"0001", "0002", "0003"}, "", 0},
		{"a single cluster", cluster("one"), "one", "", nil, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.group("sessions", 0, 2)
				b.group("alone", 0, 0)
				b.group("orders", 3, 1)
				b.cluster("one")
				start := time.Now()
				op := b.run(b.start(c.source, backup.Spec{Tags: map[string]string{"team": "a"}, Owner: "me"}))
				b.succeeded(op)
				if took := time.Since(start); took < time.Minute || took > 20*time.Minute {
					t.Errorf("took %v", took)
				}
				all := b.snapshots()
				if len(all) != 1 {
					t.Fatalf("%d snapshots", len(all))
				}
				x := all[0]
				if x.Cluster != c.cluster || x.Group != c.group || x.Status != "available" || !strings.HasPrefix(x.Name, "sw-") || len(x.Name) > 40 {
					t.Errorf("%+v", x)
				}
				if d := cmp.Diff(c.shards, x.Shards); d != "" {
					t.Error(d)
				}
				if d := cmp.Diff(backup.Refs{snapshot(x.Name)}, op.Points); d != "" {
					t.Error(d)
				}
				want := map[string]string{"team": "a", backup.TagOwner: "me", backup.TagToken: op.ID, backup.TagSource: c.source.String(),
					backup.TagCreated: op.Started.Format("2006-01-02T15:04:05Z")}
				if d := cmp.Diff(want, x.Tags); d != "" {
					t.Error(d)
				}
				if c.finding != "" != (len(op.Findings) > 0) || c.finding != "" && !findings(op)[c.finding] {
					t.Errorf("findings %+v", op.Findings)
				}
				if n := b.sent("CreateSnapshot"); n != 1 {
					t.Errorf("CreateSnapshot was sent %d times", n)
				}
			})
		})
	}
}

func TestBackupFollowsAFailover(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("sessions", 0, 1)
		b.ok(b.sim.Failover(b.world, account, region, "sessions", "sessions-002"))
		b.succeeded(b.run(b.start(group("sessions"), backup.Spec{})))
		if x := b.snapshots()[0]; x.Cluster != "sessions-001" {
			t.Errorf("taken of %s", x.Cluster)
		}
	})
}

func TestBackupSkipsABusyReplica(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("sessions", 0, 2)
		b.ok(b.sim.Hold(b.world, account, region, "sessions-002", "rebooting cluster nodes", time.Hour))
		b.succeeded(b.run(b.start(group("sessions"), backup.Spec{})))
		if x := b.snapshots()[0]; x.Cluster != "sessions-003" {
			t.Errorf("taken of %s", x.Cluster)
		}
	})
}

func TestBackupRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		ref  backup.Ref
		code backup.Code
	}{
		{"memcached", cluster("mem"), backup.ErrUnsupported},
		{"t1.micro", cluster("tiny"), backup.ErrUnsupported},
		{"a member", cluster("sessions-001"), backup.ErrInvalid},
		{"no group", group("none"), backup.ErrNotFound},
		{"no cluster", cluster("none"), backup.ErrNotFound},
		{"deleting group", group("going"), backup.ErrNotFound},
		{"deleting cluster", cluster("leaving"), backup.ErrNotFound},
		{"failed group", group("broken"), backup.ErrUnsupported},
		{"failed cluster", cluster("unreachable"), backup.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.group("sessions", 0, 1)
				b.group("going", 0, 1)
				b.cluster("leaving")
				b.cluster("mem", func(in *awselasticache.CreateCacheClusterInput) {
					in.Engine, in.NumCacheNodes = aws.String("memcached"), aws.Int32(2)
				})
				b.cluster("tiny", func(in *awselasticache.CreateCacheClusterInput) { in.CacheNodeType = aws.String("cache.t1.micro") })
				b.world.Inject(awssim.Fault{Operation: "CreateReplicationGroup", Kind: awssim.FaultAsync})
				b.world.Inject(awssim.Fault{Operation: "CreateCacheCluster", Kind: awssim.FaultAsync})
				b.group("broken", 0, 1)
				b.cluster("unreachable")
				_, err := b.api.DeleteReplicationGroup(b.Context(), &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String("going")})
				b.ok(err)
				_, err = b.api.DeleteCacheCluster(b.Context(), &awselasticache.DeleteCacheClusterInput{CacheClusterId: aws.String("leaving")})
				b.ok(err)
				op := b.run(b.start(c.ref, backup.Spec{}))
				b.failed(op, backup.PhaseFailed, c.code)
				if op.Failure.Hint == "" {
					t.Error("no hint")
				}
				if n := b.sent("CreateSnapshot"); n != 0 {
					t.Errorf("CreateSnapshot was sent %d times", n)
				}
			})
		})
	}
}

func TestBackupParksWhileBusy(t *testing.T) {
	t.Run("seen", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.group("orders", 2, 1)
			_, err := b.sim.AutomaticSnapshot(b.world, account, region, "orders")
			b.ok(err)
			op := b.run(b.start(group("orders"), backup.Spec{}))
			b.succeeded(op)
			if n := b.sent("CreateSnapshot"); n != 1 || !findings(op)["elasticache.not-yet"] {
				t.Errorf("sent %d times; %+v", n, op.Findings)
			}
		})
	})
	t.Run("refused", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.cluster("one")
			for _, code := range []string{"InvalidCacheClusterState", "InvalidReplicationGroupState"} {
				b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultError, Times: 3, Error: awssim.Error{Code: code, Message: "m"}})
			}
			op := b.run(b.start(cluster("one"), backup.Spec{}))
			b.succeeded(op)
			if n := b.sent("CreateSnapshot"); n != 7 {
				t.Errorf("sent %d times", n)
			}
		})
	})
	t.Run("an unknown status", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.cluster("one")
			b.ok(b.sim.Hold(b.world, account, region, "one", "levitating", time.Hour))
			start := time.Now()
			op := b.run(b.start(cluster("one"), backup.Spec{}))
			b.succeeded(op)
			if !findings(op)["elasticache.unknown-status"] || time.Since(start) < time.Hour {
				t.Errorf("after %v: %+v", time.Since(start), op.Findings)
			}
		})
	})
}

// One look that does not find the source proves nothing, however long the backup has waited before.
func TestBackupIsNotFooledByOneStaleLook(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one")
		b.ok(b.sim.Hold(b.world, account, region, "one", "snapshotting", 10*time.Minute))
		f := b.world.Inject(awssim.Fault{Operation: "DescribeCacheClusters", Skip: 3, Kind: awssim.FaultStale, Back: 5 * time.Hour})
		later := b.world.Inject(awssim.Fault{Operation: "DescribeCacheClusters", Skip: 7, Kind: awssim.FaultStale, Back: 5 * time.Hour})
		b.succeeded(b.run(b.start(cluster("one"), backup.Spec{})))
		if f.Fired() != 1 || later.Fired() != 1 {
			t.Errorf("fired %d and %d times", f.Fired(), later.Fired())
		}
		// A source that stays away is believed to be gone, after a minute from the first miss.
		b.ok(b.sim.Hold(b.world, account, region, "one", "snapshotting", 10*time.Minute))
		b.world.Inject(awssim.Fault{Operation: "DescribeCacheClusters", Skip: 3, Kind: awssim.FaultBlind, Back: 500 * time.Hour, Times: -1})
		start := time.Now()
		b.failed(b.run(b.start(cluster("one"), backup.Spec{Token: "again"})), backup.PhaseFailed, backup.ErrNotFound)
		if d := time.Since(start); d < 4*time.Minute || d > 5*time.Minute {
			t.Errorf("took %v", d)
		}
	})
}

func TestBackupName(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one")
		op := b.run(b.start(cluster("one"), backup.Spec{Name: "Nightly-1"}))
		b.succeeded(op)
		if x := b.snapshots()[0]; x.Name != "nightly-1" || op.Points[0].ID != "nightly-1" {
			t.Errorf("%+v, %v", x, op.Points)
		}
		// The same name for other work is a conflict, and the snapshot is left alone.
		op = b.run(b.start(cluster("one"), backup.Spec{Name: "nightly-1", Token: "other"}))
		b.failed(op, backup.PhaseFailed, backup.ErrConflict)
		if len(op.Points) != 0 || len(b.snapshots()) != 1 {
			t.Errorf("points %v", op.Points)
		}
	})
}

func TestBackupConflicts(t *testing.T) {
	// Something has the name already, with these tags.
	for _, c := range []struct {
		name   string
		source string
		tags   func(op backup.Operation) map[string]string
		points int
	}{
		{"no tags", "one", func(backup.Operation) map[string]string { return nil }, 0},
		{"another token", "one", func(op backup.Operation) map[string]string {
			return map[string]string{backup.TagToken: "op-other", backup.TagSource: op.Ref.String()}
		}, 0},
		{"another source in the tag", "one", func(op backup.Operation) map[string]string {
			return map[string]string{backup.TagToken: op.ID, backup.TagSource: "x"}
		}, 1},
		{"of another cluster", "two", func(op backup.Operation) map[string]string { return op.OwnTags(op.Ref) }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.cluster("one")
				b.cluster("two")
				op := b.start(cluster("one"), backup.Spec{Name: "mine"})
				b.ok(b.sim.AddSnapshots(b.world, account, region, c.source, c.tags(op), "mine"))
				op = b.run(op)
				b.failed(op, backup.PhaseFailed, backup.ErrConflict)
				if len(op.Points) != c.points || op.Failure.Op != "CreateSnapshot" {
					t.Errorf("points %v, %+v", op.Points, op.Failure)
				}
			})
		})
	}
	t.Run("too old", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.cluster("one")
			op := b.start(cluster("one"), backup.Spec{Name: "mine"})
			b.ok(b.sim.AddSnapshots(b.world, account, region, "one", op.OwnTags(op.Ref), "mine"))
			time.Sleep(time.Hour)
			op = b.start(cluster("one"), backup.Spec{Name: "mine"})
			b.failed(b.run(op), backup.PhaseFailed, backup.ErrConflict)
		})
	})
	t.Run("another key", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.cluster("one")
			key := "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
			op := b.start(cluster("one"), backup.Spec{Name: "mine", Options: elasticache.BackupOptions{KMSKeyID: key}})
			b.ok(b.sim.AddSnapshots(b.world, account, region, "one", op.OwnTags(op.Ref), "mine"))
			b.failed(b.run(op), backup.PhaseFailed, backup.ErrConflict)
		})
	})
	t.Run("a name that can not be seen", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.cluster("one")
			b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, "mine"))
			b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Kind: awssim.FaultBlind, Back: 24 * time.Hour, Times: -1})
			b.failed(b.run(b.start(cluster("one"), backup.Spec{Name: "mine"})), backup.PhaseFailed, backup.ErrConflict)
		})
	})
}

func TestBackupAdopts(t *testing.T) {
	t.Run("after a second start without a store", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.cluster("one")
			first := b.run(b.start(cluster("one"), backup.Spec{}))
			b.succeeded(first)
			time.Sleep(time.Hour)
			op := b.start(cluster("one"), backup.Spec{})
			op.Unstored = true
			op = b.run(op)
			b.succeeded(op)
			if n := b.sent("CreateSnapshot"); n != 1 || op.Points[0] != first.Points[0] {
				t.Errorf("sent %d times; %v", n, op.Points)
			}
		})
	})
	t.Run("when its tags come late", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.cluster("one")
			b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultLostReply})
			late := b.world.Inject(awssim.Fault{Operation: "ListTagsForResource", Kind: awssim.FaultError, For: 20 * time.Minute,
				Error: awssim.Error{Code: "SnapshotNotFoundFault", Message: "m", Status: 404}})
			op := b.run(b.start(cluster("one"), backup.Spec{}))
			b.succeeded(op)
			if n := b.sent("CreateSnapshot"); n != 1 || late.Fired() < 2 {
				t.Errorf("sent %d times, late %d times", n, late.Fired())
			}
		})
	})
}

func TestBackupSendsAgainWhatWasNeverMade(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("orders", 2, 1)
		b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultServerError, Times: 2})
		start := time.Now()
		op := b.run(b.start(group("orders"), backup.Spec{}))
		b.succeeded(op)
		if n := b.sent("CreateSnapshot"); n != 3 || time.Since(start) < 12*time.Minute {
			t.Errorf("sent %d times, %v", n, time.Since(start))
		}
	})
}

func TestBackupEnds(t *testing.T) {
	fault := func(code string) func(*bed) {
		return func(b *bed) {
			b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultError, Times: -1, Error: awssim.Error{Code: code, Message: "m"}})
		}
	}
	for _, c := range []struct {
		name   string
		set    func(*bed)
		phase  backup.Phase
		code   backup.Code
		points int
	}{
		{"quota", fault("SnapshotQuotaExceededFault"), backup.PhaseFailed, backup.ErrQuota, 0},
		{"denied", fault("AccessDenied"), backup.PhaseFailed, backup.ErrDenied, 0},
		{"unsupported", fault("SnapshotFeatureNotSupportedFault"), backup.PhaseFailed, backup.ErrUnsupported, 0},
		{"unknown code", fault("Sabotage"), backup.PhaseFailed, backup.ErrFailed, 0},
		{"it fails later", func(b *bed) {
			b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultAsync})
		}, backup.PhaseFailed, backup.ErrFailed, 1},
		{"gone", func(b *bed) {
			b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Kind: awssim.FaultBlind, Back: 48 * time.Hour, Times: -1})
		}, backup.PhaseFailed, backup.ErrFailed, 1},
		{"gone, as an empty list", func(b *bed) {
			b.sim.EmptyWhenMissing(b.world, true)
			b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Kind: awssim.FaultBlind, Back: 48 * time.Hour, Times: -1})
		}, backup.PhaseFailed, backup.ErrFailed, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.cluster("one")
				c.set(b)
				op := b.run(b.start(cluster("one"), backup.Spec{}))
				b.failed(op, c.phase, c.code)
				if len(op.Points) != c.points {
					t.Errorf("points %v", op.Points)
				}
			})
		})
	}
}

func TestBackupWithSomebodyElse(t *testing.T) {
	// act happens once, while the snapshot is being made or has just been made.
	for _, c := range []struct {
		name  string
		after time.Duration
		act   func(b *bed, name string)
		code  backup.Code
	}{
		{"deletes it", 21 * time.Minute, func(b *bed, name string) {
			_, err := b.api.DeleteSnapshot(b.Context(), &awselasticache.DeleteSnapshotInput{SnapshotName: &name})
			b.ok(err)
		}, backup.ErrFailed},
		{"deletes it and takes its name", 21 * time.Minute, func(b *bed, name string) {
			_, err := b.api.DeleteSnapshot(b.Context(), &awselasticache.DeleteSnapshotInput{SnapshotName: &name})
			b.ok(err)
			time.Sleep(20 * time.Minute)
			b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, name))
		}, backup.ErrConflict},
		{"takes its tags", time.Second, func(b *bed, name string) {
			_, err := b.api.AddTagsToResource(b.Context(), &awselasticache.AddTagsToResourceInput{ResourceName: aws.String(b.snapshots()[0].ARN),
				Tags: []ectypes.Tag{{Key: aws.String(backup.TagToken), Value: aws.String("stolen")}}})
			b.ok(err)
		}, backup.ErrConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.cluster("one")
				acted := false
				op := b.run(b.start(cluster("one"), backup.Spec{}), func(op backup.Operation) {
					if !acted && op.Stage == "wait" {
						acted = true
						time.Sleep(c.after)
						c.act(b, op.Points[0].ID)
					}
				})
				b.failed(op, backup.PhaseFailed, c.code)
				if len(op.Points) != 1 {
					t.Errorf("points %v", op.Points)
				}
			})
		})
	}
}

func TestBackupLooksTwiceAtWhatWasNotSeenBeingMade(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one")
		b.world.SetSpeed(1e9) // as an emulator that is done at once
		op := b.start(cluster("one"), backup.Spec{})
		looks := 0
		op = b.run(op, func(op backup.Operation) {
			if op.Stage == "wait" {
				looks++
			}
		})
		b.succeeded(op)
		if looks < 1 {
			t.Error("it was not looked at")
		}
		// One that was adopted when it was finished is looked at twice.
		op = b.start(cluster("one"), backup.Spec{Token: "second", Name: "second"})
		b.ok(b.sim.AddSnapshots(b.world, account, region, "one", op.OwnTags(op.Ref), "second"))
		looks = 0
		op = b.run(op, func(op backup.Operation) {
			if op.Stage == "wait" {
				looks++
			}
		})
		b.succeeded(op)
		if looks != 2 {
			t.Errorf("looked %d times", looks)
		}
	})
}

func TestFence(t *testing.T) {
	// Whoever has lost the lease sends nothing, and knows that nothing was sent.
	bubble(t, func(b *bed) {
		b.sources()
		for _, op := range []backup.Operation{b.start(cluster("one"), backup.Spec{}), b.startRestore(snapshot("s-one"), elasticache.RestoreOptions{ID: "new"}),
			b.startRestore(snapshot("s-orders"), elasticache.RestoreOptions{ID: "new"}),
			b.startDelete(snapshot("s-one"), backup.Spec{Options: elasticache.DeleteOptions{AllowForeign: true}})} {
			op, err := step(b.TB, b.s, op)
			b.ok(err)
			before := b.sent(op.Next)
			op.Attempt = 1
			over := &backup.Error{Op: "fence", Code: backup.ErrConflict}
			next, err := b.s.Step(backup.WithFence(b.Context(), func() error { return over }), op)
			b.code(err, backup.ErrConflict)
			if n := b.sent(op.Next); n != before || next.Attempt != 0 {
				t.Errorf("%s was sent %d times; attempt %d", op.Next, n-before, next.Attempt)
			}
		}
	})
}

func TestBackupWithoutStoreThrottled(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("orders", 2, 1)
		for _, code := range []string{"Throttling", "APICallRateForCustomerExceeded"} {
			b.world.Inject(awssim.Fault{Kind: awssim.FaultError, Operation: "CreateSnapshot", For: 10 * time.Minute, Error: awssim.Error{Code: code, Message: "Rate exceeded"}})
		}
		r, err := backup.NewRunner([]backup.Strategy{b.s})
		b.ok(err)
		op, err := r.Run(b.Context(), b.start(group("orders"), backup.Spec{}))
		b.ok(err)
		b.succeeded(op)
		if len(b.snapshots()) != 1 {
			t.Errorf("%d snapshots", len(b.snapshots()))
		}
	})
}
