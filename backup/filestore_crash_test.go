//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func openTestStore(t testing.TB, dir string) *FileStore {
	t.Helper()
	s, err := OpenFileStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func createTest(t testing.TB, s *FileStore, op Operation) Record {
	t.Helper()
	rec, created, err := s.Create(t.Context(), op, "run-a")
	if err != nil || !created {
		t.Fatalf("created %v, error %v", created, err)
	}
	return rec
}

// crashScene is one call that changes the folder.
type crashScene struct {
	name string
	// act makes the call; recs are the stored records "running", "ending" and "ended".
	act func(s *FileStore, recs map[string]*Record) error
	// steps are the changes of the file system, in their order.
	steps []string
	// after gives the stages that may be stored afterwards, by token; "" means none. The last of them is what the call wanted.
	after map[string][]string
}

func saveAs(s *FileStore, changes ...any) error {
	var recs []*Record
	for i := 0; i < len(changes); i += 3 {
		rec := changes[i].(*Record)
		rec.Operation.Stage = changes[i+1].(string)
		rec.Operation.Phase = changes[i+2].(Phase)
		recs = append(recs, rec)
	}
	return s.Save(context.Background(), recs...)
}

var (
	writeSteps  = []string{"create tmp", "write tmp", "sync tmp"}
	crashScenes = []crashScene{
		{
			name: "create",
			act: func(s *FileStore, _ map[string]*Record) error {
				op, err := NewOperation("test", ActionBackup, testRef, Spec{Token: "fresh"})
				if err != nil {
					return err
				}
				op.Stage = "new"
				_, created, err := s.Create(context.Background(), op, "run-a")
				if err == nil && !created {
					err = errors.New("not created")
				}
				return err
			},
			steps: append(writeSteps[:3:3], "lock", "rename operations", "syncdir operations"),
			after: map[string][]string{"fresh": {"", "new"}},
		},
		{
			name: "save",
			act: func(s *FileStore, recs map[string]*Record) error {
				return saveAs(s, recs["running"], "new", PhaseRunning)
			},
			steps: append(writeSteps[:3:3], "lock", "rename operations", "syncdir operations"),
			after: map[string][]string{"running": {"old", "new"}},
		},
		{
			name: "end",
			act: func(s *FileStore, recs map[string]*Record) error {
				return saveAs(s, recs["running"], "new", PhaseSucceeded)
			},
			steps: append(writeSteps[:3:3], "lock", "rename finished", "syncdir finished", "remove operations", "syncdir operations"),
			after: map[string][]string{"running": {"old", "new"}},
		},
		{
			name: "open again what has ended",
			act: func(s *FileStore, recs map[string]*Record) error {
				return saveAs(s, recs["ended"], "new", PhaseRunning)
			},
			steps: append(writeSteps[:3:3], "lock", "rename operations", "syncdir operations", "remove finished", "syncdir finished"),
			after: map[string][]string{"ended": {"old", "new"}},
		},
		{
			name: "save many",
			act: func(s *FileStore, recs map[string]*Record) error {
				return saveAs(s, recs["running"], "new", PhaseRunning, recs["ending"], "new", PhaseFailed, recs["ended"], "new", PhasePartial)
			},
			steps: append(append(append(writeSteps[:3:3], writeSteps...), writeSteps...), "lock", "rename operations", "rename finished", "rename finished",
				"syncdir finished", "syncdir operations", "remove operations", "syncdir operations"),
			after: map[string][]string{"running": {"old", "new"}, "ending": {"old", "new"}, "ended": {"old", "new"}},
		},
		{
			name: "forget",
			act: func(s *FileStore, recs map[string]*Record) error {
				return s.Forget(context.Background(), recs["ended"].Operation.ID)
			},
			steps: []string{"lock", "remove finished", "syncdir finished"},
			after: map[string][]string{"ended": {"old", ""}},
		},
		{
			name: "renew",
			act: func(s *FileStore, _ map[string]*Record) error {
				return s.Renew(context.Background(), "run-a", leaseNew)
			},
			steps: append(writeSteps[:3:3], "lock", "rename leases", "syncdir leases"),
		},
	}
	leaseOld = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	leaseNew = leaseOld.Add(time.Hour)
)

