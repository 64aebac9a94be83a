package elasticache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// likewise are the options that rebuild something as it is.
func (b *bed) likewise(r backup.Ref, edit ...func(*elasticache.RestoreOptions)) backup.Spec {
	b.Helper()
	o, err := b.s.Settings(b.Context(), r)
	b.ok(err)
	for _, f := range edit {
		f(&o)
	}
	return backup.Spec{Token: "rebuild", Options: elasticache.RebuildOptions{Restore: o}}
}

func (b *bed) startRebuild(r backup.Ref, edit ...func(*elasticache.RestoreOptions)) backup.Operation {
	b.Helper()
	op, err := b.s.StartRebuild(b.Context(), r, b.likewise(r, edit...))
	b.ok(err)
	return op
}

// keepsData fails the test when neither the source nor a whole snapshot of it is there.
func (b *bed) keepsData(id string, shards int) func(backup.Operation) {
	return func(op backup.Operation) {
		for _, g := range b.sim.Groups(b.world, account, region) {
			if g.ID == id && g.Status != "deleting" && g.Status != "creating" && g.Status != "create-failed" {
				return
			}
		}
		if c := b.clusterView(id); c != nil && c.Status != "deleting" && c.Status != "creating" && c.Status != "restore-failed" {
			return
		}
		for _, s := range b.snapshots() {
			if slices.Contains(op.Points, snapshot(s.Name)) && (s.Status == "available" || s.Status == "restoring") && len(s.Shards) == shards && !s.Automated {
				return
			}
		}
		b.Errorf("in stage %q nothing is left of %s", op.Stage, id)
	}
}

// deletions counts the calls that delete what holds data.
func (b *bed) deletions() int { return b.sent("DeleteReplicationGroup") + b.sent("DeleteCacheCluster") }

func TestRebuild(t *testing.T) {
	for _, c := range []struct {
		name   string
		r      backup.Ref
		shards int
		make   func(b *bed)
	}{
		{"a group", group("sessions"), 0, func(b *bed) {
			b.group("sessions", 0, 2, func(in *awselasticache.CreateReplicationGroupInput) {
				in.TransitEncryptionEnabled, in.UserGroupIds, in.MultiAZEnabled, in.AutomaticFailoverEnabled = aws.Bool(true), []string{"apps"}, aws.Bool(true), aws.Bool(true)
				in.SnapshotRetentionLimit, in.SnapshotWindow, in.PreferredMaintenanceWindow, in.Port = aws.Int32(3), aws.String("02:00-03:30"), aws.String("mon:05:00-mon:06:30"), aws.Int32(7000)
				in.AutoMinorVersionUpgrade, in.KmsKeyId = aws.Bool(false), aws.String("arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555")
				in.LogDeliveryConfigurations = []ectypes.LogDeliveryConfigurationRequest{{LogType: ectypes.LogTypeSlowLog, LogFormat: ectypes.LogFormatJson, DestinationType: ectypes.DestinationTypeKinesisFirehose,
					DestinationDetails: &ectypes.DestinationDetails{KinesisFirehoseDetails: &ectypes.KinesisFirehoseDestinationDetails{DeliveryStream: aws.String("slow")}}}}
			})
		}},
		{"a group in the clear", group("plain"), 0, func(b *bed) {
			b.group("plain", 0, 0, func(in *awselasticache.CreateReplicationGroupInput) { in.AtRestEncryptionEnabled = aws.Bool(false) })
		}},
		{"cluster mode", group("orders"), 3, func(b *bed) { b.group("orders", 3, 1) }},
		{"cluster mode without replicas", group("orders"), 2, func(b *bed) { b.group("orders", 2, 0) }},
		{"a cluster", cluster("one"), 0, func(b *bed) {
			b.cluster("one", func(in *awselasticache.CreateCacheClusterInput) {
				in.SnapshotRetentionLimit, in.SnapshotWindow, in.PreferredMaintenanceWindow = aws.Int32(5), aws.String("01:00-02:00"), aws.String("sat:22:00-sun:01:00")
			})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				c.make(b)
				auto := b.automatic(c.r.ID)
				was, err := b.s.Settings(b.Context(), c.r)
				b.ok(err)
				made := b.madeAt(c.r.ID)
				op := b.startRebuild(c.r)
				found, err := b.s.Preflight(b.Context(), op)
				b.ok(err)
				ids := map[string]bool{}
				for _, f := range found {
					ids[f.ID] = true
				}
				if !ids["elasticache.writes-lost"] || ids["elasticache.automatic-lost"] != (was.SnapshotRetentionDays > 0) || ids["elasticache.rebuild-differs"] || ids["elasticache.rebuild-unchecked"] {
					t.Errorf("preflight %+v", found)
				}
				op = b.run(op, b.keepsData(c.r.ID, c.shards))
				b.succeeded(op)
				is, err := b.s.Settings(b.Context(), c.r)
				b.ok(err)
				is.Description, was.Description = "", ""
				if d := cmp.Diff(was, is); d != "" {
					t.Error(d)
				}
				if !b.madeAt(c.r.ID).After(made) || len(op.Points) != 1 || len(op.Made) != 1 || op.Made[0] != c.r || len(op.Endpoints) == 0 {
					t.Errorf("points %v, made %v, endpoints %v", op.Points, op.Made, op.Endpoints)
				}
				if !findings(op)["elasticache.rebuild-snapshot"] || b.deletions() != 1 {
					t.Errorf("%+v, %d deletions", op.Findings, b.deletions())
				}
				b.deletedInOrder(op)
				all := b.listed(backup.Query{})
				if p := all[op.Points[0].ID]; p.Status != backup.StatusAvailable || p.Source != c.r {
					t.Errorf("the snapshot is %+v", p)
				}
				if _, there := all[auto.ID]; there {
					t.Error("the automatic snapshot did not go")
				}
			})
		})
	}
}

