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
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/elasticache"
)

func (b *bed) startCopy(r backup.Ref, spec backup.Spec, to ...backup.Destination) backup.Operation {
	b.Helper()
	if spec.Token == "" {
		spec.Token = "cp"
	}
	op, err := b.s.StartCopy(b.Context(), r, append(to, backup.Destination{})[0], spec)
	b.ok(err)
	return op
}

// automatic has AWS take an automatic snapshot, and waits until it is there.
func (b *bed) automatic(source string) backup.Ref {
	b.Helper()
	name, err := b.sim.AutomaticSnapshot(b.world, account, region, source)
	b.ok(err)
	time.Sleep(time.Hour)
	return snapshot(name)
}

func (b *bed) listed(q backup.Query) map[string]backup.RecoveryPoint {
	b.Helper()
	q.Account, q.Region = account, region
	m := map[string]backup.RecoveryPoint{}
	for p, err := range b.s.List(b.Context(), q) {
		b.ok(err)
		m[p.ID] = p
	}
	return m
}

// An automatic snapshot goes with its cluster; its copy stays, is a recovery point of what the source was of, as old as the source, and can be
// restored and deleted like any other.
func TestCopyKeepsAnAutomaticSnapshot(t *testing.T) {
	for _, c := range []struct {
		name, source string
		want         backup.Ref
	}{
		{"of a cluster", "one", cluster("one")},
		{"of a group", "sessions", group("sessions")},
		{"of a group with cluster mode", "orders", group("orders")},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.sources()
				auto := b.automatic(c.source)
				taken := b.listed(backup.Query{})[auto.ID].CreatedAt
				time.Sleep(12 * time.Hour)
				op := b.run(b.startCopy(auto, backup.Spec{Tags: map[string]string{"team": "cache"}}))
				b.succeeded(op)
				if len(op.Points) != 1 || !strings.HasPrefix(op.Points[0].ID, "sw-") {
					t.Fatalf("points %v", op.Points)
				}
				if c.source == "one" {
					_, err := b.api.DeleteCacheCluster(b.Context(), &awselasticache.DeleteCacheClusterInput{CacheClusterId: &c.source})
					b.ok(err)
				} else {
					_, err := b.api.DeleteReplicationGroup(b.Context(), &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: &c.source})
					b.ok(err)
				}
				time.Sleep(time.Hour)
				all := b.listed(backup.Query{})
				if _, there := all[auto.ID]; there {
					t.Error("the automatic snapshot is still there")
				}
				p, ok := all[op.Points[0].ID]
				if !ok {
					t.Fatal("the copy went too")
				}
				if p.Source != c.want || !p.CreatedAt.Equal(taken) || p.Automated || p.Status != backup.StatusAvailable || p.Tags["team"] != "cache" || p.Tags["snapwarden:copy-of"] != auto.ID {
					t.Errorf("%+v, taken %v", p, taken)
				}
				if of := b.listed(backup.Query{Source: c.want}); of[p.ID].ID == "" {
					t.Error("it is not listed under its source")
				}
				b.succeeded(b.run(b.startRestore(p.Ref, elasticache.RestoreOptions{ID: "again"})))
				b.succeeded(b.run(b.startDelete(p.Ref, backup.Spec{})))
			})
		})
	}
}

// A copy of a copy is as old as the first, and belongs to the same resource.
func TestCopyOfACopy(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("sessions", 0, 1)
		point := b.backedUpBy("tonight", group("sessions"))
		first := b.run(b.startCopy(point, backup.Spec{Name: "First"}))
		b.succeeded(first)
		time.Sleep(24 * time.Hour)
		second := b.run(b.startCopy(first.Points[0], backup.Spec{}))
		b.succeeded(second)
		all := b.listed(backup.Query{Source: group("sessions")})
		if len(all) != 3 || first.Points[0] != snapshot("first") {
			t.Errorf("%d recovery points, %v", len(all), first.Points)
		}
		for _, p := range all {
			if !p.CreatedAt.Equal(all[point.ID].CreatedAt) {
				t.Errorf("%s is of %v", p.ID, p.CreatedAt)
			}
		}
	})
}

