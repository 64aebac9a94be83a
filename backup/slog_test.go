package backup_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
)

// canary stands where a secret could; no log may show it.
const canary = "canary-7f3a"

func logged(t testing.TB) backup.Operation {
	t.Helper()
	op, err := backup.NewOperation("ebs", backup.ActionBackup,
		backup.Ref{Type: "ec2/volume", Account: "123456789012", Region: "eu-west-1", ID: "vol-1"},
		backup.Spec{Token: canary, Tags: map[string]string{"secret": canary}})
	if err != nil {
		t.Fatal(err)
	}
	op.ID = "op-1"
	op.State = json.RawMessage(`{"password":"` + canary + `"}`)
	op.Findings = []backup.Finding{{ID: "ebs.x", Message: canary, Remedy: canary}}
	op.Endpoints = []backup.Endpoint{{ID: "x", Host: canary}}
	return op
}

func TestSlogObserver(t *testing.T) {
	quota := &backup.Error{Op: "CreateSnapshot", Kind: "ebs", Code: backup.ErrQuota, Err: errors.New("too many"), Hint: "ask for more"}
	always := map[string]any{"id": "op-1", "kind": "ebs", "action": "backup", "ref": "ec2/volume:123456789012:eu-west-1:vol-1", "phase": "pending"}
	with := func(more map[string]any) map[string]any {
		m := map[string]any{}
		for _, from := range []map[string]any{always, more} {
			for k, v := range from {
				m[k] = v
			}
		}
		return m
	}
	for name, c := range map[string]struct {
		event  backup.Event
		change func(*backup.Operation)
		want   map[string]any
	}{
		"started": {backup.Event{Type: backup.EventStarted}, nil, with(map[string]any{"level": "INFO", "msg": "operation started"})},
		"resumed": {backup.Event{Type: backup.EventResumed}, nil, with(map[string]any{"level": "INFO", "msg": "operation resumed"})},
		"a newer": {backup.Event{Type: "newer"}, nil, with(map[string]any{"level": "INFO", "msg": "operation newer"})},
		"progress": {backup.Event{Type: backup.EventProgress, Wait: time.Minute}, func(op *backup.Operation) { op.Percent, op.Stage = 40, "copying" },
			with(map[string]any{"level": "DEBUG", "msg": "operation progress", "percent": 40.0, "stage": "copying", "wait": 60e9})},
		"sending": {backup.Event{Type: backup.EventSending}, func(op *backup.Operation) { op.Next, op.Attempt, op.Phase = "CreateSnapshot", 2, backup.PhaseRunning },
			with(map[string]any{"level": "INFO", "msg": "operation sending", "next": "CreateSnapshot", "attempt": 2.0, "phase": "running"})},
		"waiting": {backup.Event{Type: backup.EventWaiting, Err: &backup.Error{Code: backup.ErrConflict}, Wait: time.Second}, nil,
			with(map[string]any{"level": "INFO", "msg": "operation waiting", "error": "conflict", "code": "conflict", "wait": 1e9})},
		"step failed": {backup.Event{Type: backup.EventStepFailed, Err: quota}, nil, with(map[string]any{"level": "WARN", "msg": "operation step-failed",
			"error": "ebs CreateSnapshot: quota: too many (ask for more)", "code": "quota", "hint": "ask for more"})},
		"a stranger": {backup.Event{Type: backup.EventStepFailed, Err: errors.New("odd")}, nil, with(map[string]any{"level": "WARN", "msg": "operation step-failed",
			"error": "odd", "code": "failed"})},
		"succeeded": {backup.Event{Type: backup.EventFinished}, (*backup.Operation).Succeed,
			with(map[string]any{"level": "INFO", "msg": "operation finished", "phase": "succeeded", "percent": 100.0})},
		"failed": {backup.Event{Type: backup.EventFinished, Err: quota}, func(op *backup.Operation) { op.Fail(quota) },
			with(map[string]any{"level": "ERROR", "msg": "operation finished", "phase": "failed",
				"error": "ebs CreateSnapshot: quota: too many (ask for more)", "code": "quota", "hint": "ask for more"})},
		"partial": {backup.Event{Type: backup.EventFinished, Err: backup.ErrPartial}, func(op *backup.Operation) { op.Fail(backup.ErrPartial) },
			with(map[string]any{"level": "ERROR", "msg": "operation finished", "phase": "partial", "error": "partial", "code": "partial"})},
		"canceled, by the operation alone": {backup.Event{Type: backup.EventFinished}, func(op *backup.Operation) { op.Fail(backup.ErrCanceled) },
			with(map[string]any{"level": "INFO", "msg": "operation finished", "phase": "canceled", "error": "ebs ec2/volume:123456789012:eu-west-1:vol-1: canceled", "code": "canceled"})},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			l := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
			c.event.Operation = logged(t)
			if c.change != nil {
				c.change(&c.event.Operation)
			}
			backup.NewSlogObserver(l).Observe(t.Context(), c.event)
			if strings.Contains(out.String(), canary) {
				t.Errorf("the log tells a secret: %s", &out)
			}
			var got map[string]any
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatalf("%v: %s", err, &out)
			}
			delete(got, "time")
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("logged (-want +got):\n%s", d)
			}
		})
	}
}

func TestSlogObserverLevel(t *testing.T) {
	var out bytes.Buffer
	o := backup.NewSlogObserver(slog.New(slog.NewTextHandler(&out, nil)))
	o.Observe(t.Context(), backup.Event{Type: backup.EventProgress, Operation: logged(t)})
	if out.Len() != 0 {
		t.Errorf("a handler without Debug was given %s", &out)
	}
}

func ExampleNewSlogObserver() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	observer := backup.NewSlogObserver(logger)

	// A Runner calls it; here it is called by hand.
	observer.Observe(context.Background(), backup.Event{
		Type: backup.EventSending,
		Operation: backup.Operation{
			ID: "op-1", Kind: "ebs", Action: backup.ActionBackup, Phase: backup.PhaseRunning, Stage: "create", Next: "CreateSnapshot", Attempt: 1,
			Ref: backup.Ref{Type: "ec2/volume", Account: "123456789012", Region: "eu-west-1", ID: "vol-0123456789abcdef0"},
		},
	})
	// Output:
	// level=INFO msg="operation sending" id=op-1 kind=ebs action=backup ref=ec2/volume:123456789012:eu-west-1:vol-0123456789abcdef0 phase=running stage=create next=CreateSnapshot attempt=1
}
