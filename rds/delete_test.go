package rds_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/rds"
)

// startDelete starts the deletion of a snapshot with a Runner without a Store.
func (b *bench) startDelete(point backup.Ref, spec backup.Spec) (*backup.Runner, backup.Operation) {
	b.t.Helper()
	s := b.strategy()
	if spec.Token == "" {
		spec.Token = "delete"
	}
	op, err := s.StartDelete(b.ctx, point, spec)
	b.must(err)
	r := b.runner(s)
	op, err = r.Start(b.ctx, op)
	b.must(err)
	return r, op
}

func (b *bench) exists(id string) bool {
	for _, s := range b.db.Snapshots(b.world, account, region) {
		if s.ID == id {
			return true
		}
	}
	return false
}

func TestDelete(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		point := b.backedUp("nightly")
		start := time.Now()
		r, op := b.startDelete(point, backup.Spec{})
		op = b.until(r, op, never)
		ended(t, op, "")
		if d := time.Since(start); d > 3*time.Minute {
			t.Errorf("an accepted deletion took %v", d)
		}
		if b.exists("nightly") || len(op.Points) != 0 || b.count("DeleteDBSnapshot") != 1 {
			t.Errorf("it exists: %v; points %v", b.exists("nightly"), op.Points)
		}
		// What was never there is not gone, and that is said only after a settle window.
		start = time.Now()
		r, op = b.startDelete(rds.Snapshot(account, region, "never"), backup.Spec{})
		op = b.until(r, op, never)
		ended(t, op, backup.ErrNotFound)
		if d := time.Since(start); d < 6*time.Minute || d > 8*time.Minute {
			t.Errorf("ended after %v", d)
		}
	})
}

func TestDeleteRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.must(b.snap("orders", "theirs", b.proof("somebody")))
		time.Sleep(10 * time.Hour)
		b.must(b.snap("orders", "untagged", nil))
		time.Sleep(10 * time.Hour)
		for _, id := range []string{"theirs", "untagged"} {
			r, op := b.startDelete(rds.Snapshot(account, region, id), backup.Spec{})
			op = b.until(r, op, never)
			ended(t, op, backup.ErrConflict)
			if !b.exists(id) || len(op.Points) != 1 {
				t.Fatalf("%s exists: %v; what remains: %v", id, b.exists(id), op.Points)
			}
		}
		r, op := b.startDelete(rds.Snapshot(account, region, "theirs"), backup.Spec{Token: "as-owner", Owner: "somebody"})
		ended(t, b.until(r, op, never), "")
		r, op = b.startDelete(rds.Snapshot(account, region, "untagged"), backup.Spec{Token: "by-force", Options: rds.DeleteOptions{AllowForeign: true}})
		ended(t, b.until(r, op, never), "")
		if b.exists("theirs") || b.exists("untagged") {
			t.Error("what was to go is there")
		}
		s := b.strategy()
		for _, id := range []string{b.db.AddAutomatedSnapshot(b.world, account, region, "orders", time.Now()), b.db.AddBackupServiceSnapshot(b.world, account, region, "orders", time.Now())} {
			_, err := s.StartDelete(b.ctx, rds.Snapshot(account, region, id), backup.Spec{Token: "t", Options: rds.DeleteOptions{AllowForeign: true}})
			if !errors.Is(err, backup.ErrUnsupported) || backup.HintOf(err) == "" {
				t.Errorf("%s: %v", id, err)
			}
		}
		for name, tt := range map[string]struct {
			ref  backup.Ref
			spec backup.Spec
		}{
			"an instance": {b.orders, backup.Spec{Token: "t"}},
			"a name":      {rds.Snapshot(account, region, "a"), backup.Spec{Token: "t", Name: "b"}},
			"options":     {rds.Snapshot(account, region, "a"), backup.Spec{Token: "t", Options: options()}},
			"a pointer":   {rds.Snapshot(account, region, "a"), backup.Spec{Token: "t", Options: &rds.DeleteOptions{}}},
			"an id":       {rds.Snapshot(account, region, "a--b"), backup.Spec{Token: "t"}},
		} {
			if _, err := s.StartDelete(b.ctx, tt.ref, tt.spec); !errors.Is(err, backup.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// TestDeleteChanges has somebody else act between the look and the deletion.
func TestDeleteChanges(t *testing.T) {
	for name, tt := range map[string]struct {
		act    func(b *bench)
		want   backup.Code
		exists bool
		sends  int
	}{
		"another has the identifier": {func(b *bench) {
			b.remove("nightly")
			time.Sleep(10 * time.Minute)
			b.must(b.snap("orders", "nightly", b.proof(backup.DefaultOwner)))
			time.Sleep(10 * time.Hour)
		}, backup.ErrConflict, true, 1},
		"the owner changed": {func(b *bench) {
			_, err := b.client.AddTagsToResource(b.ctx, &awsrds.AddTagsToResourceInput{ResourceName: aws.String("arn:aws:rds:eu-west-1:" + account + ":snapshot:nightly"),
				Tags: []rdstypes.Tag{{Key: aws.String(backup.TagOwner), Value: aws.String("legal")}}})
			b.must(err)
		}, backup.ErrConflict, true, 0},
		"somebody deleted it": {func(b *bench) {
			b.remove("nightly")
			time.Sleep(10 * time.Minute)
		}, "", false, 1},
		"somebody deletes it": {func(b *bench) { b.remove("nightly") }, "", false, 1},
		"it can not be seen for a while": {func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "DescribeDBSnapshots", Kind: awssim.FaultBlind, Back: 1000 * time.Hour, For: 3 * time.Minute})
		}, "", false, 1},
		"it is being copied for a while": {func(b *bench) { b.db.SetSnapshotStatus(b.world, account, region, "nightly", "copying", 2*time.Hour) }, "", false, 2},
		"it has failed":                  {func(b *bench) { b.db.FailSnapshot(b.world, account, region, "nightly") }, backup.ErrUnsupported, true, 1},
		"it may not be deleted": {func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "DeleteDBSnapshot", Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied", Message: "no"}})
		}, backup.ErrDenied, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				r, op := b.startDelete(b.backedUp("nightly"), backup.Spec{})
				op = b.until(r, op, stage("delete"))
				tt.act(b)
				op = b.until(r, op, never)
				ended(t, op, tt.want)
				if b.exists("nightly") != tt.exists || b.count("DeleteDBSnapshot") != tt.sends {
					t.Errorf("exists: %v, %d deletions sent", b.exists("nightly"), b.count("DeleteDBSnapshot"))
				}
				if listed := tt.want != "" && name != "another has the identifier"; listed && len(op.Points) != 1 {
					t.Errorf("what remains is not listed: %v", op.Points)
				}
			})
		})
	}
}

