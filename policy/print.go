package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Validate refuses a Document that is no policy: without statements, with a Version that AWS has not, a statement without an effect or with both
// of a pair, an empty list or value, two statements of one Sid, text that is not UTF-8 or holds a zero byte or the replacement character, an
// operator or a key of a condition that stands there twice in other letters, or more than [MaxDocumentBytes]. What it passes is printed so that
// [ParseDocument] reads the same Document back. It says nothing of what the policy allows: that is [Lint]'s work. An error is a *[DocumentError].
func (d Document) Validate() error {
	_, err := d.MarshalJSON()
	return err
}

// check is Validate without the size.
func (d Document) check() error {
	switch d.Version {
	case "", Version, "2008-10-17":
	default:
		return docErr("Version", "%s is no version of the policy language", show(d.Version))
	}
	if err := checkText("Id", d.ID); err != nil {
		return err
	}
	if len(d.Statements) == 0 {
		return docErr("Statement", "there is none")
	}
	sids := map[string]bool{}
	for i, s := range d.Statements {
		path := fmt.Sprintf("Statement[%d]", i)
		if s.Sid != "" && sids[s.Sid] {
			return docErr(path+".Sid", "another statement has the Sid %s", show(s.Sid))
		}
		sids[s.Sid] = true
		if err := s.validate(path); err != nil {
			return err
		}
	}
	return nil
}

// validate looks at a statement in an order that is always the same.
func (s Statement) validate(path string) error {
	if s.Effect != Allow && s.Effect != Deny {
		return docErr(path+".Effect", "%s is neither Allow nor Deny", show(string(s.Effect)))
	}
	if err := checkText(path+".Sid", s.Sid); err != nil {
		return err
	}
	if s.Principal != nil && s.NotPrincipal != nil {
		return docErr(path, "Principal and NotPrincipal")
	}
	if len(s.Action) > 0 == (len(s.NotAction) > 0) {
		return docErr(path, "exactly one of Action and NotAction must be there")
	}
	if s.Resource != nil && s.NotResource != nil {
		return docErr(path, "Resource and NotResource")
	}
	at := lintStatement{Statement: s}
	for _, e := range at.principals() {
		if p := e.Principal; p != nil && p.Everyone == (len(p.AWS)+len(p.Service)+len(p.Federated)+len(p.CanonicalUser) > 0) {
			return docErr(path+"."+e.name, "it names nobody, or everybody and somebody")
		}
	}
	for _, e := range at.lists() {
		if e.values != nil && len(e.values) == 0 {
			return docErr(path+"."+e.name, "an empty list")
		}
		for _, v := range e.values {
			if v == "" {
				return docErr(path+"."+e.name, "an empty value")
			}
			if err := checkText(path+"."+e.name, v); err != nil {
				return err
			}
		}
	}
	return s.Condition.validate(path + ".Condition")
}

func (c Condition) validate(path string) error {
	if c != nil && len(c) == 0 {
		return docErr(path, "conditions without an operator; leave out what has no conditions")
	}
	if err := checkKeys(path, c); err != nil {
		return err
	}
	for _, operator := range slices.Sorted(maps.Keys(c)) {
		keys := c[operator]
		if operator == "" || len(keys) == 0 {
			return docErr(path, "an operator without a name or without keys")
		}
		if err := checkKeys(path+"."+operator, keys); err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if key == "" || len(keys[key]) == 0 {
				return docErr(path+"."+operator, "a key without a name or without values")
			}
			for _, v := range keys[key] {
				if err := checkText(path+"."+operator+"."+show(key), v); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// checkKeys refuses the keys of an object that a reader could take for text of another kind, or for one another.
func checkKeys[V any](path string, keys map[string]V) error {
	seen := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if err := checkText(path, key); err != nil {
			return err
		}
		fold := strings.ToLower(key)
		if seen[fold] {
			return docErr(path, "the key %s stands twice, in other letters", show(fold))
		}
		seen[fold] = true
	}
	return nil
}

// MarshalJSON gives the one canonical form: keys in the order of the types' fields, operators and keys of conditions sorted, a single value as a
// string. It refuses what Validate refuses. See [Document.Encode] for the size of what json.Marshal makes of it.
func (d Document) MarshalJSON() ([]byte, error) {
	b, err := d.print()
	if err == nil && len(b) > MaxDocumentBytes {
		return nil, docErr("", "%d bytes, and no policy has more than %d", len(b), MaxDocumentBytes)
	}
	return b, err
}

// print is MarshalJSON for a document of any size.
func (d Document) print() ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	type statement struct {
		Sid                     string `json:",omitempty"`
		Effect                  Effect
		Principal, NotPrincipal any                       `json:",omitempty"`
		Action, NotAction       any                       `json:",omitempty"`
		Resource, NotResource   any                       `json:",omitempty"`
		Condition               map[string]map[string]any `json:",omitempty"`
	}
	out := struct {
		Version   string `json:",omitempty"`
		ID        string `json:"Id,omitempty"`
		Statement []statement
	}{Version: d.Version, ID: d.ID}
	for _, s := range d.Statements {
		one := statement{Sid: s.Sid, Effect: s.Effect, Principal: s.Principal.value(), NotPrincipal: s.NotPrincipal.value(),
			Action: values(s.Action), NotAction: values(s.NotAction), Resource: values(s.Resource), NotResource: values(s.NotResource)}
		for operator, keys := range s.Condition {
			if one.Condition == nil {
				one.Condition = map[string]map[string]any{}
			}
			one.Condition[operator] = map[string]any{}
			for key, v := range keys {
				one.Condition[operator][key] = values(v)
			}
		}
		out.Statement = append(out.Statement, one)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// UnmarshalJSON is ParseDocument.
func (d *Document) UnmarshalJSON(text []byte) error {
	doc, err := ParseDocument(text)
	if err != nil {
		return err
	}
	*d = doc
	return nil
}

// Text gives the canonical form, indented for people, or the error in words where the Document can not be written. Give AWS what
// Encode gives, which is shorter.
func (d Document) Text() string {
	b, err := d.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(out.String()) + "\n"
}

// value gives what stands in the document, nil for nothing.
func (p *Principal) value() any {
	if p == nil {
		return nil
	}
	if p.Everyone {
		return "*"
	}
	return struct {
		AWS           any `json:",omitempty"`
		Service       any `json:",omitempty"`
		Federated     any `json:",omitempty"`
		CanonicalUser any `json:",omitempty"`
	}{values(p.AWS), values(p.Service), values(p.Federated), values(p.CanonicalUser)}
}

// values gives a string for one value and a list for several, nil for none.
func values(v []string) any {
	switch len(v) {
	case 0:
		return nil
	case 1:
		return v[0]
	}
	return v
}
