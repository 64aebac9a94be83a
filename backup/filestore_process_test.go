//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package backup

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What the other processes of TestFileStoreProcesses do.
const (
	processVariable = "SNAPWARDEN_TEST_FILESTORE"
	processCreates  = 30
	processCounts   = 30
)

// TestFileStoreProcess is not a test but another process of TestFileStoreProcesses, which gives it a folder.
func TestFileStoreProcess(t *testing.T) {
	dir := os.Getenv(processVariable)
	if dir == "" {
		t.Skip("only as another process of TestFileStoreProcesses")
	}
	s := openTestStore(t, dir)
	fmt.Println("\nready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	run := "run-" + strconv.Itoa(os.Getpid())
	for i := range processCreates {
		op := testOperation(t, fmt.Sprint("created-", i))
		op.Stage = run
		rec, created, err := s.Create(t.Context(), op, run)
		if err != nil {
			t.Fatal(err)
		}
		if created {
			fmt.Println("\ncreated", i)
		}
		if created != (rec.Run == run) || rec.Run != rec.Operation.Stage {
			t.Errorf("created %v, but the record is %q's", created, rec.Run)
		}
	}
	count := operationID("test", ActionBackup, testRef, "count")
	for done := 0; done < processCounts; {
		rec, err := s.Load(t.Context(), count)
		if err != nil {
			t.Fatal(err)
		}
		rec.Operation.Attempt++
		switch err := s.Save(t.Context(), &rec); {
		case err == nil:
			done++
		case !errors.Is(err, ErrConflict):
			t.Fatal(err)
		}
	}
	// Whoever is killed is killed here, in the midst of writing.
	for os.Getenv(processVariable+"_FOREVER") != "" {
		mine := testOperation(t, run)
		rec, _, err := s.Create(t.Context(), mine, run)
		if err != nil {
			t.Fatal(err)
		}
		rec.Operation.Attempt++
		if rec.Operation.Phase = PhaseRunning; rec.Operation.Attempt%3 == 0 {
			rec.Operation.Phase = PhaseSucceeded
		}
		if err := s.Save(t.Context(), &rec); err != nil {
			t.Fatal(err)
		}
		if rec.Operation.Attempt == 5 {
			fmt.Println("\nrunning")
		}
	}
}

// TestFileStoreProcesses lets several processes race on one folder, and kills one.
func TestFileStoreProcesses(t *testing.T) {
	dir := t.TempDir()
	s := openTestStore(t, dir)
	createTest(t, s, testOperation(t, "count"))

	type process struct {
		cmd   *exec.Cmd
		start func()
		lines *bufio.Scanner
		seen  []string
		errs  *bytes.Buffer
	}
	// until reads a process's lines to the wanted one, or with "" to the end; testing's own lines come in between.
	until := func(p *process, want string) {
		t.Helper()
		for p.lines.Scan() {
			line := p.lines.Text()
			p.seen = append(p.seen, line)
			if line == want && want != "" {
				return
			}
		}
		if want != "" {
			t.Fatalf("no %q from the process:\n%s\n%s", want, strings.Join(p.seen, "\n"), p.errs)
		}
	}
	var all []*process
	const n = 4
	for i := range n {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFileStoreProcess$", "-test.timeout=60s")
		cmd.Env = append(os.Environ(), processVariable+"="+dir)
		if i == 0 {
			cmd.Env = append(cmd.Env, processVariable+"_FOREVER=1")
		}
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		p := &process{cmd: cmd, lines: bufio.NewScanner(out), errs: &bytes.Buffer{}}
		cmd.Stderr = p.errs
		p.start = func() {
			if _, err := fmt.Fprintln(in, "go"); err != nil {
				t.Fatal(err)
			}
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	for _, p := range all {
		until(p, "ready")
	}
	for _, p := range all {
		p.start()
	}
	killed := all[0]
	until(killed, "running")
	if err := killed.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		until(p, "")
		if err := p.cmd.Wait(); err != nil && p != killed {
			t.Errorf("a process: %v\n%s\n%s", err, strings.Join(p.seen, "\n"), p.errs)
		}
	}

	created := map[string]int{}
	for _, p := range all {
		for _, line := range p.seen {
			if strings.HasPrefix(line, "created ") {
				created[line]++
			}
		}
	}
	for i := range processCreates {
		if c := created[fmt.Sprint("created ", i)]; c != 1 {
			t.Errorf("operation %d was created %d times", i, c)
		}
	}
	rec, err := s.Load(t.Context(), operationID("test", ActionBackup, testRef, "count"))
	if err != nil || rec.Operation.Attempt != n*processCounts {
		t.Errorf("%d updates are stored, %d were acknowledged, error %v", rec.Operation.Attempt, n*processCounts, err)
	}
	// What the killed one was at can be read, whole, and carried on.
	op := testOperation(t, "run-"+strconv.Itoa(killed.cmd.Process.Pid))
	rec, err = s.Load(t.Context(), op.ID)
	if err != nil || rec.Operation.Attempt < 5 {
		t.Fatalf("the killed process's operation is at %d, error %v", rec.Operation.Attempt, err)
	}
	if err := s.Save(t.Context(), &rec); err != nil {
		t.Error(err)
	}
	for _, err := range s.Unfinished(t.Context()) {
		if err != nil {
			t.Errorf("Unfinished: %v", err)
		}
	}
}

// TestFileStoreLockHeld: a process that was stopped with the lock in its hands costs the others time, and no more. The clock is the bubble's.
func TestFileStoreLockHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTestStore(t, t.TempDir())
		rec := createTest(t, s, testOperation(t, "token"))
		stopped, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer stopped.Close()
		if ok, err := lockFile(stopped); !ok || err != nil {
			t.Fatalf("lockFile: %v, %v", ok, err)
		}

		if _, err := s.Load(t.Context(), rec.Operation.ID); err != nil {
			t.Errorf("Load waits for the lock: %v", err)
		}
		started := time.Now()
		again := rec
		if err := s.Save(t.Context(), &again); !errors.Is(err, ErrUnavailable) || HintOf(err) == "" {
			t.Errorf("Save gives %v", err)
		}
		if d := time.Since(started); d < lockPatience || d > lockPatience+time.Second {
			t.Errorf("Save waited for %v", d)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		started = time.Now()
		if err := s.Renew(ctx, "run-a", time.Now()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Renew gives %v", err)
		}
		if d := time.Since(started); d != 3*time.Second {
			t.Errorf("Renew waited for %v", d)
		}

		freed := make(chan struct{})
		time.AfterFunc(time.Second, func() { unlockFile(stopped); close(freed) })
		if err := s.Save(t.Context(), &again); err != nil {
			t.Errorf("Save after the lock was freed: %v", err)
		}
		<-freed
		entries, err := os.ReadDir(filepath.Join(s.dir, dirTemp))
		if err != nil || len(entries) != 0 {
			t.Errorf("%d temporary files are left, error %v", len(entries), err)
		}
	})
}

