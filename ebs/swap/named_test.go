package swap

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
)

// The most disks still fit into an Operation with their findings, and an error says how many it does not name.
func TestManyNamed(t *testing.T) {
	op, err := backup.NewOperation(Kind, ActionSwap, ebs.Set("111122223333", "ap-southeast-1", "set-owcqg4ex7e2hepkas4edcuwkeu-76xfsodbp79d-1"), backup.Spec{Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	st := state{Instance: "i-0123456789abcdef0", Zone: "ap-southeast-1a", Began: op.Started}
	for i := range maxDisks {
		id := fmt.Sprintf("0123456789abcde%02x", i)
		st.Disks = append(st.Disks, disk{Snapshot: "snap-" + id, Source: "vol-" + id, Device: fmt.Sprintf("/dev/xvd%c%c", 'b'+i/26, 'a'+i%26), Old: "vol-" + id, New: "vol-" + id, Stays: true, Busy: true, Out: true})
		op.AddMade(ebs.Volume("111122223333", "ap-southeast-1", "vol-"+id))
	}
	st.Why = strings.Repeat("x", 300)
	st.Failure = &backup.Failure{Code: backup.ErrFailed, Op: "DetachVolume", Message: strings.Repeat("x", 300), Hint: strings.Repeat("x", 200)}
	findReplaced(&op, st, false)
	findBack(&op, st)
	if err := op.SetState(st); err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(op); err != nil || len(b) > backup.MaxOperationBytes || len(op.Findings) != maxNamed+2 {
		t.Errorf("%d bytes, %d findings, %v", len(b), len(op.Findings), err)
	}
	if n, busy := named(st), stillBusy(st); !strings.HasSuffix(n, ", and 32 more") || !strings.HasSuffix(busy, ", and 32 more") || len(n) > 400 {
		t.Error(n, busy)
	}
	drop(&op, replacedID)
	drop(&op, backID)
	if len(op.Findings) > 0 {
		t.Error(op.Findings)
	}
}
