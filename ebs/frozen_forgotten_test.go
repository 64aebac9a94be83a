package ebs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
)

// What an earlier freeze has shown proves nothing for a set that is made later, whatever the clocks say: here that freeze seems to cover all time.
func TestFreezeForgotten(t *testing.T) {
	earlier := func(n int) map[string]any {
		return map[string]any{"n": n, "h": true, "f": "1999-01-01T00:00:00Z", "t": "2199-01-01T00:00:00Z", "w": "what was wrong earlier"}
	}
	for _, c := range []struct {
		name, fault string
		freezes     int
		why         string
	}{
		{"the process dies before the thaw", "die-before thaw", 1, "did not live to tell"},
		{"the second freeze fails", "error freeze", 1, "the host was not frozen"},
		{"the second freeze is thawed too early", "", 1, "not stay frozen"},
		{"no freeze any more", "", 3, "too often"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
				h := newFrozenHost(c.fault)
				if c.why == "not stay frozen" {
					b.world.Inject(awssim.Fault{Operation: "CreateSnapshots", Do: func() { h.mu.Lock(); h.since = time.Time{}; h.mu.Unlock() }})
				}
				s := ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Quiescer = h })
				op := frozenUntilCreate(t, s, b, false)
				rememberFreeze(t, &op, earlier(c.freezes))
				if strings.HasPrefix(c.fault, "die") {
					op.Attempt = 1
					func() {
						defer func() { _ = recover() }()
						_, _ = s.Step(t.Context(), op)
					}()
					op = op.Retried(2)
				}
				op = finish(t, s, op, nil)
				want(t, op, backup.PhaseSucceeded, "")
				if n, _ := labels(b.world, h, op); n > 0 {
					t.Errorf("%d labels", n)
				}
				if got := found(op, "ebs.crash-consistent"); !strings.Contains(got, c.why) {
					t.Errorf("the finding %q, wanted %q", got, c.why)
				}
			})
		})
	}
	// A good freeze is judged by itself also where it does not cover the set: why an earlier one failed is not repeated.
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		h := newFrozenHost("")
		s := ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Quiescer = h })
		op := frozenUntilCreate(t, s, b, false)
		rememberFreeze(t, &op, earlier(1))
		op.Attempt = 1
		op, err := s.Step(t.Context(), op)
		if err != nil {
			t.Fatal(err)
		}
		rememberFreeze(t, &op, map[string]any{"f": "2198-01-01T00:00:00Z"})
		op = finish(t, s, op, nil)
		if got := found(op, "ebs.crash-consistent"); !strings.Contains(got, "not all of its snapshots started") {
			t.Errorf("the finding %q", got)
		}
	})
}
