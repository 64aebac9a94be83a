//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestFileStoreTruncated cuts an Operation's file at every byte.
func TestFileStoreTruncated(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	rec := createTest(t, s, testOperation(t, "token"))
	path := s.path(dirOperations, rec.Operation.ID)
	whole := readTest(t, path)
	for n := range len(whole) - 1 { // the last byte is a line feed
		writeTest(t, path, whole[:n])
		wantDamaged(t, s, rec, ErrInvalid)
		if got := readTest(t, path); !bytes.Equal(got, whole[:n]) {
			t.Fatalf("cut at %d: the file was changed to\n%s", n, got)
		}
		if t.Failed() {
			t.Fatalf("cut at %d", n)
		}
	}
}

// TestFileStoreFlipped changes each byte of an Operation's file. Only white space between tokens may change without being noticed.
func TestFileStoreFlipped(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	rec := createTest(t, s, testOperation(t, "token"))
	path := s.path(dirOperations, rec.Operation.ID)
	whole := readTest(t, path)
	want, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	noticed := 0
	for n := range whole {
		for _, flip := range []byte{0x01, 0x20, 0x80} {
			b := bytes.Clone(whole)
			b[n] ^= flip
			writeTest(t, path, b)
			got, err := s.Load(t.Context(), rec.Operation.ID)
			if err != nil {
				noticed++
				if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrUnsupported) {
					t.Errorf("byte %d ^ %#x: %v", n, flip, err)
				}
				continue
			}
			if have, err := json.Marshal(got); err != nil || !bytes.Equal(have, want) {
				t.Errorf("byte %d ^ %#x is not noticed: %s", n, flip, have)
			}
		}
	}
	if noticed < len(whole) {
		t.Errorf("only %d of %d changes were noticed", noticed, 3*len(whole))
	}
}

