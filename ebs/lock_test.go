package ebs_test

import (
	"errors"
	"testing"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
)

func lockOf(t testing.TB, s *ebs.Strategy, point backup.Ref, token string, o ebs.LockOptions) backup.Operation {
	t.Helper()
	op, err := s.StartLock(t.Context(), point, backup.Spec{Token: token, Options: o})
	return finish(t, s, op, err)
}

func TestLockOptions(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *bench, s *ebs.Strategy) {
		point := ebs.Snapshot(account, region, "snap-0123456789abcdef0")
		compliance := ebs.LockOptions{Mode: ebs.LockCompliance, Days: 30}
		with := func(f func(*ebs.LockOptions)) ebs.LockOptions { o := compliance; f(&o); return o }
		for name, o := range map[string]backup.Options{
			"none":                         nil,
			"another action's":             ebs.ArchiveOptions{},
			"a pointer":                    &ebs.LockOptions{Days: 1},
			"no time":                      ebs.LockOptions{},
			"two times":                    ebs.LockOptions{Days: 1, Until: time.Now().AddDate(0, 0, 2)},
			"too many days":                ebs.LockOptions{Days: 36_501},
			"negative days":                ebs.LockOptions{Days: -1},
			"an hour":                      ebs.LockOptions{Until: time.Now().Add(time.Hour)},
			"a century":                    ebs.LockOptions{Until: time.Now().AddDate(101, 0, 0)},
			"no mode":                      ebs.LockOptions{Mode: "Governance", Days: 1},
			"a cool-off in governance":     ebs.LockOptions{Days: 1, CoolOffHours: 1},
			"irreversible in governance":   ebs.LockOptions{Days: 1, Irreversible: ebs.Irreversible},
			"compliance without a cooloff": compliance,
			"too long a cool-off":          with(func(o *ebs.LockOptions) { o.CoolOffHours = 73 }),
			"a negative cool-off":          with(func(o *ebs.LockOptions) { o.CoolOffHours = -1 }),
			"another word":                 with(func(o *ebs.LockOptions) { o.Irreversible = "yes" }),
			"both":                         with(func(o *ebs.LockOptions) { o.Irreversible, o.CoolOffHours = ebs.Irreversible, 1 }),
		} {
			if _, err := s.StartLock(t.Context(), point, backup.Spec{Token: "t", Options: o}); !errors.Is(err, backup.ErrInvalid) || backup.HintOf(err) == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, o := range map[string]ebs.LockOptions{
			"days": {Days: 1}, "a time": {Mode: ebs.LockGovernance, Until: time.Now().AddDate(0, 0, 2)},
			"cool-off":     with(func(o *ebs.LockOptions) { o.CoolOffHours = 72 }),
			"irreversible": with(func(o *ebs.LockOptions) { o.Irreversible = "irreversible" }),
		} {
			if _, err := s.StartLock(t.Context(), point, backup.Spec{Token: "t", Options: o}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := s.StartLock(t.Context(), point, backup.Spec{Token: "t", Tags: map[string]string{"a": "b"}, Options: ebs.LockOptions{Days: 1}}); !errors.Is(err, backup.ErrInvalid) {
			t.Error(err)
		}
	})
}

// What comes after what: a lock is never made shorter or weaker, and never for good without the word.
func TestLockNeverShortens(t *testing.T) {
	governance := func(days int32) ebs.LockOptions { return ebs.LockOptions{Days: days} }
	cooling := func(days int32) ebs.LockOptions {
		return ebs.LockOptions{Mode: ebs.LockCompliance, Days: days, CoolOffHours: 24}
	}
	forGood := func(days int32) ebs.LockOptions {
		return ebs.LockOptions{Mode: ebs.LockCompliance, Days: days, Irreversible: ebs.Irreversible}
	}
	for _, c := range []struct {
		name        string
		first       ebs.LockOptions
		wait        time.Duration
		then        ebs.LockOptions
		code        backup.Code
		calls, days int
		state       ec2types.LockState
	}{
		{"longer", governance(10), 0, governance(20), "", 1, 20, "governance"},
		{"the same", governance(10), 0, governance(10), "", 0, 10, "governance"},
		{"shorter", governance(20), 0, governance(10), "", 0, 20, "governance"},
		{"stronger", governance(10), 0, cooling(20), "", 1, 20, "compliance-cooloff"},
		{"stronger and shorter", governance(20), 0, cooling(10), backup.ErrConflict, 0, 20, "governance"},
		{"weaker", cooling(20), 0, governance(30), backup.ErrConflict, 0, 20, "compliance-cooloff"},
		{"weaker and shorter", cooling(20), 0, governance(10), "", 0, 20, "compliance-cooloff"},
		{"longer while it cools", cooling(20), time.Hour, cooling(30), "", 1, 30, "compliance-cooloff"},
		{"longer when it is cold", cooling(20), 25 * time.Hour, cooling(30), backup.ErrConflict, 0, 20, "compliance"},
		{"longer for good when it is cold", cooling(20), 25 * time.Hour, forGood(30), "", 1, 31, "compliance"},
		{"for good", governance(5), 0, forGood(10), "", 1, 10, "compliance"},
		{"when it has ended", governance(1), 48 * time.Hour, governance(1), "", 1, 3, "governance"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
				point := b.backedUp(t, t.Context(), b.volume)
				began := time.Now()
				want(t, lockOf(t, s, point, "first", c.first), backup.PhaseSucceeded, "")
				calls := count(b, "LockSnapshot")
				time.Sleep(c.wait)
				op := lockOf(t, s, point, "then", c.then)
				phase := backup.PhaseSucceeded
				if c.code != "" {
					phase = backup.PhaseFailed
				}
				want(t, op, phase, c.code)
				x := b.ec2.Snapshots(b.world, account, region)[0]
				if n := count(b, "LockSnapshot") - calls; n != c.calls || x.Lock != c.state {
					t.Errorf("%d calls, %s", n, x.Lock)
				}
				if d := int(x.LockedUntil.Sub(began).Hours()+2) / 24; d != c.days {
					t.Errorf("locked for %d days", d)
				}
			})
		})
	}
}

