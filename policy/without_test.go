package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

func TestWithout(t *testing.T) {
	one := func(sid string) policy.Statement {
		return policy.Statement{Sid: sid, Effect: policy.Allow, Action: []string{"s3:ListBucket"}, Resource: []string{"arn:aws:s3:::b"}}
	}
	d := policy.Document{Version: policy.Version, ID: "id", Statements: []policy.Statement{one("A"), one(""), one("B"), one("C"), one("")}}
	before := d.Text()
	got, gone := d.Without("C", "A", "D", "")
	want := policy.Document{Version: policy.Version, ID: "id", Statements: []policy.Statement{one(""), one("B"), one("")}}
	if diff := cmp.Diff(want, got) + cmp.Diff([]string{"A", "C"}, gone); diff != "" {
		t.Error(diff)
	}
	if d.Text() != before {
		t.Error("the document itself has changed")
	}
	if got, gone := d.Without(); got.Text() != before || gone != nil {
		t.Errorf("%v %v", got, gone)
	}
	// What Merge puts in, Without takes out.
	merged, m, err := want.Merge(one("E"))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := merged.Without(m.Added...); got.Text() != want.Text() {
		t.Error(got.Text())
	}
	if got, _ := (policy.Document{Statements: []policy.Statement{one("A")}}).Without("A"); got.Validate() == nil {
		t.Error("a document without statements counts as a policy")
	}
}