func (b *bed) madeAt(id string) time.Time {
	if g := b.groupView(id); g != nil {
		return g.Made
	}
	if c := b.clusterView(id); c != nil {
		return c.Made
	}
	return time.Time{}
}

// deletedInOrder checks that the deletion was sent after the snapshot was ready.
func (b *bed) deletedInOrder(op backup.Operation) {
	for _, c := range b.world.Calls() {
		if c.Operation != "DeleteReplicationGroup" && c.Operation != "DeleteCacheCluster" {
			continue
		}
		for _, s := range b.snapshots() {
			if slices.Contains(op.Points, snapshot(s.Name)) && c.Time.Before(s.Ready) {
				b.Errorf("deleted at %v, and the snapshot was ready at %v", c.Time, s.Ready)
			}
		}
	}
}

// Other settings are what a rebuild is for; they are told beforehand.
func TestRebuildWithOtherSettings(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("sessions", 0, 1)
		op := b.startRebuild(group("sessions"), func(o *elasticache.RestoreOptions) {
			o.ClusterMode, o.NodeGroups, o.NodeType, o.AtRestUnencrypted = aws.Bool(true), 3, "cache.r7g.xlarge", true
			o.ParameterGroup, o.AutomaticFailover = "", false
		})
		found, err := b.s.Preflight(b.Context(), op)
		b.ok(err)
		text := fmt.Sprint(found)
		for _, s := range []string{"elasticache.rebuild-differs", "elasticache.rebuild-unchecked", "node type", "cluster mode", "number of node groups", "encryption at rest"} {
			if !strings.Contains(text, s) {
				t.Errorf("%s is not told: %s", s, text)
			}
		}
		b.succeeded(b.run(op, b.keepsData("sessions", 0)))
		if g := b.groupView("sessions"); len(g.Shards) != 3 || g.NodeType != "cache.r7g.xlarge" || g.AtRest {
			t.Errorf("%+v", g)
		}
	})
}

