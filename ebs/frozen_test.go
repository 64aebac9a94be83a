package ebs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"maps"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/backup/backuptest"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/quiesce"
	"github.com/snapwarden/snapwarden/internal/sweep"
)

const freezeLimit = 30 * time.Second

// frozenHost is a host with a watchdog, in virtual time. It knows when it was frozen, whatever anybody believes.
type frozenHost struct {
	mu    sync.Mutex // never held across a wait
	lease string
	since time.Time
	until time.Time // when the watchdog fires
	over  map[string]bool
	// spans are the times in which it was frozen.
	spans [][2]time.Time
	calls map[string]int
	// fault hits the first call of each: "die-before freeze", "die-after thaw", "lost freeze", "error thaw", "hang freeze".
	fault string
}

func newFrozenHost(fault string) *frozenHost {
	return &frozenHost{over: map[string]bool{}, calls: map[string]int{}, fault: fault}
}

// tick has the watchdog do what it has done by now.
func (h *frozenHost) tick() {
	if !h.since.IsZero() && !time.Now().Before(h.until) {
		h.spans = append(h.spans, [2]time.Time{h.since, h.until})
		h.since, h.over[h.lease] = time.Time{}, true
	}
}

// hit plays a fault at a call's begin or end.
func (h *frozenHost) hit(ctx context.Context, call string, first, begin bool) error {
	kind, what, _ := strings.Cut(h.fault, " ")
	if what != call || !first {
		return nil
	}
	switch {
	case kind == "die-before" && begin, kind == "die-after" && !begin:
		panic(awssim.Killed{Operation: call})
	case kind == "error" && begin, kind == "lost" && !begin:
		return errors.New("the connection was reset")
	case kind == "hang" && begin:
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// dead tells whether the process is being killed: what it would do while it unwinds, it does not.
func dead() bool {
	pc := make([]uintptr, 64)
	frames := runtime.CallersFrames(pc[:runtime.Callers(1, pc)])
	for {
		f, more := frames.Next()
		if f.Function == "runtime.gopanic" {
			return true
		}
		if !more {
			return false
		}
	}
}

func (h *frozenHost) begin(call string) (first bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls[call]++
	return h.calls[call] == 1
}

func (h *frozenHost) Freeze(ctx context.Context, _ backup.Ref, l quiesce.Lease) error {
	first := h.begin("freeze")
	if err := h.hit(ctx, "freeze", first, true); err != nil {
		return err
	}
	time.Sleep(300 * time.Millisecond)
	h.mu.Lock()
	h.tick()
	refused := h.over[l.ID] || !h.since.IsZero()
	if !refused {
		h.lease, h.since, h.until = l.ID, time.Now(), time.Now().Add(l.Limit)
	}
	h.mu.Unlock()
	if refused {
		return errors.New("the lease is over, or another holds the host")
	}
	time.Sleep(300 * time.Millisecond)
	return h.hit(ctx, "freeze", first, false)
}

func (h *frozenHost) Thaw(ctx context.Context, _ backup.Ref, l quiesce.Lease) (held bool, err error) {
	if dead() {
		return false, errors.New("dead")
	}
	first := h.begin("thaw")
	if err := h.hit(ctx, "thaw", first, true); err != nil {
		return false, err
	}
	time.Sleep(300 * time.Millisecond)
	h.mu.Lock()
	h.tick()
	h.over[l.ID] = true
	if h.lease == l.ID && !h.since.IsZero() {
		held = true
		h.spans = append(h.spans, [2]time.Time{h.since, time.Now()})
		h.since = time.Time{}
	}
	h.mu.Unlock()
	time.Sleep(300 * time.Millisecond)
	return held, h.hit(ctx, "thaw", first, false)
}

// check gives what is wrong with the host when all is quiet: I9.
func (h *frozenHost) check() (bad []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.since.IsZero() && time.Now().Before(h.until) {
		bad = append(bad, "I9: the host is frozen")
	}
	h.tick()
	for _, s := range h.spans {
		if d := s[1].Sub(s[0]); d > freezeLimit {
			bad = append(bad, fmt.Sprintf("I9: frozen for %v", d))
		}
	}
	return bad
}

// covered tells whether the host was in truth frozen at an instant, with the millisecond that EC2 leaves out.
func (h *frozenHost) covered(at time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.spans {
		if !at.Before(s[0].Add(-time.Millisecond)) && !at.After(s[1]) {
			return true
		}
	}
	return false
}

// labels gives how many snapshots of the Operation are called consistent for the application, and what is wrong with that: I10.
func labels(world *awssim.World, h *frozenHost, op backup.Operation) (n int, bad []string) {
	ec2, _ := awssim.Find[*ec2sim.EC2](world)
	for _, x := range ec2.Snapshots(world, account, region) {
		if x.Tags[ebs.TagConsistency] != ebs.ConsistencyApplication {
			continue
		}
		n++
		if !h.covered(x.StartTime) || x.Tags[backup.TagToken] != op.ID {
			bad = append(bad, fmt.Sprintf("I10: %s started at %v while the host was not frozen: %v", x.ID, x.StartTime, h.spans))
		}
	}
	return n, bad
}

func quiesced(required bool) backup.Spec {
	return backup.Spec{Token: "tonight", Tags: map[string]string{"team": "orders"}, Options: ebs.BackupOptions{Quiesce: ebs.Quiesce{Limit: freezeLimit, Required: required}}}
}

// frozenFlow is the backup of a set with a freeze, on a host with a fault.
func frozenFlow(name, fault string) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		h := newFrozenHost(fault)
		s := backupFlow(name, theInstance, 3, nil).Setup(t, ctx)
		client := awsec2.NewFromConfig(s.World.Config(account, region))
		out, err := client.DescribeInstances(ctx, &awsec2.DescribeInstancesInput{})
		if err != nil {
			t.Fatal(err)
		}
		instance := ebs.Instance(account, region, *out.Reservations[0].Instances[0].InstanceId)
		s.Strategy = func(cfg aws.Config) backup.Strategy {
			return ebs.NewFromConfig(cfg, func(o *ebs.Options) { o.Quiescer = h })
		}
		s.Start = func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
			return s.Start(ctx, instance, quiesced(false))
		}
		quiet := s.Quiet
		s.Quiet = func(op backup.Operation) []string {
			n, bad := labels(s.World, h, op)
			if n != 0 && n != 3 {
				bad = append(bad, fmt.Sprintf("I10: %d of 3 snapshots are labeled", n))
			}
			said := false
			for _, f := range op.Findings {
				said = said || f.ID == "ebs.app-consistent"
			}
			if said != (n > 0) && op.Phase == backup.PhaseSucceeded {
				bad = append(bad, fmt.Sprintf("I10: the operation says %v, and %d snapshots are labeled", said, n))
			}
			return append(append(bad, h.check()...), quiet(op)...)
		}
		return s
	}}
}

