package policy_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

// manyListed is a statement with something in every list.
func manyListed() policy.Statement {
	return policy.Statement{
		Sid: "Mine", Effect: policy.Allow, Action: []string{"s3:GetObject", "s3:PutObject"}, Resource: []string{"arn:aws:s3:::b", "arn:aws:s3:::b/*"},
		Principal: &policy.Principal{AWS: []string{"111122223333", "444455556666"}, Service: []string{"a.amazonaws.com", "b.amazonaws.com"},
			Federated: []string{"x", "y"}, CanonicalUser: []string{"u", "v"}},
		Condition: policy.Condition{"StringEquals": {"aws:SourceAccount": {"111122223333", "444455556666"}}},
	}
}

// turned gives a statement with every list in the other order.
func turned(s policy.Statement) policy.Statement {
	for _, list := range [][]string{s.Action, s.Resource, s.Principal.AWS, s.Principal.Service, s.Principal.Federated, s.Principal.CanonicalUser,
		s.Condition["StringEquals"]["aws:SourceAccount"]} {
		slices.Reverse(list)
	}
	return s
}

// A statement that says the same in another order needs no write, and one that says something else does.
func TestMergeKnowsWhatIsTheSame(t *testing.T) {
	there := policy.Document{Version: policy.Version, Statements: []policy.Statement{manyListed()}}
	got, m, err := there.Merge(turned(manyListed()))
	if err != nil || m.Changed() || len(m.Same) != 1 {
		t.Errorf("%+v %v", m, err)
	}
	if d := cmp.Diff(there, got); d != "" {
		t.Error(d)
	}
	twice := manyListed()
	twice.Action = append(twice.Action, twice.Action[0])
	if _, m, err := there.Merge(twice); err != nil || m.Changed() {
		t.Errorf("an action that stands twice: %+v %v", m, err)
	}
	for name, change := range map[string]func(s *policy.Statement){
		"effect":       func(s *policy.Statement) { s.Effect = policy.Deny },
		"action":       func(s *policy.Statement) { s.Action[0] = "s3:DeleteObject" },
		"fewer":        func(s *policy.Statement) { s.Action = s.Action[:1] },
		"not action":   func(s *policy.Statement) { s.Action, s.NotAction = nil, s.Action },
		"resource":     func(s *policy.Statement) { s.Resource[1] = "*" },
		"not resource": func(s *policy.Statement) { s.Resource, s.NotResource = nil, s.Resource },
		"principal":    func(s *policy.Statement) { s.Principal.AWS[1] = "777788889999" },
		"kind": func(s *policy.Statement) {
			s.Principal.AWS, s.Principal.Federated = s.Principal.Federated, s.Principal.AWS
		},
		"everyone":     func(s *policy.Statement) { s.Principal = &policy.Principal{Everyone: true} },
		"not":          func(s *policy.Statement) { s.Principal, s.NotPrincipal = nil, s.Principal },
		"no condition": func(s *policy.Statement) { s.Condition = nil },
		"operator":     func(s *policy.Statement) { s.Condition = policy.Condition{"StringLike": s.Condition["StringEquals"]} },
		"value":        func(s *policy.Statement) { s.Condition["StringEquals"]["aws:SourceAccount"][0] = "777788889999" },
		"key":          func(s *policy.Statement) { s.Condition["StringEquals"]["aws:SourceArn"] = []string{"x"} },
	} {
		s := manyListed()
		change(&s)
		if _, m, err := there.Merge(s); err != nil || len(m.Replaced) != 1 {
			t.Errorf("%s: %+v %v", name, m, err)
		}
	}
}