// A subnet group that is not there shows before a snapshot is made.
func TestRebuildPreflightSeesTheSubnetGroup(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("sessions", 0, 1)
		op := b.startRebuild(group("sessions"), func(o *elasticache.RestoreOptions) { o.SubnetGroup = "nowhere" })
		found, err := b.s.Preflight(b.Context(), op)
		b.ok(err)
		if len(found) == 0 || found[0].ID != "elasticache.rebuild-refused" || found[0].Severity != backup.SeverityError || !strings.Contains(found[0].Message, "nowhere") || found[0].Remedy == "" {
			b.Errorf("%+v", found)
		}
	})
}

func TestStartRebuildRefuses(t *testing.T) {
	b := newBed(t)
	good := elasticache.RestoreOptions{SecurityGroups: []string{"sg-1"}}
	with := func(edit func(o *elasticache.RestoreOptions)) backup.Spec {
		o := good
		edit(&o)
		return backup.Spec{Options: elasticache.RebuildOptions{Restore: o}}
	}
	many := good
	for i := range 50 {
		many.SecurityGroups = append(many.SecurityGroups[:i:i], "sg-"+strings.Repeat("a", 200)+fmt.Sprint(i))
	}
	for name, c := range map[string]struct {
		r    backup.Ref
		spec backup.Spec
	}{
		"no options":            {group("g"), backup.Spec{}},
		"options of a restore":  {group("g"), backup.Spec{Options: good}},
		"a pointer":             {group("g"), backup.Spec{Options: &elasticache.RebuildOptions{Restore: good}}},
		"a snapshot":            {snapshot("s"), backup.Spec{Options: elasticache.RebuildOptions{Restore: good}}},
		"another id":            {group("g"), with(func(o *elasticache.RestoreOptions) { o.ID = "h" })},
		"a group to a cluster":  {group("g"), with(func(o *elasticache.RestoreOptions) { o.As = elasticache.AsCluster })},
		"a cluster to a group":  {cluster("c"), with(func(o *elasticache.RestoreOptions) { o.As = elasticache.AsGroup })},
		"a group's settings":    {cluster("c"), with(func(o *elasticache.RestoreOptions) { o.MultiAZ = true })},
		"no security groups":    {group("g"), with(func(o *elasticache.RestoreOptions) { o.SecurityGroups = nil })},
		"no function for AUTH":  {group("g"), with(func(o *elasticache.RestoreOptions) { o.AuthToken, o.TransitEncryption, o.SubnetGroup = true, true, "x" })},
		"two hours":             {group("g"), backup.Spec{Timeout: 2 * time.Hour, Options: elasticache.RebuildOptions{Restore: good}}},
		"a bad name":            {group("g"), backup.Spec{Name: "a--b", Options: elasticache.RebuildOptions{Restore: good}}},
		"a bad key":             {group("g"), backup.Spec{Options: elasticache.RebuildOptions{Restore: good, KMSKeyID: "k"}}},
		"too much to be stored": {group("g"), backup.Spec{Options: elasticache.RebuildOptions{Restore: many}}},
	} {
		c.spec.Token = "t"
		if _, err := b.s.StartRebuild(b.Context(), c.r, c.spec); backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(b.world.Calls()); n != 0 {
		t.Errorf("Start made %d calls", n)
	}
}

// Whatever is not as it should be before the deletion: nothing is deleted, and the snapshot is listed.
func TestRebuildDeletesNothing(t *testing.T) {
	// again makes the group anew within the hour, as somebody else would.
	again := func(b *bed) {
		_, err := b.api.DeleteReplicationGroup(b.Context(), &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String("orders")})
		b.ok(err)
		time.Sleep(15 * time.Minute)
		_, err = b.api.CreateReplicationGroup(b.Context(), &awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("orders"), ReplicationGroupDescription: aws.String("x"),
			CacheNodeType: aws.String("cache.r7g.large"), Engine: aws.String("valkey"), NumNodeGroups: aws.Int32(2), ClusterMode: "enabled", AutomaticFailoverEnabled: aws.Bool(true), ReplicasPerNodeGroup: aws.Int32(1)})
		b.ok(err)
		time.Sleep(25 * time.Minute)
	}
	for _, c := range []struct {
		name string
		// verify is done when the snapshot is finished, before it is looked at again; armed when the deletion is ready.
		verify, armed func(b *bed, op backup.Operation)
		edit          func(o *elasticache.RestoreOptions)
		timeout       time.Duration
		code          backup.Code
		// own are the deletions that the test itself sends.
		own int
	}{
		{name: "the snapshot vanishes", verify: func(b *bed, op backup.Operation) { b.ok(b.sim.Vanish(b.world, account, region, op.Points[0].ID)) }, code: backup.ErrFailed},
		{name: "it vanishes at the last moment", armed: func(b *bed, op backup.Operation) { b.ok(b.sim.Vanish(b.world, account, region, op.Points[0].ID)) }, code: backup.ErrFailed},
		{name: "it is another of the name", armed: func(b *bed, op backup.Operation) {
			tags := map[string]string{}
			for _, s := range b.snapshots() {
				if s.Name == op.Points[0].ID {
					tags = s.Tags
				}
			}
			b.ok(b.sim.Vanish(b.world, account, region, op.Points[0].ID))
			time.Sleep(time.Minute)
			b.ok(b.sim.AddSnapshots(b.world, account, region, "orders", tags, op.Points[0].ID))
		}, code: backup.ErrConflict},
		{name: "its tags are changed", verify: func(b *bed, op backup.Operation) {
			_, err := b.api.AddTagsToResource(b.Context(), &awselasticache.AddTagsToResourceInput{ResourceName: aws.String("arn:aws:elasticache:" + region + ":" + account + ":snapshot:" + op.Points[0].ID),
				Tags: []ectypes.Tag{{Key: aws.String(backup.TagToken), Value: aws.String("op-other")}}})
			b.ok(err)
		}, code: backup.ErrConflict},
		{name: "it fails after all", verify: func(b *bed, op backup.Operation) {
			b.ok(b.sim.Hold(b.world, account, region, op.Points[0].ID, "failed", 30*time.Hour))
		}, code: backup.ErrFailed},
		{name: "the group is another now", verify: func(b *bed, _ backup.Operation) { again(b) }, code: backup.ErrConflict, own: 1},
		{name: "the group is another at the last moment", armed: func(b *bed, _ backup.Operation) { again(b) }, code: backup.ErrConflict, own: 1},
		{name: "somebody else deletes it", armed: func(b *bed, _ backup.Operation) {
			_, err := b.api.DeleteReplicationGroup(b.Context(), &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String("orders")})
			b.ok(err)
		}, code: backup.ErrConflict, own: 1},
		{name: "somebody else has deleted it", verify: func(b *bed, _ backup.Operation) {
			_, err := b.api.DeleteReplicationGroup(b.Context(), &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String("orders")})
			b.ok(err)
			time.Sleep(30 * time.Minute)
		}, code: backup.ErrConflict, own: 1},
		{name: "more than an hour passes", verify: func(*bed, backup.Operation) { time.Sleep(61 * time.Minute) }, code: backup.ErrUnavailable},
		{name: "more than an hour passes at the last moment", armed: func(*bed, backup.Operation) { time.Sleep(61 * time.Minute) }, code: backup.ErrUnavailable},
		{name: "the group is busy for too long", verify: func(b *bed, _ backup.Operation) {
			b.ok(b.sim.Hold(b.world, account, region, "orders", "modifying", 90*time.Minute))
		}, code: backup.ErrUnavailable},
		{name: "little time is left", timeout: 3 * time.Hour, verify: func(*bed, backup.Operation) { time.Sleep(58 * time.Minute) }, code: backup.ErrUnavailable},
		{name: "the snapshot can not be restored so", edit: func(o *elasticache.RestoreOptions) { o.EngineVersion = "7.2" }, code: backup.ErrUnsupported},
		{name: "there are no such subnets", edit: func(o *elasticache.RestoreOptions) { o.SubnetGroup = "none" }, code: backup.ErrInvalid},
		{name: "the token is bad", edit: func(o *elasticache.RestoreOptions) { o.AuthToken, o.TransitEncryption = true, true }, code: backup.ErrInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.group("orders", 2, 1)
				b.withAuth(b.world.Config(account, region), func(context.Context, backup.Ref) (string, error) { return "short", nil })
				spec := b.likewise(group("orders"), func(o *elasticache.RestoreOptions) {
					if c.edit != nil {
						c.edit(o)
					}
				})
				spec.Timeout = c.timeout
				op, err := b.s.StartRebuild(b.Context(), group("orders"), spec)
				b.ok(err)
				verified, armed := false, false
				op = b.run(op, func(op backup.Operation) {
					if op.Stage == "verify" && !verified && c.verify != nil {
						verified = true
						c.verify(b, op)
					}
					if op.Stage == "delete" && !armed && c.armed != nil {
						armed = true
						c.armed(b, op)
					}
				})
				b.failed(op, backup.PhaseFailed, c.code)
				if op.Failure.Hint == "" || len(op.Points) != 1 || len(op.Made) != 0 || findings(op)["elasticache.rebuild-snapshot"] || strings.Contains(op.Failure.Hint, "deletion of the") {
					t.Errorf("%+v, points %v, made %v, %v", op.Failure, op.Points, op.Made, op.Findings)
				}
				if n := b.deletions(); n != c.own {
					t.Errorf("%d deletions", n)
				}
			})
		})
	}
}

