package ebs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/quiesce"
)

// frozenBackup backs an instance up on a host and gives how it ended.
func frozenBackup(t *testing.T, b *bench, h *frozenHost, required bool) backup.Operation {
	t.Helper()
	s := ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Quiescer = h })
	op, err := s.Start(t.Context(), b.instance, quiesced(required))
	return finish(t, s, op, err)
}

func found(op backup.Operation, id string) string {
	for _, f := range op.Findings {
		if f.ID == id {
			return f.Message
		}
	}
	return ""
}

func TestFrozen(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		h := newFrozenHost("")
		op := frozenBackup(t, b, h, true)
		want(t, op, backup.PhaseSucceeded, "")
		n, bad := labels(b.world, h, op)
		if n != 3 || len(bad) > 0 || found(op, "ebs.app-consistent") == "" {
			t.Errorf("%d labels, %v, findings %v", n, bad, op.Findings)
		}
		if len(h.spans) != 1 || h.spans[0][1].Sub(h.spans[0][0]) > 5*time.Second {
			t.Errorf("frozen %v", h.spans)
		}
		// It is said of the set as a whole, or not at all.
		label := func() string {
			for p, err := range strategyOf(b).List(t.Context(), backup.Query{Account: account, Region: region, Point: op.Points[0]}) {
				if err != nil {
					t.Fatal(err)
				}
				return p.Tags[ebs.TagConsistency]
			}
			return "not listed"
		}
		if got := label(); got != ebs.ConsistencyApplication {
			t.Errorf("the set is labeled %q", got)
		}
		snapshots, _ := b.made(op)
		delete(snapshots[2].Tags, ebs.TagConsistency)
		b.ec2.Retag(b.world, account, region, snapshots[2].ID, snapshots[2].Tags)
		if got := label(); got != "" {
			t.Errorf("a set with a member that is not labeled is labeled %q", got)
		}
	})
}

// Where there is no proof there is no label; a backup for which it is required has failed, with what it made listed.
func TestNotProved(t *testing.T) {
	for _, c := range []struct {
		name, fault string
		change      func(b *bench, h *frozenHost)
		why         string
		made        int // snapshots where the proof is required
	}{
		{name: "the freeze fails", fault: "error freeze", why: "the host was not frozen"},
		{name: "the freeze has no answer", fault: "lost freeze", why: "the host was not frozen"},
		{name: "the freeze hangs", fault: "hang freeze", why: "the host was not frozen"},
		{name: "the thaw has no answer", fault: "lost thaw", why: "the thaw had no answer", made: 3},
		{name: "somebody thaws meanwhile", change: func(b *bench, h *frozenHost) {
			b.world.Inject(awssim.Fault{Operation: "CreateSnapshots", Do: func() { h.mu.Lock(); h.since = time.Time{}; h.mu.Unlock() }})
		}, why: "did not stay frozen", made: 3},
	} {
		for _, required := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, required), func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
					h := newFrozenHost(c.fault)
					if c.change != nil {
						c.change(b, h)
					}
					op := frozenBackup(t, b, h, required)
					snapshots, _ := b.made(op)
					if n, _ := labels(b.world, h, op); n > 0 {
						t.Errorf("%d labels", n)
					}
					for _, v := range h.check() {
						t.Error(v)
					}
					if required {
						want(t, op, backup.PhaseFailed, backup.ErrFailed)
						if len(snapshots) != c.made || len(op.Points) != min(c.made, 1) || !strings.Contains(op.Err().Error(), c.why) {
							t.Errorf("%d snapshots, points %v, %v", len(snapshots), op.Points, op.Err())
						}
						return
					}
					want(t, op, backup.PhaseSucceeded, "")
					if len(snapshots) != 3 || !strings.Contains(found(op, "ebs.crash-consistent"), c.why) {
						t.Errorf("%d snapshots, findings %v", len(snapshots), op.Findings)
					}
				})
			})
		}
	}
}

// A host that never confirms its thaw does not hold the backup up for ever, and a tag that may not be set does not fail it.
func TestThawUnconfirmedAndLabelDenied(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		q := quiesce.Funcs{
			FreezeFunc: func(context.Context, backup.Ref, quiesce.Lease) error { return nil },
			ThawFunc:   func(context.Context, backup.Ref, quiesce.Lease) (bool, error) { return false, errors.New("no route") },
		}
		s := ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Quiescer = q })
		op, err := s.Start(t.Context(), b.instance, quiesced(false))
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseSucceeded, "")
		if found(op, "ebs.thaw-unconfirmed") == "" || found(op, "ebs.crash-consistent") == "" {
			t.Errorf("findings %v", op.Findings)
		}
	})
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		b.world.Inject(awssim.Fault{Operation: "CreateTags", Kind: awssim.FaultError, Error: awssim.Error{Code: "UnauthorizedOperation", Message: "no"}})
		op := frozenBackup(t, b, newFrozenHost(""), true)
		want(t, op, backup.PhaseSucceeded, "")
		if found(op, "ebs.not-labeled") == "" || found(op, "ebs.app-consistent") != "" {
			t.Errorf("findings %v", op.Findings)
		}
	})
}

func TestQuiesceRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.Context())
		with := ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Quiescer = newFrozenHost("") })
		for _, c := range []struct {
			s    *ebs.Strategy
			what backup.Ref
			q    ebs.Quiesce
		}{
			{strategyOf(b), b.instance, ebs.Quiesce{Limit: time.Minute}},
			{with, b.volume, ebs.Quiesce{Limit: time.Minute}},
			{with, b.instance, ebs.Quiesce{Required: true}},
			{with, b.instance, ebs.Quiesce{Limit: time.Second}},
			{with, b.instance, ebs.Quiesce{Limit: time.Hour}},
		} {
			if _, err := c.s.Start(t.Context(), c.what, backup.Spec{Token: "t", Options: ebs.BackupOptions{Quiesce: c.q}}); backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
				t.Errorf("%+v: %v", c.q, err)
			}
		}
		// Another process, that was given no Quiescer, does nothing with it.
		op, err := with.Start(t.Context(), b.instance, quiesced(false))
		if err != nil {
			t.Fatal(err)
		}
		r, err := backup.NewRunner([]backup.Strategy{strategyOf(b)})
		if err != nil {
			t.Fatal(err)
		}
		if op, err = r.Run(t.Context(), op); backup.CodeOf(err) != backup.ErrInvalid || op.Done() || count(b, "CreateSnapshots") > 0 {
			t.Errorf("without a Quiescer: %v, %s", err, op.Phase)
		}
	})
}
