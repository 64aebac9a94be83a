package elasticachesim_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/internal/rdbfixtures/redis"
	"github.com/snapwarden/snapwarden/s3export/rdb"
)

// shardNames are names of every length of a length.
func shardNames() []string {
	names := []string{"plain-0001", strings.Repeat("\u00e9", 505) + "-0001", strings.Repeat("\U0001f5c4", 1000) + "-0001"}
	for _, n := range []int{57, 58, 59, 63, 64, 100, 255, 256, 1000} { // with :key:0 behind it, 58 is the first that needs two bytes
		names = append(names, strings.Repeat("a", n))
	}
	return names
}

// keysOf reads the keys of a file that has text in database 0 only, as the format is described in src/rdb.h of Redis.
func keysOf(t *testing.T, b []byte) map[string]string {
	t.Helper()
	at := len("REDIS0011")
	text := func() string {
		n := int(b[at])
		switch n >> 6 {
		case 0:
			at++
		case 1:
			n = int(binary.BigEndian.Uint16(b[at:])) & 0x3fff
			at += 2
		default:
			t.Fatalf("at %d: no length of text but %#x", at, n)
		}
		at += n
		return string(b[at-n : at])
	}
	keys := map[string]string{}
	for {
		op := b[at]
		at++
		switch op {
		case 0xfa:
			text()
			text()
		case 0xfe: // the number of the database
			at++
		case 0xfb: // how many keys, and how many that expire
			at += 2
		case 0:
			key := text()
			keys[key] = text()
		case 0xff:
			if at != len(b)-8 {
				t.Fatalf("it ends at %d of %d", at, len(b))
			}
			return keys
		default:
			t.Fatalf("at %d: %#x", at-1, op)
		}
	}
}

// A file can be read whatever the length of the names in it.
func TestRDBFile(t *testing.T) {
	for _, name := range shardNames() {
		b := elasticachesim.RDBFile("redis", "7.1", "nightly", name)
		if info, err := rdb.Check(bytes.NewReader(b)); err != nil || info.ChecksumOff || info.Version != 11 {
			t.Errorf("%+v %v", info, err)
		}
		want := map[string]string{}
		for i := range 3 {
			want[fmt.Sprintf("%s:key:%d", name, i)] = fmt.Sprintf("value %d of nightly", i)
		}
		if d := cmp.Diff(want, keysOf(t, b)); d != "" {
			t.Errorf("%d bytes of name: %s", len(name), d)
		}
	}
}

// A real server loads it.
func TestRDBFileInARealServer(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed")
	}
	names := shardNames()
	for _, name := range []string{names[0], names[1], names[2], strings.Repeat("a", 58)} {
		folder, err := os.MkdirTemp("", "r") // a socket's path must be short
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(folder) })
		if err := os.WriteFile(filepath.Join(folder, "dump.rdb"), elasticachesim.RDBFile("redis", "6.2", strings.Repeat("s", 100), name), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := redis.Start(folder)
		if err != nil {
			t.Fatal(err)
		}
		n, err := s.Do("DBSIZE")
		v, err2 := s.Do("GET", name+":key:2")
		s.Stop()
		if n != "3" || err != nil || err2 != nil || v != "value 2 of "+strings.Repeat("s", 40) {
			t.Errorf("%q keys %v, %q %v", n, err, v, err2)
		}
	}
}