// A failure after the deletion says where the data is, and that it can be restored.
func TestRebuildFailsAfterTheDeletion(t *testing.T) {
	refuse := func(code string) func(b *bed) {
		return func(b *bed) {
			b.world.Inject(awssim.Fault{Operation: "CreateReplicationGroup", Kind: awssim.FaultError, Error: awssim.Error{Code: code, Message: "m"}})
		}
	}
	for _, c := range []struct {
		name string
		set  func(b *bed)
		gone func(b *bed)
		code backup.Code
		made int
	}{
		{"it can not be made", func(b *bed) {
			b.world.Inject(awssim.Fault{Operation: "CreateReplicationGroup", Kind: awssim.FaultAsync})
		}, nil, backup.ErrFailed, 1},
		{"the quota is full", refuse("NodeQuotaForCustomerExceeded"), nil, backup.ErrQuota, 0},
		{"a setting is refused", refuse("CacheParameterGroupNotFound"), nil, backup.ErrInvalid, 0},
		{"the id is taken", func(*bed) {}, func(b *bed) {
			_, err := b.api.CreateReplicationGroup(b.Context(), &awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("orders"), ReplicationGroupDescription: aws.String("x"),
				CacheNodeType: aws.String("cache.r7g.large"), Engine: aws.String("valkey")})
			b.ok(err)
		}, backup.ErrConflict, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.group("orders", 2, 1)
				c.set(b)
				done := false
				op := b.run(b.startRebuild(group("orders")), b.keepsData("orders", 2), func(op backup.Operation) {
					if c.gone != nil && !done && b.groupView("orders") == nil {
						done = true
						c.gone(b)
					}
				})
				b.failed(op, backup.PhaseFailed, c.code)
				if len(op.Points) != 1 || !strings.Contains(op.Failure.Hint, op.Points[0].ID) || !strings.Contains(op.Failure.Hint, "StartRestore") || len(op.Made) != c.made {
					t.Errorf("%+v, points %v, made %v", op.Failure, op.Points, op.Made)
				}
				if f := op.Findings; len(f) == 0 || f[len(f)-1].Ref != op.Points[0] && !findings(op)["elasticache.rebuild-snapshot"] {
					t.Errorf("%+v", f)
				}
				time.Sleep(time.Hour)
				b.succeeded(b.run(b.startRestore(op.Points[0], elasticache.RestoreOptions{ID: "rescued"})))
			})
		})
	}
}

