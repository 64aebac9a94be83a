// Command restore gets data back, on an AWS that is simulated in the process: no account, no network, no cost.
//
//	go run ./examples/restore
//
// An instance is backed up as a set while its database stands still. Then somebody drops a table, and it is fetched from a volume that is
// attached beside; then a migration ruins everything, and the volumes of the running instance are swapped. The process that does it is killed
// after it has detached them, and another one carries on. Last, a cache group is rebuilt under its own id with other settings, and rebuilds
// that must not be done are refused. At the end a table says what was checked; if anything in it is not so, the exit code is 1.
//
// The code to copy: a process with a Store, and the one after it, is in process.go, backing up, attaching beside and swapping in volumes.go, and
// rebuilding in caches.go. The functions that freeze and thaw, unmount and mount are those of host.go, which only pretends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

const usage = `Usage: go run ./examples/restore

Restores onto a running instance and rebuilds a cache group on a simulated AWS: a set of snapshots taken of a frozen host, a volume attached
beside and given back, a swap whose process is killed in the middle, a rebuild under the same id, and rebuilds that are refused. It takes
less than ten seconds, most of them waiting for the lease of the dead process, and needs no account and no network.

The exit code is 0 if everything was as it must be, 1 if not, and 2 for a wrong call.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command is the program with its arguments. It gives the exit code.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("restore", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0
	case err != nil, flags.NArg() > 0:
		fmt.Fprint(stderr, usage)
		return 2
	}
	if err := run(ctx, stdout); err != nil {
		fmt.Fprintln(stderr, "restore:", err)
		return 1
	}
	return 0
}

// run does everything, and writes the report to w. An error says what is not as it must be.
func run(ctx context.Context, w io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "restore-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return newCloud(&report{w: w}, dir).everything(ctx)
}

// everything is the whole program, with a Store in the folder that the cloud was made with.
func (c *cloud) everything(ctx context.Context) error {
	for _, part := range []func(context.Context) error{
		c.begin, c.backUp, c.fetchBeside, c.swapKilled, c.swapRefused, c.rebuild, c.rebuildRefused,
	} {
		if err := part(ctx); err != nil {
			return errors.Join(err, c.out.err)
		}
	}
	return errors.Join(c.out.conclude("8. What was checked"), c.out.err)
}
