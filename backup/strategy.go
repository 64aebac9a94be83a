package backup

import (
	"context"
	"iter"
	"time"
)

// Strategy backs up one kind of thing. It is the whole of what a plug-in must write; everything else is an ability (see As).
//
// A Strategy is a value without moving parts: no method sleeps, retries, logs or leaves a goroutine behind, and all of them may be called
// from several goroutines at once. Waiting, retrying, storing and reporting are the Runner's work. (The AWS SDK's own retries inside of one
// call are not a Strategy's retries, but see Step.)
//
// What a Strategy serves is decided by the account and the Region in a Ref. One that it has no client for is refused with ErrInvalid.
type Strategy interface {
	// Kind is the Strategy's name, kept in every Operation and used to find the Strategy again, perhaps years later and in another
	// program: it never changes. Two Strategies of one Runner never have the same kind.
	Kind() string

	// Start makes the Operation that backs up r. It validates everything that can be known without AWS and returns an *Error with
	// ErrInvalid for what can not be right. It makes no AWS call and has no side effect: a Start whose Operation is thrown away never
	// happened. Two Starts with the same Ref and Spec.Token give Operations with the same ID.
	Start(ctx context.Context, r Ref, spec Spec) (Operation, error)

	// Step looks at the world, then does at most one thing to carry op on, and returns what op has become.
	//
	// Operation.Intent says what it may do: a Step with ReadOnly changes nothing; only with Send may it make the mutating call that
	// Next names at once; with LookOnce it looks for an earlier result first; with Settle the call was perhaps sent before, and the
	// Step must find the result or let a settle window pass before it is sent again. A Step makes at most one call that could take
	// effect twice. Calls that repeat harmlessly (deleting by id) may be several, within a minute.
	//
	// An error means that the state could not be learnt (a reply was lost, AWS throttles, a credential expired) and op is returned as
	// it was. It is not a failure of the work. When AWS says that the work failed, Step returns no error but an Operation in PhaseFailed
	// with its Failure and with all Points that exist. A set that is short is PhasePartial.
	//
	// Every id that AWS returned is in the Operation when Step returns. A finished Operation is returned unchanged. Step may be called
	// too early (before Poll), too late (after Deadline), twice with the same op, and from another process than the one before.
	Step(ctx context.Context, op Operation) (Operation, error)
}

// Spec is what a caller wants of an action, apart from the thing that it is done to.
type Spec struct {
	// Token is the idempotency key: the same Ref, action and Token mean the same work, however often it is started, and also when it has failed: what
	// is to be tried again, or done with other options, needs another token. A Runner refuses to give the work of other options for this one, with
	// ErrConflict (a time among the options has to come from the slot too, and not from the clock); other Tags, another Owner or Timeout are not compared, and those of the first Start count. Required, 1 to 256 bytes. NewToken makes
	// one from a Ref and a time slot.
	Token string
	// Name is the new thing's name, where the service has names (RDS, ElastiCache). Empty means a name derived from the Operation's ID.
	Name string
	// Owner is who may delete what is made, 1 to 64 letters, digits and ._-; empty means DefaultOwner. It is kept in a tag.
	Owner string
	// Tags are set on everything that is made, in the create call. Keys must not begin with "aws:" or TagPrefix; at most 4 KiB in all.
	Tags map[string]string
	// Timeout is how long the work may take from Start, 0 for DefaultTimeout. The Operation ends then, whatever AWS does.
	Timeout time.Duration
	// Options are the Strategy's own settings for this action, nil for its defaults; a struct of the Strategy's package, such as
	// rds.RestoreOptions. Options of another Strategy or action are refused with ErrInvalid.
	Options Options
}

// DefaultOwner is the owner where Spec.Owner is empty.
const DefaultOwner = "snapwarden"

// DefaultTimeout is the time that an Operation has where Spec.Timeout is 0.
const DefaultTimeout = 24 * time.Hour

// Options are settings of one Strategy and one action. The methods only tell what they belong to, so that settings for a restore of RDS
// can not be handed to a backup of EBS unnoticed.
type Options interface {
	// OptionsFor gives the kind and the action that the settings are for.
	OptionsFor() (kind string, action Action)
}

// Query says what a Discoverer or Lister is to find. Account and Region are required.
type Query struct {
	Account string
	Region  string
	// Types are the Ref types wanted; empty means all that the Strategy has.
	Types []string
	// Tags must all be there with exactly these values. An empty value means any value.
	Tags map[string]string
	// Source limits a listing of recovery points to those of one resource; a Discoverer refuses it.
	Source Ref
	// Point limits a listing of recovery points to one of them; a Discoverer refuses it.
	Point Ref
}