func TestSweepFrozen(t *testing.T) {
	sweep.Singles(t, frozenFlow("ebs-backup-frozen", "")).Check(t)
}

// The same with a process that dies in the hooks as well.
func TestSweepFrozenKilled(t *testing.T) {
	sweep.Control(t, frozenFlow("ebs-backup-frozen-killed", "die-after freeze")).Check(t)
}

// The process is killed before and after each call of the hooks, or they fail in each way.
func TestFrozenHooks(t *testing.T) {
	for _, fault := range []string{"die-before freeze", "die-after freeze", "die-before thaw", "die-after thaw", "error freeze", "lost freeze", "error thaw", "lost thaw", "hang freeze", "hang thaw"} {
		for _, lag := range []time.Duration{0, 45 * time.Second, 4 * time.Minute} {
			t.Run(fmt.Sprint(fault, " ", lag), func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
					b.world.SetLag(lag)
					h := newFrozenHost(fault)
					killed := 0
					strategy := func() *ebs.Strategy {
						return ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Quiescer = h })
					}
					op, err := strategy().Start(t.Context(), b.instance, quiesced(false))
					if err != nil {
						t.Fatal(err)
					}
					// A durable engine keeps the Operation, and says so when it gives it to a second process.
					for !op.Done() {
						r, err := backup.NewRunner([]backup.Strategy{strategy()})
						if err != nil {
							t.Fatal(err)
						}
						func() {
							defer func() {
								if _, ok := recover().(awssim.Killed); ok {
									killed++
									op = op.Retried(op.Attempt + 1)
									time.Sleep(7 * time.Second)
								}
							}()
							if op, err = r.Step(t.Context(), op); err != nil {
								t.Error(err)
							}
						}()
						time.Sleep(max(time.Until(op.Poll), time.Millisecond))
					}
					want(t, op, backup.PhaseSucceeded, "")
					if (killed == 1) != strings.HasPrefix(fault, "die") {
						t.Errorf("killed %d times", killed)
					}
					time.Sleep(10 * time.Minute)
					if snapshots, _ := b.made(op); len(snapshots) != 3 {
						t.Errorf("I1: %d snapshots", len(snapshots))
					}
					n, bad := labels(b.world, h, op)
					for _, v := range append(bad, h.check()...) {
						t.Error(v)
					}
					// Whoever goes on thaws first, and does not leave that to the watchdog; only a host that does not answer is left to it.
					for _, s := range h.spans {
						if d := s[1].Sub(s[0]); d > 20*time.Second && fault != "hang thaw" {
							t.Errorf("I9: frozen for %v, until the watchdog", d)
						}
					}
					// What died before it asked for the set makes it anew, with its own proof; where that was asked for and the report was lost there is none.
					again := fault == "die-before freeze" || fault == "die-after freeze"
					if n != map[bool]int{true: 3}[again] {
						t.Errorf("I10: %d labels", n)
					}
				})
			})
		}
	}
}

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

