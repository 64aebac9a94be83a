package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// The whole program, with its flags, in virtual time.
func TestSimulated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, log bytes.Buffer
		if err := run(t.Context(), []string{"-simulated"}, &out, &log); err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`^succeeded ec2/snapshot:111122223333:eu-west-1:snap-[0-9a-f]{17}\n$`).MatchString(out.String()) {
			t.Errorf("printed %q", out.String())
		}
		if !strings.Contains(log.String(), "operation finished") {
			t.Errorf("logged %q", log.String())
		}
	})
}

// A script that is interrupted and run again waits for the snapshot that it had begun, and so does one that is run twice.
func TestAgainWithTheSameSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg, source, err := simulation(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		silent := backup.ObserverFunc(func(context.Context, backup.Event) {})
		back := func(ctx context.Context, slot string) (string, error) {
			var out bytes.Buffer
			err := backUp(ctx, cfg, source, slot, &out, silent)
			return out.String(), err
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // between two looks: the snapshot is being made
		defer cancel()
		began, err := back(ctx, "2026-11-20")
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "-slot 2026-11-20") || !strings.HasPrefix(began, "running ") {
			t.Fatalf("interrupted: %q, %v", began, err)
		}
		ended := strings.Replace(began, "running", "succeeded", 1)
		for range 2 {
			if again, err := back(t.Context(), "2026-11-20"); err != nil || again != ended {
				t.Errorf("again: %q, %v; wanted %q", again, err, ended)
			}
		}
		if other, err := back(t.Context(), "2026-11-21"); err != nil || other == ended {
			t.Errorf("the next day: %q, %v", other, err)
		}
	})
}

func TestFlags(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", "/dev/null") // whatever this machine's user has set up
	t.Setenv("AWS_PROFILE", "")
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			args string
			want error
		}{
			{"-h", flag.ErrHelp},
			{"-region eu-west-1 -id vol-0123456789abcdef0", backup.ErrInvalid},
			{"-account 111122223333 -region eu-west-1", backup.ErrInvalid},
			{"-account 111122223333 -region eu-west-1 -id i-xyz", backup.ErrInvalid},
		} {
			if err := run(t.Context(), strings.Fields(c.args), io.Discard, io.Discard); !errors.Is(err, c.want) {
				t.Errorf("%q: %v", c.args, err)
			}
		}
	})
}
