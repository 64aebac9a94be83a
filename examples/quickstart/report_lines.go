package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// lineReport prints for people who read it later: a line when something begins, changes its stage, gets a good deal further, or ends.
type lineReport struct {
	mu sync.Mutex
	text
	began time.Time
	// last is what was printed last of each Operation.
	last map[string]string
}

func (l *lineReport) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.printf(format+"\n", args...)
}

func (l *lineReport) begin(title string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.began, l.last = time.Now(), map[string]string{}
	l.printf("\n%s\n", title)
}

func (*lineReport) end() {}

// Observe prints an event that is worth a line.
func (l *lineReport) Observe(_ context.Context, e backup.Event) {
	op := e.Operation
	what := doing(op)
	switch {
	case e.Type == backup.EventStepFailed || e.Type == backup.EventWaiting:
		what = string(e.Type) + ": " + cause(e.Err)
	case op.Percent >= 25 && !op.Done():
		what += fmt.Sprintf(" %d %%", op.Percent/25*25)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last[op.ID] == what {
		return
	}
	l.last[op.ID] = what
	l.printf("  %6.1f s  %-8s %s  %s\n", time.Since(l.began).Seconds(), op.Action, op.Ref.Type+" "+op.Ref.ID, what)
}

func (l *lineReport) finding(_ backup.Operation, f backup.Finding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.printf("  %s\n", describeFinding(f))
}

func (l *lineReport) failed(op backup.Operation, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.printf("  %s\n", describeFailure(op, err))
}

func (l *lineReport) points(title string, all []backup.RecoveryPoint) { l.printPoints(title, all) }
func (l *lineReport) restored(all []backup.Operation)                 { l.printRestored(all) }
func (l *lineReport) done(s summary)                                  { l.printSummary(s) }
