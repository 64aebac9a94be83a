package policy_test

import (
	"testing"

	"github.com/snapwarden/snapwarden/policy"
)

// Whatever two documents say, comparing them ends, and the promises of Widens hold.
func FuzzWidens(f *testing.F) {
	for _, b := range builtDocuments(f) {
		f.Add([]byte(b.doc.Text()), []byte(b.doc.Text()))
	}
	f.Add([]byte(`{"Statement":{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}}`), []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","NotPrincipal":{"AWS":"*"},"Action":"${a}*?","NotResource":"arn:*:${"}]}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		old, err := policy.ParseDocument(a)
		if err != nil {
			return
		}
		if w := policy.Widens(old, old); len(w) != 0 {
			t.Fatalf("a document widens itself: %v", w)
		}
		now, err := policy.ParseDocument(b)
		if err != nil {
			return
		}
		for _, w := range policy.Widens(old, now) {
			in := now
			if w.Effect == policy.Deny {
				in = old
			}
			if w.Statement < 0 || w.Statement >= len(in.Statements) || in.Statements[w.Statement].Effect != w.Effect || in.Statements[w.Statement].Sid != w.Sid || w.Detail == "" || len(w.Values) > 20 {
				t.Fatalf("%+v is about no statement", w)
			}
		}
		// To put the new beside the old takes nothing away, and to take the new away again gives nothing.
		both := policy.Document{Version: old.Version, Statements: append(append([]policy.Statement(nil), old.Statements...), now.Statements...)}
		for _, w := range policy.Widens(old, both) {
			if w.Effect != policy.Allow || w.Statement < len(old.Statements) {
				t.Fatalf("%+v of what was there before", w)
			}
		}
		for _, w := range policy.Widens(both, old) {
			if w.Effect != policy.Deny || w.Statement < len(old.Statements) {
				t.Fatalf("%+v of what stays", w)
			}
		}
	})
}