// TestDeleteBlind looks at a world in which the snapshot can not be seen just when it is to be seen gone: an accepted deletion is one, but a
// lost answer is none.
func TestDeleteBlind(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		r, op := b.startDelete(b.backedUp("nightly"), backup.Spec{})
		op = b.until(r, op, stage("delete"))
		// The first deletion does not arrive, and nothing can be seen for some minutes.
		b.world.Inject(awssim.Fault{Operation: "DeleteDBSnapshot", Kind: awssim.FaultServerError, Times: -1, For: 0})
		op = b.until(r, op, func(op backup.Operation) bool { return b.count("DeleteDBSnapshot") == 1 })
		b.world.Heal()
		b.world.Inject(awssim.Fault{Operation: "DescribeDBSnapshots", Kind: awssim.FaultBlind, Back: 1000 * time.Hour, For: 4 * time.Minute})
		op = b.until(r, op, never)
		ended(t, op, "")
		if b.exists("nightly") {
			t.Error("it was said to be gone and exists")
		}
	})
}

func TestDeleteWaitsForTheSnapshot(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.must(b.snap("orders", "fresh", b.proof(backup.DefaultOwner)))
		r, op := b.startDelete(rds.Snapshot(account, region, "fresh"), backup.Spec{})
		op = b.until(r, op, never)
		ended(t, op, "")
		if b.exists("fresh") || !finding(op, "rds.snapshot-state") || b.count("DeleteDBSnapshot") != 1 {
			t.Errorf("%d deletions sent, findings %v", b.count("DeleteDBSnapshot"), op.Findings)
		}
	})
}

// TestNotSentBlindly holds that no call that changes something is sent again after an answer that was lost, before somebody looked.
func TestNotSentBlindly(t *testing.T) {
	for _, kind := range []awssim.FaultKind{awssim.FaultLostReply, awssim.FaultServerErrorApplied, awssim.FaultServerError, awssim.FaultGarbage} {
		t.Run(kind.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				s := b.strategy()
				op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t"})
				for _, action := range []string{"CreateDBSnapshot", "RestoreDBInstanceFromDBSnapshot", "DeleteDBSnapshot"} {
					hit := b.world.Inject(awssim.Fault{Operation: action, Kind: kind})
					b.must(err)
					done, _ := b.stored(s).Run(b.ctx, op)
					ended(t, done, "")
					if hit.Fired() != 1 {
						t.Fatalf("%s was not hit", action)
					}
					if action == "CreateDBSnapshot" {
						op, err = s.StartRestore(b.ctx, done.Points[0], backup.Spec{Token: "t", Options: options()})
					} else if action == "RestoreDBInstanceFromDBSnapshot" {
						op, err = s.StartDelete(b.ctx, op.Ref, backup.Spec{Token: "t"})
					}
				}
				last, sends, at := "", map[string]int{}, map[string]time.Time{}
				for _, c := range b.world.Calls() {
					if c.Mutates {
						if d := c.Time.Sub(at[c.Operation]); c.Operation != "DeleteDBSnapshot" && d < 6*time.Minute {
							t.Errorf("%s was sent again after %v, within the settle window", c.Operation, d)
						}
						at[c.Operation] = c.Time
					}
					if c.Mutates && c.Operation == last {
						t.Errorf("%s was sent twice in a row", last)
					}
					last = c.Operation
					sends[c.Operation]++
				}
				want := 1
				if kind == awssim.FaultServerError {
					want = 2
				}
				if sends["CreateDBSnapshot"] != want || sends["RestoreDBInstanceFromDBSnapshot"] != want {
					t.Errorf("%v", sends)
				}
			})
		})
	}
}

