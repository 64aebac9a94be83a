package rds_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/rds"
)

// bubble gives f a world of its own in a bubble of its own.
func bubble(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newBench(t, t.Context())) })
}

// runner makes a Runner without a Store.
func (b *bench) runner(s backup.Strategy) *backup.Runner {
	b.t.Helper()
	r, err := backup.NewRunner([]backup.Strategy{s})
	b.must(err)
	return r
}

// until steps an Operation when it is due, until it has ended or cond holds.
func (b *bench) until(r *backup.Runner, op backup.Operation, cond func(backup.Operation) bool) backup.Operation {
	b.t.Helper()
	for !op.Done() && !cond(op) {
		time.Sleep(max(time.Until(op.Poll), time.Millisecond))
		var err error
		if op, err = r.Step(b.ctx, op); err != nil {
			b.t.Logf("step: %v", err)
		}
	}
	return op
}

func stage(s string) func(backup.Operation) bool {
	return func(op backup.Operation) bool { return op.Stage == s }
}

func never(backup.Operation) bool { return false }

// ended checks how an Operation ended: with a code, empty for success, and with a hint if it did not succeed.
func ended(t *testing.T, op backup.Operation, want backup.Code) {
	t.Helper()
	if got := backup.CodeOf(op.Err()); got != want {
		t.Errorf("ended %s, %q, want %q: %v", op.Phase, got, want, op.Err())
	}
	if want != "" && backup.HintOf(op.Err()) == "" {
		t.Errorf("no hint: %v", op.Err())
	}
}

func finding(op backup.Operation, id string) bool {
	for _, f := range op.Findings {
		if f.ID == id {
			return true
		}
	}
	return false
}

func TestBackup(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		s := b.strategy()
		op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "tonight", Owner: "platform", Tags: map[string]string{"team": "billing"}})
		b.must(err)
		calls := len(b.world.Calls())
		if op.Phase != backup.PhasePending || calls != len(b.world.Calls()) || op.Kind != "rds" {
			t.Errorf("Start: phase %s, kind %s", op.Phase, op.Kind)
		}
		r := b.runner(s)
		op, err = r.Start(b.ctx, op)
		b.must(err)
		percent := 0
		for !op.Done() {
			time.Sleep(max(time.Until(op.Poll), time.Millisecond))
			op, err = r.Step(b.ctx, op)
			b.must(err)
			if op.Percent < percent {
				t.Errorf("progress went from %d to %d", percent, op.Percent)
			}
			percent = op.Percent
		}
		ended(t, op, "")
		name := "sw-orders-" + strings.TrimPrefix(op.ID, "op-")
		if diff := cmp.Diff(backup.Refs{rds.Snapshot(account, region, name)}, op.Points); diff != "" {
			t.Error(diff)
		}
		all := b.db.Snapshots(b.world, account, region)
		if len(all) != 1 || all[0].ID != name || all[0].Status != "available" || !all[0].Encrypted {
			t.Fatalf("%+v", all)
		}
		want := map[string]string{"team": "billing", backup.TagOwner: "platform", backup.TagToken: op.ID, backup.TagSource: b.orders.String(),
			backup.TagCreated: op.Started.UTC().Format(time.RFC3339)}
		if diff := cmp.Diff(want, all[0].Tags); diff != "" {
			t.Error(diff)
		}
		// A finished Operation stays as it is, and one look at the instance and one send made it.
		again, err := s.Step(b.ctx, op)
		if diff := cmp.Diff(op, again); err != nil || diff != "" {
			t.Error(err, diff)
		}
		if b.count("CreateDBSnapshot") != 1 {
			t.Errorf("%d sends", b.count("CreateDBSnapshot"))
		}
	})
}

