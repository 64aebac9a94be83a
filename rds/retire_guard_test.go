package rds_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/rds"
)

// altered makes a Strategy whose answers b.alter changes: for what the simulation has no calls for.
func (b *bench) altered() *rds.Strategy {
	b.t.Helper()
	change := middleware.InitializeMiddlewareFunc("alter", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, data, err := next.HandleInitialize(ctx, in)
		if err == nil && b.alter != nil {
			err = b.alter(in.Parameters, out.Result)
		}
		return out, data, err
	})
	client := awsrds.NewFromConfig(b.world.Config(account, region), func(o *awsrds.Options) {
		o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error { return s.Initialize.Add(change, middleware.Before) })
	})
	return rds.New(func(context.Context, string, string) (*awsrds.Client, error) { return client, nil })
}

// tie changes how the cluster is seen.
func (b *bench) tie(f func(c *rdstypes.DBCluster)) {
	b.alter = func(_, out any) error {
		if x, ok := out.(*awsrds.DescribeDBClustersOutput); ok {
			for i := range x.DBClusters {
				f(&x.DBClusters[i])
			}
		}
		return nil
	}
}

func deletions(b *bench) int { return b.count("DeleteDBInstance") + b.count("DeleteDBCluster") }

// RDS refuses to delete a cluster that is bound to another, but not to delete its instances: none of them goes.
func TestDeleteTiedCluster(t *testing.T) {
	for name, tt := range map[string]struct {
		tie  func(c *rdstypes.DBCluster)
		word string
		when string
	}{
		"global":       {func(c *rdstypes.DBCluster) { c.GlobalClusterIdentifier = aws.String("world") }, "global cluster world", "retire"},
		"global, late": {func(c *rdstypes.DBCluster) { c.GlobalClusterIdentifier = aws.String("world") }, "global cluster world", "drop"},
		"a replica": {func(c *rdstypes.DBCluster) {
			c.ReplicationSourceIdentifier = aws.String("arn:aws:rds:us-east-1:111122223333:cluster:main")
		}, "is a replica of arn:aws:rds:us-east-1", "retire"},
		"replicas": {func(c *rdstypes.DBCluster) { c.ReadReplicaIdentifiers = []string{"a", "b", "c", "d", "e"} }, "a, b, c and 2 more", "retire"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.member("m-1", "main")
				b.member("m-2", "main")
				s := b.altered()
				op, err := s.StartDeleteDatabase(b.ctx, mainCluster, backup.Spec{Token: "t", Options: confirmed(mainCluster)})
				r, op := b.begun(s, op, err)
				op = b.until(r, op, stage(tt.when))
				b.tie(tt.tie)
				found, err := s.Preflight(b.ctx, op)
				if err != nil || len(found) == 0 || found[0].ID != "rds.replication" || found[0].Severity != backup.SeverityError || !strings.Contains(found[0].Message, tt.word) {
					t.Errorf("%+v %v", found, err)
				}
				op = b.until(r, op, never)
				ended(t, op, backup.ErrConflict)
				if !strings.Contains(op.Failure.Message, tt.word) || deletions(b) != 0 || len(b.databases()) != 4 || b.finals(mainCluster) != 1 {
					t.Errorf("%v: %v, %d sends, %d available", op.Err(), b.databases(), deletions(b), b.finals(mainCluster))
				}
			})
		})
	}
}

func TestDeleteReplicated(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.create("r-1")
		b.db.MakeReplica(b.world, account, region, "r-1", "orders")
		s := b.strategy()
		op, err := s.StartDeleteDatabase(b.ctx, b.orders, backup.Spec{Token: "t", Options: confirmed(b.orders)})
		b.must(err)
		found, err := s.Preflight(b.ctx, op)
		if err != nil || len(found) == 0 || found[0].ID != "rds.replicas" || found[0].Severity != backup.SeverityWarning || !strings.Contains(found[0].Message, "r-1") {
			t.Errorf("%+v %v", found, err)
		}
		op = b.run(s, op, nil)
		ended(t, op, "")
		if !finding(op, "rds.replicas") {
			t.Errorf("%+v", op.Findings)
		}
	})
}

