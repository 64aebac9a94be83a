package policy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

// An owner's condition that was dropped is what is said, whatever else stands in the document and in whatever order.
func TestWidensNamesTheOwnerThatIsGone(t *testing.T) {
	old, err := policy.RDSDeletePolicy(policy.Scope{Account: "111122223333", Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		now := policy.Document{Version: old.Version, Statements: slices.Clone(old.Statements)}
		n := slices.IndexFunc(now.Statements, func(s policy.Statement) bool { return s.Sid == "SnapwardenRDSDelete" })
		if n < 0 || now.Statements[n].Condition == nil || len(now.Statements) < 2 {
			t.Fatalf("not the policy that was meant:\n%s", old.Text())
		}
		now.Statements[n].Condition = nil
		want := []policy.Widening{{Sid: "SnapwardenRDSDelete", Statement: n, Effect: policy.Allow, Element: policy.ElementCondition,
			Detail: "it was allowed under a condition that is gone: aws:ResourceTag/snapwarden:owner"}}
		if d := cmp.Diff(want, policy.Widens(old, now)); d != "" {
			t.Error(d)
		}
		// Under another name it is still the same action on the same resource.
		now.Statements[n].Sid, want[0].Sid = "Other", "Other"
		if d := cmp.Diff(want, policy.Widens(old, now)); d != "" {
			t.Error(d)
		}
		slices.Reverse(old.Statements)
	}
}

func TestWidensWords(t *testing.T) {
	const b, c = "arn:aws:s3:::b/*", "arn:aws:s3:::c/*"
	named := func(sid string, s policy.Statement) policy.Statement {
		s.Sid = sid
		return s
	}
	mfa, owner := equals("aws:MultiFactorAuthPresent", "true"), equals("aws:ResourceTag/owner", "a")
	get, del := allowed("", "s3:GetObject", "*", nil), "s3:DeleteObject"
	two := policy.Condition{"StringEquals": {"aws:ResourceTag/owner": {"a"}, "aws:SourceVpc": {"vpc-1"}}, "Bool": {"aws:SecureTransport": {"true"}}}
	for name, c := range map[string]struct {
		old, new []policy.Statement
		want     string
	}{
		"the same Sid, before a wider one": {[]policy.Statement{allowed("", "s3:*", "*", mfa), get, named("D", allowed("", del, b, owner))}, []policy.Statement{named("D", allowed("", del, b, nil))},
			"Condition: it was allowed under a condition that is gone: aws:ResourceTag/owner"},
		"the same action and resource, before a wider one": {[]policy.Statement{allowed("", "s3:*", "*", mfa), get, allowed("", "S3:deleteObject", b, owner)}, []policy.Statement{allowed("", del, b, nil)},
			"Condition: it was allowed under a condition that is gone: aws:ResourceTag/owner"},
		"a wider one, before one that lacks the action": {[]policy.Statement{get, allowed("", "s3:*", "*", mfa)}, []policy.Statement{allowed("", del, b, nil)},
			"Condition: it was allowed under a condition that is gone: aws:MultiFactorAuthPresent"},
		"a condition elsewhere, before the same Sid without the action": {[]policy.Statement{named("D", allowed("", "s3:GetObject", b, nil)), named("E", allowed("", del, b, owner))},
			[]policy.Statement{named("D", allowed("", "s3:GetObject "+del, b, nil))}, "Condition: it was allowed under a condition that is gone: aws:ResourceTag/owner"},
		"the same Sid, before another that lacks one": {[]policy.Statement{get, named("D", allowed("", del, c, nil))}, []policy.Statement{named("D", allowed("", del, b, nil))},
			"Resource: it was not allowed before for the resource arn:aws:s3:::b/*"},
		"the same Sid loses its condition and gets a resource": {[]policy.Statement{get, named("D", allowed("", del, c, owner))}, []policy.Statement{named("D", allowed("", del, b, nil))},
			"Resource: it was not allowed before for the resource arn:aws:s3:::b/*; Condition: it was allowed under a condition that is gone: aws:ResourceTag/owner"},
		"a Sid alone is no likeness": {[]policy.Statement{get, named("D", allowed("", "kms:Decrypt", c, nil))}, []policy.Statement{named("D", allowed("", del, b, nil))},
			"Action: it was not allowed before for the action s3:DeleteObject"},
		"no Sid is no name": {[]policy.Statement{allowed("", "s3:GetObject", b, nil), allowed("", del, c, nil)}, []policy.Statement{allowed("", del, b, nil)},
			"Action: it was not allowed before for the action s3:DeleteObject"},
		"some keys are gone and some stay": {[]policy.Statement{allowed("", del, b, two)}, []policy.Statement{allowed("", del, b, owner)},
			"Condition: it was allowed under a condition that is gone: aws:SecureTransport, aws:SourceVpc"},
		"a key has changed": {[]policy.Statement{allowed("", del, b, owner)}, []policy.Statement{allowed("", del, b, equals("AWS:ResourceTag/owner", "a", "b"))},
			"Condition: it was allowed under a condition that has changed: aws:ResourceTag/owner"},
		"one is gone and one has changed": {[]policy.Statement{allowed("", del, b, two)}, []policy.Statement{allowed("", del, b, policy.Condition{"StringEquals": {"aws:SourceVpc": {"vpc-1"}}, "StringLike": {"aws:ResourceTag/owner": {"*"}}})},
			"Condition: it was allowed under conditions that are gone: aws:SecureTransport, or have changed: aws:ResourceTag/owner"},
		"each combination has its own": {[]policy.Statement{allowed("", "s3:GetObject", b, mfa), allowed("", del, b, owner)}, []policy.Statement{allowed("", "s3:GetObject "+del, b, nil)},
			"Condition: it was allowed under a condition that is gone: aws:MultiFactorAuthPresent, aws:ResourceTag/owner"},
		"a denial": {[]policy.Statement{named("D", denied("*", "s3:*", b, mfa))}, []policy.Statement{denied("*", "s3:Get*", b, nil), named("D", denied("*", "s3:*", b, policy.Condition{"Bool": {"aws:MultiFactorAuthPresent": {"true"}}, "StringEquals": two["StringEquals"]}))},
			"Condition: the denial now asks for another condition, on aws:MultiFactorAuthPresent, aws:ResourceTag/owner, aws:SourceVpc, and may not hold where it did"},
	} {
		var got []string
		for _, w := range policy.Widens(docOf(c.old...), docOf(c.new...)) {
			got = append(got, fmt.Sprintf("%s: %s", w.Element, w.Detail))
		}
		if d := cmp.Diff(c.want, strings.Join(got, "; ")); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
}

func TestWidensListsAFewKeys(t *testing.T) {
	many := map[string][]string{}
	for i := range 30 {
		many[fmt.Sprintf("aws:RequestTag/k%02d", i)] = []string{"1"}
	}
	w := policy.Widens(docOf(allowed("", "a:b", "*", policy.Condition{"StringEquals": many})), docOf(allowed("", "a:b", "*", nil)))
	if len(w) != 1 || w[0].Values != nil || !strings.HasSuffix(w[0].Detail, "k19 and 10 more") {
		t.Errorf("%+v", w)
	}
}

// Whatever else is in a document: of a statement that keeps its Sid and loses its condition, that is what is listed. And the names of
// statements decide on words only.
func TestWidensBySid(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	lost := 0
	for range 2000 {
		old := randomDocument(r)
		for i := range old.Statements {
			old.Statements[i].Sid = fmt.Sprintf("S%d", i)
		}
		now := policy.Document{Version: policy.Version, Statements: slices.Clone(old.Statements)}
		n := r.IntN(len(now.Statements))
		key := ""
		for _, keys := range now.Statements[n].Condition {
			for k := range keys {
				key = k
			}
		}
		now.Statements[n].Condition = nil
		for _, w := range policy.Widens(old, now) {
			lost++
			if w.Statement != n || w.Effect != policy.Allow || w.Element != policy.ElementCondition || !strings.HasSuffix(w.Detail, "is gone: "+key) {
				t.Fatalf("%v, where %s lost its condition on %s:\n%s", w, w.Sid, key, old.Text())
			}
		}

		now.Statements[n] = randomStatement(r)
		now.Statements[n].Sid = fmt.Sprintf("S%d", r.IntN(len(now.Statements)+1))
		if d := cmp.Diff(widened(nameless(old), nameless(now)), widened(old, now)); d != "" {
			t.Fatalf("with Sids another statement is listed:\n%s\n%s\n%s", d, old.Text(), now.Text())
		}
	}
	if lost < 100 {
		t.Errorf("only %d conditions were missed: the test sees too little", lost)
	}
}

func nameless(d policy.Document) policy.Document {
	d.Statements = slices.Clone(d.Statements)
	for i := range d.Statements {
		d.Statements[i].Sid = ""
	}
	return d
}

// widened are the statements that are listed.
func widened(old, now policy.Document) (all []string) {
	for _, w := range policy.Widens(old, now) {
		all = append(all, fmt.Sprint(w.Effect, w.Statement))
	}
	return slices.Compact(all)
}
