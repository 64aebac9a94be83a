package s3store

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// format is the layout of the objects, apart from the Operation's own version.
const format = 1

// recordObject is an Operation's object.
type recordObject struct {
	Format int `json:"format"`
	// Count and Nonce are the version: the one for people, the other so that no two writes have the same bytes.
	Count uint64 `json:"count"`
	Nonce string `json:"nonce"`
	// Marker is the one that keeps the Operation in the list of the unfinished, or kept it there; empty if it had ended when it was created.
	Marker string `json:"marker,omitempty"`
	Run    string `json:"run,omitempty"`
	// Sum is the SHA-256 of the above and of the Operation, in hex.
	Sum       string          `json:"sum"`
	Operation json.RawMessage `json:"operation"`
}

// sum hashes what an object says; op has no white space between its tokens.
func (o recordObject) sum(op []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%d\n%q\n%q\n%q\n", o.Format, o.Count, o.Nonce, o.Marker, o.Run)
	h.Write(op)
	return hex.EncodeToString(h.Sum(nil))
}

// leaseObject is a run's object.
type leaseObject struct {
	Format int       `json:"format"`
	Run    string    `json:"run"`
	Until  time.Time `json:"until"`
	Nonce  string    `json:"nonce"`
	// Sum is the SHA-256 of the above, in hex: a lease with a wrong time gives an Operation to two runs.
	Sum string `json:"sum"`
}

func (o leaseObject) sum() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%q\n%q\n%q\n", o.Format, o.Run, o.Until.Format(time.RFC3339Nano), o.Nonce)
	return hex.EncodeToString(h.Sum(nil))
}

// version is what backup.Record.Version says: all that a Save must know of what it replaces, so that it need not read it first.
type version struct {
	count uint64
	nonce string
	// marker is the record's, and ended tells whether the Operation had ended.
	marker string
	ended  bool
	etag   string
}

// String gives the Record's Version, such as 3-0123456789abcdef-fedcba9876543210-open-9b2cf535f27731c974343645a3985328.
func (v version) String() string {
	state := "open"
	if v.ended {
		state = "ended"
	}
	return strconv.FormatUint(v.count, 10) + "-" + v.nonce + "-" + v.marker + "-" + state + "-" + v.etag
}

// parseVersion reports false for what no Store has made.
func parseVersion(s string) (version, bool) {
	part := strings.SplitN(s, "-", 5)
	if len(part) != 5 || !isETag(part[4]) {
		return version{}, false
	}
	count, err := strconv.ParseUint(part[0], 10, 63)
	v := version{count, part[1], part[2], part[3] == "ended", part[4]}
	return v, err == nil && v.valid() && v.String() == s
}

// valid reports whether every part but the ETag is as a Store makes it: only what was created with its end has no marker.
func (v version) valid() bool {
	return v.count > 0 && isNonce(v.nonce) && (isNonce(v.marker) || v.marker == "" && v.ended)
}

// stored is a record with its version in parts.
type stored struct {
	rec backup.Record
	ver version
}

// with gives the record its ETag, which is known after the write only.
func (st stored) with(etag string) stored {
	st.ver.etag = etag
	st.rec.Version = st.ver.String()
	return st
}

// encodeRecord gives the object's bytes and the record as reading them back gives it, without its ETag; it shares nothing with op.
func encodeRecord(op backup.Operation, run string, v version) ([]byte, stored, error) {
	bad := func(code backup.Code, err error, hint string) ([]byte, stored, error) {
		return nil, stored{}, &backup.Error{Op: opStore, Kind: op.Kind, Ref: op.Ref, Code: code, Err: fmt.Errorf("operation %s: %w", op.ID, err), Hint: hint}
	}
	plain, err := json.Marshal(op)
	if err != nil {
		return bad(backup.ErrInvalid, err, "the operation's State must be JSON")
	}
	st := stored{rec: backup.Record{Run: run}, ver: v}
	// What can not be read back must not be stored: it would be found when it is too late.
	if err := json.Unmarshal(plain, &st.rec.Operation); err != nil {
		return bad(backup.CodeOf(err), err, "use NewOperation")
	}
	st.ver.ended = st.rec.Operation.Done()
	o := recordObject{Format: format, Count: v.count, Nonce: v.nonce, Marker: v.marker, Run: run, Operation: plain}
	o.Sum = o.sum(plain)
	b, err := json.Marshal(o)
	if err != nil {
		return bad(backup.ErrInvalid, err, "")
	}
	if len(b) > maxObject {
		return bad(backup.ErrInvalid, fmt.Errorf("the object would have %d bytes, more than %d", len(b), maxObject),
			"an operation has at most "+strconv.Itoa(backup.MaxOperationBytes))
	}
	return b, st, nil
}