func TestMayDelete(t *testing.T) {
	op, err := rds.New(nil).StartDelete(t.Context(), rds.Snapshot(account, region, "a"), backup.Spec{Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	source := rds.Instance(account, region, "orders").String()
	for name, tt := range map[string]struct {
		kind, instance, owner, token, source string
		want                                 backup.Code
	}{
		"its own":            {"manual", "orders", backup.DefaultOwner, "op-x", source, ""},
		"automated":          {"automated", "orders", backup.DefaultOwner, "op-x", source, backup.ErrUnsupported},
		"of AWS Backup":      {"awsbackup", "orders", backup.DefaultOwner, "op-x", source, backup.ErrUnsupported},
		"without a type":     {"", "orders", backup.DefaultOwner, "op-x", source, backup.ErrUnsupported},
		"another's":          {"manual", "orders", "somebody", "op-x", source, backup.ErrConflict},
		"without a token":    {"manual", "orders", backup.DefaultOwner, "", source, backup.ErrConflict},
		"without a source":   {"manual", "orders", backup.DefaultOwner, "op-x", "", backup.ErrConflict},
		"of another source":  {"manual", "sales", backup.DefaultOwner, "op-x", source, backup.ErrConflict},
		"of a restored one":  {"manual", "orders", backup.DefaultOwner, "op-x", rds.Snapshot(account, region, "orders").String(), backup.ErrConflict},
		"of another account": {"manual", "orders", backup.DefaultOwner, "op-x", rds.Instance(foreign, region, "orders").String(), backup.ErrConflict},
	} {
		x := &rdstypes.DBSnapshot{SnapshotType: &tt.kind, DBInstanceIdentifier: &tt.instance}
		for k, v := range map[string]string{backup.TagOwner: tt.owner, backup.TagToken: tt.token, backup.TagSource: tt.source} {
			if v != "" {
				x.TagList = append(x.TagList, rdstypes.Tag{Key: &k, Value: &v})
			}
		}
		if err := rds.MayDelete(op, x); backup.CodeOf(err) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCopiedTags has RDS copy the library's tags from a restored instance to somebody's snapshot of it.
func TestCopiedTags(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		point := b.backedUp("nightly")
		r, op := b.startRestore(point, func(o *rds.RestoreOptions) { o.CopyTagsToSnapshot = true })
		op = b.until(r, op, never)
		ended(t, op, "")
		b.must(b.snap(op.Made[0].ID, "before-migration", nil))
		time.Sleep(10 * time.Hour)
		found := false
		for _, s := range b.db.Snapshots(b.world, account, region) {
			found = found || s.ID == "before-migration" && s.Tags[backup.TagOwner] == backup.DefaultOwner && s.Tags[backup.TagToken] == op.ID
		}
		if !found {
			t.Fatal("the tags were not copied: this test tests nothing")
		}
		theirs := rds.Snapshot(account, region, "before-migration")
		r, del := b.startDelete(theirs, backup.Spec{})
		del = b.until(r, del, never)
		ended(t, del, backup.ErrConflict)
		if !b.exists("before-migration") || len(del.Points) != 1 || b.count("DeleteDBSnapshot") != 0 {
			t.Errorf("exists: %v, points %v", b.exists("before-migration"), del.Points)
		}
		r, del = b.startDelete(theirs, backup.Spec{Token: "by-force", Options: rds.DeleteOptions{AllowForeign: true}})
		ended(t, b.until(r, del, never), "")
	})
}

func TestPreflightDelete(t *testing.T) {
	for word, want := range map[string]struct {
		severity backup.Severity
		words    string
	}{"available": {}, "failed": {backup.SeverityWarning, "tried at once"}, "copying": {backup.SeverityWarning, "waits"}, "polishing": {backup.SeverityWarning, "waits"},
		"deleting": {backup.SeverityInfo, "already"}} {
		t.Run(word, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				point := b.backedUp("nightly")
				b.db.SetSnapshotStatus(b.world, account, region, "nightly", word, time.Hour)
				s := b.strategy()
				op, err := s.StartDelete(b.ctx, point, backup.Spec{Token: "t"})
				b.must(err)
				found, err := s.Preflight(b.ctx, op)
				b.must(err)
				if want.words == "" && len(found) == 0 {
					return
				}
				if len(found) != 1 || found[0].Severity != want.severity || want.words == "" || !strings.Contains(found[0].Remedy, want.words) {
					t.Errorf("%+v", found)
				}
			})
		})
	}
}
