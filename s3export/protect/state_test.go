package protect

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export"
)

// An Operation with as many versions as fit, that failed with long words, has room for all of it.
func TestLargestOperation(t *testing.T) {
	r := backup.Ref{Type: s3export.TypeElastiCache, Account: "111122223333", Region: "ap-northeast-1", ID: strings.Repeat("b", 63) + "/" + strings.Repeat("n", 1000) + ".manifest.json"}
	op, err := New(nil).StartProtect(t.Context(), r, backup.Spec{Token: strings.Repeat("t", 256), Options: LockOptions{
		Retention: policy.Retention{Mode: policy.LockCompliance, Until: time.Now().AddDate(1, 0, 0), Irreversible: true}, LegalHold: policy.LegalHoldOn}})
	if err != nil {
		t.Fatal(err)
	}
	st, err := readLock(op)
	if err != nil {
		t.Fatal(err)
	}
	files := target{ref: r, bucket: strings.Repeat("b", 63)}
	for i := 0; ; i++ {
		st.Versions = append(st.Versions, fmt.Sprintf("%032d", i))
		if st.fits(r) != nil {
			break
		}
		st.Lacks = append(st.Lacks, i)
		files.files = append(files.files, file{key: strings.Repeat("n", 1000) + fmt.Sprintf("-%04d.rdb", i)})
	}
	if n := len(st.Versions) - 1; n < 150 {
		t.Errorf("only %d versions fit", n)
	}
	st.Manifest, st.At, st.Rounds, st.Needed = strings.Repeat("m", 32), len(st.Lacks), maxRounds, len(st.Lacks)
	op.To(stageLock, "PutObjectRetention")
	op.Find(backup.Finding{ID: Kind + ".under-way", Severity: backup.SeverityWarning, Ref: r, Message: strings.Repeat("m", 300), Remedy: strings.Repeat("r", 300)})
	long := failure(files.fileRef(0), "PutObjectRetention", backup.ErrDenied, strings.Repeat("h", 2000), "%s", strings.Repeat("e", 2000))
	op, err = broken(op, st, long)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(op)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files, %d bytes", len(files.files), len(b))
	if op.Stage != stageReport || len(b) > backup.MaxOperationBytes {
		t.Errorf("%s: %d bytes", op.Stage, len(b))
	}
}

// Whatever LifecycleOptions may hold fits too.
func TestLargestLifecycle(t *testing.T) {
	var rules []policy.LifecycleRule
	var op backup.Operation
	for i := range 200 {
		rules = append(rules, policy.LifecycleRule{ID: fmt.Sprintf("%0255d", i), ExpireDays: 1})
		next, err := New(nil).StartLifecycle(t.Context(), Bucket("111122223333", "ap-northeast-1", strings.Repeat("b", 63)), backup.Spec{Token: strings.Repeat("t", 256), Options: LifecycleOptions{Rules: rules}})
		if err != nil {
			break
		}
		op = next
	}
	op.Find(rulesReplaced(op.Ref, []string{strings.Repeat("r", 255), strings.Repeat("s", 255)}))
	op, err := endRules(op, lifecycleState{Writes: 1}, failure(op.Ref, "x", backup.ErrDenied, strings.Repeat("h", 2000), "%s", strings.Repeat("e", 2000)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(op)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", len(b))
	if len(b) > backup.MaxOperationBytes {
		t.Errorf("%d bytes", len(b))
	}
}
