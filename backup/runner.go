package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"
)

// RunnerOptions are a Runner's settings; the zero value is fit for production, except that nothing survives the process without a Store.
type RunnerOptions struct {
	// Store keeps the Operations. Without one a crash loses track of them, and concurrent starts of the same work may make it twice (the
	// surplus is found and listed, see LookOnce).
	Store Store
	// Observer is told what happens; nil tells nobody.
	Observer Observer
	// StepTimeout limits one Step, 0 for a minute. More than a minute is refused: successors reckon with it.
	StepTimeout time.Duration
	// LeaseTTL is how long other runs wait for this one when it has gone silent, 0 for three minutes; at least twice StepTimeout.
	LeaseTTL time.Duration
	// Run is the name of this run, 1 to 64 letters of a-z, digits and hyphens; empty for a random one. Two runs at the same time
	// must not have the same name.
	Run string
}

// Limits of a Step. A request can reach AWS until its Step's time is over, so whoever takes an Operation from another run reckons with it.
const (
	maxStepTimeout = time.Minute
	// settleGrace is how long past its deadline an Operation may look for the result of a call that was perhaps sent.
	settleGrace = 15 * time.Minute
	// leaseSkew is how much two machines' clocks may differ without harm, beyond the settle window.
	leaseSkew = 5 * time.Second
)

// Runner carries Operations on: it stores each intent before a Step that may change something, steps when a Step is due, tells the Observer,
// and sees that every Operation ends. Its methods may be called from several goroutines; it has none of its own.
type Runner struct {
	strategies map[string]Strategy
	opts       RunnerOptions

	mu   sync.Mutex // guards held and the lease's times; never held across a call
	held map[string]*held

	renewing chan struct{} // one token: whoever has it renews the lease
	lease    leaseTimes
}

type leaseTimes struct {
	issued time.Time // with the monotonic reading
	until  time.Time // on the wall clock
}

// held is an Operation that this run carries on, or is about to.
type held struct {
	turn  chan struct{} // one token: whoever has it steps
	users int
	have  bool // rec is ours in the Store
	dirty bool // rec has changes that the Store has not
	rec   Record
}

// NewRunner makes a Runner for the given strategies. Two of the same kind, none, or options out of their limits are ErrInvalid.
func NewRunner(strategies []Strategy, optFns ...func(*RunnerOptions)) (*Runner, error) {
	r := &Runner{strategies: map[string]Strategy{}, held: map[string]*held{}, renewing: make(chan struct{}, 1)}
	for _, f := range optFns {
		f(&r.opts)
	}
	bad := func(format string, args ...any) (*Runner, error) {
		return nil, &Error{Op: "runner", Code: ErrInvalid, Err: fmt.Errorf(format, args...)}
	}
	if len(strategies) == 0 {
		return bad("no strategies")
	}
	for _, s := range strategies {
		if s == nil || s.Kind() == "" {
			return bad("a strategy is nil or has no kind")
		}
		if _, ok := r.strategies[s.Kind()]; ok {
			return bad("two strategies of the kind %q", s.Kind())
		}
		r.strategies[s.Kind()] = s
	}
	o := &r.opts
	if o.StepTimeout == 0 {
		o.StepTimeout = maxStepTimeout
	}
	if o.LeaseTTL == 0 {
		o.LeaseTTL = 3 * time.Minute
	}
	switch {
	case o.StepTimeout < 0 || o.StepTimeout > maxStepTimeout:
		return bad("a StepTimeout of %v is not within a minute", o.StepTimeout)
	case o.LeaseTTL < 2*o.StepTimeout:
		return bad("a LeaseTTL of %v is less than twice the StepTimeout of %v", o.LeaseTTL, o.StepTimeout)
	}
	if o.Run == "" {
		var b [12]byte
		if _, err := rand.Read(b[:]); err != nil {
			return nil, &Error{Op: "runner", Code: ErrUnavailable, Err: err}
		}
		o.Run = "run-" + lower32.EncodeToString(b[:])
	}
	if !validRun(o.Run) {
		return bad("the run %q has not 1 to 64 letters of a-z, digits and hyphens", o.Run)
	}
	return r, nil
}

func validRun(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 64
}