func TestNames(t *testing.T) {
	s := rds.New(nil)
	for _, id := range []string{"a", "orders", strings.Repeat("a", 39) + "-b", strings.Repeat("ab-", 20) + "c", strings.Repeat("x", 63)} {
		op, err := s.Start(t.Context(), rds.Instance(account, region, id), backup.Spec{Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		var st struct{ N string }
		if err := op.GetState(&st); err != nil {
			t.Fatal(err)
		}
		if err := policy.ValidateRDSSnapshotID(st.N); err != nil || !strings.HasSuffix(st.N, strings.TrimPrefix(op.ID, "op-")) || len(st.N) > 70 {
			t.Errorf("%q: %v", st.N, err)
		}
	}
	ok := backup.Spec{Token: "t"}
	many := map[string]string{}
	for i := range 47 {
		many["k"+strings.Repeat("x", i)] = "v"
	}
	for name, tt := range map[string]struct {
		ref  backup.Ref
		spec backup.Spec
	}{
		"type":     {rds.Snapshot(account, region, "orders"), ok},
		"id":       {rds.Instance(account, region, "or--ders"), ok},
		"case":     {backup.Ref{Type: rds.TypeInstance, Account: account, Region: region, ID: "Orders"}, ok},
		"region":   {rds.Instance(account, "europe", "orders"), ok},
		"token":    {rds.Instance(account, region, "orders"), backup.Spec{}},
		"name":     {rds.Instance(account, region, "orders"), backup.Spec{Token: "t", Name: "a_b"}},
		"reserved": {rds.Instance(account, region, "orders"), backup.Spec{Token: "t", Name: "rds:orders"}},
		"options":  {rds.Instance(account, region, "orders"), backup.Spec{Token: "t", Options: rds.DeleteOptions{}}},
		"tags":     {rds.Instance(account, region, "orders"), backup.Spec{Token: "t", Tags: many}},
	} {
		if _, err := s.Start(t.Context(), tt.ref, tt.spec); !errors.Is(err, backup.ErrInvalid) || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBackupNameTaken(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.must(b.snap("orders", "before-deploy", map[string]string{"mine": "yes"}))
		time.Sleep(10 * time.Hour)
		s := b.strategy()
		op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t", Name: "Before-Deploy"})
		op = b.run(s, op, err)
		ended(t, op, backup.ErrConflict)
		if len(op.Points) != 0 {
			t.Errorf("another's snapshot is listed: %v", op.Points)
		}
		// With a Store the look comes after AWS has said so.
		r := b.stored(s)
		op, err = s.Start(b.ctx, b.orders, backup.Spec{Token: "u", Name: "Before-Deploy"})
		b.must(err)
		op, _ = r.Run(b.ctx, op)
		ended(t, op, backup.ErrConflict)
		if !finding(op, "rds.name-taken") || len(b.db.Snapshots(b.world, account, region)) != 1 {
			t.Errorf("findings %v", op.Findings)
		}
	})
}

// TestBackupNameBeingFreed gives a name that a snapshot has which is being deleted.
func TestBackupNameBeingFreed(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.must(b.snap("orders", "nightly", nil))
		time.Sleep(10 * time.Hour)
		b.remove("nightly")
		s := b.strategy()
		op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t", Name: "nightly"})
		op = b.run(s, op, err)
		ended(t, op, "")
		if made, _ := b.made(op); len(made) != 1 {
			t.Errorf("made %+v", made)
		}
		// What was perhaps sent is looked for to the end of the window, whatever else has the name.
		b.remove("nightly")
		op, err = s.Start(b.ctx, b.orders, backup.Spec{Token: "u", Name: "nightly"})
		r, op := b.begun(s, op, err)
		op = b.until(r, op, stage("settle"))
		start := time.Now()
		op = b.until(r, op, func(op backup.Operation) bool { return op.Stage != "settle" })
		if d := time.Since(start); d < 6*time.Minute {
			t.Errorf("settled for %v", d)
		}
		ended(t, b.until(r, op, never), "")
	})
}