// A final snapshot that is old is not one: what was written since would be lost.
func TestDeleteStale(t *testing.T) {
	for name, tt := range map[string]struct {
		cluster bool
		when    string
		away    time.Duration
		act     func(b *bench)
		want    backup.Code
	}{
		"away for a moment":                  {when: "drop", away: 50 * time.Minute},
		"away before the deletion":           {when: "drop", away: 61 * time.Minute, want: backup.ErrUnavailable},
		"away before the look":               {when: "retire", away: 20 * 24 * time.Hour, want: backup.ErrUnavailable},
		"away while the snapshot is made":    {when: "final", away: 20 * 24 * time.Hour, want: backup.ErrUnavailable},
		"refused for so long":                {when: "park", act: busyFor(2 * time.Hour), want: backup.ErrUnavailable},
		"refused for a moment":               {when: "park", act: busyFor(30 * time.Minute)},
		"a cluster's instances":              {cluster: true, when: "drop", away: 2 * time.Hour, want: backup.ErrUnavailable},
		"a cluster's last instance":          {cluster: true, when: "second", away: 2 * time.Hour, want: backup.ErrUnavailable},
		"a cluster that has no instance now": {cluster: true, when: "third", away: 50 * time.Minute},
		"a cluster that had none long ago":   {cluster: true, when: "third", away: 2 * time.Hour, want: backup.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				ref := b.orders
				if tt.cluster {
					b.member("m-1", "main")
					b.member("m-2", "main")
					ref = mainCluster
				}
				s := b.strategy()
				op, err := s.StartDeleteDatabase(b.ctx, ref, backup.Spec{Token: "t", Timeout: 30 * 24 * time.Hour, Options: rds.DeleteDatabaseOptions{Confirm: ref.ID, DeleteAutomatedBackups: true}})
				r, op := b.begun(s, op, err)
				if tt.act != nil {
					op = b.until(r, op, stage("drop"))
					tt.act(b)
				}
				op = b.until(r, op, func(op backup.Operation) bool {
					switch tt.when {
					case "final":
						return len(op.Points) > 0
					case "second":
						return b.count("DeleteDBInstance") == 1 && op.Stage == "retire"
					case "third":
						return b.count("DeleteDBInstance") == 2 && op.Stage == "retire"
					}
					return op.Stage == tt.when
				})
				sent := b.count("DeleteDBInstance")
				time.Sleep(tt.away)
				op = b.until(r, op, never)
				ended(t, op, tt.want)
				if left := slices.Contains(b.databases(), ref.ID); left != (tt.want != "") || left && tt.act == nil && deletions(b) != sent {
					t.Errorf("exists: %v, %d sends", left, deletions(b))
				}
				if b.finals(ref) != 1 || len(op.Points) != 1 {
					t.Errorf("%d available, %v", b.finals(ref), op.Points)
				}
			})
		})
	}
}

// busyFor has RDS refuse the deletion for a time.
func busyFor(d time.Duration) func(*bench) {
	return func(b *bench) {
		b.world.Inject(awssim.Fault{Operation: "DeleteDBInstance", Kind: awssim.FaultError, For: d, Error: awssim.Error{Code: "InvalidDBInstanceState", Message: "m"}})
	}
}

// The same token without a Store finds the snapshot of an earlier Operation, and does not take it for a new one.
func TestDeleteStaleToken(t *testing.T) {
	for _, age := range []time.Duration{20 * time.Minute, 20 * 24 * time.Hour} {
		bubble(t, func(t *testing.T, b *bench) {
			s := b.strategy()
			spec := backup.Spec{Token: "t", Options: confirmed(b.orders)}
			op, err := s.StartDeleteDatabase(b.ctx, b.orders, spec)
			r, op := b.begun(s, op, err)
			b.until(r, op, stage("retire"))
			time.Sleep(age)
			op, err = s.StartDeleteDatabase(b.ctx, b.orders, spec)
			op = b.run(s, op, err)
			if want := map[bool]backup.Code{true: backup.ErrUnavailable}[age > time.Hour]; backup.CodeOf(op.Err()) != want || b.finals(b.orders) != 1 {
				t.Errorf("%v: %v, %d available", age, op.Err(), b.finals(b.orders))
			}
			if left := slices.Contains(b.databases(), "orders"); left != (age > time.Hour) {
				t.Errorf("%v: exists: %v", age, left)
			}
		})
	}
}

