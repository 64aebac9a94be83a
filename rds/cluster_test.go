package rds_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/rds"
)

var mainCluster = rds.Cluster(account, region, "Main")

func TestClusterBackup(t *testing.T) {
	for _, engine := range []string{"aurora-postgresql", "aurora-mysql", "postgres", "mysql"} {
		t.Run(engine, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.makeCluster("main", engine)
				// A DB snapshot may have the name of a cluster's.
				b.must(b.snap("orders", "nightly", nil))
				s := b.strategy()
				op, err := s.Start(b.ctx, mainCluster, backup.Spec{Token: "t", Name: "Nightly", Tags: map[string]string{"team": "billing"}})
				op = b.run(s, op, err)
				ended(t, op, "")
				if diff := cmp.Diff(backup.Refs{rds.ClusterSnapshot(account, region, "nightly")}, op.Points); diff != "" {
					t.Error(diff)
				}
				all := b.db.ClusterSnapshots(b.world, account, region)
				want := map[string]string{"team": "billing", backup.TagOwner: "snapwarden", backup.TagToken: op.ID, backup.TagSource: "rds/cluster:111122223333:eu-west-1:main",
					backup.TagCreated: op.Started.UTC().Format(time.RFC3339)}
				if diff := cmp.Diff(want, all[0].Tags); diff != "" || len(all) != 1 || all[0].Status != "available" {
					t.Errorf("%+v %s", all, diff)
				}
				points, err := collect(s.List(b.ctx, backup.Query{Account: account, Region: region, Source: mainCluster}))
				if err != nil || len(points) != 1 || points[0].Source != mainCluster || points[0].Automated || !points[0].Encrypted || points[0].Engine != engine || points[0].CreatedAt.IsZero() {
					t.Errorf("%+v %v", points, err)
				}
				del, err := s.StartDelete(b.ctx, op.Points[0], backup.Spec{Token: "t"})
				ended(t, b.run(s, del, err), "")
				if all := b.db.ClusterSnapshots(b.world, account, region); len(all) != 0 || len(b.db.Snapshots(b.world, account, region)) != 1 {
					t.Errorf("%+v", all)
				}
			})
		})
	}
}

func TestClusterNames(t *testing.T) {
	s := rds.New(nil)
	for _, id := range []string{"a", "main", strings.Repeat("a", 32) + "-b", strings.Repeat("x", 63)} {
		op, err := s.Start(t.Context(), rds.Cluster(account, region, id), backup.Spec{Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		var st struct{ N string }
		if err := op.GetState(&st); err != nil {
			t.Fatal(err)
		}
		if err := policy.ValidateRDSClusterSnapshotID(st.N); err != nil || !strings.HasSuffix(st.N, strings.TrimPrefix(op.ID, "op-")) {
			t.Errorf("%q: %v", st.N, err)
		}
	}
	for _, r := range []backup.Ref{rds.ClusterSnapshot(account, region, strings.Repeat("a", 64)), rds.ClusterSnapshot(account, region, "x--y"), rds.Cluster(account, region, "x")} {
		if _, err := s.StartDelete(t.Context(), r, backup.Spec{Token: "t"}); !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("%s: %v", r, err)
		}
	}
	// The identifiers that RDS makes are longer than those that can be chosen.
	long := rds.ClusterSnapshot(account, region, "rds:"+strings.Repeat("a", 63)+"-2026-11-20-03-10")
	if _, err := s.StartRestore(t.Context(), long, backup.Spec{Token: "t", Options: clusterOptions()}); err != nil {
		t.Error(err)
	}
}

func TestClusterBackupRefused(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.makeCluster("main", "")
		s := b.strategy()
		op, err := s.Start(b.ctx, rds.Cluster(account, region, "nothing"), backup.Spec{Token: "t"})
		ended(t, b.run(s, op, err), backup.ErrNotFound)
		b.db.SetClusterStatus(b.world, account, region, "main", "inaccessible-encryption-credentials", time.Hour)
		op, err = s.Start(b.ctx, mainCluster, backup.Spec{Token: "t"})
		ended(t, b.run(s, op, err), backup.ErrUnsupported)
		time.Sleep(2 * time.Hour)
		if n := b.count("CreateDBClusterSnapshot"); n != 0 {
			t.Errorf("%d sends", n)
		}
		// A passing state is waited for.
		b.db.SetClusterStatus(b.world, account, region, "main", "failing-over", time.Hour)
		op, err = s.Start(b.ctx, mainCluster, backup.Spec{Token: "u"})
		if op = b.run(s, op, err); !finding(op, "rds.instance-state") {
			t.Errorf("%v", op.Findings)
		}
		ended(t, op, "")
		for kind, id := range map[string]string{"automated": b.db.AddAutomatedClusterSnapshot(b.world, account, region, "main"),
			"awsbackup": b.db.AddBackupServiceClusterSnapshot(b.world, account, region, "main")} {
			if _, err := s.StartDelete(b.ctx, rds.ClusterSnapshot(account, region, id), backup.Spec{Token: "t"}); !errors.Is(err, backup.ErrUnsupported) {
				t.Errorf("%s: %v", kind, err)
			}
			points, err := collect(s.List(b.ctx, backup.Query{Account: account, Region: region, Point: rds.ClusterSnapshot(account, region, id)}))
			if err != nil || len(points) != 1 || !points[0].Automated {
				t.Errorf("%s: %+v %v", kind, points, err)
			}
		}
	})
}

