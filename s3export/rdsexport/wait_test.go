package rdsexport_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/rdsexport"
)

// What is in the way and passes is waited for, and said.
func TestWaitsFor(t *testing.T) {
	for name, c := range map[string]struct {
		before func(b *bed)
		id     string
	}{
		"another export of the snapshot": {func(b *bed) { b.export("theirs", "nightly") }, "rdsexport.other-export"},
		"one that is being canceled": {func(b *bed) {
			b.export("theirs", "nightly")
			_, err := b.api.CancelExportTask(b.ctx, &awsrds.CancelExportTaskInput{ExportTaskIdentifier: aws.String("theirs")})
			b.ok(err)
		}, "rdsexport.other-export"},
		"the quota": {func(b *bed) {
			b.db.SetExportQuota(b.world, 1)
			b.snapshot("weekly", "orders-00001")
			b.export("theirs", "weekly")
		}, "rdsexport.not-yet"},
		"a role that was just made": {func(b *bed) { b.db.SetRole(b.world, role, rdssim.RoleMissing, time.Minute) }, "rdsexport.role-not-ready"},
		"its rights":                {func(b *bed) { b.db.SetRole(b.world, role, rdssim.RoleLacking, time.Minute) }, "rdsexport.role-not-ready"},
		"the snapshot":              {func(b *bed) { b.db.SetSnapshotStatus(b.world, account, region, "nightly", "copying", time.Hour) }, "rdsexport.snapshot-state"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.world.SetPageLimit(1)
				c.before(b)
				op := b.until(b.start(), "never")
				b.ok(op.Err())
				if !slices.Equal(b.ids(op), []string{c.id}) {
					b.Errorf("the findings are %v", op.Findings)
				}
			})
		})
	}
}

// A snapshot that becomes busy between the look and the call.
func TestSourceChanges(t *testing.T) {
	bubble(t, func(b *bed) {
		op := b.until(b.start(), "send")
		b.db.SetSnapshotStatus(b.world, account, region, "nightly", "copying", time.Hour)
		op = b.until(op, "never")
		b.ok(op.Err())
		if n := b.count("StartExportTask"); n != 2 || !slices.Contains(b.ids(op), "rdsexport.not-yet") {
			b.Errorf("sent %d times, found %v", n, b.ids(op))
		}
	})
}

func TestRoleThatIsNeverReady(t *testing.T) {
	for state, say := range map[rdssim.RoleState]string{rdssim.RoleMissing: "export.rds.amazonaws.com assume the role " + role, rdssim.RoleLacking: "role " + role + " s3:PutObject*"} {
		for _, ready := range []time.Duration{0, -1} {
			bubble(t, func(b *bed) {
				b.s = rdsexport.NewFromConfig(b.world.Config(account, region), func(s *rdsexport.Settings) { s.RoleReady = ready })
				b.db.SetRole(b.world, role, state, 0)
				begin := time.Now()
				op := b.until(b.start(), "never")
				if !errors.Is(op.Err(), backup.ErrDenied) || !strings.Contains(backup.HintOf(op.Err()), say) || len(op.Made) > 0 {
					b.Errorf("%s %v %v", op.Phase, op.Err(), op.Made)
				}
				if took := time.Since(begin); ready == 0 && (took < 2*time.Minute || took > 4*time.Minute) || ready < 0 && took > time.Minute {
					b.Errorf("it took %v", took)
				}
			})
		}
	}
}

// An export that lacks something is never called whole.
func TestHalfIsNotWhole(t *testing.T) {
	for name, c := range map[string]struct {
		warning string
		phase   backup.Phase
		say     string
	}{
		"no warning":       {"", backup.PhaseSucceeded, ""},
		"an empty warning": {`{"skippedTables":[],"skippedObjectives":[],"general":[]}`, backup.PhaseSucceeded, ""},
		"a database":       {`{"skippedTables":[],"skippedObjectives":[],"general":[{"reason":"FAILED_TO_EXTRACT_TABLES_LIST_FOR_DATABASE"}]}`, backup.PhasePartial, "TABLES_LIST"},
		"a table":          {`{"skippedTables":[{"tableName":"orders","reason":"PERMISSIONS_DO_NOT_EXIST"}],"general":[]}`, backup.PhasePartial, "PERMISSIONS_DO_NOT_EXIST"},
		"other words":      {"Some tables were skipped.", backup.PhasePartial, "Some tables"},
		"other JSON":       {`["x"]`, backup.PhasePartial, "x"},
		"a long list":      {`{"skippedTables":["` + strings.Repeat("täble", 1000) + `"]}`, backup.PhasePartial, "..."},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.db.WarnExports(b.world, c.warning)
				op := b.run(b.start())
				if op.Phase != c.phase || len(op.Points) != 1 || len(op.Made) != 0 {
					b.Errorf("%s %v %v %v", op.Phase, op.Points, op.Made, op.Err())
				}
				if c.say != "" && (!errors.Is(op.Err(), backup.ErrPartial) || !strings.Contains(op.Failure.Message, c.say) || len(op.Failure.Message) > 600 || backup.HintOf(op.Err()) == "") {
					b.Error(op.Err())
				}
			})
		})
	}
	// RDS says that it is complete, and S3 does not have what it says.
	bubble(t, func(b *bed) {
		op := b.until(b.start(), "list")
		x := b.task()
		_, err := b.s3.DeleteObject(b.ctx, &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("rds/daily/" + x.ID + "/export_info_" + x.ID + ".json")})
		b.ok(err)
		begin := time.Now()
		op = b.until(op, "never")
		if op.Phase != backup.PhasePartial || len(op.Points) != 0 || len(op.Made) != 2 || time.Since(begin) < 6*time.Minute {
			b.Errorf("after %v: %s %v %v %v", time.Since(begin), op.Phase, op.Points, op.Made, op.Err())
		}
	})
}