func TestLockPreflightAndRefusals(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		out, err := b.client.CreateSnapshot(t.Context(), &awsec2.CreateSnapshotInput{VolumeId: &b.volume.ID})
		if err != nil {
			t.Fatal(err)
		}
		foreign := ebs.Snapshot(account, region, *out.SnapshotId)
		want(t, lockOf(t, s, foreign, "1", ebs.LockOptions{Days: 1}), backup.PhaseFailed, backup.ErrConflict)
		want(t, lockOf(t, s, foreign, "2", ebs.LockOptions{Days: 1, AllowForeign: true}), backup.PhaseSucceeded, "") // pending
		want(t, lockOf(t, s, ebs.Snapshot(account, region, "snap-0123456789abcdef0"), "3", ebs.LockOptions{Days: 1}), backup.PhaseFailed, backup.ErrNotFound)
		set := b.backedUp(t, t.Context(), b.instance)
		op, err := s.StartLock(t.Context(), set, backup.Spec{Token: "4", Options: ebs.LockOptions{Mode: ebs.LockCompliance, Days: 9, CoolOffHours: 1}})
		if f, ferr := s.Preflight(t.Context(), op); ferr != nil || len(f) != 1 || f[0].ID != "ebs.lock-irreversible" || f[0].Severity != backup.SeverityWarning {
			t.Errorf("%v %v", f, ferr)
		}
		want(t, finish(t, s, op, err), backup.PhaseSucceeded, "")
		weak, err := s.StartLock(t.Context(), set, backup.Spec{Token: "5", Options: ebs.LockOptions{Days: 90}})
		if f, ferr := s.Preflight(t.Context(), weak); err != nil || ferr != nil || len(f) != 1 || f[0].Severity != backup.SeverityError {
			t.Errorf("%v %v", f, ferr)
		}
		plain, err := s.StartLock(t.Context(), foreign, backup.Spec{Token: "6", Options: ebs.LockOptions{Days: 90, AllowForeign: true}})
		if f, ferr := s.Preflight(t.Context(), plain); err != nil || ferr != nil || len(f) != 0 {
			t.Errorf("%v %v", f, ferr)
		}
		if _, err := s.Cancel(t.Context(), plain); !errors.Is(err, backup.ErrUnsupported) {
			t.Error(err)
		}
	})
}

func TestLockTrouble(t *testing.T) {
	unlock := func(b *bench, t *testing.T) {
		x := b.ec2.Snapshots(b.world, account, region)[0]
		if _, err := b.client.UnlockSnapshot(t.Context(), &awsec2.UnlockSnapshotInput{SnapshotId: &x.ID}); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		name  string
		fault func(b *bench, t *testing.T)
		phase backup.Phase
		code  backup.Code
		calls int
	}{
		{"not allowed", func(b *bench, _ *testing.T) {
			b.world.Inject(awssim.Fault{Operation: "LockSnapshot", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: "UnauthorizedOperation", Message: "no"}})
		}, backup.PhaseFailed, backup.ErrDenied, 1},
		{"the second is refused", func(b *bench, _ *testing.T) {
			b.world.Inject(awssim.Fault{Operation: "LockSnapshot", Skip: 1, Kind: awssim.FaultError, Error: awssim.Error{Code: "UnsupportedOperation", Message: "no"}})
		}, backup.PhasePartial, backup.ErrPartial, 2},
		{"not yet", func(b *bench, _ *testing.T) {
			b.world.Inject(awssim.Fault{Operation: "LockSnapshot", Skip: 1, Kind: awssim.FaultError, Error: awssim.Error{Code: "IncorrectState", Message: "later"}})
		}, backup.PhaseSucceeded, "", 4},
		{"somebody unlocks it once", func(b *bench, t *testing.T) {
			b.world.Inject(awssim.Fault{Operation: "DescribeLockedSnapshots", Skip: 3, Do: func() { unlock(b, t) }, Kind: awssim.FaultThrottle})
		}, backup.PhaseSucceeded, "", 4},
		{"one is deleted", func(b *bench, _ *testing.T) {
			b.world.Inject(awssim.Fault{Operation: "DescribeLockedSnapshots", Skip: 3, Kind: awssim.FaultThrottle, Do: func() {
				b.ec2.DeleteBehindBack(b.world, account, region, b.ec2.Snapshots(b.world, account, region)[0].ID)
			}})
		}, backup.PhasePartial, backup.ErrPartial, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
				point := b.backedUp(t, t.Context(), b.instance)
				c.fault(b, t)
				op := lockOf(t, s, point, "t", ebs.LockOptions{Days: 30})
				want(t, op, c.phase, c.code)
				if n := count(b, "LockSnapshot"); n != c.calls {
					t.Errorf("%d calls", n)
				}
			})
		})
	}
}
