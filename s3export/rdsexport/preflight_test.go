package rdsexport_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/rds"
	"github.com/snapwarden/snapwarden/s3export/rdsexport"
)

func TestPreflight(t *testing.T) {
	busy := func(word string) func(b *bed) {
		return func(b *bed) { b.db.SetSnapshotStatus(b.world, account, region, "nightly", word, time.Hour) }
	}
	for name, c := range map[string]struct {
		prepare func(b *bed)
		bucket  string
		want    []string
	}{
		"nothing":         {func(*bed) {}, bucket, nil},
		"no snapshot":     {func(b *bed) { b.point = rds.Snapshot(account, region, "none") }, bucket, []string{"error rdsexport.not-found"}},
		"a busy snapshot": {busy("copying"), bucket, []string{"warning rdsexport.snapshot-state"}},
		"a failed one":    {busy("failed"), bucket, []string{"error rdsexport.snapshot-state"}},
		"its engine": {func(b *bed) {
			b.instance("ora", "oracle-se2", "gp3")
			b.point = b.snapshot("of-ora", "ora")
		}, bucket, []string{"error rdsexport.unsupported"}},
		"no bucket, and another export": {func(b *bed) { b.export("theirs", "nightly") }, "none-such", []string{"error rdsexport.bucket", "warning rdsexport.other-export"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				c.prepare(b)
				before := b.count("StartExportTask")
				found, err := b.s.Preflight(b.ctx, b.start(func(o *rdsexport.Options) { o.Bucket = c.bucket }))
				b.ok(err)
				var got []string
				for _, f := range found {
					got = append(got, string(f.Severity)+" "+f.ID)
					if f.Message == "" || f.Remedy == "" {
						b.Errorf("%+v", f)
					}
				}
				if !slices.Equal(got, c.want) || b.count("StartExportTask") != before {
					b.Errorf("found %v, want %v", got, c.want)
				}
			})
		})
	}
}

func TestPreflightErrors(t *testing.T) {
	for _, read := range []string{"DescribeDBSnapshots", "DescribeExportTasks", "ListObjectsV2"} {
		bubble(t, func(b *bed) {
			b.world.Inject(awssim.Fault{Operation: read, Kind: awssim.FaultServerError, Times: -1})
			if found, err := b.s.Preflight(b.ctx, b.start()); !errors.Is(err, backup.ErrUnavailable) || found != nil {
				b.Errorf("%s: %v %v", read, found, err)
			}
		})
	}
	bubble(t, func(b *bed) {
		op := b.start()
		other, err := backup.NewOperation(rdsexport.Kind, backup.ActionBackup, b.point, backup.Spec{Token: "t"})
		b.ok(err)
		if _, err := b.s.Preflight(b.ctx, other); !errors.Is(err, backup.ErrUnsupported) {
			b.Error(err)
		}
		op.State = []byte(`[]`)
		if _, err := b.s.Preflight(b.ctx, op); !errors.Is(err, backup.ErrInvalid) {
			b.Error(err)
		}
		op.Kind = "rds"
		if _, err := b.s.Preflight(b.ctx, op); !errors.Is(err, backup.ErrInvalid) {
			b.Error(err)
		}
		theirs := rdsexport.NewFromConfig(b.world.Config(foreign, region))
		if _, err := theirs.Preflight(b.ctx, b.start()); !errors.Is(err, backup.ErrInvalid) {
			b.Error(err)
		}
	})
}
