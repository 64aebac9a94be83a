package rdsexport_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/rds"
	"github.com/snapwarden/snapwarden/s3export/rdsexport"
)

// clusterSnapshot makes a cluster of an engine and a snapshot of it, and waits for both.
func (b *bed) clusterSnapshot(id, of, engine string) backup.Ref {
	b.Helper()
	in := &awsrds.CreateDBClusterInput{DBClusterIdentifier: &of, Engine: &engine}
	if !strings.HasPrefix(engine, "aurora") {
		in.DBClusterInstanceClass, in.AllocatedStorage, in.StorageType, in.Iops = aws.String("db.m6gd.large"), aws.Int32(100), aws.String("io1"), aws.Int32(1000)
	}
	_, err := b.api.CreateDBCluster(b.ctx, in)
	b.ok(err)
	time.Sleep(4 * time.Hour)
	_, err = b.api.CreateDBClusterSnapshot(b.ctx, &awsrds.CreateDBClusterSnapshotInput{DBClusterIdentifier: &of, DBClusterSnapshotIdentifier: &id})
	b.ok(err)
	time.Sleep(4 * time.Hour)
	return rds.ClusterSnapshot(account, region, id)
}

func TestExportCluster(t *testing.T) {
	for name, tt := range map[string]struct {
		engine string
		only   []string
		want   backup.Code
	}{
		"PostgreSQL":            {"aurora-postgresql", []string{"shop.sales.orders"}, ""},
		"MySQL":                 {"aurora-mysql", []string{"shop.orders"}, ""},
		"MySQL with a schema":   {"aurora-mysql", []string{"shop.sales.orders"}, backup.ErrInvalid},
		"Multi-AZ DB cluster":   {"postgres", nil, backup.ErrUnsupported},
		"of the same name only": {"aurora-postgresql", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				// An instance's snapshot of the same name is another thing.
				b.point = b.clusterSnapshot("nightly", "main", tt.engine)
				op := b.start(func(o *rdsexport.Options) { o.Only = tt.only })
				found, err := b.s.Preflight(b.ctx, op)
				b.ok(err)
				if bad := slices.ContainsFunc(found, func(f backup.Finding) bool { return f.Severity == backup.SeverityError }); bad != (tt.want != "") {
					b.Errorf("%v", found)
				}
				op = b.run(op)
				if backup.CodeOf(op.Err()) != tt.want {
					b.Fatalf("%s: %v", op.Phase, op.Err())
				}
				if tt.want != "" {
					if b.count("StartExportTask") != 0 {
						b.Error("sent")
					}
					return
				}
				if x := b.task(); x.Source != "arn:aws:rds:eu-west-1:111122223333:cluster-snapshot:nightly" || x.Status != "COMPLETE" {
					b.Errorf("%+v", x)
				}
				if len(op.Points) != 1 || op.Points[0].Type != rdsexport.TypeExport {
					b.Errorf("%v", op.Points)
				}
			})
		})
	}
}

func TestClusterRefs(t *testing.T) {
	bubble(t, func(b *bed) {
		for id, want := range map[string]backup.Code{"main-1": "", "rds:" + strings.Repeat("m", 63) + "-2026-11-20-03-10": "", strings.Repeat("m", 64): backup.ErrInvalid, "a--b": backup.ErrInvalid} {
			_, err := b.s.Start(b.ctx, rds.ClusterSnapshot(account, region, id), backup.Spec{Token: "t", Options: b.options()})
			if backup.CodeOf(err) != want {
				b.Errorf("%s: %v", id, err)
			}
		}
		if _, err := b.s.Start(b.ctx, rds.Cluster(account, region, "main"), backup.Spec{Token: "t", Options: b.options()}); !errors.Is(err, backup.ErrInvalid) {
			b.Error(err)
		}
		// One that is not there.
		b.point = rds.ClusterSnapshot(account, region, "nightly")
		if op := b.run(b.start()); !errors.Is(op.Err(), backup.ErrNotFound) {
			b.Errorf("%s: %v", op.Phase, op.Err())
		}
	})
}
