package rds_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/rds"
)

// That a cluster has no instance excuses an old final snapshot only if this Operation took the last one and looked at it since, for then
// nothing wrote to it. What somebody else adds, or takes away, does not.
func TestDeleteStaleThroughOthers(t *testing.T) {
	// sent is after so many instances were taken.
	sent := func(n int) func(*bench, backup.Operation) bool {
		return func(b *bench, op backup.Operation) bool {
			return b.count("DeleteDBInstance") == n && op.Stage == "retire"
		}
	}
	// add makes an instance of the cluster that is there at once.
	add := func(b *bench, id string) {
		_, err := b.client.CreateDBInstance(b.ctx, &awsrds.CreateDBInstanceInput{DBInstanceIdentifier: &id, DBInstanceClass: aws.String("db.r6g.large"),
			Engine: aws.String("aurora-postgresql"), DBClusterIdentifier: aws.String("main")})
		b.must(err)
	}
	armed := func(_ *bench, op backup.Operation) bool { return op.Stage == "drop" }
	for name, tt := range map[string]struct {
		members []string
		// hold is for how long nobody carries it on when the first deletion is armed.
		hold time.Duration
		when func(b *bench, op backup.Operation) bool
		act  func(b *bench, r *backup.Runner, op backup.Operation) backup.Operation
		want backup.Code
		// left are those that this Operation must not take.
		left []string
		// away is for how long nobody carries it on afterwards, 2 hours if it is zero.
		away time.Duration
	}{
		"its own last one, seen gone within the hour": {members: []string{"m-1"}, hold: 50 * time.Minute, when: sent(1), away: 50 * time.Minute},
		"its own last one, seen gone again and again": {members: []string{"m-1"}, when: sent(1), act: func(b *bench, r *backup.Runner, op backup.Operation) backup.Operation {
			time.Sleep(50 * time.Minute)
			return b.until(r, op, stage("drop"))
		}, away: 50 * time.Minute},
		"its own last one, and nobody looked for long": {members: []string{"m-1"}, when: sent(1), want: backup.ErrUnavailable},
		"another instance was made since": {members: []string{"m-1"}, hold: 50 * time.Minute, when: sent(1), act: func(b *bench, _ *backup.Runner, op backup.Operation) backup.Operation {
			add(b, "m-9")
			return op
		}, away: 30 * time.Minute, want: backup.ErrUnavailable, left: []string{"m-9"}},
		"another was made in time and went later": {members: []string{"m-1"}, hold: 50 * time.Minute, when: sent(1), act: func(b *bench, r *backup.Runner, op backup.Operation) backup.Operation {
			add(b, "m-9")
			op = b.until(r, op, stage("drop"))
			if b.count("DeleteDBInstance") != 1 || op.Next != "DeleteDBInstance" {
				b.t.Fatalf("%s is armed after %d sends", op.Next, b.count("DeleteDBInstance"))
			}
			b.drop("m-9")
			return op
		}, away: 30 * time.Minute, want: backup.ErrUnavailable},
		"somebody else took the last one": {members: []string{"m-1", "m-2"}, hold: 50 * time.Minute, when: sent(1), act: func(b *bench, _ *backup.Runner, op backup.Operation) backup.Operation {
			b.drop("m-2")
			return op
		}, away: 30 * time.Minute, want: backup.ErrUnavailable},
		"the last one was not found": {members: []string{"m-1"}, hold: 50 * time.Minute, when: armed, act: func(b *bench, r *backup.Runner, op backup.Operation) backup.Operation {
			// It has another name for a moment, as after a renaming, and goes by somebody else's hand.
			b.world.Inject(awssim.Fault{Operation: "DeleteDBInstance", Kind: awssim.FaultError, Error: awssim.Error{Code: "DBInstanceNotFound", Message: "m"}})
			op = b.until(r, op, stage("retire"))
			b.drop("m-1")
			return op
		}, away: 30 * time.Minute, want: backup.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				for _, m := range tt.members {
					b.member(m, "main")
				}
				s := b.strategy()
				op, err := s.StartDeleteDatabase(b.ctx, mainCluster, backup.Spec{Token: "t", Timeout: 30 * 24 * time.Hour, Options: confirmed(mainCluster)})
				r, op := b.begun(s, op, err)
				op = b.until(r, op, stage("drop"))
				time.Sleep(tt.hold)
				op = b.until(r, op, func(op backup.Operation) bool { return tt.when(b, op) })
				if tt.act != nil {
					op = tt.act(b, r, op)
				}
				time.Sleep(cmp.Or(tt.away, 2*time.Hour))
				op = b.until(r, op, never)
				ended(t, op, tt.want)
				left := append([]string{}, tt.left...)
				if tt.want != "" {
					left = append(left, "main")
				}
				slices.Sort(left)
				if got := b.databases(); !slices.Equal(got, append(left, "orders")) || b.finals(mainCluster) != 1 {
					t.Errorf("%v are left and not %v, %d available", got, left, b.finals(mainCluster))
				}
			})
		})
	}
}

// RDS might answer with others beside the one that it was asked for: they are not taken for it, and it is not taken for gone.
func TestDeleteAmongOthers(t *testing.T) {
	for _, ref := range []backup.Ref{rds.Instance(account, region, "orders"), mainCluster} {
		t.Run(ref.Type, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.create("a-first")
				b.makeCluster("a-cluster", "")
				b.makeCluster("main", "")
				all := b.databases()
				more := 0
				b.alter = func(in, out any) error {
					switch x := out.(type) {
					case *awsrds.DescribeDBInstancesOutput:
						if asked(in.(*awsrds.DescribeDBInstancesInput).Filters, "dbi-resource-id") && len(x.DBInstances) == 1 {
							every, err := b.client.DescribeDBInstances(b.ctx, &awsrds.DescribeDBInstancesInput{})
							if err != nil {
								return err
							}
							more++
							x.DBInstances = every.DBInstances
						}
					case *awsrds.DescribeDBClustersOutput:
						if asked(in.(*awsrds.DescribeDBClustersInput).Filters, "db-cluster-resource-id") && len(x.DBClusters) == 1 {
							every, err := b.client.DescribeDBClusters(b.ctx, &awsrds.DescribeDBClustersInput{})
							if err != nil {
								return err
							}
							more++
							x.DBClusters = every.DBClusters
						}
					}
					return nil
				}
				s := b.altered()
				op, err := s.StartDeleteDatabase(b.ctx, ref, backup.Spec{Token: "t", Options: confirmed(ref)})
				ended(t, b.run(s, op, err), "")
				want := slices.DeleteFunc(all, func(id string) bool { return id == ref.ID })
				if got := b.databases(); !slices.Equal(got, want) || more == 0 {
					t.Errorf("%v are left and not %v; %d answers had more", got, want, more)
				}
			})
		})
	}
}

// asked tells whether a filter was given.
func asked(filters []rdstypes.Filter, name string) bool {
	return slices.ContainsFunc(filters, func(f rdstypes.Filter) bool { return aws.ToString(f.Name) == name })
}
