package rds_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/rds"
)

// sources are an instance and a cluster that have existed for some hours, with the options of their restores.
func sources(b *bench) map[string]struct {
	ref     backup.Ref
	options backup.Options
	call    string
} {
	b.makeCluster("main", "")
	return map[string]struct {
		ref     backup.Ref
		options backup.Options
		call    string
	}{
		"instance": {b.orders, options(), "RestoreDBInstanceToPointInTime"},
		"cluster":  {mainCluster, clusterOptions(), "RestoreDBClusterToPointInTime"},
	}
}

func TestTimeRestore(t *testing.T) {
	for _, kind := range []string{"instance", "cluster"} {
		for name, back := range map[string]time.Duration{"latest": 0, "an hour ago": time.Hour} {
			t.Run(kind+" "+name, func(t *testing.T) {
				bubble(t, func(t *testing.T, b *bench) {
					src := sources(b)[kind]
					time.Sleep(3 * time.Hour)
					s := b.strategy()
					var at time.Time
					if back > 0 {
						at = time.Now().Add(-back)
					}
					op, err := s.StartRestoreToTime(b.ctx, src.ref, at, backup.Spec{Token: "t", Options: src.options})
					b.must(err)
					found, err := s.Preflight(b.ctx, op)
					if diff := cmp.Diff([]string{"rds.default-parameters"}, ids(found)); err != nil || diff != "" {
						t.Errorf("%v %s", err, diff)
					}
					op = b.run(s, op, nil)
					ended(t, op, "")
					if finding(op, "rds.restore-time") != (back == 0) || b.count(src.call) != 1 {
						t.Errorf("%v, %d sends", op.Findings, b.count(src.call))
					}
					if kind == "cluster" {
						if bad := append(b.restoredCluster(op), b.unlisted(op, 3)...); len(bad) > 0 {
							t.Error(bad)
						}
						return
					}
					_, made := b.made(op)
					if len(made) != 1 || made[0].PubliclyAccessible || !made[0].Encrypted || op.Endpoints[0].Port != 6543 || op.Made[0] != rds.Instance(account, region, "orders-copy") {
						t.Errorf("%+v, %v, %v", made, op.Endpoints, op.Made)
					}
				})
			})
		}
	}
}

// A time outside of the window is refused with the window in the message, and nothing is sent.
func TestTimeOutsideWindow(t *testing.T) {
	for _, kind := range []string{"instance", "cluster"} {
		t.Run(kind, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				src := sources(b)[kind]
				time.Sleep(30 * time.Hour)
				s := b.strategy()
				now := time.Now().UTC()
				for name, at := range map[string]time.Time{"too early": now.AddDate(0, 0, -1).Add(-time.Minute), "too late": now.Add(time.Minute), "long ago": now.AddDate(-1, 0, 0)} {
					op, err := s.StartRestoreToTime(b.ctx, src.ref, at, backup.Spec{Token: name, Options: src.options})
					b.must(err)
					if found, err := s.Preflight(b.ctx, op); err != nil || found[0].ID != "rds.restore-window" || found[0].Severity != backup.SeverityError {
						t.Errorf("%s: %v %v", name, found, err)
					}
					began := now.AddDate(0, 0, -1).Format("2006-01-02T15:04")
					op = b.run(s, op, nil)
					ended(t, op, backup.ErrInvalid)
					if !strings.Contains(op.Err().Error(), began) {
						t.Errorf("%s: the window is not named: %v", name, op.Err())
					}
				}
				if b.count(src.call) != 0 {
					t.Errorf("%d sends", b.count(src.call))
				}
				if _, err := s.StartRestoreToTime(b.ctx, src.ref, now.Add(time.Hour), backup.Spec{Token: "t", Options: src.options}); !errors.Is(err, backup.ErrInvalid) {
					t.Error(err)
				}
			})
		})
	}
}