// decodeRecord reads an object that exists. The code is ErrUnsupported for one that a newer release wrote and ErrInvalid for one that is damaged.
func decodeRecord(place, id string, from object) (stored, error) {
	var o recordObject
	if err := decodeObject(place, from.body, &o, &o.Format); err != nil {
		return stored{}, err
	}
	var op bytes.Buffer
	if err := json.Compact(&op, o.Operation); err != nil {
		return stored{}, damaged(place, err)
	}
	st := stored{rec: backup.Record{Run: o.Run}, ver: version{count: o.Count, nonce: o.Nonce, marker: o.Marker}}
	if err := json.Unmarshal(op.Bytes(), &st.rec.Operation); err != nil {
		if errors.Is(err, backup.ErrUnsupported) {
			return stored{}, newer(place, err)
		}
		return stored{}, damaged(place, err)
	}
	switch {
	case o.sum(op.Bytes()) != o.Sum:
		return stored{}, damaged(place, errors.New("the checksum is wrong"))
	case st.rec.Operation.ID != id:
		return stored{}, damaged(place, fmt.Errorf("it holds the operation %q", shorten(st.rec.Operation.ID)))
	case !isETag(from.etag):
		return stored{}, damaged(place, fmt.Errorf("its ETag is %q", shorten(from.etag)))
	}
	if st.ver.ended = st.rec.Operation.Done(); !st.ver.valid() {
		return stored{}, damaged(place, errors.New("its version is not one"))
	}
	return st.with(from.etag), nil
}

func encodeLease(run string, until time.Time) ([]byte, error) {
	o := leaseObject{Format: format, Run: run, Until: until.UTC().Round(0), Nonce: newNonce()}
	o.Sum = o.sum()
	b, err := json.Marshal(o)
	if err != nil {
		return nil, &backup.Error{Op: opStore, Code: backup.ErrInvalid, Err: err, Hint: "the end of a lease must be in a year that RFC 3339 can write"}
	}
	return b, nil
}

func decodeLease(place, run string, body []byte) (time.Time, error) {
	var o leaseObject
	if err := decodeObject(place, body, &o, &o.Format); err != nil {
		return time.Time{}, err
	}
	switch {
	case o.sum() != o.Sum:
		return time.Time{}, damaged(place, errors.New("the checksum is wrong"))
	case o.Run != run:
		return time.Time{}, damaged(place, fmt.Errorf("it holds the lease of %q", shorten(o.Run)))
	}
	return o.Until, nil
}

// decodeObject reads an object of this format into v.
func decodeObject(place string, b []byte, v any, got *int) error {
	if len(b) > maxObject {
		return damaged(place, fmt.Errorf("it is longer than %d bytes", maxObject))
	}
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return damaged(place, err)
	}
	if head.Format > format {
		return newer(place, fmt.Errorf("format %d is newer than %d", head.Format, format))
	}
	if err := json.Unmarshal(b, v); err != nil {
		return damaged(place, err)
	}
	if *got != format {
		return damaged(place, fmt.Errorf("format %d", *got))
	}
	return nil
}

// nonceDigits is the length of a nonce: 64 random bits in hex.
const nonceDigits = 16

func newNonce() string {
	var b [nonceDigits / 2]byte
	_, _ = rand.Read(b[:]) // never fails: see crypto/rand
	return hex.EncodeToString(b[:])
}

func isNonce(s string) bool {
	return len(s) == nonceDigits && strings.Trim(s, "0123456789abcdef") == ""
}

// isETag lets nothing into a header that does not belong there, nor the star that matches every object.
func isETag(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '*' }) < 0
}

// checkName refuses everything that is not one name in a key.
func checkName(what, s string) error {
	ok := len(s) >= 1 && len(s) <= 64
	for i := range len(s) {
		c := s[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if ok {
		return nil
	}
	return invalid(fmt.Sprintf("the %s %q has not 1 to 64 letters of a-z, digits and hyphens", what, shorten(s)), "use NewOperation, and a run's name from NewRunner")
}

func damaged(place string, cause error) error {
	return &backup.Error{Op: opStore, Code: backup.ErrInvalid, Err: fmt.Errorf("%s is damaged: %w", place, cause),
		Hint: "it is left as it is: restore an earlier version of the object, or move it away once you know what became of its work at AWS"}
}

func newer(place string, cause error) error {
	return &backup.Error{Op: opStore, Code: backup.ErrUnsupported, Err: fmt.Errorf("%s: %w", place, cause),
		Hint: "a newer release wrote it, and it is left as it is: upgrade this program"}
}