func TestClusterEngines(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.makeCluster("main", "")
		for _, engine := range []string{"neptune", "docdb"} {
			if reason := rds.MayBackUp(mainCluster, engine, "available"); !errors.Is(reason, backup.ErrUnsupported) || backup.HintOf(reason) == "" {
				t.Errorf("%s: %v", engine, reason)
			}
		}
	})
}

func TestClusterRestore(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		point := b.clusterPoint("nightly")
		s := b.strategy()
		op, err := s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: clusterOptions()})
		b.must(err)
		found, err := s.Preflight(b.ctx, op)
		if err != nil || len(found) != 1 || found[0].ID != "rds.default-parameters" {
			t.Errorf("%+v %v", found, err)
		}
		op = b.run(s, op, nil)
		ended(t, op, "")
		want := backup.Refs{rds.Cluster(account, region, "main-copy"), rds.Instance(account, region, "main-copy-1"), rds.Instance(account, region, "main-copy-2")}
		if diff := cmp.Diff(want, op.Made); diff != "" {
			t.Error(diff)
		}
		if bad := b.restoredCluster(op); len(bad) > 0 {
			t.Error(bad)
		}
		var roles []string
		for _, e := range op.Endpoints {
			roles = append(roles, e.ID+" "+e.Role+fmt.Sprint(" ", e.Port, e.Host != ""))
		}
		if diff := cmp.Diff([]string{"main-copy primary 6543 true", "main-copy reader 6543 true", "main-copy-1 node 6543 true", "main-copy-2 node 6543 true"}, roles); diff != "" {
			t.Error(diff)
		}
		if b.count("RestoreDBClusterFromSnapshot") != 1 || b.count("CreateDBInstance") != 3 { // one is the bench's
			t.Errorf("%d and %d sends", b.count("RestoreDBClusterFromSnapshot"), b.count("CreateDBInstance"))
		}
	})
}

