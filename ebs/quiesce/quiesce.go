package quiesce

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// Limits of a lease.
const (
	// MinLimit is the shortest limit that is useful: asking for snapshots takes a second or more.
	MinLimit = 5 * time.Second
	// MaxLimit is the longest limit that is accepted. Programs that wait for a frozen disk for minutes begin to fail.
	MaxLimit = 10 * time.Minute
	// DefaultLimit is a limit that fits most hosts.
	DefaultLimit = time.Minute
)

// Lease is one freeze of one host.
type Lease struct {
	// ID tells this freeze from all others, on the host and in time: 1 to 64 of a-z, 0-9 and hyphens, with a letter or digit at its ends.
	ID string
	// Limit is how long the host stays frozen at most, from before the freeze begins; MinLimit to MaxLimit, in whole seconds.
	Limit time.Duration
}

// Validate refuses a lease that is out of its limits, with ErrInvalid.
func (l Lease) Validate() error {
	bad := func(hint, format string, args ...any) error {
		return &backup.Error{Op: "quiesce", Code: backup.ErrInvalid, Err: fmt.Errorf(format, args...), Hint: hint}
	}
	if len(l.ID) < 1 || len(l.ID) > 64 || strings.Trim(l.ID, "-") != l.ID || !only(l.ID, lower+digits+"-") {
		return bad("use 1 to 64 of a-z, 0-9 and hyphens, none at the ends", "the id of the lease is %q", l.ID)
	}
	return ValidateLimit(l.Limit)
}

// ValidateLimit refuses a limit that no lease can have, with ErrInvalid.
func ValidateLimit(d time.Duration) error {
	if d < MinLimit || d > MaxLimit || d%time.Second != 0 {
		return &backup.Error{Op: "quiesce", Code: backup.ErrInvalid, Err: fmt.Errorf("the limit of a freeze is %v", d),
			Hint: fmt.Sprintf("choose whole seconds from %v to %v, such as %v", MinLimit, MaxLimit, DefaultLimit)}
	}
	return nil
}

// Quiescer freezes and thaws what runs on a resource. Its methods may be called from several goroutines, and for several resources at once.
//
// Whoever writes one owes:
//   - The limit is enforced by the host. Freeze has the host arm its watchdog before it freezes anything, and refuses to freeze where that
//     fails. The watchdog ends the freeze after lease.Limit although this process is dead, the network is cut and AWS does not answer.
//   - A lease is frozen once. After Thaw was called with a lease, a Freeze with it that comes late, or again, fails and leaves nothing frozen.
//   - What somebody else has frozen stays frozen: Freeze fails, and the Thaw that follows lets go only what the lease itself froze.
//   - Two leases are never at work on one resource at the same time: Freeze fails where another one holds it.
//   - Both return when ctx ends, at the latest some seconds after.
type Quiescer interface {
	// Freeze brings everything to rest and returns when it is. After an error it is not known what is frozen; the caller calls Thaw.
	Freeze(ctx context.Context, r backup.Ref, lease Lease) error
	// Thaw lets everything go that the lease froze and returns when it is. It is called on every path, also after a Freeze that failed, by another
	// process than the one that froze, and more than once; where nothing is frozen there is nothing to do and no error.
	//
	// held tells whether everything was frozen by this lease from the return of Freeze until this call: the watchdog had not fired, and nobody
	// else had thawed any of it. Where that can not be told it is false. After an error it is not known whether the host is
	// thawed; the watchdog sees to it.
	Thaw(ctx context.Context, r backup.Ref, lease Lease) (held bool, err error)
}

// Funcs makes a Quiescer of two functions. They owe what Quiescer says; above all that the host thaws itself when the limit is over.
type Funcs struct {
	FreezeFunc func(ctx context.Context, r backup.Ref, lease Lease) error
	ThawFunc   func(ctx context.Context, r backup.Ref, lease Lease) (held bool, err error)
}

// Freeze calls FreezeFunc.
func (f Funcs) Freeze(ctx context.Context, r backup.Ref, lease Lease) error {
	return f.FreezeFunc(ctx, r, lease)
}

// Thaw calls ThawFunc.
func (f Funcs) Thaw(ctx context.Context, r backup.Ref, lease Lease) (held bool, err error) {
	return f.ThawFunc(ctx, r, lease)
}
