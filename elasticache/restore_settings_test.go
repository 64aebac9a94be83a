package elasticache_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/smithy-go/logging"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/s3export"
)

const canary = "Canary!&#$^<>-0123456789"

// withAuth makes the bed's strategy one whose function gives a token.
func (b *bed) withAuth(cfg aws.Config, f func(context.Context, backup.Ref) (string, error)) {
	b.s = elasticache.NewFromConfig(cfg, func(o *elasticache.Options) { o.AuthToken = f })
}

func giveCanary(context.Context, backup.Ref) (string, error) { return canary, nil }

// everySetting are options in which everything is set that one call can have.
func everySetting() elasticache.RestoreOptions {
	return elasticache.RestoreOptions{ID: "new", SecurityGroups: []string{"sg-1"}, SubnetGroup: "default", Port: 7000, ReplicasPerNodeGroup: aws.Int32(2),
		MultiAZ: true, AutomaticFailover: true, KMSKeyID: "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555",
		TransitEncryption: true, TransitMode: elasticache.TransitRequired, AuthToken: true, MaintenanceWindow: "sun:23:00-mon:01:30",
		SnapshotRetentionDays: 7, SnapshotWindow: "03:00-04:30", Description: "all of it", AutoMinorVersionUpgrade: aws.Bool(false),
		LogDelivery: []elasticache.LogDelivery{{Log: "slow-log", To: "cloudwatch-logs", Name: "/cache/slow", Format: "json"},
			{Log: "engine-log", To: "kinesis-firehose", Name: "engine", Format: "text"}}}
}

func TestRestoreSettings(t *testing.T) {
	t.Run("a group", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.sources()
			b.withAuth(b.world.Config(account, region), giveCanary)
			op := b.run(b.startRestore(snapshot("s-sessions"), everySetting()))
			b.succeeded(op)
			g := b.groupView("new")
			got := fmt.Sprintln(g.Failover, g.MultiAZ, g.Transit, g.TransitMode, g.AtRest, g.KMSKeyID != "", g.Maintenance, g.Retention, g.Window, g.Port, g.MinorUpgrade, len(g.Shards[0]), g.AuthToken == canary, g.Logs)
			want := "true true true required true true sun:23:00-mon:01:30 7 03:00-04:30 7000 false 3 true [slow-log to cloudwatch-logs /cache/slow as json engine-log to kinesis-firehose engine as text]\n"
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	})
	t.Run("a cluster", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.sources()
			b.withAuth(b.world.Config(account, region), giveCanary)
			o := everySetting()
			o.ReplicasPerNodeGroup, o.MultiAZ, o.AutomaticFailover, o.KMSKeyID, o.TransitMode = nil, false, false, "", ""
			b.succeeded(b.run(b.startRestore(snapshot("s-one"), o)))
			x := b.clusterView("new")
			got := fmt.Sprintln(x.Transit, x.Maintenance, x.Retention, x.Window, x.Port, x.AuthToken == canary, len(x.Logs))
			if got != "true sun:23:00-mon:01:30 7 03:00-04:30 7000 true 2\n" {
				t.Error(got)
			}
		})
	})
	t.Run("failover without zones", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.sources()
			b.succeeded(b.run(b.startRestore(snapshot("s-one"), elasticache.RestoreOptions{ID: "new", AutomaticFailover: true, ReplicasPerNodeGroup: aws.Int32(1)})))
			if g := b.groupView("new"); !g.Failover || g.MultiAZ || g.Retention != 0 {
				t.Errorf("%+v", g)
			}
		})
	})
	t.Run("users and the mode", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.sources()
			b.succeeded(b.run(b.startRestore(snapshot("s-one"), elasticache.RestoreOptions{ID: "new", SubnetGroup: "default", TransitEncryption: true, UserGroups: []string{"apps"}})))
			op := b.startRestore(snapshot("s-one"), elasticache.RestoreOptions{ID: "soft", SubnetGroup: "default", TransitEncryption: true, TransitMode: elasticache.TransitPreferred})
			found, err := b.s.Preflight(b.Context(), op)
			b.ok(err)
			if len(found) != 1 || found[0].ID != "elasticache.open-access" {
				t.Errorf("%+v", found)
			}
			b.succeeded(b.run(op))
			if g, soft := b.groupView("new"), b.groupView("soft"); !cmp.Equal(g.UserGroups, []string{"apps"}) || g.TransitMode != "required" || soft.TransitMode != "preferred" {
				t.Errorf("%+v %+v", g, soft)
			}
		})
	})
}