// TestBackupAdopts loses the answer of the create call while nothing new is visible for longer than a settle window, so that the call is sent
// again and AWS says that the name is taken.
func TestBackupAdopts(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.world.SetLag(30 * time.Minute)
		lost := b.world.Inject(awssim.Fault{Operation: "CreateDBSnapshot", Kind: awssim.FaultLostReply})
		s := b.strategy()
		r := b.stored(s)
		op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t", Name: "Nightly"})
		b.must(err)
		op, _ = r.Run(b.ctx, op)
		ended(t, op, "")
		made, _ := b.made(op)
		if lost.Fired() != 1 || len(made) != 1 || made[0].ID != "nightly" || b.count("CreateDBSnapshot") < 2 || !finding(op, "rds.name-taken") {
			t.Errorf("%d sends, findings %v, made %+v", b.count("CreateDBSnapshot"), op.Findings, made)
		}
	})
}

func TestBackupWithoutStoreAgain(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		s := b.strategy()
		for range 2 {
			op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t"})
			op = b.run(s, op, err)
			ended(t, op, "")
			time.Sleep(time.Hour)
		}
		if n := len(b.db.Snapshots(b.world, account, region)); n != 1 {
			t.Errorf("the same work twice made %d snapshots", n)
		}
	})
}

func TestBackupWaitsForTheInstance(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.db.SetStatus(b.world, account, region, "orders", "maintenance", 90*time.Minute)
		start := time.Now()
		s := b.strategy()
		op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t"})
		op = b.run(s, op, err)
		ended(t, op, "")
		if n := b.count("DescribeDBInstances"); n > 100 {
			t.Errorf("%d looks at the instance in 90 minutes", n)
		}
		if !finding(op, "rds.instance-state") || time.Since(start) < 90*time.Minute || b.count("CreateDBSnapshot") != 1 {
			t.Errorf("after %v with %d sends: %v", time.Since(start), b.count("CreateDBSnapshot"), op.Findings)
		}
		// An old answer says that it is available: RDS refuses, and it is waited for all the same.
		time.Sleep(time.Hour)
		b.db.SetStatus(b.world, account, region, "orders", "backing-up", time.Hour)
		stale := b.world.Inject(awssim.Fault{Operation: "DescribeDBInstances", Kind: awssim.FaultStale})
		op, err = s.Start(b.ctx, b.orders, backup.Spec{Token: "u"})
		op = b.run(s, op, err)
		ended(t, op, "")
		if stale.Fired() != 1 || !finding(op, "rds.not-yet") || b.count("CreateDBSnapshot") != 3 {
			t.Errorf("%d sends: %v", b.count("CreateDBSnapshot"), op.Findings)
		}
		// A status that nobody knows is waited for, and said.
		time.Sleep(time.Hour)
		b.db.SetStatus(b.world, account, region, "orders", "meditating", time.Hour)
		op, err = s.Start(b.ctx, b.orders, backup.Spec{Token: "v"})
		op = b.run(s, op, err)
		ended(t, op, "")
		if !finding(op, "rds.unknown-status") {
			t.Errorf("findings: %v", op.Findings)
		}
		// For ever is too long.
		time.Sleep(time.Hour)
		b.db.SetStatus(b.world, account, region, "orders", "stopped", 1000*time.Hour)
		op, err = s.Start(b.ctx, b.orders, backup.Spec{Token: "w", Timeout: 2 * time.Hour})
		start = time.Now()
		op = b.run(s, op, err)
		ended(t, op, backup.ErrUnavailable)
		if d := time.Since(start); d < 2*time.Hour || d > 2*time.Hour+2*time.Minute {
			t.Errorf("ended after %v", d)
		}
	})
}