// Validate refuses a Query whose Account or Region is missing or can not be one, with ErrInvalid. Whoever implements Discoverer or Lister
// calls it first: an answer for the wrong place reads as "nothing there".
func (q Query) Validate() error {
	return Ref{Type: "query", Account: q.Account, Region: q.Region, ID: "-"}.Validate()
}

// Discoverer finds the resources that a Strategy can back up.
type Discoverer interface {
	// Discover yields the resources one by one, in pages of the service's own size. It ends after the first error that it yields:
	// whoever acts on absence must treat an error as knowing nothing.
	Discover(ctx context.Context, q Query) iter.Seq2[Resource, error]
}

// Lister finds recovery points: of one resource, or of all.
type Lister interface {
	// List yields recovery points one by one. It ends after the first error that it yields: a listing that ended in an error is not
	// a list, and nothing may be deleted by it. Points made by others are listed too; their tags tell whose they are.
	List(ctx context.Context, q Query) iter.Seq2[RecoveryPoint, error]
}

// Severity says how bad a Finding is.
type Severity string

const (
	// SeverityError: the work will fail, or would lose or expose data.
	SeverityError Severity = "error"
	// SeverityWarning: the work will do something that the caller may not expect.
	SeverityWarning Severity = "warning"
	// SeverityInfo: worth knowing.
	SeverityInfo Severity = "info"
)

// Finding is one thing found before, during or after the work that somebody should know.
type Finding struct {
	// ID is stable, so that a program can act on it: "rds.instance-state".
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	Ref      Ref      `json:"ref,omitzero"`
	// Message says what was found.
	Message string `json:"message"`
	// Remedy says how to mend it.
	Remedy string `json:"remedy,omitempty"`
}

// Preflighter tells what will go wrong before anything is touched.
type Preflighter interface {
	// Preflight reads what op would act on and returns what it found, the worst first; no findings means that nothing is known to be in
	// the way. op comes from Start or from another ability and has not been stepped. Only reading calls are made. An error means that
	// it could not be looked at.
	Preflight(ctx context.Context, op Operation) ([]Finding, error)
}

// Deleter starts the deletion of a recovery point. See "Deleting what is old" in the package documentation before it is called in a loop.
type Deleter interface {
	// StartDelete makes the Operation that deletes point; like Start, it only validates. Step then looks at the point, refuses one that
	// Spec.Owner does not own (unless the Strategy's options allow that), one that AWS says is in use, and one that is automated, and
	// succeeds only when the point is gone.
	StartDelete(ctx context.Context, point Ref, spec Spec) (Operation, error)
}

// Restorer starts a restore of a recovery point to a new resource. Nothing that exists is ever overwritten.
type Restorer interface {
	// StartRestore makes the Operation that restores point; like Start, it only validates. The new resource is listed in Made, with its
	// endpoints in Endpoints, and the Operation succeeds only when the service says that it can be used.
	StartRestore(ctx context.Context, point Ref, spec Spec) (Operation, error)
}

// Destination is where a copy goes.
type Destination struct {
	Account string
	Region  string
	// KMSKeyID is the ARN of the key that the copy is encrypted with, empty for the service's default.
	KMSKeyID string
}

// Copier starts a copy of a recovery point to another Region, account or key.
type Copier interface {
	StartCopy(ctx context.Context, point Ref, to Destination, spec Spec) (Operation, error)
}

// Sharer starts making the accounts that may use a recovery point exactly the given set; an empty set means the owner alone.
type Sharer interface {
	StartShare(ctx context.Context, point Ref, accounts []string, spec Spec) (Operation, error)
}

// Canceler stops work that was begun, and not only the waiting for it.
type Canceler interface {
	// Cancel returns op as one that is to be stopped; it makes no AWS call. The same Step carries it on: first it settles what was sent,
	// then it ends what AWS can end, and the Operation finishes in PhaseCanceled with what remains in Points and Made. An Operation that
	// is finished, or whose action AWS can not stop, is refused with ErrUnsupported.
	Cancel(ctx context.Context, op Operation) (Operation, error)
}

// Unwrapper is implemented by a Strategy that wraps another, to add a limit, an audit or a name. As looks through it.
type Unwrapper interface {
	Unwrap() Strategy
}

// As finds an ability in s or in what s wraps:
//
//	if lister, ok := backup.As[backup.Lister](strategy); ok { ... }
//
// The outermost one that has it is given, so a wrapper can also replace an ability.
func As[T any](s Strategy) (T, bool) {
	for s != nil {
		if t, ok := s.(T); ok {
			return t, true
		}
		u, ok := s.(Unwrapper)
		if !ok {
			break
		}
		s = u.Unwrap()
	}
	var zero T
	return zero, false
}