// A Multi-AZ DB cluster has its instances at once, and an unencrypted snapshot of Aurora is encrypted by its restore.
func TestClusterRestoreKinds(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.makeCluster("main", "postgres")
		s := b.strategy()
		op, err := s.Start(b.ctx, mainCluster, backup.Spec{Token: "t", Name: "nightly"})
		point := b.run(s, op, err).Points[0]
		o := clusterOptions()
		o.Instances, o.Class, o.StorageType, o.IOPS = nil, "db.m6gd.large", "io1", 3000
		op, err = s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: o})
		op = b.run(s, op, err)
		ended(t, op, "")
		if len(op.Made) != 1 || len(op.Endpoints) != 2 || len(b.db.Clusters(b.world, account, region)[1].Members) != 3 {
			t.Errorf("%+v %+v", op.Made, op.Endpoints)
		}
		// What does not fit the engine is refused before anything is made.
		op, err = s.StartRestore(b.ctx, point, backup.Spec{Token: "u", Options: clusterOptions()})
		b.must(err)
		if found, err := s.Preflight(b.ctx, op); err != nil || found[0].ID != "rds.name-taken" && found[0].ID != "rds.restore-refused" {
			t.Errorf("%+v %v", found, err)
		}
		ended(t, b.run(s, op, nil), backup.ErrInvalid)
	})
	bubble(t, func(t *testing.T, b *bench) {
		b.makeCluster("main", "", func(in *awsrds.CreateDBClusterInput) { in.StorageEncrypted = nil })
		point := b.clusterPoint("nightly")
		k, err := awskms.NewFromConfig(b.world.Config(account, region)).CreateKey(b.ctx, &awskms.CreateKeyInput{})
		b.must(err)
		s := b.strategy()
		o := clusterOptions()
		o.Class, o.Instances = "db.m6gd.large", nil
		op, err := s.StartRestore(b.ctx, point, backup.Spec{Token: "u", Options: o})
		ended(t, b.run(s, op, err), backup.ErrInvalid)
		o = clusterOptions()
		op, err = s.StartRestore(b.ctx, point, backup.Spec{Token: "v", Options: o})
		b.must(err)
		if found, err := s.Preflight(b.ctx, op); err != nil || found[0].ID != "rds.unencrypted" {
			t.Errorf("%+v %v", found, err)
		}
		o.KMSKeyID = *k.KeyMetadata.Arn
		o.Instances[1].Class, o.ServerlessMin, o.ServerlessMax = "db.serverless", 0.5, 8
		op, err = s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: o})
		ended(t, b.run(s, op, err), "")
		if c := b.db.Clusters(b.world, account, region)[1]; !c.Encrypted || c.KMSKeyID != o.KMSKeyID {
			t.Errorf("%+v", c)
		}
	})
}

