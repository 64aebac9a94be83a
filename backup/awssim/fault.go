package awssim

import (
	"fmt"
	"time"
)

// FaultKind says how a call fails.
type FaultKind int

const (
	// FaultNone lets the call pass; with Fault.Do it is a third party that acts just before it.
	FaultNone FaultKind = iota
	// FaultDieBefore: the process dies before the request leaves. The call panics with Killed.
	FaultDieBefore
	// FaultDieAfter: the process dies after AWS applied the request and before the answer is known.
	FaultDieAfter
	// FaultUnreachable: the connection can not be made; surely not applied.
	FaultUnreachable
	// FaultLostReply: AWS applies the request, and the connection is reset before the answer.
	FaultLostReply
	// FaultServerError: status 500, not applied.
	FaultServerError
	// FaultServerErrorApplied: status 500, although it was applied.
	FaultServerErrorApplied
	// FaultThrottle: the service's throttling error; with Fault.For a storm.
	FaultThrottle
	// FaultStale: a call that reads answers with the world as it was Fault.Back ago (default 1 minute). Ignored by calls that write.
	FaultStale
	// FaultBlind: a call that reads does not see what was made within Fault.Back (default 1 minute). Ignored by calls that write.
	FaultBlind
	// FaultAsync: the call succeeds, and what it makes fails later (an EC2 snapshot in "error", a database in "failed").
	FaultAsync
	// FaultHang: no answer until the context ends; not applied.
	FaultHang
	// FaultCancel: Fault.Do is called (it cancels the caller's context), AWS applies the request, and the caller sees a cancellation.
	FaultCancel
	// FaultExpired: the credentials have expired.
	FaultExpired
	// FaultGarbage: AWS applies the request, and the answer can not be read.
	FaultGarbage
	// FaultError: the error that Fault.Error names, not applied.
	FaultError
)

var faultNames = [...]string{"none", "die-before", "die-after", "unreachable", "lost-reply", "server-error", "server-error-applied", "throttle",
	"stale", "blind", "async", "hang", "cancel", "expired", "garbage", "error"}

// String names the kind.
func (k FaultKind) String() string {
	if k < 0 || int(k) >= len(faultNames) {
		return fmt.Sprintf("fault-%d", int(k))
	}
	return faultNames[k]
}

// Fault makes matching calls fail.
type Fault struct {
	// Service, Operation, Account and Region select calls; what is empty matches all.
	Service, Operation, Account, Region string
	// Skip lets that many matching calls pass first.
	Skip int
	// Times is how many calls are hit thereafter: 0 means one, below 0 all.
	Times int
	// For hits every matching call for this long from the first hit, instead of Times.
	For time.Duration
	// Kind says how.
	Kind FaultKind
	// Back is for FaultStale and FaultBlind.
	Back time.Duration
	// Error is for FaultError.
	Error Error
	// Do is called at each hit, outside of the World's lock, before the request is applied. It may use the World.
	Do func()
}

// Injected is a Fault at work.
type Injected struct {
	w     *World
	f     Fault
	seen  int
	fired int
	until time.Time
}

// Fired tells how many calls were hit. A test in which an injected fault never fired has not tested it.
func (i *Injected) Fired() int {
	i.w.mu.Lock()
	defer i.w.mu.Unlock()
	return i.fired
}

// Killed is the value that a call panics with under FaultDieBefore and FaultDieAfter. Whoever plays the process's supervisor recovers it.
type Killed struct {
	Operation string
	// Applied tells whether AWS applied the request.
	Applied bool
}

// Error makes Killed readable where a panic is printed.
func (k Killed) Error() string {
	return fmt.Sprintf("awssim: the process was killed in %s (applied: %v)", k.Operation, k.Applied)
}

// Inject puts a fault into the World. Several may be at work; the first that matches a call hits it, and the others do not count that call.
func (w *World) Inject(f Fault) *Injected {
	i := &Injected{w: w, f: f}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, i)
	return i
}

// Heal takes all faults out of the World.
func (w *World) Heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = nil
}

// hit gives the fault that hits the call. The lock is held.
func (w *World) hit(r *Request, mutates bool) *Fault {
	for _, i := range w.faults {
		f := &i.f
		if f.Service != "" && f.Service != r.Service || f.Operation != "" && f.Operation != r.Operation ||
			f.Account != "" && f.Account != r.Account || f.Region != "" && f.Region != r.Region {
			continue
		}
		if mutates && (f.Kind == FaultStale || f.Kind == FaultBlind) || !mutates && f.Kind == FaultAsync {
			continue
		}
		i.seen++
		if i.seen <= f.Skip {
			continue
		}
		switch {
		case f.For > 0:
			if i.fired == 0 {
				i.until = r.Now.Add(w.scale(f.For))
			} else if r.Now.After(i.until) {
				continue
			}
		case f.Times >= 0 && i.fired >= max(f.Times, 1):
			continue
		}
		i.fired++
		return f
	}
	return nil
}
