package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

// stmt makes a statement of the bucket b of the principals, or of an identity where there are none.
func stmt(effect policy.Effect, aws, actions, resources string, c policy.Condition) policy.Statement {
	s := policy.Statement{Effect: effect, Action: strings.Fields(actions), Resource: strings.Fields(resources), Condition: c}
	if names := strings.Fields(aws); len(names) > 0 {
		s.Principal = &policy.Principal{AWS: names}
		if aws == "*" {
			s.Principal = &policy.Principal{Everyone: true}
		}
	}
	return s
}

func allowed(aws, actions, resources string, c policy.Condition) policy.Statement {
	return stmt(policy.Allow, aws, actions, resources, c)
}

func denied(aws, actions, resources string, c policy.Condition) policy.Statement {
	return stmt(policy.Deny, aws, actions, resources, c)
}

func equals(key string, values ...string) policy.Condition {
	return policy.Condition{"StringEquals": {key: values}}
}

func docOf(all ...policy.Statement) policy.Document {
	return policy.Document{Version: policy.Version, Statements: all}
}

func TestWidens(t *testing.T) {
	const a1, a2, root1 = "111122223333", "444455556666", "arn:aws:iam::111122223333:root"
	objects := "arn:aws:s3:::b/*"
	vpc := equals("aws:SourceVpc", "vpc-1")
	service := policy.Statement{Effect: policy.Allow, Principal: &policy.Principal{Service: []string{"x.amazonaws.com"}}, Action: []string{"s3:GetObject"}, Resource: []string{objects}}
	notAction := policy.Statement{Effect: policy.Allow, NotAction: []string{"iam:*"}, Resource: []string{"*"}}
	notPrincipal := policy.Statement{Effect: policy.Deny, NotPrincipal: &policy.Principal{AWS: []string{a1, a2}}, Action: []string{"*"}, Resource: []string{"*"}}
	fewerNotPrincipal := notPrincipal
	fewerNotPrincipal.NotPrincipal = &policy.Principal{AWS: []string{root1}}
	for name, c := range map[string]struct {
		old, new []policy.Statement
		want     string // effect, statement and element of each
	}{
		"nothing":                       {nil, nil, ""},
		"a new Allow":                   {nil, []policy.Statement{allowed(a1, "s3:GetObject", objects, nil)}, "Allow 0 Statement"},
		"an Allow goes":                 {[]policy.Statement{allowed(a1, "s3:GetObject", objects, nil)}, nil, ""},
		"covered by wildcards":          {[]policy.Statement{allowed("*", "s3:*", "*", nil)}, []policy.Statement{allowed(a1, "S3:getObject s3:Put*", objects, nil)}, ""},
		"root and id are the same":      {[]policy.Statement{allowed(a1, "s3:GetObject", objects, nil)}, []policy.Statement{allowed(root1, "s3:GetObject", objects, nil)}, ""},
		"another account":               {[]policy.Statement{allowed(a1, "s3:GetObject", objects, nil)}, []policy.Statement{allowed(a1+" "+a2, "s3:GetObject", objects, nil)}, "Allow 0 Principal 444455556666"},
		"a role of the account":         {[]policy.Statement{allowed(a1, "s3:GetObject", objects, nil)}, []policy.Statement{allowed("arn:aws:iam::111122223333:role/r", "s3:GetObject", objects, nil)}, "Allow 0 Principal arn:aws:iam::111122223333:role/r"},
		"everybody":                     {[]policy.Statement{allowed(a1, "s3:GetObject", objects, nil)}, []policy.Statement{allowed("*", "s3:GetObject", objects, nil)}, "Allow 0 Principal *"},
		"a service, not by everybody":   {[]policy.Statement{allowed("*", "s3:GetObject", objects, nil)}, []policy.Statement{service}, "Allow 0 Principal Service:x.amazonaws.com"},
		"a service as before":           {[]policy.Statement{service}, []policy.Statement{service, service}, ""},
		"another action":                {[]policy.Statement{allowed("", "s3:GetObject", objects, nil)}, []policy.Statement{allowed("", "s3:GetObject s3:PutObject", objects, nil)}, "Allow 0 Action s3:PutObject"},
		"another resource":              {[]policy.Statement{allowed("", "s3:GetObject", objects, nil)}, []policy.Statement{allowed("", "s3:GetObject", objects+" arn:aws:s3:::c/*", nil)}, "Allow 0 Resource arn:aws:s3:::c/*"},
		"two elements":                  {[]policy.Statement{allowed("", "s3:GetObject", objects, nil)}, []policy.Statement{allowed("", "s3:PutObject", "arn:aws:s3:::c/*", nil)}, "Allow 0 Statement"},
		"split in two":                  {[]policy.Statement{allowed("", "s3:GetObject", objects, nil), allowed("", "s3:PutObject", objects, nil)}, []policy.Statement{allowed("", "s3:GetObject s3:PutObject", objects, nil)}, ""},
		"crossed":                       {[]policy.Statement{allowed(a1, "s3:GetObject", objects, nil), allowed(a2, "s3:PutObject", objects, nil)}, []policy.Statement{allowed(a1+" "+a2, "s3:GetObject s3:PutObject", objects, nil)}, "Allow 0 Principal 444455556666, Allow 0 Action s3:PutObject"},
		"an identity's is no bucket's":  {[]policy.Statement{allowed("", "s3:GetObject", objects, nil)}, []policy.Statement{allowed("*", "s3:GetObject", objects, nil)}, "Allow 0 Principal *"},
		"a condition comes":             {[]policy.Statement{allowed("", "s3:GetObject", objects, nil)}, []policy.Statement{allowed("", "s3:GetObject", objects, vpc)}, ""},
		"a condition goes":              {[]policy.Statement{allowed("", "s3:GetObject", objects, vpc)}, []policy.Statement{allowed("", "s3:GetObject", objects, nil)}, "Allow 0 Condition"},
		"a condition stays":             {[]policy.Statement{allowed("", "s3:GetObject", objects, vpc)}, []policy.Statement{allowed("", "s3:GetObject", objects, equals("AWS:sourceVPC", "vpc-1"))}, ""},
		"a condition has one value now": {[]policy.Statement{allowed("", "s3:GetObject", objects, equals("k", "1", "2"))}, []policy.Statement{allowed("", "s3:GetObject", objects, equals("k", "2"))}, ""},
		"a condition has more values":   {[]policy.Statement{allowed("", "s3:GetObject", objects, equals("k", "1"))}, []policy.Statement{allowed("", "s3:GetObject", objects, equals("k", "1", "2"))}, "Allow 0 Condition"},
		"a negated one has fewer": {[]policy.Statement{allowed("", "s3:GetObject", objects, policy.Condition{"StringNotEquals": {"k": {"1", "2"}}})},
			[]policy.Statement{allowed("", "s3:GetObject", objects, policy.Condition{"StringNotEquals": {"k": {"1"}}})}, "Allow 0 Condition"},
		"one over a set has fewer": {[]policy.Statement{allowed("", "s3:GetObject", objects, policy.Condition{"ForAllValues:StringEquals": {"k": {"1", "2"}}})},
			[]policy.Statement{allowed("", "s3:GetObject", objects, policy.Condition{"ForAllValues:StringEquals": {"k": {"1"}}})}, "Allow 0 Condition"},
		"a looser operator": {[]policy.Statement{allowed("", "s3:GetObject", objects, equals("k", "1"))},
			[]policy.Statement{allowed("", "s3:GetObject", objects, policy.Condition{"StringEqualsIfExists": {"k": {"1"}}})}, "Allow 0 Condition"},
		"a new Deny":                   {nil, []policy.Statement{denied("*", "s3:*", objects, nil)}, ""},
		"a Deny goes":                  {[]policy.Statement{denied("*", "s3:*", objects, nil)}, nil, "Deny 0 Statement"},
		"a Deny becomes an Allow":      {[]policy.Statement{denied("*", "s3:*", objects, nil)}, []policy.Statement{allowed("*", "s3:*", objects, nil)}, "Allow 0 Statement, Deny 0 Statement"},
		"a Deny is widened":            {[]policy.Statement{denied(a1, "s3:Get*", objects, vpc)}, []policy.Statement{denied("*", "s3:*", "*", nil)}, ""},
		"a Deny has fewer actions":     {[]policy.Statement{denied("*", "s3:*", objects, nil)}, []policy.Statement{denied("*", "s3:Get*", objects, nil)}, "Deny 0 Action s3:*"},
		"a Deny has fewer resources":   {[]policy.Statement{denied("*", "s3:*", "arn:aws:s3:::b "+objects, nil)}, []policy.Statement{denied("*", "s3:*", objects, nil)}, "Deny 0 Resource arn:aws:s3:::b"},
		"a Deny gets a condition":      {[]policy.Statement{denied("*", "s3:*", objects, nil)}, []policy.Statement{denied("*", "s3:*", objects, vpc)}, "Deny 0 Condition"},
		"a Deny loses a condition":     {[]policy.Statement{denied("*", "s3:*", objects, vpc)}, []policy.Statement{denied("*", "s3:*", objects, nil)}, ""},
		"what is left out, plainly":    {[]policy.Statement{notAction}, []policy.Statement{allowed("", "s3:GetObject", "*", nil)}, ""},
		"what was left out":            {[]policy.Statement{notAction}, []policy.Statement{allowed("", "iam:PassRole", "*", nil)}, "Allow 0 Action iam:PassRole"},
		"perhaps left out":             {[]policy.Statement{notAction}, []policy.Statement{allowed("", "i*", "*", nil)}, "Allow 0 Action i*"},
		"more is left out":             {[]policy.Statement{notAction}, []policy.Statement{{Effect: policy.Allow, NotAction: []string{"iam:*", "kms:*"}, Resource: []string{"*"}}}, ""},
		"less is left out":             {[]policy.Statement{notAction}, []policy.Statement{{Effect: policy.Allow, NotAction: []string{"iam:Pass*"}, Resource: []string{"*"}}}, "Allow 0 Action not iam:Pass*"},
		"all but some, by all":         {[]policy.Statement{allowed("", "*", "*", nil)}, []policy.Statement{notAction}, ""},
		"all but some, by some":        {[]policy.Statement{allowed("", "s3:*", "*", nil)}, []policy.Statement{notAction}, "Allow 0 Action not iam:*"},
		"a Deny spares fewer":          {[]policy.Statement{notPrincipal}, []policy.Statement{fewerNotPrincipal}, ""},
		"a Deny spares more":           {[]policy.Statement{fewerNotPrincipal}, []policy.Statement{notPrincipal}, "Deny 0 Principal not 111122223333"},
		"a Deny names whom it did not": {[]policy.Statement{notPrincipal}, []policy.Statement{denied("*", "*", "*", nil)}, "Deny 0 Principal not 111122223333 not 444455556666"},
		"no statement": {[]policy.Statement{{Effect: policy.Allow, Action: []string{"*"}, NotAction: []string{"a:b"}}}, []policy.Statement{{Effect: policy.Allow, Action: []string{"*"}, NotAction: []string{"a:b"}}, {Effect: "allow", Action: []string{"a:b"}}},
			"Allow 0 Statement, Allow 1 Statement"},
		"who may assume a role": {[]policy.Statement{{Effect: policy.Allow, Principal: service.Principal, Action: []string{"sts:AssumeRole"}}},
			[]policy.Statement{{Effect: policy.Allow, Principal: &policy.Principal{Service: []string{"x.amazonaws.com"}, Federated: []string{"f"}, CanonicalUser: []string{"c"}}, Action: []string{"sts:AssumeRole"}}},
			"Allow 0 Principal CanonicalUser:c Federated:f"},
		"the order makes no difference": {[]policy.Statement{denied("*", "a:b", "*", nil), allowed("", "a:c", "*", nil)}, []policy.Statement{allowed("", "a:c", "*", nil), denied("*", "a:b", "*", nil)}, ""},
	} {
		var got []string
		for _, w := range policy.Widens(docOf(c.old...), docOf(c.new...)) {
			if w.Element == policy.ElementStatement {
				w.Values = nil
			}
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %d %s %s", w.Effect, w.Statement, w.Element, strings.Join(w.Values, " "))))
			if w.Detail == "" || !strings.Contains(w.String(), w.Detail) {
				t.Errorf("%s: %+v says nothing", name, w)
			}
		}
		if d := cmp.Diff(c.want, strings.Join(got, ", ")); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
}

// The older version of the language takes a variable for what is written there, so that the same text can mean more in the newer one.
func TestWidensVersions(t *testing.T) {
	s := allowed("", "s3:GetObject", "arn:aws:s3:::b/${aws:username}", nil)
	v := allowed("", "s3:GetObject", "*", equals("k", "${aws:username}"))
	n := allowed("", "s3:GetObject", "*", nil)
	n.Resource, n.NotResource = nil, []string{"arn:aws:s3:::b/${aws:username}"}
	plain := allowed("", "s3:GetObject", "arn:aws:s3:::b/x", nil)
	for _, one := range []policy.Statement{s, v, n} {
		old, now := docOf(one), docOf(one)
		old.Version = "2008-10-17"
		if len(policy.Widens(old, now)) != 1 || len(policy.Widens(now, old)) != 1 || len(policy.Widens(old, old)) != 0 || len(policy.Widens(now, now)) != 0 {
			t.Errorf("%+v: %v", one, policy.Widens(old, now))
		}
	}
	old, now := docOf(plain), docOf(plain)
	old.Version = ""
	if w := policy.Widens(old, now); len(w) != 0 {
		t.Error(w)
	}
}

func TestWidensNamesStatements(t *testing.T) {
	a, b := allowed("", "s3:GetObject", "*", nil), allowed("", "s3:PutObject", "arn:aws:s3:::b/*", nil)
	a.Sid, b.Sid = "A", "B"
	got := policy.Widens(docOf(a), docOf(a, b))
	want := []policy.Widening{{Sid: "B", Statement: 1, Effect: policy.Allow, Element: policy.ElementAction, Values: []string{"s3:PutObject"},
		Detail: "it was not allowed before for the action s3:PutObject"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if s := got[0].String(); s != "Allow statement 1 (B): it was not allowed before for the action s3:PutObject" {
		t.Error(s)
	}
	got = policy.Widens(docOf(a), docOf(allowed("111122223333", "s3:PutObject s3:GetObject", "arn:aws:s3:::b/*", nil)))
	want = []policy.Widening{{Effect: policy.Allow, Element: policy.ElementStatement, Values: []string{"111122223333 s3:PutObject arn:aws:s3:::b/*"},
		Detail: "nothing like it was allowed before: 111122223333 s3:PutObject arn:aws:s3:::b/*"},
		{Effect: policy.Allow, Element: policy.ElementPrincipal, Values: []string{"111122223333"}, Detail: "it was not allowed before for the principal 111122223333"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	many := a
	many.Resource = nil
	for i := range 30 {
		many.Resource = append(many.Resource, fmt.Sprintf("arn:aws:s3:::bucket%02d", i))
	}
	got = policy.Widens(docOf(allowed("", "s3:GetObject", "arn:aws:s3:::x", nil)), docOf(many))
	if len(got) != 1 || len(got[0].Values) != 20 || !strings.HasSuffix(got[0].Detail, "and 10 more") {
		t.Errorf("%v", got)
	}
}

// A statement with very many combinations is compared as a whole: nothing new goes unseen, and the same is still the same.
func TestWidensLarge(t *testing.T) {
	big := policy.Statement{Effect: policy.Allow, Principal: &policy.Principal{}}
	for i := range 60 {
		big.Principal.AWS = append(big.Principal.AWS, fmt.Sprintf("%012d", i))
		big.Action = append(big.Action, fmt.Sprintf("s3:Get%d", i))
		big.Resource = append(big.Resource, fmt.Sprintf("arn:aws:s3:::b%d", i))
	}
	if w := policy.Widens(docOf(big), docOf(big)); len(w) != 0 {
		t.Error(w)
	}
	less := big
	less.Action = big.Action[1:]
	if w := policy.Widens(docOf(less), docOf(big)); len(w) != 1 || w[0].Element != policy.ElementAction {
		t.Error(w)
	}
}
