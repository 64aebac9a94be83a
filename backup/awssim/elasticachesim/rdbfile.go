package elasticachesim

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// jones is the polynomial of the CRC-64 that ends an .rdb file, with its bits reversed. Source: Redis, src/crc64.c.
const jones = 0x95ac9329ac4bc9b5

// crc64 is written for the few bytes of a simulated file and not for speed. Unlike hash/crc64, Redis begins with zero and inverts nothing.
func crc64(b []byte) (sum uint64) {
	for _, c := range b {
		sum ^= uint64(c)
		for range 8 {
			if sum&1 == 1 {
				sum = sum>>1 ^ jones
			} else {
				sum >>= 1
			}
		}
	}
	return sum
}

// rdbFile makes the .rdb file of one shard: small, but one that a Redis or Valkey server loads. Its few keys carry the shard's name, so that
// the files of two shards differ. Source of the format: Redis, src/rdb.h and src/rdb.c; of the header of Valkey 9 and later: Valkey, src/rdb.c.
func rdbFile(engine, version, snapshot, shard string) []byte {
	b := []byte(rdbHeader(engine, version))
	text := func(s string) {
		if len(s) < 1<<6 {
			b = append(b, byte(len(s)))
		} else { // two bytes of length after the mark 01: a name has up to 1,000 characters of up to four bytes, and so fits
			b = binary.BigEndian.AppendUint16(b, 0x4000|uint16(len(s)))
		}
		b = append(b, s...)
	}
	b = append(b, 0xfa) // an auxiliary field
	text("simulated-by")
	text("awssim")
	b = append(b, 0xfe, 0, 0xfb, 3, 0) // database 0, with three keys of which none expires
	for i := range 3 {
		b = append(b, 0) // a string
		text(fmt.Sprintf("%s:key:%d", shard, i))
		text(fmt.Sprintf("value %d of %.40s", i, snapshot))
	}
	b = append(b, 0xff)
	return binary.LittleEndian.AppendUint64(b, crc64(b))
}

func rdbHeader(engine, version string) string {
	major, _, _ := strings.Cut(version, ".")
	switch {
	case engine == "valkey" && major != "7" && major != "8":
		return "VALKEY080"
	case engine == "valkey", major == "7":
		return "REDIS0011"
	case major == "6" || major == "5":
		return "REDIS0009"
	}
	return "REDIS0008"
}
