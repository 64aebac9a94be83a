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

// printedAsRead holds what Validate promises: what it passes is printed, in every form, so that it is read back as it was; what it refuses is
// not printed, and the linter sees it.
func printedAsRead(t *testing.T, d policy.Document) (valid bool) {
	t.Helper()
	err := d.Validate()
	text, printErr := d.MarshalJSON()
	if err != nil {
		var e *policy.DocumentError
		if !errors.As(err, &e) || e.Detail == "" || !errors.As(printErr, &e) || text != nil {
			t.Fatalf("%v, and printing it %v", err, printErr)
		}
		if again := d.Validate(); again == nil || again.Error() != err.Error() {
			t.Fatalf("%v, and then %v", err, again)
		}
		if !slices.ContainsFunc(policy.Lint(d, policy.LintContext{Kind: policy.KindIdentity}), func(f policy.Finding) bool {
			return f.ID == "DOC001" && f.Severity == policy.SeverityError
		}) {
			t.Fatalf("%v, and no DOC001", err)
		}
		return false
	}
	if printErr != nil {
		t.Fatalf("valid, but %v", printErr)
	}
	long, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range [][]byte{text, long, []byte(d.Text())} {
		if len(form) > policy.MaxDocumentBytes {
			continue // the canonical form fits, and the two others are longer
		}
		got, err := policy.ParseDocument(form)
		if err != nil {
			t.Fatalf("%v in %s", err, form)
		}
		if diff := cmp.Diff(d, got); diff != "" {
			t.Fatalf("%s\n%s", form, diff)
		}
	}
	return true
}

// oneStatement is a document that is good, for tests to change.
func oneStatement(change func(d *policy.Document, s *policy.Statement)) policy.Document {
	d := policy.Document{Version: policy.Version, Statements: []policy.Statement{{Effect: policy.Allow, Action: []string{"s3:GetObject"}, Resource: []string{"*"}}}}
	change(&d, &d.Statements[0])
	return d
}

func TestValidate(t *testing.T) {
	const bad = "a\xffb"
	type D = *policy.Document
	type S = *policy.Statement
	for name, c := range map[string]struct {
		change func(D, S)
		path   string
	}{
		"id":             {func(d D, _ S) { d.ID = bad }, "Id"},
		"version":        {func(d D, _ S) { d.Version = bad }, "Version"},
		"sid":            {func(_ D, s S) { s.Sid = "a\x00" }, "Statement[0].Sid"},
		"effect":         {func(_ D, s S) { s.Effect = "Allow\x00" }, "Statement[0].Effect"},
		"action":         {func(_ D, s S) { s.Action[0] = bad }, "Statement[0].Action"},
		"not action":     {func(_ D, s S) { s.Action, s.NotAction = nil, []string{"\ufffd"} }, "Statement[0].NotAction"},
		"resource":       {func(_ D, s S) { s.Resource[0] = "arn:\x00" }, "Statement[0].Resource"},
		"not resource":   {func(_ D, s S) { s.Resource, s.NotResource = nil, []string{bad} }, "Statement[0].NotResource"},
		"principal":      {func(_ D, s S) { s.Principal = &policy.Principal{AWS: []string{bad}} }, "Statement[0].Principal.AWS"},
		"service":        {func(_ D, s S) { s.Principal = &policy.Principal{Service: []string{bad}} }, "Statement[0].Principal.Service"},
		"federated":      {func(_ D, s S) { s.NotPrincipal = &policy.Principal{Federated: []string{bad}} }, "Statement[0].NotPrincipal.Federated"},
		"canonical":      {func(_ D, s S) { s.Principal = &policy.Principal{CanonicalUser: []string{bad}} }, "Statement[0].Principal.CanonicalUser"},
		"operator":       {func(_ D, s S) { s.Condition = policy.Condition{bad: {"a": {"b"}}} }, "Statement[0].Condition"},
		"key":            {func(_ D, s S) { s.Condition = policy.Condition{"Bool": {bad: {"b"}}} }, "Statement[0].Condition.Bool"},
		"value":          {func(_ D, s S) { s.Condition = policy.Condition{"Bool": {"a": {"b", bad}}} }, `Statement[0].Condition.Bool."a"`},
		"operator twice": {func(_ D, s S) { s.Condition = policy.Condition{"Bool": {"a": {"b"}}, "BOOL": {"c": {"d"}}} }, "Statement[0].Condition"},
		"key twice": {func(_ D, s S) {
			s.Condition = policy.Condition{"StringEquals": {"aws:SourceAccount": {"b"}, "AWS:sourceaccount": {"c"}}}
		}, "Statement[0].Condition.StringEquals"},
		"no operators":   {func(_ D, s S) { s.Condition = policy.Condition{} }, "Statement[0].Condition"},
		"large":          {func(_ D, s S) { s.Resource[0] = strings.Repeat("a", policy.MaxDocumentBytes) }, ""},
		"large, printed": {func(_ D, s S) { s.Resource[0] = strings.Repeat("\u2028", policy.MaxDocumentBytes/4) }, ""}, // six bytes each
	} {
		t.Run(name, func(t *testing.T) {
			d := oneStatement(c.change)
			if printedAsRead(t, d) {
				t.Fatal("it was passed")
			}
			var e *policy.DocumentError
			if errors.As(d.Validate(), &e); e.Path != c.path || strings.Contains(e.Error(), bad) || strings.Contains(e.Error(), "\x00") {
				t.Errorf("at %q: %q", e.Path, e.Error())
			}
			if _, _, err := (policy.Document{}).Merge(d.Statements[0]); err == nil {
				t.Error("it was merged")
			}
		})
	}
	for name, change := range map[string]func(D, S){
		"plain":            func(D, S) {},
		"old":              func(d D, _ S) { d.Version = "2008-10-17" },
		"no version":       func(d D, _ S) { d.Version, d.ID = "", "<id> & \u2028" },
		"everybody":        func(_ D, s S) { s.Principal = &policy.Principal{Everyone: true} },
		"every account":    func(_ D, s S) { s.NotPrincipal = &policy.Principal{AWS: []string{"*"}} },
		"empty value":      func(_ D, s S) { s.Condition = policy.Condition{"StringEquals": {"a": {"", "x"}, "b": {""}}} },
		"other alphabets":  func(_ D, s S) { s.Sid, s.Resource[0] = "\u00e9\U0001d400", "\x01\t\u2029\U0010ffff" },
		"alike, elsewhere": func(_ D, s S) { s.Condition = policy.Condition{"Bool": {"a": {"b"}}, "Null": {"A": {"b"}}} },
	} {
		t.Run(name, func(t *testing.T) {
			if d := oneStatement(change); !printedAsRead(t, d) {
				t.Fatal(d.Validate())
			}
		})
	}
}

