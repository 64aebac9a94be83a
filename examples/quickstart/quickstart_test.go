package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
)

// start runs the program in virtual time and gives what it printed.
func start(t *testing.T, limit time.Duration, args ...string) (code int, stdout, stderr string, took time.Duration) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		var out, errs bytes.Buffer
		began := time.Now()
		code = run(ctx, args, &out, &errs)
		stdout, stderr, took = out.String(), errs.String(), time.Since(began)
	})
	left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return code, stdout, stderr, took
}

func TestJSON(t *testing.T) {
	code, stdout, stderr, took := start(t, time.Hour, "-json")
	if code != exitDone || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	if took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	finished, endpoints, volumes := map[string]int{}, map[string]int32{}, 0
	for i, l := range lines[:len(lines)-1] {
		var e struct {
			operationLine
			Point backup.RecoveryPoint `json:"point"`
		}
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatalf("line %d: %v: %s", i, err, l)
		}
		if e.Type == "" || e.Time.IsZero() {
			t.Errorf("line %d has no type or time: %s", i, l)
		}
		switch e.Type {
		case backup.EventFinished:
			finished[e.Kind+" "+string(e.Action)+" "+string(e.Phase)]++
			for _, x := range e.Endpoints {
				if x.Host == "" {
					t.Errorf("an endpoint without a host: %s", l)
				}
				endpoints[e.Kind] = x.Port
			}
			if e.Kind == "ebs" && e.Action == backup.ActionRestore {
				volumes += len(e.Made)
			}
		case "recovery-point":
			if e.Point.ID == "" || e.Point.Status != backup.StatusAvailable {
				t.Errorf("line %d: %s", i, l)
			}
		}
	}
	want := map[string]int{"ebs backup succeeded": 2, "rds backup succeeded": 1, "elasticache backup succeeded": 1, "ebs restore succeeded": 1,
		"rds restore succeeded": 1, "elasticache restore succeeded": 1, "ebs delete succeeded": 1}
	if d := cmp.Diff(want, finished); d != "" {
		t.Errorf("what ended, and how (-want +got):\n%s", d)
	}
	if endpoints["rds"] != 5432 || endpoints["elasticache"] != 6379 || volumes != 3 {
		t.Errorf("restored: the ports %v and %d volumes", endpoints, volumes)
	}
	var last struct{ Summary summary }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatalf("the last line: %v: %s", err, lines[len(lines)-1])
	}
	last.Summary.Seconds = 0
	if d := cmp.Diff(summary{Succeeded: 8, RecoveryPoints: 3, Restored: 3, Deleted: 1}, last.Summary, cmp.AllowUnexported(summary{})); d != "" {
		t.Errorf("summary (-want +got):\n%s", d)
	}
}

func TestText(t *testing.T) {
	code, stdout, stderr, _ := start(t, time.Hour)
	if code != exitDone || stderr != "" {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	for _, want := range []string{"Simulated AWS", "rds.amazonaws.com:5432", "cache.amazonaws.com:6379", "volume        vol-", "/dev/xvda root",
		"8 operations succeeded, 0 failed, 0 unfinished, 0 skipped; 3 restored, 1 deleted, 3 recovery points left"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is missing in:\n%s", want, stdout)
		}
	}
	if strings.Contains(stdout, "\x1b") {
		t.Error("a pipe was drawn over")
	}
}

// A run that is interrupted says so and is no success.
func TestInterrupted(t *testing.T) {
	code, stdout, _, took := start(t, 2*time.Second, "-json")
	if code != exitFailed || took > 3*time.Second {
		t.Errorf("exit code %d after %v", code, took)
	}
	var last struct{ Summary summary }
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Summary.Unfinished == 0 || last.Summary.Failed > 0 {
		t.Errorf("%v: %s", err, lines[len(lines)-1])
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-bogus", "not defined"},
		{"extra", "not a flag"},
		{"-aws", "at least one of"},
		{"-aws -instance i-1", "wants -zone"},
		{"-aws -rds orders", "-subnet-group"},
		{"-aws -cache carts", "-security-group"},
		{"-aws -cache carts -cache-cluster one -security-group sg-1", "combined"},
		{"-aws -endpoint http://127.0.0.1:1", "combined"},
		{"-yes", "for -aws only"},
		{"-state x", "simulated AWS ends"},
		{"-endpoint localhost", "wants a URL"},
		{"-endpoint https://rds.eu-west-1.amazonaws.com", "for emulators"},
	} {
		t.Run(c.args, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := run(t.Context(), strings.Fields(c.args), &out, &errs); code != exitUsage || !strings.Contains(errs.String(), c.want) || out.Len() > 0 {
				t.Errorf("exit code %d, stdout %q, stderr %q", code, &out, &errs)
			}
		})
	}
}

// Every flag stands in the help.
func TestHelp(t *testing.T) {
	if _, err := parse([]string{"-h"}); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"-h"}, &out, &errs); code != exitDone || errs.Len() > 0 {
		t.Errorf("exit code %d, %s", code, &errs)
	}
	var o options
	o.flags().VisitAll(func(f *flag.Flag) {
		if !strings.Contains(out.String(), "  -"+f.Name+" ") {
			t.Errorf("-%s is not explained", f.Name)
		}
	})
}

func TestState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	o := options{endpoint: "http://127.0.0.1:1", state: dir}
	var said bytes.Buffer
	first, err := openRun(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.keep(); err != nil {
		t.Fatal(err)
	}
	first.close(&said)
	if !strings.Contains(said.String(), "-state "+dir) {
		t.Errorf("an unfinished run said %q", &said)
	}
	second, err := openRun(o)
	if err != nil || second.Slot != first.Slot || !second.kept {
		t.Fatalf("gone on with %+v, %v", second, err)
	}
	var usage usageError
	if _, err := openRun(options{endpoint: "http://127.0.0.1:2", state: dir}); !errors.As(err, &usage) {
		t.Errorf("another target: %v", err)
	}
	second.done = true
	second.close(&said)
	third, err := openRun(o)
	if err != nil || third.kept {
		t.Errorf("after the end: %+v, %v", third, err)
	}
}

// The table is drawn over itself, and what comes meanwhile stands below it.
func TestTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		table := &tableReport{text: text{w: &out}}
		table.begin("Title")
		for i, id := range []string{"op-1", "op-2", "op-1"} {
			op := backup.Operation{ID: id, Action: backup.ActionBackup, Ref: backup.Ref{Type: "t", ID: id}, Phase: backup.PhaseRunning, Stage: "wait", Percent: 10 * i}
			table.Observe(t.Context(), backup.Event{Type: backup.EventProgress, Time: time.Now(), Operation: op})
		}
		table.note("something else")
		time.Sleep(time.Second)
		table.end()
		got := out.String()
		last := got[strings.LastIndex(got, "\x1b[2A"):]
		if strings.Count(last, "\n") != 3 || !strings.Contains(last, "op-1") || !strings.Contains(last, "op-2") || !strings.HasSuffix(last, "something else\n") || strings.Contains(last, "\x1b[3A") {
			t.Errorf("the last drawing is %q", last)
		}
		if !strings.Contains(last, "[##........]") {
			t.Errorf("20 %% are drawn as %q", last)
		}
	})
}