// TestFileStoreDamaged holds every method to leaving alone what it can not read, and to saying so.
func TestFileStoreDamaged(t *testing.T) {
	for _, place := range []string{dirOperations, dirFinished} {
		for name, c := range map[string]struct {
			damage func(whole []byte) []byte
			code   Code
		}{
			"empty":             {func([]byte) []byte { return nil }, ErrInvalid},
			"zeroes":            {func(b []byte) []byte { return make([]byte, len(b)) }, ErrInvalid},
			"null":              {func([]byte) []byte { return []byte("null") }, ErrInvalid},
			"not JSON":          {func([]byte) []byte { return []byte("hello") }, ErrInvalid},
			"two documents":     {func(b []byte) []byte { return append(bytes.Clone(b), b...) }, ErrInvalid},
			"edited":            {func(b []byte) []byte { return bytes.Replace(b, []byte("blue"), []byte("bluf"), 1) }, ErrInvalid},
			"without format":    {func(b []byte) []byte { return bytes.Replace(b, []byte(`"format": 1,`), nil, 1) }, ErrInvalid},
			"without operation": {func([]byte) []byte { return []byte(`{"format":1,"version":"1-a","sum":""}`) }, ErrInvalid},
			"of another id":     {func([]byte) []byte { return fileOfAnother(t) }, ErrInvalid},
			"far too long":      {func(b []byte) []byte { return append(bytes.Clone(b), bytes.Repeat([]byte(" "), maxStoreFile)...) }, ErrInvalid},
			"newer format":      {func(b []byte) []byte { return bytes.Replace(b, []byte(`"format": 1`), []byte(`"format": 2`), 1) }, ErrUnsupported},
			"newer format with another layout": {func([]byte) []byte { return []byte(`{"format":2,"version":{"n":1},"operation":"base64"}`) },
				ErrUnsupported},
			"newer operation": {func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"operation": {
    "version": 1`), []byte(`"operation": {
    "version": 2`), 1)
			}, ErrUnsupported},
		} {
			t.Run(place+"/"+name, func(t *testing.T) {
				s := openTestStore(t, t.TempDir())
				op := testOperation(t, "token")
				if place == dirFinished {
					op.Phase = PhaseSucceeded
				}
				rec := createTest(t, s, op)
				good := createTest(t, s, testOperation(t, "good"))
				path := s.path(place, op.ID)
				whole := readTest(t, path)
				bad := c.damage(whole)
				if bytes.Equal(bad, whole) {
					t.Fatal("nothing was damaged")
				}
				writeTest(t, path, bad)

				s = openTestStore(t, s.dir)
				wantDamaged(t, s, rec, c.code)
				if err := s.Forget(t.Context(), op.ID); !errors.Is(err, c.code) {
					t.Errorf("Forget gives %v", err)
				}
				if got := readTest(t, path); !bytes.Equal(got, bad) {
					t.Errorf("the file was changed to\n%s", got)
				}
				// Beside it all goes on, and a call with both saves the good one.
				err := s.Save(t.Context(), &rec, &good)
				if !errors.Is(err, c.code) {
					t.Errorf("Save of a damaged and a good one gives %v", err)
				}
				if got, err := s.Load(t.Context(), good.Operation.ID); err != nil || got.Version != good.Version || good.Version[0] != '2' {
					t.Errorf("the good one has version %q, loaded %q, error %v", good.Version, got.Version, err)
				}
			})
		}
	}
}

// fileOfAnother gives a whole file, as somebody may copy it to the wrong name.
func fileOfAnother(t *testing.T) []byte {
	t.Helper()
	b, _, err := encodeRecord(testOperation(t, "another"), "run-a", "1-a")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantDamaged(t *testing.T, s *FileStore, rec Record, code Code) {
	t.Helper()
	_, err := s.Load(t.Context(), rec.Operation.ID)
	if CodeOf(err) != code {
		t.Errorf("Load gives %v, want %q", err, code)
	}
	if hint := HintOf(err); !strings.Contains(hint, rec.Operation.ID+".json") || !strings.Contains(hint, "left as it is") {
		t.Errorf("the hint is %q", hint)
	}
	if got, created, err := s.Create(t.Context(), rec.Operation, "run-b"); !errors.Is(err, code) || created || got.Version != "" {
		t.Errorf("Create gives %+v, created %v, error %v", got, created, err)
	}
	again := rec
	if err := s.Save(t.Context(), &again); !errors.Is(err, code) || again.Version != rec.Version {
		t.Errorf("Save gives %v", err)
	}
	good, bad := 0, 0
	for _, err := range s.Unfinished(t.Context()) {
		switch {
		case err == nil:
			good++
		case errors.Is(err, code):
			bad++
		default:
			t.Errorf("Unfinished yields %v", err)
		}
	}
	wantBad := 1
	entries, err := os.ReadDir(filepath.Join(s.dir, dirOperations))
	if err != nil {
		t.Fatal(err)
	}
	wantGood := len(entries) - 1
	if rec.Operation.Done() {
		wantGood, wantBad = len(entries), 0
	}
	if good != wantGood || bad != wantBad {
		t.Errorf("Unfinished yields %d records and %d errors, want %d and %d", good, bad, wantGood, wantBad)
	}
}

func TestFileStoreLeaseDamaged(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	until := time.Now().Add(time.Hour).UTC()
	path := s.path(dirLeases, "run-a")
	for contents, code := range map[string]Code{
		"": ErrInvalid, "{": ErrInvalid, `{"format":1,"run":"run-b","until":"2100-01-01T00:00:00Z"}`: ErrInvalid,
		`{"format":1,"run":"run-a","until":"soon"}`: ErrInvalid, `{"run":"run-a","until":"2100-01-01T00:00:00Z"}`: ErrInvalid, `{"format":2}`: ErrUnsupported,
	} {
		writeTest(t, path, []byte(contents))
		s = openTestStore(t, s.dir)
		if got, err := s.Lease(t.Context(), "run-a"); !errors.Is(err, code) || !got.IsZero() {
			t.Errorf("%q: Lease gives %v, %v", contents, got, err)
		}
		if got := readTest(t, path); string(got) != contents {
			t.Errorf("%q became %q", contents, got)
		}
		if err := s.Renew(t.Context(), "run-a", until); err != nil {
			t.Errorf("%q: Renew gives %v", contents, err)
		}
		if got, err := s.Lease(t.Context(), "run-a"); err != nil || !got.Equal(until.Round(0)) {
			t.Errorf("%q: after Renew, Lease gives %v, %v", contents, got, err)
		}
	}
	if err := s.Renew(t.Context(), "run-a", time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)); !errors.Is(err, ErrInvalid) {
		t.Errorf("Renew until the year 12026 gives %v", err)
	}
}

func TestFileStoreNames(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	for _, name := range []string{"", ".", "..", "../x", "a/b", "A", "a.b", "a b", "a\x00", "é", strings.Repeat("a", 65)} {
		op := testOperation(t, "token")
		op.ID = name
		_, _, err := s.Create(t.Context(), op, "run-a")
		_, lerr := s.Load(t.Context(), name)
		_, serr := s.Lease(t.Context(), name)
		for what, err := range map[string]error{
			"Create": err, "Load": lerr, "Lease": serr, "Renew": s.Renew(t.Context(), name, time.Now()),
			"Save": s.Save(t.Context(), &Record{Operation: op}), "Forget": s.Forget(t.Context(), name),
		} {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%s of %q gives %v", what, name, err)
			}
		}
	}
	if err := s.Renew(t.Context(), strings.Repeat("a", 64), time.Now()); err != nil {
		t.Error(err)
	}
}

func TestFileStoreForget(t *testing.T) {
	s, recs := crashScene{}.prepare(t)
	unknown := operationID("test", ActionBackup, testRef, "unknown")
	err := s.Forget(t.Context(), recs["running"].Operation.ID, recs["ended"].Operation.ID, unknown)
	if !errors.Is(err, ErrConflict) || !errors.Is(err, ErrNotFound) {
		t.Errorf("Forget gives %v", err)
	}
	wantConsistent(t, s, recs, map[string][]string{"running": {"old"}, "ending": {"old"}, "ended": {""}})
	// The same Operation, made again, has a version that a holder of the old one does not have.
	op := testOperation(t, "forgotten")
	op.Phase = PhaseSucceeded
	first := createTest(t, s, op)
	if err := s.Forget(t.Context(), op.ID); err != nil {
		t.Fatal(err)
	}
	createTest(t, s, op)
	if err := s.Save(t.Context(), &first); !errors.Is(err, ErrConflict) {
		t.Errorf("Save with a version from before Forget gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Forget(ctx, op.ID); !errors.Is(err, context.Canceled) {
		t.Errorf("Forget with a context that is over gives %v", err)
	}
}

// TestFileStoreLeaseWithoutEnd does not take a lease that says nothing for that of a run that is dead.
func TestFileStoreLeaseWithoutEnd(t *testing.T) {
	s, _ := crashScene{}.prepare(t)
	for _, text := range []string{`{"format":1,"run":"other"}`, `{"format":1,"run":"other","until":"0001-01-01T00:00:00Z"}`} {
		writeTest(t, s.path(dirLeases, "other"), []byte(text))
		if until, err := s.Lease(t.Context(), "other"); err == nil {
			t.Errorf("%s: the lease ends at %v", text, until)
		}
	}
}

func TestFileStoreTidies(t *testing.T) {
	s, recs := crashScene{}.prepare(t)
	old, recent := filepath.Join(s.dir, dirTemp, "op-x-1"), filepath.Join(s.dir, dirTemp, "op-x-2")
	for path, age := range map[string]time.Duration{old: 2 * tempAge, recent: tempAge / 2} {
		writeTest(t, path, []byte("{"))
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	for run, age := range map[string]time.Duration{"long-dead": 2 * leaseAge, "dead": leaseAge / 2} {
		if err := s.Renew(t.Context(), run, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	writeTest(t, filepath.Join(s.dir, dirOperations, ".DS_Store"), []byte("x"))
	writeTest(t, filepath.Join(s.dir, dirOperations, "README.json"), []byte("x"))

	s = openTestStore(t, s.dir)
	for path, want := range map[string]bool{old: false, recent: true, s.path(dirLeases, "long-dead"): false, s.path(dirLeases, "dead"): true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v, want it kept: %v", filepath.Base(path), err, want)
		}
	}
	wantConsistent(t, s, recs, nil)
}

func TestFileStoreLeavesNothing(t *testing.T) {
	s, recs := crashScene{}.prepare(t)
	stale := *recs["running"]
	if err := saveAs(s, recs["running"], "new", PhaseSucceeded); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), &stale); !errors.Is(err, ErrConflict) {
		t.Errorf("Save gives %v", err)
	}
	if _, created, err := s.Create(t.Context(), stale.Operation, ""); created || err != nil {
		t.Errorf("created %v, error %v", created, err)
	}
	// The losers of a race have written a file already.
	op, other := testOperation(t, "raced"), openTestStore(t, s.dir)
	s.step = func(step string) {
		if step == "lock" {
			s.step = nil
			createTest(t, other, op)
		}
	}
	if _, created, err := s.Create(t.Context(), op, ""); created || err != nil {
		t.Errorf("created %v, error %v", created, err)
	}
	winner := *recs["ending"]
	s.step = func(step string) {
		if step == "lock" {
			s.step = nil
			if err := saveAs(other, &winner, "won", PhaseRunning); err != nil {
				t.Error(err)
			}
		}
	}
	if err := saveAs(s, recs["ending"], "lost", PhaseRunning); !errors.Is(err, ErrConflict) {
		t.Errorf("Save gives %v", err)
	}
	entries, err := os.ReadDir(filepath.Join(s.dir, dirTemp))
	if err != nil || len(entries) != 0 {
		t.Errorf("%d temporary files are left, error %v", len(entries), err)
	}
}

// TestFileStoreContextBetweenFiles ends the context while a call is at its second file.
func TestFileStoreContextBetweenFiles(t *testing.T) {
	for name, c := range map[string]struct {
		step  string
		want  []string // the stages afterwards
		files int      // that were begun
	}{
		"writing":  {"create tmp", []string{"old", "old", "old"}, 2},
		"renaming": {"rename finished", []string{"new", "new", "old"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			s, recs := crashScene{}.prepare(t)
			stop := errors.New("the reason")
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			files, seen := 0, 0
			s.step = func(step string) {
				if step == "create tmp" {
					files++
				}
				if step == c.step {
					if seen++; step == "rename finished" || seen == 2 {
						cancel(stop)
					}
				}
			}
			order := []*Record{recs["running"], recs["ended"], recs["ending"]}
			var before []string
			for _, rec := range order {
				rec.Operation.Stage = "new"
				before = append(before, rec.Version)
			}
			if err := s.Save(ctx, order...); !errors.Is(err, stop) {
				t.Errorf("Save gives %v", err)
			}
			if files != c.files {
				t.Errorf("%d files were begun, want %d", files, c.files)
			}
			for i, rec := range order {
				got, err := s.Load(t.Context(), rec.Operation.ID)
				if err != nil || got.Operation.Stage != c.want[i] || (rec.Version == before[i]) != (c.want[i] == "old") || got.Version != rec.Version {
					t.Errorf("record %d is in stage %q, want %q; its version is %q, before %q, stored %q; error %v",
						i, got.Operation.Stage, c.want[i], rec.Version, before[i], got.Version, err)
				}
			}
		})
	}
}

// TestFileStoreExact: what comes out is what went in to the byte, so that an Operation which did not change does not look changed.
func TestFileStoreExact(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	rec := createTest(t, s, fullOperation(t))
	got, err := s.Load(t.Context(), rec.Operation.ID)
	if err != nil {
		t.Fatal(err)
	}
	for what, op := range map[string]Operation{"Create": rec.Operation, "Load": got.Operation} {
		if d := cmp.Diff(fullOperation(t), op); d != "" {
			t.Errorf("%s (-want +got):\n%s", what, d)
		}
	}
}

func TestFileStoreModes(t *testing.T) {
	umask := syscall.Umask(0)
	defer syscall.Umask(umask)
	s := openTestStore(t, filepath.Join(t.TempDir(), "new", "store"))
	createTest(t, s, testOperation(t, "token"))
	if err := s.Renew(t.Context(), "run-a", time.Now()); err != nil {
		t.Fatal(err)
	}
	seen := 0
	err := filepath.WalkDir(filepath.Dir(s.dir), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		seen++
		want := os.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %v, want %v", path, got, want)
		}
		return nil
	})
	if err != nil || seen != 9 {
		t.Errorf("%d files and folders, error %v", seen, err)
	}
}

func TestOpenFileStoreErrors(t *testing.T) {
	if _, err := OpenFileStore(""); !errors.Is(err, ErrInvalid) {
		t.Errorf("an empty folder gives %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	writeTest(t, file, nil)
	if _, err := OpenFileStore(file); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a file gives %v", err)
	}
	if _, err := OpenFileStore(filepath.Join(file, "below")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a folder below a file gives %v", err)
	}
}

// TestFileStoreGone: a disk that is not there any more must not read as "there is no such Operation", or the work would be done twice.
func TestFileStoreGone(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	op := createTest(t, s, testOperation(t, "token")).Operation
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	_, err := s.Load(t.Context(), op.ID)
	_, _, cerr := s.Create(t.Context(), op, "run-a")
	_, lerr := s.Lease(t.Context(), "run-a")
	var uerr error
	for _, err := range s.Unfinished(t.Context()) {
		uerr = err
	}
	for what, err := range map[string]error{"Load": err, "Create": cerr, "Lease": lerr, "Unfinished": uerr, "Save": s.Save(t.Context(), &Record{Operation: op})} {
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s gives %v", what, err)
		}
	}
}

// TestFileStoreManyFinished: a list of the unfinished opens no file of a finished Operation.
func TestFileStoreManyFinished(t *testing.T) {
	s := openTestStore(t, t.TempDir())
	want := createTest(t, s, testOperation(t, "running"))
	bad := s.path(dirFinished, "op-x") // reading it would be an error
	writeTest(t, bad, []byte("x"))
	for i := range 10_000 {
		if err := os.Link(bad, s.path(dirFinished, fmt.Sprintf("op-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	started := time.Now()
	n := 0
	for rec, err := range s.Unfinished(t.Context()) {
		if err != nil || rec.Version != want.Version {
			t.Errorf("Unfinished yields %v, %v", rec.Operation.ID, err)
		}
		n++
	}
	if d := time.Since(started); n != 1 || d > time.Second {
		t.Errorf("%d records in %v", n, d)
	}
}

// FuzzRecordFile reads whatever a file may hold: it never panics, its errors have a code, and a record that it reads is written so that it
// reads the same again.
func FuzzRecordFile(f *testing.F) {
	op := fullOperation(f)
	good, _, err := encodeRecord(op, "run-a", "1-a")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, seed := range []string{"", "null", "[]", `{"format":1}`, `{"format":2}`, `{"format":1,"operation":null}`, `{"format":1,"operation":{"version":1}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, err := decodeRecord("file.json", op.ID, b)
		if err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrUnsupported) || HintOf(err) == "" {
				t.Fatalf("an error without a code or a hint: %v", err)
			}
			return
		}
		again, _, err := encodeRecord(rec.Operation, rec.Run, rec.Version)
		if err != nil {
			t.Fatalf("what was read can not be written: %v", err)
		}
		if !bytes.Equal(again, good) { // without the key to the checksum, and there is none, only the good one is read
			var flat, want bytes.Buffer
			if json.Compact(&flat, again) != nil || json.Compact(&want, good) != nil || flat.String() != want.String() {
				t.Fatalf("read:\n%s", b)
			}
		}
	})
}

func readTest(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeTest(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
