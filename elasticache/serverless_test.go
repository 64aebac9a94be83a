package elasticache_test

import (
	"context"
	"fmt"
	"slices"
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
	"github.com/snapwarden/snapwarden/internal/sweep"
)

func serverless(name string) backup.Ref { return elasticache.Serverless(account, region, name) }
func serverlessSnapshot(name string) backup.Ref {
	return elasticache.ServerlessSnapshot(account, region, name)
}

// serverless makes a serverless cache and waits until it is available.
func (b *bed) serverless(name string, edit ...func(*awselasticache.CreateServerlessCacheInput)) {
	b.Helper()
	in := &awselasticache.CreateServerlessCacheInput{ServerlessCacheName: &name, Engine: aws.String("valkey"), SecurityGroupIds: []string{"sg-source"}}
	for _, f := range edit {
		f(in)
	}
	_, err := b.api.CreateServerlessCache(b.Context(), in)
	b.ok(err)
	time.Sleep(4 * time.Hour)
}

func (b *bed) serverlessSnapshots() []elasticachesim.SnapshotView {
	return b.sim.ServerlessSnapshots(b.world, account, region)
}

func (b *bed) serverlessView(name string) *elasticachesim.ServerlessView {
	for _, c := range b.sim.ServerlessCaches(b.world, account, region) {
		if c.Name == name {
			return &c
		}
	}
	return nil
}

func (b *bed) startServerless(r backup.Ref, o elasticache.ServerlessOptions) backup.Operation {
	b.Helper()
	if o.SecurityGroups == nil {
		o.SecurityGroups = []string{"sg-new"}
	}
	op, err := b.s.StartRestore(b.Context(), r, backup.Spec{Token: "res", Options: o})
	b.ok(err)
	return op
}

// A serverless cache is backed up, its automatic snapshot kept, both listed beside those of clusters, restored and deleted.
func TestServerless(t *testing.T) {
	bubble(t, func(b *bed) {
		b.serverless("web")
		b.cluster("one")
		b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, "same"))
		op := b.run(b.start(serverless("web"), backup.Spec{Name: "Same", Tags: map[string]string{"team": "web"}}))
		b.succeeded(op)
		if op.Points[0] != serverlessSnapshot("same") {
			t.Fatalf("points %v", op.Points)
		}
		auto, err := b.sim.AutomaticSnapshot(b.world, account, region, "web")
		b.ok(err)
		time.Sleep(time.Hour)
		kept := b.run(b.startCopy(serverlessSnapshot(auto), backup.Spec{}))
		b.succeeded(kept)
		_, err = b.api.DeleteServerlessCache(b.Context(), &awselasticache.DeleteServerlessCacheInput{ServerlessCacheName: aws.String("web")})
		b.ok(err)
		time.Sleep(time.Hour)

		list := func(q backup.Query) string {
			time.Sleep(10 * time.Second) // within AWS's request rate
			q.Account, q.Region = account, region
			var all []string
			for p, err := range b.s.List(b.Context(), q) {
				b.ok(err)
				all = append(all, strings.TrimPrefix(p.Type, "elasticache/")+" "+p.ID+" of "+p.Source.ID)
			}
			slices.Sort(all)
			return strings.Join(all, ", ")
		}
		mine, copied := "serverless-snapshot same of web", "serverless-snapshot "+kept.Points[0].ID+" of web"
		for _, c := range []struct {
			q    backup.Query
			want string
		}{
			{backup.Query{}, mine + ", " + copied + ", snapshot same of one"},
			{backup.Query{Types: []string{elasticache.TypeServerlessSnapshot}}, mine + ", " + copied},
			{backup.Query{Types: []string{elasticache.TypeSnapshot}}, "snapshot same of one"},
			{backup.Query{Source: serverless("web")}, mine + ", " + copied},
			{backup.Query{Source: cluster("one")}, "snapshot same of one"},
			{backup.Query{Source: serverless("other")}, ""},
			{backup.Query{Point: serverlessSnapshot("same")}, mine},
			{backup.Query{Point: serverlessSnapshot("none")}, ""},
			{backup.Query{Point: snapshot("same")}, "snapshot same of one"},
			{backup.Query{Tags: map[string]string{"team": "web"}}, mine},
			{backup.Query{Source: serverless("web"), Types: []string{elasticache.TypeSnapshot}}, ""},
		} {
			if got := list(c.q); got != c.want {
				t.Errorf("%+v: %s, want %s", c.q, got, c.want)
			}
		}
		p := b.listed(backup.Query{Types: []string{elasticache.TypeServerlessSnapshot}})["same"]
		if p.Status != backup.StatusAvailable || p.Engine != "valkey" || p.SizeBytes != 5<<20 || p.CreatedAt.IsZero() || len(p.Members) != 0 || !strings.Contains(p.ARN, ":serverlesscachesnapshot:same") {
			t.Errorf("%+v", p)
		}

		o := elasticache.ServerlessOptions{Name: "Web", SecurityGroups: []string{"sg-1", "sg-2"}, Subnets: []string{"subnet-1", "subnet-2"}, UserGroup: "apps", SnapshotRetentionDays: 3, SnapshotTime: "03:00",
			StorageMaxGB: 10, ECPUMin: 1000, ECPUMax: 5000, Description: "again"}
		restore := b.startServerless(op.Points[0], o)
		found, err := b.s.Preflight(b.Context(), restore)
		b.ok(err)
		if len(found) != 0 {
			t.Errorf("preflight %+v", found)
		}
		restore = b.run(restore)
		b.succeeded(restore)
		v := b.serverlessView("web")
		if v == nil || v.From != "same" || v.UserGroup != "apps" || v.Retention != 3 || v.Daily != "03:00" || v.Description != "again" || v.Engine != "valkey" ||
			!cmp.Equal(v.SecurityGroups, o.SecurityGroups) || !cmp.Equal(v.Subnets, o.Subnets) || *v.Limits.DataStorage.Maximum != 10 || v.Limits.DataStorage.Minimum != nil || *v.Limits.ECPUPerSecond.Minimum != 1000 {
			t.Errorf("%+v", v)
		}
		if restore.Made[0] != serverless("web") || len(restore.Endpoints) != 2 || restore.Endpoints[0].Role != "primary" || restore.Endpoints[1].Role != "reader" {
			t.Errorf("%+v", restore)
		}

		b.succeeded(b.run(b.startDelete(op.Points[0], backup.Spec{})))
		b.succeeded(b.run(b.startDelete(kept.Points[0], backup.Spec{})))
		if got := list(backup.Query{}); got != "snapshot same of one" {
			t.Errorf("left are %s", got)
		}
	})
}

