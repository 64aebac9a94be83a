package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// jsonReport prints one object a line. The shapes stand in the help text.
type jsonReport struct {
	mu sync.Mutex
	w  io.Writer
}

// operationLine is an event of an Operation.
type operationLine struct {
	Time      time.Time         `json:"time"`
	Type      backup.EventType  `json:"type"`
	ID        string            `json:"id"`
	Kind      string            `json:"kind"`
	Action    backup.Action     `json:"action"`
	Ref       backup.Ref        `json:"ref"`
	Phase     backup.Phase      `json:"phase"`
	Stage     string            `json:"stage"`
	Percent   int               `json:"percent"`
	Next      string            `json:"next,omitempty"`
	Points    []backup.Ref      `json:"points,omitempty"`
	Made      []backup.Ref      `json:"made,omitempty"`
	Endpoints []backup.Endpoint `json:"endpoints,omitempty"`
	Code      backup.Code       `json:"code,omitempty"`
	Error     string            `json:"error,omitempty"`
	Hint      string            `json:"hint,omitempty"`
}

func (j *jsonReport) line(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		b, _ = json.Marshal(noteLine{time.Now().UTC(), "note", err.Error()})
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = j.w.Write(append(b, '\n'))
}

// Observe prints an event of the Runner.
func (j *jsonReport) Observe(_ context.Context, e backup.Event) {
	j.line(lineOf(e.Type, e.Time, e.Operation, e.Err))
}

func lineOf(t backup.EventType, at time.Time, op backup.Operation, err error) operationLine {
	l := operationLine{Time: at, Type: t, ID: op.ID, Kind: op.Kind, Action: op.Action, Ref: op.Ref, Phase: op.Phase, Stage: op.Stage,
		Percent: op.Percent, Next: op.Next, Points: op.Points, Made: op.Made, Endpoints: op.Endpoints}
	if err != nil {
		l.Code, l.Error, l.Hint = backup.CodeOf(err), err.Error(), backup.HintOf(err)
	}
	return l
}

type noteLine struct {
	Time    time.Time `json:"time"`
	Type    string    `json:"type"`
	Message string    `json:"message"`
}

func (j *jsonReport) note(format string, args ...any) {
	j.line(noteLine{time.Now().UTC(), "note", fmt.Sprintf(format, args...)})
}

func (j *jsonReport) begin(title string) { j.note("%s", title) }
func (j *jsonReport) end()               {}

func (j *jsonReport) finding(op backup.Operation, f backup.Finding) {
	j.line(struct {
		Time     time.Time       `json:"time"`
		Type     string          `json:"type"`
		Kind     string          `json:"kind"`
		Action   backup.Action   `json:"action"`
		Ref      backup.Ref      `json:"ref"`
		Severity backup.Severity `json:"severity"`
		Message  string          `json:"message"`
		Remedy   string          `json:"remedy,omitempty"`
	}{time.Now().UTC(), "finding", op.Kind, op.Action, f.Ref, f.Severity, f.Message, f.Remedy})
}

// failed repeats what no event told: what kept an Operation from being started or awaited.
func (j *jsonReport) failed(op backup.Operation, err error) {
	if !op.Done() {
		j.note("%s", describeFailure(op, err))
	}
}

func (j *jsonReport) points(_ string, all []backup.RecoveryPoint) {
	for _, p := range all {
		j.line(struct {
			Time  time.Time            `json:"time"`
			Type  string               `json:"type"`
			Point backup.RecoveryPoint `json:"point"`
		}{time.Now().UTC(), "recovery-point", p})
	}
}

func (j *jsonReport) restored([]backup.Operation) {}

func (j *jsonReport) done(s summary) {
	j.line(struct {
		Summary summary `json:"summary"`
	}{s})
}