func TestBackupRefused(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.member("member", "one")
		b.create("broken")
		b.db.SetStatus(b.world, account, region, "broken", "incompatible-network", 1000*time.Hour)
		s := b.strategy()
		for id, want := range map[string]backup.Code{"member": backup.ErrUnsupported, "broken": backup.ErrUnsupported, "nothing": backup.ErrNotFound} {
			op, err := s.Start(b.ctx, rds.Instance(account, region, id), backup.Spec{Token: "t"})
			op = b.run(s, op, err)
			ended(t, op, want)
		}
		if n := b.count("CreateDBSnapshot"); n != 0 {
			t.Errorf("%d sends", n)
		}
		b.world.Inject(awssim.Fault{Operation: "CreateDBSnapshot", Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied",
			Message: "User: x is not authorized to perform: rds:CreateDBSnapshot"}})
		op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "denied"})
		op = b.run(s, op, err)
		ended(t, op, backup.ErrDenied)
		b.db.SetQuotas(b.world, 1, 0)
		b.must(b.snap("orders", "full", nil))
		time.Sleep(10 * time.Hour)
		op, err = s.Start(b.ctx, b.orders, backup.Spec{Token: "quota"})
		op = b.run(s, op, err)
		ended(t, op, backup.ErrQuota)
		var typed *rdstypes.SnapshotQuotaExceededFault
		if errors.As(op.Err(), &typed) {
			t.Error("an error that went through JSON has kept a type")
		}
		if !strings.Contains(op.Failure.Message, "Cannot create more than 1 manual snapshots") || op.Failure.Op != "CreateDBSnapshot" {
			t.Errorf("%+v", op.Failure)
		}
		if n := len(b.db.Snapshots(b.world, account, region)); n != 1 {
			t.Errorf("%d snapshots", n)
		}
	})
}

func TestBackupGoesWrong(t *testing.T) {
	for name, tt := range map[string]struct {
		harm func(b *bench, id string)
		want backup.Code
		find string
	}{
		"fails": {func(b *bench, id string) { b.db.FailSnapshot(b.world, account, region, id) }, backup.ErrFailed, ""},
		"is deleted": {func(b *bench, id string) {
			time.Sleep(10 * time.Hour)
			b.remove(id)
			time.Sleep(10 * time.Minute)
		}, backup.ErrFailed, ""},
		"is being deleted": {func(b *bench, id string) { b.db.SetSnapshotStatus(b.world, account, region, id, "deleting", time.Hour) }, backup.ErrFailed, ""},
		"is replaced": {func(b *bench, id string) {
			time.Sleep(10 * time.Hour)
			b.remove(id)
			time.Sleep(10 * time.Minute)
			b.must(b.snap("orders", id, nil))
		}, backup.ErrConflict, ""},
		"is unknown for a while": {func(b *bench, id string) {
			b.db.SetSnapshotStatus(b.world, account, region, id, "polishing", 5*time.Hour)
		}, "", "rds.unknown-status"},
		"is invisible for a while": {func(b *bench, id string) {
			b.world.Inject(awssim.Fault{Operation: "DescribeDBSnapshots", Kind: awssim.FaultBlind, Back: 24 * time.Hour, For: 4 * time.Minute})
		}, "", ""},
		"is invisible for long": {func(b *bench, id string) {
			b.world.Inject(awssim.Fault{Operation: "DescribeDBSnapshots", Kind: awssim.FaultBlind, Back: 24 * time.Hour, For: 20 * time.Minute})
		}, backup.ErrFailed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				s := b.strategy()
				op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t", Name: "nightly"})
				b.must(err)
				r := b.runner(s)
				op, err = r.Start(b.ctx, op)
				b.must(err)
				op = b.until(r, op, stage("wait"))
				tt.harm(b, "nightly")
				op = b.until(r, op, never)
				ended(t, op, tt.want)
				if diff := cmp.Diff(backup.Refs{rds.Snapshot(account, region, "nightly")}, op.Points); diff != "" {
					t.Error(diff)
				}
				if tt.find != "" && !finding(op, tt.find) {
					t.Errorf("findings: %v", op.Findings)
				}
			})
		})
	}
}