func TestClusterOptions(t *testing.T) {
	s := rds.New(nil)
	point := rds.ClusterSnapshot(account, region, "nightly")
	key := "arn:aws:kms:eu-west-1:" + account + ":key/01234567-89ab-cdef-0123-456789abcdef"
	for name, f := range map[string]func(*rds.RestoreClusterOptions){
		"id":                nil,
		"no id":             func(o *rds.RestoreClusterOptions) { o.ID = "" },
		"bad id":            func(o *rds.RestoreClusterOptions) { o.ID = "a*" },
		"no subnets":        func(o *rds.RestoreClusterOptions) { o.SubnetGroup = "" },
		"no groups":         func(o *rds.RestoreClusterOptions) { o.SecurityGroups = nil },
		"port":              func(o *rds.RestoreClusterOptions) { o.Port = 80 },
		"network":           func(o *rds.RestoreClusterOptions) { o.NetworkType = "IPV6" },
		"retention":         func(o *rds.RestoreClusterOptions) { o.BackupRetentionDays = 36 },
		"no instances":      func(o *rds.RestoreClusterOptions) { o.Instances = nil },
		"both":              func(o *rds.RestoreClusterOptions) { o.Class = "db.m6gd.large" },
		"storage of aurora": func(o *rds.RestoreClusterOptions) { o.IOPS = 1000 },
		"many":              func(o *rds.RestoreClusterOptions) { o.Instances = make([]rds.ClusterInstance, 17) },
		"instance id":       func(o *rds.RestoreClusterOptions) { o.Instances[0].ID = "-" },
		"instance twice":    func(o *rds.RestoreClusterOptions) { o.Instances[1].ID = "MAIN-copy-1" },
		"instance class":    func(o *rds.RestoreClusterOptions) { o.Instances[1].Class = "r7g.large" },
		"instance zone":     func(o *rds.RestoreClusterOptions) { o.Instances[1].Zone = "us-east-1a" },
		"capacity":          func(o *rds.RestoreClusterOptions) { o.ServerlessMax = 4 },
		"no capacity":       func(o *rds.RestoreClusterOptions) { o.Instances[0].Class = "db.serverless" },
		"odd capacity": func(o *rds.RestoreClusterOptions) {
			o.Instances[0].Class, o.ServerlessMin, o.ServerlessMax = "db.serverless", 0.7, 4
		},
		"upside down": func(o *rds.RestoreClusterOptions) {
			o.Instances[0].Class, o.ServerlessMin, o.ServerlessMax = "db.serverless", 8, 4
		},
		"class": func(o *rds.RestoreClusterOptions) { o.Instances, o.Class = nil, "m6gd" },
		"long id": func(o *rds.RestoreClusterOptions) {
			o.Instances, o.Class, o.ID = nil, "db.m6gd.large", strings.Repeat("a", 53)
		},
		"io1":         func(o *rds.RestoreClusterOptions) { o.Instances, o.Class, o.StorageType = nil, "db.m6gd.large", "io1" },
		"key id":      func(o *rds.RestoreClusterOptions) { o.KMSKeyID = "1234" },
		"key alias":   func(o *rds.RestoreClusterOptions) { o.KMSKeyID = strings.Replace(key, "key/", "alias/", 1) },
		"key region":  func(o *rds.RestoreClusterOptions) { o.KMSKeyID = strings.Replace(key, "eu-west-1", "us-east-1", 1) },
		"key account": func(o *rds.RestoreClusterOptions) { o.KMSKeyID = strings.Replace(key, account, foreign, 1) },
		"wildcard":    func(o *rds.RestoreClusterOptions) { o.KMSKeyID = key + "*" },
	} {
		o, want := clusterOptions(), backup.ErrInvalid
		if f == nil {
			want, o.KMSKeyID = "", key
		} else {
			f(&o)
		}
		_, err := s.StartRestore(t.Context(), point, backup.Spec{Token: "t", Options: o})
		if backup.CodeOf(err) != want || err != nil && backup.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, spec := range map[string]backup.Spec{"none": {Token: "t"}, "an instance's": {Token: "t", Options: options()}, "two names": {Token: "t", Name: "x", Options: clusterOptions()}} {
		if _, err := s.StartRestore(t.Context(), point, spec); !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.StartRestore(t.Context(), rds.Snapshot(account, region, "nightly"), backup.Spec{Token: "t", Options: clusterOptions()}); !errors.Is(err, backup.ErrInvalid) {
		t.Error(err)
	}
}

// TestClusterRestoreExposed has somebody change what is being restored, and something of another's in the way of it.
func TestClusterRestoreExposed(t *testing.T) {
	wait := func(op backup.Operation) bool { return op.Stage == "wait" }
	last := func(op backup.Operation) bool { return len(op.Made) == 3 }
	for name, tt := range map[string]struct {
		when func(backup.Operation) bool
		act  func(b *bench)
		want backup.Code
		made int
	}{
		"security groups": {wait, func(b *bench) { b.db.ExposeCluster(b.world, account, region, "main-copy", false, "sg-evil") }, backup.ErrFailed, 1},
		"public":          {wait, func(b *bench) { b.db.ExposeCluster(b.world, account, region, "main-copy", true, "sg-0a", "sg-0b") }, backup.ErrFailed, 1},
		"later":           {last, func(b *bench) { b.db.ExposeCluster(b.world, account, region, "main-copy", false, "sg-evil") }, backup.ErrFailed, 3},
		"a public instance": {last, func(b *bench) { b.db.Expose(b.world, account, region, "main-copy-2", true, "sg-0a", "sg-0b") },
			backup.ErrFailed, 3},
		"a broken instance": {last, func(b *bench) {
			b.db.SetStatus(b.world, account, region, "main-copy-2", "incompatible-parameters", 100*time.Hour)
			time.Sleep(time.Hour)
		}, backup.ErrFailed, 3},
		"an instance that is stopped for an hour": {last, func(b *bench) {
			time.Sleep(time.Hour)
			b.db.SetStatus(b.world, account, region, "main-copy-2", "stopped", time.Hour)
		}, "", 3},
		"an instance of another's": {wait, func(b *bench) { b.create("main-copy-2") }, backup.ErrConflict, 2},
		"the instance quota":       {wait, func(b *bench) { b.db.SetQuotas(b.world, 0, 2) }, backup.ErrQuota, 2},
		"an instance deleted":      {last, func(b *bench) { time.Sleep(time.Hour); b.drop("main-copy-2") }, backup.ErrFailed, 3},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				point := b.clusterPoint("nightly")
				s := b.strategy()
				op, err := s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: clusterOptions()})
				r, op := b.begun(s, op, err)
				op = b.until(r, op, tt.when)
				tt.act(b)
				op = b.until(r, op, never)
				ended(t, op, tt.want)
				if len(op.Made) != tt.made {
					t.Errorf("made %v", op.Made)
				}
				if bad := b.unlisted(op, len(b.madeOfClusters(op.ID))); len(bad) > 0 {
					t.Error(bad)
				}
			})
		})
	}
}

