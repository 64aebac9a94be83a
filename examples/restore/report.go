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
	labels = 13
	width  = 118
)

// report writes lines, keeps the first error in doing so, and collects what is checked on the way.
type report struct {
	w      io.Writer
	err    error
	checks []check
}

// check is one thing that must be so.
type check struct {
	what string
	good bool
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
	for _, f := range found {
		message := f.Message
		if f.ID == "ebs.app-consistent" {
			message, _, _ = strings.Cut(message, " from ") // its times differ from run to run
		}
		o.line(label, "%s %s: %s", f.Severity, f.ID, message)
		if f.Remedy != "" {
			o.line("", "-> %s", f.Remedy)
		}
		label = ""
	}
}

// failure prints how an Operation failed, and what the library advises.
func (o *report) failure(op backup.Operation) {
	if f := op.Failure; f != nil {
		o.line("ended", "%s, %s: %s", op.Phase, f.Code, said(f.Message))
		o.line("", "-> %s", f.Hint)
	}
}

// check notes whether something is as it must be.
func (o *report) check(good bool, format string, args ...any) {
	o.checks = append(o.checks, check{fmt.Sprintf(format, args...), good})
}

// conclude prints what was checked, and gives an error that names what is not so.
func (o *report) conclude(title string) error {
	o.heading(title)
	var wrong []error
	for _, c := range o.checks {
		mark := "yes"
		if !c.good {
			mark = "NO"
			wrong = append(wrong, fmt.Errorf("not so: %s", c.what))
		}
		o.print("%-4s %s\n", mark, c.what)
	}
	o.print("\n%d checked, %d as they must be.\n", len(o.checks), len(o.checks)-len(wrong))
	return errors.Join(wrong...)
}

// transport is what the SDK puts before AWS's own words.
var transport = regexp.MustCompile(`operation error [^,]*, https response error StatusCode: \d+, RequestID: [^,]*, (api error )?`)

// said is an error's text without the numbers of requests, which differ from run to run.
func said(message string) string { return transport.ReplaceAllString(message, "") }
