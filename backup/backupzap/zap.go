// Package backupzap logs what happens to backup Operations with zap.
package backupzap

import (
	"cmp"
	"context"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/snapwarden/snapwarden/backup"
)

// New logs every Event to l; nil logs nothing.
//
// Levels: EventProgress is Debug, EventStepFailed is Warn, EventFinished of an Operation that failed or is partial is Error, everything else
// is Info. The message is "operation " and the Event's type. The fields are those of backup.NewSlogObserver: id, kind, action, ref and phase,
// and where they are not empty stage, next, attempt, percent, wait, error, code and hint. Neither State nor tags nor findings are logged.
//
// A sampling core may drop Events, because their messages repeat; give a logger without sampling where every one counts.
func New(l *zap.Logger) backup.Observer {
	if l == nil {
		l = zap.NewNop()
	}
	return backup.ObserverFunc(func(_ context.Context, e backup.Event) {
		entry := l.Check(level(e), "operation "+string(e.Type))
		if entry == nil {
			return
		}
		op := e.Operation
		fields := append(make([]zap.Field, 0, 13),
			zap.String("id", op.ID),
			zap.String("kind", op.Kind),
			zap.String("action", string(op.Action)),
			zap.Stringer("ref", op.Ref),
			zap.String("phase", string(op.Phase)))
		if op.Stage != "" {
			fields = append(fields, zap.String("stage", op.Stage))
		}
		if op.Next != "" {
			fields = append(fields, zap.String("next", op.Next))
		}
		if op.Attempt != 0 {
			fields = append(fields, zap.Int("attempt", op.Attempt))
		}
		if op.Percent != 0 {
			fields = append(fields, zap.Int("percent", op.Percent))
		}
		if e.Wait > 0 {
			fields = append(fields, zap.Duration("wait", e.Wait))
		}
		if err := cmp.Or(e.Err, op.Err()); err != nil {
			// The text alone: zap.Error would add the whole tree of causes.
			fields = append(fields, zap.String("error", err.Error()), zap.String("code", string(backup.CodeOf(err))))
			if hint := backup.HintOf(err); hint != "" {
				fields = append(fields, zap.String("hint", hint))
			}
		}
		entry.Write(fields...)
	})
}

func level(e backup.Event) zapcore.Level {
	switch {
	case e.Type == backup.EventProgress:
		return zapcore.DebugLevel
	case e.Type == backup.EventStepFailed:
		return zapcore.WarnLevel
	case e.Type == backup.EventFinished && (e.Operation.Phase == backup.PhaseFailed || e.Operation.Phase == backup.PhasePartial):
		return zapcore.ErrorLevel
	}
	return zapcore.InfoLevel
}