// TestPlace holds that nothing is changed in another account or Region than the Ref's.
func TestPlace(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		own := b.strategy()
		for name, r := range map[string]backup.Ref{"region": rds.Instance(account, "eu-central-1", "orders"), "account": rds.Instance(foreign, region, "orders")} {
			op, err := own.Start(b.ctx, r, backup.Spec{Token: "t"})
			if err == nil { // the account is known only when it was asked for
				_, err = own.Step(b.ctx, op)
			}
			if !errors.Is(err, backup.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// Credentials that do not name their account: STS is asked once.
		cfg := b.world.Config(account, region)
		creds, err := cfg.Credentials.Retrieve(b.ctx)
		b.must(err)
		creds.AccountID = ""
		asked := rds.NewFromConfig(b.world.ConfigFor(region, creds))
		for range 2 {
			op, err := asked.Start(b.ctx, rds.Instance(foreign, region, "orders"), backup.Spec{Token: "t"})
			if err == nil {
				_, err = asked.Step(b.ctx, op)
			}
			if !errors.Is(err, backup.ErrInvalid) {
				t.Errorf("%v", err)
			}
		}
		if n := b.count("GetCallerIdentity"); n != 1 {
			t.Errorf("the identity was asked %d times", n)
		}
		given := b.strategy(func(o *rds.Options) { o.Account = account })
		if _, err := given.Start(b.ctx, rds.Instance(foreign, region, "orders"), backup.Spec{Token: "t"}); !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("%v", err)
		}
		// A provider that gives credentials of another account.
		wrong := rds.New(func(context.Context, string, string) (*awsrds.Client, error) { return b.client, nil })
		op, err := wrong.Start(b.ctx, rds.Instance(foreign, region, "orders"), backup.Spec{Token: "t"})
		op = b.run(wrong, op, err)
		ended(t, op, backup.ErrInvalid)
		none := rds.New(func(context.Context, string, string) (*awsrds.Client, error) {
			return nil, errors.New("no such account")
		})
		op, err = none.Start(b.ctx, b.orders, backup.Spec{Token: "t"})
		b.must(err)
		if _, err := none.Step(b.ctx, op); !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("%v", err)
		}
		if b.count("CreateDBSnapshot") != 0 {
			t.Error("something was made")
		}
		op.Action = "export"
		if _, err := wrong.Step(b.ctx, op); err == nil {
			t.Error("an operation that was changed was stepped")
		}
		op, err = own.Start(b.ctx, b.orders, backup.Spec{Token: "t"})
		b.must(err)
		op.Stage = "elsewhere"
		if _, err := own.Step(b.ctx, op); !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("an unknown stage: %v", err)
		}
		op.State = []byte(`[1]`)
		if _, err := own.Step(b.ctx, op); !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("a changed state: %v", err)
		}
	})
}

// TestBackupLooksAgain has the snapshot of a lost answer become visible only while the instance can not be backed up again.
func TestBackupLooksAgain(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.world.SetLag(10 * time.Minute)
		b.world.Inject(awssim.Fault{Operation: "CreateDBSnapshot", Kind: awssim.FaultLostReply})
		s := b.strategy()
		op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t"})
		b.must(err)
		r := b.stored(s)
		op, err = r.Start(b.ctx, op)
		b.must(err)
		op = b.until(r, op, stage("settle"))
		b.db.SetStatus(b.world, account, region, "orders", "maintenance", 20*time.Hour)
		op = b.until(r, op, never)
		ended(t, op, "")
		if n := b.count("CreateDBSnapshot"); n != 1 {
			t.Errorf("%d sends", n)
		}
	})
}

// TestBackupOfAnotherInstance has another instance get the identifier between the look and the call.
func TestBackupOfAnotherInstance(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		s := b.strategy()
		op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t"})
		b.must(err)
		r := b.runner(s)
		op, err = r.Start(b.ctx, op)
		b.must(err)
		op = b.until(r, op, stage("create"))
		b.drop("orders")
		time.Sleep(2 * time.Hour)
		b.create("orders")
		op = b.until(r, op, never)
		ended(t, op, backup.ErrConflict)
		if len(op.Points) != 1 {
			t.Errorf("what was made is not listed: %v", op.Points)
		}
	})
}

