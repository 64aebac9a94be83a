package policy_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/policy"
)

// keyRequest is one request to a key, for an evaluator that shares nothing with the linter.
type keyRequest struct {
	account string // the caller's, in the role r
	org     string
	action  string
	forAWS  string // "" where the action is about no grant
}

const lintThird = "777788889999"

func keyRequests() (all []keyRequest) {
	for _, who := range []struct{ account, org string }{{lintForeign, "o-ours"}, {lintThird, "o-theirs"}, {lintThird, ""}} {
		for _, a := range []string{"kms:Decrypt", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:DisableKey", "kms:RetireGrant"} {
			all = append(all, keyRequest{who.account, who.org, a, ""})
		}
		for _, a := range []string{"kms:CreateGrant", "kms:RevokeGrant"} {
			all = append(all, keyRequest{who.account, who.org, a, "true"}, keyRequest{who.account, who.org, a, "false"})
		}
	}
	return all
}

// lintMatches tries everything that the first wildcard can be, and then the rest.
func lintMatches(pattern, s string) bool {
	switch {
	case pattern == "":
		return s == ""
	case pattern[0] == '*':
		return lintMatches(pattern[1:], s) || s != "" && lintMatches(pattern, s[1:])
	}
	return s != "" && (pattern[0] == '?' || strings.EqualFold(pattern[:1], s[:1])) && lintMatches(pattern[1:], s[1:])
}

func (r keyRequest) keys() map[string]string {
	k := map[string]string{"kms:calleraccount": r.account}
	if r.org != "" {
		k["aws:principalorgid"] = r.org
	}
	if r.forAWS != "" {
		k["kms:grantisforawsresource"] = r.forAWS
	}
	return k
}

func (r keyRequest) named(p *policy.Principal) bool {
	for _, v := range p.AWS {
		if lintMatches(v, r.account) || lintMatches(v, "arn:aws:iam::"+r.account+":root") || lintMatches(v, "arn:aws:iam::"+r.account+":role/r") {
			return true
		}
	}
	return p.Everyone
}

func (r keyRequest) meets(c policy.Condition) bool {
	for operator, keys := range c {
		for key, values := range keys {
			have, there := r.keys()[strings.ToLower(key)]
			any := slices.ContainsFunc(values, func(v string) bool {
				if strings.HasPrefix(operator, "StringLike") {
					return lintMatches(v, have)
				}
				return strings.ReplaceAll(v, "${aws:PrincipalAccount}", r.account) == have
			})
			var holds bool
			switch operator {
			case "StringEquals", "StringLike", "Bool":
				holds = there && any
			case "StringEqualsIfExists", "BoolIfExists", "ForAllValues:StringEquals":
				holds = !there || any
			case "StringNotEquals":
				holds = !there || !any
			case "Null":
				holds = there == (values[0] == "false")
			default:
				panic(operator)
			}
			if !holds {
				return false
			}
		}
	}
	return true
}

func (r keyRequest) allowedBy(s policy.Statement) bool {
	in := func(all []string) bool {
		return slices.ContainsFunc(all, func(p string) bool { return lintMatches(p, r.action) })
	}
	who := s.Principal != nil && r.named(s.Principal) || s.NotPrincipal != nil && !r.named(s.NotPrincipal)
	what := len(s.Action) > 0 && in(s.Action) || len(s.NotAction) > 0 && !in(s.NotAction)
	return s.Effect == policy.Allow && who && what && r.meets(s.Condition)
}

