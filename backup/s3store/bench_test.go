package s3store_test

import (
	"fmt"
	"testing"

	"github.com/snapwarden/snapwarden/backup"
)

// The cost of the Store and of the SDK beneath it, without the network: the simulated S3 answers at once.
func BenchmarkSave(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			bed := newBed(b)
			s := bed.open()
			bed.world.KeepCalls(false)
			var recs []*backup.Record
			for i := range n {
				rec := bed.create(s, i)
				recs = append(recs, &rec)
			}
			b.ReportAllocs()
			for b.Loop() {
				bed.ok(s.Save(b.Context(), recs...))
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/record")
		})
	}
}
