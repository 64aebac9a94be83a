package policy_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

const (
	lintOwner   = "111122223333"
	lintForeign = "444455556666"
)

// lintCase is one statement and what is found in it.
type lintCase struct {
	name      string
	kind      policy.Kind
	statement string // without its braces; a leading Effect is added where there is none
	change    func(*policy.LintContext)
	want      []string // "KMS001 error" for the statement, "-1 KMS006 error" for the document
}

// lintFrame puts a statement into a document in which nothing else is found: with the owner's statement in a key's policy, and with one against
// requests without TLS in a bucket's. It gives the statement's index too.
func lintFrame(kind policy.Kind, statement string) (string, int) {
	if !strings.Contains(statement, `"Effect"`) {
		statement = `"Effect": "Allow", ` + statement
	}
	before := ""
	switch kind {
	case policy.KindKey:
		before = `{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::` + lintOwner + `:root"}, "Action": "kms:*", "Resource": "*"}, `
		if !strings.Contains(statement, `"Resource"`) && !strings.Contains(statement, `"NotResource"`) {
			statement += `, "Resource": "*"`
		}
	case policy.KindBucket:
		before = `{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
			"Condition": {"Bool": {"aws:SecureTransport": false}}}, `
		if !strings.Contains(statement, `"Resource"`) {
			statement += `, "Resource": "arn:aws:s3:::b/*"`
		}
	}
	index := 0
	if before != "" {
		index = 1
	}
	return `{"Version": "2012-10-17", "Statement": [` + before + `{` + statement + `}]}`, index
}

// lintLine gives a finding as the tests write it, for the statement at index the shorter way.
func lintLine(f policy.Finding, index int) string {
	line := fmt.Sprintf("%s %s", f.ID, f.Severity)
	if f.Statement != index {
		line = fmt.Sprintf("%d %s", f.Statement, line)
	}
	return line
}

func lintLines(all []policy.Finding, index int) []string {
	var lines []string
	for _, f := range all {
		lines = append(lines, lintLine(f, index))
	}
	slices.Sort(lines)
	return lines
}

func (c lintCase) run(t *testing.T) []policy.Finding {
	t.Helper()
	ctx := policy.LintContext{Kind: c.kind, Owner: lintOwner, Partition: "aws"}
	if c.change != nil {
		c.change(&ctx)
	}
	text, index := lintFrame(c.kind, c.statement)
	found := policy.LintText([]byte(text), ctx)
	slices.Sort(c.want)
	if d := gocmp.Diff(c.want, lintLines(found, index)); d != "" {
		t.Errorf("%s: (-want +got)\n%s%v", text, d, found)
	}
	checkFindings(t, found, index+1)
	return found
}

// checkFindings looks at what every finding must have.
func checkFindings(t testing.TB, found []policy.Finding, statements int) {
	t.Helper()
	known := map[string]policy.LintRule{}
	for _, r := range policy.LintRules() {
		known[r.ID] = r
	}
	for _, f := range found {
		r, ok := known[f.ID]
		if !ok {
			t.Errorf("%s is in no table", f.ID)
		}
		if f.Severity == policy.SeverityError && r.Severity == policy.SeverityWarning {
			t.Errorf("%v is worse than its rule", f)
		}
		if f.Severity != policy.SeverityError && f.Severity != policy.SeverityWarning {
			t.Errorf("%v has no severity", f)
		}
		if f.Detail == "" || f.Remedy == "" || !strings.Contains(f.String(), f.ID) {
			t.Errorf("incomplete finding %#v", f)
		}
		if f.Statement < -1 || f.Statement >= statements {
			t.Errorf("%v is about statement %d of %d", f, f.Statement, statements)
		}
		if f.Statement >= 0 && !strings.HasPrefix(f.Place, fmt.Sprintf("Statement[%d]", f.Statement)) {
			t.Errorf("%v stands at %q", f, f.Place)
		}
	}
	if !slices.IsSortedFunc(found, func(a, b policy.Finding) int {
		return cmp.Or(cmp.Compare(a.Statement, b.Statement), strings.Compare(a.ID, b.ID))
	}) {
		t.Errorf("not in order: %v", found)
	}
}

// lintCases are all tables.
func lintCases() []lintCase {
	return slices.Concat(keyCases(), conditionCases(), serviceCases(), bucketCases(), identityCases(), documentCases(),
		organizationCases(), providerCases(), deniedCases(), nameCases())
}

func TestLint(t *testing.T) {
	for _, c := range lintCases() {
		t.Run(string(c.kind)+"/"+c.name, func(t *testing.T) { c.run(t) })
	}
}

// Every rule is found by some case, so that none is dead.
func TestLintRules(t *testing.T) {
	seen := map[string]policy.Severity{}
	note := func(all []policy.Finding) {
		for _, f := range all {
			if seen[f.ID] != policy.SeverityError {
				seen[f.ID] = f.Severity
			}
		}
	}
	for _, c := range lintCases() {
		note(c.run(t))
	}
	for _, c := range grantCases() {
		note(policy.LintGrants(c.grants, c.context))
	}
	note(policy.LintKeyManager("AWS"))
	note(policy.LintPublicAccessBlock(policy.PublicAccessBlock{}))
	note(policy.LintChange(policy.PolicyChange{Before: policy.PublishedExportCallerPolicy()}))
	for id, s := range lintWhole(t) {
		if seen[id] != policy.SeverityError {
			seen[id] = s
		}
	}
	var ids []string
	for _, r := range policy.LintRules() {
		ids = append(ids, r.ID)
		if seen[r.ID] != r.Severity {
			t.Errorf("%s: the worst that the cases have is %q, the table says %q", r.ID, seen[r.ID], r.Severity)
		}
		if r.Meaning == "" || r.Remedy == "" {
			t.Errorf("%s says nothing", r.ID)
		}
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("not in order, or twice: %v", ids)
	}
	policy.LintRules()[0].ID = "changed"
	if policy.LintRules()[0].ID != ids[0] {
		t.Error("the caller can write the table")
	}
}
