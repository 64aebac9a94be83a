package elasticacheexport

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/s3export/rdb"
)

// An export of as many shards as there may be fits into an Operation to its end, and what the end can be is known at the beginning.
func TestLargestOperation(t *testing.T) {
	for name, c := range map[string]struct {
		length, slots int
		fits          bool
	}{"plain": {10, 11, true}, "long name": {255, 11, true}, "longest name": {1000, 60, false}} {
		r := elasticache.Snapshot("111122223333", "ap-northeast-1", strings.Repeat("s", 40))
		op, err := New(nil).Start(t.Context(), r, backup.Spec{Token: strings.Repeat("t", 64), Name: strings.Repeat("n", c.length), Options: Options{Bucket: strings.Repeat("b", 63)}})
		if err != nil {
			t.Fatal(err)
		}
		var st state
		if err := op.GetState(&st); err != nil {
			t.Fatal(err)
		}
		st.Engine, st.Version, st.Source, st.Cluster = "valkey", "8.0.1", strings.Repeat("g", 40), true
		for i := range MaxShards {
			st.Shards = append(st.Shards, shard{ID: fmt.Sprintf("%04d", i), Slots: strings.Repeat("9", c.slots)})
		}
		most := st.largest(op)
		if (most <= backup.MaxOperationBytes) != c.fits {
			t.Errorf("%s: %d bytes", name, most)
		}

		// What it can become in fact.
		check := rdb.NewChecker()
		check.Write(make([]byte, 1000))
		if st.Sums, _, err = check.State(); err != nil {
			t.Fatal(err)
		}
		st.Taken, st.Lost, st.Seen, st.At, st.Offset, st.ETag = time.Now(), time.Now(), strings.Repeat("f", 16), MaxShards-1, math.MaxInt64, strings.Repeat("e", 40)
		st.Format, st.RDB, st.Defect = "VALKEY", 80, strings.Repeat("d", 16)
		for i := range st.Shards {
			st.Shards[i].Size, st.Shards[i].SHA, st.Shards[i].Off = 1<<40, make([]byte, 32), true
		}
		op.AddMade(st.files(r))
		for i := range 2 {
			op.Find(backup.Finding{ID: fmt.Sprint("elasticacheexport.finding-", i), Severity: backup.SeverityWarning, Ref: r, Message: strings.Repeat("m", 256), Remedy: strings.Repeat("r", 256)})
		}
		op.To(stageManifest, "PutObject")
		if err := op.SetState(st); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(op)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes, foreseen %d", name, len(b), most)
		if len(b) > most {
			t.Errorf("%s: %d bytes, and %d were foreseen", name, len(b), most)
		}
	}
}