func (c crashScene) prepare(t *testing.T) (*FileStore, map[string]*Record) {
	t.Helper()
	s := openTestStore(t, t.TempDir())
	recs := map[string]*Record{}
	for token, phase := range map[string]Phase{"running": PhaseRunning, "ending": PhaseRunning, "ended": PhaseSucceeded} {
		rec := createTest(t, s, testOperation(t, token))
		if err := saveAs(s, &rec, "old", phase); err != nil {
			t.Fatal(err)
		}
		recs[token] = &rec
	}
	if err := s.Renew(t.Context(), "run-a", leaseOld); err != nil {
		t.Fatal(err)
	}
	return s, recs
}

// TestFileStoreSteps holds the order on which everything rests when the power goes: contents before names, the new name before the old one's
// removal, and nothing acknowledged before its folder is synced.
func TestFileStoreSteps(t *testing.T) {
	for _, c := range crashScenes {
		t.Run(c.name, func(t *testing.T) {
			s, recs := c.prepare(t)
			var steps []string
			s.step = func(name string) { steps = append(steps, name) }
			if err := c.act(s, recs); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.steps, steps); d != "" {
				t.Errorf("steps (-want +got):\n%s", d)
			}
		})
	}
}

// TestFileStoreCrash crashes before each step of each call, opens the folder again, and goes on.
func TestFileStoreCrash(t *testing.T) {
	crashes := 0
	for _, c := range crashScenes {
		for n := range c.steps {
			crashes++
			t.Run(fmt.Sprintf("%s/%d before %s", c.name, n, c.steps[n]), func(t *testing.T) {
				s, recs := c.prepare(t)
				crash(t, s, n, func() { _ = c.act(s, recs) })
				again := openTestStore(t, s.dir)
				wantConsistent(t, again, recs, c.after)
				if until, err := again.Lease(t.Context(), "run-a"); err != nil || !until.Equal(leaseOld) && !until.Equal(leaseNew) {
					t.Errorf("the lease is until %v, error %v", until, err)
				}

				// Whoever comes next can do what was not done.
				for token, rec := range recs {
					got, err := again.Load(t.Context(), rec.Operation.ID)
					if c.name == "forget" && errors.Is(err, ErrNotFound) {
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					*recs[token] = got
				}
				want := map[string][]string{}
				for token, stages := range c.after {
					want[token] = stages[len(stages)-1:]
				}
				if err := c.act(again, recs); err != nil && !(c.name == "create" && strings.Contains(err.Error(), "not created")) &&
					!(c.name == "forget" && errors.Is(err, ErrNotFound)) {
					t.Fatalf("after the crash: %v", err)
				}
				wantConsistent(t, again, recs, want)
			})
		}
	}
	if crashes < 30 {
		t.Errorf("only %d crashes", crashes)
	}
}

// crash calls f, which must come to its step n, and dies there.
func crash(t *testing.T, s *FileStore, n int, f func()) {
	t.Helper()
	type death struct{}
	defer func() {
		if r := recover(); r != (death{}) {
			t.Fatalf("no crash but %v", r)
		}
	}()
	s.step = func(string) {
		if n--; n < 0 {
			panic(death{})
		}
	}
	f()
}

// wantConsistent wants for each Operation one of the allowed stages, everywhere the same one.
func wantConsistent(t *testing.T, s *FileStore, recs map[string]*Record, after map[string][]string) {
	t.Helper()
	open := map[string]Record{}
	for rec, err := range s.Unfinished(t.Context()) {
		if err != nil {
			t.Errorf("Unfinished: %v", err)
		}
		open[rec.Operation.ID] = rec
	}
	tokens := map[string][]string{}
	for token := range recs {
		tokens[token] = []string{"old"}
	}
	for token, stages := range after {
		tokens[token] = stages
	}
	for token, stages := range tokens {
		id := operationID("test", ActionBackup, testRef, token)
		rec, err := s.Load(t.Context(), id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", token, err)
			continue
		}
		if !slices.Contains(stages, rec.Operation.Stage) {
			t.Errorf("%s is in stage %q, want one of %q", token, rec.Operation.Stage, stages)
		}
		listed, isListed := open[id]
		if want := err == nil && !rec.Operation.Done(); isListed != want {
			t.Errorf("%s, %s, is listed as unfinished: %v", token, rec.Operation.Phase, isListed)
		}
		if isListed {
			if d := cmp.Diff(rec, listed); d != "" {
				t.Errorf("Load and Unfinished differ (-load +unfinished):\n%s", d)
			}
		}
	}
}

// TestFileStoreForgetAfterCrash: an Operation's unfinished past must not come to life again when its end is forgotten.
func TestFileStoreForgetAfterCrash(t *testing.T) {
	c := crashScenes[2]
	s, recs := c.prepare(t)
	crash(t, s, 6, func() { _ = c.act(s, recs) }) // before "remove operations"
	id := recs["running"].Operation.ID

	s = openTestStore(t, s.dir)
	var steps []string
	s.step = func(name string) { steps = append(steps, name) }
	if err := s.Forget(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"lock", "remove operations", "syncdir operations", "remove finished", "syncdir finished"}, steps); d != "" {
		t.Errorf("steps (-want +got):\n%s", d)
	}
	if _, err := s.Load(t.Context(), id); !errors.Is(err, ErrNotFound) {
		t.Errorf("after Forget, Load gives %v", err)
	}
}