// A backup that is canceled when its set is complete is judged like any other: it must not pass for one that was proved.
func TestFrozenCanceledComplete(t *testing.T) {
	for _, c := range []struct {
		fault    string
		required bool
		phase    backup.Phase
		code     backup.Code
		labels   int
	}{
		{"lost thaw", true, backup.PhaseFailed, backup.ErrFailed, 0},
		{"lost thaw", false, backup.PhaseSucceeded, "", 0},
		{"", true, backup.PhaseSucceeded, "", 3},
	} {
		inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
			h := newFrozenHost(c.fault)
			s := ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Quiescer = h })
			op, err := s.Start(t.Context(), b.instance, quiesced(c.required))
			r, _ := backup.NewRunner([]backup.Strategy{s})
			for err == nil && op.Stage != "wait" {
				op, err = r.Step(t.Context(), op)
				time.Sleep(max(time.Until(op.Poll), time.Millisecond))
			}
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Hour) // all are complete by now
			if op, err = r.Cancel(t.Context(), op); err != nil {
				t.Fatal(err)
			}
			op = finish(t, s, op, nil)
			want(t, op, c.phase, c.code)
			if n, _ := labels(b.world, h, op); n != c.labels || len(op.Points) != 1 {
				t.Errorf("%+v: %d labels, points %v", c, n, op.Points)
			}
			if c.labels == 0 && !c.required && found(op, "ebs.crash-consistent") == "" {
				t.Errorf("%+v: findings %v", c, op.Findings)
			}
		})
	}
}

// A backup that is canceled while its call is out is thawed, looked for and undone.
func TestFrozenCanceled(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		h := newFrozenHost("die-after freeze")
		s := ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Quiescer = h })
		op, err := s.Start(t.Context(), b.instance, quiesced(false))
		if err != nil {
			t.Fatal(err)
		}
		for op.Stage != "create" {
			if op, err = s.Step(t.Context(), op); err != nil {
				t.Fatal(err)
			}
		}
		if op.Next != "Freeze, CreateSnapshots, Thaw" {
			t.Errorf("next %q", op.Next)
		}
		op.Attempt = 1
		func() {
			defer func() { _ = recover() }()
			_, _ = s.Step(t.Context(), op)
		}()
		if h.since.IsZero() {
			t.Fatal("the host is not frozen")
		}
		if op, err = s.Cancel(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		op = finish(t, s, op, nil)
		want(t, op, backup.PhaseCanceled, backup.ErrCanceled)
		if snapshots, _ := b.made(op); len(snapshots) > 0 || len(h.spans) != 1 || h.spans[0][1].Sub(h.spans[0][0]) > 10*time.Second {
			t.Errorf("%d snapshots, frozen %v", len(snapshots), h.spans)
		}
	})
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

// A backup with a freeze is held to the same contract as one without.
func TestConformanceFrozen(t *testing.T) {
	for _, lag := range []time.Duration{0, 2 * time.Minute} {
		t.Run(lag.String(), func(t *testing.T) {
			backuptest.TestStrategy(t, backuptest.Harness{New: func(t testing.TB) *backuptest.Subject {
				b := newBench(t, t.Context())
				h := newFrozenHost("")
				s := subject(t, b, b.instance, 3, lag, func(b *bench) backup.Strategy {
					return ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Quiescer = h })
				})
				plain := s.Spec
				s.Spec = func(action backup.Action, token string) backup.Spec {
					if action == backup.ActionBackup {
						return backup.Spec{Options: ebs.BackupOptions{Quiesce: ebs.Quiesce{Limit: freezeLimit}}}
					}
					return plain(action, token)
				}
				return s
			}})
		})
	}
}

// The file systems of an instance are frozen for the moment at which its set is made. Here a model of a host answers; Run is the caller's SSH or SSM.
func ExampleQuiesce() {
	ctx := context.Background()
	cfg, instance := simulatedInstance(ctx)
	run := func(_ context.Context, _, script string) (string, error) {
		// A real host prints this last line when it has run the script.
		lease := script[strings.Index(script, "lease='")+7:]
		lease = lease[:strings.Index(lease, "'")]
		if strings.Contains(script, "fsfreeze") {
			return "snapwarden-quiesce-1 " + lease + " frozen", nil
		}
		return "snapwarden-quiesce-1 " + lease + " held", nil
	}
	host, err := quiesce.NewHost(run, quiesce.Plan{FileSystems: []string{"/data"}})
	if err != nil {
		log.Fatal(err)
	}
	strategy := ebs.NewFromConfig(cfg, quick, func(o *ebs.Options) { o.Quiescer = host })
	op, err := strategy.Start(ctx, instance, backup.Spec{Token: "tonight", Options: ebs.BackupOptions{Quiesce: ebs.Quiesce{Limit: quiesce.DefaultLimit}}})
	if err != nil {
		log.Fatal(err)
	}
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		log.Fatal(err)
	}
	if op, err = runner.Run(ctx, op); err != nil {
		log.Fatal(err)
	}
	fmt.Println(op.Phase, op.Findings[0].ID)
	// Output:
	// succeeded ebs.app-consistent
}