// The old group that an old answer still shows, or whose id AWS still holds, is not mistaken for somebody else's.
func TestRebuildUnderOldAnswers(t *testing.T) {
	for name, set := range map[string]func(b *bed, skip int){
		"an old answer": func(b *bed, skip int) {
			b.world.Inject(awssim.Fault{Operation: "DescribeReplicationGroups", Skip: skip, Kind: awssim.FaultStale, Back: 4 * time.Minute})
		},
		"a very old answer": func(b *bed, skip int) {
			b.world.Inject(awssim.Fault{Operation: "DescribeReplicationGroups", Skip: skip, Kind: awssim.FaultStale, Back: 20 * time.Minute})
		},
		"the id is held": func(b *bed, _ int) {
			b.world.Inject(awssim.Fault{Operation: "CreateReplicationGroup", Kind: awssim.FaultError, Error: awssim.Error{Code: "ReplicationGroupAlreadyExists", Message: "m"}})
		},
		"the id is held for long": func(b *bed, _ int) {
			b.world.Inject(awssim.Fault{Operation: "CreateReplicationGroup", Kind: awssim.FaultError, Times: 3, Error: awssim.Error{Code: "ReplicationGroupAlreadyExists", Message: "m"}})
		},
	} {
		for skip := range 4 {
			t.Run(fmt.Sprint(name, " ", skip), func(t *testing.T) {
				bubble(t, func(b *bed) {
					b.group("orders", 2, 1)
					done := false
					op := b.run(b.startRebuild(group("orders")), b.keepsData("orders", 2), func(backup.Operation) {
						if !done && b.groupView("orders") == nil {
							done = true
							set(b, skip)
						}
					})
					b.succeeded(op)
					if n := b.deletions(); n != 1 {
						t.Errorf("%d deletions", n)
					}
				})
			})
		}
	}
}

