package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"
)

// OperationVersion is the version that this release writes, and the newest that it reads.
const OperationVersion = 1

// MaxOperationBytes is the most that an Operation takes as JSON: it fits into a Step Functions state, an SQS message, a tag-less DynamoDB item.
const MaxOperationBytes = 16 << 10

// Action is what an Operation does.
type Action string

// The actions. A Strategy may have others of its own, with names that begin with its kind.
const (
	ActionBackup  Action = "backup"
	ActionCopy    Action = "copy"
	ActionShare   Action = "share"
	ActionRestore Action = "restore"
	ActionDelete  Action = "delete"
	ActionExport  Action = "export"
)

// Phase is how far an Operation is, in words that are the same for all.
type Phase string

const (
	// PhasePending: nothing has been sent that changes anything.
	PhasePending Phase = "pending"
	// PhaseRunning: something may have been changed.
	PhaseRunning Phase = "running"
	// PhaseSucceeded: done, whole.
	PhaseSucceeded Phase = "succeeded"
	// PhasePartial: done, but short; Failure says what is missing.
	PhasePartial Phase = "partial"
	// PhaseFailed: AWS said so, or the deadline passed; Failure says what and why.
	PhaseFailed Phase = "failed"
	// PhaseCanceled: stopped on request; Points and Made list what remains.
	PhaseCanceled Phase = "canceled"
)

// Endpoint is where a restored database or cache answers.
type Endpoint struct {
	// ID is the resource's identifier.
	ID   string `json:"id"`
	Host string `json:"host"`
	Port int32  `json:"port"`
	// Role is "primary", "reader", "configuration" or "node".
	Role string `json:"role"`
}