// TestFileStoreDiskFails: a disk that refuses costs nothing that is there, and what was not made durable is not acknowledged.
func TestFileStoreDiskFails(t *testing.T) {
	for _, c := range []struct {
		name, step string
		gone       string // the folder that is gone at that step
		phase      Phase
		stored     string // the stage afterwards
	}{
		{"no new file", "create tmp", dirTemp, PhaseRunning, "old"},
		{"no new name", "rename operations", dirTemp, PhaseRunning, "old"},
		{"name not durable", "syncdir operations", dirOperations, PhaseRunning, "new"},
		{"end not durable", "syncdir finished", dirFinished, PhaseFailed, "new"}, // the old file must stay
		{"removal not durable", "syncdir operations", dirOperations, PhaseFailed, "new"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, recs := crashScene{}.prepare(t)
			rec := recs["running"]
			version := rec.Version
			gone, away := filepath.Join(s.dir, c.gone), filepath.Join(s.dir, "away")
			failed := false
			s.step = func(step string) {
				if failed && strings.HasPrefix(step, "remove ") {
					t.Errorf("after the failure: %s", step)
				}
				if step == c.step {
					failed = true
					if err := os.Rename(gone, away); err != nil {
						t.Error(err)
					}
				}
			}
			err := saveAs(s, rec, "new", c.phase)
			if !errors.Is(err, ErrUnavailable) || rec.Version != version {
				t.Errorf("Save gives version %q, before %q, error %v", rec.Version, version, err)
			}
			s.step = nil
			if err := os.Rename(away, gone); err != nil {
				t.Fatal(err)
			}
			got, err := s.Load(t.Context(), rec.Operation.ID)
			if err != nil || got.Operation.Stage != c.stored {
				t.Errorf("stored is stage %q, want %q, error %v", got.Operation.Stage, c.stored, err)
			}
		})
	}
}

// TestFileStoreRefuses: what could not be read back is not written.
func TestFileStoreRefuses(t *testing.T) {
	s, recs := crashScene{}.prepare(t)
	before, err := json.Marshal(recs["running"])
	if err != nil {
		t.Fatal(err)
	}
	broken := *recs["running"]
	broken.Operation.State = json.RawMessage(`{"half":`)
	for name, rec := range map[string]*Record{
		"State is not JSON": &broken,
		"too long":          {Operation: withState(recs["running"].Operation, `"`+strings.Repeat("x", maxStoreFile)+`"`), Version: recs["running"].Version},
		"no version":        {Operation: withVersion(recs["running"].Operation, 0), Version: recs["running"].Version},
		"a bad run":         {Operation: recs["running"].Operation, Version: recs["running"].Version, Run: "../run"},
		"a bad id":          {Operation: Operation{ID: "../x"}},
		"nil":               nil,
	} {
		if err := s.Save(t.Context(), rec); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: Save gives %v", name, err)
		}
	}
	if err := s.Save(t.Context(), &Record{Operation: withVersion(recs["running"].Operation, OperationVersion+1), Version: recs["running"].Version}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("Save of a newer operation gives %v", err)
	}
	rec, err := s.Load(t.Context(), recs["running"].Operation.ID)
	if err != nil {
		t.Fatal(err)
	}
	after, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(before), string(after)); d != "" {
		t.Errorf("what was stored has changed:\n%s", d)
	}
}

func withState(op Operation, state string) Operation {
	op.State = json.RawMessage(state)
	return op
}

func withVersion(op Operation, v int) Operation {
	op.Version = v
	return op
}
