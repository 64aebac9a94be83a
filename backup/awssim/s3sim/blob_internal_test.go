package s3sim

import (
	"bytes"
	"hash/crc64"
	"io"
	"testing"
)

// TestBlob holds cutting, joining, reading and the checksum of blobs against plain bytes, across the borders of blocks.
func TestBlob(t *testing.T) {
	if got := crc64.Checksum([]byte("123456789"), nvme); got != 0xae8b14860a799888 { // the check value of CRC-64/NVME
		t.Fatalf("CRC-64/NVME of 123456789 is %x", got)
	}
	g := generate(7)
	whole := blob{}.and(piece{g, 0, 3*block + 77})
	plain := whole.bytes()
	up := []byte("between")
	both := bytesBlob(up).and(piece{g, 5, 2*block + 3})
	for _, tt := range []struct {
		name     string
		b        blob
		want     []byte
		at, size int64
	}{
		{"whole", whole, plain, 0, whole.size},
		{"within a word", whole, plain, 3, 2},
		{"over a border", whole, plain, block - 3, 11},
		{"aligned", whole, plain, block, 2 * block},
		{"unaligned", whole, plain, 9, 3 * block},
		{"mixed", both, append(bytes.Clone(up), plain[5:2*block+8]...), 3, both.size - 3},
	} {
		cut := tt.b.cut(tt.at, tt.size)
		want := tt.want[tt.at : tt.at+tt.size]
		read, err := io.ReadAll(&reader{b: cut})
		if err != nil || !bytes.Equal(read, want) || !bytes.Equal(cut.bytes(), want) || cut.size != tt.size {
			t.Errorf("%s: other bytes (%v)", tt.name, err)
		}
		if got := cut.crc(); got != crc64.Checksum(want, nvme) {
			t.Errorf("%s: CRC %x, want %x", tt.name, got, crc64.Checksum(want, nvme))
		}
	}
	joined := whole.cut(0, block+1)
	for _, p := range whole.cut(block+1, whole.size).pieces {
		joined = joined.and(p)
	}
	if len(joined.pieces) != 1 || joined.size != whole.size || joined.etag() != whole.etag() {
		t.Errorf("the parts of a blob put together are %d pieces, %d bytes", len(joined.pieces), joined.size)
	}
	if a, b := generate(1), generate(2); (blob{}).and(piece{a, 0, 99}).crc() == (blob{}).and(piece{b, 0, 99}).crc() {
		t.Error("two seeds, one content")
	}
}
