package ebs_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
)

// A refusal ends the backup only when the host is thawed; one that passes does not freeze it over and over.
func TestFrozenRefusals(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		h := newFrozenHost("error thaw")
		b.world.Inject(awssim.Fault{Operation: "CreateSnapshots", Kind: awssim.FaultError, Error: awssim.Error{Code: "UnauthorizedOperation", Message: "no"}})
		op := frozenBackup(t, b, h, false)
		want(t, op, backup.PhaseFailed, backup.ErrDenied)
		if len(h.spans) != 1 || len(h.check()) > 0 || h.calls["thaw"] != 2 {
			t.Errorf("frozen %v, %v", h.spans, h.calls)
		}
	})
	for _, kind := range []awssim.Fault{{Kind: awssim.FaultThrottle}, {Kind: awssim.FaultError, Error: awssim.Error{Code: "IncorrectState", Message: "later"}}} {
		inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
			h := newFrozenHost("")
			kind.Operation, kind.For = "CreateSnapshots", 10*time.Minute
			b.world.Inject(kind)
			op := frozenBackup(t, b, h, false)
			want(t, op, backup.PhaseSucceeded, "")
			if h.calls["freeze"] != 3 || found(op, "ebs.crash-consistent") == "" {
				t.Errorf("frozen %d times, findings %v", h.calls["freeze"], op.Findings)
			}
		})
	}
}

// A required freeze is not made over and over until a deadline that is a day away: the backup has failed when EC2 refused it three times.
func TestFrozenTooOften(t *testing.T) {
	for _, kind := range []awssim.Fault{{Kind: awssim.FaultThrottle}, {Kind: awssim.FaultError, Error: awssim.Error{Code: "IncorrectState", Message: "later"}}} {
		inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
			h := newFrozenHost("")
			kind.Operation, kind.For = "CreateSnapshots", 48*time.Hour
			b.world.Inject(kind)
			op := frozenBackup(t, b, h, true)
			want(t, op, backup.PhaseFailed, backup.ErrFailed)
			if h.calls["freeze"] != 3 || h.calls["thaw"] != 3 || len(op.Points) > 0 || !strings.Contains(op.Err().Error(), "frozen 3 times") || backup.HintOf(op.Err()) == "" {
				t.Errorf("%v, points %v, %v", h.calls, op.Points, op.Err())
			}
			if got := op.Updated.Sub(op.Started); got > time.Hour {
				t.Errorf("it took %v", got)
			}
		})
	}
	// Nor where an answer was lost in between and nothing was found: what was frozen by then counts.
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		h := newFrozenHost("")
		s := ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Quiescer = h })
		op := frozenUntilCreate(t, s, b, true)
		rememberFreeze(t, &op, map[string]any{"n": 3})
		op = finish(t, s, op, nil)
		want(t, op, backup.PhaseFailed, backup.ErrFailed)
		if snapshots, _ := b.made(op); h.calls["freeze"] != 0 || len(snapshots) > 0 {
			t.Errorf("%v, %d snapshots", h.calls, len(snapshots))
		}
	})
}

// frozenUntilCreate steps a backup to its create stage.
func frozenUntilCreate(t *testing.T, s *ebs.Strategy, b *bench, required bool) backup.Operation {
	t.Helper()
	op, err := s.Start(t.Context(), b.instance, quiesced(required))
	for err == nil && op.Stage != "create" {
		op, err = s.Step(t.Context(), op)
	}
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// rememberFreeze changes what a backup's State keeps of a freeze.
func rememberFreeze(t *testing.T, op *backup.Operation, with map[string]any) {
	t.Helper()
	var st map[string]any
	if err := json.Unmarshal(op.State, &st); err != nil {
		t.Fatal(err)
	}
	q, ok := st["q"].(map[string]any)
	if !ok {
		t.Fatalf("the State has no freeze: %s", op.State)
	}
	maps.Copy(q, with)
	var err error
	if op.State, err = json.Marshal(st); err != nil {
		t.Fatal(err)
	}
}

// Where EC2's answer did not come before the thaw the call may have been served after it, and its clock alone proves nothing.
func TestFrozenWithoutAnswer(t *testing.T) {
	for _, required := range []bool{false, true} {
		inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
			h := newFrozenHost("")
			b.world.Inject(awssim.Fault{Operation: "CreateSnapshots", Kind: awssim.FaultLostReply})
			op := frozenBackup(t, b, h, required)
			if n, _ := labels(b.world, h, op); n > 0 {
				t.Errorf("%d labels", n)
			}
			if snapshots, _ := b.made(op); len(snapshots) != 3 || len(op.Points) != 1 {
				t.Errorf("%d snapshots, points %v", len(snapshots), op.Points)
			}
			if required {
				want(t, op, backup.PhaseFailed, backup.ErrFailed)
				return
			}
			want(t, op, backup.PhaseSucceeded, "")
			if got := found(op, "ebs.crash-consistent"); !strings.Contains(got, "no answer before the thaw") {
				t.Errorf("the finding %q", got)
			}
		})
	}
}