// rename has a database be seen under another name from now on. It is found by its resource id, and by the new name only.
func (b *bench) rename(from, to string) {
	b.alter = func(in, out any) error {
		switch x := out.(type) {
		case *awsrds.DescribeDBInstancesOutput:
			if aws.ToString(in.(*awsrds.DescribeDBInstancesInput).DBInstanceIdentifier) == from {
				return &rdstypes.DBInstanceNotFoundFault{}
			}
			for i := range x.DBInstances {
				if d := &x.DBInstances[i]; *d.DBInstanceIdentifier == from {
					d.DBInstanceIdentifier = &to
				}
			}
		case *awsrds.DescribeDBClustersOutput:
			if aws.ToString(in.(*awsrds.DescribeDBClustersInput).DBClusterIdentifier) == from {
				return &rdstypes.DBClusterNotFoundFault{}
			}
			for i := range x.DBClusters {
				if d := &x.DBClusters[i]; *d.DBClusterIdentifier == from {
					d.DBClusterIdentifier = &to
				}
			}
		}
		return nil
	}
}

// A database that was renamed is not deleted, and the Operation does not say that it is.
func TestDeleteRenamed(t *testing.T) {
	for _, ref := range []backup.Ref{rds.Instance(account, region, "orders"), mainCluster} {
		for _, when := range []string{"retire", "drop"} {
			t.Run(ref.Type+" "+when, func(t *testing.T) {
				bubble(t, func(t *testing.T, b *bench) {
					b.makeCluster("main", "")
					s := b.altered()
					op, err := s.StartDeleteDatabase(b.ctx, ref, backup.Spec{Token: "t", Options: confirmed(ref)})
					r, op := b.begun(s, op, err)
					op = b.until(r, op, stage(when))
					b.rename(ref.ID, "old")
					op = b.until(r, op, never)
					ended(t, op, backup.ErrConflict)
					if !strings.Contains(op.Failure.Message, "old") || deletions(b) != 0 || len(b.databases()) != 2 {
						t.Errorf("%v: %v, %d sends", op.Err(), b.databases(), deletions(b))
					}
				})
			})
		}
	}
	// It is renamed between the look and the call, which does not find it any more.
	bubble(t, func(t *testing.T, b *bench) {
		s := b.altered()
		op, err := s.StartDeleteDatabase(b.ctx, b.orders, backup.Spec{Token: "t", Options: confirmed(b.orders)})
		r, op := b.begun(s, op, err)
		op = b.until(r, op, stage("drop"))
		b.world.Inject(awssim.Fault{Operation: "DeleteDBInstance", Kind: awssim.FaultError, Error: awssim.Error{Code: "DBInstanceNotFound", Message: "m"}})
		op = b.until(r, op, stage("gone"))
		// The list of resource ids lags for some minutes.
		b.rename("orders", "old")
		seen := b.alter
		late := time.Now().Add(3 * time.Minute)
		b.alter = func(in, out any) error {
			if x, ok := out.(*awsrds.DescribeDBInstancesOutput); ok && time.Now().Before(late) {
				x.DBInstances = nil
			}
			return seen(in, out)
		}
		op = b.until(r, op, never)
		ended(t, op, backup.ErrConflict)
		if !slices.Contains(b.databases(), "orders") {
			t.Error("it is gone")
		}
	})
}

// RDS might answer with more than it was asked for: only what has the resource id is the database.
func TestDeleteOtherResource(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.create("another")
		s := b.altered()
		op, err := s.StartDeleteDatabase(b.ctx, b.orders, backup.Spec{Token: "t", Options: confirmed(b.orders)})
		r, op := b.begun(s, op, err)
		op = b.until(r, op, stage("drop"))
		b.drop("orders")
		time.Sleep(time.Hour)
		b.create("orders")
		before := b.count("DeleteDBInstance")
		all, err := b.client.DescribeDBInstances(b.ctx, &awsrds.DescribeDBInstancesInput{})
		b.must(err)
		b.alter = func(in, out any) error {
			if x, ok := out.(*awsrds.DescribeDBInstancesOutput); ok && len(in.(*awsrds.DescribeDBInstancesInput).Filters) > 0 {
				x.DBInstances = all.DBInstances
			}
			return nil
		}
		op = b.until(r, op, never)
		ended(t, op, "")
		if len(b.databases()) != 2 || b.count("DeleteDBInstance") != before {
			t.Errorf("%v, %d sends", b.databases(), b.count("DeleteDBInstance"))
		}
	})
}

