package rds_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/sweep"
	"github.com/snapwarden/snapwarden/rds"
)

// unlisted says which of the things that an Operation made exist and are listed nowhere, and whether there are as many as there must be.
func (b *bench) unlisted(op backup.Operation, want int) (bad []string) {
	made := b.madeOfClusters(op.ID)
	if len(made) != want {
		bad = append(bad, fmt.Sprintf("I1: %v carry the token, want %d", made, want))
	}
	for _, r := range made {
		if !slices.Contains(op.Points, r) && !slices.Contains(op.Made, r) {
			bad = append(bad, "I17: "+r.String()+" is listed nowhere")
		}
	}
	return bad
}

// seededCluster makes the Aurora cluster "main" and a snapshot of it without any Strategy.
func (b *bench) seededCluster(name string) backup.Ref {
	b.t.Helper()
	b.makeCluster("main", "")
	_, err := b.client.CreateDBClusterSnapshot(b.ctx, &awsrds.CreateDBClusterSnapshotInput{DBClusterIdentifier: aws.String("main"), DBClusterSnapshotIdentifier: &name})
	b.must(err)
	time.Sleep(4 * time.Hour)
	return rds.ClusterSnapshot(account, region, name)
}

func clusterBackupFlow() sweep.Workflow {
	return sweep.Workflow{Name: "rds-cluster-backup", Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		b.makeCluster("main", "")
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.Start(ctx, rds.Cluster(account, region, "main"), backup.Spec{Token: "tonight"})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if op.Phase == backup.PhaseSucceeded && !slices.ContainsFunc(b.db.ClusterSnapshots(b.world, account, region), isAvailable) {
					bad = append(bad, "I3: success without an available snapshot")
				}
				return bad
			},
			Quiet: func(op backup.Operation) []string { return b.unlisted(op, 1) },
		}
	}}
}

func clusterRestoreFlow() sweep.Workflow {
	return sweep.Workflow{Name: "rds-cluster-restore", Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		point := b.seededCluster("nightly")
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: patient, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*rds.Strategy).StartRestore(ctx, point, backup.Spec{Token: "tonight", Options: clusterOptions()})
			},
			AtEnd: b.restoredCluster,
			Quiet: func(op backup.Operation) []string {
				if op.Phase == backup.PhaseSucceeded {
					return b.unlisted(op, 3)
				}
				return b.unlisted(op, len(b.madeOfClusters(op.ID)))
			},
		}
	}}
}

// restoredCluster says what of a restore that succeeded is not as it was asked for.
func (b *bench) restoredCluster(op backup.Operation) (bad []string) {
	if op.Phase != backup.PhaseSucceeded {
		return nil
	}
	for _, c := range b.db.Clusters(b.world, account, region) {
		if c.Tags[backup.TagToken] == op.ID && (c.Status != "available" || c.PubliclyAccessible || !slices.Equal(slices.Sorted(slices.Values(c.SecurityGroups)), []string{"sg-0a", "sg-0b"}) ||
			!slices.Equal(c.Members, []string{"main-copy-1", "main-copy-2"}) || !c.Encrypted) {
			bad = append(bad, fmt.Sprintf("I3 I13: success, and the cluster is %+v", c))
		}
	}
	for _, i := range b.db.Instances(b.world, account, region) {
		if i.Tags[backup.TagToken] == op.ID && (i.Status != "available" || i.PubliclyAccessible) {
			bad = append(bad, fmt.Sprintf("I3 I13: success, and the instance is %+v", i))
		}
	}
	if len(op.Endpoints) != 4 {
		bad = append(bad, fmt.Sprintf("I3: success with endpoints %v", op.Endpoints))
	}
	return bad
}

func clusterDeleteFlow() sweep.Workflow {
	return sweep.Workflow{Name: "rds-cluster-delete", Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		point, other := b.clusterPoint("nightly"), b.clusterPoint("monthly")
		live := func() (ids []string) {
			for _, s := range b.db.ClusterSnapshots(b.world, account, region) {
				ids = append(ids, s.ID)
			}
			return ids
		}
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*rds.Strategy).StartDelete(ctx, point, backup.Spec{Token: "tonight"})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if ids := live(); op.Phase == backup.PhaseSucceeded && slices.Contains(ids, point.ID) {
					bad = append(bad, fmt.Sprintf("I3: success, and %v exist", ids))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				if ids := live(); !slices.Equal(ids, []string{other.ID}) {
					bad = append(bad, fmt.Sprintf("I4 I8: %v exist, wanted only %s", ids, other.ID))
				}
				return bad
			},
		}
	}}
}