// A seeding takes the same settings, in the same call.
func TestSeedSettings(t *testing.T) {
	bubble(t, func(b *bed) {
		b.withAuth(b.world.Config(account, region), giveCanary)
		m := s3export.Manifest{Version: 1, Operation: "op-x", Name: "night", Bucket: "exports", Account: account, Region: region, Source: snapshot("s"), Of: "one", Engine: "redis",
			EngineVersion: "7.1.0", Exported: time.Now(), Shards: []s3export.Shard{{ID: "0001", Key: "night-0001.rdb", Size: 9, SHA256: strings.Repeat("a", 64), Format: "REDIS", RDBVersion: 11}}}
		point := backup.Ref{Type: s3export.TypeElastiCache, Account: account, Region: region, ID: "exports/" + s3export.ManifestKey("night")}
		o := everySetting()
		o.NodeType, o.EngineVersion = "cache.r7g.large", "7.1"
		op, err := b.s.StartSeed(b.Context(), point, m, backup.Spec{Token: "t", Options: o})
		b.ok(err)
		b.failed(b.run(op), backup.PhaseFailed, backup.ErrInvalid) // there is no such bucket
		seeded := b.created()
		b.sources()
		b.succeeded(b.run(b.startRestore(snapshot("s-one"), o)))
		restored := b.created()
		if len(seeded.SnapshotArns) != 1 || aws.ToString(restored.SnapshotName) != "s-one" || aws.ToString(seeded.AuthToken) != canary {
			t.Errorf("%+v, %+v", seeded.SnapshotArns, restored.SnapshotName)
		}
		seeded.SnapshotArns, restored.SnapshotName, seeded.Tags, restored.Tags = nil, nil, nil, nil
		if d := cmp.Diff(fmt.Sprintf("%+v", flat(seeded)), fmt.Sprintf("%+v", flat(restored))); d != "" {
			t.Error(d)
		}
		without := elasticache.NewFromConfig(b.world.Config(account, region))
		_, err = without.StartSeed(b.Context(), point, m, backup.Spec{Token: "t", Options: o})
		b.code(err, backup.ErrInvalid)
	})
}

