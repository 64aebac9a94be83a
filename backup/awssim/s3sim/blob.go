package s3sim

import (
	"crypto/md5" //nolint:gosec // an ETag is an MD5
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc64"
	"io"
	"slices"
)

// blob is the content of an object: pieces of what was uploaded or generated. It is never changed, so that copies share it.
type blob struct {
	pieces []piece
	size   int64
}

// piece is the part [at, at+size) of a source.
type piece struct {
	from     source
	at, size int64
}

type source interface {
	read(p []byte, at int64)
	crc(at, size int64) uint64
}

// uploaded is content that somebody sent.
type uploaded struct{ data []byte }

func (u *uploaded) read(p []byte, at int64) { copy(p, u.data[at:]) }

func (u *uploaded) crc(at, size int64) uint64 { return crc64.Checksum(u.data[at:at+size], nvme) }

func bytesBlob(data []byte) blob {
	return blob{}.and(piece{&uploaded{data}, 0, int64(len(data))})
}

// and gives the blob with a piece behind it. Pieces that follow one another in their source become one.
func (b blob) and(p piece) blob {
	if p.size == 0 {
		return b
	}
	if n := len(b.pieces); n > 0 {
		if last := b.pieces[n-1]; last.from == p.from && last.at+last.size == p.at {
			pieces := slices.Clone(b.pieces)
			pieces[n-1].size += p.size
			return blob{pieces, b.size + p.size}
		}
	}
	return blob{append(slices.Clip(b.pieces), p), b.size + p.size}
}

// cut gives the bytes [at, at+size).
func (b blob) cut(at, size int64) (out blob) {
	for _, p := range b.pieces {
		from, to := max(at, 0), min(at+size, p.size)
		if from < to {
			out = out.and(piece{p.from, p.at + from, to - from})
		}
		at -= p.size
	}
	return out
}

func (b blob) bytes() []byte {
	data := make([]byte, b.size)
	at := int64(0)
	for _, p := range b.pieces {
		p.from.read(data[at:at+p.size], p.at)
		at += p.size
	}
	return data
}

// crc is the CRC-64/NVME of the whole, put together from those of the pieces.
func (b blob) crc() (sum uint64) {
	for _, p := range b.pieces {
		sum = shiftBy(p.size).times(sum) ^ p.from.crc(p.at, p.size)
	}
	return sum
}

// reader streams a blob.
type reader struct {
	b  blob
	at int64
}

func (r *reader) Read(p []byte) (int, error) {
	left := r.b.size - r.at
	if left == 0 {
		return 0, io.EOF
	}
	part := r.b.cut(r.at, min(left, int64(len(p))))
	r.at += part.size
	return copy(p, part.bytes()), nil
}

func (r *reader) Close() error { return nil }

// etag is the MD5 of the bytes. Of generated content, which is too large to be read, it is the MD5 of what generates it: as good for telling
// one content from another, but not what AWS would give.
func (b blob) etag() string {
	h := md5.New() //nolint:gosec // as above
	for _, p := range b.pieces {
		switch s := p.from.(type) {
		case *uploaded:
			h.Write(s.data[p.at : p.at+p.size]) //nolint:errcheck // a hash never fails
		case *generated:
			fmt.Fprintf(h, "generated %d %d %d\n", s.seed, p.at, p.size)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

const block = 1 << 20

// generated is content of any size that needs no memory: blocks of 1 MiB that begin with eight bytes of their own and are alike otherwise, so
// that its checksum can be computed without reading it.
type generated struct {
	seed uint64
	tail uint64 // CRC of a block without its own bytes
	over matrix // shift by a tail
	next matrix // shift by a block
}

func generate(seed uint64) *generated {
	g := &generated{seed: seed, over: shiftBy(block - 8), next: shiftBy(block)}
	data := make([]byte, block)
	g.read(data, 0)
	g.tail = crc64.Checksum(data[8:], nvme)
	return g
}

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// word gives the eight bytes that begin at 8*i.
func (g *generated) word(i int64) (w [8]byte) {
	const words = block / 8
	x := mix(uint64(i % words))
	if i%words == 0 {
		x = mix(g.seed ^ mix(uint64(i/words)))
	}
	binary.LittleEndian.PutUint64(w[:], x)
	return w
}

func (g *generated) read(p []byte, at int64) {
	for len(p) > 0 {
		w := g.word(at / 8)
		n := copy(p, w[at%8:])
		p, at = p[n:], at+int64(n)
	}
}

func (g *generated) crc(at, size int64) (sum uint64) {
	loose := func(n int64) {
		data := make([]byte, n)
		g.read(data, at)
		sum = shiftBy(n).times(sum) ^ crc64.Checksum(data, nvme)
		at, size = at+n, size-n
	}
	if n := min(size, (block-at%block)%block); n > 0 {
		loose(n)
	}
	for ; size >= block; at, size = at+block, size-block {
		w := g.word(at / 8)
		sum = g.next.times(sum) ^ g.over.times(crc64.Checksum(w[:], nvme)) ^ g.tail
	}
	if size > 0 {
		loose(size)
	}
	return sum
}

// nvme is the table of CRC-64/NVME, which S3 computes unless it is asked for another. Source: S3 user guide, Checking object integrity.
var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

// matrix is a linear map over GF(2), by columns.
type matrix [64]uint64

func (m matrix) times(v uint64) (out uint64) {
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 != 0 {
			out ^= m[i]
		}
	}
	return out
}

// shiftBy gives what n further zero bytes do to a CRC: crc(a+b) is shiftBy(len(b)).times(crc(a)) ^ crc(b).
func shiftBy(n int64) matrix {
	var out, step matrix // step begins as one bit
	for i := range out {
		out[i] = 1 << i
		if i > 0 {
			step[i] = 1 << (i - 1)
		}
	}
	step[0] = 0x9a6c9329ac4bc9b5
	for n *= 8; n > 0; n >>= 1 {
		if n&1 != 0 {
			out = product(step, out)
		}
		step = product(step, step)
	}
	return out
}

func product(a, b matrix) (out matrix) {
	for i := range out {
		out[i] = a.times(b[i])
	}
	return out
}