// Start accepts an Operation that a Strategy has started: with a Store it is stored, and if the Store has one with its ID already, that one
// is returned as it is, however far it got. When Start returns without an error, the work will not be lost; nothing was sent to AWS yet.
//
// If the stored one was asked for something else under the same token, which Operation.Input tells, it is returned with ErrConflict: it is not
// what is wanted now. It stays as it is, and Unfinished gives it if it has not ended.
func (r *Runner) Start(ctx context.Context, op Operation) (Operation, error) {
	if _, err := r.strategy(op); err != nil {
		return op, err
	}
	b, err := json.Marshal(op)
	if err != nil {
		return op, r.fault(op, "start", ErrInvalid, err, "")
	}
	if len(b) > MaxOperationBytes {
		return op, r.fault(op, "start", ErrInvalid, fmt.Errorf("the operation has %d bytes as JSON, more than %d", len(b), MaxOperationBytes),
			"use fewer or shorter tags and options")
	}
	if r.opts.Store == nil {
		op.Unstored = true
		r.tell(ctx, EventStarted, op, nil, 0)
		return op, nil
	}
	if _, err := r.renew(ctx); err != nil {
		return op, err
	}
	h, err := r.take(ctx, op.ID)
	if err != nil {
		return op, err
	}
	defer r.give(op.ID, h)
	if h.have {
		// Another run may have taken it since, if this one's lease was over for a while.
		rec, err := r.opts.Store.Load(ctx, op.ID)
		if err != nil {
			return h.rec.Operation.clone(), err
		}
		if rec.Version != h.rec.Version {
			h.rec, h.have, h.dirty = rec, false, false
		}
		if err := r.asAsked(op, h.rec.Operation); err != nil {
			return h.rec.Operation.clone(), err
		}
		r.tell(ctx, EventResumed, h.rec.Operation, nil, 0)
		return h.rec.Operation.clone(), nil
	}
	rec, created, err := r.opts.Store.Create(ctx, op.clone(), r.opts.Run)
	if err != nil {
		return op, err
	}
	if !created {
		if err := r.asAsked(op, rec.Operation); err != nil {
			return rec.Operation, err
		}
		r.tell(ctx, EventResumed, rec.Operation, nil, 0)
		return rec.Operation, nil
	}
	h.rec, h.have = rec, true
	r.tell(ctx, EventStarted, rec.Operation, nil, 0)
	return rec.Operation.clone(), nil
}

// asAsked refuses what is stored if it was asked for something else than op: to report it as what is wanted now would be untrue.
func (r *Runner) asAsked(op, stored Operation) error {
	if op.Input == stored.Input || op.Input == "" || stored.Input == "" {
		return nil
	}
	return r.fault(stored, "start", ErrConflict, fmt.Errorf("the token %q was used on %s for work with another name or other options, which is %s", stored.Token, stored.Started.Format(time.RFC3339), stored.Phase),
		"use another token, or the same name and options as then")
}

// Step makes one Step of an Operation, now, whatever its Poll says, and returns what it has become. With a Store, what is stored counts and
// not op, which only names it; an Operation that another live run holds gives ErrConflict. An error means that the state could not be
// learnt or stored: call again, later. A durable engine that keeps the Operation itself has a Runner without a Store and passes on what
// Step returned; before it gives the same input a second time it must raise Attempt (see Operation.Retried).
func (r *Runner) Step(ctx context.Context, op Operation) (Operation, error) {
	next, err := r.stepOnce(ctx, op)
	return next.clone(), err
}