// TestClusterNamesTaken gives the names of a restore to somebody else.
func TestClusterNamesTaken(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		point := b.clusterPoint("nightly")
		b.makeCluster("main-copy", "")
		b.member("main-copy-1", "main-copy")
		s := b.strategy()
		op, err := s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: clusterOptions()})
		b.must(err)
		found, err := s.Preflight(b.ctx, op)
		if err != nil || len(found) != 3 || found[0].ID != "rds.name-taken" || found[1].ID != "rds.name-taken" {
			t.Errorf("%+v %v", found, err)
		}
		op = b.run(s, op, nil)
		ended(t, op, backup.ErrConflict)
		if len(op.Made) != 0 {
			t.Errorf("%v", op.Made)
		}
		// What is being deleted is waited for.
		_, err = b.client.DeleteDBInstance(b.ctx, &awsrds.DeleteDBInstanceInput{DBInstanceIdentifier: aws.String("main-copy-1"), SkipFinalSnapshot: aws.Bool(true)})
		b.must(err)
		_, err = b.client.DeleteDBCluster(b.ctx, &awsrds.DeleteDBClusterInput{DBClusterIdentifier: aws.String("main-copy"), SkipFinalSnapshot: aws.Bool(true)})
		b.must(err)
		op, err = s.StartRestore(b.ctx, point, backup.Spec{Token: "u", Options: clusterOptions()})
		op = b.run(s, op, err)
		ended(t, op, "")
		if !finding(op, "rds.name-being-freed") {
			t.Errorf("%v", op.Findings)
		}
	})
}

// TestClusterLostReplies loses the answer of each call, and what it made stays invisible for longer than the settle window.
func TestClusterLostReplies(t *testing.T) {
	for call, stages := range map[string][2]string{"RestoreDBClusterFromSnapshot": {"create", "settle"}, "CreateDBInstance": {"member", "member-settle"}} {
		t.Run(call, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				point := b.clusterPoint("nightly")
				s := b.strategy()
				op, err := s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: clusterOptions()})
				r, op := b.begun(s, op, err)
				op = b.until(r, op, stage(stages[0]))
				b.world.SetLag(10 * time.Minute)
				lost := b.world.Inject(awssim.Fault{Operation: call, Kind: awssim.FaultLostReply})
				op = b.until(r, op, stage(stages[1]))
				b.world.SetLag(0)
				op = b.until(r, op, never)
				ended(t, op, "")
				if bad := b.unlisted(op, 3); len(bad) > 0 || lost.Fired() != 1 {
					t.Errorf("%v, fired %d", bad, lost.Fired())
				}
			})
		})
	}
}

