package rdb_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/s3export/rdb"
)

// crc is CRC-64/Jones bit by bit, as slow and as plain as it can be.
func crc(b []byte) (sum uint64) {
	for _, c := range b {
		sum ^= uint64(c)
		for range 8 {
			low := sum & 1
			sum >>= 1
			if low == 1 {
				sum ^= 0x95ac9329ac4bc9b5
			}
		}
	}
	return sum
}

// sealed makes a file of a header and some data.
func sealed(header string, data []byte) []byte {
	b := append([]byte(header), data...)
	b = append(b, 0xff)
	return binary.LittleEndian.AppendUint64(b, crc(b))
}

func noise(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	if _, err := r.Read(b); err != nil {
		panic(err)
	}
	return b
}

// naive is the check of a whole file at once, written for nothing but being right.
func naive(b []byte) (rdb.Info, rdb.Reason) {
	switch {
	case len(b) == 0:
		return rdb.Info{}, rdb.ReasonEmpty
	case len(b) < 18:
		return rdb.Info{}, rdb.ReasonShort
	}
	info := rdb.Info{Size: int64(len(b)), SHA256: sha256.Sum256(b)}
	digits := b[5:9]
	switch {
	case bytes.HasPrefix(b, []byte("REDIS")):
		info.Format = "REDIS"
	case bytes.HasPrefix(b, []byte("VALKEY")):
		info.Format, digits = "VALKEY", b[6:9]
	default:
		return rdb.Info{}, rdb.ReasonHeader
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return rdb.Info{}, rdb.ReasonHeader
		}
		info.Version = 10*info.Version + int(d-'0')
	}
	if info.Version == 0 {
		return rdb.Info{}, rdb.ReasonHeader
	}
	if b[len(b)-9] != 0xff {
		return rdb.Info{}, rdb.ReasonTruncated
	}
	switch carried := binary.LittleEndian.Uint64(b[len(b)-8:]); carried {
	case 0:
		info.ChecksumOff = true
	case crc(b[:len(b)-8]):
		info.CRC64 = carried
	default:
		return rdb.Info{}, rdb.ReasonChecksum
	}
	return info, ""
}

func reason(err error) rdb.Reason {
	var f *rdb.FormatError
	if errors.As(err, &f) {
		return f.Reason
	}
	return ""
}

// The value that the catalogue of CRCs gives for CRC-64/REDIS of "123456789", by way of a file.
func TestTheTestsOwnChecksum(t *testing.T) {
	if got := crc([]byte("123456789")); got != 0xe9c6d914c4b8d9ca {
		t.Errorf("%x", got)
	}
}

func TestCheck(t *testing.T) {
	good := sealed("REDIS0011", noise(1000))
	flip := func(i int) []byte {
		b := bytes.Clone(good)
		b[(i+len(b))%len(b)] ^= 1
		return b
	}
	off := bytes.Clone(good)
	clear(off[len(off)-8:])
	for _, c := range []struct {
		name string
		data []byte
		want rdb.Reason
	}{
		{"good", good, ""},
		{"valkey 9", sealed("VALKEY080", noise(300)), ""},
		{"old", sealed("REDIS0006", nil), ""},
		{"checksum off", off, ""},
		{"empty", nil, rdb.ReasonEmpty},
		{"short", good[:17], rdb.ReasonShort},
		{"truncated", good[:len(good)-1], rdb.ReasonTruncated},
		{"truncated within", good[:500], rdb.ReasonTruncated},
		{"flipped in the middle", flip(500), rdb.ReasonChecksum},
		{"flipped in the version", flip(8), rdb.ReasonChecksum},
		{"flipped in the checksum", flip(-1), rdb.ReasonChecksum},
		{"flipped in the end mark", flip(-9), rdb.ReasonTruncated},
		{"something after it", append(bytes.Clone(good), 0), rdb.ReasonTruncated},
		{"not rdb", append([]byte("PK\x03\x04"), good...), rdb.ReasonHeader},
		{"no version", sealed("REDIS00x1", nil), rdb.ReasonHeader},
		{"version 0", sealed("REDIS0000", nil), rdb.ReasonHeader},
		{"valkey with letters", sealed("VALKEY0A0", nil), rdb.ReasonHeader},
		{"lower case", sealed("redis0011", nil), rdb.ReasonHeader},
	} {
		t.Run(c.name, func(t *testing.T) {
			want, why := naive(c.data)
			if why != c.want {
				t.Fatalf("the plain check says %q", why)
			}
			for name, r := range map[string]io.Reader{
				"at once": bytes.NewReader(c.data), "byte by byte": iotest.OneByteReader(bytes.NewReader(c.data)),
				"by halves": iotest.HalfReader(bytes.NewReader(c.data)), "with the end": iotest.DataErrReader(bytes.NewReader(c.data)),
			} {
				got, err := rdb.Check(r)
				if reason(err) != c.want || (err == nil) != (c.want == "") {
					t.Errorf("%s: %v", name, err)
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%s: %s", name, d)
				}
			}
		})
	}
}

