package backup

import (
	"cmp"
	"context"
	"log/slog"
)

// NewSlogObserver logs every Event to l; nil means slog.Default() as it is at each Event.
//
// Levels: EventProgress is Debug, EventStepFailed is Warn, EventFinished of an Operation that failed or is partial is Error, everything else
// is Info. The message is "operation " and the Event's type. The attributes are id, kind, action, ref and phase, and where they are
// not empty stage, next (the call that may be made), attempt, percent, wait (a duration), error, code and hint.
//
// Neither State nor tags nor findings are logged, nor anything else that a Strategy or a caller put into the Operation. The error's text is
// logged: it is AWS's own and names what was refused.
func NewSlogObserver(l *slog.Logger) Observer {
	return ObserverFunc(func(ctx context.Context, e Event) {
		l := cmp.Or(l, slog.Default())
		level := slogLevel(e)
		if !l.Enabled(ctx, level) {
			return
		}
		op := e.Operation
		attrs := append(make([]slog.Attr, 0, 13),
			slog.String("id", op.ID),
			slog.String("kind", op.Kind),
			slog.String("action", string(op.Action)),
			slog.String("ref", op.Ref.String()),
			slog.String("phase", string(op.Phase)))
		if op.Stage != "" {
			attrs = append(attrs, slog.String("stage", op.Stage))
		}
		if op.Next != "" {
			attrs = append(attrs, slog.String("next", op.Next))
		}
		if op.Attempt != 0 {
			attrs = append(attrs, slog.Int("attempt", op.Attempt))
		}
		if op.Percent != 0 {
			attrs = append(attrs, slog.Int("percent", op.Percent))
		}
		if e.Wait > 0 {
			attrs = append(attrs, slog.Duration("wait", e.Wait))
		}
		if err := cmp.Or(e.Err, op.Err()); err != nil {
			attrs = append(attrs, slog.String("error", err.Error()), slog.String("code", string(CodeOf(err))))
			if hint := HintOf(err); hint != "" {
				attrs = append(attrs, slog.String("hint", hint))
			}
		}
		l.LogAttrs(ctx, level, "operation "+string(e.Type), attrs...)
	})
}

func slogLevel(e Event) slog.Level {
	switch {
	case e.Type == EventProgress:
		return slog.LevelDebug
	case e.Type == EventStepFailed:
		return slog.LevelWarn
	case e.Type == EventFinished && (e.Operation.Phase == PhaseFailed || e.Operation.Phase == PhasePartial):
		return slog.LevelError
	}
	return slog.LevelInfo
}
