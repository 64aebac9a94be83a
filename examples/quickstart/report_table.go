package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// tableReport draws the Operations of a step as a table, over and over at the same place of the terminal.
type tableReport struct {
	mu sync.Mutex
	text
	rows []tableRow
	// later are lines for below the table, when it stands.
	later []string
	drawn int
	stop  chan struct{}
	drawr sync.WaitGroup
}

type tableRow struct {
	op backup.Operation
	// trouble is why the last event was none that carried it on.
	trouble      string
	began, ended time.Time
}

// redraw is how often the table is drawn again while nothing happens, for the clock in it.
const redraw = 250 * time.Millisecond

func (t *tableReport) begin(title string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows, t.later, t.drawn, t.stop = nil, nil, 0, make(chan struct{})
	t.printf("\n\x1b[1m%s\x1b[0m\n", title)
	stop := t.stop
	t.drawr.Go(func() {
		tick := time.NewTicker(redraw)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				t.mu.Lock()
				t.draw()
				t.mu.Unlock()
			case <-stop:
				return
			}
		}
	})
}

func (t *tableReport) end() {
	close(t.stop)
	t.drawr.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.draw()
	for _, l := range t.later {
		t.printf("  %s\n", l)
	}
	t.stop, t.later = nil, nil
}

// Observe puts an event into the table.
func (t *tableReport) Observe(_ context.Context, e backup.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.rows, func(r tableRow) bool { return r.op.ID == e.Operation.ID })
	if i < 0 {
		i = len(t.rows)
		t.rows = append(t.rows, tableRow{began: e.Time})
	}
	t.rows[i].op = e.Operation
	if e.Operation.Done() && t.rows[i].ended.IsZero() {
		t.rows[i].ended = e.Time
	}
	t.rows[i].trouble = ""
	if e.Err != nil && e.Type != backup.EventFinished {
		t.rows[i].trouble = string(e.Type) + ": " + cause(e.Err)
	}
	t.draw()
}

// draw draws the rows over those of the last time. Lines are cut at the edge, because a wrapped one would not be drawn over.
func (t *tableReport) draw() {
	var b strings.Builder
	b.WriteString("\x1b[?7l")
	if t.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", t.drawn)
	}
	for _, r := range t.rows {
		until := r.ended
		if until.IsZero() {
			until = time.Now()
		}
		color, state := "", doing(r.op)
		switch {
		case r.op.Phase == backup.PhaseSucceeded:
			color = "\x1b[32m"
		case r.op.Done():
			color = "\x1b[31m"
		case r.trouble != "":
			color, state = "\x1b[33m", r.trouble
		}
		fmt.Fprintf(&b, "\r\x1b[2K  %-8s %-38s %s %6.1f s  %s%s\x1b[0m\n", r.op.Action, shorten(r.op.Ref.Type+" "+r.op.Ref.ID, 38), bar(r.op.Percent),
			until.Sub(r.began).Seconds(), color, state)
	}
	b.WriteString("\x1b[?7h")
	t.printf("%s", b.String())
	t.drawn = len(t.rows)
}

func bar(percent int) string {
	const width = 10
	n := min(max(percent, 0), 100) * width / 100
	return "[" + strings.Repeat("#", n) + strings.Repeat(".", width-n) + "]"
}

// shorten keeps the beginning and the end, by which ids are told apart.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n-10] + "…" + s[len(s)-9:]
}

func (t *tableReport) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.below(fmt.Sprintf(format, args...))
}

// below prints a line, or keeps it until the table stands.
func (t *tableReport) below(line string) {
	if t.stop != nil {
		t.later = append(t.later, line)
		return
	}
	t.printf("%s\n", line)
}

func (t *tableReport) finding(_ backup.Operation, f backup.Finding) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.below(describeFinding(f))
}

func (t *tableReport) failed(op backup.Operation, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.below(describeFailure(op, err))
}

func (t *tableReport) points(title string, all []backup.RecoveryPoint) { t.printPoints(title, all) }
func (t *tableReport) restored(all []backup.Operation)                 { t.printRestored(all) }
func (t *tableReport) done(s summary)                                  { t.printSummary(s) }