// A reader's own error is not an opinion about the file.
func TestCheckOfABrokenStream(t *testing.T) {
	broken := errors.New("reset")
	_, err := rdb.Check(io.MultiReader(bytes.NewReader(sealed("REDIS0011", nil)), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || reason(err) != "" {
		t.Error(err)
	}
}

// However the bytes come, and wherever the check is interrupted, the answer is the same.
func TestStateAtEveryOffset(t *testing.T) {
	data := sealed("REDIS0011", noise(400))
	want, _ := naive(data)
	for i := range len(data) {
		first := rdb.NewChecker()
		first.Write(data[:i])
		state, offset, err := first.State()
		if err != nil {
			t.Fatal(err)
		}
		if offset > int64(i) || int64(i)-offset > 72 {
			t.Fatalf("after %d bytes the check goes on at %d", i, offset)
		}
		second := rdb.NewChecker()
		second.Write([]byte("what was there before"))
		if err := second.SetState(state); err != nil {
			t.Fatal(err)
		}
		second.Write(data[offset:])
		for _, c := range []*rdb.Checker{second, first} {
			if c == first {
				first.Write(data[i:])
			}
			if got, err := c.Sum(); err != nil || got != want {
				t.Fatalf("interrupted at %d: %v %v", i, got, err)
			}
		}
	}
}

// The state holds nothing of the data.
func TestStateHoldsNoData(t *testing.T) {
	const secret = "a secret that somebody keeps in a cache"
	c := rdb.NewChecker()
	c.Write([]byte("REDIS0011"))
	for range 100 {
		c.Write([]byte(secret))
		state, _, err := c.State()
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(secret) - 4 {
			if bytes.Contains(state, []byte(secret[i:i+4])) {
				t.Fatalf("the state has %q", secret[i:i+4])
			}
		}
	}
}

func TestSetStateRefuses(t *testing.T) {
	good, _, err := rdb.NewChecker().State()
	if err != nil {
		t.Fatal(err)
	}
	changed := func(i int, b byte) []byte { s := bytes.Clone(good); s[i] = b; return s }
	for name, state := range map[string][]byte{
		"nothing": nil, "short": good[:20], "version": changed(0, 9), "no sum": good[:26], "offset": changed(17, 3), "negative": changed(10, 0xff), "sum": changed(27, 'x'),
	} {
		c := rdb.NewChecker()
		c.Write(sealed("REDIS0011", nil))
		if err := c.SetState(state); err == nil {
			t.Errorf("%s was taken", name)
		}
		if _, err := c.Sum(); err != nil {
			t.Errorf("%s: the check is not as it was: %v", name, err)
		}
	}
}

// Sum may be asked in between and changes nothing.
func TestSumInBetween(t *testing.T) {
	data := sealed("VALKEY080", noise(200))
	c := rdb.NewChecker()
	for i := range data {
		if _, err := c.Sum(); err == nil {
			t.Fatalf("%d bytes are a whole file", i)
		}
		c.Write(data[i : i+1])
	}
	if _, err := c.Sum(); err != nil {
		t.Error(err)
	}
}

func TestReader(t *testing.T) {
	data := sealed("REDIS0011", noise(5000))
	want, _ := naive(data)
	other := sealed("REDIS0011", append(noise(4999), 7))
	bad := bytes.Clone(data)
	bad[100] ^= 4
	for _, c := range []struct {
		name string
		data []byte
		want *rdb.Info
		ok   bool
		is   func(error) bool
	}{
		{"any", data, nil, true, nil},
		{"the wanted one", data, &want, true, nil},
		{"another of the same size", other, &want, false, mismatch},
		{"a longer one", sealed("REDIS0011", noise(9000)), &want, false, mismatch},
		{"a shorter one", sealed("REDIS0011", noise(10)), &want, false, mismatch},
		{"damaged", bad, &want, false, func(err error) bool { return reason(err) == rdb.ReasonChecksum }},
		{"damaged, any", bad, nil, false, func(err error) bool { return reason(err) == rdb.ReasonChecksum }},
		{"cut", data[:4000], &want, false, func(err error) bool { return reason(err) == rdb.ReasonTruncated }},
		{"nothing", nil, nil, false, func(err error) bool { return reason(err) == rdb.ReasonEmpty }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, in := range []io.Reader{bytes.NewReader(c.data), iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(c.data)))} {
				r := rdb.NewReader(in, c.want)
				got, err := io.ReadAll(r)
				if (err == nil) != c.ok || !c.ok && !c.is(err) {
					t.Fatal(err)
				}
				if c.ok && !bytes.Equal(got, c.data) {
					t.Error("other bytes came out")
				}
				// The verdict stays.
				if _, again := r.Read(make([]byte, 1)); c.ok && again != io.EOF || !c.ok && !errors.Is(again, err) { //nolint:errorlint // io.EOF itself is wanted
					t.Errorf("asked again: %v", again)
				}
			}
		})
	}
	broken := errors.New("reset")
	if _, err := io.ReadAll(rdb.NewReader(iotest.ErrReader(broken), nil)); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func mismatch(err error) bool {
	var m *rdb.MismatchError
	return errors.As(err, &m)
}