// Nothing is deleted while the final snapshot is not the very one that was made, and available.
func TestDeleteWithoutFinal(t *testing.T) {
	remake := func(b *bench, op backup.Operation, tags map[string]string) {
		id := op.Points[0].ID
		b.db.LoseSnapshot(b.world, account, region, id)
		b.must(b.snap("orders", id, tags))
		time.Sleep(20 * time.Minute)
	}
	for name, tt := range map[string]struct {
		act   func(b *bench, op backup.Operation)
		early bool
	}{
		"another of the name": {act: func(b *bench, op backup.Operation) {
			p := point1(b.t.(*testing.T), b, b.strategy(), op.Points[0])
			remake(b, op, p.Tags)
		}},
		"not available": {act: func(b *bench, op backup.Operation) {
			b.db.SetSnapshotStatus(b.world, account, region, op.Points[0].ID, "incompatible-restore", 100*time.Hour)
		}},
		"somebody else's": {act: func(b *bench, op backup.Operation) { remake(b, op, nil) }, early: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				s := b.altered()
				made := func(op backup.Operation) bool {
					var st struct {
						F backup.Operation `json:"f"`
					}
					return op.GetState(&st) == nil && st.F.Done()
				}
				if tt.early {
					// The look at the snapshot that was made does not see it.
					b.alter = func(in, out any) error {
						if x, ok := out.(*awsrds.DescribeDBSnapshotsOutput); ok && len(x.DBSnapshots) > 0 && aws.ToString(x.DBSnapshots[0].Status) == "available" {
							if b.blind++; b.blind > 1 {
								x.DBSnapshots = nil
							}
						}
						return nil
					}
				}
				op, err := s.StartDeleteDatabase(b.ctx, b.orders, backup.Spec{Token: "t", Options: confirmed(b.orders)})
				r, op := b.begun(s, op, err)
				if tt.early {
					if op = b.until(r, op, made); op.Stage != "final" {
						t.Fatalf("in stage %s", op.Stage)
					}
				} else {
					op = b.until(r, op, stage("drop"))
				}
				b.alter = nil
				tt.act(b, op)
				op = b.until(r, op, never)
				ended(t, op, backup.ErrFailed)
				if deletions(b) != 0 || !slices.Contains(b.databases(), "orders") || !strings.Contains(op.Failure.Message, "not available any more") {
					t.Errorf("%v: %d sends, %v", op.Err(), deletions(b), b.databases())
				}
			})
		})
	}
}

// An armed deletion whose attempt is not recorded is not sent.
func TestDeleteNotRecorded(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		s := b.strategy()
		op, err := s.StartDeleteDatabase(b.ctx, b.orders, backup.Spec{Token: "t", Options: confirmed(b.orders)})
		r, op := b.begun(s, op, err)
		op = b.until(r, op, stage("drop"))
		if op.Intent() != backup.ReadOnly {
			t.Fatalf("%+v", op)
		}
		before, err := json.Marshal(op)
		b.must(err)
		next, err := s.Step(b.ctx, op)
		b.must(err)
		after, err := json.Marshal(next)
		b.must(err)
		if deletions(b) != 0 || string(before) != string(after) {
			t.Errorf("%d sends: %s", deletions(b), after)
		}
	})
}

// A snapshot may take hours to make: it is not old for that.
func TestDeleteSlowFinal(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		s := b.strategy()
		op, err := s.StartDeleteDatabase(b.ctx, b.orders, backup.Spec{Token: "t", Options: confirmed(b.orders)})
		r, op := b.begun(s, op, err)
		op = b.until(r, op, func(op backup.Operation) bool { return len(op.Points) > 0 })
		b.db.SetSnapshotStatus(b.world, account, region, op.Points[0].ID, "creating", 5*time.Hour)
		began := time.Now()
		ended(t, b.until(r, op, never), "")
		if time.Since(began) < 5*time.Hour || slices.Contains(b.databases(), "orders") {
			t.Errorf("after %v: %v", time.Since(began), b.databases())
		}
	})
}
