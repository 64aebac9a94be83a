// Command export does the whole page "Exporting a backup" of the ElastiCache User Guide, on an AWS that is simulated in the process: no account,
// no network, no cost.
//
//	go run ./examples/export
//
// Every failure that the page and the API reference document is met by really trying the export. The report shows what a look beforehand
// (Preflight) said, what AWS alone would say, what the library says, how it is mended, and that it then passes. Then the page's published
// policies are linted beside safe ones, and an export of three shards is verified, copied to another Region, and made a new replication
// group there. At the end a table tells it all again; if any row of it is incomplete, the exit code is 1.
//
// The code to copy: starting and running an export is in attempt.go, making a bucket ready in bucket.go, the callers' policies in caller.go,
// and exporting, copying, opening and seeding in journey.go. The rest makes the simulated AWS go wrong, and prints.
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

const usage = `Usage: go run ./examples/export

Does all that the ElastiCache User Guide describes under "Exporting a backup" on a simulated AWS: meets, explains and mends each documented
failure, lints the published policies, exports, verifies, copies to another Region, and seeds a new replication group there. It takes a few
seconds, and needs no account and no network.

The exit code is 0 if every failure was met, explained, mended and passed and everything was verified, 1 if not, and 2 for a wrong call.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command is the program with its arguments. It gives the exit code.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("export", flag.ContinueOnError)
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
		fmt.Fprintln(stderr, "export:", err)
		return 1
	}
	return 0
}

// run does everything, and writes the report to w. An error says what is missing.
func run(ctx context.Context, w io.Writer) error {
	out := &report{w: w}
	c := newCloud()
	if err := c.begin(ctx, out); err != nil {
		return err
	}
	out.heading("2. What goes wrong, and how it is mended")
	var rows []row
	for _, group := range [][]trial{c.bucketTrials(), c.grantTrials(), c.callerTrials(), c.sourceTrials()} {
		for _, t := range group {
			r, err := c.try(ctx, out, t)
			if err != nil {
				return fmt.Errorf("%s: %w", t.label, err)
			}
			rows = append(rows, r)
		}
	}
	r, err := c.tryNames(ctx, out)
	if err != nil {
		return err
	}
	rows = append(rows, r)
	if err := lintPolicies(out); err != nil {
		return err
	}
	if r, err = c.journey(ctx, out); err != nil {
		return err
	}
	err = conclude(out, append(rows, r))
	return errors.Join(err, out.err)
}