func TestStartCopyRefusals(t *testing.T) {
	b := newBed(t)
	tags := map[string]string{}
	for i := range 46 {
		tags[fmt.Sprint("k", i)] = "v"
	}
	point := snapshot("first")
	for _, c := range []struct {
		name string
		ref  backup.Ref
		to   backup.Destination
		spec backup.Spec
		code backup.Code
		hint string
	}{
		{"another Region", point, backup.Destination{Account: account, Region: "us-east-1"}, backup.Spec{}, backup.ErrUnsupported, "export"},
		{"another account", point, backup.Destination{Account: "444455556666"}, backup.Spec{}, backup.ErrUnsupported, "StartSeed"},
		{"no account", point, backup.Destination{Account: "12"}, backup.Spec{}, backup.ErrInvalid, ""},
		{"a wildcard", point, backup.Destination{Region: "*"}, backup.Spec{}, backup.ErrInvalid, ""},
		{"a resource", group("sessions"), backup.Destination{}, backup.Spec{}, backup.ErrInvalid, ""},
		{"its own name", point, backup.Destination{}, backup.Spec{Name: "First"}, backup.ErrInvalid, "Spec.Name"},
		{"bad name", point, backup.Destination{}, backup.Spec{Name: "a--b"}, backup.ErrInvalid, "Spec.Name"},
		{"automatic name", point, backup.Destination{}, backup.Spec{Name: "automatic.x"}, backup.ErrInvalid, "Spec.Name"},
		{"bad key", point, backup.Destination{KMSKeyID: "alias/x"}, backup.Spec{}, backup.ErrInvalid, "ARN"},
		{"a key of another Region", point, backup.Destination{KMSKeyID: "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555"}, backup.Spec{}, backup.ErrInvalid, region},
		{"one tag too many", point, backup.Destination{}, backup.Spec{Tags: tags}, backup.ErrInvalid, "50"},
		{"options", point, backup.Destination{}, backup.Spec{Options: elasticache.BackupOptions{}}, backup.ErrInvalid, ""},
	} {
		c.spec.Token = "t"
		_, err := b.s.StartCopy(b.Context(), c.ref, c.to, c.spec)
		if backup.CodeOf(err) != c.code || !strings.Contains(backup.HintOf(err), c.hint) || backup.HintOf(err) == "" {
			t.Errorf("%s: %v, hint %q", c.name, err, backup.HintOf(err))
		}
	}
	if n := len(b.world.Calls()); n != 0 {
		t.Errorf("Start made %d calls", n)
	}
}

func TestCopyRefusedByTheSource(t *testing.T) {
	for _, c := range []struct {
		name, point string
		code        backup.Code
	}{
		{"there is none", "s-none", backup.ErrNotFound},
		{"it failed", "s-failed", backup.ErrUnsupported},
		{"it is being deleted", "s-deleting", backup.ErrNotFound},
		{"the name is taken", "s-one", backup.ErrConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.sources()
				b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, "s-failed", "s-deleting", "mine"))
				b.ok(b.sim.Hold(b.world, account, region, "s-failed", "failed", 100*time.Hour))
				b.ok(b.sim.Hold(b.world, account, region, "s-deleting", "deleting", 100*time.Hour))
				op := b.startCopy(snapshot(c.point), backup.Spec{Name: "mine"})
				found, err := b.s.Preflight(b.Context(), op)
				b.ok(err)
				if len(found) == 0 || found[0].Severity != backup.SeverityError || found[0].Remedy == "" {
					t.Errorf("preflight %+v", found)
				}
				op = b.run(op)
				b.failed(op, backup.PhaseFailed, c.code)
				if op.Failure.Hint == "" || len(op.Points) != 0 {
					t.Errorf("%+v, %v", op.Failure, op.Points)
				}
			})
		})
	}
}

// A source that is busy is waited for, whatever keeps it.
func TestCopyWaitsForItsSource(t *testing.T) {
	for _, status := range []string{"creating", "copying", "restoring", "never-heard-of"} {
		t.Run(status, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.sources()
				b.ok(b.sim.Hold(b.world, account, region, "s-one", status, 30*time.Minute))
				op := b.startCopy(snapshot("s-one"), backup.Spec{})
				found, err := b.s.Preflight(b.Context(), op)
				b.ok(err)
				if len(found) != 1 || found[0].ID != "elasticache.not-yet" {
					t.Errorf("preflight %+v", found)
				}
				began := time.Now()
				op = b.run(op)
				b.succeeded(op)
				if d := time.Since(began); d < 30*time.Minute {
					t.Errorf("took %v", d)
				}
				if unknown := findings(op)["elasticache.unknown-status"]; unknown != (status == "never-heard-of") {
					t.Errorf("findings %+v", op.Findings)
				}
				if n := b.sent("CopySnapshot"); n != 1 {
					t.Errorf("sent %d times", n)
				}
			})
		})
	}
}

