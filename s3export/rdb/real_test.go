package rdb_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/snapwarden/snapwarden/internal/rdbfixtures/redis"
	"github.com/snapwarden/snapwarden/s3export/rdb"
)

// A real server writes a file, which is whole; a second one loads it back; a file that is called damaged here is refused there.
func TestRealServer(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed")
	}
	start := func(folder string) *redis.Server {
		s, err := redis.Start(folder)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		return s
	}
	do := func(s *redis.Server, words ...string) string {
		out, err := s.Do(words...)
		if err != nil {
			t.Fatal(words[0], err)
		}
		return out
	}
	// A socket's path must be short, so these are not t.TempDir.
	folder := func() string {
		d, err := os.MkdirTemp("", "r")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(d) })
		return d
	}
	first := folder()
	s := start(first)
	for i := range 1000 {
		do(s, "SET", fmt.Sprintf("key:%d", i), fmt.Sprintf("value %d", i))
	}
	do(s, "SAVE")
	data, err := os.ReadFile(filepath.Join(first, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(first, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := rdb.Check(f)
	if err != nil || info.Format != "REDIS" || info.ChecksumOff || info.Size != int64(len(data)) {
		t.Fatalf("%+v %v", info, err)
	}

	second := folder()
	if err := os.WriteFile(filepath.Join(second, "dump.rdb"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	s = start(second)
	if n, v := do(s, "DBSIZE"), do(s, "GET", "key:777"); n != "1000" || v != "value 777" {
		t.Errorf("%s keys, and key:777 is %q", n, v)
	}

	data[len(data)/2] ^= 1
	third := folder()
	bad := filepath.Join(third, "bad.rdb")
	if err := os.WriteFile(bad, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if program, err := exec.LookPath("redis-check-rdb"); err == nil {
		if out, err := exec.Command(program, bad).CombinedOutput(); err == nil {
			t.Errorf("redis-check-rdb takes a damaged file:\n%s", out)
		}
	}
}