// Programs write an empty Condition where there is none; it is read as none.
func TestEmptyConditionIsNone(t *testing.T) {
	d, err := policy.ParseDocument([]byte(`{"Statement": {"Effect": "Allow", "Action": "a:b", "Resource": "*", "Condition": {}}}`))
	if err != nil || d.Statements[0].Condition != nil {
		t.Errorf("%v %v", d, err)
	}
}

// fuzzedDocument makes a document of bytes: each says what comes next, and how many of the bytes behind it are its text.
func fuzzedDocument(b []byte) (d policy.Document) {
	next := func() byte {
		if len(b) == 0 {
			return 0
		}
		c := b[0]
		b = b[1:]
		return c
	}
	text := func() string {
		n := min(int(next()%8), len(b))
		s := string(b[:n])
		b = b[n:]
		return s
	}
	list := func() (all []string) {
		n := next() % 4
		if n == 3 {
			return []string{}
		}
		for range n {
			all = append(all, text())
		}
		return all
	}
	principal := func() *policy.Principal {
		switch next() % 3 {
		case 0:
			return nil
		case 1:
			return &policy.Principal{Everyone: true}
		}
		return &policy.Principal{AWS: list(), Service: list(), Federated: list(), CanonicalUser: list()}
	}
	d.Version, d.ID = []string{policy.Version, "", "2008-10-17", "x"}[next()%4], text()
	for range next() % 4 {
		s := policy.Statement{Effect: []policy.Effect{policy.Allow, policy.Deny, policy.Allow, "x"}[next()%4], Sid: text(),
			Action: []string{"a:" + text()}, Resource: list(), Principal: principal()}
		if c := next(); c&1 != 0 {
			s.NotPrincipal = principal()
		} else if c&2 != 0 {
			s.Action, s.NotAction = nil, list()
		} else if c&4 != 0 {
			s.NotResource = list()
		}
		if n := next() % 5; n > 0 {
			s.Condition = policy.Condition{}
			for range n - 1 {
				keys := map[string][]string{}
				for range next() % 3 {
					keys[text()] = list()
				}
				s.Condition[text()] = keys
			}
		}
		d.Statements = append(d.Statements, s)
	}
	return d
}

// FuzzValidate holds Validate to its promise for documents of any make.
func FuzzValidate(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("\x00\x00\x01\x00\x01S\x01g\x01\x01*\x00\x00\x02\x01\x01k\x01\x01v\x04Bool"))
	f.Add([]byte("\x00\x00\x01\x00\x01\xff\x01g\x01\x01*\x00\x00\x02\x02\x01k\x01\x01v\x01K\x01\x01v\x04Bool"))
	f.Add([]byte("\x01\x02<&\x02\x01\x03\xe2\x80\xa8\x01g\x01\x01*\x02\x01\x01*\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) { printedAsRead(t, fuzzedDocument(b)) })
}