// Nothing is deleted while the group is busy; with another snapshot, with a change, with what nobody has heard of.
func TestRebuildWaits(t *testing.T) {
	for _, status := range []string{"snapshotting", "modifying", "never-heard-of"} {
		t.Run(status, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.cluster("one")
				held := false
				var until time.Time
				op := b.run(b.startRebuild(cluster("one")), b.keepsData("one", 0), func(op backup.Operation) {
					if op.Stage == "delete" && !held {
						held, until = true, time.Now().Add(20*time.Minute)
						b.ok(b.sim.Hold(b.world, account, region, "one", status, 20*time.Minute))
					}
				})
				b.succeeded(op)
				for _, c := range b.world.Calls() {
					if c.Operation == "DeleteCacheCluster" && c.Time.Before(until) {
						t.Errorf("deleted at %v, before %v", c.Time, until)
					}
				}
			})
		})
	}
}

func TestRebuildOfWhatCanNotBe(t *testing.T) {
	bubble(t, func(b *bed) {
		b.sources()
		b.cluster("plain", func(in *awselasticache.CreateCacheClusterInput) { in.Engine = aws.String("memcached") })
		b.world.Inject(awssim.Fault{Operation: "CreateReplicationGroup", Kind: awssim.FaultAsync})
		b.group("broken", 0, 0)
		for _, c := range []struct {
			r    backup.Ref
			code backup.Code
		}{{group("none"), backup.ErrNotFound}, {cluster("none"), backup.ErrNotFound}, {cluster("sessions-001"), backup.ErrInvalid}, {cluster("plain"), backup.ErrUnsupported}, {group("broken"), backup.ErrUnsupported}} {
			op, err := b.s.StartRebuild(b.Context(), c.r, backup.Spec{Token: "t", Options: elasticache.RebuildOptions{Restore: elasticache.RestoreOptions{SecurityGroups: []string{"sg-1"}}}})
			b.ok(err)
			found, err := b.s.Preflight(b.Context(), op)
			b.ok(err)
			if len(found) != 1 || found[0].Severity != backup.SeverityError {
				t.Errorf("%v: %+v", c.r, found)
			}
			op = b.run(op)
			b.failed(op, backup.PhaseFailed, c.code)
			if len(op.Points) != 0 || b.deletions() != 0 {
				t.Errorf("%v: %v, %d deletions", c.r, op.Points, b.deletions())
			}
		}
		_, err := b.s.Settings(b.Context(), group("none"))
		b.code(err, backup.ErrNotFound)
		_, err = b.s.Settings(b.Context(), group("broken"))
		b.code(err, backup.ErrUnavailable)
		_, err = b.s.Settings(b.Context(), snapshot("x"))
		b.code(err, backup.ErrInvalid)
	})
}

