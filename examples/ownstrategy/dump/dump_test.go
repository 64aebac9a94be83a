package dump_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/backuptest"
	"github.com/snapwarden/snapwarden/examples/ownstrategy/dump"
)

// The whole test of a Strategy of one's own: say what there is to back up and how to see the truth, and the suite does the rest.
func TestConformance(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: func(t testing.TB) *backuptest.Subject {
		server := &dump.Server{}
		server.Set("orders", "1", "two apples")
		return subject(server, t.TempDir())
	}})
}

// The same in real time and on one service, as it would be against AWS. Nothing is left behind.
func TestConformanceLive(t *testing.T) {
	server, dir := &dump.Server{}, t.TempDir()
	server.Set("orders", "1", "two apples")
	backuptest.TestStrategy(t, backuptest.Harness{Live: true, New: func(testing.TB) *backuptest.Subject { return subject(server, dir) }})
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v %v", files, err)
	}
}

func subject(server *dump.Server, dir string) *backuptest.Subject {
	open := func() backup.Strategy {
		return &dump.Strategy{Server: server, Dir: dir, Account: "111122223333", Region: "eu-west-1"}
	}
	s := open().(*dump.Strategy)
	resource := s.Ref(dump.TypeDatabase, "orders")
	elsewhere := resource
	elsewhere.Region = "eu-central-1"
	return &backuptest.Subject{
		Strategy:  s,
		Restart:   open,
		Resource:  resource,
		Missing:   s.Ref(dump.TypeDatabase, "no-such-database"),
		Malformed: []backup.Ref{s.Ref(dump.TypeDatabase, "../orders"), s.Ref(dump.TypeFile, "op-x")},
		Unserved:  []backup.Ref{elsewhere},
		BadSpecs: map[backup.Action][]backup.Spec{
			backup.ActionBackup:  {{Name: "orders"}},
			backup.ActionRestore: {{Name: "../orders"}, {Name: "Orders"}},
		},
		Spec: func(action backup.Action, token string) backup.Spec {
			if action == backup.ActionRestore {
				return backup.Spec{Name: "from-" + token[:min(len(token), 40)]}
			}
			return backup.Spec{}
		},
		Count: func(id string) (n int) {
			files, _ := filepath.Glob(filepath.Join(dir, id+"*"))
			for _, label := range server.Labels() {
				if label == id {
					n++
				}
			}
			return n + len(files)
		},
		Exists: func(r backup.Ref) bool {
			if r.Type == dump.TypeFile {
				_, err := os.Stat(filepath.Join(dir, r.ID+".dump"))
				return err == nil
			}
			_, ok := server.Get(r.ID)
			return ok
		},
		Clean: func(op backup.Operation) {
			for _, r := range op.Points {
				_ = os.Remove(filepath.Join(dir, r.ID+".dump"))
			}
		},
	}
}

// What the suite can not know: that the data comes back.
func TestRoundTrip(t *testing.T) {
	server := &dump.Server{}
	for i := range 1000 {
		server.Set("orders", fmt.Sprint(i), strings.Repeat("line\n", i%7))
	}
	want, _ := server.Get("orders")
	s := &dump.Strategy{Server: server, Dir: t.TempDir(), Account: "111122223333", Region: "eu-west-1"}
	runner, err := backup.NewRunner([]backup.Strategy{s})
	if err != nil {
		t.Fatal(err)
	}
	op, err := s.Start(t.Context(), s.Ref(dump.TypeDatabase, "orders"), backup.Spec{Token: "tonight"})
	if err != nil {
		t.Fatal(err)
	}
	if op, err = runner.Run(t.Context(), op); err != nil {
		t.Fatal(err)
	}
	server.Set("orders", "0", "changed after the backup")
	if op, err = s.StartRestore(t.Context(), op.Points[0], backup.Spec{Token: "tonight", Name: "restored"}); err != nil {
		t.Fatal(err)
	}
	if _, err = runner.Run(t.Context(), op); err != nil {
		t.Fatal(err)
	}
	got, _ := server.Get("restored")
	if len(got) != len(want) {
		t.Errorf("%d values came back, want %d", len(got), len(want))
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("the value of %s is %q, want %q", k, got[k], v)
		}
	}
}
