package backup

import (
	"context"
	"time"
)

// EventType says what happened.
type EventType string

const (
	// EventStarted: a new Operation was accepted.
	EventStarted EventType = "started"
	// EventResumed: an Operation that was begun before is carried on, or what is stored was found instead of a new one.
	EventResumed EventType = "resumed"
	// EventSending: a mutating call is about to be made; the intent is stored.
	EventSending EventType = "sending"
	// EventProgress: the Operation changed.
	EventProgress EventType = "progress"
	// EventStepFailed: a Step could not learn the state; the work itself goes on.
	EventStepFailed EventType = "step-failed"
	// EventWaiting: another run holds the Operation; this one watches.
	EventWaiting EventType = "waiting"
	// EventFinished: the Operation ended; its Phase and Failure say how.
	EventFinished EventType = "finished"
)

// Event is one thing that happened to one Operation. It holds no secret.
type Event struct {
	Type EventType
	Time time.Time
	// Operation is the Operation after what happened.
	Operation Operation
	// Err is what went wrong, for EventStepFailed and EventFinished.
	Err error
	// Wait is how long it will be until the next Step, where known.
	Wait time.Duration
}

// Observer is told what happens. Observe is called synchronously, in the order of events for one Operation and from several goroutines for
// several Operations: it must return soon and must not call back into the Runner. The library itself never logs.
type Observer interface {
	Observe(ctx context.Context, e Event)
}

// ObserverFunc makes an Observer of a function.
type ObserverFunc func(ctx context.Context, e Event)

// Observe calls f.
func (f ObserverFunc) Observe(ctx context.Context, e Event) { f(ctx, e) }

// Observers tells several Observers, in their order.
func Observers(all ...Observer) Observer {
	return ObserverFunc(func(ctx context.Context, e Event) {
		for _, o := range all {
			o.Observe(ctx, e)
		}
	})
}
