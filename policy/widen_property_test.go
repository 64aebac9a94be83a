package policy_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/snapwarden/snapwarden/policy"
)

// A small world in which every request can be tried: three accounts, a few actions and resources, and one key of a condition.
var (
	worldAWS       = []string{"111122223333", "444455556666", "777788889999"}
	worldActions   = []string{"s3:GetObject", "s3:GetObjectAcl", "s3:PutObject", "kms:Decrypt"}
	worldResources = []string{"arn:aws:s3:::b", "arn:aws:s3:::b/x", "arn:aws:s3:::c/x"}
	worldValues    = []string{"", "1", "2"} // the key is not there, or has this value

	actionPatterns   = []string{"*", "s3:*", "s3:Get*", "s3:GetObject", "s3:PutObject", "kms:Decrypt", "s3:?etObject", "S3:get*"}
	resourcePatterns = []string{"*", "arn:aws:s3:::b", "arn:aws:s3:::b/*", "arn:aws:s3:::b*", "arn:aws:s3:::c/x", "arn:aws:s3:::*/x", "arn:aws:*"}
)

func pick(r *rand.Rand, from []string) []string {
	var out []string
	for range 1 + r.IntN(2) {
		out = append(out, from[r.IntN(len(from))])
	}
	return out
}

func randomStatement(r *rand.Rand) policy.Statement {
	s := policy.Statement{Effect: policy.Allow}
	if r.IntN(3) == 0 {
		s.Effect = policy.Deny
	}
	switch r.IntN(8) {
	case 0:
		s.Principal = &policy.Principal{Everyone: true}
	case 1:
		s.NotPrincipal = &policy.Principal{AWS: pick(r, worldAWS)}
	case 2:
		s.Principal = &policy.Principal{AWS: []string{"arn:aws:iam::111122223333:root"}}
	default:
		s.Principal = &policy.Principal{AWS: pick(r, worldAWS)}
	}
	if r.IntN(5) == 0 {
		s.NotAction = pick(r, actionPatterns[1:])
	} else {
		s.Action = pick(r, actionPatterns)
	}
	if r.IntN(5) == 0 {
		s.NotResource = pick(r, resourcePatterns[1:])
	} else {
		s.Resource = pick(r, resourcePatterns)
	}
	switch r.IntN(5) {
	case 0:
		s.Condition = policy.Condition{"StringEquals": {"k": pick(r, worldValues[1:])}}
	case 1:
		s.Condition = policy.Condition{"StringNotEquals": {"K": pick(r, worldValues[1:])}}
	}
	return s
}

func randomDocument(r *rand.Rand) policy.Document {
	d := policy.Document{Version: policy.Version}
	for range 1 + r.IntN(4) {
		d.Statements = append(d.Statements, randomStatement(r))
	}
	return d
}

type request struct{ principal, action, resource, value string }

// applies says, from scratch, whether a statement is about a request.
func applies(s policy.Statement, q request) bool {
	names := func(p *policy.Principal) bool {
		return p.Everyone || slices.Contains(p.AWS, q.principal) || q.principal == worldAWS[0] && slices.Contains(p.AWS, "arn:aws:iam::111122223333:root")
	}
	if s.Principal != nil && !names(s.Principal) || s.NotPrincipal != nil && names(s.NotPrincipal) {
		return false
	}
	in := func(list []string, match func(pattern, s string) bool, v string) bool {
		return slices.ContainsFunc(list, func(p string) bool { return match(p, v) })
	}
	if len(s.NotAction) == 0 && !in(s.Action, policy.MatchAction, q.action) || in(s.NotAction, policy.MatchAction, q.action) {
		return false
	}
	if len(s.NotResource) == 0 && !in(s.Resource, policy.MatchResource, q.resource) || in(s.NotResource, policy.MatchResource, q.resource) {
		return false
	}
	if v, ok := s.Condition["StringEquals"]; ok && !slices.Contains(v["k"], q.value) {
		return false
	}
	if v, ok := s.Condition["StringNotEquals"]; ok && slices.Contains(v["K"], q.value) {
		return false
	}
	return true
}

func allows(d policy.Document, q request) bool {
	ok := false
	for _, s := range d.Statements {
		if applies(s, q) {
			if s.Effect == policy.Deny {
				return false
			}
			ok = true
		}
	}
	return ok
}

func worldRequests() (all []request) {
	for _, p := range worldAWS {
		for _, a := range worldActions {
			for _, r := range worldResources {
				for _, v := range worldValues {
					all = append(all, request{p, a, r, v})
				}
			}
		}
	}
	return all
}

// Where Widens lists nothing, the new document allows no request that the old one did not. The new document is the old one changed a little, or
// nothing would ever be covered.
func TestWidensIsSound(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	requests := worldRequests()
	empty, wider := 0, 0
	for range 20_000 {
		old := randomDocument(r)
		now := policy.Document{Version: policy.Version, Statements: slices.Clone(old.Statements)}
		for range 1 + r.IntN(2) {
			switch n := r.IntN(len(now.Statements) + 1); {
			case n == len(now.Statements):
				now.Statements = append(now.Statements, randomStatement(r))
			case r.IntN(2) == 0:
				now.Statements[n] = randomStatement(r)
			default:
				s, other := now.Statements[n], randomStatement(r)
				switch r.IntN(4) {
				case 0:
					s.Action, s.NotAction = other.Action, other.NotAction
				case 1:
					s.Resource, s.NotResource = other.Resource, other.NotResource
				case 2:
					s.Principal, s.NotPrincipal = other.Principal, other.NotPrincipal
				default:
					s.Condition = other.Condition
				}
				now.Statements[n] = s
			}
		}
		listed := policy.Widens(old, now)
		if len(listed) == 0 {
			empty++
		}
		for _, q := range requests {
			if allows(now, q) && !allows(old, q) {
				wider++
				if len(listed) == 0 {
					t.Fatalf("nothing is listed, but %+v is allowed now:\n%s\n%s", q, old.Text(), now.Text())
				}
				break
			}
		}
	}
	if empty < 1000 || wider < 5000 {
		t.Errorf("of 20000 changes %d were listed as nothing and %d allow more: the test sees too little", empty, wider)
	}
}

func TestWidensProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 3000 {
		d := randomDocument(r)
		if w := policy.Widens(d, d); len(w) != 0 {
			t.Fatalf("a document widens itself: %v\n%s", w, d.Text())
		}
		n := r.IntN(len(d.Statements))
		less := policy.Document{Version: policy.Version, Statements: slices.Delete(slices.Clone(d.Statements), n, n+1)}
		add, take := policy.Widens(less, d), policy.Widens(d, less)
		if d.Statements[n].Effect == policy.Allow && len(take) != 0 {
			t.Fatalf("to take away an Allow widens: %v\n%s", take, d.Text())
		}
		if d.Statements[n].Effect == policy.Deny && len(add) != 0 {
			t.Fatalf("to add a Deny widens: %v\n%s", add, d.Text())
		}
		for _, w := range add {
			if w.Effect != policy.Allow || w.Statement != n {
				t.Fatalf("statement %d was added, and %v is listed", n, w)
			}
		}
		// What is listed of a step is listed of it in any longer way too: from nothing, every Allow is listed.
		allow := 0
		for _, s := range d.Statements {
			if s.Effect == policy.Allow {
				allow++
			}
		}
		from := map[int]bool{}
		for _, w := range policy.Widens(policy.Document{}, d) {
			from[w.Statement] = true
		}
		if len(from) != allow {
			t.Fatalf("%d of %d Allows are listed\n%s", len(from), allow, d.Text())
		}
	}
}
