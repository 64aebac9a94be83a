package elasticacheexport

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// Who reads without a condition is told as that, wherever a statement with one stands.
func TestReaders(t *testing.T) {
	const open = `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::exports/*"}`
	const narrow = `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::exports/*","Condition":{"StringEquals":{"aws:SourceVpce":"vpce-1"}}}`
	for name, c := range map[string]struct {
		statements string
		want       []backup.Severity
	}{
		"open":               {open, []backup.Severity{backup.SeverityError}},
		"under a condition":  {narrow, []backup.Severity{backup.SeverityWarning}},
		"open, then narrow":  {open + "," + narrow, []backup.Severity{backup.SeverityError}},
		"narrow, then open":  {narrow + "," + open, []backup.Severity{backup.SeverityError}},
		"open for writing":   {`{"Effect":"Allow","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::exports/*"}`, nil},
		"narrow, and narrow": {narrow + "," + narrow, []backup.Severity{backup.SeverityWarning}},
	} {
		doc, err := policy.ParseDocument([]byte(`{"Version":"2012-10-17","Statement":[` + c.statements + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		r := Bucket("111122223333", "eu-west-1", "exports")
		var got []backup.Severity
		for _, f := range (box{doc: doc}).findings(r, r.ID) {
			if f.ID == of("reader") {
				got = append(got, f.Severity)
			}
		}
		if refused := (work{policy: "x"}).blocked(r, box{doc: doc}) != nil; refused != (c.want == nil || c.want[0] == backup.SeverityError) {
			t.Errorf("%s: refused by Block Public Access: %v", name, refused)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
