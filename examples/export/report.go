package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/snapwarden/snapwarden/backup"
)

// The columns of the report: lines have a label, and their text is wrapped.
const (
	labels = 15
	width  = 118
)

// report writes lines and keeps the first error in doing so.
type report struct {
	w     io.Writer
	count int // of the trials
	err   error
}

func (o *report) print(format string, args ...any) {
	if o.err == nil {
		_, o.err = fmt.Fprintf(o.w, format, args...)
	}
}

func (o *report) heading(text string) {
	o.print("\n%s\n%s\n", text, strings.Repeat("=", utf8.RuneCountInString(text)))
}

// line prints text behind a label, wrapped at spaces.
func (o *report) line(label, format string, args ...any) {
	var line strings.Builder
	for word := range strings.FieldsSeq(fmt.Sprintf(format, args...)) {
		n := utf8.RuneCountInString(line.String())
		if n > 0 && labels+n+1+utf8.RuneCountInString(word) > width {
			o.print("%-*s%s\n", labels, label, line.String())
			label = ""
			line.Reset()
		}
		if line.Len() > 0 {
			line.WriteByte(' ')
		}
		line.WriteString(word)
	}
	o.print("%-*s%s\n", labels, label, line.String())
}

func (o *report) findings(label string, found []backup.Finding) {
	if len(found) == 0 {
		o.line(label, "finds nothing")
	}
	for _, f := range found {
		o.line(label, "%s %s: %s", f.Severity, f.ID, f.Message)
		o.line("", "-> %s", f.Remedy)
		label = ""
	}
}

// failure prints how an Operation ended. What AWS said already is not said again, and neither is what Preflight advised.
func (o *report) failure(f backup.Failure, aws string, before, with []backup.Finding) {
	message := said(f.Message)
	if message == aws {
		message = "what AWS says"
	}
	o.line("snapwarden", "failed, %s: %s", f.Code, message)
	for _, x := range with {
		o.line("", "%s %s", x.Severity, x.ID)
	}
	hint := f.Hint
	for _, x := range before {
		if x.Remedy == hint {
			hint = "as Preflight advised"
		}
	}
	o.line("", "-> %s", hint)
}

// row is a line of the table at the end.
type row struct {
	label string
	// id is the finding's, or what else names the failure.
	id string
	// by tells what named it: the look beforehand, the export, or both.
	by                             string
	met, explained, mended, passed bool
}

func (r row) complete() bool { return r.met && r.explained && r.mended && r.passed }

// conclude prints the table, and gives an error that names the rows that are not complete.
func conclude(o *report, rows []row) error {
	o.heading("5. Every documented failure")
	mark := func(good bool) string {
		if good {
			return "yes"
		}
		return "NO"
	}
	o.print("%-40s %-34s %-18s %-4s %-10s %-7s %s\n", "failure", "finding", "named by", "met", "explained", "mended", "passed")
	var missing []error
	for _, r := range rows {
		o.print("%-40s %-34s %-18s %-4s %-10s %-7s %s\n", r.label, r.id, r.by, mark(r.met), mark(r.explained), mark(r.mended), mark(r.passed))
		if !r.complete() {
			missing = append(missing, fmt.Errorf("incomplete: %s", r.label))
		}
	}
	o.print("\n%d failures, %d of them met, explained, mended and passed.\n", len(rows), len(rows)-len(missing))
	return errors.Join(missing...)
}

// transport is what the SDK puts before AWS's own words.
var transport = regexp.MustCompile(`operation error [^,]*, https response error StatusCode: \d+, RequestID: [^,]*, (HostID: [^,]*, )?(api error )?`)

// said is an error's text without the numbers of requests, which differ from run to run.
func said(message string) string { return transport.ReplaceAllString(message, "") }