func TestTaskStates(t *testing.T) {
	for name, c := range map[string]struct {
		act  func(b *bed, id string)
		code backup.Code
		say  string
	}{
		"a word that nobody knows": {func(b *bed, id string) { b.db.SetExportStatus(b.world, account, region, id, "POLISHING", 5*time.Hour) }, "", ""},
		"failed": {func(b *bed, id string) {
			b.db.FailExport(b.world, account, region, id, "An unknown internal error occurred.")
		},
			backup.ErrFailed, "unknown internal error"},
		"canceled by somebody": {func(b *bed, id string) {
			_, err := b.api.CancelExportTask(b.ctx, &awsrds.CancelExportTaskInput{ExportTaskIdentifier: &id})
			b.ok(err)
		}, backup.ErrFailed, "somebody else canceled"},
		"forgotten": {func(b *bed, id string) { b.db.LoseExport(b.world, account, region, id) }, backup.ErrFailed, "disappeared"},
		"replaced": {func(b *bed, id string) {
			b.db.LoseExport(b.world, account, region, id)
			b.export(id, "nightly")
		}, backup.ErrConflict, "under the prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				op := b.until(b.start(), "wait")
				time.Sleep(4 * time.Minute)
				id := b.task().ID
				begin := time.Now()
				c.act(b, id)
				op = b.until(op, "never")
				if c.code == "" {
					b.ok(op.Err())
					if time.Since(begin) < 5*time.Hour || !slices.Equal(b.ids(op), []string{"rdsexport.unknown-status"}) {
						b.Errorf("after %v, %v", time.Since(begin), op.Findings)
					}
					return
				}
				if op.Phase != backup.PhaseFailed || !errors.Is(op.Err(), c.code) || !strings.Contains(op.Err().Error(), c.say) || backup.HintOf(op.Err()) == "" || op.Percent == 100 {
					b.Errorf("%s %d%% %v", op.Phase, op.Percent, op.Err())
				}
				want := backup.Refs{b.ref(rdsexport.TypeTask, id), b.ref(rdsexport.TypeFiles, bucket+"/rds/daily/"+id)}
				if !slices.Equal(op.Made, want) || len(op.Points) > 0 {
					b.Errorf("made %v, points %v", op.Made, op.Points)
				}
			})
		})
	}
}

func TestProgress(t *testing.T) {
	bubble(t, func(b *bed) {
		op := b.until(b.start(), "wait")
		seen := map[int]bool{}
		for !op.Done() {
			seen[op.Percent] = true
			var err error
			op, err = b.step(op)
			b.ok(err)
		}
		if len(seen) < 10 || op.Percent != 100 {
			b.Errorf("the progress was %v and then %d", seen, op.Percent)
		}
	})
}

// A role with the policy that package policy makes for it is enough, and one that is bound to another folder is not.
func TestRolePolicy(t *testing.T) {
	for prefix, good := range map[string]bool{"": true, "rds/daily": true, "rds/weekly": false} {
		synctest.Test(t, func(t *testing.T) {
			iam := iamsim.Service()
			b := newBed(t, iam)
			doc, err := policy.ExportRole{Account: account, Region: region, Bucket: bucket, Prefix: prefix}.Policy()
			b.ok(err)
			b.ok(iam.Attach(b.world, role, doc))
			op := b.until(b.start(), "never")
			if good != (op.Err() == nil) || !good && !errors.Is(op.Err(), backup.ErrDenied) {
				b.Errorf("bound to %q: %s %v", prefix, op.Phase, op.Err())
			}
		})
	}
}
