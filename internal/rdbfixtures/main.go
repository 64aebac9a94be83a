// Command rdbfixtures writes the .rdb files in s3export/rdb/testdata anew, by a real redis-server, which must be on PATH:
//
//	go run ./internal/rdbfixtures s3export/rdb/testdata
//
// Two of them are damaged on purpose. The files differ from run to run in a time stamp and in the server's version; what the tests hold of
// them does not.
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/snapwarden/snapwarden/internal/rdbfixtures/redis"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: rdbfixtures FOLDER")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

// dump is one file: what is written to the server before it saves.
type dump struct {
	name     string
	flags    []string
	commands []string
}

var dumps = []dump{
	{name: "empty.rdb"},
	{name: "types.rdb", commands: []string{
		"SET text value", "SET number 1234567", "SET long " + strings.Repeat("abcdefgh", 40), "SET passing soon EX 86400",
		"RPUSH list a b c 1 2 3", "HSET hash field value other 7", "SADD integers 1 2 300", "SADD words one two three",
		"ZADD scores 1 low 2.5 middle 1e9 high", "XADD stream 1-1 field value", "PFADD log a b c", "SETBIT bits 100 1",
		"HSET wide " + pairs(200), "SADD many " + words(600),
	}},
	{name: "databases.rdb", commands: []string{"SET zero 0", "SELECT 1", "SET one 1", "SELECT 15", "SET fifteen 15"}},
	{name: "nochecksum.rdb", flags: []string{"--rdbchecksum", "no"}, commands: []string{"SET text value"}},
}

func pairs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "f%d v%d ", i, i)
	}
	return strings.TrimSpace(b.String())
}

func words(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "w%d ", i)
	}
	return strings.TrimSpace(b.String())
}

func run(folder string) error {
	for _, d := range dumps {
		data, err := d.make()
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		if err := os.WriteFile(filepath.Join(folder, d.name), data, 0o644); err != nil { //nolint:gosec // fixtures are for everybody
			return err
		}
		if d.name != "types.rdb" {
			continue
		}
		flipped := bytes.Clone(data)
		flipped[len(flipped)/2] ^= 0x10
		for name, bad := range map[string][]byte{"flipped.rdb": flipped, "truncated.rdb": data[:len(data)*2/3]} {
			if err := os.WriteFile(filepath.Join(folder, name), bad, 0o644); err != nil { //nolint:gosec // as above
				return err
			}
		}
	}
	return nil
}

func (d dump) make() ([]byte, error) {
	folder, err := os.MkdirTemp("", "rdb")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }() // a temporary one
	server, err := redis.Start(folder, d.flags...)
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	for _, c := range append(d.commands, "SAVE") {
		if _, err := server.Do(strings.Fields(c)...); err != nil {
			return nil, fmt.Errorf("%.40s: %w", c, err)
		}
	}
	return os.ReadFile(filepath.Join(folder, "dump.rdb"))
}