func flat(in *awselasticache.CreateReplicationGroupInput) string {
	text, err := json.Marshal(in)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// created gives a copy of the last CreateReplicationGroup.
func (b *bed) created() *awselasticache.CreateReplicationGroupInput {
	var last *awselasticache.CreateReplicationGroupInput
	for _, c := range b.world.Calls() {
		if in, ok := c.Input.(*awselasticache.CreateReplicationGroupInput); ok {
			last = in
		}
	}
	in := *last
	return &in
}

func TestSettingsRefused(t *testing.T) {
	b := newBed(t)
	log := elasticache.LogDelivery{Log: "slow-log", To: "cloudwatch-logs", Name: "/a", Format: "json"}
	logs := func(edit func(*elasticache.LogDelivery)) func(*elasticache.RestoreOptions) {
		return func(o *elasticache.RestoreOptions) {
			l := log
			edit(&l)
			o.LogDelivery = []elasticache.LogDelivery{l}
		}
	}
	for name, edit := range map[string]func(o *elasticache.RestoreOptions){
		"too many days":               func(o *elasticache.RestoreOptions) { o.SnapshotRetentionDays = 36 },
		"negative days":               func(o *elasticache.RestoreOptions) { o.SnapshotRetentionDays = -1 },
		"a window without retention":  func(o *elasticache.RestoreOptions) { o.SnapshotWindow = "03:00-05:00" },
		"half an hour":                func(o *elasticache.RestoreOptions) { o.SnapshotWindow, o.SnapshotRetentionDays = "03:00-03:30", 1 },
		"no window":                   func(o *elasticache.RestoreOptions) { o.SnapshotWindow, o.SnapshotRetentionDays = "night", 1 },
		"a window of no length":       func(o *elasticache.RestoreOptions) { o.SnapshotWindow, o.SnapshotRetentionDays = "03:00-03:00", 1 },
		"no such hour":                func(o *elasticache.RestoreOptions) { o.SnapshotWindow, o.SnapshotRetentionDays = "23:00-24:00", 1 },
		"one digit":                   func(o *elasticache.RestoreOptions) { o.SnapshotWindow, o.SnapshotRetentionDays = "3:00-05:00", 1 },
		"a daily maintenance window":  func(o *elasticache.RestoreOptions) { o.MaintenanceWindow = "03:00-05:00" },
		"no such day":                 func(o *elasticache.RestoreOptions) { o.MaintenanceWindow = "son:03:00-mon:05:00" },
		"a short maintenance window":  func(o *elasticache.RestoreOptions) { o.MaintenanceWindow = "sun:23:30-mon:00:15" },
		"mode without TLS":            func(o *elasticache.RestoreOptions) { o.TransitEncryption, o.TransitMode = false, "required" },
		"another mode":                func(o *elasticache.RestoreOptions) { o.TransitMode = "sometimes" },
		"a token without TLS":         func(o *elasticache.RestoreOptions) { o.TransitEncryption, o.AuthToken = false, true },
		"a token and users":           func(o *elasticache.RestoreOptions) { o.AuthToken, o.UserGroups = true, []string{"u"} },
		"a token in the clear":        func(o *elasticache.RestoreOptions) { o.AuthToken, o.TransitMode = true, "preferred" },
		"users in the clear":          func(o *elasticache.RestoreOptions) { o.UserGroups, o.TransitMode = []string{"u"}, "preferred" },
		"a token and no function":     func(o *elasticache.RestoreOptions) { o.AuthToken = true },
		"failover without a replica":  func(o *elasticache.RestoreOptions) { o.AutomaticFailover, o.ReplicasPerNodeGroup = true, aws.Int32(0) },
		"failover of a cluster":       func(o *elasticache.RestoreOptions) { o.As, o.AutomaticFailover = elasticache.AsCluster, true },
		"the mode of a cluster":       func(o *elasticache.RestoreOptions) { o.As, o.TransitMode = elasticache.AsCluster, "required" },
		"another log":                 logs(func(l *elasticache.LogDelivery) { l.Log = "fast-log" }),
		"another destination":         logs(func(l *elasticache.LogDelivery) { l.To = "s3" }),
		"another format":              logs(func(l *elasticache.LogDelivery) { l.Format = "" }),
		"a pattern for a log group":   logs(func(l *elasticache.LogDelivery) { l.Name = "/cache/*" }),
		"no log group":                logs(func(l *elasticache.LogDelivery) { l.Name = "" }),
		"a stream with a slash":       logs(func(l *elasticache.LogDelivery) { l.To, l.Name = "kinesis-firehose", "a/b" }),
		"a long stream":               logs(func(l *elasticache.LogDelivery) { l.To, l.Name = "kinesis-firehose", strings.Repeat("a", 65) }),
		"one log at two destinations": func(o *elasticache.RestoreOptions) { o.LogDelivery = []elasticache.LogDelivery{log, log} },
	} {
		o := elasticache.RestoreOptions{ID: "new", SecurityGroups: []string{"sg-1"}, SubnetGroup: "default", TransitEncryption: true}
		edit(&o)
		_, err := b.s.StartRestore(b.Context(), snapshot("s"), backup.Spec{Token: "t", Options: o})
		if backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// everything collects whatever somebody could see of the work: the Operation after each Step, errors, events, the SDK's log.
type everything struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (e *everything) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	fmt.Fprintf(&e.text, format+"\n", args...)
}

func (e *everything) Logf(_ logging.Classification, format string, args ...any) {
	e.add(format, args...)
}

func (e *everything) Observe(_ context.Context, ev backup.Event) {
	op, err := json.Marshal(ev.Operation)
	e.add("%v %s %v %#v", ev.Type, op, err, ev)
	for err := ev.Err; err != nil; err = errors.Unwrap(err) {
		e.add("%v %+v %#v", err, err, err)
	}
}

// TestAuthTokenIsNowhere restores with a token under what may go wrong, and searches for it.
func TestAuthTokenIsNowhere(t *testing.T) {
	fails := func(f awssim.Fault) func(b *bed) {
		f.Operation = "CreateReplicationGroup"
		return func(b *bed) { b.world.Inject(f) }
	}
	echo := "The AUTH token " + canary + " (" + url.QueryEscape(canary) + ") is not good enough."
	asked := 0
	for _, c := range []struct {
		name string
		set  func(b *bed)
		give func(context.Context, backup.Ref) (string, error)
		want backup.Code
	}{
		{"nothing goes wrong", func(*bed) {}, giveCanary, ""},
		{"a lost answer", fails(awssim.Fault{Kind: awssim.FaultLostReply}), giveCanary, ""},
		{"a death", fails(awssim.Fault{Kind: awssim.FaultDieBefore}), giveCanary, ""},
		{"a server's error", fails(awssim.Fault{Kind: awssim.FaultServerError}), giveCanary, ""},
		{"garbage", fails(awssim.Fault{Kind: awssim.FaultGarbage}), giveCanary, ""},
		{"a throttled call", fails(awssim.Fault{Kind: awssim.FaultThrottle}), giveCanary, ""},
		{"a refusal that repeats it", fails(awssim.Fault{Kind: awssim.FaultError, Error: awssim.Error{Code: "InvalidParameterValue", Message: echo}}), giveCanary, backup.ErrInvalid},
		{"an unknown refusal that repeats it", fails(awssim.Fault{Kind: awssim.FaultError, Error: awssim.Error{Code: "Strange", Message: echo, Status: 500}}), giveCanary, ""},
		{"an error of the function", func(*bed) {}, func(context.Context, backup.Ref) (string, error) {
			if asked++; asked < 3 {
				return canary, fmt.Errorf("the vault said %s and then went away", canary)
			}
			return canary, nil
		}, ""},
		{"a token with a character too many", func(*bed) {}, func(context.Context, backup.Ref) (string, error) { return canary + " ", nil }, backup.ErrInvalid},
		{"a short one", func(*bed) {}, func(context.Context, backup.Ref) (string, error) { return canary[:15], nil }, backup.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked = 0
			bubble(t, func(b *bed) {
				b.sources()
				seen := &everything{}
				cfg := b.world.Config(account, region)
				cfg.Logger = seen
				cfg.ClientLogMode = aws.LogSigning | aws.LogRetries | aws.LogRequest | aws.LogRequestWithBody | aws.LogResponse | aws.LogResponseWithBody
				b.withAuth(cfg, func(ctx context.Context, r backup.Ref) (string, error) {
					if r != group("new") {
						t.Errorf("asked for %v", r)
					}
					return c.give(ctx, r)
				})
				c.set(b)
				runner, err := backup.NewRunner([]backup.Strategy{b.s}, func(o *backup.RunnerOptions) { o.Observer = seen })
				b.ok(err)
				op := b.startRestore(snapshot("s-sessions"), elasticache.RestoreOptions{ID: "new", SubnetGroup: "default", TransitEncryption: true, AuthToken: true})
				for i := 0; !op.Done(); i++ {
					if i > 1000 {
						t.Fatal("does not end")
					}
					func() {
						defer func() {
							if r := recover(); r != nil {
								if _, ok := r.(awssim.Killed); !ok {
									panic(r)
								}
								op.Attempt++
							}
						}()
						op, err = runner.Step(b.Context(), op)
					}()
					seen.Observe(b.Context(), backup.Event{Operation: op, Err: err})
					time.Sleep(max(time.Until(op.Poll), time.Second))
				}
				if err := op.Err(); err != nil {
					seen.add("%v %#v", err, err)
				}
				if c.want == "" {
					b.succeeded(op)
					if g := b.groupView("new"); g.AuthToken != canary {
						t.Error("it was not set")
					}
				} else {
					b.failed(op, backup.PhaseFailed, c.want)
				}
				text := seen.text.String()
				for _, s := range []string{canary, url.QueryEscape(canary), canary[:15], fmt.Sprintf("%q", canary), `Canary!\u0026#$^`} {
					if i := strings.Index(text, s); i >= 0 {
						t.Errorf("the token is seen: %s", text[max(0, i-300):min(len(text), i+100)])
						break
					}
				}
				// The search is not blind: other requests are logged.
				if !strings.Contains(text, "Action=DescribeReplicationGroups") {
					t.Error("the log was not seen")
				}
			})
		})
	}
}

// A program without the function can not carry the work on, and spoils nothing.
func TestAuthTokenInAnotherProgram(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		without := b.s
		b.withAuth(b.world.Config(account, region), giveCanary)
		with := b.s
		op := b.startRestore(snapshot("s-sessions"), elasticache.RestoreOptions{ID: "new", SubnetGroup: "default", TransitEncryption: true, AuthToken: true})
		op, err := step(b.TB, without, op)
		b.ok(err)
		for range 2 {
			op, err = step(b.TB, without, op)
			b.code(err, backup.ErrInvalid)
			if op.Done() || op.Next == "" {
				t.Fatalf("%+v", op)
			}
		}
		b.s = with
		b.succeeded(b.run(op))
		if n := b.sent("CreateReplicationGroup"); n != 3 {
			t.Errorf("%d creates", n)
		}
	})
}