// The files in testdata were written by a real redis-server (internal/rdbfixtures), and two of them were damaged afterwards.
func TestFixtures(t *testing.T) {
	for name, want := range map[string]rdb.Reason{
		"types.rdb": "", "databases.rdb": "", "empty.rdb": "", "nochecksum.rdb": "", "truncated.rdb": rdb.ReasonTruncated, "flipped.rdb": rdb.ReasonChecksum,
	} {
		f, err := os.Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		info, err := rdb.Check(f)
		f.Close()
		if reason(err) != want || (err == nil) != (want == "") {
			t.Errorf("%s: %v", name, err)
		}
		if want == "" && (info.Format != "REDIS" || info.ChecksumOff != (name == "nochecksum.rdb")) {
			t.Errorf("%s: %+v", name, info)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(sealed("REDIS0011", noise(100)), 7)
	f.Add(sealed("VALKEY080", nil), 1)
	f.Add([]byte("REDIS0011"), 3)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		for _, b := range [][]byte{data, sealed("REDIS0011", data)} {
			want, why := naive(b)
			step := 1 + (step&0x7fffffff)%300
			c := rdb.NewChecker()
			for i := 0; i < len(b); i += step {
				c.Write(b[i:min(i+step, len(b))])
			}
			got, err := c.Sum()
			if reason(err) != why || (err == nil) != (why == "") || got != want {
				t.Fatalf("%v %v, want %v %q", got, err, want, why)
			}
		}
	})
}

// A Checker is small: the table of the polynomial is there once, for all.
func TestCheckerIsSmall(t *testing.T) {
	const n = 1000
	kept := make([]*rdb.Checker, n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range kept {
		kept[i] = rdb.NewChecker()
	}
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(kept)
	if size := (after.TotalAlloc - before.TotalAlloc) / n; size > 1024 {
		t.Errorf("%d bytes each", size)
	}
}
