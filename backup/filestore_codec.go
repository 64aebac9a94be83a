package backup

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
)

// fileFormat is the layout of a FileStore's files, apart from the Operation's own version.
const fileFormat = 1

// recordFile is an Operation's file.
type recordFile struct {
	Format  int    `json:"format"`
	Version string `json:"version"`
	Run     string `json:"run,omitempty"`
	// Sum is the SHA-256 of the above and of the Operation, in hex.
	Sum       string          `json:"sum"`
	Operation json.RawMessage `json:"operation"`
}

// sum hashes what a file says; op has no white space between its tokens.
func (f recordFile) sum(op []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%d:%s\n%d:%s\n", f.Format, len(f.Version), f.Version, len(f.Run), f.Run)
	h.Write(op)
	return hex.EncodeToString(h.Sum(nil))
}

// leaseFile is a run's file.
type leaseFile struct {
	Format int       `json:"format"`
	Run    string    `json:"run"`
	Until  time.Time `json:"until"`
}

// encodeRecord gives the file's bytes and the record as reading them back gives it, which shares nothing with op.
func encodeRecord(op Operation, run, version string) ([]byte, Record, error) {
	bad := func(err error, hint string) ([]byte, Record, error) {
		return nil, Record{}, recordError(&Record{Operation: op}, ErrInvalid, err, hint)
	}
	if run != "" {
		if err := checkFileName("run", run); err != nil {
			return nil, Record{}, err
		}
	}
	plain, err := json.Marshal(op)
	if err != nil {
		return bad(err, "the operation's State must be JSON")
	}
	rec := Record{Version: version, Run: run}
	// What can not be read back must not be stored: it would be found when it is too late.
	if err := json.Unmarshal(plain, &rec.Operation); err != nil {
		return nil, Record{}, recordError(&Record{Operation: op}, CodeOf(err), err, "use NewOperation")
	}
	f := recordFile{Format: fileFormat, Version: version, Run: run, Operation: plain}
	f.Sum = f.sum(plain)
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return bad(err, "")
	}
	if len(b) >= maxStoreFile {
		return bad(fmt.Errorf("the file would have %d bytes, more than %d", len(b), maxStoreFile), "an operation has at most "+strconv.Itoa(MaxOperationBytes))
	}
	return append(b, '\n'), rec, nil
}

// decodeRecord reads a file. The error is ErrUnsupported for one that a newer release wrote and ErrInvalid for one that is damaged.
func decodeRecord(path, id string, b []byte) (Record, error) {
	var f recordFile
	if err := decodeFile(path, b, &f, &f.Format); err != nil {
		return Record{}, err
	}
	var op bytes.Buffer
	if err := json.Compact(&op, f.Operation); err != nil {
		return Record{}, damaged(path, err)
	}
	rec := Record{Version: f.Version, Run: f.Run}
	if err := json.Unmarshal(op.Bytes(), &rec.Operation); err != nil {
		if errors.Is(err, ErrUnsupported) {
			return Record{}, newer(path, err)
		}
		return Record{}, damaged(path, err)
	}
	if got := f.sum(op.Bytes()); got != f.Sum {
		return Record{}, damaged(path, errors.New("the checksum is wrong"))
	}
	if rec.Operation.ID != id {
		return Record{}, damaged(path, fmt.Errorf("it holds the operation %q", rec.Operation.ID))
	}
	return rec, nil
}

func encodeLease(run string, until time.Time) ([]byte, error) {
	b, err := json.MarshalIndent(leaseFile{fileFormat, run, until.UTC().Round(0)}, "", "  ")
	if err != nil {
		return nil, storeError(ErrInvalid, err, "the end of a lease must be in a year that RFC 3339 can write")
	}
	return append(b, '\n'), nil
}

func decodeLease(path, run string, b []byte) (time.Time, error) {
	var f leaseFile
	if err := decodeFile(path, b, &f, &f.Format); err != nil {
		return time.Time{}, err
	}
	if f.Run != run {
		return time.Time{}, damaged(path, fmt.Errorf("it holds the lease of %q", f.Run))
	}
	if f.Until.IsZero() {
		// Without a time it would read as the lease of a run that is long dead, and its work would be taken from it.
		return time.Time{}, damaged(path, errors.New("it does not say until when the lease lasts"))
	}
	return f.Until, nil
}

// decodeFile reads a file of format 1 into v.
func decodeFile(path string, b []byte, v any, format *int) error {
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return damaged(path, err)
	}
	if head.Format > fileFormat {
		return newer(path, fmt.Errorf("format %d is newer than %d", head.Format, fileFormat))
	}
	if err := json.Unmarshal(b, v); err != nil {
		return damaged(path, err)
	}
	if *format != fileFormat {
		return damaged(path, fmt.Errorf("format %d", *format))
	}
	return nil
}

// nextVersion counts, for people, and adds 64 random bits, so that no version comes twice, even for an id that was forgotten in between.
func nextVersion(version string) string {
	count, _, _ := strings.Cut(version, "-")
	n, _ := strconv.ParseUint(count, 10, 63)
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: see crypto/rand
	return strconv.FormatUint(n+1, 10) + "-" + hex.EncodeToString(b[:])
}

// checkFileName refuses everything that could leave the folder, or be the same file as another name.
func checkFileName(what, s string) error {
	ok := len(s) >= 1 && len(s) <= 64
	for i := range len(s) {
		c := s[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-')
	}
	if ok {
		return nil
	}
	return storeError(ErrInvalid, fmt.Errorf("the %s %q has not 1 to 64 letters of a-z, digits and hyphens", what, truncate(s, 80)), "")
}

func storeError(code Code, cause error, hint string) error {
	return &Error{Op: "store", Code: code, Err: cause, Hint: hint}
}

func recordError(rec *Record, code Code, cause error, hint string) error {
	op := rec.Operation
	return &Error{Op: "store", Kind: op.Kind, Ref: op.Ref, Code: code, Err: fmt.Errorf("operation %s: %w", op.ID, cause), Hint: hint}
}

func damaged(path string, cause error) error {
	return storeError(ErrInvalid, fmt.Errorf("%s is damaged: %w", path, cause),
		path+" is left as it is: restore it, or move it away once you know what became of its work at AWS")
}

func newer(path string, cause error) error {
	return storeError(ErrUnsupported, fmt.Errorf("%s: %w", path, cause), "a newer release wrote "+path+", which is left as it is: upgrade this program")
}