// Between the look and the call the source is replaced by another of the name: that is not what was asked for.
func TestCopyOfAReplacedSource(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		op := b.startCopy(snapshot("s-one"), backup.Spec{})
		op, err := step(b.TB, b.s, op)
		b.ok(err)
		if op.Next != "CopySnapshot" {
			t.Fatalf("next %q", op.Next)
		}
		b.ok(b.sim.Vanish(b.world, account, region, "s-one"))
		time.Sleep(time.Minute)
		b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, "s-one"))
		b.failed(b.run(op), backup.PhaseFailed, backup.ErrConflict)
		if n := b.sent("CopySnapshot"); n != 0 {
			t.Errorf("sent %d times", n)
		}
	})
}

// The same while the source is away for a while, and after a refusal for now.
func TestCopyOfASourceReplacedWhileParked(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Kind: awssim.FaultError, Error: awssim.Error{Code: "InvalidSnapshotState", Message: "m"}})
		op := b.startCopy(snapshot("s-one"), backup.Spec{})
		replaced := false
		op = b.run(op, func(op backup.Operation) {
			if !replaced && b.sent("CopySnapshot") == 1 {
				replaced = true
				b.ok(b.sim.Vanish(b.world, account, region, "s-one"))
				time.Sleep(time.Minute)
				b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, "s-one"))
			}
		})
		b.failed(op, backup.PhaseFailed, backup.ErrConflict)
		if n := b.sent("CopySnapshot"); n != 1 {
			t.Errorf("sent %d times", n)
		}
	})
}

func TestCopyKeys(t *testing.T) {
	const key = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
	other := strings.Replace(key, "key/1", "key/2", 1)
	for _, c := range []struct{ name, of, to, want string }{{"none", "", "", ""}, {"kept", key, "", key}, {"new", "", key, key}, {"changed", key, other, other}} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.cluster("one")
				in := &awselasticache.CreateSnapshotInput{SnapshotName: aws.String("first"), CacheClusterId: aws.String("one")}
				if c.of != "" {
					in.KmsKeyId = &c.of
				}
				_, err := b.api.CreateSnapshot(b.Context(), in)
				b.ok(err)
				time.Sleep(time.Hour)
				op := b.startCopy(snapshot("first"), backup.Spec{Name: "second"}, backup.Destination{Account: account, Region: region, KMSKeyID: c.to})
				found, err := b.s.Preflight(b.Context(), op)
				b.ok(err)
				if said := len(found) == 1 && found[0].ID == "elasticache.copy-key"; said != (c.want != "") {
					t.Errorf("preflight %+v", found)
				}
				b.succeeded(b.run(op))
				for _, x := range b.snapshots() {
					if x.Name == "second" && x.KMSKeyID != c.want {
						t.Errorf("the key is %q", x.KMSKeyID)
					}
				}
			})
		})
	}
}

func TestCopyFails(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Kind: awssim.FaultAsync})
		op := b.run(b.startCopy(snapshot("s-one"), backup.Spec{}))
		b.failed(op, backup.PhaseFailed, backup.ErrFailed)
		if len(op.Points) != 1 || !strings.Contains(op.Failure.Hint, "copy again") {
			t.Errorf("%v, %+v", op.Points, op.Failure)
		}
	})
}

