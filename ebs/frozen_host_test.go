package ebs_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/quiesce"
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
