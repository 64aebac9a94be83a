package elasticache_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
)

// scenario is a piece of work whose every call is made to fail in every way.
type scenario struct {
	name  string
	set   func(b *bed)
	start func(b *bed) backup.Operation
}

func scenarios() []scenario {
	restore := func(name string) func(b *bed) backup.Operation {
		return func(b *bed) backup.Operation {
			return b.startRestore(snapshot(name), elasticache.RestoreOptions{ID: "new"})
		}
	}
	return []scenario{
		{"backup of a replica", func(b *bed) { b.group("sessions", 0, 1) }, func(b *bed) backup.Operation { return b.start(group("sessions"), backup.Spec{}) }},
		{"backup of a group", func(b *bed) { b.group("orders", 2, 1) }, func(b *bed) backup.Operation { return b.start(group("orders"), backup.Spec{}) }},
		{"restore of a group", (*bed).sources, restore("s-orders")},
		{"restore of a cluster", (*bed).sources, restore("s-one")},
		{"copy", (*bed).sources, func(b *bed) backup.Operation { return b.startCopy(snapshot("s-orders"), backup.Spec{}) }},
		{"deletion", func(b *bed) { b.twoPoints() }, func(b *bed) backup.Operation { return b.startDelete(snapshot("first"), backup.Spec{}) }},
	}
}

var kinds = []awssim.FaultKind{awssim.FaultDieBefore, awssim.FaultDieAfter, awssim.FaultUnreachable, awssim.FaultLostReply, awssim.FaultServerError,
	awssim.FaultServerErrorApplied, awssim.FaultThrottle, awssim.FaultStale, awssim.FaultBlind, awssim.FaultAsync, awssim.FaultHang, awssim.FaultCancel,
	awssim.FaultExpired, awssim.FaultGarbage}

// outcome runs a scenario under faults and checks what must hold whatever happens. It gives the number of calls and whether all faults fired.
func outcome(t *testing.T, sc scenario, lag time.Duration, faults ...awssim.Fault) (calls int, fired bool) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		sc.set(b)
		b.world.SetLag(lag)
		before := len(b.world.Calls())
		foreign := map[string]bool{}
		for _, x := range b.snapshots() {
			foreign[x.Name] = true
		}
		var at []*awssim.Injected
		async := false
		for _, f := range faults {
			at = append(at, b.world.Inject(f))
			async = async || f.Kind == awssim.FaultAsync
		}
		op := b.run(sc.start(b))
		calls, fired = len(b.world.Calls())-before, true
		for _, i := range at {
			fired = fired && i.Fired() > 0
		}
		defer func() {
			if t.Failed() {
				t.Logf("lag %v, faults %+v", lag, faults)
			}
		}()
		if op.Phase != backup.PhaseSucceeded && !(async && op.Phase == backup.PhaseFailed && op.Failure.Code == backup.ErrFailed) {
			t.Errorf("ended in %s: %+v", op.Phase, op.Failure)
		}
		// What carries the token is one thing at most, is listed, and is good if success is reported.
		var made backup.Refs
		for _, x := range b.snapshots() {
			delete(foreign, x.Name)
			if x.Tags[backup.TagToken] == op.ID {
				made = append(made, snapshot(x.Name))
				if op.Phase == backup.PhaseSucceeded && x.Status != "available" {
					t.Errorf("success was reported of a snapshot that is %s", x.Status)
				}
			}
		}
		for _, g := range b.sim.Groups(b.world, account, region) {
			if g.Tags[backup.TagToken] == op.ID {
				made = append(made, group(g.ID))
				if op.Phase == backup.PhaseSucceeded && g.Status != "available" {
					t.Errorf("success was reported of a group that is %s", g.Status)
				}
			}
		}
		for _, c := range b.sim.Clusters(b.world, account, region) {
			if c.Tags[backup.TagToken] == op.ID && c.Group == "" {
				made = append(made, cluster(c.ID))
				if op.Phase == backup.PhaseSucceeded && c.Status != "available" {
					t.Errorf("success was reported of a cluster that is %s", c.Status)
				}
			}
		}
		listed := append(slices.Clone(op.Points), op.Made...)
		if !slices.Equal(made, listed) {
			t.Errorf("made %v, listed %v", made, listed)
		}
		if op.Action == backup.ActionDelete {
			if !foreign["first"] {
				t.Error("success was reported, and the snapshot is there")
			}
			delete(foreign, "first")
		} else if op.Phase == backup.PhaseSucceeded && len(made) != 1 {
			t.Errorf("%d things were made", len(made))
		}
		for name := range foreign {
			t.Errorf("%s was deleted", name)
		}
	})
	return calls, fired
}

// TestEveryFaultUnderLag makes each of the first calls of each piece of work fail in each way, while what is new stays invisible for 90 seconds.
// The sweep does the same without a lag.
func TestEveryFaultUnderLag(t *testing.T) {
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			runs, idle := 0, 0
			n, _ := outcome(t, sc, 90*time.Second)
			for i := range min(n, 8) {
				for _, kind := range kinds {
					_, fired := outcome(t, sc, 90*time.Second, awssim.Fault{Service: "ElastiCache", Skip: i, Kind: kind, Back: 2 * time.Minute})
					if runs++; !fired {
						idle++
					}
				}
			}
			t.Logf("%d runs, in %d of them the fault found no call", runs, idle)
			if idle*2 > runs {
				t.Error("most faults did not fire")
			}
		})
	}
}

// TestPairsOfFaults samples pairs of faults at the calls that matter most: around the one that changes something.
func TestPairsOfFaults(t *testing.T) {
	pairs := [][2]awssim.FaultKind{{awssim.FaultDieAfter, awssim.FaultBlind}, {awssim.FaultLostReply, awssim.FaultStale}, {awssim.FaultServerErrorApplied, awssim.FaultDieBefore},
		{awssim.FaultDieBefore, awssim.FaultDieAfter}, {awssim.FaultCancel, awssim.FaultThrottle}, {awssim.FaultGarbage, awssim.FaultHang}, {awssim.FaultDieAfter, awssim.FaultDieAfter}}
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			for _, p := range pairs {
				for i := range 5 {
					for j := range 2 {
						outcome(t, sc, 45*time.Second, awssim.Fault{Service: "ElastiCache", Skip: i, Kind: p[0], Back: 2 * time.Minute},
							awssim.Fault{Service: "ElastiCache", Skip: i + j, Kind: p[1], Back: 2 * time.Minute})
					}
				}
			}
		})
	}
}