func TestServerlessDiscover(t *testing.T) {
	bubble(t, func(b *bed) {
		b.world.SetPageLimit(2)
		for _, n := range []string{"a", "b", "c"} {
			b.serverless(n)
		}
		b.cluster("one")
		b.world.Inject(awssim.Fault{Operation: "CreateServerlessCache", Kind: awssim.FaultAsync})
		b.serverless("broken")
		for _, c := range []struct {
			types []string
			want  int
		}{{nil, 4}, {[]string{elasticache.TypeServerless}, 3}, {[]string{elasticache.TypeCluster}, 1}, {[]string{elasticache.TypeReplicationGroup}, 0}} {
			n := 0
			for r, err := range b.s.Discover(b.Context(), backup.Query{Account: account, Region: region, Types: c.types}) {
				b.ok(err)
				if n++; r.Type == elasticache.TypeServerless && !strings.Contains(r.ARN, ":serverlesscache:"+r.ID) {
					t.Errorf("%+v", r)
				}
			}
			if n != c.want {
				t.Errorf("%v: %d", c.types, n)
			}
		}
	})
}

func TestServerlessRefusals(t *testing.T) {
	b := newBed(t)
	good := elasticache.ServerlessOptions{Name: "new", SecurityGroups: []string{"sg-1"}}
	for name, edit := range map[string]func(o *elasticache.ServerlessOptions){
		"no name":                    func(o *elasticache.ServerlessOptions) { o.Name = "" },
		"a long name":                func(o *elasticache.ServerlessOptions) { o.Name = strings.Repeat("a", 41) },
		"no security groups":         func(o *elasticache.ServerlessOptions) { o.SecurityGroups = nil },
		"a wildcard":                 func(o *elasticache.ServerlessOptions) { o.SecurityGroups = []string{"sg-*"} },
		"a group twice":              func(o *elasticache.ServerlessOptions) { o.SecurityGroups = []string{"sg-1", "sg-1"} },
		"no subnet":                  func(o *elasticache.ServerlessOptions) { o.Subnets = []string{"default"} },
		"a subnet twice":             func(o *elasticache.ServerlessOptions) { o.Subnets = []string{"subnet-1", "subnet-1"} },
		"a bad key":                  func(o *elasticache.ServerlessOptions) { o.KMSKeyID = "alias/x" },
		"a bad user group":           func(o *elasticache.ServerlessOptions) { o.UserGroup = "a b" },
		"a bad version":              func(o *elasticache.ServerlessOptions) { o.MajorVersion = "new" },
		"a long description":         func(o *elasticache.ServerlessOptions) { o.Description = strings.Repeat("a", 256) },
		"too many days":              func(o *elasticache.ServerlessOptions) { o.SnapshotRetentionDays, o.SnapshotTime = 36, "03:00" },
		"days without a time":        func(o *elasticache.ServerlessOptions) { o.SnapshotRetentionDays = 3 },
		"a time without days":        func(o *elasticache.ServerlessOptions) { o.SnapshotTime = "03:00" },
		"no time":                    func(o *elasticache.ServerlessOptions) { o.SnapshotRetentionDays, o.SnapshotTime = 3, "noon" },
		"negative storage":           func(o *elasticache.ServerlessOptions) { o.StorageMaxGB = -1 },
		"a floor above the ceiling":  func(o *elasticache.ServerlessOptions) { o.StorageMinGB, o.StorageMaxGB = 2, 1 },
		"units that contradict also": func(o *elasticache.ServerlessOptions) { o.ECPUMin, o.ECPUMax = 2000, 1000 },
	} {
		o := good
		edit(&o)
		if _, err := b.s.StartRestore(b.Context(), serverlessSnapshot("s"), backup.Spec{Token: "t", Options: o}); backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"options of clusters": second(b.s.StartRestore(b.Context(), serverlessSnapshot("s"), backup.Spec{Token: "t", Options: elasticache.RestoreOptions{ID: "x", SecurityGroups: []string{"sg-1"}}})),
		"options of caches":   second(b.s.StartRestore(b.Context(), snapshot("s"), backup.Spec{Token: "t", Options: good})),
		"another name":        second(b.s.StartRestore(b.Context(), serverlessSnapshot("s"), backup.Spec{Token: "t", Name: "y", Options: good})),
		"a long name":         second(b.s.Start(b.Context(), serverless("web"), backup.Spec{Token: "t", Name: strings.Repeat("a", 256)})),
		"a long cache name":   second(b.s.Start(b.Context(), serverless(strings.Repeat("a", 41)), backup.Spec{Token: "t"})),
		"a snapshot":          second(b.s.Start(b.Context(), serverlessSnapshot("s"), backup.Spec{Token: "t"})),
		"a cache":             second(b.s.StartDelete(b.Context(), serverless("web"), backup.Spec{Token: "t"})),
		"a rebuild":           second(b.s.StartRebuild(b.Context(), serverless("web"), backup.Spec{Token: "t", Options: elasticache.RebuildOptions{}})),
	} {
		if backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := b.s.StartCopy(b.Context(), serverlessSnapshot("s"), backup.Destination{Region: "us-east-1"}, backup.Spec{Token: "t"})
	b.code(err, backup.ErrUnsupported)
	if _, err := b.s.Start(b.Context(), serverless("web"), backup.Spec{Token: "t", Name: strings.Repeat("a", 255)}); err != nil {
		t.Error(err)
	}
	if n := len(b.world.Calls()); n != 0 {
		t.Errorf("Start made %d calls", n)
	}
}

func second(_ backup.Operation, err error) error { return err }

// TestServerlessStatuses meets every status, in whatever case AWS writes it, of what is acted upon and of what is made.
func TestServerlessStatuses(t *testing.T) {
	const hold = 40 * time.Minute
	cacheMeans := map[string]backup.Code{"available": goesOn, "CREATING": waits, "modifying": waits, "never-heard-of": waits, "DELETING": backup.ErrNotFound, "CREATE-FAILED": backup.ErrUnsupported}
	restore := func(b *bed) backup.Operation {
		return b.startServerless(serverlessSnapshot("s"), elasticache.ServerlessOptions{Name: "new"})
	}
	for _, c := range []struct {
		name, held string
		means      map[string]backup.Code
		start      func(b *bed) backup.Operation
	}{
		{"backup", "web", cacheMeans, func(b *bed) backup.Operation { return b.start(serverless("web"), backup.Spec{}) }},
		{"copy", "s", sourceMeans, func(b *bed) backup.Operation { return b.startCopy(serverlessSnapshot("s"), backup.Spec{}) }},
		{"restore", "s", sourceMeans, restore},
		{"deletion", "s", deletionMeans, func(b *bed) backup.Operation {
			return b.startDelete(serverlessSnapshot("s"), backup.Spec{Options: elasticache.DeleteOptions{AllowForeign: true}})
		}},
	} {
		for status, means := range c.means {
			t.Run(c.name+" "+status, func(t *testing.T) {
				bubble(t, func(b *bed) {
					b.serverless("web")
					b.ok(b.sim.AddServerlessSnapshots(b.world, account, region, "web", nil, "s"))
					d := hold
					if means != goesOn && means != waits {
						d = 40 * time.Hour
					}
					b.ok(b.sim.Hold(b.world, account, region, c.held, status, d))
					before, began, early := b.changed(), time.Now(), false
					op := c.start(b)
					_, err := b.s.Preflight(b.Context(), op)
					b.ok(err)
					op = b.run(op, func(backup.Operation) { early = early || b.changed() > before && time.Since(began) < hold-time.Minute })
					if means != goesOn && means != waits {
						b.failed(op, backup.PhaseFailed, means)
						if b.changed() != before {
							t.Error("something was sent")
						}
						return
					}
					b.succeeded(op)
					if early == (means == waits) || findings(op)["elasticache.unknown-status"] != (status == "never-heard-of") {
						t.Errorf("sent before it was over: %v; %+v", early, op.Findings)
					}
				})
			})
		}
	}
	for status, means := range map[string]backup.Code{"CREATING": waits, "MODIFYING": waits, "never-heard-of": waits, "CREATE-FAILED": backup.ErrFailed, "DELETING": backup.ErrFailed} {
		t.Run("made "+status, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.serverless("web")
				b.ok(b.sim.AddServerlessSnapshots(b.world, account, region, "web", nil, "s"))
				held := false
				op := b.run(restore(b), func(op backup.Operation) {
					if op.Stage == "wait" && !held {
						held = true
						b.ok(b.sim.Hold(b.world, account, region, "new", status, time.Hour))
					}
				})
				if means == waits {
					b.succeeded(op)
				} else {
					b.failed(op, backup.PhaseFailed, means)
				}
				if !cmp.Equal(op.Made, backup.Refs{serverless("new")}) {
					t.Errorf("made %v", op.Made)
				}
			})
		})
	}
}

