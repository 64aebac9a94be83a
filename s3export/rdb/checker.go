package rdb

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc64"
)

const (
	headerLen = 9                          // "REDIS0011", "VALKEY080"
	tailLen   = 9                          // the end mark and the checksum
	minLen    = headerLen + tailLen        // a file without any data
	endMark   = 0xff                       // Source: Redis, src/rdb.h, RDB_OPCODE_EOF
	jones     = uint64(0x95ac9329ac4bc9b5) // the polynomial of CRC-64/Jones with its bits reversed. Source: Redis, src/crc64.c
)

// Checker checks a file that is written to it. The zero value can not be used: make it with NewChecker. It keeps a few hundred bytes,
// whatever the file's size.
//
// Its state can be marshaled between two writes, so that a long check can be carried on by another process. The state holds nothing of the
// file but its header: what is summed is always a multiple of the block size of SHA-256, and the rest has to be written again.
type Checker struct {
	head [headerLen]byte
	size int64
	// done is how many of size bytes are in the two sums: always a multiple of block. The others are in the first size-done places of rest.
	done int64
	rest [block + tailLen]byte
	crc  uint64
	sum  hash.Hash
}

// table is that of the polynomial, for all Checkers: 2 KiB that nobody changes.
var table = crc64.MakeTable(jones)

// block is the block size of SHA-256.
const block = sha256.BlockSize

// NewChecker makes a Checker. It is cheap enough to be made for every file.
func NewChecker() *Checker {
	return &Checker{sum: sha256.New()}
}

// Write checks the next bytes. It never fails: what is wrong is told by Sum.
func (c *Checker) Write(p []byte) (int, error) {
	c.write(p)
	return len(p), nil
}

func (c *Checker) write(p []byte) {
	if c.size < headerLen {
		copy(c.head[c.size:], p)
	}
	kept := int(c.size - c.done)
	c.size += int64(len(p))
	// The last bytes are kept back, because they may be the tail, and as many more as it takes to sum whole blocks.
	sum := (kept + len(p) - tailLen) / block * block
	if sum <= 0 {
		copy(c.rest[kept:], p)
		return
	}
	if sum < kept {
		c.update(c.rest[:sum])
		kept = copy(c.rest[:], c.rest[sum:kept])
		copy(c.rest[kept:], p)
		return
	}
	c.update(c.rest[:kept])
	c.update(p[:sum-kept])
	copy(c.rest[:], p[sum-kept:])
}

// update sums the next bytes, in stretches that stay in the cache between the one sum and the other.
func (c *Checker) update(p []byte) {
	c.done += int64(len(p))
	for len(p) > 0 {
		n := min(len(p), 16<<10)
		c.sum.Write(p[:n])
		c.crc = c.crcOf(p[:n])
		p = p[n:]
	}
}

// crcOf carries the checksum on. Go's CRC-64 begins with all ones and inverts its result; Redis does neither. Inverting before and after each
// stretch undoes both.
func (c *Checker) crcOf(p []byte) uint64 { return ^crc64.Update(^c.crc, table, p) }

// Sum says what was written: an Info, or a *FormatError. More may be written afterwards.
func (c *Checker) Sum() (Info, error) {
	info := Info{Size: c.size}
	bad := func(reason Reason, offset int64, format string, args ...any) (Info, error) {
		return Info{}, &FormatError{reason, offset, fmt.Sprintf(format, args...)}
	}
	switch {
	case c.size == 0:
		return bad(ReasonEmpty, 0, "no bytes at all")
	case c.size < minLen:
		return bad(ReasonShort, c.size, "only %d bytes", c.size)
	}
	var ok bool
	if info.Format, info.Version, ok = header(c.head[:]); !ok {
		return bad(ReasonHeader, 0, "it begins with %q, and not with REDIS or VALKEY and a version", c.head[:])
	}
	rest := c.rest[:c.size-c.done]
	body, tail := rest[:len(rest)-tailLen], rest[len(rest)-tailLen:]
	if tail[0] != endMark {
		return bad(ReasonTruncated, c.size-tailLen, "no end mark before the last eight bytes")
	}
	if carried := binary.LittleEndian.Uint64(tail[1:]); carried == 0 {
		info.ChecksumOff = true
	} else {
		// The end mark is covered by the checksum.
		if got := c.crcOf(rest[:len(body)+1]); got != carried {
			return bad(ReasonChecksum, c.size-8, "the file carries the checksum %016x and its bytes have %016x", carried, got)
		}
		info.CRC64 = carried
	}
	sum, err := clone(c.sum)
	if err != nil {
		return Info{}, err
	}
	sum.Write(rest)
	sum.Sum(info.SHA256[:0])
	return info, nil
}

// clone copies a sum, so that more may be written to the original.
func clone(h hash.Hash) (hash.Hash, error) {
	c, ok := h.(hash.Cloner)
	if !ok {
		return nil, errors.New("rdb: SHA-256 can not be copied")
	}
	return c.Clone()
}

// header reads the first bytes.
func header(b []byte) (format string, version int, ok bool) {
	for _, f := range [...]string{"REDIS", "VALKEY"} {
		if string(b[:len(f)]) != f {
			continue
		}
		for _, d := range b[len(f):] {
			if d < '0' || d > '9' {
				return "", 0, false
			}
			version = version*10 + int(d-'0')
		}
		return f, version, version > 0
	}
	return "", 0, false
}

// stateVersion is the first byte of a marshaled Checker.
const stateVersion = 1

// State gives the state of the check, some 130 bytes, and the offset in the file from which on the bytes must be written again to a Checker
// that SetState gave it: at most 72 before the end of what was written.
func (c *Checker) State() (state []byte, offset int64, err error) {
	b := append([]byte{stateVersion}, c.head[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(c.done))
	b = binary.BigEndian.AppendUint64(b, c.crc)
	a, ok := c.sum.(encoding.BinaryAppender)
	if !ok {
		return nil, 0, errors.New("rdb: the state of SHA-256 can not be kept")
	}
	b, err = a.AppendBinary(b)
	return b, c.done, err
}

// SetState takes over what State gave; an error leaves c as it was. A state that was changed is not always noticed here, but then at the end:
// the sums will not be right.
func (c *Checker) SetState(state []byte) error {
	const fixed = 1 + headerLen + 16
	if len(state) < fixed || state[0] != stateVersion {
		return errors.New("rdb: not the state of a check")
	}
	n := NewChecker()
	copy(n.head[:], state[1:])
	n.done = int64(binary.BigEndian.Uint64(state[1+headerLen:]))
	n.size, n.crc = n.done, binary.BigEndian.Uint64(state[9+headerLen:])
	u, ok := n.sum.(encoding.BinaryUnmarshaler)
	if !ok || n.done < 0 || n.done%block != 0 {
		return errors.New("rdb: not the state of a check")
	}
	if err := u.UnmarshalBinary(state[fixed:]); err != nil {
		return fmt.Errorf("rdb: not the state of a check: %w", err)
	}
	*c = *n
	return nil
}
