// Command quickstart shows snapwarden's main job from beginning to end: a database, a cache and a server's volumes are backed up at the same
// time, waited for, listed and restored to new resources, and an old recovery point is deleted.
//
//	go run ./examples/quickstart              on an AWS that is simulated inside of the program: no account, no network, no cost
//	go run ./examples/quickstart -endpoint URL   on an emulator of AWS, on resources that it makes there
//	go run ./examples/quickstart -aws ...     on your own resources; it says what it will create, and what costs money
//
// Call it with -h for all settings and for the shape of what -json prints. The code to copy is in flow.go (backing up, waiting, listing,
// restoring, deleting) and job.go (the strategies); the rest makes resources to show it on, reads flags and prints.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/snapwarden/snapwarden/backup"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// run is the program. It gives the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, help)
		return exitDone
	}
	if err == nil {
		var good bool
		if good, err = backUpAndRestore(ctx, o, stdout, stderr); good && err == nil {
			return exitDone
		}
	}
	var usage usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "quickstart: %v (-h prints all flags)\n", usage)
		return exitUsage
	case err != nil:
		fmt.Fprintln(stderr, "quickstart:", err)
	}
	return exitFailed
}

// backUpAndRestore does it all and tells whether all of it succeeded. An error says why it was not even begun.
func backUpAndRestore(ctx context.Context, o options, stdout, stderr io.Writer) (bool, error) {
	r, err := openRun(o)
	if err != nil {
		return false, err
	}
	defer r.close(stderr)
	if o.endpoint != "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, emulatorLimit)
		defer cancel()
	}
	report := newReporter(o, stdout)
	jobs, begun, err := prepare(ctx, o, r, report, stderr)
	if err != nil {
		return false, err
	}
	store, err := backup.OpenFileStore(r.storeDir())
	if err != nil {
		return false, err
	}
	strategies := make([]backup.Strategy, len(jobs))
	for i, j := range jobs {
		strategies[i] = j.strategy
	}
	runner, err := backup.NewRunner(strategies, func(opts *backup.RunnerOptions) {
		opts.Store = store
		opts.Observer = report
	})
	if err != nil {
		return false, err
	}
	if err := r.keep(); err != nil {
		return false, err
	}
	f := &flow{runner: runner, jobs: jobs, slot: r.Slot, report: report, begun: begun, made: map[backup.Ref]bool{}}
	sum := f.run(ctx)
	r.done = r.done || !sum.open && ctx.Err() == nil
	report.done(sum)
	if o.aws && r.done {
		fmt.Fprint(stderr, remains(f))
	}
	return sum.good() && ctx.Err() == nil, nil
}

// prepare gives the jobs: on simulated resources, on an emulator's, or on the user's own. The function is to be called when the show begins.
func prepare(ctx context.Context, o options, r *runState, report reporter, stderr io.Writer) ([]job, func(), error) {
	nothing := func() {}
	switch {
	case o.aws:
		jobs, err := ownJobs(ctx, o, r, stderr)
		return jobs, nothing, err
	case o.endpoint != "":
		jobs, err := emulatedJobs(ctx, o, r, report)
		return jobs, nothing, err
	default:
		return simulatedJobs(ctx, r, report)
	}
}