func TestListBoth(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.backedUp("one")
		b.clusterPoint("two")
		s := b.strategy()
		for name, tt := range map[string]struct {
			q     backup.Query
			want  int
			calls []string
		}{
			"all":                {backup.Query{}, 2, []string{"DescribeDBSnapshots", "DescribeDBSnapshots", "DescribeDBClusterSnapshots", "DescribeDBClusterSnapshots"}},
			"snapshots":          {backup.Query{Types: []string{rds.TypeSnapshot}}, 1, []string{"DescribeDBSnapshots", "DescribeDBSnapshots"}},
			"cluster snapshots":  {backup.Query{Types: []string{rds.TypeClusterSnapshot}}, 1, []string{"DescribeDBClusterSnapshots", "DescribeDBClusterSnapshots"}},
			"of an instance":     {backup.Query{Source: b.orders}, 1, []string{"DescribeDBSnapshots", "DescribeDBSnapshots"}},
			"of a cluster":       {backup.Query{Source: mainCluster}, 1, []string{"DescribeDBClusterSnapshots", "DescribeDBClusterSnapshots"}},
			"one of a cluster":   {backup.Query{Point: rds.ClusterSnapshot(account, region, "two")}, 1, []string{"DescribeDBClusterSnapshots"}},
			"nothing of a kind":  {backup.Query{Source: b.orders, Types: []string{rds.TypeClusterSnapshot}}, 0, nil},
			"an unknown cluster": {backup.Query{Point: rds.ClusterSnapshot(account, region, "one")}, 0, []string{"DescribeDBClusterSnapshots"}},
		} {
			tt.q.Account, tt.q.Region = account, region
			before := len(b.world.Calls())
			points, err := collect(s.List(b.ctx, tt.q))
			var calls []string
			for _, c := range b.world.Calls()[before:] {
				calls = append(calls, c.Operation)
			}
			if diff := cmp.Diff(tt.calls, calls); err != nil || len(points) != tt.want || diff != "" {
				t.Errorf("%s: %v %v %s", name, points, err, diff)
			}
		}
		b.world.Inject(awssim.Fault{Operation: "DescribeDBClusterSnapshots", Times: -1, Kind: awssim.FaultServerError})
		if points, err := collect(s.List(b.ctx, backup.Query{Account: account, Region: region})); !errors.Is(err, backup.ErrUnavailable) || len(points) != 1 {
			t.Errorf("%d points, then %v", len(points), err)
		}
		b.world.Heal()
		b.world.Inject(awssim.Fault{Operation: "DescribeDBClusters", Times: -1, Kind: awssim.FaultServerError})
		if _, err := collect(s.Discover(b.ctx, backup.Query{Account: account, Region: region, Types: []string{rds.TypeInstance}})); err != nil {
			t.Error(err)
		}
		if _, err := collect(s.Discover(b.ctx, backup.Query{Account: account, Region: region})); !errors.Is(err, backup.ErrUnavailable) {
			t.Error(err)
		}
	})
}

// TestExplained holds that every state in which a restore ends, or waits for somebody, is explained.
func TestExplained(t *testing.T) {
	for _, word := range []string{"failed", "restore-error", "incompatible-create", "incompatible-network", "incompatible-option-group", "incompatible-parameters",
		"incompatible-restore", "insufficient-capacity", "storage-full", "upgrade-failed", "inaccessible-encryption-credentials",
		"inaccessible-encryption-credentials-recoverable", "deleting", "delete-precheck", "cloning-failed", "migration-failed", "incompatible-moon"} {
		if rds.InstanceState(word) != "broken" || rds.Explained(word) == "" {
			t.Errorf("%s: %s, %q", word, rds.InstanceState(word), rds.Explained(word))
		}
	}
	if !strings.Contains(rds.Explained("incompatible-network"), "subnet") || rds.Explained("polishing") == "" {
		t.Error(rds.Explained("incompatible-network"))
	}
	bubble(t, func(t *testing.T, b *bench) {
		point := b.backedUp("nightly")
		s := b.strategy()
		op, err := s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: options()})
		r, op := b.begun(s, op, err)
		op = b.until(r, op, stage("wait"))
		time.Sleep(2 * time.Hour)
		b.db.SetStatus(b.world, account, region, "orders-copy", "incompatible-network", 100*time.Hour)
		op = b.until(r, op, never)
		if ended(t, op, backup.ErrFailed); !strings.Contains(backup.HintOf(op.Err()), "subnet") {
			t.Error(op.Err())
		}
	})
}