func TestTimeRestoreRefused(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.create("off", func(in *awsrds.CreateDBInstanceInput) { in.BackupRetentionPeriod = aws.Int32(0) })
		b.makeCluster("multi", "postgres")
		s := b.strategy()
		for name, tt := range map[string]struct {
			ref     backup.Ref
			options backup.Options
			want    backup.Code
		}{
			"nothing":               {rds.Instance(account, region, "nothing"), options(), backup.ErrNotFound},
			"no cluster":            {rds.Cluster(account, region, "nothing"), clusterOptions(), backup.ErrNotFound},
			"no automated backups":  {rds.Instance(account, region, "off"), options(), backup.ErrUnsupported},
			"nothing retained":      {rds.AutomatedBackup(account, region, "db-NOTHING"), options(), backup.ErrNotFound},
			"no cluster's retained": {rds.ClusterAutomatedBackup(account, region, "cluster-NOTHING"), clusterOptions(), backup.ErrNotFound},
			"another kind":          {rds.Cluster(account, region, "multi"), clusterOptions(), backup.ErrInvalid},
		} {
			op, err := s.StartRestoreToTime(b.ctx, tt.ref, time.Time{}, backup.Spec{Token: "t", Options: tt.options})
			b.must(err)
			if found, err := s.Preflight(b.ctx, op); err != nil || len(found) == 0 || found[0].Severity != backup.SeverityError {
				t.Errorf("%s: %v %v", name, found, err)
			}
			op = b.run(s, op, nil)
			if ended(t, op, tt.want); len(op.Made) != 0 {
				t.Errorf("%s: %v", name, op.Made)
			}
		}
		for name, tt := range map[string]struct {
			ref     backup.Ref
			options backup.Options
		}{
			"over the source":           {rds.Instance(account, region, "orders-copy"), options()},
			"over the cluster":          {rds.Cluster(account, region, "main-copy"), clusterOptions()},
			"a cluster's options":       {b.orders, clusterOptions()},
			"an instance's options":     {mainCluster, options()},
			"no options":                {b.orders, nil},
			"a snapshot":                {rds.Snapshot(account, region, "x"), options()},
			"a resource id of a kind":   {rds.AutomatedBackup(account, region, "cluster-ABC"), options()},
			"a resource id":             {rds.AutomatedBackup(account, region, "db-"), options()},
			"a resource id with a star": {rds.AutomatedBackup(account, region, "db-*"), options()},
			"a cluster's resource id":   {rds.ClusterAutomatedBackup(account, region, "db-ABC"), clusterOptions()},
		} {
			if _, err := s.StartRestoreToTime(b.ctx, tt.ref, time.Time{}, backup.Spec{Token: "t", Options: tt.options}); !errors.Is(err, backup.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// What is new has no window yet, and is waited for.
func TestTimeRestoreOfTheNew(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		_, err := b.client.CreateDBInstance(b.ctx, &awsrds.CreateDBInstanceInput{DBInstanceIdentifier: aws.String("new"), DBInstanceClass: aws.String("db.t4g.medium"),
			Engine: aws.String("postgres"), AllocatedStorage: aws.Int32(20)})
		b.must(err)
		s := b.strategy()
		op, err := s.StartRestoreToTime(b.ctx, rds.Instance(account, region, "new"), time.Time{}, backup.Spec{Token: "t", Options: options()})
		b.must(err)
		if found, err := s.Preflight(b.ctx, op); err != nil || found[0].ID != "rds.no-window" {
			t.Errorf("%v %v", found, err)
		}
		op = b.run(s, op, nil)
		if ended(t, op, ""); !finding(op, "rds.no-window") {
			t.Errorf("%v", op.Findings)
		}
	})
}

// A database that is gone is restored from the automated backups that it left, for as long as they are kept.
func TestRetainedBackups(t *testing.T) {
	for _, kind := range []string{"instance", "cluster"} {
		t.Run(kind, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				src := sources(b)[kind]
				time.Sleep(3 * time.Hour)
				gone := time.Now()
				var err error
				if kind == "instance" {
					_, err = b.client.DeleteDBInstance(b.ctx, &awsrds.DeleteDBInstanceInput{DBInstanceIdentifier: aws.String("orders"), SkipFinalSnapshot: aws.Bool(true), DeleteAutomatedBackups: aws.Bool(false)})
				} else {
					_, err = b.client.DeleteDBCluster(b.ctx, &awsrds.DeleteDBClusterInput{DBClusterIdentifier: aws.String("main"), SkipFinalSnapshot: aws.Bool(true), DeleteAutomatedBackups: aws.Bool(false)})
				}
				b.must(err)
				time.Sleep(2 * time.Hour)
				s := b.strategy()
				kept, err := s.AutomatedBackups(b.ctx, src.ref)
				if err != nil || len(kept) != 1 || kept[0].Status != "retained" || kept[0].Database != src.ref || kept[0].Latest.After(gone) || kept[0].Earliest.IsZero() || kept[0].RetentionDays != 1 {
					t.Fatalf("%+v %v", kept, err)
				}
				types := []string{rds.TypeAutomatedBackup, rds.TypeClusterAutomatedBackup}
				points, err := collect(s.List(b.ctx, backup.Query{Account: account, Region: region, Source: src.ref, Types: types}))
				if err != nil || len(points) != 1 || !points[0].Automated || points[0].Status != backup.StatusAvailable || !points[0].CreatedAt.Equal(kept[0].Latest) || points[0].ID != kept[0].ResourceID {
					t.Fatalf("%+v %v", points, err)
				}
				if again := point1(t, b, s, points[0].Ref); again.Ref != points[0].Ref {
					t.Errorf("%+v", again)
				}
				if _, err := s.StartDelete(b.ctx, points[0].Ref, backup.Spec{Token: "t"}); !errors.Is(err, backup.ErrUnsupported) || backup.HintOf(err) == "" {
					t.Error(err)
				}
				op, err := s.StartRestoreToTime(b.ctx, src.ref, time.Time{}, backup.Spec{Token: "t", Options: src.options})
				op = b.run(s, op, err)
				ended(t, op, backup.ErrNotFound)
				if kind == "cluster" {
					o := clusterOptions()
					o.SecurityGroups = []string{"sg-0a"}
					src.options = o
				}
				op, err = s.StartRestore(b.ctx, points[0].Ref, backup.Spec{Token: "t", Options: src.options})
				op = b.run(s, op, err)
				ended(t, op, "")
				time.Sleep(48 * time.Hour)
				if kept, err := s.AutomatedBackups(b.ctx, src.ref); err != nil || len(kept) != 0 {
					t.Errorf("%+v %v", kept, err)
				}
			})
		})
	}
}