// TestBackupOfAnEarlierOperation finds the snapshot of an Operation whose record was lost: it is not this one's data.
func TestBackupOfAnEarlierOperation(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		for _, want := range []backup.Code{"", backup.ErrConflict} {
			s := b.strategy()
			r := b.stored(s)
			op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t"})
			b.must(err)
			op, _ = r.Run(b.ctx, op)
			ended(t, op, want)
			time.Sleep(24 * time.Hour)
		}
	})
}

// TestFence holds that nothing is sent when the lease is over.
func TestFence(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		point := b.backedUp("nightly")
		s := b.strategy()
		over := &backup.Error{Op: "step", Code: backup.ErrConflict, Err: errors.New("the lease is over")}
		ctx := backup.WithFence(b.ctx, func() error { return over })
		created, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t"})
		b.must(err)
		restored, err := s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: options()})
		b.must(err)
		deleted, err := s.StartDelete(b.ctx, point, backup.Spec{Token: "t"})
		b.must(err)
		before := len(b.world.Calls())
		for _, op := range []backup.Operation{created, restored, deleted} {
			op, err := s.Step(ctx, op)
			b.must(err)
			if op.Next == "" {
				t.Fatalf("%s is not armed", op.Action)
			}
			op, err = s.Step(ctx, op) // without an attempt it must only read
			b.must(err)
			op.Attempt = 1
			if _, err = s.Step(ctx, op); !errors.Is(err, backup.ErrConflict) {
				t.Errorf("%s: %v", op.Action, err)
			}
		}
		for _, c := range b.world.Calls()[before:] {
			if c.Mutates {
				t.Errorf("%s was sent", c.Operation)
			}
		}
	})
}

func TestForeign(t *testing.T) {
	op, err := rds.New(nil).Start(t.Context(), rds.Instance(account, region, "orders"), backup.Spec{Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	good := func() *rdstypes.DBSnapshot {
		return &rdstypes.DBSnapshot{SnapshotType: aws.String("manual"), DBInstanceIdentifier: aws.String("orders"), DbiResourceId: aws.String("db-A"),
			TagList: []rdstypes.Tag{{Key: aws.String(backup.TagToken), Value: &op.ID}, {Key: aws.String(backup.TagSource), Value: aws.String(op.Ref.String())}}}
	}
	for name, tt := range map[string]struct {
		change func(*rdstypes.DBSnapshot)
		ours   bool
	}{
		"without a time":   {func(*rdstypes.DBSnapshot) {}, true},
		"with a time":      {func(x *rdstypes.DBSnapshot) { x.SnapshotCreateTime = aws.Time(op.Started.Add(-time.Minute)) }, true},
		"older":            {func(x *rdstypes.DBSnapshot) { x.SnapshotCreateTime = aws.Time(op.Started.Add(-6 * time.Minute)) }, false},
		"automated":        {func(x *rdstypes.DBSnapshot) { x.SnapshotType = aws.String("automated") }, false},
		"another instance": {func(x *rdstypes.DBSnapshot) { x.DBInstanceIdentifier = aws.String("sales") }, false},
		"another resource": {func(x *rdstypes.DBSnapshot) { x.DbiResourceId = aws.String("db-B") }, false},
		"another token":    {func(x *rdstypes.DBSnapshot) { x.TagList[0].Value = aws.String("op-x") }, false},
		"another source":   {func(x *rdstypes.DBSnapshot) { x.TagList[1].Value = aws.String("x") }, false},
		"without any tags": {func(x *rdstypes.DBSnapshot) { x.TagList = nil }, false},
	} {
		x := good()
		tt.change(x)
		if why := rds.Foreign(op, "db-A", x); (why == "") != tt.ours {
			t.Errorf("%s: %q", name, why)
		}
	}
}
