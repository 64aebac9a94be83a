package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
)

// reporter tells the user what happens. As an Observer it is told by the Runner, from several goroutines; note, finding and failed are called
// from several goroutines too.
type reporter interface {
	backup.Observer
	note(format string, args ...any)
	// begin and end stand around a step whose Operations are carried on side by side.
	begin(title string)
	end()
	finding(op backup.Operation, f backup.Finding)
	failed(op backup.Operation, err error)
	points(title string, all []backup.RecoveryPoint)
	restored(all []backup.Operation)
	done(s summary)
}

func newReporter(o options, w io.Writer) reporter {
	switch {
	case o.json:
		return &jsonReport{w: w}
	case isTerminal(w):
		return &tableReport{text: text{w: w}}
	default:
		return &lineReport{text: text{w: w}}
	}
}

// isTerminal tells whether somebody looks at w, so that it can be drawn over.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// text is what the reports for people have in common. Its writer is used under the lock of the report that it is part of.
type text struct{ w io.Writer }

func (t text) printf(format string, args ...any) { fmt.Fprintf(t.w, format, args...) }

func (t text) printPoints(title string, all []backup.RecoveryPoint) {
	t.printf("\n%s\n", title)
	for _, p := range all {
		made := "time not told"
		if !p.CreatedAt.IsZero() {
			made = p.CreatedAt.Local().Format(time.DateTime)
		}
		t.printf("  %-10s %-20s %8s  %s\n", p.Status, made, size(p.SizeBytes), p.Ref.Type+" "+p.ID)
		for _, m := range p.Members {
			t.printf("  %-10s %-20s %8s    %s of %s\n", m.Status, m.Place+" "+m.Role, size(m.SizeBytes), m.ID, m.Source)
		}
	}
	if len(all) == 0 {
		t.printf("  none\n")
	}
}

func size(bytes int64) string {
	switch {
	case bytes <= 0:
		return ""
	case bytes < 1<<30:
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d GiB", bytes>>30)
}

func (t text) printRestored(all []backup.Operation) {
	t.printf("\nRestored\n")
	for _, op := range all {
		for _, e := range op.Endpoints {
			t.printf("  %-13s %-24s %s:%d\n", e.Role, e.ID, e.Host, e.Port)
		}
		for _, r := range op.Made {
			if r.Type == ebs.TypeVolume {
				t.printf("  %-13s %s\n", "volume", r.ID)
			} else if len(op.Endpoints) == 0 {
				t.printf("  %-13s %s\n", r.Type, r.ID)
			}
		}
	}
}

func (t text) printSummary(s summary) {
	t.printf("\n%d operations succeeded, %d failed, %d unfinished, %d skipped; %d restored, %d deleted, %d recovery points left; %.1f s\n",
		s.Succeeded, s.Failed, s.Unfinished, s.Skipped, s.Restored, s.Deleted, s.RecoveryPoints, s.Seconds)
}

// describeFinding and describeFailure give one line each. Errors of the library tell what was done to what, and what to do about it.
func describeFinding(f backup.Finding) string {
	line := fmt.Sprintf("%s: %s", f.Severity, f.Message)
	if !strings.Contains(line, f.Ref.ID) {
		line = fmt.Sprintf("%s: %s %s: %s", f.Severity, f.Ref.Type, f.Ref.ID, f.Message)
	}
	if f.Remedy != "" && !strings.Contains(line, f.Remedy) {
		line += "; " + f.Remedy
	}
	return line
}

func describeFailure(op backup.Operation, err error) string {
	var e *backup.Error
	if op.ID == "" || errors.As(err, &e) {
		return "failed: " + err.Error()
	}
	return fmt.Sprintf("%s of %s: %v", op.Action, op.Ref, err)
}

// cause is the last part of an error's story, where the rest stands beside it already.
func cause(err error) string {
	var e *backup.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}

// doing says what an Operation is about to do or waits for.
func doing(op backup.Operation) string {
	switch {
	case op.Done():
		return string(op.Phase)
	case op.Next != "":
		return op.Next
	}
	return op.Stage
}
