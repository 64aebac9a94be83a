// Package redis runs a redis-server for fixtures and tests: on a socket in a folder of its own, without a port, and speaks to it.
package redis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Server is a running server with one connection to it.
type Server struct {
	cmd  *exec.Cmd
	conn net.Conn
	in   *bufio.Reader
}

// Start starts a server that keeps its files in folder, and loads the dump.rdb that is there. Stop it in the end.
func Start(folder string, flags ...string) (*Server, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(folder, "s")
	s := &Server{cmd: exec.Command(program, append([]string{"--port", "0", "--unixsocket", socket, "--dir", folder, "--save", "", "--logfile", filepath.Join(folder, "log")}, flags...)...)}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if s.conn, err = net.Dial("unix", socket); err == nil {
			break
		}
		if time.Since(began) > 20*time.Second {
			s.Stop()
			return nil, err
		}
	}
	s.in = bufio.NewReader(s.conn)
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err = s.Do("PING"); err == nil {
			return s, nil
		}
		if time.Since(began) > 20*time.Second || !strings.HasPrefix(err.Error(), "LOADING") {
			s.Stop()
			return nil, err
		}
	}
}

// Stop ends the server, saving nothing.
func (s *Server) Stop() {
	if s.conn != nil {
		_ = s.conn.Close() // the server is killed anyway
	}
	_ = s.cmd.Process.Kill() // it may have ended by itself
	_ = s.cmd.Wait()         // so says its end
}

// Do sends one command and gives its answer as text; the elements of a list are separated by spaces.
func (s *Server) Do(words ...string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	if err := s.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(s.conn, b.String()); err != nil {
		return "", err
	}
	return s.answer()
}

func (s *Server) answer() (string, error) {
	line, err := s.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("an empty answer")
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '+', ':':
		return rest, nil
	case '-':
		return "", errors.New(rest)
	}
	n, err := strconv.Atoi(rest)
	if err != nil || n > 1<<24 {
		return "", fmt.Errorf("unexpected answer %q", line)
	}
	switch {
	case kind == '$' && n >= 0:
		b := make([]byte, n+2)
		if _, err := io.ReadFull(s.in, b); err != nil {
			return "", err
		}
		return string(b[:n]), nil
	case kind == '$':
		return "", nil
	case kind == '*':
		var all []string
		for range n {
			one, err := s.answer()
			if err != nil {
				return "", err
			}
			all = append(all, one)
		}
		return strings.Join(all, " "), nil
	}
	return "", fmt.Errorf("unexpected answer %q", line)
}
