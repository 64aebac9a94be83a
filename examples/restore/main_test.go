package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

const golden = "testdata/report.golden"

// The whole program in virtual time. Golden files are made anew with SNAPWARDEN_UPDATE=1, and then read by a person.
func TestReport(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var got bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		if err := run(t.Context(), &got); err != nil {
			t.Error(err)
		}
	})
	if os.Getenv("SNAPWARDEN_UPDATE") != "" {
		if err := os.WriteFile(filepath.FromSlash(golden), got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(filepath.FromSlash(golden))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); d != "" {
		t.Errorf("the report is not the one that was reviewed (-want +got):\n%s", d)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestCommand(t *testing.T) {
	for _, x := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"-h"}, 0, usage, ""},
		{[]string{"-instance", "i-1"}, 2, "", usage},
		{[]string{"sessions"}, 2, "", usage},
	} {
		var stdout, stderr bytes.Buffer
		if code := command(t.Context(), x.args, &stdout, &stderr); code != x.code || stdout.String() != x.stdout || stderr.String() != x.stderr {
			t.Errorf("%v: %d, %q, %q", x.args, code, stdout.String(), stderr.String())
		}
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var stderr bytes.Buffer
		if code := command(ctx, nil, io.Discard, &stderr); code != 1 || stderr.Len() == 0 {
			t.Errorf("interrupted: %d, %q", code, stderr.String())
		}
		if code := command(t.Context(), nil, full{}, io.Discard); code != 1 {
			t.Errorf("a report that can not be written: %d", code)
		}
	})
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no room") }
