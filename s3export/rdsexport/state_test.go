package rdsexport

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/rds"
)

// What an Operation can become is known at the beginning, so that none outgrows its limit half-way.
func TestLargestOperation(t *testing.T) {
	r := rds.Snapshot("111122223333", "ap-northeast-1", "a"+strings.Repeat("s", 254))
	role := "arn:aws:iam::111122223333:role/" + strings.Repeat("p", 500) + "/" + strings.Repeat("r", 64)
	o := Options{Bucket: strings.Repeat("b", 63), Prefix: strings.Repeat("p", 59), RoleARN: role,
		KeyARN: "arn:aws:kms:ap-northeast-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"}
	start := func(parts, token string, n int) (backup.Operation, error) {
		o := o
		for i := range n {
			o.Only = append(o.Only, fmt.Sprintf("%s%04d", parts, i))
		}
		return New(nil).Start(t.Context(), r, backup.Spec{Token: token, Name: strings.Repeat("n", maxName), Options: o})
	}
	// As many parts as go in beside the longest of everything else.
	longest := strings.Repeat("\x01", 256)
	most := 0
	for {
		if _, err := start("database.schema.table_", longest, most+1); err != nil {
			break
		}
		most++
	}
	op, err := start("database.schema.table_", longest, most)
	if err != nil {
		t.Fatal(err)
	}
	var st state
	if err := op.GetState(&st); err != nil {
		t.Fatal(err)
	}
	foreseen := st.largest(op)
	// What it can become in fact.
	st.Left = strings.Repeat("x", leftBytes)
	st.begun(&op)
	op.AddPoint(st.ref(r, TypeExport))
	for i := range mostFindings {
		op.Find(backup.Finding{ID: fmt.Sprintf("rdsexport.longest-id-%d", i), Severity: backup.SeverityWarning, Ref: r, Message: strings.Repeat("m", 160), Remedy: strings.Repeat("r", 300)})
	}
	if err := op.SetState(st); err != nil {
		t.Fatal(err)
	}
	op.Fail(failure(op, backup.ErrDenied, strings.Repeat("h", 2000), "%s", strings.Repeat("m", 2000)))
	b, err := json.Marshal(op)
	if err != nil {
		t.Fatal(err)
	}
	r, o = rds.Snapshot("111122223333", "eu-west-1", "orders-2026-11-20"), Options{Bucket: "exports-111122223333", Prefix: "rds/orders",
		RoleARN: "arn:aws:iam::111122223333:role/rds-export", KeyARN: "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
	plain := 0
	for {
		if _, err := start("database.schema.table_", "2026-11-20", plain+1); err != nil {
			break
		}
		plain++
	}
	t.Logf("%d parts at the least, %d ordinarily: %d bytes, foreseen %d", most, plain, len(b), foreseen)
	if len(b) > foreseen || foreseen > backup.MaxOperationBytes {
		t.Errorf("%d bytes, and %d were foreseen", len(b), foreseen)
	}
	if most < 60 || plain < 200 {
		t.Errorf("only %d and %d parts go in", most, plain)
	}
}

// The identifier and the folder carry the hash of the Operation, whatever the caller's name is.
func TestIdentifier(t *testing.T) {
	o := Options{Bucket: "my-exports", RoleARN: "arn:aws:iam::111122223333:role/x", KeyARN: "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}
	seen := map[string]bool{}
	for _, name := range []string{"", "Nightly", strings.Repeat("n", maxName)} {
		for _, token := range []string{"a", "b"} {
			op, err := New(nil).Start(t.Context(), rds.Snapshot("111122223333", "eu-west-1", "nightly"), backup.Spec{Token: token, Name: name, Options: o})
			if err != nil {
				t.Fatal(err)
			}
			var st state
			if err := op.GetState(&st); err != nil {
				t.Fatal(err)
			}
			if seen[st.Task] || len(st.Task) > 60 || !strings.HasSuffix(st.Task, "-"+op.ID[len("op-"):]) || st.Task != strings.ToLower(st.Task) {
				t.Errorf("the identifier is %q", st.Task)
			}
			seen[st.Task] = true
		}
	}
}
