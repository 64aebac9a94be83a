package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
)

func TestRefusedRequests(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.start()
		defer p.close()
		calls := len(b.world.Calls())
		ref := func(r backup.Ref) string {
			out, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			return `{"slot":"s","ref":` + string(out) + `}`
		}
		good := ref(b.volume)
		header := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
		same := func(*http.Request) {}
		for _, c := range []struct {
			name, method, path, body string
			change                   func(*http.Request)
			status                   int
		}{
			{"no JSON", "POST", "/backups", "backup", same, http.StatusBadRequest},
			{"half of it", "POST", "/backups", good[:20], same, http.StatusBadRequest},
			{"two values", "POST", "/backups", good + good, same, http.StatusBadRequest},
			{"an unknown field", "POST", "/backups", strings.Replace(good, "{", `{"tags":{},`, 1), same, http.StatusBadRequest},
			{"no slot", "POST", "/backups", `{}`, same, http.StatusBadRequest},
			{"no ref", "POST", "/backups", `{"slot":"s"}`, same, http.StatusBadRequest},
			{"an unknown type", "POST", "/backups", ref(backup.Ref{Type: "s3/bucket", Account: account, Region: region, ID: "x"}), same, http.StatusBadRequest},
			{"another account", "POST", "/backups", ref(ebs.Volume("999988887777", region, b.volume.ID)), same, http.StatusBadRequest},
			{"another Region", "POST", "/backups", ref(ebs.Volume(account, "eu-west-2", b.volume.ID)), same, http.StatusBadRequest},
			{"a wildcard", "POST", "/backups", ref(ebs.Volume(account, region, "vol-*")), same, http.StatusBadRequest},
			{"too long", "POST", "/backups", `{"slot":"` + strings.Repeat("s", maxBody) + `"}`, same, http.StatusRequestEntityTooLarge},
			{"a form", "POST", "/backups", good, header("Content-Type", "text/plain"), http.StatusUnsupportedMediaType},
			{"from a web page", "POST", "/backups", good, header("Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
			{"from an older browser", "POST", "/backups", good, header("Origin", "https://example.com"), http.StatusForbidden},
			{"for another host", "POST", "/backups", good, func(r *http.Request) { r.Host = "example.com:8700" }, http.StatusMisdirectedRequest},
			{"an id that is unknown", "GET", "/backups/op-unknown", "", same, http.StatusNotFound},
			{"a path instead of an id", "GET", "/backups/..%2F..%2Fetc%2Fpasswd", "", same, http.StatusBadRequest},
			{"an upper-case id", "GET", "/backups/OP-X", "", same, http.StatusBadRequest},
			{"an unknown id to cancel", "DELETE", "/backups/op-unknown", "", same, http.StatusNotFound},
			{"a path to cancel", "DELETE", "/backups/..%2Flock", "", same, http.StatusBadRequest},
			{"another method", "PUT", "/backups", good, same, http.StatusMethodNotAllowed},
			{"another path", "GET", "/", "", same, http.StatusNotFound},
		} {
			r := p.do(c.method, c.path, c.body, c.change)
			if r.status != c.status {
				t.Errorf("%s: %d, wanted %d: %+v", c.name, r.status, c.status, r.Error)
			}
			if r.Error != nil && strings.Contains(r.Error.Message+r.Error.Hint, b.dir) {
				t.Errorf("%s: the answer tells the folder: %+v", c.name, r.Error)
			}
			if r.status == http.StatusBadRequest && (r.Error == nil || r.Error.Message == "" || r.Error.Code != backup.ErrInvalid) {
				t.Errorf("%s: answered %+v", c.name, r.Error)
			}
		}
		if n := len(b.world.Calls()) - calls; n != 0 {
			t.Errorf("%d calls were made", n)
		}
		if l := p.do("GET", "/backups", "", func(r *http.Request) { r.Host = "localhost:8700" }); l.status != http.StatusOK || len(l.Backups) != 0 {
			t.Errorf("%+v", l)
		}
	})
}

func TestStatusOf(t *testing.T) {
	for code, want := range map[backup.Code]int{
		backup.ErrInvalid: 400, backup.ErrNotFound: 404, backup.ErrConflict: 409, backup.ErrCanceled: 409, backup.ErrUnsupported: 501,
		backup.ErrDenied: 502, backup.ErrQuota: 507, backup.ErrThrottled: 503, backup.ErrUnavailable: 503, backup.ErrPartial: 500, backup.ErrFailed: 500,
	} {
		if got := statusOf(fmt.Errorf("wrapped: %w", &backup.Error{Code: code})); got != want {
			t.Errorf("%s: %d, wanted %d", code, got, want)
		}
	}
	if got := statusOf(errors.New("a stranger")); got != 500 {
		t.Errorf("a stranger: %d", got)
	}
}

// The whole program on a real socket, in real time: it starts a backup, is told to stop in the middle, gives the backup back and ends.
func TestShutdown(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout, printed := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-simulated", "-listen", "127.0.0.1:0", "-dir", dir}, printed, io.Discard)
		printed.Close()
	}()
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		t.Fatalf("no address was printed: %v", <-ended)
	}
	url := lines.Text()
	go func() { _, _ = io.Copy(io.Discard, stdout) }()

	client := &http.Client{Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	post, err := client.Post(url, "application/json", strings.NewReader(
		`{"slot":"2026-11-20","ref":{"type":"rds/instance","account":"111122223333","region":"eu-west-1","id":"orders-00001"}}`))
	if err != nil {
		t.Fatal(err)
	}
	var begun view
	err = json.NewDecoder(post.Body).Decode(&begun)
	post.Body.Close()
	if err != nil || post.StatusCode != http.StatusAccepted {
		t.Fatalf("%d %v", post.StatusCode, err)
	}

	cancel() // what a SIGTERM does
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	if r, err := client.Get(url); err == nil {
		r.Body.Close()
		t.Errorf("it still answers: %d", r.StatusCode)
	}
	store, err := backup.OpenFileStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := store.Load(t.Context(), begun.ID)
	if err != nil || rec.Run != "" || rec.Operation.Done() {
		t.Errorf("run %q, phase %s, %v", rec.Run, rec.Operation.Phase, err)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range []string{"-listen 0.0.0.0:8700 -simulated", "-listen :8700 -simulated", "-listen example.com:80 -simulated", "-region eu-west-1", "-x"} {
		if err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}
