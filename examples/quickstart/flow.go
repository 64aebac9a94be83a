package main

import (
	"context"
	"sync"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// flow does the jobs. Everything that changes something at AWS is an Operation that the one Runner carries on.
type flow struct {
	runner *backup.Runner
	jobs   []job
	// slot names the occasion: the tokens come from it, so that the same run started again means the same Operations.
	slot   string
	report reporter
	// begun is called when the old recovery point is there.
	begun func()

	mu   sync.Mutex // guards sum and made: the jobs of a step run side by side
	sum  summary
	made map[backup.Ref]bool
	// restored are the restores, in the order of the jobs.
	restored []backup.Operation
	// left are the recovery points that this run made and that are there at the end.
	left []backup.RecoveryPoint
}

// summary counts Operations by their end, and what there is afterwards.
type summary struct {
	// open tells that an Operation has not ended, so that the run can be gone on with.
	open bool

	Succeeded      int     `json:"succeeded"`
	Failed         int     `json:"failed"`
	Unfinished     int     `json:"unfinished"`
	Skipped        int     `json:"skipped"`
	RecoveryPoints int     `json:"recoveryPoints"`
	Restored       int     `json:"restored"`
	Deleted        int     `json:"deleted"`
	Seconds        float64 `json:"seconds"`
}

func (s summary) good() bool { return s.Failed+s.Unfinished+s.Skipped == 0 }

// run does everything and gives the summary.
func (f *flow) run(ctx context.Context) summary {
	began := time.Now()
	f.steps(ctx)
	f.sum.Seconds = time.Since(began).Round(time.Millisecond).Seconds()
	return f.sum
}

// steps stops early when it is interrupted: what was not started then is simply not in the summary.
func (f *flow) steps(ctx context.Context) {
	f.report.begin("An old recovery point, to be deleted later")
	old := f.backUp(ctx, f.jobs[0], "old")
	f.report.end()
	if ctx.Err() != nil {
		return
	}
	f.begun()

	f.report.begin("Back up everything at the same time")
	points := make([]backup.Ref, len(f.jobs))
	f.each(func(i int, j job) { points[i] = f.backUp(ctx, j, "new") })
	f.report.end()
	if ctx.Err() != nil {
		return
	}
	f.list(ctx, "Recovery points")
	if points[0].IsZero() {
		old = backup.Ref{} // without a new one the old one is kept
	}

	f.report.begin("Restore each to a new resource, and delete the old recovery point")
	f.restored = make([]backup.Operation, len(f.jobs))
	f.each(
		func(i int, j job) { f.restored[i] = f.restore(ctx, j, points[i]) },
		func() { f.delete(ctx, f.jobs[0], old) },
	)
	f.report.end()
	f.report.restored(f.restored)
	if ctx.Err() != nil {
		return
	}
	all := f.list(ctx, "Recovery points afterwards")
	f.sum.RecoveryPoints = len(all)
	for _, p := range all {
		if f.made[p.Ref] {
			f.left = append(f.left, p)
		}
	}
}

// each runs do for all jobs, and more, side by side, and waits for them.
func (f *flow) each(do func(i int, j job), more ...func()) {
	var all sync.WaitGroup
	for i, j := range f.jobs {
		all.Go(func() { do(i, j) })
	}
	for _, m := range more {
		all.Go(m)
	}
	all.Wait()
}

// backUp makes a recovery point and gives its Ref, or a zero one.
func (f *flow) backUp(ctx context.Context, j job, which string) backup.Ref {
	op, err := j.strategy.Start(ctx, j.source, backup.Spec{Token: f.token(j.source, which), Tags: map[string]string{"made-by": "quickstart"}})
	op, ok := f.carryOut(ctx, j, op, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range op.Points {
		f.made[p] = true
	}
	if !ok || len(op.Points) == 0 {
		return backup.Ref{}
	}
	return op.Points[0]
}

// restore makes a new resource of a recovery point.
func (f *flow) restore(ctx context.Context, j job, point backup.Ref) backup.Operation {
	if f.skipped(point) {
		return backup.Operation{}
	}
	op, err := j.strategy.StartRestore(ctx, point, backup.Spec{Token: f.token(point, "restore"), Options: j.options,
		Tags: map[string]string{"made-by": "quickstart"}})
	op, ok := f.carryOut(ctx, j, op, err)
	if ok {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.sum.Restored++
	}
	return op
}

// delete deletes a recovery point. A point that somebody else made would be refused: its owner tag is not ours.
func (f *flow) delete(ctx context.Context, j job, point backup.Ref) {
	if f.skipped(point) {
		return
	}
	op, err := j.strategy.StartDelete(ctx, point, backup.Spec{Token: f.token(point, "delete")})
	if _, ok := f.carryOut(ctx, j, op, err); ok {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.sum.Deleted++
	}
}

// carryOut looks for what is in the way, runs the Operation that was started, and counts how it ended.
func (f *flow) carryOut(ctx context.Context, j job, op backup.Operation, err error) (backup.Operation, bool) {
	if err != nil {
		return op, f.count(ctx, op, err)
	}
	op, err = f.runner.Start(ctx, op)
	if err != nil {
		return op, f.count(ctx, op, err)
	}
	if op.Phase == backup.PhasePending {
		// What was begun earlier is not looked at again: it may be in its own way.
		findings, err := j.strategy.Preflight(ctx, op)
		if err != nil {
			f.report.note("looking ahead at %s was not possible: %v", op.Ref, err)
		}
		for _, x := range findings {
			f.report.finding(op, x)
		}
	}
	op, err = f.runner.Await(ctx, op)
	for _, x := range op.Findings {
		f.report.finding(op, x)
	}
	return op, f.count(ctx, op, err)
}

// count counts an Operation, or what kept it from being started, and reports what went wrong.
func (f *flow) count(ctx context.Context, op backup.Operation, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sum.open = f.sum.open || op.ID != "" && !op.Done()
	switch {
	case err == nil:
		f.sum.Succeeded++
		return true
	case ctx.Err() != nil && !op.Done():
		// The waiting ended, not the work: AWS goes on with what was asked for.
		f.sum.Unfinished++
	default:
		f.sum.Failed++
	}
	f.report.failed(op, err)
	return false
}

// skipped counts what can not be done because the recovery point is missing.
func (f *flow) skipped(point backup.Ref) bool {
	if !point.IsZero() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sum.Skipped++
	return true
}

// list reports the recovery points of the jobs' resources, whoever made them, and gives them.
func (f *flow) list(ctx context.Context, title string) []backup.RecoveryPoint {
	var all []backup.RecoveryPoint
	for _, j := range f.jobs {
		for p, err := range j.strategy.List(ctx, backup.Query{Account: j.source.Account, Region: j.source.Region, Source: j.source}) {
			if err != nil {
				f.count(ctx, backup.Operation{}, err)
				break
			}
			all = append(all, p)
		}
	}
	f.report.points(title, all)
	return all
}

func (f *flow) token(r backup.Ref, which string) string { return backup.NewToken(r, f.slot+"/"+which) }