// TestFileStoreLockRemoved: a lock on a file that lost its name excludes nobody, so the file with the name counts.
func TestFileStoreLockRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTestStore(t, t.TempDir())
		path := filepath.Join(s.dir, "lock")
		freed := make(chan struct{})
		s.step = func(step string) {
			if step != "lock" {
				return
			}
			s.step = nil // between the opening of the file and its locking, somebody removes it and another process locks a new one
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
			other, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				t.Error(err)
			}
			if ok, err := lockFile(other); !ok || err != nil {
				t.Errorf("lockFile: %v, %v", ok, err)
			}
			time.AfterFunc(time.Second, func() {
				unlockFile(other)
				_ = other.Close()
				close(freed)
			})
		}
		started := time.Now()
		createTest(t, s, testOperation(t, "token"))
		if d := time.Since(started); d < time.Second {
			t.Errorf("Create did not wait for the other process but %v", d)
		}
		<-freed
	})
}

func BenchmarkFileStoreSave(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			s := openTestStore(b, b.TempDir())
			var recs []*Record
			for i := range n {
				rec, _, err := s.Create(b.Context(), testOperation(b, strconv.Itoa(i)), "run-a")
				if err != nil {
					b.Fatal(err)
				}
				recs = append(recs, &rec)
			}
			for b.Loop() {
				if err := s.Save(b.Context(), recs...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
		})
	}
}
