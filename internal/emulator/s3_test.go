package emulator

import (
	"slices"
	"strings"
	"testing"
)

// behaviour is something that S3 does.
type behaviour struct {
	id string
	// what is done, and what AWS is documented to answer, in the words that run observes.
	what, aws string
	run       func(s *store) string
}

// behaviours is the table of what is expected of every S3.
func behaviours() []behaviour {
	return slices.Concat(bucketRows(), accessRows(), objectRows(), copyRows(), uploadRows(), versionRows(), lockRows(), archiveRows(), checksumRows(), objectcopyRows())
}

// TestS3 holds every row against the simulated S3, moto and versitygw.
func TestS3(t *testing.T) {
	seen := map[string]string{}
	for _, b := range behaviours() {
		if seen[b.id] != "" || b.aws == "" || b.id != strings.ToLower(b.id) {
			t.Errorf("two rows have the id %q, or it can not be in a bucket's name, or the row expects nothing", b.id)
		}
		seen[b.id] = b.aws
	}
	for _, of := range []server{simulated, moto, versity} {
		known := map[string]bool{}
		for _, d := range s3Differences(of) {
			if seen[d.id] == "" || seen[d.id] == d.sees || known[d.id] || d.so == "" {
				t.Errorf("the known difference %s of %s has no row, is none, is told twice, or does not say what follows from it", d.id, of)
			}
			known[d.id] = true
		}
	}
	t.Run(string(simulated), func(t *testing.T) {
		for _, b := range behaviours() {
			t.Run(b.id, func(t *testing.T) {
				onSimulation(t, b.id+"-", func(s *store) { b.hold(s) })
			})
		}
	})
	for name, open := range map[server]func(*testing.T) func(*testing.T, string) *store{moto: motoStore, versity: versityStore} {
		t.Run(string(name), func(t *testing.T) {
			at := open(t)
			for _, b := range behaviours() {
				t.Run(b.id, func(t *testing.T) { b.hold(at(t, b.id+"-")) })
			}
		})
	}
}

// hold compares what is observed with the row.
func (b behaviour) hold(s *store) {
	s.t.Helper()
	want, d := b.aws, s3Difference{}
	for _, x := range s3Differences(s.server) {
		if x.id == b.id {
			want, d = x.sees, x
		}
	}
	got := b.observe(s)
	switch {
	case got != want && d.id != "" && got == b.aws:
		s.t.Errorf("%s: %s does as AWS does now: remove the known difference %q", b.what, s.server, want)
	case got != want:
		s.t.Errorf("%s:\nobserved %q\nwanted   %q", b.what, got, want)
	case d.id != "":
		if s.noted != nil {
			s.noted.add("s3-" + b.id)
		}
		s.t.Logf("%s: %s: %s; AWS: %s; %s", b.what, s.server, got, b.aws, d.so)
	}
}

// observe runs the row. Where it could not go on, that is what was observed.
func (b behaviour) observe(s *store) (saw string) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case stopped:
			saw = string(r)
		default:
			panic(r)
		}
	}()
	return b.run(s)
}