// Failure is the end of an Operation that did not succeed, as data.
type Failure struct {
	Code Code `json:"code"`
	// Op is the call or check that failed.
	Op      string `json:"op,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Operation is a piece of long-running work as a value: plain data that can be written to JSON, kept anywhere, and carried on by any
// process that has the Strategy of its Kind. It is never a handle: copying it copies nothing but knowledge.
type Operation struct {
	// Version is the layout's version; decoding refuses a newer one with ErrUnsupported.
	Version int `json:"version"`
	// ID is a hash of Kind, Action, Ref and Token.
	ID     string `json:"id"`
	Kind   string `json:"kind"`
	Action Action `json:"action"`
	// Ref is what is acted upon: a resource for a backup, a recovery point for everything else.
	Ref   Ref    `json:"ref"`
	Token string `json:"token"`
	// Input is a hash of Spec.Name, Spec.Options and what Bind was given, without what is zero in them; empty where that can not be hashed, as with a
	// function among the Options. Of two Operations with one ID it tells whether they were asked for the same.
	Input string `json:"input,omitempty"`
	Owner string `json:"owner"`
	// Tags are the caller's, for what is made.
	Tags map[string]string `json:"tags,omitempty"`

	Phase Phase `json:"phase"`
	// Stage is the Strategy's word for where the work stands.
	Stage string `json:"stage,omitempty"`
	// Since is when the present Stage began.
	Since time.Time `json:"since,omitzero"`
	// Next names the one mutating call that the coming Step may make; empty means that it only reads. See Intent.
	Next string `json:"next,omitempty"`
	// Attempt counts the Steps that may have sent Next; the Runner stores it before each of them.
	Attempt int `json:"attempt,omitempty"`
	// Intended is when the last Attempt was stored.
	Intended time.Time `json:"intended,omitzero"`
	// Unstored is set by a Runner without a Store: an Attempt of 1 is then no proof that nothing was sent.
	Unstored bool `json:"unstored,omitempty"`
	// Settling is set while a Strategy looks for the result of a call that was perhaps sent; the deadline waits a little for that.
	Settling bool `json:"settling,omitempty"`
	// Canceling is set by Cancel: the coming Steps stop the work.
	Canceling bool `json:"canceling,omitempty"`

	// Percent is the progress that AWS reports, 0 to 100.
	Percent  int       `json:"percent,omitempty"`
	Started  time.Time `json:"started,omitzero"`
	Updated  time.Time `json:"updated,omitzero"`
	Deadline time.Time `json:"deadline,omitzero"`
	// Poll is when the next Step is due; an earlier one is harmless and useless.
	Poll time.Time `json:"poll,omitzero"`

	// Points are the recovery points made so far, also when the Operation failed, so that nothing is orphaned.
	Points Refs `json:"points,omitempty"`
	// Made are the new resources of a restore, also when it failed.
	Made Refs `json:"made,omitempty"`
	// Endpoints are those of Made.
	Endpoints []Endpoint `json:"endpoints,omitempty"`
	// Findings were met on the way: a surplus snapshot, an unknown status. At most 16 are kept.
	Findings []Finding `json:"findings,omitempty"`
	Failure  *Failure  `json:"failure,omitempty"`
	// State is the Strategy's own, in its own layout.
	State json.RawMessage `json:"state,omitempty"`
}

// NewOperation makes the Operation that a Strategy's Start returns: it validates r and what of spec is common to all Strategies, and fills
// in ID, times and phase. The Strategy then sets Stage, Next and State. Errors have the code ErrInvalid.
func NewOperation(kind string, action Action, r Ref, spec Spec) (Operation, error) {
	bad := func(hint, format string, args ...any) (Operation, error) {
		return Operation{}, &Error{Op: string(action), Kind: kind, Ref: r, Code: ErrInvalid, Err: fmt.Errorf(format, args...), Hint: hint}
	}
	if err := r.Validate(); err != nil {
		return Operation{}, err
	}
	if spec.Token == "" || len(spec.Token) > 256 {
		return bad("set Spec.Token, for example to NewToken(ref, \"2026-11-20\")", "the token has %d bytes, allowed are 1 to 256", len(spec.Token))
	}
	if !utf8.ValidString(spec.Token) {
		return bad("encode it, for example in hex", "the token is not valid UTF-8, which JSON can not keep")
	}
	owner := spec.Owner
	if owner == "" {
		owner = DefaultOwner
	}
	if !validOwner(owner) {
		return bad("use 1 to 64 letters, digits, dots, hyphens and underscores", "the owner %q is not a valid owner", spec.Owner)
	}
	if spec.Timeout < 0 {
		return bad("leave it 0 for the default of a day", "the timeout %v is negative", spec.Timeout)
	}
	if err := validTags(spec.Tags); err != nil {
		return bad("tags are set on what is made; keys that begin with aws: or "+TagPrefix+" are reserved", "%w", err)
	}
	if spec.Options != nil {
		if k, a := spec.Options.OptionsFor(); k != kind || a != action {
			return bad("use the options of the strategy and the action", "the options are for %s of %s", a, k)
		}
	}
	timeout := spec.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	now := time.Now().UTC().Round(0)
	return Operation{
		Version: OperationVersion, ID: operationID(kind, action, r, spec.Token), Kind: kind, Action: action, Ref: r,
		Token: spec.Token, Input: inputOf("", spec.Name, spec.Options), Owner: owner, Tags: cloneTags(spec.Tags), Phase: PhasePending,
		Since: now, Started: now, Updated: now, Deadline: now.Add(timeout), Poll: now,
	}, nil
}

// Bind makes further arguments of a Start part of Input, in their order: where a copy goes, the moment that is restored. A Strategy calls it for all that
// decides what its work does and is neither in Spec nor in the Ref. Their exported fields count.
func (op *Operation) Bind(values ...any) {
	if op.Input != "" {
		op.Input = inputOf(op.Input, values...)
	}
}

// Intent says what a Step may do about the call that Next names.
type Intent int

const (
	// ReadOnly: Next is empty, or no attempt was recorded. Nothing may be changed.
	ReadOnly Intent = iota
	// Send: this is the first attempt and that is certain; the call may be made at once.
	Send
	// LookOnce: this is the first attempt as far as this process knows. Look for an earlier result by token, once; then send.
	LookOnce
	// Settle: the call was perhaps sent before. Look for its result until it is found or a settle window has passed.
	Settle
)

// Intent tells what the coming Step may do. Every Step of a Strategy that changes anything asks it.
func (op Operation) Intent() Intent {
	switch {
	case op.Next == "" || op.Attempt <= 0:
		return ReadOnly
	case op.Attempt > 1:
		return Settle
	case op.Unstored:
		return LookOnce
	default:
		return Send
	}
}

// Retried says that a durable engine has perhaps given this Operation to n Steps before: Temporal's attempt number less one, or the count
// that a Catch of Step Functions raised. A call that Next names is then looked for before it is sent.
func (op Operation) Retried(n int) Operation {
	if op.Next != "" {
		op.Attempt = max(op.Attempt, n)
	}
	return op
}

// Done reports whether the Operation has ended.
func (op Operation) Done() bool {
	switch op.Phase {
	case PhaseSucceeded, PhasePartial, PhaseFailed, PhaseCanceled:
		return true
	}
	return false
}

// clone copies what an Operation refers to, so that no two holders of it can change each other's.
func (op Operation) clone() Operation {
	op.Tags = cloneTags(op.Tags)
	op.Points, op.Made = slices.Clone(op.Points), slices.Clone(op.Made)
	op.Endpoints, op.Findings = slices.Clone(op.Endpoints), slices.Clone(op.Findings)
	op.State = slices.Clone(op.State)
	if op.Failure != nil {
		f := *op.Failure
		op.Failure = &f
	}
	return op
}

// Err is nil for an Operation that succeeded or has not ended, and an *Error with the Failure's code otherwise.
func (op Operation) Err() error {
	if op.Failure == nil {
		switch op.Phase {
		case PhaseFailed:
			return &Error{Op: string(op.Action), Kind: op.Kind, Ref: op.Ref, Code: ErrFailed}
		case PhasePartial:
			return &Error{Op: string(op.Action), Kind: op.Kind, Ref: op.Ref, Code: ErrPartial}
		case PhaseCanceled:
			return &Error{Op: string(op.Action), Kind: op.Kind, Ref: op.Ref, Code: ErrCanceled}
		}
		return nil
	}
	var cause error
	if op.Failure.Message != "" {
		cause = errors.New(op.Failure.Message)
	}
	return &Error{Op: op.Failure.Op, Kind: op.Kind, Ref: op.Ref, Code: op.Failure.Code, Err: cause, Hint: op.Failure.Hint}
}

// Check refuses an Operation that a Strategy of the given kind must not step: of another kind, of a version that this release does not
// know (ErrUnsupported), or whose ID does not belong to its contents. The code is ErrInvalid otherwise.
func (op Operation) Check(kind string) error {
	fail := func(code Code, hint, format string, args ...any) error {
		return &Error{Op: "step", Kind: kind, Ref: op.Ref, Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
	}
	switch {
	case op.Version > OperationVersion:
		return fail(ErrUnsupported, "a newer release wrote it: upgrade this program, the stored operation is untouched",
			"operation version %d is newer than %d", op.Version, OperationVersion)
	case op.Version < 1:
		return fail(ErrInvalid, "it is not an operation of this library", "operation version %d", op.Version)
	case op.Kind != kind:
		return fail(ErrInvalid, "give the Runner the strategy of that kind", "the operation is of kind %q", op.Kind)
	}
	if err := op.Ref.Validate(); err != nil {
		return err
	}
	if op.ID != operationID(op.Kind, op.Action, op.Ref, op.Token) {
		return fail(ErrInvalid, "the operation was changed after it was started; start it again", "operation id %q does not belong to its contents", op.ID)
	}
	return nil
}

// To moves the Operation to a stage and names the next mutating call, empty for none. The attempts of an earlier call are over with it.
func (op *Operation) To(stage, next string) {
	op.Stage, op.Next, op.Settling = stage, next, false
	op.Attempt, op.Intended = 0, time.Time{}
	op.Since = time.Now().UTC().Round(0)
	op.Poll = op.Since
	if op.Phase == PhasePending && next != "" {
		op.Phase = PhaseRunning
	}
}

// Settle moves the Operation to a stage in which it looks for the result of a call that was perhaps sent, and changes nothing.
func (op *Operation) Settle(stage string) {
	op.To(stage, "")
	op.Settling = true
}

// Unsent takes back the attempt that was recorded for Next, because the call surely had no effect: it was throttled, or never left. The
// Strategy returns the Operation together with the error, and the next Step may call at once. The Runner believes it of a first attempt only:
// a Strategy sends on no other, so a later one means that the call was perhaps sent before.
func (op *Operation) Unsent() { op.Attempt, op.Intended = 0, time.Time{} }

// AddPoint lists a recovery point that was made, once.
func (op *Operation) AddPoint(r Ref) { op.Points = addRef(op.Points, r) }

// AddMade lists a resource that was made, once.
func (op *Operation) AddMade(r Ref) { op.Made = addRef(op.Made, r) }

func addRef(rs Refs, r Ref) Refs {
	if slices.Contains(rs, r) {
		return rs
	}
	return append(rs[:len(rs):len(rs)], r)
}

// PollIn sets the time of the next Step; a delay below a millisecond counts as one, so that nobody spins.
func (op *Operation) PollIn(d time.Duration) {
	op.Poll = time.Now().UTC().Round(0).Add(max(d, time.Millisecond))
}

// Succeed ends the Operation well.
func (op *Operation) Succeed() { op.end(PhaseSucceeded, nil); op.Percent = 100 }

// Fail ends the Operation with the code, cause and hint of err. ErrPartial ends it in PhasePartial and ErrCanceled in PhaseCanceled.
func (op *Operation) Fail(err error) {
	f := &Failure{Code: CodeOf(err), Hint: HintOf(err)}
	var e *Error
	if errors.As(err, &e) {
		f.Op = e.Op
		if e.Err != nil {
			f.Message = e.Err.Error()
		}
	} else if err != nil && err.Error() != string(f.Code) {
		f.Message = err.Error()
	}
	if f.Code == "" {
		f.Code = ErrFailed
	}
	f.Message, f.Hint = truncate(f.Message, 1024), truncate(f.Hint, 1024)
	phase := PhaseFailed
	switch f.Code {
	case ErrPartial:
		phase = PhasePartial
	case ErrCanceled:
		phase = PhaseCanceled
	}
	op.end(phase, f)
}

func (op *Operation) end(p Phase, f *Failure) {
	op.Phase, op.Failure = p, f
	op.Next, op.Attempt, op.Intended, op.Settling = "", 0, time.Time{}, false
	op.Since = time.Now().UTC().Round(0)
	op.Poll = time.Time{}
}

// Find adds a finding, unless one with the same ID and Ref is there or 16 are. Message and Remedy keep 256 bytes each, so that the
// Operation stays within MaxOperationBytes.
func (op *Operation) Find(f Finding) {
	for _, g := range op.Findings {
		if g.ID == f.ID && g.Ref == f.Ref {
			return
		}
	}
	f.Message, f.Remedy = truncate(f.Message, 256), truncate(f.Remedy, 256)
	if len(op.Findings) < 16 {
		op.Findings = append(op.Findings[:len(op.Findings):len(op.Findings)], f)
	}
}

// SetState keeps v as the Strategy's State. v must marshal; that it does is the Strategy's own affair, so an error is a panic in its tests.
func (op *Operation) SetState(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return &Error{Op: "state", Kind: op.Kind, Ref: op.Ref, Code: ErrInvalid, Err: err}
	}
	op.State = b
	return nil
}

// GetState reads the Strategy's State into v. State that does not fit is ErrInvalid: somebody changed it.
func (op Operation) GetState(v any) error {
	if len(op.State) == 0 {
		return nil
	}
	if err := json.Unmarshal(op.State, v); err != nil {
		return &Error{Op: "state", Kind: op.Kind, Ref: op.Ref, Code: ErrInvalid, Err: err, Hint: "the operation's state was changed; start it again"}
	}
	return nil
}

// UnmarshalJSON refuses an Operation of a newer version with ErrUnsupported, so that no field that this release does not know is lost in
// silence, and what is no Operation with ErrInvalid.
func (op *Operation) UnmarshalJSON(b []byte) error {
	type plain Operation
	var p plain
	err := json.Unmarshal(b, &p)
	head := struct {
		Version int    `json:"version"`
		ID      string `json:"id"`
	}{p.Version, p.ID}
	if err != nil {
		// A newer layout need not fit into this one; that it is newer is then the better answer.
		if json.Unmarshal(b, &head) != nil && head.Version <= OperationVersion {
			return &Error{Op: "decode", Code: ErrInvalid, Err: err, Hint: "this is not an operation, or only a part of one"}
		}
	}
	switch {
	case head.Version > OperationVersion:
		return &Error{Op: "decode", Code: ErrUnsupported, Err: fmt.Errorf("operation %s has version %d, newer than %d", head.ID, head.Version, OperationVersion),
			Hint: "a newer release wrote it: upgrade this program; what is stored is untouched"}
	case err != nil:
		return &Error{Op: "decode", Code: ErrInvalid, Err: err, Hint: "this is not an operation, or it was changed"}
	case head.Version < 1:
		return &Error{Op: "decode", Code: ErrInvalid, Err: errors.New("no operation version"), Hint: "this is not an operation of this library"}
	}
	*op = Operation(p)
	return nil
}
