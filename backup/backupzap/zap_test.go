package backupzap_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/backupzap"
)

// canary stands where a secret could; no log may show it.
const canary = "canary-7f3a"

func logged() backup.Operation {
	return backup.Operation{
		ID: "op-1", Kind: "ebs", Action: backup.ActionBackup, Phase: backup.PhaseRunning, Token: canary,
		Ref:       backup.Ref{Type: "ec2/volume", Account: "123456789012", Region: "eu-west-1", ID: "vol-1"},
		Tags:      map[string]string{"secret": canary},
		State:     json.RawMessage(`{"password":"` + canary + `"}`),
		Findings:  []backup.Finding{{ID: "ebs.x", Message: canary, Remedy: canary}},
		Endpoints: []backup.Endpoint{{ID: "x", Host: canary}},
	}
}

func TestNew(t *testing.T) {
	quota := &backup.Error{Op: "CreateSnapshot", Kind: "ebs", Code: backup.ErrQuota, Err: errors.New("too many"), Hint: "ask for more"}
	for name, c := range map[string]struct {
		event  backup.Event
		change func(*backup.Operation)
		level  zapcore.Level
		want   map[string]any
	}{
		"started": {backup.Event{Type: backup.EventStarted}, nil, zap.InfoLevel, nil},
		"resumed": {backup.Event{Type: backup.EventResumed}, nil, zap.InfoLevel, nil},
		"a newer": {backup.Event{Type: "newer"}, nil, zap.InfoLevel, nil},
		"progress": {backup.Event{Type: backup.EventProgress, Wait: time.Minute}, func(op *backup.Operation) { op.Percent, op.Stage = 40, "copying" },
			zap.DebugLevel, map[string]any{"percent": int64(40), "stage": "copying", "wait": time.Minute}},
		"sending": {backup.Event{Type: backup.EventSending}, func(op *backup.Operation) { op.Next, op.Attempt = "CreateSnapshot", 2 },
			zap.InfoLevel, map[string]any{"next": "CreateSnapshot", "attempt": int64(2)}},
		"waiting": {backup.Event{Type: backup.EventWaiting, Err: &backup.Error{Code: backup.ErrConflict}, Wait: time.Second}, nil,
			zap.InfoLevel, map[string]any{"error": "conflict", "code": "conflict", "wait": time.Second}},
		"step failed": {backup.Event{Type: backup.EventStepFailed, Err: quota}, nil,
			zap.WarnLevel, map[string]any{"error": "ebs CreateSnapshot: quota: too many (ask for more)", "code": "quota", "hint": "ask for more"}},
		"a stranger": {backup.Event{Type: backup.EventStepFailed, Err: errors.New("odd")}, nil,
			zap.WarnLevel, map[string]any{"error": "odd", "code": "failed"}},
		"succeeded": {backup.Event{Type: backup.EventFinished}, (*backup.Operation).Succeed,
			zap.InfoLevel, map[string]any{"phase": "succeeded", "percent": int64(100)}},
		"failed": {backup.Event{Type: backup.EventFinished, Err: quota}, func(op *backup.Operation) { op.Fail(quota) },
			zap.ErrorLevel, map[string]any{"phase": "failed", "error": "ebs CreateSnapshot: quota: too many (ask for more)", "code": "quota", "hint": "ask for more"}},
		"partial": {backup.Event{Type: backup.EventFinished, Err: backup.ErrPartial}, func(op *backup.Operation) { op.Fail(backup.ErrPartial) },
			zap.ErrorLevel, map[string]any{"phase": "partial", "error": "partial", "code": "partial"}},
		"canceled, by the operation alone": {backup.Event{Type: backup.EventFinished}, func(op *backup.Operation) { op.Fail(backup.ErrCanceled) },
			zap.InfoLevel, map[string]any{"phase": "canceled", "error": "ebs ec2/volume:123456789012:eu-west-1:vol-1: canceled", "code": "canceled"}},
	} {
		t.Run(name, func(t *testing.T) {
			core, logs := observer.New(zap.DebugLevel)
			c.event.Operation = logged()
			if c.change != nil {
				c.change(&c.event.Operation)
			}
			backupzap.New(zap.New(core)).Observe(t.Context(), c.event)
			if logs.Len() != 1 {
				t.Fatalf("%d entries", logs.Len())
			}
			want := map[string]any{"id": "op-1", "kind": "ebs", "action": "backup", "ref": "ec2/volume:123456789012:eu-west-1:vol-1", "phase": "running"}
			for k, v := range c.want {
				want[k] = v
			}
			entry := logs.All()[0]
			if d := cmp.Diff(want, entry.ContextMap()); d != "" {
				t.Errorf("fields (-want +got):\n%s", d)
			}
			if entry.Level != c.level || entry.Message != "operation "+string(c.event.Type) {
				t.Errorf("logged %v %q, want level %v", entry.Level, entry.Message, c.level)
			}
			if s := fmt.Sprint(entry); strings.Contains(s, canary) {
				t.Errorf("the log tells a secret: %s", s)
			}
		})
	}
}

func TestNewLevel(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	o := backupzap.New(zap.New(core))
	o.Observe(t.Context(), backup.Event{Type: backup.EventProgress, Operation: logged()})
	if logs.Len() != 0 {
		t.Errorf("a core without Debug was given %v", logs.All())
	}
	backupzap.New(nil).Observe(t.Context(), backup.Event{Type: backup.EventStarted})
}

func ExampleNew() {
	config := zap.NewDevelopmentEncoderConfig()
	config.TimeKey = ""
	logger := zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(config), zapcore.AddSync(stdout{}), zap.InfoLevel))
	observer := backupzap.New(logger)

	// A Runner calls it; here it is called by hand.
	observer.Observe(context.Background(), backup.Event{
		Type: backup.EventStepFailed,
		Operation: backup.Operation{
			ID: "op-1", Kind: "ebs", Action: backup.ActionBackup, Phase: backup.PhaseRunning, Stage: "wait", Percent: 40,
			Ref: backup.Ref{Type: "ec2/volume", Account: "123456789012", Region: "eu-west-1", ID: "vol-0123456789abcdef0"},
		},
		Err: &backup.Error{Op: "DescribeSnapshots", Code: backup.ErrThrottled},
	})
	// Output:
	// WARN	operation step-failed	{"id": "op-1", "kind": "ebs", "action": "backup", "ref": "ec2/volume:123456789012:eu-west-1:vol-0123456789abcdef0", "phase": "running", "stage": "wait", "percent": 40, "error": "DescribeSnapshots: throttled", "code": "throttled"}
}

// stdout writes to what is the standard output when it is written to, as Examples need it.
type stdout struct{}

func (stdout) Write(b []byte) (int, error) { return fmt.Print(string(b)) }
