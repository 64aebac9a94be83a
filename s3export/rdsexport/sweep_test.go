package rdsexport_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/sweep"
	"github.com/snapwarden/snapwarden/s3export/rdsexport"
)

func newStrategy(cfg aws.Config) backup.Strategy { return rdsexport.NewFromConfig(cfg) }

// exportFlow exports the snapshot of a DB instance, or that of an Aurora cluster.
func exportFlow(name string, cluster bool) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := newBed(t)
		if cluster {
			b.point = b.clusterSnapshot("nightly", "main", "aurora-postgresql")
		}
		marks := func() (n int) {
			for _, o := range b.store.Objects(b.world, region, bucket) {
				if !o.At.After(time.Now()) && strings.Contains(o.Key, "/export_info_") {
					n++
				}
			}
			return n
		}
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.Start(ctx, b.point, backup.Spec{Token: "tonight", Options: b.options()})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				all := b.db.Exports(b.world, account, region)
				if op.Phase == backup.PhaseSucceeded && (len(all) != 1 || all[0].Status != "COMPLETE" || marks() != 1) {
					bad = append(bad, fmt.Sprintf("I3: success with %+v and %d marks", all, marks()))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				all := b.db.Exports(b.world, account, region)
				if len(all) != 1 {
					bad = append(bad, fmt.Sprintf("I1: %d export tasks", len(all)))
				}
				for _, x := range all {
					place := bucket + "/rds/daily/" + x.ID
					if !slices.Contains(op.Points, b.ref(rdsexport.TypeExport, place)) &&
						!(slices.Contains(op.Made, b.ref(rdsexport.TypeFiles, place)) && slices.Contains(op.Made, b.ref(rdsexport.TypeTask, x.ID))) {
						bad = append(bad, "I17: "+x.ID+" is listed nowhere")
					}
				}
				return bad
			},
		}
	}}
}

func TestSweepSingles(t *testing.T) {
	for _, w := range []sweep.Workflow{exportFlow("rds-export", false), exportFlow("rds-export-cluster", true)} {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel()
			sweep.Singles(t, w).Check(t)
		})
	}
}

// The control: a Strategy that takes the first glance at something new for the truth is found out. If it were not, the sweep would be blind.
func TestSweepControlNoSettling(t *testing.T) {
	w := exportFlow("rds-export-control", false)
	setup := w.Setup
	w.Setup = func(t testing.TB, ctx context.Context) sweep.Subject {
		s := setup(t, ctx)
		s.Strategy = func(cfg aws.Config) backup.Strategy {
			return rdsexport.NewFromConfig(cfg, func(o *rdsexport.Settings) { o.Settle = 1 })
		}
		return s
	}
	if res := sweep.Control(t, w); len(res.Violations) == 0 {
		t.Error("a strategy that does not settle passed every run")
	} else {
		t.Logf("found, as it must: %s", res.Violations[0])
	}
}
