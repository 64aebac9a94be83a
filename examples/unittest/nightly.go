// Package nightly is an example of somebody's own backup logic and, which is its point, of how to test it: everything that carries a tag is
// backed up once a night, and a report says what became of it. Its tests run on a simulated AWS in virtual time, with faults:
//
//	go test -v ./examples/unittest
//	go test -race -count=10 ./examples/unittest
//
// Nothing in nightly.go knows that there are tests: it takes strategies and a Runner, and uses package time as any program does.
package nightly

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// Discovery is tried again for a while, because AWS throttles most at the hour when everybody's jobs begin.
const (
	discoverEvery    = time.Minute
	discoverPatience = 30 * time.Minute
)

// Outcome is what became of one resource.
type Outcome struct {
	Resource backup.Ref
	// Points are the recovery points that exist, also if the backup failed.
	Points backup.Refs
	// Err is nil for a backup that succeeded, and otherwise says why not. It can be tested for a code: errors.Is(o.Err, backup.ErrQuota).
	Err error
}

// Report is what became of a night.
type Report struct {
	// Outcomes has one entry for each resource that was found, in the order of their Refs.
	Outcomes []Outcome
	// Unknown says which listings failed. There may be resources that were not found and not backed up.
	Unknown []error
}

// OK reports whether everything was found and backed up.
func (r Report) OK() bool {
	return len(r.Unknown) == 0 && !slices.ContainsFunc(r.Outcomes, func(o Outcome) bool { return o.Err != nil })
}

// String gives the report as text, the bad news first.
func (r Report) String() string {
	var b strings.Builder
	for _, err := range r.Unknown {
		fmt.Fprintf(&b, "INCOMPLETE %v\n", err)
	}
	for _, o := range r.Outcomes {
		if o.Err != nil {
			fmt.Fprintf(&b, "FAILED %v\n", o.Err) // it names the resource, and what to do
		}
	}
	for _, o := range r.Outcomes {
		if o.Err == nil {
			fmt.Fprintf(&b, "ok %v as %v\n", o.Resource, o.Points)
		}
	}
	return b.String()
}

// Run backs up what the strategies find by the query, and returns when all of it has ended or ctx ends. The runner must have the strategies.
// slot names the night: a second Run for it makes nothing twice but carries on what the first one began.
func Run(ctx context.Context, runner *backup.Runner, strategies []backup.Strategy, query backup.Query, slot string) Report {
	var (
		report Report
		mu     sync.Mutex // guards report
		tasks  sync.WaitGroup
	)
	for _, s := range strategies {
		tasks.Go(func() {
			found, err := discover(ctx, s, query)
			if err != nil {
				mu.Lock()
				report.Unknown = append(report.Unknown, err)
				mu.Unlock()
			}
			// Each backup has a goroutine that waits for it, which is fine for hundreds.
			for _, r := range found {
				tasks.Go(func() {
					o := one(ctx, runner, s, r, slot)
					mu.Lock()
					report.Outcomes = append(report.Outcomes, o)
					mu.Unlock()
				})
			}
		})
	}
	tasks.Wait()
	slices.SortFunc(report.Outcomes, func(a, b Outcome) int { return cmp.Compare(a.Resource.String(), b.Resource.String()) })
	slices.SortFunc(report.Unknown, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return report
}

// one backs up one resource.
func one(ctx context.Context, runner *backup.Runner, s backup.Strategy, r backup.Ref, slot string) Outcome {
	op, err := s.Start(ctx, r, backup.Spec{Token: backup.NewToken(r, slot), Owner: "nightly", Tags: map[string]string{"night": slot}})
	if err == nil {
		op, err = runner.Run(ctx, op)
	}
	if err != nil && !op.Done() {
		err = fmt.Errorf("%v has not ended: %w", r, err)
	}
	return Outcome{Resource: r, Points: op.Points, Err: err}
}

// discover lists what is to be backed up. What was found before an error is given with it: half of the backups are better than none, but the
// list is not called whole.
func discover(ctx context.Context, s backup.Strategy, query backup.Query) ([]backup.Ref, error) {
	d, ok := backup.As[backup.Discoverer](s)
	if !ok {
		return nil, &backup.Error{Op: "discover", Kind: s.Kind(), Code: backup.ErrUnsupported, Err: errors.New("the strategy can not find resources")}
	}
	for began := time.Now(); ; {
		var found []backup.Ref
		var failed error
		for r, err := range d.Discover(ctx, query) {
			if err != nil {
				failed = err
				break
			}
			found = append(found, r.Ref)
		}
		if failed == nil {
			return found, nil
		}
		passes := errors.Is(failed, backup.ErrThrottled) || errors.Is(failed, backup.ErrUnavailable)
		if !passes || time.Since(began) >= discoverPatience {
			return found, failed
		}
		select {
		case <-ctx.Done():
			return found, context.Cause(ctx)
		case <-time.After(discoverEvery):
		}
	}
}