func (r *Runner) stepOnce(ctx context.Context, op Operation) (Operation, error) {
	// The Strategy checks what it is given, and what is read from the Store is checked there: once is enough for what runs so often.
	s, ok := r.strategies[op.Kind]
	if !ok || op.Version < 1 || op.Version > OperationVersion {
		_, err := r.strategy(op)
		return op, err
	}
	if r.opts.Store == nil {
		op = op.clone()
		if op.Done() {
			return op, nil
		}
		op.Unstored = true
		if op, done := r.intend(op); done {
			r.tell(ctx, EventFinished, op, op.Err(), 0)
			return op, nil
		}
		if op.Next != "" {
			op.Attempt++
			op.Intended = now()
			r.tell(ctx, EventSending, op, nil, 0)
		}
		return r.step(ctx, s, op, nil)
	}
	h, err := r.take(ctx, op.ID)
	if err != nil {
		return op, err
	}
	defer r.give(op.ID, h)
	if !h.have {
		if err := op.Check(op.Kind); err != nil {
			return op, err
		}
		if err := r.acquire(ctx, op, h); err != nil {
			if h.rec.Operation.ID == op.ID {
				op = h.rec.Operation
			}
			return op, err
		}
	}
	op = h.rec.Operation
	if h.dirty {
		if err := r.save(ctx, h); err != nil {
			return h.rec.Operation, err
		}
	}
	if op.Done() {
		return op, nil
	}
	lease, err := r.renew(ctx)
	if err != nil {
		return op, err
	}
	if err := context.Cause(ctx); err != nil {
		return op, err
	}
	op, done := r.intend(op)
	if done {
		h.rec.Operation, h.dirty = op, true
		err := r.save(ctx, h)
		r.tell(ctx, EventFinished, op, op.Err(), 0)
		return op, err
	}
	if op.Next != "" {
		op.Attempt++
		op.Intended = now()
		h.rec.Operation = op
		// A run that died before this save sent nothing; one that died after it perhaps did.
		if err := r.save(ctx, h); err != nil {
			if h.have {
				op.Attempt--
				h.rec.Operation, h.dirty = op, false
				h.have = false // whether the save took effect is not known: read again
			}
			return op, err
		}
		r.tell(ctx, EventSending, op, nil, 0)
	}
	next, err := r.step(ctx, s, op, &lease)
	if !same(next, op) {
		h.rec.Operation, h.dirty = next, true
		if serr := r.save(context.WithoutCancel(ctx), h); serr != nil && err == nil {
			// What was learnt stays in this process and is saved before the next Step.
			err = serr
		}
	} else {
		h.rec.Operation = next
	}
	return next, err
}

// intend ends an Operation whose deadline has passed. One that perhaps sent something may still look for it, for a while.
func (r *Runner) intend(op Operation) (Operation, bool) {
	if op.Deadline.IsZero() || now().Before(op.Deadline) {
		return op, false
	}
	perhaps := op.Next != "" && op.Attempt > 0
	if (perhaps || op.Settling) && now().Before(op.Deadline.Add(settleGrace)) {
		return op, false
	}
	if op.Next == "" && !op.Settling && op.Updated.Before(op.Deadline) {
		return op, false // one last look
	}
	return expired(op, nil), true
}

func expired(op Operation, cause error) Operation {
	message := fmt.Sprintf("not finished by its deadline %s, in stage %q", op.Deadline.Format(time.RFC3339), op.Stage)
	hint := "what was made is listed; AWS may still be working on it. Start the work again with a longer Spec.Timeout and another token"
	if op.Settling || op.Next != "" && op.Attempt > 0 {
		message += "; whether the last call took effect was not learnt"
		hint = "look for things tagged " + TagToken + "=" + op.ID + "; " + hint
	}
	if cause != nil {
		message += ": " + cause.Error()
	}
	op.Fail(&Error{Op: string(op.Action), Code: ErrUnavailable, Err: errors.New(message), Hint: hint})
	op.Updated = now()
	return op
}

