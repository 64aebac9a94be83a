package quiesce

import (
	"context"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// How the minute of a Step is divided: a freeze, the call that makes the snapshots, a thaw.
const (
	freezeTime = 25 * time.Second
	// CallTime is how long the function that Around calls has while the host is frozen.
	CallTime = 20 * time.Second
	thawTime = 14 * time.Second
)

// Report is what is known of a freeze that is over.
type Report struct {
	// From is when Freeze had returned, To when Thaw was about to be called, on this machine's clock. From is zero where nothing was frozen.
	From, To time.Time
	// Held tells whether everything stayed frozen in between.
	Held bool
	// Freeze and Thaw are the errors of the two. With an error in Thaw it is not known whether the host is thawed; after the limit it is.
	Freeze, Thaw error
}

// Covers reports whether snapshots that started at the given times are proved to be consistent for the application: everything was frozen without
// interruption, and each of them started within that time. Without any start nothing is proved.
//
// The starts are of EC2's clock and the report is of this machine's, so a clock that is wrong by more than the freeze lasts makes the proof fail. EC2
// gives starts in milliseconds. Source: EC2 API, Snapshot.
func (r Report) Covers(starts ...time.Time) bool {
	if !r.Held || r.From.IsZero() || r.Freeze != nil || r.Thaw != nil || len(starts) == 0 {
		return false
	}
	from := r.From.Truncate(time.Millisecond)
	for _, s := range starts {
		if s.Before(from) || s.After(r.To) {
			return false
		}
	}
	return true
}

// Around freezes r, calls f and thaws r, on every path: when f fails or panics, and when ctx is canceled meanwhile. The freeze has 25 seconds,
// f CallTime while r is frozen, and the thaw 14 seconds of its own; together they fit into the minute of a Step.
//
// f is called also where the freeze failed, after a thaw and with frozen false: whether there are to be snapshots all the same is for f to say.
// Around's error is that of f, or ErrInvalid for a lease that is out of its limits, or that of backup.CheckFence; with the latter two nothing was
// called. The errors of freeze and thaw are in the Report.
func Around(ctx context.Context, q Quiescer, r backup.Ref, lease Lease, f func(ctx context.Context, frozen bool) error) (report Report, err error) {
	if err := lease.Validate(); err != nil {
		return report, err
	}
	// Whoever has lost the Operation to another process must not freeze a host any more.
	if err := backup.CheckFence(ctx); err != nil {
		return report, err
	}
	var began time.Time
	over := false
	thaw := func() {
		if over {
			return
		}
		over = true
		elapsed := time.Since(began)
		report.To = time.Now().UTC().Round(0)
		report.Held, report.Thaw = Thaw(ctx, q, r, lease)
		// Whatever the host says: after its limit a lease is over.
		report.Held = report.Held && report.Freeze == nil && report.Thaw == nil && elapsed < lease.Limit
	}
	defer thaw() // f may panic
	began = time.Now()
	freezing, cancel := context.WithTimeout(ctx, freezeTime)
	report.Freeze = q.Freeze(freezing, r, lease)
	cancel()
	if report.Freeze != nil {
		thaw()
		return report, f(ctx, false)
	}
	report.From = time.Now().UTC().Round(0)
	calling, cancel := context.WithTimeout(ctx, CallTime)
	defer cancel()
	err = f(calling, true)
	thaw()
	return report, err
}

// Thaw calls q.Thaw with a time limit of its own: it is made although ctx has ended.
func Thaw(ctx context.Context, q Quiescer, r backup.Ref, lease Lease) (held bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), thawTime)
	defer cancel()
	return q.Thaw(ctx, r, lease)
}