// Somebody else's snapshot, or another that carries the token, is never taken over.
func TestCopyAdoptsOnlyItsOwn(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(b *bed, token string)
		want backup.Code
	}{
		{"its own", func(*bed, string) {}, ""},
		{"a copy of something else", func(b *bed, token string) {
			b.ok(b.sim.AddSnapshots(b.world, account, region, "sessions", map[string]string{backup.TagToken: token, backup.TagSource: cluster("one").String()}, "second"))
		}, backup.ErrConflict},
		{"another source tag", func(b *bed, token string) {
			b.ok(b.sim.AddSnapshots(b.world, account, region, "one", map[string]string{backup.TagToken: token, backup.TagSource: cluster("two").String()}, "second"))
		}, backup.ErrConflict},
		{"another token", func(b *bed, token string) {
			b.ok(b.sim.AddSnapshots(b.world, account, region, "one", map[string]string{backup.TagSource: cluster("one").String()}, "second"))
		}, backup.ErrConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.sources()
				op := b.startCopy(snapshot("s-one"), backup.Spec{Name: "second"})
				kind := awssim.FaultDieBefore
				if c.want == "" {
					kind = awssim.FaultLostReply
				}
				b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Kind: kind})
				set := false
				op = b.run(op, func(op backup.Operation) {
					if !set && b.sent("CopySnapshot") > 0 {
						set = true
						c.set(b, op.ID)
					}
				})
				if c.want != "" {
					b.failed(op, backup.PhaseFailed, c.want)
					return
				}
				b.succeeded(op)
				if n := b.sent("CopySnapshot"); n != 1 {
					t.Errorf("sent %d times", n)
				}
				again := b.run(b.startCopy(snapshot("s-one"), backup.Spec{Name: "second", Token: "another"}))
				b.failed(again, backup.PhaseFailed, backup.ErrConflict)
			})
		})
	}
}

// An Operation without a Store looks once and takes over what it finds.
func TestCopyWithoutAStore(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		run := func() backup.Operation {
			runner, err := backup.NewRunner([]backup.Strategy{b.s})
			b.ok(err)
			op, err := runner.Run(b.Context(), b.startCopy(snapshot("s-one"), backup.Spec{}))
			b.ok(err)
			return op
		}
		first := run()
		if d := cmp.Diff(first.Points, run().Points); d != "" {
			t.Error(d)
		}
		if n := b.sent("CopySnapshot"); n != 1 {
			t.Errorf("sent %d times", n)
		}
	})
}

func TestCopyCancel(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		op, err := b.s.Cancel(b.Context(), b.startCopy(snapshot("s-one"), backup.Spec{}))
		b.ok(err)
		b.failed(b.run(op), backup.PhaseCanceled, backup.ErrCanceled)
		op = b.startCopy(snapshot("s-one"), backup.Spec{Token: "second"})
		for b.sent("CopySnapshot") == 0 {
			op, err = step(b.TB, b.s, op)
			b.ok(err)
		}
		_, err = b.s.Cancel(b.Context(), op)
		b.code(err, backup.ErrUnsupported)
		op.State = []byte(`{}`)
		_, err = b.s.Step(b.Context(), op)
		b.code(err, backup.ErrInvalid)
	})
}

// The member that an automatic snapshot names is told by its group, unless it is another of the id now.
func TestCopyLineageOfAReusedID(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("sessions", 0, 0)
		auto := b.automatic("sessions-001")
		b.succeeded(b.run(b.startCopy(auto, backup.Spec{Name: "kept"})))
		_, err := b.api.DeleteReplicationGroup(b.Context(), &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String("sessions")})
		b.ok(err)
		time.Sleep(time.Hour)
		b.cluster("sessions-001")
		b.ok(b.sim.AddSnapshots(b.world, account, region, "sessions-001", nil, "single"))
		_, err = b.api.DeleteCacheCluster(b.Context(), &awselasticache.DeleteCacheClusterInput{CacheClusterId: aws.String("sessions-001")})
		b.ok(err)
		time.Sleep(time.Hour)
		b.group("sessions", 0, 0)
		b.succeeded(b.run(b.startCopy(snapshot("single"), backup.Spec{Name: "single-kept"})))
		all := b.listed(backup.Query{})
		if all["kept"].Source != group("sessions") || all["single-kept"].Source != cluster("sessions-001") {
			t.Errorf("%v, %v", all["kept"].Source, all["single-kept"].Source)
		}
	})
}

// onlyOne is what the sweep asks when all is quiet: one snapshot carries the token, and it is listed.
func (b *bed) onlyOne(op backup.Operation, what string) (made []elasticachesim.SnapshotView, bad []string) {
	made = b.snapshotsOf(op)
	if len(made) != 1 {
		bad = append(bad, fmt.Sprintf("I1: %d %s carry the token", len(made), what))
	}
	for _, s := range made {
		listed := false
		for _, p := range op.Points {
			listed = listed || p == snapshot(s.Name)
		}
		if !listed {
			bad = append(bad, "I17: "+s.Name+" is listed nowhere")
		}
	}
	return made, bad
}
