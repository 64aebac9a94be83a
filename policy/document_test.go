package policy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

const exportPolicy = `{
  "Version": "2012-10-17",
  "Id": "Policy15397346",
  "Statement": [
    {
      "Sid": "Stmt15399484",
      "Effect": "Allow",
      "Principal": {
        "Service": "ap-east-1.elasticache-snapshot.amazonaws.com"
      },
      "Action": [
        "s3:PutObject",
        "s3:GetObject"
      ],
      "Resource": [
        "arn:aws:s3:::exports",
        "arn:aws:s3:::exports/*"
      ],
      "Condition": {
        "Bool": {
          "aws:SecureTransport": "true"
        },
        "StringEquals": {
          "aws:SourceAccount": [
            "111122223333",
            "444455556666"
          ]
        }
      }
    },
    {
      "Effect": "Deny",
      "Principal": "*",
      "NotAction": "s3:Get*",
      "NotResource": "arn:aws:s3:::other/<a&b>"
    }
  ]
}
`

func TestParseDocument(t *testing.T) {
	want := policy.Document{Version: policy.Version, ID: "Policy15397346", Statements: []policy.Statement{
		{
			Sid: "Stmt15399484", Effect: policy.Allow, Principal: &policy.Principal{Service: []string{"ap-east-1.elasticache-snapshot.amazonaws.com"}},
			Action: []string{"s3:PutObject", "s3:GetObject"}, Resource: []string{"arn:aws:s3:::exports", "arn:aws:s3:::exports/*"},
			Condition: policy.Condition{
				"StringEquals": {"aws:SourceAccount": {"111122223333", "444455556666"}}, "Bool": {"aws:SecureTransport": {"true"}},
			},
		},
		{Effect: policy.Deny, Principal: &policy.Principal{Everyone: true}, NotAction: []string{"s3:Get*"}, NotResource: []string{"arn:aws:s3:::other/<a&b>"}},
	}}
	got, err := policy.ParseDocument([]byte(exportPolicy))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(exportPolicy, got.Text()); d != "" {
		t.Errorf("printed it is another:\n%s", d)
	}
}