func TestAutomatedBackups(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.create("off", func(in *awsrds.CreateDBInstanceInput) { in.BackupRetentionPeriod = aws.Int32(0) })
		b.makeCluster("main", "")
		b.world.SetPageLimit(1)
		b.db.SeedInstances(b.world, account, region, "db", 5, map[string]string{"team": "a"})
		s := b.strategy()
		for _, tt := range []struct {
			ref backup.Ref
			n   int
		}{{b.orders, 1}, {mainCluster, 1}, {rds.Instance(account, region, "off"), 0}, {rds.Instance(account, region, "nothing"), 0}, {rds.Cluster(account, region, "nothing"), 0}} {
			all, err := s.AutomatedBackups(b.ctx, tt.ref)
			if err != nil || len(all) != tt.n {
				t.Errorf("%v: %+v %v", tt.ref, all, err)
			}
			if tt.n == 1 && (all[0].Status != "active" || all[0].Database != tt.ref || all[0].Window != "03:00-03:30" || !all[0].Encrypted || all[0].KMSKeyID == "") {
				t.Errorf("%+v", all)
			}
		}
		both := []string{rds.TypeAutomatedBackup, rds.TypeClusterAutomatedBackup}
		all, err := collect(s.List(b.ctx, backup.Query{Account: account, Region: region, Types: both}))
		if err != nil || len(all) != 7 {
			t.Errorf("%v %v", all, err)
		}
		all, err = collect(s.List(b.ctx, backup.Query{Account: account, Region: region, Types: both, Tags: map[string]string{"team": ""}}))
		if err != nil || len(all) != 5 {
			t.Errorf("%v %v", all, err)
		}
		for range s.List(b.ctx, backup.Query{Account: account, Region: region, Types: both}) {
			break
		}
		for _, bad := range []backup.Ref{rds.Snapshot(account, region, "x"), {}, rds.Instance(account, "mars", "x"), rds.Instance("1", region, "x")} {
			if _, err := s.AutomatedBackups(b.ctx, bad); !errors.Is(err, backup.ErrInvalid) {
				t.Errorf("%v: %v", bad, err)
			}
		}
		b.world.Inject(awssim.Fault{Operation: "DescribeDBInstanceAutomatedBackups", Times: -1, Kind: awssim.FaultServerError})
		if _, err := s.AutomatedBackups(b.ctx, b.orders); !errors.Is(err, backup.ErrUnavailable) {
			t.Error(err)
		}
	})
}

