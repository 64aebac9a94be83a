package elasticachesim

import "encoding/binary"

// RDBFile is the file of one shard.
var RDBFile = rdbFile

// Reseal gives an .rdb file the checksum that belongs to its bytes.
func Reseal(b []byte) []byte {
	b = b[:len(b)-8]
	return binary.LittleEndian.AppendUint64(b, crc64(b))
}