// AWS takes one statement without a list, and plain values in conditions.
func TestParseDocumentForms(t *testing.T) {
	got, err := policy.ParseDocument([]byte(`{"Statement": {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "*", "Condition": {"Bool": {"a:b": true}, "NumericLessThan": {"c:d": [10, "20"]}},
		"Principal": {"AWS": ["111122223333", "AIDAEXAMPLE"], "Federated": "x", "CanonicalUser": "y"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := policy.Document{Statements: []policy.Statement{{Effect: policy.Allow, Action: []string{"s3:GetObject"}, Resource: []string{"*"},
		Condition: policy.Condition{"Bool": {"a:b": {"true"}}, "NumericLessThan": {"c:d": {"10", "20"}}},
		Principal: &policy.Principal{AWS: []string{"111122223333", "AIDAEXAMPLE"}, Federated: []string{"x"}, CanonicalUser: []string{"y"}}}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestParseDocumentRefused(t *testing.T) {
	const ok = `"Effect":"Allow","Action":"s3:*","Resource":"*"`
	doc := func(statement string) string { return `{"Version":"2012-10-17","Statement":[{` + statement + `}]}` }
	for name, c := range map[string]struct{ text, path string }{
		"empty":             {"", ""},
		"null":              {"null", ""},
		"list":              {"[]", ""},
		"half":              {doc(ok)[:40], "Statement[0]"},
		"trailing":          {doc(ok) + "{}", ""},
		"utf-8":             {doc(ok + ",\"Sid\":\"\xff\""), ""},
		"surrogate":         {doc(ok + `,"Sid":"\ud800"`), "Statement[0].Sid"},
		"zero":              {doc(ok + `,"Sid":"a\u0000"`), "Statement[0].Sid"},
		"large":             {doc(ok) + strings.Repeat(" ", policy.MaxDocumentBytes), ""},
		"deep":              {doc(ok + `,"Condition":{"a":{"b":[[[[[["c"]]]]]]}}`), "Statement[0].Condition.a.b[0][0][0][0]"},
		"twice":             {doc(`"Effect":"Deny",` + ok), "Statement[0].Effect"},
		"case":              {doc(ok + `,"effect":"Deny"`), "Statement[0].effect"},
		"only case":         {doc(`"effect":"Allow","Action":"s3:*","Resource":"*"`), "Statement[0].effect"},
		"principal twice":   {doc(ok + `,"Principal":{"AWS":"111122223333"},"principal":"*"`), "Statement[0].principal"},
		"operator twice":    {doc(ok + `,"Condition":{"Bool":{"a":"b"},"bool":{"a":"c"}}`), "Statement[0].Condition.bool"},
		"unknown key":       {doc(ok + `,"Resources":"*"`), "Statement[0].Resources"},
		"unknown at top":    {`{"Statements":[]}`, "Statements"},
		"unknown principal": {doc(ok + `,"Principal":{"Role":"x"}`), "Statement[0].Principal.Role"},
		"principal text":    {doc(ok + `,"Principal":"111122223333"`), "Statement[0].Principal"},
		"nobody":            {doc(ok + `,"Principal":{}`), "Statement[0].Principal"},
		"null within":       {doc(ok + `,"Sid":null`), "Statement[0].Sid"},
		"number":            {doc(ok + `,"Sid":7`), "Statement[0].Sid"},
		"no statement":      {`{"Version":"2012-10-17"}`, "Statement"},
		"empty statements":  {`{"Statement":[]}`, "Statement"},
		"statement text":    {`{"Statement":["x"]}`, "Statement[0]"},
		"version":           {`{"Version":"2012","Statement":{` + ok + `}}`, "Version"},
		"effect":            {doc(`"Effect":"allow","Action":"s3:*"`), "Statement[0].Effect"},
		"no effect":         {doc(`"Action":"s3:*"`), "Statement[0].Effect"},
		"no action":         {doc(`"Effect":"Allow"`), "Statement[0]"},
		"both actions":      {doc(ok + `,"NotAction":"x:y"`), "Statement[0]"},
		"both resources":    {doc(ok + `,"NotResource":"x"`), "Statement[0]"},
		"both principals":   {doc(ok + `,"Principal":"*","NotPrincipal":"*"`), "Statement[0]"},
		"empty resources":   {doc(`"Effect":"Allow","Action":"s3:*","Resource":[]`), "Statement[0].Resource"},
		"empty action":      {doc(`"Effect":"Allow","Action":[""]`), "Statement[0].Action"},
		"action number":     {doc(`"Effect":"Allow","Action":[1]`), "Statement[0].Action[0]"},
		"condition text":    {doc(ok + `,"Condition":"x"`), "Statement[0].Condition"},
		"operator text":     {doc(ok + `,"Condition":{"Bool":"x"}`), "Statement[0].Condition.Bool"},
		"operator empty":    {doc(ok + `,"Condition":{"Bool":{}}`), "Statement[0].Condition"},
		"no values":         {doc(ok + `,"Condition":{"Bool":{"a":[]}}`), "Statement[0].Condition.Bool"},
		"same sid":          {`{"Statement":[{"Sid":"a",` + ok + `},{"Sid":"a",` + ok + `}]}`, "Statement[1].Sid"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := policy.ParseDocument([]byte(c.text))
			var e *policy.DocumentError
			if !errors.As(err, &e) {
				t.Fatalf("%v, %v", got, err)
			}
			if e.Path != c.path || e.Detail == "" || len(e.Error()) > 400 {
				t.Errorf("at %q: %v", e.Path, err)
			}
		})
	}
}

// No value can become a second statement, whatever it holds.
func TestValuesStayValues(t *testing.T) {
	evil := `x"},{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*`
	d := policy.Document{Version: policy.Version, Statements: []policy.Statement{{Sid: evil, Effect: policy.Deny, Action: []string{evil}, Resource: []string{evil},
		Principal: &policy.Principal{AWS: []string{evil}}, Condition: policy.Condition{evil: {evil: {evil}}}}}}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var got policy.Document
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, got); diff != "" {
		t.Error(diff)
	}
}

func TestMarshalRefuses(t *testing.T) {
	if _, err := json.Marshal(policy.Document{}); err == nil {
		t.Error("a document without statements was written")
	}
	if text := (policy.Document{}).Text(); !strings.HasPrefix(text, "policy document: ") {
		t.Error(text)
	}
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(exportPolicy))
	f.Add([]byte(`{"Statement":{"Effect":"Allow","Action":["s3:GetObject"],"Resource":"*","Condition":{"Bool":{"a:b":true}}}}`))
	f.Add([]byte(`{"Statement":[{"Effect":"Deny","effect":"Allow","NotAction":"*","NotPrincipal":{"AWS":"1"}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := policy.ParseDocument(text)
		if err != nil {
			return
		}
		// What passes here, encoding/json reads too, with as many statements and the same effects.
		var loose struct{ Statement json.RawMessage }
		if err := json.Unmarshal(text, &loose); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(loose.Statement, []byte("[")) {
			loose.Statement = append(append([]byte("["), loose.Statement...), ']')
		}
		var effects []struct{ Effect policy.Effect }
		if err := json.Unmarshal(loose.Statement, &effects); err != nil || len(effects) != len(d.Statements) {
			t.Fatalf("%v: %d statements, and %d", err, len(effects), len(d.Statements))
		}
		for i, e := range effects {
			if e.Effect != d.Statements[i].Effect {
				t.Fatalf("statement %d: %s, and %s", i, e.Effect, d.Statements[i].Effect)
			}
		}
		first, err := d.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := policy.ParseDocument(first)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Fatal(diff)
		}
		if second, err := again.MarshalJSON(); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%v\n%s\n%s", err, first, second)
		}
	})
}