// What the restored cache can be reached by is compared with what was asked for.
func TestServerlessMoreExposedThanAsked(t *testing.T) {
	bubble(t, func(b *bed) {
		b.serverless("web")
		b.ok(b.sim.AddServerlessSnapshots(b.world, account, region, "web", nil, "s"))
		op := b.startServerless(serverlessSnapshot("s"), elasticache.ServerlessOptions{Name: "new"})
		found, err := b.s.Preflight(b.Context(), op)
		b.ok(err)
		if len(found) != 1 || found[0].ID != "elasticache.open-access" {
			t.Errorf("%+v", found)
		}
		done := false
		op = b.run(op, func(op backup.Operation) {
			if op.Stage == "wait" && !done {
				done = true
				b.ok(b.sim.Expose(b.world, account, region, "new", "sg-open"))
			}
		})
		b.failed(op, backup.PhaseFailed, backup.ErrFailed)
		if !strings.Contains(op.Failure.Message, "sg-open") {
			t.Errorf("%+v", op.Failure)
		}
	})
}

func TestServerlessErrors(t *testing.T) {
	bubble(t, func(b *bed) {
		b.serverless("web")
		b.ok(b.sim.AddServerlessSnapshots(b.world, account, region, "web", nil, "s"))
		b.failed(b.run(b.startServerless(serverlessSnapshot("s"), elasticache.ServerlessOptions{Name: "web"})), backup.PhaseFailed, backup.ErrConflict)
		b.failed(b.run(b.start(serverless("web"), backup.Spec{Name: "s"})), backup.PhaseFailed, backup.ErrConflict)
		b.failed(b.run(b.start(serverless("none"), backup.Spec{})), backup.PhaseFailed, backup.ErrNotFound)
		b.failed(b.run(b.startServerless(serverlessSnapshot("s"), elasticache.ServerlessOptions{Name: "older", MajorVersion: "7"})), backup.PhaseFailed, backup.ErrUnsupported)
		b.failed(b.run(b.startDelete(serverlessSnapshot("s"), backup.Spec{})), backup.PhaseFailed, backup.ErrConflict) // not ours
		auto, err := b.sim.AutomaticSnapshot(b.world, account, region, "web")
		b.ok(err)
		time.Sleep(time.Hour)
		b.failed(b.run(b.startDelete(serverlessSnapshot(auto), backup.Spec{Options: elasticache.DeleteOptions{AllowForeign: true}})), backup.PhaseFailed, backup.ErrUnsupported)
		var names []string
		for i := range 24 {
			names = append(names, fmt.Sprint("n", i))
		}
		b.ok(b.sim.AddServerlessSnapshots(b.world, account, region, "web", nil, names...))
		time.Sleep(time.Minute)
		found, err := b.s.Preflight(b.Context(), b.start(serverless("web"), backup.Spec{}))
		b.ok(err)
		if len(found) != 1 || found[0].ID != "elasticache.quota" {
			t.Errorf("%+v", found)
		}
		b.world.Inject(awssim.Fault{Operation: "CreateServerlessCacheSnapshot", Kind: awssim.FaultError, Error: awssim.Error{Code: "ServerlessCacheSnapshotQuotaExceededFault", Message: "m"}})
		b.failed(b.run(b.start(serverless("web"), backup.Spec{Token: "q"})), backup.PhaseFailed, backup.ErrQuota)
	})
}

