package nightly_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/backuptest"
	nightly "github.com/snapwarden/snapwarden/examples/unittest"
)

// inventory gives a scripted strategy something to discover. A Script plays what it is told to, whatever the service; that suits tests of
// what the program does about an end, where it does not matter how AWS comes to it.
type inventory struct {
	*backuptest.Script
	refs []backup.Ref
}

func (i inventory) Discover(context.Context, backup.Query) iter.Seq2[backup.Resource, error] {
	return func(yield func(backup.Resource, error) bool) {
		for _, r := range i.refs {
			if !yield(backup.Resource{Ref: r}, nil) {
				return
			}
		}
	}
}

// Ends that a simulated AWS comes to only with some effort.
func TestHowItEnds(t *testing.T) {
	database := backup.Ref{Type: "dump/database", Account: account, Region: region, ID: "orders"}
	for _, c := range []struct {
		name string
		ends backuptest.Outcome
		want error
	}{
		{"well", backuptest.Succeed(), nil},
		{"short", backuptest.Fail(&backup.Error{Code: backup.ErrPartial, Err: errors.New("one of three files is missing")}), backup.ErrPartial},
		{"full", backuptest.Fail(&backup.Error{Code: backup.ErrQuota, Err: errors.New("the account has 100 dumps")}), backup.ErrQuota},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := inventory{refs: []backup.Ref{database}, Script: backuptest.NewScript("dump",
					backuptest.Make("CreateDump"),
					backuptest.Error(backup.ErrUnavailable), // a look that fails is not a backup that fails
					backuptest.Progress(50, 6*time.Hour),
					c.ends)}
				runner, err := backup.NewRunner([]backup.Strategy{s})
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				report := nightly.Run(t.Context(), runner, []backup.Strategy{s}, backup.Query{Account: account, Region: region}, "2026-11-20")
				if len(report.Outcomes) != 1 || !errors.Is(report.Outcomes[0].Err, c.want) || len(report.Outcomes[0].Points) != 1 || report.OK() != (c.want == nil) {
					t.Errorf("the report:\n%v", report)
				}
				if d := time.Since(began); d < 6*time.Hour {
					t.Errorf("it ended after %v", d)
				}
			})
		})
	}
}

// A strategy that can not list what there is must not pass for one that has nothing to back up.
func TestNothingDiscovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := backuptest.NewScript("dump")
		runner, err := backup.NewRunner([]backup.Strategy{s})
		if err != nil {
			t.Fatal(err)
		}
		report := nightly.Run(t.Context(), runner, []backup.Strategy{s}, backup.Query{Account: account, Region: region}, "2026-11-20")
		if report.OK() || len(report.Unknown) != 1 || !errors.Is(report.Unknown[0], backup.ErrUnsupported) {
			t.Errorf("the report:\n%v", report)
		}
	})
}