// TestClusterDeleteForeign holds that a cluster's snapshot with tags that were copied from the cluster is not the library's.
func TestClusterDeleteForeign(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.makeCluster("main", "")
		snap := func(id string, tags map[string]string) {
			in := &awsrds.CreateDBClusterSnapshotInput{DBClusterIdentifier: aws.String("main"), DBClusterSnapshotIdentifier: &id}
			for k, v := range tags {
				in.Tags = append(in.Tags, rdstypes.Tag{Key: &k, Value: &v})
			}
			_, err := b.client.CreateDBClusterSnapshot(b.ctx, in)
			b.must(err)
			time.Sleep(4 * time.Hour)
		}
		snap("theirs", nil)
		snap("copied", b.proof("snapwarden"))
		snap("other", map[string]string{backup.TagOwner: "somebody", backup.TagToken: "op-1", backup.TagSource: mainCluster.String()})
		s := b.strategy()
		for _, id := range []string{"theirs", "copied", "other"} {
			point := rds.ClusterSnapshot(account, region, id)
			op, err := s.StartDelete(b.ctx, point, backup.Spec{Token: "t"})
			b.must(err)
			if found, err := s.Preflight(b.ctx, op); err != nil || len(found) != 1 || found[0].ID != "rds.delete-refused" {
				t.Errorf("%s: %+v %v", id, found, err)
			}
			ended(t, b.run(s, op, nil), backup.ErrConflict)
			op, err = s.StartDelete(b.ctx, point, backup.Spec{Token: "u", Options: rds.DeleteOptions{AllowForeign: true}})
			ended(t, b.run(s, op, err), "")
		}
		if all := b.db.ClusterSnapshots(b.world, account, region); len(all) != 0 {
			t.Errorf("%+v", all)
		}
	})
}

// In a VPC with an internet gateway RDS's own default is a public address: the restore says that there is to be none, of the cluster and of each instance.
func TestClusterRestoreIsPrivate(t *testing.T) {
	for name, restore := range map[string]func(b *bench, s *rds.Strategy, o rds.RestoreClusterOptions) (backup.Operation, error){
		"snapshot": func(b *bench, s *rds.Strategy, o rds.RestoreClusterOptions) (backup.Operation, error) {
			return s.StartRestore(b.ctx, b.clusterPoint("nightly"), backup.Spec{Token: "t", Options: o})
		},
		"time": func(b *bench, s *rds.Strategy, o rds.RestoreClusterOptions) (backup.Operation, error) {
			b.makeCluster("main", "")
			return s.StartRestoreToTime(b.ctx, mainCluster, time.Time{}, backup.Spec{Token: "t", Options: o})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				s := b.strategy()
				o := clusterOptions()
				o.SubnetGroup = "default"
				op, err := restore(b, s, o)
				ended(t, b.run(s, op, err), "")
				for _, c := range b.db.Clusters(b.world, account, region) {
					if c.ID == "main-copy" && (c.PubliclyAccessible || len(c.Members) != 2) {
						t.Errorf("%+v", c)
					}
				}
				for _, i := range b.db.Instances(b.world, account, region) {
					if i.Cluster == "main-copy" && i.PubliclyAccessible {
						t.Errorf("%+v", i)
					}
				}
				// One who asks for it gets it.
				o.ID, o.PubliclyAccessible, o.Instances = "open", true, []rds.ClusterInstance{{ID: "open-1", Class: "db.r7g.large"}}
				op, err = s.StartRestoreToTime(b.ctx, mainCluster, time.Time{}, backup.Spec{Token: "u", Options: o})
				ended(t, b.run(s, op, err), "")
				for _, i := range b.db.Instances(b.world, account, region) {
					if i.Cluster == "open" && !i.PubliclyAccessible {
						t.Errorf("%+v", i)
					}
				}
			})
		})
	}
}
