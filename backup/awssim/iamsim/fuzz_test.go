package iamsim_test

import (
	"testing"

	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/policy"
)

// FuzzEvaluate asks with any policy, and holds what no policy may change: a Deny of everything denies, who has no Allow has nothing, and the answer
// is the same when it is asked again.
func FuzzEvaluate(f *testing.F) {
	for _, seed := range []string{
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::${aws:username, 'a'}/*"}}`,
		`{"Statement":{"Effect":"Deny","NotAction":"s3:??t*","NotResource":"arn:aws:s3:::*:*"}}`,
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"ForAllValues:StringLikeIfExists":{"aws:PrincipalArn":"${*}*${x}"}}}}`,
		`{"Version":"2012-10-17","Statement":{"Effect":"Deny","NotPrincipal":{"AWS":["111122223333","*"]},"Action":"*","Resource":"*","Condition":{"IpAddress":{"a":"::/0"},"DateLessThan":{"b":"1"}}}}`,
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"a.amazonaws.com"},"Action":"*","Condition":{"Null":{"a":true},"NumericEquals":{"b":1},"Bool":{"c":"true"}}}}`,
	} {
		f.Add([]byte(seed), user, "s3:GetObject", object, "a", "1")
		f.Add([]byte(seed), session, "kms:Decrypt", keyARN, "b", "::1")
	}
	f.Fuzz(func(t *testing.T, text []byte, who, action, resource, key, has string) {
		d, err := policy.ParseDocument(text)
		if err != nil {
			return
		}
		q := iamsim.Query{Principal: who, Action: action, Resource: resource, Context: values{key: {has}}, Identity: []policy.Document{d}, ResourcePolicy: &d}
		for _, q.KeyPolicy = range []bool{false, true} {
			for _, q.ResourceAccount = range []string{"", home, other} {
				first := iamsim.Evaluate(q)
				if again := iamsim.Evaluate(q); again != first {
					t.Errorf("%+v and then %+v", first, again)
				}
				if first.Allowed != (first.Missing == "") {
					t.Errorf("%+v", first)
				}
				stopped := q
				stopped.ResourcePolicy = &policy.Document{Version: d.Version, Statements: append(d.Statements[:len(d.Statements):len(d.Statements)], everyone(deny("*", "*")))}
				if d := iamsim.Evaluate(stopped); d.Allowed || d.Reason != iamsim.DeniedExplicitly && first.Reason != iamsim.Undecidable {
					t.Errorf("with a Deny of everything: %+v", d)
				}
				none := q
				none.Identity, none.ResourcePolicy = nil, resourcePolicy(everyone(deny("arn:aws:s3:::nothing", "s3:GetObject")))
				if d := iamsim.Evaluate(none); d.Allowed && who != "arn:aws:iam::"+home+":root" && d.Statement != "the root user of its account" {
					t.Errorf("without an Allow: %+v", d)
				}
			}
		}
	})
}