func lintPick[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// randomKeyStatement draws from what real policies have, and from what goes wrong in them.
func randomKeyStatement(r *rand.Rand) policy.Statement {
	s := policy.Statement{Effect: lintPick(r, policy.Allow, policy.Allow, policy.Allow, policy.Deny), Resource: []string{"*"}, Condition: policy.Condition{}}
	principal := lintPick(r,
		&policy.Principal{Everyone: true}, &policy.Principal{AWS: []string{"*"}}, &policy.Principal{AWS: []string{"arn:aws:iam::*:root"}},
		&policy.Principal{AWS: []string{lintOwner}}, &policy.Principal{AWS: []string{lintForeign}}, &policy.Principal{AWS: []string{lintOwner, lintForeign}},
		&policy.Principal{AWS: []string{"arn:aws:iam::" + lintForeign + ":role/r"}}, &policy.Principal{AWS: []string{"arn:aws:iam::" + lintOwner + ":role/r"}},
		&policy.Principal{AWS: []string{"arn:aws:iam::44445555666?:role/r"}}, &policy.Principal{AWS: []string{"arn:aws:iam::" + lintForeign + ":root", "arn:*"}})
	if r.IntN(8) == 0 {
		s.NotPrincipal = principal
	} else {
		s.Principal = principal
	}
	for range 1 + r.IntN(3) {
		s.Action = append(s.Action, lintPick(r, "kms:Decrypt", "kms:*", "*", "kms:Sched*", "kms:*Deletion", "KMS:PUT*", "kms:Create*", "kms:CreateGrant", "kms:*Grant",
			"kms:RevokeGrant", "kms:Re*", "kms:D*", "kms:?isableKey", "k*:PutKeyPolicy", "kms:Get*", "kms:ReEncrypt*", "s3:*", "kms:List*"))
	}
	if r.IntN(8) == 0 {
		s.Action, s.NotAction = nil, s.Action
	}
	for range lintPick(r, 0, 0, 1, 1, 2) {
		operator, key := "", ""
		var values []string
		switch r.IntN(3) {
		case 0:
			operator, key = lintPick(r, "StringEquals", "StringLike", "StringEqualsIfExists", "StringNotEquals", "ForAllValues:StringEquals"), lintPick(r, "kms:CallerAccount", "KMS:calleraccount")
			values = lintPick(r, []string{lintOwner}, []string{lintForeign}, []string{lintOwner, lintForeign}, []string{"*"}, []string{"${aws:PrincipalAccount}"}, []string{lintOwner, "7777*"})
		case 1:
			operator, key = lintPick(r, "StringEquals", "StringEqualsIfExists", "ForAllValues:StringEquals", "StringLike", "Null"), "aws:PrincipalOrgID"
			values = lintPick(r, []string{"o-ours"}, []string{"o-*"})
			if operator == "Null" {
				values = []string{lintPick(r, "true", "false")}
			}
		case 2:
			operator, key = lintPick(r, "Bool", "Bool", "BoolIfExists"), "kms:GrantIsForAWSResource"
			values = lintPick(r, []string{"true"}, []string{"false"}, []string{"true", "false"})
		}
		s.Condition[operator] = map[string][]string{key: values}
	}
	if len(s.Condition) == 0 {
		s.Condition = nil
	}
	return s
}

// What the linter lets pass without an error is not dangerous: no statement without one of these errors lets a foreign caller administer the key, make
// a grant for anybody, or lets in a caller of whom nobody has spoken.
func TestLintAgainstRequests(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 11))
	requests := keyRequests()
	clean, dangerous := 0, 0
	for range 5_000 {
		s := randomKeyStatement(random)
		found := policy.Lint(policy.Document{Version: policy.Version, Statements: []policy.Statement{s}}, policy.LintContext{Kind: policy.KindKey, Owner: lintOwner})
		has := map[string]bool{}
		for _, f := range found {
			if f.Statement == 0 && f.Severity == policy.SeverityError {
				has[f.ID] = true
			}
		}
		if len(has) == 0 {
			clean++
		}
		for _, r := range requests {
			if !r.allowedBy(s) {
				continue
			}
			var want string
			switch {
			case r.action == "kms:CreateGrant" && r.forAWS == "false":
				want = "KMS004"
			case r.action == "kms:RevokeGrant" && r.forAWS == "false", strings.Contains(r.action, "Key"), r.action == "kms:RetireGrant":
				want = "KMS002"
			case r.account == lintThird && r.org != "o-ours":
				want = "KMS001"
			default:
				continue
			}
			dangerous++
			if !has[want] {
				text := policy.Document{Statements: []policy.Statement{s}}.Text()
				t.Fatalf("%+v is allowed and %s is missing from %v:\n%s", r, want, found, text)
			}
		}
	}
	if clean < 200 || dangerous < 10_000 {
		t.Errorf("%d clean statements and %d dangerous requests prove little", clean, dangerous)
	}
}

// Whatever is added to an Allow, its errors stay.
func TestLintWidening(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 5))
	for range 5_000 {
		s := randomKeyStatement(random)
		if s.Effect != policy.Allow || s.Principal == nil || s.Action == nil {
			continue
		}
		c := policy.LintContext{Kind: policy.KindKey, Owner: lintOwner}
		before := lintErrors(policy.Lint(policy.Document{Version: policy.Version, Statements: []policy.Statement{s}}, c))
		wider := s
		switch random.IntN(3) {
		case 0:
			wider.Action = append(slices.Clone(s.Action), "kms:*")
		case 1:
			// A condition that excludes whom the principal names makes of the one nobody, and of the other the owner.
			if wider.Principal = (&policy.Principal{Everyone: true}); len(s.Condition) > 0 {
				continue
			}
		case 2:
			wider.Condition = nil
		}
		after := lintErrors(policy.Lint(policy.Document{Version: policy.Version, Statements: []policy.Statement{wider}}, c))
		lintLacks(t, fmt.Sprintf("%+v made %+v", s, wider), before, after)
	}
}

// identityRequest is what no statement that names its resources allows: the thing is called by a name that is in no statement, has no tags, and
// the role that is passed goes to no service that was named.
type identityRequest struct{ action, resource string }

