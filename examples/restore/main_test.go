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

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
)

const golden = "testdata/report.golden"

// bubble runs f in virtual time with a cloud that has nothing in it yet, and gives the report.
func bubble(t *testing.T, f func(t *testing.T, c *cloud)) string {
	t.Helper()
	var text bytes.Buffer
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { f(t, newCloud(&report{w: &text}, dir)) })
	return text.String()
}

// The whole program. Golden files are made anew with SNAPWARDEN_UPDATE=1, and then read by a person.
func TestReport(t *testing.T) {
	got := bubble(t, func(t *testing.T, c *cloud) {
		if err := c.everything(t.Context()); err != nil {
			t.Error(err)
		}
		c.verify(t)
	})
	if os.Getenv("SNAPWARDEN_UPDATE") != "" {
		if err := os.WriteFile(filepath.FromSlash(golden), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(filepath.FromSlash(golden))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
		t.Errorf("the report is not the one that was reviewed (-want +got):\n%s", d)
	}
}

// verify looks at the truth behind the report, and does not trust the program's own checks.
func (c *cloud) verify(t *testing.T) {
	t.Helper()
	now := c.attached()
	bySource := map[string]int{} // the volumes that were made, by the snapshot
	for _, v := range c.ec2.Volumes(c.world, account, region) {
		if v.Deleted {
			t.Errorf("%s was deleted", v.ID)
		}
		if v.Snapshot != "" {
			bySource[v.Snapshot]++
		}
		if at := now[v.Device]; v.ID == c.old[dataDevice] && (v.Instance != "" || at == v.ID) {
			t.Errorf("the old volume %s is attached", v.ID)
		}
	}
	if len(now) != 3 || now[rootDevice] != c.old[rootDevice] || now[dataDevice] == c.old[dataDevice] || now[journalDevice] == c.old[journalDevice] {
		t.Errorf("attached %v, at first %v", now, c.old)
	}
	// Of the data volume: beside, swap, and the swap that was taken back; of the journal the two swaps; of the root none.
	for _, s := range c.ec2.Snapshots(c.world, account, region) {
		want := map[string]int{c.old[dataDevice]: 3, c.old[journalDevice]: 2}[s.Volume]
		if bySource[s.ID] != want || s.Deleted || s.Tags[ebs.TagConsistency] != ebs.ConsistencyApplication {
			t.Errorf("%s of %s: %d volumes, wanted %d; deleted %t; tags %v", s.ID, s.Volume, bySource[s.ID], want, s.Deleted, s.Tags)
		}
	}
	if d := cmp.Diff(files{"customers": "311 rows", "orders": "1204 rows"}, c.host.on(now[dataDevice])); d != "" {
		t.Error(d)
	}
	for operation, want := range map[string]int{"CreateSnapshots": 1, "CreateVolume": 5, "DeleteVolume": 0, "DeleteSnapshot": 0,
		"CreateReplicationGroup": 3, "DeleteReplicationGroup": 1, "CreateSnapshot": 6} {
		if n := c.calls(operation); n != want {
			t.Errorf("%s took effect %d times, wanted %d", operation, n, want)
		}
	}
	if g := c.group(sessions); !g.AtRest || g.NodeType != "cache.r7g.large" || g.Status != "available" || len(g.Shards) != 1 || len(g.Shards[0]) != 2 {
		t.Errorf("%+v", g)
	}
	store, err := backup.OpenFileStore(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range store.Unfinished(t.Context()) {
		t.Errorf("unfinished: %s of %s, %v", r.Operation.Action, r.Operation.Ref, err)
	}
}

func TestCommand(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
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
		if code := command(t.Context(), nil, io.Discard, io.Discard); code != 0 {
			t.Errorf("all is well: %d", code)
		}
	})
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no room") }