// step calls the Strategy and keeps it to its contract.
func (r *Runner) step(ctx context.Context, s Strategy, op Operation, lease *leaseTimes) (Operation, error) {
	stepCtx := ctx
	fence := func() error {
		return r.fault(op, "step", ErrInvalid, errors.New("a Step without Next must only read"), "this is a mistake in the strategy")
	}
	if op.Next != "" {
		// A call that changes something is not given up half-way: the caller's cancellation ends the waiting, not the call.
		stepCtx = context.WithoutCancel(ctx)
		fence = func() error {
			switch {
			case !op.Deadline.IsZero() && !now().Before(op.Deadline):
				return r.fault(op, "step", ErrUnavailable, errors.New("the operation's deadline is over: nothing more is sent"), "")
			case lease != nil:
				return r.alive(op, *lease)
			}
			return nil
		}
	}
	stepCtx, cancel := context.WithTimeout(WithFence(stepCtx, fence), r.opts.StepTimeout)
	defer cancel()
	next, err := s.Step(stepCtx, op)
	if err != nil {
		// Only a first attempt can be taken back: before a later one the call was perhaps sent.
		if op.Attempt == 1 && next.ID == op.ID && next.Next == op.Next && next.Attempt == 0 {
			op.Unsent()
		}
		if now().After(op.Deadline.Add(settleGrace)) || now().After(op.Deadline) && op.Next == "" && !op.Settling {
			op = expired(op, err)
			r.tell(ctx, EventFinished, op, op.Err(), 0)
			return op, nil
		}
		if CodeOf(err) == ErrFailed && !isError(err) {
			err = r.fault(op, "step", ErrUnavailable, err, "")
		}
		r.tell(ctx, EventStepFailed, op, err, 0)
		return op, err
	}
	if next.Version != op.Version || next.ID != op.ID || next.Kind != op.Kind || next.Action != op.Action || next.Ref != op.Ref || next.Token != op.Token {
		return op, r.fault(op, "step", ErrInvalid, errors.New("the strategy changed the operation's identity"), "this is a mistake in the strategy")
	}
	if next.Next != op.Next {
		next.Attempt, next.Intended = 0, time.Time{}
	}
	changed := !same(next, op)
	next.Updated = now()
	switch {
	case next.Done():
		r.tell(ctx, EventFinished, next, next.Err(), 0)
	case !now().Before(next.Deadline) && next.Next == "" && !next.Settling:
		next = expired(next, nil)
		r.tell(ctx, EventFinished, next, next.Err(), 0)
	case changed:
		r.tell(ctx, EventProgress, next, nil, time.Until(next.Poll))
	}
	return next, nil
}

func isError(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

// same tells whether two forms of one Operation differ in nothing that is worth a write: when it was looked at, and when it will be, is not. It
// runs in every Step, so it names the fields instead of using reflection; a test holds it against the type.
func same(a, b Operation) bool {
	return a.Version == b.Version && a.ID == b.ID && a.Kind == b.Kind && a.Action == b.Action && a.Ref == b.Ref && a.Token == b.Token && a.Input == b.Input && a.Owner == b.Owner &&
		a.Phase == b.Phase && a.Stage == b.Stage && a.Since.Equal(b.Since) && a.Next == b.Next && a.Attempt == b.Attempt && a.Intended.Equal(b.Intended) &&
		a.Unstored == b.Unstored && a.Settling == b.Settling && a.Canceling == b.Canceling && a.Percent == b.Percent && a.Started.Equal(b.Started) &&
		a.Deadline.Equal(b.Deadline) && bytes.Equal(a.State, b.State) && slices.Equal(a.Points, b.Points) && slices.Equal(a.Made, b.Made) &&
		slices.Equal(a.Endpoints, b.Endpoints) && slices.Equal(a.Findings, b.Findings) && maps.Equal(a.Tags, b.Tags) &&
		(a.Failure == b.Failure || a.Failure != nil && b.Failure != nil && *a.Failure == *b.Failure)
}

// Unfinished yields the stored Operations that have not ended and whose kind this Runner has, so that a program can carry on what an
// earlier one began. A record that can not be read is yielded as an error; the others follow.
func (r *Runner) Unfinished(ctx context.Context) iter.Seq2[Operation, error] {
	return func(yield func(Operation, error) bool) {
		if r.opts.Store == nil {
			return
		}
		for rec, err := range r.opts.Store.Unfinished(ctx) {
			if err == nil && r.strategies[rec.Operation.Kind] == nil {
				continue
			}
			if !yield(rec.Operation, err) {
				return
			}
		}
	}
}

func (r *Runner) strategy(op Operation) (Strategy, error) {
	s, ok := r.strategies[op.Kind]
	if !ok {
		return nil, r.fault(op, "runner", ErrInvalid, fmt.Errorf("no strategy of the kind %q", op.Kind), "give the strategy to NewRunner")
	}
	return s, op.Check(op.Kind)
}

func (r *Runner) fault(op Operation, what string, code Code, err error, hint string) error {
	return &Error{Op: what, Kind: op.Kind, Ref: op.Ref, Code: code, Err: err, Hint: hint}
}

func (r *Runner) tell(ctx context.Context, t EventType, op Operation, err error, wait time.Duration) {
	if r.opts.Observer != nil {
		r.opts.Observer.Observe(ctx, Event{Type: t, Time: now(), Operation: op.clone(), Err: err, Wait: max(wait, 0)})
	}
}

// now is the wall clock without its monotonic reading, which does not survive JSON.
func now() time.Time { return time.Now().UTC().Round(0) }