// TestTimeRestoreLostReply loses the answer of each call, and what it made stays invisible for longer than the settle window.
func TestTimeRestoreLostReply(t *testing.T) {
	for _, kind := range []string{"instance", "cluster"} {
		t.Run(kind, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				src := sources(b)[kind]
				s := b.strategy()
				op, err := s.StartRestoreToTime(b.ctx, src.ref, time.Time{}, backup.Spec{Token: "t", Options: src.options})
				r, op := b.begun(s, op, err)
				op = b.until(r, op, stage("create"))
				b.world.SetLag(10 * time.Minute)
				lost := b.world.Inject(awssim.Fault{Operation: src.call, Kind: awssim.FaultLostReply})
				op = b.until(r, op, stage("settle"))
				b.world.SetLag(0)
				op = b.until(r, op, never)
				ended(t, op, "")
				want := 1
				if kind == "cluster" {
					want = 3
				}
				if bad := b.unlisted(op, want); len(bad) > 0 || lost.Fired() != 1 {
					t.Errorf("%v, fired %d", bad, lost.Fired())
				}
			})
		})
	}
}

// The identifier of the source is given to another database while the restore waits.
func TestTimeRestoreReplaced(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		s := b.strategy()
		op, err := s.StartRestoreToTime(b.ctx, b.orders, time.Time{}, backup.Spec{Token: "t", Options: options()})
		r, op := b.begun(s, op, err)
		op = b.until(r, op, stage("create"))
		b.world.Inject(awssim.Fault{Operation: "RestoreDBInstanceToPointInTime", Kind: awssim.FaultError, Error: awssim.Error{Code: "InvalidDBInstanceState", Message: "m"}})
		op = b.until(r, op, stage("park"))
		b.drop("orders")
		time.Sleep(time.Hour)
		b.create("orders")
		time.Sleep(time.Hour)
		op = b.until(r, op, never)
		if ended(t, op, backup.ErrConflict); len(op.Made) != 0 {
			t.Errorf("%v", op.Made)
		}
	})
}

// RDS need not tell an ARN of automated backups that are not replicated; of those that are, the database is elsewhere.
func TestAutomatedBackupARNs(t *testing.T) {
	const here, there = "arn:aws:rds:eu-west-1:" + account + ":", "arn:aws:rds:eu-central-1:" + account + ":"
	r := rds.Instance(account, region, "x")
	for name, tt := range map[string]struct {
		x      rdstypes.DBInstanceAutomatedBackup
		region string
		bad    bool
	}{
		"its own":    {rdstypes.DBInstanceAutomatedBackup{DBInstanceArn: aws.String(here + "db:orders")}, region, false},
		"both":       {rdstypes.DBInstanceAutomatedBackup{DBInstanceArn: aws.String(here + "db:orders"), DBInstanceAutomatedBackupsArn: aws.String(here + "auto-backup:ab-1")}, region, false},
		"replicated": {rdstypes.DBInstanceAutomatedBackup{DBInstanceArn: aws.String(there + "db:orders"), DBInstanceAutomatedBackupsArn: aws.String(here + "auto-backup:ab-1")}, far, false},
		"elsewhere":  {rdstypes.DBInstanceAutomatedBackup{DBInstanceArn: aws.String(there + "db:orders"), DBInstanceAutomatedBackupsArn: aws.String(there + "auto-backup:ab-1")}, far, true},
		"another's":  {rdstypes.DBInstanceAutomatedBackup{DBInstanceArn: aws.String(strings.Replace(here, account, foreign, 1) + "db:orders")}, region, true},
	} {
		tt.x.DBInstanceIdentifier, tt.x.DbiResourceId = aws.String("orders"), aws.String("db-ABC")
		a, p, err := rds.InstanceBackups(r, &tt.x)
		if a.Database != rds.Instance(account, tt.region, "orders") || (err != nil) != tt.bad || p.Ref != rds.AutomatedBackup(account, region, "db-ABC") || p.Source != a.Database {
			t.Errorf("%s: %+v %+v %v", name, a.Database, p, err)
		}
	}
}
