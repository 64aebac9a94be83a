package policy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

// lintErrors are the errors of single statements, as "0 KMS001".
func lintErrors(all []policy.Finding) []string {
	var lines []string
	for _, f := range all {
		if f.Statement >= 0 && f.Severity == policy.SeverityError {
			lines = append(lines, lintLine(f, -1))
		}
	}
	return lines
}

func lintLacks(t *testing.T, what string, before, after []string) {
	t.Helper()
	for _, b := range before {
		if !slices.Contains(after, b) {
			t.Fatalf("%s: %q is gone from %v", what, b, after)
		}
	}
}

// FuzzLint holds the linter to what must be true of every text: that it ends, says the same each time and points at statements that are there;
// that no statement hides the error of another; that letter case changes nothing in actions; and that taking conditions away excuses nothing.
func FuzzLint(f *testing.F) {
	for i, c := range lintCases() {
		text, _ := lintFrame(c.kind, c.statement)
		f.Add([]byte(text), []byte(`{"Statement": {"Effect": "Deny", "Principal": "*", "NotAction": "*", "Resource": "*"}}`), uint8(i))
	}
	files, err := filepath.Glob("testdata/lint/*.json")
	if err != nil || len(files) < 5 {
		f.Fatal(files, err)
	}
	for i, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, text, uint8(i))
	}
	kinds := []policy.Kind{policy.KindKey, policy.KindBucket, policy.KindIdentity, policy.KindTrust, ""}
	f.Fuzz(func(t *testing.T, text, more []byte, n uint8) {
		c := policy.LintContext{Kind: kinds[int(n)%len(kinds)], Owner: lintOwner, Partition: "aws", MayDelete: n&64 != 0}
		if n&32 != 0 {
			c.Trusted = []string{lintForeign}
		}
		found := policy.LintText(text, c)
		if d := gocmp.Diff(found, policy.LintText(text, c)); d != "" {
			t.Fatalf("not the same twice:\n%s", d)
		}
		doc, err := policy.ParseDocument(text)
		checkFindings(t, found, len(doc.Statements))
		if err != nil {
			if !slices.ContainsFunc(found, func(f policy.Finding) bool { return f.ID == "DOC001" && f.Severity == policy.SeverityError }) {
				t.Fatalf("%v, and no DOC001", err)
			}
			return
		}
		errors := lintErrors(found)

		if second, err := policy.ParseDocument(more); err == nil {
			longer := doc
			longer.Statements = slices.Concat(doc.Statements, second.Statements)
			lintLacks(t, "more statements", errors, lintErrors(policy.Lint(longer, c)))
		}

		loud, bare := doc, doc
		loud.Statements, bare.Statements = slices.Clone(doc.Statements), slices.Clone(doc.Statements)
		for i, s := range doc.Statements {
			loud.Statements[i].Action, loud.Statements[i].NotAction = lintUpper(s.Action), lintUpper(s.NotAction)
			if s.Effect == policy.Allow {
				bare.Statements[i].Condition = nil
			}
		}
		if d := gocmp.Diff(errors, lintErrors(policy.Lint(loud, c))); d != "" {
			t.Fatalf("capital letters in actions:\n%s", d)
		}
		// What is excepted: a condition's own fault, and the account that a bound names, which without it is everyone.
		errors = slices.DeleteFunc(errors, func(s string) bool { return strings.Contains(s, "DOC001") || strings.Contains(s, "ACC001") })
		lintLacks(t, "no conditions", errors, lintErrors(policy.Lint(bare, c)))
	})
}

// lintUpper gives capital ASCII letters; nil stays nil.
func lintUpper(all []string) []string {
	all = slices.Clone(all)
	for i, s := range all {
		b := []byte(s)
		for j, x := range b {
			if 'a' <= x && x <= 'z' {
				b[j] = x - 'a' + 'A'
			}
		}
		all[i] = string(b)
	}
	return all
}

func BenchmarkLint(b *testing.B) {
	text, err := os.ReadFile("testdata/lint/rds-replication-key.json")
	if err != nil {
		b.Fatal(err)
	}
	doc, err := policy.ParseDocument(text)
	if err != nil {
		b.Fatal(err)
	}
	c := policy.LintContext{Kind: policy.KindKey, Owner: lintOwner}
	b.ReportAllocs()
	for b.Loop() {
		if len(policy.Lint(doc, c)) == 0 {
			b.Fatal("nothing")
		}
	}
}