// What Merge, Without and MergeLifecycle give shares nothing with what they were given.
func TestResultsShareNothing(t *testing.T) {
	other := manyListed()
	other.Sid, other.NotAction, other.NotResource, other.NotPrincipal = "Other", other.Action, other.Resource, other.Principal
	other.Action, other.Resource, other.Principal = nil, nil, nil
	there, mine := policy.Document{Version: policy.Version, Statements: []policy.Statement{other}}, manyListed()
	merged, _, err := there.Merge(mine)
	if err != nil {
		t.Fatal(err)
	}
	rest, _ := merged.Without("None")
	before := []string{there.Text(), merged.Text(), policy.Document{Statements: []policy.Statement{mine}}.Text()}
	scratch := func(d policy.Document) {
		for _, s := range d.Statements {
			for _, list := range [][]string{s.Action, s.NotAction, s.Resource, s.NotResource} {
				clear(list)
			}
			for _, p := range []*policy.Principal{s.Principal, s.NotPrincipal} {
				if p != nil {
					clear(p.AWS)
					clear(p.Service)
					clear(p.Federated)
					clear(p.CanonicalUser)
					p.Everyone = true
				}
			}
			for _, keys := range s.Condition {
				for _, values := range keys {
					clear(values)
				}
				clear(keys)
			}
			clear(s.Condition)
		}
	}
	scratch(rest)
	if d := cmp.Diff(before[1], merged.Text()); d != "" {
		t.Errorf("Without:\n%s", d)
	}
	scratch(merged)
	if d := cmp.Diff([]string{before[0], before[2]}, []string{there.Text(), policy.Document{Statements: []policy.Statement{mine}}.Text()}); d != "" {
		t.Errorf("Merge:\n%s", d)
	}

	move := []policy.Transition{{Days: 30, Class: "STANDARD_IA"}}
	rule := func(id string) policy.LifecycleRule {
		return policy.LifecycleRule{ID: id, Prefix: "a/", Transitions: slices.Clone(move)}
	}
	theirs, ours := []policy.LifecycleRule{rule("theirs")}, rule("ours")
	rules, _, err := policy.MergeLifecycle(theirs, []policy.LifecycleRule{ours})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		clear(r.Transitions)
	}
	if d := cmp.Diff(move, theirs[0].Transitions) + cmp.Diff(move, ours.Transitions); d != "" {
		t.Errorf("MergeLifecycle:\n%s", d)
	}
}

// Encode counts the bytes that it gives, and not those of encoding/json, which writes some signs longer.
func TestEncodeIsExact(t *testing.T) {
	d := oneStatement(func(_ *policy.Document, s *policy.Statement) { s.Resource[0] = "arn:aws:s3:::b/<&>" })
	text, err := d.Encode(policy.MaxBucketPolicy)
	if err != nil || !strings.Contains(text, "b/<&>") {
		t.Fatal(text, err)
	}
	long, err := json.Marshal(d)
	if err != nil || len(long) != len(text)+3*5 {
		t.Errorf("%d bytes, and %d by json.Marshal: %v", len(text), len(long), err)
	}
	if again, err := d.Encode(len(text)); err != nil || again != text {
		t.Error(err)
	}
	if got, err := policy.ParseDocument([]byte(text)); err != nil || !cmp.Equal(got, d) {
		t.Error(err)
	}
}

// Only grants that this package would make are added, and what others granted is nobody's to judge.
func TestMergeGrantsRefuses(t *testing.T) {
	id := strings.Repeat("a", 64)
	for name, g := range map[string]policy.Grant{
		"no permission": {CanonicalID: id},
		"nonsense":      {CanonicalID: id, Permission: "NONSENSE"},
		"small letters": {CanonicalID: id, Permission: "read"},
		"two grantees":  {CanonicalID: id, Other: "http://acs.amazonaws.com/groups/global/AllUsers", Permission: policy.PermissionRead},
		"a group":       {Other: "http://acs.amazonaws.com/groups/s3/LogDelivery", Permission: policy.PermissionRead},
		"nobody":        {Permission: policy.PermissionRead},
		"a short id":    {CanonicalID: id[1:], Permission: policy.PermissionRead},
	} {
		merged, added, err := policy.MergeGrants(nil, []policy.Grant{g})
		var e *policy.NameError
		if !errors.As(err, &e) || merged != nil || added != nil {
			t.Errorf("%s: %v %v %v", name, merged, added, err)
		}
	}
	theirs := []policy.Grant{{Other: "somebody@example.com", Permission: "SOMETHING_NEW"}}
	merged, added, err := policy.MergeGrants(theirs, []policy.Grant{{CanonicalID: id, Permission: policy.PermissionFullControl}})
	if err != nil || len(added) != 1 || len(merged) != 2 || merged[0] != theirs[0] {
		t.Errorf("%v %v %v", merged, added, err)
	}
}