// serverlessFlow is a workflow of a serverless cache; count tells how many things carry the Operation's token, and which are listed nowhere.
func serverlessFlow(name string, start func(context.Context, *elasticache.Strategy) (backup.Operation, error), deletes bool) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := newBed(t.(*testing.T))
		b.serverless("web")
		own := map[string]string{backup.TagOwner: backup.DefaultOwner, backup.TagToken: "op-x", backup.TagSource: serverless("web").Tag()}
		b.ok(b.sim.AddServerlessSnapshots(b.world, account, region, "web", own, "first", "other"))
		time.Sleep(4 * time.Hour)
		made := func(op backup.Operation) (all backup.Refs, good bool) {
			good = true
			for _, s := range b.serverlessSnapshots() {
				if s.Tags[backup.TagToken] == op.ID {
					all, good = append(all, serverlessSnapshot(s.Name)), good && s.Status == "available"
				}
			}
			for _, c := range b.sim.ServerlessCaches(b.world, account, region) {
				if c.Tags[backup.TagToken] == op.ID {
					all, good = append(all, serverless(c.Name)), good && c.Status == "available"
				}
			}
			return all, good
		}
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newPatientStrategy, MayFail: !deletes,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return start(ctx, s.(*elasticache.Strategy))
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				all, good := made(op)
				if op.Phase == backup.PhaseSucceeded && !deletes && (len(all) != 1 || !good) {
					bad = append(bad, fmt.Sprintf("I3: success with %v", all))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				all, _ := made(op)
				if !deletes && len(all) != 1 {
					bad = append(bad, fmt.Sprintf("I1: %v carry the token", all))
				}
				for _, r := range all {
					if !slices.Contains(op.Points, r) && !slices.Contains(op.Made, r) {
						bad = append(bad, "I17: "+r.String()+" is listed nowhere")
					}
				}
				left := 0
				for _, s := range b.serverlessSnapshots() {
					if s.Name == "other" || s.Name == "first" {
						left++
					}
				}
				if deletes && left != 1 || !deletes && left != 2 {
					bad = append(bad, fmt.Sprintf("I4 I8: %d snapshots are left", left))
				}
				return bad
			},
		}
	}}
}

func serverlessFlows() []sweep.Workflow {
	spec := backup.Spec{Token: "tonight"}
	return []sweep.Workflow{
		serverlessFlow("elasticache-serverless-backup", func(ctx context.Context, s *elasticache.Strategy) (backup.Operation, error) {
			return s.Start(ctx, serverless("web"), spec)
		}, false),
		serverlessFlow("elasticache-serverless-copy", func(ctx context.Context, s *elasticache.Strategy) (backup.Operation, error) {
			return s.StartCopy(ctx, serverlessSnapshot("first"), backup.Destination{}, spec)
		}, false),
		serverlessFlow("elasticache-serverless-restore", func(ctx context.Context, s *elasticache.Strategy) (backup.Operation, error) {
			return s.StartRestore(ctx, serverlessSnapshot("first"), backup.Spec{Token: "tonight", Options: elasticache.ServerlessOptions{Name: "web-2", SecurityGroups: []string{"sg-1"}}})
		}, false),
		serverlessFlow("elasticache-serverless-delete", func(ctx context.Context, s *elasticache.Strategy) (backup.Operation, error) {
			return s.StartDelete(ctx, serverlessSnapshot("first"), spec)
		}, true),
		serverlessDailyFlow(),
	}
}