func randomIdentityStatement(r *rand.Rand) policy.Statement {
	s := policy.Statement{Effect: policy.Allow, Condition: policy.Condition{}}
	for range 1 + r.IntN(3) {
		s.Action = append(s.Action, lintPick(r, "rds:DeleteDBSnapshot", "rds:*", "*", "rds:D*", "RDS:*snapshot", "s3:GetObject", "s3:*", "s3:Get*", "S3:?etObject", "s3:List*",
			"iam:PassRole", "iam:P*", "elasticache:CopySnapshot", "elasticache:*", "elasticache:C*", "kms:Schedule*", "kms:*", "k*:*Deletion", "ec2:Describe*", "*:*"))
		s.Resource = append(s.Resource, lintPick(r, "*", "arn:*", "arn:aws:*", "arn:aws:rds:*", "arn:aws:rds:*:*:*", "arn:aws:rds:eu-west-1:111122223333:*",
			"arn:aws:rds:eu-west-1:111122223333:snapshot:*", "arn:aws:rds:eu-west-1:111122223333:snap*", "arn:aws:rds:*:111122223333:snapshot:night-*", "arn:aws:rds:*snapshot:*",
			"arn:aws:rds:eu-west-1:111122223333:snapshot:?*", "arn:aws:rds:eu-west-1:111122223333:snapshot:one", "arn:aws:s3:::*", "arn:aws:s3:::*/*", "arn:aws:s3:::b/*", "arn:aws:s3:::?*",
			"arn:aws:s3:*", "arn:*:s3:::b", "arn:aws:s3*", "arn:aws:s?:::*", "*b*", "arn:aws:iam::111122223333:role/*", "arn:aws:iam::111122223333:role/export", "arn:aws:iam::*:role/export",
			"arn:aws:iam::111122223333:*", "arn:aws:elasticache:eu-west-1:111122223333:snapshot:*", "arn:aws:elasticache:eu-west-1:111122223333:snapshot:night-*", "arn:aws:kms:eu-west-1:111122223333:key/k"))
	}
	if r.IntN(10) == 0 {
		s.Action, s.NotAction = nil, s.Action
	}
	if r.IntN(10) == 0 {
		s.Resource, s.NotResource = nil, s.Resource
	}
	if r.IntN(3) == 0 {
		operator := lintPick(r, "StringEquals", "StringEqualsIfExists", "ForAllValues:StringEquals", "StringNotEquals")
		s.Condition[operator] = map[string][]string{lintPick(r, "aws:ResourceTag/owner", "iam:PassedToService"): {"x"}}
	}
	if len(s.Condition) == 0 {
		s.Condition = nil
	}
	return s
}

// allowedBy reads the statement for a request with neither tags nor a service: exact conditions keep it out, the others let it in.
func (q identityRequest) allowedBy(s policy.Statement) bool {
	in := func(all []string, v string) bool {
		return slices.ContainsFunc(all, func(p string) bool { return lintMatches(p, v) })
	}
	what := len(s.Action) > 0 && in(s.Action, q.action) || len(s.NotAction) > 0 && !in(s.NotAction, q.action)
	on := len(s.Resource) > 0 && in(s.Resource, q.resource) || len(s.NotResource) > 0 && !in(s.NotResource, q.resource)
	_, bound := s.Condition["StringEquals"]
	return what && on && !bound
}

// An identity that is found without an error can delete, read, pass and destroy nothing that its policy has not named.
func TestLintAgainstIdentityRequests(t *testing.T) {
	random := rand.New(rand.NewPCG(13, 17))
	requests := map[identityRequest]string{
		{"rds:DeleteDBSnapshot", "arn:aws:rds:eu-west-1:111122223333:snapshot:quux"}:             "IAM001",
		{"rds:DeleteDBSnapshot", "arn:aws:rds:us-east-1:444455556666:snapshot:quux"}:             "IAM001",
		{"kms:ScheduleKeyDeletion", "arn:aws:kms:eu-west-1:111122223333:key/k"}:                  "IAM001",
		{"s3:GetObject", "arn:aws:s3:::quux/o"}:                                                  "S3002",
		{"s3:ListBucket", "arn:aws:s3:::quux"}:                                                   "S3002",
		{"iam:PassRole", "arn:aws:iam::111122223333:role/quux"}:                                  "IAM003",
		{"elasticache:CopySnapshot", "arn:aws:elasticache:us-east-1:111122223333:snapshot:quux"}: "IAM004",
	}
	clean, dangerous := 0, 0
	for range 10_000 {
		s := randomIdentityStatement(random)
		doc := policy.Document{Version: policy.Version, Statements: []policy.Statement{s}}
		has := map[string]bool{}
		for _, f := range policy.Lint(doc, policy.LintContext{Kind: policy.KindIdentity, MayDelete: true}) {
			if f.Severity == policy.SeverityError {
				has[f.ID] = true
			}
		}
		if len(has) == 0 {
			clean++
		}
		for q, want := range requests {
			if !q.allowedBy(s) {
				continue
			}
			dangerous++
			if !has[want] {
				t.Fatalf("%+v is allowed and the error %s is missing from %v:\n%s", q, want, has, doc.Text())
			}
		}
	}
	if clean < 300 || dangerous < 10_000 {
		t.Errorf("%d clean statements and %d dangerous requests prove little", clean, dangerous)
	}
}