func TestRebuildCancel(t *testing.T) {
	for _, c := range []struct {
		until  func(op backup.Operation) bool
		code   backup.Code
		points int
	}{
		{func(op backup.Operation) bool { return op.Stage == "look" }, backup.ErrCanceled, 0},
		{func(op backup.Operation) bool { return op.Stage == "back up" && op.Next == "" }, backup.ErrCanceled, 0},
		{func(op backup.Operation) bool { return op.Next == "CreateSnapshot" }, backup.ErrCanceled, 0},
		{func(op backup.Operation) bool { return len(op.Points) > 0 }, backup.ErrUnsupported, 1},
		{func(op backup.Operation) bool { return op.Stage == "verify" }, backup.ErrCanceled, 1},
		{func(op backup.Operation) bool { return op.Stage == "delete" }, backup.ErrCanceled, 1},
		{func(op backup.Operation) bool { return op.Stage == "gone" }, backup.ErrUnsupported, 1},
		{func(op backup.Operation) bool { return op.Stage == "restore" }, backup.ErrUnsupported, 1},
		{func(op backup.Operation) bool { return len(op.Made) > 0 }, backup.ErrUnsupported, 1},
	} {
		bubble(t, func(b *bed) {
			b.group("orders", 2, 0)
			op := b.startRebuild(group("orders"))
			for !c.until(op) {
				var err error
				op, err = step(b.TB, b.s, op)
				b.ok(err)
				time.Sleep(time.Until(op.Poll))
			}
			stage := op.Stage
			stopped, err := b.s.Cancel(b.Context(), op)
			if c.code != backup.ErrCanceled {
				b.code(err, c.code)
				b.succeeded(b.run(op))
				return
			}
			b.ok(err)
			op = b.run(stopped)
			b.failed(op, backup.PhaseCanceled, backup.ErrCanceled)
			if len(op.Points) != c.points || b.deletions() != 0 || b.groupView("orders") == nil {
				t.Errorf("%s: %v, %d deletions", stage, op.Points, b.deletions())
			}
		})
	}
}

// A runner without a Store that lost its deletion's answer carries on.
func TestRebuildWithoutAStore(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("orders", 2, 0)
		b.world.Inject(awssim.Fault{Operation: "DeleteReplicationGroup", Kind: awssim.FaultLostReply})
		b.world.Inject(awssim.Fault{Operation: "CreateReplicationGroup", Kind: awssim.FaultLostReply})
		runner, err := backup.NewRunner([]backup.Strategy{b.s})
		b.ok(err)
		op, err := runner.Run(b.Context(), b.startRebuild(group("orders")))
		b.ok(err)
		b.succeeded(op)
		if b.deletions() != 1 || b.sent("CreateReplicationGroup") != 2 || b.sent("CreateSnapshot") != 1 {
			t.Errorf("%d deletions", b.deletions())
		}
	})
}

func TestRebuildIsCareful(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("orders", 2, 0)
		op := b.startRebuild(group("orders"))
		for _, stage := range []string{"back up", "restore", "nowhere"} {
			lost := op
			lost.Stage = stage
			_, err := b.s.Step(b.Context(), lost)
			b.code(err, backup.ErrInvalid)
		}
		op.State = []byte(`[]`)
		_, err := b.s.Step(b.Context(), op)
		b.code(err, backup.ErrInvalid)
		if _, err := b.s.Cancel(b.Context(), op); !errors.Is(err, backup.ErrInvalid) {
			t.Error(err)
		}
	})
}
