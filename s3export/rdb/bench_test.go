package rdb_test

import (
	"crypto/sha256"
	"hash/crc64"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/s3export/rdb"
)

// BenchmarkCheck checks a stream in pieces of 64 KiB, beside the two sums alone, in turns within one run: "of-series" is the speed of the check
// as a share of the speed of CRC-64 and SHA-256 one after the other.
func BenchmarkCheck(b *testing.B) {
	buf := noise(64 << 10)
	table := crc64.MakeTable(0x95ac9329ac4bc9b5)
	c, sum, crc := rdb.NewChecker(), sha256.New(), uint64(0)
	var check, sha, cyclic time.Duration
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		t0 := time.Now()
		c.Write(buf)
		t1 := time.Now()
		crc = crc64.Update(crc, table, buf)
		t2 := time.Now()
		sum.Write(buf)
		check, cyclic, sha = check+t1.Sub(t0), cyclic+t2.Sub(t1), sha+time.Since(t2)
	}
	mb := float64(len(buf)) * float64(b.N) / 1e6
	b.ReportMetric(mb/check.Seconds(), "check-MB/s")
	b.ReportMetric(mb/cyclic.Seconds(), "crc64-MB/s")
	b.ReportMetric(mb/sha.Seconds(), "sha256-MB/s")
	b.ReportMetric((sha+cyclic).Seconds()/check.Seconds(), "of-series")
}
