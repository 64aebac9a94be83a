// Package rdb checks .rdb files, the snapshots of Redis and Valkey, while they stream by: header, end, CRC-64 and SHA-256, in constant memory.
//
//	info, err := rdb.Check(body)
//
// It needs the standard library only and can be used alone. It does not read the keys: what the checksum covers is as the server wrote it, and
// a file without a checksum is told as such.
//
// The form of a file: "REDIS" and four digits, or "VALKEY" and three (Valkey 9 and later), at the start; the byte 0xFF and the CRC-64 of
// everything before it, little-endian, at the end. Eight zero bytes say that the server was told to write no checksum. Source: Redis,
// src/rdb.c and src/crc64.c; Valkey, src/rdb.c.
package rdb

import (
	"errors"
	"fmt"
	"io"
)

// Info is what a whole file was found to be.
type Info struct {
	// Format is "REDIS" or "VALKEY"; Version is the number after it.
	Format  string
	Version int
	// Size is the number of bytes.
	Size int64
	// SHA256 is that of all bytes.
	SHA256 [32]byte
	// CRC64 is the checksum that the file carries, and that its bytes have; 0 where it carries none.
	CRC64 uint64
	// ChecksumOff tells that the file was written without a checksum: that its middle is whole could not be checked.
	ChecksumOff bool
}

// Reason says what is wrong with a file. The constants are stable.
type Reason string

// What can be wrong.
const (
	ReasonEmpty     Reason = "empty"     // there are no bytes
	ReasonShort     Reason = "short"     // fewer bytes than the smallest file has
	ReasonHeader    Reason = "header"    // it does not begin as an .rdb file does
	ReasonTruncated Reason = "truncated" // no end mark stands where the last bytes are
	ReasonChecksum  Reason = "checksum"  // the bytes do not have the checksum that the file carries
)

// FormatError says that a file is no whole .rdb file.
type FormatError struct {
	Reason Reason
	// Offset is the place, in bytes from the start.
	Offset int64
	// Detail is the reason in words; not stable. It repeats none of the data but the header.
	Detail string
}

// Error describes the fault for a person.
func (e *FormatError) Error() string {
	return fmt.Sprintf("not a whole .rdb file: %s at offset %d", e.Detail, e.Offset)
}

// Check reads r to its end. The error is r's own, or a *FormatError.
func Check(r io.Reader) (Info, error) {
	c := NewChecker()
	if _, err := io.CopyBuffer(c, r, make([]byte, 64<<10)); err != nil {
		return Info{}, err
	}
	return c.Sum()
}

// Reader gives the bytes of another reader and checks them. In place of io.EOF it gives the *FormatError of a file that is damaged, or a
// *MismatchError where the file is whole but not the wanted one: whoever reads to io.EOF has read what was wanted.
type Reader struct {
	r     io.Reader
	check *Checker
	want  *Info
	end   error
}

// NewReader makes a Reader. Of want, Size and SHA256 count; nil means that any whole file will do.
func NewReader(r io.Reader, want *Info) *Reader {
	return &Reader{r: r, check: NewChecker(), want: want}
}

// MismatchError says that a whole .rdb file is not the one that was wanted.
type MismatchError struct {
	// WantSize and GotSize are in bytes; where they are equal the contents differ.
	WantSize, GotSize int64
}

// Error describes the difference.
func (e *MismatchError) Error() string {
	if e.WantSize != e.GotSize {
		return fmt.Sprintf("the file has %d bytes and not %d", e.GotSize, e.WantSize)
	}
	return "the file has another SHA-256 than it should"
}

// Read reads and checks.
func (r *Reader) Read(p []byte) (int, error) {
	if r.end != nil {
		return 0, r.end
	}
	n, err := r.r.Read(p)
	r.check.write(p[:n])
	if r.want != nil && r.check.size > r.want.Size {
		// More than was wanted: nothing that follows can make it right, and it may be without end.
		r.end = &MismatchError{r.want.Size, r.check.size}
		return 0, r.end
	}
	if errors.Is(err, io.EOF) {
		r.end = r.verdict()
		return n, r.end
	}
	r.end = err
	return n, err
}

func (r *Reader) verdict() error {
	info, err := r.check.Sum()
	switch {
	case err != nil:
		return err
	case r.want != nil && (info.Size != r.want.Size || info.SHA256 != r.want.SHA256):
		return &MismatchError{r.want.Size, info.Size}
	}
	return io.EOF
}
